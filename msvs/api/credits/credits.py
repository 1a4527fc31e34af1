"""Credits: every statement that changes a balance also writes its ledger entries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.context import Context, utc_now
from msvs.api.credits import caps
from msvs.api.credits.caps import Spendable
from msvs.api.errors import ComplianceRefused, InvalidRequest, PaymentRequired
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.resources import CreditsResource, PurchaseResource, moment
from msvs.api.unit_of_work import WorkQueue, notify_after_commit, unit_of_work
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import Row, execute, fetch, fetch_row
from msvs.fields import about
from msvs.models import LedgerEntry, LedgerKind
from msvs.replica_reads import from_replica

RECENT_PURCHASES = 10
RUNWAY_DAYS = 30

RESERVE_CREDITS = """
WITH taken AS (
    UPDATE credit_balances SET balance = balance - $2, {note_top_up}
    WHERE workspace_id = $1 AND balance >= $2 AND {is_allowed}
    RETURNING workspace_id, balance, low_balance_threshold, low_notified
), entries AS (
    INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
    SELECT entry.id, $1, 'reserve', entry.reference, -entry.amount, '', $6
    FROM taken, unnest($3::uuid[], $4::varchar[], $5::bigint[]) AS entry (id, reference, amount)
), used AS (
    INSERT INTO credit_usage (workspace_id, day, credits)
    SELECT $1, ($6::timestamptz AT TIME ZONE 'UTC')::date, $2 FROM taken
    ON CONFLICT (workspace_id, day) DO UPDATE SET credits = credit_usage.credits + excluded.credits
)
SELECT * FROM taken
"""
# When an automatic top-up is due, where the workspace has one: noted by the statement that spends.
NOTE_TOP_UP = """top_up_at = CASE WHEN balance - {credits} < top_up_below THEN coalesce(top_up_at, {now})
        ELSE top_up_at END"""
RESERVE_NOTE = NOTE_TOP_UP.format(credits="$2", now="$6::timestamptz")
RESERVE = RESERVE_CREDITS.format(note_top_up=RESERVE_NOTE, is_allowed=caps.UNCAPPED)
# For a workspace with a daily cap, its balance locked.
RESERVE_CAPPED = RESERVE_CREDITS.format(
    note_top_up=RESERVE_NOTE,
    is_allowed=caps.WITHIN_CAP.format(day="($6::timestamptz AT TIME ZONE 'UTC')::date", credits="$2"),
)

# Who owes credits pays them off with what comes in: the debt as it was is read with the balance locked.
OWED = "FROM (SELECT workspace_id, debt FROM credit_balances WHERE workspace_id = $1 FOR NO KEY UPDATE) AS old"
PAY_DEBT = """
INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
SELECT {id}, $1, 'debt', {reference}, -paid, '', {at} FROM moved WHERE paid > 0
"""

# What is given back counts for the day on which it was taken: a cancellation adds nothing to the cap of another day.
RELEASE_CREDITS = f"""
WITH entries AS (
    INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
    SELECT entry.id, $1, 'release', entry.reference, entry.amount, '', $5
    FROM unnest($2::uuid[], $3::varchar[], $4::bigint[]) AS entry (id, reference, amount)
    ON CONFLICT (workspace_id, kind, reference) DO NOTHING
    RETURNING reference, amount
), used AS (
    INSERT INTO credit_usage (workspace_id, day, credits)
    SELECT $1, (reserved.created_at AT TIME ZONE 'UTC')::date, -sum(entries.amount)
    FROM entries JOIN ledger_entries AS reserved ON reserved.workspace_id = $1 AND reserved.kind = 'reserve'
        AND reserved.reference = entries.reference
    GROUP BY 2
    ON CONFLICT (workspace_id, day) DO UPDATE SET credits = credit_usage.credits + excluded.credits
), moved AS (
    UPDATE credit_balances AS held SET
        balance = balance + (SELECT sum(amount) FROM entries) - least(old.debt, (SELECT sum(amount) FROM entries)),
        debt = old.debt - least(old.debt, (SELECT sum(amount) FROM entries)),
        low_notified = low_notified AND balance + (SELECT sum(amount) FROM entries)
            - least(old.debt, (SELECT sum(amount) FROM entries)) < low_balance_threshold
    {OWED}
    WHERE held.workspace_id = old.workspace_id AND EXISTS (SELECT FROM entries)
    RETURNING least(old.debt, (SELECT sum(amount) FROM entries)) AS paid
)
{PAY_DEBT.format(id="$6::uuid", reference="$7::varchar", at="$5")}
"""

CAPTURE = """
INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
SELECT entry.id, $1, 'capture', entry.reference, 0, '', $4
FROM unnest($2::uuid[], $3::varchar[]) AS entry (id, reference)
ON CONFLICT (workspace_id, kind, reference) DO NOTHING
"""

ADD_CREDITS = f"""
WITH entries AS (
    INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
    VALUES ($2::uuid, $1, $3::varchar, $4::varchar, $5::bigint, $6::varchar, $7::timestamptz)
    ON CONFLICT (workspace_id, kind, reference) DO NOTHING
    RETURNING amount
), moved AS (
    UPDATE credit_balances AS held SET
        balance = balance + $5::bigint - least(old.debt, $5::bigint),
        debt = old.debt - least(old.debt, $5::bigint),
        total_lifetime = total_lifetime + CASE WHEN $3::varchar IN ('grant', 'purchase') THEN $5::bigint ELSE 0 END,
        low_notified = low_notified AND balance + $5::bigint - least(old.debt, $5::bigint) < low_balance_threshold
    {OWED}
    WHERE held.workspace_id = old.workspace_id AND EXISTS (SELECT FROM entries)
    RETURNING least(old.debt, $5::bigint) AS paid
), debts AS (
    {PAY_DEBT.format(id="$8::uuid", reference="$9::varchar", at="$7")}
)
SELECT paid FROM moved
"""
# The entry says what was taken of the balance; what it did not cover is owed.
TAKE_BACK = """
WITH moved AS (
    UPDATE credit_balances AS held SET balance = held.balance - least(old.balance, $5::bigint),
        debt = held.debt + $5::bigint - least(old.balance, $5::bigint)
    FROM (SELECT workspace_id, balance FROM credit_balances WHERE workspace_id = $1 FOR NO KEY UPDATE) AS old
    WHERE held.workspace_id = old.workspace_id
    RETURNING least(old.balance, $5::bigint) AS taken, held.balance < held.low_balance_threshold AS is_low
), entries AS (
    INSERT INTO ledger_entries (id, workspace_id, kind, reference, amount, note, created_at)
    SELECT $2::uuid, $1, $3::varchar, $4::varchar, -taken, $6::varchar, $7::timestamptz FROM moved
)
SELECT taken, is_low FROM moved
"""

TRY_LOCK = "SELECT workspace_id FROM credit_balances WHERE workspace_id = $1 FOR NO KEY UPDATE SKIP LOCKED"


def message_reference(message_id: UUID) -> str:
    """Return how the ledger names a message."""
    return ids.encode_id(ids.MESSAGE, message_id)


async def try_reserve(workspace_id: UUID, amounts: Mapping[UUID, int], now: datetime) -> bool:
    """Reserve credits for messages (id → credits), all or none.

    Return whether the balance and the daily cap covered them.
    """
    if not amounts:
        return True
    values = (
        workspace_id,
        sum(amounts.values()),
        [ids.new_id() for _ in amounts],
        [message_reference(message_id) for message_id in amounts],
        list(amounts.values()),
        now,
    )
    taken = await fetch_row(RESERVE, *values)
    if taken is None:
        async with unit_of_work():
            await caps.lock(workspace_id)
            taken = await fetch_row(RESERVE_CAPPED, *values)
    if taken is None:
        return False
    if taken.balance < taken.low_balance_threshold and not taken.low_notified:
        await tell_low(workspace_id, now)
    return True


async def refusal(workspace_id: UUID, required: int, now: datetime) -> PaymentRequired | ComplianceRefused:
    """Return why `required` credits cannot be taken: the balance (402), or the daily cap (422)."""
    return refusal_of(await caps.spendable(workspace_id, now), required, now)


def refusal_of(left: Spendable, required: int, now: datetime) -> PaymentRequired | ComplianceRefused:
    """Return why `required` credits cannot be taken of what is left."""
    if left.left_today is None or left.balance < required:
        return insufficient(required, left.balance)
    return caps.daily_cap_reached(required, left.left_today, now)


def insufficient(required: int, available: int) -> PaymentRequired:
    """Return the 402 of a balance that does not cover `required` credits."""
    return PaymentRequired(
        f"This needs {required} credits; the balance is {available}.", required=required, available=available
    )


async def release(workspace_id: UUID, amounts: Mapping[UUID, int], now: datetime) -> None:
    """Give reserved credits back (message id → credits). Releasing a message again changes nothing."""
    if amounts:
        await execute(
            RELEASE_CREDITS,
            workspace_id,
            [ids.new_id() for _ in amounts],
            [message_reference(message_id) for message_id in amounts],
            list(amounts.values()),
            now,
            *_debt_entry(),
        )


async def try_lock(workspace_id: UUID) -> bool:
    """Lock a workspace's balance until the transaction ends. Return False, without waiting, where another has it."""
    return await fetch_row(TRY_LOCK, workspace_id) is not None


