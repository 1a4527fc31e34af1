"""Webhook deliveries: claim due ones under a lease, and record the answers of receivers; no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs import looks
from msvs.api import ids
from msvs.api.resources import webhook_resource
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks import replays, signatures
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute, fetch, fetch_value
from msvs.looks import ByKey
from msvs.models import DeliveryState
from msvs.models.rows import EventRow, WebhookEndpointRow

LEASE = timedelta(seconds=30)
FAILING_LIMIT = timedelta(days=3)
GONE = 410

REASON_GONE = "gone"
REASON_FAILING = "failing"

# Endpoints with something pending, each with its first delivery.
WAITING_ENDPOINTS = looks.statement_of(
    looks.Queue(
        table="webhook_deliveries",
        key="endpoint_id",
        key_type="uuid",
        least=looks.LEAST_ID,
        time="next_attempt_at",
        due_at="next_attempt_at",
        waits="state = 'pending'",
    )
)
# The receivers of the latest attempts, for which deliveries were made of late. What is only inserted has no dead rows.
RECENT_ENDPOINTS = """
SELECT DISTINCT endpoint_id AS key FROM (
    SELECT endpoint_id FROM webhook_attempts WHERE id >= id_floor(now() - interval '1 hour') ORDER BY id DESC LIMIT 100
) AS latest
"""

# Of an endpoint that has answered nothing yet: the one delivery that may be made, a test or that of the oldest event.
ONE_OF_UNVERIFIED = """coalesce(
    (SELECT id FROM webhook_deliveries WHERE id = {endpoint}.tested_by AND state = 'pending'),
    (
        SELECT oldest.id FROM webhook_deliveries AS oldest
        WHERE oldest.endpoint_id = {id} AND oldest.state = 'pending' ORDER BY oldest.event_id LIMIT 1
    )
)"""

# The number of a row by its key, from an object that is made once. A join of rows that PostgreSQL takes for one, as it
# does those of a WITH, compares each with each.
_LOOK_UP = "((SELECT jsonb_object_agg({key}, sequence) FROM {of}) ->> {key}::text)::bigint"

# At random, so that no endpoint stands behind the same ones at every claim.
CLAIM_DELIVERIES = f"""
WITH lanes AS MATERIALIZED (
    SELECT endpoint_id, first_at, coalesce(room.deliveries, $3) AS room, unverified_since, tested_by
    FROM unnest($7::uuid[], $8::timestamptz[]) AS waiting (endpoint_id, first_at)
    JOIN webhook_endpoints ON webhook_endpoints.id = waiting.endpoint_id AND webhook_endpoints.enabled
    LEFT JOIN unnest($1::uuid[], $2::int[]) AS room (endpoint_id, deliveries) USING (endpoint_id)
    WHERE coalesce(room.deliveries, $3) > 0
    ORDER BY random()
), picked AS MATERIALIZED (
    SELECT due.id, due.endpoint_id, due.event_id, due.sequence FROM lanes CROSS JOIN LATERAL (
        SELECT id, endpoint_id, event_id, sequence FROM webhook_deliveries
        WHERE state = 'pending' AND endpoint_id = lanes.endpoint_id AND next_attempt_at <= $5
            AND next_attempt_at >= lanes.first_at
            AND (lease_until IS NULL OR lease_until <= $5)
            AND (
                lanes.unverified_since IS NULL
                OR id = {ONE_OF_UNVERIFIED.format(endpoint="lanes", id="lanes.endpoint_id")}
            )
        ORDER BY next_attempt_at, id LIMIT lanes.room FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT $4
), unnumbered AS MATERIALIZED (
    SELECT id, endpoint_id, event_id, row_number() OVER by_event - count(*) OVER (PARTITION BY endpoint_id) AS place
    FROM picked WHERE sequence IS NULL AND EXISTS (SELECT FROM events WHERE events.id = picked.event_id)
    WINDOW by_event AS (PARTITION BY endpoint_id ORDER BY event_id)
), ends AS (
    INSERT INTO webhook_positions AS position (endpoint_id, sequence)
    SELECT endpoint_id, count(*) FROM unnumbered GROUP BY endpoint_id ORDER BY endpoint_id
    ON CONFLICT (endpoint_id) DO UPDATE SET sequence = position.sequence + excluded.sequence
    RETURNING endpoint_id, sequence
), numbered AS MATERIALIZED (
    SELECT id, endpoint_id, event_id, place + {_LOOK_UP.format(of="ends", key="endpoint_id")} AS sequence
    FROM unnumbered
), kept AS (
    INSERT INTO webhook_sequences (endpoint_id, sequence, event_id) SELECT endpoint_id, sequence, event_id FROM numbered
), taken AS (
    UPDATE webhook_deliveries SET attempt_count = attempt_count + 1, lease_until = $6,
        created_at = CASE WHEN attempt_count = 0 THEN $5 ELSE created_at END,
        sequence = coalesce(webhook_deliveries.sequence, {_LOOK_UP.format(of="numbered", key="id")})
    WHERE id = ANY (ARRAY(SELECT id FROM picked))
    RETURNING *
)
SELECT taken.id AS delivery_id, taken.endpoint_id, taken.attempt_count, taken.lease_until,
    taken.created_at AS first_at, webhook_endpoints.url, webhook_endpoints.secret_sealed,
    webhook_endpoints.previous_secret_sealed, webhook_endpoints.previous_secret_until,
    webhook_endpoints.failing_since, webhook_endpoints.unverified_since,
    webhook_endpoints.workspace_id, webhook_endpoints.livemode, webhook_endpoints.standard_webhooks,
    webhook_endpoints.batch_size, taken.sequence, taken.replay, taken.replay_count, taken.event_id,
    events.id IS NULL AS is_lost, events.id, events.resource_id, events.type, events.data,
    events.created_at
FROM taken
JOIN webhook_endpoints ON webhook_endpoints.id = taken.endpoint_id
LEFT JOIN events ON events.id = taken.event_id
ORDER BY taken.next_attempt_at, taken.sequence
"""

HAS_DUE = f"""
SELECT EXISTS (
    SELECT FROM unnest($2::uuid[], $3::timestamptz[]) AS waiting (endpoint_id, first_at) JOIN webhook_endpoints
        ON webhook_endpoints.id = waiting.endpoint_id AND webhook_endpoints.enabled
    WHERE EXISTS (
        SELECT FROM webhook_deliveries AS due
        WHERE state = 'pending' AND endpoint_id = waiting.endpoint_id AND next_attempt_at <= $1
            AND next_attempt_at >= waiting.first_at
            AND (lease_until IS NULL OR lease_until <= $1)
            AND (
                webhook_endpoints.unverified_since IS NULL
                OR due.id = {ONE_OF_UNVERIFIED.format(endpoint="webhook_endpoints", id="webhook_endpoints.id")}
            )
    )
)
"""

# What became pending just as its endpoint was deleted, or outlived its event while the endpoint was disabled.
DROP_STALE = """
WITH stale AS MATERIALIZED (
    SELECT left_over.id FROM unnest($3::uuid[], $4::timestamptz[]) AS waiting (endpoint_id, first_at)
    LEFT JOIN webhook_endpoints ON webhook_endpoints.id = waiting.endpoint_id
    CROSS JOIN LATERAL (
        SELECT id FROM webhook_deliveries
        WHERE state = 'pending' AND endpoint_id = waiting.endpoint_id AND next_attempt_at >= waiting.first_at AND (
            webhook_endpoints.id IS NULL
            OR NOT EXISTS (SELECT FROM events WHERE events.id = webhook_deliveries.event_id)
        )
        LIMIT $2 FOR UPDATE SKIP LOCKED
    ) AS left_over
    WHERE webhook_endpoints.enabled IS NOT TRUE
    LIMIT $2
)
UPDATE webhook_deliveries SET state = 'dropped', ended_at = $1, lease_until = NULL
WHERE id = ANY (ARRAY(SELECT id FROM stale))
"""

DROP_DELIVERIES = (
    "UPDATE webhook_deliveries SET state = 'dropped', ended_at = $2, lease_until = NULL WHERE id = ANY ($1)"
)

# The count of attempts and the end of the lease are the claim's mark: another claim, or anyone who opened the
# delivery again or ended it meanwhile, has changed them.
SETTLE = """
UPDATE webhook_deliveries SET state = outcome.state, lease_until = NULL,
    next_attempt_at = coalesce(outcome.next_attempt_at, webhook_deliveries.next_attempt_at),
    ended_at = CASE WHEN outcome.state = 'pending' THEN NULL ELSE $6::timestamptz END
FROM unnest($1::uuid[], $2::int[], $3::timestamptz[], $4::varchar[], $5::timestamptz[])
    AS outcome (id, attempt_count, lease_until, state, next_attempt_at)
WHERE webhook_deliveries.id = outcome.id
    AND webhook_deliveries.attempt_count = outcome.attempt_count
    AND webhook_deliveries.lease_until = outcome.lease_until
"""

RELEASE_DELIVERIES = """
UPDATE webhook_deliveries SET attempt_count = webhook_deliveries.attempt_count - 1, lease_until = NULL
FROM unnest($1::uuid[], $2::int[], $3::timestamptz[]) AS claimed (id, attempt_count, lease_until)
WHERE webhook_deliveries.id = claimed.id
    AND webhook_deliveries.attempt_count = claimed.attempt_count
    AND webhook_deliveries.lease_until = claimed.lease_until
"""

INSERT_ATTEMPTS = """
INSERT INTO webhook_attempts (id, workspace_id, livemode, endpoint_id, event_id, number, status_code, error,
    response_head, elapsed_ms, created_at, replay)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bool[], $4::uuid[], $5::uuid[], $6::smallint[], $7::smallint[],
    $8::varchar[], $9::text[], $10::int[], $11::timestamptz[], $12::bool[])
