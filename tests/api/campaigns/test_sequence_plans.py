"""What the statements of sequences read, beside many who wait: no more than what they take."""

from __future__ import annotations

import pytest

from msvs import database as db
from msvs.api.campaigns import sequence_steps as engine
from msvs.api.context import Context
from tests import factories
from tests.api.campaigns.flows import enroll, make_sequence, work
from tests.owner import run_as_owner
from tests.plans import reading

WAITING = 20_000

FILL = """
INSERT INTO sequence_enrollments (id, workspace_id, livemode, sequence_id, version_id, contact_id, number, state,
    entered_by, step, wait_until, due_at, created_at)
SELECT gen_random_uuid(), workspace_id, livemode, sequence_id, version_id, gen_random_uuid(), 1,
    CASE WHEN place % 2 = 0 THEN 'active' ELSE 'completed' END, 'api', 1, now() + interval '1 day',
    now() + interval '1 day', now()
FROM sequence_enrollments, generate_series(1, $2) AS place WHERE contact_id = $1
"""


@pytest.mark.parametrize("is_generic", [False, True])
async def test_looks_read_what_is_due_alone(ctx: Context, monkeypatch: pytest.MonkeyPatch, is_generic: bool) -> None:
    sequence = await make_sequence(ctx, "One", "Two")
    paused = await make_sequence(ctx, "One", "Two")
    people = [await factories.make_contact(ctx) for _ in range(5)]
    await enroll(ctx, sequence, people[0])
    await work()
    await enroll(ctx, paused, people[0])
    await db.execute(FILL, people[0].id, WAITING)
    await db.execute("UPDATE sequences SET status = 'paused' WHERE id = $1", paused.id)
    # All who wait in the paused one are late, and read by nobody.
    await db.execute(
        "UPDATE sequence_enrollments SET due_at = now() - interval '1 h' WHERE sequence_id = $1", paused.id
    )
    await run_as_owner("ANALYZE sequence_enrollments, sequence_moves, sequences, sequence_versions, messages, contacts")
    now = await db.now()
    with reading(monkeypatch, is_generic=is_generic) as looking:
        assert not await engine.has_work(now)
        assert not await engine.due_sequences(now)
    looking.check(rows=20, buffers=60)
    for contact in people[1:]:
        await enroll(ctx, sequence, contact)
    with reading(monkeypatch, is_generic=is_generic) as taking:
        await work()
    taking.check(rows=60, buffers=400)
