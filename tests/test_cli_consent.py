"""The commands of consent and suppressions, run as operators run them."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts import suppressions
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, create_contact, opt_out_contact
from msvs.api.context import Context
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ConsentChain, ConsentEvent, Contact, ErasedSuppression, Message, Repair, Suppression
from tests.api.consent.test_consent_audit import undone
from tests.owner import as_owner
from tests.services import CONSENT_SECRET
from tests.test_cli import Done, environment, msvs, shown

PHONE = "+12125550123"


@pytest.fixture
def env(clean: None, database: str, tmp_path: Path) -> dict[str, str]:
    """An environment whose database and secret are the tests'."""
    return environment(tmp_path, DATABASE_URL=database, MSVS_SECRET_KEY=CONSENT_SECRET)


@pytest.fixture
def here(ctx: Context) -> tuple[str, str]:
    """The arguments that name the workspace."""
    return "--workspace", ids.encode_id(ids.WORKSPACE, ctx.workspace_id)


async def make_contact(ctx: Context, phone: str = PHONE) -> str:
    evidence = OptInEvidence("checkout", "203.0.113.4", text="I agree.")
    async with unit_of_work():
        row = await create_contact(ctx, CreateContact(phone, "Maria", opt_in=evidence))
    return ids.encode_id(ids.CONTACT, row.id)


