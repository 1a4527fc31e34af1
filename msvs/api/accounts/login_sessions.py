"""Login sessions: log in with throttling, authenticate by token, change the password, log out.

A refused attempt must be remembered, so what counts attempts runs outside a unit of work.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from tortoise.backends.base.client import TransactionalDBClient

from msvs.api import ids
from msvs.api.accounts.auth import name_workspace, suspended
from msvs.api.accounts.authentication_log import AuthenticationAction, audit_places, record_authentication
from msvs.api.accounts.mail_letters import MailKind
from msvs.api.accounts.mail_outbox import queue_mail
from msvs.api.accounts.networks import network_of
from msvs.api.accounts.passwords import check_password, hash_password, needs_rehash, verify_password
from msvs.api.accounts.strangers import SessionStrangers
from msvs.api.accounts.tokens import TokenPurpose, digest_token, make_token, void_tokens
from msvs.api.audit import AuditAction
from msvs.api.context import Context, Services, Visitor
from msvs.api.errors import AuthenticationFailed, ErrorCode, InvalidRequest, PermissionDenied, RateLimited
from msvs.api.resources import moment
from msvs.api.text.emails import read_email
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.database import Row, client, execute, fetch, fetch_row, fetch_value
from msvs.models import Role, Session, User
from msvs.models.rows import UserRow
from msvs.models.workspaces import IS_HELD

log = structlog.get_logger(__name__)

SESSION = "ses"
# A session ends after a week, and after half a day without use.
LIFETIME = timedelta(days=7)
IDLE = timedelta(hours=12)
SEEN_EVERY = timedelta(minutes=1)

WINDOW = timedelta(minutes=15)
# Of one e-mail address from one network, and of one network regardless of the address.
MAX_ATTEMPTS = 10
MAX_NETWORK_ATTEMPTS = 100
# Of one e-mail address from all networks, but those where its user is, or lately was, logged in.
KNOWN = timedelta(days=90)
MAX_USER_ATTEMPTS = 50
MAX_DEVICE_LENGTH = 200
# Log-ins with a passkey begun from one network.
MAX_PASSKEY_LOGINS = 100
# Sign-ups tried from one network, no matter what came of them.
MAX_SIGN_UPS = 20

FIND_LOGIN_SESSION = f"""
SELECT sessions.id AS session_id, sessions.csrf_token, sessions.last_seen_at, sessions.expires_at,
    users.id AS user_id, coalesce(users.email, users.pending_email) AS email, users.email IS NOT NULL AS is_confirmed,
    users.pending_email, users.name, users.language, users.timezone,
    users.totp_confirmed_at IS NOT NULL OR EXISTS (SELECT FROM passkeys WHERE passkeys.user_id = users.id)
        AS has_second_factor,
    memberships.workspace_id, memberships.role, workspaces.name AS workspace_name,
    {IS_HELD} AS is_held,
    workspaces.requires_second_factor, workspaces.deletes_at, workspaces.has_test_clock
FROM sessions
JOIN users ON users.id = sessions.user_id
LEFT JOIN memberships ON memberships.user_id = users.id
LEFT JOIN workspaces ON workspaces.id = memberships.workspace_id
WHERE sessions.digest = $1 AND sessions.expires_at > $2 AND sessions.last_seen_at > $3
ORDER BY memberships.id
"""

# The user's row is held: a change of the password either sees the session, and ends it, or is seen by it.
OPEN = """
INSERT INTO sessions (id, user_id, digest, csrf_token, created_at, last_seen_at, expires_at, ip, network, device)
SELECT $1, id, $3, $4, $5, $5, $6, $8, $9, $10 FROM users
WHERE id = $2 AND ($7::timestamptz IS NULL OR password_changed_at = $7) FOR SHARE
"""

MEMBERSHIPS = f"""
SELECT memberships.workspace_id, memberships.role, workspaces.name AS workspace_name,
    {IS_HELD} AS is_held,
    workspaces.requires_second_factor, workspaces.deletes_at, workspaces.has_test_clock
