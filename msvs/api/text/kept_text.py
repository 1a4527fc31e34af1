"""Texts that the database can keep."""

from __future__ import annotations

from msvs.api.errors import InvalidRequest
from msvs.postgres_values import can_keep


def check_kept(text: str, *, param: str) -> str:
    """Return a text that PostgreSQL keeps as it is. Raises InvalidRequest with `param`."""
    if not can_keep(text):
        raise InvalidRequest(f"{param} must not contain NUL or lone surrogates.", param=param)
    return text
