"""Connections to PostgreSQL: Tortoise's pool, raw statements on the same connection, migrations under a lock."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast, overload

import asyncpg
import msgspec
from tortoise.backends.base.client import BaseDBAsyncClient, TransactionalDBClient, TransactionContext
from tortoise.connection import get_connection, get_connections
from tortoise.context import TortoiseContext
from tortoise.migrations.autodetector import MigrationAutodetector

from msvs import clock_schema, connections, pooled, present, slow_statements
from msvs.migration_state import Executor
from msvs.pool import Client as Client

APP = "msvs"
MODELS = "msvs.models"
MIGRATIONS = "msvs.migrations"
MIGRATION_LOCK = 0x6D737673
# What any statement may take, in seconds; those that read or write whole tables say how long they may.
STATEMENT_SECONDS = 60.0
MIGRATION_SECONDS = 3600.0
# How often a migration is tried that a deadlock with the traffic ends: it is whole, or was never there.
MIGRATION_TRIES = 10
# PostgreSQL ends a statement first; what does not answer for so much longer is away.
ANSWER_SECONDS = 5.0

# What PostgreSQL itself puts an end to, no matter what became of the process at the other end: a transaction whose
# process
# says nothing (it is stopped, swapped out or being debugged), a wait for a lock, a machine that is gone. A parameter of
# the same name in the URL takes the place of a value.
LIMITS: Mapping[str, str] = {
    "idle_in_transaction_session_timeout": "10s",
    "lock_timeout": "5s",
    "transaction_timeout": "60s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# Migrations wait for one another, and for the tables that they change.
MIGRATION_LIMITS = {"lock_timeout": "0", "transaction_timeout": "0"}
# A version that does not know one of them leaves it out. A statement, as startup parameters do not pass a pooler.
SET_LIMITS = """
SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
WHERE current_setting(name, true) IS NOT NULL
"""
ALLOW_LONGER = """
SELECT set_config(name, value, true) FROM (
    VALUES ('statement_timeout', $1::text), ('transaction_timeout', '0')
) AS wanted (name, value) WHERE current_setting(name, true) IS NOT NULL
"""
WAIT_FOR_LOCKS = "SELECT set_config('lock_timeout', $1, true)"
# How often a process looks whether another's migration has ended.
MIGRATION_PAUSE_SECONDS = 0.2

_elsewhere: ContextVar[bool] = ContextVar("elsewhere", default=False)

# Tortoise logs every statement with its values at DEBUG; message bodies and numbers must never reach a log.
logging.getLogger("tortoise").setLevel(logging.WARNING)


class _Column:
    """A column as an attribute of rows; an AttributeError where a row does not have it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, row: asyncpg.Record, owner: type) -> object:
        try:
            return row[self._name]
        except KeyError:
            raise AttributeError(self._name) from None


class Row(asyncpg.Record):  # type: ignore[misc]
    """A result row whose columns are attributes, as a model's fields are."""

    def __getattr__(self, name: str) -> Any:
        # Python comes here only after it has looked everywhere else, which takes four times as long as the rest. What
        # was asked for once is found at once from then on; the names are those that the code spells.
        if name not in self:
            raise AttributeError(name)
        setattr(Row, name, _Column(name))
        return self[name]


