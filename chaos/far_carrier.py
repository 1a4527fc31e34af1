"""A carrier on another host that knows our ids: it takes a message once, however often it is offered.

`python -m chaos.far_carrier -- binds` is the `msvs` command with this kind of carrier, whose messages go through the
process that holds its binds.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from typing import ClassVar
from uuid import UUID

import msgspec

from chaos.child import shorten_leases
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

KIND = "far"
ANSWER_SECONDS = 5.0
REPORTS_AT_ONCE = 200
AGAIN_SECONDS = 0.5


class FarOptions(msgspec.Struct, forbid_unknown_fields=True):
    """Where the carrier listens, and how many messages a second it takes."""

    host: str
    port: int
    rate: float


class FarCarrier(Carrier):
    """Offers each message with our id, on connections of its own, and asks for reports."""

    kind: ClassVar[str] = KIND
    holds_binds: ClassVar[bool] = True

    def __init__(self, config: CarrierConfig) -> None:
        options = config.read(FarOptions)
        self.name = config.name
        self.capability = Capability.DEDUPE
        self.rate = options.rate
        self._address = options.host, options.port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._reporting: asyncio.Task[None] | None = None

    async def open(self, take: TakeCarrierEvents) -> None:
        """Ask for reports from now on."""
        self._reporting = asyncio.create_task(self._report(take))

    async def submit(self, submission: Submission) -> Outcome:
        """Offer one message."""
        if self._reporting is None:
            return Refused("carrier_rejected", retryable=True, is_fault=True)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._ask({"id": str(submission.message_id), "to": submission.to})
        except (OSError, EOFError, TimeoutError, ValueError):
            return Unknown("disconnected")
        return Accepted(str(answer["ref"]))

    async def close(self) -> None:
        """End the connections."""
        if self._reporting is not None:
            self._reporting.cancel()
            with suppress(asyncio.CancelledError):
                await self._reporting
            self._reporting = None
        for _, writer in self._free:
            writer.close()
        self._free.clear()

    async def _ask(self, question: dict[str, object]) -> dict[str, object]:
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection(*self._address)
        is_whole = False
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            answer: dict[str, object] = json.loads(await reader.readline())
            is_whole = True
        finally:
            if is_whole:
                self._free.append((reader, writer))
            else:
                writer.close()
        return answer

    async def _report(self, take: TakeCarrierEvents) -> None:
        """Take reports, and say which were taken once they are committed."""
        while True:
            try:
                brought = (await self._ask({"reports": REPORTS_AT_ONCE}))["ids"]
                assert isinstance(brought, list)
                if brought:
                    await take([Report(f"far {id}", True, message_id=UUID(id)) for id in brought])
                    await self._ask({"taken": brought})
                    continue
            except Exception:
                # The carrier keeps what was not taken; PostgreSQL may be away.
                await asyncio.sleep(AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)


class FarServer:
    """The carrier's side: what it took by our ids, when, and how often each was offered."""

    def __init__(self) -> None:
        self.phones: dict[str, str] = {}
        self.offers: Counter[str] = Counter()
        self.accepted_at: list[float] = []
        self._reports: deque[str] = deque()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, host: str) -> int:
        """Listen. Return the port."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def stop(self) -> None:
        """Hang up."""
        self._server.close()
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, EOFError, ValueError):
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(json.loads(line))).encode() + b"\n")
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def _answer(self, question: dict[str, object]) -> dict[str, object]:
        if "reports" in question:
            # Those that nobody has taken are brought again.
            return {"ids": [self._reports[place] for place in range(min(REPORTS_AT_ONCE, len(self._reports)))]}
        if "taken" in question:
            taken = set(question["taken"]) if isinstance(question["taken"], list) else set()
            while self._reports and self._reports[0] in taken:
                self._reports.popleft()
            return {}
        id = str(question["id"])
        self.offers[id] += 1
        if id not in self.phones:
            self.phones[id] = str(question["to"])
            self.accepted_at.append(time.monotonic())
            self._reports.append(id)
        return {"ref": f"far-{id}"}


def main() -> int:
    """Run a command of the service with this kind of carrier."""
    registry.KINDS = {**registry.KINDS, KIND: FarCarrier}
    if "CHAOS_LEASE" in os.environ:
        shorten_leases(float(os.environ["CHAOS_LEASE"]))
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
