"""Seal the heads of the consent chain with a keyed hash that write access to the database cannot forge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import structlog

from msvs.api.consent import consent_chain
from msvs.api.context import Context, Services
from msvs.api.unit_of_work import unit_of_work
from msvs.database import execute, fetch, fetch_row, now

log = structlog.get_logger(__name__)

# What the migration that brought seals notes as due, by its name.
DUE = "consent_heads_unsealed"
# How many entries of a process without seals, written during an upgrade, a later writer checks before it seals them.
MOST_UNSEALED = 10_000

# With the hash that the first entry after the seal follows.
HEAD_TO_SEAL = """
SELECT chains.sequence, chains.hash, sealed_sequence, sealed_hash, seal, (
    SELECT previous_hash FROM consent_events AS entry
    WHERE entry.workspace_id = $1 AND entry.livemode = $2 AND entry.sequence = coalesce(chains.sealed_sequence, 0) + 1
    LIMIT 1
) AS followed_hash
FROM consent_chains AS chains WHERE workspace_id = $1 AND livemode = $2
"""
WRITE_SEAL = """
UPDATE consent_chains SET sealed_sequence = $3, sealed_hash = $4, seal = $5 WHERE workspace_id = $1 AND livemode = $2
"""
LOCK_HEADS = """
SELECT workspace_id, livemode, sequence, hash FROM consent_chains
WHERE ($1::uuid IS NULL OR workspace_id = $1) AND ($2::bool OR seal IS NULL) AND sequence > 0
ORDER BY workspace_id, livemode FOR UPDATE
"""
# What opens it counts no chain: the row is written in full by who holds it.
OPEN_REGISTER = """
INSERT INTO consent_registers (id, chain_count, digest, seal) VALUES (1, 0, $1, $2) ON CONFLICT DO NOTHING
"""
LOCK_REGISTER = "SELECT chain_count, digest, seal FROM consent_registers WHERE id = 1 FOR UPDATE"
WRITE_REGISTER = "UPDATE consent_registers SET chain_count = $1, digest = $2, seal = $3 WHERE id = 1"
FIND_DUE_SEALS = "SELECT requested_at FROM repairs WHERE name = $1 AND done_at IS NULL"
FINISH = "UPDATE repairs SET done_at = $2, changed_count = $3 WHERE name = $1 AND done_at IS NULL"


class _Head(consent_chain.Sealed, Protocol):
    sequence: int
    hash: str
    followed_hash: str | None


async def seal_head(ctx: Context, written: int) -> None:
    """Seal the chain with the entries that this transaction wrote last, if what stood before them is what was sealed.

    The transaction holds the head. Where the chain was changed by another hand, the seal stays where it is, for
    `consent_chain.verify` to find; the entries are kept all the same, as an opt-out is never refused.
    """
    head = await fetch_row(_Head, HEAD_TO_SEAL, ctx.workspace_id, ctx.livemode)
    if head is None or not written:
        return
    if not await _continues(ctx, head, head.sequence - written):
        log.error("the chain of consent was changed outside of the service: it is no longer sealed")
        return
    if head.sealed_sequence is None:
        await _register(ctx)
    await _seal(ctx.services, ctx.workspace_id, ctx.livemode, head.sequence, head.hash)


async def _register(ctx: Context) -> None:
    """Add a new chain to the register, if that is the service's own; a chain that was deleted is in it already."""
    services = ctx.services
    count, digest = 0, consent_chain.GENESIS
    await execute(OPEN_REGISTER, digest, services.keyring.seal_register(count, digest))
    register = await fetch_row(LOCK_REGISTER)
    if register is None or not consent_chain.is_register_authentic(services, register):
        log.error("the register of the chains of consent was changed outside of the service")
        return
    digest = consent_chain.add_hashes(register.digest, services.keyring.hash_chain(ctx.workspace_id, ctx.livemode))
    count = register.chain_count + 1
    await execute(WRITE_REGISTER, count, digest, services.keyring.seal_register(count, digest))


async def _register_all(services: Services) -> None:
    """Have the register hold the chains that there are."""
    heads = await fetch(consent_chain.ALL_HEADS)
    hashes = [services.keyring.hash_chain(head.workspace_id, head.livemode) for head in heads]
    digest = consent_chain.add_hashes(consent_chain.GENESIS, *hashes)
    await execute(OPEN_REGISTER, digest, services.keyring.seal_register(len(heads), digest))
    await execute(WRITE_REGISTER, len(heads), digest, services.keyring.seal_register(len(heads), digest))


async def _continues(ctx: Context, head: _Head, before: int) -> bool:
    """Return whether the entries up to `before` are those that were sealed, or followed them by the service's key."""
    if head.sealed_sequence is None or head.sealed_hash is None:
        return before == 0 and head.seal is None and head.followed_hash == consent_chain.GENESIS
    if not consent_chain.is_authentic(ctx.services, ctx.workspace_id, ctx.livemode, head):
        return False
    if head.followed_hash != head.sealed_hash:
        return False
    return before == head.sealed_sequence or await _are_own(ctx, head.sealed_sequence, head.sealed_hash, before)


async def _are_own(ctx: Context, after: int, hash: str, last: int) -> bool:
    """Return whether a process from before the seals wrote the entries in between, as only who has the key can."""
    if not 0 < last - after <= MOST_UNSEALED:
        return False
    rows = await consent_chain.read_rows(ctx.workspace_id, ctx.livemode, after, last - after)
    for row in rows:
        after += 1
        fault = consent_chain.row_fault(ctx.services, row, after, hash, has_hashed_phones=True)
        if fault is not None or row.erased_at is not None:
            return False
        hash = row.hash or ""
    return after == last


async def _seal(services: Services, workspace_id: UUID, livemode: bool, sequence: int, hash: str) -> None:
    seal = services.keyring.seal_head(workspace_id, livemode, sequence, hash)
    await execute(WRITE_SEAL, workspace_id, livemode, sequence, hash, seal)


async def seal_as_they_are(
    services: Services, *, workspace_id: UUID | None = None, only_unsealed: bool = False
) -> Sequence[tuple[UUID, bool]]:
    """Seal chains as they stand, of one workspace or of all, by an operator's word or after an upgrade; which ones.

    What was changed before is not found any more: verify first.
    """
    async with unit_of_work():
        heads = await fetch(LOCK_HEADS, workspace_id, not only_unsealed)
        for head in heads:
            await _seal(services, head.workspace_id, head.livemode, head.sequence, head.hash)
        await _register_all(services)
    if heads:
        log.warning("consent chains sealed as they are", chains=len(heads), workspace_id=workspace_id)
    return [(head.workspace_id, head.livemode) for head in heads]


async def is_due() -> bool:
    """Return whether the migration that brought seals found chains, and they were not sealed yet."""
    return await fetch_row(FIND_DUE_SEALS, DUE) is not None


async def seal_due(services: Services) -> int:
    """Seal the chains from before the seals, and note that it was done. Return the count."""
    count = len(await seal_as_they_are(services, only_unsealed=True))
    await execute(FINISH, DUE, await now(), count)
    return count
