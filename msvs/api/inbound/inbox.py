"""The inbox: conversations with contacts; list, answer and mark as read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from tortoise.filters import escape_like

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.dispatch.senders import is_usable
from msvs.api.errors import InvalidRequest
from msvs.api.messages.messages import Body, Metadata, Sender, SendMessage, Variables, send_message
from msvs.api.messages.statistics import IS_REPLY
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page, page_request
from msvs.api.permissions import Permission, allow
from msvs.api.resources import (
    ContactResource,
    InboundMessageResource,
    MessageResource,
    Resource,
    contact_resource,
    inbound_message_resource,
    message_resource,
    moment,
)
from msvs.api.scope import find, scoped
from msvs.database import execute, fetch, fetch_value
from msvs.fields import ULID, Ref, Request, about, id_pattern
from msvs.models import Contact, InboundMessage, Message, MessageStatus

# What was sent since a reply answers it, unless it never left or the service itself wrote it.
IS_ANSWER = "kind = 'api' AND status NOT IN ('failed', 'canceled')"

# Who left the workspace answers nobody.
IS_MEMBER = "EXISTS (SELECT FROM memberships WHERE user_id = assigned.user_id AND workspace_id = $1)"

# A thread stands where its last reply does: from the newest reply on, each that no later one of its contact follows.
# Anyone who marks a thread read or unread does so from its end, so a thread is unread where its last reply is.
THREADS = f"""
SELECT last.id, last.contact_id, last.read_at,
    (
        SELECT id FROM messages WHERE contact_id = last.contact_id AND workspace_id = $1 AND livemode = $2
            AND status <> 'skipped' ORDER BY id DESC LIMIT 1
    ) AS message_id,
    (
        SELECT count(*) FROM inbound_messages AS unread WHERE unread.contact_id = last.contact_id
            AND workspace_id = $1 AND livemode = $2 AND read_at IS NULL AND {IS_REPLY}
    ) AS unread_count,
    NOT EXISTS (
        SELECT FROM messages WHERE contact_id = last.contact_id AND id > last.id AND workspace_id = $1
            AND livemode = $2 AND {IS_ANSWER}
    ) AS is_waiting,
    (
        SELECT user_id FROM thread_assignments AS assigned WHERE contact_id = last.contact_id AND workspace_id = $1
            AND livemode = $2 AND {IS_MEMBER}
    ) AS assignee_id
FROM inbound_messages AS last
WHERE workspace_id = $1 AND livemode = $2 AND contact_id IS NOT NULL AND {IS_REPLY}
    AND EXISTS (SELECT FROM contacts WHERE contacts.id = last.contact_id AND workspace_id = $1)
    AND NOT EXISTS (
        SELECT FROM inbound_messages AS later WHERE later.contact_id = last.contact_id AND later.id > last.id
            AND workspace_id = $1 AND livemode = $2 AND {IS_REPLY}
    )
"""
OF_CONTACT = " AND contact_id = {contact}"
UNREAD = " AND read_at IS NULL"
AND_WAITING = f"""
    AND NOT EXISTS (
        SELECT FROM messages WHERE contact_id = last.contact_id AND id > last.id AND workspace_id = $1
            AND livemode = $2 AND {IS_ANSWER}
    )
"""

IS_ASSIGNED = f"""
    EXISTS (
        SELECT FROM thread_assignments AS assigned WHERE contact_id = last.contact_id AND workspace_id = $1
            AND livemode = $2 AND {IS_MEMBER}{{which}}
    )
"""
HOLDS = """
    AND (
        EXISTS (
            SELECT FROM contacts WHERE contacts.id = last.contact_id AND workspace_id = $1 AND (
                concat_ws(' ', first_name, last_name) ILIKE {pattern} OR email ILIKE {pattern} OR phone LIKE {digits}
            )
        )
        OR EXISTS (
            SELECT FROM inbound_messages AS said WHERE said.contact_id = last.contact_id AND workspace_id = $1
                AND livemode = $2 AND body ILIKE {pattern}
        )
        OR EXISTS (
            SELECT FROM messages WHERE contact_id = last.contact_id AND workspace_id = $1 AND livemode = $2
                AND kind = 'api' AND body ILIKE {pattern}
        )
    )
