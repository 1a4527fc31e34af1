"""The index of /v1, and 404 for any other path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from msvs.api.accounts.auth import authenticate
from msvs.api.context import Services
from msvs.api.errors import RouteUnknown
from msvs.api.limits import Limiter
from msvs.http.body import JSON
from msvs.http.callers import address_of
from msvs.http.calls import admit
from msvs.http.headers import header_text, read_headers
from msvs.http.middleware import REQUEST_ID

ROOT = "/v1"
LINKS: Mapping[str, str] = {"docs": "/docs/", "reference": "/docs/reference/", "openapi": "/openapi.yaml"}


def show_index(index: bytes) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `/v1`: the paths that there are, and where they are documented."""

    async def show(_request: Request) -> Response:
        """List the paths of the API."""
        return Response(index, media_type=JSON)

    return show


class UnknownPath:
    """Any other path under /v1: 404, with the caller's rate tokens in the headers where there is a key."""

    def __init__(self, services: Services, known: Sequence[BaseRoute], limiter: Limiter) -> None:
        self._services = services
        self._known = known
        self._limiter = limiter

    async def __call__(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        """Refuse one request."""
        await admit_if_known(self._services, self._limiter, scope)
        path: str = scope["path"]
        message = f"No such route: {scope['method'][:20]} {path[:200]}."
        bare = path.rstrip("/")
        if bare != path and self._is_known(scope, bare):
            message = f"{message} Leave out the slash at the end."
        raise RouteUnknown(message)

    def _is_known(self, scope: Scope, path: str) -> bool:
        asked = {**scope, "path": path}
        return path == ROOT or any(route.matches(asked)[0] is not Match.NONE for route in self._known)


async def admit_if_known(services: Services, limiter: Limiter, scope: Scope) -> None:
    """Take a token of the caller's where the request has a key, and say in headers what is left.

    Raises AuthenticationFailed and RateLimited.
    """
    authorization = header_text(read_headers(scope).get(b"authorization"))
    if authorization is not None:
        ctx = await authenticate(services, authorization, scope[REQUEST_ID], ip=address_of(scope))
        await admit(scope, ctx, limiter)
