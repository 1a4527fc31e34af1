"""Keywords that join a list: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.inbound import keywords
from msvs.api.scope import scoped
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, given, optional_ref, required
from msvs.graphql.lists import ContactList
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.shapes import from_row
from msvs.models import ContactList as ContactListRow
from msvs.models import Keyword as KeywordRow
from msvs.models import rows


@strawberry.type(description="A word that opts in anyone who texts it, and adds them to a list.")
class JoinKeyword(Node):
    row: strawberry.Private[rows.KeywordRow]
    livemode: bool = strawberry.field(description="Whether it is live; false in the sandbox.")
    word: str = strawberry.field(description="The word. Case, accents and punctuation do not count.")
    reply: str | None = strawberry.field(
        description="The SMS that answers anyone who joins; null for the workspace's welcome text."
    )
    created_at: datetime = strawberry.field(description="When it was made.")

    @classmethod
    def from_row(cls, row: rows.KeywordRow) -> JoinKeyword:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.KEYWORD, row.id)))

    @field("The list it adds to; null where that was deleted a moment ago.")
    async def contact_list(self, info: Info) -> ContactList | None:
        row = await info.context.loaders.row(ContactListRow, self.row.list_id)
        return None if row is None else ContactList.from_row(row)


register_rows(ids.KEYWORD, KeywordRow, JoinKeyword.from_row)


@strawberry.input(description="A keyword to be made.")
class CreateJoinKeywordInput:
    word: str = strawberry.field(description="The word, 1 to 30 characters.")
    list_id: ID = strawberry.field(description="The id of the list it adds to.")
    reply: str | None = strawberry.field(
        default=None, description="The SMS that answers anyone who joins; the workspace's welcome text where left out."
    )


@strawberry.input(description="What to change of a keyword; what is left out stays, null clears.")
class UpdateJoinKeywordInput:
    word: str | None = strawberry.field(default=strawberry.UNSET, description="Another word.")
    list_id: ID | None = strawberry.field(default=strawberry.UNSET, description="The id of another list.")
    reply: str | None = strawberry.field(
        default=strawberry.UNSET, description="Another answer; null for the workspace's welcome text."
    )


CreateJoinKeywordResult = Annotated[
    JoinKeyword | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateJoinKeywordResult", description="The keyword made, or why not."),
]
UpdateJoinKeywordResult = Annotated[
    JoinKeyword | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateJoinKeywordResult", description="The keyword as it now is, or why it did not change."),
]
DeleteJoinKeywordResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteJoinKeywordResult", description="Says that the keyword is gone, or why not."),
]

KeywordId = Annotated[ID, strawberry.argument(description="The keyword's id.")]


@strawberry.type
class KeywordQuery:
    @field("A keyword by its id; null where there is none.")
    async def join_keyword(self, info: Info, id: KeywordId) -> JoinKeyword | None:
        return await load_kind(info, id, JoinKeyword, ids.KEYWORD)

    @field("Keywords, newest first.")
    async def join_keywords(
        self,
        info: Info,
        list_id: Annotated[ID | None, strawberry.argument(description="Only those of this list.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[JoinKeyword]:
        ctx = info.context.ctx
        request = read_page(ids.KEYWORD, first, after, last, before)
        of_list = optional_ref(ids.CONTACT_LIST, list_id, "list_id")
        page = await keywords.list_keywords(ctx, request, list_id=of_list)
        query = scoped(ctx, KeywordRow)
        count = (query if of_list is None else query.filter(list_id=of_list)).count
        return connect(ids.KEYWORD, request, page, JoinKeyword.from_row, count)


@strawberry.type
class KeywordMutation:
    @mutation(CreateJoinKeywordResult, "Make a keyword of a list.")
    async def create_join_keyword(
        self,
        info: Info,
        input: Annotated[CreateJoinKeywordInput, strawberry.argument(description="The keyword.")],
    ) -> object:
        async def create(ctx: Context) -> KeywordRow:
            list_id = ids.read_id(ids.CONTACT_LIST, input.list_id, "list_id")
            data = keywords.CreateKeyword(word=input.word, list_id=list_id, reply=input.reply)
            return await keywords.create_keyword(ctx, data)

        return await mutate(info, create, JoinKeyword.from_row)

    @mutation(UpdateJoinKeywordResult, "Change a keyword; who joined by it stays where they are.")
    async def update_join_keyword(
        self,
        info: Info,
        id: KeywordId,
        input: Annotated[UpdateJoinKeywordInput, strawberry.argument(description="The changes.")],
    ) -> object:
        async def update(ctx: Context) -> KeywordRow:
            list_id = required(input.list_id, "list_id")
            data = keywords.UpdateKeyword(
                word=required(input.word, "word"),
                list_id=ids.read_id(ids.CONTACT_LIST, list_id, "list_id") if isinstance(list_id, str) else list_id,
                reply=given(input.reply),
            )
            return await keywords.update_keyword(ctx, _id(id), data)

        return await mutate(info, update, JoinKeyword.from_row)

    @mutation(DeleteJoinKeywordResult, "Delete a keyword; who joined by it stays opted in and on the list.")
    async def delete_join_keyword(self, info: Info, id: KeywordId) -> object:
        return await mutate(info, lambda ctx: keywords.delete_keyword(ctx, _id(id)), lambda _: Deleted(id=id))


def _id(text: str) -> UUID:
    return ids.find_id(ids.KEYWORD, text, "keyword")
