"""Open connections to PostgreSQL as DATABASE_URL says; refuse poolers that share a connection."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TypeAlias

import asyncpg

from msvs import pooled
from msvs.dsn import KEEPALIVE_OPTIONS, Dsn, Host, read_dsn
from msvs.settings import SettingsError

Connection: TypeAlias = asyncpg.Connection

# Where a pooler gives each transaction any server, two connections meet on one at the first or second try.
TRIES = 5
# What a pooler in statement mode says of BEGIN.
STATEMENT_MODE = "statement pooling"
POOLER_SECONDS = 10.0
TRANSACTION_POOLING = (
    "DATABASE_URL leads to a pooler that shares connections by transaction or statement; "
    "in transaction mode, add pool_mode=transaction to its parameters and name PostgreSQL itself in "
    "DATABASE_DIRECT_URL; else set pool_mode = session for this database"
)
STATEMENT_POOLING = (
    "DATABASE_URL leads to a pooler that shares connections by statement; "
    "set pool_mode = transaction or session for this database"
)
SET_CONFIG = "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS wanted (name, value)"
# Of several hosts, how long one is waited for before the next is tried beside it.
HEAD_START_SECONDS = 0.3
# What PostgreSQL says with a COMMIT that it then reports as done: this server has it, and its standby may not.
UNCONFIRMED = "canceling wait for synchronous replication"


class ServiceConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that takes no COMMIT for done which could still be lost, and knows when its server was demoted."""

    __slots__ = ("is_demoted",)

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)
        # A server that was demoted under it, such as by a failover, only reads from now on.
        self.is_demoted = False

    def _process_log_message(self, fields: Mapping[str, str], last_query: str) -> None:
        # At once, before the answer to the statement: its caller meets a lost connection, as of a server that died
        # before it could answer.
        if fields.get("M", "").startswith(UNCONFIRMED):
            self.terminate()
            return
        super()._process_log_message(fields, last_query)

    async def _do_execute(self, *arguments: object, **options: object) -> object:
        try:
            return await super()._do_execute(*arguments, **options)
        except asyncpg.ReadOnlySQLTransactionError:
            self.is_demoted = True
            raise


class PoolerRefused(SettingsError):
    """The pooler before PostgreSQL gives a session's statements, or a transaction's, to several servers."""


class Pooling(Enum):
    """What is between a process and PostgreSQL."""

    # Nothing, or a pooler in session mode.
    SESSION = 1
    # A pooler in transaction mode, which prepares statements on each server or does not.
    PREPARING = 2
    PARSING = 3
    # What cannot be used.
    UNTOLD = 4
    BY_STATEMENT = 5


REFUSALS: Mapping[Pooling, str] = {
    Pooling.UNTOLD: TRANSACTION_POOLING,
    Pooling.BY_STATEMENT: STATEMENT_POOLING,
}


def end_process() -> None:
    """End this process as SIGTERM does, where it is one that goes on until then."""
    if signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN, None):
        signal.raise_signal(signal.SIGTERM)


# URL → what is there, as found out once a process.
_found: dict[str, Pooling] = {}


def refusal() -> str | None:
    """Return why this process must not go on, or None."""
    return next((REFUSALS[each] for each in _found.values() if each in REFUSALS), None)


def pooling(database_url: str) -> Pooling | None:
    """Return what was found behind a URL by this process; None before its first connection."""
    return _found.get(database_url)


def forget() -> None:
    """Forget which poolers share connections: the next connection finds out again."""
    _found.clear()


async def connect(
    database_url: str,
    *,
    application_name: str = "msvs",
    end: Callable[[], None] = end_process,
    **options: object,
) -> Connection:
    """Open a connection; where it turns out to be refused for good, `end` is called once.

    Raises SettingsError, PoolerRefused, and what asyncpg and the system raise.
    """
    dsn = read(database_url, application_name)
    if dsn.by_transaction:
        if database_url not in _found:
            _settle(database_url, await _ask_pooler(dsn), end)
        _refuse(database_url)
        kind = options.pop("connection_class", None) or pooled.by_transaction(ServiceConnection, {})
        prepares = _found[database_url] is Pooling.PREPARING
        caching = {} if prepares else {"statement_cache_size": 0}
        return await _open(dsn, connection_class=kind, **caching, **options)
    connection = await _open(dsn, **options)
    try:
        if database_url not in _found:
            is_shared = await _is_shared(dsn, connection)
            _settle(database_url, Pooling.UNTOLD if is_shared else Pooling.SESSION, end)
        _refuse(database_url)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _settle(database_url: str, found: Pooling, end: Callable[[], None]) -> None:
    _found[database_url] = found
    if found in REFUSALS:
        end()


def _refuse(database_url: str) -> None:
    if _found[database_url] in REFUSALS:
        raise PoolerRefused(REFUSALS[_found[database_url]])


