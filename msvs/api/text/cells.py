"""Phones in the cells of spreadsheets: undo what spreadsheets do to them where that is certain."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneMetadata

from msvs.api.errors import InvalidRequest
from msvs.api.text.columns import is_label, repair_text
from msvs.api.text.phones import Phone, parse_phone, read_phone

# No phone is longer, with all that may stand around it.
MAX_CELL = 500
# The region of numbers that are international or nothing.
NO_REGION = "ZZ"

# Characters at the start of a cell that a spreadsheet reads as a formula or as the end of the cell.
FORMULA_SIGNS = "=+-@＝＋－＠\t\r\n"

_QUOTES = "'\"`´‘’‚‛“”„‟«»‹›′″<>"
_DASHES = "−─⁃"
# A letter in Japanese words; between digits, people type it as a dash.
_LONG_VOWEL = "ー"
_DOTS = "·•∙・"
# Spreadsheets write these in place of what a cell cannot show.
_errors = re.compile(r"#(?:#*|[A-Z/0]+[!?]?)").fullmatch

_plain = re.compile(r"\+?[0-9]{6,15}").fullmatch
_decimal = re.compile(r"(\+?[0-9]{6,15}|\+?[0-9]{1,3}(?:[,. '][0-9]{3}){2,4})[.,]0{1,2}").fullmatch
_thousands = re.compile(r"\+?[0-9]{1,3}([,.' ])[0-9]{3}(?:\1[0-9]{3}){1,3}").fullmatch
_scientific = re.compile(r"(\+?)([0-9])(?:[.,]([0-9]+))?[eE]\+?([0-9]{1,2})").fullmatch
_wrapped_plus = re.compile(r"\(\s*\+\s*([0-9]{1,3})\s*\)\s*|\+{2,}\s*|\+\s+")
# A ten-digit phone that a spreadsheet formatted as an amount.
_commas = re.compile(r"\+?[0-9]{1,3}(?:,[0-9]{3}){1,2},[0-9]{4}").fullmatch
# HTML tags around the number, such as those of a link.
_tag = re.compile(r"</?[A-Za-z][A-Za-z0-9]*(?:\s[^<>]*)?/?>")
_extension = re.compile(
    r".*[0-9)]\s*[,;]?\s*(?:x|#|ext|extn|extension|int|anexo|ramal|poste|доб)[.:=]*\s*[0-9]{1,7}", re.IGNORECASE
).fullmatch
_between = re.compile(r"[,;|/&\n]|:::|\b(?:and|or|e|y|et|und|ou|o)\b")
_like = re.compile(r"\+?[0-9(][0-9 ()./-]{5,30}").fullmatch
_date = re.compile(r"[0-9]{1,4}[-/. ][0-9]{1,2}[-/. ][0-9]{1,4}").fullmatch
_dates = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+)?|[0-9]{1,2}[/.][0-9]{1,2}[/.][0-9]{2,4}(?: [0-9]{1,2}:[0-9:]+)?"
)

NO_PHONE = "it has no phone number"
ROUNDED = "a spreadsheet rounded the number (as 1.2E+10), and its last digits are lost"
NOT_SHOWN = "a spreadsheet left an error in place of the number"
SEVERAL = "several numbers are in one cell"
EXTENSION = "the number has an extension"
NO_COUNTRY = "the number has no country code, and neither its row nor the command names its country"
NOT_OF_REGION = "the number is not valid in {region} and has no country code"
NOT_VALID = "it is not a valid phone number"


class CellUnreadable(ValueError):
    """A cell cannot be read; `reason` says why, without what is in it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def escape_formula(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula: an apostrophe marks it as text."""
    return f"'{cell}" if _is_formula(cell) else cell


def unescape_formula(cell: str) -> str:
    """Undo `escape_formula`."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def _is_formula(cell: str) -> bool:
    return cell.lstrip("'").startswith(tuple(FORMULA_SIGNS))


def clean_text(text: str) -> str:
    """Return a cell without what cannot be seen: controls, bidirectional marks, zero-width and odd spaces, edges."""
    return _normalize(text).strip()


def clean_phone_text(text: str) -> str:
    """Return a phone as people write it, without the traces of spreadsheets, markup and word processors.

    Raises CellUnreadable where its digits are not all there.
    """
    text = html.unescape(repair_text(text[:MAX_CELL])).replace("%2B", "+").replace(_LONG_VOWEL, "-")
    text = _unwrap(_normalize(_tag.sub(" ", text) if "<" in text else text))
    if _errors(text):
        raise CellUnreadable(NOT_SHOWN)
    if text.endswith("+") and text.count("+") == 1:
        # Written from right to left, the sign comes last.
        text = f"+{text[:-1].strip()}"
    if written := _scientific(text):
        return _expand(written)
    if whole := _decimal(text):
        text = whole[1]
    if _thousands(text):
        text = text[0] + re.sub(r"[^0-9]", "", text[1:])
    if _commas(text):
        text = text.replace(",", " ")
    text = _wrapped_plus.sub(lambda found: f"+{found[1] or ''}", text, count=1)
    return re.sub(r" {2,}", " ", text)


def read_phone_cell(text: str, region: str | None = None, *, is_international: bool = False) -> Phone:
    """Return the phone in a cell. Raises CellUnreadable with the reason.

    A number without its country code is one of `region`. What has lost the plus before its country code is read where
    no other country's mobile number is written so, or where `is_international` says that all had one.
    """
    if len(text) > MAX_CELL:
        raise CellUnreadable(NOT_VALID)
    if text.startswith("+") and _plain(text) and (phone := _try_e164(text[1:])) is not None:
        return phone
    cleaned = clean_phone_text(text)
    if not cleaned:
        raise CellUnreadable(NO_PHONE)
    found = _read(cleaned, region, is_international)
    if found is None:
        raise CellUnreadable(_reason(cleaned, region))
    return found


def looks_like_phone(text: str) -> bool:
    """Return whether a cell may hold a phone, readable or not: mostly digits, and no date."""
    try:
        cleaned = clean_phone_text(text)
    except CellUnreadable as error:
        return error.reason == ROUNDED
    return bool(_like(cleaned)) and 7 <= sum(map(str.isdigit, cleaned)) <= 17 and not _date(cleaned)


def may_hold_phone(text: str) -> bool:
    """Return whether a phone may stand anywhere in a text, which then is no title of a table or of its columns."""
    return sum(map(str.isdigit, _dates.sub("", _normalize(text)))) >= 7


def _read(text: str, region: str | None, is_international: bool) -> Phone | None:
    if text.startswith("+"):
        return _try(text, NO_REGION)
    if is_international and (phone := _try_e164(text)) is not None:
        return phone
    if region is not None and (phone := _try(text, region)) is not None:
        return phone
    if text.startswith("00"):
        return _try(f"+{text[2:].strip()}", NO_REGION)
    if not _plain(text) or len(text) < 10:
        return None
    phone = _try_e164(text)
    return None if phone is None or _is_mobile_elsewhere(text) else phone


def _try(text: str, region: str) -> Phone | None:
    try:
        return read_phone(text, region)
    except InvalidRequest:
        return None


def _try_e164(digits: str) -> Phone | None:
    try:
        return parse_phone(f"+{digits}")
    except InvalidRequest:
        return None


def _reason(text: str, region: str | None) -> str:
    if _extension(text):
        return EXTENSION
    if text.count("+") > 1 or sum(map(looks_like_phone, _between.split(text))) > 1:
        return SEVERAL
    if text.startswith(("+", "00")) or not looks_like_phone(text):
        return NOT_VALID
    return NO_COUNTRY if region is None else NOT_OF_REGION.format(region=region)


def _expand(written: re.Match[str]) -> str:
    """Return the digits of a number in E-notation, if it shows all of them."""
    plus, first, rest, exponent = written[1], written[2], written[3] or "", int(written[4])
    whole, more = rest[:exponent], rest[exponent:]
    if len(whole) < exponent or more.strip("0"):
        raise CellUnreadable(ROUNDED)
    return f"{plus}{first}{whole}"


def _unwrap(text: str) -> str:
    """Without formula signs, quotes and labels around it: `="+1…"`, `'+1…`, `tel:+1…`, `<p:+1…>`."""
    while True:
        before = text
        text = text.strip(f"{_QUOTES} \n").removeprefix("=").removeprefix("//")
        label, colon, rest = text.partition(":")
        if colon and is_label(label):
            text = rest
        if text == before:
            return text


def _normalize(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_plain_form, unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=4096)
def _plain_form(character: str) -> str:
    """Return what a character is to a reader, in ASCII where it is a digit, a sign or a space of some kind."""
    if character in _DASHES:
        return "-"
    if character in _DOTS:
        return "."
    if character in "\r\n\v\f\x85\u2028\u2029":
        return "\n"
    if character == "\t":
        return " "
    if character in "＋﹢➕":
        return "+"
    if "\uff01" <= character <= "\uff5e":
        return unicodedata.normalize("NFKC", character)
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    return {"Zs": " ", "Pd": "-", "Cf": "", "Cc": "", "Mn": "", "Me": ""}.get(category, character)


class _Mobiles(NamedTuple):
    code: str
    trunk: str | None
    pattern: re.Pattern[str]


def _is_mobile_elsewhere(digits: str) -> bool:
    """Return whether some country's mobile number is dialed by `digits`, other than the one they begin with the code
    of.
    """
    bare, dialed = _load_mobiles()
    if any(each.pattern.fullmatch(digits) for each in bare.get(len(digits), ())):
        return True
    return any(
        each.code + digits.removeprefix(trunk) != digits and each.pattern.fullmatch(digits.removeprefix(trunk))
        for trunk, mobiles in dialed.items()
        if digits.startswith(trunk)
        for each in mobiles.get(len(digits) - len(trunk), ())
    )


@lru_cache(maxsize=1)
def _load_mobiles() -> tuple[dict[int, list[_Mobiles]], dict[str, dict[int, list[_Mobiles]]]]:
    """Load the mobile numbers of all countries by their lengths, and by the prefix dialed before them and their
    lengths.
    """
    bare: dict[int, list[_Mobiles]] = {}
    dialed: dict[str, dict[int, list[_Mobiles]]] = {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        known = PhoneMetadata.metadata_for_region(region)
        mobile = None if known is None else known.mobile
        if known is None or mobile is None or not mobile.national_number_pattern:
            continue
        entry = _Mobiles(str(known.country_code), known.national_prefix, re.compile(mobile.national_number_pattern))
        for length in mobile.possible_length or (known.general_desc or mobile).possible_length:
            bare.setdefault(length, []).append(entry)
            if entry.trunk is not None:
                dialed.setdefault(entry.trunk, {}).setdefault(length, []).append(entry)
    return bare, dialed
