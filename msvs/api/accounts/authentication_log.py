"""The authentication log: a user's sign-ins and security changes, for that user to read."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from msvs.api import ids
from msvs.api.accounts.networks import network_of
from msvs.api.audit import AuditAction, record_audit
from msvs.api.context import Context, Visitor
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.database import execute, fetch
from msvs.models import AuthenticationEntry

AUTHENTICATION_ENTRY = "aut"
MAX_DEVICE_LENGTH = 200

INSERT_AUTHENTICATION_ENTRY = """
INSERT INTO authentication_entries (id, user_id, action, network, device, created_at) VALUES ($1, $2, $3, $4, $5, $6)
"""
PLACES_OF_USER = "SELECT workspace_id FROM memberships WHERE user_id = $1 ORDER BY id"


class AuthenticationAction(StrEnum):
    """The actions in the log."""

    LOGGED_IN = "logged_in"
    LOGIN_REFUSED = "login_refused"
    SECOND_FACTOR_REFUSED = "second_factor_refused"
    RECOVERY_CODE_USED = "recovery_code_used"
    SESSION_ENDED = "session_ended"
    EMAIL_CONFIRMED = "email_confirmed"
    EMAIL_CHANGE_ASKED = "email_change_asked"
    PASSWORD_RESET_ASKED = "password_reset_asked"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    TOTP_ADDED = "totp_added"
    TOTP_REMOVED = "totp_removed"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    RECOVERY_CODES_MADE = "recovery_codes_made"


async def record_authentication(visitor: Visitor, user_id: UUID, action: AuthenticationAction) -> None:
    """Log something about a user, with the network and the device that it came from."""
    await execute(
        INSERT_AUTHENTICATION_ENTRY,
        ids.new_id(),
        user_id,
        action.value,
        network_of(visitor.ip or "") or None,
        (visitor.user_agent or "")[:MAX_DEVICE_LENGTH] or None,
        visitor.services.real_clock(),
    )


async def audit_places(visitor: Visitor, user_id: UUID, action: AuditAction, *, actor: str | None = None) -> None:
    """Record a change to a user in the audit log of each of their workspaces; `actor` defaults to the user."""
    user = ids.encode_id(ids.USER, user_id)
    origin = (actor or user, visitor.request_id)
    for place in await fetch(PLACES_OF_USER, user_id):
        ctx = Context(place.workspace_id, True, *origin, ip=visitor.ip, services=visitor.services)
        await record_audit(ctx, action, user)


async def read_authentication_log(user_id: UUID, page: PageRequest) -> Page[AuthenticationEntry]:
    """Read a page of a user's own log, the newest first."""
    return await fetch_page(AuthenticationEntry.filter(user_id=user_id), page)
