"""Apply carrier events: match delivery reports to messages, and inbound messages to workspaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from msvs.api.consent.consent import suppress
from msvs.api.consent.revocation import claim_of, may_undo
from msvs.api.context import Context, Services
from msvs.api.dispatch.delivery_reports import DeliveryReport, hold_messages, prove_sent, take_reports
from msvs.api.dispatch.open_months import EVERYWHERE, IdRange, between, recent, within
from msvs.api.dispatch.senders import find_owners, find_users
from msvs.api.inbound.replies import receive_inbound
from msvs.api.text.opt_out_phrases import wants_out
from msvs.api.text.phones import by_canonical, canonical, carrier_phone, with_spellings
from msvs.api.text.quotes import own_words
from msvs.api.text.words import Keyword, classify_reply
from msvs.database import Row, execute, fetch, fetch_row
from msvs.looks import BEGINNING, InOrder
from msvs.models import CARRIER_GARBLED, CARRIER_OPTED_OUT, CarrierEventKind, OptInStatus
from msvs.models.identity import new_id

log = structlog.get_logger(__name__)

# What nobody could place by then is given up: a report may come before its message's reference is written down.
GIVE_UP = timedelta(hours=72)
LONGEST_RETRY = timedelta(hours=1)
# The parts of a long message that have come by then are taken for all there will be.
PARTS_WAIT = timedelta(minutes=10)
# What nobody could read is there to be looked at for so long.
UNREAD_KEPT = timedelta(days=90)
# For longer than carriers bring again what they were not told had arrived.
PARTS_KNOWN = timedelta(hours=25)

PICK_CARRIER_EVENTS = """
SELECT * FROM carrier_signals WHERE due_at >= $4 AND due_at <= $1 AND kind = $2
ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
"""

REFUSED = "SELECT id, workspace_id, livemode, to_phone FROM messages WHERE id = ANY($1) AND {in_months}"

# Anyone who came back after the carrier refused a message stays in.
HOLD_CONTACTS = """
SELECT phone, canonical, opt_in_status FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[]) ORDER BY id FOR NO KEY UPDATE
"""
OPT_INS_SINCE = """
SELECT phone, source, actor, given_at, is_renewed, created_at FROM consent_events
WHERE workspace_id = $1 AND livemode = $2 AND phone = ANY($3::varchar[]) AND status = 'opted_in' AND created_at > $4
"""

# The message of each report, by our id or the carrier's; only the carrier that has it may report of it. A report of a
# part goes by the carrier's reference, among those of its message where it names one.
MATCH_CARRIER_EVENTS = """
SELECT incoming.id AS carrier_event_id, part.id AS part_id, messages.id AS message_id
FROM unnest($1::uuid[], $2::varchar[], $3::uuid[], $4::varchar[], $5::bool[])
    AS incoming (id, carrier, message_id, carrier_ref, is_of_part)
LEFT JOIN LATERAL (
    SELECT id, message_id FROM message_parts
    WHERE message_parts.carrier = incoming.carrier AND ref = incoming.carrier_ref
        AND (incoming.message_id IS NULL OR incoming.is_of_part AND message_parts.message_id = incoming.message_id)
    ORDER BY id DESC LIMIT 1
) AS part ON true
LEFT JOIN LATERAL (
    SELECT id FROM messages WHERE part.id IS NULL AND carrier_ref = incoming.carrier_ref AND {in_months}
        AND messages.carrier = incoming.carrier AND messages.carrier <> 'virtual'
        AND (incoming.message_id IS NULL OR incoming.is_of_part AND messages.id = incoming.message_id)
    ORDER BY id DESC LIMIT 1
) AS named ON true
JOIN messages ON messages.id = coalesce(
        part.message_id, named.id, CASE WHEN NOT incoming.is_of_part THEN incoming.message_id END
    ) AND messages.carrier = incoming.carrier AND messages.livemode AND {in_months}
"""

# What nobody will write down any more: the hand-over had no answer, and anyone who made it has no lease.
LOCK_UNANSWERED = """
SELECT id FROM messages WHERE id = ANY($1) AND carrier = $2 AND livemode AND status = 'sending' AND lease_until IS NULL
    AND {in_months} AND NOT EXISTS (SELECT FROM message_parts WHERE message_id = messages.id)
