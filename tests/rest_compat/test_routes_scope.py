"""Another workspace's resources and another mode's are not there, on any route."""

from __future__ import annotations

import httpx
import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.api.settings_of_mode import OWN_OF_SANDBOX
from msvs.fields import example_of
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import get, make_everything, path_of, post

# The settings, the credits and their ledger, and the senders are the workspace's, for both modes.
SHARED = (
    *("/v1/workspace", "/v1/senders", "/v1/credits", "/v1/credits/ledger", "/v1/credits/purchases"),
    *("/v1/credits/packs", "/v1/credits/checkouts", "/v1/credits/rates", "/v1/credits/auto_top_up"),
    "/v1/connectors",
)
ON_ONE = [
    endpoint
    for endpoint in ENDPOINTS
    if ("{id}" in endpoint.path or endpoint.path.startswith("/v1/inbox/threads/"))
    and not endpoint.path.startswith(SHARED)
]
LISTS = [endpoint for endpoint in ENDPOINTS if endpoint.method == "GET" and "{" not in endpoint.path]

TABLES = (
    "messages",
    "campaigns",
    "sequences",
    "conversions",
    "order_hooks",
    "sequence_versions",
    "sequence_enrollments",
    "contacts",
    "contact_lists",
    "list_members",
    "keywords",
    "message_templates",
    "snippets",
    "segments",
    "webhook_endpoints",
    "webhook_deliveries",
    "events",
    "inbound_messages",
    "suppressions",
)


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


async def contents() -> dict[str, list[str]]:
    """Every row of every resource, as text."""
    return {
        table: [row.row for row in await db.fetch(f"SELECT t::text AS row FROM {table} AS t ORDER BY t::text")]
        for table in TABLES
    }


@pytest.fixture
async def strangers(client: Client, live_ctx: Context, other_ctx: Context) -> list[httpx.AsyncClient]:
    """The same workspace's live mode, and another workspace."""
    return [await client(live_ctx), await client(other_ctx)]


pytestmark = pytest.mark.usefixtures("virtual_live")


@pytest.mark.parametrize("endpoint", ON_ONE, ids=name)
async def test_a_resource_of_another_is_not_there(
    api: httpx.AsyncClient, strangers: list[httpx.AsyncClient], endpoint: Endpoint
) -> None:
    known = await make_everything(api)
    path = path_of(endpoint.path, known, endpoint.operation_id)
    body = example_of(endpoint.body)
    if endpoint.operation_id == "resendEvent":
        body = {"webhook_id": known["webhook"]}
    if endpoint.operation_id == "updateImport":
        body = {"update": "fill"}
    if endpoint.operation_id == "addListContacts":
        body = {"contact_ids": [known["contact"]]}
    if endpoint.operation_id in ("mergeContacts", "createEnrollment"):
        body = {"contact_id": known["other_contact"]}
    if endpoint.operation_id == "recoverWebhook":
        body = {"since": (await get(api, path_of("/v1/webhooks/{id}", known)))["created_at"]}
    before = await contents()
    for stranger in strangers:
        json = None if endpoint.method == "GET" else body
        response = await stranger.request(endpoint.method, path, json=json)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (404, "resource_missing")
        assert error["param"] in ("id", "contact_id", "enrollment_id")
    assert await contents() == before
    # The same request by its owner finds it.
    own = await api.request(endpoint.method, path, json=None if endpoint.method == "GET" else body)
    assert own.status_code in (200, 201, 409)


