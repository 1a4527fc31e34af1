"""/v1/imports."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from msvs.api import ids
from msvs.api.contacts import import_jobs
from msvs.api.contacts.import_jobs import (
    CreateImport,
    ImportFile,
    ImportOptions,
    ImportResource,
    ImportRowResource,
    ListImportRows,
    ListImports,
    ListInvalidRows,
    UpdateImport,
    UploadPart,
    import_resource,
    import_row_resource,
)
from msvs.fields import about
from msvs.http.body import convert
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


class ImportRowPage(msgspec.Struct, kw_only=True):
    """Rows of an import in their order."""

    object: Literal["list"] = "list"
    url: Annotated[str, about(example="/v1/imports/imp_01HYZ8K5VQAE2N0PWQ6DC9V8MP/rows")]
    has_more: Annotated[bool, about(example=False)]
    data: list[ImportRowResource]
    next_cursor: (
        Annotated[
            str, about("The number of the last row, to continue from as `starting_after`, where more rows follow.")
        ]
        | UnsetType
    ) = UNSET


async def create(call: Call[CreateImport, NoQuery]) -> ImportResource:
    """Begin an import, whose file comes with it or follows in parts."""
    return import_resource(await import_jobs.create_import(call.ctx, call.body))


async def create_of_file(call: Call[NoBody, NoQuery]) -> ImportResource:
    """Begin the import of the file that comes with the request."""
    assert call.upload is not None, "the router calls this for a form alone"
    options = convert(call.upload.options, ImportOptions)
    file = call.upload.upload
    return import_resource(await import_jobs.import_file(call.ctx, file.file, file.name, options))


async def add_part(call: Call[UploadPart, NoQuery]) -> ImportResource:
    """Add a part to an import's file."""
    return import_resource(await import_jobs.add_part(call.ctx, _id(call.params["id"]), call.body))


async def retrieve(call: Call[NoBody, NoQuery]) -> ImportResource:
    """Retrieve an import."""
    return import_resource(await import_jobs.get_import(call.ctx, _id(call.params["id"])))


async def list_(call: Call[NoBody, ListImports]) -> ListOf[ImportResource]:
    """List imports."""
    page = await import_jobs.list_imports(call.ctx, call.query.page(ids.IMPORT), status=call.query.status)
    return list_of(call.path, page, import_resource)


async def rows(call: Call[NoBody, ListImportRows]) -> ImportRowPage:
    """List the rows of an import."""
    found, has_more = await import_jobs.list_import_rows(call.ctx, _id(call.params["id"]), call.query)
    reached = str(found[-1].number) if has_more else UNSET
    data = [import_row_resource(row) for row in found]
    return ImportRowPage(url=call.path, has_more=has_more, data=data, next_cursor=reached)


async def invalid_rows(call: Call[NoBody, ListInvalidRows]) -> ImportFile:
    """Return the rows of an import that could not be taken, as a file."""
    return await import_jobs.read_invalid_rows(call.ctx, _id(call.params["id"]), after=call.query.after)


async def update(call: Call[UpdateImport, NoQuery]) -> ImportResource:
    """Change how a file is imported."""
    return import_resource(await import_jobs.update_import(call.ctx, _id(call.params["id"]), call.body))


async def run(call: Call[NoBody, NoQuery]) -> ImportResource:
    """Run an import that a dry run has checked."""
    return import_resource(await import_jobs.run_import(call.ctx, _id(call.params["id"])))


async def cancel(call: Call[NoBody, NoQuery]) -> ImportResource:
    """End an import."""
    return import_resource(await import_jobs.cancel_import(call.ctx, _id(call.params["id"])))


async def undo(call: Call[NoBody, NoQuery]) -> ImportResource:
    """Delete the contacts that an import made."""
    return import_resource(await import_jobs.undo_import(call.ctx, _id(call.params["id"])))


def _id(text: str) -> UUID:
    return ids.find_id(ids.IMPORT, text, "import")
