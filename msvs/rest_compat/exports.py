"""/v1/exports."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.messages import export_jobs
from msvs.api.messages.export_jobs import ExportResource, export_resource
from msvs.api.messages.export_requests import CreateExport, ListExports
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateExport, NoQuery]) -> ExportResource:
    """Ask for an export."""
    return export_resource(call.ctx, await export_jobs.create_export(call.ctx, call.body))


async def retrieve(call: Call[NoBody, NoQuery]) -> ExportResource:
    """Retrieve an export."""
    return export_resource(call.ctx, await export_jobs.get_export(call.ctx, _id(call.params["id"])))


async def list_(call: Call[NoBody, ListExports]) -> ListOf[ExportResource]:
    """List exports."""
    page = await export_jobs.list_exports(call.ctx, call.query.page(ids.EXPORT), call.query)
    return list_of(call.path, page, lambda row: export_resource(call.ctx, row))


async def cancel(call: Call[NoBody, NoQuery]) -> ExportResource:
    """End an export."""
    return export_resource(call.ctx, await export_jobs.cancel_export(call.ctx, _id(call.params["id"])))


def _id(text: str) -> UUID:
    return ids.find_id(ids.EXPORT, text, "export")
