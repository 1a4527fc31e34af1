"""Events: written in the transaction of their change, together with their deliveries."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Protocol
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.resources import MessageResource, Resource
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.member_notifications import notice_of, notify_members
from msvs.api.webhooks.status_callbacks import CALLED, WRITE_CALLBACKS, WRITE_CALLBACKS_OF_MANY
from msvs.database import copy_encoded, copy_rows, execute, fetch, fetch_value
from msvs.fields import Ref, about, id_pattern
from msvs.models import Event, rows
from msvs.replica_reads import from_replica


class EventType(StrEnum):
    """Every event; those above the blank line are the document's, the others additions."""

    MESSAGE_QUEUED = "message.queued"
    MESSAGE_SENT = "message.sent"
    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_REPLIED = "message.replied"
    CONTACT_OPTED_IN = "contact.opted_in"
    CONTACT_OPTED_OUT = "contact.opted_out"
    CAMPAIGN_DISPATCHED = "campaign.dispatched"
    CAMPAIGN_COMPLETED = "campaign.completed"
    CREDITS_LOW = "credits.low"

    INBOUND_RECEIVED = "inbound.received"
    MESSAGE_CANCELED = "message.canceled"
    MESSAGE_SKIPPED = "message.skipped"
    MESSAGE_CLICKED = "message.clicked"
    CAMPAIGN_STARTED = "campaign.started"
    CAMPAIGN_PAUSED = "campaign.paused"
    CAMPAIGN_RESUMED = "campaign.resumed"
    CAMPAIGN_CANCELED = "campaign.canceled"
    CAMPAIGN_APPROVAL_REQUESTED = "campaign.approval_requested"
    CAMPAIGN_APPROVED = "campaign.approved"
    CAMPAIGN_REJECTED = "campaign.rejected"
    CAMPAIGN_TESTED = "campaign.tested"
    CAMPAIGN_WINNER_CHOSEN = "campaign.winner_chosen"
    SEQUENCE_PUBLISHED = "sequence.published"
    SEQUENCE_PAUSED = "sequence.paused"
    SEQUENCE_RESUMED = "sequence.resumed"
    SEQUENCE_ARCHIVED = "sequence.archived"
    SEQUENCE_ENTERED = "sequence.entered"
    SEQUENCE_COMPLETED = "sequence.completed"
    SEQUENCE_LEFT = "sequence.left"
    TEMPLATE_CREATED = "template.created"
    TEMPLATE_UPDATED = "template.updated"
    TEMPLATE_DELETED = "template.deleted"
    CONVERSION_CREATED = "conversion.created"
    CONVERSION_REFUNDED = "conversion.refunded"
    IMPORT_COMPLETED = "import.completed"
    BULK_ACTION_COMPLETED = "bulk_action.completed"
    LIST_SYNC_COMPLETED = "list.sync.completed"
    LIST_SYNC_FAILED = "list.sync.failed"
    CONTACT_MERGED = "contact.merged"
    CONTACT_UNREACHABLE = "contact.unreachable"
    CONTACT_REACHABLE = "contact.reachable"
    WEBHOOK_DISABLED = "webhook.disabled"
    TEST_PING = "test.ping"


# Stands for every type in an endpoint's subscription.
ANY_TYPE = "*"

# The largest number of an event, which is far beyond any: what JSON and JavaScript hold exactly.
MAX_SEQUENCE = 2**53

# A campaign that is paused and resumed over and over shows its newest.
MAX_CAMPAIGN_EVENTS = 100
# What the index events_campaigns holds.
FIND_CAMPAIGN_EVENTS = """
SELECT event.id, event.workspace_id, event.livemode, event.type, event.resource_id, event.data, event.created_at
FROM unnest($3::uuid[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT * FROM events
    WHERE workspace_id = $1 AND livemode = $2 AND resource_id = wanted.id AND type LIKE 'campaign.%'
    ORDER BY id DESC LIMIT $4
) AS event
"""


