"""The documentation site: built from its sources, served safely, without a broken link, and its verifiers work."""

from __future__ import annotations

import ast
import gzip
import html
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree

import brotli
import httpx
import pytest
from graphql import build_schema, parse, validate
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from msvs.api.catalogue import ERRORS, FAILURE_CODES, doc_url
from msvs.api.permissions import Scope
from msvs.api.webhooks import signatures
from msvs.api.webhooks.events import EventType
from msvs.docs.routes import docs_routes, site
from msvs.http.middleware import RequestMiddleware, as_refusal, route_unknown
from msvs.rest_compat.openapi import document
from scripts import build_docs
from tests.test_documents import contrast

HOST = "http://docs.test"
LARGEST = 6 * 1024**2 + 512 * 1024
# What the service has beside the site.
ELSEWHERE = {"/openapi.yaml", "/openapi.json", "/postman.json", "/graphql", "/handset"}
PAGES = sorted(path for path, page in site().items() if page.media_type.startswith("text/html"))


class Elements(HTMLParser):
    """The anchors of a page, what it links to and what it loads; and its inline scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.inline = 0
        self.titles = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.anchors.append(found["id"])
        if tag == "h1":
            self.titles += 1
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") not in ("canonical", "prev", "next", "alternate"):
            self.loads.append(found["href"])
        elif tag == "link":
            self.links.append(found["href"])
        elif "src" in found:
            self.loads.append(found["src"])
        elif tag == "script" and found.get("type") != "application/json":
            self.inline += 1
        if any(name.startswith("on") for name in found):
            self.inline += 1


@cache
def elements(path: str) -> Elements:
    parser = Elements()
    parser.feed(site()[path].content.decode())
    return parser


@pytest.fixture
async def docs() -> AsyncIterator[httpx.AsyncClient]:
    """A client of the routes of /docs, under the application's outermost layer."""

    async def refuse(_request: object, error: Exception) -> None:
        assert isinstance(error, HTTPException)
        raise as_refusal(error) from error

    app = Starlette(
        routes=docs_routes(),
        middleware=[Middleware(RequestMiddleware)],
        exception_handlers={HTTPException: refuse},
    )
    app.router.redirect_slashes = False
    app.router.default = route_unknown
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as client:
        yield client


# Built


def test_the_built_site_is_of_its_sources() -> None:
    stamp = json.loads(build_docs.STAMP.read_text())
    assert stamp["sources"] == build_docs.stamp_of_sources(), "run make docs"


def test_the_built_site_is_as_it_was_built() -> None:
    assert json.loads(build_docs.STAMP.read_text())["site"] == build_docs.stamp_of_site(), "run make docs"


