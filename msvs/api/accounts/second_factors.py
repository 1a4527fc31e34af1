"""Second factors: authenticator apps, recovery codes, and the step of logging in that asks for them.

The next step is told after the right password alone, as elsewhere: who lacks the password learns nothing of second
factors, and who has it gets five codes a log-in, ten a network and twenty a user in 15 minutes.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msvs.api import ids
from msvs.api.accounts import totp
from msvs.api.accounts.authentication_log import AuthenticationAction, record_authentication
from msvs.api.accounts.login_sessions import (
    FullConfirmation,
    Identity,
    OpenedSession,
    begin_session,
    count_attempts,
)
from msvs.api.accounts.mail_letters import MailKind
from msvs.api.accounts.mail_outbox import queue_mail
from msvs.api.accounts.networks import network_of
from msvs.api.accounts.tokens import TokenPurpose, digest_token, take_token, try_token, void_tokens
from msvs.api.audit import AuditAction, record_audit
from msvs.api.context import Context, Visitor
from msvs.api.errors import AuthenticationFailed, Conflict, ErrorCode, InvalidRequest, PermissionDenied, RateLimited
from msvs.api.permissions import Permission, allow
from msvs.api.resources import moment
from msvs.api.unit_of_work import unit_of_work
from msvs.database import execute, fetch_row
from msvs.models.rows import UserRow

ISSUER = "MassiveSMS"
MAX_CODES = 5
MAX_NETWORK_CODES = 10
MAX_USER_CODES = 20

FIND_FACTORS = "SELECT * FROM users WHERE id = $1"
ENROLL_TOTP = """
UPDATE users SET totp_sealed = $2, totp_last_step = NULL WHERE id = $1 AND totp_confirmed_at IS NULL
"""
CONFIRM_TOTP = """
UPDATE users SET totp_confirmed_at = $2, totp_last_step = $3
WHERE id = $1 AND totp_confirmed_at IS NULL AND totp_sealed = $4
"""
# Of two who give the same code at once, one finds it used.
USE_STEP = """
UPDATE users SET totp_last_step = $2 WHERE id = $1 AND totp_confirmed_at IS NOT NULL
    AND (totp_last_step IS NULL OR totp_last_step < $2)
"""
FORGET_BEGUN_TOTP = """
UPDATE users SET totp_sealed = NULL WHERE id = $1 AND totp_confirmed_at IS NULL AND totp_sealed IS NOT NULL
"""
REMOVE_TOTP = """
UPDATE users SET totp_sealed = NULL, totp_confirmed_at = NULL, totp_last_step = NULL
WHERE id = $1 AND totp_confirmed_at IS NOT NULL
"""
ADD_RECOVERY_CODES = """
INSERT INTO recovery_codes (id, user_id, digest) SELECT id, $2, digest FROM unnest($1::uuid[], $3::varchar[])
    AS made (id, digest)
"""
USE_RECOVERY_CODE = """
UPDATE recovery_codes SET used_at = $3 WHERE user_id = $1 AND digest = $2 AND used_at IS NULL
"""
COUNT_FACTORS = """
SELECT users.totp_confirmed_at IS NOT NULL AS has_totp,
    (SELECT count(*) FROM passkeys WHERE user_id = users.id) AS passkeys,
    (SELECT count(*) FROM recovery_codes WHERE user_id = users.id AND used_at IS NULL) AS recovery_codes