def encode_json(value: object) -> str:
    """JSON text of `value` for a jsonb column; text is taken to be JSON already."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


ConnectionCheck = Callable[[asyncpg.Connection], Awaitable[None]]


def _preparation(
    limits: Mapping[str, str] | None, check: ConnectionCheck | None
) -> Callable[[asyncpg.Connection], Awaitable[None]]:
    async def prepare(connection: asyncpg.Connection) -> None:
        if limits is not None:
            await connection.execute(SET_LIMITS, list(limits), list(limits.values()))
        await _prepare_connection(connection)
        if check is not None:
            await check(connection)

    return prepare


async def _prepare_connection(connection: asyncpg.Connection) -> None:
    # Binary, because COPY takes no other; the first byte is jsonb's version.
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + encode_json(value).encode(),
        decoder=lambda data: msgspec.json.decode(memoryview(data)[1:]),
        format="binary",
    )


async def _leave_connection(connection: asyncpg.Connection) -> None:
    """Ask nothing of a connection between two uses: no session state is ever left on one.

    asyncpg would send a RESET ALL at each release: a round trip a statement.
    """


def _opener(database_url: str, end: Callable[[], None]) -> Callable[..., Awaitable[asyncpg.Connection]]:
    """Return what opens a connection of the pool: as the whole URL says, not only its parts that Tortoise knows."""

    async def connect(*_dsn: None, **options: Any) -> asyncpg.Connection:
        kept = ("loop", "connection_class", "record_class", "command_timeout")
        return await connections.connect(
            database_url, end=end, **{name: options[name] for name in kept if name in options}
        )

    return connect


def limits_of(database_url: str, seconds: float = STATEMENT_SECONDS) -> dict[str, str]:
    """Return the limits of sessions: those that the URL names in place of our own. Raises SettingsError."""
    dsn = connections.read(database_url)
    # The server waits for what it sent as long as this process does.
    unread = f"{dsn.keepalives['tcp_user_timeout']}ms"
    limits = {"statement_timeout": f"{seconds * 1000:.0f}ms", **LIMITS, "tcp_user_timeout": unread}
    return limits | {name: dsn.settings[name] for name in limits.keys() & dsn.settings.keys()}


def tortoise_config(
    database_url: str,
    *,
    pool_size: int = 10,
    statement_seconds: float | None = None,
    limits: Mapping[str, str] | None = None,
    end: Callable[[], None] = connections.end_process,
    check: ConnectionCheck | None = None,
    slow_ms: float = 0,
) -> dict[str, Any]:
    """Tortoise's configuration for a `postgresql://` URL; `limits` are in place of those of the same names.

    Raises SettingsError.
    """
    seconds = statement_seconds or STATEMENT_SECONDS
    all_limits = limits_of(database_url, seconds) | dict(limits or {})
    is_by_transaction = connections.read(database_url).by_transaction
    kind = slow_statements.watching(slow_ms)
    if is_by_transaction:
        kind = pooled.by_transaction(kind, all_limits)
    credentials: dict[str, object] = {
        # Of these the URL speaks for itself.
        "host": None,
        "user": None,
        "password": None,
        "database": None,
        "connect": _opener(database_url, end),
        "minsize": 1,
        "maxsize": pool_size,
        "connection_class": kind,
        "record_class": Row,
        # A pooler in transaction mode would set them on any of its servers; there each transaction sets its own.
        "init": _preparation(None if is_by_transaction else all_limits, check),
        "reset": _leave_connection,
        "command_timeout": seconds + ANSWER_SECONDS,
    }
    return {
        "connections": {"default": {"engine": "msvs.pool", "credentials": credentials}},
        "apps": {APP: {"models": [MODELS], "migrations": MIGRATIONS, "default_connection": "default"}},
        "use_tz": True,
        "timezone": "UTC",
    }


@asynccontextmanager
async def connected(
    database_url: str,
    *,
    pool_size: int = 10,
    statement_seconds: float | None = None,
    limits: Mapping[str, str] | None = None,
    end: Callable[[], None] = connections.end_process,
    check: ConnectionCheck | None = None,
    slow_ms: float = 0,
    is_inner: bool = False,
) -> AsyncIterator[None]:
    """Hold a pool open; models and the functions below use it from any task of the process.

    One that `is_inner` is used by the block alone, in place of the one around it.

    `end` is called where the database turns out to be out of reach for good. Every new connection must pass `check`:
    what it raises, the caller that wanted the connection meets. Statements that take longer than `slow_ms`
    (milliseconds) are logged; none for 0.
    """
    config = tortoise_config(
        database_url,
        pool_size=pool_size,
        statement_seconds=statement_seconds,
        limits=limits,
        end=end,
        check=check,
        slow_ms=slow_ms,
    )
    async with TortoiseContext() as context:
        await context.init(config=config, _enable_global_fallback=not is_inner)
        yield


def client() -> BaseDBAsyncClient:
    """Tortoise's current client: the open transaction's inside a unit of work, else the pool's."""
    return get_connection("default")


