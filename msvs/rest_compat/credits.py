"""/v1/credits."""

from __future__ import annotations

from msvs.api.credits import credits
from msvs.api.resources import CreditsResource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import (
    LEDGER_ENTRY,
    LedgerEntryResource,
    ListOf,
    NoBody,
    NoQuery,
    PageQuery,
    ledger_entry_resource,
    list_of,
)


async def retrieve(call: Call[NoBody, NoQuery]) -> CreditsResource:
    """Get current balance."""
    return await credits.get_credits(call.ctx)


async def ledger(call: Call[NoBody, PageQuery]) -> ListOf[LedgerEntryResource]:
    """List the movements of credits."""
    page = await credits.list_ledger(call.ctx, call.query.page(LEDGER_ENTRY))
    return list_of(call.path, page, ledger_entry_resource)


async def purchases(call: Call[NoBody, PageQuery]) -> ListOf[LedgerEntryResource]:
    """List what was added to the balance."""
    page = await credits.list_purchases(call.ctx, call.query.page(LEDGER_ENTRY))
    return list_of(call.path, page, ledger_entry_resource)
