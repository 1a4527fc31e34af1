"""/v1/senders."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.dispatch import senders
from msvs.api.pages import PageQuery
from msvs.api.resources import SenderResource, sender_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def retrieve(call: Call[NoBody, NoQuery]) -> SenderResource:
    """Retrieve a sender."""
    return sender_resource(await senders.get_sender(call.ctx, ids.find_id(ids.SENDER, call.params["id"], "sender")))


async def list_(call: Call[NoBody, PageQuery]) -> ListOf[SenderResource]:
    """List senders."""
    page = await senders.list_senders(call.ctx, call.query.page(ids.SENDER))
    return list_of(call.path, page, sender_resource)
