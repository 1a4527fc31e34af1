"""Reading a request: strict JSON, whole and in time."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from starlette.types import Receive

from msvs.api.errors import (
    ContentTypeUnsupported,
    ErrorCode,
    InvalidRequest,
    JsonInvalid,
    RequestTimeout,
    RequestTooLarge,
)

MAX_BYTES = 256 * 1024
MAX_DOCUMENT_BYTES = 64 * 1024
MAX_DEPTH = 32
MAX_INTEGER = 2**53
BODY_SECONDS = 10.0
MAX_ECHO = 80

FIELDS = frozenset(("query", "id", "variables", "operationName", "extensions"))


class ClientGone(Exception):
    """The client hung up before its request was complete."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks to run: the document itself, or the id of one that is kept on the server."""

    query: str | None
    id: str | None
    variables: dict[str, object]
    operation_name: str | None


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int = MAX_BYTES) -> bytes:
    """The whole body, within 10 s. Raises RequestTooLarge, RequestTimeout, ClientGone."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and (len(length) > 10 or int(length) > limit):
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > limit:
                    raise _too_large(limit)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {BODY_SECONDS:g} seconds.") from None


def parse_request(body: bytes, headers: Mapping[bytes, bytes]) -> Request:
    """The request in a body. Raises InvalidRequest of some kind."""
    kind, *parameters = headers.get(b"content-type", b"").decode("latin-1").lower().split(";")
    charsets = {parameter.strip().replace('"', "") for parameter in parameters} - {""}
    encoding = headers.get(b"content-encoding", b"identity").lower()
    if kind.strip() != "application/json" or charsets - {"charset=utf-8"} or encoding != b"identity":
        raise ContentTypeUnsupported("Send the body as Content-Type: application/json, in UTF-8 and not compressed.")
    return read_request(parse_json(body))


def read_request(fields: dict[str, object]) -> Request:
    """The request in a JSON object. Raises InvalidRequest of some kind."""
    for name in fields:
        if name not in FIELDS:
            raise InvalidRequest(
                f"Unknown parameter: {name[:MAX_ECHO]}.", code=ErrorCode.PARAMETER_UNKNOWN, param=name[:MAX_ECHO]
            )
    query, id = _text(fields, "query"), _text(fields, "id")
    if query is None and id is None:
        raise InvalidRequest("Missing required parameter: query.", code=ErrorCode.PARAMETER_MISSING, param="query")
    if query is not None and id is not None:
        raise InvalidRequest("Give either query or id.", param="id")
    if query is not None and (len(query) > MAX_DOCUMENT_BYTES or len(query.encode()) > MAX_DOCUMENT_BYTES):
        raise RequestTooLarge(
            f"The document is larger than {MAX_DOCUMENT_BYTES} bytes.", code=ErrorCode.DOCUMENT_TOO_LARGE
        )
    variables = _object(fields, "variables")
    _object(fields, "extensions")
    return Request(query, id, variables, _text(fields, "operationName") or None)


def parse_json(body: bytes) -> dict[str, object]:
    """The object in strict JSON: no duplicate keys, no NUL or lone surrogates. Raises JsonInvalid."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise JsonInvalid(f"The body is not valid UTF-8 at byte {error.start}.") from None
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise JsonInvalid(
            f"The body is not valid JSON: {error.msg} at line {error.lineno} column {error.colno}."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if isinstance(value, list):
        raise JsonInvalid("One operation a request: batches are not taken.", code=ErrorCode.BATCH_REFUSED)
    if not isinstance(value, dict):
        raise JsonInvalid("The body must be a JSON object.")
    _check(value)
    return value


def _check(value: dict[str, object]) -> None:
    level: list[object] = [value]
    for _ in range(MAX_DEPTH):
        children: list[object] = []
        for each in level:
            if isinstance(each, dict):
                children += each
                children += each.values()
            elif isinstance(each, list):
                children += each
            elif isinstance(each, str) and ("\0" in each or (not each.isascii() and _lone(each))):
                raise JsonInvalid("A string holds a NUL character or half of a surrogate pair.")
        if not children:
            return
        level = children
    raise _too_deep()


def _text(fields: dict[str, object], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name} must be a string.", param=name)
    return value


def _object(fields: dict[str, object], name: str) -> dict[str, object]:
    value = fields.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object.", param=name)
    return value


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise JsonInvalid("A key appears twice in one object.")
    return value


def _integer(text: str) -> int:
    if len(text) > 17 or not -MAX_INTEGER <= int(text) <= MAX_INTEGER:
        raise JsonInvalid(f"The integer {text[:20]} is outside ±2^53.")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise JsonInvalid(f"The number {text[:20]} is too large.")
    return value


def _constant(text: str) -> NoReturn:
    raise JsonInvalid(f"{text} is not JSON.")


_decoder = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)
_lone = re.compile("[\ud800-\udfff]").search


def _too_deep() -> JsonInvalid:
    return JsonInvalid(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {limit} bytes.")
