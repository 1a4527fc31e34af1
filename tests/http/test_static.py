"""Static files: the best coding, validators, caching by name, and the fallback of an application's pages."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from msvs.http.static import FOR_EVER, REVALIDATED, StaticFolder, choose_coding

PAGE = b"<!doctype html><title>Cohort Labs</title>" + b"<p>one</p>" * 200
SCRIPT = b"export const one = 1;\n" * 100
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
    (root / "robots.txt").write_bytes(b"User-agent: *\n")
    (tmp_path / "secret.txt").write_bytes(b"not served")
    return root


@pytest.fixture
async def browser(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    files = StaticFolder(
        folder, headers={"Content-Security-Policy": POLICY}, hashed=("assets/",), fallback="index.html"
    )
    app = Starlette(routes=[Mount("/dashboard", files)])
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://cohortlabs.co", headers={"accept-encoding": "identity"}
    ) as client:
        yield client


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/index.html", "/dashboard/campaigns/camp_1/edit"])
async def test_the_page_answers_for_its_own_paths(browser: httpx.AsyncClient, path: str) -> None:
    response = await browser.get(path)
    assert (response.status_code, response.content) == (200, PAGE)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == REVALIDATED
    assert response.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/dashboard/assets/app.ffff.js",
        "/dashboard/favicon.ico",
        "/dashboard/..%2fsecret.txt",
        "/dashboard/%2e%2e/secret.txt",
        "/dashboard/%2fetc%2fpasswd.txt",
        "/dashboard/robots.txt%00",
    ],
)
async def test_a_missing_file_is_not_the_page(browser: httpx.AsyncClient, path: str) -> None:
    response = await browser.get(path)
    assert response.status_code == 404
    assert b"not served" not in response.content
    assert PAGE not in response.content


async def test_only_reading(browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/dashboard/campaigns")).status_code == 405


@pytest.mark.parametrize(
    ("accepted", "coding", "raw"),
    [
        ("br, gzip", "br", b"brotli's bytes"),
        ("gzip", "gzip", gzip.compress(SCRIPT, mtime=0)),
        ("br;q=0, *", "gzip", gzip.compress(SCRIPT, mtime=0)),
        ("identity", None, SCRIPT),
    ],
)
async def test_what_was_compressed_beside_the_file_is_served(
    browser: httpx.AsyncClient, accepted: str, coding: str | None, raw: bytes
) -> None:
    async with browser.stream("GET", "/dashboard/assets/app.0f3c.js", headers={"accept-encoding": accepted}) as answer:
        found = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers.get("content-encoding") == coding
    assert (gzip.decompress(found) if coding == "gzip" else found) == (SCRIPT if coding == "gzip" else raw)
    assert answer.headers["cache-control"] == FOR_EVER


async def test_a_file_is_compressed_once_and_again_when_it_changes(browser: httpx.AsyncClient, folder: Path) -> None:
    packing = {"accept-encoding": "gzip"}
    first = await browser.get("/dashboard/", headers=packing)
    assert (first.headers["content-encoding"], first.content) == ("gzip", PAGE)
    assert int(first.headers["content-length"]) < len(PAGE)
    (folder / "index.html").write_bytes(PAGE + b"<p>two</p>")
    second = await browser.get("/dashboard/", headers=packing)
    assert second.content == PAGE + b"<p>two</p>"
    assert second.headers["etag"] != first.headers["etag"]


async def test_who_has_the_file_is_told_so(browser: httpx.AsyncClient) -> None:
    first = await browser.get("/dashboard/robots.txt")
    assert "content-encoding" not in first.headers
    again = await browser.get("/dashboard/robots.txt", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await browser.get("/dashboard/robots.txt", headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, b"User-agent: *\n")


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
