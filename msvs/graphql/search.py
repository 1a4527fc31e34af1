"""Search of the workspace: what one text finds of each kind."""

from __future__ import annotations

from typing import Annotated

import strawberry

from msvs.api.campaigns import search
from msvs.api.campaigns.search import Term
from msvs.graphql.campaigns import Campaign
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.lists import ContactList
from msvs.graphql.messages import Message
from msvs.graphql.segments import Segment


@strawberry.type(description="Search results: at most five of each requested kind, exact matches first.")
class SearchResults:
    term: strawberry.Private[Term]

    @field("Contacts by id, external id, e-mail address, phone as people write it, or words of a name.")
    async def contacts(self, info: Info) -> list[Contact]:
        return [Contact.from_row(row) for row in await search.search_contacts(info.context.ctx, self.term)]

    @field("Campaigns, drafts too, by id or a part of the name.")
    async def campaigns(self, info: Info) -> list[Campaign]:
        return [Campaign.from_row(row) for row in await search.search_campaigns(info.context.ctx, self.term)]

    @field("Messages by id, by the phone that they went to, or by words of the body.")
    async def messages(self, info: Info) -> list[Message]:
        return [Message.from_row(row) for row in await search.search_messages(info.context.ctx, self.term)]

    @field("Lists by id or a part of the name.")
    async def lists(self, info: Info) -> list[ContactList]:
        return [ContactList.from_row(row) for row in await search.search_lists(info.context.ctx, self.term)]

    @field("Segments by id or a part of the name.")
    async def segments(self, info: Info) -> list[Segment]:
        return [Segment.from_row(row) for row in await search.search_segments(info.context.ctx, self.term)]


@strawberry.type
class SearchQuery:
    @field("Search the workspace. Words are searched in the newest 50,000 objects of each kind.")
    async def search(
        self, info: Info, q: Annotated[str, strawberry.argument(description="The text, at most 100 characters.")]
    ) -> SearchResults:
        return SearchResults(term=search.read_term(q))
