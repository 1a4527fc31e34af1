"""Reconcile a campaign: count its recipients, credits and events again from the tables, in one statement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.messages.statistics import ID_MARGIN
from msvs.api.resources import Resource, moment
from msvs.api.scope import find
from msvs.database import Row, fetch_row, fetch_value
from msvs.fields import about
from msvs.models import Campaign, CampaignStatus, MessageStatus

STATES = tuple(status.value for status in MessageStatus if status is not MessageStatus.SCHEDULED)
# `unreported` is `sent` whose report never came: the tallies keep it apart, because it cannot change any more.
TALLIES = (*STATES, "unreported")

# What each kind of event says of a message's row. A recipient without segments was skipped before it was queued.
EVENT_FACTS: Mapping[str, str] = {
    "queued": "NOT (status = 'skipped' AND cost = 0)",
    "skipped": "status = 'skipped'",
    "sent": "sent_at IS NOT NULL",
    "delivered": "delivered_at IS NOT NULL",
    "failed": "failed_at IS NOT NULL",
    "canceled": "canceled_at IS NOT NULL",
    "replied": "replied_at IS NOT NULL",
}
CAMPAIGN_EVENTS: Mapping[str, str] = {
    "started": "started_at",
    "dispatched": "dispatched_at",
    "completed": "completed_at",
    "canceled": "canceled_at",
}

# Credits are held from the claim on: by what the carrier has or may have, and by what it asked to bring again later.
HOLDS_CREDITS = (
    "(status IN ('sending', 'sent', 'delivered', 'replied') OR sent_at IS NOT NULL"
    " OR (status = 'queued' AND attempt_count > 0))"
)
# Between the claim and its outcome nobody can say whether the carrier has the message.
IS_SETTLED = "status <> 'sending'"
IS_CAPTURED = "(reserves = 1 AND captures = 1 AND releases = 0 AND moved = -cost)"
IS_GIVEN_BACK = "(reserves > 0 AND sent_at IS NULL AND credits_used = 0)"
IS_RELEASED = "(reserves = 1 AND captures = 0 AND releases = 1 AND moved = 0)"


def _reference_sql(column: str) -> str:
    """Return the ledger's name of a message (its public id) as an SQL expression over its UUID."""
    high, low = (f"('x' || substr(replace({column}::text, '-', ''), {start}, 16))::bit(64)::int8" for start in (1, 17))
    characters = []
    for shift in range(125, -1, -5):
        if shift >= 64:
            value = f"(high >> {shift - 64}) & {7 if shift == 125 else 31}"
        elif shift == 60:
            value = "((high & 1) << 4) | ((low >> 60) & 15)"
        else:
            value = f"(low >> {shift}) & 31"
        characters.append(f"substr('{ids.ALPHABET}', 1 + ({value})::int, 1)")
    return (
        f"(SELECT '{ids.MESSAGE}_' || {' || '.join(characters)}"
        f" FROM (SELECT {high} AS high, {low} AS low OFFSET 0) AS halves)"
    )


def _event_columns() -> str:
    return ", ".join(
        [
            *(_count(f"{name}_events", f"type = 'message.{name}'") for name in EVENT_FACTS),
            *(_count(f"own_{name}", f"type = 'campaign.{name}'") for name in CAMPAIGN_EVENTS),
        ]
    )


def _count(name: str, condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition}) AS {name}"


def _event_totals() -> str:
    columns = []
    for name, fact in EVENT_FACTS.items():
        columns.append(_count(f"{name}_rows", fact))
        columns.append(_count(f"{name}_found", f"{name}_events > 0"))
        columns.append(_count(f"{name}_off", f"({fact}) <> ({name}_events > 0)"))
    return ", ".join(columns)


