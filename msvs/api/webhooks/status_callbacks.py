"""Twilio-style status callbacks: registered with a message, written with its events, claimed and settled here.

Twilio signs them with the account's token, which is an API key here and kept only as a hash. So every callback that may
come is signed when the message is accepted, while the key is at hand: what is kept signs nothing else.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from yarl import URL

from msvs import looks
from msvs.address_policy import check_url
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.database import execute, fetch, fetch_value
from msvs.http_client import FailureKind
from msvs.looks import ByKey
from msvs.models import DeliveryState, TwilioMessage

LEASE = timedelta(seconds=30)
RELEASED = timedelta(seconds=1)
# How many callbacks of one workspace are on their way at once.
PER_WORKSPACE = 20
PARAM = "StatusCallback"
API_VERSION = "2010-04-01"

# What happened to a message → what its callback says. A reply without a report is a delivery.
CALLED: Mapping[str, str] = {
    "message.queued": "queued",
    "message.sent": "sent",
    "message.delivered": "delivered",
    "message.replied": "delivered",
    "message.failed": "failed",
    "message.canceled": "canceled",
}
FINAL = ("delivered", "failed", "canceled")

# Why a message failed → Twilio's number; every other failure is its "unknown error".
NUMBERS: Mapping[str, int] = {
    "invalid_number": 30005,
    "carrier_filtered": 30007,
    "unreachable": 30003,
    "insufficient_credits": 30002,
    "recipient_opted_out": 21610,
    "recipient_not_opted_in": 30004,
    "region_blocked": 21408,
    "region_not_enabled": 21408,
    "sender_not_allowed": 21606,
    "no_route": 21612,
    "number_type_blocked": 21614,
    "expired": 30036,
    "body_too_long": 21617,
    "body_empty": 21602,
}
UNKNOWN_ERROR = 30008

# Connection overrides as Twilio writes them behind the URL: `#rc=` how often again, `#rp=` after what.
MAX_RETRIES = 5
DEFAULT_RETRIES = 1
CONNECTING, READING = "ct", "rt"
POLICIES = ("4xx", "5xx", CONNECTING, READING)
EVERY_POLICY = "all"
_count = re.compile(r"[0-9]").fullmatch
_FAILED_AS: Mapping[FailureKind, str] = {
    FailureKind.DNS: CONNECTING,
    FailureKind.CONNECT: CONNECTING,
    FailureKind.TLS: CONNECTING,
    FailureKind.TIMEOUT: READING,
    FailureKind.PROTOCOL: READING,
}

# A CTE of the statement that writes events: `changed` has their `type`, `resource_id`, `workspace_id` and `livemode`.
WRITE_CALLBACKS = f"""
INSERT INTO status_callbacks (id, workspace_id, message_id, status, state, attempt_count, next_attempt_at, created_at)
SELECT gen_random_uuid(), changed.workspace_id, changed.resource_id, called.status, 'pending', 0, {{now}}, {{now}}
FROM {{changed}} JOIN (VALUES {", ".join(f"('{type}', '{status}')" for type, status in CALLED.items())})
    AS called (type, status) USING (type)
JOIN twilio_messages ON twilio_messages.message_id = changed.resource_id AND twilio_messages.callback_url IS NOT NULL
    AND twilio_messages.workspace_id = changed.workspace_id AND twilio_messages.livemode = changed.livemode
