"""Commands for suppressed phones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

import click

from msvs.cli.common import (
    JSON,
    OK,
    Arguments,
    CommandFailed,
    command,
    contexts,
    fail,
    find_workspace_of,
    group,
    in_database,
    mode_option,
    printable,
    require_secret,
    services_of_command,
    show,
    workspace_option,
)
from msvs.settings import Settings

suppressions = group("suppressions")


@command(
    "import",
    "Suppress the phone numbers of a CSV file; exit status 1 if a row cannot be read.",
    workspace_option(),
    click.Argument(["file"], metavar="FILE"),
    mode_option(),
    click.Option(["--source"], default="import", metavar="TEXT", help="the reason for rows that give none"),
    click.Option(
        ["--region"],
        type=str.upper,
        metavar="CODE",
        help="the country of numbers without a country code, such as US, if the row names none",
    ),
    click.Option(
        ["--column"],
        multiple=True,
        metavar="NAME",
        help="the column of phones, by its name or its number from 1; repeatable (default: detected)",
    ),
    click.Option(["--encoding"], metavar="NAME", help="the encoding of the file (default: detected)"),
    JSON,
    group=suppressions,
    changes=True,
)
def import_suppressions(settings: Settings, arguments: Arguments) -> int:
    """Suppress the phones of a table and say what came of it; FAILED where a row could not be read."""

    async def import_() -> dict[str, object]:
        from msvs.api.contacts import suppressions

        (ctx,) = contexts(services_of_command(), await find_workspace_of(arguments), arguments.mode)
        added = already = lost = 0
        with _reading(arguments.file) as file:
            async for done in suppressions.import_file(
                ctx,
                file,
                source=arguments.source,
                region=arguments.region,
                columns=arguments.column,
                encoding=arguments.encoding,
            ):
                for note in done.lost:
                    print(f"line {note.line}: not read: {printable(note.reason)}", file=sys.stderr)
                for note in done.notes:
                    print(f"line {note.line}: note: {printable(note.reason)}", file=sys.stderr)
                added += done.added
                already += done.already_suppressed
                lost += len({note.line for note in done.lost})
        return {"added": added, "already_suppressed": already, "invalid": lost}

    require_secret(settings)
    done = in_database(settings, import_())
    show(arguments, done)
    if done["invalid"]:
        return fail(f"lines that could not be read: {done['invalid']}; all others are suppressed")
    return OK


@command(
    "export",
    "Write all suppressions to a CSV file.",
    workspace_option(),
    click.Argument(["file"], metavar="FILE"),
    mode_option(),
    group=suppressions,
)
def export_suppressions(settings: Settings, arguments: Arguments) -> None:
    """Write all suppressions into a CSV file and say how many there are."""

    async def export() -> tuple[int, int]:
        import csv

        from msvs.api.contacts import suppressions

        (ctx,) = contexts(services_of_command(), await find_workspace_of(arguments), arguments.mode)
        count = 0
        with _writing(arguments.file) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(suppressions.COLUMNS)
            async for rows in suppressions.export_rows(ctx):
                writer.writerows(rows)
                count += len(rows)
        return count, await suppressions.count_erased(ctx)

    count, erased = in_database(settings, export())
    print(f"{count} suppressions; {erased} more are of erased phones and have no number to give.", file=sys.stderr)


@contextmanager
def _reading(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - its own errors are told apart
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def _writing(path: str) -> Iterator[TextIO]:
    """Provide a new file that nobody else may read."""
    if path == "-":
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
        yield file
