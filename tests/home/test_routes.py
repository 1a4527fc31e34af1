"""The root and unknown addresses: pages for people, JSON for machines."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser

import httpx
import pytest

from msvs.app import create_app
from msvs.home.routes import LINKS, wants_page
from msvs.settings import Settings
from tests.services import SERVICES

BASE = "https://sms.cohortlabs.example"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
KEY = "k" * 32


@pytest.fixture(params=["development", "production"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        environment=request.param, database_url="postgresql://127.0.0.1:1/none", secret_key=KEY, public_url=BASE
    )
    app = create_app(settings, SERVICES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


class Page(HTMLParser):
    """Addresses that a page leads to and loads, and its headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")


async def test_a_browser_gets_a_page_whose_links_all_lead_somewhere(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Vary"] == "Accept"
    page = Page(answer.text)
    assert page.tags.count("h1") == 1
    assert f"curl -s {BASE}/v1/messages" in answer.text
    assert {"/docs/", "/docs/quickstart", "/docs/reference/", "/handset", "/postman.json"} <= set(page.links)
    for link in sorted(set(page.links) - {"/", "/readyz"}):
        assert (await client.get(link)).status_code in (200, 303, 503), link


async def test_a_page_loads_nothing_but_its_own_style(client: httpx.AsyncClient) -> None:
    for path in ("/", "/nothing"):
        answer = await client.get(path, headers={"Accept": BROWSER})
        policy = answer.headers["Content-Security-Policy"]
        (nonce,) = re.findall(r'<style nonce="([^"]+)"', answer.text)
        assert policy.startswith(f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:;")
        assert not {"script", "img", "iframe"} & set(Page(answer.text).tags)
        assert "$" not in re.sub(r"\$KEY", "", answer.text)


@pytest.mark.parametrize(
    "accept", ["*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0", ""]
)
async def test_a_machine_gets_the_entry_points(client: httpx.AsyncClient, accept: str) -> None:
    answer = await client.get("/", headers={"Accept": accept})
    assert (answer.headers["Content-Type"], answer.headers["Vary"]) == ("application/json", "Accept")
    assert answer.json() == {"name": "MassiveSMS", "links": dict(LINKS)}
    missing = await client.get("/nothing", headers={"Accept": accept})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "route_unknown")


async def test_an_unknown_address_is_a_page_for_people(client: httpx.AsyncClient) -> None:
    answer = await client.get("/<script>alert(1)</script>", headers={"Accept": BROWSER})
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;alert(1)" in answer.text
    assert answer.headers["X-Request-Id"] in answer.text
    head = await client.head("/nothing/here", headers={"Accept": BROWSER})
    assert (head.status_code, head.content) == (404, b"")


@pytest.mark.parametrize("path", ["/v1/nothing", "/2010-04-01/nothing", "/graphql/nothing", "/readyz/x"])
async def test_what_programs_call_stays_json_for_a_browser(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"Accept": BROWSER})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")


async def test_a_change_at_an_unknown_address_is_refused_in_json(client: httpx.AsyncClient) -> None:
    answer = await client.post("/nothing", headers={"Accept": BROWSER})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "route_unknown")


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (BROWSER, True),
        ("TEXT/HTML", True),
        ("text/html ; q=0.4 , application/json; q=0.3", True),
        ("text/html;q=0.3,application/json;q=0.4", False),
        ("text/html;q=nonsense", False),
        ("text/html;level=1;q=0.5", True),
        ("text/*", False),
        ("application/xhtml+xml", True),
    ],
)
def test_a_page_is_sent_when_accept_prefers_html(accept: str, wanted: bool) -> None:
    assert wants_page({"type": "http", "headers": [(b"accept", accept.encode())]}) is wanted
