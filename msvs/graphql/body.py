"""Reading a request: strict JSON, whole and in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msvs.api.errors import (
    ErrorCode,
    InvalidRequest,
    JsonInvalid,
    RequestTooLarge,
)
from msvs.http.body import JSON, MAX_ECHO, as_object, check_content_type, decode_json

MAX_BYTES = 256 * 1024
MAX_DOCUMENT_BYTES = 64 * 1024

FIELDS = frozenset(("query", "id", "variables", "operationName", "extensions"))


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks to run: the document itself, or the id of one that is kept on the server."""

    query: str | None
    id: str | None
    variables: dict[str, object]
    operation_name: str | None


def parse_request(body: bytes, headers: Mapping[bytes, bytes]) -> Request:
    """Parse the request in a body. Raises InvalidRequest of some kind."""
    check_content_type(headers, JSON)
    return read_request(parse_json(body))


def read_request(fields: dict[str, object]) -> Request:
    """Read the request in a JSON object. Raises InvalidRequest of some kind."""
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
    """Parse the object in strict JSON: no duplicate keys, no NUL or lone surrogates. Raises JsonInvalid."""
    value = decode_json(body, keeps_floats=True)
    if isinstance(value, list):
        raise JsonInvalid("One operation a request: batches are not taken.", code=ErrorCode.BATCH_REFUSED)
    return as_object(value, body)


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
