"""The two roles of the database: the owner changes tables, and the service's role only reads and writes rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import asyncpg

from msvs import connections

OWNER = "msvs_owner"
SERVICE = "msvs_service"
# What the service never changes, or never deletes, in tables that only grow. Erasing a person changes consent and what
# the virtual carrier took; retention takes away authentications that are old.
KEPT = {
    "ledger_entries": "UPDATE, DELETE",
    "audit_entries": "UPDATE, DELETE",
    "operator_entries": "UPDATE, DELETE",
    "authentication_entries": "UPDATE",
    "consent_events": "UPDATE, DELETE",
    "virtual_submissions": "DELETE",
    "tortoise_migrations": "INSERT, UPDATE, DELETE",
}
# All that an erasure takes from an entry of consent.
ERASED_OF_CONSENT = ("phone", "ip", "user_agent", "text", "erased_at")
# Tables that a role may not read, may change beyond rows, or may change although they only grow.
WRONG_RIGHTS = """
SELECT EXISTS (
    SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)
        AND (
            NOT has_table_privilege($1, oid, 'SELECT')
            OR NOT relispartition AND has_table_privilege($1, oid, 'TRUNCATE')
            OR relname = ANY ($2) AND has_table_privilege($1, oid, 'DELETE')
            OR relname = ANY ($3) AND has_table_privilege($1, oid, 'UPDATE')
        )
)
"""
# What differs of the settings that new sessions of the role begin with in this database.
DIFFERING = """
SELECT quote_ident(name) AS name, quote_literal(value) AS value
FROM unnest($1::text[], $2::text[]) AS wanted (name, value)
WHERE current_setting(name, true) IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_db_role_setting WHERE setconfig @> ARRAY[name || '=' || value]
        AND setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
        AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
)
"""
NAMES = "SELECT current_user AS role, quote_ident(current_database()) AS database"


def grants(role: str, database: str) -> Iterator[str]:
    """Return the statements, for the owner to run, that give a role rights on rows and nothing else."""
    yield f"GRANT CONNECT ON DATABASE {database} TO {role}"
    yield f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}"
    yield f"GRANT USAGE ON SCHEMA public TO {role}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    yield (f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}")
    yield f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO {role}"
    for table, rights in KEPT.items():
        yield f"REVOKE {rights} ON {table} FROM {role}"
    yield f"GRANT UPDATE ({', '.join(ERASED_OF_CONSENT)}) ON consent_events TO {role}"


def recipe(database: str, *, owner: str = OWNER, service: str = SERVICE) -> str:
    """Return what an administrator runs once, on a server of their own, before the first migration."""
    return f"""\
-- As an administrator, in any database of the server. Choose passwords of your own.
CREATE ROLE {owner} LOGIN PASSWORD 'change-me';
CREATE ROLE {service} LOGIN PASSWORD 'change-me-too';
CREATE DATABASE {database} OWNER {owner} ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {service};
-- Then set MIGRATIONS_DATABASE_URL to {owner}'s URL and DATABASE_URL to {service}'s, and run `msvs migrate`: as the
-- owner it makes the tables, and gives {service} these rights, with those on the tables of later versions:
{"".join(f"--   {each};{chr(10)}" for each in grants(service, database))}"""


async def grant_rows(owner_url: str, service_url: str) -> bool:
    """Give the service's role rights on rows, where it is another than the owner and lacks some. Return whether so.

    Raises what the connections raise.
    """
    role = await _role(service_url)
    owner = await connections.connect(owner_url)
    try:
        names = await owner.fetchrow(NAMES)
        if names["role"] == role:
            return False
        kept = ([table for table, rights in KEPT.items() if right in rights] for right in ("DELETE", "UPDATE"))
        if not await owner.fetchval(WRONG_RIGHTS, role, *kept):
            return False
        async with owner.transaction():
            for statement in grants(_quoted(role), names["database"]):
                await owner.execute(statement)
        return True
    finally:
        await owner.close()


async def keep_limits(service_url: str, limits: Mapping[str, str]) -> bool:
    """Have new sessions of the service's role begin with its limits on statements. Return whether that is new.

    Behind a pooler in transaction mode no process can tell its sessions, and a statement that is no transaction of its
    own words has no other limits. Raises what the connection raises.
    """
    connection = await connections.connect(service_url)
    try:
        found = await connection.fetch(DIFFERING, list(limits), list(limits.values()))
        database = (await connection.fetchrow(NAMES))["database"]
        for each in found:
            await connection.execute(
                f"ALTER ROLE CURRENT_USER IN DATABASE {database} SET {each['name']} = {each['value']}"
            )
        return bool(found)
    finally:
        await connection.close()


async def _role(url: str) -> str:
    connection: asyncpg.Connection = await connections.connect(url)
    try:
        role: str = await connection.fetchval("SELECT current_user")
        return role
    finally:
        await connection.close()


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else '"' + name.replace('"', '""') + '"'
