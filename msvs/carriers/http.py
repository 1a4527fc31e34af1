"""Shared code of HTTP carriers: one request that is never repeated, and the interpretation of its answer."""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Annotated, TypeVar
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import msgspec

from msvs.address_policy import AddressPolicy
from msvs.carriers.config import CarrierConfig
from msvs.carriers.protocol import (
    Callback,
    CallbackRefused,
    Capability,
    Carrier,
    Outcome,
    Refused,
    Submission,
    Unknown,
)
from msvs.http_client import HttpAnswer, HttpClient, HttpError, parse_retry_after
from msvs.settings import SettingsError

T = TypeVar("T")

CONNECT_SECONDS = 5.0
# Of a batch, none is begun after so long: with the longest time-out, all have an outcome well within the lease.
BATCH_SECONDS = 25.0
# After so many without an answer of the carrier's in a row, the rest of a batch is not begun: each could be lost.
MAX_LOST = 10
# A carrier that says how long it is busy is left alone, at most for so long at a time.
MIN_HOLD_SECONDS = 0.1
MAX_HOLD_SECONDS = 60.0
# One that is to be left alone for so long is as good as away.
LONG_HOLD_SECONDS = 5.0
MAX_FIELDS = 200
RETRY_SECONDS = 1.0
MAX_RETRY_SECONDS = 3600.0
# Telnyx and Vonage both ask that older signatures be refused.
TOLERANCE_SECONDS = 300

REJECTED = "carrier_rejected"
SENDER = "sender_rejected"
UNREACHABLE = "unreachable"

# These may come from a server that never saw the request, or from one that had begun on it.
_AMBIGUOUS = frozenset((408, 499))
# No message is at fault: the credentials, the account or the address are.
_FAULTS = frozenset((401, 402, 403, 404, 405, 407))

_hex_id = re.compile(r"[0-9a-f]{32}").fullmatch
_seconds = re.compile(r"[0-9]{1,10}", re.ASCII).fullmatch
# A sender of fewer digits is a short code; a handset's phone gets its plus where it is looked for.
_digits = re.compile(r"[0-9]{9,15}", re.ASCII).fullmatch


class HttpOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The options that every carrier by HTTP takes.

    `rate` is in messages a second; `timeout` is how long, in seconds, an answer is waited for; `base_url` is https, or
    http on this machine.
    """

    base_url: str
    rate: Annotated[float, msgspec.Meta(gt=0)] | None = None
    timeout: Annotated[float, msgspec.Meta(gt=0, le=15)] = 10.0

    def __repr__(self) -> str:
        """Show the name alone, as options hold secrets."""
        return f"{type(self).__name__}(…)"


class Window:
    """The number of simultaneous requests, over all batches.

    Half as many after the carrier was too busy, and one more for each round that it was not.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = float(most)
        self._under_way = 0
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._under_way < int(self.size))
            self._under_way += 1

    async def __aexit__(self, *_: object) -> None:
        async with self._changed:
            self._under_way -= 1
            self._changed.notify(2)

    def grow(self) -> None:
        """Note that a request was served."""
        self.size = min(self.size + 1 / self.size, float(self.most))

    def shrink(self) -> None:
        """Note that the carrier was too busy."""
        self.size = max(self.size / 2, 1.0)


