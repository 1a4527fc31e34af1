"""Phone numbers: strict E.164 in, with their region, calling code and type."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

from msvs.api.errors import InvalidRequest

MAX_ECHO = 40
NON_GEOGRAPHIC_REGION = "001"

KINDS = {
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.VOICEMAIL: "voicemail",
}

# phonenumbers also reads vanity letters, full-width digits, extensions and zero-width characters.
_e164 = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch

# Digits and what people put between them; nothing else that phonenumbers reads.
_written = re.compile(r"\+?[0-9(][0-9 ()./-]{3,30}").fullmatch

_SPELLINGS = tomllib.loads(files("msvs.api").joinpath("data/number_spellings.toml").read_text("utf-8"))
_FORMER = tuple((re.compile(row["pattern"], re.ASCII), row["now"]) for row in _SPELLINGS["former"])
_SAME = tuple((re.compile(row["pattern"], re.ASCII), row["other"]) for row in _SPELLINGS["same"])


@dataclass(frozen=True, slots=True)
class Phone:
    """A valid number; `region` is its ISO 3166-1 code, or None where it belongs to no country."""

    e164: str
    region: str | None
    country_code: int
    kind: str


def parse_phone(text: str, *, param: str = "to") -> Phone:
    """The number written in `text`. Raises InvalidRequest `phone_number_invalid` unless it is valid E.164."""
    phone = _find(text) if _e164(text) else None
    if phone is None:
        raise InvalidRequest(
            f"The phone number '{_echo(text)}' could not be parsed as E.164.",
            code="phone_number_invalid",
            param=param,
        )
    return phone


def read_phone(text: str, region: str, *, param: str = "to") -> Phone:
    """The number written in `text` in E.164, spaced as people write it or as it is dialed in `region`.

    Raises InvalidRequest `phone_number_invalid`.
    """
    written = text.strip(" ")
    phone = None
    if _written(written):
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            number = None
        if number is not None:
            phone = _find(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    if phone is None:
        raise InvalidRequest(
            f"The phone number '{_echo(text)}' could not be parsed as E.164 or as a number of {region}.",
            code="phone_number_invalid",
            param=param,
        )
    return phone


def region_of(e164: str) -> str | None:
    """The ISO 3166-1 code of a number's region; None where it has none, or is no number."""
    phone = _find(e164) if _e164(e164) else None
    return None if phone is None else phone.region


def carrier_phone(text: str) -> str | None:
    """The number in E.164 that a carrier means by `text`, or None where it is none.

    Many leave the plus out, some put a trunk zero in, and some write what a country's numbers were before.
    """
    written = text if text.startswith("+") else f"+{text}"
    if not _e164(written):
        return None
    spellings = [written, *(pattern.sub(now, written) for pattern, now in _FORMER if pattern.fullmatch(written))]
    found = next((phone for phone in map(_find, spellings) if phone is not None), None)
    if found is None:
        try:
            number = phonenumbers.parse(written)
        except phonenumbers.NumberParseException:
            return None
        found = _find(phonenumbers.format_number(number, PhoneNumberFormat.E164))
    return None if found is None else found.e164


@lru_cache(maxsize=8192)
def other_spelling(e164: str) -> str | None:
    """The other valid number by which messages reach the same phone, or None."""
    others = (pattern.sub(other, e164) for pattern, other in _SAME if pattern.fullmatch(e164))
    return next((other for other in others if _find(other) is not None), None)


def with_spellings(phones: Iterable[str]) -> list[str]:
    """The phones and their other spellings, each once, sorted."""
    found = set(phones)
    return sorted(found.union(filter(None, map(other_spelling, found))))


@lru_cache(maxsize=8192)
def time_zones(e164: str) -> tuple[str, ...]:
    """The IANA time zones a number may be in; none where it cannot be told."""
    if not _e164(e164):
        return ()
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for zone in time_zones_for_number(number) if zone != UNKNOWN_TIMEZONE)


@lru_cache(maxsize=8192)
def _find(e164: str) -> Phone | None:
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    # A number is valid exactly when its type is known; is_valid_number would look all of it up a second time.
    kind = KINDS.get(phonenumbers.number_type(number))
    # "+44 020…" is read without its trunk zero: a valid number, but not the one that was written.
    if kind is None or phonenumbers.format_number(number, PhoneNumberFormat.E164) != e164:
        return None
    region = phonenumbers.region_code_for_number(number)
    return Phone(
        e164=e164,
        region=None if region == NON_GEOGRAPHIC_REGION else region,
        country_code=number.country_code or 0,
        kind=kind,
    )


def _echo(text: str) -> str:
    """What an error repeats of the input: printable characters, at most MAX_ECHO."""
    return "".join(character for character in text[: 4 * MAX_ECHO] if character.isprintable())[:MAX_ECHO]
