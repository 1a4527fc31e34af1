"""The statistics of a campaign, from the tallies that triggers keep."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from msvs.api.dispatch.open_months import EVERYWHERE, between, months_of, recent
from msvs.api.resources import CampaignStats, RevenueResource
from msvs.database import execute, fetch, fetch_value

# Recipients in these states may still change; a campaign is complete when none is left in them.
OPEN_STATES = ("scheduled", "queued", "sending", "sent")

# How many opted out comes without a status; of clicks, those of one message count once in place of credits. What links
# were clicked is tallied for good, as the links themselves go with their messages. Revenue comes with its currency, in
# place of a status: its conversions, and what they brought; then the messages with one, and what was refunded.
STATS = """
SELECT campaign_id, status, sum(messages)::bigint AS messages, sum(credits)::bigint AS credits
FROM campaign_tallies WHERE campaign_id = ANY($1) GROUP BY campaign_id, status
UNION ALL
SELECT campaign_id, NULL, count(*), 0 FROM messages
WHERE campaign_id = ANY($1) AND opted_out AND {in_months} GROUP BY campaign_id
UNION ALL
SELECT campaign_id, 'clicks', sum(clicks)::bigint, sum(first_clicks)::bigint FROM click_tallies
WHERE campaign_id = ANY($1) GROUP BY campaign_id
UNION ALL
SELECT campaign_id, figure || currency, sum(count)::bigint, sum(amount)::bigint
FROM conversion_tallies CROSS JOIN LATERAL (
    VALUES ('revenue ', conversions, value), ('refunded ', messages, refunded_value)
) AS figures (figure, count, amount)
WHERE campaign_id = ANY($1) GROUP BY campaign_id, figure, currency
"""
# The same of one campaign, as a column of another statement.
TALLIES = """(
    SELECT coalesce(jsonb_agg(jsonb_build_array(status, messages, credits)), '[]'::jsonb) FROM (
        SELECT status, sum(messages) AS messages, sum(credits) AS credits
        FROM campaign_tallies WHERE campaign_id = $1 GROUP BY status
        UNION ALL
        SELECT NULL, count(*), 0 FROM messages WHERE campaign_id = $1 AND opted_out AND {in_months}
        UNION ALL
        SELECT 'clicks', coalesce(sum(clicks), 0), coalesce(sum(first_clicks), 0) FROM click_tallies
        WHERE campaign_id = $1
        UNION ALL
        SELECT figure || currency, sum(count), sum(amount)
        FROM conversion_tallies CROSS JOIN LATERAL (
            VALUES ('revenue ', conversions, value), ('refunded ', messages, refunded_value)
        ) AS figures (figure, count, amount)
        WHERE campaign_id = $1 GROUP BY figure, currency
    ) AS tallies
)"""
# Of the variants of campaigns: below 0, those who got it as the winner.
VARIANT_STATS = """
SELECT campaign_id, variant, status, sum(messages)::bigint AS messages, sum(credits)::bigint AS credits
FROM campaign_tallies WHERE campaign_id = ANY($1) AND variant IS NOT NULL GROUP BY campaign_id, variant, status
UNION ALL
SELECT campaign_id, variant, NULL, count(*), 0 FROM messages
WHERE campaign_id = ANY($1) AND opted_out AND variant IS NOT NULL AND {in_months} GROUP BY campaign_id, variant
UNION ALL
SELECT campaign_id, variant, 'clicks', sum(clicks)::bigint, sum(first_clicks)::bigint FROM click_tallies
WHERE campaign_id = ANY($1) AND variant <> 0 GROUP BY campaign_id, variant
UNION ALL
SELECT campaign_id, variant, figure || currency, count, amount
FROM conversion_tallies CROSS JOIN LATERAL (
    VALUES ('revenue ', conversions, value), ('refunded ', messages, refunded_value)
) AS figures (figure, count, amount)
WHERE campaign_id = ANY($1) AND variant <> 0
"""
REVENUE, REFUNDED = "revenue ", "refunded "
Tally = tuple[str | None, int, int]


async def campaign_stats(campaign_ids: Sequence[UUID]) -> dict[UUID, CampaignStats]:
    """Return the stats of campaigns, by id. The caller has checked whose they are."""
    books = {campaign_id: Books() for campaign_id in campaign_ids}
    if books:
        for row in await fetch(in_months_of(campaign_ids, STATS), list(books)):
            books[row.campaign_id].add(row.status, row.messages, row.credits)
    return {campaign_id: found.stats for campaign_id, found in books.items()}


class Books:
    """The sums of tallies, from which stats are made."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        # Currency → conversions, gross and refunded, the latter two in its smallest unit.
        self._revenue: dict[str, tuple[int, int, int]] = {}

    def add(self, status: str | None, messages: int, credits: int) -> None:
        """Take in a tally."""
        counts = self._counts
        if status is None:
            counts["opted_out"] += messages
        elif status == "clicks":
            counts.update(clicks=messages, unique_clicks=credits)
        elif status.startswith(REVENUE):
            counts["conversions"] += messages
            self._add_revenue(status.removeprefix(REVENUE), messages, credits, 0)
        elif status.startswith(REFUNDED):
            counts["converted"] += messages
            self._add_revenue(status.removeprefix(REFUNDED), 0, 0, credits)
        else:
            counts.update(recipients=messages, credits_used=credits)
            for name in STATUS_COUNTS.get(status, (status,)):
                counts[name] += messages

    def _add_revenue(self, currency: str, conversions: int, gross: int, refunded: int) -> None:
        before = self._revenue.get(currency, (0, 0, 0))
        self._revenue[currency] = (before[0] + conversions, before[1] + gross, before[2] + refunded)

    def __add__(self, other: Books) -> Books:
        """Return the sums of both."""
        both = Books()
        for each in (self, other):
            both._counts.update(each._counts)
            for currency, sums in each._revenue.items():
                both._add_revenue(currency, *sums)
        return both

    @property
    def stats(self) -> CampaignStats:
        """The stats, with the rates that follow from the sums."""
        stats = CampaignStats()
        for name, count in self._counts.items():
            setattr(stats, name, count)
        reached = stats.sent + stats.delivered
        stats.conversion_rate = stats.converted / reached if reached else 0.0
        stats.revenue = [
            RevenueResource(
                currency=currency,
                conversions=conversions,
                gross=gross,
                refunded=refunded,
                net=gross - refunded,
                per_recipient=(gross - refunded) / reached if reached else 0.0,
            )
            for currency, (conversions, gross, refunded) in sorted(self._revenue.items())
        ]
        return stats


