"""Lists and look-ups over a table of ten million messages: nothing may depend on how many there are."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable

from bench.engines import Bench, bench
from msvs import database as db
from msvs.api.context import Context
from msvs.api.messages import messages
from msvs.api.pages import PageRequest
from msvs.api.webhooks import events
from tests.services import SERVICES

SLICE = 250_000
ROUNDS = 40

# A tenth of the rows are ours; the ids are spread over the last 60 days, in order, as they would have come.
FILL = """
INSERT INTO messages (id, workspace_id, livemode, kind, campaign_id, contact_id, to_phone, sender, body, encoding,
    segments, credits_used, status, metadata, due_at, created_at, sent_at, delivered_at, opted_out, attempt_count)
SELECT overlay(id_floor(at)::text placing right(gen_random_uuid()::text, 22) from 15)::uuid,
    CASE WHEN n % 10 = 0 THEN $3::uuid ELSE md5((n % 97)::text)::uuid END, true, 'campaign',
    md5((n % 1000)::text)::uuid, md5((n % 100000)::text)::uuid, '+1' || (2000000000 + n % 100000)::text, 'COHORTLABS',
    'Hey Maria, cart closes tonight at 8pm ET. Reply STOP to opt out.', 'gsm7', 1, 1,
    CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'delivered' END, '{}', at, at, at, at, false, 1
FROM (
    SELECT n, now() - interval '60 days' * (1 - n::float8 / $4) AS at FROM generate_series($1::bigint, $2::bigint) AS n
) AS rows
"""


async def timed(ask: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Return the median and the p95 of asking, in milliseconds."""
    await ask()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    return {"p50_ms": statistics.median(times), "p95_ms": times[int(len(times) * 0.95)]}


async def _measure(place: Bench, rows: int) -> dict[str, dict[str, float]]:
    async with place.connected():
        for month in (1, 2, 3):
            await db.execute(
                "SELECT ensure_partition('messages', 'fillfactor = 80', now() - make_interval(months => $1))", month
            )
        start = time.perf_counter()
        for first in range(0, rows, SLICE):
            await db.execute(FILL, first, min(first + SLICE, rows) - 1, place.workspace_id, rows)
        filled = time.perf_counter() - start
        await db.execute("ANALYZE messages")
        ctx = Context(place.workspace_id, True, services=SERVICES)
        first_page = await messages.list_messages(ctx, PageRequest(100))
        middle = await db.fetch_value(
            "SELECT id FROM messages WHERE workspace_id = $1 AND livemode AND id < id_floor(now() - interval '30 days')"
            " ORDER BY id DESC LIMIT 1",
            place.workspace_id,
        )
        some = first_page.items[50]
        return {
            "filled": {"rows": rows, "seconds": filled},
            "list of 100, newest": await timed(lambda: messages.list_messages(ctx, PageRequest(100))),
            "list of 100, from the middle": await timed(
                lambda: messages.list_messages(ctx, PageRequest(100, starting_after=middle))
            ),
            "list of 100, backwards": await timed(
                lambda: messages.list_messages(ctx, PageRequest(100, ending_before=middle))
            ),
            "list of 100, delivered": await timed(
                lambda: messages.list_messages(ctx, PageRequest(100), status="delivered")
            ),
            "list of 100, failed": await timed(lambda: messages.list_messages(ctx, PageRequest(100), status="failed")),
            "list of 100, of a campaign": await timed(
                lambda: messages.list_messages(ctx, PageRequest(100), campaign_id=some.campaign_id)
            ),
            "list of 100, of a contact": await timed(
                lambda: messages.list_messages(ctx, PageRequest(100), contact_id=some.contact_id)
            ),
            "one message": await timed(lambda: messages.get_message(ctx, some.id)),
            "list of 100 events": await timed(lambda: events.list_events(ctx, PageRequest(100))),
        }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    options = parser.parse_args()
    with bench() as place:
        print(json.dumps(asyncio.run(_measure(place, options.rows)), indent=2))


if __name__ == "__main__":
    main()
