"""Live updates: one poller in each process reads new rows for all of its subscribers.

PostgreSQL alone is read, so it does not matter which process wrote a row or how many there are.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import Context as Variables
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from msvs.api import ids
from msvs.api.contacts.import_jobs import DUE
from msvs.api.contacts.sync_runs import RUNS
from msvs.api.context import Context
from msvs.api.dispatch.campaign_stats import campaign_stats
from msvs.api.errors import ApiError, ErrorCode, InvalidRequest, RateLimited
from msvs.api.messages import export_jobs
from msvs.api.resources import CampaignStats
from msvs.api.scope import scoped
from msvs.api.webhooks.event_tail import DEEP_EVERY, DEEP_OVERLAP, OVERLAP
from msvs.database import Row, fetch
from msvs.models import ContactImport, Export, ListSync

log = structlog.get_logger(__name__)

T = TypeVar("T")

POLL_SECONDS = 1.0

MAX_QUEUE = 2000
MAX_SUBSCRIPTIONS = 100
MAX_REPLAY = 10_000
READ_IDS = 20_000
READ_ROWS = 500

FIND_NEW_IDS = """
SELECT topic.number, child.id
FROM unnest($1::uuid[], $2::bool[], $3::uuid[]) WITH ORDINALITY AS topic (workspace_id, livemode, low, number)
CROSS JOIN LATERAL (
    SELECT child.id FROM {table} AS child
    WHERE child.workspace_id = topic.workspace_id AND child.livemode = topic.livemode AND child.id > topic.low
    ORDER BY child.id LIMIT $4
) AS child
"""
READ_LIVE_ROWS = "SELECT * FROM {table} WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3) ORDER BY id"
FIND_ROWS_SINCE = """
SELECT * FROM {table} WHERE workspace_id = $1 AND livemode = $2 AND id > $3 ORDER BY id LIMIT $4
"""
READ_WATCHED_CAMPAIGNS = """
SELECT campaign.* FROM unnest($1::uuid[], $2::bool[], $3::uuid[]) AS watched (workspace_id, livemode, id)
JOIN campaigns AS campaign
    ON campaign.id = watched.id AND campaign.workspace_id = watched.workspace_id
    AND campaign.livemode = watched.livemode
"""


class SubscriptionTooSlow(ApiError):
    """503: what happens comes faster than the subscriber takes it."""

    status = 503
    default_code = ErrorCode.SUBSCRIPTION_TOO_SLOW


@dataclass(frozen=True, slots=True)
class Topic:
    """The new rows of one table (`events`, `inbound_messages` or `notifications`) in one workspace and mode."""

    table: str
    workspace_id: UUID
    livemode: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """A campaign of one workspace and mode."""

    workspace_id: UUID
    livemode: bool
    id: UUID


@dataclass(frozen=True, slots=True)
class Progress:
    """A campaign's row and numbers at one moment."""

    row: Row
    stats: CampaignStats

    @property
    def is_final(self) -> bool:
        """Whether nothing of it will change any more, but for replies."""
        stats = self.stats
        done = self.row.status in ("completed", "canceled", "failed")
        return done and stats.queued + stats.sending + stats.sent == 0


class Inbox(Generic[T]):
    """What waits for one subscriber. `keep` is how many at most; with `latest`, older ones give way, else it ends."""

    def __init__(self, wanted: Callable[[T], bool], *, keep: int, latest: bool = False) -> None:
        self._wanted = wanted
        self._waiting: deque[T] = deque(maxlen=keep if latest else None)
        self._keep = keep
        self._latest = latest
        self._arrived = asyncio.Event()
        self._overflowed = False

    def put(self, item: T) -> None:
        """Add an item, if it is wanted."""
        if self._overflowed or not self._wanted(item):
            return
        if len(self._waiting) >= self._keep and not self._latest:
            self._overflowed = True
            self._waiting.clear()
        else:
            self._waiting.append(item)
        self._arrived.set()

    async def get(self) -> T:
        """Return the next item, when there is one. Raises SubscriptionTooSlow."""
        while not self._waiting:
            if self._overflowed:
                raise SubscriptionTooSlow(
                    "What happens comes faster than you take it; subscribe again from where you were."
                )
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()


