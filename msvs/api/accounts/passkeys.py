"""Passkeys (WebAuthn): create, list, rename, remove, and log in, as a second factor or without a password."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.accounts.authentication_log import AuthenticationAction, record_authentication
from msvs.api.accounts.login_sessions import FullConfirmation, Identity, OpenedSession, begin_session
from msvs.api.accounts.second_factors import (
    forget_begun_factors,
    forget_codes_of_none,
    replace_codes,
    second_factor_invalid,
    tell_change,
)
from msvs.api.accounts.tokens import TokenPurpose, find_token, make_token, take_token, void_tokens
from msvs.api.context import Services, Visitor
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from msvs.api.unit_of_work import unit_of_work
from msvs.database import execute, fetch, fetch_row
from msvs.models.rows import PasskeyRow, UserRow

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

PASSKEY = "psk"
MAX_PASSKEYS = 20
MAX_PASSKEY_NAME = 100
SERVICE_NAME = "MassiveSMS"

INSERT_PASSKEY = """
INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, is_backed_up, transports, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, '[]', $8) ON CONFLICT (credential_id) DO NOTHING
"""
LIST_PASSKEYS = "SELECT * FROM passkeys WHERE user_id = $1 ORDER BY id"
FIND_PASSKEY = "SELECT * FROM passkeys WHERE credential_id = $1 FOR UPDATE"
USE_PASSKEY = "UPDATE passkeys SET sign_count = $2, last_used_at = $3, is_backed_up = $4 WHERE id = $1"
RENAME_PASSKEY = "UPDATE passkeys SET name = $3 WHERE user_id = $1 AND id = $2 RETURNING *"
FIND_PASSKEY_USER = "SELECT * FROM users WHERE id = $1"


async def list_passkeys(identity: Identity) -> Sequence[PasskeyRow]:
    """List a user's passkeys, the oldest first."""
    return await fetch(PasskeyRow, LIST_PASSKEYS, identity.user_id)


async def begin_passkey(visitor: Visitor, confirmation: FullConfirmation) -> tuple[str, str]:
    """Begin to make a passkey: a token for `add_passkey`, and the options for the browser as JSON."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    identity = confirmation.identity
    options = generate_registration_options(
        rp_id=relying_party(visitor.services)[0],
        rp_name=SERVICE_NAME,
        user_id=identity.user_id.bytes,
        user_name=identity.email,
        user_display_name=identity.name,
        exclude_credentials=_described(await list_passkeys(identity)),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )
    challenge = bytes_to_base64url(options.challenge)
    token = await make_token(visitor.services, TokenPurpose.PASSKEY_CREATION, identity.user_id, challenge=challenge)
    return token, options_to_json(options)


async def add_passkey(
    visitor: Visitor, identity: Identity, token: str, credential: str, *, name: str
) -> tuple[PasskeyRow, Sequence[str]]:
    """Keep the passkey that a browser made; it, and recovery codes where it is the user's first second factor.

    Raises InvalidRequest code `second_factor_invalid`, and Conflict.
    """
    from webauthn import verify_registration_response
    from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
    from webauthn.helpers.exceptions import WebAuthnException

    name = _checked_name(name)
    begun = await take_token(visitor.services, TokenPurpose.PASSKEY_CREATION, token)
    if begun is None or begun.user_id != identity.user_id or begun.challenge is None:
        raise _refused()
    party, origins = relying_party(visitor.services)
    try:
        made = verify_registration_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(begun.challenge),
            expected_rp_id=party,
            expected_origin=origins,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError):
        raise _refused() from None
    if len(await list_passkeys(identity)) >= MAX_PASSKEYS:
        raise Conflict(f"A user has at most {MAX_PASSKEYS} passkeys.", code=ErrorCode.SECOND_FACTOR_EXISTS)
    credential_id, key = bytes_to_base64url(made.credential_id), bytes_to_base64url(made.credential_public_key)
    values = (credential_id, key, made.sign_count, name, made.credential_backed_up, visitor.services.real_clock())
    if not await execute(INSERT_PASSKEY, ids.new_id(), identity.user_id, *values):
        raise Conflict("This passkey exists already.", code=ErrorCode.SECOND_FACTOR_EXISTS)
    await forget_begun_factors(identity.user_id)
    await tell_change(visitor, identity, AuthenticationAction.PASSKEY_ADDED)
    codes = [] if identity.has_second_factor else await replace_codes(identity)
    row = await fetch_row(PasskeyRow, FIND_PASSKEY, credential_id)
    assert row is not None
    return row, codes


async def rename_passkey(identity: Identity, id: UUID, name: str) -> PasskeyRow:
    """Give a passkey another name. Raises NotFound, InvalidRequest."""
    row = await fetch_row(PasskeyRow, RENAME_PASSKEY, identity.user_id, id, _checked_name(name))
    if row is None:
        raise _missing(id)
    return row


async def remove_passkey(visitor: Visitor, confirmation: FullConfirmation, id: UUID) -> None:
    """Take a passkey away. Raises NotFound."""
    identity = confirmation.identity
    if not await execute("DELETE FROM passkeys WHERE user_id = $1 AND id = $2", identity.user_id, id):
        raise _missing(id)
    await void_tokens(
        identity.user_id, TokenPurpose.PASSKEY_LOGIN, TokenPurpose.SECOND_FACTOR, TokenPurpose.PASSKEY_CONFIRMATION
    )
    await tell_change(visitor, identity, AuthenticationAction.PASSKEY_REMOVED)
    await forget_codes_of_none(identity.user_id)


async def begin_passkey_login(visitor: Visitor, second_factor: str | None) -> tuple[str, str]:
    """Begin to log in with a passkey: a token for `log_in_with_passkey`, and the options for the browser as JSON.

    With the token of a second step, by that user's passkeys; without, by any, in place of address and password. Raises
    AuthenticationFailed code `second_factor_invalid`.
    """
    user_id = None
    if second_factor is not None:
        step = await find_token(visitor.services, TokenPurpose.SECOND_FACTOR, second_factor)
        if step is None or step.user_id is None:
            raise second_factor_invalid()
        user_id = step.user_id
    return await _begin(visitor, TokenPurpose.PASSKEY_LOGIN, user_id)


async def begin_passkey_confirmation(visitor: Visitor, identity: Identity) -> tuple[str, str]:
    """Start a passkey confirmation for a logged-in user. Return a token and the browser's options as JSON."""
    return await _begin(visitor, TokenPurpose.PASSKEY_CONFIRMATION, identity.user_id)


