"""Traces of requests: a span for each, the child of the one that its client names."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from msvs.api import ids
from msvs.http.middleware import CALLER, ERROR_CODE, REQUEST_ID, STATUS
from msvs.http.templates import PROBES
from msvs.tracing import Kind, Span, Tracing, read_traceparent, using


class Traced:
    """Wraps the whole application. `route_of` returns the template of the route that a request took."""

    def __init__(self, app: ASGIApp, *, tracing: Tracing, route_of: Callable[[Scope], str]) -> None:
        self._app = app
        self._tracing = tracing
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, inside a span."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        parent = read_traceparent(scope["headers"])
        with (
            using(self._tracing),
            self._tracing.within(method, Kind.SERVER, parent, {"http.request.method": method}) as span,
        ):
            try:
                await self._app(scope, receive, send)
            finally:
                self._describe(span, scope)

    def _describe(self, span: Span, scope: Scope) -> None:
        route, status, caller = self._route_of(scope), scope.get(STATUS), scope.get(CALLER)
        span.rename(f"{scope['method']} {route}")
        span.note(
            {
                "http.route": route,
                "http.response.status_code": status,
                "msvs.request_id": scope.get(REQUEST_ID),
                "msvs.error_code": scope.get(ERROR_CODE),
            }
        )
        if caller is not None:
            span.note(
                {
                    "msvs.workspace_id": ids.encode_id(ids.WORKSPACE, caller.workspace_id),
                    "msvs.livemode": caller.livemode,
                }
            )
        if status is not None and status >= 500:
            span.fail(str(scope.get(ERROR_CODE) or status))
