"""Numbers to look at: activity, campaigns and audience over time, deliverability and conversations, counted in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.resources import FAILURES
from msvs.api.scope import find
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.quiet_hours import check_timezone
from msvs.database import fetch, fetch_row
from msvs.models import Campaign, MessageStatus, OptInStatus
from msvs.replica_reads import from_replica

MAX_BUCKETS = 800
DEFAULT_CONVERSATION_DAYS = 30
MAX_CONVERSATION_DAYS = 365
MAX_SPAN = timedelta(days=366)
MAX_GROUPS = 200
MAX_SOURCES = 20
# What contacts are counted under whose consent names no source, and the rarer sources.
NO_SOURCE = "unknown"
OTHER_SOURCES = "other"

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
SELECT width_bucket(created_at, $3::timestamptz[]) - 1, status, count(*), 0
FROM consent_events
WHERE workspace_id = $1 AND livemode = $2 AND status IN ('opted_in', 'opted_out')
    AND created_at >= $4 AND created_at < $5
GROUP BY 1, 2
"""

# A message counts in the bucket of each step that it took.
CAMPAIGN_ACTIVITY = """
SELECT width_bucket(step.at, $4::timestamptz[]) - 1 AS bucket, step.kind, count(*) AS count
FROM messages AS m CROSS JOIN LATERAL (
    VALUES ('sent', m.sent_at), ('delivered', m.delivered_at), ('failed', m.failed_at), ('replied', m.replied_at)
) AS step (kind, at)
WHERE m.workspace_id = $1 AND m.livemode = $2 AND m.campaign_id = $3 AND step.at >= $5 AND step.at < $6
GROUP BY 1, 2
"""

# By the index from which totals of conversions are summed up, but for those of one campaign.
REVENUE = """
SELECT width_bucket(occurred_at, $3::timestamptz[]) - 1 AS bucket, currency, count(*) AS conversions,
    sum(value - refunded_value)::bigint AS net, count(attributed_by) AS attributed,
    coalesce(sum(value - refunded_value) FILTER (WHERE attributed_by IS NOT NULL), 0)::bigint AS attributed_net
FROM conversions
WHERE workspace_id = $1 AND livemode = $2 AND occurred_at >= $4 AND occurred_at < $5 {of_campaign}
GROUP BY 1, 2 ORDER BY 1, 2
"""

# The table is the contact's for a region alone, which a message does not keep.
BREAKDOWN = """
SELECT {value} AS value, m.status::text AS status, m.error_code AS code, count(*) AS count
FROM messages AS m {join}
WHERE m.workspace_id = $1 AND m.livemode = $2 AND m.id >= $5 AND m.id < $6
    AND m.created_at >= $3 AND m.created_at < $4 AND m.status <> 'skipped'
GROUP BY 1, 2, 3
"""

AUDIENCE = """
SELECT width_bucket(created_at, $3::timestamptz[]) - 1 AS bucket,
    CASE WHEN is_automatic THEN 'automatic' ELSE opt_in_source END AS source, count(*) AS count
FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND id >= $6 AND id < $7 AND created_at >= $4 AND created_at < $5
GROUP BY 1, 2
"""

# What a carrier took, and what people wrote.
USAGE = """
SELECT width_bucket(created_at, $3::timestamptz[]) - 1 AS bucket, 'outbound' AS kind, count(*) AS count,
    sum(segments)::bigint AS segments, sum(credits_used)::bigint AS credits
FROM messages
WHERE workspace_id = $1 AND livemode = $2 AND id >= $6 AND id < $7 AND created_at >= $4 AND created_at < $5
    AND sent_at IS NOT NULL
GROUP BY 1
UNION ALL
SELECT width_bucket(received_at, $3::timestamptz[]) - 1, 'inbound', count(*), count(*), 0
FROM inbound_messages
WHERE workspace_id = $1 AND livemode = $2 AND id >= $6 AND id < $7 AND received_at >= $4 AND received_at < $5
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
    """The interval of a time series, in the workspace's time zone; weeks begin on Monday."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


@dataclass(slots=True)
class ActivityPoint:
    """What one bucket holds: messages created in it by their status now, their credits, replies and changes of consent.

    `opt_ins` and `opt_outs` count entries of the history of consent, not contacts.
    """

    start_at: datetime
    end_at: datetime
    messages: dict[MessageStatus, int] = field(default_factory=lambda: dict.fromkeys(MessageStatus, 0))
    credits: int = 0
    replies: int = 0
    opt_ins: int = 0
    opt_outs: int = 0

    @property
    def message_count(self) -> int:
        """Messages of all statuses."""
        return sum(self.messages.values())