FROM memberships JOIN workspaces ON workspaces.id = memberships.workspace_id
WHERE memberships.user_id = $1 ORDER BY memberships.id
"""
# Only memberships that `enter_workspace` would admit; keep the conditions in step.
PLACES = """
SELECT sessions.id, memberships.workspace_id, memberships.role, workspaces.has_test_clock
FROM sessions JOIN users ON users.id = sessions.user_id
JOIN memberships ON memberships.user_id = sessions.user_id
JOIN workspaces ON workspaces.id = memberships.workspace_id
WHERE sessions.id = ANY($1) AND sessions.expires_at > $2 AND sessions.last_seen_at > $3
    AND workspaces.suspended_at IS NULL AND workspaces.deletes_at IS NULL
    AND (NOT workspaces.requires_second_factor OR users.totp_confirmed_at IS NOT NULL
        OR EXISTS (SELECT FROM passkeys WHERE passkeys.user_id = users.id))
"""

# Counting comes before the password is looked at, so that attempts made at once are all counted.
COUNT_ATTEMPT = """
INSERT INTO login_throttles (key, attempts, started_at)
SELECT key, 1, $2 FROM unnest($1::varchar[]) AS key ORDER BY key
ON CONFLICT (key) DO UPDATE SET
    attempts = CASE WHEN login_throttles.started_at <= $3 THEN 1 ELSE login_throttles.attempts + 1 END,
    started_at = CASE WHEN login_throttles.started_at <= $3 THEN $2 ELSE login_throttles.started_at END
RETURNING key, attempts, started_at
"""
FORGET_ATTEMPTS = """
WITH own AS (DELETE FROM login_throttles WHERE key = $1)
UPDATE login_throttles SET attempts = greatest(attempts - 1, 0) WHERE key IN ($2, $3)
"""
# By a session, or by the log of the months before.
LOGGED_IN_FROM = """
SELECT EXISTS (
    SELECT FROM sessions JOIN users ON users.id = sessions.user_id
    WHERE (users.email = $1 OR users.pending_email = $1) AND sessions.network = $2 AND sessions.expires_at > $3
) OR EXISTS (
    SELECT FROM authentication_entries AS entry JOIN users ON users.id = entry.user_id
    WHERE (users.email = $1 OR users.pending_email = $1) AND entry.network = $2 AND entry.action = 'logged_in'
        AND entry.created_at > $4
)
"""
# By sessions, and by the log, which outlives them.
IS_KNOWN = """
SELECT bool_or(network = $2 AND device = $3) IS TRUE AS is_known, count(*) > 0 AS has_logged_in FROM (
    SELECT network, device FROM sessions WHERE user_id = $1
    UNION ALL
    SELECT coalesce(network, ''), coalesce(device, '') FROM authentication_entries
    WHERE user_id = $1 AND action = 'logged_in'
) AS seen
"""
FACTORS_OF_USER = """
SELECT totp_confirmed_at IS NOT NULL AS has_totp,
    EXISTS (SELECT FROM passkeys WHERE passkeys.user_id = users.id) AS has_passkey
