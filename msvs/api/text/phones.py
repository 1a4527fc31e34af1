"""Parse phone numbers in strict E.164, with their region, calling code and type."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

import phonenumbers
from phonenumbers import PhoneNumberFormat
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.text.number_plans import dialed, look_up

MAX_ECHO = 40

# phonenumbers also reads vanity letters, full-width digits, extensions and zero-width characters.
_e164 = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch

# Digits and what people put between them; nothing else that phonenumbers reads.
_written = re.compile(r"\+?[0-9(][0-9 ()./-]{3,30}").fullmatch
_NO_PUNCTUATION = str.maketrans("", "", " ()./-")

_SPELLINGS = tomllib.loads(files("msvs.api").joinpath("data/number_spellings.toml").read_text("utf-8"))

# What stands between digits in what carriers write, besides white space, dashes of all kinds and invisible marks.
_PUNCTUATION = frozenset("()./")
_QUOTES = "<>'\"‘’“”"
# "TEL:+1…", "sip:+1…@carrier.example;user=phone", "1…/TYPE=PLMN": the number of an address, as gateways pass it on.
_scheme = re.compile(r"\A(?:tel|sms|smsto|sips?|mobile|msisdn|p)\s*:\s*", re.IGNORECASE)
_after_number = re.compile(r"(?:@|;\s*[a-z]|/TYPE=|,\s*\Z).*\Z", re.IGNORECASE | re.DOTALL)
_PUNCTUATION_CATEGORIES = frozenset(("Cf", "Cc", "Pd", "Zs"))


@dataclass(frozen=True, slots=True)
class Phone:
    """A valid number as it was given; `region` is its ISO 3166-1 code, or None if it belongs to no country.

    `e164` may be a former spelling: the rest is that of the present one.
    """

    e164: str
    region: str | None
    country_code: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Change:
    """One pair of digits of a row of the data: patterns and replacements, there and back."""

    is_former: bool
    earlier: re.Pattern[str]
    later: re.Pattern[str]
    to_later: str
    to_earlier: str

    @classmethod
    def of(cls, row: Mapping[str, object], was: str, now: str, *, is_former: bool) -> _Change:
        """Return the change of `was` to `now` in the numbers of a row."""
        before, rest = row["head"], row["rest"]
        return cls(
            is_former,
            re.compile(f"({before}){was}({rest})", re.ASCII),
            re.compile(f"({before}){now}({rest})", re.ASCII),
            rf"\g<1>{now}\g<2>",
            rf"\g<1>{was}\g<2>",
        )


_CHANGES = tuple(
    _Change.of(row, was, now, is_former=kind == "former")
    for kind in ("former", "same")
    for row in _SPELLINGS[kind]
    for was, now in row["digits"]
)
# Most numbers have one spelling, and are told by their first digits.
_MANY_SPELLED = tuple(
    {re.sub(r"[^+0-9].*", "", row["head"].replace("\\", "")) for row in (*_SPELLINGS["former"], *_SPELLINGS["same"])}
)


def parse_phone(text: str, *, param: str = "to") -> Phone:
    """Parse the number written in `text`, which may be one that a country has renumbered since.

    Raises InvalidRequest `phone_number_invalid` unless it is valid E.164.
    """
    phone = _read(text) if _e164(text) else None
    if phone is None:
        raise InvalidRequest(
            f"The phone number '{_echo(text)}' could not be parsed as E.164.",
            code=ErrorCode.PHONE_NUMBER_INVALID,
            param=param,
        )
    return phone


def read_phone(text: str, region: str, *, param: str = "to") -> Phone:
    """Read the number written in `text` in E.164, spaced as people write it or as it is dialed in `region`.

    Raises InvalidRequest `phone_number_invalid`.
    """
    written = text.strip(" ")
    phone = None
    if _written(written):
        phone = _read_plain(written, region) or _parse(written, region)
    if phone is None:
        raise InvalidRequest(
            f"The phone number '{_echo(text)}' could not be parsed as E.164 or as a number of {region}.",
            code=ErrorCode.PHONE_NUMBER_INVALID,
            param=param,
        )
    return phone


def _parse(written: str, region: str | None = None) -> Phone | None:
    """Read a number in any form that `phonenumbers` reads, as it is dialed in a region; None for no valid number."""
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return None
    return _read(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _read_plain(written: str, region: str) -> Phone | None:
    """Read a number that is the digits of an E.164 number or of a call within the region; None for any other."""
    digits = written.translate(_NO_PUNCTUATION)
    e164 = digits if digits.startswith("+") else dialed(digits, region)
    return _read(e164) if e164 is not None and _e164(e164) else None


def region_of(e164: str) -> str | None:
    """Return the ISO 3166-1 code of a number's region, or None if it has none, or is no number."""
    phone = _read(e164) if _e164(e164) else None
    return None if phone is None else phone.region


