"""The public shapes of sequences and enrollments."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from msvs.api import ids
from msvs.api.campaigns.sequence_requests import Definition, SequenceEntry, SequenceStep
from msvs.api.campaigns.sequence_versions import Published, read_definition
from msvs.api.resources import Resource, RevenueResource, ShownVersion, moment, optional_moment, version_of
from msvs.fields import ULID, about
from msvs.json_types import JSONObject
from msvs.models import EnrollmentState, LeaveReason, SequenceStatus, rows

ENTERED_BY = ("api", "list", "keyword", "tag", "event")


class SequenceCounts(Resource, kw_only=True):
    """The contacts of a sequence: those who entered are inside, completed it or left it."""

    entered: Annotated[int, about("All who entered.", example=120, minimum=0)] = 0
    inside: Annotated[int, about("Those who are inside.", example=80, minimum=0)] = 0
    completed: Annotated[int, about("Those who took the last step.", example=30, minimum=0)] = 0
    left: Annotated[int, about("Those who left before it.", example=10, minimum=0)] = 0
    left_by_reason: Annotated[
        dict[str, int], about("Those who left, by reason.", example={"replied": 7, "opted_out": 3})
    ] = {}  # noqa: RUF012


class SequenceStepStats(Resource, kw_only=True):
    """What became of a step of one version of a sequence."""

    object: Literal["sequence_step_stats"] = "sequence_step_stats"
    sequence_version: Annotated[int, about("The version.", example=1, minimum=1)]
    key: Annotated[str, about("The step.", example="day_1")]
    position: Annotated[int, about("The place of the step, from 0.", example=0, minimum=0)]
    campaign_id: Annotated[
        str, about("The campaign as which it sends; messages of the step have its id.", example=f"cmp_{ULID}")
    ]
    waiting: Annotated[int, about("Contacts who wait for it.", example=80, minimum=0)] = 0
    entered: Annotated[int, about("Contacts for whom it was taken.", example=40, minimum=0)] = 0
    skipped: Annotated[int, about("Contacts who got no message.", example=2, minimum=0)] = 0
    skipped_by_reason: Annotated[
        dict[str, int], about("Contacts who got no message, by reason.", example={"condition_not_met": 2})
    ] = {}  # noqa: RUF012
    left: Annotated[int, about("Contacts who left while they waited for it.", example=10, minimum=0)] = 0
    queued: Annotated[int, about("Messages that wait.", example=0, minimum=0)] = 0
    sent: Annotated[int, about("Messages that a carrier has, without those delivered.", example=1, minimum=0)] = 0
    delivered: Annotated[int, about("Messages delivered, those with a reply included.", example=36, minimum=0)] = 0
    failed: Annotated[int, about("Messages that failed.", example=1, minimum=0)] = 0
    canceled: Annotated[int, about("Messages canceled before a carrier had them.", example=0, minimum=0)] = 0
    clicked: Annotated[int, about("Messages with a click.", example=9, minimum=0)] = 0
    replied: Annotated[int, about("Messages with a reply.", example=7, minimum=0)] = 0
    opted_out: Annotated[int, about("Contacts who answered STOP.", example=1, minimum=0)] = 0
    credits_used: Annotated[int, about("Credits reserved or spent.", example=38, minimum=0)] = 0
    conversions: Annotated[int, about("Conversions attributed to its messages.", example=3, minimum=0)] = 0
    conversion_rate: Annotated[
        float, about("Messages with a conversion by those that a carrier accepted and that have not failed.", example=0)
    ] = 0.0
    revenue: Annotated[list[RevenueResource], about("The revenue, a currency each.", example=[])] = []  # noqa: RUF012


class SequenceStatsResource(Resource, kw_only=True):
    """The statistics of a sequence, step by step."""

    id: Annotated[str, about(example=f"seq_{ULID}")]
    object: Literal["sequence_stats"] = "sequence_stats"
    stats: SequenceCounts
    steps: Annotated[list[SequenceStepStats], about("The steps of each version, the newest version first.")]


class SequenceResource(Resource, kw_only=True):
    """Messages that a contact gets one after the other."""

    id: Annotated[str, about(example=f"seq_{ULID}")]
    object: Literal["sequence"] = "sequence"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    name: Annotated[str, about("The name, shown to your team only.", example="Five-day challenge")]
    status: Annotated[str, about("The status.", example="active", enum=[*SequenceStatus])]
    published_version: Annotated[int, about("The number of the version published last.", example=1)] | None = None
    has_changes: Annotated[bool, about("Whether it was changed since it was published.", example=False)]
    steps: Annotated[list[SequenceStep], about("The steps, in their order.")]
    from_: Annotated[str, about("The sender; null for the workspace's.")] | None = msgspec.field(
        name="from", default=None
    )
    entry: Annotated[SequenceEntry, about("How contacts enter; null for by calls only.")] | None = None
    goal: Annotated[JSONObject, about("The filter whose matches leave with the reason `goal`.")] | None = None
    leave_on_reply: Annotated[bool, about("Whether a contact that replies leaves.", example=True)]
    may_reenter: Annotated[bool, about("Whether a contact may enter again after it ended.", example=False)]
    quiet_hours: Annotated[bool, about("Whether quiet hours hold messages.", example=True)]
    anchor_at: Annotated[str, about("The time that `anchor_minutes` count from.")] | None = None
    stats: SequenceCounts
    version: ShownVersion
    published_at: Annotated[str, about("When it was published last.")] | None = None
    archived_at: Annotated[str, about("When it was archived.")] | None = None
    created_at: Annotated[str, about("When it was created.")]


class EnrollmentResource(Resource, kw_only=True):
    """A contact's way through a sequence."""

    id: Annotated[str, about(example=f"enr_{ULID}")]
    object: Literal["sequence_enrollment"] = "sequence_enrollment"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    sequence_id: Annotated[str, about("The sequence.", example=f"seq_{ULID}")]
    sequence_version: Annotated[int, about("The version that the contact entered, and stays on.", example=1)]
    contact_id: Annotated[str, about("The contact.", example=f"con_{ULID}")]
    state: Annotated[str, about("The state.", example="active", enum=[*EnrollmentState])]
    reason: Annotated[str, about("Why the contact left; null unless it did.", enum=[*LeaveReason])] | None = None
    entered_by: Annotated[str, about("How the contact entered.", example="list", enum=[*ENTERED_BY])]
    step: Annotated[str, about("The step that comes next; null at the end.", example="day_2")] | None = None
    due_at: Annotated[str, about("When the next step is due; null at the end.")] | None = None
    anchor_at: Annotated[str, about("The contact's own anchor.")] | None = None
    created_at: Annotated[str, about("When the contact entered.")]
    ended_at: Annotated[str, about("When the contact completed the sequence or left it.")] | None = None


