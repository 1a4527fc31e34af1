"""kill -9 at every statement of a worker of files, syncs and campaigns: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.engines import PEOPLE
from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.requests import CreateCampaign
from msvs.api.campaigns.variants import AbTestOptions, VariantOptions, variant_of
from msvs.api.consent import consent_chain
from msvs.api.contacts import sources
from msvs.api.contacts.bulk_actions import CreateBulkAction, create_bulk_action
from msvs.api.contacts.contacts import CreateContact, create_contact, opt_out_contact
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.models import (
    AuditEntry,
    BulkAction,
    Campaign,
    ConsentEvent,
    Contact,
    ContactImport,
    Event,
    Export,
    ListMember,
    Message,
    OptInStatus,
    Suppression,
    SyncTrigger,
)
from tests.factories import make_contact, make_list
from tests.services import SERVICES
from tests.workers.fake_service import SECRET, serving
from tests.workers.killed_jobs import BOOK
from tests.workers.killed_jobs import PEOPLE as SERVED
from tests.workers.test_exports import ask, data_of, make_people, rows_of
from tests.workers.test_imports import EVIDENCE, JOAO, MARIA, ZOE, counts, people, upload
from tests.workers.test_syncs import last_sync, members, synced

ROOT = Path(__file__).parents[2]

# The rows of a file, and the number of workers killed; set MSVS_TEST_KILLS for a longer run.
ROWS = 1000
TIMES = int(os.environ.get("MSVS_TEST_KILLS", "6"))

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


async def kill_at_each(database_url: str, job: str, *times: int) -> int:
    """Run a job with workers that are each killed one statement later. Return the statements of the last worker.

    With `times`, kill that many at random moments instead, and return how many were killed while working.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.workers.killed_jobs", database_url, job, *map(str, times)),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    # The log goes to the same place.
    return int(out.split()[-1])


async def test_an_import_survives_kill_9_at_every_statement(ctx: Context, database: str) -> None:
    members = await make_list(ctx)
    async with unit_of_work():
        await create_contact(ctx, CreateContact(ZOE))
    data = f"phone,name\n{MARIA},Maria\n{JOAO},João\n{MARIA},Mary\n1,Eva\n{ZOE},Zoë\n"
    row = await upload(ctx, data, evidence=EVIDENCE, list_id=ids.encode_id(ids.CONTACT_LIST, members.id))

    assert await kill_at_each(database, "imports") > 0

    row = await ContactImport.get(id=row.id)
    expected = {"rows": 5, "created": 2, "updated": 1, "duplicate": 1, "invalid": 1, "opted_in": 3, "added_to_list": 3}
    assert (row.status, counts(row)) == ("completed", expected)
    assert {phone: (first, status) for phone, (first, _, status) in (await people()).items()} == {
        MARIA: ("Mary", "opted_in"),
        JOAO: ("João", "opted_in"),
        ZOE: ("Zoë", "opted_in"),
    }
    found = [await model.all().count() for model in (Contact, ListMember, ConsentEvent)]
    assert (found, await Event.filter(type="import.completed").count()) == ([3, 3, 3], 1)
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_an_export_survives_kill_9_at_every_statement(ctx: Context, database: str) -> None:
    await make_people(ctx)
    row = await ask(ctx, "contacts")

    assert await kill_at_each(database, "exports") > 0

    row = await Export.get(id=row.id)
    data = await data_of(row)
    assert (row.status, row.rows_done, row.file_size) == ("completed", 3, len(data))
    assert {each["phone"] for each in rows_of(data.decode())} == {MARIA, JOAO, ZOE}
    assert await db.fetch_value("SELECT sum(length(data)) FROM export_chunks") == len(data)


