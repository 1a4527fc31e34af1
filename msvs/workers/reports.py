"""Report jobs: apply the reports of the virtual carrier and the events of real carriers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from msvs import database
from msvs.api.context import Context, Services
from msvs.api.dispatch import reachability
from msvs.api.dispatch.delivery_reports import DeliveryReport, hold_messages, take_reports
from msvs.api.inbound import carrier_events
from msvs.api.inbound.replies import receive_inbound
from msvs.api.notifier import WorkQueue, notify_now
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch
from msvs.looks import InOrder
from msvs.models import CarrierEventKind
from msvs.workers.retrying import is_away, is_stuck
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

BATCH = 1000
# Messages from people, each a transaction of its own, between two batches of reports: STOP must not wait for those.
INBOUND_AT_ONCE = 100
OPT_OUTS_AT_ONCE = 200
# How long a batch may take, and wait for a lock, before a smaller one is tried.
BATCH_SECONDS = 3.0
LOCK_SECONDS = 1.0
# The more of them wait for somebody who is stuck, the shorter each waits: all together less than the others may.
LEAST_LOCK_SECONDS = 0.05

PICK_REPORTS = """
SELECT * FROM virtual_signals WHERE due_at >= $3 AND due_at <= $1 AND kind <> 'inbound'
ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
FIRST_DUE = "SELECT due_at FROM {table} WHERE due_at >= $2 AND due_at <= $1 ORDER BY due_at LIMIT 1"
DELETE_VIRTUAL_EVENTS = "DELETE FROM virtual_signals WHERE id = ANY($1)"
PUT_OFF_VIRTUAL_EVENTS = "UPDATE virtual_signals SET due_at = $2 WHERE id = ANY($1)"
# What a phone wrote is applied in its order: one waits for those before it, also where another worker holds them, or
# somebody who is stuck holds up their contact. OFFSET 0 keeps it from being compared with all that waits.
# A time that is computed keeps the search for an earlier reply at the index of phones: that of times still has an entry
# for each reply that was taken in while somebody's snapshot lasts. A kind that is computed keeps the pick from that
# index, which is of replies alone, and which it would read whole.
PICK_REPLY = """
SELECT reply.* FROM virtual_signals AS reply
WHERE due_at >= $3 AND due_at <= $1 AND kind || '' = 'inbound' AND id <> ALL($2) AND NOT EXISTS (
    SELECT FROM virtual_signals AS earlier WHERE earlier.kind = 'inbound'
        AND earlier.workspace_id = reply.workspace_id AND earlier.livemode = reply.livemode
        AND phone_tail(earlier.phone) = phone_tail(reply.phone)
        AND (earlier.due_at + interval '0', earlier.id) < (reply.due_at, reply.id)
    OFFSET 0
)
ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
PUT_OFF_REPLY = "UPDATE virtual_signals SET due_at = $2 WHERE id = $1"

# How long one that could not be applied is left alone; one that waits for somebody who is stuck, less.
PUT_OFF = timedelta(minutes=1)
STUCK_WAIT = timedelta(seconds=1)
POSTPONE_VIRTUAL_EVENT = """
UPDATE virtual_signals SET due_at = $1::timestamptz + $2 WHERE id = ANY (ARRAY(
    SELECT id FROM virtual_signals WHERE due_at <= $1 AND kind <> 'inbound'
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
))
"""


class ReportLooks:
    """The start of the process's looks at carrier events."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Make the next looks full ones: what breaks is then the first that is due."""
        self.reports = InOrder()
        self.carrier_reports = InOrder()
        self.replies = InOrder()
        self.inbound = InOrder()
        self.opt_outs = InOrder()
        self.reach = InOrder()
        self.unread = InOrder()
        self.due = {table: InOrder() for table in ("virtual_signals", "carrier_signals")}


# Puts the first one off, for as long as it is stuck or, with None, for as long as befits what is broken.
PutOff = Callable[[timedelta | None], Awaitable[None]]


