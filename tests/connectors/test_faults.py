"""Run every paged connector against failures: rate limits, outages, garbage, and changes during a walk."""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
import structlog

from msvs.connectors.base import (
    MAX_CURSOR,
    MAX_LOOKED_UP,
    MAX_PAGE,
    BadAnswer,
    ConnectorError,
    CredentialsRefused,
    Gone,
    PersonState,
    RateLimited,
    Unavailable,
    check_settings,
)
from msvs.connectors.registry import CONNECTORS
from tests.connectors.fakes.server import Fault
from tests.connectors.under_test import NAMES, SERVICES, Service, people_of, walk

NOW = datetime(2026, 11, 29, 14, tzinfo=UTC)


@pytest.fixture(params=SERVICES, ids=lambda service: service.kind)
async def service(request: pytest.FixtureRequest) -> AsyncIterator[Service]:
    """Yield each service while it is running."""
    made: Service = request.param()
    async with made.running():
        yield made


def test_every_service_that_is_pulled_is_tested() -> None:
    assert {service.kind for service in SERVICES} == {
        kind for kind, connector in CONNECTORS.items() if connector.capabilities.pulls
    }


async def test_the_account_is_named_and_its_fields_are_those_of_people(service: Service) -> None:
    service.add(1)
    check_settings(CONNECTORS[service.kind], service.settings)
    connector = service.open()
    assert (await connector.check()).name
    keys = [field.key for field in await connector.fields()]
    assert len(set(keys)) == len(keys)
    [person] = people_of(await walk(connector)).values()
    assert service.phone_of(person) == "+14155550001"
    assert person.fields.keys() <= {*keys, *_extra(person.fields)}
    assert all(value == value.strip() != "" for value in person.fields.values())


def _extra(keys: object) -> set[str]:
    """Return the timestamp keys, which people may have without a declared field."""
    return {key for key in map(str, keys) if key.endswith("_at")}  # type: ignore[call-overload]


async def test_a_walk_brings_everybody_once_with_their_names(service: Service) -> None:
    count = 2 * service.page_size + 1
    ids = {service.add(number) for number in range(1, count + 1)}
    pages = await walk(service.open())
    assert [len(page.people) for page in pages] == [service.page_size, service.page_size, 1]
    people = people_of(pages)
    assert people.keys() == ids
    assert {service.phone_of(person) for person in people.values()} == {
        f"+1415555{number:04}" for number in range(1, count + 1)
    }
    values = {value for person in people.values() for value in person.fields.values()}
    assert set(NAMES) <= values
    assert all(person.state is PersonState.MEMBER for person in people.values())
    assert [page.is_complete for page in pages] == [False, False, True]
    assert [page.bookmark is None for page in pages] == [True, True, False]
    for page in pages:
        assert len(page.people) <= MAX_PAGE
        assert len(page.cursor or "") + len(page.bookmark or "") <= MAX_CURSOR


async def test_nobody_is_a_whole_walk_too(service: Service) -> None:
    [page] = await walk(service.open())
    assert (list(page.people), page.is_complete) == ([], True)


async def test_another_process_goes_on_at_the_cursor(service: Service) -> None:
    ids = {service.add(number) for number in range(1, 2 * service.page_size + 2)}
    first = await service.open().fetch_page()
    rest = await walk(service.open(), cursor=first.cursor)
    assert people_of([first, *rest]).keys() == ids
    assert rest[-1].is_complete
    assert len(rest) == 2


async def test_a_cursor_that_is_no_longer_good_begins_again_or_is_reported(service: Service) -> None:
    ids = {service.add(number) for number in range(1, 4)}
    for cursor in ("garbage", "é|x", "9" * 50, '{"a": 1}'):
        try:
            pages = await walk(service.open(), cursor=cursor)
        except ConnectorError:
            continue
        assert people_of(pages).keys() <= ids


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (format_datetime(NOW.replace(minute=2), usegmt=True), 120.0),
        (format_datetime(NOW.replace(hour=13), usegmt=True), 1.0),
        ("0", 1.0),
        ("999999999", 86_400.0),
        ("2.5", 2.5),
        ("soon", 60.0),
        ("Mon, 23 Nov 99999999999 10:01:30 GMT", 60.0),
        (None, 60.0),
    ],
)
async def test_a_busy_service_says_for_how_long(service: Service, header: str | None, seconds: float) -> None:
    ids = {service.add(number) for number in range(1, service.page_size + 2)}
    service.now = NOW
    connector = service.open()
    first = await connector.fetch_page()
    service.fake.faults = [Fault(429, {}, {} if header is None else {"Retry-After": header})]
    with pytest.raises(RateLimited) as error:
        await service.open().fetch_page(cursor=first.cursor)
    assert error.value.retry_after == seconds
    rest = await walk(service.open(), cursor=first.cursor)
    assert people_of([first, *rest]).keys() == ids


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
async def test_a_failing_service_is_asked_again_later(service: Service, status: int) -> None:
    service.add(1)
    service.fake.faults = [Fault(status, "<html>Oops</html>", {"Retry-After": "5"})]
    with pytest.raises(Unavailable) as error:
        await service.open().fetch_page()
    assert error.value.retry_after == 5.0
    assert not error.value.is_lasting
    assert len(people_of(await walk(service.open()))) == 1


async def test_an_answer_that_is_cut_is_no_answer(service: Service) -> None:
    service.add(1)
    service.fake.faults = [Fault(cut=True)]
    with pytest.raises(Unavailable):
        await service.open().fetch_page()
    assert len(people_of(await walk(service.open()))) == 1


