"""A table at a URL: a CSV file, an XLSX workbook or a Google Sheet. Fetch the whole file when it changed."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import IO, BinaryIO, ClassVar, cast
from urllib.parse import parse_qs, urldefrag, urlencode, urljoin, urlsplit

import msgspec

from msvs.address_policy import check_url
from msvs.connectors.base import (
    MAX_PAGE,
    Account,
    BadAnswer,
    Capabilities,
    Connection,
    Connector,
    CredentialsRefused,
    Field,
    InvalidSetting,
    OpenTable,
    Page,
    Person,
    Setting,
    SettingKind,
    TableRow,
    TableUnreadable,
    Target,
)
from msvs.connectors.calls import CONNECT_SECONDS, Concern, explain_answer, explain_failure
from msvs.http_client import HttpAnswer, HttpError

MAX_FILE = 100 * 1024 * 1024
TOTAL_SECONDS = 180.0
MAX_HOPS = 5
MAX_KEY = 100
MAX_VALUE = 1000
# Maximum length of a stored ETag or Last-Modified header.
MAX_TAG = 300
SIGN_IN = ("accounts.google.com", "login.microsoftonline.com", "login.live.com")

_sheet = re.compile(r"/spreadsheets/(?:u/[0-9]+/)?d/(e/)?([A-Za-z0-9_-]{10,200})(?:/.*)?").fullmatch
_gid = re.compile(r"(?:^|[&#?])gid=([0-9]{1,20})").search


class _Bookmark(msgspec.Struct):
    digest: str
    etag: str = ""
    modified: str = ""


@dataclass(slots=True)
class _Fetched:
    """A fetched file and the progress of reading it; `at` is the number of rows read so far."""

    bookmark: _Bookmark
    keys: Sequence[str]
    rows: Iterator[TableRow]
    identity: int | None
    at: int = 0


class CsvConnector(Connector):
    """Reads all rows of a file if it changed since the last walk. People without a row have left."""

    kind = "csv"
    label = "CSV or Google Sheets"
    capabilities = Capabilities(incremental=True)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "url",
            "Address",
            # Anyone who knows a shared sheet's URL can read it.
            SettingKind.SECRET,
            is_required=True,
            help="The URL of a CSV file or XLSX workbook, or the link to a Google Sheet that anyone with the link can"
            " view.",
            pattern=r"https?://\S+",
            example="https://docs.google.com/spreadsheets/d/1AbCdEfGhIjKlMnOp/edit#gid=0",
        ),
        Setting(
            "id_column",
            "Column that identifies a person",
            help="By default the phone, so a changed phone makes a row a different person.",
            example="customer_id",
        ),
    )

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._stack = ExitStack()
        self._fetched: _Fetched | None = None

    async def check(self) -> Account:
        """Return the host name, after checking that the file is a table and has the id column."""
        await self._fetch(None)
        await self.close()
        return Account(urlsplit(export_url(self._setting("url"))).hostname or self.label)

    async def fields(self) -> list[Field]:
        """Return the columns of the file."""
        fetched = await self._fetch(None)
        assert fetched is not None, "a fetch without a bookmark returns the file"
        keys = list(fetched.keys)
        await self.close()
        return (
            [Field("phone", "phone", target=Target.PHONE)] if keys == ["phone"] else [Field(key, key) for key in keys]
        )

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return the next 1,000 rows, or an empty page if the file is unchanged since the bookmark."""
        digest, _, text = (cursor or "").partition(":")
        after = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
        fetched = self._fetched
        if fetched is None or cursor is None or (fetched.bookmark.digest, fetched.at) != (digest, after):
            fetched = await self._fetch(_read_bookmark(since) if cursor is None else None)
            if fetched is None:
                return Page((), bookmark=since)
            if fetched.bookmark.digest == digest:
                # Another process read the earlier rows: skip them. A changed file is read from the start.
                await self._read(fetched, after)
        rows = await self._read(fetched, MAX_PAGE)
        people = [self._person(fetched, row) for row in rows]
        if len(rows) == MAX_PAGE:
            return Page(people, cursor=f"{fetched.bookmark.digest}:{fetched.at}")
        bookmark = msgspec.json.encode(fetched.bookmark).decode()
        await self.close()
        return Page(people, bookmark=bookmark, is_complete=True)

    async def close(self) -> None:
        """Close the fetched file."""
        self._fetched = None
        await asyncio.to_thread(self._stack.close)

    async def _fetch(self, known: _Bookmark | None) -> _Fetched | None:
        """Fetch the file and open its table, or return None if it matches the `known` bookmark."""
        await self.close()
        try:
            self._fetched = await self._fetch_into(tempfile.TemporaryFile(), known)  # noqa: SIM115 - the stack closes it
        finally:
            if self._fetched is None:
                await self.close()
        return self._fetched

    async def _fetch_into(self, temporary: IO[bytes], known: _Bookmark | None) -> _Fetched | None:
        file = cast("BinaryIO", self._stack.enter_context(temporary))
        answer = await self._download(file, known)
        if answer.status == 304:
            return None
        if answer.truncated:
            raise BadAnswer(f"The file is larger than {MAX_FILE >> 20} MB.", setting="url")
        digest = await asyncio.to_thread(_digest_of, file)
        if known is not None and known.digest == digest:
            return None
        if not file.tell():
            raise BadAnswer("The file is empty.", setting="url")
        etag, modified = (answer.headers.get(name, "")[:MAX_TAG] for name in ("ETag", "Last-Modified"))
        return await asyncio.to_thread(self._open, file, _Bookmark(digest, etag, modified))

    async def _download(self, file: BinaryIO, known: _Bookmark | None) -> HttpAnswer:
        """Fetch the file, following at most MAX_HOPS redirects and checking every address."""
        url = export_url(self._setting("url"))
        headers = {"Accept": "text/csv, */*"}
        if known is not None:
            headers |= {"If-None-Match": known.etag} if known.etag else {}
            headers |= {"If-Modified-Since": known.modified} if known.modified else {}
        for _ in range(MAX_HOPS + 1):
            _check(url)
            try:
                answer = await self._connection.http.request(
                    "GET",
                    url,
                    headers=headers,
                    total_seconds=TOTAL_SECONDS,
                    connect_seconds=CONNECT_SECONDS,
                    repeatable=True,
                    max_bytes=MAX_FILE,
                    into=file,
                )
            except HttpError as error:
                raise explain_failure(error, "The address", address="url") from None
            if answer.status == 304 and known is not None:
                return answer
            if answer.status == 200:
                return answer
            if answer.status not in (301, 302, 303, 307, 308) or not answer.headers.get("Location"):
                concern = Concern(credentials="url", scope="url", thing="The file", address="url")
                raise explain_answer(answer, "The address", concern, now=self._connection.now())
            url = urldefrag(urljoin(url, answer.headers["Location"])).url
        raise BadAnswer("The address redirects too often.", setting="url")

    def _open(self, file: BinaryIO, bookmark: _Bookmark) -> _Fetched:
        try:
            table = self._stack.enter_context(self._connection.read_table(file))
        except TableUnreadable as error:
            raise BadAnswer(str(error), setting="url") from None
        keys = _keys(table.header)
        # Reject an error page sent with status 200: read as a table without people, it would empty the list.
        if (
            not keys
            or keys[0].startswith(("{", "["))
            or (len(keys) == 1 and not (table.fields or table.header is None))
        ):
            raise BadAnswer("The file at the address is not a table.", setting="url")
        return _Fetched(bookmark, keys, table.rows(), self._identity(table, keys))

    def _identity(self, table: OpenTable, keys: Sequence[str]) -> int | None:
        if name := self._setting("id_column"):
            folded = [key.casefold() for key in keys]
            if name.casefold() not in folded:
                raise InvalidSetting("The file has no column with this name.", setting="id_column")
            return folded.index(name.casefold())
        known = [*table.fields.get("phone", ()), *table.fields.get("email", ())]
        return known[0] if known else (0 if table.header is None else None)

    async def _read(self, fetched: _Fetched, count: int) -> list[TableRow]:
        try:
            rows = await asyncio.to_thread(lambda: list(islice(fetched.rows, count)))
        except TableUnreadable as error:
            raise BadAnswer(str(error), setting="url") from None
        fetched.at += len(rows)
        return rows

    def _person(self, fetched: _Fetched, row: TableRow) -> Person:
        cells = [cell.strip()[:MAX_VALUE] for cell in row.cells]
        fields = {key: cell for key, cell in zip(fetched.keys, cells, strict=False) if cell}
        at = fetched.identity
        own = cells[at] if at is not None and at < len(cells) else ""
        # The same phone can be formatted in different ways, so compare only its digits.
        text = re.sub(r"[^0-9]", "", own) or own if not self._setting("id_column") and "@" not in own else own
        identity = f"id\0{text}" if text else "row\0" + "\0".join(cells)
        problem = "the line is too long, and was not read to its end" if row.is_cut else None
        return Person(sha256(identity.encode()).hexdigest()[:32], fields, row=row.line, problem=problem)


