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

from msvs.http.html import content_security_policy
from msvs.http.static import StaticFile, read_folder

PREFIX = "/docs"
FOLDERS: Mapping[str, str] = {"site": "", "reference": "reference/"}
NOT_FOUND = "404"

MEDIA_TYPES: Mapping[str, str] = {"changelog.xml": "application/atom+xml; charset=utf-8"}
# Swagger UI's style sheet holds its icons as data: URLs, and Material draws its icons with inline styles.
CONTENT_SECURITY_POLICY = content_security_policy(
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self'",
)
# Other sites may show its pictures and files.
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
    return MappingProxyType(
        {
            _address(PurePosixPath(prefix + path)): file
            for folder, prefix in FOLDERS.items()
            for path, file in read_folder(
                files("msvs.docs") / folder, cache_control=REVALIDATED, hashed=HASHED, media_types=MEDIA_TYPES
            ).items()
        }
    )


def _address(path: PurePosixPath) -> str:
    if path.suffix != ".html":
        return path.as_posix()
    if path.stem == "index":
        return "" if path.parent == PurePosixPath() else f"{path.parent.as_posix()}/"
    return path.with_suffix("").as_posix()
