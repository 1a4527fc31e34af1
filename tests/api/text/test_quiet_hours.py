"""Quiet hours in every zone, across daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msvs.api.errors import InvalidRequest
from msvs.api.text import quiet_hours


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("zones", "region", "moment", "opening"),
    [
        (("America/New_York",), "US", "2026-05-01T12:00:00-04:00", "2026-05-01T12:00:00-04:00"),
        (("America/New_York",), "US", "2026-05-01T07:59:59-04:00", "2026-05-01T08:00:00-04:00"),
        (("America/New_York",), "US", "2026-05-01T21:00:00-04:00", "2026-05-02T08:00:00-04:00"),
        # The night daylight saving begins: 8 o'clock comes an hour sooner.
        (("America/New_York",), "US", "2026-03-07T22:00:00-05:00", "2026-03-08T08:00:00-04:00"),
        # Every zone of the number must be open: Los Angeles opens last.
        (("America/New_York", "America/Los_Angeles"), "US", "2026-05-01T09:00:00-04:00", "2026-05-01T11:00:00-04:00"),
        # In the evening New York closes first, so the common window is over.
        (("America/New_York", "America/Los_Angeles"), "US", "2026-05-01T21:30:00-04:00", "2026-05-02T11:00:00-04:00"),
        # Sundays are shut in France.
        (("Europe/Paris",), "FR", "2026-05-02T22:30:00+02:00", "2026-05-04T08:00:00+02:00"),
        (("Australia/Sydney",), "AU", "2026-05-02T18:00:00+10:00", "2026-05-03T09:00:00+10:00"),
        (("UTC",), None, "2026-05-01T03:00:00+00:00", "2026-05-01T08:00:00+00:00"),
    ],
)
def test_the_next_opening(zones: tuple[str, ...], region: str | None, moment: str, opening: str) -> None:
    assert quiet_hours.next_opening(zones, region, at(moment)) == at(opening)


def test_zones_that_are_never_open_together_fall_back_to_the_first() -> None:
    zones = ("Pacific/Auckland", "America/Sao_Paulo", "Europe/London")
    opening = quiet_hours.next_opening(zones, "US", at("2026-05-01T12:00:00Z"))
    assert opening.astimezone(ZoneInfo("Pacific/Auckland")).hour == 8


def test_the_contacts_own_zone_goes_before_the_numbers() -> None:
    assert quiet_hours.zones_of("+12125550123", "Europe/Lisbon") == ("Europe/Lisbon",)
    assert quiet_hours.zones_of("+12125550123", None) == ("America/New_York",)
    assert len(quiet_hours.zones_of("+18005550123", None)) > 10


@pytest.mark.parametrize("text", ["", "Mars/Olympus", "EST5EDT4", "../../etc/passwd"])
def test_an_unknown_zone_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        quiet_hours.check_timezone(text)
    assert (refusal.value.code, refusal.value.param) == ("timezone_invalid", "timezone")


ZONES = ["America/New_York", "America/Los_Angeles", "Europe/Paris", "America/Sao_Paulo", "Australia/Lord_Howe"]


@settings(max_examples=300, deadline=None)
@given(
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda value: value.replace(tzinfo=UTC)),  # noqa: DTZ001
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True).map(tuple),
    region=st.sampled_from([*quiet_hours.RULES, "ZZ", None]),
)
def test_an_opening_is_open_and_nothing_before_it_is(
    moment: datetime, zones: tuple[str, ...], region: str | None
) -> None:
    opening = quiet_hours.next_opening(zones, region, moment)
    assert moment <= opening <= moment + quiet_hours.HORIZON
    if not quiet_hours.is_open(zones, region, opening):
        zones = zones[:1]
        assert quiet_hours.is_open(zones, region, opening)
    earlier = opening - timedelta(seconds=1)
    if earlier >= moment:
        assert not quiet_hours.is_open(zones, region, earlier)
    assert quiet_hours.next_opening(zones, region, opening) == opening


def test_a_zone_that_only_another_machine_knows_leaves_those_of_the_number() -> None:
    assert quiet_hours.zones_of("+12125550123", "Europe/Nowhere") == ("America/New_York",)
    noon = at("2026-05-01T12:00:00-04:00")
    told = quiet_hours.explain("+12125550123", "US", "Europe/Nowhere", noon)
    assert (told["zones"], told["zone_source"], told["open"]) == (["America/New_York"], "number", True)
