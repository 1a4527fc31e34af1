"""Approvals over GraphQL: a campaign is read while it waits for a second person, and once somebody has decided."""

from __future__ import annotations

import pytest

from msvs.api import ids
from msvs.api.context import Context
from msvs.models import Campaign
from msvs.models.campaigns import Approval
from tests.graphql_api.conftest import Caller

READ = """query ($id: ID!) { campaign(id: $id) {
  pauseReason approval { state recipientCount requestedBy requestedAt decidedBy decidedAt comment }
} }"""
ASKED_AT, DECIDED_AT = "2026-05-01T20:00:00Z", "2026-05-01T21:00:00Z"


@pytest.mark.parametrize(
    ("state", "decided_by", "decided_at"), [("required", None, None), ("rejected", "usr_2", DECIDED_AT)]
)
async def test_an_approval_is_read_before_and_after_its_decision(
    caller: Caller, ctx: Context, state: str, decided_by: str | None, decided_at: str | None
) -> None:
    approval = Approval(
        state=state,
        requested_by="usr_1",
        requested_at=ASKED_AT,
        decided_by=decided_by,
        decided_at=decided_at,
        comment=None,
        recipient_count=600,
    )
    campaign = await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name="Close",
        body="Hi",
        sender="MASSIVESMS",
        audience={"list_ids": []},
        status="paused",
        pause_reason="approval_required",
        approval=approval,
    )
    answer = await caller.run(READ, {"id": ids.encode_id(ids.CAMPAIGN, campaign.id)})
    assert answer["campaign"] == {
        "pauseReason": "approval_required",
        "approval": {
            "state": state,
            "recipientCount": 600,
            "requestedBy": "usr_1",
            "requestedAt": ASKED_AT,
            "decidedBy": decided_by,
            "decidedAt": decided_at,
            "comment": None,
        },
    }