async def test_a_sync_survives_kill_9_at_every_statement(
    ctx: Context, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person is gone, two are new, and one has opted out here since the last sync."""
    SERVICES.keyring.seal_with(SECRET)
    async with serving() as service:
        for id, phone in (*list(SERVED.items())[:2], ("3", JOAO)):
            service.put(id, phone)
        row = await synced(ctx, evidence=EVIDENCE, settings={"api_key": "key-1", "opt_out_tag": "7"})
        one = await Contact.get(phone=SERVED["1"])
        async with unit_of_work():
            await opt_out_contact(ctx, one.id, source="keyword")
            source = await sources.hold_source(ctx, row.id)
            assert source is not None
            await sources.begin_sync(ctx, source, SyncTrigger.MANUAL)
    book = tmp_path / "book"
    monkeypatch.setenv(BOOK, str(book))

    assert await kill_at_each(database, "syncs") > 0

    sync = await last_sync(row)
    assert (sync.status, sync.counts) == (
        "completed",
        {
            "people": 4,
            "unchanged": 2,
            "created": 2,
            "opted_in": 2,
            "added_to_list": 2,
            "left": 1,
            "removed_from_list": 1,
        },
    )
    assert await members(row) == {*SERVED.values()}
    assert set(book.read_text().split()) == {"1"}
    assert await db.fetch_value("SELECT count(*) FROM opt_out_writes WHERE state = 'done'") == 1
    found = [await model.all().count() for model in (Contact, ListMember)]
    assert (found, await db.fetch_value("SELECT count(*) FROM import_rows")) == ([5, 4], 0)
    assert await Event.filter(type="list.sync.completed").count() == 3
    assert (await consent_chain.verify(SERVICES)).is_whole


@pytest.mark.parametrize("action", ["opt_out", "delete", "erase", "tag"])
async def test_a_bulk_action_survives_kill_9_at_every_statement(ctx: Context, database: str, action: str) -> None:
    for _ in range(3):
        await make_contact(ctx, first_name="Ana", status=OptInStatus.UNKNOWN)
    tags = {"tags": ["vip"]} if action == "tag" else {}
    async with unit_of_work():
        row = await create_bulk_action(ctx, CreateBulkAction(action=action, search="ana", **tags))

    assert await kill_at_each(database, "bulk_actions") > 0

    row = await BulkAction.get(id=row.id)
    assert (row.status, row.error, row.matched, row.changed) == ("completed", None, 3, 3)
    left = await Contact.all()
    assert len(left) == (0 if action in ("delete", "erase") else 3)
    assert await Event.filter(type="bulk_action.completed").count() == 1
    assert await Suppression.all().count() == (3 if action == "opt_out" else 0)
    assert await AuditEntry.filter(action="contact.erased").count() == (3 if action == "erase" else 0)
    assert [each.tags for each in left] == ([["vip"]] * 3 if action == "tag" else [[]] * len(left))
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_an_import_survives_kill_9_at_random_moments(ctx: Context, database: str) -> None:
    rows = [f"+1212{5_000_000 + number},Person {number}" for number in range(ROWS)]
    # Every tenth phone occurs twice, and every fiftieth row has none.
    rows += [f"{row.partition(',')[0]},Again" for row in rows[::10]] + ["1,Nobody"] * (ROWS // 50)
    members = await make_list(ctx)
    data = "phone,name\n" + "\n".join(rows) + "\n"
    row = await upload(ctx, data, evidence=EVIDENCE, list_id=ids.encode_id(ids.CONTACT_LIST, members.id))

    assert await kill_at_each(database, "imports", TIMES) > 0

    row = await ContactImport.get(id=row.id)
    expected = {
        "rows": len(rows),
        "created": ROWS,
        "duplicate": ROWS // 10,
        "invalid": ROWS // 50,
        "opted_in": ROWS,
        "added_to_list": ROWS,
    }
    assert (row.status, row.error, counts(row)) == ("completed", None, expected)
    found = [await model.all().count() for model in (Contact, ListMember, ConsentEvent)]
    assert (found, await Event.filter(type="import.completed").count()) == ([ROWS] * 3, 1)
    assert (await consent_chain.verify(SERVICES)).is_whole


@pytest.mark.parametrize("options", [{}, {"gzip": True}, {"format": "jsonl"}])
async def test_an_export_survives_kill_9_at_random_moments(
    ctx: Context, database: str, options: dict[str, Any]
) -> None:
    await db.execute(PEOPLE, ctx.workspace_id, ctx.livemode, 2_125_000_000, 10 * ROWS, (await make_list(ctx)).id)
    row = await ask(ctx, "contacts", **options)

    assert await kill_at_each(database, "exports", TIMES) > 0

    row = await Export.get(id=row.id)
    data = await data_of(row)
    assert (row.status, row.rows_done, row.file_size) == ("completed", 10 * ROWS, len(data))
    text = (gzip.decompress(data) if options.get("gzip") else data).decode()
    lines = [msgspec.json.decode(line) for line in text.splitlines()] if options.get("format") else rows_of(text)
    assert {each["phone"] for each in lines} == {f"+1{2_125_000_000 + number}" for number in range(10 * ROWS)}
    assert len(lines) == 10 * ROWS
    assert await db.fetch_value("SELECT sum(length(data)) FROM export_chunks") == len(data)


async def test_an_ab_test_survives_kill_9_at_every_statement(ctx: Context, database: str) -> None:
    contacts = [await make_contact(ctx) for _ in range(16)]
    listed = await make_list(ctx, contacts)
    test = AbTestOptions(variants=[VariantOptions(), VariantOptions(body="B")], test_percent=50, test_minutes=5)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx, CreateCampaign("Cohort 06", "A", list_ids=[listed.id], ab_test=test)
        )
    assert campaign.ab_test is not None
    wanted = {contact.id: variant_of(campaign.id, contact.id, campaign.ab_test) for contact in contacts}
    assert await kill_at_each(database, "campaigns") > 10
    tested = {row.contact_id: row.variant for row in await Message.filter(campaign_id=campaign.id)}
    assert tested == {id: variant for id, variant in wanted.items() if variant is not None}
    await Campaign.filter(id=campaign.id).update(test_ends_at=await db.now())
    assert await kill_at_each(database, "campaigns") > 10
    rows = await Message.filter(campaign_id=campaign.id)
    assert len(rows) == len(contacts)
    assert {row.contact_id: row.variant for row in rows} == {id: variant or -1 for id, variant in wanted.items()}
    events = await Event.filter(resource_id=campaign.id).order_by("id").values_list("type", flat=True)
    assert list(events) == ["campaign.started", "campaign.tested", "campaign.winner_chosen", "campaign.dispatched"]
