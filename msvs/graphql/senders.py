"""Senders that the workspace can use in live mode."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.dispatch import senders
from msvs.api.resources import SenderResource
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.nodes import Node, load_kind, register
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Sender as SenderRow
from msvs.models import SenderKind, rows


@resource_type(SenderResource, "A sender that the workspace can use in live mode. The operator adds senders.")
class Sender(Node):
    value: str
    kind: SenderKind
    regions: list[str]
    registration: str | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.SenderRow) -> Sender:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.SENDER, row.id)))


async def _load(info: Info, id: UUID) -> Sender | None:
    row = await SenderRow.filter(id=id, workspace_id=info.context.ctx.workspace_id).first()
    return None if row is None else Sender.from_row(row)


register(ids.SENDER, _load)


@strawberry.type
class SenderQuery:
    @field("A sender by its id; null if there is none.")
    async def sender(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The sender's id.")]
    ) -> Sender | None:
        return await load_kind(info, id, Sender, ids.SENDER)

    @field("The senders that the workspace may use live, newest first.")
    async def senders(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Sender]:
        ctx = info.context.ctx
        request = read_page(ids.SENDER, first, after, last, before)
        page = await senders.list_senders(ctx, request)
        count = SenderRow.filter(workspace_id=ctx.workspace_id).count
        return connect(ids.SENDER, request, page, Sender.from_row, count)
