"""What the checklist wants of a carrier: the carrier itself, and the other side of the wire in a test's hands."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from enum import StrEnum
from typing import Any, Generic, TypeVar

from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import Capability, Carrier, CarrierEvent, Inbound, Report, Submission
from msvs.carriers.registry import KINDS
from msvs.carriers.smpp.pdu import Message
from msvs.carriers.virtual import VirtualCarrier
from msvs.database import fetch, fetch_value
from msvs.models.identity import new_id
from tests.carriers.fakes import telnyx, twilio, vonage
from tests.carriers.fakes.server import PUBLIC_URL, FakeCarrier, Sent, Taken
from tests.carriers.fakes.telnyx import FakeTelnyx
from tests.carriers.fakes.twilio import FakeTwilio
from tests.carriers.fakes.vonage import FakeVonage
from tests.carriers.smpp.fake import FakeSmsc, Peer, carrier_of, fake_smsc, until

SENDER = "+14155550100"
HANDSET = "+14155550199"

_numbers = itertools.count(1_000)


def a_submission(*, to: str = HANDSET, body: str = "Your table is ready", encoding: str = "gsm7") -> Submission:
    """A message of a live workspace, at its first attempt."""
    return Submission(new_id(), new_id(), True, to, SENDER, body, encoding, 1, 1)


class Mood(StrEnum):
    """What the carrier is to do with the next messages."""

    ACCEPTS = "accepts"
    REFUSES = "refuses"
    THROTTLES = "throttles"
    LOSES_THE_ANSWER = "loses_the_answer"
    IS_AWAY = "is_away"


class CarrierUnderTest(ABC):
    """A carrier and its other side. A new carrier brings one of these, and a line in CARRIERS of test_checklist.py.

    `secrets` are what must never be seen of its options; `refusal` is the code with which it refuses; `moods` are those
    that the other side can be in, and `counts` tells whether it knows how many messages it has at once.
    """

    kind: str
    capability: Capability
    carrier: Carrier
    secrets: tuple[str, ...] = ()
    refusal: str
    moods: frozenset[Mood] = frozenset(Mood)
    counts: bool = True
    echoes: bool = True
    most_at_once: int = 0

    @abstractmethod
    async def set_up(self) -> None:
        """Begin the other side, and make and open `carrier`."""

    @abstractmethod
    async def tear_down(self) -> None:
        """Close the carrier and end the other side."""

    @abstractmethod
    async def prepare(self, mood: Mood) -> Submission:
        """A message that meets the mood."""

    @abstractmethod
    def slow_down(self) -> None:
        """Have the other side take a moment over each message, so that many are under way."""

    @abstractmethod
    async def taken(self, submission: Submission) -> int:
        """How many times the other side has taken the message."""

    @abstractmethod
    async def report(self, submission: Submission, *, is_delivered: bool) -> Sequence[CarrierEvent]:
        """What our side reads when the other brings the report of a message that it took."""

    @abstractmethod
    async def inbound(self, text: str) -> Sequence[CarrierEvent]:
        """What our side reads when the other brings a message from HANDSET to SENDER, the same one each time."""


class VirtualUnderTest(CarrierUnderTest):
    """The sandbox's carrier: its other side is its books, which the reports queue reads."""

    kind = "virtual"
    capability = Capability.DEDUPE
    refusal = "invalid_number"
    # It is as near as the database, and takes a whole batch in one statement.
    moods = frozenset((Mood.ACCEPTS, Mood.REFUSES, Mood.THROTTLES, Mood.LOSES_THE_ANSWER))
    counts = False
    NUMBERS = {  # noqa: RUF012
        Mood.ACCEPTS: "+14155550142",
        Mood.REFUSES: "+14155550101",
        Mood.THROTTLES: "+14155550111",
        Mood.LOSES_THE_ANSWER: "+14155550112",
    }

    async def set_up(self) -> None:
        self.carrier = VirtualCarrier(self.capability)

    async def tear_down(self) -> None:
        await self.carrier.close()

    async def prepare(self, mood: Mood) -> Submission:
        return a_submission(to=self.NUMBERS[mood])

    def slow_down(self) -> None:
        raise NotImplementedError

    async def taken(self, submission: Submission) -> int:
        count: int = await fetch_value(
            "SELECT count(*) FROM virtual_submissions WHERE message_id = $1", submission.message_id
        )
        return count

    async def report(self, submission: Submission, *, is_delivered: bool) -> Sequence[CarrierEvent]:
        if not is_delivered:
            submission = replace(submission, message_id=new_id(), to="+14155550103")
            await self.carrier.submit(submission)
        rows = await fetch(
            "SELECT id, kind, error_code, message_id FROM virtual_signals WHERE message_id = $1", submission.message_id
        )
        return [Report(str(row.id), row.kind == "delivered", row.error_code, message_id=row.message_id) for row in rows]

    async def inbound(self, text: str) -> Sequence[CarrierEvent]:
        # The script of this number replies with a text of its own.
        held = getattr(self, "_talker", None)
        if held is None:
            held = self._talker = replace(a_submission(to="+14155550107"), sender=SENDER)
            await self.carrier.submit(held)
        rows = await fetch(
            "SELECT id, phone, sender FROM virtual_signals WHERE message_id = $1 AND kind = 'inbound'", held.message_id
        )
        return [Inbound(str(row.id), HANDSET, row.sender, text) for row in rows]


