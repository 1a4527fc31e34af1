from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs import database as db
from msvs.api.errors import InvalidRequest
from msvs.api.text import phones
from msvs.api.text.number_plans import KINDS
from msvs.api.text.phones import (
    Phone,
    by_canonical,
    canonical,
    carrier_phone,
    parse_phone,
    present,
    read_phone,
    region_of,
    spellings,
    time_zones,
    with_spellings,
)


@pytest.mark.parametrize(
    ("text", "region", "country_code", "kind"),
    [
        ("+14155550123", "US", 1, "fixed_line_or_mobile"),
        ("+14155550101", "US", 1, "fixed_line_or_mobile"),
        ("+14165550123", "CA", 1, "fixed_line_or_mobile"),
        ("+18005551234", "US", 1, "toll_free"),
        ("+19002345678", "US", 1, "premium_rate"),
        ("+447400123456", "GB", 44, "mobile"),
        ("+447911123456", "GG", 44, "mobile"),
        ("+442034567890", "GB", 44, "fixed_line"),
        ("+447012345678", "GB", 44, "personal_number"),
        ("+447600123456", "GB", 44, "pager"),
        ("+390698123456", "IT", 39, "fixed_line"),
        ("+5511961234567", "BR", 55, "mobile"),
        ("+79123456789", "RU", 7, "mobile"),
        ("+77012345678", "KZ", 7, "mobile"),
        ("+5352123456", "CU", 53, "mobile"),
        ("+870773111632", None, 870, "mobile"),
        ("+882161234567", None, 882, "voip"),
        ("+979123456789", None, 979, "premium_rate"),
        ("+80812345678", None, 808, "shared_cost"),
    ],
)
def test_a_valid_number(text: str, region: str | None, country_code: int, kind: str) -> None:
    assert parse_phone(text) == Phone(text, region, country_code, kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "+1abc",
        "4155550123",
        "14155550123",
        "0014155550123",
        "++14155550123",
        "+04155550123",
        "+1 415 555 0123",
        "+1-415-555-0123",
        "(415) 555-0123",
        "+1415555CASH",
        "+14155550123x5",
        "+14155550123;ext=5",
        "tel:+14155550123",
        " +14155550123",
        "+14155550123 ",
        "+14155550123\n",
        "\uff0b14155550123",
        "+\uff11\uff14155550123",
        "+1415555012\u0663",
        "+1415\u200b5550123",
        "+14155550123\u200b",
        "+1415555012",
        "+141555501234",
        "+11234567890",
        "+1415",
        "+1415555012345678",
        "+999123456789",
        "+4402034567890",
        "+54111512345678",
        "+15555550123",
    ],
)
def test_anything_else_is_refused_in_the_documents_words(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_phone(text)
    assert caught.value.code == "phone_number_invalid"
    assert caught.value.param == "to"
    assert caught.value.status == 400


def test_the_documents_example() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_phone("+1abc", param="phone")
    assert caught.value.message == "The phone number '+1abc' could not be parsed as E.164."
    assert caught.value.param == "phone"


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ("9" * 41, "9" * 40),
        ("+1 415\r\nSet-Cookie: a", "+1 415Set-Cookie: a"),
        ("\x00\x1b[31m+1", "[31m+1"),
        ("+1\u202e\u200b\u2028\ud8002", "+12"),
        ("\x00" * 10_000 + "1", ""),
        ("ção", "ção"),
    ],
)
def test_the_echo_is_short_and_printable(text: str, echo: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_phone(text)
    assert caught.value.message == f"The phone number '{echo}' could not be parsed as E.164."


def test_a_number_that_was_refused_once_is_refused_again() -> None:
    for param in ("to", "phone"):
        with pytest.raises(InvalidRequest) as caught:
            parse_phone("+15555550199", param=param)
        assert caught.value.param == param


EXAMPLES = [
    phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    for kind in sorted(KINDS)
    if (example := phonenumbers.example_number_for_type(region, kind))
]


def test_the_examples_of_every_region_and_type_are_read() -> None:
    written = [text for text in EXAMPLES if len(text) >= 8]
    assert len(written) > 1000
    for text in written:
        number = phonenumbers.parse(text)
        assert parse_phone(text) == Phone(
            e164=text,
            region=phonenumbers.region_code_for_number(number),
            country_code=number.country_code or 0,
            kind=KINDS[phonenumbers.number_type(number)],
        )


@given(st.sampled_from(EXAMPLES), st.text("0123456789", min_size=1, max_size=6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_valid_is_what_phonenumbers_calls_valid(example: str, digits: str, replaces: bool) -> None:
    text = (example[: -len(digits)] if replaces else example) + digits
    try:
        number = phonenumbers.parse(text)
        same = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == text
        valid = same and 8 <= len(text) <= 16 and phonenumbers.is_valid_number(number)
    except phonenumbers.NumberParseException:
        valid = False
    if valid:
        assert parse_phone(text).e164 == text
    else:
        with pytest.raises(InvalidRequest):
            parse_phone(text)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        found: str | InvalidRequest = parse_phone(text).e164
    except InvalidRequest as error:
        found = error
    if isinstance(found, str):
        assert found == text
    else:
        assert found.message.isprintable()
        assert len(found.message) <= len("The phone number '' could not be parsed as E.164.") + 40


@pytest.mark.parametrize(
    ("e164", "zones"),
    [
        ("+14155550123", ("America/Los_Angeles",)),
        ("+5511961234567", ("America/Sao_Paulo",)),
        (
            "+447400123456",
            ("Europe/Guernsey", "Europe/Isle_of_Man", "Europe/Jersey", "Europe/London"),
        ),
        ("+870773111632", ()),
        ("+999123456789", ()),
        ("+1abc", ()),
        ("", ()),
    ],
)
def test_time_zones(e164: str, zones: tuple[str, ...]) -> None:
    assert time_zones(e164) == zones


def test_a_number_may_have_several_time_zones() -> None:
    assert "America/New_York" in time_zones("+18005551234")
    assert len(time_zones("+18005551234")) > 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12125550177", "+12125550177"),
        ("+12125550177", "+12125550177"),
        ("5215512345678", "+525512345678"),
        ("+551187654321", "+5511987654321"),
        ("5511987654321", "+5511987654321"),
        ("4407911123456", "+447911123456"),
        ("541123456789", "+541123456789"),
        ("22997010203", "+2290197010203"),
        ("2290197010203", "+2290197010203"),
        ("22507080910", "+2250707080910"),
        ("22505060708", "+2250505060708"),
        ("22541020304", "+2250141020304"),
        ("22520212223", "+2252720212223"),
        ("0022507080910", "+2250707080910"),
        ("+24106123456", "+24166123456"),
        ("2414123456", "+24174123456"),
        ("241066123456", "+24166123456"),
        ("23776123456", "+237676123456"),
        ("841682345678", "+84382345678"),
        ("0012125550177", "+12125550177"),
        ("+0012125550177", "+12125550177"),
        ("+1 (212) 555-0177", "+12125550177"),
        ("tel:+1.212.555.0177", "+12125550177"),
        ("\u202a+54\u00a09 11 2345\u20110001\u202c", "+5491123450001"),
        ("+44 (0)7911 123456", "+447911123456"),
        ("\uff11\uff12125550177", "+12125550177"),
        ("\uff0b12125550177", "+12125550177"),
        ("TEL:+12125550177", "+12125550177"),
        ("tel:+1-212-555-0177;phone-context=+1", "+12125550177"),
        ("sip:+12125550177@carrier.example;user=phone", "+12125550177"),
        ("SMS: 5491123450001", "+5491123450001"),
        ("22997010203/TYPE=PLMN", "+2290197010203"),
        ("12125550177@carrier.example", "+12125550177"),
        ("<12125550177>", "+12125550177"),
        ("'+12125550177'", "+12125550177"),
        ("12125550177,", "+12125550177"),
        ("%2B12125550177", "+12125550177"),
        ("sip:maria@carrier.example", None),
        ("maria12125550177@carrier.example", None),
        ("12125550177,12125550178", None),
        ("12125550177;12125550178", None),
        ("97010203", None),
        ("0197010203", None),
        ("+1+2125550177", None),
        ("12125550177x", None),
        ("", None),
        ("+", None),
        ("12345", None),
        ("INFO", None),
        ("+999123456789", None),
        ("+52155123456789", None),
    ],
)
def test_carriers_write_numbers_in_their_own_ways(text: str, expected: str | None) -> None:
    assert carrier_phone(text) == expected


# What a phone is called by, and which of those is no number any more.
ONE_PHONE = [
    ("+5491123456789", ["+541123456789"], False),
    ("+525512345678", ["+5215512345678"], True),
    ("+5511987654321", ["+551187654321"], True),
    ("+2290197010203", ["+22997010203"], True),
    ("+2250707080910", ["+22507080910"], True),
    ("+2250545060708", ["+22545060708"], True),
    ("+2250141020304", ["+22541020304"], True),
    ("+24166123456", ["+24106123456", "+2416123456"], True),
    ("+24174123456", ["+24104123456", "+2414123456"], True),
    ("+237676123456", ["+23776123456"], True),
    ("+84382345678", ["+841682345678"], True),
    ("+84702345678", ["+841202345678"], True),
    ("+970592234567", ["+972592234567"], False),
]


@pytest.mark.parametrize(("one", "others", "is_former"), ONE_PHONE)
def test_one_phone_has_one_identity(one: str, others: list[str], is_former: bool) -> None:
    assert spellings(one) == (one, *others)
    assert parse_phone(one).e164 == one
    assert (canonical(one), present(one)) == (one, one)
    for other in others:
        assert (canonical(other), present(other)) == (one, one if is_former else other)
        assert spellings(other) == (one, *others)
        # It is told as it was given, and what is known of it is known of the present number.
        found = parse_phone(other)
        assert found.e164 == other
        if is_former:
            assert replace(found, e164=one) == parse_phone(one)
            assert time_zones(other) == time_zones(one)
            assert region_of(other) == region_of(one)


@pytest.mark.parametrize(
    "text",
    [
        "+12125550177",
        "+447911123456",
        "+5491123",
        "+54800123456789",
        "+551133334444",
        "+2291234",
        "+97221234567",
        "+",
        "",
        "erased:0123456",
        "COHORT",
    ],
)
def test_a_number_with_one_format_is_its_own_identity(text: str) -> None:
    assert (canonical(text), present(text), spellings(text)) == (text, text, (text,))


def test_former_numbers_are_read_as_they_are_dialed_at_home() -> None:
    assert read_phone("97 01 02 03", "BJ").e164 == "+22997010203"
    assert read_phone("07 08 09 10", "CI").e164 == "+22507080910"


def test_phones_are_distinguished_by_their_identity() -> None:
    given = ["+541123456789", "+12125550177", "+5491123456789", "+12125550177"]
    assert by_canonical(given) == {"+5491123456789": "+541123456789", "+12125550177": "+12125550177"}
    assert with_spellings(["+5491123456789", "+12125550177"]) == ["+12125550177", "+541123456789", "+5491123456789"]


def samples() -> list[str]:
    """Numbers of each row of the data in each of its spellings, and some that differ a little."""
    found = []
    for change in phones._CHANGES:
        for number in texts_of(change.earlier.pattern, 40):
            later = change.earlier.sub(change.to_later, number)
            found += [number, later, number[:-1], f"{number}0", later[:-1], f"{later}1"]
    return found


def texts_of(pattern: str, count: int) -> list[str]:
    """Some texts that a pattern matches, the same each time."""
    picked = random.Random(pattern)

    def text(tree: Any) -> str:
        made = ""
        for kind, value in tree:
            match str(kind):
                case "LITERAL":
                    made += chr(value)
                case "SUBPATTERN":
                    made += text(value[3])
                case "BRANCH":
                    made += text(picked.choice(value[1]))
                case "MAX_REPEAT":
                    made += "".join(text(value[2]) for _ in range(value[0]))
                case "IN":
                    made += picked.choice([each for item in value for each in one_of(item)])
                case _:
                    raise AssertionError(kind)
        return made

    return [text(re._parser.parse(pattern)) for _ in range(count)]  # type: ignore[attr-defined]


def one_of(item: Any) -> str:
    match str(item[0]):
        case "LITERAL":
            return chr(item[1])
        case "RANGE":
            return "".join(map(chr, range(item[1][0], item[1][1] + 1)))
        case _:
            return "0123456789"


async def test_the_database_says_the_same(database: str) -> None:
    numbers = sorted({*samples(), "", "+", "COHORT", "erased:0123456"})
    rows = await db.fetch("SELECT phone, canonical_phone(phone) AS one FROM unnest($1::varchar[]) AS phone", numbers)
    assert {row.phone: row.one for row in rows} == {number: canonical(number) for number in numbers}
    assert len(numbers) > 5000


def test_no_number_is_of_two_rows_and_none_becomes_one_of_another() -> None:
    for number in samples():
        one = canonical(number)
        assert sum(change.earlier.fullmatch(number) is not None for change in phones._CHANGES) <= 1
        assert canonical(one) == one
        assert number in spellings(number)
        assert {canonical(each) for each in spellings(number)} == {one}
        assert len(one) <= 16
