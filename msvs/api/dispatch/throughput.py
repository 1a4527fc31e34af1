"""Throughput: the messages in a second that a carrier or sender may take, over all workers.

A token bucket a name, in PostgreSQL: it holds whether or not Redis is there, and a claim that is rolled back gives its
tokens back. A bucket holds at most one second's worth, so that nothing is caught up in a burst.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from msvs.api.context import Rates
from msvs.database import execute, fetch, fetch_value

INSERT_BUCKETS = """
INSERT INTO throughput_buckets (name, tokens, refilled_at) SELECT bucket.name, bucket.tokens, $3
FROM unnest($1::varchar[], $2::float8[]) AS bucket (name, tokens) ORDER BY 1 ON CONFLICT (name) DO NOTHING
"""

# The rows stay locked until the claim commits, so that two workers never spend the same token.
FIND_LEVELS = """
SELECT name, least(bucket.capacity, tokens + bucket.rate
    * greatest(extract(epoch FROM $4::timestamptz - refilled_at), 0)::float8) AS level
FROM unnest($1::varchar[], $2::float8[], $3::float8[]) AS bucket (name, rate, capacity)
JOIN throughput_buckets USING (name) WHERE name = ANY ($1) ORDER BY name FOR UPDATE OF throughput_buckets
"""
SET_TOKENS = """
UPDATE throughput_buckets SET tokens = bucket.tokens, refilled_at = greatest(refilled_at, $3)
FROM unnest($1::varchar[], $2::float8[]) AS bucket (name, tokens)
WHERE throughput_buckets.name = ANY ($1) AND throughput_buckets.name = bucket.name
"""
GIVE_BACK = """
UPDATE throughput_buckets SET tokens = throughput_buckets.tokens + bucket.unused
FROM unnest($1::varchar[], $2::float8[]) AS bucket (name, unused)
WHERE throughput_buckets.name = ANY ($1) AND throughput_buckets.name = bucket.name
"""

LOCK_BUCKETS = "SELECT FROM throughput_buckets WHERE name = ANY($1) ORDER BY name FOR UPDATE"


async def hold_carriers(rates: Rates, carriers: Iterable[str]) -> None:
    """Have these carriers' limits to oneself until the transaction ends.

    Anyone who takes from several of them, and other locks in between, takes all at first, or two such lock each other
    out.
    """
    names = [f"carrier:{carrier}" for carrier in carriers if rates.of_carrier(carrier) is not None]
    if names:
        await execute(LOCK_BUCKETS, names)


async def take_for_carrier(rates: Rates, carrier: str, wanted: int, now: datetime) -> int:
    """Return how many of `wanted` messages the carrier may be given now; they count as given."""
    name = f"carrier:{carrier}"
    return (await _take({name: rates.of_carrier(carrier)}, wanted, now))[name]


async def take_for_sender(rates: Rates, sender: str, wanted: int, now: datetime) -> int:
    """Return how many of `wanted` messages the sender may send now; they count as sent."""
    return (await take_for_senders(rates, [sender], wanted, now))[sender]


async def take_for_senders(rates: Rates, senders: Collection[str], wanted: int, now: datetime) -> dict[str, int]:
    """Return how many messages, up to `wanted`, each of these senders may send now; they count as sent."""
    taken = await _take({f"sender:{sender}": rates.of_sender(sender) for sender in senders}, wanted, now)
    return {sender: taken[f"sender:{sender}"] for sender in senders}


async def give_back_to_carrier(rates: Rates, carrier: str, unused: int, now: datetime) -> None:
    """Return what was taken for a carrier and not used."""
    if rates.of_carrier(carrier) is not None and unused:
        await execute(GIVE_BACK, [f"carrier:{carrier}"], [float(unused)])


async def give_back_to_senders(rates: Rates, unused: Mapping[str, int]) -> None:
    """Return what was taken for senders and not used."""
    left = {
        f"sender:{name}": float(number)
        for name, number in unused.items()
        if number and rates.of_sender(name) is not None
    }
    if left:
        await execute(GIVE_BACK, list(left), list(left.values()))


async def room_of_carriers(rates: Rates, carriers: Iterable[str], most: int, now: datetime) -> int:
    """Return how many messages these carriers may be given now, all together, at most `most`; none counts as given."""
    room = 0.0
    for carrier in carriers:
        rate = rates.of_carrier(carrier)
        if rate is None or room >= most:
            return most
        level = await fetch_value(FIND_LEVEL, f"carrier:{carrier}", rate, max(rate, 1.0), now)
        room += max(rate, 1.0) if level is None else int(level)
    return min(most, int(room))


# Without a lock: what is taken is counted by `_take`.
FIND_LEVEL = """
SELECT least($3::float8, tokens + $2::float8 * greatest(extract(epoch FROM $4::timestamptz - refilled_at), 0)::float8)
FROM throughput_buckets WHERE name = $1
"""


async def _take(rates: Mapping[str, float | None], wanted: int, now: datetime) -> dict[str, int]:
    """Take up to `wanted` tokens of each bucket. Return how many of each, `wanted` where there is no limit."""
    granted = dict.fromkeys(rates, wanted)
    limited = {name: rate for name, rate in rates.items() if rate is not None}
    if not limited or wanted <= 0:
        return granted
    names, capacities = list(limited), [max(rate, 1.0) for rate in limited.values()]
    await execute(INSERT_BUCKETS, names, capacities, now)
    levels = {row.name: row.level for row in await fetch(FIND_LEVELS, names, list(limited.values()), capacities, now)}
    for name, level in levels.items():
        granted[name] = max(0, min(wanted, int(level)))
    await execute(SET_TOKENS, list(levels), [level - granted[name] for name, level in levels.items()], now)
    return granted
