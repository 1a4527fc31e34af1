"""Consent: opt in and out, with an append-only history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple, Protocol, cast
from uuid import UUID

from asyncpg import LockNotAvailableError
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from msvs.api import crypto, ids
from msvs.api.consent import autoreplies, consent_seals, revocation
from msvs.api.consent.revocation import EVIDENCE_ALONE, OWN_ACT, Claim, OptOut, may_undo, revoked
from msvs.api.context import Context, lock_number
from msvs.api.dispatch import cancellation
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.resources import Resource, contact_resource, moment, optional_id, optional_moment
from msvs.api.scope import find, scoped
from msvs.api.settings_of_mode import find_settings
from msvs.api.text.phones import by_canonical, parse_phone, spellings
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute, fetch, fetch_row, fetch_value
from msvs.fields import AT, E164, ULID, Phone, about
from msvs.models import ConsentEvent, Contact, OptInStatus, rows
from msvs.models.rows import ContactRow
from msvs.replica_reads import from_replica

CONSENT_EVENT = "cns"
CONFIRMATION_WINDOW = timedelta(hours=72)
CONFIRMATION_SOURCE = "double_opt_in"

HISTORY_COLUMNS = (
    "id, workspace_id, livemode, phone, phone_hash, contact_id, status, source, ip, user_agent, text, version,"
    " details_hash, actor, created_at"
)

# Locks are taken in one order by all who write consent: contacts, the lock against erasure, suppressions, the head of
# the chain (by the trigger on the history), messages, credits. The history comes after the suppression because it
# counts what that wrote.
OPT_OUT = f"""
WITH changed AS (
    UPDATE contacts
    SET opt_in_status = 'opted_out', opt_in_source = $4, opt_in_ip = $5, opt_in_at = $6, updated_at = $6
    WHERE id = $1 AND workspace_id = $2 AND livemode = $3 AND opt_in_status <> 'opted_out'
    RETURNING *
), suppressed AS (
    INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
    SELECT $9::uuid, workspace_id, livemode, phone, $4, $6 FROM changed
    ON CONFLICT DO NOTHING RETURNING 1
), history AS (
    INSERT INTO consent_events ({HISTORY_COLUMNS})
    SELECT $7::uuid, workspace_id, livemode, phone, $10, id, opt_in_status, $4, $5, $11, $12, $13, $14, $8, $6
    FROM changed, (SELECT count(*) FROM suppressed) AS written
)
SELECT * FROM changed
"""

# Only `opted_in` lifts the suppression: a number that said STOP stays suppressed while its confirmation is awaited. Of
# evidence, only the suppression that it may undo: where another came meanwhile, nothing is changed.
OPT_IN = f"""
WITH changed AS (
    UPDATE contacts
    SET opt_in_status = $4, opt_in_source = $5, opt_in_ip = $6, opt_in_at = $7, updated_at = $7
    WHERE id = $1 AND workspace_id = $2 AND livemode = $3 AND ($17::bool OR NOT EXISTS (
        SELECT FROM suppressions AS newer WHERE newer.workspace_id = $2 AND newer.livemode = $3
            AND newer.canonical = contacts.canonical AND newer.id IS DISTINCT FROM $18::uuid
    ))
    RETURNING *
), lifted AS (
    DELETE FROM suppressions USING changed
    WHERE suppressions.workspace_id = changed.workspace_id AND suppressions.livemode = changed.livemode
        AND suppressions.canonical = changed.canonical AND changed.opt_in_status = 'opted_in'
    RETURNING 1
), history AS (
    INSERT INTO consent_events ({HISTORY_COLUMNS}, given_at, is_renewed)
    SELECT $8::uuid, workspace_id, livemode, phone, $11, id, opt_in_status, $10, $6, $12, $13, $14, $15, $9, $7,
        $16::timestamptz, $19::bool
    FROM changed, (SELECT count(*) FROM lifted) AS written
)
SELECT * FROM changed
"""

# How often contacts that are made at the same time are looked for, before the caller is told to come back.
LOOKS = 5

# What the advisory lock of suppressions is named by.
SUPPRESSIONS = b"suppressions"

ASKED = """
SELECT EXISTS (
    SELECT FROM messages WHERE contact_id = $1 AND workspace_id = $2 AND livemode = $3 AND kind = 'auto'
        AND created_at = $4 AND NOT (sent_at IS NULL AND status IN ('failed', 'canceled'))
)
"""

LOCK_CONTACTS = """
SELECT id, phone, canonical FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[])
ORDER BY id FOR NO KEY UPDATE
"""

# What was erased while it was suppressed and is named again is plain again, under its old id. A phone is named once a
# spelling, with the hash of it.
RESTORE = """
WITH held AS (
    SELECT id FROM erased_suppressions WHERE workspace_id = $1 AND livemode = $2 AND phone_hash = ANY($4::varchar[])
    ORDER BY phone_hash FOR UPDATE
), restored AS (
    DELETE FROM erased_suppressions AS erased
    USING held, unnest($3::varchar[], $4::varchar[]) AS named (phone, phone_hash)
    WHERE erased.id = held.id AND erased.phone_hash = named.phone_hash
    RETURNING erased.id, named.phone, erased.source, erased.created_at
)
INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
SELECT id, $1, $2, phone, source, created_at FROM restored ORDER BY created_at, id ON CONFLICT DO NOTHING
"""

SUPPRESS = """
INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)
SELECT id, $1, $2, phone, $5::varchar, $6::timestamptz
FROM unnest($3::uuid[], $4::varchar[]) WITH ORDINALITY AS named (id, phone, place)
ORDER BY place ON CONFLICT DO NOTHING RETURNING canonical
"""

OPT_OUT_CONTACTS = """
UPDATE contacts
SET opt_in_status = 'opted_out', opt_in_source = $4, opt_in_ip = $5, opt_in_at = $6, updated_at = $6
WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[]) AND opt_in_status <> 'opted_out'
RETURNING *
"""

# Of phones that had no contact yet when they were suppressed: their contacts made meanwhile. Nobody is waited for here,
# as who holds one may wait for the suppression or for the head of the chain, which are held by now.
LOCK_NEW_CONTACTS = """
SELECT id FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[]) AND NOT id = ANY($4::uuid[])
ORDER BY id FOR NO KEY UPDATE NOWAIT
"""

# Status and source are those of all rows; the id sorts as the phones do.
RECORD_OPT_OUTS = f"""
INSERT INTO consent_events ({HISTORY_COLUMNS})
SELECT id, $1, $2, phone, phone_hash, contact_id, 'opted_out', $8::varchar, $9::varchar, $10::varchar, $11::text,
    $12::varchar, details_hash, $13::varchar, $14::timestamptz