@dataclass(slots=True)
class Traffic:
    """Messages of one direction in a bucket, with their segments and credits."""

    count: int = 0
    segments: int = 0
    credits: int = 0


@dataclass(frozen=True, slots=True)
class UsagePoint:
    """The messages that a workspace sent and received in one interval."""

    outbound: Traffic = field(default_factory=Traffic)
    inbound: Traffic = field(default_factory=Traffic)


@dataclass(frozen=True, slots=True)
class FailureCount:
    """The number of recipients that failed, were skipped or were canceled (`status`) with one code."""

    code: str
    message: str
    status: MessageStatus
    count: int


@dataclass(slots=True)
class CampaignPoint:
    """The messages of a campaign that were sent, delivered, failed and replied to in one interval."""

    start_at: datetime
    end_at: datetime
    sent: int = 0
    delivered: int = 0
    failed: int = 0
    replied: int = 0


@dataclass(frozen=True, slots=True)
class CurrencyRevenue:
    """The conversions of one interval in one currency. Amounts are in its smallest unit, less what was refunded."""

    currency: str
    conversions: int
    net: int
    attributed: int
    attributed_net: int


@dataclass(slots=True)
class ConversionPoint:
    """The conversions that happened in one interval, by currency."""

    start_at: datetime
    end_at: datetime
    currencies: list[CurrencyRevenue] = field(default_factory=list)


@dataclass(slots=True)
class AudiencePoint:
    """The contacts made in one bucket, by the source of their consent; those that nobody named count as `unknown`."""

    start_at: datetime
    end_at: datetime
    sources: dict[str, int] = field(default_factory=dict)

    @property
    def contact_count(self) -> int:
        """Contacts of all sources."""
        return sum(self.sources.values())


class Dimension(StrEnum):
    """The dimension by which deliverability is grouped."""

    CODE = "code"
    REGION = "region"
    CARRIER = "carrier"
    SENDER = "sender"


@dataclass(slots=True)
class DeliverabilityGroup:
    """The messages of one value of a dimension by where they stand now, and why those failed that did."""

    value: str | None
    messages: dict[MessageStatus, int] = field(default_factory=lambda: dict.fromkeys(MessageStatus, 0))
    failures: list[FailureCount] = field(default_factory=list)

    @property
    def message_count(self) -> int:
        """Messages of all statuses."""
        return sum(self.messages.values())


@dataclass(frozen=True, slots=True)
class ConversationOverview:
    """Contacts that replied since a time, how often, and how many were not written to after their last reply."""

    conversation_count: int
    reply_count: int
    waiting_count: int


@from_replica
async def read_activity(
    ctx: Context, *, interval: Interval, since: datetime, until: datetime, zone: str | None = None
) -> list[ActivityPoint]:
    """Activity from the bucket that holds `since` to the one that ends at or after `until`, none left out.

    In the workspace's time zone unless another is named. Raises InvalidRequest for more than 800 buckets.
    """
    starts = bucket_starts(interval, since, until, await _zone(ctx, zone))
    points = [ActivityPoint(start, end) for start, end in pairwise(starts)]
    first, end = starts[0], starts[-1]
    rows = await fetch(
        ACTIVITY,
        ctx.workspace_id,
        ctx.livemode,
        starts[:-1],
        first,
        end,
        ids.id_from(first, before=ID_MARGIN),
        ids.id_at(end, after=ID_MARGIN),
    )
    for row in rows:
        point = points[row.bucket]
        if row.kind == "reply":
            point.replies = row.count
        elif row.kind == OptInStatus.OPTED_OUT:
            point.opt_outs = row.count
        elif row.kind == OptInStatus.OPTED_IN:
            point.opt_ins = row.count
        else:
            point.messages[MessageStatus(row.kind)] = row.count
            point.credits += row.credits
    return points


@from_replica
async def read_campaign_activity(
    ctx: Context, campaign_id: UUID, *, interval: Interval, since: datetime, until: datetime
) -> list[CampaignPoint]:
    """Count how a campaign's messages went on over time. Raises NotFound, and as `read_activity` does."""
    await find(ctx, Campaign, campaign_id, prefix=ids.CAMPAIGN, noun="campaign")
    starts = bucket_starts(interval, since, until, await _zone(ctx, None))
    points = [CampaignPoint(start, end) for start, end in pairwise(starts)]
    for row in await fetch(
        CAMPAIGN_ACTIVITY, ctx.workspace_id, ctx.livemode, campaign_id, starts[:-1], starts[0], starts[-1]
    ):
        setattr(points[row.bucket], row.kind, row.count)
    return points


