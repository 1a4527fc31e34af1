"""Quiet hours: campaigns reach a person only when it is daytime in every zone in which the person may be.

The rules a country are data (data/quiet_hours.json), each with its source. Times are local to the recipient.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Literal, NotRequired, TypedDict, TypeGuard
from zoneinfo import ZoneInfo, available_timezones

from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.text.phones import time_zones

# A fortnight holds every combination of weekdays; what does not open within it never opens for all zones at once.
HORIZON = timedelta(days=14)
# No rule stays shut for longer: a Sunday among holidays.
SHUT_DAYS = 13


@dataclass(frozen=True, slots=True)
class Hours:
    """Open from `opens` until `closes`, local time, on one kind of day."""

    opens: time
    closes: time


@dataclass(frozen=True, slots=True)
class Rule:
    """A country's hours on weekdays and at weekends.

    `closed_weekdays` (Monday is 0) stay shut, and so do the public holidays of `holidays_of`, a region or None.
    """

    weekday: Hours
    weekend: Hours
    closed_weekdays: frozenset[int]
    holidays_of: str | None
    source: str

    def hours(self, day: date) -> Hours | None:
        """Return the hours of a day, or None if it stays shut."""
        weekday = day.weekday()
        if weekday in self.closed_weekdays:
            return None
        if self.holidays_of is not None and day in public_holidays(self.holidays_of, day.year):
            return None
        return self.weekend if weekday >= 5 else self.weekday


class _HoursData(TypedDict):
    open: str
    close: str


class _RuleData(_HoursData):
    source: str
    weekend: NotRequired[_HoursData]
    closed_weekdays: NotRequired[list[int]]
    closed_on_holidays: NotRequired[bool]


def _hours(data: _HoursData) -> Hours:
    return Hours(time.fromisoformat(data["open"]), time.fromisoformat(data["close"]))


def _rule(data: _RuleData, region: str | None = None) -> Rule:
    return Rule(
        _hours(data),
        _hours(data.get("weekend", data)),
        frozenset(data.get("closed_weekdays", ())),
        region if data.get("closed_on_holidays") else None,
        data["source"],
    )


@lru_cache(maxsize=256)
def public_holidays(region: str, year: int) -> frozenset[date]:
    """Return the public holidays of a year that all of a region keeps."""
    # It takes 75 ms, and few rules ask for it.
    from holidays import country_holidays

    return frozenset(country_holidays(region, years=year))


_DATA = json.loads(files("msvs.api").joinpath("data/quiet_hours.json").read_text())
DEFAULT = _rule(_DATA["default"])
RULES: Mapping[str, Rule] = {
    **{region: _rule(data, region) for region, data in _DATA["regions"].items()},
    # A territory keeps the rule of the country that owns its calling code, and holidays of its own.
    **{region: _rule(_DATA["regions"][owner], region) for region, owner in _DATA["territories"].items()},
}
# Name that is no place, in lower case → the place to propose.
PROPOSALS: Mapping[str, str] = {
    name.lower(): zone for zone, names in _DATA["zone_names"].items() for name in names.split()
}
# The one name that is no place and means what it says.
UNIVERSAL = ("UTC", "Etc/UTC")
# Abbreviations and fixed offsets: a person with one may change clocks on another day, or on none.
NO_PLACE = frozenset(_DATA["no_places"])
NO_PLACES = ("Etc/", "SystemV/", "posix/", "right/")


def rule_for(region: str | None) -> Rule:
    """Return the rule of a region, or the default."""
    return RULES.get(region or "", DEFAULT)


def zones_of(phone: str, timezone: str | None) -> tuple[str, ...]:
    """Return the zones a recipient may be in: the contact's own, else every zone of its number, else UTC.

    A contact's zone that this machine does not know was checked by one that knows more of them.
    """
    if is_known(timezone):
        return (timezone,)
    known = tuple(zone for zone in time_zones(phone) if zone in _known_zones())
    return known or ("UTC",)


def days_later(zones: Sequence[str], days: int, moment: datetime) -> datetime:
    """Return the same time of day so many days later, by the zone that is furthest west now."""
    return (_furthest_west(zones, moment) + timedelta(days=days)).astimezone(UTC)


def _furthest_west(zones: Sequence[str], moment: datetime) -> datetime:
    return min((moment.astimezone(ZoneInfo(zone)) for zone in zones), key=lambda each: each.utcoffset() or timedelta())


def next_local_time(zones: Sequence[str], clock: str, moment: datetime) -> datetime:
    """Return when it is next a time of day, such as `10:00`, from a moment on.

    Of several zones, by that which is furthest west then, so that nobody is reached before that time. A time that
    clocks skip is as much later, and of one that comes twice the first is meant.
    """
    return _next_local_time(tuple(zones), clock, moment)


@lru_cache(maxsize=1024)
def _next_local_time(zones: tuple[str, ...], clock: str, moment: datetime) -> datetime:
    local = _furthest_west(zones, moment)
    at = time.fromisoformat(clock)
    for days in (0, 1, 2):
        due_at = datetime.combine(local.date() + timedelta(days=days), at, local.tzinfo).astimezone(UTC)
        if due_at >= moment:
            break
    return due_at


def check_timezone(timezone: str, *, param: str = "timezone") -> str:
    """Return an IANA zone that is a place, such as `America/New_York`, or UTC.

    Raises InvalidRequest code `timezone_invalid`, which proposes a place where it knows one.
    """
    if timezone not in _known_zones():
        proposal = propose_timezone(timezone)
        raise InvalidRequest(
            f"'{timezone[:40]}' is not the IANA time zone of a place, such as America/New_York."
            + ("" if proposal is None else f" Did you mean {proposal}?"),
            param=param,
            code=ErrorCode.TIMEZONE_INVALID,
        )
    return timezone


def propose_timezone(text: str) -> str | None:
    """Return the zone that a name most likely means: an abbreviation, a city, another case or a slip of the pen."""
    words = " ".join(text[:64].lower().replace("_", " ").split())
    if not words:
        return None
    if words in PROPOSALS:
        return PROPOSALS[words]
    names = _names_of_zones()
    close = get_close_matches(words, names, n=1, cutoff=0.85)
    return names[close[0]] if close else None


@lru_cache(maxsize=1)
def _names_of_zones() -> Mapping[str, str]:
    """Return a zone's whole name and its city, in lower case without underscores → the zone."""
    zones = sorted(zone for zone in _known_zones() if "/" in zone)
    plain = {zone.lower().replace("_", " "): zone for zone in zones}
    return {words.rpartition("/")[2]: zone for words, zone in plain.items()} | plain


