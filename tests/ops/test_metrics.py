"""What a Prometheus reads: every sign of what waits and what failed, for who has the token alone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from msvs import database as db
from msvs.api.context import Context
from msvs.api.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.models import CarrierState, Message, WebhookDelivery, WebhookEndpoint
from msvs.models.identity import new_id
from msvs.ops.metrics import KEPT_SECONDS, Metrics, render
from msvs.ops.vitals import LATE, WAITING, Sample, Sign, read_signs
from msvs.settings import Settings
from tests.engines import Engines

OPERATIONS = (Path(__file__).resolve().parents[2] / "docs/operations.md").read_text()
TOKEN = "prometheus-of-cohort-labs"
LINE = re.compile(r'^msvs_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9]+(\.[0-9]{3})?$')


@pytest.fixture
async def redis(clean: None, engines: Engines) -> AsyncIterator[Redis]:
    redis = Redis.from_url(engines.redis_url)
    yield redis
    await redis.aclose()


@pytest.fixture
async def client(clean: None, database: str, engines: Engines, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Settings(database_url=database, redis_url=engines.redis_url, data_dir=tmp_path, metrics_token=TOKEN)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://msvs") as client:
        yield client
    await app.state.readiness.close()


def carrier(name: str) -> Any:
    return SimpleNamespace(name=name, holds_sessions=False)


async def numbers(redis: Redis | None, *carriers: str) -> dict[str, float]:
    """Every number by its name and labels, as the text has them."""
    text = render(await read_signs([carrier(name) for name in carriers], redis)).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if not LINE.match(line)] == []
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer msvs_live_x"])
async def test_nobody_reads_them_without_the_token(client: httpx.AsyncClient, header: str | None) -> None:
    refused = await client.get("/metrics", headers={} if header is None else {"Authorization": header})
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "api_key_invalid")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")


async def test_who_has_the_token_reads_them(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    lines = answer.text.splitlines()
    assert 'msvs_up{engine="postgresql"} 1' in lines
    assert 'msvs_up{engine="redis"} 1' in lines
    named = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert named >= {f"msvs_{name}" for name in (*WAITING, *LATE, "workers", "jobs_failed", "carrier_breaker")}


async def test_the_documents_name_every_sign(redis: Redis) -> None:
    listed = re.findall(r"`(msvs_[a-z_]+)`", OPERATIONS.partition("## Metrics")[2].partition("Worth an alert")[0])
    assert set(listed) == {f"msvs_{sign.name}" for sign in await read_signs([], redis)}


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
    assert found['msvs_messages_waiting{mode="test",kind="single",status="queued"}'] == 2
    assert found['msvs_messages_waiting{mode="test",kind="single",status="scheduled"}'] == 1
    assert found['msvs_messages_waiting{mode="test",kind="single",status="sending"}'] == 1
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
    assert found['msvs_webhook_endpoints{state="well",reason=""}'] == 1
    assert found['msvs_webhook_endpoints{state="failing",reason=""}'] == 1
    assert found['msvs_webhook_endpoints{state="disabled",reason="failing"}'] == 1


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


async def test_an_engine_that_is_away_is_a_sign_too(clean: None) -> None:
    away = Redis.from_url("redis://127.0.0.1:1/0", retry=None)
    found = await numbers(away)
    assert (found['msvs_up{engine="postgresql"}'], found['msvs_up{engine="redis"}']) == (1, 0)
    assert not any(each.startswith("msvs_workers") for each in found)


async def test_scrapes_that_come_at_once_read_once(tmp_path: Path) -> None:
    seconds = 0.0
    reads = 0

    async def read() -> list[Sign]:
        nonlocal reads
        reads += 1
        return [Sign("reads", 'Says "how\\often".', (Sample(reads, {"of": 'a"b\n\\'}),))]

    metrics = Metrics(Settings(data_dir=tmp_path, metrics_token=TOKEN), read, now=lambda: seconds)
    request: Any = SimpleNamespace(headers={"authorization": f"bearer {TOKEN}"})
    bodies = [(await metrics.show(request)).body for _ in range(3)]
    assert bodies[0].decode().splitlines()[2] == 'msvs_reads{of="a\\"b\\n\\\\"} 1'
    assert (len(set(bodies)), reads) == (1, 1)
    seconds = KEPT_SECONDS
    await metrics.show(request)
    assert reads == 2
