"""Conversions: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.errors import ApiError
from msvs.api.messages import conversion_shapes as shapes
from msvs.api.messages import conversions
from msvs.api.messages.conversion_shapes import (
    CreateConversion,
    ListConversions,
    RefundConversion,
    TotalConversions,
)
from msvs.graphql.campaigns import Campaign
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.contacts import Contact
from msvs.graphql.context import Info
from msvs.graphql.errors import (
    ConflictError,
    IdempotencyError,
    InvalidRequestError,
    NotFoundError,
    PermissionRefusedError,
    as_member,
    check_allowed,
    mutate,
)
from msvs.graphql.fields import field, mutation
from msvs.graphql.idempotency import IdempotencyKey, mutate_once, said
from msvs.graphql.inputs import argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import BigInt, JSONObject, read_time
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import AttributedBy, ConversionSource, rows
from msvs.models import Conversion as ConversionRow


@resource_type(shapes.AttributionResource, "The message to which a conversion is attributed.")
class Attribution:
    type: AttributedBy
    at: datetime
    message_id: ID
    campaign_id: ID | None
    variant: str | None
    sequence_id: ID | None
    sequence_step: str | None

    @field("The campaign; null for a single message.")
    async def campaign(self, info: Info) -> Campaign | None:
        return None if self.campaign_id is None else await load_kind(info, self.campaign_id, Campaign, ids.CAMPAIGN)


@resource_type(shapes.ConversionResource, "What a contact bought, and the message to which it is attributed.")
class Conversion(Node):
    livemode: bool
    contact_id: ID | None
    order_id: str
    value: BigInt
    currency: str
    refunded_value: BigInt
    source: ConversionSource
    metadata: JSONObject
    attributed: Attribution | None
    occurred_at: datetime
    created_at: datetime
    refunded_at: datetime | None

    @classmethod
    def from_row(cls, row: rows.ConversionRow) -> Conversion:
        """Return the type of a row."""
        found = shapes.conversion_resource(row)
        to = found.attributed
        return from_row(
            cls,
            row,
            id=ID(found.id),
            contact_id=found.contact_id,
            attributed=None if to is None else from_row(Attribution, to, at=read_time(to.at)),
        )

    @field("The contact; null if it was deleted.")
    async def contact(self, info: Info) -> Contact | None:
        return None if self.contact_id is None else await load_kind(info, self.contact_id, Contact, ids.CONTACT)


register_rows(ids.CONVERSION, ConversionRow, Conversion.from_row)


@resource_type(shapes.CurrencyTotal, "The conversions in one currency. Amounts are in its smallest unit.")
class CurrencyTotal:
    currency: str
    conversions: int
    gross: BigInt
    refunded: BigInt
    net: BigInt
    attributed: int
    attributed_net: BigInt


@resource_type(shapes.ConversionTotals, "The conversions of a time, summed up by currency.")
class ConversionTotals:
    occurred_from: datetime
    occurred_before: datetime
    currencies: list[CurrencyTotal]


@request_input(CreateConversion)
class CreateConversionInput:
    pass


@request_input(RefundConversion)
class RefundConversionInput:
    pass


CreateConversionResult = Annotated[
    Conversion | NotFoundError | ConflictError | InvalidRequestError | PermissionRefusedError | IdempotencyError,
    strawberry.union("CreateConversionResult", description="The conversion, or an error."),
]
RefundConversionResult = Annotated[
    Conversion | NotFoundError | InvalidRequestError | PermissionRefusedError,
    strawberry.union("RefundConversionResult", description="The conversion, or an error."),
]
ConversionId = Annotated[ID, strawberry.argument(description="The conversion's id.")]


@strawberry.type
class ConversionQuery:
    @field("A conversion by its id; null if there is none.")
    async def conversion(self, info: Info, id: ConversionId) -> Conversion | None:
        return await load_kind(info, id, Conversion, ids.CONVERSION)

    @field("Conversions, newest first.")
    async def conversions(
        self,
        info: Info,
        contact_id: Annotated[ID | None, argument(ListConversions, "contact_id")] = None,
        campaign_id: Annotated[ID | None, argument(ListConversions, "campaign_id")] = None,
        order_id: Annotated[str | None, argument(ListConversions, "order_id")] = None,
        occurred_from: Annotated[datetime | None, argument(ListConversions, "occurred_from")] = None,
        occurred_before: Annotated[datetime | None, argument(ListConversions, "occurred_before")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Conversion]:
        ctx = info.context.ctx
        request = read_page(ids.CONVERSION, first, after, last, before)
        which = ListConversions(
            contact_id=contact_id,
            campaign_id=campaign_id,
            order_id=order_id,
            occurred_from=occurred_from,
            occurred_before=occurred_before,
        )
        page = await conversions.list_conversions(ctx, request, which)
        count = conversions.conversion_query(ctx, which).count
        return connect(ids.CONVERSION, request, page, Conversion.from_row, count)

    @field("The conversions of a time, summed up by currency: the last 30 days if you say nothing.")
    async def conversion_totals(
        self,
        info: Info,
        occurred_from: Annotated[datetime | None, argument(TotalConversions, "occurred_from")] = None,
        occurred_before: Annotated[datetime | None, argument(TotalConversions, "occurred_before")] = None,
    ) -> ConversionTotals:
        which = TotalConversions(occurred_from=occurred_from, occurred_before=occurred_before)
        found = await conversions.total_conversions(info.context.ctx, which)
        return ConversionTotals(
            occurred_from=read_time(found.occurred_from),
            occurred_before=read_time(found.occurred_before),
            currencies=[from_row(CurrencyTotal, each) for each in found.currencies],
        )


@strawberry.type
class ConversionMutation:
    @mutation(CreateConversionResult, "Record what a contact bought; an order is recorded once.")
    async def create_conversion(
        self,
        info: Info,
        input: Annotated[CreateConversionInput, strawberry.argument(description="The order.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        try:
            check_allowed(info)
            data = read_input(CreateConversion, input)
        except ApiError as error:
            return as_member(info, error)
        return await mutate_once(
            info,
            idempotency_key,
            said(data),
            lambda ctx: conversions.create_conversion(ctx, data),
            conversions.get_conversion,
            Conversion.from_row,
        )

    @mutation(RefundConversionResult, "Record how much of a conversion was refunded so far.")
    async def refund_conversion(
        self,
        info: Info,
        id: ConversionId,
        input: Annotated[RefundConversionInput, strawberry.argument(description="What was refunded.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: conversions.refund_conversion(ctx, _id(id), read_input(RefundConversion, input)),
            Conversion.from_row,
        )


def _id(text: str) -> UUID:
    return ids.find_id(ids.CONVERSION, text, conversions.NOUN)