class _Rows:
    """The subscribers of a topic and the ids that they know of."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.inboxes: list[Inbox[Row]] = []
        self.seen: set[UUID] = set()
        # Up to when all has been read; None before the first time.
        self.read_until: datetime | None = None
        self.starting = asyncio.Lock()

    def low(self, overlap: timedelta) -> UUID:
        assert self.read_until is not None
        return ids.id_at(self.read_until - overlap)


class Feed:
    """The subscribers of one process and the poller that serves them, which runs while there are any."""

    def __init__(self) -> None:
        self._topics: dict[Topic, _Rows] = {}
        self._campaigns: dict[Watched, list[Inbox[Progress]]] = {}
        self._counts: Counter[UUID] = Counter()
        self._poller: asyncio.Task[None] | None = None
        self._polls = 0
        self._read_at = 0.0

    @contextmanager
    def _counted(self, workspace_id: UUID) -> Iterator[None]:
        if self._counts[workspace_id] >= MAX_SUBSCRIPTIONS:
            raise RateLimited(
                f"A workspace has at most {MAX_SUBSCRIPTIONS} subscriptions at once.",
                code=ErrorCode.TOO_MANY_SUBSCRIPTIONS,
                retry_after=10,
            )
        self._counts[workspace_id] += 1
        try:
            yield
        finally:
            self._counts[workspace_id] -= 1
            if not self._counts[workspace_id]:
                del self._counts[workspace_id]

    async def rows(
        self, topic: Topic, *, wanted: Callable[[Row], bool], after: UUID | None = None
    ) -> AsyncGenerator[Row, None]:
        """Yield the topic's rows that are committed from now on or, with `after`, since a little before that id was
        made.

        What may be unknown to who has seen `after` is sent: rows up to DEEP_OVERLAP older may be sent again.
        Raises RateLimited, SubscriptionTooSlow, InvalidRequest.
        """
        inbox: Inbox[Row] = Inbox(wanted, keep=MAX_QUEUE)
        with self._counted(topic.workspace_id):
            state = self._topics.setdefault(topic, _Rows(topic))
            state.inboxes.append(inbox)
            try:
                await self._start(state)
                sent: set[UUID] = set()
                if after is not None:
                    low = _before(after, DEEP_OVERLAP)
                    while found := await fetch(
                        FIND_ROWS_SINCE.format(table=topic.table), topic.workspace_id, topic.livemode, low, READ_ROWS
                    ):
                        if len(sent) >= MAX_REPLAY:
                            raise InvalidRequest(
                                f"More than {MAX_REPLAY} happened since; read what you missed page by page.",
                                param="after",
                                code=ErrorCode.CURSOR_TOO_OLD,
                            )
                        for row in found:
                            sent.add(row.id)
                            if wanted(row) and row.id != after:
                                yield row
                        low = found[-1].id
                while True:
                    row = await inbox.get()
                    if row.id not in sent:
                        yield row
            finally:
                state.inboxes.remove(inbox)
                if not state.inboxes:
                    self._topics.pop(topic, None)

    async def rows_of(self, topics: Sequence[Topic], *, wanted: Callable[[Row], bool]) -> AsyncGenerator[Row, None]:
        """Yield the rows of topics of one workspace that are committed from now on.

        Raises RateLimited, SubscriptionTooSlow.
        """
        inbox: Inbox[Row] = Inbox(wanted, keep=MAX_QUEUE)
        with self._counted(topics[0].workspace_id):
            states = [self._topics.setdefault(topic, _Rows(topic)) for topic in topics]
            for state in states:
                state.inboxes.append(inbox)
            try:
                for state in states:
                    await self._start(state)
                while True:
                    yield await inbox.get()
            finally:
                for state in states:
                    state.inboxes.remove(inbox)
                    if not state.inboxes and self._topics.get(state.topic) is state:
                        del self._topics[state.topic]

    async def campaign(self, watched: Watched) -> AsyncGenerator[Progress, None]:
        """Yield a campaign now, and then whenever its numbers have changed; ends when it is over."""
        inbox: Inbox[Progress] = Inbox(lambda _: True, keep=1, latest=True)
        with self._counted(watched.workspace_id):
            watchers = self._campaigns.setdefault(watched, [])
            watchers.append(inbox)
            try:
                self.keep_polling()
                last: Progress | None = next(iter((await _read_progress([watched])).values()), None)
                while last is not None:
                    yield last
                    if last.is_final:
                        return
                    now = await inbox.get()
                    while _same(now, last):
                        now = await inbox.get()
                    last = now
            finally:
                watchers.remove(inbox)
                if not watchers and self._campaigns.get(watched) is watchers:
                    del self._campaigns[watched]

    async def contact_import(self, ctx: Context, first: ContactImport) -> AsyncGenerator[ContactImport, None]:
        """Yield an import now, and then whenever it has gone on; ends when no worker has to do with it."""
        with self._counted(first.workspace_id):
            last: ContactImport | None = first
            yield first
            while last is not None and last.status in DUE:
                await asyncio.sleep(POLL_SECONDS)
                now = await scoped(ctx, ContactImport).filter(id=first.id).first()
                if now is not None and now.updated_at != last.updated_at:
                    yield now
                last = now

    async def export(self, ctx: Context, first: Export) -> AsyncGenerator[Export, None]:
        """Yield an export now, and then whenever it has gone on; ends with it."""
        with self._counted(first.workspace_id):
            last: Export | None = first
            yield first
            while last is not None and last.status in export_jobs.DUE:
                await asyncio.sleep(POLL_SECONDS)
                now = await scoped(ctx, Export).filter(id=first.id).first()
                if now is not None and now.updated_at != last.updated_at:
                    yield now
                last = now

    async def list_sync(self, ctx: Context, first: ListSync) -> AsyncGenerator[ListSync, None]:
        """Yield a list's sync now and after each change, until it needs no more work."""
        with self._counted(first.workspace_id):
            last: ListSync | None = first
            yield first
            while last is not None and last.status in RUNS:
                await asyncio.sleep(POLL_SECONDS)
                now = await scoped(ctx, ListSync).filter(id=first.id).first()
                if now is not None and now.updated_at != last.updated_at:
                    yield now
                last = now

    async def poll(self) -> None:
        """Read what is new and hand it out."""
        self._polls += 1
        started = time.monotonic()
        # After a gap, too: what began before it may have been committed in it.
        is_deep = self._polls % DEEP_EVERY == 0 or started - self._read_at > OVERLAP.total_seconds()
        overlap = DEEP_OVERLAP if is_deep else OVERLAP
        ready = [state for state in self._topics.values() if state.read_until is not None]
        for table in {state.topic.table for state in ready}:
            await self._poll_table(table, [state for state in ready if state.topic.table == table], overlap)
        if self._campaigns:
            for watched, progress in (await _read_progress(list(self._campaigns))).items():
                for inbox in self._campaigns.get(watched, ()):
                    inbox.put(progress)
        self._read_at = started

    async def _poll_table(self, table: str, states: Sequence[_Rows], overlap: timedelta) -> None:
        now = datetime.now(UTC)
        found = await _read_ids(table, {state.topic: state.low(overlap) for state in states})
        for state in states:
            new = [id for id in found[state.topic] if id not in state.seen]
            for start in range(0, len(new), READ_ROWS):
                part = new[start : start + READ_ROWS]
                topic = state.topic
                for row in await fetch(READ_LIVE_ROWS.format(table=table), topic.workspace_id, topic.livemode, part):
                    for inbox in state.inboxes:
                        inbox.put(row)
                state.seen.update(part)
            state.read_until = now
            if self._polls % DEEP_EVERY == 0:
                floor = state.low(DEEP_OVERLAP)
                state.seen = {id for id in state.seen if id > floor}

    async def _start(self, state: _Rows) -> None:
        """Note what is there already, so that only what comes after it is new."""
        async with state.starting:
            if state.read_until is None:
                now = datetime.now(UTC)
                low = ids.id_at(now - DEEP_OVERLAP)
                found = await _read_ids(state.topic.table, {state.topic: low})
                state.seen = set(found[state.topic])
                state.read_until = now
        self.keep_polling()

    def keep_polling(self) -> None:
        """Start the poller where it does not run."""
        if self._poller is None:
            # Not in the context of the request that happens to come first.
            self._poller = asyncio.get_running_loop().create_task(self._serve(), context=Variables())

    async def _serve(self) -> None:
        try:
            while self._topics or self._campaigns:
                started = time.monotonic()
                try:
                    await self.poll()
                except Exception as error:
                    # What was missed is read by the first poll that succeeds.
                    log.warning("events not read", error=type(error).__name__)
                await asyncio.sleep(max(POLL_SECONDS / 10, POLL_SECONDS - (time.monotonic() - started)))
        finally:
            self._poller = None

    async def close(self) -> None:
        """Stop the poller."""
        if self._poller is not None:
            self._poller.cancel()
            with suppress(asyncio.CancelledError):
                await self._poller


