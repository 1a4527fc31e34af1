"""Encode and decode the protocol data units of SMPP 3.4."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

import msgspec

# § 3.2: a length of four octets includes the header of sixteen. The protocol sets no upper bound; this one leaves
# room for a message_payload of 64 KB less its neighbours.
HEADER_LENGTH: Final = 16
MAX_LENGTH: Final = 64 * 1024
MAX_SEQUENCE: Final = 0x7FFFFFFF
INTERFACE_VERSION: Final = 0x34
RESPONSE: Final = 0x80000000

_HEADER = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")
_U32 = struct.Struct(">I")


class Command(IntEnum):
    """The command ids in use here (§ 5.1.2.1)."""

    BIND_RECEIVER = 0x01
    BIND_TRANSMITTER = 0x02
    SUBMIT_SM = 0x04
    DELIVER_SM = 0x05
    UNBIND = 0x06
    BIND_TRANSCEIVER = 0x09
    OUTBIND = 0x0B
    ENQUIRE_LINK = 0x15
    ALERT_NOTIFICATION = 0x102
    DATA_SM = 0x103
    GENERIC_NACK = 0x80000000
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015
    DATA_SM_RESP = 0x80000103


class Tag(IntEnum):
    """The optional parameters in use here (§ 5.3.2)."""

    RECEIPTED_MESSAGE_ID = 0x001E
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


class PduError(Exception):
    """Octets that are no protocol data unit, or values that do not fit in one; `status` is what the peer is told."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


# Optional parameters in their order; vendors repeat tags and use their own.
Tlvs = tuple[tuple[int, bytes], ...]

_INVALID_LENGTH: Final = 0x02
_INVALID_ADDRESS: Final = 0x0A


