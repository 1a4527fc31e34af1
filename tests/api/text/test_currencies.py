"""Currencies and amounts."""

from __future__ import annotations

import pytest

from msvs.api.errors import InvalidRequest
from msvs.api.text.currencies import currency_digits, minor_units, read_currency


def test_every_currency_stands_once_with_the_digits_of_iso_4217() -> None:
    digits = currency_digits()
    assert all(len(code) == 3 and code.isupper() for code in digits)
    known = {"USD": 2, "EUR": 2, "BRL": 2, "JPY": 0, "CLP": 0, "KWD": 3, "TND": 3, "MGA": 2}
    assert {code: digits[code] for code in known} == known
    assert {"XAU", "XXX", "XTS", "USN", "CLF"}.isdisjoint(digits)


def test_codes_are_read_in_any_case() -> None:
    assert read_currency("usd", "currency") == "USD"
    for text in ("", "US", "XXX", "USDT", "$", "ＵＳＤ"):
        with pytest.raises(InvalidRequest) as refused:
            read_currency(text, "currency")
        assert refused.value.param == "currency"


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        ("149.00", "USD", 14900),
        ("149", "USD", 14900),
        ("0.1", "USD", 10),
        ("0.005", "USD", None),
        ("149.00", "JPY", 149),
        ("149.50", "JPY", None),
        ("1.234", "KWD", 1234),
        ("-1", "USD", None),
        ("1e3", "USD", None),
        ("1,5", "EUR", None),
        ("", "USD", None),
        ("1", "XXX", None),
        ("١", "USD", None),
    ],
)
def test_amounts_are_exact_or_nothing(amount: str, currency: str, units: int | None) -> None:
    assert minor_units(amount, currency) == units
