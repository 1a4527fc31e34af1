"""The documentation site as routes: files of the package, held in memory, with strong validators."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from pathlib import PurePosixPath
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

PREFIX = "/docs"
FOLDERS: Mapping[str, str] = {"site": "", "reference": "reference/"}
NOT_FOUND = "404"

TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".xml": "application/xml",
}
FEED_TYPE = "application/atom+xml; charset=utf-8"
# Whatever else the site holds is for reading: the examples in other languages, licences.
TEXT = "text/plain; charset=utf-8"

# Swagger UI's style sheet holds its icons as data: URLs, and Material draws its icons with inline styles.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
REVALIDATED = "public, max-age=300"
# The build puts a hash of the content into these names.
FOR_EVER = "public, max-age=31536000, immutable"
HASHED = ("assets/javascripts/", "assets/stylesheets/")
SMALLEST_PACKED = 1024


@dataclass(frozen=True, slots=True)
class Page:
    """One file of the site, as it is and packed by gzip where that is smaller."""

    content: bytes
    packed: bytes | None
    media_type: str
    cache_control: str
    etag: str


def docs_routes() -> list[BaseRoute]:
    """The routes of /docs, with their full paths."""
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
    packs = page.packed is not None and _takes_gzip(request.headers.get("accept-encoding", ""))
    etag = f'"{page.etag}-gzip"' if packs else f'"{page.etag}"'
    headers = {**HEADERS, "Cache-Control": page.cache_control, "ETag": etag}
    if status == 404:
        headers = {**HEADERS, "Cache-Control": "no-store"}
    elif _matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    if packs:
        headers["Content-Encoding"] = "gzip"
    return Response(page.packed if packs else page.content, status, headers, media_type=page.media_type)


@lru_cache(maxsize=1)
def site() -> Mapping[str, Page]:
    """Every page and file by its path under /docs/; pages go without .html, and first pages of folders by the slash."""
    package = files("msvs.docs")
    found: dict[str, Page] = {}
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


def _page(path: PurePosixPath, content: bytes) -> Page:
    media_type = FEED_TYPE if path.name == "changelog.xml" else TYPES.get(path.suffix, TEXT)
    packed = None
    if len(content) >= SMALLEST_PACKED and not media_type.startswith("image/png"):
        packed = gzip.compress(content, 6, mtime=0)
    return Page(
        content=content,
        packed=packed,
        media_type=media_type,
        cache_control=FOR_EVER if path.as_posix().startswith(HASHED) else REVALIDATED,
        etag=sha256(content).hexdigest()[:20],
    )


def _takes_gzip(accepted: str) -> bool:
    for part in accepted.split(","):
        name, _, quality = part.strip().partition(";")
        if name.strip().lower() in ("gzip", "*"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _matches(condition: str, etag: str) -> bool:
    """Whether If-None-Match names the tag or any (RFC 9110, section 13.1.2)."""
    return condition.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in condition.split(","))