ORDER BY id FOR NO KEY UPDATE
"""

# Parts of a lost hand-over have names that no report has, until one gives them theirs.
UNNAMED = "message_parts.ref = message_parts.message_id::varchar || ':' || message_parts.number"
# Of those that were handed over twice, whose second hand-over has its parts: the first, which had no answer, when a
# report names a part that is none of them.
LOCK_FIRST_UNANSWERED = f"""
SELECT messages.id, first.claim_token FROM messages JOIN LATERAL (
    SELECT claim_token FROM message_attempts
    WHERE message_id = messages.id AND outcome = 'unknown' AND NOT is_resend AND {{in_attempts}} ORDER BY id LIMIT 1
) AS first ON true
WHERE messages.id = ANY($1) AND carrier = $2 AND livemode AND on_unknown = 'resend' AND {{in_months}}
    AND EXISTS (SELECT FROM message_attempts WHERE message_id = messages.id AND is_resend AND {{in_attempts}})
    AND EXISTS (SELECT FROM message_parts WHERE message_id = messages.id)
    AND NOT EXISTS (
        SELECT FROM message_parts WHERE message_id = messages.id AND (hand_over = first.claim_token OR {UNNAMED})
    )
ORDER BY messages.id FOR NO KEY UPDATE OF messages
"""

PREPARE = """
INSERT INTO message_parts (id, message_id, carrier, ref, number, created_at, hand_over)
SELECT part.id, part.message_id, $4, part.message_id::varchar || ':' || part.number, part.number, $5, part.hand_over
FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $6::uuid[]) AS part (id, message_id, number, hand_over)
"""
NAME_MESSAGES = f"""
WITH free AS (
    SELECT id, message_id,
        row_number() OVER (PARTITION BY message_id ORDER BY hand_over NULLS FIRST, number) AS place
    FROM message_parts WHERE message_id = ANY($1::uuid[]) AND carrier = $3 AND {UNNAMED}
), named AS (
    SELECT message_id, ref, row_number() OVER (PARTITION BY message_id ORDER BY ref) AS place
    FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::varchar[]) AS said (message_id, ref)) AS said
)
UPDATE message_parts SET ref = named.ref FROM free JOIN named USING (message_id, place) WHERE message_parts.id = free.id
"""

LOCK_REPORTED = "SELECT id FROM messages WHERE id = ANY($1) AND {in_months} ORDER BY id FOR NO KEY UPDATE"

PART = """
UPDATE message_parts SET state = said.state, error_code = said.error_code
FROM unnest($1::uuid[], $2::varchar[], $3::varchar[]) AS said (id, state, error_code)
WHERE message_parts.id = said.id AND message_parts.state IS NULL
"""

# A message in parts is delivered when all of one hand-over are, and failed once one of each hand-over is.
WHOLE = """
WITH hand_overs AS (
    SELECT message_id, bool_and(state IS NOT DISTINCT FROM 'delivered') AS is_delivered,
        coalesce(bool_or(state = 'failed'), false) AS has_failed,
        min(error_code) FILTER (WHERE state = 'failed') AS error_code
    FROM message_parts WHERE message_id = ANY($1) GROUP BY message_id, hand_over
)
SELECT message_id, bool_or(is_delivered) AS is_delivered, min(error_code) AS error_code
FROM hand_overs GROUP BY message_id HAVING bool_or(is_delivered) OR bool_and(has_failed)
"""

# What has more digits is a phone.
LONGEST_SHORT_CODE = 8

DELETE_CARRIER_EVENTS = "DELETE FROM carrier_signals WHERE id = ANY($1)"

# A part brought again would be taken for one of another message, whose others never come.
SPENT = """
UPDATE carrier_signals SET from_phone = NULL, to_sender = NULL, text = '', due_at = received_at + $2::interval
WHERE id = ANY($1)
"""

UNREAD = """
UPDATE carrier_signals
SET kind = 'unread', text = $2, part_ref = NULL, part_number = NULL, part_count = NULL, due_at = $3
WHERE id = $1
"""

LATER = """
UPDATE carrier_signals SET tries = tries + 1,
    due_at = $2::timestamptz + least(interval '1 second' * 2 ^ least(tries, 12), $3)
WHERE id = ANY($1)
"""

# How soon the report of a message that somebody holds is looked at again.
HELD_WAIT = timedelta(seconds=1)
PUT_OFF_CARRIER_EVENTS = "UPDATE carrier_signals SET due_at = $2 WHERE id = ANY($1)"

POSTPONE_CARRIER_EVENT = """
UPDATE carrier_signals SET tries = tries + 1,
    due_at = $2::timestamptz + coalesce($4::interval, least(interval '1 second' * 2 ^ least(tries, 12), $3))