FROM users WHERE id = $1
"""
# The owner of an address first, then who signed up with it last.
FIND_BY_ADDRESS = """
(SELECT * FROM users WHERE email = $1)
UNION ALL
(SELECT * FROM users WHERE pending_email = $1 AND email IS NULL ORDER BY id DESC LIMIT 1)
"""


class Account(Protocol):
    """A user who proved who they are."""

    @property
    def id(self) -> UUID: ...

    @property
    def email(self) -> str | None: ...

    @property
    def language(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class WorkspaceMembership:
    """A user's membership in a workspace; `is_suspended` means suspended by an operator.

    With `has_test_clock` the workspace's sandbox lives in its own time.
    """

    workspace_id: UUID
    workspace_name: str
    role: Role
    is_suspended: bool = False
    requires_second_factor: bool = False
    deletes_at: datetime | None = None
    has_test_clock: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who is logged in, with the session and the workspaces, the oldest membership first."""

    user_id: UUID
    email: str
    name: str
    session_id: UUID
    csrf_token: str
    expires_at: datetime
    memberships: Sequence[WorkspaceMembership]
    is_confirmed: bool = True
    has_second_factor: bool = False
    pending_email: str | None = None
    language: str | None = None
    timezone: str | None = None

    @property
    def actor(self) -> str:
        """The user's id on the wire."""
        return ids.encode_id(ids.USER, self.user_id)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session with its token, which goes into the cookie and is not shown again."""

    token: str
    csrf_token: str
    expires_at: datetime
    user_id: UUID


class SecondFactorNeeded(Exception):
    """The password is right, and the user has a second factor, which is to follow with this token."""

    def __init__(self, token: str, has_totp: bool, has_passkey: bool) -> None:
        super().__init__("a second factor is needed")
        self.token = token
        self.has_totp = has_totp
        self.has_passkey = has_passkey


@dataclass(frozen=True, slots=True)
class FullConfirmation:
    """Proof that a logged-in user has just passed every login step again; only `confirm_fully` creates it."""

    identity: Identity


async def log_in(visitor: Visitor, *, email: str, password: str) -> OpenedSession:
    """Open a session for the right password, or ask for the second factor. Not to be run in a unit of work.

    Raises AuthenticationFailed code `login_invalid`, the same for a wrong password and an unknown user, and
    RateLimited, and SecondFactorNeeded.
    """
    address = fold_email(email)
    keys = await _count_attempt(visitor, address or "")
    user = await _check_password(visitor, address, password)
    await execute(FORGET_ATTEMPTS, *keys)
    if needs_rehash(user.password_hash):
        await User.filter(id=user.id, password_hash=user.password_hash).update(
            password_hash=await hash_password(password)
        )
    factors = await fetch_row(FACTORS_OF_USER, user.id)
    if factors is not None and (factors.has_totp or factors.has_passkey):
        token = await make_token(visitor.services, TokenPurpose.SECOND_FACTOR, user.id)
        raise SecondFactorNeeded(token, bool(factors.has_totp), bool(factors.has_passkey))
    return await begin_session(visitor, user, password_changed_at=user.password_changed_at)


async def begin_session(visitor: Visitor, user: Account, *, password_changed_at: datetime | None) -> OpenedSession:
    """Open a session for a user who has passed every step, and log it; a device that is new is told of by mail."""
    device, network = _device(visitor), network_of(visitor.ip or "")
    known = await fetch_row(IS_KNOWN, user.id, network, device)
    async with unit_of_work():
        session = await open_session(visitor, user.id, password_changed_at=password_changed_at)
        await record_authentication(visitor, user.id, AuthenticationAction.LOGGED_IN)
        if known is not None and known.has_logged_in and not known.is_known and user.email is not None:
            data = {"device": device or "-", "network": network or "-", "at": moment(visitor.services.real_clock())}
            kind, language = MailKind.NEW_DEVICE, user.language
            await queue_mail(visitor.services, kind, user.email, language=language, data=data)
            await _notify_new_device(visitor, user.id, device)
    is_new = known is None or not known.is_known
    log.info("logged in", user=ids.encode_id(ids.USER, user.id), ip=visitor.ip, new_device=is_new)
    return session


async def _notify_new_device(visitor: Visitor, user_id: UUID, device: str | None) -> None:
    """Tell a user of a new device in each of their workspaces."""
    rows = await fetch("SELECT workspace_id FROM memberships WHERE user_id = $1 ORDER BY workspace_id", user_id)
    kind = NotificationKind.NEW_DEVICE
    notices = [Notice(kind, row.workspace_id, True, name=device, only=[user_id]) for row in rows]
    await notify_members(notices, visitor.services.real_clock())


async def _check_password(visitor: Visitor, address: str | None, password: str) -> UserRow:
    """Return who has this address and password: its owner, or else who signed up with it last and has not confirmed it.

    Both are tried, whether or not there are such users, so that the time tells nothing. Raises AuthenticationFailed.
    """
    rows = [] if address is None else await fetch(UserRow, FIND_BY_ADDRESS, address)
    owner = next((row for row in rows if row.email is not None), None)
    waiting = next((row for row in rows if row.email is None), None)
    matching = None
    for user in (owner, waiting):
        is_right = await verify_password(None if user is None else user.password_hash, password)
        if is_right and matching is None:
            matching = user
    if matching is None:
        log.warning("login refused", ip=visitor.ip)
        for user in rows[:1]:
            await record_authentication(visitor, user.id, AuthenticationAction.LOGIN_REFUSED)
        raise _login_invalid()
    return matching


async def limit_sign_ups(visitor: Visitor) -> None:
    """Count an attempt to sign up from the caller's network. Not to be run in a unit of work.

    Raises RateLimited code `sign_up_throttled`.
    """
    wait = await count_attempts(
        visitor.services, {digest_token(f"sign-up {network_of(visitor.ip or '')}"): MAX_SIGN_UPS}
    )
    if wait is not None:
        raise RateLimited(
            "Too many attempts to sign up; wait before the next.", code=ErrorCode.SIGN_UP_THROTTLED, retry_after=wait
        )


async def limit_passkey_logins(visitor: Visitor) -> None:
    """Count a log-in with a passkey that is begun. Not to be run in a unit of work. Raises RateLimited."""
    key = digest_token(f"passkey {network_of(visitor.ip or '')}")
    wait = await count_attempts(visitor.services, {key: MAX_PASSKEY_LOGINS})
    if wait is not None:
        raise RateLimited(
            "Too many attempts to log in; wait before the next.", code=ErrorCode.LOGIN_THROTTLED, retry_after=wait
        )


async def open_session(
    visitor: Visitor, user_id: UUID, *, password_changed_at: datetime | None = None
) -> OpenedSession:
    """Open a session for a user who has proved who they are, by the password that was set at `password_changed_at`.

    Raises AuthenticationFailed code `login_invalid` where that is not the user's password any more.
    """
    now = visitor.services.real_clock()
    token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session = OpenedSession(token, csrf_token, now + LIFETIME, user_id)
    opened = await execute(
        OPEN,
        ids.new_id(),
        user_id,
        digest_token(token),
        csrf_token,
        now,
        session.expires_at,
        password_changed_at,
        visitor.ip,
        network_of(visitor.ip or ""),
        _device(visitor),
    )
    if not opened:
        raise _login_invalid()
    return session


async def authenticate_session(services: Services, token: str | None, *, ip: str | None = None) -> Identity:
    """Return the user behind a session's token. Raises AuthenticationFailed code `session_invalid`.

    With `ip`, a network that tried too many tokens of no session is refused one that this process has not seen, before
    the database is asked. Raises RateLimited.
    """
    if not token:
        raise _no_session()
    now, digest, strangers = services.real_clock(), digest_token(token), services.keep(SessionStrangers)
    wait = None if ip is None else strangers.seconds_to_wait(digest, ip)
    if wait is not None:
        raise RateLimited("Too many unknown sessions came from your network; wait before the next.", retry_after=wait)
    rows = await fetch(FIND_LOGIN_SESSION, digest, now, now - IDLE)
    strangers.settle(digest, ip, is_found=bool(rows))
    if not rows:
        raise _no_session()
    first = rows[0]
    if first.last_seen_at <= now - SEEN_EVERY:
        await execute("UPDATE sessions SET last_seen_at = $2 WHERE id = $1", first.session_id, now)
    return Identity(
        user_id=first.user_id,
        email=first.email,
        name=first.name,
        session_id=first.session_id,
        csrf_token=first.csrf_token,
        expires_at=first.expires_at,
        memberships=[_membership(row) for row in rows if row.workspace_id is not None],
        is_confirmed=first.is_confirmed,
        has_second_factor=first.has_second_factor,
        pending_email=first.pending_email,
        language=first.language,
        timezone=first.timezone,
    )


def check_csrf(identity: Identity, given: str | None) -> None:
    """Compare the token of a request's header with the session's. Raises PermissionDenied code `csrf_invalid`."""
    if given is None or not hmac.compare_digest(given.encode("utf-8", "replace"), identity.csrf_token.encode()):
        raise PermissionDenied("The CSRF token is missing or wrong.", code=ErrorCode.CSRF_INVALID)


def enter_workspace(identity: Identity, workspace_id: UUID, visitor: Visitor, *, livemode: bool) -> Context:
    """Return the context of a user in one of their workspaces. Raises NotFound, as for one that does not exist.

    Raises PermissionDenied codes `workspace_suspended`, `workspace_deleting` and `second_factor_required`.
    """
    ctx, membership = represent(visitor, identity, workspace_id), find_place(identity, workspace_id)
    if membership.deletes_at is not None:
        raise PermissionDenied(
            f"The workspace will be deleted on {moment(membership.deletes_at)[:10]}. Until then an owner can"
            " cancel this under Your account.",
            code=ErrorCode.WORKSPACE_DELETING,
        )
    if membership.is_suspended:
        raise suspended()
    require_second_factor(identity, membership)
    name_workspace(workspace_id)
    return replace(ctx, livemode=livemode)


def represent(visitor: Visitor, identity: Identity, workspace_id: UUID) -> Context:
    """Return a user's context in one of their workspaces, for actions on their own membership.

    It skips the checks of `enter_workspace`, so it also works in a suspended workspace. Raises NotFound.
    """
    return Context(
        workspace_id,
        True,
        identity.actor,
        visitor.request_id,
        role=find_place(identity, workspace_id).role,
        ip=visitor.ip,
        is_confirmed=identity.is_confirmed,
        services=visitor.services,
    )


def find_place(identity: Identity, workspace_id: UUID) -> WorkspaceMembership:
    """Return the user's membership in a workspace. Raises NotFound, the same as for a workspace that does not exist."""
    for membership in identity.memberships:
        if membership.workspace_id == workspace_id:
            return membership
    raise ids.missing("workspace", ids.encode_id(ids.WORKSPACE, workspace_id), param="workspace_id")


