"""Pages of the contacts that meet conditions, those of a segment among them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import cast

import msgspec

from msvs.api import ids
from msvs.api.contacts.contacts import ListContacts, contact_query, list_contacts
from msvs.api.contacts.segments import compile_filter
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.pages import Page, PageRequest, fetch_ordered
from msvs.api.scope import scoped
from msvs.database import fetch, fetch_value
from msvs.models import Segment
from msvs.models.rows import ContactRow

# A segment is a condition over `contacts AS c`; the others are a query of ids.
OF_SEGMENT = "FROM contacts AS c WHERE c.workspace_id = ${first} AND c.livemode = ${second} AND {segment}{others}"
NO_OTHERS = ListContacts()


@dataclass(frozen=True, slots=True)
class _Found:
    """The contacts of a segment that meet the other conditions, as SQL with the values of its parameters."""

    sql: str
    values: list[object]


async def list_matching(ctx: Context, page: PageRequest, which: ListContacts) -> Page[ContactRow]:
    """List the contacts that meet every condition, newest first unless ordered otherwise. Raises InvalidRequest."""
    found = await _of_segment(ctx, which)
    if found is None:
        return cast("Page[ContactRow]", await list_contacts(ctx, page, which))
    return await fetch_ordered(partial(_fetch_page, found), page, which.order)


async def count_matching(ctx: Context, which: ListContacts) -> int:
    """Count the contacts that meet every condition. Raises InvalidRequest."""
    found = await _of_segment(ctx, which)
    if found is None:
        return await contact_query(ctx, which).count()
    count: int = await fetch_value(f"SELECT count(*) {found.sql}", *found.values)
    return count


async def _of_segment(ctx: Context, which: ListContacts) -> _Found | None:
    segment_id = ids.read_optional_id(ids.SEGMENT, which.segment_id, "segment_id")
    if segment_id is None:
        return None
    segment = await scoped(ctx, Segment).filter(id=segment_id).first()
    if segment is None:
        raise InvalidRequest(
            f"No such segment: '{which.segment_id}'.", param="segment_id", code=ErrorCode.RESOURCE_MISSING
        )
    others, values = _others(ctx, msgspec.structs.replace(which, segment_id=None, order=None))
    place = len(values) + 1
    compiled = compile_filter(segment.conditions, place + 2)
    sql = OF_SEGMENT.format(first=place, second=place + 1, segment=compiled.sql, others=others)
    return _Found(sql, [*values, ctx.workspace_id, ctx.livemode, *compiled.values])


def _others(ctx: Context, which: ListContacts) -> tuple[str, list[object]]:
    """Return the other conditions as SQL whose parameters begin with `$1`, and their values."""
    bare = ("limit", "starting_after", "ending_before")
    if msgspec.structs.replace(which, **dict.fromkeys(bare)) == NO_OTHERS:
        return "", []
    query = contact_query(ctx, which).values_list("id")
    query.sql()
    sql, values = query.query.get_parameterized_sql()
    return f" AND c.id IN ({sql})", list(values)


async def _fetch_page(found: _Found, page: PageRequest) -> Page[ContactRow]:
    """Fetch one page of the newest first; one row more than the limit tells whether there are more."""
    is_backward = page.ending_before is not None
    cursor = page.ending_before if is_backward else page.starting_after
    bound = "" if cursor is None else f" AND c.id {'>' if is_backward else '<'} ${len(found.values) + 1}"
    order = f" ORDER BY c.id {'ASC' if is_backward else 'DESC'} LIMIT {page.limit + 1}"
    values = found.values if cursor is None else [*found.values, cursor]
    rows = list(await fetch(ContactRow, f"SELECT c.* {found.sql}{bound}{order}", *values))
    kept = rows[: page.limit]
    return Page(kept[::-1] if is_backward else kept, len(rows) > page.limit)
