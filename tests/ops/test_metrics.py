"""What a Prometheus reads: every sign of what waits and what failed, for who has the token alone."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from redis.asyncio import Redis

from msvs import database as db
from msvs import logs
from msvs.api import ids
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.carriers.config import CarrierConfig
from msvs.carriers.remote import RemoteCarrier
from msvs.models import (
    CarrierSession,
    CarrierState,
    ContactImport,
    Mail,
    Message,
    StripeEvent,
    WebhookDelivery,
    WebhookEndpoint,
)
from msvs.models.identity import new_id
from msvs.ops import metric_families
from msvs.ops.metric_families import (
    LATE,
    WAITING,
    DiskCheck,
    MetricFamily,
    Sample,
    pool_metric,
    read_metric_families,
    reads_metrics,
)
from msvs.ops.metrics import KEPT_SECONDS, Metrics, render
from msvs.ops.traffic import Traffic
from msvs.replica_reads import Reads
from msvs.settings import Settings, version
from tests.engines import Engines
from tests.services import SERVICES
from tests.workers.sessions_carrier import KIND, FileCarrier

OPERATIONS = (Path(__file__).resolve().parents[2] / "docs/operations.md").read_text()
TOKEN = "prometheus-of-cohort-labs"
LINE = re.compile(r'^msvs_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9]+\.[0-9]+(e[+-][0-9]+)?$')


@pytest.fixture
async def redis(clean: None, engines: Engines) -> AsyncIterator[Redis]:
    redis = Redis.from_url(engines.redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
async def client(clean: None, database: str, engines: Engines, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Settings(
            database_url=database,
            redis_url=engines.redis_url,
            data_dir=tmp_path,
            metrics_token=TOKEN,
            allowed_hosts=("msvs",),
        )
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://msvs") as client:
        yield client
    await app.state.limiter.close()
    await app.state.readiness.close()


def carrier(name: str) -> Any:
    return SimpleNamespace(name=name, holds_binds=False)


async def numbers(redis: Redis | None, *carriers: str) -> dict[str, float]:
    """Every number by its name and labels, as the text has them."""
    text = render(await read_metric_families([carrier(name) for name in carriers], redis, DiskCheck())).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not LINE.match(line)] == []
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer msvs_live_x"])
async def test_metrics_require_the_token(client: httpx.AsyncClient, header: str | None) -> None:
    refused = await client.get("/metrics", headers={} if header is None else {"Authorization": header})
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "api_key_invalid")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_caller_with_the_token_reads_the_metrics(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = answer.text.splitlines()
    assert 'msvs_up{engine="postgresql"} 1.0' in lines
    assert 'msvs_up{engine="redis"} 1.0' in lines
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert named >= {f"msvs_{name}" for name in (*WAITING, *LATE, "workers", "jobs_failed", "carrier_breaker")}


async def test_the_documents_name_every_sign(redis: Redis) -> None:
    listed = re.findall(r"`(msvs_[a-z_]+)`", OPERATIONS.partition("## Metrics")[2].partition("\n## ")[0])
    of_process = [
        *Traffic().families(),
        *reads_metrics(Reads()),
        pool_metric(),
        MetricFamily("build_info", "", ()),
        MetricFamily("start_time_seconds", "", ()),
    ]
    assert set(listed) == {
        f"msvs_{sign.name}"
        for sign in (*await read_metric_families([], redis, DiskCheck(), sells_credits=True), *of_process)
    }


def test_a_token_is_made_and_kept(tmp_path: Path) -> None:
    made = Settings(data_dir=tmp_path).metrics_secret()
    assert (len(made), (tmp_path / "metrics.key").read_text()) == (43, f"{made}\n")
    assert (tmp_path / "metrics.key").stat().st_mode & 0o777 == 0o600


async def test_messages_that_wait(redis: Redis, ctx: Context, live_ctx: Context) -> None:
    async with unit_of_work():
        for _ in range(3):
            await send_message(ctx, SendMessage(to="+14155550123", body="Doors open"))
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        await send_message(ctx, SendMessage(to="+14155550123", body="Doors close", scheduled_at=tomorrow))
    ids = await Message.filter(status="queued").values_list("id", flat=True)
    ago = datetime.now(UTC) - timedelta(minutes=5)
    await Message.filter(id=ids[0]).update(due_at=ago)
    await Message.filter(id=ids[1]).update(status="sending", lease_until=ago)
    found = await numbers(redis)
    assert found['msvs_messages_waiting{kind="single",mode="test",status="queued"}'] == 2
    assert found['msvs_messages_waiting{kind="single",mode="test",status="scheduled"}'] == 1
    assert found['msvs_messages_waiting{kind="single",mode="test",status="sending"}'] == 1
    assert 300 <= found['msvs_messages_overdue_seconds{kind="single"}'] < 400
    assert found['msvs_messages_overdue_seconds{kind="scheduled"}'] == 0
    assert found['msvs_messages_overdue_seconds{kind="campaign"}'] == 0
    assert found["msvs_leases_expired"] == 1


async def test_webhooks_that_wait_and_fail(redis: Redis, ctx: Context) -> None:
    endpoints = [
        await WebhookEndpoint.create(
            workspace_id=ctx.workspace_id, livemode=False, url="https://x", events=["*"], secret_sealed="x", **state
        )
        for state in (
            {},
            {"failing_since": datetime.now(UTC)},
            {"enabled": False, "disabled_reason": "failing"},
        )
    ]
    now = datetime.now(UTC)
    for endpoint in endpoints:
        for due_at in (now - timedelta(minutes=10), now + timedelta(hours=1)):
            await WebhookDelivery.create(endpoint_id=endpoint.id, event_id=new_id(), next_attempt_at=due_at)
    found = await numbers(redis)
    assert found['msvs_webhook_deliveries_waiting{state="due"}'] == 2
    assert found['msvs_webhook_deliveries_waiting{state="later"}'] == 2
    assert 600 <= found["msvs_webhook_deliveries_overdue_seconds"] < 700
    assert found['msvs_webhook_endpoints{reason="",state="well"}'] == 1
    assert found['msvs_webhook_endpoints{reason="",state="failing"}'] == 1
    assert found['msvs_webhook_endpoints{reason="failing",state="disabled"}'] == 1


async def test_mail_imports_and_billing_that_wait(redis: Redis, ctx: Context) -> None:
    now = datetime.now(UTC)
    values = {"kind": "reset_password", "recipient": "ada@cohortlabs.example", "language": "en", "created_at": now}
    for due_in in (-900, 60):
        await Mail.create(next_attempt_at=now + timedelta(seconds=due_in), **values)
    await Mail.create(next_attempt_at=now - timedelta(days=1), state="sent", **values)
    for status in ("queued", "running", "completed", "checked"):
        scope = {"workspace_id": ctx.workspace_id, "livemode": False, "actor": "test", "file_name": "x.csv"}
        await ContactImport.create(status=status, **scope)
    ago = now - timedelta(minutes=20)
    # One is under way, and one's worker died.
    await db.execute("UPDATE contact_imports SET lease_until = now() + interval '1 minute' WHERE status = 'queued'")
    await db.execute("UPDATE contact_imports SET lease_until = $1 WHERE status = 'running'", ago)
    await StripeEvent.create(id="evt_1", type="x", object_id="x", next_attempt_at=now, created_at=ago, received_at=ago)
    found = await numbers(redis)
    assert (found['msvs_mails_waiting{state="due"}'], found['msvs_mails_waiting{state="later"}']) == (1, 1)
    assert 900 <= found["msvs_mails_overdue_seconds"] < 1000
    assert (found['msvs_imports_waiting{status="queued"}'], found['msvs_imports_waiting{status="running"}']) == (1, 1)
    assert 1200 <= found["msvs_imports_overdue_seconds"] < 1300
    assert "msvs_billing_overdue_seconds" not in found
    text = render(await read_metric_families([], redis, DiskCheck(), sells_credits=True)).decode()
    (overdue,) = re.findall(r"^msvs_billing_overdue_seconds (.*)$", text, re.MULTILINE)
    assert 1200 <= float(overdue) < 1300


async def test_attempts_of_the_last_minute_by_outcome(redis: Redis, ctx: Context) -> None:
    statement = "INSERT INTO message_attempts (id, message_id, claim_token, carrier, outcome, started_at)"
    for outcome in ("accepted", "accepted", "refused", None):
        await db.execute(
            f"{statement} VALUES ($1, $2, $2, 'us', $3, now())",
            new_id(),
            new_id(),
            outcome,
        )
    found = await numbers(redis)
    name = "msvs_carrier_attempts_last_minute"
    assert {each: value for each, value in found.items() if each.startswith(name)} == {
        f'{name}{{carrier="us",outcome="accepted"}}': 2,
        f'{name}{{carrier="us",outcome="refused"}}': 1,
        f'{name}{{carrier="us",outcome="open"}}': 1,
    }


async def test_breakers_workers_and_jobs(redis: Redis) -> None:
    await CarrierState.create(name="us", state="open", updated_at=datetime.now(UTC))
    for key in ("messages-a-1-x", "messages-b-1-y", "webhooks-a-2-z"):
        await redis.set(f"msvs:worker:{key}", "1", ex=10)
    await redis.rpush("rq:queue:reports", "job")
    await redis.zadd("rq:failed:maintenance", {"one": 1, "two": 2})
    found = await numbers(redis, "us", "br")
    assert [found[f'msvs_workers{{queue="{queue}"}}'] for queue in ("messages", "webhooks", "campaigns")] == [2, 1, 0]
    assert (found['msvs_jobs_waiting{queue="reports"}'], found['msvs_jobs_failed{queue="maintenance"}']) == (1, 2)
    assert {each for each, value in found.items() if each.startswith("msvs_carrier_breaker") and value} == {
        'msvs_carrier_breaker{carrier="us",state="open"}',
        'msvs_carrier_breaker{carrier="br",state="closed"}',
    }


async def test_a_carriers_sessions_are_counted_in_every_process(redis: Redis) -> None:
    """Also where another process holds them, as in the API."""
    now = datetime.now(UTC)
    await CarrierSession.create(name="smsc", address="x", token="x", bound=2, wanted=3, detail="", updated_at=now)
    remote = RemoteCarrier(FileCarrier(CarrierConfig("smsc", KIND, {"book": "x"}, "http://msvs")))
    text = render(await read_metric_families([remote], redis, DiskCheck())).decode().splitlines()
    assert 'msvs_carrier_sessions{carrier="smsc",state="bound"} 2.0' in text
    assert 'msvs_carrier_sessions{carrier="smsc",state="wanted"} 3.0' in text


async def test_crons_and_what_was_made_lately(redis: Redis, ctx: Context) -> None:
    await redis.set("msvs:cron:a", "1", ex=10)
    async with unit_of_work():
        await send_message(ctx, SendMessage(to="+14155550123", body="Doors open"))
    found = await numbers(redis)
    assert found["msvs_crons"] == 1
    assert found['msvs_messages_last_minute{mode="test",status="queued"}'] == 1
    assert 1 <= found['msvs_database_connections{state="used"}'] < found['msvs_database_connections{state="most"}']


async def test_a_disk_that_is_full_is_a_sign(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statement fails as PostgreSQL does where no space is left."""
    assert (await numbers(redis))["msvs_database_writable"] == 1
    monkeypatch.setattr(
        metric_families, "WRITE_PROBE", "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$"
    )
    assert (await numbers(redis))["msvs_database_writable"] == 0
    assert await DiskCheck().check() == "cannot be written (DiskFullError)"