# The status of a tally → what it counts as, where that is not the status alone.
STATUS_COUNTS = {"unreported": ("sent",), "replied": ("replied", "delivered")}


class VariantBooks:
    """The stats of each variant of a campaign: of those in its test, and of those who got it as the winner."""

    def __init__(self) -> None:
        self._books: defaultdict[int, Books] = defaultdict(Books)

    def add(self, variant: int, status: str | None, messages: int, credits: int) -> None:
        """Take in a tally."""
        self._books[variant].add(status, messages, credits)

    def tested(self, variant: int) -> CampaignStats:
        """Return the stats of who got a variant in the test."""
        return self._books[variant].stats

    def all_of(self, variant: int) -> CampaignStats:
        """Return the stats of everybody who got a variant."""
        return (self._books[variant] + self._books[-variant]).stats


async def variant_books(campaign_ids: Sequence[UUID]) -> dict[UUID, VariantBooks]:
    """Return the books of the variants of campaigns, by id. The caller has checked whose they are."""
    books = {campaign_id: VariantBooks() for campaign_id in campaign_ids}
    if books:
        for row in await fetch(in_months_of(campaign_ids, VARIANT_STATS), list(books)):
            books[row.campaign_id].add(row.variant, row.status, row.messages, row.credits)
    return books


def stats_of(tallies: Iterable[Tally]) -> CampaignStats:
    """Return the stats of a campaign from its TALLIES."""
    books = Books()
    for status, messages, credits in tallies:
        books.add(status, messages, credits)
    return books.stats


def in_months_of(campaign_ids: Sequence[UUID], statement: str) -> str:
    """Return a statement that opens no month from before these campaigns were made."""
    first = months_of(campaign_ids).since
    return between(statement, EVERYWHERE if first is None else recent(first))


async def count_open(campaign_id: UUID) -> int:
    """Return how many recipients of a campaign may still change."""
    count = await fetch_value(
        "SELECT coalesce(sum(messages), 0)::bigint FROM campaign_tallies WHERE campaign_id = $1 AND status = ANY($2)",
        campaign_id,
        list(OPEN_STATES),
    )
    return int(count)


# Of the newest deltas, as what is older was looked at when it was new: settled campaigns cost nothing.
FIND_UNFOLDED = """
SELECT recent.campaign_id FROM (
    SELECT DISTINCT campaign_id FROM (SELECT campaign_id FROM campaign_tallies ORDER BY id DESC LIMIT $2) AS newest
) AS recent
WHERE (SELECT count(*) FROM (
    SELECT FROM campaign_tallies WHERE campaign_id = recent.campaign_id LIMIT $1 + 1
) AS deltas) > $1
"""
FOLD_TALLIES = """
WITH taken AS (
    DELETE FROM campaign_tallies WHERE id = ANY (ARRAY(
        SELECT id FROM campaign_tallies WHERE campaign_id = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING status, variant, messages, credits
)
INSERT INTO campaign_tallies (campaign_id, status, variant, messages, credits)
SELECT $1, status, variant, sum(messages), sum(credits) FROM taken GROUP BY status, variant
HAVING sum(messages) <> 0 OR sum(credits) <> 0
"""
FOLD_BATCH = 5000


async def fold_tallies(*, more_than: int = 50) -> int:
    """Merge the deltas of campaigns that have many. Return the number of campaigns. Their sums never change.

    Each campaign is one statement, and so a transaction where none is open.
    """
    campaigns = await fetch(FIND_UNFOLDED, more_than, FOLD_BATCH)
    for row in campaigns:
        await execute(FOLD_TALLIES, row.campaign_id, FOLD_BATCH)
    return len(campaigns)
