"""Live a week of a sandbox by the clock of the whole machine, which libfaketime moves on; tell what became of it.

`python -m tests.workers.week_lived FILE DEAD_URL MONDAY` runs with libfaketime preloaded, whose time stands in FILE.
Its PostgreSQL is moved by the same file. The service's own jobs run, as in any process: nothing here knows of test
clocks.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from msvs import database as db
from msvs.address_policy import AddressPolicy
from msvs.api.context import Context
from msvs.api.dispatch.delivery_reports import give_up_reports, give_up_unresolved
from msvs.api.unit_of_work import in_unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.http_client import HttpClient
from msvs.local import embedded
from msvs.loops import new_runner
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages, resolve_expired
from msvs.workers.maintenance import complete_campaigns
from msvs.workers.reports import collect_reports
from msvs.workers.status_callbacks import deliver_all
from msvs.workers.stopping import StopFlag
from tests import factories
from tests.engines import create_database, running_engines
from tests.receiver import configured_webhooks
from tests.services import SERVICES
from tests.workers.week import DAYS, begin, history

CARRIERS = {"virtual": VirtualCarrier()}
# Everything that the whole database says is to happen at some time.
NEXT = """
SELECT min(at) FROM (
    SELECT due_at AS at FROM messages UNION ALL SELECT lease_until + interval '1 second' FROM messages
    UNION ALL SELECT sent_at + interval '259201 seconds' FROM messages
    UNION ALL SELECT scheduled_at FROM campaigns UNION ALL SELECT test_ends_at FROM campaigns
    UNION ALL SELECT due_at FROM sequence_enrollments UNION ALL SELECT due_at FROM virtual_signals
    UNION ALL SELECT next_attempt_at FROM webhook_deliveries WHERE state = 'pending'
) AS waiting WHERE at > clock_timestamp()
"""


def set_time(path: Path, at: datetime) -> None:
    """Let the machine's clock stand at a time."""
    new = path.with_suffix(".new")
    new.write_text(at.strftime("%Y-%m-%d %H:%M:%S"))
    new.chmod(0o644)
    new.replace(path)


async def work(http: HttpClient) -> None:
    """Do what is due now, as the workers would, until nothing comes of it: one thing causes another."""
    done = 1
    while done:
        # What a process remembers of its looks is for a time that passes by itself.
        services, now = SERVICES.without_memory(), await db.now()
        done = await expand_campaigns(services)
        done += await dispatch_messages(services, CARRIERS)
        done += await collect_reports(services)
        done += await resolve_expired(services, CARRIERS)
        done += await in_unit_of_work(partial(give_up_reports, limit=1000, now=now))
        done += await in_unit_of_work(partial(give_up_unresolved, limit=1000, now=now))
        done += await complete_campaigns()
        done += await deliver_all(services, http, stop=StopFlag())


async def live(url: str, path: Path, dead_url: str, monday: datetime) -> dict[str, list[list[object]]]:
    """Live the week. Return its history."""
    async with db.connected(url), HttpClient(AddressPolicy(allow_loopback=True)) as http:
        workspace = await factories.make_workspace()
        ctx = Context(workspace.id, livemode=False, actor="test", services=SERVICES)
        with configured_webhooks():
            await begin(ctx, monday, dead_url)
            end = monday + timedelta(days=DAYS)
            while True:
                await work(http)
                at = await db.fetch_value(NEXT)
                if at is None or at > end:
                    break
                if at.microsecond:
                    at = at.replace(microsecond=0) + timedelta(seconds=1)
                set_time(path, at)
            set_time(path, end)
            await work(http)
        return await history(ctx)


async def _made(base: str) -> str:
    url = await create_database(base, "msvs_week")
    await db.migrate(url)
    return url


def main() -> None:
    """Print the history of the week as JSON."""
    path, dead_url, monday = Path(sys.argv[1]), sys.argv[2], datetime.fromisoformat(sys.argv[3]).astimezone(UTC)
    kept = embedded.engine_environment

    def with_time() -> dict[str, str]:
        named = {name: value for name, value in os.environ.items() if name.startswith(("FAKETIME", "LD_PRELOAD"))}
        return kept() | named

    embedded.engine_environment = with_time
    # libfaketime refuses the sleep of Python, which ends at a time of the monotonic clock that it leaves alone.
    time.sleep = lambda seconds: select.select([], [], [], seconds) and None
    with new_runner() as runner, running_engines() as engines:
        url = runner.run(_made(engines.database_url))
        print(json.dumps(runner.run(live(url, path, dead_url, monday))))


if __name__ == "__main__":
    main()
