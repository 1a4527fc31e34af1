"""`on_unknown` and `origin` as both fronts say and show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.graphql.idempotency import said
from msvs.models import OnUnknown, Role
from msvs.workers.campaigns import expand_campaigns
from tests import factories
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import get, in_future, post, work

TO = "+12125550111"


async def graph(api: httpx.AsyncClient, query: str, **variables: Any) -> Any:
    answer = await api.post("/graphql", json={"query": query, "variables": variables})
    body = answer.json()
    assert "errors" not in body, body
    return body["data"]


async def test_a_message_says_what_is_done_where_nobody_knows(api: httpx.AsyncClient) -> None:
    plain = await post(api, "/v1/messages", to=TO, body="Code 1234")
    null = await post(api, "/v1/messages", to=TO, body="Code 1234", on_unknown=None)
    asking = await post(api, "/v1/messages", to=TO, body="Code 1234", on_unknown="resend")
    later = await post(api, "/v1/messages", to=TO, body="Hi", on_unknown="resend", scheduled_at=in_future())
    assert [each["on_unknown"] for each in (plain, null, asking, later)] == ["never", "never", "resend", "resend"]
    listed = await get(api, "/v1/messages")
    assert [each["on_unknown"] for each in listed["data"]] == ["resend", "resend", "never", "never"]
    told = (await get(api, "/v1/events", limit=100, type="message.queued"))["data"]
    assert {each["data"]["on_unknown"] for each in told if each["data"]["id"] == asking["id"]} == {"resend"}
    explained = await get(api, f"/v1/messages/{asking['id']}/explain")
    assert explained["message"]["on_unknown"] == "resend"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/preview"])
@pytest.mark.parametrize("value", ["always", "RESEND", "", 1, True, ["resend"]])
async def test_another_value_is_refused_and_nothing_sent(api: httpx.AsyncClient, path: str, value: object) -> None:
    answer = await api.post(path, json={"to": TO, "body": "Hi", "on_unknown": value})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("parameter_invalid", "on_unknown")
    if isinstance(value, str):
        assert error["message"] == "on_unknown must be one of: never, resend."
    assert await db.fetch_value("SELECT count(*) FROM messages") == 0


async def test_a_campaign_says_it_for_all_its_messages_and_its_copies(api: httpx.AsyncClient, ctx: Context) -> None:
    audience = {"contact_ids": [(await post(api, "/v1/contacts", phone=TO, opt_in={"source": "checkout"}))["id"]]}
    values = {"name": "Codes", "body": "Hi", "audience": audience}
    draft = await post(api, "/v1/campaigns", **values, draft=True)
    assert draft["on_unknown"] == "never"
    changed = await post(api, f"/v1/campaigns/{draft['id']}", 200, on_unknown="resend")
    assert changed["on_unknown"] == "resend"
    renamed = await post(api, f"/v1/campaigns/{draft['id']}", 200, name="Other")
    assert renamed["on_unknown"] == "resend"
    copy = await post(api, f"/v1/campaigns/{draft['id']}/clone")
    assert copy["on_unknown"] == "resend"
    cleared = await post(api, f"/v1/campaigns/{copy['id']}", 200, on_unknown=None)
    assert cleared["on_unknown"] == "never"
    preview = await api.post("/v1/campaigns/preview", json={**values, "on_unknown": "resend"})
    assert preview.status_code == 200
    refused = await api.post(f"/v1/campaigns/{draft['id']}", json={"on_unknown": "often"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "on_unknown")
    launched = await post(api, f"/v1/campaigns/{draft['id']}/launch", 200)
    assert launched["on_unknown"] == "resend"
    await expand_campaigns(ctx.services)
    [message] = (await get(api, "/v1/messages"))["data"]
    assert (message["on_unknown"], message["origin"]) == ("resend", "campaign")
    tests = await post(api, f"/v1/campaigns/{draft['id']}/test", 200, to=["+12125550112"])
    assert [(each["on_unknown"], each["origin"]) for each in tests["messages"]] == [("resend", "api")]


async def test_graphql_says_the_same(api: httpx.AsyncClient) -> None:
    send = """mutation ($input: SendMessageInput!, $key: String) { sendMessage(input: $input, idempotencyKey: $key) {
        __typename ... on Message { id onUnknown origin } ... on Error { message param } } }"""
    asked = {"to": TO, "body": "Hi", "onUnknown": "RESEND"}
    sent = (await graph(api, send, input=asked, key="a"))["sendMessage"]
    assert (sent["onUnknown"], sent["origin"]) == ("RESEND", "API")
    assert (await graph(api, send, input=asked, key="a"))["sendMessage"] == sent
    plain = (await graph(api, send, input={"to": TO, "body": "Hi"}))["sendMessage"]
    assert plain["onUnknown"] == "NEVER"
    make = """mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) {
        ... on Campaign { id onUnknown } } }"""
    draft = {"name": "Codes", "body": "Hi", "audience": {}, "draft": True}
    assert (await graph(api, make, input=draft))["createCampaign"]["onUnknown"] == "NEVER"
    made = (await graph(api, make, input={**draft, "onUnknown": "RESEND"}))["createCampaign"]
    assert made["onUnknown"] == "RESEND"
    change = """mutation ($id: ID!, $input: UpdateCampaignInput!) { updateCampaign(id: $id, input: $input) {
        ... on Campaign { onUnknown } } }"""
    kept = await graph(api, change, id=made["id"], input={"name": "New"})
    assert kept["updateCampaign"]["onUnknown"] == "RESEND"
    cleared = await graph(api, change, id=made["id"], input={"onUnknown": "NEVER"})
    assert cleared["updateCampaign"]["onUnknown"] == "NEVER"


async def test_keys_of_before_the_field_still_answer(api: httpx.AsyncClient) -> None:
    """A call that says nothing of it has the fingerprint it had."""
    assert "on_unknown" not in said(SendMessage(TO, "Hi"))
    assert said(SendMessage(TO, "Hi", on_unknown=OnUnknown.RESEND))["on_unknown"] == "resend"


async def _of_each_origin(api: httpx.AsyncClient, ctx: Context) -> dict[str, list[str]]:
    """One message of each origin, the service's own several; the ids."""
    await post(api, "/v1/messages", to=TO, body="Hi")
    await work()
    await post(api, "/v1/test/inbound", **{"from": TO, "body": "STOP"})
    await post(api, "/v1/test/inbound", **{"from": TO, "body": "HELP"})
    person = await factories.make_contact(ctx)
    user = Context(
        ctx.workspace_id, ctx.livemode, actor="usr_01HYZ8K5VQAE2N0PWQ6DC9V8MP", role=Role.MEMBER, services=ctx.services
    )
    async with unit_of_work():
        await send_message(user, SendMessage(person.phone, "From the dashboard"))
    audience = {"contact_ids": [ids.encode_id(ids.CONTACT, person.id)]}
    await post(api, "/v1/campaigns", name="Close", body="Hi", audience=audience)
    await expand_campaigns(ctx.services)
    found: dict[str, list[str]] = {}
    for message in (await get(api, "/v1/messages", limit=100))["data"]:
        found.setdefault(message["origin"], []).append(message["id"])
    return found


