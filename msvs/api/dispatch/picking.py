"""Pick due messages of a lane under row locks, within the limits of senders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msvs import looks
from msvs.api import settings_of_mode
from msvs.api.context import Services
from msvs.api.dispatch import throughput
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.set_aside import LeftOut
from msvs.database import fetch
from msvs.looks import ByKey
from msvs.models.rows import MessageRow

# The row lock, not the snapshot, decides a race with an opt-out: the opt-out cancels these rows in its own
# transaction, so either it waits for this claim, or this claim no longer finds the rows queued. What is sent to the
# contact's own number is looked for under the contact's canonical one; the rest, a little, by SUPPRESSED_BY_HASH.
PICK_WITH_CONSENT = """
WITH picked AS MATERIALIZED ({picked})
SELECT picked.*, suppressions.id IS NOT NULL AS is_suppressed, contacts.opt_in_status AS consent,
    contacts.phone IS DISTINCT FROM picked.to_phone AS is_adrift, contacts.region, contacts.timezone,
    contacts.unreachable_at IS NOT NULL AND contacts.phone = picked.to_phone AS is_unreachable,
    caps.contact_daily_cap, caps.contact_weekly_cap, caps.contact_caps_cover_all
FROM picked
CROSS JOIN (
    SELECT settings.contact_daily_cap, settings.contact_weekly_cap, settings.contact_caps_cover_all
    FROM workspaces {settings} WHERE workspaces.id = $1
) AS caps
LEFT JOIN contacts ON contacts.id = picked.contact_id
LEFT JOIN suppressions ON suppressions.workspace_id = $1 AND suppressions.livemode = $2
    AND suppressions.canonical = contacts.canonical AND contacts.phone = picked.to_phone
ORDER BY picked.due_at, picked.id
"""
SETTINGS = settings_of_mode.JOIN.format(livemode="$2")
PICKED = """
    SELECT * FROM messages
    WHERE status = 'queued' AND workspace_id = $1 AND livemode = $2 AND {lane} AND due_at <= $3 AND {is_open}
        AND (due_at, id) >= ($5, $6) AND EXISTS (SELECT FROM workspaces WHERE id = $1 AND suspended_at IS NULL)
    ORDER BY due_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
"""
# Where senders have limits, no more of each than it may send now: what it may not is not even looked at. The time is
# written as the index of senders has it, and no other.
PICKED_BY_SENDER = """
    SELECT due.* FROM unnest($6::varchar[], $7::int[]) AS room (sender, messages) CROSS JOIN LATERAL (
        SELECT * FROM messages
        WHERE status = 'queued' AND workspace_id = $1 AND livemode = $2 AND {lane} AND sender = room.sender
            AND {is_open} AND (due_at AT TIME ZONE 'UTC') <= ($3::timestamptz AT TIME ZONE 'UTC')
            AND (due_at AT TIME ZONE 'UTC') >= ($5::timestamptz AT TIME ZONE 'UTC')
            AND EXISTS (SELECT FROM workspaces WHERE id = $1 AND suspended_at IS NULL)
        ORDER BY (due_at AT TIME ZONE 'UTC'), id LIMIT room.messages FOR UPDATE SKIP LOCKED
    ) AS due LIMIT $4
"""
SINGLE_LANE, CAMPAIGN_LANE = "campaign_id IS NULL", "campaign_id = ${number}"

# Senders that have something queued in a lane, each with its first message.
WAITING_SENDERS = looks.statement_of(
    looks.Queue(
        table="messages",
        key="sender",
        key_type="varchar",
        least="''",
        time="(due_at AT TIME ZONE 'UTC')",
        bound="({time} AT TIME ZONE 'UTC')",
        due_at="due_at",
        waits="status = 'queued' AND {lane} AND {is_open}",
    )
)
SINGLE_SENDERS, CAMPAIGN_SENDERS = "campaign_id IS NULL AND workspace_id = $3 AND livemode = $4", "campaign_id = $3"
OWN_SENDERS = "SELECT value AS sender FROM senders WHERE workspace_id = $1 OR workspace_id IS NULL LIMIT 100"

# Of those that have something due the ones that may send it, who has waited longest first.
READY_SENDERS = """
SELECT waiting.sender FROM unnest($5::varchar[], $6::timestamptz[]) AS waiting (sender, due_at)
LEFT JOIN unnest($2::varchar[], $3::float8[]) AS own (sender, rate) ON own.sender = waiting.sender
LEFT JOIN throughput_buckets AS bucket ON bucket.name = 'sender:' || waiting.sender
WHERE waiting.due_at <= $1 AND (
    coalesce(own.rate, $4::float8) IS NULL OR bucket.name IS NULL OR bucket.tokens + coalesce(own.rate, $4::float8)
        * greatest(extract(epoch FROM $1::timestamptz - bucket.refilled_at), 0)::float8 >= 1
) ORDER BY waiting.due_at LIMIT $7
"""
# Of how many lanes a process remembers the senders.
MOST_LANES = 256


class SenderLooks:
    """The looks of a process at the senders of each lane; of MOST_LANES lanes, the last looked at."""

    def __init__(self) -> None:
        self._lanes: dict[Lane, ByKey[str]] = {}

    def of(self, lane: Lane) -> ByKey[str]:
        """Return the looks at the senders of a lane."""
        found = self._lanes.pop(lane, None) or ByKey()
        self._lanes[lane] = found
        if len(self._lanes) > MOST_LANES:
            del self._lanes[next(iter(self._lanes))]
        return found


Rooms = Mapping[str, int] | None


class PickedMessage(MessageRow, Protocol):
    """A picked message, with what decides whether it may go out; without a contact the contact's columns are None."""

    @property
    def is_suppressed(self) -> bool: ...

    @property
    def is_adrift(self) -> bool: ...

    @property
    def consent(self) -> str | None: ...

    @property
    def is_unreachable(self) -> bool | None: ...

    @property
    def region(self) -> str | None: ...

    @property
    def timezone(self) -> str | None: ...

    @property
    def contact_daily_cap(self) -> int | None: ...

    @property
    def contact_weekly_cap(self) -> int | None: ...

    @property
    def contact_caps_cover_all(self) -> bool: ...


