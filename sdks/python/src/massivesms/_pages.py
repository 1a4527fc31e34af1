"""Pages of lists, which iterate over all items of all pages that follow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from typing import Any, Generic, TypeVar

from massivesms._model import Response, make

T = TypeVar("T")


class _Page(Generic[T]):
    """One page; `data` are its items as they came, newest first."""

    def __init__(self, kind: str, query: Mapping[str, Any], answer: Mapping[str, Any], response: Response) -> None:
        self._query = dict(query)
        self.data: list[T] = make(kind, list(answer.get("data") or ()))
        self.has_more = bool(answer.get("has_more"))
        self.url: str = answer.get("url", "")
        # Where to go on from a page that is short of its limit before the end; else its last item is.
        self.next_cursor: str | None = answer.get("next_cursor")
        self.response = response

    def __repr__(self) -> str:
        """Name the address and how many items there are."""
        return f"<{type(self).__name__} {self.url} items={len(self.data)} has_more={self.has_more}>"

    def __len__(self) -> int:
        """Return how many items this page has."""
        return len(self.data)

    def _turned(self) -> Iterator[T]:
        """Iterate over this page in the direction that was asked for."""
        return iter(self.data[::-1] if self._is_backward else self.data)

    @property
    def _is_backward(self) -> bool:
        return bool(self._query.get("ending_before"))

    def _next_query(self) -> dict[str, Any] | None:
        if not self.has_more or not (self.next_cursor or self.data):
            return None
        name, place = ("ending_before", 0) if self._is_backward else ("starting_after", -1)
        return self._query | {name: self.next_cursor or self.data[place].id}  # type: ignore[attr-defined]


class Page(_Page[T]):
    """One page of a list. Iterating over it goes on over the pages that follow, each fetched when it is reached.

    With `ending_before` it goes to newer items, from the oldest of them on.
    """

    def __init__(
        self,
        kind: str,
        query: Mapping[str, Any],
        answer: Mapping[str, Any],
        response: Response,
        fetch: Callable[[dict[str, Any]], Page[T]],
    ) -> None:
        super().__init__(kind, query, answer, response)
        self._fetch = fetch

    def next_page(self) -> Page[T] | None:
        """Fetch the page that follows; None after the last."""
        query = self._next_query()
        return None if query is None else self._fetch(query)

    def pages(self) -> Iterator[Page[T]]:
        """Iterate over this page and those that follow."""
        page: Page[T] | None = self
        while page is not None:
            yield page
            page = page.next_page()

    def __iter__(self) -> Iterator[T]:
        """Iterate over all items of this page and those that follow."""
        for page in self.pages():
            yield from page._turned()


class AsyncPage(_Page[T]):
    """One page of a list. Iterating over it goes on over the pages that follow, each fetched when it is reached."""

    def __init__(
        self,
        kind: str,
        query: Mapping[str, Any],
        answer: Mapping[str, Any],
        response: Response,
        fetch: Callable[[dict[str, Any]], Awaitable[AsyncPage[T]]],
    ) -> None:
        super().__init__(kind, query, answer, response)
        self._fetch = fetch

    async def next_page(self) -> AsyncPage[T] | None:
        """Fetch the page that follows; None after the last."""
        query = self._next_query()
        return None if query is None else await self._fetch(query)

    async def pages(self) -> AsyncIterator[AsyncPage[T]]:
        """Iterate over this page and those that follow."""
        page: AsyncPage[T] | None = self
        while page is not None:
            yield page
            page = await page.next_page()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Iterate over all items of this page and those that follow."""
        async for page in self.pages():
            for item in page._turned():
                yield item


class AsyncPager(Generic[T]):
    """A list that was asked for: `await` it for its first page, or iterate over it with `async for`."""

    def __init__(self, fetch: Callable[[], Awaitable[AsyncPage[T]]]) -> None:
        self._fetch = fetch

    def __await__(self) -> Generator[Any, None, AsyncPage[T]]:
        """Fetch the first page."""
        return self._fetch().__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        """Iterate over all items of all pages."""
        async for item in await self._fetch():
            yield item
