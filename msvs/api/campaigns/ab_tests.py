"""A/B tests of campaigns: end the test, choose the winner for the rest, and keep the books a variant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol
from uuid import UUID

from msvs.api import ids
from msvs.api.campaigns.campaigns import get_campaign
from msvs.api.campaigns.significance import Sample, Significance, best_of, compare
from msvs.api.campaigns.variants import read_variant
from msvs.api.context import Context
from msvs.api.dispatch.campaign_events import record_campaign_event
from msvs.api.dispatch.campaign_stats import VariantBooks, variant_books
from msvs.api.dispatch.open_months import between, look
from msvs.api.errors import Conflict, ErrorCode
from msvs.api.permissions import Permission, allow
from msvs.api.resources import (
    AbTestResource,
    CampaignStats,
    Resource,
    VariantResource,
    ab_test_resource,
)
from msvs.api.scope import find
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType
from msvs.database import fetch, fetch_row
from msvs.fields import Request, about
from msvs.models import Campaign, CampaignStatus, rows
from msvs.models.campaigns import VARIANTS, AbTest, Metric


class WinnerChoice(Request, frozen=True, kw_only=True):
    """The variant that the rest of the audience gets."""

    variant: Annotated[str, about("Its name.", example="B", enum=[*VARIANTS])]


class SampleResource(Resource, kw_only=True):
    """What came of a variant in the test, by the metric."""

    messages: Annotated[
        int,
        about(
            "The size of the sample: for `delivery`, messages that were delivered, failed or are on their way at the"
            " carrier; for `click`, `reply` and `conversion`, those that it accepted and that have not failed.",
            example=1240,
        ),
    ]
    successes: Annotated[
        int, about("How many of them were delivered, clicked, replied to or followed by a conversion.", example=87)
    ]
    rate: Annotated[float, about("Successes by messages; 0 of none.", example=0.07016)]


class VariantReport(VariantResource, kw_only=True):
    """A variant with its books: `stats` over all who got it, `test` over those in the test."""

    stats: CampaignStats
    test: CampaignStats
    sample: SampleResource


class SignificanceResource(Resource, kw_only=True):
    """Whether the variants differ by more than chance, by Pearson's chi-square test over the samples.

    The statistic is computed exactly; with two variants it is the square of the z of a test of two proportions.
    """

    statistic: Annotated[float, about("The chi-square statistic.", example=6.21)]
    degrees_of_freedom: Annotated[int, about("One less than the variants with messages.", example=1)]
    p_value: Annotated[
        float, about("How often equally good variants would differ this much by chance.", example=0.0127)
    ]
    sample_sizes: Annotated[list[int], about("The messages of each variant, A first.", example=[1240, 1251])]
    enough: Annotated[
        bool, about("Whether the samples are large enough for the test: at least 5 expected of each outcome.")
    ]
    significant: Annotated[bool, about("Whether they are, and the p-value is below 0.05.")]
    meaning: Annotated[
        str,
        about(
            "The same, in English.",
            example="Variant B leads. Were the variants equally good, they would differ this much in 1.3% of tests"
            " (samples of 1240 and 1251 messages).",
        ),
    ]


class AbTestReport(AbTestResource, kw_only=True):
    """The A/B test of a campaign with the books of each variant."""

    id: str
    object: Literal["ab_test"] = "ab_test"
    variants: Annotated[list[VariantReport], about("The variants, A first.")]  # type: ignore[assignment]
    leader: Annotated[
        str, about("The variant with the highest rate in the test; of equal ones the first.", enum=[*VARIANTS])
    ]
    significance: SignificanceResource


async def report_ab_test(ctx: Context, id: UUID) -> AbTestReport:
    """Return the A/B test of a campaign, with its books. Raises NotFound, also where the campaign has none."""
    campaign = await get_campaign(ctx, id)
    reports = await ab_test_reports(ctx, [campaign])
    if campaign.id not in reports:
        raise ids.missing("A/B test", ids.encode_id(ids.CAMPAIGN, id))
    return reports[campaign.id]


async def ab_test_reports(ctx: Context, campaigns: Sequence[rows.CampaignRow]) -> dict[UUID, AbTestReport]:
    """Return the A/B tests of those of the caller's campaigns that have one, by campaign."""
    tested = {row.id: row for row in campaigns if row.workspace_id == ctx.workspace_id and row.ab_test is not None}
    books = await variant_books(list(tested))
    return {id: _report(row, row.ab_test, books[id]) for id, row in tested.items() if row.ab_test is not None}


