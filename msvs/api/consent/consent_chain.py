"""The consent chain: keyed hashes of personal data, and the proof that no record was changed."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from msvs.api import crypto
from msvs.api.context import Services
from msvs.api.ids import CONTACT, encode_id
from msvs.api.text.phones import spellings
from msvs.database import Row, execute, fetch, fetch_row, transaction
from msvs.models import rows

BATCH = 2000
# What the first row of a chain follows.
GENESIS = "0" * 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

CHAINS = """
SELECT workspace_id, livemode FROM consent_chains WHERE $1::uuid IS NULL OR workspace_id = $1
UNION
SELECT workspace_id, livemode FROM consent_events WHERE $1::uuid IS NULL OR workspace_id = $1
UNION
SELECT workspaces.id, mode.livemode FROM workspaces CROSS JOIN (VALUES (false), (true)) AS mode (livemode)
WHERE ($1::uuid IS NULL OR workspaces.id = $1) AND EXISTS (
    SELECT FROM contacts WHERE workspace_id = workspaces.id AND contacts.livemode = mode.livemode
        AND opt_in_status = 'opted_in'
)
ORDER BY workspace_id, livemode
"""

HEAD = """
SELECT sequence, hash, sealed_sequence, sealed_hash, seal FROM consent_chains
WHERE workspace_id = $1 AND livemode = $2
"""

ALL_HEADS = "SELECT workspace_id, livemode FROM consent_chains WHERE sequence > 0"
REGISTER = "SELECT chain_count, digest, seal FROM consent_registers"

READ_CHAIN = """
SELECT * FROM consent_events
WHERE workspace_id = $1 AND livemode = $2 AND sequence > $3 ORDER BY sequence, id LIMIT $4
"""
# Rows that never passed the trigger have no sequence.
UNCHAINED = "SELECT count(*) AS rows FROM consent_events WHERE workspace_id = $1 AND livemode = $2 AND sequence IS NULL"

# Of what opted out, the rows that nothing later undid and whose phones nothing suppresses. A suppression that was
# erased and came back is known by its phone alone, of which an erased row has but the hash.
UNSUPPRESSED = """
SELECT entry.sequence, entry.phone, entry.phone_hash FROM consent_events AS entry
WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[]) AND coalesce(phone_hash, phone) IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM consent_events AS later WHERE workspace_id = $1 AND livemode = $2
            AND (later.phone_hash = entry.phone_hash OR later.phone = entry.phone)
            AND later.sequence > entry.sequence AND later.status IN ('opted_in', 'opted_out')
    )
    AND NOT EXISTS (
        SELECT FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND suppressions.phone = entry.phone
    )
    AND NOT EXISTS (
        SELECT FROM erased_suppressions WHERE workspace_id = $1 AND livemode = $2
            AND erased_suppressions.phone_hash = entry.phone_hash
    )
"""
READ_SUPPRESSED_PHONES = """
SELECT id, phone FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND id > $3 ORDER BY id LIMIT $4
"""

# Only a row that was not erased says so: without the key, nobody writes one that passes.
OPTED_IN = """
SELECT id, phone FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND opt_in_status = 'opted_in' AND id > $3 ORDER BY id LIMIT $4
"""
UNPROVEN = """
SELECT named.id FROM unnest($3::uuid[], $4::varchar[], $5::varchar[]) AS named (id, phone, phone_hash)
LEFT JOIN LATERAL (
    SELECT status, phone FROM consent_events WHERE workspace_id = $1 AND livemode = $2
        AND (phone_hash = named.phone_hash OR phone = named.phone) AND status IN ('opted_in', 'opted_out')
    ORDER BY sequence DESC LIMIT 1
) AS last ON true
WHERE last.status IS DISTINCT FROM 'opted_in' OR last.phone IS DISTINCT FROM named.phone ORDER BY named.id
"""


class Sealed(Protocol):
    """Up to which row a chain is sealed; all three are None if it never was."""

    @property
    def sealed_sequence(self) -> int | None: ...
    @property
    def sealed_hash(self) -> str | None: ...
    @property
    def seal(self) -> str | None: ...


class Register(Protocol):
    """Which chains there are, as the service knows it."""

    @property
    def chain_count(self) -> int: ...
    @property
    def digest(self) -> str: ...
    @property
    def seal(self) -> str: ...


class _Head(Sealed, Protocol):
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which a chain is not what was written; `sequence` is None for rows outside the chain.

    Of a chain that is whole: what of suppressions and contacts is not what it says.
    """

    sequence: int | None
    reason: str


@dataclass(slots=True)
class VerifiedChain:
    """What verifying one workspace and mode's chain found: how many rows, the head, and the first break or None."""

    workspace_id: UUID
    livemode: bool
    rows: int = 0
    head: str = GENESIS
    first_break: Break | None = None


@dataclass(slots=True)
class Verification:
    """What verifying found, chain by chain. `has_noted_head` says whether a head noted earlier is still in one.

    `fault` is what is wrong with the register of chains, or None.
    """

    chains: list[VerifiedChain] = field(default_factory=list)
    fault: str | None = None
    has_noted_head: bool | None = None

    @property
    def is_whole(self) -> bool:
        """Whether no chain is broken or missing, and the head noted earlier, if one was given, is there."""
        is_complete = self.fault is None and self.has_noted_head is not False
        return is_complete and all(chain.first_break is None for chain in self.chains)


