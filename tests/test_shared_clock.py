"""The clock of a process: PostgreSQL's, however its host's is set."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from msvs import database as db
from msvs import present, shared_clock
from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context, Services
from msvs.app import create_app
from msvs.models import Message
from msvs.settings import Settings
from msvs.shared_clock import SharedClock
from tests.apps import BASE_URL, settings_for
from tests.engines import Engines
from tests.receiver import make_endpoint
from tests.services import SERVICES

HOUR = timedelta(hours=1)
CLOSE = timedelta(seconds=5)


@pytest.fixture(params=[HOUR, -HOUR], ids=["ahead", "behind"])
def off(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """This host's clock an hour off."""
    off: timedelta = request.param
    monkeypatch.setattr(present, "real", lambda: datetime.now(UTC) + off)
    return off


async def test_a_host_that_is_off_goes_by_postgresql(clean: None, off: timedelta) -> None:
    clock = SharedClock()
    assert abs(clock() - present.real()) < CLOSE
    await clock.look()
    first = clock()
    assert abs(first - await db.fetch_value("SELECT clock_timestamp()")) < CLOSE
    await asyncio.sleep(0.01)
    assert clock() > first
    with present.standing(datetime(2027, 1, 1, tzinfo=UTC)):
        assert clock() == datetime(2027, 1, 1, tzinfo=UTC)
        await clock.look()
    assert abs(clock() - first) < CLOSE


async def test_a_clock_is_followed_and_outlives_a_database_that_is_away(
    clean: None, off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    enough = asyncio.Event()

    async def fail_once() -> datetime:
        nonlocal looks
        looks += 1
        if looks == 5:
            enough.set()
        if looks == 2:
            raise ConnectionError
        return datetime(2027, 1, looks, tzinfo=UTC)

    monkeypatch.setattr(shared_clock, "LOOK_SECONDS", 0.01)
    clock = SharedClock()
    with monkeypatch.context() as patch:
        patch.setattr(db, "now", fail_once)
        async with clock.following():
            assert abs(clock() - datetime(2027, 1, 1, tzinfo=UTC)) < CLOSE
            async with asyncio.timeout(30):
                await enough.wait()
    assert datetime(2027, 1, 3, tzinfo=UTC) <= clock() < datetime(2027, 1, looks + 1, tzinfo=UTC)


async def test_what_a_host_that_is_off_accepts_is_due_at_once(
    ctx: Context, off: timedelta, database: str, engines: Engines, tmp_path: Path
) -> None:
    clock = SharedClock()
    await clock.look()
    await make_endpoint(ctx)
    _, key = await create_key(ctx.workspace_id, livemode=False)
    app = create_app(settings_for(database, engines, tmp_path), replace(SERVICES, clock=clock))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
            answer = await client.post(
                "/v1/messages",
                json={"to": "+12125550123", "body": "Doors open"},
                headers={"Authorization": f"Bearer {key}"},
            )
    finally:
        await auth.settle(SERVICES)
        await app.state.limiter.close()
        await app.state.readiness.close()
    assert answer.status_code == 201, answer.text
    now = await db.now()
    message = await Message.get()
    assert now - CLOSE < message.due_at <= now
    due = await db.fetch_value("SELECT max(next_attempt_at) FROM webhook_deliveries")
    assert now - CLOSE < due <= now


def test_the_service_is_given_it(tmp_path: Path) -> None:
    assert isinstance(Services.from_settings(Settings(data_dir=tmp_path), {}).clock, SharedClock)
