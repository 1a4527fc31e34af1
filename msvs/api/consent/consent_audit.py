"""Audit consent: find opt-ins that undid an opt-out without newer evidence, and restore those opt-outs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from msvs.api import crypto, ids
from msvs.api.consent import consent, consent_chain
from msvs.api.consent.revocation import REPAIR, claim_of, may_undo
from msvs.api.context import Context, Services
from msvs.api.crypto import Keyring
from msvs.api.text.phones import by_canonical, canonical, spellings, with_spellings
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row, execute, fetch, fetch_row, now, transaction

BATCH = 2000
# Phones that are one transaction: the head of their chain is its own until it commits.
CHUNK = 500
# What a migration notes as due, by its name.
DUE = "opt_outs_undone"

# Before entries said whether evidence was renewed, any with a time that followed an opt-out was: others were refused.
READ_AUDITED_RECORDS = """
SELECT id, sequence, phone, phone_hash, contact_id, status, source, actor, given_at,
    coalesce(is_renewed, given_at IS NOT NULL) AS is_renewed, created_at
FROM consent_events
WHERE workspace_id = $1 AND livemode = $2 AND sequence > $3 ORDER BY sequence LIMIT $4
"""

# A phone that is suppressed and whose contact, if it has one, is not opted in is sent nothing, no matter what was
# written.
HARMLESS = """
SELECT canonical FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND canonical = ANY($3::varchar[])
    AND NOT EXISTS (
        SELECT FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND contacts.canonical = suppressions.canonical
            AND opt_in_status = 'opted_in'
    )
"""
ERASED = """
SELECT phone_hash FROM erased_suppressions
WHERE workspace_id = $1 AND livemode = $2 AND phone_hash = ANY($3::varchar[])
"""

# Of phones whose contacts are held, in each spelling: those of which something was written since they were looked at.
CHANGED = """
SELECT named.canonical FROM unnest($3::varchar[], $4::varchar[], $5::varchar[], $6::bigint[])
    AS named (canonical, phone, phone_hash, sequence)