async def test_the_look_at_the_disk_writes_to_it(database: str) -> None:
    connection: asyncpg.Connection = await asyncpg.connect(database)
    try:
        await connection.execute("SET work_mem = '64kB'")
        plan = await connection.fetch(
            f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {metric_families.WRITE_PROBE}"
        )
        written = re.search(r"temp .*written=(\d+)", plan[1][0])
        assert written is not None
        assert int(written[1]) * 8192 > 15_000_000
    finally:
        await connection.close()


async def test_requests_are_counted_by_the_template_of_their_route(client: httpx.AsyncClient, ctx: Context) -> None:
    _, key = await create_key(ctx.workspace_id, livemode=False)
    bearer = {"Authorization": f"Bearer {key}"}
    for path in ("/v1/messages/msg_1", "/v1/messages/msg_2", "/v1/credits", "/nowhere/msg_3", "/ops/login"):
        await client.get(path, headers=bearer)
    text = (await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).text.splitlines()
    assert 'msvs_http_requests_total{method="GET",route="/v1/messages/{id}",status="404"} 2.0' in text
    assert 'msvs_http_requests_total{method="GET",route="/v1/credits",status="200"} 1.0' in text
    assert 'msvs_http_requests_total{method="GET",route="unknown",status="404"} 1.0' in text
    assert 'msvs_http_requests_total{method="GET",route="/ops/login",status="200"} 1.0' in text
    assert 'msvs_http_request_seconds_count{method="GET",route="/v1/messages/{id}"} 2.0' in text
    assert 'msvs_http_request_seconds_bucket{le="+Inf",method="GET",route="/v1/messages/{id}"} 2.0' in text
    assert f'msvs_build_info{{environment="development",version="{version()}"}} 1.0' in text
    assert 'msvs_database_pool{state="used"} 0.0' in text
    assert not any("msg_" in line for line in text)


