"""Read tables with any delimiter, encoding and line end, row by row in bounded memory.

`open_table` finds how the file is written and which row names its columns; nothing of it is guessed from values.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import shutil
import tempfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, BinaryIO, NamedTuple, cast

from charset_normalizer import from_bytes

from msvs.api.errors import InvalidRequest
from msvs.api.text.cells import clean_text, looks_like_phone, may_hold_phone
from msvs.api.text.columns import find_field, fold_name, repair_text
from msvs.api.text.unpacking import BLOCK, DAMAGED, BoundedGzip

DELIMITERS = (",", ";", "\t", "|", "^", "~")
# Characters of one line of the file; what is longer is cut, and said to be.
MAX_LINE = 1_000_000
# Lines that one quoted cell may run over: an opening quote that is never closed must not swallow the file.
MAX_LINES = 200
MAX_COLUMNS = 2000
SAMPLE_LINES = 200
SAMPLE_BYTES = 32 * 1024
# Rows that may stand before the header: a title, the date of the export.
MAX_PREAMBLE = 20

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What is no table, by its first bytes.
_OTHERS = (
    (b"PK\x03\x04", "a workbook or an archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    (b"%PDF-", "a PDF document"),
    (b"{\\rtf", "a text document"),
)
# The same of texts, behind a mark and blanks.
_OTHER_TEXTS = (
    (re.compile(rb"<(?:!doctype|html|\?xml|head|meta|table|div)\b", re.IGNORECASE), "a web page or XML"),
    (re.compile(rb"(?:\[\s*)?\{\s*\""), "JSON"),
    (re.compile(rb"BEGIN:VCARD\b", re.IGNORECASE), "a file of contact cards (vCard)"),
)
_LEGACY = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258", "cp874"),
    *("mac_roman", "cp850", "koi8_r", "cp866", "cp932", "gb18030", "big5", "cp949", "euc_jp"),
)
_FALLBACK = "msvs-cp1252"
_utf8_sequences = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}",
)
_signs_in_words = re.compile(
    r"(?<=[^\W\d_])[^\x00-\x7f\w‘’‐‑–·\u0300-\u036f](?=[^\W\d_])"
    # Polish letters read as Windows-1252, at the edge of a word.
    r"|(?<![^\W_])[£¥¹³](?=[^\W\d_]{2})|(?<=[^\W\d_]{3})[¹³](?!\w)"
    # A combining accent without a letter before it.
    r"|(?<![^\W\d_])[\u0300-\u036f]"
)
# Windows-1252 reads Turkish letters as these Icelandic ones. If no other Icelandic letter occurs, the text is Turkish.
_icelandic = re.compile(r"[ÞþÐðÝ]")
_of_icelandic = re.compile(r"[æÆíÍúÚ]")
_separator = re.compile(r'"?sep=(.)"?', re.IGNORECASE | re.DOTALL).fullmatch

# A cell may be as long as its line; the library's own bound would cost its row.
csv.field_size_limit(max(csv.field_size_limit(), 2 * MAX_LINE * MAX_LINES))


class Row(NamedTuple):
    """A row: the line of the file that it begins on, its cells, and its lines where it has more than one.

    `is_cut` tells that its line is longer than is read.
    """

    line: int
    cells: Sequence[str]
    lines: Sequence[str] = ()
    is_cut: bool = False

    def cell(self, index: int) -> str:
        """Return a cell, blank where the row is too short for it."""
        return self.cells[index] if index < len(self.cells) else ""


@dataclass(slots=True)
class Table:
    """A table: how it is written, its columns, and its rows, which are read once.

    `header` is None if the file has nothing but one column of phones. `fields` tells where the columns of each known
    field are, the most fitting first.
    """

    encoding: str
    delimiter: str
    header: Sequence[str] | None
    header_line: int
    fields: dict[str, list[int]]
    _rows: Iterator[Row] = field(repr=False)
    _text: io.TextIOWrapper = field(repr=False)

    def close(self) -> None:
        """Close the file that the rows are read from."""
        self._text.close()

    def rows(self) -> Iterator[Row]:
        """Yield the rows that are not blank. Raises InvalidRequest where the file is damaged."""
        titles = list(self.header or ())
        first = titles[0] if titles else None
        with _damage_told():
            for row in self._rows:
                if not any(map(clean_text, row.cells)):
                    continue
                if len(row.cells) == 1 < len(titles):
                    row = _widen(row, self.delimiter)
                # Files put together repeat their header.
                if first is not None and clean_text(row.cells[0]) == first and _titles(row) == titles:
                    continue
                yield row

    def split(self, line: str) -> list[str]:
        """Return the cells of one line of the file, read alone."""
        return _split(line, self.delimiter)

    def find_columns(self, name: str) -> list[int]:
        """Return the columns called `name`, or that of this number, from 1. Without a header there is only column 1."""
        if self.header is not None:
            wanted = fold_name(name)
            exact = [at for at, each in enumerate(self.header) if clean_text(each) == clean_text(name)]
            found = exact or [at for at, each in enumerate(self.header) if wanted and fold_name(each) == wanted]
            if found:
                return found
        width = 1 if self.header is None else len(self.header)
        is_number = name.isascii() and name.isdigit() and len(name) < 6 and 1 <= int(name) <= width
        return [int(name) - 1] if is_number else []

    def describe_columns(self) -> str:
        """Return the columns' names for people; one that may be a phone is not repeated."""
        names = [clean_text(name)[:40] for name in self.header or () if clean_text(name)]
        shown = ["…" if may_hold_phone(name) else f"'{name}'" for name in names[:20]]
        return ", ".join(shown) + (", …" if len(names) > 20 else "")


