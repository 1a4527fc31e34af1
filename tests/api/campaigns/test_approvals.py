"""Approval by a second person: what waits, who decides, and that nothing unapproved is ever sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from msvs.api import ids
from msvs.api.accounts import workspaces
from msvs.api.accounts.keys import create_key
from msvs.api.accounts.workspaces import UpdateWorkspace
from msvs.api.campaigns import approvals, campaigns, sequences
from msvs.api.campaigns.approvals import DecideApproval
from msvs.api.campaigns.lifecycle import due_campaigns, start_campaign
from msvs.api.campaigns.preflights import preflight_campaign
from msvs.api.campaigns.previews import preview_campaign
from msvs.api.campaigns.requests import CreateCampaign, PreviewCampaign, UpdateCampaign
from msvs.api.campaigns.sequence_requests import CreateSequence, SequenceStep
from msvs.api.context import Context
from msvs.api.errors import ApiError, Conflict, PermissionDenied
from msvs.api.resources import campaign_version
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import fetch_value
from msvs.models import (
    AuditEntry,
    Campaign,
    ContactList,
    Event,
    ListMember,
    Mail,
    Membership,
    Message,
    Notification,
    Role,
    Workspace,
)
from msvs.workers.campaigns import expand_campaigns
from tests.api.accounts.test_notifications import join
from tests.factories import make_contact, make_list
from tests.services import SERVICES

pytestmark = pytest.mark.usefixtures("virtual_live")
THRESHOLD = 2


class Team:
    """A workspace that asks for approval above two recipients, its people, and a list of three."""

    def __init__(self, owner: Context, admin: Context, member: Context, listed: ContactList) -> None:
        self.owner, self.admin, self.member, self.listed = owner, admin, member, listed

    async def launch(self, ctx: Context | None = None, **values: Any) -> Campaign:
        """A campaign to the list, launched by the member unless told otherwise."""
        data = CreateCampaign(**{"name": "Close", "body": "Hi", "list_ids": [self.listed.id], **values})
        return await act(campaigns.create_campaign(ctx or self.member, data))


async def act(coroutine: Any) -> Any:
    """Do something in a unit of work."""

    async def run() -> Any:
        return await coroutine

    return await in_unit_of_work(run)


@pytest.fixture
async def team(workspace: Workspace) -> Team:
    """The team, in live."""
    owner, admin = await join(workspace, Role.OWNER), await join(workspace, Role.ADMIN)
    member = await join(workspace, Role.MEMBER)
    await act(workspaces.update_workspace(owner, UpdateWorkspace(approval_threshold=THRESHOLD)))
    contacts = [await make_contact(owner) for _ in range(3)]
    return Team(owner, admin, member, await make_list(owner, contacts))


async def decide(ctx: Context, campaign: Campaign, *, approve: bool = True, comment: str | None = None) -> Campaign:
    data = DecideApproval(version=campaign_version(campaign), comment=comment)
    operation = approvals.approve_campaign if approve else approvals.reject_campaign
    return await act(operation(ctx, campaign.id, data))  # type: ignore[no-any-return]


async def run() -> int:
    """Let the workers do all there is; return the messages made."""
    return await expand_campaigns(SERVICES)


async def state_of(id: UUID) -> tuple[str, str | None, str | None]:
    row = await Campaign.get(id=id)
    return str(row.status), row.pause_reason, None if row.approval is None else row.approval["state"]


async def types_of(id: UUID) -> list[str]:
    return [row.type for row in await Event.filter(resource_id=id).order_by("id")]


async def code_of(coroutine: Any) -> str:
    with pytest.raises(ApiError) as caught:
        await act(coroutine)
    return caught.value.code


async def test_a_large_campaign_waits_and_goes_once_it_is_approved(team: Team) -> None:
    campaign = await team.launch()
    assert await state_of(campaign.id) == ("paused", "approval_required", "required")
    assert campaign.approval is not None
    assert (campaign.approval["recipient_count"], campaign.approval["requested_by"]) == (3, team.member.actor)
    assert (await run(), await Message.all().count()) == (0, 0)
    done = await decide(team.admin, campaign, comment="Good")
    assert done.approval is not None
    assert (done.approval["decided_by"], done.approval["comment"]) == (team.admin.actor, "Good")
    assert await state_of(campaign.id) == ("preparing", None, "approved")
    assert (await run(), await Message.all().count()) == (3, 3)
    assert await types_of(campaign.id) == [
        "campaign.approval_requested",
        "campaign.approved",
        "campaign.started",
        "campaign.dispatched",
    ]
    (entry,) = await AuditEntry.filter(action="campaign.approved")
    assert (entry.actor, entry.changes["recipient_count"]) == (team.admin.actor, [None, 3])


async def test_a_preview_says_that_a_campaign_would_wait(team: Team) -> None:
    three = PreviewCampaign("Hi", list_ids=[team.listed.id])
    assert (await preview_campaign(team.member, three)).approval_required
    assert (await act(preflight_campaign(team.member, three))).approval_required
    two = [row.contact_id for row in await ListMember.filter(list_id=team.listed.id).order_by("contact_id").limit(2)]
    assert not (await preview_campaign(team.member, PreviewCampaign("Hi", contact_ids=two))).approval_required


async def test_those_who_may_approve_are_told_and_then_who_asked(team: Team) -> None:
    campaign = await team.launch(team.admin)
    asked = await Notification.filter(kind="approval_requested")
    assert [ids.encode_id(ids.USER, row.user_id) for row in asked] == [team.owner.actor]
    assert asked[0].data == {"name": "Close", "count": 3}
    assert await Mail.all().count() == 1
    await decide(team.owner, campaign, approve=False, comment="Wrong list")
    (told,) = await Notification.filter(kind="approval_decided")
    assert ids.encode_id(ids.USER, told.user_id) == team.admin.actor
    assert told.data == {"name": "Close", "reason": "rejected"}


async def test_few_recipients_no_threshold_and_the_sandbox_need_none(team: Team, ctx: Context) -> None:
    three = [(await make_contact(ctx)).id for _ in range(3)]
    test = await act(campaigns.create_campaign(ctx, CreateCampaign(name="Test", body="Hi", contact_ids=three)))
    assert await state_of(test.id) == ("preparing", None, None)
    two = [(await make_contact(team.owner)).id for _ in range(2)]
    small = await team.launch(list_ids=(), contact_ids=two)
    assert await state_of(small.id) == ("preparing", None, None)
    await act(workspaces.update_workspace(team.owner, UpdateWorkspace(approval_threshold=None)))
    assert await state_of((await team.launch()).id) == ("preparing", None, None)


async def test_who_may_not_decide(team: Team, workspace: Workspace) -> None:
    campaign = await team.launch(team.admin)
    data = DecideApproval(version=campaign_version(campaign))
    assert await code_of(approvals.approve_campaign(team.admin, campaign.id, data)) == "approval_own"
    assert await code_of(approvals.approve_campaign(team.member, campaign.id, data)) == "permission_denied"
    for key in (Context(workspace.id, True, f"key_{'0' * 26}", services=SERVICES), replace(team.owner, actor="system")):
        assert await code_of(approvals.approve_campaign(key, campaign.id, data)) == "permission_denied"
    # Who was an owner when the page was opened, and is none now.
    user_id = ids.decode_id(ids.USER, team.owner.actor)
    await Membership.filter(user_id=user_id).update(role=Role.MEMBER)
    assert await code_of(approvals.approve_campaign(team.owner, campaign.id, data)) == "permission_denied"
    await Membership.filter(user_id=user_id).delete()
    assert await code_of(approvals.approve_campaign(team.owner, campaign.id, data)) == "permission_denied"
    assert await state_of(campaign.id) == ("paused", "approval_required", "required")


async def test_nobody_approves_what_their_own_key_launched(team: Team, workspace: Workspace) -> None:
    key, _ = await create_key(workspace.id, livemode=True, name="CRM", created_by=team.admin.actor)
    by_key = Context(workspace.id, True, ids.encode_id(ids.API_KEY, key.id), services=SERVICES)
    campaign = await team.launch(by_key)
    data = DecideApproval(version=campaign_version(campaign))
    assert await code_of(approvals.approve_campaign(team.admin, campaign.id, data)) == "approval_own"
    await decide(team.owner, campaign)
    assert await run() == 3


async def test_nothing_but_an_approval_sets_it_going(team: Team) -> None:
    campaign = await team.launch()
    assert await code_of(campaigns.resume_campaign(team.owner, campaign.id)) == "approval_required"
    await act(campaigns.pause_campaign(team.member, campaign.id))
    assert await code_of(campaigns.resume_campaign(team.owner, campaign.id)) == "approval_required"
    await act(campaigns.resume_paid(now=datetime.now(UTC)))
    # Not even a state that nothing writes.
    await Campaign.filter(id=campaign.id).update(status="preparing")
    assert await run() == 0
    await Campaign.filter(id=campaign.id).update(status="paused")
    assert (await run(), await Message.all().count()) == (0, 0)
    # Paused by hand meanwhile, it waits for a hand.
    await decide(team.admin, campaign)
    assert (await state_of(campaign.id), await run()) == (("paused", "manual", "approved"), 0)
    await act(campaigns.resume_campaign(team.member, campaign.id))
    assert await run() == 3


async def test_one_that_waits_and_is_paused_by_hand_can_be_changed_and_stays_paused(team: Team) -> None:
    campaign = await team.launch()
    await act(campaigns.pause_campaign(team.member, campaign.id))
    changed = await act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(body="Hello")))
    assert await state_of(campaign.id) == ("paused", "manual", "required")
    renamed = await act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(name="Cart close")))
    assert (await state_of(campaign.id), await run()) == (("paused", "manual", "required"), 0)
    assert campaign_version(renamed) != campaign_version(changed) != campaign_version(campaign)
    await decide(team.admin, renamed)
    assert (await state_of(campaign.id), await run()) == (("paused", "manual", "approved"), 0)
    await act(campaigns.resume_campaign(team.member, campaign.id))
    assert await run() == 3
    assert {row.body for row in await Message.all()} == {"Hello"}


async def test_a_scheduled_one_that_is_paused_by_hand_can_be_changed_and_stays_paused(team: Team) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    campaign = await team.launch(scheduled_at=later)
    await decide(team.admin, campaign)
    await act(campaigns.pause_campaign(team.member, campaign.id))
    assert await state_of(campaign.id) == ("paused", "manual", "approved")
    # What was approved is another text: it is asked for again.
    changed = await act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(body="Hello")))
    assert await state_of(campaign.id) == ("paused", "manual", "required")
    await decide(team.admin, changed)
    await act(campaigns.resume_campaign(team.member, campaign.id))
    assert (await state_of(campaign.id), await run()) == (("scheduled", None, "approved"), 0)


async def test_what_was_paused_after_its_start_cannot_be_changed(team: Team) -> None:
    campaign = await team.launch()
    await decide(team.admin, campaign)
    assert await run() == 3
    await act(campaigns.pause_campaign(team.member, campaign.id))
    change = campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(body="Hello"))
    assert await code_of(change) == "campaign_begun"


async def test_a_rejected_campaign_is_asked_for_again_or_changed(team: Team) -> None:
    campaign = await team.launch()
    assert await code_of(approvals.request_approval(team.member, campaign.id)) == "approval_decided"
    await decide(team.admin, campaign, approve=False, comment="Typo")
    assert await state_of(campaign.id) == ("paused", "approval_required", "rejected")
    assert await code_of(campaigns.resume_campaign(team.owner, campaign.id)) == "approval_required"
    again = await act(approvals.request_approval(team.member, campaign.id))
    assert (again.approval["state"], again.approval["comment"]) == ("required", None)
    await decide(team.admin, again, approve=False)
    changed = await act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(body="Hello")))
    assert changed.approval["state"] == "required"
    await decide(team.admin, changed)
    assert await run() == 3
    assert {row.body for row in await Message.all()} == {"Hello"}


async def test_nobody_approves_their_own_campaign_because_another_asked_again(team: Team, workspace: Workspace) -> None:
    third = await join(workspace, Role.ADMIN)
    campaign = await team.launch(team.admin)
    await decide(team.owner, campaign, approve=False, comment="Too soon")
    again = await act(approvals.request_approval(team.member, campaign.id))
    assert again.approval["requested_by"] == team.admin.actor, "who launched it"
    data = DecideApproval(version=campaign_version(again))
    assert await code_of(approvals.approve_campaign(team.admin, campaign.id, data)) == "approval_own"
    await decide(third, again)
    # What outgrows that approval is asked for in the name of who launched it, too.
    await grow(team, 2)
    assert await run() == 0
    grown = await Campaign.get(id=campaign.id)
    assert grown.approval is not None
    assert (grown.approval["state"], grown.approval["requested_by"]) == ("required", team.admin.actor)
    data = DecideApproval(version=campaign_version(grown))
    assert await code_of(approvals.approve_campaign(team.admin, campaign.id, data)) == "approval_own"
    await decide(team.owner, grown)
    assert await run() == 5


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"body": "Hello"}, ("paused", "approval_required", "required")),
        ({"from_": "COHORT"}, ("paused", "approval_required", "required")),
        ({"scheduled_at": datetime.now(UTC) + timedelta(days=3)}, ("paused", "approval_required", "required")),
        ({"rate_per_minute": 5}, ("paused", "approval_required", "required")),
        ({"name": "Cart close", "tags": ["launch"]}, ("scheduled", None, "approved")),
    ],
)
async def test_a_change_withdraws_the_approval(team: Team, changes: dict[str, Any], state: tuple[str, ...]) -> None:
    campaign = await team.launch(scheduled_at=datetime.now(UTC) + timedelta(days=1))
    await decide(team.admin, campaign)
    assert await state_of(campaign.id) == ("scheduled", None, "approved")
    changed = await act(campaigns.update_campaign(team.admin, campaign.id, UpdateCampaign(**changes)))
    assert await state_of(campaign.id) == state
    if state[0] == "paused":
        # Who changed it last cannot approve it; who launched it, being no admin, neither.
        data = DecideApproval(version=campaign_version(changed))
        assert await code_of(approvals.approve_campaign(team.admin, campaign.id, data)) == "approval_own"
        await decide(team.owner, changed)
        assert (await state_of(campaign.id))[0] == "scheduled"


async def test_what_changed_since_it_was_read_is_not_approved(team: Team) -> None:
    campaign = await team.launch()
    await act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(body="Buy now")))
    data = DecideApproval(version=campaign_version(campaign))
    assert await code_of(approvals.approve_campaign(team.admin, campaign.id, data)) == "version_conflict"
    assert (await run(), await Message.all().count()) == (0, 0)


async def grow(team: Team, number: int = 1) -> None:
    for _ in range(number):
        contact = await make_contact(team.owner)
        await ListMember.create(list_id=team.listed.id, contact_id=contact.id)


async def test_an_audience_that_outgrew_its_approval_is_held_before_the_first_message(team: Team) -> None:
    campaign = await team.launch()
    await decide(team.admin, campaign)
    await grow(team)
    assert (await run(), await Message.all().count()) == (0, 0)
    row = await Campaign.get(id=campaign.id)
    assert (await state_of(row.id), row.started_at) == (("paused", "approval_required", "required"), None)
    assert row.approval is not None
    assert (row.approval["recipient_count"], row.approval["requested_by"]) == (4, team.member.actor)
    await decide(team.admin, row)
    assert (await run(), await Message.all().count()) == (4, 4)


async def held_at_start(team: Team, **values: Any) -> Campaign:
    """A campaign to three that was approved, outgrew that, and is held with four recipients."""
    campaign = await team.launch(**values)
    await decide(team.admin, campaign)
    await grow(team)
    assert (await run(), await Message.all().count()) == (0, 0)
    row = await Campaign.get(id=campaign.id)
    assert (row.audience_count, row.audience_until is None) == (4, False)
    assert await fetch_value("SELECT count(*) FROM campaign_recipients") == 4
    return row


async def test_a_campaign_that_is_held_at_its_start_can_be_changed(team: Team) -> None:
    campaign = await held_at_start(team)
    stale = DecideApproval(version=campaign_version(campaign))
    changed = await act(campaigns.update_campaign(team.owner, campaign.id, UpdateCampaign(body="Hello")))
    assert await state_of(campaign.id) == ("paused", "approval_required", "required")
    assert (changed.approval["requested_by"], changed.approval["recipient_count"]) == (team.owner.actor, 4)
    assert (changed.audience_count, changed.audience_until, changed.audience_after) == (0, None, None)
    assert await fetch_value("SELECT count(*) FROM campaign_recipients") == 0
    # Nobody approves what stood there before, nor what they wrote.
    assert await code_of(approvals.approve_campaign(team.admin, campaign.id, stale)) == "version_conflict"
    fresh = DecideApproval(version=campaign_version(changed))
    assert await code_of(approvals.approve_campaign(team.owner, campaign.id, fresh)) == "approval_own"
    assert (await run(), await Message.all().count()) == (0, 0)
    await decide(team.admin, changed)
    await grow(team)
    # It outgrows this approval too.
    assert (await run(), await Message.all().count()) == (0, 0)
    await decide(team.admin, await Campaign.get(id=campaign.id))
    assert await run() == 5
    assert {row.body for row in await Message.all()} == {"Hello"}
    assert await code_of(campaigns.update_campaign(team.owner, campaign.id, UpdateCampaign(body="Late"))) == (
        "campaign_begun"
    )


async def test_a_smaller_audience_of_one_that_is_held_needs_no_approval(team: Team) -> None:
    campaign = await held_at_start(team)
    two = await make_list(team.owner, [await make_contact(team.owner) for _ in range(2)], name="Two")
    await act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(list_ids=[two.id])))
    assert await state_of(campaign.id) == ("preparing", None, None)
    assert await run() == 2
    members = {row.contact_id for row in await ListMember.filter(list_id=two.id)}
    assert {row.contact_id for row in await Message.all()} == members


async def test_one_that_is_held_at_its_start_can_be_put_off(team: Team) -> None:
    campaign = await held_at_start(team)
    later = datetime.now(UTC) + timedelta(days=1)
    await act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(scheduled_at=later)))
    await decide(team.admin, await Campaign.get(id=campaign.id))
    assert await state_of(campaign.id) == ("scheduled", None, "approved")
    await grow(team)
    # Who is in the audience is found at the start, and not when it was first to begin.
    await expand_at(later + timedelta(minutes=1))
    assert await state_of(campaign.id) == ("paused", "approval_required", "required")
    assert (await Campaign.get(id=campaign.id)).audience_count == 5


async def expand_at(at: datetime) -> None:
    for id in await due_campaigns(at):
        await start_campaign(SERVICES, id, at)


async def test_the_same_values_and_another_name_ask_for_nothing(team: Team) -> None:
    campaign = await held_at_start(team)
    asked = (await types_of(campaign.id)).count("campaign.approval_requested")
    same = UpdateCampaign(name="Cart close", body=campaign.body, scheduled_at=None, list_ids=[team.listed.id])
    changed = await act(campaigns.update_campaign(team.admin, campaign.id, same))
    assert (changed.name, changed.audience_count) == ("Cart close", 4)
    assert (await types_of(campaign.id)).count("campaign.approval_requested") == asked
    # Who asked is still who launched it.
    await decide(team.admin, changed)
    assert await run() == 4


async def test_a_change_and_an_approval_at_once_of_one_that_is_held(team: Team) -> None:
    for _ in range(3):
        await ListMember.all().delete()
        team.listed = await make_list(team.owner, [await make_contact(team.owner) for _ in range(3)], name="Three")
        await Message.all().delete()
        campaign = await held_at_start(team)
        await asyncio.gather(
            decide(team.admin, campaign),
            act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(body="Buy now"))),
            run(),
            return_exceptions=True,
        )
        await run()
        assert {row.body for row in await Message.filter(campaign_id=campaign.id)} <= {"Hi"}
        if (await state_of(campaign.id))[0] == "paused":
            await act(campaigns.cancel_campaign(team.owner, campaign.id))
            await run()


async def test_an_audience_that_grew_beyond_the_threshold_is_held(team: Team) -> None:
    two = await make_list(team.owner, [await make_contact(team.owner) for _ in range(2)], name="Two")
    campaign = await team.launch(list_ids=[two.id])
    team.listed = two
    await grow(team)
    assert (await run(), await Message.all().count()) == (0, 0)
    assert await state_of(campaign.id) == ("paused", "approval_required", "required")
    await decide(team.owner, await Campaign.get(id=campaign.id))
    assert await run() == 3


async def test_one_of_two_who_decide_at_once(team: Team, workspace: Workspace) -> None:
    third = await join(workspace, Role.ADMIN)
    for _ in range(5):
        campaign = await team.launch()
        results = await asyncio.gather(
            decide(team.owner, campaign),
            decide(team.admin, campaign, approve=False),
            decide(third, campaign),
            return_exceptions=True,
        )
        refused = [each for each in results if isinstance(each, Conflict)]
        assert [each.code for each in refused] == ["approval_decided"] * 2
        decided = [type for type in await types_of(campaign.id) if type in ("campaign.approved", "campaign.rejected")]
        assert len(decided) == 1
        status, _, state = await state_of(campaign.id)
        assert (status == "preparing") is (state == "approved")
        await act(campaigns.cancel_campaign(team.owner, campaign.id))


async def test_an_approval_and_a_cancellation_at_once(team: Team) -> None:
    for _ in range(8):
        campaign = await team.launch()
        results = await asyncio.gather(
            decide(team.admin, campaign),
            act(campaigns.cancel_campaign(team.member, campaign.id)),
            run(),
            return_exceptions=True,
        )
        assert (await state_of(campaign.id))[0] == "canceled"
        if isinstance(results[0], Conflict):
            assert await Message.filter(campaign_id=campaign.id).count() == 0
    assert await Message.filter(status__not="canceled").count() == 0


async def test_an_approval_and_a_change_at_once(team: Team) -> None:
    for _ in range(8):
        campaign = await team.launch()
        await asyncio.gather(
            decide(team.admin, campaign),
            act(campaigns.update_campaign(team.member, campaign.id, UpdateCampaign(body="Buy now"))),
            run(),
            return_exceptions=True,
        )
        await run()
        # What was approved is what went out.
        assert {row.body for row in await Message.filter(campaign_id=campaign.id)} <= {"Hi"}


async def test_a_kill_before_the_commit_leaves_it_waiting(team: Team) -> None:
    campaign = await team.launch()

    class Killed(Exception):
        pass

    async def killed() -> None:
        await approvals.approve_campaign(team.admin, campaign.id, DecideApproval(version=campaign_version(campaign)))
        raise Killed

    with pytest.raises(Killed):
        await in_unit_of_work(killed)
    assert await state_of(campaign.id) == ("paused", "approval_required", "required")
    assert (await run(), await types_of(campaign.id)) == (0, ["campaign.approval_requested"])
    await decide(team.admin, campaign)
    # No notification came: cron finds it all the same.
    assert await run() == 3


async def test_the_setting_needs_two_who_may_approve(workspace: Workspace) -> None:
    owner = await join(workspace, Role.OWNER)
    await join(workspace, Role.MEMBER)
    setting = UpdateWorkspace(approval_threshold=100)
    assert await code_of(workspaces.update_workspace(owner, setting)) == "approvers_missing"
    await join(workspace, Role.ADMIN)
    assert (await act(workspaces.update_workspace(owner, setting))).approval_threshold == 100
    key = Context(workspace.id, True, f"key_{'0' * 26}", services=SERVICES)
    for wider in (200, None):
        with pytest.raises(PermissionDenied):
            await act(workspaces.update_workspace(key, UpdateWorkspace(approval_threshold=wider)))
    tightened = await act(workspaces.update_workspace(key, UpdateWorkspace(approval_threshold=50)))
    assert tightened.approval_threshold == 50


async def test_another_person_publishes_a_sequence(team: Team, workspace: Workspace) -> None:
    data = CreateSequence(name="Challenge", steps=[SequenceStep(key="a", body="Hi")])
    row = await act(sequences.create_sequence(team.admin, data))
    assert await code_of(sequences.publish_sequence(team.admin, row.id)) == "approval_own"
    assert await code_of(sequences.publish_sequence(team.member, row.id)) == "approval_required"
    key = Context(workspace.id, True, f"key_{'0' * 26}", services=SERVICES)
    assert await code_of(sequences.publish_sequence(key, row.id)) == "approval_required"
    assert await Campaign.all().count() == 0
    published = await act(sequences.publish_sequence(team.owner, row.id))
    assert str(published.status) == "active"
