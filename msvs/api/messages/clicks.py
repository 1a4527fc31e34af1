"""Clicks: follow a short link, count the clicks of people, and list the links of a message."""

from __future__ import annotations

import asyncio
import tomllib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from msvs.api.context import Context, Services
from msvs.api.messages.messages import get_message
from msvs.api.resources import ClickResource, ShortLinkResource, message_resource, moment, optional_moment
from msvs.api.scope import scoped
from msvs.api.text.links import is_code
from msvs.api.unit_of_work import in_unit_of_work
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute, fetch, fetch_row
from msvs.models import Message, ShortLink
from msvs.models.workspaces import IS_HELD

log = structlog.get_logger(__name__)

WRITE_SECONDS = 0.5
# What a process keeps while the database is away; the oldest give way.
MAX_WAITING = 50_000
BATCH = 500

# By two keys: nothing that a suspended workspace sent leads anywhere.
FIND_TARGET = f"""
SELECT short_links.url, short_links.expires_at, {IS_HELD} AS is_held, short_links.workspace_id,
    workspaces.has_test_clock AND NOT short_links.livemode AS has_clock
FROM short_links JOIN workspaces ON workspaces.id = short_links.workspace_id WHERE short_links.code = $1
"""
# All links of the messages, in the order of the codes: which link of a message was the first to be clicked, no other
# writer finds out meanwhile.
HOLD_LINKS = """
SELECT code FROM short_links WHERE message_id = ANY (ARRAY(
    SELECT message_id FROM short_links WHERE code = ANY ($1::varchar[])
)) ORDER BY code FOR UPDATE
"""
# A trigger adds them to the tallies of their campaigns.
COUNT_CLICKS = """
UPDATE short_links AS link SET clicks = link.clicks + clicked.clicks,
    first_clicked_at = coalesce(link.first_clicked_at, clicked.first_at),
    last_clicked_at = greatest(link.last_clicked_at, clicked.last_at)
FROM unnest($1::varchar[], $2::int[], $3::timestamptz[], $4::timestamptz[])
    AS clicked (code, clicks, first_at, last_at)
WHERE link.code = clicked.code
RETURNING link.code, link.workspace_id, link.livemode, link.message_id, link.url, link.position, link.first_clicked_at,
    link.clicks = clicked.clicks AS is_first
"""


class Target(Protocol):
    """Where a short link leads, and until when; nowhere while its workspace is suspended."""

    url: str
    expires_at: datetime
    is_held: bool
    workspace_id: UUID
    has_clock: bool


class _Clicked(Protocol):
    code: str
    workspace_id: UUID
    livemode: bool
    message_id: UUID
    url: str
    position: int
    first_clicked_at: datetime
    is_first: bool


async def find_target(code: str) -> Target | None:
    """Return where a code leads, by look-ups of keys alone; None where there is no such link."""
    return await fetch_row(Target, FIND_TARGET, code) if is_code(code) else None


class _Programs(NamedTuple):
    """The words in a User-Agent by which a program is known, and the headers with which software fetches ahead.

    `browsers` are the beginnings of a browser's, and `phones` are names that hold such a word.
    """

    agents: tuple[str, ...]
    browsers: tuple[str, ...]
    phones: tuple[str, ...]
    headers: Mapping[bytes, tuple[bytes, ...]]


@lru_cache(maxsize=1)
def _programs() -> _Programs:
    told = tomllib.loads((files("msvs.api") / "data" / "link_programs.toml").read_text("utf-8"))
    ahead = {name.encode(): tuple(word.encode() for word in words) for name, words in told["headers"].items()}
    return _Programs(tuple(told["agents"]), tuple(told["browsers"]), tuple(told["phones"]), ahead)