async def _begin(visitor: Visitor, purpose: TokenPurpose, user_id: UUID | None) -> tuple[str, str]:
    from webauthn import generate_authentication_options, options_to_json
    from webauthn.helpers import bytes_to_base64url
    from webauthn.helpers.structs import UserVerificationRequirement

    allowed = None if user_id is None else _described(await fetch(PasskeyRow, LIST_PASSKEYS, user_id))
    verification = UserVerificationRequirement.REQUIRED if user_id is None else UserVerificationRequirement.PREFERRED
    options = generate_authentication_options(
        rp_id=relying_party(visitor.services)[0], allow_credentials=allowed, user_verification=verification
    )
    challenge = bytes_to_base64url(options.challenge)
    return await make_token(visitor.services, purpose, user_id, challenge=challenge), options_to_json(options)


async def log_in_with_passkey(visitor: Visitor, token: str, credential: str) -> OpenedSession:
    """Open a session by a passkey. Not to be run in a unit of work. Each token counts once, no matter what comes of it.

    Raises AuthenticationFailed code `second_factor_invalid`.
    """
    user_id = await use_passkey(visitor, TokenPurpose.PASSKEY_LOGIN, token, credential)
    user = None if user_id is None else await fetch_row(UserRow, FIND_PASSKEY_USER, user_id)
    if user is None:
        raise second_factor_invalid()
    await void_tokens(user.id, TokenPurpose.SECOND_FACTOR)
    return await begin_session(visitor, user, password_changed_at=user.password_changed_at)


async def use_passkey(visitor: Visitor, purpose: TokenPurpose, token: str, credential: str) -> UUID | None:
    """Verify the browser's answer to the challenge of a token. Return the passkey's user, or None if it is wrong.

    Do not call it in a unit of work. A token works once, even if the answer is wrong.
    """
    from webauthn import verify_authentication_response
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.exceptions import WebAuthnException

    begun = await take_token(visitor.services, purpose, token)
    if begun is None or begun.challenge is None:
        return None
    async with unit_of_work():
        passkey = await fetch_row(PasskeyRow, FIND_PASSKEY, _credential_id(credential))
        if passkey is None or begun.user_id not in (None, passkey.user_id):
            return None
        party, origins = relying_party(visitor.services)
        try:
            proven = verify_authentication_response(
                credential=credential,
                expected_challenge=base64url_to_bytes(begun.challenge),
                expected_rp_id=party,
                expected_origin=origins,
                credential_public_key=base64url_to_bytes(passkey.public_key),
                credential_current_sign_count=passkey.sign_count,
                # Without a password before it, the passkey is both steps.
                require_user_verification=begun.user_id is None,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError):
            await record_authentication(visitor, passkey.user_id, AuthenticationAction.SECOND_FACTOR_REFUSED)
            return None
        now, is_backed_up = visitor.services.real_clock(), proven.credential_backed_up
        await execute(USE_PASSKEY, passkey.id, proven.new_sign_count, now, is_backed_up)
        return passkey.user_id


def relying_party(services: Services) -> tuple[str, list[str]]:
    """Return the name that passkeys are for, and the origins of pages that may use them.

    An address has no passkeys: on this machine they are for localhost.
    """
    parts = urlsplit(services.base_url)
    host = parts.hostname or "localhost"
    try:
        ip_address(host)
    except ValueError:
        return host, [f"{parts.scheme}://{parts.netloc}"]
    port = f":{parts.port}" if parts.port else ""
    return "localhost", [f"{parts.scheme}://localhost{port}"]


def _described(rows: Sequence[PasskeyRow]) -> list[PublicKeyCredentialDescriptor]:
    from webauthn.helpers import base64url_to_bytes
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(row.credential_id)) for row in rows]


def _credential_id(credential: str) -> str:
    try:
        read = msgspec.json.decode(credential)
    except (msgspec.DecodeError, UnicodeError):
        return ""
    id = read.get("id") if isinstance(read, dict) else None
    return id if isinstance(id, str) and "\0" not in id and id.isascii() else ""


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_PASSKEY_NAME or "\0" in name:
        raise InvalidRequest(
            f"name must have from 1 to {MAX_PASSKEY_NAME} characters.",
            param="name",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    return name


def _refused() -> InvalidRequest:
    return InvalidRequest(
        "The passkey could not be checked; begin again.", param="credential", code=ErrorCode.SECOND_FACTOR_INVALID
    )


def _missing(id: UUID) -> NotFound:
    return ids.missing("passkey", ids.encode_id(PASSKEY, id))