def export_url(url: str) -> str:
    """Return the URL to fetch: for a link to a Google Sheet, its CSV export; otherwise the URL without its fragment."""
    parts = urlsplit(url)
    found = _sheet(parts.path) if parts.hostname == "docs.google.com" else None
    if found is None:
        return urldefrag(url).url
    gid = _gid(parts.fragment) or _gid(parts.query)
    query = {"gid": gid[1]} if gid else {}
    if key := parse_qs(parts.query).get("resourcekey"):
        query["resourcekey"] = key[0]
    if found[1]:
        published = urlencode({**query, **({"single": "true"} if gid else {}), "output": "csv"})
        return f"https://docs.google.com/spreadsheets/d/e/{found[2]}/pub?{published}"
    return f"https://docs.google.com/spreadsheets/d/{found[2]}/export?{urlencode({'format': 'csv', **query})}"


def _check(url: str) -> None:
    """Raise InvalidSetting for a forbidden address, or CredentialsRefused for a sign-in page."""
    try:
        check_url(url, allow_http_loopback=True)
        host = urlsplit(url).hostname
    except ValueError as error:
        raise InvalidSetting(str(error), setting="url") from None
    if host in SIGN_IN:
        raise CredentialsRefused("The file is not shared: let anyone with the link view it.", setting="url")


def _read_bookmark(since: str | None) -> _Bookmark | None:
    try:
        return None if since is None else msgspec.json.decode(since, type=_Bookmark)
    except (msgspec.DecodeError, UnicodeError):
        return None


def _digest_of(file: BinaryIO) -> str:
    file.seek(0)
    digest = sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()[:32]


def _keys(header: Sequence[str] | None) -> list[str]:
    """Return unique column names: number duplicates and name untitled columns by position."""
    keys: list[str] = []
    for at, title in enumerate(["phone"] if header is None else header, 1):
        name = title.strip()[:MAX_KEY] or f"column {at}"
        keys.append(name if name not in keys else f"{name} ({at})")
    return keys
