"""Numbers that cannot be reached: mark those to which messages fail again and again, and those that answer again.

A mark is of the contact's number, and says nothing of its consent. Campaigns skip a contact that has one; single
messages still go out, and one that is delivered takes the mark away, as does any message from the number.

What carriers say is noted in the transaction that applies it, and judged in one of its own, which locks contacts
first: the messages themselves say how often a number failed since it was last heard of, so that nothing is counted
twice and a judgment that is repeated comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from msvs.api import ids, settings_of_mode
from msvs.api.context import Context
from msvs.api.dispatch.open_months import between, recent, within
from msvs.api.resources import contact_resource
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute, fetch
from msvs.looks import InOrder
from msvs.models import CarrierEventKind
from msvs.models.rows import ContactRow, MessageRow

# Failures whose cause is the number, for all that the carrier says.
NUMBER_FAILURES = ("invalid_number", "unreachable")
# How long a failure counts.
WINDOW = timedelta(days=90)
# What was under way while a contact was marked is done by then, and may speak for the number.
LOOK_AGAIN = timedelta(minutes=1)

# Only where the workspace wants it.
NOTE_FAILURES = f"""
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, text, tries, received_at, due_at)
SELECT failed.id, failed.carrier, '{CarrierEventKind.REACH.value}', 'failed:' || failed.message_id::varchar,
    failed.message_id, '', 0, $6, $6
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[], $4::uuid[], $5::bool[])
    AS failed (id, carrier, message_id, workspace_id, livemode)
JOIN workspaces ON workspaces.id = failed.workspace_id {settings_of_mode.JOIN.format(livemode="failed.livemode")}
WHERE settings.unreachable_after IS NOT NULL ON CONFLICT (carrier, dedupe_key) DO NOTHING RETURNING id
"""
# The index of marked contacts tells at once where there are none.
FIND_MARKED = """
SELECT contacts.id FROM unnest($1::uuid[], $2::bool[]) AS scope (workspace_id, livemode)
JOIN contacts ON contacts.workspace_id = scope.workspace_id AND contacts.livemode = scope.livemode
    AND contacts.unreachable_at IS NOT NULL AND contacts.id = ANY ($3::uuid[])
"""
# Only of the few that are marked.
NOTE_DELIVERIES = f"""
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, text, tries, received_at, due_at)
SELECT sent.id, sent.carrier, '{CarrierEventKind.REACH.value}', 'reached:' || sent.message_id::varchar,
    sent.message_id, '', 0, $7, $7
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[], $4::uuid[], $5::bool[], $6::uuid[])
    AS sent (id, carrier, message_id, workspace_id, livemode, contact_id)
JOIN contacts ON contacts.workspace_id = sent.workspace_id AND contacts.livemode = sent.livemode
    AND contacts.id = sent.contact_id AND contacts.unreachable_at IS NOT NULL
ON CONFLICT (carrier, dedupe_key) DO NOTHING RETURNING id
"""

PICK_REACH = """
SELECT id, message_id, due_at FROM carrier_signals WHERE due_at >= $4 AND due_at <= $1 AND kind = $2
ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
"""
FIND_JUDGED = """
SELECT messages.id AS message_id, messages.contact_id FROM messages
WHERE messages.id = ANY ($1) AND messages.contact_id IS NOT NULL AND {in_months}
"""
HOLD_JUDGED = "SELECT id FROM contacts WHERE id = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
# Of each contact, what its number's messages say since it was last heard of. OFFSET 0 keeps them from being joined in
# any other way than one contact after the other.
JUDGE_NUMBERS = f"""
SELECT contact.id, contact.unreachable_at IS NOT NULL AS is_marked, settings.unreachable_after, failed.number,
    failed.code, failed.message_id, failed.carrier
FROM contacts AS contact JOIN workspaces ON workspaces.id = contact.workspace_id
{settings_of_mode.JOIN.format(livemode="contact.livemode")}
CROSS JOIN LATERAL (
    SELECT greatest(contact.reached_at, max(delivered_at)) AS at FROM messages
    WHERE contact_id = contact.id AND workspace_id = contact.workspace_id AND livemode = contact.livemode
        AND delivered_at IS NOT NULL AND canonical_phone(to_phone) = contact.canonical AND {{in_months}} OFFSET 0
) AS heard
CROSS JOIN LATERAL (
    SELECT count(*) AS number, (array_agg(error_code ORDER BY failed_at DESC, id DESC))[1] AS code,
        (array_agg(id ORDER BY failed_at DESC, id DESC))[1] AS message_id,
        (array_agg(carrier ORDER BY failed_at DESC, id DESC))[1] AS carrier
    FROM messages
    WHERE contact_id = contact.id AND workspace_id = contact.workspace_id AND livemode = contact.livemode
        AND status = 'failed' AND error_code = ANY ($2::varchar[]) AND failed_at >= $3
        AND failed_at > coalesce(heard.at, '-infinity') AND canonical_phone(to_phone) = contact.canonical
        AND {{in_months}} OFFSET 0
) AS failed
WHERE contact.id = ANY ($1::uuid[])
"""
MARK_UNREACHABLE = """
UPDATE contacts SET unreachable_at = $3, unreachable_code = said.code, updated_at = $3
FROM unnest($1::uuid[], $2::varchar[]) AS said (id, code)
WHERE contacts.id = said.id AND contacts.unreachable_at IS NULL RETURNING contacts.*
"""
CLEAR_UNREACHABLE = """
UPDATE contacts SET unreachable_at = NULL, unreachable_code = NULL, reached_at = $2, updated_at = $2
WHERE id = ANY ($1::uuid[]) AND unreachable_at IS NOT NULL RETURNING *
"""
NOTE_HEARD = "UPDATE contacts SET reached_at = $4 WHERE workspace_id = $1 AND livemode = $2 AND id = $3"
JUDGE_LATER = f"""
INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, text, tries, received_at, due_at)
SELECT later.id, later.carrier, '{CarrierEventKind.REACH.value}', 'again:' || later.id::varchar, later.message_id, '',
    0, $4, $5
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[]) AS later (id, carrier, message_id)
"""
DELETE_REACH = "DELETE FROM carrier_signals WHERE id = ANY ($1)"


async def note_failures(rows: Iterable[MessageRow], now: datetime) -> None:
    """Note messages that failed for their number's sake, in the transaction that fails them."""
    failed = [row for row in rows if row.error_code in NUMBER_FAILURES and row.contact_id and row.carrier]
    if failed and await fetch(
        NOTE_FAILURES,
        [ids.new_id() for _ in failed],
        [row.carrier for row in failed],
        [row.id for row in failed],
        [row.workspace_id for row in failed],
        [row.livemode for row in failed],
        now,
    ):
        notify_after_commit(WorkQueue.REPORTS)