def carrier_phone(text: str) -> str | None:
    """Return the number in E.164 that a carrier means by `text`, as it is today, or None if it is none or not sure.

    Many leave the plus out or write 00 for it, some put a trunk zero in, blanks or dashes between the digits, and some
    write what a country's numbers were before.
    """
    digits = _without_punctuation(_address(text))
    digits = digits.removeprefix("+").removeprefix("00")
    written = f"+{digits}"
    if not _e164(written):
        return None
    found = _read(written) or _parse(written)
    return None if found is None else present(found.e164)


def canonical(phone: str) -> str:
    """Return the number that identifies a phone, the same for all its spellings; return any other text as it is.

    It is compared and never shown or dialed. The database's function `canonical_phone` says the same.
    """
    if not phone.startswith(_MANY_SPELLED):
        return phone
    change = _change_of(phone)
    return phone if change is None else change.earlier.sub(change.to_later, phone)


def present(phone: str) -> str:
    """Return the number to dial for a phone: itself, unless its country has renumbered it."""
    if not phone.startswith(_MANY_SPELLED):
        return phone
    change = _change_of(phone)
    if change is None or not change.is_former:
        return phone
    now = change.earlier.sub(change.to_later, phone)
    return phone if _find(now) is None else now


@lru_cache(maxsize=8192)
def spellings(phone: str) -> tuple[str, ...]:
    """Return every spelling of a phone, the canonical one first; of most phones that is the one."""
    now = canonical(phone)
    if not now.startswith(_MANY_SPELLED):
        return (now,)
    return (now, *(change.later.sub(change.to_earlier, now) for change in _CHANGES if change.later.fullmatch(now)))


def by_canonical(phones: Iterable[str]) -> dict[str, str]:
    """Return the phones by their canonical numbers, each as it is spelled first, in their order."""
    found: dict[str, str] = {}
    for phone in phones:
        found.setdefault(canonical(phone), phone)
    return found


def with_spellings(phones: Iterable[str]) -> list[str]:
    """Return the phones in all their spellings, each once, sorted."""
    return sorted({spelling for phone in phones for spelling in spellings(phone)})


@lru_cache(maxsize=8192)
def time_zones(e164: str) -> tuple[str, ...]:
    """Return the IANA time zones a number may be in; none where it cannot be told."""
    if not _e164(e164):
        return ()
    try:
        number = phonenumbers.parse(present(e164))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for zone in time_zones_for_number(number) if zone != UNKNOWN_TIMEZONE)


def _read(e164: str) -> Phone | None:
    """Read the number as it is today, under the spelling that was given."""
    now = present(e164)
    phone = _find(now)
    return phone if phone is None or now == e164 else replace(phone, e164=e164)


@lru_cache(maxsize=8192)
def _change_of(phone: str) -> _Change | None:
    """Return the change that a number is an earlier spelling of."""
    return next((change for change in _CHANGES if change.earlier.fullmatch(phone)), None)


def _address(text: str) -> str:
    """Return what stands for the number in an address: without quotes, its scheme, host and parameters."""
    text = unicodedata.normalize("NFKC", text.strip().strip(_QUOTES)).replace("%2B", "+")
    return _after_number.sub("", _scheme.sub("", text, count=1))


def _without_punctuation(text: str) -> str:
    """Return a number without what is written between and around its digits, and with digits of any script as ASCII."""
    return "".join(
        str(unicodedata.decimal(character, character))
        for character in text.strip()
        if character not in _PUNCTUATION and unicodedata.category(character) not in _PUNCTUATION_CATEGORIES
    )


@lru_cache(maxsize=8192)
def _find(e164: str) -> Phone | None:
    place = look_up(e164)
    return None if place is None else Phone(e164, *place)


def _echo(text: str) -> str:
    """Return what an error repeats of the input: printable characters, at most MAX_ECHO."""
    return "".join(character for character in text[: 4 * MAX_ECHO] if character.isprintable())[:MAX_ECHO]
