"""What real carriers bring: reports find their messages, inbound messages their workspace, parts each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.contacts.contacts import (
    CreateContact,
    OptInEvidence,
    UpdateContact,
    create_contact,
    delete_contact,
    update_contact,
)
from msvs.api.contacts.imports import ImportContacts, import_contacts
from msvs.api.context import Context
from msvs.api.dispatch import senders
from msvs.api.dispatch.delivery_reports import take_reports
from msvs.api.inbound import carrier_events, replies
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.carrier_events import MAX_ADDRESS, MAX_REF, fit, keep_carrier_events
from msvs.carriers.protocol import CarrierEvent, Inbound, Report
from msvs.models import Contact, InboundMessage, Message
from msvs.models.identity import new_id
from msvs.ops.metric_families import DiskCheck, read_metric_families
from msvs.workers import reports
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES

OURS, PERSON = "+12125550100", "+12125550177"


pytestmark = pytest.mark.usefixtures("real_carrier")


async def handed_over(
    ctx: Context, *, phone: str = PERSON, ref: str | None = "ref-1", status: str = "sent", **values: Any
) -> UUID:
    contact = await Contact.get_or_none(workspace_id=ctx.workspace_id, livemode=True, phone=phone)
    contact = contact or await factories.make_contact(ctx, phone)
    message_id = new_id()
    await db.execute(
        "INSERT INTO messages (id, workspace_id, livemode, kind, contact_id, to_phone, sender, body, encoding,"
        " segments, credits_used, status, metadata, due_at, created_at, sent_at, opted_out, attempt_count,"
        " carrier, carrier_ref)"
        " VALUES ($1, $2, true, 'api', $3, $4, $5, 'Hi', 'gsm7', 1, 1, $6::varchar, '{}', now(), now(),"
        " CASE WHEN $6::varchar = 'sending' THEN NULL ELSE now() END, false, 1, $7, $8)",
        message_id,
        ctx.workspace_id,
        contact.id,
        phone,
        values.get("sender", OURS),
        status,
        values.get("carrier", "main"),
        ref,
    )
    return message_id


async def bring(*carrier_events: CarrierEvent, carrier: str = "main") -> int:
    async with unit_of_work():
        kept = await keep_carrier_events(carrier, carrier_events)
    await collect_reports(SERVICES)
    return kept


async def status(message_id: UUID) -> str:
    return str((await Message.get(id=message_id)).status.value)


async def waiting() -> int:
    """How many carrier events there are, without what is kept of parts to know them again."""
    return int(await db.fetch_value("SELECT count(*) FROM carrier_signals WHERE kind <> 'inbound' OR text <> ''"))


async def hurry() -> None:
    await db.execute(
        "UPDATE carrier_signals SET due_at = now() - interval '1 second' WHERE kind <> 'inbound' OR from_phone <> ''"
    )


async def test_a_report_finds_its_message_by_the_carriers_reference(live_ctx: Context) -> None:
    message_id = await handed_over(live_ctx)
    await bring(Report("ref-1:delivered", True, carrier_ref="ref-1"))
    assert (await status(message_id), await waiting()) == ("delivered", 0)


async def test_a_report_finds_its_message_by_our_id_even_where_the_answer_was_lost(live_ctx: Context) -> None:
    message_id = await handed_over(live_ctx, ref=None, status="sending")
    await bring(Report("x:failed", False, "unreachable", message_id=message_id))
    message = await Message.get(id=message_id)
    assert (message.status.value, message.error_code, message.sent_at is not None) == ("failed", "unreachable", True)


async def test_a_report_is_kept_once_and_applied_once(live_ctx: Context) -> None:
    message_id = await handed_over(live_ctx)
    report = Report("ref-1:delivered", True, carrier_ref="ref-1")
    async with unit_of_work():
        assert [await keep_carrier_events("main", [report, report]), await keep_carrier_events("main", [report])] == [
            1,
            0,
        ]
    await collect_reports(SERVICES)
    assert await bring(report) == 1
    rows = await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", message_id)
    assert [row.type for row in rows] == ["message.delivered"]


async def test_a_report_that_is_early_waits_for_its_message(live_ctx: Context) -> None:
    await bring(Report("ref-9:delivered", True, carrier_ref="ref-9"))
    assert await waiting() == 1
    message_id = await handed_over(live_ctx, ref="ref-9")
    await hurry()
    await collect_reports(SERVICES)
    assert (await status(message_id), await waiting()) == ("delivered", 0)


async def test_a_report_of_nothing_is_given_up_after_72_hours(live_ctx: Context) -> None:
    await bring(Report("ref-9:delivered", True, carrier_ref="ref-9"))
    for _ in range(20):
        await hurry()
        await collect_reports(SERVICES)
    assert await waiting() == 1
    await db.execute("UPDATE carrier_signals SET received_at = now() - interval '72 hours'")
    await hurry()
    await collect_reports(SERVICES)
    assert await waiting() == 0


async def test_a_carrier_reports_of_its_own_messages_alone(live_ctx: Context, ctx: Context) -> None:
    message_id = await handed_over(live_ctx)
    await bring(Report("1", True, carrier_ref="ref-1"), Report("2", True, message_id=message_id), carrier="another")
    assert await status(message_id) == "sent"
    sandbox = await handed_over(live_ctx, ref="v-1", carrier="virtual", phone="+12125550178")
    await bring(Report("3", True, carrier_ref="v-1"), carrier="virtual")
    assert await status(sandbox) == "sent"


@pytest.mark.parametrize(
    ("said", "expected", "code"),
    [
        ([True, True, True], "delivered", None),
        ([True, True, None], "sent", None),
        ([True, False, None], "failed", "unreachable"),
        ([None, None, False], "failed", "unreachable"),
    ],
)
async def test_a_message_in_parts_is_what_its_parts_are(
    live_ctx: Context, said: list[bool | None], expected: str, code: str | None
) -> None:
    message_id = await handed_over(live_ctx, ref="p1")
    for number in (1, 2, 3):
        await db.execute(
            "INSERT INTO message_parts (id, message_id, carrier, ref, number, created_at)"
            " VALUES ($1, $2, 'main', $3, $4, now())",
            new_id(),
            message_id,
            f"p{number}",
            number,
        )
    for number, is_delivered in enumerate(said, 1):
        if is_delivered is not None:
            await bring(
                Report(f"p{number}", is_delivered, None if is_delivered else "unreachable", carrier_ref=f"p{number}")
            )
    message = await Message.get(id=message_id)
    assert (message.status.value, message.error_code) == (expected, code)


def of_part(message_id: UUID, number: int, *, is_delivered: bool = True, count: int = 3) -> Report:
    code = None if is_delivered else "unreachable"
    return Report(f"v{number}:{is_delivered}", is_delivered, code, message_id, f"v{number}", count)


@pytest.mark.parametrize(
    ("said", "expected", "code"),
    [
        ([True, True, True], "delivered", None),
        ([True, True, None], "sent", None),
        ([None, False, True], "failed", "unreachable"),
    ],
)
async def test_parts_whose_ids_were_lost_are_distinguished_by_their_reports(
    live_ctx: Context, said: list[bool | None], expected: str, code: str | None
) -> None:
    message_id = await handed_over(live_ctx, ref=None, status="sending")
    for number, is_delivered in enumerate(said, 1):
        if is_delivered is not None:
            report = of_part(message_id, number, is_delivered=is_delivered)
            await bring(report)
            await bring(report)
    message = await Message.get(id=message_id)
    assert (message.status.value, message.error_code, message.sent_at is not None) == (expected, code, True)
    assert await waiting() == 0
    rows = await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", message_id)
    assert [row.type for row in rows] == ["message.sent", f"message.{expected}"][: 1 if expected == "sent" else 2]


async def test_all_reports_of_lost_parts_may_come_at_once(live_ctx: Context) -> None:
    message_ids = [await handed_over(live_ctx, ref=None, status="sending") for _ in range(2)]
    await bring(
        *(
            replace(
                report, carrier_ref=f"{each.hex}-{report.carrier_ref}", dedupe_key=f"{each.hex}-{report.dedupe_key}"
            )
            for number in (2, 3, 1)
            for each in message_ids
            for report in (of_part(each, number),)
        )
    )
    assert ([await status(each) for each in message_ids], await waiting()) == (["delivered"] * 2, 0)


async def test_reports_of_parts_wait_while_the_answer_may_still_come(live_ctx: Context) -> None:
    message_id = await handed_over(live_ctx, ref=None, status="sending")
    await db.execute("UPDATE messages SET lease_until = now() + interval '1 minute'")
    await bring(of_part(message_id, 1), of_part(message_id, 2))
    assert (await status(message_id), await waiting()) == ("sending", 2)
    for number in (1, 2, 3):
        await db.execute(
            "INSERT INTO message_parts (id, message_id, carrier, ref, number, created_at)"
            " VALUES ($1, $2, 'main', $3, $4, now())",
            new_id(),
            message_id,
            f"v{number}",
            number,
        )
    await db.execute("UPDATE messages SET status = 'sent', sent_at = now(), lease_until = NULL, carrier_ref = 'v1'")
    await hurry()
    await bring(of_part(message_id, 3))
    assert (await status(message_id), await waiting()) == ("delivered", 0)


async def test_a_report_of_a_part_is_of_a_message_of_its_carrier(live_ctx: Context) -> None:
    message_id = await handed_over(live_ctx, ref=None, status="sending")
    await bring(*(of_part(message_id, number) for number in (1, 2, 3)), carrier="another")
    assert (await status(message_id), await waiting()) == ("sending", 3)


async def test_a_message_taken_as_one_is_reported_by_its_reference(live_ctx: Context) -> None:
    message_id = await handed_over(live_ctx, ref="v1")
    await bring(of_part(message_id, 1, count=2))
    assert (await status(message_id), await waiting()) == ("delivered", 0)


async def inbound() -> list[tuple[str, str, str, UUID]]:
    rows = await InboundMessage.all().order_by("id")
    return [(row.from_phone, row.to_sender, row.body, row.workspace_id) for row in rows]


async def test_a_reply_goes_to_the_workspace_that_has_the_number(live_ctx: Context, other_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    message_id = await handed_over(live_ctx)
    await bring(Inbound("in-1", "12125550177", "12125550100", "Tomorrow?"))
    assert await inbound() == [(PERSON, OURS, "Tomorrow?", live_ctx.workspace_id)]
    assert (await status(message_id), await waiting()) == ("replied", 0)


async def test_a_reply_to_a_shared_sender_goes_to_the_workspace_that_wrote_last(
    live_ctx: Context, other_ctx: Context
) -> None:
    other_live = Context(other_ctx.workspace_id, True, services=SERVICES)
    for ctx in (live_ctx, other_live):
        await senders.add_sender(SERVICES, ctx.workspace_id, "12345", is_shared=True)
        await handed_over(ctx, sender="12345", ref=None)
    await bring(Inbound("in-1", PERSON, "12345", "Who is it?"))
    assert [row[3] for row in await inbound()] == [other_ctx.workspace_id]
    await bring(Inbound("in-2", "+12125550999", "12345", "Hello?"))
    assert (len(await inbound()), await waiting()) == (1, 1)


@pytest.mark.parametrize(("text", "is_stop"), [("STOP", True), ("please stop texting me", True), ("Hello?", False)])
async def test_a_stop_that_nobody_can_place_is_one_to_all_that_share_the_sender(
    live_ctx: Context, other_ctx: Context, text: str, is_stop: bool
) -> None:
    for ctx in (live_ctx, other_ctx):
        await senders.add_sender(SERVICES, ctx.workspace_id, "12345", is_shared=True)
    await bring(Inbound("in-1", PERSON[1:], "12345", text))
    rows = await db.fetch("SELECT workspace_id, phone, livemode FROM suppressions")
    owners = {live_ctx.workspace_id, other_ctx.workspace_id} if is_stop else set()
    assert {(row.workspace_id, row.phone, row.livemode) for row in rows} == {(owner, PERSON, True) for owner in owners}
    assert await waiting() == (0 if is_stop else 1)


async def test_a_stop_opts_out_and_cancels_what_waits(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await handed_over(live_ctx)
    queued = await handed_over(live_ctx, ref=None, status="queued")
    await bring(Inbound("in-1", PERSON, OURS, "STOP"))
    assert (await status(queued), (await Contact.get(phone=PERSON)).opt_in_status.value) == ("canceled", "opted_out")


@pytest.mark.parametrize(
    ("phone", "written"),
    [
        ("+525512345678", "5215512345678"),
        ("+5511987654321", "551187654321"),
        ("+447911123456", "+4407911123456"),
        ("+5491123456789", "541123456789"),
        ("+541123456789", "+5491123456789"),
    ],
)
async def test_a_stop_counts_however_the_carrier_writes_the_number(live_ctx: Context, phone: str, written: str) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await handed_over(live_ctx, phone=phone)
    queued = await handed_over(live_ctx, phone=phone, ref=None, status="queued")
    await bring(Inbound("in-1", written, OURS, "STOP"))
    assert (await status(queued), (await Contact.get()).opt_in_status.value) == ("canceled", "opted_out")
    assert [row[0] for row in await inbound()] == [phone]


async def test_a_reply_finds_the_last_sender_in_any_spelling_of_the_number(
    live_ctx: Context, other_ctx: Context
) -> None:
    for ctx in (live_ctx, other_ctx):
        await senders.add_sender(SERVICES, ctx.workspace_id, "12345", is_shared=True)
    await handed_over(live_ctx, phone="+5491123456789", sender="12345")
    await bring(Inbound("in-1", "541123456789", "12345", "Tomorrow?"))
    assert await inbound() == [("+5491123456789", "12345", "Tomorrow?", live_ctx.workspace_id)]


async def test_an_inbound_message_never_follows_a_default(live_ctx: Context) -> None:
    await db.execute("UPDATE workspaces SET default_sender = '54321'")
    await bring(Inbound("in-1", PERSON, "54321", "Hi"))
    await bring(Inbound("in-2", PERSON, "54321", "STOP"))
    assert await inbound() == []
    assert await db.fetch("SELECT * FROM suppressions") == []


async def test_parts_are_put_together_in_their_order(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    parts = [Inbound(f"in-{number}", PERSON, OURS, text, "7", number, 3) for number, text in enumerate("abc", 1)]
    await bring(parts[2])
    await hurry()
    await bring(parts[0], parts[2])
    assert await inbound() == []
    await hurry()
    await bring(parts[1])
    for _ in range(3):
        await hurry()
        await collect_reports(SERVICES)
    assert [row[2] for row in await inbound()] == ["abc"]
    assert await waiting() == 0


async def test_a_part_that_is_brought_again_is_no_message_of_its_own(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    parts = [Inbound(f"in-{number}", PERSON, OURS, text, "7", number, 2) for number, text in enumerate("ab", 1)]
    await bring(*parts)
    assert await bring(*reversed(parts)) == 0
    rows = await db.fetch("SELECT from_phone, to_sender, text, due_at - received_at AS kept FROM carrier_signals")
    assert [tuple(row.values()) for row in rows] == [(None, None, "", timedelta(hours=25))] * 2
    assert not await reports.has_due(SERVICES, await db.now())
    await db.execute("UPDATE carrier_signals SET due_at = now()")
    await collect_reports(SERVICES)
    assert ([row[2] for row in await inbound()], await db.fetch("SELECT FROM carrier_signals")) == (["ab"], [])


async def test_two_messages_that_share_a_reference_are_two(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    texts = [("1a", "a", 1), ("1b", "b", 2), ("1a'", "a", 1), ("2a", "x", 1), ("2b", "y", 2)]
    await bring(*(Inbound(key, PERSON, OURS, text, "7", number, 2) for key, text, number in texts))
    await hurry()
    await collect_reports(SERVICES)
    assert ([row[2] for row in await inbound()], await waiting()) == (["ab", "xy"], 0)


@pytest.mark.parametrize("text", ["no more of this", "Hello?", "START"])
async def test_an_opt_out_recognized_by_the_carrier_is_not_confirmed_twice(live_ctx: Context, text: str) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await handed_over(live_ctx)
    queued = await handed_over(live_ctx, ref=None, status="queued")
    await bring(Inbound("in-1", PERSON, OURS, text, is_opt_out=True))
    row = await InboundMessage.get()
    assert (row.keyword, row.body, (await Contact.get()).opt_in_status.value) == ("stop", text, "opted_out")
    assert (await status(queued), await Message.filter(kind="auto").count()) == ("canceled", 0)


@pytest.mark.parametrize(("text", "keyword"), [("STOP\ufffd", "stop"), ("\ufffd\ufffd", None)])
async def test_an_uncertain_text_is_flagged_and_counts(live_ctx: Context, text: str, keyword: str | None) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await handed_over(live_ctx)
    await bring(Inbound("in-1", PERSON, OURS, text, is_garbled=True))
    row = await InboundMessage.get()
    assert (row.body, row.keyword, row.is_flagged) == (text, keyword, True)
    assert (await Contact.get()).opt_in_status.value == ("opted_out" if keyword else "opted_in")


async def test_a_part_that_could_not_surely_be_read_flags_the_whole(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await handed_over(live_ctx)
    await bring(
        Inbound("in-1", PERSON, OURS, "ST", "7", 1, 2), Inbound("in-2", PERSON, OURS, "OP", "7", 2, 2, is_garbled=True)
    )
    row = await InboundMessage.get()
    assert (row.body, row.keyword, row.is_flagged) == ("STOP", "stop", True)


async def test_an_opt_out_recognized_by_the_carrier_applies_to_all_that_share_the_sender(
    live_ctx: Context, other_ctx: Context
) -> None:
    for ctx in (live_ctx, other_ctx):
        await senders.add_sender(SERVICES, ctx.workspace_id, "12345", is_shared=True)
    await bring(Inbound("in-1", PERSON, "12345", "Hello?", is_opt_out=True))
    rows = await db.fetch("SELECT workspace_id FROM suppressions")
    assert {row.workspace_id for row in rows} == {live_ctx.workspace_id, other_ctx.workspace_id}


async def test_a_report_that_the_recipient_opted_out_there_opts_out_here(live_ctx: Context) -> None:
    await handed_over(live_ctx)
    queued = await handed_over(live_ctx, ref=None, status="queued")
    report = Report("ref-1:failed", False, "recipient_opted_out", carrier_ref="ref-1")
    await bring(report)
    contact = await Contact.get(phone=PERSON)
    assert (contact.opt_in_status.value, contact.opt_in_source, await status(queued)) == (
        "opted_out",
        "carrier",
        "canceled",
    )
    rows = await db.fetch("SELECT phone, source FROM suppressions")
    assert [tuple(row.values()) for row in rows] == [(PERSON, "carrier")]
    assert await waiting() == 0
    # One that comes again says nothing of who opted in since.
    await db.execute("UPDATE contacts SET opt_in_status = 'opted_in', opt_in_at = now()")
    await db.execute("DELETE FROM suppressions")
    await bring(report)
    assert ((await Contact.get(phone=PERSON)).opt_in_status.value, await waiting()) == ("opted_in", 0)


NEWER, DATED, PLAIN = (
    factories.renewed,
    lambda: OptInEvidence("checkout", at=datetime.now(UTC)),
    lambda: OptInEvidence("checkout"),
)


@pytest.mark.parametrize(
    ("path", "evidence", "stays"),
    [
        ("START", PLAIN, "opted_in"),
        *(
            (path, evidence, "opted_in" if evidence is NEWER and path != "import" else "opted_out")
            for path in ("update", "update of who is in", "create", "import")
            for evidence in (NEWER, DATED, PLAIN)
        ),
    ],
)
async def test_a_phone_that_comes_back_after_the_carriers_refusal_stays_in(
    live_ctx: Context, path: str, evidence: Callable[[], OptInEvidence], stays: str
) -> None:
    """Evidence that is not renewed brings nobody back by any path, nor does that of an import."""
    message_id = await handed_over(live_ctx)
    report = Report("ref-1:failed", False, "recipient_opted_out", carrier_ref="ref-1")
    async with unit_of_work():
        await keep_carrier_events("main", [report])
        await carrier_events.apply_reports(limit=10, now=await db.now())
    contact = await Contact.get()
    await Contact.all().update(opt_in_status="opted_in" if path == "update of who is in" else "unknown")
    async with unit_of_work():
        if path == "START":
            await replies.receive_inbound(live_ctx, from_phone=PERSON, to_sender=OURS, text="START", dedupe_key="in-1")
        elif path.startswith("update"):
            await update_contact(live_ctx, contact.id, UpdateContact(opt_in=evidence()))
        else:
            await delete_contact(live_ctx, contact.id)
            again = CreateContact(PERSON, opt_in=evidence())
            if path == "import":
                await import_contacts(live_ctx, ImportContacts([again]))
            else:
                await create_contact(live_ctx, again)
    assert (await Contact.get()).opt_in_status == "opted_in"
    await collect_reports(SERVICES)
    assert (await status(message_id), (await Contact.get()).opt_in_status.value) == ("failed", stays)
    assert await waiting() == 0


async def test_opt_outs_of_two_workspaces_are_distinguished(live_ctx: Context, other_ctx: Context) -> None:
    other_live = Context(other_ctx.workspace_id, True, services=SERVICES)
    for ctx, ref in ((live_ctx, "a"), (other_live, "b")):
        await handed_over(ctx, ref=ref)
        await handed_over(ctx, ref=f"{ref}2", phone="+12125550178")
    refs = ("a", "b", "b2")
    await bring(*(Report(ref, False, "recipient_opted_out", carrier_ref=ref) for ref in refs))
    rows = await db.fetch("SELECT workspace_id, phone FROM suppressions")
    assert {(row.workspace_id, row.phone) for row in rows} == {
        (live_ctx.workspace_id, PERSON),
        (other_ctx.workspace_id, PERSON),
        (other_ctx.workspace_id, "+12125550178"),
    }
    assert await waiting() == 0


async def test_a_part_that_never_comes_holds_up_the_others_for_ten_minutes(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await bring(Inbound("in-1", PERSON, OURS, "STOP it, ", "7", 1, 3), Inbound("in-3", PERSON, OURS, "now", "7", 3, 3))
    assert await inbound() == []
    await db.execute("UPDATE carrier_signals SET received_at = now() - interval '10 minutes'")
    await hurry()
    await collect_reports(SERVICES)
    assert [row[2] for row in await inbound()] == ["STOP it,  … now"]
    assert await waiting() == 0


async def test_parts_of_two_people_with_one_reference_stay_apart(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    other = "+12125550178"
    await bring(
        Inbound("1", PERSON, OURS, "a", "7", 1, 2),
        Inbound("2", other, OURS, "x", "7", 1, 2),
        Inbound("3", other, OURS, "y", "7", 2, 2),
        Inbound("4", PERSON, OURS, "b", "7", 2, 2),
    )
    await hurry()
    await collect_reports(SERVICES)
    assert sorted(row[:3:2] for row in await inbound()) == [(PERSON, "ab"), (other, "xy")]


# What no number can be read in: names, service numbers, national numbers of nobody knows where, two numbers at once.
UNREADABLE = (
    *("INFO", "4477", "97010203", "0197010203", "+1+2125550177", "12125550177;12125550178"),
    *("anonymous", "+999123456789", "+52155123456789", "user@example.com", "1" * 39, "1" * 60, " "),
)


async def test_a_message_from_no_number_is_kept_and_counted(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    brought = [Inbound(f"in-{number}", text, OURS, "STOP") for number, text in enumerate(UNREADABLE)]
    await bring(*brought)
    # What is brought again is known again.
    assert await bring(*brought) == 0
    kept = await carrier_events.list_unread(limit=100)
    assert [(row.from_phone, row.text, row.kind) for row in kept] == [
        (fit(text, MAX_ADDRESS), "STOP", "unread") for text in reversed(UNREADABLE)
    ]
    assert all(carrier_events.asks_out([row]) for row in kept)
    assert (await inbound(), await Contact.all().count()) == ([], 0)
    assert [(sample.labels, sample.value) for sample in await sign("inbound_unread")] == [
        ({"carrier": "main"}, len(UNREADABLE))
    ]
    assert await sign("carrier_events_waiting") == []
    assert not await reports.has_due(SERVICES, await db.now())


async def sign(name: str) -> list[Any]:
    found = {each.name: each for each in await read_metric_families([], None, DiskCheck())}
    return list(found[name].samples)


async def test_parts_from_no_number_are_kept_as_one(live_ctx: Context) -> None:
    await bring(Inbound("in-2", "INFO", OURS, "P", "7", 2, 2))
    assert await carrier_events.list_unread(limit=10) == []
    parts = [Inbound("in-1", "INFO", OURS, "STO", "7", 1, 2), Inbound("in-2", "INFO", OURS, "P", "7", 2, 2)]
    await bring(*parts)
    assert [(row.text, row.dedupe_key) for row in await carrier_events.list_unread(limit=10)] == [("STOP", "in-1")]
    assert await bring(*parts) == 0


async def test_unread_messages_are_deleted_in_the_end(live_ctx: Context) -> None:
    await bring(Inbound("1", "INFO", OURS, "Hi"), Inbound("2", "BANK", OURS, "Hi"))
    row = await db.fetch_row("SELECT id, due_at - received_at AS kept FROM carrier_signals ORDER BY id LIMIT 1")
    assert row is not None
    assert row.kept >= carrier_events.UNREAD_KEPT
    await db.execute("UPDATE carrier_signals SET due_at = now() WHERE id = $1", row.id)
    await collect_reports(SERVICES)
    assert [each.from_phone for each in await carrier_events.list_unread(limit=10)] == ["BANK"]


@pytest.mark.parametrize(
    ("phone", "written"),
    [
        ("+2290197010203", "22997010203"),
        ("+22997010203", "2290197010203"),
        ("+22507080910", "2250707080910"),
        ("+2250707080910", "0022507080910"),
        ("+24106123456", "24166123456"),
        ("+12125550177", "001 (212) 555-0177"),
        ("+12125550177", "\u202a+1\u00a0212\u2011555\u20110177\u202c"),
        ("+5491123456789", "tel:+54 11 2345 6789"),
        ("+970592234567", "972592234567"),
    ],
)
async def test_a_stop_counts_in_every_form(live_ctx: Context, phone: str, written: str) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    queued = await handed_over(live_ctx, phone=phone, ref=None, status="queued")
    await bring(Inbound("in-1", written, "1 (212) 555-0100", "STOP"))
    assert (await status(queued), (await Contact.get()).opt_in_status.value) == ("canceled", "opted_out")
    assert [row[:2] for row in await inbound()] == [(phone, OURS)]
    assert (await waiting(), await carrier_events.list_unread(limit=10)) == (0, [])


async def test_a_stop_of_nobody_known_is_one_of_the_present_number(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await bring(Inbound("in-1", "22997010203", OURS, "STOP"))
    assert await Contact.all().values_list("phone", "opt_in_status") == [("+2290197010203", "opted_out")]


async def test_a_carriers_opt_out_is_one_of_every_spelling(live_ctx: Context) -> None:
    await factories.make_contact(live_ctx, "+5491123456789")
    message_id = await handed_over_as(live_ctx, "+541123456789")
    await bring(Report("ref-1:failed", False, "recipient_opted_out", message_id=message_id))
    assert (await Contact.get()).opt_in_status.value == "opted_out"


async def test_a_later_opt_in_under_another_spelling_stays(live_ctx: Context) -> None:
    await factories.make_contact(live_ctx, "+5491123456789")
    message_id = await handed_over_as(live_ctx, "+541123456789")
    async with unit_of_work():
        await keep_carrier_events("main", [Report("ref-1:failed", False, "recipient_opted_out", message_id=message_id)])
        await carrier_events.apply_reports(limit=10, now=await db.now())
    await Contact.all().update(opt_in_status="unknown")
    async with unit_of_work():
        await replies.receive_inbound(
            live_ctx, from_phone="+541123456789", to_sender=OURS, text="START", dedupe_key="in-1"
        )
    await collect_reports(SERVICES)
    assert (await Contact.get()).opt_in_status.value == "opted_in"
    assert await waiting() == 0


async def handed_over_as(ctx: Context, spelling: str) -> UUID:
    """A message to the only contact in another spelling."""
    contact = await Contact.get()
    message_id = await handed_over(ctx, phone=contact.phone)
    await db.execute("UPDATE messages SET to_phone = $2 WHERE id = $1", message_id, spelling)
    return message_id


async def test_a_failing_event_blocks_no_other(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    taken = replies.receive_inbound

    async def breaking(ctx: Context, **values: Any) -> Any:
        if values["text"] == "bad":
            raise ZeroDivisionError
        return await taken(ctx, **values)

    monkeypatch.setattr("msvs.api.inbound.carrier_events.receive_inbound", breaking)
    await bring(Inbound("1", PERSON, OURS, "bad"), Inbound("2", PERSON, OURS, "good"))
    assert ([row[2] for row in await inbound()], await waiting()) == (["good"], 1)
    monkeypatch.undo()
    await hurry()
    await collect_reports(SERVICES)
    assert ([row[2] for row in await inbound()], await waiting()) == (["good", "bad"], 0)


async def test_everything_a_carrier_brings_can_be_stored(live_ctx: Context) -> None:
    """One that could not would be brought again and again, and hold up what comes with it."""
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    await bring(
        Report("\0" + "k" * 300, False, "c" * 60, carrier_ref="r\0" * 300),
        Report("k" * 300 + "x", True, carrier_ref="r\ud800"),
        Inbound("in\0-1", PERSON, OURS, "ab\0c\ud83d", "\0" + "p" * 90, 1, 1),
        Inbound("in-2", PERSON + "\0", OURS, "\U0001f600"),
    )
    assert [row[2] for row in await inbound()] == ["abc\ufffd", "\U0001f600"]
    assert await waiting() == 2


async def test_an_address_that_is_too_long_matches_no_phone_and_no_sender(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, "+447400123456", registration="C0HORT")
    await senders.add_sender(SERVICES, live_ctx.workspace_id, "+491512345678901")
    # Cut off, the one would be from a person in Germany, the other to a sender of the workspace.
    await bring(Inbound("1", "+4915123456789012345", "+447400123456", "STOP"))
    await bring(Inbound("2", PERSON, "+49151234567890123", "STOP"))
    assert (await inbound(), await Contact.exists()) == ([], False)


async def test_names_that_are_too_long_stay_apart() -> None:
    names = [fit("r" * 300 + end, MAX_REF) for end in ("a", "b", "a")]
    assert ([len(name) for name in names], names[0] == names[2], names[0] == names[1]) == ([100] * 3, True, False)
    assert fit("r" * MAX_REF, MAX_REF) == "r" * MAX_REF


async def test_a_report_finds_its_message_by_a_reference_of_any_length(live_ctx: Context) -> None:
    message_id = await handed_over(live_ctx, ref=fit("r" * 300, MAX_REF))
    await bring(Report("1", True, carrier_ref="r" * 300))
    assert await status(message_id) == "delivered"


async def test_a_stop_to_an_abandoned_sender_reaches_the_workspace_that_wrote_from_it(
    live_ctx: Context, other_ctx: Context
) -> None:
    other_live = Context(other_ctx.workspace_id, True, services=SERVICES)
    await handed_over(other_live, sender="54321", ref="a")
    await handed_over(live_ctx, sender="54321", ref=None, status="sending")
    await handed_over(other_live, sender="12345", ref="b")
    await bring(Inbound("in-1", PERSON, "54321", "STOP"), Inbound("in-2", "+12125550999", "54321", "STOP"))
    assert [row[3] for row in await inbound()] == [live_ctx.workspace_id]
    found = {row.workspace_id: row.opt_in_status.value for row in await Contact.filter(phone=PERSON)}
    assert (found[live_ctx.workspace_id], found[other_ctx.workspace_id]) == ("opted_out", "opted_in")
    assert await waiting() == 1


async def test_a_report_that_breaks_holds_up_no_other(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    phones = [factories.next_phone() for _ in range(9)]
    message_ids = [await handed_over(live_ctx, phone=phone, ref=phone) for phone in phones]
    take = take_reports

    async def breaking(found: Any, now: Any) -> int:
        if message_ids[5] in [report.message_id for report in found]:
            raise ZeroDivisionError
        return await take(found, now)

    monkeypatch.setattr("msvs.api.inbound.carrier_events.take_reports", breaking)
    await bring(*(Report(phone, True, carrier_ref=phone) for phone in phones))
    assert [await status(each) for each in message_ids] == ["delivered"] * 5 + ["sent"] + ["delivered"] * 3
    assert await waiting() == 1
    monkeypatch.undo()
    await hurry()
    await collect_reports(SERVICES)
    assert (await status(message_ids[5]), await waiting()) == ("delivered", 0)


async def test_a_stop_does_not_wait_for_reports(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OURS, registration="C0HORT")
    async with unit_of_work():
        await keep_carrier_events("main", [Inbound(f"in-{n}", factories.next_phone(), OURS, "STOP") for n in range(20)])
    batches = 0

    async def none_due(**_: Any) -> int:
        nonlocal batches
        batches += 1
        return 0

    monkeypatch.setattr("msvs.api.inbound.carrier_events.apply_reports", none_due)
    await collect_reports(SERVICES)
    assert (len(await inbound()), await waiting(), batches) == (20, 0, 2)


async def test_cron_notifies_workers_of_carrier_events(live_ctx: Context) -> None:
    now = await db.now()
    assert not await reports.has_due(SERVICES, now)
    await keep_carrier_events("main", [Report("1", True, carrier_ref="nothing")])
    assert await reports.has_due(SERVICES, await db.now())
    await collect_reports(SERVICES)
    assert not await reports.has_due(SERVICES, await db.now())
    assert await reports.has_due(SERVICES, await db.now() + timedelta(seconds=5))
