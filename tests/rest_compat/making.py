"""One of each resource, made through the API, and the workers' turns between requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from msvs import database as db
from msvs.api import ids
from msvs.api.credits.gateway import PURCHASE
from msvs.api.dispatch import senders
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import ContactList, Purchase
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import complete_campaigns
from msvs.workers.reports import collect_reports
from tests.services import SERVICES

CARRIERS = {"virtual": VirtualCarrier()}
WEBHOOK_URL = "https://api.cohortlabs.co/webhooks/sms"
EVERY = {"all": [{"field": "phone", "op": "exists"}]}

# The nouns of `make_everything`, by the first part of a path.
NOUNS = {
    "messages": "message",
    "campaigns": "campaign",
    "sequences": "sequence",
    "conversions": "conversion",
    "order_hooks": "order_hook",
    "contacts": "contact",
    "lists": "list",
    "segments": "segment",
    "webhooks": "webhook",
    "events": "event",
    "inbound": "inbound",
    "senders": "sender",
    "keywords": "keyword",
    "snippets": "snippet",
    "templates": "template",
    "suppressions": "suppression",
    "api_keys": "api_key",
    "imports": "import",
    "exports": "export",
    "bulk_actions": "bulk_action",
    "tags": "tag",
    "credits": "checkout",
}


def in_future(**ahead: float) -> str:
    """A time on the wire, so far from now."""
    return (datetime.now(UTC) + timedelta(**ahead)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def post(client: httpx.AsyncClient, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
    """POST a body (`from_` for `from`) and return the answer, which must have this status."""
    response = await client.post(path, json={name.rstrip("_"): value for name, value in body.items()})
    assert response.status_code == status, response.text
    return response.json()  # type: ignore[no-any-return]


async def get(client: httpx.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    """GET what must be there."""
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    return response.json()  # type: ignore[no-any-return]


async def refused(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and param of a refusal."""
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("param")


async def make_checkout(workspace_id: UUID) -> str:
    """A purchase that somebody set out to make; its id."""
    row = await Purchase.create(
        workspace_id=workspace_id,
        actor="test",
        pack="starter",
        label="Starter",
        credits=1000,
        amount=1900,
        currency="usd",
        takes_money=True,
        created_at=datetime.now(UTC),
    )
    return ids.encode_id(PURCHASE, row.id)


