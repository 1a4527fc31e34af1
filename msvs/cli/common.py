"""Shared code of commands: parameters, the database, and the display of results."""

from __future__ import annotations

import json
import os
import pwd
import re
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from functools import cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlsplit

import click

from msvs import start_checks
from msvs.cli.catalogue import COMMANDS
from msvs.local.embedded import EmbeddedEngines
from msvs.settings import Settings, SettingsError, from_environment

if TYPE_CHECKING:
    from uuid import UUID

    from msvs.api.audit import AuditAction
    from msvs.api.context import Context, Services


T = TypeVar("T")

OK, FAILED, USAGE = 0, 1, 2
CONNECT_SECONDS = 1.0
MODES = ("test", "live")


class Arguments(SimpleNamespace):
    """The values of a command's parameters by name."""


Work: TypeAlias = Callable[[Settings, Arguments], int | None]
CommandT = TypeVar("CommandT", bound=Work)


class Whole(click.ParamType[int]):
    """A whole number in digits alone, within bounds."""

    name = "N"

    def __init__(self, low: int, high: int) -> None:
        self._low, self._high = low, high

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Fails for any other text."""
        text = str(value)
        if not text.isascii() or not text.isdigit() or not self._low <= int(text) <= self._high:
            self.fail(f"not a whole number from {self._low} to {self._high}: {text!r}", param, ctx)
        return int(text)


class Price(click.ParamType[Decimal]):
    """A decimal number."""

    name = "P"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the number. Fails for any other text."""
        try:
            return Decimal(str(value))
        except InvalidOperation:
            self.fail(f"not a number: {value!r}", param, ctx)


# What a log keeps of a command's values.
TOLD = ("workspace", "platform", "mode", "key", "route", "carrier", "amount", "role", "repair")
# With what stands before it, an actor of the audit log.
MAX_ACTOR = 31
_UNUSUAL = re.compile(r"[^\w.@+-]", re.ASCII)


def _read_actor(_ctx: click.Context, _param: click.Parameter, name: str | None) -> str | None:
    if name is not None and (not 1 <= len(name) <= MAX_ACTOR or _UNUSUAL.search(name)):
        raise click.BadParameter(f"must have from 1 to {MAX_ACTOR} of letters, digits, '.', '_', '@', '+' and '-'.")
    return name


ACTOR = click.Option(
    ["--actor"],
    metavar="NAME",
    help="who makes the change, for the audit log (default: the user of this system)",
    callback=_read_actor,
)
JSON = click.Option(["--json"], is_flag=True, help="print JSON")
REGIONS = click.Option(["--region"], multiple=True, metavar="CODE", help="only messages to this region; repeatable")
OWNER = (
    click.Option(["--workspace"], metavar="WSP_ID", help="the workspace's id, wsp_…"),
    click.Option(["--platform"], is_flag=True, help="the platform, whose senders every workspace can use"),
)


def workspace_option(*, required: bool = True, more: str = "") -> click.Option:
    """Make the option --workspace."""
    return click.Option(["--workspace"], required=required, metavar="WSP_ID", help=f"the workspace's id, wsp_…{more}")


def mode_option(*, required: bool = True, default: str | None = None, help: str | None = None) -> click.Option:
    """Make the option --mode."""
    option = partial(click.Option, ["--mode"], type=click.Choice(MODES), required=required, help=help)
    # A default of None would count as one, and what is required would not be asked for.
    return option() if default is None else option(default=default)


def expiry_option(help: str) -> click.Option:
    """Make the option --expires-in, a timedelta of 0 to 168 hours."""
    return click.Option(
        ["--expires-in"],
        type=Whole(0, 168),
        default=24,
        metavar="HOURS",
        help=help,
        callback=lambda _ctx, _param, hours: timedelta(hours=hours),
    )


def group(name: str) -> click.Group:
    """Make a group of commands, with the help that the catalogue has."""
    return click.Group(name, help=COMMANDS[name].help)


