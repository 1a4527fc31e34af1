"""/v1/inbox."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from msvs.api import ids
from msvs.api.errors import InvalidRequest
from msvs.api.inbound import inbox
from msvs.api.inbound.inbox import AnswerThread, InboxMessageResource, InboxThreadResource, ListThreads, ReadThread
from msvs.api.pages import PageQuery
from msvs.api.resources import MessageResource, message_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of, optional_ref

UNREAD, WAITING = "unread", "waiting"


async def threads(call: Call[NoBody, ListThreads]) -> ListOf[InboxThreadResource]:
    """List threads of replies."""
    status = call.query.status
    if status not in (None, UNREAD, WAITING):
        raise InvalidRequest(f"status must be one of {UNREAD}, {WAITING}.", param="status")
    which = inbox.ThreadFilter(unread=status == UNREAD, waiting=status == WAITING)
    page = await inbox.list_threads(call.ctx, call.query.page(ids.INBOUND), which)
    return list_of(call.path, page, inbox.inbox_thread_resource)


async def thread(call: Call[NoBody, NoQuery]) -> InboxThreadResource:
    """Retrieve a contact's thread."""
    return inbox.inbox_thread_resource(await inbox.get_thread(call.ctx, _contact_id(call.params)))


async def messages(call: Call[NoBody, PageQuery]) -> ListOf[InboxMessageResource]:
    """List a contact's messages in both directions."""
    query = call.query
    page = inbox.thread_page(limit=query.limit, starting_after=query.starting_after, ending_before=query.ending_before)
    found = await inbox.list_thread_messages(call.ctx, _contact_id(call.params), page)
    return list_of(call.path, found, inbox.inbox_message_resource)


async def answer(call: Call[AnswerThread, NoQuery]) -> MessageResource:
    """Answer a contact."""
    return message_resource(await inbox.answer_thread(call.ctx, _contact_id(call.params), call.body))


async def read(call: Call[ReadThread, NoQuery]) -> InboxThreadResource:
    """Mark a thread as read."""
    contact_id = _contact_id(call.params)
    until = optional_ref(ids.INBOUND, call.body.until, "until")
    await inbox.get_thread(call.ctx, contact_id)
    await inbox.mark_read(call.ctx, contact_id, until=until)
    return inbox.inbox_thread_resource(await inbox.get_thread(call.ctx, contact_id))


async def unread(call: Call[NoBody, NoQuery]) -> InboxThreadResource:
    """Mark a thread as unread."""
    contact_id = _contact_id(call.params)
    await inbox.mark_unread(call.ctx, contact_id)
    return inbox.inbox_thread_resource(await inbox.get_thread(call.ctx, contact_id))


def _contact_id(params: Mapping[str, str]) -> UUID:
    return ids.find_id(ids.CONTACT, params["contact_id"], "contact", param="contact_id")
