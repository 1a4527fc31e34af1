"""/v1/bulk_actions."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.contacts import bulk_actions
from msvs.api.contacts.bulk_actions import BulkActionResource, CreateBulkAction, ListBulkActions, bulk_action_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateBulkAction, NoQuery]) -> BulkActionResource:
    """Ask for an action on many contacts."""
    return bulk_action_resource(await bulk_actions.create_bulk_action(call.ctx, call.body))


async def retrieve(call: Call[NoBody, NoQuery]) -> BulkActionResource:
    """Retrieve a bulk action."""
    return bulk_action_resource(await bulk_actions.get_bulk_action(call.ctx, _id(call.params["id"])))


async def list_(call: Call[NoBody, ListBulkActions]) -> ListOf[BulkActionResource]:
    """List bulk actions."""
    page = await bulk_actions.list_bulk_actions(call.ctx, call.query.page(ids.BULK_ACTION), call.query)
    return list_of(call.path, page, bulk_action_resource)


async def cancel(call: Call[NoBody, NoQuery]) -> BulkActionResource:
    """End a bulk action."""
    return bulk_action_resource(await bulk_actions.cancel_bulk_action(call.ctx, _id(call.params["id"])))


def _id(text: str) -> UUID:
    return ids.find_id(ids.BULK_ACTION, text, "bulk action")
