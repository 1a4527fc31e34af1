"""Files at URLs: behavior beyond the tests shared by all services."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest

from msvs.address_policy import AddressPolicy
from msvs.connectors.base import BadAnswer, ConnectorError, CredentialsRefused, Gone, InvalidSetting, Target
from msvs.connectors.csv_address import export_url
from msvs.http_client import HttpClient
from tests.connectors.fakes.server import Fault
from tests.connectors.under_test import CsvService, people_of, walk
from tests.workbooks import make_workbook

KEY = "1AbCdEfGhIjKlMnOpQrStUvWxYz_0123456789"


@pytest.fixture
async def service() -> AsyncIterator[CsvService]:
    made = CsvService()
    async with made.running():
        yield made


@pytest.mark.parametrize(
    ("pasted", "fetched"),
    [
        (f"/spreadsheets/d/{KEY}/edit#gid=17", f"/spreadsheets/d/{KEY}/export?format=csv&gid=17"),
        (f"/spreadsheets/d/{KEY}/edit?gid=17#gid=17", f"/spreadsheets/d/{KEY}/export?format=csv&gid=17"),
        (f"/spreadsheets/d/{KEY}/edit?usp=sharing", f"/spreadsheets/d/{KEY}/export?format=csv"),
        (f"/spreadsheets/u/1/d/{KEY}/view", f"/spreadsheets/d/{KEY}/export?format=csv"),
        (f"/spreadsheets/d/{KEY}", f"/spreadsheets/d/{KEY}/export?format=csv"),
        (f"/spreadsheets/d/{KEY}/export?format=csv&gid=3", f"/spreadsheets/d/{KEY}/export?format=csv&gid=3"),
        (f"/spreadsheets/d/{KEY}/edit?resourcekey=0-a", f"/spreadsheets/d/{KEY}/export?format=csv&resourcekey=0-a"),
        (f"/spreadsheets/d/e/2PACX-{KEY}/pubhtml", f"/spreadsheets/d/e/2PACX-{KEY}/pub?output=csv"),
        (
            f"/spreadsheets/d/e/2PACX-{KEY}/pubhtml?gid=5&single=true",
            f"/spreadsheets/d/e/2PACX-{KEY}/pub?gid=5&single=true&output=csv",
        ),
    ],
)
def test_the_link_of_a_sheet_becomes_its_export(pasted: str, fetched: str) -> None:
    assert export_url(f"https://docs.google.com{pasted}") == f"https://docs.google.com{fetched}"


def test_another_address_stays_as_it_is_but_for_its_fragment() -> None:
    assert export_url("https://example.com/a.csv?x=1#gid=2") == "https://example.com/a.csv?x=1"
    assert (
        export_url(f"https://evil.example/spreadsheets/d/{KEY}/edit")
        == f"https://evil.example/spreadsheets/d/{KEY}/edit"
    )


async def test_a_file_is_fetched_once_and_again_only_when_it_changed(service: CsvService) -> None:
    for number in range(1, 2 * service.page_size + 1):
        service.add(number)
    connector = service.open()
    pages = await walk(connector)
    assert [len(page.people) for page in pages] == [1000, 1000, 0]
    assert service.fake.sent == 1
    [again] = await walk(service.open(), since=pages[-1].bookmark)
    assert (list(again.people), again.is_complete, again.bookmark) == ([], False, pages[-1].bookmark)
    assert service.fake.sent == 1
    service.take_off(7)
    changed = await walk(service.open(), since=pages[-1].bookmark)
    assert len(people_of(changed)) == 1999
    assert changed[-1].is_complete
    assert changed[-1].bookmark != pages[-1].bookmark


async def test_without_an_etag_the_same_bytes_are_the_same_file(service: CsvService) -> None:
    service.fake.has_etag = False
    service.add(1)
    [first] = await walk(service.open())
    [again] = await walk(service.open(), since=first.bookmark)
    assert (list(again.people), again.is_complete) == ([], False)
    [garbage] = await walk(service.open(), since="garbage")
    assert (len(garbage.people), garbage.is_complete) == (1, True)


async def test_a_file_that_changed_under_the_walk_is_read_from_its_start(service: CsvService) -> None:
    ids = {number: service.add(number) for number in range(1, service.page_size + 2)}
    first = await service.open().fetch_page()
    service.take_off(1)
    pages = await walk(service.open(), cursor=first.cursor)
    assert people_of(pages).keys() == set(ids.values()) - {ids[1]}
    assert pages[-1].is_complete


async def test_dialects_encodings_and_packed_files_are_read(service: CsvService) -> None:
    table = "Téléphone;Prénom\r\n06 12 34 56 78;Zoé\r\n"
    rows = [["Phone", "Name"], ["+14155550001", "Zoé"]]
    for raw, expected in (
        (table.encode("cp1252"), {"Téléphone": "06 12 34 56 78", "Prénom": "Zoé"}),
        (table.encode("utf-8-sig"), {"Téléphone": "06 12 34 56 78", "Prénom": "Zoé"}),
        (table.replace(";", "\t").encode("utf-16"), {"Téléphone": "06 12 34 56 78", "Prénom": "Zoé"}),
        (gzip.compress(table.encode(), mtime=0), {"Téléphone": "06 12 34 56 78", "Prénom": "Zoé"}),
        (make_workbook({"Sheet": rows}), {"Phone": "+14155550001", "Name": "Zoé"}),
        (b"+14155550001\n+14155550002\n", {"phone": "+14155550001"}),
    ):
        service.fake.raw = raw
        pages = await walk(service.open())
        assert dict(pages[0].people[0].fields) == expected


async def test_columns_are_named_once_and_blank_cells_left_out(service: CsvService) -> None:
    service.fake.raw = b"Phone,Note,Note,\n+14155550001,a,,b\n"
    connector = service.open()
    assert [field.key for field in await connector.fields()] == ["Phone", "Note", "Note (3)", "column 4"]
    [page] = await walk(connector)
    assert dict(page.people[0].fields) == {"Phone": "+14155550001", "Note": "a", "column 4": "b"}
    assert page.people[0].row == 2
    service.fake.raw = b"+14155550001\n"
    assert [(field.key, field.target) for field in await service.open().fields()] == [("phone", Target.PHONE)]


async def test_a_person_is_the_same_by_the_phone_or_the_column_of_ids(service: CsvService) -> None:
    service.fake.raw = (
        b"Phone,Email,Key\n+1 (415) 555-0001,a@example.com,k1\n14155550001,b@example.com,k2\n,c@example.com,k3\n"
    )
    [page] = await walk(service.open())
    ids = [person.external_id for person in page.people]
    assert ids[0] == ids[1] != ids[2]
    [page] = await walk(service.open({**service.settings, "id_column": "KEY"}))
    assert len({person.external_id for person in page.people}) == 3
    assert all("k1" not in person.external_id for person in page.people)
    with pytest.raises(InvalidSetting) as error:
        await service.open({**service.settings, "id_column": "nothing"}).check()
    assert error.value.setting == "id_column"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"error": "quota", \n "code": 1}',
        b'[{"phone": "+14155550001"},\n{"phone": "2"}]',
        b"<!doctype html><title>Sign in</title>",
        b"%PDF-1.7",
        b"Service paused",
        gzip.compress(b"Phone\n+14155550001\n", mtime=0)[:-9],
    ],
)
async def test_a_file_without_a_table_is_reported_and_empties_no_list(service: CsvService, raw: bytes) -> None:
    service.fake.raw = raw
    with pytest.raises(BadAnswer) as error:
        await walk(service.open())
    assert error.value.setting == "url"


async def test_a_file_that_is_too_large_is_not_read(service: CsvService, monkeypatch: pytest.MonkeyPatch) -> None:
    service.add(1)
    monkeypatch.setattr("msvs.connectors.csv_address.MAX_FILE", 20)
    with pytest.raises(BadAnswer, match="larger") as error:
        await service.open().fetch_page()
    assert error.value.setting == "url"


async def test_redirects_are_followed_and_each_is_judged(service: CsvService) -> None:
    service.add(1)
    origin = service.fake.origin
    assert len(people_of(await walk(service.open({"url": f"{origin}/moved"})))) == 1
    with pytest.raises(BadAnswer, match="too often"):
        await service.open({"url": f"{origin}/around"}).check()
    for target in (
        "http://10.0.0.1/a.csv",
        "http://169.254.169.254/latest",
        "ftp://example.com/",
        "https://a@b.example/",
    ):
        with pytest.raises(InvalidSetting) as error:
            await service.open({"url": f"{origin}/inside?to={target}"}).check()
        assert error.value.setting == "url"


async def test_a_sheet_that_is_not_shared_says_so(service: CsvService) -> None:
    with pytest.raises(CredentialsRefused, match="anyone with the link") as error:
        await service.open({"url": f"{service.fake.origin}/sheet"}).check()
    assert error.value.setting == "url"


async def test_an_address_inside_is_refused_by_the_policy(service: CsvService) -> None:
    service.add(1)
    await service.http.close()
    service.http = HttpClient(AddressPolicy())
    with pytest.raises(InvalidSetting) as error:
        await service.open().check()
    assert error.value.setting == "url"
    assert service.fake.requests == []


async def test_errors_name_the_address_without_showing_it(service: CsvService) -> None:
    refusals: tuple[tuple[int, type[ConnectorError]], ...] = (
        (404, Gone),
        (410, Gone),
        (401, CredentialsRefused),
        (400, BadAnswer),
    )
    for status, kind in refusals:
        service.fake.faults = [Fault(status, "")]
        with pytest.raises(kind) as error:
            await service.open().check()
        assert error.value.setting == "url"
        assert "people.csv" not in error.value.message
        assert " The " not in error.value.message
