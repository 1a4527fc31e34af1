"""Texts as octets and back: the GSM 7-bit alphabet unpacked, UCS-2, Latin-1 and ASCII, and the parts of long ones."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

Alphabet = Literal["gsm7", "latin1", "ascii"]

# 3GPP TS 23.038 § 6.2.1: the default alphabet in the order of its codes, and its extension table behind an escape.
_BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_ESCAPE: Final = 0x1B

# Characters that the alphabet lacks become one that Latin-1 lacks too, so that they are noticed.
_ABSENT: Final = "\uffff"


class _Septets(dict[int, str]):
    """Character to codes, both as characters; one that is not in the alphabet becomes _ABSENT."""

    def __missing__(self, key: int) -> str:
        return _ABSENT


_ENCODE: Final = _Septets({ord(character): chr(code) for code, character in enumerate(_BASIC) if code != _ESCAPE})
_ENCODE.update({ord(character): chr(_ESCAPE) + chr(code) for code, character in _EXTENSION.items()})
# Octets of 128 and more are no septets: whoever writes them means Latin-1.
_DECODE: Final = dict(enumerate(_BASIC))

GSM7_SINGLE: Final = 160
UCS2_SINGLE: Final = 70
_OCTETS: Final = 140

# data_coding (SMPP 3.4 § 5.2.19).
DEFAULT: Final = 0x00
LATIN1: Final = 0x03
UCS2: Final = 0x08
_CHARSETS: Final = {
    0x01: "latin-1",
    0x02: "latin-1",
    0x03: "latin-1",
    0x04: "latin-1",
    0x05: "iso2022_jp",
    0x06: "iso8859_5",
    0x07: "iso8859_8",
    0x08: "utf-16-be",
    0x0E: "euc_kr",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is submitted: its data_coding, and the octets of each part without any header."""

    data_coding: int
    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Where a part belongs: `number` (from 1) of the `count` that share `reference`; `bits` is the reference's size."""

    reference: int
    count: int
    number: int
    bits: int = 8


def encode_gsm7(text: str) -> bytes | None:
    """The text in the GSM 7-bit alphabet, a septet an octet, or None where the alphabet lacks a character."""
    try:
        return text.translate(_ENCODE).encode("latin-1")
    except UnicodeEncodeError:
        return None


def decode_gsm7(data: bytes) -> str:
    """The text of septets, one an octet.

    An escape before a code without a meaning shows the code's own character, and one at the end nothing (3GPP TS
    23.038 § 6.2.1).
    """
    text = data.decode("latin-1")
    if _ESCAPE not in data:
        return text.translate(_DECODE)
    first, *escaped = text.split("\x1b")
    pieces = [first.translate(_DECODE)]
    for piece in escaped:
        if piece:
            pieces.append(_EXTENSION.get(ord(piece[0]), piece[0].translate(_DECODE)))
            pieces.append(piece[1:].translate(_DECODE))
    return "".join(pieces)


def split(body: str, encoding: str, *, alphabet: Alphabet = "gsm7", header_octets: int = 6) -> Text:
    """The body in parts, cut where the handset's alphabet has to be: as many as its segments.

    `alphabet` is what the message centre reads behind data_coding 0; a character that it lacks makes the whole body
    UCS-2. No escape pair and no surrogate pair is divided. `header_octets` is what each part of several leaves for its
    user data header: 6 for a reference of 8 bits, 7 for one of 16.
    """
    septets = encode_gsm7(body) if encoding == "gsm7" else None
    if septets is not None:
        cuts = _cuts_of_septets(septets, header_octets)
        parts = [septets[start:end] for start, end in pairwise(cuts)]
        if alphabet == "gsm7":
            return Text(DEFAULT, tuple(parts))
        try:
            return Text(DEFAULT, tuple(decode_gsm7(part).encode(alphabet) for part in parts))
        except UnicodeEncodeError:
            pass
    data = body.encode("utf-16-be", "surrogatepass")
    return Text(UCS2, tuple(data[start:end] for start, end in pairwise(_cuts_of_units(data, header_octets))))


def whole(body: str, encoding: str, *, alphabet: Alphabet = "gsm7") -> tuple[Text, bool]:
    """The body undivided, for message_payload, and whether the message centre will divide it."""
    text = split(body, encoding, alphabet=alphabet)
    return Text(text.data_coding, (b"".join(text.parts),)), len(text.parts) > 1


