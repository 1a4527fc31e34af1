"""Sequences step by step: waits, hours, conditions, ways in and out, on the real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import campaigns, sequences
from msvs.api.campaigns import sequence_steps as engine
from msvs.api.campaigns.enrollments import remove_enrollment
from msvs.api.campaigns.sequence_requests import (
    MAX_MINUTES,
    CreateSequence,
    Otherwise,
    SequenceEntry,
    SequenceStep,
    StepCondition,
    Template,
    UpdateSequence,
)
from msvs.api.campaigns.sequence_stats import read_stats
from msvs.api.campaigns.sequence_templates import TEMPLATES
from msvs.api.consent import consent
from msvs.api.consent.revocation import OWN_ACT
from msvs.api.contacts import lists
from msvs.api.contacts.contacts import delete_contact
from msvs.api.contacts.merges import MergeContacts, merge_contacts
from msvs.api.contacts.tags import ChangeTags, tag_contact
from msvs.api.context import Context
from msvs.api.errors import ApiError, ComplianceRefused, Conflict, InvalidRequest, NotFound
from msvs.api.inbound import keywords
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.clicks import Click, record_clicks
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.privacy.contact_export import export_contact, stream_contact
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Campaign, Contact, Message, MessageSequence, OptInStatus
from msvs.workers.campaigns import expand_campaigns, has_work
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import complete_campaigns
from msvs.workers.reports import collect_reports
from tests import factories
from tests.api.campaigns.flows import (
    bodies,
    check_conserved,
    counted,
    enroll,
    events,
    make_sequence,
    only,
    pass_time,
    states,
    steps,
    work,
    work_at,
)
from tests.services import SERVICES
from tests.workers.test_dispatch import hurry

pytestmark = pytest.mark.usefixtures("virtual_live")

CARRIERS = {"virtual": VirtualCarrier()}


async def send() -> None:
    """Hand what is queued to the carrier, and take in what became of it."""
    await dispatch_messages(SERVICES, CARRIERS)
    await hurry()
    await collect_reports(SERVICES)


def list_id(row: Any) -> str:
    return ids.encode_id(ids.CONTACT_LIST, row.id)


async def say(ctx: Context, contact: Contact, text: str) -> None:
    async with unit_of_work():
        await receive_inbound(
            ctx, from_phone=contact.phone, to_sender="COHORT", text=text, dedupe_key=str(ids.new_id())
        )


async def test_steps_come_one_after_the_other(live_ctx: Context) -> None:
    sequence = await make_sequence(live_ctx, "Day 1, {firstName|there}", "Day 2", "Day 3")
    maria = await factories.make_contact(live_ctx, first_name="Maria")
    entered = await enroll(live_ctx, sequence, maria)
    assert (entered.state, entered.step, entered.entered_by) == ("active", "step_1", "api")
    assert await has_work(SERVICES, await db.now())
    await expand_campaigns(SERVICES)
    assert await bodies(maria) == ["Day 1, Maria"]
    assert not await has_work(SERVICES, await db.now())
    assert await work() == 0, "the next is a day away"
    for _ in range(2):
        await pass_time()
        await work()
    await send()
    assert await bodies(maria) == ["Day 1, Maria", "Day 2", "Day 3"]
    row = await only(sequence, maria)
    assert (row.state, row.step, row.leaving) == ("completed", 3, None)
    assert await events(maria) == ["sequence.entered", "sequence.completed"]
    messages = await Message.filter(contact_id=maria.id).order_by("id")
    assert [message.credits_used for message in messages] == [1, 1, 1], "credits are taken as a campaign's"
    assert {message.status for message in messages} == {"delivered"}
    await check_conserved(sequence.id)


async def test_statistics_of_a_step(ctx: Context) -> None:
    sequence = await make_sequence(
        ctx,
        steps=[
            *steps("One https://cohortlabs.co/a", shorten_links=True),
            SequenceStep(key="two", body="Two", wait_minutes=60),
        ],
    )
    reader, silent, out = [await factories.make_contact(ctx) for _ in range(3)]
    unknown = await factories.make_contact(ctx, status=OptInStatus.PENDING)
    for contact in (reader, silent, out, unknown):
        await enroll(ctx, sequence, contact)
    await work()
    await send()
    code = await db.fetch_value("SELECT code FROM short_links WHERE contact_id = $1", reader.id)
    async with unit_of_work():
        await record_clicks(SERVICES, [Click(code, await db.now())])
    await say(ctx, out, "STOP")
    await work()
    found = await read_stats(ctx, sequence.id)
    assert found.stats.entered == 4
    assert (found.stats.inside, found.stats.completed, found.stats.left) == (3, 0, 1)
    assert found.stats.left_by_reason == {"opted_out": 1}
    first, second = found.steps
    assert (first.key, first.entered, first.skipped, first.delivered, first.clicked) == ("step_1", 4, 1, 3, 1)
    assert first.skipped_by_reason == {"recipient_not_opted_in": 1}
    assert (first.opted_out, first.credits_used, first.waiting) == (1, 3, 0)
    assert (second.waiting, second.left, second.entered) == (3, 1, 0)


async def test_a_step_waits_for_the_local_hour_and_quiet_hours(ctx: Context) -> None:
    sequence = await make_sequence(
        ctx,
        steps=[
            SequenceStep(key="a", body="A"),
            SequenceStep(key="b", body="B", wait_minutes=60, send_at_local="10:00"),
        ],
    )
    tokyo = await factories.make_contact(ctx, timezone="Asia/Tokyo")
    await enroll(ctx, sequence, tokyo)
    await work()
    row = await only(sequence, tokyo)
    assert row.due_at.astimezone(UTC).strftime("%H:%M") == "01:00", "10:00 in Tokyo"
    assert row.due_at >= row.wait_until
    # Moved to New York meanwhile: the hour there counts.
    await Contact.filter(id=tokyo.id).update(timezone="America/New_York")
    now = datetime(2026, 5, 4, 1, 0, tzinfo=UTC)
    await db.execute("UPDATE sequence_enrollments SET wait_until = $1, due_at = $1", now)
    (due,) = await engine.due_sequences(now)
    async with unit_of_work():
        assert await engine.take_steps(SERVICES, due, now=now) == 1
    row = await only(sequence, tokyo)
    assert (row.step, row.due_at) == (1, datetime(2026, 5, 4, 14, 0, tzinfo=UTC))
    # Long after its hour, as after a pause, the next such hour counts.
    late = datetime(2026, 5, 6, 17, 0, tzinfo=UTC)
    async with unit_of_work():
        await engine.take_steps(SERVICES, due, now=late)
    row = await only(sequence, tokyo)
    assert (row.step, row.due_at) == (1, datetime(2026, 5, 7, 14, 0, tzinfo=UTC))
    quiet = await make_sequence(ctx, "Hush", quiet_hours=True)
    await enroll(ctx, quiet, tokyo)
    night = datetime(2026, 5, 4, 5, 0, tzinfo=UTC)
    await db.execute(
        "UPDATE sequence_enrollments SET wait_until = $1, due_at = $1 WHERE sequence_id = $2", night, quiet.id
    )
    (due,) = [each for each in await engine.due_sequences(night) if each.id == quiet.id]
    async with unit_of_work():
        await engine.take_steps(SERVICES, due, now=night)
    row = await only(quiet, tokyo)
    assert row.step == 0
    assert row.due_at > night + timedelta(hours=5), "New York is asleep at 1:00"
    assert await bodies(tokyo) == ["A"]


@pytest.mark.parametrize("late", [timedelta(), timedelta(seconds=2), timedelta(minutes=40)])
@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        # Over the days on which New York sets its clocks forward and back, and where it sets none.
        ("America/New_York", datetime(2026, 3, 6, 14, tzinfo=UTC), (14, 14, 13, 13)),
        ("America/New_York", datetime(2026, 10, 30, 13, tzinfo=UTC), (13, 13, 14, 14)),
        ("Asia/Tokyo", datetime(2026, 3, 6, tzinfo=UTC), (0, 0, 0, 0)),
    ],
)
async def test_a_step_a_day_later_at_an_hour_comes_each_day(
    ctx: Context, zone: str, first: datetime, hours: tuple[int, ...], late: timedelta
) -> None:
    """Also where workers take each step a moment after it is due, as they do."""
    days = steps("One", "Two", "Three", "Four", send_at_local="09:00")
    sequence = await make_sequence(ctx, steps=days)
    contact = await factories.make_contact(ctx, timezone=zone)
    await enroll(ctx, sequence, contact)
    await db.execute("UPDATE sequence_enrollments SET wait_until = $1, due_at = $1", first)
    for day, hour in enumerate(hours):
        row = await only(sequence, contact)
        assert row.due_at == (first + timedelta(days=day)).replace(hour=hour), day
        await work_at(sequence, row.due_at + late)
    assert await states(sequence.id) == {"completed": 1}


@pytest.mark.parametrize("hour", [7, 10, 20])
async def test_a_challenge_leaves_no_day_out(ctx: Context, hour: int) -> None:
    async with unit_of_work():
        made = await sequences.create_sequence(ctx, CreateSequence(name="T", template=Template.CHALLENGE))
        sequence = await sequences.publish_sequence(ctx, made.id)
    contact = await factories.make_contact(ctx, timezone="Europe/Lisbon")
    await enroll(ctx, sequence, contact)
    entered = datetime(2026, 1, 5, hour, tzinfo=UTC)
    await db.execute("UPDATE sequence_enrollments SET wait_until = $1, due_at = $1", entered)
    seen = []
    while (row := await only(sequence, contact)).state == "active":
        if not seen or row.step > len(seen) - 1:
            seen.append(row.due_at.day)
        await work_at(sequence, row.due_at + timedelta(seconds=1))
    assert seen == [5, 6, 7, 8, 9]


async def test_after_a_long_delay_a_step_keeps_its_distance(ctx: Context) -> None:
    morning = [SequenceStep(key="a", body="A"), SequenceStep(key="b", body="B", wait_minutes=60, send_at_local="12:00")]
    sequence = await make_sequence(ctx, steps=morning)
    contact = await factories.make_contact(ctx, timezone="Asia/Tokyo")
    await enroll(ctx, sequence, contact)
    due = datetime(2026, 3, 6, 1, 30, tzinfo=UTC)
    await db.execute("UPDATE sequence_enrollments SET wait_until = $1, due_at = $1", due)
    await work_at(sequence, due + timedelta(minutes=40))
    row = await only(sequence, contact)
    assert row.wait_until == due + timedelta(minutes=100), "an hour after it was taken"
    assert row.due_at == datetime(2026, 3, 7, 3, tzinfo=UTC), "noon of the next day"


async def test_conditions_decide_on_a_step(ctx: Context) -> None:
    vips = await factories.make_list(ctx)
    tier: Any = {"field": "attributes.tier", "op": "eq", "value": "vip"}
    sequence = await make_sequence(
        ctx,
        leave_on_reply=False,
        steps=[
            SequenceStep(key="link", body="See https://cohortlabs.co/a", shorten_links=True),
            SequenceStep(key="clicked", body="You clicked", only_if=StepCondition(clicked="link")),
            SequenceStep(key="silent", body="No click", only_if=StepCondition(not_clicked="link")),
            SequenceStep(key="replied", body="You replied", only_if=StepCondition(replied="link")),
            SequenceStep(key="tier", body="For VIPs", only_if=StepCondition(filter=tier)),
            SequenceStep(key="listed", body="On the list", only_if=StepCondition(filter={"list": list_id(vips)})),
            SequenceStep(
                key="gate", body="Both", only_if=StepCondition(clicked="link", filter=tier), otherwise=Otherwise.LEAVE
            ),
        ],
    )
    clicker = await factories.make_contact(ctx, attributes={"tier": "vip"})
    other = await factories.make_contact(ctx)
    for contact in (clicker, other):
        await enroll(ctx, sequence, contact)
    due = (await engine.due_sequences(await db.now()))[0]
    async with unit_of_work():
        await engine.take_steps(SERVICES, due, now=await db.now())
    await send()
    code = await db.fetch_value("SELECT code FROM short_links WHERE contact_id = $1", clicker.id)
    async with unit_of_work():
        await record_clicks(SERVICES, [Click(code, await db.now())])
        await lists.add_contacts(ctx, vips.id, [ids.encode_id(ids.CONTACT, other.id)])
    await say(ctx, other, "what is this about")
    await work()
    assert (await bodies(clicker))[1:] == ["You clicked", "For VIPs", "Both"]
    assert (await bodies(other))[1:] == ["No click", "You replied", "On the list"]
    assert await states(sequence.id) == {"completed": 1, "condition": 1}
    assert await events(other) == ["sequence.entered", "sequence.left"]
    await check_conserved(sequence.id)


async def test_contacts_enter_by_list_keyword_tag_and_event(ctx: Context) -> None:
    row, word_list = await factories.make_list(ctx), await factories.make_list(ctx, name="Words")
    async with unit_of_work():
        word = await keywords.create_keyword(ctx, keywords.CreateKeyword("JOIN6", list_id(word_list)))
    entry = SequenceEntry(
        list_ids=[list_id(row)],
        keyword_ids=[ids.encode_id(ids.KEYWORD, word.id)],
        tags=["Webinar"],
        events=["contact.opted_in"],
    )
    sequence = await make_sequence(ctx, "Hi", entry=entry)
    people = [await factories.make_contact(ctx) for _ in range(3)]
    pending = await factories.make_contact(ctx, status=OptInStatus.PENDING)
    stopped = await factories.make_contact(ctx, status=OptInStatus.OPTED_OUT)
    by_list, by_word, by_tag = people
    async with unit_of_work():
        named = [ids.encode_id(ids.CONTACT, each.id) for each in (by_list, stopped)]
        await lists.add_contacts(ctx, row.id, named)
        await tag_contact(ctx, by_tag.id, ChangeTags(add=["webinar"]))
    await say(ctx, by_word, "join6")
    async with unit_of_work():
        await consent.opt_in(ctx, pending, source="form", ip=None, now=await db.now(), confirmed=True, claim=OWN_ACT)
    await work()
    found = {each.contact_id: each.entered_by for each in await _all(sequence)}
    assert found == {by_list.id: "list", by_word.id: "keyword", by_tag.id: "tag", pending.id: "event"}
    assert await bodies(stopped) == []
    # Once is enough: neither the same way nor another leads in again.
    async with unit_of_work():
        await lists.remove_contact(ctx, row.id, by_list.id)
        await lists.add_contacts(ctx, row.id, [ids.encode_id(ids.CONTACT, by_list.id)])
        await lists.add_contacts(ctx, row.id, [ids.encode_id(ids.CONTACT, by_tag.id)])
    await work()
    assert await states(sequence.id) == {"completed": 4}
    with pytest.raises(Conflict) as refused:
        await enroll(ctx, sequence, by_tag)
    assert refused.value.code == "sequence_entered"


async def test_answers_of_a_machine_lead_in_once(ctx: Context) -> None:
    """A phone that answers by itself would go from one sequence to the other without an end."""
    entry = SequenceEntry(events=["message.replied"])
    first, second = [
        await make_sequence(ctx, body, entry=entry, may_reenter=True, leave_on_reply=False, quiet_hours=False)
        for body in ("Thanks!", "Noted!")
    ]
    person = await factories.make_contact(ctx)

    async def write() -> None:
        async with unit_of_work():
            await send_message(ctx, SendMessage(to=person.phone, body="Doors open"))

    for times in (1, 2):
        await write()
        for _ in range(4):
            await send()
            await say(ctx, person, "I am driving")
            await work()
        # Each message of our own leads in again, and what the sequences answer does not.
        assert await states(first.id) == {"completed": times}
        assert await states(second.id) == {"completed": times}
        assert len(await bodies(person)) == 3 * times


async def test_an_answer_to_a_sequence_leads_into_another_once(ctx: Context) -> None:
    asking = await make_sequence(ctx, "Which?", may_reenter=True, leave_on_reply=False, quiet_hours=False)
    entry = SequenceEntry(events=["message.replied"])
    told = await make_sequence(ctx, "Here", entry=entry, may_reenter=True, leave_on_reply=False, quiet_hours=False)
    person = await factories.make_contact(ctx)
    for _ in range(2):
        await enroll(ctx, asking, person)
        await work()
        await send()
        await say(ctx, person, "the second")
        await work()
    assert await states(told.id) == {"completed": 1}
    assert await bodies(person) == ["Which?", "Here", "Which?"]


async def _all(sequence: MessageSequence) -> Any:
    return await db.fetch("SELECT * FROM sequence_enrollments WHERE sequence_id = $1", sequence.id)


async def test_another_mode_or_workspace_enters_nothing(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    entry = SequenceEntry(tags=["webinar"], events=["contact.opted_in"])
    mine = await make_sequence(ctx, "Hi", entry=entry)
    for each in (live_ctx, other_ctx):
        stranger = await factories.make_contact(each, status=OptInStatus.UNKNOWN)
        async with unit_of_work():
            await tag_contact(each, stranger.id, ChangeTags(add=["webinar"]))
            await consent.opt_in(
                each, stranger, source="form", ip=None, now=await db.now(), confirmed=True, claim=OWN_ACT
            )
        for operation in (sequences.get_sequence, sequences.publish_sequence, sequences.archive_sequence, read_stats):
            with pytest.raises(NotFound):
                await operation(each, mine.id)
        with pytest.raises(NotFound):
            await enroll(each, mine, stranger)
        with pytest.raises(NotFound):
            await enroll(ctx, mine, stranger)
    await work()
    assert await counted("sequence_enrollments", "sequence_entries", "messages") == {
        "sequence_enrollments": 0,
        "sequence_entries": 0,
        "messages": 0,
    }


async def test_contacts_leave_by_reply_stop_goal_and_call(ctx: Context) -> None:
    goal: Any = {"tag": "customer"}
    sequence = await make_sequence(ctx, "One", "Two", goal=goal)
    replied, stopped, bought, removed, gone, stays = [await factories.make_contact(ctx) for _ in range(6)]
    for contact in (replied, stopped, bought, removed, gone, stays):
        await enroll(ctx, sequence, contact)
    await work()
    await send()
    await say(ctx, replied, "tell me more")
    await say(ctx, stopped, "STOP")
    async with unit_of_work():
        await tag_contact(ctx, bought.id, ChangeTags(add=["customer"]))
        row = await only(sequence, removed)
        assert (await remove_enrollment(ctx, sequence.id, row.id)).reason == "removed"
        await delete_contact(ctx, gone.id)
    await work()
    assert await states(sequence.id) == {
        "replied": 1,
        "opted_out": 1,
        "removed": 1,
        "contact_deleted": 1,
        "active": 2,
    }
    await pass_time()
    await work()
    assert await states(sequence.id) == {
        "replied": 1,
        "opted_out": 1,
        "removed": 1,
        "contact_deleted": 1,
        "goal": 1,
        "completed": 1,
    }
    for contact in (replied, stopped, bought, removed):
        assert "Two" not in await bodies(contact)
        assert await events(contact) == ["sequence.entered", "sequence.left"]
    assert await bodies(stays) == ["One", "Two"]
    await check_conserved(sequence.id)


async def test_a_message_that_waits_is_canceled_when_its_contact_leaves(live_ctx: Context) -> None:
    sequence = await make_sequence(live_ctx, "One")
    contact = await factories.make_contact(live_ctx)
    await enroll(live_ctx, sequence, contact)
    other = await make_sequence(live_ctx, "Other", "Later")
    await enroll(live_ctx, other, contact)
    await work()
    async with unit_of_work():
        await remove_enrollment(live_ctx, other.id, (await only(other, contact)).id)
    found = {row.body: (row.status, row.error_code) for row in await Message.filter(contact_id=contact.id)}
    assert found == {"One": ("queued", None), "Other": ("canceled", "sequence_left")}


async def test_who_is_inside_stays_on_the_version(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "Old 1", "Old 2")
    early, late = [await factories.make_contact(ctx) for _ in range(2)]
    await enroll(ctx, sequence, early)
    await work()
    async with unit_of_work():
        await sequences.update_sequence(ctx, sequence.id, UpdateSequence(steps=steps("New 1", "New 2", "New 3")))
    (shape,) = await sequences.sequence_resources(ctx, [await sequences.get_sequence(ctx, sequence.id)])
    assert (shape.published_version, shape.has_changes) == (1, True)
    async with unit_of_work():
        await sequences.publish_sequence(ctx, sequence.id)
        again = await sequences.publish_sequence(ctx, sequence.id)
    assert again.number == 2, "nothing was changed since"
    await enroll(ctx, sequence, late)
    for _ in range(3):
        await work()
        await pass_time()
    assert await bodies(early) == ["Old 1", "Old 2"]
    assert await bodies(late) == ["New 1", "New 2", "New 3"]
    await send()
    await work()
    old = await Campaign.filter(sequence_id=sequence.id, body__startswith="Old")
    assert {row.status for row in old} == {"completed"}, "nobody is left in the version before"
    with pytest.raises(Exception, match="never changes"):
        await db.execute("UPDATE sequence_versions SET definition = '{}'")
    found = await read_stats(ctx, sequence.id)
    assert [(step.sequence_version, step.key, step.entered) for step in found.steps] == [
        (2, "step_1", 1),
        (2, "step_2", 1),
        (2, "step_3", 1),
        (1, "step_1", 1),
        (1, "step_2", 1),
    ]


async def test_a_pause_holds_steps_and_messages(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "One", "Two")
    first, second = [await factories.make_contact(ctx) for _ in range(2)]
    await enroll(ctx, sequence, first)
    await work()
    async with unit_of_work():
        await sequences.pause_sequence(ctx, sequence.id)
    await enroll(ctx, sequence, second)
    assert not await has_work(SERVICES, await db.now())
    await work()
    await send()
    assert [row.status for row in await Message.all()] == ["queued"], "what was queued is held, and nothing is made"
    async with unit_of_work():
        await sequences.resume_sequence(ctx, sequence.id)
    await work()
    await send()
    assert [row.status for row in await Message.all()] == ["delivered"] * 2
    with pytest.raises(Conflict):
        await sequences.resume_sequence(ctx, sequence.id)


async def test_each_change_of_a_sequence_is_an_event_and_a_repeated_one_is_none(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "Day 1")
    async with unit_of_work():
        for change in (
            sequences.publish_sequence,
            sequences.pause_sequence,
            sequences.pause_sequence,
            sequences.resume_sequence,
            sequences.archive_sequence,
            sequences.archive_sequence,
        ):
            await change(ctx, sequence.id)
    rows = await db.fetch("SELECT type, data FROM events WHERE resource_id = $1 ORDER BY id", sequence.id)
    assert [row.type for row in rows] == [
        "sequence.published",
        "sequence.paused",
        "sequence.resumed",
        "sequence.archived",
    ]
    assert [json.loads(row.data)["status"] for row in rows] == ["active", "paused", "active", "archived"]


async def test_the_record_of_a_person_has_the_sequences_it_entered(ctx: Context, other_ctx: Context) -> None:
    maria, john = [await factories.make_contact(ctx) for _ in range(2)]
    for name in ("Day 1", "Day 2"):
        sequence = await make_sequence(ctx, name)
        for contact in (maria, john):
            await enroll(ctx, sequence, contact)
    record = await export_contact(ctx, maria.id)
    assert [each.contact_id for each in record.enrollments] == [ids.encode_id(ids.CONTACT, maria.id)] * 2
    assert record.enrollments[0].sequence_id == ids.encode_id(ids.SEQUENCE, sequence.id)
    whole = json.loads(b"".join([piece async for piece in stream_contact(ctx, maria.id)]))
    assert [each["id"] for each in whole["enrollments"]] == [each.id for each in record.enrollments]
    stranger = await factories.make_contact(other_ctx)
    assert (await export_contact(other_ctx, stranger.id)).enrollments == []


async def test_an_archived_sequence_lets_everyone_out(ctx: Context) -> None:
    entry = SequenceEntry(tags=["webinar"])
    sequence = await make_sequence(ctx, "One", "Two", entry=entry)
    contact, late = [await factories.make_contact(ctx) for _ in range(2)]
    await enroll(ctx, sequence, contact)
    await work()
    async with unit_of_work():
        await sequences.archive_sequence(ctx, sequence.id)
    assert await has_work(SERVICES, await db.now())
    async with unit_of_work():
        await tag_contact(ctx, late.id, ChangeTags(add=["webinar"]))
    await expand_campaigns(SERVICES)
    await send()
    assert await states(sequence.id) == {"archived": 1}
    assert {row.status for row in await Message.all()} == {"canceled"}
    for operation in (sequences.publish_sequence, sequences.pause_sequence, sequences.resume_sequence):
        with pytest.raises(Conflict):
            async with unit_of_work():
                await operation(ctx, sequence.id)
    assert not await has_work(SERVICES, await db.now())


async def test_reminders_count_from_an_anchor(ctx: Context) -> None:
    async with unit_of_work():
        made = await sequences.create_sequence(
            ctx, CreateSequence(name="Webinar", template=Template.WEBINAR_REMINDER, quiet_hours=False)
        )
        sequence = await sequences.publish_sequence(ctx, made.id)
    contact = await factories.make_contact(ctx, first_name="Ana", attributes={"link": "cohortlabs.co/live"})
    with pytest.raises(InvalidRequest) as refused:
        await enroll(ctx, sequence, contact)
    assert refused.value.param == "anchor_at"
    # Booked 20 hours before: the reminder of the day before is over.
    anchor = (await db.now()) + timedelta(hours=20)
    await enroll(ctx, sequence, contact, anchor_at=anchor)
    await work()
    row = await only(sequence, contact)
    assert await bodies(contact) == ["You are in, Ana! We will text you before it begins."]
    assert (row.step, row.due_at) == (2, anchor - timedelta(hours=1))
    await pass_time(timedelta(hours=19, seconds=5))
    await work()
    await pass_time(timedelta(minutes=55))
    await work()
    assert len(await bodies(contact)) == 3
    moves = await db.fetch("SELECT step, code FROM sequence_moves ORDER BY step")
    assert [(move.step, move.code) for move in moves] == [(0, None), (1, "step_missed"), (2, None), (3, None)]


@pytest.mark.parametrize(
    ("anchor", "before"), [(datetime.min.replace(tzinfo=UTC), True), (datetime.max.replace(tzinfo=UTC), False)]
)
@pytest.mark.parametrize("minutes", [-MAX_MINUTES, MAX_MINUTES])
async def test_an_anchor_at_the_end_of_the_calendar(ctx: Context, anchor: datetime, before: bool, minutes: int) -> None:
    step = SequenceStep(key="a", body="Hi", anchor_minutes=minutes, send_at_local="09:00")
    sequence = await make_sequence(ctx, steps=[step], quiet_hours=True)
    contact = await factories.make_contact(ctx)
    entered = await enroll(ctx, sequence, contact, anchor_at=anchor)
    assert entered.state == "active"
    await work()
    row = await only(sequence, contact)
    assert row.state == ("completed" if before else "active")
    assert await bodies(contact) == [], "it is long over, or far ahead"


@pytest.mark.parametrize("template", [*Template])
async def test_templates_run_to_their_end(ctx: Context, template: Template) -> None:
    async with unit_of_work():
        made = await sequences.create_sequence(ctx, CreateSequence(name="T", template=template, quiet_hours=False))
        sequence = await sequences.publish_sequence(ctx, made.id)
    contact = await factories.make_contact(ctx)
    await enroll(ctx, sequence, contact, anchor_at=(await db.now()) + timedelta(days=3))
    seen = []
    while (row := await only(sequence, contact)).state == "active":
        seen.append(row.due_at)
        await work_at(sequence, row.due_at)
    assert row.state == "completed"
    assert seen == sorted(seen)
    assert await counted("sequence_moves") == {"sequence_moves": len(TEMPLATES[template].steps)}
    # Nobody is sent to an address that the template made up: without a `link` of their own, the step is skipped.
    linked = [place for place, step in enumerate(TEMPLATES[template].steps) if "{link}" in step.body]
    moves = await db.fetch("SELECT step FROM sequence_moves WHERE code = 'variable_missing' ORDER BY step")
    assert [move.step for move in moves] == linked
    assert not [body for body in await bodies(contact) if ".co" in body]


async def test_raced_entries_are_one(ctx: Context) -> None:
    row = await factories.make_list(ctx)
    sequence = await make_sequence(ctx, "One", "Two", entry=SequenceEntry(list_ids=[list_id(row)], tags=["x"]))
    contact = await factories.make_contact(ctx)

    async def by_list() -> None:
        async with unit_of_work():
            await lists.add_contacts(ctx, row.id, [ids.encode_id(ids.CONTACT, contact.id)])
        await work()

    async def by_tag() -> None:
        async with unit_of_work():
            await tag_contact(ctx, contact.id, ChangeTags(add=["x"]))
        await work()

    async def by_call() -> bool:
        try:
            await enroll(ctx, sequence, contact)
        except Conflict:
            return False
        return True

    results = await asyncio.gather(by_list(), by_tag(), *(by_call() for _ in range(6)))
    await work()
    assert sum(1 for each in results if each) <= 1
    assert await states(sequence.id) == {"active": 1}
    assert await bodies(contact) == ["One"]
    assert await events(contact) == ["sequence.entered"]


async def test_workers_at_once_take_each_step_once(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "One", "Two", "Three")
    people = [await factories.make_contact(ctx) for _ in range(40)]
    for contact in people:
        await enroll(ctx, sequence, contact)
    for _ in range(3):
        await asyncio.gather(*(work(batch=7) for _ in range(4)))
        await pass_time()
    assert await states(sequence.id) == {"completed": 40}
    assert await counted("sequence_moves", "messages") == {"sequence_moves": 120, "messages": 120}
    await check_conserved(sequence.id)


async def test_a_contact_that_may_enters_again(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "One", may_reenter=True)
    contact = await factories.make_contact(ctx)
    for _ in range(2):
        await enroll(ctx, sequence, contact)
        with pytest.raises(Conflict):
            await enroll(ctx, sequence, contact)
        await work()
    assert await bodies(contact) == ["One", "One"]
    await check_conserved(sequence.id)


async def test_a_merge_takes_the_enrollment_along(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "One", "Two")
    kept, other = [await factories.make_contact(ctx) for _ in range(2)]
    await enroll(ctx, sequence, other)
    await work()
    async with unit_of_work():
        await merge_contacts(ctx, kept.id, MergeContacts(contact_id=ids.encode_id(ids.CONTACT, other.id)))
    await pass_time()
    await work()
    assert (await only(sequence, kept)).state == "completed"
    assert "Two" in await bodies(kept)


async def test_a_campaign_of_a_step_is_the_sequences(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "One", "Two")
    step = (await Campaign.filter(sequence_id=sequence.id).order_by("id"))[0]
    for operation in (
        campaigns.pause_campaign,
        campaigns.cancel_campaign,
        campaigns.resume_campaign,
        campaigns.delete_campaign,
    ):
        with pytest.raises(Conflict) as refused:
            async with unit_of_work():
                await operation(ctx, step.id)
        assert refused.value.code == "campaign_of_sequence"
    from msvs.api.pages import PageRequest

    assert (await campaigns.list_campaigns(ctx, PageRequest())).items == []
    await complete_campaigns()
    assert {row.status for row in await Campaign.all()} == {"sending"}, "it goes on for as long as its version"


ODD: list[tuple[dict[str, Any], str]] = [
    ({"steps": [SequenceStep(key="A b", body="x")]}, "steps[0].key"),
    ({"steps": [SequenceStep(key="a", body="x"), SequenceStep(key="a", body="x")]}, "steps[1].key"),
    ({"steps": [SequenceStep(key="a", body="x", wait_minutes=-1)]}, "steps[0].wait_minutes"),
    ({"steps": [SequenceStep(key="a", body="x", wait_minutes=525_601)]}, "steps[0].wait_minutes"),
    ({"steps": [SequenceStep(key="a", body="x", wait_minutes=5, anchor_minutes=5)]}, "steps[0].anchor_minutes"),
    ({"steps": [SequenceStep(key="a", body="")]}, "steps[0].body"),
    ({"steps": [SequenceStep(key="a", body="{")]}, "steps[0].body"),
    ({"steps": [SequenceStep(key="a", body="x", send_at_local="25:00")]}, "steps[0].send_at_local"),
    ({"steps": [SequenceStep(key="a", body="x", only_if=StepCondition(clicked="a"))]}, "steps[0].only_if.clicked"),
    (
        {"steps": [SequenceStep(key="a", body="x", only_if=StepCondition(filter={"list": f"lst_{'0' * 26}"}))]},
        "steps[0].only_if.filter.list",
    ),
    ({"steps": [], "goal": {"field": "phone", "op": "eq", "value": "+12125550100"}}, "goal.field"),
    ({"steps": [], "goal": {"nothing": 1}}, "goal"),
    ({"steps": [], "entry": SequenceEntry(list_ids=[f"lst_{'0' * 26}"])}, "entry.list_ids[0]"),
    ({"steps": [], "entry": SequenceEntry(keyword_ids=["kwd_1"])}, "entry.keyword_ids[0]"),
    ({"steps": [], "entry": SequenceEntry(tags=["a,b"])}, "entry.tags[0]"),
    ({"steps": [], "entry": SequenceEntry(events=["message.sent"])}, "entry.events[0]"),
    ({"steps": [SequenceStep(key=f"k{n}", body="x") for n in range(51)]}, "steps"),
]


@pytest.mark.parametrize(("values", "param"), ODD)
async def test_what_is_odd_is_refused_and_leaves_nothing(ctx: Context, values: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError) as refused:
        async with unit_of_work():
            await sequences.create_sequence(ctx, CreateSequence(name="Odd", **values))
    assert refused.value.param == param
    assert await counted("sequences") == {"sequences": 0}


async def test_what_cannot_run_is_not_published(ctx: Context) -> None:
    anchored = [SequenceStep(key="a", body="x", anchor_minutes=-60)]
    for values, param in (
        ({"steps": []}, "steps"),
        ({"steps": anchored, "entry": SequenceEntry(tags=["x"])}, "anchor_at"),
    ):
        row = await make_sequence(ctx, publish=False, **values)
        with pytest.raises(InvalidRequest) as refused:
            async with unit_of_work():
                await sequences.publish_sequence(ctx, row.id)
        assert refused.value.param == param
    assert await counted("campaigns", "sequence_versions", "sequence_triggers") == {
        "campaigns": 0,
        "sequence_versions": 0,
        "sequence_triggers": 0,
    }


async def test_who_opted_out_does_not_enter(ctx: Context) -> None:
    sequence = await make_sequence(ctx, "One")
    contact = await factories.make_contact(ctx, status=OptInStatus.OPTED_OUT)
    with pytest.raises(ComplianceRefused):
        await enroll(ctx, sequence, contact)
    draft = await make_sequence(ctx, "One", publish=False)
    with pytest.raises(Conflict) as refused:
        await enroll(ctx, draft, await factories.make_contact(ctx))
    assert refused.value.code == "sequence_state"
    assert await counted("sequence_enrollments", "messages") == {"sequence_enrollments": 0, "messages": 0}
