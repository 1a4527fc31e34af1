"""Errors in Twilio's shape, with Twilio's numbers for our codes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from msvs.api.catalogue import doc_url
from msvs.api.errors import ApiError, ErrorCode, InvalidRequest

# Our code and Twilio's parameter → Twilio's number, where the parameter matters.
BY_PARAMETER: Mapping[tuple[str, str], int] = {
    (ErrorCode.PARAMETER_MISSING, "To"): 21604,
    (ErrorCode.PARAMETER_MISSING, "Body"): 21602,
    (ErrorCode.URL_INVALID, "StatusCallback"): 21609,
    (ErrorCode.PARAMETER_UNKNOWN, "MediaUrl"): 21620,
    (ErrorCode.ID_INVALID, "MessagingServiceSid"): 21701,
    (ErrorCode.PARAMETER_INVALID, "SendAt"): 35114,
    (ErrorCode.PARAMETER_MISSING, "SendAt"): 35114,
}
BY_CODE: Mapping[str, int] = {
    ErrorCode.PHONE_NUMBER_INVALID: 21211,
    ErrorCode.SENDER_INVALID: 21212,
    ErrorCode.REGION_BLOCKED: 21408,
    ErrorCode.REGION_NOT_ENABLED: 21408,
    ErrorCode.BODY_EMPTY: 21602,
    ErrorCode.SENDER_NOT_ALLOWED: 21606,
    ErrorCode.RECIPIENT_OPTED_OUT: 21610,
    ErrorCode.CARRIER_NOT_CONFIGURED: 21612,
    ErrorCode.NO_ROUTE: 21612,
    ErrorCode.NUMBER_TYPE_BLOCKED: 21614,
    ErrorCode.BODY_TOO_LONG: 21617,
    ErrorCode.MESSAGE_IN_PROGRESS: 20009,
    ErrorCode.SCHEDULED_AT_PAST: 35114,
    ErrorCode.SCHEDULED_AT_TOO_FAR: 35114,
}
# What has no number of its own: 20000 and the status, as Twilio's own 20404 and 20429 are made.
BY_STATUS: Mapping[int, int] = {400: 20001, 401: 20003, 402: 20005, 405: 20004, 422: 21612}

# Our parameter → Twilio's.
PARAMETERS: Mapping[str, str] = {
    "to": "To",
    "from": "From",
    "body": "Body",
    "scheduled_at": "SendAt",
    "expires_at": "ValidityPeriod",
}


class Numbered(InvalidRequest):
    """400 with a number of Twilio's that its code alone does not tell."""

    def __init__(self, message: str, number: int, *, param: str) -> None:
        super().__init__(message, param=param)
        self.number = number


def number_of(error: ApiError) -> int:
    """Twilio's number for an error."""
    if isinstance(error, Numbered):
        return error.number
    for number in (BY_PARAMETER.get((error.code, error.param or "")), BY_CODE.get(error.code)):
        if number is not None:
            return number
    return BY_STATUS.get(error.status, 20000 + error.status)


def status_of(error: ApiError) -> int:
    """Return the HTTP status of an error: Twilio knows no 422 here."""
    return 400 if error.status == 422 else error.status


def error_body(error: ApiError, request_id: str, base_url: str) -> bytes:
    """Return the JSON of an error; `details` holds what our own API would say."""
    details = {"code": error.code, "request_id": request_id, **error.details}
    if error.param is not None:
        details["param"] = PARAMETERS.get(error.param, error.param)
    return msgspec.json.encode(
        {
            "code": number_of(error),
            "message": error.message,
            "more_info": doc_url(error.code, base_url),
            "status": status_of(error),
            "details": details,
        }
    )