def require_second_factor(identity: Identity, membership: WorkspaceMembership) -> None:
    """Refuse a user without a second factor if the workspace requires one. Raises PermissionDenied."""
    if membership.requires_second_factor and not identity.has_second_factor:
        raise PermissionDenied(
            "This workspace demands a second factor: add one to your account first.",
            code=ErrorCode.SECOND_FACTOR_REQUIRED,
        )


async def rotate_session(identity: Identity) -> OpenedSession:
    """Give a session a new token and CSRF token; the old ones are worth nothing from then on."""
    token, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    rotated = await execute(
        "UPDATE sessions SET digest = $2, csrf_token = $3 WHERE id = $1",
        identity.session_id,
        digest_token(token),
        csrf_token,
    )
    if not rotated:
        raise _no_session()
    return OpenedSession(token, csrf_token, identity.expires_at, identity.user_id)


async def reread_memberships(identity: Identity) -> Identity:
    """Return the same user with the workspaces that are theirs now."""
    rows = await fetch(MEMBERSHIPS, identity.user_id)
    return replace(identity, memberships=[_membership(row) for row in rows])


async def log_out(identity: Identity, *, everywhere: bool = False) -> int:
    """End the session, or all of the user's. Return the count. Ending one that has ended changes nothing."""
    if everywhere:
        return await Session.filter(user_id=identity.user_id).delete()
    return await Session.filter(id=identity.session_id).delete()


