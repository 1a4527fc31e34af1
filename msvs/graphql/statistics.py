"""Numbers to look at: activity, campaigns and audience over time, deliverability and conversations."""

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


@strawberry.type(description="How many messages stand at one status.")
class StatusCount:
    status: MessageStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="What happened in one minute, hour, day or week.")
class ActivityPoint:
    start_at: datetime = strawberry.field(description="When it begins.")
    end_at: datetime = strawberry.field(description="When it ends.")
    message_count: int = strawberry.field(description="Messages made in it.")
    messages: list[StatusCount] = strawberry.field(description="Those messages by where they stand now.")
    credits: BigInt = strawberry.field(description="The credits of those messages.")
    replies: int = strawberry.field(description="Replies that arrived in it.")
    opt_ins: int = strawberry.field(description="Entries of consent given in it.")
    opt_outs: int = strawberry.field(description="Opt-outs in it.")


@strawberry.type(description="How a campaign went on in one minute, hour, day or week.")
class CampaignPoint:
    start_at: datetime = strawberry.field(description="When it begins.")
    end_at: datetime = strawberry.field(description="When it ends.")
    sent: int = strawberry.field(description="Messages that a carrier took in it.")
    delivered: int = strawberry.field(description="Messages that arrived in it.")
    failed: int = strawberry.field(description="Messages that failed in it.")
    replied: int = strawberry.field(description="Messages that were first replied to in it.")


@strawberry.type(description="How many contacts came by one source.")
class SourceCount:
    source: str = strawberry.field(
        description="The source of their consent; `automatic` for those that a send or a message from the phone made,"
        " `unknown` where none was named, `other` for all the rarer ones."
    )
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="The contacts made in one minute, hour, day or week that are still there.")
class AudiencePoint:
    start_at: datetime = strawberry.field(description="When it begins.")
    end_at: datetime = strawberry.field(description="When it ends.")
    contact_count: int = strawberry.field(description="Contacts made in it.")
    sources: list[SourceCount] = strawberry.field(description="Those contacts by how they came.")


@strawberry.type(description="What became of the messages of one code, region, carrier or sender.")
class DeliverabilityGroup:
    value: str | None = strawberry.field(description="Which one; null for messages that have none.")
    message_count: int = strawberry.field(description="Its messages.")
    messages: list[StatusCount] = strawberry.field(description="Those messages by where they stand now.")
    failures: list[FailureCount] = strawberry.field(
        description="Why those failed or were canceled that did, the most frequent code first."
    )


@strawberry.type(description="How the conversations of the last days stand.")
class ConversationOverview:
    conversation_count: int = strawberry.field(description="Contacts that replied.")
    reply_count: int = strawberry.field(description="Their replies.")
    waiting_count: int = strawberry.field(description="Of those contacts, how many were not written to since.")


Length = Annotated[Interval, strawberry.argument(description="How long each point is.")]
Since = Annotated[datetime, strawberry.argument(description="A time in the first point.")]
Until = Annotated[datetime, strawberry.argument(description="A time at or before the end of the last point.")]
Zone = Annotated[str | None, strawberry.argument(description="An IANA time zone; the workspace's where left out.")]


@strawberry.type
class StatisticsQuery:
    @field("Activity over time, no minute, hour, day or week left out; at most 800 of them.")
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

    @field("How a campaign's messages went on over time, no point left out; at most 800 of them.")
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

    @field("The contacts made over time by the source of their consent, no point left out; at most 800 of them.")
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
        "What became of the messages made in a time, by code, region, carrier or sender: the 200 most frequent."
        " Recipients that a campaign skipped are left out."
    )
    async def deliverability(
        self,
        info: Info,
        by: Annotated[Dimension, strawberry.argument(description="What they are told apart by.")],
        since: Annotated[datetime, strawberry.argument(description="When the time begins.")],
        until: Annotated[datetime, strawberry.argument(description="When it ends, 366 days later at most.")],
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

    @field("How the conversations of the last days stand.")
    async def conversation_overview(
        self,
        info: Info,
        days: Annotated[
            int, strawberry.argument(description="How many days, at most 365.")
        ] = DEFAULT_CONVERSATION_DAYS,
    ) -> ConversationOverview:
        # The fields of the type are those of the operation's answer, by the same names.
        overview = await statistics.conversation_overview(info.context.ctx, days=days)
        return cast("ConversationOverview", overview)


def _statuses(counts: Mapping[MessageStatus, int]) -> list[StatusCount]:
    return [StatusCount(status=status, count=count) for status, count in counts.items()]
