"""Sequences for tests: made, published, and brought forward in a time of the test's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from msvs import database as db
from msvs.api.campaigns import sequence_steps as engine
from msvs.api.campaigns import sequences
from msvs.api.campaigns.enrollments import enroll_contact
from msvs.api.campaigns.sequence_requests import CreateSequence, EnrollContact, SequenceStep
from msvs.api.campaigns.sequence_shapes import EnrollmentResource
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, Message, MessageSequence, SequenceEnrollment
from msvs.workers import sequences as worker
from msvs.workers.retrying import Failures
from tests.services import SERVICES

DAY = 24 * 60


def steps(*bodies: str, wait: int = DAY, **values: Any) -> list[SequenceStep]:
    """Steps with these bodies, the first at once and the others a wait apart."""
    return [
        SequenceStep(key=f"step_{place}", body=body, wait_minutes=wait if place > 1 else 0, **values)
        for place, body in enumerate(bodies, 1)
    ]


async def make_sequence(ctx: Context, *bodies: str, publish: bool = True, **values: Any) -> MessageSequence:
    """A published sequence without quiet hours, unless told otherwise."""
    told = {"steps": steps(*bodies), "quiet_hours": False, **values}
    async with unit_of_work():
        row = await sequences.create_sequence(ctx, CreateSequence(name="Challenge", **told))
        return await sequences.publish_sequence(ctx, row.id) if publish else row


async def enroll(ctx: Context, sequence: MessageSequence, contact: Contact, **values: Any) -> EnrollmentResource:
    """Let a contact enter by a call."""
    from msvs.api import ids

    data = EnrollContact(contact_id=ids.encode_id(ids.CONTACT, contact.id), **values)
    async with unit_of_work():
        return await enroll_contact(ctx, sequence.id, data)


async def work(*, batch: int = 500) -> int:
    """Bring all sequences forward until nothing is due."""
    failures = Failures()
    done = await worker.bring_forward(SERVICES, failures, seconds=30, batch=batch)
    failures.end()
    return done


async def pass_time(by: timedelta = timedelta(days=1)) -> None:
    """Let so much time pass for all who are inside."""
    await db.execute(
        "UPDATE sequence_enrollments SET due_at = due_at - $1::interval, wait_until = wait_until - $1::interval,"
        " anchor_at = anchor_at - $1::interval WHERE state = 'active'",
        by,
    )


async def bodies(contact: Contact) -> list[str]:
    """The bodies of a contact's messages, in their order, without those skipped."""
    rows = await Message.filter(contact_id=contact.id).order_by("id")
    return [row.body for row in rows if row.status != "skipped"]


async def states(sequence_id: UUID) -> dict[str, int]:
    """How many enrollments there are by state, or by why they were left."""
    rows = await db.fetch(
        "SELECT coalesce(CASE WHEN state = 'left' THEN leaving END, state) AS name, count(*) AS n"
        " FROM sequence_enrollments WHERE sequence_id = $1 GROUP BY 1",
        sequence_id,
    )
    return {row.name: row.n for row in rows}


async def events(contact: Contact) -> list[str]:
    """The types of a contact's events of sequences, in their order."""
    rows = await db.fetch(
        "SELECT type FROM events WHERE resource_id = $1 AND type LIKE 'sequence.%' ORDER BY id", contact.id
    )
    return [row.type for row in rows]


async def only(sequence: MessageSequence, contact: Contact) -> SequenceEnrollment:
    """The last enrollment of a contact in a sequence."""
    row = await SequenceEnrollment.filter(sequence_id=sequence.id, contact_id=contact.id).order_by("-number").first()
    assert row is not None
    return row


async def counted(*tables: str) -> dict[str, int]:
    """How many rows there are in these tables."""
    return {name: await db.fetch_value(f"SELECT count(*) FROM {name}") for name in tables}


async def check_conserved(sequence_id: UUID) -> None:
    """All who entered are inside, completed or left, and took each step before their place exactly once."""
    wrong = await db.fetch(
        "SELECT e.id FROM sequence_enrollments AS e LEFT JOIN LATERAL ("
        " SELECT count(*) AS moves, max(step) AS last FROM sequence_moves WHERE enrollment_id = e.id"
        ") AS moved ON true WHERE e.sequence_id = $1"
        " AND (moved.moves <> e.step OR coalesce(moved.last, -1) <> e.step - 1)",
        sequence_id,
    )
    assert not wrong, "each step before the next was taken once"
    doubled = await db.fetch(
        "SELECT messages.campaign_id, e.id FROM messages JOIN sequence_moves AS m ON m.message_id = messages.id"
        " JOIN sequence_enrollments AS e ON e.id = m.enrollment_id WHERE e.sequence_id = $1"
        " GROUP BY 1, 2 HAVING count(*) > 1",
        sequence_id,
    )
    assert not doubled
    orphans = await db.fetch_value(
        "SELECT count(*) FROM messages JOIN campaigns ON campaigns.id = messages.campaign_id"
        " WHERE campaigns.sequence_id = $1 AND NOT EXISTS ("
        "SELECT FROM sequence_moves WHERE message_id = messages.id)",
        sequence_id,
    )
    assert orphans == 0, "every message belongs to a step that was taken"


async def work_at(sequence: MessageSequence, now: datetime) -> None:
    """Take the steps of a sequence that are due at a time."""
    async with unit_of_work():
        await engine.take_steps(SERVICES, sequence, now=now)
