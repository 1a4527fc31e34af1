"""Run all checks of a deployment, each by itself: what cannot be reached fails its own checks alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError
from tortoise.exceptions import BaseORMException

from msvs import connections, database, logs, redis_connections
from msvs.doctor import availability, billing, engines, machine, network
from msvs.doctor.findings import Finding, error, skipped
from msvs.settings import Settings, SettingsError

# What a single check may take.
CHECK_SECONDS = 30.0
LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, BaseORMException)


async def examine(settings: Settings, *, backups: Path | None = None, backup_hours: int = 26) -> list[Finding]:
    """Return what all checks find. `settings` name both engines, or those that do not run are None."""
    found = [
        *machine.check_settings(settings),
        *machine.check_versions(),
        *machine.check_disk(settings.data_dir),
    ]
    redis = (
        None if settings.redis_url is None else redis_connections.connect_async(settings.redis_url, socket_timeout=5)
    )
    try:
        found += await _examine_redis(settings, redis)
        found += await _examine_database(settings, redis)
        found += machine.check_backups(backups, backup_hours)
        for name, check in (
            ("dns", network.check_dns(settings)),
            ("public url", network.check_public_url(settings)),
            ("mail", network.check_mail(settings)),
            ("billing", billing.check_billing(settings)),
        ):
            found += await _collect(name, check)
    finally:
        if redis is not None:
            await redis.aclose()
    return found


async def _examine_redis(settings: Settings, redis: Redis | None) -> list[Finding]:
    if redis is None:
        return [error("redis", "REDIS_URL is not set, and nothing runs on DATA_DIR", "set REDIS_URL")]
    try:
        await redis.ping()
    except (RedisError, OSError) as failure:
        sentinels = await _collect("sentinels", availability.check_sentinels(settings))
        return [
            *sentinels,
            error("redis", f"cannot be reached ({type(failure).__name__})", "check REDIS_URL, and start Redis"),
        ]
    found = await _collect("redis", engines.check_redis(redis, sells=settings.stripe_key is not None))
    return found + await _collect("sentinels", availability.check_sentinels(settings))


async def _examine_database(settings: Settings, redis: Redis | None) -> list[Finding]:
    url = settings.database_url
    if url is None:
        return [error("postgresql", "DATABASE_URL is not set, and nothing runs on DATA_DIR", "set DATABASE_URL")]
    try:
        settings.require_session()
        owner = await _ask_owner(settings)
        async with database.connected(url, pool_size=2, is_inner=True):
            found = await _collect("postgresql", engines.check_postgresql(url))
            for name, check in (
                ("roles", engines.check_roles(owner)),
                ("connections", engines.check_connections(settings, redis)),
                ("standby", availability.check_standby(settings)),
                ("replicas", engines.check_replicas(settings)),
                ("backups", engines.check_archiving()),
                ("secret key", engines.check_secret_key(settings)),
                # The process that holds a carrier's binds says in the database how they are.
                ("carriers", network.check_carriers(settings)),
            ):
                found += await _collect(name, check)
            # Nothing to say where nothing waits.
            found += [each for each in await _collect("billing", billing.check_unsettled(settings)) if each.action]
            return found
    except connections.PoolerRefused as failure:
        return [error("pooler", str(failure), "name it in DATABASE_URL, or set pool_mode = session")]
    except SettingsError as failure:
        return [error("postgresql", str(failure), "correct the URLs of PostgreSQL")]
    except LOST as failure:
        return [error("postgresql", f"cannot be used: {_tell(failure)}", "check DATABASE_URL, and start PostgreSQL")]


async def _ask_owner(settings: Settings) -> Mapping[str, object] | None:
    """Return the answer to OWNER of the role that owns the tables, where it is given."""
    if settings.migrations_database_url is None:
        return None
    connection = await connections.connect(settings.migrations_database_url)
    try:
        return dict(await connection.fetchrow(engines.OWNER))
    finally:
        await connection.close()


async def _collect(name: str, check: AsyncIterator[Finding]) -> list[Finding]:
    """Return what a check finds; one that fails or hangs says so in its place."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            async for finding in check:
                found.append(finding)
    except connections.PoolerRefused:
        raise
    except TimeoutError:
        found.append(error(name, f"no answer within {CHECK_SECONDS:.0f} s", "look for what it waits for"))
    except (*LOST, RedisError, SettingsError) as failure:
        with suppress(StopAsyncIteration):
            found.append(error(name, f"the check failed: {_tell(failure)}", "look at the log of the engine"))
    return found or [skipped(name, "nothing to check")]


def _tell(failure: Exception) -> str:
    """Return an error without the values of rows and without credentials."""
    cause = failure.__cause__ if isinstance(failure.__cause__, Exception) else failure
    return logs.mask(f"{type(cause).__name__}: {logs.message_of(cause)}")