def test_it_is_small_and_has_no_source_maps_and_no_fonts() -> None:
    files = [path for path in (build_docs.ROOT / "msvs" / "docs").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST
    assert [path.name for path in files if path.suffix in (".map", ".woff", ".woff2", ".ttf", ".otf", ".gz")] == []
    assert [path.name for path in files if b"sourceMappingURL=" in path.read_bytes()] == []


def test_every_page_of_the_sources_is_there() -> None:
    written = {path.stem for path in build_docs.SOURCES.glob("*.md")} - {"index"}
    assert written <= site().keys()
    assert {*written, "", "404", "reference/"} == set(PAGES)


# Links


@pytest.mark.parametrize("path", PAGES)
def test_links_and_anchors_resolve(path: str) -> None:
    broken = []
    for link in elements(path).links:
        whole = urlsplit(urljoin(f"{HOST}/docs/{path}", link))
        home = whole.geturl().startswith(build_docs.HOME)
        if not home and whole.netloc != urlsplit(HOST).netloc:
            continue
        if whole.path in ELSEWHERE:
            continue
        target = unquote(whole.path).removeprefix("/docs/")
        found = whole.path.startswith("/docs/") and target in site()
        if found and whole.fragment:
            found = target in PAGES and unquote(whole.fragment) in {*elements(target).anchors, *OPERATIONS}
        if not found:
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(path: str) -> None:
    page = elements(path)
    assert page.inline == 0
    assert len(page.loads) >= 3
    for load in page.loads:
        whole = urlsplit(urljoin(f"{HOST}/docs/{path}", load))
        assert (whole.netloc, whole.path.removeprefix("/docs/") in site()) == ("docs.test", True), load
    assert len(page.anchors) == len(set(page.anchors))
    assert page.titles == 1


def test_a_broken_link_is_found() -> None:
    assert "no_such_code" not in elements("errors").anchors
    assert "no_such_page" not in site()


def test_style_sheets_load_nothing_from_elsewhere() -> None:
    for path, page in site().items():
        if page.media_type.startswith("text/css"):
            loads = re.findall(r"(?:url\(\s*|@import\s+)[\"']?([^\"')\s]{1,40})", page.content.decode())
            assert [load for load in loads if not load.startswith(("data:", "#"))] == [], path


# What the pages say


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_code_is_explained_at_its_doc_url(code: str) -> None:
    whole = urlsplit(doc_url(code))
    page = whole.path.removeprefix("/docs/")
    assert elements(page).anchors.count(whole.fragment) == 1
    text = site()[page].content.decode()
    assert text.count(f'<h3 id="{code}">') == 1


def test_every_failure_code_is_explained() -> None:
    anchors = set(elements("errors").anchors)
    assert {f"failure-{code}" for code in FAILURE_CODES} <= anchors
    assert FAILURE_CODES.keys() <= anchors


def test_every_event_type_has_an_example() -> None:
    page = build_docs.expand((build_docs.SOURCES / "events.md").read_text())
    examples = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)]
    assert [example["type"] for example in examples] == [type.value for type in EventType]
    assert {type.value for type in EventType} <= set(elements("events").anchors)


def test_search_finds_pages_and_codes() -> None:
    index = json.loads(site()["search/search_index.json"].content)
    places = {entry["location"] for entry in index["docs"]}
    assert {"quickstart", "webhooks#verify", "errors#phone_number_invalid", "events#message.delivered"} <= places
    assert {place.partition("#")[0] for place in places} - {"./", ""} <= set(PAGES)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("10dlc", "compliance#10dlc-toll-free-and-short-codes"),
        ("sdk", "sdks"),
        ("refund", "credits#refunds"),
        ("price", "credits#prices"),
        ("draft", "campaigns#drafts"),
        ("clone", "campaigns#drafts"),
        ("deprecation", "versioning#deprecation"),
    ],
)
def test_search_has_an_answer_where_people_look_for_one(words: str, place: str) -> None:
    (entry,) = (
        each for each in json.loads(site()["search/search_index.json"].content)["docs"] if each["location"] == place
    )
    assert words in f"{entry['title']} {entry['text']}".lower()


def test_the_themes_buttons_and_dialogs_have_names() -> None:
    for path in PAGES:
        if path != "reference/":
            text = site()[path].content.decode()
            assert [text.count(f"{tag}{more}") for tag, more in build_docs.ATTRIBUTES] == [1] * 3, path
            buttons = re.findall(r'<button type="button" class="md-header__button md-icon" [^>]*>', text)
            assert [re.findall(r'aria-label="(\w+)"', button) for button in buttons] == [["Menu"], ["Search"]], path
    with pytest.raises(ValueError, match="adapt ATTRIBUTES"):
        build_docs._complete("<p>A page of another theme</p>")


def test_code_can_be_read_in_both_schemes() -> None:
    style = site()["assets/look.css"].content.decode()
    for scheme in ("default", "slate"):
        block = style.rpartition(f'[data-md-color-scheme="{scheme}"] {{')[2].partition("}")[0]
        colors = dict(re.findall(r"(--md-code-[a-z-]+): (#[0-9a-f]{6})", block))
        ground = colors.pop("--md-code-bg-color")
        assert len(colors) == 13
        assert {name: color for name, color in colors.items() if contrast(color, ground) < 4.5} == {}


