"""Numbers that cannot be reached: who is marked, who is skipped for it, and every way back."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.previews import PreviewCampaign, preview_campaign
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.contacts.contacts import ListContacts, UpdateContact, mark_reachable, opt_out_contact, update_contact
from msvs.api.context import Context
from msvs.api.dispatch.delivery_reports import DeliveryReport, take_reports
from msvs.api.dispatch.reachability import apply_reach
from msvs.api.errors import NotFound, PermissionDenied
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.models import Contact, CreditBalance, Event, Message, Role, Workspace
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.reports import collect_reports
from tests import factories
from tests.api.messages.test_statistics import make_message
from tests.services import SERVICES
from tests.workers.test_campaigns import CARRIERS, check_conservation, run_through, stats

pytestmark = pytest.mark.usefixtures("virtual_live")

BAD = "+14155550101"


async def sent(ctx: Context, contact: Contact, **values: Any) -> UUID:
    """A message that a carrier has, to the contact's number."""
    message = {"to_phone": contact.phone, "contact_id": contact.id, "carrier": "virtual", **values}
    return (await make_message(ctx, await db.now(), "sent", **message)).id


async def report(*message_ids: UUID, code: str | None = "invalid_number", at: datetime | None = None) -> None:
    """Have a carrier say that messages failed, or arrived where there is no code."""
    now = at or await db.now()
    reports = [DeliveryReport(id, code is None, code) for id in message_ids]
    await in_unit_of_work(lambda: take_reports(reports, now))


async def judge(*, later: timedelta = timedelta(0)) -> int:
    now = await db.now() + later
    return await in_unit_of_work(lambda: apply_reach(limit=1000, now=now))


async def fail(ctx: Context, contact: Contact, times: int, **values: Any) -> None:
    for _ in range(times):
        await report(await sent(ctx, contact), **values)


async def is_marked(contact: Contact) -> bool:
    return (await Contact.get(id=contact.id)).unreachable_at is not None


async def told(contact: Contact) -> list[str]:
    rows = await Event.filter(resource_id=contact.id).order_by("id")
    return [row.type for row in rows if row.type.endswith("reachable")]


async def launch(ctx: Context, *contacts: Contact, **values: Any) -> UUID:
    listed = await factories.make_list(ctx, list(contacts))
    async with unit_of_work():
        return (await campaigns.create_campaign(ctx, CreateCampaign("All", "Hi", list_ids=[listed.id], **values))).id


async def test_the_third_failure_marks_a_number_and_campaigns_skip_it(live_ctx: Context) -> None:
    contact, other = [await factories.make_contact(live_ctx) for _ in range(2)]
    await fail(live_ctx, contact, 2)
    await judge()
    assert not await is_marked(contact)
    await fail(live_ctx, contact, 1, code="unreachable")
    assert await judge() == 1
    row = await Contact.get(id=contact.id)
    assert (row.unreachable_code, await told(contact)) == ("unreachable", ["contact.unreachable"])
    assert row.opt_in_status == "opted_in"
    event = await Event.get(type="contact.unreachable")
    assert '"code":"unreachable"' in event.data
    assert event.livemode
    people = [(await factories.make_list(live_ctx, [contact, other])).id]
    preview = await preview_campaign(live_ctx, PreviewCampaign(body="Hi", list_ids=people))
    assert [(each.code, each.recipient_count) for each in preview.skipped] == [("recipient_unreachable", 1)]
    assert (preview.recipient_count, preview.credits.total) == (1, 1)
    campaign_id = await launch(live_ctx, contact, other)
    await run_through()
    rows = {message.contact_id: message for message in await Message.filter(campaign_id=campaign_id)}
    assert (rows[contact.id].status, rows[contact.id].error_code) == ("skipped", "recipient_unreachable")
    assert rows[other.id].status == "delivered"
    found = await stats(live_ctx, campaign_id)
    assert (found.recipients, found.skipped, found.delivered, found.credits_used) == (2, 1, 1, 1)
    await check_conservation(live_ctx, campaign_id)


