"""Checks of high availability: PostgreSQL's standby, and Redis's Sentinels."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from msvs import connections, database, redis_connections
from msvs.doctor.findings import Finding, error, ok, skipped, warning
from msvs.redis_url import Sentinels, read_sentinels
from msvs.settings import Settings

# Fewer know no majority once one is gone.
FEWEST_SENTINELS = 3
# A role without pg_monitor sees that standbys are there, and not how they are.
STANDBYS = """
SELECT current_setting('synchronous_standby_names') AS names, current_setting('synchronous_commit') AS commits,
    pg_has_role('pg_monitor', 'USAGE') AS sees, pg_is_in_recovery() AS is_standby, current_user AS role,
    count(pid) AS standbys,
    count(*) FILTER (WHERE state = 'streaming' AND sync_state IN ('sync', 'quorum')) AS synchronous
FROM (SELECT) AS one LEFT JOIN pg_stat_replication ON true
"""
SURE = ("on", "remote_apply")


async def check_standby(settings: Settings) -> AsyncIterator[Finding]:
    """Check that commits wait for a synchronous standby that is there, so that a failover loses nothing."""
    assert settings.database_url is not None
    row = await database.fetch_row(STANDBYS)
    assert row is not None
    for finding in judge_standby(dict(row), hosts=len(connections.read(settings.database_url).hosts)):
        yield finding


def judge_standby(row: Mapping[str, object], *, hosts: int) -> Iterator[Finding]:
    """Judge what a PostgreSQL says of its standbys; `hosts` is how many DATABASE_URL names, 0 for one."""
    if row["is_standby"]:
        yield error("standby", "DATABASE_URL leads to a standby, which is only read", "name the primary, or all hosts")
        return
    if not row["names"] and not row["standbys"] and not hosts:
        yield skipped("standby", "one PostgreSQL: nothing to fail over to")
        return
    if not row["names"]:
        yield error(
            "standby",
            "synchronous_standby_names is empty: a failover may lose what was accepted",
            "set it, or Patroni's synchronous_mode: true",
        )
        return
    if row["commits"] not in SURE:
        yield error(
            "standby",
            f"synchronous_commit is {row['commits']}: a failover may lose what was accepted",
            "set synchronous_commit = on",
        )
        return
    if not row["sees"]:
        yield warning(
            "standby",
            f"{row['role']} cannot see whether the synchronous standby is streaming",
            f"GRANT pg_monitor TO {row['role']}",
        )
    elif not row["synchronous"]:
        yield error("standby", "no synchronous standby is streaming: commits wait for one", "start it, or read its log")
    else:
        yield ok(
            "standby", f"{row['synchronous']} synchronous standby is streaming; synchronous_commit = {row['commits']}"
        )
    if not hosts:
        yield warning(
            "standby",
            "DATABASE_URL names one host: whether it follows a failover is up to that name",
            "name all hosts (postgresql://user:password@db1,db2/msvs), unless a proxy leads there",
        )


async def check_sentinels(settings: Settings) -> AsyncIterator[Finding]:
    """Check that each Sentinel answers, and that they agree to fail over."""
    sentinels = read_sentinels(settings.redis_url or "")
    if sentinels is None:
        yield skipped("sentinels", "REDIS_URL names one server")
        return
    told = {f"{host}:{port}": await _ask(sentinels, host, port) for host, port in sentinels.hosts}
    for finding in judge_sentinels(told, sentinels.master):
        yield finding


async def _ask(sentinels: Sentinels, host: str, port: int) -> str:
    """Return what a Sentinel says of its quorum, or why it says nothing."""
    client = redis_connections.connect_sentinel(sentinels, host, port)
    try:
        # In two words, as redis-py takes "OK 3 usable Sentinels" for none.
        answer = await client.execute_command("SENTINEL", "CKQUORUM", sentinels.master)  # type: ignore[no-untyped-call]
        return str(answer)
    except (RedisError, OSError) as failure:
        return f"{type(failure).__name__}: {failure}"
    finally:
        with suppress(RedisError, OSError):
            await client.aclose()


def judge_sentinels(told: Mapping[str, str], master: str) -> Iterator[Finding]:
    """Judge the answers of Sentinels, by their addresses, to SENTINEL CKQUORUM."""
    good: Sequence[str] = [place for place, answer in told.items() if answer.startswith(("OK", "b'OK"))]
    for place in told.keys() - set(good):
        reason = told[place].partition(":")[0]
        yield error(
            "sentinels", f"{place} does not watch {master} with a quorum ({reason})", "start it, or read its log"
        )
    if len(told) < FEWEST_SENTINELS:
        yield warning(
            "sentinels",
            f"REDIS_URL names {len(told)} Sentinels: when one is gone, the rest may be no majority",
            f"run {FEWEST_SENTINELS} on machines of their own, and name them all",
        )
    if len(good) == len(told):
        yield ok("sentinels", f"{len(good)} watch {master}, and agree to fail over")