@pytest.mark.parametrize("path", sorted(build_docs.SOURCES.glob("*.md")), ids=lambda path: path.stem)
def test_headings_and_tables_tell_a_reader_where_they_are(path: Path) -> None:
    """A heading is at most one level below the one before, and every column of a table has a title."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    levels = [0, *(len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE))]
    assert [at for at, level in enumerate(levels[1:], 1) if level > levels[at - 1] + 1] == []
    titles = re.findall(r"^\|(.*)\|\n\|[-:| ]+\|$", text, re.MULTILINE)
    assert [row for row in titles if "" in (title.strip() for title in row.split("|"))] == []


def test_every_mark_is_made() -> None:
    used = {name for path in build_docs.SOURCES.glob("*.md") for name in build_docs.MARK.findall(path.read_text())}
    assert used == build_docs.MADE.keys()
    assert not any(b"&lt;!-- made" in page.content or b"<!-- made" in page.content for page in site().values())


# The reference

EVERY_SAMPLE = """
import { readFileSync } from "node:fs";
import { LANGUAGES, sampleOf } from "./samples.js";
const { paths, samples, options } = JSON.parse(readFileSync(0));
const found = [];
for (const [path, methods] of Object.entries(paths))
  for (const [method, operation] of Object.entries(methods))
    found.push(Object.fromEntries(LANGUAGES.map((name) => [name,
      sampleOf(name, { path, method, operation, samples, ...options })])));
console.log(JSON.stringify(found));
"""
SIX = ["curl", "Python", "Node.js", "Ruby", "PHP", "Go"]
KEY = "msvs_test_0000000000000000000000000000002C8GjS"


# The places of operations in the reference.
OPERATIONS = {
    f"/{operation['tags'][0]}/{operation['operationId']}"
    for methods in document()["paths"].values()
    for operation in methods.values()
}


def samples_of(folder: Path, **options: str) -> list[dict[str, str]]:
    """Return what the reference shows for every operation, by language."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    reference = build_docs.ROOT / "msvs/docs/reference"
    shutil.copy(reference / "samples.js", folder / "samples.js")
    (folder / "package.json").write_text('{"type": "module"}')
    command = ["node", "--input-type=module", "--eval", EVERY_SAMPLE]
    given = {"paths": document()["paths"], "options": options}
    given["samples"] = json.loads((reference / "samples.json").read_text())
    done = subprocess.run(command, cwd=folder, input=json.dumps(given), capture_output=True, text=True, check=True)
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def test_every_operation_has_samples_in_six_languages(tmp_path: Path) -> None:
    """Those of the libraries are run by `sdks.conformance`, each against the documented example."""
    operations = [
        (path, method, each) for path, methods in document()["paths"].items() for method, each in methods.items()
    ]
    for (path, method, operation), sample in zip(
        operations, samples_of(tmp_path, origin="http://docs.test"), strict=True
    ):
        assert list(sample) == SIX
        keyed = any("IdempotencyKey" in each.get("$ref", "") for each in operation["parameters"])
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        assert ("Idempotency-Key" in sample["curl"]) is keyed, path
        assert "{" not in sample["curl"].split("http://docs.test", 1)[1].split()[0], path
        words = shlex.split(sample["curl"].replace("\\\n", " "))
        assert words[0] == "curl"
        assert (json.loads(words[words.index("-d") + 1]) if "-d" in words else None) == body
        sent = words[words.index("-X") + 1] if "-X" in words else "GET" if body is None else "POST"
        assert sent == method.upper()
        assert all("http://docs.test" in text for text in sample.values()), path
        ast.parse(sample["Python"])


