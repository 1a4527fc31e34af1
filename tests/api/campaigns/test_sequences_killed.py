"""Sequences under kill -9: each step is taken once, at any statement at which the process dies."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from msvs import database as db
from msvs.api.campaigns.sequence_requests import SequenceEntry, SequenceStep, StepCondition
from msvs.api.contacts.tags import ChangeTags, tag_contact
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Message
from tests import factories
from tests.api.campaigns.flows import check_conserved, counted, enroll, make_sequence, pass_time, states, work

pytestmark = [pytest.mark.usefixtures("virtual_live"), pytest.mark.processes]

Die = Callable[[int], int]


@pytest.fixture(scope="module")
def die(database: str) -> Iterator[Die]:
    """Have a process bring sequences forward and die before a statement; its exit status."""
    argv = (sys.executable, "-m", "tests.api.campaigns.killed", database)
    process = subprocess.Popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(number: int) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    yield run
    process.communicate(timeout=20)


async def test_a_kill_at_every_statement_loses_and_doubles_nothing(live_ctx: Context, die: Die) -> None:
    """An entry by a tag, a step with a link, one that is skipped, an exit by STOP, and an end, in each round."""
    steps = [
        SequenceStep(key="a", body="A https://cohortlabs.co/a", shorten_links=True),
        SequenceStep(key="b", body="B", only_if=StepCondition(clicked="a")),
        SequenceStep(key="c", body="C"),
    ]
    sequence = await make_sequence(live_ctx, steps=steps, entry=SequenceEntry(tags=["webinar"]))
    died = 0
    for number in itertools.count(1):
        by_tag, by_call, leaver = [await factories.make_contact(live_ctx) for _ in range(3)]
        async with unit_of_work():
            await tag_contact(live_ctx, by_tag.id, ChangeTags(add=["webinar"]))
        await enroll(live_ctx, sequence, by_call)
        await enroll(live_ctx, sequence, leaver)
        await db.execute("UPDATE sequence_enrollments SET leaving = 'replied' WHERE contact_id = $1", leaver.id)
        status = die(number)
        assert status in (-9, 0), number
        await check_conserved(sequence.id)
        await work()
        for contact, sent in ((by_tag, ["A", "C"]), (by_call, ["A", "C"]), (leaver, [])):
            rows = await Message.filter(contact_id=contact.id).order_by("id")
            assert [row.body[0] for row in rows] == sent, number
        if status == 0:
            break
        died += 1
    assert died > 20
    assert await states(sequence.id) == {"completed": 2 * (died + 1), "replied": died + 1}
    told = await db.fetch("SELECT type, count(*) AS n FROM events WHERE type LIKE 'sequence.%' GROUP BY 1")
    assert {row.type: row.n for row in told} == {
        "sequence.published": 1,
        "sequence.entered": 3 * (died + 1),
        "sequence.completed": 2 * (died + 1),
        "sequence.left": died + 1,
    }
    await check_conserved(sequence.id)


def start(database: str) -> subprocess.Popen[bytes]:
    """Start a process that brings sequences forward until it is killed."""
    return subprocess.Popen((sys.executable, "-m", "tests.api.campaigns.killed", database, "0"))


async def test_load_under_worker_kills_is_conserved(ctx: Context, database: str) -> None:
    """300 contacts enter while three workers take steps and are killed and started again all the time."""
    sequence = await make_sequence(ctx, "One", "Two", "Three", entry=SequenceEntry(tags=["load"]))
    people = [await factories.make_contact(ctx) for _ in range(300)]
    workers = [start(database) for _ in range(3)]
    killed = 0
    rng = random.Random(6)
    try:
        for first in range(0, len(people), 20):
            for contact in people[first : first + 20]:
                async with unit_of_work():
                    await tag_contact(ctx, contact.id, ChangeTags(add=["load"]))
            await asyncio.sleep(rng.uniform(0.2, 0.6))
            await pass_time()
            victim = rng.randrange(3)
            workers[victim].send_signal(signal.SIGKILL)
            workers[victim].wait(10)
            killed += 1
            workers[victim] = start(database)
    finally:
        for each in workers:
            each.kill()
            each.wait(10)
    for _ in range(4):
        await work()
        await pass_time()
    assert killed == 15
    assert await states(sequence.id) == {"completed": 300}
    assert await counted("messages", "sequence_moves", "sequence_entries") == {
        "messages": 900,
        "sequence_moves": 900,
        "sequence_entries": 0,
    }
    await check_conserved(sequence.id)
    doubled = await db.fetch("SELECT contact_id FROM messages GROUP BY contact_id, body HAVING count(*) > 1")
    assert not doubled
