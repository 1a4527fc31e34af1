"""Static files: the files of a folder, the best coding, validators and caching by name."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from msvs.http.static import FOR_EVER, choose_coding, read_folder

PAGE = b"<!doctype html><title>Cohort Labs</title>" + b"<p>one</p>" * 200
SCRIPT = b"export const one = 1;\n" * 100
ROBOTS = b"User-agent: *\n"
FEED = b"<feed/>"
MEDIA_TYPES = {"feed.xml": "application/atom+xml"}
POLICY = "default-src 'none'; script-src 'self'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A built application: a page, a hashed script compressed at build time, and a small file."""
    root = tmp_path / "dashboard"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_bytes(PAGE)
    (root / "assets" / "app.0f3c.js").write_bytes(SCRIPT)
    (root / "assets" / "app.0f3c.js.br").write_bytes(b"brotli's bytes")
    (root / "assets" / "app.0f3c.js.gz").write_bytes(gzip.compress(SCRIPT, mtime=0))
    (root / "robots.txt").write_bytes(ROBOTS)
    (root / "feed.xml").write_bytes(FEED)
    return root


@pytest.fixture
async def browser(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    found = read_folder(folder, cache_control="public, max-age=60", hashed=("assets/",), media_types=MEDIA_TYPES)

    async def show(request: Request) -> Response:
        return found[request.path_params["path"]].answer(request.headers, {"Content-Security-Policy": POLICY})

    transport = httpx.ASGITransport(Starlette(routes=[Route("/dashboard/{path:path}", show)]))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://cohortlabs.co", headers={"accept-encoding": "identity"}
    ) as client:
        yield client


def test_a_folder_has_each_of_its_files_once(folder: Path) -> None:
    """What was compressed at build time is a coding of its file; what only looks so is a file."""
    (folder / "alone.gz").write_bytes(b"no file of another name")
    assert read_folder(folder).keys() == {"index.html", "assets/app.0f3c.js", "robots.txt", "feed.xml", "alone.gz"}


@pytest.mark.parametrize(
    ("path", "content", "media_type", "cache_control"),
    [
        ("index.html", PAGE, "text/html; charset=utf-8", "public, max-age=60"),
        ("assets/app.0f3c.js", SCRIPT, "text/javascript; charset=utf-8", FOR_EVER),
        ("robots.txt", ROBOTS, "text/plain; charset=utf-8", "public, max-age=60"),
        ("feed.xml", FEED, "application/atom+xml", "public, max-age=60"),
    ],
)
async def test_a_file_is_served_as_what_it_is(
    browser: httpx.AsyncClient, path: str, content: bytes, media_type: str, cache_control: str
) -> None:
    response = await browser.get(f"/dashboard/{path}")
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["content-type"] == media_type
    assert response.headers["cache-control"] == cache_control
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepted", "coding", "raw"),
    [
        ("br, gzip", "br", b"brotli's bytes"),
        ("gzip", "gzip", gzip.compress(SCRIPT, mtime=0)),
        ("br;q=0, *", "gzip", gzip.compress(SCRIPT, mtime=0)),
        ("identity", None, SCRIPT),
    ],
)
async def test_a_file_compressed_at_build_time_is_served(
    browser: httpx.AsyncClient, accepted: str, coding: str | None, raw: bytes
) -> None:
    async with browser.stream("GET", "/dashboard/assets/app.0f3c.js", headers={"accept-encoding": accepted}) as answer:
        found = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == coding
    assert (gzip.decompress(found) if coding == "gzip" else found) == (SCRIPT if coding == "gzip" else raw)
    assert answer.headers["cache-control"] == FOR_EVER


async def test_a_file_is_compressed_where_that_is_smaller(browser: httpx.AsyncClient) -> None:
    packed = await browser.get("/dashboard/index.html", headers={"accept-encoding": "gzip"})
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", PAGE)
    assert int(packed.headers["content-length"]) < len(PAGE)
    small = await browser.get("/dashboard/robots.txt", headers={"accept-encoding": "gzip"})
    assert ("content-encoding" in small.headers, small.content) == (False, ROBOTS)
    assert packed.headers["etag"] != (await browser.get("/dashboard/index.html")).headers["etag"]


async def test_a_client_with_the_current_file_gets_304(browser: httpx.AsyncClient) -> None:
    first = await browser.get("/dashboard/robots.txt")
    assert "content-encoding" not in first.headers
    again = await browser.get("/dashboard/robots.txt", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await browser.get("/dashboard/robots.txt", headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, ROBOTS)


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("*", "br"),
        ("*;q=0", None),
        ("br;q=0.0, gzip", "gzip"),
        ("", None),
        ("zstd", None),
    ],
)
def test_the_coding(accepted: str, coding: str | None) -> None:
    assert choose_coding(accepted, {"br": b"", "gzip": b""}) == coding