FROM users WHERE users.id = $1
"""
DEMAND_SECOND_FACTOR = """
UPDATE workspaces SET requires_second_factor = $2 WHERE id = $1 AND requires_second_factor <> $2
"""


async def begin_totp(visitor: Visitor, confirmation: FullConfirmation) -> tuple[str, str]:
    """Make the secret that an authenticator app is to share; it and its otpauth URI, which are shown only once.

    It counts once `confirm_totp` was given a code. Raises Conflict code `second_factor_exists`.
    """
    identity = confirmation.identity
    secret = totp.make_secret()
    if not await execute(ENROLL_TOTP, identity.user_id, visitor.services.keyring.seal(secret)):
        raise Conflict("There is an authenticator app already; remove it first.", code=ErrorCode.SECOND_FACTOR_EXISTS)
    return secret, totp.otpauth_uri(secret, account=identity.email, issuer=ISSUER)


async def confirm_totp(visitor: Visitor, identity: Identity, code: str) -> Sequence[str]:
    """Have the app's first code prove that it has the secret; new recovery codes. Other sessions of the user end.

    Count the attempt by `limit_codes` before. Raises InvalidRequest code `second_factor_invalid`.
    """
    user = await find_user(identity.user_id)
    step = None
    if user.totp_sealed is not None and user.totp_confirmed_at is None:
        secret = visitor.services.keyring.open(user.totp_sealed)
        step = totp.match_step(secret, code, now=visitor.services.real_clock())
    if step is None or not await execute(CONFIRM_TOTP, user.id, visitor.services.real_clock(), step, user.totp_sealed):
        raise InvalidRequest("The code is wrong.", param="code", code=ErrorCode.SECOND_FACTOR_INVALID)
    await forget_begun_factors(identity.user_id)
    await tell_change(visitor, identity, AuthenticationAction.TOTP_ADDED)
    await execute("DELETE FROM sessions WHERE user_id = $1 AND id <> $2", identity.user_id, identity.session_id)
    return await replace_codes(identity)


async def remove_totp(visitor: Visitor, confirmation: FullConfirmation) -> bool:
    """Take the authenticator app away; whether there was one."""
    identity = confirmation.identity
    if not await execute(REMOVE_TOTP, identity.user_id):
        return False
    await void_tokens(identity.user_id, TokenPurpose.SECOND_FACTOR)
    await tell_change(visitor, identity, AuthenticationAction.TOTP_REMOVED)
    await forget_codes_of_none(identity.user_id)
    return True


async def make_recovery_codes(visitor: Visitor, confirmation: FullConfirmation) -> Sequence[str]:
    """Make ten codes in place of those before, which count no more. Raises Conflict `second_factor_missing`."""
    identity = confirmation.identity
    if not identity.has_second_factor:
        raise Conflict("Add an authenticator app or a passkey first.", code=ErrorCode.SECOND_FACTOR_MISSING)
    await tell_change(visitor, identity, AuthenticationAction.RECOVERY_CODES_MADE)
    return await replace_codes(identity)


async def forget_begun_factors(user_id: UUID) -> None:
    """Discard unfinished enrollments when a factor is added: they may have been started with the password alone."""
    await execute(FORGET_BEGUN_TOTP, user_id)
    await void_tokens(user_id, TokenPurpose.PASSKEY_CREATION)


async def replace_codes(identity: Identity) -> Sequence[str]:
    """Make a user's recovery codes, in place of those before."""
    codes = totp.make_recovery_codes()
    await execute("DELETE FROM recovery_codes WHERE user_id = $1", identity.user_id)
    digests = [totp.digest_recovery_code(code) for code in codes]
    await execute(ADD_RECOVERY_CODES, [ids.new_id() for _ in codes], identity.user_id, digests)
    return codes


async def forget_codes_of_none(user_id: UUID) -> None:
    """Delete the recovery codes of a user who has no second factor any more."""
    counts = await fetch_row(COUNT_FACTORS, user_id)
    if counts is not None and not counts.has_totp and not counts.passkeys:
        await execute("DELETE FROM recovery_codes WHERE user_id = $1", user_id)


async def count_factors(user_id: UUID) -> tuple[bool, int]:
    """Return whether a user has an authenticator app, and how many recovery codes are left."""
    counts = await fetch_row(COUNT_FACTORS, user_id)
    return (False, 0) if counts is None else (bool(counts.has_totp), int(counts.recovery_codes))


async def has_factor(user_id: UUID) -> bool:
    """Return whether a user has a second factor now, regardless of what the session says."""
    counts = await fetch_row(COUNT_FACTORS, user_id)
    return counts is not None and bool(counts.has_totp or counts.passkeys)


