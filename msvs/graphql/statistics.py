"""Numbers to look at: activity over time, and how conversations stand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import strawberry

from msvs.api.messages import statistics
from msvs.api.messages.statistics import DEFAULT_CONVERSATION_DAYS, Interval
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.scalars import BigInt
from msvs.models import MessageStatus


@strawberry.type(description="How many messages stand at one status.")
class StatusCount:
    status: MessageStatus = strawberry.field(description="The status.")
    count: int = strawberry.field(description="How many.")


@strawberry.type(description="What happened in one hour, day or week.")
class ActivityPoint:
    start_at: datetime = strawberry.field(description="When it begins.")
    end_at: datetime = strawberry.field(description="When it ends.")
    message_count: int = strawberry.field(description="Messages made in it.")
    messages: list[StatusCount] = strawberry.field(description="Those messages by where they stand now.")
    credits: BigInt = strawberry.field(description="The credits of those messages.")
    replies: int = strawberry.field(description="Replies that arrived in it.")
    opt_outs: int = strawberry.field(description="Opt-outs in it.")


@strawberry.type(description="How the conversations of the last days stand.")
class ConversationOverview:
    conversation_count: int = strawberry.field(description="Contacts that replied.")
    reply_count: int = strawberry.field(description="Their replies.")
    waiting_count: int = strawberry.field(description="Of those contacts, how many were not written to since.")


@strawberry.type
class StatisticsQuery:
    @field("Activity over time, no hour, day or week left out; at most 800 of them.")
    async def activity(
        self,
        info: Info,
        interval: Annotated[Interval, strawberry.argument(description="How long each point is.")],
        since: Annotated[datetime, strawberry.argument(description="A time in the first point.")],
        until: Annotated[datetime, strawberry.argument(description="A time at or before the end of the last point.")],
        zone: Annotated[
            str | None, strawberry.argument(description="An IANA time zone; the workspace's where left out.")
        ] = None,
    ) -> list[ActivityPoint]:
        points = await statistics.read_activity(
            info.context.ctx, interval=interval, since=since, until=until, zone=zone
        )
        return [
            ActivityPoint(
                start_at=point.start_at,
                end_at=point.end_at,
                message_count=point.message_count,
                messages=[StatusCount(status=status, count=count) for status, count in point.messages.items()],
                credits=BigInt(point.credits),
                replies=point.replies,
                opt_outs=point.opt_outs,
            )
            for point in points
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
