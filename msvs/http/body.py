"""The strict reader of request bodies and query strings."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import EnumMeta
from typing import TypeVar, cast, get_origin
from urllib.parse import parse_qsl, unquote_plus

import msgspec
import msgspec.inspect
from starlette.types import Message, Receive

from msvs.api.errors import (
    ContentTypeUnsupported,
    ErrorCode,
    InvalidRequest,
    JsonInvalid,
    RequestTimeout,
    RequestTooLarge,
)
from msvs.fields import RequestField, request_fields
from msvs.http.strict_json import MAX_ECHO, Unread, as_object, decode_by_row, decode_json
from msvs.times import read_time

S = TypeVar("S", bound=msgspec.Struct)

JSON = "application/json"
# True in the scope of a request once its body has arrived, where the server says so.
IS_WHOLE = "msvs.is_whole"
MAX_BYTES = 1024 * 1024
MAX_QUERY_PARAMETERS = 50
BODY_SECONDS = 10.0
# Among more entries of an object than this, the one that does not fit is not named.
MAX_ENTRIES_TRIED = 100

OBJECTS = (msgspec.inspect.StructType, msgspec.inspect.DictType)
ANYTHING = msgspec.inspect.AnyType()
LISTS = (msgspec.inspect.ListType, msgspec.inspect.VarTupleType, msgspec.inspect.AnyType)

NOUNS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
    "datetime": "an ISO-8601 time",
}


class ClientGone(Exception):
    """The client hung up before its request was complete."""


# Reading


async def read_body(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    limit: int = MAX_BYTES,
    seconds: float | None = None,
    *,
    is_whole: bool = False,
) -> bytes:
    """Return the whole body within so many seconds, or BODY_SECONDS; for one that `is_whole` no clock is set.

    Raises RequestTooLarge, RequestTimeout, ClientGone.
    """
    seconds = BODY_SECONDS if seconds is None else seconds
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and (len(length) > 10 or int(length) > limit):
        raise too_large(limit)
    message = _checked(await receive()) if is_whole else await _next(receive, seconds)
    if not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        return body
    deadline = asyncio.get_running_loop().time() + seconds
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body", False):
        message = await _next(receive, deadline - asyncio.get_running_loop().time())
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise too_large(limit)
    return b"".join(parts)


async def _next(receive: Receive, seconds: float) -> Message:
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
    except TimeoutError:
        raise RequestTimeout("The body did not arrive in time.") from None
    return _checked(message)


def _checked(message: Message) -> Message:
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message


def too_large(limit: int) -> RequestTooLarge:
    """Return the refusal of a body of more than `limit` bytes."""
    return RequestTooLarge(f"The body is larger than {limit} bytes.")


def parse_body(
    body: bytes, headers: Mapping[bytes, bytes], type: type[msgspec.Struct] | None = None
) -> dict[str, object]:
    """Parse the object that a body holds, for a struct of this type. Raises InvalidRequest of some kind.

    No body, null and an empty list count as an empty object: axios and PHP send these where they have nothing to say.
    Where the struct is `read_by_row`, what no database keeps costs the entry that holds it, and no other.
    """
    if not body:
        return {}
    check_content_type(headers, JSON)
    try:
        value = decode_json(body)
        return {} if value is None or value == [] else as_object(value, body)
    except JsonInvalid:
        rows: str | None = getattr(type, "read_by_row", None)
        if rows is None:
            raise
        return decode_by_row(body, rows)


def check_content_type(headers: Mapping[bytes, bytes], wanted: str) -> None:
    """Refuse a body of another type, character set or coding. Raises ContentTypeUnsupported."""
    if headers.get(b"content-type") == wanted.encode() and b"content-encoding" not in headers:
        return
    kind, *parameters = headers.get(b"content-type", b"").decode("latin-1").lower().split(";")
    charsets = {parameter.strip().replace('"', "") for parameter in parameters} - {""}
    encoding = headers.get(b"content-encoding", b"identity").lower()
    if kind.strip() != wanted or charsets - {"charset=utf-8"} or encoding != b"identity":
        raise ContentTypeUnsupported(f"Send the body as Content-Type: {wanted}, in UTF-8 and not compressed.")


# Types


def convert(value: Mapping[str, object], type: type[S]) -> S:
    """`value` as a struct. Raises InvalidRequest with the code and the dotted `param`.

    Where the struct names a list as `read_by_row`, an entry of that which cannot be read is there as its refusal, whose
    `param` is of the entry.
    """
    rows: str | None = getattr(type, "read_by_row", None)
    entries = value.get(rows) if rows is not None else None
    if rows is not None and isinstance(entries, list):
        whole = convert({**value, rows: []}, type) if entries else _convert(value, type)
        (field,) = [each for each in msgspec.structs.fields(type) if each.encode_name == rows]
        kind = _entry_type(field.type)
        return msgspec.structs.replace(whole, **{field.name: [_read_row(each, kind) for each in entries]})
    return _convert(value, type)


def _read_row(value: object, type: type) -> object:
    if isinstance(value, Unread):
        return value.text if type is str else InvalidRequest(value.message, param=value.param)
    if type is str:
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()[:MAX_ECHO]
    if not isinstance(value, dict):
        return InvalidRequest("A row must be an object.")
    try:
        return _convert(value, type)
    except InvalidRequest as error:
        return error


def _entry_type(kind: object) -> type:
    """Return the type that the entries of a list are of."""
    while not isinstance(kind, type):
        kind = typing.get_args(kind)[0]
    return kind


def _convert(value: Mapping[str, object], type: type[S]) -> S:
    has_objects = False
    while True:
        try:
            return msgspec.convert(value, type, strict=True)
        except msgspec.ValidationError as error:
            # Its grammar of times is narrower than ours, and an empty list is PHP's only spelling of an empty object.
            again: object = _with_time(str(error), value)
            if again is None and not has_objects:
                again, has_objects = _with_objects(value, msgspec.inspect.type_info(type)), True
            if again is None:
                raise _explain(str(error), value, type) from None
            value = cast("Mapping[str, object]", again)


def _with_time(text: str, value: Mapping[str, object]) -> Mapping[str, object] | None:
    """Return the value with the time that msgspec could not read as it writes one; None if that is none."""
    found = _located(text)
    if found is None or "RFC3339" not in text or found["path"] is None or "..." in found["path"]:
        return None
    # A name may hold brackets itself, such as created_at[gte].
    name = found["path"].lstrip(".")
    steps = [name] if name in value else _step(found["path"])
    *parents, last = [int(each[1:-1]) if each[0] == "[" else each for each in steps]
    changed = held = copy.deepcopy(dict(value))
    for step in parents:
        held = cast("dict[str | int, object]", held)[step]  # type: ignore[assignment]
    try:
        held[last] = read_time(str(held[last])).isoformat()  # type: ignore[index]
    except ValueError:
        return None
    return changed


def _kinds(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """Yield the types that a type allows, without what is told of them."""
    if isinstance(kind, msgspec.inspect.Metadata):
        yield from _kinds(kind.type)
    elif isinstance(kind, msgspec.inspect.UnionType):
        for each in kind.types:
            yield from _kinds(each)
    else:
        yield kind


def _with_objects(value: object, kind: msgspec.inspect.Type) -> object:
    """Return the value with an empty object for each empty list where the type has an object and no list."""
    kinds = tuple(_kinds(kind))
    if value == [] and not any(isinstance(each, LISTS) for each in kinds):
        return {} if any(isinstance(each, OBJECTS) for each in kinds) else value
    for each in kinds:
        if isinstance(value, dict) and isinstance(each, msgspec.inspect.StructType):
            within = {field.encode_name: field.type for field in each.fields}
            return {name: _with_objects(child, within.get(name, ANYTHING)) for name, child in value.items()}
        if isinstance(value, dict) and isinstance(each, msgspec.inspect.DictType):
            return {name: _with_objects(child, each.value_type) for name, child in value.items()}
        if isinstance(value, list) and isinstance(each, msgspec.inspect.ListType):
            return [_with_objects(child, each.item_type) for child in value]
    return value


_located = re.compile(r"(?P<what>.*?)(?: - at `(?P<key>key` in `)?\$(?P<path>[^`]*)`)?", re.DOTALL).fullmatch
# The field's name is the caller's, and may itself look like a place.
_step = re.compile(r"[^.\[\]]+|\[[0-9]+\]").findall
_unknown = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL).fullmatch
_missing = re.compile(r"Object missing required field `(.*)`").fullmatch
_mistyped = re.compile(r"Expected `(.+?)`, got `(.+?)`").fullmatch
_bounded = re.compile(r"Expected `(\w+)`(?: of length)? (>=|<=|>|<) (\S+)").fullmatch
_compared = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def _explain(text: str, value: Mapping[str, object], type: type[msgspec.Struct]) -> InvalidRequest:
    if name := _unknown(text):
        param = _joined((name["path"] or "").removeprefix(".")[:MAX_ECHO], name[1][:MAX_ECHO])
        return InvalidRequest(f"Unknown parameter: {param}.", code=ErrorCode.PARAMETER_UNKNOWN, param=param)
    found = _located(text)
    assert found is not None
    what = found["what"]
    path = (found["path"] or "").removeprefix(".")
    if name := _missing(what):
        param = _joined(path, name[1])
        return InvalidRequest(f"Missing required parameter: {param}.", code=ErrorCode.PARAMETER_MISSING, param=param)
    param = _name_entry(path, value, type)
    if kinds := _mistyped(what):
        expected = " or ".join(NOUNS.get(kind, kind) for kind in kinds[1].split(" | ") if kind != "null")
        return InvalidRequest(f"{param} must be {expected}, not {NOUNS.get(kinds[2], kinds[2])}.", param=param)
    if bound := _bounded(what):
        count = f"{_compared[bound[2]]} {bound[3]}"
        unit = {"str": " characters", "array": " entries", "object": " entries"}.get(bound[1])
        rule = f"have {count}{unit}" if unit else f"be {count}"
        return InvalidRequest(f"{param} must {rule}.", code=ErrorCode.PARAMETER_OUT_OF_RANGE, param=param)
    if "datetime" in what:
        return InvalidRequest(
            f"{param} must be an ISO-8601 time with an offset, such as 2026-05-01T20:00:00-04:00.", param=param
        )
    if what.startswith("Invalid enum value"):
        choices = _choices(type, param)
        return InvalidRequest(f"{param} must be one of: {', '.join(choices)}.", param=param)
    return InvalidRequest(f"{param}: {what}.", param=param)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _name_entry(path: str, value: Mapping[str, object], type: type[msgspec.Struct]) -> str:
    """Return the path with the name of the object's entry that does not fit; msgspec leaves it out."""
    head, found, tail = path.partition("[...]")
    if not found:
        return path
    entries = value.get(head)
    if isinstance(entries, dict) and len(entries) <= MAX_ENTRIES_TRIED:
        for name, entry in entries.items():
            try:
                msgspec.convert({**value, head: {name: entry}}, type, strict=True)
            except msgspec.ValidationError:
                return f"{head}.{name[:MAX_ECHO]}{tail}"
    return head


