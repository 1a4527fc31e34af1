"""The handset's page: what it serves, to whom, under which policy, and that it stays in the sandbox."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from msvs import handset
from msvs.api.context import Context
from msvs.api.inbound import replies
from msvs.api.messages import messages
from msvs.api.text.sms import measure
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.handset.routes import CONTENT_SECURITY_POLICY, operations
from msvs.http.static import TYPES
from msvs.models import Role, User, Workspace
from tests.apps import settings_for
from tests.engines import Engines
from tests.graphql_api.browser import HOST, Browser, make_user
from tests.graphql_api.test_operations import statements
from tests.services import SERVICES

PACKAGE = Path(handset.__file__).parent
STATIC = PACKAGE / "static"
PHONE = "+12125550147"
MARKUP = "<img src=x onerror=alert(1)><b>Sale</b>"


class Asking:
    """A browser that asks as the page does: by the ids of its documents."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    async def post(self, name: str, variables: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        """The response to one of the page's operations."""
        sent = {"origin": self.browser.origin, "x-livemode": "false"}
        if self.browser.csrf is not None:
            sent["x-csrf-token"] = self.browser.csrf
        sent |= {key.replace("_", "-"): value for key, value in headers.items()}
        body = {"id": f"handset/{name}", "variables": variables or {}}
        return await self.browser.http.post("/graphql", json=body, headers=sent)

    async def run(self, name: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The data of one of the page's operations."""
        answer = (await self.post(name, variables, **headers)).json()
        assert "errors" not in answer, answer
        return answer["data"]

    async def session(self, **headers: str) -> httpx.Response:
        """The response that tells the page its CSRF token."""
        return await self.browser.http.get(
            "/handset/session", headers={key.replace("_", "-"): value for key, value in headers.items()}
        )


@pytest.fixture
async def asking(app: Starlette, clean: None) -> AsyncIterator[Asking]:
    """A browser that has opened the page and not logged in."""
    browser = Browser(app)
    yield Asking(browser)
    await browser.http.aclose()


@pytest.fixture
async def rosa(workspace: Workspace) -> User:
    """The workspace's owner."""
    return await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))


@pytest.fixture
async def logged_in(asking: Asking, rosa: User) -> Asking:
    """The owner's browser."""
    await asking.browser.log_in(rosa.email)
    return asking


async def send(ctx: Context, body: str, to: str = PHONE) -> None:
    async with unit_of_work():
        await messages.send_message(ctx, messages.SendMessage(to=to, body=body))


async def reply(ctx: Context, body: str, key: str) -> None:
    async with unit_of_work():
        await replies.receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text=body, dedupe_key=key)


