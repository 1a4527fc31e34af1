"""Second factors: set up, asked for, and what attacks on codes and passkeys come to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import base64url_to_bytes

from msvs.api import ids
from msvs.api.accounts import passkeys, second_factors, totp
from msvs.api.accounts.login_sessions import (
    FullConfirmation,
    Identity,
    OpenedSession,
    SecondFactorNeeded,
    authenticate_session,
    enter_workspace,
    log_in,
    open_session,
)
from msvs.api.accounts.passwords import hash_password
from msvs.api.context import Context, Visitor
from msvs.api.errors import AuthenticationFailed, InvalidRequest, PermissionDenied, RateLimited
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Membership, Passkey, RecoveryCode, Role, Session, User, Workspace
from tests.authenticator import Authenticator
from tests.services import SERVICES

EMAIL = "maria@cohortlabs.co"
PASSWORD = "correct horse battery"
HERE = Visitor("203.0.113.4", "req_1", services=SERVICES)


@pytest.fixture(autouse=True)
def _sealing() -> None:
    SERVICES.keyring.seal_with("a secret for the tests of second factors")


@pytest.fixture
async def maria(workspace: Workspace) -> Identity:
    user = await User.create(email=EMAIL, name="Maria", password_hash=await hash_password(PASSWORD))
    await Membership.create(user_id=user.id, workspace_id=workspace.id, role=Role.OWNER)
    return await authenticate_session(SERVICES, (await open_session(HERE, user.id)).token)


async def enroll(identity: Identity) -> tuple[str, Sequence[str]]:
    """The secret of an app that was set up with the step before this one, and the recovery codes."""
    async with unit_of_work():
        secret, uri = await second_factors.begin_totp(HERE, FullConfirmation(identity))
        assert f"secret={secret}" in uri
        codes = await second_factors.confirm_totp(HERE, identity, code_of(secret, -1))
    return secret, codes


def code_of(secret: str, later: int = 0) -> str:
    return totp.make_code(secret, totp.current_step(SERVICES.clock()) + later)


async def first_step() -> str:
    with pytest.raises(SecondFactorNeeded) as needed:
        await log_in(HERE, email=EMAIL, password=PASSWORD)
    return needed.value.token


async def refuse(token: str, code: str) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        await second_factors.log_in_with_code(HERE, token, code)
    assert caught.value.code == "second_factor_invalid"


async def test_an_app_is_asked_for_after_the_password_and_a_code_counts_once(maria: Identity) -> None:
    secret, _ = await enroll(maria)
    with pytest.raises(AuthenticationFailed) as caught:
        await log_in(HERE, email=EMAIL, password="a wrong password")
    assert caught.value.code == "login_invalid"
    token = await first_step()
    before = await Session.all().count()
    await refuse(token, "000000" if code_of(secret) != "000000" else "000001")
    assert await Session.all().count() == before
    session = await second_factors.log_in_with_code(HERE, token, code_of(secret))
    assert session.user_id == maria.user_id
    await refuse(token, code_of(secret, 1))
    await refuse(await first_step(), code_of(secret))


async def test_of_two_who_give_one_code_at_once_one_gets_in(maria: Identity) -> None:
    secret, _ = await enroll(maria)
    tokens = [await first_step(), await first_step()]
    code = code_of(secret)
    outcomes = await asyncio.gather(
        *(second_factors.log_in_with_code(HERE, token, code) for token in tokens), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["AuthenticationFailed", "OpenedSession"]


async def test_a_recovery_code_counts_once_and_new_ones_end_those_before(maria: Identity) -> None:
    _, codes = await enroll(maria)
    assert isinstance(await second_factors.log_in_with_code(HERE, await first_step(), codes[0]), OpenedSession)
    await refuse(await first_step(), codes[0])
    known = await authenticate_session(SERVICES, (await open_session(HERE, maria.user_id)).token)
    async with unit_of_work():
        renewed = await second_factors.make_recovery_codes(HERE, FullConfirmation(known))
    await refuse(await first_step(), codes[1])
    await second_factors.log_in_with_code(HERE, await first_step(), renewed[0].upper())
    assert await RecoveryCode.filter(used_at=None).count() == 9


async def test_codes_cannot_be_tried_without_end(maria: Identity) -> None:
    _, codes = await enroll(maria)
    token = await first_step()
    for _ in range(second_factors.MAX_CODES):
        await refuse(token, "not-a-code")
    await refuse(token, codes[0])
    token = await first_step()
    for _ in range(second_factors.MAX_CODES):
        await refuse(token, "not-a-code")
    with pytest.raises(RateLimited):
        await second_factors.log_in_with_code(HERE, await first_step(), codes[0])


async def test_an_app_that_was_not_confirmed_is_not_asked_for(maria: Identity) -> None:
    async with unit_of_work():
        await second_factors.begin_totp(HERE, FullConfirmation(maria))
    with pytest.raises(InvalidRequest):
        await second_factors.confirm_totp(HERE, maria, "not-a-code")
    assert isinstance(await log_in(HERE, email=EMAIL, password=PASSWORD), OpenedSession)


async def test_a_workspace_that_demands_a_second_factor_admits_users_with_one(
    maria: Identity, workspace: Workspace
) -> None:
    ctx = Context(workspace.id, True, ids.encode_id(ids.USER, maria.user_id), role=Role.OWNER, services=SERVICES)
    with pytest.raises(PermissionDenied):
        await second_factors.demand_second_factor(ctx, True, has_second_factor=False)
    await second_factors.demand_second_factor(ctx, True, has_second_factor=True)
    session = await open_session(HERE, maria.user_id)
    known = await authenticate_session(SERVICES, session.token)
    with pytest.raises(PermissionDenied) as caught:
        enter_workspace(known, workspace.id, HERE, livemode=False)
    assert caught.value.code == "second_factor_required"
    await enroll(known)
    enter_workspace(await authenticate_session(SERVICES, session.token), workspace.id, HERE, livemode=False)


async def add(identity: Identity) -> Authenticator:
    device = Authenticator()
    async with unit_of_work():
        token, options = await passkeys.begin_passkey(HERE, FullConfirmation(identity))
        row, codes = await passkeys.add_passkey(HERE, identity, token, device.create(options), name=" My phone ")
    assert (row.name, len(codes), base64url_to_bytes(row.credential_id)) == ("My phone", 10, device.id)
    return device


async def test_a_passkey_logs_in_by_itself_and_as_a_second_step(maria: Identity) -> None:
    device = await add(maria)
    for is_second in (False, True):
        second = await first_step() if is_second else None
        token, options = await passkeys.begin_passkey_login(HERE, second)
        credential = device.get(options)
        session = await passkeys.log_in_with_passkey(HERE, token, credential)
        assert session.user_id == maria.user_id
        with pytest.raises(AuthenticationFailed):
            await passkeys.log_in_with_passkey(HERE, token, credential)
    assert (await Passkey.get()).sign_count == device.count


@pytest.mark.parametrize("attack", ["origin", "unverified", "replayed", "other key", "other challenge", "garbage"])
async def test_a_passkey_that_proves_nothing_opens_no_session(maria: Identity, attack: str) -> None:
    device = await add(maria)
    before = await Session.all().count()
    token, options = await passkeys.begin_passkey_login(HERE, None)
    match attack:
        case "origin":
            credential = device.get(options, origin="https://evil.example")
        case "unverified":
            credential = device.get(options, flags=0x01)
        case "replayed":
            device.count = 0
            credential = device.get(options)
        case "other key":
            device.key = ec.generate_private_key(ec.SECP256R1())
            credential = device.get(options)
        case "other challenge":
            _, other = await passkeys.begin_passkey_login(HERE, None)
            credential = device.get(other)
        case _:
            credential = '{"id": 5}'
    with pytest.raises(AuthenticationFailed) as caught:
        await passkeys.log_in_with_passkey(HERE, token, credential)
    assert caught.value.code == "second_factor_invalid"
    assert await Session.all().count() == before