def row_hash(row: rows.ConsentEventRow, previous_hash: str) -> str:
    """Return the hash that an entry must have after another; the database's trigger computes the same by itself."""
    # What an entry does not say of its evidence is left out: entries from before it was kept are hashed as they were.
    given = () if row.given_at is None else (_microseconds(row.given_at),)
    renewed = () if row.is_renewed is None else ("true" if row.is_renewed else "false",)
    text = crypto.canonical_text(
        previous_hash,
        str(row.sequence),
        str(row.id),
        str(row.workspace_id),
        crypto.mode_name(row.livemode),
        row.phone_hash,
        None if row.contact_id is None else str(row.contact_id),
        str(row.status),
        row.source,
        row.actor,
        _microseconds(row.created_at),
        row.version,
        row.details_hash,
        *given,
        *renewed,
    )
    return hashlib.sha256(text.encode()).hexdigest()


async def verify(
    services: Services, *, workspace_id: UUID | None = None, noted_head: str | None = None
) -> Verification:
    """Compute every hash of the chains again, of one workspace or of all, as of one instant; memory does not grow.

    With `noted_head`, a head that was noted before, also whether a row of these chains still has it.
    """
    found = Verification(has_noted_head=None if noted_head is None else noted_head == GENESIS)
    async with transaction():
        await execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for row in await fetch(CHAINS, workspace_id):
            chain = VerifiedChain(row.workspace_id, row.livemode)
            found.chains.append(chain)
            unsuppressed: dict[str, int] = {}
            async for hashes in _verify_chain(services, chain, unsuppressed):
                if noted_head in hashes:
                    found.has_noted_head = True
            if chain.first_break is None:
                chain.first_break = await _find_contradiction(services, chain, unsuppressed)
        found.fault = await _register_fault(services)
    return found


async def _register_fault(services: Services) -> str | None:
    """Return why the chains that are there are not those that the service made, or None."""
    heads = await fetch(ALL_HEADS)
    register = await fetch_row(Register, REGISTER)
    if register is None:
        return "the register of chains is missing" if heads else None
    if not is_register_authentic(services, register):
        return "the register of chains is not the service's own"
    hashes = [services.keyring.hash_chain(head.workspace_id, head.livemode) for head in heads]
    if (register.chain_count, register.digest) == (len(heads), add_hashes(GENESIS, *hashes)):
        return None
    return f"the service made {register.chain_count} chains, and {len(heads)} are there: not the same"


def is_register_authentic(services: Services, register: Register) -> bool:
    """Return whether the seal of the register is the service's own."""
    return _equal(register.seal, services.keyring.seal_register(register.chain_count, register.digest))


def add_hashes(*hashes: str) -> str:
    """Return the sum of hashes, which is the same in every order."""
    return f"{sum(int(each, 16) for each in hashes) % 2**256:064x}"


async def _verify_chain(
    services: Services, chain: VerifiedChain, unsuppressed: dict[str, int]
) -> AsyncIterator[Sequence[str]]:
    """Fill in a chain's findings; yields the hashes that its rows hold, batch by batch.

    `unsuppressed` is told the phones, by their hashes, that should be suppressed and are not, as far as rows tell.
    """
    expected = 1
    has_hashed_phones = False
    after = -(2**63)
    head = await fetch_row(_Head, HEAD, chain.workspace_id, chain.livemode)
    sealed_row: str | None = GENESIS
    while rows := await _next_rows(chain, after):
        for row in rows:
            chain.rows += 1
            reason = row_fault(services, row, expected, chain.head, has_hashed_phones)
            if reason is not None and chain.first_break is None:
                chain.first_break = Break(row.sequence, reason)
            has_hashed_phones = has_hashed_phones or row.phone_hash is not None
            # Of whom somebody took the hash away, the next does not follow.
            chain.head = row.hash or ""
            if head is not None and row.sequence == head.sealed_sequence:
                sealed_row = row.hash
            expected = row.sequence + 1
        after = rows[-1].sequence
        out = [row.id for row in rows if row.status == "opted_out"]
        for row in await fetch(UNSUPPRESSED, chain.workspace_id, chain.livemode, out) if out else ():
            hash = row.phone_hash or services.keyring.hash_phone(chain.workspace_id, chain.livemode, row.phone)
            unsuppressed[hash] = row.sequence
        yield [row.hash for row in rows if row.hash is not None]
    outside = await fetch_row(UNCHAINED, chain.workspace_id, chain.livemode)
    assert outside is not None, "a count is one row"
    chain.rows += outside.rows
    if chain.first_break is not None:
        return
    if outside.rows:
        chain.first_break = Break(None, f"rows outside the chain: {outside.rows}")
    elif head is None and chain.rows:
        chain.first_break = Break(expected - 1, "the head is missing")
    elif head is not None and (head.sequence, head.hash) != (expected - 1, chain.head):
        chain.first_break = Break(expected, f"the head names row {head.sequence}, the last one is {expected - 1}")
    elif head is not None and (reason := _seal_fault(services, chain, head, sealed_row, expected - 1)) is not None:
        chain.first_break = Break(head.sealed_sequence, reason)


