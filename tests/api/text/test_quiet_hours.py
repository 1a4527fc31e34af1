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


@pytest.mark.parametrize(
    ("moment", "region", "zone", "opening"),
    [
        # Christmas 2026 is a Friday; the Sunday after it stays shut too.
        ("2026-12-25T12:00:00+01:00", "FR", "Europe/Paris", "2026-12-26T08:00:00+01:00"),
        ("2026-12-24T22:30:00+01:00", "FR", "Europe/Paris", "2026-12-26T08:00:00+01:00"),
        # Easter Monday after a Sunday; the day of the victory; the eve of the year after the calendar's end.
        ("2027-03-27T22:30:00+01:00", "FR", "Europe/Paris", "2027-03-30T08:00:00+02:00"),
        ("2026-05-08T10:00:00+02:00", "FR", "Europe/Paris", "2026-05-09T08:00:00+02:00"),
        ("2026-12-31T22:30:00+01:00", "FR", "Europe/Paris", "2027-01-02T08:00:00+01:00"),
        # Territories keep the country's rule, and holidays of their own.
        ("2026-05-03T12:00:00-04:00", "GP", "America/Guadeloupe", "2026-05-04T08:00:00-04:00"),
        ("2026-05-03T12:00:00-04:00", "MQ", "America/Martinique", "2026-05-04T08:00:00-04:00"),
        ("2026-05-22T12:00:00-04:00", "MQ", "America/Martinique", "2026-05-23T08:00:00-04:00"),
        ("2026-05-03T12:00:00+04:00", "RE", "Indian/Reunion", "2026-05-04T08:00:00+04:00"),
        ("2026-12-20T12:00:00+04:00", "RE", "Indian/Reunion", "2026-12-21T08:00:00+04:00"),
        ("2026-05-03T12:00:00-03:00", "GF", "America/Cayenne", "2026-05-04T08:00:00-03:00"),
        ("2026-05-03T12:00:00+03:00", "YT", "Indian/Mayotte", "2026-05-04T08:00:00+03:00"),
        ("2026-05-03T12:00:00+11:00", "NC", "Pacific/Noumea", "2026-05-04T08:00:00+11:00"),
        ("2026-05-22T12:00:00+02:00", "FR", "Europe/Paris", "2026-05-22T12:00:00+02:00"),
        ("2026-12-25T12:00:00+11:00", "AU", "Australia/Sydney", "2026-12-27T09:00:00+11:00"),
        ("2026-05-02T20:30:00+10:00", "NF", "Pacific/Norfolk", "2026-05-03T08:00:00+10:00"),
        ("2026-05-01T21:30:00+10:00", "GU", "Pacific/Guam", "2026-05-02T08:00:00+10:00"),
        # Christmas is no reason to be shut where no rule says so.
        ("2026-12-25T12:00:00-05:00", "US", "America/New_York", "2026-12-25T12:00:00-05:00"),
    ],
)
def test_public_holidays_and_territories(moment: str, region: str, zone: str, opening: str) -> None:
    assert quiet_hours.next_opening((zone,), region, at(moment)) == at(opening)


@pytest.mark.parametrize("region", quiet_hours.RULES)
def test_no_rule_stays_shut_for_long(region: str) -> None:
    """Every day of five years, in every region that has a rule, comes to an opening."""
    rule = quiet_hours.rule_for(region)
    shut = longest = 0
    for number in range(5 * 366):
        day = datetime(2026, 1, 1, tzinfo=UTC).date() + timedelta(days=number)
        shut = shut + 1 if rule.hours(day) is None else 0
        longest = max(longest, shut)
    assert longest < quiet_hours.SHUT_DAYS


@pytest.mark.parametrize(
    ("text", "proposal"),
    [
        ("EST", "America/New_York"),
        ("est5edt", "America/New_York"),
        ("PST8PDT", "America/Los_Angeles"),
        ("Eastern", "America/New_York"),
        ("CET", "Europe/Paris"),
        ("GMT", "Europe/London"),
        ("HST", "Pacific/Honolulu"),
        ("IST", "Asia/Kolkata"),
        ("AEDT", "Australia/Sydney"),
        ("america/new_york", "America/New_York"),
        ("America/New York", "America/New_York"),
        ("America/NewYork", "America/New_York"),
        ("New York", "America/New_York"),
        ("Sao Paulo", "America/Sao_Paulo"),
        ("Europe/Pariss", "Europe/Paris"),
        ("localtime", None),
        ("Factory", None),
        ("Etc/GMT+5", None),
        ("posixrules", None),
        ("+02:00", None),
        ("UTC+2", None),
        ("", None),
        ("Mars/Olympus", None),
        ("x" * 100_000, None),
    ],
)
def test_a_name_that_is_no_place_is_refused_with_a_proposal(text: str, proposal: str | None) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        quiet_hours.check_timezone(text)
    assert (refusal.value.code, refusal.value.param) == ("timezone_invalid", "timezone")
    assert (f"Did you mean {proposal}?" in str(refusal.value)) == (proposal is not None)
    assert quiet_hours.propose_timezone(text) == proposal
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize("text", ["UTC", "Etc/UTC", "US/Eastern", "Brazil/East", "Singapore", "Japan", "Asia/Calcutta"])
def test_places_by_their_older_names_and_utc_are_taken(text: str) -> None:
    assert quiet_hours.check_timezone(text) == text


def test_every_proposal_is_a_zone() -> None:
    assert {zone for zone in quiet_hours.PROPOSALS.values() if quiet_hours.check_timezone(zone) != zone} == set()


def test_a_zone_that_was_taken_before_leaves_those_of_the_number() -> None:
    """EST was taken once: in summer it held nobody at 21:30."""
    assert quiet_hours.zones_of("+12125550123", "EST") == ("America/New_York",)


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
