"""Call a service's HTTP API with time and size limits; map failures and error responses to ConnectorError."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from msvs.connectors.base import (
    BadAnswer,
    Connection,
    ConnectorError,
    CredentialsRefused,
    Gone,
    InvalidSetting,
    RateLimited,
    Unavailable,
)
from msvs.http_client import FailureKind, HttpAnswer, HttpError, parse_retry_after

T = TypeVar("T")
Query = Mapping[str, str | int] | Sequence[tuple[str, str | int]]

MAX_BYTES = 16 * 1024 * 1024
# Maximum length of a field value, in characters.
MAX_VALUE = 1000
TOTAL_SECONDS = 30.0
CONNECT_SECONDS = 10.0
# Default delay after a 429 without Retry-After.
RETRY_SECONDS = 60.0
MAX_RETRY_SECONDS = 24 * 3600.0

# Shopify sends decimal seconds, such as 2.0.
_decimal = re.compile(r"[0-9]{1,10}[.][0-9]{1,6}", re.ASCII).fullmatch


class RequestRefused(BadAnswer):
    """The service rejected the request with a client error (4xx) that has no meaning of its own here."""


@dataclass(frozen=True, slots=True)
class Concern:
    """The settings to name in errors: `credentials` on 401 or 403, `scope` on 404, and `address` on network errors.

    `thing` describes the scope in error messages, such as "The tag".
    """

    credentials: str | None = None
    scope: str | None = None
    thing: str = "What was asked for"
    address: str | None = None


class Api:
    """A service's API at one origin. Error messages name the service but never quote its responses."""

    def __init__(self, connection: Connection, label: str, origin: str, concern: Concern) -> None:
        self._connection = connection
        self._label = label
        self._origin = (connection.origin or origin).rstrip("/")
        self._concern = concern

    def about(self, *, scope: str | None, thing: str) -> Api:
        """Return the same API with another scope, so that a 404 names that setting and thing."""
        concern = replace(self._concern, scope=scope, thing=thing)
        return Api(self._connection, self._label, self._origin, concern)

    async def get(self, path: str, type: type[T], *, query: Query = (), headers: Mapping[str, str]) -> T:
        """Send a GET and return the decoded response. Raises ConnectorError."""
        return self.decode(await self.send("GET", path, query=query, headers=headers), type)

    async def post(
        self, path: str, type: type[T], body: object, *, headers: Mapping[str, str], is_read: bool = False
    ) -> T:
        """Post JSON and return the decoded response; an `is_read` request may be resent. Raises ConnectorError."""
        return self.decode(await self.send("POST", path, json=body, headers=headers, is_read=is_read), type)

    async def post_form(self, path: str, type: type[T], form: Mapping[str, str]) -> T:
        """Post a form without resending it, and return the decoded response. Raises ConnectorError."""
        body = urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.decode(await self._request("POST", path, body, headers, is_read=False), type)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        json: object = None,
        headers: Mapping[str, str],
        is_read: bool = False,
    ) -> HttpAnswer:
        """Send a request and return its 2xx response. Raises ConnectorError for anything else."""
        if query:
            path += f"?{urlencode(query)}"
        body = None if json is None else msgspec.json.encode(json)
        sent = {**headers, "Accept": "application/json"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        return await self._request(method, path, body, sent, is_read=is_read or method == "GET")

    async def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, is_read: bool
    ) -> HttpAnswer:
        try:
            answer = await self._connection.http.request(
                method,
                self._origin + path,
                body=body,
                headers=headers,
                total_seconds=TOTAL_SECONDS,
                connect_seconds=CONNECT_SECONDS,
                repeatable=is_read,
                max_bytes=MAX_BYTES,
            )
        except HttpError as error:
            raise explain_failure(error, self._label, address=self._concern.address) from None
        if not 200 <= answer.status < 300:
            raise explain_answer(answer, self._label, self._concern, now=self._connection.now())
        return answer

    def decode(self, answer: HttpAnswer, type: type[T]) -> T:
        """Decode a JSON response as `type`. Raises BadAnswer if it does not match."""
        if answer.truncated:
            raise BadAnswer(f"The response of {self._label} is larger than {MAX_BYTES >> 20} MB.")
        try:
            return msgspec.json.decode(answer.body, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise BadAnswer(f"The response of {self._label} cannot be read.") from None


def explain_failure(error: HttpError, label: str, *, address: str | None = None) -> ConnectorError:
    """Map a request without a response to a ConnectorError; `address` is the setting that holds the host, if any."""
    if error.kind is FailureKind.ADDRESS_REFUSED:
        return InvalidSetting(error.message, setting=address)
    return Unavailable(f"{label} cannot be reached: {error.message}", setting=address)


def explain_answer(answer: HttpAnswer, label: str, concern: Concern, *, now: datetime) -> ConnectorError:
    """Map a response other than 2xx to a ConnectorError."""
    status = answer.status
    if status == 429:
        wait = retry_after(answer.headers, now=now)
        return RateLimited(f"{label} limits requests for now.", retry_after=RETRY_SECONDS if wait is None else wait)
    if status in (401, 402, 403, 407):
        return CredentialsRefused(f"{label} refuses the credentials ({status}).", setting=concern.credentials)
    if status in (404, 410):
        place = f"the{label.removeprefix('The')}" if label.startswith("The ") else label
        return Gone(f"{concern.thing} was not found at {place} ({status}).", setting=concern.scope)
    if status >= 500 or status in (408, 423, 425):
        wait = retry_after(answer.headers, now=now)
        return Unavailable(f"{label} is temporarily unavailable ({status}).", retry_after=wait)
    return RequestRefused(f"{label} refuses the request ({status}).", setting=concern.scope)


def retry_after(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return the delay of a Retry-After header in seconds, between one second and a day, or None without one."""
    text = headers.get("Retry-After", "").strip()
    wanted = float(text) if _decimal(text) else parse_retry_after(text, now)
    return None if wanted is None else min(max(wanted, 1.0), MAX_RETRY_SECONDS)


def as_text(value: object) -> str:
    """Return a JSON value as trimmed text for a field; empty if the value has no text form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, list):
        return ", ".join(filter(None, map(as_text, value)))
    if not isinstance(value, str | int | float):
        return ""
    # PostgreSQL text cannot hold NUL.
    return str(value).replace("\0", "")[:MAX_VALUE].strip()


def texts(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return the values as text with `prefix` before their keys, without blank ones."""
    found = {f"{prefix}{key}": as_text(value) for key, value in values.items()}
    return {key: text for key, text in found.items() if text}


def read_time(text: object) -> datetime | None:
    """Parse a service's timestamp to UTC, or return None if it is not one. Without an offset, UTC is assumed."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return None
