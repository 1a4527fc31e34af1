"""A fake Stripe for tests: the pretend account of development, and what brings its events in any order and number."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from uuid import UUID

from msvs import database as db
from msvs.api.context import Context, Services
from msvs.api.credits import checkout, stripe_events
from msvs.api.credits.checkout import CreateCheckout
from msvs.api.unit_of_work import unit_of_work
from msvs.local.pretend_stripe import PretendStripe, serving
from msvs.models import Purchase, rows
from msvs.packs import Pack
from msvs.workers.billing import settle_due

SECRET = "whsec_the_secret_of_the_tests"
PACKS = (
    Pack("starter", 1_000, 1_900, "usd", "Starter"),
    Pack("odd", 10, 3, "usd", "Odd"),
    Pack("gone", 5, 100, "usd", "Gone", active=False),
    Pack("priced", 500, 900, "usd", "Priced", price="price_500"),
)


@contextmanager
def running_stripe(services: Services) -> Iterator[PretendStripe]:
    """Serve an account, and have the services buy there."""
    account = PretendStripe(secrets=(SECRET,))
    account.prices["price_500"] = {"unit_amount": 900, "currency": "usd"}
    with serving(account) as url:
        billing = services.billing
        billing.packs, billing.key, billing.webhook_secrets, billing.api_url = PACKS, account.key, (SECRET,), url
        yield account


async def begin(ctx: Context, pack: str = "starter", **said: Any) -> Purchase:
    """Begin to buy a pack, up to the page where it is paid."""
    async with unit_of_work():
        row = await checkout.create_checkout(ctx, CreateCheckout(pack, **said))
    return await checkout.open_checkout(ctx, row.id)


async def take(services: Services, account: PretendStripe, event: dict[str, Any]) -> bool:
    """Take one event, as the webhook does."""
    body, header = account.signed(event)
    told = stripe_events.read_event(services, body, header)
    return told is not None and await stripe_events.keep_event(services, told)


async def bring(services: Services, account: PretendStripe, *, random: Random | None = None) -> None:
    """Bring all events that the account told, with `random` in any order and some twice, and work on them."""
    events = list(account.events)
    if random is not None:
        events += random.sample(events, len(events) // 2)
        random.shuffle(events)
    for event in events:
        await take(services, account, event)
    await work(services)


async def work(services: Services) -> None:
    """Work on what is due, regardless of how long it is to be put off."""
    await db.execute("UPDATE stripe_events SET next_attempt_at = now() - interval '1 s' WHERE state = 'pending'")
    await settle_due(services)


async def buy(ctx: Context, account: PretendStripe, pack: str = "starter") -> rows.PurchaseRow:
    """Buy a pack: begun, paid, told and worked on."""
    row = await begin(ctx, pack)
    assert row.session_id is not None
    account.pay(row.session_id)
    await bring(ctx.services, account)
    return await reread(row.id)


async def reread(id: UUID) -> rows.PurchaseRow:
    """Return a purchase as it now is."""
    row = await db.fetch_row(rows.PurchaseRow, "SELECT * FROM purchases WHERE id = $1", id)
    assert row is not None
    return row


async def books(workspace_id: UUID) -> tuple[int, int, int]:
    """Return the balance, the sum of the ledger, and the debt of a workspace."""
    row = await db.fetch_row(
        "SELECT balance, debt, (SELECT coalesce(sum(amount), 0)::bigint FROM ledger_entries AS e"
        " WHERE e.workspace_id = b.workspace_id) AS entries FROM credit_balances AS b WHERE workspace_id = $1",
        workspace_id,
    )
    assert row is not None
    return row.balance, row.entries, row.debt