def read(database_url: str, application_name: str = "msvs") -> Dsn:
    """Read DATABASE_URL. Raises SettingsError."""
    try:
        return read_dsn(database_url, application_name=application_name)
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None


# URL → the host of several that answered last as was wanted.
_last_hosts: dict[str, Host] = {}


async def _open(dsn: Dsn, **options: object) -> Connection:
    options = {"timeout": dsn.timeout, "connection_class": ServiceConnection} | options
    options |= {"server_settings": {"application_name": dsn.application_name}, "target_session_attrs": dsn.target}
    try:
        connection = await (_open_one_of(dsn, options) if dsn.hosts else _open_only(dsn, options))
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None
    try:
        _set_socket(connection, dsn.keepalives)
        if dsn.settings and not dsn.by_transaction:
            # Statements, as a pooler refuses most startup parameters.
            await connection.execute(SET_CONFIG, list(dsn.settings), list(dsn.settings.values()))
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _open_only(dsn: Dsn, options: Mapping[str, object]) -> Connection:
    opened: Connection = await asyncpg.connect(dsn.text, **options)
    return opened


async def _open_one_of(dsn: Dsn, options: Mapping[str, object]) -> Connection:
    """Open a connection to the first of several hosts that is as wanted, the last that was so first.

    One that says nothing holds nobody up: the next is tried beside it.
    """
    last = _last_hosts.get(dsn.text)
    waiting = sorted(dsn.hosts, key=lambda host: host != last)
    opening: dict[asyncio.Task[Connection], Host] = {}
    failures: list[BaseException] = []
    opened: Connection | None = None
    try:
        while opened is None and (waiting or opening):
            if waiting:
                host = waiting.pop(0)
                more = {**options, "host": host.name, "port": host.port}
                opening[asyncio.create_task(_open_only(dsn, more))] = host
            head_start = HEAD_START_SECONDS if waiting else None
            done, _ = await asyncio.wait(opening, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                host = opening.pop(task)
                if (failure := task.exception()) is not None:
                    failures.append(failure)
                elif opened is None:
                    opened, _last_hosts[dsn.text] = task.result(), host
                else:
                    task.result().terminate()
    finally:
        await _drop(opening)
    if opened is None:
        # What only says that a host is away, or another's part, says least.
        raise min(failures, key=lambda failure: isinstance(failure, (OSError, asyncpg.InternalClientError)))
    return opened


async def _drop(opening: Iterable[asyncio.Task[Connection]]) -> None:
    tasks = list(opening)
    for task in tasks:
        task.cancel()
    for opened in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(opened, asyncpg.Connection):
            opened.terminate()


def _set_socket(connection: Connection, keepalives: Mapping[str, int]) -> None:
    transport: asyncio.Transport = connection._transport
    opened = transport.get_extra_info("socket")
    if opened is None or opened.family == socket.AF_UNIX:
        return
    for name, value in keepalives.items():
        level, option = KEEPALIVE_OPTIONS[name]
        number = getattr(socket, option, None)  # some are Linux's alone
        if number is not None and (value or name == "keepalives"):
            opened.setsockopt(level, number, value)


async def _ask_pooler(dsn: Dsn) -> Pooling:
    """Return how a pooler that is said to be in transaction mode treats prepared statements."""
    async with asyncio.timeout(POOLER_SECONDS):
        connection = await _open(dsn, statement_cache_size=0)
        try:
            return Pooling.PREPARING if await pooled.is_preparing(connection) else Pooling.PARSING
        except asyncpg.PostgresError as error:
            if STATEMENT_MODE in str(error):
                return Pooling.BY_STATEMENT
            raise
        finally:
            connection.terminate()


async def _is_shared(dsn: Dsn, first: Connection) -> bool:
    """Return whether a pooler gives the transactions of a connection to several servers.

    PostgreSQL names its own process at the start of a session; a pooler makes a number up.
    """
    try:
        if await _server(first) == first.get_server_pid():
            return False
        async with asyncio.timeout(POOLER_SECONDS):
            second = await _open(dsn)
            try:
                return any([await _meet(first, second) for _ in range(TRIES)])
            finally:
                second.terminate()
    except (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError):
        # A statement was prepared on one server and asked for on another.
        return True
    except asyncpg.PostgresError as error:
        # Where it pools by statement, it takes no BEGIN.
        if STATEMENT_MODE in str(error):
            return True
        raise
    except TimeoutError:
        # The second has no server as long as the first keeps one: the pool is small, and it is by session.
        return False


async def _meet(first: Connection, second: Connection) -> bool:
    """Return whether two connections that are both open were given one server, or one of them two."""
    before = await _server(first)
    async with second.transaction():
        held = await _server(second)
        return held == before or await _server(first) != before


async def _server(connection: Connection) -> int:
    pid: int = await connection.fetchval("SELECT pg_backend_pid()")
    return pid
