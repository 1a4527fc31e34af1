"""Signing in to /ops, and what the pages refuse to strangers."""

from __future__ import annotations

import re
import string

import httpx
import pytest
from redis.asyncio import Redis as AsyncRedis
from starlette.applications import Starlette

from msvs.ops.guard import local_path
from msvs.ops.operator_sessions import SESSION_SECONDS, FailedTries, Sessions
from msvs.ops.routes import ops_routes
from msvs.settings import PRODUCTION, Settings, SettingsError
from tests.ops.conftest import ORIGIN, PASSWORD, Browser, Clock

SAME_ORIGIN = {"Origin": ORIGIN}


async def sign_in(client: httpx.AsyncClient, password: str, **fields: str) -> httpx.Response:
    return await client.post("/ops/login", data={"password": password, **fields}, headers=SAME_ORIGIN)


async def test_the_login_page_names_the_product_and_loads_nothing_from_elsewhere(browser: Browser) -> None:
    client = await browser(signed_in=False)
    page = await client.get("/ops/login")
    assert page.status_code == 200
    assert "<b>MassiveSMS</b> <span>· operators</span>" in page.text
    assert re.findall(r'(?:src|href)="(?!data:)([^"]*)"', page.text) == []
    nonce = re.search(r'<style nonce="([\w-]{20,})">', page.text)
    assert nonce
    assert f"style-src 'nonce-{nonce[1]}'" in page.headers["Content-Security-Policy"]
    assert nonce[1] not in (await client.get("/ops/login")).text


@pytest.mark.parametrize("path", ["/ops", "/ops/login", "/ops/rq/", "/ops/nowhere", "/ops/logout"])
async def test_every_answer_carries_the_security_headers(browser: Browser, path: str) -> None:
    for signed_in in (False, True):
        headers = (await (await browser(signed_in)).get(path)).headers
        assert headers.get_list("Cache-Control") == ["no-store"]
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


async def test_the_right_password_opens_a_session(browser: Browser) -> None:
    client = await browser(signed_in=False)
    answer = await sign_in(client, PASSWORD, next="/ops/rq/0/view/workers")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ops/rq/0/view/workers")
    name, _, attributes = answer.headers["Set-Cookie"].partition("=")
    assert name == "msvs_ops"
    assert set(attributes.split("; ")[1:]) == {"HttpOnly", f"Max-Age={SESSION_SECONDS}", "Path=/ops", "SameSite=strict"}
    assert (await client.get("/ops")).headers["Location"] == "/ops/rq/"
    assert (await client.get("/ops/login")).headers["Location"] == "/ops/rq/"


async def test_in_production_the_cookie_is_secure(browser: Browser) -> None:
    client = await browser(signed_in=False, environment=PRODUCTION)
    cookie = (await sign_in(client, PASSWORD)).headers["Set-Cookie"]
    assert cookie.startswith("__Secure-msvs_ops=")
    assert "Secure" in cookie.split("; ")


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD + " ", PASSWORD.upper(), "\udc80", "pässwort"])
async def test_a_wrong_password_is_refused(browser: Browser, password: str) -> None:
    client = await browser(signed_in=False)
    body = b"password=" + password.encode("utf-8", "surrogateescape")
    answer = await client.post(
        "/ops/login",
        content=body,
        headers={**SAME_ORIGIN, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == (400 if password == "\udc80" else 401)
    assert "Set-Cookie" not in answer.headers
    assert (await client.get("/ops")).headers["Location"] == "/ops/login"


def test_a_blank_operator_password_opens_nothing(settings: Settings) -> None:
    (settings.data_dir / "operator.key").write_text("\n")
    sessions = Sessions(Settings(data_dir=settings.data_dir))
    for attempt in (lambda: sessions.password_matches(""), sessions.issue):
        with pytest.raises(SettingsError, match="must not be empty"):
            attempt()


async def test_the_eleventh_try_within_a_minute_waits(browser: Browser, settings: Settings, clock: Clock) -> None:
    app = Starlette(routes=ops_routes(settings, now=clock))
    client = await browser(signed_in=False, app=app)
    for _ in range(10):
        assert (await sign_in(client, "guess")).status_code == 401
        clock.seconds += 1
    held_back = await sign_in(client, PASSWORD)
    assert (held_back.status_code, held_back.headers["Retry-After"]) == (429, "50")
    assert "Set-Cookie" not in held_back.headers

    elsewhere = await browser(signed_in=False, app=app, address="198.51.100.1")
    assert (await sign_in(elsewhere, PASSWORD)).status_code == 303

    clock.seconds += 50
    assert (await sign_in(client, PASSWORD)).status_code == 303


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:203.0.113.7", "203.0.113.8", False),
        ("", "203.0.113.8", False),
    ],
)
def test_tries_are_counted_by_what_one_caller_holds(one: str, other: str, together: bool) -> None:
    tries = FailedTries(Clock())
    for _ in range(10):
        tries.add(one)
    assert tries.seconds_to_wait(one) == 60
    assert tries.seconds_to_wait(other) == (60 if together else 0)


