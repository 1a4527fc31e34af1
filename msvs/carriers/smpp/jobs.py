"""A submission in progress: its parts, their outcomes, and the batch that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from msvs.carriers.protocol import Accepted, Outcome, Submission
from msvs.carriers.smpp.options import SmppOptions
from msvs.carriers.smpp.pdu import Message, Tag, Tlvs, encode_message
from msvs.carriers.smpp.text import Concatenation, make_header, split, whole

_UDHI = 0x40
_MOST_PARTS = 255
_MOST_SHORT_CODE_DIGITS = 8


class Batch:
    """The outcomes of one call, in the order of its submissions; `done` once all are there."""

    __slots__ = ("_missing", "done", "is_abandoned", "outcomes")

    def __init__(self, size: int) -> None:
        self.outcomes: list[Outcome | None] = [None] * size
        self._missing = size
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Anyone who asked has gone: what is not handed over yet no longer is.
        self.is_abandoned = False

    def settle(self, index: int, outcome: Outcome) -> None:
        """Keep an outcome, the first of its submission."""
        if self.outcomes[index] is not None:
            return
        self.outcomes[index] = outcome
        self._missing -= 1
        if not self._missing and not self.done.done():
            self.done.set_result(None)

    async def wait(self) -> list[Outcome]:
        """Return every outcome, once all are there."""
        try:
            await self.done
        finally:
            self.is_abandoned = True
        return cast("list[Outcome]", self.outcomes)


class Job:
    """One submission: `bodies` are its submit_sm bodies, of which the first `len(refs)` are accepted."""

    __slots__ = ("_batch", "_index", "bodies", "deadline", "is_settled", "is_started", "refs", "session", "submission")

    def __init__(
        self, submission: Submission, bodies: Sequence[bytes], batch: Batch, index: int, deadline: float
    ) -> None:
        self.submission = submission
        self.bodies = bodies
        self.refs: list[str | None] = []
        # By this time its turn has to come; once a part is out, the turn of the next.
        self.deadline = deadline
        self.is_started = False
        self.is_settled = False
        self.session: object = None
        self._batch = batch
        self._index = index

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._batch.is_abandoned

    @property
    def body(self) -> bytes:
        """The next part."""
        return self.bodies[len(self.refs)]

    @property
    def is_complete(self) -> bool:
        """Whether every part is accepted."""
        return len(self.refs) == len(self.bodies)

    @property
    def is_at_last(self) -> bool:
        """Whether every part but one is accepted."""
        return len(self.refs) >= len(self.bodies) - 1

    def accepted(self) -> Accepted:
        """Return the outcome by the parts that are accepted."""
        if len(self.bodies) == 1:
            return Accepted(self.refs[0])
        return Accepted(self.refs[0], tuple(ref for ref in self.refs if ref is not None))

    def settle(self, outcome: Outcome) -> None:
        """Give the outcome to anyone who waits."""
        self.is_settled = True
        self._batch.settle(self._index, outcome)


class Composer:
    """Makes the submit_sm of submissions as a message center wants them."""

    def __init__(self, options: SmppOptions, *, reference: int) -> None:
        self._options = options
        self._validity_period = options.validity_period()
        # A count of long messages, so that two to one number that follow each other never share a reference.
        self._reference = reference

    def bodies(self, submission: Submission) -> list[bytes]:
        """Return the bodies of the message's parts, in order.

        Raises PduError where an address or part fits no field.
        """
        options = self._options
        if options.long_messages == "payload":
            text, is_long = whole(submission.body, submission.encoding, alphabet=options.default_alphabet)
            if is_long:
                payload: Tlvs = ((Tag.MESSAGE_PAYLOAD, text.parts[0]),)
                return [self._body(submission, text.data_coding, b"", tlvs=payload)]
            return [self._body(submission, text.data_coding, text.parts[0])]
        bits = options.reference_bits if options.long_messages == "udh" else 8
        text = split(
            submission.body,
            submission.encoding,
            alphabet=options.default_alphabet,
            header_octets=7 if bits == 16 else 6,
        )
        count = len(text.parts)
        if count == 1:
            return [self._body(submission, text.data_coding, text.parts[0])]
        if count > _MOST_PARTS:
            raise TooLong
        self._reference += 1
        bodies = []
        for number, data in enumerate(text.parts, 1):
            part = Concatenation(self._reference & (0xFFFF if bits == 16 else 0xFF), count, number, bits)
            if options.long_messages == "udh":
                bodies.append(self._body(submission, text.data_coding, make_header(part) + data, esm_class=_UDHI))
            else:
                bodies.append(self._body(submission, text.data_coding, data, tlvs=_sar(self._reference, part)))
        return bodies

    def _body(
        self,
        submission: Submission,
        data_coding: int,
        data: bytes,
        *,
        esm_class: int = 0,
        tlvs: Tlvs = (),
    ) -> bytes:
        options = self._options
        source, (source_ton, source_npi) = self._source(submission.sender)
        ton, npi = options.destination_international
        to = submission.to if options.destination_plus else submission.to.removeprefix("+")
        return encode_message(
            Message(
                service_type=options.service_type,
                source_ton=source_ton,
                source_npi=source_npi,
                source=source,
                destination_ton=ton,
                destination_npi=npi,
                destination=to,
                esm_class=esm_class,
                validity_period=self._validity_period,
                registered_delivery=options.registered_delivery,
                data_coding=data_coding,
                short_message=data,
                tlvs=tlvs,
            )
        )

    def _source(self, sender: str) -> tuple[str, tuple[int, int]]:
        """Return the sender as an address with its plan; none is the message center's own choice (SMPP 3.4 § 5.2.8)."""
        if not sender:
            return "", (0, 0)
        if sender.startswith("+") and sender[1:].isdigit():
            return sender[1:], self._options.source_international
        if sender.isascii() and sender.isdigit():
            if len(sender) <= _MOST_SHORT_CODE_DIGITS:
                return sender, self._options.source_short_code
            return sender, self._options.source_international
        return sender, self._options.source_alphanumeric


class TooLong(Exception):
    """A message of more parts than a count of one octet can say."""


def _sar(reference: int, part: Concatenation) -> Tlvs:
    return (
        (Tag.SAR_MSG_REF_NUM, (reference & 0xFFFF).to_bytes(2)),
        (Tag.SAR_TOTAL_SEGMENTS, bytes((part.count,))),
        (Tag.SAR_SEGMENT_SEQNUM, bytes((part.number,))),
    )
