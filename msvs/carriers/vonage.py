"""Vonage's SMS API: rest.nexmo.com/sms/json."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import msgspec

from msvs.carriers.config import CarrierConfig
from msvs.carriers.http import (
    REJECTED,
    SENDER,
    TOLERANCE_SECONDS,
    UNREACHABLE,
    HttpCarrier,
    HttpOptions,
    check_time,
    decode,
    fault,
    international,
    is_json,
    is_throttled,
    judge_status,
    matches,
    read_fields,
    read_message_id,
    read_object,
    throttled,
)
from msvs.carriers.protocol import (
    Accepted,
    Callback,
    CallbackAnswer,
    CallbackRefused,
    CarrierEvent,
    Inbound,
    Outcome,
    Refused,
    Report,
    Submission,
    Unknown,
)
from msvs.http_client import HttpAnswer

ACCEPTED = "0"
# Too fast; too many connections.
THROTTLES = frozenset(("1", "10"))
# Credentials, a barred or unprovisioned account, money, the callback address.
FAULTS = frozenset(("4", "8", "9", "11", "14", "23", "32"))
# An internal error "whilst processing this message" tells nothing of how far it came.
UNKNOWN = frozenset(("5",))
# The other statuses of an answer are `carrier_rejected`.
REFUSALS: Mapping[str, str] = {"15": SENDER, "33": "invalid_number", "39": SENDER, "50": "carrier_filtered"}

# The err-code of a delivery receipt; what is not here goes by the status.
ERRORS: Mapping[str, str] = {
    "1": UNREACHABLE,
    "2": UNREACHABLE,
    "3": "invalid_number",
    "4": UNREACHABLE,
    "5": UNREACHABLE,
    "6": "carrier_filtered",
    "7": UNREACHABLE,
    "8": UNREACHABLE,
    "9": "recipient_opted_out",
    "10": REJECTED,
    "11": REJECTED,
    "12": UNREACHABLE,
    "13": REJECTED,
    "14": REJECTED,
    "15": REJECTED,
    "16": REJECTED,
    "39": SENDER,
    "50": "carrier_filtered",
    "51": "carrier_filtered",
    "52": "carrier_filtered",
    "53": "carrier_filtered",
    "54": REJECTED,
    "99": UNREACHABLE,
}
DELIVERED = "delivered"
# Receipts that are `accepted`, `buffered` or `unknown` bring nothing: the end is not known.
FAILED: Mapping[str, str] = {"expired": UNREACHABLE, "failed": UNREACHABLE, "rejected": REJECTED}

_count = re.compile(r"[2-9]|[1-9][0-9]", re.ASCII).fullmatch

FORM = "application/x-www-form-urlencoded"

Method = Literal["md5hash", "md5", "sha1", "sha256", "sha512"]


class VonageOptions(HttpOptions, forbid_unknown_fields=True, kw_only=True):
    """The options of a Vonage account.

    `signature_secret` and `signature_method`, as the account's settings show them, verify what Vonage sends us;
    `signature_tolerance` is how old, in seconds, that may be.
    """

    api_key: Annotated[str, msgspec.Meta(min_length=1)]
    api_secret: Annotated[str, msgspec.Meta(min_length=1)]
    signature_secret: Annotated[str, msgspec.Meta(min_length=1)]
    signature_method: Method = "md5hash"
    signature_tolerance: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = TOLERANCE_SECONDS
    base_url: str = "https://rest.nexmo.com"

    __repr__ = HttpOptions.__repr__


class _Part(msgspec.Struct):
    status: str = ""
    id: str = msgspec.field(default="", name="message-id")


class _Answer(msgspec.Struct):
    messages: list[_Part] = msgspec.field(default_factory=list)


class VonageCarrier(HttpCarrier):
    """A Vonage account."""

    kind: ClassVar[str] = "vonage"

    def __init__(self, config: CarrierConfig) -> None:
        """Check the options. Raises SettingsError."""
        options = config.read(VonageOptions)
        super().__init__(config, options)
        self._credentials = {"api_key": options.api_key, "api_secret": options.api_secret}
        self._signature_secret = options.signature_secret
        self._signature_method = options.signature_method
        self._tolerance = options.signature_tolerance

    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message. Vonage writes numbers without the plus."""
        form = {
            **self._credentials,
            "from": submission.sender.removeprefix("+"),
            "to": submission.to.removeprefix("+"),
            "text": submission.body,
            "type": "text" if submission.encoding == "gsm7" else "unicode",
            "status-report-req": "1",
            "callback": self._reports_url,
            "client-ref": _client_ref(submission),
        }
        answer = await self._post("/sms/json", urlencode(form).encode(), {"Content-Type": FORM})
        outcome = _judge(answer) if isinstance(answer, HttpAnswer) else answer
        if isinstance(outcome, Refused) and is_throttled(outcome):
            # Vonage says so in the body of a 200.
            self._leave_alone(outcome.retry_after)
        return outcome

    async def check(self) -> str | None:
        """Return what is wrong with the account as far as a question for its balance tells, or None."""
        return await self._look(f"/account/get-balance?{urlencode(self._credentials)}", {"Accept": "application/json"})

    def read_callback(self, callback: Callback) -> CallbackAnswer:
        """Return what a delivery receipt or a message brings. Raises CallbackRefused."""
        fields = _fields(callback)
        if not fields:
            # Vonage tries an address when it is entered, and takes no other answer than a 200.
            return CallbackAnswer([])
        expected = sign(self._signature_secret, self._signature_method, fields)
        if not matches(fields.get("sig", "").lower(), [expected]):
            raise CallbackRefused("wrong signature")
        check_time(fields.get("timestamp", ""), callback, self._tolerance)
        return CallbackAnswer(_read_receipt(fields) if callback.kind == "reports" else _read_message(fields))


