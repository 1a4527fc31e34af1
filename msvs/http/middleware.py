"""The outermost middleware: a request id on every response, and the error envelope on every failure."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from msvs.api import ids
from msvs.api.errors import ApiError, MethodNotAllowed, RouteUnknown
from msvs.http.body import ClientGone
from msvs.http.errors import as_api_error, error_body, error_headers
from msvs.http.headers import JSON_TYPE, NOT_STORED, Headers
from msvs.present import standing
from msvs.settings import PRODUCTION_URL

log = structlog.get_logger(__name__)

REQUEST_ID = "msvs.request_id"
# The status of the answer, once that has begun.
STATUS = "msvs.status"
ANSWER_HEADERS = "msvs.answer_headers"
# Who asks, once a front knows it by an API key, and the code of what it was refused with.
CALLER = "msvs.caller"
ERROR_CODE = "msvs.error_code"
# Nothing is what its Content-Type does not say, no matter what a caller had us put into it.
AS_TYPED = (b"x-content-type-options", b"nosniff")
# A year, for this host alone: browsers then take the TLS proxy's word for granted.
HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")


class RequestMiddleware:
    """Wraps the whole application. Layers below read `scope[REQUEST_ID]`, add to `scope[ANSWER_HEADERS]` and raise."""

    def __init__(self, app: ASGIApp, *, https_only: bool = False, base_url: str = PRODUCTION_URL) -> None:
        self._app = app
        self._base_url = base_url
        self._more: Headers = [AS_TYPED, HTTPS_ONLY] if https_only else [AS_TYPED]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer in its place when it fails."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[REQUEST_ID] = ids.encode_id(ids.REQUEST, ids.new_id())
        answer_headers: Headers = []
        scope[ANSWER_HEADERS] = answer_headers
        is_head = scope["method"] == "HEAD"
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                scope[STATUS] = message["status"]
                headers = [header for header in message.get("headers", ()) if header != AS_TYPED]
                headers += self._more
                headers.append((b"x-request-id", scope[REQUEST_ID].encode()))
                headers += answer_headers
                message = {**message, "headers": headers}
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        tokens = bind_contextvars(request_id=request_id)
        try:
            with standing():
                await self._app(scope, receive, send_on)
        except ClientGone:
            return
        except Exception as error:
            refusal = refuse(scope, error)
            if started:
                # Half an answer is out; only breaking the connection tells the client so.
                raise
            body = error_body(refusal, request_id, self._base_url)
            await send_whole(send_on, refusal.status, body, error_headers(refusal))
        finally:
            reset_contextvars(**tokens)


def refuse(scope: Scope, error: Exception) -> ApiError:
    """Return what the caller is told of an error, and log what is not the caller's fault."""
    refusal = as_refusal(error) if isinstance(error, HTTPException) else as_api_error(error)
    scope[ERROR_CODE] = refusal.code
    if refusal.status == 503:
        log.warning("request refused", method=scope["method"], status=503, error=type(error).__name__)
    elif refusal.status >= 500:
        # A caller's own values may stand in the text of an unforeseen error: it goes to the log, masked.
        log.error("request failed", method=scope["method"], status=refusal.status, exc_info=error)
    return refusal


def request_id_of(scope: Scope) -> str:
    """Return the id that the middleware gave the request; a new one where it did not run."""
    return scope.get(REQUEST_ID) or ids.encode_id(ids.REQUEST, ids.new_id())


async def send_whole(
    send: Send,
    status: int,
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    media_type: bytes = JSON_TYPE,
) -> None:
    """Send a whole response that no cache may keep."""
    length = (b"content-length", b"%d" % len(body))
    start = [(b"content-type", media_type), length, NOT_STORED, *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def send_empty(send: Send, status: int, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send a response that has no body by its status, and no length either (RFC 9110, section 8.6)."""
    await send({"type": "http.response.start", "status": status, "headers": [NOT_STORED, *headers]})
    await send({"type": "http.response.body"})


async def route_unknown(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer a request that matches no route."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000, "reason": ""})
        return
    raise RouteUnknown(f"No such route: {scope['method'][:20]} {scope['path'][:200]}")


def as_refusal(error: HTTPException) -> ApiError:
    """Starlette's own refusals in our terms."""
    headers = error.headers or {}
    if error.status_code == 405:
        return MethodNotAllowed("This path does not take the method.", allow=headers.get("Allow", ""))
    if error.status_code == 404:
        return RouteUnknown("No such route.")
    return as_api_error(error)
