"""Split a rendered body into segments by its encoding."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

# 3GPP TS 23.038 § 6.2.1: the default alphabet and, behind an escape septet, its extension. The escape itself
# is left out: sent raw, it would swallow the character after it, so a body that holds one goes as UCS-2.
GSM7_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = "\f^{}\\[~]|€"
GSM7_SINGLE, GSM7_PART = 160, 153
UCS2_SINGLE, UCS2_PART = 70, 67

_ESCAPE = "\x1b"
_ESCAPED = {ord(character): _ESCAPE + character for character in GSM7_EXTENSION}
_basic = re.compile(f"[{re.escape(GSM7_BASIC)}]*").fullmatch
_gsm7 = re.compile(f"[{re.escape(GSM7_BASIC + GSM7_EXTENSION)}]*").fullmatch
_extension = re.compile(f"[{re.escape(GSM7_EXTENSION)}]")
_outside = re.compile(f"[^{re.escape(GSM7_BASIC + GSM7_EXTENSION)}]")


class Encoding(StrEnum):
    """The character encoding of a message: GSM-7 where every character has it, else UCS-2."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The segments of a body; `units` are septets (gsm7) or UTF-16 units (ucs2), without headers."""

    encoding: Encoding
    segments: int
    units: int


# Nearly every body is a single part, and building a frozen dataclass costs more than measuring it.
_GSM7_SINGLES = tuple(Segmentation(Encoding.GSM7, 1, units) for units in range(GSM7_SINGLE + 1))
_UCS2_SINGLES = tuple(Segmentation(Encoding.UCS2, 1, units) for units in range(UCS2_SINGLE + 1))


def measure(body: str) -> Segmentation:
    """Measure the encoding, segments and units of a rendered body; each segment is paid for."""
    if _basic(body):
        units = len(body)
        if units <= GSM7_SINGLE:
            return _GSM7_SINGLES[units]
        return Segmentation(Encoding.GSM7, -(-units // GSM7_PART), units)
    if _gsm7(body):
        units = len(body) + len(_extension.findall(body))
        if units <= GSM7_SINGLE:
            return _GSM7_SINGLES[units]
        return Segmentation(Encoding.GSM7, len(_gsm7_cuts(body.translate(_ESCAPED))) - 1, units)
    data = _utf16(body)
    units = len(data) // 2
    if units <= UCS2_SINGLE:
        return _UCS2_SINGLES[units]
    if units == len(body):
        return Segmentation(Encoding.UCS2, -(-units // UCS2_PART), units)
    return Segmentation(Encoding.UCS2, len(_utf16_cuts(data)) - 1, units)


def split(body: str) -> list[str]:
    """Split a body into parts, as many as its segments; no escape pair or surrogate pair is divided."""
    if measure(body).segments == 1:
        return [body]
    if _gsm7(body):
        septets = body.translate(_ESCAPED)
        cuts = _gsm7_cuts(septets)
        return [septets[a:b].replace(_ESCAPE, "") for a, b in pairwise(cuts)]
    data = _utf16(body)
    cuts = _utf16_cuts(data)
    return [data[2 * a : 2 * b].decode("utf-16-be", "surrogatepass") for a, b in pairwise(cuts)]


def forcing_characters(body: str) -> list[str]:
    """Return the distinct characters that force UCS-2, in order of appearance; none for a GSM-7 body."""
    return list(dict.fromkeys(_outside.findall(body)))


def _utf16(body: str) -> bytes:
    return body.encode("utf-16-be", "surrogatepass")


def _gsm7_cuts(septets: str) -> list[int]:
    """Return where the parts begin and end; a part that would end on an escape ends before it."""
    cuts, end = [0], 0
    while end < len(septets):
        end = min(end + GSM7_PART, len(septets))
        if septets[end - 1] == _ESCAPE:
            end -= 1
        cuts.append(end)
    return cuts


def _utf16_cuts(data: bytes) -> list[int]:
    """Return where the parts begin and end, in units; a part that would end on a high surrogate ends before it."""
    cuts, end, units = [0], 0, len(data) // 2
    while end < units:
        end = min(end + UCS2_PART, units)
        if end < units and 0xD8 <= data[2 * end - 2] <= 0xDB and 0xDC <= data[2 * end] <= 0xDF:
            end -= 1
        cuts.append(end)
    return cuts
