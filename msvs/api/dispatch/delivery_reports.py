"""Apply delivery reports: each moves a message forward once, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import time_ns
from typing import Protocol
from uuid import UUID

from msvs import tracing
from msvs.api import ids
from msvs.api.dispatch import open_months, traces
from msvs.api.dispatch.open_months import within
from msvs.api.dispatch.outcomes import capture_live, note_opt_outs, note_sent
from msvs.api.dispatch.reachability import note_deliveries, note_failures
from msvs.api.resources import message_resource
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import fetch
from msvs.looks import BEGINNING, InOrder
from msvs.models.rows import MessageRow

# A message whose report has not come by then never gets one (decisions § 3).
REPORT_DEADLINE = timedelta(hours=72)

# A report proves that the carrier has the message, even where its answer to the hand-over was lost.
PROVE_SENT = """
WITH proven AS (
    SELECT id FROM messages WHERE id = ANY($1) AND status = 'sending' AND {in_months} ORDER BY id FOR UPDATE
)
UPDATE messages SET status = CASE WHEN replied_at IS NULL THEN 'sent' ELSE 'replied' END, sent_at = $2,
    claim_token = NULL, lease_until = NULL
FROM proven WHERE messages.id = proven.id AND {in_months} RETURNING messages.*
"""

MARK_DELIVERED = """
WITH reported AS (
    SELECT id FROM messages
    WHERE id = ANY($1) AND (status = 'sent' OR (status = 'replied' AND delivered_at IS NULL)) AND {in_months}
    ORDER BY id FOR UPDATE
)
UPDATE messages SET status = CASE WHEN status = 'sent' THEN 'delivered' ELSE status END,
    delivered_at = $2, delivery = NULL
