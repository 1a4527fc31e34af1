"""/v1/contacts."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.consent.consent import ConsentEntryResource, consent_entry_resource
from msvs.api.contacts import contact_pages, contacts, merges, tags
from msvs.api.contacts.contacts import CreateContact, ListContacts, UpdateContact
from msvs.api.contacts.imports import ContactsImported, ImportContacts, import_contacts
from msvs.api.contacts.merges import ContactMergeResource, MergeContacts
from msvs.api.contacts.tags import ChangeTags
from msvs.api.pages import PageQuery
from msvs.api.privacy.contact_export import ContactExportResource, export_contact
from msvs.api.privacy.erasure import ErasureResource, erase_contact
from msvs.api.resources import ContactResource, changed_contact_resource, contact_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import (
    ContactUpsert,
    Deleted,
    FilteredListOf,
    ListOf,
    NoBody,
    NoQuery,
    filtered_list_of,
    list_of,
)


async def create(call: Call[CreateContact, ContactUpsert]) -> ContactResource:
    """Create a contact."""
    made = await contacts.create_contact(call.ctx, call.body, upsert=call.query.upsert == "true")
    return changed_contact_resource(made)


async def import_(call: Call[ImportContacts, NoQuery]) -> ContactsImported:
    """Import contacts."""
    return await import_contacts(call.ctx, call.body)


async def retrieve(call: Call[NoBody, NoQuery]) -> ContactResource:
    """Retrieve a contact."""
    return contact_resource(await contacts.get_contact(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateContact, NoQuery]) -> ContactResource:
    """Update a contact."""
    return changed_contact_resource(await contacts.update_contact(call.ctx, _id(call.params["id"]), call.body))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a contact."""
    id = _id(call.params["id"])
    await contacts.delete_contact(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.CONTACT, id), object="contact")


async def list_(call: Call[NoBody, ListContacts]) -> FilteredListOf[ContactResource]:
    """List/search contacts."""
    page = await contact_pages.list_matching(call.ctx, call.query.page(ids.CONTACT), call.query)
    return filtered_list_of(ids.CONTACT, call.path, page, contact_resource)


async def opt_out(call: Call[NoBody, NoQuery]) -> ContactResource:
    """Opt a contact out."""
    return contact_resource(await contacts.opt_out_contact(call.ctx, _id(call.params["id"])))


async def mark_reachable(call: Call[NoBody, NoQuery]) -> ContactResource:
    """Let campaigns reach a contact again."""
    return contact_resource(await contacts.mark_reachable(call.ctx, _id(call.params["id"])))


async def tag(call: Call[ChangeTags, NoQuery]) -> ContactResource:
    """Add tags to a contact and remove others."""
    return contact_resource(await tags.tag_contact(call.ctx, _id(call.params["id"]), call.body))


async def merge(call: Call[MergeContacts, NoQuery]) -> ContactMergeResource:
    """Merge another contact into a contact."""
    return await merges.merge_contacts(call.ctx, _id(call.params["id"]), call.body)


async def consent_history(call: Call[NoBody, PageQuery]) -> ListOf[ConsentEntryResource]:
    """List the consent records of a contact."""
    page = call.query.page(consent.CONSENT_EVENT)
    found = await consent.list_contact_consent(call.ctx, _id(call.params["id"]), page)
    return list_of(call.path, found, consent_entry_resource)


async def export(call: Call[NoBody, NoQuery]) -> ContactExportResource:
    """Export all data about a contact."""
    return await export_contact(call.ctx, _id(call.params["id"]))


async def erase(call: Call[NoBody, NoQuery]) -> ErasureResource:
    """Erase a contact."""
    return await erase_contact(call.ctx, _id(call.params["id"]))


def _id(text: str) -> UUID:
    return ids.find_id(ids.CONTACT, text, "contact")
