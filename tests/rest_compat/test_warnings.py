"""Warnings stand on messages, drafts and campaigns, the same as their previews have them, over REST and GraphQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import unit_of_work
from msvs.models import OptInStatus
from tests import factories
from tests.rest_compat.conftest import Client
from tests.workers.test_campaigns import run_through

SHORT = "{{contact.first_name}} it’s on: bit.ly/x " + "a" * 300


pytestmark = pytest.mark.usefixtures("virtual_live")


def codes(answer: httpx.Response) -> list[str]:
    return [each["code"] for each in answer.json()["warnings"]]


async def graphql(api: httpx.AsyncClient, query: str, **variables: Any) -> Any:
    answer = await api.post("/graphql", json={"query": query, "variables": variables})
    assert "errors" not in answer.json(), answer.text
    return answer.json()["data"]


@pytest.mark.parametrize("scheduled", [False, True])
async def test_a_message_keeps_the_warnings_of_its_preview(api: httpx.AsyncClient, scheduled: bool) -> None:
    body: dict[str, object] = {"to": "+12125550100", "body": SHORT}
    if scheduled:
        body["scheduled_at"] = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    preview = await api.post("/v1/messages/preview", json=body)
    sent = await api.post("/v1/messages", json=body)
    assert sent.status_code == 201
    assert codes(sent) == [
        "double_braces",
        "link_shortener",
        "ucs2_single_character",
        "many_segments",
        "sender_not_carried",
    ]
    assert sent.json()["warnings"] == preview.json()["warnings"]
    id = sent.json()["id"]
    assert (await api.get(f"/v1/messages/{id}")).json() == sent.json()
    assert (await api.get("/v1/messages")).json()["data"][0]["warnings"] == sent.json()["warnings"]
    found = await graphql(api, "query($id: ID!) {message(id: $id) {warnings {code message param}}}", id=id)
    assert found["message"]["warnings"] == sent.json()["warnings"]
    if not scheduled:
        event = (await api.get("/v1/events?type=message.queued")).json()["data"][0]
        assert event["data"]["warnings"] == sent.json()["warnings"]


async def test_messages_of_a_batch_have_the_warnings_of_their_previews(api: httpx.AsyncClient) -> None:
    messages: list[dict[str, object]] = [
        {"to": "+12125550100", "body": SHORT},
        {"to": "+447911123456", "body": "Doors open at 8."},
        {"to": "+447911123456", "body": "Pay at {link}", "variables": {"link": "https://tinyurl.com/x"}},
        {"to": "+447911123456", "body": "{{name}}: https://bit.ly/x " + "a" * 450, "shorten_links": True},
    ]
    sent = (await api.post("/v1/messages/batch", json={"messages": messages})).json()["data"]
    previews = [(await api.post("/v1/messages/preview", json=each)).json() for each in messages]
    for entry, preview in zip(sent, previews, strict=True):
        message = entry["message"]
        assert (message["warnings"], message["segments"]) == (preview["warnings"], preview["segments"])
    assert [[each["code"] for each in entry["message"]["warnings"]] for entry in sent[1:]] == [
        [],
        ["link_shortener"],
        ["double_braces", "many_segments"],
    ]


async def test_a_plain_message_has_none(api: httpx.AsyncClient) -> None:
    sent = await api.post("/v1/messages", json={"to": "+447911123456", "body": "Doors open at 8."})
    assert sent.json()["warnings"] == []
    assert await db.fetch_value("SELECT count(*) FROM messages WHERE warnings IS NOT NULL") == 0


async def test_a_link_that_a_variable_brings_is_seen(api: httpx.AsyncClient) -> None:
    body = {"to": "+447911123456", "body": "Pay at {link}", "variables": {"link": "https://tinyurl.com/x"}}
    assert codes(await api.post("/v1/messages", json=body)) == ["link_shortener"]


@pytest.mark.parametrize(
    ("body", "shortened", "plain"),
    [
        ("Pay at https://bit.ly/x, now", [], ["bit.ly"]),
        ("Pay at bit.ly/x, now", ["bit.ly"], ["bit.ly"]),
        ("Pay at https://bit.ly/x or tinyurl.com/y", ["tinyurl.com"], ["bit.ly", "tinyurl.com"]),
        ("Pay at {link|https://bit.ly/x}", [], ["bit.ly"]),
        ("{first_name|Friend}, pay at https://bit.ly/x", [], ["bit.ly"]),
        ("{first_name|Friend}, pay at https://bit.ly/x/{first_name|y}", [], ["bit.ly"]),
    ],
)
async def test_a_link_that_a_short_link_replaces_is_not_warned_of(
    api: httpx.AsyncClient, body: str, shortened: list[str], plain: list[str]
) -> None:
    """What is sent counts: a host that no phone ever sees is blocked by no carrier."""

    def hosts(answer: httpx.Response) -> list[str]:
        warnings = [each for each in answer.json()["warnings"] if each["code"] == "link_shortener"]
        return [each["message"].split(" such as ")[1].partition(". ")[0] for each in warnings]

    people = await api.post("/v1/lists", json={"name": "Cohort 06"})
    campaign = {"name": "Launch", "body": f"{body}. STOP to end", "audience": {"list_ids": [people.json()["id"]]}}
    for shortens, found in ((True, shortened), (False, plain)):
        message = {"to": "+447911123456", "body": body, "shorten_links": shortens}
        assert hosts(await api.post("/v1/messages/preview", json=message)) == found
        assert hosts(await api.post("/v1/messages", json=message)) == found
        assert hosts(await api.post("/v1/campaigns/preview", json={**campaign, "shorten_links": shortens})) == found


async def test_letters_apart_from_their_marks_are_reported(api: httpx.AsyncClient) -> None:
    body = {"to": "+447911123456", "body": " ".join(["man\u0303ana"] * 20)}
    (warning,) = (await api.post("/v1/messages", json=body)).json()["warnings"]
    assert warning == {
        "code": "decomposed_letters",
        "message": "The body has letters and their marks apart. Composed (Unicode NFC), its segments are 1 (gsm7)"
        " instead of 3 (ucs2).",
        "param": "body",
    }


async def test_a_graphql_send_answers_them(api: httpx.AsyncClient) -> None:
    mutation = (
        "mutation($to: String!, $body: String!) {sendMessage(input: {to: $to, body: $body})"
        " {... on Message {warnings {code}}}}"
    )
    found = await graphql(api, mutation, to="+447911123456", body="{{name}} hi")
    assert found["sendMessage"]["warnings"] == [{"code": "double_braces"}]


async def test_a_draft_has_the_warnings_of_its_preview_as_it_changes(api: httpx.AsyncClient, ctx: Context) -> None:
    contact = await factories.make_contact(ctx, status=OptInStatus.UNKNOWN)
    audience = {"contact_ids": [ids.encode_id(ids.CONTACT, contact.id)]}
    draft = {"name": "Cohort 06", "body": "{{name}} bit.ly/x", "audience": {}, "draft": True}
    made = await api.post("/v1/campaigns", json=draft)
    assert made.status_code == 201
    assert codes(made) == ["double_braces", "link_shortener", "opt_out_words_missing"]
    id = made.json()["id"]
    changed = await api.post(f"/v1/campaigns/{id}", json={"audience": audience})
    preview = await api.post("/v1/campaigns/preview", json={"body": draft["body"], "audience": audience})
    assert codes(changed)[-1] == "recipients_without_evidence"
    assert changed.json()["warnings"] == preview.json()["warnings"]
    changed = await api.post(f"/v1/campaigns/{id}", json={"body": "{name} hi. Reply STOP to opt out."})
    assert codes(changed) == ["leading_variable_without_fallback", "recipients_without_evidence"]
    assert (await api.get(f"/v1/campaigns/{id}")).json() == changed.json()
    clone = await api.post(f"/v1/campaigns/{id}/clone", json={})
    assert clone.json()["warnings"] == changed.json()["warnings"]
    launched = await api.post(f"/v1/campaigns/{id}/launch", json={})
    assert launched.json()["warnings"] == changed.json()["warnings"]
    found = await graphql(api, "query($id: ID!) {campaign(id: $id) {warnings {code message param}}}", id=id)
    assert found["campaign"]["warnings"] == changed.json()["warnings"]


async def test_a_campaign_with_short_links_is_warned_as_its_preview(api: httpx.AsyncClient, ctx: Context) -> None:
    contact = await factories.make_contact(ctx, status=OptInStatus.OPTED_IN)
    campaign = {
        "name": "Cohort 06",
        "body": "{{name}}: https://cohortlabs.co/" + "a" * 900 + " and bit.ly/x",
        "audience": {"contact_ids": [ids.encode_id(ids.CONTACT, contact.id)]},
        "shorten_links": True,
        "utm": {"source": "sms"},
    }
    preview = await api.post("/v1/campaigns/preview", json=campaign)
    draft = await api.post("/v1/campaigns", json={**campaign, "draft": True})
    started = await api.post("/v1/campaigns", json=campaign)
    # The long link is short in the message.
    assert codes(preview)[:3] == ["double_braces", "link_shortener", "opt_out_words_missing"]
    assert "many_segments" not in codes(preview)
    assert draft.json()["warnings"] == started.json()["warnings"] == preview.json()["warnings"]


async def test_a_campaign_to_nobody_with_evidence_says_so_first(client: Client, live_ctx: Context) -> None:
    live_api = await client(live_ctx)
    contact = await factories.make_contact(live_ctx, status=OptInStatus.UNKNOWN)
    audience = {"contact_ids": [ids.encode_id(ids.CONTACT, contact.id)]}
    body = {"name": "Cohort 06", "body": "Hi. Reply STOP to opt out.", "audience": audience}
    made = await live_api.post("/v1/campaigns", json=body)
    (warning,) = made.json()["warnings"]
    assert (warning["code"], warning["param"]) == ("recipients_without_evidence", None)
    assert warning["message"].startswith("1 of 1 contacts have no evidence of consent, and get nothing.")
    await run_through()
    done = (await live_api.get(f"/v1/campaigns/{made.json()['id']}")).json()
    assert (done["status"], done["stats"]["sent"], done["warnings"]) == ("completed", 0, [warning])


async def test_a_campaign_without_recipients_is_warned_of_its_length(api: httpx.AsyncClient) -> None:
    body = {"name": "Cohort 06", "body": "it’s {name}, reply STOP " + "a" * 300, "audience": {}, "draft": True}
    assert codes(await api.post("/v1/campaigns", json=body)) == ["ucs2_single_character", "many_segments"]


async def test_opt_out_words_may_come_from_a_variable(api: httpx.AsyncClient, ctx: Context) -> None:
    contact = await factories.make_contact(ctx, attributes={"footer": "Reply STOP to opt out."})
    audience = {"contact_ids": [ids.encode_id(ids.CONTACT, contact.id)]}
    body = {"name": "Cohort 06", "body": "Doors open. {footer}", "audience": audience}
    assert codes(await api.post("/v1/campaigns", json=body)) == []


async def test_erasure_forgets_warnings(api: httpx.AsyncClient, ctx: Context) -> None:
    sent = await api.post("/v1/messages", json={"to": "+447911123456", "body": "it’s {{anna}}"})
    assert codes(sent) == ["double_braces", "ucs2_single_character"]
    contact_id = ids.decode_id(ids.CONTACT, sent.json()["contact_id"])
    assert contact_id is not None
    await run_through()
    async with unit_of_work():
        await erase_contact(ctx, contact_id)
    assert await db.fetch_value("SELECT count(*) FROM messages WHERE warnings IS NOT NULL") == 0
    assert "anna" not in (await api.get("/v1/events")).text
