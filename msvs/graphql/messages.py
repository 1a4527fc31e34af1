"""Messages: types, queries and mutations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast

import strawberry
from strawberry import ID

from msvs.api import ids, resources
from msvs.api.errors import ApiError
from msvs.api.messages import batches, clicks, messages
from msvs.api.messages.batches import SendBatch
from msvs.api.messages.messages import ListMessages, SendMessage
from msvs.api.pages import Order, PageRequest
from msvs.api.resources import FAILURES, MessageResource, MessageView, origin_of, shown_warnings
from msvs.api.text.sms import Encoding, split
from msvs.database import Row
from msvs.graphql.connections import After, Before, Connection, First, Last, OrderBy, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.errors import (
    ComplianceError,
    IdempotencyError,
    InvalidRequestError,
    NotFoundError,
    PaymentRequiredError,
    PermissionRefusedError,
    as_member,
    check_allowed,
    input_path,
    mutate,
    spoken,
)
from msvs.graphql.explanations import ExplanationQuery, MessageFailure, TimelineEntry
from msvs.graphql.fields import field, mutation
from msvs.graphql.idempotency import IdempotencyKey, mutate_many_once, mutate_once, said
from msvs.graphql.inputs import read_filter, read_input, request_input
from msvs.graphql.loaders import MESSAGE_REPLIES
from msvs.graphql.nodes import Node, load_kind, register_rows, shape_of
from msvs.graphql.scalars import JSONObject, json_object
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Campaign as CampaignRow
from msvs.models import Contact as ContactRow
from msvs.models import Message as MessageRow
from msvs.models import MessageKind, MessageOrigin, MessageStatus, OnUnknown

if TYPE_CHECKING:
    from msvs.graphql.campaigns import Campaign
    from msvs.graphql.inbound import InboundMessage


@resource_type(
    resources.SendWarning,
    "A warning about a message or campaign that is accepted but may be delayed, cost more or not reach everyone.",
)
class SendWarning:
    code: str
    message: str
    param: str | None


@resource_type(resources.Refusal, "The error that sending would return.")
class Refusal:
    code: str
    message: str
    param: str | None


@resource_type(MessageResource, "One SMS to one phone.")
class Message(Node):
    row: strawberry.Private[MessageView]
    livemode: bool
    kind: MessageKind = strawberry.field(description="The kind of message.")
    to: str
    from_: str
    body: str
    status: MessageStatus
    delivery: str | None
    encoding: Encoding
    segments: int
    credits_used: int
    metadata: JSONObject
    error: MessageFailure | None = strawberry.field(description="Why it was not delivered; null if nothing failed.")
    warnings: list[SendWarning]
    scheduled_at: datetime | None
    expires_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    failed_at: datetime | None
    canceled_at: datetime | None
    replied_at: datetime | None
    created_at: datetime
    origin: MessageOrigin
    on_unknown: OnUnknown
    variant: str | None

    @classmethod
    def from_row(cls, row: MessageView) -> Message:
        """Return the type of a row."""
        code = row.error_code
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.MESSAGE, row.id)),
            to=row.to_phone,
            from_=row.sender,
            metadata=json_object(row.metadata),
            error=None if code is None else MessageFailure(code=code, message=FAILURES.get(code, code)),
            # The fields of the type are those of the shape, by the same names.
            warnings=cast("list[SendWarning]", shown_warnings(row.warnings)),
            origin=origin_of(row),
            variant=None if row.variant is None else resources.variant_name(row.variant),
        )

    @field("The text of each segment, in order.")
    def parts(self) -> list[str]:
        return split(self.body)

    @field("The recipient; null if the contact was deleted.")
    async def contact(self, info: Info) -> Contact | None:
        if self.row.contact_id is None:
            return None
        row = await info.context.loaders.row(ContactRow, self.row.contact_id)
        return None if row is None else Contact.from_row(row)

    @field("The campaign that it belongs to; null for a single message.")
    async def campaign(self, info: Info) -> Annotated[Campaign, strawberry.lazy("msvs.graphql.campaigns")] | None:
        if self.row.campaign_id is None:
            return None
        row = await info.context.loaders.row(CampaignRow, self.row.campaign_id)
        shape = cast("Callable[[CampaignRow], Campaign]", shape_of(ids.CAMPAIGN))
        return None if row is None else shape(row)

    @field("The newest reply to it; null if there is none.")
    async def last_reply(self, info: Info) -> Annotated[InboundMessage, strawberry.lazy("msvs.graphql.inbound")] | None:
        if self.row.replied_at is None:
            return None
        page = await info.context.loaders.children(MESSAGE_REPLIES, self.row.id, PageRequest(limit=1))
        shape = cast("Callable[[Row], InboundMessage]", shape_of(ids.INBOUND))
        return next(map(shape, page.items), None)

    @field("Every status, attempt, event and reply, in order.")
    async def timeline(self, info: Info) -> list[TimelineEntry]:
        return [TimelineEntry.from_entry(entry) for entry in await info.context.loaders.timeline(self.row)]


@resource_type(resources.ShortLinkResource, "A short link of a message, and the clicks of people on it.")
class ShortLink:
    short_url: str
    url: str
    position: int
    clicks: int
    first_clicked_at: str | None
    last_clicked_at: str | None
    expires_at: str


register_rows(ids.MESSAGE, MessageRow, Message.from_row)


@request_input(SendMessage)
class SendMessageInput:
    pass


@request_input(SendBatch, messages=SendMessageInput)
class SendMessagesInput:
    pass


@resource_type(resources.MessageBatchEntry, "The answer to one message of a batch.")
class MessageBatchEntry:
    index: int
    message: Message | None
    error: Refusal | None


@resource_type(resources.MessageBatchResource, "The answers to the messages of a batch, in their order.")
class MessageBatch:
    data: list[MessageBatchEntry]

    @classmethod
    def of(cls, outcomes: Sequence[MessageView | ApiError]) -> MessageBatch:
        """Return the type of the outcomes of a batch."""
        return cls(data=[_entry(index, each) for index, each in enumerate(outcomes)])


def _entry(index: int, outcome: MessageView | ApiError) -> MessageBatchEntry:
    if isinstance(outcome, ApiError):
        error = Refusal(code=outcome.code, message=spoken(outcome), param=input_path(outcome.param))
        return MessageBatchEntry(index=index, message=None, error=error)
    return MessageBatchEntry(index=index, message=Message.from_row(outcome), error=None)


@request_input(ListMessages, "Filters messages; a message must meet every condition.")
class MessageFilter:
    status: MessageStatus | None = strawberry.field(
        default=None, description="Only messages of this status; `DELIVERED` includes those replied to."
    )
    include_skipped: bool = strawberry.field(
        default=False,
        description="Whether to include skipped recipients of campaigns if no status is given.",
    )
    origin: MessageOrigin | None
    statuses: list[MessageStatus] | None


SendMessageResult = Annotated[
    Message | InvalidRequestError | PaymentRequiredError | ComplianceError | PermissionRefusedError | IdempotencyError,
    strawberry.union("SendMessageResult", description="The accepted message, or an error."),
]
SendMessagesResult = Annotated[
    MessageBatch | InvalidRequestError | PermissionRefusedError | IdempotencyError,
    strawberry.union("SendMessagesResult", description="What became of each message, or an error of the whole call."),
]
CancelMessageResult = Annotated[
    Message | NotFoundError | PermissionRefusedError,
    strawberry.union("CancelMessageResult", description="The updated message, or an error."),
]


@strawberry.type
class MessageQuery(ExplanationQuery):
    @field("A message by its id; null if there is none.")
    async def message(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The message's id.")]
    ) -> Message | None:
        return await load_kind(info, id, Message, ids.MESSAGE)

    @field("The short links of a message, in the order of its body, with their clicks.")
    async def message_links(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The message's id.")]
    ) -> list[ShortLink]:
        found = ids.find_id(ids.MESSAGE, id, "message")
        return cast("list[ShortLink]", await clicks.list_links(info.context.ctx, found))

    @field(
        "Messages, newest first by default. Skipped recipients are included only with the status `SKIPPED` or with"
        " `includeSkipped`."
    )
    async def messages(
        self,
        info: Info,
        filter: Annotated[MessageFilter | None, strawberry.argument(description="The filter.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        order_by: OrderBy = Order.NEWEST,
    ) -> Connection[Message]:
        ctx = info.context.ctx
        which = read_filter(ListMessages, filter)
        request = read_page(ids.MESSAGE, first, after, last, before)
        conditions = messages.read_conditions(which)
        conditions["order"] = order_by
        if which.status is None and which.statuses is None and filter is not None and filter.include_skipped:
            conditions["status"] = messages.EVERY_STATUS
        page = await messages.list_messages(ctx, request, **conditions)
        return connect(ids.MESSAGE, request, page, Message.from_row, lambda: messages.count_messages(ctx, **conditions))


@strawberry.type
class MessageMutation:
    @mutation(SendMessageResult, "Send a message, now or at a scheduled time.")
    async def send_message(
        self,
        info: Info,
        input: Annotated[SendMessageInput, strawberry.argument(description="The message.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        try:
            check_allowed(info)
            data = read_input(SendMessage, input)
        except ApiError as error:
            return as_member(info, error)
        return await mutate_once(
            info,
            idempotency_key,
            # As keys of the last day have it.
            {**said(data), "is_literal": data.is_literal},
            lambda ctx: messages.send_message(ctx, data),
            messages.get_message,
            Message.from_row,
        )

    @mutation(
        SendMessagesResult,
        "Send up to 1,000 different messages. Each is accepted or refused by itself; a refusal costs no other message.",
    )
    async def send_messages(
        self,
        info: Info,
        input: Annotated[SendMessagesInput, strawberry.argument(description="The messages.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        try:
            check_allowed(info)
            data = read_input(SendBatch, input)
        except ApiError as error:
            return as_member(info, error)
        return await mutate_many_once(
            info,
            idempotency_key,
            said(data),
            lambda ctx: batches.send_batch(ctx, data),
            messages.get_messages,
            MessageBatch.of,
        )

    @mutation(CancelMessageResult, "Cancel a message that has not been sent; a sent message is returned unchanged.")
    async def cancel_message(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The message's id.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: messages.cancel_message(ctx, ids.find_id(ids.MESSAGE, id, "message")),
            Message.from_row,
        )
