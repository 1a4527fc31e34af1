"""Status callbacks: signed as Twilio signs, written with the change that they tell, made again as Twilio does."""

from __future__ import annotations

import asyncio
import base64
import hmac
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from msvs import database as db
from msvs.address_policy import AddressPolicy
from msvs.api import ids
from msvs.api.context import Context, Rates
from msvs.api.privacy.erasure import erase_phone
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import status_callbacks
from msvs.api.webhooks.events import MANY, EventType, NewEvent, record_events
from msvs.api.webhooks.status_callbacks import sign
from msvs.http_client import HttpClient
from msvs.models import IdempotencyRecord, Message, StatusCallback, TwilioMessage
from msvs.workers import cron
from msvs.workers import status_callbacks as callbacks
from msvs.workers.host_budgets import HostBudgets, host_of
from msvs.workers.retention import drop_expired
from msvs.workers.status_callbacks import deliver_all, deliver_callbacks
from msvs.workers.stopping import StopFlag
from tests.receiver import Received, Receiver, Thing, make_endpoint
from tests.rest_compat.making import work
from tests.services import SERVICES
from tests.twilio_compat.conftest import Account
from tests.twilio_compat.test_messages import refusal

SERVICE = "MG" + "0123456789abcdef" * 2
FAILS, UNDELIVERED = "+14155550101", "+14155550103"


pytestmark = pytest.mark.usefixtures("app", "loopback_webhooks")


def forms(receiver: Receiver) -> list[dict[str, str]]:
    return [dict(parse_qsl(post.body.decode(), strict_parsing=True)) for post in receiver.posts]


def is_signed(post: Received, url: str, token: str) -> bool:
    """What Twilio's RequestValidator computes."""
    form = dict(parse_qsl(post.body.decode(), strict_parsing=True))
    text = url + "".join(name + form[name] for name in sorted(form))
    expected = base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()
    return post.headers["X-Twilio-Signature"] == expected


