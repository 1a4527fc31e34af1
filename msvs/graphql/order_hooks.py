"""Order hooks: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.messages import order_hooks
from msvs.api.messages.order_hooks import CreateOrderHook, OrderHookResource, UpdateOrderHook
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionRefusedError,
    mutate,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, read_input, request_input
from msvs.graphql.nodes import Node, register_rows
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import OrderHook as OrderHookRow
from msvs.models import rows


@resource_type(OrderHookResource, "An address to which a shop posts its orders.")
class OrderHook(Node):
    livemode: bool
    type: str
    name: str | None
    has_secret: bool
    recorded: int
    ignored: int
    last_order_at: datetime | None
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.OrderHookRow) -> OrderHook:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.ORDER_HOOK, row.id)),
            type=row.kind,
            has_secret=row.secret_sealed is not None,
        )


register_rows(ids.ORDER_HOOK, OrderHookRow, OrderHook.from_row)


@strawberry.type(description="A new order hook, with the address for the service, which is shown only here.")
class CreatedOrderHook:
    order_hook: OrderHook = strawberry.field(description="The order hook.")
    url: str = strawberry.field(
        description="The address for the service. It is shown only in the answer that creates the hook."
    )


@request_input(CreateOrderHook)
class CreateOrderHookInput:
    pass


@request_input(UpdateOrderHook)
class UpdateOrderHookInput:
    pass


CreateOrderHookResult = Annotated[
    CreatedOrderHook | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateOrderHookResult", description="The new order hook, or an error."),
]
UpdateOrderHookResult = Annotated[
    OrderHook | NotFoundError | InvalidRequestError | PermissionRefusedError,
    strawberry.union("UpdateOrderHookResult", description="The updated order hook, or an error."),
]
DeleteOrderHookResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteOrderHookResult", description="The deleted id, or an error."),
]
OrderHookId = Annotated[ID, strawberry.argument(description="The order hook's id.")]


@strawberry.type
class OrderHookQuery:
    @field("The addresses to which shops post their orders, newest first.")
    async def order_hooks(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[OrderHook]:
        ctx = info.context.ctx
        request = read_page(ids.ORDER_HOOK, first, after, last, before)
        page = await order_hooks.list_order_hooks(ctx, request)
        return connect(ids.ORDER_HOOK, request, page, OrderHook.from_row, order_hooks.order_hook_query(ctx).count)


@strawberry.type
class OrderHookMutation:
    @mutation(CreateOrderHookResult, "Create an address to which a shop posts its orders.")
    async def create_order_hook(
        self, info: Info, input: Annotated[CreateOrderHookInput, strawberry.argument(description="The shop.")]
    ) -> object:
        return await mutate(
            info,
            lambda ctx: order_hooks.create_order_hook(ctx, read_input(CreateOrderHook, input)),
            lambda made: CreatedOrderHook(order_hook=OrderHook.from_row(made[0]), url=made[1]),
        )

    @mutation(UpdateOrderHookResult, "Change the name of an order hook, or its signing secret.")
    async def update_order_hook(
        self,
        info: Info,
        id: OrderHookId,
        input: Annotated[UpdateOrderHookInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: order_hooks.update_order_hook(ctx, _id(id), read_input(UpdateOrderHook, input)),
            OrderHook.from_row,
        )

    @mutation(DeleteOrderHookResult, "Delete an order hook; its address answers 404 from now on.")
    async def delete_order_hook(self, info: Info, id: OrderHookId) -> object:
        return await mutate(info, lambda ctx: order_hooks.delete_order_hook(ctx, _id(id)), lambda _: Deleted(id=ID(id)))


def _id(text: str) -> UUID:
    return ids.find_id(ids.ORDER_HOOK, text, order_hooks.NOUN)
