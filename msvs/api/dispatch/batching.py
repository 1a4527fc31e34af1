"""Natural batches: requests that arrive while a statement runs share the next one.

Nothing waits when nothing is on its way, so that an idle service answers as fast as without; under load many requests
share one round trip and one fsync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741

MAX_BATCH = 200


class Batcher(Generic[K, I, O]):
    """Runs `run(key, items)` for items of one key, one batch at a time; `run` answers each item in its order.

    An answer that is an exception is raised to its own caller; an exception that `run` raises goes to all of them.
    """

    def __init__(self, run: Callable[[K, Sequence[I]], Awaitable[Sequence[O | Exception]]]) -> None:
        self._run = run
        self._waiting: dict[K, list[tuple[I, asyncio.Future[O]]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def submit(self, key: K, item: I) -> O:
        """Return the answer to one item."""
        answer: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = [(item, answer)]
            task = asyncio.create_task(self._drain(key))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            waiting.append((item, answer))
        return await answer

    async def _drain(self, key: K) -> None:
        while batch := self._waiting[key][:MAX_BATCH]:
            del self._waiting[key][:MAX_BATCH]
            await self._answer(key, batch)
        del self._waiting[key]

    async def _answer(self, key: K, batch: Sequence[tuple[I, asyncio.Future[O]]]) -> None:
        answers: Sequence[O | Exception]
        try:
            answers = await self._run(key, [item for item, _ in batch])
        except Exception as error:
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue  # its caller has gone
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
