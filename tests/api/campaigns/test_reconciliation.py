"""Reconciliation: a run's books balance, and each way of breaking them shows on the line that it breaks."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.reconciliation import _reference_sql, reconcile_campaign
from msvs.api.context import Context
from msvs.api.credits.credits import message_reference
from msvs.api.errors import NotFound
from msvs.api.inbound.replies import receive_inbound
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Message, OptInStatus
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES
from tests.workers.test_campaigns import CARRIERS, create, people, run_through
from tests.workers.test_dispatch import hurry

INVALID, UNREACHABLE, STOPS, REPLIES = "+14155550101", "+14155550103", "+14155550105", "+14155550107"
THROTTLED, TIMES_OUT = "+14155550111", "+14155550112"


pytestmark = pytest.mark.usefixtures("virtual_live")


async def broken(ctx: Context, campaign_id: UUID) -> set[str]:
    found = await reconcile_campaign(ctx, campaign_id)
    names = {check.check for check in found.checks if not check.ok}
    assert found.balanced == (not names)
    return names


async def finished(ctx: Context) -> UUID:
    """A campaign that ran to its end through every kind of outcome."""
    contacts = [*await people(ctx, 3, first_name="Maria"), *await people(ctx, 1, status=OptInStatus.UNKNOWN)]
    for phone in (INVALID, UNREACHABLE, STOPS, REPLIES, THROTTLED, TIMES_OUT):
        contacts.append(await factories.make_contact(ctx, phone))
    campaign_id = await create(ctx, contacts)
    await run_through()
    return campaign_id


async def one(campaign_id: UUID, status: str = "delivered") -> UUID:
    message = await Message.filter(campaign_id=campaign_id, status=status).first()
    assert message is not None
    return message.id


async def test_the_ledgers_name_of_a_message_is_its_public_id(database: str) -> None:
    values = [ids.new_id() for _ in range(200)] + [
        UUID(int=0),
        UUID(int=(1 << 128) - 1),
        UUID(int=1 << 63),
        UUID(int=1 << 64),
    ]
    rows = await db.fetch(f"SELECT id, {_reference_sql('id')} AS reference FROM unnest($1::uuid[]) AS id", values)
    assert {row.id: row.reference for row in rows} == {value: message_reference(value) for value in values}


@pytest.mark.parametrize("livemode", [True, False])
async def test_every_outcome_balances(live_ctx: Context, ctx: Context, livemode: bool) -> None:
    caller = live_ctx if livemode else ctx
    campaign_id = await finished(caller)
    found = await reconcile_campaign(caller, campaign_id)
    assert [check for check in found.checks if not check.ok] == []
    assert found.balanced
    assert (found.status, found.recipients, found.not_expanded, found.credits_used) == ("completed", 10, 0, 8)
    assert found.states == {
        "queued": 0,
        "sending": 0,
        "sent": 0,
        "delivered": 6,
        "failed": 2,
        "replied": 1,
        "canceled": 0,
        "skipped": 1,
    }
    numbers = {check.check: check.found for check in found.checks}
    assert numbers["events.message.queued"] == 9
    assert numbers["events.message.sent"] == 8
    assert numbers["events.message.failed"] == 2
    assert numbers["carrier.accepted"] == 8
    assert numbers.get("ledger.captures") == (8 if livemode else None)
    assert numbers.get("ledger.releases") == (1 if livemode else None)
    assert numbers.get("ledger.sandbox_entries") == (None if livemode else 0)


async def test_it_balances_at_every_step_of_a_run(live_ctx: Context) -> None:
    campaign_id = await create(live_ctx, await people(live_ctx, 6))
    assert await broken(live_ctx, campaign_id) == set()
    await expand_campaigns(SERVICES, chunk=2)
    assert await broken(live_ctx, campaign_id) == set()
    await dispatch_messages(SERVICES, CARRIERS, seconds=0, batch=2)
    assert await broken(live_ctx, campaign_id) == set()
    async with unit_of_work():
        await campaigns.cancel_campaign(live_ctx, campaign_id)
    assert await broken(live_ctx, campaign_id) == set()
    await run_through()
    assert await broken(live_ctx, campaign_id) == set()
    found = await reconcile_campaign(live_ctx, campaign_id)
    assert (found.states["delivered"], found.states["canceled"], found.credits_used) == (4, 2, 4)


async def test_it_balances_at_every_instant_while_workers_run(live_ctx: Context) -> None:
    campaign_id = await create(live_ctx, await people(live_ctx, 60))
    finished = asyncio.Event()

    async def work() -> None:
        for _ in range(20):
            await asyncio.gather(expand_campaigns(SERVICES, chunk=7), dispatch_messages(SERVICES, CARRIERS, batch=5))
            await hurry()
            await asyncio.gather(dispatch_messages(SERVICES, CARRIERS, batch=5), collect_reports(SERVICES))
        finished.set()

    async def watch() -> set[str]:
        seen: set[str] = set()
        while not finished.is_set():
            found = await reconcile_campaign(live_ctx, campaign_id)
            seen |= {check.check for check in found.checks if not check.ok}
        return seen

    _, seen = await asyncio.gather(work(), watch())
    assert seen == set()
    assert (await reconcile_campaign(live_ctx, campaign_id)).states["delivered"] == 60


async def test_members_without_a_message_are_counted_apart(ctx: Context) -> None:
    campaign_id = await create(ctx, await people(ctx, 2))
    await run_through()
    await db.execute(
        "INSERT INTO campaign_recipients (campaign_id, phone, contact_id) VALUES ($1, '+12125550001', $2)",
        campaign_id,
        ids.new_id(),
    )
    found = await reconcile_campaign(ctx, campaign_id)
    assert found.not_expanded == 1
    assert await broken(ctx, campaign_id) == {"recipients.not_expanded"}


async def test_several_replies_to_one_message_balance(ctx: Context) -> None:
    contacts = await people(ctx, 1)
    campaign_id = await create(ctx, contacts)
    await run_through()
    for number in range(3):
        async with unit_of_work():
            await receive_inbound(
                ctx, from_phone=contacts[0].phone, to_sender="MASSIVESMS", text="See you!", dedupe_key=f"reply-{number}"
            )
    assert await broken(ctx, campaign_id) == set()
    newest = "SELECT max(id::text)::uuid FROM events WHERE type = 'message.replied'"
    await db.execute(f"DELETE FROM events WHERE id = ({newest})")
    assert await broken(ctx, campaign_id) == {"events.replies"}


BREAKAGES = {
    "an event is lost": (
        "DELETE FROM events WHERE type = 'message.delivered' AND resource_id = $1",
        {"events.message.delivered"},
    ),
    "an event comes twice": (
        "INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)"
        " SELECT $2, workspace_id, livemode, type, resource_id, data, created_at FROM events"
        " WHERE type = 'message.sent' AND resource_id = $1",
        {"events.repeated"},
    ),
    "an event has no change": (
        "UPDATE events SET type = 'message.canceled' WHERE type = 'message.delivered' AND resource_id = $1",
        {"events.message.delivered", "events.message.canceled"},
    ),
    "an event went to another message": (
        "UPDATE events SET resource_id = $2 WHERE type = 'message.sent' AND resource_id = $1",
        {"events.message.sent"},
    ),
    "a captured message was released": (
        "INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)"
        " SELECT $2, workspace_id, 'release', $3, 1, '', created_at FROM messages WHERE id = $1",
        {"ledger.credits", "ledger.captures", "ledger.releases"},
    ),
    "a grant that bears its name is no charge": (
        "INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)"
        " SELECT $2, workspace_id, 'grant', $3, 1, '', created_at FROM messages WHERE id = $1",
        set(),
    ),
    "the carrier took it twice": (
        "INSERT INTO virtual_submissions (id, message_id, workspace_id, livemode, to_phone, segments, accepted_at)"
        " SELECT $2, id, workspace_id, livemode, to_phone, segments, sent_at FROM messages WHERE id = $1",
        {"carrier.repeated"},
    ),
    "a tally drifted": (
        "INSERT INTO campaign_tallies (campaign_id, status, messages, credits)"
        " SELECT campaign_id, 'delivered', 1, 1 FROM messages WHERE id = $1",
        {"tallies.delivered", "tallies.credits_used"},
    ),
    "a message is charged twice": (
        "UPDATE messages SET credits_used = 2 WHERE id = $1",
        {"credits.segments", "ledger.credits"},
    ),
    "a message says it was never sent": (
        "UPDATE messages SET sent_at = NULL, status = 'queued', attempt_count = 0, credits_used = 0,"
        " delivered_at = NULL WHERE id = $1",
        {
            "recipients.unfinished",
            "ledger.credits",
            "ledger.captures",
            "ledger.releases",
            "carrier.accepted",
            "events.message.sent",
            "events.message.delivered",
        },
    ),
    "a phone is there twice": (
        "UPDATE messages SET to_phone = other.to_phone FROM messages AS other"
        " WHERE messages.id = $1 AND other.campaign_id = messages.campaign_id AND other.id <> messages.id",
        {"recipients.phones"},
    ),
    "a message is gone": (
        "DELETE FROM messages WHERE id = $1",
        {"tallies.delivered", "tallies.credits_used"},
    ),
}


@pytest.mark.parametrize(("statement", "expected"), BREAKAGES.values(), ids=list(BREAKAGES))
async def test_what_is_broken_shows_on_its_line(live_ctx: Context, statement: str, expected: set[str]) -> None:
    campaign_id = await create(live_ctx, await people(live_ctx, 3))
    await run_through()
    assert await broken(live_ctx, campaign_id) == set()
    message_id = await one(campaign_id)
    values = [message_id, ids.new_id(), message_reference(message_id)]
    used = [value for number, value in enumerate(values, 1) if f"${number}" in statement]
    for number, old in enumerate([n for n in (1, 2, 3) if f"${n}" in statement], 1):
        statement = statement.replace(f"${old}", f"${number}")
    assert await db.execute(statement, *used) == 1
    assert await broken(live_ctx, campaign_id) == expected


async def test_differences_are_found_even_when_the_sums_agree(live_ctx: Context) -> None:
    campaign_id = await create(live_ctx, await people(live_ctx, 2))
    await run_through()
    first, second = [row.id for row in await Message.filter(campaign_id=campaign_id).order_by("id")]
    await db.execute("DELETE FROM events WHERE type = 'message.delivered' AND resource_id = $1", first)
    await db.execute("UPDATE messages SET delivered_at = NULL WHERE id = $1", second)
    found = {check.check: check for check in (await reconcile_campaign(live_ctx, campaign_id)).checks}
    line = found["events.message.delivered"]
    assert (line.expected, line.found, line.differences, line.ok) == (1, 1, 2, False)


async def test_sandbox_messages_never_touch_the_ledger(ctx: Context) -> None:
    campaign_id = await create(ctx, await people(ctx, 1))
    await run_through()
    await db.execute(
        "INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)"
        " VALUES ($1, $2, 'reserve', $3, -1, '', now())",
        ids.new_id(),
        ctx.workspace_id,
        message_reference(await one(campaign_id)),
    )
    assert await broken(ctx, campaign_id) == {"ledger.sandbox_entries"}


async def test_other_workspaces_and_modes_have_no_such_campaign(ctx: Context, live_ctx: Context) -> None:
    campaign_id = await create(ctx, await people(ctx, 1))
    other = await factories.make_workspace(name="Another Studio")
    for caller in (live_ctx, Context(other.id, livemode=False, services=SERVICES)):
        with pytest.raises(NotFound):
            await reconcile_campaign(caller, campaign_id)


async def test_events_past_their_keeping_are_not_missed(ctx: Context) -> None:
    campaign_id = await finished(ctx)
    await db.execute("UPDATE campaigns SET created_at = now() - interval '13 months' WHERE id = $1", campaign_id)
    await db.execute("DELETE FROM events")
    found = await reconcile_campaign(ctx, campaign_id)
    assert found.balanced
    assert [check.check for check in found.checks if check.check.startswith("events.")] == []
