"""Numbering plans say of every number what `phonenumbers` says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import phonenumbers
import pytest
from phonenumbers import PhoneNumberFormat

from msvs.api.errors import InvalidRequest
from msvs.api.text import number_plans
from msvs.api.text.number_plans import KINDS, Place, look_up
from msvs.api.text.phones import parse_phone, read_phone

E164 = PhoneNumberFormat.E164
# What is read at all.
WRITTEN = re.compile(r"\+?[0-9(][0-9 ()./-]{3,30}")


def examples() -> Iterator[str]:
    """A number of each kind of each region, and one of each that is not valid."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        found = [phonenumbers.example_number_for_type(region, kind) for kind in KINDS]
        for number in (*found, phonenumbers.invalid_example_number(region)):
            if number is not None:
                yield phonenumbers.format_number(number, E164)
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        yield phonenumbers.format_number(phonenumbers.example_number_for_non_geo_entity(code), E164)


def changed(random: Random, number: str) -> str:
    """The number with other digits at its end, sometimes one more or one fewer."""
    kept = random.randrange(3, len(number))
    length = max(len(number) - kept + random.choice((0, 0, 0, -1, 1)), 0)
    return (number[:kept] + "".join(random.choices("0123456789", k=length)))[:16]


def by_the_library(e164: str) -> Place | None:
    """What `phonenumbers` says of a number that must be written as it is dialed from abroad."""
    try:
        number = phonenumbers.parse(e164)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number) or phonenumbers.format_number(number, E164) != e164:
        return None
    region = phonenumbers.region_code_for_number(number)
    kind = KINDS[phonenumbers.number_type(number)]
    return Place(None if region == "001" else region, number.country_code or 0, kind)


def test_every_region_and_kind() -> None:
    random = Random(7)
    numbers = sorted({*examples()} | {changed(random, number) for number in examples() for _ in range(4)})
    numbers = [number for number in numbers if len(number) >= 8]
    found = {number: look_up(number) for number in numbers}
    assert {number: place for number, place in found.items() if place != by_the_library(number)} == {}
    assert {place.kind for place in found.values() if place} == set(KINDS.values())
    assert len({place.region for place in found.values() if place}) > 240


@pytest.mark.parametrize("digits", ["+0123456789", "+2101234567", "+9991234567", "+999999999999999"])
def test_no_country_has_the_code(digits: str) -> None:
    assert look_up(digits) is None


def test_a_number_as_its_country_dials_it() -> None:
    random = Random(11)
    for number in random.sample(sorted(examples()), 300):
        parsed = phonenumbers.parse(number)
        region = phonenumbers.region_code_for_number(parsed) or "US"
        national = phonenumbers.national_significant_number(parsed)
        dialed = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
        for text in (dialed, national, f"0{national}", f"1{national}", f"00{number[1:]}", number[1:], number):
            for home in (region, "US", "IT", "AR"):
                if home != "001" and WRITTEN.fullmatch(text):
                    assert read(text, home) == read_by_the_library(text, home), (text, home)


def read(text: str, region: str) -> str | None:
    try:
        return read_phone(text, region).e164
    except InvalidRequest:
        return None


def read_by_the_library(text: str, region: str) -> str | None:
    try:
        return parse_phone(phonenumbers.format_number(phonenumbers.parse(text, region), E164)).e164
    except (phonenumbers.NumberParseException, InvalidRequest):
        return None


def test_most_numbers_are_not_parsed_by_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(phonenumbers, "parse")
    assert look_up("+12005550123") is None
    assert look_up("+12125550123") == Place("US", 1, "fixed_line_or_mobile")
    assert look_up("+5511961234567") == Place("BR", 55, "mobile")
    assert look_up("+447400123456") == Place("GB", 44, "mobile")
    assert look_up("+80012345678") == Place(None, 800, "toll_free")
    assert read_phone("(212) 555-0199", "US").e164 == "+12125550199"
    assert number_plans.dialed("02079460958", "GB") is None
