"""Read a request body: strict JSON, complete and in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from msvs.api.errors import (
    ErrorCode,
    InvalidRequest,
    JsonInvalid,
    RequestTooLarge,
)
from msvs.http.body import JSON, check_content_type, read_pairs
from msvs.http.strict_json import MAX_ECHO, as_object, check_flaws, decode_json, decode_patiently

MAX_BYTES = 256 * 1024
MAX_DOCUMENT_BYTES = 64 * 1024

FIELDS = frozenset(("query", "id", "variables", "operationName", "extensions"))


@dataclass(frozen=True, slots=True)
class Request:
    """The request of a client: a document, or the id of one that is stored on the server.

    `is_hashed` says that the hash of an automatic persisted query came in its place. `flaw` is what strict JSON refuses
    in the variables: it refuses the request, except where it costs a row of a bulk mutation alone.
    """

    query: str | None
    id: str | None
    variables: dict[str, object]
    operation_name: str | None
    is_hashed: bool = False
    flaw: JsonInvalid | None = None


def parse_request(body: bytes, headers: Mapping[bytes, bytes]) -> Request:
    """Parse the request in a body. Raises InvalidRequest of some kind."""
    check_content_type(headers, JSON)
    try:
        return read_request(parse_json(body))
    except JsonInvalid as flaw:
        if flaw.code == ErrorCode.BATCH_REFUSED:
            raise
        return _read_flawed(body, flaw)


def _read_flawed(body: bytes, flaw: JsonInvalid) -> Request:
    """Read a request whose variables hold the flaw. Raises the flaw where it is elsewhere."""
    fields = decode_patiently(body, keeps_floats=True)
    variables = fields.get("variables") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(variables, dict):
        raise flaw
    request = read_request(check_flaws({**fields, "variables": {}}))
    return replace(request, variables=variables, flaw=flaw)


def read_request(fields: dict[str, object]) -> Request:
    """Read the request in a JSON object. Raises InvalidRequest of some kind."""
    for name in fields:
        if name not in FIELDS:
            raise InvalidRequest(
                f"Unknown parameter: {name[:MAX_ECHO]}.", code=ErrorCode.PARAMETER_UNKNOWN, param=name[:MAX_ECHO]
            )
    query, id = _text(fields, "query"), _text(fields, "id")
    extensions = _object(fields, "extensions")
    is_hashed = query is None and isinstance(extensions.get("persistedQuery"), dict)
    if query is None and id is None and not is_hashed:
        raise InvalidRequest("Missing required parameter: query.", code=ErrorCode.PARAMETER_MISSING, param="query")
    if query is not None and id is not None:
        raise InvalidRequest("Give either query or id.", param="id")
    if query is not None and (len(query) > MAX_DOCUMENT_BYTES or len(query.encode()) > MAX_DOCUMENT_BYTES):
        raise RequestTooLarge(
            f"The document is larger than {MAX_DOCUMENT_BYTES} bytes.", code=ErrorCode.DOCUMENT_TOO_LARGE
        )
    variables = _object(fields, "variables")
    return Request(query, id, variables, _text(fields, "operationName") or None, is_hashed)


def parse_query_string(query: bytes) -> Request:
    """Parse the request in a query string, `variables` and `extensions` as JSON. Raises InvalidRequest of some kind."""
    fields: dict[str, object] = dict(read_pairs(query))
    for name in ("variables", "extensions"):
        text = fields.get(name)
        if isinstance(text, str):
            value = decode_json(text.encode(), keeps_floats=True) if text else None
            fields[name] = value if value is None else as_object(value, text.encode())
    return read_request({name: value for name, value in fields.items() if value != ""})


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
    if value is None or value == []:
        return {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object.", param=name)
    return value