FROM unnest($3::uuid[], $4::varchar[], $5::varchar[], $6::uuid[], $7::varchar[])
    AS entry (id, phone, phone_hash, contact_id, details_hash)
ORDER BY id
"""

# Anyone who said STOP is not opted in with many others: that takes the person, one at a time.
OPT_IN_CONTACTS = """
UPDATE contacts
SET opt_in_status = 'opted_in', opt_in_source = entry.source, opt_in_ip = entry.ip, opt_in_at = $6, updated_at = $6
FROM unnest($3::uuid[], $4::varchar[], $5::varchar[]) AS entry (id, source, ip)
WHERE contacts.workspace_id = $1 AND contacts.livemode = $2 AND contacts.id = entry.id
    AND contacts.opt_in_status = 'unknown' AND NOT EXISTS (
        SELECT FROM suppressions WHERE suppressions.workspace_id = $1 AND suppressions.livemode = $2
            AND suppressions.canonical = contacts.canonical
    )
RETURNING contacts.*
"""

READ_SUPPRESSIONS = """
SELECT phone, canonical, source FROM suppressions
WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[]) ORDER BY phone
"""

RECORD_EVIDENCE = f"""
INSERT INTO consent_events ({HISTORY_COLUMNS}, given_at, is_renewed)
SELECT id, $1, $2, phone, phone_hash, contact_id, 'opted_in', source, ip, user_agent, text, version, details_hash,
    $12::varchar, $13::timestamptz, given_at, is_renewed
