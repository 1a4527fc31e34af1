"""Test clocks: do what becomes due in sandboxes that have their own time, in its order, as fast as it can be done.

A turn at a clock works in a session of its own: it sees the rows of one sandbox alone, and its time is the clock's. In
it the workers' own functions run, one moment after the other. How far a clock is stands in its row, so that a turn that
was killed is gone on with by any worker, once its lease is over.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import asyncpg
import structlog

from msvs import clock_schema, database, present
from msvs.api import ids
from msvs.api.accounts.clocks import KNOWN_AFTER, OVER_WITHIN, drop_test_clock
from msvs.api.context import Rates, Services
from msvs.api.dispatch import delivery_reports
from msvs.api.notifier import WorkQueue, notify_now, notifying
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch_row, fetch_value
from msvs.http_client import HttpClient
from msvs.models import ClockStatus
from msvs.models.rows import SandboxClockRow
from msvs.settings import Settings
from msvs.workers import (
    campaigns,
    dispatch,
    imports,
    maintenance,
    reports,
    retention,
    status_callbacks,
)
from msvs.workers.clock_dues import first_due, open_kinds
from msvs.workers.dispatch import Carriers
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

# A worker that died holds a clock for no longer.
LEASE = timedelta(seconds=60)
# How long a turn at one clock goes on while others may wait, and how often a clock that stands is looked at.
TURN_SECONDS = 5.0
LOOK_EVERY = timedelta(seconds=1)
CONNECTIONS = 4
BATCH = 5000
# What breaks is tried so often, ever later; a moment takes so many rounds at the most.
TRIES = 5
ROUNDS = 10_000
STEP = timedelta(seconds=1)
ANY_TIME = datetime(1, 1, 1, tzinfo=UTC)

CLAIM_BY = """
UPDATE test_clocks SET lease_token = $1, lease_until = $2::timestamptz + $3::interval, looked_at = $2
WHERE id = (
    SELECT id FROM test_clocks WHERE {is_due} ORDER BY looked_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING *
"""
IS_CLOCK_DUE = """
(lease_until IS NULL OR lease_until < {now}) AND (
    is_ending OR (
        created_at < {now}::timestamptz - {known_after}::interval AND (
            status = 'advancing' OR looked_at IS NULL OR looked_at < {now}::timestamptz - {every}::interval
        )
    )
)
"""
CLAIM_CLOCK = CLAIM_BY.format(is_due=IS_CLOCK_DUE.format(now="$2", known_after="$4", every="$5"))
HAS_DUE_CLOCK = (
    f"SELECT EXISTS (SELECT FROM test_clocks WHERE {IS_CLOCK_DUE.format(now='$1', known_after='$2', every='$3')})"
)
# In the clock's session its own row is out of sight, so these name the schema.
MOVE_CLOCK_ON = """
UPDATE public.test_clocks SET frozen_at = $3, tries = CASE WHEN frozen_at = $3 THEN tries ELSE 0 END,
    lease_until = pg_catalog.clock_timestamp() + $4::interval
WHERE id = $1 AND lease_token = $2 RETURNING is_ending
"""
CLOCK_ARRIVES = """
UPDATE public.test_clocks SET status = 'ready', target_at = NULL, failure = NULL, tries = 0
WHERE id = $1 AND lease_token = $2
"""
FAIL_CLOCK = """
UPDATE public.test_clocks SET tries = tries + 1, failure = $3,
    status = CASE WHEN tries + 1 >= $4 AND status = 'advancing' THEN 'failed' ELSE status END,
    target_at = CASE WHEN tries + 1 >= $4 THEN NULL ELSE target_at END,
    lease_until = pg_catalog.clock_timestamp() + least(interval '1 second' * 2 ^ least(tries, 6), interval '1 minute')
WHERE id = $1 AND lease_token = $2
"""
LET_CLOCK_GO = "UPDATE public.test_clocks SET lease_token = NULL, lease_until = NULL WHERE id = $1 AND lease_token = $2"

ENTER_SANDBOX = f"SELECT set_config('search_path', $1, false), set_config('{clock_schema.WORKSPACE}', $2, false)"
IS_INSIDE = f"SELECT to_regclass('messages') = to_regclass('{clock_schema.SCHEMA}.messages')"


async def has_due(now: datetime) -> bool:
    """Return whether a clock is to be moved on, or looked at."""
    return bool(await fetch_value(HAS_DUE_CLOCK, now, KNOWN_AFTER, LOOK_EVERY))


async def run_clocks(
    services: Services,
    carriers: Carriers,
    settings: Settings,
    http: HttpClient,
    *,
    seconds: float = TURN_SECONDS,
    stop: StopFlag | None = None,
) -> int:
    """Take turns at the clocks that are to be moved on or looked at, for about `seconds`. Return how many turns."""
    stop = stop or StopFlag()
    turns, until = 0, time.monotonic() + seconds
    while not stop.is_set:
        if time.monotonic() >= until:
            notify_now([WorkQueue.IMPORTS])
            break
        token = ids.new_id()
        now = await database.now()
        row = await fetch_row(SandboxClockRow, CLAIM_CLOCK, token, now, LEASE, KNOWN_AFTER, LOOK_EVERY)
        if row is None:
            break
        await _Turn(services, carriers, settings, http, stop, row, token).run()
        turns += 1
    return turns


class _Lost(Exception):
    """Raised where another holds the clock by now."""


class _Ending(Exception):
    """Raised where the clock was deleted meanwhile."""


class _Blocked:
    """What waits in the sandboxes of clocks that stand, and could not be done, as this process last saw it."""

    def __init__(self) -> None:
        self.seen: dict[UUID, Mapping[str, datetime]] = {}


class _Turn:
    """A worker's turn at a clock."""

    def __init__(
        self,
        services: Services,
        carriers: Carriers,
        settings: Settings,
        http: HttpClient,
        stop: StopFlag,
        row: SandboxClockRow,
        token: UUID,
    ) -> None:
        self._services, self._carriers, self._settings, self._http = services, carriers, settings, http
        self._stop, self._row, self._token = stop, row, token
        self._at = row.frozen_at
        self._kind = "database"
        self._until = time.monotonic() + TURN_SECONDS
        self._blocked = services.keep(_Blocked).seen

    async def run(self) -> None:
        """Move the clock on, or do what is due while it stands, for as long as a turn lasts."""
        now = present.real()
        is_over = self._row.status != ClockStatus.ADVANCING and self._at <= now + OVER_WITHIN
        if self._row.is_ending or is_over:
            await in_unit_of_work(partial(drop_test_clock, self._row.id, now, self._token))
            return
        try:
            if self._row.status == ClockStatus.ADVANCING or await self._has_work():
                async with self._inside():
                    await self._advance()
        except _Ending:
            await in_unit_of_work(partial(drop_test_clock, self._row.id, now, self._token))
        except _Lost:
            log.warning("a clock was taken over", clock=ids.encode_id(ids.TEST_CLOCK, self._row.id))
        except Exception as error:
            log.error("a clock stands still", kind=self._kind, error=type(error).__name__)
            await execute(FAIL_CLOCK, self._row.id, self._token, self._kind, TRIES)
        else:
            await execute(LET_CLOCK_GO, self._row.id, self._token)

    @asynccontextmanager
    async def _inside(self) -> AsyncIterator[None]:
        """Work in a session that sees the sandbox alone, and notifies nobody: what it commits is its own work."""
        url, slow_ms = self._settings.session_url, self._settings.slow_query_ms
        assert url is not None, "a worker has a database"

        async def enter(connection: asyncpg.Connection) -> None:
            await connection.execute(ENTER_SANDBOX, clock_schema.SEARCH_PATH, str(self._row.workspace_id))
            if not await connection.fetchval(IS_INSIDE):
                raise RuntimeError("the schema of test clocks is missing: run `msvs migrate`")

        with notifying(None):
            async with database.connected(url, pool_size=CONNECTIONS, is_inner=True, check=enter, slow_ms=slow_ms):
                yield

    async def _has_work(self) -> bool:
        waiting = await self._waiting()
        return bool(waiting) and waiting != self._blocked.get(self._row.id)

    async def _waiting(self) -> Mapping[str, datetime]:
        """Return what waits and is due, each kind with its first time."""
        due = await first_due(self._row.workspace_id, self._row.created_at)
        found = {kind: at for kind, at in due.items() if at <= self._at}
        return found | dict.fromkeys(await open_kinds(self._row.workspace_id), ANY_TIME)

    async def _advance(self) -> None:
        """Do what is due, go to the next moment at which something is, and so on until the clock has arrived."""
        while True:
            if not await self._settle():
                return
            if self._row.status != ClockStatus.ADVANCING:
                return
            target = self._row.target_at
            assert target is not None, "a clock that advances has a target"
            if self._at >= target:
                await execute(CLOCK_ARRIVES, self._row.id, self._token)
                return
            due = await first_due(self._row.workspace_id, self._at)
            await self._move_on(min([target, *(_whole_second(at) for at in due.values())]))

    async def _move_on(self, at: datetime) -> None:
        """Set the clock, and renew the lease. Raises _Lost and _Ending."""
        is_ending = await fetch_value(MOVE_CLOCK_ON, self._row.id, self._token, at, LEASE)
        if is_ending is None:
            raise _Lost
        if is_ending:
            raise _Ending
        self._at = at

    async def _settle(self) -> bool:
        """Do what is due at this moment until nothing more can be done. Return whether the turn may go on."""
        before: Mapping[str, datetime] | None = None
        done = 1
        for _ in range(ROUNDS):
            waiting = await self._waiting()
            if not waiting or (waiting == before and not done):
                self._blocked[self._row.id] = waiting
                return not self._stop.is_set
            before, done = waiting, 0
            for kind, work in self._works().items():
                if kind in waiting:
                    if self._stop.is_set or time.monotonic() >= self._until:
                        return False
                    await self._move_on(self._at)
                    self._kind = kind
                    with present.standing(self._at):
                        done += await work()
        raise RuntimeError("a moment of a clock has no end")

    def _works(self) -> Mapping[str, Callable[[], Awaitable[int]]]:
        """Return what does the work of each kind, in the order in which one may cause another.

        All of it looks with new eyes: what a process remembers of its looks is of another time.
        """
        # No rates of carriers and senders: what sandboxes send uses up none of them.
        known = self._services.rates
        services = self._services.without_memory(
            Rates(host_per_second=known.host_per_second, host_at_once=known.host_at_once)
        )
        stop, now = self._stop, self._at
        return {
            "files": partial(imports.run_all, services, self._settings, self._http, stop=stop),
            "campaigns": partial(campaigns.expand_campaigns, services, stop=stop),
            "messages": partial(dispatch.dispatch_messages, services, self._carriers, stop=stop),
            "leases": partial(dispatch.resolve_expired, services, self._carriers, stop=stop),
            "signals": partial(reports.collect_reports, services, stop=stop),
            "unreported": partial(in_unit_of_work, partial(delivery_reports.give_up_reports, limit=BATCH, now=now)),
            "unresolved": partial(in_unit_of_work, partial(delivery_reports.give_up_unresolved, limit=BATCH, now=now)),
            "ends": maintenance.complete_campaigns,
            "webhooks": partial(status_callbacks.deliver_all, services, self._http, stop=stop),
            "expiry": partial(retention.forget_exports, now, stop=stop),
        }


def _whole_second(at: datetime) -> datetime:
    """Return a time, or the whole second that follows: workers look but every half second, too."""
    return at if at.microsecond == 0 else at.replace(microsecond=0) + STEP
