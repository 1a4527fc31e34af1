"""The sandbox's two numbers that are refused before any carrier sees them (decisions § 7)."""

from __future__ import annotations

from msvs.api.credits.credits import insufficient
from msvs.api.errors import ComplianceRefused, ErrorCode
from msvs.api.resources import FAILURES

REFUSED_REGION = "+14155550113"
REFUSED_CREDITS = "+14155550114"


def check_scripted(phone: str) -> None:
    """Refuse the two numbers that stand for a refusal. Raises ComplianceRefused or PaymentRequired."""
    if phone == REFUSED_REGION:
        raise ComplianceRefused(FAILURES["region_blocked"], code=ErrorCode.REGION_BLOCKED, param="to")
    if phone == REFUSED_CREDITS:
        raise insufficient(1, 0)
