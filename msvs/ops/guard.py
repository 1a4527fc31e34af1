"""Guard the operators' pages: response headers, the same-origin rule and the session."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from msvs.api.accounts.operators import OperatorAction
from msvs.http.headers import read_accept
from msvs.http.html import NOT_STORED, PAGE_HEADERS, content_security_policy
from msvs.ops.operator_sessions import Sessions
from msvs.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HOME = "/ops/rq/"
LOGIN = "/ops/login"
LOGOUT = "/ops/logout"

# A form names the page it was sent from, by which its origin is checked.
SECURITY_HEADERS = {**PAGE_HEADERS, **NOT_STORED, "Referrer-Policy": "same-origin"}
DEFAULT_CONTENT_SECURITY_POLICY = content_security_policy()


class SecurityHeaders:
    """Adds the headers that every response under /ops carries."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add the headers to its response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", DEFAULT_CONTENT_SECURITY_POLICY)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class OperatorsOnly:
    """Lets through signed-in operators alone, and their changes only from our own pages."""

    def __init__(self, app: ASGIApp, settings: Settings, sessions: Sessions) -> None:
        self._app = app
        self._settings = settings
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, 403 or a redirect to the login page, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        operator = await self._sessions.find_operator(request)
        if operator is None:
            if asks_for_page(request):
                here = scope["path"] + (f"?{request.url.query}" if request.url.query else "")
                answer: ASGIApp = RedirectResponse(f"{LOGIN}?next={quote(here, safe='/')}", status_code=303)
            else:
                answer = PlainTextResponse(f"Sign in at {LOGIN}.\n", status_code=401)
            await answer(scope, receive, send)
            return
        if request.method not in SAFE_METHODS and not is_same_origin(request, self._settings):
            await refused_as_cross_site(scope, receive, send)
            return
        if request.method not in SAFE_METHODS:
            await self._sessions.note(request, operator, OperatorAction.CHANGED, f"{request.method} {scope['path']}")
        if self._sessions.device(request) is not None:
            await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, self._remembering(send))

    def _remembering(self, send: Send) -> Send:
        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"set-cookie", self._sessions.remembering())]}
            await send(message)

        return send_with_cookie


refused_as_cross_site = PlainTextResponse("Refused: the request came from another site.\n", status_code=403)


def asks_for_page(request: Request) -> bool:
    """Return whether a browser asks for a page to show, rather than for data or an asset."""
    if request.method not in ("GET", "HEAD"):
        return False
    destination = request.headers.get("sec-fetch-dest")
    if destination is not None:
        return destination == "document"
    accept = read_accept(request.headers.get("accept", "").encode("latin-1"))
    return any(name == "text/html" and weight > 0 for name, weight in accept)


def is_same_origin(connection: HTTPConnection, settings: Settings) -> bool:
    """Return whether a request that changes something comes from a page of this very service.

    Every witness the browser gives (Sec-Fetch-Site, Origin, Referer) must agree, and one of Origin and Referer
    must be there.
    """
    headers = connection.headers
    site = headers.get("sec-fetch-site")
    # `none` is the user's own act, such as reloading the answer to a form; a script cannot bring it about.
    by_hand = site == "none" and headers.get("sec-fetch-mode") == "navigate"
    if site is not None and site != "same-origin" and not by_hand:
        return False
    witness = headers.get("origin") or headers.get("referer")
    if witness is None:
        return False
    return _host(witness) in _own_hosts(headers, settings)


def local_path(wanted: str | None) -> str:
    """Return where to go after signing in: `wanted` when it is a page under /ops, else the queues."""
    if not wanted or not wanted.isascii() or not wanted.isprintable() or "\\" in wanted or " " in wanted:
        return HOME
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return HOME
    segments = unquote(parts.path).split("/")
    if parts.scheme or parts.netloc or not wanted.startswith("/ops/") or {"..", "."} & set(segments):
        return HOME
    return HOME if parts.path in (LOGIN, LOGOUT) else wanted


def _own_hosts(headers: Headers, settings: Settings) -> set[str]:
    hosts = {headers.get("host", "").lower()}
    # A proxy in front may send its own Host.
    if settings.public_url:
        hosts.add(_host(settings.public_url))
    return hosts - {""}


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""
