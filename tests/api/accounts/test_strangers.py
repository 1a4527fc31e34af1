"""Networks that try sessions which do not exist: the database is asked no more, and who has one works on."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from msvs.api.accounts import login_sessions, operators, strangers
from msvs.api.accounts.login_sessions import authenticate_session
from msvs.api.accounts.strangers import OperatorStrangers, SessionStrangers, Strangers
from msvs.api.context import Visitor
from msvs.api.errors import AuthenticationFailed, RateLimited
from msvs.api.limits import LocalBuckets
from msvs.database import execute
from msvs.models import Role, User, Workspace
from tests.graphql_api.browser import make_user
from tests.services import SERVICES

HERE, THERE = "203.0.113.9", "198.51.100.7"


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks start without a try, and get none back with time."""
    for kind in (SessionStrangers, OperatorStrangers):
        SERVICES.forget(kind)
        monkeypatch.setattr(SERVICES.keep(kind), "tries", LocalBuckets(lambda: 1000.0))
    yield
    for kind in (SessionStrangers, OperatorStrangers):
        SERVICES.forget(kind)


@pytest.fixture
async def rosa(workspace: Workspace) -> User:
    return await make_user("rosa@cohortlabs.co", (workspace, Role.OWNER))


@asynccontextmanager
async def no_look_up(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Any look for a session fails within."""

    async def refused(*_: object) -> object:
        raise AssertionError("the database was asked")

    with monkeypatch.context() as patched:
        patched.setattr(login_sessions, "fetch", refused)
        patched.setattr(operators, "fetch_row", refused)
        yield


async def use_up(ip: str = HERE) -> None:
    for _ in range(strangers.RATE.capacity):
        with pytest.raises(AuthenticationFailed):
            await authenticate_session(SERVICES, secrets.token_urlsafe(32), ip=ip)


async def test_a_network_that_tries_sessions_is_held_back_before_the_database_is_asked(
    rosa: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = (await login_sessions.open_session(Visitor(HERE, services=SERVICES), rosa.id)).token
    assert (await authenticate_session(SERVICES, seen, ip=HERE)).user_id == rosa.id
    await use_up()
    async with no_look_up(monkeypatch):
        for _ in range(20):
            with pytest.raises(RateLimited) as refused:
                await authenticate_session(SERVICES, secrets.token_urlsafe(32), ip=HERE)
            assert refused.value.retry_after == 1
    # A session that this process knows works on there, and any session works elsewhere.
    assert (await authenticate_session(SERVICES, seen, ip=HERE)).user_id == rosa.id
    fresh = (await login_sessions.open_session(Visitor(THERE, services=SERVICES), rosa.id)).token
    assert (await authenticate_session(SERVICES, fresh, ip=THERE)).user_id == rosa.id
    # One that has ended is known no more.
    await execute("DELETE FROM sessions")
    with pytest.raises(AuthenticationFailed):
        await authenticate_session(SERVICES, seen, ip=HERE)
    with pytest.raises(RateLimited):
        await authenticate_session(SERVICES, seen, ip=HERE)


async def test_sessions_that_exist_cost_their_network_nothing(rosa: User) -> None:
    for _ in range(strangers.RATE.capacity + 5):
        opened = await login_sessions.open_session(Visitor(HERE, services=SERVICES), rosa.id)
        assert (await authenticate_session(SERVICES, opened.token, ip=HERE)).user_id == rosa.id


async def test_sessions_of_operators_are_guarded_alike(clean: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(strangers.RATE.capacity):
        assert await operators.find_signed_in(SERVICES, secrets.token_urlsafe(32), ip=HERE) is None
    async with no_look_up(monkeypatch):
        assert await operators.find_signed_in(SERVICES, secrets.token_urlsafe(32), ip=HERE) is None
    with pytest.raises(AssertionError, match="was asked"):
        async with no_look_up(monkeypatch):
            await operators.find_signed_in(SERVICES, secrets.token_urlsafe(32))


def test_a_network_of_ipv6_is_one_and_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "MAX_REMEMBERED", 3)
    tried = Strangers()
    waits = [tried.seconds_to_wait(str(n), f"2001:db8::{n:x}") for n in range(strangers.RATE.capacity + 1)]
    assert [each for each in waits if each is not None] == waits[-1:]
    assert tried.seconds_to_wait("x", "2001:db8:0:1::1") is None
    for number in range(5):
        tried.settle(f"found {number}", None, is_found=True)
    assert tried.seconds_to_wait("found 4", "2001:db8::1") is None
    assert tried.seconds_to_wait("found 0", "2001:db8::1") is not None
