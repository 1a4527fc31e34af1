"""Exports: all that is asked for, as it was at one moment, in files that spreadsheets and our own imports take."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, create_contact, opt_out_contact
from msvs.api.contacts.segments import create_segment
from msvs.api.contacts.suppressions import create_suppression
from msvs.api.contacts.tags import ChangeTags, tag_contact
from msvs.api.context import Context
from msvs.api.errors import ApiError, NotFound
from msvs.api.messages import export_jobs
from msvs.api.messages.export_requests import CreateExport, ListExports
from msvs.api.pages import PageRequest
from msvs.api.permissions import Scope
from msvs.api.privacy.erasure import erase_contact
from msvs.api.resources import moment
from msvs.api.unit_of_work import WorkQueue, in_unit_of_work, unit_of_work
from msvs.models import AuditEntry, Contact, Export, ExportStatus, Role, ShortLink
from msvs.workers import exports, retention
from msvs.workers.stopping import StopFlag
from tests.api.consent.test_revocation import waiting_for_a_lock
from tests.api.messages.test_statistics import make_campaign, make_message
from tests.factories import make_list
from tests.services import SERVICES
from tests.workers.test_imports import JOAO, MARIA, ZOE, confirm, import_, people

AT = datetime(2026, 5, 1, tzinfo=UTC)
FORMULA = '=HYPERLINK("https://evil.example","x")'


async def ask(ctx: Context, kind: str, **options: Any) -> Export:
    async with unit_of_work():
        return await export_jobs.create_export(ctx, CreateExport(kind=kind, **options))


async def export(ctx: Context, kind: str, **options: Any) -> tuple[Export, str]:
    """An export, and the text of its file."""
    row = await ask(ctx, kind, **options)
    assert await exports.run_export(SERVICES, StopFlag())
    row = await Export.get(id=row.id)
    assert (row.status, row.error) == (ExportStatus.COMPLETED, None)
    return row, (await data_of(row)).decode()


async def data_of(row: Export) -> bytes:
    return b"".join([data async for data in export_jobs.read_file(row)])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def make_people(ctx: Context) -> None:
    async with unit_of_work():
        await create_contact(
            ctx,
            CreateContact(
                MARIA,
                first_name="Maria",
                last_name=FORMULA,
                email="maria@example.com",
                timezone="America/Sao_Paulo",
                external_id="crm-7",
                attributes={"tier": "vip", "points": 7, "is_vip": True, "note": 'two\nlines, "quoted"', "007": "007"},
                opt_in=OptInEvidence("webinar", at=datetime(2026, 4, 22, tzinfo=UTC)),
            ),
        )
        joao = await create_contact(ctx, CreateContact(JOAO, first_name="João", last_name="＝1+1", attributes={}))
        await opt_out_contact(ctx, joao.id)
        await create_contact(ctx, CreateContact(ZOE, first_name="-Zoë", last_name="'@sum"))


async def test_contacts_come_back_as_they_were(ctx: Context, other_ctx: Context) -> None:
    await make_people(ctx)
    row, text = await export(ctx, "contacts")
    found = {each["phone"]: each for each in rows_of(text)}

    assert (row.rows_total, row.rows_done, row.file_size) == (3, 3, len(text.encode()))
    maria = await Contact.get(phone=MARIA)
    assert found[MARIA]["id"] == ids.encode_id(ids.CONTACT, maria.id)
    assert (found[MARIA]["last_name"], found[JOAO]["last_name"]) == (f"'{FORMULA}", "'＝1+1")
    assert (found[ZOE]["first_name"], found[ZOE]["last_name"]) == ("'-Zoë", "''@sum")
    assert msgspec.json.decode(found[MARIA]["attributes"]) == maria.attributes
    assert maria.opt_in_at is not None
    assert (found[MARIA]["opt_in_status"], found[MARIA]["opt_in_at"]) == ("opted_in", moment(maria.opt_in_at))

    names = ("phone", "first_name", "last_name", "email", "timezone", "external_id", "attributes", "opt_in_status")
    before = [{name: getattr(each, name) for name in names} for each in await Contact.all().order_by("phone")]
    again = await import_(other_ctx, text, "contacts.csv")
    await confirm(other_ctx, again)
    theirs = await Contact.filter(workspace_id=other_ctx.workspace_id).order_by("phone")
    assert [{name: getattr(each, name) for name in names} for each in theirs] == before
    assert (theirs[0].phone, theirs[0].opt_in_source) == (MARIA, "webinar")

    here = await import_(ctx, text, "contacts.csv")
    here = await confirm(ctx, here)
    assert (here.counts["updated"], here.counts["created"], here.counts["unchanged"]) == (0, 0, 2)


async def test_json_lines_hold_values_as_they_are(ctx: Context) -> None:
    await make_people(ctx)
    row, text = await export(ctx, "contacts", format="jsonl", q="maria")
    (line,) = text.splitlines()
    told = msgspec.json.decode(line)
    maria = await Contact.get(phone=MARIA)
    assert (told["id"], told["attributes"]) == (ids.encode_id(ids.CONTACT, maria.id), maria.attributes)
    assert (told["last_name"], told["opt_in_source"], told["email"]) == (FORMULA, "webinar", "maria@example.com")
    assert row.rows_done == 1


async def test_what_people_wrote_is_no_id_of_ours(ctx: Context) -> None:
    """Not even if it looks like an id that the statement marks."""
    uuid = "0190d0a7-5c1e-7cc3-98c4-dc0c0c07398f"
    texts = [f"{sign}con{uuid} and \\u0001msg{uuid}" for sign in ("\x01", "\x04", "\\u0001", "1", "2", "")]
    for number, text in enumerate(texts):
        await make_message(ctx, AT, to_phone=f"+1212555010{number}", body=text, metadata={"note": text})
    for format in ("csv", "jsonl"):
        row, data = await export(ctx, "messages", format=format)
        lines = rows_of(data) if format == "csv" else [msgspec.json.decode(line) for line in data.splitlines()]
        assert sorted(each["body"] for each in lines) == sorted(texts)
        metadata = [each["metadata"] if format == "jsonl" else msgspec.json.decode(each["metadata"]) for each in lines]
        assert sorted(each["note"] for each in metadata) == sorted(texts)
        assert all(ids.decode_id(ids.MESSAGE, each["id"]) is not None for each in lines)
        assert row.rows_done == len(texts)


async def test_a_compressed_file_in_chunks(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 1)
    await make_people(ctx)
    _, plain = await export(ctx, "contacts")
    row = await ask(ctx, "contacts", gzip=True)
    assert await exports.run_export(SERVICES, StopFlag())
    row = await Export.get(id=row.id)
    assert gzip.decompress(await data_of(row)).decode() == plain
    assert (export_jobs.file_name(row).endswith(".csv.gz"), row.rows_done) == (True, 3)


async def test_conditions_pick_contacts(ctx: Context) -> None:
    await make_people(ctx)
    maria = await Contact.get(phone=MARIA)
    members = await make_list(ctx, [maria])
    vips = {"field": "attributes.tier", "op": "eq", "value": "vip"}
    async with unit_of_work():
        segment = await create_segment(ctx, "VIPs", vips)
    list_id, segment_id = ids.encode_id(ids.CONTACT_LIST, members.id), ids.encode_id(ids.SEGMENT, segment.id)
    async with unit_of_work():
        await tag_contact(ctx, maria.id, ChangeTags(add=["webinar"]))
    picks: dict[str, Any] = {
        "list_id": list_id,
        "segment_id": segment_id,
        "filter": vips,
        "q": "maria",
        "tag": "Webinar",
        "attributes": {"tier": "vip"},
    }
    for conditions in (*({name: value} for name, value in picks.items()), picks):
        _, text = await export(ctx, "contacts", **conditions)
        assert [each["phone"] for each in rows_of(text)] == [MARIA], conditions
    _, text = await export(ctx, "contacts", opt_in_status="opted_out")
    assert [each["phone"] for each in rows_of(text)] == [JOAO]
    for none in (
        {"created_before": datetime(2026, 1, 1, tzinfo=UTC)},
        {"updated_before": datetime(2026, 1, 1, tzinfo=UTC)},
        {"updated_from": datetime(2126, 1, 1, tzinfo=UTC)},
        {"tag": "nobody"},
        {"attributes": {"tier": "none"}},
    ):
        _, text = await export(ctx, "contacts", **none)
        assert rows_of(text) == [], none


async def test_every_other_kind(ctx: Context) -> None:
    await make_people(ctx)
    maria = await Contact.get(phone=MARIA)
    campaign = await make_campaign(ctx)
    sent = await make_message(ctx, AT, contact_id=maria.id, to_phone=MARIA, campaign_id=campaign.id, body="+Hi")
    await make_message(ctx, AT, contact_id=maria.id, to_phone=MARIA, body="Alone")
    other = await make_message(ctx, AT, to_phone=JOAO, campaign_id=campaign.id, body="Hi")
    for number, (clicks, at) in enumerate([(2, AT), (1, AT - timedelta(hours=1)), (0, None)]):
        await ShortLink.create(
            code=f"{number:011d}",
            workspace_id=ctx.workspace_id,
            livemode=ctx.livemode,
            message_id=sent.id,
            campaign_id=campaign.id,
            position=number,
            url="https://cohortlabs.co",
            clicks=clicks,
            created_at=AT,
            expires_at=AT,
            first_clicked_at=at,
        )
    async with unit_of_work():
        await create_suppression(ctx, "+12125550199", source="@home")

    _, text = await export(ctx, "messages")
    assert sorted(each["body"] for each in rows_of(text)) == ["'+Hi", "Alone", "Hi"]
    campaign_id = ids.encode_id(ids.CAMPAIGN, campaign.id)
    for kind in ("messages", "campaign_results"):
        _, text = await export(ctx, kind, campaign_id=campaign_id)
        told, without = sorted(rows_of(text), key=lambda each: each["to"] != MARIA)
        assert without["id"] == ids.encode_id(ids.MESSAGE, other.id)
        assert (told["id"], told["contact_id"]) == (
            ids.encode_id(ids.MESSAGE, sent.id),
            ids.encode_id(ids.CONTACT, maria.id),
        )
    assert (told["first_name"], told["last_name"]) == ("Maria", f"'{FORMULA}")
    assert (told["clicks"], told["first_clicked_at"]) == ("3", f"{AT - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}")
    assert (without["clicks"], without["first_clicked_at"]) == ("0", "")
    _, text = await export(ctx, "suppressions")
    assert {each["phone"]: each["source"] for each in rows_of(text)} == {"+12125550199": "'@home", JOAO: "api"}
    _, text = await export(ctx, "ledger")
    assert [(each["kind"], each["credits"]) for each in rows_of(text)] == [("grant", "10000")]
    _, text = await export(ctx, "events", format="jsonl", types=["contact.opted_out"])
    (event,) = [msgspec.json.decode(line) for line in text.splitlines()]
    assert (event["type"], event["data"]["phone"]) == ("contact.opted_out", JOAO)


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"kind": "people"}, ("parameter_invalid", "kind")),
        ({"kind": "contacts", "format": "xlsx"}, ("parameter_invalid", "format")),
        ({"kind": "contacts", "status": "sent"}, ("parameter_invalid", "status")),
        ({"kind": "contacts", "opt_in_status": "yes"}, ("parameter_invalid", "opt_in_status")),
        ({"kind": "contacts", "list_id": "lst_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}, ("resource_missing", "list_id")),
        ({"kind": "contacts", "segment_id": "lst_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}, ("id_invalid", "segment_id")),
        ({"kind": "contacts", "filter": {"field": "x"}}, ("parameter_missing", "filter.op")),
        ({"kind": "contacts", "tag": "a,b"}, ("parameter_invalid", "tag")),
        ({"kind": "messages", "tag": "vip"}, ("parameter_invalid", "tag")),
        ({"kind": "events", "updated_from": datetime(2026, 1, 1, tzinfo=UTC)}, ("parameter_invalid", "updated_from")),
        ({"kind": "events", "types": ["contact.sung"]}, ("parameter_invalid", "types")),
        ({"kind": "events", "types": ["test.ping"] * 51}, ("parameter_out_of_range", "types")),
        ({"kind": "campaign_results"}, ("parameter_missing", "campaign_id")),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_no_trace(
    ctx: Context, options: dict[str, Any], refusal: tuple[str, str]
) -> None:
    with pytest.raises(ApiError) as refused:
        await ask(ctx, **options)
    assert (refused.value.code, refused.value.param) == refusal
    assert (await Export.all().count(), await AuditEntry.filter(action="export.created").count()) == (0, 0)


async def test_each_kind_asks_for_the_scope_of_what_it_holds(ctx: Context) -> None:
    only = frozenset((Scope.EXPORTS_WRITE, Scope.EXPORTS_READ, Scope.CREDITS_READ))
    keyed = replace(ctx, actor="key_1", scopes=only)
    contacts, ledger = await ask(ctx, "contacts"), await ask(keyed, "ledger")
    for refused in (partial(ask, keyed, "contacts"), partial(export_jobs.get_export, keyed, contacts.id)):
        with pytest.raises(ApiError) as error:
            await refused()
        assert (error.value.code, error.value.details["scope"]) == ("scope_missing", "contacts:read")
    found = await export_jobs.list_exports(keyed, ids_page())
    assert [row.id for row in found.items] == [ledger.id]
    # Campaign results contain messages and the details of contacts.
    of_results = (Scope.CAMPAIGNS_READ, Scope.MESSAGES_READ, Scope.CONTACTS_READ)
    campaign_id = ids.encode_id(ids.CAMPAIGN, (await make_campaign(ctx)).id)
    results = await ask(ctx, "campaign_results", campaign_id=campaign_id)
    for missing in of_results:
        some = replace(ctx, actor="key_2", scopes=frozenset({*Scope} - {missing}))
        for refused in (
            partial(ask, some, "campaign_results", campaign_id=campaign_id),
            partial(export_jobs.get_export, some, results.id),
            partial(export_jobs.cancel_export, some, results.id),
        ):
            with pytest.raises(ApiError) as error:
                await refused()
            assert error.value.details["scope"] == missing
        found = await export_jobs.list_exports(some, ids_page(), ListExports(kind="campaign_results"))
        assert found.items == []
    entries = {each.actor: each.changes["kind"] for each in await AuditEntry.filter(action="export.created")}
    assert entries == {"test": "campaign_results", "key_1": "ledger"}
    with pytest.raises(ApiError) as error:
        await ask(replace(ctx, actor="usr_1", role=Role.READ_ONLY), "contacts")
    assert error.value.details == {"permission": "exports:write"}


def ids_page() -> PageRequest:
    return PageRequest()


async def test_ten_at_once_and_canceling_makes_room(ctx: Context) -> None:
    rows = [await ask(ctx, "ledger") for _ in range(export_jobs.MAX_WAITING)]
    with pytest.raises(ApiError) as refused:
        await ask(ctx, "ledger")
    assert refused.value.code == "export_limit"
    async with unit_of_work():
        assert (await export_jobs.cancel_export(ctx, rows[0].id)).status == "canceled"
    await ask(ctx, "ledger")


async def test_a_canceled_export_is_written_no_further(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 1)
    await make_people(ctx)
    row = await ask(ctx, "contacts")
    real = exports.Writing.keep

    async def cancel_then_keep(self: Any, data: bytes) -> None:
        async with unit_of_work():
            await export_jobs.cancel_export(ctx, row.id)
        await real(self, data)

    monkeypatch.setattr(exports.Writing, "keep", cancel_then_keep)
    assert await exports.run_export(SERVICES, StopFlag())
    assert (await Export.get(id=row.id)).status == ExportStatus.CANCELED
    assert await db.fetch_value("SELECT count(*) FROM export_chunks") == 0
    # The connection that was broken off is as good as new.
    monkeypatch.undo()
    _, text = await export(ctx, "contacts")
    assert len(rows_of(text)) == 3


async def test_a_file_is_of_one_moment(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_people(ctx)
    real = exports.Writing.take_all

    async def change_then_take(self: Any, *values: Any) -> None:
        async with unit_of_work():
            await create_contact(ctx, CreateContact("+12125550177"))
        await asyncio.to_thread(lambda: None)
        await real(self, *values)

    monkeypatch.setattr(exports.Writing, "take_all", change_then_take)
    row, text = await export(ctx, "contacts")
    assert (len(rows_of(text)), row.rows_total, await Contact.all().count()) == (3, 3, 4)


async def test_an_erased_contact_is_in_no_file_afterwards(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_people(ctx)
    done, _ = await export(ctx, "contacts")
    kept, _ = await export(ctx, "ledger")
    running = await ask(ctx, "contacts")
    maria = await Contact.get(phone=MARIA)
    real = exports.Writing.take_all

    async def erase_meanwhile(self: Any, *values: Any) -> None:
        if (await Export.get(id=running.id)).status == ExportStatus.RUNNING and await Contact.exists(phone=MARIA):
            async with unit_of_work():
                await erase_contact(replace(ctx, role=Role.OWNER), maria.id)
        await real(self, *values)

    monkeypatch.setattr(exports.Writing, "take_all", erase_meanwhile)
    while await exports.run_export(SERVICES, StopFlag()):
        pass

    row = await Export.get(id=running.id)
    assert {each["phone"] for each in rows_of((await data_of(row)).decode())} == {JOAO, ZOE}
    assert (await Export.get(id=done.id)).status == ExportStatus.EXPIRED
    with pytest.raises(NotFound):
        await data_of(done)
    assert await data_of(await Export.get(id=kept.id))


async def test_a_contact_being_erased_is_in_no_file_started_meanwhile(ctx: Context) -> None:
    await make_people(ctx)
    maria = await Contact.get(phone=MARIA)
    erased = asyncio.Event()

    async def export_meanwhile() -> list[str]:
        await erased.wait()
        _, text = await export(ctx, "contacts")
        return [each["phone"] for each in rows_of(text)]

    exporting = asyncio.create_task(export_meanwhile())
    async with unit_of_work():
        await erase_contact(replace(ctx, role=Role.OWNER), maria.id)
        erased.set()
        async with asyncio.timeout(20):
            await waiting_for_a_lock()
    assert sorted(await exporting) == sorted((JOAO, ZOE))


async def test_no_chunk_stays_that_came_while_an_erasure_waited(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_people(ctx)
    maria = await Contact.get(phone=MARIA)
    written = asyncio.Event()
    real = exports.Writing.finish

    async def finish_slowly(self: Any, *values: Any) -> None:
        await real(self, *values)
        written.set()
        async with asyncio.timeout(4):
            await waiting_for_a_lock()

    async def erase() -> None:
        await written.wait()
        async with unit_of_work():
            await erase_contact(replace(ctx, role=Role.OWNER), maria.id)

    monkeypatch.setattr(exports.Writing, "finish", finish_slowly)
    row = await ask(ctx, "contacts")
    erasing = asyncio.create_task(erase())
    assert await exports.run_export(SERVICES, StopFlag())
    await erasing
    assert (await Export.get(id=row.id)).status == ExportStatus.EXPIRED
    assert await db.fetch_value("SELECT count(*) FROM export_chunks") == 0


async def test_who_is_erased_is_in_no_search_of_an_export(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await make_people(ctx)
    phone = {"field": "phone", "op": "eq", "value": MARIA}
    named: list[dict[str, Any]] = [
        {"q": MARIA},
        {"q": MARIA.removeprefix("+1")[:3] + " " + MARIA.removeprefix("+1")[3:]},
        {"q": "Maria@Example.com"},
        {"q": "crm-7"},
        {"attributes": {"op": MARIA, "field": "x"}},
        {"filter": {"all": [phone, {"field": "first_name", "op": "eq", "value": "João"}]}},
    ]
    others: list[dict[str, Any]] = [{"q": "maria"}, {"q": "João"}, {"filter": {**phone, "value": JOAO}}]
    rows = {}
    for options in (*named, *others):
        rows[str(options)] = (await export(ctx, "contacts", **options))[0].id
    waiting = await ask(ctx, "contacts", q=MARIA)
    maria = await Contact.get(phone=MARIA)
    notified: set[WorkQueue] = set()
    monkeypatch.setattr("msvs.api.unit_of_work.notify_now", notified.update)
    async with unit_of_work():
        await erase_contact(replace(ctx, role=Role.OWNER), maria.id)
    assert WorkQueue.IMPORTS in notified

    found = {row.id: str(row.options) for row in await Export.all()}
    for options in named:
        text = found[rows[str(options)]]
        assert not any(each in text for each in (MARIA, MARIA[2:], "aria@", "crm-7")), text
    for options in others:
        told = export_jobs.conditions_of(await Export.get(id=rows[str(options)]))
        assert told == options
    assert "João" in found[rows[str(named[-1])]]
    assert await exports.run_export(SERVICES, StopFlag())
    row = await Export.get(id=waiting.id)
    assert (row.status, row.rows_done, MARIA in str(row.options)) == (ExportStatus.COMPLETED, 0, False)


async def test_files_are_kept_for_seven_days(ctx: Context) -> None:
    row, _ = await export(ctx, "ledger")
    assert row.ended_at is not None
    assert row.expires_at == row.ended_at + timedelta(days=7)
    assert await retention.forget_exports(row.expires_at) == 0
    assert await retention.forget_exports(row.expires_at + timedelta(seconds=1)) == 2
    row = await Export.get(id=row.id)
    assert (row.status, export_jobs.export_resource(ctx, row).download_url) == ("expired", None)
    assert await db.fetch_value("SELECT count(*) FROM export_chunks") == 0


async def test_many_files_run_out_in_bounded_steps(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXPIRE_AT_ONCE", "DROP_AT_ONCE"):
        monkeypatch.setattr(export_jobs, name, 2)
    rows = [(await export(ctx, "ledger"))[0] for _ in range(5)]
    await db.execute(
        "INSERT INTO export_chunks SELECT $1, number, '\\x00' FROM generate_series(1000, 1004) AS number", rows[0].id
    )
    later = datetime.now(UTC) + timedelta(days=8)
    steps = []
    while step := await in_unit_of_work(partial(export_jobs.forget_exports, later)):
        steps.append(step)
    assert (sum(steps), max(steps)) == (5 + 5 + 5, 4)
    assert {row.status for row in await Export.all()} == {ExportStatus.EXPIRED}
    assert await db.fetch_value("SELECT count(*) FROM export_chunks") == 0


async def test_a_segment_that_is_gone_fails_the_export(ctx: Context) -> None:
    async with unit_of_work():
        segment = await create_segment(ctx, "All", {"field": "phone", "op": "exists"})
    row = await ask(ctx, "contacts", segment_id=ids.encode_id(ids.SEGMENT, segment.id))
    await segment.delete()
    assert await exports.run_export(SERVICES, StopFlag())
    row = await Export.get(id=row.id)
    assert (row.status, row.error) == ("failed", {"code": "resource_missing", "message": "The segment is gone."})


async def test_a_worker_that_ends_leaves_it_to_the_next(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 1)
    await make_people(ctx)
    row = await ask(ctx, "contacts")
    stop = StopFlag()
    real = exports.Writing.write

    async def write_and_stop(self: Any, data: bytes) -> None:
        await real(self, data)
        stop.set()

    with monkeypatch.context() as patched:
        patched.setattr(exports.Writing, "write", write_and_stop)
        await exports.run_export(SERVICES, stop)
    row = await Export.get(id=row.id)
    assert (row.status, row.lease_token) == (ExportStatus.RUNNING, None)
    assert await exports.run_export(SERVICES, StopFlag())
    row = await Export.get(id=row.id)
    assert (len(rows_of((await data_of(row)).decode())), row.rows_done) == (3, 3)
    assert await people()
