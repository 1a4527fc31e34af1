"""The command line of integrators; needs the extra `cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say what to install."""
    try:
        from massivesms.cli.commands import cli
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit("The command line needs more: pip install 'massivesms[cli]'")
    cli(prog_name="massivesms")
