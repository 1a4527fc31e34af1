"""Tags of contacts: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.contacts import tags
from msvs.api.contacts.tags import ChangeTags, ListTags, TagResource
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.errors import InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import argument, read_input, request_input
from msvs.graphql.nodes import Node, register_rows
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Tag as TagRow
from msvs.models import rows


@resource_type(TagResource, "A tag of contacts.")
class Tag(Node):
    livemode: bool
    name: str
    contact_count: int
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.TagRow) -> Tag:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.TAG, row.id)))


register_rows(ids.TAG, TagRow, Tag.from_row)


@request_input(ChangeTags)
class ChangeTagsInput:
    pass


TagContactResult = Annotated[
    Contact | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("TagContactResult", description="The contact with its tags, or an error."),
]


@strawberry.type
class TagQuery:
    @field("The tags that contacts have, newest first.")
    async def tags(
        self,
        info: Info,
        q: Annotated[str | None, argument(ListTags, "q")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Tag]:
        ctx = info.context.ctx
        request, which = read_page(ids.TAG, first, after, last, before), ListTags(q=q)
        page = await tags.list_tags(ctx, request, which)
        return connect(ids.TAG, request, page, Tag.from_row, partial(tags.count_tags, ctx, which))


@strawberry.type
class TagMutation:
    @mutation(TagContactResult, "Add tags to a contact and remove others.")
    async def tag_contact(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The contact's id.")],
        input: Annotated[ChangeTagsInput, strawberry.argument(description="The tags.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: tags.tag_contact(ctx, ids.find_id(ids.CONTACT, id, "contact"), read_input(ChangeTags, input)),
            Contact.from_row,
        )