async def list_sessions(services: Services, identity: Identity) -> list[Session]:
    """List the sessions of a user that have not ended, the newest first."""
    now = services.real_clock()
    query = Session.filter(user_id=identity.user_id, expires_at__gt=now, last_seen_at__gt=now - IDLE)
    return await query.order_by("-id")


async def end_session(visitor: Visitor, identity: Identity, id: UUID) -> None:
    """End one session of a user, on any device. Raises NotFound."""
    if not await Session.filter(user_id=identity.user_id, id=id).delete():
        raise ids.missing("session", ids.encode_id(SESSION, id))
    await record_authentication(visitor, identity.user_id, AuthenticationAction.SESSION_ENDED)


async def confirm_password(visitor: Visitor, identity: Identity, password: str) -> None:
    """Have a logged-in user prove the password once more: a part of `confirm_fully`. Not to be run in a unit of work.

    Raises InvalidRequest code `password_wrong`, and RateLimited.
    """
    keys = await _count_attempt(visitor, identity.email)
    user = await User.filter(id=identity.user_id).first()
    if not await verify_password(None if user is None else user.password_hash, password):
        raise InvalidRequest("The password is wrong.", param="current_password", code=ErrorCode.PASSWORD_WRONG)
    await execute(FORGET_ATTEMPTS, *keys)


