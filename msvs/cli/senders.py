"""Senders that workspaces can use in live mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from msvs.cli.common import (
    JSON,
    OWNER,
    REGIONS,
    Arguments,
    command,
    find_owner,
    find_workspace_of,
    group,
    in_database,
    services_of_command,
    show,
    workspace_option,
)
from msvs.models import rows
from msvs.settings import Settings

if TYPE_CHECKING:
    from msvs.models import rows

SENDER = click.Argument(["sender"], metavar="SENDER")

senders = group("senders")


@command(
    "add",
    "Allow a workspace to use a sender for live messages, or change its details.",
    *OWNER,
    SENDER,
    REGIONS,
    click.Option(["--registration"], metavar="TEXT", help="the sender's 10DLC campaign, verification or registration"),
    click.Option(["--shared"], is_flag=True, help="even if another workspace has it, or one that looks like it"),
    JSON,
    group=senders,
    changes=True,
)
def add_sender(settings: Settings, arguments: Arguments) -> None:
    """Let a workspace use a sender."""

    async def add() -> dict[str, object]:
        from msvs.api.dispatch import senders

        row = await senders.add_sender(
            services_of_command(),
            await find_owner(arguments),
            arguments.sender,
            regions=arguments.region,
            registration=arguments.registration,
            is_shared=arguments.shared,
        )
        return _shape_sender(row)

    show(arguments, in_database(settings, add()))


@command("list", "List the senders of a workspace, or of the platform.", *OWNER, JSON, group=senders)
def list_senders(settings: Settings, arguments: Arguments) -> None:
    """List the senders of a workspace."""

    async def list_() -> list[dict[str, object]]:
        from msvs.models import Sender

        return [
            _shape_sender(row) for row in await Sender.filter(workspace_id=await find_owner(arguments)).order_by("id")
        ]

    show(arguments, in_database(settings, list_()))


@command(
    "remove",
    "Remove a sender; messages that wait to be sent from it are not sent.",
    *OWNER,
    SENDER,
    JSON,
    group=senders,
    changes=True,
)
def remove_sender(settings: Settings, arguments: Arguments) -> None:
    """Take a sender from a workspace."""

    async def remove() -> dict[str, object]:
        from msvs.api.dispatch import senders

        await senders.remove_sender(services_of_command(), await find_owner(arguments), arguments.sender)
        return {"sender": arguments.sender, "removed": True}

    show(arguments, in_database(settings, remove()))


@command(
    "transfer",
    "Give a sender to one workspace; the previous owner loses it.",
    workspace_option(more=", which is to have it"),
    SENDER,
    JSON,
    group=senders,
    changes=True,
)
def transfer_sender(settings: Settings, arguments: Arguments) -> None:
    """Make a sender one workspace's alone."""

    async def transfer() -> dict[str, object]:
        from msvs.api.dispatch import senders

        return _shape_sender(
            await senders.transfer_sender(services_of_command(), await find_workspace_of(arguments), arguments.sender)
        )

    show(arguments, in_database(settings, transfer()))


def _shape_sender(row: rows.SenderRow) -> dict[str, object]:
    import msgspec

    from msvs.api.resources import sender_resource

    shape: dict[str, object] = msgspec.to_builtins(sender_resource(row))
    return shape
