"""Imports of contacts from files: each row is told, nobody who said STOP is brought back, and a kill costs nothing."""

from __future__ import annotations

import asyncio
import base64
import csv
import gzip
import hashlib
import io
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.consent import consent_chain
from msvs.api.contacts import import_files, import_jobs, import_merge, unpack_process
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.contacts.contacts import (
    CreateContact,
    ListContacts,
    OptInEvidence,
    create_contact,
    opt_out_contact,
)
from msvs.api.contacts.import_jobs import CreateImport, ImportOptions, ListImportRows, UpdateImport, UploadPart
from msvs.api.contacts.suppressions import create_suppression
from msvs.api.context import Context
from msvs.api.errors import Conflict
from msvs.api.pages import PageRequest
from msvs.api.privacy.erasure import erase_contact
from msvs.api.text import unpacking
from msvs.api.unit_of_work import unit_of_work
from msvs.models import (
    ConsentEvent,
    Contact,
    ContactImport,
    ContactList,
    Event,
    ImportStatus,
    ListMember,
    Role,
    Suppression,
)
from msvs.settings import Settings
from msvs.workers import import_reader, import_reader_main, imports, retention, stopping
from msvs.workers.imports import has_due, run_imports
from msvs.workers.stopping import StopFlag
from tests.factories import make_list
from tests.services import SERVICES
from tests.workbooks import Formula, Placed, Rounded, make_workbook

EXPORTS = Path(__file__).parent.parent / "data" / "exports"
SETTINGS = Settings(import_processes=0)
EVIDENCE = OptInEvidence("webinar", text="Text me about Cohort 06.")
MARIA, JOAO, ZOE = "+12125550140", "+5511961234567", "+14155550123"


async def upload(ctx: Context, data: bytes | str, name: str = "people.csv", **options: Any) -> ContactImport:
    content = data.encode() if isinstance(data, str) else data
    async with unit_of_work():
        return await import_jobs.import_file(ctx, io.BytesIO(content), name, ImportOptions(**options))


async def import_(ctx: Context, data: bytes | str, name: str = "people.csv", **options: Any) -> ContactImport:
    row = await upload(ctx, data, name, **options)
    return await go_on(row)


async def go_on(row: ContactImport) -> ContactImport:
    await run_imports(SERVICES, SETTINGS)
    return await ContactImport.get(id=row.id)


async def confirm(ctx: Context, row: ContactImport) -> ContactImport:
    """Run what was only checked, as it found consent by itself."""
    assert (row.status, import_jobs.options_of(row).dry_run) == ("checked", True)
    async with unit_of_work():
        await import_jobs.run_import(ctx, row.id)
    return await go_on(row)


def counts(row: ContactImport) -> dict[str, int]:
    """The counts that are not zero."""
    told = import_jobs.counts_of(row)
    found = {name: getattr(told, name) for name in told.__struct_fields__}
    all_of = ("created", "updated", "unchanged", "duplicate", "suppressed", "invalid", "erased", "remaining")
    assert sum(found[name] for name in all_of) == found["rows"]
    return {name: count for name, count in found.items() if count}


async def people() -> dict[str, tuple[str | None, str | None, str]]:
    return {row.phone: (row.first_name, row.last_name, row.opt_in_status.value) for row in await Contact.all()}


async def told(ctx: Context, row: ContactImport, status: str | None = None) -> list[tuple[int, str, str | None]]:
    found, _ = await import_jobs.list_import_rows(ctx, row.id, ListImportRows(status=status, limit=100))
    return [(each.number, each.status, each.reason) for each in found]


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("activecampaign.csv", {MARIA: "opted_in"}),
        ("calendly.csv", {}),
        ("eventbrite.csv", {MARIA: "opted_in"}),
        ("google_contacts.csv", {}),
        ("hubspot.csv", {}),
        ("kajabi.csv", {}),
        ("kit.csv", {}),
        ("mailchimp.csv", {}),
        ("typeform.csv", {MARIA: "opted_in"}),
        ("woocommerce.csv", {}),
    ],
)
async def test_exports_of_other_tools_map_themselves(ctx: Context, name: str, statuses: dict[str, str]) -> None:
    row = await import_(ctx, (EXPORTS / name).read_bytes(), name, default_region="US")
    if statuses:
        assert await people() == {}
        row = await confirm(ctx, row)

    assert (row.status, row.error) == ("completed", None)
    assert row.file_hash == hashlib.sha256((EXPORTS / name).read_bytes()).hexdigest()
    assert counts(row)["created"] == 3
    assert await people() == {
        MARIA: ("Maria", "Silva", statuses.get(MARIA, "unknown")),
        JOAO: ("João", "D'Ávila", "unknown"),
        ZOE: ("Zoë", "O’Neil", "unknown"),
    }
    assert {each.email for each in await Contact.all()} >= {"maria.silva@example.com", "zoe@example.com"}
    if statuses:
        entry = await ConsentEvent.get()
        assert (entry.phone, entry.source, entry.status) == (MARIA, f"import of {name}", "opted_in")


