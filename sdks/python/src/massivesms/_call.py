"""One call: its request, and what is to be done after each try. It neither sends nor sleeps."""

from __future__ import annotations

import json
import logging
import math
import random
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from massivesms._config import Settings, check_times
from massivesms._model import Model, Response
from massivesms._options import NotGiven, RequestOptions
from massivesms.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ConfigurationError,
    InvalidResponseError,
    MassiveSMSError,
    from_answer,
)

RETRIED = frozenset((408, 429, 500, 501, 502, 503, 504))
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
LONGEST_RETRY_AFTER = 60
# All tries and waits of a call together, where no deadline is given; or one try's time, where that is longer.
LONGEST_CALL = 120.0
RETRY_AFTER_JITTER = 0.5
LONGEST_KEY = 255
# What the caller's headers do not replace.
OWN_HEADERS = frozenset(("authorization", "content-type", "idempotency-key", "msvs-retry-count"))

log = logging.getLogger("massivesms")
log.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Answer:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Call:
    """One call and its tries."""

    def __init__(
        self,
        settings: Settings,
        method: str,
        path: str,
        *,
        ids: Mapping[str, str],
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        options: RequestOptions,
        started: float,
    ) -> None:
        self.method = method
        self.path = fill_in(path, ids)
        self.url = settings.base_url + self.path + query_string(query)
        self.content = None if body is None else json.dumps(encode(body), ensure_ascii=False, allow_nan=False).encode()
        self.max_retries = options.get("max_retries", settings.max_retries)
        self.timeout = options.get("timeout", settings.timeout)
        deadline = options.get("deadline", settings.deadline)
        check_options(options, self.timeout, deadline, self.max_retries)
        self.deadline = max(LONGEST_CALL, self.timeout) if deadline is None else deadline
        self.started = started
        self.tries = 0
        self.result: dict[str, Any] = {}
        self.response: Response | None = None
        self.key: str | None = None
        self.headers = merged(settings.headers, options.get("headers", {}))
        if self.content is not None:
            self.headers["Content-Type"] = "application/json"
        if method in ("POST", "DELETE"):
            self.key = read_idempotency_key(options.get("idempotency_key"))
            self.headers["Idempotency-Key"] = self.key
        self._secret = settings.api_key

    def begin(self, now: float) -> float:
        """Count a try and return the seconds it may take."""
        self.tries += 1
        if self.tries > 1:
            self.headers["MSVS-Retry-Count"] = str(self.tries - 1)
        return max(min(self.timeout, self.deadline - (now - self.started)), 0.001)

    def settle(self, outcome: Answer | MassiveSMSError, now: float) -> float | None:
        """Keep the result and return None, or return the seconds to wait before the next try, or raise."""
        error = self._judge(outcome) if isinstance(outcome, Answer) else outcome
        if error is None:
            return None
        error.idempotency_key, error.tries = self.key, self.tries
        wait = self._wait(error)
        code = (error.code or error.status) if isinstance(error, APIStatusError) else type(error).__name__
        if wait is None or self.tries > self.max_retries or self._is_late(now + wait):
            log.info("%s %s failed: %s after %d tries", self.method, self.path, code, self.tries)
            raise error
        log.info("%s %s failed: %s; trying again in %.2f s", self.method, self.path, code, wait)
        return wait

    def _judge(self, answer: Answer) -> MassiveSMSError | None:
        decoded: object = None
        try:
            decoded = json.loads(answer.body)
        except (ValueError, RecursionError):
            decoded = None
        if not 200 <= answer.status < 300:
            error = from_answer(answer.status, answer.headers, answer.body, decoded)
            error.message = error.message.replace(self._secret, "[API key]")
            return error
        if not isinstance(decoded, dict):
            return InvalidResponseError(f"The server answered {answer.status} with a body that is no JSON object.")
        self.result = decoded
        self.response = Response(answer.status, answer.headers, answer.body, self.tries, self.key)
        log.debug("%s %s: %d, request %s", self.method, self.path, answer.status, self.response.request_id)
        return None

    def _wait(self, error: MassiveSMSError) -> float | None:
        retry_after = None
        if isinstance(error, APIStatusError):
            if error.status not in RETRIED and (error.status, error.code) != (409, "idempotency_key_in_use"):
                return None
            retry_after = error.retry_after
        elif not isinstance(error, APIConnectionError):
            return None
        if retry_after is None:
            longest = min(FIRST_WAIT * 2.0 ** min(self.tries - 1, 16), LONGEST_WAIT)
            return longest * (0.5 + random.random() / 2)  # noqa: S311
        if retry_after > LONGEST_RETRY_AFTER:
            return None
        return retry_after + random.random() * RETRY_AFTER_JITTER  # noqa: S311

    def _is_late(self, then: float) -> bool:
        return then - self.started >= self.deadline


