"""Decompression bombs are refused before they are fully unpacked."""

from __future__ import annotations

import gzip
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from msvs.api.contacts import import_files
from msvs.api.errors import InvalidRequest
from msvs.api.text import unpacking
from msvs.api.text.tables import open_table
from tests.workbooks import Cell, Shared, make_workbook

LINE = b"+12125550123,Maria\n"


@pytest.fixture(autouse=True)
def _little_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "FREE_BYTES", 100_000)


def bomb(size: int = 20_000_000) -> bytes:
    return gzip.compress(b"phone,name\n" + LINE * (size // len(LINE)))


def message_of(work: Callable[[], object]) -> str:
    with pytest.raises(InvalidRequest) as refused:
        work()
    assert refused.value.param == "file"
    return refused.value.message


def unpack(data: bytes) -> bytes:
    with import_files.unpack(io.BytesIO(data)) as unpacked:
        unpacked.file.seek(0)
        return unpacked.file.read()


def rows_of(data: bytes) -> list[object]:
    return list(open_table(io.BytesIO(data)).rows())


@pytest.mark.parametrize("read", [unpack, rows_of])
def test_gzip_is_unpacked_within_its_bounds(read: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch) -> None:
    data = bomb()
    assert len(data) < 60_000
    tracemalloc.start()
    try:
        assert message_of(lambda: read(data)) == unpacking.TOO_DENSE
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    # A file of exactly the limit is read; with a limit one byte lower, it is refused.
    whole = gzip.compress(b"phone\n" + LINE * 1000)
    assert read(whole)
    monkeypatch.setattr(unpacking, "MOST_BYTES", 5)
    assert message_of(lambda: unpack(gzip.compress(b"phone\n", 9))) == unpacking.TOO_MUCH


def test_gzip_in_gzip_is_bounded_each_time() -> None:
    assert message_of(lambda: rows_of(unpack(gzip.compress(bomb())))) == unpacking.TOO_DENSE


def archive(entries: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return data.getvalue()


def with_sizes(data: bytes, size: int) -> bytes:
    """An archive whose entries declare false sizes."""
    told = bytearray(data)
    at = 0
    while (at := told.find(b"PK\x01\x02", at)) >= 0:
        struct.pack_into("<I", told, at + 24, size)
        at += 4
    at = 0
    while (at := told.find(b"PK\x03\x04", at)) >= 0:
        struct.pack_into("<I", told, at + 22, size)
        at += 4
    return bytes(told)


@pytest.mark.parametrize("size", [None, 10])
def test_an_archive_is_as_large_as_what_comes_of_it(size: int | None) -> None:
    data = archive({"xl/workbook.xml": b" " * 50_000_000})
    data = data if size is None else with_sizes(data, size)
    assert message_of(lambda: unpack(data)) == unpacking.TOO_DENSE


def test_an_archive_has_so_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MOST_ENTRIES", 2)
    data = archive({f"xl/{number}.xml": b"" for number in range(3)})
    assert message_of(lambda: unpack(data)) == unpacking.TOO_DENSE


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"PK\x03\x04", b"PK\x03\x05"),
        lambda data: data[:-30],
        lambda data: data[:60] + bytes(40) + data[100:],
    ],
)
def test_a_damaged_archive_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    data = spoil(make_workbook({"People": [["phone"], ["+12125550123"]]}))
    assert message_of(lambda: unpack(b"PK\x03\x04" + data[4:])).startswith(("The file is a damaged", "The workbook"))


def test_a_text_that_stands_in_every_cell_is_written_so_often_only() -> None:
    sheet: list[list[Cell]] = [["phone", "note"], *[["+12125550123", Shared(0)]] * 100]
    data = make_workbook({"People": sheet}, shared=["x" * 10_000])
    assert message_of(lambda: unpack(data)) == unpacking.TOO_DENSE
    assert unpack(make_workbook({"People": sheet[:5]}, shared=["x" * 10_000])).count(b"x" * 10_000) == 4
