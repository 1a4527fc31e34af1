"""A sender is used by the workspace that owns it, or is the platform's: on every path, when set and when sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs import database as db
from msvs.api.accounts.workspaces import UpdateWorkspace, get_workspace, update_workspace
from msvs.api.audit import list_audit
from msvs.api.campaigns import campaigns as api
from msvs.api.campaigns import previews
from msvs.api.campaigns.campaigns import CreateCampaign, UpdateCampaign
from msvs.api.context import SYSTEM, Context
from msvs.api.dispatch import senders
from msvs.api.errors import ApiError, ComplianceRefused, InvalidRequest, NotFound
from msvs.api.inbound import inbox, replies
from msvs.api.inbound.inbox import AnswerThread
from msvs.api.messages.batches import SendBatch, send_batch
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.protocol import Accepted, Capability, Carrier, Inbound, Outcome, Submission
from msvs.models import CreditBalance, InboundMessage, Message, Sender, Workspace
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES

# What the other workspace owns, and a phone that both may write to.
THEIRS, BRAND, PERSON = "+442071838750", "COHORTLABS", "+447400123456"
ALIKE = ("CohortLabs", "COHORT LABS", "C0HORTLABS", "COHORTLAB5", "COHORT1ABS")
TABLES = ("messages", "campaigns", "contacts", "senders", "audit_entries", "ledger_entries", "events", "workspaces")

Row = Any


class Taking(Carrier):
    """A carrier that takes all it is given, and remembers from which senders."""

    name = "main"
    kind = "taking"
    capability = Capability.NONE

    def __init__(self) -> None:
        self.senders: list[str] = []

    async def submit(self, submission: Submission) -> Outcome:
        self.senders.append(submission.sender)
        return Accepted(f"m-{len(self.senders)}")


@pytest.fixture(params=["real", "virtual"], autouse=True)
def carriers(request: pytest.FixtureRequest) -> str:
    """Live messages leave by a real carrier, or by the virtual one alone."""
    request.getfixturevalue("real_carrier" if request.param == "real" else "virtual_live")
    return str(request.param)


@pytest.fixture
async def owner(other_ctx: Context) -> Context:
    """Who owns THEIRS and BRAND."""
    await senders.add_sender(SERVICES, other_ctx.workspace_id, THEIRS, registration="0THER")
    await senders.add_sender(SERVICES, other_ctx.workspace_id, BRAND)
    return replace(other_ctx, livemode=True)


@asynccontextmanager
async def nothing_changes() -> AsyncIterator[None]:
    async def contents() -> dict[str, list[str]]:
        return {
            table: [row.row for row in await db.fetch(f"SELECT t::text AS row FROM {table} AS t ORDER BY t::text")]
            for table in TABLES
        }

    before = await contents()
    yield
    assert await contents() == before


async def refused(work: Callable[[], Awaitable[Any]], param: str = "from") -> None:
    """The work is refused for its sender, and nothing has happened."""
    async with nothing_changes():
        with pytest.raises(ComplianceRefused) as caught:
            async with unit_of_work():
                await work()
    assert (caught.value.status, caught.value.code, caught.value.param) == (422, "sender_not_allowed", param)


async def send(ctx: Context, sender: str | None = None, to: str = PERSON) -> Row:
    async with unit_of_work():
        return await send_message(ctx, SendMessage(to, "Hi", sender))


async def set_default(ctx: Context, sender: str) -> Workspace:
    async with unit_of_work():
        return await update_workspace(ctx, UpdateWorkspace(default_sender=sender))


async def changes_of(ctx: Context) -> list[tuple[str, dict[str, Any]]]:
    page = await list_audit(replace(ctx, actor=SYSTEM), PageRequest(50))
    return [(row.action, row.changes) for row in page.items]


# Attack 1 of the cases: sending as another


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("livemode", [False, True])
@pytest.mark.parametrize("sender", [THEIRS, BRAND, *ALIKE, "MASSlVESMS", "MASSIVE5MS", "massivesms", "MASSIVE SMS"])
async def test_another_workspaces_sender_or_its_lookalike_is_no_default(
    workspace: Workspace, livemode: bool, sender: str
) -> None:
    ctx = Context(workspace.id, livemode, actor="key_1", services=SERVICES)
    await refused(lambda: update_workspace(ctx, UpdateWorkspace(default_sender=sender)), "default_sender")
    assert (await get_workspace(ctx)).default_sender == "MASSIVESMS"


@pytest.mark.parametrize("sender", ["MАSSIVESMS", "СOHORTLABS", "MASSIVESMS\u200b", "ＭASSIVESMS"])
async def test_letters_of_other_alphabets_are_no_sender(live_ctx: Context, sender: str) -> None:
    async with nothing_changes():
        with pytest.raises(InvalidRequest) as caught:
            await set_default(live_ctx, sender)
    assert caught.value.code == "sender_invalid"


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("livemode", [False, True])
@pytest.mark.parametrize("sender", [THEIRS, BRAND, ALIKE[0], "MASSlVESMS"])
async def test_no_path_sends_as_another(workspace: Workspace, livemode: bool, sender: str) -> None:
    ctx = Context(workspace.id, livemode, actor="key_1", services=SERVICES)
    contact = await factories.make_contact(ctx, PERSON, region="GB", number_kind="mobile")
    people = {"contact_ids": [contact.id]}
    later = datetime.now(UTC) + timedelta(days=1)
    await refused(lambda: send_message(ctx, SendMessage(PERSON, "Hi", sender)))
    await refused(lambda: send_message(ctx, SendMessage(PERSON, "Hi", sender, scheduled_at=later)))
    async with nothing_changes():
        (one,) = await send_batch(ctx, SendBatch([SendMessage(PERSON, "Hi", sender)]))
    assert isinstance(one, ComplianceRefused)
    assert (one.code, one.param) == ("sender_not_allowed", "from")
    await refused(lambda: api.create_campaign(ctx, CreateCampaign("Doors", "Hi", from_=sender, **people)))
    await refused(lambda: api.create_campaign(ctx, CreateCampaign("Doors", "Hi", from_=sender, draft=True)))
    await refused(lambda: inbox.answer_thread(ctx, contact.id, AnswerThread("Hi", from_=sender)))
    async with unit_of_work():
        draft = await api.create_campaign(ctx, CreateCampaign("Doors", "Hi", draft=True, **people))
    await refused(lambda: api.update_campaign(ctx, draft.id, UpdateCampaign(from_=sender)))
    preview = await previews.preview_message(ctx, SendMessage(PERSON, "Hi", sender))
    assert preview.refusal is not None
    assert preview.refusal.code == "sender_not_allowed"
    planned = await previews.preview_campaign(ctx, previews.PreviewCampaign("Hi", from_=sender, **people))
    assert planned.refusal is not None
    assert (planned.refusal.code, planned.recipient_count) == ("sender_not_allowed", 0)


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("sender", [THEIRS, BRAND])
async def test_a_default_from_before_the_rule_sends_nothing(live_ctx: Context, sender: str) -> None:
    await db.execute("UPDATE workspaces SET default_sender = $2 WHERE id = $1", live_ctx.workspace_id, sender)
    contact = await factories.make_contact(live_ctx, PERSON, region="GB", number_kind="mobile")
    await refused(lambda: send_message(live_ctx, SendMessage(PERSON, "Hi")))
    await refused(lambda: api.create_campaign(live_ctx, CreateCampaign("Doors", "Hi", contact_ids=[contact.id])))


@pytest.mark.usefixtures("owner")
async def test_automatic_messages_leave_from_the_platforms_sender_where_the_default_is_anothers(
    live_ctx: Context,
) -> None:
    await Workspace.filter(id=live_ctx.workspace_id).update(default_sender=THEIRS)
    async with unit_of_work():
        for number, text in enumerate(("HELP", "STOP")):
            await replies.receive_inbound(
                live_ctx, from_phone=PERSON, to_sender=THEIRS, text=text, dedupe_key=str(number)
            )
    assert [row.sender for row in await Message.all()] == ["MASSIVESMS"] * 2


async def test_an_inbox_answer_leaves_from_the_default_once_the_number_is_anothers(
    live_ctx: Context, other_ctx: Context
) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, THEIRS)
    async with unit_of_work():
        row = await replies.receive_inbound(live_ctx, from_phone=PERSON, to_sender=THEIRS, text="When?", dedupe_key="1")
        first = await inbox.answer_thread(live_ctx, row.contact_id, AnswerThread("At 8"))
    await senders.transfer_sender(SERVICES, other_ctx.workspace_id, THEIRS)
    async with unit_of_work():
        second = await inbox.answer_thread(live_ctx, row.contact_id, AnswerThread("At 9"))
    assert (first.sender, second.sender) == (THEIRS, "MASSIVESMS")


# When it is sent


async def moved(live_ctx: Context, owner: Context, carriers: str) -> list[str]:
    """Move BRAND to another workspace while a message, a draft, a campaign and one queued wait; what leaves."""
    contact = await factories.make_contact(live_ctx, PERSON, region="GB", number_kind="mobile")
    people = {"contact_ids": [contact.id]}
    later = datetime.now(UTC) + timedelta(days=1)
    async with unit_of_work():
        single = await send_message(live_ctx, SendMessage(PERSON, "Hi", BRAND))
        draft = await api.create_campaign(live_ctx, CreateCampaign("A", "Hi", from_=BRAND, draft=True, **people))
        waiting = await api.create_campaign(
            live_ctx, CreateCampaign("B", "Hi", from_=BRAND, scheduled_at=later, **people)
        )
        queued = await api.create_campaign(live_ctx, CreateCampaign("C", "Hi", from_=BRAND, **people))
    await expand_campaigns(SERVICES)
    await senders.transfer_sender(SERVICES, owner.workspace_id, BRAND)
    await refused(lambda: api.launch_campaign(live_ctx, draft.id))
    await refused(lambda: api.send_campaign_test(live_ctx, draft.id, to=[PERSON]))
    await db.execute("UPDATE campaigns SET scheduled_at = now(), status = 'preparing' WHERE id = $1", waiting.id)
    await expand_campaigns(SERVICES)
    carrier = Taking()
    await dispatch_messages(SERVICES, {"main": carrier} if carriers == "real" else {"virtual": carrier})
    found = {row.campaign_id: row for row in await Message.all()}
    assert (found[None].id, found[None].status, found[None].error_code) == (single.id, "failed", "sender_not_allowed")
    for campaign in (waiting, queued):
        row = found[campaign.id]
        assert (row.status, row.error_code, row.credits_used) == ("skipped", "sender_not_allowed", 0)
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000
    return carrier.senders


async def test_messages_from_a_transferred_sender_are_not_sent(
    live_ctx: Context, other_ctx: Context, carriers: str
) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, BRAND)
    assert await moved(live_ctx, replace(other_ctx, livemode=True), carriers) == []


async def test_messages_from_own_senders_are_sent(live_ctx: Context, carriers: str) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, BRAND)
    await senders.add_sender(SERVICES, None, "PLATFORM 2")
    for sender in (BRAND, "PLATFORM 2", "MASSIVESMS", None):
        await send(live_ctx, sender)
    carrier = Taking()
    await dispatch_messages(SERVICES, {"main": carrier} if carriers == "real" else {"virtual": carrier})
    assert sorted(carrier.senders[:3]) == sorted([BRAND, "PLATFORM 2", "MASSIVESMS"])
    assert len(carrier.senders) == 4


async def test_a_sender_without_an_owner_leaves_by_no_real_carrier(
    live_ctx: Context, ctx: Context, carriers: str
) -> None:
    for sender in ("COHORT", "+442071838751", "54321"):
        assert (await send(ctx, sender)).sender == sender
        if carriers == "real":
            await refused(lambda sender=sender: send_message(live_ctx, SendMessage(PERSON, "Hi", sender)))
        else:
            assert (await send(live_ctx, sender)).sender == sender


# Names


async def test_a_name_that_nobody_has_becomes_the_workspaces(live_ctx: Context, other_ctx: Context) -> None:
    row = await set_default(live_ctx, "COHORT")
    assert row.default_sender == "COHORT"
    owned = await Sender.get(workspace_id=live_ctx.workspace_id)
    assert (owned.value, owned.is_claimed, owned.skeleton) == ("COHORT", True, "cohort")
    assert (await send(live_ctx)).sender == "COHORT"
    assert [action for action, _ in await changes_of(live_ctx)] == ["workspace.updated", "sender.claimed"]
    other = replace(other_ctx, livemode=True)
    for name in ("COHORT", "C0HORT", "cohort"):
        await refused(lambda name=name: update_workspace(other, UpdateWorkspace(default_sender=name)), "default_sender")
    # It stays the workspace's when another is the default.
    await set_default(live_ctx, "MASSIVESMS")
    assert (await send(live_ctx, "COHORT")).sender == "COHORT"


@pytest.mark.parametrize("sender", ["+442071838751", "54321"])
async def test_numbers_are_the_operators_to_give(live_ctx: Context, sender: str) -> None:
    await refused(lambda: update_workspace(live_ctx, UpdateWorkspace(default_sender=sender)), "default_sender")
    await senders.add_sender(SERVICES, live_ctx.workspace_id, sender)
    assert (await set_default(live_ctx, sender)).default_sender == sender


async def test_the_sandbox_takes_no_name_from_anybody(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    assert (await set_default(ctx, "COHORT")).default_sender == "COHORT"
    assert await Sender.all().count() == 0
    assert (await get_workspace(live_ctx)).default_sender == "MASSIVESMS"
    await set_default(replace(other_ctx, livemode=True), "COHORT")
    await refused(lambda: send_message(ctx, SendMessage(PERSON, "Hi")))


async def test_a_workspace_takes_ten_names_and_no_more(live_ctx: Context) -> None:
    for number in range(senders.MOST_CLAIMED):
        await set_default(live_ctx, f"NAME {'ABCDEFGHJK'[number]}")
    await refused(lambda: update_workspace(live_ctx, UpdateWorkspace(default_sender="NAME X")), "default_sender")
    await senders.add_sender(SERVICES, live_ctx.workspace_id, "NAME X")
    assert (await set_default(live_ctx, "NAME X")).default_sender == "NAME X"


@pytest.mark.parametrize("names", [("COHORT", "COHORT"), ("COHORT", "C0HORT")])
async def test_two_workspaces_race_for_a_name(clean: None, names: tuple[str, str]) -> None:
    rivals = [Context((await factories.make_workspace()).id, True, actor="key_1", services=SERVICES) for _ in range(8)]

    done = await asyncio.gather(
        *(set_default(ctx, names[place % 2]) for place, ctx in enumerate(rivals)), return_exceptions=True
    )
    assert [each.code for each in done if isinstance(each, ApiError)] == ["sender_not_allowed"] * 7
    won = [isinstance(each, Workspace) for each in done]
    assert won.count(True) == 1
    (owned,) = await Sender.all()
    assert owned.workspace_id == rivals[won.index(True)].workspace_id
    assert await Workspace.exclude(default_sender="MASSIVESMS").count() == 1


async def test_a_claim_races_a_grant(live_ctx: Context, other_ctx: Context) -> None:
    other = replace(other_ctx, livemode=True)
    done = await asyncio.gather(
        set_default(live_ctx, "COHORT"),
        senders.add_sender(SERVICES, other.workspace_id, "C0HORT"),
        return_exceptions=True,
    )
    assert sum(isinstance(each, ApiError) for each in done) == 1
    assert await Sender.all().count() == 1


# The operator


async def test_the_operator_moves_a_sender(live_ctx: Context, other_ctx: Context) -> None:
    other = replace(other_ctx, livemode=True)
    await senders.add_sender(SERVICES, live_ctx.workspace_id, THEIRS, regions=["GB"], registration="C0HORT")
    await set_default(live_ctx, THEIRS)
    await set_default(replace(live_ctx, livemode=False), THEIRS)
    row = await senders.transfer_sender(SERVICES, other.workspace_id, THEIRS)
    assert (row.workspace_id, row.regions, row.registration) == (other.workspace_id, ["GB"], "C0HORT")
    assert [each.workspace_id for each in await senders.find_owners(THEIRS)] == [other.workspace_id]
    for ctx in (live_ctx, replace(live_ctx, livemode=False)):
        assert (await get_workspace(ctx)).default_sender == "MASSIVESMS"
    assert (await changes_of(live_ctx))[:2] == [
        ("workspace.updated", {"default_sender": [THEIRS, "MASSIVESMS"]}),
        ("sender.removed", {"value": [THEIRS, None]}),
    ]
    assert (await changes_of(other))[0] == ("sender.added", {"value": [None, THEIRS]})
    with pytest.raises(NotFound):
        await senders.transfer_sender(SERVICES, other.workspace_id, "NOBODYS")


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("value", [THEIRS, BRAND, *ALIKE, "MASSlVESMS"])
async def test_the_operator_says_that_a_sender_is_shared(live_ctx: Context, value: str) -> None:
    async with nothing_changes():
        with pytest.raises(InvalidRequest):
            await senders.add_sender(SERVICES, live_ctx.workspace_id, value)
    await senders.add_sender(SERVICES, live_ctx.workspace_id, value, is_shared=True)
    assert (await send(live_ctx, value)).sender == value


async def test_the_platforms_senders_are_for_all(live_ctx: Context, other_ctx: Context) -> None:
    await senders.add_sender(SERVICES, None, THEIRS, registration="0URS")
    for ctx in (live_ctx, replace(other_ctx, livemode=True)):
        assert (await set_default(ctx, THEIRS)).default_sender == THEIRS
        assert (await send(ctx)).sender == THEIRS
    assert (await senders.list_senders(live_ctx, PageRequest(10))).items == []
    await senders.remove_sender(SERVICES, None, THEIRS)
    assert await Workspace.exclude(default_sender="MASSIVESMS").count() == 0
    with pytest.raises(NotFound):
        await senders.remove_sender(SERVICES, None, THEIRS)


# What comes in


async def bring(to: str, text: str, reference: str) -> None:
    async with unit_of_work():
        await keep_carrier_events("main", [Inbound(reference, PERSON, to, text)])
    await collect_reports(SERVICES)


async def test_replies_go_to_the_owner_of_a_sender_others_declared(live_ctx: Context, owner: Context) -> None:
    await Workspace.filter(id=live_ctx.workspace_id).update(default_sender=THEIRS)
    await factories.make_contact(live_ctx, PERSON)
    await bring(THEIRS, "When?", "in-1")
    assert [row.workspace_id for row in await InboundMessage.all()] == [owner.workspace_id]


async def test_replies_to_the_platform_go_to_the_workspace_that_wrote_last(
    live_ctx: Context, other_ctx: Context, carriers: str
) -> None:
    await senders.add_sender(SERVICES, None, THEIRS)
    for ctx in (replace(other_ctx, livemode=True), live_ctx):
        await send(ctx, THEIRS)
    await dispatch_messages(SERVICES, {"main": Taking()} if carriers == "real" else {"virtual": Taking()})
    await bring(THEIRS, "When?", "in-1")
    assert [row.workspace_id for row in await InboundMessage.all()] == [live_ctx.workspace_id]


async def test_a_stop_to_the_platform_that_nobody_can_place_is_one_to_all_that_send_from_it(
    live_ctx: Context, owner: Context
) -> None:
    await senders.add_sender(SERVICES, None, "54321")
    await set_default(live_ctx, "54321")
    await bring("54321", "STOP", "in-1")
    rows = await db.fetch("SELECT workspace_id, phone FROM suppressions")
    assert [(row.workspace_id, row.phone) for row in rows] == [(live_ctx.workspace_id, PERSON)]
