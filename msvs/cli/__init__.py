"""The `msvs` command: one file a group of commands, each loaded when it is asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

import click

from msvs.cli.common import FAILED, USAGE, CommandFailed, fail
from msvs.local.embedded import EnginesError
from msvs.settings import SettingsError, version


class Place(NamedTuple):
    """Where a command is, as a module of this package and a name in it; `help` is what its group lists it with."""

    module: str
    name: str
    help: str


COMMANDS: Mapping[str, Place] = {
    "run": Place("processes", "run", "Run the whole service here: engines, API, workers and cron."),
    "api": Place("processes", "serve_api", "Serve the API."),
    "worker": Place("processes", "work", "Work on one queue."),
    "cron": Place("processes", "run_cron", "Notify workers of what is due and keep house; run one of it."),
    "binds": Place(
        "processes", "hold_sessions", "Hold the binds of the carriers that have any; a second one stands by."
    ),
    "engines": Place("processes", "run_engines", "Run the embedded engines alone, to restore a backup into them."),
    "migrate": Place("database", "migrate", "Bring the database's schema up to date."),
    "hold": Place(
        "database", "hold", "After a restore: pause live campaigns, and cancel live single messages that are due."
    ),
    "schema": Place("database", "print_schema", "Print the GraphQL schema, or openapi.yaml."),
    "settings": Place("database", "print_settings", "List the environment variables that set the service up."),
    "carriers": Place("carriers", "carriers", "List the carriers, their binds and their circuit breakers."),
    "routes": Place("routes", "routes", "Which carrier takes which live messages."),
    "senders": Place("senders", "senders", "Senders that workspaces may use live."),
    "workspaces": Place("workspaces", "workspaces", "All workspaces, for operators."),
    "workspace": Place("workspaces", "workspace", "Workspaces."),
    "users": Place("users", "users", "People who log in."),
    "keys": Place("keys", "keys", "API keys of a workspace."),
    "consent": Place("consent", "consent", "The chain of consent, and what the law lets a person ask for."),
    "secrets": Place("secrets", "secrets", "MSVS_SECRET_KEY: which keys open the database, and rotation."),
    "suppressions": Place("suppressions", "suppressions", "Phones that nothing is sent to."),
    "credits": Place("credits", "credits", "Credits of a workspace."),
}
# Command of an earlier release → its name now.
ALIASES: Mapping[str, str] = {"sessions": "binds"}


class Commands(click.Group):
    """The commands, listed without loading any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command by its name, or by one it had before."""
        place = COMMANDS.get(ALIASES.get(cmd_name, cmd_name))
        if place is None:
            return None
        found: click.Command = getattr(import_module(f"msvs.cli.{place.module}"), place.name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in COMMANDS.items()])


def _show_version(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:
    if is_asked:
        click.echo(f"msvs {version()}")
        ctx.exit()


msvs = Commands(
    "msvs",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="MassiveSMS: an SMS platform with a REST API, a GraphQL API and RQ workers.",
    epilog="Settings are read from the environment; `msvs settings` lists them. Exit status: 0 done, 1 failed, "
    "2 not understood.",
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_show_version,
            help="Show the version and exit.",
        )
    ],
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0 done, 1 failed, 2 not understood."""
    try:
        status = msvs.main(None if argv is None else list(argv), prog_name="msvs", standalone_mode=False) or 0
        _require_database()
        return int(status)
    except click.UsageError as error:
        if error.ctx is not None:
            print(error.ctx.get_usage(), file=sys.stderr)
        return fail(error.format_message(), USAGE)
    except SettingsError as error:
        return fail(str(error), USAGE)
    except (CommandFailed, EnginesError) as error:
        return fail(str(error))
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        # The reader of our output has gone; Python must not complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _require_database() -> None:
    """Raise SettingsError where a process ended because its database must not be used as it was reached."""
    connections = sys.modules.get("msvs.connections")
    if connections is not None and (refusal := connections.refusal()):
        raise SettingsError(refusal)
