"""Frequency caps: the most messages that a contact is sent in 24 hours and in 7 days.

They are counted from the messages themselves, so that nothing has to be given back for what is not sent. The claims of
a workspace and mode that are held to a cap count one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs.api.dispatch.hand_overs import messages_since
from msvs.database import execute, fetch
from msvs.models import MessageKind

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
MAX_CAP = 1000

HOLD = "SELECT pg_advisory_xact_lock(hashtextextended('frequency:' || $1::uuid || $2::bool, 0))"
# OFFSET 0 keeps the contacts' messages from being joined in any other way than one contact after the other.
COUNT = """
SELECT contact.id, handed.day, handed.week FROM unnest($1::uuid[]) AS contact (id) CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE message.handed_at >= $3) AS day, count(*) AS week
    FROM ({messages}) AS message (kind, handed_at) WHERE {counted} OFFSET 0
) AS handed WHERE handed.week > 0
"""
EVERY, CAMPAIGNS = "true", f"message.kind = '{MessageKind.CAMPAIGN.value}'"


class HasCaps(Protocol):
    """The columns of a campaign or of settings that hold caps."""

    @property
    def contact_daily_cap(self) -> int | None: ...

    @property
    def contact_weekly_cap(self) -> int | None: ...


class HasSettings(HasCaps, Protocol):
    """The columns of the settings of a mode that hold caps."""

    @property
    def contact_caps_cover_all(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Caps:
    """The caps that hold: None for no cap. `covers_all`: single messages count, too."""

    daily: int | None = None
    weekly: int | None = None
    covers_all: bool = False

    @property
    def is_none(self) -> bool:
        """Whether there is no cap."""
        return self.daily is None and self.weekly is None

    def is_reached(self, day: int, week: int) -> bool:
        """Return whether a contact that got so many messages gets no more."""
        return (self.daily is not None and day >= self.daily) or (self.weekly is not None and week >= self.weekly)


def caps_of(settings: HasSettings, campaign: HasCaps | None) -> Caps:
    """Return the caps of a campaign's messages, the stricter of its own and the workspace's, or of single messages."""
    if campaign is None:
        if not settings.contact_caps_cover_all:
            return Caps()
        return Caps(settings.contact_daily_cap, settings.contact_weekly_cap, covers_all=True)
    return Caps(
        _stricter(settings.contact_daily_cap, campaign.contact_daily_cap),
        _stricter(settings.contact_weekly_cap, campaign.contact_weekly_cap),
        covers_all=settings.contact_caps_cover_all,
    )


def _stricter(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)


async def hold(workspace_id: UUID, livemode: bool) -> None:
    """Make other claims of a workspace and mode that are held to a cap wait until the transaction ends."""
    await execute(HOLD, workspace_id, livemode)


class _Counted(Protocol):
    id: UUID
    day: int
    week: int


async def count(contact_ids: Collection[UUID], caps: Caps, now: datetime) -> Mapping[UUID, tuple[int, int]]:
    """Return how many messages contacts got in the last 24 hours and 7 days, for those who got any."""
    since = now - (DAY if caps.weekly is None else WEEK)
    statement = COUNT.format(
        messages=messages_since("contact.id", since, "$2"), counted=EVERY if caps.covers_all else CAMPAIGNS
    )
    rows = await fetch(_Counted, statement, list(contact_ids), since, now - DAY)
    return {row.id: (row.day, row.week) for row in rows}


class _Capped(Protocol):
    @property
    def id(self) -> UUID: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def kind(self) -> str: ...


async def find_over(
    workspace_id: UUID, livemode: bool, messages: Sequence[_Capped], caps: Caps, now: datetime
) -> Set[UUID]:
    """Return the messages of a claim that a cap holds back; all others count from now on, once they are claimed."""
    held_to = [row for row in messages if row.contact_id is not None and row.kind != MessageKind.AUTO]
    if caps.is_none or not held_to:
        return frozenset()
    await hold(workspace_id, livemode)
    counted = await count({row.contact_id for row in held_to if row.contact_id is not None}, caps, now)
    claimed: Counter[UUID] = Counter()
    over = set()
    for row in held_to:
        assert row.contact_id is not None
        day, week = counted.get(row.contact_id, (0, 0))
        if caps.is_reached(day + claimed[row.contact_id], week + claimed[row.contact_id]):
            over.add(row.id)
        else:
            claimed[row.contact_id] += 1
    return over
