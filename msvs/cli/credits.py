"""Credits of a workspace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from msvs.cli.common import (
    JSON,
    Arguments,
    Whole,
    command,
    find_workspace_of,
    group,
    in_database,
    show,
    workspace_option,
)
from msvs.settings import Settings

if TYPE_CHECKING:
    pass

credits = group("credits")


@command(
    "grant",
    "Add credits to a workspace.",
    workspace_option(),
    click.Argument(["amount"], type=Whole(1, 10**12), metavar="N"),
    click.Option(["--note"], default="", metavar="TEXT", help="why, for the ledger"),
    click.Option(["--reference"], metavar="TEXT", help="the same reference grants only once"),
    JSON,
    group=credits,
)
def grant_credits(settings: Settings, arguments: Arguments) -> None:
    """Add credits and show the balance."""

    async def grant() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.credits import credits
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await find_workspace_of(arguments)
        reference = arguments.reference or f"cli:{ids.encode_id(ids.REQUEST, ids.new_id())}"
        async with unit_of_work():
            granted = await credits.grant_credits(
                workspace_id, arguments.amount, reference=reference, note=arguments.note
            )
        balance = await credits.available(workspace_id)
        return {"workspace": arguments.workspace, "granted": arguments.amount if granted else 0, "balance": balance}

    show(arguments, in_database(settings, grant()))


@command("balance", "Show the credit balance.", workspace_option(), JSON, group=credits)
def show_balance(settings: Settings, arguments: Arguments) -> None:
    """Show the balance."""

    async def balance() -> dict[str, object]:
        from msvs.api.credits import credits

        return {
            "workspace": arguments.workspace,
            "balance": await credits.available(await find_workspace_of(arguments)),
        }

    show(arguments, in_database(settings, balance()))