WHERE EXISTS (
    SELECT FROM consent_events WHERE workspace_id = $1 AND livemode = $2 AND consent_events.sequence > named.sequence
        AND (consent_events.phone_hash = named.phone_hash OR consent_events.phone = named.phone)
)
"""
KEEP_ERASED = """
INSERT INTO erased_suppressions (id, workspace_id, livemode, phone_hash, source, created_at)
VALUES ($3, $1, $2, $4, $5, $6) ON CONFLICT (workspace_id, livemode, phone_hash) DO NOTHING
"""

FIND_DUE = "SELECT requested_at FROM repairs WHERE name = $1 AND done_at IS NULL"
FINISH_REPAIR = "UPDATE repairs SET done_at = $2, changed_count = $3 WHERE name = $1 AND done_at IS NULL"


class KeyMismatch(Exception):
    """The process has another key than the chain of consent was written with."""


@dataclass(frozen=True, slots=True)
class Undone:
    """An opt-in that undid an opt-out without reason and still stands; `phone` is None if it was erased."""

    workspace_id: UUID
    livemode: bool
    id: UUID
    sequence: int
    contact_id: UUID | None
    source: str | None
    actor: str
    opted_out_at: datetime
    opted_in_at: datetime
    phone: str | None
    phone_hash: str | None


@dataclass(slots=True)
class _Person:
    """One phone in all its spellings: since when it is out, whether it was asked since, what undid that, the last row.

    `out_at` is None if it is not out.
    """

    out_at: datetime | None
    is_asked: bool = False
    undone: Undone | None = None
    last: int = 0


@dataclass(slots=True)
class _People:
    """Anyone who opted out in one chain, by phone and by hash."""

    keyring: Keyring
    workspace_id: UUID
    livemode: bool
    known: dict[str, _Person] = field(default_factory=dict)

    def find(self, row: Row) -> _Person | None:
        """Find the person of an entry, if they ever opted out."""
        return self.known.get(row.phone_hash or "") or self.known.get(row.phone or "")

    def find_or_make(self, row: Row) -> _Person:
        """Find the person of an entry, known by every name from now on."""
        names = list(self._names(row))
        person = next((self.known[name] for name in names if name in self.known), None) or _Person(None)
        self.known.update(dict.fromkeys(names, person))
        return person

    def _names(self, row: Row) -> Iterator[str]:
        if row.phone_hash is not None:
            yield row.phone_hash
        if row.phone is not None:
            for phone in spellings(row.phone):
                yield phone
                yield self.keyring.hash_phone(self.workspace_id, self.livemode, phone)


async def audit(services: Services, *, workspace_id: UUID | None = None) -> list[Undone]:
    """Read the chains of consent, of one workspace or of all, as of one instant: the opt-ins that stand without reason.

    Anyone who opted out is in again by their own act, or by evidence given since; any other opt-in after that is
    listed, once a phone. Memory grows with those who ever opted out.
    """
    found: list[Undone] = []
    async with transaction():
        await execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for chain in await fetch(consent_chain.CHAINS, workspace_id):
            undone = await _audit_chain(services, chain.workspace_id, chain.livemode)
            found += [each for each, _ in undone]
    return found


async def repair(services: Services, *, workspace_id: UUID | None = None) -> int:
    """Opt those out again whose opt-outs were undone without reason. Return the number of phones. Raises KeyMismatch.

    Each gets its suppression, an entry in the chain and one `contact.opted_out`; what waits for it is canceled.
    """
    count = 0
    for chain in await fetch(consent_chain.CHAINS, workspace_id):
        ctx = Context(chain.workspace_id, chain.livemode, services=services)
        undone = await _audit_chain(services, ctx.workspace_id, ctx.livemode)
        for start in range(0, len(undone), CHUNK):
            async with unit_of_work():
                count += await _put_back(ctx, undone[start : start + CHUNK])
    return count


async def is_due() -> bool:
    """Return whether a migration asked for the repair and it was not made yet."""
    return await fetch_row(FIND_DUE, DUE) is not None


async def repair_due(services: Services) -> int:
    """Make the repair that is due, and note that it was made. Return the number of phones. Raises KeyMismatch."""
    count = await repair(services)
    await execute(FINISH_REPAIR, DUE, await now(), count)
    return count


async def _audit_chain(services: Services, workspace_id: UUID, livemode: bool) -> list[tuple[Undone, int]]:
    """Return what stands without reason in one chain, each with the last row of its phone."""
    people = _People(services.keyring, workspace_id, livemode)
    async for row in _rows(workspace_id, livemode):
        _read(people, row)
    found = {id(person): (person.undone, person.last) for person in people.known.values() if person.undone is not None}
    harmless = await _harmless(services, workspace_id, livemode, [undone for undone, _ in found.values()])
    return sorted(
        (pair for pair in found.values() if not {pair[0].phone, pair[0].phone_hash} & harmless),
        key=lambda pair: pair[0].sequence,
    )


def _read(people: _People, row: Row) -> None:
    """Let an entry change what is known of its person."""
    if row.status == "opted_out":
        person = people.find_or_make(row)
        if row.source != REPAIR or person.out_at is None:
            person.out_at = row.created_at
        person.undone, person.is_asked = None, False
    else:
        known = people.find(row)
        if known is None:
            return
        person = known
        if row.status == "pending":
            person.is_asked = True
        elif person.out_at is not None:
            _read_opt_in(people, person, row, person.out_at)
    person.last = row.sequence


def _read_opt_in(people: _People, person: _Person, row: Row, out_at: datetime) -> None:
    claim = claim_of(row)
    # A YES answers a question: of one from before the opt-out it says nothing.
    is_answer = claim.is_own_act and row.source == consent.CONFIRMATION_SOURCE
    if may_undo(claim, out_at, row.created_at) and (person.is_asked or not is_answer):
        person.out_at, person.undone = None, None
    elif person.undone is None:
        person.undone = Undone(
            workspace_id=people.workspace_id,
            livemode=people.livemode,
            id=row.id,
            sequence=row.sequence,
            contact_id=row.contact_id,
            source=row.source,
            actor=row.actor,
            opted_out_at=out_at,
            opted_in_at=row.created_at,
            phone=row.phone,
            phone_hash=row.phone_hash,
        )


async def _rows(workspace_id: UUID, livemode: bool) -> AsyncIterator[Row]:
    after = 0
    while rows := await fetch(READ_AUDITED_RECORDS, workspace_id, livemode, after, BATCH):
        for row in rows:
            yield row
        after = rows[-1].sequence


async def _harmless(
    services: Services, workspace_id: UUID, livemode: bool, undone: Sequence[Undone]
) -> set[str | None]:
    """Return the phones, or the hashes of those erased, of which nothing is sent to all the same."""
    scope = (workspace_id, livemode)
    phones = [each.phone for each in undone if each.phone is not None]
    found: set[str | None] = set()
    if phones:
        rows = await fetch(HARMLESS, *scope, list(by_canonical(phones)))
        found |= set(with_spellings(row.canonical for row in rows))
    erased = {each.phone_hash for each in undone if each.phone is None and each.phone_hash is not None}
    if not erased:
        return found
    found |= {row.phone_hash for row in await fetch(ERASED, *scope, list(erased))}
    after = UUID(int=0)
    while rows := await fetch(consent_chain.READ_SUPPRESSED_PHONES, *scope, after, BATCH):
        named = with_spellings(row.phone for row in rows)
        found |= erased.intersection(services.keyring.hash_phone(*scope, phone) for phone in named)
        after = rows[-1].id
    return found


async def _put_back(ctx: Context, undone: Sequence[tuple[Undone, int]]) -> int:
    """Opt phones out again, but for those of which something was written since. Return the count."""
    at = await now()
    count = 0
    named = [(each, each.phone, last) for each, last in undone if each.phone is not None]
    phones = [phone for _, phone, _ in named]
    hashes = [crypto.phone_hash(ctx, phone) for phone in phones]
    if any(each.phone_hash not in (None, hash) for (each, _, _), hash in zip(named, hashes, strict=True)):
        raise KeyMismatch
    if phones:
        scope = (ctx.workspace_id, ctx.livemode)
        await fetch(consent.LOCK_CONTACTS, *scope, list(by_canonical(phones)))
        spelled = [(canonical(phone), spelling, last) for _, phone, last in named for spelling in spellings(phone)]
        rows = await fetch(
            CHANGED,
            *scope,
            [one for one, _, _ in spelled],
            [spelling for _, spelling, _ in spelled],
            [crypto.phone_hash(ctx, spelling) for _, spelling, _ in spelled],
            [last for _, _, last in spelled],
        )
        changed = {row.canonical for row in rows}
        still = sorted(phone for phone in phones if canonical(phone) not in changed)
        await consent.suppress(ctx, still, source=REPAIR, now=at)
        count += len(still)
    for each, _ in undone:
        if each.phone is None and each.phone_hash is not None:
            count += await execute(
                KEEP_ERASED,
                ctx.workspace_id,
                ctx.livemode,
                ids.new_id(),
                each.phone_hash,
                REPAIR,
                each.opted_out_at,
            )
    return count