ON CONFLICT (message_id, status) DO NOTHING
RETURNING 1
"""
WRITE_CALLBACKS_OF_MANY = f"""
WITH called AS (
    {
    WRITE_CALLBACKS.format(
        now="$5::timestamptz",
        changed="unnest($1::varchar[], $2::uuid[], $3::uuid[], $4::bool[])"
        " AS changed (type, resource_id, workspace_id, livemode)",
    )
})
SELECT count(*) FROM called
"""

# Workspaces with something pending, each with its first callback.
WAITING_WORKSPACES = looks.statement_of(
    looks.Queue(
        table="status_callbacks",
        key="workspace_id",
        key_type="uuid",
        least=looks.LEAST_ID,
        time="next_attempt_at",
        due_at="next_attempt_at",
        waits="state = 'pending'",
    )
)
# The workspaces of the latest callbacks, which may all have been made.
RECENT_WORKSPACES = """
SELECT DISTINCT workspace_id AS key FROM (
    SELECT workspace_id FROM status_callbacks WHERE created_at >= now() - interval '1 hour'
    ORDER BY created_at DESC LIMIT 100
) AS latest
"""
IS_DUE = """workspace_id = waiting.workspace_id AND state = 'pending' AND next_attempt_at >= waiting.first_at
    AND next_attempt_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)"""
HAS_DUE_CALLBACK = f"""
SELECT EXISTS (
    SELECT FROM unnest($2::uuid[], $3::timestamptz[]) AS waiting (workspace_id, first_at)
    WHERE EXISTS (SELECT FROM status_callbacks WHERE {IS_DUE})
)
"""
CLAIM_CALLBACKS = f"""
WITH picked AS MATERIALIZED (
    SELECT due.id FROM unnest($6::uuid[], $7::timestamptz[]) AS waiting (workspace_id, first_at)
    LEFT JOIN unnest($3::uuid[], $4::int[]) AS busy (workspace_id, callbacks) USING (workspace_id)
    CROSS JOIN LATERAL (
        SELECT id FROM status_callbacks WHERE {IS_DUE}
        ORDER BY next_attempt_at, id LIMIT greatest({PER_WORKSPACE} - coalesce(busy.callbacks, 0), 0)
        FOR UPDATE SKIP LOCKED
    ) AS due
    LIMIT $2
), taken AS (
    UPDATE status_callbacks SET attempt_count = attempt_count + 1, lease_until = $5
    WHERE id = ANY (ARRAY(SELECT id FROM picked))
    RETURNING *
)
SELECT taken.id, taken.workspace_id, taken.message_id, taken.status, taken.attempt_count, taken.lease_until,
    twilio_messages.callback_url AS url, twilio_messages.retry_count, twilio_messages.retry_on,
    twilio_messages.signatures, twilio_messages.service_sid, messages.to_phone, messages.sender, messages.error_code,
    messages.sent_at IS NOT NULL AS was_taken
FROM taken
LEFT JOIN twilio_messages ON twilio_messages.message_id = taken.message_id
LEFT JOIN messages ON messages.id = taken.message_id
ORDER BY taken.created_at, taken.id
"""
SETTLE_CALLBACK = """
UPDATE status_callbacks SET state = $4::varchar, status_code = $5, error = $6, lease_until = NULL,
    next_attempt_at = $7, ended_at = CASE WHEN $4::varchar = 'pending' THEN NULL ELSE $7::timestamptz END
