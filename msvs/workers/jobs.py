"""The jobs that answer the doorbells. Only these functions run in a worker."""

from __future__ import annotations

from redis import Redis

from msvs.api.jobs import Doorbell, bell_key
from msvs.workers import campaigns, dispatch, maintenance, reports, webhooks
from msvs.workers.runtime import Runtime, current_runtime


def _answer(doorbell: Doorbell) -> Runtime:
    """Release the bell before looking, so that whatever is committed from now on rings it again."""
    runtime = current_runtime()
    assert runtime.settings.redis_url is not None
    with Redis.from_url(runtime.settings.redis_url, socket_timeout=2) as redis:
        redis.delete(bell_key(doorbell))
    return runtime


def dispatch_messages() -> int:
    """Hand due messages to the carriers; how many."""
    runtime = _answer(Doorbell.MESSAGES)
    return runtime.run(dispatch.dispatch_messages(runtime.carriers))


def expand_campaigns() -> int:
    """Turn due campaigns into messages; how many messages."""
    return _answer(Doorbell.CAMPAIGNS).run(campaigns.expand_campaigns())


def collect_reports() -> int:
    """Take in delivery reports and replies; how many."""
    return _answer(Doorbell.REPORTS).run(reports.collect_reports())


def deliver_webhooks() -> int:
    """Deliver due webhooks; how many attempts."""
    runtime = _answer(Doorbell.WEBHOOKS)
    return runtime.run(webhooks.deliver_webhooks(runtime.outbound))


def maintain() -> dict[str, int]:
    """Do the chores; what each did."""
    runtime = _answer(Doorbell.MAINTENANCE)
    return runtime.run(maintenance.maintain(runtime.carriers))
