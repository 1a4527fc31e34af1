"""A live webhook answers before events reach it, there is one of a URL, and no host is sent more than its budget."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from msvs.address_policy import canonical_url
from msvs.api import ids
from msvs.api.context import Context, Rates
from msvs.api.errors import Conflict
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import deliveries, endpoints
from msvs.api.webhooks.endpoints import CreateWebhook, UpdateWebhook
from msvs.database import execute, now
from msvs.http_client import HttpClient
from msvs.models import WebhookEndpoint
from msvs.workers.host_budgets import HostBudgets, host_of
from msvs.workers.webhooks import deliver_webhooks
from tests.receiver import (
    Received,
    Receiver,
    deliveries_of,
    make_endpoint,
    write_events,
)
from tests.services import SERVICES

pytestmark = pytest.mark.usefixtures("loopback_webhooks")


async def create(ctx: Context, url: str, **values: Any) -> WebhookEndpoint:
    async with unit_of_work():
        row, _secret = await endpoints.create_webhook(ctx, CreateWebhook(url=url, events=["*"], **values))
    return row


async def update(ctx: Context, row: WebhookEndpoint, **values: Any) -> WebhookEndpoint:
    async with unit_of_work():
        return await endpoints.update_webhook(ctx, row.id, UpdateWebhook(**values))


def answering(receiver: Receiver, *statuses: int) -> None:
    left = list(statuses)

    async def answer(_post: Received) -> web.Response:
        return web.Response(status=left.pop(0) if len(left) > 1 else left[0])

    receiver.answer = answer


async def all_due(endpoint_id: UUID) -> None:
    await execute("UPDATE webhook_deliveries SET next_attempt_at = now() WHERE endpoint_id = $1", endpoint_id)


async def is_verified(ctx: Context, row: WebhookEndpoint) -> bool:
    return (await endpoints.get_webhook(ctx, row.id)).unverified_since is None


async def attempted(row: WebhookEndpoint) -> list[int]:
    return [each.attempt_count for each in await deliveries_of(row.id)]


async def deliver(http: HttpClient) -> None:
    """Deliver until nothing is due, as notified workers do."""
    while await deliver_webhooks(SERVICES, http):
        continue


async def test_events_of_live_wait_until_one_is_answered(
    live_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    row = await create(live_ctx, receiver.url(), secret="a secret of the receiver")
    sent = await write_events(live_ctx, 5)
    answering(receiver, 500)
    await deliver(http)
    (first,) = receiver.posts
    assert first.event_id == sent[0]
    assert first.is_signed_with("a secret of the receiver")
    assert not await is_verified(live_ctx, row)
    assert not await deliveries.has_due(await now())
    assert await attempted(row) == [1, 0, 0, 0, 0]
    answering(receiver, 200)
    await all_due(row.id)
    # One job is enough: what waited is claimed as soon as the answer is written.
    assert await deliver_webhooks(SERVICES, http) == 5
    assert await is_verified(live_ctx, row)
    assert sorted(post.event_id for post in receiver.posts[1:]) == sent
    assert {each.state for each in await deliveries_of(row.id)} == {"succeeded"}


async def test_a_third_party_server_gets_one_post_for_each_webhook(
    live_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    answering(receiver, 404)
    for number in range(4):
        await create(live_ctx, receiver.url(f"/{number}"))
    await write_events(live_ctx, 20)
    await deliver(http)
    assert sorted(post.path for post in receiver.posts) == ["/0", "/1", "/2", "/3"]


async def test_of_two_workers_one_has_the_event_that_is_asked_first(live_ctx: Context, receiver: Receiver) -> None:
    await create(live_ctx, receiver.url())
    await write_events(live_ctx, 3)
    moment = await now()

    async def claim() -> int:
        async with unit_of_work():
            return len(await deliveries.claim_deliveries(limit=10, per_endpoint=4, now=moment))

    assert sorted(await asyncio.gather(*(claim() for _ in range(4)))) == [0, 0, 0, 1]


async def test_the_sandbox_and_webhooks_from_before_have_nothing_to_answer(
    ctx: Context, live_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    await create(ctx, receiver.url("/sandbox"))
    await make_endpoint(live_ctx, receiver.url("/before"))
    answering(receiver, 500)
    await write_events(ctx, 2)
    await write_events(live_ctx, 2)
    await deliver(http)
    assert sorted(post.path for post in receiver.posts) == ["/before"] * 2 + ["/sandbox"] * 2


async def test_nothing_is_given_up_before_the_webhook_is(
    live_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    row = await create(live_ctx, receiver.url())
    await write_events(live_ctx, 2)
    answering(receiver, 404)
    await execute("UPDATE webhook_deliveries SET attempt_count = 40, created_at = now() - interval '2 days'")
    await deliver(http)
    assert {each.state for each in await deliveries_of(row.id)} == {"pending"}
    # After three days of failures it is disabled; enabled again it is sent all that waited.
    await execute("UPDATE webhook_endpoints SET failing_since = now() - interval '4 days'")
    await all_due(row.id)
    await deliver(http)
    row = await endpoints.get_webhook(live_ctx, row.id)
    assert (row.enabled, row.disabled_reason) == (False, "failing")
    receiver.posts.clear()
    answering(receiver, 200)
    await update(live_ctx, row, enabled=True)
    await deliver(http)
    assert await is_verified(live_ctx, row)
    assert [post.event["type"] for post in receiver.posts] == ["message.delivered"] * 2


async def test_another_url_has_to_answer_for_itself(live_ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    row = await create(live_ctx, receiver.url("/one"))
    await write_events(live_ctx)
    await deliver(http)
    await update(live_ctx, row, url=receiver.url("/one"), description="CRM")
    assert await is_verified(live_ctx, row)
    await update(live_ctx, row, url=receiver.url("/victim"))
    assert not await is_verified(live_ctx, row)
    await write_events(live_ctx, 5)
    answering(receiver, 403)
    await deliver(http)
    assert len(receiver.on("/victim")) == 1


async def test_what_the_url_before_answers_proves_nothing(
    live_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    row = await create(live_ctx, receiver.url("/one"))
    await write_events(live_ctx)

    async def answer(_post: Received) -> web.Response:
        await execute("UPDATE webhook_endpoints SET url = $1", receiver.url("/victim"))
        return web.Response()

    receiver.answer = answer
    await deliver(http)
    assert not await is_verified(live_ctx, row)


async def test_a_test_event_is_answered_before_what_waits(
    live_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    row = await create(live_ctx, receiver.url())
    await write_events(live_ctx, 2)
    answering(receiver, 500)
    await deliver(http)
    answering(receiver, 204)
    async with unit_of_work():
        await endpoints.send_test(live_ctx, row.id)
    await deliver(http)
    assert await is_verified(live_ctx, row)
    await all_due(row.id)
    await deliver(http)
    assert [post.event["type"] for post in receiver.posts] == [
        "message.delivered",
        "test.ping",
        "message.delivered",
        "message.delivered",
    ]


SAME = [
    "https://api.cohortlabs.example/hook",
    "HTTPS://API.CohortLabs.EXAMPLE/hook",
    "https://api.cohortlabs.example:443/hook",
    "https://api.cohortlabs.example./hook",
    "https://api.cohortlabs.example/a/../hook",
    "https://api.cohortlabs.example/%68ook",
    "https://api.cohortlabs.example/hook?",
]
OTHER = [
    "https://api.cohortlabs.example/Hook",
    "https://api.cohortlabs.example/hook/",
    "https://api.cohortlabs.example/hook?a=1",
    "https://api.cohortlabs.example:8443/hook",
    "https://cohortlabs.example/hook",
]


def test_one_spelling_of_a_url() -> None:
    assert {canonical_url(url) for url in SAME} == {SAME[0]}
    assert canonical_url(SAME[0] + "#there") == SAME[0]
    assert len({canonical_url(url) for url in [SAME[0], *OTHER]}) == 1 + len(OTHER)
    assert canonical_url("https://api.cohortlabs.example") == canonical_url("https://api.cohortlabs.example/")
    assert canonical_url("http://[::1]:80/x") == "http://[::1]/x"
    assert canonical_url("https://bücher.example/") == canonical_url("https://xn--bcher-kva.example/")


async def test_a_url_has_one_webhook_in_each_mode(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    first = await create(ctx, SAME[0])
    for url in SAME:
        with pytest.raises(Conflict) as refused:
            await create(ctx, url)
        assert (refused.value.code, refused.value.param) == ("webhook_exists", "url")
        assert refused.value.details == {"existing_id": ids.encode_id(ids.WEBHOOK, first.id)}
    rows = [await create(each, SAME[0]) for each in (live_ctx, other_ctx)]
    others = [await create(ctx, url) for url in OTHER]
    with pytest.raises(Conflict):
        await update(ctx, others[0], url=SAME[1])
    kept = await update(ctx, first, url=SAME[1])
    assert kept.url == SAME[1]
    assert await WebhookEndpoint.all().count() == 1 + len(rows) + len(others)


async def test_concurrent_creations_make_one_webhook(ctx: Context) -> None:
    made = await asyncio.gather(*(create(ctx, url) for url in SAME), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["Conflict"] * (len(SAME) - 1) + ["WebhookEndpoint"]


async def test_one_host_is_not_sent_more_at_once_than_its_budget(
    ctx: Context, other_ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    most = under_way = 0

    async def answer(_post: Received) -> web.Response:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return web.Response()

    receiver.answer = answer
    for each in (ctx, other_ctx):
        for number in range(3):
            await make_endpoint(each, receiver.url(f"/{number}"))
        await write_events(each, 10)
    services = replace(SERVICES, rates=Rates(host_at_once=3, host_per_second=1_000_000.0))
    while await deliver_webhooks(services, http):
        continue
    assert len(receiver.posts) == 60
    assert 0 < most <= 3


def test_a_host_is_sent_so_many_a_second() -> None:
    clock = [100.0]
    budgets, rates = HostBudgets(now=lambda: clock[0]), Rates(host_at_once=1000, host_per_second=50.0)
    begun = 0
    while budgets.seconds_to_wait("a.example", rates) == 0:
        budgets.begin("a.example")
        begun += 1
    assert begun == 5
    wait = budgets.seconds_to_wait("a.example", rates)
    assert wait == pytest.approx(0.02)
    assert budgets.seconds_to_wait("b.example", rates) == 0
    clock[0] += 0.02
    assert budgets.seconds_to_wait("a.example", rates) == 0
    clock[0] += 3600
    begun = 0
    while budgets.seconds_to_wait("a.example", rates) == 0:
        budgets.begin("a.example")
        begun += 1
    assert begun == 5


async def test_what_waits_for_a_rate_is_sent_in_its_time(ctx: Context, receiver: Receiver, http: HttpClient) -> None:
    await make_endpoint(ctx, receiver.url())
    await write_events(ctx, 6)
    services = replace(SERVICES, rates=Rates(host_per_second=20.0))
    while await deliver_webhooks(services, http):
        continue
    assert len(receiver.posts) == 6


@pytest.mark.parametrize("url", ["https://A.example./x", "https://a.EXAMPLE:8443/y", "http://a.example"])
def test_the_budget_is_the_hosts_however_it_is_written(url: str) -> None:
    assert host_of(url) == "a.example"
