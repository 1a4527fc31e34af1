"""Message centres by others, for the SMPP carrier to be held against: npm's smpp, and smpp34."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import smpp34

LOOPBACK = "127.0.0.1"
PASSWORD = "secret"
THROTTLED = 0x58
FOLDER = Path(__file__).parent.parent / "tests" / "carriers" / "smpp" / "smsc"


class SmscError(Exception):
    """The foreign message centre cannot be started."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A part that the message centre accepted, by its own log."""

    id: str
    to: str
    text: str
    count: int
    number: int


@dataclass(frozen=True, slots=True)
class State:
    """How far a message centre has come: parts accepted, what it brought or has still to bring, and its sessions.

    `binds` counts every session that was ever bound, `sessions` those that stand.
    """

    accepted: int
    answered: int
    refused: int
    again: int
    waiting: int
    binds: int
    sessions: int


class Smsc(ABC):
    """A message centre that accepts, breaks off at will, and brings what it has until it is answered."""

    breaks: ClassVar[tuple[str, ...]]
    port: int = 0

    @abstractmethod
    async def start(self) -> None:
        """Listen on a free port of loopback. Raises SmscError."""

    @abstractmethod
    async def stop(self) -> None:
        """Listen no more."""

    @abstractmethod
    async def break_off(self, how: str) -> None:
        """End every session, in one of the ways of `breaks`."""

    @abstractmethod
    async def bring(self, messages: Sequence[tuple[str, str, str]]) -> None:
        """Bring inbound messages: from, to, text."""

    @abstractmethod
    async def calm(self) -> None:
        """No faults at random from here on."""

    @abstractmethod
    async def state(self) -> State:
        """How far it has come."""

    @abstractmethod
    async def log(self) -> list[Entry]:
        """Every part that it accepted, in order."""