async def capture(workspace_id: UUID, message_ids: list[UUID], now: datetime) -> None:
    """Make the reservations of messages final: the carrier has them. Capturing again changes nothing."""
    if message_ids:
        await execute(
            CAPTURE,
            workspace_id,
            [ids.new_id() for _ in message_ids],
            [message_reference(message_id) for message_id in message_ids],
            now,
        )


async def available(workspace_id: UUID) -> int:
    """Return the live balance, in credits."""
    row = await fetch_row("SELECT balance FROM credit_balances WHERE workspace_id = $1", workspace_id)
    return 0 if row is None else int(row.balance)


async def grant_credits(
    workspace_id: UUID, credits: int, *, kind: LedgerKind = LedgerKind.GRANT, reference: str, note: str = ""
) -> bool:
    """Add credits. The same kind and reference again changes nothing. Return whether this call added them."""
    if credits <= 0:
        raise ValueError("only a positive number of credits can be granted")
    return await _add(workspace_id, credits, kind, reference, note)


async def restore_credits(workspace_id: UUID, credits: int, *, reference: str, note: str = "") -> bool:
    """Add credits that a refund or dispute had taken, and did not keep. Return whether this call added them."""
    return await _add(workspace_id, credits, LedgerKind.RESTORE, reference, note)


