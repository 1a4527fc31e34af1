"""The owner of the tests' tables: the service's role, which tests work as, has rights on rows alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg

from msvs import connections
from msvs import database as db

# What is append-only refuses every DELETE but that of tests which have said, for their transaction, that they empty it.
MAY_EMPTY = "SET LOCAL msvs_tests.may_empty = 'yes'"
REFUSE_ALL_BUT_THAT = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' OR current_setting('msvs_tests.may_empty', true) IS DISTINCT FROM 'yes' THEN
        RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$
"""


class Owner:
    """The URL of the tests' database for the owner of its tables, and a connection that is kept."""

    url: str
    connection: asyncpg.Connection


@asynccontextmanager
async def owned(url: str) -> AsyncIterator[None]:
    """Keep a connection of the owner's open for the tests of this process."""
    Owner.url, Owner.connection = url, await connections.connect(url, record_class=db.Row)
    try:
        yield
    finally:
        await Owner.connection.close()


async def let_tests_empty(url: str) -> None:
    """Let the tests of a database empty what is append-only, by MAY_EMPTY."""
    connection = await connections.connect(url)
    try:
        await connection.execute(REFUSE_ALL_BUT_THAT)
    finally:
        await connection.close()


def as_owner(*, pool_size: int = 2) -> AbstractAsyncContextManager[None]:
    """Run what the block does in the database as the owner of the tables, such as what no process of ours may."""
    return db.connected(Owner.url, pool_size=pool_size, is_inner=True)


async def run_as_owner(statement: str, *values: object) -> None:
    """Run one statement as the owner of the tables."""
    await Owner.connection.execute(statement, *values)
