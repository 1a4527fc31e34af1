"""Suppressions: the phones that nothing is sent to, listed, added to, and lifted on evidence."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any, Literal
from uuid import UUID

from msvs.api import consent, ids
from msvs.api.contacts import (
    MAX_SOURCE,
    OptInEvidence,
    UpdateContact,
    ensure_contact,
    read_evidence,
    read_name,
    update_contact,
)
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.phones import canonical, parse_phone
from msvs.api.resources import Resource, moment
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, ErasedSuppression, Suppression

SUPPRESSION = "sup"
MAX_IMPORTED = 1000
IMPORTED = "import"
# Rows of a file that are one transaction: the head of the chain is theirs alone until they commit.
CHUNK = 500
COLUMNS = ("phone", "source", "created_at")
# A spreadsheet takes a cell that begins so for a formula, and runs it; with an apostrophe before it is text.
FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


class SuppressionResource(Resource, kw_only=True):
    """A phone that nothing is sent to, why and since when."""

    id: str
    object: Literal["suppression"] = "suppression"
    livemode: bool
    phone: str
    source: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of importing phones; `invalid` holds those that are no phones, as they were given."""

    added: int
    already_suppressed: int
    invalid: list[str]


def suppression_resource(row: Any) -> SuppressionResource:
    """The shape of a suppression."""
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
    allow(ctx, Permission.RESOURCES_WRITE)
    e164 = parse_phone(phone, param="phone").e164
    source = read_name(source, param="source", maximum=MAX_SOURCE)
    done = await consent.suppress(ctx, [e164], source=source, now=datetime.now(UTC))
    row = await scoped(ctx, Suppression).get(canonical=canonical(e164))
    if not done.added:
        raise Conflict(
            "The phone number is suppressed already.",
            code="suppression_exists",
            param="phone",
            existing_id=ids.encode_id(SUPPRESSION, row.id),
        )
    return row


async def get_suppression(ctx: Context, id: UUID) -> Suppression:
    """One suppression. Raises NotFound, also for one whose phone was erased."""
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
    # Whoever asks knows the phone: it is told, and kept no more than before.
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
    """Opt the person behind a suppression in again, on evidence; the contact, made if there is none.

    Under double opt-in the suppression stands until the person confirms. Raises NotFound, InvalidRequest.
    """
    allow(ctx, Permission.RESOURCES_WRITE)
    read_evidence(evidence)
    row = await get_suppression(ctx, id)
    contact = await ensure_contact(ctx, row.phone, now=datetime.now(UTC))
    return await update_contact(ctx, contact.id, UpdateContact(opt_in=evidence))


async def import_suppressions(ctx: Context, phones: Sequence[str], *, source: str | None = None) -> Imported:
    """Suppress at most 1,000 phones, each counted once; one that is no phone is reported, not refused."""
    allow(ctx, Permission.RESOURCES_WRITE)
    if len(phones) > MAX_IMPORTED:
        raise InvalidRequest(
            f"phones holds at most {MAX_IMPORTED} phones.", param="phones", code="parameter_out_of_range"
        )
    source = IMPORTED if source is None else read_name(source, param="source", maximum=MAX_SOURCE)
    return await _import(ctx, phones, source)


async def import_file(ctx: Context, lines: Iterable[str], *, source: str = IMPORTED) -> AsyncIterator[Imported]:
    """Suppress the phones of a CSV file, some hundreds a transaction; what came of each of those.

    The first column holds the phones, unless a header names the columns `phone` and `source`. A row's own source goes
    before `source`. What was committed stays where a later row fails. Raises InvalidRequest.
    """
    allow(ctx, Permission.RESOURCES_WRITE)
    source = read_name(source, param="source", maximum=MAX_SOURCE)
    rows = _read_rows(lines, source)
    while chunk := list(islice(rows, CHUNK)):
        for why, each in groupby(sorted(chunk, key=lambda row: row[1]), key=lambda row: row[1]):
            async with unit_of_work():
                done = await _import(ctx, [phone for phone, _ in each], why)
            yield done


async def export_rows(ctx: Context) -> AsyncIterator[Sequence[tuple[str, str, str]]]:
    """All suppressions, oldest first, as rows of `COLUMNS`, batch by batch; those erased have no phone to give."""
    after = UUID(int=0)
    while rows := await scoped(ctx, Suppression).filter(id__gt=after).order_by("id").limit(5000):
        yield [(row.phone, _as_text(row.source), moment(row.created_at)) for row in rows]
        after = rows[-1].id


async def count_erased(ctx: Context) -> int:
    """How many suppressions are kept as keyed hashes alone."""
    return await scoped(ctx, ErasedSuppression).count()


async def _import(ctx: Context, phones: Iterable[str], source: str) -> Imported:
    valid: list[str] = []
    invalid: list[str] = []
    for text in dict.fromkeys(phones):
        try:
            valid.append(parse_phone(text, param="phones").e164)
        except InvalidRequest:
            invalid.append(text)
    done = await consent.suppress(ctx, valid, source=source, now=datetime.now(UTC))
    return Imported(len(done.added), len(done.already), invalid)


def _read_rows(lines: Iterable[str], source: str) -> Iterator[tuple[str, str]]:
    """The phone and the source of each row that is not blank."""
    rows = (row for row in _cells(lines) if any(cell.strip() for cell in row))
    first = next(rows, None)
    if first is None:
        return
    header = [cell.strip().lower().removeprefix("\ufeff") for cell in first]
    phone_at, source_at = 0, -1
    if "phone" in header:
        phone_at = header.index("phone")
        source_at = header.index("source") if "source" in header else -1
    else:
        yield first[0].strip().removeprefix("\ufeff"), source
    for row in rows:
        phone = row[phone_at].strip() if phone_at < len(row) else ""
        own = _of_text(row[source_at].strip()) if 0 <= source_at < len(row) else ""
        yield phone, read_name(own, param="source", maximum=MAX_SOURCE) if own else source


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULAS) else cell


def _of_text(cell: str) -> str:
    """What `_as_text` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULAS) else cell


def _cells(lines: Iterable[str]) -> Iterator[list[str]]:
    reader = csv.reader(lines)
    try:
        yield from reader
    except csv.Error as error:
        raise InvalidRequest(f"Line {reader.line_num} of the file cannot be read: {error}.", param="file") from None
