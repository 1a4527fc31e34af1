"""Errors: typed where a caller can act on them, masked where the fault is ours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.credits import credits
from msvs.api.limits import RATES, Bucket, Rate
from msvs.api.messages import messages
from msvs.models import Contact, CreditBalance, Message, OptInStatus
from tests import factories
from tests.graphql_api.conftest import Caller, Callers
from tests.services import SERVICES

SEND = """
mutation ($input: SendMessageInput!, $key: String) {
  sendMessage(input: $input, idempotencyKey: $key) {
    __typename
    ... on Message { id body status }
    ... on Error { code message param }
    ... on PaymentRequiredError { required available }
    ... on IdempotencyError { retryAfter }
  }
}
"""

# What is sent, and the member of the union and the code and parameter that answer it.
REFUSED: dict[str, tuple[dict[str, Any], str, str, str | None]] = {
    "phone": ({"to": "+1abc", "body": "Hi"}, "InvalidRequestError", "phone_number_invalid", "to"),
    "blank": ({"to": "+14155550123", "body": " "}, "InvalidRequestError", "body_empty", "body"),
    "variable": ({"to": "+14155550123", "body": "{x}"}, "InvalidRequestError", "variable_missing", "variables.x"),
    "late": (
        {"to": "+14155550123", "body": "Hi", "scheduledAt": "2020-01-01T00:00:00Z"},
        "InvalidRequestError",
        "scheduled_at_past",
        "scheduledAt",
    ),
    "metadata": (
        {"to": "+14155550123", "body": "Hi", "metadata": {"a": {"b": 1}}},
        "InvalidRequestError",
        "parameter_invalid",
        "metadata.a",
    ),
    "variables": (
        {"to": "+14155550123", "body": "Hi", "variables": {"x": {"y": 1}}},
        "InvalidRequestError",
        "parameter_invalid",
        "variables.x",
    ),
    "region": ({"to": "+14155550113", "body": "Hi"}, "ComplianceError", "region_blocked", "to"),
    "credits": ({"to": "+14155550114", "body": "Hi"}, "PaymentRequiredError", "insufficient_credits", None),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refused_message(name: str, caller: Caller) -> None:
    given, kind, code, param = REFUSED[name]
    answer = (await caller.run(SEND, {"input": given}))["sendMessage"]
    assert (answer["__typename"], answer["code"], answer["param"]) == (kind, code, param)
    assert await Message.all().count() == 0


async def test_a_shortage_says_how_much(callers: Callers, live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SERVICES.carriers, "live", "virtual")
    await CreditBalance.filter(workspace_id=live_ctx.workspace_id).update(balance=1)
    caller = await callers(live_ctx)
    answer = (await caller.run(SEND, {"input": {"to": "+14155550123", "body": "x" * 161}}))["sendMessage"]
    assert (answer["__typename"], answer["required"], answer["available"]) == ("PaymentRequiredError", 2, 1)
    assert await credits.available(live_ctx.workspace_id) == 1


async def test_a_conflict_names_what_is_there(caller: Caller, ctx: Context) -> None:
    contact = await factories.make_contact(ctx, "+12125550101")
    answer = await caller.run(
        "mutation ($p: String!) {"
        " createContact(input: {phone: $p}) { ... on ConflictError { code existingId param } } }",
        {"p": contact.phone},
    )
    assert answer["createContact"] == {
        "code": "contact_exists",
        "existingId": ids.encode_id(ids.CONTACT, contact.id),
        "param": "phone",
    }


async def test_a_revoked_opt_in_says_since_when(caller: Caller, ctx: Context) -> None:
    at = datetime(2026, 5, 1, 20, 0, tzinfo=UTC)
    contact = await factories.make_contact(ctx, "+12125550101", status=OptInStatus.OPTED_OUT, opt_in_at=at)
    id = ids.encode_id(ids.CONTACT, contact.id)
    update = (
        "mutation ($id: ID!, $optIn: OptInInput!) {"
        ' updateContact(id: $id, input: {firstName: "Ana", optIn: $optIn}) {'
        " __typename ... on Contact { optIn { status } consentHistory { nodes { givenAt } } }"
        " ... on ConflictError { code param optedOutAt message } } }"
    )
    for evidence in ({"source": "checkout"}, {"source": "checkout", "renewed": True, "at": "2026-05-01T20:00:00Z"}):
        told = (await caller.run(update, {"id": id, "optIn": evidence}))["updateContact"]
        assert told.pop("message").startswith("This phone number opted out at 2026-05-01T20:00:00Z")
        assert told == {
            "__typename": "ConflictError",
            "code": "opt_in_revoked",
            "param": "optIn",
            "optedOutAt": "2026-05-01T20:00:00Z",
        }
    assert (await Contact.get()).first_name is None
    newer = {"source": "checkout", "renewed": True, "at": "2026-05-01T20:00:01Z"}
    back = (await caller.run(update, {"id": id, "optIn": newer}))["updateContact"]
    assert back["optIn"] == {"status": "OPTED_IN"}
    assert back["consentHistory"]["nodes"] == [{"givenAt": "2026-05-01T20:00:01Z"}]


async def test_update_refuses_null_where_it_means_nothing(caller: Caller, ctx: Context) -> None:
    contact = await factories.make_contact(ctx, first_name="Maria", status=OptInStatus.UNKNOWN)
    answer = await caller.run(
        "mutation ($id: ID!) { updateContact(id: $id, input: {phone: null}) { ... on Error { code param } } }",
        {"id": ids.encode_id(ids.CONTACT, contact.id)},
    )
    assert answer["updateContact"] == {"code": "parameter_invalid", "param": "phone"}


async def test_the_same_key_sends_once(caller: Caller) -> None:
    given = {"to": "+14155550123", "body": "Once"}
    first, again = [(await caller.run(SEND, {"input": given, "key": "k"}))["sendMessage"] for _ in range(2)]
    assert first == again
    assert await Message.all().count() == 1
    other = (await caller.run(SEND, {"input": {**given, "body": "Other"}, "key": "k"}))["sendMessage"]
    assert (other["__typename"], other["code"]) == ("IdempotencyError", "idempotency_key_reused")
    bad = (await caller.run(SEND, {"input": given, "key": "ü"}))["sendMessage"]
    assert (bad["__typename"], bad["code"]) == ("IdempotencyError", "idempotency_key_invalid")


async def test_the_same_key_is_refused_alike(caller: Caller) -> None:
    given = {"to": "+14155550114", "body": "No credits"}
    first, again = [(await caller.run(SEND, {"input": given, "key": "k"}))["sendMessage"] for _ in range(2)]
    assert first == again
    assert (first["__typename"], first["required"]) == ("PaymentRequiredError", 1)


async def test_one_key_raced_sends_once(caller: Caller) -> None:
    given = {"input": {"to": "+14155550123", "body": "Raced"}, "key": "raced"}
    answers = await asyncio.gather(*(caller.run(SEND, given) for _ in range(8)))
    kinds = {(each["sendMessage"]["__typename"], each["sendMessage"].get("code")) for each in answers}
    assert kinds <= {("Message", None), ("IdempotencyError", "idempotency_key_in_use")}
    assert await Message.all().count() == 1


async def test_each_mutation_is_a_transaction_of_its_own(caller: Caller) -> None:
    answer = await caller.run(
        """mutation {
          a: createList(name: "Kept") { __typename }
          b: createList(name: " ") { ... on Error { code } }
          c: createList(name: "Kept too") { __typename }
        }"""
    )
    assert [answer["a"]["__typename"], answer["b"]["code"], answer["c"]["__typename"]] == [
        "ContactList",
        "parameter_out_of_range",
        "ContactList",
    ]
    assert (await caller.run("{ contactLists { totalCount } }"))["contactLists"]["totalCount"] == 2


async def test_a_query_that_fails_says_where(caller: Caller) -> None:
    response = await caller.post("{ messages(first: 101) { nodes { id } } }")
    answer = response.json()
    assert (response.status_code, answer["data"]) == (200, None)
    (entry,) = answer["errors"]
    assert (entry["path"], entry["locations"]) == (["messages"], [{"line": 1, "column": 3}])
    assert entry["extensions"] == {
        "code": "parameter_out_of_range",
        "type": "invalid_request_error",
        "param": "first",
        "requestId": response.headers["x-request-id"],
    }


async def test_our_own_faults_are_masked(caller: Caller, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: Any, **more: Any) -> Any:
        raise ValueError("password=hunter2 +14155550123")

    monkeypatch.setattr(messages, "list_messages", fail)
    response = await caller.post("{ viewer { livemode } messages { nodes { id } } }")
    (entry,) = response.json()["errors"]
    assert entry["message"] == "Something went wrong on our side; it has been logged under this request's id."
    assert entry["extensions"]["code"] == "internal_error"
    assert entry["extensions"]["requestId"] == response.headers["x-request-id"]
    assert "hunter2" not in response.text


async def test_a_database_that_is_away_is_said_to_be(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: Any, **more: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(messages, "send_message", fail)
    answer = (await caller.post(SEND, {"input": {"to": "+14155550123", "body": "Hi"}})).json()
    assert answer["errors"][0]["extensions"]["code"] == "service_unavailable"


async def test_an_empty_bucket_is_429(caller: Caller, ctx: Context, app: Starlette) -> None:
    await app.state.limiter.take(ctx.workspace_id, cost=200)
    costly = "{ contacts(first: 100) { nodes { lists(first: 90) { nodes { id } } } } }"
    response = await caller.post(costly)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["errors"][0]["extensions"]["code"] == "rate_limit_exceeded"


async def test_campaigns_have_a_bucket_of_their_own(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[Bucket, Rate]", RATES), Bucket.CAMPAIGNS, Rate(1, 1))
    answer = await caller.run(
        """mutation {
          a: cancelCampaign(id: "cmp_1") { ...E }
          b: cancelCampaign(id: "cmp_1") { ...E }
        }
        fragment E on ChangeCampaignResult { ... on Error { code } ... on RateLimitError { retryAfter } }"""
    )
    assert answer == {"a": {"code": "resource_missing"}, "b": {"code": "rate_limit_exceeded", "retryAfter": 1}}


async def test_cost_is_reported(caller: Caller) -> None:
    response = await caller.post("{ contacts(first: 50) { nodes { id lists(first: 3) { nodes { id } } } } }")
    cost = response.json()["extensions"]["cost"]
    assert cost.pop("remaining") in (198, 199)
    assert cost == {"nodes": 200, "limit": 10_000, "tokens": 2}


@pytest.mark.parametrize(
    ("query", "nodes"),
    [
        ("{ viewer { livemode } }", 1),
        ("{ contacts { nodes { id } } }", 20),
        ("{ contacts { totalCount } }", 100),
        ("{ ...A } fragment A on Query { contacts { ...B } } fragment B on ContactConnection { totalCount }", 100),
        ("{ credits { ledger(first: 1) { totalCount } } }", 101),
        ('{ segmentPreview(filter: {field: "email", op: "exists", value: true}) }', 100),
        ("{ conversationOverview { replyCount } }", 101),
        ("{ contacts(first: 2) { totalCount nodes { lists(first: 1) { totalCount } } } }", 122),
        ("{ contactLists(first: 2) { nodes { members(first: 1) { totalCount } } } }", 102),
        ('{ activity(interval: HOUR, since: "2026-05-01T00:00:00Z", until: "2026-05-02T00:00:00Z") { credits } }', 326),
        (
            '{ activity(interval: DAY, since: "2026-05-01T00:00:00+02:00", until: "2026-05-31T00:00:00Z")'
            " { messages { count } } }",
            364,
        ),
        ("{ contacts(first: 7) { edges { cursor node { id } } pageInfo { endCursor } } }", 7),
        (
            "{ ...A } fragment A on Query { contacts(first: 5) { ...B } }"
            " fragment B on ContactConnection { nodes { id } }",
            5,
        ),
        ("{ segments(first: 2) { nodes { contactCount } } }", 102),
        ("{ contactLists(first: 2) { nodes { contactCount } } }", 2),
        ('{ nodes(ids: ["con_1", "con_2"]) { id } }', 2),
        ('mutation { createList(name: "A") { __typename } }', 91),
        ("{ __typename }", 1),
    ],
)
async def test_cost(query: str, nodes: int, caller: Caller) -> None:
    assert (await caller.post(query)).json()["extensions"]["cost"]["nodes"] == nodes


async def test_nothing_crosses_a_workspace_or_mode(
    caller: Caller, callers: Callers, ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    contact = await factories.make_contact(ctx, "+12125550101")
    contact_list = await factories.make_list(ctx, [contact])
    found = {"c": ids.encode_id(ids.CONTACT, contact.id), "l": ids.encode_id(ids.CONTACT_LIST, contact_list.id)}
    query = "query ($c: ID!, $l: ID!) { contact(id: $c) { id } contactList(id: $l) { id } nodes(ids: [$c, $l]) { id } }"
    delete = "mutation ($c: ID!) { deleteContact(id: $c) { ... on Error { code } } }"
    for stranger in (await callers(live_ctx), await callers(other_ctx)):
        assert await stranger.run(query, found) == {"contact": None, "contactList": None, "nodes": [None, None]}
        assert await stranger.run(delete, {"c": found["c"]}) == {"deleteContact": {"code": "resource_missing"}}
    assert await caller.run(query, found) == {
        "contact": {"id": found["c"]},
        "contactList": {"id": found["l"]},
        "nodes": [{"id": found["c"]}, {"id": found["l"]}],
    }


async def test_the_sandbox_alone_makes_up_replies(callers: Callers, live_ctx: Context) -> None:
    caller = await callers(live_ctx)
    answer = await caller.run(
        'mutation { simulateReply(input: {from: "+12125550101", body: "Hi"}) { __typename ... on Error { code } } }'
    )
    assert answer["simulateReply"] == {"__typename": "PermissionError", "code": "sandbox_only"}


async def test_a_revoked_key_is_refused(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.post(
        "/graphql", json={"query": "{ viewer { livemode } }"}, headers={"Authorization": "Bearer msvs_test_nonsense"}
    )
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (401, "api_key_malformed")


async def test_times_are_utc_to_the_second(caller: Caller) -> None:
    at = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    given = {"to": "+14155550123", "body": "Later", "scheduledAt": at.astimezone().isoformat()}
    answer = await caller.run(SEND.replace("body status", "scheduledAt"), {"input": given})
    assert answer["sendMessage"]["scheduledAt"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
