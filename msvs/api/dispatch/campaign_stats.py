"""The statistics of a campaign, from the tallies that triggers keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from msvs.api.dispatch.open_months import EVERYWHERE, between, months_of, recent
from msvs.api.resources import CampaignStats
from msvs.database import execute, fetch, fetch_value

# Recipients in these states may still change; a campaign is complete when none is left in them.
OPEN_STATES = ("scheduled", "queued", "sending", "sent")

# How many opted out comes without a status; of clicks, those of one message count once in place of credits. What links
# were clicked is tallied for good, as the links themselves go with their messages.
STATS = """
SELECT campaign_id, status, sum(messages)::bigint AS messages, sum(credits)::bigint AS credits
FROM campaign_tallies WHERE campaign_id = ANY($1) GROUP BY campaign_id, status
UNION ALL
SELECT campaign_id, NULL, count(*), 0 FROM messages
WHERE campaign_id = ANY($1) AND opted_out AND {in_months} GROUP BY campaign_id
UNION ALL
SELECT campaign_id, 'clicks', sum(clicks)::bigint, sum(first_clicks)::bigint FROM click_tallies
WHERE campaign_id = ANY($1) GROUP BY campaign_id
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
"""
Tally = tuple[str | None, int, int]


async def campaign_stats(campaign_ids: Sequence[UUID]) -> dict[UUID, CampaignStats]:
    """Return the stats of campaigns, by id. The caller has checked whose they are."""
    stats = {campaign_id: CampaignStats() for campaign_id in campaign_ids}
    if not stats:
        return stats
    for row in await fetch(in_months_of(campaign_ids, STATS), list(stats)):
        _add(stats[row.campaign_id], row.status, row.messages, row.credits)
    return stats


class VariantBooks:
    """The stats of each variant of a campaign: of those in its test, and of those who got it as the winner."""

    def __init__(self) -> None:
        self._stats: dict[int, CampaignStats] = {}

    def add(self, variant: int, status: str | None, messages: int, credits: int) -> None:
        """Take in a tally."""
        _add(self._stats.setdefault(variant, CampaignStats()), status, messages, credits)

    def tested(self, variant: int) -> CampaignStats:
        """Return the stats of who got a variant in the test."""
        return self._stats.get(variant, CampaignStats())

    def all_of(self, variant: int) -> CampaignStats:
        """Return the stats of everybody who got a variant."""
        found, rest = self.tested(variant), self.tested(-variant)
        names = CampaignStats.__struct_fields__
        return CampaignStats(**{name: getattr(found, name) + getattr(rest, name) for name in names})


async def variant_books(campaign_ids: Sequence[UUID]) -> dict[UUID, VariantBooks]:
    """Return the books of the variants of campaigns, by id. The caller has checked whose they are."""
    books = {campaign_id: VariantBooks() for campaign_id in campaign_ids}
    if books:
        for row in await fetch(in_months_of(campaign_ids, VARIANT_STATS), list(books)):
            books[row.campaign_id].add(row.variant, row.status, row.messages, row.credits)
    return books


def stats_of(tallies: Iterable[Tally]) -> CampaignStats:
    """Return the stats of a campaign from its TALLIES."""
    stats = CampaignStats()
    for status, messages, credits in tallies:
        _add(stats, status, messages, credits)
    return stats


def _add(stats: CampaignStats, status: str | None, messages: int, credits: int) -> None:
    if status is None:
        stats.opted_out = messages
        return
    if status == "clicks":
        stats.clicks, stats.unique_clicks = messages, credits
        return
    stats.recipients += messages
    stats.credits_used += credits
    if status == "unreported":
        stats.sent += messages
    elif status == "replied":
        stats.replied += messages
        stats.delivered += messages
    else:
        setattr(stats, status, getattr(stats, status) + messages)


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
