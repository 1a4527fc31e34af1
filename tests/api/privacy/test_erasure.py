"""Erasure: nothing that names the person is left in any table, and a number that said STOP stays suppressed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from asyncpg import RaiseError

from msvs import database as db
from msvs.api import crypto, ids
from msvs.api.campaigns.previews import preview_message
from msvs.api.campaigns.reconciliation import reconcile_campaign
from msvs.api.consent import consent, consent_chain
from msvs.api.contacts.contacts import (
    CreateContact,
    OptInEvidence,
    UpdateContact,
    create_contact,
    delete_contact,
    ensure_contact,
    opt_out_contact,
    update_contact,
)
from msvs.api.contacts.lists import add_contacts
from msvs.api.contacts.segments import create_segment, preview_segment
from msvs.api.context import Context
from msvs.api.dispatch.enqueue import insert_single, make_single
from msvs.api.errors import ComplianceRefused, Conflict, NotFound, PermissionDenied
from msvs.api.idempotency import Answer, answer_once
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.explanations import explain_message
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.privacy.erasure import ErasureResource, erase_contact, erase_phone
from msvs.api.resources import contact_resource
from msvs.api.text.rendering import Rendered
from msvs.api.text.sms import Encoding
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.models import (
    AuditEntry,
    ConsentEvent,
    Contact,
    ErasedSuppression,
    Event,
    IdempotencyRecord,
    InboundMessage,
    Message,
    MessageKind,
    Role,
    Segment,
    Suppression,
    VirtualSubmission,
    WebhookAttempt,
)
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.reports import collect_reports
from tests import factories
from tests.owner import run_as_owner
from tests.services import SERVICES
from tests.workers.test_campaigns import CARRIERS, create, people, run_through

PHONE = "+12125550177"
OLD_PHONE = "+12125550176"
NEIGHBOR = "+12125550178"
SECRETS = (
    PHONE,
    OLD_PHONE,
    "Maria",
    "Silva",
    "maria@example.com",
    "203.0.113.4",
    "Gecko",
    "I agree to be texted",
    "platinum",
    "Your place is saved",
    "Where is my place",
    "order 4711",
)


async def within(operation: Callable[[], Awaitable[Any]]) -> Any:
    async with unit_of_work():
        return await operation()


async def erase(ctx: Context, id: UUID) -> ErasureResource:
    async with unit_of_work():
        return await erase_contact(ctx, id)


async def dump() -> str:
    """Every row of every table, as text."""
    tables = await db.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT relispartition"
    )
    texts = [
        row.text
        for table in tables
        for row in await db.fetch(f"SELECT t::text AS text FROM {table.relname} AS t ORDER BY 1")
    ]
    return "\n".join(texts)


async def make_person(ctx: Context) -> Any:
    """A contact who has been everywhere: under two phones, with consent, messages, replies, events and answers."""
    evidence = OptInEvidence("checkout", "203.0.113.4", "Mozilla/5.0 Gecko", "I agree to be texted.", "2026-03")

    async def make() -> Any:
        return await create_contact(
            ctx,
            CreateContact(OLD_PHONE, "Maria", "Silva", "maria@example.com", evidence, {"tier": "platinum"}),
        )

    contact = await within(make)
    contact_list = await factories.make_list(ctx)
    await db.execute(
        "INSERT INTO list_members (id, list_id, contact_id, created_at) VALUES ($1, $2, $3, now())",
        ids.new_id(),
        contact_list.id,
        contact.id,
    )
    await within(lambda: send(ctx, OLD_PHONE))
    await within(lambda: update_contact(ctx, contact.id, UpdateContact(phone=PHONE, opt_in=evidence)))

    async def answered() -> Answer:
        message = await send(ctx, PHONE)
        body = {"object": "message", "id": ids.encode_id(ids.MESSAGE, message.id), "to": PHONE, "body": message.body}
        return Answer(201, json.dumps(body).encode())

    await answer_once(ctx, "key 1", "f" * 64, answered, lambda error: Answer(error.status, b"{}"))
    await db.execute("UPDATE messages SET status = 'sent', sent_at = now() WHERE to_phone = $1", PHONE)
    await VirtualSubmission.create(
        message_id=(await Message.get(to_phone=PHONE)).id,
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        to_phone=PHONE,
        segments=1,
        accepted_at=await db.now(),
    )
    await within(
        lambda: receive_inbound(
            ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="Where is my place?", dedupe_key=f"test:{PHONE}:1"
        )
    )
    event = await Event.filter(type="message.replied").get()
    await WebhookAttempt.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        endpoint_id=ids.new_id(),
        event_id=event.id,
        number=1,
        status_code=200,
        response_head="Thanks, Maria",
        elapsed_ms=1,
    )
    row = await Contact.get(id=contact.id)
    await within(
        lambda: record_events(
            [NewEvent(EventType.CONTACT_OPTED_IN, ctx.workspace_id, ctx.livemode, row.id, contact_resource(row))],
            row.created_at,
        )
    )
    return row


async def send(ctx: Context, phone: str, **values: Any) -> Any:
    return await send_message(
        ctx, SendMessage(to=phone, body="Your place is saved", metadata={"note": "order 4711"}, **values)
    )


async def suppress_and_erase(ctx: Context, phone: str = PHONE) -> UUID:
    """A contact who said STOP and was then erased; the id of the suppression."""
    contact = await within(lambda: create_contact(ctx, CreateContact(phone)))
    await within(lambda: opt_out_contact(ctx, contact.id, source="keyword"))
    suppression = await Suppression.get(phone=phone)
    await erase(ctx, contact.id)
    assert await Suppression.filter(phone=phone).count() == 0
    assert await ErasedSuppression.all().count() == 1
    return suppression.id


async def test_nothing_that_names_the_person_is_left_in_any_table(ctx: Context) -> None:
    person = await make_person(ctx)
    await within(lambda: opt_out_contact(ctx, person.id))
    before = await dump()
    assert [secret for secret in SECRETS if secret not in before] == []

    done = await erase(ctx, person.id)

    assert (done.id, done.object, done.erased) == (ids.encode_id(ids.CONTACT, person.id), "contact", True)
    after = await dump()
    assert [secret for secret in SECRETS if secret in after] == []


async def test_a_kept_preview_is_erased_with_its_parts(ctx: Context) -> None:
    person = await make_person(ctx)

    async def previewed() -> Answer:
        body = "Hey {firstName}, “{tier}”"
        return Answer(200, msgspec.json.encode(await preview_message(ctx, SendMessage(to=PHONE, body=body))))

    await answer_once(ctx, "key 2", "e" * 64, previewed, lambda error: Answer(error.status, b"{}"))
    await erase(ctx, person.id)

    after = await dump()
    assert [secret for secret in SECRETS if secret in after] == []
    kept = json.loads((await IdempotencyRecord.get(key="key 2")).body)
    assert (kept["body"], kept["parts"], kept["suggested_body"], kept["segments"]) == ("", [], None, 1)


async def test_a_segment_that_names_the_person_names_nobody(ctx: Context) -> None:
    person = await make_person(ctx)
    await within(lambda: create_contact(ctx, CreateContact(NEIGHBOR, "Ana")))

    def compare(field: str, op: str, value: Any) -> dict[str, Any]:
        return {"field": field, "op": op, "value": value}

    conditions = {
        "any": [
            compare("phone", "in", [PHONE, NEIGHBOR]),
            compare("phone", "contains", OLD_PHONE[1:]),
            {"not": compare("email", "eq", "Maria@Example.com")},
            compare("first_name", "starts_with", "An"),
        ]
    }
    segment = await within(lambda: create_segment(ctx, "Friends", conditions))
    other = await within(lambda: create_segment(ctx, "All of them", compare("phone", "starts_with", "+1212555")))

    await erase(ctx, person.id)

    after = await dump()
    assert [secret for secret in SECRETS if secret.lower() in after.lower()] == []
    (phones, old, address, name) = (await Segment.get(id=segment.id)).conditions["any"]
    assert phones["value"][1] == NEIGHBOR
    assert all(text.startswith("erased:") for text in (phones["value"][0], old["value"], address["not"]["value"]))
    assert name == conditions["any"][3]
    assert (await Segment.get(id=other.id)).conditions == compare("phone", "starts_with", "+1212555")
    assert (await preview_segment(ctx, segment.conditions)) == 1


async def test_what_must_be_kept_is_kept(ctx: Context) -> None:
    person = await make_person(ctx)
    neighbor = await within(lambda: create_contact(ctx, CreateContact(NEIGHBOR, "Ana")))
    await within(lambda: send(ctx, NEIGHBOR))
    messages = await Message.filter(contact_id=person.id).order_by("id")
    count = await Event.all().count()

    await erase(ctx, person.id)

    rows = await Message.filter(contact_id=person.id).order_by("id")
    assert [(row.id, row.segments, row.credits_used, row.body, row.metadata) for row in rows] == [
        (row.id, row.segments, 0 if row.status == "queued" else row.credits_used, "", {}) for row in messages
    ]
    # The one that waited was canceled, with its event; the one that was sent stays.
    assert [row.status for row in rows] == ["canceled", "replied"]
    assert await Event.all().count() == count + 1
    # Each phone has a placeholder of its own, which is no number and fits.
    placeholders = [row.to_phone for row in rows]
    assert len(set(placeholders)) == 2
    assert all(text.startswith("erased:") and len(text) == 16 for text in placeholders)
    assert (await VirtualSubmission.get()).to_phone == placeholders[1]
    inbound = await InboundMessage.get()
    assert (inbound.from_phone, inbound.body) == (placeholders[1], "")
    answer = json.loads((await IdempotencyRecord.get()).body)
    assert (answer["to"], answer["body"]) == (placeholders[1], "")
    assert await Contact.all().values_list("id", flat=True) == [neighbor.id]
    assert (await Message.get(contact_id=neighbor.id)).body == "Your place is saved"
    assert (await db.fetch_value("SELECT contact_count FROM contact_lists")) == 0
    entries = await ConsentEvent.all()
    assert [entry.erased_at is not None for entry in entries] == [True, True]
    assert (await consent_chain.verify(SERVICES)).is_whole
    # A report or an explanation of an erased message still works.
    explained = await explain_message(ctx, rows[1].id)
    assert explained.id == ids.encode_id(ids.MESSAGE, rows[1].id)


async def test_erasing_again_changes_nothing(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    person = await make_person(ctx)
    first = await erase(ctx, person.id)
    before = await dump()

    again = await erase(ctx, person.id)

    assert abs(int(first.erased_at[17:19]) - int(again.erased_at[17:19])) in (0, 1, 59)
    assert (again.id, again.erased) == (first.id, True)
    assert await dump() == before
    for stranger in (live_ctx, other_ctx):
        with pytest.raises(NotFound):
            await erase(stranger, person.id)
    entry = await AuditEntry.get(action="contact.erased")
    assert (entry.resource_id, entry.actor, entry.changes) == (first.id, "test", {"livemode": False, "messages": 2})


async def test_two_erasures_at_once_are_one(ctx: Context) -> None:
    person = await make_person(ctx)
    done = await asyncio.gather(*(erase(ctx, person.id) for _ in range(5)))
    assert {each.id for each in done} == {ids.encode_id(ids.CONTACT, person.id)}
    assert await AuditEntry.filter(action="contact.erased").count() == 1


@pytest.mark.parametrize(("role", "may"), [(Role.OWNER, True), (Role.ADMIN, True), (Role.MEMBER, False)])
async def test_a_member_may_not(ctx: Context, role: Role, may: bool) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    if may:
        await erase(replace(ctx, role=role), contact.id)
    else:
        with pytest.raises(PermissionDenied):
            await erase(replace(ctx, role=role), contact.id)
    assert await Contact.all().count() == (0 if may else 1)


async def test_a_message_on_its_way_is_waited_for(ctx: Context) -> None:
    person = await make_person(ctx)
    await db.execute("UPDATE messages SET status = 'sending' WHERE to_phone = $1", PHONE)
    before = await dump()

    with pytest.raises(Conflict) as refused:
        await erase(ctx, person.id)

    assert (refused.value.code, refused.value.retry_after) == ("erasure_pending", 5)
    assert await dump() == before
    await db.execute("UPDATE messages SET status = 'sent' WHERE to_phone = $1", PHONE)
    await erase(ctx, person.id)
    assert PHONE not in await dump()


async def test_a_stop_that_was_not_taken_in_yet_is_waited_for(ctx: Context) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    await db.execute(
        "INSERT INTO virtual_signals (id, message_id, workspace_id, livemode, kind, phone, sender, text, due_at)"
        " VALUES ($1, $1, $2, false, 'inbound', $3, 'MASSIVESMS', 'STOP', now())",
        ids.new_id(),
        ctx.workspace_id,
        PHONE,
    )
    with pytest.raises(Conflict):
        await erase(ctx, contact.id)
    await db.execute("UPDATE virtual_signals SET kind = 'delivered'")
    await erase(ctx, contact.id)
    assert PHONE not in await dump()


@pytest.mark.parametrize("written", [PHONE, PHONE.removeprefix("+")])
async def test_what_a_carrier_brought_is_taken_in_before(live_ctx: Context, written: str) -> None:
    contact = await within(lambda: create_contact(live_ctx, CreateContact(PHONE)))
    await db.execute(
        "INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, from_phone, to_sender, text, tries, received_at,"
        " due_at) VALUES ($1, 'smsc', 'inbound', '1', $2, '+12125550100', 'STOP', 0, now(), now())",
        ids.new_id(),
        written,
    )
    with pytest.raises(Conflict):
        await erase(live_ctx, contact.id)
    sandbox = replace(live_ctx, livemode=False)
    there = await within(lambda: create_contact(sandbox, CreateContact(PHONE)))
    await erase(sandbox, there.id)
    await db.execute("DELETE FROM carrier_signals")
    await erase(live_ctx, contact.id)
    assert PHONE not in await dump()


async def test_an_opt_out_from_a_carrier_is_stored_before_the_erasure(live_ctx: Context) -> None:
    contact = await within(lambda: create_contact(live_ctx, CreateContact(PHONE)))
    message_id = ids.new_id()
    await db.execute(
        "INSERT INTO messages (id, workspace_id, livemode, kind, contact_id, to_phone, sender, body, encoding,"
        " segments, credits_used, status, metadata, due_at, created_at, opted_out, attempt_count, carrier)"
        " VALUES ($1, $2, true, 'api', $3, $4, '+12125550100', 'Hi', 'gsm7', 1, 0, 'failed', '{}', now(), now(),"
        " false, 1, 'smsc')",
        message_id,
        live_ctx.workspace_id,
        contact.id,
        PHONE,
    )
    await db.execute(
        "INSERT INTO carrier_signals (id, carrier, kind, dedupe_key, message_id, text, tries, received_at, due_at)"
        " VALUES ($1, 'smsc', 'opt_out', '1', $1, '', 0, now(), now())",
        message_id,
    )
    with pytest.raises(Conflict):
        await erase(live_ctx, contact.id)
    await collect_reports(SERVICES)
    await erase(live_ctx, contact.id)
    assert await db.fetch_value("SELECT count(*) FROM erased_suppressions") == 1
    assert PHONE not in await dump()


async def test_a_number_that_another_has_by_now_stays_theirs(ctx: Context) -> None:
    person = await make_person(ctx)
    neighbor = await within(lambda: create_contact(ctx, CreateContact(OLD_PHONE, opt_in=OptInEvidence("form"))))
    await within(lambda: opt_out_contact(ctx, neighbor.id, source="keyword"))

    await erase(ctx, person.id)

    assert (await Contact.get()).phone == OLD_PHONE
    assert (await Suppression.get()).phone == OLD_PHONE
    kept = await ConsentEvent.filter(erased_at__isnull=True).order_by("id")
    assert [(entry.contact_id, entry.phone) for entry in kept] == [(neighbor.id, OLD_PHONE)] * 2
    assert await Message.filter(to_phone=OLD_PHONE).count() == 0
    text = await dump()
    assert PHONE not in text
    assert "Maria" not in text


async def test_the_data_of_a_numbers_previous_owner_is_not_erased(ctx: Context) -> None:
    evidence = OptInEvidence("form", "198.51.100.7", "Their browser", "Yes, text me.")
    another = await within(lambda: create_contact(ctx, CreateContact(PHONE, "Ana", opt_in=evidence)))
    await within(
        lambda: receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="It is Ana", dedupe_key="ana")
    )
    theirs = await within(lambda: send(ctx, PHONE))
    await within(lambda: update_contact(ctx, another.id, UpdateContact(phone=NEIGHBOR)))
    person = await within(lambda: create_contact(ctx, CreateContact(PHONE, "Maria", opt_in=OptInEvidence("form"))))
    await within(lambda: send(ctx, PHONE))
    await within(lambda: receive_inbound(ctx, from_phone=PHONE, to_sender="M", text="It is Maria", dedupe_key="maria"))

    await erase(ctx, person.id)

    assert (await Message.get(id=theirs.id)).body == "Your place is saved"
    assert (await InboundMessage.get(contact_id=another.id)).body == "It is Ana"
    kept = await ConsentEvent.get(contact_id=another.id)
    assert (kept.ip, kept.user_agent, kept.text, kept.erased_at) == (
        "198.51.100.7",
        "Their browser",
        "Yes, text me.",
        None,
    )
    assert await Message.filter(contact_id=person.id, to_phone__startswith="+").count() == 0
    assert "Maria" not in await dump()
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_what_was_sent_to_an_old_phone_under_a_contact_deleted_before_is_erased(ctx: Context) -> None:
    """A number that nobody has by now, and that the person had: whose it was before cannot be told any more."""
    before = await within(lambda: create_contact(ctx, CreateContact(OLD_PHONE)))
    early = await within(lambda: send(ctx, OLD_PHONE))
    await within(lambda: delete_contact(ctx, before.id))
    person = await make_person(ctx)

    await erase(ctx, person.id)

    row = await Message.get(id=early.id)
    assert (row.status, row.body, row.to_phone[:7], row.metadata) == ("canceled", "", "erased:", {})
    text = await dump()
    assert [secret for secret in SECRETS if secret in text] == []


async def test_a_phone_whose_contact_is_long_deleted_is_erased(ctx: Context) -> None:
    person = await make_person(ctx)
    await within(lambda: opt_out_contact(ctx, person.id))
    await within(lambda: delete_contact(ctx, person.id))
    assert PHONE in await dump()

    done = await within(lambda: erase_phone(ctx, PHONE))

    assert done.id is None
    text = await dump()
    assert PHONE not in text
    assert "Where is my place" not in text
    assert await ErasedSuppression.all().count() == 1


async def test_a_phone_that_was_not_suppressed_is_not_suppressed_afterwards(ctx: Context) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=OptInEvidence("form"))))
    await erase(ctx, contact.id)
    assert await ErasedSuppression.all().count() == 0
    again = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    assert (again.id != contact.id, again.opt_in_status) == (True, "unknown")


async def by_api(ctx: Context) -> None:
    await within(lambda: create_contact(ctx, CreateContact(PHONE)))


async def by_first_message(ctx: Context) -> None:
    with pytest.raises(ComplianceRefused) as refused:
        await within(lambda: send(ctx, PHONE))
    assert refused.value.code == "recipient_opted_out"
    # Nothing came of it, and the number is as suppressed as before.
    assert await ErasedSuppression.all().count() == 1
    await by_api(ctx)


async def by_inbound(ctx: Context) -> None:
    await within(lambda: receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="Hello?", dedupe_key="1"))


async def by_ensuring(ctx: Context) -> None:
    await within(lambda: ensure(ctx))


async def ensure(ctx: Context) -> None:
    await ensure_contact(ctx, PHONE, now=await db.now())


async def by_changing_the_phone(ctx: Context) -> None:
    other = await within(lambda: create_contact(ctx, CreateContact(NEIGHBOR, opt_in=OptInEvidence("form"))))
    await within(lambda: update_contact(ctx, other.id, UpdateContact(phone=PHONE)))


@pytest.mark.parametrize("path", [by_api, by_first_message, by_inbound, by_ensuring, by_changing_the_phone])
async def test_a_number_that_comes_back_is_suppressed_in_plain(
    ctx: Context, path: Callable[[Context], Awaitable[None]]
) -> None:
    suppression_id = await suppress_and_erase(ctx)

    await path(ctx)

    suppression = await Suppression.get()
    assert (suppression.id, suppression.phone, suppression.source) == (suppression_id, PHONE, "keyword")
    assert await ErasedSuppression.all().count() == 0
    contact = await Contact.get(phone=PHONE)
    assert (contact.opt_in_status, contact.opt_in_source) == ("opted_out", "keyword")
    with pytest.raises(ComplianceRefused):
        await within(lambda: send(ctx, PHONE))


async def test_the_person_may_come_back(ctx: Context) -> None:
    await suppress_and_erase(ctx)
    await within(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=factories.renewed("form"))))
    assert (await Contact.get()).opt_in_status == "opted_in"
    assert await Suppression.all().count() == 0
    assert await ErasedSuppression.all().count() == 0


async def test_other_workspaces_and_modes_do_not_suppress_the_number(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    await suppress_and_erase(ctx)
    for stranger in (live_ctx, other_ctx):
        made = await within(lambda stranger=stranger: create_contact(stranger, CreateContact(PHONE)))
        assert made.opt_in_status == "unknown"
    assert await ErasedSuppression.all().count() == 1


async def test_a_carriers_report_of_an_erased_message_is_applied(ctx: Context) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    await within(lambda: send(ctx, PHONE))
    await dispatch_messages(SERVICES, CARRIERS)
    await erase(ctx, contact.id)
    await run_through()
    message = await Message.get()
    assert (message.status, message.body) == ("delivered", "")
    assert PHONE not in await dump()


async def queue_late(ctx: Context, contact_id: UUID, phone: str, kind: MessageKind = MessageKind.API) -> UUID:
    """What a send writes that read its contact before the contact was gone."""
    at = await db.now()
    async with unit_of_work():
        draft = make_single(
            ctx,
            kind=kind,
            contact_id=contact_id,
            phone=phone,
            sender="MASSIVESMS",
            rendered=Rendered("Your place is saved", Encoding.GSM7, 1),
            price=1,
            metadata={},
            scheduled_at=None,
            due_at=at,
            now=at,
        )
        await insert_single(ctx, draft)
    return draft.id


async def outcome_of(message_id: UUID) -> tuple[str, str | None]:
    await dispatch_messages(SERVICES, CARRIERS)
    row = await Message.get(id=message_id)
    return row.status, row.error_code


async def test_a_send_that_overlaps_an_opt_out_and_erasure_is_refused_at_its_claim(ctx: Context) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    await within(lambda: opt_out_contact(ctx, contact.id, source="keyword"))
    await erase(ctx, contact.id)
    assert await outcome_of(await queue_late(ctx, contact.id, PHONE)) == ("canceled", "recipient_opted_out")
    assert await VirtualSubmission.all().count() == 0
    # Plain again, without a contact: a hand-over that was picked before finds it all the same.
    await within(lambda: consent.suppress(ctx, [PHONE], source="import", now=contact.created_at))
    assert await ErasedSuppression.all().count() == 0
    assert await outcome_of(await queue_late(ctx, contact.id, PHONE)) == ("canceled", "recipient_opted_out")
    assert await outcome_of(await queue_late(ctx, contact.id, PHONE, MessageKind.AUTO)) == ("sent", None)


async def test_a_send_to_an_old_phone_that_said_stop_is_refused(ctx: Context) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(OLD_PHONE)))
    await within(lambda: update_contact(ctx, contact.id, UpdateContact(phone=PHONE)))
    await within(lambda: consent.suppress(ctx, [OLD_PHONE], source="import", now=contact.created_at))
    await within(lambda: erase_phone(ctx, OLD_PHONE))
    assert await ErasedSuppression.all().count() == 1
    assert await outcome_of(await queue_late(ctx, contact.id, OLD_PHONE)) == ("canceled", "recipient_opted_out")
    assert await outcome_of(await queue_late(ctx, contact.id, PHONE)) == ("sent", None)


async def test_a_send_to_an_erased_phone_that_never_said_stop_goes_out(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    await suppress_and_erase(live_ctx)
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    await erase(ctx, contact.id)
    assert await outcome_of(await queue_late(ctx, contact.id, PHONE)) == ("sent", None)
    assert await outcome_of(await queue_late(other_ctx, contact.id, PHONE)) == ("sent", None)


async def test_erasing_races_with_coming_back(ctx: Context) -> None:
    """However the two fall, a contact that is there at the end is suppressed in plain."""
    for _ in range(15):
        phone = factories.next_phone()
        contact = await within(lambda phone=phone: create_contact(ctx, CreateContact(phone)))
        await within(lambda contact=contact: opt_out_contact(ctx, contact.id))
        await asyncio.gather(
            erase(ctx, contact.id),
            within(lambda phone=phone: create_contact(ctx, CreateContact(phone))),
            within(
                lambda phone=phone: receive_inbound(
                    ctx, from_phone=phone, to_sender="MASSIVESMS", text="Hello?", dedupe_key=phone
                )
            ),
            return_exceptions=True,
        )
        made = await Contact.filter(phone=phone).first()
        plain = await Suppression.filter(phone=phone).count()
        kept = await ErasedSuppression.filter(phone_hash=crypto.phone_hash(ctx, phone)).count()
        assert plain + kept == 1
        if made is not None:
            assert (made.opt_in_status, plain) == ("opted_out", 1)


async def test_an_erasure_waits_for_a_contact_being_created(ctx: Context) -> None:
    await within(lambda: consent.suppress(ctx, [PHONE], source="import", now=datetime.now(UTC)))
    made = asyncio.Event()

    async def make_slowly() -> None:
        async with unit_of_work():
            await create_contact(ctx, CreateContact(PHONE))
            made.set()
            await asyncio.wait([erasure], timeout=0.2)

    async def erase_meanwhile() -> None:
        await made.wait()
        await within(lambda: erase_phone(ctx, PHONE))

    erasure = asyncio.create_task(erase_meanwhile())
    await asyncio.gather(make_slowly(), erasure)

    assert (await Contact.get()).opt_in_status == "opted_out"
    assert (await Suppression.get()).phone == PHONE
    assert await ErasedSuppression.all().count() == 0


async def test_a_stop_that_races_with_erasure_is_not_lost(ctx: Context) -> None:
    for number in range(10):
        phone = factories.next_phone()
        contact = await within(lambda phone=phone: create_contact(ctx, CreateContact(phone)))
        await asyncio.gather(
            erase(ctx, contact.id),
            within(
                lambda phone=phone, number=number: receive_inbound(
                    ctx, from_phone=phone, to_sender="MASSIVESMS", text="STOP", dedupe_key=str(number)
                )
            ),
        )
        plain = await Suppression.filter(phone=phone).count()
        kept = await ErasedSuppression.filter(phone_hash=crypto.phone_hash(ctx, phone)).count()
        assert plain + kept == 1
    assert (await consent_chain.verify(SERVICES)).is_whole


@pytest.mark.parametrize("text", ["Hello?", "START", "HELP"])
async def test_a_message_that_comes_in_during_an_erasure_is_of_a_new_contact(ctx: Context, text: str) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    await within(lambda: opt_out_contact(ctx, contact.id))
    erased = asyncio.Event()

    async def erase_slowly() -> None:
        async with unit_of_work():
            await erase_contact(ctx, contact.id)
            erased.set()
            await asyncio.wait([answer], timeout=0.2)

    async def take_in() -> None:
        await erased.wait()
        await within(lambda: receive_inbound(ctx, from_phone=PHONE, to_sender="M", text=text, dedupe_key="1"))

    answer = asyncio.create_task(take_in())
    await asyncio.gather(erase_slowly(), answer)

    made = await Contact.get()
    assert (made.id != contact.id, made.phone) == (True, PHONE)
    assert (await InboundMessage.get()).contact_id == made.id
    assert made.opt_in_status == ("opted_in" if text == "START" else "opted_out")
    assert await Suppression.filter(phone=PHONE).count() == (0 if text == "START" else 1)
    assert await ErasedSuppression.all().count() == 0


async def test_a_campaigns_books_balance_whenever_people_are_erased(live_ctx: Context, virtual_live: None) -> None:
    """While it is prepared, while it is sent, and after it: one message a phone, and no credit lost."""
    contacts = await people(live_ctx, 8, first_name="Maria")
    campaign_id = await create(live_ctx, contacts)

    async def erase_next() -> None:
        contact = contacts.pop(0)
        await erase(live_ctx, contact.id)
        found = await reconcile_campaign(live_ctx, campaign_id)
        assert [check for check in found.checks if not check.ok] == []
        assert contact.phone not in await dump()

    await expand_campaigns(SERVICES, chunk=3)
    await erase_next()
    await expand_campaigns(SERVICES, chunk=3)
    await erase_next()
    await dispatch_messages(SERVICES, CARRIERS, seconds=0, batch=2)
    await erase_next()
    await run_through()
    await erase_next()
    await erase_next()
    found = await reconcile_campaign(live_ctx, campaign_id)
    assert found.status == "completed"
    assert await Contact.all().count() == 3


async def test_erasure_takes_lists_before_credits(live_ctx: Context, virtual_live: None) -> None:
    """As deletion does, which holds the lists of a contact when it gives credits back."""
    contact = await within(lambda: create_contact(live_ctx, CreateContact(PHONE)))
    await within(lambda: send(live_ctx, PHONE))
    contact_list = await factories.make_list(live_ctx)
    await within(lambda: add_contacts(live_ctx, contact_list.id, [ids.encode_id(ids.CONTACT, contact.id)]))
    listed = asyncio.Event()

    async def hold_the_list_then_the_credits() -> None:
        async with unit_of_work():
            await db.execute("SELECT FROM contact_lists WHERE id = $1 FOR NO KEY UPDATE", contact_list.id)
            listed.set()
            while not await db.fetch_value("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await db.execute("UPDATE credit_balances SET low_notified = false")

    async def erase_meanwhile() -> None:
        await listed.wait()
        await erase(live_ctx, contact.id)

    await asyncio.gather(hold_the_list_then_the_credits(), erase_meanwhile())
    assert await Contact.all().count() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE virtual_submissions SET segments = 2",
        "UPDATE virtual_submissions SET to_phone = '+12125550100'",
        "UPDATE virtual_submissions SET to_phone = 'erased:000000000', segments = 2",
        "DELETE FROM virtual_submissions",
    ],
)
async def test_the_records_of_carriers_allow_only_erasure(ctx: Context, statement: str) -> None:
    await VirtualSubmission.create(
        message_id=ids.new_id(),
        workspace_id=ctx.workspace_id,
        livemode=False,
        to_phone=PHONE,
        segments=1,
        accepted_at=await db.now() - timedelta(hours=1),
    )
    with pytest.raises(RaiseError):
        await run_as_owner(statement)
    await db.execute("UPDATE virtual_submissions SET to_phone = 'erased:000000000'")
    with pytest.raises(RaiseError):
        await db.execute("UPDATE virtual_submissions SET to_phone = 'erased:000000001'")


async def test_a_preview_knows_of_a_suppression_whose_phone_was_erased(ctx: Context) -> None:
    contact = await factories.make_contact(ctx, "+12125550177")
    async with unit_of_work():
        await opt_out_contact(ctx, contact.id)
    async with unit_of_work():
        await erase_contact(ctx, contact.id)
    preview = await preview_message(ctx, SendMessage("+12125550177", "Hi"))
    assert preview.refusal is not None
    assert (preview.refusal.status, preview.refusal.code) == (422, "recipient_opted_out")