@from_replica
async def read_conversion_activity(
    ctx: Context,
    *,
    interval: Interval,
    since: datetime,
    until: datetime,
    zone: str | None = None,
    campaign_id: UUID | None = None,
) -> list[ConversionPoint]:
    """Sum up conversions over time by currency, or those of one campaign alone. Raises as `read_activity` does."""
    starts = bucket_starts(interval, since, until, await _zone(ctx, zone))
    points = [ConversionPoint(start, end) for start, end in pairwise(starts)]
    statement = REVENUE.format(of_campaign="" if campaign_id is None else "AND campaign_id = $6")
    values = () if campaign_id is None else (campaign_id,)
    for row in await fetch(statement, ctx.workspace_id, ctx.livemode, starts[:-1], starts[0], starts[-1], *values):
        points[row.bucket].currencies.append(
            CurrencyRevenue(row.currency, row.conversions, row.net, row.attributed, row.attributed_net)
        )
    return points


@from_replica
async def read_audience_growth(
    ctx: Context, *, interval: Interval, since: datetime, until: datetime, zone: str | None = None
) -> list[AudiencePoint]:
    """Count the contacts made over time by the source of their consent. Raises as `read_activity` does.

    The most frequent sources of the whole time are told by name, the rest as `other`.
    """
    starts = bucket_starts(interval, since, until, await _zone(ctx, zone))
    points = [AudiencePoint(start, end) for start, end in pairwise(starts)]
    first, end = starts[0], starts[-1]
    bounds = (ids.id_from(first, before=ID_MARGIN), ids.id_at(end, after=ID_MARGIN))
    rows = await fetch(AUDIENCE, ctx.workspace_id, ctx.livemode, starts[:-1], first, end, *bounds)
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row.source or NO_SOURCE] += row.count
    named = {source for source, _ in sorted(totals.items(), key=lambda each: (-each[1], each[0]))[:MAX_SOURCES]}
    for row in rows:
        source = row.source or NO_SOURCE
        told = source if source in named else OTHER_SOURCES
        sources = points[row.bucket].sources
        sources[told] = sources.get(told, 0) + row.count
    return points


@from_replica
async def read_deliverability(
    ctx: Context, *, by: Dimension, since: datetime, until: datetime
) -> list[DeliverabilityGroup]:
    """Count what became of the messages made in a time, by the values of a dimension, the most frequent first.

    Skipped recipients are left out. Raises InvalidRequest for times without an offset, and for more than a year.
    """
    check_span(since, until)
    value, join = DIMENSIONS[by]
    groups: dict[str | None, DeliverabilityGroup] = {}
    sql = BREAKDOWN.format(value=value, join=join)
    bounds = (ids.id_from(since, before=ID_MARGIN), ids.id_at(until, after=ID_MARGIN))
    for row in await fetch(sql, ctx.workspace_id, ctx.livemode, since, until, *bounds):
        group = groups.setdefault(row.value, DeliverabilityGroup(row.value))
        status = MessageStatus(row.status)
        group.messages[status] += row.count
        if row.code is not None:
            group.failures.append(FailureCount(row.code, FAILURES.get(row.code, row.code), status, row.count))
    for group in groups.values():
        group.failures.sort(key=lambda each: (-each.count, each.code, each.status))
    ordered = sorted(groups.values(), key=lambda each: (-each.message_count, each.value or ""))
    return ordered[:MAX_GROUPS]


@from_replica
async def read_usage(ctx: Context, edges: Sequence[datetime]) -> list[UsagePoint]:
    """Return what was sent and received between each two of `edges`, at most 800 times in their order."""
    points = [UsagePoint() for _ in edges[1:]]
    first, end = edges[0], edges[-1]
    rows = await fetch(
        USAGE,
        ctx.workspace_id,
        ctx.livemode,
        list(edges[:-1]),
        first,
        end,
        ids.id_from(first, before=ID_MARGIN),
        ids.id_at(end, after=ID_MARGIN),
    )
    for row in rows:
        point = points[row.bucket]
        traffic = point.outbound if row.kind == "outbound" else point.inbound
        traffic.count, traffic.segments, traffic.credits = row.count, row.segments, row.credits
    return points


