"""Suppressions: phones to which nothing is sent; list, add, and lift them on evidence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, BinaryIO, ClassVar, Literal
from uuid import UUID

import msgspec
import phonenumbers

from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.contacts.contacts import OptInEvidence, UpdateContact, ensure_contact, read_evidence, update_contact
from msvs.api.contacts.details import MAX_SOURCE, read_name
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment
from msvs.api.scope import find, scoped
from msvs.api.text.cells import (
    CellUnreadable,
    clean_text,
    escape_formula,
    looks_like_phone,
    may_hold_phone,
    read_phone_cell,
    unescape_formula,
)
from msvs.api.text.columns import fold_name
from msvs.api.text.countries import read_country
from msvs.api.text.phones import canonical, parse_phone
from msvs.api.text.tables import Row, Table, open_table
from msvs.api.unit_of_work import unit_of_work
from msvs.fields import E164, Phone, Request, about, named
from msvs.models import Contact, ErasedSuppression, Suppression, rows

SUPPRESSION = "sup"
MAX_IMPORTED = 1000
IMPORTED = "import"
# Rows of a file that are one transaction: the head of the chain is theirs alone until they commit.
CHUNK = 500
COLUMNS = ("phone", "source", "created_at")

_line_end_or_plus = re.compile(r"[\r\n]|^\W*\+").search


class SuppressionResource(Resource, kw_only=True):
    """A phone to which nothing is sent, with the reason and the time."""

    id: str
    object: Literal["suppression"] = "suppression"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    phone: Annotated[Phone, about(example="+12125550123")]
    source: Annotated[str, about("The reason, such as `keyword`.", example="complaint")]
    created_at: Annotated[str, about("When it was suppressed.")]


class CreateSuppression(Request, frozen=True):
    """A phone to suppress, and the reason."""

    phone: Annotated[E164, about(example="+12125550123")]
    source: Annotated[str, about("The reason, such as `complaint`.", example="complaint", **named(MAX_SOURCE))]


class ImportSuppressions(Request, frozen=True):
    """Phones to suppress, and the reason."""

    read_by_row: ClassVar[str] = "phones"

    phones: Annotated[
        list[str],
        about(
            "Phones in E.164 format.",
            example=["+12125550123", "+12125550124"],
            maxItems=MAX_IMPORTED,
        ),
    ]
    source: (
        Annotated[str, about("The reason; `import` by default.", example="previous provider", **named(MAX_SOURCE))]
        | None
    ) = None


class SuppressionsImported(msgspec.Struct, frozen=True):
    """The result of importing suppressions; `invalid` holds the invalid phones, as given."""

    added: Annotated[int, about("The number of phones suppressed.", example=1)]
    already_suppressed: Annotated[int, about("The number of phones that were suppressed already.", example=1)]
    invalid: Annotated[list[str], about("The invalid phones, as given.", example=[])]


@dataclass(frozen=True, slots=True)
class LineNote:
    """A note about a line of a file, without its contents."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileImported:
    """The result of some rows of a file: `lost` names unreadable rows, and `notes` those read in part."""

    added: int
    already_suppressed: int
    lost: list[LineNote]
    notes: list[LineNote]


@dataclass(slots=True)
class Person:
    """The phones of a row in E.164, and why they are suppressed."""

    phones: list[str] = field(default_factory=list)
    source: str = ""
    lost: list[LineNote] = field(default_factory=list)
    notes: list[LineNote] = field(default_factory=list)


def suppression_resource(row: rows.SuppressionRow) -> SuppressionResource:
    """Return the shape of a suppression."""
    return SuppressionResource(
        id=ids.encode_id(SUPPRESSION, row.id),
        livemode=row.livemode,
        phone=row.phone,
        source=row.source,
        created_at=moment(row.created_at),
    )


