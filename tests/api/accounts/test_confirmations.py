"""Confirming an act: the password alone for who has nothing else, and a code or a passkey for who has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from msvs.api.accounts import passkeys
from msvs.api.accounts.confirmations import PasskeyAnswer, confirm_fully
from msvs.api.accounts.login_sessions import FullConfirmation, Identity
from msvs.api.errors import InvalidRequest, RateLimited
from msvs.api.unit_of_work import unit_of_work
from msvs.models import AuthenticationEntry
from tests.api.accounts.test_second_factors import HERE, PASSWORD, code_of, enroll, maria
from tests.authenticator import Authenticator
from tests.services import SERVICES

__all__ = ["maria"]


@pytest.fixture(autouse=True)
def _sealing() -> None:
    SERVICES.keyring.seal_with("a secret for the tests of confirmations")


async def refuse(identity: Identity, code: str | None = None, passkey: PasskeyAnswer | None = None) -> str:
    """The code of the error of a confirmation whose password is right."""
    with pytest.raises(InvalidRequest) as caught:
        await confirm_fully(HERE, identity, PASSWORD, code=code, passkey=passkey)
    return caught.value.code


async def test_who_has_no_second_factor_gives_the_password(maria: Identity) -> None:
    assert await confirm_fully(HERE, maria, PASSWORD) == FullConfirmation(maria)
    with pytest.raises(InvalidRequest) as caught:
        await confirm_fully(HERE, maria, "a wrong password", code="000000")
    assert caught.value.code == "password_wrong"


async def test_an_app_gives_a_code_that_counts_once(maria: Identity) -> None:
    secret, codes = await enroll(maria)
    # The session was read before the app was set up: what counts is what there is now.
    assert not maria.has_second_factor
    assert await refuse(maria) == "parameter_missing"
    assert await refuse(maria, "not-a-code") == "second_factor_invalid"
    assert await AuthenticationEntry.filter(action="second_factor_refused").count() == 1
    code = code_of(secret)
    assert await confirm_fully(HERE, maria, PASSWORD, code=code) == FullConfirmation(maria)
    assert await refuse(maria, code) == "second_factor_invalid"
    assert await confirm_fully(HERE, maria, PASSWORD, code=codes[0]) == FullConfirmation(maria)
    assert await refuse(maria, codes[0]) == "second_factor_invalid"
    with pytest.raises(InvalidRequest):
        await confirm_fully(HERE, maria, "a wrong password", code=codes[1])
    assert await confirm_fully(HERE, maria, PASSWORD, code=codes[1]) == FullConfirmation(maria)


async def test_codes_are_not_tried_without_end(maria: Identity) -> None:
    await enroll(maria)
    for _ in range(10):
        assert await refuse(maria, "not-a-code") == "second_factor_invalid"
    with pytest.raises(RateLimited):
        await confirm_fully(HERE, maria, PASSWORD, code="not-a-code")


async def test_a_passkey_confirms_what_was_begun_for_its_owner(maria: Identity) -> None:
    device = Authenticator(passkeys.relying_party(SERVICES)[1][0])
    async with unit_of_work():
        token, options = await passkeys.begin_passkey(HERE, FullConfirmation(maria))
        await passkeys.add_passkey(HERE, maria, token, device.create(options), name="Phone")
    assert await refuse(maria) == "parameter_missing"
    token, options = await passkeys.begin_passkey_confirmation(HERE, maria)
    answer = PasskeyAnswer(token, device.get(options))
    assert await confirm_fully(HERE, maria, PASSWORD, passkey=answer) == FullConfirmation(maria)
    assert await refuse(maria, passkey=answer) == "second_factor_invalid"
    token, options = await passkeys.begin_passkey_login(HERE, None)
    assert await refuse(maria, passkey=PasskeyAnswer(token, device.get(options))) == "second_factor_invalid"
    other = replace(maria, user_id=maria.session_id)
    token, options = await passkeys.begin_passkey_confirmation(HERE, other)
    assert await refuse(maria, passkey=PasskeyAnswer(token, device.get(options))) == "second_factor_invalid"
