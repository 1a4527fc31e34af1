"""Enrollments: contacts enter a sequence, are listed, and leave it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.campaigns.sequence_requests import EnrollContact, ListEnrollments
from msvs.api.campaigns.sequence_shapes import EnrollmentResource, enrollment_resource
from msvs.api.campaigns.sequence_timing import HasHours, hold_anchor, plan
from msvs.api.campaigns.sequence_versions import Published, current_version, find_versions
from msvs.api.contacts.contacts import ensure_contact
from msvs.api.context import Context, Services
from msvs.api.dispatch.cancellation import cancel_messages
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest
from msvs.api.messages.messages import opted_out
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.scope import find, scoped
from msvs.api.text.phones import parse_phone
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import fetch
from msvs.database import now as clock
from msvs.models import (
    Contact,
    EnrollmentState,
    LeaveReason,
    MessageSequence,
    OptInStatus,
    SequenceEnrollment,
    SequenceStatus,
)
from msvs.models.rows import SequenceEnrollmentRow

NOUN = "enrollment"
OPEN = (SequenceStatus.ACTIVE, SequenceStatus.PAUSED)

# The number of an enrollment is what makes it unique: where one is open, or was there before and none may follow it,
# nothing is written. Of two at once the index refuses the second.
ENTER = """
INSERT INTO sequence_enrollments (id, workspace_id, livemode, sequence_id, version_id, contact_id, number, state,
    entered_by, step, wait_until, due_at, anchor_at, created_at)
SELECT entry.id, $1, $2, $3, $4, entry.contact_id, coalesce(past.number, 0) + 1, 'active', entry.entered_by, 0,
    entry.wait_until, entry.due_at, entry.anchor_at, $5
