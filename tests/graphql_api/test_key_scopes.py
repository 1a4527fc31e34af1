"""A key's scopes in GraphQL, and the ways around them: nodes, paths through other types, fragments, subscriptions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from msvs.api import ids
from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.messages import export_jobs
from msvs.api.messages.export_requests import CreateExport
from msvs.api.permissions import SCOPES, Permission, Scope
from msvs.api.unit_of_work import unit_of_work
from msvs.graphql.documents import Document, Documents
from msvs.graphql.nodes import READS, _kinds
from msvs.graphql.permissions import FOR_PEOPLE, MUTATIONS
from msvs.graphql.schema import schema
from msvs.graphql.scopes import FIELDS, TYPES
from msvs.models import ExportKind, Message
from tests import factories
from tests.api.messages.test_statistics import make_campaign
from tests.apps import BASE_URL
from tests.graphql_api.conftest import Caller
from tests.services import SERVICES

Scoped = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def scoped_to(app: Starlette, clean: None) -> AsyncIterator[Scoped]:
    """`await scoped_to(ctx, *scopes)`: a client with a new key of these scopes."""
    async with AsyncExitStack() as stack:

        async def make(ctx: Context, *scopes: str) -> Caller:
            _, key = await create_key(ctx.workspace_id, livemode=ctx.livemode, scopes=scopes)
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url=BASE_URL, headers={"Authorization": f"Bearer {key}"}
            )
            return Caller(await stack.enter_async_context(client))

        yield make
        await auth.settle(SERVICES)


def document(text: str) -> Document:
    return Documents(schema._schema, introspection=False).read(text)


def test_every_field_and_type_declares_its_permission_once() -> None:
    built = schema._schema
    assert built.query_type is not None
    assert built.subscription_type is not None
    assert built.mutation_type is not None
    assert set(FIELDS) == set(built.query_type.fields) | set(built.subscription_type.fields)
    assert set(MUTATIONS) | FOR_PEOPLE == set(built.mutation_type.fields)
    nodes = {each.name for each in built.get_implementations(built.type_map["Node"]).objects}  # type: ignore[arg-type]
    assert nodes <= set(TYPES)
    assert set(TYPES) <= set(built.type_map)
    assert set(READS) == set(_kinds)


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("{ messages { nodes { id } } }", "messages:read"),
        ("{ messages { totalCount } }", "messages:read"),
        ("{ contacts { nodes { id } } }", "contacts:read"),
        ("{ a: contacts(first: 1) { totalCount } b: contacts(first: 1) { totalCount } }", "contacts:read"),
        ("{ messages { nodes { contact { phone } } } }", "contacts:read"),
        ("{ contacts { nodes { messages { nodes { body } } } } }", "messages:read"),
        ("{ campaigns { nodes { audience { lists { name } } } } }", "contacts:read"),
        ("{ inboxThreads { nodes { contact { phone } } } }", "contacts:read"),
        ("query A { ...F } fragment F on Query { ...G } fragment G on Query { credits { balance } }", "credits:read"),
        ('{ node(id: "con_00000000000000000000000000") { ... on Contact { phone } } }', "contacts:read"),
        ("{ nodes(ids: []) { ... on Node { ... on Webhook { url } } } }", "webhooks:read"),
        ("{ events { nodes { id } } }", "events:read"),
        ("{ viewer { workspace { name } } }", "settings:read"),
        ("{ workspace { name } }", "settings:read"),
        ("{ apiKeys { prefix } }", "keys:read"),
        ('{ messagePreview(input: {to: "+12125550111", body: "Hi"}) { body } }', "messages:send"),
    ],
)
async def test_what_a_key_may_not_read_is_refused_before_it_is_run(
    scoped_to: Scoped, ctx: Context, text: str, scope: str
) -> None:
    caller = await scoped_to(ctx, *(each for each in Scope if each != scope))
    response = await caller.post(text)
    assert response.status_code == 403, response.text
    (error,) = response.json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["scope"]) == ("scope_missing", scope)
    assert "data" not in response.json()
    assert (await (await scoped_to(ctx, *Scope)).post(text)).status_code == 200


async def test_a_node_is_neither_shown_nor_said_to_be_there(scoped_to: Scoped, ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    caller = await scoped_to(ctx, *(each for each in Scope if each != "contacts:read"))
    for id in (ids.encode_id(ids.CONTACT, contact.id), ids.encode_id(ids.CONTACT, ids.new_id())):
        for text, name in (
            ("query($id: ID!) { node(id: $id) { id } }", "node"),
            ("query($id: ID!) { nodes(ids: [$id]) { __typename } }", "nodes"),
        ):
            answer = (await caller.post(text, {"id": id})).json()
            assert answer["data"] in (None, {name: None})
            assert answer["errors"][0]["extensions"]["scope"] == "contacts:read"


@pytest.mark.parametrize("kind", ExportKind)
async def test_an_export_takes_the_scopes_of_all_that_its_file_holds(
    scoped_to: Scoped, ctx: Context, kind: ExportKind
) -> None:
    campaign = await make_campaign(ctx) if kind is ExportKind.CAMPAIGN_RESULTS else None
    campaign_id = None if campaign is None else ids.encode_id(ids.CAMPAIGN, campaign.id)
    async with unit_of_work():
        row = await export_jobs.create_export(ctx, CreateExport(kind=kind, campaign_id=campaign_id))
    id = ids.encode_id(ids.EXPORT, row.id)
    texts = [
        ("query($id: ID!) { export(id: $id) { conditions downloadUrl } }", "export"),
        ("query($id: ID!) { node(id: $id) { ... on Export { conditions } } }", "node"),
        ("query($id: ID!) { nodes(ids: [$id]) { __typename } }", "nodes"),
    ]
    asked = [Permission.EXPORTS_READ, *export_jobs.PERMISSIONS[kind]]
    for permission in asked:
        caller = await scoped_to(ctx, *(each for each in Scope if each != SCOPES[permission]))
        for text, name in texts:
            answer = (await caller.post(text, {"id": id})).json()
            assert answer.get("data") in (None, {name: None})
            assert answer["errors"][0]["extensions"]["scope"] == SCOPES[permission]
    caller = await scoped_to(ctx, *(SCOPES[each] for each in asked))
    for text, name in texts:
        assert (await caller.run(text, {"id": id}))[name]


SEND = """
mutation($body: String!) { sendMessage(input: {to: "+12125550111", body: $body}) {
    __typename ... on Message { id %s } ... on PermissionError { code } } }
