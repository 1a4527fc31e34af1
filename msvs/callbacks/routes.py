"""The routes /carriers/{name}/{kind}: commit what a carrier sends before answering it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from msvs.api.errors import (
    ApiError,
    ErrorCode,
    InvalidRequest,
    NotFound,
    PermissionDenied,
)
from msvs.api.notifier import WorkQueue
from msvs.api.unit_of_work import in_unit_of_work, notify_after_commit
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.protocol import Callback, CallbackAnswer, CallbackRefused, Carrier
from msvs.http.body import read_body
from msvs.http.headers import read_headers
from msvs.http.html import NOT_STORED

log = structlog.get_logger(__name__)

PATH = "/carriers/{name}/{kind}"
KINDS = frozenset(("reports", "inbound"))
MAX_BYTES = 64 * 1024


def callback_routes(carriers: Mapping[str, Carrier], *, base_url: str) -> list[BaseRoute]:
    """Return the route of every carrier's callbacks, with its full path; `base_url` is where carriers reach us."""
    return [Route(PATH, CallbackRoute(carriers, base_url), methods=["GET", "POST"])]


class CallbackRoute:
    """The callbacks of the carriers as an ASGI app."""

    def __init__(self, carriers: Mapping[str, Carrier], base_url: str) -> None:
        self._carriers = carriers
        self._base_url = base_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one callback; errors are raised for the middleware to render."""
        request = Request(scope, receive)
        name, kind = request.path_params["name"], request.path_params["kind"]
        carrier = self._carriers.get(name)
        if carrier is None or kind not in KINDS:
            raise NotFound("No carrier uses this address.")
        headers = read_headers(scope)
        body = await read_body(receive, headers, MAX_BYTES)
        try:
            answer = carrier.read_callback(
                Callback(kind, request.method, self._url(scope), _texts(headers), body, datetime.now(UTC))
            )
        except CallbackRefused as refused:
            log.warning("callback refused", carrier=name, kind=kind, reason=refused.reason)
            raise _refusal(refused) from None
        await _keep(name, answer)
        response = Response(answer.body, answer.status, NOT_STORED, media_type=answer.content_type)
        await response(scope, receive, send)

    def _url(self, scope: Scope) -> str:
        """Return the URL that the carrier called: a proxy in front may have changed scheme, host and path."""
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        return self._base_url + (path + b"?" + query if query else path).decode("latin-1")


async def _keep(name: str, answer: CallbackAnswer) -> None:
    if not answer.carrier_events:
        return

    async def keep() -> None:
        if await keep_carrier_events(name, answer.carrier_events):
            notify_after_commit(WorkQueue.REPORTS)

    await in_unit_of_work(keep)


def _refusal(refused: CallbackRefused) -> ApiError:
    if refused.status == 404:
        return NotFound("No carrier uses this address.")
    if refused.status == 400:
        return InvalidRequest("The callback cannot be read.", code=ErrorCode.CALLBACK_INVALID)
    return PermissionDenied("The callback is not the carrier's, or too old.", code=ErrorCode.CALLBACK_REFUSED)


def _texts(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
