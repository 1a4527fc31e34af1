from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.deliveries import (
    LEASE,
    Attempt,
    Post,
    claim_deliveries,
    drop_stale_deliveries,
    has_due,
    record_attempts,
    release_deliveries,
)
from msvs.api.webhooks.events import EventType
from msvs.api.webhooks.signatures import RETRY_DELAYS
from msvs.database import Row, execute, fetch_value
from msvs.models import DeliveryState, Event, WebhookAttempt, WebhookEndpoint
from tests.receiver import deliveries_of, make_endpoint, write_events

NOW = datetime(2026, 5, 1, 20, 0, tzinfo=UTC)


async def claim(now: datetime = NOW, *, limit: int = 100, per_endpoint: int = 10) -> list[Row]:
    async with unit_of_work():
        return await claim_deliveries(limit=limit, per_endpoint=per_endpoint, now=now)


async def record(
    claimed: Sequence[Row],
    status: int | None,
    now: datetime = NOW,
    *,
    error: str | None = None,
    retry_after: float | None = None,
) -> None:
    post = Post(at=now, status=status, error=error, elapsed_ms=12, head=b"head", retry_after=retry_after)
    async with unit_of_work():
        await record_attempts([Attempt(row, [post]) for row in claimed], now)


async def test_an_event_makes_one_delivery_an_endpoint_that_subscribed(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    named = await make_endpoint(ctx, events=["message.failed", "message.delivered"])
    all_of_them = await make_endpoint(ctx, events=["*", "message.delivered"])
    others = [
        await make_endpoint(ctx, events=["message.failed"]),
        await make_endpoint(ctx, enabled=False),
        await make_endpoint(live_ctx),
        await make_endpoint(other_ctx),
    ]
    event_ids = await write_events(ctx, 3)
    for endpoint in (named, all_of_them):
        rows = await deliveries_of(endpoint.id)
        assert [ids.encode_id(ids.EVENT, row.event_id) for row in rows] == event_ids
        assert {(row.state, row.attempt_count) for row in rows} == {("pending", 0)}
    for endpoint in others:
        assert await deliveries_of(endpoint.id) == []


async def test_a_rolled_back_change_leaves_no_event_and_no_delivery(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)

    async def fail() -> None:
        async with unit_of_work():
            await write_events(ctx)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await deliveries_of(endpoint.id) == []
    assert await Event.all().count() == 0


async def test_a_claim_holds_until_its_lease_ends(ctx: Context) -> None:
    await make_endpoint(ctx)
    await write_events(ctx, now=NOW)
    assert not await has_due(NOW - timedelta(seconds=1))
    assert await claim(NOW - timedelta(seconds=1)) == []
    assert await has_due(NOW)
    (first,) = await claim()
    assert (first.attempt_count, first.lease_until, first.first_at) == (1, NOW + LEASE, NOW)
    later = NOW + LEASE - timedelta(microseconds=1)
    assert not await has_due(later)
    assert await claim(later) == []
    assert await has_due(NOW + LEASE)
    (second,) = await claim(NOW + LEASE)
    assert (second.delivery_id, second.event_id, second.attempt_count) == (first.delivery_id, first.event_id, 2)


@pytest.mark.parametrize("status", [200, 500, 410])
async def test_a_worker_that_was_given_up_changes_nothing(ctx: Context, status: int) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, now=NOW)
    late = await claim()
    (taken_over,) = await claim(NOW + LEASE)
    await make_endpoint(ctx)
    await record(late, status, NOW + LEASE)
    (row,) = await deliveries_of(endpoint.id)
    assert await WebhookAttempt.filter(endpoint_id=endpoint.id).count() == 1
    if status == 410:
        # The endpoint says it is gone, to every request.
        assert row.state == DeliveryState.DROPPED
    else:
        assert (row.state, row.attempt_count, row.lease_until) == ("pending", 2, taken_over.lease_until)