async def test_each_row_is_reported_and_counted_once(ctx: Context) -> None:
    async with unit_of_work():
        await create_contact(ctx, CreateContact(MARIA, first_name="Mary", attributes={"tier": "vip"}))
        await create_contact(ctx, CreateContact(JOAO, first_name="João"))
        await create_suppression(ctx, ZOE, source="complaint")
    members = await make_list(ctx)
    data = (
        "phone,first_name,Tier,Joined\n"
        f"{MARIA},Maria,,2026-04-22\n"
        f"{JOAO},João,,\n"
        f"{ZOE},Zoë,gold,\n"
        "+12125550199,Ana,7,2026-04-22\n"
        "(212) 555-0199,Anna,8,\n"
        "12345,Eva,,\n"
        ",Nobody,,\n"
    )

    row = await import_(
        ctx, data, default_region="US", list_id=ids.encode_id(ids.CONTACT_LIST, members.id), evidence=EVIDENCE
    )

    assert row.status == ImportStatus.COMPLETED
    assert counts(row) == {
        "rows": 7,
        "created": 1,
        "updated": 1,
        "unchanged": 1,
        "duplicate": 1,
        "suppressed": 1,
        "invalid": 2,
        "opted_in": 3,
        "added_to_list": 4,
    }
    assert await told(ctx, row) == [
        (1, "updated", None),
        (2, "unchanged", None),
        (3, "suppressed", None),
        (4, "created", None),
        (5, "duplicate", None),
        (6, "invalid", "it is not a valid phone number"),
        (7, "invalid", "it has no phone number"),
    ]
    assert await people() == {
        MARIA: ("Maria", None, "opted_in"),
        JOAO: ("João", None, "opted_in"),
        ZOE: ("Zoë", None, "opted_out"),
        "+12125550199": ("Anna", None, "opted_in"),
    }
    ana = await Contact.get(phone="+12125550199")
    assert ana.attributes == {"tier": "8", "joined": "2026-04-22"}
    assert (await Contact.get(phone=MARIA)).attributes == {"tier": "vip", "joined": "2026-04-22"}
    assert (await ContactList.get()).contact_count == 4
    assert {each.source for each in await ConsentEvent.filter(status="opted_in")} == {"webinar"}
    assert (await consent_chain.verify(SERVICES)).is_whole
    assert await db.fetch_value("SELECT count(*) FROM import_chunks") == 0
    assert (await Event.get(type="import.completed")).resource_id == row.id


async def test_a_contact_made_long_after_the_file_was_read_counts_as_new(ctx: Context) -> None:
    before = datetime.now(UTC)
    row = await import_(ctx, f"phone\n{MARIA}\n{ZOE}\n", dry_run=True)
    old = "(left(id_floor(now() - interval '3 days')::text, 13) || substr(contact_id::text, 14))::uuid"
    await db.execute(f"UPDATE import_rows SET contact_id = {old}")
    async with unit_of_work():
        await import_jobs.run_import(ctx, row.id)
    await run_imports(SERVICES, SETTINGS)

    found = await list_matching(ctx, PageRequest(), ListContacts(created_from=before))
    assert {each.phone for each in found.items} == {MARIA, ZOE}
    async with unit_of_work():
        await import_jobs.undo_import(ctx, row.id)
    await run_imports(SERVICES, SETTINGS)
    assert await Contact.all().count() == 0


async def test_a_dry_run_changes_nothing_and_is_then_run(ctx: Context) -> None:
    async with unit_of_work():
        await create_contact(ctx, CreateContact(MARIA, first_name="Mary"))
        await create_suppression(ctx, ZOE, source="complaint")
    data = f"Mobile;Nome\n{MARIA};Maria\n{ZOE};Zoë\n{JOAO};João\n{JOAO};João\n5;Eva\n"

    row = await import_(ctx, data, dry_run=True)

    told_counts = {"rows": 5, "created": 1, "updated": 1, "suppressed": 1, "duplicate": 1, "invalid": 1}
    assert (row.status, row.delimiter, row.started_at) == ("checked", ";", None)
    assert counts(row) == told_counts
    assert await people() == {MARIA: ("Mary", None, "unknown")}

    async with unit_of_work():
        await import_jobs.run_import(ctx, row.id)
    await run_imports(SERVICES, SETTINGS)
    row = await ContactImport.get(id=row.id)

    assert (row.status, counts(row)) == ("completed", told_counts)
    assert await people() == {
        MARIA: ("Maria", None, "unknown"),
        JOAO: ("João", None, "unknown"),
        ZOE: ("Zoë", None, "opted_out"),
    }
    assert await ConsentEvent.filter(status="opted_in").count() == 0