class ListEvents(PageQuery, frozen=True, kw_only=True):
    """Which events."""

    type: Annotated[str, about("Only events of this type.", enum=[*EventType])] | None = None
    webhook_id: (
        Annotated[
            str,
            Ref(ids.WEBHOOK),
            about(
                "Only what was sent to this webhook, with its `sequence`, the oldest first.",
                pattern=id_pattern(ids.WEBHOOK),
            ),
        ]
        | None
    ) = None
    after_seq: (
        Annotated[
            int,
            about("Only what was sent to `webhook_id` after this number.", minimum=0, maximum=MAX_SEQUENCE, example=41),
        ]
        | None
    ) = None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event about to be written: what happened to which resource, and that resource as it now stands."""

    type: EventType
    workspace_id: UUID
    livemode: bool
    resource_id: UUID | None
    data: Resource


# What an endpoint misses while it is disabled is written down where it is replayed, as if it had been given up.
IS_KEPT = "(endpoint.enabled OR endpoint.auto_replay_since IS NOT NULL)"
STATE = "CASE WHEN endpoint.enabled THEN 'pending' ELSE 'dropped' END"
ENDED = "CASE WHEN endpoint.enabled THEN NULL ELSE {now} END"
MATCHES = "(endpoint.event_filter IS NULL OR matches_webhook_filter(endpoint.event_filter, {data}))"

WRITE_EVENTS_AND_DELIVERIES = f"""
WITH written AS (
    INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)
    SELECT * , $7::timestamptz
    FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::varchar[], $5::uuid[], $6::text[])
    RETURNING id, workspace_id, livemode, type, data
), queued AS (
    INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at,
        ended_at)
    SELECT gen_random_uuid(), endpoint.id, written.id, {STATE}, 0, $7, $7, {ENDED.format(now="$7::timestamptz")}
    FROM written JOIN webhook_endpoints AS endpoint
        ON endpoint.workspace_id = written.workspace_id AND endpoint.livemode = written.livemode
        AND {IS_KEPT} AND (endpoint.events ? written.type OR endpoint.events ? '*')
        AND {MATCHES.format(data="written.data")}
    RETURNING 1
), called AS (
    {
    WRITE_CALLBACKS.format(
        now="$7::timestamptz",
        changed="unnest($4::varchar[], $5::uuid[], $2::uuid[], $3::bool[])"
        " AS changed (type, resource_id, workspace_id, livemode)",
    )
})
SELECT (SELECT count(*) FROM queued) + (SELECT count(*) FROM called)
"""


# From so many on, COPY is cheaper than arrays, for all its further round trip.
MANY = 100

EVENT_COLUMNS = ("id", "workspace_id", "livemode", "type", "resource_id", "data", "created_at")

DELIVERY_COLUMNS = (
    "id", "endpoint_id", "event_id", "state", "attempt_count", "next_attempt_at", "created_at", "ended_at"
)  # fmt: skip

FIND_SUBSCRIBED = f"""
SELECT id, workspace_id, livemode, events, enabled, event_filter IS NOT NULL AS is_filtered
FROM webhook_endpoints AS endpoint WHERE {IS_KEPT} AND workspace_id = ANY ($1)
"""
# Of events that are written already, for endpoints with a filter.
DELIVER_MATCHING = f"""
INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at, ended_at)
SELECT gen_random_uuid(), endpoint.id, written.id, {STATE}, 0, $3, $3, {ENDED.format(now="$3::timestamptz")}
FROM unnest($1::uuid[]) AS chosen (id) JOIN events AS written ON written.id = chosen.id
    JOIN webhook_endpoints AS endpoint ON endpoint.id = ANY ($2)
        AND endpoint.workspace_id = written.workspace_id AND endpoint.livemode = written.livemode
        AND (endpoint.events ? written.type OR endpoint.events ? '*') AND {MATCHES.format(data="written.data")}
