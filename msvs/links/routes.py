"""The redirect of short links, under the service's host and under the host of links."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from msvs.api.accounts.clocks import enter_time
from msvs.api.context import Services
from msvs.api.limits import Limiter
from msvs.api.messages.clicks import Clicks, find_target, is_person
from msvs.api.text.links import is_code
from msvs.http.callers import address_of
from msvs.http.guesses import Guesses
from msvs.http.headers import header_text, read_headers
from msvs.http.hosts import host_name
from msvs.http.html import NOT_STORED, card_response, fill
from msvs.http.templates import ROUTE_PATH

PACKAGE = "msvs.links"
PATH = "/{code}"
METHODS = ("GET", "HEAD")
# The code tells who received it: no page that the link leads to learns it, and no cache and no index keeps it.
HEADERS: Mapping[str, str] = {**NOT_STORED, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


def link_routes(services: Services, limiter: Limiter) -> tuple[list[BaseRoute], list[BaseRoute]]:
    """Return the routes of short links: those that stand before every other front, and those that stand after."""
    links = ShortLinks(services, limiter)
    return ([OfDomain(services.link_domain, links)] if services.link_domain else [], [OfCode(links)])


class OfDomain(BaseRoute):
    """Every path under the host of links, which serves nothing else."""

    def __init__(self, domain: str, links: ShortLinks) -> None:
        self._domain = domain
        self._links = links

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is to the host of links."""
        if scope["type"] != "http":
            return Match.NONE, {}
        host = header_text(read_headers(scope).get(b"host")) or ""
        if host_name(host) != self._domain:
            return Match.NONE, {}
        return Match.FULL, {"path_params": {}, ROUTE_PATH: PATH}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._links(scope, receive, send)


class OfCode(BaseRoute):
    """A path that is a code and nothing more, under any other host."""

    def __init__(self, links: ShortLinks) -> None:
        self._links = links

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether the path is a code."""
        if scope["type"] == "http" and scope["method"] in METHODS and is_code(scope["path"][1:]):
            return Match.FULL, {"path_params": {}, ROUTE_PATH: PATH}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._links(scope, receive, send)


class ShortLinks:
    """The ASGI app of short links: a redirect by look-ups of keys, or a page that says there is no such link."""

    def __init__(self, services: Services, limiter: Limiter) -> None:
        self._services = services
        self._guesses = Guesses(limiter, "links that do not exist")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises RateLimited."""
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response:
        ip = address_of(scope)
        self._guesses.check(ip)
        code = scope["path"][1:]
        target = await find_target(code) if scope["method"] in METHODS else None
        if target is None:
            await self._guesses.count(ip)
            return _page(404, "No such link", "This link does not exist. Check that you copied all of it.")
        if target.is_held:
            return _page(410, "This link leads nowhere", "Its sender cannot use this service at the moment.")
        if target.has_clock:
            await enter_time(target.workspace_id)
        now = self._services.clock()
        if target.expires_at <= now:
            return _page(410, "This link has expired", "Ask the sender of the message for a new one.")
        if is_person(scope["method"], read_headers(scope)):
            self._services.keep(Clicks).note(code, now)
        return Response(status_code=302, headers={**HEADERS, "Location": target.url})


def _page(status: int, heading: str, text: str) -> Response:
    body = fill(PACKAGE, "notice.html", heading=heading, text=text)
    page = card_response(PACKAGE, title=heading, body=body, status=status)
    page.headers.update(HEADERS)
    return page