async def test_a_delivery_reopened_in_flight_is_delivered_again(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, now=NOW)
    old = await claim()
    await execute("UPDATE webhook_deliveries SET attempt_count = 0, lease_until = NULL")
    (new,) = await claim(NOW + timedelta(seconds=1))
    assert new.attempt_count == old[0].attempt_count
    await record(old, 200, NOW + timedelta(seconds=2))
    (row,) = await deliveries_of(endpoint.id)
    assert (row.state, row.lease_until) == ("pending", new.lease_until)


async def test_an_endpoint_with_many_pending_events_delays_no_other(ctx: Context) -> None:
    busy, quiet = await make_endpoint(ctx), await make_endpoint(ctx, events=["message.failed"])
    await write_events(ctx, 300, now=NOW - timedelta(hours=1))
    await write_events(ctx, type=EventType.MESSAGE_FAILED, now=NOW)
    claimed = Counter(row.endpoint_id for row in await claim(limit=100, per_endpoint=10))
    assert claimed == {busy.id: 10, quiet.id: 1}


async def test_a_claim_keeps_to_its_limit_and_to_the_room_of_each_endpoint(ctx: Context) -> None:
    full, roomy, unknown = [await make_endpoint(ctx) for _ in range(3)]
    await write_events(ctx, 30, now=NOW)
    async with unit_of_work():
        rows = await claim_deliveries(limit=100, per_endpoint=4, now=NOW, room={full.id: 0, roomy.id: 20})
    assert Counter(row.endpoint_id for row in rows) == {roomy.id: 20, unknown.id: 4}
    assert len(await claim(limit=7)) == 7


async def test_the_longest_due_are_claimed_first(ctx: Context) -> None:
    await make_endpoint(ctx)
    new = await write_events(ctx, now=NOW)
    old = await write_events(ctx, now=NOW - timedelta(minutes=1))
    rows = [*await claim(per_endpoint=1), *await claim(per_endpoint=1)]
    assert [ids.encode_id(ids.EVENT, row.event_id) for row in rows] == old + new


async def test_claims_at_once_share_nothing(ctx: Context) -> None:
    for _ in range(3):
        await make_endpoint(ctx)
    await write_events(ctx, 100, now=NOW)
    claims = await asyncio.gather(*(claim(limit=60, per_endpoint=30) for _ in range(4)))
    claimed = Counter(row.delivery_id for rows in claims for row in rows)
    assert set(claimed.values()) == {1}


async def test_a_disabled_endpoint_is_left_alone(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, now=NOW)
    await WebhookEndpoint.filter(id=endpoint.id).update(enabled=False)
    assert not await has_due(NOW)
    assert await claim() == []


async def test_what_is_given_back_was_never_claimed(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, 2, now=NOW)
    kept, back = await claim()
    async with unit_of_work():
        await release_deliveries([back])
    (again,) = await claim()
    assert (again.delivery_id, again.attempt_count) == (back.delivery_id, 1)
    counts = {row.id: row.attempt_count for row in await deliveries_of(endpoint.id)}
    assert counts == {kept.delivery_id: 1, back.delivery_id: 1}


async def test_a_delivery_whose_event_is_past_its_keeping_is_dropped(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, 3, now=NOW)
    await execute("DELETE FROM events WHERE id = (SELECT id FROM events ORDER BY id LIMIT 1)")
    assert len(await claim(per_endpoint=3)) == 2
    rows = await deliveries_of(endpoint.id)
    assert [row.state for row in rows] == ["dropped", "pending", "pending"]


async def test_undeliverable_deliveries_are_dropped(ctx: Context) -> None:
    kept, disabled, deleted = [await make_endpoint(ctx) for _ in range(3)]
    await write_events(ctx, 3, now=NOW)
    await WebhookEndpoint.filter(id=disabled.id).update(enabled=False)
    await WebhookEndpoint.filter(id=deleted.id).delete()
    await execute("DELETE FROM events WHERE id = (SELECT id FROM events ORDER BY id LIMIT 1)")
    async with unit_of_work():
        assert await drop_stale_deliveries(limit=2, now=NOW) == 2
        assert await drop_stale_deliveries(limit=10, now=NOW) == 2
        assert await drop_stale_deliveries(limit=10, now=NOW) == 0
    states = {
        endpoint.id: [row.state for row in await deliveries_of(endpoint.id)] for endpoint in (kept, disabled, deleted)
    }
    assert states == {
        kept.id: ["pending", "pending", "pending"],
        disabled.id: ["dropped", "pending", "pending"],
        deleted.id: ["dropped", "dropped", "dropped"],
    }