ORDER BY written.id
"""


class _Subscribed(Protocol):
    id: UUID
    workspace_id: UUID
    livemode: bool
    events: list[str]
    enabled: bool
    is_filtered: bool


async def record_events(events: Iterable[NewEvent], now: datetime) -> None:
    """Write events, and a delivery for each endpoint that subscribed to them, in the current transaction.

    What members are told of is written with them.
    """
    rows = list(events)
    if not rows:
        return
    notices = (notice_of(row.type, row.workspace_id, row.livemode, row.data) for row in rows)
    await notify_members(filter(None, notices), now)
    if len(rows) >= MANY:
        await _copy_events(rows, now)
        return
    encode = msgspec.json.encode
    deliveries = await fetch_value(
        WRITE_EVENTS_AND_DELIVERIES,
        [ids.new_id() for _ in rows],
        [row.workspace_id for row in rows],
        [row.livemode for row in rows],
        [row.type.value for row in rows],
        [row.resource_id for row in rows],
        [encode(row.data).decode() for row in rows],
        now,
    )
    if deliveries:
        notify_after_commit(WorkQueue.WEBHOOKS)


async def _copy_events(rows: Sequence[NewEvent], now: datetime) -> None:
    encode = msgspec.json.encode
    event_ids = [ids.new_id() for _ in rows]
    await copy_rows(
        "events",
        EVENT_COLUMNS,
        [
            (id, row.workspace_id, row.livemode, row.type.value, row.resource_id, encode(row.data).decode(), now)
            for id, row in zip(event_ids, rows, strict=True)
        ],
    )
    written = [(row.workspace_id, row.livemode, id, row.type) for id, row in zip(event_ids, rows, strict=True)]
    await _copy_deliveries({row.workspace_id for row in rows}, written, now)
    called = [row for row in rows if row.type in CALLED and not _is_of_campaign(row.data)]
    if called and await fetch_value(
        WRITE_CALLBACKS_OF_MANY,
        [row.type.value for row in called],
        [row.resource_id for row in called],
        [row.workspace_id for row in called],
        [row.livemode for row in called],
        now,
    ):
        notify_after_commit(WorkQueue.WEBHOOKS)


def _is_of_campaign(data: Resource) -> bool:
    """Return whether an event is of a campaign's message: only single messages ask for status callbacks."""
    return isinstance(data, MessageResource) and data.campaign_id is not None


async def record_encoded(
    ctx: Context, pieces: Iterable[bytes], written: Iterable[tuple[bytes, EventType]], now: datetime
) -> None:
    """Write many events of one workspace and mode, and their deliveries, as `record_events` does.

    `pieces` are the encoded rows of EVENT_COLUMNS, as `copy_encoded` takes them; `written` the ids and types in them.
    """
    await copy_encoded("events", EVENT_COLUMNS, pieces)
    rows = ((ctx.workspace_id, ctx.livemode, UUID(bytes=id), type) for id, type in written)
    await _copy_deliveries({ctx.workspace_id}, rows, now)


async def _copy_deliveries(
    workspace_ids: Collection[UUID], written: Iterable[tuple[UUID, bool, UUID, EventType]], now: datetime
) -> None:
    """Deliveries of events that are written, each given as workspace, mode, id and type."""
    endpoints = await fetch(_Subscribed, FIND_SUBSCRIBED, list(workspace_ids))
    if not endpoints:
        return
    events = list(written)
    missed = ("dropped", 0, now, now, now)
    deliveries = [
        (ids.new_id(), endpoint.id, id, *(("pending", 0, now, now, None) if endpoint.enabled else missed))
        for workspace_id, livemode, id, type in events
        for endpoint in endpoints
        if endpoint.workspace_id == workspace_id
        and endpoint.livemode == livemode
        and not endpoint.is_filtered
        and (type.value in endpoint.events or ANY_TYPE in endpoint.events)
    ]
    if deliveries:
        await copy_rows("webhook_deliveries", DELIVERY_COLUMNS, deliveries)
    filtered = [endpoint.id for endpoint in endpoints if endpoint.is_filtered]
    matched = filtered and await execute(DELIVER_MATCHING, [id for _, _, id, _ in events], filtered, now)
    if deliveries or matched:
        notify_after_commit(WorkQueue.WEBHOOKS)


async def get_event(ctx: Context, id: UUID) -> Event:
    """Return one event. Raises NotFound."""
    return await find(ctx, Event, id, prefix=ids.EVENT, noun="event")


@from_replica
async def list_events(ctx: Context, page: PageRequest, *, type: str | None = None) -> Page[Event]:
    """Events, newest first, optionally of one type. Raises InvalidRequest where there is no such type."""
    query = scoped(ctx, Event)
    if type is not None:
        if type not in {each.value for each in EventType}:
            raise InvalidRequest(f"There is no event '{type[:80]}'.", param="type")
        query = query.filter(type=type)
    return await fetch_page(query, page)


async def list_campaign_events(ctx: Context, campaign_ids: Sequence[UUID]) -> dict[UUID, list[rows.EventRow]]:
    """Return what happened to the caller's campaigns, by id: each one's newest MAX_CAMPAIGN_EVENTS, newest first."""
    found = await fetch(
        rows.EventRow, FIND_CAMPAIGN_EVENTS, ctx.workspace_id, ctx.livemode, list(campaign_ids), MAX_CAMPAIGN_EVENTS
    )
    events: dict[UUID, list[rows.EventRow]] = {id: [] for id in campaign_ids}
    for row in found:
        if row.resource_id is not None:
            events[row.resource_id].append(row)
    for each in events.values():
        each.sort(key=lambda row: row.id, reverse=True)
    return events