WHERE id = $1
"""
# What a phone wrote is applied in its order: one waits for what is due and came before it, also where another worker
# holds that, or somebody who is stuck holds up its contact, and however their carriers write its number. The kind is
# named beside the time, in the order of an index: named alone, the one by phones would do, of which all would be read.
PICK_INBOUND = """
SELECT written.* FROM carrier_signals AS written
WHERE (kind, due_at) >= ('inbound', $3) AND (kind, due_at) <= ('inbound', $1) AND id <> ALL($2) AND NOT EXISTS (
    SELECT FROM carrier_signals AS earlier WHERE earlier.kind = 'inbound'
        AND phone_tail(earlier.from_phone) = phone_tail(written.from_phone)
        AND earlier.due_at + interval '0' <= $1
        AND (earlier.received_at, earlier.id) < (written.received_at, written.id)
    OFFSET 0
)
ORDER BY kind, due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
"""


async def apply_reports(*, limit: int, now: datetime, looks: InOrder | None = None) -> int:
    """Apply a batch of delivery reports in the current transaction. Return how many were looked at."""
    pick = partial(fetch, PICK_CARRIER_EVENTS, now, CarrierEventKind.REPORT, limit)
    carrier_events = await (looks or InOrder()).find(now, pick)
    if not carrier_events:
        return 0
    found = await _match(carrier_events, now)
    # A report names its message itself, or by the carrier's reference.
    named = {row.id: found[row.id].message_id if row.id in found else row.message_id for row in carrier_events}
    held = await hold_messages(message_id for message_id in named.values() if message_id is not None)
    if held:
        waiting = [row.id for row in carrier_events if named[row.id] in held]
        await execute(PUT_OFF_CARRIER_EVENTS, waiting, now + HELD_WAIT)
        carrier_events = [row for row in carrier_events if named[row.id] not in held]
    unnamed = [row for row in carrier_events if row.id not in found and _is_of_part(row) and row.message_id is not None]
    if unnamed:
        await _name_parts(unnamed, now)
        found |= await _match(unnamed, now)
    reports = [
        DeliveryReport(found[row.id].message_id, row.is_delivered, row.error_code)
        for row in carrier_events
        if row.id in found and found[row.id].part_id is None
    ]
    parts = [(found[row.id], row) for row in carrier_events if row.id in found and found[row.id].part_id is not None]
    reports += await _apply_parts(parts)
    await take_reports(reports, now)
    await _finish(carrier_events, found.keys(), now)
    return len(named)


async def _match(carrier_events: Sequence[Row], now: datetime) -> dict[UUID, Row]:
    """Return which message, or part of one, each report is of: of the last days, else of any month."""
    named = [row.message_id for row in carrier_events if row.message_id is not None]
    found = await _match_in(recent(now - GIVE_UP, named), carrier_events)
    older = [row for row in carrier_events if row.id not in found]
    return found | await _match_in(EVERYWHERE, older) if older else found


async def _match_in(months: IdRange, carrier_events: Sequence[Row]) -> dict[UUID, Row]:
    rows = await fetch(
        between(MATCH_CARRIER_EVENTS, months),
        [row.id for row in carrier_events],
        [row.carrier for row in carrier_events],
        [row.message_id for row in carrier_events],
        [row.carrier_ref for row in carrier_events],
        [_is_of_part(row) for row in carrier_events],
    )
    return {row.carrier_event_id: row for row in rows}


def _is_of_part(row: Row) -> bool:
    return bool((row.part_count or 1) > 1)


async def _name_parts(carrier_events: Sequence[Row], now: datetime) -> None:
    """Let reports name the parts of messages whose hand-over was lost, and with it the carrier's references."""
    for carrier in sorted({row.carrier for row in carrier_events}):
        ours = [row for row in carrier_events if row.carrier == carrier]
        counts = {row.message_id: row.part_count for row in ours}
        lost = [row.id for row in await fetch(within(LOCK_UNANSWERED, counts), sorted(counts), carrier)]
        if lost:
            await _prepare_parts(carrier, dict.fromkeys(lost), counts, now)
            await prove_sent(lost, now)
        # Of a second hand-over nobody may know yet that these are none of its parts.
        first = {row.id: row.claim_token for row in await _find_first_unanswered(carrier, counts)}
        await _prepare_parts(carrier, first, counts, now)
        # Two workers with reports of one message must not name the same part.
        await fetch(within(LOCK_REPORTED, counts), sorted(counts))
        await execute(NAME_MESSAGES, [row.message_id for row in ours], [row.carrier_ref for row in ours], carrier)


