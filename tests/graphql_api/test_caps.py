"""Regions that are off and caps over GraphQL: the settings, the refusals and the preview's warning."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.context import Context
from msvs.models import Workspace
from tests import factories
from tests.graphql_api.conftest import Caller, Callers

SETTINGS = "enabledRegions dailyCreditCap prefixHourlyCap"
UPDATE = (
    "mutation ($input: UpdateWorkspaceInput!) { updateWorkspace(input: $input) { __typename"
    f" ... on Workspace {{ {SETTINGS} }} ... on InvalidRequestError {{ code param }} }} }}"
)
SEND = (
    'mutation ($to: String!) { sendMessage(input: {to: $to, body: "Doors open"}) { __typename'
    " ... on ComplianceError { code param resetsAt } } }"
)
PREVIEW = "query ($input: PreviewCampaignInput!) { campaignPreview(input: $input) { warnings { code message } } }"


async def test_the_settings_are_changed_and_caps_cleared(caller: Caller) -> None:
    given = {"enabledRegions": ["NG"], "dailyCreditCap": 40, "prefixHourlyCap": 2}
    answer = await caller.run(UPDATE, {"input": given})
    assert answer["updateWorkspace"] == {"__typename": "Workspace", **given}
    answer = await caller.run(UPDATE, {"input": {"dailyCreditCap": None, "prefixHourlyCap": None}})
    assert answer["updateWorkspace"] == {
        "__typename": "Workspace",
        "enabledRegions": ["NG"],
        "dailyCreditCap": None,
        "prefixHourlyCap": None,
    }
    answer = await caller.run(UPDATE, {"input": {"enabledRegions": None}})
    assert answer["updateWorkspace"] == {
        "__typename": "InvalidRequestError",
        "code": "parameter_invalid",
        "param": "enabledRegions",
    }
    answer = await caller.run(UPDATE, {"input": {"prefixHourlyCap": 0}})
    assert answer["updateWorkspace"]["param"] == "prefixHourlyCap"


async def test_refusals_say_why_and_until_when(caller: Caller, ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(prefix_hourly_cap=1)
    off = await caller.run(SEND, {"to": "+2348021234567"})
    assert off["sendMessage"] == {
        "__typename": "ComplianceError",
        "code": "region_not_enabled",
        "param": "to",
        "resetsAt": None,
    }
    assert (await caller.run(SEND, {"to": "+12125550111"}))["sendMessage"]["__typename"] == "Message"
    fast = (await caller.run(SEND, {"to": "+12125550112"}))["sendMessage"]
    assert (fast["code"], fast["resetsAt"][13:19]) == ("prefix_velocity_exceeded", ":00:00")


async def test_a_preview_warns_of_the_daily_cap(callers: Callers, live_ctx: Context) -> None:
    await Workspace.filter(id=live_ctx.workspace_id).update(daily_credit_cap=1)
    row = await factories.make_list(live_ctx, [await factories.make_contact(live_ctx) for _ in range(2)])
    caller = await callers(live_ctx)
    given = {
        "body": "Doors open. Reply STOP to opt out.",
        "audience": {"listIds": [ids.encode_id(ids.CONTACT_LIST, row.id)]},
    }
    (warning,) = (await caller.run(PREVIEW, {"input": given}))["campaignPreview"]["warnings"]
    assert warning["code"] == "daily_cap_reached"
    assert "2 credits" in warning["message"]
