"""Sequences: types, queries and mutations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar, cast
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.campaigns import enrollments, sequences
from msvs.api.campaigns import sequence_requests as requests
from msvs.api.campaigns import sequence_shapes as shapes
from msvs.api.campaigns.sequence_requests import (
    CreateSequence,
    EnrollContact,
    ListEnrollments,
    ListSequences,
    Otherwise,
    UpdateSequence,
)
from msvs.api.campaigns.sequence_shapes import EnrollmentResource, SequenceResource, sequence_version
from msvs.api.campaigns.sequence_stats import read_stats
from msvs.api.campaigns.sequence_versions import read_definition
from msvs.api.context import Context
from msvs.api.errors import ApiError
from msvs.api.limits import Bucket
from msvs.graphql.campaigns import Revenue
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.errors import (
    ComplianceError,
    ConflictError,
    IdempotencyError,
    InvalidRequestError,
    NotFoundError,
    PermissionRefusedError,
    RateLimitError,
    as_member,
    check_allowed,
    mutate,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.idempotency import IdempotencyKey, mutate_once, said
from msvs.graphql.inputs import Deleted, argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register, register_rows
from msvs.graphql.scalars import BigInt, JSONObject, read_time
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import EnrollmentState, LeaveReason, MessageSequence, SequenceEnrollment, SequenceStatus

T = TypeVar("T")


@strawberry.type(description="A number of contacts for one reason.")
class SequenceReasonCount:
    reason: str = strawberry.field(description="The reason.")
    contacts: int = strawberry.field(description="The number of contacts.")


def _reasons(counts: Mapping[str, int]) -> list[SequenceReasonCount]:
    return [SequenceReasonCount(reason=reason, contacts=count) for reason, count in sorted(counts.items())]


@resource_type(
    shapes.SequenceCounts, "The contacts of a sequence: those who entered are inside, completed it or left it."
)
class SequenceCounts:
    entered: int
    inside: int
    completed: int
    left: int
    left_by_reason: list[SequenceReasonCount]

    @classmethod
    def of(cls, found: shapes.SequenceCounts) -> SequenceCounts:
        """Return the type of a shape."""
        return from_row(cls, found, left_by_reason=_reasons(found.left_by_reason))


@resource_type(shapes.SequenceStepStats, "What became of a step of one version of a sequence.")
class SequenceStepStats:
    sequence_version: int
    key: str
    position: int
    campaign_id: ID
    waiting: int
    entered: int
    skipped: int
    skipped_by_reason: list[SequenceReasonCount]
    left: int
    queued: int
    sent: int
    delivered: int
    failed: int
    canceled: int
    clicked: int
    replied: int
    opted_out: int
    credits_used: BigInt
    conversions: int
    conversion_rate: float
    revenue: list[Revenue]

    @classmethod
    def of(cls, found: shapes.SequenceStepStats) -> SequenceStepStats:
        """Return the type of a shape."""
        return from_row(
            cls,
            found,
            skipped_by_reason=_reasons(found.skipped_by_reason),
            revenue=Revenue.all_of(found.revenue),
        )


@resource_type(shapes.SequenceStatsResource, "The statistics of a sequence, step by step.")
class SequenceStats:
    stats: SequenceCounts = strawberry.field(description="The number of contacts by state.")
    steps: list[SequenceStepStats]


@resource_type(requests.StepCondition, "The condition of a step. All that is given must hold when its time has come.")
class StepCondition:
    filter: JSONObject | None
    clicked: str | None
    not_clicked: str | None
    replied: str | None
    not_replied: str | None


@resource_type(requests.SequenceStep, "A step of a sequence: a wait, a condition, and a message.")
class SequenceStep:
    key: str
    body: str
    wait_minutes: int
    anchor_minutes: int | None
    send_at_local: str | None
    only_if: StepCondition | None
    otherwise: Otherwise | None
    shorten_links: bool | None


@resource_type(
    requests.SequenceEntry,
    "How contacts enter a sequence besides calls: all who join a list, text a keyword, get a tag, or do something.",
)
class SequenceEntry:
    list_ids: list[ID] | None
    keyword_ids: list[ID] | None
    tags: list[str] | None
    events: list[str] | None


@resource_type(SequenceResource, "Messages that a contact gets one after the other.")
class Sequence(Node):
    row: strawberry.Private[MessageSequence]
    livemode: bool
    name: str
    status: SequenceStatus
    published_version: int | None
    steps: list[SequenceStep]
    from_: str | None
    entry: SequenceEntry | None
    goal: JSONObject | None
    leave_on_reply: bool
    may_reenter: bool
    quiet_hours: bool
    anchor_at: datetime | None
    version: str
    published_at: datetime | None
    archived_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: MessageSequence) -> Sequence:
        """Return the type of a row."""
        definition = read_definition(row.definition)
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.SEQUENCE, row.id)),
            published_version=row.number or None,
            # The fields of these types are those of the definition, by the same names.
            steps=cast("list[SequenceStep]", definition.steps),
            from_=definition.from_,
            entry=cast("SequenceEntry | None", definition.entry),
            goal=cast("JSONObject | None", definition.goal),
            leave_on_reply=definition.leave_on_reply,
            may_reenter=definition.may_reenter,
            quiet_hours=definition.quiet_hours,
            anchor_at=definition.anchor_at,
            version=sequence_version(row),
        )

    @field("Whether it was changed since it was published.")
    async def has_changes(self, info: Info) -> bool:
        return (await info.context.loaders.sequence(self.row)).has_changes

    @field("The number of contacts by state.")
    async def stats(self, info: Info) -> SequenceCounts:
        return SequenceCounts.of((await info.context.loaders.sequence(self.row)).stats)


register_rows(ids.SEQUENCE, MessageSequence, Sequence.from_row)


@resource_type(EnrollmentResource, "A contact's way through a sequence.")
class Enrollment(Node):
    livemode: bool
    sequence_id: ID
    sequence_version: int
    contact_id: ID
    state: EnrollmentState
    reason: LeaveReason | None
    entered_by: str
    step: str | None
    due_at: datetime | None
    anchor_at: datetime | None
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, found: EnrollmentResource) -> Enrollment:
        """Return the type of a shape."""
        return from_row(
            cls,
            found,
            due_at=_time(found.due_at),
            anchor_at=_time(found.anchor_at),
            created_at=_time(found.created_at),
            ended_at=_time(found.ended_at),
        )

    @field("The contact; null if it was deleted.")
    async def contact(self, info: Info) -> Contact | None:
        return await load_kind(info, self.contact_id, Contact, ids.CONTACT)


def _time(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)


async def _load_enrollment(info: Info, id: UUID) -> Node | None:
    row = await info.context.loaders.row(SequenceEnrollment, id)
    return None if row is None else Enrollment.of(await info.context.loaders.enrollment(row))


register(ids.ENROLLMENT, _load_enrollment)


@request_input(requests.StepCondition)
class StepConditionInput:
    pass


@request_input(requests.SequenceStepCreate, only_if=StepConditionInput)
class SequenceStepInput:
    pass


@request_input(requests.SequenceEntry)
class SequenceEntryInput:
    pass


@request_input(CreateSequence, steps=SequenceStepInput, entry=SequenceEntryInput)
class CreateSequenceInput:
    pass


@request_input(UpdateSequence, steps=SequenceStepInput, entry=SequenceEntryInput)
class UpdateSequenceInput:
    pass


@request_input(EnrollContact)
class EnrollContactInput:
    pass


CreateSequenceResult = Annotated[
    Sequence | InvalidRequestError | ComplianceError | PermissionRefusedError | RateLimitError | IdempotencyError,
    strawberry.union("CreateSequenceResult", description="The new sequence, or an error."),
]
UpdateSequenceResult = Annotated[
    Sequence
    | NotFoundError
    | ConflictError
    | InvalidRequestError
    | ComplianceError
    | PermissionRefusedError
    | RateLimitError,
    strawberry.union("UpdateSequenceResult", description="The updated sequence, or an error."),
]
ChangeSequenceResult = Annotated[
    Sequence | NotFoundError | ConflictError | PermissionRefusedError | RateLimitError,
    strawberry.union("ChangeSequenceResult", description="The updated sequence, or an error."),
]
DeleteSequenceResult = Annotated[
    Deleted | NotFoundError | ConflictError | PermissionRefusedError | RateLimitError,
    strawberry.union("DeleteSequenceResult", description="The deleted id, or an error."),
]
EnrollContactResult = Annotated[
    Enrollment
    | NotFoundError
    | ConflictError
    | InvalidRequestError
    | ComplianceError
    | PermissionRefusedError
    | RateLimitError
    | IdempotencyError,
    strawberry.union("EnrollContactResult", description="The new enrollment, or an error."),
]
RemoveEnrollmentResult = Annotated[
    Enrollment | NotFoundError | PermissionRefusedError | RateLimitError,
    strawberry.union("RemoveEnrollmentResult", description="The enrollment that ended, or an error."),
]
SequenceId = Annotated[ID, strawberry.argument(description="The sequence's id.")]
EnrollmentId = Annotated[ID, strawberry.argument(description="The enrollment's id.")]


@strawberry.type
class SequenceQuery:
    @field("A sequence by its id; null if there is none.")
    async def sequence(self, info: Info, id: SequenceId) -> Sequence | None:
        return await load_kind(info, id, Sequence, ids.SEQUENCE)

    @field("Sequences, newest first. Archived ones are included only with the status `ARCHIVED`.")
    async def sequences(
        self,
        info: Info,
        status: Annotated[SequenceStatus | None, argument(ListSequences, "status")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Sequence]:
        ctx = info.context.ctx
        request = read_page(ids.SEQUENCE, first, after, last, before)
        which = ListSequences(status=status)
        page = await sequences.list_sequences(ctx, request, which)
        count = sequences.sequence_query(ctx, which).count
        return connect(ids.SEQUENCE, request, page, Sequence.from_row, count)

    @field("The statistics of a sequence, with each step of its newest versions.")
    async def sequence_stats(self, info: Info, id: SequenceId) -> SequenceStats:
        found = await read_stats(info.context.ctx, _id(id))
        return SequenceStats(
            stats=SequenceCounts.of(found.stats), steps=[SequenceStepStats.of(each) for each in found.steps]
        )

    @field("An enrollment by its id; null if there is none.")
    async def enrollment(self, info: Info, id: EnrollmentId) -> Enrollment | None:
        return await load_kind(info, id, Enrollment, ids.ENROLLMENT)

    @field("The enrollments in a sequence, newest first.")
    async def enrollments(
        self,
        info: Info,
        id: SequenceId,
        state: Annotated[EnrollmentState | None, argument(ListEnrollments, "state")] = None,
        contact_id: Annotated[ID | None, argument(ListEnrollments, "contact_id")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Enrollment]:
        ctx, sequence_id = info.context.ctx, _id(id)
        request = read_page(ids.ENROLLMENT, first, after, last, before)
        which = ListEnrollments(state=state, contact_id=contact_id)
        page = await enrollments.list_enrollments(ctx, sequence_id, request, which)
        resources = await enrollments.enrollment_resources(ctx, page.items)
        shown = {row.id: each for row, each in zip(page.items, resources, strict=True)}

        async def count() -> int:
            return await (await enrollments.enrollment_query(ctx, sequence_id, which)).count()

        return connect(ids.ENROLLMENT, request, page, lambda row: Enrollment.of(shown[row.id]), count)


@dataclass(frozen=True, slots=True)
class _Entered:
    """An enrollment, with its shape."""

    id: UUID
    shape: EnrollmentResource


@strawberry.type
class SequenceMutation:
    @mutation(CreateSequenceResult, "Create a sequence as a draft.")
    async def create_sequence(
        self,
        info: Info,
        input: Annotated[CreateSequenceInput, strawberry.argument(description="The sequence.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        try:
            check_allowed(info)
            await info.context.take(Bucket.CAMPAIGNS)
            data = read_input(CreateSequence, input)
        except ApiError as error:
            return as_member(info, error)
        return await mutate_once(
            info,
            idempotency_key,
            said(data),
            lambda ctx: sequences.create_sequence(ctx, data),
            sequences.get_sequence,
            Sequence.from_row,
        )

    @mutation(UpdateSequenceResult, "Update a sequence; contacts who are inside stay on the version that they entered.")
    async def update_sequence(
        self,
        info: Info,
        id: SequenceId,
        input: Annotated[UpdateSequenceInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await _change(
            info, id, lambda ctx, id: sequences.update_sequence(ctx, id, read_input(UpdateSequence, input))
        )

    @mutation(DeleteSequenceResult, "Delete a draft of a sequence.")
    async def delete_sequence(self, info: Info, id: SequenceId) -> object:
        return await _act(info, id, sequences.delete_sequence, lambda _: Deleted(id=ID(id)))

    @mutation(UpdateSequenceResult, "Publish a sequence as it stands: contacts enter this version from now on.")
    async def publish_sequence(self, info: Info, id: SequenceId) -> object:
        return await _change(info, id, sequences.publish_sequence)

    @mutation(ChangeSequenceResult, "Pause a sequence: no step is taken until it is resumed.")
    async def pause_sequence(self, info: Info, id: SequenceId) -> object:
        return await _change(info, id, sequences.pause_sequence)

    @mutation(ChangeSequenceResult, "Resume a paused sequence.")
    async def resume_sequence(self, info: Info, id: SequenceId) -> object:
        return await _change(info, id, sequences.resume_sequence)

    @mutation(ChangeSequenceResult, "Archive a sequence: everyone leaves, and nobody enters any more.")
    async def archive_sequence(self, info: Info, id: SequenceId) -> object:
        return await _change(info, id, sequences.archive_sequence)

    @mutation(EnrollContactResult, "Let a contact enter a sequence.")
    async def enroll_contact(
        self,
        info: Info,
        id: SequenceId,
        input: Annotated[EnrollContactInput, strawberry.argument(description="The contact.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        async def enroll(ctx: Context) -> _Entered:
            found = await enrollments.enroll_contact(ctx, _id(id), data)
            return _Entered(ids.read_id(ids.ENROLLMENT, found.id, "id"), found)

        async def read(ctx: Context, enrollment_id: UUID) -> _Entered:
            row = await enrollments.get_enrollment(ctx, _id(id), enrollment_id)
            return _Entered(row.id, (await enrollments.enrollment_resources(ctx, [row]))[0])

        try:
            check_allowed(info)
            await info.context.take(Bucket.CAMPAIGNS)
            data = read_input(EnrollContact, input)
        except ApiError as error:
            return as_member(info, error)
        named = {"id": id, **said(data)}
        return await mutate_once(info, idempotency_key, named, enroll, read, lambda found: Enrollment.of(found.shape))

    @mutation(RemoveEnrollmentResult, "Take a contact out of a sequence; what waits for it is canceled.")
    async def remove_enrollment(self, info: Info, id: SequenceId, enrollment_id: EnrollmentId) -> object:
        def remove(ctx: Context, sequence_id: UUID) -> Awaitable[EnrollmentResource]:
            found = ids.find_id(ids.ENROLLMENT, enrollment_id, "enrollment", param="enrollment_id")
            return enrollments.remove_enrollment(ctx, sequence_id, found)

        return await _act(info, id, remove, Enrollment.of)


async def _change(info: Info, id: str, operation: Callable[[Context, UUID], Awaitable[MessageSequence]]) -> object:
    return await _act(info, id, operation, Sequence.from_row)


async def _act(
    info: Info,
    id: str,
    operation: Callable[[Context, UUID], Awaitable[T]],
    shape: Callable[[T], object],
) -> object:
    try:
        await info.context.take(Bucket.CAMPAIGNS)
    except ApiError as error:
        return as_member(info, error)
    return await mutate(info, lambda ctx: operation(ctx, _id(id)), shape)


def _id(text: str) -> UUID:
    return ids.find_id(ids.SEQUENCE, text, "sequence")