def test_samples_have_the_readers_key_and_host(tmp_path: Path) -> None:
    (tmp_path / "hosted").mkdir()
    hosted = samples_of(tmp_path / "hosted", origin="https://api.massivesms.com")
    assert not any("msvs_test" in text or "base_url" in text.lower() for sample in hosted for text in sample.values())
    mine = samples_of(tmp_path, origin="http://docs.test", key=KEY)
    assert all(KEY in text for sample in mine for text in sample.values())
    setups = {
        language: text.split("\n\n")[1 if language in ("Python", "Node.js", "Ruby", "PHP") else 0]
        for language, text in mine[0].items()
    }
    assert setups["Python"] == f'client = MassiveSMS(api_key="{KEY}", base_url="http://docs.test")'
    assert setups["Node.js"] == f'const client = new MassiveSMS({{ apiKey: "{KEY}", baseUrl: "http://docs.test" }});'
    assert setups["Ruby"] == f'client = MassiveSMS::Client.new(api_key: "{KEY}", base_url: "http://docs.test")'
    assert (
        setups["PHP"]
        == f"$client = new \\MassiveSMS\\Client(['api_key' => '{KEY}', 'base_url' => 'http://docs.test']);"
    )
    assert setups["Go"].startswith(f'client := massivesms.New("{KEY}", massivesms.WithBaseURL("http://docs.test"))')


def test_the_reference_lists_every_operation_before_anything_is_loaded() -> None:
    page = site()["reference/"].content.decode()
    assert page == build_docs.reference_page(), "run make docs"
    listed = re.findall(r'<li><a href="#([^"]+)"><code>([A-Z]+) ([^<]+)</code></a> ([^<]+)</li>', page)
    operations = [
        (method.upper(), path, operation["summary"])
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]
    assert sorted((method, path, html.unescape(summary)) for _, method, path, summary in listed) == sorted(operations)
    assert {unquote(address) for address, *_ in listed} == OPERATIONS
    # What a browser needs before the first text: this page and one style sheet, some kilobytes on the wire.
    before, after = page.split("<h1>", 1)
    assert re.findall(r'<link rel="stylesheet" href="([^"]+)">', before) == ["look.css"]
    assert "<script" not in before
    assert re.findall("<script[^>]*>", after) == [
        '<script defer src="swagger-ui-bundle.js">',
        '<script type="module" src="start.js">',
    ]
    first = [site()[f"reference/{name}"].content for name in ("", "look.css")]
    assert sum(len(gzip.compress(content)) for content in first) <= 16_384


FILL = """
import { readFileSync } from "node:fs";
import { PLACEHOLDER, replacements } from "./fill.js";
const { texts, key, host } = JSON.parse(readFileSync(0));
const pairs = replacements(key, host);
const filled = (text) => pairs.reduce((left, [pattern, value]) => left.replaceAll(pattern, value), text);
console.log(JSON.stringify(texts.filter((text) => PLACEHOLDER.test(text)).map(filled)));
"""
CODE = re.compile(r"<pre[^>]*>(?:<span></span>)?<code[^>]*>(.*?)</code></pre>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")


def code_of(path: str) -> list[str]:
    """Return the blocks of code of a page, as they are read."""
    page = site()[path].content.decode()
    return [html.unescape(TAG.sub("", found)) for found in CODE.findall(page)]


