"""What is found by its time is found in a sandbox with a clock too, whose times no id tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from aiohttp import web

from msvs import clock_schema, present
from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import auth
from msvs.api.context import Context
from msvs.api.resources import moment
from msvs.database import fetch_value
from msvs.http_client import HttpClient
from msvs.models import Campaign, Message, WebhookEndpoint
from tests import factories
from tests.connectors.test_orders import SESSION, SHOPIFY, shopify, stripe
from tests.plans import reading
from tests.receiver import Received, Receiver, make_endpoint
from tests.rest_compat.making import get, in_future, post
from tests.rest_compat.test_routes_order_hooks import make_hook, send
from tests.services import SERVICES
from tests.workers.clocking import MONDAY, Clocks

LINK = "https://shop.cohortlabs.co/p/challenge"


@pytest.fixture
async def clocks(database: str, http: HttpClient) -> Clocks:
    return Clocks(database, http)


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_orders_of_shops_happen_at_the_time_of_the_sandbox(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    shop, shop_path = await make_hook(api, "shopify")
    _, stripe_path = await make_hook(api, "stripe")
    await clocks.begin(ctx)
    contact = await post(api, "/v1/contacts", phone="+12125550123", email="maria@cohortlabs.co")
    sent = await post(api, "/v1/messages", to="+12125550123", body="Doors open")
    await clocks.work()
    await clocks.advance(ctx, minutes=1)
    assert (await send(api, shop_path, shopify(SHOPIFY)))["status"] == "recorded"
    await clocks.advance(ctx, hours=12)
    # Signed in real time, as Stripe does.
    told = stripe("checkout.session.completed", SESSION, at=present.real())
    assert (await send(api, stripe_path, told))["status"] == "recorded"
    rows = (await get(api, "/v1/conversions"))["data"]
    times = [moment(MONDAY + timedelta(hours=12, minutes=1)), moment(MONDAY + timedelta(minutes=1))]
    assert [row["occurred_at"] for row in rows] == [row["created_at"] for row in rows] == times
    assert {(row["contact_id"], row["attributed"]["message_id"]) for row in rows} == {(contact["id"], sent["id"])}
    seen = {row["id"]: row["last_order_at"] for row in (await get(api, "/v1/order_hooks"))["data"]}
    assert seen[shop["id"]] == times[1]
    since = moment(MONDAY)
    found = (await get(api, f"/v1/conversions?occurred_from={since}"))["data"]
    assert [row["id"] for row in found] == [row["id"] for row in rows]


async def test_people_posted_to_a_list_come_at_the_time_of_the_sandbox(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    await clocks.begin(ctx)
    source = {"type": "hook", "settings": {}, "mapping": {"phone": "phone"}}
    made = await post(api, "/v1/lists", name="Webinar", source=source)
    path = made["source"]["hook_url"].removeprefix(SERVICES.base_url)
    answer = await api.post(path, json={"phone": "+12125550131"})
    assert answer.status_code == 200, answer.text
    row = (await get(api, "/v1/contacts"))["data"][0]
    assert read(row["created_at"]) == MONDAY
    times = await db.fetch("SELECT created_at FROM hook_deliveries")
    assert [row.created_at for row in times] == [MONDAY]


@pytest.mark.usefixtures("loopback_webhooks")
async def test_an_endpoint_recovers_and_tells_its_health(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks, receiver: Receiver
) -> None:
    async def fail(_post: Received) -> web.Response:
        return web.Response(status=500)

    await clocks.begin(ctx)
    endpoint = await make_endpoint(ctx, receiver.url(), ["message.queued"])
    id = ids.encode_id(ids.WEBHOOK, endpoint.id)
    await post(api, "/v1/messages", to="+12125550101", body="Taken")
    await clocks.work()
    receiver.answer = fail
    await clocks.advance(ctx, hours=1)
    await post(api, "/v1/messages", to="+12125550102", body="Missed")
    await clocks.work()
    await clocks.advance(ctx, hours=26)
    failing = await get(api, f"/v1/webhooks/{id}/health")
    assert (failing["status"], failing["missed_count"], failing["pending_count"]) == ("failing", 1, 0)
    assert failing["last_success_at"] == moment(MONDAY)
    # Within the last day of the sandbox: the attempts that were made in it, and not those before.
    within = await fetch_value(
        "SELECT count(*) FROM webhook_attempts WHERE created_at >= $1", MONDAY + timedelta(hours=3)
    )
    assert 0 < within < len(receiver.posts)
    assert failing["recent_attempt_count"] == within
    await WebhookEndpoint.filter(id=endpoint.id).update(enabled=False)
    await post(api, "/v1/messages", to="+12125550103", body="While it was disabled")
    await clocks.work()
    await WebhookEndpoint.filter(id=endpoint.id).update(enabled=True)
    receiver.answer = accept_all
    receiver.posts.clear()
    early = await api.post(f"/v1/webhooks/{id}/recover", json={"since": moment(present.real())})
    assert (early.status_code, early.json()["error"]["param"]) == (400, "since")
    recovered = await post(api, f"/v1/webhooks/{id}/recover", 200, since=moment(MONDAY + timedelta(minutes=30)))
    assert recovered["delivery_count"] == 2
    await clocks.work()
    assert [each.event["data"]["body"] for each in receiver.posts] == ["Missed", "While it was disabled"]


async def accept_all(_post: Received) -> web.Response:
    return web.Response(text="ok")


@pytest.mark.usefixtures("loopback_webhooks")
async def test_what_came_while_an_endpoint_was_disabled_is_replayed(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks, receiver: Receiver
) -> None:
    async def fail(_post: Received) -> web.Response:
        return web.Response(status=410)

    endpoint = await make_endpoint(ctx, receiver.url(), ["message.queued"])
    id = ids.encode_id(ids.WEBHOOK, endpoint.id)
    await clocks.begin(ctx)
    receiver.answer = fail
    await post(api, "/v1/messages", to="+12125550101", body="Before replays were wanted")
    await clocks.work()
    assert not (await WebhookEndpoint.get(id=endpoint.id)).enabled
    await clocks.advance(ctx, hours=1)
    await post(api, f"/v1/webhooks/{id}", 200, enabled=True, auto_replay=True)
    receiver.posts.clear()
    await post(api, "/v1/messages", to="+12125550102", body="Missed")
    await clocks.work()
    assert [each.event["data"]["body"] for each in receiver.posts] == ["Missed"]
    receiver.answer = accept_all
    receiver.posts.clear()
    await clocks.advance(ctx, hours=1)
    await post(api, f"/v1/webhooks/{id}", 200, enabled=True)
    await clocks.work()
    assert [each.event["data"]["body"] for each in receiver.posts] == ["Missed"]
    # When the clock is gone, what began at a time of it began then.
    assert (await api.delete("/v1/test/clock")).status_code == 200
    row = await WebhookEndpoint.get(id=endpoint.id)
    assert row.auto_replay_since is not None
    assert abs(row.auto_replay_since - present.real()) < timedelta(minutes=1)


async def test_messages_and_campaigns_explain_themselves(ctx: Context, api: httpx.AsyncClient, clocks: Clocks) -> None:
    early = await post(api, "/v1/messages", to="+12125550109", body="Later", scheduled_at=in_future(hours=2))
    await clocks.begin(ctx)
    people = [await factories.make_contact(ctx) for _ in range(3)]
    listed = await factories.make_list(ctx, people)
    audience = {"list_ids": [ids.encode_id(ids.CONTACT_LIST, listed.id)]}
    campaign = await post(api, "/v1/campaigns", name="Cohort 06", body="Doors open", audience=audience)
    await clocks.advance(ctx, minutes=10)
    for sent in (early, (await get(api, "/v1/messages"))["data"][0]):
        told = await get(api, f"/v1/messages/{sent['id']}/explain")
        found = {each["status"]: each["event_id"] for each in told["states"]}
        assert all(found[status] is not None for status in ("queued", "sent", "delivered")), found
    books = await get(api, f"/v1/campaigns/{campaign['id']}/reconciliation")
    assert books["balanced"], books["checks"]
    assert any(check["check"].startswith("event") and check["found"] for check in books["checks"]), books["checks"]
    export = await get(api, f"/v1/contacts/{ids.encode_id(ids.CONTACT, people[0].id)}/export")
    # Of its one message: queued, sent, delivered.
    assert export["event_count"] == 3


def test_ids_tell_the_time_of_no_sandbox_with_a_clock() -> None:
    now = present.real()
    made = ids.new_id()
    assert ids.id_from(now - timedelta(seconds=1)) < made < ids.id_after(now)
    assert ids.floor_of_ids() is None
    row = Message(id=made, created_at=now)
    assert ids.id_since(now, row) == ids.id_at(now)
    assert ids.id_since(now - timedelta(days=1), row) == ids.id_at(now - timedelta(days=1))
    with present.standing(MONDAY):
        assert ids.id_from(MONDAY) == ids.id_before(MONDAY) == ids.id_at(datetime(1970, 1, 1, tzinfo=now.tzinfo))
        floor = ids.floor_of_ids()
        assert floor is not None
        assert floor < now
        assert ids.id_after(MONDAY) > made > ids.id_since(MONDAY, row) > ids.id_at(now - timedelta(hours=1))
    # The clock is gone; the row is still of its time.
    ahead = Message(id=made, created_at=MONDAY)
    assert made > ids.id_since(MONDAY + timedelta(days=1), ahead) > ids.id_at(now - timedelta(hours=1))


# Where there is no clock


@contextmanager
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that run within the block."""
    run: list[str] = []
    execute = asyncpg.Connection._execute

    async def note(self: Any, query: str, *values: Any, **options: Any) -> Any:
        run.append(query)
        return await execute(self, query, *values, **options)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", note)
        yield run


