"""Logging in and what a session is worth."""

from __future__ import annotations

import asyncio
from contextvars import Context as Variables
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import login_sessions, passwords
from msvs.api.accounts.confirmations import confirm_fully
from msvs.api.accounts.login_sessions import (
    IDLE,
    LIFETIME,
    MAX_ATTEMPTS,
    MAX_NETWORK_ATTEMPTS,
    MAX_USER_ATTEMPTS,
    WINDOW,
    FullConfirmation,
    Identity,
    OpenedSession,
    authenticate_session,
    change_password,
    check_csrf,
    confirm_password,
    digest_token,
    end_session,
    enter_workspace,
    fold_email,
    list_sessions,
    log_in,
    log_out,
    network_of,
    open_session,
    rotate_session,
)
from msvs.api.accounts.passwords import check_password, hash_password, verify_password
from msvs.api.accounts.users import SignUp, sign_up
from msvs.api.context import Visitor
from msvs.api.errors import AuthenticationFailed, InvalidRequest, NotFound, PermissionDenied, RateLimited
from msvs.api.unit_of_work import unit_of_work
from msvs.models import AuditEntry, LoginThrottle, Role, Session, User
from msvs.workers.retention import drop_rows
from tests.services import SERVICES

PASSWORD = "correct horse battery"
EMAIL = "maria@cohortlabs.co"
HERE = Visitor("203.0.113.4", "req_1", services=SERVICES)
THERE = Visitor("198.51.100.7", "req_2", services=SERVICES)

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


class CountingHasher:
    """Counts the verifications that are made."""

    def __init__(self, hasher: Any) -> None:
        self.hasher = hasher
        self.verified = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.hasher, name)

    def verify(self, *values: Any) -> bool:
        self.verified += 1
        return bool(self.hasher.verify(*values))


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    counting = CountingHasher(passwords.HASHER)
    monkeypatch.setattr(passwords, "HASHER", counting)
    return counting


@pytest.fixture
async def user_id(clean: None) -> UUID:
    async with unit_of_work():
        made = await sign_up(HERE, SignUp(EMAIL, PASSWORD, "Maria Silva", workspace_name="Cohort Labs"))
    await User.filter(id=made.user_id).update(email=EMAIL, pending_email=None)
    await Session.all().delete()
    return made.user_id


async def identity_of(session: OpenedSession) -> Identity:
    return await authenticate_session(SERVICES, session.token)


async def fail(visitor: Visitor, email: str, password: str = "wrong password") -> None:
    with pytest.raises(AuthenticationFailed):
        await log_in(visitor, email=email, password=password)


async def test_the_right_password_opens_a_session(user_id: UUID) -> None:
    session = await log_in(HERE, email=" Maria@CohortLabs.co ", password=PASSWORD)
    identity = await identity_of(session)
    assert (identity.user_id, identity.email, identity.name) == (user_id, EMAIL, "Maria Silva")
    assert [(row.workspace_name, row.role) for row in identity.memberships] == [("Cohort Labs", Role.OWNER)]
    row = await Session.get()
    assert row.digest == digest_token(session.token)
    assert session.token not in (row.digest, row.csrf_token)
    assert await LoginThrottle.filter(attempts__gt=0).count() == 0


@pytest.mark.parametrize("email", [EMAIL, "nobody@cohortlabs.co", "no address", "", "nul\0@cohortlabs.co", "é@x.co"])
async def test_a_wrong_password_and_an_unknown_user_are_answered_alike(
    user_id: UUID, hasher: CountingHasher, email: str
) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        await log_in(HERE, email=email, password="wrong password")
    assert (caught.value.status, caught.value.code) == (401, "login_invalid")
    assert caught.value.message == "The e-mail address or the password is wrong."
    assert hasher.verified == 2
    assert await Session.all().count() == 0


@pytest.mark.parametrize("email", [EMAIL, "nobody@cohortlabs.co"])
async def test_too_many_tries_are_held_back_for_known_and_unknown_alike(
    user_id: UUID, hasher: CountingHasher, email: str
) -> None:
    for _ in range(MAX_ATTEMPTS):
        await fail(HERE, email)
    verified = hasher.verified
    for password in ("wrong password", PASSWORD):
        with pytest.raises(RateLimited) as caught:
            await log_in(HERE, email=email, password=password)
        assert caught.value.code == "login_throttled"
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= WINDOW.total_seconds()
    assert hasher.verified == verified
    # Another network is not locked out by this one.
    await log_in(THERE, email=EMAIL, password=PASSWORD)
    # Nor this one for ever.
    await db.execute("UPDATE login_throttles SET started_at = started_at - $1::interval", WINDOW)
    await log_in(HERE, email=EMAIL, password=PASSWORD)


