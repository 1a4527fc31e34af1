"""Webhooks that heal themselves: what an endpoint missed follows in order once it answers, and numbers have no gap."""

from __future__ import annotations

import asyncio
import itertools
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import NotFound
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints, health, replays, sequences, signatures
from msvs.api.webhooks.deliveries import Attempt, Post, claim_deliveries, record_attempts, release_deliveries
from msvs.api.webhooks.endpoints import UpdateWebhook
from msvs.api.webhooks.events import EventType
from msvs.database import Row, execute, fetch, fetch_value, now
from msvs.http_client import HttpClient
from msvs.models import WebhookAttempt, WebhookEndpoint
from msvs.workers.webhooks import deliver_webhooks
from tests.owner import run_as_owner
from tests.plans import reading
from tests.receiver import Received, Receiver, deliveries_of, make_endpoint, write_events
from tests.services import SERVICES

pytestmark = pytest.mark.usefixtures("loopback_webhooks")

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


async def healing(ctx: Context, url: str = "http://127.0.0.1:9/hook", **values: Any) -> WebhookEndpoint:
    """An endpoint that replays what it missed."""
    return await make_endpoint(ctx, url, auto_replay_since=LONG_AGO, **values)


async def give_up(endpoint: WebhookEndpoint) -> None:
    """Have every delivery that waits for the endpoint given up."""
    await execute(
        "UPDATE webhook_deliveries SET state = 'exhausted', attempt_count = 11, ended_at = now(), created_at = now()"
        " WHERE endpoint_id = $1 AND state = 'pending'",
        endpoint.id,
    )


async def deliver(http: HttpClient) -> int:
    """Deliver until nothing is due, as the jobs that each record asks for do; how many attempts were made."""
    made = 0
    while attempts := await deliver_webhooks(SERVICES, http):
        made += attempts
    return made


async def make_due(endpoint: WebhookEndpoint) -> None:
    await execute(
        "UPDATE webhook_deliveries SET next_attempt_at = now() WHERE endpoint_id = $1 AND state = 'pending'",
        endpoint.id,
    )


async def update(ctx: Context, endpoint: WebhookEndpoint, **values: Any) -> None:
    async with unit_of_work():
        await endpoints.update_webhook(ctx, endpoint.id, UpdateWebhook(**values))


def refuse(receiver: Receiver, *event_ids: str) -> None:
    """Have the receiver fail for these events, for all if none is named."""

    async def answer(post: Received) -> web.Response:
        return web.Response(status=500 if not event_ids or post.event_id in event_ids else 204)

    receiver.answer = answer


async def claim(*, limit: int = 100, per_endpoint: int = 100) -> list[Row]:
    async with unit_of_work():
        return await claim_deliveries(limit=limit, per_endpoint=per_endpoint, now=await now())


async def record(claimed: Sequence[Row], status: int = 204) -> None:
    async with unit_of_work():
        await record_attempts([Attempt(row, [Post(at=await now(), status=status)]) for row in claimed], await now())


async def states(endpoint: WebhookEndpoint) -> list[str]:
    return [row.state.split(".")[-1] for row in await deliveries_of(endpoint.id)]


