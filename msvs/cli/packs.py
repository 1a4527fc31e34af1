"""Packs of credits in the operator's file."""

from __future__ import annotations

from pathlib import Path

import click

from msvs.cli.common import JSON, Arguments, main_command, show
from msvs.packs import EXAMPLE_FILE, Billing, Pack, read_packs
from msvs.settings import Settings


@main_command(
    "packs",
    click.Option(["--file"], metavar="PATH", help="check this file instead of the one in MSVS_BILLING"),
    click.Option(["--example"], is_flag=True, help="print an example file"),
    JSON,
)
def show_packs(settings: Settings, arguments: Arguments) -> None:
    """Show each pack with its price; a file that cannot be used is refused with the reason."""
    if arguments.example:
        print(EXAMPLE_FILE, end="")
        return
    packs = Billing.from_settings(settings).packs if arguments.file is None else read_packs(Path(arguments.file)).pack
    show(arguments, [_shown(pack) for pack in packs])


def _shown(pack: Pack) -> dict[str, object]:
    return {
        "id": pack.id,
        "label": pack.label,
        "credits": pack.credits,
        "amount": pack.amount,
        "currency": pack.currency,
        "per_credit": f"{pack.amount / pack.credits:.4f}",
        "price": pack.price,
        "badge": pack.badge,
        "active": pack.active,
    }
