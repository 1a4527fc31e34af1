"""Follow the events of a workspace as they are committed: each once, and none is missed while the database is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Context
from msvs.database import fetch, now
from msvs.models.rows import EventRow

# An id is made before its row is committed. Each look reads again the ids as old as this,
OVERLAP = timedelta(seconds=5)
# and every so many looks, and after a gap, those as old as a transaction may be.
DEEP_OVERLAP = timedelta(seconds=60)
DEEP_EVERY = 5
READ_IDS = 10_000
READ_EVENTS = 500

TAIL_EVENT_IDS = """
SELECT id FROM events WHERE workspace_id = $1 AND livemode = $2 AND id > $3 ORDER BY id LIMIT $4
"""
TAIL_EVENTS = "SELECT * FROM events WHERE workspace_id = $1 AND livemode = $2 AND id = ANY ($3) ORDER BY id"


class _Id(Protocol):
    id: UUID


class EventTail:
    """The events of one workspace and mode from now on or, with `after`, from a little before that one."""

    def __init__(self, ctx: Context, after: UUID | None = None) -> None:
        self._ctx = ctx
        self._after = after
        self._seen: set[UUID] = set()
        # Up to when all is read, by PostgreSQL's clock; None before the first look.
        self._read_until: datetime | None = None
        self._looks = 0

    async def look(self) -> AsyncIterator[EventRow]:
        """Yield what was committed since the last look, in the order of ids.

        After an error the next look goes on where this one was.
        """
        started = await now()
        if self._read_until is None:
            await self._begin(started)
        self._looks += 1
        is_deep = self._looks % DEEP_EVERY == 0 or started - self._until > OVERLAP
        low = ids.id_at(self._until - (DEEP_OVERLAP if is_deep else OVERLAP))
        new = [id for id in await self._ids(low) if id not in self._seen]
        for start in range(0, len(new), READ_EVENTS):
            part = new[start : start + READ_EVENTS]
            for row in await fetch(EventRow, TAIL_EVENTS, self._ctx.workspace_id, self._ctx.livemode, part):
                self._seen.add(row.id)
                yield row
        self._read_until = started
        if is_deep:
            floor = ids.id_at(started - DEEP_OVERLAP)
            self._seen = {id for id in self._seen if id > floor}

    @property
    def _until(self) -> datetime:
        assert self._read_until is not None, "it has begun"
        return self._read_until

    async def _begin(self, started: datetime) -> None:
        """Note what is there already, so that only what comes after it is new."""
        if self._after is None:
            self._seen = set(await self._ids(ids.id_at(started - DEEP_OVERLAP)))
            self._read_until = started
        else:
            self._seen = {self._after}
            self._read_until = ids.id_time(self._after)

    async def _ids(self, low: UUID) -> list[UUID]:
        found: list[UUID] = []
        while True:
            page = await fetch(_Id, TAIL_EVENT_IDS, self._ctx.workspace_id, self._ctx.livemode, low, READ_IDS)
            found += [row.id for row in page]
            if len(page) < READ_IDS:
                return found
            low = page[-1].id
