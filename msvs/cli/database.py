"""Commands for the schema, a restored database, and information about the service."""

from __future__ import annotations

import re
import textwrap
from dataclasses import asdict
from importlib import import_module

import click

from msvs.cli.common import (
    JSON,
    Arguments,
    command,
    group,
    in_database,
    main_command,
    reaching_database,
    require_secret,
    services_of_command,
    show,
    unlock,
    with_engines,
)
from msvs.cli.consent import repairing, told_repair, told_seals
from msvs.settings import Settings, describe


@main_command("migrate", changes=True)
def migrate(settings: Settings, _arguments: Arguments) -> None:
    """Bring the schema up to date and say what was applied."""
    settings = with_engines(settings, redis=False, owner=True)
    applied = migrate_schema(settings)
    print("\n".join(f"Applied {name}." for name in applied) or "The schema is up to date.")
    for line in repair_what_is_due(settings):
        print(line)


def repair_what_is_due(settings: Settings) -> list[str]:
    """Make the repairs that migrations asked for; the lines that say what became of them."""
    from msvs.api.consent import consent_audit, consent_seals

    lines = []
    if in_database(settings, consent_seals.is_due()):
        require_secret(settings)
        lines.append(told_seals(in_database(settings, consent_seals.seal_due(services_of_command()))))
    if not in_database(settings, consent_audit.is_due()):
        return lines
    require_secret(settings)
    return [
        *lines,
        told_repair(repairing(lambda: in_database(settings, consent_audit.repair_due(services_of_command())))),
    ]


def migrate_schema(settings: Settings, *, is_service: bool = False) -> list[str]:
    """Bring the schema up to date, and return the names of the migrations applied. Raises SettingsError.

    The owner of the tables does so, and gives the service's role its rights on rows. A wrong secret key changes
    nothing. Only the service makes the key of a new database where none is set.
    """

    url, owner = settings.database_url, settings.owner_url
    assert url is not None
    assert owner is not None

    async def migrated() -> list[str]:
        from msvs import database, database_roles, dsn
        from msvs.api.accounts import secret_keys

        async with database.connected(owner, pool_size=1):
            if await secret_keys.is_settled():
                await secret_keys.unlock(services_of_command().keyring, settings)
        applied = await database.migrate(owner)
        if owner != url:
            await database_roles.grant_rows(owner, url)
        if settings.is_by_transaction:
            limits = database.limits_of(url)
            await database_roles.keep_limits(url, {name: limits[name] for name in dsn.LIMITED})
        async with database.connected(url, pool_size=1):
            await unlock(settings, is_service=is_service)
        return applied

    return reaching_database(migrated())


@main_command("hold", JSON, changes=True)
def hold(settings: Settings, arguments: Arguments) -> None:
    """Hold back what would go out and say how much it was."""

    async def hold_() -> dict[str, object]:
        from msvs.api.campaigns import holding

        return asdict(await holding.hold_everything(services_of_command()))

    show(arguments, in_database(settings, hold_()))


database = group("database")


@command(
    "roles",
    "Print the SQL that creates the owner's role and the service's role in your own PostgreSQL.",
    click.Option(["--name"], default="msvs_production", metavar="NAME", help="the database (default msvs_production)"),
    group=database,
)
def print_roles(_settings: Settings, arguments: Arguments) -> None:
    """Print the SQL of the two roles."""
    from msvs.database_roles import recipe

    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", arguments.name):
        raise click.UsageError("--name must be of a-z, 0-9 and _, such as msvs_production.")
    print(recipe(arguments.name), end="")


@main_command(
    "schema",
    click.Option(["--openapi"], is_flag=True, help="print openapi.yaml"),
)
def print_schema(_settings: Settings, arguments: Arguments) -> None:
    """Print the GraphQL schema or openapi.yaml."""
    if arguments.openapi:
        print(import_module("msvs.rest_compat.openapi").yaml(), end="")
    else:
        print(import_module("msvs.graphql.schema").schema.as_str())


@main_command("settings")
def print_settings(_settings: Settings, _arguments: Arguments) -> None:
    """List the environment variables."""
    told = [(each.variable, f"{each.sets} (default: {each.default})".replace("`", "")) for each in describe()]
    width = max(len(variable) for variable, _text in told) + 1
    for variable, text in told:
        print(textwrap.fill(text, 120, initial_indent=f"{variable:{width}}", subsequent_indent=" " * width))
