"""Circuit breakers: pause a carrier that fails, so that its messages wait instead of failing.

Five hand-overs in a row that came to nothing for the carrier's own fault (it was away, it refused our credentials, it
never answered) open its breaker. After a pause, longer each time, a single message tries it; that decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from msvs.database import execute, fetch, fetch_row

log = structlog.get_logger(__name__)

THRESHOLD = 5
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
# Anyone who took a trial and died is not waited for longer.
TRIAL = timedelta(seconds=60)

CLOSED = "closed"
OPEN = "open"
HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """The breaker of one carrier. `failures` are faults in a row, `trips` how often it opened without success since."""

    state: str
    failures: int
    trips: int
    retry_at: datetime | None
    reason: str | None

    def is_paused(self, now: datetime) -> bool:
        """Return whether nothing may be handed over: it is open, or another's trial is under way."""
        return self.state != CLOSED and self.retry_at is not None and self.retry_at > now

    def is_on_trial(self, now: datetime) -> bool:
        """Return whether a single message may try it."""
        return self.state != CLOSED and not self.is_paused(now)


async def find_states() -> Mapping[str, BreakerState]:
    """Find the breakers of the carriers that ever had a fault, by name."""
    rows = await fetch("SELECT name, state, failures, trips, retry_at, reason FROM carrier_states")
    return {row.name: BreakerState(row.state, row.failures, row.trips, row.retry_at, row.reason) for row in rows}


async def hold_trials(names: Collection[str]) -> None:
    """Have the trials of these carriers to oneself until the transaction ends."""
    if names:
        await execute("SELECT FROM carrier_states WHERE name = ANY($1) ORDER BY name FOR UPDATE", list(names))


async def take_trial(name: str, now: datetime) -> bool:
    """Take the one trial of a carrier whose pause is over; False where another took it. In the claim's transaction."""
    taken = await execute(
        "UPDATE carrier_states SET state = 'half_open', retry_at = $2, updated_at = $3"
        " WHERE name = $1 AND state <> 'closed' AND (retry_at IS NULL OR retry_at <= $3)",
        name,
        now + TRIAL,
        now,
    )
    return bool(taken)


async def give_back_trial(name: str, now: datetime) -> None:
    """Return a trial for which there was no message."""
    await execute(
        "UPDATE carrier_states SET retry_at = $2 WHERE name = $1 AND state = 'half_open'",
        name,
        now,
    )


RECORD_FAULT = """
INSERT INTO carrier_states (name, state, failures, trips, reason, updated_at) VALUES ($1, 'closed', $2, 0, $3, $4)
ON CONFLICT (name) DO UPDATE SET failures = carrier_states.failures + $2, reason = $3, updated_at = $4
RETURNING state, failures, trips
"""


async def note(name: str, *, faults: int, served: int, reason: str | None, now: datetime) -> None:
    """Count what a hand-over showed of a carrier: `faults` of its own, and messages that it `served` (took or refused).

    Any service closes the breaker again.
    """
    if served >= faults and served:
        closed = await execute(
            "UPDATE carrier_states SET state = 'closed', failures = 0, trips = 0, retry_at = NULL, reason = NULL,"
            " updated_at = $2 WHERE name = $1 AND (failures > 0 OR state <> 'closed')",
            name,
            now,
        )
        if closed:
            log.info("carrier in use again", carrier=name)
    elif faults:
        row = await fetch_row(RECORD_FAULT, name, faults, (reason or "")[:100], now)
        assert row is not None
        # What was under way when it opened says nothing new.
        if row.state == HALF_OPEN or (row.state == CLOSED and row.failures >= THRESHOLD):
            await _open(name, trips=row.trips + 1, reason=reason, now=now)


async def _open(name: str, *, trips: int, reason: str | None, now: datetime) -> None:
    pause = min(FIRST_PAUSE * 2 ** min(trips - 1, 10), LONGEST_PAUSE)
    await execute(
        "UPDATE carrier_states SET state = 'open', trips = $2, opened_at = $3, retry_at = $4, updated_at = $3"
        " WHERE name = $1",
        name,
        trips,
        now,
        now + pause,
    )
    log.warning("carrier paused", carrier=name, seconds=int(pause.total_seconds()), reason=reason)
