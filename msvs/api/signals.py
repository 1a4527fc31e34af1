"""What real carriers brought: their delivery reports find their messages, their inbound messages find a workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from msvs.api.consent import suppress
from msvs.api.context import Context
from msvs.api.opt_out_phrases import wants_out
from msvs.api.phones import region_of
from msvs.api.replies import receive_inbound
from msvs.api.reports import DeliveryReport, take_reports
from msvs.api.senders import find_owners
from msvs.api.words import Keyword, classify_reply
from msvs.database import Row, execute, fetch, fetch_row, fetch_value
from msvs.models import SignalKind

log = structlog.get_logger(__name__)

# What nobody could place by then is given up: a report may come before its message's reference is written down.
GIVE_UP = timedelta(hours=72)
LONGEST_RETRY = timedelta(hours=1)
# The parts of a long message that have come by then are taken for all there will be.
PARTS_WAIT = timedelta(minutes=10)

PICK = """
SELECT * FROM carrier_signals WHERE due_at <= $1 AND kind = $2 ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
"""

# The message of each report, by our id or the carrier's; only the carrier that has it may report of it.
MATCH = """
SELECT signal.id AS signal_id, part.id AS part_id, messages.id AS message_id
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[], $4::varchar[]) AS signal (id, carrier, message_id, carrier_ref)
LEFT JOIN LATERAL (
    SELECT id, message_id FROM message_parts
    WHERE signal.message_id IS NULL AND message_parts.carrier = signal.carrier AND ref = signal.carrier_ref
    ORDER BY id DESC LIMIT 1
) AS part ON true
LEFT JOIN LATERAL (
    SELECT id FROM messages WHERE signal.message_id IS NULL AND part.id IS NULL AND carrier_ref = signal.carrier_ref
        AND messages.carrier = signal.carrier AND messages.carrier <> 'virtual'
    ORDER BY id DESC LIMIT 1
) AS named ON true
JOIN messages ON messages.id = coalesce(signal.message_id, part.message_id, named.id)
    AND messages.carrier = signal.carrier AND messages.livemode
"""

PART = """
UPDATE message_parts SET state = said.state, error_code = said.error_code
FROM unnest($1::uuid[], $2::varchar[], $3::varchar[]) AS said (id, state, error_code)
WHERE message_parts.id = said.id AND message_parts.state IS NULL
"""

# A message in parts is delivered when all of them are, and failed once one is.
WHOLE = """
SELECT message_id, bool_and(state IS NOT DISTINCT FROM 'delivered') AS is_delivered,
    min(error_code) FILTER (WHERE state = 'failed') AS error_code
FROM message_parts WHERE message_id = ANY($1) GROUP BY message_id
HAVING bool_and(state IS NOT DISTINCT FROM 'delivered') OR bool_or(state = 'failed')
"""

DONE = "DELETE FROM carrier_signals WHERE id = ANY($1)"

LATER = """
UPDATE carrier_signals SET tries = tries + 1,
    due_at = $2::timestamptz + least(interval '1 second' * 2 ^ least(tries, 12), $3)
WHERE id = ANY($1)
"""


async def has_due(now: datetime) -> bool:
    """Whether a carrier brought something that can be applied."""
    return bool(await fetch_value("SELECT EXISTS (SELECT FROM carrier_signals WHERE due_at <= $1)", now))


async def apply_reports(*, limit: int, now: datetime) -> int:
    """Apply a batch of delivery reports in the current transaction; how many were looked at."""
    signals = await fetch(PICK, now, SignalKind.REPORT, limit)
    if not signals:
        return 0
    matches = await fetch(
        MATCH,
        [row.id for row in signals],
        [row.carrier for row in signals],
        [row.message_id for row in signals],
        [row.carrier_ref for row in signals],
    )
    found = {row.signal_id: row for row in matches}
    reports = [
        DeliveryReport(found[row.id].message_id, row.is_delivered, row.error_code)
        for row in signals
        if row.id in found and found[row.id].part_id is None
    ]
    parts = [(found[row.id], row) for row in signals if row.id in found and found[row.id].part_id is not None]
    reports += await _apply_parts(parts)
    await take_reports(reports, now)
    await _finish(signals, found.keys(), now)
    return len(signals)


async def _apply_parts(parts: Sequence[tuple[Row, Row]]) -> list[DeliveryReport]:
    """Note what was reported of parts; the reports of the messages that it settles."""
    if not parts:
        return []
    message_ids = sorted({match.message_id for match, _ in parts})
    # Two reports of one message's parts, taken by two workers, must see each other.
    await fetch("SELECT id FROM messages WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE", message_ids)
    await execute(
        PART,
        [match.part_id for match, _ in parts],
        ["delivered" if row.is_delivered else "failed" for _, row in parts],
        [row.error_code for _, row in parts],
    )
    return [DeliveryReport(row.message_id, row.is_delivered, row.error_code) for row in await fetch(WHOLE, message_ids)]


async def _finish(signals: Sequence[Row], placed: Iterable[UUID], now: datetime) -> None:
    """Forget the signals that were placed, or will never be; the others come up again later."""
    done = set(placed)
    lost = [row for row in signals if row.id not in done and now - row.received_at >= GIVE_UP]
    for row in lost:
        log.warning("carrier signal given up: nothing it belongs to", carrier=row.carrier, kind=row.kind)
    await execute(DONE, [*done, *(row.id for row in lost)])
    later = [row.id for row in signals if row.id not in done and now - row.received_at < GIVE_UP]
    if later:
        await execute(LATER, later, now, LONGEST_RETRY)


PARTS = """
SELECT * FROM carrier_signals WHERE carrier = $1 AND kind = 'inbound' AND part_ref = $2 AND from_phone = $3
    AND to_sender = $4 AND part_count = $5 AND received_at > $6 ORDER BY part_number, id FOR UPDATE SKIP LOCKED