def test_times_fall_into_their_buckets() -> None:
    traffic = Traffic()
    for seconds in (0.001, 0.005, 0.2, 60.0):
        traffic.count("GET", "/x", 200, seconds)
    text = render(traffic.families()).decode()
    buckets = re.findall(r'_bucket\{le="([^"]+)",method="GET",route="/x"\} (\d+)\.0', text)
    assert [number for bound, number in buckets if bound in ("0.005", "0.1", "0.25", "10.0", "+Inf")] == list("22334")
    assert 'msvs_http_request_seconds_sum{method="GET",route="/x"} 60.206' in text


async def test_in_production_each_request_has_its_line(
    clean: None, database: str, engines: Engines, ctx: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, key = await create_key(ctx.workspace_id, livemode=False)
    settings = Settings(
        environment="production",
        database_url=database,
        redis_url=engines.redis_url,
        data_dir=tmp_path,
        secret_key="k" * 32,
        metrics_token=TOKEN,
        operator_password="not-a-secret",
    )
    stream = io.StringIO()
    logs.set_up(settings, stream)
    app = create_app(settings, SERVICES)
    try:
        logs.tell_start(settings, "api")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://msvs") as client:
            answer = await client.post(
                "/v1/messages?q=+14155550123",
                json={"to": "+14155550123", "body": "Doors open"},
                headers={"Authorization": f"Bearer {key}"},
            )
            for path in ("/healthz", "/readyz"):
                await client.get(path)
            await client.get("/metrics")
    finally:
        await app.state.limiter.close()
        await app.state.readiness.close()
        logging.getLogger().handlers.clear()
        structlog.reset_defaults()
    start, asked, refused = (
        json.loads(line) for line in stream.getvalue().splitlines() if '"request"' in line or '"started"' in line
    )
    assert (start["event"], start["process"], start["version"]) == ("started", "api", version())
    assert (start["environment"], start["database"]) == ("production", logs.place_of(database))
    assert {name: asked[name] for name in ("event", "method", "route", "status", "request_id", "workspace")} == {
        "event": "request",
        "method": "POST",
        "route": "/v1/messages",
        "status": answer.status_code,
        "request_id": answer.headers["X-Request-Id"],
        "workspace": ids.encode_id(ids.WORKSPACE, ctx.workspace_id),
    }
    assert asked["ms"] > 0
    assert (refused["route"], refused["status"], refused["workspace"]) == ("/metrics", 401, None)
    for secret in (key, "4155550123", "Doors open", engines.redis_url, database):
        assert secret not in stream.getvalue()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://app:p@ss@db:5432/msvs?password=hunter2", "postgresql://db:5432/msvs"),
        ("postgresql://app:hunter2@a:1,b:2/msvs", "postgresql://a:1,b:2/msvs"),
        ("postgresql:///msvs?host=/run/postgresql&password=hunter2", "postgresql:///run/postgresql/msvs"),
        ("rediss://:hunter2@cache:6380/0", "rediss://cache:6380/0"),
    ],
)
def test_the_place_of_an_engine_has_no_credentials(url: str, shown: str) -> None:
    assert logs.place_of(url) == shown