async def _find_first_unanswered(carrier: str, counts: Mapping[UUID, int]) -> Sequence[Row]:
    return await fetch(within(LOCK_FIRST_UNANSWERED, counts), sorted(counts), carrier)


async def _prepare_parts(
    carrier: str, hand_overs: Mapping[UUID, UUID | None], counts: Mapping[UUID, int], now: datetime
) -> None:
    """Write the parts of hand-overs by message, for reports to name; each counts by its claim token."""
    parts = [(message_id, number) for message_id in hand_overs for number in range(1, counts[message_id] + 1)]
    if parts:
        await execute(
            PREPARE,
            [new_id() for _ in parts],
            [message_id for message_id, _ in parts],
            [number for _, number in parts],
            carrier,
            now,
            [hand_overs[message_id] for message_id, _ in parts],
        )


async def _apply_parts(parts: Sequence[tuple[Row, Row]]) -> list[DeliveryReport]:
    """Note what was reported of parts; the reports of the messages that it settles."""
    if not parts:
        return []
    message_ids = sorted({match.message_id for match, _ in parts})
    # Two reports of one message's parts, taken by two workers, must see each other.
    await fetch(within(LOCK_REPORTED, message_ids), message_ids)
    await execute(
        PART,
        [match.part_id for match, _ in parts],
        ["delivered" if row.is_delivered else "failed" for _, row in parts],
        [row.error_code for _, row in parts],
    )
    return [DeliveryReport(row.message_id, row.is_delivered, row.error_code) for row in await fetch(WHOLE, message_ids)]


async def _finish(carrier_events: Sequence[Row], placed: Iterable[UUID], now: datetime) -> None:
    """Forget the carrier events that were placed, or will never be; the others come up again later."""
    done = set(placed)
    lost = [row for row in carrier_events if row.id not in done and now - row.received_at >= GIVE_UP]
    for row in lost:
        log.warning("carrier event dropped: it belongs to nothing", carrier=row.carrier, kind=row.kind)
    await execute(DELETE_CARRIER_EVENTS, [*done, *(row.id for row in lost)])
    later = [row.id for row in carrier_events if row.id not in done and now - row.received_at < GIVE_UP]
    if later:
        await execute(LATER, later, now, LONGEST_RETRY)


LOCK_INBOUND_PARTS = """
SELECT * FROM carrier_signals WHERE carrier = $1 AND kind = 'inbound' AND part_ref = $2 AND from_phone = $3
    AND to_sender = $4 AND part_count = $5 AND received_at > $6 ORDER BY part_number, id FOR UPDATE SKIP LOCKED
"""


async def apply_inbound(
    services: Services,
    *,
    now: datetime,
    without: Sequence[UUID] = (),
    begin: Callable[[UUID], None] = lambda _: None,
    looks: InOrder | None = None,
) -> int:
    """Take in one inbound message with all its parts in the current transaction; return how many carrier events it was.

    None of `without` is looked at; `begin` is told which one it is.
    """
    picked = await (looks or InOrder()).find(now, partial(fetch, PICK_INBOUND, now, list(without)))
    if not picked:
        return 0
    row = picked[0]
    begin(row.id)
    if row.from_phone is None:
        await execute(DELETE_CARRIER_EVENTS, [row.id])
        return 1
    parts, repeats = _one_of_each(await _parts(row))
    is_whole = len(parts) >= (row.part_count or 1)
    if not is_whole and now - min(part.received_at for part in parts) < PARTS_WAIT:
        await execute(LATER, [row.id], now, timedelta(seconds=5))
        return 1
    phone = carrier_phone(row.from_phone)
    if phone is None:
        await _keep_unread(row, parts, repeats, now)
        return len(parts)
    ctx = await _addressee(services, row.to_sender, phone)
    if ctx is None:
        if await _stop_all(services, row, phone, parts, now):
            await _spend([*parts, *repeats])
        else:
            await _finish([*parts, *repeats], (), now)
        return len(parts)
    first = parts[0]
    await receive_inbound(
        ctx,
        from_phone=phone,
        to_sender=_sender(row.to_sender),
        text=_joined(parts),
        dedupe_key=f"{row.carrier}:{first.dedupe_key}",
        now=now,
        is_opt_out=_is_opt_out(parts),
        is_garbled=any(part.error_code == CARRIER_GARBLED for part in parts),
    )
    await _spend([*parts, *repeats])
    return len(parts)


