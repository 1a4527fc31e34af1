"""Replies: keywords change consent once and are answered once; other text answers the latest message."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts import contacts, lists
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, UpdateContact
from msvs.api.context import Context
from msvs.api.dispatch import claims
from msvs.api.dispatch.delivery_reports import DeliveryReport, take_reports
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.outcomes import ACCEPTED, Outcome, record_outcomes
from msvs.api.errors import ComplianceRefused, NotFound, PermissionDenied
from msvs.api.inbound import keywords, replies
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row
from msvs.models import (
    ConsentEvent,
    Contact,
    InboundMessage,
    Message,
    MessageKind,
    OptInStatus,
    Role,
    Suppression,
    Workspace,
)
from tests import factories
from tests.services import SERVICES

_keys = count(1)


async def reply(ctx: Context, phone: str, text: str, *, key: str | None = None, now: datetime | None = None) -> Row:
    async with unit_of_work():
        return await replies.receive_inbound(
            ctx, from_phone=phone, to_sender="COHORTLABS", text=text, dedupe_key=key or f"in-{next(_keys)}", now=now
        )


async def sent_message(ctx: Context, phone: str) -> Message:
    async with unit_of_work():
        draft = await send_message(ctx, SendMessage(phone, "Doors open at 8pm ET."))
    await Message.filter(id=draft.id).update(status="sent", sent_at=datetime.now(UTC))
    return await Message.get(id=draft.id)


async def types() -> list[str]:
    rows = await db.fetch(
        "SELECT type FROM events WHERE type NOT IN ('message.queued', 'inbound.received') ORDER BY id"
    )
    return [row.type for row in rows]


async def answers(phone: str) -> list[str]:
    return await Message.filter(to_phone=phone, kind=MessageKind.AUTO).order_by("id").values_list("body", flat=True)


async def test_stop_opts_out_once_and_is_answered_once(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    message = await sent_message(ctx, contact.phone)
    inbound = await reply(ctx, contact.phone, " Stop. ")
    assert (inbound.keyword, inbound.message_id) == ("stop", message.id)
    for text in ("STOP", "cancelar", "ARRÊT"):
        await reply(ctx, contact.phone, text)
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_OUT
    assert await Suppression.filter(phone=contact.phone).count() == 1
    assert await answers(contact.phone) == [workspace.opt_out_text]
    assert await types() == ["contact.opted_out"]
    assert (await Message.get(id=message.id)).opted_out is True
    assert (await Message.get(id=message.id)).status == "sent"


async def test_after_stop_nothing_can_be_sent_until_start(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    await reply(ctx, contact.phone, "UNSUBSCRIBE")
    with pytest.raises(ComplianceRefused) as refusal:
        await sent_message(ctx, contact.phone)
    assert refusal.value.code == "recipient_opted_out"
    await reply(ctx, contact.phone, "start")
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await Suppression.all().count() == 0
    assert await answers(contact.phone) == [workspace.opt_out_text, workspace.welcome_text]
    await sent_message(ctx, contact.phone)
    await reply(ctx, contact.phone, "UNSTOP")
    assert await types() == ["contact.opted_out", "contact.opted_in"]


async def test_start_from_an_opted_in_contact_changes_nothing_and_is_not_answered(
    ctx: Context, workspace: Workspace
) -> None:
    contact = await factories.make_contact(ctx)
    assert (await reply(ctx, contact.phone, "START")).keyword == "start"
    assert await answers(contact.phone) == []
    assert await types() == []
    assert await ConsentEvent.all().count() == 0


@pytest.mark.parametrize("text", ["HELP", "info", "¡Ayuda!", "ajuda", "aide"])
async def test_help_is_answered_and_changes_nothing(ctx: Context, workspace: Workspace, text: str) -> None:
    contact = await factories.make_contact(ctx)
    await reply(ctx, contact.phone, text)
    assert await answers(contact.phone) == [workspace.help_text]
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await types() == []


@pytest.mark.parametrize(("hours", "confirmed"), [(71, True), (73, False)])
async def test_yes_confirms_a_double_opt_in_within_72_hours(
    ctx: Context, workspace: Workspace, hours: int, confirmed: bool
) -> None:
    await Workspace.filter(id=workspace.id).update(double_opt_in=True)
    phone = factories.next_phone()
    async with unit_of_work():
        row = await contacts.create_contact(ctx, CreateContact(phone, opt_in=OptInEvidence("checkout", "203.0.113.4")))
    assert row.opt_in_status == OptInStatus.PENDING
    assert await answers(phone) == [workspace.opt_in_text]
    await reply(ctx, phone, "Sim!", now=datetime.now(UTC) + timedelta(hours=hours))
    status = (await Contact.get(id=row.id)).opt_in_status
    assert status == (OptInStatus.OPTED_IN if confirmed else OptInStatus.PENDING)
    assert await types() == (["contact.opted_in"] if confirmed else [])
    assert len(await answers(phone)) == (2 if confirmed else 1)


async def test_a_contact_that_did_not_confirm_in_time_is_asked_again(ctx: Context, workspace: Workspace) -> None:
    await Workspace.filter(id=workspace.id).update(double_opt_in=True)
    phone = factories.next_phone()
    evidence = OptInEvidence("checkout", "203.0.113.4")
    async with unit_of_work():
        row = await contacts.create_contact(ctx, CreateContact(phone, opt_in=evidence))
    asked = datetime.now(UTC) - timedelta(hours=73)
    await Contact.filter(id=row.id).update(opt_in_at=asked)
    await reply(ctx, phone, "YES")
    assert (await Contact.get(id=row.id)).opt_in_status == OptInStatus.PENDING
    assert await types() == []
    async with unit_of_work():
        await contacts.update_contact(ctx, row.id, UpdateContact(opt_in=evidence))
    assert await answers(phone) == [workspace.opt_in_text] * 2
    await reply(ctx, phone, "YES")
    assert (await Contact.get(id=row.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await types() == ["contact.opted_in"]


async def test_yes_from_somebody_who_was_not_asked_is_a_reply(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    message = await sent_message(ctx, contact.phone)
    await reply(ctx, contact.phone, "yes")
    assert (await Message.get(id=message.id)).status == "replied"
    assert await types() == ["message.replied"]


async def test_a_reply_answers_the_latest_message_and_carries_its_text(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    older = await sent_message(ctx, contact.phone)
    newer = await sent_message(ctx, contact.phone)
    inbound = await reply(ctx, contact.phone, "Is there a payment plan?")
    await reply(ctx, contact.phone, "Hello?")
    assert inbound.message_id == newer.id
    assert (await Message.get(id=older.id)).status == "sent"
    found = await Message.get(id=newer.id)
    assert (found.status, found.replied_at) == ("replied", inbound.received_at)
    bodies = [
        json.loads(row.data)["reply"]["body"]
        for row in await db.fetch("SELECT data FROM events WHERE type = 'message.replied' ORDER BY id")
    ]
    assert bodies == ["Is there a payment plan?", "Hello?"]


async def test_a_reply_answers_what_was_sent_and_no_answer_of_ours(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    message = await sent_message(ctx, contact.phone)
    async with unit_of_work():
        waiting = await send_message(ctx, SendMessage(contact.phone, "See you tomorrow."))
    await reply(ctx, contact.phone, "HELP")
    await Message.filter(kind=MessageKind.AUTO).update(status="sent", sent_at=datetime.now(UTC))
    assert (await reply(ctx, contact.phone, "Is there parking?")).message_id == message.id
    assert (await Message.get(id=message.id)).status == "replied"
    assert (await Message.get(id=waiting.id)).status == "queued"


@pytest.mark.parametrize("status", ["queued", "sending"])
async def test_a_quick_reply_finds_its_message_before_it_is_sent(ctx: Context, status: str) -> None:
    contact = await factories.make_contact(ctx)
    async with unit_of_work():
        message = await send_message(ctx, SendMessage(contact.phone, "Doors open at 8pm ET."))
    await Message.filter(id=message.id).update(status=status)
    inbound = await reply(ctx, contact.phone, "On my way!")
    assert inbound.message_id == message.id
    held = await Message.get(id=message.id)
    # It is still to be handed over, or its outcome still to come.
    assert (held.status, held.replied_at) == (status, inbound.received_at)
    (event,) = await db.fetch("SELECT data FROM events WHERE type = 'message.replied'")
    data = json.loads(event.data)
    assert (data["id"], data["status"], data["reply"]["body"]) == (
        ids.encode_id(ids.MESSAGE, message.id),
        status,
        "On my way!",
    )


async def test_a_message_that_is_sent_after_its_reply_is_replied(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    async with unit_of_work():
        message = await send_message(ctx, SendMessage(contact.phone, "Doors open at 8pm ET."))
    await reply(ctx, contact.phone, "On my way!")
    async with unit_of_work():
        claim = await claims.claim(
            SERVICES, Lane(ctx.workspace_id, False), carrier="virtual", limit=10, now=datetime.now(UTC)
        )
    assert claim is not None
    await reply(ctx, contact.phone, "Nearly there")
    async with unit_of_work():
        await record_outcomes(claim, [Outcome(message.id, ACCEPTED, ref="r-1")], datetime.now(UTC))
    sent = await Message.get(id=message.id)
    assert (sent.status, sent.sent_at is not None, sent.carrier_ref) == ("replied", True, "r-1")
    assert await types() == ["message.replied", "message.replied", "message.sent"]


async def test_a_report_proves_a_message_sent_that_was_replied_to(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    async with unit_of_work():
        message = await send_message(ctx, SendMessage(contact.phone, "Doors open at 8pm ET."))
    await Message.filter(id=message.id).update(status="sending")
    await reply(ctx, contact.phone, "On my way!")
    async with unit_of_work():
        await take_reports([DeliveryReport(message.id, True)], datetime.now(UTC))
    proven = await Message.get(id=message.id)
    assert (proven.status, proven.sent_at is not None, proven.delivered_at is not None) == ("replied", True, True)


async def test_a_stop_before_a_message_is_sent_cancels_it_or_is_counted_for_it(ctx: Context) -> None:
    waiting, leaving = await factories.make_contact(ctx), await factories.make_contact(ctx)
    async with unit_of_work():
        queued = await send_message(ctx, SendMessage(waiting.phone, "Doors open at 8pm ET."))
        sending = await send_message(ctx, SendMessage(leaving.phone, "Doors open at 8pm ET."))
    await Message.filter(id=sending.id).update(status="sending")
    assert (await reply(ctx, waiting.phone, "STOP")).message_id is None
    assert (await reply(ctx, leaving.phone, "STOP")).message_id == sending.id
    rows = [await Message.get(id=each.id) for each in (queued, sending)]
    assert [(row.status, row.opted_out) for row in rows] == [("canceled", False), ("sending", True)]


@pytest.mark.parametrize(
    ("text", "keyword"),
    [("Who is this?", None), ("STOP", "stop"), ("help", "help"), ("START", "start"), ("YES", "confirm")],
)
async def test_every_inbound_message_has_an_event(ctx: Context, text: str, keyword: str | None) -> None:
    phone = factories.next_phone()
    inbound = await reply(ctx, phone, text)
    (event,) = await db.fetch("SELECT resource_id, data FROM events WHERE type = 'inbound.received'")
    data = json.loads(event.data)
    assert event.resource_id == inbound.contact_id
    assert (data["object"], data["from"], data["body"], data["keyword"]) == ("inbound_message", phone, text, keyword)
    assert (data["message_id"], data["message"]) == (None, None)
    assert data["reply"] == {
        "id": data["id"],
        "body": text,
        "from": phone,
        "received_at": data["received_at"],
    }


async def test_the_event_of_an_inbound_message_holds_what_it_answers_once(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    message = await sent_message(ctx, contact.phone)
    for _ in range(2):
        await reply(ctx, contact.phone, "Count me in", key="carrier-78")
    (event,) = await db.fetch("SELECT data FROM events WHERE type = 'inbound.received'")
    data = json.loads(event.data)
    assert data["message_id"] == data["message"]["id"] == ids.encode_id(ids.MESSAGE, message.id)
    assert (data["message"]["status"], data["reply"]["body"]) == ("replied", "Count me in")


async def test_a_very_long_reply_is_cut(ctx: Context) -> None:
    row = await reply(ctx, factories.next_phone(), "x" * (replies.MAX_BODY + 1))
    assert row.body == "x" * replies.MAX_BODY


async def test_the_same_reply_brought_twice_changes_nothing(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    await sent_message(ctx, contact.phone)
    first = await reply(ctx, contact.phone, "Count me in", key="carrier-77")
    again = await reply(ctx, contact.phone, "Count me in", key="carrier-77")
    assert first.id == again.id
    assert await types() == ["message.replied"]
    assert await InboundMessage.all().count() == 1


async def test_a_stranger_who_writes_becomes_a_contact_and_may_stop(ctx: Context) -> None:
    phone = factories.next_phone()
    inbound = await reply(ctx, phone, "Who is this?")
    assert inbound.message_id is None
    assert (await Contact.get(phone=phone)).opt_in_status == OptInStatus.UNKNOWN
    await reply(ctx, phone, "STOP")
    assert (await Contact.get(phone=phone)).opt_in_status == OptInStatus.OPTED_OUT


async def test_a_reply_stays_in_its_workspace_and_mode(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    phone = factories.next_phone()
    for scope in (ctx, live_ctx, other_ctx):
        await factories.make_contact(scope, phone)
    await reply(ctx, phone, "STOP")
    rows = {(row.workspace_id, row.livemode): row.opt_in_status for row in await Contact.all()}
    assert rows == {
        (ctx.workspace_id, False): "opted_out",
        (live_ctx.workspace_id, True): "opted_in",
        (other_ctx.workspace_id, False): "opted_in",
    }


async def test_a_phrase_that_is_certain_opts_out_as_stop_does(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    message = await sent_message(ctx, contact.phone)
    inbound = await reply(ctx, contact.phone, "Please stop texting me!!")
    assert (inbound.keyword, inbound.intent, inbound.is_flagged) == ("stop", "certain", False)
    assert inbound.message_id == message.id
    for text in ("stop texting me", "me tira dessa lista", "dejen de escribirme", "désabonnez-moi", "STOP"):
        await reply(ctx, contact.phone, text)
    found = await Contact.get(id=contact.id)
    assert (found.opt_in_status, found.opt_in_source) == (OptInStatus.OPTED_OUT, "phrase")
    assert await Suppression.filter(phone=contact.phone).count() == 1
    assert await answers(contact.phone) == [workspace.opt_out_text]
    assert await types() == ["contact.opted_out"]
    assert await InboundMessage.filter(is_flagged=True).count() == 0
    changed = await Message.get(id=message.id)
    assert (changed.opted_out, changed.status) == (True, "sent")


@pytest.mark.parametrize(("text", "source"), [("STOP", "keyword"), ("take me off your list", "phrase")])
async def test_the_event_tells_a_keyword_from_a_phrase(ctx: Context, text: str, source: str) -> None:
    contact = await factories.make_contact(ctx)
    await reply(ctx, contact.phone, text)
    event = await db.fetch_row("SELECT data FROM events WHERE type = 'contact.opted_out'")
    assert event is not None
    assert json.loads(event.data)["opt_in"]["source"] == source


async def test_a_phrase_that_is_likely_opts_out_is_flagged_and_is_a_reply(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    message = await sent_message(ctx, contact.phone)
    inbound = await reply(ctx, contact.phone, "wrong number")
    assert (inbound.keyword, inbound.intent, inbound.is_flagged) == (None, "likely", True)
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_OUT
    assert await answers(contact.phone) == [workspace.opt_out_text]
    assert await types() == ["contact.opted_out", "message.replied"]
    changed = await Message.get(id=message.id)
    assert (changed.opted_out, changed.status) == (True, "replied")


@pytest.mark.parametrize(
    "text", ["don't stop", "cancel my appointment tomorrow", "cancel my membership", "para quando é?", "alto y claro"]
)
async def test_a_text_that_resembles_an_opt_out_is_a_reply(ctx: Context, text: str) -> None:
    contact = await factories.make_contact(ctx)
    await sent_message(ctx, contact.phone)
    inbound = await reply(ctx, contact.phone, text)
    assert (inbound.keyword, inbound.intent, inbound.is_flagged) == (None, None, False)
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await types() == ["message.replied"]
    assert await answers(contact.phone) == []


async def test_flags_are_listed_and_taken_off(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    plain = await reply(ctx, contact.phone, "Hello")
    flagged = await reply(ctx, contact.phone, "leave me alone")

    async def listed(flag: bool | None) -> list[UUID]:
        return [row.id for row in (await replies.list_inbound(ctx, PageRequest(), flagged=flag)).items]

    assert await listed(True) == [flagged.id]
    assert await listed(False) == [plain.id]
    assert await listed(None) == [flagged.id, plain.id]
    for scope in (live_ctx, other_ctx):
        with pytest.raises(NotFound):
            await replies.unflag_inbound(scope, flagged.id)
    with pytest.raises(PermissionDenied):
        await replies.unflag_inbound(replace(ctx, actor="usr_1", role=Role.READ_ONLY), flagged.id)
    assert await listed(True) == [flagged.id]
    for _ in range(2):
        async with unit_of_work():
            row = await replies.unflag_inbound(ctx, flagged.id)
        assert (row.is_flagged, row.intent) == (False, "likely")
    assert await listed(True) == []
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_OUT


async def test_two_robots_that_answer_each_other_stop_after_one_round(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    start = datetime.now(UTC)
    for second in range(5):
        await reply(ctx, contact.phone, "HELP", now=start + timedelta(seconds=second))
    assert await answers(contact.phone) == [workspace.help_text]
    for second in range(6):
        text = ("STOP", "START")[second % 2]
        await reply(ctx, contact.phone, text, now=start + timedelta(seconds=second))
    assert await answers(contact.phone) == [workspace.help_text, workspace.opt_out_text, workspace.welcome_text]
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    await reply(ctx, contact.phone, "HELP", now=start + timedelta(minutes=11))
    assert (await answers(contact.phone))[3:] == [workspace.help_text]


async def test_help_at_once_is_answered_once(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    await asyncio.gather(*(reply(ctx, contact.phone, "HELP") for _ in range(4)))
    assert await answers(contact.phone) == [workspace.help_text]


async def test_an_answer_comes_from_where_the_phone_wrote(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    await reply(ctx, contact.phone, "HELP")
    sent = await Message.get(to_phone=contact.phone, kind=MessageKind.AUTO)
    assert (sent.sender, workspace.default_sender) == ("COHORTLABS", "MASSIVESMS")


async def test_a_stop_counts_where_nothing_pays_for_its_answer(live_ctx: Context, virtual_live: None) -> None:
    contact = await factories.make_contact(live_ctx)
    await db.execute("UPDATE credit_balances SET balance = 0")
    await reply(live_ctx, contact.phone, "STOP")
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_OUT
    assert await Suppression.filter(phone=contact.phone).count() == 1
    assert await answers(contact.phone) == []


FOOTER = "Doors open tonight! To stop receiving messages reply STOP"


async def quotable(ctx: Context, phone: str, body: str = FOOTER) -> None:
    async with unit_of_work():
        draft = await send_message(ctx, SendMessage(phone, body))
    await Message.filter(id=draft.id).update(status="sent", sent_at=datetime.now(UTC))


@pytest.mark.parametrize(
    "text",
    [
        f"Liked “{FOOTER}”",
        f'Loved "{FOOTER}"',
        f"👍 to “\u200a{FOOTER}\u200a”",
        f"A adoré «\u00a0{FOOTER}\u00a0»",
        f"Le encantó “{FOOTER[:50]}…”",
        "Laughed at “Doors open  tonight!\nTo stop receiving messages reply STOP”",
    ],
)
async def test_a_reaction_to_a_message_is_not_read_as_its_words(ctx: Context, text: str) -> None:
    contact = await factories.make_contact(ctx)
    await quotable(ctx, contact.phone)
    await quotable(ctx, contact.phone, "Last call.")

    inbound = await reply(ctx, contact.phone, text)

    assert (inbound.keyword, inbound.intent, inbound.is_flagged, inbound.body) == (None, None, False, text)
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await types() == ["message.replied"]


@pytest.mark.parametrize(
    "text",
    [
        f"STOP “{FOOTER}”",
        f"“{FOOTER}” please stop texting me",
        "I said “please stop texting me”",
        "“STOP”",
        "“To stop”: stop texting me …",
        f"{FOOTER}\n\nSTOP",
        f"> {FOOTER}\nstop please",
    ],
)
async def test_the_writers_words_count_beside_a_quote(ctx: Context, text: str) -> None:
    contact = await factories.make_contact(ctx)
    await quotable(ctx, contact.phone)
    await reply(ctx, contact.phone, text)
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_OUT


async def test_messages_to_other_phones_are_not_quotes(ctx: Context) -> None:
    contact, other = await factories.make_contact(ctx), await factories.make_contact(ctx)
    await quotable(ctx, other.phone)
    inbound = await reply(ctx, contact.phone, FOOTER)
    assert (inbound.keyword, inbound.intent, inbound.is_flagged) == (None, "likely", True)
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_OUT


@pytest.mark.parametrize(
    "text",
    [
        FOOTER,
        f"Liked “{FOOTER}",
        f"👍 {FOOTER}",
        f"See you there!\n\n{FOOTER}",
        f"> {FOOTER}\nsounds good",
        f"Gefällt „{FOOTER}“",
        f"Fwd: {FOOTER}",
        f"Great\nOn Mon, Nov 2, 2026 at 5:01 PM Cohort Labs <hi@cohort.example> wrote:\n> {FOOTER}",
        "Liked “A message of another sender. Reply STOP to opt out”",
    ],
)
async def test_our_own_text_is_removed_from_any_quote(ctx: Context, text: str) -> None:
    contact = await factories.make_contact(ctx)
    await quotable(ctx, contact.phone)
    inbound = await reply(ctx, contact.phone, text)
    assert (inbound.keyword, inbound.intent, inbound.is_flagged, inbound.body) == (None, None, False, text)
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await types() == ["message.replied"]


@pytest.mark.parametrize(
    "text",
    ["Stop, thank you very much", "STOP John", "revoke please", "Cancelar por favor", "stop grazie", "Stop\n-- \nMaria",
     "Please STOP. Sent from my iPhone", "I withdraw my consent", "Revogo meu consentimento", "do not call or text"],
)  # fmt: skip
async def test_stop_with_courtesies_and_withdrawn_consent_do_what_stop_does(ctx: Context, text: str) -> None:
    contact = await factories.make_contact(ctx)
    inbound = await reply(ctx, contact.phone, text)
    assert (inbound.keyword, inbound.intent, inbound.is_flagged) == ("stop", "certain", False)
    assert await Suppression.filter(phone=contact.phone).count() == 1
    assert await types() == ["contact.opted_out"]


@pytest.mark.parametrize("text", ["Yes please", "Sim, quero", "oui svp", "Ja bitte", "YES\n-- \nMaria"])
async def test_yes_with_courtesies_confirms(ctx: Context, workspace: Workspace, text: str) -> None:
    await Workspace.filter(id=workspace.id).update(double_opt_in=True)
    phone = factories.next_phone()
    async with unit_of_work():
        row = await contacts.create_contact(ctx, CreateContact(phone, opt_in=OptInEvidence("checkout", "203.0.113.4")))
    assert (await reply(ctx, phone, text)).keyword == "confirm"
    assert (await Contact.get(id=row.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await types() == ["contact.opted_in"]


@pytest.mark.parametrize("text", ["yes but how much is it?", "Yes please call me", "ja", "not yes"])
async def test_yes_among_other_words_confirms_nothing(ctx: Context, workspace: Workspace, text: str) -> None:
    await Workspace.filter(id=workspace.id).update(double_opt_in=True)
    phone = factories.next_phone()
    async with unit_of_work():
        row = await contacts.create_contact(ctx, CreateContact(phone, opt_in=OptInEvidence("checkout", "203.0.113.4")))
    await reply(ctx, phone, text)
    assert (await Contact.get(id=row.id)).opt_in_status == OptInStatus.PENDING
    assert await types() == []


@pytest.mark.parametrize("text", ["Start please", "SUBSCRIBE", "start again, thanks", "unstop please"])
async def test_start_with_courtesies_opts_in_again(ctx: Context, text: str) -> None:
    contact = await factories.make_contact(ctx)
    await reply(ctx, contact.phone, "STOP")
    assert (await reply(ctx, contact.phone, text)).keyword == "start"
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await types() == ["contact.opted_out", "contact.opted_in"]


async def test_a_workspace_keeps_a_keyword_that_is_also_said_for_start(ctx: Context) -> None:
    async with unit_of_work():
        chosen = await lists.create_list(ctx, "Cohort 06")
        await keywords.create_keyword(
            ctx, keywords.CreateKeyword("SUBSCRIBE", ids.encode_id(ids.CONTACT_LIST, chosen.id))
        )
    phone = factories.next_phone()
    assert (await reply(ctx, phone, "Subscribe")).keyword == "join"
    assert (await Contact.get(phone=phone)).opt_in_source == "keyword:SUBSCRIBE"


async def test_a_keyword_from_before_it_was_read_as_a_likely_opt_out_still_joins(ctx: Context) -> None:
    async with unit_of_work():
        chosen = await lists.create_list(ctx, "Exit interviews")
        word = await keywords.create_keyword(
            ctx, keywords.CreateKeyword("COHORT6", ids.encode_id(ids.CONTACT_LIST, chosen.id))
        )
    await word.__class__.filter(id=word.id).update(word="EXIT", folded="exit")
    inbound = await reply(ctx, factories.next_phone(), "Exit!")
    assert (inbound.keyword, inbound.intent, inbound.is_flagged) == ("join", None, False)
    assert (await reply(ctx, factories.next_phone(), "Exit please")).intent == "likely"


async def test_start_lifts_what_suppressed_at_the_moment_of_an_opt_in(ctx: Context, workspace: Workspace) -> None:
    """What an import of suppressions leaves that did not see the contact that was being made."""
    contact = await factories.make_contact(ctx)
    await Suppression.create(workspace_id=ctx.workspace_id, livemode=False, phone=contact.phone, source="import")
    with pytest.raises(ComplianceRefused):
        await sent_message(ctx, contact.phone)
    await reply(ctx, contact.phone, "START")
    await sent_message(ctx, contact.phone)
    assert await answers(contact.phone) == [workspace.welcome_text]
    assert await types() == []
