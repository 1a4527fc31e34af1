"""/v1/order_hooks."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.messages import order_hooks
from msvs.api.messages.order_hooks import (
    CreateOrderHook,
    OrderHookResource,
    UpdateOrderHook,
    order_hook_resource,
)
from msvs.api.pages import PageQuery
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateOrderHook, NoQuery]) -> OrderHookResource:
    """Create an order hook."""
    row, url = await order_hooks.create_order_hook(call.ctx, call.body)
    return order_hook_resource(row, url=url)


async def list_(call: Call[NoBody, PageQuery]) -> ListOf[OrderHookResource]:
    """List order hooks."""
    page = await order_hooks.list_order_hooks(call.ctx, call.query.page(ids.ORDER_HOOK))
    return list_of(call.path, page, order_hook_resource)


async def update(call: Call[UpdateOrderHook, NoQuery]) -> OrderHookResource:
    """Update an order hook."""
    return order_hook_resource(await order_hooks.update_order_hook(call.ctx, _id(call.params["id"]), call.body))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete an order hook."""
    await order_hooks.delete_order_hook(call.ctx, _id(call.params["id"]))
    return Deleted(id=call.params["id"], object="order_hook")


def _id(text: str) -> UUID:
    return ids.find_id(ids.ORDER_HOOK, text, order_hooks.NOUN)
