"""Telnyx's Messaging API: api.telnyx.com, version 2."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from typing import Annotated, ClassVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

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
    judge_status,
    message_id_in,
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
from msvs.settings import SettingsError

# Telnyx's messaging error codes. What is not here is `carrier_rejected` as an answer to the POST; in a report, it goes
# by the status.
ERRORS: Mapping[str, str] = {
    "10002": "invalid_number",
    "10016": "invalid_number",
    "40001": "number_type_blocked",
    "40002": "carrier_filtered",
    "40003": "carrier_filtered",
    "40004": REJECTED,
    "40005": UNREACHABLE,
    "40006": UNREACHABLE,
    "40008": UNREACHABLE,
    "40009": REJECTED,
    "40010": SENDER,
    "40011": UNREACHABLE,
    "40012": "invalid_number",
    "40013": SENDER,
    "40014": UNREACHABLE,
    "40015": "carrier_filtered",
    "40016": REJECTED,
    "40017": "carrier_filtered",
    "40018": REJECTED,
    "40100": SENDER,
    "40150": SENDER,
    "40151": SENDER,
    "40300": "recipient_opted_out",
    "40301": "number_type_blocked",
    "40305": SENDER,
    "40306": SENDER,
    "40309": "region_blocked",
    "40310": "invalid_number",
    "40315": SENDER,
    "40319": "number_type_blocked",
    "40321": SENDER,
    "40322": "carrier_filtered",
    "40329": SENDER,
}
# Too many requests; the sender's queue is full; the sender is being set up.
THROTTLES = frozenset(("10011", "40318", "40320"))
# Credentials, account, money, messaging profile.
FAULTS = frozenset(
    ("10009", "10010", "20002", "20006", "20012", "20013", "20014", "20100", "40311", "40312", "40313", "40314")
)

# A finalized message that is `delivery_unconfirmed` brings nothing: nobody knows.
FAILED: Mapping[str, str] = {"sending_failed": REJECTED, "delivery_failed": UNREACHABLE, "expired": UNREACHABLE}

SIGNATURE = "telnyx-signature-ed25519"
TIMESTAMP = "telnyx-timestamp"


class TelnyxOptions(HttpOptions, forbid_unknown_fields=True, kw_only=True):
    """The options of a Telnyx account.

    `public_key` is the account's, in base64, and verifies what Telnyx sends us. `signature_tolerance` is how old, in
    seconds, that may be.
    """

    api_key: Annotated[str, msgspec.Meta(min_length=1)]
    public_key: str
    messaging_profile_id: str | None = None
    signature_tolerance: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = TOLERANCE_SECONDS
    base_url: str = "https://api.telnyx.com"

    __repr__ = HttpOptions.__repr__


class _Error(msgspec.Struct):
    code: str | int = ""


class _Sent(msgspec.Struct):
    id: str = ""


class _Answer(msgspec.Struct):
    data: _Sent = msgspec.field(default_factory=_Sent)
    errors: list[_Error] = msgspec.field(default_factory=list)


class _Party(msgspec.Struct):
    phone_number: str = ""
    status: str = ""


class _Message(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    from_: _Party = msgspec.field(default_factory=_Party, name="from")
    to: list[_Party] = msgspec.field(default_factory=list)
    text: str | None = None
    webhook_url: str | None = None
    autoresponse_type: str | None = None
    errors: list[_Error] | None = None


class _Data(msgspec.Struct):
    event_type: str
    payload: msgspec.Raw


class _Event(msgspec.Struct):
    data: _Data


class TelnyxCarrier(HttpCarrier):
    """A Telnyx account."""

    kind: ClassVar[str] = "telnyx"

    def __init__(self, config: CarrierConfig) -> None:
        """Check the options. Raises SettingsError."""
        options = config.read(TelnyxOptions)
        super().__init__(config, options)
        try:
            self._public_key = Ed25519PublicKey.from_public_bytes(b64decode(options.public_key, validate=True))
        except ValueError:
            raise SettingsError(f"carrier {config.name}: public_key must be an Ed25519 key in base64") from None
        self._tolerance = options.signature_tolerance
        self._headers = {"Authorization": f"Bearer {options.api_key}", "Content-Type": "application/json"}
        profile = options.messaging_profile_id
        self._fixed = {} if profile is None else {"messaging_profile_id": profile}

    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message."""
        body = {
            "from": submission.sender,
            "to": submission.to,
            "text": submission.body,
            "type": "SMS",
            "webhook_url": self._callback_for(submission),
            **self._fixed,
        }
        answer = await self._post("/v2/messages", msgspec.json.encode(body), self._headers)
        return _judge(answer) if isinstance(answer, HttpAnswer) else answer

    async def check(self) -> str | None:
        """Return what is wrong with the account as far as a question for its profiles tells, or None."""
        return await self._look("/v2/messaging_profiles?page%5Bsize%5D=1", self._headers)

    def read_callback(self, callback: Callback) -> CallbackAnswer:
        """Return what an event brings, at either address: inbound messages go to the profile's.

        Raises CallbackRefused.
        """
        self._check_signature(callback)
        event = decode(callback.body, _Event)
        if event is None:
            raise CallbackRefused("not an event", status=400)
        return CallbackAnswer(_read(event.data))

    def _check_signature(self, callback: Callback) -> None:
        timestamp = callback.headers.get(TIMESTAMP, "")
        try:
            signature = b64decode(callback.headers.get(SIGNATURE, ""), validate=True)
            self._public_key.verify(signature, timestamp.encode() + b"|" + callback.body)
        except (Base64Error, ValueError, InvalidSignature):
            raise CallbackRefused("wrong signature") from None
        check_time(timestamp, callback, self._tolerance)


def _judge(answer: HttpAnswer) -> Outcome:
    found = decode(answer.body, _Answer) or _Answer()
    if 200 <= answer.status < 300:
        return Accepted(found.data.id) if found.data.id else Unknown("unreadable")
    if 400 <= answer.status < 500:
        for code in (str(error.code) for error in found.errors):
            if code in THROTTLES:
                return throttled(answer)
            if code in FAULTS:
                return fault(answer)
            if code in ERRORS:
                return Refused(ERRORS[code])
    return judge_status(answer)


def _read(data: _Data) -> list[CarrierEvent]:
    if data.event_type not in ("message.finalized", "message.received"):
        return []
    message = decode(bytes(data.payload), _Message)
    if message is None or not message.to:
        raise CallbackRefused("not a message", status=400)
    if data.event_type == "message.received":
        to = message.to[0].phone_number
        if not message.from_.phone_number or not to:
            raise CallbackRefused("no numbers", status=400)
        is_opt_out = message.autoresponse_type == "STOP"
        return [Inbound(f"in:{message.id}", message.from_.phone_number, to, message.text or "", is_opt_out=is_opt_out)]
    status = message.to[0].status
    if status != "delivered" and status not in FAILED:
        return []
    codes = [str(error.code) for error in message.errors or ()]
    error = next((ERRORS[code] for code in codes if code in ERRORS), FAILED.get(status))
    return [
        Report(
            f"{message.id}:{status}",
            status == "delivered",
            None if status == "delivered" else error,
            # Of the URL that the event itself names: the signature covers the body alone.
            message_id=message_id_in(message.webhook_url or ""),
            carrier_ref=message.id,
        )
    ]