def test_the_count_of_tries_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msvs.ops.operator_sessions.REMEMBERED_ADDRESSES", 3)
    tries = FailedTries(Clock())
    for _ in range(10):
        for last in range(4):
            tries.add(f"203.0.113.{last}")
    assert len(tries._failures) == 3


async def test_a_session_ends_after_twelve_hours(browser: Browser, clock: Clock) -> None:
    client = await browser()
    clock.seconds += SESSION_SECONDS - 1
    assert (await client.get("/ops")).headers["Location"] == "/ops/rq/"
    clock.seconds += 1
    assert (await client.get("/ops")).headers["Location"] == "/ops/login"


def test_a_session_ends_with_the_password_it_was_opened_with(settings: Settings) -> None:
    token = Sessions(settings).issue()
    assert Sessions(settings).is_valid(token)
    assert not Sessions(Settings(operator_password="another")).is_valid(token)


@pytest.mark.parametrize("position", [0, 5, 15, -1])
def test_a_changed_token_is_refused(settings: Settings, position: int) -> None:
    sessions = Sessions(settings)
    letters = list(sessions.issue())
    letters[position] = "1" if letters[position] != "1" else "2"
    assert not sessions.is_valid("".join(letters))


def test_a_token_has_one_spelling(settings: Settings) -> None:
    sessions = Sessions(settings)
    token = sessions.issue()
    alphabet = string.ascii_letters + string.digits + "-_"
    assert [last for last in alphabet if sessions.is_valid(token[:-1] + last)] == [token[-1]]
    assert not sessions.is_valid(token + "=")


@pytest.mark.parametrize("token", ["", ".", "..", "9999999999.a.", "9999999999.a.é", "x" * 5000])
def test_a_made_up_token_is_refused(settings: Settings, token: str) -> None:
    assert not Sessions(settings).is_valid(token)