async def create_suppression(ctx: Context, phone: str, *, source: str) -> Suppression:
    """Suppress a phone; its contact, if it has one, is opted out and what waits for it is canceled.

    Raises InvalidRequest, and Conflict `suppression_exists` with `existing_id`.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    e164 = parse_phone(phone, param="phone").e164
    source = read_name(source, param="source", maximum=MAX_SOURCE)
    done = await consent.suppress(ctx, [e164], source=source, now=ctx.services.clock())
    row = await scoped(ctx, Suppression).get(canonical=canonical(e164))
    if not done.added:
        raise Conflict(
            "The phone number is suppressed already.",
            code=ErrorCode.SUPPRESSION_EXISTS,
            param="phone",
            existing_id=ids.encode_id(SUPPRESSION, row.id),
        )
    return row


async def get_suppression(ctx: Context, id: UUID) -> Suppression:
    """Return one suppression. Raises NotFound, also for one whose phone was erased."""
    return await find(ctx, Suppression, id, prefix=SUPPRESSION, noun="suppression")


async def list_suppressions(ctx: Context, page: PageRequest, *, phone: str | None = None) -> Page[Suppression]:
    """Suppressions, newest first, or that of one phone, which is also found where it was erased."""
    query = scoped(ctx, Suppression)
    if phone is None:
        return await fetch_page(query, page)
    e164 = parse_phone(phone, param="phone").e164
    found = await fetch_page(query.filter(canonical=canonical(e164)), page)
    if found.items or page.starting_after is not None or page.ending_before is not None:
        return found
    hashes = consent.hashes_of(ctx, e164)
    erased = await scoped(ctx, ErasedSuppression).filter(phone_hash__in=hashes).order_by("created_at").first()
    if erased is None:
        return found
    # Anyone who asks knows the phone: it is told, and kept no more than before.
    plain = Suppression(
        id=erased.id,
        workspace_id=erased.workspace_id,
        livemode=erased.livemode,
        phone=e164,
        source=erased.source,
        created_at=erased.created_at,
    )
    return Page([plain], has_more=False)


async def lift_suppression(ctx: Context, id: UUID, evidence: OptInEvidence) -> Contact:
    """Opt the person behind a suppression in again, on renewed evidence; the contact, made if there is none.

    Under double opt-in the suppression stands until the person confirms. Raises NotFound, InvalidRequest, and Conflict
    `opt_in_revoked` for evidence that is not newer than the opt-out.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    read_evidence(evidence, ctx.services.clock())
    row = await get_suppression(ctx, id)
    contact = await ensure_contact(ctx, row.phone, now=ctx.services.clock())
    return await update_contact(ctx, contact.id, UpdateContact(opt_in=evidence))


