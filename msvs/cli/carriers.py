"""Carriers, their binds and their circuit breakers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from msvs.cli.catalogue import COMMANDS
from msvs.cli.common import (
    JSON,
    OK,
    Arguments,
    CommandFailed,
    command,
    in_database,
    show,
)
from msvs.settings import Settings, from_environment

if TYPE_CHECKING:
    from msvs.carriers.protocol import Carrier
    from msvs.database import Row
    from msvs.models import CarrierState


def _list(ctx: click.Context, **values: object) -> int:
    """List the carriers where no command of the group is named."""
    if ctx.invoked_subcommand is None:
        list_carriers(from_environment(), Arguments(**values))
    return OK


carriers = click.Group(
    "carriers",
    help=COMMANDS["carriers"].help,
    callback=click.pass_context(_list),
    invoke_without_command=True,
    params=[JSON],
)


def list_carriers(settings: Settings, arguments: Arguments) -> None:
    """List the carriers that are configured."""
    from msvs.carriers.registry import make_carriers

    carriers = make_carriers(settings)

    async def list_() -> list[dict[str, object]]:
        from msvs.carriers.remote import find_owner
        from msvs.models import CarrierState

        breakers = {row.name: row for row in await CarrierState.all()}
        owners = {name: await find_owner(name) for name, each in carriers.items() if each.holds_binds}
        return [_shape_carrier(each, owners, breakers.get(name)) for name, each in carriers.items()]

    show(arguments, in_database(settings, list_()))


@command(
    "unread",
    "List inbound messages whose sender cannot be read as a phone number.",
    click.Option(["--limit"], type=int, default=100, metavar="N", help="the number of messages to list (default 100)"),
    JSON,
    group=carriers,
)
def list_unread(settings: Settings, arguments: Arguments) -> None:
    """List inbound messages that nobody was found for, as what they came from is no number."""
    from msvs.api.inbound import carrier_events
    from msvs.api.resources import moment

    async def list_() -> list[dict[str, object]]:
        return [
            {
                "id": str(row.id),
                "carrier": row.carrier,
                "received_at": moment(row.received_at),
                "from": row.from_phone,
                "to": row.to_sender,
                "asks_out": carrier_events.asks_out([row]),
                "text": row.text,
            }
            for row in await carrier_events.list_unread(limit=max(arguments.limit, 0))
        ]

    show(arguments, in_database(settings, list_()))


def _shape_carrier(
    carrier: Carrier, owners: Mapping[str, Row | None], breaker: CarrierState | None
) -> dict[str, object]:
    sessions = None
    if carrier.name in owners:
        owner = owners[carrier.name]
        sessions = "none held" if owner is None else f"{owner.bound} of {owner.wanted} bound"
    return {
        "name": carrier.name,
        "kind": carrier.kind,
        "capability": carrier.capability.value,
        "rate": carrier.rate,
        "sessions": sessions,
        "breaker": breaker.state if breaker else "closed",
        "reason": breaker and breaker.reason,
    }


@command(
    "check",
    "Check a carrier's configuration and connection; sends nothing.",
    click.Argument(["name"], metavar="NAME"),
    JSON,
    group=carriers,
)
def check_carrier(settings: Settings, arguments: Arguments) -> None:
    """Say that nothing is wrong with a carrier. Raises CommandFailed with what is."""
    from msvs.carriers.registry import make_carriers

    carriers = make_carriers(settings, owns_binds=False)
    if arguments.name not in carriers:
        raise CommandFailed(f"no such carrier: {arguments.name}; there are {', '.join(carriers)}")
    carrier = carriers[arguments.name]

    async def check() -> str | None:
        try:
            return await carrier.check()
        finally:
            await carrier.close()

    wrong = in_database(settings, check())
    if wrong is not None:
        raise CommandFailed(f"{carrier.name}: {wrong}")
    show(arguments, {"name": carrier.name, "check": "nothing is wrong"})