async def test_a_service_that_is_away_is_unavailable(service: Service) -> None:
    connector = service.open()
    await service.fake.go_away()
    with pytest.raises(Unavailable):
        await connector.fetch_page()
    with pytest.raises(Unavailable):
        await connector.check()


@pytest.mark.parametrize(
    "garbage", ["", "{", "null", "[]", "{}", '"text"', "<html></html>", b"\xff\xfe\x00", "[" * 5000]
)
async def test_garbage_is_told_and_never_taken_for_an_empty_list(service: Service, garbage: str | bytes) -> None:
    service.add(1)
    service.fake.faults = [Fault(200, garbage, {"Content-Type": "application/json"}, times=3)]
    with pytest.raises(BadAnswer) as error:
        await service.open().fetch_page()
    assert not error.value.is_lasting


async def test_withdrawn_credentials_name_their_setting(service: Service) -> None:
    if service.credentials is None:
        pytest.skip("it needs no credentials")
    service.add(1)
    service.withdraw()
    for call in (service.open().fetch_page(), service.open().check()):
        with pytest.raises(CredentialsRefused) as error:
            await call
        assert error.value.setting == service.credentials
        assert error.value.is_lasting


async def test_a_deleted_tag_or_list_names_its_setting_and_nobody_has_left(service: Service) -> None:
    if service.scope is None:
        pytest.skip("it reads the whole account")
    for number in range(1, service.page_size + 2):
        service.add(number)
    first = await service.open().fetch_page()
    service.delete_scope()
    again = service.open()
    for call in (again.fetch_page(cursor=first.cursor), service.open().fetch_page(), service.open().check()):
        with pytest.raises(Gone) as error:
            await call
        assert error.value.setting == service.scope
        assert error.value.is_lasting


async def test_nobody_is_taken_off_by_pages_that_shift(service: Service) -> None:
    """A member skipped by shifting pages keeps membership: the walk is incomplete, or a look-up finds them."""
    size = service.page_size
    ids = {number: service.add(number) for number in range(1, 2 * size + 2)}
    connector = service.open()
    first = await connector.fetch_page()
    service.take_off(1)
    service.take_off(2)
    pages = [first, *await walk(connector, cursor=first.cursor)]
    unseen = {external_id for number, external_id in ids.items() if number > 2} - people_of(pages).keys()
    if not pages[-1].is_complete or not unseen:
        return
    assert connector.capabilities.looks_up
    found = await connector.look_up(sorted(unseen))
    assert {person.state for person in found.values()} == {PersonState.MEMBER}


async def test_who_left_is_found_out_by_the_next_whole_walk(service: Service) -> None:
    ids = {number: service.add(number) for number in range(1, 4)}
    await walk(service.open())
    service.take_off(2)
    pages = await walk(service.open())
    assert people_of(pages).keys() == {ids[1], ids[3]}
    assert pages[-1].is_complete
    connector = service.open()
    if connector.capabilities.looks_up:
        found = await connector.look_up([ids[2], ids[3], "999999", "unheard-of"])
        assert found.keys() == {ids[2], ids[3], "999999", "unheard-of"}
        assert {found[each].state for each in ("999999", "unheard-of")} == {PersonState.DELETED}
        assert found[ids[2]].state in (PersonState.LEFT, PersonState.DELETED)
        assert found[ids[3]].state is PersonState.MEMBER
        assert service.phone_of(found[ids[3]]) == "+14155550003"


async def test_a_full_look_up_needs_no_more_calls_than_a_minute_has(service: Service) -> None:
    connector = service.open()
    if not connector.capabilities.looks_up:
        pytest.skip("it looks nobody up")
    ids = [service.add(number) for number in range(1, MAX_LOOKED_UP + 1)]
    before = len(service.fake.requests)
    found = await connector.look_up(ids)
    assert {person.state for person in found.values()} == {PersonState.MEMBER}
    # Kit has the lowest limit: 120 requests a minute.
    assert len(service.fake.requests) - before <= 60


async def test_a_busy_service_says_so_in_a_look_up_too(service: Service) -> None:
    connector = service.open()
    if not connector.capabilities.looks_up:
        pytest.skip("it looks nobody up")
    external_id = service.add(1)
    await connector.check()
    service.fake.faults = [Fault(429, {}, {"Retry-After": "3"})]
    with pytest.raises(RateLimited) as error:
        await connector.look_up([external_id])
    assert error.value.retry_after == 3.0


async def test_ten_thousand_people_are_read_in_bounded_memory(service: Service) -> None:
    for number in range(1, 10_001):
        service.add(number)
    connector = service.open()
    seen, cursor, held = 0, None, []
    tracemalloc.start()
    try:
        while not seen or cursor is not None:
            page = await connector.fetch_page(cursor=cursor)
            seen, cursor = seen + len(page.people), page.cursor
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert seen == 10_000
    assert page.is_complete
    # Memory does not grow between the second page and the last.
    assert held[-1] - held[1] < 4 * 1024 * 1024


async def test_no_secret_phone_or_name_is_in_errors_logs_or_reprs(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.add(1)
    said: list[str] = []
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.DEBUG):
        connector = service.open()
        said.append(f"{connector!r} {await walk(connector)!r}")
        echo = f"{service.secrets} +14155550001 {NAMES[1]}"
        for fault in (Fault(400, echo), Fault(401, echo), Fault(404, echo), Fault(429, echo), Fault(500, echo)):
            service.fake.faults = [fault]
            with pytest.raises(ConnectorError) as error:
                await connector.fetch_page()
            said.append(f"{error.value} {error.value!r} {error.value.__context__!r} {error.value.__cause__!r}")
    shown = f"{lines} {caplog.text} {said}"
    assert [value for value in (*service.secrets, "4155550001", NAMES[1]) if value in shown] == []