@pytest.mark.usefixtures("virtual_live")
async def test_without_a_clock_nobody_asks_for_one(
    ctx: Context, live_ctx: Context, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending, redirects and hooks find out by the row that they read anyway that there is no clock."""
    await factories.make_contact(live_ctx, phone="+12125550123")
    for context in (ctx, live_ctx):
        api = await client(context)
        _, path = await make_hook(api, "shopify")
        SERVICES.keep(auth.KnownKeys).forget()
        with running(monkeypatch) as run:
            sent = await post(api, "/v1/messages", to="+12125550123", body=f"Look: {LINK}", shorten_links=True)
            assert (await api.get(f"/{sent['body'].rpartition('/')[2]}")).status_code == 302
            assert (await api.post(path, content=b"{}")).status_code == 403
            assert (await api.get("/v1/messages?limit=1")).status_code == 200
        assert len(run) > 5
        assert [sql for sql in run if "test_clocks" in sql or "msvs_clock" in sql] == []


async def test_the_condition_of_no_clock_reads_nothing(
    ctx: Context, live_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of live rows it asks no table at all; of rows of sandboxes it reads the few clocks that there are, here none."""
    statement = f"SELECT id FROM campaigns WHERE {clock_schema.by_real_time('campaigns')}"
    for context, reads_clocks in ((live_ctx, False), (ctx, True)):
        await db.execute("DELETE FROM campaigns")
        scope = {"workspace_id": context.workspace_id, "livemode": context.livemode}
        await Campaign.create(**scope, name="Cohort 06", body="Hi", sender="COHORT", audience={}, status="preparing")
        lines = [row[0] for row in await db.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {statement}")]
        (of_clocks,) = [line for line in lines if "on test_clocks" in line]
        assert ("never executed" in of_clocks) is not reads_clocks, lines
    with reading(monkeypatch) as found:
        await db.fetch(statement)
    found.check(1, 2)
