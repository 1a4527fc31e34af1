"""Read cookies by splitting: the standard library's parser takes quadratic time on hostile input."""

from __future__ import annotations

from collections.abc import Iterable

MAX_COOKIE_BYTES = 8 * 1024


def find_cookie(headers: Iterable[bytes], name: str) -> str | None:
    """Find the value of the first cookie of that name in these Cookie headers, as it was sent, or None if there is
    none.

    Headers larger than 8 KiB together hold none of ours and are not looked into.
    """
    header = b";".join(headers)
    if len(header) > MAX_COOKIE_BYTES:
        return None
    for part in header.decode("latin-1").split(";"):
        found, _, value = part.strip(" \t").partition("=")
        if found.rstrip(" \t") == name:
            return value.lstrip(" \t") or None
    return None
