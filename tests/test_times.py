"""The one grammar of times: REST and GraphQL read the same, and refuse the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from msvs.api.errors import InvalidRequest
from msvs.fields import AwareTime, Request
from msvs.graphql import scalars
from msvs.http.body import convert
from msvs.times import read_time


class Inner(Request, frozen=True):
    at: AwareTime


class Timed(Request, frozen=True):
    at: AwareTime
    within: tuple[Inner, ...] = ()


AT = datetime(2026, 12, 1, 10, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["2026-12-01T10:02:00Z", "2026-12-01 10:02:00Z", "2026-12-01t10:02:00z", "2026-12-01T10:02Z", "2026-12-01 10:02z",
     "2026-12-01T12:02:00+0200", "2026-12-01T12:02+02:00", "2026-12-01T10:02:00-00:00", "2026-12-01T10:02:00.000Z",
     "2026-12-01T10:02:00.0000000000Z", "2026-12-02T10:01:00+23:59"],
)  # fmt: skip
def test_every_front_reads_the_same_time(text: str) -> None:
    timed = convert({"at": text, "within": [{"at": AT.isoformat()}, {"at": text}]}, Timed)
    assert [timed.at, *(each.at for each in timed.within)] == [AT, AT, AT]
    assert read_time(text) == scalars.read_time(text) == AT


@pytest.mark.parametrize(
    "text",
    ["2026-12-01T10:02:00", "2026-12-01", "2026-12-01T10:02:60Z", "2026-12-01T24:00:00Z", "2026-12-01T10Z",
     "2026-12-01T10:02:00,5Z", "2026-W49-2T10:02:00Z", "2026-335T10:02:00Z", "0000-01-01T00:00:00Z", "20261201T100200Z",
     "2026-12-01T10:02:00+24:00", "2026-12-01T10:02:00+02:60", "2026-12-01T10:02:00+02", "2026-12-01T10:02:00.Z",
     "2026-12-01T10:02:00 Z", "2026-12-01  10:02:00Z", "2026-12-01T10:02:00Z\n", " 2026-12-01T10:02:00Z",
     "2026-02-29T00:00:00Z", "2026-12-01T10:02:00\u22120200", "\uff12026-12-01T10:02:00Z", "now", ""],
)  # fmt: skip
def test_every_front_refuses_the_same(text: str) -> None:
    for path, body in (("at", {"at": text}), ("within[0].at", {"at": AT.isoformat(), "within": [{"at": text}]})):
        with pytest.raises(InvalidRequest) as refused:
            convert(body, Timed)
        assert (refused.value.code, refused.value.param) == ("parameter_invalid", path)
    for read in (read_time, scalars.read_time):
        with pytest.raises(ValueError, match="ISO-8601"):
            read(text)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("0001-01-01T00:00:00+14:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-12:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_time_beyond_the_calendar_is_its_end(text: str, held: datetime) -> None:
    timed = convert({"at": text, "within": [{"at": text}]}, Timed)
    assert [timed.at, timed.within[0].at] == [held, held]
