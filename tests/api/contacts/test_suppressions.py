"""Suppressions: listed, added one by one or by the thousand, lifted on evidence, and kept from what waits."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.consent import consent, consent_chain
from msvs.api.contacts import suppressions
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
from msvs.api.contacts.suppressions import FileImported, SuppressionsImported
from msvs.api.context import Context
from msvs.api.errors import ComplianceRefused, Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.pages import PageRequest
from msvs.api.privacy.contact_export import MAX_ROWS, export_contact, stream_contact
from msvs.api.privacy.erasure import erase_contact
from msvs.api.resources import moment
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import (
    ConsentEvent,
    Contact,
    ErasedSuppression,
    Event,
    Message,
    OptInStatus,
    Role,
    Suppression,
    VirtualSubmission,
    Workspace,
)
from msvs.workers.dispatch import dispatch_messages
from tests import factories
from tests.services import SERVICES

PHONE = "+12125550177"
EVIDENCE = OptInEvidence("checkout", "203.0.113.4", text="Text me again.")


async def within(operation: Callable[[], Awaitable[Any]]) -> Any:
    async with unit_of_work():
        return await operation()


async def suppress(ctx: Context, phone: str = PHONE, source: str = "complaint") -> Suppression:
    row: Suppression = await within(lambda: suppressions.create_suppression(ctx, phone, source=source))
    return row


async def import_(ctx: Context, phones: list[str], **options: Any) -> SuppressionsImported:
    done: SuppressionsImported = await within(lambda: suppressions.import_suppressions(ctx, phones, **options))
    return done


async def import_text(ctx: Context, text: str | bytes, **options: Any) -> list[FileImported]:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return [done async for done in suppressions.import_file(ctx, file, **options)]


async def history(phone: str = PHONE) -> list[tuple[str, str | None]]:
    return [(row.status.value, row.source) for row in await ConsentEvent.filter(phone=phone).order_by("sequence")]


async def test_a_phone_without_a_contact_is_suppressed(ctx: Context) -> None:
    row = await suppress(ctx)

    assert (row.phone, row.source, row.livemode) == (PHONE, "complaint", False)
    assert await history() == [("opted_out", "complaint")]
    assert (await ConsentEvent.get()).contact_id is None
    assert await Contact.all().count() == 0
    assert await Event.all().count() == 0
    with pytest.raises(ComplianceRefused):
        await within(lambda: send_message(ctx, SendMessage(to=PHONE, body="Hi")))


async def test_its_contact_is_opted_out_once_and_what_waits_is_canceled(ctx: Context) -> None:
    contact = await factories.make_contact(ctx, PHONE)
    message = await within(lambda: send_message(ctx, SendMessage(to=PHONE, body="Hi")))

    row = await suppress(ctx)

    assert (await Contact.get()).opt_in_status == "opted_out"
    assert (await Message.get(id=message.id)).error_code == "recipient_opted_out"
    assert await history() == [("opted_out", "complaint")]
    assert (await ConsentEvent.get()).contact_id == contact.id
    with pytest.raises(Conflict) as refused:
        await suppress(ctx)
    assert (refused.value.code, refused.value.details) == (
        "suppression_exists",
        {"existing_id": ids.encode_id(suppressions.SUPPRESSION, row.id)},
    )
    assert await Event.filter(type="contact.opted_out").count() == 1
    assert len(await history()) == 1


async def test_an_opt_out_is_a_suppression(ctx: Context) -> None:
    contact = await factories.make_contact(ctx, PHONE)
    await within(lambda: opt_out_contact(ctx, contact.id))
    with pytest.raises(Conflict):
        await suppress(ctx)
    assert (await history())[-1] == ("opted_out", "api")


@pytest.mark.parametrize(
    ("phone", "source", "param"), [("12", "complaint", "phone"), (PHONE, " ", "source"), (PHONE, "x" * 101, "source")]
)
async def test_an_invalid_suppression_is_refused(ctx: Context, phone: str, source: str, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await suppress(ctx, phone, source)
    assert refused.value.param == param
    assert await Suppression.all().count() == 0


async def test_they_are_listed_and_found(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    rows = [await suppress(ctx, factories.next_phone()) for _ in range(3)]
    for stranger in (live_ctx, other_ctx):
        await suppress(stranger, rows[0].phone)
        with pytest.raises(NotFound):
            await suppressions.get_suppression(stranger, rows[0].id)

    page = await suppressions.list_suppressions(ctx, PageRequest(2))
    assert ([row.id for row in page.items], page.has_more) == ([rows[2].id, rows[1].id], True)
    (found,) = (await suppressions.list_suppressions(ctx, PageRequest(), phone=rows[0].phone)).items
    assert found.id == rows[0].id == (await suppressions.get_suppression(ctx, rows[0].id)).id
    assert (await suppressions.list_suppressions(ctx, PageRequest(), phone=PHONE)).items == []


async def test_an_erased_one_is_found_by_its_phone_alone(ctx: Context, other_ctx: Context) -> None:
    row = await suppress(ctx)
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE)))
    await within(lambda: erase_contact(ctx, contact.id))

    assert (await suppressions.list_suppressions(ctx, PageRequest())).items == []
    (found,) = (await suppressions.list_suppressions(ctx, PageRequest(), phone=PHONE)).items
    assert (found.id, found.phone, found.source) == (row.id, PHONE, "complaint")
    assert (await suppressions.list_suppressions(other_ctx, PageRequest(), phone=PHONE)).items == []
    # The next page is empty.
    for turned in (PageRequest(starting_after=row.id), PageRequest(ending_before=row.id)):
        assert (await suppressions.list_suppressions(ctx, turned, phone=PHONE)).items == []
    with pytest.raises(NotFound):
        await suppressions.get_suppression(ctx, row.id)
    assert await suppressions.count_erased(ctx) == 1
    # Suppressing it again finds that it is, in plain under the same id.
    assert await import_(ctx, [PHONE]) == SuppressionsImported(0, 1, [])
    assert (await Suppression.get()).id == row.id
    assert await suppressions.count_erased(ctx) == 0


async def test_only_evidence_lifts_one(ctx: Context) -> None:
    row = await suppress(ctx)
    with pytest.raises(InvalidRequest) as refused:
        await within(lambda: suppressions.lift_suppression(ctx, row.id, OptInEvidence()))
    assert refused.value.param == "opt_in.source"
    assert await Suppression.all().count() == 1

    with pytest.raises(Conflict) as old:
        await within(lambda: suppressions.lift_suppression(ctx, row.id, EVIDENCE))
    assert (old.value.code, old.value.details) == ("opt_in_revoked", {"opted_out_at": moment(row.created_at)})
    assert await Suppression.all().count() == 1
    assert await Contact.all().count() == 0

    newer = factories.renewed("checkout", text="Text me again.")
    contact = await within(lambda: suppressions.lift_suppression(ctx, row.id, newer))

    assert (contact.phone, contact.opt_in_status, contact.opt_in_source) == (PHONE, "opted_in", "checkout")
    assert await Suppression.all().count() == 0
    assert await history() == [("opted_out", "complaint"), ("opted_in", "checkout")]
    assert (await ConsentEvent.get(status="opted_in")).text == "Text me again."
    assert await Event.all().count() == 0
    with pytest.raises(NotFound):
        await within(lambda: suppressions.lift_suppression(ctx, row.id, factories.renewed()))


async def test_under_double_opt_in_it_stands_until_the_answer(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    row = await suppress(ctx)
    contact = await within(lambda: suppressions.lift_suppression(ctx, row.id, factories.renewed()))
    assert contact.opt_in_status == "pending"
    assert await Suppression.all().count() == 1
    await within(lambda: receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="YES", dedupe_key="1"))
    assert await Suppression.all().count() == 0


async def test_many_are_imported_at_once(ctx: Context) -> None:
    inside = [await factories.make_contact(ctx, status=status) for status in OptInStatus]
    await suppress(ctx, inside[0].phone)
    await Event.all().delete()
    outside = factories.next_phone()
    waiting = await within(lambda: send_message(ctx, SendMessage(to=outside, body="Hi")))
    phones = [*(contact.phone for contact in inside), outside, outside, "12", "+1 212 555 0100", ""]

    done = await import_(ctx, phones, source="previous provider")

    # The one that was opted out by its factory had no suppression.
    assert done == SuppressionsImported(4, 1, ["12", "+1 212 555 0100", ""])
    assert await Suppression.all().count() == 5
    assert set(await Contact.all().values_list("opt_in_status", flat=True)) == {"opted_out"}
    assert (await Message.get(id=waiting.id)).status == "canceled"
    types = sorted([event.type for event in await Event.all()])
    assert types == ["contact.opted_out"] * 3 + ["message.canceled", "message.queued"]
    assert await import_(ctx, phones) == SuppressionsImported(0, 5, ["12", "+1 212 555 0100", ""])
    assert len(await Event.all()) == len(types)
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_an_import_is_bounded(ctx: Context) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await import_(ctx, ["12"] * 1001)
    assert (refused.value.param, refused.value.code) == ("phones", "parameter_out_of_range")
    assert await import_(ctx, ["12"] * 1000) == SuppressionsImported(0, 0, ["12"])
    assert await import_(ctx, []) == SuppressionsImported(0, 0, [])


@pytest.mark.parametrize(
    ("source", "cell"),
    [
        ("complaint", "complaint"),
        ("'quoted'", "'quoted'"),
        ('=HYPERLINK("https://evil.example")', '\'=HYPERLINK("https://evil.example")'),
        ("+1+1", "'+1+1"),
        ("-2", "'-2"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1", "'＝1"),
        ("'=1", "''=1"),
    ],
)
async def test_a_source_is_no_formula_to_a_spreadsheet_and_comes_in_again_as_it_was(
    ctx: Context, live_ctx: Context, source: str, cell: str
) -> None:
    await within(lambda: suppressions.create_suppression(ctx, PHONE, source=source))
    ((row,),) = [rows async for rows in suppressions.export_rows(ctx)]
    assert row[:2] == (PHONE, cell)
    file = io.StringIO()
    csv.writer(file).writerows([suppressions.COLUMNS, row])
    assert await import_text(live_ctx, file.getvalue()) == [FileImported(1, 0, [], [])]
    assert (await Suppression.get(livemode=True)).source == source


@pytest.mark.parametrize("operation", ["create", "import", "lift", "file"])
async def test_a_read_only_member_changes_nothing(ctx: Context, operation: str) -> None:
    row = await suppress(ctx)
    reader = Context(ctx.workspace_id, False, actor="usr", role=Role.READ_ONLY, services=SERVICES)
    operations: dict[str, Callable[[], Awaitable[Any]]] = {
        "create": lambda: suppressions.create_suppression(reader, "+12125550178", source="x"),
        "import": lambda: suppressions.import_suppressions(reader, ["+12125550178"]),
        "lift": lambda: suppressions.lift_suppression(reader, row.id, EVIDENCE),
        "file": lambda: import_text(reader, "+12125550178"),
    }
    with pytest.raises(PermissionDenied):
        await within(operations[operation])
    assert await Suppression.all().count() == 1


@pytest.mark.parametrize(
    ("lines", "added"),
    [
        (["+12125550101", "+12125550102"], {"+12125550101": "import", "+12125550102": "import"}),
        (["\ufeffPhone", "+12125550101"], {"+12125550101": "import"}),
        (["name,phone,source", "Maria,+12125550101,stop", "Ana,+12125550102,"], {
            "+12125550101": "stop", "+12125550102": "import"}),
        (["", " ", "+12125550101", ",,"], {"+12125550101": "import"}),
        (["name,phone", '"Silva, Maria",+12125550101', "short"], {"+12125550101": "import"}),
        (["phone,source", "+12125550101,stop", "+12125550101,complaint"], {"+12125550101": "stop"}),
        (["phone: +12125550101", "phone: +12125550102"], {"+12125550101": "import", "+12125550102": "import"}),
        *(([f"{name};Nom", "+12125550101;Ana"], {"+12125550101": "import"}) for name in (
            "Phone (10 digits)", "Numéro de téléphone portable", "N° de tél. mobile", "Número de teléfono celular",
            "Número de telefone celular", "Numero di telefono cellulare", "06-nummer")),
        (["phone,source"], {}),
    ],
)  # fmt: skip
async def test_a_file_is_read_as_it_was_meant(ctx: Context, lines: list[str], added: dict[str, str]) -> None:
    done = await import_text(ctx, "".join(f"{line}\n" for line in lines))
    assert sum(each.added for each in done) == len(added)
    assert dict(await Suppression.all().values_list("phone", "source")) == added


@pytest.mark.parametrize(
    ("text", "options", "param"),
    [
        ("", {}, "file"),
        ("\n \n", {}, "file"),
        ("Number\n+12125550101\n", {}, "columns"),
        ("Phone,Mobile\n+12125550101,+12125550102\n", {}, "columns"),
        ("phone\n+12125550101\n", {"columns": ["fax"]}, "columns"),
        ("+12125550101,Maria\n", {}, "file"),
        # A name of a column with somebody's number beside it is no header: the first person would be lost unsaid.
        ("mobile 12125550101\nmobile 12125550102\n", {}, "file"),
        ("phone 12125550101,web\nphone 12125550102,web\n", {}, "file"),
        ("(phone) 12125550101\n12125550102\n", {}, "file"),
        ('[{"phone": "+12125550101"}]', {}, "file"),
        ('{"phone": "+12125550101"}\n{"phone": "+12125550102"}\n', {}, "file"),
        ("phone\n+12125550101\n", {"region": "XX"}, "region"),
        ("phone\n+12125550101\n", {"encoding": "none"}, "encoding"),
        ("phone\n+12125550101\n", {"source": "x" * 101}, "source"),
    ],
)
async def test_a_file_that_is_no_such_table_is_refused(
    ctx: Context, text: str, options: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await import_text(ctx, text, **options)
    assert refused.value.param == param
    assert await Suppression.all().count() == 0
    assert await ConsentEvent.all().count() == 0


async def test_a_row_that_cannot_be_read_stops_no_other_row(ctx: Context) -> None:
    phones = [factories.next_phone() for _ in range(570)]
    rows = [f"{phone},stop" for phone in phones]
    rows[550] = f"{phones[550]},{'x' * 120}"
    rows.insert(555, "12,stop")
    rows.append('"' + "x" * 200_000)

    done = await import_text(ctx, "\n".join(["phone,source", *rows]))
    again = await import_text(ctx, "\n".join(["phone,source", *rows]))

    assert sum(each.added for each in done) == 570
    assert [(note.line, note.reason) for each in done for note in each.lost] == [
        (557, "it is not a valid phone number"),
        (573, "it is not a valid phone number"),
    ]
    assert [(note.line, note.reason) for each in done for note in each.notes] == [
        (552, "its source was cut to 100 characters")
    ]
    assert await Suppression.filter(phone__in=phones).count() == 570
    assert (await Suppression.get(phone=phones[550])).source == "x" * 100
    assert [(each.added, each.already_suppressed) for each in again] == [(0, 500), (0, 70)]
    assert (await consent_chain.verify(SERVICES)).is_whole


SAVED: dict[str, Callable[[list[list[str]]], bytes]] = {
    "as it is": lambda rows: saved(rows, ",", "\n", "utf-8"),
    "in Europe": lambda rows: saved(rows, ";", "\r\n", "cp1252"),
    "as Unicode text": lambda rows: saved(rows, "\t", "\r\n", "utf-16"),
    "with a mark": lambda rows: saved(rows, ",", "\r\n", "utf-8-sig"),
    "on an old Mac": lambda rows: saved(rows, ";", "\r", "cp1252"),
    "phones as numbers": lambda rows: saved([[phone[1:], *more] for phone, *more in rows], ";", "\r\n", "cp1252"),
    "as fractions": lambda rows: saved([[f"{phone[1:]}.0", *more] for phone, *more in rows], ",", "\n", "utf-8"),
    "in thousands": lambda rows: saved([[f"{int(phone):,}", *more] for phone, *more in rows], ";", "\r\n", "cp1252"),
    "as formulas": lambda rows: saved([[f'="{phone}"', *more] for phone, *more in rows], ",", "\r\n", "utf-8"),
    "without apostrophes": lambda rows: saved(
        [[each.removeprefix("'") for each in row] for row in rows], ",", "\n", "utf-8"
    ),
    "dates as it likes": lambda rows: saved([[*row[:2], "28/11/2026 10:00"] for row in rows], ";", "\r\n", "cp1252"),
    "with empty columns": lambda rows: saved([[*row, "", ""] for row in rows], ";", "\r\n", "cp1252", more=2),
    "lines in quotes": lambda rows: "".join(
        '"' + line.replace('"', '""') + '"\r\n' for line in saved(rows, ",", "\n", "utf-8").decode().splitlines()
    ).encode(),
}


def saved(rows: list[list[str]], delimiter: str, end: str, encoding: str, *, more: int = 0) -> bytes:
    file = io.StringIO()
    header = [*suppressions.COLUMNS, *([""] * more)]
    csv.writer(file, delimiter=delimiter, lineterminator=end).writerows([header, *rows])
    return file.getvalue().encode(encoding)


@pytest.mark.parametrize("how", SAVED)
async def test_our_own_export_saved_by_a_spreadsheet_comes_back(ctx: Context, live_ctx: Context, how: str) -> None:
    kept = {
        # The second is a Chinese mobile number too, the third a number of the United States, without their plus.
        "+12125550177": "formulário",
        "+13105551234": "=1+1",
        "+4520123456": 'say "stop"; or, bye',
        "+5511961234567": "web form",
    }
    for phone, source in kept.items():
        await suppress(ctx, phone, source)
    rows = [list(row) for batch in [rows async for rows in suppressions.export_rows(ctx)] for row in batch]

    (done,) = await import_text(live_ctx, SAVED[how](rows))

    assert done == FileImported(4, 0, [], [])
    assert dict(await Suppression.filter(livemode=True).values_list("phone", "source")) == kept


async def test_a_long_file_comes_in_by_parts_and_goes_out_whole(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppressions, "CHUNK", 3)
    phones = [factories.next_phone() for _ in range(8)]
    done = await import_text(ctx, "".join(f"{phone}\n" for phone in phones))
    assert [each.added for each in done] == [3, 3, 2]
    rows = [row async for batch in suppressions.export_rows(ctx) for row in batch]
    assert sorted(row[0] for row in rows) == sorted(phones)
    assert rows[0][1:] == ("import", f"{datetime.now(UTC):%Y-%m-%dT%H}{rows[0][2][13:]}")


async def test_imports_and_stops_at_once_agree(ctx: Context) -> None:
    contacts = [await factories.make_contact(ctx) for _ in range(20)]
    phones = [contact.phone for contact in contacts]

    async def stop(contact: Contact) -> None:
        async with unit_of_work():
            await consent.opt_out(ctx, contact, source="keyword", now=await db.now())

    await asyncio.gather(import_(ctx, phones), import_(ctx, phones[::-1]), *(stop(contact) for contact in contacts))

    assert await Suppression.all().count() == 20
    assert await Event.filter(type="contact.opted_out").count() == 20
    assert await ConsentEvent.all().count() == 20
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_a_claim_after_the_import_sends_nothing(ctx: Context) -> None:
    """A message queued by a transaction that did not see the suppression is refused when it is claimed."""
    await suppress(ctx)
    contact = await factories.make_contact(ctx, PHONE)
    await Message.create(
        workspace_id=ctx.workspace_id,
        livemode=False,
        kind="api",
        contact_id=contact.id,
        to_phone=PHONE,
        sender="MASSIVESMS",
        body="Hi",
        encoding="gsm7",
        segments=1,
        credits_used=1,
        status="queued",
        due_at=await db.now(),
    )
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert (await Message.get()).error_code == "recipient_opted_out"
    assert await VirtualSubmission.all().count() == 0


async def test_a_record_holds_all_there_is(ctx: Context) -> None:
    contact = await within(lambda: create_contact(ctx, CreateContact(PHONE, "Maria", opt_in=EVIDENCE)))
    contact_list = await factories.make_list(ctx, [contact])
    await within(lambda: send_message(ctx, SendMessage(to=PHONE, body="Hi")))
    await within(lambda: receive_inbound(ctx, from_phone=PHONE, to_sender="MASSIVESMS", text="STOP", dedupe_key="1"))

    made = await export_contact(ctx, contact.id)

    assert (made.id, made.contact.first_name, made.contact.opt_in.status) == (
        ids.encode_id(ids.CONTACT, contact.id),
        "Maria",
        "opted_out",
    )
    assert [each.id for each in made.lists] == [ids.encode_id(ids.CONTACT_LIST, contact_list.id)]
    assert [(each.status, each.text) for each in made.consent][-1] == ("opted_in", "Text me again.")
    assert [each.body for each in made.inbound_messages] == ["STOP"]
    assert made.messages[-1].body == "Hi"
    assert made.suppression is not None
    assert made.suppression.phone == PHONE
    assert made.complete is True
    assert made.event_count == await Event.all().count()


async def test_a_record_holds_a_contacts_own_consent_under_each_phone_and_no_others(ctx: Context) -> None:
    """The number was somebody else's before, who has another by now."""

    def evidence(name: str) -> OptInEvidence:
        return OptInEvidence(name, "203.0.113.4", f"{name}'s browser")

    first = await within(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=evidence("first"))))
    await within(lambda: update_contact(ctx, first.id, UpdateContact(phone="+12125550188", opt_in=evidence("later"))))
    gone = await within(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=evidence("gone"))))
    await within(lambda: delete_contact(ctx, gone.id))
    await suppress(ctx, PHONE, "complaint")
    second = await within(lambda: create_contact(ctx, CreateContact(PHONE, opt_in=factories.renewed("second"))))

    async def sources(id: UUID) -> list[str | None]:
        made = await export_contact(ctx, id)
        streamed = json.loads(b"".join([piece async for piece in stream_contact(ctx, id)]))
        assert [entry["id"] for entry in streamed["consent"]] == [entry.id for entry in made.consent]
        return [entry.source for entry in made.consent]

    assert await sources(first.id) == ["later", "first"]
    assert await sources(second.id) == ["second", "complaint", "gone"]