def filled_samples(folder: Path, texts: Sequence[str], host: str) -> list[str]:
    """Return the samples that name a key, with the reader's."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    shutil.copy(build_docs.SOURCES / "assets" / "fill.js", folder / "fill.js")
    (folder / "package.json").write_text('{"type": "module"}')
    given = json.dumps({"texts": texts, "key": KEY, "host": host})
    command = ["node", "--input-type=module", "--eval", FILL]
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


def test_every_sample_of_the_guides_takes_the_readers_key(tmp_path: Path) -> None:
    texts = [text for path in PAGES for text in code_of(path)]
    filled = filled_samples(tmp_path, texts, "http://docs.test")
    assert len(filled) > 80
    for text in filled:
        assert KEY in text, text
        assert not re.search(r"MASSIVESMS_(API_KEY|BASE_URL)|msvs_(live|test)_\.\.\.", text), text
    python = [text for text in filled if "from massivesms import" in text]
    assert len(python) > 10
    for text in python:
        ast.parse(text)
    hosted = filled_samples(tmp_path, texts, "")
    assert len(hosted) == len(filled)
    assert not any("docs.test" in text for text in hosted)


def test_a_client_gets_key_and_host_in_each_language(tmp_path: Path) -> None:
    host = "http://docs.test"
    cases = {
        "client = MassiveSMS()  # MASSIVESMS_API_KEY": f'client = MassiveSMS(api_key="{KEY}", base_url="{host}")',
        "MassiveSMS(timeout=10) # MASSIVESMS_API_KEY": f'MassiveSMS(api_key="{KEY}", base_url="{host}", timeout=10)',
        "new MassiveSMS(); // MASSIVESMS_API_KEY": f'new MassiveSMS({{ apiKey: "{KEY}", baseUrl: "{host}" }});',
        "new MassiveSMS({ timeout: 1 });": f'new MassiveSMS({{ apiKey: "{KEY}", baseUrl: "{host}", timeout: 1 }});',
        "MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY": "MassiveSMS::Client.new"
        f'(api_key: "{KEY}", base_url: "{host}")',
        "new \\MassiveSMS\\Client(); // the key is read from MASSIVESMS_API_KEY": "new \\MassiveSMS\\Client"
        f"(['api_key' => '{KEY}', 'base_url' => '{host}']);",
        'massivesms.New("") // MASSIVESMS_API_KEY': f'massivesms.New("{KEY}", massivesms.WithBaseURL("{host}"))',
        'curl -H "Authorization: Bearer $MASSIVESMS_API_KEY"': f'curl -H "Authorization: Bearer {KEY}"',
        'curl "$MASSIVESMS_BASE_URL/v1/lists"': f'curl "{host}/v1/lists"',
        'curl -H "Authorization: Bearer msvs_live_..."': f'curl -H "Authorization: Bearer {KEY}"',
    }
    assert filled_samples(tmp_path, list(cases), host) == list(cases.values())


def test_what_asks_for_the_readers_key_is_of_the_schema() -> None:
    """It is kept in the tab's own storage alone."""
    script = site()["assets/key.js"].content.decode()
    documents = re.findall(r"(?:query|mutation) Docs[^`;]+?(?=[`\"];)", script)
    assert len(documents) == 3
    schema = build_schema((build_docs.ROOT / "schema.graphql").read_text())
    for each in documents:
        assert validate(schema, parse(each)) == [], each
    assert re.findall(r"localStorage\.(\w+)", script) == ["getItem"]
    listed = re.search(r"const SCOPES = \[(.*?)\];", script, re.DOTALL)
    assert listed is not None
    refused = {Scope.CONTACTS_ERASE, Scope.SETTINGS_WRITE, Scope.CREDITS_BUY, Scope.KEYS_READ}
    assert sorted(re.findall(r'"([a-z:]+)"', listed[1])) == sorted(set(Scope) - refused)
    assert not re.search(r"console\.|location\.(?:href|hash|search)|document\.cookie|pushState|replaceState", script)


def test_webhook_events_are_no_requests_of_the_reference() -> None:
    tags = {tag for each in document()["webhooks"].values() for tag in each["post"]["tags"]}
    operations = [each for methods in document()["paths"].values() for each in methods.values()]
    assert tags == {"Webhook events"}
    assert not tags & {tag for each in operations for tag in each["tags"]}
    assert "Webhooks: makeEvents" in site()["reference/start.js"].content.decode()


# The feed

NOW = datetime(2026, 5, 1, 20, tzinfo=UTC)
LATER = datetime(2026, 6, 1, 20, tzinfo=UTC)
SPACE = f"{{{build_docs.ATOM}}}"


def entries(xml: str) -> list[tuple[str | None, str | None]]:
    root = ElementTree.fromstring(xml)
    return [
        (entry.findtext(f"{SPACE}title"), entry.findtext(f"{SPACE}updated")) for entry in root.iter(f"{SPACE}entry")
    ]


