"""Billing: packs of credits, and purchases with their payments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import top_up_settings
from msvs.api.credits import checkout, rates, top_ups
from msvs.api.credits.checkout import CheckoutResource, CreateCheckout, ListCheckouts, PackResource
from msvs.api.credits.gateway import PURCHASE
from msvs.api.credits.rates import CreditRateResource
from msvs.api.credits.top_ups import AutoTopUpResource, UpdateAutoTopUp
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
    mutate,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.idempotency import IdempotencyKey, mutate_once, said
from msvs.graphql.inputs import argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register
from msvs.graphql.scalars import BigInt, read_time
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Purchase as PurchaseRow
from msvs.models import PurchaseStatus, TopUpOff, rows
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
    automatic: bool
    invoice_url: str | None
    receipt_url: str | None
    created_at: datetime
    expires_at: datetime | None
    paid_at: datetime | None

    @classmethod
    def from_row(cls, row: rows.PurchaseRow) -> Checkout:
        """Return the type of a row."""
        id = ID(ids.encode_id(PURCHASE, row.id))
        return from_row(cls, row, id=id, url=checkout.shown_url(row), automatic=row.is_automatic)


@resource_type(
    AutoTopUpResource,
    "Automatic top-up: the pack that is bought when the balance is low, its limits and the saved card.",
)
class AutoTopUp:
    available: bool
    enabled: bool
    off_reason: TopUpOff | None
    pack: str | None
    credits: BigInt | None
    amount: int | None
    currency: str | None
    threshold: BigInt | None
    daily_limit: int | None
    monthly_limit: int | None
    charged_today: int
    charged_this_month: int
    card_brand: str | None
    card_last4: str | None
    agreed_at: datetime | None

    @classmethod
    def from_resource(cls, found: AutoTopUpResource) -> AutoTopUp:
        """Return the type of what the operation answers."""
        reason = None if found.off_reason is None else TopUpOff(found.off_reason)
        agreed_at = None if found.agreed_at is None else read_time(found.agreed_at)
        return from_row(cls, found, off_reason=reason, agreed_at=agreed_at)


async def _load(info: Info, id: UUID) -> Checkout | None:
    row = await PurchaseRow.filter(id=id, workspace_id=info.context.ctx.workspace_id).first()
    return None if row is None else Checkout.from_row(row)


register(PURCHASE, _load)


@resource_type(
    CreditRateResource,
    "The credits that a segment to a region costs from a certain time; a region without a rate costs one credit.",
)
class CreditRate:
    region: str
    credits_per_segment: int
    effective_at: datetime


@request_input(CreateCheckout)
class CreateCheckoutInput:
    pass


CreateCheckoutResult = Annotated[
    Checkout | InvalidRequestError | ConflictError | PermissionRefusedError | IdempotencyError,
    strawberry.union("CreateCheckoutResult", description="The new purchase, or an error."),
]


@request_input(UpdateAutoTopUp)
class UpdateAutoTopUpInput:
    pass


UpdateAutoTopUpResult = Annotated[
    AutoTopUp | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateAutoTopUpResult", description="The updated automatic top-up, or an error."),
]


@strawberry.type
class BillingQuery:
    @field("The automatic top-up of the workspace.")
    async def auto_top_up(self, info: Info) -> AutoTopUp:
        return AutoTopUp.from_resource(await top_ups.get_auto_top_up(info.context.ctx))

    @field("The credits a segment by destination: the current rates and those to come.")
    async def credit_rates(self, info: Info) -> list[CreditRate]:
        found = await rates.list_rates(info.context.ctx)
        return [from_row(CreditRate, row, credits_per_segment=row.credits) for row in found]

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
        self,
        info: Info,
        status: Annotated[PurchaseStatus | None, argument(ListCheckouts, "status")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Checkout]:
        ctx = info.context.ctx
        request = read_page(PURCHASE, first, after, last, before)
        page = await checkout.list_checkouts(ctx, request, status=status)
        return connect(PURCHASE, request, page, Checkout.from_row, checkout.checkouts_query(ctx, status).count)


@strawberry.type
class BillingMutation:
    @mutation(UpdateAutoTopUpResult, "Turn automatic top-up on or off, or change its limits. Live mode only.")
    async def update_auto_top_up(
        self, info: Info, input: Annotated[UpdateAutoTopUpInput, strawberry.argument(description="What to change.")]
    ) -> object:
        data = read_input(UpdateAutoTopUp, input)
        return await mutate(info, lambda ctx: top_up_settings.update_auto_top_up(ctx, data), AutoTopUp.from_resource)

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