async def open_client(database_url: str, *, pool_size: int, slow_ms: float = 0) -> Client:
    """Open a pool of connections beside the process's own, for `using`. Raises what the connections raise."""
    config = tortoise_config(database_url, pool_size=pool_size, slow_ms=slow_ms)
    opened = Client(**config["connections"]["default"]["credentials"], connection_name="default")
    await opened.create_connection(with_db=True)
    return opened


@contextmanager
def using(other: Client) -> Iterator[None]:
    """Have the statements of the block, also those of models, go to another pool."""
    elsewhere = _elsewhere.set(True)
    token = get_connections().set("default", other)
    try:
        yield
    finally:
        get_connections().reset(token)
        _elsewhere.reset(elsewhere)


def is_of_primary() -> bool:
    """Return whether statements go to the process's own pool: in no transaction, and to no other pool."""
    return not _elsewhere.get() and not isinstance(client(), TransactionalDBClient)


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """Provide a transaction on the current connection: Tortoise's, a savepoint inside another.

    Tortoise keeps a pooled connection, or the task's hold on it, when BEGIN or the connection's return to the pool
    fails; both are let go here.
    """
    context = client()._in_transaction()
    try:
        await context.__aenter__()
    except BaseException as error:
        token = getattr(context, "token", None)
        if token is not None:
            wrapper, pool = context.client, context.client._parent._pool
            get_connections().reset(token)
            if pool is not None:
                await pool.release(wrapper._connection)
        raise error
    try:
        yield
    except BaseException as error:
        await _end(context, error)
        raise
    await _end(context, None)


async def _end(context: TransactionContext, error: BaseException | None) -> None:
    """Commit or roll back; even if it fails, the task no longer holds the connection no longer."""
    try:
        await context.__aexit__(None if error is None else type(error), error, None)
    finally:
        token = getattr(context, "token", None)
        if token is not None and not token._used:
            get_connections().reset(token)


class PoolNumbers(NamedTuple):
    """The connections of this process: in use, idle, and the maximum."""

    used: int
    idle: int
    most: int


def pool_numbers() -> PoolNumbers:
    """Return the numbers of this process's pool; all zero before its first connection."""
    pool = getattr(client(), "_pool", None)
    if pool is None:
        return PoolNumbers(0, 0, 0)
    idle = pool.get_idle_size()
    return PoolNumbers(pool.get_size() - idle, idle, pool.get_max_size())


async def now() -> datetime:
    """Return the time by PostgreSQL's clock, the one that all workers share; in a sandbox with a clock, by that."""
    if (at := present.moment()) is not None:
        return at
    moment: datetime = await fetch_value("SELECT clock_timestamp()")
    return moment


def _allowing(connection: asyncpg.Connection, seconds: float | None) -> AbstractAsyncContextManager[None]:
    """Have PostgreSQL let a statement take longer than others, where `seconds` say so; all of its transaction then."""
    return _AS_EVER if seconds is None or seconds <= STATEMENT_SECONDS else _allowing_longer(connection, seconds)


_AS_EVER = nullcontext()


@asynccontextmanager
async def _allowing_longer(connection: asyncpg.Connection, seconds: float) -> AsyncIterator[None]:
    async with nullcontext() if connection.is_in_transaction() else connection.transaction():
        await connection.execute(ALLOW_LONGER, f"{seconds * 1000:.0f}ms")
        yield


