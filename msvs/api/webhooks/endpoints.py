"""Webhook endpoints: subscriptions, secrets, test events, and recovery of failed deliveries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from msvs.address_policy import canonical_url, check_url
from msvs.api import ids
from msvs.api.audit import AuditAction, changed, record_audit
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, check_version
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import webhook_resource, webhook_version
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks import replays, signatures
from msvs.api.webhooks.events import MATCHES, EventType, get_event
from msvs.database import execute, fetch_value
from msvs.fields import AT, ULID, AwareTime, Ref, Request, Version, about, id_pattern, named
from msvs.models import Campaign, Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from msvs.models.messages import MetadataValue

EVERY_EVENT = "*"
MAX_WEBHOOKS = 20
MAX_EVENTS = 50
MAX_URL_LENGTH = 2048
MAX_DESCRIPTION_LENGTH = 200
MAX_BATCH_SIZE = 100
BATCH_LIMITS = {"minimum": 1, "maximum": MAX_BATCH_SIZE}
MAX_FILTER_CAMPAIGNS = 50
MAX_FILTER_KEYS = 20
MAX_FILTER_KEY = 40
MAX_FILTER_VALUE = 500
SECRET_OVERLAP = timedelta(hours=24)
LONGEST_RECOVERY = timedelta(days=30)
# Of events that came while an endpoint was disabled, as many as one statement makes deliveries of in a few seconds.
MAX_MISSED = 100_000

# A blank one is no secret.
_secret_shape = re.compile(r"(?=.*[!-~])[ -~]{8,256}", re.ASCII)

# A delivery that is opened again goes through the whole schedule of attempts again.
REOPEN = "state = 'pending', attempt_count = 0, next_attempt_at = $1, lease_until = NULL, ended_at = NULL"

REPLAYED = f"{REOPEN}, replay = true, replay_count = 0"

RESUME_DELIVERIES = f"UPDATE webhook_deliveries SET {REOPEN} WHERE endpoint_id = $2 AND state = 'pending'"

DROP_PENDING_DELIVERIES = (
    "UPDATE webhook_deliveries SET state = 'dropped', ended_at = $1, lease_until = NULL"
    " WHERE endpoint_id = $2 AND state = 'pending'"
)

# Its numbers go with its deliveries, by their age.
FORGET_POSITION = "DELETE FROM webhook_positions WHERE endpoint_id = $1"

RESEND_EVENT = f"""
INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at, replay)
SELECT gen_random_uuid(), endpoint.id, events.id, 'pending', 0, $1, $1, true
FROM webhook_endpoints AS endpoint JOIN events ON events.id = $2
WHERE endpoint.workspace_id = $3 AND endpoint.livemode = $4 AND endpoint.enabled AND {{which}}
ON CONFLICT (endpoint_id, event_id) DO UPDATE SET {REPLAYED}
"""

ONE_ENDPOINT = "endpoint.id = $5::text::uuid"
SUBSCRIBED = f"(endpoint.events ? $5 OR endpoint.events ? '*') AND {MATCHES.format(data='events.data')}"

REOPEN_ENDED = f"""
UPDATE webhook_deliveries SET {REPLAYED}
FROM events
WHERE webhook_deliveries.endpoint_id = $2 AND webhook_deliveries.state IN ('exhausted', 'dropped')
    AND events.id = webhook_deliveries.event_id AND events.created_at >= $3
"""

# Events that no delivery was made of, because the endpoint was disabled when they came.
DELIVER_MISSED = f"""
INSERT INTO webhook_deliveries (id, endpoint_id, event_id, state, attempt_count, next_attempt_at, created_at, replay)
SELECT gen_random_uuid(), endpoint.id, events.id, 'pending', 0, $1, $1, true
FROM webhook_endpoints AS endpoint
    JOIN events ON events.workspace_id = endpoint.workspace_id AND events.livemode = endpoint.livemode
WHERE endpoint.id = $2 AND events.id >= $6 AND events.created_at >= $3
    AND events.type <> $4 AND (endpoint.events ? events.type OR endpoint.events ? '*')
    AND {MATCHES.format(data="events.data")}
    AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE endpoint_id = endpoint.id AND event_id = events.id)