def _report(row: rows.CampaignRow, test: AbTest, books: VariantBooks) -> AbTestReport:
    shown = ab_test_resource(row, test)
    samples = samples_of(test, books)
    variants = [
        VariantReport(
            variant=variant.variant,
            body=variant.body,
            from_=variant.from_,
            share=variant.share,
            stats=books.all_of(number),
            test=books.tested(number),
            sample=SampleResource(messages=sample.messages, successes=sample.successes, rate=float(sample.rate)),
        )
        for number, (variant, sample) in enumerate(zip(shown.variants, samples, strict=True), start=1)
    ]
    leader = VARIANTS[best_of(samples)]
    return AbTestReport(
        id=ids.encode_id(ids.CAMPAIGN, row.id),
        variants=variants,
        test_percent=shown.test_percent,
        metric=shown.metric,
        test_minutes=shown.test_minutes,
        tested_at=shown.tested_at,
        ends_at=shown.ends_at,
        winner=shown.winner,
        winner_chosen_at=shown.winner_chosen_at,
        winner_chosen_by=shown.winner_chosen_by,
        leader=leader,
        significance=_significance(compare(samples), samples, leader),
    )


def _significance(found: Significance, samples: Sequence[Sample], leader: str) -> SignificanceResource:
    sizes = [sample.messages for sample in samples]
    counted = f"(samples of {', '.join(map(str, sizes[:-1]))} and {sizes[-1]} messages)"
    if not found.is_enough:
        meaning = f"There are too few messages yet to tell the variants apart {counted}."
    else:
        percent = f"{found.p_value * 100:.2g}" if found.p_value >= 0.0001 else "less than 0.01"
        start = f"Variant {leader} leads." if found.is_significant else "The difference may well be chance."
        chance = f"Were the variants equally good, they would differ this much in {percent}% of tests"
        meaning = f"{start} {chance} {counted}."
    return SignificanceResource(
        statistic=float(found.statistic),
        degrees_of_freedom=found.degrees_of_freedom,
        p_value=found.p_value,
        sample_sizes=sizes,
        enough=found.is_enough,
        significant=found.is_significant,
        meaning=meaning,
    )


def samples_of(test: AbTest, books: VariantBooks) -> list[Sample]:
    """Return what came of each variant in its test, by the metric."""
    return [_sample(test["metric"], books.tested(number)) for number in range(1, len(test["variants"]) + 1)]


def _sample(metric: str, stats: CampaignStats) -> Sample:
    taken = stats.sent + stats.delivered
    if metric == Metric.CLICK:
        # A click may come from a message whose report says that it failed.
        return Sample(min(stats.unique_clicks, taken), taken)
    if metric == Metric.CONVERSION:
        return Sample(min(stats.converted, taken), taken)
    if metric == Metric.REPLY:
        return Sample(stats.replied, taken)
    return Sample(stats.delivered, taken + stats.failed)


# The last of what waits, by the index of its lane, and how many wait.
FIND_LAST_DUE = """
SELECT max(due_at) AS last, count(*) AS number FROM messages
WHERE status = 'queued' AND campaign_id = $1 AND {in_months}
"""


