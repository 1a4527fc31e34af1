"""Reports: what carriers bring: the virtual one from its books, real ones from where their signals are kept."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from msvs import database
from msvs.api import signals
from msvs.api.context import Context
from msvs.api.jobs import Doorbell, ring_now
from msvs.api.replies import receive_inbound
from msvs.api.reports import DeliveryReport, take_reports
from msvs.database import Row, execute, fetch, fetch_value
from msvs.models import SignalKind
from msvs.workers.retrying import in_unit_of_work, is_away
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

BATCH = 1000
# Messages from people, each a transaction of its own, between two batches of reports: STOP must not wait for those.
INBOUND_AT_ONCE = 100
OPT_OUTS_AT_ONCE = 200

TAKE = """
WITH picked AS MATERIALIZED (
    SELECT id FROM virtual_signals WHERE due_at <= $1 AND (kind = 'inbound') = $2
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
DELETE FROM virtual_signals USING picked WHERE virtual_signals.id = picked.id RETURNING virtual_signals.*
"""

# How long one that could not be applied is left alone.
PUT_OFF = timedelta(minutes=1)
POSTPONE = """
UPDATE virtual_signals SET due_at = $1::timestamptz + $3 WHERE id = (
    SELECT id FROM virtual_signals WHERE due_at <= $1 AND (kind = 'inbound') = $2
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
"""


async def collect_reports(*, seconds: float = 10.0, stop: StopFlag | None = None) -> int:
    """Take in due delivery reports and replies until none is due or the time is up; how many."""
    until = time.monotonic() + seconds
    total = 0
    stop = stop or StopFlag()
    while not stop.is_set:
        taken = await _in_batches(_take_reports, partial(_postpone, False))
        taken += await _one(_take_reply, partial(_postpone, True))
        taken += await _in_batches(_apply_reports, partial(_put_off, SignalKind.REPORT))
        taken += await _in_batches(_take_opt_outs, partial(_put_off, SignalKind.OPT_OUT), OPT_OUTS_AT_ONCE)
        taken += await _in_batches(_forget_unread, partial(_put_off, SignalKind.UNREAD))
        for _ in range(INBOUND_AT_ONCE):
            inbound = await _one(_apply_inbound, partial(_put_off, SignalKind.INBOUND))
            taken += inbound
            if not inbound or stop.is_set:
                break
        total += taken
        if not taken:
            break
        if time.monotonic() >= until:
            ring_now([Doorbell.REPORTS])
            break
    return total


async def has_due(now: datetime) -> bool:
    """Whether a carrier has something to bring."""
    has_virtual = await fetch_value("SELECT EXISTS (SELECT FROM virtual_signals WHERE due_at <= $1)", now)
    return bool(has_virtual) or await signals.has_due(now)


async def _in_batches(
    apply: Callable[[int], Awaitable[int]], put_off: Callable[[], Awaitable[None]], limit: int = BATCH
) -> int:
    """Apply a batch of reports; where it breaks, ever fewer, until the one that breaks alone is put off."""
    while True:
        try:
            return await in_unit_of_work(partial(apply, limit))
        except Exception as error:
            if is_away(error):
                raise
            log.error("reports not applied", at_most=limit, error=type(error).__name__)
            if limit == 1:
                await in_unit_of_work(put_off)
                return 1
            limit //= 2


async def _one(take: Callable[[], Awaitable[int]], put_off: Callable[[], Awaitable[None]]) -> int:
    """Take in one inbound message; one that breaks is put off, and holds up no other."""
    try:
        return await in_unit_of_work(take)
    except Exception as error:
        if is_away(error):
            raise
        log.error("inbound message put off", error=type(error).__name__)
        await in_unit_of_work(put_off)
        return 1


async def _apply_reports(limit: int) -> int:
    return await signals.apply_reports(limit=limit, now=await database.now())


async def _take_opt_outs(limit: int) -> int:
    return await signals.apply_opt_outs(limit=limit, now=await database.now())


async def _forget_unread(limit: int) -> int:
    return await signals.forget_unread(limit=limit, now=await database.now())


async def _apply_inbound() -> int:
    return await signals.apply_inbound(now=await database.now())


async def _put_off(kind: SignalKind) -> None:
    await signals.postpone(kind, await database.now())


async def _postpone(is_inbound: bool) -> None:
    await execute(POSTPONE, await database.now(), is_inbound, PUT_OFF)


async def _take_reports(limit: int) -> int:
    """Take a batch of reports off the carrier and apply them, in one transaction."""
    now = await database.now()
    taken: Sequence[Row] = sorted(await fetch(TAKE, now, False, limit), key=lambda row: (row.due_at, row.id))
    await take_reports([DeliveryReport(row.message_id, row.kind == "delivered", row.error_code) for row in taken], now)
    return len(taken)


async def _take_reply() -> int:
    """Take one reply off the carrier and apply it, in one transaction."""
    now = await database.now()
    taken = await fetch(TAKE, now, True, 1)
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
