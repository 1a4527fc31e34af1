"""Single-use tokens that expire: mailed links and steps of logging in. Only their hashes are stored."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Services
from msvs.database import execute, fetch_row
from msvs.models.rows import AccountTokenRow


class TokenPurpose(StrEnum):
    """The purpose of a token."""

    CONFIRM_EMAIL = "confirm_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105
    SECOND_FACTOR = "second_factor"
    PASSKEY_LOGIN = "passkey_login"
    PASSKEY_CREATION = "passkey_creation"
    PASSKEY_CONFIRMATION = "passkey_confirmation"


LIFETIMES = {
    TokenPurpose.CONFIRM_EMAIL: timedelta(hours=24),
    TokenPurpose.RESET_PASSWORD: timedelta(hours=1),
    TokenPurpose.SECOND_FACTOR: timedelta(minutes=10),
    TokenPurpose.PASSKEY_LOGIN: timedelta(minutes=10),
    TokenPurpose.PASSKEY_CREATION: timedelta(minutes=10),
    TokenPurpose.PASSKEY_CONFIRMATION: timedelta(minutes=10),
}

INSERT_PROOF = """
INSERT INTO account_tokens (id, user_id, purpose, digest, email, challenge, attempts, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)
"""
# Of two who use a token at once, one finds it gone.
TAKE_PROOF = "DELETE FROM account_tokens WHERE digest = $1 AND purpose = $2 AND expires_at > $3 RETURNING *"
FIND_PROOF = "SELECT * FROM account_tokens WHERE digest = $1 AND purpose = $2 AND expires_at > $3"
TRY_PROOF = """
UPDATE account_tokens SET attempts = attempts + 1
WHERE digest = $1 AND purpose = $2 AND expires_at > $3 AND attempts < $4 RETURNING *
"""


def digest_token(token: str) -> str:
    """Return the hash under which a session's, invitation's or link's token is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


async def make_token(
    services: Services,
    purpose: TokenPurpose,
    user_id: UUID | None,
    *,
    email: str | None = None,
    challenge: str | None = None,
) -> str:
    """Make a token, which is not shown again."""
    token, now = secrets.token_urlsafe(32), services.real_clock()
    expires_at = now + LIFETIMES[purpose]
    await execute(
        INSERT_PROOF, ids.new_id(), user_id, purpose.value, digest_token(token), email, challenge, now, expires_at
    )
    return token


async def take_token(services: Services, purpose: TokenPurpose, token: str) -> AccountTokenRow | None:
    """Use a token up; None if there is none any more."""
    return await fetch_row(AccountTokenRow, TAKE_PROOF, digest_token(token), purpose.value, services.real_clock())


async def find_token(services: Services, purpose: TokenPurpose, token: str) -> AccountTokenRow | None:
    """Return what a token stands for without using it up, or None."""
    return await fetch_row(AccountTokenRow, FIND_PROOF, digest_token(token), purpose.value, services.real_clock())


async def try_token(services: Services, purpose: TokenPurpose, token: str, *, limit: int) -> AccountTokenRow | None:
    """Count an attempt that is made with a token; None if there is none any more, or it has had its fill."""
    return await fetch_row(AccountTokenRow, TRY_PROOF, digest_token(token), purpose.value, services.real_clock(), limit)


async def void_tokens(user_id: UUID, *purposes: TokenPurpose) -> None:
    """Make a user's tokens worth nothing, of some purposes or of all."""
    named = [each.value for each in purposes or TokenPurpose]
    await execute("DELETE FROM account_tokens WHERE user_id = $1 AND purpose = ANY ($2::varchar[])", user_id, named)
