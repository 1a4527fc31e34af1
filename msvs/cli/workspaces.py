"""Workspaces."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
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
    services_of_command,
    show,
    tell,
)
from msvs.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from msvs.api.context import Services

WORKSPACE = click.Argument(["workspace"], metavar="WSP_ID")

workspaces = group("workspaces")
workspace = group("workspace")


@command(
    "create",
    "Create a workspace with a test key and a live key.",
    click.Option(["--name"], required=True, metavar="NAME"),
    click.Option(["--credits"], type=Whole(0, 10**12), default=0, metavar="N", help="opening balance (default 0)"),
    JSON,
    group=workspace,
    changes=True,
)
def create_workspace(settings: Settings, arguments: Arguments) -> None:
    """Make a workspace with one key of each mode."""
    show(arguments, in_database(settings, new_workspace(arguments.name, arguments.credits)))


async def new_workspace(name: str, credits: int) -> dict[str, str]:
    from msvs.api import ids
    from msvs.api.accounts import workspaces
    from msvs.api.audit import AuditAction, changed
    from msvs.api.unit_of_work import unit_of_work

    async with unit_of_work():
        row, test_key, live_key = await workspaces.create_workspace(name, credits=credits)
        await tell(row.id, AuditAction.WORKSPACE_CREATED, changed({}, {"name": row.name, "credits": credits}))
    assert live_key is not None
    return {
        "id": ids.encode_id(ids.WORKSPACE, row.id),
        "name": row.name,
        "test_key": test_key,
        "live_key": live_key,
    }


@command(
    "list",
    "List workspaces with their balance, their users and whether they are suspended or to be deleted.",
    JSON,
    group=workspaces,
)
def list_workspaces(settings: Settings, arguments: Arguments) -> None:
    """List the workspaces."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api import ids
        from msvs.api.accounts import workspaces
        from msvs.api.resources import moment, optional_moment

        return [
            {
                "id": ids.encode_id(ids.WORKSPACE, row.id),
                "name": row.name,
                "balance": row.balance,
                "users": row.users,
                "created_at": moment(row.created_at),
                "suspended_at": optional_moment(row.held_at),
                "deletes_at": optional_moment(row.deletes_at),
                "erased_at": optional_moment(row.erased_at),
            }
            for row in await workspaces.list_workspaces()
        ]

    show(arguments, in_database(settings, list_()))


@command(
    "suspend",
    "Suspend a workspace: it sends nothing, and its keys and users are refused.",
    WORKSPACE,
    JSON,
    group=workspaces,
    changes=True,
)
def suspend_workspace(settings: Settings, arguments: Arguments) -> None:
    """Suspend a workspace."""
    from msvs.api.accounts import workspaces

    _suspend(settings, arguments, workspaces.suspend_workspace, is_suspended=True)


@command(
    "resume",
    "Resume a suspended workspace where it stopped; a deletion that an owner asked for goes on.",
    WORKSPACE,
    JSON,
    group=workspaces,
    changes=True,
)
def resume_workspace(settings: Settings, arguments: Arguments) -> None:
    """Resume a workspace."""
    from msvs.api.accounts import workspaces

    _suspend(settings, arguments, workspaces.resume_workspace, is_suspended=False)


def _suspend(
    settings: Settings,
    arguments: Arguments,
    change: Callable[[Services, UUID], Coroutine[object, object, bool]],
    *,
    is_suspended: bool,
) -> None:
    async def changed() -> dict[str, object]:
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await find_workspace_of(arguments)
        async with unit_of_work():
            is_new = await change(services_of_command(), workspace_id)
        return {"id": arguments.workspace, "suspended": is_suspended, "changed": is_new}

    show(arguments, in_database(settings, changed()))
