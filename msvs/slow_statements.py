"""The log of slow statements: what took long, where it was asked, and never a value that it was given."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Awaitable, Iterable, Iterator
from functools import lru_cache
from types import FrameType, ModuleType
from typing import TypeVar

import asyncpg
import structlog

from msvs.connections import ServiceConnection

T = TypeVar("T")

log = structlog.get_logger(__name__)

# Functions of these modules run the statements of others.
PASS_ON = frozenset(("msvs.api.pages", "msvs.api.scope", "msvs.database", "msvs.looks", "msvs.pool", __name__))
# What is shorter, such as COMMIT, is no constant's.
LEAST_CONSTANT = 16
_verb = re.compile(r"(?:\s|--[^\n]*\n)*([A-Za-z]+)")
_table = re.compile(r'\b(?:FROM|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?"?([a-z_][a-z0-9_.]*)"?', re.IGNORECASE)


def watching(milliseconds: float) -> type[asyncpg.Connection]:
    """Return the class of connections that log each statement which takes longer; the plain one for 0, at no cost."""
    if milliseconds <= 0:
        return ServiceConnection
    return type("WatchedConnection", (Watched,), {"__slots__": (), "slow_seconds": milliseconds / 1000})


class Watched(ServiceConnection):
    """A connection that times each statement, also those of transactions and of Tortoise."""

    __slots__ = ()

    slow_seconds = float("inf")

    async def execute(self, query: str, *args: object, timeout: float | None = None) -> str:
        """Run a statement."""
        return await self._timed(query, super().execute(query, *args, timeout=timeout))

    async def executemany(self, command: str, args: Iterable[object], *, timeout: float | None = None) -> None:
        """Run a statement once for each of the arguments."""
        await self._timed(command, super().executemany(command, args, timeout=timeout))

    async def fetch(
        self, query: str, *args: object, timeout: float | None = None, record_class: type[asyncpg.Record] | None = None
    ) -> list[asyncpg.Record]:
        """Return all rows."""
        return await self._timed(query, super().fetch(query, *args, timeout=timeout, record_class=record_class))

    async def fetchrow(
        self, query: str, *args: object, timeout: float | None = None, record_class: type[asyncpg.Record] | None = None
    ) -> asyncpg.Record | None:
        """Return the first row, if there is one."""
        return await self._timed(query, super().fetchrow(query, *args, timeout=timeout, record_class=record_class))

    async def fetchval(self, query: str, *args: object, column: int = 0, timeout: float | None = None) -> object:
        """Return a value of the first row."""
        return await self._timed(query, super().fetchval(query, *args, column=column, timeout=timeout))

    async def copy_records_to_table(self, table_name: str, **options: object) -> str:
        """COPY records into a table."""
        return await self._timed(f"COPY INTO {table_name}", super().copy_records_to_table(table_name, **options))

    async def copy_to_table(self, table_name: str, **options: object) -> str:
        """COPY encoded rows into a table."""
        return await self._timed(f"COPY INTO {table_name}", super().copy_to_table(table_name, **options))

    async def _timed(self, sql: str, running: Awaitable[T]) -> T:
        began = time.perf_counter()
        try:
            result = await running
        except BaseException as error:
            self._note(sql, began, None, error)
            raise
        self._note(sql, began, result, None)
        return result

    def _note(self, sql: str, began: float, result: object, error: BaseException | None) -> None:
        seconds = time.perf_counter() - began
        if seconds < self.slow_seconds:
            return
        # The request, the job and the workspace are in the context of every line.
        log.warning(
            "slow statement",
            statement=name_of(sql),
            caller=_caller(),
            ms=round(seconds * 1000, 1),
            rows=_rows(result),
            error=None if error is None else type(error).__name__,
        )


@lru_cache(maxsize=1024)
def name_of(sql: str) -> str:
    """Return the name of a statement's constant, which it shares with no other; else its verb and first table."""
    if len(sql) >= LEAST_CONSTANT:
        for module in _own_modules():
            for name, value in list(vars(module).items()):
                if isinstance(value, str) and value == sql:
                    return name
    verb, table = _verb.match(sql), _table.search(sql)
    return " ".join(filter(None, (verb and verb[1].upper(), table and table[1])))


def _own_modules() -> Iterator[ModuleType]:
    return (module for name, module in sorted(sys.modules.items()) if name.startswith("msvs."))


def _caller() -> str | None:
    """Return the function of ours that asked for the statement; None where the loop itself did."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__"))
        if module.startswith("msvs.") and module not in PASS_ON:
            return f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back
    return None


def _rows(result: object) -> int | None:
    """Return how many rows a statement returned or, by its status, changed."""
    if isinstance(result, str):
        tail = result.rsplit(" ", 1)[-1]
        return int(tail) if tail.isascii() and tail.isdigit() else None
    if isinstance(result, list):
        return len(result)
    return 1 if isinstance(result, asyncpg.Record) else None