def test_the_feed_dates_versions_and_keeps_the_date_of_what_has_not_changed() -> None:
    changelog = "# Changelog\n\n## Unreleased\n\n- One\n\n## 1.0.0 - 2026-04-01\n\n- Zero & <all>\n"
    first = build_docs.feed(changelog, None, NOW)
    assert entries(first) == [("Unreleased", "2026-05-01T20:00:00Z"), ("1.0.0 - 2026-04-01", "2026-04-01T00:00:00Z")]
    assert ElementTree.fromstring(first).findtext(f"{SPACE}updated") == "2026-05-01T20:00:00Z"
    assert build_docs.feed(changelog, first, LATER) == first
    changed = build_docs.feed(changelog.replace("One", "Two"), first, LATER)
    assert entries(changed)[0] == ("Unreleased", "2026-06-01T20:00:00Z")


def test_the_feed_holds_the_changelog() -> None:
    built = site()["changelog.xml"].content.decode()
    changelog = (build_docs.ROOT / "CHANGELOG.md").read_text()
    assert [title for title, _ in entries(built)] == re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert build_docs.feed(changelog, built, LATER) == built


# Served


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/docs/", "text/html; charset=utf-8"),
        ("/docs/errors", "text/html; charset=utf-8"),
        ("/docs/reference/", "text/html; charset=utf-8"),
        ("/docs/reference/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/docs/reference/swagger-ui.css", "text/css; charset=utf-8"),
        ("/docs/reference/LICENSE.txt", "text/plain; charset=utf-8"),
        ("/docs/assets/mark.svg", "image/svg+xml"),
        ("/docs/changelog.xml", "application/atom+xml; charset=utf-8"),
        ("/docs/sitemap.xml", "application/xml"),
        ("/docs/search/search_index.json", "application/json"),
        ("/docs/verifiers/verify.py", "text/plain; charset=utf-8"),
        ("/docs/verifiers/verify.php", "text/plain; charset=utf-8"),
    ],
)
async def test_a_file_is_served_as_what_it_is(docs: httpx.AsyncClient, path: str, media_type: str) -> None:
    response = await docs.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (200, media_type)
    assert response.content == site()[path.removeprefix("/docs/")].content
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "http" not in policy
    head = await docs.head(path)
    assert (head.status_code, head.content) == (200, b"")
    same = ("Content-Type", "Content-Length", "ETag", "Cache-Control")
    assert [head.headers[name] for name in same] == [response.headers[name] for name in same]


async def test_what_is_known_already_is_not_sent_again(docs: httpx.AsyncClient) -> None:
    first = await docs.get("/docs/errors")
    again = await docs.get("/docs/errors", headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"] == "public, max-age=300"
    other = await docs.get("/docs/errors", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_files_named_by_their_content_are_kept_for_ever(docs: httpx.AsyncClient) -> None:
    (bundle,) = [path for path in site() if re.fullmatch(r"assets/javascripts/bundle\.\w+\.min\.js", path)]
    response = await docs.get(f"/docs/{bundle}")
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress, None: bytes}


@pytest.mark.parametrize(
    ("accepted", "coding"), [("gzip", "gzip"), ("br, *;q=0.5", "br"), ("gzip;q=0", None), ("", None)]
)
async def test_it_is_packed_for_those_who_take_it(docs: httpx.AsyncClient, accepted: str, coding: str | None) -> None:
    async with docs.stream("GET", "/docs/errors", headers={"Accept-Encoding": accepted}) as response:
        raw = b"".join([chunk async for chunk in response.aiter_raw()])
    assert response.headers.get("Content-Encoding") == coding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.headers["ETag"].endswith(f'-{coding}"') is (coding is not None)
    assert UNPACK[coding](raw) == site()["errors"].content


@pytest.mark.parametrize(
    "path",
    [
        "/docs/no_such_page",
        "/docs/errors/",
        "/docs/errors.html",
        "/docs/assets",
        "/docs/assets/",
        "/docs/reference/index.html",
        "/docs//errors",
        "/docs/%2e%2e/front.py",
        "/docs/..%2ffront.py",
        "/docs/..%2f..%2fsettings.py",
        "/docs/assets/..%2f..%2f..%2ffront.py",
        "/docs/%2fetc%2fpasswd",
        "/docs/errors%00",
        "/docs/front.py",
        "/docs/stamp.json",
    ],
)
async def test_what_is_not_there_is_a_page_that_says_so(docs: httpx.AsyncClient, path: str) -> None:
    response = await docs.get(path)
    assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page" in response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


@pytest.mark.parametrize(("path", "target"), [("/docs", "/docs/"), ("/docs/reference", "/docs/reference/")])
async def test_folders_lead_to_their_first_page(docs: httpx.AsyncClient, path: str, target: str) -> None:
    response = await docs.get(path)
    assert (response.status_code, response.headers["Location"]) == (308, target)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_the_site_is_only_read(docs: httpx.AsyncClient, method: str) -> None:
    response = await docs.request(method, "/docs/errors")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}