def timed_out(timeout: float) -> APITimeoutError:
    """Return the error of a try that took too long."""
    return APITimeoutError(f"No answer came within {timeout:g} seconds.")


def check_options(options: RequestOptions, timeout: float, deadline: float | None, max_retries: int) -> None:
    """Raise ConfigurationError for what a call cannot have."""
    unknown = options.keys() - RequestOptions.__annotations__.keys()
    if unknown:
        raise ConfigurationError(f"A call has no option {', '.join(sorted(unknown))}.")
    check_times(timeout, deadline, max_retries)


def merged(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return headers with the caller's in place of the client's, in any case of letters; the client's key stays."""
    lower = {name.lower() for name in given}
    kept = {name: value for name, value in own.items() if name == "Authorization" or name.lower() not in lower}
    return kept | {name: value for name, value in given.items() if name.lower() not in OWN_HEADERS}


def read_idempotency_key(key: str | None) -> str:
    """Return the caller's key, or a fresh one. Raises ConfigurationError."""
    if key is None:
        return str(uuid.uuid4())
    if not (1 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise ConfigurationError("An idempotency key is 1 to 255 printable ASCII characters.")
    return key


def fill_in(path: str, ids: Mapping[str, str]) -> str:
    """Return a path with its ids. Raises ConfigurationError for one that would lead elsewhere."""
    for name, value in ids.items():
        if not isinstance(value, str) or value in ("", ".", ".."):
            raise ConfigurationError(f"{name} is not an id: {value!r}")
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def query_string(query: Mapping[str, Any]) -> str:
    """Return the query of what was given, with its question mark."""
    given: dict[str, Any] = {}
    for name, value in query.items():
        # A map is asked for key by key, as in metadata[order]=1042.
        given |= (
            {f"{name}[{key}]": each for key, each in value.items()} if isinstance(value, Mapping) else {name: value}
        )
    parts = [
        f"{quote(name, safe='')}={quote(_text(value), safe='')}"
        for name, value in given.items()
        if value is not None and not isinstance(value, NotGiven)
    ]
    return "?" + "&".join(parts) if parts else ""


def encode(value: Any) -> Any:
    """Return a value as JSON can write it, without what was not given. Raises ConfigurationError."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): encode(each) for key, each in value.items() if not isinstance(each, NotGiven)}
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigurationError("A number is finite.")
        return value
    if isinstance(value, datetime):
        return moment(value)
    # Bytes are a collection too, and would be sent as numbers.
    if isinstance(value, Collection | Iterator) and not isinstance(value, bytes | bytearray | memoryview):
        return [encode(each) for each in value]
    raise ConfigurationError(f"A {type(value).__name__} cannot be sent.")


def moment(value: datetime) -> str:
    """Return a time as the wire has it. Raises ConfigurationError for one without an offset."""
    if value.utcoffset() is None:
        raise ConfigurationError("A time has an offset: give datetime(…, tzinfo=…).")
    return value.isoformat().replace("+00:00", "Z")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(_text(each) for each in value)
    return moment(value) if isinstance(value, datetime) else str(value)
