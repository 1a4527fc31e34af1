"""What was one phone's under two spellings is joined by the migration, while the release before goes on writing."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from msvs.api import ids
from tests.engines import Engines, create_database
from tests.test_upgrade import migrate

BEFORE = "0007_signal_indexes"
MOBILE, BARE = "+5491123450001", "+541123450001"
# Earlier releases took for valid what their phonenumbers did.
GABON = ("+24166123456", "+24106123456", "+2416123456")
PLAIN = "+12125550177"

CONTACT = """
INSERT INTO contacts (id, workspace_id, livemode, phone, number_kind, first_name, last_name, attributes, opt_in_status,
    opt_in_source, opt_in_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, 'mobile', $5, $6, $7, $8, $9, $10, $11, now())
"""
# As the release before writes them, conflicts and all.
OLD_CONTACT = """
INSERT INTO contacts (id, workspace_id, livemode, phone, number_kind, attributes, opt_in_status, created_at, updated_at)
VALUES (gen_random_uuid(), $1, false, $2, 'mobile', '{}', 'unknown', now(), now())
ON CONFLICT (workspace_id, livemode, phone) DO NOTHING
"""
OLD_SUPPRESSION = """
INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $5) ON CONFLICT (workspace_id, livemode, phone) DO NOTHING
"""
MESSAGE = """
INSERT INTO messages (id, workspace_id, livemode, kind, contact_id, to_phone, sender, body, encoding, segments,
    credits_used, status, metadata, due_at, created_at, opted_out, attempt_count)
VALUES ($1, $2, $3, 'api', $4, $5, 'COHORT', 'Hi', 'gsm7', 1, 1, 'sent', '{}', now(), now(), false, 1)
"""
INBOUND = """
INSERT INTO inbound_messages (id, workspace_id, livemode, from_phone, to_sender, body, contact_id, dedupe_key,
    received_at) VALUES ($1, $2, $3, $4, 'COHORT', 'Hi', $5, $6, now())
"""
LIST = """
INSERT INTO contact_lists (id, workspace_id, livemode, name, kind, contact_count, created_at, updated_at)
VALUES ($1, $2, $3, 'Cohort 06', 'manual', 0, now(), now())
"""
CAMPAIGN = """
INSERT INTO campaigns (id, workspace_id, livemode, name, body, sender, audience, metadata, status, created_at,
    respects_quiet_hours, interval_seconds, slots_taken)
VALUES ($1, $2, $3, 'Cohort 06', 'Hi', 'COHORT', $4, '{}', $5, now(), false, 0, 0)
"""
CONSENT = """
INSERT INTO consent_events (id, workspace_id, livemode, phone, contact_id, status, actor, created_at)
VALUES (gen_random_uuid(), $1, $2, $3, $4, $5, 'api', now())
"""


def at(day: int) -> datetime:
    return datetime.fromisoformat(f"2026-11-{day:02}T10:00:00+00:00")


class World:
    """One mode of a workspace, written as the release before writes it."""

    def __init__(self, connection: asyncpg.Connection[Any], workspace_id: UUID, livemode: bool) -> None:
        self.connection = connection
        self.scope = (workspace_id, livemode)

    async def contact(self, phone: str, day: int, status: str = "unknown", **values: Any) -> UUID:
        id = uuid4()
        await self.connection.execute(
            CONTACT,
            id,
            *self.scope,
            phone,
            values.get("first_name"),
            values.get("last_name"),
            values.get("attributes", "{}"),
            status,
            values.get("source"),
            None if status == "unknown" else at(day + 10),
            at(day),
        )
        return id

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.connection.fetch(sql, *self.scope)]


JOIN_AGAIN = """
import asyncio, sys
from importlib import import_module
from msvs import database

async def again(url):
    async with database.connected(url), database.transaction():
        await import_module("msvs.migrations.0009_canonical_phones_joined").join()