def open_table(file: BinaryIO, *, encoding: str | None = None, columns: Sequence[str] = ()) -> Table:
    """Find how a file is written, and its columns; `columns` are names that its header is known by beside our own.

    The header is the first row that names a column of phones, or one of `columns`; else the first row, unless it holds
    a phone. Raises InvalidRequest for what is no table, and for several columns without a header.
    """
    with _damage_told():
        data = _unpack(_seekable(file))
        encodings = [_known_encoding(encoding)] if encoding is not None else _find_encodings(data)
        wanted = frozenset(map(fold_name, columns))
        layouts = [(each, _find_layout(_sample(data, each), wanted)) for each in encodings]
        chosen, layout = max(layouts, key=lambda each: each[1].score)
    if layout.header is None and not (layout.is_column or layout.is_blank):
        raise _refused(_no_header(layout))
    data.seek(0)
    text = _decode(data, chosen)
    rows = _rows(_Lines(text), layout.delimiter)
    after = (row for row in rows if row.line > layout.header_line)
    return Table(
        chosen[0], layout.delimiter, layout.header, layout.header_line, _fields(layout.header or ()), after, text
    )


def _no_header(layout: _Layout) -> str:
    return (
        f"Line {layout.first_line} of the file holds data, not the names of its columns: a file of several columns"
        " needs a header, such as phone and source."
    )


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, param="file")


