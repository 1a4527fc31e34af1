from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from msvs.address_policy import AddressPolicy
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ApiError, Conflict, InvalidRequest, NotFound, Unavailable
from msvs.api.notifier import Notifier, notifying
from msvs.api.pages import PageRequest
from msvs.api.resources import webhook_resource
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.endpoints import CreateWebhook, UpdateWebhook
from msvs.api.webhooks.events import EventType
from msvs.api.webhooks.signatures import SECRET_PREFIX
from msvs.database import execute, fetch_value
from msvs.models import Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from msvs.settings import PRODUCTION, Settings
from tests.engines import Engines
from tests.receiver import SECRET, deliveries_of, make_endpoint, write_events
from tests.services import SERVICES, use_address_policy

URL = "https://api.cohortlabs.co/webhooks/sms"


pytestmark = pytest.mark.usefixtures("loopback_webhooks")


async def create(ctx: Context, **values: Any) -> tuple[WebhookEndpoint, str]:
    async with unit_of_work():
        return await endpoints.create_webhook(
            ctx, CreateWebhook(**({"url": URL, "events": ["message.delivered"]} | values))
        )


async def update(ctx: Context, endpoint: WebhookEndpoint, **values: Any) -> WebhookEndpoint:
    async with unit_of_work():
        return await endpoints.update_webhook(ctx, endpoint.id, UpdateWebhook(**values))


async def test_a_webhook_is_made_with_a_secret_that_is_sealed(ctx: Context) -> None:
    row, secret = await create(ctx, events=["message.delivered", "contact.opted_out", "message.delivered"])
    assert secret.startswith(SECRET_PREFIX)
    stored = await endpoints.get_webhook(ctx, row.id)
    assert secret not in stored.secret_sealed
    assert SERVICES.keyring.open(stored.secret_sealed) == secret
    assert (stored.url, stored.events, stored.description, stored.enabled) == (
        URL,
        ["message.delivered", "contact.opted_out"],
        "",
        True,
    )
    assert (stored.workspace_id, stored.livemode) == (ctx.workspace_id, ctx.livemode)
    resource = webhook_resource(stored)
    assert resource.status == "enabled"
    assert resource.id == ids.encode_id(ids.WEBHOOK, row.id)


@pytest.mark.parametrize("given", ["whsec_0123456789", "0123456789abcdef", "~" * 256, "with spaces and ' quotes"])
async def test_a_callers_own_secret_is_kept(ctx: Context, given: str) -> None:
    row, secret = await create(ctx, secret=given, events=["*"], description="CRM")
    stored = await endpoints.get_webhook(ctx, row.id)
    assert secret == given == SERVICES.keyring.open(stored.secret_sealed)
    assert (stored.events, stored.description) == (["*"], "CRM")


REFUSED: list[tuple[Mapping[str, Any], str, str]] = [
    ({"url": "http://api.cohortlabs.co/hook"}, "url_invalid", "url"),
    ({"url": "https://169.254.169.254/latest"}, "url_invalid", "url"),
    ({"url": "https://user:pass@api.cohortlabs.co/"}, "url_invalid", "url"),
    ({"url": "https://api.cohortlabs.co/" + "a" * 2048}, "url_invalid", "url"),
    ({"url": "webhooks"}, "url_invalid", "url"),
    ({"events": []}, "events_empty", "events"),
    ({"events": ["message.delivered", "message.eaten"]}, "event_unknown", "events[1]"),
    ({"events": ["message.delivered"] * 51}, "parameter_out_of_range", "events"),
    ({"description": "a" * 201}, "parameter_out_of_range", "description"),
]