"""

# Operations lock an endpoint before its deliveries; so does this, weakly enough for many workers at once.
HOLD_ENDPOINTS = """
SELECT id, url, enabled, failing_since, unverified_since, auto_replay_since IS NOT NULL AS replays
FROM webhook_endpoints WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE
"""

MARK_FAILING = "UPDATE webhook_endpoints SET failing_since = $2 WHERE id = ANY ($1) AND failing_since IS NULL"
VERIFIED = "UPDATE webhook_endpoints SET unverified_since = NULL, tested_by = NULL WHERE id = ANY ($1)"
CLEAR_FAILING = "UPDATE webhook_endpoints SET failing_since = NULL WHERE id = ANY ($1) AND failing_since IS NOT NULL"
DISABLE_ENDPOINT = (
    "UPDATE webhook_endpoints SET enabled = false, disabled_reason = $2 WHERE id = $1 AND enabled RETURNING *"
)
DROP_PENDING = """
UPDATE webhook_deliveries SET state = 'dropped', ended_at = $2, lease_until = NULL
WHERE endpoint_id = $1 AND state = 'pending'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One POST and what came of it: a status, or the error code that stands for no answer."""

    at: datetime
    status: int | None = None
    error: str | None = None
    head: bytes = b""
    elapsed_ms: int = 0
    retry_after: float | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the receiver took the event."""
        return self.status is not None and 200 <= self.status < 300


