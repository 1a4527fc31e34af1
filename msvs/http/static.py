"""Static files: compressed once, with strong validators, and kept for ever where a name holds a hash of the content."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path, PurePath

import brotli
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from msvs.http.headers import read_weight

REVALIDATED = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"
SMALLEST_PACKED = 1024
# Smaller than gzip makes it, in the time that gzip takes: a file is compressed as it is first asked for.
BROTLI_QUALITY = 4

TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
TEXT = "text/plain; charset=utf-8"
# Files of these types are compressed already.
PACKED_TYPES = ("image/png", "image/x-icon", "font/")
# Coding → what the name of a file compressed at build time ends in; the best stands first.
BESIDE: Mapping[str, str] = {"br": ".br", "gzip": ".gz"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file in memory: as it is, and by coding where that is smaller."""

    content: bytes
    media_type: str
    cache_control: str = REVALIDATED
    packed: Mapping[str, bytes] = field(default_factory=dict)
    etag: str = ""

    def answer(self, request: Headers, headers: Mapping[str, str], status: int = 200) -> Response:
        """Return the file in the best coding that the client takes; 304 where the client has it.

        An answer other than 200 stands for something else, so no cache may keep it.
        """
        coding = choose_coding(request.get("accept-encoding", ""), self.packed)
        etag = f'"{self.etag}-{coding}"' if coding else f'"{self.etag}"'
        more = {"X-Content-Type-Options": "nosniff", **headers, "Vary": "Accept-Encoding"}
        if status == 200:
            more |= {"Cache-Control": self.cache_control, "ETag": etag}
            if names_tag(request.get("if-none-match", ""), etag):
                return Response(status_code=304, headers=more)
        else:
            more["Cache-Control"] = "no-store"
        if coding:
            more["Content-Encoding"] = coding
        return Response(self.packed[coding] if coding else self.content, status, more, media_type=self.media_type)


def make_file(
    name: str,
    content: bytes,
    *,
    media_type: str | None = None,
    cache_control: str = REVALIDATED,
    packed: Mapping[str, bytes] | None = None,
) -> StaticFile:
    """Return a file ready to serve, compressed by brotli and gzip unless it comes `packed` or is too small."""
    kind = media_type or TYPES.get(PurePath(name).suffix, TEXT)
    codings = dict(packed or {})
    if not codings and len(content) >= SMALLEST_PACKED and not kind.startswith(PACKED_TYPES):
        codings["br"] = bytes(brotli.compress(content, quality=BROTLI_QUALITY))
        codings["gzip"] = gzip.compress(content, 6, mtime=0)
    smaller = {coding: data for coding, data in codings.items() if len(data) < len(content)}
    return StaticFile(content, kind, cache_control, smaller, sha256(content).hexdigest()[:20])


class StaticFolder(StaticFiles):
    """Starlette's StaticFiles with compression and caching; each file is read once for each time it changes.

    Files under a path of `hashed` never change. `fallback` is the page of an application that reads its own path: it
    answers for every path whose last part has no dot. `headers` go with every file, such as a Content-Security-Policy.
    """

    def __init__(
        self,
        directory: Path,
        *,
        headers: Mapping[str, str] | None = None,
        hashed: tuple[str, ...] = (),
        fallback: str | None = None,
    ) -> None:
        super().__init__(directory=directory)
        self._root = Path(os.path.realpath(directory))
        self._headers = dict(headers or {})
        self._hashed = hashed
        self._fallback = fallback
        self._files: dict[str, tuple[tuple[int, int], StaticFile]] = {}

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file at a path, or the fallback for a page's path. Raises HTTPException 404 and 405."""
        try:
            return await super().get_response(path, scope)
        except HTTPException as missing:
            is_page = path == "." or "." not in PurePath(path).name
            if missing.status_code != 404 or self._fallback is None or not is_page or "\0" in path:
                raise
        return await super().get_response(self._fallback, scope)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Return a file in the best coding that the client takes."""
        found = self._file(Path(full_path), (stat_result.st_mtime_ns, stat_result.st_size))
        return found.answer(Headers(scope=scope), self._headers, status_code)

    def _file(self, path: Path, version: tuple[int, int]) -> StaticFile:
        name = path.relative_to(self._root).as_posix()
        kept = self._files.get(name)
        if kept is not None and kept[0] == version:
            return kept[1]
        beside = {coding: path.with_name(path.name + ending) for coding, ending in BESIDE.items()}
        packed = {coding: other.read_bytes() for coding, other in beside.items() if other.is_file()}
        cache_control = FOR_EVER if self._hashed and name.startswith(self._hashed) else REVALIDATED
        made = make_file(name, path.read_bytes(), cache_control=cache_control, packed=packed)
        self._files[name] = version, made
        return made


def choose_coding(accepted: str, packed: Mapping[str, object]) -> str | None:
    """Return the coding that Accept-Encoding weighs most, the first among equals, or None (RFC 9110, 12.5.3)."""
    if not packed or not accepted:
        return None
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        given = (each.partition("=") for each in parameters)
        weight = next((read_weight(value.strip()) for key, _, value in given if key.strip() == "q"), 1.0)
        weights.setdefault(name, weight)
    best = max(packed, key=lambda coding: weights.get(coding, weights.get("*", 0.0)))
    return best if weights.get(best, weights.get("*", 0.0)) > 0 else None


def names_tag(condition: str, etag: str) -> bool:
    """Return whether If-None-Match names the tag or any (RFC 9110, section 13.1.2)."""
    return condition.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in condition.split(","))