async def limit_codes(visitor: Visitor, user_id: UUID) -> None:
    """Count a code that is tried for a user. Not to be run in a unit of work. Raises RateLimited."""
    network = network_of(visitor.ip or "")
    limits = {
        digest_token(f"code {user_id} {network}"): MAX_NETWORK_CODES,
        digest_token(f"code {user_id}"): MAX_USER_CODES,
    }
    wait = await count_attempts(visitor.services, limits)
    if wait is not None:
        raise RateLimited(
            "Too many codes were tried; wait before the next.", code=ErrorCode.LOGIN_THROTTLED, retry_after=wait
        )


async def log_in_with_code(visitor: Visitor, token: str, code: str) -> OpenedSession:
    """Open a session by the code of an app or a recovery code, after the password. Not to be run in a unit of work.

    Raises AuthenticationFailed code `second_factor_invalid`, and RateLimited.
    """
    step = await try_token(visitor.services, TokenPurpose.SECOND_FACTOR, token, limit=MAX_CODES)
    if step is None or step.user_id is None:
        raise second_factor_invalid()
    await limit_codes(visitor, step.user_id)
    async with unit_of_work():
        user = await find_user(step.user_id)
        is_right = await use_code(visitor, user, code)
        if is_right:
            # Of two who use a step at once, one finds it gone.
            is_right = await take_token(visitor.services, TokenPurpose.SECOND_FACTOR, token) is not None
        else:
            await record_authentication(visitor, user.id, AuthenticationAction.SECOND_FACTOR_REFUSED)
    if not is_right:
        raise second_factor_invalid()
    return await begin_session(visitor, user, password_changed_at=user.password_changed_at)


async def demand_second_factor(ctx: Context, required: bool, *, has_second_factor: bool) -> None:
    """Have a workspace demand a second factor of its members, or not. Raises PermissionDenied."""
    allow(ctx, Permission.WORKSPACE_WRITE)
    allow(ctx, Permission.MEMBERS_WRITE)
    if required and not has_second_factor:
        raise PermissionDenied("Add a second factor to your own account first.", code=ErrorCode.SECOND_FACTOR_REQUIRED)
    if await execute(DEMAND_SECOND_FACTOR, ctx.workspace_id, required):
        changes = {"requires_second_factor": [not required, required]}
        await record_audit(ctx, AuditAction.WORKSPACE_UPDATED, ids.encode_id(ids.WORKSPACE, ctx.workspace_id), changes)


async def tell_change(visitor: Visitor, identity: Identity, action: AuthenticationAction) -> None:
    """Log a change of a user's second factor, and have the user told of it."""
    await record_authentication(visitor, identity.user_id, action)
    data = {"change": action.value.replace("_", " "), "at": moment(visitor.services.real_clock())}
    kind, language = MailKind.SECOND_FACTOR_CHANGED, identity.language
    await queue_mail(visitor.services, kind, identity.email, language=language, data=data)


def second_factor_invalid() -> AuthenticationFailed:
    """Return what every refused second step is told."""
    return AuthenticationFailed(
        "The code or passkey is wrong, or this log-in has run out.", code=ErrorCode.SECOND_FACTOR_INVALID
    )


async def use_code(visitor: Visitor, user: UserRow, code: str) -> bool:
    """Consume an authenticator or recovery code. Return whether it is valid. Call `limit_codes` first."""
    now = visitor.services.real_clock()
    if user.totp_sealed is not None and user.totp_confirmed_at is not None:
        secret = visitor.services.keyring.open(user.totp_sealed)
        step = totp.match_step(secret, code, now=now, after=user.totp_last_step)
        if step is not None:
            return bool(await execute(USE_STEP, user.id, step))
    if not await execute(USE_RECOVERY_CODE, user.id, totp.digest_recovery_code(code), now):
        return False
    await record_authentication(visitor, user.id, AuthenticationAction.RECOVERY_CODE_USED)
    return True


async def find_user(user_id: UUID) -> UserRow:
    """Return a user with their second factor's secret. Raises AuthenticationFailed."""
    user = await fetch_row(UserRow, FIND_FACTORS, user_id)
    if user is None:
        raise second_factor_invalid()
    return user
