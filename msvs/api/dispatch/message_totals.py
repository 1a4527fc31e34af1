"""Totals of messages by status, counted from their events, so that traffic writes no counter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msvs.api.dispatch.open_months import months_of
from msvs.database import Row, execute, fetch, fetch_row, fetch_value

# Event → the label of its total.
COUNTED = {f"message.{status}": status for status in ("sent", "delivered", "failed", "replied", "canceled", "skipped")}
# Events commit a little after their ids are made.
SETTLED_AFTER = timedelta(minutes=1)
# What one count reads at most: after a pause of maintenance the next ones catch up.
AT_ONCE = timedelta(minutes=10)

BEGIN_TOTALS = "INSERT INTO message_totals_until (until) VALUES (now() - $1::interval) ON CONFLICT DO NOTHING"
FIND_NEXT_SPAN = """
SELECT id_floor(until) AS since, id_floor(least(now() - $1::interval, until + $2::interval)) AS until
FROM message_totals_until WHERE until < now() - $1::interval FOR UPDATE SKIP LOCKED
"""
MOVE_TOTALS_ON = "UPDATE message_totals_until SET until = least(now() - $1::interval, until + $2::interval)"
ADD_TO_TOTALS = """
WITH counted AS (
    INSERT INTO message_totals (livemode, status, messages)
    SELECT livemode, kind.status, count(*) FROM events
    JOIN unnest($3::varchar[], $4::varchar[]) AS kind (type, status) ON kind.type = events.type
    WHERE events.id >= $1 AND events.id < $2 AND {in_months} GROUP BY 1, 2
    ON CONFLICT (livemode, status) DO UPDATE SET messages = message_totals.messages + excluded.messages
    RETURNING 1
)
SELECT count(*) FROM counted
"""
TOTALS = """
SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END AS mode, kind.status, coalesce(messages, 0) AS value
FROM (VALUES (true), (false)) AS modes (livemode) CROSS JOIN unnest($1::varchar[]) AS kind (status)
LEFT JOIN message_totals USING (livemode, status) ORDER BY 1, 2
"""


async def count_messages() -> int:
    """Add the events since the last count to the totals, in the current transaction; return how many totals grew."""
    await execute(BEGIN_TOTALS, SETTLED_AFTER)
    span = await fetch_row(FIND_NEXT_SPAN, SETTLED_AFTER, AT_ONCE)
    if span is None:
        return 0
    statement = ADD_TO_TOTALS.format(in_months=months_of((span.since, span.until)).of("events"))
    grown = await fetch_value(statement, span.since, span.until, list(COUNTED), list(COUNTED.values()))
    await execute(MOVE_TOTALS_ON, SETTLED_AFTER, AT_ONCE)
    return int(grown)


async def message_totals() -> Sequence[Row]:
    """Return every total by `mode` and `status`, also those that are zero."""
    return await fetch(TOTALS, list(COUNTED.values()))
