"""The mail outbox: a mail is queued in the transaction of the change that causes it. Rows hold no secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from msvs import present
from msvs.api import ids
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.database import execute

INSERT_MAILS = """
INSERT INTO mails (id, kind, recipient, subject_id, language, data, state, attempt_count, next_attempt_at, created_at)
SELECT mailed.id, $5, mailed.recipient, mailed.subject_id, mailed.language, $6::jsonb, 'pending', 0, $7, $7
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[], $4::varchar[]) AS mailed (id, recipient, subject_id, language)
"""


@dataclass(frozen=True, slots=True)
class Recipient:
    """The address and language of a mail, and the row that it is about."""

    address: str
    language: str
    subject_id: UUID | None = None


async def put_mails(
    kind: str, recipients: Sequence[Recipient], now: datetime, *, data: Mapping[str, str] | None = None
) -> None:
    """Queue a mail of a kind for each recipient; it is sent after the current unit of work commits.

    Mail goes by the real time, also where the sandbox that causes it has a clock.
    """
    if not recipients:
        return
    due_at = now if present.moment() is None else present.real()
    columns = (
        [ids.new_id() for _ in recipients],
        [each.address for each in recipients],
        [each.subject_id for each in recipients],
        [each.language for each in recipients],
    )
    await execute(INSERT_MAILS, *columns, kind, dict(data or {}), due_at)
    notify_after_commit(WorkQueue.MAIL)
