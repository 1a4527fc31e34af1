"""Automatic top-ups: a saved card buys a pack once the balance falls below a threshold, within limits of money.

The statement that spends below the threshold notes when a top-up is due, in the balance's row. A worker takes that
note, and writes a purchase down within the limits, in one transaction; the purchase is then charged as others are
settled, by its id as the idempotency key. One a workspace at most is open: the database sees to it.

Lock order: `caps.lock`, the balance's row, comes before the row of `auto_top_ups`. Spending holds the balance too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import structlog
from msgspec import UNSET, UnsetType

from msvs.api import ids
from msvs.api.context import Context, Services
from msvs.api.credits import caps, cards
from msvs.api.credits.gateway import PURCHASE, Card, Decline, Facts, Method
from msvs.api.credits.owner_mail import CreditsMail, tell_owners
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, PermissionDenied
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, optional_moment
from msvs.api.unit_of_work import WorkQueue, in_unit_of_work, notify_after_commit
from msvs.database import execute, fetch, fetch_row
from msvs.fields import Request, about
from msvs.models import PurchaseStatus, TopUpOff, rows
from msvs.packs import Billing, Pack, shown_price

log = structlog.get_logger(__name__)

ACTOR = "auto_top_up"
BATCH = 20
MAX_THRESHOLD = 10**9
MAX_LIMIT = 10**9
# After a hard decline of so many in a row, or so many of any kind, nothing is charged until a person acts.
MOST_HARD_DECLINES = 2
MOST_DECLINES = 5
# How long after each decline the next charge follows.
RETRIES = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
# Reasons that a later purchase with a saved card clears: top-up turns on again with the new card.
REPAIRABLE = [each.value for each in (TopUpOff.DECLINED, TopUpOff.AUTHENTICATION_REQUIRED, TopUpOff.CARD_MISSING)]
# Postpones a top-up that raised an error, so that it does not block the queue.
BROKEN_AFTER = timedelta(minutes=10)
# Postpones a top-up while the operator does not offer automatic top-up.
CLOSED_AFTER = timedelta(hours=1)
# Statuses that count toward the daily and monthly limits: the card was charged, or is being charged.
COUNTED = frozenset((PurchaseStatus.OPENING, PurchaseStatus.PENDING, PurchaseStatus.PAID, PurchaseStatus.REVIEW))

DUE_TOP_UPS = "SELECT workspace_id FROM credit_balances WHERE top_up_at <= $1 ORDER BY top_up_at LIMIT $2"
HAS_DUE_TOP_UP = "SELECT EXISTS (SELECT FROM credit_balances WHERE top_up_at <= $1)"
# Holds the balance, so that what follows sees what others have begun.
TAKE_DUE_TOP_UP = """
UPDATE credit_balances SET top_up_at = NULL WHERE workspace_id = $1 AND top_up_at <= $2
RETURNING balance < top_up_below AS is_low
"""
PUT_OFF_TOP_UP = """
UPDATE credit_balances SET top_up_at = $2 WHERE workspace_id = $1 AND balance < top_up_below AND top_up_at IS NULL
"""
# After a payment: if the balance is still low, the next top-up is due at once, even if a wait was set.
HURRY_TOP_UP = """
UPDATE credit_balances SET top_up_at = least(top_up_at, $2) WHERE workspace_id = $1 AND balance < top_up_below
"""
# After a decline: a send or a purchase in the meantime must not shorten the wait.
DELAY_TOP_UP = """
UPDATE credit_balances SET top_up_at = greatest(top_up_at, $2) WHERE workspace_id = $1 AND top_up_below IS NOT NULL
"""
STEP_ASIDE = "UPDATE credit_balances SET top_up_at = $2 WHERE workspace_id = $1 AND top_up_at < $2"
STOP_TOP_UP = "UPDATE credit_balances SET top_up_below = NULL, top_up_at = NULL WHERE workspace_id = $1"
# With $4, a wait that is already set stays: changing the settings must not skip the wait after a decline.
START_TOP_UP = """
UPDATE credit_balances SET top_up_below = $2,
    top_up_at = CASE WHEN $4 AND top_up_at IS NOT NULL THEN top_up_at WHEN balance < $2 THEN $3::timestamptz END