async def change_password(visitor: Visitor, confirmation: FullConfirmation, password: str) -> OpenedSession:
    """Set a new password: every other session of the user ends, this one gets a new token. Raises InvalidRequest."""
    identity = confirmation.identity
    check_password(password, email=identity.email)
    await record_authentication(visitor, identity.user_id, AuthenticationAction.PASSWORD_CHANGED)
    kind, language = MailKind.PASSWORD_CHANGED, identity.language
    await queue_mail(visitor.services, kind, identity.email, language=language)
    await User.filter(id=identity.user_id).update(
        password_hash=await hash_password(password), password_changed_at=visitor.services.real_clock()
    )
    await Session.filter(user_id=identity.user_id).exclude(id=identity.session_id).delete()
    # Links and half log-ins that the password before opened.
    await void_tokens(
        identity.user_id,
        TokenPurpose.RESET_PASSWORD,
        TokenPurpose.SECOND_FACTOR,
        TokenPurpose.PASSKEY_LOGIN,
        TokenPurpose.PASSKEY_CONFIRMATION,
    )
    await audit_places(visitor, identity.user_id, AuditAction.PASSWORD_CHANGED)
    return await rotate_session(identity)


async def living_places(services: Services, session_ids: Sequence[UUID]) -> dict[tuple[UUID, UUID, Role], bool]:
    """Of these sessions, those that have not ended: each with every workspace of its user and the role there.

    Of each, whether the workspace's sandbox has a clock.
    """
    now = services.real_clock()
    rows = await fetch(PLACES, list(session_ids), now, now - IDLE)
    return {(row.id, row.workspace_id, Role(row.role)): row.has_test_clock for row in rows}


def fold_email(email: str) -> str | None:
    """Fold an e-mail address as users have it, in lower case and ASCII, or None if it is none."""
    email = email.strip()
    try:
        return read_email(email).lower() if email.isascii() else None
    except InvalidRequest:
        return None


def _membership(row: Row) -> WorkspaceMembership:
    return WorkspaceMembership(
        row.workspace_id,
        row.workspace_name,
        Role(row.role),
        row.is_held,
        row.requires_second_factor,
        row.deletes_at,
        row.has_test_clock,
    )


def _login_invalid() -> AuthenticationFailed:
    return AuthenticationFailed("The e-mail address or the password is wrong.", code=ErrorCode.LOGIN_INVALID)


def _no_session() -> AuthenticationFailed:
    return AuthenticationFailed("You are not logged in, or your session has ended.", code=ErrorCode.SESSION_INVALID)


def _device(visitor: Visitor) -> str:
    return (visitor.user_agent or "")[:MAX_DEVICE_LENGTH]


async def _count_attempt(visitor: Visitor, email: str) -> tuple[str, str, str]:
    """Count an attempt for this address from this network, this network and this address; their keys.

    Raises RateLimited.
    """
    network, now = network_of(visitor.ip or ""), visitor.services.real_clock()
    own, of_network, of_user = digest_token(f"{email} {network}"), digest_token(network), digest_token(f"user {email}")
    wait = await count_attempts(visitor.services, {own: MAX_ATTEMPTS, of_network: MAX_NETWORK_ATTEMPTS})
    if wait is None:
        wait = await count_attempts(visitor.services, {of_user: MAX_USER_ATTEMPTS})
        # Others' tries must not keep a user out where they are, or lately were, logged in.
        if wait is not None and await fetch_value(LOGGED_IN_FROM, email, network, now, now - KNOWN):
            wait = None
    if wait is not None:
        log.warning("login held back", ip=visitor.ip)
        raise RateLimited(
            "Too many attempts to log in; wait before the next.", code=ErrorCode.LOGIN_THROTTLED, retry_after=wait
        )
    return own, of_network, of_user


async def count_attempts(services: Services, limits: Mapping[str, int]) -> int | None:
    """Count an attempt under each key; the seconds to wait where one of them has had its fill."""
    if isinstance(client(), TransactionalDBClient):
        raise RuntimeError("a rollback would forget the attempt: run this outside a unit of work")
    now = services.real_clock()
    rows = await fetch(COUNT_ATTEMPT, list(limits), now, now - WINDOW)
    waits = [row.started_at + WINDOW - now for row in rows if row.attempts > limits[row.key]]
    return max(1, -(-max(waits) // timedelta(seconds=1))) if waits else None
