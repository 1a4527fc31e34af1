"""Reauthenticate a logged-in user before an irreversible action: the password, and a second factor if there is one."""

from __future__ import annotations

from dataclasses import dataclass

from msvs.api.accounts.authentication_log import AuthenticationAction, record_authentication
from msvs.api.accounts.login_sessions import FullConfirmation, Identity, confirm_password
from msvs.api.accounts.passkeys import use_passkey
from msvs.api.accounts.second_factors import find_user, has_factor, limit_codes, use_code
from msvs.api.accounts.tokens import TokenPurpose
from msvs.api.context import Visitor
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.unit_of_work import unit_of_work


@dataclass(frozen=True, slots=True)
class PasskeyAnswer:
    """The browser's JSON answer to a challenge of `begin_passkey_confirmation`, with its token."""

    token: str
    credential: str


async def confirm_fully(
    visitor: Visitor,
    identity: Identity,
    password: str,
    *,
    code: str | None = None,
    passkey: PasskeyAnswer | None = None,
) -> FullConfirmation:
    """Check a logged-in user's password and, if they have one, a second factor. Do not call it in a unit of work.

    Raises InvalidRequest codes `password_wrong`, `parameter_missing` and `second_factor_invalid`, and RateLimited.
    """
    await confirm_password(visitor, identity, password)
    if not await has_factor(identity.user_id):
        return FullConfirmation(identity)
    if passkey is not None:
        purpose = TokenPurpose.PASSKEY_CONFIRMATION
        is_right = await use_passkey(visitor, purpose, passkey.token, passkey.credential) == identity.user_id
    elif code is not None:
        is_right = await _try_code(visitor, identity, code)
    else:
        raise InvalidRequest(
            "Give a code of your authenticator app, a recovery code or a passkey too.",
            param="code",
            code=ErrorCode.PARAMETER_MISSING,
        )
    if not is_right:
        raise InvalidRequest(
            "The code or passkey is wrong.",
            param="code" if passkey is None else "passkey",
            code=ErrorCode.SECOND_FACTOR_INVALID,
        )
    return FullConfirmation(identity)


async def _try_code(visitor: Visitor, identity: Identity, code: str) -> bool:
    await limit_codes(visitor, identity.user_id)
    async with unit_of_work():
        user = await find_user(identity.user_id)
        is_right = await use_code(visitor, user, code)
        if not is_right:
            await record_authentication(visitor, user.id, AuthenticationAction.SECOND_FACTOR_REFUSED)
    return is_right
