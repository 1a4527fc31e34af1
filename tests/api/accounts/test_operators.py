"""Operators by name: two factors, a log of who did what, and sessions that end with their operator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from asyncpg import RaiseError
from starlette.applications import Starlette

from msvs import database as db
from msvs.api.accounts import operators, totp
from msvs.api.accounts.operators import Credentials
from msvs.api.context import Visitor
from msvs.api.errors import InvalidRequest, NotFound
from msvs.models import Operator, OperatorEntry, OperatorSession
from msvs.ops.operator_sessions import Sessions
from msvs.ops.routes import ops_routes
from msvs.settings import PRODUCTION, Settings
from msvs.workers.retention import drop_rows
from tests.owner import run_as_owner
from tests.services import CONSENT_SECRET, SERVICES, restored
from tests.test_cli import environment, msvs, shown

ORIGIN = "http://ops.cohortlabs.co"
PASSWORD = "correct-horse-battery"
SHARED = "one-password-for-everybody"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(autouse=True)
def sealing() -> Iterator[None]:
    """The keyring seals as the commands of these tests do."""
    with restored(SERVICES):
        SERVICES.keyring.seal_with(CONSENT_SECRET)
        yield


@pytest.fixture
def clock(clean: None) -> Clock:
    return Clock()


Open = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def app(clock: Clock, tmp_path: Path) -> Starlette:
    return make_app(clock, Settings(data_dir=tmp_path, operator_password=SHARED))


def make_app(clock: Clock, settings: Settings) -> Starlette:
    services = replace(SERVICES, clock=clock)
    return Starlette(routes=ops_routes(settings, now=lambda: clock.now.timestamp(), services=services))


@pytest.fixture
async def browser(app: Starlette) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_browser(address: str = "203.0.113.7", other: Starlette | None = None) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(other or app, client=(address, 40_000))
            headers = {"Accept": "text/html", "User-Agent": "Firefox"}
            return await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)
            )

        yield open_browser


async def add(clock: Clock, name: str = "ada") -> Credentials:
    return await operators.add_operator(replace(SERVICES, clock=clock), name, PASSWORD)


def code_of(made: Credentials, clock: Clock) -> str:
    return totp.make_code(made.totp_secret, totp.current_step(clock.now))


async def sign_in(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    return await client.post("/ops/login", data=fields, headers={"Origin": ORIGIN})


async def is_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ops")).headers["Location"] == "/ops/rq/"


async def log() -> list[tuple[str, str, str | None]]:
    return [(row.operator, row.action, row.network) for row in await OperatorEntry.all().order_by("id")]


async def test_name_password_and_code_open_a_session(browser: Open, clock: Clock) -> None:
    made = await add(clock)
    client = await browser()
    answer = await sign_in(client, name=" Ada ", password=PASSWORD, code=code_of(made, clock))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/ops/rq/")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert await is_in(client)
    assert await log() == [("ada", "added", None), ("ada", "signed_in", "203.0.113.7")]
    kept = await Operator.get()
    assert PASSWORD not in kept.password_hash
    assert made.totp_secret not in kept.totp_sealed
    assert client.cookies["msvs_ops"].removeprefix("named.") not in (await OperatorSession.get()).digest

    await client.post("/ops/logout", headers={"Origin": ORIGIN})
    assert not await is_in(client)
    assert await OperatorSession.all().count() == 0
    assert (await log())[-1] == ("ada", "signed_out", "203.0.113.7")


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "correct-horse-batterx"},
        {"password": ""},
        {"password": SHARED},
        {"code": ""},
        {"code": "000000"},
        {"code": "not a code"},
        {"name": "grace"},
        {"name": "ada\0"},
        {"name": "ada' OR true --"},
        {"name": ""},
    ],
    ids=json.dumps,
)
async def test_one_wrong_part_opens_nothing(browser: Open, clock: Clock, wrong: dict[str, str]) -> None:
    made = await add(clock)
    client = await browser()
    right = {"name": "ada", "password": PASSWORD, "code": code_of(made, clock)}
    answer = await sign_in(client, **right | wrong)
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers
    assert await OperatorSession.all().count() == 0
    assert not await is_in(client)
    # And what was refused does not use up the code.
    assert (await sign_in(client, **right)).status_code == 303


async def test_a_code_opens_one_session_only(browser: Open, clock: Clock) -> None:
    made = await add(clock)
    right = {"name": "ada", "password": PASSWORD, "code": code_of(made, clock)}
    clients = [await browser(f"203.0.113.{number}") for number in range(3)]
    answers = await asyncio.gather(*(sign_in(client, **right) for client in clients))
    assert sorted(answer.status_code for answer in answers) == [303, 401, 401]
    assert await OperatorSession.all().count() == 1


async def test_the_right_password_is_never_refused_for_tries_of_others(browser: Open, clock: Clock) -> None:
    made = await add(clock)
    guesser = await browser()
    for _ in range(10):
        assert (await sign_in(guesser, name="ada", password="guess", code="123456")).status_code == 401
    right = {"name": "ada", "password": PASSWORD, "code": code_of(made, clock)}
    for wrong in ({"code": "123456"}, {"password": "guess"}, {"name": "grace"}):
        assert (await sign_in(guesser, **right | wrong)).status_code == 429
    assert (await sign_in(await browser(), **right)).status_code == 303
    refusals = [entry for entry in await log() if entry[1] == "sign_in_refused"]
    assert refusals == [("ada", "sign_in_refused", "203.0.113.7")]


async def test_disabling_ends_sessions_and_resetting_begins_again(browser: Open, clock: Clock) -> None:
    services = replace(SERVICES, clock=clock)
    made, other = await add(clock), await add(clock, "grace")
    ada, grace = await browser(), await browser()
    assert (await sign_in(ada, name="ada", password=PASSWORD, code=code_of(made, clock))).status_code == 303
    assert (await sign_in(grace, name="grace", password=PASSWORD, code=code_of(other, clock))).status_code == 303

    await operators.disable_operator(services, "Ada")
    assert (await is_in(ada), await is_in(grace)) == (False, True)
    clock.now += timedelta(minutes=1)
    assert (await sign_in(ada, name="ada", password=PASSWORD, code=code_of(made, clock))).status_code == 401

    again = await operators.reset_operator(services, "ada")
    assert (await sign_in(ada, name="ada", password=PASSWORD, code=code_of(made, clock))).status_code == 401
    right = {"name": "ada", "password": again.password, "code": code_of(again, clock)}
    assert (await sign_in(ada, **right)).status_code == 303
    await operators.reset_operator(services, "ada")
    assert not await is_in(ada)
    assert [(row.name, row.session_count) for row in await operators.list_operators(services)] == [
        ("ada", 0),
        ("grace", 1),
    ]


async def test_a_session_ends_after_twelve_hours(browser: Open, clock: Clock) -> None:
    made = await add(clock)
    client = await browser()
    await sign_in(client, name="ada", password=PASSWORD, code=code_of(made, clock))
    token = client.cookies["msvs_ops"].removeprefix("named.")
    services = replace(SERVICES, clock=clock)
    clock.now += operators.SESSION - timedelta(seconds=1)
    assert await operators.find_signed_in(services, token) == "ada"
    assert await drop_rows(services, "operator_sessions", now=clock.now) == 0
    clock.now += timedelta(seconds=1)
    assert await operators.find_signed_in(services, token) is None
    assert await drop_rows(services, "operator_sessions", now=clock.now) == 1


async def test_what_is_changed_is_logged_by_name_before_it_is_done(browser: Open, clock: Clock) -> None:
    made = await add(clock)
    client = await browser()
    refused = await client.post("/ops/rq/job/1/delete", headers={"Origin": ORIGIN})
    assert refused.status_code == 401
    await sign_in(client, name="ada", password=PASSWORD, code=code_of(made, clock))
    await client.get("/ops/rq/")
    assert (await client.post("/ops/rq/job/1/delete", headers={"Origin": "http://evil.example"})).status_code == 403
    assert [row.detail for row in await OperatorEntry.filter(action="changed")] == []
    await client.post("/ops/rq/job/1/delete", headers={"Origin": ORIGIN})
    (entry,) = await OperatorEntry.filter(action="changed")
    assert (entry.operator, entry.detail, entry.device) == ("ada", "POST /ops/rq/job/1/delete", "Firefox")


async def test_the_shared_password_stays_where_it_is_set(browser: Open, clock: Clock) -> None:
    await add(clock)
    client = await browser()
    assert (await sign_in(client, password=SHARED)).status_code == 303
    assert await is_in(client)
    assert (await log())[-1] == ("(shared password)", "signed_in", "203.0.113.7")


async def test_the_generated_password_ends_with_the_first_operator(browser: Open, clock: Clock, tmp_path: Path) -> None:
    made_up = Settings(data_dir=tmp_path)
    client = await browser(other=make_app(clock, made_up))
    assert (await sign_in(client, password=made_up.operator_secret())).status_code == 303
    assert await is_in(client)
    await add(clock)
    assert not await is_in(client)
    assert (await sign_in(client, password=made_up.operator_secret())).status_code == 401
    await operators.disable_operator(SERVICES, "ada")
    assert (await sign_in(client, password=made_up.operator_secret())).status_code == 303


def away() -> AbstractAsyncContextManager[None]:
    """Have the database be away for the block."""
    return db.connected("postgresql://msvs@127.0.0.1:1/msvs", is_inner=True)


async def test_names_are_known_while_the_database_is_away(browser: Open, clock: Clock, tmp_path: Path) -> None:
    made_up = Settings(data_dir=tmp_path)
    password = made_up.operator_secret()
    first, second = make_app(clock, made_up), make_app(clock, made_up)
    client = await browser(other=first)
    async with away():
        assert (await sign_in(client, password=password)).status_code == 303
    assert await is_in(client)
    await add(clock)
    assert not await is_in(client)
    # To the process that learned it, and to one that began since.
    for app in (first, second):
        other = await browser(other=app)
        other.cookies.update(client.cookies)
        async with away():
            assert not await is_in(other)
            assert (await sign_in(other, password=password)).status_code == 401
    await operators.disable_operator(SERVICES, "ada")
    assert await is_in(client)
    async with away():
        assert (await sign_in(await browser(other=second), password=password)).status_code == 303


async def test_a_process_knows_of_names_where_no_file_can_be_kept(clock: Clock, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "is" / "not" / "there")
    sessions = Sessions(settings, services=SERVICES)
    assert await sessions.takes_shared()
    await add(clock)
    assert not await sessions.takes_shared()
    async with away():
        assert not await sessions.takes_shared()
        # One that is set opens /ops no matter what.
        assert await Sessions(replace(settings, operator_password=SHARED), services=SERVICES).takes_shared()


@pytest.mark.parametrize(
    "password", ["", "short", "password12", "aaaaaaaaaaaa", "ada-lovelace", "x" * 257, "Password123!", "qwertyuiop"]
)
async def test_a_weak_password_is_refused(clean: None, password: str) -> None:
    with pytest.raises(InvalidRequest):
        await operators.add_operator(SERVICES, "ada-lovelace", password)
    assert (await Operator.all().count(), await OperatorEntry.all().count()) == (0, 0)


@pytest.mark.parametrize("name", ["", " ", "a b", "-ada", "ada\n2", "é", "a" * 41, "(shared password)", "ada/../x"])
async def test_a_name_is_of_plain_letters(clean: None, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await operators.add_operator(SERVICES, name)
    with pytest.raises(InvalidRequest):
        await operators.disable_operator(SERVICES, name)
    assert await Operator.all().count() == 0


async def test_a_name_is_unique_and_an_unknown_one_cannot_be_reset(clock: Clock) -> None:
    await add(clock)
    before = (await Operator.get()).password_hash
    with pytest.raises(InvalidRequest):
        await operators.add_operator(SERVICES, "ADA")
    for change in (operators.reset_operator, operators.disable_operator):
        with pytest.raises(NotFound):
            await change(SERVICES, "grace")
    assert (await Operator.get()).password_hash == before
    assert [entry[1] for entry in await log()] == ["added"]


async def test_the_log_is_never_altered(clock: Clock) -> None:
    await add(clock)
    for statement in ("UPDATE operator_entries SET operator = 'grace'", "DELETE FROM operator_entries"):
        with pytest.raises(RaiseError, match="append-only"):
            await run_as_owner(statement)
    assert [entry[1] for entry in await log()] == ["added"]


async def test_a_long_name_of_a_browser_is_cut(clock: Clock) -> None:
    visitor = Visitor("2001:db8:1:2::9", user_agent="x" * 500, services=replace(SERVICES, clock=clock))
    await operators.record(visitor, "ada", operators.OperatorAction.CHANGED, "y" * 500)
    (entry,) = await OperatorEntry.all()
    assert (entry.device, entry.detail, entry.network) == ("x" * 200, "y" * 200, "20010db800010002")


async def test_operators_are_managed_by_commands(clean: None, database: str, tmp_path: Path) -> None:
    env = environment(tmp_path, DATABASE_URL=database, MSVS_SECRET_KEY=CONSENT_SECRET)
    made = await shown("operators", "add", "Ada", env=env)
    assert (made["name"], len(made["password"]), len(made["totp_secret"])) == ("ada", 24, 32)
    assert (tmp_path / "operators.named").exists()
    assert made["otpauth_uri"].startswith("otpauth://totp/MassiveSMS%20operators:ada?secret=")
    (listed,) = await shown("operators", "list", env=env)
    assert (listed["name"], listed["disabled_at"], listed["sessions"]) == ("ada", None, 0)
    assert (await shown("operators", "disable", "ada", env=env)) == {"name": "ada", "disabled": True}
    reset = await shown("operators", "reset", "ada", env=env)
    assert reset["password"] != made["password"]
    logged = await shown("operators", "log", env=env)
    done = [(entry["action"], entry["detail"]) for entry in logged if entry["operator"] == "ada"]
    (who,) = {entry["operator"] for entry in logged if entry["action"] == "command"}
    assert done == [(action, f"by {who}") for action in ("reset", "disabled", "added")]
    commands = [entry["detail"] for entry in logged if entry["action"] == "command"]
    assert commands == ["msvs operators reset", "msvs operators disable", "msvs operators add"]
    again = await msvs("operators", "add", "ada", env=env)
    assert (again.status, again.out) == (1, "")
    assert Credentials("ada", "x", made["totp_secret"]).otpauth_uri == made["otpauth_uri"]


async def test_in_production_the_cookie_is_secure(browser: Open, clock: Clock, tmp_path: Path) -> None:
    made = await add(clock)
    settings = Settings(data_dir=tmp_path, operator_password=SHARED, environment=PRODUCTION)
    client = await browser(other=make_app(clock, settings))
    answer = await sign_in(client, name="ada", password=PASSWORD, code=code_of(made, clock))
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Secure-msvs_ops=named.")
    assert {"Secure", "HttpOnly", "SameSite=strict", "Path=/ops"} <= set(cookie.split("; "))
