"""Credits: the balance and the ledger that explains it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.credits import credits
from msvs.api.resources import CreditsResource, LedgerEntryResource, PurchaseResource
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.inputs import argument
from msvs.graphql.scalars import BigInt, read_time
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import LedgerEntry as LedgerEntryRow
from msvs.models import LedgerKind, rows


@resource_type(LedgerEntryResource, "One movement of credits. The ledger is append-only.")
class LedgerEntry:
    id: ID
    kind: LedgerKind
    amount: BigInt
    reference: str
    note: str
    created_at: datetime

    @classmethod
    def from_row(cls, row: rows.LedgerEntryRow) -> LedgerEntry:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.LEDGER_ENTRY, row.id)))


@resource_type(PurchaseResource, "Credits that were added to the balance.")
class Purchase:
    kind: LedgerKind
    credits: BigInt
    created_at: datetime


@resource_type(CreditsResource, "The workspace's credits, which both modes share; sandbox sends never move them.")
class Credits:
    balance: BigInt
    total_lifetime: BigInt
    low_balance_threshold: BigInt
    estimated_runway_days: int | None
    debt: BigInt
    recent_purchases: list[Purchase] = strawberry.field(description="The latest ten additions.")

    @field("The movements of credits, newest first.")
    async def ledger(
        self,
        info: Info,
        kind: Annotated[LedgerKind | None, argument(credits.ListLedger, "kind")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[LedgerEntry]:
        ctx = info.context.ctx
        request = read_page(ids.LEDGER_ENTRY, first, after, last, before)
        page = await credits.list_ledger(ctx, request, kind=kind)
        count = credits.ledger_query(ctx, kind).count
        return connect(ids.LEDGER_ENTRY, request, page, LedgerEntry.from_row, count)

    @field("Credits added to the balance, bought or granted, newest first.")
    async def purchases(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[LedgerEntry]:
        ctx = info.context.ctx
        request = read_page(ids.LEDGER_ENTRY, first, after, last, before)
        page = await credits.list_purchases(ctx, request)
        added = LedgerEntryRow.filter(workspace_id=ctx.workspace_id, kind__in=(LedgerKind.GRANT, LedgerKind.PURCHASE))
        return connect(ids.LEDGER_ENTRY, request, page, LedgerEntry.from_row, added.count)


@strawberry.type
class CreditQuery:
    @field("The workspace's credits.")
    async def credits(self, info: Info) -> Credits:
        found = await credits.get_credits(info.context.ctx)
        return Credits(
            balance=BigInt(found.balance),
            total_lifetime=BigInt(found.total_lifetime),
            low_balance_threshold=BigInt(found.low_balance_threshold),
            estimated_runway_days=found.estimated_runway_days,
            debt=BigInt(found.debt),
            recent_purchases=[
                Purchase(
                    kind=LedgerKind(each.kind), credits=BigInt(each.credits), created_at=read_time(each.created_at)
                )
                for each in found.recent_purchases
            ],
        )