WHERE workspace_id = $1
"""
# The limits are kept by the statement that counts what they bound, and writes the purchase down. A worker that read the
# time before midnight and comes here after another counts for the day that has begun: none is counted from zero twice.
BEGIN_TOP_UP = """
WITH counted AS (
    UPDATE auto_top_ups SET
        day = greatest(day, $3), day_amount = CASE WHEN day >= $3 THEN day_amount ELSE 0 END + amount,
        month = greatest(month, $4), month_amount = CASE WHEN month >= $4 THEN month_amount ELSE 0 END + amount
    WHERE workspace_id = $1 AND is_enabled AND payment_method IS NOT NULL AND pack = $5 AND takes_money = $7
        AND CASE WHEN day >= $3 THEN day_amount ELSE 0 END + amount <= daily_limit
        AND CASE WHEN month >= $4 THEN month_amount ELSE 0 END + amount <= monthly_limit
        AND NOT EXISTS (
            SELECT FROM workspaces WHERE id = $1 AND (suspended_at IS NOT NULL OR deletes_at IS NOT NULL)
        ) AND NOT EXISTS (
            SELECT FROM purchases WHERE workspace_id = $1 AND is_automatic AND status IN ('opening', 'pending')
        )
    RETURNING *
)
INSERT INTO purchases (id, workspace_id, actor, status, pack, label, credits, amount, currency, takes_money, customer,
    payment_method, is_automatic, saves_card, refunded_amount, disputed_amount, returned_credits, version, check_at,
    created_at)
SELECT $2, $1, $8, 'opening', pack, $6, credits, amount, currency, takes_money, customer, payment_method, true, false,
    0, 0, 0, 0, $9, $9
FROM counted RETURNING id
"""
# Declines are counted for the saved card: the outcome of a charge to a replaced card does not change them.
NOTE_PAID = """
UPDATE auto_top_ups SET declined_count = 0, hard_declined_count = 0
WHERE workspace_id = $1 AND payment_method = $2 RETURNING card_last4
"""
NOTE_DECLINE = """
UPDATE auto_top_ups SET declined_count = declined_count + 1, hard_declined_count = hard_declined_count + $3::int
WHERE workspace_id = $1 AND payment_method = $2
RETURNING declined_count, hard_declined_count, card_last4, is_enabled
"""
# Adds a purchase's amount to its day and month, or takes it away; a day or month that is over is left alone.
COUNT_TOP_UP = """
UPDATE auto_top_ups SET
    day_amount = greatest(0, day_amount + CASE WHEN day = $2 AND currency = $5 THEN $4::bigint ELSE 0 END),
    month_amount = greatest(0, month_amount + CASE WHEN month = $3 AND currency = $5 THEN $4::bigint ELSE 0 END)
WHERE workspace_id = $1
"""
# If top-up is already off, a repairable reason is replaced by one that is not, so that no new card turns it on.
TURN_OFF_TOP_UP = """
UPDATE auto_top_ups AS kept SET is_enabled = false, off_reason = $2::varchar, off_at = $4
FROM (SELECT workspace_id, is_enabled FROM auto_top_ups WHERE workspace_id = $1 FOR UPDATE) AS old
WHERE kept.workspace_id = old.workspace_id
    AND (old.is_enabled OR off_reason = ANY ($3::varchar[]) AND $2::varchar <> ALL ($3::varchar[]))
RETURNING card_last4, old.is_enabled AS was_on
"""
# The card of the latest purchase wins, unless the owner removed the card after that purchase was opened ($8). A
# purchase that was opened before top-up was turned off does not turn it on.
REPAIRS = "kept.off_reason = ANY ($7::varchar[]) AND coalesce(kept.off_at < $8, true)"
SAVE_CARD = f"""
INSERT INTO auto_top_ups AS kept (workspace_id, takes_money, customer, payment_method, card_brand, card_last4,
    card_at, is_enabled, daily_limit, monthly_limit, day_amount, month_amount, declined_count, hard_declined_count)
VALUES ($1, $2, $3, $4, $5, $6, $8, false, 0, 0, 0, 0, 0, 0)
ON CONFLICT (workspace_id) DO UPDATE SET takes_money = $2, customer = $3, payment_method = $4, card_brand = $5,
    card_last4 = $6, card_at = $8, declined_count = 0, hard_declined_count = 0,
    is_enabled = kept.is_enabled OR coalesce({REPAIRS}, false),
    off_reason = CASE WHEN {REPAIRS} THEN NULL ELSE kept.off_reason END
