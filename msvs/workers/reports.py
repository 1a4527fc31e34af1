"""Reports: what carriers bring: the virtual one from its books, real ones from where their carrier events are kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from msvs import database
from msvs.api.context import Context
from msvs.api.dispatch.delivery_reports import DeliveryReport, hold_messages, take_reports
from msvs.api.inbound import carrier_events
from msvs.api.inbound.replies import receive_inbound
from msvs.api.notifier import WorkQueue, notify_now
from msvs.database import execute, fetch, fetch_value
from msvs.models import CarrierEventKind
from msvs.workers.retrying import in_unit_of_work, is_away, is_stuck
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
SELECT * FROM virtual_signals WHERE due_at <= $1 AND kind <> 'inbound'
ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
DONE = "DELETE FROM virtual_signals WHERE id = ANY($1)"
AGAIN = "UPDATE virtual_signals SET due_at = $2 WHERE id = ANY($1)"
TAKE_REPLY = """
DELETE FROM virtual_signals WHERE id = (
    SELECT id FROM virtual_signals WHERE due_at <= $1 AND kind = 'inbound'
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING *
"""

# How long one that could not be applied is left alone; one that waits for somebody who is stuck, less.
PUT_OFF = timedelta(minutes=1)
STUCK_WAIT = timedelta(seconds=1)
# What else a phone wrote waits with one that is stuck, so that STOP and START keep their order.
POSTPONE = """
WITH first AS MATERIALIZED (
    SELECT * FROM virtual_signals WHERE due_at <= $1 AND (kind = 'inbound') = $2
    ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE virtual_signals SET due_at = $1::timestamptz + $3 + (virtual_signals.due_at - first.due_at) FROM first
WHERE virtual_signals.id = first.id OR ($2 AND $4::bool AND virtual_signals.kind = 'inbound'
    AND virtual_signals.due_at <= $1 AND virtual_signals.workspace_id = first.workspace_id
    AND virtual_signals.livemode = first.livemode AND virtual_signals.phone = first.phone)
"""

# Puts the first one off, for as long as it is stuck or, with None, for as long as befits what is broken.
PutOff = Callable[[timedelta | None], Awaitable[None]]


async def collect_reports(*, seconds: float = 10.0, stop: StopFlag | None = None) -> int:
    """Take in due delivery reports and replies until none is due or the time is up; how many."""
    until = time.monotonic() + seconds
    run = _Run(stop or StopFlag())
    while not run.stop.is_set:
        before = run.taken
        # A batch of each at most, and not for long: a reply finds its message as reported, and no STOP waits.
        await run.in_batches(_take_reports, partial(_postpone, False))
        await run.in_batches(_apply_reports, partial(_put_off, CarrierEventKind.REPORT))
        await run.take_inbound()
        await run.in_batches(_forget_unread, partial(_put_off, CarrierEventKind.UNREAD))
        if run.taken == before:
            break
        if time.monotonic() >= until:
            notify_now([WorkQueue.REPORTS])
            break
    return run.taken


class _Run:
    """One job: what people wrote never waits for more than a try of a batch of reports, whatever becomes of it."""

    def __init__(self, stop: StopFlag) -> None:
        self.stop = stop
        self.taken = 0

    async def take_inbound(self) -> None:
        """Take in messages from people, some at once, each in a transaction of its own, and opt-outs that carriers saw.

        One that breaks is put off, and holds up no other.
        """
        for take, put_off in (
            (_take_reply, partial(_postpone, True)),
            (_apply_inbound, partial(_put_off, CarrierEventKind.INBOUND)),
        ):
            patience = LOCK_SECONDS
            for _ in range(INBOUND_AT_ONCE):
                taken, is_stuck = await self._one(take, put_off, patience)
                self.taken += taken
                patience = max(patience / 2, LEAST_LOCK_SECONDS) if is_stuck else patience
                if not taken or self.stop.is_set:
                    break
        await self.in_batches(_take_opt_outs, partial(_put_off, CarrierEventKind.OPT_OUT), OPT_OUTS_AT_ONCE)

    async def in_batches(self, apply: Callable[[int], Awaitable[int]], put_off: PutOff, limit: int = BATCH) -> None:
        """Apply a batch of reports; where it breaks, ever fewer, until the one that breaks alone is put off."""
        while not self.stop.is_set:
            try:
                self.taken += await _bounded(partial(apply, limit), LOCK_SECONDS)
                return
            except Exception as error:
                if is_away(error):
                    raise
                log.error("reports not applied", at_most=limit, error=type(error).__name__)
                if limit == 1:
                    await in_unit_of_work(partial(put_off, STUCK_WAIT if is_stuck(error) else None))
                    self.taken += 1
                    return
            limit //= 2
            if apply is not _take_opt_outs:
                await self.take_inbound()

    async def _one(self, take: Callable[[], Awaitable[int]], put_off: PutOff, patience: float) -> tuple[int, bool]:
        """How many inbound messages were looked at, and whether that one waits for somebody who is stuck."""
        try:
            return await _bounded(take, patience), False
        except Exception as error:
            if is_away(error):
                raise
            log.error("inbound message put off", error=type(error).__name__)
            await in_unit_of_work(partial(put_off, STUCK_WAIT if is_stuck(error) else None))
            return 1, is_stuck(error)


async def _bounded(work: Callable[[], Awaitable[int]], patience: float) -> int:
    """Run `work` in a unit of work that takes BATCH_SECONDS at most, and waits so long for a lock."""

    async def wait_and_work() -> int:
        await database.wait_for_locks(patience)
        return await work()

    async with asyncio.timeout(BATCH_SECONDS):
        return await in_unit_of_work(wait_and_work)


async def has_due(now: datetime) -> bool:
    """Whether a carrier has something to bring."""
    has_virtual = await fetch_value("SELECT EXISTS (SELECT FROM virtual_signals WHERE due_at <= $1)", now)
    return bool(has_virtual) or await carrier_events.has_due(now)


async def _apply_reports(limit: int) -> int:
    return await carrier_events.apply_reports(limit=limit, now=await database.now())


async def _take_opt_outs(limit: int) -> int:
    return await carrier_events.apply_opt_outs(limit=limit, now=await database.now())


async def _forget_unread(limit: int) -> int:
    return await carrier_events.forget_unread(limit=limit, now=await database.now())


async def _apply_inbound() -> int:
    return await carrier_events.apply_inbound(now=await database.now())


async def _put_off(kind: CarrierEventKind, wait: timedelta | None) -> None:
    await carrier_events.postpone(kind, await database.now(), wait)


async def _postpone(is_inbound: bool, wait: timedelta | None) -> None:
    await execute(POSTPONE, await database.now(), is_inbound, wait or PUT_OFF, wait is not None)


async def _take_reports(limit: int) -> int:
    """Take a batch of reports off the carrier and apply them, in one transaction; those of held messages wait."""
    now = await database.now()
    picked = await fetch(PICK_REPORTS, now, limit)
    held = await hold_messages(row.message_id for row in picked)
    if held:
        await execute(AGAIN, [row.id for row in picked if row.message_id in held], now + STUCK_WAIT)
    taken = [row for row in picked if row.message_id not in held]
    await take_reports([DeliveryReport(row.message_id, row.kind == "delivered", row.error_code) for row in taken], now)
    if taken:
        await execute(DONE, [row.id for row in taken])
    return len(picked)


async def _take_reply() -> int:
    """Take one reply off the carrier and apply it, in one transaction."""
    now = await database.now()
    taken = await fetch(TAKE_REPLY, now)
    for row in taken:
        await receive_inbound(
            Context(row.workspace_id, row.livemode),
            from_phone=row.phone,
            to_sender=row.sender,
            text=row.text,
            dedupe_key=f"virtual:{row.id}",
            now=now,
        )
    return len(taken)
