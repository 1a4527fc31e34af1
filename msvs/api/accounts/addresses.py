"""Confirm and change e-mail addresses, and reset forgotten passwords; each takes effect through a mailed link.

Nothing here tells whether an address is known: the answer is the same, and who has it is looked up when the mail is
written.
"""

from __future__ import annotations

from uuid import UUID

import asyncpg

from msvs.api.accounts.authentication_log import AuthenticationAction, audit_places, record_authentication
from msvs.api.accounts.login_sessions import FullConfirmation, Identity, count_attempts, fold_email
from msvs.api.accounts.mail_letters import MailKind
from msvs.api.accounts.mail_outbox import queue_mail
from msvs.api.accounts.networks import network_of
from msvs.api.accounts.passwords import check_password, hash_password
from msvs.api.accounts.tokens import TokenPurpose, digest_token, find_token, take_token, void_tokens
from msvs.api.audit import AuditAction
from msvs.api.context import Visitor
from msvs.api.errors import ErrorCode, InvalidRequest, NotFound, RateLimited
from msvs.database import Row, execute, fetch_row

# Mails of one kind to one address in 15 minutes, and those that one network may ask for.
MAX_MAILS = 5
MAX_NETWORK_MAILS = 20

FIND_ACCOUNT = "SELECT id, email, pending_email, language FROM users WHERE id = $1 FOR UPDATE"
CONFIRM_ADDRESS = """
UPDATE users SET email = pending_email, pending_email = NULL
WHERE id = $1 AND pending_email = $2 AND NOT EXISTS (SELECT FROM users AS other WHERE other.email = $2)
RETURNING id
"""
SET_PASSWORD = "UPDATE users SET password_hash = $2, password_changed_at = $3 WHERE id = $1"  # noqa: S105


async def resend_confirmation(visitor: Visitor, identity: Identity) -> None:
    """Send the link once more that confirms the user's address; nothing where none waits."""
    if identity.pending_email is None:
        return
    kind = MailKind.CONFIRM_EMAIL if not identity.is_confirmed else MailKind.EMAIL_CHANGE
    await queue_mail(
        visitor.services, kind, identity.pending_email, language=identity.language, subject_id=identity.user_id
    )


def read_address(email: str) -> str:
    """Return an e-mail address as users have it, in lower case. Raises InvalidRequest code `email_invalid`."""
    address = fold_email(email)
    if address is None:
        raise InvalidRequest("The e-mail address is not valid.", param="email", code=ErrorCode.EMAIL_INVALID)
    return address


async def change_email(visitor: Visitor, confirmation: FullConfirmation, email: str) -> str | None:
    """Send a link to the user's new address, which takes effect when the link is opened. Return the pending address.

    The current address is notified; passing it again cancels the change. Raises InvalidRequest code `email_invalid`.
    """
    identity = confirmation.identity
    address = read_address(email)
    is_canceled = identity.is_confirmed and address == identity.email
    waiting = None if is_canceled else address
    await void_tokens(identity.user_id, TokenPurpose.CONFIRM_EMAIL, TokenPurpose.RESET_PASSWORD)
    await execute("UPDATE users SET pending_email = $2 WHERE id = $1", identity.user_id, waiting)
    if waiting is None:
        return None
    kind = MailKind.EMAIL_CHANGE if identity.is_confirmed else MailKind.CONFIRM_EMAIL
    await queue_mail(visitor.services, kind, address, language=identity.language, subject_id=identity.user_id)
    if identity.is_confirmed:
        told = {"address": address}
        kind, language = MailKind.EMAIL_CHANGED, identity.language
        await queue_mail(visitor.services, kind, identity.email, language=language, data=told)
    await record_authentication(visitor, identity.user_id, AuthenticationAction.EMAIL_CHANGE_ASKED)
    return waiting


async def limit_mails(visitor: Visitor, email: str, kind: str) -> None:
    """Count a mail that somebody asks for. Not to be run in a unit of work. Raises RateLimited `mail_throttled`."""
    network = network_of(visitor.ip or "")
    limits = {
        digest_token(f"mail {kind} {fold_email(email) or ''}"): MAX_MAILS,
        digest_token(f"mail {network}"): MAX_NETWORK_MAILS,
    }
    wait = await count_attempts(visitor.services, limits)
    if wait is not None:
        raise RateLimited(
            "Too many mails were asked for; wait before the next.", code=ErrorCode.MAIL_THROTTLED, retry_after=wait
        )


async def confirm_email(visitor: Visitor, token: str) -> UUID:
    """Make the address that a link was sent to the user's. Raises NotFound code `link_invalid`."""
    link = await take_token(visitor.services, TokenPurpose.CONFIRM_EMAIL, token)
    if link is None or link.user_id is None or link.email is None:
        raise _link_invalid()
    if not await _confirm(visitor, link.user_id, link.email):
        raise _link_invalid()
    return link.user_id


async def request_password_reset(visitor: Visitor, email: str) -> None:
    """Send a link to an address, if a user has it. Raises InvalidRequest for what is no address."""
    address = read_address(email)
    await queue_mail(visitor.services, MailKind.PASSWORD_RESET, address, language=None)


async def reset_password(visitor: Visitor, token: str, password: str) -> UUID:
    """Set the password of who a link was sent to, and end all their sessions. The link counts once.

    Raises NotFound code `link_invalid` and InvalidRequest.
    """
    link = await find_token(visitor.services, TokenPurpose.RESET_PASSWORD, token)
    if link is None or link.email is None:
        raise _link_invalid()
    check_password(password, email=link.email)
    password_hash = await hash_password(password)
    link = await take_token(visitor.services, TokenPurpose.RESET_PASSWORD, token)
    user = None if link is None else await fetch_row(FIND_ACCOUNT, link.user_id)
    if link is None or link.email is None or user is None or link.email != (user.email or user.pending_email):
        raise _link_invalid()
    if user.email is None and not await _confirm(visitor, user.id, link.email):
        raise _link_invalid()
    await void_tokens(user.id)
    await execute(SET_PASSWORD, user.id, password_hash, visitor.services.real_clock())
    await execute("DELETE FROM sessions WHERE user_id = $1", user.id)
    await audit_places(visitor, user.id, AuditAction.PASSWORD_CHANGED)
    await record_authentication(visitor, user.id, AuthenticationAction.PASSWORD_RESET)
    await tell_password_changed(visitor, user, link.email)
    return _id(user)


async def tell_password_changed(visitor: Visitor, user: Row, email: str) -> None:
    """Have a user told that the password is another."""
    await queue_mail(visitor.services, MailKind.PASSWORD_CHANGED, email, language=user.language)


async def _confirm(visitor: Visitor, user_id: UUID, email: str) -> bool:
    before = await fetch_row(FIND_ACCOUNT, user_id)
    try:
        if before is None or not await execute(CONFIRM_ADDRESS, user_id, email):
            return False
    except asyncpg.UniqueViolationError:
        # Another account confirmed the address at the same moment.
        raise _link_invalid() from None
    await void_tokens(user_id, TokenPurpose.CONFIRM_EMAIL, TokenPurpose.RESET_PASSWORD)
    await audit_places(visitor, user_id, AuditAction.EMAIL_CONFIRMED)
    await record_authentication(visitor, user_id, AuthenticationAction.EMAIL_CONFIRMED)
    return True


def _id(row: Row) -> UUID:
    id: UUID = row.id
    return id


def _link_invalid() -> NotFound:
    return NotFound("The link is no longer valid; ask for another.", code=ErrorCode.LINK_INVALID, param="token")