@pytest.mark.parametrize(
    ("rule", "name", "tier"), [("overwrite", "Maria", "gold"), ("fill", "Mary", "vip"), ("skip", "Mary", "vip")]
)
async def test_the_rule_says_what_becomes_of_contacts_that_are_there(
    ctx: Context, rule: str, name: str, tier: str
) -> None:
    async with unit_of_work():
        await create_contact(ctx, CreateContact(MARIA, first_name="Mary", attributes={"tier": "vip"}))

    row = await import_(ctx, f"phone,first name,last name,tier\n{MARIA},Maria,Silva,gold\n", update=rule)

    maria = await Contact.get()
    assert (maria.first_name, maria.attributes) == (name, {"tier": tier})
    assert maria.last_name == (None if rule == "skip" else "Silva")
    assert counts(row) == {"rows": 1, ("unchanged" if rule == "skip" else "updated"): 1}


async def test_an_import_that_keeps_breaking_its_worker_fails(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BATCH", 1)
    row = await upload(ctx, f"phone\n{MARIA}\n{JOAO}\n")
    real = import_merge.merge_batch
    calls = 0

    async def breaks(*given: Any) -> dict[str, int]:
        nonlocal calls
        calls += 1
        # One batch succeeds, which starts the count again.
        if calls == 3:
            return await real(*given)
        raise ZeroDivisionError

    monkeypatch.setattr(import_merge, "merge_batch", breaks)
    while (await ContactImport.get(id=row.id)).ended_at is None:
        with suppress(ZeroDivisionError):
            await run_imports(SERVICES, SETTINGS)
        await ContactImport.all().update(lease_until=datetime.now(UTC) - timedelta(seconds=1))
    row = await ContactImport.get(id=row.id)
    assert row.error is not None
    assert (row.status, row.error["code"], counts(row)) == (
        "failed",
        "internal_error",
        {"rows": 2, "created": 1, "remaining": 1},
    )
    assert calls == 4 + imports.TRIES


async def test_a_stop_outlives_every_claim_of_a_file(ctx: Context) -> None:
    async with unit_of_work():
        contact = await create_contact(ctx, CreateContact(MARIA))
        await opt_out_contact(ctx, contact.id, source="keyword")
    renewed = OptInEvidence("webinar", renewed=True)

    row = await import_(ctx, f"phone,SMS Consent\n{MARIA},Yes\n{JOAO},Unsubscribed\n{ZOE},No\n", evidence=renewed)

    assert counts(row) == {"rows": 3, "created": 1, "suppressed": 2}
    assert {phone: status for phone, (_, _, status) in (await people()).items()} == {
        MARIA: "opted_out",
        JOAO: "opted_out",
        ZOE: "unknown",
    }
    assert {(each.phone, each.source) for each in await Suppression.all()} == {(MARIA, "keyword"), (JOAO, "import")}
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_evidence_for_the_whole_file_opts_in_no_unsubscribed_row(ctx: Context) -> None:
    data = f"phone,status\n{MARIA},Active\n{JOAO},Unsubscribed\n{ZOE},bounced\n"

    row = await import_(ctx, data, evidence=EVIDENCE)

    assert counts(row) == {"rows": 3, "created": 3, "opted_in": 1, "without_opt_in": 2}
    assert {phone: status for phone, (_, _, status) in (await people()).items()} == {
        MARIA: "opted_in",
        JOAO: "unknown",
        ZOE: "unknown",
    }


async def test_a_file_without_phones_waits_for_its_mapping(ctx: Context) -> None:
    row = await import_(ctx, f"who,how\nMaria,{MARIA.replace('+', '')}\n")
    assert (row.status, row.mapping) == ("needs_mapping", {"who": "attributes.who", "how": "attributes.how"})

    async with unit_of_work():
        await import_jobs.update_import(ctx, row.id, UpdateImport(mapping={"how": "phone", "WHO": "full_name"}))
    await run_imports(SERVICES, SETTINGS)

    assert await people() == {MARIA: ("Maria", None, "unknown")}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.7 what is this", "The file is a PDF document, not a table as text: save it as CSV."),
        (
            gzip.compress(b"phone\n+12125550140\n", mtime=0)[:-9],
            "The file is damaged: its compressed data cannot be read to the end.",
        ),
        (b"PK\x03\x04 nothing", "The file is a damaged archive."),
    ],
)
async def test_what_is_no_table_fails_with_its_reason(ctx: Context, data: bytes, message: str) -> None:
    row = await import_(ctx, data)

    assert (row.status, row.error) == ("failed", {"code": "parameter_invalid", "message": message})
    assert await Contact.all().count() == 0
    assert await db.fetch_value("SELECT count(*) FROM import_chunks") == 0


