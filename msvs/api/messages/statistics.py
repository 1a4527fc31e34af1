"""Numbers to look at: activity over time, failures by code and how conversations stand, all counted in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.resources import FAILURES
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.quiet_hours import check_timezone
from msvs.database import fetch, fetch_row
from msvs.models import MessageStatus

MAX_BUCKETS = 800
DEFAULT_CONVERSATION_DAYS = 30
MAX_CONVERSATION_DAYS = 365

# Ids are made within moments of `created_at`: they bound the scan, and `created_at` then decides.
ID_MARGIN = timedelta(hours=1)

# A keyword is no reply, but "yes" is one where nothing was left to confirm.
IS_REPLY = "(keyword IS NULL OR (keyword = 'confirm' AND message_id IS NOT NULL))"

# `width_bucket` finds the bucket by binary search among the starts: no time zone arithmetic for each row.
ACTIVITY = f"""
SELECT width_bucket(created_at, $3::timestamptz[]) - 1 AS bucket, status::text AS kind, count(*) AS count,
    sum(credits_used)::bigint AS credits
FROM messages
WHERE workspace_id = $1 AND livemode = $2 AND id >= $6 AND id < $7 AND created_at >= $4 AND created_at < $5
GROUP BY 1, 2
UNION ALL
SELECT width_bucket(received_at, $3::timestamptz[]) - 1, 'reply', count(*), 0
FROM inbound_messages
WHERE workspace_id = $1 AND livemode = $2 AND id >= $6 AND id < $7 AND received_at >= $4 AND received_at < $5
    AND {IS_REPLY}
GROUP BY 1
UNION ALL
SELECT width_bucket(created_at, $3::timestamptz[]) - 1, 'opt_out', count(*), 0
FROM consent_events
WHERE workspace_id = $1 AND livemode = $2 AND status = 'opted_out' AND created_at >= $4 AND created_at < $5
GROUP BY 1
"""

COUNT_FAILURES = """
SELECT campaign_id, status::text AS status, error_code AS code, count(*) AS count
FROM messages
WHERE campaign_id = ANY($3) AND workspace_id = $1 AND livemode = $2 AND error_code IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY 1, 4 DESC, 3, 2
"""

CONVERSATIONS = f"""
WITH threads AS (
    SELECT contact_id, count(*) AS replies, max(received_at) AS last_at
    FROM inbound_messages
    WHERE workspace_id = $1 AND livemode = $2 AND id >= $4 AND received_at >= $3 AND contact_id IS NOT NULL
        AND {IS_REPLY}
    GROUP BY contact_id
)
SELECT count(*) AS conversations, coalesce(sum(replies), 0)::bigint AS replies,
    count(*) FILTER (WHERE NOT EXISTS (
        SELECT FROM messages
        WHERE contact_id = threads.contact_id AND created_at > threads.last_at AND workspace_id = $1
            AND livemode = $2 AND kind = 'api' AND status NOT IN ('failed', 'canceled')
    )) AS waiting
FROM threads
"""


class Interval(StrEnum):
    """How long a bucket of a time series is, in the workspace's time zone; weeks begin on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


@dataclass(slots=True)
class ActivityPoint:
    """What one bucket holds: messages created in it by their status now, their credits, replies and opt-outs."""

    start_at: datetime
    end_at: datetime
    messages: dict[MessageStatus, int] = field(default_factory=lambda: dict.fromkeys(MessageStatus, 0))
    credits: int = 0
    replies: int = 0
    opt_outs: int = 0

    @property
    def message_count(self) -> int:
        """Messages of all statuses."""
        return sum(self.messages.values())


@dataclass(frozen=True, slots=True)
class FailureCount:
    """How many recipients failed, were skipped or were canceled (`status`) for one code of the catalogue."""

    code: str
    message: str
    status: MessageStatus
    count: int


@dataclass(frozen=True, slots=True)
class ConversationOverview:
    """Contacts that replied since a time, how often, and how many were not written to after their last reply."""

    conversation_count: int
    reply_count: int
    waiting_count: int


