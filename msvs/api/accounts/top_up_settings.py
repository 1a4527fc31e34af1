"""The settings of automatic top-up, whose changes the audit log holds."""

from __future__ import annotations

from collections.abc import Mapping

from msvs.api.audit import AuditAction, changed, record_audit
from msvs.api.context import Context
from msvs.api.credits import top_ups
from msvs.api.credits.top_ups import AutoTopUpResource, UpdateAutoTopUp

LOGGED = (
    *("enabled", "off_reason", "pack", "amount", "currency", "threshold", "daily_limit", "monthly_limit"),
    "card_last4",
)


async def update_auto_top_up(ctx: Context, data: UpdateAutoTopUp) -> AutoTopUpResource:
    """Change what the workspace buys by itself. Turning it on agrees to the pack's price of now.

    Raises PermissionDenied code `live_only` in the sandbox, Conflict codes `billing_closed` and `card_missing`,
    InvalidRequest.
    """
    before, after = await top_ups.change(ctx, data)
    if differing := changed(_logged(before), _logged(after)):
        await record_audit(ctx, AuditAction.AUTO_TOP_UP_UPDATED, None, differing)
    return after


def _logged(shown: AutoTopUpResource) -> Mapping[str, object]:
    return {name: getattr(shown, name) for name in LOGGED}
