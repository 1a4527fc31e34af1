"""The jobs of the queues. Workers run only these functions."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import structlog

from msvs.api.notifier import WorkQueue
from msvs.workers import billing, campaigns, clocks, dispatch, imports, mail, maintenance, reports, status_callbacks
from msvs.workers.runtime import Runtime, current_runtime

T = TypeVar("T")

log = structlog.get_logger(__name__)


class JobFailed(Exception):
    """A job ended by an error. Its text names the error's kind and place only.

    What PostgreSQL says of an error may quote a row, with its phone and body; neither may reach a log or Redis.
    """


def _answering(queue: WorkQueue) -> Callable[[Callable[[Runtime], T]], Callable[[], T]]:
    """Make a job of what answers a queue, which is released first: what is committed from now on notifies it again."""

    def decorate(job: Callable[[Runtime], T]) -> Callable[[], T]:
        @wraps(job)
        def run() -> T:
            runtime = current_runtime()
            runtime.job = job.__name__
            try:
                runtime.answer(queue)
                result = job(runtime)
            except Exception as error:
                frames = traceback.extract_tb(error.__traceback__)
                place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames[-6:]))
                log.error("job failed", job=job.__name__, error=type(error).__name__, place=place)
                runtime.note(queue, is_broken=True)
                raise JobFailed(f"{type(error).__name__} in {place}") from None
            runtime.note(queue, is_broken=False)
            return result

        return run

    return decorate


@_answering(WorkQueue.MESSAGES)
def dispatch_messages(runtime: Runtime) -> int:
    """Hand due messages to the carriers. Return the count."""
    return runtime.run(dispatch.dispatch_messages(runtime.services, runtime.carriers, stop=runtime.stop))


@_answering(WorkQueue.CAMPAIGNS)
def expand_campaigns(runtime: Runtime) -> int:
    """Turn due campaigns into messages. Return the number of messages."""
    return runtime.run_bounded(campaigns.expand_campaigns(runtime.services, stop=runtime.stop))


@_answering(WorkQueue.REPORTS)
def collect_reports(runtime: Runtime) -> int:
    """Take in delivery reports and replies. Return the count."""
    return runtime.run_bounded(reports.collect_reports(runtime.services, stop=runtime.stop))


@_answering(WorkQueue.WEBHOOKS)
def deliver_webhooks(runtime: Runtime) -> int:
    """Deliver due webhooks and status callbacks. Return the number of attempts."""
    return runtime.run(status_callbacks.deliver_all(runtime.services, runtime.http, stop=runtime.stop))


@_answering(WorkQueue.MAIL)
def send_mail(runtime: Runtime) -> int:
    """Send due mail. Return how many were settled."""
    return runtime.run(mail.send_mails(runtime.services, runtime.settings, stop=runtime.stop))


@_answering(WorkQueue.BILLING)
def settle_billing(runtime: Runtime) -> int:
    """Settle what Stripe told of purchases. Return how many events and purchases were looked at."""
    return runtime.run_bounded(billing.settle_billing(runtime.services, stop=runtime.stop))


@_answering(WorkQueue.IMPORTS)
def run_imports(runtime: Runtime) -> int:
    """Import files of contacts, write those of exports, sync lists, and move test clocks on. Return the rows taken."""
    return runtime.run_bounded(_run_imports(runtime))


async def _run_imports(runtime: Runtime) -> int:
    services, settings, http, stop = runtime.services, runtime.settings, runtime.http, runtime.stop
    async with asyncio.TaskGroup() as tasks:
        files = tasks.create_task(imports.run_all(services, settings, http, stop=stop))
        tasks.create_task(clocks.run_clocks(services, runtime.carriers, settings, http, stop=stop))
    return files.result()


@_answering(WorkQueue.MAINTENANCE)
def maintain(runtime: Runtime) -> dict[str, int]:
    """Do the chores. Return what each did."""
    maintain = maintenance.maintain
    return runtime.run_bounded(
        maintain(runtime.services, runtime.carriers, runtime.settings, stop=runtime.stop, upkeep=runtime.upkeep)
    )
