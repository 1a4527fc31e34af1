"""Keywords that join a list: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.inbound import keywords
from msvs.api.inbound.keywords import CreateKeyword, ListKeywords, UpdateKeyword
from msvs.api.resources import KeywordResource, keyword_version
from msvs.api.scope import scoped
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, argument, optional_ref, read_input, request_input
from msvs.graphql.lists import ContactList
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import ContactList as ContactListRow
from msvs.models import Keyword as KeywordRow
from msvs.models import rows


@resource_type(KeywordResource, "A word that opts in anyone who texts it, and adds them to a list.")
class JoinKeyword(Node):
    row: strawberry.Private[rows.KeywordRow]
    livemode: bool
    word: str
    reply: str | None
    created_at: datetime
    version: str

    @classmethod
    def from_row(cls, row: rows.KeywordRow) -> JoinKeyword:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.KEYWORD, row.id)), version=keyword_version(row))

    @field("The list to which it adds contacts; null if it was just deleted.")
    async def contact_list(self, info: Info) -> ContactList | None:
        row = await info.context.loaders.row(ContactListRow, self.row.list_id)
        return None if row is None else ContactList.from_row(row)


register_rows(ids.KEYWORD, KeywordRow, JoinKeyword.from_row)


@request_input(CreateKeyword)
class CreateJoinKeywordInput:
    pass


@request_input(UpdateKeyword)
class UpdateJoinKeywordInput:
    pass


CreateJoinKeywordResult = Annotated[
    JoinKeyword | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateJoinKeywordResult", description="The new keyword, or an error."),
]
UpdateJoinKeywordResult = Annotated[
    JoinKeyword | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateJoinKeywordResult", description="The updated keyword, or an error."),
]
DeleteJoinKeywordResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteJoinKeywordResult", description="Confirms that the keyword was deleted, or an error."),
]

KeywordId = Annotated[ID, strawberry.argument(description="The keyword's id.")]


@strawberry.type
class KeywordQuery:
    @field("A keyword by its id; null if there is none.")
    async def join_keyword(self, info: Info, id: KeywordId) -> JoinKeyword | None:
        return await load_kind(info, id, JoinKeyword, ids.KEYWORD)

    @field("Keywords, newest first.")
    async def join_keywords(
        self,
        info: Info,
        list_id: Annotated[ID | None, argument(ListKeywords, "list_id")] = None,
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
    @mutation(CreateJoinKeywordResult, "Create a keyword for a list.")
    async def create_join_keyword(
        self,
        info: Info,
        input: Annotated[CreateJoinKeywordInput, strawberry.argument(description="The keyword.")],
    ) -> object:
        return await mutate(
            info, lambda ctx: keywords.create_keyword(ctx, read_input(CreateKeyword, input)), JoinKeyword.from_row
        )

    @mutation(UpdateJoinKeywordResult, "Update a keyword; people who joined with it stay on their list.")
    async def update_join_keyword(
        self,
        info: Info,
        id: KeywordId,
        input: Annotated[UpdateJoinKeywordInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: keywords.update_keyword(ctx, _id(id), read_input(UpdateKeyword, input)),
            JoinKeyword.from_row,
        )

    @mutation(DeleteJoinKeywordResult, "Delete a keyword; people who joined with it stay opted in and on the list.")
    async def delete_join_keyword(self, info: Info, id: KeywordId) -> object:
        return await mutate(info, lambda ctx: keywords.delete_keyword(ctx, _id(id)), lambda _: Deleted(id=id))


def _id(text: str) -> UUID:
    return ids.find_id(ids.KEYWORD, text, "keyword")
