"""The inbox, the settings, purchases, timelines, and campaigns before they begin, over HTTP."""

from __future__ import annotations

import httpx
import pytest

from msvs import database as db
from tests.rest_compat.making import get, in_future, make_everything, post, refused, work

PHONE = "+12125550123"


async def test_a_reply_is_read_answered_and_seen_in_its_thread(api: httpx.AsyncClient) -> None:
    sent = await post(api, "/v1/messages", to=PHONE, body="Doors open")
    contact = sent["contact_id"]
    path = f"/v1/inbox/threads/{contact}"
    assert (await api.get(path)).status_code == 404
    await work()
    reply = await post(api, "/v1/test/inbound", from_=PHONE, body="When?", to="+12125559999")
    (thread,) = (await get(api, "/v1/inbox/threads", status="waiting"))["data"]
    assert (thread["id"], thread["contact"]["id"], thread["unread_count"], thread["waiting"]) == (
        reply["id"],
        contact,
        1,
        True,
    )
    assert thread == await get(api, path)
    assert (await post(api, f"{path}/read", 200, until=reply["id"]))["unread_count"] == 0
    assert (await get(api, "/v1/inbox/threads", status="unread"))["data"] == []
    assert (await get(api, f"/v1/inbound/{reply['id']}"))["read_at"] is not None
    assert (await post(api, f"{path}/unread", 200))["unread_count"] == 1
    answer = await post(api, f"{path}/answer", body="At {hour}", variables={"hour": "8pm"})
    assert (answer["to"], answer["from"], answer["body"]) == (PHONE, "+12125559999", "At 8pm")
    assert (await get(api, "/v1/inbox/threads", status="waiting"))["data"] == []
    shown = (await get(api, f"{path}/messages"))["data"]
    assert [(each["direction"], each["body"]) for each in shown] == [
        ("outbound", "At 8pm"),
        ("inbound", "When?"),
        ("outbound", "Doors open"),
    ]
    assert (shown[0]["message"], shown[0]["inbound"]) == (answer, None)
    older = await get(api, f"{path}/messages", starting_after=answer["id"], limit=1)
    assert ([each["id"] for each in older["data"]], older["has_more"]) == ([reply["id"]], True)


async def test_a_status_of_threads_that_there_is_not(api: httpx.AsyncClient) -> None:
    assert await refused(await api.get("/v1/inbox/threads", params={"status": "closed"})) == (
        400,
        "parameter_invalid",
        "status",
    )


@pytest.mark.parametrize("contact_id", ["con_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "con_1"])
@pytest.mark.parametrize(
    ("method", "action", "body"),
    [("GET", "", None), ("GET", "/messages", None), ("POST", "/answer", {"body": "Hi"}), ("POST", "/read", {})],
)
async def test_a_thread_that_there_is_not_is_named_by_its_contact(
    api: httpx.AsyncClient, method: str, action: str, body: dict[str, str] | None, contact_id: str
) -> None:
    response = await api.request(method, f"/v1/inbox/threads/{contact_id}{action}", json=body)
    assert await refused(response) == (404, "resource_missing", "contact_id")


async def test_settings_are_read_and_changed(api: httpx.AsyncClient) -> None:
    before = await get(api, "/v1/workspace")
    changes = {"quiet_hours": True, "low_balance_threshold": 5, "help_text": "Write to help@cohortlabs.co"}
    after = await post(api, "/v1/workspace", 200, **changes)
    assert after == {**before, **changes, "version": after["version"]} == await get(api, "/v1/workspace")
    assert after["version"] != before["version"]
    assert (await get(api, "/v1/credits"))["low_balance_threshold"] == 5
    assert await refused(await api.post("/v1/workspace", json={"timezone": "Mars"})) == (
        400,
        "timezone_invalid",
        "timezone",
    )
    assert await get(api, "/v1/workspace") == after


async def test_purchases_leave_out_what_messages_moved(api: httpx.AsyncClient) -> None:
    (grant,) = (await get(api, "/v1/credits/purchases"))["data"]
    assert (grant["kind"], grant["amount"]) == ("grant", 10_000)
    await db.execute(
        "INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)"
        " SELECT gen_random_uuid(), workspace_id, 'reserve', 'msg', -1, '', now() FROM credit_balances"
    )
    assert len((await get(api, "/v1/credits/ledger"))["data"]) == 2
    assert (await get(api, "/v1/credits/purchases"))["data"] == [grant]


async def test_a_timeline_is_told_in_order(api: httpx.AsyncClient) -> None:
    message = await post(api, "/v1/messages", to=PHONE, body="Hi")
    await work()
    told = await get(api, f"/v1/messages/{message['id']}/timeline")
    states = [entry["status"] for entry in told["entries"] if entry["kind"] == "state"]
    assert states == ["queued", "sending", "sent", "delivered"]
    assert [entry["event_type"] for entry in told["entries"] if entry["kind"] == "event"] == [
        "message.queued",
        "message.sent",
        "message.delivered",
    ]


async def test_drafts_are_listed_only_on_request(api: httpx.AsyncClient) -> None:
    known = await make_everything(api)
    listed = {row["id"] for row in (await get(api, "/v1/campaigns"))["data"]}
    assert listed == {known["campaign"]}
    (draft,) = (await get(api, "/v1/campaigns", status="draft"))["data"]
    assert draft["id"] == known["draft"]
    changed = await post(
        api,
        f"/v1/campaigns/{known['draft']}",
        200,
        name="Doors",
        audience={"contact_ids": [known["contact"]]},
        from_="COHORT",
        scheduled_at=in_future(days=2),
    )
    assert changed["audience"] == {"contact_ids": [known["contact"]]}
    assert (changed["name"], changed["from"], changed["status"]) == ("Doors", "COHORT", "draft")
    test = await post(api, f"/v1/campaigns/{known['draft']}/test", 200, to=[PHONE])
    assert test["messages"][0]["metadata"] == {"test": "true", "campaign_id": known["draft"]}
    launched = await post(api, f"/v1/campaigns/{known['draft']}/launch", 200)
    assert (launched["status"], launched["scheduled_at"]) == ("scheduled", changed["scheduled_at"])
    again = await api.post(f"/v1/campaigns/{known['draft']}/launch")
    assert await refused(again) == (409, "campaign_not_draft", None)
    clone = await post(api, f"/v1/campaigns/{known['draft']}/clone", name="Again")
    assert (clone["name"], clone["status"], clone["scheduled_at"]) == ("Again", "draft", None)
    assert (await post(api, f"/v1/campaigns/{clone['id']}/launch", 200, scheduled_at=None))["status"] == "preparing"
    gone = await api.delete(f"/v1/campaigns/{clone['id']}")
    assert await refused(gone) == (409, "campaign_not_draft", None)
    other = await post(api, f"/v1/campaigns/{known['draft']}/clone")
    deleted = await api.delete(f"/v1/campaigns/{other['id']}")
    assert deleted.json() == {"id": other["id"], "object": "campaign", "deleted": True}
    assert (await api.get(f"/v1/campaigns/{other['id']}")).status_code == 404
