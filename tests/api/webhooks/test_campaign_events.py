"""What happened to campaigns, read by campaign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns.campaigns import CreateCampaign, create_campaign, pause_campaign, resume_campaign
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.events import MAX_CAMPAIGN_EVENTS, EventType, list_campaign_events
from msvs.models import Event
from tests import factories
from tests.owner import run_as_owner
from tests.plans import NEW_ID, reading
from tests.workers.test_campaigns import run_through


async def _make_campaign(ctx: Context, **values: datetime) -> UUID:
    contact = await factories.make_contact(ctx)
    async with unit_of_work():
        row = await create_campaign(ctx, CreateCampaign("Doors open", "Hi", contact_ids=[contact.id], **values))
    return row.id


async def test_a_campaign_has_its_own_events_newest_first(ctx: Context, other_ctx: Context) -> None:
    ran, paused = await _make_campaign(ctx), await _make_campaign(ctx, scheduled_at=datetime.now(UTC) + timedelta(1))
    foreign = await _make_campaign(other_ctx)
    for change in (pause_campaign, resume_campaign):
        async with unit_of_work():
            await change(ctx, paused)
    await run_through()
    found = await list_campaign_events(ctx, [ran, paused, foreign])
    assert [row.type for row in found[paused]] == [EventType.CAMPAIGN_RESUMED, EventType.CAMPAIGN_PAUSED]
    # Those of its messages are not among them.
    assert [row.type for row in found[ran]][-2:] == [EventType.CAMPAIGN_DISPATCHED, EventType.CAMPAIGN_STARTED]
    assert {row.type for row in found[ran]} <= {each for each in EventType if each.startswith("campaign.")}
    assert found[foreign] == []


async def test_only_the_newest_of_many_are_read(ctx: Context) -> None:
    id = await _make_campaign(ctx, scheduled_at=datetime.now(UTC) + timedelta(1))
    made = [
        Event(
            workspace_id=ctx.workspace_id,
            livemode=ctx.livemode,
            type=EventType.CAMPAIGN_PAUSED,
            resource_id=id,
            data="{}",
        )
        for _ in range(MAX_CAMPAIGN_EVENTS + 5)
    ]
    await Event.bulk_create(made)
    found = (await list_campaign_events(ctx, [id]))[id]
    assert [row.id for row in found] == sorted((row.id for row in made), reverse=True)[:MAX_CAMPAIGN_EVENTS]


@pytest.mark.parametrize("is_generic", [False, True])
async def test_they_are_read_beside_many_events_of_messages(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, is_generic: bool
) -> None:
    ids = [await _make_campaign(ctx, scheduled_at=datetime.now(UTC) + timedelta(1)) for _ in range(2)]
    await db.execute(
        "INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)"
        f" SELECT {NEW_ID}, $1, $2, 'message.sent', gen_random_uuid(), '{{}}', now() FROM generate_series(1, 5000)",
        ctx.workspace_id,
        ctx.livemode,
    )
    async with unit_of_work():
        await pause_campaign(ctx, ids[0])
    await run_as_owner("ANALYZE events")
    with reading(monkeypatch, is_generic=is_generic) as found:
        events = await list_campaign_events(ctx, ids)
    assert [len(events[id]) for id in ids] == [1, 0]
    found.check(rows=20)