"""


async def test_a_mutation_shows_what_it_made_and_nothing_beyond(scoped_to: Scoped, ctx: Context) -> None:
    sender = await scoped_to(ctx, "messages:send")
    found = (await sender.run(SEND % "status body", {"body": "Hi"}))["sendMessage"]
    assert found["body"] == "Hi"
    refused = await sender.post(SEND % "contact { phone }", {"body": "Hi"})
    assert refused.status_code == 403
    assert refused.json()["errors"][0]["extensions"]["scope"] == "contacts:read"
    assert await Message.all().count() == 1
    reader = await scoped_to(ctx, "messages:read", "contacts:read")
    assert (await reader.run(SEND % "status", {"body": "Hi"}))["sendMessage"]["code"] == "scope_missing"
    assert await Message.all().count() == 1


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("subscription { eventTail { id } }", "events:read"),
        ("subscription { newReplies { body } }", "messages:read"),
        ('subscription { campaignProgress(id: "cmp_00000000000000000000000000") { name } }', "campaigns:read"),
        ("subscription { newReplies { contact { phone } } }", "contacts:read"),
    ],
)
async def test_a_stream_takes_the_scopes_of_what_it_shows(
    scoped_to: Scoped, ctx: Context, text: str, scope: str
) -> None:
    caller = await scoped_to(ctx, *(each for each in Scope if each != scope))
    response = await caller.http.post("/graphql/stream", json={"query": text})
    assert response.status_code == 403
    (error,) = response.json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["scope"]) == ("scope_missing", scope)


def test_every_scope_is_asked_for_by_something() -> None:
    asked: set[Any] = {SCOPES.get(each) for each in (*FIELDS.values(), *MUTATIONS.values()) if each is not None}
    assert set(Scope) - asked == set()
