"""Unpack files in bounded room: what is far larger than it came is refused before all of it is there."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import BinaryIO

from msvs.api.errors import InvalidRequest

BLOCK = 1 << 20
# What a file may hold once it is unpacked, and a workbook, which is read as a whole.
MOST_BYTES = 4 * 1024**3
MOST_WORKBOOK = 1024**3
# So much may come of any file; of a larger one, at most so many bytes of each that came. Tables come to twenty.
FREE_BYTES = 64 * 1024**2
MOST_RATIO = 200
MOST_ENTRIES = 10_000
# Deflate, and what is not packed: no program that writes workbooks takes another.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
LOCAL_HEADER = b"PK\x03\x04"
LOCAL_SIZE = 30
ENCRYPTED = 1

DAMAGED = "The file is damaged: its compressed data cannot be read to the end."
TOO_MUCH = "The file holds more than can be imported at once: divide it."
TOO_DENSE = "The file holds far more than its size tells: unpack it, and upload what is in it."
BAD_ARCHIVE = "The file is a damaged archive."


class Bound:
    """How much may come of a file of a size."""

    def __init__(self, packed: int, most: int | None = None) -> None:
        self._by_ratio = max(FREE_BYTES, packed * MOST_RATIO)
        self._most = MOST_BYTES if most is None else most
        self._size = 0

    def take(self, size: int) -> None:
        """Count bytes that came. Raises InvalidRequest where they are too many."""
        self.check(self._size + size)
        self._size += size

    def check(self, size: int) -> None:
        """Refuse a size that is too large. Raises InvalidRequest."""
        if size > self._by_ratio:
            raise refused(TOO_DENSE)
        if size > self._most:
            raise refused(TOO_MUCH)


class BoundedGzip(gzip.GzipFile):
    """A gzip file that is read as far as its bound."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._bound = Bound(size_of(file))

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes. Raises InvalidRequest where too many came."""
        data = super().read(size)
        self._bound.check(self.tell())
        return data

    def read1(self, size: int = -1) -> bytes:
        """Read bytes of one block. Raises InvalidRequest where too many came."""
        data = super().read1(size)
        self._bound.check(self.tell())
        return data


def size_of(file: BinaryIO) -> int:
    """Return how many bytes a file has, which stays where it is."""
    at = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(at)
    return size


def gunzip(file: BinaryIO, plain: BinaryIO) -> None:
    """Write what a gzip file holds to another. Raises InvalidRequest where it is damaged, or too much."""
    bound = Bound(size_of(file))
    unzip = zlib.decompressobj(wbits=47)
    try:
        while block := file.read(BLOCK):
            while block:
                data = unzip.decompress(block, BLOCK)
                bound.take(len(data))
                plain.write(data)
                block = unzip.unconsumed_tail
                if unzip.eof and (rest := unzip.unused_data):
                    # Several files, one after the other.
                    unzip, block = zlib.decompressobj(wbits=47), rest
    except zlib.error:
        raise refused(DAMAGED) from None
    if not unzip.eof:
        raise refused(DAMAGED)


def read_archive(file: BinaryIO) -> list[zipfile.ZipInfo]:
    """Return what an archive says that it holds. Raises InvalidRequest."""
    file.seek(0)
    try:
        return zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise refused(BAD_ARCHIVE) from None


def check_archive(file: BinaryIO, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse an archive that holds too much, even if it declares less. Raises InvalidRequest."""
    if len(entries) > MOST_ENTRIES:
        raise refused(TOO_DENSE)
    packed = size_of(file)
    Bound(packed, MOST_WORKBOOK).check(sum(entry.file_size for entry in entries))
    bound = Bound(packed, MOST_WORKBOOK)
    for entry in entries:
        _inflate(file, entry, bound)
    file.seek(0)


def _inflate(file: BinaryIO, entry: zipfile.ZipInfo, bound: Bound) -> None:
    """Count what comes of an entry, which may be another size than it says."""
    if entry.flag_bits & ENCRYPTED or entry.compress_type not in METHODS:
        raise refused(BAD_ARCHIVE)
    file.seek(entry.header_offset)
    head = file.read(LOCAL_SIZE)
    if len(head) < LOCAL_SIZE or not head.startswith(LOCAL_HEADER):
        raise refused(BAD_ARCHIVE)
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), os.SEEK_CUR)
    left = entry.compress_size
    unzip = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        while left > 0 and (block := file.read(min(BLOCK, left))):
            left -= len(block)
            if entry.compress_type == zipfile.ZIP_STORED:
                bound.take(len(block))
                continue
            while block:
                bound.take(len(unzip.decompress(block, BLOCK)))
                block = unzip.unconsumed_tail
    except zlib.error:
        raise refused(BAD_ARCHIVE) from None


def refused(message: str) -> InvalidRequest:
    """Return the refusal of a file."""
    return InvalidRequest(message, param="file")
