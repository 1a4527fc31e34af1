"""/v1/messages: sending, reading, filtering, canceling, and every number of the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.ids import decode_id
from msvs.api.messages import messages
from msvs.api.pages import PageRequest
from msvs.models import Contact, CreditBalance, Event, LedgerEntry, Message, Workspace
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages, resolve_expired
from tests.owner import run_as_owner
from tests.plans import make_messages, reading
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import CARRIERS, get, in_future, post, work
from tests.services import SERVICES

TO = "+12125550111"


@pytest.fixture
async def live(client: Client, live_ctx: Context, virtual_live: None) -> httpx.AsyncClient:
    """A client of the live mode, with the virtual carrier behind it."""
    return await client(live_ctx)


async def send(client: httpx.AsyncClient, to: str = TO, body: str = "Doors open", **more: Any) -> dict[str, Any]:
    return await post(client, "/v1/messages", to=to, body=body, **more)


async def again(client: httpx.AsyncClient, message: dict[str, Any]) -> dict[str, Any]:
    """The message as it now stands."""
    return await get(client, f"/v1/messages/{message['id']}")


async def events_of(client: httpx.AsyncClient, message: dict[str, Any]) -> list[str]:
    page = await get(client, "/v1/events", limit=100)
    return [event["type"] for event in reversed(page["data"]) if event["data"].get("id") == message["id"]]


async def balance(ctx: Context) -> int:
    row = await CreditBalance.get(workspace_id=ctx.workspace_id)
    return int(row.balance)


async def untouched(ctx: Context) -> bool:
    """Whether nothing was written and no credit moved."""
    rows = await Message.all().count() + await Contact.all().count() + await Event.all().count()
    return rows == 0 and await balance(ctx) == 10_000 and await LedgerEntry.all().count() == 1


# Sending


async def test_a_live_message_goes_from_queued_to_delivered_and_is_paid(
    live: httpx.AsyncClient, live_ctx: Context
) -> None:
    message = await send(live)
    assert (message["status"], message["livemode"], message["credits_used"]) == ("queued", True, 1)
    assert await balance(live_ctx) == 9_999
    await work()
    done = await again(live, message)
    assert (done["status"], done["error"], done["delivery"]) == ("delivered", None, None)
    assert done["sent_at"] is not None
    assert done["delivered_at"] is not None
    assert await events_of(live, message) == ["message.queued", "message.sent", "message.delivered"]
    assert (await get(live, "/v1/credits"))["balance"] == 9_999


async def test_the_sandbox_costs_nothing(api: httpx.AsyncClient, ctx: Context) -> None:
    message = await send(api, body="a" * 161)
    await work()
    done = await again(api, message)
    assert (done["status"], done["segments"], done["credits_used"], done["livemode"]) == ("delivered", 2, 2, False)
    assert await balance(ctx) == 10_000


@pytest.mark.parametrize(
    ("body", "encoding", "segments"),
    [
        ("a" * 160, "gsm7", 1),
        ("a" * 161, "gsm7", 2),
        ("a" * 306, "gsm7", 2),
        ("a" * 307, "gsm7", 3),
        ("€" * 80, "gsm7", 1),
        ("€" * 81, "gsm7", 2),
        ("a" * 152 + "€" + "a" * 10, "gsm7", 2),
        ("ç" * 70, "ucs2", 1),
        ("ç" * 71, "ucs2", 2),
        ("😀" * 35, "ucs2", 1),
        ("😀" * 36, "ucs2", 2),
        ("a" * 1600, "gsm7", 11),
    ],
)
async def test_segments_are_counted_on_what_is_sent(
    api: httpx.AsyncClient, body: str, encoding: str, segments: int
) -> None:
    message = await send(api, body=body)
    assert (message["encoding"], message["segments"], message["credits_used"]) == (encoding, segments, segments)


@pytest.mark.parametrize(
    ("body", "variables", "sent"),
    [
        ("Hey {firstName}", {"firstName": "Maria"}, "Hey Maria"),
        ("Hey {first_name}", {"firstName": "Maria"}, "Hey Maria"),
        ("Hey {firstName}", {"first_name": "Maria"}, "Hey Maria"),
        ("Hey {firstName|there}", {}, "Hey there"),
        ("Hey {firstName|there}", {"firstName": None}, "Hey there"),
        (
            "{n} seats, {price} each, open: {open}",
            {"n": 3, "price": 9.5, "open": True},
            "3 seats, 9.5 each, open: true",
        ),
        ("{{not}} {a}", {"a": "{b}", "b": "x"}, "{not} {b}"),
        ("To {phone}", {}, f"To {TO}"),
    ],
)
async def test_variables_are_filled_in(api: httpx.AsyncClient, body: str, variables: dict[str, Any], sent: str) -> None:
    assert (await send(api, body=body, variables=variables))["body"] == sent


async def test_a_contacts_own_values_are_used_after_those_given(api: httpx.AsyncClient) -> None:
    await post(api, "/v1/contacts", phone=TO, first_name="Maria", attributes={"tier": "vip", "lastOrder": 12})
    message = await send(api, body="{firstName} {tier} {last_order}", variables={"tier": "gold"})
    assert message["body"] == "Maria gold 12"


async def test_the_first_message_makes_an_unknown_contact_and_the_next_finds_it(api: httpx.AsyncClient) -> None:
    first, second = await send(api), await send(api)
    assert first["contact_id"] == second["contact_id"]
    contact = await get(api, f"/v1/contacts/{first['contact_id']}")
    assert (contact["phone"], contact["opt_in"]["status"]) == (TO, "unknown")


@pytest.mark.parametrize("sender", ["COHORT", "Cohort Labs", "+14155550100", "12345"])
async def test_a_sender_may_be_given(api: httpx.AsyncClient, sender: str) -> None:
    assert (await send(api, from_=sender))["from"] == sender


async def test_metadata_is_kept_and_returned_in_events(api: httpx.AsyncClient) -> None:
    metadata = {"k" * 40: "v" * 500, **{f"key{n}": "" for n in range(12)}}
    metadata |= {"n": 5, "large": 2**53, "price": 19.9, "whole": 5.0, "yes": True, "no": False, "none": None}
    message = await send(api, metadata=metadata)
    assert (await again(api, message))["metadata"] == metadata
    assert (await get(api, "/v1/events"))["data"][0]["data"]["metadata"] == metadata


REFUSED = [
    ({"to": "+1abc"}, 400, "phone_number_invalid", "to"),
    ({"to": "4155550123"}, 400, "phone_number_invalid", "to"),
    ({"to": "+1415555012"}, 400, "phone_number_invalid", "to"),
    ({"to": "+1 415 555 0123"}, 400, "phone_number_invalid", "to"),
    ({"body": ""}, 400, "body_empty", "body"),
    ({"body": "  \n"}, 400, "body_empty", "body"),
    ({"body": "a" * 1601}, 400, "body_too_long", "body"),
    ({"body": "{a}", "variables": {"a": "b" * 1601}}, 400, "body_too_long", "body"),
    ({"body": "{a}", "variables": {"a": " "}}, 400, "variable_blank", "variables.a"),
    ({"body": "{a}", "variables": {"a": ""}}, 400, "variable_blank", "variables.a"),
    ({"body": "{a}", "variables": {"a": "\u200b"}}, 400, "variable_blank", "variables.a"),
    ({"body": "{a}", "variables": {"a": None}}, 400, "variable_missing", "variables.a"),
    ({"body": "Hey {firstName}"}, 400, "variable_missing", "variables.firstName"),
    ({"body": "Hey {first_name}"}, 400, "variable_missing", "variables.first_name"),
    ({"body": "{firstName|you} {FirstName}"}, 400, "variable_missing", "variables.FirstName"),
    ({"body": "Hey {firstName"}, 400, "template_invalid", "body"),
    ({"body": "Hey }"}, 400, "template_invalid", "body"),
    ({"body": "{1a}"}, 400, "template_invalid", "body"),
    ({"from": "ABCDEFGHIJKL"}, 400, "sender_invalid", "from"),
    ({"from": ""}, 400, "sender_invalid", "from"),
    ({"metadata": {f"k{n}": "" for n in range(21)}}, 400, "parameter_out_of_range", "metadata"),
    ({"metadata": {"k" * 41: ""}}, 400, "parameter_out_of_range", "metadata"),
    ({"metadata": {"": ""}}, 400, "parameter_out_of_range", "metadata"),
    ({"metadata": {"k": "v" * 501}}, 400, "parameter_out_of_range", "metadata.k"),
    ({"metadata": {"k": {"a": 1}}}, 400, "parameter_invalid", "metadata.k"),
    ({"metadata": {"k": ["a"]}}, 400, "parameter_invalid", "metadata.k"),
    ({"scheduled_at": "2026-05-01T20:00:00"}, 400, "parameter_invalid", "scheduled_at"),
    ({"schedule_at": "2026-05-01T20:00:00Z"}, 400, "parameter_unknown", "schedule_at"),
    ({"to": "+5352345678"}, 422, "region_blocked", "to"),
    ({"to": "+989121234567"}, 422, "region_blocked", "to"),
    ({"to": "+963944567890"}, 422, "region_blocked", "to"),
    ({"to": "+79781234567"}, 422, "region_blocked", "to"),
    ({"to": "+19002345678"}, 422, "number_type_blocked", "to"),
    ({"to": "+881612345678"}, 422, "number_type_blocked", "to"),
    ({"to": "+448457123456"}, 422, "number_type_blocked", "to"),
    ({"to": "+14155550113"}, 422, "region_blocked", "to"),
    ({"to": "+14155550114"}, 402, "insufficient_credits", None),
]


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"), REFUSED, ids=[f"{code}-{str(sent)[:30]}" for sent, _, code, _ in REFUSED]
)
async def test_a_refusal_leaves_nothing_behind(
    api: httpx.AsyncClient, ctx: Context, changes: dict[str, Any], status: int, code: str, param: str | None
) -> None:
    if changes.get("to") == "+79781234567":
        await Workspace.filter(id=ctx.workspace_id).update(blocked_regions=["RU"])
    response = await api.post("/v1/messages", json={"to": TO, "body": "Doors open", **changes})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error.get("param")) == (status, code, param)
    assert await untouched(ctx)


async def test_a_recipient_who_opted_out_is_refused(api: httpx.AsyncClient) -> None:
    contact = await post(api, "/v1/contacts", phone=TO)
    await post(api, f"/v1/contacts/{contact['id']}/opt_out", 200)
    response = await api.post("/v1/messages", json={"to": TO, "body": "Doors open"})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "recipient_opted_out")
    assert await Message.all().count() == 0


async def test_an_empty_balance_is_402_with_the_amounts(live: httpx.AsyncClient, live_ctx: Context) -> None:
    await db.execute("UPDATE credit_balances SET balance = 1")
    response = await live.post("/v1/messages", json={"to": TO, "body": "a" * 161})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (402, "insufficient_credits")
    assert (error["required"], error["available"]) == (2, 1)
    assert await balance(live_ctx) == 1
    assert await Message.all().count() == await Contact.all().count() == 0


async def test_live_without_a_carrier_is_refused_before_any_credit_moves(client: Client, live_ctx: Context) -> None:
    response = await (await client(live_ctx)).post("/v1/messages", json={"to": TO, "body": "Doors open"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "carrier_not_configured")
    assert await untouched(live_ctx)


# Scheduling and canceling


async def test_a_scheduled_message_waits_pays_at_dispatch_and_goes(live: httpx.AsyncClient, live_ctx: Context) -> None:
    message = await send(live, scheduled_at=in_future(days=364))
    assert (message["status"], message["scheduled_at"] is None) == ("scheduled", False)
    assert await balance(live_ctx) == 10_000
    await work(1)
    await work()
    assert (await again(live, message))["status"] == "delivered"
    assert await balance(live_ctx) == 9_999


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        ({"seconds": -90}, "scheduled_at_past"),
        ({"days": -1}, "scheduled_at_past"),
        ({"days": 366}, "scheduled_at_too_far"),
    ],
)
async def test_a_time_out_of_bounds_is_refused(
    api: httpx.AsyncClient, ctx: Context, ahead: dict[str, float], code: str
) -> None:
    response = await api.post("/v1/messages", json={"to": TO, "body": "Hi", "scheduled_at": in_future(**ahead)})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, "scheduled_at")
    assert await untouched(ctx)


async def test_a_time_just_past_is_sent_now(api: httpx.AsyncClient) -> None:
    assert (await send(api, scheduled_at=in_future(seconds=-30)))["status"] == "queued"


@pytest.mark.parametrize("scheduled_at", [None, "tomorrow"])
async def test_cancel_gives_the_credits_back_once(
    live: httpx.AsyncClient, live_ctx: Context, scheduled_at: str | None
) -> None:
    message = await send(live, scheduled_at=in_future(days=1) if scheduled_at else None)
    for _ in range(2):
        canceled = await post(live, f"/v1/messages/{message['id']}/cancel", 200)
        assert (canceled["status"], canceled["credits_used"]) == ("canceled", 0)
        assert canceled["canceled_at"] is not None
    await work()
    assert (await again(live, message))["status"] == "canceled"
    assert await balance(live_ctx) == 10_000
    assert (await events_of(live, message))[-1] == "message.canceled"
    assert (await events_of(live, message)).count("message.canceled") == 1


async def test_cancel_after_dispatch_changes_nothing(api: httpx.AsyncClient) -> None:
    message = await send(api)
    await work()
    before = await again(api, message)
    assert await post(api, f"/v1/messages/{message['id']}/cancel", 200) == before
    assert before["status"] == "delivered"


# The sandbox's numbers

SCRIPTED = [
    ("0101", "failed", "invalid_number", ["queued", "failed"]),
    ("0102", "failed", "carrier_filtered", ["queued", "failed"]),
    ("0103", "failed", "unreachable", ["queued", "sent", "failed"]),
    ("0104", "delivered", None, ["queued", "sent", "delivered"]),
    ("0105", "delivered", None, ["queued", "sent", "delivered"]),
    ("0107", "replied", None, ["queued", "sent", "delivered", "replied"]),
    ("0108", "sent", None, ["queued", "sent"]),
    ("0109", "delivered", None, ["queued", "sent", "delivered"]),
    ("0111", "delivered", None, ["queued", "sent", "delivered"]),
    ("0123", "delivered", None, ["queued", "sent", "delivered"]),
]


@pytest.mark.parametrize(("number", "status", "code", "verbs"), SCRIPTED, ids=[row[0] for row in SCRIPTED])
async def test_a_scripted_number_does_its_part(
    api: httpx.AsyncClient, number: str, status: str, code: str | None, verbs: list[str]
) -> None:
    message = await send(api, to=f"+1415555{number}")
    await work(4)
    done = await again(api, message)
    assert done["status"] == status
    assert (done["error"] or {}).get("code") == code
    assert await events_of(api, message) == [f"message.{verb}" for verb in verbs]


async def test_stop_from_a_scripted_number_opts_out_and_is_answered_once(api: httpx.AsyncClient) -> None:
    message = await send(api, to="+14155550105")
    await work(4)
    contact = await get(api, f"/v1/contacts/{message['contact_id']}")
    assert contact["opt_in"]["status"] == "opted_out"
    sent = (await get(api, "/v1/messages", contact_id=contact["id"]))["data"]
    assert [row["body"] for row in sent[:-1]] == [
        "You are unsubscribed and will get no more messages. Reply START to resubscribe."
    ]
    # The number says STOP to that too, and is not answered again.
    inbound = (await get(api, "/v1/inbound", contact_id=contact["id"]))["data"]
    assert [(row["keyword"], row["body"]) for row in inbound] == [("stop", "STOP")] * 2
    types = [event["type"] for event in (await get(api, "/v1/events"))["data"]]
    assert types.count("contact.opted_out") == 1


async def test_yes_from_a_scripted_number_confirms(api: httpx.AsyncClient, ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    contact = await post(api, "/v1/contacts", phone="+14155550106", opt_in={"source": "checkout"})
    assert contact["opt_in"]["status"] == "pending"
    await work(4)
    assert (await get(api, f"/v1/contacts/{contact['id']}"))["opt_in"]["status"] == "opted_in"
    types = [event["type"] for event in (await get(api, "/v1/events"))["data"]]
    assert types.count("contact.opted_in") == 1


async def test_a_carrier_that_times_out_after_accepting_gets_one_message(api: httpx.AsyncClient) -> None:
    message = await send(api, to="+14155550112")
    await dispatch_messages(SERVICES, CARRIERS)
    assert (await again(api, message))["status"] == "sending"
    await db.execute("UPDATE messages SET lease_until = now() - interval '1 second' WHERE status = 'sending'")
    await resolve_expired(SERVICES, CARRIERS)
    await work()
    assert (await again(api, message))["status"] == "delivered"
    assert await db.fetch_value("SELECT count(*) FROM virtual_submissions") == 1


# Lists


async def test_every_status_can_be_filtered_by(api: httpx.AsyncClient) -> None:
    """Each status of the document and of ours is produced and found, and `delivered` includes replied."""
    found: dict[str, str] = {}
    for status, number in (("failed", "0101"), ("sent", "0108"), ("replied", "0107"), ("delivered", "0123")):
        found[status] = (await send(api, to=f"+1415555{number}"))["id"]
    await work(4)
    found["sending"] = (await send(api, to="+14155550112"))["id"]
    await dispatch_messages(SERVICES, CARRIERS)
    found["scheduled"] = (await send(api, scheduled_at=in_future(days=1)))["id"]
    found["queued"] = (await send(api))["id"]
    canceled = await send(api)
    found["canceled"] = (await post(api, f"/v1/messages/{canceled['id']}/cancel", 200))["id"]
    contact = await post(api, "/v1/contacts", phone="+12125550122")
    await post(api, "/v1/campaigns", name="X", body="Hi", audience={"contact_ids": [contact["id"]]})
    await expand_campaigns(SERVICES)
    for status in ("scheduled", "queued", "sending", "sent", "failed", "canceled", "replied", "delivered"):
        rows = (await get(api, "/v1/messages", status=status))["data"]
        expected = [found[status]] if status != "delivered" else sorted((found["replied"], found["delivered"]))[::-1]
        assert [row["id"] for row in rows] == expected, status
    (skipped,) = (await get(api, "/v1/messages", status="skipped"))["data"]
    assert (skipped["contact_id"], skipped["error"]["code"]) == (contact["id"], "recipient_not_opted_in")
    everything = [row["id"] for row in (await get(api, "/v1/messages", limit=100))["data"]]
    assert set(found.values()) == set(everything)
    with_skipped = [row["id"] for row in (await get(api, "/v1/messages", limit=100, status="all"))["data"]]
    assert with_skipped == sorted([*everything, skipped["id"]], reverse=True)
    query = "{messages(filter: {includeSkipped: true}) {totalCount nodes {id}}}"
    shown = (await api.post("/graphql", json={"query": query})).json()["data"]["messages"]
    assert (shown["totalCount"], [node["id"] for node in shown["nodes"]]) == (len(with_skipped), with_skipped)


async def test_messages_can_be_filtered_by_campaign_and_contact(api: httpx.AsyncClient) -> None:
    single = await send(api)
    contact = await post(api, "/v1/contacts", phone="+12125550122", opt_in={"source": "checkout"})
    audience = {"contact_ids": [contact["id"]]}
    campaign = await post(api, "/v1/campaigns", name="X", body="Hi", audience=audience)
    await work()
    (sent,) = (await get(api, "/v1/messages", campaign_id=campaign["id"]))["data"]
    assert (sent["contact_id"], sent["campaign_id"]) == (contact["id"], campaign["id"])
    for params, ids in (
        ({"contact_id": single["contact_id"]}, [single["id"]]),
        ({"contact_id": contact["id"], "campaign_id": campaign["id"], "status": "delivered"}, [sent["id"]]),
        ({"contact_id": single["contact_id"], "campaign_id": campaign["id"]}, []),
    ):
        assert [row["id"] for row in (await get(api, "/v1/messages", **params))["data"]] == ids


async def _send_various(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Send messages that differ in what a list may be asked for, a minute apart: the oldest first."""
    told: list[dict[str, Any]] = [
        {"to": "+14155550101", "body": "Your order left."},
        {
            "to": "+12125550111",
            "body": "ORDER 1042 arrived",
            "from_": "COHORT",
            "metadata": {"order": "1042", "gift": True},
        },
        {"to": "+12125550112", "body": "100% off_today", "metadata": {"order": 1042}},
        {"to": "+12125550111", "body": "Bye", "metadata": {"order": "7"}, "scheduled_at": in_future(days=1)},
    ]
    made = [await send(api, **each) for each in told[:3]]
    await work(4)
    made.append(await send(api, **told[3]))
    for number, each in enumerate(made):
        at = datetime(2026, 5, 1, 20, number, tzinfo=UTC)
        await db.execute("UPDATE messages SET created_at = $2 WHERE id = $1", decode_id("msg", each["id"]), at)
    return made


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({"to": "+12125550111"}, [3, 1]),
    ({"to": "+12125550199"}, []),
    ({"from": "COHORT"}, [1]),
    ({"from": "NOBODY"}, []),
    ({"q": "order"}, [1, 0]),
    ({"q": "100% off_"}, [2]),
    ({"q": "1%0"}, []),
    ({"error_code": "invalid_number"}, [0]),
    ({"error_code": "unreachable"}, []),
    ({"statuses": "failed,scheduled"}, [3, 0]),
    ({"statuses": "delivered"}, [2, 1]),
    ({"statuses": "failed,scheduled", "status": "failed"}, [0]),
    ({"metadata[order]": "1042"}, [2, 1]),
    ({"metadata[order]": "1042", "metadata[gift]": "true"}, [1]),
    ({"metadata[gift]": "false"}, []),
    ({"metadata[missing]": "7"}, []),
    ({"metadata[o'r]": "7"}, []),
    ({"q": "order", "from": "COHORT", "to": "+12125550111", "status": "all"}, [1]),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS, ids=[str(number) for number in range(len(FILTERS))])
