"""Metrics of the whole service: waiting work and its age, recent failures, paused campaigns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import asyncpg
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from msvs import database
from msvs.api.dispatch.message_totals import message_totals
from msvs.api.ids import id_at
from msvs.api.notifier import WorkQueue
from msvs.carriers.protocol import Carrier
from msvs.carriers.remote import RemoteCarrier, find_owner
from msvs.replica_reads import Reads

log = structlog.get_logger(__name__)

LATELY = timedelta(minutes=1)
# Scrapers give up after ten seconds.
ENGINE_SECONDS = 4.0
BREAKER_STATES = ("closed", "open", "half_open")
# What the key of a living worker begins with; its queue, a hyphen and the rest of its name follow.
WORKER_KEY = "msvs:worker:"
# The same of a cron whose last tick ended well.
CRON_KEY = "msvs:cron:"
# Once in so long the database is made to write to its disk.
DISK_SECONDS = 30.0
# Rows that do not fit into memory: 16 MB are written to files of the moment, and no table is touched.
WRITE_PROBE = """
WITH lines AS MATERIALIZED (SELECT repeat('x', 8000) AS line FROM generate_series(1, 2048))
SELECT count(*), max(length(line)) FROM lines
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One number, and the labels that tell it from others of its metric."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """A metric: what it is called, what it says, and its numbers."""

    name: str
    help: str
    samples: tuple[Sample, ...]
    kind: str = "gauge"


# Metric → what it says, and the statement that tells it: `value`, and each other column a label. Each reads what waits
# by a partial index, never what is done.
WAITING: Mapping[str, tuple[str, str]] = {
    "messages_waiting": (
        "Messages that are not handed over yet. Campaigns that are paused are apart.",
        """
        SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END AS mode, 'single' AS kind, 'queued' AS status,
            count(*) AS value
        FROM messages WHERE status = 'queued' AND campaign_id IS NULL GROUP BY livemode
        UNION ALL
        SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END, 'campaign',
            CASE WHEN campaigns.status = 'paused' THEN 'paused' ELSE 'queued' END, sum(waiting.messages)
        FROM (
            SELECT campaign_id, count(*) AS messages FROM messages
            WHERE status = 'queued' AND campaign_id IS NOT NULL GROUP BY campaign_id
        ) AS waiting JOIN campaigns ON campaigns.id = waiting.campaign_id GROUP BY 1, 3
        UNION ALL
        SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END,
            CASE WHEN campaign_id IS NULL THEN 'single' ELSE 'campaign' END, status, count(*)
        FROM messages WHERE status = 'scheduled' GROUP BY 1, 2, 3
        UNION ALL
        SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END,
            CASE WHEN campaign_id IS NULL THEN 'single' ELSE 'campaign' END, status, count(*)
        FROM messages WHERE status = 'sending' GROUP BY 1, 2, 3
        """,
    ),
    "messages_overdue_seconds": (
        "How long the message has been due that has been due the longest, and that nothing holds back on purpose.",
        """
        SELECT kind, greatest(coalesce(extract(epoch FROM now() - due_at), 0), 0)::float8 AS value FROM (
            SELECT 'single' AS kind, min(due_at) AS due_at FROM messages
            WHERE status = 'queued' AND campaign_id IS NULL
                AND workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL)
            UNION ALL
            SELECT 'scheduled', min(due_at) FROM messages WHERE status = 'scheduled'
            UNION ALL
            SELECT 'campaign', min(first.due_at) FROM campaigns CROSS JOIN LATERAL (
                SELECT due_at FROM messages WHERE status = 'queued' AND campaign_id = campaigns.id
                ORDER BY due_at LIMIT 1
            ) AS first WHERE campaigns.status IN ('preparing', 'sending')
                AND workspace_id NOT IN (SELECT id FROM workspaces WHERE suspended_at IS NOT NULL)
        ) AS oldest
        """,
    ),
    "campaign_messages": (
        "All messages of all campaigns that are kept, by what has become of them.",
        "SELECT status, sum(messages)::bigint AS value FROM campaign_tallies GROUP BY status",
    ),
    "database_connections": (
        "Connections to the PostgreSQL server of all clients, and the most that it takes.",
        """
        SELECT 'used' AS state, count(*) AS value FROM pg_stat_activity WHERE backend_type = 'client backend'
        UNION ALL SELECT 'most', current_setting('max_connections')::bigint
        """,
    ),
    "leases_expired": (
        "Messages whose hand-over nobody has concluded in time; the sweep resolves them.",
        "SELECT count(*) AS value FROM messages WHERE status = 'sending' AND lease_until < now()",
    ),
    "messages_unreported": (
        "Messages that a carrier took and has not reported on.",
        "SELECT count(*) AS value FROM messages WHERE status = 'sent' AND delivery IS NULL",
    ),
    "campaigns": (
        "Campaigns that are under way or paused, and why.",
        """
        SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END AS mode, status, coalesce(pause_reason, '') AS reason,
            count(*) AS value
        FROM campaigns WHERE status IN ('scheduled', 'preparing', 'sending', 'paused') GROUP BY 1, 2, 3
        """,
    ),
    "campaign_recipients_waiting": (
        "Recipients of started campaigns that have no message yet.",
        "SELECT count(*) AS value FROM campaign_recipients",
    ),
    "carrier_events_waiting": (
        "Delivery reports, replies and opt-outs that a carrier brought and nobody has applied.",
        "SELECT kind, count(*) AS value FROM carrier_signals WHERE due_at <= now() GROUP BY kind",
    ),
    "inbound_unread": (
        "Inbound messages whose senders are no numbers that could be read; `msvs carriers unread` shows them.",
        "SELECT carrier, count(*) AS value FROM carrier_signals WHERE kind = 'unread' GROUP BY carrier",
    ),
    "carrier_events_overdue_seconds": (
        "How long such a one has been due that has been due the longest.",
        """
        SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 AS value
        FROM carrier_signals WHERE due_at <= now()
        """,
    ),
    "webhook_deliveries_waiting": (
        "Events on their way to webhook endpoints that are enabled.",
        """
        SELECT CASE WHEN next_attempt_at <= now() THEN 'due' ELSE 'later' END AS state, count(*) AS value
        FROM webhook_deliveries JOIN webhook_endpoints ON webhook_endpoints.id = endpoint_id AND enabled
        WHERE state = 'pending' GROUP BY 1
        """,
    ),
    "webhook_deliveries_overdue_seconds": (
        "How long such a one has been due that has been due the longest.",
        """
        SELECT greatest(coalesce(extract(epoch FROM now() - min(first.next_attempt_at)), 0), 0)::float8 AS value
        FROM webhook_endpoints CROSS JOIN LATERAL (
            SELECT next_attempt_at FROM webhook_deliveries
            WHERE state = 'pending' AND endpoint_id = webhook_endpoints.id ORDER BY next_attempt_at LIMIT 1
        ) AS first WHERE enabled
        """,
    ),
    "webhook_endpoints": (
        "Webhook endpoints: well, failing at present, and disabled, with the reason.",
        """
        SELECT CASE WHEN NOT enabled THEN 'disabled' WHEN failing_since IS NOT NULL THEN 'failing' ELSE 'well' END
            AS state, coalesce(disabled_reason, '') AS reason, count(*) AS value
        FROM webhook_endpoints GROUP BY 1, 2
        """,
    ),
    "mails_waiting": (
        "Mails that are to be sent: now, or later as a server did not take them.",
        """
        SELECT state.state, count(mails.id) AS value FROM (VALUES ('due'), ('later')) AS state (state)
        LEFT JOIN mails ON mails.state = 'pending' AND (mails.next_attempt_at > now()) = (state.state = 'later')
        GROUP BY state.state
        """,
    ),
    "mails_overdue_seconds": (
        "How long the mail has been due that has been due the longest.",
        """
        SELECT greatest(coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0), 0)::float8 AS value
        FROM mails WHERE state = 'pending'
        """,
    ),
    "imports_waiting": (
        "Imports of contacts that a worker has to go on with.",
        """
        SELECT status, count(*) AS value FROM contact_imports
        WHERE status IN ('queued', 'reading', 'checking', 'running', 'undoing') GROUP BY status
        """,
    ),
    "imports_overdue_seconds": (
        "How long the import that has waited the longest waits for a worker.",
        """
        SELECT greatest(coalesce(extract(epoch FROM now() - min(coalesce(lease_until, updated_at))), 0), 0)::float8
            AS value
        FROM contact_imports WHERE status IN ('queued', 'reading', 'checking', 'running', 'undoing')
            AND (lease_until IS NULL OR lease_until < now())
        """,
    ),
    "workspaces_low_on_credits": (
        "Workspaces whose balance is below their threshold.",
        "SELECT count(*) AS value FROM credit_balances WHERE balance < low_balance_threshold",
    ),
}

# The same, where credits are sold.
BILLING: Mapping[str, tuple[str, str]] = {
    "billing_overdue_seconds": (
        "How long what Stripe told, or a purchase that is to be looked at, has waited the longest.",
        """
        SELECT greatest(coalesce(extract(epoch FROM now() - min(due_at)), 0), 0)::float8 AS value FROM (
            SELECT min(received_at) AS due_at FROM stripe_events WHERE state = 'pending'
            UNION ALL SELECT min(check_at) FROM purchases WHERE check_at IS NOT NULL
        ) AS waiting
        """,
    ),
}

# The same, of what was made since the id $1.
LATE: Mapping[str, tuple[str, str]] = {
    "messages_last_minute": (
        "Messages that were made in the last minute, by what has become of them.",
        """
        SELECT CASE WHEN livemode THEN 'live' ELSE 'test' END AS mode, status, count(*) AS value
        FROM messages WHERE id >= $1 GROUP BY 1, 2
        """,
    ),
    "carrier_attempts_last_minute": (
        "Hand-overs to a carrier that began in the last minute, by what came of them.",
        """
        SELECT carrier, coalesce(outcome, 'open') AS outcome, count(*) AS value
        FROM message_attempts WHERE id >= $1 GROUP BY 1, 2
        """,
    ),
    "webhook_attempts_last_minute": (
        "Posts to webhook endpoints in the last minute, by whether they were taken.",
        """
        SELECT CASE WHEN status_code BETWEEN 200 AND 299 THEN 'succeeded' ELSE 'failed' END AS outcome,
            count(*) AS value
        FROM webhook_attempts WHERE id >= $1 GROUP BY 1
        """,
    ),
}


async def read_metric_families(
    carriers: Iterable[Carrier], redis: Redis | None, disk: DiskCheck, *, sells_credits: bool = False
) -> list[MetricFamily]:
    """Return every metric that can be read now; `up` says whether PostgreSQL and Redis could be asked."""
    # Where nothing is sold nobody works on it, which is no trouble.
    queues = [queue for queue in WorkQueue if sells_credits or queue is not WorkQueue.BILLING]
    families: dict[str, list[MetricFamily]] = {"postgresql": [], "redis": []}
    up = dict.fromkeys(families, 1.0)
    for engine, source in (
        ("postgresql", _read_database(carriers, disk, sells_credits)),
        ("redis", _read_redis(redis, queues)),
    ):
        try:
            async with asyncio.timeout(ENGINE_SECONDS):
                families[engine] = [family async for family in source]
        except Exception as error:
            log.warning("metrics not read", engine=engine, error=type(error).__name__)
            up[engine] = 0.0
    answered = MetricFamily(
        "up", "Whether the engine could be asked.", tuple(Sample(up[each], {"engine": each}) for each in up)
    )
    return [answered, *families["postgresql"], *families["redis"]]


async def _read_database(
    carriers: Iterable[Carrier], disk: DiskCheck, sells_credits: bool
) -> AsyncIterator[MetricFamily]:
    for name, (help, statement) in {**WAITING, **(BILLING if sells_credits else {})}.items():
        yield _family(name, help, await database.fetch(statement))
    totals = "What became of messages since counting began, a minute ago at the latest."
    yield _family("messages_total", totals, await message_totals(), "counter")
    since = id_at(await database.now() - LATELY)
    for name, (help, statement) in LATE.items():
        yield _family(name, help, await database.fetch(statement, since))
    listed = list(carriers)
    states = {row.name: row.state for row in await database.fetch("SELECT name, state FROM carrier_states")}
    yield MetricFamily(
        "carrier_breaker",
        "The state of a carrier's circuit breaker: 1 for the one it is in.",
        tuple(
            Sample(float(states.get(carrier.name, "closed") == state), {"carrier": carrier.name, "state": state})
            for carrier in listed
            for state in BREAKER_STATES
        ),
    )
    binds = []
    # In a process that does not hold them, another carrier stands for the one that has binds.
    for carrier in (each for each in listed if each.holds_binds or isinstance(each, RemoteCarrier)):
        owner = await find_owner(carrier.name)
        for state in ("bound", "wanted"):
            count = 0 if owner is None else owner[state]
            binds.append(Sample(count, {"carrier": carrier.name, "state": state}))
    is_writable = await disk.check() == "ok"
    yield MetricFamily("database_writable", "Whether PostgreSQL can write to its disk.", (Sample(float(is_writable)),))
    yield MetricFamily("carrier_sessions", "Binds of a carrier that stand, and that are wanted.", tuple(binds))


class DiskCheck:
    """Looks whether PostgreSQL can write to its disk, and keeps what it found for half a minute."""

    def __init__(self) -> None:
        self._state = "ok"
        self._until = float("-inf")
        self._looking = asyncio.Lock()

    async def check(self) -> str:
        """Return `ok`, or why PostgreSQL cannot write."""
        async with self._looking:
            if time.monotonic() >= self._until:
                self._state = await _write_to_disk()
                self._until = time.monotonic() + DISK_SECONDS
            return self._state


async def _write_to_disk() -> str:
    try:
        async with database.transaction():
            await database.execute("SET LOCAL work_mem = '64kB'")
            await database.execute(WRITE_PROBE)
            is_read_only = await database.fetch_value("SHOW transaction_read_only")
    except (asyncpg.DiskFullError, asyncpg.PostgresIOError, asyncpg.ConfigurationLimitExceededError) as error:
        return f"cannot be written ({type(error).__name__})"
    return "ok" if is_read_only == "off" else "read only"


def pool_metric() -> MetricFamily:
    """Return the metric of this process's own connections to PostgreSQL."""
    pool = database.pool_numbers()
    return MetricFamily(
        "database_pool",
        "Connections that this process has in use, has idle, and may have.",
        tuple(Sample(value, {"state": state}) for state, value in pool._asdict().items()),
    )