class Tries:
    """Inbound messages that a job tried: those whose contact somebody holds are left alone for a moment.

    They stay due, so that what their phones write meanwhile waits behind them, no matter who takes it.
    """

    def __init__(self) -> None:
        self._until: dict[UUID, float] = {}
        self.current: UUID | None = None

    @property
    def waiting(self) -> list[UUID]:
        """The ones that are left alone now."""
        return [id for id, until in self._until.items() if until > time.monotonic()]

    @property
    def any_left(self) -> bool:
        """Return whether any was left alone, in this job."""
        return bool(self._until)

    def reset(self) -> None:
        """Note that none is being applied."""
        self.current = None

    def begin(self, id: UUID) -> None:
        """Note which one is being applied."""
        self.current = id

    def leave(self) -> None:
        """Leave that one alone for a moment."""
        if self.current is not None:
            self._until[self.current] = time.monotonic() + STUCK_WAIT.total_seconds()


# Takes one inbound message, and puts one off that is broken.
Take = Callable[[Tries], Awaitable[int]]
Break = Callable[[UUID], Awaitable[None]]


async def collect_reports(services: Services, *, seconds: float = 10.0, stop: StopFlag | None = None) -> int:
    """Take in due delivery reports and replies until none is due or the time is up. Return the count."""
    until = time.monotonic() + seconds
    run = _Run(services, stop or StopFlag())
    while not run.stop.is_set:
        before = run.taken
        # A batch of each at most, and not for long: a reply finds its message as reported, and no STOP waits.
        await run.in_batches(partial(_take_reports, services), _postpone)
        await run.in_batches(partial(_apply_reports, services), partial(_put_off, CarrierEventKind.REPORT))
        await run.take_inbound()
        await run.in_batches(partial(_apply_reach, services), partial(_put_off, CarrierEventKind.REACH))
        await run.in_batches(partial(_forget_unread, services), partial(_put_off, CarrierEventKind.UNREAD))
        if run.taken == before:
            break
        if time.monotonic() >= until:
            notify_now([WorkQueue.REPORTS])
            break
    return run.taken


class _Run:
    """Run one job: inbound messages never wait for more than one try of a batch of reports."""

    def __init__(self, services: Services, stop: StopFlag) -> None:
        self._services = services
        self.stop = stop
        self.taken = 0
        self._tries = Tries()

    async def take_inbound(self) -> None:
        """Take in messages from people, some at once, each in a transaction of its own, and opt-outs that carriers saw.

        One that breaks is put off, and holds up no other.
        """
        ways: tuple[tuple[Take, Break], ...] = (
            (partial(_take_reply, self._services), _put_off_reply),
            (partial(_apply_inbound, self._services), _put_off_inbound),
        )
        for take, put_off in ways:
            patience = LOCK_SECONDS
            for _ in range(INBOUND_AT_ONCE):
                taken, is_stuck = await self._one(take, put_off, patience)
                self.taken += taken
                patience = max(patience / 2, LEAST_LOCK_SECONDS) if is_stuck else patience
                if not taken or self.stop.is_set:
                    break
        opt_outs = partial(_take_opt_outs, self._services)
        put_off_opt_out = partial(_put_off, CarrierEventKind.OPT_OUT)
        await self.in_batches(opt_outs, put_off_opt_out, OPT_OUTS_AT_ONCE, with_inbound=False)

    async def in_batches(
        self, apply: Callable[[int], Awaitable[int]], put_off: PutOff, limit: int = BATCH, *, with_inbound: bool = True
    ) -> None:
        """Apply a batch of reports; where it breaks, ever fewer, until the one that breaks alone is put off.

        Unless `with_inbound` is false, what people wrote is taken in between two tries.
        """
        while not self.stop.is_set:
            try:
                self.taken += await _bounded(partial(apply, limit), LOCK_SECONDS)
                return
            except Exception as error:
                if is_away(error):
                    raise
                self._services.keep(ReportLooks).forget()
                log.error("reports not applied", at_most=limit, error=type(error).__name__)
                if limit == 1:
                    await in_unit_of_work(partial(put_off, STUCK_WAIT if is_stuck(error) else None))
                    self.taken += 1
                    return
            limit //= 2
            if with_inbound:
                await self.take_inbound()

    async def _one(self, take: Take, put_off: Break, patience: float) -> tuple[int, bool]:
        """Return how many inbound messages were looked at, and whether that one waits for somebody who is stuck."""
        self._tries.reset()
        try:
            return await _bounded(partial(take, self._tries), patience), False
        except Exception as error:
            if is_away(error):
                raise
            log.error("inbound message delayed", error=type(error).__name__)
            if self._tries.current is None:
                return 0, True
            if is_stuck(error):
                self._tries.leave()
            else:
                await in_unit_of_work(partial(put_off, self._tries.current))
            return 1, is_stuck(error)


