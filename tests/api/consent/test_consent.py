"""Consent: opting in and out, its history, and what waits for a phone that says STOP."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.consent.revocation import EVIDENCE_ALONE, OWN_ACT, Claim
from msvs.api.contacts.contacts import (
    CreateContact,
    OptInEvidence,
    UpdateContact,
    create_contact,
    delete_contact,
    opt_out_contact,
    update_contact,
)
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest
from msvs.api.inbound.replies import receive_inbound
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ConsentEvent, Contact, Event, Message, OptInStatus, Suppression, Workspace
from tests.factories import make_contact

PHONE = "+14155550123"
NOW = datetime(2026, 5, 1, 20, 0, tzinfo=UTC)
WINDOW = timedelta(hours=72)


async def opt_out(ctx: Context, contact: Any, *, source: str = "keyword", now: datetime = NOW) -> bool:
    async with unit_of_work():
        return await consent.opt_out(ctx, contact, source=source, now=now)


async def opt_in(ctx: Context, contact: Any, *, confirmed: bool, now: datetime = NOW, source: str = "keyword") -> bool:
    claim = OWN_ACT if source == "keyword" else EVIDENCE_ALONE
    async with unit_of_work():
        return await consent.opt_in(ctx, contact, source=source, ip=None, now=now, confirmed=confirmed, claim=claim)


async def confirm(ctx: Context, contact: Any, *, now: datetime) -> bool:
    async with unit_of_work():
        return await consent.confirm(ctx, contact, now=now)


async def make_message(ctx: Context, contact: Any, status: str, **values: Any) -> Message:
    defaults: dict[str, Any] = {"kind": "api", "to_phone": contact.phone, "credits_used": 2}
    return await Message.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        contact_id=contact.id,
        sender="MASSIVESMS",
        body="Hey",
        encoding="gsm7",
        segments=2,
        status=status,
        due_at=NOW,
        **(defaults | values),
    )


async def history() -> list[tuple[str, str | None]]:
    return [(row.status.value, row.source) for row in await ConsentEvent.all().order_by("id")]


async def contact_events() -> list[Event]:
    return await Event.filter(type__startswith="contact.").order_by("id")


async def test_opting_out_is_written_everywhere_once(ctx: Context) -> None:
    contact = await make_contact(ctx, PHONE, opt_in_source="checkout", opt_in_ip="203.0.113.4")

    assert await opt_out(ctx, contact) is True
    assert await opt_out(ctx, contact, source="api") is False

    row = await Contact.get(id=contact.id)
    assert (row.opt_in_status, row.opt_in_source, row.opt_in_ip, row.opt_in_at) == ("opted_out", "keyword", None, NOW)
    assert await history() == [("opted_out", "keyword")]
    assert await Suppression.all().values_list("workspace_id", "livemode", "phone", "source") == [
        (ctx.workspace_id, False, PHONE, "keyword")
    ]
    (event,) = await contact_events()
    assert (event.type, event.resource_id, event.livemode) == ("contact.opted_out", contact.id, False)
    data = json.loads(event.data)
    assert (data["object"], data["id"]) == ("contact", ids.encode_id(ids.CONTACT, contact.id))
    assert data["opt_in"] == {
        "status": "opted_out",
        "source": "keyword",
        "ip": None,
        "at": "2026-05-01T20:00:00Z",
    }


async def test_twenty_opt_outs_at_once_make_one(ctx: Context) -> None:
    contact = await make_contact(ctx)

    results = await asyncio.gather(*(opt_out(ctx, contact) for _ in range(20)))

    assert sorted(results) == [False] * 19 + [True]
    assert await history() == [("opted_out", "keyword")]
    assert len(await contact_events()) == 1


async def test_nineteen_of_twenty_calls_at_once_conflict(ctx: Context) -> None:
    contact = await make_contact(ctx)

    async def call() -> Contact:
        async with unit_of_work():
            return await opt_out_contact(ctx, contact.id)

    results = await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True)

    assert sorted(result.code for result in results if isinstance(result, Conflict)) == ["contact_opted_out"] * 19
    assert [result.opt_in_status for result in results if isinstance(result, Contact)] == ["opted_out"]


async def test_opting_out_cancels_what_waits_for_the_phone(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    contact = await make_contact(ctx, PHONE)
    neighbor = await make_contact(ctx)
    waiting = [
        await make_message(ctx, contact, "queued"),
        await make_message(ctx, contact, "scheduled", scheduled_at=NOW),
        await make_message(ctx, contact, "queued", kind="campaign", campaign_id=ids.new_id()),
    ]
    others = [
        await make_message(ctx, contact, "queued", kind="auto"),
        await make_message(ctx, contact, "sending"),
        await make_message(ctx, contact, "sent"),
        await make_message(ctx, neighbor, "queued"),
        await make_message(live_ctx, contact, "queued", credits_used=0),
        await make_message(other_ctx, contact, "queued"),
    ]

    await opt_out(ctx, contact)

    for message in waiting:
        row = await Message.get(id=message.id)
        assert (row.status, row.error_code, row.credits_used, row.canceled_at) == (
            "canceled",
            "recipient_opted_out",
            0,
            NOW,
        )
    for message in others:
        row = await Message.get(id=message.id)
        assert (row.status, row.credits_used) == (message.status, message.credits_used)
    assert await Event.filter(type="message.canceled").count() == 3


async def test_nothing_is_canceled_the_second_time(ctx: Context) -> None:
    contact = await make_contact(ctx)
    await opt_out(ctx, contact)
    message = await make_message(ctx, contact, "queued")

    await opt_out(ctx, contact)

    assert (await Message.get(id=message.id)).status == "queued"


@pytest.mark.parametrize("before", list(OptInStatus))
async def test_a_start_keyword_opts_in_from_every_status(ctx: Context, before: OptInStatus) -> None:
    contact = await make_contact(ctx, status=OptInStatus.UNKNOWN if before == "opted_out" else before)
    if before == OptInStatus.OPTED_OUT:
        await opt_out(ctx, contact)
        await Event.all().delete()

    changed = await opt_in(ctx, contact, confirmed=True)

    assert changed is (before != OptInStatus.OPTED_IN)
    assert (await Contact.get(id=contact.id)).opt_in_status == "opted_in"
    assert await Suppression.all().count() == 0
    assert (await history())[-1] == ("opted_in", "keyword")
    assert [event.type for event in await contact_events()] == (["contact.opted_in"] if changed else [])


async def test_a_stop_and_a_start_at_once_agree_with_the_suppression(ctx: Context) -> None:
    for _ in range(10):
        contact = await make_contact(ctx)
        await asyncio.gather(opt_out(ctx, contact), opt_in(ctx, contact, confirmed=True), opt_out(ctx, contact))
        row = await Contact.get(id=contact.id)
        suppressed = await Suppression.filter(phone=contact.phone).exists()
        assert suppressed is (row.opt_in_status == OptInStatus.OPTED_OUT)
        last = await ConsentEvent.filter(phone=contact.phone).order_by("-id").first()
        assert last is not None
        assert last.status == row.opt_in_status


@pytest.mark.parametrize(("status", "sent_at"), [("canceled", None), ("failed", None), ("failed", NOW)])
async def test_a_question_that_never_left_is_asked_again(ctx: Context, status: str, sent_at: Any) -> None:
    contact = await make_contact(ctx, PHONE, status=OptInStatus.UNKNOWN)
    await opt_in(ctx, contact, confirmed=False, source="form")
    await Message.all().update(status=status, sent_at=sent_at)

    await opt_in(ctx, contact, confirmed=False, source="form", now=NOW + timedelta(hours=1))

    asked = 1 if sent_at else 2
    assert await Message.all().count() == asked
    assert await history() == [("pending", "form")] * asked
    assert (await Contact.get()).opt_in_at == (NOW if sent_at else NOW + timedelta(hours=1))


async def test_a_question_is_asked_once_while_its_answer_is_awaited(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(opt_in_text="Reply YES to join.")
    contact = await make_contact(ctx, PHONE, status=OptInStatus.UNKNOWN)

    assert await opt_in(ctx, contact, confirmed=False, source="form") is True
    assert await opt_in(ctx, contact, confirmed=False, source="form", now=NOW + WINDOW) is False
    assert [row.body for row in await Message.all()] == ["Reply YES to join."]
    assert await history() == [("pending", "form")]

    late = NOW + WINDOW + timedelta(seconds=1)
    await opt_in(ctx, contact, confirmed=False, source="form", now=late)

    assert await Message.all().count() == 2
    assert (await Contact.get(id=contact.id)).opt_in_at == late
    assert await contact_events() == []


async def test_unconfirmed_evidence_keeps_a_contact_that_is_in(ctx: Context) -> None:
    contact = await make_contact(ctx)

    assert await opt_in(ctx, contact, confirmed=False, source="form") is False

    row = await Contact.get(id=contact.id)
    assert (row.opt_in_status, row.opt_in_source) == ("opted_in", "form")
    assert await history() == [("opted_in", "form")]
    assert await Message.all().count() == 0
    assert await contact_events() == []


async def test_a_suppression_stands_until_the_answer(ctx: Context) -> None:
    contact = await make_contact(ctx)
    await opt_out(ctx, contact)

    at = NOW + timedelta(seconds=1)
    async with unit_of_work():
        claim = Claim(given_at=at, is_renewed=True)
        await consent.opt_in(ctx, contact, source="form", ip=None, now=at, confirmed=False, claim=claim)
    assert await Suppression.all().count() == 1
    assert await confirm(ctx, contact, now=at) is True

    assert await Suppression.all().count() == 0
    assert [event.type for event in await contact_events()] == ["contact.opted_out", "contact.opted_in"]


@pytest.mark.parametrize(
    ("status", "waited", "confirmed"),
    [
        (OptInStatus.PENDING, timedelta(0), True),
        (OptInStatus.PENDING, WINDOW, True),
        (OptInStatus.PENDING, WINDOW + timedelta(microseconds=1), False),
        (OptInStatus.UNKNOWN, timedelta(0), False),
        (OptInStatus.OPTED_IN, timedelta(0), False),
        (OptInStatus.OPTED_OUT, timedelta(0), False),
    ],
)
async def test_only_a_pending_contact_confirms_and_only_in_time(
    ctx: Context, status: OptInStatus, waited: timedelta, confirmed: bool
) -> None:
    contact = await make_contact(ctx, status=status, opt_in_source="form", opt_in_ip="203.0.113.4", opt_in_at=NOW)

    assert await confirm(ctx, contact, now=NOW + waited) is confirmed

    row = await Contact.get(id=contact.id)
    assert row.opt_in_status == (OptInStatus.OPTED_IN if confirmed else status)
    assert (row.opt_in_source, row.opt_in_ip) == ("form", "203.0.113.4")
    assert row.opt_in_at == (NOW + waited if confirmed else NOW)
    assert await history() == ([("opted_in", "double_opt_in")] if confirmed else [])
    assert [event.type for event in await contact_events()] == (["contact.opted_in"] if confirmed else [])


async def test_ten_answers_at_once_confirm_once(ctx: Context) -> None:
    contact = await make_contact(ctx, status=OptInStatus.PENDING, opt_in_at=NOW)

    results = await asyncio.gather(*(confirm(ctx, contact, now=NOW) for _ in range(10)))

    assert sorted(results) == [False] * 9 + [True]
    assert len(await contact_events()) == 1


async def test_an_update_under_double_opt_in_asks_first(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    async with unit_of_work():
        made = await create_contact(ctx, CreateContact(PHONE))
    async with unit_of_work():
        changed = await update_contact(ctx, made.id, UpdateContact(opt_in=OptInEvidence("form")))

    assert changed.opt_in_status == "pending"
    assert [(row.kind, row.to_phone) for row in await Message.all()] == [("auto", PHONE)]
    assert await contact_events() == []


async def evidence() -> list[tuple[str, str | None, str | None, str | None]]:
    rows = await ConsentEvent.all().order_by("sequence")
    return [(row.status.value, row.user_agent, row.text, row.version) for row in rows]


async def test_the_agreed_text_is_kept_verbatim(ctx: Context) -> None:
    agreed = OptInEvidence("form", "203.0.113.4", "Mozilla/5.0", "I agree.\n\tSTOP ends it.", "2026-03")
    async with unit_of_work():
        made = await create_contact(ctx, CreateContact(PHONE, opt_in=agreed))
    async with unit_of_work():
        await update_contact(ctx, made.id, UpdateContact(opt_in=OptInEvidence("call", version="2026-04")))
    async with unit_of_work():
        await receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="Stop!", dedupe_key="1")
    async with unit_of_work():
        await receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="start", dedupe_key="2")

    assert await evidence() == [
        ("opted_in", "Mozilla/5.0", "I agree.\n\tSTOP ends it.", "2026-03"),
        ("opted_in", None, None, "2026-04"),
        ("opted_out", None, "Stop!", None),
        ("opted_in", None, "start", None),
    ]


async def test_a_double_opt_in_keeps_the_question_and_the_answer(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True, opt_in_text="Reply YES to join.")
    async with unit_of_work():
        await create_contact(ctx, CreateContact(PHONE, opt_in=OptInEvidence("form")))
    async with unit_of_work():
        await receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="Yes", dedupe_key="1")
    assert await evidence() == [("pending", None, "Reply YES to join.", None), ("opted_in", None, "Yes", None)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_agent", ""),
        ("user_agent", "x" * 301),
        ("user_agent", "a\nb"),
        ("text", " "),
        ("text", "x" * 5001),
        ("text", "a\0b"),
        ("version", ""),
        ("version", "x" * 61),
    ],
)
async def test_evidence_has_its_limits(ctx: Context, field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        async with unit_of_work():
            await create_contact(ctx, CreateContact(PHONE, opt_in=OptInEvidence("form", **{field: value})))
    assert refused.value.param == f"opt_in.{field}"
    assert await Contact.all().count() == 0


async def test_a_stop_of_a_contact_that_was_deleted_meanwhile_counts(ctx: Context) -> None:
    contact = await make_contact(ctx, PHONE)
    async with unit_of_work():
        await delete_contact(ctx, contact.id)

    assert await opt_out(ctx, contact) is True
    assert await opt_out(ctx, contact) is False

    assert await history() == [("opted_out", "keyword")]
    assert (await Suppression.get()).phone == PHONE
    assert await contact_events() == []


async def test_another_callers_contact_is_left_alone(ctx: Context, other_ctx: Context) -> None:
    contact = await make_contact(other_ctx, status=OptInStatus.PENDING, opt_in_at=NOW)

    assert await opt_out(ctx, contact) is False
    assert await opt_in(ctx, contact, confirmed=True) is False
    assert await confirm(ctx, contact, now=NOW) is False

    assert (await Contact.get(id=contact.id)).opt_in_status == "pending"
    assert await history() == []
    assert await Suppression.all().count() == 0
