"""A/B tests: who gets which variant, when the winner is chosen, and the books of each variant."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import ab_tests, campaigns, previews
from msvs.api.campaigns.ab_tests import choose_winner, report_ab_test
from msvs.api.campaigns.reconciliation import reconcile_campaign
from msvs.api.campaigns.requests import CreateCampaign, PreviewCampaign, UpdateCampaign
from msvs.api.campaigns.variants import AbTestOptions, VariantOptions, bounds_of, variant_of
from msvs.api.context import Context
from msvs.api.dispatch.campaign_stats import fold_tallies
from msvs.api.errors import ApiError, Conflict, InvalidRequest, NotFound
from msvs.api.ids import new_id
from msvs.api.resources import CampaignStats
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.models import Campaign, Contact, CreditBalance, Event, Message
from msvs.models.campaigns import AbTest
from msvs.workers.campaigns import expand_campaigns, expand_once
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import complete_campaigns
from tests import factories
from tests.services import SERVICES
from tests.workers.test_campaigns import CARRIERS, campaign_events, check_conservation, people, run_through, stats

pytestmark = pytest.mark.usefixtures("virtual_live")

BODIES = ("Doors open", "Last seats: doors open tonight")


def two(**options: Any) -> AbTestOptions:
    variants = [VariantOptions(body=body) for body in BODIES]
    return AbTestOptions(**({"variants": variants, "test_percent": 50, "test_minutes": 60} | options))


async def create(ctx: Context, contacts: list[Contact], ab_test: AbTestOptions, **values: Any) -> Campaign:
    listed = await factories.make_list(ctx, contacts)
    data = CreateCampaign("Cohort 06", "Doors open", list_ids=[listed.id], ab_test=ab_test, **values)
    return await in_unit_of_work(lambda: campaigns.create_campaign(ctx, data))


async def end_now(campaign: Campaign) -> None:
    await Campaign.filter(id=campaign.id).update(test_ends_at=await db.now())


async def standing(campaign: Campaign) -> tuple[str, int | None]:
    row = await Campaign.get(id=campaign.id)
    return str(row.status), row.winner


def expected(campaign: Campaign, contacts: list[Contact]) -> Counter[int | None]:
    assert campaign.ab_test is not None
    return Counter(variant_of(campaign.id, contact.id, campaign.ab_test) for contact in contacts)


async def sent(campaign: Campaign) -> Counter[int | None]:
    return Counter(await Message.filter(campaign_id=campaign.id).values_list("variant", flat=True))  # type: ignore[arg-type]


def total(*parts: CampaignStats) -> CampaignStats:
    names = [name for name in CampaignStats.__struct_fields__ if name not in ("conversion_rate", "revenue")]
    return CampaignStats(**{name: sum(getattr(part, name) for part in parts) for name in names})


async def check_books(ctx: Context, campaign: Campaign) -> None:
    """What the variants have adds up to what the campaign has, and the tables agree."""
    report = await in_unit_of_work(lambda: report_ab_test(ctx, campaign.id))
    assert total(*(variant.stats for variant in report.variants)) == await stats(ctx, campaign.id)
    await check_conservation(ctx, campaign.id)
    found = await in_unit_of_work(lambda: reconcile_campaign(ctx, campaign.id))
    assert [check for check in found.checks if not check.ok] == []
    assert "variants.recipients" in {check.check for check in found.checks}


async def test_the_test_goes_out_and_the_winner_gets_the_rest(live_ctx: Context) -> None:
    contacts = await people(live_ctx, 40)
    campaign = await create(live_ctx, contacts, two())
    wanted = expected(campaign, contacts)
    assert min(wanted[1], wanted[2], wanted[None]) > 0
    await run_through()
    assert await standing(campaign) == ("sending", None)
    assert await sent(campaign) == Counter({1: wanted[1], 2: wanted[2]})
    assert await campaign_events(campaign.id) == ["campaign.started", "campaign.tested"]
    row = await Campaign.get(id=campaign.id)
    assert row.tested_at is not None
    assert row.test_ends_at is not None
    assert row.test_ends_at >= row.tested_at + timedelta(minutes=60)
    await check_books(live_ctx, campaign)
    # B is delivered more often.
    await db.execute(
        "UPDATE messages SET status = 'failed', error_code = 'unreachable', failed_at = now(), delivered_at = NULL"
        " WHERE campaign_id = $1 AND variant = 1",
        campaign.id,
    )
    await run_through()
    assert await standing(campaign) == ("sending", None)
    await end_now(campaign)
    await run_through()
    assert await standing(campaign) == ("completed", 2)
    assert await sent(campaign) == Counter({1: wanted[1], 2: wanted[2], -2: wanted[None]})
    bodies = Counter(await Message.filter(campaign_id=campaign.id).values_list("body", flat=True))
    assert bodies == {BODIES[0]: wanted[1], BODIES[1]: wanted[2] + wanted[None]}
    assert await campaign_events(campaign.id) == [
        "campaign.started",
        "campaign.tested",
        "campaign.winner_chosen",
        "campaign.dispatched",
        "campaign.completed",
    ]
    report = await in_unit_of_work(lambda: report_ab_test(live_ctx, campaign.id))
    assert (report.winner, report.winner_chosen_by, report.leader) == ("B", "time", "B")
    assert [variant.test.recipients for variant in report.variants] == [wanted[1], wanted[2]]
    assert [variant.stats.recipients for variant in report.variants] == [wanted[1], wanted[2] + wanted[None]]
    assert [variant.sample.successes for variant in report.variants] == [0, wanted[2]]
    # What the rest did changes nothing of what the test says.
    assert report.significance.sample_sizes == [wanted[1], wanted[2]]


async def test_each_contact_gets_its_variant_however_often_the_audience_is_fixed(ctx: Context) -> None:
    contacts = await people(ctx, 60)
    options = AbTestOptions(
        variants=[
            VariantOptions(body="One", share=60),
            VariantOptions(body="Two", share=30),
            VariantOptions(body="Three", share=10),
        ],
        test_percent=100,
    )
    campaign = await create(ctx, contacts, options)
    await run_through()
    assert campaign.ab_test is not None
    found = {row.contact_id: row.variant for row in await Message.filter(campaign_id=campaign.id)}
    assert found == {contact.id: variant_of(campaign.id, contact.id, campaign.ab_test) for contact in contacts}
    # Nobody waits for a winner.
    assert await standing(campaign) == ("completed", None)
    assert await campaign_events(campaign.id) == ["campaign.started", "campaign.dispatched", "campaign.completed"]
    await check_books(ctx, campaign)


def test_the_shares_are_those_of_the_test() -> None:
    test = AbTest(variants=[{"share": 70}, {"share": 30}], test_percent=20, metric="click", minutes=None)
    campaign_id = new_id()
    found = Counter(variant_of(campaign_id, new_id(), test) for _ in range(20_000))
    # Within five standard deviations.
    assert abs(found[1] - 2800) < 250
    assert abs(found[2] - 1200) < 170
    assert abs(found[None] - 16_000) < 290


@pytest.mark.parametrize("number", [2, 3, 4, 5])
@pytest.mark.parametrize("percent", [1, 33, 100])
def test_bounds_leave_nobody_out(number: int, percent: int) -> None:
    bounds = bounds_of(AbTest(variants=[{}] * number, test_percent=percent, metric="click", minutes=None))
    assert bounds[0] == 0
    assert bounds == sorted(set(bounds))
    assert bounds[-1] == 2**32 * percent // 100


async def test_a_winner_is_picked_by_hand_and_once(ctx: Context) -> None:
    contacts = await people(ctx, 30)
    campaign = await create(ctx, contacts, two(test_minutes=None))
    with pytest.raises(Conflict, match="not out yet") as refused:
        await in_unit_of_work(lambda: choose_winner(ctx, campaign.id, variant="A"))
    assert refused.value.code == "ab_test_state"
    await run_through()
    assert (await Campaign.get(id=campaign.id)).test_ends_at is None
    for variant in ("C", "AB", "", "a"):
        with pytest.raises(InvalidRequest):
            await in_unit_of_work(lambda variant=variant: choose_winner(ctx, campaign.id, variant=variant))  # type: ignore[misc]
    assert await standing(campaign) == ("sending", None)
    await in_unit_of_work(lambda: choose_winner(ctx, campaign.id, variant="A"))
    with pytest.raises(Conflict, match="chosen already"):
        await in_unit_of_work(lambda: choose_winner(ctx, campaign.id, variant="B"))
    await run_through()
    assert await standing(campaign) == ("completed", 1)
    assert (await sent(campaign))[-1] == expected(campaign, contacts)[None]
    report = await in_unit_of_work(lambda: report_ab_test(ctx, campaign.id))
    assert report.winner_chosen_by == "hand"
    await check_books(ctx, campaign)


async def test_of_choices_at_once_one_counts(ctx: Context) -> None:
    campaign = await create(ctx, await people(ctx, 30), two())
    await run_through()
    await end_now(campaign)

    async def pick(variant: str) -> str | None:
        try:
            await in_unit_of_work(lambda: choose_winner(ctx, campaign.id, variant=variant))
        except Conflict:
            return None
        return variant

    row = await Campaign.get(id=campaign.id)
    now = await db.now()
    *picked, by_time = await asyncio.gather(
        *(pick(variant) for variant in "ABABAB"),
        in_unit_of_work(lambda: ab_tests.choose_best(row, now)),
    )
    assert sum(each is not None for each in picked) + bool(by_time) == 1
    assert await Event.filter(resource_id=campaign.id, type="campaign.winner_chosen").count() == 1
    await run_through()
    assert (await standing(campaign))[0] == "completed"
    await check_books(ctx, campaign)


async def test_a_choice_and_a_cancellation_at_once_leave_one_of_them(ctx: Context) -> None:
    for _ in range(3):
        campaign = await create(ctx, await people(ctx, 20), two())
        await run_through()
        outcomes = await asyncio.gather(
            in_unit_of_work(lambda id=campaign.id: choose_winner(ctx, id, variant="B")),  # type: ignore[misc]
            in_unit_of_work(lambda id=campaign.id: campaigns.cancel_campaign(ctx, id)),  # type: ignore[misc]
            return_exceptions=True,
        )
        assert not isinstance(outcomes[1], BaseException)
        await run_through()
        assert (await standing(campaign))[0] == "canceled"
        assert await db.fetch_value("SELECT count(*) FROM campaign_recipients WHERE campaign_id = $1", campaign.id) == 0
        await check_books(ctx, campaign)


async def test_a_pause_holds_the_choice_by_time_and_not_the_one_by_hand(ctx: Context) -> None:
    contacts = await people(ctx, 30)
    campaign = await create(ctx, contacts, two())
    await run_through()
    await in_unit_of_work(lambda: campaigns.pause_campaign(ctx, campaign.id))
    await end_now(campaign)
    await run_through()
    assert await standing(campaign) == ("paused", None)
    await in_unit_of_work(lambda: choose_winner(ctx, campaign.id, variant="B"))
    await run_through()
    assert await standing(campaign) == ("paused", 2)
    assert -2 not in await sent(campaign)
    await in_unit_of_work(lambda: campaigns.resume_campaign(ctx, campaign.id))
    await run_through()
    assert await standing(campaign) == ("completed", 2)
    assert (await sent(campaign))[-2] == expected(campaign, contacts)[None]


async def test_a_pause_in_the_midst_of_the_test_goes_on_there(ctx: Context) -> None:
    # So many that a round of the expansion never takes all who are in the test.
    contacts = await people(ctx, 150)
    campaign = await create(ctx, contacts, two())
    wanted = expected(campaign, contacts)
    await expand_campaigns(SERVICES, chunk=1, seconds=0)
    await in_unit_of_work(lambda: campaigns.pause_campaign(ctx, campaign.id))
    await run_through()
    assert 0 < (await sent(campaign)).total() < wanted[1] + wanted[2]
    await in_unit_of_work(lambda: campaigns.resume_campaign(ctx, campaign.id))
    await run_through()
    assert await sent(campaign) == Counter({1: wanted[1], 2: wanted[2]})
    assert await standing(campaign) == ("sending", None)


async def test_many_workers_make_each_message_once(ctx: Context) -> None:
    contacts = await people(ctx, 60)
    campaign = await create(ctx, contacts, two())
    await asyncio.gather(*(expand_campaigns(SERVICES, chunk=3) for _ in range(4)))
    await expand_campaigns(SERVICES)
    await end_now(campaign)
    await asyncio.gather(*(expand_campaigns(SERVICES, chunk=3) for _ in range(4)))
    await run_through()
    wanted = expected(campaign, contacts)
    (winner,) = {variant for variant in await sent(campaign) if variant is not None and variant < 0}
    assert await sent(campaign) == Counter({1: wanted[1], 2: wanted[2], winner: wanted[None]})
    assert await count_events(campaign) == {
        "campaign.started": 1,
        "campaign.tested": 1,
        "campaign.winner_chosen": 1,
        "campaign.dispatched": 1,
        "campaign.completed": 1,
    }
    await check_books(ctx, campaign)


async def count_events(campaign: Campaign) -> Counter[str]:
    return Counter(await campaign_events(campaign.id))


async def test_a_budget_holds_through_test_and_rest(live_ctx: Context) -> None:
    contacts = await people(live_ctx, 30)
    campaign = await create(live_ctx, contacts, two(), max_credits=30)
    wanted = expected(campaign, contacts)
    await run_through()
    await Campaign.filter(id=campaign.id).update(guard_rails={"max_credits": wanted[1] + wanted[2] + wanted[None] - 1})
    await end_now(campaign)
    await run_through()
    row = await Campaign.get(id=campaign.id)
    assert (row.status, row.pause_reason, row.winner) == ("paused", "guard_rail", 1)
    assert (await sent(campaign)).total() == wanted[1] + wanted[2]
    await in_unit_of_work(lambda: campaigns.resume_campaign(live_ctx, campaign.id))
    await run_through()
    assert await standing(campaign) == ("completed", 1)
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 10_000 - 30
    await check_books(live_ctx, campaign)


async def test_folding_keeps_the_books_of_each_variant(ctx: Context) -> None:
    campaign = await create(ctx, await people(ctx, 30), two())
    await run_through()
    before = await in_unit_of_work(lambda: report_ab_test(ctx, campaign.id))
    assert await fold_tallies(more_than=1) == 1
    assert await in_unit_of_work(lambda: report_ab_test(ctx, campaign.id)) == before
    await check_books(ctx, campaign)


async def test_the_clock_of_a_test_starts_when_its_last_message_is_due(ctx: Context) -> None:
    """Quiet hours may hold messages of a test until the morning."""
    contacts = await people(ctx, 30)
    campaign = await create(ctx, contacts, two(), send_at_local="09:30")
    await expand_campaigns(SERVICES)
    row = await Campaign.get(id=campaign.id)
    last = max(await Message.filter(campaign_id=campaign.id).values_list("due_at", flat=True))
    assert row.test_ends_at == max(last, row.tested_at) + timedelta(minutes=60)  # type: ignore[type-var]


async def test_a_campaign_is_not_complete_while_others_wait(ctx: Context) -> None:
    campaign = await create(ctx, await people(ctx, 20), two())
    await run_through()
    await complete_campaigns()
    assert await standing(campaign) == ("sending", None)


async def test_a_test_in_which_nobody_is_ends_and_the_first_variant_wins(ctx: Context) -> None:
    contacts = await people(ctx, 2)
    campaign = await create(ctx, contacts, two(test_percent=1))
    while expected(campaign, contacts) != {None: 2}:
        await in_unit_of_work(lambda id=campaign.id: campaigns.cancel_campaign(ctx, id))  # type: ignore[misc]
        campaign = await create(ctx, contacts, two(test_percent=1))
    await run_through()
    await end_now(campaign)
    await run_through()
    assert await standing(campaign) == ("completed", 1)
    assert await sent(campaign) == {-1: 2}


REFUSED: list[tuple[AbTestOptions, str]] = [
    (AbTestOptions(variants=[VariantOptions(body="A")]), "ab_test.variants"),
    (AbTestOptions(variants=[VariantOptions(body=str(n)) for n in range(6)]), "ab_test.variants"),
    (two(test_percent=0), "ab_test.test_percent"),
    (two(test_percent=101), "ab_test.test_percent"),
    (two(test_minutes=4), "ab_test.test_minutes"),
    (two(test_minutes=10_081), "ab_test.test_minutes"),
    (two(metric="revenue"), "ab_test.metric"),
    (two(variants=[VariantOptions(), VariantOptions(body="Doors open")]), "ab_test.variants[1]"),
    (two(variants=[VariantOptions(), VariantOptions(body="Hi {name")]), "ab_test.variants[1].body"),
    (two(variants=[VariantOptions(), VariantOptions(body=" ")]), "ab_test.variants[1].body"),
    (two(variants=[VariantOptions(), VariantOptions(from_="!!")]), "ab_test.variants[1].from"),
    (
        two(variants=[VariantOptions(body="A", share=50), VariantOptions(body="B")]),
        "ab_test.variants",
    ),
    (
        two(variants=[VariantOptions(body="A", share=50), VariantOptions(body="B", share=49)]),
        "ab_test.variants",
    ),
    (
        two(variants=[VariantOptions(body="A", share=101), VariantOptions(body="B", share=-1)]),
        "ab_test.variants",
    ),
]


@pytest.mark.parametrize(("options", "param"), REFUSED)
async def test_what_is_refused_leaves_no_trace(ctx: Context, options: AbTestOptions, param: str) -> None:
    contacts = await people(ctx, 2)
    with pytest.raises(ApiError) as refused:
        await create(ctx, contacts, options)
    assert refused.value.param == param
    assert await Campaign.all().count() == await Event.all().count() == 0


async def test_a_draft_gets_a_test_and_loses_it_again(ctx: Context) -> None:
    listed = await factories.make_list(ctx, await people(ctx, 4))
    data = CreateCampaign("Cohort 06", "Doors open", list_ids=[listed.id], draft=True)
    draft = await in_unit_of_work(lambda: campaigns.create_campaign(ctx, data))

    async def change(**values: Any) -> Campaign:
        return await in_unit_of_work(lambda: campaigns.update_campaign(ctx, draft.id, UpdateCampaign(**values)))

    changed = await change(ab_test=two(variants=[VariantOptions(), VariantOptions(body=BODIES[1])]))
    assert changed.ab_test is not None
    with pytest.raises(InvalidRequest) as refused:
        await change(body=BODIES[1])
    assert refused.value.param == "ab_test.variants[1]"
    clone = await in_unit_of_work(lambda: campaigns.clone_campaign(ctx, draft.id))
    assert (clone.ab_test, clone.winner, clone.tested_at) == (changed.ab_test, None, None)
    assert (await change(ab_test=None)).ab_test is None
    with pytest.raises(NotFound):
        await in_unit_of_work(lambda: report_ab_test(ctx, draft.id))
    with pytest.raises(Conflict):
        await in_unit_of_work(lambda: choose_winner(ctx, draft.id, variant="A"))


async def test_a_preview_takes_the_longest_variant(live_ctx: Context) -> None:
    listed = await factories.make_list(live_ctx, await people(live_ctx, 3))
    variants = [VariantOptions(), VariantOptions(body="x" * 161, from_="COHORT"), VariantOptions(body="Short")]
    data = PreviewCampaign(
        body="Doors open. Reply STOP to opt out.",
        list_ids=[listed.id],
        ab_test=AbTestOptions(variants=variants, test_percent=50, test_minutes=30),
    )
    found = await in_unit_of_work(lambda: previews.preview_campaign(live_ctx, data))
    assert (found.credits.total, found.credits.maximum, found.from_) == (6, 2, "COHORT")
    assert found.samples[0].body == "x" * 161
    assert found.estimated_seconds >= 30 * 60
    warned = {(each.code, each.param) for each in found.warnings}
    assert ("test_too_small", "ab_test.test_percent") in warned
    assert ("opt_out_words_missing", "ab_test.variants[1].body") in warned
    assert ("opt_out_words_missing", "ab_test.variants[2].body") in warned
    assert ("opt_out_words_missing", "body") not in warned
    assert "test_without_links" not in {code for code, _ in warned}, "it is not compared by clicks"


@pytest.mark.parametrize(
    ("bodies", "shorten", "without"),
    [
        (("https://cohortlabs.co/a", "https://cohortlabs.co/b"), True, None),
        (("https://cohortlabs.co/a", "https://cohortlabs.co/b"), False, "A, B"),
        (("https://cohortlabs.co/a", "cohortlabs.co/b"), True, "B"),
        (("Doors open", "Last seats"), True, "A, B"),
    ],
)
async def test_a_test_by_clicks_says_which_variants_have_no_link(
    ctx: Context, bodies: tuple[str, str], shorten: bool, without: str | None
) -> None:
    listed = await factories.make_list(ctx, await people(ctx, 3))
    test = AbTestOptions(variants=[VariantOptions(body=body) for body in bodies], metric="click")
    data = CreateCampaign("T", "Hi", list_ids=[listed.id], draft=True, shorten_links=shorten, ab_test=test)
    campaign = await in_unit_of_work(lambda: campaigns.create_campaign(ctx, data))
    told = [each["message"] for each in campaign.warnings or () if each["code"] == "test_without_links"]
    assert [message.partition(" variant ")[2].partition(":")[0] for message in told] == ([without] if without else [])


async def test_a_campaign_that_starts_now_is_paid_for_by_its_longest_variant(live_ctx: Context) -> None:
    contacts = await people(live_ctx, 3)
    await db.execute("UPDATE credit_balances SET balance = 5")
    with pytest.raises(ApiError) as refused:
        await create(live_ctx, contacts, two(variants=[VariantOptions(), VariantOptions(body="x" * 161)]))
    assert refused.value.details == {"required": 6, "available": 5}


async def test_a_shortage_pauses_a_test_and_a_top_up_lets_it_go_on(live_ctx: Context) -> None:
    contacts = await people(live_ctx, 20)
    campaign = await create(live_ctx, contacts, two())
    await db.execute("UPDATE credit_balances SET balance = 1")
    await expand_campaigns(SERVICES)
    await dispatch_messages(SERVICES, CARRIERS)
    assert (await standing(campaign))[0] == "paused"
    await db.execute("UPDATE credit_balances SET balance = 1000")
    await run_through()
    assert await standing(campaign) == ("sending", None)
    await end_now(campaign)
    await run_through()
    assert (await standing(campaign))[0] == "completed"
    await check_conservation(live_ctx, campaign.id)


async def test_a_campaign_of_another_workspace_or_mode_is_unknown(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    campaign = await create(ctx, await people(ctx, 10), two())
    await run_through()
    for stranger in (live_ctx, other_ctx):
        with pytest.raises(NotFound):
            await in_unit_of_work(lambda stranger=stranger: choose_winner(stranger, campaign.id, variant="A"))  # type: ignore[misc]
        with pytest.raises(NotFound):
            await in_unit_of_work(lambda stranger=stranger: report_ab_test(stranger, campaign.id))  # type: ignore[misc]
    assert await standing(campaign) == ("sending", None)
    assert await ab_tests.ab_test_reports(other_ctx, [await Campaign.get(id=campaign.id)]) == {}


async def test_a_crash_in_a_chunk_of_the_test_loses_and_doubles_nobody(ctx: Context) -> None:
    contacts = await people(ctx, 20)
    campaign = await create(ctx, contacts, two())
    await expand_campaigns(SERVICES, chunk=1, seconds=0)

    async def die() -> None:
        async with unit_of_work():
            await campaigns.audiences.expand_chunk(SERVICES, campaign.id, limit=3, now=await db.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    while await expand_once(SERVICES, campaign.id, 3):
        pass
    wanted = expected(campaign, contacts)
    assert await sent(campaign) == Counter({1: wanted[1], 2: wanted[2]})
    assert await phones_once(campaign.id)


async def phones_once(campaign_id: UUID) -> bool:
    phones = await Message.filter(campaign_id=campaign_id).values_list("to_phone", flat=True)
    return len(phones) == len(set(phones))