@from_replica
async def campaign_failures(ctx: Context, campaign_ids: Sequence[UUID]) -> dict[UUID, list[FailureCount]]:
    """Return why recipients of campaigns were not reached, by campaign, the most frequent code first."""
    found: dict[UUID, list[FailureCount]] = {campaign_id: [] for campaign_id in campaign_ids}
    if found:
        for row in await fetch(COUNT_FAILURES, ctx.workspace_id, ctx.livemode, list(found)):
            message = FAILURES.get(row.code, row.code)
            found[row.campaign_id].append(FailureCount(row.code, message, MessageStatus(row.status), row.count))
    return found


@from_replica
async def conversation_overview(ctx: Context, *, days: int = DEFAULT_CONVERSATION_DAYS) -> ConversationOverview:
    """Return how the conversations of the last days stand. Raises InvalidRequest for more than 365 days."""
    if not 1 <= days <= MAX_CONVERSATION_DAYS:
        raise InvalidRequest(
            f"days must be from 1 to {MAX_CONVERSATION_DAYS}.", param="days", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    since = ctx.services.clock() - timedelta(days=days)
    row = await fetch_row(CONVERSATIONS, ctx.workspace_id, ctx.livemode, since, ids.id_from(since, before=ID_MARGIN))
    assert row is not None
    return ConversationOverview(row.conversations, row.replies, row.waiting)


async def _zone(ctx: Context, name: str | None) -> ZoneInfo:
    # What a workspace holds was checked when it was set, by the rule of that day.
    return ZoneInfo((await find_settings(ctx)).timezone if name is None else check_timezone(name, param="zone"))


def check_span(since: datetime, until: datetime) -> None:
    """Check that a time begins before it ends, and lasts a year at most. Raises InvalidRequest."""
    _check_order(since, until)
    if until - since > MAX_SPAN:
        raise InvalidRequest(
            f"since and until may lie {MAX_SPAN.days} days apart at most.",
            param="until",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )


def _check_order(since: datetime, until: datetime) -> None:
    if since.tzinfo is None or until.tzinfo is None:
        raise InvalidRequest("A time must carry an offset.", param="since" if since.tzinfo is None else "until")
    if until <= since:
        raise InvalidRequest("until must lie after since.", param="until", code=ErrorCode.PARAMETER_OUT_OF_RANGE)


def bucket_starts(interval: Interval, since: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the starts of the buckets from `since` to `until` and the end of the last one, in UTC.

    A day of a change of clocks has 23 or 25 hours. Raises InvalidRequest.
    """
    _check_order(since, until)
    if (until - since) / LENGTHS[interval] > MAX_BUCKETS - 2:
        raise InvalidRequest(
            f"A series has at most {MAX_BUCKETS} points; ask for a shorter time or a longer interval.",
            param="interval",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    local = since.astimezone(zone)
    if interval in (Interval.MINUTE, Interval.HOUR):
        past = timedelta(
            minutes=local.minute if interval is Interval.HOUR else 0,
            seconds=local.second,
            microseconds=local.microsecond,
        )
        start = since.astimezone(UTC) - past
        count = -(-(until - start) // LENGTHS[interval])
        return [start + number * LENGTHS[interval] for number in range(count + 1)]
    day = local.date()
    if interval is Interval.WEEK:
        day -= timedelta(days=day.weekday())
    starts = [_midnight(day, zone)]
    while starts[-1] < until:
        day += LENGTHS[interval]
        starts.append(_midnight(day, zone))
    return starts


# The value of a dimension, and what must be joined for it.
DIMENSIONS: Mapping[Dimension, tuple[str, str]] = {
    Dimension.CODE: ("m.error_code", ""),
    Dimension.REGION: (
        "c.region",
        "LEFT JOIN contacts AS c ON c.id = m.contact_id AND c.workspace_id = $1 AND c.livemode = $2",
    ),
    Dimension.CARRIER: ("m.carrier", ""),
    Dimension.SENDER: ("m.sender", ""),
}

LENGTHS: Mapping[Interval, timedelta] = {
    Interval.MINUTE: timedelta(minutes=1),
    Interval.HOUR: timedelta(hours=1),
    Interval.DAY: timedelta(days=1),
    Interval.WEEK: timedelta(weeks=1),
}


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # Where the clocks skip midnight, this is the moment they do.
    return datetime.combine(day, time(), zone).astimezone(UTC)
