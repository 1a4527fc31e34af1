"""Rows for tests, with sensible values for all that a test does not set."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from msvs.api.contacts.contacts import OptInEvidence
from msvs.api.context import Context
from msvs.models import Contact, ContactList, CreditBalance, LedgerEntry, LedgerKind, ListMember, OptInStatus, Workspace

_numbers = count(1)


def next_phone() -> str:
    """A valid US number that no other call of this run returned (and that no sandbox script knows)."""
    return f"+1212{5550000 + next(_numbers):07d}"


def renewed(source: str = "webinar", **values: Any) -> OptInEvidence:
    """Evidence that a person agreed again just now."""
    return OptInEvidence(source, at=datetime.now(UTC), renewed=True, **values)


async def make_workspace(*, name: str = "Cohort Labs", credits: int = 10_000, **settings: Any) -> Workspace:
    """A workspace with a balance that its ledger explains."""
    workspace = await Workspace.create(name=name, **settings)
    await CreditBalance.create(
        workspace_id=workspace.id, balance=credits, total_lifetime=credits, low_balance_threshold=1000
    )
    if credits:
        await LedgerEntry.create(
            workspace_id=workspace.id, kind=LedgerKind.GRANT, reference=f"opening:{workspace.id}", amount=credits
        )
    return workspace


async def make_contact(
    ctx: Context, phone: str | None = None, *, status: OptInStatus = OptInStatus.OPTED_IN, **values: Any
) -> Contact:
    """A contact, opted in unless told otherwise."""
    return await Contact.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        phone=phone or next_phone(),
        opt_in_status=status,
        **values,
    )


async def make_list(ctx: Context, contacts: list[Contact] | None = None, *, name: str = "Cohort 06") -> ContactList:
    """A list with these contacts on it."""
    row = await ContactList.create(workspace_id=ctx.workspace_id, livemode=ctx.livemode, name=name)
    if contacts:
        await ListMember.bulk_create([ListMember(list_id=row.id, contact_id=contact.id) for contact in contacts])
        await row.refresh_from_db()
    return row