WHERE coalesce(kept.card_at < $8, true)
RETURNING is_enabled, threshold
"""
FIND_TOP_UP = "SELECT * FROM auto_top_ups WHERE workspace_id = $1"
LOCK_TOP_UP = "SELECT * FROM auto_top_ups WHERE workspace_id = $1 FOR UPDATE"
WRITTEN = (
    *("is_enabled", "off_reason", "pack", "credits", "amount", "currency", "threshold", "daily_limit", "monthly_limit"),
    *("payment_method", "card_brand", "card_last4", "agreed_by", "agreed_at", "off_at", "card_at"),
    *("declined_count", "hard_declined_count"),
)
# Owners are told of a limit once for each time that it ends.
NOTE_LIMIT = """
UPDATE auto_top_ups SET limited_until = $2
WHERE workspace_id = $1 AND is_enabled AND coalesce(limited_until < $2, true) RETURNING card_last4
"""
# A new currency resets the spent amounts: amounts in two currencies cannot be added. Owners are told of new limits too.
WRITE_TOP_UP = """
UPDATE auto_top_ups SET is_enabled = $2, off_reason = $3, pack = $4, credits = $5, amount = $6, currency = $7::varchar,
    threshold = $8, daily_limit = $9, monthly_limit = $10, payment_method = $11, card_brand = $12, card_last4 = $13,
    agreed_by = $14, agreed_at = $15, off_at = $16, card_at = $17, declined_count = $18, hard_declined_count = $19,
    limited_until = CASE WHEN daily_limit = $9 AND monthly_limit = $10 THEN limited_until END,
    day_amount = CASE WHEN currency IS DISTINCT FROM $7::varchar THEN 0 ELSE day_amount END,
    month_amount = CASE WHEN currency IS DISTINCT FROM $7::varchar THEN 0 ELSE month_amount END
