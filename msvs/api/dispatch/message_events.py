"""Make the events of messages from their rows."""

from __future__ import annotations

from collections.abc import Iterable

from msvs.api.resources import message_resource
from msvs.api.webhooks.events import EventType, NewEvent
from msvs.models.rows import MessageRow


def events_of(type: EventType, rows: Iterable[MessageRow]) -> list[NewEvent]:
    """Return one event of a type for each message."""
    return [NewEvent(type, row.workspace_id, row.livemode, row.id, message_resource(row)) for row in rows]
