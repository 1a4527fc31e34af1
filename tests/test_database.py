"""The database layer: guards that hold even when the code above is wrong."""

from __future__ import annotations

import asyncio
import socket
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg
import pytest

from msvs import connections
from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import campaigns, lifecycle
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.privacy import erasure
from msvs.api.unit_of_work import unit_of_work
from msvs.dsn import Host, read_dsn
from msvs.local import embedded
from msvs.models import CreditBalance, LedgerEntry, ListMember, Workspace
from msvs.settings import SettingsError, from_environment
from tests import factories
from tests.engines import Engines, create_database
from tests.owner import as_owner, run_as_owner
from tests.services import SERVICES


async def test_migrating_again_changes_nothing(database: str) -> None:
    assert await db.pending_migrations(database) == []


async def test_the_migrations_say_what_the_models_say() -> None:
    assert await db.model_changes() == []


async def test_partitions_are_made_ahead_and_dropped_behind(clean: None) -> None:
    async def partitions() -> list[str]:
        rows = await db.fetch(
            "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'events'::regclass ORDER BY 1"
        )
        return [row.name for row in rows]

    before = await partitions()
    assert len(before) == 4
    assert await db.fetch_value("SELECT ensure_partitions()") == 0
    await run_as_owner("SELECT ensure_partition('events', 'fillfactor = 100', timestamptz '2020-03-31 23:00Z')")
    assert "events_2020_03" in await partitions()
    async with as_owner():
        assert await db.fetch_value("SELECT drop_partitions('events', 12)") == 1
    assert await partitions() == before


@pytest.mark.parametrize("moment", ["2026-11-01 00:00:00Z", "2026-11-30 23:59:59.999Z"])
async def test_ids_of_a_month_lie_between_its_floors(database: str, moment: str) -> None:
    row = await db.fetch_row(
        "SELECT id_floor($1::timestamptz) AS id, id_floor('2026-11-01Z') AS first, id_floor('2026-12-01Z') AS last",
        datetime.fromisoformat(moment),
    )
    assert row is not None
    assert row.first <= row.id < row.last
    assert ids.id_time(row.id) == datetime.fromisoformat(moment)


async def test_a_balance_cannot_become_negative(workspace: Workspace) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await db.execute("UPDATE credit_balances SET balance = -1 WHERE workspace_id = $1", workspace.id)
    assert (await CreditBalance.get(workspace_id=workspace.id)).balance == 10_000