async def note_deliveries(rows: Iterable[MessageRow], now: datetime) -> None:
    """Note messages that reached a number which is marked, in the transaction that counts them as delivered."""
    reached = [row for row in rows if row.contact_id and row.carrier]
    scopes = {(row.workspace_id, row.livemode) for row in reached}
    marked = {row.id for row in await _find_marked(scopes, [row.contact_id for row in reached])} if reached else ()
    reached = [row for row in reached if row.contact_id in marked]
    if reached and await fetch(
        NOTE_DELIVERIES,
        [ids.new_id() for _ in reached],
        [row.carrier for row in reached],
        [row.id for row in reached],
        [row.workspace_id for row in reached],
        [row.livemode for row in reached],
        [row.contact_id for row in reached],
        now,
    ):
        notify_after_commit(WorkQueue.REPORTS)


class _Marked(Protocol):
    id: UUID


async def _find_marked(scopes: Iterable[tuple[UUID, bool]], contact_ids: Sequence[UUID | None]) -> Sequence[_Marked]:
    workspace_ids, livemodes = zip(*scopes, strict=True)
    return await fetch(_Marked, FIND_MARKED, workspace_ids, livemodes, contact_ids)


class _Judged(Protocol):
    id: UUID
    is_marked: bool
    unreachable_after: int | None
    number: int
    code: str | None
    message_id: UUID | None
    carrier: str | None


async def apply_reach(*, limit: int, now: datetime, looks: InOrder | None = None) -> int:
    """Judge the numbers of which carriers said something, in the current transaction. Return the number of signals."""
    pick = partial(fetch, PICK_REACH, now, CarrierEventKind.REACH.value, limit)
    picked = await (looks or InOrder()).find(now, pick)
    said = [row.message_id for row in picked if row.message_id is not None]
    found = await fetch(within(FIND_JUDGED, said), said) if said else []
    contact_ids = sorted({row.contact_id for row in found})
    if contact_ids:
        # Before any of their messages: anyone who opts them out or erases them locks in this order.
        await execute(HOLD_JUDGED, contact_ids)
        await _judge(contact_ids, said, now)
    await execute(DELETE_REACH, [row.id for row in picked])
    return len(picked)


async def _judge(contact_ids: Sequence[UUID], message_ids: Sequence[UUID], now: datetime) -> None:
    judge = between(JUDGE_NUMBERS, recent(now - WINDOW, message_ids))
    judged = await fetch(_Judged, judge, contact_ids, list(NUMBER_FAILURES), now - WINDOW)
    lost = [
        row
        for row in judged
        if not row.is_marked and row.unreachable_after is not None and row.number >= row.unreachable_after
    ]
    heard = [row.id for row in judged if row.is_marked and row.number < (row.unreachable_after or 1)]
    if lost:
        marked = await fetch(ContactRow, MARK_UNREACHABLE, [row.id for row in lost], [row.code for row in lost], now)
        await _record(EventType.CONTACT_UNREACHABLE, marked, now)
        again = [row for row in lost if row.message_id and row.carrier]
        await execute(
            JUDGE_LATER,
            [ids.new_id() for _ in again],
            [row.carrier for row in again],
            [row.message_id for row in again],
            now,
            now + LOOK_AGAIN,
        )
    if heard:
        await _record(EventType.CONTACT_REACHABLE, await fetch(ContactRow, CLEAR_UNREACHABLE, heard, now), now)


async def note_heard(ctx: Context, contact: ContactRow, now: datetime) -> None:
    """Note a message from a contact's number, which the caller holds: earlier failures count no more."""
    if contact.unreachable_at is None:
        await execute(NOTE_HEARD, ctx.workspace_id, ctx.livemode, contact.id, now)
    else:
        await clear_mark(contact, now)


async def clear_mark(contact: ContactRow, now: datetime) -> None:
    """Take the mark of a contact away, which the caller holds."""
    await _record(EventType.CONTACT_REACHABLE, await fetch(ContactRow, CLEAR_UNREACHABLE, [contact.id], now), now)


async def _record(type: EventType, rows: Sequence[ContactRow], now: datetime) -> None:
    await record_events(
        (NewEvent(type, row.workspace_id, row.livemode, row.id, contact_resource(row)) for row in rows), now
    )