def main_command(
    name: str, *params: click.Parameter, ignores: Sequence[signal.Signals] = (), changes: bool | str = False
) -> Callable[[Work], click.Command]:
    """Make a command that is in no group, with the help that the catalogue has."""
    return command(name, COMMANDS[name].help, *params, ignores=ignores, changes=changes)


def command(
    name: str,
    help: str,
    *params: click.Parameter,
    group: click.Group | None = None,
    ignores: Sequence[signal.Signals] = (),
    changes: bool | str = False,
) -> Callable[[Work], click.Command]:
    """Make a click command of what works by the settings and the values of its parameters.

    `ignores` are signals that the command's process does not end by. One that `changes` something, or does so by the
    parameter of that name, may be told who it acts for.
    """
    all_params = [*params, ACTOR] if changes else list(params)

    def decorate(work: Work) -> click.Command:
        made = click.Command(
            name, callback=lambda **values: _call(work, ignores, values, changes), params=all_params, help=help
        )
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def _call(work: Work, ignores: Sequence[signal.Signals], values: dict[str, object], changes: bool | str = False) -> int:
    given = values.pop("actor", None)
    acting.name = acting.detail = None
    if values[changes] if isinstance(changes, str) else changes:
        acting.name = user_of_system() if given is None else str(given)
        acting.detail = _told(values)
    if "platform" in values and values["platform"] == (values["workspace"] is not None):
        raise click.UsageError("Give either --workspace or --platform.")
    settings = from_environment()
    for number in ignores:
        signal.signal(number, signal.SIG_IGN)
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return work(settings, Arguments(**lists)) or OK


@dataclass(slots=True)
class Acting:
    """Who runs the command of this process that changes something, and what its log says of it, until that is kept."""

    name: str | None = None
    detail: str | None = None


acting = Acting()


def user_of_system() -> str:
    """Return who runs this process: who called `sudo`, or the system's name of its user."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid-{uid}"
    caller = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    return _UNUSUAL.sub("-", caller or name)[:MAX_ACTOR]


def _told(values: Mapping[str, object]) -> str:
    """Return the command with those of its values that are no secret and no person's."""
    given = " ".join(f"{name}={values[name]}" for name in TOLD if values.get(name))
    return f"{click.get_current_context().command_path} {given}".rstrip()


class CommandFailed(Exception):
    """A command cannot do what it was asked; the message says why and what to do."""


def fail(message: str, status: int = FAILED) -> int:
    for line in message.splitlines():
        print(f"msvs: {printable(line)}", file=sys.stderr)
    return status


