"""Replies: keywords and opt-outs in other words change consent; any other text answers the latest message."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.consent.autoreplies import send_auto
from msvs.api.consent.revocation import OWN_ACT
from msvs.api.contacts.contacts import ensure_contact
from msvs.api.context import Context
from msvs.api.dispatch.reachability import note_heard
from msvs.api.dispatch.senders import check_sender, check_usable
from msvs.api.dispatch.sequence_signals import leave_on_reply
from msvs.api.errors import ErrorCode, PermissionDenied
from msvs.api.inbound import keywords
from msvs.api.messages.messages import Sender
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import message_resource, received_resource, reply_resource
from msvs.api.scope import find, scoped
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.courtesies import bare_word
from msvs.api.text.opt_out_phrases import Intent, wants_out
from msvs.api.text.phones import canonical, parse_phone
from msvs.api.text.quotes import MIN_QUOTED, own_words
from msvs.api.text.words import Keyword, classify_reply
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import Row, fetch, fetch_row, fetch_value
from msvs.fields import Phone, Ref, Request, about, id_pattern
from msvs.models import Contact, InboundMessage, OptInStatus, Suppression, Workspace

MAX_BODY = 1600
# A text message has at most 255 parts of 153 characters.
MAX_READ = 255 * 153

# A quick reply comes before the carrier's answer, or the worker's note of it, is there. What is on the wire, or waits,
# is answered only where nothing was sent before it: a reply to an older message proves nothing of a newer one.
FIND_ANSWERED_MESSAGE = """
SELECT * FROM (
    (
        SELECT id, 0 AS rank FROM messages
        WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3 AND kind <> 'auto'
            AND status IN ('sent', 'delivered', 'replied')
        ORDER BY id DESC LIMIT 1
    )
    UNION ALL
    (
        SELECT id, CASE status WHEN 'sending' THEN 1 ELSE 2 END FROM messages
        WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3 AND kind <> 'auto'
            AND status IN ('sending', 'queued')
        ORDER BY 2, id DESC LIMIT 1
    )
) AS answered ORDER BY rank LIMIT 1
"""
LOCK_MESSAGE = "SELECT * FROM messages WHERE id = $1 FOR UPDATE"

# A message that is not sent yet stays where it is: it becomes replied when it is sent.
MARK_REPLIED = """
UPDATE messages SET replied_at = coalesce(replied_at, $2),
    status = CASE WHEN status IN ('sent', 'delivered') THEN 'replied' ELSE status END,
    delivery = CASE WHEN status IN ('sent', 'delivered') THEN NULL ELSE delivery END
