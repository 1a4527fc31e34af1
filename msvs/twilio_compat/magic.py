"""Twilio's magic numbers, which the sandbox answers like Twilio's test credentials."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msvs.api.errors import ApiError, ComplianceRefused, ErrorCode, InvalidRequest
from msvs.api.resources import FAILURES
from msvs.twilio_compat.errors import Numbered

# +15005550006 is a good sender; any other sends as it would without magic.
FROM: Mapping[str, Callable[[], ApiError]] = {
    "+15005550001": lambda: InvalidRequest("The sender is not valid.", param="from", code=ErrorCode.SENDER_INVALID),
    "+15005550007": lambda: ComplianceRefused(
        FAILURES["sender_not_allowed"], param="from", code=ErrorCode.SENDER_NOT_ALLOWED
    ),
    "+15005550008": lambda: Numbered("Too many messages wait for this sender.", 21611, param="From"),
}
TO: Mapping[str, Callable[[], ApiError]] = {
    "+15005550001": lambda: InvalidRequest(
        "The phone number is not valid.", param="to", code=ErrorCode.PHONE_NUMBER_INVALID
    ),
    "+15005550002": lambda: ComplianceRefused(FAILURES["no_route"], param="to", code=ErrorCode.NO_ROUTE),
    "+15005550003": lambda: ComplianceRefused(
        FAILURES["region_not_enabled"], param="to", code=ErrorCode.REGION_NOT_ENABLED
    ),
    "+15005550004": lambda: ComplianceRefused(
        FAILURES["recipient_opted_out"], param="to", code=ErrorCode.RECIPIENT_OPTED_OUT
    ),
    "+15005550009": lambda: ComplianceRefused(
        FAILURES["number_type_blocked"], param="to", code=ErrorCode.NUMBER_TYPE_BLOCKED
    ),
}


def check_magic_numbers(form: Mapping[str, str]) -> None:
    """Refuse a send from or to a magic number that stands for a refusal. Raises what a real one would raise."""
    for param, numbers in (("From", FROM), ("To", TO)):
        refusal = numbers.get(form.get(param, ""))
        if refusal is not None:
            raise refusal()
