"""A sandbox with a clock: what becomes due is done in its order, by its time, and by nobody else."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

import msvs
from msvs import database as db
from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.ids import CONTACT_LIST, encode_id
from msvs.api.resources import moment
from msvs.http_client import HttpClient
from msvs.models import SandboxClock, Workspace
from msvs.models.identity import new_id
from msvs.settings import Settings
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.imports import run_files
from msvs.workers.maintenance import maintain
from msvs.workers.reports import collect_reports
from msvs.workers.status_callbacks import deliver_all
from msvs.workers.stopping import StopFlag
from tests import factories
from tests.apps import BASE_URL
from tests.owner import run_as_owner
from tests.receiver import SECRET, Received, Receiver, make_endpoint
from tests.services import SERVICES
from tests.workers.clocking import CARRIERS, MONDAY, Clocks


@pytest.fixture
async def clocks(database: str, http: HttpClient) -> Clocks:
    return Clocks(database, http)


async def test_a_message_is_sent_and_reported_by_the_clock(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    await clocks.begin(ctx)
    assert (await api.get("/v1/test/clock")).json()["status"] == "ready"
    sent = await api.post("/v1/messages", json={"to": "+12125550101", "body": "Doors open"})
    assert sent.status_code == 201, sent.text
    assert sent.json()["created_at"].startswith("2031-03-03T09:00")
    await clocks.work()
    row = (await api.get(f"/v1/messages/{sent.json()['id']}")).json()
    assert row["status"] == "sent"
    await clocks.advance(ctx, minutes=1)
    row = (await api.get(f"/v1/messages/{sent.json()['id']}")).json()
    assert (row["status"], row["sent_at"], row["delivered_at"]) == (
        "delivered",
        "2031-03-03T09:00:00Z",
        "2031-03-03T09:00:01Z",
    )


async def test_a_live_key_has_no_clock(live_ctx: Context, client: Any) -> None:
    live = await client(live_ctx)
    for method, path in (("POST", ""), ("GET", ""), ("DELETE", ""), ("POST", "/advance")):
        json = {"by_seconds": 60} if path else {}
        answer = await live.request(method, f"/v1/test/clock{path}", **({"json": json} if method == "POST" else {}))
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "sandbox_only")


async def test_time_moves_forward_alone_and_once_at_a_time(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    missing = await api.get("/v1/test/clock")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "resource_missing")
    early = await api.post("/v1/test/clock", json={"now": moment(await db.now())})
    assert (early.status_code, early.json()["error"]["param"]) == (400, "now")
    made = await api.post("/v1/test/clock", json={"now": moment(MONDAY)})
    assert (made.status_code, made.json()["status"], made.json()["advancing_to"]) == (201, "advancing", moment(MONDAY))
    again = await api.post("/v1/test/clock", json={"now": moment(MONDAY)})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "test_clock_exists")
    busy = await api.post("/v1/test/clock/advance", json={"by_seconds": 60})
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "test_clock_advancing")
    await clocks.ripen(ctx)
    for body, param in (
        ({}, "to"),
        ({"to": moment(MONDAY), "by_seconds": 1}, "by_seconds"),
        ({"to": moment(MONDAY)}, "to"),
        ({"to": moment(MONDAY + timedelta(days=367))}, "to"),
        ({"by_seconds": 0}, "by_seconds"),
        ({"by_seconds": 31_622_401}, "by_seconds"),
    ):
        refused = await api.post("/v1/test/clock/advance", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), body
    advanced = (await api.post("/v1/test/clock/advance", json={"by_seconds": 86_400})).json()
    assert (advanced["status"], advanced["now"]) == ("advancing", moment(MONDAY))
    await clocks.work()
    stands = (await api.get("/v1/test/clock")).json()
    assert (stands["status"], stands["now"], stands["advancing_to"]) == (
        "ready",
        moment(MONDAY + timedelta(days=1)),
        None,
    )


async def test_workers_of_the_real_time_leave_the_sandbox_alone(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks, http: HttpClient
) -> None:
    """All that can wait waits, every worker looks at it, and nothing becomes of any of it."""
    await clocks.begin(ctx)
    people = [await factories.make_contact(ctx) for _ in range(3)]
    listed = await factories.make_list(ctx, people)
    await api.post("/v1/messages", json={"to": "+12125550101", "body": "Doors open"})
    later = moment(MONDAY + timedelta(days=1))
    await api.post("/v1/messages", json={"to": "+12125550102", "body": "Doors open", "scheduled_at": later})
    campaign = {
        "name": "Cohort 06",
        "body": "Doors open",
        "audience": {"list_ids": [encode_id(CONTACT_LIST, listed.id)]},
    }
    for more in ({}, {"scheduled_at": later}):
        made = await api.post("/v1/campaigns", json=campaign | more)
        assert made.status_code == 201, made.text
    await api.post("/v1/exports", json={"kind": "contacts"})
    before = await standing()
    await dispatch_messages(SERVICES, CARRIERS)
    await expand_campaigns(SERVICES)
    await collect_reports(SERVICES)
    await run_files(SERVICES, Settings())
    await maintain(SERVICES, CARRIERS)
    await deliver_all(SERVICES, http, stop=StopFlag())
    assert await standing() == before
    await clocks.advance(ctx, days=2)
    assert {row["status"] for row in (await api.get("/v1/messages?limit=100")).json()["data"]} == {"delivered"}
    assert {row["status"] for row in (await api.get("/v1/campaigns")).json()["data"]} == {"completed"}


async def standing() -> list[tuple[str, str]]:
    rows = await db.fetch(
        "SELECT 'message' AS kind, status FROM messages UNION ALL SELECT 'campaign', status FROM campaigns"
        " UNION ALL SELECT 'export', status FROM exports ORDER BY kind, status"
    )
    return [(row.kind, row.status) for row in rows]


async def test_webhooks_are_tried_for_a_day_and_signed_in_real_time(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks, receiver: Receiver, loopback_webhooks: None
) -> None:
    async def fail(_post: Received) -> web.Response:
        return web.Response(status=500)

    receiver.answer = fail
    await clocks.begin(ctx)
    await make_endpoint(ctx, receiver.url(), ["message.delivered"])
    await api.post("/v1/messages", json={"to": "+12125550101", "body": "Doors open"})
    await clocks.work()
    await clocks.advance(ctx, days=2)
    assert [post.attempt for post in receiver.posts] == list(range(1, 12))
    assert all(post.is_signed_with(SECRET) for post in receiver.posts)
    assert receiver.posts[0].event["created_at"] == moment(MONDAY + timedelta(seconds=1))
    times = [row.created_at for row in await db.fetch("SELECT created_at FROM webhook_attempts ORDER BY created_at")]
    assert timedelta(hours=20) < times[-1] - times[0] < timedelta(hours=25)
    row = await db.fetch_row("SELECT state, ended_at FROM webhook_deliveries")
    assert row is not None
    assert (row.state, row.ended_at) == ("exhausted", times[-1])


async def test_what_waits_for_a_report_is_given_up_after_72_hours(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    await clocks.begin(ctx)
    sent = (await api.post("/v1/messages", json={"to": "+14155550108", "body": "Doors open"})).json()["id"]
    unsure = (await api.post("/v1/messages", json={"to": "+14155550112", "body": "Doors open"})).json()["id"]
    stop = (await api.post("/v1/messages", json={"to": "+14155550105", "body": "Doors open"})).json()["id"]
    await clocks.work()
    await clocks.advance(ctx, hours=72)
    assert (await api.get(f"/v1/messages/{sent}")).json()["delivery"] is None
    assert (await api.get(f"/v1/messages/{unsure}")).json()["status"] == "delivered", (
        "its lease was over, and it was sent"
    )
    assert (await api.get(f"/v1/messages/{stop}")).json()["status"] == "delivered"
    await clocks.advance(ctx, seconds=2)
    assert (await api.get(f"/v1/messages/{sent}")).json()["delivery"] == "unknown"
    refused = await api.post("/v1/messages", json={"to": "+14155550105", "body": "Doors open"})
    assert refused.json()["error"]["code"] == "recipient_opted_out"


async def test_keys_of_the_sandbox_expire_by_its_clock(ctx: Context, app: Any, clocks: Clocks) -> None:
    await clocks.begin(ctx)
    _, key = await create_key(ctx.workspace_id, livemode=False, expires_at=MONDAY + timedelta(hours=1))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url=BASE_URL, headers={"Authorization": f"Bearer {key}"}
    ) as c:
        assert (await c.get("/v1/messages")).status_code == 200
        await clocks.advance(ctx, hours=1)
        assert (await c.get("/v1/messages")).json()["error"]["code"] == "api_key_expired"


async def test_a_sandbox_returns_to_real_time(ctx: Context, api: httpx.AsyncClient, clocks: Clocks) -> None:
    await clocks.begin(ctx)
    at = moment(MONDAY + timedelta(days=1))
    later = await api.post("/v1/messages", json={"to": "+12125550101", "body": "Doors open", "scheduled_at": at})
    assert (await api.delete("/v1/test/clock")).json()["object"] == "test_clock"
    assert (await api.get("/v1/test/clock")).status_code == 404
    await dispatch_messages(SERVICES, CARRIERS)
    row = (await api.get(f"/v1/messages/{later.json()['id']}")).json()
    assert (row["status"], row["scheduled_at"]) == ("scheduled", at), "it keeps its time"
    SERVICES.keep(auth.KnownKeys).forget()
    now = await api.post("/v1/messages", json={"to": "+12125550102", "body": "Doors open"})
    assert now.json()["created_at"][:4] == str(datetime.now(UTC).year)
    await dispatch_messages(SERVICES, CARRIERS)
    assert (await api.get(f"/v1/messages/{now.json()['id']}")).json()["status"] == "sent"


async def test_a_clock_is_over_once_the_real_time_has_come_up_to_it(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    await clocks.begin(ctx)
    await SandboxClock.all().update(frozen_at=await db.now() + timedelta(seconds=30))
    assert (await api.get("/v1/workspace")).status_code == 200
    await clocks.work()
    assert await SandboxClock.all().count() == 0
    assert not (await Workspace.get(id=ctx.workspace_id)).has_test_clock


async def test_a_clock_that_a_worker_holds_ends_when_it_lets_go(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    await clocks.begin(ctx)
    await SandboxClock.all().update(lease_token=new_id(), lease_until=await db.now() + timedelta(minutes=1))
    assert (await api.delete("/v1/test/clock")).status_code == 200
    assert (await api.get("/v1/test/clock")).status_code == 404
    assert await SandboxClock.filter(is_ending=True).count() == 1
    await SandboxClock.all().update(lease_until=await db.now() - timedelta(minutes=1))
    await clocks.work()
    assert await SandboxClock.all().count() == 0


async def test_workers_at_once_move_a_clock_on_once(ctx: Context, clocks: Clocks, api: httpx.AsyncClient) -> None:
    await clocks.begin(ctx)
    for day in range(1, 6):
        at = moment(MONDAY + timedelta(days=day))
        await api.post("/v1/messages", json={"to": f"+1212555020{day}", "body": "Doors open", "scheduled_at": at})
    advanced = await api.post("/v1/test/clock/advance", json={"by_seconds": 7 * 86_400})
    assert advanced.status_code == 200
    await asyncio.gather(*(clocks.work() for _ in range(3)))
    assert (await api.get("/v1/test/clock")).json()["status"] == "ready"
    taken = await db.fetch("SELECT count(*) AS n FROM virtual_submissions GROUP BY message_id")
    assert [row.n for row in taken] == [1] * 5


@pytest.mark.processes
async def test_a_kill_anywhere_loses_and_doubles_nothing(
    ctx: Context, clocks: Clocks, api: httpx.AsyncClient, database: str
) -> None:
    await clocks.begin(ctx)
    for day in range(1, 6):
        at = moment(MONDAY + timedelta(days=day))
        await api.post("/v1/messages", json={"to": f"+1212555020{day}", "body": "Doors open", "scheduled_at": at})
    await api.post("/v1/test/clock/advance", json={"by_seconds": 7 * 86_400})
    argv = (sys.executable, "-m", "tests.workers.clock_killed", database)
    for number in (9, 17, 40, 73, 111, 0):
        await SandboxClock.all().update(lease_until=None)
        process = await asyncio.create_subprocess_exec(*argv, str(number))
        assert await process.wait() == (-signal.SIGKILL if number else 0), number
    clock = (await api.get("/v1/test/clock")).json()
    assert (clock["status"], clock["now"]) == ("ready", moment(MONDAY + timedelta(days=7)))
    taken = await db.fetch("SELECT message_id, dedupe_key FROM virtual_submissions")
    assert len(taken) == len({row.message_id for row in taken}) == 5
    rows = (await api.get("/v1/messages?limit=100")).json()["data"]
    assert {row["status"] for row in rows} == {"delivered"}


def test_what_is_claimed_by_its_time_asks_for_no_clock() -> None:
    """Accepting, expanding, handing over, reporting and delivering read nothing of clocks, for anybody."""
    package = Path(msvs.__file__).parent
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if "test_clocks" in path.read_text()}
    asking = {
        str(path.relative_to(package)) for path in package.rglob("*.py") if "by_real_time(" in path.read_text()
    } - {"clock_schema.py"}
    assert asking == {
        "api/campaigns/lifecycle.py",
        "api/campaigns/sequence_steps.py",
        "workers/bulk_actions.py",
        "workers/exports.py",
        "workers/imports.py",
        "workers/maintenance.py",
    }
    assert {name for name in found if name.startswith(("api/", "workers/", "carriers/"))} == {
        "api/accounts/clocks.py",
        # A deleted workspace's clock goes with it.
        "api/privacy/workspace_erasure.py",
        "workers/clocks.py",
    }


async def test_a_clock_that_fails_says_at_what_and_can_go_on(
    ctx: Context, api: httpx.AsyncClient, clocks: Clocks
) -> None:
    await clocks.begin(ctx)
    at = moment(MONDAY + timedelta(hours=1))
    listed = await factories.make_list(ctx, [await factories.make_contact(ctx)])
    audience = {"list_ids": [encode_id(CONTACT_LIST, listed.id)]}
    campaign = {"name": "Cohort 06", "body": "Doors open", "audience": audience, "scheduled_at": at}
    assert (await api.post("/v1/campaigns", json=campaign)).status_code == 201
    await run_as_owner(
        "CREATE FUNCTION refuse_start() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$"
    )
    await run_as_owner("CREATE TRIGGER refused BEFORE UPDATE ON campaigns FOR EACH ROW EXECUTE FUNCTION refuse_start()")
    try:
        await api.post("/v1/test/clock/advance", json={"by_seconds": 7200})
        for _ in range(5):
            await SandboxClock.all().update(lease_until=None)
            await clocks.work()
    finally:
        await run_as_owner("DROP TRIGGER refused ON campaigns")
        await run_as_owner("DROP FUNCTION refuse_start()")
    told = (await api.get("/v1/test/clock")).json()
    assert (told["status"], told["advancing_to"], told["failure"]) == ("failed", None, "campaigns")
    await SandboxClock.all().update(lease_until=None)
    await clocks.advance(ctx, hours=3)
    assert (await api.get("/v1/messages")).json()["data"][0]["status"] == "delivered"
