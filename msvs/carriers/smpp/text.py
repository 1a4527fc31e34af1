"""Encode and decode texts: the unpacked GSM 7-bit alphabet, UCS-2, Latin-1 and ASCII, and long messages in parts."""

from __future__ import annotations

import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

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
# Octets of 128 and more are no septets: anyone who writes them means Latin-1.
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
    0x0A: "iso2022_jp",
    0x0D: "iso2022_jp_1",
    0x0E: "euc_kr",
}
_COMPRESSED: Final = frozenset((2, 3, 6, 7))
_RESERVED: Final = frozenset((0x8, 0x9, 0xA, 0xB))

# A byte order mark tells more than any data_coding.
_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# The upper octets of alphabets (U+0000 to U+0FFF) and of their typographic marks (U+2000 to U+20FF); and those that
# octets of one alphabet in two never are.
_SCRIPTS: Final = frozenset((*range(0x10), 0x20))
_LATIN_OR_CYRILLIC: Final = frozenset((0x00, 0x04))
_FEWEST_UNITS: Final = 3
# From so many units on, a text of one script may have a few signs of others in it.
_SOME_UNITS: Final = 6
_LEAST_LETTERS: Final = 0.7
# From so many octets on, no text in UCS-2 looks like one of single octets by chance.
_MANY_OCTETS: Final = 12
_LINE_BREAKS: Final = frozenset("\t\n\f\r")


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


class Reading(NamedTuple):
    """The text of octets, and whether it is surely the whole of what was written."""

    text: str
    is_sure: bool


def encode_gsm7(text: str) -> bytes | None:
    """Encode the text in the GSM 7-bit alphabet, a septet an octet, or None if the alphabet lacks a character."""
    try:
        return text.translate(_ENCODE).encode("latin-1")
    except UnicodeEncodeError:
        return None


def decode_gsm7(data: bytes) -> str:
    """Decode the text of septets, one an octet.

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
    """Split the body in parts, cut where the handset's alphabet has to be: as many as its segments.

    `alphabet` is what the message center reads behind data_coding 0; a character that it lacks makes the whole body
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
    """Return the body undivided, for message_payload, and whether the message center will divide it."""
    text = split(body, encoding, alphabet=alphabet)
    return Text(text.data_coding, (b"".join(text.parts),)), len(text.parts) > 1


def decode(data: bytes, data_coding: int, alphabet: Alphabet = "gsm7") -> str:
    """Decode the text of a deliver_sm; octets that mean nothing in its alphabet become U+FFFD. Never raises."""
    return read(data, data_coding, alphabet).text


def read(data: bytes, data_coding: int, alphabet: Alphabet = "gsm7") -> Reading:
    """Read the text of a deliver_sm, and whether it could surely be read. Never raises.

    Besides the values of SMPP 3.4 § 5.2.19 the coding groups of 3GPP TS 23.038 § 4 are read, which § 5.2.19 refers to
    from 0xC0 on and message centres use throughout. Octets that show that they are something else than data_coding
    says are read as what they are: by a byte order mark, as UTF-8, or in the other byte order.
    """
    charset = _CHARSETS.get(data_coding) or _charset_of_group(data_coding, alphabet)
    marked = _read_marked(data, charset)
    if marked is not None:
        return _judged(marked, charset != "utf-16-be" or len(data) % 2 == 0)
    if charset == "utf-16-be":
        return _read_ucs2(data)
    is_sure = _is_plain(data) or not _is_vague(data_coding)
    order = _byte_order(data, _LATIN_OR_CYRILLIC, most=0)
    if order is not None:
        return _judged(_decode_swapped(data) if order == "utf-16-le" else data.decode(order, "replace"), is_sure)
    if not data.isascii() and charset in ("gsm7", "latin-1", "ascii"):
        written = _decoded(data, "utf-8")
        if written is not None:
            return _judged(written, is_sure)
    if charset == "gsm7":
        return _judged(decode_gsm7(data), is_sure)
    if charset in ("latin-1", "ascii"):
        # What claims to be ASCII and is not would be lost; in Latin-1 it is at least a guess. The codes that Latin-1
        # leaves to control characters are letters and marks of Windows'.
        charset = "cp1252" if any(0x80 <= octet < 0xA0 for octet in data) else "latin-1"
    return _judged(data.decode(charset, "replace"), is_sure)


def make_header(part: Concatenation) -> bytes:
    """Make the user data header of a part (3GPP TS 23.040 § 9.2.3.24.1 and 9.2.3.24.8)."""
    if part.bits == 16:
        return bytes((6, 8, 4, part.reference >> 8 & 0xFF, part.reference & 0xFF, part.count, part.number))
    return bytes((5, 0, 3, part.reference & 0xFF, part.count, part.number))


def has_header(data: bytes) -> bool:
    """Return whether a text begins with a header of concatenation, which some message centres do not announce."""
    return data[:3] in (b"\5\0\3", b"\6\x08\4") and read_header(data)[0] is not None


def read_header(data: bytes) -> tuple[Concatenation | None, bytes]:
    """Return what a user data header says of concatenation, and the text behind it.

    A header beyond the data is text, and so is one of letters whose elements do not fit in it.
    """
    if not data or data[0] >= len(data):
        return None, data
    end, at, part = data[0] + 1, 1, None
    while at + 2 <= end:
        element, length = data[at], data[at + 1]
        value = data[at + 2 : at + 2 + length]
        if at + 2 + length > end:
            if _is_plain(data[:end]):
                return None, data
            break
        if element == 0x00 and length == 3:
            part = _concatenation(value[0], value[1], value[2], 8)
        elif element == 0x08 and length == 4:
            part = _concatenation(int.from_bytes(value[:2]), value[2], value[3], 16)
        at += 2 + length
    return part, data[end:]