# What is served


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.iterdir()))
async def test_a_file(name: str, asking: Asking) -> None:
    path = "/handset" if name == "index.html" else f"/handset/{name}"
    response = await asking.browser.http.get(path)
    assert (response.status_code, response.content) == (200, (STATIC / name).read_bytes())
    assert response.headers["content-type"] == TYPES[Path(name).suffix]
    assert response.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-cache"
    again = await asking.browser.http.get(path, headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_way_to_the_page(asking: Asking) -> None:
    response = await asking.browser.http.get("/handset/")
    assert (response.status_code, response.headers["location"]) == (308, "/handset")
    assert (await asking.browser.http.get("/")).json()["links"]["handset"] == "/handset"
    for name in ("index.html", "nothing.js", "..%2froutes.py"):
        assert (await asking.browser.http.get(f"/handset/{name}")).status_code == 404
    assert (await asking.browser.http.post("/handset")).status_code == 405


def test_the_policy() -> None:
    rules = dict(rule.strip().partition(" ")[::2] for rule in CONTENT_SECURITY_POLICY.split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_keeps_to_its_policy() -> None:
    tags = Tags((STATIC / "index.html").read_text()).found
    names = {path.name for path in STATIC.iterdir()}
    for tag, attributes in tags:
        assert tag != "style"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag in ("script", "link"):
            source = attributes.get("src") or attributes.get("href") or ""
            assert source.startswith("data:image/svg+xml,") or source.removeprefix("/handset/") in names
    assert [tag for tag, _ in tags].count("script") == 1
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = {attributes.get("for") for tag, attributes in tags if tag == "label"}
    fields = {attributes["id"] for tag, attributes in tags if tag in ("input", "select", "textarea")}
    # The switch stands inside its label.
    assert fields - labels == {"show-parts"}


def test_texts_of_people_never_become_markup() -> None:
    script = "".join(path.read_text() for path in STATIC.glob("*.js"))
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval\(|Function\(", script)
    used = set(re.findall(r"\$\(\"([a-z-]+)\"\)", script))
    ids = {attributes.get("id") for _, attributes in Tags((STATIC / "index.html").read_text()).found}
    assert used <= ids


def test_the_page_asks_for_the_sandbox_only() -> None:
    script = (STATIC / "api.js").read_text()
    assert '"X-Livemode": "false"' in script
    assert "livemode: false" in script
    assert not re.search(r"livemode\W+true", "".join(path.read_text() for path in STATIC.glob("*.js")), re.IGNORECASE)
    asked = set(re.findall(r"(?:run|change|post)\(\"([A-Z]\w+)\"", (STATIC / "handset.js").read_text() + script))
    subscribed = {"Events", "Replies"}
    assert {f"handset/{name}" for name in asked | subscribed} == operations().keys()


# Who is told what


async def test_a_stranger_is_told_nothing(asking: Asking) -> None:
    assert (await asking.session()).json() == {"csrf_token": None}
    asking.browser.http.cookies.set("msvs_session", "x" * 43)
    assert (await asking.session()).json() == {"csrf_token": None}
    asking.browser.http.cookies.clear()
    for name in ("Viewer", "Numbers", "Handsets", "Conversation", "Answer", "Send"):
        response = await asking.post(name, {"phone": PHONE, "first": 1, "input": {"to": PHONE, "body": "x"}})
        assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (401, "api_key_missing")


async def test_the_page_takes_up_a_session(logged_in: Asking, rosa: User) -> None:
    response = await logged_in.session(sec_fetch_site="same-origin")
    assert response.json() == {"csrf_token": logged_in.browser.csrf}
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert response.headers["content-type"] == "application/json"
    viewer = (await logged_in.run("Viewer"))["viewer"]
    assert (viewer["livemode"], viewer["session"]["user"]["email"]) == (False, rosa.email)
    await logged_in.run("LogOut")
    assert (await logged_in.session()).json() == {"csrf_token": None}


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}]
)
async def test_another_site_gets_no_token(headers: dict[str, str], logged_in: Asking) -> None:
    response = await logged_in.session(**headers)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "origin_refused")
    assert "access-control-allow-origin" not in response.headers


async def test_the_page_logs_in(asking: Asking, rosa: User) -> None:
    given = {"email": rosa.email, "password": "not the password"}
    assert (await asking.run("LogIn", given))["logIn"]["code"] == "login_invalid"
    answer = (await asking.run("LogIn", {**given, "password": "correct horse battery staple"}))["logIn"]
    assert answer["__typename"] == "Session"
    assert (await asking.session()).json() == {"csrf_token": answer["csrfToken"]}


async def test_the_page_works_where_only_kept_operations_run(
    database: str, engines: Engines, tmp_path: Path, rosa: User
) -> None:
    path = tmp_path / "operations.json"
    path.write_text("{}")
    settings = settings_for(database, engines, tmp_path, environment="production", persisted_operations=path)
    app = create_app(settings, SERVICES)
    browser = Browser(app, scheme="https")
    asking = Asking(browser)
    answer = (await asking.run("LogIn", {"email": rosa.email, "password": "correct horse battery staple"}))["logIn"]
    browser.csrf = answer["csrfToken"]
    assert (await asking.run("Handsets"))["handsets"] == []
    assert (await asking.session(host=HOST)).json() == {"csrf_token": browser.csrf}
    refused = (await browser.post("{ viewer { actor } }")).json()
    assert refused["errors"][0]["extensions"]["code"] == "operation_not_kept"
    await browser.http.aclose()
    await app.state.limiter.close()
    await app.state.readiness.close()


# What the page shows


