"""Take over messages whose lease expired, or leave them to their delivery reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs.api import ids
from msvs.api.dispatch import open_months
from msvs.api.dispatch.claims import Claim, take
from msvs.api.dispatch.outcomes import MAX_ATTEMPTS
from msvs.database import execute, fetch
from msvs.models.rows import MessageRow

# By a subquery, as no index is searched for what changes from row to row, which the clock may.
EXPIRED = """
SELECT messages.*, messages.kind <> 'auto' AND EXISTS (
    SELECT FROM suppressions WHERE suppressions.workspace_id = messages.workspace_id
        AND suppressions.livemode = messages.livemode AND suppressions.canonical = canonical_phone(messages.to_phone)
) AS is_suppressed, coalesce(messages.expires_at <= clock_timestamp(), false) OR EXISTS (
    SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id AND campaigns.status = 'canceled'
) AS is_stale, messages.attempt_count >= {many} AND EXISTS (
    SELECT FROM message_attempts WHERE message_id = messages.id AND outcome = 'unknown' AND {{in_attempts}}
        AND started_at < clock_timestamp() - interval '72 hours'
) AS is_hopeless
FROM messages WHERE status = 'sending' AND lease_until < (SELECT clock_timestamp()) AND carrier = $1 AND {{in_months}}
    AND {condition}
ORDER BY lease_until LIMIT $2 FOR UPDATE OF messages SKIP LOCKED
"""
EXPIRED_ANY = EXPIRED.format(many=MAX_ATTEMPTS, condition="true")
# What a paused campaign has in doubt waits with it, as to submit it again might be to send it.
EXPIRED_RUNNING = EXPIRED.format(
    many=MAX_ATTEMPTS,
    condition="NOT EXISTS (SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id"
    " AND campaigns.status = 'paused')",
)

# The token stays: nobody takes these over, so that what their worker learned after all still counts.
AWAIT = "UPDATE messages SET lease_until = NULL WHERE id = ANY($1) AND {in_months}"
NEVER_KNOWN = """
UPDATE message_attempts SET outcome = 'unknown', ended_at = clock_timestamp()
WHERE message_id = ANY($1) AND outcome IS NULL AND {in_attempts}
"""


class _Message(Protocol):
    @property
    def id(self) -> UUID: ...


class ExpiredMessage(MessageRow, Protocol):
    """A message whose lease ran out, with what tells whether it may be submitted again."""

    @property
    def is_suppressed(self) -> bool: ...

    @property
    def is_stale(self) -> bool: ...

    @property
    def is_hopeless(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class ExpiredClaim(Claim):
    """Messages that were taken over after their lease ran out."""

    messages: Sequence[ExpiredMessage]


async def find_expired(*, carrier: str, limit: int, now: datetime, is_asked: bool = False) -> ExpiredClaim | None:
    """Take over messages whose lease ran out, under a new token and a new attempt, or None if there are none.

    Messages that may no longer be sent wait for their delivery report, unless the carrier is asked first (`is_asked`):
    to submit them again might send them for the first time. Their recipient opted out, they expired, or their campaign
    was canceled. Messages that the carrier gave no answer about for 72 h wait too. The claim is empty if all wait.
    """
    rows = await fetch(ExpiredMessage, await _of_open(EXPIRED_RUNNING), carrier, limit)
    if not rows:
        return None
    await _write_of(NEVER_KNOWN, [row.id for row in rows])
    left = {row.id for row in rows if row.is_hopeless or (not is_asked and (row.is_suppressed or row.is_stale))}
    await _write_of(AWAIT, list(left))
    rows = [row for row in rows if row.id not in left]
    token = (await take(rows, carrier, now, is_repeat=True)).token if rows else ids.new_id()
    return ExpiredClaim(token, carrier, rows, is_repeat=bool(rows))


async def await_reports(*, carrier: str, limit: int) -> int:
    """End the leases of messages whose outcome only a delivery report can tell; they are never sent again."""
    return await _await(await fetch(_Message, await _of_open(EXPIRED_ANY), carrier, limit))


async def _of_open(statement: str) -> str:
    """Return a statement on what is `sending`, of the months alone that hold some."""
    _, open_ids = await open_months.look()
    return open_months.between(statement, open_ids)


async def _await(rows: Sequence[_Message]) -> int:
    for statement in (AWAIT, NEVER_KNOWN):
        await _write_of(statement, [row.id for row in rows])
    return len(rows)


async def _write_of(statement: str, message_ids: Sequence[UUID]) -> None:
    if message_ids:
        await execute(open_months.within(statement, message_ids), message_ids)


# Workers that are started again one after the other do not all know a new carrier at once.
GONE_AFTER = timedelta(minutes=10)

GONE = """
SELECT id FROM messages WHERE status = 'sending' AND lease_until < (SELECT clock_timestamp()) - $2::interval
    AND carrier <> ALL($1) AND {in_months}
ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED
"""


async def await_gone(carriers: Iterable[str], *, limit: int) -> int:
    """End the leases of messages of any carrier but these: there is nobody left to ask, and they are never resent."""
    return await _await(await fetch(_Message, await _of_open(GONE), list(carriers), GONE_AFTER, limit))
