"""The handset's page, its files, and the token for its GraphQL requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from msvs.api.accounts.login_sessions import authenticate_session
from msvs.api.context import Services
from msvs.api.errors import AuthenticationFailed, RateLimited
from msvs.http.callers import Callers, address_of
from msvs.http.html import NOT_STORED, PAGE_HEADERS, content_security_policy
from msvs.http.static import StaticFile, read_folder
from msvs.settings import Settings

PATH = "/handset"
PAGE = "index.html"
# What people sent is shown here: no script but the page's own runs, and no text becomes markup.
CONTENT_SECURITY_POLICY = content_security_policy(
    "script-src 'self'",
    "style-src 'self'",
    "img-src data:",
    "connect-src 'self'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS: Mapping[str, str] = {**PAGE_HEADERS, "Content-Security-Policy": CONTENT_SECURITY_POLICY}


def handset_routes(services: Services, settings: Settings) -> list[BaseRoute]:
    """Return the routes of /handset, with their full paths."""
    callers = Callers(settings, services)

    async def show_session(request: Request) -> Response:
        """Return the CSRF token of the browser's session, or null; no page of another site can read it.

        The session's cookie is out of the page's reach, and the token must outlive a reload.
        """
        headers = dict(request.scope["headers"])
        callers.check_origin(headers)
        try:
            token, ip = callers.token_of(headers), address_of(request.scope)
            csrf_token = (await authenticate_session(services, token, ip=ip)).csrf_token
        except (AuthenticationFailed, RateLimited):
            csrf_token = None
        answer = msgspec.json.encode({"csrf_token": csrf_token})
        more = {**HEADERS, **NOT_STORED, "Vary": "Cookie, Origin, Sec-Fetch-Site"}
        return Response(answer, 200, more, media_type="application/json")

    pages = read_folder(files("msvs.handset") / "static")
    return [
        Route(PATH, show_file(pages.pop(PAGE))),
        Route(f"{PATH}/", _enter),
        Route(f"{PATH}/session", show_session),
        *(Route(f"{PATH}/{name}", show_file(page)) for name, page in pages.items()),
    ]


def operations() -> dict[str, str]:
    """Return the GraphQL documents of the page by the ids it sends."""
    folder = files("msvs.handset") / "operations"
    return {
        f"handset/{entry.name.removesuffix('.graphql')}": entry.read_text("utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".graphql")
    }


async def _enter(_request: Request) -> Response:
    return RedirectResponse(PATH, 308)


def show_file(page: StaticFile) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with a file of the page; a browser asks each time whether it has changed."""

    async def show(request: Request) -> Response:
        return page.answer(request.headers, HEADERS)

    return show
