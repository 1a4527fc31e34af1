"""What a key may change: its scopes, and nothing that live obeys where it is a sandbox's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from msvs import database as db
from msvs.api.accounts import auth, keys
from msvs.api.context import Context
from msvs.api.dispatch import senders
from msvs.api.permissions import NOT_FOR_KEYS, SCOPES, Permission, Scope
from msvs.api.settings_of_mode import OWN_OF_SANDBOX
from msvs.fields import example_of
from msvs.models import Role, Workspace
from msvs.rest_compat.endpoint import Endpoint
from msvs.rest_compat.endpoints import ENDPOINTS
from msvs.rest_compat.permissions import PERMISSIONS
from tests.apps import BASE_URL
from tests.rest_compat.conftest import Client
from tests.rest_compat.contract import ContractTransport
from tests.rest_compat.making import EVERY, get, make_everything, path_of, post, refused
from tests.services import SERVICES

# These change nothing, though they are asked by POST.
LOOKS = ("previewMessage", "previewCampaign", "previewSegment")
WRITES = [endpoint for endpoint in ENDPOINTS if endpoint.method != "GET" and endpoint.operation_id not in LOOKS]
Keyed = Callable[..., Awaitable[httpx.AsyncClient]]


def name(endpoint: Endpoint) -> str:
    return endpoint.operation_id


def scope_of(endpoint: Endpoint) -> Scope:
    return SCOPES[PERMISSIONS[endpoint.operation_id]]


@pytest.fixture
async def keyed(app: Starlette, clean: None) -> AsyncIterator[Keyed]:
    """`await keyed(ctx, *scopes)`: a client with a new key of these scopes."""
    async with AsyncExitStack() as stack:

        async def make(ctx: Context, *scopes: str) -> httpx.AsyncClient:
            _, key = await keys.create_key(ctx.workspace_id, livemode=ctx.livemode, scopes=scopes)
            client = httpx.AsyncClient(
                transport=ContractTransport(httpx.ASGITransport(app)),
                base_url=BASE_URL,
                headers={"Authorization": f"Bearer {key}"},
            )
            return await stack.enter_async_context(client)

        yield make
        await auth.settle(SERVICES)


def body_of(endpoint: Endpoint, known: dict[str, str], since: str) -> dict[str, Any] | None:
    bodies: dict[str, dict[str, Any]] = {
        "createContact": {"phone": "+12125550133", "opt_in": {"source": "form"}},
        "createMessage": {"to": "+12125550111", "body": "Hi"},
        "createCampaign": {"name": "A", "body": "Hi", "audience": {"list_ids": [known["list"]]}, "draft": True},
        "previewCampaign": {"body": "Hi", "audience": {"list_ids": [known["list"]]}},
        "preflightCampaign": {"body": "Hi", "audience": {"list_ids": [known["list"]]}},
        "chooseWinner": {"variant": "A"},
        "importContacts": {"contacts": [{"phone": "+12125550134"}], "list_id": known["list"]},
        "createBulkAction": {"action": "tag", "tags": ["vip"], "contact_ids": [known["contact"]]},
        "mergeContacts": {"contact_id": known["other_contact"]},
        "createImport": {"file_name": "people.csv", "list_id": known["list"]},
        "updateImport": {"update": "fill"},
        "createSegment": {"name": "All", "filter": EVERY},
        "updateSegment": {"filter": EVERY},
        "previewSegment": {"filter": EVERY},
        "createKeyword": {"word": "JOIN7", "list_id": known["list"]},
        "createConversion": {"contact_id": known["other_contact"], "order_id": "o", "value": 1, "currency": "USD"},
        "createSequence": {"name": "Welcome", "template": "welcome"},
        "updateSequence": {"name": "Hello"},
        "createEnrollment": {"contact_id": known["other_contact"]},
        "updateKeyword": {"list_id": known["list"]},
        "resendEvent": {"webhook_id": known["webhook"]},
        "addListContacts": {"contact_ids": [known["contact"]]},
        "recoverWebhook": {"since": since},
        "liftSuppression": {"source": "form", "renewed": True, "at": since},
        "updateCampaign": {"name": "B"},
        "testCampaign": {"to": ["+12125550111"]},
        "updateWorkspace": {
            "name": "Mine", "default_sender": "COHORT", "double_opt_in": True, "campaigns_admit_unknown": True,
            "blocked_regions": ["BR"], "enabled_regions": ["NG"], "daily_credit_cap": 5, "prefix_hourly_cap": 5,
            "contact_daily_cap": 5, "contact_weekly_cap": 5, "contact_caps_cover_all": True,
            "unreachable_after": 5,
            "quiet_hours": True, "timezone": "Europe/Lisbon", "low_balance_threshold": 5, "opt_in_text": "YES?",
            "opt_out_text": "Out", "welcome_text": "In", "help_text": "Help",
        },
        "createTestInbound": {"from": "+12125550111", "body": "STOP"},
        "advanceTestClock": {"by_seconds": 60},
    }  # fmt: skip
    return bodies.get(endpoint.operation_id, example_of(endpoint.body))


def has_done(endpoint: Endpoint, answer: httpx.Response) -> bool:
    """Whether a request of the sandbox did what it may; it buys no credits."""
    if endpoint.operation_id in ("createCheckout", "updateAutoTopUp"):
        return (answer.status_code, answer.json()["error"]["code"]) == (403, "live_only")
    if endpoint.operation_id in ("advanceTestClock", "deleteTestClock", "deleteTestCarrier"):
        # The sandbox has neither.
        return answer.status_code == 404
    return answer.status_code in (200, 201, 409)


# Scopes

# An export takes the scope of what it holds, too.
BESIDE = dict.fromkeys(("createExport", "cancelExport"), (Scope.CONTACTS_READ,))


def test_every_permission_takes_a_scope_or_is_for_people() -> None:
    assert set(Permission) - SCOPES.keys() == NOT_FOR_KEYS
    assert set(SCOPES.values()) == set(Scope)


@pytest.mark.parametrize("endpoint", WRITES, ids=name)
async def test_a_missing_scope_is_refused_and_nothing_happens(
    api: httpx.AsyncClient, keyed: Keyed, ctx: Context, endpoint: Endpoint
) -> None:
    known = await make_everything(api)
    since = (await get(api, f"/v1/webhooks/{known['webhook']}"))["created_at"]
    path, body = path_of(endpoint.path, known, endpoint.operation_id), body_of(endpoint, known, since)
    scope = scope_of(endpoint)
    bare = await keyed(ctx, *(each for each in Scope if each is not scope))
    before = await state()
    response = await bare.request(endpoint.method, path, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (403, "permission_error", "scope_missing")
    assert (error["scope"], scope.value in error["message"]) == (scope.value, True)
    assert await state() == before
    enough = await keyed(ctx, scope, *BESIDE.get(endpoint.operation_id, ()))
    assert has_done(endpoint, await enough.request(endpoint.method, path, json=body))


async def test_keys_are_shown_with_their_scopes(api: httpx.AsyncClient, keyed: Keyed, ctx: Context) -> None:
    narrow = await keyed(ctx, "messages:send", "keys:read", "contacts:read")
    listed = (await get(narrow, "/v1/api_keys"))["data"]
    assert [each["scopes"] for each in listed] == [["contacts:read", "keys:read", "messages:send"], sorted(Scope)]
    assert [(each["allowed_ips"], each["created_by"]) for each in listed] == [(None, "system")] * 2
    assert all("key" not in each for each in listed)
    assert await get(narrow, f"/v1/api_keys/{listed[0]['id']}") == listed[0]
    assert (await get(narrow, "/v1/contacts"))["data"] == []


async def test_a_rolled_key_hands_its_scopes_on(workspace: Workspace) -> None:
    user = Context(workspace.id, True, actor="usr_1", role=Role.OWNER, services=SERVICES)
    made, _ = await keys.issue_key(
        user, name="Checkout", scopes=["messages:send", "messages:send"], allowed_ips=["203.0.113.0/24"]
    )
    heir, _ = await keys.roll_key(user, made.id)
    assert made.scopes == heir.scopes == ["messages:send"]
    assert made.allowed_ips == heir.allowed_ips == ["203.0.113.0/24"]
    assert (made.created_by, heir.created_by) == ("usr_1", "usr_1")
    with pytest.raises(Exception, match="No such scope: 'everything'"):
        await keys.issue_key(user, scopes=["everything"])


# Attack 3 of the cases: a sandbox key changes what live obeys


async def state() -> dict[str, list[str]]:
    """All rows of all tables but what notes that a key was used, and what is kept for retries."""
    tables = await db.fetch(
        "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition AND relname NOT IN ('api_keys', 'tortoise_migrations', 'idempotency_records')"
    )
    return {
        table.name: [
            row.row for row in await db.fetch(f"SELECT t::text AS row FROM {table.name} AS t ORDER BY t::text")
        ]
        for table in tables
    }


async def live_state() -> dict[str, list[str]]:
    """All that is live's: its rows, and what both modes share but what is the sandbox's own, and the audit log."""
    tables = await db.fetch(
        "SELECT relname AS name, EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid"
        " AND attname = 'livemode') AS is_of_mode FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p') AND NOT relispartition AND relname = ANY($1)",
        [
            *("workspaces", "credit_balances", "ledger_entries", "credit_usage", "senders", "routes", "users"),
            *("memberships", "invitations", "sessions", "carrier_states"),
            *(row.name for row in await db.fetch(OF_MODE)),
        ],
    )
    found = {}
    for table in tables:
        rows = await db.fetch(
            "SELECT (to_jsonb(t) - 'sandbox_settings' - 'has_test_clock' - 'last_used_at')::text AS row"
            f" FROM {table.name} AS t {'WHERE livemode' if table.is_of_mode else ''} ORDER BY 1"
        )
        found[table.name] = [row.row for row in rows]
    assert {"workspaces", "senders", "contacts", "keywords", "webhook_endpoints", "api_keys"} <= found.keys()
    return found


OF_MODE = "SELECT table_name AS name FROM information_schema.columns WHERE column_name = 'livemode'"


async def make_live(live: httpx.AsyncClient) -> dict[str, str]:
    """Something of each kind, live."""
    contact = (await post(live, "/v1/contacts", phone="+12125550111", opt_in={"source": "form"}))["id"]
    contact_list = (await post(live, "/v1/lists", name="Cohort 06"))["id"]
    await post(live, f"/v1/lists/{contact_list}/contacts", 200, contact_ids=[contact])
    audience = {"list_ids": [contact_list]}
    return {
        "contact": contact,
        "other_contact": (await post(live, "/v1/contacts", phone="+12125550198"))["id"],
        "list": contact_list,
        "message": (await post(live, "/v1/messages", to="+12125550111", body="Hi"))["id"],
        "campaign": (await post(live, "/v1/campaigns", name="A", body="Hi", audience=audience, draft=True))["id"],
        "draft": (await post(live, "/v1/campaigns", name="B", body="Hi", audience=audience, draft=True))["id"],
        "keyword": (await post(live, "/v1/keywords", word="COHORT5", list_id=contact_list))["id"],
        "segment": (await post(live, "/v1/segments", name="All", filter=EVERY))["id"],
        "webhook": (await post(live, "/v1/webhooks", url="https://api.cohortlabs.co/sms", events=["*"]))["id"],
        "import": (await post(live, "/v1/imports", file_name="people.csv"))["id"],
        "export": (await post(live, "/v1/exports", kind="contacts"))["id"],
        "bulk_action": (await post(live, "/v1/bulk_actions", action="delete", contact_ids=[contact]))["id"],
        "suppression": (await post(live, "/v1/suppressions", phone="+12125550199", source="complaint"))["id"],
        "event": (await get(live, "/v1/events"))["data"][0]["id"],
        "inbound": "inb_01HYZ8K5VQAE2N0PWQ6DC9V8MP",
    }


@pytest.mark.usefixtures("virtual_live")
@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.method != "GET"], ids=name)
async def test_a_sandbox_key_changes_nothing_of_live(
    api: httpx.AsyncClient, client: Client, live_ctx: Context, endpoint: Endpoint
) -> None:
    theirs = await make_live(await client(live_ctx))
    own = await make_everything(api)
    since = (await get(api, f"/v1/webhooks/{own['webhook']}"))["created_at"]
    before = await live_state()
    answers = []
    for known in (theirs, own):
        path, body = path_of(endpoint.path, known, endpoint.operation_id), body_of(endpoint, known, since)
        answers.append(await api.request(endpoint.method, path, json=body))
        assert await live_state() == before
    # What it did to the sandbox's own, it did.
    assert has_done(endpoint, answers[1])


@pytest.mark.usefixtures("virtual_live")
async def test_each_mode_obeys_its_own_settings(api: httpx.AsyncClient, client: Client, live_ctx: Context) -> None:
    live = await client(live_ctx)
    at_first = await get(live, "/v1/workspace")
    own = await get(api, "/v1/workspace")
    assert own.pop("version") != at_first["version"]
    # All but what the sandbox has off at first.
    assert own == {name: value for name, value in (at_first | OWN_OF_SANDBOX).items() if name != "version"}
    changes = {"default_sender": "COHORT", "blocked_regions": ["US"], "double_opt_in": True, "help_text": "Ask Rosa"}
    changed = await post(api, "/v1/workspace", 200, **changes, low_balance_threshold=7)
    changes |= {"low_balance_threshold": 7, "version": changed["version"]}
    assert changed == {**at_first, **OWN_OF_SANDBOX, **changes} == await get(api, "/v1/workspace")
    assert await get(live, "/v1/workspace") == at_first
    credits = [(await get(each, "/v1/credits"))["low_balance_threshold"] for each in (api, live)]
    assert credits == [7, at_first["low_balance_threshold"]]
    blocked = await refused(await api.post("/v1/messages", json={"to": "+12125550111", "body": "Hi"}))
    assert blocked == (422, "region_blocked", "to")
    assert (await post(live, "/v1/messages", to="+12125550111", body="Hi"))["from"] == "MASSIVESMS"
    assert (await post(api, "/v1/messages", to="+447400123456", body="Hi"))["from"] == "COHORT"
    statuses = [
        (await post(each, "/v1/contacts", phone="+447400123457", opt_in={"source": "form"}))["opt_in"]["status"]
        for each in (api, live)
    ]
    assert statuses == ["pending", "opted_in"]
    # What live changes shows in the sandbox where that has none of its own.
    await post(live, "/v1/workspace", 200, help_text="Ask Luis", welcome_text="Hello")
    own = await get(api, "/v1/workspace")
    assert (own["help_text"], own["welcome_text"]) == ("Ask Rosa", "Hello")


@pytest.mark.parametrize(
    ("setting", "now", "tighter", "wider"),
    [
        ("daily_credit_cap", 10, [10, 9, 0], [11, None]),
        ("daily_credit_cap", None, [5], []),
        ("prefix_hourly_cap", 10, [1], [11, None]),
        ("contact_daily_cap", 10, [1], [11, None]),
        ("contact_weekly_cap", 10, [1], [11, None]),
        ("contact_caps_cover_all", False, [True], []),
        ("blocked_regions", ["BR"], [["BR", "PT"]], [[], ["PT"]]),
        ("enabled_regions", ["NG"], [[]], [["NG", "IL"], ["IL"]]),
    ],
)
async def test_a_live_key_never_lifts_what_binds_it(
    client: Client, live_ctx: Context, setting: str, now: object, tighter: list[object], wider: list[object]
) -> None:
    live = await client(live_ctx)
    await Workspace.filter(id=live_ctx.workspace_id).update(**{setting: now})
    before = await state()
    for value in wider:
        response = await live.post("/v1/workspace", json={setting: value, "help_text": "Mine"})
        assert await refused(response) == (403, "limit_not_lifted", setting)
        assert await state() == before
    for value in tighter:
        await Workspace.filter(id=live_ctx.workspace_id).update(**{setting: now})
        assert (await post(live, "/v1/workspace", 200, **{setting: value}))[setting] == value


async def test_a_default_sender_of_another_is_refused_in_the_documented_shape(
    api: httpx.AsyncClient, client: Client, live_ctx: Context, other_ctx: Context
) -> None:
    await senders.add_sender(SERVICES, other_ctx.workspace_id, "+442071838750")
    before = await state()
    for caller in (api, await client(live_ctx)):
        for sender in ("+442071838750", "MASSlVESMS"):
            response = await caller.post("/v1/workspace", json={"default_sender": sender, "help_text": "Mine"})
            assert await refused(response) == (422, "sender_not_allowed", "default_sender")
            assert response.json()["error"]["type"] == "compliance_error"
    assert await state() == before
