"""Merges of contacts: types and the mutation."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID

from msvs import times
from msvs.api import ids
from msvs.api.contacts import merges
from msvs.api.contacts.merges import MergeContacts
from msvs.graphql.contacts import OptIn
from msvs.graphql.context import Info
from msvs.graphql.errors import InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import mutation
from msvs.graphql.inputs import read_input, request_input
from msvs.graphql.scalars import JSONObject, json_object
from msvs.graphql.shapes import from_row
from msvs.models import OptInStatus


@strawberry.type(description="What a contact becomes by a merge.")
class MergedContact:
    id: ID = strawberry.field(description="The id of the contact that is kept.")
    phone: str = strawberry.field(description="Its phone, in E.164 format.")
    first_name: str | None = strawberry.field(description="The first name; null if unknown.")
    last_name: str | None = strawberry.field(description="The last name; null if unknown.")
    email: str | None = strawberry.field(description="The e-mail address; null if unknown.")
    timezone: str | None = strawberry.field(description="The IANA time zone; null to use the region of the phone.")
    external_id: str | None = strawberry.field(description="The id in your own system; null if not given.")
    opt_in: OptIn = strawberry.field(description="The consent status and its evidence.")
    attributes: JSONObject = strawberry.field(description="Your own values by name.")
    tags: list[str] = strawberry.field(description="Its tags, in order.")


@strawberry.type(description="What a merge of two contacts results in.")
class ContactMerge:
    dry_run: bool = strawberry.field(description="Whether nothing was changed.")
    contact: MergedContact = strawberry.field(description="The contact that is kept.")
    merged_id: ID = strawberry.field(description="The id of the contact that is gone.")
    lists_joined: int = strawberry.field(description="How many lists it joined.")
    messages_moved: int = strawberry.field(description="How many messages of the other are its own now.")

    @classmethod
    def from_shape(cls, shape: merges.ContactMergeResource) -> ContactMerge:
        """Return the type of a result."""
        contact, opt_in = shape.contact, shape.contact.opt_in
        return cls(
            dry_run=shape.dry_run,
            contact=from_row(
                MergedContact,
                contact,
                id=ID(contact.id),
                opt_in=OptIn(
                    status=OptInStatus(opt_in.status),
                    source=opt_in.source,
                    ip=opt_in.ip,
                    at=None if opt_in.at is None else times.read_time(opt_in.at),
                ),
                attributes=json_object(contact.attributes),
            ),
            merged_id=ID(shape.merged_id),
            lists_joined=shape.lists_joined,
            messages_moved=shape.messages_moved,
        )


@request_input(MergeContacts)
class MergeContactsInput:
    pass


MergeContactsResult = Annotated[
    ContactMerge | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("MergeContactsResult", description="What results, or an error."),
]


@strawberry.type
class MergeMutation:
    @mutation(MergeContactsResult, "Merge another contact into a contact, or show what would result.")
    async def merge_contacts(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The id of the contact that is kept.")],
        input: Annotated[MergeContactsInput, strawberry.argument(description="The other contact.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: merges.merge_contacts(
                ctx, ids.find_id(ids.CONTACT, id, "contact"), read_input(MergeContacts, input)
            ),
            ContactMerge.from_shape,
        )
