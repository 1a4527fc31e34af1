"""Read form bodies with a file: the file goes to disk as it arrives."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.types import Message, Receive

from msvs.api.errors import ErrorCode, InvalidRequest, RequestTimeout
from msvs.http.body import MAX_BYTES, ClientGone, too_large
from msvs.http.strict_json import as_object, decode_json

FORM = b"multipart/form-data"
FILE, OPTIONS = "file", "options"
# How long a client may send nothing, and how long all of it may take.
PART_SECONDS = 20.0
WHOLE_SECONDS = 1800.0
MAX_PARTS = 4


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a request, what it is called, and the hash of its contents."""

    file: BinaryIO
    name: str
    hash: str


@dataclass(slots=True)
class _Form:
    """The parts of a form that have arrived."""

    file: BinaryIO
    limit: int
    name: str | None = None
    size: int = 0
    options: bytearray = field(default_factory=bytearray)
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    seen: set[str] = field(default_factory=set)
    ended: bool = False
    _part: str = ""
    _header: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def parser(self, boundary: bytes) -> MultipartParser:
        """Return a parser that feeds the form."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._open,
                "on_part_data": self._take,
                "on_end": self._end,
            },
        )

    def _begin(self) -> None:
        self._part, self._disposition = "", b""
        if len(self.seen) >= MAX_PARTS:
            raise InvalidRequest("The form has too many parts.")

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in (FILE, OPTIONS):
            raise InvalidRequest(
                f"Unknown parameter: {name[:40]}.", code=ErrorCode.PARAMETER_UNKNOWN, param=name[:40] or None
            )
        if name in self.seen:
            raise InvalidRequest(f"{name} is given more than once.", param=name)
        self.seen.add(name)
        self._part = name
        if name == FILE:
            self.name = options.get(b"filename", b"").decode("utf-8", "replace")

    def _take(self, data: bytes, start: int, end: int) -> None:
        part = data[start:end]
        if self._part == OPTIONS:
            self.options += part
            if len(self.options) > MAX_BYTES:
                raise too_large(MAX_BYTES)
            return
        self.size += len(part)
        if self.size > self.limit:
            raise too_large(self.limit)
        self.hash.update(part)
        self.file.write(part)

    def _end(self) -> None:
        self.ended = True


def is_form(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a body is a form that may hold a file."""
    return headers.get(b"content-type", b"").lower().startswith(FORM)


@asynccontextmanager
async def read_form(
    receive: Receive, headers: Mapping[bytes, bytes], limit: int
) -> AsyncIterator[tuple[dict[str, object], Upload]]:
    """Provide the options of a form and its file, of at most `limit` bytes. Raises as read_body and parse_body do."""
    _, parameters = parse_options_header(headers.get(b"content-type", b""))
    boundary = parameters.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise InvalidRequest("The form names no boundary.")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit + 2 * MAX_BYTES:
        raise too_large(limit)
    with tempfile.TemporaryFile() as opened:
        file = cast(BinaryIO, opened)
        form = _Form(file, limit)
        await _feed(receive, form, form.parser(boundary))
        if form.name is None:
            raise InvalidRequest("Missing required parameter: file.", code=ErrorCode.PARAMETER_MISSING, param=FILE)
        options = as_object(decode_json(bytes(form.options)), bytes(form.options)) if form.options.strip() else {}
        file.seek(0)
        yield options, Upload(file, form.name, form.hash.hexdigest())


async def _feed(receive: Receive, form: _Form, parser: MultipartParser) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + WHOLE_SECONDS
    while True:
        message = await _next(receive, min(PART_SECONDS, until - loop.time()))
        try:
            parser.write(message.get("body", b""))
        except FormParserError:
            raise InvalidRequest("The form cannot be read.") from None
        if not message.get("more_body", False):
            break
    if not form.ended:
        raise InvalidRequest("The form breaks off before its end.")


async def _next(receive: Receive, seconds: float) -> Message:
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise RequestTimeout("The file did not arrive in time.") from None
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message
