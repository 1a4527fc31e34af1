"""A live message from the queue to the carrier and back: dispatch, the fake's callback, the reports queue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from msvs import database as db
from msvs.api.context import Context
from msvs.api.dispatch.senders import add_sender
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.callbacks.routes import callback_routes
from msvs.http.middleware import RequestMiddleware
from msvs.models import Message
from msvs.workers.dispatch import dispatch_messages, resolve_expired
from msvs.workers.reports import collect_reports
from tests import factories
from tests.carriers.fakes.server import PUBLIC_URL, Sent
from tests.carriers.under_test import (
    HANDSET,
    SENDER,
    HttpUnderTest,
    TelnyxUnderTest,
    TwilioUnderTest,
    VonageUnderTest,
)
from tests.services import SERVICES


@asynccontextmanager
async def carrying(carrier: HttpUnderTest[Any], ctx: Context) -> AsyncIterator[None]:
    """The carrier at its fake, as the one of all live messages, and the workspace's sender."""
    await carrier.set_up()
    SERVICES.carriers.names = frozenset(("virtual", carrier.name))
    await add_sender(SERVICES, ctx.workspace_id, SENDER, registration="C0HORT")
    try:
        yield
    finally:
        SERVICES.carriers.names = frozenset(("virtual",))
        await carrier.tear_down()


def a_client(carrier: HttpUnderTest[Any]) -> httpx.AsyncClient:
    """What the fake calls us with."""
    routes = callback_routes({carrier.name: carrier.carrier}, base_url=PUBLIC_URL)
    app = Starlette(routes=routes, middleware=[Middleware(RequestMiddleware)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


@pytest.fixture(params=(TelnyxUnderTest, TwilioUnderTest, VonageUnderTest), ids=lambda carrier: carrier.kind)
async def under_test(request: pytest.FixtureRequest, live_ctx: Context) -> AsyncIterator[HttpUnderTest[Any]]:
    """Each carrier."""
    carrier: HttpUnderTest[Any] = request.param()
    async with carrying(carrier, live_ctx):
        yield carrier


@pytest.fixture
async def client(under_test: HttpUnderTest[Any]) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(under_test) as client:
        yield client


async def bring(client: httpx.AsyncClient, sent: Sent) -> None:
    path = sent.url.removeprefix(PUBLIC_URL)
    answer = await client.request(sent.method, path, headers=dict(sent.headers), content=sent.body)
    assert answer.status_code == 200
    await collect_reports(SERVICES)


async def send(
    ctx: Context, under_test: HttpUnderTest[Any], to: str | None = None, *, body: str = "Your table is ready"
) -> UUID:
    async with unit_of_work():
        row = await send_message(ctx, SendMessage(to or factories.next_phone(), body, SENDER))
    await dispatch_messages(SERVICES, {under_test.name: under_test.carrier})
    return UUID(str(row.id))


async def state(message_id: UUID) -> tuple[str, str | None]:
    row = await Message.get(id=message_id)
    return row.status.value, row.error_code


async def test_a_message_is_delivered_once_the_carrier_says_so(
    live_ctx: Context, under_test: HttpUnderTest[Any], client: httpx.AsyncClient
) -> None:
    message_id = await send(live_ctx, under_test)
    assert await state(message_id) == ("sent", None)
    [taken] = under_test.fake.taken
    assert (await Message.get(id=message_id)).carrier_ref == taken.ref
    for _ in range(3):
        await bring(client, under_test.send_report(taken, is_delivered=True))
    assert await state(message_id) == ("delivered", None)
    await bring(client, under_test.send_report(taken, is_delivered=False))
    assert await state(message_id) == ("delivered", None)


async def test_a_message_fails_with_our_code(
    live_ctx: Context, under_test: HttpUnderTest[Any], client: httpx.AsyncClient
) -> None:
    message_id = await send(live_ctx, under_test)
    await bring(client, under_test.send_report(under_test.fake.taken[0], is_delivered=False))
    assert await state(message_id) == ("failed", "unreachable")


async def test_a_refused_message_fails_at_once(live_ctx: Context, under_test: HttpUnderTest[Any]) -> None:
    under_test.refuse()
    assert await state(await send(live_ctx, under_test)) == ("failed", under_test.refusal)


async def test_a_report_resolves_a_message_whose_answer_was_lost(
    live_ctx: Context, under_test: HttpUnderTest[Any], client: httpx.AsyncClient
) -> None:
    under_test.fake.drops = True
    message_id = await send(live_ctx, under_test)
    assert await state(message_id) == ("sending", None)
    await dispatch_messages(SERVICES, {under_test.name: under_test.carrier})
    [taken] = under_test.fake.taken
    await bring(client, under_test.send_report(taken, is_delivered=True))
    assert await state(message_id) == ("delivered", None)
    assert under_test.fake.requests == 1


async def test_a_carrier_that_is_away_fails_nobody(live_ctx: Context, under_test: HttpUnderTest[Any]) -> None:
    await under_test.fake.go_away()
    message_id = await send(live_ctx, under_test)
    assert await state(message_id) == ("queued", None)


async def test_a_reply_finds_its_message(
    live_ctx: Context, under_test: HttpUnderTest[Any], client: httpx.AsyncClient
) -> None:
    message_id = await send(live_ctx, under_test, HANDSET)
    await bring(client, under_test.send_report(under_test.fake.taken[0], is_delivered=True))
    for _ in range(2):
        await bring(client, under_test.send_inbound("Yes: the corner table, please"))
    assert await state(message_id) == ("replied", None)
    rows = await db.fetch("SELECT from_phone, body FROM inbound_messages")
    assert [(row.from_phone, row.body) for row in rows] == [(HANDSET, "Yes: the corner table, please")]


@pytest.mark.parametrize("statuses", [["0", "0", "0"], ["0", "1", "0"]], ids=["whole", "one part refused"])
async def test_a_message_in_parts_is_delivered_when_all_of_them_are(live_ctx: Context, statuses: list[str]) -> None:
    carrier = VonageUnderTest()
    async with carrying(carrier, live_ctx), a_client(carrier) as client:
        carrier.fake.statuses = statuses
        message_id = await send(live_ctx, carrier, body="Your table is ready. " * 20)
        [taken] = carrier.fake.taken
        states = []
        for part in reversed(range(statuses.count("0"))):
            await bring(client, carrier.fake.report(taken, "delivered", part=part))
            states.append((await state(message_id))[0])
    assert states == (["sent", "sent", "delivered"] if "1" not in statuses else ["sent", "sent"])


async def test_reports_of_its_parts_resolve_a_message_whose_answer_was_lost(live_ctx: Context) -> None:
    carrier = VonageUnderTest()
    async with carrying(carrier, live_ctx), a_client(carrier) as client:
        carrier.fake.statuses = ["0", "0", "0"]
        carrier.fake.drops = True
        message_id = await send(live_ctx, carrier, body="Your table is ready. " * 20)
        await db.execute("UPDATE messages SET lease_until = now() - interval '1 second'")
        assert await resolve_expired(SERVICES, {carrier.name: carrier.carrier}) == 1
        [taken] = carrier.fake.taken
        states = []
        for part in (2, 0, 0, 1):
            await bring(client, carrier.fake.report(taken, "delivered", part=part))
            states.append((await state(message_id))[0])
    assert (states, carrier.fake.requests) == (["sent", "sent", "sent", "delivered"], 1)
