"""Connections through a pooler in transaction mode, which may give each transaction another server.

Nothing that a session keeps is relied on: limits are set by each transaction for itself, and a statement is prepared on
the server only where the pooler prepares it on every other one too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from secrets import token_hex

import asyncpg

from msvs.dsn import LIMITED

# The first version of PostgreSQL that knows one of them.
SINCE: Mapping[str, int] = {"transaction_timeout": 17}
# How many statements a connection remembers the description of, and for how many seconds: as asyncpg's own cache.
MOST_DESCRIBED = 100
DESCRIBED_SECONDS = 300.0
# Returns a table's columns as they are by now: a migration that adds one changes what such a statement returns.
_stars = re.compile(r"(?:\bSELECT|\bRETURNING|\bALL|[.,)])\s*\*|\bTABLE\s", re.IGNORECASE)

# The names that are prepared on the server, which a pooler that keeps track of them has chosen itself.
OWN_NAME = "SELECT EXISTS (SELECT FROM pg_prepared_statements WHERE name = $1)"


def set_local(limits: Mapping[str, str], major: int) -> str:
    """Return the statements by which a transaction sets its limits, for a major version of PostgreSQL."""
    return "".join(
        " SET LOCAL {} = '{}';".format(name, limits[name].replace("'", "''"))
        for name in LIMITED
        if name in limits and major >= SINCE.get(name, 0)
    )


def returns_all(sql: str) -> bool:
    """Return whether a statement returns columns that it does not name."""
    return _stars.search(sql) is not None


class ByTransaction(asyncpg.Connection):  # type: ignore[misc]
    """A connection that sets the limits of each transaction as it begins, in the same round trip.

    Where the pooler does not prepare statements (`statement_cache_size` is 0), asyncpg would have each statement
    described before each run. Here a description is kept, and a statement is parsed and run in one round trip.
    """

    limits: Mapping[str, str] = {}

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self._described: dict[tuple[object, ...], tuple[object, float]] = {}

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run a statement; BEGIN with the limits of the transaction."""
        if not args and query.startswith("BEGIN"):
            query += set_local(self.limits, self.get_server_version().major)
        status: str = await super().execute(query, *args, timeout=timeout)
        return status

    async def _get_statement(
        self,
        query: str,
        timeout: float | None,
        *,
        named: str | bool | None = False,
        use_cache: bool = True,
        ignore_custom_codec: bool = False,
        record_class: type | None = None,
    ) -> object:
        more = {"named": named, "ignore_custom_codec": ignore_custom_codec, "record_class": record_class}
        if named or not use_cache:
            return await super()._get_statement(query, timeout, use_cache=use_cache, **more)
        if returns_all(query):
            statement = await super()._get_statement(query, timeout, use_cache=False, **more)
            statement.mark_unprepared()
            return statement
        if self._stmt_cache_enabled:
            return await super()._get_statement(query, timeout, **more)
        key = (query, record_class, ignore_custom_codec)
        known, until = self._described.pop(key, (None, 0.0))
        if known is None or time.monotonic() > until:
            known, until = await super()._get_statement(query, timeout, **more), time.monotonic() + DESCRIBED_SECONDS
        self._described[key] = known, until
        if len(self._described) > MOST_DESCRIBED:
            del self._described[next(iter(self._described))]
        return known


def by_transaction(kind: type[asyncpg.Connection], limits: Mapping[str, str]) -> type[asyncpg.Connection]:
    """Return the class of connections of a `kind` that set `limits` in each transaction."""
    return type("TransactionConnection", (ByTransaction, kind), {"limits": dict(limits)})


async def is_preparing(connection: asyncpg.Connection) -> bool:
    """Return whether the pooler prepares a client's statements on each server that it gives to the client.

    One that does, as PgBouncer since 1.21 with `max_prepared_statements`, names them in its own way there. Raises what
    PostgreSQL and the pooler raise: one in statement mode takes no transaction.
    """
    name = f"msvs_{token_hex(8)}"
    async with connection.transaction():
        # Held, as asyncpg has the server forget what is not.
        prepared = await connection.prepare("SELECT 1", name=name)
        if not await connection.fetchval(OWN_NAME, name):
            return True
        await connection.execute(f"DEALLOCATE {prepared.get_name()}")
    return False