async def test_beside_the_site_the_error_envelope_stays(docs: httpx.AsyncClient) -> None:
    response = await docs.get("/docsx")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "route_unknown")


# Verifiers

OLD, NEW, OTHER = "whsec_old_of_cohort_labs", "whsec_new_of_cohort_labs", "whsec_of_someone_else"
BODY = '{"type":"message.replied","data":{"reply":{"body":"Já está! 👋"}}}'.encode()
AT = 1777665614


def header(*secrets: str, at: int = AT, body: bytes = BODY) -> str:
    return signatures.signature_header(secrets, at, body)


# Name → header, secret, seconds after the signature.
CASES: Mapping[str, tuple[str, str, int]] = {
    "good": (header(OLD), OLD, 0),
    "old, during a rotation": (header(OLD, NEW), OLD, 0),
    "new, during a rotation": (header(OLD, NEW), NEW, 0),
    "new, the other way round": (header(NEW, OLD), NEW, 0),
    "just young enough": (header(OLD), OLD, 300),
    "too old": (header(OLD), OLD, 301),
    "a clock that is behind": (header(OLD), OLD, -300),
    "from the future": (header(OLD), OLD, -301),
    "another secret": (header(OLD, NEW), OTHER, 0),
    "another body": (header(OLD, body=BODY + b" "), OLD, 0),
    "another time": (header(OLD).replace(str(AT), str(AT + 1)), OLD, 0),
    "spaces after the commas": (header(OLD, NEW).replace(",", ", "), NEW, 0),
    "a field to come": (header(OLD) + ",v2=abc", OLD, 0),
    "empty": ("", OLD, 0),
    "no signature": (f"t={AT}", OLD, 0),
    "an empty signature": (f"t={AT},v1=", OLD, 0),
    "a name alone": (f"t={AT},v1", OLD, 0),
    "no time": (header(OLD).partition(",")[2], OLD, 0),
    "two times": (f"t={AT}," + header(OLD), OLD, 0),
    "a time in words": (header(OLD).replace(str(AT), "now"), OLD, 0),
    "a time with a sign": (header(OLD).replace(f"t={AT}", f"t=+{AT}"), OLD, 0),
    "a time too long": (header(OLD).replace(f"t={AT}", f"t={'9' * 40}"), OLD, 0),
    "a time with a line end": (header(OLD).replace(f"t={AT}", f"t={AT}\n1"), OLD, 0),
    "half a signature": (header(OLD)[:-32], OLD, 0),
    "in capitals": (header(OLD)[:-64] + header(OLD)[-64:].upper(), OLD, 0),
    "beyond ASCII": (f"t={AT},v1=é{header(OLD)[-63:]}", OLD, 0),
}
EXPECTED = {
    name: signatures.verify(given, BODY, secret, now=AT + after) for name, (given, secret, after) in CASES.items()
}