@pytest.mark.parametrize(
    ("status", "error"), [(500, None), (301, None), (404, None), (None, "timeout"), (None, "connect")]
)
async def test_failures_follow_the_schedule_to_its_end(ctx: Context, status: int | None, error: str | None) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, now=NOW)
    now = NOW
    for attempt, delay in enumerate(RETRY_DELAYS[1:], 1):
        (row,) = await claim(now)
        assert row.attempt_count == attempt
        await record([row], status, now, error=error)
        (delivery,) = await deliveries_of(endpoint.id)
        assert (delivery.state, delivery.lease_until, delivery.ended_at) == ("pending", None, None)
        wait = delivery.next_attempt_at - now
        assert 0.9 * delay <= wait <= min(1.1 * delay, delay + timedelta(minutes=2))
        assert await claim(delivery.next_attempt_at - timedelta(microseconds=1)) == []
        now = delivery.next_attempt_at
    assert now - NOW < timedelta(hours=24)
    await record(await claim(now), status, now, error=error)
    (delivery,) = await deliveries_of(endpoint.id)
    assert (delivery.state, delivery.attempt_count, delivery.ended_at) == ("exhausted", 11, now)
    assert not await has_due(now + timedelta(days=30))
    attempts = await WebhookAttempt.filter(endpoint_id=endpoint.id).order_by("created_at")
    assert [row.number for row in attempts] == list(range(1, 12))
    assert {(row.status_code, row.error, row.elapsed_ms, row.response_head) for row in attempts} == {
        (status, error, 12, "head")
    }


