"""Currencies of ISO 4217: read a code, and a decimal amount in the smallest unit."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files

from msvs.api.errors import InvalidRequest

CURRENCY_PATTERN = "^[A-Za-z]{3}$"

_decimal = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII).fullmatch


@lru_cache(maxsize=1)
def currency_digits() -> Mapping[str, int]:
    """Return how many digits the minor unit of each currency has, by code. Source: ISO 4217."""
    told = tomllib.loads(files("msvs.api").joinpath("data/currencies.toml").read_text("utf-8"))
    return {code: int(digits) for digits, codes in told["digits"].items() for code in codes}


def read_currency(text: str, param: str) -> str:
    """Return the code of a currency, in capitals. Raises InvalidRequest."""
    code = text.upper()
    if code not in currency_digits():
        raise InvalidRequest(f"'{text[:10]}' is not a currency code of ISO 4217, such as USD.", param=param)
    return code


def minor_units(amount: str, currency: str) -> int | None:
    """Return a decimal amount such as "49.90" in the smallest unit of a currency; None where that is not exact."""
    digits = currency_digits().get(currency)
    if digits is None or not _decimal(amount):
        return None
    units = Decimal(amount).scaleb(digits)
    return int(units) if units == units.to_integral_value() else None