@pytest.mark.parametrize("endpoint", LISTS, ids=name)
async def test_a_list_holds_nothing_of_another(
    api: httpx.AsyncClient, strangers: list[httpx.AsyncClient], endpoint: Endpoint
) -> None:
    known = await make_everything(api)
    if endpoint.path.startswith("/v1/test/"):
        # The sandbox has none until it is made, and live never.
        assert (await api.post(endpoint.path, json={})).status_code in (200, 201)
        await get(api, endpoint.path)
        answers = [await stranger.get(endpoint.path) for stranger in strangers]
        assert {answer.status_code for answer in answers} == {403, 404}
        return
    own = await get(api, endpoint.path)
    if endpoint.path == "/v1/workspace":
        # What the sandbox has off at first makes another version of it.
        live = await get(strangers[0], endpoint.path)
        assert live | OWN_OF_SANDBOX | {"version": own["version"]} == own
        return
    if endpoint.path in SHARED:
        assert await get(strangers[0], endpoint.path) == own
        if endpoint.path == "/v1/credits/checkouts":
            assert [row["id"] for row in own["data"]] == [known["checkout"]]
            assert (await get(strangers[1], endpoint.path))["data"] == []
        return
    if endpoint.path == "/v1/conversions/totals":
        assert [each["currency"] for each in own["currencies"]] == ["USD"]
        assert [(await get(stranger, endpoint.path))["currencies"] for stranger in strangers] == [[], []]
        return
    assert set(known.values()) & {row["id"] for row in own["data"]}
    for stranger in strangers:
        if endpoint.path == "/v1/api_keys":
            # The caller has a key.
            (theirs,) = (await get(stranger, endpoint.path))["data"]
            assert theirs["id"] not in known.values()
            continue
        assert await get(stranger, endpoint.path) == {
            "object": "list",
            "url": endpoint.path,
            "has_more": False,
            "data": [],
        }


async def test_a_list_member_of_another_is_not_there(
    api: httpx.AsyncClient, strangers: list[httpx.AsyncClient]
) -> None:
    """Nor can a contact of another be put on a list or taken off it."""
    known = await make_everything(api)
    for stranger in strangers:
        own_list = (await post(stranger, "/v1/lists", name="Mine"))["id"]
        added = await post(stranger, f"/v1/lists/{own_list}/contacts", 200, contact_ids=[known["contact"]])
        assert added == {"added": 0, "already_members": 0, "not_found": [known["contact"]]}
        gone = await stranger.delete(f"/v1/lists/{own_list}/contacts/{known['contact']}")
        assert gone.status_code == 404
    row = await get(api, f"/v1/lists/{known['list']}")
    assert row["contact_count"] == 1


@pytest.mark.parametrize(
    ("audience", "param"),
    [
        ({"list_ids": ["{list}"]}, "audience.list_ids[0]"),
        ({"segment_id": "{segment}"}, "audience.segment_id"),
        ({"contact_ids": ["{contact}"]}, "audience.contact_ids[0]"),
    ],
)
async def test_an_audience_of_another_is_refused(
    api: httpx.AsyncClient, strangers: list[httpx.AsyncClient], audience: dict[str, object], param: str
) -> None:
    known = await make_everything(api)
    filled = {
        key: [value[0].format(**known)] if isinstance(value, list) else str(value).format(**known)
        for key, value in audience.items()
    }
    for stranger in strangers:
        for path in ("/v1/campaigns", "/v1/campaigns/preview"):
            response = await stranger.post(path, json={"name": "X", "body": "Hi", "audience": filled})
            error = response.json()["error"]
            assert (response.status_code, error["code"], error["param"]) == (400, "resource_missing", param), path
        assert (await get(stranger, "/v1/campaigns"))["data"] == []


async def test_a_filter_on_another_finds_nothing(api: httpx.AsyncClient, strangers: list[httpx.AsyncClient]) -> None:
    known = await make_everything(api)
    for stranger in strangers:
        for path, params in (
            ("/v1/messages", {"campaign_id": known["campaign"]}),
            ("/v1/messages", {"contact_id": known["contact"]}),
            ("/v1/contacts", {"list_id": known["list"]}),
            ("/v1/inbound", {"contact_id": known["contact"]}),
        ):
            assert (await get(stranger, path, **params))["data"] == []
        filter = {"list": known["list"]}
        response = await stranger.post("/v1/segments", json={"name": "Theirs", "filter": filter})
        assert (response.status_code, response.json()["error"]["param"]) == (400, "filter.list")


async def test_each_mode_shows_itself(api: httpx.AsyncClient, strangers: list[httpx.AsyncClient]) -> None:
    live = strangers[0]
    for client, livemode in ((api, False), (live, True)):
        message = await post(client, "/v1/messages", to="+12125550111", body="Hi")
        assert message["livemode"] is livemode
        assert (await get(client, f"/v1/contacts/{message['contact_id']}"))["livemode"] is livemode
        events = await get(client, "/v1/events")
        assert {event["livemode"] for event in events["data"]} == {livemode}