WHERE id = $1 AND attempt_count = $2 AND lease_until = $3
"""
RELEASE_CALLBACK = """
UPDATE status_callbacks SET attempt_count = attempt_count - 1, lease_until = NULL, next_attempt_at = $4
WHERE id = $1 AND attempt_count = $2 AND lease_until = $3
"""
# What no callback will need any more.
FORGET_CALLBACK = "UPDATE twilio_messages SET callback_url = NULL, signatures = NULL WHERE message_id = ANY($1::uuid[])"


class ClaimedCallback(Protocol):
    """A claimed callback with its message and what was registered; `url` is null if that is gone."""

    id: UUID
    workspace_id: UUID
    message_id: UUID
    status: str
    attempt_count: int
    lease_until: datetime
    url: str | None
    retry_count: int
    retry_on: list[str]
    signatures: dict[str, str] | None
    service_sid: str | None
    to_phone: str
    sender: str
    error_code: str | None
    was_taken: bool


@dataclass(frozen=True, slots=True)
class CallbackUrl:
    """The URL of a callback, with its retries."""

    url: str
    retry_count: int = DEFAULT_RETRIES
    retry_on: Sequence[str] = (CONNECTING,)


@dataclass(frozen=True, slots=True)
class Called:
    """The result of a callback: a status, or the kind of failure without an answer."""

    status: int | None = None
    error: FailureKind | None = None


class _Message(Protocol):
    @property
    def id(self) -> UUID: ...

    @property
    def to_phone(self) -> str: ...

    @property
    def sender(self) -> str: ...


def read_callback_url(ctx: Context, text: str) -> CallbackUrl:
    """Read a URL with Twilio's connection overrides behind a `#`. Raises InvalidRequest code `url_invalid`."""
    bare, _, overrides = text.partition("#")
    policy = ctx.services.address_policy
    try:
        parts = urlsplit(str(URL(check_url(bare, allow_http_loopback=policy.allow_loopback, policy=policy))))
    except ValueError as error:
        raise InvalidRequest(str(error), param=PARAM, code=ErrorCode.URL_INVALID) from None
    # As it goes over the wire, since that is what the receiver verifies.
    url = urlunsplit(parts._replace(path=parts.path or "/"))
    count, retry_on = DEFAULT_RETRIES, [CONNECTING]
    for part in filter(None, overrides.split("&")):
        name, _, value = part.partition("=")
        if name == "rc" and _count(value) and int(value) <= MAX_RETRIES:
            count = int(value)
        elif name == "rp" and set(value.split(",")) <= {*POLICIES, EVERY_POLICY}:
            retry_on = list(POLICIES) if EVERY_POLICY in value.split(",") else value.split(",")
        else:
            raise InvalidRequest(
                f"StatusCallback may be followed by #rc=0 to {MAX_RETRIES} and rp={','.join(POLICIES)} or all.",
                param=PARAM,
                code=ErrorCode.URL_INVALID,
            )
    return CallbackUrl(url, count, retry_on)


async def register(
    ctx: Context, message: _Message, account_sid: str, token: str, callback: CallbackUrl | None, service_sid: str | None
) -> None:
    """Keep, with a new message, where to tell of it and the messaging service that it names."""
    signatures = None
    if callback is not None:
        forms = {
            key: callback_form(message, account_sid, service_sid, status, number)
            for key, status, number in _every_callback()
        }
        signatures = {key: sign(token, callback.url, form) for key, form in forms.items()}
    await TwilioMessage.create(
        message_id=message.id,
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        service_sid=service_sid,
        callback_url=None if callback is None else callback.url,
        retry_count=0 if callback is None else callback.retry_count,
        retry_on=[] if callback is None else list(callback.retry_on),
        signatures=signatures,
    )


def callback_form(
    message: _Message, account_sid: str, service_sid: str | None, status: str, number: int | None
) -> dict[str, str]:
    """Return the parameters of a callback."""
    sid = f"SM{message.id.hex}"
    form = {
        "AccountSid": account_sid,
        "ApiVersion": API_VERSION,
        "From": message.sender,
        "MessageSid": sid,
        "MessageStatus": status,
        "SmsSid": sid,
        "SmsStatus": status,
        "To": message.to_phone,
    }
    if service_sid is not None:
        form["MessagingServiceSid"] = service_sid
    if number is not None:
        form["ErrorCode"] = str(number)
    return form


def sign(token: str, url: str, form: Mapping[str, str]) -> str:
    """Return the X-Twilio-Signature of a form that is posted to a URL."""
    text = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def signed_form(claimed: ClaimedCallback) -> tuple[dict[str, str], str] | None:
    """Return the form of a claimed callback and its signature, or None if nothing is registered any more."""
    status, number = claimed.status, None
    if status == "failed":
        status = "undelivered" if claimed.was_taken else status
        number = NUMBERS.get(claimed.error_code or "", UNKNOWN_ERROR)
    signature = (claimed.signatures or {}).get(_key(status, number))
    if signature is None or claimed.url is None:
        return None
    message = _Claimed(claimed.message_id, claimed.to_phone, claimed.sender)
    return callback_form(message, f"AC{claimed.workspace_id.hex}", claimed.service_sid, status, number), signature


