"""The routes /hooks/{token} and /hooks/orders/{token}: accept people and orders that services post."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple
from uuid import UUID

import msgspec
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from msvs.api.accounts.clocks import enter_time
from msvs.api.contacts import sync_hooks
from msvs.api.contacts.sources import HOOKS
from msvs.api.context import Services
from msvs.api.errors import NotFound
from msvs.api.limits import Bucket, Limiter
from msvs.api.messages import order_hooks
from msvs.api.messages.order_hooks import ORDERS
from msvs.api.resources import Resource
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
    # Those of shops draw on the bucket of requests: a sale brings many orders.
    shops = HookRoute(services, limiter, _take_order, bucket=Bucket.REQUESTS, most=MAX_ORDER_BYTES)
    lists = HookRoute(services, limiter, _take_people, bucket=Bucket.HOOKS, most=MAX_BYTES)
    return [
        Route(f"{ORDERS}/{{token}}", shops, methods=["POST"]),
        Route(f"{HOOKS}/{{token}}", lists, methods=["POST"]),
    ]


class Found(NamedTuple):
    """The hook whose address was called: its workspace, and what takes in the headers and the body.

    With `has_clock` it is of a sandbox that lives in its own time.
    """

    workspace_id: UUID
    has_clock: bool
    take: Callable[[Mapping[str, str], bytes], Awaitable[Resource]]


async def _take_people(services: Services, token: str) -> Found:
    source = await sync_hooks.find_source(token)
    return Found(source.workspace_id, source.has_clock, partial(sync_hooks.take_delivery, services, source))


async def _take_order(services: Services, token: str) -> Found:
    hook = await order_hooks.find_hook(token)
    return Found(hook.workspace_id, hook.has_clock, partial(order_hooks.take_order, services, hook))


class HookRoute:
    """The ASGI app for the hook URLs of one kind; `find` raises NotFound where no hook has a token."""

    def __init__(
        self,
        services: Services,
        limiter: Limiter,
        find: Callable[[Services, str], Awaitable[Found]],
        *,
        bucket: Bucket,
        most: int,
    ) -> None:
        self._services = services
        self._limiter = limiter
        self._find = find
        self._bucket = bucket
        self._most = most
        self._guesses = Guesses(limiter, "addresses that do not exist")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the middleware renders any error raised."""
        ip = address_of(scope)
        self._guesses.check(ip)
        try:
            found = await self._find(self._services, scope["path_params"]["token"])
        except NotFound:
            await self._guesses.count(ip)
            raise
        tell_allowance(await self._limiter.take(found.workspace_id, self._bucket), scope[ANSWER_HEADERS])
        headers = read_headers(scope)
        body = await read_body(receive, headers, self._most)
        texts = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
        if found.has_clock:
            await enter_time(found.workspace_id)
        with sharing(found.workspace_id):
            answer = await found.take(texts, body)
        await send_whole(send, 200, msgspec.json.encode(answer))
