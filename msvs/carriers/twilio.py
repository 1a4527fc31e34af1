"""Twilio's Programmable Messaging: api.twilio.com, API version 2010-04-01."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

from msvs.carriers.config import CarrierConfig
from msvs.carriers.http import (
    REJECTED,
    SENDER,
    UNREACHABLE,
    HttpCarrier,
    HttpOptions,
    decode,
    fault,
    is_json,
    judge_status,
    matches,
    message_id_in,
    read_fields,
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
from msvs.settings import SettingsError

# Twilio's error and warning dictionary. What is not here is `carrier_rejected` as an answer to the POST; in a report,
# it goes by the status.
ERRORS: Mapping[int, str] = {
    21211: "invalid_number",
    21212: SENDER,
    21214: "invalid_number",
    21217: "invalid_number",
    21265: "number_type_blocked",
    21408: "region_blocked",
    21603: SENDER,
    21606: SENDER,
    21610: "recipient_opted_out",
    21612: UNREACHABLE,
    21614: "number_type_blocked",
    21635: "number_type_blocked",
    21659: SENDER,
    21660: SENDER,
    21661: SENDER,
    30001: UNREACHABLE,
    30003: UNREACHABLE,
    30004: "carrier_filtered",
    30005: "invalid_number",
    30006: "number_type_blocked",
    30007: "carrier_filtered",
    30008: UNREACHABLE,
    30017: UNREACHABLE,
    30018: SENDER,
    30024: SENDER,
    30032: SENDER,
    30033: SENDER,
    30034: SENDER,
    30036: UNREACHABLE,
    30038: "carrier_filtered",
    30410: UNREACHABLE,
    30450: "carrier_filtered",
}
# Too many requests; the sender's queue is full; the sender's rate is exceeded.
THROTTLES = frozenset((14107, 20429, 21611))
# Credentials, a suspended or closed account, a messaging service that is not there, the account's daily limit.
FAULTS = frozenset((20003, 20005, 20006, 20404, 21701, 21705, 30002, 63038))

DELIVERED = frozenset(("delivered", "read"))
FAILED: Mapping[str, str] = {"failed": REJECTED, "canceled": REJECTED, "undelivered": UNREACHABLE}

SIGNATURE = "x-twilio-signature"
EMPTY_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
FORM = "application/x-www-form-urlencoded"

_port = re.compile(r":[0-9]+$")


class TwilioOptions(HttpOptions, forbid_unknown_fields=True, kw_only=True):
    """The options of a Twilio account.

    `auth_token` signs what Twilio sends us, also where an API key signs us in. `validity_period` is how long, in
    seconds, Twilio may try.
    """

    account_sid: Annotated[str, msgspec.Meta(pattern="^AC[0-9a-fA-F]{32}$")]
    auth_token: Annotated[str, msgspec.Meta(min_length=1)]
    api_key: str | None = None
    api_secret: str | None = None
    messaging_service_sid: str | None = None
    validity_period: Annotated[int, msgspec.Meta(ge=1, le=36_000)] | None = None
    base_url: str = "https://api.twilio.com"

    __repr__ = HttpOptions.__repr__


class _Answer(msgspec.Struct):
    sid: str = ""
    code: int | None = None


class TwilioCarrier(HttpCarrier):
    """A Twilio account."""

    kind: ClassVar[str] = "twilio"

    def __init__(self, config: CarrierConfig) -> None:
        """Check the options. Raises SettingsError."""
        options = config.read(TwilioOptions)
        super().__init__(config, options)
        if (options.api_key is None) != (options.api_secret is None):
            raise SettingsError(f"carrier {config.name}: api_key and api_secret go together")
        self._account = f"/2010-04-01/Accounts/{options.account_sid}"
        self._auth_token = options.auth_token
        user, password = options.api_key or options.account_sid, options.api_secret or options.auth_token
        self._authorization = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
        self._fixed = {
            name: str(value)
            for name, value in (
                ("MessagingServiceSid", options.messaging_service_sid),
                ("ValidityPeriod", options.validity_period),
            )
            if value is not None
        }

    async def submit(self, submission: Submission) -> Outcome:
        """Hand over one message."""
        form = {
            "To": submission.to,
            "From": submission.sender,
            "Body": submission.body,
            "StatusCallback": self._callback_for(submission),
            **self._fixed,
        }
        headers = {"Authorization": self._authorization, "Content-Type": FORM}
        answer = await self._post(f"{self._account}/Messages.json", urlencode(form).encode(), headers)
        return _judge(answer) if isinstance(answer, HttpAnswer) else answer

    async def check(self) -> str | None:
        """Return what is wrong with the account as far as a question for its numbers tells, or None."""
        return await self._look(
            f"{self._account}/IncomingPhoneNumbers.json?PageSize=1", {"Authorization": self._authorization}
        )

    def read_callback(self, callback: Callback) -> CallbackAnswer:
        """Return what a status callback or a message brings. Raises CallbackRefused."""
        fields = self._checked_fields(callback)
        carrier_events = _read_report(fields, callback) if callback.kind == "reports" else [_read_message(fields)]
        return CallbackAnswer(carrier_events, content_type="text/xml", body=EMPTY_TWIML)

    def _checked_fields(self, callback: Callback) -> Mapping[str, str]:
        """Return the fields of a request whose signature is right. Twilio signs no time: an old one cannot be told."""
        form = read_fields(callback.body) if callback.method == "POST" and not is_json(callback) else []
        expected = (sign(self._auth_token, url, form) for url in _spellings(callback.url))
        if not matches(callback.headers.get(SIGNATURE, ""), expected):
            raise CallbackRefused("wrong signature")
        if callback.method != "POST":
            return dict(read_fields(urlsplit(callback.url).query))
        if not is_json(callback):
            return dict(form)
        hashes = parse_qs(urlsplit(callback.url).query).get("bodySHA256", [])
        if not matches(hashlib.sha256(callback.body).hexdigest(), hashes):
            raise CallbackRefused("wrong hash of the body")
        return {name: value for name, value in read_object(callback.body).items() if isinstance(value, str)}


def sign(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """Sign the X-Twilio-Signature of a request: HMAC-SHA1 of the URL and, sorted by name, each field and its values.

    Source: Twilio, Security, Validating requests; a value that comes twice under one name counts once.
    """
    text = url + "".join(name + value for name, value in sorted(set(form)))
    return b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()


def _spellings(url: str) -> Iterator[str]:
    """Yield the URL as it is, and with the port left out or the usual one put in: Twilio signs either."""
    yield url
    parts = urlsplit(url)
    bare = _port.sub("", parts.netloc)
    port = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    yield parts._replace(netloc=bare + port if bare == parts.netloc else bare).geturl()


def _judge(answer: HttpAnswer) -> Outcome:
    found = decode(answer.body, _Answer) or _Answer()
    if 200 <= answer.status < 300:
        return Accepted(found.sid) if found.sid else Unknown("unreadable")
    if 400 <= answer.status < 500 and found.code is not None:
        if found.code in THROTTLES:
            return throttled(answer)
        if found.code in FAULTS:
            return fault(answer)
        if found.code in ERRORS:
            return Refused(ERRORS[found.code])
    return judge_status(answer)


def _read_report(fields: Mapping[str, str], callback: Callback) -> list[CarrierEvent]:
    sid, status = _message_sid(fields), fields.get("MessageStatus") or fields.get("SmsStatus")
    if not status:
        raise CallbackRefused("no status", status=400)
    if status not in DELIVERED and status not in FAILED:
        return []
    code = fields.get("ErrorCode", "")
    error = None
    if status in FAILED:
        error = ERRORS.get(int(code) if code.isascii() and code.isdigit() else 0, FAILED[status])
    return [
        Report(
            f"{sid}:{status}",
            status in DELIVERED,
            error,
            message_id=message_id_in(callback.url),
            carrier_ref=sid,
        )
    ]


def _read_message(fields: Mapping[str, str]) -> Inbound:
    sender, to = fields.get("From"), fields.get("To")
    if not sender or not to:
        raise CallbackRefused("no numbers", status=400)
    is_opt_out = fields.get("OptOutType") == "STOP"
    return Inbound(f"in:{_message_sid(fields)}", sender, to, fields.get("Body", ""), is_opt_out=is_opt_out)


def _message_sid(fields: Mapping[str, str]) -> str:
    sid = fields.get("MessageSid") or fields.get("SmsSid")
    if not sid or len(sid) > 64:
        raise CallbackRefused("no message id", status=400)
    return sid