class ClaimedDelivery(EventRow, Protocol):
    """A claimed delivery: the columns of its event, of its endpoint, and the claim's mark."""

    @property
    def event_id(self) -> UUID: ...

    @property
    def endpoint_id(self) -> UUID: ...

    @property
    def url(self) -> str: ...

    @property
    def secret_sealed(self) -> str: ...

    @property
    def previous_secret_sealed(self) -> str | None: ...

    @property
    def previous_secret_until(self) -> datetime | None: ...

    @property
    def failing_since(self) -> datetime | None: ...

    @property
    def unverified_since(self) -> datetime | None: ...

    @property
    def delivery_id(self) -> UUID: ...

    @property
    def attempt_count(self) -> int: ...

    @property
    def lease_until(self) -> datetime: ...

    @property
    def first_at(self) -> datetime: ...

    @property
    def standard_webhooks(self) -> bool: ...

    @property
    def batch_size(self) -> int | None: ...

    @property
    def sequence(self) -> int: ...

    @property
    def replay(self) -> bool: ...

    @property
    def replay_count(self) -> int: ...


class _Taken(ClaimedDelivery, Protocol):
    """A delivery as it was taken; where `is_lost`, its event is past its retention and its columns are null."""

    @property
    def is_lost(self) -> bool: ...


