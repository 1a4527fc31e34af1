"""A campaign's numbers, from the tallies that triggers keep."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msvs.api.resources import CampaignStats
from msvs.database import execute, fetch, fetch_value

# Recipients in these states may still change; a campaign is complete when none is left in them.
OPEN_STATES = ("scheduled", "queued", "sending", "sent")


async def campaign_stats(campaign_ids: Sequence[UUID]) -> dict[UUID, CampaignStats]:
    """Return the stats of campaigns, by id. The caller has checked whose they are."""
    stats = {campaign_id: CampaignStats() for campaign_id in campaign_ids}
    if not stats:
        return stats
    tallies = await fetch(
        "SELECT campaign_id, status, sum(messages)::bigint AS messages, sum(credits)::bigint AS credits"
        " FROM campaign_tallies WHERE campaign_id = ANY($1) GROUP BY campaign_id, status",
        list(stats),
    )
    for row in tallies:
        found = stats[row.campaign_id]
        found.recipients += row.messages
        found.credits_used += row.credits
        if row.status == "unreported":
            found.sent += row.messages
        elif row.status == "replied":
            found.replied += row.messages
            found.delivered += row.messages
        else:
            setattr(found, row.status, getattr(found, row.status) + row.messages)
    for row in await fetch(
        "SELECT campaign_id, count(*) AS messages FROM messages"
        " WHERE campaign_id = ANY($1) AND opted_out GROUP BY campaign_id",
        list(stats),
    ):
        stats[row.campaign_id].opted_out = row.messages
    return stats


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
FOLD = """
WITH taken AS (
    DELETE FROM campaign_tallies WHERE id = ANY (ARRAY(
        SELECT id FROM campaign_tallies WHERE campaign_id = $1 LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING status, messages, credits
)
INSERT INTO campaign_tallies (campaign_id, status, messages, credits)
SELECT $1, status, sum(messages), sum(credits) FROM taken GROUP BY status
HAVING sum(messages) <> 0 OR sum(credits) <> 0
"""
FOLD_BATCH = 5000


async def fold_tallies(*, more_than: int = 50) -> int:
    """Merge the deltas of campaigns that have many. Return how many campaigns. Their sums never change.

    Each campaign is one statement, and so a transaction where none is open.
    """
    campaigns = await fetch(FIND_UNFOLDED, more_than, FOLD_BATCH)
    for row in campaigns:
        await execute(FOLD, row.campaign_id, FOLD_BATCH)
    return len(campaigns)