async def take_back(
    workspace_id: UUID, credits: int, *, kind: LedgerKind, reference: str, note: str, now: datetime
) -> int:
    """Take credits as far as the balance goes; what it does not cover is a debt, which later credits pay first.

    Return how many the balance covered. The reference must be new.
    """
    row = await fetch_row(TAKE_BACK, workspace_id, ids.new_id(), kind.value, reference, credits, note, now)
    if row is None:
        return 0
    if row.is_low:
        await tell_low(workspace_id, now)
    return int(row.taken)


async def _add(workspace_id: UUID, credits: int, kind: LedgerKind, reference: str, note: str) -> bool:
    values = (ids.new_id(), kind.value, reference, credits, note, utc_now())
    added = await fetch_row(ADD_CREDITS, workspace_id, *values, *_debt_entry())
    if added is not None:
        # Campaigns that paused for want of credits go on.
        notify_after_commit(WorkQueue.CAMPAIGNS)
    return added is not None


def _debt_entry() -> tuple[UUID, str]:
    """Return the id of the ledger's entry of a debt that is paid, should there be one, and its reference."""
    id = ids.new_id()
    return id, ids.encode_id(ids.LEDGER_ENTRY, id)


async def read_debt(workspace_id: UUID) -> int:
    """Return the credits that a workspace owes."""
    row = await fetch_row("SELECT debt FROM credit_balances WHERE workspace_id = $1", workspace_id)
    return 0 if row is None else int(row.debt)


async def get_credits(ctx: Context) -> CreditsResource:
    """Return the workspace's balance, what it ever had, how long it lasts, and its latest purchases."""
    return await _read(ctx.workspace_id, ctx.services.real_clock(), livemode=ctx.livemode)