def test_the_example_of_twilios_documentation() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    assert sign("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


async def test_each_status_change_is_posted_and_signed_with_the_callers_key(
    account: Account, receiver: Receiver, http: HttpClient
) -> None:
    url = receiver.url("/sms?order=7&name=a%20b")
    sent = await account.send(From="COHORT", StatusCallback=url, MessagingServiceSid=SERVICE)
    assert (sent["from"], sent["messaging_service_sid"]) == ("COHORT", SERVICE)
    await work()
    assert await deliver_callbacks(SERVICES, http) == 2
    sid = sent["sid"]
    told = {
        "AccountSid": account.sid,
        "ApiVersion": "2010-04-01",
        "From": "COHORT",
        "MessageSid": sid,
        "MessagingServiceSid": SERVICE,
        "SmsSid": sid,
        "To": "+12125550111",
    }
    assert forms(receiver) == [{**told, "MessageStatus": each, "SmsStatus": each} for each in ("sent", "delivered")]
    for post in receiver.posts:
        assert is_signed(post, url, account.key)
        assert not is_signed(post, url, account.key + "x")
        assert post.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert "MSVS-Signature" not in post.headers
    assert await deliver_callbacks(SERVICES, http) == 0
    kept = await TwilioMessage.get()
    assert (kept.callback_url, kept.signatures, kept.service_sid) == (None, None, SERVICE)


@pytest.mark.parametrize(
    ("phone", "told"),
    [(FAILS, [("failed", "30005")]), (UNDELIVERED, [("sent", None), ("undelivered", "30003")])],
)
async def test_a_failure_is_reported_with_twilios_number(
    account: Account, receiver: Receiver, http: HttpClient, phone: str, told: list[tuple[str, str | None]]
) -> None:
    await account.send(phone, StatusCallback=receiver.url())
    await work()
    await deliver_callbacks(SERVICES, http)
    assert [(form["MessageStatus"], form.get("ErrorCode")) for form in forms(receiver)] == told
    assert all(is_signed(post, receiver.url(), account.key) for post in receiver.posts)


async def test_canceling_a_scheduled_message_posts_a_callback(
    account: Account, receiver: Receiver, http: HttpClient
) -> None:
    later = (datetime.now(UTC) + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    sent = await account.send(ScheduleType="fixed", SendAt=later, StatusCallback=receiver.origin)
    assert await deliver_callbacks(SERVICES, http) == 0
    assert (await account.post(f"Messages/{sent['sid']}.json", Status="canceled")).status_code == 200
    await deliver_callbacks(SERVICES, http)
    assert [form["MessageStatus"] for form in forms(receiver)] == ["canceled"]
    # A URL without a path is called, and signed, with one.
    assert is_signed(receiver.posts[0], receiver.url("/"), account.key)


async def test_the_key_is_not_kept(account: Account, receiver: Receiver) -> None:
    await account.send(StatusCallback=receiver.url())
    rows = await db.fetch("SELECT row_to_json(twilio_messages)::text AS text FROM twilio_messages")
    assert len(rows) == 1
    assert account.key not in rows[0].text
    assert account.key.partition("_")[2] not in rows[0].text


@pytest.mark.parametrize(
    ("overrides", "status", "calls"),
    [
        ("", 500, 1),
        ("", 404, 1),
        ("#rc=2&rp=5xx", 500, 3),
        ("#rc=2&rp=5xx", 404, 1),
        ("#rc=1&rp=4xx,5xx", 404, 2),
        ("#rp=all", 503, 2),
        ("#rc=0&rp=all", 503, 1),
    ],
)
async def test_a_callback_is_made_again_as_its_url_says(
    account: Account, receiver: Receiver, http: HttpClient, overrides: str, status: int, calls: int
) -> None:
    async def answer(_: Received) -> web.Response:
        return web.Response(status=status)

    receiver.answer = answer
    await account.send(FAILS, StatusCallback=receiver.url() + overrides)
    await work()
    assert await deliver_callbacks(SERVICES, http) == calls
    assert len(receiver.posts) == calls
    assert all(is_signed(post, receiver.url(), account.key) for post in receiver.posts)
    row = await StatusCallback.get()
    assert (row.state, row.attempt_count, row.status_code, row.lease_until) == ("exhausted", calls, status, None)


async def test_a_connection_that_fails_is_tried_once_more(account: Account, http: HttpClient) -> None:
    await account.send(FAILS, StatusCallback="http://127.0.0.1:9/hook")
    await work()
    assert await deliver_callbacks(SERVICES, http) == 2
    row = await StatusCallback.get()
    assert (row.state, row.error, row.status_code) == ("exhausted", "connect", None)


async def test_a_refused_address_is_not_tried_again(account: Account, receiver: Receiver) -> None:
    await account.send(FAILS, StatusCallback=receiver.url() + "#rc=5&rp=all")
    await work()
    async with HttpClient(AddressPolicy()) as strict:
        assert await deliver_callbacks(SERVICES, strict) == 1
    row = await StatusCallback.get()
    assert (row.state, row.error, receiver.posts) == ("exhausted", "address_refused", [])


async def test_a_claim_that_ran_out_is_made_again(account: Account, receiver: Receiver, http: HttpClient) -> None:
    await account.send(FAILS, StatusCallback=receiver.url())
    await work()
    now = await db.now()
    async with unit_of_work():
        [claimed] = await status_callbacks.claim_callbacks(limit=10, busy={}, now=now)
    assert not await status_callbacks.has_due(now)
    assert await deliver_callbacks(SERVICES, http) == 0
    assert await status_callbacks.has_due(now + status_callbacks.LEASE)
    await StatusCallback.all().update(lease_until=now)
    assert await deliver_callbacks(SERVICES, http) == 1
    async with unit_of_work():
        # Who claimed it first has lost it.
        await status_callbacks.settle(claimed, status_callbacks.Called(status=500), now)
    assert (await StatusCallback.get()).state == "succeeded"


async def test_two_workers_make_each_callback_once(account: Account, receiver: Receiver, http: HttpClient) -> None:
    for number in range(12):
        await account.send(f"+121255501{number:02}", StatusCallback=receiver.url())
    await work()
    counts = await asyncio.gather(*(deliver_callbacks(SERVICES, http) for _ in range(3)))
    assert sum(counts) == len(receiver.posts) == 24
    told = [(form["MessageSid"], form["MessageStatus"]) for form in forms(receiver)]
    assert len(set(told)) == 24


async def test_a_workspace_has_so_many_on_their_way(account: Account, receiver: Receiver) -> None:
    await account.send(StatusCallback=receiver.url())
    await work()
    row = await StatusCallback.get(status="sent")
    now = await db.now()
    async with unit_of_work():
        busy = {row.workspace_id: status_callbacks.PER_WORKSPACE - 1}
        assert len(await status_callbacks.claim_callbacks(limit=10, busy=busy, now=now)) == 1
        busy = {row.workspace_id: status_callbacks.PER_WORKSPACE}
        assert len(await status_callbacks.claim_callbacks(limit=10, busy=busy, now=now)) == 0


async def test_after_the_flag_nothing_is_claimed(account: Account, receiver: Receiver, http: HttpClient) -> None:
    await account.send(FAILS, StatusCallback=receiver.url())
    await work()
    stop = StopFlag()
    stop.set()
    assert await deliver_callbacks(SERVICES, http, stop=stop) == 0
    assert (await StatusCallback.get()).attempt_count == 0


async def test_webhooks_and_callbacks_are_delivered_by_one_job(
    account: Account, ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    await make_endpoint(ctx, receiver.url("/webhook"), ["message.failed"])
    await account.send(FAILS, StatusCallback=receiver.url("/callback"))
    await work()
    assert await cron.QUESTIONS[cron.WorkQueue.WEBHOOKS](SERVICES, await db.now())
    assert await deliver_all(SERVICES, http, stop=StopFlag()) == 2
    assert {post.path for post in receiver.posts} == {"/webhook", "/callback"}
    assert not await cron.QUESTIONS[cron.WorkQueue.WEBHOOKS](SERVICES, await db.now())


async def test_many_events_at_once_write_their_callbacks(account: Account, ctx: Context, receiver: Receiver) -> None:
    sent = [await account.send(StatusCallback=receiver.url()) for _ in range(2)]
    await account.send()
    rows = {ids.encode_id(ids.MESSAGE, row.id): row.id for row in await Message.all()}
    changed = [*rows.items()] * (MANY // 3 + 1)
    async with unit_of_work():
        await record_events(
            [
                NewEvent(EventType.MESSAGE_SENT, ctx.workspace_id, ctx.livemode, id, Thing(id=name))
                for name, id in changed
            ],
            datetime.now(UTC),
        )
    called = await StatusCallback.all()
    assert sorted(f"SM{row.message_id.hex}" for row in called) == sorted(each["sid"] for each in sent)
    assert {row.status for row in called} == {"sent"}


async def test_what_is_rolled_back_leaves_no_callback(account: Account, receiver: Receiver) -> None:
    response = await account.post(
        "Messages.json", To="+14155550114", Body="Doors open", StatusCallback=receiver.url(), From="COHORT"
    )
    assert refusal(response) == (402, 20005, None)
    assert await TwilioMessage.all().count() == await Message.all().count() == 0


async def test_a_retry_with_its_token_registers_once(account: Account, receiver: Receiver) -> None:
    form = {"To": FAILS, "Body": "Doors open", "StatusCallback": receiver.url()}
    headers = {"I-Twilio-Idempotency-Token": "c0ffee"}
    path = f"{account.path}/Messages.json"
    first, second = [await account.http.post(path, data=form, headers=headers, auth=account.auth) for _ in range(2)]
    assert first.json() == second.json()
    assert await TwilioMessage.all().count() == await IdempotencyRecord.all().count() == 1


async def test_an_erased_phone_is_in_no_callback(
    account: Account, ctx: Context, receiver: Receiver, http: HttpClient
) -> None:
    await account.send(FAILS, StatusCallback=receiver.url())
    await work()
    async with unit_of_work():
        await erase_phone(ctx, FAILS)
    assert await deliver_callbacks(SERVICES, http) == 0
    assert receiver.posts == []
    assert (await StatusCallback.get()).state == "dropped"
    kept = await TwilioMessage.get()
    assert (kept.callback_url, kept.signatures) == (None, None)


async def test_callbacks_past_their_keeping_are_dropped(account: Account, receiver: Receiver, http: HttpClient) -> None:
    await account.send(StatusCallback=receiver.url())
    await work()
    await deliver_callbacks(SERVICES, http)
    await drop_expired(SERVICES)
    assert (await StatusCallback.all().count(), await TwilioMessage.all().count()) == (2, 1)
    await StatusCallback.all().update(created_at=datetime.now(UTC) - timedelta(days=8))
    await account.send()
    first = await Message.all().order_by("id").first()
    assert first is not None
    await db.execute("DELETE FROM messages WHERE id = $1", first.id)
    await drop_expired(SERVICES)
    assert (await StatusCallback.all().count(), await TwilioMessage.all().count()) == (0, 0)


async def test_callbacks_draw_on_the_budget_of_their_host(
    account: Account, receiver: Receiver, http: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody floods somebody else's server by callbacks where webhooks may not."""
    await account.send(StatusCallback=receiver.url())
    await work()
    monkeypatch.setattr(callbacks, "TURN_SECONDS", 0.0)
    host = host_of(receiver.url())
    services = replace(SERVICES, rates=Rates(host_at_once=1, host_per_second=1_000_000.0), _kept={})
    # A webhook's post is on its way there.
    services.keep(HostBudgets).begin(host)
    assert await deliver_callbacks(services, http) == 0
    assert receiver.posts == []
    rows = await StatusCallback.all()
    assert {(row.state, row.attempt_count, row.lease_until) for row in rows} == {("pending", 0, None)}
    services.keep(HostBudgets).end(host)
    await StatusCallback.all().update(next_attempt_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await deliver_callbacks(services, http) == 2
    assert [form["MessageStatus"] for form in forms(receiver)] == ["sent", "delivered"]
