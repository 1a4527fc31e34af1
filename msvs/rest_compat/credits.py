"""/v1/credits."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.credits import credits
from msvs.api.pages import PageQuery
from msvs.api.resources import CreditsResource, LedgerEntryResource, ledger_entry_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def retrieve(call: Call[NoBody, NoQuery]) -> CreditsResource:
    """Get current balance."""
    return await credits.get_credits(call.ctx)


async def ledger(call: Call[NoBody, PageQuery]) -> ListOf[LedgerEntryResource]:
    """List the movements of credits."""
    page = await credits.list_ledger(call.ctx, call.query.page(ids.LEDGER_ENTRY))
    return list_of(call.path, page, ledger_entry_resource)


async def purchases(call: Call[NoBody, PageQuery]) -> ListOf[LedgerEntryResource]:
    """List what was added to the balance."""
    page = await credits.list_purchases(call.ctx, call.query.page(ids.LEDGER_ENTRY))
    return list_of(call.path, page, ledger_entry_resource)
