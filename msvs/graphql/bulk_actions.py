"""Actions on many contacts at once: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.contacts import bulk_actions
from msvs.api.contacts.bulk_actions import CreateBulkAction, ListBulkActions
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import BigInt, JSONObject, json_object
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import BulkAction as BulkActionRow
from msvs.models import BulkKind, BulkStatus, OptInStatus, rows


@resource_type(bulk_actions.BulkFault, "Why a bulk action failed.")
class BulkFault:
    code: str
    message: str


@resource_type(bulk_actions.BulkActionResource, "An action on many contacts, and how far it is.")
class BulkAction(Node):
    livemode: bool
    action: BulkKind
    status: BulkStatus
    dry_run: bool
    conditions: JSONObject
    matched: BigInt
    changed: BigInt
    error: BulkFault | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def from_row(cls, row: rows.BulkActionRow) -> BulkAction:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.BULK_ACTION, row.id)),
            action=BulkKind(row.kind),
            dry_run=bulk_actions.request_of(row).dry_run,
            conditions=json_object(bulk_actions.conditions_of(row)),
            error=None if row.error is None else from_row(BulkFault, bulk_actions.fault_of(row.error)),
        )


register_rows(ids.BULK_ACTION, BulkActionRow, BulkAction.from_row)


@request_input(CreateBulkAction)
class CreateBulkActionInput:
    action: BulkKind
    opt_in_status: OptInStatus | None


CreateBulkActionResult = Annotated[
    BulkAction | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateBulkActionResult", description="The bulk action, or an error."),
]
CancelBulkActionResult = Annotated[
    BulkAction | InvalidRequestError | NotFoundError | PermissionRefusedError,
    strawberry.union("CancelBulkActionResult", description="The bulk action as it is now, or an error."),
]
BulkActionId = Annotated[ID, strawberry.argument(description="The bulk action's id.")]


@strawberry.type
class BulkActionQuery:
    @field("A bulk action by its id; null if there is none.")
    async def bulk_action(self, info: Info, id: BulkActionId) -> BulkAction | None:
        return await load_kind(info, id, BulkAction, ids.BULK_ACTION)

    @field("Bulk actions, newest first.")
    async def bulk_actions(
        self,
        info: Info,
        status: Annotated[BulkStatus | None, argument(ListBulkActions, "status")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[BulkAction]:
        ctx = info.context.ctx
        request, which = read_page(ids.BULK_ACTION, first, after, last, before), ListBulkActions(status=status)
        page = await bulk_actions.list_bulk_actions(ctx, request, which)
        count = bulk_actions.bulk_action_query(ctx, which).count
        return connect(ids.BULK_ACTION, request, page, BulkAction.from_row, count)


@strawberry.type
class BulkActionMutation:
    @mutation(CreateBulkActionResult, "Opt out, delete, tag or list all contacts that meet conditions.")
    async def create_bulk_action(
        self,
        info: Info,
        input: Annotated[CreateBulkActionInput, strawberry.argument(description="The action and the contacts.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: bulk_actions.create_bulk_action(ctx, read_input(CreateBulkAction, input)),
            BulkAction.from_row,
        )

    @mutation(CancelBulkActionResult, "End a bulk action; what it has done stays.")
    async def cancel_bulk_action(self, info: Info, id: BulkActionId) -> object:
        return await mutate(info, lambda ctx: bulk_actions.cancel_bulk_action(ctx, _id(id)), BulkAction.from_row)


def _id(text: str) -> UUID:
    return ids.find_id(ids.BULK_ACTION, text, "bulk action")
