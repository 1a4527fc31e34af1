"""Files of contacts: unpack them and read their rows in bounded memory."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import BinaryIO, cast

import python_calamine

from msvs.api.contacts import import_columns, unpack_process
from msvs.api.contacts.import_rows import Plan, RawRow
from msvs.api.errors import InvalidRequest
from msvs.api.text import unpacking
from msvs.api.text.cells import clean_text, looks_like_phone
from msvs.api.text.tables import MAX_PREAMBLE, SAMPLE_LINES, Row, Table, open_table
from msvs.api.text.unpacking import Bound, check_archive, gunzip, read_archive, refused
from msvs.connectors.base import TableUnreadable

CSV, WORKBOOK = unpack_process.CSV, unpack_process.WORKBOOK
MAX_SHEET_ROWS = 1_048_576
CHECK_ROWS = 1000
MAX_SHEETS = 50
MAX_TITLE = 60
GZIP = b"\x1f\x8b"
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
SWALLOWED = "the line stands inside a quoted cell of the row that begins in line {line}"
CUT = "the line is too long, and was not read to its end"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file as a table of text, and what it was before."""

    file: BinaryIO
    kind: str


@contextmanager
def unpack(file: BinaryIO) -> Iterator[Unpacked]:
    """Provide a file that is read as text: of gzip its contents, of a workbook the sheet that phones are in.

    Raises InvalidRequest for what is no table.
    """
    with ExitStack() as stack:
        if _starts_with(file, GZIP):
            packed, file = file, stack.enter_context(_new_file())
            gunzip(packed, file)
        if _starts_with(file, *_WORKBOOKS):
            book, file = file, stack.enter_context(_new_file())
            _write_sheet(book, file)
            yield Unpacked(file, WORKBOOK)
        else:
            yield Unpacked(file, CSV)


def _starts_with(file: BinaryIO, *marks: bytes) -> bool:
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    return start.startswith(marks)


def _new_file() -> AbstractContextManager[BinaryIO]:
    return cast("AbstractContextManager[BinaryIO]", tempfile.TemporaryFile())


@contextmanager
def open_rows(unpacked: Unpacked) -> Iterator[Table]:
    """Open the table of a file, one at a time. Raises InvalidRequest."""
    unpacked.file.flush()
    # The reader of a table closes what it reads.
    with os.fdopen(os.dup(unpacked.file.fileno()), "rb") as again:
        again.seek(0)
        with closing(open_table(again, encoding="utf-8" if unpacked.kind == WORKBOOK else None)) as table:
            yield table


@contextmanager
def _unpacked_apart(file: BinaryIO) -> Iterator[Unpacked]:
    """Yield the file as text, unpacked in a process of its own. Raises InvalidRequest."""
    if not is_packed(file):
        yield Unpacked(file, CSV)
        return
    with _new_file() as plain:
        yield Unpacked(plain, unpack_process.unpack(file, plain))


@contextmanager
def read_table(file: BinaryIO) -> Iterator[Table]:
    """Open a file that a connector fetched as a table. Raises TableUnreadable, on opening or while rows are read."""
    try:
        with _unpacked_apart(file) as unpacked, open_rows(unpacked) as table:
            yield table
    except InvalidRequest as error:
        raise TableUnreadable(error.message) from None


def size_of(unpacked: Unpacked) -> int:
    """Return how many bytes of text a file has."""
    return os.fstat(unpacked.file.fileno()).st_size


def header_of(table: Table) -> Sequence[str]:
    """Return the titles of a table's columns; a file of nothing but phones has one."""
    return ["phone"] if table.header is None else table.header


def sample(unpacked: Unpacked) -> list[Sequence[str]]:
    """Return the cells of the first rows of a file."""
    with open_rows(unpacked) as table:
        return [row.cells for row in islice(table.rows(), SAMPLE_LINES)]


def is_packed(file: BinaryIO) -> bool:
    """Return whether a file has to be unpacked before it can be read."""
    return _starts_with(file, GZIP, *_WORKBOOKS)


def read_raw(
    table: Table, plan: Plan, *, after: int = 0, check: Callable[[], object] = lambda: None
) -> Iterator[RawRow]:
    """Yield the rows of a table with their numbers, those up to number `after` left out.

    Now and then calls `check`, which may raise to break off. Raises InvalidRequest where the file is damaged.
    """
    number = 0
    for row in table.rows():
        number += 1
        if number % CHECK_ROWS == 0:
            check()
        if number > after:
            yield RawRow(number, row.line, row.cells, CUT if row.is_cut else None)
        for line, cells in _swallowed(table, plan, row) if len(row.lines) > 1 else ():
            number += 1
            if number > after:
                yield RawRow(number, line, cells, SWALLOWED.format(line=row.line))


def _swallowed(table: Table, plan: Plan, row: Row) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the lines inside the quotes of a row that are rows themselves: with a phone where phones stand."""
    for line, text in enumerate(row.lines[1:], row.line + 1):
        cells = table.split(text)
        if any(column.at < len(cells) and looks_like_phone(cells[column.at]) for column in plan.phones) and (
            len(cells) > 1 or plan.width == 1
        ):
            yield line, cells


def _write_sheet(file: BinaryIO, plain: BinaryIO) -> None:
    _check_archive(file)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(file)
        sheet = _choose_sheet(book)
    except Exception:
        raise refused("The workbook cannot be read: save it again as XLSX or CSV.") from None
    if sheet is None:
        raise refused("The workbook is empty.")
    text = io.TextIOWrapper(plain, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    # Every cell may refer to the same shared string, so even a small workbook can expand to gigabytes.
    bound = Bound(unpacking.size_of(file))
    for row in islice(sheet.iter_rows(), MAX_SHEET_ROWS):
        bound.take(writer.writerow([_cell_as_text(value) for value in row]))
    text.detach()


def _choose_sheet(book: python_calamine.CalamineWorkbook) -> python_calamine.CalamineSheet | None:
    """Return the first sheet with a title of phones, else the first that holds something, else None."""
    first = None
    for name in book.sheet_names[:MAX_SHEETS]:
        sheet = book.get_sheet_by_name(name)
        if sheet.start is None:
            continue
        first = first or sheet
        if any(_is_title_of_phones(value) for row in islice(sheet.iter_rows(), MAX_PREAMBLE) for value in row):
            return sheet
    return first


def _is_title_of_phones(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TITLE and import_columns.is_about_phone(value)


def _check_archive(file: BinaryIO) -> None:
    """Refuse an archive that is no workbook, or that is far larger than it seems. Raises InvalidRequest."""
    if _starts_with(file, b"PK"):
        entries = read_archive(file)
        if not any(entry.filename.startswith(("xl/", "content.xml")) for entry in entries):
            raise refused("The file is an archive: unpack it, and upload its files one by one.")
        check_archive(file, entries)
    file.seek(0)


def _cell_as_text(value: object) -> str:
    """Return what a spreadsheet shows of a cell; a number keeps all of its digits."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case date() | time() | timedelta():
            return str(value)
        case None:
            return ""
    # A line break would make the row's number another than the sheet's.
    return " ".join(clean_text(str(value)).splitlines())
