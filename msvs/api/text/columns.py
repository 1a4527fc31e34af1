"""Recognize the columns of tables by their names in many languages; the names are data."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files

# Letters of their own that only look accented, and the sign in "N° de téléphone".
_LETTERS = str.maketrans({"ı": "i", "ł": "l", "đ": "d", "ø": "o", "æ": "ae", "œ": "oe", "°": "o", "\u00ad": None})
_digits = re.compile(r"[0-9]+")
_bracketed = re.compile(r"(.+?)[(\[（]([^()\[\]（）]*)[)\]）]\W*").fullmatch


def fold_name(text: str) -> str:
    """Return a column's name without case, accents, punctuation and spaces; any number in it is 1."""
    text = unicodedata.normalize("NFKC", text[:1000].translate(_LETTERS)).casefold().translate(_LETTERS)
    letters = (each for each in unicodedata.normalize("NFD", text) if each.isalnum())
    return _digits.sub("1", "".join(letters))


def repair_text(text: str) -> str:
    """Return UTF-8 that was read as Windows-1252 or Latin-1 as it was meant, any other text unchanged."""
    if text.isascii() or not any(each in text for each in "ÂÃâïÅÄ"):
        return text
    for encoding in ("cp1252", "latin-1"):
        with suppress(UnicodeError):
            return text.encode(encoding).decode("utf-8")
    return text


def find_field(name: str) -> tuple[str, int] | None:
    """Return the field that a column's name stands for and its rank among that field's, or None if it is not known."""
    return _find(repair_text(name))


def is_label(text: str) -> bool:
    """Return whether `text` before a colon says that a phone follows."""
    folded = fold_name(text)
    found = _FIELDS.get(folded)
    return folded in _LABELS or (found is not None and found[0] == "phone")


@lru_cache(maxsize=4096)
def _find(name: str) -> tuple[str, int] | None:
    folded = fold_name(name)
    found = _FIELDS.get(folded)
    if found is not None or (parts := _bracketed(name)) is None:
        return found
    # "Phone Number (phone_number)" names its key beside its title; "Phone (fax)" is another column.
    title, inner = _FIELDS.get(fold_name(parts[1])), fold_name(parts[2])
    same = inner in _BRACKETS or inner == fold_name(parts[1]) or (title is not None and _FIELDS.get(inner) == title)
    return title if same else None


def _load() -> tuple[dict[str, tuple[str, int]], frozenset[str], frozenset[str]]:
    data = tomllib.loads(files("msvs.api").joinpath("data/columns.toml").read_text("utf-8"))
    fields: dict[str, tuple[str, int]] = {}
    for column in data["column"]:
        for name in column["names"]:
            fields.setdefault(fold_name(name), (column["field"], column["rank"]))
    words = (frozenset(map(fold_name, data[table]["words"])) for table in ("brackets", "labels"))
    return fields, *words  # type: ignore[return-value]


_FIELDS, _BRACKETS, _LABELS = _load()