# One statement is one snapshot, so a campaign can be checked while it runs. What belongs to a message is stacked and
# grouped, or looked up by index: nothing here depends on the planner's guess of how many rows there are.
_FACTS = ", ".join(f"max({name}_events) AS {name}_events" for name in EVENT_FACTS)
_NO_EVENTS = ", ".join(f"0::bigint AS {name}_events" for name in EVENT_FACTS)
_ONCE = " + ".join(f"greatest({name}_events - 1, 0)" for name in EVENT_FACTS if name != "replied")
_TALLIED = ", ".join(
    f"coalesce(sum(messages) FILTER (WHERE status = '{tally}'), 0)::bigint AS {tally}_tally" for tally in TALLIES
)
RECONCILE = f"""
WITH campaign AS (
    SELECT * FROM campaigns WHERE id = $1 AND workspace_id = $2 AND livemode = $3
), recipients AS MATERIALIZED (
    SELECT id, to_phone, status::text AS status, tally_status(status, delivery)::text AS tally,
        segments * price AS cost, credits_used, attempt_count, carrier, sent_at, delivered_at, failed_at,
        canceled_at, replied_at
    FROM messages WHERE campaign_id = $1 AND workspace_id = $2 AND livemode = $3
), occurred AS MATERIALIZED (
    SELECT resource_id, {_event_columns()}
    FROM events
    WHERE workspace_id = $2 AND livemode = $3 AND id >= $4 AND id < $5 AND (type LIKE 'message.%' OR resource_id = $1)
    GROUP BY resource_id
), stacked AS (
    SELECT true AS is_message, recipients.*, {_NO_EVENTS} FROM recipients
    UNION ALL
    SELECT false, resource_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
        {", ".join(f"{name}_events" for name in EVENT_FACTS)} FROM occurred
), facts AS MATERIALIZED (
    SELECT id, max(status) AS status, max(tally) AS tally, max(cost) AS cost,
        max(credits_used) AS credits_used, max(attempt_count) AS attempt_count, max(carrier) AS carrier,
        max(sent_at) AS sent_at, max(delivered_at) AS delivered_at, max(failed_at) AS failed_at,
        max(canceled_at) AS canceled_at, max(replied_at) AS replied_at, {_FACTS}
    FROM stacked GROUP BY id HAVING bool_or(is_message) ORDER BY id
), books AS (
    SELECT facts.*, ledger.*, log.submissions, again.resends
    FROM facts
    CROSS JOIN LATERAL (
        SELECT {_count("reserves", "kind = 'reserve'")}, {_count("captures", "kind = 'capture'")},
            {_count("releases", "kind = 'release'")}, coalesce(sum(amount), 0)::bigint AS moved
        FROM ledger_entries
        WHERE workspace_id = $2 AND kind IN ('reserve', 'capture', 'release') AND reference = {
    _reference_sql("facts.id")
}
    ) AS ledger
    CROSS JOIN LATERAL (
        SELECT count(*) AS submissions FROM virtual_submissions WHERE message_id = facts.id
    ) AS log
    CROSS JOIN LATERAL (
        SELECT count(*) AS resends FROM message_attempts
        WHERE facts.attempt_count > 1 AND message_id = facts.id AND is_resend
            AND coalesce(outcome, 'unknown') IN ('accepted', 'unknown')
    ) AS again
), totals AS (
    SELECT count(*) AS recipients, {", ".join(_count(f"{tally}_state", f"tally = '{tally}'") for tally in TALLIES)},
        {_event_totals()}, coalesce(sum({_ONCE}), 0)::bigint AS repeated_events,
        coalesce(sum(replied_events), 0)::bigint AS reply_events,
        coalesce(sum(cost) FILTER (WHERE {HOLDS_CREDITS}), 0)::bigint AS held_cost,
        coalesce(sum(credits_used), 0)::bigint AS credits_used,
        {_count("credits_off", f"credits_used <> CASE WHEN {HOLDS_CREDITS} THEN cost ELSE 0 END")},
        {_count("reserved", "credits_used > 0")}, -coalesce(sum(moved), 0)::bigint AS ledger_credits,
        {_count("ledger_off", "moved <> -credits_used")},
        {_count("captured", "captures > 0")},
        {_count("capture_off", f"CASE WHEN sent_at IS NULL THEN captures > 0 ELSE NOT {IS_CAPTURED} END")},
        {_count("given_back", IS_GIVEN_BACK)}, {_count("released", "releases > 0")},
        {_count("release_off", f"(releases > 0 OR {IS_GIVEN_BACK}) AND NOT {IS_RELEASED}")},
        coalesce(sum(reserves + captures + releases), 0)::bigint AS ledger_entries,
        {_count("other_carriers", "carrier <> 'virtual'")},
        {_count("handed_off", f"carrier = 'virtual' AND sent_at IS NOT NULL AND {IS_SETTLED}")},
        {_count("accepted", f"submissions > 0 AND {IS_SETTLED}")},
        {
    _count(
        "acceptance_off",
        f"{IS_SETTLED} AND (submissions > 0) <> (coalesce(carrier, '') = 'virtual' AND sent_at IS NOT NULL)",
    )
},
        coalesce(sum(greatest(submissions - 1 - resends, 0)), 0)::bigint AS repeated_submissions
    FROM books
), tallied AS (
    SELECT {_TALLIED}, coalesce(sum(credits), 0)::bigint AS credits_tally FROM campaign_tallies WHERE campaign_id = $1
), phones AS (
    SELECT count(DISTINCT phone) AS distinct_phones FROM (
        SELECT to_phone AS phone FROM recipients
        UNION ALL SELECT phone FROM campaign_recipients WHERE campaign_id = $1
    ) AS everyone
), waiting AS (
    SELECT count(*) AS not_expanded FROM campaign_recipients WHERE campaign_id = $1
), answers AS (
    SELECT count(*) FILTER (WHERE answers > 0) AS answered, coalesce(sum(answers), 0)::bigint AS replies FROM (
        SELECT count(*) FILTER (WHERE is_reply) AS answers FROM (
            SELECT id, false AS is_reply FROM recipients
            UNION ALL
            SELECT message_id, true FROM inbound_messages
            WHERE workspace_id = $2 AND livemode = $3 AND id >= $4 AND id < $5 AND message_id IS NOT NULL
                AND keyword IS DISTINCT FROM 'stop'
        ) AS stacked_answers GROUP BY id HAVING bool_or(NOT is_reply)
    ) AS by_message
), own_events AS (
    SELECT {", ".join(f"coalesce(sum(own_{name}), 0)::bigint AS campaign_{name}_found" for name in CAMPAIGN_EVENTS)}
    FROM occurred WHERE resource_id = $1
)
SELECT campaign.status::text AS campaign_status,
    {", ".join(f"(campaign.{at} IS NOT NULL)::int AS campaign_{name}_rows" for name, at in CAMPAIGN_EVENTS.items())},
    totals.*, tallied.*, phones.*, waiting.*, answers.*, own_events.*
FROM campaign, totals, tallied, phones, waiting, answers, own_events
"""


