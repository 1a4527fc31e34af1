"""Caps: the credits that a workspace may spend in a UTC day, and single messages to a number range in an hour.

The row of the balance is the lock of the day's credits: anyone who counts some holds it. A statement sees what was
committed when it began; so a capped workspace takes the lock in a statement of its own, and the next checks and counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from msvs.api.context import Context
from msvs.api.errors import ComplianceRefused, ErrorCode
from msvs.api.resources import moment
from msvs.api.text.phones import Phone, canonical
from msvs.database import execute, fetch, fetch_row, fetch_value

DAILY_CAP_REACHED = "daily_cap_reached"

# A range is a calling code and this many digits more: the area or operator's code in most countries.
RANGE_DIGITS = 4
# The sandbox counts apart, so that trying things out uses up nothing of live.
SANDBOX_MARK = "t"

# Conditions of a statement that takes credits of the workspace $1. The first holds where there is no cap; the second
# may only be asked with the balance locked.
UNCAPPED = "NOT EXISTS (SELECT FROM workspaces WHERE id = $1 AND daily_credit_cap IS NOT NULL)"
WITHIN_CAP = """coalesce((SELECT daily_credit_cap FROM workspaces WHERE id = $1), 9223372036854775807)
    - coalesce((SELECT credits FROM credit_usage WHERE workspace_id = $1 AND day = {day}), 0) >= {credits}"""

SPENDABLE = """
SELECT balance, total_lifetime, daily_credit_cap, ($2::timestamptz AT TIME ZONE 'UTC')::date AS day,
    daily_credit_cap - coalesce((
        SELECT credits FROM credit_usage WHERE workspace_id = $1 AND day = ($2::timestamptz AT TIME ZONE 'UTC')::date
    ), 0) AS left_today
FROM credit_balances JOIN workspaces ON workspaces.id = workspace_id WHERE workspace_id = $1
"""

COUNT_PREFIX_MESSAGE = """
INSERT INTO prefix_usage AS usage (workspace_id, prefix, hour, messages) VALUES ($1, $2, $3, 1)
ON CONFLICT (workspace_id, prefix, hour) DO UPDATE SET messages = usage.messages + 1 WHERE usage.messages < $4
RETURNING messages
"""
# In the order of the ranges, so that two of them never wait for each other.
COUNT_PREFIX_MESSAGES = """
INSERT INTO prefix_usage AS usage (workspace_id, prefix, hour, messages)
SELECT $1, prefix, $2, messages FROM unnest($3::varchar[], $4::bigint[]) AS counted (prefix, messages) ORDER BY prefix
ON CONFLICT (workspace_id, prefix, hour) DO UPDATE SET messages = usage.messages + excluded.messages
    WHERE usage.messages + excluded.messages <= $5
RETURNING prefix
"""
FIND_PREFIX_MESSAGES = """
SELECT prefix, messages FROM prefix_usage WHERE workspace_id = $1 AND hour = $2 AND prefix = ANY ($3::varchar[])
"""


@dataclass(frozen=True, slots=True)
class Spendable:
    """The credits that can be spent now: the balance, and what is left of the daily cap (None without a cap).

    `topped_up` and `opened` tell what they stand by: another value means a top-up, or a new day or cap, and none else.
    """

    balance: int
    left_today: int | None
    topped_up: str = ""
    opened: str = ""

    @property
    def credits(self) -> int:
        """The credits that both cover."""
        return self.balance if self.left_today is None else min(self.balance, self.left_today)

    @property
    def limit(self) -> str:
        """The code of what allows no more."""
        if self.credits < self.balance:
            return "daily_cap_reached"
        return "insufficient_credits"

    def less(self, spent: int) -> Spendable:
        """Return what is left after so many credits are spent."""
        left_today = None if self.left_today is None else self.left_today - spent
        return replace(self, balance=self.balance - spent, left_today=left_today)

    def mark(self, limit: str) -> str:
        """Return what a limit stands by: refunds leave it as it is."""
        return self.opened if limit == DAILY_CAP_REACHED else self.topped_up


async def lock(workspace_id: UUID) -> None:
    """Have the day's credits to oneself until the end of the transaction."""
    await execute("SELECT FROM credit_balances WHERE workspace_id = $1 FOR UPDATE", workspace_id)


