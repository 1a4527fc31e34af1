"""Sequence numbers: what was sent to an endpoint, in the order of the first attempts."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.pages import Page, PageRequest
from msvs.api.resources import EventResource, event_resource
from msvs.api.scope import find
from msvs.api.webhooks.events import MAX_SEQUENCE
from msvs.database import fetch, fetch_value
from msvs.models import WebhookEndpoint
from msvs.models.rows import EventRow

EVENTS_AFTER = """
SELECT events.*, sent.sequence FROM webhook_sequences AS sent JOIN events ON events.id = sent.event_id
WHERE sent.endpoint_id = $1 AND sent.sequence > $2 AND events.workspace_id = $3 AND events.livemode = $4
ORDER BY sent.sequence LIMIT $5
"""
SEQUENCE_OF = "SELECT sequence FROM webhook_deliveries WHERE endpoint_id = $1 AND event_id = $2"


class NumberedEvent(EventRow, Protocol):
    """An event with its number at one endpoint."""

    @property
    def sequence(self) -> int: ...


async def list_numbered(
    ctx: Context, webhook_id: UUID, page: PageRequest, *, after_seq: int | None = None, type: str | None = None
) -> Page[NumberedEvent]:
    """List what was sent to an endpoint after a number, or after an event, in the order of the numbers.

    Raises NotFound, and InvalidRequest for a page that ends before an event, or of one type.
    """
    if type is not None:
        raise InvalidRequest("Events of a webhook are of all types that it subscribes to.", param="type")
    row = await find(ctx, WebhookEndpoint, webhook_id, prefix=ids.WEBHOOK, noun="webhook", param="webhook_id")
    after = check_sequence(after_seq)
    if page.ending_before is not None:
        raise InvalidRequest(
            "Events of a webhook are read forward: use starting_after or after_seq.",
            param="ending_before",
            code=ErrorCode.CURSOR_CONFLICT,
        )
    if page.starting_after is not None:
        after = max(after, await fetch_value(SEQUENCE_OF, row.id, page.starting_after) or 0)
    found = await fetch(NumberedEvent, EVENTS_AFTER, row.id, after, ctx.workspace_id, ctx.livemode, page.limit + 1)
    return Page(found[: page.limit], len(found) > page.limit)


def check_sequence(after_seq: int | None) -> int:
    """Return the number to begin after: 0 where none is given. Raises InvalidRequest."""
    if after_seq is not None and not 0 <= after_seq <= MAX_SEQUENCE:
        raise InvalidRequest(
            "after_seq is a number of an event, or 0.", param="after_seq", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return after_seq or 0


def numbered_event_resource(row: NumberedEvent) -> EventResource:
    """Return the shape of an event with its number."""
    return msgspec.structs.replace(event_resource(row), sequence=row.sequence)
