"""The traces of messages and campaigns: kept beside them, for who takes them up later in another process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol
from uuid import UUID

from msvs import tracing
from msvs.database import execute, fetch

KEEP_TRACES = """
INSERT INTO traces (id, workspace_id, livemode, traceparent, created_at)
SELECT subject.id, $1, $2, subject.traceparent, now()
FROM unnest($3::uuid[], $4::varchar[]) AS subject (id, traceparent)
ON CONFLICT (id) DO NOTHING
"""
# By ids that who asks has claimed.
FIND_TRACES = "SELECT id, traceparent FROM traces WHERE id = ANY ($1)"


class _Kept(Protocol):
    id: UUID
    traceparent: str


async def keep(workspace_id: UUID, livemode: bool, parents: Mapping[UUID, str]) -> None:
    """Keep the traceparent of each message or campaign, before what is written of it can be taken up."""
    if parents:
        await execute(KEEP_TRACES, workspace_id, livemode, list(parents), list(parents.values()))


async def find(ids: Iterable[UUID | None]) -> Mapping[UUID, str]:
    """Return the traceparents of messages and campaigns; of none where tracing is off, without a statement."""
    if tracing.active() is None:
        return {}
    wanted = {id for id in ids if id is not None}
    return {row.id: row.traceparent for row in await fetch(_Kept, FIND_TRACES, list(wanted))} if wanted else {}
