"""The regions that phones belong to: what is sent there, and at which hours campaigns reach people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from msvs.api.text.compliance import ALWAYS_BLOCKED, OFF_UNTIL_ENABLED, TREATY_CODES
from msvs.api.text.quiet_hours import Rule, rule_for


@dataclass(frozen=True, slots=True)
class Region:
    """A region by its ISO 3166-1 code.

    `main_region` is the country whose calling code it shares as a dependency: what is blocked there is blocked here.
    """

    code: str
    calling_code: int
    main_region: str | None
    is_blocked: bool
    is_off: bool
    rule: Rule


@lru_cache(maxsize=1)
def list_regions() -> Sequence[Region]:
    """Return every region that has phone numbers, ordered by its code."""
    return tuple(_region(code) for code in sorted(phonenumbers.SUPPORTED_REGIONS))


def _region(code: str) -> Region:
    calling_code = phonenumbers.country_code_for_region(code)
    main = phonenumbers.region_code_for_country_code(calling_code)
    return Region(
        code,
        calling_code,
        None if main == code or calling_code in TREATY_CODES else main,
        code in ALWAYS_BLOCKED,
        code in OFF_UNTIL_ENABLED,
        rule_for(code),
    )
