"""/v1/segments."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.contacts import segments
from msvs.api.contacts.segments import CreateSegment, PreviewSegment, UpdateSegment
from msvs.api.pages import PageQuery
from msvs.api.resources import SegmentResource, segment_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import UNSET, Deleted, ListOf, NoBody, NoQuery, SegmentPreview, list_of


async def create(call: Call[CreateSegment, NoQuery]) -> SegmentResource:
    """Create a segment."""
    return segment_resource(await segments.create_segment(call.ctx, call.body.name, call.body.filter))


async def retrieve(call: Call[NoBody, NoQuery]) -> SegmentResource:
    """Retrieve a segment."""
    return segment_resource(await segments.get_segment(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateSegment, NoQuery]) -> SegmentResource:
    """Update a segment."""
    body = call.body
    row = await segments.update_segment(
        call.ctx,
        _id(call.params["id"]),
        name=None if body.name is UNSET else body.name,
        filter=None if body.filter is UNSET else body.filter,
        version=body.version,
    )
    return segment_resource(row)


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a segment."""
    id = _id(call.params["id"])
    await segments.delete_segment(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.SEGMENT, id), object="segment")


async def list_(call: Call[NoBody, PageQuery]) -> ListOf[SegmentResource]:
    """List segments."""
    page = await segments.list_segments(call.ctx, call.query.page(ids.SEGMENT))
    return list_of(call.path, page, segment_resource)


async def preview(call: Call[PreviewSegment, NoQuery]) -> SegmentPreview:
    """Count the contacts that match a filter."""
    return SegmentPreview(contact_count=await segments.preview_segment(call.ctx, call.body.filter))


def _id(text: str) -> UUID:
    return ids.find_id(ids.SEGMENT, text, "segment")