async def make_everything(client: httpx.AsyncClient, to: str = "+12125550111") -> dict[str, str]:
    """One of each resource of the client's workspace and mode; their ids by noun. The client must be a sandbox's."""
    message = await post(client, "/v1/messages", to=to, body="Doors open", scheduled_at=in_future(days=1))
    contact = message["contact_id"]
    contact_list = (await post(client, "/v1/lists", name="Cohort 06"))["id"]
    await post(client, f"/v1/lists/{contact_list}/contacts", 200, contact_ids=[contact])
    snippet = await post(client, "/v1/snippets", name="signature", body="Ana")
    template = await post(client, "/v1/templates", name="Close", body="Hi. {snippet.signature}")
    keyword = await post(client, "/v1/keywords", word="COHORT5", list_id=contact_list)
    segment = await post(client, "/v1/segments", name="Everybody", filter=EVERY)
    campaign = await post(
        client,
        "/v1/campaigns",
        name="Close",
        body="Hi",
        audience={"list_ids": [contact_list]},
        scheduled_at=in_future(days=1),
        ab_test={"variants": [{}, {"body": "Hey"}]},
    )
    draft = await post(
        client, "/v1/campaigns", name="Open", body="Hi", audience={"list_ids": [contact_list]}, draft=True
    )
    sequence = await post(client, "/v1/sequences", name="Challenge", steps=[{"key": "a", "body": "Hi"}])
    await post(client, f"/v1/sequences/{sequence['id']}/publish", 200)
    enrollment = await post(client, f"/v1/sequences/{sequence['id']}/enrollments", contact_id=contact)
    order = {"order_id": "order-7", "value": 14900, "currency": "USD"}
    conversion = await post(client, "/v1/conversions", contact_id=contact, **order)
    order_hook = await post(client, "/v1/order_hooks", type="stripe")
    webhook = await post(client, "/v1/webhooks", url=WEBHOOK_URL, events=["*"])
    event = await post(client, f"/v1/webhooks/{webhook['id']}/test", 200)
    inbound = await post(client, "/v1/test/inbound", from_=to, body="Thanks")
    suppression = await post(client, "/v1/suppressions", phone="+12125550199", source="complaint")
    consent = await get(client, "/v1/consent", phone="+12125550199")
    import_ = await post(client, "/v1/imports", file_name="people.csv")
    export = await post(client, "/v1/exports", kind="contacts")
    await post(client, f"/v1/contacts/{contact}/tags", 200, add=["vip"])
    bulk_action = await post(client, "/v1/bulk_actions", action="tag", tags=["vip"], contact_ids=[contact])
    workspace_id = ids.decode_id(ids.WORKSPACE, (await get(client, "/v1/workspace"))["id"])
    assert workspace_id is not None
    sender = await senders.add_sender(SERVICES, workspace_id, "+12125550100", is_shared=True)
    return {
        "api_key": (await get(client, "/v1/api_keys"))["data"][0]["id"],
        "sender": ids.encode_id(ids.SENDER, sender.id),
        "suppression": suppression["id"],
        "consent": consent["data"][0]["id"],
        "message": message["id"],
        "contact": contact,
        "other_contact": (await post(client, "/v1/contacts", phone="+12125550198"))["id"],
        "list": contact_list,
        "keyword": keyword["id"],
        "snippet": snippet["id"],
        "template": template["id"],
        "segment": segment["id"],
        "campaign": campaign["id"],
        "sequence": sequence["id"],
        "enrollment": enrollment["id"],
        "conversion": conversion["id"],
        "order_hook": order_hook["id"],
        "draft_sequence": (await post(client, "/v1/sequences", name="Spare"))["id"],
        "draft": draft["id"],
        "webhook": webhook["id"],
        "event": event["id"],
        "inbound": inbound["id"],
        "import": import_["id"],
        "export": export["id"],
        "bulk_action": bulk_action["id"],
        "tag": (await get(client, "/v1/tags"))["data"][0]["id"],
        "checkout": await make_checkout(workspace_id),
    }


# Operations that only a draft admits.
ON_DRAFTS = {"launchCampaign": "draft", "deleteCampaign": "draft", "deleteSequence": "draft_sequence"}


def path_of(template: str, known: Mapping[str, str], operation_id: str = "") -> str:
    """The path with the ids of known resources."""
    noun = ON_DRAFTS.get(operation_id) or NOUNS.get(template.split("/")[2], "")
    path = template.replace("{id}", known.get(noun, "")).replace("{contact_id}", known.get("contact", ""))
    return path.replace("{enrollment_id}", known.get("enrollment", ""))


async def hurry() -> None:
    """Let everything that waits for a moment be due now."""
    await db.execute("UPDATE virtual_signals SET due_at = now() - interval '1 second'")
    await db.execute("UPDATE messages SET due_at = now() - interval '1 second' WHERE status IN ('queued', 'scheduled')")


async def work(rounds: int = 3) -> None:
    """Let the workers do all there is to do, whenever it is due."""
    for _ in range(rounds):
        await expand_campaigns(SERVICES)
        await dispatch_messages(SERVICES, CARRIERS)
        await hurry()
        await collect_reports(SERVICES)
    await complete_campaigns()


async def make_synced(list_id: str) -> None:
    """Have a list be kept in step with another service."""

    async with unit_of_work():
        await ContactList.filter(id=ids.decode_id(ids.CONTACT_LIST, list_id)).update(kind="synced")
