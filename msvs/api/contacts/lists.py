"""Lists: collections of contacts to send to as a group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from tortoise.expressions import Subquery
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.contacts.details import read_name
from msvs.api.contacts.source_options import NewSource
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, check_version
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import contact_list_version
from msvs.api.scope import find, scoped
from msvs.database import execute, fetch
from msvs.fields import ULID, Request, Version, about, named
from msvs.models import Contact, ContactList, Keyword, ListMember

MAX_NAME = 200
MAX_ADDED = 1000
STATIC, SYNCED = "static", "synced"

# A contact on its way onto a list cannot be deleted before its place is committed. Contacts are locked before lists,
# here and where a contact is deleted, so that the two never wait for each other.
SHARE_CONTACTS = """
SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[])
ORDER BY id FOR KEY SHARE
"""

ADD_MEMBERS = """
INSERT INTO list_members (id, list_id, contact_id, created_at)
SELECT member.id, $1::uuid, member.contact_id, $4::timestamptz
FROM unnest($2::uuid[], $3::uuid[]) AS member (id, contact_id)
ON CONFLICT (list_id, contact_id) DO NOTHING
"""


Name = Annotated[str, about("Its name.", **named(MAX_NAME))]


class CreateList(Request, frozen=True):
    """A new list."""

    name: Annotated[Name, about(example="Cohort 06 — open cart")]
    source: Annotated[NewSource, about("The service to keep the list in step with; a static list has none.")] | None = (
        None
    )


class UpdateList(Request, frozen=True):
    """A list's new name."""

    name: Annotated[Name, about(example="Cohort 06 — closed cart")]
    version: Version | UnsetType = UNSET


class ListLists(PageQuery, frozen=True, kw_only=True):
    """Which lists."""

    kind: Annotated[str, about("Only lists of this kind.", example="synced", enum=[STATIC, SYNCED])] | None = None


class AddContacts(Request, frozen=True):
    """Contacts to add to a list."""

    read_by_row: ClassVar[str] = "contact_ids"

    contact_ids: Annotated[list[str], about("The ids of the contacts.", example=[f"con_{ULID}"], maxItems=MAX_ADDED)]


class ContactsAdded(msgspec.Struct, frozen=True):
    """The result of adding contacts to a list."""

    added: Annotated[int, about("The number of contacts added.", example=1)]
    already_members: Annotated[int, about("The number of contacts that were on the list already.", example=0)]
    not_found: Annotated[list[str], about("The ids that belong to no contact, as given.", example=[])]


async def create_list(ctx: Context, name: str) -> ContactList:
    """Make an empty list. Raises InvalidRequest unless the name has 1 to 200 characters."""
    allow(ctx, Permission.CONTACTS_WRITE)
    name = read_name(name, param="name", maximum=MAX_NAME)
    return await ContactList.create(workspace_id=ctx.workspace_id, livemode=ctx.livemode, name=name)


async def get_list(ctx: Context, id: UUID) -> ContactList:
    """Return one list. Raises NotFound."""
    return await find(ctx, ContactList, id, prefix=ids.CONTACT_LIST, noun="list")


async def list_lists(ctx: Context, page: PageRequest, *, kind: str | None = None) -> Page[ContactList]:
    """List lists, newest first, optionally of one kind. Raises InvalidRequest for an unknown kind."""
    return await fetch_page(select_lists(ctx, kind), page)


def select_lists(ctx: Context, kind: str | None) -> QuerySet[ContactList]:
    """Return the query of the lists of one kind, or of all. Raises InvalidRequest for an unknown kind."""
    query = scoped(ctx, ContactList)
    if kind is None:
        return query
    if kind not in (STATIC, SYNCED):
        raise InvalidRequest(f"kind must be one of: {STATIC}, {SYNCED}.", param="kind")
    return query.filter(kind=kind)


async def update_list(ctx: Context, id: UUID, name: str, *, version: str | UnsetType = UNSET) -> ContactList:
    """Rename a list. Raises NotFound, and Conflict `list_synced` for a synced one, and `version_conflict`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    name = read_name(name, param="name", maximum=MAX_NAME)
    row = await _find_static(ctx, id)
    check_version(version, contact_list_version(row), "list")
    row.name = name
    await row.save(update_fields=["name", "updated_at"])
    return row


async def delete_list(ctx: Context, id: UUID) -> None:
    """Delete a list, synced or not, and the keywords that join it, but none of its contacts. Raises NotFound.

    A campaign resolves its audience when it starts: one that still waits then finds nobody here, and one that has
    started goes on.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await find(ctx, ContactList, id, prefix=ids.CONTACT_LIST, noun="list", lock=True)
    await scoped(ctx, Keyword).filter(list_id=row.id).delete()
    await ListMember.filter(list_id=row.id).delete()
    await row.delete()


async def add_contacts(ctx: Context, id: UUID, contact_ids: Sequence[str]) -> ContactsAdded:
    """Put contacts on a list, at most 1,000 a call; one that is on it stays. Raises NotFound, Conflict `list_synced`.

    An id named twice counts once. An id that is malformed, unknown or another workspace's is reported, not refused.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    if len(contact_ids) > MAX_ADDED:
        raise InvalidRequest(
            f"contact_ids holds at most {MAX_ADDED} ids.", param="contact_ids", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    refuse_synced(await get_list(ctx, id))
    named = {text: ids.decode_id(ids.CONTACT, text) for text in contact_ids}
    wanted = [value for value in named.values() if value is not None]
    found = {row.id for row in await fetch(SHARE_CONTACTS, ctx.workspace_id, ctx.livemode, wanted)}
    await _find_static(ctx, id)
    added = 0
    if found:
        new_ids = [ids.new_id() for _ in found]
        added = await execute(ADD_MEMBERS, id, new_ids, list(found), ctx.services.clock())
    return ContactsAdded(added, len(found) - added, [text for text, value in named.items() if value not in found])


async def remove_contact(ctx: Context, id: UUID, contact_id: UUID) -> None:
    """Take a contact off a list; nothing happens where it is not on it. Raises NotFound, Conflict `list_synced`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    contact = await find(ctx, Contact, contact_id, prefix=ids.CONTACT, noun="contact", param="contact_id")
    row = await _find_static(ctx, id)
    await ListMember.filter(list_id=row.id, contact_id=contact.id).delete()


async def list_members(ctx: Context, id: UUID, page: PageRequest) -> Page[Contact]:
    """List the contacts on a list, newest contact first. Raises NotFound."""
    row = await get_list(ctx, id)
    members = ListMember.filter(list_id=row.id).values("contact_id")
    return await fetch_page(scoped(ctx, Contact).filter(id__in=Subquery(members)), page)


async def _find_static(ctx: Context, id: UUID) -> ContactList:
    row = await find(ctx, ContactList, id, prefix=ids.CONTACT_LIST, noun="list", lock=True)
    refuse_synced(row)
    return row


def refuse_synced(row: ContactList) -> None:
    """Raise Conflict `list_synced` for a list that is not changed by hand."""
    if row.kind != STATIC:
        raise Conflict("The list is synchronized with another service; change it there.", code=ErrorCode.LIST_SYNCED)
