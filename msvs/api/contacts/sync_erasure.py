"""Erasure from synced lists: delete a person's sync data and keep later syncs from adding them again."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msvs.api.contacts.import_erasure import hash_of
from msvs.api.context import Context
from msvs.api.scope import scoped
from msvs.api.text.phones import canonical
from msvs.database import execute
from msvs.models import ListSource

OF_MODE = "SELECT id FROM list_sources WHERE workspace_id = $1 AND livemode = $2"
NOTE_ERASED = f"""
INSERT INTO source_erasures (source_id, phone_hash)
SELECT source.id, named.phone_hash FROM ({OF_MODE}) AS source CROSS JOIN unnest($3::varchar[]) AS named (phone_hash)
ON CONFLICT DO NOTHING
"""
ERASE_PEOPLE = f"""
WITH gone AS (
    DELETE FROM source_people WHERE source_id IN ({OF_MODE})
        AND (contact_id = $3 OR phone_hash = ANY($4::varchar[]))
    RETURNING source_id, person_key, external_id
), writes AS (
    DELETE FROM opt_out_writes USING gone
    WHERE opt_out_writes.source_id = gone.source_id AND opt_out_writes.person_key = gone.person_key
)
DELETE FROM source_lookups USING gone
WHERE source_lookups.source_id = gone.source_id AND source_lookups.external_id = gone.external_id
"""
FORGET_SAMPLES_OF_MODE = """
UPDATE list_syncs SET samples = '[]' WHERE workspace_id = $1 AND livemode = $2 AND samples <> '[]'
"""


async def hold_sources(ctx: Context) -> None:
    """Lock the sources of synced lists. Call this first: sync workers lock the source before any other row."""
    await scoped(ctx, ListSource).order_by("id").select_for_update().values_list("id")


async def erase_from_syncs(ctx: Context, contact_id: UUID | None, phones: Sequence[str]) -> None:
    """Delete a person's data in synced lists and block them from later syncs. The caller holds the sources' locks."""
    hashes = sorted({hash_of(ctx, canonical(phone)) for phone in phones})
    await execute(NOTE_ERASED, ctx.workspace_id, ctx.livemode, hashes)
    await execute(ERASE_PEOPLE, ctx.workspace_id, ctx.livemode, contact_id, hashes)
    await execute(FORGET_SAMPLES_OF_MODE, ctx.workspace_id, ctx.livemode)
