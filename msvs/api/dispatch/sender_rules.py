"""Rules for senders: their kinds, and what each kind may be used for, by region."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import phonenumbers

from msvs.models import SenderKind

# North America shares its toll-free numbers and short codes.
_SHARED_PLANS = (frozenset(("US", "CA", "PR", "VI", "GU", "AS", "MP")),)
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_SHORT_CODE = re.compile(r"[0-9]{3,8}")


@dataclass(frozen=True, slots=True)
class SenderRules:
    """The regions in which a kind of sender is not carried at all, and those where it must be registered first."""

    unsupported: frozenset[str] = frozenset()
    registered: frozenset[str] = frozenset()
    own_region_only: bool = False


@cache
def rules() -> dict[SenderKind, SenderRules]:
    """Return the rules of each kind (msvs/api/data/sender_rules.toml)."""
    tables = tomllib.loads(files("msvs.api").joinpath("data/sender_rules.toml").read_text())
    found = {}
    for kind in SenderKind:
        table = tables.get(kind.value, {})
        found[kind] = SenderRules(
            frozenset(table.get("unsupported", {}).get("regions", ())),
            frozenset(table.get("registered", {}).get("regions", ())),
            bool(table.get("within", {}).get("own_region_only", False)),
        )
    return found


@lru_cache(maxsize=4096)
def kind_of(sender: str) -> SenderKind:
    """Return what kind of sender a text is, by its form and its number's type."""
    if _SHORT_CODE.fullmatch(sender):
        return SenderKind.SHORT_CODE
    if not _E164.fullmatch(sender):
        return SenderKind.ALPHANUMERIC
    try:
        number = phonenumbers.parse(sender)
    except phonenumbers.NumberParseException:
        return SenderKind.LONG_CODE
    is_toll_free = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.TOLL_FREE
    return SenderKind.TOLL_FREE if is_toll_free else SenderKind.LONG_CODE


@lru_cache(maxsize=4096)
def region_of(sender: str) -> str | None:
    """Return the region of a sender that is a phone, or None."""
    if not _E164.fullmatch(sender):
        return None
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(sender)) or None
    except phonenumbers.NumberParseException:
        return None


def refusal(sender: str, region: str | None, *, is_registered: bool) -> str | None:
    """Return why a sender may not be used for a region, as a sentence, or None.

    `is_registered`: what the region's carriers want registered of it is.
    """
    if region is None:
        return None
    kind = kind_of(sender)
    rule = rules()[kind]
    noun = kind.value.replace("_", " ")
    if region in rule.unsupported:
        return f"Carriers in {region} take no {noun} sender."
    if region in rule.registered and not is_registered:
        return f"Carriers in {region} take a {noun} sender only once it is registered."
    if rule.own_region_only and not _reaches(region_of(sender), region):
        return f"A {noun} sender of another country does not reach {region}."
    return None


def _reaches(own: str | None, region: str) -> bool:
    if own is None or own == region:
        return True
    return any(own in plan and region in plan for plan in _SHARED_PLANS)
