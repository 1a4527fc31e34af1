"""Explanations of messages that went, failed, were stopped, were skipped, or wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, create_contact
from msvs.api.context import Context
from msvs.api.errors import NotFound
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.explanations import MessageExplanation, explain_message, get_timeline, message_timelines
from msvs.api.text import quiet_hours
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, Contact, Message, OptInStatus
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES
from tests.workers.test_campaigns import CARRIERS, create, run_through
from tests.workers.test_dispatch import hurry, send

INVALID, UNREACHABLE, THROTTLED = "+14155550101", "+14155550103", "+14155550111"


pytestmark = pytest.mark.usefixtures("virtual_live")


async def contact(ctx: Context, source: str = "checkout") -> Contact:
    async with unit_of_work():
        return await create_contact(
            ctx,
            CreateContact(factories.next_phone(), first_name="Maria", opt_in=OptInEvidence(source, "203.0.113.4")),
        )


def statuses(found: MessageExplanation) -> list[str]:
    return [state.status for state in found.states]


async def event_types(found: MessageExplanation) -> list[str | None]:
    """The types of the events that the states name, None for a state without one."""
    types: list[str | None] = []
    for state in found.states:
        value = None if state.event_id is None else ids.decode_id(ids.EVENT, state.event_id)
        types.append(await db.fetch_value("SELECT type FROM events WHERE id = $1", value))
    return types


async def check_events(found: MessageExplanation, message_id: UUID) -> None:
    """Each event of the message stands beside its state, in the same order."""
    rows = await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", message_id)
    assert [type for type in await event_types(found) if type is not None] == [row.type for row in rows]


async def test_a_delivered_message_that_was_replied_to(live_ctx: Context) -> None:
    person = await contact(live_ctx)
    message_id = await send(live_ctx, person.phone, "See you — Maria")
    await dispatch_messages(SERVICES, CARRIERS)
    await hurry()
    await collect_reports(SERVICES)
    async with unit_of_work():
        await receive_inbound(
            live_ctx, from_phone=person.phone, to_sender="MASSIVESMS", text="See you!", dedupe_key="reply"
        )
    found = await explain_message(live_ctx, message_id)
    assert statuses(found) == ["queued", "sending", "sent", "delivered", "replied"]
    assert await event_types(found) == [
        "message.queued",
        None,
        "message.sent",
        "message.delivered",
        "message.replied",
    ]
    assert (found.kind, found.message.status, found.message.id) == ("api", "replied", found.id)
    assert found.consent.current_status == "opted_in"
    assert found.consent.contact_id == ids.encode_id(ids.CONTACT, person.id)
    assert found.consent.record is not None
    assert (found.consent.record.status, found.consent.record.source, found.consent.record.ip) == (
        "opted_in",
        "checkout",
        "203.0.113.4",
    )
    assert found.suppression.suppressed is False
    assert found.quiet_hours is None
    assert found.encoding is not None
    assert (found.encoding.encoding, found.encoding.segments, found.encoding.units) == ("ucs2", 1, 15)
    assert found.encoding.parts == ["See you — Maria"]
    assert [(item.character, item.name) for item in found.encoding.forced_by] == [("—", "EM DASH")]
    assert (found.sender.sender, found.sender.source) == ("MASSIVESMS", "workspace_default")
    assert [(item.number, item.carrier, item.outcome, item.error) for item in found.attempts] == [
        (1, "virtual", "accepted", None)
    ]
    assert [(entry.kind, entry.amount) for entry in found.ledger] == [("reserve", -1), ("capture", 0)]
    assert found.carrier is not None
    assert (found.carrier.name, found.carrier.reference) == ("virtual", f"v-{message_id.hex}")
    assert [reply.body for reply in found.replies] == ["See you!"]


async def test_a_message_that_the_carrier_refused_names_the_reason(live_ctx: Context) -> None:
    message_id = await send(live_ctx, INVALID, from_="COHORTLABS")
    await dispatch_messages(SERVICES, CARRIERS)
    found = await explain_message(live_ctx, message_id)
    assert statuses(found) == ["queued", "sending", "failed"]
    await check_events(found, message_id)
    assert found.states[-1].error is not None
    assert found.states[-1].error.code == "invalid_number"
    assert [(item.outcome, item.error and item.error.code) for item in found.attempts] == [
        ("refused", "invalid_number")
    ]
    assert [(entry.kind, entry.amount) for entry in found.ledger] == [("reserve", -1), ("release", 1)]
    assert found.sender.source == "given"
    assert found.consent.record is None
    assert found.consent.current_status == "unknown"


async def test_a_report_of_failure_comes_after_the_hand_over(live_ctx: Context) -> None:
    message_id = await send(live_ctx, UNREACHABLE)
    await dispatch_messages(SERVICES, CARRIERS)
    await hurry()
    await collect_reports(SERVICES)
    found = await explain_message(live_ctx, message_id)
    assert statuses(found) == ["queued", "sending", "sent", "failed"]
    await check_events(found, message_id)
    assert found.states[-1].error is not None
    assert found.states[-1].error.code == "unreachable"
    assert [entry.kind for entry in found.ledger] == ["reserve", "capture"]


async def test_each_attempt_of_a_throttled_message_shows(ctx: Context) -> None:
    message_id = await send(ctx, THROTTLED)
    await dispatch_messages(SERVICES, CARRIERS)
    await hurry()
    await dispatch_messages(SERVICES, CARRIERS)
    found = await explain_message(ctx, message_id)
    assert statuses(found) == ["queued", "sending", "queued", "sending", "sent"]
    assert [(item.number, item.outcome) for item in found.attempts] == [(1, "throttled"), (2, "accepted")]
    assert found.ledger == []


async def test_an_opt_out_cancels_and_is_the_consent_that_counted(live_ctx: Context) -> None:
    person = await contact(live_ctx)
    message_id = await send(live_ctx, person.phone, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    async with unit_of_work():
        await consent.opt_out(live_ctx, person, source="api", now=datetime.now(UTC))
    found = await explain_message(live_ctx, message_id)
    assert statuses(found) == ["scheduled", "canceled"]
    await check_events(found, message_id)
    assert found.states[-1].error is not None
    assert found.states[-1].error.code == "recipient_opted_out"
    assert found.consent.record is not None
    assert (found.consent.record.status, found.consent.record.source) == ("opted_out", "api")
    assert found.consent.current_status == "opted_out"
    assert (found.suppression.suppressed, found.suppression.source) == (True, "api")
    assert (found.attempts, found.ledger, found.carrier) == ([], [], None)


async def test_consent_given_or_taken_back_after_the_hand_over_is_not_what_counted(ctx: Context) -> None:
    person = await contact(ctx)
    message_id = await send(ctx, person.phone)
    await dispatch_messages(SERVICES, CARRIERS)
    async with unit_of_work():
        await consent.opt_out(ctx, person, source="api", now=datetime.now(UTC))
    found = await explain_message(ctx, message_id)
    assert found.consent.record is not None
    assert found.consent.record.status == "opted_in"
    assert found.consent.current_status == "opted_out"


async def test_a_recipient_skipped_before_it_was_queued(ctx: Context) -> None:
    person = await factories.make_contact(ctx, status=OptInStatus.UNKNOWN)
    await create(ctx, [person])
    await run_through()
    message = await Message.get(contact_id=person.id)
    found = await explain_message(ctx, message.id)
    assert statuses(found) == ["skipped"]
    await check_events(found, message.id)
    assert found.states[0].error is not None
    assert found.states[0].error.code == "recipient_not_opted_in"
    assert found.encoding is None
    assert (found.kind, found.sender.source) == ("campaign", "campaign")


async def test_a_recipient_skipped_at_the_claim(ctx: Context) -> None:
    person = await contact(ctx)
    await create(ctx, [person])
    await expand_campaigns(SERVICES)
    # The status alone, without the cancellation that goes with an opt-out: the claim itself must refuse.
    await Contact.filter(id=person.id).update(opt_in_status=OptInStatus.UNKNOWN)
    await run_through()
    message = await Message.get(contact_id=person.id)
    found = await explain_message(ctx, message.id)
    assert statuses(found) == ["queued", "skipped"]
    await check_events(found, message.id)
    assert found.encoding is not None
    assert found.encoding.parts == ["Hi Maria"]


async def test_a_scheduled_message_waits_and_is_queued_when_due(ctx: Context) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    message_id = await send(ctx, scheduled_at=at)
    found = await explain_message(ctx, message_id)
    assert statuses(found) == ["scheduled"]
    assert await event_types(found) == [None]
    await db.execute("UPDATE messages SET scheduled_at = created_at + interval '1 microsecond'")
    await hurry()
    await dispatch_messages(SERVICES, CARRIERS)
    found = await explain_message(ctx, message_id)
    assert statuses(found) == ["scheduled", "queued", "sending", "sent"]
    await check_events(found, message_id)


async def test_quiet_hours_show_the_zones_and_the_next_opening(ctx: Context) -> None:
    person = await factories.make_contact(ctx, "+12125550188", region="US", timezone="America/New_York")
    campaign_id = await create(ctx, [person])
    await expand_campaigns(SERVICES)
    message = await Message.get(contact_id=person.id)
    assert (await explain_message(ctx, message.id)).quiet_hours is None
    await Campaign.filter(id=campaign_id).update(respects_quiet_hours=True)
    night = datetime(2026, 7, 7, 7, tzinfo=UTC)
    found = (await explain_message(ctx, message.id, now=night)).quiet_hours
    assert found is not None
    assert (found.zones, found.zone_source, found.open) == (["America/New_York"], "contact", False)
    opening = quiet_hours.next_opening(("America/New_York",), "US", night)
    assert found.next_opening == opening.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found.at == "2026-07-07T07:00:00Z"
    noon = (await explain_message(ctx, message.id, now=night + timedelta(hours=9))).quiet_hours
    assert noon is not None
    assert noon.open is True
    assert noon.next_opening == noon.at


async def test_other_workspaces_and_modes_have_no_such_message(ctx: Context, live_ctx: Context) -> None:
    message_id = await send(ctx)
    other = await factories.make_workspace(name="Another Studio")
    for caller in (live_ctx, Context(other.id, livemode=False, services=SERVICES)):
        with pytest.raises(NotFound):
            await explain_message(caller, message_id)


async def test_nothing_of_another_mode_or_workspace_shows(ctx: Context, live_ctx: Context) -> None:
    other = await factories.make_workspace(name="Another Studio")
    phone = factories.next_phone()
    for caller in (live_ctx, Context(other.id, livemode=False, services=SERVICES)):
        async with unit_of_work():
            elsewhere = await create_contact(caller, CreateContact(phone, opt_in=OptInEvidence("elsewhere", None)))
            await consent.opt_out(caller, elsewhere, source="elsewhere", now=datetime.now(UTC))
    message_id = await send(ctx, phone)
    found = await explain_message(ctx, message_id)
    assert found.consent.record is None
    assert found.suppression.suppressed is False
    assert b"elsewhere" not in msgspec.json.encode(found)


async def test_claim_tokens_are_never_shown(ctx: Context) -> None:
    message_id = await send(ctx)
    await dispatch_messages(SERVICES, CARRIERS)
    tokens = await db.fetch("SELECT claim_token FROM message_attempts WHERE message_id = $1", message_id)
    assert len(tokens) == 1
    text = msgspec.json.encode(await explain_message(ctx, message_id)).decode()
    assert str(tokens[0].claim_token) not in text
    assert ids.encode_id(ids.ATTEMPT, tokens[0].claim_token)[4:] not in text
    assert tokens[0].claim_token.hex not in text


async def test_a_timeline_holds_every_state_attempt_event_and_reply(live_ctx: Context, other_ctx: Context) -> None:
    person = await contact(live_ctx)
    message_id = await send(live_ctx, person.phone, "Doors open")
    await dispatch_messages(SERVICES, CARRIERS)
    await hurry()
    await collect_reports(SERVICES)
    for key in ("first", "second"):
        async with unit_of_work():
            await receive_inbound(
                live_ctx, from_phone=person.phone, to_sender="MASSIVESMS", text=f"The {key}", dedupe_key=key
            )
    found = await get_timeline(live_ctx, message_id)
    assert found.id == ids.encode_id(ids.MESSAGE, message_id)
    kinds = [entry.kind for entry in found.entries]
    assert [kinds.count(kind) for kind in ("state", "attempt_started", "attempt_ended", "reply", "event")] == [
        5, 1, 1, 2, 5,
    ]  # fmt: skip
    states = [entry.status for entry in found.entries if entry.kind == "state"]
    assert states == ["queued", "sending", "sent", "delivered", "replied"]
    rows = await db.fetch("SELECT id, type FROM events WHERE resource_id = $1 ORDER BY id", message_id)
    assert [(entry.event_id, entry.event_type) for entry in found.entries if entry.kind == "event"] == [
        (ids.encode_id(ids.EVENT, row.id), row.type) for row in rows
    ]
    assert [entry.reply.body for entry in found.entries if entry.reply] == ["The first", "The second"]
    assert [entry.at for entry in found.entries] == sorted(entry.at for entry in found.entries)
    with pytest.raises(NotFound):
        await get_timeline(other_ctx, message_id)


async def test_timelines_of_many_messages_are_their_own(ctx: Context) -> None:
    sent = [await send(ctx, factories.next_phone(), "Doors open"), await send(ctx, INVALID, "Doors open")]
    await dispatch_messages(SERVICES, CARRIERS)
    await hurry()
    await collect_reports(SERVICES)
    found = await message_timelines(ctx, await Message.all())
    assert {id: found[id] for id in sent} == {id: (await get_timeline(ctx, id)).entries for id in sent}
    failed = next(entry for entry in found[sent[1]] if entry.status == "failed")
    assert failed.error is not None
    assert failed.error.code == "invalid_number"