@dataclass(frozen=True, slots=True)
class _Claimed:
    id: UUID
    to_phone: str
    sender: str


def _every_callback() -> Iterator[tuple[str, str, int | None]]:
    """Every callback that may come of a message: the key of its signature, Twilio's status and number."""
    for status in sorted({*CALLED.values()} - {"failed"}):
        yield _key(status, None), status, None
    for status in ("failed", "undelivered"):
        for number in sorted({*NUMBERS.values(), UNKNOWN_ERROR}):
            yield _key(status, number), status, number


def _key(status: str, number: int | None) -> str:
    return status if number is None else f"{status} {number}"


class CallbackLooks(ByKey[UUID]):
    """The looks of a process at what the receivers of workspaces wait for."""


class _Workspace(Protocol):
    key: UUID


async def _find_waiting(now: datetime, workspaces: CallbackLooks | None) -> tuple[list[UUID], list[datetime]]:
    """Return the workspaces with something pending, and when their first callbacks are due."""
    workspaces = workspaces or CallbackLooks()
    likely = [row.key for row in await fetch(_Workspace, RECENT_WORKSPACES)] if workspaces.is_full else ()
    found = await workspaces.find(now, WAITING_WORKSPACES, likely=likely)
    return list(found), list(found.values())


async def has_due(now: datetime, workspaces: CallbackLooks | None = None) -> bool:
    """Return whether any callback is due and not already being made."""
    return bool(await fetch_value(HAS_DUE_CALLBACK, now, *await _find_waiting(now, workspaces)))


async def claim_callbacks(
    *, limit: int, busy: Mapping[UUID, int], now: datetime, workspaces: CallbackLooks | None = None
) -> Sequence[ClaimedCallback]:
    """Take up to `limit` due callbacks until `now` + LEASE; `busy` says how many of a workspace are on their way."""
    values = (now, limit, list(busy), list(busy.values()), now + LEASE)
    return await fetch(ClaimedCallback, CLAIM_CALLBACKS, *values, *await _find_waiting(now, workspaces))


async def release(claimed: ClaimedCallback, now: datetime) -> None:
    """Give back a claimed callback that was not made, as if it had not been claimed; it is due a moment later."""
    mark = (claimed.id, claimed.attempt_count, claimed.lease_until)
    await execute(RELEASE_CALLBACK, *mark, now + RELEASED)


async def settle(claimed: ClaimedCallback, called: Called | None, now: datetime) -> None:
    """Record what came of a callback, None if there was nothing to call; what another claimed is left alone."""
    state = _state(claimed, called)
    found = called or Called()
    mark = (claimed.id, claimed.attempt_count, claimed.lease_until)
    error = None if found.error is None else found.error.value
    settled = await execute(SETTLE_CALLBACK, *mark, state.value, found.status, error, now)
    if settled and state is not DeliveryState.PENDING and claimed.status in FINAL:
        await execute(FORGET_CALLBACK, [claimed.message_id])


def _state(claimed: ClaimedCallback, called: Called | None) -> DeliveryState:
    if called is None:
        return DeliveryState.DROPPED
    if called.status is not None and 200 <= called.status < 300:
        return DeliveryState.SUCCEEDED
    kind = f"{called.status // 100}xx" if called.status is not None else _FAILED_AS.get(called.error or FailureKind.DNS)
    is_repeated = claimed.attempt_count <= claimed.retry_count and kind in claimed.retry_on
    return DeliveryState.PENDING if is_repeated else DeliveryState.EXHAUSTED