class _HeldEndpoint(Protocol):
    id: UUID
    url: str
    enabled: bool
    failing_since: datetime | None
    unverified_since: datetime | None
    replays: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt at a claimed delivery: the last of its posts decides (a rotation may take two)."""

    claimed: ClaimedDelivery
    posts: Sequence[Post]


class EndpointLooks(ByKey[UUID]):
    """The looks of a process at what webhook endpoints wait for."""


class _Endpoint(Protocol):
    key: UUID


async def find_waiting(
    now: datetime, endpoints: EndpointLooks, until: datetime | None = None
) -> tuple[list[UUID], list[datetime]]:
    """Return the endpoints with something pending, due by a time if one is given, and when their first is due."""
    likely = [row.key for row in await fetch(_Endpoint, RECENT_ENDPOINTS)] if endpoints.is_full else ()
    found = await endpoints.find(now, WAITING_ENDPOINTS, likely=likely)
    due = {key: first for key, first in found.items() if until is None or first <= until}
    return list(due), list(due.values())


async def has_due(now: datetime, endpoints: EndpointLooks | None = None) -> bool:
    """Return whether any delivery to an enabled endpoint is due and not already being made."""
    return bool(await fetch_value(HAS_DUE, now, *await find_waiting(now, endpoints or EndpointLooks(), now)))


async def claim_deliveries(
    *,
    limit: int,
    per_endpoint: int,
    now: datetime,
    room: Mapping[UUID, int] | None = None,
    endpoints: EndpointLooks | None = None,
) -> list[ClaimedDelivery]:
    """Take up to `limit` due deliveries until `now` + LEASE, those longest due first within an endpoint.

    At most `per_endpoint` an endpoint, or what `room` says for it; 0 leaves it out. Each row has the event's
    columns, the endpoint's and, as its mark, `delivery_id`, `attempt_count` and `lease_until`.
    """
    room = room or {}
    values = (list(room), list(room.values()), per_endpoint, limit, now, now + LEASE)
    waiting = await find_waiting(now, endpoints or EndpointLooks(), now)
    rows = await fetch(_Taken, CLAIM_DELIVERIES, *values, *waiting)
    lost = [row.delivery_id for row in rows if row.is_lost]
    if lost:
        # The event is past its keeping; nothing is left to send.
        await execute(DROP_DELIVERIES, lost, now)
    return [row for row in rows if not row.is_lost]


async def drop_stale_deliveries(*, limit: int, now: datetime, endpoints: EndpointLooks | None = None) -> int:
    """Drop pending deliveries whose endpoint is deleted, or is disabled and their event past its retention.

    Return the count.
    """
    return await execute(DROP_STALE, now, limit, *await find_waiting(now, endpoints or EndpointLooks()))


async def release_deliveries(claimed: Iterable[ClaimedDelivery]) -> None:
    """Give back claimed deliveries that no post was made for, as if they had not been claimed."""
    rows = list(claimed)
    await execute(
        RELEASE_DELIVERIES,
        [row.delivery_id for row in rows],
        [row.attempt_count for row in rows],
        [row.lease_until for row in rows],
    )


async def record_attempts(attempts: Iterable[Attempt], now: datetime) -> None:
    """Log attempts, settle their deliveries, and disable endpoints that are gone or failing for 3 days.

    A delivery that another claim holds by now, or that was opened again, is logged and otherwise left alone.
    """
    done = list(attempts)
    if not done:
        return
    well = {attempt.claimed.endpoint_id for attempt in done if attempt.posts[-1].succeeded}
    gone = {(attempt.claimed.endpoint_id, attempt.claimed.url) for attempt in done if attempt.posts[-1].status == GONE}
    touched = {attempt.claimed.endpoint_id for attempt in done}
    endpoints = await fetch(_HeldEndpoint, HOLD_ENDPOINTS, list(touched))
    await _log(done)
    await _settle(done, now)
    # What another URL answered, which it had before, proves nothing.
    answered = {(each.claimed.endpoint_id, each.claimed.url) for each in done if each.posts[-1].succeeded}
    verified = sorted(row.id for row in endpoints if row.unverified_since and (row.id, row.url) in answered)
    if verified and await execute(VERIFIED, verified):
        notify_after_commit(WorkQueue.WEBHOOKS)
    recovered = sorted(row.id for row in endpoints if row.id in well and row.failing_since is not None)
    if recovered:
        await execute(CLEAR_FAILING, recovered)
    failing = [row for row in endpoints if row.id not in well]
    newly = sorted(row.id for row in failing if row.failing_since is None)
    if newly:
        await execute(MARK_FAILING, newly, now)
    for row in endpoints:
        if row.enabled and (row.id, row.url) in gone:
            await _disable(row.id, REASON_GONE, now)
            await execute(DROP_PENDING, row.id, now)
    for row in failing:
        if row.enabled and row.failing_since is not None and now - row.failing_since >= FAILING_LIMIT:
            await _disable(row.id, REASON_FAILING, now)
    # Last, as it waits for other workers that record attempts at the same endpoints.
    answering = [row for row in endpoints if row.enabled and row.id in well and (row.id, row.url) not in gone]
    await replays.replay_next([row.id for row in answering if row.replays], now)


async def _log(done: Sequence[Attempt]) -> None:
    posts = [(attempt.claimed, post) for attempt in done for post in attempt.posts]
    await execute(
        INSERT_ATTEMPTS,
        [ids.new_id() for _ in posts],
        [claimed.workspace_id for claimed, _ in posts],
        [claimed.livemode for claimed, _ in posts],
        [claimed.endpoint_id for claimed, _ in posts],
        [claimed.event_id for claimed, _ in posts],
        [claimed.attempt_count for claimed, _ in posts],
        [post.status for _, post in posts],
        [post.error for _, post in posts],
        # PostgreSQL's text holds no NUL.
        [post.head.decode(errors="replace").replace("\0", "\ufffd") for _, post in posts],
        [post.elapsed_ms for _, post in posts],
        [post.at for _, post in posts],
        [claimed.replay for claimed, _ in posts],
    )


async def _settle(done: Sequence[Attempt], now: datetime) -> None:
    outcomes = [_outcome(attempt, now) for attempt in done]
    await execute(
        SETTLE,
        [attempt.claimed.delivery_id for attempt in done],
        [attempt.claimed.attempt_count for attempt in done],
        [attempt.claimed.lease_until for attempt in done],
        [state.value for state, _ in outcomes],
        [next_attempt_at for _, next_attempt_at in outcomes],
        now,
    )


def _outcome(attempt: Attempt, now: datetime) -> tuple[DeliveryState, datetime | None]:
    last = attempt.posts[-1]
    if last.succeeded:
        return DeliveryState.SUCCEEDED, None
    if last.status == GONE:
        return DeliveryState.DROPPED, None
    claimed = attempt.claimed
    next_attempt_at = None
    if not replays.is_over(claimed.replay_count, claimed.attempt_count):
        next_attempt_at = signatures.retry_at(
            claimed.attempt_count, now, retry_after=last.retry_after, first_at=claimed.first_at
        )
    if next_attempt_at is None and claimed.unverified_since is not None:
        # What waits behind it waits on, until the endpoint is disabled.
        next_attempt_at = now + signatures.RETRY_DELAYS[-1]
    return (DeliveryState.EXHAUSTED if next_attempt_at is None else DeliveryState.PENDING), next_attempt_at


async def _disable(endpoint_id: UUID, reason: str, now: datetime) -> None:
    rows = await fetch(WebhookEndpointRow, DISABLE_ENDPOINT, endpoint_id, reason)
    await record_events(
        [
            NewEvent(EventType.WEBHOOK_DISABLED, row.workspace_id, row.livemode, row.id, webhook_resource(row))
            for row in rows
        ],
        now,
    )
