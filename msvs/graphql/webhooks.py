"""Webhooks: types, queries and mutations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from msgspec import UNSET, UnsetType
from strawberry import ID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.pages import MAX_LIMIT
from msvs.api.resources import (
    WebhookAttemptResource,
    WebhookFilterResource,
    WebhookHealthResource,
    WebhookResource,
    webhook_filter_resource,
    webhook_version,
)
from msvs.api.scope import scoped
from msvs.api.webhooks import endpoints, health, sequences
from msvs.api.webhooks.endpoints import CreateWebhook, RecoverWebhook, UpdateWebhook
from msvs.api.webhooks.events import EventType
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.events import Event, Redelivery
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, argument, read_input, request_input, required
from msvs.graphql.loaders import WEBHOOK_ATTEMPTS
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import BigInt, JSONObject
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Event as EventRow
from msvs.models import WebhookAttempt as WebhookAttemptRow
from msvs.models import WebhookEndpoint, rows


@resource_type(WebhookAttemptResource, "One attempt to deliver an event to a webhook.")
class WebhookAttempt(Node):
    row: strawberry.Private[rows.WebhookAttemptRow]
    number: int
    status_code: int | None
    error: str | None
    response_head: str
    elapsed_ms: int
    created_at: datetime
    replay: bool

    @classmethod
    def from_row(cls, row: rows.WebhookAttemptRow) -> WebhookAttempt:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.ATTEMPT, row.id)))

    @field("The delivered event; null if it is no longer kept.")
    async def event(self, info: Info) -> Event | None:
        row = await info.context.loaders.row(EventRow, self.row.event_id)
        return None if row is None else Event.from_row(row)


register_rows(ids.ATTEMPT, WebhookAttemptRow, WebhookAttempt.from_row)


@resource_type(WebhookFilterResource, "What an event must match beside its type.")
class WebhookFilter:
    campaign_ids: list[ID]
    metadata: JSONObject


@resource_type(WebhookHealthResource, "How deliveries to a webhook go.")
class WebhookHealth:
    status: health.HealthStatus
    failing_since: datetime | None
    last_success_at: datetime | None
    last_error: str | None
    pending_count: int
    missed_count: int
    last_sequence: BigInt
    recent_attempt_count: int
    recent_success_count: int
    median_ms: int | None
    p95_ms: int | None


@strawberry.type(description="An event that was sent to a webhook, with its number there.")
class SentEvent:
    sequence: BigInt = strawberry.field(description="Its number among all that was sent to the webhook, from 1.")
    event: Event = strawberry.field(description="The event.")


@resource_type(WebhookResource, "A URL to which events are posted.")
class Webhook(Node):
    row: strawberry.Private[rows.WebhookEndpointRow]
    livemode: bool
    url: str
    every_event: bool = strawberry.field(description="Whether it subscribes to all events, including future types.")
    events: list[EventType]
    description: str
    enabled: bool = strawberry.field(description="Whether events are delivered to it.")
    disabled_reason: str | None
    verified: bool
    previous_secret_until: datetime | None = strawberry.field(
        description="The time until which the previous secret still signs; null if it does not."
    )
    created_at: datetime
    created_by: str | None
    auto_replay: bool
    standard_webhooks: bool
    batch_size: int | None
    filter: WebhookFilter | None
    version: str

    @classmethod
    def from_row(cls, row: rows.WebhookEndpointRow) -> Webhook:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.WEBHOOK, row.id)),
            verified=row.unverified_since is None,
            version=webhook_version(row),
            auto_replay=row.auto_replay_since is not None,
            filter=_filter(row.event_filter),
            every_event=endpoints.EVERY_EVENT in row.events,
            events=[EventType(name) for name in row.events if name != endpoints.EVERY_EVENT],
        )

    @field("What was sent to it after a number, in the order of the numbers.")
    async def sent_events(
        self,
        info: Info,
        after_seq: Annotated[
            BigInt | None, strawberry.argument(description="The number after which to begin; 0 by default.")
        ] = None,
        first: Annotated[
            int | None, strawberry.argument(description=f"The number of events, 1 to {MAX_LIMIT}.")
        ] = None,
    ) -> list[SentEvent]:
        request = read_page(ids.EVENT, first, None, None, None)
        page = await sequences.list_numbered(info.context.ctx, self.row.id, request, after_seq=after_seq)
        return [SentEvent(sequence=BigInt(row.sequence), event=Event.from_row(row)) for row in page.items]

    @field("How deliveries to it go.")
    async def health(self, info: Info) -> WebhookHealth:
        return from_row(WebhookHealth, await health.get_health(info.context.ctx, self.row.id))

    @field("The attempts to deliver events, newest first.")
    async def attempts(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[WebhookAttempt]:
        request = read_page(ids.ATTEMPT, first, after, last, before)
        loaders, id = info.context.loaders, self.row.id
        page = await loaders.children(WEBHOOK_ATTEMPTS, id, request)
        return connect(
            ids.ATTEMPT, request, page, WebhookAttempt.from_row, lambda: loaders.count_children(WEBHOOK_ATTEMPTS, id)
        )


def _filter(kept: Mapping[str, object] | None) -> WebhookFilter | None:
    found = webhook_filter_resource(kept)
    if found is None:
        return None
    return WebhookFilter(campaign_ids=[ID(id) for id in found.campaign_ids], metadata=JSONObject({**found.metadata}))


register_rows(ids.WEBHOOK, WebhookEndpoint, Webhook.from_row)


@strawberry.type(description="A webhook and its secret, which is shown only once.")
class WebhookWithSecret:
    webhook: Webhook = strawberry.field(description="The webhook.")
    secret: str = strawberry.field(description="The secret that signs events. It is not shown again.")


EVERY_EVENT = "Whether to subscribe to all events instead."


@request_input(endpoints.WebhookFilter)
class WebhookFilterInput:
    pass


@request_input(CreateWebhook, filter=WebhookFilterInput)
class CreateWebhookInput:
    events: list[EventType] | None = strawberry.field(default=None, description="The events to subscribe to.")
    every_event: bool = strawberry.field(default=False, description=EVERY_EVENT)


@request_input(UpdateWebhook, filter=WebhookFilterInput)
class UpdateWebhookInput:
    events: list[EventType] | None = strawberry.field(
        default=strawberry.UNSET, description="The events to subscribe to. Cannot be null."
    )
    every_event: bool = strawberry.field(default=False, description=EVERY_EVENT)


CreateWebhookResult = Annotated[
    WebhookWithSecret | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateWebhookResult", description="The new webhook with its secret, or an error."),
]
UpdateWebhookResult = Annotated[
    Webhook | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateWebhookResult", description="The updated webhook, or an error."),
]
DeleteWebhookResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteWebhookResult", description="Confirms that the webhook was deleted, or an error."),
]
RotateWebhookSecretResult = Annotated[
    WebhookWithSecret | NotFoundError | PermissionRefusedError,
    strawberry.union("RotateWebhookSecretResult", description="The webhook with its new secret, or an error."),
]
TestWebhookResult = Annotated[
    Event | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("TestWebhookResult", description="The event that is being delivered, or an error."),
]
RecoverWebhookResult = Annotated[
    Redelivery | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("RecoverWebhookResult", description="The events that will be delivered again, or an error."),
]

WebhookId = Annotated[ID, strawberry.argument(description="The webhook's id.")]


@strawberry.type
class WebhookQuery:
    @field("A webhook by its id; null if there is none.")
    async def webhook(self, info: Info, id: WebhookId) -> Webhook | None:
        return await load_kind(info, id, Webhook, ids.WEBHOOK)

    @field("Webhooks, newest first.")
    async def webhooks(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Webhook]:
        ctx = info.context.ctx
        request = read_page(ids.WEBHOOK, first, after, last, before)
        page = await endpoints.list_webhooks(ctx, request)
        return connect(ids.WEBHOOK, request, page, Webhook.from_row, scoped(ctx, WebhookEndpoint).count)


@strawberry.type
class WebhookMutation:
    @mutation(CreateWebhookResult, "Subscribe a URL to events.")
    async def create_webhook(
        self, info: Info, input: Annotated[CreateWebhookInput, strawberry.argument(description="The webhook.")]
    ) -> object:
        async def create(ctx: Context) -> tuple[WebhookEndpoint, str]:
            events = _events(input.events or [], input.every_event)
            return await endpoints.create_webhook(ctx, read_input(CreateWebhook, input, events=events))

        return await mutate(info, create, _with_secret)

    @mutation(UpdateWebhookResult, "Update a webhook. Enabling it again delivers pending events at once.")
    async def update_webhook(
        self,
        info: Info,
        id: WebhookId,
        input: Annotated[UpdateWebhookInput, strawberry.argument(description="What to change.")],
    ) -> object:
        async def update(ctx: Context) -> WebhookEndpoint:
            events = required(input.events, "events")
            wanted: list[str] | UnsetType = UNSET
            if input.every_event or events is not UNSET:
                wanted = _events([] if events is UNSET else events, input.every_event)
            return await endpoints.update_webhook(ctx, _id(id), read_input(UpdateWebhook, input, events=wanted))

        return await mutate(info, update, Webhook.from_row)

    @mutation(DeleteWebhookResult, "Delete a webhook and its pending events.")
    async def delete_webhook(self, info: Info, id: WebhookId) -> object:
        return await mutate(info, lambda ctx: endpoints.delete_webhook(ctx, _id(id)), lambda _: Deleted(id=id))

    @mutation(RotateWebhookSecretResult, "Rotate the secret of a webhook; the old secret also signs for 24 hours.")
    async def rotate_webhook_secret(self, info: Info, id: WebhookId) -> object:
        return await mutate(info, lambda ctx: endpoints.rotate_secret(ctx, _id(id)), _with_secret)

    @mutation(TestWebhookResult, "Send a `test.ping` event to this webhook only.")
    async def test_webhook(self, info: Info, id: WebhookId) -> object:
        return await mutate(info, lambda ctx: endpoints.send_test(ctx, _id(id)), Event.from_row)

    @mutation(
        RecoverWebhookResult,
        "Deliver events that failed, or that came while the webhook was disabled, since a time at most 30 days ago.",
    )
    async def recover_webhook(
        self, info: Info, id: WebhookId, since: Annotated[datetime, argument(RecoverWebhook, "since")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: endpoints.recover(ctx, _id(id), since=since),
            lambda count: Redelivery(delivery_count=count),
        )


def _events(events: list[EventType], every_event: bool) -> list[str]:
    if events and every_event:
        raise InvalidRequest("Give events or everyEvent, not both.", param="every_event")
    return [endpoints.EVERY_EVENT] if every_event else [event.value for event in events]


def _with_secret(made: tuple[WebhookEndpoint, str]) -> WebhookWithSecret:
    row, secret = made
    return WebhookWithSecret(webhook=Webhook.from_row(row), secret=secret)


def _id(text: str) -> UUID:
    return ids.find_id(ids.WEBHOOK, text, "webhook")
