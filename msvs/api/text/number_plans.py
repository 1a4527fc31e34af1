"""Numbering plans of all countries, from the data of `phonenumbers`, compiled once a region.

`phonenumbers` reads a number of any form and looks up its type up to three times, which takes most of the time of a
request or of a row of an import. The numbers here are digits alone, and are looked up once; where reading them needs
more than that, `phonenumbers` does it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata, PhoneNumberFormat, PhoneNumberType
from phonenumbers.phonemetadata import PhoneNumberDesc

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
# A number is of the first of these kinds that it matches, and else of a fixed line or a mobile.
_FIRST_KINDS = (
    "premium_rate",
    "toll_free",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)
_LONGEST_COUNTRY_CODE = 3


class Place(NamedTuple):
    """Where a valid number belongs; `region` is its ISO 3166-1 code, or None if it belongs to no country."""

    region: str | None
    country_code: int
    kind: str


class _Numbers(NamedTuple):
    """The national numbers of one kind; `lengths` is empty if any length is possible."""

    pattern: re.Pattern[str]
    lengths: frozenset[int]

    def hold(self, national: str) -> bool:
        """Return whether the number is one of them."""
        if self.lengths and len(national) not in self.lengths:
            return False
        return self.pattern.fullmatch(national) is not None


class _Plan:
    """The numbering plan of a region."""

    def __init__(self, region: str, code: int) -> None:
        data = (
            PhoneMetadata.metadata_for_nongeo_region(code)
            if region == NON_GEOGRAPHIC_REGION
            else PhoneMetadata.metadata_for_region(region)
        )
        assert data is not None, region
        self.region = None if region == NON_GEOGRAPHIC_REGION else region
        self.code = code
        self._all = _numbers(data.general_desc)
        found = ((kind, _numbers(getattr(data, kind))) for kind in _FIRST_KINDS)
        self._first = tuple((kind, numbers) for kind, numbers in found if numbers is not None)
        self._fixed, self._mobile = _numbers(data.fixed_line), _numbers(data.mobile)
        self._are_alike = data.same_mobile_and_fixed_line_pattern
        self.leading_digits = _compile(data.leading_digits)
        self.national_prefix = _compile(data.national_prefix_for_parsing)
        self.international_prefix = _compile(data.international_prefix)

    def kind(self, national: str) -> str | None:
        """Return the kind of a national number, or None if it is not valid here."""
        if self._all is None or not self._all.hold(national):
            return None
        for kind, numbers in self._first:
            if numbers.hold(national):
                return kind
        is_mobile = not self._are_alike and self._mobile is not None and self._mobile.hold(national)
        if self._fixed is not None and self._fixed.hold(national):
            return "fixed_line_or_mobile" if is_mobile or self._are_alike else "fixed_line"
        return "mobile" if is_mobile else None


def look_up(e164: str) -> Place | None:
    """Return the place of a number, written as + and 7 to 15 digits, or None if it is not valid as it is written."""
    for length in range(1, _LONGEST_COUNTRY_CODE + 1):
        code = int(e164[1 : 1 + length])
        if code in COUNTRY_CODE_TO_REGION_CODE:
            break
    else:
        return None
    national = e164[1 + length :]
    plans = _plans(code)
    prefix = plans[0].national_prefix
    if prefix is not None and prefix.match(national):
        return _read(e164)
    for plan in plans:
        if plan.leading_digits is not None and len(plans) > 1:
            if plan.leading_digits.match(national):
                kind = plan.kind(national)
                return None if kind is None else Place(plan.region, code, kind)
        elif (kind := plan.kind(national)) is not None:
            return Place(plan.region, code, kind)
    return None


def dialed(digits: str, region: str) -> str | None:
    """Return the E.164 number that `digits` dial in a region, or None if more than the country code has to be added."""
    code = phonenumbers.country_code_for_region(region)
    plan = next((plan for plan in _plans(code) if plan.region == region), None) if code else None
    if plan is None or digits.startswith(str(code)):
        return None
    prefixes = (plan.national_prefix, plan.international_prefix)
    if any(prefix is not None and prefix.match(digits) for prefix in prefixes):
        return None
    return f"+{code}{digits}"


def _read(e164: str) -> Place | None:
    """Look up a number that begins as if a prefix for calls within its country stood before it."""
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
    return Place(None if region == NON_GEOGRAPHIC_REGION else region, number.country_code or 0, kind)


@cache
def _plans(code: int) -> tuple[_Plan, ...]:
    """Return the plans of the regions that share a country code, the main one first."""
    return tuple(_Plan(region, code) for region in COUNTRY_CODE_TO_REGION_CODE[code])


def _numbers(description: PhoneNumberDesc | None) -> _Numbers | None:
    if description is None or not description.national_number_pattern:
        return None
    return _Numbers(re.compile(description.national_number_pattern), frozenset(description.possible_length))


def _compile(pattern: str | None) -> re.Pattern[str] | None:
    return re.compile(pattern) if pattern else None