async def test_a_whole_chain_is_verified_and_shows_its_head(
    env: dict[str, str], here: tuple[str, str], ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    for each in (ctx, ctx, live_ctx, other_ctx):
        await make_contact(each, f"+1212555010{await Contact.all().count()}")

    everything = await shown("consent", "verify", env=env)
    mine = await shown("consent", "verify", *here, env=env)

    assert everything["whole"] is True
    assert sorted(chain["rows"] for chain in everything["chains"]) == [1, 1, 2]
    assert [(chain["mode"], chain["rows"], chain["break"]) for chain in mine["chains"]] == [
        ("test", 2, None),
        ("live", 1, None),
    ]
    heads = {row.hash for row in await ConsentChain.all()}
    assert {chain["head"] for chain in everything["chains"]} == heads
    text = await msvs("consent", "verify", env=env)
    assert (text.status, text.err) == (0, "")
    assert text.out.endswith("\n4 rows in 3 chains.\n")
    noted = mine["chains"][0]["head"]
    assert (await msvs("consent", "verify", "--since-head", noted, env=env)).status == 0
    lost = await msvs("consent", "verify", "--since-head", "f" * 64, env=env)
    assert (lost.status, lost.err) == (1, "msvs: the head that was noted is in no chain\n")


async def test_a_broken_chain_fails_and_says_where(env: dict[str, str], here: tuple[str, str], ctx: Context) -> None:
    for number in range(3):
        await make_contact(ctx, f"+1212555010{number}")
    async with as_owner(), unit_of_work():
        await db.execute("ALTER TABLE consent_events DISABLE TRIGGER USER")
        await db.execute("UPDATE consent_events SET source = 'form' WHERE sequence = 2")
        await db.execute("ALTER TABLE consent_events ENABLE TRIGGER USER")

    done = await msvs("consent", "verify", *here, "--json", env=env)

    assert (done.status, done.err) == (1, "msvs: broken chains: 1\n")
    (chain,) = json.loads(done.out)["chains"]
    assert (chain["rows"], chain["broken_at"], chain["break"]) == (3, 2, "its hash is not that of its contents")
    assert PHONE[:5] not in done.out


async def test_without_the_secret_nothing_is_verified(env: dict[str, str], tmp_path: Path) -> None:
    del env["MSVS_SECRET_KEY"]
    done = await msvs("consent", "verify", env=env)
    assert (done.status, done.out) == (1, "")
    assert "set DATA_DIR or MSVS_SECRET_KEY" in done.err
    assert os.listdir(tmp_path) == []


async def test_a_record_is_exported_whole_and_then_erased(
    env: dict[str, str], here: tuple[str, str], ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = await make_contact(ctx)
    for number in range(5):
        async with unit_of_work():
            await send_message(ctx, SendMessage(to=PHONE, body=f"Number {number}"))

    printed = await msvs("consent", "export", *here, contact, env=env)

    assert (printed.status, printed.err) == (0, "")
    record = json.loads(printed.out)
    assert (record["id"], record["contact"]["first_name"], record["complete"]) == (contact, "Maria", True)
    assert [message["body"] for message in record["messages"]] == [f"Number {n}" for n in (4, 3, 2, 1, 0)]
    assert [(entry["status"], entry["text"]) for entry in record["consent"]] == [("opted_in", "I agree.")]
    assert (record["lists"], record["inbound_messages"], record["suppression"]) == ([], [], None)
    assert record["event_count"] == 5

    erased = await shown("consent", "erase", *here, contact, env=env)
    again = await shown("consent", "erase", *here, contact, env=env)
    assert (erased["id"], erased["erased"], again["id"]) == (contact, True, contact)
    assert await Contact.all().count() == 0
    assert await Message.filter(body="").count() == 5
    gone = await msvs("consent", "export", *here, contact, env=env)
    assert (gone.status, "No such contact" in gone.err) == (1, True)


async def test_a_phone_without_a_contact_is_erased(env: dict[str, str], here: tuple[str, str], ctx: Context) -> None:
    async with unit_of_work():
        await suppressions.create_suppression(ctx, PHONE, source="complaint")
    erased = await shown("consent", "erase", *here, PHONE, "--mode", "test", env=env)
    assert erased["id"] is None
    assert await Suppression.all().count() == 0
    assert await ErasedSuppression.all().count() == 1
    assert (await ConsentEvent.get()).phone is None


async def test_suppressions_go_out_and_come_in_again(
    env: dict[str, str], here: tuple[str, str], ctx: Context, live_ctx: Context, tmp_path: Path
) -> None:
    await make_contact(ctx)
    file = tmp_path / "in.csv"
    file.write_text(f"name,phone,source\nMaria,{PHONE},complaint\nAna,+12125550124,\nNobody,12,\n,,\n")
    test = (*here, "--mode", "test")

    told = "line 4: not read: it is not a valid phone number\n"
    failed = "msvs: lines that could not be read: 1; all others are suppressed\n"

    done = await msvs("suppressions", "import", *test, str(file), "--source", "previous provider", "--json", env=env)
    again = await msvs("suppressions", "import", *test, str(file), "--json", env=env)

    assert (done.status, done.err) == (again.status, again.err) == (1, told + failed)
    assert json.loads(done.out) == {"added": 2, "already_suppressed": 0, "invalid": 1}
    assert json.loads(again.out) == {"added": 0, "already_suppressed": 2, "invalid": 1}
    assert (await Contact.get()).opt_in_status == "opted_out"
    out = tmp_path / "out.csv"
    exported = await msvs("suppressions", "export", *test, str(out), env=env)
    assert exported == Done(0, "", "2 suppressions; 0 more are of erased phones and have no number to give.\n")
    assert out.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {(row["phone"], row["source"]) for row in rows} == {
        (PHONE, "complaint"),
        ("+12125550124", "previous provider"),
    }
    # What was exported here is imported there.
    there = await shown("suppressions", "import", *here, "--mode", "live", str(out), env=env)
    assert there == {"added": 2, "already_suppressed": 0, "invalid": 0}
    assert (await Suppression.get(livemode=True, phone=PHONE)).source == "complaint"
    refused = await msvs("suppressions", "export", *test, str(out), env=env)
    assert (refused.status, "cannot be written" in refused.err) == (1, True)
    printed = await msvs("suppressions", "export", *test, "-", env=env)
    assert printed.out == out.read_text()


async def test_an_erased_suppression_is_counted_only(env: dict[str, str], here: tuple[str, str], ctx: Context) -> None:
    contact = await make_contact(ctx)
    async with unit_of_work():
        row = await Contact.get()
        await opt_out_contact(ctx, row.id)
    await shown("consent", "erase", *here, contact, env=env)
    printed = await msvs("suppressions", "export", *here, "--mode", "test", "-", env=env)
    assert printed == Done(
        0, "phone,source,created_at\n", "0 suppressions; 1 more are of erased phones and have no number to give.\n"
    )


async def test_a_file_that_is_not_there_is_reported(env: dict[str, str], here: tuple[str, str], tmp_path: Path) -> None:
    done = await msvs("suppressions", "import", *here, "--mode", "test", str(tmp_path / "none.csv"), env=env)
    assert (done.status, done.out) == (1, "")
    assert "none.csv cannot be read: No such file" in done.err


@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\r\n", b"\xef\xbb\xbf", b"\xff\xfe"])
async def test_an_empty_file_is_reported(
    env: dict[str, str], here: tuple[str, str], tmp_path: Path, content: bytes
) -> None:
    """Who reads the status takes the people of a file for suppressed."""
    file = tmp_path / "in.csv"
    file.write_bytes(content)
    done = await msvs("suppressions", "import", *here, "--mode", "test", str(file), env=env)
    assert (done.status, done.out, done.err) == (1, "", "msvs: The file is empty.\n")


async def test_a_file_of_nobody_but_with_its_header_is_read(
    env: dict[str, str], here: tuple[str, str], tmp_path: Path
) -> None:
    """The export of a workspace in which nobody is suppressed."""
    exported = tmp_path / "out.csv"
    assert (await msvs("suppressions", "export", *here, "--mode", "test", str(exported), env=env)).status == 0
    done = await msvs("suppressions", "import", *here, "--mode", "test", str(exported), "--json", env=env)
    assert (done.status, json.loads(done.out)) == (0, {"added": 0, "already_suppressed": 0, "invalid": 0})


async def test_a_list_of_another_service_is_read_and_unread_rows_are_named(
    env: dict[str, str], here: tuple[str, str], ctx: Context, tmp_path: Path
) -> None:
    file = tmp_path / "liste.csv"
    file.write_bytes(
        "Nom;Téléphone;Portable;Source\r\n"
        f"Zoë;'{PHONE};;{'é' * 120}\r\n"
        "Ana;;(212) 555-0124;\r\n"
        "José;1,21256E+10;;formulaire\r\n".encode("cp1252")
    )
    command = ("suppressions", "import", *here, "--mode", "test", str(file), "--json")

    refused = await msvs(*command, env=env)
    assert (refused.status, refused.out) == (1, "")
    assert "several columns of phones: 'Nom', 'Téléphone', 'Portable', 'Source'" in refused.err
    assert await Suppression.all().count() == 0

    done = await msvs(*command, "--column", "telephone", "--column", "3", "--region", "us", env=env)
    assert json.loads(done.out) == {"added": 2, "already_suppressed": 0, "invalid": 1}
    assert (done.status, done.err.splitlines()) == (
        1,
        [
            "line 4: not read: a spreadsheet rounded the number (as 1.2E+10), and its last digits are lost",
            "line 2: note: its source was cut to 100 characters",
            "msvs: lines that could not be read: 1; all others are suppressed",
        ],
    )
    assert dict(await Suppression.all().values_list("phone", "source")) == {
        PHONE: "é" * 100,
        "+12125550124": "import",
    }


@pytest.mark.parametrize("option", ["--region=XX", "--encoding=none", "--column=Fax"])
async def test_an_option_that_fits_nothing_is_reported(
    env: dict[str, str], here: tuple[str, str], tmp_path: Path, option: str
) -> None:
    file = tmp_path / "in.csv"
    file.write_text(f"phone\n{PHONE}\n")
    done = await msvs("suppressions", "import", *here, "--mode", "test", str(file), option, env=env)
    assert (done.status, done.out, done.err[:6]) == (1, "", "msvs: ")
    assert PHONE not in done.err
    assert await Suppression.all().count() == 0


async def test_an_opt_out_that_was_undone_is_listed_and_put_back(
    env: dict[str, str], here: tuple[str, str], ctx: Context, other_ctx: Context
) -> None:
    assert await shown("consent", "audit", env=env) == {"opted_out_again": 0, "opt_ins": []}
    contact = await undone(ctx)

    listed = await msvs("consent", "audit", *here, "--json", env=env)

    assert (listed.status, listed.err) == (1, "msvs: opt-ins that undid an opt-out without newer evidence: 1\n")
    (found,) = json.loads(listed.out)["opt_ins"]
    assert (found["workspace"], found["mode"], found["sequence"], found["source"], found["contact"]) == (
        here[1],
        "test",
        3,
        "checkout",
        ids.encode_id(ids.CONTACT, contact.id),
    )
    assert PHONE not in listed.out
    assert PHONE not in (await msvs("consent", "audit", env=env)).out
    elsewhere = ids.encode_id(ids.WORKSPACE, other_ctx.workspace_id)
    assert (await shown("consent", "audit", "--workspace", elsewhere, env=env))["opt_ins"] == []
    assert (await Contact.get()).opt_in_status == "opted_in"

    repaired = await msvs("consent", "audit", "--repair", env=env)

    assert repaired == Done(0, "Phones opted out again, whose opt-out had been undone without newer evidence: 1.\n", "")
    assert (await Contact.get()).opt_in_status == "opted_out"
    assert await shown("consent", "audit", "--repair", env=env) == {"opted_out_again": 0, "opt_ins": []}
    assert (await msvs("consent", "verify", env=env)).status == 0


async def test_another_secret_puts_nothing_back(env: dict[str, str], ctx: Context) -> None:
    await undone(ctx)
    env["MSVS_SECRET_KEY"] = "another secret than the chain was written with"
    done = await msvs("consent", "audit", "--repair", env=env)
    assert (done.status, done.out) == (2, "")
    assert "MSVS_SECRET_KEY" in done.err
    assert (await Suppression.all().count(), await ConsentEvent.all().count()) == (0, 3)


async def test_migrating_makes_the_repair_that_is_due(env: dict[str, str], ctx: Context, owner_url: str) -> None:
    env |= {"MIGRATIONS_DATABASE_URL": owner_url}
    await undone(ctx)
    await Repair.create(name="opt_outs_undone", requested_at=await db.now())
    keyless = {name: value for name, value in env.items() if name != "MSVS_SECRET_KEY"}
    refused = await msvs("migrate", env=keyless)
    assert (refused.status, "set DATA_DIR or MSVS_SECRET_KEY" in refused.err) == (1, True)
    assert (await Repair.get()).done_at is None

    done = await msvs("migrate", env=env)

    assert done == Done(
        0,
        "The schema is up to date.\nPhones opted out again, whose opt-out had been undone without newer evidence: 1.\n",
        "",
    )
    assert (await Repair.get()).changed_count == 1
    assert (await Contact.get()).opt_in_status == "opted_out"
    assert await msvs("migrate", env=env) == Done(0, "The schema is up to date.\n", "")
