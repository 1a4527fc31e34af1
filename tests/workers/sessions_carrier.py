"""A carrier with sessions, for tests: it writes what happens to it into a file, which outlives its process.

`python -m tests.workers.sessions_carrier …` is the `msvs` command with this kind of carrier.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from msvs import cli
from msvs.carriers import registry
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import (
    Accepted,
    Capability,
    Carrier,
    Outcome,
    Refused,
    Report,
    Submission,
    TakeCarrierEvents,
    Unknown,
)
from msvs.workers import carrier_binds

KIND = "file"


class FileOptions(msgspec.Struct, forbid_unknown_fields=True):
    """`book` is the file; what it is asked to hold it holds until `book` with `.go` after its name is there."""

    book: str
    rate: float | None = None


class FileCarrier(Carrier):
    """Does with a message what its body says: `refuse`, `unknown`, `break`, `hold`, `report`; accepts any other."""

    kind: ClassVar[str] = KIND
    concurrency: ClassVar[int] = 4
    holds_binds: ClassVar[bool] = True

    def __init__(self, config: CarrierConfig) -> None:
        options = config.read(FileOptions)
        self.name = config.name
        self.capability = Capability.LOOKUP
        self.rate = options.rate
        self.book = Path(options.book)
        self.wanted = 2
        self.bound = 0
        self.take: TakeCarrierEvents | None = None

    async def open(self, take: TakeCarrierEvents) -> None:
        """Open, unless there is a file of the book's name and `.broken`."""
        if self._is_there(".broken"):
            self._write("broken")
            raise ConnectionRefusedError
        self.take = take
        self.bound = 2
        self._write("open")

    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message."""
        if self.take is None:
            return Refused("carrier_rejected", retryable=True, is_fault=True)
        self._write("submit", submission.message_id)
        match submission.body:
            case "refuse":
                return Refused("invalid_number")
            case "unknown":
                return Unknown("timeout")
            case "break":
                raise ZeroDivisionError
            case "hold":
                while not self._is_there(".go"):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            case "report":
                await self.take([Report(submission.message_id.hex, True, message_id=submission.message_id)])
            case _:
                # Later ones are answered sooner.
                await asyncio.sleep(0.01 / int(submission.message_id))
        return Accepted(f"ref-{submission.message_id}", ("a", "b"))

    async def look_up(self, message_ids: Sequence[UUID]) -> dict[UUID, bool]:
        """Which messages are in the book."""
        found = {entry["message"] for entry in read_book(self.book)}
        return {message_id: str(message_id) in found for message_id in message_ids}

    async def check(self) -> str | None:
        """What is wrong."""
        return None if self.bound == self.wanted else "not bound " * 20

    async def close(self) -> None:
        """Close, unless there is a file of the book's name and `.stuck`."""
        if self._is_there(".stuck"):
            raise TimeoutError
        self.take = None
        self.bound = 0
        self._write("close")

    def _is_there(self, ending: str) -> bool:
        return Path(f"{self.book}{ending}").exists()

    def _write(self, what: str, message_id: UUID | None = None) -> None:
        entry = {"what": what, "pid": os.getpid(), "message": message_id and str(message_id)}
        with self.book.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def read_book(path: Path) -> list[dict[str, Any]]:
    """What happened to the carrier, in order, in all processes."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    registry.KINDS = {KIND: FileCarrier}
    # How soon PostgreSQL gives up a process that is stopped.
    carrier_binds.LOCK_SETTINGS["idle_session_timeout"] = os.environ.get("SESSIONS_IDLE", "10s")
    sys.exit(cli.main())