FROM unnest($3::uuid[], $4::varchar[], $5::varchar[], $6::uuid[], $7::varchar[], $8::varchar[], $9::varchar[],
    $10::text[], $11::varchar[], $14::varchar[], $15::timestamptz[], $16::bool[])
    AS entry (id, phone, phone_hash, contact_id, source, ip, user_agent, text, version, details_hash, given_at,
        is_renewed)
ORDER BY id
"""


# The other spellings whose last word is that the phone is out.
OUT_ELSEWHERE = """
SELECT named.phone, named.phone_hash FROM unnest($3::varchar[], $4::varchar[]) AS named (phone, phone_hash)
JOIN LATERAL (
    SELECT status FROM consent_events WHERE workspace_id = $1 AND livemode = $2
        AND (phone_hash = named.phone_hash OR phone_hash IS NULL AND phone = named.phone)
        AND status IN ('opted_in', 'opted_out')
    ORDER BY sequence DESC LIMIT 1
) AS last ON last.status = 'opted_out'
ORDER BY named.phone
"""


class ListByPhone(PageQuery, frozen=True, kw_only=True):
    """Of which phone."""

    phone: Annotated[E164, about("Only of this phone, in E.164 format.")] | None = None


class _Contact(Protocol):
    id: UUID


class _Suppression(Protocol):
    canonical: str


class _LockedContact(_Contact, _Suppression, Protocol):
    phone: str


class _ReadSuppression(_Suppression, Protocol):
    phone: str
    source: str


class _Elsewhere(Protocol):
    phone: str
    phone_hash: str


class ConsentEntryResource(Resource, kw_only=True):
    """One consent record of a phone, with its evidence.

    `phone`, `ip`, `user_agent` and `text` are null after an erasure. `given_at` is when the person agreed, if given.
    `sequence` and `hash` are its position in the chain of the workspace and mode.
    """

    id: Annotated[str, about("The id of the entry.")]
    object: Literal["consent_entry"] = "consent_entry"
    livemode: bool
    phone: Phone | None
    contact_id: Annotated[str, about(example=f"con_{ULID}")] | None
    status: Annotated[str, about("The new consent status.", example="opted_in", enum=[*OptInStatus])]
    source: Annotated[str, about("Where consent was given or withdrawn.", example="checkout")] | None
    ip: Annotated[str, about("The IP address of the person; null if unknown.", example="203.0.113.4")] | None
    user_agent: Annotated[str, about("The browser; null if unknown.", example="Mozilla/5.0")] | None
    text: (
        Annotated[
            str,
            about("What the person agreed to or wrote; null if unknown.", example="Text me about Cohort 06."),
        ]
        | None
    )
    version: Annotated[str, about("The version of what the person agreed to.", example="2026-04")] | None
    given_at: Annotated[str, about("When the person agreed; null if not given.", example=AT)] | None
    actor: Annotated[str, about("Who made the change: an API key's or user's id, or `system`.", example=f"key_{ULID}")]
    sequence: Annotated[int, about("The position in the consent chain, from 1.", example=1, minimum=1)]
    hash: Annotated[str, about("The SHA-256 of the record and of the hash before it.", example="5f2b" * 16)]
    erased_at: Annotated[str, about("When the person was erased; null if not erased.")] | None
    created_at: Annotated[str, about("The time of the change.")]


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a person agreed: where, and as far as it is known from which IP address, with which browser, to what.

    `given_at` is when; with `is_renewed` the person agreed again, which undoes an opt-out from before.
    """

    source: str
    ip: str | None
    user_agent: str | None
    text: str | None
    version: str | None
    given_at: datetime | None = None
    is_renewed: bool = False

    @property
    def claim(self) -> Claim:
        """The claim by which the evidence may undo an opt-out."""
        return Claim(given_at=self.given_at, is_renewed=self.is_renewed)


