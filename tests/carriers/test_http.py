"""What carriers by HTTP have in common: how an answer is judged, and what options they take."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Never

import msgspec
import pytest

from msvs.api.dispatch.claims import LEASE
from msvs.carriers.config import CarrierConfig
from msvs.carriers.http import BATCH_SECONDS, MAX_HOLD_SECONDS, MAX_LOST, HttpOptions, international, retry_after
from msvs.carriers.protocol import Accepted, Capability, Outcome, Refused, Unknown
from msvs.carriers.registry import KINDS
from msvs.carriers.telnyx import TelnyxOptions
from msvs.carriers.twilio import TwilioOptions
from msvs.carriers.vonage import VonageOptions
from msvs.settings import SettingsError
from msvs.workers.dispatch import HAND_OVER_SHARE
from tests.carriers.fakes.server import PUBLIC_URL, Answer
from tests.carriers.under_test import HttpUnderTest, TelnyxUnderTest, TwilioUnderTest, VonageUnderTest, a_submission

HTTP_CARRIERS: tuple[type[HttpUnderTest[Any]], ...] = (TelnyxUnderTest, TwilioUnderTest, VonageUnderTest)
OPTIONS: dict[str, type[HttpOptions]] = {"telnyx": TelnyxOptions, "twilio": TwilioOptions, "vonage": VonageOptions}

REFUSED = Refused("carrier_rejected")
FAULT = Refused("carrier_rejected", retryable=True, is_fault=True)
DENIED = replace(FAULT, may_last=True)
BUSY = Refused("carrier_rejected", retryable=True)


@pytest.fixture(params=HTTP_CARRIERS, ids=lambda carrier: carrier.kind)
async def under_test(request: pytest.FixtureRequest) -> AsyncIterator[HttpUnderTest[Any]]:
    """Each carrier at its fake."""
    carrier: HttpUnderTest[Any] = request.param()
    await carrier.set_up()
    try:
        yield carrier
    finally:
        await carrier.tear_down()


def a_config(kind: str, **options: Any) -> CarrierConfig:
    right = {carrier.kind: carrier.options for carrier in HTTP_CARRIERS}[kind]
    return CarrierConfig("cohort-live", kind, {**right, **options}, PUBLIC_URL)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, DENIED),
        (400, REFUSED),
        (401, DENIED),
        (402, DENIED),
        (403, DENIED),
        (404, DENIED),
        (405, DENIED),
        (408, Unknown("http_408")),
        (422, REFUSED),
        (429, BUSY),
        (499, Unknown("http_499")),
        (500, Unknown("http_500")),
        (502, Unknown("http_502")),
        (503, Unknown("http_503")),
        (504, Unknown("http_504")),
    ],
)
@pytest.mark.parametrize("body", ["", "<html>", "{}", '{"errors": 5, "code": "x", "messages": {}}', '{"errors": [{}]}'])
async def test_an_answer_without_a_known_code_is_judged_by_its_status(
    under_test: HttpUnderTest[Any], status: int, outcome: Outcome, body: str
) -> None:
    under_test.fake.answer = Answer(status, body, {"Location": "https://elsewhere.example/"} if status == 302 else {})
    assert await under_test.carrier.submit(a_submission()) == outcome
    assert under_test.fake.requests == 1


@pytest.mark.parametrize(
    "body", ["", "<html>welcome</html>", "{}", '{"sid": "", "data": {}, "messages": []}', "\udcff"]
)
async def test_a_success_that_cannot_be_read_is_unknown(under_test: HttpUnderTest[Any], body: str) -> None:
    under_test.fake.answer = Answer(200, body.encode("utf-8", "surrogateescape").decode("latin-1"))
    assert await under_test.carrier.submit(a_submission()) == Unknown("unreadable")


async def test_an_answer_that_does_not_come_is_unknown_and_not_asked_for_again(under_test: HttpUnderTest[Any]) -> None:
    under_test.fake.stalls = True
    carrier = under_test.make(**under_test.options, timeout=0.2)
    assert await carrier.submit(a_submission()) == Unknown("timeout")
    await carrier.close()
    assert (under_test.fake.requests, len(under_test.fake.taken)) == (1, 1)


async def test_a_connection_that_breaks_is_unknown_and_not_tried_again(under_test: HttpUnderTest[Any]) -> None:
    under_test.fake.drops = True
    assert await under_test.carrier.submit(a_submission()) == Unknown("protocol")
    assert (under_test.fake.requests, len(under_test.fake.taken)) == (1, 1)


async def test_a_host_without_an_address_is_away(
    under_test: HttpUnderTest[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_nothing(*_: object, **__: object) -> Never:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", find_nothing)
    carrier = under_test.make(**{**under_test.options, "base_url": "https://nowhere.invalid"})
    assert await carrier.submit(a_submission()) == FAULT
    await carrier.close()


async def test_a_server_without_tls_is_away(under_test: HttpUnderTest[Any]) -> None:
    carrier = under_test.make(**under_test.options, base_url=under_test.fake.origin.replace("http:", "https:"))
    assert await carrier.submit(a_submission()) == FAULT
    await carrier.close()
    assert under_test.fake.requests == 0


async def test_the_time_that_a_busy_carrier_asks_for_is_given(under_test: HttpUnderTest[Any]) -> None:
    under_test.fake.answer = Answer(429, "", {"Retry-After": "17"})
    assert await under_test.carrier.submit(a_submission()) == Refused(
        "carrier_rejected", retryable=True, retry_after=17.0
    )


async def test_a_carrier_with_less_room_than_a_batch_gets_all_of_it_bit_by_bit(
    under_test: HttpUnderTest[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.carriers.http.RETRY_SECONDS", 0.01)
    monkeypatch.setattr("msvs.carriers.http.MIN_HOLD_SECONDS", 0.01)
    under_test.throttle()
    throttled = under_test.fake.answer
    assert throttled is not None
    under_test.fake.answer, under_test.fake.capacity, under_test.fake.pause = None, 5, 0.005
    under_test.fake.busy = Answer(throttled.status, throttled.body)
    submissions = [a_submission(body=f"Table {number} is ready") for number in range(150)]
    outcomes = await under_test.carrier.submit_many(submissions)
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 150
    assert sorted(taken.body for taken in under_test.fake.taken) == sorted(each.body for each in submissions)
    # The number of tries depends on the time that they take; a loop that does not wait would ask thousands of times.
    assert 150 < under_test.fake.requests < 1500


async def test_a_batch_waits_for_as_long_as_a_busy_carrier_says(
    under_test: HttpUnderTest[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    clock = [1000.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds
        under_test.fake.answer = None

    under_test.fake.answer = Answer(429, "", {"Retry-After": "7"})
    monkeypatch.setattr("msvs.carriers.http.time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr("msvs.carriers.http.asyncio", SimpleNamespace(sleep=sleep, gather=asyncio.gather))
    [outcome] = await under_test.carrier.submit_many([a_submission()])
    assert isinstance(outcome, Accepted)
    assert (slept, under_test.fake.requests) == ([7.0], 2)


async def test_a_carrier_that_is_busy_for_longer_than_a_batch_is_not_asked_again(
    under_test: HttpUnderTest[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("msvs.carriers.http.time", SimpleNamespace(monotonic=lambda: clock[0]))
    under_test.fake.answer = Answer(429, "", {"Retry-After": "3600"})
    [first] = await under_test.carrier.submit_many([a_submission()])
    assert first == Refused("carrier_rejected", retryable=True, retry_after=3600.0)
    later = await under_test.carrier.submit_many([a_submission() for _ in range(3)])
    assert later == [Refused("carrier_rejected", retryable=True, retry_after=60.0, is_fault=True)] * 3
    assert under_test.fake.requests == 1
    clock[0] += MAX_HOLD_SECONDS
    under_test.fake.answer = None
    [outcome] = await under_test.carrier.submit_many([a_submission()])
    assert isinstance(outcome, Accepted)


async def test_a_carrier_that_is_busy_for_a_moment_is_not_away(
    under_test: HttpUnderTest[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.carriers.http.time", SimpleNamespace(monotonic=lambda: 1000.0))
    under_test.fake.answer = Answer(429, "", {"Retry-After": "4"})
    monkeypatch.setattr("msvs.carriers.http.BATCH_SECONDS", 4.0)
    [first] = await under_test.carrier.submit_many([a_submission()])
    [later] = await under_test.carrier.submit_many([a_submission()])
    assert first == later == Refused("carrier_rejected", retryable=True, retry_after=4.0)
    assert under_test.fake.requests == 1


async def test_the_longest_time_that_a_busy_carrier_names_holds(
    under_test: HttpUnderTest[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.carriers.http.time", SimpleNamespace(monotonic=lambda: 1000.0))
    for seconds in ("30", "2"):
        under_test.fake.answer = Answer(429, "", {"Retry-After": seconds})
        await under_test.carrier.submit(a_submission())
    [outcome] = await under_test.carrier.submit_many([a_submission()])
    assert outcome == Refused("carrier_rejected", retryable=True, retry_after=30.0, is_fault=True)


async def test_batches_share_what_the_carrier_takes_at_once(under_test: HttpUnderTest[Any]) -> None:
    under_test.slow_down()
    batches = [[a_submission() for _ in range(40)] for _ in range(3)]
    outcomes = await asyncio.gather(*(under_test.carrier.submit_many(batch) for batch in batches))
    assert {type(outcome) for batch in outcomes for outcome in batch} == {Accepted}
    assert under_test.most_at_once <= under_test.carrier.concurrency


async def test_a_carrier_that_never_answers_is_not_given_the_whole_batch(under_test: HttpUnderTest[Any]) -> None:
    under_test.fake.stalls = True
    carrier = under_test.make(**under_test.options, timeout=2.0)
    count = carrier.concurrency + 30
    outcomes = await carrier.submit_many([a_submission() for _ in range(count)])
    await carrier.close()
    lost = outcomes.count(Unknown("timeout"))
    assert outcomes.count(FAULT) == count - lost
    assert carrier.concurrency <= lost < carrier.concurrency + MAX_LOST
    assert len(under_test.fake.taken) == lost


async def test_wrong_credentials_are_not_tried_for_the_whole_batch(under_test: HttpUnderTest[Any]) -> None:
    under_test.fake.answer = Answer(401, "")
    outcomes = await under_test.carrier.submit_many([a_submission() for _ in range(300)])
    tried = under_test.fake.requests
    assert Counter(outcomes) == {DENIED: tried, FAULT: 300 - tried}
    assert tried <= under_test.carrier.concurrency + MAX_LOST


async def test_messages_that_are_refused_do_not_hold_up_the_others(under_test: HttpUnderTest[Any]) -> None:
    under_test.refuse()
    outcomes = await under_test.carrier.submit_many([a_submission() for _ in range(100)])
    assert outcomes == [Refused(under_test.refusal)] * 100
    assert under_test.fake.requests == 100


async def test_messages_that_a_slow_carrier_has_no_time_for_return_to_the_queue(
    under_test: HttpUnderTest[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msvs.carriers.http.BATCH_SECONDS", 0.0)
    outcomes = await under_test.carrier.submit_many([a_submission() for _ in range(3)])
    assert outcomes == [BUSY] * 3
    assert under_test.fake.requests == 0


def test_a_batch_ends_within_its_lease() -> None:
    longest = next(field for field in msgspec.structs.fields(HttpOptions) if field.name == "timeout")
    assert longest.default <= 15
    assert HAND_OVER_SHARE * LEASE.total_seconds() > BATCH_SECONDS + 15


async def test_a_carrier_is_checked_without_a_message(under_test: HttpUnderTest[Any]) -> None:
    assert await under_test.carrier.check() is None
    secret = {"telnyx": "api_key", "twilio": "auth_token", "vonage": "api_secret"}[under_test.kind]
    carrier = under_test.make(**{**under_test.options, secret: "wrong"})
    assert await carrier.check() == "The carrier refuses the credentials (401)."
    await carrier.close()
    await under_test.fake.go_away()
    assert str(await under_test.carrier.check()).startswith("Could not connect to 127.0.0.1")
    assert under_test.fake.taken == []


async def test_wrong_credentials_pause_the_carrier(under_test: HttpUnderTest[Any]) -> None:
    secret = {"telnyx": "api_key", "twilio": "auth_token", "vonage": "api_secret"}[under_test.kind]
    carrier = under_test.make(**{**under_test.options, secret: "wrong"})
    assert await carrier.submit(a_submission()) == FAULT
    await carrier.close()


@pytest.mark.parametrize("kind", OPTIONS)
def test_each_is_made_by_its_kind(kind: str) -> None:
    carrier = KINDS[kind](a_config(kind, rate=20))
    assert (carrier.kind, carrier.name, carrier.rate) == (kind, "cohort-live", 20.0)
    assert carrier.capability is Capability.NONE
    assert KINDS[kind](a_config(kind)).rate is None


@pytest.mark.parametrize("kind", OPTIONS)
def test_options_show_no_secret(kind: str) -> None:
    assert repr(a_config(kind).read(OPTIONS[kind])) == f"{OPTIONS[kind].__name__}(…)"


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "red"}, "unknown field `colour`"),
        ({"rate": 0}, "> 0"),
        ({"rate": "fast"}, "Expected `float | null`, got `str` - at `$.rate`"),
        ({"timeout": 16}, "<= 15"),
        ({"base_url": "http://api.cohortlabs.co"}, "base_url must be https, or http on this machine"),
        ({"base_url": "ftp://127.0.0.1"}, "base_url must be https, or http on this machine"),
        ({"base_url": "https://"}, "base_url must be a host and at most a path"),
        ({"base_url": "https://me:secret@api.cohortlabs.co"}, "base_url must be a host and at most a path"),
        ({"base_url": "https://api.cohortlabs.co/?a=1"}, "base_url must be a host and at most a path"),
        ({"base_url": "https://api.cohortlabs.co:port"}, "base_url is not a URL"),
    ],
)
def test_options_that_cannot_be_used_are_named(kind: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        KINDS[kind](a_config(kind, **options))
    assert str(caught.value).startswith("carrier cohort-live: ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("base_url", ["http://localhost:8099/", "http://[::1]:8099", "https://api.cohortlabs.co/sms"])
def test_a_base_url_may_be_on_this_machine_or_https(kind: str, base_url: str) -> None:
    assert KINDS[kind](a_config(kind, base_url=base_url)).name == "cohort-live"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 1.0),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "30"}, 30.0),
        ({"Retry-After": "86400"}, 3600.0),
        ({"Retry-After": "soon"}, 1.0),
        ({"Retry-After": "Mon, 23 Nov 99999999999 10:01:30 GMT"}, 1.0),
        ({"Retry-After": "-5"}, 1.0),
        ({"Retry-After": "٣"}, 1.0),
        ({"Retry-After": "Mon, 23 Nov 2026 10:01:30 GMT"}, 90.0),
        ({"Retry-After": "Mon, 23 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"x-ratelimit-reset": "4"}, 4.0),
        ({"Retry-After": "3", "x-ratelimit-reset": "4"}, 3.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers, now=datetime(2026, 11, 23, 10, 0, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    ("written", "read"),
    [("14155550100", "+14155550100"), ("+14155550100", "+14155550100"), ("28777", "28777"), ("COHORTLABS",) * 2],
)
def test_a_number_without_its_plus_gets_it(written: str, read: str) -> None:
    assert international(written) == read
