"""Write letters when they are sent: only then is the address looked up and the token created.

So a request takes the same time whether or not an address is known, and the outbox holds no secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from msvs.api.accounts.mail_letters import Letter, MailKind, write_letter
from msvs.api.accounts.tokens import TokenPurpose, digest_token, make_token
from msvs.api.context import Services
from msvs.api.credits.owner_mail import CreditsMail
from msvs.api.webhooks.member_notifications import kinds_told
from msvs.database import execute, fetch_row, fetch_value
from msvs.models import Role
from msvs.models.rows import MailRow

# Where the dashboard's pages are. What stands behind a `#` reaches no server and no log.
CONFIRM_PAGE = "/dashboard/confirm#"
RESET_PAGE = "/dashboard/reset#"
INVITATION_PAGE = "/dashboard/invitation#"
LOGIN_PAGE = "/dashboard/login"
NOTIFICATIONS_PAGE = "/dashboard/notifications"
CREDITS_PAGE = "/dashboard/credits"

FIND_ADDRESSED = "SELECT id, email, pending_email, language FROM users WHERE id = $1"
FIND_OWNER_OF_ADDRESS = "SELECT id, language FROM users WHERE email = $1"
# The owner of an address first, then who signed up with it last: with the link they confirm it too.
FIND_RESETTABLE = """
(SELECT id, language FROM users WHERE email = $1)
UNION ALL
(SELECT id, language FROM users WHERE pending_email = $1 AND email IS NULL ORDER BY id DESC LIMIT 1)
LIMIT 1
"""
OFFER_MAILED = """
UPDATE invitations SET mailed_digest = $2
WHERE id = $1 AND email = $4 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $3 RETURNING id
"""

# Who has lost their place, or read it meanwhile, is not written to.
FIND_NOTIFICATION = """
SELECT notifications.kind, notifications.data, workspaces.name AS workspace, memberships.role
FROM notifications JOIN workspaces ON workspaces.id = notifications.workspace_id
JOIN users ON users.id = notifications.user_id AND users.email = $2
JOIN memberships ON memberships.user_id = users.id AND memberships.workspace_id = workspaces.id
WHERE notifications.id = $1 AND notifications.read_at IS NULL
"""
OWNS = """
SELECT EXISTS (
    SELECT FROM memberships JOIN users ON users.id = memberships.user_id AND users.email = $2
    WHERE memberships.workspace_id = $1 AND memberships.role = 'owner'
)
"""

Writer: TypeAlias = Callable[[Services, MailRow], Awaitable[Letter | None]]


async def write_mail(services: Services, mail: MailRow) -> Letter | None:
    """Write the letter of a mail; return None if it must no longer be sent. Run it in a unit of work."""
    kind = MailKind(mail.kind)
    writer = WRITERS.get(kind)
    if writer is not None:
        return await writer(services, mail)
    return write_letter(kind, mail.language, _values(mail))


async def _confirm_email(services: Services, mail: MailRow) -> Letter | None:
    """Write to the person who signed up, or to the address's owner if another user has confirmed it in the meantime."""
    user = await fetch_row(FIND_ADDRESSED, mail.subject_id)
    if user is None or user.pending_email != mail.recipient:
        return None
    owner = await fetch_row(FIND_OWNER_OF_ADDRESS, mail.recipient)
    if owner is not None:
        if user.email is not None:
            return None
        link = services.base_url + LOGIN_PAGE
        return write_letter(MailKind.ADDRESS_KNOWN, owner.language or mail.language, {}, link)
    token = await make_token(services, TokenPurpose.CONFIRM_EMAIL, user.id, email=mail.recipient)
    return write_letter(MailKind(mail.kind), mail.language, _values(mail), services.base_url + CONFIRM_PAGE + token)


async def _password_reset(services: Services, mail: MailRow) -> Letter | None:
    owner = await fetch_row(FIND_RESETTABLE, mail.recipient)
    if owner is None:
        return None
    token = await make_token(services, TokenPurpose.RESET_PASSWORD, owner.id, email=mail.recipient)
    language = owner.language or mail.language
    return write_letter(MailKind.PASSWORD_RESET, language, {}, services.base_url + RESET_PAGE + token)


async def _invitation(services: Services, mail: MailRow) -> Letter | None:
    """Write an invitation with its own token, which proves that its holder reads mail at the address."""
    token = secrets.token_urlsafe(32)
    offered = await execute(OFFER_MAILED, mail.subject_id, digest_token(token), services.real_clock(), mail.recipient)
    if not offered:
        return None
    link = services.base_url + INVITATION_PAGE + token
    return write_letter(MailKind.INVITATION, mail.language, _values(mail), link)


async def _notification(services: Services, mail: MailRow) -> Letter | None:
    row = await fetch_row(FIND_NOTIFICATION, mail.subject_id, mail.recipient)
    if row is None or row.kind not in kinds_told(Role(row.role)):
        return None
    values = {"workspace": row.workspace, "name": "-", "reason": "-", "count": "0"}
    values |= {name: str(value) for name, value in row.data.items()}
    link = services.base_url + NOTIFICATIONS_PAGE
    return write_letter(MailKind.NOTIFICATION, mail.language, values, link, of=row.kind)


async def _credits(services: Services, mail: MailRow) -> Letter | None:
    """Write to a current owner of a workspace about its credits, with a link to the billing page."""
    if not await fetch_value(OWNS, mail.subject_id, mail.recipient):
        return None
    return write_letter(MailKind(mail.kind), mail.language, _values(mail), services.base_url + CREDITS_PAGE)


def _values(mail: MailRow) -> Mapping[str, str]:
    return {name: str(value) for name, value in mail.data.items()}


WRITERS: Mapping[MailKind, Writer] = {
    MailKind.CONFIRM_EMAIL: _confirm_email,
    MailKind.EMAIL_CHANGE: _confirm_email,
    MailKind.PASSWORD_RESET: _password_reset,
    MailKind.INVITATION: _invitation,
    MailKind.NOTIFICATION: _notification,
    **dict.fromkeys((MailKind(kind.value) for kind in CreditsMail), _credits),
}
