"""The interface of a carrier."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID


class Capability(StrEnum):
    """How an unknown outcome can be resolved.

    `dedupe`: submitting the same id again is harmless; `lookup`: the carrier can be asked; `none`: only a delivery
    report will tell, and the message is never submitted again.
    """

    DEDUPE = "dedupe"
    LOOKUP = "lookup"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Submission:
    """One message to hand over. `attempt` counts from 1."""

    message_id: UUID
    workspace_id: UUID
    livemode: bool
    to: str
    sender: str
    body: str
    encoding: str
    segments: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The carrier has the message; `ref` is its own id for it.

    `part_refs` are the ids of its parts, in order, where each gets a delivery report of its own; else empty.
    """

    ref: str | None = None
    part_refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier definitely does not have the message; `code` is of our failure catalogue.

    `retryable`: the same carrier may take it after `retry_after` seconds. `is_fault`: the trouble is the carrier's (it
    is away, or refuses our credentials) and not the message's; it counts for the carrier's circuit breaker.
    `may_last`: it answered for a reason that we do not know and that may be the message's, so it is not asked forever.
    """

    code: str
    retryable: bool = False
    retry_after: float = 1.0
    is_fault: bool = False
    may_last: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The carrier may or may not have the message."""

    reason: str


Outcome = Accepted | Refused | Unknown


@dataclass(frozen=True, slots=True)
class Report:
    """A delivery report, of the message with our `message_id` or with the carrier's `carrier_ref`.

    One of a part alone has both, and says by `part_count` of how many parts its message is.
    `dedupe_key` is the same whenever the carrier brings the same report again (at most 200 characters). `error_code` is
    of our failure catalogue, where it was not delivered.
    """

    dedupe_key: str
    is_delivered: bool
    error_code: str | None = None
    message_id: UUID | None = None
    carrier_ref: str | None = None
    part_count: int | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from a handset: E.164 (or as the carrier writes it) to one of our senders.

    Part `part_number` (from 1) of the `part_count` that share `part_ref`, where the carrier brings long ones in parts.
    `is_opt_out`: the carrier itself has taken it for one, and confirmed it, regardless of the words. `is_garbled`:
    its text could not surely be read as it was written.
    """

    dedupe_key: str
    from_phone: str
    to_sender: str
    text: str
    part_ref: str | None = None
    part_number: int | None = None
    part_count: int | None = None
    is_opt_out: bool = False
    is_garbled: bool = False


CarrierEvent = Report | Inbound
# Keeps carrier events for good; once it returns, the carrier may be told that they arrived.
TakeCarrierEvents = Callable[[Sequence[CarrierEvent]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Callback:
    """A request of a carrier to us. `kind` is `reports` or `inbound`; `url` is the public one, with its query.

    Header names are in lower case; `now` is aware UTC.
    """

    kind: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    now: datetime


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The carrier events of a callback, and the acknowledgment that the carrier expects."""

    carrier_events: Sequence[CarrierEvent]
    status: int = 200
    content_type: str = "text/plain"
    body: bytes = b""


class CallbackRefused(Exception):
    """A callback that is not the carrier's, too old, or not readable; `status` is the answer to it."""

    def __init__(self, reason: str, *, status: int = 403) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Carrier(ABC):
    """Takes messages to handsets. A carrier implements `submit`, or `submit_many` where it can take many at once.

    `kind` is the kind of carrier, `name` what the operator calls this one. `rate` is what it takes, in messages a
    second, all workers together; None is no limit. A carrier that `holds_binds` is opened in one process of the
    service alone, which workers hand their messages.
    """

    kind: ClassVar[str]
    name: str
    capability: Capability
    rate: float | None = None
    concurrency: ClassVar[int] = 50
    holds_binds: ClassVar[bool] = False

    @abstractmethod
    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message. Never raises for what the carrier does: that is an outcome."""

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Hand over many messages, at most `concurrency` at once; the outcomes in the same order."""
        gate = asyncio.Semaphore(self.concurrency)

        async def one(submission: Submission) -> Outcome:
            async with gate:
                return await self.submit(submission)

        return list(await asyncio.gather(*(one(submission) for submission in submissions)))

    async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        """Return which of these messages the carrier has (capability `lookup`)."""
        raise NotImplementedError(f"{self.name} cannot be asked")

    async def open(self, take: TakeCarrierEvents) -> None:
        """Begin the binds, where there are any; what they bring goes to `take`."""
        return

    async def check(self) -> str | None:
        """Return what is wrong with the carrier as far as can be told without sending, or None."""
        return None

    def read_callback(self, callback: Callback) -> CallbackAnswer:
        """Return what a request to /carriers/{name}/{kind} brings.

        Raises CallbackRefused unless its signature is right.
        """
        raise CallbackRefused(f"{self.kind} brings nothing by HTTP", status=404)

    async def close(self) -> None:
        """End binds and release connections."""
        return