async def test_a_claim_skips_who_was_marked_after_the_expansion(live_ctx: Context) -> None:
    contact, other = [await factories.make_contact(live_ctx) for _ in range(2)]
    campaign_id = await launch(live_ctx, contact, other)
    await expand_campaigns(SERVICES)
    await fail(live_ctx, contact, 3)
    await judge()
    before = (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance
    await run_through()
    rows = {message.contact_id: message for message in await Message.filter(campaign_id=campaign_id)}
    assert (rows[contact.id].status, rows[contact.id].error_code) == ("skipped", "recipient_unreachable")
    assert (rows[contact.id].credits_used, rows[other.id].status) == (0, "delivered")
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == before - 1
    await check_conservation(live_ctx, campaign_id)


async def test_a_refusal_of_the_carrier_counts_as_a_report_does(live_ctx: Context) -> None:
    contact = await factories.make_contact(live_ctx, BAD)
    for _ in range(3):
        async with unit_of_work():
            await send_message(live_ctx, SendMessage(BAD, "Hi"))
        await dispatch_messages(SERVICES, CARRIERS)
        await collect_reports(SERVICES)
    assert {message.error_code for message in await Message.all()} == {"invalid_number"}
    assert await is_marked(contact)
    assert await told(contact) == ["contact.unreachable"]


async def test_a_single_message_goes_out_and_takes_the_mark_away_if_it_arrives(live_ctx: Context) -> None:
    contact = await factories.make_contact(live_ctx)
    await fail(live_ctx, contact, 3)
    await judge()
    async with unit_of_work():
        message = await send_message(live_ctx, SendMessage(contact.phone, "Your code is 12345"))
    await run_through()
    assert (await Message.get(id=message.id)).status == "delivered"
    assert not await is_marked(contact)
    assert await told(contact) == ["contact.unreachable", "contact.reachable"]
    # All that failed before counts no more.
    await fail(live_ctx, contact, 2)
    await judge()
    assert not await is_marked(contact)


@pytest.mark.parametrize(
    ("settings", "codes", "marked"),
    [
        ({}, ["invalid_number", "unreachable", "invalid_number"], True),
        ({}, ["carrier_filtered", "carrier_rejected", "sender_rejected", "no_route", "expired"], False),
        ({}, ["invalid_number", None, "invalid_number", "invalid_number"], False),
        ({"unreachable_after": 1}, ["invalid_number"], True),
        ({"unreachable_after": 4}, ["invalid_number"] * 3, False),
        ({"unreachable_after": None}, ["invalid_number"] * 9, False),
    ],
)
async def test_what_marks_a_number(
    live_ctx: Context, settings: dict[str, Any], codes: list[str | None], marked: bool
) -> None:
    await Workspace.filter(id=live_ctx.workspace_id).update(**settings)
    contact = await factories.make_contact(live_ctx)
    for code in codes:
        await fail(live_ctx, contact, 1, code=code)
    await judge()
    assert await is_marked(contact) is marked


async def test_old_failures_and_those_of_other_numbers_do_not_count(live_ctx: Context) -> None:
    contact = await factories.make_contact(live_ctx)
    await fail(live_ctx, contact, 2, at=await db.now() - timedelta(days=91))
    for _ in range(2):
        await report(await sent(live_ctx, contact, to_phone=factories.next_phone()))
    await fail(live_ctx, contact, 2)
    await judge()
    assert not await is_marked(contact)


async def test_the_sandbox_marks_nobody_until_it_is_told_to(ctx: Context, live_ctx: Context) -> None:
    contact, live = await factories.make_contact(ctx), await factories.make_contact(live_ctx)
    await fail(ctx, contact, 3)
    await judge()
    assert not await is_marked(contact)
    await Workspace.filter(id=ctx.workspace_id).update(sandbox_settings={"unreachable_after": 2})
    await fail(ctx, contact, 1)
    await fail(live_ctx, live, 2)
    await judge()
    assert (await is_marked(contact), await is_marked(live)) == (True, False)


@pytest.mark.parametrize("text", ["Who is this?", "STOP", "START", "HELP"])
async def test_a_message_from_the_number_takes_the_mark_away_and_consent_is_its_own(
    live_ctx: Context, text: str
) -> None:
    contact = await factories.make_contact(live_ctx)
    await fail(live_ctx, contact, 3)
    await judge()

    async def write(key: str) -> None:
        await receive_inbound(live_ctx, from_phone=contact.phone, to_sender="MASSIVESMS", text=text, dedupe_key=key)

    await in_unit_of_work(lambda: write("one"))
    row = await Contact.get(id=contact.id)
    assert (row.unreachable_at, row.unreachable_code) == (None, None)
    assert row.opt_in_status == ("opted_out" if text == "STOP" else "opted_in")
    assert await told(contact) == ["contact.unreachable", "contact.reachable"]
    await in_unit_of_work(lambda: write("one"))
    await fail(live_ctx, contact, 2)
    await in_unit_of_work(lambda: write("two"))
    await fail(live_ctx, contact, 2)
    await judge()
    assert not await is_marked(contact)
    assert len(await told(contact)) == 2


async def test_somebody_takes_the_mark_away_by_hand(live_ctx: Context, ctx: Context, other_ctx: Context) -> None:
    contact = await factories.make_contact(live_ctx)
    await fail(live_ctx, contact, 3)
    await judge()
    for stranger in (ctx, other_ctx, replace(other_ctx, livemode=True)):
        with pytest.raises(NotFound):
            await in_unit_of_work(lambda stranger=stranger: mark_reachable(stranger, contact.id))  # type: ignore[misc]
    with pytest.raises(PermissionDenied):
        await in_unit_of_work(lambda: mark_reachable(replace(live_ctx, role=Role.READ_ONLY), contact.id))
    assert await is_marked(contact)
    for _ in range(2):
        row = await in_unit_of_work(lambda: mark_reachable(live_ctx, contact.id))
        assert (row.unreachable_at, row.opt_in_status) == (None, "opted_in")
    assert await told(contact) == ["contact.unreachable", "contact.reachable"]
    # What is looked at again a minute later finds nothing new.
    await judge(later=timedelta(minutes=2))
    await fail(live_ctx, contact, 2)
    await judge(later=timedelta(minutes=4))
    assert not await is_marked(contact)
    await fail(live_ctx, contact, 1)
    await judge()
    assert await is_marked(contact)


async def test_another_phone_is_another_number(live_ctx: Context) -> None:
    contact = await factories.make_contact(live_ctx)
    await fail(live_ctx, contact, 3)
    await judge()
    await in_unit_of_work(lambda: update_contact(live_ctx, contact.id, UpdateContact(first_name="Ana")))
    assert await is_marked(contact)
    change = UpdateContact(phone=factories.next_phone())
    await in_unit_of_work(lambda: update_contact(live_ctx, contact.id, change))
    await judge(later=timedelta(minutes=2))
    assert not await is_marked(contact)


async def test_failures_at_once_mark_once(live_ctx: Context) -> None:
    people = [await factories.make_contact(live_ctx) for _ in range(6)]
    messages = [[await sent(live_ctx, contact) for _ in range(5)] for contact in people]

    async def lose(place: int) -> None:
        await report(*(of[place] for of in (messages if place % 2 else messages[::-1])))
        await judge()

    async def opt_out(contact: Contact) -> None:
        await in_unit_of_work(lambda: opt_out_contact(live_ctx, contact.id))

    await asyncio.gather(*(lose(place) for place in range(5)), *(opt_out(contact) for contact in people[:3]))
    await judge()
    for contact in people:
        assert await told(contact) == ["contact.unreachable"]
    statuses = [str((await Contact.get(id=contact.id)).opt_in_status) for contact in people]
    assert statuses == ["opted_out"] * 3 + ["opted_in"] * 3


async def test_a_delivery_beside_the_mark_is_found_a_minute_later(live_ctx: Context) -> None:
    """The report was applied before the mark was seen, and the mark before the report was."""
    contact = await factories.make_contact(live_ctx)
    arriving = await sent(live_ctx, contact)
    await fail(live_ctx, contact, 3)
    outside = copy_context()
    taken_at = await db.now()
    async with unit_of_work():
        await take_reports([DeliveryReport(arriving, True)], taken_at)
        # Another process judges meanwhile, and sees nothing of it.
        await asyncio.create_task(judge(), context=outside)
    assert await is_marked(contact)
    assert await judge(later=timedelta(minutes=2)) == 1
    assert not await is_marked(contact)
    assert await told(contact) == ["contact.unreachable", "contact.reachable"]


async def test_a_signal_of_what_is_gone_is_forgotten(live_ctx: Context) -> None:
    contact = await factories.make_contact(live_ctx)
    await fail(live_ctx, contact, 3)
    await db.execute("DELETE FROM contacts WHERE id = $1", contact.id)
    assert await judge() == 3
    assert await db.fetch_value("SELECT count(*) FROM carrier_signals") == 0


async def test_lists_are_filtered_by_the_mark(live_ctx: Context) -> None:
    contact, other = [await factories.make_contact(live_ctx) for _ in range(2)]
    await fail(live_ctx, contact, 3)
    await judge()
    for text, expected in (("true", contact), ("false", other)):
        page = await list_matching(live_ctx, PageRequest(), ListContacts(unreachable=text))  # type: ignore[arg-type]
        assert [row.id for row in page.items] == [expected.id]