"""


async def apply_inbound(*, now: datetime) -> int:
    """Take in one inbound message, all its parts together, in the current transaction; how many signals it was."""
    row = await fetch_row(PICK, now, SignalKind.INBOUND, 1)
    if row is None:
        return 0
    parts = await _parts(row)
    is_whole = len({part.part_number for part in parts}) >= (row.part_count or 1)
    if not is_whole and now - min(part.received_at for part in parts) < PARTS_WAIT:
        await execute(LATER, [row.id], now, timedelta(seconds=5))
        return 1
    if region_of(_e164(row.from_phone)) is None:
        # A service number or a name: nobody who could be answered or could opt out.
        log.info("inbound message from no phone dropped", carrier=row.carrier)
        await _finish(parts, [part.id for part in parts], now)
        return len(parts)
    ctx = await _addressee(row.to_sender, row.from_phone)
    if ctx is None:
        is_placed = await _stop_all(row, _joined(parts), now)
        await _finish(parts, [part.id for part in parts] if is_placed else (), now)
        return len(parts)
    first = parts[0]
    await receive_inbound(
        ctx,
        from_phone=_e164(row.from_phone),
        to_sender=_sender(row.to_sender),
        text=_joined(parts),
        dedupe_key=f"{row.carrier}:{first.dedupe_key}",
        now=now,
    )
    await _finish(parts, [part.id for part in parts], now)
    return len(parts)


async def _stop_all(row: Row, text: str, now: datetime) -> bool:
    """Take a STOP that nobody can place, to a sender of several workspaces, for a STOP to all of them."""
    if classify_reply(text) is not Keyword.STOP and wants_out(text) is None:
        return False
    owners = [owner.workspace_id for owner in await find_owners(_sender(row.to_sender))]
    for workspace_id in owners:
        await suppress(Context(workspace_id, True), [_e164(row.from_phone)], source="keyword", text=text, now=now)
    return bool(owners)


async def postpone(kind: str, now: datetime) -> None:
    """Put the first due signal of a kind off: it could not be applied, and must not hold up the others."""
    row = await fetch_row(PICK, now, kind, 1)
    if row is not None:
        await execute(LATER, [row.id], now, LONGEST_RETRY)


async def _parts(row: Row) -> Sequence[Row]:
    """The parts of a message that have come, in their order; of one that is whole, itself."""
    if row.part_ref is None or (row.part_count or 1) <= 1:
        return [row]
    # References of parts are counted up to 255 and come round again.
    since = row.received_at - PARTS_WAIT
    return await fetch(PARTS, row.carrier, row.part_ref, row.from_phone, row.to_sender, row.part_count, since)


def _joined(parts: Sequence[Row]) -> str:
    texts: Mapping[int, str] = {part.part_number or 1: part.text for part in reversed(parts)}
    count = max(parts[0].part_count or 1, 1)
    return "".join(texts.get(number, " … ") for number in range(1, count + 1))


# By workspace, as a phone is only found within one.
LATEST = """
SELECT messages.workspace_id FROM {workspaces} AS wanted (id)
JOIN contacts ON contacts.workspace_id = wanted.id AND contacts.livemode AND contacts.phone = $1
JOIN messages ON messages.contact_id = contacts.id AND messages.livemode AND messages.sender = $2
    AND (messages.sent_at IS NOT NULL OR messages.status = 'sending')
ORDER BY messages.id DESC LIMIT 1
"""
LATEST_OF = LATEST.format(workspaces="unnest($3::uuid[])")
LATEST_OF_ALL = LATEST.format(workspaces="(SELECT id FROM workspaces)")


async def _addressee(to_sender: str, from_phone: str) -> Context | None:
    """The workspace that an inbound message is for: the sender's owner, or of several the one that wrote last.

    A sender that is nobody's any more was somebody's: whoever says STOP to it says so to who wrote from it last.
    """
    phone, sender = _e164(from_phone), _sender(to_sender)
    owners = [row.workspace_id for row in await find_owners(sender)]
    if len(owners) == 1:
        return Context(owners[0], True)
    row = await (fetch_row(LATEST_OF, phone, sender, owners) if owners else fetch_row(LATEST_OF_ALL, phone, sender))
    return None if row is None else Context(row.workspace_id, True)


def _e164(phone: str) -> str:
    """A phone as carriers write it, in E.164: many leave the plus out."""
    return phone if phone.startswith("+") else f"+{phone}"


def _sender(sender: str) -> str:
    """A sender as carriers write it, as workspaces do: a phone in E.164, a short code in digits."""
    if sender.isdigit() and len(sender) > 8 and region_of(f"+{sender}") is not None:
        return f"+{sender}"
    return sender