class Words(NamedTuple):
    """How a phone opted out: its source, its words, and the version of the text that it answered."""

    ip: str | None
    user_agent: str | None
    text: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Suppressed:
    """The phones that were suppressed now, and those that were before."""

    added: list[str]
    already: list[str]


def consent_entry_resource(row: rows.ConsentEventRow) -> ConsentEntryResource:
    """Return the shape of an entry of the history."""
    return ConsentEntryResource(
        id=ids.encode_id(CONSENT_EVENT, row.id),
        livemode=row.livemode,
        phone=row.phone,
        contact_id=optional_id(ids.CONTACT, row.contact_id),
        status=str(row.status),
        source=row.source,
        ip=row.ip,
        user_agent=row.user_agent,
        text=row.text,
        version=row.version,
        given_at=optional_moment(row.given_at),
        actor=row.actor,
        # The database's trigger gives each entry its place in the chain.
        sequence=cast("int", row.sequence),
        hash=cast("str", row.hash),
        erased_at=optional_moment(row.erased_at),
        created_at=moment(row.created_at),
    )


@from_replica
async def list_consent(ctx: Context, page: PageRequest, *, phone: str | None = None) -> Page[ConsentEvent]:
    """List the history of consent, newest first, or that of one phone, whether or not it has a contact or was erased.

    Raises InvalidRequest.
    """
    if phone is None:
        return await fetch_page(scoped(ctx, ConsentEvent), page)
    return await fetch_page(history_of(ctx, parse_phone(phone, param="phone").e164), page)


async def list_contact_consent(ctx: Context, id: UUID, page: PageRequest) -> Page[ConsentEvent]:
    """List the history of the consent of a contact's phone, newest first. Raises NotFound."""
    contact = await find(ctx, Contact, id, prefix=ids.CONTACT, noun="contact")
    return await fetch_page(history_of(ctx, contact.phone), page)


async def opt_out(
    ctx: Context,
    contact: ContactRow,
    *,
    source: str,
    ip: str | None = None,
    now: datetime,
    user_agent: str | None = None,
    text: str | None = None,
    version: str | None = None,
) -> bool:
    """Opt a contact out, suppress its phone and cancel what waits for it; False where it was out already.

    The event `contact.opted_out` is written once, however many callers race; its `opt_in.source` tells why. `text` is
    what the person wrote. Of a contact that was deleted meanwhile, the phone is suppressed.
    """
    locked = await _lock(ctx, contact.id)
    if locked is None:
        if (contact.workspace_id, contact.livemode) != (ctx.workspace_id, ctx.livemode):
            return False
        found = await suppress(
            ctx, [contact.phone], source=source, ip=ip, now=now, user_agent=user_agent, text=text, version=version
        )
        return bool(found.added)
    event_id = ids.new_id()
    row = await fetch_row(
        ContactRow,
        OPT_OUT,
        contact.id,
        ctx.workspace_id,
        ctx.livemode,
        source,
        ip,
        now,
        event_id,
        ctx.actor,
        ids.new_id(),
        crypto.phone_hash(ctx, locked.phone),
        user_agent,
        text,
        version,
        ctx.services.keyring.hash_details(event_id, ip, user_agent, text),
    )
    if row is None:
        return False
    await consent_seals.seal_head(ctx, 1)
    await _record(EventType.CONTACT_OPTED_OUT, row, now)
    await cancellation.cancel_waiting(ctx, phone=row.phone, reason="recipient_opted_out", now=now)
    return True


