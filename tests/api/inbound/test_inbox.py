"""Threads: their order, what is unread, what waits, their messages in both directions, and answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from msvs.api import ids
from msvs.api.campaigns.campaigns import CreateCampaign, create_campaign
from msvs.api.contacts.contacts import delete_contact
from msvs.api.context import Context
from msvs.api.errors import ApiError, InvalidRequest, NotFound, PermissionDenied
from msvs.api.inbound.inbox import (
    AnswerThread,
    ThreadFilter,
    answer_thread,
    count_threads,
    get_thread,
    inbox_message_resource,
    inbox_thread_resource,
    list_thread_messages,
    list_threads,
    mark_read,
    mark_unread,
    thread_page,
)
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.messages.statistics import conversation_overview
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row, fetch_value
from msvs.models import Contact, InboundMessage, Message, Role
from tests import factories
from tests.workers.test_campaigns import run_through

PAGE = PageRequest()


async def reply(ctx: Context, contact: Contact, text: str = "When?", *, to: str = "MASSIVESMS") -> Row:
    async with unit_of_work():
        return await receive_inbound(
            ctx, from_phone=contact.phone, to_sender=to, text=text, dedupe_key=str(ids.new_id())
        )


async def say(ctx: Context, contact: Contact, body: str) -> UUID:
    async with unit_of_work():
        return (await send_message(ctx, SendMessage(contact.phone, body))).id


async def people(ctx: Context, count: int) -> list[Contact]:
    return [await factories.make_contact(ctx) for _ in range(count)]


async def order(ctx: Context, page: PageRequest = PAGE, **which: Any) -> list[UUID]:
    return [thread.contact.id for thread in (await list_threads(ctx, page, ThreadFilter(**which))).items]


async def test_threads_stand_in_the_order_of_their_last_replies(ctx: Context, other_ctx: Context) -> None:
    one, two, three = await people(ctx, 3)
    silent = (await people(ctx, 1))[0]
    await say(ctx, silent, "Hello")
    for each in (one, two, three, one):
        await reply(ctx, each)
    assert await order(ctx) == [one.id, three.id, two.id]
    assert [thread.unread_count for thread in (await list_threads(ctx, PAGE)).items] == [2, 1, 1]
    assert await order(other_ctx) == []
    assert await order(replace(ctx, livemode=True)) == []
    assert (await conversation_overview(ctx)).conversation_count == 3


async def test_threads_are_paged_by_their_last_replies(ctx: Context) -> None:
    everybody = await people(ctx, 5)
    for each in everybody:
        await reply(ctx, each)
    newest_first = [each.id for each in reversed(everybody)]
    first = await list_threads(ctx, PageRequest(2))
    assert ([thread.contact.id for thread in first.items], first.has_more) == (newest_first[:2], True)
    rest = await list_threads(ctx, PageRequest(3, starting_after=first.items[-1].id))
    assert ([thread.contact.id for thread in rest.items], rest.has_more) == (newest_first[2:], False)
    back = await list_threads(ctx, PageRequest(1, ending_before=rest.items[0].id))
    assert ([thread.contact.id for thread in back.items], back.has_more) == (newest_first[1:2], True)


async def test_a_keyword_is_no_reply_and_opens_no_thread(ctx: Context) -> None:
    one, two = await people(ctx, 2)
    await reply(ctx, one, "HELP")
    await reply(ctx, two)
    await reply(ctx, two, "HELP")
    thread = await get_thread(ctx, two.id)
    assert (thread.unread_count, thread.last_reply.body) == (1, "When?")
    assert await order(ctx) == [two.id]
    with pytest.raises(NotFound):
        await get_thread(ctx, one.id)
    # Its messages are shown all the same, with what the service answered.
    shown = (await list_thread_messages(ctx, two.id, PAGE)).items
    assert [inbox_message_resource(row).direction for row in shown] == ["outbound", "inbound", "inbound"]


async def test_a_thread_waits_until_it_is_answered(ctx: Context) -> None:
    one, two = await people(ctx, 2)
    await say(ctx, one, "Doors open")
    for each in (one, two):
        await reply(ctx, each, to="+12125559999")
    assert await order(ctx, waiting=True) == [two.id, one.id]
    async with unit_of_work():
        sent = await answer_thread(ctx, one.id, AnswerThread("At {hour}", variables={"hour": "8"}, metadata={"a": "b"}))
    row = await Message.get(id=sent.id)
    assert (row.body, row.sender, row.to_phone, row.metadata) == ("At 8", "+12125559999", one.phone, {"a": "b"})
    answered = await get_thread(ctx, one.id)
    assert (answered.is_waiting, answered.unread_count) == (False, 0)
    assert answered.last_message is not None
    assert answered.last_message.id == sent.id
    assert await order(ctx, waiting=True) == [two.id]
    assert await order(ctx, unread=True) == [two.id]
    assert await order(ctx) == [two.id, one.id]
    await reply(ctx, one, "Thanks")
    assert await order(ctx, waiting=True) == [one.id, two.id]
    await Message.filter(id=(await say(ctx, one, "Bye"))).update(status="failed")
    assert (await get_thread(ctx, one.id)).is_waiting


async def test_an_answer_that_is_refused_leaves_the_thread_unread(ctx: Context) -> None:
    (one,) = await people(ctx, 1)
    await reply(ctx, one)
    with pytest.raises(ApiError):
        async with unit_of_work():
            await answer_thread(ctx, one.id, AnswerThread("{missing}"))
    assert (await get_thread(ctx, one.id)).unread_count == 1
    with pytest.raises(NotFound):
        await answer_thread(ctx, UUID(int=1), AnswerThread("Hi"))
    async with unit_of_work():
        sent = await answer_thread(ctx, one.id, AnswerThread("Hi", from_="COHORT"))
    assert (await Message.get(id=sent.id)).sender == "COHORT"


async def test_a_thread_is_marked_read_and_unread(ctx: Context, other_ctx: Context) -> None:
    (one,) = await people(ctx, 1)
    first, _, _ = [await reply(ctx, one, text) for text in ("a", "b", "c")]
    async with unit_of_work():
        assert await mark_read(ctx, one.id, until=first.id) == 1
    assert (await get_thread(ctx, one.id)).unread_count == 2
    assert await mark_read(other_ctx, one.id) == 0
    assert await mark_read(ctx, one.id) == 2
    assert await mark_read(ctx, one.id) == 0
    assert await order(ctx, unread=True) == []
    await mark_unread(other_ctx, one.id)
    assert await InboundMessage.filter(contact_id=one.id, read_at=None).count() == 0
    await mark_unread(ctx, one.id)
    assert await order(ctx, unread=True) == [one.id]
    assert (await get_thread(ctx, one.id)).unread_count == 1
    reader = replace(ctx, role=Role.READ_ONLY)
    for refused in (mark_read(reader, one.id), mark_unread(reader, one.id)):
        with pytest.raises(PermissionDenied):
            await refused
    assert await order(reader, unread=True) == [one.id]


async def test_a_threads_messages_are_merged_in_one_order_and_paged(ctx: Context, other_ctx: Context) -> None:
    (one,) = await people(ctx, 1)
    async with unit_of_work():
        await create_campaign(ctx, CreateCampaign("Launch", "Doors open", contact_ids=[one.id]))
    await run_through()
    for number in range(3):
        await reply(ctx, one, f"question {number}")
        await say(ctx, one, f"answer {number}")
    wanted = ["Doors open", *(f"{kind} {number}" for number in range(3) for kind in ("question", "answer"))][::-1]
    seen: list[str] = []
    page = PageRequest(2)
    while True:
        found = await list_thread_messages(ctx, one.id, page)
        seen += [row.body for row in found.items]
        if not found.has_more:
            break
        last = inbox_message_resource(found.items[-1]).id
        page = thread_page(limit=2, starting_after=last)
    assert seen == wanted
    newest = (await list_thread_messages(ctx, one.id, PageRequest(7))).items
    back = thread_page(limit=2, ending_before=inbox_message_resource(newest[3]).id)
    assert [row.body for row in (await list_thread_messages(ctx, one.id, back)).items] == wanted[1:3]
    with pytest.raises(NotFound):
        await list_thread_messages(other_ctx, one.id, PAGE)
    with pytest.raises(InvalidRequest):
        thread_page(starting_after="con_1")


async def test_a_deleted_contact_has_no_thread(ctx: Context) -> None:
    one, two = await people(ctx, 2)
    for each in (one, two):
        await reply(ctx, each)
    async with unit_of_work():
        await delete_contact(ctx, one.id)
    assert await order(ctx) == [two.id]


async def test_the_shape_of_a_thread(ctx: Context) -> None:
    (one,) = await people(ctx, 1)
    last = await reply(ctx, one)
    shape = inbox_thread_resource(await get_thread(ctx, one.id))
    assert (shape.id, shape.contact.phone, shape.unread_count, shape.waiting) == (
        ids.encode_id(ids.INBOUND, last.id),
        one.phone,
        1,
        True,
    )
    assert (shape.last_message, shape.last_reply.read_at) == (None, None)


async def test_threads_are_found_through_indexes(ctx: Context) -> None:
    plans = await fetch_value(
        "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'inbound_messages'"
    )
    for name in ("contact", "message", "unread"):
        assert f"inbound_messages_{name}" in plans


async def test_threads_are_found_by_what_stands_in_them(ctx: Context, other_ctx: Context) -> None:
    maria = await factories.make_contact(ctx, "+12125550101", first_name="Maria", last_name="Silva")
    ana = await factories.make_contact(ctx, "+12125550199", first_name="Ana", email="ana@example.com")
    theirs = await factories.make_contact(other_ctx, "+12125550101", first_name="Maria")
    await reply(ctx, maria, "Is there a payment plan?")
    await reply(ctx, ana, "100% sure")
    await reply(other_ctx, theirs, "Is there a payment plan?")
    await say(ctx, ana, "The doors open at eight.")
    found = {q: await order(ctx, q=q) for q in ("PAYMENT", "maria sil", "ana@", "0199", "(212) 555-01", "doors", "0%")}
    assert found == {
        "PAYMENT": [maria.id],
        "maria sil": [maria.id],
        "ana@": [ana.id],
        "0199": [ana.id],
        "(212) 555-01": [ana.id, maria.id],
        "doors": [ana.id],
        "0%": [ana.id],
    }
    for q in ("nothing", "_", "%%", "12", "\0"):
        assert await order(ctx, q=q) == [], q
    assert await order(ctx, q="  ") == [ana.id, maria.id]
    assert await count_threads(ctx, ThreadFilter(q="payment")) == 1
    with pytest.raises(InvalidRequest):
        await order(ctx, q="x" * 101)