@pytest.mark.parametrize(
    ("values", "code", "param"),
    [
        *REFUSED,
        ({"secret": "a" * 7}, "webhook_secret_invalid", "secret"),
        ({"secret": " " * 20}, "webhook_secret_invalid", "secret"),
        ({"secret": "a" * 257}, "webhook_secret_invalid", "secret"),
        ({"secret": "0123456789abcdef\n"}, "webhook_secret_invalid", "secret"),
        ({"secret": "0123456789abcdeé"}, "webhook_secret_invalid", "secret"),
    ],
)
async def test_what_cannot_be_subscribed(ctx: Context, values: Mapping[str, Any], code: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await create(ctx, **values)
    assert (refused.value.code, refused.value.param) == (code, param)
    assert await WebhookEndpoint.all().count() == 0


@pytest.mark.parametrize(("values", "code", "param"), REFUSED)
async def test_what_a_webhook_cannot_be_changed_to(
    ctx: Context, values: Mapping[str, Any], code: str, param: str
) -> None:
    endpoint = await make_endpoint(ctx)
    with pytest.raises(InvalidRequest) as refused:
        await update(ctx, endpoint, **values)
    assert (refused.value.code, refused.value.param) == (code, param)
    stored = await endpoints.get_webhook(ctx, endpoint.id)
    assert (stored.url, stored.events, stored.description) == (endpoint.url, ["*"], "")


@pytest.mark.parametrize(
    ("settings", "url", "admitted"),
    [
        (Settings(), "http://127.0.0.1:9999/hook", True),
        (Settings(), "http://10.1.2.3/hook", False),
        (Settings(environment=PRODUCTION), "http://127.0.0.1:9999/hook", False),
        (Settings(environment=PRODUCTION), URL, True),
        (
            Settings(environment=PRODUCTION, webhook_allow_cidrs=("10.1.0.0/16",)),
            "http://10.1.2.3/hook",
            True,
        ),
    ],
)
async def test_the_settings_decide_which_addresses_are_admitted(
    ctx: Context, settings: Settings, url: str, admitted: bool
) -> None:
    use_address_policy(AddressPolicy.from_settings(settings))
    if admitted:
        row, secret = await create(ctx, url=url)
        assert row.url == url
        assert SERVICES.keyring.open(row.secret_sealed) == secret
    else:
        with pytest.raises(InvalidRequest):
            await create(ctx, url=url)


async def test_without_a_key_nothing_is_sealed_or_opened(ctx: Context) -> None:
    row, _ = await create(ctx)
    SERVICES.keyring.seal_with(None)
    with pytest.raises(Unavailable):
        SERVICES.keyring.open(row.secret_sealed)
    with pytest.raises(Unavailable):
        await create(ctx)
    assert await WebhookEndpoint.all().count() == 1


async def test_twenty_webhooks_are_the_most_of_a_workspace_and_mode(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    for _ in range(19):
        await make_endpoint(ctx)
    outcomes = await asyncio.gather(*(create(ctx, url=f"{URL}/{n}") for n in range(4)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [outcome.code for outcome in refused] == ["webhook_limit"] * 3
    assert await WebhookEndpoint.all().count() == 20
    await create(live_ctx)
    await create(other_ctx)


async def test_webhooks_are_listed_newest_first(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    rows = [await make_endpoint(ctx) for _ in range(3)]
    await make_endpoint(live_ctx)
    await make_endpoint(other_ctx)
    page = await endpoints.list_webhooks(ctx, PageRequest(limit=2))
    assert ([row.id for row in page.items], page.has_more) == ([rows[2].id, rows[1].id], True)
    page = await endpoints.list_webhooks(ctx, PageRequest(limit=2, starting_after=rows[1].id))
    assert ([row.id for row in page.items], page.has_more) == ([rows[0].id], False)


async def test_no_workspace_reaches_the_webhook_of_another(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await write_events(ctx)
    (delivery,) = await deliveries_of(endpoint.id)
    now = datetime.now(UTC)
    for stranger in (live_ctx, other_ctx):
        for operation in (
            lambda who: endpoints.get_webhook(who, endpoint.id),
            lambda who: endpoints.update_webhook(who, endpoint.id, UpdateWebhook(enabled=False)),
            lambda who: endpoints.delete_webhook(who, endpoint.id),
            lambda who: endpoints.rotate_secret(who, endpoint.id),
            lambda who: endpoints.send_test(who, endpoint.id),
            lambda who: endpoints.list_attempts(who, endpoint.id, PageRequest()),
            lambda who: endpoints.resend_event(who, delivery.event_id),
            lambda who: endpoints.recover(who, endpoint.id, since=now - timedelta(hours=1)),
        ):
            with pytest.raises(NotFound):
                async with unit_of_work():
                    await operation(stranger)
        own = await make_endpoint(stranger)
        with pytest.raises(NotFound):
            async with unit_of_work():
                await endpoints.resend_event(stranger, delivery.event_id, webhook_id=own.id)
        assert await deliveries_of(own.id) == []
    stored = await WebhookEndpoint.get(id=endpoint.id)
    assert (stored.enabled, stored.secret_sealed) == (True, endpoint.secret_sealed)
    assert await deliveries_of(endpoint.id) == [delivery]


async def test_a_webhook_is_changed_field_by_field(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    await update(ctx, endpoint, url=URL)
    await update(ctx, endpoint, events=[EventType.MESSAGE_FAILED, "message.failed"], description="New")
    row = await update(ctx, endpoint)
    stored = await endpoints.get_webhook(ctx, endpoint.id)
    for seen in (row, stored):
        assert (seen.url, seen.events, seen.description, seen.enabled) == (URL, ["message.failed"], "New", True)
    assert stored.secret_sealed == endpoint.secret_sealed


async def test_enabling_again_makes_what_is_pending_due(ctx: Context) -> None:
    endpoint, other = await make_endpoint(ctx), await make_endpoint(ctx)
    await write_events(ctx, 2)
    later = datetime.now(UTC) + timedelta(hours=8)
    await execute("UPDATE webhook_deliveries SET next_attempt_at = $1, attempt_count = 9", later)
    await execute(
        "UPDATE webhook_endpoints SET enabled = false, disabled_reason = 'failing', failing_since = now()"
        " WHERE id = $1",
        endpoint.id,
    )
    row = await update(ctx, endpoint, description="still off")
    assert (row.enabled, row.disabled_reason) == (False, "failing")
    row = await update(ctx, endpoint, enabled=True)
    assert (row.enabled, row.disabled_reason, row.failing_since) == (True, None, None)
    for delivery in await deliveries_of(endpoint.id):
        assert delivery.next_attempt_at <= datetime.now(UTC)
        assert (delivery.state, delivery.attempt_count) == ("pending", 0)
    await update(ctx, other, enabled=True)
    assert {delivery.next_attempt_at for delivery in await deliveries_of(other.id)} == {later}


async def test_a_disabled_webhook_takes_no_events(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    row = await update(ctx, endpoint, enabled=False)
    assert webhook_resource(row).status == "disabled"
    (event_id,) = await write_events(ctx)
    event = ids.decode_id(ids.EVENT, event_id)
    assert event is not None
    for operation in (
        lambda: endpoints.send_test(ctx, endpoint.id),
        lambda: endpoints.resend_event(ctx, event, webhook_id=endpoint.id),
        lambda: endpoints.recover(ctx, endpoint.id, since=datetime.now(UTC) - timedelta(hours=1)),
    ):
        with pytest.raises(Conflict) as refused:
            async with unit_of_work():
                await operation()
        assert refused.value.code == "webhook_disabled"
    async with unit_of_work():
        assert await endpoints.resend_event(ctx, event) == 0
    assert await deliveries_of(endpoint.id) == []
    assert await Event.all().count() == 1


async def test_deleting_drops_what_is_pending_and_keeps_what_was(ctx: Context) -> None:
    endpoint, other = await make_endpoint(ctx), await make_endpoint(ctx)
    await write_events(ctx, 2)
    done, _ = await deliveries_of(endpoint.id)
    await WebhookDelivery.filter(id=done.id).update(state="succeeded")
    async with unit_of_work():
        await endpoints.delete_webhook(ctx, endpoint.id)
    assert [row.state for row in await deliveries_of(endpoint.id)] == ["succeeded", "dropped"]
    assert [row.state for row in await deliveries_of(other.id)] == ["pending", "pending"]
    assert [row.id for row in (await endpoints.list_webhooks(ctx, PageRequest())).items] == [other.id]
    with pytest.raises(NotFound):
        async with unit_of_work():
            await endpoints.delete_webhook(ctx, endpoint.id)


async def test_rotation_keeps_the_secret_before_for_a_day(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    before = datetime.now(UTC)
    async with unit_of_work():
        row, secret = await endpoints.rotate_secret(ctx, endpoint.id)
    assert secret.startswith(SECRET_PREFIX)
    stored = await endpoints.get_webhook(ctx, row.id)
    assert SERVICES.keyring.open(stored.secret_sealed) == secret
    assert stored.previous_secret_sealed is not None
    assert SERVICES.keyring.open(stored.previous_secret_sealed) == SECRET
    assert stored.previous_secret_until is not None
    assert before <= stored.previous_secret_until - timedelta(hours=24) <= datetime.now(UTC)


async def test_a_test_event_has_one_delivery(ctx: Context) -> None:
    endpoint, _ = await make_endpoint(ctx, events=["message.failed"]), await make_endpoint(ctx)
    async with unit_of_work():
        event = await endpoints.send_test(ctx, endpoint.id)
    assert (event.type, event.resource_id, event.livemode) == ("test.ping", endpoint.id, False)
    data = json.loads(event.data)
    assert data["id"] == ids.encode_id(ids.WEBHOOK, endpoint.id)
    assert "secret" not in data
    (delivery,) = await WebhookDelivery.all()
    assert (delivery.endpoint_id, delivery.event_id, delivery.attempt_count) == (endpoint.id, event.id, 0)


async def test_attempts_are_listed_newest_first(ctx: Context, live_ctx: Context) -> None:
    endpoint, other = await make_endpoint(ctx), await make_endpoint(ctx)
    rows = [
        await WebhookAttempt.create(
            workspace_id=ctx.workspace_id,
            livemode=False,
            endpoint_id=of.id,
            event_id=ids.new_id(),
            number=1,
            status_code=500,
            elapsed_ms=3,
        )
        for of in (endpoint, other, endpoint)
    ]
    page = await endpoints.list_attempts(ctx, endpoint.id, PageRequest(limit=1))
    assert ([row.id for row in page.items], page.has_more) == ([rows[2].id], True)
    page = await endpoints.list_attempts(ctx, endpoint.id, PageRequest(limit=1, starting_after=rows[2].id))
    assert ([row.id for row in page.items], page.has_more) == ([rows[0].id], False)


async def test_a_test_event_is_sent_again_to_the_endpoint_it_tests_alone(ctx: Context) -> None:
    tested, everything = await make_endpoint(ctx, events=["message.failed"]), await make_endpoint(ctx)
    async with unit_of_work():
        event = await endpoints.send_test(ctx, tested.id)
    await execute("UPDATE webhook_deliveries SET state = 'delivered', attempt_count = 1, ended_at = now()")

    async with unit_of_work():
        assert await endpoints.resend_event(ctx, event.id) == 1

    (row,) = await deliveries_of(tested.id)
    assert (row.state, row.attempt_count) == ("pending", 0)
    assert await deliveries_of(everything.id) == []
    async with unit_of_work():
        assert await endpoints.resend_event(ctx, event.id, webhook_id=everything.id) == 1
        await endpoints.delete_webhook(ctx, tested.id)
        assert await endpoints.resend_event(ctx, event.id) == 0


async def test_an_event_is_sent_again_to_its_subscribers(ctx: Context, live_ctx: Context) -> None:
    subscribed, everything = await make_endpoint(ctx, events=["message.delivered"]), await make_endpoint(ctx)
    not_subscribed = await make_endpoint(ctx, events=["message.failed"])
    await make_endpoint(ctx, enabled=False)
    await make_endpoint(live_ctx)
    await write_events(ctx, 2)
    await execute(
        "UPDATE webhook_deliveries SET state = 'exhausted', attempt_count = 11, ended_at = now(),"
        " next_attempt_at = now() + interval '1 hour'"
    )
    again, kept = [row.event_id for row in await deliveries_of(subscribed.id)]
    async with unit_of_work():
        assert await endpoints.resend_event(ctx, again) == 2
    for endpoint in (subscribed, everything):
        rows = {row.event_id: row for row in await deliveries_of(endpoint.id)}
        assert (rows[again].state, rows[again].attempt_count, rows[again].ended_at) == ("pending", 0, None)
        assert rows[again].next_attempt_at <= datetime.now(UTC)
        assert rows[kept].state == "exhausted"
    async with unit_of_work():
        assert await endpoints.resend_event(ctx, again, webhook_id=not_subscribed.id) == 1
    (row,) = await deliveries_of(not_subscribed.id)
    assert (row.event_id, row.state) == (again, "pending")
    assert await WebhookDelivery.all().count() == 5


async def test_recovery_opens_what_was_given_up_since(ctx: Context) -> None:
    endpoint, other = await make_endpoint(ctx), await make_endpoint(ctx)
    now = datetime.now(UTC)
    await write_events(ctx, now=now - timedelta(days=2))
    await write_events(ctx, 4, now=now - timedelta(hours=2))
    for state, place in (("exhausted", 0), ("exhausted", 1), ("dropped", 2), ("succeeded", 3)):
        await execute(
            "UPDATE webhook_deliveries SET state = $1, attempt_count = 11, ended_at = now(),"
            " next_attempt_at = now() + interval '1 hour' WHERE event_id ="
            " (SELECT id FROM events ORDER BY id OFFSET $2 LIMIT 1)",
            state,
            place,
        )
    async with unit_of_work():
        assert await endpoints.recover(ctx, endpoint.id, since=now - timedelta(days=1)) == 2
        assert await endpoints.recover(ctx, endpoint.id, since=now - timedelta(days=1)) == 0
    states = [row.state for row in await deliveries_of(endpoint.id)]
    assert states == ["exhausted", "pending", "pending", "succeeded", "pending"]
    assert [row.attempt_count for row in await deliveries_of(endpoint.id)] == [11, 0, 0, 11, 0]
    assert [row.state for row in await deliveries_of(other.id)] == [
        "exhausted", "exhausted", "dropped", "succeeded", "pending",
    ]  # fmt: skip


async def test_recovery_delivers_what_came_while_the_endpoint_was_disabled(
    ctx: Context, live_ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    endpoint = await make_endpoint(ctx, events=["message.delivered"], created_at=now - timedelta(days=2))
    other = await make_endpoint(ctx)
    await write_events(ctx, now=now - timedelta(hours=4))
    await update(ctx, endpoint, enabled=False)
    await write_events(ctx, now=now - timedelta(days=3))
    await write_events(ctx, now=now - timedelta(hours=3))
    missed = await write_events(ctx, 3, now=now - timedelta(hours=2))
    for stranger in (live_ctx, other_ctx):
        await write_events(stranger, now=now - timedelta(hours=2))
    async with unit_of_work():
        await endpoints.send_test(ctx, other.id)
    await update(ctx, endpoint, enabled=True)
    assert len(await deliveries_of(endpoint.id)) == 1

    monkeypatch.setattr(endpoints, "MAX_MISSED", 2)
    async with unit_of_work():
        assert await endpoints.recover(ctx, endpoint.id, since=now - timedelta(hours=2, minutes=30)) == 2
        assert await endpoints.recover(ctx, endpoint.id, since=now - timedelta(hours=2, minutes=30)) == 1
        assert await endpoints.recover(ctx, endpoint.id, since=now - timedelta(hours=2, minutes=30)) == 0
    made = await deliveries_of(endpoint.id)
    assert {ids.encode_id(ids.EVENT, row.event_id) for row in made[1:]} == set(missed)
    assert {(row.state, row.attempt_count) for row in made} == {("pending", 0)}
    async with unit_of_work():
        # The endpoint was not there three days ago.
        assert await endpoints.recover(ctx, endpoint.id, since=now - timedelta(days=4)) == 1
        await update(ctx, endpoint, events=["message.failed"])
        assert await endpoints.recover(ctx, endpoint.id, since=now - timedelta(days=4)) == 0


@pytest.mark.parametrize("back", [timedelta(days=30, seconds=1), timedelta(seconds=-60)])
async def test_recovery_reaches_thirty_days_back(ctx: Context, back: timedelta) -> None:
    endpoint = await make_endpoint(ctx)
    with pytest.raises(InvalidRequest) as refused:
        await endpoints.recover(ctx, endpoint.id, since=datetime.now(UTC) - back)
    assert (refused.value.param, refused.value.code) == ("since", "parameter_out_of_range")


async def test_workers_are_called_when_something_becomes_due(ctx: Context, engines: Engines) -> None:
    endpoint = await make_endpoint(ctx)
    (event_id,) = await write_events(ctx)
    event = ids.decode_id(ids.EVENT, event_id)
    assert event is not None
    redis = Redis.from_url(engines.redis_url)
    since = datetime.now(UTC) - timedelta(hours=1)

    async def recover_all() -> None:
        await execute("UPDATE webhook_deliveries SET state = 'exhausted'")
        assert await endpoints.recover(ctx, endpoint.id, since=since) > 0

    async def enable() -> None:
        await WebhookEndpoint.filter(id=endpoint.id).update(enabled=False)
        await endpoints.update_webhook(ctx, endpoint.id, UpdateWebhook(enabled=True))

    try:
        for operation in (
            lambda: endpoints.send_test(ctx, endpoint.id),
            lambda: endpoints.resend_event(ctx, event),
            recover_all,
            enable,
        ):
            redis.flushdb()
            notifier = Notifier(engines.redis_url)
            with notifying(notifier):
                async with unit_of_work():
                    await operation()
            # Closing waits for the ring.
            notifier.close()
            assert redis.llen("rq:queue:webhooks") == 1
    finally:
        redis.close()


async def test_a_refused_change_leaves_no_trace(ctx: Context) -> None:
    for operation in (
        lambda: endpoints.send_test(ctx, ids.new_id()),
        lambda: endpoints.resend_event(ctx, ids.new_id()),
        lambda: endpoints.rotate_secret(ctx, ids.new_id()),
    ):
        with pytest.raises(ApiError):
            async with unit_of_work():
                await operation()
    for table in ("events", "webhook_deliveries", "webhook_endpoints"):
        assert await fetch_value(f"SELECT count(*) FROM {table}") == 0
