"""Idempotency under kill -9: a process dies around the commit of a request, and the request is sent again."""

from __future__ import annotations

import asyncio
import json
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.models import Contact, Event, IdempotencyRecord, Message, WebhookEndpoint
from tests.engines import Engines
from tests.rest_compat.killed_api import BEFORE_COMMIT, BEFORE_RESPONSE
from tests.rest_compat.processes import Process, request, running

MESSAGE = {"to": "+12125550123", "body": "Doors open"}
BATCH = {
    "messages": [
        MESSAGE,
        {"to": "+1abc", "body": "Doors open"},
        {"to": "+12125550124", "body": "Doors open"},
        {"to": "+12125550124", "body": "Later", "scheduled_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    ]
}
WEBHOOK = {"url": "https://api.cohortlabs.co/webhooks/sms", "events": ["*"]}
IDEMPOTENCY_KEY = "order-1"


async def counts() -> dict[str, int]:
    return {
        "messages": await Message.all().count(),
        "contacts": await Contact.all().count(),
        "events": await Event.filter(type="message.queued").count(),
        "webhooks": await WebhookEndpoint.all().count(),
        "records": await IdempotencyRecord.all().count(),
    }


@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", [BEFORE_COMMIT, BEFORE_RESPONSE])
@pytest.mark.parametrize(
    ("path", "sent", "made"),
    [
        ("/v1/messages", MESSAGE, {"messages": 1, "contacts": 1, "events": 1, "webhooks": 0}),
        ("/v1/messages/batch", BATCH, {"messages": 3, "contacts": 2, "events": 2, "webhooks": 0}),
        ("/v1/webhooks", WEBHOOK, {"messages": 0, "contacts": 0, "events": 0, "webhooks": 1}),
    ],
)
async def test_a_request_whose_process_died_is_done_once(
    tmp_path: Path,
    database: str,
    engines: Engines,
    ctx: Context,
    point: str,
    path: str,
    sent: dict[str, object],
    made: dict[str, int],
) -> None:
    _, key = await create_key(ctx.workspace_id, livemode=False)
    where = {"DATABASE_URL": database, "REDIS_URL": engines.redis_url}
    body = json.dumps(sent).encode()
    dying = Process(("-m", "tests.rest_compat.killed_api", point), tmp_path / "dying.log", **where)
    async with running(dying):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await request(dying.port, "POST", path, key, body, Idempotency_Key=IDEMPOTENCY_KEY)
        assert await dying.stop() == -signal.SIGKILL
    is_committed = point == BEFORE_RESPONSE
    left = await counts()
    assert left == ({**made, "records": 1} if is_committed else dict.fromkeys(left, 0))

    serving = Process(("-m", "msvs", "api"), tmp_path / "api.log", **where)
    async with running(serving):
        first, second = [
            await request(serving.port, "POST", path, key, body, Idempotency_Key=IDEMPOTENCY_KEY) for _ in range(2)
        ]
        replayed = [answer.headers.get("idempotent-replayed") for answer in (first, second)]
        assert replayed == ["true" if is_committed else None, "true"]
        status = 200 if path == "/v1/messages/batch" else 201
        assert (first.status, second.status, first.body) == (status, status, second.body)
        assert await counts() == {**made, "records": 1}
        # What the answer names is what is there.
        answered = json.loads(first.body)
        named = [each["message"] for each in answered["data"] if each["message"]] if "data" in answered else [answered]
        for each in named:
            found = await request(serving.port, "GET", f"{path.removesuffix('/batch')}/{each['id']}", key)
            assert found.status == 200