async def test_tries_made_at_once_are_all_counted(user_id: UUID, hasher: CountingHasher) -> None:
    tries = [log_in(HERE, email=EMAIL, password="wrong password") for _ in range(MAX_ATTEMPTS + 5)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(outcome, AuthenticationFailed) for outcome in outcomes) == MAX_ATTEMPTS
    assert sum(isinstance(outcome, RateLimited) for outcome in outcomes) == 5
    assert hasher.verified == 2 * MAX_ATTEMPTS


async def test_a_network_cannot_try_one_password_on_everyone(user_id: UUID) -> None:
    await LoginThrottle.create(
        key=digest_token("203.0.113.4"), attempts=MAX_NETWORK_ATTEMPTS, started_at=datetime.now(UTC)
    )
    with pytest.raises(RateLimited):
        await log_in(HERE, email="fresh@cohortlabs.co", password="wrong password")


async def test_a_login_clears_what_was_tried_before(user_id: UUID) -> None:
    for _ in range(MAX_ATTEMPTS - 1):
        await fail(HERE, EMAIL)
    await log_in(HERE, email=EMAIL, password=PASSWORD)
    await fail(HERE, EMAIL)
    assert (await LoginThrottle.get(key=digest_token(f"{EMAIL} 203.0.113.4"))).attempts == 1


async def test_a_login_in_a_unit_of_work_is_a_mistake(user_id: UUID) -> None:
    with pytest.raises(RuntimeError, match="outside a unit of work"):
        async with unit_of_work():
            await log_in(HERE, email=EMAIL, password=PASSWORD)


async def test_an_old_hash_is_renewed(user_id: UUID) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await User.filter(id=user_id).update(password_hash=weak)
    await log_in(HERE, email=EMAIL, password=PASSWORD)
    kept = (await User.get(id=user_id)).password_hash
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def forget(now: datetime) -> int:
    return sum([await drop_rows(SERVICES, name, now=now) for name in ("sessions", "idle_sessions")])


@pytest.mark.parametrize(
    ("change", "alive"),
    [
        ({}, True),
        ({"expires_at": -timedelta(seconds=1)}, False),
        ({"last_seen_at": -IDLE}, False),
        ({"last_seen_at": -IDLE + timedelta(minutes=1)}, True),
    ],
)
async def test_a_session_ends_by_age_and_by_disuse(user_id: UUID, change: dict[str, timedelta], alive: bool) -> None:
    session = await open_session(HERE, user_id)
    now = datetime.now(UTC)
    assert abs(session.expires_at - now - LIFETIME) < timedelta(minutes=1)
    if change:
        await Session.all().update(**{name: now + delta for name, delta in change.items()})
    if alive:
        assert (await identity_of(session)).user_id == user_id
        assert await forget(now) == 0
    else:
        with pytest.raises(AuthenticationFailed) as caught:
            await identity_of(session)
        assert caught.value.code == "session_invalid"
        assert await forget(datetime.now(UTC)) == 1
        assert await Session.all().count() == 0


async def test_use_is_noted_once_a_minute(user_id: UUID) -> None:
    session = await open_session(HERE, user_id)
    before = (await Session.get()).last_seen_at
    await identity_of(session)
    assert (await Session.get()).last_seen_at == before
    await Session.all().update(last_seen_at=before - timedelta(minutes=2))
    await identity_of(session)
    assert (await Session.get()).last_seen_at >= before


@pytest.mark.parametrize("token", [None, "", "x", "\ud800", "x" * 10_000, "nul\0"])
async def test_what_is_no_token_is_no_session(user_id: UUID, token: str | None) -> None:
    await open_session(HERE, user_id)
    with pytest.raises(AuthenticationFailed) as caught:
        await authenticate_session(SERVICES, token)
    assert caught.value.code == "session_invalid"


async def test_a_rotated_session_has_another_token_and_the_same_end(user_id: UUID) -> None:
    first = await open_session(HERE, user_id)
    identity = await identity_of(first)
    second = await rotate_session(identity)
    assert second.token != first.token
    assert second.expires_at == first.expires_at
    with pytest.raises(AuthenticationFailed):
        await identity_of(first)
    renewed = await identity_of(second)
    assert renewed.session_id == identity.session_id
    check_csrf(renewed, second.csrf_token)
    for given_token in (None, "", first.csrf_token, second.csrf_token + "x", "\ud800"):
        with pytest.raises(PermissionDenied) as caught:
            check_csrf(renewed, given_token)
        assert caught.value.code == "csrf_invalid"


async def test_logging_out_ends_this_session_or_all(user_id: UUID) -> None:
    first, second, third = [await open_session(HERE, user_id) for _ in range(3)]
    identity = await identity_of(first)
    assert await log_out(identity) == 1
    assert await log_out(identity) == 0
    with pytest.raises(AuthenticationFailed):
        await identity_of(first)
    with pytest.raises(AuthenticationFailed):
        await rotate_session(identity)
    assert await log_out(await identity_of(second), everywhere=True) == 2
    with pytest.raises(AuthenticationFailed):
        await identity_of(third)


