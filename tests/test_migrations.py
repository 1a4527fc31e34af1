"""Migrations of tables in use: no index keeps the writers of a large table waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.asyncpg import AsyncpgSchemaEditor
from tortoise.migrations.schema_generator.state import State, StateApps

from msvs import database as db
from msvs import migrations, models
from msvs.api.unit_of_work import unit_of_work
from msvs.migrations._indexes import CHILDREN, LARGE, CreateIndexConcurrently, find_blocking
from msvs.models.identity import new_id
from tests.owner import as_owner, run_as_owner

# Released before the rule was.
OLDER = 12
PROBE = CreateIndexConcurrently("events_probe", "events", "(resource_id)")
WRITE = (
    "INSERT INTO events (id, workspace_id, livemode, type, resource_id, data, created_at)"
    " VALUES ($1, $2, false, 'message.queued', $2, '{}', now())"
)
INDEXES = """
SELECT indexrelid::regclass::text AS name, indisvalid AS is_valid,
    (SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = indexrelid) AS parent
FROM pg_index WHERE indexrelid::regclass::text LIKE 'events%probe'
"""


def newer() -> list[str]:
    """The names of the migrations that the rule is for."""
    return [name for _, name, _ in iter_modules(migrations.__path__) if name[0] != "_" and int(name[:4]) > OLDER]


@pytest.mark.parametrize("name", newer())
def test_no_migration_keeps_the_writers_of_a_large_table_waiting(name: str) -> None:
    migration: Any = import_module(f"{migrations.__name__}.{name}").Migration
    source = (Path(migrations.__path__[0]) / f"{name}.py").read_text()
    assert find_blocking(source) == [], "use CreateIndexConcurrently of msvs/migrations/_indexes.py"
    added = [operation.model_name for operation in migration.operations if _adds_index(operation)]
    assert [model for model in added if getattr(models, model)._meta.db_table in LARGE] == []
    if any(isinstance(operation, CreateIndexConcurrently) for operation in migration.operations):
        assert migration.atomic is False, "PostgreSQL builds no index CONCURRENTLY in a transaction"


def _adds_index(operation: Any) -> bool:
    return isinstance(operation, ops.AddIndex) or (isinstance(operation, ops.AddField) and operation.field.index)


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("CREATE INDEX a ON messages (id)", ["messages"]),
        ("create unique index if not exists a\n  on events (id)", ["events"]),
        ('CREATE INDEX ON ONLY "contacts" (id)', ["contacts"]),
        ("CREATE INDEX CONCURRENTLY a ON messages (id)", []),
        ("CREATE INDEX a ON campaigns (id)", []),
    ],
)
def test_a_migration_that_blocks_writers_is_found(sql: str, tables: list[str]) -> None:
    assert find_blocking(sql) == tables


@pytest.fixture
async def no_probe(clean: None) -> AsyncIterator[None]:
    yield
    await run_as_owner("DROP INDEX IF EXISTS events_probe")
    for row in await db.fetch(INDEXES):
        await run_as_owner(f"DROP INDEX {row.name}")


async def build() -> None:
    state = State(models={}, apps=StateApps())
    async with as_owner():
        await PROBE.database_forward(db.APP, state, state, AsyncpgSchemaEditor(db.client(), atomic=False))


async def test_an_index_is_built_of_every_partition_and_again_where_it_was_broken_off(no_probe: None) -> None:
    twice = new_id()
    for id in (new_id(), new_id()):
        await db.execute(WRITE, id, twice)
    table = await db.fetch_value("SELECT tableoid::regclass::text FROM events WHERE id = $1", id)
    with pytest.raises(asyncpg.UniqueViolationError):
        await run_as_owner(f"CREATE UNIQUE INDEX CONCURRENTLY {PROBE.name_of(table)} ON {table} (resource_id)")
    assert [(row.is_valid, row.parent) for row in await db.fetch(INDEXES)] == [(False, None)]
    for _ in range(2):
        await build()
        built = {row.name: (row.is_valid, row.parent) for row in await db.fetch(INDEXES)}
        children = [row.name for row in await db.fetch(CHILDREN.format(table="events"))]
        parts = {PROBE.name_of(child): (True, "events_probe") for child in children}
        assert built == {"events_probe": (True, None), **parts}


async def test_writers_go_on_while_an_index_waits_for_one_of_them(no_probe: None) -> None:
    held, done = asyncio.Event(), asyncio.Event()

    async def write(id: UUID) -> None:
        async with unit_of_work():
            await db.execute(WRITE, id, id)
            held.set()
            await done.wait()

    slow = asyncio.create_task(write(new_id()))
    await held.wait()
    building = asyncio.create_task(build())
    for _ in range(20):
        async with unit_of_work():
            await db.execute("SET LOCAL lock_timeout = '5s'")
            await db.execute(WRITE, (id := new_id()), id)
        await asyncio.sleep(0.01)
    assert not building.done()
    done.set()
    await asyncio.gather(slow, building)
    assert all(row.is_valid for row in await db.fetch(INDEXES))