def _choices(type: type[msgspec.Struct], param: str) -> list[str]:
    kinds = [field.kind for field in request_fields(type) if field.encoded_name == param]
    return [str(choice) for kind in kinds for choice in _members(kind)]


def _members(kind: type) -> Sequence[object]:
    return list(kind) if isinstance(kind, EnumMeta) else typing.get_args(kind)


# Query strings


BOOLEANS = {"true": True, "false": False}
_integer = re.compile(r"-?[0-9]+").fullmatch
# An integer of as many digits is read, and of as many as the largest one that its parameter may be.
INTEGER_DIGITS = 9
# An entry of an object, such as metadata[order].
_entry = re.compile(r"([^\[\]]+)\[(.+)\]", re.DOTALL).fullmatch


def parse_query(query: bytes, type: type[S]) -> S:
    """Parse the parameters of a query string as a struct. Raises InvalidRequest with `param`."""
    if not query:
        return convert({}, type)
    fields = {field.encoded_name: field for field in request_fields(type)}
    values: dict[str, object] = {}
    for name, text in read_pairs(query):
        known = fields.get(name)
        if known is None and (of := _object_of(name, fields)) is not None:
            cast("dict[str, str]", values.setdefault(of[0], {}))[of[1]] = text
            continue
        values[name] = text
        if known is not None and known.kind is int:
            values[name] = _read_integer(text, known)
        if known is not None and known.kind is bool:
            if text not in BOOLEANS:
                raise InvalidRequest(f"{name} must be true or false.", param=name)
            values[name] = BOOLEANS[text]
        if known is not None and known.is_list:
            values[name] = text.split(",")
    return convert(values, type)