ORDER BY events.id LIMIT $5
ON CONFLICT (endpoint_id, event_id) DO NOTHING
"""


Url = Annotated[str, about("A public https URL.", format="uri", maxLength=MAX_URL_LENGTH)]
EventNames = Annotated[
    list[Annotated[str, about(enum=[EVERY_EVENT, *EventType])]],
    about("The events to subscribe to, or `*` for all.", minItems=1, maxItems=MAX_EVENTS),
]
Description = Annotated[str, about("Its purpose.", maxLength=MAX_DESCRIPTION_LENGTH)]


AutoReplay = Annotated[
    bool,
    about(
        "Whether it is sent what it missed from now on, the oldest first, once it answers again. `false` by default."
    ),
]
StandardWebhooks = Annotated[
    bool,
    about("Whether requests have the headers of Standard Webhooks, too. `false` by default."),
]
BatchSize = Annotated[
    int,
    about("The most events of one request, whose body is then a batch; null for one event each.", **BATCH_LIMITS),
]
WebhookMetadata = Annotated[
    dict[str, Annotated[str, about(maxLength=MAX_FILTER_VALUE)] | int | float | bool | None],
    about(
        "Values that the `metadata` of its event's resource must have.",
        example={"campaign": "cohort_06_close"},
        maxProperties=MAX_FILTER_KEYS,
        propertyNames=named(MAX_FILTER_KEY),
    ),
]
CampaignIds = Annotated[
    list[Annotated[str, Ref(ids.CAMPAIGN)]],
    about("Only events of these campaigns and of their messages.", minItems=1, maxItems=MAX_FILTER_CAMPAIGNS),
]


class WebhookFilter(Request, frozen=True):
    """What an event must match beside its type: all that is given."""

    campaign_ids: Annotated[CampaignIds, about(example=[f"cmp_{ULID}"])] | None = None
    metadata: WebhookMetadata | None = None


FilterField = Annotated[WebhookFilter, about("What an event must match beside its type; null for nothing.")]


class CreateWebhook(Request, frozen=True):
    """A new webhook."""

    url: Annotated[Url, about(example="https://api.cohortlabs.co/webhooks/sms")]
    events: Annotated[
        EventNames,
        about(example=["message.delivered", "message.failed", "message.replied", "contact.opted_out"]),
    ]
    secret: (
        Annotated[str, about("The secret for signatures. If you omit it, one is generated.", pattern="^[ -~]{8,256}$")]
        | None
    ) = None
    description: Description | None = None
    auto_replay: AutoReplay | None = None
    standard_webhooks: StandardWebhooks | None = None
    batch_size: BatchSize | None = None
    filter: FilterField | None = None


class UpdateWebhook(Request, frozen=True):
    """Changes to a webhook. Fields that are left out stay."""

    url: Url | UnsetType = UNSET
    events: Annotated[EventNames, about(example=["*"])] | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: Annotated[bool, about("Whether events are delivered to it.", example=True)] | UnsetType = UNSET
    auto_replay: AutoReplay | UnsetType = UNSET
    standard_webhooks: StandardWebhooks | UnsetType = UNSET
    batch_size: BatchSize | UnsetType | None = UNSET
    filter: FilterField | UnsetType | None = UNSET
    version: Version | UnsetType = UNSET


class RecoverWebhook(Request, frozen=True):
    """The time since which events are to be delivered again."""

    since: Annotated[AwareTime, about("ISO-8601 time with an offset, at most 30 days ago.", example=AT)]


class ResendEvent(Request, frozen=True):
    """The webhook to which to deliver an event again; without one, all that subscribe to it."""

    webhook_id: (
        Annotated[
            str,
            Ref(ids.WEBHOOK),
            about(
                "The webhook to deliver to; if none is given, all that subscribe.",
                example=f"whk_{ULID}",
                pattern=id_pattern(ids.WEBHOOK),
            ),
        ]
        | None
    ) = None


CHANGED = (
    *("url", "events", "description", "enabled", "failing_since", "disabled_reason", "unverified_since"),
    *("auto_replay_since", "standard_webhooks", "batch_size", "event_filter"),
)


async def create_webhook(ctx: Context, data: CreateWebhook) -> tuple[WebhookEndpoint, str]:
    """Subscribe an endpoint to events; the row and its secret, which is shown only once.

    In live its first event is delivered alone, and the others wait until one was answered with 2xx. Raises
    InvalidRequest, and Conflict: `webhook_exists` where the mode has one of the same URL, `webhook_limit` at 20.
    """
    allow(ctx, Permission.WEBHOOKS_WRITE)
    url, events, description = (
        _read_url(ctx, data.url),
        _read_events(data.events),
        _read_description(data.description or ""),
    )
    batch_size = _read_batch_size(data.batch_size)
    secret = signatures.new_secret() if data.secret is None else _read_secret(data.secret)
    if data.standard_webhooks:
        _check_standard(secret, param="secret")
    event_filter = await _read_filter(ctx, data.filter)
    sealed = ctx.services.keyring.seal(secret)
    there = await _hold_endpoints(ctx)
    if len(there) >= MAX_WEBHOOKS:
        raise Conflict(
            f"A workspace may have at most {MAX_WEBHOOKS} webhooks in each mode.", code=ErrorCode.WEBHOOK_LIMIT
        )
    _refuse_known_url(there, url)
    row = await WebhookEndpoint.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        url=url,
        events=events,
        description=description,
        secret_sealed=sealed,
        unverified_since=ctx.services.clock() if ctx.livemode else None,
        auto_replay_since=ctx.services.clock() if data.auto_replay else None,
        standard_webhooks=bool(data.standard_webhooks),
        batch_size=batch_size,
        event_filter=event_filter,
        created_by=ctx.actor,
    )
    await _log(ctx, AuditAction.WEBHOOK_CREATED, row, changed({}, _settings(row)))
    return row, secret


async def get_webhook(ctx: Context, id: UUID) -> WebhookEndpoint:
    """Return one endpoint. Raises NotFound."""
    return await _find(ctx, id)


async def list_webhooks(ctx: Context, page: PageRequest) -> Page[WebhookEndpoint]:
    """Endpoints, newest first."""
    return await fetch_page(scoped(ctx, WebhookEndpoint), page)


async def update_webhook(ctx: Context, id: UUID, data: UpdateWebhook) -> WebhookEndpoint:
    """Change an endpoint; enabling it again makes what is pending for it due at once, from the first attempt on.

    Where it replays, what came while it was disabled follows. In live another URL has to answer as that of a new
    endpoint. Raises NotFound, InvalidRequest, and Conflict code `webhook_exists`.
    """
    allow(ctx, Permission.WEBHOOKS_WRITE)
    url = None if data.url is UNSET else _read_url(ctx, data.url)
    events = None if data.events is UNSET else _read_events(data.events)
    description = None if data.description is UNSET else _read_description(data.description)
    batch_size = None if data.batch_size is UNSET else _read_batch_size(data.batch_size)
    event_filter = None if data.filter is UNSET else await _read_filter(ctx, data.filter)
    there = [] if url is None else await _hold_endpoints(ctx)
    row = await _find(ctx, id, lock=True)
    check_version(data.version, webhook_version(row), "webhook")
    before = _settings(row)
    is_elsewhere = url is not None and canonical_url(url) != canonical_url(row.url)
    if url is not None:
        if is_elsewhere:
            _refuse_known_url(there, url)
            row.unverified_since = ctx.services.clock() if row.livemode else None
        row.url = url
    if events is not None:
        row.events = events
    if description is not None:
        row.description = description
    if data.batch_size is not UNSET:
        row.batch_size = batch_size
    if data.filter is not UNSET:
        row.event_filter = event_filter
    if data.standard_webhooks is not UNSET:
        if data.standard_webhooks and not row.standard_webhooks:
            _check_standard(ctx.services.keyring.open(row.secret_sealed), param="standard_webhooks")
        row.standard_webhooks = data.standard_webhooks
    if data.auto_replay is not UNSET and data.auto_replay != (row.auto_replay_since is not None):
        row.auto_replay_since = ctx.services.clock() if data.auto_replay else None
    resumed = data.enabled is True and not row.enabled
    if data.enabled is not UNSET:
        row.enabled = data.enabled
    if resumed:
        row.failing_since = None
        row.disabled_reason = None
    await row.save(update_fields=CHANGED)
    if resumed:
        if await execute(RESUME_DELIVERIES, ctx.services.clock(), row.id):
            notify_after_commit(WorkQueue.WEBHOOKS)
        await replays.replay_next([row.id], ctx.services.clock())
    changes = changed(before, _settings(row))
    if changes:
        await _log(ctx, AuditAction.WEBHOOK_UPDATED, row, changes)
    return row


async def delete_webhook(ctx: Context, id: UUID) -> None:
    """End a subscription and drop what is pending for it. Raises NotFound."""
    allow(ctx, Permission.WEBHOOKS_WRITE)
    row = await _find(ctx, id, lock=True)
    await execute(DROP_PENDING_DELIVERIES, ctx.services.clock(), row.id)
    await execute(FORGET_POSITION, row.id)
    await row.delete()
    await _log(ctx, AuditAction.WEBHOOK_DELETED, row, changed(_settings(row), {}))


async def rotate_secret(ctx: Context, id: UUID) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret, shown only once; the one before counts for 24 hours more. Raises NotFound."""
    allow(ctx, Permission.WEBHOOKS_WRITE)
    row = await _find(ctx, id, lock=True)
    secret = signatures.new_secret()
    row.previous_secret_sealed = row.secret_sealed
    row.previous_secret_until = ctx.services.clock() + SECRET_OVERLAP
    row.secret_sealed = ctx.services.keyring.seal(secret)
    await row.save(update_fields=["secret_sealed", "previous_secret_sealed", "previous_secret_until"])
    await _log(ctx, AuditAction.WEBHOOK_SECRET_ROTATED, row, {})
    return row, secret


