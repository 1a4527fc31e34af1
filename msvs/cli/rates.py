"""Rates: what a segment costs by its destination, in credits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from msvs.cli.common import JSON, Arguments, Whole, command, group, in_database, show
from msvs.settings import Settings
from msvs.times import read_time

if TYPE_CHECKING:
    from msvs.database import Row

rates = group("rates")


class Moment(click.ParamType[datetime]):
    """A time with an offset."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time. Fails for any other text."""
        try:
            return read_time(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@command(
    "set",
    "Set what a segment to a region costs from now on, or from a time on. Accepted messages keep their price.",
    click.Argument(["region"], metavar="CODE"),
    click.Argument(["credits"], type=Whole(1, 100), metavar="N"),
    click.Option(["--from", "since"], type=Moment(), metavar="TIME", help="from when on, such as 2027-01-01T00:00:00Z"),
    JSON,
    group=rates,
    changes=True,
)
def set_rate(settings: Settings, arguments: Arguments) -> None:
    """Set a rate, and show those that count and are to come."""

    async def set() -> list[dict[str, object]]:
        from msvs.api.credits import rates
        from msvs.api.unit_of_work import unit_of_work

        async with unit_of_work():
            await rates.set_rate(arguments.region.upper(), arguments.credits, arguments.since)
        return [_shown(row) for row in await rates.list_history() if row.region == arguments.region.upper()]

    show(arguments, in_database(settings, set()))


@command("list", "List every rate, past ones too; a region without one costs one credit a segment.", JSON, group=rates)
def list_rates(settings: Settings, arguments: Arguments) -> None:
    """List the rates."""

    async def find() -> list[dict[str, object]]:
        from msvs.api.credits import rates

        return [_shown(row) for row in await rates.list_history()]

    show(arguments, in_database(settings, find()))


def _shown(row: Row) -> dict[str, object]:
    return {
        "region": row.region,
        "credits_per_segment": row.credits,
        "effective_at": row.effective_at.isoformat(),
    }
