"""The dashboard's page and built files, held in memory; a plain page if they have not been built."""

from __future__ import annotations

import json
import secrets
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from msvs.http.html import NOT_STORED, PAGE_HEADERS, card_response, content_security_policy, fill
from msvs.http.static import read_folder

PACKAGE = "msvs.dashboard"
PATH = "/dashboard"
PAGE = "index.html"
# The build names these after their content.
HASHED = "assets/"
NONCE = "__NONCE__"
# What people sent is shown here: no script but the built ones runs, and no text becomes markup. React Aria makes a
# style element, which names the nonce; styles that scripts set on elements need no permission.
CONTENT_SECURITY_POLICY = content_security_policy(
    "script-src 'self'",
    "style-src 'self' 'nonce-{nonce}'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)


def dashboard_routes(built: Traversable | None = None) -> list[BaseRoute]:
    """Return the routes of /dashboard, with their full paths; `built` is the build's folder, the package's own if None.

    Every path without a dot is a page of the application, which reads its own path.
    """
    folder = (built or _built()) / "static"
    if not (folder / PAGE).is_file():
        return [Route(PATH, show_missing), Route(PATH + "/{path:path}", show_missing)]
    page = (folder / PAGE).read_text("utf-8")
    kept = read_folder(folder, hashed=(HASHED,))
    del kept[PAGE]

    async def show_page(_request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY.format(nonce=nonce)}
        return HTMLResponse(page.replace(NONCE, nonce), headers={**PAGE_HEADERS, **policy, **NOT_STORED})

    async def show(request: Request) -> Response:
        path: str = request.path_params["path"]
        if path == "":
            return RedirectResponse(PATH, 308)
        found = kept.get(path)
        if found is not None:
            return found.answer(request.headers, PAGE_HEADERS)
        if path.startswith(HASHED) or "." in path.rpartition("/")[2]:
            raise HTTPException(404)
        return await show_page(request)

    return [Route(PATH, show_page), Route(PATH + "/{path:path}", show)]


def operations(built: Traversable | None = None) -> dict[str, str]:
    """Return the GraphQL documents of the dashboard by the ids it sends; none where it has not been built."""
    manifest = (built or _built()) / "operations.json"
    kept: dict[str, str] = json.loads(manifest.read_text("utf-8")) if manifest.is_file() else {}
    return kept


async def show_missing(_request: Request) -> Response:
    """Say that the dashboard has not been built, and how to build it."""
    title = "The dashboard has not been built"
    return card_response(PACKAGE, title=title, body=fill(PACKAGE, "missing.html", title=title), status=503)


def _built() -> Traversable:
    return files(PACKAGE) / "built"