async def import_suppressions(
    ctx: Context, phones: Sequence[str], *, source: str | None = None
) -> SuppressionsImported:
    """Suppress at most 1,000 phones, each counted once; one that is no phone is reported, not refused."""
    allow(ctx, Permission.CONTACTS_WRITE)
    if len(phones) > MAX_IMPORTED:
        raise InvalidRequest(
            f"phones holds at most {MAX_IMPORTED} phones.", param="phones", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    source = IMPORTED if source is None else read_name(source, param="source", maximum=MAX_SOURCE)
    return await _import(ctx, phones, source)


async def import_file(
    ctx: Context,
    file: BinaryIO,
    *,
    source: str = IMPORTED,
    region: str | None = None,
    columns: Sequence[str] = (),
    encoding: str | None = None,
) -> AsyncIterator[FileImported]:
    """Suppress the phones of a table, some hundreds a transaction. Return what came of each of those.

    `columns` names the columns of phones, or numbers them from 1; without it the header must name one. A number without
    its country code is one of the row's country, else of `region`. A row's own source goes before `source`. A row that
    cannot be read is reported and costs no other. Raises InvalidRequest for a file that is no such table, and for one
    without a word.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    source = read_name(source, param="source", maximum=MAX_SOURCE)
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidRequest("region must be an ISO 3166-1 code of two letters, such as US.", param="region")
    table = open_table(file, encoding=encoding, columns=columns)
    people = read_people(table, phone_columns(table, columns), source=source, region=region)
    is_empty = table.header is None
    while chunk := list(islice(people, CHUNK)):
        is_empty = False
        yield await _import_people(ctx, chunk)
    if is_empty:
        raise InvalidRequest("The file is empty.", param="file")


async def export_rows(ctx: Context) -> AsyncIterator[Sequence[tuple[str, str, str]]]:
    """Yield all suppressions, oldest first, as rows of `COLUMNS`, batch by batch.

    Those erased have no phone to give.
    """
    after = UUID(int=0)
    while rows := await scoped(ctx, Suppression).filter(id__gt=after).order_by("id").limit(5000):
        yield [(row.phone, escape_formula(row.source), moment(row.created_at)) for row in rows]
        after = rows[-1].id


async def count_erased(ctx: Context) -> int:
    """Return how many suppressions are kept as keyed hashes alone."""
    return await scoped(ctx, ErasedSuppression).count()


async def _import(ctx: Context, phones: Iterable[str], source: str) -> SuppressionsImported:
    valid: list[str] = []
    invalid: list[str] = []
    for text in dict.fromkeys(phones):
        try:
            valid.append(parse_phone(text, param="phones").e164)
        except InvalidRequest:
            invalid.append(text)
    done = await consent.suppress(ctx, valid, source=source, now=ctx.services.clock())
    return SuppressionsImported(len(done.added), len(done.already), invalid)


async def _import_people(ctx: Context, people: Sequence[Person]) -> FileImported:
    sources: dict[str, str] = {}
    for person in people:
        for phone in person.phones:
            sources.setdefault(phone, person.source)
    added = already = 0
    for source in dict.fromkeys(sources.values()):
        async with unit_of_work():
            done = await _import(ctx, [phone for phone, why in sources.items() if why == source], source)
        added += done.added
        already += done.already_suppressed
    return FileImported(
        added,
        already,
        [note for person in people for note in person.lost],
        [note for person in people for note in person.notes],
    )


def phone_columns(table: Table, names: Sequence[str]) -> list[int]:
    """Return the columns of phones that are named, or the only one that there is. Raises InvalidRequest."""
    if names:
        found: list[int] = []
        for name in names:
            columns = table.find_columns(name)
            if len(columns) != 1:
                wrong = "Several columns are" if columns else "There is no column"
                raise InvalidRequest(
                    f"{wrong} called '{name[:40]}'; the file has {table.describe_columns() or 'one column'}."
                    " A column can also be given by its number, from 1.",
                    param="columns",
                )
            found += columns
        return list(dict.fromkeys(found))
    phones = [0] if table.header is None else table.fields.get("phone", [])
    if len(phones) == 1:
        return phones
    known = "no column whose name is known as one of phones" if not phones else "several columns of phones"
    raise InvalidRequest(
        f"Line {table.header_line} of the file names {known}: {table.describe_columns()}."
        " Name the column of phones (--column).",
        param="columns",
    )


def read_people(table: Table, phones_at: Sequence[int], *, source: str, region: str | None) -> Iterator[Person]:
    """Yield what each row says. A file that is damaged on the way is read until there."""
    # In the file that we wrote all numbers had a plus, which a spreadsheet takes for a sign.
    is_ours = [name for name in map(fold_name, table.header or ()) if name] == [fold_name(name) for name in COLUMNS]
    (country_at, source_at) = (table.fields.get(name, [-1])[0] for name in ("country", "source"))
    line = table.header_line
    try:
        for row in table.rows():
            line = row.line
            person = Person(source=source)
            home = read_country(row.cell(country_at), region) if country_at >= 0 else region
            _read_phones(person, row, phones_at, home, is_ours=is_ours)
            if table.header is None and any(map(clean_text, row.cells[1:])):
                person.lost.append(LineNote(line, "it has several columns, and the file has no header"))
            if source_at >= 0 and source_at not in phones_at:
                _read_source(person, row, source_at)
            person.lost += _find_swallowed(table, row, person, phones_at)
            if row.is_cut:
                person.lost.append(LineNote(line, "the line is too long, and was not read to its end"))
            yield person
    except InvalidRequest as error:
        yield Person(lost=[LineNote(line + 1, error.message)])


def _read_phones(person: Person, row: Row, phones_at: Sequence[int], region: str | None, *, is_ours: bool) -> None:
    # One phone is enough where there are several columns of them, but what is no phone is told.
    filled = [text for at in phones_at if clean_text(text := row.cell(at))] or [""]
    for text in filled:
        try:
            person.phones.append(read_phone_cell(text, region, is_international=is_ours).e164)
        except CellUnreadable as error:
            person.lost.append(LineNote(row.line, error.reason))


def _read_source(person: Person, row: Row, at: int) -> None:
    """Take the row's own source, cut to what is kept; it never costs the suppression."""
    text = unescape_formula(row.cell(at).strip())
    plain = "".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text[: 10 * MAX_SOURCE])
    plain = plain.strip()[:MAX_SOURCE].rstrip()
    person.source = plain or person.source
    if text and plain != text:
        cut = f"its source was cut to {MAX_SOURCE} characters" if len(text) > MAX_SOURCE else ""
        person.notes.append(LineNote(row.line, cut or "control characters of its source were left out"))


def _find_swallowed(table: Table, row: Row, person: Person, phones_at: Sequence[int]) -> Iterator[LineNote]:
    """Lines that look like rows of their own, inside the quotes of another: with a phone that is no cell of it."""
    columns = {*phones_at, *table.fields.get("phone", ())}
    # Numbers of other columns are no phones, unless they are written as such.
    own = {
        _digits(cell)
        for at, cell in enumerate(row.cells[: len(table.header or (1,))])
        if (looks_like_phone(cell) if at in columns else not _line_end_or_plus(cell))
    }
    for number, line in enumerate(row.lines, row.line):
        ways = (table.split(line), line.split(table.delimiter))
        cells = {cell for cells in ways for cell in cells if looks_like_phone(cell)}
        cells |= {cells[at] for cells in ways for at in phones_at if at < len(cells) and may_hold_phone(cells[at])}
        is_lost = not person.phones and number > row.line and may_hold_phone(line)
        if is_lost or any(_digits(cell) not in own for cell in cells):
            yield LineNote(number, f"it stands inside a quoted cell of the row that begins in line {row.line}")


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))