# Of a campaign with variants: its recipients and credits by variant and state, as the rows and the tallies say.
RECONCILE_VARIANTS = """
WITH found AS (
    SELECT variant, tally_status(status, delivery)::text AS state, count(*) AS messages, sum(credits_used) AS credits
    FROM messages WHERE campaign_id = $1 AND workspace_id = $2 AND livemode = $3 GROUP BY 1, 2
), tallied AS (
    SELECT variant, status::text AS state, sum(messages) AS messages, sum(credits) AS credits
    FROM campaign_tallies WHERE campaign_id = $1 GROUP BY 1, 2 HAVING sum(messages) <> 0 OR sum(credits) <> 0
)
SELECT coalesce(sum(found.messages) FILTER (WHERE found.variant IS NOT NULL), 0)::bigint AS recipients,
    coalesce(sum(tallied.messages) FILTER (WHERE tallied.variant IS NOT NULL), 0)::bigint AS tallied,
    coalesce(sum(found.messages) FILTER (WHERE found.variant IS NULL), 0)::bigint AS without,
    count(*) FILTER (WHERE (found.messages, found.credits) IS DISTINCT FROM (tallied.messages, tallied.credits)) AS off
FROM found FULL JOIN tallied
    ON coalesce(found.variant, 0) = coalesce(tallied.variant, 0) AND found.state = tallied.state
"""

# A million recipients take longer than other statements may.
TIMEOUT_SECONDS = 600.0

# The oldest month whose events are still kept, as YYYY_MM.
OLDEST_EVENTS = """
SELECT min(substring(inhrelid::regclass::text FROM '_([0-9]{4}_[0-9]{2})$'))
FROM pg_inherits WHERE inhparent = 'events'::regclass
"""


class ReconciliationCheck(Resource, kw_only=True):
    """Two ways of counting the same thing. `differences` is the number of items that differ."""

    check: Annotated[str, about("What is counted.", example="recipients")]
    expected: Annotated[int, about("The expected number.", example=412)]
    found: Annotated[int, about("The number found.", example=412)]
    differences: Annotated[int, about("The number of items that differ.", example=0)] = 0
    ok: Annotated[bool, about("Whether the numbers agree.")]


class ReconciliationResource(Resource, kw_only=True):
    """The reconciliation of a campaign at one instant. `not_expanded` counts audience members without a message."""

    id: str
    object: Literal["reconciliation"] = "reconciliation"
    livemode: bool
    status: Annotated[str, about(example="completed")]
    recipients: Annotated[int, about("All recipients.", example=412)]
    not_expanded: Annotated[int, about("Members of the audience that have no message yet.", example=0)]
    states: Annotated[
        dict[str, int], about("The number of recipients by status.", example={"delivered": 405, "skipped": 7})
    ]
    credits_used: Annotated[int, about("Credits reserved or spent.", example=405)]
    balanced: Annotated[bool, about("Whether every check passes.")]
    checks: list[ReconciliationCheck]
    as_of: Annotated[str, about("The instant.")]


