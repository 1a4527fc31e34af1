"""What statements read: every one of an operation is explained on the rows there are, and then run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from msvs import database as db
from msvs.api.context import Context

METHODS = ("fetch", "fetchrow", "fetchval", "execute")
EXPLAINED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
SCANS = frozenset(
    ("Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan", "Tid Scan", "Tid Range Scan")
)
REMOVED = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
COMPARED = "Rows Removed by Join Filter"
BUFFERS = ("Shared Hit Blocks", "Shared Read Blocks")


@dataclass(frozen=True)
class Statement:
    """A statement that ran, the rows its scans read or its joins compared, and the buffers it touched."""

    sql: str
    rows: int
    buffers: int


@dataclass
class Reading:
    """The statements of an operation."""

    statements: list[Statement] = field(default_factory=list)

    @property
    def most(self) -> Statement:
        """The one that read the most rows."""
        return max(self.statements, key=lambda statement: statement.rows)

    def check(self, rows: int, buffers: int | None = None) -> None:
        """Assert that no statement read more than so many rows, or touched more than so many buffers."""
        assert self.statements, "nothing was read"
        for statement in self.statements:
            is_over = statement.rows > rows or (buffers is not None and statement.buffers > buffers)
            assert not is_over, f"{statement.rows} rows, {statement.buffers} buffers: {statement.sql}"


@contextmanager
def reading(monkeypatch: pytest.MonkeyPatch, *, is_generic: bool = False) -> Iterator[Reading]:
    """Note what every statement reads within the block; what explaining it changes is rolled back.

    `is_generic`: by the plan for any values, which a connection takes from the sixth time on.
    """
    explain = _explain_generic if is_generic else _explain
    found = Reading()

    def explain_first(method: str) -> None:
        run = getattr(asyncpg.Connection, method)

        async def explained(self: Any, query: str, *values: Any, **options: Any) -> Any:
            if query.lstrip("( \n").startswith(EXPLAINED):
                is_for_any = await fetchval(self, "SHOW plan_cache_mode") == "force_generic_plan"
                how = _explain_generic if is_for_any else explain
                found.statements.append(await how(self, run if method == "fetchval" else fetchval, query, values))
            return await run(self, query, *values, **options)

        patch.setattr(asyncpg.Connection, method, explained)

    fetchval = asyncpg.Connection.fetchval
    with monkeypatch.context() as patch:
        for method in METHODS:
            explain_first(method)
        yield found


async def _explain(connection: Any, fetchval: Any, query: str, values: Sequence[Any]) -> Statement:
    transaction = connection.transaction()
    await transaction.start()
    try:
        plan = await fetchval(connection, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", *values)
    finally:
        await transaction.rollback()
    return _read(query, plan)


async def _explain_generic(connection: Any, fetchval: Any, query: str, values: Sequence[Any]) -> Statement:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await fetchval(connection, "SET LOCAL plan_cache_mode = force_generic_plan")
        await fetchval(connection, f"PREPARE explained AS {query}")
        given = f"({', '.join(map(_literal, values))})" if values else ""
        plan = await fetchval(connection, f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE explained{given}")
    finally:
        await transaction.rollback()
        await fetchval(connection, "DEALLOCATE explained")
    return _read(query, plan)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, (list, tuple)):
        return _quoted("{" + ", ".join("NULL" if each is None else _element(str(each)) for each in value) + "}")
    if isinstance(value, dict):
        return _quoted(msgspec.json.encode(value).decode())
    return _quoted(str(value))


def _element(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _read(query: str, plan: Any) -> Statement:
    top = (msgspec.json.decode(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    rows = sum(_rows(node) for node in _nodes(top))
    return Statement(query, rows, sum(top.get(name, 0) for name in BUFFERS))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", ()):
        yield from _nodes(inner)


def _rows(node: dict[str, Any]) -> int:
    compared = int(node.get(COMPARED, 0) * node["Actual Loops"])
    if node["Node Type"] not in SCANS:
        return compared
    each = node["Actual Rows"] + sum(node.get(name, 0) for name in REMOVED)
    return int(each * node["Actual Loops"]) + compared


# Ids of this moment, so that rows lie in the partition of this month.
NEW_ID = "(substr(id_floor(now())::text, 1, 14) || substr(gen_random_uuid()::text, 15))::uuid"
MESSAGES = f"""
INSERT INTO messages (id, workspace_id, livemode, kind, campaign_id, contact_id, to_phone, sender, body, encoding,
    segments, credits_used, status, metadata, due_at, created_at, sent_at, opted_out, attempt_count, claim_token,
    lease_until, carrier, handed_at)
SELECT {NEW_ID}, $1, $2, CASE WHEN $3::uuid IS NULL THEN 'api' ELSE 'campaign' END, $3, $9::uuid,
    '+1212' || lpad((5000000 + number)::text, 7, '0'), $4::varchar, 'Hi', 'GSM7', 1, 0, $5::varchar, '{{}}',
    now() - interval '1 hour' + number * interval '1 ms', now(),
    CASE WHEN $5::varchar = 'sent' THEN now() END, false, 1,
    CASE WHEN $5::varchar = 'sending' THEN gen_random_uuid() END, $6::timestamptz, $7::varchar,
    CASE WHEN $5::varchar = 'sending' THEN now() END
FROM generate_series(1, $8::int) AS number
"""


async def make_messages(
    ctx: Context,
    number: int,
    status: str,
    *,
    sender: str = "SLOWPOKE",
    campaign_id: UUID | None = None,
    lease_until: datetime | None = None,
    carrier: str | None = None,
    contact_id: UUID | None = None,
) -> None:
    """Write many messages of a status at once, due one after the other an hour ago."""
    values = (campaign_id, sender, status, lease_until, carrier, number, contact_id)
    await db.execute(MESSAGES, ctx.workspace_id, ctx.livemode, *values)