class SmppUnderTest(CarrierUnderTest):
    """An SMPP carrier and a message centre."""

    kind = "smpp"
    capability = Capability.NONE
    refusal = "invalid_number"
    secrets = ("pa55word",)
    echoes = False
    THROTTLED, INVALID_DESTINATION = 0x58, 0x0B

    async def set_up(self) -> None:
        self._brought: list[CarrierEvent] = []
        self._forgets = False
        self._pause = 0.0
        self._at_once = 0
        self._stack = AsyncExitStack()
        self.smsc: FakeSmsc = await self._stack.enter_async_context(fake_smsc())
        self.smsc.on_submit = self._accept
        self.smpp = carrier_of(self.smsc.port, password=self.secrets[0], window=20)
        self.carrier = self.smpp
        await self.smpp.open(self._take)
        await until(lambda: self.smpp.bound == self.smpp.wanted)

    async def tear_down(self) -> None:
        await self.carrier.close()
        await self._stack.aclose()

    async def _take(self, carrier_events: Sequence[CarrierEvent]) -> None:
        self._brought += carrier_events
        if self._forgets:
            raise ConnectionError("the answer to the COMMIT is lost")

    def _accept(self, peer: Peer, sequence: int, message: Message) -> None:
        ref = f"smsc-{len(self.smsc.submits)}"
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)

        def answer() -> None:
            self._at_once -= 1
            peer.accept(sequence, ref)

        asyncio.get_running_loop().call_later(self._pause, answer)

    def slow_down(self) -> None:
        self._pause = 0.02

    async def prepare(self, mood: Mood) -> Submission:
        match mood:
            case Mood.REFUSES:
                self.smsc.on_submit = self._refuse(self.INVALID_DESTINATION)
            case Mood.THROTTLES:
                self.smsc.on_submit = self._refuse(self.THROTTLED)
            case Mood.LOSES_THE_ANSWER:
                self.smsc.on_submit = lambda peer, sequence, message: peer.drop()
            case Mood.IS_AWAY:
                await self._stack.aclose()
                await until(lambda: self.smpp.bound == 0)
        return a_submission(to=f"+1415555{next(_numbers)}")

    def _refuse(self, status: int) -> Any:
        def refuse(peer: Peer, sequence: int, message: Message) -> None:
            self.smsc.submits.remove(message)
            peer.refuse(sequence, status)

        return refuse

    async def taken(self, submission: Submission) -> int:
        return sum(message.destination == submission.to.removeprefix("+") for message in self.smsc.submits)

    async def report(self, submission: Submission, *, is_delivered: bool) -> Sequence[CarrierEvent]:
        [number] = [
            number
            for number, message in enumerate(self.smsc.submits, 1)
            if message.destination == submission.to.removeprefix("+")
        ]
        stat = "DELIVRD" if is_delivered else "UNDELIV"
        text = (
            f"id:smsc-{number} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:{stat} err:000 text:"
        )
        return await self._bring(Message(esm_class=4, short_message=text.encode()))

    async def inbound(self, text: str) -> Sequence[CarrierEvent]:
        # A message centre brings one again only where it was not told that it arrived.
        self._forgets = not self._forgets
        return await self._bring(
            Message(
                source=HANDSET.removeprefix("+"),
                source_ton=1,
                destination=SENDER.removeprefix("+"),
                destination_ton=1,
                short_message=text.encode("ascii"),
            )
        )

    async def _bring(self, message: Message) -> Sequence[CarrierEvent]:
        before = len(self._brought)
        if not self.smpp.bound:
            return []
        await self.smsc.peer.deliver(message)
        return self._brought[before:]


Fake = TypeVar("Fake", bound=FakeCarrier)