def is_known(timezone: str | None) -> TypeGuard[str]:
    """Return whether there is a zone, and this machine knows it."""
    return timezone is not None and timezone in _known_zones()


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    return frozenset(
        zone
        for zone in available_timezones()
        if zone in UNIVERSAL or not (zone in NO_PLACE or zone.startswith(NO_PLACES))
    )


def is_open(zones: Iterable[str], region: str | None, moment: datetime) -> bool:
    """Return whether a recipient of `region` may be texted at `moment` in every one of `zones`."""
    rule = rule_for(region)
    return all(_opening(zone, rule, moment) == moment for zone in zones)


@lru_cache(maxsize=65_536)
def next_opening(zones: tuple[str, ...], region: str | None, moment: datetime) -> datetime:
    """Return the first time from `moment` on at which every zone is open; `moment` itself if it is.

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
    """Return the first time from `moment` on at which one zone is open."""
    local = moment.astimezone(ZoneInfo(zone))
    for days in range(SHUT_DAYS + 1):
        day = local.date() + timedelta(days=days)
        hours = rule.hours(day)
        if hours is None:
            continue
        opens = datetime.combine(day, hours.opens, ZoneInfo(zone)).astimezone(UTC)
        closes = datetime.combine(day, hours.closes, ZoneInfo(zone)).astimezone(UTC)
        if moment < opens:
            return opens
        if moment < closes:
            return moment
    raise ValueError("a rule must open on some day of the week")


class Explained(TypedDict):
    """Why a recipient may or may not be texted at a moment."""

    zones: list[str]
    zone_source: Literal["contact", "number"]
    rule_source: str
    open: bool
    next_opening: datetime


def explain(phone: str, region: str | None, timezone: str | None, moment: datetime) -> Explained:
    """Return why a recipient may or may not be texted at `moment`: zones, rule, result and the next opening."""
    zones = zones_of(phone, timezone)
    rule = rule_for(region)
    return {
        "zones": list(zones),
        "zone_source": "contact" if is_known(timezone) else "number",
        "rule_source": rule.source,
        "open": is_open(zones, region, moment),
        "next_opening": next_opening(zones, region, moment),
    }
