"""Lists: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from msgspec import UNSET
from strawberry import ID

from msvs.api import ids
from msvs.api.contacts import lists, sources
from msvs.api.contacts.lists import AddContacts, CreateList, ListLists, UpdateList
from msvs.api.contacts.source_options import NewSource, UpdateSource
from msvs.api.context import Context
from msvs.api.resources import ContactListResource, contact_list_version
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, argument, read_input
from msvs.graphql.list_sources import (
    ListSource,
    ListSourceAuthorization,
    ListSourceInput,
    ListSync,
    UpdateListSourceInput,
)
from msvs.graphql.loaders import LIST_MEMBERS, LIST_SYNCS
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import ContactList as ContactListRow
from msvs.models import rows


@resource_type(ContactListResource, "A collection of contacts to send to as a group.")
class ContactList(Node):
    row: strawberry.Private[rows.ContactListRow]
    livemode: bool
    name: str
    kind: str
    contact_count: int
    created_at: datetime
    updated_at: datetime
    version: str

    @classmethod
    def from_row(cls, row: rows.ContactListRow) -> ContactList:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.CONTACT_LIST, row.id)), version=contact_list_version(row))

    @field("What a synced list is kept in step with; null for a static one.")
    async def source(self, info: Info) -> ListSource | None:
        if self.row.kind == lists.STATIC:
            return None
        found = await info.context.loaders.list_source(self.row.id)
        return None if found is None else ListSource.from_rows(info.context.ctx, *found)

    @field("The syncs of the list, newest first.")
    async def syncs(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ListSync]:
        request = read_page(ids.LIST_SYNC, first, after, last, before)
        loaders, id = info.context.loaders, self.row.id
        page = await loaders.children(LIST_SYNCS, id, request)
        return connect(ids.LIST_SYNC, request, page, ListSync.from_row, lambda: loaders.count_children(LIST_SYNCS, id))

    @field("The contacts on the list, newest first.")
    async def members(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Contact]:
        request = read_page(ids.CONTACT, first, after, last, before)
        loaders, id = info.context.loaders, self.row.id
        page = await loaders.children(LIST_MEMBERS, id, request)
        return connect(ids.CONTACT, request, page, Contact.from_row, lambda: loaders.count_children(LIST_MEMBERS, id))


register_rows(ids.CONTACT_LIST, ContactListRow, ContactList.from_row)


@resource_type(lists.ContactsAdded, "The result of adding contacts to a list.")
class ContactsAdded:
    contact_list: ContactList = strawberry.field(description="The updated list.")
    added: int
    already_members: int
    not_found: list[ID]


CreateListResult = Annotated[
    ContactList | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateListResult", description="The new list, or an error."),
]
UpdateListResult = Annotated[
    ContactList | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateListResult", description="The updated list, or an error."),
]
DeleteListResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteListResult", description="Confirms that the list was deleted, or an error."),
]
AddContactsToListResult = Annotated[
    ContactsAdded | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("AddContactsToListResult", description="The updated list and the counts, or an error."),
]
RemoveContactFromListResult = Annotated[
    ContactList | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("RemoveContactFromListResult", description="The list without the contact, or an error."),
]

ChangeListSourceResult = Annotated[
    ContactList | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("ChangeListSourceResult", description="The list with its source as it now is, or an error."),
]
SyncListResult = Annotated[
    ListSync | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("SyncListResult", description="The sync that goes on, or an error."),
]

AuthorizeListSourceResult = Annotated[
    ListSourceAuthorization | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("AuthorizeListSourceResult", description="Where to grant access, or an error."),
]

ListId = Annotated[ID, strawberry.argument(description="The list's id.")]
Name = Annotated[str, argument(CreateList, "name")]


@strawberry.type
class ListQuery:
    @field("A list by its id; null if there is none.")
    async def contact_list(self, info: Info, id: ListId) -> ContactList | None:
        return await load_kind(info, id, ContactList, ids.CONTACT_LIST)

    @field("Lists, newest first.")
    async def contact_lists(
        self,
        info: Info,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        kind: Annotated[str | None, argument(ListLists, "kind")] = None,
    ) -> Connection[ContactList]:
        ctx = info.context.ctx
        request = read_page(ids.CONTACT_LIST, first, after, last, before)
        page = await lists.list_lists(ctx, request, kind=kind)
        count = lists.select_lists(ctx, kind).count
        return connect(ids.CONTACT_LIST, request, page, ContactList.from_row, count)


@strawberry.type
class ListMutation:
    @mutation(CreateListResult, "Create an empty list, static or kept in step with a service.")
    async def create_list(
        self, info: Info, name: Name, source: Annotated[ListSourceInput | None, argument(CreateList, "source")] = None
    ) -> object:
        if source is None:
            return await mutate(info, lambda ctx: lists.create_list(ctx, name), ContactList.from_row)
        return await mutate(
            info,
            lambda ctx: sources.create_synced_list(ctx, name, read_input(NewSource, source)),
            ContactList.from_row,
        )

    @mutation(ChangeListSourceResult, "Change the source of a synced list; the next sync reads everyone again.")
    async def update_list_source(
        self,
        info: Info,
        id: ListId,
        input: Annotated[UpdateListSourceInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: sources.update_source(ctx, _id(id), read_input(UpdateSource, input)),
            ContactList.from_row,
        )

    @mutation(
        AuthorizeListSourceResult,
        "Begin to grant access to the service of a synced list, where it has OAuth. For users who are logged in.",
    )
    async def authorize_list_source(self, info: Info, id: ListId) -> object:
        return await mutate(
            info,
            lambda ctx: sources.authorize_source(ctx, _id(id)),
            lambda done: ListSourceAuthorization(url=done.url, expires_at=done.expires_at),
        )

    @mutation(ChangeListSourceResult, "Take what the service sent the browser back with, and read who is there.")
    async def grant_list_source(
        self,
        info: Info,
        state: Annotated[str, strawberry.argument(description="The `state` of the address; valid once.")],
        code: Annotated[str, strawberry.argument(description="The `code` of the address.")],
    ) -> object:
        return await mutate(info, lambda ctx: sources.grant_source(ctx, state=state, code=code), ContactList.from_row)

    @mutation(SyncListResult, "Sync a list now.")
    async def sync_list(self, info: Info, id: ListId) -> object:
        return await mutate(info, lambda ctx: sources.sync_list(ctx, _id(id)), ListSync.from_row)

    @mutation(ChangeListSourceResult, "Let a list be synced as its dry run found, or people leave a list that shrank.")
    async def confirm_list_sync(self, info: Info, id: ListId) -> object:
        return await mutate(info, lambda ctx: sources.confirm_sync(ctx, _id(id)), ContactList.from_row)

    @mutation(ChangeListSourceResult, "Pause the syncs of a list.")
    async def pause_list_sync(self, info: Info, id: ListId) -> object:
        return await mutate(info, lambda ctx: sources.pause_sync(ctx, _id(id)), ContactList.from_row)

    @mutation(ChangeListSourceResult, "Resume the syncs of a list.")
    async def resume_list_sync(self, info: Info, id: ListId) -> object:
        return await mutate(info, lambda ctx: sources.resume_sync(ctx, _id(id)), ContactList.from_row)

    @mutation(ChangeListSourceResult, "Make a synced list a static one; its contacts stay.")
    async def disconnect_list(self, info: Info, id: ListId) -> object:
        return await mutate(info, lambda ctx: sources.disconnect_list(ctx, _id(id)), ContactList.from_row)

    @mutation(UpdateListResult, "Rename a list.")
    async def update_list(
        self, info: Info, id: ListId, name: Name, version: Annotated[str | None, argument(UpdateList, "version")] = None
    ) -> object:
        known = UNSET if version is None else version
        return await mutate(
            info, lambda ctx: lists.update_list(ctx, _id(id), name, version=known), ContactList.from_row
        )

    @mutation(DeleteListResult, "Delete a list, but not its contacts.")
    async def delete_list(self, info: Info, id: ListId) -> object:
        return await mutate(info, lambda ctx: sources.delete_list(ctx, _id(id)), lambda _: Deleted(id=id))

    @mutation(AddContactsToListResult, "Add at most 1,000 contacts to a list; contacts already on it stay.")
    async def add_contacts_to_list(
        self,
        info: Info,
        id: ListId,
        contact_ids: Annotated[list[ID], argument(AddContacts, "contact_ids")],
    ) -> object:
        async def add(ctx: Context) -> ContactsAdded:
            added = await lists.add_contacts(ctx, _id(id), contact_ids)
            return from_row(ContactsAdded, added, contact_list=ContactList.from_row(await lists.get_list(ctx, _id(id))))

        return await mutate(info, add, lambda done: done)

    @mutation(RemoveContactFromListResult, "Remove a contact from a list; does nothing if it is not on the list.")
    async def remove_contact_from_list(
        self, info: Info, id: ListId, contact_id: Annotated[ID, strawberry.argument(description="The contact's id.")]
    ) -> object:
        async def remove(ctx: Context) -> ContactListRow:
            await lists.remove_contact(
                ctx, _id(id), ids.find_id(ids.CONTACT, contact_id, "contact", param="contact_id")
            )
            return await lists.get_list(ctx, _id(id))

        return await mutate(info, remove, ContactList.from_row)


def _id(text: str) -> UUID:
    return ids.find_id(ids.CONTACT_LIST, text, "list")