"""
MAX_SEARCH = 100
MIN_DIGITS = 3

MARK_READ = """
UPDATE inbound_messages SET read_at = $4
WHERE contact_id = $3 AND workspace_id = $1 AND livemode = $2 AND read_at IS NULL AND ($5::uuid IS NULL OR id <= $5)
"""
MARK_UNREAD = f"""
UPDATE inbound_messages SET read_at = NULL WHERE workspace_id = $1 AND livemode = $2 AND id = (
    SELECT id FROM inbound_messages WHERE contact_id = $3 AND workspace_id = $1 AND livemode = $2 AND {IS_REPLY}
    ORDER BY id DESC LIMIT 1
)
"""


@dataclass(frozen=True, slots=True)
class Thread:
    """The conversation with one contact. `id` is that of the last reply, by which threads are paged."""

    id: UUID
    contact: Contact
    last_reply: InboundMessage
    last_message: Message | None
    unread_count: int
    is_waiting: bool
    assignee_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ThreadFilter:
    """Which threads: those that meet every condition.

    `assigned_to` is a member, `unassigned` are those that no member answers in particular. `q` stands in a message of
    the thread, in the contact's name or e-mail address, or is part of the phone's digits.
    """

    contact_id: UUID | None = None
    unread: bool = False
    waiting: bool = False
    assigned_to: UUID | None = None
    unassigned: bool = False
    q: str | None = None


class AnswerThread(Request, frozen=True):
    """An answer to a contact."""

    body: Annotated[Body, about(example="Yes: three payments. Shall I send you the link?")]
    from_: Annotated[Sender, about("The sender; by default, the one to which the contact wrote.")] | None = (
        msgspec.field(name="from", default=None)
    )
    variables: Variables | None = msgspec.field(default_factory=dict)
    metadata: Metadata | None = msgspec.field(default_factory=dict)


class ListThreads(PageQuery, frozen=True, kw_only=True):
    """Which threads."""

    status: Annotated[str, about("Only threads of this status.", enum=["unread", "waiting"])] | None = None


class ReadThread(Request, frozen=True):
    """The reply up to which a thread was read; without one, the whole thread."""

    until: (
        Annotated[
            str,
            Ref(ids.INBOUND),
            about("The last reply that was read; if none is given, all replies.", pattern=id_pattern(ids.INBOUND)),
        ]
        | None
    ) = None


class InboxThreadResource(Resource, kw_only=True):
    """The conversation with one contact: its last reply, the last message to it, and whether it waits for an answer.

    Its `id` is that of the last reply.
    """

    id: str
    object: Literal["inbox_thread"] = "inbox_thread"
    livemode: bool
    contact: Annotated[ContactResource, about("The contact.")]
    last_reply: Annotated[InboundMessageResource, about("The last reply of the contact.")]
    last_message: Annotated[MessageResource | None, about("The last message to the contact; null if there is none.")]
    unread_count: Annotated[int, about("The number of unread replies.", example=1, minimum=0)]
    waiting: Annotated[bool, about("Whether the last reply has not been answered.", example=True)]
    assignee_id: (
        Annotated[
            str,
            about(
                "The member to whom it is assigned; null if it is unassigned.",
                example=None,
                pattern=id_pattern(ids.USER),
            ),
        ]
        | None
    ) = None


class InboxMessageResource(Resource, kw_only=True):
    """One message of a thread: `inbound` from the contact, or `outbound` to the contact."""

    id: Annotated[str, about(example=f"inb_{ULID}")]
    object: Literal["inbox_message"] = "inbox_message"
    direction: Literal["inbound", "outbound"]
    body: Annotated[str, about("The text.", example="Is there a payment plan?")]
    created_at: Annotated[str, about("When it was accepted, or arrived.")]
    inbound: Annotated[
        InboundMessageResource | None, about("The message from the contact; null for the other direction.")
    ] = None
    message: Annotated[
        MessageResource | None, about("The message to the contact; null for the other direction.", example=None)
    ] = None


EVERY_THREAD = ThreadFilter()


async def list_threads(ctx: Context, page: PageRequest, which: ThreadFilter = EVERY_THREAD) -> Page[Thread]:
    """List threads, the one with the newest reply first. Raises InvalidRequest."""
    return await _threads(ctx, page, which)


async def count_threads(ctx: Context, which: ThreadFilter = EVERY_THREAD) -> int:
    """Return how many threads there are. Raises InvalidRequest."""
    values: list[object] = [ctx.workspace_id, ctx.livemode]
    sql = f"SELECT count(*) FROM ({THREADS}{_conditions(which, values)}) AS threads"
    return int(await fetch_value(sql, *values))


async def count_thread_messages(ctx: Context, contact_id: UUID) -> int:
    """Return how many messages a contact sent and was sent."""
    received = await scoped(ctx, InboundMessage).filter(contact_id=contact_id).count()
    sent = await scoped(ctx, Message).filter(contact_id=contact_id, status__not=MessageStatus.SKIPPED).count()
    return received + sent


async def get_thread(ctx: Context, contact_id: UUID) -> Thread:
    """Return the thread of one contact. Raises NotFound where the contact never replied."""
    found = await _threads(ctx, PageRequest(1), ThreadFilter(contact_id=contact_id))
    if not found.items:
        raise ids.missing("thread", ids.encode_id(ids.CONTACT, contact_id), param="contact_id")
    return found.items[0]


async def list_thread_messages(ctx: Context, contact_id: UUID, page: PageRequest) -> Page[InboundMessage | Message]:
    """List what a contact sent and what was sent to it, newest first, in one order of time. Raises NotFound."""
    await find(ctx, Contact, contact_id, prefix=ids.CONTACT, noun="contact", param="contact_id")
    received = await fetch_page(scoped(ctx, InboundMessage).filter(contact_id=contact_id), page)
    sent = await fetch_page(scoped(ctx, Message).filter(contact_id=contact_id, status__not=MessageStatus.SKIPPED), page)
    # Ids of both kinds are made in the order of time.
    merged: list[InboundMessage | Message] = sorted(
        [*received.items, *sent.items], key=lambda row: row.id.int, reverse=True
    )
    skipped = max(len(merged) - page.limit, 0) if page.ending_before is not None else 0
    kept = merged[skipped : skipped + page.limit]
    return Page(kept, received.has_more or sent.has_more or len(merged) > page.limit)


async def answer_thread(ctx: Context, contact_id: UUID, data: AnswerThread) -> NewMessage:
    """Send a message to a contact, and mark its thread read. Raises NotFound, and as send_message does."""
    contact = await find(ctx, Contact, contact_id, prefix=ids.CONTACT, noun="contact", param="contact_id")
    sender = data.from_
    if sender is None:
        last = await scoped(ctx, InboundMessage).filter(contact_id=contact_id).order_by("-id").first()
        # A sender that is no longer the workspace's answers nobody: then the default does.
        sender = last.to_sender if last is not None and await is_usable(ctx, last.to_sender) else None
    sent = await send_message(
        ctx,
        SendMessage(to=contact.phone, body=data.body, from_=sender, variables=data.variables, metadata=data.metadata),
    )
    await _mark_read(ctx, contact_id)
    return sent


async def mark_read(ctx: Context, contact_id: UUID, *, until: UUID | None = None) -> int:
    """Mark what a contact sent as read, up to and with the message `until`. Return how many were unread."""
    allow(ctx, Permission.INBOX_WRITE)
    return await _mark_read(ctx, contact_id, until)


async def _mark_read(ctx: Context, contact_id: UUID, until: UUID | None = None) -> int:
    return await execute(MARK_READ, ctx.workspace_id, ctx.livemode, contact_id, ctx.services.clock(), until)


async def mark_unread(ctx: Context, contact_id: UUID) -> None:
    """Mark the last reply of a contact as unread."""
    allow(ctx, Permission.INBOX_WRITE)
    await execute(MARK_UNREAD, ctx.workspace_id, ctx.livemode, contact_id)


def thread_page(
    *, limit: int | None = None, starting_after: str | None = None, ending_before: str | None = None
) -> PageRequest:
    """Return the page of a thread's messages asked for; a cursor is an id of either kind. Raises InvalidRequest."""
    cursors = [cursor for cursor in (starting_after, ending_before) if cursor is not None]
    prefix = ids.MESSAGE if cursors and cursors[0].startswith(f"{ids.MESSAGE}_") else ids.INBOUND
    return page_request(prefix, limit=limit, starting_after=starting_after, ending_before=ending_before)