def decode(data: bytes, data_coding: int, alphabet: Alphabet = "gsm7") -> str:
    """The text of a deliver_sm; octets that mean nothing in its alphabet become U+FFFD. Never raises.

    Besides the values of SMPP 3.4 § 5.2.19 the coding groups of 3GPP TS 23.038 § 4 are read, which § 5.2.19 refers to
    from 0xC0 on and message centres use throughout.
    """
    charset = _CHARSETS.get(data_coding)
    if charset is None:
        charset = _charset_of_group(data_coding, alphabet)
    if charset == "gsm7":
        return decode_gsm7(data)
    # What claims to be ASCII and is not would be lost; in Latin-1 it is at least a guess.
    return data.decode("latin-1" if charset == "ascii" else charset, "replace")


def make_header(part: Concatenation) -> bytes:
    """The user data header of a part (3GPP TS 23.040 § 9.2.3.24.1 and 9.2.3.24.8)."""
    if part.bits == 16:
        return bytes((6, 8, 4, part.reference >> 8 & 0xFF, part.reference & 0xFF, part.count, part.number))
    return bytes((5, 0, 3, part.reference & 0xFF, part.count, part.number))


def read_header(data: bytes) -> tuple[Concatenation | None, bytes]:
    """What a user data header says of concatenation, and the text behind it; a header beyond the data is text."""
    if not data or data[0] >= len(data):
        return None, data
    end, at, part = data[0] + 1, 1, None
    while at + 2 <= end:
        element, length = data[at], data[at + 1]
        value = data[at + 2 : at + 2 + length]
        if at + 2 + length > end:
            break
        if element == 0x00 and length == 3:
            part = _concatenation(value[0], value[1], value[2], 8)
        elif element == 0x08 and length == 4:
            part = _concatenation(int.from_bytes(value[:2]), value[2], value[3], 16)
        at += 2 + length
    return part, data[end:]


def read_sar(reference: bytes | None, total: bytes | None, number: bytes | None) -> Concatenation | None:
    """What sar_msg_ref_num, sar_total_segments and sar_segment_seqnum say (SMPP 3.4 § 5.3.2.22 to 24), or None."""
    if not reference or not total or not number:
        return None
    return _concatenation(int.from_bytes(reference[-2:]), total[-1], number[-1], 16)


def _concatenation(reference: int, count: int, number: int, bits: int) -> Concatenation | None:
    """None for a lone part, and for one outside its count, which is to be ignored (3GPP TS 23.040 § 9.2.3.24.1)."""
    return Concatenation(reference, count, number, bits) if count > 1 and 1 <= number <= count else None


def _charset_of_group(data_coding: int, alphabet: Alphabet) -> str:
    group = data_coding >> 4
    if group in (0xF, *range(1, 8)):
        # Bits 3 and 2 name the alphabet; group F has bit 2 alone.
        bits = data_coding >> 2 & (1 if group == 0xF else 3)
        return ("gsm7", "latin-1", "utf-16-be", "gsm7")[bits]
    if group == 0xE:
        return "utf-16-be"
    return "gsm7" if group in (0xC, 0xD) else alphabet


def _cuts_of_septets(septets: bytes, header_octets: int) -> list[int]:
    if len(septets) <= GSM7_SINGLE:
        return [0, len(septets)]
    # A header takes whole septets: 48 bits are 7 of them, 56 bits 8.
    room = (_OCTETS - header_octets) * 8 // 7
    cuts, end = [0], 0
    while end < len(septets):
        end = min(end + room, len(septets))
        if septets[end - 1] == _ESCAPE:
            end -= 1
        cuts.append(end)
    return cuts


def _cuts_of_units(data: bytes, header_octets: int) -> list[int]:
    if len(data) <= 2 * UCS2_SINGLE:
        return [0, len(data)]
    room = (_OCTETS - header_octets) // 2 * 2
    cuts, end = [0], 0
    while end < len(data):
        end = min(end + room, len(data))
        if end < len(data) and 0xD8 <= data[end - 2] <= 0xDB and 0xDC <= data[end] <= 0xDF:
            end -= 2
        cuts.append(end)
    return cuts