async def test_signing_out_takes_the_cookie_away(browser: Browser) -> None:
    client = await browser()
    refused = await client.post("/ops/logout", headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert (await client.get("/ops")).headers["Location"] == "/ops/rq/"
    out = await client.post("/ops/logout", headers=SAME_ORIGIN)
    assert (out.status_code, out.headers["Location"]) == (303, "/ops/login")
    assert (await client.get("/ops")).headers["Location"] == "/ops/login"


async def test_the_cookie_of_a_signed_out_session_opens_nothing(browser: Browser, settings: Settings) -> None:
    client, other = await browser(), await browser()
    kept = dict(client.cookies)
    await client.post("/ops/logout", headers=SAME_ORIGIN)
    # An app of its own, as another process has.
    thief = await browser(signed_in=False)
    thief.cookies.update(kept)
    assert (await thief.get("/ops")).headers["Location"] == "/ops/login"
    assert (await thief.get("/ops/rq/0/data/queues.json", headers={"Accept": "application/json"})).status_code == 401
    assert (await thief.post("/ops/logout", headers=SAME_ORIGIN)).status_code == 303
    assert (await other.get("/ops")).headers["Location"] == "/ops/rq/"


async def test_without_redis_a_sign_out_takes_the_cookie(browser: Browser) -> None:
    client = await browser(redis_url="redis://127.0.0.1:1/0")
    assert (await client.get("/ops")).headers["Location"] == "/ops/rq/"
    assert (await client.post("/ops/logout", headers=SAME_ORIGIN)).status_code == 303
    assert (await client.get("/ops")).headers["Location"] == "/ops/login"


@pytest.mark.parametrize(
    ("wanted", "target"),
    [
        ("/ops/rq/0/view/jobs/messages/failed/8/asc/1", "/ops/rq/0/view/jobs/messages/failed/8/asc/1"),
        ("/ops/rq/?a=b&c=%2F", "/ops/rq/?a=b&c=%2F"),
        ("https://evil.example/ops/", "/ops/rq/"),
        ("//evil.example/ops/", "/ops/rq/"),
        ("/\\evil.example", "/ops/rq/"),
        ("/ops\\..\\x", "/ops/rq/"),
        ("/ops/../dashboard", "/ops/rq/"),
        ("/ops/%2e%2e/dashboard", "/ops/rq/"),
        ("/ops/.%2E/dashboard", "/ops/rq/"),
        ("/opsx", "/ops/rq/"),
        ("/ops/\r\nSet-Cookie: a=b", "/ops/rq/"),
        ("/ops/\tx", "/ops/rq/"),
        (" /ops/rq/", "/ops/rq/"),
        ("javascript:alert(1)", "/ops/rq/"),
        ("/ops/login", "/ops/rq/"),
        ("/ops/logout", "/ops/rq/"),
        ("", "/ops/rq/"),
        (None, "/ops/rq/"),
        # What no URL can be.
        ("http://[", "/ops/rq/"),
        ("//[::1", "/ops/rq/"),
        ("http://[zz]/ops/rq/", "/ops/rq/"),
    ],
)
def test_only_pages_under_ops_are_gone_on_to(wanted: str | None, target: str) -> None:
    assert local_path(wanted) == target


@pytest.mark.parametrize("wanted", ["http://[", "//[::1", "http://[zz]/"])
async def test_a_next_page_that_is_no_url_is_the_first_page(browser: Browser, wanted: str) -> None:
    client = await browser(signed_in=False)
    assert (await client.get("/ops/login", params={"next": wanted})).status_code == 200
    assert (await sign_in(client, "wrong", next=wanted)).status_code == 401
    answer = await sign_in(client, PASSWORD, next=wanted)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ops/rq/")


async def test_an_open_redirect_is_refused_on_every_way(browser: Browser) -> None:
    client = await browser(signed_in=False)
    page = await client.get("/ops/login", params={"next": '//evil.example/"><script>'})
    assert 'name="next" value="/ops/rq/"' in page.text
    answer = await sign_in(client, PASSWORD, next="//evil.example")
    assert answer.headers["Location"] == "/ops/rq/"
    assert (await client.get("/ops/login?next=//evil.example")).headers["Location"] == "/ops/rq/"


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({"Origin": ORIGIN}, True),
        ({"Referer": f"{ORIGIN}/ops/rq/"}, True),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, True),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, True),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "cors"}, False),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, False),
        ({"Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, False),
        ({"Origin": "https://evil.example", "Referer": f"{ORIGIN}/ops/rq/"}, False),
        ({"Origin": "null", "Referer": f"{ORIGIN}/ops/rq/"}, False),
        ({"Origin": f"{ORIGIN}:8443"}, False),
        ({"Origin": f"{ORIGIN}.evil.example"}, False),
        ({"Origin": "http://[bad"}, False),
        ({"Referer": f"https://evil.example/?{ORIGIN}"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({}, False),
    ],
)
async def test_a_form_counts_only_from_our_own_page(browser: Browser, headers: dict[str, str], admitted: bool) -> None:
    client = await browser(signed_in=False)
    answer = await client.post("/ops/login", data={"password": PASSWORD}, headers=headers)
    assert answer.status_code == (303 if admitted else 403)
    assert ("Set-Cookie" in answer.headers) is admitted


async def test_the_public_address_counts_as_our_own_behind_a_proxy(browser: Browser) -> None:
    client = await browser(signed_in=False, public_url="https://sms.cohortlabs.co")
    answer = await client.post(
        "/ops/login", data={"password": PASSWORD}, headers={"Origin": "https://sms.cohortlabs.co"}
    )
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"password=" + b"x" * 9000, "application/x-www-form-urlencoded", 413),
        (b"a=1&" * 50, "application/x-www-form-urlencoded", 400),
        (b"password=%ff", "application/x-www-form-urlencoded", 400),
        (b'{"password": "x"}', "application/json", 415),
        (b"", "application/x-www-form-urlencoded", 401),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(browser: Browser, content: bytes, kind: str, status: int) -> None:
    client = await browser(signed_in=False)
    answer = await client.post("/ops/login", content=content, headers={**SAME_ORIGIN, "Content-Type": kind})
    assert answer.status_code == status
    assert "MassiveSMS" in answer.text


async def test_the_log_tells_of_tries_but_not_of_passwords(browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    client = await browser(signed_in=False)
    with caplog.at_level("INFO", "msvs.ops"):
        await sign_in(client, "guessed-wrong")
        await sign_in(client, PASSWORD)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("msvs.ops")] == [
        "operator sign-in refused: wrong password from 203.0.113.7",
        "operator signed in from 203.0.113.7",
    ]


async def test_the_right_password_is_not_refused_for_what_others_try(
    browser: Browser, settings: Settings, clock: Clock
) -> None:
    app = Starlette(routes=ops_routes(settings, now=clock))
    operator = await browser(signed_in=False, app=app)
    assert (await sign_in(operator, PASSWORD)).status_code == 303
    (cookie,) = (await operator.get("/ops/rq/")).headers.get_list("Set-Cookie")
    assert cookie.startswith("msvs_ops_device=")
    assert {"HttpOnly", "Path=/ops", "SameSite=strict"} <= set(cookie.split("; "))
    assert (await operator.get("/ops/rq/")).headers.get_list("Set-Cookie") == []
    await operator.post("/ops/logout", headers=SAME_ORIGIN)
    assert (await operator.get("/ops")).headers["Location"] == "/ops/login"
    attacker = await browser(signed_in=False, app=app)
    statuses = [(await sign_in(attacker, f"wrong {number}")).status_code for number in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    # From the same network: as one that is known the operator comes in, and a stranger with any cookie does not.
    assert (await sign_in(operator, PASSWORD)).status_code == 303
    for forged in ("x", cookie.partition("=")[2].partition(";")[0][:-1] + "!", operator.cookies["msvs_ops"]):
        attacker.cookies.set("msvs_ops_device", forged, path="/ops")
        assert (await sign_in(attacker, PASSWORD)).status_code == 429
    # A browser that is known is held back for its own tries.
    await operator.post("/ops/logout", headers=SAME_ORIGIN)
    statuses = [(await sign_in(operator, "wrong")).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


async def test_the_page_keeps_one_connection_to_redis(settings: Settings, clock: Clock, browser: Browser) -> None:
    assert settings.redis_url is not None
    async with AsyncRedis.from_url(settings.redis_url) as kept, AsyncRedis.from_url(settings.redis_url) as counter:
        client = await browser(app=Starlette(routes=ops_routes(settings, now=clock, redis=kept)))
        await client.get("/ops")
        before = (await counter.info("stats"))["total_connections_received"]
        for _ in range(5):
            assert (await client.get("/ops")).headers["Location"] == "/ops/rq/"
        assert (await counter.info("stats"))["total_connections_received"] == before