def _seal_fault(
    services: Services, chain: VerifiedChain, head: Sealed, sealed_row: str | None, last: int
) -> str | None:
    """Return why a chain that is whole in itself is not the one that the service wrote, or None.

    Only who has the key makes a seal: a chain that was written again has none that fits.
    """
    if head.sealed_sequence is None:
        return None if last == 0 else "the chain was never sealed"
    if not is_authentic(services, chain.workspace_id, chain.livemode, head):
        return "the seal is not the service's own"
    if head.sealed_sequence > last:
        return f"rows were sealed up to {head.sealed_sequence}, the last one is {last}"
    if sealed_row != head.sealed_hash:
        return f"row {head.sealed_sequence} is not the one that was sealed"
    return None if head.sealed_sequence == last else f"rows after the seal: {last - head.sealed_sequence}"


def is_authentic(services: Services, workspace_id: UUID, livemode: bool, head: Sealed) -> bool:
    """Return whether the seal of a head is the service's own."""
    if head.sealed_sequence is None or head.sealed_hash is None or head.seal is None:
        return False
    return _equal(head.seal, services.keyring.seal_head(workspace_id, livemode, head.sealed_sequence, head.sealed_hash))


async def _find_contradiction(services: Services, chain: VerifiedChain, unsuppressed: dict[str, int]) -> Break | None:
    """Return what of suppressions and contacts is not what the chain says, or None."""
    scope = (chain.workspace_id, chain.livemode)
    if unsuppressed:
        async for rows in _batches(READ_SUPPRESSED_PHONES, chain):
            for row in rows:
                for spelling in spellings(row.phone):
                    unsuppressed.pop(services.keyring.hash_phone(*scope, spelling), None)
    if unsuppressed:
        first = min(unsuppressed.values())
        return Break(
            first, f"phones that opted out and are not suppressed: {len(unsuppressed)}, the first in row {first}"
        )
    unproven: list[UUID] = []
    async for rows in _batches(OPTED_IN, chain):
        phones = [row.phone for row in rows]
        hashes = [services.keyring.hash_phone(*scope, phone) for phone in phones]
        unproven += [row.id for row in await fetch(UNPROVEN, *scope, [row.id for row in rows], phones, hashes)]
    if unproven:
        first_contact = encode_id(CONTACT, unproven[0])
        return Break(None, f"contacts that are opted in without a row: {len(unproven)}, the first {first_contact}")
    return None


async def _batches(statement: str, chain: VerifiedChain) -> AsyncIterator[Sequence[Row]]:
    after = UUID(int=0)
    while rows := await fetch(statement, chain.workspace_id, chain.livemode, after, BATCH):
        yield rows
        after = rows[-1].id


class Chained(rows.ConsentEventRow, Protocol):
    """An entry that has a place in the chain."""

    @property
    def sequence(self) -> int: ...


async def read_rows(workspace_id: UUID, livemode: bool, after: int, limit: int) -> Sequence[Chained]:
    """Read the rows of a chain that follow one, in its order."""
    return await fetch(Chained, READ_CHAIN, workspace_id, livemode, after, limit)


async def _next_rows(chain: VerifiedChain, after: int) -> Sequence[Chained]:
    """Return the next batch, never ending between two rows that share a sequence."""
    limit = BATCH
    while True:
        read = await read_rows(chain.workspace_id, chain.livemode, after, limit)
        if len(read) < limit:
            return read
        last = read[-1].sequence
        kept = [row for row in read if row.sequence != last]
        if kept:
            return kept
        limit *= 2


def row_fault(
    services: Services, row: Chained, expected: int, previous_hash: str, has_hashed_phones: bool
) -> str | None:
    """Return what is wrong with a row, or None."""
    if row.sequence != expected:
        return f"row {expected} is missing" if row.sequence > expected else f"row {row.sequence} is there twice"
    if row.previous_hash != previous_hash:
        return "it does not follow the row before it"
    if row.hash != row_hash(row, previous_hash):
        return "its hash is not that of its contents"
    if row.erased_at is not None:
        left = [row.phone, row.ip, row.user_agent, row.text]
        return None if left == [None] * 4 else "it is erased and still holds what was erased"
    if row.phone is None:
        return "its phone is missing although it was not erased"
    if row.phone_hash is None:
        # From before the chain: nothing keyed could be computed where the rows were.
        return "it has no hash of its phone" if has_hashed_phones else None
    if not _equal(row.phone_hash, services.keyring.hash_phone(row.workspace_id, row.livemode, row.phone)):
        return "its phone is not the one that was hashed"
    if not _equal(row.details_hash or "", services.keyring.hash_details(row.id, row.ip, row.user_agent, row.text)):
        return "its ip, user agent or text is not what was hashed"
    return None


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one, other)


def _microseconds(at: datetime) -> str:
    return str((at - _EPOCH) // _MICROSECOND)
