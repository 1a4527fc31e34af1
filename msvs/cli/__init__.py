"""The `msvs` command: one file for each group of commands, loaded when it is used."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import TracebackType

import click

from msvs.cli.catalogue import ALIASES, COMMANDS
from msvs.cli.common import FAILED, USAGE, CommandFailed, fail
from msvs.local.embedded import EnginesError
from msvs.settings import SettingsError, version


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
    sys.excepthook = _tell_uncaught
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


def _tell_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Write what ends a process as a log line would have it: what PostgreSQL says of an error quotes the row."""
    from msvs import logs

    print(logs.mask(logs.format_error((kind, error, trace))), file=sys.stderr)


def _require_database() -> None:
    """Raise SettingsError where a process ended because its database must not be used as it was reached."""
    connections = sys.modules.get("msvs.connections")
    if connections is not None and (refusal := connections.refusal()):
        raise SettingsError(refusal)
