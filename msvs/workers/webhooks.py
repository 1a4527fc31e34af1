"""Deliver webhooks: many posts at once, paced for each endpoint, recorded in batches."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import structlog

from msvs import database, present
from msvs.api import ids
from msvs.api.context import Services
from msvs.api.crypto import Keyring, SecretUnreadable
from msvs.api.dispatch import traces
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.api.webhooks import signatures
from msvs.api.webhooks.deliveries import (
    GONE,
    LEASE,
    Attempt,
    ClaimedDelivery,
    EndpointLooks,
    Post,
    claim_deliveries,
    record_attempts,
    release_deliveries,
)
from msvs.api.webhooks.payloads import Content, MadeEvents, content_of
from msvs.http_client import TOTAL_SECONDS, HttpClient, HttpError, parse_retry_after
from msvs.workers.host_budgets import HostBudgets, host_of
from msvs.workers.retrying import Failures, in_parts, is_away
from msvs.workers.stopping import RECORD_SECONDS, StopFlag
from msvs.workers.traces import WebhookPost

log = structlog.get_logger(__name__)

USER_AGENT = "MassiveSMS/1.0"
SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - an error code
NOT_ABOUT_SIGNATURES = frozenset((GONE, 429))

IN_FLIGHT = 200
CLAIM_LIMIT = 500
MOST_CLAIMED = 1000
BATCH = 200
BATCH_SECONDS = 0.05
POLL_SECONDS = 0.1
# How long a record waits for a lock, before the workspaces are written one by one.
LOCK_SECONDS = 0.5

# An endpoint starts with few posts at once, earns more by answering and loses them by hanging. Where half of all
# posts are taken, those that are slow, though they answer, get no more than those that hang.
MOST_AT_ONCE = 10
FIRST_AT_ONCE = 4
SLOW_AT_ONCE = 2
SLOW_SECONDS = 1.0

# Of a quick endpoint more is claimed than is posted at once: about this much of its time.
AHEAD_SECONDS = 0.5
MOST_AHEAD = 200
# Of a slow one with batches no more than this, so that others have room.
SLOW_AHEAD = 20

# A claimed delivery is posted only while its lease, by PostgreSQL's clock, outlasts an attempt of two posts, and its
# record: so long after its claim.
HELD_SECONDS = LEASE.total_seconds() - (2 * TOTAL_SECONDS + 2)


@dataclass(slots=True, eq=False)
class _Endpoint:
    """The state of one endpoint in this run: claimed deliveries, posts in flight, and its response time."""

    at_once: int
    queue: deque[tuple[ClaimedDelivery, float]] = field(default_factory=deque)
    # Posts, and the deliveries in them.
    in_flight: int = 0
    posted: int = 0
    batch_size: int = 1
    seconds: float | None = None
    has_more: bool = False
    # Whether its next post waits for its host's budget.
    is_held: bool = False

    @property
    def claimed(self) -> int:
        return len(self.queue) + self.posted

    @property
    def target(self) -> int:
        """The number of deliveries to hold claimed."""
        least = min(self.at_once * self.batch_size, SLOW_AHEAD if self.is_slow else MOST_AHEAD)
        if self.seconds is None:
            return least
        ahead = least * AHEAD_SECONDS / max(self.seconds, 0.001)
        return max(least, min(int(ahead), MOST_AHEAD))

    @property
    def is_hungry(self) -> bool:
        return self.has_more and self.claimed <= self.target // 2

    @property
    def is_slow(self) -> bool:
        return self.at_once <= SLOW_AT_ONCE or (self.seconds is not None and self.seconds >= SLOW_SECONDS)

    def take(self) -> list[tuple[ClaimedDelivery, float]]:
        """Take what goes into the next post: one delivery, or a batch of those that came together.

        Together goes only what was claimed alike: the endpoint may have been changed between two claims.
        """
        taken = [self.queue.popleft()]
        first = taken[0][0]
        while self.queue and len(taken) < (first.batch_size or 1) and _go_together(first, self.queue[0][0]):
            taken.append(self.queue.popleft())
        return taken

    def learn(self, post: Post) -> None:
        seconds = post.elapsed_ms / 1000
        self.seconds = seconds if self.seconds is None else 0.8 * self.seconds + 0.2 * seconds
        hung = seconds >= SLOW_SECONDS and not post.succeeded
        self.at_once = SLOW_AT_ONCE if hung else min(self.at_once + 1, MOST_AT_ONCE)


def _go_together(one: ClaimedDelivery, other: ClaimedDelivery) -> bool:
    return (one.batch_size, one.replay, one.url, one.secret_sealed) == (
        other.batch_size,
        other.replay,
        other.url,
        other.secret_sealed,
    )


async def deliver_webhooks(
    services: Services, client: HttpClient, *, seconds: float = 20, stop: StopFlag | None = None
) -> int:
    """Deliver what is due until nothing is, or for about `seconds`. Return how many attempts were made.

    What is in flight at the end is finished, and recorded, first. After `stop` nothing more is claimed, and what does
    not end in time is broken off: it is due again once its lease has expired.
    """
    return await _Run(services, client, stop or StopFlag()).run(seconds)


class _Run:
    def __init__(self, services: Services, client: HttpClient, stop: StopFlag) -> None:
        self._keyring: Keyring = services.keyring
        self._rates = services.rates
        self._hosts = services.keep(HostBudgets)
        self._looks = services.keep(EndpointLooks)
        # Endpoints whose next post waits for their host's budget.
        self._held: dict[str, deque[_Endpoint]] = {}
        self._client = client
        self._stop = stop
        self._endpoints: dict[UUID, _Endpoint] = {}
        self._blocked: deque[_Endpoint] = deque()
        self._posts: set[asyncio.Task[object]] = set()
        self._claimed = 0
        self._attempts = 0
        self._secrets: dict[str, str | None] = {}
        self._made: MadeEvents = {}
        # Endpoint and event of a claimed delivery → the span that its posts are children of.
        self._parents: dict[tuple[UUID, UUID], str] = {}
        self._tasks: asyncio.TaskGroup
        self._closed = False
        # Claiming: whether there may be more than was claimed, and what wakes the claimer.
        self._more_elsewhere = False
        self._hungry = True
        self._wake = asyncio.Event()
        # Recording: what is done and not yet written.
        self._done: list[Attempt] = []
        self._some_done = asyncio.Event()
        self._record_now = asyncio.Event()

    async def run(self, seconds: float) -> int:
        async with self._stop.limit(more=RECORD_SECONDS), asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._record())
            await self._claim_until(time.monotonic() + seconds)
            await self._finish()
        return self._attempts

    async def _claim_until(self, deadline: float) -> None:
        """Claim whenever there is room; past the deadline only for as long as a post from before it hangs.

        One hanging endpoint would otherwise hold up the events of all others until it is given up.
        """
        hanging: set[asyncio.Task[object]] | None = None
        poll_at = 0.0
        while True:
            self._wake.clear()
            now = time.monotonic()
            if self._stop.is_set:
                return
            if now >= deadline:
                hanging = set(self._posts) if hanging is None else hanging & self._posts
                if not hanging:
                    return
            idle = not self._posts and not self._held
            if self._hungry or idle or now >= poll_at:
                poll_at = now + POLL_SECONDS
                if await self._claim(quick_only=hanging is not None) == 0 and idle:
                    return
            if not self._posts and not self._held:
                # Nothing more is coming to fill the batch, and an endpoint that was full may have room now.
                self._record_now.set()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def _claim(self, *, quick_only: bool) -> int:
        self._hungry = False
        limit = min(CLAIM_LIMIT, MOST_CLAIMED - self._claimed)
        if limit <= 0 or len(self._posts) >= IN_FLIGHT:
            self._more_elsewhere = True
            return 0
        room = {
            id: 0 if quick_only and known.is_slow else max(known.target - known.claimed, 0)
            for id, known in self._endpoints.items()
        }
        held_until = time.monotonic() + HELD_SECONDS
        now = await database.now()
        async with unit_of_work():
            rows = await claim_deliveries(
                limit=limit, per_endpoint=FIRST_AT_ONCE, room=room, now=now, endpoints=self._looks
            )
        parents = await traces.find(row.resource_id for row in rows)
        for row in rows:
            if row.resource_id is not None and (parent := parents.get(row.resource_id)) is not None:
                self._parents[row.endpoint_id, row.id] = parent
        self._claimed += len(rows)
        self._more_elsewhere = len(rows) >= limit
        for row in rows:
            endpoint = self._endpoints.get(row.endpoint_id)
            if endpoint is None:
                at_once = FIRST_AT_ONCE if row.failing_since is None else SLOW_AT_ONCE
                endpoint = self._endpoints[row.endpoint_id] = _Endpoint(at_once)
            endpoint.batch_size = row.batch_size or 1
            endpoint.queue.append((row, held_until))
        taken = Counter(row.endpoint_id for row in rows)
        for id, endpoint in self._endpoints.items():
            # One that was given all it had room for may have more.
            endpoint.has_more = taken[id] >= room.get(id, FIRST_AT_ONCE)
        for id in taken:
            self._start(self._endpoints[id])
        return len(rows)

    def _start(self, endpoint: _Endpoint) -> None:
        while endpoint.queue and endpoint.in_flight < endpoint.at_once:
            if len(self._posts) >= IN_FLIGHT // 2 and endpoint.is_slow and endpoint.in_flight >= SLOW_AT_ONCE:
                return
            if len(self._posts) >= IN_FLIGHT:
                self._blocked.append(endpoint)
                return
            host = host_of(endpoint.queue[0][0].url)
            wait = self._hosts.seconds_to_wait(host, self._rates)
            if wait != 0:
                self._hold(endpoint, host, wait)
                return
            self._hosts.begin(host)
            taken = endpoint.take()
            endpoint.in_flight += 1
            endpoint.posted += len(taken)
            self._posts.add(self._tasks.create_task(self._attempt(endpoint, taken)))

    def _hold(self, endpoint: _Endpoint, host: str, wait: float | None) -> None:
        """Have an endpoint wait for its host: for as long as its rate says, or until a post to it ends."""
        if endpoint.is_held:
            return
        endpoint.is_held = True
        held = self._held.setdefault(host, deque())
        held.append(endpoint)
        if wait is not None and len(held) == 1:
            asyncio.get_running_loop().call_later(wait, self._release, host)

    def _release(self, host: str) -> None:
        """Start what waits for a host, as far as its budget goes now."""
        held = self._held.get(host)
        while held and not self._closed:
            wait = self._hosts.seconds_to_wait(host, self._rates)
            if wait != 0:
                if wait is not None:
                    asyncio.get_running_loop().call_later(wait, self._release, host)
                return
            endpoint = held.popleft()
            endpoint.is_held = False
            self._start(endpoint)
        if not held:
            self._held.pop(host, None)

    async def _attempt(self, endpoint: _Endpoint, taken: Sequence[tuple[ClaimedDelivery, float]]) -> None:
        claimed = [row for row, _ in taken]
        host = host_of(claimed[0].url)
        try:
            if time.monotonic() > min(held_until for _, held_until in taken):
                async with unit_of_work():
                    await release_deliveries(claimed)
            else:
                posts = await self._deliver(claimed)
                endpoint.learn(posts[-1])
                self._attempts += len(claimed)
                attempts = [Attempt(row, posts) for row in claimed]
                if any(row.unverified_since is not None or row.replay_count for row in claimed):
                    # Written before the post counts as ended: what waits behind it may be claimed then.
                    await _record_all(attempts)
                    self._hungry = True
                else:
                    self._done.extend(attempts)
                self._some_done.set()
                if len(self._done) >= BATCH:
                    self._record_now.set()
        finally:
            self._hosts.end(host)
        endpoint.in_flight -= 1
        endpoint.posted -= len(claimed)
        self._claimed -= len(claimed)
        for row in claimed:
            self._parents.pop((row.endpoint_id, row.id), None)
        self._posts.discard(asyncio.current_task())
        if not self._closed:
            self._release(host)
            self._start(endpoint)
            while self._blocked and len(self._posts) < IN_FLIGHT:
                self._start(self._blocked.popleft())
        if endpoint.is_hungry or (self._more_elsewhere and self._claimed <= MOST_CLAIMED // 2):
            self._hungry = True
        if self._hungry or not self._posts:
            self._wake.set()

    async def _deliver(self, claimed: Sequence[ClaimedDelivery]) -> list[Post]:
        secrets = self._secrets_of(claimed[0])
        if not secrets:
            return [Post(at=present.now(), error=SECRET_UNREADABLE)]
        content = content_of(claimed, self._made)
        posts = [await self._traced_post(claimed, content, secrets)]
        status = posts[0].status
        # The document's verifier reads one signature alone, and may hold the other secret already.
        if len(secrets) > 1 and status is not None and 400 <= status < 500 and status not in NOT_ABOUT_SIGNATURES:
            posts.append(await self._traced_post(claimed, content, secrets[::-1]))
        return posts

    async def _traced_post(self, claimed: Sequence[ClaimedDelivery], content: Content, secrets: Sequence[str]) -> Post:
        if not self._parents:
            return await self._post(claimed[0], content, secrets, {})
        traced = WebhookPost(claimed, self._parents)
        post = await self._post(claimed[0], content, secrets, traced.headers)
        traced.end(post)
        return post

    async def _post(
        self, claimed: ClaimedDelivery, content: Content, secrets: Sequence[str], more: Mapping[str, str]
    ) -> Post:
        at = present.now()
        # The real time, also of a sandbox with a clock: who verifies a signature refuses one that is old.
        timestamp = int(present.real().timestamp())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "MSVS-Signature": signatures.signature_header(secrets, timestamp, content.body),
            **content.headers,
            **more,
        }
        if claimed.standard_webhooks:
            headers |= signatures.standard_headers(secrets, content.id, timestamp, content.body)
        try:
            answer = await self._client.post(claimed.url, content.body, headers)
        except HttpError as error:
            return Post(at=at, error=error.kind.value, elapsed_ms=error.elapsed_ms)
        return Post(
            at=at,
            status=answer.status,
            head=answer.head,
            elapsed_ms=answer.elapsed_ms,
            retry_after=parse_retry_after(answer.headers.get("Retry-After"), present.real()),
        )

    def _secrets_of(self, claimed: ClaimedDelivery) -> list[str]:
        """Return the secrets to sign with, that before a rotation first."""
        sealed = [claimed.secret_sealed]
        previous, until = claimed.previous_secret_sealed, claimed.previous_secret_until
        if previous is not None and until is not None and until > present.now():
            sealed.insert(0, previous)
        return [secret for text in sealed if (secret := self._open(text, claimed.endpoint_id)) is not None]

    def _open(self, sealed: str, endpoint_id: UUID) -> str | None:
        if sealed not in self._secrets:
            try:
                self._secrets[sealed] = self._keyring.open(sealed)
            except SecretUnreadable:
                log.error("webhook secret unreadable", webhook=ids.encode_id(ids.WEBHOOK, endpoint_id))
                self._secrets[sealed] = None
        return self._secrets[sealed]

    async def _finish(self) -> None:
        """Give back what was claimed and not begun, and wait for what was."""
        self._closed = True
        waiting = [row for endpoint in self._endpoints.values() for row, _ in endpoint.queue]
        if waiting:
            async with unit_of_work():
                await release_deliveries(waiting)
        with suppress(TimeoutError):
            async with self._stop.limit():
                while self._posts:
                    await asyncio.wait(set(self._posts))
        for post in self._posts:
            post.cancel()
        self._posts.clear()
        self._held.clear()
        self._some_done.set()
        self._record_now.set()

    async def _record(self) -> None:
        while not (self._closed and not self._posts and not self._done):
            await self._some_done.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(BATCH_SECONDS):
                    await self._record_now.wait()
            batch, self._done = self._done, []
            self._some_done.clear()
            self._record_now.clear()
            if batch:
                await _record_all(batch)


async def _record_all(batch: Sequence[Attempt]) -> None:
    """Write attempts down; where that breaks, those of each workspace by themselves.

    One whose endpoint somebody holds, or that cannot be written, is made again once its lease has expired.
    """

    async def record(attempts: Sequence[Attempt]) -> None:
        await database.wait_for_locks(LOCK_SECONDS)
        await record_attempts(attempts, await database.now())

    try:
        await in_unit_of_work(partial(record, batch))
        return
    except Exception as error:
        if is_away(error):
            raise
        log.error("attempts not written together", attempts=len(batch), error=type(error).__name__)
    groups: dict[UUID, list[Attempt]] = {}
    for attempt in batch:
        groups.setdefault(attempt.claimed.workspace_id, []).append(attempt)
    failures = Failures()
    for attempts in groups.values():
        try:
            await in_parts(record, attempts, failures)
        except Exception as error:
            if is_away(error):
                raise
            log.error("attempts not written", attempts=len(attempts), error=type(error).__name__)