async def repeat_opt_out(ctx: Context, contact: ContactRow, *, source: str, now: datetime, text: str | None) -> None:
    """Add to the history that the owner of a phone that is out said so again: evidence from before that is old now.

    The contact is locked. Neither it nor its suppression changes, and nobody is told.
    """
    await _record_opt_outs(ctx, [(contact.phone, contact.id)], source, now, Words(None, None, text, None))


async def suppress(
    ctx: Context,
    phones: Sequence[str],
    *,
    source: str,
    now: datetime,
    ip: str | None = None,
    user_agent: str | None = None,
    text: str | None = None,
    version: str | None = None,
) -> Suppressed:
    """Suppress phones (E.164) with or without a contact; contacts are opted out, what waits is canceled.

    Spellings of one phone count as one, which is kept as its contact has it, and else as the first of them has it.
    Raises LockNotAvailableError where others make contacts of them again and again, and hold them.
    """
    named = by_canonical(phones)
    for looks_left in reversed(range(LOOKS)):
        try:
            # A savepoint: rolling back lets go of what was locked in it, the head of the chain too.
            async with unit_of_work():
                return await _suppress(ctx, named, source, now, Words(ip, user_agent, text, version))
        except LockNotAvailableError:
            # Somebody holds a contact that was made since: the next look waits for it, before anything else is held.
            if not looks_left:
                raise
    raise AssertionError("unreachable")


async def _suppress(ctx: Context, named: Mapping[str, str], source: str, now: datetime, words: Words) -> Suppressed:
    contacts = await fetch(_LockedContact, LOCK_CONTACTS, ctx.workspace_id, ctx.livemode, list(named))
    of_contacts = {row.canonical: row.id for row in contacts}
    known = dict(sorted({**named, **{row.canonical: row.phone for row in contacts}}.items()))
    await hold_suppressions(ctx)
    await restore_suppressions(ctx, list(known.values()))
    new_ids = [ids.new_id() for _ in known]
    written = await fetch(
        _Suppression, SUPPRESS, ctx.workspace_id, ctx.livemode, new_ids, list(known.values()), source, now
    )
    added = {row.canonical for row in written}
    held = list(of_contacts.values())
    changed = await fetch(ContactRow, OPT_OUT_CONTACTS, ctx.workspace_id, ctx.livemode, held, source, words.ip, now)
    out = sorted(added | {row.canonical for row in changed})
    if out:
        await _record_opt_outs(ctx, [(known[phone], of_contacts.get(phone)) for phone in out], source, now, words)
        if len(of_contacts) < len(named):
            # The head of the chain is held by now: who made a contact meanwhile has committed, and who still will sees
            # the suppression.
            new = await fetch(_Contact, LOCK_NEW_CONTACTS, ctx.workspace_id, ctx.livemode, list(named), held)
            new_held = [row.id for row in new]
            more = await fetch(
                ContactRow, OPT_OUT_CONTACTS, ctx.workspace_id, ctx.livemode, new_held, source, words.ip, now
            )
            changed = [*changed, *more]
        await record_events(
            (
                NewEvent(EventType.CONTACT_OPTED_OUT, row.workspace_id, row.livemode, row.id, contact_resource(row))
                for row in sorted(changed, key=lambda row: row.phone)
            ),
            now,
        )
        await cancellation.cancel_waiting_many(ctx, phones=out, reason="recipient_opted_out", now=now)
    return Suppressed(
        sorted(named[phone] for phone in added), sorted(phone for one, phone in named.items() if one not in added)
    )