def inbox_thread_resource(thread: Thread) -> InboxThreadResource:
    """Return the shape of a thread."""
    return InboxThreadResource(
        id=ids.encode_id(ids.INBOUND, thread.id),
        livemode=thread.contact.livemode,
        contact=contact_resource(thread.contact),
        last_reply=inbound_message_resource(thread.last_reply),
        last_message=None if thread.last_message is None else message_resource(thread.last_message),
        unread_count=thread.unread_count,
        waiting=thread.is_waiting,
        assignee_id=None if thread.assignee_id is None else ids.encode_id(ids.USER, thread.assignee_id),
    )


def inbox_message_resource(row: InboundMessage | Message) -> InboxMessageResource:
    """Return the shape of a message of a thread."""
    if isinstance(row, InboundMessage):
        inbound = inbound_message_resource(row)
        return InboxMessageResource(
            id=inbound.id,
            direction="inbound",
            body=row.body,
            created_at=moment(row.received_at),
            inbound=inbound,
        )
    message = message_resource(row)
    return InboxMessageResource(
        id=message.id, direction="outbound", body=row.body, created_at=moment(row.created_at), message=message
    )


def _conditions(which: ThreadFilter, values: list[object]) -> str:
    """Return the conditions of a filter as SQL; their values join `values`."""

    def bind(value: object) -> str:
        values.append(value)
        return f"${len(values)}"

    sql = (UNREAD if which.unread else "") + (AND_WAITING if which.waiting else "")
    if which.contact_id is not None:
        sql += OF_CONTACT.format(contact=bind(which.contact_id))
    if which.assigned_to is not None:
        sql += f" AND {IS_ASSIGNED.format(which=f' AND user_id = {bind(which.assigned_to)}')}"
    if which.unassigned:
        sql += f" AND NOT {IS_ASSIGNED.format(which='')}"
    text = "" if which.q is None else which.q.strip()
    if len(text) > MAX_SEARCH:
        raise InvalidRequest(f"q has at most {MAX_SEARCH} characters.", param="q")
    if "\0" in text:
        # PostgreSQL keeps no such text, so that none holds it.
        return f"{sql} AND false"
    if text:
        digits = "".join(character for character in text if character.isascii() and character.isdigit())
        # Letters find no phone, nor do few digits that any has.
        is_phone = len(digits) >= MIN_DIGITS and not any(character.isalpha() for character in text)
        pattern = bind(f"%{escape_like(text)}%")
        sql += HOLDS.format(pattern=pattern, digits=bind(f"%{digits}%" if is_phone else ""))
    return sql


