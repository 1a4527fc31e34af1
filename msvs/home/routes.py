"""The start page for people and programs, and a page for unknown addresses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from html import escape

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from msvs.http.headers import read_accept, read_headers
from msvs.http.html import NOT_STORED, fill, page_response
from msvs.http.middleware import request_id_of, route_unknown

PACKAGE = "msvs.home"
LINKS: Mapping[str, str] = {
    "api": "/v1",
    "docs": "/docs/",
    "openapi": "/openapi.yaml",
    "postman": "/postman.json",
    "dashboard": "/dashboard",
    "handset": "/handset",
    "health": "/healthz",
    "readiness": "/readyz",
    "metrics": "/metrics",
    "operations": "/ops",
}
# What only programs call answers every caller in JSON.
FOR_PROGRAMS = ("/v1", "/2010-04-01", "/graphql", "/callbacks", "/healthz", "/readyz", "/metrics")
PAGE_TYPES = ("text/html", "application/xhtml+xml")
DESCRIPTION = "Send SMS to the people who asked for it: messages, campaigns, consent and delivery reports."
METAS: Mapping[int, str] = {
    200: f'<meta name="description" content="{DESCRIPTION}">',
    404: '<meta name="robots" content="noindex">',
}
VARIES: Mapping[str, str] = {**NOT_STORED, "Vary": "Accept"}


def home_routes(base_url: str, *, is_production: bool) -> list[BaseRoute]:
    """Return the route of `/`."""
    return [Route("/", show_home(base_url, is_production=is_production))]


def show_home(base_url: str, *, is_production: bool) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `/`: a page for people, the entry points as JSON for machines."""
    index = msgspec.json.encode({"name": "MassiveSMS", "links": LINKS})
    keys = "home_keys_hosted.html" if is_production else "home_keys_here.html"

    async def show(request: Request) -> Response:
        """Show what the service is, or list its entry points."""
        if not wants_page(request.scope):
            return Response(index, 200, dict(VARIES), media_type="application/json")
        return _page("home.html", 200, title="MassiveSMS", base=escape(base_url), keys=_part(keys))

    return show


def unknown_pages() -> ASGIApp:
    """Return what answers addresses that have nothing: a page for people, the error envelope for machines."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and _is_for_people(scope):
            page = _page(
                "missing.html",
                404,
                title="Page not found",
                path=escape(scope["path"][:200]),
                request_id=request_id_of(scope),
            )
            await page(scope, receive, send)
            return
        await route_unknown(scope, receive, send)

    return answer


def wants_page(scope: Scope) -> bool:
    """Return whether the caller names HTML in Accept, and not JSON before it (RFC 9110, section 12.5.1)."""
    weights = dict(read_accept(read_headers(scope).get(b"accept")))
    return max(weights.get(name, 0.0) for name in PAGE_TYPES) > weights.get("application/json", 0.0)


def _is_for_people(scope: Scope) -> bool:
    path: str = scope["path"]
    is_program = any(path == prefix or path.startswith(prefix + "/") for prefix in FOR_PROGRAMS)
    return not is_program and wants_page(scope)


def _page(name: str, status: int, *, title: str, **values: str) -> Response:
    body = fill(PACKAGE, name, **values)
    return page_response(
        PACKAGE,
        "layout.html",
        title=title,
        status=status,
        headers={**VARIES, "Referrer-Policy": "same-origin"},
        style=_part("style.css"),
        meta=METAS[status],
        body=body,
    )


def _part(name: str) -> str:
    return fill(PACKAGE, name)