def read_sar(reference: bytes | None, total: bytes | None, number: bytes | None) -> Concatenation | None:
    """Read sar_msg_ref_num, sar_total_segments and sar_segment_seqnum (SMPP 3.4 § 5.3.2.22 to 24), or return None."""
    if not reference or not total or not number:
        return None
    return _concatenation(int.from_bytes(reference[-2:]), total[-1], number[-1], 16)


def _concatenation(reference: int, count: int, number: int, bits: int) -> Concatenation | None:
    """Return None for a lone part and for one outside its count, as 3GPP TS 23.040 § 9.2.3.24.1 has it."""
    return Concatenation(reference, count, number, bits) if count > 1 and 1 <= number <= count else None


def _read_marked(data: bytes, charset: str) -> str | None:
    """Read the text behind a byte order mark, or None without one."""
    for mark, by_mark in _MARKS:
        if data.startswith(mark):
            behind = data[len(mark) :]
            if by_mark == "utf-8":
                return _decoded(behind, by_mark)
            if charset != "utf-16-be" and len(data) % 2:
                return None
            return _decode_swapped(behind) if by_mark == "utf-16-le" else behind.decode(by_mark, "replace")
    return None


def _read_ucs2(data: bytes) -> Reading:
    """UCS-2 as message centres bring it: also in the other byte order, cut within a character, or not UCS-2 at all."""
    is_whole = len(data) % 2 == 0
    text = data.decode("utf-16-be", "replace")
    single = _read_single_octets(data, text)
    if single is not None:
        return Reading(single, False)
    order = _byte_order(data, _SCRIPTS, most=0 if len(data) < 2 * _SOME_UNITS else len(data) // 6)
    return _judged(_decode_swapped(data) if order == "utf-16-le" else text, is_whole)


def _decode_swapped(data: bytes) -> str:
    """UTF-16 with the lower octet first; of half a character at the end, the lower octet."""
    return (data if len(data) % 2 == 0 else data + b"\0").decode("utf-16-le", "replace")


def _byte_order(data: bytes, scripts: Container[int], *, most: int) -> str | None:
    """Return the byte order in which all octets are of alphabets, up to `most` units, and few the other way round."""
    units = len(data) // 2
    if units < _FEWEST_UNITS:
        return None
    first, second = data[: 2 * units : 2], data[1 : 2 * units : 2]
    for upper, lower, order in ((first, second, "utf-16-be"), (second, first, "utf-16-le")):
        strange = sum(octet not in scripts for octet in upper)
        familiar = sum(octet in scripts for octet in lower)
        if strange <= most and 3 * familiar <= units and len(set(lower)) >= _FEWEST_UNITS:
            return order
    return None


def _read_single_octets(data: bytes, as_ucs2: str) -> str | None:
    """Read the text of octets that claim to be UCS-2 and are UTF-8, ASCII or Latin-1, or None.

    An odd number of octets is no UCS-2. An even number may be Chinese or Korean by chance, so it has to look like
    words, or be no assigned characters in UCS-2.
    """
    if len(data) < 3 or 0 in data:
        return None
    is_odd = len(data) % 2 == 1
    text = _decoded(data, "utf-8")
    share = sum(octet == 0x20 or chr(octet).isalpha() for octet in data if octet < 0x80) / len(data)
    if text is None and is_odd and share >= 0.5:
        text = data.decode("latin-1")
    if text is None or not all(character.isprintable() or character in _LINE_BREAKS for character in text):
        return None
    if is_odd or (share == 1 and (text.islower() or text.isupper() or text[1:].islower())):
        return text
    if data.isascii():
        return text if len(data) >= _MANY_OCTETS and share >= _LEAST_LETTERS else None
    pages = {ord(character) >> 8 for character in text if not character.isascii()}
    is_nobodys = any(character == "\ufffd" or unicodedata.category(character) in ("Co", "Cn") for character in as_ucs2)
    is_one_script = len(pages) == 1 and (len(data) >= 8 or share >= _LEAST_LETTERS)
    return text if is_nobodys or is_one_script else None


def _decoded(data: bytes, charset: str) -> str | None:
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        return None


def _judged(text: str, is_sure: bool = True) -> Reading:
    """Return the reading of a text, which is not sure where octets were lost or mean no character."""
    strange = any(
        character == "\ufffd" or (unicodedata.category(character) == "Cc" and character not in _LINE_BREAKS)
        for character in text.replace("\0", "")
    )
    return Reading(text, is_sure and not strange)


def _is_vague(data_coding: int) -> bool:
    """Return whether a data_coding leaves open what its octets mean: reserved, or compressed (3GPP TS 23.038 § 4)."""
    group = data_coding >> 4
    return group in _COMPRESSED or group in _RESERVED or (group == 0 and data_coding not in (0, *_CHARSETS))


def _is_plain(data: bytes) -> bool:
    """Return whether the octets are the same text in nearly every alphabet."""
    return all(octet in b"\r\n" or 0x20 <= octet < 0x7F for octet in data)


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
