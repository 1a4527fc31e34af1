"""Routes: which carrier takes which live messages."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from msvs import start_checks
from msvs.cli.common import (
    JSON,
    REGIONS,
    Arguments,
    Price,
    command,
    find_workspace_of,
    group,
    in_database,
    services_of_command,
    show,
    workspace_option,
)
from msvs.settings import Settings

if TYPE_CHECKING:
    from msvs.models import Route

SENDER_KINDS = ("long_code", "toll_free", "short_code", "alphanumeric")

routes = group("routes")


@command(
    "add",
    "Add a route: messages to a region, or from a sender, take a carrier.",
    click.Argument(["carrier"], metavar="CARRIER"),
    workspace_option(required=False, more="; without it, every workspace that has no route of its own"),
    REGIONS,
    click.Option(["--sender"], metavar="SENDER", help="only messages from this sender"),
    click.Option(["--sender-kind"], type=click.Choice(SENDER_KINDS), help="only messages from senders of this kind"),
    click.Option(
        ["--preference"], type=int, default=100, metavar="N", help="the order of routes, the lowest first (default 100)"
    ),
    click.Option(
        ["--price"],
        type=Price(),
        metavar="P",
        help="the price of a segment; among routes of equal preference, the lowest first",
    ),
    JSON,
    group=routes,
    changes=True,
)
def add_route(settings: Settings, arguments: Arguments) -> None:
    """Add a route."""
    from msvs.api.context import CarrierNames
    from msvs.api.dispatch import routes
    from msvs.carriers.registry import make_carriers
    from msvs.models import SenderKind

    start_checks.require_real_route(settings, arguments.carrier)
    carriers = make_carriers(settings, owns_binds=False)
    services = replace(services_of_command(), carriers=CarrierNames(frozenset(carriers)))
    kind = None if arguments.sender_kind is None else SenderKind(arguments.sender_kind)

    async def add() -> dict[str, object]:
        row = await routes.add_route(
            services,
            arguments.carrier,
            workspace_id=None if arguments.workspace is None else await find_workspace_of(arguments),
            regions=arguments.region,
            sender=arguments.sender,
            sender_kind=kind,
            preference=arguments.preference,
            price=arguments.price,
        )
        return _shape_route(row)

    show(arguments, in_database(settings, add()))


@command(
    "list",
    "List routes in the order in which they are tried.",
    workspace_option(required=False, more="; without it, the shared ones"),
    JSON,
    group=routes,
)
def list_routes(settings: Settings, arguments: Arguments) -> None:
    """List the routes of a workspace, or those that are shared."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.dispatch import routes

        workspace_id = None if arguments.workspace is None else await find_workspace_of(arguments)
        return [_shape_route(row) for row in await routes.list_routes(workspace_id)]

    show(arguments, in_database(settings, list_()))


@command("remove", "Remove a route.", click.Argument(["route"], metavar="ROUTE_ID"), JSON, group=routes, changes=True)
def remove_route(settings: Settings, arguments: Arguments) -> None:
    """Remove a route."""

    async def remove() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.dispatch import routes

        await routes.remove_route(ids.find_id(ids.ROUTE, arguments.route, "route"))
        return {"id": arguments.route, "removed": True}

    show(arguments, in_database(settings, remove()))


def _shape_route(row: Route) -> dict[str, object]:
    from msvs.api import ids

    return {
        "id": ids.encode_id(ids.ROUTE, row.id),
        "workspace": None if row.workspace_id is None else ids.encode_id(ids.WORKSPACE, row.workspace_id),
        "carrier": row.carrier,
        "regions": row.regions or None,
        "sender": row.sender,
        "sender_kind": row.sender_kind and row.sender_kind.value,
        "preference": row.preference,
        "price": None if row.price is None else str(row.price.normalize()),
    }