async def spendable(workspace_id: UUID, now: datetime) -> Spendable:
    """Return what a workspace may spend at `now`."""
    row = await fetch_row(SPENDABLE, workspace_id, now)
    if row is None:
        return Spendable(0, None)
    return Spendable(
        row.balance,
        None if row.left_today is None else max(0, row.left_today),
        str(row.total_lifetime),
        f"{row.day}:{row.daily_credit_cap}",
    )


def daily_cap_reached(required: int, available: int, now: datetime) -> ComplianceRefused:
    """Return the 422 of a send that the rest of the day's cap does not cover."""
    return ComplianceRefused(
        f"This needs {required} credits; of the workspace's cap for today {available} are left.",
        code=ErrorCode.DAILY_CAP_REACHED,
        required=required,
        available=available,
        resets_at=moment(next_day(now)),
    )


def next_day(now: datetime) -> datetime:
    """Return when the next UTC day begins."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)


def prefix_of(phone: Phone) -> str:
    """Return the range of a number, by which messages are counted: `14155` of +14155550123; of one phone it is one."""
    return canonical(phone.e164)[1 : 1 + len(str(phone.country_code)) + RANGE_DIGITS]


async def count_message(ctx: Context, phone: Phone, cap: int, now: datetime) -> None:
    """Count a single message to a number's range. Raises ComplianceRefused where the hour has had `cap`.

    The range's row stays locked until the transaction ends, and what it counted goes with it.
    """
    if await fetch_row(COUNT_PREFIX_MESSAGE, ctx.workspace_id, _key(ctx, phone), _hour(now), cap) is None:
        raise _too_fast(phone, cap, now)


async def check_message(ctx: Context, phone: Phone, cap: int, now: datetime) -> None:
    """Check that `count_message` would take one more now, and count nothing. Raises ComplianceRefused."""
    counted = await fetch_value(
        "SELECT messages FROM prefix_usage WHERE workspace_id = $1 AND prefix = $2 AND hour = $3",
        ctx.workspace_id,
        _key(ctx, phone),
        _hour(now),
    )
    if counted is not None and counted >= cap:
        raise _too_fast(phone, cap, now)


async def count_messages(ctx: Context, phones: Sequence[Phone], cap: int, now: datetime) -> bool:
    """Count single messages to the ranges of many numbers. Return False where an hour does not have them all left.

    The caller rolls back then. No range is asked for more than the cap: `PrefixRoom` saw to that.
    """
    counts = Counter(_key(ctx, phone) for phone in phones)
    counted = await fetch(COUNT_PREFIX_MESSAGES, ctx.workspace_id, _hour(now), list(counts), list(counts.values()), cap)
    return len(counted) == len(counts)


class PrefixRoom:
    """The messages that the ranges of some numbers may still have in this hour."""

    def __init__(self, ctx: Context, cap: int, now: datetime, counted: Mapping[str, int]) -> None:
        self._ctx, self._cap, self._now = ctx, cap, now
        self._left: dict[str, int] = {key: cap - messages for key, messages in counted.items()}

    def check(self, phone: Phone) -> None:
        """Check that a number's range may have a message more. Raises ComplianceRefused."""
        if self._left.get(_key(self._ctx, phone), self._cap) <= 0:
            raise _too_fast(phone, self._cap, self._now)

    def take(self, phone: Phone) -> None:
        """Take a message of a number's range."""
        key = _key(self._ctx, phone)
        self._left[key] = self._left.get(key, self._cap) - 1


async def find_room(ctx: Context, phones: Sequence[Phone], cap: int, now: datetime) -> PrefixRoom:
    """Find what the ranges of numbers may still have in this hour; nothing is counted yet."""
    keys = list({_key(ctx, phone) for phone in phones})
    rows = await fetch(FIND_PREFIX_MESSAGES, ctx.workspace_id, _hour(now), keys)
    return PrefixRoom(ctx, cap, now, {row.prefix: row.messages for row in rows})


def _key(ctx: Context, phone: Phone) -> str:
    return prefix_of(phone) if ctx.livemode else SANDBOX_MARK + prefix_of(phone)


def _hour(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _too_fast(phone: Phone, cap: int, now: datetime) -> ComplianceRefused:
    return ComplianceRefused(
        f"The numbers that start with +{prefix_of(phone)} have had the hour's {cap} messages of this workspace.",
        code=ErrorCode.PREFIX_VELOCITY_EXCEEDED,
        param="to",
        resets_at=moment(_hour(now) + timedelta(hours=1)),
    )