async def test_the_origin_is_shown_and_filtered_in_both_fronts(api: httpx.AsyncClient, ctx: Context) -> None:
    found = await _of_each_origin(api, ctx)
    assert {name: len(known) for name, known in found.items()} == {
        "api": 1,
        "automatic": 2,
        "campaign": 1,
        "dashboard": 1,
    }
    query = "query ($origin: MessageOrigin) { messages(filter: {origin: $origin}) { totalCount nodes { id origin } } }"
    for origin, known in found.items():
        page = await get(api, "/v1/messages", origin=origin)
        assert [each["id"] for each in page["data"]] == known
        listed = (await graph(api, query, origin=origin.upper()))["messages"]
        assert [each["id"] for each in listed["nodes"]] == known
        assert {each["origin"] for each in listed["nodes"]} == {origin.upper()}
        assert listed["totalCount"] == len(known)
    own = await get(api, "/v1/messages", origin="automatic", limit=1)
    assert (len(own["data"]), own["has_more"]) == (1, True)
    rest = await get(api, "/v1/messages", origin="automatic", limit=1, starting_after=own["data"][0]["id"])
    assert [each["id"] for each in own["data"] + rest["data"]] == found["automatic"]
    both = await get(api, "/v1/messages", origin="automatic", status="canceled")
    assert both["data"] == []
    # What they cost is there to be added up.
    assert all(each["credits_used"] == 1 for each in own["data"])


@pytest.mark.parametrize("origin", ["auto", "AUTOMATIC", "sms", ""])
async def test_an_unknown_origin_is_refused(api: httpx.AsyncClient, origin: str) -> None:
    answer = await api.get("/v1/messages", params={"origin": origin})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == "origin"


async def test_the_services_own_texts_cost_credits(
    client: Client, live_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_ctx.services.carriers, "live", "virtual")
    live = await client(live_ctx)
    person = await factories.make_contact(live_ctx, TO)
    async with unit_of_work():
        await receive_inbound(
            live_ctx,
            from_phone=person.phone,
            to_sender="COHORTLABS",
            text="STOP",
            dedupe_key="1",
            now=datetime.now(UTC),
        )
    [own] = (await get(live, "/v1/messages", origin="automatic"))["data"]
    assert own["credits_used"] > 0
    assert (await get(live, "/v1/credits"))["balance"] == 10_000 - own["credits_used"]
