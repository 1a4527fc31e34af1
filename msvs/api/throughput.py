"""Throughput: how many messages a second a carrier and a sender may take, all workers together.

A token bucket a name, in PostgreSQL: it holds whether or not Redis is there, and a claim that is rolled back gives its
tokens back. A bucket holds at most one second's worth, so that nothing is caught up in a burst.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msvs.database import execute, fetch_value

ANY = "*"

MAKE = "INSERT INTO throughput_buckets (name, tokens, refilled_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING"

# The row stays locked until the claim commits, so that two workers never spend the same token.
LEVEL = """
SELECT least($3::float8, tokens + $2::float8 * greatest(extract(epoch FROM $4::timestamptz - refilled_at), 0)::float8)
FROM throughput_buckets WHERE name = $1 FOR UPDATE
"""
SET = "UPDATE throughput_buckets SET tokens = $2, refilled_at = greatest(refilled_at, $3) WHERE name = $1"

_carrier_rates: Mapping[str, float] = {}
_sender_rates: Mapping[str, float] = {}


def use_rates(carrier_rates: Mapping[str, float], sender_rates: Mapping[str, float]) -> None:
    """Set the limits of this process, in messages a second; `*` stands for every name without its own."""
    global _carrier_rates, _sender_rates
    _carrier_rates, _sender_rates = carrier_rates, sender_rates


HOLD = "SELECT FROM throughput_buckets WHERE name = ANY($1) ORDER BY name FOR UPDATE"


def carrier_rate(carrier: str) -> float | None:
    """What a carrier takes, in messages a second; None is no limit."""
    return _carrier_rates.get(carrier, _carrier_rates.get(ANY))


def sender_rate(sender: str) -> float | None:
    """What a sender sends, in messages a second; None is no limit."""
    return _sender_rates.get(sender, _sender_rates.get(ANY))


async def hold_carriers(carriers: Iterable[str]) -> None:
    """Have these carriers' limits to oneself until the transaction ends.

    Whoever takes from several of them, and other locks in between, takes all at first, or two such lock each other out.
    """
    names = [f"carrier:{carrier}" for carrier in carriers if carrier_rate(carrier) is not None]
    if len(names) > 1:
        await execute(HOLD, names)


async def take_for_carrier(carrier: str, wanted: int, now: datetime) -> int:
    """How many of `wanted` messages the carrier may be given now; they count as given."""
    return await _take(f"carrier:{carrier}", carrier_rate(carrier), wanted, now)


async def take_for_sender(sender: str, wanted: int, now: datetime) -> int:
    """How many of `wanted` messages the sender may send now; they count as sent."""
    return await _take(f"sender:{sender}", sender_rate(sender), wanted, now)


async def give_back_to_carrier(carrier: str, unused: int, now: datetime) -> None:
    """Return what was taken for a carrier and not used."""
    if carrier_rate(carrier) is not None and unused:
        await execute(
            "UPDATE throughput_buckets SET tokens = tokens + $2 WHERE name = $1", f"carrier:{carrier}", unused
        )


def limits_senders() -> bool:
    """Whether any sender is limited."""
    return bool(_sender_rates)


async def _take(name: str, rate: float | None, wanted: int, now: datetime) -> int:
    if rate is None or wanted <= 0:
        return wanted
    capacity = max(rate, 1.0)
    await execute(MAKE, name, capacity, now)
    level = float(await fetch_value(LEVEL, name, rate, capacity, now))
    granted = min(wanted, int(level))
    await execute(SET, name, level - granted, now)
    return granted