class Bind(msgspec.Struct, frozen=True, kw_only=True):
    """The body of bind_transmitter, bind_receiver and bind_transceiver (§ 4.1)."""

    system_id: str
    password: str
    system_type: str = ""
    interface_version: int = INTERFACE_VERSION
    address_ton: int = 0
    address_npi: int = 0
    address_range: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The body of submit_sm (§ 4.4.1), deliver_sm (§ 4.6.1) and, without the fields it lacks, data_sm (§ 4.7.1)."""

    service_type: str = ""
    source_ton: int = 0
    source_npi: int = 0
    source: str = ""
    destination_ton: int = 0
    destination_npi: int = 0
    destination: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority: int = 0
    schedule_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present: int = 0
    data_coding: int = 0
    default_message_id: int = 0
    short_message: bytes = b""
    tlvs: Tlvs = ()
    # The text is shorter than its length says.
    is_cut: bool = False

    @property
    def text(self) -> bytes:
        """The octets of the text: short_message, or message_payload (§ 5.3.2.32) where that says more."""
        payload = self.tlv(Tag.MESSAGE_PAYLOAD) or b""
        return self.short_message if len(self.short_message.rstrip(b"\0")) >= len(payload) else payload

    def tlv(self, tag: int) -> bytes | None:
        """Return the first optional parameter with this tag, or None."""
        for found, value in self.tlvs:
            if found == tag:
                return value
        return None


def encode(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    """Encode a whole protocol data unit (§ 3.2). Raises PduError where it would be longer than MAX_LENGTH."""
    length = HEADER_LENGTH + len(body)
    if length > MAX_LENGTH:
        raise PduError("a PDU longer than 64 KB", _INVALID_LENGTH)
    return _HEADER.pack(length, command, status, sequence) + body


def read_length(data: bytes | bytearray | memoryview, at: int = 0) -> int | None:
    """Read the length of the PDU that begins at `at` once four octets of it are here.

    Raises PduError when out of bounds.
    """
    if len(data) - at < 4:
        return None
    length: int = _U32.unpack_from(data, at)[0]
    if not HEADER_LENGTH <= length <= MAX_LENGTH:
        raise PduError("command_length out of bounds", _INVALID_LENGTH)
    return length


def read_header(data: bytes | bytearray | memoryview, at: int = 0) -> tuple[int, int, int, int]:
    """Length, command id, status and sequence number (§ 3.2) of the PDU at `at`, whose header is here."""
    length, command, status, sequence = _HEADER.unpack_from(data, at)
    return length, command, status, sequence


def encode_bind(bind: Bind) -> bytes:
    """Encode the body of a bind request (§ 4.1). Raises PduError."""
    return b"".join(
        (
            # § 4.1.1 allows a password of 8 octets; many message centres give out longer ones.
            _c_string(bind.system_id, 16),
            _c_string(bind.password, 65),
            _c_string(bind.system_type, 13),
            _octets(bind.interface_version, bind.address_ton, bind.address_npi),
            _c_string(bind.address_range, 41),
        )
    )


def decode_bind(body: bytes) -> Bind:
    """Decode the body of a bind request (§ 4.1). Raises PduError."""
    system_id, at = _read_c_string(body, 0)
    password, at = _read_c_string(body, at)
    system_type, at = _read_c_string(body, at)
    if len(body) < at + 3:
        raise PduError("a bind request that ends early", _INVALID_LENGTH)
    version, ton, npi = body[at : at + 3]
    address_range, _ = _read_c_string(body, at + 3)
    return Bind(
        system_id=system_id,
        password=password,
        system_type=system_type,
        interface_version=version,
        address_ton=ton,
        address_npi=npi,
        address_range=address_range,
    )


def encode_message(message: Message) -> bytes:
    """Encode the body of a submit_sm or deliver_sm (§ 4.4.1, 4.6.1). Raises PduError."""
    if len(message.short_message) > 254:
        raise PduError("short_message longer than 254 octets", 0x01)
    return b"".join(
        (
            _c_string(message.service_type, 6),
            _octets(message.source_ton, message.source_npi),
            _c_string(message.source, 21),
            _octets(message.destination_ton, message.destination_npi),
            _c_string(message.destination, 21),
            _octets(message.esm_class, message.protocol_id, message.priority),
            _c_string(message.schedule_time, 17),
            _c_string(message.validity_period, 17),
            _octets(
                message.registered_delivery,
                message.replace_if_present,
                message.data_coding,
                message.default_message_id,
                len(message.short_message),
            ),
            message.short_message,
            encode_tlvs(message.tlvs),
        )
    )


def decode_message(body: bytes) -> Message:
    """Decode the body of a submit_sm or deliver_sm (§ 4.4.1, 4.6.1). Raises PduError.

    One that ends within its text has the text as far as it goes.
    """
    try:
        service_type, at = _read_c_string(body, 0)
        source_ton, source_npi = body[at], body[at + 1]
        source, at = _read_c_string(body, at + 2)
        destination_ton, destination_npi = body[at], body[at + 1]
        destination, at = _read_c_string(body, at + 2)
        esm_class, protocol_id, priority = body[at], body[at + 1], body[at + 2]
        schedule_time, at = _read_c_string(body, at + 3)
        validity_period, at = _read_c_string(body, at)
        registered_delivery, replace_if_present = body[at], body[at + 1]
        data_coding, default_message_id, length = body[at + 2], body[at + 3], body[at + 4]
    except IndexError:
        raise PduError("a message that ends early", _INVALID_LENGTH) from None
    at += 5
    return Message(
        service_type=service_type,
        source_ton=source_ton,
        source_npi=source_npi,
        source=source,
        destination_ton=destination_ton,
        destination_npi=destination_npi,
        destination=destination,
        esm_class=esm_class,
        protocol_id=protocol_id,
        priority=priority,
        schedule_time=schedule_time,
        validity_period=validity_period,
        registered_delivery=registered_delivery,
        replace_if_present=replace_if_present,
        data_coding=data_coding,
        default_message_id=default_message_id,
        short_message=bytes(body[at : at + length]),
        tlvs=decode_tlvs(body, at + length),
        is_cut=at + length > len(body),
    )


def encode_data(message: Message) -> bytes:
    """Encode the body of a data_sm (§ 4.7.1), whose text is in message_payload. Raises PduError."""
    return b"".join(
        (
            _c_string(message.service_type, 6),
            _octets(message.source_ton, message.source_npi),
            _c_string(message.source, 65),
            _octets(message.destination_ton, message.destination_npi),
            _c_string(message.destination, 65),
            _octets(message.esm_class, message.registered_delivery, message.data_coding),
            encode_tlvs(message.tlvs),
        )
    )


def decode_data(body: bytes) -> Message:
    """Decode the body of a data_sm (§ 4.7.1). Raises PduError."""
    try:
        service_type, at = _read_c_string(body, 0)
        source_ton, source_npi = body[at], body[at + 1]
        source, at = _read_c_string(body, at + 2)
        destination_ton, destination_npi = body[at], body[at + 1]
        destination, at = _read_c_string(body, at + 2)
        esm_class, registered_delivery, data_coding = body[at], body[at + 1], body[at + 2]
    except IndexError:
        raise PduError("a message that ends early", _INVALID_LENGTH) from None
    return Message(
        service_type=service_type,
        source_ton=source_ton,
        source_npi=source_npi,
        source=source,
        destination_ton=destination_ton,
        destination_npi=destination_npi,
        destination=destination,
        esm_class=esm_class,
        registered_delivery=registered_delivery,
        data_coding=data_coding,
        tlvs=decode_tlvs(body, at + 3),
    )


def encode_text(text: str) -> bytes:
    """Encode the body of a response that is a system_id or a message_id (§ 4.1.2, 4.4.2). Raises PduError."""
    return _c_string(text, 65)


def decode_text(body: bytes) -> str:
    """Decode the C-octet string that begins a response; empty if a message center leaves it out (§ 4.4.2)."""
    end = body.find(0)
    return (body if end < 0 else body[:end]).decode("latin-1")


def encode_tlvs(tlvs: Tlvs) -> bytes:
    """Return optional parameters (§ 3.2.4.1). Raises PduError."""
    if not tlvs:
        return b""
    pieces = []
    for tag, value in tlvs:
        if not 0 <= tag <= 0xFFFF or len(value) > 0xFFFF:
            raise PduError("an optional parameter out of bounds", 0xC2)
        pieces.append(_TLV.pack(tag, len(value)) + value)
    return b"".join(pieces)


def decode_tlvs(body: bytes, at: int) -> Tlvs:
    """Return optional parameters from `at` on (§ 3.2.4.1).

    What does not fit at the end is left out: some message centres pad, and the message before it is whole.
    """
    if at >= len(body):
        return ()
    tlvs = []
    while at + 4 <= len(body):
        tag, length = _TLV.unpack_from(body, at)
        at += 4
        if at + length > len(body):
            break
        tlvs.append((tag, bytes(body[at : at + length])))
        at += length
    return tuple(tlvs)


def _c_string(text: str, size: int) -> bytes:
    """Return a C-octet string (§ 3.1) of at most `size` octets, its NUL among them."""
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        raise PduError("a field with characters beyond Latin-1", _INVALID_ADDRESS) from None
    if len(data) >= size or 0 in data:
        raise PduError(f"a field longer than {size - 1} octets, or with a NUL in it", _INVALID_ADDRESS)
    return data + b"\0"


def _read_c_string(body: bytes, at: int) -> tuple[str, int]:
    """Read the C-octet string that begins at `at`, and where the next field begins."""
    end = body.find(0, at)
    if end < 0:
        raise PduError("a field without its end", _INVALID_LENGTH)
    return body[at:end].decode("latin-1"), end + 1


def _octets(*values: int) -> bytes:
    try:
        return bytes(values)
    except ValueError:
        raise PduError("an integer of more than one octet", _INVALID_LENGTH) from None
