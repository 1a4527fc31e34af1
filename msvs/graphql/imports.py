"""Imports of contacts from files: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.contacts import import_jobs
from msvs.api.contacts.contacts import OptInEvidence
from msvs.api.contacts.import_jobs import (
    CreateImport,
    ListImportRows,
    ListImports,
    UpdateImport,
    UploadPart,
    import_resource,
    import_row_resource,
)
from msvs.api.errors import called
from msvs.api.scope import scoped
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import OptInInput
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import BigInt, JSONObject, json_object
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import ContactImport as ContactImportRow
from msvs.models import ImportStatus
from msvs.models.rows import ContactImportRow as StoredImport


@resource_type(import_jobs.ImportColumn, "A column of an import's file.")
class ImportColumn:
    name: str
    key: str
    type: str
    field: str
    samples: list[str]


@resource_type(import_jobs.ImportCounts, "The outcomes of the rows of a file, actual or expected.")
class ImportCounts:
    rows: int
    created: int
    updated: int
    unchanged: int
    duplicate: int
    suppressed: int
    invalid: int
    remaining: int
    opted_in: int
    pending: int
    without_opt_in: int
    added_to_list: int
    undone: int
    kept: int


@resource_type(import_jobs.ImportFault, "Why an import failed.")
class ImportFault:
    code: str
    message: str


@resource_type(OptInEvidence, "How everyone in a file agreed to receive texts.")
class ImportEvidence:
    source: str | None
    ip: str | None
    user_agent: str | None
    text: str | None
    version: str | None
    at: datetime | None


@resource_type(import_jobs.ImportRowResource, "A row of an import, with its outcome.")
class ImportRow:
    number: int
    line: int
    status: str
    reason: str | None
    phone: str | None
    contact_id: ID | None
    cells: list[str] | None


@resource_type(import_jobs.ImportFile, "Invalid rows, in the format of the original file.")
class ImportFile:
    file_name: str
    media_type: str
    content: str
    has_more: bool
    last: int | None


@strawberry.type(description="Rows of an import in their order.")
class ImportRows:
    nodes: list[ImportRow] = strawberry.field(description="The rows.")
    has_more: bool = strawberry.field(description="Whether more rows follow: continue after the last number.")


@resource_type(import_jobs.ImportResource, "An import of contacts from a file.")
class ContactImport(Node):
    row: strawberry.Private[StoredImport]
    livemode: bool
    status: ImportStatus
    file_name: str
    file_size: BigInt
    file_kind: str | None
    encoding: str | None
    delimiter: str | None
    columns: list[ImportColumn]
    mapping: JSONObject
    list_id: ID | None
    default_region: str | None
    evidence: ImportEvidence | None
    update: str
    dry_run: bool
    counts: ImportCounts
    rows_read: BigInt
    rows_done: BigInt
    error: ImportFault | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    undo_until: datetime | None

    @classmethod
    def from_row(cls, row: StoredImport) -> ContactImport:
        """Return the type of a row."""
        told = import_resource(row)
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.IMPORT, row.id)),
            columns=[from_row(ImportColumn, column) for column in told.columns],
            mapping=json_object(told.mapping),
            list_id=None if told.list_id is None else ID(told.list_id),
            default_region=told.default_region,
            evidence=None if told.evidence is None else from_row(ImportEvidence, told.evidence),
            update=told.update,
            dry_run=told.dry_run,
            counts=from_row(ImportCounts, told.counts),
            error=None if told.error is None else from_row(ImportFault, told.error),
            undo_until=None if told.undo_until is None else cast("datetime", row.ended_at) + import_jobs.UNDO,
        )

    @field(
        "The address to which parts of the file of at most 4 MiB are put as they are, with `offset` and `last` in the"
        " query. Valid for an hour; null if the upload has ended or you may not change contacts."
    )
    async def upload_url(self, info: Info) -> str | None:
        return import_jobs.upload_url(info.context.ctx, self.row)

    @field("The rows in order, at most 100 at once.")
    async def rows(
        self,
        info: Info,
        status: Annotated[str | None, argument(ListImportRows, "status")] = None,
        after: Annotated[int | None, argument(ListImportRows, "starting_after")] = None,
        first: Annotated[int | None, argument(ListImportRows, "limit")] = None,
    ) -> ImportRows:
        which = ListImportRows(status=status, starting_after=after, limit=first)
        with called("after", of="starting_after"), called("first", of="limit"):
            found, has_more = await import_jobs.list_import_rows(info.context.ctx, self.row.id, which)
        shapes = [import_row_resource(row) for row in found]
        return ImportRows(nodes=[from_row(ImportRow, shape) for shape in shapes], has_more=has_more)

    @field("The invalid rows, in the format of the original file.")
    async def invalid_rows(
        self, info: Info, after: Annotated[int | None, argument(import_jobs.ListInvalidRows, "after")] = None
    ) -> ImportFile:
        return from_row(ImportFile, await import_jobs.read_invalid_rows(info.context.ctx, self.row.id, after=after))


register_rows(ids.IMPORT, ContactImportRow, ContactImport.from_row)


@request_input(CreateImport, evidence=OptInInput)
class CreateImportInput:
    pass


@request_input(UpdateImport, evidence=OptInInput)
class UpdateImportInput:
    pass


@request_input(UploadPart)
class UploadPartInput:
    pass


CreateImportResult = Annotated[
    ContactImport | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateImportResult", description="The new import, or an error."),
]
ChangeImportResult = Annotated[
    ContactImport | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("ChangeImportResult", description="The updated import, or an error."),
]
ImportId = Annotated[ID, strawberry.argument(description="The import's id.")]


@strawberry.type
class ImportQuery:
    @field("An import by its id; null if there is none.")
    async def contact_import(self, info: Info, id: ImportId) -> ContactImport | None:
        return await load_kind(info, id, ContactImport, ids.IMPORT)

    @field("Imports, newest first.")
    async def contact_imports(
        self,
        info: Info,
        status: Annotated[ImportStatus | None, argument(ListImports, "status")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ContactImport]:
        ctx = info.context.ctx
        request = read_page(ids.IMPORT, first, after, last, before)
        page = await import_jobs.list_imports(ctx, request, status=status)
        query = scoped(ctx, ContactImportRow)
        count = (query if status is None else query.filter(status=status)).count
        return connect(ids.IMPORT, request, page, ContactImport.from_row, count)


@strawberry.type
class ImportMutation:
    @mutation(CreateImportResult, "Start an import of contacts from a file, whose content follows in parts.")
    async def create_import(
        self, info: Info, input: Annotated[CreateImportInput, strawberry.argument(description="The file.")]
    ) -> object:
        return await mutate(
            info, lambda ctx: import_jobs.create_import(ctx, read_input(CreateImport, input)), ContactImport.from_row
        )

    @mutation(ChangeImportResult, "Add a part to the file of an import.")
    async def add_import_part(
        self, info: Info, id: ImportId, input: Annotated[UploadPartInput, strawberry.argument(description="The part.")]
    ) -> object:
        return await mutate(
            info, lambda ctx: import_jobs.add_part(ctx, _id(id), read_input(UploadPart, input)), ContactImport.from_row
        )

    @mutation(ChangeImportResult, "Change the options of an import that is waiting for its mapping or its run.")
    async def update_import(
        self,
        info: Info,
        id: ImportId,
        input: Annotated[UpdateImportInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: import_jobs.update_import(ctx, _id(id), read_input(UpdateImport, input)),
            ContactImport.from_row,
        )

    @mutation(ChangeImportResult, "Run an import that a dry run has checked.")
    async def run_import(self, info: Info, id: ImportId) -> object:
        return await mutate(info, lambda ctx: import_jobs.run_import(ctx, _id(id)), ContactImport.from_row)

    @mutation(ChangeImportResult, "Cancel an import; the rows imported so far stay, and can be undone.")
    async def cancel_import(self, info: Info, id: ImportId) -> object:
        return await mutate(info, lambda ctx: import_jobs.cancel_import(ctx, _id(id)), ContactImport.from_row)

    @mutation(ChangeImportResult, "Delete the contacts that an import created, except those used since.")
    async def undo_import(self, info: Info, id: ImportId) -> object:
        return await mutate(info, lambda ctx: import_jobs.undo_import(ctx, _id(id)), ContactImport.from_row)


def _id(text: str) -> UUID:
    return ids.find_id(ids.IMPORT, text, "import")
