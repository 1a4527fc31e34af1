"""Senders: what the workspace may send from, live."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.dispatch import senders
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.nodes import Node, load_node, register
from msvs.models import Sender as SenderRow
from msvs.models import SenderKind, rows


@strawberry.type(description="A sender that the workspace may use live. The operator adds them.")
class Sender(Node):
    value: str = strawberry.field(description="What stands in `from`.")
    kind: SenderKind = strawberry.field(description="What it is to carriers.")
    regions: list[str] = strawberry.field(description="Where it sends to; empty: wherever its kind is taken.")
    registration: str | None = strawberry.field(description="The reference of its registration with carriers.")
    created_at: datetime = strawberry.field(description="When it was added.")

    @classmethod
    def from_row(cls, row: rows.SenderRow) -> Sender:
        """The type of a row."""
        return cls(
            id=ID(ids.encode_id(ids.SENDER, row.id)),
            value=row.value,
            kind=SenderKind(row.kind),
            regions=list(row.regions),
            registration=row.registration,
            created_at=row.created_at,
        )


async def _load(info: Info, id: UUID) -> Sender | None:
    row = await SenderRow.filter(id=id, workspace_id=info.context.ctx.workspace_id).first()
    return None if row is None else Sender.from_row(row)


register(ids.SENDER, _load)


@strawberry.type
class SenderQuery:
    @field("A sender by its id; null where there is none.")
    async def sender(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The sender's id.")]
    ) -> Sender | None:
        found: Sender | None = await load_node(info, id, prefix=ids.SENDER)
        return found

    @field("The senders that the workspace may use live, newest first.")
    async def senders(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Sender]:
        ctx = info.context.ctx
        request = read_page(ids.SENDER, first, after, last, before)
        page = await senders.list_senders(ctx, request)
        count = SenderRow.filter(workspace_id=ctx.workspace_id).count
        return connect(ids.SENDER, request, page, Sender.from_row, count)
