"""Take over messages whose lease expired, or leave them to their delivery reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from msvs.api import ids
from msvs.api.dispatch import open_months
from msvs.api.dispatch.claims import Claim, take
from msvs.api.dispatch.outcomes import FAULT, MAX_ATTEMPTS, THROTTLED, UNUSED
from msvs.database import execute, fetch
from msvs.looks import BEGINNING, InOrder
from msvs.models.rows import MessageRow

IS_SUPPRESSED = """messages.kind <> 'auto' AND EXISTS (
    SELECT FROM suppressions WHERE suppressions.workspace_id = messages.workspace_id
        AND suppressions.livemode = messages.livemode AND suppressions.canonical = canonical_phone(messages.to_phone)
) AS is_suppressed"""
IS_STALE = """coalesce(messages.expires_at <= clock_timestamp(), false) OR EXISTS (
    SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id AND campaigns.status = 'canceled'
) AS is_stale"""
NOT_PAUSED = """NOT EXISTS (
    SELECT FROM campaigns WHERE campaigns.id = messages.campaign_id AND campaigns.status = 'paused'
)"""
# Whether one more hand-over is asked for, and none was made yet that may have arrived.
MAY_RESEND = f"""(messages.on_unknown = 'resend' AND messages.attempt_count < {MAX_ATTEMPTS} AND NOT EXISTS (
    SELECT FROM message_attempts WHERE message_id = messages.id AND is_resend AND {{in_attempts}}
        AND coalesce(outcome, 'unknown') NOT IN ('{UNUSED}', '{THROTTLED}', '{FAULT}')
))"""

# By a subquery, as no index is searched for what changes from row to row, which the clock may.
FIND_EXPIRED_LEASES = f"""
SELECT messages.*, {IS_SUPPRESSED}, {IS_STALE}, messages.attempt_count >= {MAX_ATTEMPTS} AND EXISTS (
    SELECT FROM message_attempts WHERE message_id = messages.id AND outcome = 'unknown' AND {{{{in_attempts}}}}
        AND started_at < clock_timestamp() - interval '72 hours'
) AS is_hopeless
FROM messages WHERE status = 'sending' AND lease_until < (SELECT clock_timestamp()) AND carrier = $1
    AND lease_until >= $3 AND {{{{in_months}}}} AND {{condition}}
ORDER BY lease_until LIMIT $2 FOR UPDATE OF messages SKIP LOCKED
"""
# What asks for one more hand-over is not left to its report.
EXPIRED_SPENT = FIND_EXPIRED_LEASES.format(condition=f"NOT {MAY_RESEND}")
# What a paused campaign has in doubt waits with it, as to submit it again might be to send it.
EXPIRED_RUNNING = FIND_EXPIRED_LEASES.format(condition=NOT_PAUSED)

# The token stays: nobody takes these over, so that what their worker learned after all still counts.
END_LEASES = "UPDATE messages SET lease_until = NULL WHERE id = ANY($1) AND {in_months}"
NEVER_KNOWN = """
UPDATE message_attempts SET outcome = 'unknown', ended_at = clock_timestamp()
WHERE message_id = ANY($1) AND outcome IS NULL AND {in_attempts}
"""


class _Message(Protocol):
    @property
    def id(self) -> UUID: ...


class _Leased(_Message, Protocol):
    @property
    def lease_until(self) -> datetime | None: ...


class ExpiredLooks:
    """Where the looks of a process at leases that ran out begin, by what is looked for and of which carrier.

    What is not found by one, as its campaign is paused or as it is left to another, is passed by full looks alone.
    """

    def __init__(self) -> None:
        self._looks: dict[tuple[str, str], InOrder] = {}

    def of(self, statement: str, carrier: str = "") -> InOrder:
        """Return the looks of a statement."""
        return self._looks.setdefault((statement, carrier), InOrder())


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


async def find_expired(
    *, carrier: str, limit: int, now: datetime, is_asked: bool = False, looks: ExpiredLooks | None = None
) -> ExpiredClaim | None:
    """Take over messages whose lease ran out, under a new token and a new attempt, or None if there are none.

    Messages that may no longer be sent wait for their delivery report, unless the carrier is asked first (`is_asked`):
    to submit them again might send them for the first time. Their recipient opted out, they expired, or their campaign
    was canceled. Messages that the carrier gave no answer about for 72 h wait too. The claim is empty if all wait.
    """
    moment, statement = await _of_open(EXPIRED_RUNNING)
    search = partial(fetch, ExpiredMessage, statement, carrier, limit)
    rows = await (looks or ExpiredLooks()).of(EXPIRED_RUNNING, carrier).find_by(moment, search, lease_of)
    if not rows:
        return None
    await _write_of(NEVER_KNOWN, [row.id for row in rows])
    left = {row.id for row in rows if row.is_hopeless or (not is_asked and (row.is_suppressed or row.is_stale))}
    await give_up_lease(list(left))
    rows = [row for row in rows if row.id not in left]
    token = (await take(rows, carrier, now, is_repeat=True)).token if rows else ids.new_id()
    return ExpiredClaim(token, carrier, rows, is_repeat=bool(rows))


async def await_reports(*, carrier: str, limit: int, looks: ExpiredLooks | None = None) -> int:
    """End the leases of messages whose outcome only a delivery report can tell; they are never sent again.

    Those that ask to be sent again, and were not yet, are left to `resending`.
    """
    now, statement = await _of_open(EXPIRED_SPENT)
    search = partial(fetch, _Leased, statement, carrier, limit)
    rows = await (looks or ExpiredLooks()).of(EXPIRED_SPENT, carrier).find_by(now, search, lease_of)
    return await _await(rows)


async def _of_open(statement: str) -> tuple[datetime, str]:
    """Return the time, and a statement on what is `sending`, of the months alone that hold some."""
    now, open_ids = await open_months.look()
    return now, open_months.between(statement, open_ids)


def lease_of(row: _Leased) -> datetime:
    """Return when a lease ended that ran out."""
    return row.lease_until or BEGINNING


async def _await(rows: Sequence[_Message]) -> int:
    await give_up_lease([row.id for row in rows])
    return len(rows)


async def give_up_lease(message_ids: Sequence[UUID]) -> None:
    """Leave messages in doubt to their delivery reports."""
    for statement in (END_LEASES, NEVER_KNOWN):
        await _write_of(statement, message_ids)


async def _write_of(statement: str, message_ids: Sequence[UUID]) -> None:
    if message_ids:
        await execute(open_months.within(statement, message_ids), message_ids)


# Workers that are started again one after the other do not all know a new carrier at once.
GONE_AFTER = timedelta(minutes=10)

FIND_ABANDONED = """
SELECT id, lease_until FROM messages
WHERE status = 'sending' AND lease_until < (SELECT clock_timestamp()) - $2::interval
    AND carrier <> ALL($1) AND lease_until >= $4 AND {in_months}
ORDER BY lease_until LIMIT $3 FOR UPDATE SKIP LOCKED
"""


async def await_gone(carriers: Iterable[str], *, limit: int, looks: ExpiredLooks | None = None) -> int:
    """End the leases of messages of any carrier but these: there is nobody left to ask, and they are never resent."""
    now, statement = await _of_open(FIND_ABANDONED)
    search = partial(fetch, _Leased, statement, list(carriers), GONE_AFTER, limit)
    rows = await (looks or ExpiredLooks()).of(FIND_ABANDONED).find_by(now - GONE_AFTER, search, lease_of)
    return await _await(rows)
