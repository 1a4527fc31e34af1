"""/v1/messages."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.messages import batches, clicks, explanations, messages
from msvs.api.messages.batches import SendBatch, batch_resource
from msvs.api.messages.explanations import MessageExplanation, MessageTimeline
from msvs.api.messages.messages import ListMessages, SendMessage
from msvs.api.resources import MessageBatchResource, MessageLinksResource, MessageResource, message_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import FilteredListOf, NoBody, NoQuery, filtered_list_of


async def create(call: Call[SendMessage, NoQuery]) -> MessageResource:
    """Send a single SMS."""
    message = await messages.send_message(call.ctx, call.body)
    return message.shown or message_resource(message)


async def send_batch(call: Call[SendBatch, NoQuery]) -> MessageBatchResource:
    """Send many messages."""
    return batch_resource(await batches.send_batch(call.ctx, call.body))


async def retrieve(call: Call[NoBody, NoQuery]) -> MessageResource:
    """Retrieve a message."""
    id = ids.find_id(ids.MESSAGE, call.params["id"], "message")
    return message_resource(await messages.get_message(call.ctx, id))


async def list_(call: Call[NoBody, ListMessages]) -> FilteredListOf[MessageResource]:
    """List messages."""
    which = messages.read_conditions(call.query)
    page = await messages.list_messages(call.ctx, call.query.page(ids.MESSAGE), **which)
    return filtered_list_of(ids.MESSAGE, call.path, page, message_resource)


async def cancel(call: Call[NoBody, NoQuery]) -> MessageResource:
    """Cancel a scheduled message."""
    id = ids.find_id(ids.MESSAGE, call.params["id"], "message")
    return message_resource(await messages.cancel_message(call.ctx, id))


async def explain(call: Call[NoBody, NoQuery]) -> MessageExplanation:
    """Explain a message."""
    id = ids.find_id(ids.MESSAGE, call.params["id"], "message")
    return await explanations.explain_message(call.ctx, id)


async def links(call: Call[NoBody, NoQuery]) -> MessageLinksResource:
    """List the short links of a message with their clicks."""
    id = ids.find_id(ids.MESSAGE, call.params["id"], "message")
    return MessageLinksResource(id=ids.encode_id(ids.MESSAGE, id), data=await clicks.list_links(call.ctx, id))


async def timeline(call: Call[NoBody, NoQuery]) -> MessageTimeline:
    """List everything that happened to a message, in order."""
    id = ids.find_id(ids.MESSAGE, call.params["id"], "message")
    return await explanations.get_timeline(call.ctx, id)
