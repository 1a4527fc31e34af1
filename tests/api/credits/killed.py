"""The steps of fulfilment in a process that is killed at one of them: `python -m tests.api.credits.killed` is asked.

It reads lines of JSON: a point and an event, or the empty text for a top-up that is due. For each it forks a child,
which takes the event, works on it, and ends by SIGKILL at the point; then it says so.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import stripe

from msvs import database as db
from msvs.api.context import Services
from msvs.api.credits import cards, fulfilment, gateway, stripe_events, top_ups
from msvs.loops import new_runner
from msvs.packs import Billing
from msvs.workers.billing import settle_due
from tests.fakes.stripe import PACKS, SECRET

POINTS = (
    "before the event is kept",
    "before the event is claimed",
    "before Stripe is asked",
    "before the purchase is locked",
    "before the credits are added",
    "before the purchase is written",
    "before the returns are written",
    "before the commit",
    "before the event is settled",
)
# The steps of a top-up: from the note of a low balance to the credits.
TOP_UP_POINTS = (
    "before the top-up is begun",
    "before the top-up is written",
    "before the top-up is committed",
    "before the card is charged",
    "once the card is charged",
    "before the purchase is locked",
    "before the credits are added",
    "before the purchase is written",
    "before the payment is noted",
    "before the commit",
)
# The steps of one whose card is declined: from the charge to the wait for the next.
DECLINE_POINTS = (
    "before the card is charged",
    "once the card is charged",
    "before the purchase is locked",
    "before the purchase is written",
    "before the limit is counted",
    "before the decline is noted",
    "before the wait is noted",
    "once the wait is noted",
)

# The steps of a card that is forgotten, after the commit that says so.
FORGET_POINTS = ("before the card is claimed", "before the card is removed", "once the card is removed")


# Any step of the whole path, by its number: a statement, a BEGIN or COMMIT, or a call to Stripe.
STEP = "before step "


def die(*_: Any, **__: Any) -> Any:
    """End without a chance to clean up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def arm(point: str, *, is_top_up: bool = False) -> None:
    """Have the process die at a point."""
    if point.startswith(STEP):
        count_steps(int(point.removeprefix(STEP)))
        return
    module, name = {
        "before the event is kept": (stripe_events, "keep_event"),
        "before the event is claimed": (stripe_events, "work_events"),
        "before Stripe is asked": (gateway, "read_session"),
        "before the credits are added": (fulfilment.credits, "grant_credits"),
        "before the top-up is begun": (top_ups, "begin"),
        "before the card is charged": (gateway, "charge"),
        "before the card is claimed": (cards, "detach_due"),
        "before the card is removed": (gateway, "detach"),
    }.get(point, (None, ""))
    if module is not None:
        setattr(module, name, die)
        return
    if point == "once the card is charged":
        gateway.charge = dies_at(gateway.charge, "", after=True)
        return
    if point == "once the card is removed":
        gateway.detach = dies_at(gateway.detach, "", after=True)
        return
    number = {
        "before the purchase is locked": "FOR UPDATE",
        "before the purchase is written": "SET version",
        "before the returns are written": "INSERT INTO purchase_returns",
        "before the commit": "hard_declined_count = 0\nWHERE" if is_top_up else "SET refunded_amount",
        "before the top-up is written": "INSERT INTO purchases",
        "before the top-up is committed": "INSERT INTO purchases",
        "before the payment is noted": "hard_declined_count = 0\nWHERE",
        "before the limit is counted": "day_amount = greatest(0",
        "before the decline is noted": "declined_count = declined_count + 1",
        "before the wait is noted": "greatest(top_up_at",
        "once the wait is noted": "greatest(top_up_at",
        "before the event is settled": "UPDATE stripe_events SET state",
    }[point]
    after = point in ("before the commit", "before the top-up is committed", "once the wait is noted")
    for module in (fulfilment, stripe_events, top_ups):
        for name in ("execute", "fetch_row"):
            if hasattr(module, name):
                setattr(module, name, dies_at(getattr(module, name), number, after=after))


def count_steps(last: int) -> None:
    """Die before the step of a number, of all that the process asks PostgreSQL and Stripe."""
    numbers = itertools.count(1)

    def counted(run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def step(*values: Any, **named: Any) -> Any:
            if next(numbers) == last:
                die()
            return await run(*values, **named)

        return step

    for owner, names in (
        (asyncpg.connection.Connection, ("execute", "fetch", "fetchrow", "fetchval")),
        (stripe.StripeClient, ("raw_request_async",)),
    ):
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))


def dies_at(run: Callable[..., Awaitable[Any]], mark: str, *, after: bool) -> Callable[..., Awaitable[Any]]:
    """Run statements, and die before, or after, the one with a mark."""

    async def statement(*values: Any) -> Any:
        is_it = not mark or any(isinstance(each, str) and mark in each for each in values)
        if is_it and not after:
            die()
        done = await run(*values)
        return die() if is_it else done

    return statement


async def main(database_url: str, url: str, key: str, point: str, event: str) -> None:
    """Take an event and work on it, up to the point."""
    services = Services(billing=Billing(PACKS, key, (SECRET,), url))
    async with db.connected(database_url, pool_size=2):
        now = await db.now()
        arm(point, is_top_up=not event)
        if not event:
            await settle_due(services)
        else:
            told = stripe_events.msgspec.json.decode(event, type=stripe_events.Told)
            await stripe_events.keep_event(services, told)
            await stripe_events.work_events(services, now + timedelta(minutes=1))
    if point.startswith(STEP):
        # There are no more steps.
        os._exit(0)
    die()


def serve(database_url: str, url: str, key: str) -> None:
    """Fork a child a line, so that the modules are imported once."""
    for line in sys.stdin:
        point, event = json.loads(line)
        child = os.fork()
        if child == 0:
            # What it logs is no answer.
            os.dup2(2, 1)
            with new_runner() as runner:
                runner.run(main(database_url, url, key, point, event))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
