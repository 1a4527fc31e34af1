"""Tell sequences what contacts do: a worker lets them in and out."""

from __future__ import annotations

from uuid import UUID

from msvs.api.context import Context
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.database import execute

# Of versions that are left by a reply.
LEAVE_ON_REPLY = """
UPDATE sequence_enrollments AS enrollment SET leaving = 'replied'
FROM sequence_versions AS version
WHERE version.id = enrollment.version_id AND version.leaves_on_reply AND enrollment.workspace_id = $1
    AND enrollment.livemode = $2 AND enrollment.contact_id = $3 AND enrollment.state = 'active'
    AND enrollment.leaving IS NULL
"""


async def leave_on_reply(ctx: Context, contact_id: UUID) -> None:
    """Have a contact that replied leave the sequences that a reply ends; no step is taken from then on."""
    if await execute(LEAVE_ON_REPLY, ctx.workspace_id, ctx.livemode, contact_id):
        notify_after_commit(WorkQueue.CAMPAIGNS)


ENTER_BY_KEYWORD = """
INSERT INTO sequence_entries (workspace_id, livemode, sequence_id, contact_id, entered_by)
SELECT $1, $2, sequence_id, $4, 'keyword' FROM sequence_triggers
WHERE kind = 'keyword' AND value = $3::uuid::text AND workspace_id = $1 AND livemode = $2
"""


async def enter_by_keyword(ctx: Context, keyword_id: UUID, contact_id: UUID) -> None:
    """Let a contact that texted a keyword into the sequences that it leads to; a worker takes it in."""
    if await execute(ENTER_BY_KEYWORD, ctx.workspace_id, ctx.livemode, keyword_id, contact_id):
        notify_after_commit(WorkQueue.CAMPAIGNS)