async def test_what_was_given_up_follows_in_order_once_the_endpoint_answers(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await healing(ctx, receiver.url())
    missed = await write_events(ctx, 5)
    await give_up(endpoint)
    assert await deliver(http) == 0
    (fresh,) = await write_events(ctx)
    assert await deliver(http) == 6
    assert [post.event_id for post in receiver.posts] == [fresh, *missed]
    assert [post.headers.get("MSVS-Replay") for post in receiver.posts] == [None] + ["true"] * 5
    assert [post.attempt for post in receiver.posts] == [1] * 6
    attempts = await WebhookAttempt.filter(endpoint_id=endpoint.id).order_by("id")
    assert [attempt.replay for attempt in attempts] == [False] + [True] * 5
    assert await states(endpoint) == ["succeeded"] * 6
    assert await deliver(http) == 0


async def test_nothing_is_replayed_unless_it_was_asked_for(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    await write_events(ctx, 3)
    await give_up(endpoint)
    await write_events(ctx)
    assert await deliver(http) == 1
    assert await states(endpoint) == ["exhausted"] * 3 + ["succeeded"]
    # From now on, and not before.
    await update(ctx, endpoint, auto_replay=True)
    await write_events(ctx, 2)
    await give_up(endpoint)
    await write_events(ctx)
    assert await deliver(http) == 3
    assert await states(endpoint) == ["exhausted"] * 3 + ["succeeded"] * 4


@pytest.mark.parametrize("count", [3, 150])
async def test_what_came_while_it_was_off_follows_when_it_is_on_again(
    ctx: Context, receiver: Receiver, http: HttpClient, count: int
) -> None:
    endpoint = await healing(ctx, receiver.url())
    other = await make_endpoint(ctx, receiver.url("/other"), enabled=False)
    await update(ctx, endpoint, enabled=False)
    missed = await write_events(ctx, count)
    assert await deliver(http) == 0
    await update(ctx, endpoint, enabled=True)
    assert await deliver(http) == count
    assert [post.event_id for post in receiver.posts] == missed
    assert [post.headers["MSVS-Sequence"] for post in receiver.posts] == [str(each + 1) for each in range(count)]
    assert {post.headers["MSVS-Replay"] for post in receiver.posts} == {"true"}
    assert await deliveries_of(other.id) == []


async def test_a_replay_that_fails_stops_until_the_endpoint_answers_again(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await healing(ctx, receiver.url())
    first, second, third = await write_events(ctx, 3)
    await give_up(endpoint)
    await write_events(ctx)
    refuse(receiver, first, second, third)
    assert await deliver(http) == 2
    for _ in range(4):
        await make_due(endpoint)
        await deliver(http)
    # Three attempts at the first, and none at the others.
    assert [post.event_id for post in receiver.posts[1:]] == [first] * 3
    assert await states(endpoint) == ["exhausted"] * 3 + ["succeeded"]
    # Those that were not tried yet go before it.
    refuse(receiver, first)
    await write_events(ctx)
    assert await deliver(http) == 4
    assert [post.event_id for post in receiver.posts[5:]] == [second, third, first]


async def test_an_event_that_always_fails_is_given_up_after_three_replays(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await healing(ctx, receiver.url())
    (poison,) = await write_events(ctx)
    await give_up(endpoint)
    refuse(receiver, poison)
    for _ in range(6):
        await write_events(ctx)
        for _ in range(4):
            await make_due(endpoint)
            await deliver(http)
    assert [post.event_id for post in receiver.posts].count(poison) == replays.MAX_REPLAYS * replays.REPLAY_ATTEMPTS
    assert await states(endpoint) == ["exhausted"] + ["succeeded"] * 6
    # By hand it is sent again.
    receiver.posts.clear()
    async with unit_of_work():
        assert await endpoints.recover(ctx, endpoint.id, since=await now() - timedelta(hours=1)) == 1
    await deliver(http)
    assert [(post.event_id, post.headers["MSVS-Replay"]) for post in receiver.posts] == [(poison, "true")]


async def test_tests_and_what_nobody_kept_are_not_replayed(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await healing(ctx, receiver.url())
    async with unit_of_work():
        await endpoints.send_test(ctx, endpoint.id)
    lost, kept = await write_events(ctx, 2)
    await give_up(endpoint)
    await execute("DELETE FROM events WHERE id = $1", ids.read_id(ids.EVENT, lost, "id"))
    await write_events(ctx)
    assert await deliver(http) == 2
    assert receiver.posts[1].event_id == kept


async def test_workers_that_record_at_once_open_one_replay(ctx: Context) -> None:
    endpoint = await healing(ctx)
    await write_events(ctx, 8)
    await give_up(endpoint)
    await write_events(ctx, 6)
    claimed = await claim()
    assert len(claimed) == 6
    await asyncio.gather(*(record([row]) for row in claimed))
    rows = await deliveries_of(endpoint.id)
    assert [(row.state, row.replay_count) for row in rows[:2]] == [("pending", 1), ("exhausted", 0)]
    assert sum(row.state == "pending" for row in rows) == 1
    # Each that is taken opens the next, in order, by any worker.
    order = []
    while replayed := await claim():
        order += [row.event_id for row in replayed]
        await asyncio.gather(*(record([row]) for row in replayed * 2))
    assert order == [row.event_id for row in rows[:8]]


@contextmanager
def dying_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[list[str]]:
    """Have the connection end at the statement of this number; the statements that ran."""
    ran: list[str] = []

    def dies(method: str) -> Any:
        real = getattr(asyncpg.Connection, method)

        async def run(self: Any, query: str, *values: Any, **options: Any) -> Any:
            if len(ran) >= step:
                raise ConnectionResetError
            ran.append(query)
            return await real(self, query, *values, **options)

        return run

    with monkeypatch.context() as patch:
        for method in ("fetch", "fetchrow", "fetchval", "execute"):
            patch.setattr(asyncpg.Connection, method, dies(method))
        yield ran


async def test_a_death_at_any_statement_loses_and_doubles_no_replay(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await healing(ctx)
    await write_events(ctx, 3)
    await give_up(endpoint)
    await write_events(ctx)
    claimed = await claim()
    before = [dict(row.items()) for row in await deliveries_of(endpoint.id)]
    for step in itertools.count():
        with dying_at(monkeypatch, step) as ran:
            try:
                await record(claimed)
            except (ConnectionResetError, asyncpg.PostgresError, asyncpg.InterfaceError):
                died = True
            else:
                died = False
        if not died:
            break
        assert [dict(row.items()) for row in await deliveries_of(endpoint.id)] == before, ran
    assert step >= 5
    rows = await deliveries_of(endpoint.id)
    assert [row.state for row in rows] == ["pending", "exhausted", "exhausted", "succeeded"]


# Numbers


async def test_numbers_have_no_gap_however_many_workers_claim(ctx: Context) -> None:
    mine, others = await make_endpoint(ctx), await make_endpoint(ctx, url="http://127.0.0.1:9/other")
    await write_events(ctx, 60)

    async def work() -> list[Row]:
        found = []
        while rows := await claim(limit=7, per_endpoint=5):
            found += rows
            if len(rows) % 2:
                await release_deliveries(rows[:1])
                found.remove(rows[0])
            await record(found[-len(rows) :])
        return found

    await asyncio.gather(*(work() for _ in range(4)))
    await work()
    for endpoint in (mine, others):
        kept = await fetch(
            "SELECT sequence, event_id FROM webhook_sequences WHERE endpoint_id = $1 ORDER BY sequence", endpoint.id
        )
        assert [row.sequence for row in kept] == list(range(1, 61))
        assert {(row.sequence, row.event_id) for row in await deliveries_of(endpoint.id)} == {
            (row.sequence, row.event_id) for row in kept
        }


async def test_an_event_keeps_its_number_at_every_attempt_and_resend(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    first, second = await write_events(ctx, 2)
    refuse(receiver, first)
    await deliver(http)
    await make_due(endpoint)
    await deliver(http)
    async with unit_of_work():
        assert await endpoints.resend_event(ctx, ids.read_id(ids.EVENT, second, "id"), webhook_id=endpoint.id) == 1
    await deliver(http)
    seen = [(post.event_id, post.headers["MSVS-Sequence"], post.headers.get("MSVS-Replay")) for post in receiver.posts]
    assert sorted(seen[:2]) == sorted([(first, "1", None), (second, "2", None)])
    assert seen[2:] == [(first, "1", None), (second, "2", "true")]


async def test_a_delivery_that_has_lost_its_event_takes_no_number(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    lost, _ = await write_events(ctx, 2)
    await execute("DELETE FROM events WHERE id = $1", ids.read_id(ids.EVENT, lost, "id"))
    assert [row.sequence for row in await claim()] == [1]
    assert [row.sequence for row in await deliveries_of(endpoint.id)] == [None, 1]


async def test_what_was_sent_is_listed_after_a_number(ctx: Context, other_ctx: Context, live_ctx: Context) -> None:
    endpoint = await make_endpoint(ctx)
    written = await write_events(ctx, 5)
    await claim()

    async def listed(page: PageRequest, after: int | None = None, reader: Context = ctx) -> list[tuple[int, str]]:
        found = await sequences.list_numbered(reader, endpoint.id, page, after_seq=after)
        return [(row.sequence, ids.encode_id(ids.EVENT, row.id)) for row in found.items]

    everything = list(enumerate(written, 1))
    assert await listed(PageRequest()) == everything
    assert await listed(PageRequest(limit=2), 2) == everything[2:4]
    third = ids.read_id(ids.EVENT, written[2], "id")
    assert await listed(PageRequest(starting_after=third)) == everything[3:]
    assert await listed(PageRequest(), 5) == []
    found = await sequences.list_numbered(ctx, endpoint.id, PageRequest(limit=4))
    assert found.has_more
    for stranger in (other_ctx, live_ctx):
        with pytest.raises(NotFound):
            await listed(PageRequest(), reader=stranger)


# Standard Webhooks


def test_the_signature_is_that_of_the_specification() -> None:
    headers = signatures.standard_headers(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "no key for it"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_new_secret_is_a_key_for_it() -> None:
    secret = signatures.new_secret()
    key = signatures.standard_key(secret)
    assert key is not None
    assert len(key) == 32
    assert b64decode(secret.removeprefix("whsec_")) == key
    for other in ("whsec_", "whsec_0123456789abcdef", "0" * 44, "whsec_" + "_" * 44, "whsec_" + "A" * 88):
        assert signatures.standard_key(other) is None


async def test_the_headers_come_beside_ours_where_they_are_asked_for(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    async with unit_of_work():
        _, secret = await endpoints.rotate_secret(ctx, endpoint.id)
    await update(ctx, endpoint, standard_webhooks=True)
    (event_id,) = await write_events(ctx)
    await deliver(http)
    (post,) = receiver.posts
    assert post.is_signed_with(secret)
    given = {name.lower(): value for name, value in post.headers.items()}
    at = int(given["webhook-timestamp"])
    assert given["webhook-id"] == event_id
    assert (
        given["webhook-signature"]
        == signatures.standard_headers([secret], event_id, at, post.body)["webhook-signature"]
    )
    await update(ctx, endpoint, standard_webhooks=False)
    await write_events(ctx)
    await deliver(http)
    assert not {"webhook-id", "webhook-timestamp"} & {name.lower() for name in receiver.posts[-1].headers}


# Batches


async def test_events_come_in_batches_where_they_are_asked_for(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url(), batch_size=10)
    written = await write_events(ctx, 45)
    assert await deliver(http) == 45
    bodies = [post.event for post in receiver.posts]
    assert {body["object"] for body in bodies} == {"event_batch"}
    assert max(len(body["data"]) for body in bodies) == 10
    assert len(bodies) < 20
    found = [(event["sequence"], event["id"]) for body in bodies for event in body["data"]]
    assert sorted(sequence for sequence, _ in found) == list(range(1, 46))
    assert sorted(id for _, id in found) == written
    for post in receiver.posts:
        events = post.event["data"]
        assert post.event_id == ",".join(event["id"] for event in events)
        assert post.headers["MSVS-Sequence"] == ",".join(str(event["sequence"]) for event in events)
        assert [event["sequence"] for event in events] == sorted(event["sequence"] for event in events)
    assert await states(endpoint) == ["succeeded"] * 45
    assert await fetch_value("SELECT count(*) FROM webhook_attempts WHERE endpoint_id = $1", endpoint.id) == 45


async def test_a_batch_that_fails_is_tried_again_under_its_id(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url(), batch_size=4)
    await write_events(ctx, 3)
    refuse(receiver)
    assert await deliver(http) == 3
    await make_due(endpoint)
    refuse(receiver, "none")
    assert await deliver(http) == 3
    first, second = receiver.posts
    assert first.body == second.body
    assert first.event["id"] == second.event["id"]
    assert (first.attempt, second.attempt) == (1, 2)
    assert await states(endpoint) == ["succeeded"] * 3


async def test_a_replay_is_never_in_a_batch_with_what_is_new(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await healing(ctx, receiver.url(), batch_size=10)
    missed = await write_events(ctx, 3)
    await give_up(endpoint)
    new = await write_events(ctx, 3)
    await deliver(http)
    assert sorted(receiver.posts[0].event_id.split(",")) == new
    assert [post.event_id for post in receiver.posts[1:]] == missed


async def test_an_endpoint_that_turns_to_batches_in_between_misses_nothing(
    ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    endpoint = await make_endpoint(ctx, receiver.url())
    written = await write_events(ctx, 600)

    async def answer(post: Received) -> web.Response:
        if len(receiver.posts) == 50:
            # Some hundred are claimed as single events by now, and wait for their turn.
            await execute("UPDATE webhook_endpoints SET batch_size = 10 WHERE id = $1", endpoint.id)
        return web.Response()

    receiver.answer = answer
    assert await deliver(http) == 600
    bodies = [post.event for post in receiver.posts]
    assert {body["object"] for body in bodies} == {"event", "event_batch"}
    told = [event["id"] for body in bodies for event in (body["data"] if body["object"] == "event_batch" else [body])]
    assert sorted(told) == sorted(written)


# Health


async def test_the_health_of_an_endpoint(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    endpoint = await healing(ctx, receiver.url())

    async def measured() -> health.WebhookHealth:
        return await health.get_health(ctx, endpoint.id)

    fresh = await measured()
    assert (fresh.status, fresh.last_success_at, fresh.last_sequence, fresh.median_ms) == ("healthy", None, 0, None)
    await write_events(ctx, 3)
    await deliver(http)
    well = await measured()
    assert (well.status, well.pending_count, well.last_sequence, well.last_error) == ("healthy", 0, 3, None)
    assert (well.recent_attempt_count, well.recent_success_count) == (3, 3)
    assert well.last_success_at is not None
    assert well.median_ms is not None
    refuse(receiver)
    await write_events(ctx, 2)
    await deliver(http)
    ill = await measured()
    assert (ill.status, ill.pending_count, ill.last_error, ill.last_success_at) == (
        "failing",
        2,
        "500",
        well.last_success_at,
    )
    assert (ill.recent_attempt_count, ill.recent_success_count) == (5, 3)
    assert ill.failing_since is not None
    await give_up(endpoint)
    assert (await measured()).missed_count == 2
    await write_events(ctx)
    refuse(receiver, "none")
    claimed = await claim()
    await record(claimed)
    assert (await measured()).status == "replaying"
    await update(ctx, endpoint, enabled=False)
    assert (await measured()).status == "disabled"


# What statements read


async def test_nothing_reads_more_than_it_needs_beside_many(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint, busy = await healing(ctx), await healing(ctx, "http://127.0.0.1:9/busy")
    await write_events(ctx, 4000, type=EventType.MESSAGE_SENT)
    await claim(limit=4000, per_endpoint=2000)
    await execute("UPDATE webhook_deliveries SET state = 'succeeded' WHERE endpoint_id = $1", busy.id)
    await give_up(endpoint)
    await run_as_owner("ANALYZE webhook_deliveries, webhook_sequences, webhook_positions, events, webhook_endpoints")
    with reading(monkeypatch) as looking:
        async with unit_of_work():
            assert await replays.replay_next([endpoint.id, busy.id], await now()) == 1
        async with unit_of_work():
            assert len(await claim_deliveries(limit=10, per_endpoint=10, now=await now())) == 1
        found = await sequences.list_numbered(ctx, busy.id, PageRequest(limit=10), after_seq=500)
        assert len(found.items) == 10
    looking.check(300)