async def test_messages_are_found_by_every_condition(
    api: httpx.AsyncClient, query: dict[str, Any], expected: list[int]
) -> None:
    made = await _send_various(api)
    page = await get(api, "/v1/messages", **query)
    assert [row["id"] for row in page["data"]] == [made[place]["id"] for place in expected]
    assert (page["has_more"], "next_cursor" in page) == (False, False)


async def test_messages_are_found_by_when_they_were_made(api: httpx.AsyncClient, ctx: Context) -> None:
    """From one time on, and before another; a message of another workspace is never among them."""
    made = [row["id"] for row in await _send_various(api)]
    now = await db.now()
    # Their ids are of today, as those of messages made in this minute are.
    for number, id in enumerate(made):
        at = now - timedelta(seconds=30 - number)
        await db.execute("UPDATE messages SET created_at = $2 WHERE id = $1", decode_id("msg", id), at)

    async def found(since: int | None, before: int | None) -> list[str]:
        asked = {"created_at[gte]": since, "created_at[lt]": before}
        times = {name: None if at is None else now - timedelta(seconds=30 - at) for name, at in asked.items()}
        page = await get(api, "/v1/messages", **{name: at.isoformat() for name, at in times.items() if at is not None})
        return [row["id"] for row in page["data"]]

    assert await found(1, 3) == [made[2], made[1]]
    assert await found(3, None) == [made[3]]
    assert await found(None, 1) == [made[0]]
    assert await found(4, None) == []


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("to=555", "phone_number_invalid", "to"),
        ("statuses=failed,gone", "parameter_invalid", "statuses"),
        ("statuses=", "parameter_invalid", "statuses"),
        ("created_at[gte]=yesterday", "parameter_invalid", "created_at[gte]"),
        ("created_at[gt]=2026-05-01T20:00:00Z", "parameter_unknown", "created_at[gt]"),
        ("metadata=1042", "parameter_invalid", "metadata"),
        ("metadata[order]=1&metadata[order]=2", "parameter_invalid", "metadata[order]"),
        (f"metadata[{'k' * 41}]=1", "parameter_out_of_range", "metadata"),
        ("q=", "parameter_out_of_range", "q"),
        (f"q={'a' * 201}", "parameter_out_of_range", "q"),
    ],
)
async def test_a_bad_condition_is_refused(api: httpx.AsyncClient, query: str, code: str, param: str) -> None:
    response = await api.get(f"/v1/messages?{query}")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)


