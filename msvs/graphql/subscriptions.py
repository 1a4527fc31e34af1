"""Subscriptions: a campaign's progress, new replies, and the tail of events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Annotated, cast
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts.notifications import member_of, modes_shown
from msvs.api.campaigns import campaigns
from msvs.api.contacts import import_jobs, sources
from msvs.api.messages import export_jobs
from msvs.api.permissions import Permission, allow
from msvs.api.webhooks.events import EventType
from msvs.api.webhooks.member_notifications import kinds_told
from msvs.database import Row
from msvs.graphql.campaigns import Campaign
from msvs.graphql.context import Info
from msvs.graphql.events import Event
from msvs.graphql.exports import Export
from msvs.graphql.fields import F
from msvs.graphql.imports import ContactImport
from msvs.graphql.inbound import InboundMessage
from msvs.graphql.inputs import optional_ref
from msvs.graphql.list_sources import ListSync
from msvs.graphql.live import Topic, Watched
from msvs.graphql.notifications import Notification

After = "The id of the last item you have; later items are sent first, and some items may be repeated."


def subscription(description: str) -> Callable[[F], F]:
    """Return a subscription that a method feeds."""
    return cast("Callable[[F], F]", strawberry.subscription(description=description))


@strawberry.type(description="All subscriptions, over WebSocket or server-sent events.")
class Subscription:
    @subscription(
        "A campaign now, and again whenever its numbers change, at most once a second. Ends when all messages have a"
        " final status."
    )
    async def campaign_progress(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The campaign's id.")]
    ) -> AsyncGenerator[Campaign, None]:
        request = info.context
        allow(request.ctx, Permission.CAMPAIGNS_READ)
        row = await campaigns.get_campaign(request.ctx, ids.find_id(ids.CAMPAIGN, id, "campaign"))
        watched = Watched(row.workspace_id, row.livemode, row.id)
        async with aclosing(request.live.campaign(watched)) as found:
            async for progress in found:
                await request.renew()
                request.loaders.keep_stats(progress.row, progress.stats)
                yield Campaign.from_row(progress.row)

    @subscription(
        "An import now, and again whenever it makes progress, at most once a second. Ends when the import needs an"
        " action or has ended."
    )
    async def import_progress(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The import's id.")]
    ) -> AsyncGenerator[ContactImport, None]:
        request = info.context
        allow(request.ctx, Permission.CONTACTS_READ)
        row = await import_jobs.get_import(request.ctx, ids.find_id(ids.IMPORT, id, "import"))
        async with aclosing(request.live.contact_import(request.ctx, row)) as found:
            async for now in found:
                await request.renew()
                yield ContactImport.from_row(now)

    @subscription("An export as it is now, and again whenever it has gone on, at most once a second. Ends with it.")
    async def export_progress(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The export's id.")]
    ) -> AsyncGenerator[Export, None]:
        request = info.context
        row = await export_jobs.get_export(request.ctx, ids.find_id(ids.EXPORT, id, "export"))
        async with aclosing(request.live.export(request.ctx, row)) as found:
            async for now in found:
                await request.renew()
                yield Export.from_row(now)

    @subscription("A sync of a list as it is now, and again after each progress, at most once a second. Ends with it.")
    async def list_sync_progress(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The sync's id.")]
    ) -> AsyncGenerator[ListSync, None]:
        request = info.context
        allow(request.ctx, Permission.CONTACTS_READ)
        row = await sources.get_sync(request.ctx, ids.find_id(ids.LIST_SYNC, id, "sync"))
        async with aclosing(request.live.list_sync(request.ctx, row)) as found:
            async for now in found:
                await request.renew()
                yield ListSync.from_row(now)

    @subscription("Messages that recipients send, as they arrive.")
    async def new_replies(
        self,
        info: Info,
        after: Annotated[ID | None, strawberry.argument(description=After)] = None,
    ) -> AsyncGenerator[InboundMessage, None]:
        last = optional_ref(ids.INBOUND, after, "after")
        async with aclosing(_rows(info, Permission.MESSAGES_READ, "inbound_messages", last, lambda row: True)) as found:
            async for row in found:
                yield InboundMessage.from_row(row)

    @subscription(
        "Notifications of the current member, as they arrive. After a disconnection, read `notifications` for those"
        " that were missed."
    )
    async def new_notifications(self, info: Info) -> AsyncGenerator[Notification, None]:
        request = info.context
        user_id = member_of(request.ctx)
        topics = [Topic("notifications", request.ctx.workspace_id, mode) for mode in modes_shown(request.ctx)]
        kinds = frozenset(kinds_told(request.ctx.role))

        def is_told(row: Row) -> bool:
            return row.user_id == user_id and row.kind in kinds

        async with aclosing(request.live.rows_of(topics, wanted=is_told)) as found:
            async for row in found:
                await request.renew()
                yield Notification.from_row(row)

    @subscription("Events as they happen, each at least once, nearly in the order of their ids.")
    async def event_tail(
        self,
        info: Info,
        types: Annotated[
            list[EventType] | None,
            strawberry.argument(description="Only events of these types; all types if left out."),
        ] = None,
        after: Annotated[ID | None, strawberry.argument(description=After)] = None,
    ) -> AsyncGenerator[Event, None]:
        last = optional_ref(ids.EVENT, after, "after")
        names = {each.value for each in types or EventType}
        async with aclosing(
            _rows(info, Permission.EVENTS_READ, "events", last, lambda row: row.type in names)
        ) as found:
            async for row in found:
                yield Event.from_row(row)


async def _rows(
    info: Info, permission: Permission, table: str, after: UUID | None, wanted: Callable[[Row], bool]
) -> AsyncGenerator[Row, None]:
    request = info.context
    allow(request.ctx, permission)
    topic = Topic(table, request.ctx.workspace_id, request.ctx.livemode)
    async with aclosing(request.live.rows(topic, wanted=wanted, after=after)) as found:
        async for row in found:
            await request.renew()
            yield row
