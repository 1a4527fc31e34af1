"""People who log in."""

from __future__ import annotations

import secrets as tokens

import click

from msvs.cli.common import (
    JSON,
    Arguments,
    command,
    find_workspace_of,
    group,
    in_database,
    services_of_command,
    show,
    workspace_option,
)
from msvs.settings import Settings

ROLES = ("owner", "admin", "member", "read_only")

users = group("users")


@command("list", "List users with their workspaces.", JSON, group=users)
def list_users(settings: Settings, arguments: Arguments) -> None:
    """List users with their workspaces."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api import ids
        from msvs.api.accounts import users
        from msvs.api.resources import moment

        return [
            {
                "id": ids.encode_id(ids.USER, row.id),
                "email": row.email,
                "is_confirmed": row.is_confirmed,
                "name": row.name,
                "created_at": moment(row.created_at),
                "workspaces": [ids.encode_id(ids.WORKSPACE, each) for each in row.workspaces or ()],
            }
            for row in await users.list_users()
        ]

    show(arguments, in_database(settings, list_()))


@command(
    "create",
    "Create a user; the password is shown only once.",
    workspace_option(),
    click.Argument(["email"], metavar="EMAIL"),
    click.Option(["--name"], required=True, metavar="NAME"),
    click.Option(["--role"], type=click.Choice(ROLES), default="owner", help="(default owner)"),
    JSON,
    group=users,
    changes=True,
)
def create_user(settings: Settings, arguments: Arguments) -> None:
    """Make a user with a password."""

    async def create() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.accounts import users
        from msvs.api.unit_of_work import unit_of_work
        from msvs.models import Role

        password = tokens.token_urlsafe(18)
        workspace_id = await find_workspace_of(arguments)
        async with unit_of_work():
            id = await users.create_user(
                services_of_command(),
                email=arguments.email,
                name=arguments.name,
                password=password,
                workspace_id=workspace_id,
                role=Role(arguments.role),
            )
        return {"id": ids.encode_id(ids.USER, id), "email": arguments.email, "password": password}

    show(arguments, in_database(settings, create()))


@command(
    "confirm",
    "Confirm the e-mail address of the user who signed up with it last.",
    click.Argument(["email"], metavar="EMAIL"),
    JSON,
    group=users,
    changes=True,
)
def confirm_user(settings: Settings, arguments: Arguments) -> None:
    """Confirm an address, where no mail is sent."""

    async def confirm() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.accounts import users
        from msvs.api.unit_of_work import unit_of_work

        async with unit_of_work():
            id = await users.confirm_user(services_of_command(), arguments.email)
        return {"id": ids.encode_id(ids.USER, id), "email": arguments.email}

    show(arguments, in_database(settings, confirm()))


@command(
    "reset",
    "Give a user a new password, shown only once, and end the user's sessions.",
    click.Argument(["email"], metavar="EMAIL"),
    JSON,
    group=users,
    changes=True,
)
def reset_user(settings: Settings, arguments: Arguments) -> None:
    """Give a user a new password."""

    async def reset() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.accounts import users
        from msvs.api.unit_of_work import unit_of_work

        password = tokens.token_urlsafe(18)
        async with unit_of_work():
            id = await users.reset_password(services_of_command(), arguments.email, password)
        return {"id": ids.encode_id(ids.USER, id), "email": arguments.email, "password": password}

    show(arguments, in_database(settings, reset()))
