"""/v1/lists."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.contacts import lists, source_types, sources
from msvs.api.contacts.lists import AddContacts, ContactsAdded, CreateList, ListLists, UpdateList
from msvs.api.contacts.source_options import UpdateSource
from msvs.api.contacts.source_types import ConnectorResource
from msvs.api.context import Context
from msvs.api.pages import PageQuery
from msvs.api.resources import (
    ContactListResource,
    ContactResource,
    ListSyncResource,
    contact_list_resource,
    contact_resource,
    list_sync_resource,
)
from msvs.models.rows import ContactListRow
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateList, NoQuery]) -> ContactListResource:
    """Create a list, static or synced."""
    if call.body.source is None:
        return contact_list_resource(await lists.create_list(call.ctx, call.body.name))
    return await _show(call.ctx, await sources.create_synced_list(call.ctx, call.body.name, call.body.source))


async def retrieve(call: Call[NoBody, NoQuery]) -> ContactListResource:
    """Retrieve a list."""
    return await _show(call.ctx, await lists.get_list(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateList, NoQuery]) -> ContactListResource:
    """Rename a list."""
    return contact_list_resource(
        await lists.update_list(call.ctx, _id(call.params["id"]), call.body.name, version=call.body.version)
    )


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a list, but not its contacts."""
    id = _id(call.params["id"])
    await sources.delete_list(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.CONTACT_LIST, id), object="contact_list")


async def list_(call: Call[NoBody, ListLists]) -> ListOf[ContactListResource]:
    """List all lists."""
    page = await lists.list_lists(call.ctx, call.query.page(ids.CONTACT_LIST), kind=call.query.kind)
    shown = dict(zip([row.id for row in page.items], await sources.list_resources(call.ctx, page.items), strict=True))
    return list_of(call.path, page, lambda row: shown[row.id])


async def add_contacts(call: Call[AddContacts, NoQuery]) -> ContactsAdded:
    """Add contacts to a list."""
    return await lists.add_contacts(call.ctx, _id(call.params["id"]), call.body.contact_ids)


async def remove_contact(call: Call[NoBody, NoQuery]) -> Deleted:
    """Remove a contact from a list."""
    contact_id = ids.find_id(ids.CONTACT, call.params["contact_id"], "contact", param="contact_id")
    await lists.remove_contact(call.ctx, _id(call.params["id"]), contact_id)
    return Deleted(id=ids.encode_id(ids.CONTACT, contact_id), object="list_member")


async def members(call: Call[NoBody, PageQuery]) -> ListOf[ContactResource]:
    """List the contacts on a list."""
    page = await lists.list_members(call.ctx, _id(call.params["id"]), call.query.page(ids.CONTACT))
    return list_of(call.path, page, contact_resource)


async def update_source(call: Call[UpdateSource, NoQuery]) -> ContactListResource:
    """Change the source of a synced list."""
    return await _show(call.ctx, await sources.update_source(call.ctx, _id(call.params["id"]), call.body))


async def sync(call: Call[NoBody, NoQuery]) -> ListSyncResource:
    """Sync a list now."""
    return list_sync_resource(await sources.sync_list(call.ctx, _id(call.params["id"])))


async def confirm(call: Call[NoBody, NoQuery]) -> ContactListResource:
    """Confirm what a sync of a list found."""
    return await _show(call.ctx, await sources.confirm_sync(call.ctx, _id(call.params["id"])))


async def pause(call: Call[NoBody, NoQuery]) -> ContactListResource:
    """Pause the syncs of a list."""
    return await _show(call.ctx, await sources.pause_sync(call.ctx, _id(call.params["id"])))


async def resume(call: Call[NoBody, NoQuery]) -> ContactListResource:
    """Resume the syncs of a list."""
    return await _show(call.ctx, await sources.resume_sync(call.ctx, _id(call.params["id"])))


async def disconnect(call: Call[NoBody, NoQuery]) -> ContactListResource:
    """Disconnect a list from its service."""
    return await _show(call.ctx, await sources.disconnect_list(call.ctx, _id(call.params["id"])))


async def syncs(call: Call[NoBody, PageQuery]) -> ListOf[ListSyncResource]:
    """List the syncs of a list."""
    page = await sources.list_syncs(call.ctx, _id(call.params["id"]), call.query.page(ids.LIST_SYNC))
    return list_of(call.path, page, list_sync_resource)


async def connectors(call: Call[NoBody, NoQuery]) -> ListOf[ConnectorResource]:
    """List the services that a list can be synced with."""
    return ListOf(url=call.path, has_more=False, data=await source_types.list_connectors(call.ctx))


async def _show(ctx: Context, row: ContactListRow) -> ContactListResource:
    return await sources.list_resource(ctx, row)


def _id(text: str) -> UUID:
    return ids.find_id(ids.CONTACT_LIST, text, "list")