async def test_an_engine_that_is_away_is_a_sign_too(clean: None) -> None:
    away = Redis.from_url("redis://127.0.0.1:1/0", retry=None)
    found = await numbers(away)
    assert (found['msvs_up{engine="postgresql"}'], found['msvs_up{engine="redis"}']) == (1, 0)
    assert not any(each.startswith("msvs_workers") for each in found)


async def test_scrapes_that_come_at_once_read_once(tmp_path: Path) -> None:
    seconds = 0.0
    reads = 0

    async def read() -> list[MetricFamily]:
        nonlocal reads
        reads += 1
        return [MetricFamily("reads", 'Says "how\\often".', (Sample(reads, {"of": 'a"b\n\\'}),))]

    metrics = Metrics(Settings(data_dir=tmp_path, metrics_token=TOKEN), read, now=lambda: seconds)
    request: Any = SimpleNamespace(headers={"authorization": f"bearer {TOKEN}"})
    bodies = [(await metrics.show(request)).body for _ in range(3)]
    assert bodies[0].decode().splitlines()[2] == 'msvs_reads{of="a\\"b\\n\\\\"} 1.0'
    assert (len(set(bodies)), reads) == (1, 1)
    seconds = KEPT_SECONDS
    await metrics.show(request)
    assert reads == 2


async def test_the_queue_of_billing_is_there_only_where_credits_are_sold(clean: None, engines: Engines) -> None:
    """Its missing worker would call out everyone who sells nothing."""
    redis = Redis.from_url(engines.redis_url)
    queue = 'msvs_workers{queue="billing"} 0.0'
    for sells in (False, True):
        text = render(await read_metric_families([], redis, DiskCheck(), sells_credits=sells)).decode()
        assert (queue in text.splitlines()) is sells
    await redis.aclose()
