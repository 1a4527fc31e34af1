"""/v1/webhooks, /v1/events and /v1/inbound: every event made by what it reports, listed, and delivered signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from aiohttp import web

from msvs import database as db
from msvs.address_policy import AddressPolicy
from msvs.api.campaigns.approvals import DecideApproval, approve_campaign, reject_campaign
from msvs.api.context import Context
from msvs.api.messages.clicks import Click, record_clicks
from msvs.api.resources import campaign_version
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.api.webhooks.events import MAX_SEQUENCE, EventType
from msvs.connectors.base import ConnectorError, CredentialsRefused
from msvs.http_client import HttpClient
from msvs.models import Campaign, ListSource, Role, ShortLink, WebhookEndpoint, Workspace
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.retrying import Failures
from msvs.workers.sequences import bring_forward
from msvs.workers.syncs import run_syncs
from msvs.workers.webhooks import deliver_webhooks
from tests.api.accounts.test_notifications import join
from tests.contract.matching import filled, mismatches
from tests.receiver import Received, Receiver, receiving
from tests.rest_compat import contract
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import WEBHOOK_URL, get, in_future, post, work
from tests.services import SERVICES
from tests.workers.fake_service import KIND, serving

SECRET = "whsec_0123456789abcdef"
SOME = "01HYZ8K5VQAE2N0PWQ6DC9V8MP"
DOCUMENTED = yaml.safe_load((Path(__file__).parents[1] / "contract" / "event.yaml").read_text())


@pytest.fixture
async def live(client: Client, live_ctx: Context, virtual_live: None) -> httpx.AsyncClient:
    """A client of the live mode, with the virtual carrier behind it."""
    return await client(live_ctx)


def code(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("param")


async def subscribe(client: httpx.AsyncClient, url: str = WEBHOOK_URL, events: tuple[str, ...] = ("*",)) -> str:
    """A webhook with SECRET; its id."""
    row = await post(client, "/v1/webhooks", url=url, events=list(events), secret=SECRET)
    return str(row["id"])


async def deliver() -> int:
    """Post what is due; how many."""
    async with HttpClient(AddressPolicy(allow_loopback=True)) as outbound:
        return await deliver_webhooks(SERVICES, outbound)


# What makes each event


async def message_to(client: httpx.AsyncClient, to: str) -> None:
    await post(client, "/v1/messages", to=to, body="Doors open", metadata={"campaign": "cohort_06_close"})
    await work(4)


async def click(client: httpx.AsyncClient) -> None:
    body = "Cart closes tonight: https://cohortlabs.co/cart"
    await post(client, "/v1/messages", to="+14155550123", body=body, shorten_links=True)
    link = await ShortLink.get()
    await in_unit_of_work(lambda: record_clicks(SERVICES, [Click(link.code, datetime.now(UTC))]))


async def opt_in_twice_confirmed(client: httpx.AsyncClient) -> None:
    await Workspace.all().update(double_opt_in=True)
    await post(client, "/v1/contacts", phone="+14155550106", opt_in={"source": "checkout"})
    await work(4)


async def opted_in(client: httpx.AsyncClient, phone: str = "+12125550111") -> str:
    row = await post(client, "/v1/contacts", phone=phone, opt_in={"source": "checkout"})
    return str(row["id"])


async def campaign(client: httpx.AsyncClient, **more: Any) -> str:
    audience = {"contact_ids": [await opted_in(client)]}
    row = await post(client, "/v1/campaigns", name="Close", body="Hi", audience=audience, **more)
    return f"/v1/campaigns/{row['id']}"


async def run_campaign(client: httpx.AsyncClient) -> None:
    await campaign(client)
    await work()


async def fall_below_threshold(client: httpx.AsyncClient) -> None:
    await db.execute("UPDATE credit_balances SET balance = 1000, low_balance_threshold = 1000")
    await post(client, "/v1/messages", to="+12125550111", body="Hi")


async def cancel_message(client: httpx.AsyncClient) -> None:
    row = await post(client, "/v1/messages", to="+12125550111", body="Hi")
    await post(client, f"/v1/messages/{row['id']}/cancel", 200)


async def skip_recipient(client: httpx.AsyncClient) -> None:
    row = await post(client, "/v1/contacts", phone="+12125550111")
    audience = {"contact_ids": [row["id"]]}
    await post(client, "/v1/campaigns", name="X", body="Hi", audience=audience)
    await expand_campaigns(SERVICES)


async def pause_and_resume(client: httpx.AsyncClient) -> None:
    path = await campaign(client, scheduled_at=in_future(days=1))
    await post(client, f"{path}/pause", 200)
    await post(client, f"{path}/resume", 200)


async def cancel_campaign(client: httpx.AsyncClient) -> None:
    await post(client, f"{await campaign(client, scheduled_at=in_future(days=1))}/cancel", 200)


async def choose_a_winner(client: httpx.AsyncClient) -> None:
    contacts = [
        (await post(client, "/v1/contacts", phone=f"+1212555017{n}", opt_in={"source": "checkout"}))["id"]
        for n in range(5)
    ]
    row = await post(
        client,
        "/v1/campaigns",
        name="X",
        body="Hi",
        audience={"contact_ids": contacts},
        ab_test={"variants": [{}, {"body": "Hey"}], "test_percent": 1},
    )
    await expand_campaigns(SERVICES)
    await post(client, f"/v1/campaigns/{row['id']}/winner", 200, variant="B")


async def cancel_import(client: httpx.AsyncClient) -> None:
    row = await post(client, "/v1/imports", file_name="people.csv")
    await post(client, f"/v1/imports/{row['id']}/cancel", 200)


async def cancel_bulk_action(client: httpx.AsyncClient) -> None:
    row = await post(client, "/v1/bulk_actions", action="delete", search="nobody")
    await post(client, f"/v1/bulk_actions/{row['id']}/cancel", 200)


async def lose_a_webhook(client: httpx.AsyncClient) -> None:
    async def gone(post: Received) -> web.Response:
        return web.Response(status=410)

    async with receiving(gone) as lost:
        webhook = await subscribe(client, lost.url(), ("test.ping",))
        await post(client, f"/v1/webhooks/{webhook}/test", 200)
        await deliver()


async def ask_for_a_test(client: httpx.AsyncClient) -> None:
    (webhook,) = (await get(client, "/v1/webhooks"))["data"]
    await post(client, f"/v1/webhooks/{webhook['id']}/test", 200)


async def merge_contacts(client: httpx.AsyncClient) -> None:
    kept, other = [(await post(client, "/v1/contacts", phone=f"+1212555016{n}"))["id"] for n in (1, 2)]
    await post(client, f"/v1/contacts/{kept}/merge", 200, contact_id=other)


async def sync_a_list(client: httpx.AsyncClient, *errors: ConnectorError) -> None:
    http = HttpClient(SERVICES.address_policy)
    try:
        async with serving() as service:
            service.put("1", "+12125550160", "Maria")
            service.errors = [*errors]
            # The document names the services that there are.
            source = {"type": "kit", "settings": {"api_key": "key-1"}, "mapping": {"fields.phone": "phone"}}
            await post(client, "/v1/lists", name="Cohort 06", source=source)
            await ListSource.all().update(kind=KIND, mapping={})
            await run_syncs(SERVICES, http)
    finally:
        await http.close()


async def enter_a_sequence(client: httpx.AsyncClient) -> str:
    """Let a contact enter a sequence of one step; the path of its enrollment."""
    step = {"key": "welcome", "body": "Welcome"}
    row = await post(client, "/v1/sequences", name="X", steps=[step], quiet_hours=False)
    await post(client, f"/v1/sequences/{row['id']}/publish", 200)
    contact = await opted_in(client, "+14155550123")
    path = f"/v1/sequences/{row['id']}/enrollments"
    return f"{path}/{(await post(client, path, contact_id=contact))['id']}"


async def halt_a_sequence(client: httpx.AsyncClient) -> None:
    """Publish, pause, resume and archive a sequence; what changes nothing is no event."""
    sequence, _, _ = (await enter_a_sequence(client)).removeprefix("/v1/").partition("/enrollments")
    for action in ("publish", "pause", "pause", "resume", "archive", "archive"):
        await post(client, f"/v1/{sequence}/{action}", 200)


async def complete_a_sequence(client: httpx.AsyncClient) -> None:
    await enter_a_sequence(client)
    failures = Failures()
    await bring_forward(SERVICES, failures, seconds=30)
    failures.end()


async def leave_a_sequence(client: httpx.AsyncClient) -> None:
    assert (await client.delete(await enter_a_sequence(client))).status_code == 200


async def lose_a_number(client: httpx.AsyncClient) -> None:
    await post(client, "/v1/workspace", 200, unreachable_after=1)
    await message_to(client, "+14155550101")


async def reach_a_number(client: httpx.AsyncClient) -> None:
    await lose_a_number(client)
    (contact,) = (await get(client, "/v1/contacts", unreachable="true"))["data"]
    assert contact["unreachable"]["code"] == "invalid_number"
    again = await post(client, f"/v1/contacts/{contact['id']}/mark_reachable", 200)
    assert again["unreachable"] is None


async def ask_for_approval(client: httpx.AsyncClient) -> Campaign:
    people = [await opted_in(client, phone) for phone in ("+14155550123", "+14155550124")]
    await Workspace.all().update(approval_threshold=1)
    made = await post(client, "/v1/campaigns", name="Close", body="Hi", audience={"contact_ids": people})
    assert (made["status"], made["approval"]["state"]) == ("paused", "required")
    return await Campaign.get(name="Close")


async def decide_approval(
    client: httpx.AsyncClient, decide: Callable[[Context, UUID, DecideApproval], Awaitable[object]]
) -> None:
    campaign = await ask_for_approval(client)
    workspace = await Workspace.get(id=campaign.workspace_id)
    owner = await join(workspace, Role.OWNER)
    async with unit_of_work():
        await decide(owner, campaign.id, DecideApproval(version=campaign_version(campaign)))


async def keep_a_template(client: httpx.AsyncClient) -> None:
    template = await post(client, "/v1/templates", name="Close", body="Cart closes tonight.")
    await post(client, f"/v1/templates/{template['id']}", 200, archived=True)
    response = await client.delete(f"/v1/templates/{template['id']}")
    assert response.status_code == 200, response.text


async def buy_and_return(client: httpx.AsyncClient) -> None:
    contact = await post(client, "/v1/contacts", phone="+12125550177")
    order = {"order_id": "order-1", "value": 14900, "currency": "USD"}
    conversion = await post(client, "/v1/conversions", contact_id=contact["id"], **order)
    await post(client, f"/v1/conversions/{conversion['id']}/refund", 200)


MAKERS: dict[EventType, Callable[[httpx.AsyncClient], Awaitable[object]]] = {
    EventType.MESSAGE_QUEUED: lambda client: message_to(client, "+14155550123"),
    EventType.MESSAGE_SENT: lambda client: message_to(client, "+14155550108"),
    EventType.MESSAGE_DELIVERED: lambda client: message_to(client, "+14155550123"),
    EventType.MESSAGE_FAILED: lambda client: message_to(client, "+14155550101"),
    EventType.MESSAGE_REPLIED: lambda client: message_to(client, "+14155550107"),
    EventType.CONTACT_OPTED_IN: opt_in_twice_confirmed,
    EventType.CONTACT_OPTED_OUT: lambda client: message_to(client, "+14155550105"),
    EventType.CAMPAIGN_DISPATCHED: run_campaign,
    EventType.CAMPAIGN_COMPLETED: run_campaign,
    EventType.CREDITS_LOW: fall_below_threshold,
    EventType.INBOUND_RECEIVED: lambda client: message_to(client, "+14155550107"),
    EventType.MESSAGE_CANCELED: cancel_message,
    EventType.MESSAGE_SKIPPED: skip_recipient,
    EventType.MESSAGE_CLICKED: click,
    EventType.CAMPAIGN_STARTED: run_campaign,
    EventType.CAMPAIGN_PAUSED: pause_and_resume,
    EventType.CAMPAIGN_RESUMED: pause_and_resume,
    EventType.CAMPAIGN_CANCELED: cancel_campaign,
    EventType.CAMPAIGN_APPROVAL_REQUESTED: ask_for_approval,
    EventType.CAMPAIGN_APPROVED: lambda client: decide_approval(client, approve_campaign),
    EventType.CAMPAIGN_REJECTED: lambda client: decide_approval(client, reject_campaign),
    EventType.CAMPAIGN_TESTED: choose_a_winner,
    EventType.CAMPAIGN_WINNER_CHOSEN: choose_a_winner,
    EventType.SEQUENCE_PUBLISHED: halt_a_sequence,
    EventType.SEQUENCE_PAUSED: halt_a_sequence,
    EventType.SEQUENCE_RESUMED: halt_a_sequence,
    EventType.SEQUENCE_ARCHIVED: halt_a_sequence,
    EventType.CONVERSION_CREATED: buy_and_return,
    EventType.CONVERSION_REFUNDED: buy_and_return,
    EventType.SEQUENCE_ENTERED: enter_a_sequence,
    EventType.SEQUENCE_COMPLETED: complete_a_sequence,
    EventType.SEQUENCE_LEFT: leave_a_sequence,
    EventType.TEMPLATE_CREATED: keep_a_template,
    EventType.TEMPLATE_UPDATED: keep_a_template,
    EventType.TEMPLATE_DELETED: keep_a_template,
    EventType.CONTACT_MERGED: merge_contacts,
    EventType.CONTACT_UNREACHABLE: lose_a_number,
    EventType.CONTACT_REACHABLE: reach_a_number,
    EventType.IMPORT_COMPLETED: cancel_import,
    EventType.BULK_ACTION_COMPLETED: cancel_bulk_action,
    EventType.LIST_SYNC_COMPLETED: sync_a_list,
    EventType.LIST_SYNC_FAILED: lambda client: sync_a_list(client, CredentialsRefused("Refused.", setting="api_key")),
    EventType.WEBHOOK_DISABLED: lose_a_webhook,
    EventType.TEST_PING: ask_for_a_test,
}


@pytest.mark.parametrize("type", EventType)
async def test_an_event_is_listed_and_delivered_signed(
    live: httpx.AsyncClient, receiver: Receiver, type: EventType
) -> None:
    events = ("*",) if type is EventType.TEST_PING else (type.value,)
    await subscribe(live, receiver.url(), events)
    await MAKERS[type](live)
    await deliver()
    listed = (await get(live, "/v1/events", type=type.value))["data"]
    assert len(listed) == 1
    assert await get(live, f"/v1/events/{listed[0]['id']}") == listed[0]
    (received,) = [each for each in receiver.posts if each.event["type"] == type.value]
    assert received.event == listed[0]
    assert received.is_signed_with(SECRET)
    assert received.event_id == listed[0]["id"]
    contract.check(received.event, {"$ref": f"#/components/schemas/{_component(type)}"}, type.value)


def _component(type: EventType) -> str:
    return "".join(part.title() for part in type.value.replace(".", "_").split("_")) + "Event"


async def test_the_documents_payload_is_what_arrives(live: httpx.AsyncClient, receiver: Receiver) -> None:
    await subscribe(live, receiver.url(), ("message.delivered",))
    contact = await opted_in(live, "+14155550123")
    audience, metadata = {"contact_ids": [contact]}, {"campaign": "cohort_06_close"}
    made = await post(live, "/v1/campaigns", name="Close", body="Hi", audience=audience, metadata=metadata)
    await work()
    await deliver()
    (received,) = receiver.posts
    assert mismatches(filled(DOCUMENTED, {}), received.event) == []
    assert received.event["data"]["campaign_id"] == made["id"]


async def test_a_reply_is_in_the_data_of_its_event(api: httpx.AsyncClient) -> None:
    message = await post(api, "/v1/messages", to="+12125550111", body="Hi")
    await work()
    inbound = await post(api, "/v1/test/inbound", from_="+12125550111", body="Is there a payment plan?")
    assert (inbound["message_id"], inbound["contact_id"]) == (message["id"], message["contact_id"])
    (event,) = (await get(api, "/v1/events", type="message.replied"))["data"]
    assert event["data"]["id"] == message["id"]
    assert event["data"]["reply"]["body"] == "Is there a payment plan?"
    assert event["data"]["reply"]["id"] == inbound["id"]
    assert await get(api, f"/v1/inbound/{inbound['id']}") == inbound
    assert (await get(api, "/v1/inbound"))["data"] == [inbound]


@pytest.mark.parametrize("word", ["STOP", "unsubscribe", "Cancelar.", " Opt out ", "ARRÊT!"])
async def test_every_stop_word_opts_out_once_and_cancels_what_waits(api: httpx.AsyncClient, word: str) -> None:
    waiting = await post(api, "/v1/messages", to="+12125550111", body="Hi", scheduled_at=in_future(days=1))
    for _ in range(2):
        inbound = await post(api, "/v1/test/inbound", from_="+12125550111", body=word)
        assert inbound["keyword"] == "stop"
    assert len((await get(api, "/v1/events", type="contact.opted_out"))["data"]) == 1
    message = await get(api, f"/v1/messages/{waiting['id']}")
    assert (message["status"], message["error"]["code"]) == ("canceled", "recipient_opted_out")
    await post(api, "/v1/test/inbound", from_="+12125550111", body="start")
    contact = await get(api, f"/v1/contacts/{waiting['contact_id']}")
    assert contact["opt_in"]["status"] == "opted_in"


async def test_a_reply_can_be_made_up_in_the_sandbox_alone(live: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    body = {"from": "+12125550111", "body": "Hi"}
    assert code(await live.post("/v1/test/inbound", json=body)) == (403, "sandbox_only", None)
    assert (await get(live, "/v1/inbound"))["data"] == []
    assert code(await api.post("/v1/test/inbound", json={**body, "from": "me"})) == (
        400,
        "phone_number_invalid",
        "from",
    )
    assert code(await api.post("/v1/test/inbound", json={**body, "to": "?"})) == (400, "sender_invalid", "to")


# Webhooks


async def test_a_webhook_is_made_read_changed_and_deleted(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/webhooks", url=WEBHOOK_URL, events=["message.sent", "message.sent", "credits.low"])
    assert made["events"] == ["message.sent", "credits.low"]
    assert made["secret"].startswith("whsec_")
    assert len(made["secret"]) >= 40
    path = f"/v1/webhooks/{made['id']}"
    shown = {key: value for key, value in made.items() if key != "secret"}
    assert await get(api, path) == shown
    assert (await get(api, "/v1/webhooks"))["data"] == [shown]
    changed = await post(api, path, 200, events=["*"], description="CRM", enabled=False)
    assert (changed["events"], changed["description"], changed["status"]) == (["*"], "CRM", "disabled")
    for verb, body in (("test", {}), ("recover", {"since": in_future(days=-1)})):
        assert code(await api.post(f"{path}/{verb}", json=body)) == (409, "webhook_disabled", None)
    assert (await post(api, path, 200, enabled=True))["status"] == "enabled"
    assert (await api.delete(path)).json() == {"id": made["id"], "object": "webhook", "deleted": True}
    assert code(await api.get(path)) == (404, "resource_missing", "id")


async def test_a_secret_is_never_stored_in_the_clear(api: httpx.AsyncClient) -> None:
    await subscribe(api)
    row = await WebhookEndpoint.all().first()
    assert row is not None
    assert SECRET not in row.secret_sealed


@pytest.mark.parametrize(
    ("changes", "error", "param"),
    [
        ({"url": "ftp://example.com"}, "url_invalid", "url"),
        ({"url": "http://example.com"}, "url_invalid", "url"),
        ({"url": "https://10.0.0.1/"}, "url_invalid", "url"),
        ({"url": "https://169.254.169.254/latest"}, "url_invalid", "url"),
        ({"url": "https://[fe80::1]/"}, "url_invalid", "url"),
        ({"url": "https://user:pass@example.com"}, "url_invalid", "url"),
        ({"url": "https://example.com/" + "a" * 2048}, "url_invalid", "url"),
        ({"events": []}, "events_empty", "events"),
        ({"events": ["message.lost"]}, "event_unknown", "events[0]"),
        ({"events": ["message.sent"] * 51}, "parameter_out_of_range", "events"),
        ({"secret": "short"}, "webhook_secret_invalid", "secret"),
        ({"secret": "é" * 20}, "webhook_secret_invalid", "secret"),
        ({"description": "d" * 201}, "parameter_out_of_range", "description"),
    ],
)
async def test_a_bad_webhook_is_refused(
    api: httpx.AsyncClient, changes: dict[str, Any], error: str, param: str
) -> None:
    response = await api.post("/v1/webhooks", json={"url": WEBHOOK_URL, "events": ["*"], **changes})
    assert code(response) == (400, error, param)
    assert await WebhookEndpoint.all().count() == 0


async def test_there_are_at_most_twenty_webhooks(api: httpx.AsyncClient) -> None:
    for number in range(20):
        await subscribe(api, url=f"{WEBHOOK_URL}/{number}")
    response = await api.post("/v1/webhooks", json={"url": WEBHOOK_URL, "events": ["*"]})
    assert code(response) == (409, "webhook_limit", None)


async def test_attempts_are_listed_and_what_was_missed_is_sent_again(
    api: httpx.AsyncClient, receiver: Receiver
) -> None:
    statuses = [500]

    async def answer(post: Received) -> web.Response:
        return web.Response(status=statuses[-1], text="busy")

    receiver.answer = answer
    webhook = await subscribe(api, receiver.url(), ("message.queued",))
    message = await post(api, "/v1/messages", to="+12125550111", body="Hi")
    await deliver()
    (attempt,) = (await get(api, f"/v1/webhooks/{webhook}/attempts"))["data"]
    assert (attempt["number"], attempt["status_code"], attempt["response_head"]) == (1, 500, "busy")
    assert attempt["webhook_id"] == webhook
    (event,) = (await get(api, "/v1/events", type="message.queued"))["data"]
    assert (attempt["event_id"], event["data"]["id"]) == (event["id"], message["id"])

    statuses.append(204)
    resent = await post(api, f"/v1/events/{event['id']}/resend", 200, webhook_id=webhook)
    assert resent == {"id": event["id"], "object": "redelivery", "delivery_count": 1}
    await deliver()
    assert [each.event["id"] for each in receiver.posts] == [event["id"]] * 2
    assert (await post(api, f"/v1/events/{event['id']}/resend", 200))["delivery_count"] == 1
    await deliver()
    assert len(receiver.posts) == 3

    await db.execute("UPDATE webhook_deliveries SET state = 'exhausted'")
    since = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    recovered = await post(api, f"/v1/webhooks/{webhook}/recover", 200, since=since)
    assert recovered == {"id": webhook, "object": "redelivery", "delivery_count": 1}
    await deliver()
    assert len(receiver.posts) == 4
    for bad in (in_future(days=-31), in_future(days=1)):
        response = await api.post(f"/v1/webhooks/{webhook}/recover", json={"since": bad})
        assert code(response) == (400, "parameter_out_of_range", "since")


async def test_both_secrets_sign_after_a_rotation(api: httpx.AsyncClient, receiver: Receiver) -> None:
    webhook = await subscribe(api, receiver.url())
    rotated = await post(api, f"/v1/webhooks/{webhook}/rotate_secret", 200)
    assert rotated["secret"] != SECRET
    await post(api, f"/v1/webhooks/{webhook}/test", 200)
    await deliver()
    (received,) = receiver.posts
    assert received.is_signed_first_with(SECRET)
    assert received.is_signed_with(rotated["secret"])


async def test_an_event_of_no_type_is_refused(api: httpx.AsyncClient) -> None:
    assert code(await api.get("/v1/events?type=message.lost")) == (400, "parameter_invalid", "type")


@pytest.mark.parametrize("path", ["/v1/events/{}/resend", "/v1/webhooks/{}/rotate_secret"])
async def test_what_is_not_there_is_404(api: httpx.AsyncClient, path: str) -> None:
    prefix = "evt" if "events" in path else "whk"
    assert code(await api.post(path.format(f"{prefix}_{SOME}"))) == (404, "resource_missing", "id")


async def test_resending_to_a_webhook_that_is_not_there_is_404(api: httpx.AsyncClient) -> None:
    webhook = await subscribe(api)
    event = await post(api, f"/v1/webhooks/{webhook}/test", 200)
    response = await api.post(f"/v1/events/{event['id']}/resend", json={"webhook_id": f"whk_{SOME}"})
    assert code(response) == (404, "resource_missing", "webhook_id")


async def test_events_of_a_webhook_that_is_not_there(api: httpx.AsyncClient) -> None:
    answer = await api.get("/v1/events", params={"webhook_id": "whk_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "after_seq": 1})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "webhook_id")


async def test_a_number_of_a_webhooks_event_has_as_many_digits_as_the_document_says(api: httpx.AsyncClient) -> None:
    webhook = await subscribe(api)
    answer = await api.get("/v1/events", params={"webhook_id": webhook, "after_seq": MAX_SEQUENCE})
    assert (answer.status_code, answer.json()["data"]) == (200, [])
