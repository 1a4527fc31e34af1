"""Credits of a workspace."""

from __future__ import annotations

import csv
import sys

import click

from msvs.cli.common import (
    JSON,
    Arguments,
    Whole,
    command,
    contexts,
    find_workspace_of,
    group,
    in_database,
    services_of_command,
    show,
    workspace_option,
)
from msvs.settings import Settings

credits = group("credits")


@command(
    "grant",
    "Add credits to a workspace.",
    workspace_option(),
    click.Argument(["amount"], type=Whole(1, 10**12), metavar="N"),
    click.Option(["--note"], default="", metavar="TEXT", help="a note for the ledger"),
    click.Option(["--reference"], metavar="TEXT", help="a reference; the same one grants credits only once"),
    JSON,
    group=credits,
    changes=True,
)
def grant_credits(settings: Settings, arguments: Arguments) -> None:
    """Add credits and show the balance."""

    async def grant() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.accounts import workspaces
        from msvs.api.credits import credits
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await find_workspace_of(arguments)
        reference = arguments.reference or f"cli:{ids.encode_id(ids.REQUEST, ids.new_id())}"
        async with unit_of_work():
            granted = await workspaces.grant_by_operator(
                services_of_command(), workspace_id, arguments.amount, reference=reference, note=arguments.note
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


# The columns of the CSV, as an accountant reads them: amounts are in the smallest unit of the currency.
COLUMNS = (
    *("id", "paid_at", "status", "pack", "credits", "currency", "amount", "tax", "total", "refunded_amount"),
    *("disputed_amount", "returned_credits", "invoice_url", "receipt_url", "created_at"),
)


@command(
    "purchases",
    "List the purchases of a workspace with payments, refunds and disputes, newest first.",
    workspace_option(),
    click.Option(["--csv"], is_flag=True, help="print CSV, for accounting"),
    JSON,
    group=credits,
)
def list_purchases(settings: Settings, arguments: Arguments) -> None:
    """Show the purchases."""

    async def purchases() -> list[dict[str, object]]:
        from msvs.api.credits.checkout import checkout_resource, list_checkouts
        from msvs.api.pages import MAX_LIMIT, PageRequest

        (ctx,) = contexts(services_of_command(), await find_workspace_of(arguments), "live")
        found: list[dict[str, object]] = []
        page, last = None, None
        while page is None or page.has_more:
            page = await list_checkouts(ctx, PageRequest(MAX_LIMIT, starting_after=last))
            found += [{name: getattr(checkout_resource(row), name) for name in COLUMNS} for row in page.items]
            last = page.items[-1].id if page.items else None
        return found

    rows = in_database(settings, purchases())
    if not arguments.csv:
        show(arguments, rows)
        return
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
