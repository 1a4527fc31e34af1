"""Statistics: activity, campaigns and audience over time, deliverability and conversations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, cast

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.messages import statistics
from msvs.api.messages.statistics import DEFAULT_CONVERSATION_DAYS, Dimension, Interval
from msvs.graphql.campaigns import FailureCount
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.scalars import BigInt
from msvs.models import MessageStatus


@strawberry.type(description="The number of messages with one status.")
class StatusCount:
    status: MessageStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="The number.")


@strawberry.type(description="What happened in one minute, hour, day or week.")
class ActivityPoint:
    start_at: datetime = strawberry.field(description="The start of the interval.")
    end_at: datetime = strawberry.field(description="The end of the interval.")
    message_count: int = strawberry.field(description="Messages created in the interval.")
    messages: list[StatusCount] = strawberry.field(description="Those messages by their current status.")
    credits: BigInt = strawberry.field(description="The credits of those messages.")
    replies: int = strawberry.field(description="Replies that arrived in the interval.")
    opt_ins: int = strawberry.field(description="Opt-ins recorded in the interval.")
    opt_outs: int = strawberry.field(description="Opt-outs recorded in the interval.")


@strawberry.type(description="The activity of a campaign in one minute, hour, day or week.")
class CampaignPoint:
    start_at: datetime = strawberry.field(description="The start of the interval.")
    end_at: datetime = strawberry.field(description="The end of the interval.")
    sent: int = strawberry.field(description="Messages that a carrier accepted in the interval.")
    delivered: int = strawberry.field(description="Messages delivered in the interval.")
    failed: int = strawberry.field(description="Messages that failed in the interval.")
    replied: int = strawberry.field(description="Messages that got their first reply in the interval.")


@strawberry.type(description="The conversions of an interval in one currency. Amounts are in its smallest unit.")
class CurrencyRevenue:
    currency: str = strawberry.field(description="The currency, by ISO 4217.")
    conversions: int = strawberry.field(description="All conversions.")
    net: BigInt = strawberry.field(description="What they brought, less what was refunded.")
    attributed: int = strawberry.field(description="The conversions that are attributed to a message.")
    attributed_net: BigInt = strawberry.field(description="What those brought, less what was refunded.")


@strawberry.type(description="The conversions of one minute, hour, day or week.")
class ConversionPoint:
    start_at: datetime = strawberry.field(description="The start of the interval.")
    end_at: datetime = strawberry.field(description="The end of the interval.")
    currencies: list[CurrencyRevenue] = strawberry.field(description="The currencies, in the order of their codes.")


@strawberry.type(description="The number of contacts from one source.")
class SourceCount:
    source: str = strawberry.field(
        description="The source of their consent; `automatic` for those that a send or a message from the phone made,"
        " `unknown` where none was named, `other` for all the rarer ones."
    )
    count: int = strawberry.field(description="The number.")


@strawberry.type(description="Contacts created in one minute, hour, day or week that still exist.")
class AudiencePoint:
    start_at: datetime = strawberry.field(description="The start of the interval.")
    end_at: datetime = strawberry.field(description="The end of the interval.")
    contact_count: int = strawberry.field(description="Contacts created in the interval.")
    sources: list[SourceCount] = strawberry.field(description="Those contacts by their source.")


@strawberry.type(description="The outcomes of messages with the same code, region, carrier or sender.")
class DeliverabilityGroup:
    value: str | None = strawberry.field(
        description="The code, region, carrier or sender; null for messages without one."
    )
    message_count: int = strawberry.field(description="Its messages.")
    messages: list[StatusCount] = strawberry.field(description="Those messages by their current status.")
    failures: list[FailureCount] = strawberry.field(
        description="Failures and cancellations by code, the most frequent first."
    )


@strawberry.type(description="An overview of recent conversations.")
class ConversationOverview:
    conversation_count: int = strawberry.field(description="Contacts that replied.")
    reply_count: int = strawberry.field(description="Their replies.")
    waiting_count: int = strawberry.field(description="The number of those contacts without an answer since.")


Length = Annotated[Interval, strawberry.argument(description="The interval.")]
Since = Annotated[datetime, strawberry.argument(description="A time in the first point.")]
Until = Annotated[datetime, strawberry.argument(description="A time at or before the end of the last point.")]
Zone = Annotated[str | None, strawberry.argument(description="An IANA time zone; by default, the workspace's.")]


@strawberry.type
class StatisticsQuery:
    @field("Activity over time, one point for each interval without gaps; at most 800 points.")
    async def activity(
        self, info: Info, interval: Length, since: Since, until: Until, zone: Zone = None
    ) -> list[ActivityPoint]:
        points = await statistics.read_activity(
            info.context.ctx, interval=interval, since=since, until=until, zone=zone
        )
        return [
            ActivityPoint(
                start_at=point.start_at,
                end_at=point.end_at,
                message_count=point.message_count,
                messages=_statuses(point.messages),
                credits=BigInt(point.credits),
                replies=point.replies,
                opt_ins=point.opt_ins,
                opt_outs=point.opt_outs,
            )
            for point in points
        ]

    @field("The activity of a campaign over time, without gaps; at most 800 points.")
    async def campaign_activity(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The campaign's id.")],
        interval: Length,
        since: Since,
        until: Until,
    ) -> list[CampaignPoint]:
        points = await statistics.read_campaign_activity(
            info.context.ctx,
            ids.find_id(ids.CAMPAIGN, id, "campaign"),
            interval=interval,
            since=since,
            until=until,
        )
        # The fields of the type are those of the operation's answer, by the same names.
        return cast("list[CampaignPoint]", points)

    @field("Conversions over time by currency, one point for each interval without gaps; at most 800 points.")
    async def conversion_activity(
        self,
        info: Info,
        interval: Length,
        since: Since,
        until: Until,
        zone: Zone = None,
        campaign_id: Annotated[
            ID | None, strawberry.argument(description="Only those attributed to this campaign.")
        ] = None,
    ) -> list[ConversionPoint]:
        points = await statistics.read_conversion_activity(
            info.context.ctx,
            interval=interval,
            since=since,
            until=until,
            zone=zone,
            campaign_id=ids.read_optional_id(ids.CAMPAIGN, campaign_id, "campaign_id"),
        )
        # The fields of the type are those of the operation's answer, by the same names.
        return cast("list[ConversionPoint]", points)

    @field("Contacts created over time, by the source of their consent, without gaps; at most 800 points.")
    async def audience_growth(
        self, info: Info, interval: Length, since: Since, until: Until, zone: Zone = None
    ) -> list[AudiencePoint]:
        points = await statistics.read_audience_growth(
            info.context.ctx, interval=interval, since=since, until=until, zone=zone
        )
        return [
            AudiencePoint(
                start_at=point.start_at,
                end_at=point.end_at,
                contact_count=point.contact_count,
                sources=[SourceCount(source=source, count=count) for source, count in sorted(point.sources.items())],
            )
            for point in points
        ]

    @field(
        "The outcomes of messages created in a period, by code, region, carrier or sender: the 200 most frequent."
        " Recipients that a campaign skipped are left out."
    )
    async def deliverability(
        self,
        info: Info,
        by: Annotated[Dimension, strawberry.argument(description="The dimension to group by.")],
        since: Annotated[datetime, strawberry.argument(description="The start of the interval.")],
        until: Annotated[datetime, strawberry.argument(description="The end time, at most 366 days later.")],
    ) -> list[DeliverabilityGroup]:
        groups = await statistics.read_deliverability(info.context.ctx, by=by, since=since, until=until)
        return [
            DeliverabilityGroup(
                value=group.value,
                message_count=group.message_count,
                messages=_statuses(group.messages),
                # The fields of the type are those of the operation's answer, by the same names.
                failures=cast("list[FailureCount]", group.failures),
            )
            for group in groups
        ]

    @field("An overview of recent conversations.")
    async def conversation_overview(
        self,
        info: Info,
        days: Annotated[
            int, strawberry.argument(description="The number of days, at most 365.")
        ] = DEFAULT_CONVERSATION_DAYS,
    ) -> ConversationOverview:
        # The fields of the type are those of the operation's answer, by the same names.
        overview = await statistics.conversation_overview(info.context.ctx, days=days)
        return cast("ConversationOverview", overview)


def _statuses(counts: Mapping[MessageStatus, int]) -> list[StatusCount]:
    return [StatusCount(status=status, count=count) for status, count in counts.items()]