async def test_a_user_gets_a_context_of_their_own_workspaces_only(user_id: UUID) -> None:
    identity = await identity_of(await open_session(HERE, user_id))
    workspace_id = identity.memberships[0].workspace_id
    ctx = enter_workspace(identity, workspace_id, HERE, livemode=True)
    assert (ctx.workspace_id, ctx.livemode, ctx.role) == (workspace_id, True, Role.OWNER)
    assert (ctx.actor, ctx.request_id, ctx.ip) == (ids.encode_id(ids.USER, user_id), "req_1", "203.0.113.4")
    with pytest.raises(NotFound):
        enter_workspace(identity, ids.new_id(), HERE, livemode=True)


async def test_a_new_password_ends_every_other_session(user_id: UUID) -> None:
    first, other = await open_session(HERE, user_id), await open_session(HERE, user_id)
    identity = await identity_of(first)
    confirmation = await confirm_fully(HERE, identity, PASSWORD)
    async with unit_of_work():
        renewed = await change_password(HERE, confirmation, "another good one")
    for ended in (first, other):
        with pytest.raises(AuthenticationFailed):
            await identity_of(ended)
    assert (await identity_of(renewed)).user_id == user_id
    await fail(HERE, EMAIL, PASSWORD)
    await log_in(HERE, email=EMAIL, password="another good one")
    entries = await AuditEntry.filter(action="user.password_changed")
    assert [(row.actor, row.resource_id, row.changes, row.ip) for row in entries] == [
        (identity.actor, identity.actor, {}, "203.0.113.4")
    ]


