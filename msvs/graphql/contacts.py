"""Contacts: types, queries and mutations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

import msgspec
import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.consent.consent import CONSENT_EVENT, ConsentEntryResource, hashes_of
from msvs.api.contacts import contact_pages, contacts, imports
from msvs.api.contacts.contacts import CreateContact, ListContacts, OptInEvidence, UpdateContact
from msvs.api.contacts.imports import ImportContacts
from msvs.api.pages import Order
from msvs.api.resources import (
    ContactResource,
    OptInResource,
    UnreachableResource,
    contact_version,
    contact_warnings,
    unreachable_resource,
)
from msvs.api.text.phones import spellings
from msvs.graphql.connections import After, Before, Connection, First, Last, OrderBy, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionRefusedError,
    input_path,
    mutate,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, read_filter, read_input, request_input
from msvs.graphql.loaders import CONSENT_HISTORY, CONTACT_LISTS, CONTACT_MESSAGES
from msvs.graphql.nodes import Node, load_kind, register_rows, shape_of
from msvs.graphql.scalars import JSONObject, json_object
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Contact as ContactRow
from msvs.models import OptInStatus, rows

if TYPE_CHECKING:
    from msvs.graphql.lists import ContactList
    from msvs.graphql.messages import Message, SendWarning

# In place of a phone that is not known any more.
ERASED = "erased"


@resource_type(OptInResource, "The consent status of a contact, and its evidence.")
class OptIn:
    status: OptInStatus
    source: str | None
    ip: str | None
    at: datetime | None


@resource_type(ConsentEntryResource, "One consent record of a phone. The history is append-only.")
class ConsentEvent:
    id: ID
    phone: str = strawberry.field(description="The phone, in E.164 format; `erased` if it was erased.")
    status: OptInStatus
    source: str | None
    ip: str | None
    user_agent: str | None
    text: str | None
    version: str | None
    given_at: datetime | None
    sequence: int
    hash: str
    erased_at: datetime | None
    actor: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.ConsentEventRow) -> ConsentEvent:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(CONSENT_EVENT, row.id)),
            phone=row.phone or ERASED,
            sequence=cast("int", row.sequence),
            hash=cast("str", row.hash),
        )


@resource_type(
    UnreachableResource,
    "Why campaigns skip a contact's number: messages to it failed again and again. Its consent stays as it is.",
)
class Unreachable:
    at: datetime
    code: str
    message: str


def _unreachable(row: rows.ContactRow) -> Unreachable | None:
    told = unreachable_resource(row)
    if told is None or row.unreachable_at is None:
        return None
    return Unreachable(at=row.unreachable_at, code=told.code, message=told.message)


@resource_type(ContactResource, "A person with a phone, to whom you send SMS.")
class Contact(Node):
    row: strawberry.Private[rows.ContactRow]
    livemode: bool
    phone: str
    region: str | None = strawberry.field(description="The region of the phone, ISO 3166-1; null if it has none.")
    first_name: str | None
    last_name: str | None
    email: str | None
    timezone: str | None
    external_id: str | None
    opt_in: OptIn = strawberry.field(description="The consent status and its evidence.")
    unreachable: Unreachable | None
    attributes: JSONObject
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    version: str
    warnings: list[Annotated[SendWarning, strawberry.lazy("msvs.graphql.messages")]]

    @classmethod
    def from_row(cls, row: rows.ContactRow) -> Contact:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.CONTACT, row.id)),
            opt_in=OptIn(
                status=OptInStatus(row.opt_in_status), source=row.opt_in_source, ip=row.opt_in_ip, at=row.opt_in_at
            ),
            unreachable=_unreachable(row),
            attributes=json_object(row.attributes),
            version=contact_version(row),
            # The fields of the type are those of the shape, by the same names.
            warnings=cast("list[SendWarning]", contact_warnings(row)),
        )

    @field("The messages to this contact, without those that a campaign skipped.")
    async def messages(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Annotated[Message, strawberry.lazy("msvs.graphql.messages")]]:
        request = read_page(ids.MESSAGE, first, after, last, before)
        loaders, id = info.context.loaders, self.row.id
        page = await loaders.children(CONTACT_MESSAGES, id, request)
        shape = cast("Callable[[rows.MessageRow], Message]", shape_of(ids.MESSAGE))
        return connect(ids.MESSAGE, request, page, shape, lambda: loaders.count_children(CONTACT_MESSAGES, id))

    @field("The lists this contact is on.")
    async def lists(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Annotated[ContactList, strawberry.lazy("msvs.graphql.lists")]]:
        request = read_page(ids.CONTACT_LIST, first, after, last, before)
        loaders, id = info.context.loaders, self.row.id
        page = await loaders.children(CONTACT_LISTS, id, request)
        shape = cast("Callable[[rows.ContactListRow], ContactList]", shape_of(ids.CONTACT_LIST))
        return connect(
            ids.CONTACT_LIST,
            request,
            page,
            shape,
            lambda: loaders.count_children(CONTACT_LISTS, id),
        )

    @field("The consent records of this contact's phone, newest first.")
    async def consent_history(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[ConsentEvent]:
        request = read_page(CONSENT_EVENT, first, after, last, before)
        loaders = info.context.loaders
        key = f"{','.join(hashes_of(info.context.ctx, self.phone))} {','.join(spellings(self.phone))}"
        page = await loaders.children(CONSENT_HISTORY, key, request)
        return connect(
            CONSENT_EVENT, request, page, ConsentEvent.from_row, lambda: loaders.count_children(CONSENT_HISTORY, key)
        )


register_rows(ids.CONTACT, ContactRow, Contact.from_row)


@request_input(OptInEvidence)
class OptInInput:
    pass


@request_input(CreateContact, opt_in=OptInInput)
class CreateContactInput:
    pass


@request_input(ImportContacts, contacts=CreateContactInput, opt_in=OptInInput)
class ImportContactsInput:
    pass


@resource_type(imports.RowRefused, "An invalid row of an import.")
class RowRefused:
    index: int
    code: str
    message: str
    param: str


@resource_type(
    imports.ContactsImported,
    "The result of importing contacts. Each row counts as `created`, `updated`, `unchanged` or `duplicates`, or is in"
    " `invalid`.",
)
class ContactsImported:
    created: int
    updated: int
    unchanged: int
    duplicates: int
    added_to_list: int
    opted_in: int
    pending: int
    opted_out: int
    invalid: list[RowRefused]

    @classmethod
    def from_done(cls, done: imports.ContactsImported) -> ContactsImported:
        """Return the type of what came of an import."""
        refused = [from_row(RowRefused, row, param=input_path(row.param) or row.param) for row in done.invalid]
        return from_row(cls, done, invalid=refused)


@request_input(UpdateContact, opt_in=OptInInput)
class UpdateContactInput:
    pass


@request_input(ListContacts, "Filters contacts; a contact must meet every condition.")
class ContactFilter:
    opt_in_status: OptInStatus | None
    unreachable: bool | None


CreateContactResult = Annotated[
    Contact | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union(
        "CreateContactResult",
        description="The new contact, or an error: `contact_exists` if the phone has one, `opt_in_revoked` if it opted"
        " out and there is no newer evidence.",
    ),
]
ImportContactsResult = Annotated[
    ContactsImported | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("ImportContactsResult", description="The counts of the import, or an error."),
]
UpdateContactResult = Annotated[
    Contact | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union(
        "UpdateContactResult",
        description="The updated contact, or an error: `opt_in_revoked` if the phone opted out and there is no newer"
        " evidence.",
    ),
]
OptOutContactResult = Annotated[
    Contact | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union(
        "OptOutContactResult",
        description="The contact, opted out, or an error: `contact_opted_out` if it was opted out already.",
    ),
]
MarkContactReachableResult = Annotated[
    Contact | NotFoundError | PermissionRefusedError,
    strawberry.union("MarkContactReachableResult", description="The updated contact, or an error."),
]
DeleteContactResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteContactResult", description="Confirms that the contact was deleted, or an error."),
]


@strawberry.type
class ContactQuery:
    @field("A contact by its id; null if there is none.")
    async def contact(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The contact's id.")]
    ) -> Contact | None:
        return await load_kind(info, id, Contact, ids.CONTACT)

    @field("Contacts, newest first by default.")
    async def contacts(
        self,
        info: Info,
        filter: Annotated[ContactFilter | None, strawberry.argument(description="The filter.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        order_by: OrderBy = Order.NEWEST,
    ) -> Connection[Contact]:
        ctx = info.context.ctx
        which = read_filter(ListContacts, filter)
        request = read_page(ids.CONTACT, first, after, last, before)
        which = msgspec.structs.replace(which, order=order_by)
        page = await contact_pages.list_matching(ctx, request, which)
        count = partial(contact_pages.count_matching, ctx, which)
        return connect(ids.CONTACT, request, page, Contact.from_row, count)


def _read_import(info: Info, input: object) -> ImportContacts:
    """Return the import, with its refusal in the place of a row that cannot be read."""
    data = read_input(ImportContacts, input)
    refused = info.context.refused_rows
    return msgspec.structs.replace(data, contacts=[refused.get(row.phone, row) for row in data.contacts])


@strawberry.type
class ContactMutation:
    @mutation(CreateContactResult, "Create a contact.")
    async def create_contact(
        self, info: Info, input: Annotated[CreateContactInput, strawberry.argument(description="The contact.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: contacts.create_contact(ctx, read_input(CreateContact, input)),
            Contact.from_row,
        )

    @mutation(
        ImportContactsResult, "Import at most 500 contacts: creates new ones, and updates those whose phone is known."
    )
    async def import_contacts(
        self, info: Info, input: Annotated[ImportContactsInput, strawberry.argument(description="The contacts.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: imports.import_contacts(ctx, _read_import(info, input)),
            ContactsImported.from_done,
        )

    @mutation(UpdateContactResult, "Update a contact.")
    async def update_contact(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The contact's id.")],
        input: Annotated[UpdateContactInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: contacts.update_contact(ctx, _id(id), read_input(UpdateContact, input)),
            Contact.from_row,
        )

    @mutation(OptOutContactResult, "Opt a contact out: nothing more is sent to the phone.")
    async def opt_out_contact(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The contact's id.")]
    ) -> object:
        return await mutate(info, lambda ctx: contacts.opt_out_contact(ctx, _id(id)), Contact.from_row)

    @mutation(
        MarkContactReachableResult,
        "Let campaigns reach a contact again whose number is marked as unreachable. Its consent stays as it is.",
    )
    async def mark_contact_reachable(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The contact's id.")]
    ) -> object:
        return await mutate(info, lambda ctx: contacts.mark_reachable(ctx, _id(id)), Contact.from_row)

    @mutation(DeleteContactResult, "Delete a contact. Its consent records stay.")
    async def delete_contact(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The contact's id.")]
    ) -> object:
        return await mutate(info, lambda ctx: contacts.delete_contact(ctx, _id(id)), lambda _: Deleted(id=id))


def _id(text: str) -> UUID:
    return ids.find_id(ids.CONTACT, text, "contact")