async def _bounded(work: Callable[[], Awaitable[int]], patience: float) -> int:
    """Run `work` in a unit of work that takes BATCH_SECONDS at most, and waits so long for a lock."""

    async def wait_and_work() -> int:
        await database.wait_for_locks(patience)
        return await work()

    async with asyncio.timeout(BATCH_SECONDS):
        return await in_unit_of_work(wait_and_work)


class _Due(Protocol):
    @property
    def due_at(self) -> datetime: ...


async def has_due(services: Services, now: datetime) -> bool:
    """Return whether a carrier has something to bring."""
    for table, looks in services.keep(ReportLooks).due.items():
        if await looks.find(now, partial(fetch, _Due, FIRST_DUE.format(table=table), now)):
            return True
    return False


async def _apply_reports(services: Services, limit: int) -> int:
    looks = services.keep(ReportLooks).carrier_reports
    return await carrier_events.apply_reports(limit=limit, now=await database.now(), looks=looks)


async def _take_opt_outs(services: Services, limit: int) -> int:
    looks = services.keep(ReportLooks).opt_outs
    return await carrier_events.apply_opt_outs(services, limit=limit, now=await database.now(), looks=looks)


async def _apply_reach(services: Services, limit: int) -> int:
    return await reachability.apply_reach(limit=limit, now=await database.now(), looks=services.keep(ReportLooks).reach)


async def _forget_unread(services: Services, limit: int) -> int:
    looks = services.keep(ReportLooks).unread
    return await carrier_events.forget_unread(limit=limit, now=await database.now(), looks=looks)


def _inbound_looks(looks: InOrder, tries: Tries) -> InOrder:
    """Return looks that find again what was left alone for a moment, where something is."""
    if tries.any_left:
        looks.forget()
    return looks


async def _apply_inbound(services: Services, tries: Tries) -> int:
    now = await database.now()
    looks = _inbound_looks(services.keep(ReportLooks).inbound, tries)
    return await carrier_events.apply_inbound(services, now=now, without=tries.waiting, begin=tries.begin, looks=looks)


async def _put_off_inbound(id: UUID) -> None:
    await carrier_events.put_off(id, await database.now())


async def _put_off(kind: CarrierEventKind, wait: timedelta | None) -> None:
    await carrier_events.postpone(kind, await database.now(), wait)


async def _postpone(wait: timedelta | None) -> None:
    await execute(POSTPONE_VIRTUAL_EVENT, await database.now(), wait or PUT_OFF)


async def _take_reports(services: Services, limit: int) -> int:
    """Take a batch of reports off the carrier and apply them, in one transaction; those of held messages wait."""
    now = await database.now()
    picked = await services.keep(ReportLooks).reports.find(now, partial(fetch, PICK_REPORTS, now, limit))
    held = await hold_messages(row.message_id for row in picked)
    if held:
        await execute(PUT_OFF_VIRTUAL_EVENTS, [row.id for row in picked if row.message_id in held], now + STUCK_WAIT)
    taken = [row for row in picked if row.message_id not in held]
    await take_reports([DeliveryReport(row.message_id, row.kind == "delivered", row.error_code) for row in taken], now)
    if taken:
        await execute(DELETE_VIRTUAL_EVENTS, [row.id for row in taken])
    return len(picked)


async def _put_off_reply(id: UUID) -> None:
    await execute(PUT_OFF_REPLY, id, await database.now() + PUT_OFF)


async def _take_reply(services: Services, tries: Tries) -> int:
    """Take one reply off the carrier and apply it, in one transaction."""
    now = await database.now()
    looks = _inbound_looks(services.keep(ReportLooks).replies, tries)
    taken = await looks.find(now, partial(fetch, PICK_REPLY, now, tries.waiting))
    for row in taken:
        tries.begin(row.id)
        await execute(DELETE_VIRTUAL_EVENTS, [row.id])
        await receive_inbound(
            Context(row.workspace_id, row.livemode, services=services),
            from_phone=row.phone,
            to_sender=row.sender,
            text=row.text,
            dedupe_key=f"virtual:{row.id}",
            now=now,
        )
    return len(taken)
