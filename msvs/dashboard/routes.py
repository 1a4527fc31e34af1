"""The dashboard's page and its built files, held in memory; a plain page where they have not been built."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from msvs.http.html import render_page
from msvs.http.static import BESIDE, FOR_EVER, REVALIDATED, StaticFile, make_file

PACKAGE = "msvs.dashboard"
PATH = "/dashboard"
PAGE = "index.html"
# The build names these after their content.
HASHED = "assets/"
NONCE = "__NONCE__"
# What people sent is shown here: no script but the built ones runs, and no text becomes markup. React Aria makes a
# style element, which names the nonce; styles that scripts set on elements need no permission.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; connect-src 'self';"
    " worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def dashboard_routes(built: Traversable | None = None) -> list[BaseRoute]:
    """Return the routes of /dashboard, with their full paths; `built` is the build's folder, the package's own if None.

    Every path without a dot is a page of the application, which reads its own path.
    """
    folder = (built or _built()) / "static"
    if not (folder / PAGE).is_file():
        return [Route(PATH, show_missing), Route(PATH + "/{path:path}", show_missing)]
    page = (folder / PAGE).read_text("utf-8")
    kept = dict(_read(folder))

    async def show_page(_request: Request) -> Response:
        nonce = secrets.token_urlsafe(16)
        policy = {"Content-Security-Policy": CONTENT_SECURITY_POLICY.format(nonce=nonce)}
        return HTMLResponse(page.replace(NONCE, nonce), headers={**HEADERS, **policy, "Cache-Control": "no-store"})

    async def show(request: Request) -> Response:
        path: str = request.path_params["path"]
        if path == "":
            return RedirectResponse(PATH, 308)
        found = kept.get(path)
        if found is not None:
            return found.answer(request.headers, HEADERS)
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
    text, headers = render_page(PACKAGE, "missing.html", title="The dashboard has not been built")
    return HTMLResponse(text, 503, {**HEADERS, **headers, "Cache-Control": "no-store"})


def _built() -> Traversable:
    return files(PACKAGE) / "built"


def _read(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, StaticFile]]:
    """Yield each built file by its path, with those that were compressed beside it."""
    entries = {entry.name: entry for entry in folder.iterdir()}
    for name, entry in entries.items():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{name}/")
        elif name != PAGE and not name.endswith(tuple(BESIDE.values())):
            beside = {coding: entries.get(name + ending) for coding, ending in BESIDE.items()}
            packed = {coding: other.read_bytes() for coding, other in beside.items() if other is not None}
            cache_control = FOR_EVER if prefix.startswith(HASHED) else REVALIDATED
            yield prefix + name, make_file(name, entry.read_bytes(), cache_control=cache_control, packed=packed)
