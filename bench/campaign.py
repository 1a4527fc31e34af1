"""A campaign from creation to completion, against COPY and UPDATE of the same rows."""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import time
from datetime import UTC, datetime
from uuid import UUID

from bench.engines import Bench, add_people, bench
from msvs import database as db
from msvs import garbage
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.scripts import Script, ScriptedEvent
from msvs.carriers.virtual import VirtualCarrier
from msvs.garbage import collect_less
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import complete_campaigns
from msvs.workers.reports import collect_reports
from tests.services import SERVICES

INSTANT = Script((ScriptedEvent("delivered", 0),))
BODY = "Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out."

# The tables that a campaign writes; the floor writes the same rows into the same tables.
COPIED = ("messages", "events", "message_attempts", "ledger_entries", "virtual_submissions", "virtual_signals")


def carrier() -> VirtualCarrier:
    """A virtual carrier that reports at once."""
    return VirtualCarrier(scripts=lambda _phone: INSTANT)


async def run(place: Bench, number: int, *, livemode: bool = True) -> dict[str, float]:
    """Run one campaign to `number` people in this process; seconds of each step."""
    ctx = Context(place.workspace_id, livemode, services=SERVICES)
    list_id = await add_people(place.workspace_id, livemode, number)
    times: dict[str, float] = {}
    clock = time.perf_counter
    start = clock()
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Bench", BODY, list_ids=[list_id]))
    times["create"] = clock() - start
    while not (await campaigns.get_campaign(ctx, campaign.id)).dispatched_at:
        await expand_campaigns(SERVICES, seconds=600)
    times["expand"] = clock() - start
    step = clock()
    await dispatch_messages(SERVICES, {"virtual": carrier()}, seconds=3600)
    times["dispatch"] = clock() - step
    step = clock()
    await collect_reports(SERVICES, seconds=3600)
    times["reports"] = clock() - step
    await complete_campaigns()
    times["complete"] = clock() - start
    done = await campaigns.get_campaign(ctx, campaign.id)
    stats = (await campaigns.campaign_stats(ctx, [done]))[done.id]
    assert (done.status, stats.delivered) == ("completed", number), (done.status, stats)
    times["memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return times


async def floor_messages(campaign_id: UUID) -> float:
    """Seconds to COPY the campaign's message rows into the message table, in one go."""
    columns, rows = await _rows("messages", "campaign_id = $1", campaign_id)
    await db.execute("TRUNCATE messages")
    start = time.perf_counter()
    await db.copy_rows("messages", columns, rows)
    return time.perf_counter() - start


async def floor_both(campaign_id: UUID) -> float:
    """Seconds to COPY what an expansion writes: messages as they are queued, and their events, each in one go."""
    await db.execute(
        "UPDATE messages SET status = 'queued', sent_at = NULL, delivered_at = NULL, handed_at = NULL, carrier = NULL,"
        " carrier_ref = NULL, attempt_count = 0, credits_used = 0 WHERE campaign_id = $1",
        campaign_id,
    )
    tables = {
        "messages": await _rows("messages", "campaign_id = $1", campaign_id),
        "events": await _rows("events", "type = 'message.queued'"),
    }
    await db.execute("TRUNCATE messages, events")
    start = time.perf_counter()
    for name, (columns, rows) in tables.items():
        await db.copy_rows(name, columns, rows)
    return time.perf_counter() - start


async def floor_complete(number: int, campaign_id: UUID) -> float:
    """Seconds for the same row writes: COPY of every row inserted, UPDATE … FROM unnest for every change, by 1,000."""
    tables = {name: await _rows(name, "true") for name in COPIED}
    await db.execute("ALTER TABLE ledger_entries DISABLE TRIGGER USER")
    await db.execute(
        "TRUNCATE messages, events, message_attempts, ledger_entries, virtual_submissions, virtual_signals"
    )
    await db.execute("ALTER TABLE ledger_entries ENABLE TRIGGER USER")
    ids = [row[0] for row in tables["messages"][1]]
    attempts = [row[0] for row in tables["message_attempts"][1]]
    now = datetime.now(UTC)
    start = time.perf_counter()
    for name, (columns, rows) in tables.items():
        for first in range(0, len(rows), 1000):
            await db.copy_rows(name, columns, rows[first : first + 1000])
    change = "UPDATE {} SET {} FROM unnest($1::uuid[]) AS changed (id) WHERE {}.id = changed.id"
    updates = (
        (change.format("messages", "status = 'sending', lease_until = $2", "messages"), ids),
        (change.format("messages", "status = 'sent', sent_at = $2", "messages"), ids),
        (change.format("messages", "status = 'delivered', delivered_at = $2", "messages"), ids),
        (change.format("message_attempts", "outcome = 'accepted', ended_at = $2", "message_attempts"), attempts),
    )
    for sql, keys in updates:
        for first in range(0, len(keys), 1000):
            await db.execute(sql, keys[first : first + 1000], now)
    scripted_events = [row[0] for row in tables["virtual_submissions"][1]]
    for first in range(0, len(scripted_events), 1000):
        await db.execute("DELETE FROM virtual_signals WHERE id = ANY($1)", scripted_events[first : first + 1000])
    return time.perf_counter() - start


async def _rows(table: str, condition: str, *values: object) -> tuple[list[str], list[tuple[object, ...]]]:
    found = await db.fetch(f"SELECT * FROM {table} WHERE {condition}", *values)
    columns = list(found[0].keys()) if found else ["id"]
    return columns, [tuple(row.values()) for row in found]


async def measure(place: Bench, number: int, *, floors: bool = True) -> dict[str, float]:
    """One campaign and its floors, in a process that collects garbage as a worker does."""
    collect_less(garbage.WORKERS)
    async with place.connected():
        times = await run(place, number)
        if floors:
            campaign_id = await db.fetch_value("SELECT id FROM campaigns ORDER BY id DESC LIMIT 1")
            times["floor_complete"] = await floor_complete(number, campaign_id)
            times["floor_messages"] = await floor_messages(campaign_id)
            times["floor_both"] = await floor_both(campaign_id)
            times["ratio_expand_both"] = times["floor_both"] / times["expand"]
            times["ratio_expand"] = times["floor_messages"] / times["expand"]
            times["ratio_complete"] = times["floor_complete"] / times["complete"]
        return times


def main() -> None:
    """Print the figures of one campaign as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipients", type=int, default=100_000)
    parser.add_argument("--no-floors", action="store_true")
    options = parser.parse_args()
    with bench() as place:
        print(json.dumps(asyncio.run(measure(place, options.recipients, floors=not options.no_floors)), indent=2))


if __name__ == "__main__":
    main()
