"""/v1/messages/batch: each message is accepted or refused by itself, and the books hold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.limits import RATES, Bucket, Rate
from msvs.api.messages.batches import TURN, SendBatch, send_batch
from msvs.api.messages.messages import SendMessage
from msvs.models import (
    Contact,
    CreditBalance,
    Event,
    LedgerEntry,
    LedgerKind,
    Message,
    OptInStatus,
    Suppression,
    Workspace,
)
from tests.apps import BASE_URL
from tests.factories import make_contact, make_workspace
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import get, in_future, post, refused, work
from tests.services import SERVICES

PATH = "/v1/messages/batch"
Json = dict[str, Any]


@pytest.fixture
async def live(client: Client, live_ctx: Context, virtual_live: None) -> httpx.AsyncClient:
    """A client of the live mode, with the virtual carrier behind it."""
    return await client(live_ctx)


async def send(client: httpx.AsyncClient, *messages: Json) -> list[Json]:
    data: list[Json] = (await post(client, PATH, 200, messages=list(messages)))["data"]
    assert [entry["index"] for entry in data] == list(range(len(messages)))
    assert all((entry["message"] is None) is not (entry["error"] is None) for entry in data)
    return data


def to(number: int, body: str = "Doors open", **more: Any) -> Json:
    return {"to": f"+1212556{number:04d}", "body": body, **more}


def codes(data: list[Json]) -> list[str | None]:
    return [entry["error"] and entry["error"]["code"] for entry in data]


async def balance(ctx: Context) -> int:
    return int((await CreditBalance.get(workspace_id=ctx.workspace_id)).balance)


async def reserved(ctx: Context) -> int:
    entries = await LedgerEntry.filter(workspace_id=ctx.workspace_id, kind=LedgerKind.RESERVE)
    return -sum(entry.amount for entry in entries)


async def counts() -> tuple[int, int, int]:
    queued = await Event.filter(type="message.queued").count()
    return await Message.all().count(), await Contact.all().count(), queued


async def test_different_messages_are_accepted_in_their_order_and_delivered(
    live: httpx.AsyncClient, live_ctx: Context
) -> None:
    known = await make_contact(live_ctx, "+12125560001", first_name="Maria")
    data = await send(
        live,
        to(1, "Hey {firstName}"),
        to(2, "a" * 161, metadata={"order": 7}, on_unknown="resend", **{"from": "COHORT"}),
        to(3, "At {hour}", variables={"hour": "8pm"}, scheduled_at=in_future(days=1)),
    )
    assert codes(data) == [None, None, None]
    first, second, third = (entry["message"] for entry in data)
    assert (first["body"], first["origin"]) == ("Hey Maria", "api")
    assert (second["segments"], second["metadata"], second["on_unknown"]) == (2, {"order": 7}, "resend")
    assert (third["status"], third["credits_used"], third["body"]) == ("scheduled", 0, "At 8pm")
    assert (await Contact.get(id=known.id)).is_automatic is False
    assert await counts() == (3, 3, 2)
    assert (await balance(live_ctx), await reserved(live_ctx)) == (9_997, 3)
    # It hurries what is scheduled, too, which is paid for when it is due.
    await work()
    states = [(await get(live, f"/v1/messages/{each['id']}"))["status"] for each in (first, second, third)]
    assert states == ["delivered"] * 3
    assert (await balance(live_ctx), await reserved(live_ctx)) == (9_996, 4)


async def test_a_bad_message_costs_its_own_place_alone(
    app: Starlette, live_ctx: Context, live: httpx.AsyncClient
) -> None:
    await Suppression.create(workspace_id=live_ctx.workspace_id, livemode=True, phone="+12125560009", source="keyword")
    gone = await make_contact(live_ctx, "+12125560008", status=OptInStatus.OPTED_OUT)
    _, key = await create_key(live_ctx.workspace_id, livemode=True)
    messages: list[Any] = [
        to(1),
        {"to": "+1abc", "body": "Hi"},
        to(9),
        {"to": gone.phone, "body": "Hi"},
        {"to": "+5352345678", "body": "Hi"},
        to(2, "Hey {name}"),
        to(2, schedule_at="now"),
        {"to": 5, "body": "Hi"},
        "hello",
        {"body": "Hi"},
        to(3, scheduled_at="2020-01-01T00:00:00Z"),
        to(4, metadata={"a": "b" * 501}),
        to(5, on_unknown="maybe"),
        to(1),
    ]
    # What breaks the document's schema is sent by a client that does not hold requests against it.
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=BASE_URL, headers={"Authorization": f"Bearer {key}"}
    ) as client:
        answer = await client.post(PATH, json={"messages": messages})
    await auth.settle(SERVICES)
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert [(entry["error"] or {}).get("code") for entry in data] == [
        None,
        "phone_number_invalid",
        "recipient_opted_out",
        "recipient_opted_out",
        "region_blocked",
        "variable_missing",
        "parameter_unknown",
        "parameter_invalid",
        "parameter_invalid",
        "parameter_missing",
        "scheduled_at_past",
        "parameter_out_of_range",
        "parameter_invalid",
        None,
    ]
    assert data[1]["error"] == {
        "status": 400,
        "type": "invalid_request_error",
        "code": "phone_number_invalid",
        "message": "The phone number '+1abc' could not be parsed as E.164.",
        "param": "to",
    }
    assert data[5]["error"]["param"] == "variables.name"
    # Two different messages to one phone, whose contact is made once; those refused made none.
    assert data[0]["message"]["id"] != data[13]["message"]["id"]
    assert await counts() == (2, 2, 2)
    assert (await balance(live_ctx), await reserved(live_ctx)) == (9_998, 2)


async def test_what_the_balance_does_not_cover_is_refused_and_makes_no_contact(
    client: Client, live_ctx: Context, virtual_live: None
) -> None:
    poor = await make_workspace(credits=4)
    ctx = Context(poor.id, True, services=SERVICES)
    api = await client(ctx)
    data = await send(
        api, to(1), to(2, "a" * 161), to(3, "a" * 400), to(4), to(5), to(6, scheduled_at=in_future(days=1))
    )
    assert codes(data) == [None, None, "insufficient_credits", None, "insufficient_credits", None]
    assert data[2]["error"]["message"] == "This needs 3 credits; the balance is 1."
    assert (await balance(ctx), await reserved(ctx)) == (0, 4)
    assert {row.phone for row in await Contact.filter(workspace_id=poor.id)} == {
        f"+1212556000{number}" for number in (1, 2, 4, 6)
    }
    assert await Event.filter(workspace_id=poor.id, type="message.queued").count() == 3
    # Nothing is left: a batch of refusals is an answer like any other.
    assert codes(await send(api, to(7), to(8))) == ["insufficient_credits"] * 2


async def test_the_daily_cap_goes_to_the_messages_in_their_order(live: httpx.AsyncClient, live_ctx: Context) -> None:
    await Workspace.filter(id=live_ctx.workspace_id).update(daily_credit_cap=3)
    data = await send(live, to(1), to(2, "a" * 161), to(3))
    assert codes(data) == [None, None, "daily_cap_reached"]
    assert (await balance(live_ctx), await reserved(live_ctx)) == (9_997, 3)
    assert codes(await send(live, to(4))) == ["daily_cap_reached"]


async def test_the_hourly_cap_of_a_range_counts_each_message(live: httpx.AsyncClient, live_ctx: Context) -> None:
    await Workspace.filter(id=live_ctx.workspace_id).update(prefix_hourly_cap=2)
    await post(live, "/v1/messages", **to(1))
    data = await send(live, to(2), to(3), {"to": "+14155550123", "body": "Hi"})
    assert codes(data) == [None, "prefix_velocity_exceeded", None]
    assert codes(await send(live, to(4))) == ["prefix_velocity_exceeded"]
    assert await refused(await live.post("/v1/messages", json=to(5))) == (422, "prefix_velocity_exceeded", "to")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "parameter_missing", "messages"),
        ({"messages": []}, "parameter_out_of_range", "messages"),
        ({"messages": [to(number % 9000) for number in range(1001)]}, "parameter_out_of_range", "messages"),
        ({"messages": {}}, "parameter_invalid", "messages"),
        ({"messages": [to(1)], "from": "COHORT"}, "parameter_unknown", "from"),
    ],
)
async def test_a_call_that_is_no_batch_is_refused_as_a_whole(
    api: httpx.AsyncClient, body: Json, code: str, param: str
) -> None:
    assert await refused(await api.post(PATH, json=body)) == (400, code, param)
    assert await counts() == (0, 0, 0)


async def test_live_without_a_carrier_refuses_the_call(client: Client, live_ctx: Context) -> None:
    answer = await (await client(live_ctx)).post(PATH, json={"messages": [to(1)]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "carrier_not_configured")


async def test_a_full_batch_is_one_transaction_and_one_key(api: httpx.AsyncClient) -> None:
    messages = [to(number, f"Seat {number}") for number in range(1000)]
    key = {"Idempotency-Key": "seats-1"}
    first = await api.post(PATH, json={"messages": messages}, headers=key)
    again = await api.post(PATH, json={"messages": messages}, headers=key)
    assert (first.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.content == first.content
    assert [entry["message"]["body"] for entry in first.json()["data"]] == [each["body"] for each in messages]
    assert await counts() == (1000, 1000, 1000)
    other = await api.post(PATH, json={"messages": messages[:1]}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_key_reused")


class Watched(list[SendMessage]):
    """Messages that note, when one is read, which turn of the loop it is."""

    turn = 0

    def __init__(self, messages: list[SendMessage]) -> None:
        super().__init__(messages)
        self.turns: list[int] = []

    def __iter__(self) -> Iterator[SendMessage]:
        for each in super().__iter__():
            self.turns.append(self.turn)
            yield each


async def test_other_requests_have_their_turn_while_a_batch_is_read(ctx: Context) -> None:
    messages = Watched([SendMessage(to=f"+1212556{number:04d}", body="{name") for number in range(1000)])

    async def count() -> None:
        while True:
            messages.turn += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    outcomes = await send_batch(ctx, SendBatch(messages=messages))
    counting.cancel()
    assert {type(each) for each in outcomes} == {InvalidRequest}
    assert max(Counter(messages.turns).values()) <= TURN < 100


async def test_batches_that_race_make_each_contact_once_and_spend_no_credit_twice(
    client: Client, virtual_live: None, clean: None
) -> None:
    poor = await make_workspace(credits=150)
    ctx = Context(poor.id, True, services=SERVICES)
    api = await client(ctx)

    async def batch(turn: int) -> list[Json]:
        numbers = list(range(40))
        return await send(api, *(to(number) for number in (numbers if turn % 2 else numbers[::-1])))

    async def single(turn: int) -> int:
        return (await api.post("/v1/messages", json=to(turn))).status_code

    done = await asyncio.gather(*(batch(turn) for turn in range(5)), *(single(turn) for turn in range(10)))
    accepted = sum(codes(data).count(None) for data in done[:5]) + done[5:].count(201)  # type: ignore[arg-type]
    assert set(done[5:]) <= {201, 402}  # type: ignore[arg-type]
    assert accepted == 150
    assert (await balance(ctx), await reserved(ctx)) == (0, 150)
    assert await counts() == (150, 40, 150)


async def test_sandbox_and_live_and_workspaces_are_apart(
    client: Client, ctx: Context, live_ctx: Context, other_ctx: Context, virtual_live: None
) -> None:
    await make_contact(live_ctx, "+12125560001", first_name="Maria")
    await make_contact(other_ctx, "+12125560001", first_name="Ana")
    (entry,) = await send(await client(ctx), to(1, "Hey {firstName|there}"))
    assert (entry["message"]["body"], entry["message"]["livemode"]) == ("Hey there", False)
    assert await balance(ctx) == 10_000
    # The sandbox's two scripted refusals stay in their places.
    data = await send(await client(ctx), *({"to": f"+1415555011{last}", "body": "Hi"} for last in (3, 4, 1)))
    assert codes(data) == ["region_blocked", "insufficient_credits", None]


async def test_a_batch_counts_as_a_request_for_each_message(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RATES, Bucket.CAMPAIGNS, Rate(1, 10))  # type: ignore[arg-type]
    answer = await api.post(PATH, json={"messages": [to(number) for number in range(8)]})
    assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (200, "2")
    answer = await api.post(PATH, json={"messages": [to(number) for number in range(8)]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(answer.headers["Retry-After"]) >= 1
    assert await counts() == (8, 8, 8)
