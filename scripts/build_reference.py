"""Write docs/settings.md and docs/commands.md from what the code declares; `--check` only compares."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from msvs import cli, settings

ROOT = Path(__file__).parents[1]

SETTINGS = """\
# Settings

The service reads its settings from environment variables. `msvs settings` prints them.

| variable | default | sets |
|---|---|---|
{rows}
"""
COMMANDS = """\
# Commands

`.venv/bin/msvs --help` lists every command and `msvs COMMAND --help` its options. Commands that show or change data
take `--json`. The exit status is 0 for success, 1 for a failure and 2 for arguments that the command does not
understand.

## Service commands

| command | what it does |
|---|---|
{commands}

Earlier names still work: {aliases}.

## Development commands

| command | what it does |
|---|---|
{targets}
"""


def settings_page() -> str:
    """Write the page of settings from their declarations."""
    rows = (
        f"| `{each.variable}` | {each.default} | {each.sets}{f' ({each.page})' if each.page else ''} |"
        for each in settings.describe()
    )
    return SETTINGS.format(rows="\n".join(rows))


def commands(group: click.Group = cli.msvs, prefix: str = "msvs") -> Iterator[tuple[str, str]]:
    """Yield every command as it is typed, with its help."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        child = group.get_command(ctx, name)
        assert child is not None
        positional = (each.make_metavar(ctx) for each in child.params if isinstance(each, click.Argument))
        typed = " ".join((prefix, name, *positional)).replace("|", "\\|")
        if not isinstance(child, click.Group) or child.invoke_without_command:
            yield typed, child.help or ""
        if isinstance(child, click.Group):
            yield from commands(child, f"{prefix} {name}")


def commands_page() -> str:
    """Write the page of commands from the command line and the Makefile."""
    targets = re.findall(r"^([a-z]+):.*?## (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return COMMANDS.format(
        commands="\n".join(f"| `{typed}` | {help.removesuffix('.')} |" for typed, help in commands()),
        aliases=", ".join(f"`msvs {old}` for `msvs {new}`" for old, new in cli.ALIASES.items()),
        targets="\n".join(f"| `make {name}` | {told} |" for name, told in targets),
    )


def pages() -> dict[Path, str]:
    """Return the text of each page by its file."""
    return {ROOT / "docs" / "settings.md": settings_page(), ROOT / "docs" / "commands.md": commands_page()}


def main() -> int:
    """Write the pages, or name those that differ."""
    stale = [path for path, text in pages().items() if path.read_text() != text]
    if "--check" not in sys.argv:
        for path in stale:
            path.write_text(pages()[path])
        return 0
    print("\n".join(f"{path.relative_to(ROOT)} is stale: run python -m scripts.build_reference" for path in stale))
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
