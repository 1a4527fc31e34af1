"""Messages that recipients sent: types, queries, and making one arrive in the sandbox."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import ID

from msvs.api import ids, replies, workspaces
from msvs.api.compliance import Keyword
from msvs.api.context import Context
from msvs.api.errors import PermissionDenied
from msvs.api.phones import parse_phone
from msvs.api.scope import scoped
from msvs.api.senders import check_sender
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.errors import InvalidRequestError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import optional_ref
from msvs.graphql.messages import Message
from msvs.graphql.nodes import Node, load_node, register_rows
from msvs.models import Contact as ContactRow
from msvs.models import InboundMessage as InboundRow
from msvs.models import Message as MessageRow


@strawberry.type(description="A message that a recipient sent.")
class InboundMessage(Node):
    row: strawberry.Private[Any]
    livemode: bool = strawberry.field(description="Whether it is live; false in the sandbox.")
    from_: str = strawberry.field(name="from", description="The phone it came from, in E.164.")
    to: str = strawberry.field(description="The sender it was sent to.")
    body: str = strawberry.field(description="The text.")
    keyword: Keyword | None = strawberry.field(description="What it was understood as; null for any other text.")
    received_at: datetime = strawberry.field(description="When it arrived.")

    @classmethod
    def from_row(cls, row: Any) -> InboundMessage:
        """The type of a row."""
        return cls(
            id=ID(ids.encode_id(ids.INBOUND, row.id)),
            row=row,
            livemode=row.livemode,
            from_=row.from_phone,
            to=row.to_sender,
            body=row.body,
            keyword=None if row.keyword is None else Keyword(row.keyword),
            received_at=row.received_at,
        )

    @field("Who sent it; null once the contact is deleted.")
    async def contact(self, info: Info) -> Contact | None:
        if self.row.contact_id is None:
            return None
        row = await info.context.loaders.row(ContactRow, self.row.contact_id)
        return None if row is None else Contact.from_row(row)

    @field("The message it answers; null where it answers none.")
    async def in_reply_to(self, info: Info) -> Message | None:
        if self.row.message_id is None:
            return None
        row = await info.context.loaders.row(MessageRow, self.row.message_id)
        return None if row is None else Message.from_row(row)


register_rows(ids.INBOUND, InboundRow, InboundMessage.from_row)


@strawberry.input(description="A reply to be made up in the sandbox.")
class SimulateReplyInput:
    from_: str = strawberry.field(name="from", description="The phone it comes from, in E.164.")
    body: str = strawberry.field(description="The text.")
    to: str | None = strawberry.field(
        default=None, description="The sender it goes to; the workspace's where left out."
    )


SimulateReplyResult = Annotated[
    InboundMessage | InvalidRequestError | PermissionRefusedError,
    strawberry.union("SimulateReplyResult", description="The reply that arrived, or why none did."),
]


@strawberry.type
class InboundQuery:
    @field("A message that a recipient sent, by its id; null where there is none.")
    async def inbound_message(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The message's id.")]
    ) -> InboundMessage | None:
        found: InboundMessage | None = await load_node(info, id, prefix=ids.INBOUND)
        return found

    @field("Messages that recipients sent, newest first.")
    async def inbound_messages(
        self,
        info: Info,
        contact_id: Annotated[ID | None, strawberry.argument(description="Only those of this contact.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[InboundMessage]:
        ctx = info.context.ctx
        request = read_page(ids.INBOUND, first, after, last, before)
        contact = optional_ref(ids.CONTACT, contact_id, "contact_id")
        page = await replies.list_inbound(ctx, request, contact_id=contact)
        query = scoped(ctx, InboundRow)
        count = (query if contact is None else query.filter(contact_id=contact)).count
        return connect(ids.INBOUND, request, page, InboundMessage.from_row, count)


@strawberry.type
class InboundMutation:
    @mutation(SimulateReplyResult, "Make a reply arrive, as if its sender had written to you. Sandbox only.")
    async def simulate_reply(
        self, info: Info, input: Annotated[SimulateReplyInput, strawberry.argument(description="The reply.")]
    ) -> Any:
        async def receive(ctx: Context) -> Any:
            if ctx.livemode:
                raise PermissionDenied("Replies are made up in the sandbox only.", code="sandbox_only")
            phone = parse_phone(input.from_, param="from")
            if input.to is None:
                to = (await workspaces.get_workspace(ctx)).default_sender
            else:
                to = check_sender(input.to, param="to")
            key = f"test:{ids.encode_id(ids.REQUEST, ids.new_id())}"
            return await replies.receive_inbound(
                ctx, from_phone=phone.e164, to_sender=to, text=input.body, dedupe_key=key
            )

        return await mutate(info, receive, InboundMessage.from_row)
