"""Unpack files within size limits: a decompression bomb is refused before it is fully unpacked."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from collections.abc import Sequence
from typing import BinaryIO

from msvs.api.errors import InvalidRequest

BLOCK = 1 << 20
# The most unpacked bytes: of a file, and of a workbook, which is read into memory as a whole.
MOST_BYTES = 4 * 1024**3
MOST_WORKBOOK = 1024**3
# Any file may unpack to FREE_BYTES; beyond that, to at most MOST_RATIO times its size. Tables reach about twenty.
FREE_BYTES = 64 * 1024**2
MOST_RATIO = 200
MOST_ENTRIES = 10_000
# Programs that write workbooks use no other compression methods.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
LOCAL_HEADER = b"PK\x03\x04"
LOCAL_SIZE = 30
ENCRYPTED = 1

DAMAGED = "The file is damaged: its compressed data cannot be read to the end."
TOO_MUCH = "The file is too large to import at once: split it."
TOO_DENSE = "The file unpacks to far more than its size: unpack it, and upload the files in it."
BAD_ARCHIVE = "The file is a damaged archive."


class Bound:
    """A limit on the unpacked size of a file, given its packed size."""

    def __init__(self, packed: int, most: int | None = None) -> None:
        self._by_ratio = max(FREE_BYTES, packed * MOST_RATIO)
        self._most = MOST_BYTES if most is None else most
        self._size = 0

    def take(self, size: int) -> None:
        """Add unpacked bytes to the total. Raises InvalidRequest if the total exceeds the limit."""
        self.check(self._size + size)
        self._size += size

    def check(self, size: int) -> None:
        """Check a size against the limit. Raises InvalidRequest."""
        if size > self._by_ratio:
            raise refused(TOO_DENSE)
        if size > self._most:
            raise refused(TOO_MUCH)


class BoundedGzip(gzip.GzipFile):
    """A gzip file that cannot be read beyond its size limit."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(fileobj=file)
        self._bound = Bound(size_of(file))

    def read(self, size: int | None = -1) -> bytes:
        """Read bytes. Raises InvalidRequest beyond the limit."""
        data = super().read(size)
        self._bound.check(self.tell())
        return data

    def read1(self, size: int = -1) -> bytes:
        """Read bytes of one block. Raises InvalidRequest beyond the limit."""
        data = super().read1(size)
        self._bound.check(self.tell())
        return data


def size_of(file: BinaryIO) -> int:
    """Return the size of a file in bytes, keeping its position."""
    at = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(at)
    return size


def gunzip(file: BinaryIO, plain: BinaryIO) -> None:
    """Unpack a gzip file to `plain`. Raises InvalidRequest if it is damaged or too large."""
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
                    # A gzip file may consist of several members.
                    unzip, block = zlib.decompressobj(wbits=47), rest
    except zlib.error:
        raise refused(DAMAGED) from None
    if not unzip.eof:
        raise refused(DAMAGED)


def read_archive(file: BinaryIO) -> list[zipfile.ZipInfo]:
    """Return the entries that an archive declares. Raises InvalidRequest."""
    file.seek(0)
    try:
        return zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise refused(BAD_ARCHIVE) from None


def check_archive(file: BinaryIO, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse an archive that unpacks to too much, even if it declares less. Raises InvalidRequest."""
    if len(entries) > MOST_ENTRIES:
        raise refused(TOO_DENSE)
    packed = size_of(file)
    Bound(packed, MOST_WORKBOOK).check(sum(entry.file_size for entry in entries))
    bound = Bound(packed, MOST_WORKBOOK)
    for entry in entries:
        _inflate(file, entry, bound)
    file.seek(0)


def _inflate(file: BinaryIO, entry: zipfile.ZipInfo, bound: Bound) -> None:
    """Unpack an entry to count its bytes: the declared size may be false."""
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
    """Return the error that refuses a file."""
    return InvalidRequest(message, param="file")