async def read_activity(
    ctx: Context, *, interval: Interval, since: datetime, until: datetime, zone: str | None = None
) -> list[ActivityPoint]:
    """Activity from the bucket that holds `since` to the one that ends at or after `until`, none left out.

    In the workspace's time zone unless another is named. Raises InvalidRequest for more than 800 buckets.
    """
    # What a workspace holds was checked when it was set, by the rule of that day.
    name = (await find_settings(ctx)).timezone if zone is None else check_timezone(zone, param="zone")
    starts = bucket_starts(interval, since, until, ZoneInfo(name))
    points = [ActivityPoint(start, end) for start, end in pairwise(starts)]
    first, end = starts[0], starts[-1]
    rows = await fetch(
        ACTIVITY,
        ctx.workspace_id,
        ctx.livemode,
        starts[:-1],
        first,
        end,
        id_at(first - ID_MARGIN),
        id_at(end + ID_MARGIN),
    )
    for row in rows:
        point = points[row.bucket]
        if row.kind == "reply":
            point.replies = row.count
        elif row.kind == "opt_out":
            point.opt_outs = row.count
        else:
            point.messages[MessageStatus(row.kind)] = row.count
            point.credits += row.credits
    return points


async def campaign_failures(ctx: Context, campaign_ids: Sequence[UUID]) -> dict[UUID, list[FailureCount]]:
    """Return why recipients of campaigns were not reached, by campaign, the most frequent code first."""
    found: dict[UUID, list[FailureCount]] = {campaign_id: [] for campaign_id in campaign_ids}
    if found:
        for row in await fetch(COUNT_FAILURES, ctx.workspace_id, ctx.livemode, list(found)):
            message = FAILURES.get(row.code, row.code)
            found[row.campaign_id].append(FailureCount(row.code, message, MessageStatus(row.status), row.count))
    return found


async def conversation_overview(ctx: Context, *, days: int = DEFAULT_CONVERSATION_DAYS) -> ConversationOverview:
    """Return how the conversations of the last days stand. Raises InvalidRequest for more than 365 days."""
    if not 1 <= days <= MAX_CONVERSATION_DAYS:
        raise InvalidRequest(
            f"days must be from 1 to {MAX_CONVERSATION_DAYS}.", param="days", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    since = ctx.services.clock() - timedelta(days=days)
    row = await fetch_row(CONVERSATIONS, ctx.workspace_id, ctx.livemode, since, id_at(since - ID_MARGIN))
    assert row is not None
    return ConversationOverview(row.conversations, row.replies, row.waiting)


def bucket_starts(interval: Interval, since: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the starts of the buckets from `since` to `until` and the end of the last one, in UTC.

    A day of a change of clocks has 23 or 25 hours. Raises InvalidRequest.
    """
    if since.tzinfo is None or until.tzinfo is None:
        raise InvalidRequest("A time must carry an offset.", param="since" if since.tzinfo is None else "until")
    if until <= since:
        raise InvalidRequest("until must lie after since.", param="until", code=ErrorCode.PARAMETER_OUT_OF_RANGE)
    if (until - since) / LENGTHS[interval] > MAX_BUCKETS - 2:
        raise InvalidRequest(
            f"A series has at most {MAX_BUCKETS} points; ask for a shorter time or a longer interval.",
            param="interval",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    local = since.astimezone(zone)
    if interval is Interval.HOUR:
        past_hour = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        start = since.astimezone(UTC) - past_hour
        hours = -(-(until - start) // LENGTHS[interval])
        return [start + number * LENGTHS[interval] for number in range(hours + 1)]
    day = local.date()
    if interval is Interval.WEEK:
        day -= timedelta(days=day.weekday())
    starts = [_midnight(day, zone)]
    while starts[-1] < until:
        day += LENGTHS[interval]
        starts.append(_midnight(day, zone))
    return starts


LENGTHS: Mapping[Interval, timedelta] = {
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(weeks=1),
}


def id_at(at: datetime) -> UUID:
    """Return the least id that can have been made at a time, so that a range of ids is a range of time."""
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return UUID(int=min(max(milliseconds, 0), (1 << 48) - 1) << 80)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # Where the clocks skip midnight, this is the moment they do.
    return datetime.combine(day, time(), zone).astimezone(UTC)
