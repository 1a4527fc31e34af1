"""Exports of what a workspace has, as files: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.messages import export_jobs
from msvs.api.messages.export_requests import CreateExport, ListExports
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import BigInt, JSONObject, json_object
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Export as ExportRow
from msvs.models import ExportKind, ExportStatus
from msvs.models.rows import ExportRow as StoredExport


@resource_type(export_jobs.ExportFault, "Why an export failed.")
class ExportFault:
    code: str
    message: str


@resource_type(export_jobs.ExportResource, "An export of data of the workspace as a file.")
class Export(Node):
    row: strawberry.Private[StoredExport]
    livemode: bool
    kind: ExportKind
    status: ExportStatus
    format: str
    gzip: bool
    conditions: JSONObject
    rows_total: BigInt | None
    rows_done: BigInt
    file_name: str
    file_size: BigInt
    error: ExportFault | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None

    @classmethod
    def from_row(cls, row: StoredExport) -> Export:
        """Return the type of a row."""
        request = export_jobs.request_of(row)
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.EXPORT, row.id)),
            format=request.format,
            gzip=request.gzip,
            conditions=json_object(export_jobs.conditions_of(row)),
            file_name=export_jobs.file_name(row),
            error=None if row.error is None else from_row(ExportFault, export_jobs.fault_of(row.error)),
        )

    @field(export_jobs.DOWNLOAD)
    async def download_url(self, info: Info) -> str | None:
        address = export_jobs.address_of(info.context.ctx, self.row)
        return None if address is None else address.url


register_rows(ids.EXPORT, ExportRow, Export.from_row, check=lambda ctx, row: export_jobs.allow_contents(ctx, row.kind))


@request_input(CreateExport)
class CreateExportInput:
    pass


CreateExportResult = Annotated[
    Export | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateExportResult", description="The new export, or an error."),
]
CancelExportResult = Annotated[
    Export | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("CancelExportResult", description="The updated export, or an error."),
]
ExportId = Annotated[ID, strawberry.argument(description="The export's id.")]


@strawberry.type
class ExportQuery:
    @field("An export by its id; null if there is none.")
    async def export(self, info: Info, id: ExportId) -> Export | None:
        return await load_kind(info, id, Export, ids.EXPORT)

    @field("The exports whose contents you may read, newest first.")
    async def exports(
        self,
        info: Info,
        kind: Annotated[ExportKind | None, argument(ListExports, "kind")] = None,
        status: Annotated[ExportStatus | None, argument(ListExports, "status")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Export]:
        ctx = info.context.ctx
        request = read_page(ids.EXPORT, first, after, last, before)
        which = ListExports(kind=kind, status=status)
        page = await export_jobs.list_exports(ctx, request, which)
        return connect(ids.EXPORT, request, page, Export.from_row, export_jobs.export_query(ctx, which).count)


@strawberry.type
class ExportMutation:
    @mutation(CreateExportResult, "Start an export; a worker writes the file.")
    async def create_export(
        self, info: Info, input: Annotated[CreateExportInput, strawberry.argument(description="The export.")]
    ) -> object:
        return await mutate(
            info, lambda ctx: export_jobs.create_export(ctx, read_input(CreateExport, input)), Export.from_row
        )

    @mutation(CancelExportResult, "Cancel an export that has not ended, and delete its file.")
    async def cancel_export(self, info: Info, id: ExportId) -> object:
        return await mutate(info, lambda ctx: export_jobs.cancel_export(ctx, _id(id)), Export.from_row)


def _id(text: str) -> UUID:
    return ids.find_id(ids.EXPORT, text, "export")
