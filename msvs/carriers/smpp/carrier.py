"""The SMPP carrier: submit messages to a message center over sessions, and store carrier events."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Sequence
from typing import ClassVar, Final

import structlog

from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import (
    Capability,
    Carrier,
    CarrierEvent,
    Outcome,
    Refused,
    Report,
    Submission,
    TakeCarrierEvents,
    Unknown,
)
from msvs.carriers.smpp.inbound import Late, Redeliveries
from msvs.carriers.smpp.jobs import Batch, Composer, Job, TooLong
from msvs.carriers.smpp.link import Link
from msvs.carriers.smpp.options import SmppOptions, read_options
from msvs.carriers.smpp.pacing import Pacer
from msvs.carriers.smpp.pdu import Command, PduError
from msvs.carriers.smpp.receipts import response_ref
from msvs.carriers.smpp.session import Session
from msvs.carriers.smpp.statuses import FAULT_RETRY_SECONDS, OK, RETRY_SECONDS, THROTTLES, refusal

log = structlog.get_logger(__name__)

# Ids that came after their outcome was given up, for the receipts that will name them.
MOST_LATE: Final = 10_000
# Words of receipts that nobody knows, each counted.
MOST_UNREAD: Final = 1_000
AGAIN_SECONDS: Final = 1.0
KEEP_RETRY_SECONDS: Final = 1.0
FINISH_SECONDS: Final = 20.0
LEAVE_SECONDS: Final = 5.0

_NO_SESSION: Final = Refused("carrier_rejected", retryable=True, retry_after=FAULT_RETRY_SECONDS, is_fault=True)
_NO_TURN: Final = Refused("carrier_rejected", retryable=True, retry_after=RETRY_SECONDS)
_CLOSING: Final = Refused("carrier_rejected", retryable=True, retry_after=FAULT_RETRY_SECONDS)


class SmppCarrier(Carrier):
    """A message center reached by SMPP 3.4.

    What was written to a connection and not answered is unknown, and never written again; what was not written is
    refused for the moment. A message of several parts goes out part by part, each after the last was accepted. A
    deliver_sm is answered OK only once what it brings is kept.
    """

    kind: ClassVar[str] = "smpp"
    holds_binds: ClassVar[bool] = True

    def __init__(self, name: str, options: SmppOptions) -> None:
        self.name = name
        self.capability = Capability.NONE
        self.rate = options.rate
        self.options = options
        self.redeliveries = Redeliveries()
        self.late: dict[str, Late] = {}
        self._unread: Counter[str] = Counter()
        self._codes = options.status_codes()
        self._tls = options.tls_context()
        self._composer = Composer(options, reference=random.randrange(0x10000))  # noqa: S311 - no secret
        self._pacer = None if options.rate is None else Pacer(options.rate)
        self._links: list[Link] = []
        self._take: TakeCarrierEvents | None = None
        self._is_closing = False
        # What waits for its first part to go out, by deadline; and messages that are out in part, which go first.
        self._queue: deque[Job] = deque()
        self._begun: deque[Job] = deque()
        self._held_until = 0.0
        self._timer: asyncio.Handle | None = None
        self._wakes_at = 0.0
        self._is_due = False
        self._at_carrier = 0
        self._none_at_carrier = asyncio.Event()
        self._none_at_carrier.set()
        self._keeping: set[asyncio.Task[None]] = set()

    @property
    def wanted(self) -> int:
        """The number of sessions that there should be."""
        return self.options.binds * (1 if self.options.bind == "transceiver" else 2)

    @property
    def bound(self) -> int:
        """The number of bound sessions."""
        return sum(link.is_open for link in self._links)

    @property
    def capacity(self) -> int:
        """The number of messages in the windows of all sessions; more would only wait."""
        return self.options.binds * self.options.window

    async def open(self, take: TakeCarrierEvents) -> None:
        """Begin the sessions, which connect by themselves; what they bring goes to `take`."""
        self._take = take
        if self.options.bind == "transceiver":
            modes: tuple[Command, ...] = (Command.BIND_TRANSCEIVER,)
        else:
            modes = (Command.BIND_TRANSMITTER, Command.BIND_RECEIVER)
        self._links = [
            Link(self, mode, name=self.name, tls=self._tls) for _ in range(self.options.binds) for mode in modes
        ]

    async def check(self) -> str | None:
        """Return why no session takes messages, or none brings reports, or None if both do."""
        problems = []
        for mode in dict.fromkeys(link.mode for link in self._links):
            links = [link for link in self._links if link.mode is mode]
            if not any(link.is_open for link in links):
                problems.append(next((link.problem for link in links if link.problem), "unbinding"))
        if not self._links:
            return "no session was opened"
        return f"no session is bound: {problems[0]}" if problems else None

    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message."""
        return (await self.submit_many([submission]))[0]

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Hand over many messages, as many at once as the windows hold; the outcomes in the same order."""
        batch = Batch(len(submissions))
        if not submissions:
            return []
        deadline = asyncio.get_running_loop().time() + self.options.queue_seconds
        for index, submission in enumerate(submissions):
            try:
                bodies = self._composer.bodies(submission)
            except (PduError, TooLong):
                batch.settle(index, Refused("carrier_rejected"))
                continue
            self._queue.append(Job(submission, bodies, batch, index, deadline))
        # What many callers hand over at the same time is written at once.
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self._due)
        return await batch.wait()

    async def close(self) -> None:
        """Hand back what has not begun, finish what has, unbind, and close the connections."""
        self._is_closing = True
        self._refuse_queued(_CLOSING)
        self.proceed()
        seconds = self.options.response_seconds
        try:
            async with asyncio.timeout(min(seconds, FINISH_SECONDS) + self.options.throttle_seconds):
                await self._none_at_carrier.wait()
        except TimeoutError:
            log.warning("smpp_closed_unfinished", carrier=self.name, count=self._at_carrier)
        await asyncio.gather(*(link.close(min(LEAVE_SECONDS, seconds)) for link in self._links))
        while self._begun:
            self._give_up(self._begun.popleft(), "carrier_rejected")
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=LEAVE_SECONDS)
        for task in self._keeping:
            task.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._links = []

    # What sessions report

    def answered(self, session: Session, job: Job, status: int, message_id: str) -> None:
        """Take in the answer to a part: it is accepted, refused for good, or to be tried again."""
        now = asyncio.get_running_loop().time()
        if status in THROTTLES:
            self._held_until = max(self._held_until, now + self.options.throttle_seconds)
        if status == OK:
            job.refs.append(response_ref(message_id, self.options.id_format))
            if job.is_complete:
                if job.is_abandoned:
                    self._remember(job, job.refs)
                self._settle(job, job.accepted())
            else:
                self._go_on(job, session, now)
            return
        refused = refusal(status, self._codes)
        if not job.refs:
            self._settle(job, refused)
        elif refused.retryable and now < job.deadline:
            self._held_until = max(self._held_until, now + self.options.throttle_seconds)
            self._go_on(job, session, now)
        else:
            self._give_up(job, refused.code)

    def answered_late(self, job: Job, status: int, message_id: str) -> None:
        """Take in an answer that comes too late for an outcome: bring it as a report, or keep it for the receipt."""
        if not job.is_at_last:
            return
        if status != OK:
            self._keep(_not_delivered(job, refusal(status, self._codes).code))
        else:
            self._remember(job, [response_ref(message_id, self.options.id_format)])

    def unanswered(self, jobs: Sequence[Job], reason: str) -> None:
        """Parts that may have been sent: nobody knows. A message that lacks others besides has failed for certain."""
        for job in jobs:
            if job.is_at_last:
                self._remember(job, job.refs)
                self._settle(job, Unknown(reason))
            else:
                self._give_up(job, "carrier_rejected", Unknown(reason))

    def unread(self, word: str | None) -> None:
        """Count a receipt that could not be read, and say so the first time and then ever more rarely."""
        if word not in self._unread and len(self._unread) >= MOST_UNREAD:
            return
        self._unread[word or ""] += 1
        count = self._unread[word or ""]
        if count == 10 ** (len(str(count)) - 1):
            log.warning("smpp_receipt_not_read", carrier=self.name, state=word, count=count)

    async def take(self, carrier_events: Sequence[CarrierEvent]) -> None:
        """Keep what a session brought, for good."""
        if self._take is None:
            raise RuntimeError("the carrier is not open")
        await self._take(carrier_events)

    def proceed(self) -> None:
        """Write what may be written now, hand back what has waited too long, and come back when time allows more."""
        try:
            self._proceed()
        except Exception as error:
            # It must take no session with it, and what waits must not wait for ever.
            log.error("smpp_not_proceeded", carrier=self.name, error=type(error).__name__)
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._wake)

    # Inside

    def _proceed(self) -> None:
        if not self._queue and not self._begun:
            return
        now = asyncio.get_running_loop().time()
        sessions = [link.session for link in self._links if link.session is not None and link.session.is_open]
        senders = [session for session in sessions if session.mode is not Command.BIND_RECEIVER]
        if not senders:
            self._refuse_queued(_CLOSING if self._is_closing else _NO_SESSION)
        wake_at = self._write(senders, now)
        self._expire(now)
        waiting = [queue[0].deadline for queue in (self._queue, self._begun) if queue]
        if waiting:
            self._wake_at(min(waiting if wake_at is None else (*waiting, wake_at)), now)

    def _write(self, senders: Sequence[Session], now: float) -> float | None:
        """Write as much as windows and pace allow; when time will allow more, where that is the reason to stop."""
        used: list[Session] = []
        wake_at: float | None = None
        while self._begun or self._queue:
            if self._held_until > now:
                wake_at = self._held_until
                break
            queue = self._begun or self._queue
            job = queue[0]
            if job.is_abandoned and not job.is_started:
                queue.popleft()
                continue
            session = _choose(senders, job)
            if session is None:
                break
            if self._pacer is not None and (at := self._pacer.turn(now)) is not None:
                wake_at = at
                break
            queue.popleft()
            if not job.is_started:
                job.is_started = True
                job.deadline = now + self.options.response_seconds
                self._at_carrier += 1
                self._none_at_carrier.clear()
            job.session = session
            session.submit(job, now)
            if session not in used:
                used.append(session)
        for session in used:
            session.flush()
        return wake_at

    def _expire(self, now: float) -> None:
        while self._queue and self._queue[0].deadline <= now:
            self._queue.popleft().settle(_NO_TURN)
        for job in [job for job in self._begun if job.deadline <= now]:
            self._begun.remove(job)
            self._give_up(job, "carrier_rejected")

    def _wake_at(self, at: float, now: float) -> None:
        if self._timer is not None:
            if self._wakes_at <= at:
                return
            self._timer.cancel()
        # Not before the clock has moved on, no matter what is due. The time is kept here: what uvloop gives for
        # less than half a millisecond is no timer, and knows of none.
        self._wakes_at = max(at, now + 0.001)
        self._timer = asyncio.get_running_loop().call_at(self._wakes_at, self._wake)

    def _due(self) -> None:
        self._is_due = False
        self.proceed()

    def _wake(self) -> None:
        self._timer = None
        self.proceed()

    def _refuse_queued(self, outcome: Refused) -> None:
        while self._queue:
            self._queue.popleft().settle(outcome)

    def _go_on(self, job: Job, session: Session, now: float) -> None:
        """Give the next part its turn before messages that have not begun."""
        if now >= job.deadline:
            self._give_up(job, "carrier_rejected")
        else:
            self._begun.append(job)

    def _give_up(self, job: Job, code: str, outcome: Outcome | None = None) -> None:
        """Fail a message of which only some parts are out, and keep their ids for their receipts.

        `outcome` is that of a message of which no part is known to be accepted.
        """
        self._keep(_not_delivered(job, code), job, job.accepted() if job.refs else outcome)

    def _remember(self, job: Job, refs: Sequence[str | None]) -> None:
        """Have receipts find a message by ids that no outcome tells."""
        count = len(job.bodies)
        for ref in refs:
            if ref is not None:
                if len(self.late) >= MOST_LATE:
                    del self.late[next(iter(self.late))]
                self.late[ref] = Late(job.submission.message_id, count if count > 1 else None)

    def _keep(self, report: Report, job: Job | None = None, outcome: Outcome | None = None) -> None:
        task = asyncio.create_task(self._bring(report, job, outcome))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _bring(self, report: Report, job: Job | None, outcome: Outcome | None) -> None:
        """Keep a report of our own, which nobody else will bring again; its message's outcome follows the first try."""
        is_kept = False
        while not is_kept:
            try:
                await self.take([report])
                is_kept = True
            except Exception as error:
                log.error("smpp_report_not_kept", carrier=self.name, error=type(error).__name__)
            finally:
                if job is not None and outcome is not None:
                    self._settle(job, outcome)
            if not is_kept:
                await asyncio.sleep(KEEP_RETRY_SECONDS)

    def _settle(self, job: Job, outcome: Outcome) -> None:
        if job.is_settled:
            return
        job.settle(outcome)
        self._at_carrier -= 1
        if not self._at_carrier:
            self._none_at_carrier.set()


def make_smpp(config: CarrierConfig) -> Carrier:
    """Make the carrier of an operator's table of kind `smpp`. Raises SettingsError."""
    return SmppCarrier(config.name, read_options(config))


def _choose(senders: Sequence[Session], job: Job) -> Session | None:
    """Choose the session of the message's earlier parts where it has room, else the one with the most room."""
    best: Session | None = None
    for session in senders:
        if session.has_room:
            if session is job.session:
                return session
            if best is None or len(session.window) < len(best.window):
                best = session
    return best


def _not_delivered(job: Job, code: str) -> Report:
    message_id = job.submission.message_id
    return Report(f"smpp:{message_id}:not-whole", is_delivered=False, error_code=code, message_id=message_id)
