from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.errors import InvalidRequest
from msvs.api.phones import KINDS, Phone, carrier_phone, other_spelling, parse_phone, time_zones, with_spellings


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
        ("12345", None),
        ("INFO", None),
        ("+999123456789", None),
        ("+52155123456789", None),
    ],
)
def test_carriers_write_numbers_in_their_own_ways(text: str, expected: str | None) -> None:
    assert carrier_phone(text) == expected


def test_a_phone_may_have_two_numbers() -> None:
    assert other_spelling("+5491123456789") == "+541123456789"
    assert other_spelling("+541123456789") == "+5491123456789"
    assert other_spelling("+12125550177") is None
    assert with_spellings(["+5491123456789", "+12125550177"]) == ["+12125550177", "+541123456789", "+5491123456789"]