async def _keep_unread(row: Row, parts: Sequence[Row], repeats: Sequence[Row], now: datetime) -> None:
    """Keep a message from what is no number: a name, a short code, or a form that is not known.

    It opts nobody out by itself, and may have been meant to: it is counted, and somebody can read it.
    """
    log.warning("inbound message kept: its sender is not a readable phone number", carrier=row.carrier)
    await execute(UNREAD, parts[0].id, _joined(parts), now + UNREAD_KEPT)
    rest = [part for part in (*parts, *repeats) if part.id != parts[0].id]
    if rest:
        await execute(SPENT, [part.id for part in rest], PARTS_KNOWN)


async def list_unread(*, limit: int) -> Sequence[Row]:
    """Inbound messages from what is no number, the newest first."""
    return await fetch("SELECT * FROM carrier_signals WHERE kind = 'unread' ORDER BY id DESC LIMIT $1", limit)


async def forget_unread(*, limit: int, now: datetime, looks: InOrder | None = None) -> int:
    """Forget inbound messages from what is no number that were kept for UNREAD_KEPT. Return the count."""
    pick = partial(fetch, PICK_CARRIER_EVENTS, now, CarrierEventKind.UNREAD, limit)
    due = [row.id for row in await (looks or InOrder()).find(now, pick)]
    await execute(DELETE_CARRIER_EVENTS, due)
    return len(due)


async def _spend(parts: Sequence[Row]) -> None:
    """Forget what was taken in; of the parts of a long message only that they were is known for a while."""
    if (parts[0].part_count or 1) <= 1:
        await execute(DELETE_CARRIER_EVENTS, [parts[0].id])
    else:
        await execute(SPENT, [part.id for part in parts], PARTS_KNOWN)


def _is_opt_out(parts: Sequence[Row]) -> bool:
    return any(part.error_code == CARRIER_OPTED_OUT for part in parts)


def asks_out(parts: Sequence[Row]) -> bool:
    """Return whether an inbound message, in its parts, asks to opt out by its words or the carrier's."""
    own = own_words(_joined(parts), ())
    return _is_opt_out(parts) or classify_reply(own) is Keyword.STOP or wants_out(own) is not None


async def _stop_all(services: Services, row: Row, phone: str, parts: Sequence[Row], now: datetime) -> bool:
    """Take a STOP that nobody can place, to a sender of several workspaces, for a STOP to all of them."""
    if not asks_out(parts):
        return False
    owners = sorted(owner.workspace_id for owner in await find_users(_sender(row.to_sender)))
    for workspace_id in owners:
        await suppress(
            Context(workspace_id, True, services=services), [phone], source="keyword", text=_joined(parts), now=now
        )
    return bool(owners)


async def apply_opt_outs(services: Services, *, limit: int, now: datetime, looks: InOrder | None = None) -> int:
    """Opt out those to whom a carrier refused a message because they had.

    Return how many carrier events were looked at.

    Those of one workspace and mode, in the current transaction; the others are still due.
    """
    pick = partial(fetch, PICK_CARRIER_EVENTS, now, CarrierEventKind.OPT_OUT, limit)
    picked = await (looks or InOrder()).find(now, pick)
    refused = [row.message_id for row in picked if row.message_id is not None]
    found = {row.id: row for row in await fetch(within(REFUSED, refused), refused)} if refused else {}
    scope = next(((row.workspace_id, row.livemode) for row in map(found.get, refused) if row is not None), None)
    ours = [
        (row, message)
        for row in picked
        if (message := found.get(row.message_id)) is None or (message.workspace_id, message.livemode) == scope
    ]
    # Of a message that was erased since, the phone is no phone any more.
    to = [
        (message.to_phone, row.received_at)
        for row, message in ours
        if message is not None and message.to_phone.startswith("+")
    ]
    named = by_canonical(phone for phone, _ in to)
    said = {canonical(phone): received_at for phone, received_at in to}
    if said and scope is not None:
        ctx = Context(*scope, services=services)
        phones = said.keys() - await _came_back(ctx, said)
        if phones:
            await suppress(ctx, sorted(named[phone] for phone in phones), source="carrier", now=now)
    await execute(DELETE_CARRIER_EVENTS, [row.id for row, _ in ours])
    return len(ours)


