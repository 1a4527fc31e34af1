"""Hold everything that would be sent, after a restore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from msvs import database
from msvs.api.campaigns.campaigns import pause_campaign
from msvs.api.campaigns.sequences import pause_sequence
from msvs.api.context import Context, Services
from msvs.api.errors import Conflict
from msvs.api.messages.messages import cancel_message
from msvs.api.unit_of_work import unit_of_work

BATCH = 500
NOTHING = UUID(int=0)

FIND_UNFINISHED_CAMPAIGNS = """
SELECT workspace_id, livemode, id FROM campaigns
WHERE livemode AND sequence_id IS NULL AND status IN ('scheduled', 'preparing', 'sending') AND id > $1
ORDER BY id LIMIT $2
"""

FIND_ACTIVE_SEQUENCES = """
SELECT workspace_id, livemode, id FROM sequences WHERE livemode AND status = 'active' AND id > $1 ORDER BY id LIMIT $2
"""

MESSAGES = """
SELECT workspace_id, livemode, id FROM messages
WHERE livemode AND campaign_id IS NULL AND (status = 'queued' OR (status = 'scheduled' AND due_at <= now()))
    AND id > $1 ORDER BY id LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class Held:
    """The campaigns, messages and sequences that were held."""

    campaigns_paused: int
    messages_canceled: int
    sequences_paused: int


async def hold_everything(services: Services) -> Held:
    """Pause every live campaign that is under way or scheduled and every live sequence, and cancel every live single
    message that is due.

    What a worker had claimed is left: its outcome is unknown, and resolved by what its carrier can do.
    """
    sequences = await _pause_all(services, FIND_ACTIVE_SEQUENCES, pause_sequence)
    campaigns = await _pause_all(services, FIND_UNFINISHED_CAMPAIGNS, pause_campaign)
    return Held(campaigns, await _cancel_messages(services), sequences)


async def _pause_all(services: Services, find: str, pause: Callable[[Context, UUID], Awaitable[object]]) -> int:
    """Pause all that a statement finds. Return how many."""
    paused, last = 0, NOTHING
    while rows := await database.fetch(find, last, BATCH):
        for row in rows:
            last = row.id
            try:
                async with unit_of_work():
                    await pause(Context(row.workspace_id, row.livemode, services=services), row.id)
            except Conflict:
                continue  # it has just ended
            paused += 1
    return paused


async def _cancel_messages(services: Services) -> int:
    canceled, last = 0, NOTHING
    while rows := await database.fetch(MESSAGES, last, BATCH):
        for row in rows:
            last = row.id
            async with unit_of_work():
                found = await cancel_message(Context(row.workspace_id, row.livemode, services=services), row.id)
            canceled += found.status == "canceled"
    return canceled
