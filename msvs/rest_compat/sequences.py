"""/v1/sequences."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.campaigns import enrollments, sequences
from msvs.api.campaigns.sequence_requests import (
    CreateSequence,
    EnrollContact,
    ListEnrollments,
    ListSequences,
    UpdateSequence,
)
from msvs.api.campaigns.sequence_shapes import EnrollmentResource, SequenceResource, SequenceStatsResource
from msvs.api.campaigns.sequence_stats import read_stats
from msvs.api.context import Context
from msvs.models import MessageSequence
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery


async def create(call: Call[CreateSequence, NoQuery]) -> SequenceResource:
    """Create a sequence as a draft."""
    return await _shape(call.ctx, await sequences.create_sequence(call.ctx, call.body))


async def list_(call: Call[NoBody, ListSequences]) -> ListOf[SequenceResource]:
    """List sequences."""
    page = await sequences.list_sequences(call.ctx, call.query.page(ids.SEQUENCE), call.query)
    shapes = await sequences.sequence_resources(call.ctx, page.items)
    return ListOf(url=call.path, has_more=page.has_more, data=shapes)


async def retrieve(call: Call[NoBody, NoQuery]) -> SequenceResource:
    """Retrieve a sequence."""
    return await _change(call, sequences.get_sequence)


async def update(call: Call[UpdateSequence, NoQuery]) -> SequenceResource:
    """Update a sequence."""
    return await _change(call, lambda ctx, id: sequences.update_sequence(ctx, id, call.body))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a draft."""
    await sequences.delete_sequence(call.ctx, _id(call.params["id"]))
    return Deleted(id=call.params["id"], object="sequence")


async def publish(call: Call[NoBody, NoQuery]) -> SequenceResource:
    """Publish a sequence as it stands."""
    return await _change(call, sequences.publish_sequence)


async def pause(call: Call[NoBody, NoQuery]) -> SequenceResource:
    """Pause a sequence."""
    return await _change(call, sequences.pause_sequence)


async def resume(call: Call[NoBody, NoQuery]) -> SequenceResource:
    """Resume a sequence."""
    return await _change(call, sequences.resume_sequence)


async def archive(call: Call[NoBody, NoQuery]) -> SequenceResource:
    """Archive a sequence."""
    return await _change(call, sequences.archive_sequence)


async def stats(call: Call[NoBody, NoQuery]) -> SequenceStatsResource:
    """Retrieve the statistics of a sequence."""
    return await read_stats(call.ctx, _id(call.params["id"]))


async def enroll(call: Call[EnrollContact, NoQuery]) -> EnrollmentResource:
    """Let a contact enter a sequence."""
    return await enrollments.enroll_contact(call.ctx, _id(call.params["id"]), call.body)


async def list_enrollments(call: Call[NoBody, ListEnrollments]) -> ListOf[EnrollmentResource]:
    """List the enrollments in a sequence."""
    request = call.query.page(ids.ENROLLMENT)
    page = await enrollments.list_enrollments(call.ctx, _id(call.params["id"]), request, call.query)
    shapes = await enrollments.enrollment_resources(call.ctx, page.items)
    return ListOf(url=call.path, has_more=page.has_more, data=shapes)


async def retrieve_enrollment(call: Call[NoBody, NoQuery]) -> EnrollmentResource:
    """Retrieve an enrollment."""
    row = await enrollments.get_enrollment(call.ctx, _id(call.params["id"]), _enrollment_id(call.params))
    return (await enrollments.enrollment_resources(call.ctx, [row]))[0]


async def remove(call: Call[NoBody, NoQuery]) -> EnrollmentResource:
    """Take a contact out of a sequence."""
    return await enrollments.remove_enrollment(call.ctx, _id(call.params["id"]), _enrollment_id(call.params))


async def _change(
    call: Call[msgspec.Struct, NoQuery], operation: Callable[[Context, UUID], Awaitable[MessageSequence]]
) -> SequenceResource:
    return await _shape(call.ctx, await operation(call.ctx, _id(call.params["id"])))


async def _shape(ctx: Context, row: MessageSequence) -> SequenceResource:
    return (await sequences.sequence_resources(ctx, [row]))[0]


def _id(text: str) -> UUID:
    return ids.find_id(ids.SEQUENCE, text, "sequence")


def _enrollment_id(params: Mapping[str, str]) -> UUID:
    return ids.find_id(ids.ENROLLMENT, params["enrollment_id"], "enrollment", param="enrollment_id")
