"""One SMPP session over one connection: its framing, window, timers and answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, cast

import structlog

from msvs.carriers.protocol import CarrierEvent
from msvs.carriers.smpp import pdu
from msvs.carriers.smpp.inbound import RESPONSE_TIMER_SECONDS, Arrival, Late, Redeliveries, to_carrier_event
from msvs.carriers.smpp.jobs import Job
from msvs.carriers.smpp.options import SmppOptions
from msvs.carriers.smpp.pdu import Bind, Command, Message, PduError
from msvs.carriers.smpp.receipts import is_receipt
from msvs.carriers.smpp.statuses import (
    INVALID_COMMAND,
    INVALID_COMMAND_LENGTH,
    OK,
    PERMANENT_APPLICATION_ERROR,
    TEMPORARY_APPLICATION_ERROR,
    status_name,
)

log = structlog.get_logger(__name__)

# So many carrier events are kept at once, and so many wait before more are put off to later.
TAKE_BATCH: Final = 500
MOST_WAITING: Final = 5_000
# A session that has answered inbound messages asks this soon for a sign that its answers arrived.
CONFIRM_SECONDS: Final = 2.0
# A message centre that unbinds has this long to answer what is in the window; then it has its unbind_resp.
UNBIND_SECONDS: Final = 5.0
MOST_OVERDUE: Final = 1_000
_INVALID_BIND_STATUS: Final = 0x04

_REQUESTS = {Command.DELIVER_SM: pdu.decode_message, Command.DATA_SM: pdu.decode_data}


# A request that brings something: command, sequence number, what it says, and its arrival unless it is a receipt.
Brought = tuple[int, int, Message, Arrival | None]


class Host(Protocol):
    """The object to which a session reports."""

    options: SmppOptions
    redeliveries: Redeliveries

    @property
    def late(self) -> Mapping[str, Late]:
        """The messages, and parts of some, whose ids came after their outcome was given."""

    def answered(self, session: Session, job: Job, status: int, message_id: str) -> None:
        """Take in the answer to a part."""

    def answered_late(self, job: Job, status: int, message_id: str) -> None:
        """Take in the answer to a part whose outcome is unknown by now."""

    def unanswered(self, jobs: Sequence[Job], reason: str) -> None:
        """Parts that were written get no answer."""

    def unread(self, word: str | None) -> None:
        """Note a receipt whose word for its state is unknown; None means that it has no id or no state."""

    def proceed(self) -> None:
        """Note that a session may take more or less than before."""

    def take(self, carrier_events: Sequence[CarrierEvent]) -> Awaitable[None]:
        """Keep carrier events for good."""


class BindRefused(Exception):
    """The message center answered a bind with an error, named in the words."""


class SessionLost(Exception):
    """The connection ended; the words say how."""


class Session(asyncio.Protocol):
    """A connection to a message center, bound once `bind` returns; `closed` is done when it is over."""

    def __init__(self, host: Host, mode: Command) -> None:
        loop = asyncio.get_running_loop()
        self.host = host
        self.mode = mode
        self.closed: asyncio.Future[None] = loop.create_future()
        self.reason = "the message centre closed the connection"
        self.is_bound = False
        self.is_leaving = False
        self._loop = loop
        self._options = host.options
        self._transport: asyncio.Transport | None = None
        self._is_writable = True
        self._buffer = b""
        self._out: list[bytes] = []
        self._sequence = 0
        # By sequence number, in the order of their deadlines.
        self.window: dict[int, tuple[Job, float]] = {}
        self._overdue: dict[int, Job] = {}
        self._controls: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._unbind_sequence: int | None = None
        self._unbind_by = 0.0
        # When each enquire_link that is not answered yet was sent, by sequence number.
        self._enquired: dict[int, float] = {}
        self._heard_at = self._confirmed_at = self._asked_at = loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._closing_by: float | None = None
        self._tick_seconds = min(1.0, self._options.enquire_seconds / 4, self._options.response_seconds / 4)
        self._waiting: deque[Brought] = deque()
        self._taking: list[Brought] = []
        self._deciding: dict[Arrival, asyncio.Task[None]] = {}
        self._is_probed = False
        self._taker: asyncio.Task[None] | None = None
        self._taker_wakes: asyncio.Future[None] | None = None
        self._quiet = asyncio.Event()
        self._quiet.set()
        # What we answered, with the sequence number of our last request before the answer.
        self._answers: deque[tuple[int, Arrival]] = deque()

    @property
    def is_open(self) -> bool:
        """Whether it is bound and nobody is about to end it."""
        return self.is_bound and not self.is_leaving

    @property
    def has_room(self) -> bool:
        """Whether a part may be written now."""
        return (
            self.is_open
            and self._is_writable
            and len(self.window) < self._options.window
            and self._transport is not None
            and not self._transport.is_closing()
        )

    async def bind(self) -> None:
        """Bind (SMPP 3.4 § 4.1). Raises BindRefused, SessionLost or PduError."""
        options = self._options
        body = pdu.encode_bind(
            Bind(system_id=options.system_id, password=options.password, system_type=options.system_type)
        )
        status, _ = await self._ask(self.mode, body)
        if status != OK:
            raise BindRefused(status_name(status))
        if not self.is_bound:
            raise BindRefused("the answer was to another request")

    def submit(self, job: Job, now: float) -> None:
        """Write the job's next part with the next `flush`; only where `has_room`. From then on it may be sent."""
        sequence = self._next_sequence()
        self.window[sequence] = (job, now + self._options.response_seconds)
        self._asked_at = now
        self._out.append(pdu.encode(Command.SUBMIT_SM, OK, sequence, job.body))

    def flush(self) -> None:
        """Hand to the transport what is to be written."""
        if self._out and self._transport is not None:
            data = b"".join(self._out)
            self._out.clear()
            self._transport.write(data)

    async def leave(self) -> None:
        """Let what is in the window be answered and what was brought be kept, unbind (§ 4.2) and close."""
        self.is_leaving = True
        while (self.window or self._waiting or self._taking or self._deciding) and not self.closed.done():
            self._quiet.clear()
            await self._quiet.wait()
        if self.is_bound:
            with suppress(SessionLost):
                await self._ask(Command.UNBIND)
        self._close("unbound")

    def end(self) -> None:
        """End the connection at once, also where it is closing and its peer does not read."""
        if self._transport is not None:
            self._transport.abort()

    def abort(self, reason: str) -> None:
        """End the connection at once."""
        if self._transport is not None and not self._transport.is_closing():
            self.reason = reason
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._heard_at = self._confirmed_at = self._asked_at = self._loop.time()
        self._timer = self._loop.call_later(self._tick_seconds, self._tick)

    def connection_lost(self, error: Exception | None) -> None:
        """End: what was written and not answered stays unknown, what was brought and not surely answered in doubt."""
        if error is not None:
            self.reason = f"the connection broke ({type(error).__name__})"
        self.is_bound = False
        if self._timer is not None:
            self._timer.cancel()
        now = self._loop.time()
        for _, _, _, arrival in (*self._taking, *self._waiting):
            self._doubt(arrival, now)
        for _, arrival in self._answers:
            self._doubt(arrival, now)
        self._answers.clear()
        self._waiting.clear()
        for future in self._controls.values():
            if not future.done():
                future.set_exception(SessionLost(self.reason))
        self._controls.clear()
        jobs = [job for job, _ in self.window.values()]
        self.window.clear()
        self._quiet.set()
        if not self.closed.done():
            self.closed.set_result(None)
        self._wake_up()
        if jobs:
            self.host.unanswered(jobs, "disconnected")
        self.host.proceed()

    def pause_writing(self) -> None:
        """Note that the message center does not read."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Note that the message center reads again."""
        self._is_writable = True
        self.host.proceed()

    def data_received(self, data: bytes) -> None:
        """Read the PDUs that are complete; octets that are none end the session."""
        if self._buffer:
            data = self._buffer + data
        at, end = 0, len(data)
        self._heard_at = self._loop.time()
        try:
            while (length := pdu.read_length(data, at)) is not None and at + length <= end:
                _, command, status, sequence = pdu.read_header(data, at)
                self._handle_one(command, status, sequence, data[at + pdu.HEADER_LENGTH : at + length])
                at += length
                if self._transport is None or self._transport.is_closing():
                    return
        except PduError as error:
            # Where the next PDU begins nobody knows any more (§ 3.2, 4.3).
            self._out.append(pdu.encode(Command.GENERIC_NACK, error.status, 0))
            self.flush()
            self._close("the message centre sent what is no PDU")
            return
        self._buffer = data[at:]
        self._wake_up()
        self.flush()
        self._settled()
        self.host.proceed()

    # Requests and responses

    def _handle_one(self, command: int, status: int, sequence: int, body: bytes) -> None:
        """Handle a PDU; where that fails, it alone does, and is asked for again where it asks for something."""
        try:
            self._handle(command, status, sequence, body)
        except Exception as error:
            # In any case, its values may be a number or a text.
            log.error("smpp_pdu_failed", command=f"0x{command:08x}", error=type(error).__name__)
            if not command & pdu.RESPONSE:
                self._answer(command, sequence, TEMPORARY_APPLICATION_ERROR)

    def _handle(self, command: int, status: int, sequence: int, body: bytes) -> None:
        if command == Command.SUBMIT_SM_RESP or command == Command.GENERIC_NACK:
            self._submit_answered(command, status, sequence, body)
        elif command & pdu.RESPONSE:
            self._control_answered(command, status, sequence, body)
        elif command in _REQUESTS:
            self._brought(command, sequence, body)
        elif command == Command.ENQUIRE_LINK:
            self._out.append(pdu.encode(Command.ENQUIRE_LINK_RESP, OK, sequence))
        elif command == Command.UNBIND:
            self.is_leaving = True
            self._unbind_sequence = sequence
            self._unbind_by = self._heard_at + min(UNBIND_SECONDS, self._options.response_seconds)
            self.reason = "the message centre unbound"
        elif command not in (Command.ALERT_NOTIFICATION, Command.OUTBIND):
            self._out.append(pdu.encode(Command.GENERIC_NACK, INVALID_COMMAND, sequence))

    def _submit_answered(self, command: int, status: int, sequence: int, body: bytes) -> None:
        entry = self.window.pop(sequence, None)
        if entry is not None:
            self._confirm(sequence)
            if command == Command.GENERIC_NACK and status == OK:
                status = INVALID_COMMAND_LENGTH
            try:
                self.host.answered(self, entry[0], status, pdu.decode_text(body) if status == OK else "")
            except Exception:
                self.host.unanswered([entry[0]], "error")
                raise
        elif (job := self._overdue.pop(sequence, None)) is not None:
            self._confirm(sequence)
            self.host.answered_late(job, status, pdu.decode_text(body))
        elif command == Command.GENERIC_NACK:
            self._control_answered(command, status or INVALID_COMMAND_LENGTH, sequence, body)

    def _control_answered(self, command: int, status: int, sequence: int, body: bytes) -> None:
        if self._enquired.pop(sequence, None) is not None:
            self._confirm(sequence)
            return
        future = self._controls.pop(sequence, None)
        if future is None or future.done():
            return
        # Parts of what follows may stand in the same octets: bound is what it is from here on.
        if command == self.mode | pdu.RESPONSE and status == OK:
            self.is_bound = True
            self._taker = self._loop.create_task(self._take())
        self._confirm(sequence)
        future.set_result((status, body))

    def _brought(self, command: int, sequence: int, body: bytes) -> None:
        now = self._heard_at
        if not self.is_bound:
            self._answer(command, sequence, _INVALID_BIND_STATUS)
            return
        try:
            message = _REQUESTS[Command(command)](body)
        except PduError:
            log.warning("smpp_message_unreadable")
            self._answer(command, sequence, PERMANENT_APPLICATION_ERROR)
            return
        if len(self._waiting) + len(self._deciding) >= MOST_WAITING:
            self._answer(command, sequence, TEMPORARY_APPLICATION_ERROR)
            return
        arrival = None if is_receipt(message) else self.host.redeliveries.arrive(message, now, self)
        brought = (command, sequence, message, arrival)
        if arrival is not None and arrival.rivals:
            task = self._loop.create_task(self._decide(arrival, brought))
            self._deciding[arrival] = task
        else:
            self._waiting.append(brought)

    async def _decide(self, arrival: Arrival, brought: Brought) -> None:
        """Wait until it is known what became of the same content's earlier arrivals over other sessions.

        A message center brings again over a session that stands what it lost with one that broke, and may be faster
        than the news of the break; a sign of life of the other session tells that it did not break.
        """
        ends = []
        for rival in arrival.rivals:
            if rival.is_open:
                end = self._loop.create_future()
                rival.waiters.append(partial(_finish, end))
                ends.append(end)
                cast(Session, rival.session).probe()
        if ends:
            await asyncio.wait(ends, timeout=self._options.response_seconds)
        self._deciding.pop(arrival, None)
        if self.closed.done():
            self.host.redeliveries.end(arrival)
            return
        self.host.redeliveries.decide(arrival, self._loop.time())
        self._waiting.append(brought)
        self._wake_up()

    def probe(self) -> None:
        """Ask for a sign that what was answered up to now has arrived, and once more with each answer from now on."""
        self._is_probed = True
        if self.is_bound and not self._enquired:
            self._ask_for_sign(self._loop.time())

    def _answer(self, command: int, sequence: int, status: int) -> None:
        # § 4.6.2: message_id is unused, and a NUL.
        self._out.append(pdu.encode(command | pdu.RESPONSE, status, sequence, b"\0"))

    async def _ask(self, command: Command, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request other than a submit; its answer's status and body. Raises SessionLost."""
        if self._transport is None or self._transport.is_closing():
            raise SessionLost(self.reason)
        sequence = self._next_sequence()
        future: asyncio.Future[tuple[int, bytes]] = self._loop.create_future()
        self._controls[sequence] = future
        self._asked_at = self._loop.time()
        self._out.append(pdu.encode(command, OK, sequence, body))
        self.flush()
        return await future

    def _next_sequence(self) -> int:
        if self._sequence == pdu.MAX_SEQUENCE:
            # Numbers begin again (§ 5.1.4), and say nothing of what came before.
            self._sequence = 0
            while self._answers:
                self.host.redeliveries.end(self._answers.popleft()[1])
        self._sequence += 1
        return self._sequence

    # What the message centre brings

    async def _take(self) -> None:
        """Keep what waits, and only then answer it: a message answered OK is kept for good."""
        while not self.closed.done():
            if not self._waiting:
                self._taker_wakes = self._loop.create_future()
                await self._taker_wakes
                continue
            batch = self._taking = [self._waiting.popleft() for _ in range(min(len(self._waiting), TAKE_BATCH))]
            status = await self._keep(batch)
            now = self._loop.time()
            is_over = self.closed.done()
            for command, sequence, _, arrival in batch:
                if status != OK:
                    self._doubt(arrival, now)
                elif arrival is not None and not is_over:
                    self._answers.append((self._sequence, arrival))
                if not is_over:
                    self._answer(command, sequence, status)
            self._taking = []
            if not is_over:
                self.flush()
                if self._is_probed:
                    self._ask_for_sign(now)
            self._settled()

    def _wake_up(self) -> None:
        if (self._waiting or self.closed.done()) and self._taker_wakes is not None and not self._taker_wakes.done():
            self._taker_wakes.set_result(None)

    async def _keep(self, batch: Sequence[Brought]) -> int:
        try:
            found = (
                to_carrier_event(
                    message, arrival.key if arrival else "", self._options, self.host.late, self.host.unread
                )
                for _, _, message, arrival in batch
            )
            carrier_events = [carrier_event for carrier_event in found if carrier_event is not None]
            if carrier_events:
                await self.host.take(carrier_events)
        except Exception as error:
            log.error("carrier_events_not_kept", error=type(error).__name__, count=len(batch))
            return TEMPORARY_APPLICATION_ERROR
        return OK

    def _confirm(self, sequence: int) -> None:
        """Note that the message center has read our request `sequence`, and so every answer written before it."""
        self._confirmed_at = self._heard_at
        answers = self._answers
        while answers and answers[0][0] < sequence:
            self.host.redeliveries.end(answers.popleft()[1])
        if not answers and not self._waiting and not self._taking:
            self._is_probed = False

    def _doubt(self, arrival: Arrival | None, now: float) -> None:
        if arrival is not None:
            self.host.redeliveries.doubt(arrival, now)

    # Time and the end

    def _tick(self) -> None:
        now = self._loop.time()
        self._timer = self._loop.call_later(self._tick_seconds, self._tick)
        if self._closing_by is not None and now >= self._closing_by and self._transport is not None:
            # A peer that reads no more would hold the connection open for ever.
            self._transport.abort()
        late: list[Job] = []
        while self.window:
            sequence, (job, deadline) = next(iter(self.window.items()))
            if deadline > now:
                break
            del self.window[sequence]
            late.append(job)
            if len(self._overdue) >= MOST_OVERDUE:
                del self._overdue[next(iter(self._overdue))]
            self._overdue[sequence] = job
        if late:
            self.host.unanswered(late, "timeout")
        for _, _, _, arrival in (*self._taking, *self._waiting):
            if arrival is not None and now - arrival.at > RESPONSE_TIMER_SECONDS:
                self._doubt(arrival, now)
        if self.is_bound:
            self._enquire(now)
        self._settled()
        if late:
            self.host.proceed()

    def _enquire(self, now: float) -> None:
        """Ask for a sign of life (§ 4.11) where nothing else that we sent was answered, and end what gives none."""
        if self._enquired:
            sent_at = next(iter(self._enquired.values()))
            if now - sent_at < self._options.response_seconds:
                return
            if self._heard_at < sent_at:
                self.abort("the message centre did not answer enquire_link")
                return
            self._enquired.clear()
        wants_sign = bool(self._answers) and now - self._asked_at >= CONFIRM_SECONDS
        if wants_sign or now - self._confirmed_at >= self._options.enquire_seconds:
            self._ask_for_sign(now)

    def _ask_for_sign(self, now: float) -> None:
        sequence = self._next_sequence()
        self._enquired[sequence] = now
        self._asked_at = now
        self._out.append(pdu.encode(Command.ENQUIRE_LINK, OK, sequence))
        self.flush()

    def _settled(self) -> None:
        """Wake anyone who waits for an idle session, and answer an unbind that waits for one, or has for too long."""
        is_quiet = not (self.window or self._waiting or self._taking or self._deciding)
        if is_quiet:
            self._quiet.set()
        if self._unbind_sequence is not None and (is_quiet or self._loop.time() >= self._unbind_by):
            self._out.append(pdu.encode(Command.UNBIND_RESP, OK, self._unbind_sequence))
            self._unbind_sequence = None
            self.flush()
            self._close(self.reason)

    def _close(self, reason: str) -> None:
        """End the connection behind what is written already."""
        if self._transport is not None and not self._transport.is_closing():
            self.reason = reason
            self._closing_by = self._loop.time() + self._options.response_seconds
            self._transport.close()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