async def test_graphql_finds_by_the_same_conditions(api: httpx.AsyncClient) -> None:
    made = [row["id"] for row in await _send_various(api)]
    query = "query ($f: MessageFilter) {messages(filter: $f) {totalCount nodes {id}}}"
    for given, expected in (
        ({"statuses": ["FAILED", "SCHEDULED"]}, [3, 0]),
        ({"metadata": {"order": 1042}}, [2]),
        ({"metadata": {"order": "1042", "gift": True}}, [1]),
        ({"from": "COHORT", "q": "arrived"}, [1]),
        ({"to": "+12125550199"}, []),
        ({"errorCode": "invalid_number"}, [0]),
        ({"createdFrom": "2026-05-01T20:01:00Z", "createdBefore": "2026-05-01T20:03:00Z"}, []),
    ):
        answer = (await api.post("/graphql", json={"query": query, "variables": {"f": given}})).json()
        shown = answer["data"]["messages"]
        expected_ids = [made[place] for place in expected]
        assert (shown["totalCount"], [node["id"] for node in shown["nodes"]]) == (len(expected), expected_ids), given


async def test_a_rare_match_gives_a_cursor_to_continue_from(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few are looked at a page; both fronts name the id up to which that was."""
    monkeypatch.setattr(messages, "MOST_LOOKED_AT", 2)
    made = [await send(api, body="Rare" if number == 0 else "Often") for number in range(5)]
    ids = [row["id"] for row in made][::-1]
    pages: list[dict[str, Any]] = []
    asked: dict[str, Any] = {"q": "rare"}
    while True:
        pages.append(await get(api, "/v1/messages", **asked))
        if "next_cursor" not in pages[-1]:
            break
        asked["starting_after"] = pages[-1]["next_cursor"]
    assert [[row["id"] for row in page["data"]] for page in pages] == [[], [], [ids[4]]]
    assert [page.get("next_cursor") for page in pages] == [ids[1], ids[3], None]
    query = (
        'query ($a: String) {messages(filter: {q: "rare"}, after: $a) {nodes {id} pageInfo {hasNextPage endCursor}}}'
    )
    first = (await api.post("/graphql", json={"query": query})).json()["data"]["messages"]
    assert first == {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": ids[1]}}
    last = (await api.post("/graphql", json={"query": query, "variables": {"a": ids[3]}})).json()["data"]["messages"]
    assert last == {"nodes": [{"id": ids[4]}], "pageInfo": {"hasNextPage": False, "endCursor": ids[4]}}


@pytest.mark.parametrize("most", [1, 2, 50_000])
async def test_the_oldest_come_first_where_asked(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Page by page in both directions, from both fronts, found by an index or not."""
    monkeypatch.setattr(messages, "MOST_LOOKED_AT", most)
    ids = [(await send(api, body="Hi"))["id"] for _ in range(5)]

    async def walk(cursor: str, **asked: Any) -> list[list[str]]:
        found = []
        while True:
            page = await get(api, "/v1/messages", limit=2, order="oldest", **asked)
            found.append([row["id"] for row in page["data"]])
            if not page["has_more"]:
                return found
            last = page["data"][-1 if cursor == "starting_after" else 0]["id"] if page["data"] else None
            asked[cursor] = page.get("next_cursor", last)

    assert await walk("starting_after") == [ids[:2], ids[2:4], ids[4:]]
    assert await walk("ending_before", ending_before=ids[4]) == [ids[2:4], ids[:2]]
    assert [id for page in await walk("starting_after", q="hi") for id in page] == ids
    back = await walk("ending_before", q="hi", ending_before=ids[4])
    assert [id for page in reversed(back) for id in page] == ids[:4]
    query = "query ($l: Int) {messages(orderBy: OLDEST, last: $l) {nodes {id} pageInfo {hasNextPage hasPreviousPage}}}"
    answer = (await api.post("/graphql", json={"query": query, "variables": {"l": 2}})).json()["data"]["messages"]
    assert answer == {
        "nodes": [{"id": id} for id in ids[3:]],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True},
    }
    response = await api.get("/v1/messages?order=random")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "order")


async def test_an_error_is_found_by_its_index(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_messages(ctx, 3000, "delivered")
    await make_messages(ctx, 5, "failed")
    await db.execute("UPDATE messages SET error_code = 'unreachable' WHERE status = 'failed'")
    await run_as_owner("ANALYZE messages")
    with reading(monkeypatch) as listing:
        page = await messages.list_messages(ctx, PageRequest(), error_code="unreachable")
    assert len(page.items) == 5
    listing.check(20)
