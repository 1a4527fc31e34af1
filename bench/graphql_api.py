"""What GraphQL adds: its queries and a mutation beside the operations they call, over a million messages."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from bench.engines import Bench, add_people, bench
from msvs import database as db
from msvs import garbage
from msvs.address_policy import AddressPolicy
from msvs.api import limits
from msvs.api.accounts import auth, workspaces
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.contacts import lists
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.inbound import replies
from msvs.api.messages import messages
from msvs.api.pages import PageRequest
from msvs.api.resources import campaign_resource, contact_resource, inbound_message_resource, message_resource
from msvs.api.scope import scoped
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.garbage import collect_less
from msvs.models import Campaign, Contact
from msvs.settings import Settings
from tests.services import SERVICES, use_address_policy

DOCUMENTS = Path(__file__).parents[1] / "docs" / "graphql"
CAMPAIGNS = 20
REPLIES = 2000

# Spread over the last 30 days, four of five in campaigns, most of them delivered.
MESSAGES = """
INSERT INTO messages (id, workspace_id, livemode, kind, campaign_id, contact_id, to_phone, sender, body, encoding,
    segments, credits_used, status, metadata, due_at, created_at, sent_at, delivered_at, opted_out, attempt_count)
SELECT overlay(id_floor(made.at)::text placing right(gen_random_uuid()::text, 22) from 15)::uuid, $1, $2,
    CASE WHEN made.n % 5 = 0 THEN 'api' ELSE 'campaign' END,
    CASE WHEN made.n % 5 > 0 THEN ($3::uuid[])[1 + made.n % array_length($3::uuid[], 1)] END,
    people.id, people.phone, 'MASSIVESMS', 'Hey Maria, cart closes tonight at 8pm ET. Reply STOP to opt out.', 'gsm7',
    1, 1, CASE WHEN made.n % 50 = 0 THEN 'failed' ELSE 'delivered' END, '{}', made.at, made.at, made.at, made.at,
    false, 1
FROM (
    SELECT n, now() - make_interval(secs => 2592000.0 * n / $4) AS at FROM generate_series($5::int, $6::int) AS n
) AS made JOIN (
    SELECT id, phone, row_number() OVER (ORDER BY id) - 1 AS place FROM contacts
    WHERE workspace_id = $1 AND livemode = $2
) AS people ON people.place = made.n % $7::bigint
"""
INBOUND = """
INSERT INTO inbound_messages (id, workspace_id, livemode, from_phone, to_sender, body, contact_id, dedupe_key,
    received_at)
SELECT overlay(id_floor(now())::text placing right(gen_random_uuid()::text, 22) from 15)::uuid, $1, $2, phone,
    'MASSIVESMS', 'When?', id, 'bench-' || id, now()
