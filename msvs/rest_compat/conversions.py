"""/v1/conversions."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.messages import conversions
from msvs.api.messages.conversion_shapes import (
    ConversionResource,
    ConversionTotals,
    CreateConversion,
    ListConversions,
    RefundConversion,
    TotalConversions,
    conversion_resource,
)
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateConversion, NoQuery]) -> ConversionResource:
    """Record a conversion."""
    return conversion_resource(await conversions.create_conversion(call.ctx, call.body))


async def list_(call: Call[NoBody, ListConversions]) -> ListOf[ConversionResource]:
    """List conversions."""
    page = await conversions.list_conversions(call.ctx, call.query.page(ids.CONVERSION), call.query)
    return list_of(call.path, page, conversion_resource)


async def totals(call: Call[NoBody, TotalConversions]) -> ConversionTotals:
    """Sum up conversions."""
    return await conversions.total_conversions(call.ctx, call.query)


async def retrieve(call: Call[NoBody, NoQuery]) -> ConversionResource:
    """Retrieve a conversion."""
    return conversion_resource(await conversions.get_conversion(call.ctx, _id(call.params["id"])))


async def refund(call: Call[RefundConversion, NoQuery]) -> ConversionResource:
    """Record a refund."""
    return conversion_resource(await conversions.refund_conversion(call.ctx, _id(call.params["id"]), call.body))


def _id(text: str) -> UUID:
    return ids.find_id(ids.CONVERSION, text, conversions.NOUN)
