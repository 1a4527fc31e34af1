"""/v1/campaigns: creating, running, pausing, resuming, canceling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.resources import moment
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, CreditBalance
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from tests import factories
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import CARRIERS, EVERY, get, in_future, post, refused, work
from tests.services import SERVICES

SOME = "01HYZ8K5VQAE2N0PWQ6DC9V8MP"
ZERO: dict[str, Any] = {
    **dict.fromkeys(
        (
            "recipients",
            "queued",
            "sending",
            "sent",
            "delivered",
            "failed",
            "skipped",
            "canceled",
            "replied",
            "opted_out",
            "credits_used",
            "clicks",
            "unique_clicks",
            "conversions",
            "converted",
        ),
        0,
    ),
    "conversion_rate": 0.0,
    "revenue": [],
}


@pytest.fixture
async def live(client: Client, live_ctx: Context, virtual_live: None) -> httpx.AsyncClient:
    """A client of the live mode, with the virtual carrier behind it."""
    return await client(live_ctx)


async def people(client: httpx.AsyncClient, count: int = 3, **values: Any) -> list[str]:
    """Opted-in contacts; their ids."""
    return [
        (await post(client, "/v1/contacts", phone=f"+1212555010{n}", opt_in={"source": "checkout"}, **values))["id"]
        for n in range(count)
    ]


async def create(
    client: httpx.AsyncClient, contacts: list[str], body: str = "Doors open", **more: Any
) -> dict[str, Any]:
    audience = {"contact_ids": contacts}
    return await post(client, "/v1/campaigns", name="Close", body=body, audience=audience, **more)


async def again(client: httpx.AsyncClient, campaign: dict[str, Any]) -> dict[str, Any]:
    return await get(client, f"/v1/campaigns/{campaign['id']}")


async def act(client: httpx.AsyncClient, campaign: dict[str, Any], verb: str, status: int = 200) -> dict[str, Any]:
    return await post(client, f"/v1/campaigns/{campaign['id']}/{verb}", status)


async def events_of(client: httpx.AsyncClient, campaign: dict[str, Any]) -> list[str]:
    page = await get(client, "/v1/events", limit=100)
    return [
        event["type"].removeprefix("campaign.")
        for event in reversed(page["data"])
        if event["data"].get("id") == campaign["id"]
    ]


async def test_a_live_campaign_runs_to_completion(live: httpx.AsyncClient, live_ctx: Context) -> None:
    contacts = await people(live, 3, first_name="Maria")
    unknown = (await post(live, "/v1/contacts", phone="+12125550122"))["id"]
    campaign = await create(live, [*contacts, unknown], "Hey {firstName}", metadata={"launch": "06"}, from_="COHORT")
    assert (campaign["status"], campaign["stats"]) == ("preparing", ZERO)
    await work()
    done = await again(live, campaign)
    assert done["status"] == "completed"
    assert done["stats"] == {**ZERO, "recipients": 4, "delivered": 3, "skipped": 1, "credits_used": 3}
    assert None not in (done["dispatched_at"], done["completed_at"])
    assert await events_of(live, campaign) == ["started", "dispatched", "completed"]
    row = await CreditBalance.get(workspace_id=live_ctx.workspace_id)
    assert row.balance == 9_997
    messages = (await get(live, "/v1/messages", campaign_id=campaign["id"]))["data"]
    assert {(row["body"], row["from"], row["metadata"]["launch"]) for row in messages} == {
        ("Hey Maria", "COHORT", "06")
    }


async def test_an_audience_is_the_union_of_its_parts(api: httpx.AsyncClient) -> None:
    contacts = await people(api, 4)
    contact_list = (await post(api, "/v1/lists", name="A"))["id"]
    await post(api, f"/v1/lists/{contact_list}/contacts", 200, contact_ids=contacts[:2])
    filter = {"field": "phone", "op": "eq", "value": "+12125550102"}
    segment = (await post(api, "/v1/segments", name="S", filter=filter))["id"]
    audience = {"list_ids": [contact_list], "segment_id": segment, "contact_ids": contacts[1:2] + contacts[3:]}
    campaign = await post(api, "/v1/campaigns", name="Union", body="Hi", audience=audience)
    assert campaign["audience"] == audience
    await work()
    assert (await again(api, campaign))["stats"]["delivered"] == 4


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"name": ""}, "parameter_out_of_range", "name"),
        ({"name": "n" * 201}, "parameter_out_of_range", "name"),
        ({"body": " "}, "body_empty", "body"),
        ({"body": "a" * 1601}, "body_too_long", "body"),
        ({"body": "{"}, "template_invalid", "body"),
        ({"from": "?"}, "sender_invalid", "from"),
        ({"audience": {}}, "parameter_missing", "audience"),
        ({"audience": {"list_ids": []}}, "parameter_missing", "audience"),
        ({"audience": {"list_ids": ["lst_cohort06_open"]}}, "id_invalid", "audience.list_ids[0]"),
        (
            {"audience": {"contact_ids": ["con_01HYZ8K5VQAE2N0PWQ6DC9V8MP"]}},
            "resource_missing",
            "audience.contact_ids[0]",
        ),
        ({"audience": {"segment_id": f"seg_{SOME}"}}, "resource_missing", "audience.segment_id"),
        ({"scheduled_at": in_future(days=-1)}, "scheduled_at_past", "scheduled_at"),
        ({"scheduled_at": in_future(days=366)}, "scheduled_at_too_far", "scheduled_at"),
        ({"metadata": {"k": "v" * 501}}, "parameter_out_of_range", "metadata.k"),
    ],
)
async def test_a_bad_campaign_is_refused(
    api: httpx.AsyncClient, changes: dict[str, Any], code: str, param: str
) -> None:
    (contact,) = await people(api, 1)
    body = {"name": "Close", "body": "Hi", "audience": {"contact_ids": [contact]}, **changes}
    response = await api.post("/v1/campaigns", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, code, param)
    assert await Campaign.all().count() == 0


async def test_starting_now_with_too_few_credits_is_402_and_later_is_not(live: httpx.AsyncClient) -> None:
    contacts = await people(live)
    await db.execute("UPDATE credit_balances SET balance = 2")
    body = {"name": "Close", "body": "Hi", "audience": {"contact_ids": contacts}}
    response = await live.post("/v1/campaigns", json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (402, "insufficient_credits")
    assert (error["required"], error["available"]) == (3, 2)
    assert await Campaign.all().count() == 0
    assert (await create(live, contacts, scheduled_at=in_future(days=1)))["status"] == "scheduled"
    assert (await get(live, "/v1/credits"))["balance"] == 2


async def test_live_without_a_carrier_is_refused(client: Client, live_ctx: Context) -> None:
    live = await client(live_ctx)
    contacts = await people(live, 1)
    body = {"name": "Close", "body": "Hi", "audience": {"contact_ids": contacts}}
    response = await live.post("/v1/campaigns", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "carrier_not_configured")


async def test_a_shortage_pauses_and_a_top_up_resumes(live: httpx.AsyncClient, live_ctx: Context) -> None:
    campaign = await create(live, await people(live))
    await db.execute("UPDATE credit_balances SET balance = 1")
    await expand_campaigns(SERVICES)
    await dispatch_messages(SERVICES, CARRIERS)
    paused = await again(live, campaign)
    assert (paused["status"], paused["pause_reason"]) == ("paused", "insufficient_credits")
    async with unit_of_work():
        await credits.grant_credits(live_ctx.workspace_id, 10, reference="top-up")
    await work()
    done = await again(live, campaign)
    assert (done["status"], done["pause_reason"], done["stats"]["delivered"]) == ("completed", None, 3)
    assert (await get(live, "/v1/credits"))["balance"] == 8


async def test_pause_holds_resume_goes_on_and_neither_works_twice(api: httpx.AsyncClient) -> None:
    campaign = await create(api, await people(api))
    refused = await api.post(f"/v1/campaigns/{campaign['id']}/resume")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "campaign_not_paused")
    paused = await act(api, campaign, "pause")
    assert (paused["status"], paused["pause_reason"]) == ("paused", "manual")
    await work()
    assert (await again(api, campaign))["stats"]["delivered"] == 0
    assert (await act(api, campaign, "resume"))["pause_reason"] is None
    await work()
    assert (await again(api, campaign))["status"] == "completed"
    assert await events_of(api, campaign) == ["paused", "resumed", "started", "dispatched", "completed"]
    for verb in ("pause", "cancel"):
        assert (await act(api, campaign, verb, 409))["error"]["code"] == "campaign_terminal"
    assert (await act(api, campaign, "resume", 409))["error"]["code"] == "campaign_not_paused"


@pytest.mark.parametrize("scheduled", [True, False])
async def test_cancel_stops_what_is_not_handed_off(api: httpx.AsyncClient, scheduled: bool) -> None:
    campaign = await create(api, await people(api), scheduled_at=in_future(days=1) if scheduled else None)
    if not scheduled:
        await expand_campaigns(SERVICES)
    canceled = await act(api, campaign, "cancel")
    assert canceled["status"] == "canceled"
    assert canceled["canceled_at"] is not None
    await work()
    done = await again(api, campaign)
    assert (done["status"], done["stats"]["delivered"]) == ("canceled", 0)
    assert done["stats"]["canceled"] == done["stats"]["recipients"] == (0 if scheduled else 3)
    # What never began has no messages to wait for.
    assert (await events_of(api, campaign))[-1] == ("canceled" if scheduled else "completed")
    assert (await act(api, campaign, "cancel", 409))["error"]["code"] == "campaign_terminal"


async def test_campaigns_can_be_filtered_by_status(api: httpx.AsyncClient) -> None:
    contacts = await people(api, 1)
    made = {
        "completed": await create(api, contacts),
        "scheduled": await create(api, contacts, scheduled_at=in_future(days=1)),
        "paused": await create(api, contacts, scheduled_at=in_future(days=1)),
        "canceled": await create(api, contacts, scheduled_at=in_future(days=1)),
    }
    await act(api, made["paused"], "pause")
    await act(api, made["canceled"], "cancel")
    await work()
    made["preparing"] = await create(api, contacts)
    for status, campaign in made.items():
        rows = (await get(api, "/v1/campaigns", status=status))["data"]
        assert [row["id"] for row in rows] == [campaign["id"]], status
    assert len((await get(api, "/v1/campaigns"))["data"]) == 5
    open_ids = [made[status]["id"] for status in ("scheduled", "preparing")]
    assert [
        row["id"] for row in (await get(api, "/v1/campaigns", statuses="scheduled,preparing", order="oldest"))["data"]
    ] == open_ids
    assert (await get(api, "/v1/campaigns", statuses="scheduled", status="paused"))["data"] == []
    response = await api.get("/v1/campaigns?statuses=paused,done")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "statuses")
    response = await api.get("/v1/campaigns?status=done")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "status")


async def test_campaigns_can_be_found_by_name(api: httpx.AsyncClient) -> None:
    """In any case and as it is written; drafts are among them where they are asked for."""
    contacts = await people(api, 1)
    told = {"body": "Hi", "audience": {"contact_ids": contacts}}
    names = ("Doors open", "100% off", "Last DOORS")
    ids = [(await post(api, "/v1/campaigns", name=name, **told))["id"] for name in names]
    draft = (await post(api, "/v1/campaigns", name="Doors again", draft=True, **told))["id"]
    for query, found in (
        ({"q": "doors"}, [ids[2], ids[0]]),
        ({"q": "0% o"}, [ids[1]]),
        ({"q": "%"}, [ids[1]]),
        ({"q": "doors", "statuses": "draft"}, [draft]),
        ({"q": "closed"}, []),
    ):
        assert [row["id"] for row in (await get(api, "/v1/campaigns", **query))["data"]] == found, query
    asked = 'query ($s: [CampaignStatus!]) {campaigns(q: "DOORS", statuses: $s) {totalCount nodes {id}}}'
    for statuses, found in ((None, [ids[2], ids[0]]), (["DRAFT"], [draft])):
        answer = (await api.post("/graphql", json={"query": asked, "variables": {"s": statuses}})).json()
        assert answer["data"]["campaigns"] == {"totalCount": len(found), "nodes": [{"id": id} for id in found]}
    at, second = (datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0), timedelta(seconds=1)
    scheduled = await post(api, "/v1/campaigns", name="Later", scheduled_at=moment(at), **told)
    for since, until, is_found in (
        (at, at + second, True),
        (at + second, at + 9 * second, False),
        (at - second, at, False),
    ):
        query = {"starts_at[gte]": moment(since), "starts_at[lt]": moment(until)}
        rows = (await get(api, "/v1/campaigns", **query))["data"]
        assert [row["id"] for row in rows] == [scheduled["id"]] * is_found
        asked = "query ($s: DateTime, $u: DateTime) {campaigns(startsFrom: $s, startsBefore: $u) {totalCount}}"
        variables = {"s": moment(since), "u": moment(until)}
        answer = (await api.post("/graphql", json={"query": asked, "variables": variables})).json()
        assert answer["data"]["campaigns"]["totalCount"] == is_found
    response = await api.get("/v1/campaigns?starts_at[gte]=soon")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "starts_at[gte]")
    response = await api.get("/v1/campaigns?q=")
    assert (response.status_code, response.json()["error"]["param"]) == (400, "q")


async def test_replies_and_opt_outs_are_counted(api: httpx.AsyncClient) -> None:
    contacts = [
        (await post(api, "/v1/contacts", phone=f"+141555501{n}", opt_in={"source": "checkout"}))["id"]
        for n in ("05", "07", "01", "23")
    ]
    campaign = await create(api, contacts)
    await work(4)
    stats = (await again(api, campaign))["stats"]
    assert stats == {
        **ZERO,
        "recipients": 4,
        "delivered": 3,
        "failed": 1,
        "replied": 1,
        "opted_out": 1,
        "credits_used": 3,
    }


async def test_an_audience_of_none_completes(api: httpx.AsyncClient) -> None:
    empty = (await post(api, "/v1/lists", name="Empty"))["id"]
    campaign = await post(api, "/v1/campaigns", name="X", body="Hi", audience={"list_ids": [empty]})
    await work()
    assert await events_of(api, campaign) == ["started", "dispatched", "completed"]
    assert (await again(api, campaign))["stats"] == ZERO


async def test_a_segment_is_resolved_when_dispatch_starts(api: httpx.AsyncClient, ctx: Context) -> None:
    segment = (await post(api, "/v1/segments", name="All", filter=EVERY))["id"]
    campaign = await post(api, "/v1/campaigns", name="X", body="Hi", audience={"segment_id": segment})
    await factories.make_contact(ctx)
    await work()
    assert (await again(api, campaign))["stats"]["delivered"] == 1


async def test_campaign_routes_have_a_bucket_of_their_own(api: httpx.AsyncClient) -> None:
    response = await api.get("/v1/campaigns")
    assert response.headers["X-RateLimit-Limit"] == "1000"
    assert int(response.headers["X-RateLimit-Remaining"]) >= 1990
    response = await api.get("/v1/messages")
    assert response.headers["X-RateLimit-Limit"] == "100"


async def test_a_campaign_shows_whom_it_excludes(api: httpx.AsyncClient) -> None:
    contacts = [
        (await post(api, "/v1/contacts", phone=f"+1212555670{digit}", opt_in={"source": "checkout"}))["id"]
        for digit in (1, 2)
    ]
    listed = (await post(api, "/v1/lists", name="Customers"))["id"]
    await post(api, f"/v1/lists/{listed}/contacts", 200, contact_ids=contacts[:1])
    told: dict[str, Any] = {
        "name": "All",
        "body": "Hi",
        "audience": {"contact_ids": contacts},
        "exclude": {"list_ids": [listed]},
    }
    preview = await post(api, "/v1/campaigns/preview", 200, **told)
    assert [(each["code"], each["recipient_count"]) for each in preview["skipped"]] == [("excluded_list", 1)]
    campaign = await post(api, "/v1/campaigns", **told, draft=True)
    assert campaign["exclude"] == {"list_ids": [listed]}
    changed = await post(api, f"/v1/campaigns/{campaign['id']}", 200, exclude={"messaged_within_days": 3})
    assert changed["exclude"] == {"messaged_within_days": 3}
    assert changed["version"] != campaign["version"]
    cleared = await post(api, f"/v1/campaigns/{campaign['id']}", 200, exclude=None)
    assert cleared["exclude"] is None
    refusals: list[tuple[object, str]] = [
        ({"list_ids": ["lst_x"]}, "exclude.list_ids[0]"),
        ({"messaged_within_days": 0}, "exclude.messaged_within_days"),
        ({"list": [listed]}, "exclude.list"),
        ("nobody", "exclude"),
    ]
    for exclude, param in refusals:
        for path in ("/v1/campaigns", "/v1/campaigns/preview", f"/v1/campaigns/{campaign['id']}"):
            body = {"exclude": exclude} if path.endswith(campaign["id"]) else {**told, "exclude": exclude}
            refused = await api.post(path, json=body)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, param), refused.text


async def test_an_ab_test_from_its_creation_to_its_winner(api: httpx.AsyncClient) -> None:
    contacts = await people(api, 8)
    test = {"variants": [{}, {"body": "Doors are open"}], "test_percent": 1, "metric": "reply"}
    campaign = await create(api, contacts, ab_test=test)
    assert campaign["ab_test"] == {
        "variants": [
            {"variant": "A", "body": "Doors open", "from": "MASSIVESMS", "share": None},
            {"variant": "B", "body": "Doors are open", "from": "MASSIVESMS", "share": None},
        ],
        "test_percent": 1,
        "metric": "reply",
        "test_minutes": None,
        "tested_at": None,
        "ends_at": None,
        "winner": None,
        "winner_chosen_at": None,
        "winner_chosen_by": None,
    }
    early = await api.post(f"/v1/campaigns/{campaign['id']}/winner", json={"variant": "B"})
    assert await refused(early) == (409, "ab_test_state", None)
    await work()
    waiting = await again(api, campaign)
    assert (waiting["status"], waiting["dispatched_at"]) == ("sending", None)
    assert waiting["ab_test"]["tested_at"] is not None
    chosen = await post(api, f"/v1/campaigns/{campaign['id']}/winner", 200, variant="B")
    assert (chosen["status"], chosen["ab_test"]["winner"]) == ("preparing", "B")
    await work()
    assert (await again(api, campaign))["status"] == "completed"
    report = await get(api, f"/v1/campaigns/{campaign['id']}/ab_test")
    assert (report["object"], report["id"], report["winner_chosen_by"]) == ("ab_test", campaign["id"], "hand")
    assert sum(variant["stats"]["recipients"] for variant in report["variants"]) == 8
    assert report["significance"]["enough"] is False
    page = await get(api, "/v1/messages", limit=100)
    assert {message["variant"] for message in page["data"]} <= {"A", "B"}
    assert await events_of(api, campaign) == ["started", "tested", "winner_chosen", "dispatched", "completed"]


async def test_a_campaign_without_variants_says_nothing_of_them(api: httpx.AsyncClient) -> None:
    campaign = await create(api, await people(api, 2))
    await work()
    assert "ab_test" not in await again(api, campaign)
    for message in (await get(api, "/v1/messages"))["data"]:
        assert "variant" not in message
    for event in (await get(api, "/v1/events", limit=100))["data"]:
        assert not {"ab_test", "variant"} & set(event["data"])
    assert (await refused(await api.get(f"/v1/campaigns/{campaign['id']}/ab_test")))[:2] == (404, "resource_missing")


async def test_a_campaign_is_archived_once_it_has_ended(
    api: httpx.AsyncClient, client: Client, live_ctx: Context
) -> None:
    audience = await people(api, 1)
    ended = await create(api, audience, tags=["Launch", "vip", "launch"])
    other = await create(api, audience, scheduled_at=in_future(days=1))
    assert (ended["tags"], ended["archived_at"], other["tags"]) == (["launch", "vip"], None, [])
    early = await api.post(f"/v1/campaigns/{ended['id']}/archive")
    assert await refused(early) == (409, "campaign_not_ended", None)
    await work()
    away = await act(api, ended, "archive")
    assert away["archived_at"] is not None
    assert (await act(api, ended, "archive"))["archived_at"] == away["archived_at"]

    async def found(**query: str) -> list[str]:
        return [row["id"] for row in (await get(api, "/v1/campaigns", **query))["data"]]

    assert await found() == [other["id"], ended["id"]]
    assert await found(archived="false") == [other["id"]]
    assert await found(archived="true") == await found(tag="Launch") == [ended["id"]]
    assert await found(tag="none") == []
    stranger = await client(live_ctx)
    for verb in ("archive", "unarchive"):
        assert (await stranger.post(f"/v1/campaigns/{ended['id']}/{verb}")).status_code == 404
    assert (await act(api, ended, "unarchive"))["archived_at"] is None
    assert await found(archived="true") == []
    changed = await post(api, f"/v1/campaigns/{other['id']}", 200, tags=["b"])
    assert (changed["tags"], changed["version"] != other["version"]) == (["b"], True)
    refusal = await api.post(f"/v1/campaigns/{other['id']}", json={"tags": ["a,b"]})
    assert await refused(refusal) == (400, "parameter_invalid", "tags[0]")