async def reconcile_campaign(ctx: Context, id: UUID, *, now: datetime | None = None) -> ReconciliationResource:
    """Prove a campaign's books from the tables: recipients, tallies, credits, ledger, carrier and events.

    Its cost grows with the campaign and with the events of its workspace since it was created. Once a campaign's events
    are past their retention, the checks of events are left out. Raises NotFound.
    """
    campaign = await find(ctx, Campaign, id, prefix=ids.CAMPAIGN, noun="campaign")
    at = now or ctx.services.clock()
    row = await fetch_row(
        RECONCILE,
        id,
        ctx.workspace_id,
        ctx.livemode,
        ids.id_since(campaign.created_at - ID_MARGIN, campaign),
        ids.id_at(at, after=ID_MARGIN),
        timeout=TIMEOUT_SECONDS,
    )
    if row is None:
        raise ids.missing("campaign", ids.encode_id(ids.CAMPAIGN, id))
    checks = [*_recipients(row), *_credits(row, ctx.livemode), *_carrier(row)]
    if campaign.ab_test is not None:
        checks += await _variants(ctx, id)
    oldest = await fetch_value(OLDEST_EVENTS)
    if oldest is None or campaign.created_at.astimezone(UTC).strftime("%Y_%m") >= oldest:
        checks += _events(row)
    return ReconciliationResource(
        id=ids.encode_id(ids.CAMPAIGN, id),
        livemode=ctx.livemode,
        status=row.campaign_status,
        recipients=row.recipients,
        not_expanded=row.not_expanded,
        states=_states(row),
        credits_used=row.credits_used,
        balanced=all(check.ok for check in checks),
        checks=checks,
        as_of=moment(at),
    )


def _states(row: Row) -> dict[str, int]:
    states = {state: row[f"{state}_state"] for state in STATES}
    states["sent"] += row.unreported_state
    return states


def _check(name: str, expected: int | Decimal, found: int | Decimal, differences: int = 0) -> ReconciliationCheck:
    expected, found, differences = int(expected), int(found), int(differences)
    return ReconciliationCheck(
        check=name,
        expected=expected,
        found=found,
        differences=differences,
        ok=expected == found and differences == 0,
    )


def _recipients(row: Row) -> list[ReconciliationCheck]:
    """Return each recipient is in one state, each phone is there once, and the tallies say what the rows say."""
    checks = [
        _check("recipients", row.recipients, sum(_states(row).values())),
        _check("recipients.phones", row.recipients + row.not_expanded, row.distinct_phones),
    ]
    if row.campaign_dispatched_rows:
        checks.append(_check("recipients.not_expanded", 0, row.not_expanded))
    if row.campaign_status == CampaignStatus.COMPLETED:
        checks.append(_check("recipients.unfinished", 0, row.queued_state + row.sending_state + row.sent_state))
    checks += [_check(f"tallies.{tally}", row[f"{tally}_state"], row[f"{tally}_tally"]) for tally in TALLIES]
    checks.append(_check("tallies.credits_used", row.credits_used, row.credits_tally))
    return checks


async def _variants(ctx: Context, id: UUID) -> list[ReconciliationCheck]:
    """Return each recipient has a variant, and the tallies of each say what its rows say."""
    row = await fetch_row(RECONCILE_VARIANTS, id, ctx.workspace_id, ctx.livemode, timeout=TIMEOUT_SECONDS)
    assert row is not None, "an aggregate has a row"
    return [
        _check("variants.recipients", row.recipients, row.tallied, row.off),
        _check("variants.without", 0, row.without),
    ]


def _credits(row: Row, livemode: bool) -> list[ReconciliationCheck]:
    """Return what a message holds is its segments at its price once it is claimed, and live the ledger moved that."""
    checks = [_check("credits.segments", row.held_cost, row.credits_used, row.credits_off)]
    if not livemode:
        return [*checks, _check("ledger.sandbox_entries", 0, row.ledger_entries)]
    return [
        *checks,
        _check("ledger.credits", row.credits_used, row.ledger_credits, row.ledger_off),
        _check("ledger.captures", row.sent_rows, row.captured, row.capture_off),
        _check("ledger.releases", row.given_back, row.released, row.release_off),
    ]


def _carrier(row: Row) -> list[ReconciliationCheck]:
    """Return what the carrier's log holds is what was handed to it; only the virtual carrier's log can be read.

    What a message in doubt asked to be handed over once more is no repetition.
    """
    if row.other_carriers and not row.handed_off and not row.accepted:
        return []
    return [
        _check("carrier.accepted", row.handed_off, row.accepted, row.acceptance_off),
        _check("carrier.repeated", 0, row.repeated_submissions),
    ]


def _events(row: Row) -> list[ReconciliationCheck]:
    """Return each change has its event and each event its change; only replies may come more than once."""
    checks = [
        _check(f"events.message.{name}", row[f"{name}_rows"], row[f"{name}_found"], row[f"{name}_off"])
        for name in EVENT_FACTS
    ]
    checks.append(_check("events.repeated", 0, row.repeated_events))
    checks.append(_check("events.replies", row.replies, row.reply_events))
    checks += [
        _check(f"events.campaign.{name}", row[f"campaign_{name}_rows"], row[f"campaign_{name}_found"])
        for name in CAMPAIGN_EVENTS
    ]
    return checks