class ListLedger(PageQuery, frozen=True, kw_only=True):
    """Which movements of credits."""

    kind: Annotated[str, about("Only movements of this kind.", enum=[*LedgerKind])] | None = None


@from_replica
async def list_ledger(ctx: Context, page: PageRequest, *, kind: str | None = None) -> Page[LedgerEntry]:
    """List the movements of credits, newest first. The ledger is the workspace's: sandbox sends never appear in it.

    Raises InvalidRequest for what is no kind.
    """
    return await fetch_page(ledger_query(ctx, kind), page)


def ledger_query(ctx: Context, kind: str | None) -> QuerySet[LedgerEntry]:
    """Return the query of the movements of credits of a kind, or of all. Raises InvalidRequest."""
    query = LedgerEntry.filter(workspace_id=ctx.workspace_id)
    if kind is None:
        return query
    if kind not in set(LedgerKind):
        raise InvalidRequest(f"kind must be one of {', '.join(LedgerKind)}.", param="kind")
    return query.filter(kind=LedgerKind(kind))


async def list_purchases(ctx: Context, page: PageRequest) -> Page[LedgerEntry]:
    """List what was ever added to the balance, bought or given, newest first."""
    added = LedgerEntry.filter(workspace_id=ctx.workspace_id, kind__in=(LedgerKind.GRANT, LedgerKind.PURCHASE))
    return await fetch_page(added, page)


# The sandbox may show one of its own, which nothing goes by: it moves no balance.
FIND_BALANCE = """
SELECT *, coalesce(
    (SELECT (sandbox_settings ->> 'low_balance_threshold')::bigint FROM workspaces WHERE id = $1 AND NOT $2),
    low_balance_threshold
) AS threshold FROM credit_balances WHERE workspace_id = $1
"""


async def low_balance_threshold(ctx: Context) -> int:
    """Return the balance below which `credits.low` is told, in credits."""
    row = await fetch_row(FIND_BALANCE, ctx.workspace_id, ctx.livemode)
    return 0 if row is None else int(row.threshold)


async def tell_low(workspace_id: UUID, now: datetime) -> None:
    """Record `credits.low` once for each time the balance falls below its threshold."""
    first = await execute(
        "UPDATE credit_balances SET low_notified = true WHERE workspace_id = $1 AND NOT low_notified", workspace_id
    )
    if first:
        data = await _read(workspace_id, now)
        await record_events([NewEvent(EventType.CREDITS_LOW, workspace_id, True, None, data)], now)


async def _read(workspace_id: UUID, now: datetime, *, livemode: bool = True) -> CreditsResource:
    balance = await fetch_row(FIND_BALANCE, workspace_id, livemode)
    purchases = await fetch(
        "SELECT kind, amount, created_at FROM ledger_entries"
        " WHERE workspace_id = $1 AND kind IN ('grant', 'purchase') ORDER BY id DESC LIMIT $2",
        workspace_id,
        RECENT_PURCHASES,
    )
    usage = await fetch_row(
        "SELECT sum(credits) AS used, min(day) AS first_day FROM credit_usage WHERE workspace_id = $1"
        " AND day > ($2::timestamptz AT TIME ZONE 'UTC')::date - $3::int",
        workspace_id,
        now,
        RUNWAY_DAYS,
    )
    if balance is None:
        return CreditsResource(balance=0, total_lifetime=0, low_balance_threshold=0)
    return CreditsResource(
        balance=balance.balance,
        total_lifetime=balance.total_lifetime,
        low_balance_threshold=balance.threshold,
        estimated_runway_days=_runway_days(balance.balance, usage, now),
        recent_purchases=[
            PurchaseResource(kind=row.kind, credits=row.amount, created_at=moment(row.created_at)) for row in purchases
        ],
        debt=balance.debt,
    )


def _runway_days(balance: int, usage: Row | None, now: datetime) -> int | None:
    """Whole days that the balance lasts at the mean daily use since the first use of the last 30 days."""
    if usage is None or not usage.used or usage.used <= 0:
        return None
    days = (now.astimezone(UTC).date() - usage.first_day).days + 1
    return int(balance * days // int(usage.used))