async def send_test(ctx: Context, id: UUID) -> Event:
    """Send one `test.ping` event to this endpoint alone, no matter what it subscribes to.

    One that has answered nothing yet is sent it before the events that wait. Raises NotFound, and Conflict code
    `webhook_disabled`.
    """
    allow(ctx, Permission.WEBHOOKS_WRITE)
    row = await _find_enabled(ctx, id)
    now = ctx.services.clock()
    event = await Event.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        type=EventType.TEST_PING.value,
        resource_id=row.id,
        data=msgspec.json.encode(webhook_resource(row)).decode(),
        created_at=now,
    )
    delivery = await WebhookDelivery.create(endpoint_id=row.id, event_id=event.id, next_attempt_at=now)
    if row.unverified_since is not None:
        row.tested_by = delivery.id
        await row.save(update_fields=["tested_by"])
    notify_after_commit(WorkQueue.WEBHOOKS)
    return event


async def list_attempts(ctx: Context, id: UUID, page: PageRequest) -> Page[WebhookAttempt]:
    """List the attempts made at an endpoint, newest first. Raises NotFound."""
    row = await _find(ctx, id)
    return await fetch_page(scoped(ctx, WebhookAttempt).filter(endpoint_id=row.id), page)


async def resend_event(ctx: Context, event_id: UUID, *, webhook_id: UUID | None = None) -> int:
    """Deliver an event again, to one endpoint or to all enabled ones that subscribe to it; to how many.

    A test event goes to the endpoint that it tests. Raises NotFound, and Conflict code `webhook_disabled` for a single
    endpoint that is.
    """
    allow(ctx, Permission.WEBHOOKS_WRITE)
    event = await get_event(ctx, event_id)
    which, value = SUBSCRIBED, event.type
    if webhook_id is not None:
        row = await _find_enabled(ctx, webhook_id, param="webhook_id")
        which, value = ONE_ENDPOINT, str(row.id)
    elif event.type == EventType.TEST_PING:
        # Any other endpoint that takes all events.
        which, value = ONE_ENDPOINT, str(event.resource_id)
    count = await execute(
        RESEND_EVENT.format(which=which), ctx.services.clock(), event.id, ctx.workspace_id, ctx.livemode, value
    )
    if count:
        notify_after_commit(WorkQueue.WEBHOOKS)
    return count


