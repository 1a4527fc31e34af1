"""The most connections to PostgreSQL that the processes of a deployment open."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.api.notifier import WorkQueue
from msvs.settings import Settings
from msvs.workers import clocks, cron, partitions

API = "api"
CRON = "cron"
BINDS = "binds"


def most_connections(process: str, settings: Settings, *, binds: int = 0) -> int:
    """Return the most connections that a process opens: `api`, `cron`, `binds`, or a worker named by its queue.

    `binds` is the number of carriers whose binds a process holds.
    """
    if process == CRON:
        return cron.CONNECTIONS
    most = settings.database_pool_size
    if process == BINDS:
        # The lock on each carrier is a connection's.
        return most + binds
    if process == WorkQueue.IMPORTS:
        return most + clocks.CONNECTIONS
    if process == WorkQueue.MAINTENANCE and settings.migrations_database_url is not None:
        return most + partitions.CONNECTIONS
    return most


def usual_processes(settings: Settings, *, binds: int = 0) -> dict[str, int]:
    """Return how many processes of each kind `msvs run` starts."""
    counts = {API: 1, **dict.fromkeys(map(str, WorkQueue), 1), CRON: 1}
    counts[WorkQueue.MESSAGES] = settings.message_workers
    counts[WorkQueue.WEBHOOKS] = settings.webhook_workers
    return counts | ({BINDS: 1} if binds else {})


def all_connections(settings: Settings, processes: Mapping[str, int], *, binds: int = 0) -> int:
    """Return the most connections that so many processes of each kind open together."""
    return sum(count * most_connections(process, settings, binds=binds) for process, count in processes.items())
