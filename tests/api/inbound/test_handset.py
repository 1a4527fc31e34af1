"""Handsets of the sandbox: which phones are listed, in which order, and what is known of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, PermissionDenied
from msvs.api.inbound import handset, replies
from msvs.api.inbound.handset import SCRIPTED
from msvs.api.messages import messages
from msvs.api.messages.sandbox import REFUSED_CREDITS, REFUSED_REGION
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.scripts import SCRIPTS
from msvs.models import Contact, InboundMessage, Message, MessageStatus
from tests import factories

DOCUMENTED = Path(__file__).parents[3] / "docs" / "sandbox.md"


async def send(ctx: Context, phone: str) -> None:
    async with unit_of_work():
        await messages.send_message(ctx, messages.SendMessage(to=phone, body="Doors open at 8pm ET."))


async def reply(ctx: Context, phone: str, text: str) -> None:
    async with unit_of_work():
        await replies.receive_inbound(
            ctx, from_phone=phone, to_sender="MASSIVESMS", text=text, dedupe_key=f"{phone}:{text}"
        )


def test_every_scripted_number_is_reported() -> None:
    assert SCRIPTED.keys() == SCRIPTS.keys() | {REFUSED_REGION, REFUSED_CREDITS}
    rows = [line for line in DOCUMENTED.read_text().splitlines() if line.startswith("| `+1")]
    assert {row.split("`")[1] for row in rows} == SCRIPTED.keys()


async def test_the_newest_comes_first_and_each_phone_once(ctx: Context) -> None:
    first, second = factories.next_phone(), factories.next_phone()
    await send(ctx, first)
    await send(ctx, second)
    assert [each.phone for each in await handset.list_handsets(ctx)] == [second, first]
    await reply(ctx, first, "When?")
    listed = await handset.list_handsets(ctx)
    assert [(each.phone, type(each.last)) for each in listed] == [(first, InboundMessage), (second, Message)]
    assert isinstance(listed[0].contact, Contact)
    assert not listed[0].is_opted_out


async def test_the_list_of_handsets_is_limited(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    phones = [factories.next_phone() for _ in range(3)]
    for phone in phones:
        await send(ctx, phone)
    monkeypatch.setattr(handset, "MAX_HANDSETS", 2)
    assert [each.phone for each in await handset.list_handsets(ctx)] == [phones[2], phones[1]]
    monkeypatch.setattr(handset, "LOOKED_AT", 1)
    assert [each.phone for each in await handset.list_handsets(ctx)] == [phones[2]]


async def test_a_skipped_recipient_received_nothing(ctx: Context) -> None:
    await send(ctx, factories.next_phone())
    await Message.filter(workspace_id=ctx.workspace_id, livemode=False).update(status=MessageStatus.SKIPPED)
    assert await handset.list_handsets(ctx) == []


async def test_an_opt_out_outlives_the_contact(ctx: Context) -> None:
    phone = factories.next_phone()
    await send(ctx, phone)
    await reply(ctx, phone, "STOP")
    assert (await handset.get_handset(ctx, phone)).is_opted_out
    await Contact.filter(workspace_id=ctx.workspace_id, livemode=False).delete()
    found = await handset.get_handset(ctx, phone)
    assert (found.contact, found.is_opted_out) == (None, True)


async def test_a_phone_without_messages(ctx: Context) -> None:
    phone = factories.next_phone()
    assert await handset.get_handset(ctx, phone) == handset.Handset(phone, None, False)
    assert (await handset.list_handset_messages(ctx, phone, PageRequest(10))).items == []
    assert await handset.count_handset_messages(ctx, phone) == 0
    await send(ctx, phone)
    await reply(ctx, phone, "When?")
    assert len((await handset.list_handset_messages(ctx, phone, PageRequest(10))).items) == 2
    assert await handset.count_handset_messages(ctx, phone) == 2


async def test_invalid_numbers(ctx: Context) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await handset.get_handset(ctx, "12")
    assert (refused.value.code, refused.value.param) == ("phone_number_invalid", "phone")


async def test_live_has_none(live_ctx: Context) -> None:
    phone = factories.next_phone()
    for refused in (
        handset.list_handsets(live_ctx),
        handset.get_handset(live_ctx, phone),
        handset.list_handset_messages(live_ctx, phone, PageRequest(10)),
        handset.count_handset_messages(live_ctx, phone),
    ):
        with pytest.raises(PermissionDenied) as denied:
            await refused
        assert denied.value.code == "sandbox_only"


async def test_another_workspace_sees_nothing(ctx: Context, other_ctx: Context) -> None:
    phone = factories.next_phone()
    await send(ctx, phone)
    await reply(ctx, phone, "STOP")
    assert await handset.list_handsets(other_ctx) == []
    assert await handset.get_handset(other_ctx, phone) == handset.Handset(phone, None, False)
