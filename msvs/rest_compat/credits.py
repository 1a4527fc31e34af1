"""/v1/credits."""

from __future__ import annotations

import msgspec

from msvs.api import ids
from msvs.api.accounts import top_up_settings
from msvs.api.context import Context
from msvs.api.credits import checkout as checkouts
from msvs.api.credits import credits, top_ups
from msvs.api.credits import rates as credit_rates
from msvs.api.credits.checkout import (
    CheckoutResource,
    CreateCheckout,
    ListCheckouts,
    PackResource,
    checkout_resource,
    pack_resource,
)
from msvs.api.credits.credits import ListLedger
from msvs.api.credits.gateway import PURCHASE
from msvs.api.credits.rates import CreditRateResource, rate_resource
from msvs.api.credits.top_ups import AutoTopUpResource, UpdateAutoTopUp
from msvs.api.pages import PageQuery
from msvs.api.resources import CreditsResource, LedgerEntryResource, ledger_entry_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def retrieve(call: Call[NoBody, NoQuery]) -> CreditsResource:
    """Get current balance."""
    return await credits.get_credits(call.ctx)


async def ledger(call: Call[NoBody, ListLedger]) -> ListOf[LedgerEntryResource]:
    """List the movements of credits."""
    page = await credits.list_ledger(call.ctx, call.query.page(ids.LEDGER_ENTRY), kind=call.query.kind)
    return list_of(call.path, page, ledger_entry_resource)


async def purchases(call: Call[NoBody, PageQuery]) -> ListOf[LedgerEntryResource]:
    """List credits added to the balance."""
    page = await credits.list_purchases(call.ctx, call.query.page(ids.LEDGER_ENTRY))
    return list_of(call.path, page, ledger_entry_resource)


async def packs(call: Call[NoBody, NoQuery]) -> ListOf[PackResource]:
    """List the packs that are sold."""
    data = [pack_resource(pack) for pack in await checkouts.list_packs(call.ctx)]
    return ListOf(url=call.path, has_more=False, data=data)


async def rates(call: Call[NoBody, NoQuery]) -> ListOf[CreditRateResource]:
    """List what a segment costs by its destination."""
    data = [rate_resource(row) for row in await credit_rates.list_rates(call.ctx)]
    return ListOf(url=call.path, has_more=False, data=data)


async def checkout(call: Call[CreateCheckout, NoQuery]) -> CheckoutResource:
    """Begin to buy a pack; `open_checkout` goes on once this has been committed."""
    return checkout_resource(await checkouts.create_checkout(call.ctx, call.body))


async def open_checkout(ctx: Context, body: bytes) -> CheckoutResource:
    """Open the page where what was begun is paid."""
    begun = msgspec.json.decode(body, type=CheckoutResource)
    id = ids.find_id(PURCHASE, begun.id, "checkout")
    return checkout_resource(await checkouts.open_checkout(ctx, id))


async def retrieve_checkout(call: Call[NoBody, NoQuery]) -> CheckoutResource:
    """Retrieve a purchase."""
    id = ids.find_id(PURCHASE, call.params["id"], "checkout")
    return checkout_resource(await checkouts.get_checkout(call.ctx, id))


async def retrieve_auto_top_up(call: Call[NoBody, NoQuery]) -> AutoTopUpResource:
    """Retrieve what is bought by itself."""
    return await top_ups.get_auto_top_up(call.ctx)


async def update_auto_top_up(call: Call[UpdateAutoTopUp, NoQuery]) -> AutoTopUpResource:
    """Change what is bought by itself."""
    return await top_up_settings.update_auto_top_up(call.ctx, call.body)


async def list_checkouts(call: Call[NoBody, ListCheckouts]) -> ListOf[CheckoutResource]:
    """List purchases with what was paid."""
    page = await checkouts.list_checkouts(call.ctx, call.query.page(PURCHASE), status=call.query.status)
    return list_of(call.path, page, checkout_resource)
