"""The documentation site as routes: files of the package, held in memory, with strong validators."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import PurePosixPath
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from msvs.http.static import FOR_EVER, StaticFile, make_file

PREFIX = "/docs"
FOLDERS: Mapping[str, str] = {"site": "", "reference": "reference/"}
NOT_FOUND = "404"

FEED_TYPE = "application/atom+xml; charset=utf-8"
# Swagger UI's style sheet holds its icons as data: URLs, and Material draws its icons with inline styles.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
REVALIDATED = "public, max-age=300"
# The build puts a hash of the content into these names.
HASHED = ("assets/javascripts/", "assets/stylesheets/")


def docs_routes() -> list[BaseRoute]:
    """Return the routes of /docs, with their full paths."""
    site()  # read and packed now: it takes a tenth of a second, which no request of the API should wait
    return [Route(PREFIX, enter), Route(PREFIX + "/{path:path}", show)]


async def enter(_request: Request) -> Response:
    """Lead to the first page: links in it are relative to the slash."""
    return RedirectResponse(PREFIX + "/", 308, {"Cache-Control": REVALIDATED})


async def show(request: Request) -> Response:
    """Answer with a file of the site, or with its own page where it has none."""
    path: str = request.path_params["path"]
    found = site()
    if path + "/" in found:
        return RedirectResponse(f"{PREFIX}/{path}/", 308, {"Cache-Control": REVALIDATED})
    page = found.get(path)
    status = 200
    if page is None:
        page, status = found[NOT_FOUND], 404
    return page.answer(request.headers, HEADERS, status)


@lru_cache(maxsize=1)
def site() -> Mapping[str, StaticFile]:
    """Return every page and file by its path under /docs/.

    Pages go without .html, and first pages of folders by the slash.
    """
    package = files("msvs.docs")
    found: dict[str, StaticFile] = {}
    for folder, prefix in FOLDERS.items():
        waiting = [(package / folder, PurePosixPath(prefix))]
        while waiting:
            place, path = waiting.pop()
            for child in place.iterdir():
                here = path / child.name
                if child.is_dir():
                    waiting.append((child, here))
                else:
                    found[_address(here)] = _page(here, child.read_bytes())
    return MappingProxyType(found)


def _address(path: PurePosixPath) -> str:
    if path.suffix != ".html":
        return path.as_posix()
    if path.stem == "index":
        return "" if path.parent == PurePosixPath() else f"{path.parent.as_posix()}/"
    return path.with_suffix("").as_posix()


def _page(path: PurePosixPath, content: bytes) -> StaticFile:
    return make_file(
        path.name,
        content,
        media_type=FEED_TYPE if path.name == "changelog.xml" else None,
        cache_control=FOR_EVER if path.as_posix().startswith(HASHED) else REVALIDATED,
    )
