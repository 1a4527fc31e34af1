"""/v1/inbound."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.inbound import replies
from msvs.api.inbound.replies import ListInbound
from msvs.api.resources import InboundMessageResource, inbound_message_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of, optional_ref


async def retrieve(call: Call[NoBody, NoQuery]) -> InboundMessageResource:
    """Retrieve an inbound message."""
    id = ids.find_id(ids.INBOUND, call.params["id"], "inbound message")
    return inbound_message_resource(await replies.get_inbound(call.ctx, id))


async def unflag(call: Call[NoBody, NoQuery]) -> InboundMessageResource:
    """Remove the flag of an inbound message."""
    id = ids.find_id(ids.INBOUND, call.params["id"], "inbound message")
    return inbound_message_resource(await replies.unflag_inbound(call.ctx, id))


async def list_(call: Call[NoBody, ListInbound]) -> ListOf[InboundMessageResource]:
    """List inbound messages."""
    page = await replies.list_inbound(
        call.ctx,
        call.query.page(ids.INBOUND),
        contact_id=optional_ref(ids.CONTACT, call.query.contact_id, "contact_id"),
        flagged=None if call.query.flagged is None else call.query.flagged == "true",
    )
    return list_of(call.path, page, inbound_message_resource)
