"""/v1/senders."""

from __future__ import annotations

import httpx

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.dispatch import senders
from tests import factories
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import get, refused
from tests.services import SERVICES


async def test_a_workspace_reads_its_senders(api: httpx.AsyncClient, ctx: Context) -> None:
    other = await factories.make_workspace(name="Another")
    await senders.add_sender(SERVICES, ctx.workspace_id, "+12125550100", regions=["US"], registration="C0HORT")
    await senders.add_sender(SERVICES, ctx.workspace_id, "COHORT")
    await senders.add_sender(SERVICES, other.id, "54321")
    listed = await get(api, "/v1/senders")
    assert (listed["object"], listed["url"], listed["has_more"]) == ("list", "/v1/senders", False)
    assert [(item["value"], item["kind"], item["regions"]) for item in listed["data"]] == [
        ("COHORT", "alphanumeric", []),
        ("+12125550100", "long_code", ["US"]),
    ]
    one = listed["data"][1]
    assert await get(api, f"/v1/senders/{one['id']}") == one
    assert one.keys() == {"id", "object", "value", "kind", "regions", "registration", "created_at"}


async def test_another_workspaces_sender_is_not_there(api: httpx.AsyncClient, ctx: Context) -> None:
    other = await factories.make_workspace(name="Another")
    row = await senders.add_sender(SERVICES, other.id, "54321")
    for id in (ids.encode_id(ids.SENDER, row.id), "snd_x", "msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP"):
        assert await refused(await api.get(f"/v1/senders/{id}")) == (404, "resource_missing", "id")


async def test_a_campaign_from_a_sender_of_another_is_refused_as_documented(
    client: Client, live_ctx: Context, other_ctx: Context, real_carrier: None
) -> None:
    """The client holds each answer against openapi.yaml."""
    await senders.add_sender(SERVICES, other_ctx.workspace_id, "ACMEBANK", registration="C0HORT")
    contact = await factories.make_contact(live_ctx)
    audience = {"contact_ids": [ids.encode_id(ids.CONTACT, contact.id)]}
    api = await client(live_ctx)
    for sender in ("ACMEBANK", "AcmeB4nk", "ACME-BANK"):
        body = {"name": "June", "body": "Doors open", "from": sender, "audience": audience}
        answer = await api.post("/v1/campaigns", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "sender_not_allowed")