async def end_test(campaign: Campaign, now: datetime) -> None:
    """Have the rest of an audience wait for the winner: the last message of the test is queued. The caller holds it."""
    assert campaign.ab_test is not None, "only a campaign with variants has a test"
    campaign.status = CampaignStatus.SENDING
    campaign.tested_at = now
    minutes = campaign.ab_test["minutes"]
    if minutes is not None:
        _, months = await look()
        (waiting,) = await fetch(_Waiting, between(FIND_LAST_DUE, months), campaign.id)
        paced = now + timedelta(seconds=waiting.number * campaign.interval_seconds)
        campaign.test_ends_at = max(waiting.last or now, paced, now) + timedelta(minutes=minutes)
    await campaign.save(update_fields=["status", "tested_at", "test_ends_at"])
    await record_campaign_event(EventType.CAMPAIGN_TESTED, campaign, now)


class _Waiting(Protocol):
    last: datetime | None
    number: int


# The choice is this statement: of two at once, the later finds a winner. A campaign that is paused stays so, and goes
# on with the winner.
CHOOSE_WINNER = """
UPDATE campaigns SET winner = $4, winner_chosen_at = $5, is_winner_picked = $6,
    status = CASE WHEN status = 'paused' THEN status ELSE 'preparing' END,
    resume_status = CASE WHEN status = 'paused' THEN 'preparing' ELSE resume_status END
WHERE id = $1 AND workspace_id = $2 AND livemode = $3 AND ab_test IS NOT NULL AND winner IS NULL
    AND tested_at IS NOT NULL AND dispatched_at IS NULL
    AND (status = 'sending' OR ($6 AND status = 'paused' AND resume_status = 'sending'))
RETURNING *
"""


async def choose_winner(ctx: Context, id: UUID, *, variant: str) -> rows.CampaignRow:
    """Choose the variant that the rest of a campaign's audience gets. Raises NotFound, InvalidRequest, Conflict."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    campaign = await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign")
    if campaign.ab_test is None:
        raise Conflict("The campaign has no variants.", code=ErrorCode.AB_TEST_STATE)
    number = read_variant(campaign.ab_test, variant)
    chosen = await _choose(campaign, number, ctx.services.clock(), is_picked=True)
    if chosen is None:
        campaign = await get_campaign(ctx, id)
        raise Conflict(_why_not(campaign), code=ErrorCode.AB_TEST_STATE)
    return chosen


def _why_not(campaign: Campaign) -> str:
    if campaign.winner is not None:
        return f"Variant {VARIANTS[campaign.winner - 1]} was chosen already."
    if campaign.tested_at is None:
        return "The test is not out yet: the winner can be chosen once its last message is queued."
    return "Nobody of the audience waits for a winner."


async def _choose(
    campaign: rows.CampaignRow, variant: int, now: datetime, *, is_picked: bool
) -> rows.CampaignRow | None:
    scope = (campaign.id, campaign.workspace_id, campaign.livemode)
    row = await fetch_row(rows.CampaignRow, CHOOSE_WINNER, *scope, variant, now, is_picked)
    if row is None:
        return None
    await record_campaign_event(EventType.CAMPAIGN_WINNER_CHOSEN, row, now)
    notify_after_commit(WorkQueue.CAMPAIGNS)
    return row


FIND_ENDED_TESTS = """
SELECT * FROM campaigns WHERE status IN ('scheduled', 'preparing', 'sending', 'paused') AND status = 'sending'
    AND winner IS NULL AND test_ends_at <= $1 ORDER BY id
"""


async def ended_tests(now: datetime) -> Sequence[rows.CampaignRow]:
    """Return the campaigns whose winner is to be chosen by now, the oldest first."""
    return await fetch(rows.CampaignRow, FIND_ENDED_TESTS, now)


async def choose_best(campaign: rows.CampaignRow, now: datetime) -> bool:
    """Choose the variant with the best rate in its test; of equal ones the first. Return whether this call did."""
    assert campaign.ab_test is not None, "only a campaign with variants has a test"
    books = (await variant_books([campaign.id]))[campaign.id]
    best = best_of(samples_of(campaign.ab_test, books)) + 1
    return await _choose(campaign, best, now, is_picked=False) is not None