async def test_a_conversation(logged_in: Asking, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "Doors open at 8pm ET. " * 10 + "€"
    await send(ctx, MARKUP)
    await send(ctx, long)
    given = {"phone": PHONE, "first": 50}
    with statements(monkeypatch) as run:
        shown = await logged_in.run("Conversation", given)
    asked = [query for query in run if "FROM sessions" not in query and "UPDATE sessions" not in query]
    assert len(asked) == 7, "\n".join(asked)
    newest, first = [entry["message"] for entry in shown["handsetMessages"]["nodes"]]
    assert (first["body"], first["parts"], first["segments"]) == (MARKUP, [MARKUP], 1)
    assert (newest["encoding"], newest["segments"]) == ("GSM7", 2)
    assert ("".join(newest["parts"]), len(newest["parts"])) == (long, measure(long).segments)
    assert not shown["handset"]["optedOut"]
    answered = await logged_in.run("Answer", {"input": {"from": PHONE, "body": "stop", "to": newest["from"]}})
    assert answered["simulateReply"]["keyword"] == "STOP"
    shown = await logged_in.run("Conversation", given)
    assert shown["handset"]["optedOut"]
    assert shown["handset"]["contact"]["optIn"]["source"] == "keyword"
    kinds = [(entry["message"] or {}).get("kind") for entry in shown["handsetMessages"]["nodes"]]
    assert kinds == ["AUTO", None, "API", "API"]
    (listed,) = (await logged_in.run("Handsets"))["handsets"]
    assert (listed["phone"], listed["optedOut"]) == (PHONE, True)


async def test_a_first_message_is_one_request(logged_in: Asking) -> None:
    sent = (await logged_in.run("Send", {"input": {"to": PHONE, "body": "Doors open at 8pm ET."}}))["sendMessage"]
    assert (sent["__typename"], sent["status"]) == ("Message", "QUEUED")
    (listed,) = (await logged_in.run("Handsets"))["handsets"]
    assert (listed["phone"], listed["lastMessage"]["body"]) == (PHONE, "Doors open at 8pm ET.")
    page, script = ((STATIC / name).read_text() for name in ("index.html", "handset.js"))
    assert '<button id="first" class="primary" type="button" hidden>Send a first message</button>' in page
    assert '$("first").addEventListener("click", sendFirst);' in script


def test_an_empty_login_names_what_is_missing() -> None:
    page, script = ((STATIC / name).read_text() for name in ("index.html", "handset.js"))
    assert page.count('aria-describedby="login-problem"') == 2
    submitted = script.partition('$("login-form").addEventListener("submit"')[2].partition("await logIn(")[0]
    assert "const lack = missing();" in submitted
    assert "return;" in submitted


async def test_a_page_of_a_conversation(logged_in: Asking, ctx: Context) -> None:
    for number in range(3):
        await send(ctx, f"Message {number}")
        await reply(ctx, f"Reply {number}", str(number))
    seen: list[str] = []
    after: str | None = None
    while True:
        given = {"phone": PHONE, "first": 2, "after": after}
        page = (await logged_in.run("Conversation", given))["handsetMessages"]
        seen += [(entry["message"] or entry["inbound"])["body"] for entry in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == ["Reply 2", "Message 2", "Reply 1", "Message 1", "Reply 0", "Message 0"]


async def test_live_is_out_of_reach(logged_in: Asking, ctx: Context, live_ctx: Context) -> None:
    await reply(live_ctx, "Live", "1")
    await reply(ctx, "Sandbox", "2")
    (listed,) = (await logged_in.run("Handsets"))["handsets"]
    assert listed["lastMessage"]["body"] == "Sandbox"
    for name, given in (("Handsets", {}), ("Conversation", {"phone": PHONE, "first": 1})):
        answer = (await logged_in.post(name, given, x_livemode="true")).json()
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"sandbox_only"}
        assert answer["data"] is None
    refused = await logged_in.run("Answer", {"input": {"from": PHONE, "body": "Hi"}}, x_livemode="true")
    assert refused["simulateReply"]["code"] == "sandbox_only"


async def test_another_workspace_is_not_shown(logged_in: Asking, other_ctx: Context) -> None:
    await send(other_ctx, "Theirs")
    assert (await logged_in.run("Handsets"))["handsets"] == []
    shown = await logged_in.run("Conversation", {"phone": PHONE, "first": 50})
    assert (shown["handset"]["contact"], shown["handsetMessages"]["nodes"]) == (None, [])


async def test_a_number_that_is_none(logged_in: Asking) -> None:
    answer = (await logged_in.post("Conversation", {"phone": "12", "first": 1})).json()
    assert answer["errors"][0]["extensions"]["code"] == "phone_number_invalid"


async def test_the_scripted_numbers(logged_in: Asking) -> None:
    numbers = (await logged_in.run("Numbers"))["sandboxNumbers"]
    assert numbers[0] == {"phone": "+14155550101", "script": "The carrier refuses it: invalid number."}
    assert len(numbers) == 13


def test_every_document_is_in_the_package() -> None:
    assert operations().keys() == {f"handset/{path.stem}" for path in (PACKAGE / "operations").iterdir()}