async def allow_seconds(seconds: float) -> None:
    """Let each statement of the current transaction take so long, and the transaction as long as they do."""
    await execute(ALLOW_LONGER, f"{seconds * 1000:.0f}ms")


async def wait_for_locks(seconds: float) -> None:
    """Have the current transaction wait so long for each lock, and fail by LockNotAvailableError then."""
    await execute(WAIT_FOR_LOCKS, f"{seconds * 1000:.0f}ms")


R = TypeVar("R", covariant=True)
# A Protocol of a row's columns. As a callable, since mypy takes no Protocol for a `type[R]`.
RowShape: TypeAlias = Callable[[], R]


@cache
def _columns_of(shape: Callable[[], object]) -> frozenset[str]:
    """Return the columns that a row's Protocol and those that it extends name."""
    own = [base for base in inspect.getmro(cast(type, shape)) if base.__module__ not in ("builtins", "typing")]
    names = (name for base in own for name in (*inspect.get_annotations(base), *vars(base)))
    return frozenset(name for name in names if not name.startswith("_"))


@lru_cache(maxsize=1024)
def _check_columns(shape: Callable[[], object], columns: tuple[str, ...]) -> None:
    missing = _columns_of(shape).difference(columns)
    if missing:
        raise TypeError(f"A row has no {', '.join(sorted(missing))}, which {shape!r} names.")


def _statement(first: str | RowShape[R], values: tuple[object, ...]) -> tuple[RowShape[R] | None, tuple[object, ...]]:
    """Return the shape of the rows, if it is named, and the statement with its values."""
    return (None, (first, *values)) if isinstance(first, str) else (first, values)


@overload
async def fetch(sql: str, /, *values: object, timeout: float | None = None) -> Sequence[Row]: ...


@overload
async def fetch(shape: RowShape[R], sql: str, /, *values: object, timeout: float | None = None) -> Sequence[R]: ...


async def fetch(
    first: str | RowShape[R], /, *values: object, timeout: float | None = None
) -> Sequence[Row] | Sequence[R]:
    """Return all rows of a statement, on the current connection; `timeout` (seconds) in place of the pool's.

    Where a Protocol comes first, mypy checks what is read of the rows, and a row that lacks one of its columns raises
    TypeError.
    """
    shape, statement = _statement(first, values)
    async with client().acquire_connection() as connection, _allowing(connection, timeout):
        rows: Sequence[Row] = await connection.fetch(*statement, timeout=timeout)
    if shape is not None and rows:
        _check_columns(shape, tuple(rows[0].keys()))
    return rows


@overload
async def fetch_row(sql: str, /, *values: object, timeout: float | None = None) -> Row | None: ...


@overload
async def fetch_row(shape: RowShape[R], sql: str, /, *values: object, timeout: float | None = None) -> R | None: ...


async def fetch_row(first: str | RowShape[R], /, *values: object, timeout: float | None = None) -> Row | R | None:
    """Return the first row of a statement, or None; a Protocol may come first, as of `fetch`."""
    shape, statement = _statement(first, values)
    async with client().acquire_connection() as connection, _allowing(connection, timeout):
        row: Row | None = await connection.fetchrow(*statement, timeout=timeout)
    if shape is not None and row is not None:
        _check_columns(shape, tuple(row.keys()))
    return row


async def plan_for_any_values() -> None:
    """Have the statements of the current transaction planned for any values, not for those that they are given.

    Where a workspace is newer than PostgreSQL's statistics, its rows are taken for none: a plan for this workspace
    reads all of them for each row that it looks up, one for any workspace goes by the index that finds a single row.
    """
    await execute("SET LOCAL plan_cache_mode = force_generic_plan")


async def join_in_one_pass() -> None:
    """Have the statements of the current transaction join whole tables by hash, not read one for each row of the other.

    For statements over all rows of something large that PostgreSQL's statistics may not know yet.
    """
    await execute("SET LOCAL enable_nestloop = off")