def sequence_version(row: rows.MessageSequenceRow) -> str:
    """Return the version of a sequence for edits: its name and what it does."""
    return version_of(row.name, row.definition)


def sequence_resource(
    row: rows.MessageSequenceRow, stats: SequenceCounts, current: Published | None
) -> SequenceResource:
    """Return the shape of a sequence; `current` is its version published last, None if there is none."""
    definition: Definition = read_definition(row.definition)
    return SequenceResource(
        id=ids.encode_id(ids.SEQUENCE, row.id),
        livemode=row.livemode,
        name=row.name,
        status=str(row.status),
        published_version=row.number or None,
        has_changes=current is not None and current.definition != definition,
        steps=definition.steps,
        from_=definition.from_,
        entry=definition.entry,
        goal=definition.goal,
        leave_on_reply=definition.leave_on_reply,
        may_reenter=definition.may_reenter,
        quiet_hours=definition.quiet_hours,
        anchor_at=optional_moment(definition.anchor_at),
        stats=stats,
        version=sequence_version(row),
        published_at=optional_moment(row.published_at),
        archived_at=optional_moment(row.archived_at),
        created_at=moment(row.created_at),
    )


def enrollment_resource(row: rows.SequenceEnrollmentRow, version: Published) -> EnrollmentResource:
    """Return the shape of an enrollment in a version."""
    is_inside = row.state == EnrollmentState.ACTIVE
    return EnrollmentResource(
        id=ids.encode_id(ids.ENROLLMENT, row.id),
        livemode=row.livemode,
        sequence_id=ids.encode_id(ids.SEQUENCE, row.sequence_id),
        sequence_version=version.number,
        contact_id=ids.encode_id(ids.CONTACT, row.contact_id),
        state=str(row.state),
        reason=str(row.leaving) if row.state == EnrollmentState.LEFT and row.leaving is not None else None,
        entered_by=row.entered_by,
        step=version.key_of(row.step) if is_inside else None,
        due_at=moment(row.due_at) if is_inside else None,
        anchor_at=optional_moment(row.anchor_at),
        created_at=moment(row.created_at),
        ended_at=optional_moment(row.ended_at),
    )
