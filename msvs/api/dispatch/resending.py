"""Hand over messages with an unknown outcome once more, if they ask for it and nothing forbids it.

Of a carrier that cannot be asked nobody learns whether it has a message whose answer was lost. A message that says
`on_unknown: "resend"` is then sent again after its lease, at most once more: an attempt that may have arrived counts,
one that certainly did not is made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Protocol
from uuid import UUID

from msvs.api import settings_of_mode
from msvs.api.context import Services
from msvs.api.dispatch import open_months
from msvs.api.dispatch.admission import refusal_of
from msvs.api.dispatch.claims import Claim, take
from msvs.api.dispatch.expired_leases import (
    IS_STALE,
    IS_SUPPRESSED,
    MAY_RESEND,
    NEVER_KNOWN,
    NOT_PAUSED,
    ExpiredLooks,
    give_up_lease,
    lease_of,
)
from msvs.api.dispatch.halting import begin_part
from msvs.api.dispatch.picking import PickedMessage
from msvs.api.dispatch.senders import find_foreign
from msvs.api.text import quiet_hours
from msvs.database import execute, fetch
from msvs.database import now as clock
from msvs.models.rows import MessageRow

SETTINGS = settings_of_mode.JOIN.format(livemode="messages.livemode")
# With what a claim asks of a recipient: consent, sender and quiet hours are looked at again. No cap holds one back that
# was counted when it was first handed over.
DOUBTFUL = f"""
SELECT messages.*, {IS_SUPPRESSED}, {IS_STALE}, contacts.opt_in_status AS consent, contacts.region, contacts.timezone,
    false AS is_adrift, false AS is_unreachable, NULL::integer AS contact_daily_cap,
    NULL::integer AS contact_weekly_cap, false AS contact_caps_cover_all, settings.campaigns_admit_unknown,
    workspaces.suspended_at IS NOT NULL AS is_suspended,
    coalesce(campaigns.respects_quiet_hours, false) AS respects_quiet_hours
FROM messages
JOIN workspaces ON workspaces.id = messages.workspace_id {SETTINGS}
LEFT JOIN contacts ON contacts.id = messages.contact_id
LEFT JOIN campaigns ON campaigns.id = messages.campaign_id
WHERE messages.status = 'sending' AND messages.lease_until < (SELECT clock_timestamp()) AND messages.carrier = $1
    AND messages.lease_until >= $3 AND {{in_months}} AND {MAY_RESEND} AND {NOT_PAUSED}
ORDER BY messages.lease_until LIMIT $2 FOR UPDATE OF messages SKIP LOCKED
"""

WAIT = """
UPDATE messages SET lease_until = ($2::jsonb ->> id::text)::timestamptz WHERE id = ANY ($1::uuid[]) AND {in_months}
"""
SUSPENDED_WAIT = timedelta(minutes=1)

# A report that came meanwhile, or a cancellation, leaves nothing to hand over.
STILL_DOUBTFUL = """
SELECT id FROM messages
WHERE id = ANY ($1) AND claim_token = $2 AND status = 'sending' AND on_unknown = 'resend' AND {in_months}
"""


class DoubtfulMessage(PickedMessage, Protocol):
    """A message in doubt, with what tells whether it may be handed over once more, and when."""

    @property
    def is_stale(self) -> bool: ...

    @property
    def campaigns_admit_unknown(self) -> bool: ...

    @property
    def is_suspended(self) -> bool: ...

    @property
    def respects_quiet_hours(self) -> bool: ...


class _Message(Protocol):
    id: UUID


@dataclass(frozen=True, slots=True)
class ResendClaim(Claim):
    """Messages in doubt that are handed over once more."""

    is_repeat: bool = True
    is_resend: bool = True


async def claim_doubtful(services: Services, *, carrier: str, limit: int, now: datetime) -> ResendClaim | None:
    """Take messages in doubt that may be handed over once more, or return None if there are none.

    Those that may not, as their recipient opted out or their campaign was canceled, wait for their report alone; those
    that may not yet, as it is night there, keep their lease until they may. The claim is empty if all do.
    """
    moment, open_ids = await open_months.look()
    search = partial(fetch, DoubtfulMessage, open_months.between(DOUBTFUL, open_ids), carrier, limit)
    looks = services.keep(ExpiredLooks).of(DOUBTFUL, carrier)
    rows = await looks.find_by(moment, search, lease_of)
    if not rows:
        return None
    barred = await _find_barred(services, rows)
    await give_up_lease([row.id for row in rows if row.id in barred])
    waiting = {row.id: until for row in rows if row.id not in barred and (until := _waits_until(row, now)) > now}
    if waiting:
        await execute(open_months.within(WAIT, waiting), list(waiting), waiting)
    taken = [row for row in rows if row.id not in barred and row.id not in waiting]
    if not taken:
        return ResendClaim(UUID(int=0), carrier, [])
    await execute(open_months.within(NEVER_KNOWN, [row.id for row in taken]), [row.id for row in taken])
    claim = await take(taken, carrier, now, is_repeat=True, is_resend=True)
    return ResendClaim(claim.token, carrier, taken)


async def _find_barred(services: Services, rows: Sequence[DoubtfulMessage]) -> frozenset[UUID]:
    barred = {row.id for row in rows if row.is_stale or _is_refused(row)}
    live = sorted((row for row in rows if row.livemode), key=attrgetter("workspace_id"))
    for workspace_id, group in groupby(live, key=attrgetter("workspace_id")):
        theirs = list(group)
        foreign = await find_foreign(services, workspace_id, {row.sender for row in theirs})
        barred |= {row.id for row in theirs if row.sender in foreign}
    return frozenset(barred)


def _is_refused(row: DoubtfulMessage) -> bool:
    """Return whether the recipient may not be sent to any more; of somebody who was deleted nobody knows."""
    return row.consent is None or refusal_of(row, row.campaigns_admit_unknown) is not None


def _waits_until(row: DoubtfulMessage, now: datetime) -> datetime:
    if row.is_suspended:
        return now + SUSPENDED_WAIT
    if row.respects_quiet_hours:
        return quiet_hours.next_opening(quiet_hours.zones_of(row.to_phone, row.timezone), row.region, now)
    return now


def by_campaign(claim: ResendClaim) -> Iterator[ResendClaim]:
    """Return a claim's parts, one for each campaign, as a halt of one stops its part alone."""

    def campaign(row: MessageRow) -> str:
        return str(row.campaign_id)

    for _, group in groupby(sorted(claim.messages, key=campaign), key=campaign):
        yield replace(claim, messages=list(group))


async def begin_resend(claim: Claim) -> tuple[Claim, datetime | None]:
    """Return what of a claim is still in doubt, and when handing it over begins: None if its campaign was halted."""
    message_ids = [row.id for row in claim.messages]
    campaign_id = claim.messages[0].campaign_id
    began_at = await clock() if campaign_id is None else await begin_part(campaign_id)
    rows = await fetch(_Message, open_months.within(STILL_DOUBTFUL, message_ids), message_ids, claim.token)
    held = {row.id for row in rows}
    return replace(claim, messages=[row for row in claim.messages if row.id in held]), began_at