class HttpCarrier(Carrier):
    """A carrier that takes each message in one POST, and never the same one twice.

    None of them can tell whether it has a message by our id, so a lost answer waits for the delivery report.
    """

    capability = Capability.NONE

    def __init__(self, config: CarrierConfig, options: HttpOptions) -> None:
        self.name = config.name
        self.rate = options.rate
        self._base_url, is_local = _checked(config.name, options.base_url)
        self._timeout = options.timeout
        self._reports_url = config.callback_url("reports")
        self._client = HttpClient(AddressPolicy(allow_loopback=is_local))
        self._window = Window(self.concurrency)
        self._busy_until = 0.0

    async def submit_many(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """Hand over many messages, at most `concurrency` at once; the outcomes in the same order.

        A message that the carrier was too busy for is offered again while there is time. What was not begun, because
        the carrier is too slow, too busy or gives no answer, is refused for the moment.
        """
        until = time.monotonic() + BATCH_SECONDS
        lost = 0

        async def one(submission: Submission) -> Outcome:
            nonlocal lost
            while True:
                async with self._window:
                    if lost >= MAX_LOST:
                        return Refused(REJECTED, retryable=True, is_fault=True)
                    hold = self._hold()
                    if time.monotonic() + hold >= until:
                        is_away = hold >= LONG_HOLD_SECONDS
                        return Refused(REJECTED, retryable=True, retry_after=hold or RETRY_SECONDS, is_fault=is_away)
                    if hold:
                        await asyncio.sleep(hold)
                    outcome = await self.submit(submission)
                lost = lost + 1 if _is_lost(outcome) else 0
                hold = self._hold()
                if not (hold and is_throttled(outcome)):
                    self._window.grow()
                    return outcome
                self._window.shrink()
                if time.monotonic() + hold >= until:
                    return outcome

        return list(await asyncio.gather(*(one(submission) for submission in submissions)))

    async def close(self) -> None:
        """Close the connections; a later message opens them again."""
        await self._client.close()

    async def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpAnswer | Refused | Unknown:
        """Send one POST request.

        If the connection cannot be opened, the message is refused. After any later failure its outcome is unknown.
        """
        try:
            answer = await self._client.request(
                "POST",
                self._base_url + path,
                body=body,
                headers=headers,
                total_seconds=self._timeout,
                connect_seconds=min(CONNECT_SECONDS, self._timeout / 2),
            )
        except HttpError as error:
            if error.never_sent:
                return Refused(REJECTED, retryable=True, is_fault=True)
            return Unknown(error.kind.value)
        if answer.status == 429:
            self._leave_alone(retry_after(answer.headers))
        return answer

    def _leave_alone(self, seconds: float) -> None:
        """Begin nothing of a batch while the carrier says that it is too busy."""
        until = time.monotonic() + min(max(seconds, MIN_HOLD_SECONDS), MAX_HOLD_SECONDS)
        self._busy_until = max(self._busy_until, until)

    def _hold(self) -> float:
        """For how many more seconds the carrier is left alone."""
        return max(self._busy_until - time.monotonic(), 0.0)

    async def _look(self, path: str, headers: Mapping[str, str]) -> str | None:
        """Return what is wrong with a GET, without a word of what was sent or answered, or None if it succeeds."""
        try:
            answer = await self._client.request(
                "GET", self._base_url + path, headers=headers, total_seconds=self._timeout, repeatable=True
            )
        except HttpError as error:
            return error.message
        if answer.status in (401, 403):
            return f"The carrier refuses the credentials ({answer.status})."
        return None if answer.status < 300 else f"The carrier answers {answer.status}."

    def _callback_for(self, submission: Submission) -> str:
        """Return where the reports of a message are to go: its id in the query."""
        return f"{self._reports_url}?message={submission.message_id.hex}"


def _checked(name: str, base_url: str) -> tuple[str, bool]:
    """Return the URL without a trailing slash, and whether it is on this machine. Raises SettingsError."""
    try:
        url = urlsplit(base_url)
        host, _port = url.hostname or "", url.port
    except ValueError:
        raise SettingsError(f"carrier {name}: base_url is not a URL") from None
    try:
        is_local = ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if not host or url.query or url.fragment or "@" in url.netloc:
        raise SettingsError(f"carrier {name}: base_url must be a host and at most a path")
    if url.scheme != "https" and not (url.scheme == "http" and is_local):
        raise SettingsError(f"carrier {name}: base_url must be https, or http on this machine")
    return base_url.rstrip("/"), is_local


# Answers


def is_throttled(outcome: Outcome) -> bool:
    """Return whether the carrier was too busy for the message, and has no other quarrel with it or with us."""
    return isinstance(outcome, Refused) and outcome.retryable and not outcome.is_fault


def _is_lost(outcome: Outcome) -> bool:
    return isinstance(outcome, Unknown) or (isinstance(outcome, Refused) and outcome.is_fault)


def judge_status(answer: HttpAnswer) -> Outcome:
    """Return the outcome of an answer without a success and without a code of the carrier's that we know.

    4xx and redirects are refusals: of the moment with 429, of us with 401 to 407 unless that lasts, else of the
    message. What a server answers when it fails says nothing of how far it came.
    """
    status = answer.status
    if status == 429:
        return throttled(answer)
    if status in _FAULTS or 300 <= status < 400:
        return fault(answer, may_last=True)
    if 400 <= status < 500 and status not in _AMBIGUOUS:
        return Refused(REJECTED)
    return Unknown(f"http_{status}")


def throttled(answer: HttpAnswer) -> Refused:
    """Refuse for now: the carrier takes the message later."""
    return Refused(REJECTED, retryable=True, retry_after=retry_after(answer.headers))


def fault(answer: HttpAnswer, *, may_last: bool = False) -> Refused:
    """Refuse for now: the carrier takes no messages of ours at present."""
    wait = retry_after(answer.headers)
    return Refused(REJECTED, retryable=True, retry_after=wait, is_fault=True, may_last=may_last)


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3), at most an hour; a second without one.

    Telnyx documents x-ratelimit-reset, in seconds, in its place.
    """
    text = headers.get("Retry-After") or headers.get("x-ratelimit-reset")
    seconds = parse_retry_after(text, now or datetime.now(UTC))
    return RETRY_SECONDS if seconds is None else min(seconds, MAX_RETRY_SECONDS)


def decode(body: bytes, type: type[T]) -> T | None:
    """JSON as a struct, or None for what is not of its shape."""
    try:
        return msgspec.json.decode(body, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


# Callbacks


def read_fields(text: str | bytes) -> list[tuple[str, str]]:
    """Read the fields of a query or a form, in order, blank ones too. Raises CallbackRefused for what is neither."""
    try:
        return parse_qsl(
            text if isinstance(text, str) else text.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise CallbackRefused("not a form", status=400) from None


def read_object(body: bytes) -> dict[str, object]:
    """Read the object in a JSON body. Raises CallbackRefused."""
    value = decode(body, dict[str, object])
    if value is None:
        raise CallbackRefused("not a JSON object", status=400)
    return value


def is_json(callback: Callback) -> bool:
    """Return whether the body is said to be JSON."""
    kind = callback.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"


def message_id_in(url: str) -> UUID | None:
    """Our message id in the query of a callback URL that we gave."""
    return read_message_id(dict(read_fields(urlsplit(url).query)).get("message", ""))


def read_message_id(text: str) -> UUID | None:
    """Read a message id in the form in which carriers get it: 32 hex digits."""
    return UUID(text) if _hex_id(text) else None


def check_time(text: str, callback: Callback, tolerance: float) -> None:
    """Raise CallbackRefused unless `text`, in whole seconds since 1970, is within the tolerance of now."""
    if not _seconds(text):
        raise CallbackRefused("no timestamp")
    if abs(callback.now.timestamp() - int(text)) > tolerance:
        raise CallbackRefused("stale timestamp")


def matches(signature: str, expected: Iterable[str]) -> bool:
    """Return whether a signature is one of those expected, in a time that tells nothing of them."""
    given = signature.encode()
    return any(hmac.compare_digest(given, each.encode()) for each in expected)


def international(number: str) -> str:
    """Return a number as E.164 where the carrier leaves out the plus; short codes and names as they are."""
    return f"+{number}" if _digits(number) else number