asyncio.run(again(sys.argv[1]))
"""


async def join_again(url: str) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", JOIN_AGAIN, url)
    assert await process.wait() == 0


@pytest.fixture
async def before(engines: Engines) -> Any:
    """A database as the release before has it: its URL and a connection."""
    url = await create_database(engines.database_url, f"doubles_{uuid4().hex[:8]}")
    await migrate(url, BEFORE)
    connection = await asyncpg.connect(url)
    yield url, connection
    await connection.close()


async def fill(world: World) -> dict[str, UUID]:
    """Doubles with everything that speaks of a contact."""
    execute = world.connection.execute
    one = {
        "bare": await world.contact(
            BARE, 3, "opted_in", first_name="Ana", source="web", attributes='{"plan": "pro", "seat": 1}'
        ),
        "mobile": await world.contact(
            MOBILE, 5, "opted_out", first_name="Anna", last_name="Prado", source="keyword", attributes='{"seat": 2}'
        ),
        "third": await world.contact(GABON[1], 3, "opted_in", source="web"),
        "second": await world.contact(GABON[2], 2, "pending", source="form", last_name="Obame"),
        "first": await world.contact(GABON[0], 1, "unknown"),
        "plain": await world.contact(PLAIN, 1, "opted_in", source="web"),
    }
    for name, phone in (("bare", BARE), ("mobile", MOBILE), ("third", GABON[1]), ("plain", PLAIN)):
        await execute(MESSAGE, uuid4(), *world.scope, one[name], phone)
        await execute(INBOUND, uuid4(), *world.scope, phone, one[name], phone)
        await execute(CONSENT, *world.scope, phone, one[name], "opted_in")
    one["both"], one["late"] = uuid4(), uuid4()
    for name, members in (("both", ("bare", "mobile", "plain")), ("late", ("mobile", "third"))):
        await execute(LIST, one[name], *world.scope)
        for member in members:
            await execute(
                "INSERT INTO list_members (id, list_id, contact_id, created_at) VALUES ($1, $2, $3, now())",
                uuid4(),
                one[name],
                one[member],
            )
    public = {name: ids.encode_id(ids.CONTACT, id) for name, id in one.items()}
    audience = f'{{"contact_ids": ["{public["mobile"]}", "{public["plain"]}", "{public["bare"]}"]}}'
    one["draft"], one["begun"] = uuid4(), uuid4()
    await execute(CAMPAIGN, one["draft"], *world.scope, audience, "draft")
    await execute(CAMPAIGN, one["begun"], *world.scope, audience, "preparing")
    for name, phone in (("mobile", MOBILE), ("bare", BARE), ("third", GABON[1]), ("plain", PLAIN)):
        await execute("INSERT INTO campaign_recipients VALUES ($1, $2, $3)", one["begun"], phone, one[name])
    for phone in (MOBILE, BARE):
        await execute(OLD_SUPPRESSION, *world.scope, phone, "keyword", at(15))
    return one


async def assert_joined(world: World, one: dict[str, UUID]) -> None:
    scope = "workspace_id = $1 AND livemode = $2"
    # The oldest stays, with the strictest consent of all, and lacks nothing that another had.
    assert await world.rows(
        "SELECT id, phone, canonical, first_name, last_name, opt_in_status, opt_in_source, attributes::text"
        f" FROM contacts WHERE {scope} ORDER BY phone"
    ) == [
        (one["plain"], PLAIN, PLAIN, None, None, "opted_in", "web", "{}"),
        (one["first"], GABON[0], GABON[0], None, "Obame", "pending", "form", "{}"),
        (one["bare"], BARE, MOBILE, "Ana", "Prado", "opted_out", "keyword", '{"plan": "pro", "seat": 1}'),
    ]
    for table in ("messages", "inbound_messages"):
        found = await world.rows(f"SELECT contact_id FROM {table} WHERE {scope}")
        assert sorted(found) == sorted([(one["bare"],), (one["bare"],), (one["first"],), (one["plain"],)]), table
    assert sorted(
        await world.rows(
            "SELECT list_id, contact_id FROM list_members JOIN contact_lists ON contact_lists.id = list_id"
            f" WHERE {scope}"
        )
    ) == sorted(
        [
            (one["both"], one["bare"]),
            (one["both"], one["plain"]),
            (one["late"], one["bare"]),
            (one["late"], one["first"]),
        ]
    )
    assert await world.rows(f"SELECT contact_count FROM contact_lists WHERE {scope}") == [(2,), (2,)]
    named = [ids.encode_id(ids.CONTACT, one[name]) for name in ("bare", "plain")]
    rows = await world.rows(f"SELECT audience ->> 'contact_ids' FROM campaigns WHERE {scope}")
    assert rows == [(f'["{named[0]}", "{named[1]}"]',)] * 2
    assert sorted(
        await world.rows(
            "SELECT phone, contact_id FROM campaign_recipients JOIN campaigns ON campaigns.id = campaign_id"
            f" WHERE {scope}"
        )
    ) == sorted([(BARE, one["bare"]), (GABON[0], one["first"]), (PLAIN, one["plain"])])
    assert await world.rows(f"SELECT phone, canonical FROM suppressions WHERE {scope}") == [(BARE, MOBILE)]
    # Nothing of the history is lost or changed.
    assert await world.rows(f"SELECT phone, contact_id FROM consent_events WHERE {scope} ORDER BY sequence") == [
        (BARE, one["bare"]),
        (MOBILE, one["mobile"]),
        (GABON[1], one["third"]),
        (PLAIN, one["plain"]),
    ]
    noted = await world.rows(
        "SELECT actor, resource_id, array(SELECT jsonb_array_elements_text(changes -> 'joined')) FROM audit_entries"
        " WHERE workspace_id = $1 AND action = 'contact.joined' AND (changes ->> 'livemode')::bool = $2"
    )
    public = {name: ids.encode_id(ids.CONTACT, id) for name, id in one.items()}
    assert {(actor, id, *sorted(joined)) for actor, id, joined in noted} == {
        ("migration", public["bare"], public["mobile"]),
        ("migration", public["first"], *sorted([public["second"], public["third"]])),
    }


async def test_doubles_are_joined_in_every_workspace_and_mode(before: Any) -> None:
    url, connection = before
    worlds = [World(connection, workspace, livemode) for workspace in (uuid4(), uuid4()) for livemode in (False, True)]
    filled = [await fill(world) for world in worlds]
    assert "contacts=12" in await migrate(url)
    for world, one in zip(worlds, filled, strict=True):
        await assert_joined(world, one)
    await join_again(url)
    for world, one in zip(worlds, filled, strict=True):
        await assert_joined(world, one)
    assert await connection.fetchval("SELECT count(*) FROM audit_entries WHERE action = 'contact.joined'") == 8


async def test_a_stop_under_the_other_spelling_is_one_of_the_contact(before: Any) -> None:
    url, connection = before
    world = World(connection, uuid4(), True)
    for number, status in enumerate(("unknown", "opted_in", "pending", "opted_out")):
        await world.contact(f"+54112345000{number}", 1, status, source="web")
        await connection.execute(OLD_SUPPRESSION, *world.scope, f"+549112345000{number}", "keyword", at(2))
    await world.contact(PLAIN, 1, "opted_in", source="web")
    assert await migrate(url) == "[]"
    assert await world.rows(
        "SELECT opt_in_status, opt_in_source FROM contacts WHERE workspace_id = $1 AND livemode = $2 ORDER BY phone"
    ) == [
        ("opted_in", "web"),
        ("opted_out", "keyword"),
        ("opted_out", "keyword"),
        ("pending", "web"),
        ("opted_out", "web"),
    ]


async def test_processes_of_the_release_before_go_on(before: Any) -> None:
    url, connection = before
    workspace_id = uuid4()
    await migrate(url, BEFORE, "0009_canonical_phones")
    # Between the two migrations: what is written is filled in, and doubles may yet come.
    for phone in (MOBILE, BARE, PLAIN):
        await connection.execute(OLD_CONTACT, workspace_id, phone)
    found = await connection.fetch("SELECT canonical FROM contacts ORDER BY phone")
    assert [row["canonical"] for row in found] == [PLAIN, MOBILE, MOBILE]
    assert "contacts=1" in await migrate(url)
    for phone in (MOBILE, PLAIN):
        await connection.execute(OLD_CONTACT, workspace_id, phone)
    await connection.execute(OLD_CONTACT, workspace_id, "+22997010203")
    for phone in (PLAIN, MOBILE, PLAIN, BARE):
        await connection.execute(OLD_SUPPRESSION, workspace_id, False, phone, "keyword", at(1))
    found = await connection.fetch("SELECT phone FROM suppressions ORDER BY phone")
    assert [row["phone"] for row in found] == [PLAIN, MOBILE]
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(OLD_CONTACT, workspace_id, BARE)
    found = await connection.fetch("SELECT phone, canonical FROM contacts ORDER BY phone")
    assert [tuple(row) for row in found] == [(PLAIN, PLAIN), ("+22997010203", "+2290197010203"), (MOBILE, MOBILE)]