WHERE id = $1 AND status IN ('queued', 'sending', 'sent', 'delivered', 'replied') RETURNING *
"""

INSERT_INBOUND = """
INSERT INTO inbound_messages (id, workspace_id, livemode, from_phone, to_sender, body, keyword, intent, is_flagged,
    contact_id, dedupe_key, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (workspace_id, livemode, dedupe_key) DO NOTHING RETURNING *
"""

# What a phone may quote: what was sent to it, or is just being.
FIND_QUOTABLE_BODIES = """
SELECT body FROM messages WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3
    AND (sent_at IS NOT NULL OR status = 'sending') AND body <> ''
ORDER BY id DESC LIMIT 30
"""

# The same answer goes to a contact once in this time.
ANSWER_AGAIN_AFTER = timedelta(minutes=10)
WAS_ANSWERED = """
SELECT EXISTS (
    SELECT FROM messages WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3 AND kind = 'auto'
        AND body = $4 AND created_at > $5
)
"""


class ListInbound(PageQuery, frozen=True, kw_only=True):
    """Which messages that recipients sent."""

    contact_id: (
        Annotated[str, Ref(ids.CONTACT), about("Only messages of this contact.", pattern=id_pattern(ids.CONTACT))]
        | None
    ) = None
    flagged: (
        Annotated[
            Literal["true", "false"],
            about(
                "`true`: only messages that are flagged for a person to read. `false`: only the others.", type="string"
            ),
        ]
        | None
    ) = None


FIND_INBOUND = "SELECT * FROM inbound_messages WHERE workspace_id = $1 AND livemode = $2 AND dedupe_key = $3"


class SimulateReply(Request, frozen=True, kw_only=True):
    """A reply to simulate in the sandbox."""

    from_: Annotated[Phone, about("The phone that sends it, in E.164 format.")] = msgspec.field(name="from")
    body: Annotated[str, about("The text of the reply.", example="Is there a payment plan?")]
    to: Annotated[Sender, about("The sender that receives it; by default, the workspace's.")] | None = None


async def receive_inbound(
    ctx: Context,
    *,
    from_phone: str,
    to_sender: str,
    text: str,
    dedupe_key: str,
    now: datetime | None = None,
    is_opt_out: bool = False,
    is_garbled: bool = False,
) -> Row:
    """Take in a message from a phone, in any spelling, once a `dedupe_key`: the row, new or already there.

    STOP, or a phrase that certainly asks to opt out, opts out; START opts in, YES confirms a double opt-in, HELP is
    answered, each also with courtesies around it; a workspace's keyword joins its list. Anything else is a reply to the
    latest message to that phone; one that likely asks to opt out opts out besides, and is flagged. What the carrier
    took for an opt-out (`is_opt_out`) is a STOP regardless of its words, and the carrier has confirmed it. What is
    quoted of our own messages asks for nothing.
    What could not surely be read (`is_garbled`) is flagged, no matter what it seems to say.
    """
    at = now or ctx.services.clock()
    contact = await _hold_contact(ctx, from_phone, at)
    own = await _own_words(ctx, contact.id, text[:MAX_READ])
    keyword, intent, chosen = await _read_reply(ctx, own, is_opt_out=is_opt_out)
    row = await fetch_row(
        INSERT_INBOUND,
        ids.new_id(),
        ctx.workspace_id,
        ctx.livemode,
        contact.phone,
        to_sender,
        text[:MAX_BODY],
        None if keyword is None else keyword.value,
        None if intent is None else intent.value,
        is_garbled or intent is Intent.LIKELY,
        contact.id,
        dedupe_key,
        at,
    )
    if row is None:
        existing = await fetch_row(FIND_INBOUND, ctx.workspace_id, ctx.livemode, dedupe_key)
        assert existing is not None
        return existing
    await note_heard(ctx, contact, at)
    row = await _apply(ctx, row, contact, keyword, chosen, is_opt_out=is_opt_out, now=at)
    await _announce(ctx, row, at)
    return row


async def _read_reply(ctx: Context, own: str, *, is_opt_out: bool) -> tuple[Keyword | None, Intent | None, Row | None]:
    """Return the keyword of a reply, what it asks for in other words, and the workspace's own keyword that it names."""
    keyword = classify_reply(own)
    intent = wants_out(own) if keyword is None else None
    if intent is Intent.CERTAIN or is_opt_out:
        return Keyword.STOP, intent, None
    # A workspace may have had a keyword before it was read as likely asking for no more.
    chosen = await keywords.match_keyword(ctx, own) if keyword is None else None
    if chosen is not None:
        return Keyword.JOIN, None, chosen
    if keyword is None and intent is None:
        keyword = _courteous_keyword(own)
    return keyword, intent, None


async def _apply(
    ctx: Context,
    row: Row,
    contact: Contact,
    keyword: Keyword | None,
    chosen: Row | None,
    *,
    is_opt_out: bool,
    now: datetime,
) -> Row:
    """Do what an inbound message asks for. Return it with the message that it answers."""
    workspace = await find_settings(ctx)
    if keyword is Keyword.STOP or row.intent is not None:
        row = await _stop(ctx, row, contact, None if is_opt_out else workspace, now)
        return row if keyword is Keyword.STOP else await _reply(ctx, row, contact.id, now)
    if keyword is Keyword.START:
        return await _start(ctx, row, contact, workspace, now)
    if keyword is Keyword.HELP:
        await _answer(ctx, row, contact, workspace.help_text, now)
        return row
    if chosen is not None:
        answer = await keywords.join(ctx, chosen, contact, text=row.body, now=now, sender=row.to_sender or None)
        await _answer(ctx, row, contact, answer or "", now)
        return row
    if keyword is Keyword.CONFIRM and await consent.confirm(ctx, contact, now=now, text=row.body):
        await _answer(ctx, row, contact, workspace.welcome_text, now)
        return row
    return await _reply(ctx, row, contact.id, now)


async def _announce(ctx: Context, row: Row, now: datetime) -> None:
    """Write `inbound.received`, which every inbound message has, with the message that it answers."""
    message = None
    if row.message_id is not None:
        message = await fetch_row("SELECT * FROM messages WHERE id = $1", row.message_id)
    data = received_resource(row, message)
    # Its contact's, so that the contact's record counts it, and its erasure finds it.
    event = NewEvent(EventType.INBOUND_RECEIVED, ctx.workspace_id, ctx.livemode, row.contact_id, data)
    await record_events([event], now)


async def simulate_reply(ctx: Context, data: SimulateReply) -> Row:
    """Make a message arrive in the sandbox, at a sender that it may use: its default where none is named.

    Raises PermissionDenied code `sandbox_only` live, InvalidRequest, and ComplianceRefused `sender_not_allowed`.
    """
    allow(ctx, Permission.INBOX_WRITE)
    if ctx.livemode:
        raise PermissionDenied(
            "Replies are made up in the sandbox only: use a msvs_test_ key.", code=ErrorCode.SANDBOX_ONLY
        )
    phone = parse_phone(data.from_, param="from")
    sender = (await find_settings(ctx)).default_sender if data.to is None else check_sender(data.to, param="to")
    return await receive_inbound(
        ctx,
        from_phone=phone.e164,
        to_sender=await check_usable(ctx, sender, param="to"),
        text=data.body,
        dedupe_key=f"test:{ids.encode_id(ids.REQUEST, ids.new_id())}",
    )


async def get_inbound(ctx: Context, id: UUID) -> InboundMessage:
    """Return one inbound message. Raises NotFound."""
    return await find(ctx, InboundMessage, id, prefix=ids.INBOUND, noun="inbound message")


async def list_inbound(
    ctx: Context, page: PageRequest, *, contact_id: UUID | None = None, flagged: bool | None = None
) -> Page[InboundMessage]:
    """Inbound messages, newest first, optionally of one contact, or only those that are flagged, or are not."""
    return await fetch_page(inbound_query(ctx, contact_id=contact_id, flagged=flagged), page)


def inbound_query(
    ctx: Context, *, contact_id: UUID | None = None, flagged: bool | None = None
) -> QuerySet[InboundMessage]:
    """Return the inbound messages that list_inbound lists, in no order."""
    query = scoped(ctx, InboundMessage)
    if contact_id is not None:
        query = query.filter(contact_id=contact_id)
    return query if flagged is None else query.filter(is_flagged=flagged)


async def unflag_inbound(ctx: Context, id: UUID) -> InboundMessage:
    """Remove the flag of an inbound message; its contact stays opted out. Raises NotFound.

    Opting in again takes what it always does: START from the phone, or evidence that is newer than the opt-out.
    """
    allow(ctx, Permission.INBOX_WRITE)
    row = await find(ctx, InboundMessage, id, prefix=ids.INBOUND, noun="inbound message", lock=True)
    row.is_flagged = False
    await row.save(update_fields=["is_flagged"])
    return row


async def _own_words(ctx: Context, contact_id: UUID, text: str) -> str:
    """Return a message without what it quotes of ours, which speaks of STOP itself."""
    if len(text) < MIN_QUOTED:
        return text
    sent = await fetch(FIND_QUOTABLE_BODIES, contact_id, ctx.workspace_id, ctx.livemode)
    return own_words(text, [row.body for row in sent])


def _courteous_keyword(text: str) -> Keyword | None:
    """Return the START, HELP or YES that a message amounts to, courtesies and a name apart; phrases tell of STOP."""
    found = bare_word(text)
    return found.keyword if found is not None and found.is_sure and found.keyword is not Keyword.STOP else None


async def _hold_contact(ctx: Context, phone: str, now: datetime) -> Contact:
    """Return the contact of a phone, held: of two messages at once the later sees the answer to the other.

    An erasure at the same time waits for the message and finds it, or came first, and the contact is made again.
    """
    while True:
        found = await ensure_contact(ctx, phone, now=now)
        held = await scoped(ctx, Contact).filter(id=found.id).select_for_update().first()
        if held is not None and held.canonical == canonical(phone):
            return held


async def _stop(ctx: Context, row: Row, contact: Contact, workspace: Workspace | None, now: datetime) -> Row:
    """Opt out once, with one confirmation, unless there was one; a phone that says STOP again hears nothing more."""
    source = "keyword" if row.intent is None else "phrase"
    if not await consent.opt_out(ctx, contact, source=source, now=now, text=row.body):
        await consent.repeat_opt_out(ctx, contact, source=source, now=now, text=row.body)
        return row
    message = await _latest(ctx, contact.id)
    if message is not None:
        await fetch_row("UPDATE messages SET opted_out = true WHERE id = $1", message.id)
        row = await _attach(row, message.id)
    if workspace is not None:
        await _answer(ctx, row, contact, workspace.opt_out_text, now)
    return row


async def _start(ctx: Context, row: Row, contact: Contact, workspace: Workspace, now: datetime) -> Row:
    # One that is in may be suppressed all the same, where both came at once.
    if (
        contact.opt_in_status != OptInStatus.OPTED_IN
        or await scoped(ctx, Suppression).filter(canonical=contact.canonical).exists()
    ):
        await consent.opt_in(
            ctx, contact, source="keyword", ip=None, now=now, confirmed=True, text=row.body, claim=OWN_ACT
        )
        await _answer(ctx, row, contact, workspace.welcome_text, now)
    return row


async def _answer(ctx: Context, row: Row, contact: Contact, text: str, now: datetime) -> None:
    """Answer from the number that was written to, unless the contact was told the same a moment ago.

    Two services that answer each other's answers stop after one round.
    """
    if not text.strip():
        return
    if not await fetch_value(WAS_ANSWERED, contact.id, ctx.workspace_id, ctx.livemode, text, now - ANSWER_AGAIN_AFTER):
        await send_auto(
            ctx, phone=row.from_phone, contact_id=contact.id, text=text, now=now, sender=row.to_sender or None
        )


async def _reply(ctx: Context, row: Row, contact_id: UUID, now: datetime) -> Row:
    await leave_on_reply(ctx, contact_id)
    message = await _latest(ctx, contact_id)
    if message is None:
        return row
    replied = await fetch_row(MARK_REPLIED, message.id, now)
    if replied is None:
        return row
    row = await _attach(row, message.id)
    reply = reply_resource(row)
    data = message_resource(replied, reply=reply)
    await record_events([NewEvent(EventType.MESSAGE_REPLIED, ctx.workspace_id, ctx.livemode, message.id, data)], now)
    return row


async def _latest(ctx: Context, contact_id: UUID) -> Row | None:
    """Find the message that the contact answers, and hold it."""
    found = await fetch_row(FIND_ANSWERED_MESSAGE, contact_id, ctx.workspace_id, ctx.livemode)
    return None if found is None else await fetch_row(LOCK_MESSAGE, found.id)


async def _attach(row: Row, message_id: UUID) -> Row:
    attached = await fetch_row(
        "UPDATE inbound_messages SET message_id = $2 WHERE id = $1 RETURNING *", row.id, message_id
    )
    assert attached is not None
    return attached
