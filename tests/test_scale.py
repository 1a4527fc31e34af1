"""What lets workspaces live in several databases: every key and every statement is one workspace's, or says why not.

A cell is one PostgreSQL with all the rows of its workspaces.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Protocol

import pytest

from msvs import database as db
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.api.notifier import WorkQueue
from msvs.doctor import connection_bounds
from msvs.doctor.connection_bounds import all_connections, most_connections, usual_processes
from msvs.settings import Settings
from tests.engines import Engines
from tests.owner import Owner, as_owner
from tests.rest_compat.processes import free_port, request
from tests.statements import ROOT, Statement, all_statements, statements_of
from tests.test_poolers import processes

# Tables that belong to no workspace: each cell has its own → why that is right.
CELL = {
    "billing_days": "which days of Stripe's events were looked over, a cell's own",
    "carrier_sessions": "binds of carriers, which the processes of the cell hold",
    "carrier_signals": "what a carrier brought, before it is known whose message it is",
    "carrier_states": "breakers, as the cell's workers see the carrier",
    "consent_registers": "the seal over the cell's chains",
    "credit_rates": "the operator's prices, written to every cell",
    "forgotten_cards": "cards to detach at Stripe, by Stripe's own ids",
    "login_throttles": "counts tries by digests of addresses and networks; a cell's own",
    "message_totals": "sums for the operator's metrics, added over the cells by Prometheus",
    "message_totals_until": "how far these sums are",
    "open_months": "which partitions of the cell have messages to be sent",
    "operator_entries": "what operators did in the cell",
    "operator_sessions": "an operator logs in to each cell",
    "operators": "an operator has a name in each cell",
    "repairs": "which one-time repairs the cell has had",
    "secret_keys": "the data key of the cell",
    "stripe_events": "Stripe's events, before it is known whose purchase they tell of",
    "throughput_buckets": "the pace of a carrier or sender, shared out to the cells by MSVS_CARRIER_RATES",
    "tortoise_migrations": "the migrations that the cell has had",
    # People belong to no workspace: each cell has the members of its workspaces.
    "account_tokens": "a person's",
    "authentication_entries": "a person's",
    "mails": "letters to people, each with the id of what it tells of",
    "passkeys": "a person's",
    "recovery_codes": "a person's",
    "sessions": "a person's",
    "users": "people; one who is a member of workspaces in two cells has an account in both",
    # The workspace itself.
    "workspaces": "its id is the workspace",
}

# Columns that lead from a row without a workspace to one that has it, and the table to which they lead.
PARENTS = {
    "campaign_id": "campaigns",
    "contact_id": "contacts",
    "endpoint_id": "webhook_endpoints",
    "export_id": "exports",
    "import_id": "contact_imports",
    "list_id": "contact_lists",
    "message_id": "messages",
    "reading_id": "contact_imports",
    "sequence_id": "sequences",
    "enrollment_id": "sequence_enrollments",
    "source_id": "list_sources",
    "tag_id": "tags",
    "user_id": "users",
    "purchase_id": "purchases",
}

# Columns of digests of secrets that are drawn at random: none comes up in two cells.
DIGESTS = frozenset({"digest", "mailed_digest", "hook_hash", "token_hash", "code", "credential_id"})

# Unique key of a workspace's table that none of the rules covers → why it holds within one cell alone.
KEYS = {
    ("campaign_tallies", "id"): "drawn by the cell's sequence; rows are summed and never looked up",
    ("sequence_entries", "id"): "drawn by the cell's sequence; rows are taken and deleted",
    ("purchase_returns", "id"): "Stripe's id of a refund or dispute, unique in all of Stripe",
    ("purchases", "payment_intent"): "Stripe's id, unique in all of Stripe",
    ("purchases", "session_id"): "Stripe's id, unique in all of Stripe",
    ("senders", "value"): "a sender of the operator's own, which has no workspace",
}

# Module with statements that look over the rows of all workspaces → why. In a cell they are those of the cell.
OF_ALL_WORKSPACES = {
    "msvs/api/accounts/secret_keys.py": "tries the data key on secrets and hashes",
    "msvs/api/campaigns/ab_tests.py": "finds what is due",
    "msvs/api/campaigns/lifecycle.py": "finds what is due",
    "msvs/api/campaigns/sequence_steps.py": "finds what is due",
    "msvs/api/contacts/import_jobs.py": "finds what is due",
    "msvs/api/contacts/import_merge.py": "parts of statements, whose conditions OF_ROW and OF_PHONE have the workspace",
    "msvs/api/contacts/segments.py": "a part of a statement about a contact, which has the workspace",
    "msvs/api/contacts/sync_runs.py": "finds what is due",
    "msvs/api/credits/fulfilment.py": "finds the purchase that Stripe tells of by Stripe's id",
    "msvs/api/credits/stripe_events.py": "finds what is due",
    "msvs/api/credits/top_ups.py": "finds what is due",
    "msvs/api/dispatch/expired_leases.py": "finds what is due",
    "msvs/api/dispatch/lanes.py": "finds what is due",
    "msvs/api/dispatch/message_totals.py": "the operator's metrics",
    "msvs/api/dispatch/senders.py": "the operator's own senders",
    "msvs/api/dispatch/set_aside.py": "finds what is due",
    "msvs/api/messages/export_jobs.py": "finds what has expired",
    "msvs/api/webhooks/deliveries.py": "finds what is due",
    "msvs/doctor/billing.py": "the operator's checks",
    "msvs/ops/metric_families.py": "the operator's metrics",
    "msvs/workers/bulk_actions.py": "finds what is due",
    "msvs/workers/clocks.py": "finds what is due",
    "msvs/workers/exports.py": "finds what is due",
    "msvs/workers/imports.py": "finds what is due",
    "msvs/workers/maintenance.py": "finds what is due",
    "msvs/workers/partitions.py": "looks for messages that keep a month open",
    "msvs/workers/reports.py": "finds what is due",
    "msvs/workers/retention.py": "finds the oldest message that is kept",
}


class TableRow(Protocol):
    """A table, and its columns with their types."""

    name: str
    columns: list[str]
    types: list[str]


class KeyRow(Protocol):
    """A unique index or a primary key, and its columns."""

    name: str
    columns: list[str]


class ReferenceRow(Protocol):
    """A foreign key."""

    name: str
    columns: list[str]
    target: str


# Partitions have the keys of their parents.
TABLES = """
SELECT relname::text AS name, array_agg(attname::text ORDER BY attnum) AS columns,
    array_agg(format_type(atttypid, NULL) ORDER BY attnum) AS types
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition GROUP BY relname
"""
KEYS_OF_TABLES = """
SELECT relname::text AS name, (
    SELECT array_agg(coalesce(attname::text, '') ORDER BY place) FROM unnest(indkey::int[]) WITH ORDINALITY
        AS part (number, place) LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number
) AS columns
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE indisunique AND relnamespace = 'public'::regnamespace AND NOT relispartition
"""
REFERENCES = """
SELECT conrelid::regclass::text AS name, confrelid::regclass::text AS target, (
    SELECT array_agg(attname::text) FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY (conkey)
) AS columns
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conparentid = 0
"""
EXCLUSIONS = "SELECT count(*) FROM pg_constraint WHERE contype = 'x' AND connamespace = 'public'::regnamespace"


def kind_of_key(table: str, columns: list[str], types: dict[str, str]) -> str | None:
    """Return why a unique key holds in one cell alone, or None."""
    if "workspace_id" in columns:
        return "workspace"
    if table in CELL:
        return "cell"
    if columns[0] in PARENTS and types[columns[0]] == "uuid":
        return "parent"
    if len(columns) == 1 and types.get(columns[0]) == "uuid":
        return "uuid"
    if len(columns) == 1 and columns[0] in DIGESTS:
        return "digest"
    if (table, *columns) in KEYS:
        return "reason"
    return None


def kind_of_statement(statement: Statement, tables: Collection[str]) -> str:
    """Return what a statement reads and writes: of one workspace, by ids, of the cell, or of all workspaces."""
    named = statement.tables & set(tables)
    if not named:
        return "none"
    if named <= CELL.keys():
        return "cell"
    if statement.is_of_workspace:
        return "workspace"
    return "ids" if statement.is_by_id else "all"


async def types_of_tables() -> dict[str, dict[str, str]]:
    """Return the columns of each table, with their types."""
    return {row.name: dict(zip(row.columns, row.types, strict=True)) for row in await db.fetch(TableRow, TABLES)}


async def test_every_table_is_of_a_workspace_or_of_the_cell(database: str) -> None:
    tables = await types_of_tables()
    homeless = {
        name
        for name, types in tables.items()
        if name not in CELL and "workspace_id" not in types and not types.keys() & PARENTS.keys()
    }
    # A chunk of rows whose reading is that of an import, and so on, is found by its parent's column.
    assert homeless == set()
    assert CELL.keys() <= tables.keys(), "no longer there"
    assert set(PARENTS.values()) <= tables.keys()
    assert {name for name in CELL if "workspace_id" in tables[name]} == set()


async def test_every_unique_key_holds_within_one_cell(database: str) -> None:
    tables = await types_of_tables()
    kinds: Counter[str | None] = Counter()
    unexplained, explained = [], set()
    for row in await db.fetch(KeyRow, KEYS_OF_TABLES):
        kind = kind_of_key(row.name, row.columns, tables[row.name])
        kinds[kind] += 1
        if kind is None:
            unexplained.append((row.name, *row.columns))
        elif kind == "reason":
            explained.add((row.name, *row.columns))
    assert unexplained == []
    assert explained == KEYS.keys(), "no longer needed"
    assert all(kinds[kind] for kind in ("workspace", "uuid", "parent", "digest", "cell"))


async def test_every_foreign_key_stays_within_a_workspace(database: str) -> None:
    found = await db.fetch(ReferenceRow, REFERENCES)
    assert {(row.name, *row.columns): row.target for row in found} == {
        ("tag_members", "contact_id"): "contacts",
        ("tag_members", "tag_id"): "tags",
    }
    assert all(PARENTS[row.columns[0]] == row.target for row in found)
    assert await db.fetch_value(EXCLUSIONS) == 0


async def test_every_statement_is_of_a_workspace_or_says_why(database: str) -> None:
    tables = await types_of_tables()
    kinds: Counter[str] = Counter()
    of_all: dict[str, list[str]] = {}
    for statement in all_statements():
        kind = kind_of_statement(statement, tables)
        kinds[kind] += 1
        if kind == "all":
            of_all.setdefault(statement.module, []).append(statement.text)
    assert of_all.keys() <= OF_ALL_WORKSPACES.keys(), {
        module: texts for module, texts in of_all.items() if module not in OF_ALL_WORKSPACES
    }
    assert OF_ALL_WORKSPACES.keys() <= of_all.keys(), "no longer needed"
    assert all(kinds[kind] for kind in ("workspace", "ids", "cell"))


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT * FROM messages WHERE workspace_id = $1", "workspace"),
        ("SELECT * FROM messages WHERE id = $1", "ids"),
        ("UPDATE messages SET status = 'sent' FROM unnest($1::uuid[]) AS done (id) WHERE messages.id = done.id", "ids"),
        ("DELETE FROM list_members WHERE list_id = ANY ($1)", "ids"),
        ("INSERT INTO tag_members (tag_id, contact_id) SELECT $1, $2", "ids"),
        ("SELECT * FROM messages WHERE status = 'queued' LIMIT 1", "all"),
        ("DELETE FROM contacts WHERE phone = $1", "all"),
        ("SELECT count(*) FROM messages JOIN operators ON true", "all"),
        ("SELECT * FROM operators WHERE name = $1", "cell"),
        ("SELECT pg_backend_pid() FROM pg_stat_activity", "none"),
    ],
)
def test_a_statement_is_judged_by_what_it_names(sql: str, kind: str) -> None:
    [statement] = statements_of("msvs/example.py", f"SQL = {sql!r}")
    assert kind_of_statement(statement, {"messages", "contacts", "list_members", "tag_members", "operators"}) == kind


@pytest.mark.parametrize(
    ("table", "columns", "kind"),
    [
        ("contacts", ["workspace_id", "livemode", "phone"], "workspace"),
        ("contacts", ["id"], "uuid"),
        ("list_members", ["list_id", "contact_id"], "parent"),
        ("api_keys", ["digest"], "digest"),
        ("operators", ["name"], "cell"),
        ("senders", ["value"], "reason"),
        ("contacts", ["phone"], None),
        ("campaigns", ["livemode", "name"], None),
    ],
)
def test_a_unique_key_is_judged_by_its_columns(table: str, columns: list[str], kind: str | None) -> None:
    types = {name: "uuid" if name.endswith("id") else "text" for name in columns}
    assert kind_of_key(table, columns, types) == kind


# Connections: how many the processes of a deployment open together

POOL = 3
# Workers differ in their pools alone, which `most_connections` tells.
NAMES = {"api": connection_bounds.API, "cron": connection_bounds.CRON, "worker messages": str(WorkQueue.MESSAGES)}
CONNECTIONS = """
SELECT application_name AS name, count(*) AS number FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'scale %' GROUP BY 1
"""
CONNECTIONS_OF_POOL = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scale pool'"


PATIENCE_SECONDS = 300.0
# Module that opens pools or connections → how many times, and whose they are. What is opened must be counted.
OPENED = {
    "msvs/app.py": (2, "the pool of an API process, and before it one connection that is closed again"),
    "msvs/cli/common.py": (2, "a command, in a function of that name"),
    "msvs/cli/database.py": (2, "a command"),
    "msvs/connections.py": (1, "each connection"),
    "msvs/database.py": (2, "each connection of a pool, and a migration"),
    "msvs/cli/backups.py": (1, "a command"),
    "msvs/database_roles.py": (3, "a command"),
    "msvs/doctor/engines.py": (1, "a command"),
    "msvs/doctor/examination.py": (2, "a command"),
    "msvs/local/backups.py": (2, "a command, and at times the process that receives the WAL"),
    "msvs/workers/carrier_binds.py": (2, "the pool of the process that holds binds, and the lock on a carrier"),
    "msvs/workers/clocks.py": (1, "a sandbox with a clock, in a worker of imports"),
    "msvs/workers/cron.py": (1, "the pool of cron"),
    "msvs/workers/partitions.py": (1, "the owner of the tables, in a worker of maintenance"),
    "msvs/workers/runtime.py": (1, "the pool of a worker"),
}
OPENING = re.compile(r"(?:database\.|db\.)?connected|(?:connections|asyncpg)\.connect|create_pool")


class CountRow(Protocol):
    """The connections of a process."""

    name: str
    number: int


def named(url: str, name: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}application_name=scale%20{name}&lock_timeout=60s"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what other processes do."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        is_so = await condition()
        while not is_so:
            await asyncio.sleep(0.05)
            is_so = await condition()


def test_every_connection_that_is_opened_is_counted() -> None:
    found = Counter(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "msvs").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and OPENING.fullmatch(ast.unparse(call.func))
    )
    assert found == {module: number for module, (number, _whose) in OPENED.items()}


async def test_a_pool_opens_no_more_than_its_size(database: str) -> None:
    """All who ask at once wait for those that there are."""
    highest = 0
    async with db.connected(named(database, "pool"), pool_size=POOL, is_inner=True):
        asked = [asyncio.create_task(db.fetch_value("SELECT pg_sleep(0.01)")) for _ in range(20 * POOL)]
        while not all(task.done() for task in asked):
            highest = max(highest, int(await Owner.connection.fetchval(CONNECTIONS_OF_POOL)))
        await asyncio.gather(*asked)
        highest = max(highest, int(await Owner.connection.fetchval(CONNECTIONS_OF_POOL)))
    assert highest == POOL


@pytest.mark.processes
async def test_no_process_exceeds_its_connections_under_load(
    database: str, clean: None, ctx: Context, other_ctx: Context, engines: Engines, tmp_path: Path
) -> None:
    """The engine's tables are locked, so that all who want a connection have one and go on wanting."""
    settings = Settings(database_pool_size=POOL)
    keys = [(await create_key(each.workspace_id, livemode=False))[1] for each in (ctx, other_ctx)]
    highest: Counter[str] = Counter()

    async def count() -> Counter[str]:
        now = Counter({row.name.removeprefix("scale "): row.number for row in await db.fetch(CountRow, CONNECTIONS)})
        highest.update({name: max(0, now[name] - highest[name]) for name in now})
        return now

    async with AsyncExitStack() as stack:
        port = free_port()
        for command, name in NAMES.items():
            more = {"MSVS_DATABASE_POOL_SIZE": str(POOL), "PORT": str(port)}
            stack.enter_context(processes(named(database, name), engines.redis_url, tmp_path, command, **more))

        async def answers() -> bool:
            try:
                return (await request(port, "GET", "/readyz")).status == 200
            except OSError:
                return False

        async def all_there() -> bool:
            return (await count()).keys() == set(NAMES.values())

        await until(answers)
        await until(all_there)
        async with as_owner(), db.transaction():
            await db.execute("LOCK TABLE messages, campaigns, contacts IN ACCESS EXCLUSIVE MODE")
            sends = [
                asyncio.create_task(request(port, "GET", f"/v1/messages?limit={number + 1}", keys[number % len(keys)]))
                for number in range(40)
            ]

            async def is_full() -> bool:
                return (await count())["api"] >= POOL

            # Two workspaces have a share each, and the API's own upkeep what is left.
            with suppress(TimeoutError):
                async with asyncio.timeout(3):
                    await until(is_full)
        told = await asyncio.gather(*sends)
        assert {answer.status for answer in told} <= {200, 503}
        for _ in range(20):
            await count()
            await asyncio.sleep(0.05)
    assert highest.keys() == set(NAMES.values())
    over = {name: number for name, number in highest.items() if number > most_connections(name, settings)}
    assert over == {}
    assert highest["api"] >= POOL // 2 * 2
    assert highest.total() <= all_connections(settings, dict.fromkeys(NAMES.values(), 1))


@pytest.mark.parametrize(
    ("process", "more", "most"),
    [
        ("api", {}, 7),
        ("messages", {}, 7),
        ("cron", {}, 2),
        ("imports", {}, 11),
        ("maintenance", {}, 7),
        ("maintenance", {"migrations_database_url": "postgresql://owner@127.0.0.1/msvs"}, 8),
        ("binds", {}, 9),
    ],
)
def test_the_connections_of_a_process_are_counted(process: str, more: dict[str, str], most: int) -> None:
    settings = Settings(database_pool_size=7, **more)  # type: ignore[arg-type]
    assert most_connections(process, settings, binds=2) == most


def test_the_connections_of_a_deployment_are_added_up() -> None:
    """`msvs run` starts an API, eight workers and one more of messages, and cron; the clocks' come with imports."""
    settings = Settings()
    usual = usual_processes(settings)
    assert sum(usual.values()) == 1 + 8 + 1 + 1
    assert all_connections(settings, usual) == 10 * 10 + 4 + 2
    assert all_connections(settings, usual_processes(settings, binds=1), binds=1) == 106 + 11
