"""/v1/lists."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.contacts import lists
from msvs.api.contacts.lists import AddContacts, ContactsAdded, CreateList, UpdateList
from msvs.api.pages import PageQuery
from msvs.api.resources import ContactListResource, ContactResource, contact_list_resource, contact_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateList, NoQuery]) -> ContactListResource:
    """Create a list."""
    return contact_list_resource(await lists.create_list(call.ctx, call.body.name))


async def retrieve(call: Call[NoBody, NoQuery]) -> ContactListResource:
    """Retrieve a list."""
    return contact_list_resource(await lists.get_list(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateList, NoQuery]) -> ContactListResource:
    """Rename a list."""
    return contact_list_resource(
        await lists.update_list(call.ctx, _id(call.params["id"]), call.body.name, version=call.body.version)
    )


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a list, but not its contacts."""
    id = _id(call.params["id"])
    await lists.delete_list(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.CONTACT_LIST, id), object="contact_list")


async def list_(call: Call[NoBody, PageQuery]) -> ListOf[ContactListResource]:
    """List all lists."""
    page = await lists.list_lists(call.ctx, call.query.page(ids.CONTACT_LIST))
    return list_of(call.path, page, contact_list_resource)


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


def _id(text: str) -> UUID:
    return ids.find_id(ids.CONTACT_LIST, text, "list")