def reads_metrics(reads: Reads) -> list[MetricFamily]:
    """Return the metrics of what this process reads from standbys, without numbers where there are none."""
    lags = tuple(Sample(each.lag, {"replica": str(each.number)}) for each in reads.standbys)
    counts = tuple(Sample(count, {"target": target}) for target, count in reads.counts.items() if reads.standbys)
    return [
        MetricFamily("replica_lag_seconds", "How far a standby is behind at most; infinite while it is away.", lags),
        MetricFamily(
            "reads_total",
            "Lists, searches and statistics, by where they were read; `repeated` ones on both.",
            counts,
            kind="counter",
        ),
    ]


def _family(name: str, help: str, rows: Iterable[database.Row], kind: str = "gauge") -> MetricFamily:
    samples = (Sample(row["value"], {key: each for key, each in row.items() if key != "value"}) for row in rows)
    return MetricFamily(name, help, tuple(samples), kind)


async def _read_redis(redis: Redis | None, queues: Sequence[WorkQueue]) -> AsyncIterator[MetricFamily]:
    if redis is None:
        raise RedisError("not configured")
    workers = dict.fromkeys(queues, 0)
    async for key in redis.scan_iter(f"{WORKER_KEY}*", count=1000):
        queue = key.decode().removeprefix(WORKER_KEY).partition("-")[0]
        if queue in workers:
            workers[WorkQueue(queue)] += 1
    crons = [key async for key in redis.scan_iter(f"{CRON_KEY}*", count=1000)]
    yield MetricFamily("crons", "Crons whose last tick ended well, ten seconds ago at most.", (Sample(len(crons)),))
    jobs = {queue: await redis.llen(f"rq:queue:{queue}") for queue in queues}
    failed = {queue: await redis.zcard(f"rq:failed:{queue}") for queue in queues}
    for name, help, counts in (
        ("workers", "Workers that said in the last ten seconds that they live.", workers),
        ("jobs_waiting", "Queues that no worker has answered; see messages_waiting for what waits.", jobs),
        ("jobs_failed", "Jobs that broke in the last hour and were not requeued.", failed),
    ):
        yield MetricFamily(name, help, tuple(Sample(count, {"queue": queue.value}) for queue, count in counts.items()))