class HttpUnderTest(CarrierUnderTest, Generic[Fake]):
    """A carrier by HTTP and its fake."""

    capability = Capability.NONE
    fake: Fake
    name = "cohort-live"
    options: dict[str, Any]

    @abstractmethod
    def make_fake(self) -> Fake:
        """The carrier's fake, not yet listening."""

    @abstractmethod
    def refuse(self) -> None:
        """Have the fake refuse with `refusal`."""

    @abstractmethod
    def throttle(self) -> None:
        """Have the fake be too busy for two seconds, if it can say how long, else for a second."""

    @abstractmethod
    def send_report(self, taken: Taken, *, is_delivered: bool) -> Sent:
        """The fake's report of a message."""

    @abstractmethod
    def send_inbound(self, text: str) -> Sent:
        """A message of a handset at the fake, under one id."""

    async def set_up(self) -> None:
        self.fake = self.make_fake()
        await self.fake.listen()
        self.carrier = self.make(**self.options)

    def make(self, **options: Any) -> Carrier:
        """A carrier at the fake with these options."""
        given = {"base_url": self.fake.origin, **options}
        return KINDS[self.kind](CarrierConfig(self.name, self.kind, given, PUBLIC_URL))

    async def tear_down(self) -> None:
        await self.carrier.close()
        await self.fake.go_away()

    async def prepare(self, mood: Mood) -> Submission:
        match mood:
            case Mood.REFUSES:
                self.refuse()
            case Mood.THROTTLES:
                self.throttle()
            case Mood.LOSES_THE_ANSWER:
                self.fake.drops = True
            case Mood.IS_AWAY:
                await self.fake.go_away()
        return a_submission(to=f"+1415555{next(_numbers)}")

    def slow_down(self) -> None:
        self.fake.pause = 0.02

    async def taken(self, submission: Submission) -> int:
        return sum(
            taken.to.removeprefix("+") == submission.to.removeprefix("+") and taken.body == submission.body
            for taken in self.fake.taken
        )

    async def report(self, submission: Submission, *, is_delivered: bool) -> Sequence[CarrierEvent]:
        [taken] = [taken for taken in self.fake.taken if taken.to.removeprefix("+") == submission.to.removeprefix("+")]
        return self.carrier.read_callback(self.send_report(taken, is_delivered=is_delivered).callback()).carrier_events

    async def inbound(self, text: str) -> Sequence[CarrierEvent]:
        return self.carrier.read_callback(self.send_inbound(text).callback()).carrier_events

    @property
    def most_at_once(self) -> int:  # type: ignore[override]
        return self.fake.most_at_once


class TwilioUnderTest(HttpUnderTest[FakeTwilio]):
    kind = "twilio"
    refusal = "recipient_opted_out"
    secrets = (twilio.AUTH_TOKEN, twilio.ACCOUNT_SID)
    options = {"account_sid": twilio.ACCOUNT_SID, "auth_token": twilio.AUTH_TOKEN}  # noqa: RUF012

    def make_fake(self) -> FakeTwilio:
        return FakeTwilio()

    def refuse(self) -> None:
        self.fake.answer = FakeTwilio.error(21610, 400)

    def throttle(self) -> None:
        self.fake.answer = FakeTwilio.error(20429, 429, Retry_After="2")

    def send_report(self, taken: Taken, *, is_delivered: bool) -> Sent:
        if is_delivered:
            return self.fake.report(taken, "delivered")
        return self.fake.report(taken, "undelivered", error_code=30003)

    def send_inbound(self, text: str) -> Sent:
        return self.fake.inbound(self.name, HANDSET, SENDER, text, sid="SM" + "1" * 32)


class TelnyxUnderTest(HttpUnderTest[FakeTelnyx]):
    kind = "telnyx"
    refusal = "recipient_opted_out"
    secrets = (telnyx.API_KEY,)
    options = {"api_key": telnyx.API_KEY, "public_key": telnyx.PUBLIC_KEY}  # noqa: RUF012

    def make_fake(self) -> FakeTelnyx:
        return FakeTelnyx()

    def refuse(self) -> None:
        self.fake.answer = FakeTelnyx.error("40300", 400)

    def throttle(self) -> None:
        self.fake.answer = FakeTelnyx.error("10011", 429, {"x-ratelimit-reset": "2"})

    def send_report(self, taken: Taken, *, is_delivered: bool) -> Sent:
        if is_delivered:
            return self.fake.report(taken, "delivered")
        return self.fake.report(taken, "delivery_failed", codes=["40006"])

    def send_inbound(self, text: str) -> Sent:
        return self.fake.inbound(self.name, HANDSET, SENDER, text, message_id="msg-1")


class VonageUnderTest(HttpUnderTest[FakeVonage]):
    kind = "vonage"
    refusal = "invalid_number"
    secrets = (vonage.API_SECRET, vonage.SIGNATURE_SECRET)
    options = {  # noqa: RUF012
        "api_key": vonage.API_KEY,
        "api_secret": vonage.API_SECRET,
        "signature_secret": vonage.SIGNATURE_SECRET,
    }

    def make_fake(self) -> FakeVonage:
        return FakeVonage()

    def refuse(self) -> None:
        self.fake.answer = FakeVonage.error("33")

    def throttle(self) -> None:
        self.fake.answer = FakeVonage.error("1")

    def send_report(self, taken: Taken, *, is_delivered: bool) -> Sent:
        if is_delivered:
            return self.fake.report(taken, "delivered")
        return self.fake.report(taken, "failed", err_code="2")

    def send_inbound(self, text: str) -> Sent:
        return self.fake.inbound(self.name, HANDSET, SENDER, text, messageId="0A00000012345678")