async def _came_back(ctx: Context, said: Mapping[str, datetime]) -> set[str]:
    """Of phones that opted out at a carrier, and when: those that are in by what may undo that."""
    # All of them, in the order of those who suppress: one that is not in is suppressed next.
    held = await fetch(HOLD_CONTACTS, ctx.workspace_id, ctx.livemode, list(said))
    held = [row for row in held if row.opt_in_status == OptInStatus.OPTED_IN]
    if not held:
        return set()
    phones, earliest = with_spellings(row.canonical for row in held), min(said.values())
    rows = await fetch(OPT_INS_SINCE, ctx.workspace_id, ctx.livemode, phones, earliest)
    came_back = set()
    for row in rows:
        phone = canonical(row.phone)
        if row.created_at > said[phone] and may_undo(claim_of(row), said[phone], row.created_at):
            came_back.add(phone)
    return came_back


async def postpone(kind: str, now: datetime, wait: timedelta | None = None) -> None:
    """Put the first due carrier event of a kind off: it could not be applied, and must not hold up the others.

    For `wait`, or longer each time.
    """
    row = await fetch_row(PICK_CARRIER_EVENTS, now, kind, 1, BEGINNING)
    if row is not None:
        await execute(POSTPONE_CARRIER_EVENT, row.id, now, LONGEST_RETRY, wait)


async def put_off(id: UUID, now: datetime) -> None:
    """Put an inbound message off that could not be applied, longer each time: it must not hold up the others."""
    await execute(POSTPONE_CARRIER_EVENT, id, now, LONGEST_RETRY, None)


async def _parts(row: Row) -> Sequence[Row]:
    """Return the parts of a message that have come, in their order; of one that is whole, itself."""
    if row.part_ref is None or (row.part_count or 1) <= 1:
        return [row]
    # References of parts are counted up to 255 and come round again.
    since = row.received_at - PARTS_WAIT
    return await fetch(
        LOCK_INBOUND_PARTS, row.carrier, row.part_ref, row.from_phone, row.to_sender, row.part_count, since
    )


def _one_of_each(parts: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the earliest of each part, and those that repeat one; what has another text is of the next message."""
    first: dict[int, Row] = {}
    repeats = []
    for part in parts:
        one = first.setdefault(part.part_number or 1, part)
        if one is not part and one.text == part.text:
            repeats.append(part)
    return list(first.values()), repeats


def _joined(parts: Sequence[Row]) -> str:
    texts: Mapping[int, str] = {part.part_number or 1: part.text for part in parts}
    count = max(parts[0].part_count or 1, 1)
    return "".join(texts.get(number, " … ") for number in range(1, count + 1))


# By workspace, as a phone is only found within one.
FIND_LATEST_WORKSPACE = """
SELECT messages.workspace_id FROM {workspaces} AS wanted (id)
JOIN contacts ON contacts.workspace_id = wanted.id AND contacts.livemode AND contacts.canonical = $1
JOIN messages ON messages.contact_id = contacts.id AND messages.livemode AND messages.sender = $2
    AND (messages.sent_at IS NOT NULL OR messages.status = 'sending')
ORDER BY messages.id DESC LIMIT 1
"""
LATEST_OF = FIND_LATEST_WORKSPACE.format(workspaces="unnest($3::uuid[])")
FIND_LATEST_WORKSPACE_OF_ALL = FIND_LATEST_WORKSPACE.format(workspaces="(SELECT id FROM workspaces)")


async def _addressee(services: Services, to_sender: str, phone: str) -> Context | None:
    """Return the workspace that an inbound message is for: the sender's owner, or of several the one that wrote last.

    A sender that no workspace owns any more had an owner: anyone who says STOP to it says so to who wrote from it last.
    """
    sender = _sender(to_sender)
    owners = [row.workspace_id for row in await find_owners(sender)]
    if len(owners) == 1:
        return Context(owners[0], True, services=services)
    one = canonical(phone)
    row = await (
        fetch_row(LATEST_OF, one, sender, owners) if owners else fetch_row(FIND_LATEST_WORKSPACE_OF_ALL, one, sender)
    )
    return None if row is None else Context(row.workspace_id, True, services=services)


def _sender(sender: str) -> str:
    """Return a sender as carriers write it, as workspaces do: a phone in E.164, a short code in digits."""
    if sum(character.isdigit() for character in sender) > LONGEST_SHORT_CODE:
        return carrier_phone(sender) or sender
    return sender
