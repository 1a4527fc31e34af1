from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections import Counter
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from aiohttp import web

from msvs.address_policy import AddressPolicy
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.crypto import SecretBox
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.deliveries import claim_deliveries
from msvs.api.webhooks.events import EventType
from msvs.database import execute, now
from msvs.http_client import HttpClient
from msvs.models import DeliveryState, WebhookAttempt, WebhookEndpoint
from msvs.workers.webhooks import deliver_webhooks
from tests.receiver import (
    SECRET,
    Received,
    Receiver,
    deliveries_of,
    make_endpoint,
    receiving,
    write_events,
)
from tests.services import SERVICES
from tests.workers.test_stuck import held

VERIFIER = Path(__file__).parents[1] / "contract" / "verify_signature.mjs"


pytestmark = pytest.mark.usefixtures("loopback_webhooks")


def answering(receiver: Receiver, *statuses: int, headers: dict[str, str] | None = None) -> None:
    """Have the receiver answer with these statuses in turn, the last one again and again."""
    left = list(statuses)

    async def answer(post: Received) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0], text="answer", headers=headers)

    receiver.answer = answer


async def make_due(endpoint: WebhookEndpoint) -> None:
    await execute(
        "UPDATE webhook_deliveries SET next_attempt_at = now() WHERE endpoint_id = $1 AND state = 'pending'",
        endpoint.id,
    )


async def attempts_of(endpoint: WebhookEndpoint) -> list[WebhookAttempt]:
    return await WebhookAttempt.filter(endpoint_id=endpoint.id).order_by("id")


