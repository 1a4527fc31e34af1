"""Inbound messages and threads: read, answer, mark, and simulate in the sandbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated

import strawberry
from msgspec import structs
from strawberry import ID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ApiError, NotFound
from msvs.api.inbound import inbox, replies
from msvs.api.messages import messages
from msvs.api.pages import Page, PageRequest
from msvs.api.resources import InboundMessageResource
from msvs.api.text.opt_out_phrases import Intent
from msvs.api.text.words import Keyword
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
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
    mutate,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.idempotency import IdempotencyKey, mutate_once
from msvs.graphql.inputs import argument, optional_ref, read_input, request_input
from msvs.graphql.messages import Message
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Contact as ContactRow
from msvs.models import InboundMessage as InboundRow
from msvs.models import Message as MessageRow
from msvs.models import rows


@resource_type(InboundMessageResource, "A message that a recipient sent.")
class InboundMessage(Node):
    row: strawberry.Private[rows.InboundMessageRow]
    livemode: bool
    from_: str
    to: str
    body: str
    keyword: Keyword | None
    intent: Intent | None
    is_flagged: bool
    received_at: datetime
    read_at: datetime | None

    @classmethod
    def from_row(cls, row: rows.InboundMessageRow) -> InboundMessage:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.INBOUND, row.id)), from_=row.from_phone, to=row.to_sender)

    @field("The sender's contact; null if the contact was deleted.")
    async def contact(self, info: Info) -> Contact | None:
        if self.row.contact_id is None:
            return None
        row = await info.context.loaders.row(ContactRow, self.row.contact_id)
        return None if row is None else Contact.from_row(row)

    @field("The message that it answers; null if there is none.")
    async def in_reply_to(self, info: Info) -> Message | None:
        if self.row.message_id is None:
            return None
        row = await info.context.loaders.row(MessageRow, self.row.message_id)
        return None if row is None else Message.from_row(row)


register_rows(ids.INBOUND, InboundRow, InboundMessage.from_row)


@request_input(replies.SimulateReply)
class SimulateReplyInput:
    pass


@resource_type(inbox.InboxThreadResource, "The conversation with one contact.")
class InboxThread:
    contact: Contact
    last_reply: InboundMessage
    last_message: Message | None
    unread_count: int
    waiting: bool
    assignee_id: ID | None

    @classmethod
    def from_thread(cls, thread: inbox.Thread) -> InboxThread:
        """Return the type of a thread."""
        message = thread.last_message
        return cls(
            contact=Contact.from_row(thread.contact),
            last_reply=InboundMessage.from_row(thread.last_reply),
            last_message=None if message is None else Message.from_row(message),
            unread_count=thread.unread_count,
            waiting=thread.is_waiting,
            assignee_id=None if thread.assignee_id is None else ID(ids.encode_id(ids.USER, thread.assignee_id)),
        )


@resource_type(inbox.InboxMessageResource, "One message of a thread: `inbound` or `message`, and never both.")
class ThreadMessage:
    inbound: InboundMessage | None
    message: Message | None
    body: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: InboundRow | rows.MessageRow) -> ThreadMessage:
        """Return the type of a row of either kind."""
        if isinstance(row, InboundRow):
            return cls(inbound=InboundMessage.from_row(row), message=None, body=row.body, created_at=row.received_at)
        return cls(inbound=None, message=Message.from_row(row), body=row.body, created_at=row.created_at)


def read_thread_page(first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    """Read the arguments of a page of a thread, whose cursors are ids of either kind. Raises InvalidRequest."""
    is_message = (after or before or "").startswith(f"{ids.MESSAGE}_")
    return read_page(ids.MESSAGE if is_message else ids.INBOUND, first, after, last, before)


def connect_thread(
    request: PageRequest, page: Page[InboundRow | MessageRow], count: Callable[[], Awaitable[int]]
) -> Connection[ThreadMessage]:
    """Return a page of a thread as a connection."""
    return connect(
        lambda row: ids.INBOUND if isinstance(row, InboundRow) else ids.MESSAGE,
        request,
        page,
        ThreadMessage.from_row,
        count,
    )


@request_input(inbox.AnswerThread)
class AnswerThreadInput:
    pass


AnswerThreadResult = Annotated[
    Message
    | NotFoundError
    | InvalidRequestError
    | PaymentRequiredError
    | ComplianceError
    | PermissionRefusedError
    | IdempotencyError,
    strawberry.union("AnswerThreadResult", description="The accepted answer, or an error."),
]
MarkThreadResult = Annotated[
    InboxThread | NotFoundError | InvalidRequestError | PermissionRefusedError,
    strawberry.union("MarkThreadResult", description="The updated thread, or an error."),
]
UnflagInboundMessageResult = Annotated[
    InboundMessage | NotFoundError | PermissionRefusedError,
    strawberry.union("UnflagInboundMessageResult", description="The message without its flag, or an error."),
]
ThreadContactId = Annotated[ID, strawberry.argument(description="The id of the thread's contact.")]


SimulateReplyResult = Annotated[
    InboundMessage | InvalidRequestError | ComplianceError | PermissionRefusedError,
    strawberry.union("SimulateReplyResult", description="The reply that arrived, or an error."),
]


@strawberry.type
class InboundQuery:
    @field("A message that a recipient sent, by its id; null if there is none.")
    async def inbound_message(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The message's id.")]
    ) -> InboundMessage | None:
        return await load_kind(info, id, InboundMessage, ids.INBOUND)

    @field("Messages that recipients sent, newest first.")
    async def inbound_messages(
        self,
        info: Info,
        contact_id: Annotated[ID | None, argument(replies.ListInbound, "contact_id")] = None,
        flagged: Annotated[bool | None, argument(replies.ListInbound, "flagged")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[InboundMessage]:
        ctx = info.context.ctx
        request = read_page(ids.INBOUND, first, after, last, before)
        contact = optional_ref(ids.CONTACT, contact_id, "contact_id")
        page = await replies.list_inbound(ctx, request, contact_id=contact, flagged=flagged)
        count = replies.inbound_query(ctx, contact_id=contact, flagged=flagged).count
        return connect(ids.INBOUND, request, page, InboundMessage.from_row, count)

    @field("Threads of replies, the one with the newest reply first.")
    async def inbox_threads(
        self,
        info: Info,
        unread: Annotated[bool, strawberry.argument(description="Only those with unread replies.")] = False,
        waiting: Annotated[bool, strawberry.argument(description="Only those that wait for an answer.")] = False,
        assigned_to: Annotated[
            ID | None, strawberry.argument(description="Only those assigned to this member.")
        ] = None,
        unassigned: Annotated[bool, strawberry.argument(description="Only unassigned ones.")] = False,
        q: Annotated[
            str | None,
            strawberry.argument(
                description="Text in a message of the thread or in the contact's name or e-mail address, or digits of"
                " the phone."
            ),
        ] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[InboxThread]:
        ctx = info.context.ctx
        request = read_page(ids.INBOUND, first, after, last, before)
        which = inbox.ThreadFilter(
            unread=unread,
            waiting=waiting,
            assigned_to=optional_ref(ids.USER, assigned_to, "assigned_to"),
            unassigned=unassigned,
            q=q,
        )
        page = await inbox.list_threads(ctx, request, which)
        return connect(
            ids.INBOUND,
            request,
            page,
            InboxThread.from_thread,
            lambda: inbox.count_threads(ctx, which),
        )

    @field("The thread of one contact; null if it never replied.")
    async def inbox_thread(self, info: Info, contact_id: ThreadContactId) -> InboxThread | None:
        id = ids.decode_id(ids.CONTACT, contact_id)
        try:
            return None if id is None else InboxThread.from_thread(await inbox.get_thread(info.context.ctx, id))
        except NotFound:
            return None

    @field("The messages from and to a contact, newest first.")
    async def thread_messages(
        self,
        info: Info,
        contact_id: ThreadContactId,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ThreadMessage]:
        ctx = info.context.ctx
        request = read_thread_page(first, after, last, before)
        id = ids.find_id(ids.CONTACT, contact_id, "contact", param="contact_id")
        page = await inbox.list_thread_messages(ctx, id, request)
        return connect_thread(request, page, lambda: inbox.count_thread_messages(ctx, id))


@strawberry.type
class InboundMutation:
    @mutation(AnswerThreadResult, "Send a message to a contact, and mark its thread as read.")
    async def answer_thread(
        self,
        info: Info,
        contact_id: ThreadContactId,
        input: Annotated[AnswerThreadInput, strawberry.argument(description="The answer.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        try:
            check_allowed(info)
            data = read_input(inbox.AnswerThread, input)
        except ApiError as error:
            return as_member(info, error)
        return await mutate_once(
            info,
            idempotency_key,
            [contact_id, structs.asdict(data)],
            lambda ctx: inbox.answer_thread(
                ctx, ids.find_id(ids.CONTACT, contact_id, "contact", param="contact_id"), data
            ),
            messages.get_message,
            Message.from_row,
        )

    @mutation(MarkThreadResult, "Mark the replies of a contact as read.")
    async def mark_thread_read(
        self,
        info: Info,
        contact_id: ThreadContactId,
        until: Annotated[ID | None, argument(inbox.ReadThread, "until")] = None,
    ) -> object:
        async def mark(ctx: Context) -> inbox.Thread:
            id = ids.find_id(ids.CONTACT, contact_id, "contact", param="contact_id")
            await inbox.mark_read(ctx, id, until=optional_ref(ids.INBOUND, until, "until"))
            return await inbox.get_thread(ctx, id)

        return await mutate(info, mark, InboxThread.from_thread)

    @mutation(MarkThreadResult, "Mark the last reply of a contact as unread.")
    async def mark_thread_unread(self, info: Info, contact_id: ThreadContactId) -> object:
        async def mark(ctx: Context) -> inbox.Thread:
            id = ids.find_id(ids.CONTACT, contact_id, "contact", param="contact_id")
            await inbox.mark_unread(ctx, id)
            return await inbox.get_thread(ctx, id)

        return await mutate(info, mark, InboxThread.from_thread)

    @mutation(UnflagInboundMessageResult, "Remove the flag of a message that a person has read; nothing else changes.")
    async def unflag_inbound_message(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The message's id.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: replies.unflag_inbound(ctx, ids.find_id(ids.INBOUND, id, "inbound message")),
            InboundMessage.from_row,
        )

    @mutation(SimulateReplyResult, "Simulate a reply from a phone. Sandbox only.")
    async def simulate_reply(
        self, info: Info, input: Annotated[SimulateReplyInput, strawberry.argument(description="The reply.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: replies.simulate_reply(ctx, read_input(replies.SimulateReply, input)),
            InboundMessage.from_row,
        )