FROM unnest($6::uuid[], $7::uuid[], $8::varchar[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[])
    AS entry (id, contact_id, entered_by, wait_until, due_at, anchor_at)
CROSS JOIN LATERAL (
    SELECT max(number) AS number, bool_or(state = 'active') AS is_inside FROM sequence_enrollments
    WHERE sequence_id = $3 AND contact_id = entry.contact_id
) AS past
WHERE past.number IS NULL OR ($12::bool AND NOT past.is_inside)
ORDER BY entry.contact_id ON CONFLICT DO NOTHING RETURNING *
"""


class Entrant(HasHours, Protocol):
    """The columns of a contact that enters."""

    @property
    def id(self) -> UUID: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A contact that enters, by what, and with which anchor of its own."""

    contact: Entrant
    entered_by: str
    anchor_at: datetime | None = None


async def enter(
    ctx: Context, version: Published, entries: Iterable[Entry], now: datetime
) -> Sequence[SequenceEnrollmentRow]:
    """Enroll contacts in a version, in the current unit of work. Return those who were not inside, nor barred."""
    once = {entry.contact.id: entry for entry in entries}
    definition = version.definition
    first = definition.steps[0]
    dues = {
        id: plan(definition, first, entry.contact, since=now, anchor_at=entry.anchor_at or definition.anchor_at)
        for id, entry in once.items()
    }
    rows = await fetch(
        SequenceEnrollmentRow,
        ENTER,
        ctx.workspace_id,
        ctx.livemode,
        version.sequence_id,
        version.id,
        now,
        [ids.new_id() for _ in once],
        list(once),
        [entry.entered_by for entry in once.values()],
        [due.wait_until for due in dues.values()],
        [due.due_at for due in dues.values()],
        [None if entry.anchor_at is None else hold_anchor(entry.anchor_at) for entry in once.values()],
        definition.may_reenter,
    )
    await record_enrollments(EventType.SEQUENCE_ENTERED, rows, {version.id: version}, now)
    if any(row.due_at <= now for row in rows):
        notify_after_commit(WorkQueue.CAMPAIGNS)
    return rows


async def enroll_contact(ctx: Context, sequence_id: UUID, data: EnrollContact) -> EnrollmentResource:
    """Let a contact enter a published sequence. Raises NotFound, InvalidRequest, ComplianceRefused, and Conflict.

    Conflict `sequence_entered` where the contact is inside, or was and may not enter again; `sequence_state` where the
    sequence is a draft or archived.
    """
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    phone = None if data.phone is None else parse_phone(data.phone, param="phone").e164
    if (data.contact_id is None) == (phone is None):
        raise InvalidRequest(
            "Give contact_id or phone, and not both.", param="contact_id", code=ErrorCode.PARAMETER_MISSING
        )
    sequence = await find(ctx, MessageSequence, sequence_id, prefix=ids.SEQUENCE, noun="sequence")
    if sequence.status not in OPEN:
        raise Conflict(f"The sequence is {sequence.status}: nobody enters it.", code=ErrorCode.SEQUENCE_STATE)
    version = await current_version(ctx, sequence_id, sequence.number)
    definition = version.definition
    if data.anchor_at is None and definition.anchor_at is None and definition.is_anchored:
        raise InvalidRequest(
            "The sequence counts from an anchor: give anchor_at.",
            param="anchor_at",
            code=ErrorCode.PARAMETER_MISSING,
        )
    now = await clock()
    contact = await _find_contact(ctx, data.contact_id, phone, now)
    if contact.opt_in_status == OptInStatus.OPTED_OUT:
        raise opted_out()
    rows = await enter(ctx, version, [Entry(contact, "api", data.anchor_at)], now)
    if not rows:
        raise await _entered(ctx, sequence_id, contact.id)
    return enrollment_resource(rows[0], version)


async def _find_contact(ctx: Context, contact_id: str | None, phone: str | None, now: datetime) -> Contact:
    if contact_id is not None:
        id = ids.read_id(ids.CONTACT, contact_id, "contact_id")
        return await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact", param="contact_id")
    assert phone is not None, "one of both was given"
    row = await ensure_contact(ctx, phone, now=now)
    return await find(ctx, Contact, row.id, prefix=ids.CONTACT, noun="contact")


async def _entered(ctx: Context, sequence_id: UUID, contact_id: UUID) -> Conflict:
    rows = scoped(ctx, SequenceEnrollment).filter(sequence_id=sequence_id, contact_id=contact_id)
    last = await rows.order_by("-number").first()
    is_inside = last is not None and last.state == EnrollmentState.ACTIVE
    return Conflict(
        "The contact is in the sequence." if is_inside else "The contact was in the sequence, and may enter it once.",
        code=ErrorCode.SEQUENCE_ENTERED,
        existing_id=None if last is None else ids.encode_id(ids.ENROLLMENT, last.id),
    )


async def list_enrollments(
    ctx: Context, sequence_id: UUID, page: PageRequest, which: ListEnrollments | None = None
) -> Page[SequenceEnrollment]:
    """Enrollments in a sequence, newest first. Raises NotFound and InvalidRequest."""
    return await fetch_page(await enrollment_query(ctx, sequence_id, which or ListEnrollments()), page)


async def enrollment_query(ctx: Context, sequence_id: UUID, which: ListEnrollments) -> QuerySet[SequenceEnrollment]:
    """Return the query of the enrollments that meet every condition. Raises NotFound and InvalidRequest."""
    await find(ctx, MessageSequence, sequence_id, prefix=ids.SEQUENCE, noun="sequence")
    query = scoped(ctx, SequenceEnrollment).filter(sequence_id=sequence_id)
    if which.state is not None:
        if which.state not in {*EnrollmentState}:
            raise InvalidRequest(f"state must be one of {', '.join(EnrollmentState)}.", param="state")
        query = query.filter(state=EnrollmentState(which.state))
    contact_id = ids.read_optional_id(ids.CONTACT, which.contact_id, "contact_id")
    return query if contact_id is None else query.filter(contact_id=contact_id)


async def get_enrollment(ctx: Context, sequence_id: UUID, id: UUID) -> SequenceEnrollment:
    """Return one enrollment in a sequence. Raises NotFound."""
    row = await scoped(ctx, SequenceEnrollment).filter(sequence_id=sequence_id, id=id).first()
    if row is None:
        raise ids.missing(NOUN, ids.encode_id(ids.ENROLLMENT, id), param="enrollment_id")
    return row


async def enrollment_resources(ctx: Context, rows: Sequence[SequenceEnrollmentRow]) -> list[EnrollmentResource]:
    """Return the shapes of the caller's enrollments."""
    versions = await find_versions(ctx, {row.version_id for row in rows})
    return [enrollment_resource(row, versions[row.version_id]) for row in rows]


async def remove_enrollment(ctx: Context, sequence_id: UUID, id: UUID) -> EnrollmentResource:
    """Take a contact out of a sequence; what waits for it is canceled. One that has ended stays. Raises NotFound."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    query = scoped(ctx, SequenceEnrollment).filter(sequence_id=sequence_id, id=id)
    row = await query.select_for_update().first()
    if row is None:
        raise ids.missing(NOUN, ids.encode_id(ids.ENROLLMENT, id), param="enrollment_id")
    if row.state == EnrollmentState.ACTIVE:
        now = await clock()
        row.state, row.ended_at = EnrollmentState.LEFT, now
        row.leaving = row.leaving or LeaveReason.REMOVED
        await row.save(update_fields=["state", "leaving", "ended_at"])
        await conclude_left(ctx.services, [row], now)
    return (await enrollment_resources(ctx, [row]))[0]


FIND_STEP_MESSAGES = """
SELECT message_id FROM sequence_moves
WHERE enrollment_id = ANY ($1::uuid[]) AND message_id IS NOT NULL AND code IS NULL
"""


class _Moved(Protocol):
    message_id: UUID


async def conclude_left(services: Services, rows: Sequence[SequenceEnrollmentRow], now: datetime) -> None:
    """Cancel what waits for contacts that left, and record their events."""
    if not rows:
        return
    by_scope: dict[tuple[UUID, bool], list[SequenceEnrollmentRow]] = {}
    for row in rows:
        by_scope.setdefault((row.workspace_id, row.livemode), []).append(row)
    for (workspace_id, livemode), left in by_scope.items():
        ctx = Context(workspace_id, livemode, services=services)
        moved = await fetch(_Moved, FIND_STEP_MESSAGES, [row.id for row in left])
        if moved:
            await cancel_messages(ctx, [each.message_id for each in moved], reason="sequence_left", now=now)
        versions = await find_versions(ctx, {row.version_id for row in left})
        await record_enrollments(EventType.SEQUENCE_LEFT, left, versions, now)


async def record_enrollments(
    type: EventType, rows: Sequence[SequenceEnrollmentRow], versions: Mapping[UUID, Published], now: datetime
) -> None:
    """Record an event of a type for each enrollment; it is the contact's, so that its record and erasure find it."""
    await record_events(
        (
            NewEvent(
                type,
                row.workspace_id,
                row.livemode,
                row.contact_id,
                enrollment_resource(row, versions[row.version_id]),
            )
            for row in rows
        ),
        now,
    )
