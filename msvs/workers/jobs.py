"""The jobs that answer the doorbells. Only these functions run in a worker."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog

from msvs.api.jobs import Doorbell
from msvs.workers import campaigns, dispatch, maintenance, reports, webhooks
from msvs.workers.runtime import Runtime, current_runtime

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class JobFailed(Exception):
    """A job ended by an error. Its text names the error's kind and place only.

    What PostgreSQL says of an error may quote a row, with its phone and body; neither may reach a log or Redis.
    """


def _discreet(job: Callable[P, T]) -> Callable[P, T]:
    @wraps(job)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return job(*args, **kwargs)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-6:]))
            log.error("job failed", job=job.__name__, error=type(error).__name__, place=place)
            raise JobFailed(f"{type(error).__name__} in {place}") from None

    return run


def _answer(doorbell: Doorbell) -> Runtime:
    """Release the bell before looking, so that whatever is committed from now on rings it again."""
    runtime = current_runtime()
    runtime.answer(doorbell)
    return runtime


@_discreet
def dispatch_messages() -> int:
    """Hand due messages to the carriers; how many."""
    runtime = _answer(Doorbell.MESSAGES)
    return runtime.run(dispatch.dispatch_messages(runtime.carriers, stop=runtime.stop))


@_discreet
def expand_campaigns() -> int:
    """Turn due campaigns into messages; how many messages."""
    runtime = _answer(Doorbell.CAMPAIGNS)
    return runtime.run_bounded(campaigns.expand_campaigns(stop=runtime.stop))


@_discreet
def collect_reports() -> int:
    """Take in delivery reports and replies; how many."""
    runtime = _answer(Doorbell.REPORTS)
    return runtime.run_bounded(reports.collect_reports(stop=runtime.stop))


@_discreet
def deliver_webhooks() -> int:
    """Deliver due webhooks; how many attempts."""
    runtime = _answer(Doorbell.WEBHOOKS)
    return runtime.run(webhooks.deliver_webhooks(runtime.outbound, stop=runtime.stop))


@_discreet
def maintain() -> dict[str, int]:
    """Do the chores; what each did."""
    runtime = _answer(Doorbell.MAINTENANCE)
    chores = maintenance.maintain(runtime.carriers, runtime.settings, stop=runtime.stop, upkeep=runtime.upkeep)
    return runtime.run_bounded(chores)