async def _record_opt_outs(
    ctx: Context, out: Sequence[tuple[str, UUID | None]], source: str, now: datetime, words: Words
) -> None:
    entries = [(ids.new_id(), phone, contact_id) for phone, contact_id in out]
    await execute(
        RECORD_OPT_OUTS,
        ctx.workspace_id,
        ctx.livemode,
        [id for id, *_ in entries],
        [phone for _, phone, _ in entries],
        [crypto.phone_hash(ctx, phone) for _, phone, _ in entries],
        [contact_id for *_, contact_id in entries],
        [ctx.services.keyring.hash_details(id, words.ip, words.user_agent, words.text) for id, *_ in entries],
        source,
        words.ip,
        words.user_agent,
        words.text,
        words.version,
        ctx.actor,
        now,
    )
    await consent_seals.seal_head(ctx, len(entries))


async def hold_suppressions(ctx: Context) -> None:
    """Keep erasure from moving suppressions of the caller's workspace and mode until the transaction ends.

    A statement of its own: the next one sees what the last erasure committed.
    """
    await fetch_value("SELECT pg_advisory_xact_lock_shared($1)", lock_number(ctx, before=SUPPRESSIONS))


async def lock_suppressions(ctx: Context) -> None:
    """Wait for those who hold the suppressions, and keep others from holding them until the transaction ends."""
    await fetch_value("SELECT pg_advisory_xact_lock($1)", lock_number(ctx, before=SUPPRESSIONS))


async def opt_in(
    ctx: Context,
    contact: ContactRow,
    *,
    source: str,
    ip: str | None,
    now: datetime,
    confirmed: bool,
    sender: str | None = None,
    user_agent: str | None = None,
    text: str | None = None,
    version: str | None = None,
    claim: Claim = EVIDENCE_ALONE,
) -> bool:
    """Opt a contact in on evidence. Return whether its status changed. Raises Conflict `opt_in_revoked`.

    A phone that is opted out needs a `claim` that may undo that: the person's own act, or evidence given since.
    Confirmed, it is opted in and its phone is no longer suppressed; by the person's own act, `contact.opted_in` is
    written unless it was in before. Unconfirmed (double opt-in), it becomes pending and is sent the workspace's one
    confirmation SMS; while its answer is awaited nothing changes. Evidence given again is added to the history.
    `text` and `version` are what the person agreed to; of a pending contact without, the question it is asked. The
    question comes from `sender`, the workspace's own where left out.
    """
    row = await _lock(ctx, contact.id)
    if row is None:
        return False
    standing = None if claim.is_own_act else await revocation.find_opt_out(ctx, row.phone)
    if standing is not None and not may_undo(claim, standing.at, now):
        raise revoked(standing.at)
    before = row.opt_in_status
    if not confirmed and before == OptInStatus.PENDING and _awaits(row, now) and await _was_asked(ctx, row):
        return False
    status = OptInStatus.OPTED_IN if confirmed or before == OptInStatus.OPTED_IN else OptInStatus.PENDING
    question = None
    if status is OptInStatus.PENDING:
        question = (await find_settings(ctx)).opt_in_text
    changed = await _write(
        ctx,
        row,
        status,
        source=source,
        ip=ip,
        evidence=source,
        now=now,
        user_agent=user_agent,
        text=question if text is None else text,
        version=version,
        claim=claim,
        standing=standing,
    )
    if question is not None:
        await autoreplies.send_auto(
            ctx,
            phone=changed.phone,
            contact_id=changed.id,
            text=question,
            now=now,
            sender=sender,
            is_counted=sender is None,
        )
    elif claim.is_own_act and before != OptInStatus.OPTED_IN:
        await _record(EventType.CONTACT_OPTED_IN, changed, now)
    return before != status


