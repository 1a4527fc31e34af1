"""Relay connections: an id is the cursor, so pages stay stable when resources are added or deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Generic, Protocol, TypeVar
from uuid import UUID

import strawberry

from msvs.api import ids
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.pages import DEFAULT_LIMIT, MAX_LIMIT, OLDEST, Order, Page, PageRequest, read_cursor
from msvs.graphql.fields import field

N = TypeVar("N")


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


R = TypeVar("R", bound=_Identified)

First = Annotated[
    int | None,
    strawberry.argument(
        description=f"The number of items from the newest, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} by default."
    ),
]
After = Annotated[str | None, strawberry.argument(description="The cursor after which `first` starts: an `endCursor`.")]
Last = Annotated[int | None, strawberry.argument(description=f"The number of items from the oldest, 1 to {MAX_LIMIT}.")]
Before = Annotated[str | None, strawberry.argument(description="The cursor before which `last` ends: a `startCursor`.")]


OrderBy = Annotated[Order, strawberry.argument(description="The order.")]


@strawberry.type(description="The position of a page in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether older items follow this page.")
    has_previous_page: bool = strawberry.field(description="Whether newer items come before this page.")
    start_cursor: str | None = strawberry.field(description="The cursor of the first item; null on an empty page.")
    end_cursor: str | None = strawberry.field(description="The cursor of the last item; null on an empty page.")


@strawberry.type(description="An item of a list with its cursor.")
class Edge(Generic[N]):
    cursor: str = strawberry.field(description="The position of the item in the list: its id.")
    node: N = strawberry.field(description="The item.")


@strawberry.type(description="One page of a list, newest first.")
class Connection(Generic[N]):
    edges: list[Edge[N]] = strawberry.field(description="The items with their cursors.")
    nodes: list[N] = strawberry.field(description="The items alone.")
    page_info: PageInfo = strawberry.field(description="The position of this page in the list.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @field("The number of items in the whole list. Counted only if you ask for it.")
    async def total_count(self) -> int:
        return await self.count()


def read_page(prefix: str, first: int | None, after: str | None, last: int | None, before: str | None) -> PageRequest:
    """Read the page that the four arguments of a connection ask for. Raises InvalidRequest with `param`."""
    if first is not None and last is not None:
        raise InvalidRequest("Give first or last, not both.", param="last", code=ErrorCode.CURSOR_CONFLICT)
    for name, number in (("first", first), ("last", last)):
        if number is not None and not 0 <= number <= MAX_LIMIT:
            raise InvalidRequest(
                f"{name} must be from 0 to {MAX_LIMIT}.", param=name, code=ErrorCode.PARAMETER_OUT_OF_RANGE
            )
    if last is None:
        if before is not None:
            raise InvalidRequest("before goes with last.", param="before", code=ErrorCode.CURSOR_CONFLICT)
        limit = DEFAULT_LIMIT if first is None else first
        return PageRequest(limit, starting_after=None if after is None else read_cursor(prefix, after, "after"))
    if after is not None:
        raise InvalidRequest("after goes with first.", param="after", code=ErrorCode.CURSOR_CONFLICT)
    return PageRequest(last, ending_before=OLDEST if before is None else read_cursor(prefix, before, "before"))


def connect(
    prefix: str | Callable[[R], str],
    request: PageRequest,
    page: Page[R],
    shape: Callable[[R], N],
    count: Callable[[], Awaitable[int]],
) -> Connection[N]:
    """Return a page of rows, each of one id prefix or its own, as a connection.

    `count` is awaited only for `totalCount`.
    """
    nodes = [shape(row) for row in page.items]
    prefixes = [prefix if isinstance(prefix, str) else prefix(row) for row in page.items]
    cursors = [ids.encode_id(each, row.id) for each, row in zip(prefixes, page.items, strict=True)]
    backward = request.ending_before is not None
    beyond = (request.ending_before if backward else request.starting_after) not in (None, OLDEST)
    first, last = (cursors[0], cursors[-1]) if cursors else (None, None)
    if page.reached is not None and isinstance(prefix, str):
        # Few were found among those looked at: the list goes on from where that ended.
        reached = ids.encode_id(prefix, page.reached)
        first, last = (reached, last) if backward else (first, reached)
    return Connection(
        edges=[Edge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=beyond if backward else page.has_more,
            has_previous_page=page.has_more if backward else beyond,
            start_cursor=first,
            end_cursor=last,
        ),
        count=count,
    )