WHERE workspace_id = $1 RETURNING *
"""

PackName = Annotated[str, about("The id of the pack that is bought.", example="launch")]
Threshold = Annotated[
    int,
    about("The balance, in credits, below which the pack is bought.", example=2000, minimum=1, maximum=MAX_THRESHOLD),
]
DailyLimit = Annotated[
    int,
    about(
        "The most that may be charged in a UTC day, in the smallest unit of the pack's currency.",
        example=29800,
        minimum=1,
        maximum=MAX_LIMIT,
    ),
]
MonthlyLimit = Annotated[
    int,
    about(
        "The most that may be charged in a UTC month, in the smallest unit of the pack's currency.",
        example=149000,
        minimum=1,
        maximum=MAX_LIMIT,
    ),
]


class UpdateAutoTopUp(Request, frozen=True):
    """Changes to automatic top-up. Fields that are left out stay."""

    enabled: Annotated[bool, about("Whether the saved card is charged.", example=True)] | UnsetType = UNSET
    pack: PackName | UnsetType = UNSET
    threshold: Threshold | UnsetType = UNSET
    daily_limit: DailyLimit | UnsetType = UNSET
    monthly_limit: MonthlyLimit | UnsetType = UNSET
    forget_card: (
        Annotated[bool, about("Whether to delete the saved card, so that it is not charged again.", example=False)]
        | UnsetType
    ) = UNSET


class AutoTopUpResource(Resource, kw_only=True):
    """Automatic top-up: the pack that is bought when the balance is low, its limits and the saved card."""

    object: Literal["auto_top_up"] = "auto_top_up"
    available: Annotated[
        bool,
        about("Whether automatic top-up is offered; it is not where the operator adds tax to the price.", example=True),
    ]
    enabled: Annotated[bool, about("Whether the saved card is charged.", example=True)]
    off_reason: (
        Annotated[
            str,
            about(
                "Why it was turned off: by a member (`owner`), two hard declines or five in a row (`declined`), a bank"
                " that asks for the owner of the card (`authentication_required`), a card that no longer exists"
                " (`card_missing`), a `dispute`, a pack with another price or no longer for sale (`pack_changed`), or"
                " a payment that does not match the order (`review`).",
                enum=[*TopUpOff],
            ),
        ]
        | None
    )
    pack: PackName | None
    credits: Annotated[int, about("The credits of the pack when its price was agreed to.", example=10000)] | None
    amount: (
        Annotated[int, about("The price that was agreed to, in the smallest unit of the currency.", example=14900)]
        | None
    )
    currency: Annotated[str, about("The currency, ISO 4217 in lower case.", example="usd")] | None
    threshold: Threshold | None
    daily_limit: DailyLimit | None
    monthly_limit: MonthlyLimit | None
    charged_today: Annotated[
        int, about("The amount charged this UTC day, in the smallest unit of the currency.", example=14900)
    ]
    charged_this_month: Annotated[
        int, about("The amount charged this UTC month, in the smallest unit of the currency.", example=14900)
    ]
    card_brand: Annotated[str, about("The brand of the saved card; null if no card is saved.", example="visa")] | None
    card_last4: (
        Annotated[str, about("The last four digits of the saved card; null if no card is saved.", example="4242")]
        | None
    )
    agreed_at: Annotated[str, about("When a member last agreed to these amounts.")] | None


async def get_auto_top_up(ctx: Context) -> AutoTopUpResource:
    """Return what the workspace buys by itself; both modes see it, and live alone changes it."""
    row = await fetch_row(rows.AutoTopUpRow, FIND_TOP_UP, ctx.workspace_id)
    return resource(row, ctx.services, ctx.services.real_clock())


def resource(row: rows.AutoTopUpRow | None, services: Services, now: datetime) -> AutoTopUpResource:
    """Return the shape of a workspace's automatic top-up, which may have none yet."""
    day, month = days_of(now)
    is_known = row is not None and row.takes_money == services.billing.takes_money
    return AutoTopUpResource(
        available=services.billing.tops_up,
        enabled=row is not None and row.is_enabled,
        off_reason=None if row is None or row.off_reason is None else TopUpOff(row.off_reason).value,
        daily_limit=row.daily_limit or None if row is not None else None,
        monthly_limit=row.monthly_limit or None if row is not None else None,
        charged_today=row.day_amount if row is not None and row.day == day else 0,
        charged_this_month=row.month_amount if row is not None and row.month == month else 0,
        card_brand=row.card_brand if row is not None and is_known else None,
        card_last4=row.card_last4 if row is not None and is_known else None,
        agreed_at=None if row is None else optional_moment(row.agreed_at),
        pack=None if row is None else row.pack,
        credits=None if row is None else row.credits,
        amount=None if row is None else row.amount,
        currency=None if row is None else row.currency,
        threshold=None if row is None else row.threshold,
    )


async def change(ctx: Context, data: UpdateAutoTopUp) -> tuple[AutoTopUpResource, AutoTopUpResource]:
    """Change what the workspace buys by itself. Return what it was, and what it is.

    Raises PermissionDenied code `live_only` in the sandbox, Conflict codes `billing_closed` and `card_missing`,
    InvalidRequest.
    """
    allow(ctx, Permission.CREDITS_BUY)
    if not ctx.livemode:
        raise PermissionDenied("The sandbox buys nothing: use a live key, or live mode.", code=ErrorCode.LIVE_ONLY)
    _check_figures(data)
    await caps.lock(ctx.workspace_id)
    row = await fetch_row(rows.AutoTopUpRow, LOCK_TOP_UP, ctx.workspace_id)
    now = ctx.services.real_clock()
    if row is None:
        if data.enabled is True:
            raise _no_card()
        nothing = resource(None, ctx.services, now)
        return nothing, nothing
    wanted = _wanted(ctx, row, data, now)
    if row.payment_method is not None and wanted["payment_method"] is None:
        await cards.forget(row.payment_method, row.takes_money, now)
    found = await fetch_row(rows.AutoTopUpRow, WRITE_TOP_UP, ctx.workspace_id, *(wanted[name] for name in WRITTEN))
    if found is not None and found.is_enabled:
        await execute(START_TOP_UP, ctx.workspace_id, found.threshold, now, found.declined_count > 0)
        notify_after_commit(WorkQueue.BILLING)
    else:
        await execute(STOP_TOP_UP, ctx.workspace_id)
    return resource(row, ctx.services, now), resource(found, ctx.services, now)


def _no_card() -> Conflict:
    return Conflict(
        "No card is saved: buy a pack with `save_card`, then turn it on.", code=ErrorCode.CARD_MISSING, param="enabled"
    )