class NodeSmsc(Smsc):
    """npm's smpp, in a process of its own."""

    breaks = ("kill", "unbind")

    def __init__(self, *, seed: int = 1, throttle: float = 0.0, drop: float = 0.0, by: str = "both") -> None:
        self._options = {"seed": seed, "throttle": throttle, "drop": drop, "by": by}
        self._process: asyncio.subprocess.Process | None = None
        self._asking = asyncio.Lock()

    async def start(self) -> None:
        """Start node."""
        node = shutil.which("node")
        if node is None or not (FOLDER / "node_modules" / "smpp").is_dir():
            raise SmscError(f"node with `npm ci` in {FOLDER.relative_to(FOLDER.parents[3])} is needed")
        self._process = await asyncio.create_subprocess_exec(
            node,
            str(FOLDER / "server.mjs"),
            json.dumps(self._options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = json.loads(await self._process.stdout.readline())["port"]

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    async def break_off(self, how: str) -> None:
        """Destroy the connections, or unbind."""
        await self._ask(how)

    async def bring(self, messages: Sequence[tuple[str, str, str]]) -> None:
        """Bring inbound messages."""
        await self._ask("inbound", messages=[{"from": each[0], "to": each[1], "text": each[2]} for each in messages])

    async def calm(self) -> None:
        """No throttling and no breaking off any more."""
        await self._ask("calm")

    async def state(self) -> State:
        """How far it has come."""
        return State(**await self._ask("state"))

    async def log(self) -> list[Entry]:
        """What it accepted."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "accepted"
            await self._ask("dump", path=str(path))
            lines = [json.loads(line) for line in path.read_text().splitlines() if line]
        return [Entry(each["id"], each["to"], each["text"], each["count"], each["number"]) for each in lines]

    async def _ask(self, name: str, **fields: Any) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        async with self._asking:
            process.stdin.write(json.dumps({"name": name, **fields}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(await process.stdout.readline())
        return answer


class PythonSmsc(Smsc):
    """smpp34's server, in this process."""

    breaks = ("unbind",)
    _IN_FLIGHT = 50

    def __init__(self, *, seed: int = 1, throttle: float = 0.0, drop: float = 0.0) -> None:
        self._random = Random(seed)
        self._throttle, self._drop = throttle, drop
        self._server: smpp34.Server | None = None
        self._sessions: dict[str, smpp34.Esme] = {}
        self._waiting: deque[dict[str, Any]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._more = asyncio.Event()
        self._entries: list[Entry] = []
        self._in_flight = self._answered = self._refused = self._again = self._binds = 0

    async def start(self) -> None:
        """Listen."""
        # The server does not say which port it got.
        probe = await asyncio.start_server(lambda *_: None, LOOPBACK, 0)
        self.port = probe.sockets[0].getsockname()[1]
        probe.close()
        await probe.wait_closed()
        self._server = smpp34.Server(LOOPBACK, self.port, system_id="foreign", inbound_capacity=10_000)
        await self._server.start()
        self._spawn(self._run(self._server))

    async def stop(self) -> None:
        """Listen no more."""
        assert self._server is not None
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()

    async def break_off(self, how: str) -> None:
        """Unbind every session."""
        for session in list(self._sessions.values()):
            with suppress(smpp34.SmppError):
                await session.unbind()

    async def bring(self, messages: Sequence[tuple[str, str, str]]) -> None:
        """Bring inbound messages."""
        self._waiting += [
            {"source_addr": sender, "source_addr_ton": 1, "destination_addr": to, "short_message": text.encode()}
            for sender, to, text in messages
        ]
        self._more.set()

    async def calm(self) -> None:
        """No throttling any more."""
        self._throttle = self._drop = 0.0

    async def state(self) -> State:
        """How far it has come."""
        waiting = len(self._waiting) + self._in_flight
        return State(
            len(self._entries), self._answered, self._refused, self._again, waiting, self._binds, len(self._sessions)
        )

    async def log(self) -> list[Entry]:
        """What it accepted."""
        return self._entries

    async def _run(self, server: smpp34.Server) -> None:
        while True:
            event = await server.next()
            if isinstance(event, smpp34.Esme):
                self._sessions[event.session_id] = event
                self._binds += 1
                if event.can_receive:
                    self._spawn(self._bring_to(event))
            elif isinstance(event, smpp34.SubmitSmEvent):
                self._submitted(event)
            else:
                self._sessions.pop(event.session_id, None)
                self._more.set()

    def _submitted(self, event: smpp34.SubmitSmEvent) -> None:
        if self._random.random() < self._throttle:
            event.reject(THROTTLED)
            return
        entry = self._entry(event)
        self._entries.append(entry)
        # Accepted and on its way; the answer may be lost with the connection.
        event.accept(entry.id)
        if event.registered_delivery == 1:
            text = f"id:{entry.id} submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:"
            self._waiting.append(
                {
                    "source_addr": event.destination_addr,
                    "destination_addr": event.source_addr,
                    "esm_class": 4,
                    "short_message": text.encode(),
                }
            )
            self._more.set()

    def _entry(self, event: smpp34.SubmitSmEvent) -> Entry:
        octets, count, number = event.short_message, 1, 1
        if event.esm_class & 0x40:
            count, number = octets[4], octets[5]
            octets = octets[octets[0] + 1 :]
        text = octets.decode("utf-16-be") if event.data_coding == 8 else octets.decode("latin-1")
        return Entry(f"{len(self._entries) + 1:08x}", event.destination_addr, text, count, number)

    async def _bring_to(self, session: smpp34.Esme) -> None:
        while session.session_id in self._sessions:
            if not self._waiting or self._in_flight >= self._IN_FLIGHT:
                self._more.clear()
                await self._more.wait()
                continue
            self._in_flight += 1
            self._spawn(self._deliver(session, self._waiting.popleft()))

    async def _deliver(self, session: smpp34.Esme, fields: dict[str, Any]) -> None:
        try:
            answer = await session.deliver_sm(**fields)
        except smpp34.SmppError:
            # The session broke: brought again over the next, before the rest.
            self._again += 1
            self._waiting.appendleft(fields)
            await asyncio.sleep(0.01)
        else:
            if answer.is_success:
                self._answered += 1
            else:
                self._refused += 1
                self._waiting.append(fields)
        self._in_flight -= 1
        self._more.set()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
