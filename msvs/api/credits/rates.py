"""Rates: what a segment costs by its destination, in credits. They are data: rows with the time from which they count.

What is accepted keeps its price: a message holds the one it was written with. So a statement that reads what a send
needs anyway reads the rates with it, and no process remembers any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.resources import Resource, moment
from msvs.database import Row, execute, fetch
from msvs.fields import REGION_PATTERN, about

DEFAULT = 1
MOST = 100

# Those that count now, by PostgreSQL's clock.
CURRENT = """(
    SELECT DISTINCT ON (region) region, credits FROM credit_rates WHERE effective_at <= now()
    ORDER BY region, effective_at DESC
)"""
# The same as one value for a statement that reads something else: null where every region costs one.
AS_JSON = f"(SELECT jsonb_object_agg(region, credits) FROM {CURRENT} AS now_rates WHERE credits <> {DEFAULT})"
# The rates that count now, and those that are to come.
LIST_RATES = """
SELECT region, credits, effective_at FROM (
    SELECT region, credits, effective_at, lead(effective_at) OVER (PARTITION BY region ORDER BY effective_at) AS until
    FROM credit_rates
) AS rates WHERE $1 OR until IS NULL OR until > now() ORDER BY region, effective_at
"""
SET_RATE = """
INSERT INTO credit_rates AS known (id, region, credits, effective_at, created_at)
VALUES ($1, $2, $3, greatest($4::timestamptz, now()), now())
ON CONFLICT (region, effective_at) DO UPDATE SET credits = excluded.credits WHERE known.effective_at > now()
"""

# The rates that differ from one credit a segment, by region; None where none does.
Rates = Mapping[str, int] | None


class CreditRateResource(Resource, kw_only=True):
    """The credits for a segment to a region, from a certain time. A region without a rate costs one credit."""

    object: Literal["credit_rate"] = "credit_rate"
    region: Annotated[str, about("The destination, ISO 3166-1.", example="BR", pattern=REGION_PATTERN)]
    credits_per_segment: Annotated[int, about("The credits for each segment.", example=2)]
    effective_at: Annotated[
        str, about("The time from which the rate applies. Messages accepted earlier keep their price.")
    ]


def price(rates: Rates, region: str | None) -> int:
    """Return what a segment to a region costs, in credits."""
    return DEFAULT if not rates or region is None else rates.get(region, DEFAULT)


def dearest(rates: Rates) -> int:
    """Return the highest price of a segment, in credits."""
    return max(rates.values(), default=DEFAULT) if rates else DEFAULT


def rate_resource(row: Row) -> CreditRateResource:
    """Return the shape of a rate."""
    return CreditRateResource(region=row.region, credits_per_segment=row.credits, effective_at=moment(row.effective_at))


async def list_rates(ctx: Context) -> Sequence[Row]:
    """List the rates that count now and those to come, by region; they are the same for every workspace."""
    return await fetch(LIST_RATES, False)


async def list_history() -> Sequence[Row]:
    """List every rate there ever was, by region and time, for operators."""
    return await fetch(LIST_RATES, True)


async def set_rate(region: str, credits: int, effective_at: datetime | None) -> None:
    """Have a segment to a region cost so much from a time on, now where none is given. For operators.

    What was stays: the history is only added to, and a rate that is yet to come can be replaced. Raises InvalidRequest.
    """
    if region not in SUPPORTED_REGIONS:
        raise InvalidRequest(f"'{region[:10]}' is not an ISO 3166-1 region code.", param="region")
    if not DEFAULT <= credits <= MOST:
        raise InvalidRequest(
            f"A segment costs from {DEFAULT} to {MOST} credits.", param="credits", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    await execute(SET_RATE, ids.new_id(), region, credits, effective_at)
