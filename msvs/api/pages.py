"""Cursor pages: newest first, by id, in both directions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from tortoise.models import Model
from tortoise.queryset import QuerySet

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.ids import read_id
from msvs.fields import Request, about

T = TypeVar("T")
M = TypeVar("M", bound=Model)

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: at most `limit` rows after or before a cursor (an id, whether or not its row still exists)."""

    limit: int = DEFAULT_LIMIT
    starting_after: UUID | None = None
    ending_before: UUID | None = None


class PageQuery(Request, frozen=True, kw_only=True):
    """Which page of a list."""

    limit: Annotated[int, about("The size of a page.", minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT)] | None = (
        None
    )
    starting_after: Annotated[str, about("The id after which the page starts: older resources.")] | None = None
    ending_before: Annotated[str, about("The id before which the page ends: newer resources.")] | None = None

    def page(self, prefix: str) -> PageRequest:
        """Return the page asked for, of resources with this id prefix. Raises InvalidRequest."""
        return page_request(
            prefix, limit=self.limit, starting_after=self.starting_after, ending_before=self.ending_before
        )


class Order(StrEnum):
    """The order of a list."""

    NEWEST = "newest"
    OLDEST = "oldest"


OrderField = Annotated[str, about("The order; `newest` by default.", enum=[*Order])]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, newest first, and whether there are more in the direction asked for.

    `reached` is the id up to which, itself included, was looked, where that was not to the end: more may lie beyond.
    """

    items: Sequence[T]
    has_more: bool
    reached: UUID | None = None


def page_request(
    prefix: str,
    *,
    limit: int | None = None,
    starting_after: str | None = None,
    ending_before: str | None = None,
) -> PageRequest:
    """Read the three page parameters. Raises InvalidRequest with `param`."""
    if limit is not None and not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(
            f"limit must be from 1 to {MAX_LIMIT}.", param="limit", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    if starting_after is not None and ending_before is not None:
        raise InvalidRequest(
            "Give starting_after or ending_before, not both.", param="ending_before", code=ErrorCode.CURSOR_CONFLICT
        )
    return PageRequest(
        DEFAULT_LIMIT if limit is None else limit,
        None if starting_after is None else read_cursor(prefix, starting_after, "starting_after"),
        None if ending_before is None else read_cursor(prefix, ending_before, "ending_before"),
    )


def read_cursor(prefix: str, text: str, param: str) -> UUID:
    """Read the id behind a cursor. Raises InvalidRequest code `cursor_invalid`."""
    try:
        return read_id(prefix, text, param)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=param, code=ErrorCode.CURSOR_INVALID) from None


async def fetch_sparse_page(query: QuerySet[M], page: PageRequest, *, among: QuerySet[M], most: int) -> Page[M]:
    """Fetch a page of `query`, which may be of few rows `among` very many.

    No more than `most` of those are looked at.
    """
    if page.ending_before is not None:
        among = among.filter(id__gt=page.ending_before).order_by("id")
    else:
        among = (among if page.starting_after is None else among.filter(id__lt=page.starting_after)).order_by("-id")
    ends: list[UUID] = await among.offset(most - 1).limit(1).values_list("id", flat=True)  # type: ignore[assignment]
    if not ends:
        return await fetch_page(query, page)
    bounds = {"id__lte": ends[0]} if page.ending_before is not None else {"id__gte": ends[0]}
    found = await fetch_page(query.filter(**bounds), page)
    return found if found.has_more else Page(found.items, has_more=True, reached=ends[0])


# Before any id that was ever made: a page that ends there, read backward, is the last one.
OLDEST = UUID(int=0)


def turned(page: PageRequest) -> PageRequest:
    """Return the page of the newest first that holds what this one of the oldest first asks for."""
    if page.starting_after is not None:
        return PageRequest(page.limit, ending_before=page.starting_after)
    if page.ending_before is not None:
        return PageRequest(page.limit, starting_after=None if page.ending_before == OLDEST else page.ending_before)
    return PageRequest(page.limit, ending_before=OLDEST)


def is_oldest_first(order: str | None) -> bool:
    """Return whether a list comes oldest first. Raises InvalidRequest where the order is none of `Order`."""
    if order not in (None, *Order):
        raise InvalidRequest(
            f"order must be one of {', '.join(Order)}.", param="order", code=ErrorCode.PARAMETER_INVALID
        )
    return order == Order.OLDEST


async def fetch_ordered(
    fetch: Callable[[PageRequest], Awaitable[Page[T]]], page: PageRequest, order: str | None
) -> Page[T]:
    """Fetch a page in an order; `fetch` fetches one of the newest first."""
    if not is_oldest_first(order):
        return await fetch(page)
    found = await fetch(turned(page))
    return Page(found.items[::-1], found.has_more, found.reached)


async def fetch_page(query: QuerySet[M], page: PageRequest) -> Page[M]:
    """Run `query` for one page. One row more than the limit tells whether there are more."""
    if page.ending_before is not None:
        rows = list(await query.filter(id__gt=page.ending_before).order_by("id").limit(page.limit + 1))
        return Page(rows[: page.limit][::-1], len(rows) > page.limit)
    if page.starting_after is not None:
        query = query.filter(id__lt=page.starting_after)
    rows = list(await query.order_by("-id").limit(page.limit + 1))
    return Page(rows[: page.limit], len(rows) > page.limit)
