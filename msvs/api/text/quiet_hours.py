"""Quiet hours: campaigns reach a person only while it is day in every zone that the person may be in.

The rules a country are data (data/quiet_hours.json), each with its source. Times are local to the recipient.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo, available_timezones

from msvs.api.errors import InvalidRequest
from msvs.api.text.phones import time_zones

# A fortnight holds every combination of weekdays; what does not open within it never opens for all zones at once.
HORIZON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Hours:
    """Open from `opens` until `closes`, local time, on one kind of day."""

    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Rule:
    """A country's hours on weekdays and at weekends; `closed_weekdays` (Monday is 0) stay shut."""

    weekday: Hours
    weekend: Hours
    closed_weekdays: frozenset[int]
    source: str

    def hours(self, day: int) -> Hours | None:
        """The hours of a weekday (Monday is 0), or None where it stays shut."""
        if day in self.closed_weekdays:
            return None
        return self.weekend if day >= 5 else self.weekday


def _hours(data: Mapping[str, str]) -> Hours:
    return Hours(time.fromisoformat(data["open"]), time.fromisoformat(data["close"]))


def _rule(data: Mapping[str, Any]) -> Rule:
    return Rule(
        _hours(data),
        _hours(data.get("weekend", data)),
        frozenset(data.get("closed_weekdays", ())),
        data["source"],
    )


_DATA = json.loads(files("msvs.api").joinpath("data/quiet_hours.json").read_text())
DEFAULT = _rule(_DATA["default"])
RULES: Mapping[str, Rule] = {region: _rule(data) for region, data in _DATA["regions"].items()}


def rule_for(region: str | None) -> Rule:
    """The rule of a region, or the default."""
    return RULES.get(region or "", DEFAULT)


def zones_of(phone: str, timezone: str | None) -> tuple[str, ...]:
    """The zones a recipient may be in: the contact's own, else every zone of its number, else UTC.

    A contact's zone that this machine does not know was checked by one that knows more of them.
    """
    if is_known(timezone):
        return (timezone,)
    known = tuple(zone for zone in time_zones(phone) if zone in _known_zones())
    return known or ("UTC",)


def check_timezone(timezone: str, *, param: str = "timezone") -> str:
    """An IANA zone such as `America/New_York`. Raises InvalidRequest code `timezone_invalid`."""
    if timezone not in _known_zones():
        raise InvalidRequest(
            f"'{timezone[:40]}' is not an IANA time zone such as America/New_York.",
            param=param,
            code="timezone_invalid",
        )
    return timezone


def is_known(timezone: str | None) -> TypeGuard[str]:
    """Whether there is a zone, and this machine knows it."""
    return timezone is not None and timezone in _known_zones()


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def is_open(zones: Iterable[str], region: str | None, moment: datetime) -> bool:
    """Whether a recipient of `region` may be texted at `moment` in every one of `zones`."""
    rule = rule_for(region)
    return all(_opening(zone, rule, moment) == moment for zone in zones)


@lru_cache(maxsize=65_536)
def next_opening(zones: tuple[str, ...], region: str | None, moment: datetime) -> datetime:
    """The first time from `moment` on at which every zone is open; `moment` itself if it is.

    Where the zones are never open together, the first zone decides: late is better than never.
    """
    rule = rule_for(region)
    opening = _common_opening(zones, rule, moment)
    if opening is None:
        opening = _common_opening(zones[:1], rule, moment)
    return moment if opening is None else opening


def _common_opening(zones: Sequence[str], rule: Rule, moment: datetime) -> datetime | None:
    candidate = moment
    while candidate <= moment + HORIZON:
        openings = [_opening(zone, rule, candidate) for zone in zones]
        latest = max(openings)
        if latest == candidate:
            return candidate
        candidate = latest
    return None


def _opening(zone: str, rule: Rule, moment: datetime) -> datetime:
    """The first time from `moment` on at which one zone is open."""
    local = moment.astimezone(ZoneInfo(zone))
    for days in range(9):
        day = local.date() + timedelta(days=days)
        hours = rule.hours(day.weekday())
        if hours is None:
            continue
        opens = datetime.combine(day, hours.opens, ZoneInfo(zone)).astimezone(UTC)
        closes = datetime.combine(day, hours.closes, ZoneInfo(zone)).astimezone(UTC)
        if moment < opens:
            return opens
        if moment < closes:
            return moment
    raise ValueError("a rule must open on some day of the week")


def explain(phone: str, region: str | None, timezone: str | None, moment: datetime) -> dict[str, Any]:
    """Why a recipient may or may not be texted at `moment`: zones, rule, result and the next opening."""
    zones = zones_of(phone, timezone)
    rule = rule_for(region)
    return {
        "zones": list(zones),
        "zone_source": "contact" if is_known(timezone) else "number",
        "rule_source": rule.source,
        "open": is_open(zones, region, moment),
        "next_opening": next_opening(zones, region, moment),
    }
