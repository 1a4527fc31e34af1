"""Trusted proxies: whose X-Forwarded-For is trusted, and which address is the client's."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from uvicorn import _types

PEER = "msvs.peer"


class TrustedProxies:
    """Middleware that takes the client's address from X-Forwarded-For where a proxy of `networks` sent the request.

    The right-most address that is no such proxy's counts: what stands left of it anybody may have written. The header
    Forwarded is not read, as a proxy that writes the one passes on what its clients wrote in the other.
    """

    def __init__(self, app: ASGIApp, networks: Iterable[str]) -> None:
        self._app = app
        self._proxied = ProxyHeadersMiddleware(
            cast("_types.ASGI3Application", self._call), trusted_hosts=list(networks)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a connection on, with its client's address."""
        if scope.get("client") is not None:
            host, port = scope["client"]
            scope["client"] = (_unmapped(host), port)
        scope[PEER] = scope.get("client")
        await self._proxied(
            cast("_types.Scope", scope),
            cast("_types.ASGIReceiveCallable", receive),
            cast("_types.ASGISendCallable", send),
        )

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope.pop(PEER)
        client = scope.get("client")
        if client is not None and client != peer and not _is_address(client[0]):
            scope["client"] = peer
        await self._app(scope, receive, send)


def _unmapped(host: str) -> str:
    """Return an IPv4 address that a socket of both families shows as IPv6, as itself."""
    address = ip_address(host) if _is_address(host) else None
    return str(address.ipv4_mapped) if isinstance(address, IPv6Address) and address.ipv4_mapped else host


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False