FROM contacts WHERE workspace_id = $1 AND livemode = $2 ORDER BY id LIMIT $3
"""
CHUNK = 100_000


async def fill(place: Bench, number: int, people: int) -> Context:
    """Write contacts, campaigns, messages and replies of the sandbox."""
    ctx = Context(place.workspace_id, livemode=False, services=SERVICES)
    list_id = await add_people(ctx.workspace_id, False, people)
    ids: list[UUID] = []
    for count in range(CAMPAIGNS):
        async with unit_of_work():
            new = CreateCampaign(f"Cohort {count}", "Hi", list_ids=[list_id], draft=True)
            ids.append((await campaigns.create_campaign(ctx, new)).id)
    await db.execute("UPDATE campaigns SET status = 'completed' WHERE workspace_id = $1", ctx.workspace_id)
    for first in range(0, number, CHUNK):
        last = min(number, first + CHUNK) - 1
        await db.execute(MESSAGES, ctx.workspace_id, False, ids, float(number), first, last, people)
    await db.execute(INBOUND, ctx.workspace_id, False, REPLIES)
    await db.execute("ANALYZE messages, campaigns, inbound_messages, contacts")
    return ctx


async def overview(ctx: Context) -> Any:
    """What Overview.graphql reads, by its operations one after the other."""
    five = PageRequest(5)
    found = await campaigns.list_campaigns(ctx, five)
    stats = await campaigns.campaign_stats(ctx, found.items)
    return [
        await workspaces.get_workspace(ctx),
        await credits.get_credits(ctx),
        [message_resource(row) for row in (await messages.list_messages(ctx, five)).items],
        [campaign_resource(row, stats[row.id]) for row in found.items],
        [inbound_message_resource(row) for row in (await replies.list_inbound(ctx, five)).items],
        (await list_matching(ctx, PageRequest(1))).items,
        await scoped(ctx, Contact).count(),
    ]


async def message_list(ctx: Context) -> Any:
    """A hundred messages, their contacts and their campaigns."""
    rows = (await messages.list_messages(ctx, PageRequest(100))).items
    people = await scoped(ctx, Contact).filter(id__in=[row.contact_id for row in rows])
    found = await scoped(ctx, Campaign).filter(id__in=[row.campaign_id for row in rows if row.campaign_id])
    return [[message_resource(row) for row in rows], [contact_resource(row) for row in people], found]


async def create_list(ctx: Context) -> Any:
    """A mutation in its transaction."""
    async with unit_of_work():
        return await lists.create_list(ctx, "Cohort 07")


CASES: dict[str, tuple[str, dict[str, Any], Callable[[Context], Awaitable[Any]]]] = {
    "overview": ("Overview", {}, overview),
    "100 messages with contact and campaign": ("Messages", {"first": 100}, message_list),
    "mutation (createList)": ("CreateList", {"name": "Cohort 07"}, create_list),
}


async def measured(call: Callable[[], Awaitable[Any]], times: int) -> tuple[float, float]:
    """p50 and p95 of a call, in milliseconds, after some to warm up."""
    for _ in range(max(5, times // 10)):
        await call()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - start) * 1000)
    parts = statistics.quantiles(taken, n=20, method="inclusive")
    return parts[9], parts[18]


@asynccontextmanager
async def client(place: Bench) -> Any:
    """A client of the whole application in this process, its rate limits out of the way."""
    for bucket in limits.RATES:
        limits.RATES[bucket] = type(limits.RATES[bucket])(1_000_000, 10_000_000)  # type: ignore[index]
    settings = Settings(database_url=place.database_url, redis_url=place.redis_url, data_dir=place.directory)
    use_address_policy(AddressPolicy.from_settings(settings))
    SERVICES.keyring.seal_with(settings.encryption_secret())
    app = create_app(settings, SERVICES)
    collect_less(garbage.API)
    headers = {"Authorization": f"Bearer {place.test_key}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as made:
        yield made
    await auth.settle(SERVICES)
    await app.state.limiter.close()
    await app.state.readiness.close()


async def run(place: Bench, number: int, people: int, times: int) -> list[dict[str, Any]]:
    """Fill the tables, and measure each case both ways."""
    found: list[dict[str, Any]] = []
    async with place.connected():
        start = time.perf_counter()
        ctx = await fill(place, number, people)
        print(f"{number} messages written in {time.perf_counter() - start:.0f} s")
        async with client(place) as http:
            for name, (document, variables, direct) in CASES.items():
                body = {"query": (DOCUMENTS / f"{document}.graphql").read_text(), "variables": variables}

                async def ask(body: dict[str, Any] = body) -> None:
                    response = await http.post("/graphql", json=body)
                    answer = response.json()
                    assert response.status_code == 200, answer
                    assert "errors" not in answer, answer

                async def call(direct: Callable[[Context], Awaitable[Any]] = direct) -> None:
                    await direct(ctx)

                p50, p95 = await measured(call, times)
                asked50, asked95 = await measured(ask, times)
                found.append(
                    {
                        "case": name,
                        "direct_p50_ms": round(p50, 2),
                        "direct_p95_ms": round(p95, 2),
                        "graphql_p50_ms": round(asked50, 2),
                        "graphql_p95_ms": round(asked95, 2),
                        "ratio_p50": round(asked50 / p50, 2),
                        "ratio_p95": round(asked95 / p95, 2),
                    }
                )
    return found


def main() -> None:
    """Measure, and print a table; the same as JSON where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with bench() as place:
        rows = asyncio.run(run(place, arguments.messages, arguments.people, arguments.times))
    head = list(rows[0])
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(str(row[name]) for name in head)} |")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