@pytest.mark.parametrize("statement", ["UPDATE ledger_entries SET amount = 1", "DELETE FROM ledger_entries"])
async def test_the_ledger_is_append_only(workspace: Workspace, statement: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await run_as_owner(statement)
    assert await LedgerEntry.all().count() == 1


async def test_a_list_counts_its_members(ctx: Context) -> None:
    contacts = [await factories.make_contact(ctx) for _ in range(3)]
    row = await factories.make_list(ctx, contacts)
    assert row.contact_count == 3
    await ListMember.filter(list_id=row.id, contact_id=contacts[0].id).delete()
    await row.refresh_from_db()
    assert row.contact_count == 2


class Named(Protocol):
    name: str


class Numbered(Named, Protocol):
    @property
    def number(self) -> int: ...


async def test_rows_of_a_shape_have_its_columns(database: str) -> None:
    found = await db.fetch(Numbered, "SELECT $1::text AS name, 7 AS number, true AS more", "Cohort Labs")
    assert [(row.name, row.number) for row in found] == [("Cohort Labs", 7)]
    one = await db.fetch_row(Named, "SELECT $1::text AS name", "Cohort Labs")
    assert one is not None
    assert one.name == "Cohort Labs"
    assert await db.fetch(Numbered, "SELECT WHERE false") == []
    assert await db.fetch_row(Numbered, "SELECT WHERE false") is None


async def test_a_row_without_a_column_of_its_shape_is_refused(database: str) -> None:
    with pytest.raises(TypeError, match="no number, which"):
        await db.fetch(Numbered, "SELECT 'x' AS name")
    with pytest.raises(TypeError, match="no name, number, which"):
        await db.fetch_row(Numbered, "SELECT 1 AS id")


async def test_a_statement_may_have_a_time_of_its_own(database: str) -> None:
    for run in (db.fetch, db.fetch_row, db.execute):
        with pytest.raises(TimeoutError):
            await run("SELECT pg_sleep(5)", timeout=0.01)
    assert await db.fetch_value("SELECT 1") == 1


MIGRATE = """
import asyncio, sys
from msvs import database
database.STATEMENT_SECONDS = 0.05
asyncio.run(database.migrate(sys.argv[1]))
"""


async def test_migrations_may_take_longer_than_other_statements(engines: Engines, database: str) -> None:
    """A process that waits for another's migration of a large table, for longer than statements may take."""
    url = await create_database(engines.database_url, "msvs_slow")
    other = await asyncpg.connect(url)
    await other.execute("SELECT pg_advisory_lock($1)", db.MIGRATION_LOCK)
    migrating = await asyncio.create_subprocess_exec(sys.executable, "-c", MIGRATE, url)
    try:
        asks = (
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%try_advisory%')"
        )
        while not await other.fetchval(asks):
            assert migrating.returncode is None
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
    finally:
        await other.close()
    assert await migrating.wait() == 0


async def test_what_goes_through_whole_tables_may_take_longer(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: dict[str, float | None] = {}

    def note(method: str) -> None:
        run = getattr(asyncpg.Connection, method)

        async def noted(self: Any, query: str, *values: Any, timeout: float | None = None, **options: Any) -> Any:
            allowed[query] = max(allowed.get(query) or 0, timeout or 0)
            return await run(self, query, *values, timeout=timeout, **options)

        monkeypatch.setattr(asyncpg.Connection, method, noted)

    note("fetch")
    note("execute")
    contact = await factories.make_contact(ctx)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Large", "Hi", contact_ids=[contact.id]))
        await lifecycle.start_campaign(SERVICES, campaign.id, await db.now())
    async with unit_of_work():
        await erasure.erase_contact(ctx, contact.id)
    long = {query for query, seconds in allowed.items() if (seconds or 0) >= 600}
    assert {query for query in long if "INSERT INTO campaign_recipients" in query}
    reads = {
        value
        for name, value in vars(erasure).items()
        if name in ("FIND_MESSAGES", "FIND_EVENTS", "FIND_ATTEMPTS", "FIND_SUBMISSIONS")
    }
    assert reads <= long


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("sslmode=verify", "sslmode"),
        ("sslmode=verify-full&sslrootcert=/nowhere/root.crt", "sslrootcert"),
        ("hostaddr=127.0.0.1", "hostaddr"),
        ("channel_binding=require", "channel_binding"),
        ("gssencmode=require", "gssencmode"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("load_balance_hosts=random", "load_balance_hosts"),
        ("client_encoding=LATIN1", "client_encoding"),
        ("replication=database", "replication"),
        ("connect_timeout=soon", "connect_timeout"),
        ("keepalives_idle=-1", "keepalives_idle"),
        ("options=-d5", "options"),
        ("options=-c%20work_mem", "options"),
        ("work_mem=64MB", "work_mem"),
        ("hsot=db", "hsot"),
        ("sslmode", "parameters"),
    ],
)
def test_a_parameter_that_cannot_be_honored_is_refused_by_its_name(query: str, name: str) -> None:
    with pytest.raises(SettingsError) as told:
        from_environment({"DATABASE_URL": f"postgresql://app:hunter2@db/msvs?{query}"})
    assert name in str(told.value)
    assert "hunter2" not in str(told.value)
    assert "\n" not in str(told.value)


async def test_every_parameter_of_the_address_is_honored(database: str) -> None:
    url = (
        f"{database}?application_name=studio&connect_timeout=7&keepalives_idle=33&keepalives_count=4&sslmode=disable"
        "&options=-c%20statement_timeout%3D41s%20--work-mem=5MB&lock_timeout=3s&client_encoding=UTF8&sslcompression=0"
        "&tcp_user_timeout=4000&target_session_attrs=read-write&gssencmode=disable"
    )
    connection: Any = await connections.connect(url)
    try:
        shown = [
            await connection.fetchval(f"SHOW {name}")
            for name in ("application_name", "statement_timeout", "work_mem", "lock_timeout")
        ]
        opened = connection._transport.get_extra_info("socket")
        options = [
            opened.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        ]
    finally:
        await connection.close()
    assert shown == ["studio", "41s", "5MB", "3s"]
    assert options == [33, 4, 4000]
    assert read_dsn(url).timeout == 7.0


async def test_of_several_hosts_the_first_that_answers_is_taken(database: str) -> None:
    """The one in front takes no connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = database.replace("@", f"@127.0.0.1:{taken.getsockname()[1]},")
        assert from_environment({"DATABASE_URL": url}).database_url == url
        connection = await connections.connect(url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


async def test_a_certificate_that_is_wanted_is_not_done_without(database: str) -> None:
    """The tests' PostgreSQL has none."""
    with pytest.raises(ConnectionError):
        await connections.connect(f"{database}?sslmode=require")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://", "postgresql://?host=127.0.0.1&user=postgres&dbname=postgres"),
        ("postgresql:///msvs?host=/run/postgresql", "postgresql:///msvs?host=%2Frun%2Fpostgresql&user=postgres"),
        ("postgres://app:p%40ss@[::1]:6432/msvs", "postgres://app:p%40ss@[::1]:6432/msvs"),
        ("postgresql://app:p@ss@db/msvs", "postgresql://app:p%40ss@db/msvs"),
        ("postgresql:///?service=msvs", "postgresql://?service=msvs"),
        ("postgresql://app@a,b:6433/msvs?password=x%2Bz+y", "postgresql://app@a,b:6433/msvs?password=x%2Bz%2By"),
    ],
)
def test_what_an_address_leaves_out_is_ours(url: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGUSER", "PGDATABASE", "PGSERVICE"):
        monkeypatch.delenv(name, raising=False)
    assert read_dsn(url).text == expected


async def test_of_several_hosts_the_one_that_is_written_to_is_taken(database: str) -> None:
    """One in front says nothing, and one is only read; neither holds up the next for long."""
    parts = urlsplit(database)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        # What the port takes, nobody answers.
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{parts.port}"
        url = database.replace(f"{parts.hostname}:{parts.port}", hosts)
        connection = await connections.connect(url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
            await connections.connect(f"{url}?target_session_attrs=standby&connect_timeout=1")


def test_hosts_may_be_named_by_parameters_too() -> None:
    assert read_dsn("postgresql:///msvs?host=a,b&port=5433").hosts == (Host("a", 5433), Host("b", 5433))
    assert read_dsn("postgresql://app@[::1],b:6433/msvs").hosts == (Host("::1", None), Host("b", 6433))
    assert read_dsn("postgresql://app@a:6433/msvs").hosts == ()
    assert read_dsn("postgresql://app@a,b/msvs").target == "read-write"
    for url in ("postgresql://a,,b/msvs", "postgresql:///msvs?host=a,b,c&port=1,2", "postgresql://a,/msvs"):
        with pytest.raises(ValueError, match="host"):
            read_dsn(url)


async def test_a_connection_notices_that_the_other_machine_is_gone(database: str) -> None:
    """Unless the address says otherwise."""
    connection: Any = await connections.connect(database)
    opened = connection._transport.get_extra_info("socket")
    options = [
        opened.getsockopt(level, option)
        for level, option in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        )
    ]
    await connection.close()
    assert options == [1, 3, 7000]


async def test_connections_to_a_server_that_was_demoted_are_given_up(clean: None) -> None:
    """Such a server refuses what is written, and may go on answering for as long as nobody leaves it."""
    async with db.transaction():
        pid = await db.fetch_value("SELECT pg_backend_pid()")

    async def write() -> None:
        async with db.transaction():
            # As the sessions of a server that was demoted are.
            await db.execute("SET TRANSACTION READ ONLY")
            await db.execute("DELETE FROM contacts WHERE phone = $1", "+14155550100")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await write()
    async with db.transaction():
        assert await db.fetch_value("SELECT pg_backend_pid()") != pid


async def test_a_commit_that_its_standby_may_not_have_is_no_success(tmp_path: Path) -> None:
    """PostgreSQL reports a COMMIT as done whose wait for the standby was canceled."""
    embedded.start(tmp_path / "engines", fast=True, valkey=False).stop()
    with (tmp_path / "engines" / "postgresql" / "data" / "postgresql.conf").open("a") as settings:
        settings.write("\nsynchronous_standby_names = 'nobody'\n")
    engines = embedded.start(tmp_path / "engines", fast=True, valkey=False)
    try:
        await _commit_without_standby(engines.database_url)
    finally:
        engines.stop()


async def _commit_without_standby(url: str) -> None:
    owner = await asyncpg.connect(url)
    await owner.execute("CREATE TABLE kept (number int)")
    for number, connect in enumerate((asyncpg.connect, connections.connect)):
        for begin, write in (("BEGIN", "COMMIT"), ("SELECT 1", "INSERT INTO kept VALUES (2)")):
            connection = await connect(url)
            await connection.execute("SET synchronous_commit = on")
            await connection.execute(begin)
            if write == "COMMIT":
                await connection.execute("INSERT INTO kept VALUES (1)")
            writing = asyncio.create_task(connection.execute(write))
            while not await owner.fetchval(CANCEL_WAITING, connection.get_server_pid()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if number == 0:
                # What asyncpg takes for a success, and a failover would lose.
                assert (await writing).split()[0] == write.split()[0]
            else:
                with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                    await writing
            assert connection.is_closed() == (number == 1)
            connection.terminate()
    await owner.close()


CANCEL_WAITING = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "7000ms"),
        ("?tcp_user_timeout=4000", "4000ms"),
        ("?options=-c%20tcp_user_timeout%3D5s", "5s"),
    ],
)
def test_how_long_the_server_waits_for_what_it_sent(query: str, told: str) -> None:
    assert db.limits_of(f"postgresql://msvs@db/msvs{query}")["tcp_user_timeout"] == told
