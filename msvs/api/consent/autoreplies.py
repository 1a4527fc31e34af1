"""Automatic answers: to STOP, START and HELP, and the double opt-in question."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog

from msvs.api.context import Context
from msvs.api.credits import caps, rates
from msvs.api.dispatch.enqueue import insert_single, make_single
from msvs.api.dispatch.senders import automatic_sender
from msvs.api.errors import ComplianceRefused, PaymentRequired
from msvs.api.settings_of_mode import find_settings_with
from msvs.api.text.compliance import check_destination
from msvs.api.text.phones import parse_phone
from msvs.api.text.rendering import Rendered
from msvs.api.text.sms import measure
from msvs.api.unit_of_work import unit_of_work
from msvs.models import MessageKind

log = structlog.get_logger(__name__)


async def send_auto(
    ctx: Context,
    *,
    phone: str,
    contact_id: UUID | None,
    text: str,
    now: datetime,
    sender: str | None = None,
    is_counted: bool = False,
) -> None:
    """Queue the service's own answer to a phone; it goes out even to one that has just opted out.

    `sender` is the number that the phone wrote to, where it wrote: the answer comes from there, if it is the
    workspace's. What answers nothing `is_counted` among the hour's messages to the phone's range: a form may be made
    to ask any number.

    Where live has no carrier, the region is blocked, or balance or caps do not cover it, nothing is sent, and consent
    changes all the same.
    """
    if not text.strip() or not ctx.services.carriers.has_any(ctx.livemode):
        return
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    size = measure(text)
    try:
        number = parse_phone(phone)
        check_destination(number, workspace.blocked_regions, workspace.enabled_regions)
        async with unit_of_work():
            if is_counted and workspace.prefix_hourly_cap is not None:
                await caps.count_message(ctx, number, workspace.prefix_hourly_cap, now)
            message = make_single(
                ctx,
                kind=MessageKind.AUTO,
                contact_id=contact_id,
                phone=phone,
                sender=await automatic_sender(ctx, sender, workspace.default_sender),
                rendered=Rendered(text, size.encoding, size.segments),
                price=rates.price(found_rates, number.region),
                metadata={},
                scheduled_at=None,
                due_at=now,
                now=now,
            )
            await insert_single(ctx, message)
    except (ComplianceRefused, PaymentRequired) as error:
        log.warning("automatic answer not sent", reason=error.code, workspace=str(ctx.workspace_id))