def _check_figures(data: UpdateAutoTopUp) -> None:
    bounds = {"threshold": MAX_THRESHOLD, "daily_limit": MAX_LIMIT, "monthly_limit": MAX_LIMIT}
    for name, highest in bounds.items():
        value = getattr(data, name)
        if value is not UNSET and not 1 <= value <= highest:
            raise _refused(name, f"must be from 1 to {highest}")


def _refused(param: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"{param} {rule}.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE)


def _wanted(ctx: Context, row: rows.AutoTopUpRow, data: UpdateAutoTopUp, now: datetime) -> dict[str, object]:
    """Return the row as it is to be. Raises Conflict and InvalidRequest."""
    wanted: dict[str, object] = {name: getattr(row, name) for name in WRITTEN}
    for name in ("pack", "threshold", "daily_limit", "monthly_limit"):
        if (value := getattr(data, name)) is not UNSET:
            wanted[name] = value
    if data.enabled is not UNSET:
        wanted["is_enabled"] = data.enabled
    if data.forget_card is True:
        wanted |= dict.fromkeys(("payment_method", "card_brand", "card_last4")) | {"is_enabled": False, "card_at": now}
    turns_on = bool(wanted["is_enabled"]) and not row.is_enabled
    if turns_on:
        _check_may_charge(ctx, row, wanted)
    is_agreed = turns_on or wanted["pack"] != row.pack
    if is_agreed:
        wanted |= _figures_now(ctx.services.billing, str(wanted["pack"]))
    if wanted["is_enabled"]:
        _check_limits(wanted)
        if is_agreed:
            wanted |= {"agreed_by": ctx.actor, "agreed_at": now}
        if turns_on:
            wanted |= {"off_reason": None, "off_at": None, "declined_count": 0, "hard_declined_count": 0}
    elif row.is_enabled or (row.off_reason is not None and (data.enabled is False or data.forget_card is True)):
        # Turned off by the owner, which is not in REPAIRABLE: saving a card later does not turn it on.
        wanted |= {"off_reason": TopUpOff.OWNER.value, "off_at": now}
    return wanted


def _check_may_charge(ctx: Context, row: rows.AutoTopUpRow, wanted: Mapping[str, object]) -> None:
    """Check that top-up can be turned on: a card, a pack and a threshold. Raises Conflict and InvalidRequest."""
    billing = ctx.services.billing
    if not billing.tops_up:
        raise Conflict("Credits are not sold by themselves here.", code=ErrorCode.BILLING_CLOSED)
    if wanted["payment_method"] is None or row.takes_money != billing.takes_money:
        raise _no_card()
    for name in ("pack", "threshold"):
        if wanted[name] is None:
            raise InvalidRequest(f"{name} is required.", param=name, code=ErrorCode.PARAMETER_MISSING)


def _figures_now(billing: Billing, pack_id: str) -> dict[str, object]:
    """Return the pack's current credits and price, which the member agrees to. Raises InvalidRequest."""
    pack = billing.find(pack_id)
    if pack is None:
        raise InvalidRequest("No pack that is sold now has this id.", param="pack", code=ErrorCode.PACK_UNKNOWN)
    return {"credits": pack.credits, "amount": pack.amount, "currency": pack.currency}


def _check_limits(wanted: Mapping[str, object]) -> None:
    amount = wanted["amount"]
    for name in ("daily_limit", "monthly_limit"):
        value = wanted[name]
        if not isinstance(value, int) or not isinstance(amount, int) or value < amount:
            raise _refused(name, f"must cover the pack's price, {amount}")


# What workers do.


async def has_due(now: datetime) -> bool:
    """Return whether a top-up is due."""
    row = await fetch_row(HAS_DUE_TOP_UP, now)
    return row is not None and bool(row[0])


async def begin_due(services: Services, now: datetime) -> int:
    """Begin the top-ups that are due. Return how many were looked at."""
    if not services.billing.is_connected:
        return 0
    due = await fetch(DUE_TOP_UPS, now, BATCH)
    return sum([await _begin_one(services, each.workspace_id, now) for each in due])


async def _begin_one(services: Services, workspace_id: UUID, now: datetime) -> bool:
    """Open one due top-up, or postpone it after an error. Return False if it is still due."""
    try:
        await in_unit_of_work(partial(begin, services, workspace_id, now))
    except Exception as error:
        workspace = ids.encode_id(ids.WORKSPACE, workspace_id)
        log.error("an automatic top-up could not be begun", workspace=workspace, error=type(error).__name__)
        try:
            await in_unit_of_work(partial(execute, STEP_ASIDE, workspace_id, now + BROKEN_AFTER))
        except Exception as other:
            log.error("an automatic top-up could not be put off", workspace=workspace, error=type(other).__name__)
            return False
    return True


async def begin(services: Services, workspace_id: UUID, now: datetime) -> UUID | None:
    """Write a top-up down, if one is due and the limits allow it. Return the purchase, which is yet to be charged."""
    held = await fetch_row(TAKE_DUE_TOP_UP, workspace_id, now)
    row = await fetch_row(rows.AutoTopUpRow, FIND_TOP_UP, workspace_id) if held is not None and held.is_low else None
    if row is None or not row.is_enabled or row.pack is None:
        return None
    if not services.billing.tops_up:
        await execute(PUT_OFF_TOP_UP, workspace_id, now + CLOSED_AFTER)
        return None
    pack = services.billing.find(row.pack)
    if pack is None or not _is_as_agreed(row, pack):
        await turn_off(workspace_id, TopUpOff.PACK_CHANGED, now)
        return None
    day, month = days_of(now)
    id = ids.new_id()
    takes_money = services.billing.takes_money
    begun = await fetch_row(BEGIN_TOP_UP, workspace_id, id, day, month, row.pack, pack.label, takes_money, ACTOR, now)
    if begun is not None:
        return id
    until = _limited_until(row, now)
    # One that is open ends by itself, and notes then whether another is due.
    await execute(PUT_OFF_TOP_UP, workspace_id, now + timedelta(hours=1) if until is None else until)
    if until is not None:
        await _tell_of_limit(row, until, now)
    return None


def _is_as_agreed(row: rows.AutoTopUpRow, pack: Pack) -> bool:
    """Return whether a pack still has the credits and price that the member agreed to."""
    return (pack.credits, pack.amount, pack.currency) == (row.credits, row.amount, row.currency)


def _limited_until(row: rows.AutoTopUpRow, now: datetime) -> datetime | None:
    """Return when the limits allow another: tomorrow, or in the next month; None if they allow one now."""
    day, month = days_of(now)
    amount = row.amount or 0
    day, month = max(day, row.day or day), max(month, row.month or month)
    if (row.month_amount if row.month == month else 0) + amount > row.monthly_limit:
        return datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)
    if (row.day_amount if row.day == day else 0) + amount > row.daily_limit:
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return None