VERIFIERS = build_docs.SOURCES / "verifiers"
# Language → file, interpreter, and the arguments that run it on the cases of standard input.
RUNNERS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "Python": (
        "verify.py",
        sys.executable,
        (
            "-c",
            "import json, sys; from verify import verify; print(json.dumps([verify(c['body'].encode(), c['header'],"
            " c['secret'], c['now']) for c in json.load(sys.stdin)]))",
        ),
    ),
    "Node.js": (
        "verify.mjs",
        "node",
        (
            "--input-type=module",
            "-e",
            "import { readFileSync } from 'node:fs'; const { verify } = await import(process.cwd() + '/verify.mjs');"
            "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((c) =>"
            " verify(Buffer.from(c.body), c.header, c.secret, c.now))))",
        ),
    ),
    "Ruby": (
        "verify.rb",
        "ruby",
        (
            "-rjson",
            "-r./verify.rb",
            "-e",
            "puts JSON.generate(JSON.parse($stdin.set_encoding('UTF-8').read).map { |c|"
            " verify(c['body'], c['header'], c['secret'], c['now']) })",
        ),
    ),
    "PHP": (
        "verify.php",
        "php",
        (
            "-r",
            "require './verify.php'; echo json_encode(array_map(fn($c) =>"
            " verify($c['body'], $c['header'], $c['secret'], $c['now']),"
            " json_decode(file_get_contents('php://stdin'), true)));",
        ),
    ),
    "Go": ("verify.go", "go", ("run", "./run")),
}
GO_RUN = """
package main

import (
    "encoding/json"
    "os"
    "time"

    webhooks "cohortlabs.co/webhooks"
)

func main() {
    var cases []struct {
        Body, Header, Secret string
        Now int64
    }
    if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
        panic(err)
    }
    found := []bool{}
    for _, c := range cases {
        found = append(found, webhooks.Verify([]byte(c.Body), c.Header, c.Secret, time.Unix(c.Now, 0)))
    }
    json.NewEncoder(os.Stdout).Encode(found)
}
"""


def test_the_cases_are_of_both_kinds() -> None:
    assert sum(EXPECTED.values()) == 8
    assert EXPECTED["new, during a rotation"]


@pytest.mark.parametrize("language", RUNNERS)
def test_a_verifier_judges_as_the_service_does(language: str, tmp_path: Path) -> None:
    file, program, arguments = RUNNERS[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    shutil.copy(VERIFIERS / file, tmp_path)
    if language == "Go":
        (tmp_path / "go.mod").write_text("module cohortlabs.co/webhooks\n\ngo 1.19\n")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "main.go").write_text(GO_RUN)
    cases = [
        {"body": BODY.decode(), "header": given, "secret": secret, "now": AT + after}
        for given, secret, after in CASES.values()
    ]
    done = subprocess.run(
        [program, *arguments], cwd=tmp_path, input=json.dumps(cases), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert dict(zip(CASES, json.loads(done.stdout), strict=True)) == EXPECTED


def test_the_clock_is_the_default() -> None:
    code: dict[str, object] = {}
    exec(compile((VERIFIERS / "verify.py").read_text(), "verify.py", "exec"), code)
    verify = code["verify"]
    assert callable(verify)
    assert verify(BODY, header(OLD, at=int(time.time())), OLD) is True
    assert verify(BODY, header(OLD, at=int(time.time()) - 400), OLD) is False


def test_the_page_shows_the_verifiers_as_they_are() -> None:
    page = (build_docs.SOURCES / "webhooks.md").read_text()
    included = re.findall(r'^    --8<-- "verifiers/(\S+)"$', page, re.MULTILINE)
    assert sorted(included) == sorted(path.name for path in VERIFIERS.iterdir() if path.is_file())
    assert sorted(included) == sorted(file for file, _, _ in RUNNERS.values())
