"""The dashboard's page: what it serves built and unbuilt, under which policy, compressed and for how long."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import brotli
import httpx
import pytest
from starlette.applications import Starlette

from msvs.dashboard.routes import dashboard_routes, operations
from msvs.http.static import FOR_EVER

SCRIPT = b"console.log('Doors open at 8pm');\n" * 60
INDEX = (
    '<!doctype html><meta property="csp-nonce" nonce="__NONCE__"><script type="module" src="/dashboard/assets/a.js">'
)
DOCUMENTS = {"dashboard/Home-1": "query Home { credits { balance } }"}

Serve = Callable[[Path], httpx.AsyncClient]


@pytest.fixture
def serve() -> Serve:
    """Return a client of the routes over a build's folder."""

    def over(folder: Path) -> httpx.AsyncClient:
        app = Starlette(routes=dashboard_routes(folder))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sms.example")

    return over


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Write a build as Vite writes it."""
    assets = tmp_path / "static" / "assets"
    assets.mkdir(parents=True)
    (tmp_path / "static" / "index.html").write_text(INDEX)
    (assets / "a.js").write_bytes(SCRIPT)
    (assets / "a.js.br").write_bytes(brotli.compress(SCRIPT))
    (assets / "a.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "operations.json").write_text(json.dumps(DOCUMENTS))
    return tmp_path


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/campaigns", "/dashboard/campaigns/cmp_01?tab=failures"])
async def test_every_page_of_the_application_is_its_one_page(serve: Serve, built: Path, path: str) -> None:
    async with serve(built) as client:
        first, second = await client.get(path), await client.get(path)
    nonces = [re.search(r'nonce="([\w-]+)"', answer.text) for answer in (first, second)]
    assert nonces[0]
    assert nonces[1]
    assert nonces[0][1] != nonces[1][1]
    policy = dict(part.strip().split(" ", 1) for part in first.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == f"'self' 'nonce-{nonces[0][1]}'"
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "'none'")
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-store")
    assert first.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(("accepted", "coding"), [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)])
async def test_files_are_sent_as_they_were_compressed_and_kept_for_ever(
    serve: Serve, built: Path, accepted: str, coding: str | None
) -> None:
    async with serve(built) as client:
        answer = await client.get("/dashboard/assets/a.js", headers={"Accept-Encoding": accepted})
        again = await client.get(
            "/dashboard/assets/a.js", headers={"Accept-Encoding": accepted, "If-None-Match": answer.headers["ETag"]}
        )
    assert (answer.status_code, answer.content) == (200, SCRIPT)
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.headers["Cache-Control"] == FOR_EVER
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert again.status_code == 304


@pytest.mark.parametrize("path", ["assets/b.js", "assets/none", "../operations.json", "favicon.ico", "assets/a.js.br"])
async def test_what_is_no_file_and_no_page_is_not_there(serve: Serve, built: Path, path: str) -> None:
    async with serve(built) as client:
        assert (await client.get(f"/dashboard/{path}")).status_code == 404


async def test_without_a_build_a_plain_page_says_how_to_make_one(serve: Serve, tmp_path: Path) -> None:
    async with serve(tmp_path) as client:
        for path in ("/dashboard", "/dashboard/credits"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert "make dashboard" in answer.text
            assert "script-src" not in answer.headers["Content-Security-Policy"]
    assert operations(tmp_path) == {}


def test_the_documents_are_those_of_the_build(built: Path) -> None:
    assert operations(built) == DOCUMENTS
