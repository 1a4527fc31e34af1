"""Carrier events from deliver_sm, and the detection of repeated ones."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from msvs.carriers.protocol import CarrierEvent, Inbound, Report
from msvs.carriers.smpp.options import SmppOptions
from msvs.carriers.smpp.pdu import Message, Tag
from msvs.carriers.smpp.receipts import is_receipt, read_receipt
from msvs.carriers.smpp.text import Concatenation, has_header, read, read_header, read_sar

_UDHI: Final = 0x40
# Shorter numbers than these are short codes: those that are said to be international, and those of no type.
_E164_DIGITS: Final = 7
_UNMARKED_E164_DIGITS: Final = 9

# A message centre brings again what it has no answer to, over a new session within minutes, and over the same one
# after its response timer, which nobody sets to less than some seconds.
DOUBT_SECONDS: Final = 600.0
RESPONSE_TIMER_SECONDS: Final = 5.0
MOST_DOUBTS: Final = 10_000


@dataclass(slots=True, eq=False)
class Arrival:
    """One inbound message as it came over `session`.

    `is_open` until it is known whether the message center has our answer to it: surely, or in doubt. `rivals` are open
    arrivals of the same content over other sessions, without whose end nobody can tell whether this is one of them
    brought again; until then it has no key.
    """

    fingerprint: bytes
    at: float
    session: object
    key: str = ""
    rivals: tuple[Arrival, ...] = ()
    is_open: bool = True
    is_doubted: bool = False
    waiters: list[Callable[[], None]] = field(default_factory=list)


class Redeliveries:
    """Gives each inbound message its key: a new one, or that of an earlier arrival that this one repeats.

    SMPP gives inbound messages no id, and a person may well send the same text twice. So a message is taken for one
    brought again only where its sender, addressee, text and headers are those of an arrival whose answer may not have
    reached the message center: the session broke before it answered anything that we sent after our answer, we
    answered with an error, or we have not answered for longer than a response timer. Each such arrival covers one
    repetition, for ten minutes. Held in memory: what is brought again after this process died is a new message.
    """

    def __init__(self) -> None:
        self._open: dict[bytes, list[Arrival]] = {}
        self._doubts: deque[tuple[float, Arrival]] = deque(maxlen=MOST_DOUBTS)
        self._by_fingerprint: dict[bytes, deque[Arrival]] = {}

    def arrive(self, message: Message, now: float, session: object) -> Arrival:
        """Note the arrival of a message; it has its key unless it has rivals."""
        digest = fingerprint(message)
        alike = self._open.setdefault(digest, [])
        arrival = Arrival(digest, now, session, rivals=tuple(each for each in alike if each.session is not session))
        alike.append(arrival)
        if not arrival.rivals:
            self.decide(arrival, now)
        return arrival

    def decide(self, arrival: Arrival, now: float) -> None:
        """Give the arrival its key, by what is in doubt now."""
        digest = arrival.fingerprint
        while self._doubts and self._doubts[0][0] < now:
            self._forget(self._doubts.popleft()[1])
        doubted = self._by_fingerprint.get(digest)
        if doubted:
            earlier = doubted.popleft()
            if not doubted:
                del self._by_fingerprint[digest]
            earlier.is_doubted = False
            arrival.key = earlier.key
        else:
            arrival.key = f"smpp:{digest.hex()}:{secrets.token_hex(8)}"

    def end(self, arrival: Arrival) -> None:
        """End an arrival that the message center has our answer to, or that came to nothing.

        It covers no repetition.
        """
        if not arrival.is_open:
            return
        arrival.is_open = False
        alike = self._open[arrival.fingerprint]
        alike.remove(arrival)
        if not alike:
            del self._open[arrival.fingerprint]
        for wake in arrival.waiters:
            wake()
        arrival.waiters.clear()

    def doubt(self, arrival: Arrival, now: float) -> None:
        """Note that the message center may bring this one again."""
        if not arrival.is_open:
            return
        self._remember(arrival, now)
        self.end(arrival)

    def _remember(self, arrival: Arrival, now: float) -> None:
        if not arrival.key:
            return
        arrival.is_doubted = True
        if len(self._doubts) == MOST_DOUBTS:
            self._forget(self._doubts.popleft()[1])
        self._doubts.append((now + DOUBT_SECONDS, arrival))
        self._by_fingerprint.setdefault(arrival.fingerprint, deque()).append(arrival)

    def _forget(self, arrival: Arrival) -> None:
        if not arrival.is_doubted:
            return
        arrival.is_doubted = False
        doubted = self._by_fingerprint.get(arrival.fingerprint)
        if doubted is not None:
            doubted.remove(arrival)
            if not doubted:
                del self._by_fingerprint[arrival.fingerprint]


def fingerprint(message: Message) -> bytes:
    """Return what is the same whenever a message center brings the same message.

    Its sequence number and clock are not.
    """
    digest = hashlib.blake2b(digest_size=16)
    for address in (message.source, message.destination):
        digest.update(address.encode("latin-1") + b"\0")
    digest.update(bytes((message.esm_class, message.data_coding)))
    for value in (
        message.short_message,
        message.tlv(Tag.MESSAGE_PAYLOAD),
        message.tlv(Tag.SAR_MSG_REF_NUM),
        message.tlv(Tag.SAR_TOTAL_SEGMENTS),
        message.tlv(Tag.SAR_SEGMENT_SEQNUM),
    ):
        digest.update(b"-" if value is None else len(value).to_bytes(4) + value)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Late:
    """The message, or the part of one of `part_count`, of an id that came too late to be an outcome."""

    message_id: UUID
    part_count: int | None = None


# Told of a receipt's word for a state that nobody knows, or of None where a receipt has no id or no state.
TellUnread = Callable[[str | None], None]


def _tell_nobody(word: str | None) -> None:
    return


def read_report(
    message: Message, options: SmppOptions, late: Mapping[str, Late], unread: TellUnread = _tell_nobody
) -> Report | None:
    """Read the delivery report in a deliver_sm, or None for a receipt that is not final or not readable."""
    receipt = read_receipt(message, options.id_format, options.receipt_states)
    if receipt is None or receipt.unread is not None:
        unread(None if receipt is None else receipt.unread)
    if receipt is None or not receipt.state.is_final:
        return None
    is_delivered = receipt.state.is_delivered
    named = late.get(receipt.ref)
    return Report(
        dedupe_key=f"{receipt.ref}:{receipt.state.name}",
        is_delivered=is_delivered,
        error_code=None if is_delivered else receipt.failure(options.receipt_errors),
        message_id=None if named is None else named.message_id,
        carrier_ref=receipt.ref,
        part_count=None if named is None else named.part_count,
    )


def read_inbound(message: Message, key: str, options: SmppOptions) -> Inbound:
    """Read the inbound message, or the part of one, in a deliver_sm."""
    data = whole = _octets(message)
    is_garbled = message.is_cut
    part: Concatenation | None = None
    if message.esm_class & _UDHI or has_header(data):
        part, data = read_header(data)
        is_garbled |= bool(data) and data == whole
    if part is None:
        part = read_sar(
            message.tlv(Tag.SAR_MSG_REF_NUM),
            message.tlv(Tag.SAR_TOTAL_SEGMENTS),
            message.tlv(Tag.SAR_SEGMENT_SEQNUM),
        )
    reading = read(data, message.data_coding, options.default_alphabet)
    return Inbound(
        dedupe_key=key,
        from_phone=_address(message.source, message.source_ton),
        to_sender=_address(message.destination, message.destination_ton),
        text=reading.text.replace("\0", ""),
        part_ref=f"{part.bits}:{part.reference}" if part else None,
        part_number=part.number if part else None,
        part_count=part.count if part else None,
        is_garbled=is_garbled or not reading.is_sure,
    )


def _octets(message: Message) -> bytes:
    """Return the octets of a text with its header, which some message centres put before a message_payload."""
    header, payload = message.short_message, message.tlv(Tag.MESSAGE_PAYLOAD)
    is_header_alone = message.esm_class & _UDHI and header and header[0] == len(header) - 1
    if is_header_alone and payload and not payload.startswith(header):
        return header + payload
    return message.text


def to_carrier_event(
    message: Message, key: str, options: SmppOptions, late: Mapping[str, Late], unread: TellUnread = _tell_nobody
) -> CarrierEvent | None:
    """Return what a deliver_sm or data_sm brings, or None if there is nothing to keep."""
    if is_receipt(message):
        return read_report(message, options, late, unread)
    return read_inbound(message, key, options)


def _address(address: str, ton: int) -> str:
    """E.164 with its plus, where the address is an international number or as long as one (SMPP 3.4 § 5.2.5)."""
    kept = address.replace("\0", "").strip()
    digits = kept.removeprefix("+").removeprefix("00") if kept.startswith(("+", "00")) else kept
    is_number = digits.isascii() and digits.isdigit()
    least = {0: _UNMARKED_E164_DIGITS, 1: _E164_DIGITS}.get(ton)
    if is_number and (digits != kept or (least is not None and len(digits) >= least)):
        return f"+{digits}"
    return kept
