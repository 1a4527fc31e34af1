"""A week of a sandbox: what is set up at its beginning, and what became of it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.requests import CreateCampaign
from msvs.api.campaigns.variants import AbTestOptions, VariantOptions
from msvs.api.context import Context
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.resources import moment
from msvs.api.unit_of_work import in_unit_of_work
from msvs.models import Workspace
from tests import factories
from tests.api.campaigns.flows import enroll, make_sequence, steps
from tests.receiver import make_endpoint

# Numbers of the sandbox: delivered late, answered with STOP, never reported, failed, throttled first.
PHONES = ("0104", "0105", "0108", "0103", "0111", "0120", "0121", "0122")
ZONES = ("America/New_York", "America/Los_Angeles")
DAYS = 7

MESSAGES = """
SELECT to_phone AS phone, kind, body, status, delivery, error_code, due_at, sent_at, delivered_at, failed_at,
    canceled_at, campaign_id IN (SELECT id FROM campaigns WHERE ab_test IS NOT NULL) AS is_drawn
FROM messages WHERE workspace_id = $1
"""
EVENTS = """
SELECT type, created_at FROM events WHERE workspace_id = $1 AND resource_id NOT IN (
    SELECT id FROM messages WHERE campaign_id IN (SELECT id FROM campaigns WHERE ab_test IS NOT NULL)
)
"""
# When one that failed is tried again is drawn, so times are not compared: the last of eleven comes within a day.
ATTEMPTS = "SELECT number, status_code, error FROM webhook_attempts WHERE workspace_id = $1"
ENDS = """
SELECT name, status, started_at, dispatched_at, completed_at, winner_chosen_at FROM campaigns
WHERE workspace_id = $1 AND sequence_id IS NULL
"""
INSIDE = "SELECT state, leaving, step, ended_at FROM sequence_enrollments WHERE workspace_id = $1"
ENDPOINT = "SELECT enabled, disabled_reason FROM webhook_endpoints WHERE workspace_id = $1"
UNSENT = "SELECT state, attempt_count, ended_at - created_at <= interval '25 hours' FROM webhook_deliveries"


async def begin(ctx: Context, at: datetime, dead_url: str) -> None:
    """Set up what the week brings, at its beginning."""
    await Workspace.filter(id=ctx.workspace_id).update(quiet_hours=True)
    people = [
        await factories.make_contact(ctx, f"+1415555{number}", timezone=ZONES[place % 2])
        for place, number in enumerate(PHONES)
    ]
    listed = await factories.make_list(ctx, people, name="Everybody")
    drawn = await factories.make_list(
        ctx, [await factories.make_contact(ctx, f"+1212555{7000 + number}") for number in range(12)], name="Drawn"
    )
    await make_endpoint(ctx, dead_url, ["campaign.completed", "sequence.completed"])
    sequence = await make_sequence(ctx, steps=steps("Day 1", "Day 2", "Day 3"))
    for person in people[4:6]:
        await enroll(ctx, sequence, person)
    morning = await make_sequence(ctx, steps=[replace(each, send_at_local="09:30") for each in steps("Plan", "Go")])
    for person in people[6:]:
        await enroll(ctx, morning, person)
    tests = AbTestOptions(
        variants=[VariantOptions(body="Doors open"), VariantOptions(body="Last seats")],
        test_percent=50,
        test_minutes=60,
    )
    # At nine in the evening of New York and six of California: some wait for the morning.
    evening = at.replace(hour=2) + timedelta(days=1)
    for data in (
        CreateCampaign("Evening", "Doors open", list_ids=[listed.id], scheduled_at=evening),
        CreateCampaign(
            "Brief", "Only tonight", list_ids=[listed.id], scheduled_at=evening, expires_at=evening + timedelta(hours=2)
        ),
        # At ten by each clock, to those who have not got two in the week.
        CreateCampaign(
            "Local",
            "Good morning",
            list_ids=[listed.id],
            scheduled_at=at + timedelta(days=4),
            send_at_local="10:00",
            contact_weekly_cap=2,
        ),
        CreateCampaign("Drawn", "Doors open", list_ids=[drawn.id], scheduled_at=at + timedelta(days=2), ab_test=tests),
    ):
        await in_unit_of_work(lambda data=data: campaigns.create_campaign(ctx, data))  # type: ignore[misc]
    for phone, after in (("+14155550120", timedelta()), ("+14155550121", timedelta(days=3, hours=5))):
        data = SendMessage(to=phone, body="Your seat is 12A.", scheduled_at=at + after if after else None)
        await in_unit_of_work(lambda data=data: send_message(ctx, data))  # type: ignore[misc]


def _shown(row: Any) -> tuple[str, ...]:
    return tuple(moment(each) if isinstance(each, datetime) else str(each) for each in row.values())


async def history(ctx: Context) -> dict[str, list[list[Any]]]:
    """Return all that happened, by kind and in order, without ids and without who was drawn into a test."""
    found: dict[str, Counter[tuple[str, ...]]] = {}
    messages = await db.fetch(MESSAGES, ctx.workspace_id)
    found["messages"] = Counter(_shown(row) for row in messages if not row.is_drawn)
    drawn = [row for row in messages if row.is_drawn]
    # How many are in a test is drawn, too.
    found["drawn"] = Counter({(str(row.status), moment(row.sent_at)) for row in drawn})
    for name, statement in (("attempts", ATTEMPTS), ("events", EVENTS), ("ends", ENDS), ("inside", INSIDE)):
        found[name] = Counter(_shown(row) for row in await db.fetch(statement, ctx.workspace_id))
    found["endpoint"] = Counter(_shown(row) for row in await db.fetch(ENDPOINT, ctx.workspace_id))
    found["unsent"] = Counter(_shown(row) for row in await db.fetch(UNSENT))
    return {name: [[*key, count] for key, count in sorted(counted.items())] for name, counted in found.items()}
