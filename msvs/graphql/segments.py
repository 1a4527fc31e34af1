"""Segments: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from msgspec import UNSET
from strawberry import ID

from msvs.api import ids
from msvs.api.contacts import segments
from msvs.api.contacts.segments import CreateSegment, FieldType, UpdateSegment
from msvs.api.resources import SegmentResource, segment_version
from msvs.api.scope import scoped
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, argument
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import JSONObject, json_object
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Segment as SegmentRow
from msvs.models import rows


@resource_type(SegmentResource, "A saved filter over contacts.")
class Segment(Node):
    row: strawberry.Private[rows.SegmentRow]
    livemode: bool
    name: str
    filter: JSONObject
    created_at: datetime
    updated_at: datetime
    version: str

    @classmethod
    def from_row(cls, row: rows.SegmentRow) -> Segment:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.SEGMENT, row.id)),
            filter=json_object(row.conditions),
            version=segment_version(row),
        )

    @field("The number of contacts that match now. Counted only if you ask for it.")
    async def contact_count(self, info: Info) -> int:
        return await info.context.loaders.segment_count(self.row)

    @field("The contacts that match now, newest first.")
    async def members(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Contact]:
        request = read_page(ids.CONTACT, first, after, last, before)
        loaders = info.context.loaders
        page = await loaders.segment_members(self.row, request)
        return connect(ids.CONTACT, request, page, Contact.from_row, lambda: loaders.segment_count(self.row))


register_rows(ids.SEGMENT, SegmentRow, Segment.from_row)


@strawberry.type(description="A field that a filter can compare.")
class SegmentField:
    field: str = strawberry.field(description="The name in a filter: `first_name`, `attributes.plan`.")
    type: FieldType = strawberry.field(description="The type of the values.")
    ops: list[str] = strawberry.field(description="The operators that it supports.")
    values: list[str] = strawberry.field(
        description="The possible values of a choice, or the most frequent values of an attribute, as text."
    )


CreateSegmentResult = Annotated[
    Segment | InvalidRequestError | PermissionRefusedError,
    strawberry.union("CreateSegmentResult", description="The new segment, or an error."),
]
UpdateSegmentResult = Annotated[
    Segment | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateSegmentResult", description="The updated segment, or an error."),
]
DeleteSegmentResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteSegmentResult", description="Confirms that the segment was deleted, or an error."),
]

SegmentId = Annotated[ID, strawberry.argument(description="The segment's id.")]
Filter = Annotated[JSONObject, argument(CreateSegment, "filter")]


@strawberry.type
class SegmentQuery:
    @field("A segment by its id; null if there is none.")
    async def segment(self, info: Info, id: SegmentId) -> Segment | None:
        return await load_kind(info, id, Segment, ids.SEGMENT)

    @field("Segments, newest first.")
    async def segments(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Segment]:
        ctx = info.context.ctx
        request = read_page(ids.SEGMENT, first, after, last, before)
        page = await segments.list_segments(ctx, request)
        return connect(ids.SEGMENT, request, page, Segment.from_row, scoped(ctx, SegmentRow).count)

    @field("The fields that filters can compare: the fields of a contact, then the attributes of the newest contacts.")
    async def segment_fields(self, info: Info) -> list[SegmentField]:
        found = await segments.segment_fields(info.context.ctx)
        return [
            SegmentField(field=each.field, type=each.type, ops=list(each.ops), values=list(each.values))
            for each in found
        ]

    @field("The number of contacts that a filter matches now, before it is saved.")
    async def segment_preview(self, info: Info, filter: Filter) -> int:
        return await segments.preview_segment(info.context.ctx, filter)


@strawberry.type
class SegmentMutation:
    @mutation(CreateSegmentResult, "Save a filter as a segment.")
    async def create_segment(
        self,
        info: Info,
        name: Annotated[str, argument(CreateSegment, "name")],
        filter: Filter,
    ) -> object:
        return await mutate(info, lambda ctx: segments.create_segment(ctx, name, filter), Segment.from_row)

    @mutation(UpdateSegmentResult, "Rename a segment, replace its filter, or both.")
    async def update_segment(
        self,
        info: Info,
        id: SegmentId,
        name: Annotated[str | None, argument(UpdateSegment, "name")] = None,
        filter: Annotated[JSONObject | None, argument(UpdateSegment, "filter")] = None,
        version: Annotated[str | None, argument(UpdateSegment, "version")] = None,
    ) -> object:
        known = UNSET if version is None else version
        return await mutate(
            info,
            lambda ctx: segments.update_segment(ctx, _id(id), name=name, filter=filter, version=known),
            Segment.from_row,
        )

    @mutation(DeleteSegmentResult, "Delete a segment.")
    async def delete_segment(self, info: Info, id: SegmentId) -> object:
        return await mutate(info, lambda ctx: segments.delete_segment(ctx, _id(id)), lambda _: Deleted(id=id))


def _id(text: str) -> UUID:
    return ids.find_id(ids.SEGMENT, text, "segment")
