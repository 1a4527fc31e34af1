"""What a carrier is to the service."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
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
    """The carrier has the message; `ref` is its own id for it."""

    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier definitely does not have the message; `code` is of our failure catalogue."""

    code: str
    retryable: bool = False
    retry_after: float = 1.0


@dataclass(frozen=True, slots=True)
class Unknown:
    """The carrier may or may not have the message."""

    reason: str


Outcome = Accepted | Refused | Unknown


class Carrier(ABC):
    """Takes messages to handsets. A carrier implements `submit`, or `submit_many` where it can take many at once."""

    name: ClassVar[str]
    capability: Capability
    concurrency: ClassVar[int] = 50

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
        """Which of these messages the carrier has (capability `lookup`)."""
        raise NotImplementedError(f"{self.name} cannot be asked")

    async def close(self) -> None:
        """Let go of connections."""
        return