async def fetch_value(sql: str, *values: object) -> Any:
    """Fetch the first column of the first row, or None."""
    async with client().acquire_connection() as connection:
        return await connection.fetchval(sql, *values)


async def execute(sql: str, *values: object, timeout: float | None = None) -> int:
    """Run a statement; the number of rows it changed. `timeout` (seconds) is in place of the pool's."""
    async with client().acquire_connection() as connection, _allowing(connection, timeout):
        status: str = await connection.execute(sql, *values, timeout=timeout)
        tail = status.rsplit(" ", 1)[-1]
        return int(tail) if tail.isdigit() else 0


def _copies_into() -> str | None:
    """Return the schema of a table that is copied into: COPY takes no view, as which a sandbox with a clock sees it."""
    return None if present.moment() is None else "public"


async def copy_rows(table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """COPY rows into a table, on the current connection."""
    async with client().acquire_connection() as connection:
        await connection.copy_records_to_table(table, records=rows, columns=columns, schema_name=_copies_into())


# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": signature, flags, no header extension.
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"


async def copy_encoded(table: str, columns: Sequence[str], pieces: Iterable[bytes]) -> None:
    """COPY rows that are encoded already into a table, on the current connection; a piece is any number of rows.

    A row is `encode_row_head` and then `encode_field` of each column.
    """

    async def stream() -> AsyncIterator[bytes]:
        yield _COPY_HEAD
        for piece in pieces:
            yield piece
        yield _COPY_END

    async with client().acquire_connection() as connection:
        await connection.copy_to_table(
            table, source=stream(), columns=columns, format="binary", schema_name=_copies_into()
        )


def _executor(url: str) -> Executor:
    return Executor(client(), tortoise_config(url)["apps"])


async def migrate(database_url: str) -> list[str]:
    """Bring the schema up to date; the names of the migrations applied. Safe to call from many processes at once."""
    async with (
        connected(database_url, pool_size=3, statement_seconds=MIGRATION_SECONDS, limits=MIGRATION_LIMITS),
        client().acquire_connection() as guard,
    ):
        # Not by a statement that waits: CREATE INDEX CONCURRENTLY waits for every statement that began before it.
        while not await guard.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATION_LOCK):  # noqa: ASYNC110
            await asyncio.sleep(MIGRATION_PAUSE_SECONDS)
        try:
            plan = await _executor(database_url).plan(None)
            if plan:
                # Views keep the columns that they show from being changed.
                await execute(clock_schema.DROP)
            await _apply_all(database_url)
            if not await fetch_value(clock_schema.IS_THERE):
                await _make_clock_schema()
            return [step.migration.name for step in plan]
        finally:
            await guard.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)


async def _make_clock_schema() -> None:
    tables = [(row.name, row.is_scoped) for row in await fetch(clock_schema.TABLES)]
    async with transaction():
        for statement in clock_schema.statements(tables):
            await execute(statement)


async def _apply_all(database_url: str) -> None:
    for attempt in range(1, MIGRATION_TRIES + 1):
        try:
            await _executor(database_url).migrate(None)
            return
        except asyncpg.DeadlockDetectedError:
            if attempt == MIGRATION_TRIES:
                raise


async def pending_migrations(database_url: str) -> list[str]:
    """Return the names of migrations not yet applied to the connected database."""
    return [step.migration.name for step in await _executor(database_url).plan(None)]


async def model_changes() -> list[str]:
    """Return what the models say that the migrations do not: the operations of the migration that is missing."""
    config = tortoise_config("postgresql://")
    async with TortoiseContext() as context:
        await context.init(config=config, init_connections=False)
        assert context.apps is not None
        writers = await MigrationAutodetector(context.apps, config["apps"]).changes()
        return [operation.describe() for writer in writers for operation in writer.operations]