async def _threads(ctx: Context, page: PageRequest, which: ThreadFilter) -> Page[Thread]:
    backward = page.ending_before is not None
    cursor = page.ending_before if backward else page.starting_after
    values: list[object] = [ctx.workspace_id, ctx.livemode]
    sql = THREADS + _conditions(which, values)
    if cursor is not None:
        values.append(cursor)
        sql += f" AND last.id {'>' if backward else '<'} ${len(values)}"
    rows = await fetch(f"{sql} ORDER BY last.id {'ASC' if backward else 'DESC'} LIMIT {page.limit + 1}", *values)
    kept = rows[: page.limit][:: -1 if backward else 1]
    contacts = {row.id: row for row in await scoped(ctx, Contact).filter(id__in=[row.contact_id for row in kept])}
    replies = {row.id: row for row in await scoped(ctx, InboundMessage).filter(id__in=[row.id for row in kept])}
    wanted = [row.message_id for row in kept if row.message_id is not None]
    messages = {row.id: row for row in await scoped(ctx, Message).filter(id__in=wanted)} if wanted else {}
    threads = [
        Thread(
            row.id,
            contacts[row.contact_id],
            replies[row.id],
            messages.get(row.message_id),
            row.unread_count,
            row.is_waiting,
            row.assignee_id,
        )
        for row in kept
        # Between the statements a contact may be deleted.
        if row.contact_id in contacts and row.id in replies
    ]
    return Page(threads, len(rows) > page.limit)
