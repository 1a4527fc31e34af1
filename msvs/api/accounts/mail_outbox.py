"""The mail outbox: queue a mail in the transaction of its cause, claim it under a lease, settle it; no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

from msvs.api.accounts.mail_letters import LANGUAGES, Letter, MailKind
from msvs.api.context import Services
from msvs.api.webhooks.outbox import Recipient, put_mails
from msvs.database import execute, fetch, fetch_row
from msvs.json_types import JSONObject
from msvs.looks import InOrder
from msvs.models import MailState
from msvs.models.rows import MailRow

LEASE = timedelta(minutes=2)
# How long after each failed attempt the next follows; after the last, the mail has failed.
RETRIES = tuple(timedelta(seconds=each) for each in (15, 60, 300, 1800, 3600, 4 * 3600))

CLAIM_MAILS = """
UPDATE mails SET attempt_count = attempt_count + 1, lease_until = $2
WHERE id = ANY (ARRAY(
    SELECT id FROM mails
    WHERE state = 'pending' AND next_attempt_at >= $4 AND next_attempt_at <= $1
        AND (lease_until IS NULL OR lease_until <= $1)
    ORDER BY next_attempt_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
))
RETURNING *
"""
# The count of attempts is the claim's mark: another claim has changed it.
SETTLE_MAIL = """
UPDATE mails SET state = $3::varchar, next_attempt_at = coalesce($4, next_attempt_at), error = $5, letter = $6::jsonb,
    lease_until = NULL, ended_at = CASE WHEN $3::varchar = 'pending' THEN NULL ELSE $7::timestamptz END
WHERE id = $1 AND attempt_count = $2 AND state = 'pending'
"""
FIRST_DUE_MAIL = """
SELECT next_attempt_at FROM mails WHERE state = 'pending' AND next_attempt_at >= $2 AND next_attempt_at <= $1
    AND (lease_until IS NULL OR lease_until <= $1)
ORDER BY next_attempt_at, id LIMIT 1
"""
KEPT_MAILS = "SELECT * FROM mails WHERE state = 'kept' ORDER BY ended_at DESC, id DESC LIMIT $1"


class MailLooks:
    """The position from which a process scans for due mail."""

    def __init__(self) -> None:
        self.claims = InOrder()
        self.due = InOrder()


class _Mail(Protocol):
    @property
    def next_attempt_at(self) -> datetime: ...


def _due_at(row: _Mail) -> datetime:
    return row.next_attempt_at


async def queue_mail(
    services: Services,
    kind: MailKind,
    recipient: str,
    *,
    language: str | None,
    subject_id: UUID | None = None,
    data: Mapping[str, str] | None = None,
) -> None:
    """Queue a mail, which is sent after the current unit of work commits. `data` holds no secret."""
    spoken = language if language in LANGUAGES else LANGUAGES[0]
    await put_mails(kind.value, [Recipient(recipient, spoken, subject_id)], services.real_clock(), data=data)


async def claim_mails(now: datetime, *, limit: int, looks: MailLooks | None = None) -> Sequence[MailRow]:
    """Claim mails that are due, for as long as the lease lasts."""
    claim = partial(fetch, MailRow, CLAIM_MAILS, now, now + LEASE, limit)
    return await (looks or MailLooks()).claims.find_by(now, claim, _due_at)


async def settle_mail(
    mail: MailRow, state: MailState, now: datetime, *, error: str | None = None, letter: Letter | None = None
) -> None:
    """Record the outcome of a claimed mail; `letter` is what the mailbox page shows."""
    kept: JSONObject | None = None if letter is None else asdict(letter)
    await execute(SETTLE_MAIL, mail.id, mail.attempt_count, state.value, None, error, kept, now)


async def retry_mail(mail: MailRow, now: datetime, *, error: str) -> bool:
    """Postpone a mail that could not be handed over. Return whether it will be tried again."""
    if mail.attempt_count > len(RETRIES):
        await settle_mail(mail, MailState.FAILED, now, error=error)
        return False
    due = now + RETRIES[mail.attempt_count - 1]
    await execute(SETTLE_MAIL, mail.id, mail.attempt_count, MailState.PENDING.value, due, error, None, now)
    return True


async def has_due(services: Services, now: datetime) -> bool:
    """Return whether a mail is due."""
    look = partial(fetch, _Mail, FIRST_DUE_MAIL, now)
    return bool(await services.keep(MailLooks).due.find_by(now, look, _due_at))


async def list_kept(limit: int = 100) -> Sequence[MailRow]:
    """List the letters that the mailbox page shows, the newest first."""
    return await fetch(MailRow, KEPT_MAILS, limit)


async def get_kept(id: UUID) -> MailRow | None:
    """Return a letter of the mailbox page, or None."""
    return await fetch_row(MailRow, "SELECT * FROM mails WHERE state = 'kept' AND id = $1", id)
