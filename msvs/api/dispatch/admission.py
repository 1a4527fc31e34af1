"""Admit picked messages: refuse, expire or delay those that may not be sent now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msvs.api.context import Services
from msvs.api.credits import credits
from msvs.api.dispatch import frequency, open_months
from msvs.api.dispatch.eligibility import skip_reason
from msvs.api.dispatch.lanes import Lane
from msvs.api.dispatch.message_events import events_of
from msvs.api.dispatch.pacing import RunningCampaign
from msvs.api.dispatch.picking import PickedMessage
from msvs.api.dispatch.senders import find_foreign
from msvs.api.text import quiet_hours
from msvs.api.text.phones import canonical, spellings
from msvs.api.webhooks.events import EventType, record_events
from msvs.database import execute, fetch
from msvs.models import MessageKind, MessageStatus
from msvs.models.rows import MessageRow

# Both, as what was erased may have become plain since the messages were picked. A phone is named once a spelling.
SUPPRESSED_BY_HASH = """
SELECT named.canonical FROM unnest($3::varchar[], $4::varchar[]) AS named (canonical, phone_hash)
WHERE EXISTS (
    SELECT FROM erased_suppressions WHERE workspace_id = $1 AND livemode = $2 AND phone_hash = named.phone_hash
) OR EXISTS (
    SELECT FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND canonical = named.canonical
)
"""


PUT_OFF = """
UPDATE messages SET due_at = ($2::jsonb ->> id::text)::timestamptz WHERE id = ANY ($1::uuid[]) AND {in_months}
"""


async def put_off_until(until: Mapping[UUID, datetime]) -> None:
    """Make messages due at these times."""
    if until:
        await execute(open_months.within(PUT_OFF, until), list(until), until)


async def admit(
    services: Services, lane: Lane, campaign: RunningCampaign | None, picked: Sequence[PickedMessage], now: datetime
) -> list[PickedMessage]:
    """Return the picked messages that may go out now; the others are refused, expired or put off, with their events."""
    ready: list[PickedMessage] = []
    refused: list[tuple[PickedMessage, str]] = []
    expired: list[PickedMessage] = []
    foreign: list[PickedMessage] = []
    put_off: dict[UUID, datetime] = {}
    admit_unknown = campaign is None or campaign.campaigns_admit_unknown
    suppressed = await _find_suppressed(services, lane, picked)
    # Whose a sender is may have changed since a message was accepted. The sandbox's messages reach nobody.
    strangers = (
        await find_foreign(services, lane.workspace_id, {row.sender for row in picked})
        if lane.livemode
        else frozenset()
    )
    for row in picked:
        if row.expires_at is not None and row.expires_at <= now:
            expired.append(row)
        elif (code := refusal_of(row, admit_unknown)) is not None:
            refused.append((row, code))
        elif row.id in suppressed:
            refused.append((row, "recipient_opted_out"))
        elif row.sender in strangers and campaign is not None:
            refused.append((row, "sender_not_allowed"))
        elif row.sender in strangers:
            foreign.append(row)
        elif campaign is not None and campaign.respects_quiet_hours and (opening := _opening(row, now)) > now:
            put_off[row.id] = opening
        else:
            ready.append(row)
    caps = frequency.caps_of(picked[0], campaign) if ready else frequency.Caps()
    if over := await frequency.find_over(lane.workspace_id, lane.livemode, ready, caps, now):
        refused += [
            (row, code) for row in ready if row.id in over if (code := refusal_of(row, admit_unknown, is_capped=True))
        ]
        ready = [row for row in ready if row.id not in over]
    if refused:
        await refuse(lane, refused, now)
    if expired:
        await fail_unsent(lane, expired, "expired", now)
    if foreign:
        await fail_unsent(lane, foreign, "sender_not_allowed", now)
    await put_off_until(put_off)
    return ready


class _Suppressed(Protocol):
    canonical: str


async def _find_suppressed(services: Services, lane: Lane, picked: Sequence[PickedMessage]) -> frozenset[UUID]:
    """Find the picked messages to a number that is not their contact's whose phone said STOP, also where it was erased.

    A send may have read its contact before both: such a phone has no contact, and its suppression is a keyed hash. Or
    the number is another spelling of its contact's.
    """
    adrift = [row for row in picked if row.is_adrift and row.kind != MessageKind.AUTO]
    if not adrift:
        return frozenset()
    scope = (lane.workspace_id, lane.livemode)
    phones = sorted({canonical(row.to_phone) for row in adrift})
    named = [
        (phone, services.keyring.hash_phone(*scope, spelling)) for phone in phones for spelling in spellings(phone)
    ]
    rows = await fetch(
        _Suppressed, SUPPRESSED_BY_HASH, *scope, [phone for phone, _ in named], [hash for _, hash in named]
    )
    suppressed = {row.canonical for row in rows}
    return frozenset(row.id for row in adrift if canonical(row.to_phone) in suppressed)


def _opening(row: PickedMessage, now: datetime) -> datetime:
    return quiet_hours.next_opening(quiet_hours.zones_of(row.to_phone, row.timezone), row.region, now)


def refusal_of(row: PickedMessage, admit_unknown: bool, *, is_capped: bool = False) -> str | None:
    """Return the code for which a picked message must not be sent, or None; automatic answers always may be."""
    if row.kind == MessageKind.AUTO:
        return None
    return skip_reason(
        row.consent,
        admits_unknown=admit_unknown,
        is_suppressed=row.is_suppressed,
        is_single=row.campaign_id is None,
        is_capped=is_capped,
        is_unreachable=bool(row.is_unreachable),
    )


REFUSED_BY_CONSENT = """
UPDATE messages SET status = $3::varchar, error_code = $2::jsonb ->> id::text, credits_used = 0,
    canceled_at = CASE WHEN $3::varchar = 'canceled' THEN $4::timestamptz END
WHERE id = ANY ($1::uuid[]) AND {in_months}
RETURNING *
"""


async def refuse(lane: Lane, refused: Sequence[tuple[PickedMessage, str]], now: datetime) -> None:
    """Skip (in a campaign) or cancel (singly) messages that may not be sent any more, and give their credits back."""
    is_campaign = lane.campaign_id is not None
    message_ids = [row.id for row, _ in refused]
    rows = await fetch(
        MessageRow,
        open_months.within(REFUSED_BY_CONSENT, message_ids),
        message_ids,
        {row.id: code for row, code in refused},
        MessageStatus.SKIPPED.value if is_campaign else MessageStatus.CANCELED.value,
        now,
    )
    if lane.livemode:
        held = {row.id: row.credits_used for row, _ in refused if row.credits_used}
        await credits.release(lane.workspace_id, held, now)
    type = EventType.MESSAGE_SKIPPED if is_campaign else EventType.MESSAGE_CANCELED
    await record_events(events_of(type, rows), now)


FAIL_UNSENT = """
UPDATE messages SET status = 'failed', failed_at = $2, error_code = $3, credits_used = 0
WHERE id = ANY($1) AND {in_months} RETURNING *
"""


async def fail_unsent(lane: Lane, rows: Sequence[MessageRow], code: str, now: datetime) -> None:
    """Fail messages that no carrier has, and give their credits back."""
    message_ids = [row.id for row in rows]
    failed = await fetch(MessageRow, open_months.within(FAIL_UNSENT, message_ids), message_ids, now, code)
    if lane.livemode:
        held = {row.id: row.credits_used for row in rows if row.credits_used}
        await credits.release(lane.workspace_id, held, now)
    await record_events(events_of(EventType.MESSAGE_FAILED, failed), now)
