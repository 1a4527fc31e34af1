"""What imports and syncs read where most of a workspace is newer than PostgreSQL's statistics."""

from __future__ import annotations

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from tests.api.contacts.test_contact_filters import FILL
from tests.factories import make_list
from tests.owner import as_owner
from tests.plans import reading
from tests.workers.test_imports import counts, import_

ROWS = 600


def file(first: int, name: str, *columns: str) -> str:
    rows = (f"+1212{5_000_000 + number},{name}{number}" for number in range(first, first + ROWS))
    return "\n".join(("Phone,First Name", *rows)) + "\n"


@pytest.mark.parametrize("rule", ["overwrite", "fill"])
async def test_an_import_reads_its_rows_alone_in_a_workspace_that_no_statistics_know(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    await db.execute(FILL, other_ctx.workspace_id, other_ctx.livemode, 3000)
    async with as_owner():
        await db.execute("ANALYZE contacts")
        await db.execute("ANALYZE import_rows")
    members = await make_list(ctx, [])
    options = {"list_id": ids.encode_id(ids.CONTACT_LIST, members.id), "update": rule}
    assert counts(await import_(ctx, file(0, "Maria"), **options)) == {
        "rows": ROWS,
        "created": ROWS,
        "added_to_list": ROWS,
    }
    with reading(monkeypatch) as read:
        done = await import_(ctx, file(ROWS // 2, "Zoe"), **options)
    assert counts(done)["created"] == ROWS // 2
    read.check(rows=20 * ROWS)


async def test_repeated_phones_of_a_file_are_joined_without_reading_it_for_each(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.execute(FILL, other_ctx.workspace_id, other_ctx.livemode, 3000)
    async with as_owner():
        await db.execute("ANALYZE contacts")
        await db.execute("ANALYZE import_rows")
    twice = file(0, "Maria") + file(0, "Zoe").split("\n", 1)[1]
    with reading(monkeypatch) as read:
        done = await import_(ctx, twice)
    assert counts(done) == {"rows": 2 * ROWS, "created": ROWS, "duplicate": ROWS}
    read.check(rows=40 * ROWS)
