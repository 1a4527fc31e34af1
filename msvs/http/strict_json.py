"""Strict JSON: no duplicate keys, no number out of bounds, nothing too deep, and no text that no database keeps."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

import msgspec

from msvs.api.errors import JsonInvalid

T = TypeVar("T")

MAX_DEPTH = 32
MAX_INTEGER = 2**53
MAX_ECHO = 80


def parse_json(body: bytes) -> dict[str, object]:
    """Parse the object in strict JSON. Raises JsonInvalid, which says what is wrong and where."""
    return as_object(decode_json(body), body)


def decode_json(body: bytes, *, keeps_floats: bool = False) -> object:
    """Return the value in strict JSON; 20.0 stays a float where the reader `keeps_floats`. Raises JsonInvalid."""
    return _decode(body, _float_decoder if keeps_floats else _decoder)


def _decode(body: bytes, decoder: json.JSONDecoder) -> object:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise JsonInvalid(f"The body is not valid UTF-8 at byte {error.start}.") from None
    if text.startswith("\ufeff"):
        raise JsonInvalid("The body begins with a byte order mark.")
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        raise JsonInvalid(
            f"The body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}."
        ) from None
    except RecursionError:
        raise _too_deep() from None


def as_object(value: object, body: bytes) -> dict[str, object]:
    """Return a decoded value if it is an object, not too deep and of whole characters. Raises JsonInvalid."""
    if not isinstance(value, dict):
        raise JsonInvalid("The body must be a JSON object.")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    # Only an escape can bring in a NUL or half a surrogate pair: raw ones are refused above.
    if b"\\u" in body:
        _check_characters(value)
    return value


def check_flaws(value: dict[str, object]) -> dict[str, object]:
    """Return an object that was decoded patiently if strict JSON has nothing against it. Raises JsonInvalid."""
    _check_depth(value)
    _check_characters(value)
    return value


class Unread(msgspec.Struct, frozen=True):
    """An entry of a list that holds what cannot be kept: why, in which field, its start, and a hash of the whole."""

    message: str
    param: str | None
    text: str
    hash: str


def decode_by_row(body: bytes, rows: str) -> dict[str, object]:
    """Parse the object whose entries of `rows` are read one by one; in the place of one that cannot be is an Unread.

    Of a text, what cannot be kept of it is replaced. Raises JsonInvalid where anything else is wrong.
    """
    value = decode_patiently(body)
    entries = value.get(rows) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(entries, list):
        # Strictly, and so with what is wrong of it.
        return as_object(decode_json(body), body)
    return {**check_flaws({**value, rows: []}), rows: [read_entry(entry) for entry in entries]}


def decode_patiently(body: bytes, *, keeps_floats: bool = False) -> object:
    """Return the value in JSON, which holds a stand-in for each value that strict JSON refuses.

    `check_flaws` and `read_entry` find the stand-ins. Raises JsonInvalid where the text is no JSON.
    """
    return _decode(body, _patient_float_decoder if keeps_floats else _patient_decoder)


def read_entry(entry: object) -> object:
    """Return an entry that was decoded patiently, or an Unread in its place.

    Of a text, what cannot be kept is replaced.
    """
    if isinstance(entry, str):
        return _lone.sub("\ufffd", entry.replace("\0", "\ufffd"))
    found = _first_flaw(entry)
    if found is None:
        return entry if not isinstance(entry, dict | list) or _depth(entry) <= MAX_DEPTH - 2 else _unread(entry, None)
    return _unread(entry, found)


def _unread(entry: object, found: _Flaw | None) -> Unread:
    message = f"The row is nested deeper than {MAX_DEPTH - 2} levels." if found is None else found.message
    param = None if found is None else found.path[:MAX_ECHO] or None
    try:
        text = _shown(entry)
    except RecursionError:
        raise _too_deep() from None
    return Unread(message, param, text[:MAX_ECHO], _hash(text))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _shown(value: object) -> str:
    """Return a value as JSON in ASCII, with what strict JSON refuses as it was given."""
    return value.given if isinstance(value, _Refused) else json.dumps(value, default=_shown)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonInvalid(f"The key {json.dumps(name[:MAX_ECHO])} appears twice in one object.")
            seen.add(name)
    return value


def _integer(text: str) -> int:
    if len(text) > 17 or not -MAX_INTEGER <= int(text) <= MAX_INTEGER:
        raise JsonInvalid(f"The integer {text[:20]}{'…' if len(text) > 20 else ''} is outside ±2^53.")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonInvalid(f"The number {text[:20]} is too large.")
    return value


def _number(text: str) -> float:
    value = _float(text)
    # To JSON Schema, and so to a client checked by the OpenAPI document, 20.0 is an integer.
    return int(value) if value.is_integer() and abs(value) <= MAX_INTEGER else value


def _constant(text: str) -> NoReturn:
    raise JsonInvalid(f"{text} is not JSON.")


class _Refused(msgspec.Struct, frozen=True):
    """Stands for a value that strict JSON has not, with what is wrong with it."""

    message: str
    given: str


def _shown_pairs(pairs: list[tuple[str, object]]) -> str:
    return f"{{{', '.join(f'{json.dumps(name)}: {_shown(value)}' for name, value in pairs)}}}"


def _patient(read: Callable[[T], object], show: Callable[[T], str]) -> Callable[[T], object]:
    """Return what reads a value, or says what is wrong with it in its place."""

    def reads(given: T) -> object:
        try:
            return read(given)
        except JsonInvalid as error:
            shown = show(given)
            # Bounded: objects within objects would be written again at each level.
            return _Refused(error.message, shown if len(shown) <= MAX_ECHO else f"{shown[:MAX_ECHO]}{_hash(shown)}")

    return reads


def _strict(parse_float: Callable[[str], float]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_pairs, parse_int=_integer, parse_float=parse_float, parse_constant=_constant, strict=True
    )


_decoder, _float_decoder = _strict(_number), _strict(_float)


def _patient_of(parse_float: Callable[[str], float]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_patient(_pairs, _shown_pairs),
        parse_int=_patient(_integer, str),
        parse_float=_patient(parse_float, str),
        parse_constant=_constant,
        strict=True,
    )


_patient_decoder, _patient_float_decoder = _patient_of(_number), _patient_of(_float)


def _too_deep() -> JsonInvalid:
    return JsonInvalid(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _check_depth(value: dict[str, object]) -> None:
    if _depth(value) > MAX_DEPTH:
        raise _too_deep()


def _depth(value: dict[str, object] | list[object]) -> int:
    depth = 0
    level = [value]
    while level:
        depth += 1
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
    return depth


class _Flaw(NamedTuple):
    """What no database keeps of a value: where it is, and what is wrong with it."""

    path: str
    message: str


def _check_characters(value: object) -> None:
    if (found := _first_flaw(value)) is not None:
        raise JsonInvalid(found.message)


def _first_flaw(value: object) -> _Flaw | None:
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        path, each = waiting.pop()
        if isinstance(each, str):
            if what := _wrong_with(each):
                return _Flaw(path, f"The string at {path[:MAX_ECHO]} holds {what}.")
        elif isinstance(each, dict):
            for name, child in each.items():
                if what := _wrong_with(name):
                    return _Flaw(path, f"A key of {path[:MAX_ECHO] or 'the body'} holds {what}.")
                waiting.append((f"{path}.{name}" if path else name, child))
        elif isinstance(each, list):
            waiting.extend((f"{path}[{position}]", child) for position, child in enumerate(each))
        elif isinstance(each, _Refused):
            return _Flaw(path, each.message)
    return None


_lone = re.compile("[\ud800-\udfff]")


def _wrong_with(text: str) -> str | None:
    """Return what a text holds that PostgreSQL does not keep."""
    if "\0" in text:
        return "a NUL character"
    return "half of a surrogate pair" if not text.isascii() and _lone.search(text) else None