async def test_a_long_record_says_that_it_is_not_all(ctx: Context) -> None:
    contact = await factories.make_contact(ctx, PHONE)
    await db.execute(
        "INSERT INTO inbound_messages (id, workspace_id, livemode, from_phone, to_sender, body, contact_id, dedupe_key,"
        " received_at) SELECT gen_random_uuid(), $1, false, $2, 'M', 'Hi', $3, n::text, now()"
        " FROM generate_series(1, $4) AS n",
        ctx.workspace_id,
        PHONE,
        contact.id,
        MAX_ROWS + 1,
    )
    made = await export_contact(ctx, contact.id)
    assert (len(made.inbound_messages), made.complete) == (MAX_ROWS, False)
    text = b"".join([piece async for piece in stream_contact(ctx, contact.id)])
    assert text.count(b'"inbound_message"') == MAX_ROWS + 1
    with pytest.raises(NotFound):
        await export_contact(ctx, ids.new_id())


async def test_a_stop_counts_for_both_numbers_by_which_a_phone_is_reached(ctx: Context) -> None:
    mobile, bare = "+5491123456789", "+541123456789"
    contact = await factories.make_contact(ctx, mobile)
    async with unit_of_work():
        await opt_out_contact(ctx, contact.id)
    for phone in (mobile, bare):
        with pytest.raises(ComplianceRefused) as caught:
            await send_message(ctx, SendMessage(phone, "Hi"))
        assert caught.value.code == "recipient_opted_out"
    assert [row.phone for row in await ConsentEvent.all().order_by("id")] == [mobile]
    assert await Event.filter(type="contact.opted_out").count() == 1
    # A phone comes back by either spelling.
    async with unit_of_work():
        await update_contact(ctx, contact.id, UpdateContact(opt_in=factories.renewed()))
    assert await Suppression.all().count() == 0
    async with unit_of_work():
        await suppressions.create_suppression(ctx, bare, source="import")
    async with unit_of_work():
        await erase_contact(ctx, contact.id)
    assert await Suppression.all().count() == 0
    assert await ErasedSuppression.all().count() == 1
    async with unit_of_work():
        assert (await ensure_contact(ctx, bare, now=datetime.now(UTC))).opt_in_status == "opted_out"
    assert await Suppression.all().values_list("phone", flat=True) == [bare]
    assert await ErasedSuppression.all().count() == 0


async def test_an_import_counts_the_phones_that_were_given(ctx: Context) -> None:
    async with unit_of_work():
        done = await suppressions.import_suppressions(ctx, ["+5491123456789", "+12125550177"])
    assert (done.added, done.already_suppressed, done.invalid) == (2, 0, [])
    assert await Suppression.all().count() == 2
    async with unit_of_work():
        done = await suppressions.import_suppressions(ctx, ["+541123456789"])
    assert (done.added, done.already_suppressed) == (0, 1)