async def test_a_login_with_the_password_of_before_ends_with_it_however_slow_it_is(
    user_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await open_session(HERE, user_id)
    confirmation = await confirm_fully(HERE, await identity_of(session), PASSWORD)

    async def verify_slowly(*values: Any) -> bool:
        matches = await verify_password(*values)
        async with unit_of_work():
            await change_password(HERE, confirmation, "another good password")
        return matches

    monkeypatch.setattr(login_sessions, "verify_password", verify_slowly)
    with pytest.raises(AuthenticationFailed) as refused:
        await log_in(THERE, email=EMAIL, password=PASSWORD)
    assert refused.value.code == "login_invalid"
    assert await Session.filter(user_id=user_id).count() == 1


async def test_a_login_waits_for_a_change_of_the_password(user_id: UUID) -> None:
    session = await open_session(HERE, user_id)
    confirmation = await confirm_fully(HERE, await identity_of(session), PASSWORD)
    async with unit_of_work():
        await change_password(HERE, confirmation, "another good password")
        login = asyncio.create_task(log_in(THERE, email=EMAIL, password=PASSWORD), context=Variables())
        while not (login.done() or await db.fetch_value(WAITING)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    with pytest.raises(AuthenticationFailed):
        await login
    assert await Session.filter(user_id=user_id).count() == 1


async def test_the_present_password_is_asked_for_under_the_throttle(user_id: UUID) -> None:
    identity = await identity_of(await open_session(HERE, user_id))
    for _ in range(MAX_ATTEMPTS):
        with pytest.raises(InvalidRequest) as caught:
            await confirm_password(HERE, identity, "wrong password")
        assert (caught.value.code, caught.value.param) == ("password_wrong", "current_password")
    with pytest.raises(RateLimited):
        await confirm_password(HERE, identity, PASSWORD)


@pytest.mark.parametrize("password", ["short", "x" * 257, "a" * 12, EMAIL, EMAIL.upper()])
async def test_a_password_that_is_easily_guessed_changes_nothing(user_id: UUID, password: str) -> None:
    session = await open_session(HERE, user_id)
    identity = await identity_of(session)
    with pytest.raises(InvalidRequest) as caught:
        await change_password(HERE, FullConfirmation(identity), password)
    assert caught.value.param == "password"
    assert (await identity_of(session)).session_id == identity.session_id


@pytest.mark.parametrize(
    "password", ["pässwörd 密码 ok", "spaces  kept ", "\ud800 surrogate", ("lanterns drift north " * 13)[:256]]
)
async def test_any_text_may_be_a_password(password: str) -> None:
    kept = await hash_password(check_password(password, email=EMAIL))
    assert await verify_password(kept, password)
    assert not await verify_password(kept, password + "x")
    assert not await verify_password(kept, password[:-1])
    assert not await verify_password("not a hash", password)


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.4", "203.0.113.4"),
        ("::ffff:203.0.113.4", "203.0.113.4"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_a_network_is_what_one_caller_holds(ip: str, network: str) -> None:
    assert network_of(ip) == network


@given(st.text())
def test_a_folded_address_is_its_own_folding(text: str) -> None:
    folded = fold_email(text)
    assert folded is None or fold_email(folded) == folded == folded.lower()


# Attack 9 of the cases: passwords tried against one user from many networks; sessions one by one


async def test_one_user_is_not_tried_without_end_from_many_networks(user_id: UUID) -> None:
    own = await log_in(THERE, email=EMAIL, password=PASSWORD)
    for number in range(MAX_USER_ATTEMPTS):
        await fail(Visitor(f"192.0.2.{number}", services=SERVICES), EMAIL)
    fresh = Visitor("2001:db8::1", services=SERVICES)
    for password in (PASSWORD, "wrong password"):
        with pytest.raises(RateLimited) as caught:
            await log_in(fresh, email=EMAIL, password=password)
        assert caught.value.code == "login_throttled"
    # Where they are logged in, others' tries do not keep them out.
    assert (await log_in(THERE, email=EMAIL, password=PASSWORD)).user_id == own.user_id
    # Nor where they lately were.
    assert await log_out(await identity_of(own), everywhere=True)
    assert (await log_in(THERE, email=EMAIL, password=PASSWORD)).user_id == own.user_id
    with pytest.raises(RateLimited):
        await log_in(fresh, email=EMAIL, password=PASSWORD)
    # An address that nobody has is held back alike.
    for number in range(MAX_USER_ATTEMPTS):
        await fail(Visitor(f"198.18.0.{number}", services=SERVICES), "nobody@cohortlabs.co")
    with pytest.raises(RateLimited):
        await log_in(fresh, email="nobody@cohortlabs.co", password=PASSWORD)


async def test_sessions_are_listed_and_ended_one_by_one(user_id: UUID) -> None:
    agent = "Phone " + "x" * 300
    phone = replace(THERE, user_agent=agent)
    here, there = (
        await log_in(HERE, email=EMAIL, password=PASSWORD),
        await log_in(phone, email=EMAIL, password=PASSWORD),
    )
    identity = await identity_of(here)
    found = await list_sessions(SERVICES, identity)
    assert [(row.ip, row.device) for row in found] == [("198.51.100.7", agent[:200]), ("203.0.113.4", "")]
    await end_session(HERE, identity, found[0].id)
    with pytest.raises(AuthenticationFailed):
        await identity_of(there)
    assert (await identity_of(here)).session_id == identity.session_id == found[1].id
    other = await User.create(email="ana@cohortlabs.co", name="Ana", password_hash="!")
    stranger = await open_session(THERE, other.id)
    with pytest.raises(NotFound):
        await end_session(HERE, await identity_of(stranger), found[1].id)
    assert [row.id for row in await list_sessions(SERVICES, identity)] == [found[1].id]


# In the languages of those who write them, with the years, signs and look-alike letters that lists try too.
GUESSED = (
    *("password12", "Password123!", "qwertyuiop", "1q2w3e4r5t", "iloveyou12", "cohortlabs1", "maria12345"),
    *("contraseña123", "Contrasena2026", "C0ntr@s3n@1", "teamo12345", "senha12345", "S3nh@12345", "5enha@2026"),
    *("motdepasse2026", "M0tD3P@ss3", "Août2026!!", "Passwort2026!", "Sommer2024!", "Fussball2026", "haslo12345"),
    *("Şifre12345", "Galatasaray1905", "lösenord2026", "пароль12345", "йцукен12345", "привет12345", "密码12345678"),
    *("사랑해1234567", "Verão2026!", "brasil2026!", "flamengo2024", "Winter2025!", "2026Summer!", "@dm1n1str@tor1"),
    *("MassiveSMS1!", "massivesms2026", "CohortLabs2026!", "zaq12wsxcde3", "123senha123", "!!Passw0rd!!"),
)
KEPT = (
    *("correct-horse-battery", "velvet-cactus-orbit-91", "x7Kp!q29Lm", "fjord.waltz.nymph.92", "K9#vTz2!mQ"),
    *("lluvia-sobre-tejados", "winter comes to the old mill", "Sommerregenbogenfisch", "12345678901-otter-7"),
)


@pytest.mark.parametrize("password", KEPT)
def test_a_password_that_takes_long_to_guess_is_taken(password: str) -> None:
    assert passwords.check_password(password, email=EMAIL) == password


@pytest.mark.parametrize("password", GUESSED)
def test_a_password_that_is_soon_guessed_is_refused(password: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        passwords.check_password(password, email=EMAIL)
    assert (caught.value.code, caught.value.param) == ("password_weak", "password")
    assert passwords.check_password(PASSWORD, email=EMAIL) == PASSWORD