class _damage_told:
    """Raises InvalidRequest in the place of what a damaged file makes libraries raise."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, EOFError | zlib.error | gzip.BadGzipFile):
            raise _refused(DAMAGED) from None
        if isinstance(error, csv.Error | UnicodeError):
            raise _refused("The file cannot be read as a table.") from None


# How it is encoded


def _seekable(file: BinaryIO) -> BinaryIO:
    """Return the file itself where it can be read twice, else a copy without a name."""
    if file.seekable():
        return file
    copy = tempfile.SpooledTemporaryFile(max_size=8 * BLOCK)  # noqa: SIM115 - it lives as long as the table
    shutil.copyfileobj(file, copy, BLOCK)
    copy.seek(0)
    return cast(BinaryIO, copy)


def _unpack(data: BinaryIO) -> BinaryIO:
    start = data.read(512)
    data.seek(0)
    if start.startswith(b"\x1f\x8b"):
        data = cast(BinaryIO, BoundedGzip(data))
        start = data.read(512)
        data.seek(0)
    other = next((name for magic, name in _OTHERS if start.startswith(magic)), None)
    if other is None:
        text = start.removeprefix(codecs.BOM_UTF8).lstrip()
        other = next((name for is_one, name in _OTHER_TEXTS if is_one.match(text)), None)
    if other is not None:
        raise _refused(f"The file is {other}, not a table as text: save it as CSV.")
    return data


def _known_encoding(name: str) -> tuple[str, str]:
    try:
        text = codecs.lookup(name)
        "phone".encode(text.name).decode(text.name)
    except (LookupError, ValueError, TypeError):
        raise InvalidRequest("There is no such encoding.", param="encoding") from None
    return ("utf-8-sig" if text.name == "utf-8" else text.name), "replace"


def _find_encodings(data: BinaryIO) -> list[tuple[str, str]]:
    """Find the encodings that the whole of a file may have, with how errors are taken, the likeliest first."""
    start = data.read(BLOCK)
    data.seek(0)
    for mark, name in _BOMS:
        if start.startswith(mark):
            return [(name, _FALLBACK if name == "utf-8-sig" else "replace")]
    if (wide := _find_wide(start)) is not None:
        return [(wide, "replace")]
    sample, is_utf8 = _survey(data)
    data.seek(0)
    foreign = sum(byte >= 0x80 for byte in sample)
    in_utf8 = sum(map(len, _utf8_sequences.findall(sample)))
    if is_utf8:
        return [("utf-8", _FALLBACK)]
    # Files put together may have two encodings: what is no UTF-8 in them is mostly Windows-1252.
    mixed = [("utf-8", _FALLBACK)] if 2 * in_utf8 > foreign else []
    return mixed + [(name, "replace") for name in _rank_legacy(sample)]


def _find_wide(start: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: in digits and delimiters every second byte, or three of four, are zero."""
    start = start[: len(start) // 4 * 4]
    if len(start) < 8:
        return "utf-16-le" if start[1:2] == b"\0" and start[3:4] == b"\0" else None
    zeros = [start[at::4].count(0) / (len(start) // 4) for at in range(4)]
    for name, expected in {
        "utf-32-le": (False, None, True, True),
        "utf-32-be": (True, True, None, False),
        "utf-16-le": (False, True, False, True),
        "utf-16-be": (True, False, True, False),
    }.items():
        if all(
            each is None or (share > 0.3 if each else share < 0.02) for share, each in zip(zeros, expected, strict=True)
        ):
            return name
    return None


def _survey(data: BinaryIO) -> tuple[bytes, bool]:
    """Return the beginning of a file and lines of it that are not ASCII, and whether the whole is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    sample = b""
    is_utf8, is_first = True, True
    while block := data.read(BLOCK):
        if is_first:
            sample, is_first = block[:2048], False
        if is_utf8:
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                is_utf8 = False
        if not block.isascii() and len(sample) < SAMPLE_BYTES:
            found = (line[:1024] for line in block.splitlines(keepends=True) if not line.isascii())
            for line in islice(found, SAMPLE_LINES):
                sample += line
        if not is_utf8 and len(sample) >= SAMPLE_BYTES:
            break
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    return sample[:SAMPLE_BYTES], is_utf8


def _rank_legacy(sample: bytes) -> list[str]:
    """Return encodings of one country or script, the likeliest first; Windows-1252 goes before what is as likely."""
    matches = from_bytes(sample, cp_isolation=list(_LEGACY))
    least = min((match.chaos for match in matches), default=0.0)
    names: list[str] = []
    for match in matches:
        alike = [match.encoding, *match.could_be_from_charset]
        if "cp1252" in alike and match.chaos <= least + 0.05:
            names.insert(0, "cp1252")
        names += alike
    ranked = [name for name in dict.fromkeys([*names, "cp1252", *_LEGACY]) if name in _LEGACY]
    strange = {name: count for name in ranked if (count := _count_strange(sample, name)) is not None}
    found = sorted(strange, key=lambda name: strange[name]) or ["cp1252"]
    text = sample.decode("cp1252", "replace")
    if found[0] == "cp1252" and _icelandic.search(text) and not _of_icelandic.search(text):
        return ["cp1254", *found]
    return found


def _count_strange(sample: bytes, name: str) -> int | None:
    """Count the signs inside words where letters should stand, or return None for bytes of another encoding."""
    try:
        text = codecs.getincrementaldecoder(name)("strict").decode(sample)
    except UnicodeDecodeError:
        return None
    return len(_signs_in_words.findall(text))


def _decode(data: BinaryIO, encoding: tuple[str, str]) -> io.TextIOWrapper:
    name, errors = encoding
    return io.TextIOWrapper(data, encoding=name, errors=errors, newline="")


def _sample(data: BinaryIO, encoding: tuple[str, str]) -> list[str]:
    data.seek(0)
    text = _decode(data, encoding)
    found: list[str] = []
    try:
        for line in islice(_Lines(text), SAMPLE_LINES):
            found.append(line)
            if sum(map(len, found)) > 2 * MAX_LINE:
                break
    finally:
        text.detach()
    return found


def _take_as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_FALLBACK, _take_as_cp1252)


# How its rows are written


class _Lines:
    """The lines of a text, in bounded memory: none holds a NUL or a byte order mark; `cut` has those that were cut."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._count = 0
        self.cut: set[int] = set()

    def __iter__(self) -> Iterator[str]:
        read = self._text.readline
        while line := read(MAX_LINE):
            self._count += 1
            if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
                self._skip()
            if "\0" in line:
                line = line.replace("\0", "")
            yield line.lstrip("\ufeff") if line[:1] == "\ufeff" else line

    def _skip(self) -> None:
        while rest := self._text.readline(MAX_LINE):
            if rest.strip():
                self.cut.add(self._count)
            if rest.endswith(("\n", "\r")):
                return


class _Feed:
    """Lines for the parser, of which those of the row under way are remembered and can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self._length = 0

    def give_back(self) -> None:
        """Give all but the first line of this row back."""
        self._again.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    def __iter__(self) -> Iterator[str]:
        while True:
            if self.taken:
                # The row goes on in another line: a quote is open.
                self._length += len(self.taken[-1])
                if len(self.taken) >= MAX_LINES or self._length > MAX_LINE:
                    return
            else:
                self._length = 0
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            self.taken.append(line)
            yield line


def _rows(lines: Iterable[str], delimiter: str) -> Iterator[Row]:
    """Yield the rows of a text.

    A row whose quotes do not fit is read line by line, so that none swallows those after it.
    """
    feed = _Feed(lines)
    cut = lines.cut if isinstance(lines, _Lines) else frozenset[int]()
    reader = _reader(feed, delimiter)
    number = 1
    while True:
        taken = feed.taken = []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            if not taken:
                return
            feed.give_back()
            cells = _split(taken[0], delimiter)
            reader = _reader(feed, delimiter)
        is_cut = bool(cut) and not cut.isdisjoint(range(number, number + len(taken)))
        if len(cells) > MAX_COLUMNS:
            del cells[MAX_COLUMNS:]
        yield Row(number, cells, taken if len(taken) > 1 else (), is_cut)
        number += len(taken)


def _reader(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)


def _widen(row: Row, delimiter: str) -> Row:
    """Return a row in the place of the one cell that a spreadsheet took its line for, and put quotes around."""
    if len(row.cells) != 1 or row.lines or delimiter not in row.cells[0]:
        return row
    return Row(row.line, _split(row.cells[0], delimiter)[:MAX_COLUMNS], (), row.is_cut)


def _titles(row: Row) -> list[str]:
    return [repair_text(clean_text(cell)) for cell in row.cells]


def _split(line: str, delimiter: str) -> list[str]:
    """Split the cells of one line whose quotes need not fit."""
    line = line.rstrip("\r\n")
    if '\\"' in line and (escaped := _split_escaped(line, delimiter)) is not None:
        return escaped
    try:
        (cells,) = csv.reader([f"{line}\n"], delimiter=delimiter, skipinitialspace=delimiter != " ")
    except (csv.Error, ValueError):
        cells = ["\n"]
    # The quote of a cell with the line's end in it is not closed: it is a character like others.
    return line.split(delimiter) if cells and cells[-1].endswith("\n") else cells


def _split_escaped(line: str, delimiter: str) -> list[str] | None:
    """Split a line whose quotes are escaped with backslashes, as databases export it; None if it does not parse."""
    try:
        (cells,) = csv.reader([f"{line}\n"], delimiter=delimiter, doublequote=False, escapechar="\\", strict=True)
    except (csv.Error, ValueError):
        return None
    return cells


# Which of them names the columns


@dataclass(frozen=True, slots=True)
class _Layout:
    delimiter: str
    header: Sequence[str] | None
    header_line: int
    first_line: int
    is_column: bool
    is_blank: bool
    score: tuple[int, ...]


def _find_layout(sample: Sequence[str], wanted: frozenset[str]) -> _Layout:
    """Find the delimiter and the header with which most is known and most rows agree."""
    named = next(((at, each) for at, each in enumerate(sample) if each.strip()), None)
    forced = None if named is None else _separator(named[1].rstrip("\r\n"))
    if forced is not None and named is not None and forced[1] not in '\r\n"':
        return _try_layout(sample, forced[1], wanted, after=named[0] + 1)
    return max((_try_layout(sample, each, wanted) for each in DELIMITERS), key=lambda each: each.score)


def _try_layout(sample: Sequence[str], delimiter: str, wanted: frozenset[str], *, after: int = 0) -> _Layout:
    rows = [row for row in _rows(sample, delimiter) if row.line > after and any(map(clean_text, row.cells))]
    if rows and len((wide := _widen(rows[0], delimiter)).cells) > 1 and _find_header([wide], wanted) == 0:
        rows[0] = wide
    at = _find_header(rows, wanted)
    body = rows if at is None else rows[at + 1 :]
    header = None if at is None else _titles(rows[at])
    fields = _fields(header or ())
    phones = fields.get("phone", [0] if header is None else [])
    if len(header or ()) > 1:
        body = [_widen(row, delimiter) for row in body]
    readable = sum(any(looks_like_phone(row.cell(column)) for column in phones) for row in body)
    width = max((len(row.cells) for row in rows), default=0)
    as_wide = sum(len(row.cells) == len(header or ()) for row in body)
    is_column = header is None and bool(rows) and looks_like_phone(rows[0].cell(0)) and _is_one_column(rows)
    known = sum(map(len, fields.values()))
    # A column by the caller's name is as good as one of phones.
    is_named = "phone" in fields or any(fold_name(name) in wanted for name in header or ())
    return _Layout(
        delimiter,
        header,
        after if at is None else rows[at].line + max(0, len(rows[at].lines) - 1),
        rows[0].line if rows else 1,
        is_column,
        not rows,
        (int(is_named or is_column), readable, known, as_wide if width > 1 else 0),
    )


def _find_header(rows: Sequence[Row], wanted: frozenset[str]) -> int | None:
    """Find the row that names a column of phones, or the first; none where a phone stands before it or in the first."""
    for at, row in enumerate(rows[:MAX_PREAMBLE]):
        if any(map(looks_like_phone, row.cells)):
            break
        if any(map(_is_phone_column, row.cells)) or any(fold_name(cell) in wanted for cell in row.cells):
            return at + 1 if at + 1 < len(rows) and _is_group(row, rows[at + 1]) else at
        if any(map(may_hold_phone, row.cells)):
            break
    return 0 if rows and not any(map(_holds_phone, rows[0].cells)) else None


def _is_group(row: Row, following: Row) -> bool:
    """Return whether a row only groups the titles of the next row, like merged cells above several columns."""
    titles, more = ([cell for cell in map(clean_text, each.cells) if cell] for each in (row, following))
    if len(titles) >= len(more) or any(map(_holds_phone, more)):
        return False
    known, more_known = (sum(find_field(title) is not None for title in each) for each in (titles, more))
    return more_known > known and any(map(_is_phone_column, more))


def _is_phone_column(name: str) -> bool:
    # "mobile 16465550001" is somebody's, although "mobile 1" names a column.
    found = None if may_hold_phone(name) else find_field(clean_text(name))
    return found is not None and found[0] == "phone"


def _holds_phone(cell: str) -> bool:
    return looks_like_phone(cell) or may_hold_phone(cell)


def _is_one_column(rows: Iterable[Row]) -> bool:
    return all(not any(map(clean_text, row.cells[1:])) for row in rows)


def _fields(header: Sequence[str]) -> dict[str, list[int]]:
    """Return where the columns of each known field are, by their rank and then as they stand."""
    found: dict[str, list[tuple[int, int]]] = {}
    for at, name in enumerate(header):
        known = find_field(clean_text(name))
        if known is not None:
            found.setdefault(known[0], []).append((known[1], at))
    return {name: [at for _, at in sorted(columns)] for name, columns in found.items()}
