"""Phone numbers: strict E.164 in, with their region, calling code and type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

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