def _read_integer(text: str, field: RequestField) -> int:
    """Read an integer within the bounds that are declared of its parameter. Raises InvalidRequest."""
    name = field.encoded_name
    least, most = field.bounds
    digits = max(INTEGER_DIGITS, len(str(most or 0)))
    if not _integer(text) or len(text.removeprefix("-")) > digits:
        raise InvalidRequest(f"{name} must be an integer of at most {digits} digits.", param=name)
    value = int(text)
    if (least is not None and value < least) or (most is not None and value > most):
        ends = " and ".join(
            f"{word} {end}" for word, end in (("at least", least), ("at most", most)) if end is not None
        )
        raise InvalidRequest(f"{name} must be {ends}.", param=name, code=ErrorCode.PARAMETER_OUT_OF_RANGE)
    return value


def _object_of(name: str, fields: Mapping[str, RequestField]) -> tuple[str, str] | None:
    """Return the object and the key that a name such as `metadata[order]` is of; None if it is of no object."""
    found = _entry(name)
    if found is None or found[1] not in fields or get_origin(fields[found[1]].kind) is not dict:
        return None
    return found[1], found[2]


def read_pairs(query: bytes) -> Iterator[tuple[str, str]]:
    """Yield the parameters of a query string, each given once. Raises InvalidRequest with `param`."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_PARAMETERS
        )
    except UnicodeDecodeError:
        raise InvalidRequest("The query string is not percent-encoded UTF-8.") from None
    except ValueError:
        raise InvalidRequest(f"The query string holds more than {MAX_QUERY_PARAMETERS} parameters.") from None
    seen: set[str] = set()
    for name, text in pairs:
        if name in seen:
            raise InvalidRequest(f"{name[:MAX_ECHO]} is given more than once.", param=name[:MAX_ECHO])
        if "\0" in text:
            raise InvalidRequest(f"{name[:MAX_ECHO]} holds a NUL character.", param=name[:MAX_ECHO])
        seen.add(name)
        yield name, text


def tell_of_plus(error: InvalidRequest, query: bytes) -> None:
    """Say in a refusal that a plus sign, bare in the query's value of its parameter, was read as a space."""
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if b"+" in value and unquote_plus(name.decode("latin-1")) == error.param:
            error.message += " A + in a query stands for a space: write it as %2B."


def _shown(name: str) -> str:
    return json.dumps(name[:MAX_ECHO])