async def recover(ctx: Context, id: UUID, *, since: datetime) -> int:
    """Deliver to an endpoint what it has not received since a time, at most 30 days back. Return the number of events.

    Those are the ones that were given up, and of those that came while it was disabled and that it now subscribes to
    the oldest 100,000. Raises NotFound, InvalidRequest, and Conflict code `webhook_disabled`.
    """
    allow(ctx, Permission.WEBHOOKS_WRITE)
    now = ctx.services.clock()
    if not now - LONGEST_RECOVERY <= since <= now:
        raise InvalidRequest(
            f"since must be a time in the last {LONGEST_RECOVERY.days} days.",
            param="since",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    row = await _find_enabled(ctx, id)
    count = await execute(REOPEN_ENDED, now, row.id, since)
    missed = (max(since, row.created_at), EventType.TEST_PING.value, MAX_MISSED)
    count += await execute(DELIVER_MISSED, now, row.id, *missed, ids.id_before(missed[0]))
    if count:
        notify_after_commit(WorkQueue.WEBHOOKS)
    return count


async def _hold_endpoints(ctx: Context) -> Sequence[WebhookEndpoint]:
    """Return the endpoints of the mode, under the lock of the workspace's row, so that none is added meanwhile."""
    await fetch_value("SELECT id FROM workspaces WHERE id = $1 FOR UPDATE", ctx.workspace_id)
    return await scoped(ctx, WebhookEndpoint).order_by("id")


def _refuse_known_url(there: Sequence[WebhookEndpoint], url: str) -> None:
    """Raise Conflict where one of the endpoints has this URL, however it is written."""
    wanted = canonical_url(url)
    for row in there:
        if canonical_url(row.url) == wanted:
            raise Conflict(
                "There is a webhook with this URL already; change its events instead.",
                code=ErrorCode.WEBHOOK_EXISTS,
                param="url",
                existing_id=ids.encode_id(ids.WEBHOOK, row.id),
            )


def _settings(row: WebhookEndpoint) -> dict[str, object]:
    """Return what the audit log tells of an endpoint: all that a caller can set but the secret."""
    return {
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "enabled": row.enabled,
        "auto_replay": row.auto_replay_since is not None,
        "standard_webhooks": row.standard_webhooks,
        "batch_size": row.batch_size,
        "filter": row.event_filter,
    }


async def _log(ctx: Context, action: AuditAction, row: WebhookEndpoint, changes: Mapping[str, object]) -> None:
    await record_audit(ctx, action, ids.encode_id(ids.WEBHOOK, row.id), changes)


async def _find(ctx: Context, id: UUID, *, param: str = "id", lock: bool = False) -> WebhookEndpoint:
    return await find(ctx, WebhookEndpoint, id, prefix=ids.WEBHOOK, noun="webhook", param=param, lock=lock)


async def _find_enabled(ctx: Context, id: UUID, *, param: str = "id") -> WebhookEndpoint:
    # Locked, so that a deletion or a disabling at the same moment is seen or waits.
    row = await _find(ctx, id, param=param, lock=True)
    if not row.enabled:
        raise Conflict("The webhook is disabled; enable it first.", code=ErrorCode.WEBHOOK_DISABLED)
    return row


def _read_url(ctx: Context, text: str) -> str:
    policy = ctx.services.address_policy
    try:
        return check_url(text, allow_http_loopback=policy.allow_loopback, policy=policy)
    except ValueError as error:
        raise InvalidRequest(str(error), param="url", code=ErrorCode.URL_INVALID) from None


def _read_events(names: Sequence[str]) -> list[str]:
    if not names:
        raise InvalidRequest("Name at least one event, or '*' for all.", param="events", code=ErrorCode.EVENTS_EMPTY)
    if len(names) > MAX_EVENTS:
        raise InvalidRequest(
            f"events may hold at most {MAX_EVENTS} names.", param="events", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    known = {EVERY_EVENT, *EventType}
    for index, name in enumerate(names):
        if name not in known:
            raise InvalidRequest(
                f"There is no event '{name[:80]}'.", param=f"events[{index}]", code=ErrorCode.EVENT_UNKNOWN
            )
    return list(dict.fromkeys(str(name) for name in names))


def _read_description(text: str | None) -> str:
    text = text or ""
    if len(text) > MAX_DESCRIPTION_LENGTH:
        raise InvalidRequest(
            f"description may have at most {MAX_DESCRIPTION_LENGTH} characters.",
            param="description",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    return text


def _read_batch_size(size: int | None) -> int | None:
    if size is not None and not 1 <= size <= MAX_BATCH_SIZE:
        raise InvalidRequest(
            f"batch_size must be from 1 to {MAX_BATCH_SIZE}.", param="batch_size", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return size


async def _read_filter(ctx: Context, given: WebhookFilter | None) -> dict[str, object] | None:
    """Return a filter as it is kept: what is given of it alone; None where that is nothing.

    Raises InvalidRequest, also for a campaign that is not of the workspace and mode.
    """
    found: dict[str, object] = {}
    if given is not None and given.campaign_ids is not None:
        found["campaign_ids"] = await _read_campaigns(ctx, given.campaign_ids)
    if given is not None and given.metadata:
        found["metadata"] = _read_metadata(given.metadata)
    return found or None


def _read_metadata(metadata: Mapping[str, MetadataValue]) -> dict[str, MetadataValue]:
    """Return the values to look for: of as many keys, and as long, as metadata has. Raises InvalidRequest."""
    param = "filter.metadata"
    if len(metadata) > MAX_FILTER_KEYS or not all(1 <= len(key) <= MAX_FILTER_KEY for key in metadata):
        raise InvalidRequest(
            f"{param} has at most {MAX_FILTER_KEYS} keys of 1 to {MAX_FILTER_KEY} characters.",
            param=param,
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    for key, value in metadata.items():
        if not isinstance(value, str | int | float | None) or (
            isinstance(value, str) and len(value) > MAX_FILTER_VALUE
        ):
            raise InvalidRequest(
                f"A value is text of at most {MAX_FILTER_VALUE} characters, a number, a boolean or null.",
                param=f"{param}.{key}",
            )
    return dict(metadata)


async def _read_campaigns(ctx: Context, texts: Sequence[str]) -> list[str]:
    param = "filter.campaign_ids"
    if not 1 <= len(texts) <= MAX_FILTER_CAMPAIGNS:
        raise InvalidRequest(
            f"{param} names 1 to {MAX_FILTER_CAMPAIGNS} campaigns.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    wanted = [ids.read_id(ids.CAMPAIGN, text, f"{param}[{place}]") for place, text in enumerate(texts)]
    known = set(await scoped(ctx, Campaign).filter(id__in=wanted).values_list("id", flat=True))
    for place, id in enumerate(wanted):
        if id not in known:
            raise InvalidRequest("There is no such campaign.", param=f"{param}[{place}]")
    return [ids.encode_id(ids.CAMPAIGN, id) for id in dict.fromkeys(wanted)]


def _check_standard(secret: str, *, param: str) -> None:
    if signatures.standard_key(secret) is None:
        raise InvalidRequest(
            "The secret is no key for Standard Webhooks: whsec_ and the base64 of 24 to 64 bytes.",
            param=param,
            code=ErrorCode.WEBHOOK_SECRET_NOT_STANDARD,
        )


def _read_secret(text: str) -> str:
    if not _secret_shape.fullmatch(text):
        raise InvalidRequest(
            "secret must be 8 to 256 printable ASCII characters.", param="secret", code=ErrorCode.WEBHOOK_SECRET_INVALID
        )
    return text
