"""Static files in memory: compressed once, with strong validators, kept forever where a name holds a content hash."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources.abc import Traversable
from pathlib import PurePath

import brotli
from starlette.datastructures import Headers
from starlette.responses import Response

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


def read_folder(
    folder: Traversable,
    *,
    cache_control: str = REVALIDATED,
    hashed: tuple[str, ...] = (),
    media_types: Mapping[str, str] | None = None,
) -> dict[str, StaticFile]:
    """Return every file below a folder by its path, ready to serve.

    A file under a prefix of `hashed` never changes. One that was compressed at build time is served in that coding, and
    its compressed form is no file of its own. `media_types` are those of files by name that their suffix does not tell.
    """
    contents = dict(_contents(folder))
    found: dict[str, StaticFile] = {}
    for path, content in contents.items():
        plain, ending = path.rpartition(".")[0], path[path.rfind(".") :]
        if ending in BESIDE.values() and plain in contents:
            continue
        found[path] = make_file(
            path,
            content,
            media_type=(media_types or {}).get(path),
            cache_control=FOR_EVER if path.startswith(hashed) else cache_control,
            packed={coding: contents[path + end] for coding, end in BESIDE.items() if path + end in contents},
        )
    return found


def _contents(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _contents(entry, f"{prefix}{entry.name}/")
        else:
            yield prefix + entry.name, entry.read_bytes()


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