class _Sender(Protocol):
    sender: str


async def take_for_senders(services: Services, lane: Lane, limit: int, now: datetime) -> Rooms:
    """Return how many messages each sender of a lane may send now; they count as sent.

    None if no sender is limited.
    """
    if not services.rates.senders or limit <= 0:
        return None
    own, others = services.rates.limited_senders()
    waiting = await find_waiting(services, lane, now)
    values = (now, list(own), list(own.values()), others, list(waiting), list(waiting.values()), limit)
    rows = await fetch(_Sender, READY_SENDERS, *values)
    senders = [row.sender for row in rows]
    taken = await throughput.take_for_senders(services.rates, senders, limit, now)
    return {sender: taken[sender] for sender in senders}


async def find_waiting(services: Services, lane: Lane, now: datetime) -> Mapping[str, datetime]:
    """Return the senders that have something queued in a lane, with the time of their first messages."""
    senders = services.keep(SenderLooks).of(lane)
    likely = [row.sender for row in await fetch(_Sender, OWN_SENDERS, lane.workspace_id)] if senders.is_full else ()
    is_open = lane.open_ids.of("messages")
    if lane.campaign_id is None:
        statement = WAITING_SENDERS.format(lane=SINGLE_SENDERS, is_open=is_open)
        return await senders.find(now, statement, lane.workspace_id, lane.livemode, likely=likely)
    statement = WAITING_SENDERS.format(lane=CAMPAIGN_SENDERS, is_open=is_open)
    return await senders.find(now, statement, lane.campaign_id, likely=likely)


async def give_back_to_senders(services: Services, rooms: Rooms, used: Iterable[MessageRow]) -> None:
    """Give senders back what was taken for them and not used."""
    if rooms:
        spent = Counter(row.sender for row in used)
        await throughput.give_back_to_senders(
            services.rates, {sender: room - spent[sender] for sender, room in rooms.items()}
        )


async def pick(services: Services, lane: Lane, limit: int, now: datetime, rooms: Rooms) -> Sequence[PickedMessage]:
    """Return up to `limit` due messages of a lane, locked; where senders have limits, no more of each than its room."""
    if rooms is not None and not rooms:
        return []
    left_out = services.keep(LeftOut)
    more = len(left_out)
    values: list[object] = [lane.workspace_id, lane.livemode, now, limit + more, lane.bound.due_at]
    shares = None if rooms is None else _share(rooms, limit)
    if shares is None:
        values.append(lane.bound.id)
    else:
        values += [list(shares), [share + more for share in shares.values()]]
    condition = SINGLE_LANE
    if lane.campaign_id is not None:
        values.append(lane.campaign_id)
        condition = CAMPAIGN_LANE.format(number=len(values))
    statement = PICKED if rooms is None else PICKED_BY_SENDER
    picked = statement.format(lane=condition, is_open=lane.open_ids.of("messages"))
    rows = await fetch(PickedMessage, PICK_WITH_CONSENT.format(picked=picked, settings=SETTINGS), *values)
    return _without(left_out, rows, limit, shares) if more else rows


def _without(
    left_out: LeftOut, rows: Sequence[PickedMessage], limit: int, shares: Mapping[str, int] | None
) -> Sequence[PickedMessage]:
    """Return the rows but for those that are left out, up to `limit` and of each sender up to its share."""
    counted: Counter[str] = Counter()
    kept = []
    for row in rows:
        if row.id not in left_out and (shares is None or counted[row.sender] < shares[row.sender]):
            counted[row.sender] += 1
            kept.append(row)
    return kept[:limit]


def _share(rooms: Mapping[str, int], limit: int) -> dict[str, int]:
    """Return what each sender may send, all together at most `limit`.

    Alike at first, the rest to those that come first.
    """
    alike = limit // len(rooms)
    shares = {sender: min(room, alike) for sender, room in rooms.items()}
    left = limit - sum(shares.values())
    for sender, room in rooms.items():
        more = min(room - shares[sender], left)
        shares[sender] += more
        left -= more
    return {sender: share for sender, share in shares.items() if share > 0}


def is_all(picked: Sequence[PickedMessage], wanted: int, rooms: Rooms) -> bool:
    """Return whether nothing stands behind what was picked."""
    return len(picked) < wanted if rooms is None else not picked
