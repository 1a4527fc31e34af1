"""Destinations that law or policy forbid."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import TypedDict, cast

import phonenumbers

from msvs.api.errors import ComplianceRefused, ErrorCode
from msvs.api.text.phones import Phone


class _Table(TypedDict, total=False):
    """The contents of one of the module's files."""

    regions: Sequence[Mapping[str, str]]
    types: Mapping[str, str]
    ranges: Sequence[Mapping[str, str]]


def _read(name: str) -> _Table:
    return cast("_Table", tomllib.loads(files("msvs.api").joinpath(f"data/{name}.toml").read_text()))


ALWAYS_BLOCKED = frozenset(row["code"] for row in _read("blocked_regions")["regions"])

# Where SMS pumping pays: off until a workspace enables them.
REGIONS_OFF: Sequence[Mapping[str, str]] = _read("regions_off")["regions"]
OFF_UNTIL_ENABLED = frozenset(row["code"] for row in REGIONS_OFF)

# Calling codes that separate countries share by treaty. Every other shared code is one country's plan with its
# dependencies in it (+44: GB, then GG, IM and JE).
TREATY_CODES = frozenset((1, 7))

# Types as phonenumbers tells them, and ranges whose type it does not tell.
BLOCKED_KINDS: Mapping[str, str] = _read("number_ranges")["types"]
RANGES: Sequence[Mapping[str, str]] = _read("number_ranges")["ranges"]
BLOCKED_RANGES: Mapping[str, str] = {row["prefix"]: row["kind"] for row in RANGES}
_PREFIXES = tuple(BLOCKED_RANGES)


def check_destination(phone: Phone, blocked_regions: Collection[str], enabled_regions: Collection[str]) -> None:
    """Refuse a number that may not be sent to, by region, calling code, range or type. Raises ComplianceRefused.

    `blocked_regions` holds ISO 3166-1 codes in capitals, besides ALWAYS_BLOCKED: `region_blocked`. Then come ranges and
    types: `number_type_blocked`. Last come the regions of OFF_UNTIL_ENABLED that are not in `enabled_regions`:
    `region_not_enabled`. A blocked region, or one that is off, holds

    - the numbers phonenumbers places in it;
    - the numbers of its calling code that cannot be placed in any region;
    - every number of its calling code, where the code is its own or it is the code's main country (GB of +44, so
      a British mobile that phonenumbers places in Guernsey is caught) and the code is not one of TREATY_CODES.

    So GG does not block GB, US does not block CA, and RU does not block KZ.
    """
    blocked = ALWAYS_BLOCKED.union(blocked_regions) if blocked_regions else ALWAYS_BLOCKED
    region = _holding_region(phone, blocked)
    if region is not None:
        raise ComplianceRefused(
            f"Messages to this region are blocked: {region} (+{phone.country_code}).",
            code=ErrorCode.REGION_BLOCKED,
            param="to",
        )
    kind = _range_kind(phone.e164) or BLOCKED_KINDS.get(phone.kind)
    if kind is not None:
        raise ComplianceRefused(
            f"Messages to {kind} numbers are not sent.", code=ErrorCode.NUMBER_TYPE_BLOCKED, param="to"
        )
    off = OFF_UNTIL_ENABLED.difference(enabled_regions) if enabled_regions else OFF_UNTIL_ENABLED
    region = _holding_region(phone, off)
    if region is not None:
        raise ComplianceRefused(
            f"Messages to this region are off until the workspace enables it: {region} (+{phone.country_code}).",
            code=ErrorCode.REGION_NOT_ENABLED,
            param="to",
        )


def is_in_blocked_range(e164: str) -> bool:
    """Return whether a number lies in a range whose kind its region and type do not tell."""
    return e164.startswith(_PREFIXES)


def _range_kind(e164: str) -> str | None:
    if not e164.startswith(_PREFIXES):
        return None
    return next(kind for prefix, kind in BLOCKED_RANGES.items() if e164.startswith(prefix))


def _holding_region(phone: Phone, regions: Collection[str]) -> str | None:
    """Return the region of `regions` that holds a number, or None."""
    if phone.region in regions:
        return phone.region
    if phone.region is None:
        return next((region for region in _regions(phone.country_code) if region in regions), None)
    if phone.country_code in TREATY_CODES:
        return None
    return next((main for main in _regions(phone.country_code)[:1] if main in regions), None)


@lru_cache
def _regions(country_code: int) -> tuple[str, ...]:
    """Return the regions of a calling code, its main country first."""
    return tuple(phonenumbers.region_codes_for_country_code(country_code))
