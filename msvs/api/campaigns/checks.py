"""Check the sender and the pace of a campaign."""

from __future__ import annotations

import re

from msvs.api.context import Context
from msvs.api.dispatch.frequency import MAX_CAP
from msvs.api.dispatch.senders import check_sender, check_usable
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.models import Workspace

MAX_RATE = 1_000_000
MAX_SPREAD_HOURS = 24.0 * 7


_is_time = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]").fullmatch


def check_local_time(text: str | None) -> str | None:
    """Return a time of day such as `10:00`, or None for none. Raises InvalidRequest."""
    if text is not None and not _is_time(text):
        raise InvalidRequest("send_at_local must be a time of day such as 10:00.", param="send_at_local")
    return text


def check_contact_cap(cap: int | None, param: str) -> int | None:
    """Return a cap on the messages to one contact, or None for none. Raises InvalidRequest."""
    if cap is not None and not 1 <= cap <= MAX_CAP:
        raise InvalidRequest(
            f"{param} must be from 1 to {MAX_CAP}.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return cap


async def check_campaign_sender(ctx: Context, workspace: Workspace, sender: str | None) -> str:
    """Return a campaign's sender: the one named, else the default.

    Raises ComplianceRefused where it may not be used.
    """
    return await check_usable(ctx, workspace.default_sender if sender is None else check_sender(sender))


def check_pace(rate_per_minute: int | None, spread_hours: float | None) -> None:
    """Check that a pace is a rate or a spread, within limits. Raises InvalidRequest."""
    if rate_per_minute is not None and spread_hours is not None:
        raise InvalidRequest(
            "Give rate_per_minute or spread_hours, not both.", param="spread_hours", code=ErrorCode.PACE_CONFLICT
        )
    if rate_per_minute is not None and not 1 <= rate_per_minute <= MAX_RATE:
        raise InvalidRequest(
            f"rate_per_minute must be from 1 to {MAX_RATE}.",
            param="rate_per_minute",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    if spread_hours is not None and not 0 < spread_hours <= MAX_SPREAD_HOURS:
        raise InvalidRequest(
            f"spread_hours must be more than 0 and at most {MAX_SPREAD_HOURS:g}.",
            param="spread_hours",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