def printable(text: str) -> str:
    """Return a line for a terminal: what does not print, such as an escape sequence in a name, as JSON spells it."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def show(arguments: Arguments, value: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    if arguments.json:
        print("\n".join(map(printable, json.dumps(value, indent=2, ensure_ascii=False).split("\n"))))
        return
    rows = [value] if isinstance(value, Mapping) else value
    width = max([14, *(len(name) for row in rows for name in row)])
    blocks = [
        "\n".join(f"{name:{width}} {_text(each)}" for name, each in row.items() if each is not None) for row in rows
    ]
    print("\n\n".join(blocks))


def _text(value: object) -> str:
    return printable(", ".join(map(str, value)) if isinstance(value, list) else str(value))


async def find_workspace_of(arguments: Arguments) -> UUID:
    from msvs.api.accounts.workspaces import find_workspace

    return await find_workspace(arguments.workspace)


async def find_owner(arguments: Arguments) -> UUID | None:
    return None if arguments.platform else await find_workspace_of(arguments)


def services_of_command() -> Services:
    """Return the services of a command: what unlocks the keyring and what uses it are given the same."""
    return _services(acting.name)


@cache
def _services(operator: str | None) -> Services:
    from msvs.api.context import Services

    return Services(operator=operator)


def contexts(services: Services, workspace_id: UUID, mode: str | None) -> list[Context]:
    from msvs.api.context import Context

    return [Context(workspace_id, each == "live", services=services) for each in MODES if mode in (None, each)]


def require_secret(settings: Settings) -> None:
    """Raise CommandFailed rather than make a secret that fits nothing."""
    if not settings.known_secrets():
        raise CommandFailed(f"no secret in {settings.data_dir}: set DATA_DIR or MSVS_SECRET_KEY as the service has it")


async def unlock(settings: Settings, *, is_service: bool = False) -> None:
    """Hold the secret key against the connected database; where neither has one yet, there is nothing to hold."""
    from msvs.api.accounts import secret_keys

    if is_service or settings.known_secrets() or await secret_keys.is_settled():
        await secret_keys.unlock(services_of_command().keyring, settings)


def with_engines(settings: Settings, *, redis: bool = True, owner: bool = False) -> Settings:
    """Return the settings with the embedded engines of DATA_DIR in place of what is not set.

    Only for `owner` with the URL of the owner of the tables.

    Raises CommandFailed, and SettingsError for what production must not have.
    """
    start_checks.require_safe(settings)
    engines = EmbeddedEngines(settings.data_dir)
    if settings.database_url is None:
        url = running_url(lambda: engines.service_url, "DATABASE_URL", settings)
        own = engines.database_url if owner else None
        settings = replace(settings, database_url=url, migrations_database_url=own)
    if redis and settings.redis_url is None:
        settings = replace(settings, redis_url=running_url(lambda: engines.redis_url, "REDIS_URL", settings))
    return settings


def running_url(url_of: Callable[[], str], variable: str, settings: Settings) -> str:
    """Return the URL of an engine of DATA_DIR that runs. Raises CommandFailed."""
    try:
        url = url_of()
        parts = urlsplit(url)
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError):
        raise CommandFailed(
            f"nothing runs on {settings.data_dir}: start the service with `msvs run`, or set {variable}"
        ) from None
    return url


def in_database(settings: Settings, work: Coroutine[object, object, T], *, unlocks: bool = True) -> T:
    """Run `work` with a pool open, the secret key held against the database. Raises CommandFailed and SettingsError."""
    try:
        url = with_engines(settings, redis=False).database_url
    except (CommandFailed, SettingsError):
        work.close()
        raise
    assert url is not None

    async def connected() -> T:
        from msvs import database

        async with database.connected(url, pool_size=1):
            try:
                if unlocks:
                    await unlock(settings)
            except BaseException:
                work.close()
                raise
            await _note_command()
            return await work

    return reaching_database(connected())


async def _note_command() -> None:
    """Keep in the operators' log who runs a command that changes something, and which, before it does."""
    from msvs.api.accounts import operators
    from msvs.api.context import Visitor, sign

    if acting.name is None or acting.detail is None:
        return
    visitor, detail, acting.detail = Visitor(services=services_of_command()), acting.detail, None
    await operators.record(visitor, sign(acting.name), operators.OperatorAction.COMMAND, detail)


async def tell(workspace_id: UUID, action: AuditAction, changes: Mapping[str, object]) -> None:
    """Log in the audit log of a workspace, in the current transaction, what a command changed of it."""
    from msvs.api import ids
    from msvs.api.audit import record_audit
    from msvs.api.context import OPERATOR, Context

    ctx = Context(workspace_id, livemode=True, actor=OPERATOR, services=services_of_command())
    await record_audit(ctx, action, ids.encode_id(ids.WORKSPACE, workspace_id), changes)


def reaching_database(work: Coroutine[object, object, T]) -> T:
    import asyncpg
    from tortoise.exceptions import BaseORMException

    from msvs.api.errors import ApiError
    from msvs.loops import new_runner

    try:
        with new_runner() as runner:
            return runner.run(work)
    except ApiError as error:
        raise CommandFailed(error.message) from None
    except asyncpg.UndefinedTableError:
        raise CommandFailed("the database has no tables yet: run `msvs migrate`") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, BaseORMException) as error:
        cause = error.__cause__ or error
        if isinstance(cause, asyncpg.UndefinedTableError):
            raise CommandFailed("the database has no tables yet: run `msvs migrate`") from None
        raise CommandFailed(f"the database cannot be used: {type(cause).__name__}: {cause}") from None