async def test_retry_after_is_honoured_within_a_day_of_the_first_attempt(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    # Written long before: the day counts from the first attempt.
    await write_events(ctx, now=NOW - timedelta(days=2))
    now = NOW
    for asked, expected in [
        (7200, timedelta(hours=2)),
        (20 * 3600, timedelta(hours=22)),
        (20 * 3600, timedelta(hours=24)),
    ]:
        await record(await claim(now), 503, now, retry_after=asked)
        (delivery,) = await deliveries_of(endpoint.id)
        assert delivery.next_attempt_at == NOW + expected
        now = delivery.next_attempt_at
    await record(await claim(now), 503, now, retry_after=60)
    (delivery,) = await deliveries_of(endpoint.id)
    assert delivery.state == "exhausted"


async def test_success_ends_a_time_of_failures(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, 3, now=NOW)
    rows = await claim()
    await record(rows[:1], 500)
    assert (await WebhookEndpoint.get(id=endpoint.id)).failing_since == NOW
    await record(rows[1:2], 500, NOW + timedelta(seconds=1))
    assert (await WebhookEndpoint.get(id=endpoint.id)).failing_since == NOW
    await record(rows[2:], 204, NOW + timedelta(seconds=2))
    assert (await WebhookEndpoint.get(id=endpoint.id)).failing_since is None
    states = {row.id: row.state for row in await deliveries_of(endpoint.id)}
    assert [states[row.delivery_id] for row in rows] == ["pending", "pending", "succeeded"]


async def test_a_batch_with_a_success_is_no_failure(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx, failing_since=NOW - timedelta(days=4))
    await write_events(ctx, 2, now=NOW)
    bad, good = await claim()
    async with unit_of_work():
        await record_attempts(
            [Attempt(good, [Post(at=NOW, status=200)]), Attempt(bad, [Post(at=NOW, status=500)])], NOW
        )
    row = await WebhookEndpoint.get(id=endpoint.id)
    assert (row.enabled, row.failing_since) == (True, None)


@pytest.mark.parametrize(("days", "enabled"), [(2, True), (3, False)])
async def test_three_days_of_failures_only_disable_an_endpoint(
    ctx: Context, live_ctx: Context, days: int, enabled: bool
) -> None:
    endpoint = await make_endpoint(ctx, failing_since=NOW - timedelta(days=days))
    witness, elsewhere = await make_endpoint(ctx, events=["webhook.disabled"]), await make_endpoint(live_ctx)
    await write_events(ctx, 2, now=NOW)
    claimed = await claim()
    await record(claimed, 500)
    row = await WebhookEndpoint.get(id=endpoint.id)
    assert (row.enabled, row.disabled_reason) == (enabled, None if enabled else "failing")
    # They are sent when the endpoint is enabled again.
    assert [row.state for row in await deliveries_of(endpoint.id)] == ["pending", "pending"]
    events = await Event.filter(type="webhook.disabled")
    if enabled:
        assert events == []
        return
    (event,) = events
    assert (event.workspace_id, event.livemode, event.resource_id) == (ctx.workspace_id, False, endpoint.id)
    assert json.loads(event.data)["status"] == "disabled"
    assert json.loads(event.data)["disabled_reason"] == "failing"
    assert "secret" not in event.data
    assert [row.event_id for row in await deliveries_of(witness.id)] == [event.id]
    assert await deliveries_of(elsewhere.id) == []


async def test_gone_disables_an_endpoint_and_drops_what_is_pending_for_it(ctx: Context) -> None:
    endpoint, other = await make_endpoint(ctx), await make_endpoint(ctx)
    await write_events(ctx, 3, now=NOW)
    claimed = [row for row in await claim(per_endpoint=1) if row.endpoint_id == endpoint.id]
    await record(claimed, 410)
    row = await WebhookEndpoint.get(id=endpoint.id)
    assert (row.enabled, row.disabled_reason) == (False, "gone")
    assert {(row.state, row.lease_until, row.ended_at) for row in await deliveries_of(endpoint.id)} == {
        ("dropped", None, NOW)
    }
    (event,) = await Event.filter(type="webhook.disabled")
    assert [row.state for row in await deliveries_of(other.id)] == ["pending"] * 4
    assert (await deliveries_of(other.id))[-1].event_id == event.id


async def test_gone_from_an_address_since_changed_disables_nothing(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, now=NOW)
    claimed = await claim()
    await WebhookEndpoint.filter(id=endpoint.id).update(url="http://127.0.0.1:9/new")
    await record(claimed, 410)
    assert (await WebhookEndpoint.get(id=endpoint.id)).enabled
    (delivery,) = await deliveries_of(endpoint.id)
    assert delivery.state == "dropped"


async def test_attempts_at_a_deleted_endpoint_are_logged_and_settle_nothing(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx, now=NOW)
    claimed = await claim()
    await WebhookEndpoint.filter(id=endpoint.id).delete()
    await execute("UPDATE webhook_deliveries SET state = 'dropped', ended_at = $1, lease_until = NULL", NOW)
    await record(claimed, 500)
    assert await fetch_value("SELECT count(*) FROM webhook_attempts") == 1
    assert [row.state for row in await deliveries_of(endpoint.id)] == ["dropped"]


async def test_workers_that_record_at_once_do_not_stop_each_other(ctx: Context) -> None:
    endpoints = [await make_endpoint(ctx) for _ in range(4)]
    await write_events(ctx, 40, now=NOW)
    rows = await claim(limit=160, per_endpoint=40)
    assert len(rows) == 160
    await asyncio.gather(*(record(rows[worker::8], 200 if worker % 2 else 500) for worker in range(8)))
    for endpoint in endpoints:
        states = Counter(row.state for row in await deliveries_of(endpoint.id))
        assert states.total() == 40
        assert set(states) <= {"pending", "succeeded"}
    assert await WebhookAttempt.all().count() == 160