class Killed(BaseException):
    """A process that ends between two statements."""


class Fuse:
    """Ends a job after a number of statements."""

    def __init__(self) -> None:
        self.length = self.burnt = 0

    def light(self, length: int) -> None:
        """Let so many statements pass."""
        self.length, self.burnt = length, 0

    def burn(self) -> None:
        """Count a statement. Raises Killed."""
        self.burnt += 1
        if self.burnt > self.length:
            raise Killed


async def test_a_kill_at_any_statement_costs_nothing_and_doubles_nothing(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is broken off at its first statement, then at its second, until it gets through."""
    monkeypatch.setattr("msvs.workers.imports.CONSENT_BATCH", 2)
    monkeypatch.setattr("msvs.workers.import_reader.FRAME_ROWS", 2)
    monkeypatch.setattr("msvs.workers.imports.LEASE", import_jobs.UNDO * 0)
    monkeypatch.setattr("msvs.workers.imports.TRIES", 1000)
    members = await make_list(ctx)
    data = f"phone,name\n{MARIA},Maria\n{JOAO},João\n{MARIA},Mary\n1,Eva\n{ZOE},Zoë\n"
    async with unit_of_work():
        await create_contact(ctx, CreateContact(ZOE))
    row = await upload(ctx, data, evidence=EVIDENCE, list_id=ids.encode_id(ids.CONTACT_LIST, members.id))
    fuse = Fuse()
    real = {name: getattr(db, name) for name in ("fetch", "fetch_row", "fetch_value", "execute", "copy_encoded")}

    def dying(name: str) -> Any:
        async def call(*values: Any, **options: Any) -> Any:
            fuse.burn()
            return await real[name](*values, **options)

        return call

    names = ("workers.imports", "api.contacts.import_merge", "api.contacts.import_jobs", "api.consent.consent")
    for module in names:
        for name in real:
            monkeypatch.setattr(f"msvs.{module}.{name}", dying(name), raising=False)
    for length in range(200):
        fuse.light(length)
        try:
            await run_imports(SERVICES, SETTINGS)
        except Killed:
            continue
        if (await ContactImport.get(id=row.id)).status == ImportStatus.COMPLETED:
            break

    row = await ContactImport.get(id=row.id)
    assert fuse.length > 15, "each statement was the last once"
    assert counts(row) == {
        "rows": 5,
        "created": 2,
        "updated": 1,
        "duplicate": 1,
        "invalid": 1,
        "opted_in": 3,
        "added_to_list": 3,
    }
    assert {phone: (first, status) for phone, (first, _, status) in (await people()).items()} == {
        MARIA: ("Mary", "opted_in"),
        JOAO: ("João", "opted_in"),
        ZOE: ("Zoë", "opted_in"),
    }
    assert await ListMember.all().count() == 3
    assert await ConsentEvent.all().count() == 3
    assert await Event.filter(type="import.completed").count() == 1


async def test_canceling_keeps_what_is_done_and_undoing_takes_it_back(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.workers.imports.BATCH", 1)
    async with unit_of_work():
        await create_contact(ctx, CreateContact(ZOE))
    row = await upload(ctx, f"phone\n{MARIA}\n{ZOE}\n{JOAO}\n12\n")
    real = import_merge.merge_batch
    stop = StopFlag()

    async def stop_after_two(ctx: Context, merge: Any, after: int, until: int, now: datetime) -> dict[str, int]:
        if until == 2:
            stop.set()
        return await real(ctx, merge, after, until, now)

    monkeypatch.setattr(import_merge, "merge_batch", stop_after_two)
    await run_imports(SERVICES, SETTINGS, stop=stop)
    async with unit_of_work():
        await import_jobs.cancel_import(ctx, row.id)
        again = await import_jobs.cancel_import(ctx, row.id)
    await run_imports(SERVICES, SETTINGS)

    row = await ContactImport.get(id=row.id)
    assert (row.status, again.status) == ("canceled", "canceled")
    assert counts(row) == {"rows": 4, "created": 1, "unchanged": 1, "invalid": 1, "remaining": 1}
    assert set(await people()) == {MARIA, ZOE}

    async with unit_of_work():
        await import_jobs.undo_import(ctx, row.id)
    await run_imports(SERVICES, SETTINGS)

    row = await ContactImport.get(id=row.id)
    assert (row.status, counts(row)["undone"]) == ("undone", 1)
    assert set(await people()) == {ZOE}


PEOPLE = "phone\n" + "".join(f"+1212555{number:04d}\n" for number in range(40))


@pytest.mark.parametrize("stuck", ["reader", "unpacking", "statement"])
async def test_what_an_import_waits_for_holds_up_no_stop(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    """A process beside the worker that is stopped, and a statement over all rows: the next worker goes on at once."""
    monkeypatch.setattr(stopping, "STOP_SECONDS", 0.05)
    monkeypatch.setattr("msvs.workers.imports.MANY_BYTES", 1)
    stop, never = StopFlag(), asyncio.Event()
    data = gzip.compress(PEOPLE.encode()) if stuck == "unpacking" else PEOPLE
    row = await upload(ctx, data)

    async def wait(*_: Any) -> Any:
        stop.set()
        await never.wait()

    place = {
        "reader": "asyncio.StreamReader.readexactly",
        "unpacking": "msvs.workers.import_reader.unpack",
        "statement": "msvs.api.contacts.import_merge.join_duplicates",
    }

    async def run() -> None:
        async with stop.limit():
            await run_imports(SERVICES, Settings(import_processes=1), stop=stop)

    with monkeypatch.context() as patch:
        patch.setattr(place[stuck], wait)
        with pytest.raises(TimeoutError):
            await run()
    held = await ContactImport.get(id=row.id)
    assert (held.lease_token, held.lease_until) == (None, None)
    await run_imports(SERVICES, Settings(import_processes=1))
    assert counts(await ContactImport.get(id=row.id)) == {"rows": 40, "created": 40}


async def test_rows_that_were_read_before_are_passed_until_a_stop(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.workers.import_reader.FRAME_ROWS", 10)
    monkeypatch.setattr(import_files, "CHECK_ROWS", 4)
    row = await upload(ctx, PEOPLE)
    stop, written = StopFlag(), []
    copy, read = db.copy_encoded, import_files.read_raw

    async def copy_and_stop(*values: Any) -> int:
        written.append(values)
        if len(written) == 2:
            stop.set()
        return await copy(*values)

    with monkeypatch.context() as patch:
        patch.setattr("msvs.workers.imports.copy_encoded", copy_and_stop)
        await run_imports(SERVICES, SETTINGS, stop=stop)
    assert (await ContactImport.get(id=row.id)).rows_read == 20
    # The next one is told to end before it has passed what was read.
    soon = StopFlag()

    def stop_and_read(*values: Any, **options: Any) -> Any:
        soon.set()
        return read(*values, **options)

    with monkeypatch.context() as patch:
        patch.setattr(import_files, "read_raw", stop_and_read)
        await run_imports(SERVICES, SETTINGS, stop=soon)
    held = await ContactImport.get(id=row.id)
    assert (held.rows_read, held.lease_token) == (20, None)
    await run_imports(SERVICES, SETTINGS)
    assert counts(await ContactImport.get(id=row.id)) == {"rows": 40, "created": 40}


async def test_a_reader_that_says_nothing_is_ended(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msvs.workers.imports.MANY_BYTES", 1)
    row = await upload(ctx, PEOPLE)
    readers = []
    start = asyncio.create_subprocess_exec

    async def start_stopped(*command: Any, **options: Any) -> Any:
        process = await start(*command, **options)
        process.send_signal(signal.SIGSTOP)
        readers.append(process)
        return process

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", start_stopped)
        patch.setattr("msvs.workers.import_reader.FRAME_SECONDS", 0.05)
        with pytest.raises(TimeoutError):
            await run_imports(SERVICES, Settings(import_processes=1))
    assert [process.returncode for process in readers] == [-signal.SIGKILL]
    # Its turn comes again once the lease is over, so that it holds up no other meanwhile.
    assert not await imports.has_due(SERVICES, await db.now())
    await db.execute("UPDATE contact_imports SET lease_until = now() - interval '1 second'")
    await run_imports(SERVICES, SETTINGS)
    assert counts(await ContactImport.get(id=row.id)) == {"rows": 40, "created": 40}


@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_packed_file_is_unpacked_by_a_process_of_its_own(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, is_whole: bool
) -> None:
    monkeypatch.setattr("msvs.workers.imports.MANY_BYTES", 1)
    data = gzip.compress(PEOPLE.encode())
    told = []
    for processes in (0, 1):
        row = await upload(ctx, data if is_whole else data[:-20], dry_run=True)
        await run_imports(SERVICES, Settings(import_processes=processes))
        row = await ContactImport.get(id=row.id)
        told.append((row.status, row.file_kind, row.file_hash, row.counts, row.error))
    assert told[0] == told[1]
    assert told[0][0] == ("checked" if is_whole else "failed")


async def test_attributes_that_cannot_be_read_cost_their_own_row(ctx: Context) -> None:
    deep = "[" * 100_000
    cells = [
        '{"tier": "vip", "old": null}',
        f'{{"a": {deep}',
        f'{{"a": {deep}{"]" * 100_000}}}',
        '{"a": {"b": 1}}',
        '{"a": ' + "9" * 5000 + "}",
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        "[1]",
        "null",
        '{"": 1}',
        "{}",
    ]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(("phone", "attributes"))
    writer.writerows((f"+121255502{number:02d}", cell) for number, cell in enumerate(cells))
    row = await import_(ctx, file.getvalue(), mapping={"phone": "phone", "attributes": "attributes"})

    assert (row.status, counts(row)) == ("completed", {"rows": 11, "created": 2, "invalid": 9})
    found = {each.phone: each.attributes for each in await Contact.all()}
    assert found == {"+12125550200": {"tier": "vip"}, "+12125550210": {}}
    assert all(reason for _, _, reason in await told(ctx, row, "invalid"))


async def test_undoing_keeps_consent_and_contacts_used_since(ctx: Context) -> None:
    row = await import_(ctx, f"phone\n{MARIA}\n{JOAO}\n{ZOE}\n", evidence=EVIDENCE)
    async with unit_of_work():
        await opt_out_contact(ctx, (await Contact.get(phone=MARIA)).id)
        await import_jobs.undo_import(ctx, row.id)
    await run_imports(SERVICES, SETTINGS)

    row = await ContactImport.get(id=row.id)
    assert (row.status, counts(row)["undone"], counts(row)["kept"]) == ("undone", 2, 1)
    assert set(await people()) == {MARIA}
    assert await Suppression.all().count() == 1
    assert await ConsentEvent.filter(status="opted_in").count() == 3
    assert (await consent_chain.verify(SERVICES)).is_whole

    assert await retention.forget_imports(SERVICES, datetime.now(UTC)) > 3
    assert await retention.forget_imports(SERVICES, datetime.now(UTC)) == 0
    assert await db.fetch_value("SELECT count(*) FROM import_rows") == 0


async def test_a_large_file_is_read_by_processes_beside_the_worker(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.workers.imports.MANY_BYTES", 0)
    monkeypatch.setattr("msvs.workers.import_reader.FRAME_ROWS", 7)
    lines = [f"+1212555{number:04},P{number}" for number in range(100, 200)]
    row = await upload(ctx, "phone,first_name\n" + "\n".join(lines))

    await run_imports(SERVICES, Settings(import_processes=2))

    row = await ContactImport.get(id=row.id)
    assert counts(row) == {"rows": 100, "created": 100}
    assert (await people())["+12125550100"] == ("P100", None, "unknown")


async def test_consent_that_a_title_alone_tells_is_confirmed_before_it_counts(ctx: Context) -> None:
    data = f"phone,SMS Consent\n{MARIA},Yes\n"
    row = await import_(ctx, data)
    assert (row.status, row.mapping["SMS Consent"]) == ("checked", "consent")
    assert (await people(), await ConsentEvent.all().count()) == ({}, 0)
    row = await confirm(ctx, row)
    assert (row.status, counts(row)) == ("completed", {"rows": 1, "created": 1, "opted_in": 1})

    named = await import_(ctx, data.replace(MARIA, JOAO), mapping={"phone": "phone", "SMS Consent": "consent"})
    told = await import_(ctx, data.replace(MARIA, ZOE), evidence=EVIDENCE)
    assert (named.status, told.status) == ("completed", "completed")
    assert {status for _, _, status in (await people()).values()} == {"opted_in"}


async def test_a_workbook_is_read_as_it_is_shown(ctx: Context) -> None:
    sheet = [
        ["Mobile", "First Name", "Joined", "Last Seen", "Points", "Code", "VIP"],
        [12125550140, "Maria", date(2026, 4, 22), datetime(2026, 4, 22, 18, 30, tzinfo=UTC), 7, "007", True],
        [Rounded(5511961234567.0), "João", None, None, 2.5, None, False],
        [Formula('"+1"&B1', "+14155550123"), Formula("UPPER(A9)", "ZOË"), None, None, None, None, None],
        [Formula("CONCAT(A1;B1)"), "Eva", None, None, None, None, None],
        ["'+12125550141", "Line\nbreak", None, None, None, None, None],
    ]
    book = make_workbook({"Notes": [["Exported for Cohort Labs"]], "Empty": [], "People": sheet, "Old": sheet[:2]})

    row = await import_(ctx, book, "people.xlsx", default_region="US")

    assert (row.status, row.file_kind, row.error) == ("completed", "xlsx", None)
    assert counts(row) == {"rows": 5, "created": 4, "invalid": 1}
    assert await told(ctx, row, "invalid") == [(4, "invalid", "it has no phone number")]
    assert {phone: first for phone, (first, _, _) in (await people()).items()} == {
        MARIA: "Maria",
        JOAO: "João",
        ZOE: "ZOË",
        "+12125550141": "Line break",
    }
    maria = await Contact.get(phone=MARIA)
    assert maria.attributes == {
        "joined": "2026-04-22",
        "last_seen": "2026-04-22T18:30:00Z",
        "points": 7,
        "code": "007",
        "vip": True,
    }


async def test_a_workbook_of_one_column_is_none_without_a_cell(ctx: Context) -> None:
    row = await import_(ctx, make_workbook({"A": [["phone"], [MARIA], [JOAO]]}))
    assert (row.error, counts(row)) == (None, {"rows": 2, "created": 2})


async def test_a_sheet_that_has_no_room_in_memory_fails_and_costs_no_worker(ctx: Context) -> None:
    """Two cells in opposite corners make the sheet as large as everything between them."""
    book = make_workbook({"A": [["phone"], [MARIA], [Placed("XFD1048576", "x")]]})
    assert len(book) < 3000
    row = await import_(ctx, book)
    assert row.error == {"code": "parameter_invalid", "message": unpack_process.TOO_LARGE}
    assert (await import_(ctx, gzip.compress(b"phone\n" + b"+12125550123\n" * 5_500_000, mtime=0))).error == {
        "code": "parameter_invalid",
        "message": unpacking.TOO_DENSE,
    }


async def test_the_lease_lasts_while_a_file_is_unpacked(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msvs.workers.imports.LEASE", timedelta(seconds=0.3))
    monkeypatch.setattr("msvs.workers.leases.BEAT_SECONDS", 0.05)
    real = import_reader.unpack
    due = []

    async def unpack_slowly(*values: Any) -> str:
        for _ in range(4):
            await asyncio.sleep(0.2)
            due.append(await has_due(SERVICES, await db.now()))
        return await real(*values)

    monkeypatch.setattr(import_reader, "unpack", unpack_slowly)
    row = await import_(ctx, gzip.compress(PEOPLE.encode()))
    assert (row.status, due) == ("completed", [False] * 4)


async def test_a_canceled_import_is_broken_off_while_its_file_is_unpacked(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.workers.leases.BEAT_SECONDS", 0.05)
    row = await upload(ctx, gzip.compress(PEOPLE.encode()))

    async def cancel_and_sleep(*_: Any) -> str:
        async with unit_of_work():
            await import_jobs.cancel_import(ctx, row.id)
        await asyncio.sleep(60)
        return "csv"

    monkeypatch.setattr(import_reader, "unpack", cancel_and_sleep)
    async with asyncio.timeout(10):
        row = await go_on(row)
    assert (row.status, row.lease_token) == ("canceled", None)


@pytest.mark.parametrize("sheets", [{"A": []}, {"A": [], "B": [[]]}])
async def test_a_workbook_without_a_cell_fails_with_its_reason(ctx: Context, sheets: dict[str, Any]) -> None:
    row = await import_(ctx, make_workbook(sheets))
    assert row.error == {"code": "parameter_invalid", "message": "The workbook is empty."}


@pytest.mark.parametrize("when", ["uploading", "queued", "reading"])
async def test_a_phone_erased_while_a_file_is_read_is_skipped_and_counted(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr("msvs.workers.import_reader.FRAME_ROWS", 1)
    data = f"phone,name\n{JOAO},João\n{MARIA},Maria\n5,call {MARIA}\n{ZOE},Zoë\n".encode()
    async with unit_of_work():
        maria = await create_contact(ctx, CreateContact(MARIA))
        row = await import_jobs.create_import(ctx, CreateImport(file_name="people.csv"))
        await import_jobs.add_bytes(ctx, row.id, 0, data[:20], last=False)
    if when != "uploading":
        await finish(ctx, row, data)
    if when == "reading":
        await read_rows(row, 2, monkeypatch)

    async with unit_of_work():
        await erase_contact(replace(ctx, role=Role.OWNER), maria.id)
    if when == "uploading":
        await finish(ctx, row, data)
    row = await go_on(row)

    assert counts(row) == {"rows": 4, "created": 2, "invalid": 1, "erased": 1}
    assert set(await people()) == {JOAO, ZOE}
    assert MARIA[1:] not in str(await db.fetch("SELECT * FROM import_rows"))
    assert (row.erased, [column["samples"] for column in row.columns]) == ([], [[], []])


async def finish(ctx: Context, row: ContactImport, data: bytes) -> None:
    async with unit_of_work():
        await import_jobs.add_bytes(ctx, row.id, 20, data[20:], last=True)


async def read_rows(row: ContactImport, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a worker read so many rows of a file, and then stop."""
    stop = StopFlag()
    written = 0

    async def write(*values: Any) -> None:
        nonlocal written
        await db.copy_encoded(*values)
        written += 1
        if written == count:
            stop.set()

    with monkeypatch.context() as patched:
        patched.setattr("msvs.workers.imports.copy_encoded", write)
        await run_imports(SERVICES, SETTINGS, stop=stop)
    assert (await ContactImport.get(id=row.id)).rows_read == count


async def test_a_phone_erased_between_a_dry_run_and_its_run_is_skipped_and_counted(ctx: Context) -> None:
    async with unit_of_work():
        maria = await create_contact(ctx, CreateContact(MARIA, first_name="Mary"))
    row = await import_(ctx, f"phone,name\n{MARIA},Maria\n{ZOE},Zoë\n", dry_run=True)
    async with unit_of_work():
        await erase_contact(replace(ctx, role=Role.OWNER), maria.id)
    row = await ContactImport.get(id=row.id)
    assert counts(row) == {"rows": 2, "created": 1, "erased": 1}

    row = await confirm(ctx, row)

    assert counts(row) == {"rows": 2, "created": 1, "erased": 1}
    assert set(await people()) == {ZOE}


async def test_erasing_a_person_erases_them_from_imports_and_waiting_files(ctx: Context) -> None:
    done = await import_(ctx, f"phone,name\n{MARIA},Maria\n{JOAO},João\n")
    faulty = await import_(ctx, f"phone,name\n5,call {MARIA}\n{ZOE},Zoë\n", dry_run=True)
    maria = await Contact.get(phone=MARIA)

    async with unit_of_work():
        await erase_contact(replace(ctx, role=Role.OWNER), maria.id)

    assert [number for number, *_ in await told(ctx, done)] == [2]
    assert [number for number, *_ in await told(ctx, faulty)] == [2]
    assert await db.fetch_value("SELECT count(*) FROM import_chunks") == 0
    assert MARIA not in str(await db.fetch("SELECT * FROM contact_imports"))
    with pytest.raises(Conflict) as refused:
        async with unit_of_work():
            await import_jobs.update_import(ctx, faulty.id, UpdateImport(update="fill"))
    assert refused.value.code == "import_state"


async def test_a_file_comes_in_parts_that_may_come_again(ctx: Context) -> None:
    def part(offset: int, content: bytes, *, last: bool = False) -> UploadPart:
        return UploadPart(offset=offset, content=base64.b64encode(content).decode(), last=last)

    async with unit_of_work():
        row = await import_jobs.create_import(ctx, CreateImport(file_name="C:\\lists\\people.csv"))
    for each in (part(0, b"phone\n"), part(0, b"phone\n"), part(6, MARIA.encode(), last=True)):
        async with unit_of_work():
            row = await import_jobs.add_part(ctx, row.id, each)
    assert (row.status, row.file_name, row.file_size) == ("queued", "people.csv", 18)
    with pytest.raises(Conflict):
        async with unit_of_work():
            await import_jobs.add_part(ctx, row.id, part(18, b"more"))

    await run_imports(SERVICES, SETTINGS)

    assert set(await people()) == {MARIA}


def test_the_processes_that_read_rows_load_no_database_and_no_queue() -> None:
    found = subprocess.run(
        [sys.executable, "-c", f"import {import_reader_main.__name__}, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in found.stdout.split()}
    assert "phonenumbers" in loaded
    assert loaded.isdisjoint({"tortoise", "asyncpg", "rq", "redis", "pydantic", "asyncio"})
