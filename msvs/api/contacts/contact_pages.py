"""Pages of filtered contacts, in time that does not grow with the number of contacts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol
from uuid import UUID

from msvs.api.contacts.contact_filters import Conditions, compile_contacts
from msvs.api.contacts.contacts import ListContacts
from msvs.api.context import Context
from msvs.api.pages import Page, PageRequest, fetch_ordered
from msvs.database import fetch, fetch_row, fetch_value
from msvs.models.rows import ContactRow
from msvs.replica_reads import from_replica

# The contacts scanned in page order before the index is used: conditions that many meet fill the page here.
NEAR = 2000
# The most index matches that are sorted; beyond that, the page is filled by a scan.
MOST_SORTED = 10_000
# The most contacts scanned for one page: see `Page.reached`.
MOST_LOOKED_AT = 25_000

OF_CONTACTS = "FROM contacts AS c WHERE c.workspace_id = $1 AND c.livemode = $2"
AMONG = (
    "SELECT c.* FROM (SELECT c.* {of} AND c.id {side} $3::uuid ORDER BY c.id {order} LIMIT {most}) AS c"
    " WHERE true{plain} ORDER BY c.id {order} LIMIT {limit}"
)
END_OF_LOOK = "SELECT c.id {of} AND c.id {side} $3::uuid ORDER BY c.id {order} OFFSET {last} LIMIT 1"
FIND_INDEXED = "SELECT c.id {of} AND (c.id {side} $3::uuid) IS TRUE{indexed} LIMIT {most}"
# PostgreSQL uses no index for `(…) IS TRUE`: it reads the seeded index alone, instead of combining it with an index of
# all contacts of the workspace.
OF_SEEDED = "FROM contacts AS c WHERE (c.workspace_id = $1 AND c.livemode = $2) IS TRUE"
READ_FOUND = """
SELECT c.* FROM contacts AS c WHERE c.workspace_id = $1 AND c.livemode = $2 AND c.id = ANY($3::uuid[]) ORDER BY c.id
"""
# Above every id.
LAST = UUID(int=2**128 - 1)


class _Id(Protocol):
    id: UUID


@from_replica
async def list_matching(ctx: Context, page: PageRequest, which: ListContacts | None = None) -> Page[ContactRow]:
    """List the contacts that meet every condition, newest first unless ordered otherwise. Raises InvalidRequest."""
    which = which or ListContacts()
    found = await compile_contacts(ctx, which, 4)
    fetch_one = _fetch_sparse if found.is_sparse else _fetch_page
    return await fetch_ordered(partial(fetch_one, ctx, found), page, which.order)


@from_replica
async def count_matching(ctx: Context, which: ListContacts) -> int:
    """Count the contacts that meet every condition. Raises InvalidRequest."""
    found = await compile_contacts(ctx, which, 3)
    sql = f"SELECT count(*) {OF_SEEDED if found.is_seeded else OF_CONTACTS}{found.indexed}"
    count: int = await fetch_value(sql, ctx.workspace_id, ctx.livemode, *found.indexed_values)
    return count


class _Side:
    """The rows before or after the page's cursor, in scan order."""

    def __init__(self, ctx: Context, page: PageRequest) -> None:
        self.is_backward = page.ending_before is not None
        cursor = page.ending_before or page.starting_after
        self.scope = (ctx.workspace_id, ctx.livemode, cursor or LAST)
        self.limit = page.limit
        self.words = {
            "of": OF_CONTACTS,
            "side": ">" if self.is_backward else "<",
            "order": "ASC" if self.is_backward else "DESC",
        }

    def page(self, rows: Sequence[ContactRow], reached: UUID | None = None) -> Page[ContactRow]:
        """Return a page of rows that are in scan order; a row beyond the limit means that more follow."""
        kept = rows[: self.limit]
        has_more = len(rows) > self.limit or reached is not None
        return Page(kept[::-1] if self.is_backward else kept, has_more, None if len(rows) > self.limit else reached)

    async def look(self, found: Conditions, most: int) -> Sequence[ContactRow]:
        """Return the matches among the next `most` contacts, up to one more than the page's limit."""
        sql = AMONG.format(**self.words, plain=found.plain, most=most, limit=self.limit + 1)
        return list(await fetch(ContactRow, sql, *self.scope, *found.values))

    async def end_of_look(self, most: int) -> UUID | None:
        """Return the id of the last of the next `most` contacts; None if there are fewer."""
        row = await fetch_row(_Id, END_OF_LOOK.format(**self.words, last=most - 1), *self.scope)
        return None if row is None else row.id


async def _fetch_page(ctx: Context, found: Conditions, page: PageRequest) -> Page[ContactRow]:
    """Fetch a page for conditions that many contacts meet, or that an index returns in page order."""
    side = _Side(ctx, page)
    of, under, order = side.words["of"], side.words["side"], side.words["order"]
    sql = f"SELECT c.* {of} AND c.id {under} $3::uuid{found.indexed} ORDER BY c.id {order} LIMIT {page.limit + 1}"
    return side.page(list(await fetch(ContactRow, sql, *side.scope, *found.indexed_values)))


async def _fetch_sparse(ctx: Context, found: Conditions, page: PageRequest) -> Page[ContactRow]:
    """Fetch a page for conditions that may match few: scan near the cursor, else use the index, else scan further."""
    side = _Side(ctx, page)
    rows = await side.look(found, NEAR)
    if len(rows) > page.limit or await side.end_of_look(NEAR) is None:
        return side.page(rows)
    if found.has_index:
        words = side.words | ({"of": OF_SEEDED} if found.is_seeded else {})
        sql = FIND_INDEXED.format(**words, indexed=found.indexed, most=MOST_SORTED + 1)
        named = [row.id for row in await fetch(_Id, sql, *side.scope, *found.indexed_values)]
        if len(named) <= MOST_SORTED:
            wanted = sorted(named, reverse=not side.is_backward)[: page.limit + 1]
            rows = list(await fetch(ContactRow, READ_FOUND, ctx.workspace_id, ctx.livemode, wanted))
            return side.page(rows if side.is_backward else rows[::-1])
    rows = await side.look(found, MOST_LOOKED_AT)
    return side.page(rows, None if len(rows) > page.limit else await side.end_of_look(MOST_LOOKED_AT))
