"""Events: types, queries, and delivering one again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.resources import EventResource, RedeliveryResource
from msvs.api.scope import scoped
from msvs.api.webhooks import endpoints, events
from msvs.api.webhooks.endpoints import ResendEvent
from msvs.api.webhooks.events import EventType, ListEvents
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import argument, optional_ref
from msvs.graphql.nodes import Node, load_kind, load_node, register_rows
from msvs.graphql.scalars import JSONObject
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Event as EventRow
from msvs.models import rows


@resource_type(EventResource, "An event, as webhooks deliver it.")
class Event(Node):
    livemode: bool
    type: EventType
    data: JSONObject = strawberry.field(
        description="The resource as it was at that moment, in the format of the REST API."
    )
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.EventRow) -> Event:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.EVENT, row.id)), data=msgspec.json.decode(row.data))

    @field("The resource as it is now; null if it was deleted or has no id.")
    async def resource(self, info: Info) -> Node | None:
        id = self.data.get("id")
        return await load_node(info, id) if isinstance(id, str) else None


register_rows(ids.EVENT, EventRow, Event.from_row)


@resource_type(RedeliveryResource, "The events that will be delivered again.")
class Redelivery:
    delivery_count: int


ResendEventResult = Annotated[
    Redelivery | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("ResendEventResult", description="The events that will be delivered again, or an error."),
]


@strawberry.type
class EventQuery:
    @field("An event by its id; null if there is none.")
    async def event(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The event's id.")]
    ) -> Event | None:
        return await load_kind(info, id, Event, ids.EVENT)

    @field("Events, newest first.")
    async def events(
        self,
        info: Info,
        type: Annotated[EventType | None, argument(ListEvents, "type")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Event]:
        ctx = info.context.ctx
        request = read_page(ids.EVENT, first, after, last, before)
        page = await events.list_events(ctx, request, type=None if type is None else type.value)
        query = scoped(ctx, EventRow)
        count = (query if type is None else query.filter(type=type.value)).count
        return connect(ids.EVENT, request, page, Event.from_row, count)


@strawberry.type
class EventMutation:
    @mutation(ResendEventResult, "Deliver an event again, to one webhook or to all that subscribe to it.")
    async def resend_event(
        self,
        info: Info,
        id: Annotated[ID, strawberry.argument(description="The event's id.")],
        webhook_id: Annotated[ID | None, argument(ResendEvent, "webhook_id")] = None,
    ) -> object:
        return await mutate(
            info,
            lambda ctx: endpoints.resend_event(
                ctx,
                ids.find_id(ids.EVENT, id, "event"),
                webhook_id=optional_ref(ids.WEBHOOK, webhook_id, "webhook_id"),
            ),
            lambda count: Redelivery(delivery_count=count),
        )
