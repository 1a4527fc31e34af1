"""Checks of PostgreSQL and of Redis or Valkey."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from types import MappingProxyType

from redis.asyncio import Redis

from msvs import connections, database
from msvs.api.accounts import secret_keys
from msvs.api.context import Services
from msvs.api.notifier import WorkQueue
from msvs.carriers.registry import make_carriers
from msvs.database_roles import KEPT
from msvs.doctor.connection_bounds import all_connections, usual_processes
from msvs.doctor.findings import Finding, error, ok, skipped, warning
from msvs.ops.metric_families import CRON_KEY, WORKER_KEY, DiskCheck
from msvs.settings import Settings, SettingsError

OLDEST_POSTGRESQL = 15
OLDEST_REDIS = 7
# A clock that is off by more shows in times and leases, and by much more breaks them.
SKEW_SECONDS, WRONG_SECONDS = 1.0, 5.0
# Of connections, beside the service: administrators, backups, exporters.
SPARE_CONNECTIONS = 10
CONFIGURATION = ("maxmemory-policy", "save", "stop-writes-on-bgsave-error", "appendonly")
EMPTY: Mapping[str, int] = MappingProxyType({})
# How full the memory or the connections may be.
FULL = 0.9

SERVER = """
SELECT current_setting('server_version_num')::int / 10000 AS major, version() AS version,
    pg_encoding_to_char(encoding) AS encoding, current_setting('fsync') AS fsync,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS most,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used
