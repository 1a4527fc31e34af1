"""Phones in cells: what spreadsheets, web pages and word processors do to them is undone where that is certain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msvs.api.text.cells import (
    EXTENSION,
    NO_COUNTRY,
    NO_PHONE,
    NOT_SHOWN,
    NOT_VALID,
    ROUNDED,
    SEVERAL,
    CellUnreadable,
    clean_phone_text,
    looks_like_phone,
    may_hold_phone,
    read_phone_cell,
)

PHONE = "+16465550000"


@pytest.mark.parametrize(
    "text",
    [
        PHONE,
        "'+16465550000",
        "''+16465550000",
        "’+16465550000",
        "“+16465550000”",
        '="+16465550000"',
        "=+16465550000",
        "1.6465550000E+10",
        "1,6465550000E+10",
        "1.6465550000e10",
        "+1\u2011646\u2011555\u20110000",
        "+1\u00a0646\u00a0555\u00a00000",
        "+1\u202f646\u2009555\u30000000",
        "+1 646 555–0000",
        "+1−646−555−0000",
        "+1·646·555·0000",
        "\u202a+16465550000\u202c",
        "\u200e+1646\u200b555\u20600000\ufeff",
        "+1646\u00ad5550000",
        "16465550000+",
        "tel:+16465550000",
        "TEL: +1-646-555-0000",
        "tel://+16465550000",
        "<tel:+16465550000>",
        "sms:+16465550000",
        "p:+16465550000",
        "Téléphone : +16465550000",
        "+16465550000.0",
        "+16465550000,00",
        "16465550000.0",
        "16,465,550,000",
        "16.465.550.000",
        "16 465 550 000",
        "16'465'550'000",
        "+16,465,550,000.00",
        "＋１６４６５５５００００",
        "+١٦٤٦٥٥٥٠٠٠٠",
        "0016465550000",
        "00 1 646 555 0000",
        "(+1) 646 555 0000",
        "+ 1 646 555 0000",
        "++16465550000",
        "+1 (646) 555-0000",
        "+1.646.555.0000",
        "&#43;16465550000",
        "%2B16465550000",
        "+1â€‘646â€‘555â€‘0000",
        "+1Â\u00a0646Â\u00a0555Â\u00a00000",
        " \t+16465550000\r\n",
        "+1646\u00005550000",
    ],
)
def test_certain_columns_are_mapped(text: str) -> None:
    assert read_phone_cell(text).e164 == PHONE
    assert looks_like_phone(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", NO_PHONE),
        ("\u200b '", NO_PHONE),
        ('=""', NO_PHONE),
        ("1.64656E+10", ROUNDED),
        ("1,65E+10", ROUNDED),
        ("+1.646555E+10", ROUNDED),
        ("2E+10", ROUNDED),
        ("1.64655500001E+10", ROUNDED),
        ("1.6465550000E+99", ROUNDED),
        ("########", NOT_SHOWN),
        ("#REF!", NOT_SHOWN),
        ("#NAME?", NOT_SHOWN),
        ("#N/A", NOT_SHOWN),
        ("+16465550000 x12", EXTENSION),
        ("+16465550000 ext. 12", EXTENSION),
        ("+16465550000;ext=12", EXTENSION),
        ("+16465550000 ramal 12", EXTENSION),
        ("+16465550000/+16465550001", SEVERAL),
        ("+16465550000, +16465550001", SEVERAL),
        ("+16465550000\n+16465550001", SEVERAL),
        ("+16465550000 ::: +16465550001", SEVERAL),
        ("(646) 555-0000", NO_COUNTRY),
        ("6465550000", NO_COUNTRY),
        # By their codes American, Spanish and Danish; as they stand Chinese and Brazilian mobiles, and a US number.
        ("13105551234", NO_COUNTRY),
        ("34987654321", NO_COUNTRY),
        ("4520123456", NO_COUNTRY),
        ("+1646555000.0", NOT_VALID),
        ("+1646555OOOO", NOT_VALID),
        ("+16465550000²", NOT_VALID),
        ("+1 646 555 000", NOT_VALID),
        ("12", NOT_VALID),
        ("2026-11-28", NOT_VALID),
        ("maria@example.com", NOT_VALID),
        ("+1646\ufffd550000", NOT_VALID),
        ("+16465550000" + " " * 600, NOT_VALID),
    ],
)
def test_uncertain_rows_are_reported(text: str, reason: str) -> None:
    with pytest.raises(CellUnreadable) as refused:
        read_phone_cell(text)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("(646) 555-0000", "US", PHONE),
        ("6465550000.0", "US", PHONE),
        ("16465550000", "US", PHONE),
        ("13105551234", "US", "+13105551234"),
        ("13105551234", "CN", "+8613105551234"),
        ("011 44 7911 123456", "US", "+447911123456"),
        ("00447911123456", "US", "+447911123456"),
        ("4915112345678", "US", "+4915112345678"),
        ("090ー1234ー5678", "JP", "+819012345678"),
        ("11 96123-4567", "BR", "+5511961234567"),
        ("+44 (0)20 7946 0018", "US", "+442079460018"),
    ],
)
def test_a_region_stands_for_the_country_code(text: str, region: str, e164: str) -> None:
    assert read_phone_cell(text, region).e164 == e164


@pytest.mark.parametrize(("text", "region"), [("646555000", "US"), ("646 555 000", "US"), ("(11) 96123-4567", "US")])
def test_a_number_that_is_not_of_the_region_is_not_taken_for_another(text: str, region: str) -> None:
    with pytest.raises(CellUnreadable) as refused:
        read_phone_cell(text, region)
    assert refused.value.reason == "the number is not valid in US and has no country code"


def test_a_plus_that_all_phones_lost_is_put_back() -> None:
    assert read_phone_cell("13105551234", is_international=True).e164 == "+13105551234"
    assert read_phone_cell("4520123456.0", "US", is_international=True).e164 == "+4520123456"
    with pytest.raises(CellUnreadable):
        read_phone_cell("646555", is_international=True)


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("Export of 2026-11-28 10:00", False),
        ("28/11/2026", False),
        ("Call +1 646 555 0000", True),
        ("Total 550", False),
    ],
)
def test_a_title_holds_no_phone(text: str, is_found: bool) -> None:
    assert may_hold_phone(text) is is_found


@given(st.text(max_size=60) | st.text(alphabet="+0123456789eE.,'\"=:()- x#", max_size=30))
def test_any_text_is_read_or_named(text: str) -> None:
    try:
        phone = read_phone_cell(text, "US")
    except CellUnreadable:
        return
    assert read_phone_cell(phone.e164) == phone
    assert clean_phone_text(phone.e164) == phone.e164