async def opt_in_many(ctx: Context, evidence: Mapping[UUID, Evidence], *, now: datetime) -> list[ContactRow]:
    """Opt contacts in, each on its own evidence, whose consent is unknown and who never said STOP; those that changed.

    The caller holds the contacts, leaves out those whose phones are opted out; `contact.opted_in` is
    for what the person does.
    """
    changed = await fetch(
        ContactRow,
        OPT_IN_CONTACTS,
        ctx.workspace_id,
        ctx.livemode,
        list(evidence),
        [each.source for each in evidence.values()],
        [each.ip for each in evidence.values()],
        now,
    )
    rows = sorted(changed, key=lambda row: row.phone)
    if rows:
        entries = [(row.phone, crypto.phone_hash(ctx, row.phone), row.id, evidence[row.id]) for row in rows]
        await _record_evidence(ctx, entries, now)
        return await _without_suppressed(ctx, rows, now)
    return []


async def _without_suppressed(ctx: Context, rows: Sequence[ContactRow], now: datetime) -> list[ContactRow]:
    """Opt out again whom somebody suppressed at the same time, before anybody saw their contacts; the others."""
    found = await fetch(
        _ReadSuppression, READ_SUPPRESSIONS, ctx.workspace_id, ctx.livemode, [row.canonical for row in rows]
    )
    for row in found:
        await suppress(ctx, [row.phone], source=row.source, now=now)
    out = {row.canonical for row in found}
    return [row for row in rows if row.canonical not in out]


async def restore_suppressions(ctx: Context, phones: Sequence[str]) -> None:
    """Suppress in plain again which of these phones were erased while they were suppressed."""
    named = [(phone, hash) for phone in phones for hash in hashes_of(ctx, phone)]
    await execute(RESTORE, ctx.workspace_id, ctx.livemode, [phone for phone, _ in named], [hash for _, hash in named])


async def confirm(ctx: Context, contact: ContactRow, *, now: datetime, text: str | None = None) -> bool:
    """Take a pending contact's answer to the confirmation SMS; False unless it is pending and within 72 h.

    An answer to a question from before the phone opted out, or to one that was never asked since, confirms nothing.
    The contact keeps the source and IP of its evidence; `opt_in.at` becomes the time of the answer. `text` is the
    answer as it was written.
    """
    row = await _lock(ctx, contact.id)
    if row is None or row.opt_in_status != OptInStatus.PENDING or not _awaits(row, now):
        return False
    standing = await revocation.find_opt_out(ctx, row.phone)
    if standing is not None and (standing.at > _became(row) or not await _was_asked(ctx, row)):
        return False
    changed = await _write(
        ctx,
        row,
        OptInStatus.OPTED_IN,
        source=row.opt_in_source,
        ip=row.opt_in_ip,
        evidence=CONFIRMATION_SOURCE,
        now=now,
        text=text,
        claim=OWN_ACT,
        standing=standing,
    )
    await _record(EventType.CONTACT_OPTED_IN, changed, now)
    return True


async def _lock(ctx: Context, contact_id: UUID) -> Contact | None:
    # In a statement of its own, so that the one after it sees what the last holder of the lock committed, and the ids
    # of the history sort as its rows were committed.
    return await scoped(ctx, Contact).filter(id=contact_id).select_for_update().first()


def hashes_of(ctx: Context, phone: str) -> list[str]:
    """Return the keyed hashes of a phone (E.164) in each of its spellings."""
    return [crypto.phone_hash(ctx, spelling) for spelling in spellings(phone)]


def history_of(ctx: Context, phone: str) -> QuerySet[ConsentEvent]:
    """Return the entries of a phone (E.164) in any spelling, whether or not they were erased."""
    return scoped(ctx, ConsentEvent).filter(is_of_phone(ctx, phone))


def is_of_phone(ctx: Context, phone: str) -> Q:
    """Return what holds for the entries of a phone (E.164) in the caller's workspace and mode."""
    # Entries from before the chain have no hash of the phone.
    return Q(phone_hash__in=hashes_of(ctx, phone)) | Q(phone__in=spellings(phone), phone_hash__isnull=True)


def _awaits(contact: Contact, now: datetime) -> bool:
    return contact.opt_in_at is not None and now - contact.opt_in_at <= CONFIRMATION_WINDOW


