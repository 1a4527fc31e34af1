"""Billing: packs of credits, and purchases with their payments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.credits import checkout
from msvs.api.credits.checkout import CheckoutResource, CreateCheckout, PackResource
from msvs.api.credits.gateway import PURCHASE
from msvs.api.errors import ApiError
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import (
    ConflictError,
    Error,
    IdempotencyError,
    InvalidRequestError,
    PermissionRefusedError,
    as_member,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.idempotency import IdempotencyKey, mutate_once, said
from msvs.graphql.inputs import read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register
from msvs.graphql.scalars import BigInt
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Purchase as PurchaseRow
from msvs.models import PurchaseStatus, rows
from msvs.packs import Pack


@resource_type(PackResource, "A pack of credits for sale.")
class CreditPack:
    id: str
    label: str
    credits: BigInt
    amount: int
    currency: str
    badge: str | None

    @classmethod
    def from_pack(cls, pack: Pack) -> CreditPack:
        """Return the type of a pack."""
        return from_row(cls, pack)


@resource_type(CheckoutResource, "A purchase of credits, with the price at the time of the sale.")
class Checkout(Node):
    url: str | None
    pack: str
    status: PurchaseStatus
    label: str = strawberry.field(description="The label of the pack.")
    credits: BigInt
    amount: int
    currency: str
    total: int | None
    tax: int | None
    refunded_amount: int
    disputed_amount: int
    returned_credits: BigInt
    invoice_url: str | None
    receipt_url: str | None
    created_at: datetime
    expires_at: datetime | None
    paid_at: datetime | None

    @classmethod
    def from_row(cls, row: rows.PurchaseRow) -> Checkout:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(PURCHASE, row.id)), url=checkout.shown_url(row))


async def _load(info: Info, id: UUID) -> Checkout | None:
    row = await PurchaseRow.filter(id=id, workspace_id=info.context.ctx.workspace_id).first()
    return None if row is None else Checkout.from_row(row)


register(PURCHASE, _load)


@request_input(CreateCheckout)
class CreateCheckoutInput:
    pass


CreateCheckoutResult = Annotated[
    Checkout | InvalidRequestError | ConflictError | PermissionRefusedError | IdempotencyError,
    strawberry.union("CreateCheckoutResult", description="The new purchase, or an error."),
]


@strawberry.type
class BillingQuery:
    @field("The packs of credits for sale, in the operator's order; empty if none are sold.")
    async def credit_packs(self, info: Info) -> list[CreditPack]:
        return [CreditPack.from_pack(pack) for pack in await checkout.list_packs(info.context.ctx)]

    @field("A purchase by its id; null if there is none.")
    async def checkout(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The purchase's id.")]
    ) -> Checkout | None:
        return await load_kind(info, id, Checkout, PURCHASE)

    @field("The purchases of the workspace, newest first; none are made in the sandbox.")
    async def checkouts(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Checkout]:
        ctx = info.context.ctx
        request = read_page(PURCHASE, first, after, last, before)
        page = await checkout.list_checkouts(ctx, request)
        count = PurchaseRow.filter(workspace_id=ctx.workspace_id).count
        return connect(PURCHASE, request, page, Checkout.from_row, count)


@strawberry.type
class BillingMutation:
    @mutation(CreateCheckoutResult, "Start to buy a pack: `url` is the payment page. Live mode only.")
    async def create_checkout(
        self,
        info: Info,
        input: Annotated[CreateCheckoutInput, strawberry.argument(description="The purchase.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        data = read_input(CreateCheckout, input)
        begun = await mutate_once(
            info,
            idempotency_key,
            said(data),
            lambda ctx: checkout.create_checkout(ctx, data),
            checkout.get_checkout,
            Checkout.from_row,
        )
        if isinstance(begun, Error):
            return begun
        assert isinstance(begun, Checkout)
        # What waits for the network comes after the commit.
        id = ids.find_id(PURCHASE, begun.id, "checkout")
        try:
            return Checkout.from_row(await checkout.open_checkout(info.context.ctx, id))
        except ApiError as error:
            return as_member(info, error)
