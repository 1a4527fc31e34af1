"""The routes /hooks/{token} and /hooks/orders/{token}: accept people and orders that services post."""

from __future__ import annotations

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from msvs.api.contacts import sync_hooks
from msvs.api.contacts.sources import HOOKS
from msvs.api.context import Services
from msvs.api.errors import NotFound
from msvs.api.limits import Bucket, Limiter
from msvs.api.messages import order_hooks
from msvs.api.messages.order_hooks import ORDERS
from msvs.http.body import read_body
from msvs.http.callers import address_of
from msvs.http.guesses import Guesses
from msvs.http.headers import read_headers, tell_allowance
from msvs.http.middleware import ANSWER_HEADERS, send_whole
from msvs.pool import sharing

MAX_BYTES = 256 * 1024
# An order with many lines and refunds.
MAX_ORDER_BYTES = 1024 * 1024


def hook_routes(services: Services, limiter: Limiter) -> list[BaseRoute]:
    """Return the routes for the hook URLs of synced lists and of shops, with their full paths."""
    return [
        Route(f"{ORDERS}/{{token}}", OrderRoute(services, limiter), methods=["POST"]),
        Route(f"{HOOKS}/{{token}}", HookRoute(services, limiter), methods=["POST"]),
    ]


class HookRoute:
    """The ASGI app for the hook URLs of synced lists."""

    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._limiter = limiter
        self._guesses = Guesses(limiter, "addresses that do not exist")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the middleware renders any error raised."""
        ip = address_of(scope)
        self._guesses.check(ip)
        try:
            source = await sync_hooks.find_source(scope["path_params"]["token"])
        except NotFound:
            await self._guesses.count(ip)
            raise
        tell_allowance(await self._limiter.take(source.workspace_id, Bucket.HOOKS), scope[ANSWER_HEADERS])
        headers = read_headers(scope)
        body = await read_body(receive, headers, MAX_BYTES)
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        with sharing(source.workspace_id):
            answer = await sync_hooks.take_delivery(self._services, source, texts, body)
        await send_whole(send, 200, msgspec.json.encode(answer))


class OrderRoute:
    """The ASGI app for the addresses of order hooks. They draw on the bucket of requests: a sale brings many orders."""

    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._limiter = limiter
        self._guesses = Guesses(limiter, "addresses that do not exist")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the middleware renders any error raised."""
        ip = address_of(scope)
        self._guesses.check(ip)
        try:
            hook = await order_hooks.find_hook(scope["path_params"]["token"])
        except NotFound:
            await self._guesses.count(ip)
            raise
        tell_allowance(await self._limiter.take(hook.workspace_id, Bucket.REQUESTS), scope[ANSWER_HEADERS])
        headers = read_headers(scope)
        body = await read_body(receive, headers, MAX_ORDER_BYTES)
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        with sharing(hook.workspace_id):
            answer = await order_hooks.take_order(self._services, hook, texts, body)
        await send_whole(send, 200, msgspec.json.encode(answer))
