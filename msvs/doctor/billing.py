"""Checks of how credits are sold: the file of packs, the key, the prices at Stripe, and what waits or went wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

from msvs import database
from msvs.api.context import Services
from msvs.api.credits import gateway
from msvs.api.credits.gateway import GatewayError, PriceFigures
from msvs.doctor.findings import Finding, error, ok, skipped, warning
from msvs.packs import Billing, Pack, shown_price
from msvs.settings import Settings, SettingsError

# How long an event or a purchase may wait before somebody should look.
LATE = "30 minutes"
UNSETTLED = f"""
SELECT (SELECT count(*) FROM purchases WHERE status = 'review') AS review,
    (SELECT count(*) FROM stripe_events WHERE state = 'failed') AS failed,
    (SELECT count(*) FROM stripe_events WHERE state = 'pending' AND received_at < now() - interval '{LATE}')
    + (SELECT count(*) FROM purchases WHERE check_at < now() - interval '{LATE}') AS late
"""


async def check_billing(settings: Settings) -> AsyncIterator[Finding]:
    """Check what is sold, and that Stripe takes the key and sells at the same prices; buys nothing."""
    try:
        billing = Billing.from_settings(settings)
    except SettingsError as failure:
        yield error("billing", str(failure), "correct the file; `msvs packs --file PATH` checks one")
        return
    if not billing.is_connected:
        yield skipped("billing", "MSVS_STRIPE_KEY is not set: nothing is sold")
        return
    if not billing.offered:
        yield warning("billing", "no pack is sold", "name a file of packs in MSVS_BILLING; `msvs packs --example`")
    services = Services(billing=billing)
    try:
        async for finding in _ask(services, billing):
            yield finding
    finally:
        await gateway.close(services)


async def _ask(services: Services, billing: Billing) -> AsyncIterator[Finding]:
    try:
        await gateway.check_key(services)
    except GatewayError as failure:
        yield _refused(failure)
        return
    is_well = True
    for pack in billing.offered:
        if pack.price is None:
            continue
        try:
            wrong = judge_price(pack, await gateway.read_price(services, pack.price))
        except GatewayError as failure:
            if failure.reason != "resource_missing":
                yield warning(
                    "billing",
                    f"{pack.id}: its price cannot be read ({failure.reason})",
                    "let the restricted key read Prices, or look at the price in Stripe",
                )
                continue
            wrong = f"Stripe has no price {pack.price}"
        if wrong is not None:
            is_well = False
            yield error("billing", f"{pack.id}: {wrong}", "correct the pack: what is paid otherwise gives no credits")
    if is_well and billing.offered:
        yield ok("billing", f"Stripe takes the key; {len(billing.offered)} packs are sold")


def _refused(failure: GatewayError) -> Finding:
    if failure.reason == "no_package":
        return error("billing", "the package stripe is not installed", "install massivesms-server[billing]")
    if failure.is_final:
        return error(
            "billing",
            f"Stripe refuses the key ({failure.reason})",
            "correct MSVS_STRIPE_KEY, and let a restricted key write Checkout Sessions",
        )
    return error("billing", f"Stripe cannot be reached ({failure.reason})", "let this machine reach api.stripe.com")


def judge_price(pack: Pack, price: PriceFigures) -> str | None:
    """Return why a price of Stripe's cannot sell a pack, if it cannot."""
    if not price.active:
        return f"{pack.price} is archived at Stripe"
    if price.type != "one_time":
        return f"{pack.price} is a subscription's"
    if (price.unit_amount, price.currency) != (pack.amount, pack.currency):
        stated = "no fixed amount" if price.unit_amount is None else shown_price(price.unit_amount, price.currency)
        return f"{pack.price} is {stated} at Stripe, and {shown_price(pack.amount, pack.currency)} in the file"
    return None


async def check_unsettled(settings: Settings) -> AsyncIterator[Finding]:
    """Check that no payment waits for its credits."""
    if settings.stripe_key is None:
        return
    row = await database.fetch_row(UNSETTLED)
    assert row is not None
    for finding in judge_unsettled(dict(row)):
        yield finding


def judge_unsettled(row: Mapping[str, int]) -> Iterator[Finding]:
    """Judge how many payments and events of Stripe wait or went wrong."""
    if row["late"]:
        yield error(
            "billing",
            f"{row['late']} events or purchases have waited for more than {LATE}",
            "start `msvs worker billing`, and see its log",
        )
    if row["review"]:
        yield warning(
            "billing",
            f"{row['review']} payments are not what was sold",
            "refund them in Stripe, or grant the credits by hand: `purchases.problem` says why",
        )
    if row["failed"]:
        yield warning(
            "billing",
            f"{row['failed']} events of Stripe were given up after three days",
            "compare with Stripe: `stripe_events.error` says why",
        )