def _before(id: UUID, span: timedelta) -> UUID:
    """Return the lowest id that can have been made so long before another."""
    return UUID(int=max(0, (id.int >> 80) - int(span.total_seconds() * 1000)) << 80)


async def _read_ids(table: str, lows: Mapping[Topic, UUID]) -> dict[Topic, list[UUID]]:
    found: dict[Topic, list[UUID]] = {topic: [] for topic in lows}
    waiting = dict(lows)
    while waiting:
        topics = list(waiting)
        rows: Iterable[Row] = await fetch(
            FIND_NEW_IDS.format(table=table),
            [topic.workspace_id for topic in topics],
            [topic.livemode for topic in topics],
            list(waiting.values()),
            READ_IDS,
        )
        read: dict[Topic, list[UUID]] = {topic: [] for topic in topics}
        for row in rows:
            read[topics[row.number - 1]].append(row.id)
        for topic, page in read.items():
            found[topic] += sorted(page)
        waiting = {topic: max(page) for topic, page in read.items() if len(page) == READ_IDS}
    return found


async def _read_progress(campaigns: Sequence[Watched]) -> dict[Watched, Progress]:
    rows = await fetch(
        READ_WATCHED_CAMPAIGNS,
        [each.workspace_id for each in campaigns],
        [each.livemode for each in campaigns],
        [each.id for each in campaigns],
    )
    stats = await campaign_stats([row.id for row in rows])
    return {Watched(row.workspace_id, row.livemode, row.id): Progress(row, stats[row.id]) for row in rows}


def _same(one: Progress, other: Progress) -> bool:
    return one.stats == other.stats and dict(one.row) == dict(other.row)
