"""Refuse unknown host names for pages and GraphQL, against DNS rebinding."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.http.headers import header_text, read_headers

ANY = "*"
# What a page of another site could use if its own name led here (DNS rebinding). Programs at other paths bring a key.
GUARDED = ("/dev", "/graphql", "/dashboard", "/handset", "/ops")


class AllowedHosts:
    """Refuses requests to guarded paths under a name that is not the service's: 400 `host_unknown`.

    Allowed are the host of the public URL, `localhost`, addresses, which no name can be rebound to, and the names that
    the settings add; `*` allows any.
    """

    def __init__(self, app: ASGIApp, *, base_url: str, names: Iterable[str] = ()) -> None:
        self._app = app
        own = urlsplit(base_url).hostname
        self._names = frozenset(name.lower() for name in (*names, *([own] if own else []), "localhost"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on that may pass. Raises InvalidRequest; closes a socket."""
        if scope["type"] in ("http", "websocket") and _is_guarded(scope["path"]) and not self._allows(scope):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008, "reason": ErrorCode.HOST_UNKNOWN})
                return
            raise InvalidRequest(
                "This service is not known under the name in Host; MSVS_ALLOWED_HOSTS can add it.",
                code=ErrorCode.HOST_UNKNOWN,
            )
        await self._app(scope, receive, send)

    def _allows(self, scope: Scope) -> bool:
        name = host_name(header_text(read_headers(scope).get(b"host")) or "")
        if ANY in self._names or name in self._names or name.endswith(".localhost"):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def host_name(host: str) -> str:
    """Return the name or address in a Host header, in lower case, without its port and a dot at its end."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _is_guarded(path: str) -> bool:
    return path.startswith(GUARDED) and any(path == each or path.startswith(f"{each}/") for each in GUARDED)