FROM reported WHERE messages.id = reported.id AND {in_months} RETURNING messages.*
"""

REPORT_FAILED = """
WITH reported AS (
    SELECT id FROM messages
    WHERE id = ANY ($1::uuid[]) AND status || '' = 'sent' AND {in_months} ORDER BY id FOR UPDATE
)
UPDATE messages SET status = 'failed', failed_at = $3, error_code = $2::jsonb ->> messages.id::text, delivery = NULL
FROM reported WHERE messages.id = reported.id AND {in_months} RETURNING messages.*
"""

LOCK_FREE_MESSAGES = "SELECT id FROM messages WHERE id = ANY($1) AND {in_months} ORDER BY id FOR UPDATE SKIP LOCKED"
FIND_PRESENT_MESSAGES = "SELECT id FROM messages WHERE id = ANY($1) AND {in_months}"

UNREPORTED = """
WITH silent AS (
    SELECT id FROM messages
    WHERE status = 'sent' AND delivery IS NULL AND sent_at >= $3 AND sent_at < $1 AND {in_months}
    ORDER BY sent_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE messages SET delivery = 'unknown' WHERE id = ANY (ARRAY(SELECT id FROM silent)) AND {in_months}
RETURNING messages.sent_at AS due_at
"""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A carrier's report about a message: delivered, or failed with a code of our catalogue."""

    message_id: UUID
    is_delivered: bool
    code: str | None = None


async def take_reports(reports: Sequence[DeliveryReport], now: datetime) -> int:
    """Apply delivery reports in the current transaction. Return how many changed their message."""
    if not reports:
        return 0
    began = time_ns()
    await prove_sent([report.message_id for report in reports], now)
    # The first report of a message counts: what comes after it in the same batch is a duplicate or late.
    first = {report.message_id: report for report in reversed(reports)}
    changed = 0
    delivered = [report.message_id for report in first.values() if report.is_delivered]
    if delivered:
        rows = await fetch(MessageRow, within(MARK_DELIVERED, delivered), delivered, now)
        changed += await _record(EventType.MESSAGE_DELIVERED, rows, now)
        await note_deliveries(rows, now)
    failed = [report for report in first.values() if not report.is_delivered]
    if failed:
        failed_ids = [report.message_id for report in failed]
        rows = await fetch(
            MessageRow,
            within(REPORT_FAILED, failed_ids),
            failed_ids,
            {report.message_id: report.code or "carrier_rejected" for report in failed},
            now,
        )
        changed += await _record(EventType.MESSAGE_FAILED, rows, now)
        await note_opt_outs(rows, now)
        await note_failures(rows, now)
    await _trace(first, began)
    return changed


async def _trace(reports: Mapping[UUID, DeliveryReport], began: int) -> None:
    """Write down a span for each report whose message is traced."""
    active = tracing.active()
    if active is None:
        return
    for message_id, parent in (await traces.find(reports)).items():
        report = reports[message_id]
        about: tracing.Attributes = {
            "msvs.message_id": ids.encode_id(ids.MESSAGE, message_id),
            "msvs.delivered": report.is_delivered,
            "msvs.error_code": report.code,
        }
        failure = None if report.is_delivered else report.code or "carrier_rejected"
        active.record("delivery report", tracing.Kind.CONSUMER, parent, about, began=began, failure=failure)


class _Message(Protocol):
    id: UUID


async def hold_messages(message_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Lock messages until the transaction ends, but for those that another holds. Return those it locked.

    Anyone who holds them may be stuck: their reports wait, those of all others do not.
    """
    wanted = set(message_ids)
    missing = (
        wanted - {row.id for row in await fetch(_Message, within(LOCK_FREE_MESSAGES, wanted), list(wanted))}
        if wanted
        else wanted
    )
    if not missing:
        return frozenset()
    # Some may be past their keeping.
    return frozenset(row.id for row in await fetch(_Message, within(FIND_PRESENT_MESSAGES, missing), list(missing)))


async def prove_sent(message_ids: Sequence[UUID], now: datetime) -> None:
    """Mark messages whose hand-over was never answered as sent: something proves that the carrier has them."""
    rows = await fetch(MessageRow, within(PROVE_SENT, message_ids), list(message_ids), now) if message_ids else ()
    if rows:
        await note_sent(rows, now)


class GivingUp:
    """Where the looks of a process at what is given up begin: messages without a report, and those in doubt."""

    def __init__(self) -> None:
        self.unreported = InOrder()
        self.unresolved = InOrder()


class _Silent(Protocol):
    @property
    def due_at(self) -> datetime: ...


async def give_up_reports(*, limit: int, now: datetime, looks: GivingUp | None = None) -> int:
    """Count messages as terminal whose report is 72 h overdue (`delivery: "unknown"`). Return the count."""
    _, open_ids = await open_months.look()
    until = now - REPORT_DEADLINE
    search = partial(fetch, _Silent, open_months.between(UNREPORTED, open_ids), until, limit)
    return len(await (looks or GivingUp()).unreported.find(until, search))


# Handed over without an answer, never reported, and not to be asked about: nobody will ever know. The index of what is
# in doubt has them by the time of their hand-over; only what an older version took has none, and asks its attempts.
UNRESOLVED = """
WITH lost AS MATERIALIZED (
    SELECT id FROM messages
    WHERE status = 'sending' AND lease_until IS NULL AND coalesce(handed_at, '-infinity'::timestamptz) <= $1
        AND coalesce(handed_at, '-infinity'::timestamptz) >= coalesce(nullif($4::timestamptz, $5), '-infinity')
        AND {in_months} AND (handed_at IS NOT NULL OR NOT EXISTS (
            SELECT FROM message_attempts WHERE message_id = messages.id AND started_at > $1 AND {in_attempts}
        ))
    ORDER BY coalesce(handed_at, '-infinity'::timestamptz) LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE messages SET status = 'failed', failed_at = $3, error_code = 'outcome_unknown'
WHERE id = ANY (ARRAY(SELECT id FROM lost)) AND {in_months} RETURNING messages.*
"""


async def give_up_unresolved(*, limit: int, now: datetime, looks: GivingUp | None = None) -> int:
    """Fail messages whose hand-over nobody ever heard of again, 72 h later. Return the count.

    Their credits stay taken: the carrier may have sent them.
    """
    _, open_ids = await open_months.look()
    until = now - REPORT_DEADLINE
    statement = open_months.between(UNRESOLVED, open_ids)

    async def search(since: datetime) -> Sequence[MessageRow]:
        return await fetch(MessageRow, statement, until, limit, now, since, BEGINNING)

    rows = await (looks or GivingUp()).unresolved.find_by(until, search, lambda row: row.handed_at or BEGINNING)
    await capture_live(rows, now)
    return await _record(EventType.MESSAGE_FAILED, rows, now)


async def _record(type: EventType, rows: Sequence[MessageRow], now: datetime) -> int:
    await record_events(
        (NewEvent(type, row.workspace_id, row.livemode, row.id, message_resource(row)) for row in rows), now
    )
    return len(rows)