async def test_an_event_arrives_once_signed_and_logged(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    (event_id,) = await write_events(ctx)
    assert await deliver_webhooks(SERVICES, http) == 1
    assert await deliver_webhooks(SERVICES, http) == 0
    (post,) = receiver.posts
    assert post.event_id == event_id == post.event["id"]
    assert post.event["type"] == "message.delivered"
    assert post.event["object"] == "event"
    assert post.event["data"]["object"] == "message"
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["User-Agent"] == "MassiveSMS/1.0"
    assert post.attempt == 1
    assert post.is_signed_with(SECRET)
    assert not post.is_signed_with("whsec_another_one")
    (delivery,) = await deliveries_of(endpoint.id)
    assert (delivery.state, delivery.attempt_count, delivery.lease_until) == (DeliveryState.SUCCEEDED, 1, None)
    assert delivery.ended_at is not None
    (attempt,) = await attempts_of(endpoint)
    assert (attempt.number, attempt.status_code, attempt.error, attempt.response_head) == (1, 200, None, "ok")
    assert (attempt.workspace_id, attempt.livemode) == (ctx.workspace_id, False)
    assert ids.encode_id(ids.EVENT, attempt.event_id) == event_id


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("rotated", [False, True])
async def test_the_documents_verifier_takes_what_is_posted(
    ctx: Context, receiver: Receiver, http: HttpClient, rotated: bool
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    if rotated:
        async with unit_of_work():
            await endpoints.rotate_secret(ctx, endpoint.id)
    await write_events(ctx)
    await deliver_webhooks(SERVICES, http)
    (post,) = receiver.posts
    case = {"body": post.body.decode(), "header": post.signature, "secret": SECRET}
    ran = subprocess.run(  # noqa: ASYNC221
        ["node", VERIFIER], input=json.dumps(case), capture_output=True, text=True, check=True, timeout=30
    )
    assert ran.stdout == "true\n"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
async def test_what_is_not_2xx_is_tried_again_with_the_same_body_and_a_new_signature(
    ctx: Context, receiver: Receiver, http: HttpClient, status: int
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    await write_events(ctx)
    answering(receiver, status, 204, headers={"Location": receiver.url("/elsewhere")})
    assert await deliver_webhooks(SERVICES, http) == 1
    (delivery,) = await deliveries_of(endpoint.id)
    assert (delivery.state, delivery.attempt_count, delivery.lease_until) == (DeliveryState.PENDING, 1, None)
    assert timedelta(seconds=3) < delivery.next_attempt_at - datetime.now(UTC) <= timedelta(seconds=5.5)
    await make_due(endpoint)
    assert await deliver_webhooks(SERVICES, http) == 1
    first, second = receiver.posts
    assert {first.path, second.path} == {"/hook"}
    assert first.body == second.body
    assert first.event_id == second.event_id
    assert (first.attempt, second.attempt) == (1, 2)
    assert second.is_signed_with(SECRET)
    assert [attempt.status_code for attempt in await attempts_of(endpoint)] == [status, 204]
    assert [delivery.state for delivery in await deliveries_of(endpoint.id)] == [DeliveryState.SUCCEEDED]


async def test_a_receiver_that_is_not_there_is_tried_again(ctx: Context, http: HttpClient) -> None:
    async with receiving() as gone:
        url = gone.url()
    endpoint = await make_endpoint(ctx, url)
    await write_events(ctx)
    assert await deliver_webhooks(SERVICES, http) == 1
    (attempt,) = await attempts_of(endpoint)
    assert (attempt.status_code, attempt.error) == (None, "connect")
    (delivery,) = await deliveries_of(endpoint.id)
    assert delivery.state == DeliveryState.PENDING
    assert (await WebhookEndpoint.get(id=endpoint.id)).failing_since is not None


async def test_retry_after_is_honoured(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    await write_events(ctx)
    answering(receiver, 503, headers={"Retry-After": "3600"})
    await deliver_webhooks(SERVICES, http)
    (delivery,) = await deliveries_of(endpoint.id)
    wait = delivery.next_attempt_at - delivery.created_at
    assert timedelta(seconds=3600) <= wait < timedelta(seconds=3700)


async def test_gone_disables_the_endpoint(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    await write_events(ctx, 3)
    answering(receiver, 410)
    await deliver_webhooks(SERVICES, http)
    row = await WebhookEndpoint.get(id=endpoint.id)
    assert (row.enabled, row.disabled_reason) == (False, "gone")
    assert {delivery.state for delivery in await deliveries_of(endpoint.id)} == {DeliveryState.DROPPED}
    posts = len(receiver.posts)
    await write_events(ctx)
    assert await deliver_webhooks(SERVICES, http) == 0
    assert len(receiver.posts) == posts
    assert len(await deliveries_of(endpoint.id)) == 3


async def test_during_a_rotation_either_secret_is_found_first(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    async with unit_of_work():
        _, secret = await endpoints.rotate_secret(ctx, endpoint.id)
    await write_events(ctx)

    async def knows_the_new_one_alone(post: Received) -> web.Response:
        return web.Response(status=200 if post.is_signed_first_with(secret) else 400)

    receiver.answer = knows_the_new_one_alone
    assert await deliver_webhooks(SERVICES, http) == 1
    first, second = receiver.posts
    assert first.is_signed_first_with(SECRET)
    assert second.is_signed_first_with(secret)
    assert all(post.is_signed_with(SECRET) and post.is_signed_with(secret) for post in receiver.posts)
    assert (first.attempt, second.attempt) == (1, 1)
    assert [(row.number, row.status_code) for row in await attempts_of(endpoint)] == [(1, 400), (1, 200)]
    (delivery,) = await deliveries_of(endpoint.id)
    assert (delivery.state, delivery.attempt_count) == (DeliveryState.SUCCEEDED, 1)


@pytest.mark.parametrize("status", [410, 429, 500])
async def test_what_no_other_signature_would_change_is_not_repeated(
    ctx: Context, receiver: Receiver, http: HttpClient, status: int
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    async with unit_of_work():
        await endpoints.rotate_secret(ctx, endpoint.id)
    await write_events(ctx)
    answering(receiver, status)
    await deliver_webhooks(SERVICES, http)
    assert len(receiver.posts) == 1


async def test_after_a_rotation_the_old_secret_is_no_more_signed_with(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    async with unit_of_work():
        _, secret = await endpoints.rotate_secret(ctx, endpoint.id)
    await execute("UPDATE webhook_endpoints SET previous_secret_until = now() WHERE id = $1", endpoint.id)
    await write_events(ctx)
    await deliver_webhooks(SERVICES, http)
    (post,) = receiver.posts
    assert post.is_signed_with(secret)
    assert not post.is_signed_with(SECRET)


async def test_a_slow_endpoint_does_not_delay_another(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    all_fast_arrived = asyncio.Event()

    async def answer(post: Received) -> web.Response:
        if post.path == "/slow":
            # Hangs until every event of the other endpoint has arrived: it would time out if they waited for it.
            await all_fast_arrived.wait()
        elif len(receiver.on("/fast")) == 60:
            all_fast_arrived.set()
        return web.Response()

    receiver.answer = answer
    slow = await make_endpoint(ctx, receiver.url("/slow"))
    fast = await make_endpoint(ctx, receiver.url("/fast"))
    await write_events(ctx, 60)
    assert await deliver_webhooks(SERVICES, http) == 120
    for endpoint in (slow, fast):
        assert [row.status_code for row in await attempts_of(endpoint)] == [200] * 60
        assert {row.state for row in await deliveries_of(endpoint.id)} == {DeliveryState.SUCCEEDED}


async def test_events_written_while_an_endpoint_hangs_past_the_end_still_arrive_elsewhere(
    ctx: Context, receiver: Receiver, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.workers.webhooks.POLL_SECONDS", 0.005)
    hangs, arrived = asyncio.Event(), asyncio.Event()

    async def answer(post: Received) -> web.Response:
        if post.path == "/slow":
            hangs.set()
            await arrived.wait()
        else:
            arrived.set()
        return web.Response()

    receiver.answer = answer
    await make_endpoint(ctx, receiver.url("/slow"), [EventType.MESSAGE_SENT])
    await make_endpoint(ctx, receiver.url("/fast"), [EventType.MESSAGE_DELIVERED])
    await write_events(ctx, type=EventType.MESSAGE_SENT)
    running = asyncio.create_task(deliver_webhooks(SERVICES, http, seconds=0.01))
    await hangs.wait()
    # Past the end, and the claimer has been round several times since.
    await asyncio.sleep(0.08)
    await write_events(ctx, type=EventType.MESSAGE_DELIVERED)
    assert await running == 2
    assert len(receiver.on("/fast")) == 1


async def test_no_more_than_ten_posts_at_once_reach_an_endpoint(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    at_once: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def answer(post: Received) -> web.Response:
        at_once[post.path] += 1
        most[post.path] = max(most[post.path], at_once[post.path])
        await asyncio.sleep(0.005)
        at_once[post.path] -= 1
        return web.Response()

    receiver.answer = answer
    await make_endpoint(ctx, receiver.url("/one"))
    await make_endpoint(ctx, receiver.url("/two"))
    await write_events(ctx, 150)
    assert await deliver_webhooks(SERVICES, http) == 300
    assert most == {"/one": 10, "/two": 10}


async def test_two_workers_at_once_post_each_event_once(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoints = [await make_endpoint(ctx, receiver.url(f"/{name}")) for name in ("one", "two", "three")]
    event_ids = await write_events(ctx, 200)
    async with HttpClient(AddressPolicy(allow_loopback=True)) as other:
        made = await asyncio.gather(deliver_webhooks(SERVICES, http), deliver_webhooks(SERVICES, other))
    assert sum(made) == 600
    arrived = Counter((post.path, post.event_id) for post in receiver.posts)
    assert arrived == {(path, id): 1 for path in ("/one", "/two", "/three") for id in event_ids}
    for endpoint in endpoints:
        assert {row.attempt_count for row in await deliveries_of(endpoint.id)} == {1}


async def test_at_its_end_a_run_gives_back_what_it_did_not_begin(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    await write_events(ctx, 1000)
    made = await deliver_webhooks(SERVICES, http, seconds=0.05)
    rows = Counter((row.state, row.attempt_count, row.lease_until) for row in await deliveries_of(endpoint.id))
    assert set(rows) <= {("succeeded", 1, None), ("pending", 0, None)}
    assert rows["succeeded", 1, None] == made == len(receiver.posts) > 0
    assert await deliver_webhooks(SERVICES, http) == 1000 - made
    assert {post.attempt for post in receiver.posts} == {1}
    assert len({post.event_id for post in receiver.posts}) == len(receiver.posts) == 1000


async def test_what_a_killed_worker_left_is_taken_over(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    (event_id,) = await write_events(ctx)
    async with unit_of_work():
        assert len(await claim_deliveries(limit=10, per_endpoint=10, now=datetime.now(UTC))) == 1
    assert await deliver_webhooks(SERVICES, http) == 0
    await execute("UPDATE webhook_deliveries SET lease_until = now() - interval '1 second'")
    assert await deliver_webhooks(SERVICES, http) == 1
    (post,) = receiver.posts
    assert (post.event_id, post.attempt) == (event_id, 2)
    (delivery,) = await deliveries_of(endpoint.id)
    assert delivery.state == DeliveryState.SUCCEEDED


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/meta-data", "https://10.0.0.1/hook", "http://[::ffff:169.254.169.254]/hook"],
)
async def test_addresses_that_are_not_public_are_never_connected_to(ctx: Context, http: HttpClient, url: str) -> None:
    endpoint = await make_endpoint(ctx, url)
    await write_events(ctx)
    assert await deliver_webhooks(SERVICES, http) == 1
    (attempt,) = await attempts_of(endpoint)
    assert (attempt.status_code, attempt.error, attempt.response_head) == (None, "address_refused", "")


async def test_in_production_loopback_is_not_connected_to(ctx: Context, receiver: Receiver) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    await write_events(ctx)
    async with HttpClient(AddressPolicy()) as strict:
        assert await deliver_webhooks(SERVICES, strict) == 1
    assert receiver.posts == []
    assert [attempt.error for attempt in await attempts_of(endpoint)] == ["address_refused"]


async def test_only_what_is_subscribed_to_is_delivered(
    ctx: Context, live_ctx: Context, other_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    await make_endpoint(ctx, receiver.url("/mine"), [EventType.MESSAGE_DELIVERED])
    await make_endpoint(ctx, receiver.url("/another-type"), [EventType.MESSAGE_FAILED])
    await make_endpoint(live_ctx, receiver.url("/another-mode"))
    await make_endpoint(other_ctx, receiver.url("/another-workspace"))
    await make_endpoint(ctx, receiver.url("/disabled"), enabled=False)
    await write_events(ctx)
    assert await deliver_webhooks(SERVICES, http) == 1
    assert [post.path for post in receiver.posts] == ["/mine"]


async def test_a_test_event_reaches_its_endpoint_alone(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await make_endpoint(ctx, receiver.url("/mine"), [EventType.MESSAGE_DELIVERED])
    await make_endpoint(ctx, receiver.url("/other"))
    async with unit_of_work():
        event = await endpoints.send_test(ctx, endpoint.id)
    assert await deliver_webhooks(SERVICES, http) == 1
    (post,) = receiver.posts
    assert (post.path, post.event["type"]) == ("/mine", "test.ping")
    assert post.event_id == ids.encode_id(ids.EVENT, event.id)
    assert post.event["data"]["id"] == ids.encode_id(ids.WEBHOOK, endpoint.id)
    assert "secret" not in post.event["data"]


async def test_a_secret_that_cannot_be_opened_fails_the_attempt(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    await WebhookEndpoint.filter(id=endpoint.id).update(secret_sealed=SecretBox("another key").seal(SECRET))
    await write_events(ctx)
    assert await deliver_webhooks(SERVICES, http) == 1
    assert receiver.posts == []
    assert [attempt.error for attempt in await attempts_of(endpoint)] == ["secret_unreadable"]


async def test_the_answer_in_the_log_is_made_fit_for_text(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    async def answer(post: Received) -> web.Response:
        return web.Response(body=b"a\0b\xff" + b"c" * 5000)

    receiver.answer = answer
    endpoint = await make_endpoint(ctx, receiver.url())
    await write_events(ctx)
    await deliver_webhooks(SERVICES, http)
    (attempt,) = await attempts_of(endpoint)
    assert attempt.response_head == "a�b�" + "c" * 1020


@pytest.mark.parametrize("skew", [timedelta(seconds=-60), timedelta(seconds=60)])
async def test_a_wrong_clock_neither_ends_a_lease_nor_holds_up_an_event(
    ctx: Context, receiver: Receiver, http: HttpClient, monkeypatch: pytest.MonkeyPatch, skew: timedelta
) -> None:
    """Workers on many machines share PostgreSQL's clock."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + skew

    await make_endpoint(ctx, receiver.url())
    (first,) = await write_events(ctx)
    async with unit_of_work():
        assert len(await claim_deliveries(limit=10, per_endpoint=10, now=await now())) == 1
    (second,) = await write_events(ctx)
    await execute("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE lease_until IS NULL")
    monkeypatch.setattr("msvs.present.datetime", Skewed)
    assert await deliver_webhooks(SERVICES, http) == 1
    assert [post.event_id for post in receiver.posts] == [second]
    await execute("UPDATE webhook_deliveries SET lease_until = now() - interval '1 second' WHERE state = 'pending'")
    assert await deliver_webhooks(SERVICES, http) == 1
    assert [post.event_id for post in receiver.posts] == [second, first]


async def test_a_held_endpoint_keeps_nothing_of_others_from_being_written(
    database: str, ctx: Context, other_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    stuck, bystander = await make_endpoint(ctx, receiver.url("/stuck")), await make_endpoint(other_ctx, receiver.url())
    await write_events(ctx, 3)
    await write_events(other_ctx, 3)
    async with held(database, "SELECT FROM webhook_endpoints WHERE id = $1 FOR UPDATE", stuck.id):
        assert await deliver_webhooks(SERVICES, http) == 6
        assert [row.state for row in await deliveries_of(bystander.id)] == ["succeeded"] * 3
        assert [row.state for row in await deliveries_of(stuck.id)] == ["pending"] * 3
    # Made again once their lease has run out, under the same ids.
    await execute("UPDATE webhook_deliveries SET lease_until = now() - interval '1 second' WHERE state = 'pending'")
    assert await deliver_webhooks(SERVICES, http) == 3
    assert [row.state for row in await deliveries_of(stuck.id)] == ["succeeded"] * 3
    posts = Counter(post.event_id for post in receiver.posts)
    assert sorted(posts.values()) == [1, 1, 1, 2, 2, 2]
