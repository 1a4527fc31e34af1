"""The carrier that a worker uses when another process holds the binds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from uuid import UUID

import structlog

from msvs.carriers.frames import (
    FROM_OWNER,
    Answer,
    Ask,
    Found,
    FrameError,
    Go,
    Hello,
    Line,
    Offer,
    Progress,
    Taken,
    Welcome,
)
from msvs.carriers.protocol import Carrier, Outcome, Refused, Submission, Unknown
from msvs.database import Row, fetch_row

log = structlog.get_logger(__name__)

# As many messages of the greatest length fit in a frame.
BATCH = 500
CONNECT_SECONDS = 2.0
# A process that does not take an offer in this time is stuck; nothing of the offer was submitted.
OFFER_SECONDS = 5.0
ASK_SECONDS = 30.0
RETRY_SECONDS = 2.0

# Of a process that is gone, or cannot reach the database, the row is older.
FIND_OWNER = """
SELECT address, token, bound, wanted, detail FROM carrier_sessions
WHERE name = $1 AND updated_at > clock_timestamp() - interval '10 seconds'
"""


AWAY = Refused("carrier_rejected", retryable=True, retry_after=RETRY_SECONDS, is_fault=True)
LOST = Unknown("bind process lost")


class OwnerAway(Exception):
    """No process holds the carrier's binds, or it takes nothing now."""


class RemoteCarrier(Carrier):
    """Hands messages to the process that holds the binds of `carrier`, which stays unopened.

    What that process had not begun when it went away is refused for the moment; what it had begun and not answered is
    unknown, and so is all that has no answer when the connection to it breaks.
    """

    kind: str  # type: ignore[misc]  # the kind of the carrier that it stands for

    def __init__(self, carrier: Carrier) -> None:
        self.kind = carrier.kind
        self.name = carrier.name
        self.capability = carrier.capability
        self.rate = carrier.rate
        # One batch a connection at a time; these wait for the next.
        self._idle: list[Line] = []

    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message."""
        return (await self.submit_many([submission]))[0]

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Hand over many messages; the outcomes in the same order."""
        outcomes: list[Outcome] = []
        for start in range(0, len(submissions), BATCH):
            outcomes += await self._hand_over(submissions[start : start + BATCH])
        return outcomes

    async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        """Return which of these messages the carrier has. Raises OwnerAway when it cannot be asked now."""
        found: dict[UUID, bool] = {}
        for start in range(0, len(message_ids), BATCH):
            found |= await self._ask(message_ids[start : start + BATCH])
        return found

    async def check(self) -> str | None:
        """Return what is wrong with the binds, as the process that holds them wrote it down."""
        row = await find_owner(self.name)
        if row is None:
            return "no process holds its binds"
        detail: str | None = row.detail
        return detail

    async def close(self) -> None:
        """Release the connections."""
        while self._idle:
            self._idle.pop().close()

    async def _hand_over(self, submissions: Sequence[Submission]) -> list[Outcome]:
        offered = time.monotonic()
        try:
            async with asyncio.timeout(OFFER_SECONDS):
                line = await self.offer(submissions)
            # Stopped meanwhile, this process may have lost its lease: the time-out need not be the first to wake.
            if time.monotonic() - offered > OFFER_SECONDS:
                line.close()
                raise OwnerAway
        except Exception as error:
            # In any case: without the word to go nothing is submitted.
            log.warning("not handed over", carrier=self.name, messages=len(submissions), error=type(error).__name__)
            return [AWAY] * len(submissions)
        return await self._finish(line, len(submissions))

    async def offer(self, submissions: Sequence[Submission]) -> Line:
        """Return a connection whose other end has the whole batch and waits for the word to go."""
        offer = Offer(list(submissions))
        line, answer = await self._exchange(offer)
        if isinstance(answer, Taken):
            return line
        line.close()
        raise OwnerAway

    async def _finish(self, line: Line, number: int) -> list[Outcome]:
        """Give the word to go and gather the outcomes."""
        outcomes: list[Outcome | None] = [None] * number
        left = number
        # How many may have been submitted.
        begun = 0
        try:
            await line.send(Go())
            while left:
                progress = await line.receive(FROM_OWNER)
                if not isinstance(progress, Progress):
                    raise FrameError("not of a batch")
                begun = max(begun, progress.begun)
                left -= _note(progress.answers, outcomes)
        except Exception as error:
            line.close()
            log.error("hand-over interrupted", carrier=self.name, messages=left, error=type(error).__name__)
            if not isinstance(error, EOFError):
                begun = number
        except BaseException:
            # Answers that come after all must not be taken for those of the next batch.
            line.close()
            raise
        else:
            self._idle.append(line)
        return [outcome or (LOST if each < begun else AWAY) for each, outcome in enumerate(outcomes)]

    async def _ask(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                line, answer = await self._exchange(Ask(list(message_ids)))
        except (OSError, EOFError, FrameError) as error:
            raise OwnerAway(type(error).__name__) from None
        if not isinstance(answer, Found):
            line.close()
            raise OwnerAway
        self._idle.append(line)
        return answer.found

    async def _exchange(self, frame: Offer | Ask) -> tuple[Line, object]:
        """Send a frame and read what follows it, on a connection of before if one still stands."""
        while self._idle:
            line = self._idle.pop()
            try:
                return line, await _exchange(line, frame)
            except (OSError, EOFError):
                continue  # of a process that is gone
        line = await self._connect()
        return line, await _exchange(line, frame)

    async def _connect(self) -> Line:
        """Connect to the process that holds the binds, and show its token."""
        row = await find_owner(self.name)
        if row is None:
            raise OwnerAway
        host, _, port = row.address.rpartition(":")
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            line = Line(reader, writer)
            if not isinstance(await _exchange(line, Hello(self.name, row.token)), Welcome):
                line.close()
                raise OwnerAway
        return line


async def find_owner(name: str) -> Row | None:
    """Return who holds the binds of a carrier: its address, token, `bound` of `wanted` binds and `detail`.

    Or None.
    """
    return await fetch_row(FIND_OWNER, name)


async def _exchange(line: Line, frame: Hello | Offer | Ask) -> object:
    try:
        await line.send(frame)
        return await line.receive(FROM_OWNER)
    except BaseException:
        line.close()
        raise


def _note(answers: Sequence[Answer], outcomes: list[Outcome | None]) -> int:
    """Record the outcomes of a frame. Return the count. Raises FrameError for what does not fit the batch."""
    for answer in answers:
        if not 0 <= answer.number < len(outcomes) or outcomes[answer.number] is not None or answer.outcome is None:
            raise FrameError("an answer to no question")
        outcomes[answer.number] = answer.outcome
    return len(answers)