def sign(secret: str, method: Method, fields: Mapping[str, str]) -> str:
    """Sign the `sig` of the other fields, in hex.

    Source: Vonage, Signing messages: `&name=value` sorted by name, where `&` and `=` in a value become `_`; the md5
    hash has the secret at its end, the others are HMACs.
    """
    text = "".join(
        f"&{name}={value.replace('&', '_').replace('=', '_')}"
        for name, value in sorted(fields.items())
        if name != "sig"
    ).encode()
    if method == "md5hash":
        return hashlib.md5(text + secret.encode(), usedforsecurity=False).hexdigest()
    return hmac.digest(secret.encode(), text, method).hex()


def _client_ref(submission: Submission) -> str:
    """Our id, and of a message in several parts how many there are: each has a receipt of its own."""
    ref = submission.message_id.hex
    return ref if submission.segments == 1 else f"{ref}-{submission.segments}"


def _read_client_ref(text: str) -> tuple[UUID | None, int | None]:
    """Our id, and where the receipt is of one part, of how many; nothing of a reference that is not ours."""
    id, dash, count = text.partition("-")
    message_id = read_message_id(id)
    if message_id is None or not dash:
        return message_id, None
    return (message_id, int(count)) if _count(count) else (None, None)


def _judge(answer: HttpAnswer) -> Outcome:
    if not 200 <= answer.status < 300:
        return judge_status(answer)
    found = decode(answer.body, _Answer)
    if found is None or not found.messages or any(not part.status for part in found.messages):
        return Unknown("unreadable")
    taken = [part.id for part in found.messages if part.status == ACCEPTED and part.id]
    if taken:
        return _accepted(taken, found.messages)
    status = found.messages[0].status
    if status == ACCEPTED:
        return Unknown("unreadable")
    if status in UNKNOWN:
        return Unknown("carrier_error")
    if status in THROTTLES:
        return throttled(answer)
    if status in FAULTS:
        return fault(answer)
    return Refused(REFUSALS.get(status, REJECTED))


def _accepted(taken: Sequence[str], parts: Sequence[_Part]) -> Accepted:
    """Return a part that Vonage took is on its way, so nothing may be sent again, even where it refused others.

    The part refused stands in `part_refs` by a name that no report has: the whole is never taken to be delivered.
    """
    if len(parts) == 1:
        return Accepted(taken[0])
    refs = [part.id or f"{taken[0]}:{number}" for number, part in enumerate(parts, 1)]
    return Accepted(taken[0], tuple(refs))


def _fields(callback: Callback) -> dict[str, str]:
    """Return the fields of a request in each of the three forms that the account's settings allow."""
    if callback.method != "POST":
        return dict(read_fields(urlsplit(callback.url).query))
    if not is_json(callback):
        return dict(read_fields(callback.body))
    fields = {}
    for name, value in read_object(callback.body).items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif not isinstance(value, str | int | float):
            raise CallbackRefused("not flat", status=400)
        fields[name] = str(value)
    return fields


def _read_receipt(fields: Mapping[str, str]) -> list[CarrierEvent]:
    ref, status = _message_id(fields), fields.get("status")
    if not status:
        raise CallbackRefused("no status", status=400)
    if status != DELIVERED and status not in FAILED:
        return []
    error = None if status == DELIVERED else ERRORS.get(fields.get("err-code", ""), FAILED[status])
    message_id, part_count = _read_client_ref(fields.get("client-ref", ""))
    return [
        Report(
            f"{ref}:{status}",
            status == DELIVERED,
            error,
            message_id=message_id,
            carrier_ref=ref,
            part_count=part_count,
        )
    ]


def _read_message(fields: Mapping[str, str]) -> list[CarrierEvent]:
    sender, to = fields.get("msisdn"), fields.get("to")
    if not sender or not to:
        raise CallbackRefused("no numbers", status=400)
    if fields.get("type") == "binary":
        return []
    key, text = f"in:{_message_id(fields)}", fields.get("text", "")
    if fields.get("concat") != "true":
        return [Inbound(key, international(sender), international(to), text)]
    part, count = fields.get("concat-part", ""), fields.get("concat-total", "")
    if not (part.isdecimal() and count.isdecimal() and 1 <= int(part) <= int(count) <= 255):
        raise CallbackRefused("not a part", status=400)
    return [
        Inbound(
            key,
            international(sender),
            international(to),
            text,
            part_ref=fields.get("concat-ref", "")[:40],
            part_number=int(part),
            part_count=int(count),
        )
    ]


def _message_id(fields: Mapping[str, str]) -> str:
    ref = fields.get("messageId")
    if not ref or len(ref) > 64:
        raise CallbackRefused("no message id", status=400)
    return ref