def _became(contact: Contact) -> datetime:
    """Since when a pending contact is pending."""
    assert contact.opt_in_at is not None, "it awaits an answer"
    return contact.opt_in_at


async def _was_asked(ctx: Context, contact: Contact) -> bool:
    """Return whether the question to a pending contact was sent, or may yet be.

    Caps, credits or a carrier may have barred it.

    It is of the moment at which the contact became pending.
    """
    return bool(await fetch_value(ASKED, contact.id, ctx.workspace_id, ctx.livemode, contact.opt_in_at))


async def _write(
    ctx: Context,
    contact: Contact,
    status: OptInStatus,
    *,
    source: str | None,
    ip: str | None,
    evidence: str,
    now: datetime,
    claim: Claim,
    standing: OptOut | None,
    user_agent: str | None = None,
    text: str | None = None,
    version: str | None = None,
) -> ContactRow:
    event_id = ids.new_id()
    row = await fetch_row(
        ContactRow,
        OPT_IN,
        contact.id,
        ctx.workspace_id,
        ctx.livemode,
        status.value,
        source,
        ip,
        now,
        event_id,
        ctx.actor,
        evidence,
        crypto.phone_hash(ctx, contact.phone),
        user_agent,
        text,
        version,
        ctx.services.keyring.hash_details(event_id, ip, user_agent, text),
        claim.given_at,
        claim.is_own_act,
        None if standing is None else standing.suppression_id,
        claim.renewal,
    )
    if row is None:
        # The row is locked: the phone was suppressed since it was looked at.
        raise revoked(now)
    await consent_seals.seal_head(ctx, 1)
    others = spellings(contact.phone) if status is OptInStatus.OPTED_IN else ()
    if len(others) > 1:
        given = Evidence(evidence, ip, user_agent, text, version, claim.given_at, claim.is_renewed)
        await _record_elsewhere(ctx, row, [phone for phone in others if phone != contact.phone], given, now)
    return row


async def _record_elsewhere(
    ctx: Context, contact: ContactRow, others: Sequence[str], evidence: Evidence, now: datetime
) -> None:
    """Record under the other spellings, too, that a phone is in again: the history of each ends with the truth.

    There is an entry under several where a phone had several contacts, before spellings were known for one.
    """
    hashes = [crypto.phone_hash(ctx, phone) for phone in others]
    rows = await fetch(_Elsewhere, OUT_ELSEWHERE, ctx.workspace_id, ctx.livemode, list(others), hashes)
    if rows:
        entries = [(row.phone, row.phone_hash, contact.id, evidence) for row in rows]
        await _record_evidence(ctx, entries, now)


async def _record_evidence(ctx: Context, entries: Sequence[tuple[str, str, UUID, Evidence]], now: datetime) -> None:
    """Add entries to the history, each of a phone, its hash and its contact: opted in on that evidence."""
    event_ids = [ids.new_id() for _ in entries]
    given = [evidence for *_, evidence in entries]
    await execute(
        RECORD_EVIDENCE,
        ctx.workspace_id,
        ctx.livemode,
        event_ids,
        [phone for phone, *_ in entries],
        [hash for _, hash, *_ in entries],
        [contact_id for _, _, contact_id, _ in entries],
        [each.source for each in given],
        [each.ip for each in given],
        [each.user_agent for each in given],
        [each.text for each in given],
        [each.version for each in given],
        ctx.actor,
        now,
        [
            ctx.services.keyring.hash_details(id, each.ip, each.user_agent, each.text)
            for id, each in zip(event_ids, given, strict=True)
        ],
        [each.given_at for each in given],
        [each.claim.renewal for each in given],
    )
    await consent_seals.seal_head(ctx, len(entries))


async def _record(type: EventType, row: ContactRow, now: datetime) -> None:
    await record_events([NewEvent(type, row.workspace_id, row.livemode, row.id, contact_resource(row))], now)
