"""Explanations and reconciliations over HTTP."""

from __future__ import annotations

import httpx

from msvs.api.context import Context
from msvs.api.ids import CAMPAIGN, encode_id
from tests import factories
from tests.rest_compat.conftest import Client
from tests.workers.test_campaigns import create, run_through


async def test_a_message_is_explained(api: httpx.AsyncClient) -> None:
    sent = await api.post("/v1/messages", json={"to": "+12125550100", "body": "Hi"})
    answer = await api.get(f"/v1/messages/{sent.json()['id']}/explain")
    assert answer.status_code == 200
    found = answer.json()
    created_at = sent.json()["created_at"]
    assert found["message"] == sent.json()
    assert found.pop("message") is not None
    assert found.pop("states")[0].items() >= {"status": "queued", "at": created_at}.items()
    consent = found.pop("consent")
    assert (consent["current_status"], consent["record"]) == ("unknown", None)
    assert found == {
        "id": sent.json()["id"],
        "object": "message_explanation",
        "livemode": False,
        "kind": "api",
        "suppression": {"suppressed": False, "source": None, "since": None},
        "quiet_hours": None,
        "encoding": {"encoding": "gsm7", "units": 2, "segments": 1, "parts": ["Hi"], "forced_by": []},
        "price": {"region": "US", "credits_per_segment": 1, "segments": 1, "credits": 1},
        "sender": {"sender": "MASSIVESMS", "source": "workspace_default"},
        "attempts": [],
        "ledger": [],
        "carrier": None,
        "replies": [],
    }


async def test_a_campaign_is_reconciled(api: httpx.AsyncClient, ctx: Context) -> None:
    campaign_id = await create(ctx, [await factories.make_contact(ctx) for _ in range(2)])
    await run_through()
    answer = await api.get(f"/v1/campaigns/{encode_id(CAMPAIGN, campaign_id)}/reconciliation")
    assert answer.status_code == 200
    found = answer.json()
    checks = {check.pop("check"): check for check in found.pop("checks")}
    assert found.pop("as_of").endswith("Z")
    assert found == {
        "id": encode_id(CAMPAIGN, campaign_id),
        "object": "reconciliation",
        "livemode": False,
        "status": "completed",
        "recipients": 2,
        "not_expanded": 0,
        "states": {
            "queued": 0,
            "sending": 0,
            "sent": 0,
            "delivered": 2,
            "failed": 0,
            "replied": 0,
            "canceled": 0,
            "skipped": 0,
        },
        "credits_used": 2,
        "balanced": True,
    }
    assert checks["carrier.accepted"] == {"expected": 2, "found": 2, "differences": 0, "ok": True}


async def test_neither_crosses_modes(client: Client, ctx: Context, live_ctx: Context, api: httpx.AsyncClient) -> None:
    live = await client(live_ctx)
    sent = await api.post("/v1/messages", json={"to": "+12125550100", "body": "Hi"})
    campaign_id = encode_id(CAMPAIGN, await create(ctx, []))
    for path in (f"/v1/messages/{sent.json()['id']}/explain", f"/v1/campaigns/{campaign_id}/reconciliation"):
        assert (await api.get(path)).status_code == 200
        answer = await live.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")