FROM pg_database WHERE datname = current_database()
"""
# What the role of the service may do although it need not.
ROLE = """
SELECT current_user AS name, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls,
    has_schema_privilege('public', 'CREATE') AS creates,
    (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND pg_has_role(relowner, 'MEMBER')) AS owned,
    (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relname = ANY ($1::text[]) AND has_table_privilege(oid, 'DELETE')) AS deletes,
    (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relname = ANY ($2::text[]) AND has_table_privilege(oid, 'UPDATE')) AS changes,
    (SELECT array_agg(relname::text ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND relkind IN ('r', 'p') AND NOT has_table_privilege(oid, 'SELECT')) AS unread
FROM pg_roles WHERE rolname = current_user
"""
OWNER = """
SELECT current_user AS name, count(*) AS tables, count(*) FILTER (WHERE pg_has_role(relowner, 'USAGE')) AS owned
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
"""
STANDBY = """
SELECT pg_is_in_recovery() AS is_standby,
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() < $1::text::pg_lsn ELSE false END AS lacks,
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 AS age
"""
ARCHIVER = """
SELECT current_setting('archive_mode') AS mode, failed_count,
    extract(epoch FROM now() - last_archived_time)::float8 AS age,
    last_failed_time > coalesce(last_archived_time, '-infinity') AS is_failing,
    (SELECT bool_or(active) FROM pg_replication_slots WHERE slot_name = 'msvs_backup') AS is_followed
FROM pg_stat_archiver
"""


async def check_postgresql(url: str) -> AsyncIterator[Finding]:
    """Check the connected PostgreSQL: version, encoding, durability, schema, disk, clock."""
    before = time.time()
    now = await database.fetch_value("SELECT extract(epoch FROM clock_timestamp())::float8")
    yield judge_clock("PostgreSQL", now, before, time.time())
    row = await database.fetch_row(SERVER)
    assert row is not None
    for finding in judge_server(dict(row)):
        yield finding
    pending = await database.pending_migrations(url)
    if pending:
        yield error("schema", f"{len(pending)} migrations are not applied: {', '.join(pending)}", "run `msvs migrate`")
    else:
        yield ok("schema", "up to date")
    disk = await DiskCheck().check()
    if disk == "ok":
        yield ok("postgresql", "can write to its disk")
    else:
        yield error("postgresql", f"the disk is {disk}", "make room, or point DATABASE_URL to the primary")


def judge_server(row: Mapping[str, object]) -> Iterator[Finding]:
    """Judge the version and the settings of a PostgreSQL."""
    shown = str(row["version"]).partition(" on ")[0]
    if int(str(row["major"])) < OLDEST_POSTGRESQL:
        yield error("versions", f"{shown} is too old", f"upgrade to PostgreSQL {OLDEST_POSTGRESQL} or later")
    else:
        yield ok("versions", shown)
    if row["encoding"] != "UTF8":
        yield error("postgresql", f"the database is in {row['encoding']}", "create the database with ENCODING 'UTF8'")
    for name in ("fsync", "synchronous_commit"):
        if row[name] == "off":
            yield error(
                "postgresql",
                f"{name} is off: what was accepted may be lost when the machine loses power",
                f"set {name} = on",
            )


def judge_clock(engine: str, there: float, before: float, after: float) -> Finding:
    """Judge the clock of an engine, asked between two times of this machine."""
    off = max(before - there, there - after, 0.0)
    message = f"the clock of {engine} is {off:.1f} s off this machine's"
    action = "let both follow NTP (`timedatectl set-ntp true`)"
    if off > WRONG_SECONDS:
        return error("clocks", message, action)
    if off > SKEW_SECONDS:
        return warning("clocks", message, action)
    return ok("clocks", f"{engine} and this machine agree")


async def check_roles(owner: Mapping[str, object] | None) -> AsyncIterator[Finding]:
    """Check that the service's role has rights on rows alone. `owner` is the answer to OWNER on the owner's URL."""
    kept = ([table for table, rights in KEPT.items() if right in rights] for right in ("DELETE", "UPDATE"))
    row = await database.fetch_row(ROLE, *kept)
    assert row is not None
    for finding in judge_role(dict(row)):
        yield finding
    if owner is not None and owner["owned"] != owner["tables"]:
        yield error(
            "roles",
            f"the role of MIGRATIONS_DATABASE_URL, {owner['name']}, does not own all tables",
            "use the role that ran the first `msvs migrate`, or change the owner of the tables to it",
        )


def judge_role(row: Mapping[str, object]) -> Iterator[Finding]:
    """Judge what the role of DATABASE_URL may do."""
    name = row["name"]
    again = "create the two roles (`msvs database roles`), set MIGRATIONS_DATABASE_URL, run `msvs migrate`"
    powers = [
        power for power in ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls") if row[power]
    ]
    if powers:
        yield error("roles", f"{name} is {', '.join(each.removeprefix('rol') for each in powers)}", again)
    if row["owned"]:
        yield warning("roles", f"{name} owns the tables: a stolen DATABASE_URL can drop them", again)
        return
    if row["creates"]:
        yield error(
            "roles", f"{name} may create tables in the schema public", f"REVOKE CREATE ON SCHEMA public FROM {name}"
        )
    wrong = (("deletes", "may delete from"), ("changes", "may change"), ("unread", "may not read"))
    for column, told in wrong:
        tables = row[column]
        if isinstance(tables, list) and tables:
            listed = ", ".join(map(str, tables))
            yield error("roles", f"{name} {told} {listed}", "run `msvs migrate` with MIGRATIONS_DATABASE_URL")
    if not powers and not row["creates"] and not any(row[column] for column, _ in wrong):
        yield ok("roles", f"{name} has rights on rows alone")


async def check_connections(settings: Settings, redis: Redis | None) -> AsyncIterator[Finding]:
    """Check that PostgreSQL has enough connections for all processes, and which pooler is in front."""
    row = await database.fetch_row(SERVER)
    assert row is not None
    alive = {} if redis is None else await count_alive(redis)
    if settings.is_by_transaction:
        yield ok("connections", f"{row['used']} of {row['most']} are in use; the pooler keeps them from becoming more")
        yield judge_pooler(
            prepares=connections.pooling(settings.database_url or "") is connections.Pooling.PREPARING,
            limit=await database.fetch_value("SELECT current_setting('lock_timeout')"),
        )
        return
    yield judge_connections(settings, most=row["most"], used=row["used"], alive=alive, binds=_count_binds(settings))
    # PostgreSQL names its own process at the start of a session; a pooler makes a number up.
    async with database.client().acquire_connection() as connection:
        is_pooled = connection.get_server_pid() != await connection.fetchval("SELECT pg_backend_pid()")
    yield ok("pooler", "a pooler in session mode is in front" if is_pooled else "none: PostgreSQL itself answers")


def judge_pooler(*, prepares: bool, limit: str) -> Finding:
    """Judge a pooler in transaction mode: whether it prepares statements, and how long one may wait for a lock."""
    if limit == "0":
        return warning(
            "pooler",
            "statements outside of transactions wait for locks without a limit",
            "run `msvs migrate`, then RECONNECT in the pooler's console",
        )
    if not prepares:
        return warning(
            "pooler",
            "the pooler in transaction mode prepares no statements: each is planned each time",
            "use PgBouncer 1.21 or later, and set max_prepared_statements",
        )
    return ok("pooler", "a pooler in transaction mode is in front, and prepares statements")


def _count_binds(settings: Settings) -> int:
    """Count the carriers that have binds; what is wrong with the operator's file, another check says."""
    try:
        return sum(carrier.holds_binds for carrier in make_carriers(settings).values())
    except SettingsError:
        return 0


def judge_connections(
    settings: Settings, *, most: int, used: int, alive: Mapping[str, int] = EMPTY, binds: int = 0
) -> Finding:
    """Judge the connections that the processes may open, by those that are known to run: workers and crons."""
    processes = usual_processes(settings, binds=binds)
    processes |= {kind: count for kind, count in alive.items() if count > processes.get(kind, 0)}
    wanted = all_connections(settings, processes, binds=binds) + SPARE_CONNECTIONS
    each = settings.database_pool_size
    shown = (
        f"{sum(processes.values())} processes with MSVS_DATABASE_POOL_SIZE {each} may need {wanted} connections, "
        f"and {each} more for each `msvs api` after the first"
    )
    if used > most * FULL:
        return error("connections", f"{used} of {most} connections are in use", "raise max_connections")
    if wanted > most:
        return warning(
            "connections",
            f"{shown}; PostgreSQL takes {most}",
            f"set max_connections to {wanted + 10} or more, lower MSVS_DATABASE_POOL_SIZE, or put PgBouncer in front",
        )
    return ok("connections", f"{shown}; PostgreSQL takes {most}")


async def check_replicas(settings: Settings) -> AsyncIterator[Finding]:
    """Check that each standby follows, and how far it is behind."""
    flushed = await database.fetch_value("SELECT pg_current_wal_flush_lsn()::text")
    for number, url in enumerate(settings.replica_urls):
        connection = await connections.connect(url)
        try:
            row = await connection.fetchrow(STANDBY, flushed)
        finally:
            await connection.close()
        yield judge_replica(number, dict(row), settings.replica_max_lag)


def judge_replica(number: int, row: Mapping[str, object], most: int) -> Finding:
    """Judge a standby, of which `row` says whether it is one, what it lacks of the log, and since when."""
    if not row["is_standby"]:
        return error("replicas", f"replica {number} is no standby", "name standbys alone in DATABASE_REPLICA_URL")
    age = row["age"]
    if row["lacks"] and (age is None or float(str(age)) > most):
        return warning(
            "replicas",
            f"replica {number} is more than {most} s behind: lists are read from the primary",
            "look at pg_stat_replication, and at queries that hold its replay up",
        )
    return ok("replicas", f"replica {number} follows")


async def check_archiving() -> AsyncIterator[Finding]:
    """Check whether PostgreSQL archives its log, which a restore to a point in time needs."""
    row = await database.fetch_row(ARCHIVER)
    assert row is not None
    yield judge_archiving(dict(row))


def judge_archiving(row: Mapping[str, object]) -> Finding:
    """Judge the archiver of PostgreSQL, or the receiver of WAL of `msvs backup --follow`."""
    if row.get("is_followed"):
        return ok("backups", "`msvs backup --follow` receives the WAL")
    if row.get("is_followed") is False:
        return error(
            "backups",
            "`msvs backup --follow` does not run, and PostgreSQL keeps its WAL for it, which fills its disk",
            "start it, or run SELECT pg_drop_replication_slot('msvs_backup')",
        )
    if row["mode"] == "off":
        return warning(
            "backups",
            "archive_mode is off: a restore brings back the last dump, and nothing after it",
            "run `msvs backup --follow`, or archive the WAL: see Point-in-time recovery",
        )
    if row["is_failing"]:
        return error(
            "backups", "PostgreSQL cannot archive its WAL, which fills its disk", "see archive_command in its log"
        )
    if row["age"] is None:
        return warning("backups", "PostgreSQL has archived nothing yet", "run SELECT pg_switch_wal() and look again")
    return ok("backups", f"WAL was archived {float(str(row['age'])) / 60:.0f} minutes ago")


async def check_secret_key(settings: Settings) -> AsyncIterator[Finding]:
    """Check that the secret key opens the database."""
    if not await secret_keys.is_settled():
        yield skipped("secret key", "the database has no key yet: the first process sets it")
        return
    try:
        await secret_keys.unlock(Services().keyring, settings)
    except SettingsError as failure:
        yield error("secret key", str(failure), "set MSVS_SECRET_KEY to the key of this database")
    else:
        yield ok("secret key", "opens the database")


# Redis or Valkey


async def check_redis(redis: Redis, *, sells: bool = False) -> AsyncIterator[Finding]:
    """Check Redis or Valkey: version, clock, eviction, persistence, memory, and who is alive.

    Where the service `sells` credits, a worker of billing must be.
    """
    before = time.time()
    seconds, microseconds = await redis.time()
    yield judge_clock("Redis", seconds + microseconds / 1e6, before, time.time())
    info = await redis.info()
    try:
        config: Mapping[str | None, object] = await redis.config_get(*CONFIGURATION)
    except Exception:
        # A managed Redis may hide its configuration.
        config = {}
    for finding in judge_redis(info, config):
        yield finding
    for finding in judge_alive(await count_alive(redis), sells=sells):
        yield finding


def judge_redis(info: Mapping[str, object], config: Mapping[str | None, object]) -> Iterator[Finding]:
    """Judge what a Redis or Valkey says of itself."""
    name = "Valkey" if "valkey_version" in info else "Redis"
    shown = str(info.get("valkey_version") or info.get("redis_version"))
    if int(shown.split(".")[0]) < OLDEST_REDIS:
        yield error("versions", f"{name} {shown} is too old", f"upgrade to Redis {OLDEST_REDIS} or later, or Valkey")
    else:
        yield ok("versions", f"{name} {shown}")
    policy = config.get("maxmemory-policy", info.get("maxmemory_policy"))
    if policy not in (None, "noeviction"):
        yield error("redis", f"maxmemory-policy is {policy}: a job may be evicted", "set maxmemory-policy noeviction")
    if int(str(info.get("evicted_keys", 0))):
        yield warning(
            "redis", f"{info['evicted_keys']} keys were evicted", "set maxmemory-policy noeviction, and more memory"
        )
    most, used = int(str(info.get("maxmemory", 0))), int(str(info.get("used_memory", 0)))
    if most and used > most * FULL:
        yield error(
            "redis",
            f"{used} of {most} bytes of memory are in use",
            "raise maxmemory: Redis refuses jobs when it is full",
        )
    if info.get("aof_last_write_status", "ok") != "ok" or info.get("rdb_last_bgsave_status", "ok") != "ok":
        yield error(
            "redis", "Redis cannot write to its disk, and may refuse jobs", "make room, or turn persistence off"
        )
    elif config.get("save") and config.get("stop-writes-on-bgsave-error") == "yes":
        yield warning(
            "redis",
            "Redis keeps snapshots, and refuses jobs when it cannot write one",
            'set save "" (nothing is lost with Redis), or stop-writes-on-bgsave-error no',
        )
    elif config.get("appendonly") == "yes":
        yield ok("redis", "noeviction; keeps its data on disk by AOF")
    else:
        yield ok("redis", "noeviction; keeps nothing on disk, which loses nothing: what waits is in PostgreSQL")


async def count_alive(redis: Redis) -> dict[str, int]:
    """Count the living workers by queue, and crons as `cron`."""
    counts: dict[str, int] = {}
    async for key in redis.scan_iter(f"{WORKER_KEY}*", count=1000):
        queue = key.decode().removeprefix(WORKER_KEY).partition("-")[0]
        counts[queue] = counts.get(queue, 0) + 1
    async for _ in redis.scan_iter(f"{CRON_KEY}*", count=1000):
        counts["cron"] = counts.get("cron", 0) + 1
    return counts


def judge_alive(counts: Mapping[str, int], *, sells: bool = False) -> Iterator[Finding]:
    """Judge which processes are alive."""
    wanted = [each.value for each in WorkQueue if sells or each is not WorkQueue.BILLING]
    missing = [queue for queue in wanted if not counts.get(queue)]
    for queue in missing:
        yield error("processes", f"no worker of the queue {queue} is alive", f"start `msvs worker {queue}`")
    if not counts.get("cron"):
        yield error("processes", "no cron is alive: scheduled messages and retries wait", "start `msvs cron`")
    elif not missing:
        yield ok("processes", f"{sum(counts.values()) - counts['cron']} workers and {counts['cron']} cron are alive")
