"""/v1/events."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.errors import InvalidRequest
from msvs.api.resources import EventResource, RedeliveryResource, event_resource
from msvs.api.webhooks import endpoints, events, sequences
from msvs.api.webhooks.endpoints import ResendEvent
from msvs.api.webhooks.events import ListEvents
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of, optional_ref


async def retrieve(call: Call[NoBody, NoQuery]) -> EventResource:
    """Retrieve an event."""
    return event_resource(await events.get_event(call.ctx, _id(call.params["id"])))


async def list_(call: Call[NoBody, ListEvents]) -> ListOf[EventResource]:
    """List events."""
    webhook_id = optional_ref(ids.WEBHOOK, call.query.webhook_id, "webhook_id")
    if webhook_id is not None:
        query = call.query
        sent = await sequences.list_numbered(
            call.ctx, webhook_id, query.page(ids.EVENT), after_seq=query.after_seq, type=query.type
        )
        return list_of(call.path, sent, sequences.numbered_event_resource)
    if call.query.after_seq is not None:
        sequences.check_sequence(call.query.after_seq)
        raise InvalidRequest("Name the webhook that after_seq is of.", param="webhook_id")
    page = await events.list_events(call.ctx, call.query.page(ids.EVENT), type=call.query.type)
    return list_of(call.path, page, event_resource)


async def resend(call: Call[ResendEvent, NoQuery]) -> RedeliveryResource:
    """Deliver an event again."""
    id = _id(call.params["id"])
    webhook_id = optional_ref(ids.WEBHOOK, call.body.webhook_id, "webhook_id")
    count = await endpoints.resend_event(call.ctx, id, webhook_id=webhook_id)
    return RedeliveryResource(id=ids.encode_id(ids.EVENT, id), delivery_count=count)


def _id(text: str) -> UUID:
    return ids.find_id(ids.EVENT, text, "event")
