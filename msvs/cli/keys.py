"""API keys of a workspace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from msvs.cli.common import (
    JSON,
    Arguments,
    Whole,
    command,
    contexts,
    expiry_option,
    find_workspace_of,
    group,
    in_database,
    mode_option,
    services_of_command,
    show,
    workspace_option,
)
from msvs.settings import Settings

if TYPE_CHECKING:
    from uuid import UUID

    from msvs.api.context import Context, Services
    from msvs.models import ApiKey

KEY_SCOPES = (
    *("campaigns:read", "campaigns:write", "contacts:erase", "contacts:read", "contacts:write"),
    *("conversions:read", "conversions:write"),
    *("credits:buy", "credits:read", "events:read", "exports:read", "exports:write", "inbox:write", "keys:read"),
    *("messages:read", "messages:send", "settings:read", "settings:write", "webhooks:read", "webhooks:write"),
)
KEY = click.Argument(["key"], metavar="KEY_ID")

keys = group("keys")


@command(
    "create",
    "Create an API key; the secret is shown only once.",
    workspace_option(),
    mode_option(),
    click.Option(["--name"], default="", metavar="NAME", help="the purpose of the key"),
    click.Option(
        ["--scope"],
        multiple=True,
        type=click.Choice(KEY_SCOPES),
        metavar="SCOPE",
        help=f"a scope of the key; repeatable; without it, all scopes: {', '.join(KEY_SCOPES)}",
    ),
    click.Option(
        ["--allow-ip"],
        multiple=True,
        metavar="NETWORK",
        help="a network from which the key works, such as 203.0.113.0/24; repeatable; without it, everywhere",
    ),
    click.Option(
        ["--expires-in-days"],
        type=Whole(1, 3650),
        default=None,
        metavar="DAYS",
        help="the number of days until the key expires; without it, never",
    ),
    JSON,
    group=keys,
    changes=True,
)
def create_key(settings: Settings, arguments: Arguments) -> None:
    """Make a key."""

    async def create() -> dict[str, object]:
        from msvs.api.accounts import keys
        from msvs.api.unit_of_work import unit_of_work

        days = arguments.expires_in_days
        (ctx,) = contexts(services_of_command(), await find_workspace_of(arguments), arguments.mode)
        async with unit_of_work():
            row, text = await keys.issue_key(
                ctx,
                name=arguments.name,
                scopes=arguments.scope or None,
                allowed_ips=arguments.allow_ip or None,
                expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
            )
        return _shape_key(row, text)

    show(arguments, in_database(settings, create()))


@command(
    "list",
    "List API keys, without their secrets.",
    workspace_option(),
    mode_option(required=False, help="only keys of this mode"),
    JSON,
    group=keys,
)
def list_keys(settings: Settings, arguments: Arguments) -> None:
    """List keys."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.accounts import keys

        chosen = contexts(services_of_command(), await find_workspace_of(arguments), arguments.mode)
        return [_shape_key(row) for ctx in chosen for row in await keys.list_keys(ctx)]

    show(arguments, in_database(settings, list_()))


@command(
    "roll",
    "Replace an API key; the old one expires after an overlap.",
    workspace_option(),
    KEY,
    expiry_option("0 to 168 (default 24)"),
    JSON,
    group=keys,
    changes=True,
)
def roll_key(settings: Settings, arguments: Arguments) -> None:
    """Make a key in place of another."""

    async def roll() -> dict[str, object]:
        from msvs.api.accounts import keys
        from msvs.api.unit_of_work import unit_of_work

        ctx, id = await _find_key(services_of_command(), arguments)
        async with unit_of_work():
            row, text = await keys.roll_key(ctx, id, expires_in=arguments.expires_in)
        return _shape_key(row, text)

    show(arguments, in_database(settings, roll()))


@command("revoke", "Revoke an API key at once.", workspace_option(), KEY, JSON, group=keys, changes=True)
def revoke_key(settings: Settings, arguments: Arguments) -> None:
    """End a key."""

    async def revoke() -> dict[str, object]:
        from msvs.api.accounts import keys
        from msvs.api.unit_of_work import unit_of_work

        ctx, id = await _find_key(services_of_command(), arguments)
        async with unit_of_work():
            return _shape_key(await keys.revoke_key(ctx, id))

    show(arguments, in_database(settings, revoke()))


async def _find_key(services: Services, arguments: Arguments) -> tuple[Context, UUID]:
    """Find the key named on the command line, in either mode."""
    from msvs.api import ids
    from msvs.api.accounts import keys
    from msvs.api.errors import NotFound

    id = ids.find_id(ids.API_KEY, arguments.key, "API key")
    for ctx in contexts(services, await find_workspace_of(arguments), None):
        try:
            await keys.get_key(ctx, id)
        except NotFound:
            continue
        return ctx, id
    raise ids.missing("API key", arguments.key)


def _shape_key(row: ApiKey, text: str | None = None) -> dict[str, object]:
    import msgspec

    from msvs.api.resources import api_key_resource

    shape: dict[str, object] = msgspec.to_builtins(api_key_resource(row, key=text or msgspec.UNSET))
    return shape
