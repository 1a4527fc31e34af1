"""A webhook receiver on loopback, and the rows that make deliveries to it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from aiohttp import web

from msvs.address_policy import AddressPolicy
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.crypto import SecretBox
from msvs.api.resources import Resource
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import signatures
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import Row, fetch
from msvs.models import WebhookEndpoint
from tests.services import SERVICES, use_address_policy

SECRET = "whsec_of_the_receiver_in_tests"


@dataclass(frozen=True)
class Received:
    """One POST as it arrived."""

    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def event_id(self) -> str:
        return self.headers["MSVS-Event-Id"]

    @property
    def attempt(self) -> int:
        return int(self.headers["MSVS-Delivery-Attempt"])

    @property
    def signature(self) -> str:
        return self.headers["MSVS-Signature"]

    def is_signed_with(self, secret: str) -> bool:
        """Whether one of the signatures is by `secret`, and now."""
        return signatures.verify(self.signature, self.body, secret, now=time.time())

    def is_signed_first_with(self, secret: str) -> bool:
        """Whether the one signature that the document's verifier reads is by `secret`."""
        return signatures.verify(",".join(self.signature.split(",")[:2]), self.body, secret, now=time.time())


Answer = Callable[[Received], Awaitable[web.Response]]


async def accept(post: Received) -> web.Response:
    """Take every request."""
    return web.Response(text="ok")


class Receiver:
    """Keeps every POST and answers it as `answer` says."""

    def __init__(self, answer: Answer = accept) -> None:
        self.answer = answer
        self.posts: list[Received] = []
        self.origin = ""

    def url(self, path: str = "/hook") -> str:
        """The address of one of its endpoints."""
        return self.origin + path

    def on(self, path: str) -> list[Received]:
        """The posts to one path."""
        return [post for post in self.posts if post.path == path]

    async def _receive(self, request: web.Request) -> web.Response:
        post = Received(request.path, await request.read(), dict(request.headers))
        self.posts.append(post)
        return await self.answer(post)


@asynccontextmanager
async def receiving(answer: Answer = accept) -> AsyncIterator[Receiver]:
    """A receiver that listens while the block runs."""
    receiver = Receiver(answer)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver._receive)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receiver
    finally:
        await runner.cleanup()


@contextmanager
def configured_webhooks() -> Iterator[None]:
    """Webhooks to loopback allowed, secrets sealed with a key of the tests."""
    SERVICES.keyring.seal_with("a key for tests")
    use_address_policy(AddressPolicy(allow_loopback=True))
    try:
        yield
    finally:
        SERVICES.keyring.seal_with(None)
        use_address_policy(AddressPolicy())


async def make_endpoint(
    ctx: Context, url: str = "http://127.0.0.1:9/hook", events: Sequence[str] = ("*",), **values: Any
) -> WebhookEndpoint:
    """An endpoint whose secret is SECRET; its URL is not checked."""
    return await WebhookEndpoint.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        url=url,
        events=list(events),
        secret_sealed=SecretBox("a key for tests").seal(SECRET),
        **values,
    )


class Thing(Resource, kw_only=True):
    """What the events of tests are about."""

    id: str
    object: Literal["message"] = "message"
    status: str = "delivered"


async def write_events(
    ctx: Context, count: int = 1, *, type: EventType = EventType.MESSAGE_DELIVERED, now: datetime | None = None
) -> list[str]:
    """Record events in one transaction, with their deliveries; their public ids, in order."""
    things = [ids.new_id() for _ in range(count)]
    async with unit_of_work():
        await record_events(
            [
                NewEvent(type, ctx.workspace_id, ctx.livemode, thing, Thing(id=ids.encode_id(ids.MESSAGE, thing)))
                for thing in things
            ],
            now or datetime.now(UTC),
        )
    rows = await fetch("SELECT id FROM events WHERE resource_id = ANY ($1) ORDER BY id", things)
    return [ids.encode_id(ids.EVENT, row.id) for row in rows]


async def deliveries_of(endpoint_id: UUID) -> Sequence[Row]:
    """The deliveries to an endpoint, in the order of their events."""
    return await fetch("SELECT * FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY event_id", endpoint_id)