async def _tell_of_limit(row: rows.AutoTopUpRow, until: datetime, now: datetime) -> None:
    """Tell the owners, once, that the balance is low and a limit allows no top-up until a time."""
    noted = await fetch_row(NOTE_LIMIT, row.workspace_id, until)
    if noted is None:
        return
    log.warning("a limit of automatic top-up is reached", workspace=ids.encode_id(ids.WORKSPACE, row.workspace_id))
    price = shown_price(row.amount or 0, row.currency or "")
    data = {"price": price, "card": noted.card_last4 or "", "until": f"{until:%Y-%m-%d %H:%M} UTC"}
    await tell_owners(row.workspace_id, CreditsMail.TOP_UP_LIMITED, data, now)


def days_of(now: datetime) -> tuple[date, date]:
    """Return the UTC day of a time, and the first of its month."""
    day = now.astimezone(UTC).date()
    return day, day.replace(day=1)


async def note(row: rows.PurchaseRow, status: PurchaseStatus, facts: Facts, now: datetime) -> None:
    """Note what became of a purchase, in its transaction: the card that it saves, or how its charge went."""
    if status.value == row.status:
        return
    if not row.is_automatic:
        method = facts.method
        if row.saves_card and status is PurchaseStatus.PAID and method is not None and method.card is not None:
            await _save_card(row, facts.customer or row.customer, method, now)
        return
    await caps.lock(row.workspace_id)
    if change := (status in COUNTED) - (PurchaseStatus(row.status) in COUNTED):
        day, month = days_of(row.created_at)
        await execute(COUNT_TOP_UP, row.workspace_id, day, month, change * row.amount, row.currency)
    if status is PurchaseStatus.PAID:
        await _note_paid(row, now)
    elif status is PurchaseStatus.FAILED:
        await _note_failed(row, facts.decline, now)
    elif status is PurchaseStatus.REVIEW:
        await turn_off(row.workspace_id, TopUpOff.REVIEW, now)


