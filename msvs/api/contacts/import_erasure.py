"""Erasure from imports: of a person, no row of a file stays, none is read later, and all are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from msvs.api.context import Context
from msvs.api.scope import scoped
from msvs.api.text.phones import canonical
from msvs.database import execute, fetch
from msvs.models import ContactImport, ImportStatus

# While these, its file has yet to be read: those who are erased are left out then.
IS_READ_LATER = (ImportStatus.UPLOADING, ImportStatus.QUEUED, ImportStatus.READING)
# While these, the file is kept for its owner alone, and goes as a whole.
WAITS = (ImportStatus.NEEDS_MAPPING, ImportStatus.CHECKED)
GOES_ON = (*IS_READ_LATER, *WAITS, ImportStatus.CHECKING, ImportStatus.RUNNING)

# The rows of the phones, and those that could not be read with the digits of one.
ERASE_IMPORT_ROWS = """
DELETE FROM import_rows
WHERE reading_id IN (
    SELECT reading_id FROM contact_imports WHERE workspace_id = $1 AND livemode = $2 AND reading_id IS NOT NULL
) AND (
    canonical = ANY($3::varchar[])
    OR cells IS NOT NULL AND EXISTS (
        SELECT FROM unnest($4::text[]) AS digits
        WHERE strpos(regexp_replace(cells::text, '[^0-9]', '', 'g'), digits) > 0
    )
)
RETURNING reading_id, number, status
"""
DROP_FILES = "DELETE FROM import_chunks WHERE import_id = ANY($1::uuid[])"
READ_NEW = """
SELECT number, canonical, status FROM import_rows WHERE reading_id = $1 AND number > $2 AND canonical IS NOT NULL
"""
LEAVE_OUT = "DELETE FROM import_rows WHERE reading_id = $1 AND number = ANY($2::int[])"
# What stands in a row that cannot be read may be of anybody.
BLANK_CELLS = "UPDATE import_rows SET cells = NULL WHERE reading_id = $1 AND number > $2 AND cells IS NOT NULL"


class _Row(Protocol):
    reading_id: UUID
    number: int
    status: str


class _New(Protocol):
    number: int
    canonical: str
    status: str


def hash_of(ctx: Context, phone: str) -> str:
    """Return the keyed hash of a phone in the caller's mode."""
    return ctx.services.keyring.hash_phone(ctx.workspace_id, ctx.livemode, phone)


async def hold_imports(ctx: Context) -> None:
    """Hold the imports that go on, before anything that their workers lock after them."""
    await scoped(ctx, ContactImport).filter(status__in=GOES_ON).order_by("id").select_for_update().values_list("id")


async def erase_from_imports(ctx: Context, phones: Sequence[str], seconds: float) -> None:
    """Delete what imports keep of phones, and have what is read later leave them out; the caller holds the imports."""
    one = [canonical(phone) for phone in phones]
    digits = [phone.removeprefix("+") for phone in phones]
    gone = await fetch(_Row, ERASE_IMPORT_ROWS, ctx.workspace_id, ctx.livemode, one, digits, timeout=seconds)
    by_reading: dict[UUID, list[_Row]] = {}
    for each in gone:
        by_reading.setdefault(each.reading_id, []).append(each)
    hashes = {hash_of(ctx, phone) for phone in one}
    imports = await scoped(ctx, ContactImport).filter(status__in=GOES_ON)
    for row in imports:
        row.counts = recount(row, by_reading.get(row.reading_id, []) if row.reading_id is not None else [])
        row.columns = [] if row.status in WAITS else [{**column, "samples": []} for column in row.columns]
        if row.status not in WAITS:
            row.erased = sorted({*row.erased, *hashes})
        await row.save(update_fields=["counts", "columns", "erased"])
    await execute(DROP_FILES, [row.id for row in imports if row.status in WAITS])


def recount(row: ContactImport, gone: Sequence[_Row]) -> dict[str, int]:
    """Return the counts of an import of which rows were erased: what has become of them already stays counted so."""
    counts = dict(row.counts)
    for each in gone:
        if each.status in ("invalid", "duplicate"):
            continue
        is_past = each.number <= row.rows_done
        if is_past and row.status is ImportStatus.RUNNING:
            continue
        if is_past:
            told = "created" if each.status == "staged" else each.status
            counts[told] = max(0, counts.get(told, 0) - 1)
        counts["erased"] = counts.get("erased", 0) + 1
    return counts


async def leave_out_erased(ctx: Context, row: ContactImport, after: int) -> int:
    """Delete those of the rows just read who were erased meanwhile, and the cells of what cannot be read.

    Return how many.
    """
    wanted = set(row.erased)
    found = await fetch(_New, READ_NEW, row.reading_id, after)
    gone = [each.number for each in found if hash_of(ctx, each.canonical) in wanted]
    if gone:
        await execute(LEAVE_OUT, row.reading_id, gone)
    await execute(BLANK_CELLS, row.reading_id, after)
    return len(gone)
