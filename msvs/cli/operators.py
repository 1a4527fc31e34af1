"""Operators who sign in to /ops by name."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from msvs.cli.common import JSON, Arguments, command, group, in_database, require_secret, services_of_command, show
from msvs.settings import Settings

if TYPE_CHECKING:
    from msvs.api.accounts.operators import Credentials

operators = group("operators")

NAME = click.Argument(["name"], metavar="NAME")
PASSWORD = click.Option(
    ["--password-stdin"], is_flag=True, help="read the password from standard input instead of generating one"
)


@command(
    "add",
    "Add an operator; the password and the secret of the authenticator app are shown only once.",
    NAME,
    PASSWORD,
    JSON,
    group=operators,
    changes=True,
)
def add_operator(settings: Settings, arguments: Arguments) -> None:
    """Add an operator."""

    async def add() -> Credentials:
        from msvs.api.accounts import operators

        return await operators.add_operator(services_of_command(), arguments.name, password)

    password = _given_password(arguments)
    require_secret(settings)
    show(arguments, _named(settings, in_database(settings, add())))


@command(
    "reset",
    "Give an operator a new password and second factor, enable them, and end their sessions.",
    NAME,
    PASSWORD,
    JSON,
    group=operators,
    changes=True,
)
def reset_operator(settings: Settings, arguments: Arguments) -> None:
    """Give an operator a new password and second factor."""

    async def reset() -> Credentials:
        from msvs.api.accounts import operators

        return await operators.reset_operator(services_of_command(), arguments.name, password)

    password = _given_password(arguments)
    require_secret(settings)
    show(arguments, _named(settings, in_database(settings, reset())))


@command(
    "disable", "Keep an operator from signing in, and end their sessions.", NAME, JSON, group=operators, changes=True
)
def disable_operator(settings: Settings, arguments: Arguments) -> None:
    """Keep an operator from signing in."""

    async def disable() -> dict[str, object]:
        from msvs.api.accounts import operators

        return {"name": await operators.disable_operator(services_of_command(), arguments.name), "disabled": True}

    show(arguments, in_database(settings, disable()))


@command("list", "List operators with their last sign-in and their open sessions.", JSON, group=operators)
def list_operators(settings: Settings, arguments: Arguments) -> None:
    """List the operators."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.accounts import operators
        from msvs.api.resources import moment, optional_moment

        return [
            {
                "name": row.name,
                "created_at": moment(row.created_at),
                "disabled_at": optional_moment(row.disabled_at),
                "signed_in_at": optional_moment(row.signed_in_at),
                "sessions": row.session_count,
            }
            for row in await operators.list_operators(services_of_command())
        ]

    show(arguments, in_database(settings, list_()))


@command(
    "log",
    "List the actions of operators, newest first.",
    click.Option(["--limit"], type=click.IntRange(1, 10_000), default=100, help="(default 100)"),
    JSON,
    group=operators,
)
def list_log(settings: Settings, arguments: Arguments) -> None:
    """List the log of the operators."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.accounts import operators
        from msvs.api.resources import moment

        return [
            {
                "at": moment(row.created_at),
                "operator": row.operator,
                "action": row.action,
                "detail": row.detail,
                "network": row.network,
                "device": row.device,
            }
            for row in await operators.list_entries(arguments.limit)
        ]

    show(arguments, in_database(settings, list_()))


def _given_password(arguments: Arguments) -> str | None:
    return sys.stdin.readline().rstrip("\r\n") if arguments.password_stdin else None


def _named(settings: Settings, made: Credentials) -> dict[str, object]:
    """Return what is shown of an operator, once DATA_DIR keeps that there is one for when the database is away."""
    with suppress(OSError):
        settings.keep_named(True)
    return {
        "name": made.name,
        "password": made.password,
        "totp_secret": made.totp_secret,
        "otpauth_uri": made.otpauth_uri,
    }