async def _save_card(row: rows.PurchaseRow, customer: str | None, method: Method, now: datetime) -> None:
    card = method.card or Card()
    await caps.lock(row.workspace_id)
    before = await fetch_row(rows.AutoTopUpRow, LOCK_TOP_UP, row.workspace_id)
    saved = await fetch_row(
        SAVE_CARD,
        row.workspace_id,
        row.takes_money,
        customer,
        method.id,
        (card.brand or "")[:40] or None,
        (card.last4 or "")[:4] or None,
        REPAIRABLE,
        row.created_at,
    )
    # The card that is not kept is removed at Stripe: the one before, or this one of a purchase begun earlier.
    old = None if before is None else before.payment_method
    if saved is None:
        if old != method.id:
            await cards.forget(method.id, row.takes_money, now)
        return
    await cards.keep(method.id)
    if before is not None and old is not None and old != method.id:
        await cards.forget(old, before.takes_money, now)
    if saved.is_enabled and saved.threshold is not None:
        await execute(START_TOP_UP, row.workspace_id, saved.threshold, now, False)


async def _note_paid(row: rows.PurchaseRow, now: datetime) -> None:
    known = await fetch_row(NOTE_PAID, row.workspace_id, row.payment_method)
    # A payment by a replaced card does not end the saved card's wait after a decline.
    await execute(PUT_OFF_TOP_UP if known is None else HURRY_TOP_UP, row.workspace_id, now)
    await _tell(row, CreditsMail.TOP_UP_PAID, known.card_last4 if known else None, now)


async def _note_failed(row: rows.PurchaseRow, decline: Decline | None, now: datetime) -> None:
    known = None
    if decline is not None:
        log.warning("an automatic top-up was declined", purchase=ids.encode_id(PURCHASE, row.id), reason=decline.reason)
        known = await fetch_row(NOTE_DECLINE, row.workspace_id, row.payment_method, int(decline.is_hard))
    if decline is None or known is None:
        # Nothing was declined, or the card has been replaced: the saved card may be charged at once.
        await execute(HURRY_TOP_UP, row.workspace_id, now)
    elif decline.needs_owner:
        if await turn_off(row.workspace_id, TopUpOff.AUTHENTICATION_REQUIRED, now, tell=False):
            await _tell(row, CreditsMail.TOP_UP_AUTHENTICATE, known.card_last4, now)
    elif decline.is_gone:
        await turn_off(row.workspace_id, TopUpOff.CARD_MISSING, now)
    elif known.hard_declined_count >= MOST_HARD_DECLINES or known.declined_count >= MOST_DECLINES:
        await turn_off(row.workspace_id, TopUpOff.DECLINED, now)
    elif known.is_enabled:
        wait = RETRIES[min(known.declined_count, len(RETRIES)) - 1]
        await execute(DELAY_TOP_UP, row.workspace_id, now + wait)
        await _tell(row, CreditsMail.TOP_UP_DECLINED, known.card_last4, now)


async def turn_off(workspace_id: UUID, reason: TopUpOff, now: datetime, *, tell: bool = True) -> bool:
    """Charge nothing any more until a person acts, and tell the owners why. Return whether it was on."""
    # This locks the balance, so it comes before the top-up's row.
    await execute(STOP_TOP_UP, workspace_id)
    turned = await fetch_row(TURN_OFF_TOP_UP, workspace_id, reason.value, REPAIRABLE, now)
    if turned is None or not turned.was_on:
        return False
    log.warning("automatic top-up turned off", workspace=ids.encode_id(ids.WORKSPACE, workspace_id), reason=reason)
    if tell:
        await tell_owners(workspace_id, CreditsMail.TOP_UP_OFF, {"card": turned.card_last4 or ""}, now)
    return True


async def _tell(row: rows.PurchaseRow, kind: CreditsMail, last4: str | None, now: datetime) -> None:
    price = shown_price(row.amount, row.currency)
    data = {"credits": f"{row.credits:,}", "price": price, "card": last4 or ""}
    await tell_owners(row.workspace_id, kind, data, now)
