"""The health of an endpoint: whether it answers, what waits for it and what it missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from msvs import present
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.resources import WebhookHealthResource, optional_moment
from msvs.api.scope import find
from msvs.api.webhooks.endpoints import LONGEST_RECOVERY
from msvs.api.webhooks.replays import MAX_REPLAYS
from msvs.database import fetch_row
from msvs.models import WebhookEndpoint
from msvs.models.rows import WebhookEndpointRow

MOST_COUNTED = 10_000
RECENT = timedelta(hours=24)
MOST_RECENT = 1000
# Attempts that are looked at for the last that was taken, before the endpoint began to fail.
MOST_SEARCHED = 1000

_MEASURE = f"""
WITH recent AS MATERIALIZED (
    SELECT status_code, error, elapsed_ms FROM webhook_attempts
    WHERE endpoint_id = $1 AND id >= $2 AND created_at >= $5 ORDER BY id DESC LIMIT {MOST_RECENT}
), last AS (
    SELECT status_code, error FROM webhook_attempts WHERE endpoint_id = $1 ORDER BY id DESC LIMIT 1
), searched AS MATERIALIZED (
    SELECT created_at, status_code FROM webhook_attempts
    WHERE endpoint_id = $1 AND id <= id_floor($3) AND created_at <= $3 ORDER BY id DESC LIMIT {MOST_SEARCHED}
)
SELECT
    (SELECT count(*) FROM (
        SELECT FROM webhook_deliveries WHERE state = 'pending' AND endpoint_id = $1 LIMIT {MOST_COUNTED}
    ) AS waiting) AS pending_count,
    (SELECT count(*) FROM (
        SELECT FROM webhook_deliveries WHERE endpoint_id = $1 AND state IN ('exhausted', 'dropped')
            AND replay_count < {MAX_REPLAYS} AND event_id >= $4 {{is_recoverable}} LIMIT {MOST_COUNTED}
    ) AS missed) AS missed_count,
    EXISTS (
        SELECT FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'pending' AND replay_count > 0
    ) AS is_replaying,
    coalesce((SELECT sequence FROM webhook_positions WHERE endpoint_id = $1), 0) AS last_sequence,
    (SELECT max(created_at) FROM searched WHERE status_code BETWEEN 200 AND 299) AS last_success_at,
    (SELECT CASE WHEN status_code BETWEEN 200 AND 299 THEN NULL ELSE coalesce(status_code::text, error) END FROM last)
        AS last_error,
    (SELECT count(*) FROM recent) AS recent_attempt_count,
    (SELECT count(*) FROM recent WHERE status_code BETWEEN 200 AND 299) AS recent_success_count,
    (SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY elapsed_ms) FROM recent) AS median_ms,
    (SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY elapsed_ms) FROM recent) AS p95_ms
"""
MEASURE = _MEASURE.format(is_recoverable="")
# Ids tell no time there, so the rows are asked for theirs.
MEASURE_BY_CLOCK = _MEASURE.format(is_recoverable="AND created_at >= $6")


class HealthStatus(StrEnum):
    """How deliveries to an endpoint go."""

    HEALTHY = "healthy"
    FAILING = "failing"
    REPLAYING = "replaying"
    WAITING = "waiting"
    DISABLED = "disabled"


class _Measured(Protocol):
    pending_count: int
    missed_count: int
    is_replaying: bool
    last_sequence: int
    last_success_at: datetime | None
    last_error: str | None
    recent_attempt_count: int
    recent_success_count: int
    median_ms: int | None
    p95_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookHealth:
    """What is known of an endpoint; counts are bounded, durations are in milliseconds."""

    webhook_id: UUID
    status: HealthStatus
    failing_since: datetime | None
    last_success_at: datetime | None
    last_error: str | None
    pending_count: int
    missed_count: int
    last_sequence: int
    recent_attempt_count: int
    recent_success_count: int
    median_ms: int | None
    p95_ms: int | None


async def get_health(ctx: Context, id: UUID) -> WebhookHealth:
    """Return the health of an endpoint, by one statement over a bounded part of its deliveries. Raises NotFound."""
    row = await find(ctx, WebhookEndpoint, id, prefix=ids.WEBHOOK, noun="webhook")
    now = ctx.services.clock()
    # Its last success lies before it began to fail.
    searched = (row.failing_since or now) + timedelta(seconds=1)
    recent, recoverable = now - RECENT, now - LONGEST_RECOVERY
    values = (row.id, ids.id_from(recent), searched, ids.id_from(recoverable), recent)
    if present.moment() is None:
        found = await fetch_row(_Measured, MEASURE, *values)
    else:
        found = await fetch_row(_Measured, MEASURE_BY_CLOCK, *values, recoverable)
    if found is None:
        raise RuntimeError("a statement without FROM gave no row")
    return WebhookHealth(
        webhook_id=row.id,
        status=_status(row, found),
        failing_since=row.failing_since,
        last_success_at=found.last_success_at,
        last_error=found.last_error,
        pending_count=found.pending_count,
        missed_count=found.missed_count,
        last_sequence=found.last_sequence,
        recent_attempt_count=found.recent_attempt_count,
        recent_success_count=found.recent_success_count,
        median_ms=found.median_ms,
        p95_ms=found.p95_ms,
    )


def _status(row: WebhookEndpointRow, found: _Measured) -> HealthStatus:
    states: Sequence[tuple[bool, HealthStatus]] = (
        (not row.enabled, HealthStatus.DISABLED),
        (row.unverified_since is not None, HealthStatus.WAITING),
        (row.failing_since is not None, HealthStatus.FAILING),
        (found.is_replaying, HealthStatus.REPLAYING),
    )
    return next((status for holds, status in states if holds), HealthStatus.HEALTHY)


def webhook_health_resource(health: WebhookHealth) -> WebhookHealthResource:
    """Return the shape of a webhook's health."""
    return WebhookHealthResource(
        webhook_id=ids.encode_id(ids.WEBHOOK, health.webhook_id),
        status=health.status.value,
        failing_since=optional_moment(health.failing_since),
        last_success_at=optional_moment(health.last_success_at),
        last_error=health.last_error,
        pending_count=health.pending_count,
        missed_count=health.missed_count,
        last_sequence=health.last_sequence,
        recent_attempt_count=health.recent_attempt_count,
        recent_success_count=health.recent_success_count,
        median_ms=health.median_ms,
        p95_ms=health.p95_ms,
    )
