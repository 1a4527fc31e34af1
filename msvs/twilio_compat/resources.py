"""The shape of a message as Twilio documents it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

from msvs.api.resources import FAILURES, MessageView
from msvs.api.webhooks.status_callbacks import NUMBERS, UNKNOWN_ERROR
from msvs.models import MessageKind, MessageStatus
from msvs.twilio_compat.call import API_VERSION
from msvs.twilio_compat.sids import MESSAGE, encode_sid

# A message that failed before a carrier took it is `failed`, one after that `undelivered`.
STATUSES: Mapping[str, str] = {
    MessageStatus.SCHEDULED: "scheduled",
    MessageStatus.QUEUED: "queued",
    MessageStatus.SENDING: "sending",
    MessageStatus.SENT: "sent",
    MessageStatus.DELIVERED: "delivered",
    MessageStatus.REPLIED: "delivered",
    MessageStatus.FAILED: "failed",
    MessageStatus.SKIPPED: "failed",
    MessageStatus.CANCELED: "canceled",
}


def message_resource(row: MessageView, account_sid: str, *, service_sid: str | None = None) -> dict[str, object]:
    """Return the shape of a message row (a model, a result row or a new message)."""
    sid = encode_sid(MESSAGE, row.id)
    path = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{sid}"
    times = (row.sent_at, row.delivered_at, row.failed_at, row.canceled_at, row.replied_at)
    code = row.error_code
    return {
        "account_sid": account_sid,
        "api_version": API_VERSION,
        "body": row.body,
        "date_created": rfc2822(row.created_at),
        "date_sent": None if row.sent_at is None else rfc2822(row.sent_at),
        "date_updated": rfc2822(max(row.created_at, *(time for time in times if time is not None), row.created_at)),
        "direction": "outbound-reply" if row.kind == MessageKind.AUTO else "outbound-api",
        "error_code": None if code is None else NUMBERS.get(code, UNKNOWN_ERROR),
        "error_message": None if code is None else FAILURES.get(code, code),
        "from": row.sender,
        "messaging_service_sid": service_sid,
        "num_media": "0",
        "num_segments": str(row.segments),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": _status(row),
        "subresource_uris": {"media": f"{path}/Media.json"},
        "to": row.to_phone,
        "uri": f"{path}.json",
    }


def rfc2822(value: datetime) -> str:
    """Return a time on Twilio's wire, such as `Fri, 01 May 2026 20:00:00 +0000`."""
    return format_datetime(value.astimezone(UTC))


def _status(row: MessageView) -> str:
    if row.status == MessageStatus.FAILED and row.sent_at is not None:
        return "undelivered"
    return STATUSES[row.status]
