"""Reports: what carriers bring: the virtual one from its books, real ones from where their signals are kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import structlog
from asyncpg.exceptions import PostgresConnectionError

from msvs import database
from msvs.api import signals
from msvs.api.context import Context
from msvs.api.jobs import Doorbell, ring_now
from msvs.api.replies import receive_inbound
from msvs.api.reports import DeliveryReport, take_reports
from msvs.database import Row, fetch, fetch_value
from msvs.models import SignalKind
from msvs.workers.retrying import in_unit_of_work

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


async def collect_reports(*, seconds: float = 10.0) -> int:
    """Take in due delivery reports and replies until none is due or the time is up; how many."""
    until = time.monotonic() + seconds
    total = 0
    while True:
        taken = await in_unit_of_work(_take_reports) + await in_unit_of_work(_take_reply)
        taken += await _apply_reports() + await _apply_opt_outs()
        for _ in range(INBOUND_AT_ONCE):
            inbound = await _take_inbound()
            taken += inbound
            if not inbound:
                break
        total += taken
        if not taken:
            return total
        if time.monotonic() >= until:
            ring_now([Doorbell.REPORTS])
            return total


async def has_due(now: datetime) -> bool:
    """Whether a carrier has something to bring."""
    has_virtual = await fetch_value("SELECT EXISTS (SELECT FROM virtual_signals WHERE due_at <= $1)", now)
    return bool(has_virtual) or await signals.has_due(now)


async def _apply_reports() -> int:
    """Apply a batch of reports; where it breaks, ever fewer, until the one that breaks alone is put off."""
    limit = BATCH
    while True:
        try:
            return await in_unit_of_work(partial(signals.apply_reports, limit=limit, now=await database.now()))
        except PostgresConnectionError:
            raise
        except Exception as error:
            log.error("reports not applied", at_most=limit, error=type(error).__name__)
            if limit == 1:
                await in_unit_of_work(partial(signals.postpone, SignalKind.REPORT, await database.now()))
                return 1
            limit //= 2


async def _apply_opt_outs() -> int:
    return await in_unit_of_work(_take_opt_outs)


async def _take_opt_outs() -> int:
    return await signals.apply_opt_outs(limit=OPT_OUTS_AT_ONCE, now=await database.now())


async def _apply_inbound() -> int:
    return await signals.apply_inbound(now=await database.now())


async def _take_inbound() -> int:
    """Take in one inbound message; one that breaks is put off, and holds up no other."""
    try:
        return await in_unit_of_work(_apply_inbound)
    except PostgresConnectionError:
        raise
    except Exception as error:
        log.error("inbound message put off", error=type(error).__name__)
        await in_unit_of_work(partial(signals.postpone, SignalKind.INBOUND, await database.now()))
        return 1


async def _take_reports() -> int:
    """Take a batch of reports off the carrier and apply them, in one transaction."""
    now = await database.now()
    taken: Sequence[Row] = sorted(await fetch(TAKE, now, False, BATCH), key=lambda row: (row.due_at, row.id))
    await take_reports([DeliveryReport(row.message_id, row.kind == "delivered", row.error_code) for row in taken], now)
    return len(taken)


async def _take_reply() -> int:
    """Take one reply off the carrier and apply it, in one transaction: a reply that breaks holds up no other."""
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