def is_person(method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a person seems to follow a link, rather than a program or a browser that fetches ahead."""
    agent = headers.get(b"user-agent", b"").decode("latin-1").lower()
    known = _programs()
    for phone in known.phones:
        agent = agent.replace(phone, "")
    if method != "GET" or not agent.startswith(known.browsers) or any(word in agent for word in known.agents):
        return False
    return not any(word in headers.get(name, b"").lower() for name, words in known.headers.items() for word in words)


class Click(NamedTuple):
    """A click of a person."""

    code: str
    at: datetime


class Clicks:
    """The clicks that a process has yet to write."""

    def __init__(self) -> None:
        self._waiting: deque[Click] = deque(maxlen=MAX_WAITING)

    def note(self, code: str, at: datetime) -> None:
        """Note a click; it is written a moment later, so that the redirect waits for nothing."""
        self._waiting.append(Click(code, at))

    async def write(self, services: Services) -> int:
        """Write what waits, batch by batch. Return how many; what cannot be written now waits on."""
        written = 0
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await in_unit_of_work(lambda batch=batch: record_clicks(services, batch))  # type: ignore[misc]
            except BaseException:
                room = MAX_WAITING - len(self._waiting)
                self._waiting.extendleft(reversed(batch[-room:] if room else []))
                raise
            written += len(batch)
        return written


async def record_clicks(services: Services, clicks: Sequence[Click]) -> None:
    """Count clicks, and record `message.clicked` for the first of each link, in the current unit of work."""
    times: dict[str, list[datetime]] = {}
    for click in clicks:
        times.setdefault(click.code, []).append(click.at)
    await execute(HOLD_LINKS, list(times))
    rows = await fetch(
        _Clicked,
        COUNT_CLICKS,
        list(times),
        [len(each) for each in times.values()],
        [min(each) for each in times.values()],
        [max(each) for each in times.values()],
    )
    firsts = [row for row in rows if row.is_first]
    if not firsts:
        return
    found = {row.id: row for row in await Message.filter(id__in=list({row.message_id for row in firsts}))}
    # By when they were clicked, which in a sandbox with a clock is a time of its own.
    now = services.clock()
    events: dict[datetime, list[NewEvent]] = {}
    for row in firsts:
        message = found.get(row.message_id)
        if message is not None:
            told = ClickResource(url=row.url, position=row.position, clicked_at=moment(row.first_clicked_at))
            data = message_resource(message, click=told)
            at = max(now, row.first_clicked_at)
            event = NewEvent(EventType.MESSAGE_CLICKED, row.workspace_id, row.livemode, message.id, data)
            events.setdefault(at, []).append(event)
    for at, recorded in events.items():
        await record_events(recorded, at)


@asynccontextmanager
async def writing(services: Services) -> AsyncIterator[None]:
    """Write the clicks that are noted meanwhile, and the rest at the end."""
    kept = services.keep(Clicks)
    task = asyncio.create_task(_write_on(services, kept))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await _write(services, kept)


async def _write_on(services: Services, kept: Clicks) -> None:
    failed = False
    while True:
        await asyncio.sleep(WRITE_SECONDS)
        failed = not await _write(services, kept, is_news=not failed)


async def _write(services: Services, kept: Clicks, *, is_news: bool = True) -> bool:
    """Write what waits. Return whether that went well: nothing that befalls the clicks ends a process."""
    try:
        await kept.write(services)
    except Exception as error:
        if is_news:
            log.warning("clicks wait to be written", error=type(error).__name__)
        return False
    return True


async def list_links(ctx: Context, message_id: UUID) -> list[ShortLinkResource]:
    """List the short links of a message in the order of its body. Raises NotFound."""
    await get_message(ctx, message_id)
    rows = await scoped(ctx, ShortLink).filter(message_id=message_id).order_by("position")
    return [link_resource(ctx.services, row) for row in rows]


def link_resource(services: Services, row: ShortLink) -> ShortLinkResource:
    """Return the public shape of a short link."""
    return ShortLinkResource(
        short_url=f"{services.link_base}/{row.code}",
        url=row.url,
        position=row.position,
        clicks=row.clicks,
        first_clicked_at=optional_moment(row.first_clicked_at),
        last_clicked_at=optional_moment(row.last_clicked_at),
        expires_at=moment(row.expires_at),
    )
