"""Named operators: their passwords, second factors and sessions, and the log of their actions."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from msvs.api import ids
from msvs.api.accounts import passwords, totp
from msvs.api.accounts.authentication_log import MAX_DEVICE_LENGTH
from msvs.api.accounts.networks import network_of
from msvs.api.accounts.strangers import OperatorStrangers
from msvs.api.accounts.tokens import digest_token
from msvs.api.context import Services, Visitor, sign
from msvs.api.errors import InvalidRequest, NotFound
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row, execute, fetch, fetch_row, fetch_value
from msvs.models.rows import OperatorEntryRow, OperatorRow

SESSION = timedelta(hours=12)
ISSUER = "MassiveSMS operators"
# What the log calls anyone who signed in with the one password that operators share.
SHARED = "(shared password)"
MAX_DETAIL_LENGTH = 200
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,39}")

ADD_OPERATOR = """
INSERT INTO operators (id, name, password_hash, totp_sealed, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO NOTHING
"""
RESET_OPERATOR = """
UPDATE operators SET password_hash = $2, totp_sealed = $3, totp_last_step = NULL, disabled_at = NULL
WHERE name = $1 RETURNING id
"""
DISABLE_OPERATOR = "UPDATE operators SET disabled_at = coalesce(disabled_at, $2) WHERE name = $1 RETURNING id"
END_OPERATOR_SESSIONS = "DELETE FROM operator_sessions WHERE operator_id = $1"
LIST_OPERATORS = """
SELECT name, created_at, disabled_at, (
    SELECT max(created_at) FROM operator_entries
    WHERE operator = operators.name AND action = 'signed_in'
) AS signed_in_at, (
    SELECT count(*) FROM operator_sessions WHERE operator_id = operators.id AND expires_at > $1
) AS session_count
FROM operators ORDER BY name
"""
FIND_OPERATOR = "SELECT * FROM operators WHERE name = $1 AND disabled_at IS NULL"
HAS_OPERATORS = "SELECT EXISTS (SELECT FROM operators WHERE disabled_at IS NULL)"
# Of two who give the same code at once, one finds it used. The password and the secret are those that were compared.
USE_OPERATOR_STEP = """
UPDATE operators SET totp_last_step = $2
WHERE id = $1 AND disabled_at IS NULL AND password_hash = $3 AND totp_sealed = $4
    AND (totp_last_step IS NULL OR totp_last_step < $2)
"""
OPEN_OPERATOR_SESSION = """
INSERT INTO operator_sessions (id, operator_id, digest, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)
"""
FIND_OPERATOR_SESSION = """
SELECT operators.name FROM operator_sessions JOIN operators ON operators.id = operator_id
WHERE digest = $1 AND expires_at > $2 AND disabled_at IS NULL
"""
END_OPERATOR_SESSION = """
DELETE FROM operator_sessions USING operators WHERE digest = $1 AND operators.id = operator_id RETURNING operators.name
"""
LIST_OPERATOR_ENTRIES = """
SELECT * FROM operator_entries
WHERE ($2::uuid IS NULL OR id < $2) AND ($3::varchar IS NULL OR operator = $3) AND ($4::varchar IS NULL OR action = $4)
ORDER BY id DESC LIMIT $1
"""
RECORD_OPERATOR_ENTRY = """
INSERT INTO operator_entries (id, operator, action, detail, network, device, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
# One a minute and operator, so that nobody fills the log by guessing.
RECORD_OPERATOR_REFUSAL = """
INSERT INTO operator_entries (id, operator, action, network, device, created_at)
SELECT $1::uuid, $2::varchar, $3::varchar, $4::varchar, $5::varchar, $6::timestamptz WHERE NOT EXISTS (
    SELECT FROM operator_entries
    WHERE operator = $2 AND action = $3 AND created_at > $6::timestamptz - interval '1 minute'
)
"""


class OperatorAction(StrEnum):
    """The actions in the log."""

    ADDED = "added"
    RESET = "reset"
    DISABLED = "disabled"
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    # A command of `msvs` that changes something; the detail says which.
    COMMAND = "command"
    # A change on the page of RQ; the detail says which.
    CHANGED = "changed"
    # Acts of their area; the detail says of what, and why.
    CREDITS_GRANTED = "credits_granted"
    WORKSPACE_HELD = "workspace_held"
    WORKSPACE_RELEASED = "workspace_released"
    ROUTE_ADDED = "route_added"
    ROUTE_REMOVED = "route_removed"
    JOB_REQUEUED = "job_requeued"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of an operator, shown only once."""

    name: str
    password: str
    totp_secret: str

    @property
    def otpauth_uri(self) -> str:
        """Return the address that an authenticator app reads from a QR code."""
        return totp.otpauth_uri(self.totp_secret, account=self.name, issuer=ISSUER)


async def add_operator(services: Services, name: str, password: str | None = None) -> Credentials:
    """Add an operator, with a password of their own or one that is made. Raises InvalidRequest."""
    made = _make_credentials(name, password)
    hash, sealed = await passwords.hash_password(made.password), services.keyring.seal(made.totp_secret)
    async with unit_of_work():
        if not await execute(ADD_OPERATOR, ids.new_id(), made.name, hash, sealed, services.real_clock()):
            raise InvalidRequest("There is an operator of this name already.", param="name")
        await record(Visitor(services=services), made.name, OperatorAction.ADDED, _by(services))
    return made


async def reset_operator(services: Services, name: str, password: str | None = None) -> Credentials:
    """Give an operator another password and second factor, enable them, and end their sessions.

    Raises InvalidRequest, NotFound.
    """
    made = _make_credentials(name, password)
    hash, sealed = await passwords.hash_password(made.password), services.keyring.seal(made.totp_secret)
    async with unit_of_work():
        await _end_sessions(await fetch_row(RESET_OPERATOR, made.name, hash, sealed))
        await record(Visitor(services=services), made.name, OperatorAction.RESET, _by(services))
    return made


async def disable_operator(services: Services, name: str) -> str:
    """Keep an operator from signing in, and end their sessions; the name. Raises InvalidRequest, NotFound."""
    name = _checked_name(name)
    async with unit_of_work():
        await _end_sessions(await fetch_row(DISABLE_OPERATOR, name, services.real_clock()))
        await record(Visitor(services=services), name, OperatorAction.DISABLED, _by(services))
    return name


async def list_operators(services: Services) -> Sequence[Row]:
    """List the operators by name, disabled ones too, each with their last sign-in and their open sessions."""
    return await fetch(LIST_OPERATORS, services.real_clock())


async def list_entries(
    limit: int, *, after: UUID | None = None, operator: str | None = None, action: OperatorAction | None = None
) -> Sequence[OperatorEntryRow]:
    """List the last entries of the log, the newest first: those before the entry `after`, of an operator, of an act."""
    return await fetch(OperatorEntryRow, LIST_OPERATOR_ENTRIES, limit, after, operator, action and action.value)


async def has_operators() -> bool:
    """Return whether any operator can sign in by name."""
    return bool(await fetch_value(HAS_OPERATORS))


async def sign_in(visitor: Visitor, name: str, password: str, code: str, *, is_held_back: bool = False) -> str | None:
    """Open a session for the right name, password and code; its token, or None.

    The right ones are never refused for what others tried. Where too many were tried, the password is only looked at
    with the right code, which no guesser has: hashes are dear, codes are not.
    """
    folded = name.strip().lower()
    operator = await fetch_row(OperatorRow, FIND_OPERATOR, folded) if _NAME.fullmatch(folded) else None
    step = None
    if operator is not None:
        secret = visitor.services.keyring.open(operator.totp_sealed)
        step = totp.match_step(secret, code, now=visitor.services.real_clock(), after=operator.totp_last_step)
    if is_held_back and step is None:
        return None
    matches = await passwords.verify_password(None if operator is None else operator.password_hash, password)
    if operator is None:
        return None
    if not matches or step is None:
        await _record_refusal(visitor, operator.name)
        return None
    async with unit_of_work():
        if not await execute(USE_OPERATOR_STEP, operator.id, step, operator.password_hash, operator.totp_sealed):
            return None
        token, now = secrets.token_urlsafe(32), visitor.services.real_clock()
        await execute(OPEN_OPERATOR_SESSION, ids.new_id(), operator.id, digest_token(token), now, now + SESSION)
        await record(visitor, operator.name, OperatorAction.SIGNED_IN)
    visitor.services.keep(OperatorStrangers).settle(digest_token(token), None, is_found=True)
    return token


async def find_signed_in(services: Services, token: str, *, ip: str | None = None) -> str | None:
    """Return the name of the operator whose session it is, or None.

    With `ip`, a network that tried too many tokens of no session is not looked up for one that this process has not
    seen.
    """
    digest, strangers = digest_token(token), services.keep(OperatorStrangers)
    if ip is not None and strangers.seconds_to_wait(digest, ip) is not None:
        return None
    row = await fetch_row(FIND_OPERATOR_SESSION, digest, services.real_clock())
    strangers.settle(digest, ip, is_found=row is not None)
    return None if row is None else str(row.name)


async def sign_out(visitor: Visitor, token: str) -> None:
    """End a session."""
    async with unit_of_work():
        row = await fetch_row(END_OPERATOR_SESSION, digest_token(token))
        if row is not None:
            await record(visitor, row.name, OperatorAction.SIGNED_OUT)


async def record(visitor: Visitor, name: str, action: OperatorAction, detail: str | None = None) -> None:
    """Log what an operator did, or what was done about one."""
    detail = None if detail is None else detail[:MAX_DETAIL_LENGTH]
    now = visitor.services.real_clock()
    await execute(RECORD_OPERATOR_ENTRY, ids.new_id(), name, action.value, detail, *_origin(visitor), now)


async def _record_refusal(visitor: Visitor, name: str) -> None:
    action, now = OperatorAction.SIGN_IN_REFUSED.value, visitor.services.real_clock()
    await execute(RECORD_OPERATOR_REFUSAL, ids.new_id(), name, action, *_origin(visitor), now)


async def _end_sessions(row: Row | None) -> None:
    if row is None:
        raise NotFound("There is no operator of this name.", param="name")
    operator_id: UUID = row.id
    await execute(END_OPERATOR_SESSIONS, operator_id)


def _by(services: Services) -> str | None:
    """Return the operator who is making a change; the log entry is recorded under the changed operator's name."""
    return None if services.operator is None else f"by {sign(services.operator)}"


def _origin(visitor: Visitor) -> tuple[str | None, str | None]:
    return network_of(visitor.ip or "") or None, (visitor.user_agent or "")[:MAX_DEVICE_LENGTH] or None


def _make_credentials(name: str, password: str | None) -> Credentials:
    name = _checked_name(name)
    made = secrets.token_urlsafe(18) if password is None else passwords.check_password(password, email=name)
    return Credentials(name, made, totp.make_secret())


def _checked_name(name: str) -> str:
    folded = name.strip().lower()
    if not _NAME.fullmatch(folded):
        raise InvalidRequest("name must have from 1 to 40 of a-z, 0-9, '.', '_', '@' and '-'.", param="name")
    return folded
