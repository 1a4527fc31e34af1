"""What PostgreSQL or the pool has no more of: documented errors, nothing lost, and all well once it is back."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import pytest

from msvs import database as db
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.carriers.protocol import Capability
from msvs.carriers.virtual import VirtualCarrier
from msvs.workers.dispatch import dispatch_messages, resolve_expired
from msvs.workers.reports import collect_reports
from tests import factories
from tests.engines import Engines
from tests.http.test_middleware import check_envelope
from tests.owner import run_as_owner
from tests.rest_compat.processes import Answer, Process, request, running
from tests.services import SERVICES
from tests.workers.test_carrier_binds import until
from tests.workers.test_dispatch import hurry
from tests.workers.test_stuck import held, send

POOL = 4
LOCK = "SELECT FROM credit_balances FOR UPDATE"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_a_pool_that_is_used_up_answers_as_documented_and_recovers(
    database: str, clean: None, engines: Engines, tmp_path: Path, ctx: Context
) -> None:
    """Workspaces that are all stuck have every connection; what comes then waits five seconds, and not for good."""
    api = Process(
        ("-m", "msvs", "api"),
        tmp_path / "api.log",
        DATABASE_URL=f"{database}?lock_timeout=30s",
        REDIS_URL=engines.redis_url,
        MSVS_DATABASE_POOL_SIZE=str(POOL),
        MSVS_LIVE_CARRIER="virtual",
    )
    stuck = []
    for number in range(2):
        workspace = await factories.make_workspace(name=f"Studio {number}")
        contact = await factories.make_contact(Context(workspace.id, True, actor="test", services=SERVICES))
        _, key = await create_key(workspace.id, livemode=True)
        stuck.append((key, json.dumps({"to": contact.phone, "body": "Doors open"}).encode()))
    _, other_key = await create_key(ctx.workspace_id, livemode=False)

    async def ask(number: int) -> Answer:
        key, body = stuck[number % 2]
        return await request(api.port, "POST", "/v1/messages", key, body, Idempotency_Key=f"send-{number}")

    async def read(_: int) -> Answer:
        return await request(api.port, "GET", "/v1/credits", other_key)

    async def is_used_up() -> bool:
        return int(await db.fetch_value(WAITING)) == POOL

    async with running(api):
        assert (await read(0)).status == 200
        async with held(database, LOCK):
            sending = [asyncio.create_task(ask(number)) for number in range(POOL)]
            await until(is_used_up)
            refused = await asyncio.gather(*map(read, range(6)))
            live = await request(api.port, "GET", "/healthz")
        assert live.status == 200
        assert Counter(answer.status for answer in refused) == {503: 6}
        for answer in refused:
            check_envelope(httpx.Response(answer.status, headers=answer.headers, content=answer.body))
            error = json.loads(answer.body)["error"]
            assert (error["type"], error["code"]) == ("api_error", "service_unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        # The request that held them up is gone: what waited for it went on, and all others have their connections.
        assert Counter(answer.status for answer in await asyncio.gather(*sending)) == {201: POOL}
        assert Counter(answer.status for answer in await asyncio.gather(*map(read, range(20)))) == {200: 20}
    assert await db.fetch_value("SELECT count(*) FROM messages") == POOL


@asynccontextmanager
async def full_disk(table: str, when: str, event: str = "INSERT OR UPDATE") -> AsyncIterator[None]:
    """Have PostgreSQL refuse to write a table as it does where no space is left: in the statement, or at COMMIT."""
    await run_as_owner(
        "CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE"
        " 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
    )
    is_deferred = when == "at COMMIT"
    kind = "CONSTRAINT TRIGGER no_space AFTER" if is_deferred else "TRIGGER no_space BEFORE"
    deferred = "DEFERRABLE INITIALLY DEFERRED" if is_deferred else ""
    await run_as_owner(f"CREATE {kind} {event} ON {table} {deferred} FOR EACH ROW EXECUTE FUNCTION no_space()")
    try:
        yield
    finally:
        await run_as_owner("DROP FUNCTION no_space CASCADE")


@pytest.mark.parametrize("when", ["in the statement", "at COMMIT"])
@pytest.mark.parametrize("table", ["messages", "events", "idempotency_records", "contacts"])
async def test_a_full_disk_refuses_what_is_written_and_keeps_nothing_of_it(
    api: httpx.AsyncClient, ctx: Context, table: str, when: str
) -> None:
    before = await counts()
    path, body = (
        ("/v1/contacts", {"phone": "+12125550123"})
        if table == "contacts"
        else ("/v1/messages", {"to": "+12125550124", "body": "Doors open"})
    )
    headers = {"Idempotency-Key": "full"}
    async with full_disk(table, when):
        for _ in range(2):
            answer = await api.post(path, json=body, headers=headers)
            assert (answer.status_code, check_envelope(answer)["code"]) == (503, "service_unavailable")
            assert answer.headers["Retry-After"] == "1"
        assert (await api.get("/v1/credits")).status_code == 200
    assert await counts() == before
    answers = [await api.post(path, json=body, headers=headers) for _ in range(2)]
    assert [answer.is_success for answer in answers] == [True, True]
    assert len({answer.json()["id"] for answer in answers}) == 1


async def counts() -> dict[str, int]:
    """Rows of what a request writes, and the balance."""
    tables = ("messages", "contacts", "events", "idempotency_records", "ledger_entries")
    found = {table: int(await db.fetch_value(f"SELECT count(*) FROM {table}")) for table in tables}
    return found | {"balance": int(await db.fetch_value("SELECT sum(balance)::bigint FROM credit_balances"))}


@pytest.mark.parametrize("when", ["in the statement", "at COMMIT"])
@pytest.mark.parametrize("at", ["the claim", "the outcome", "the report"])
async def test_a_full_disk_stops_workers_and_loses_and_doubles_nothing(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch, at: str, when: str
) -> None:
    monkeypatch.setattr("msvs.workers.dispatch.RECORD_SECONDS", 0.2)
    monkeypatch.setattr("msvs.workers.dispatch.RECORD_AGAIN_SECONDS", 0.05)
    SERVICES.carriers.live = "virtual"
    carriers = {"virtual": VirtualCarrier(Capability.DEDUPE)}
    sent = [await send(live_ctx) for _ in range(5)]
    table = {"the claim": "message_attempts", "the outcome": "events", "the report": "events"}[at]
    jobs = {"the report": partial(collect_reports, SERVICES)}.get(at, partial(dispatch_messages, SERVICES, carriers))
    if at == "the report":
        assert await dispatch_messages(SERVICES, carriers) == 5
        await hurry()
    async with full_disk(table, when, "INSERT"):
        with pytest.raises(asyncpg.DiskFullError):
            await jobs()
    submitted = await db.fetch_value("SELECT count(*) FROM virtual_submissions")
    assert submitted == (0 if at == "the claim" else 5)
    for _ in range(3):
        await hurry()
        await resolve_expired(SERVICES, carriers)
        await dispatch_messages(SERVICES, carriers)
        await hurry()
        await collect_reports(SERVICES)
    rows = await db.fetch("SELECT status FROM messages WHERE id = ANY($1)", sent)
    assert [row.status for row in rows] == ["delivered"] * 5
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 5
    balances = await db.fetch(
        "SELECT balance, (SELECT sum(amount) FROM ledger_entries AS e WHERE e.workspace_id ="
        " b.workspace_id)::bigint AS entries FROM credit_balances AS b WHERE workspace_id = $1",
        live_ctx.workspace_id,
    )
    assert [row.balance for row in balances] == [row.entries for row in balances]
    events = await db.fetch("SELECT type, count(*) AS n FROM events GROUP BY 1")
    assert {row.type: row.n for row in events if row.type.startswith("message.")} == {
        "message.queued": 5,
        "message.sent": 5,
        "message.delivered": 5,
    }
