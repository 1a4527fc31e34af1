"""Keywords: who texts one opts in, is on the list once, and is answered once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts import lists
from msvs.api.context import Context
from msvs.api.errors import ApiError, Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.inbound import replies
from msvs.api.inbound.keywords import (
    CreateKeyword,
    UpdateKeyword,
    create_keyword,
    delete_keyword,
    get_keyword,
    list_keywords,
    update_keyword,
)
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row
from msvs.models import (
    ConsentEvent,
    Contact,
    ContactList,
    Keyword,
    ListMember,
    Message,
    MessageKind,
    OptInStatus,
    Role,
    Suppression,
    Workspace,
)
from tests import factories
from tests.services import SERVICES

_keys = count(1)


async def make(ctx: Context, word: str, row: ContactList, reply: str | None = None) -> Keyword:
    async with unit_of_work():
        return await create_keyword(ctx, CreateKeyword(word, ids.encode_id(ids.CONTACT_LIST, row.id), reply))


async def change(ctx: Context, keyword: Keyword, data: UpdateKeyword) -> Keyword:
    async with unit_of_work():
        return await update_keyword(ctx, keyword.id, data)


async def text(ctx: Context, phone: str, body: str, *, now: datetime | None = None) -> Row:
    async with unit_of_work():
        return await replies.receive_inbound(
            ctx, from_phone=phone, to_sender="COHORTLABS", text=body, dedupe_key=f"join-{next(_keys)}", now=now
        )


async def answers(phone: str) -> list[str]:
    return await Message.filter(to_phone=phone, kind=MessageKind.AUTO).order_by("id").values_list("body", flat=True)


async def events() -> list[str]:
    rows = await db.fetch(
        "SELECT type FROM events WHERE type NOT IN ('message.queued', 'inbound.received') ORDER BY id"
    )
    return [row.type for row in rows]


async def test_a_keyword_is_made_read_changed_and_deleted(ctx: Context) -> None:
    row, other = await factories.make_list(ctx), await factories.make_list(ctx)
    made = await make(ctx, "  Cohort  6 ", row, "You are in.")
    assert (made.word, made.folded, made.reply, made.livemode) == ("Cohort 6", "cohort 6", "You are in.", False)
    assert (await get_keyword(ctx, made.id)).list_id == row.id
    second = await make(ctx, "VIP", other)
    assert [each.id for each in (await list_keywords(ctx, PageRequest())).items] == [second.id, made.id]
    assert [each.id for each in (await list_keywords(ctx, PageRequest(), list_id=row.id)).items] == [made.id]
    changed = await change(
        ctx, made, UpdateKeyword(word="Cohorte 7", list_id=ids.encode_id(ids.CONTACT_LIST, other.id), reply=None)
    )
    stored = await get_keyword(ctx, made.id)
    for each in (changed, stored):
        assert (each.word, each.folded, each.list_id, each.reply) == ("Cohorte 7", "cohorte 7", other.id, None)
    await change(ctx, made, UpdateKeyword(reply="Hi"))
    assert (await get_keyword(ctx, made.id)).word == "Cohorte 7"
    async with unit_of_work():
        await delete_keyword(ctx, made.id)
    with pytest.raises(NotFound):
        await get_keyword(ctx, made.id)
    with pytest.raises(NotFound):
        await change(ctx, made, UpdateKeyword(word="X1"))


@pytest.mark.parametrize(
    "word",
    ["STOP", "stop.", "Arrêt", "start", "HELP", "sí", "YES", "stop texting me", "unsubscribe me", "wrong number"],
)
async def test_a_word_that_means_the_same_to_all_is_refused(ctx: Context, word: str) -> None:
    row = await factories.make_list(ctx)
    made = await make(ctx, "JOIN", row)
    for operation in (make(ctx, word, row), change(ctx, made, UpdateKeyword(word=word))):
        with pytest.raises(InvalidRequest) as refused:
            await operation
        assert (refused.value.code, refused.value.param) == ("keyword_reserved", "word")
    assert [each.word for each in await Keyword.all()] == ["JOIN"]


@pytest.mark.parametrize("word", ["", "  ", "x" * 31, "a\nb", "!!!", "👍", "\u0301"])
async def test_a_word_that_is_none_is_refused(ctx: Context, word: str) -> None:
    row = await factories.make_list(ctx)
    with pytest.raises(InvalidRequest) as refused:
        await make(ctx, word, row)
    assert refused.value.param == "word"
    assert await Keyword.all().count() == 0


@pytest.mark.parametrize("reply", ["", "  ", "x" * 321])
async def test_a_reply_that_cannot_be_sent_is_refused(ctx: Context, reply: str) -> None:
    row = await factories.make_list(ctx)
    with pytest.raises(InvalidRequest) as refused:
        await make(ctx, "JOIN", row, reply)
    assert refused.value.param == "reply"


async def test_a_word_is_taken_once_in_a_workspace_and_mode(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    row = await factories.make_list(ctx)
    made = await make(ctx, "JOIN", row)
    other = await make(ctx, "VIP", row)
    for operation in (make(ctx, "Jóin!", row), change(ctx, other, UpdateKeyword(word="join"))):
        with pytest.raises(Conflict) as refused:
            await operation
        assert refused.value.code == "keyword_exists"
        assert refused.value.details == {"existing_id": ids.encode_id(ids.KEYWORD, made.id)}
    await change(ctx, made, UpdateKeyword(word="Join", reply="Hi"))
    for scope in (live_ctx, other_ctx):
        await make(scope, "JOIN", await factories.make_list(scope))
        with pytest.raises(NotFound):
            await get_keyword(scope, made.id)
        assert len((await list_keywords(scope, PageRequest())).items) == 1


async def test_the_list_must_be_the_callers_and_kept_by_hand(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    synced = await factories.make_list(ctx)
    await ContactList.filter(id=synced.id).update(kind="kit")
    keyword = await make(ctx, "VIP", await factories.make_list(ctx))
    refusals: list[tuple[type[ApiError], str]] = []
    for row in (synced, await factories.make_list(live_ctx), await factories.make_list(other_ctx)):
        for operation in (
            make(ctx, "JOIN", row),
            change(ctx, keyword, UpdateKeyword(list_id=ids.encode_id(ids.CONTACT_LIST, row.id))),
        ):
            with pytest.raises(ApiError) as refused:
                await operation
            refusals.append((type(refused.value), refused.value.code))
    assert refusals == [(Conflict, "list_synced")] * 2 + [(InvalidRequest, "resource_missing")] * 4
    assert await Keyword.all().count() == 1


async def test_a_read_only_member_changes_no_keyword(ctx: Context) -> None:
    row = await factories.make_list(ctx)
    keyword = await make(ctx, "JOIN", row)
    reader = Context(ctx.workspace_id, ctx.livemode, actor="usr_1", role=Role.READ_ONLY, services=SERVICES)
    assert (await get_keyword(reader, keyword.id)).word == "JOIN"
    for operation in (
        create_keyword(reader, CreateKeyword("VIP", ids.encode_id(ids.CONTACT_LIST, row.id))),
        update_keyword(reader, keyword.id, UpdateKeyword(word="VIP")),
        delete_keyword(reader, keyword.id),
    ):
        with pytest.raises(PermissionDenied):
            await operation
    assert [each.word for each in await Keyword.all()] == ["JOIN"]


async def test_deleting_a_list_deletes_its_keywords(ctx: Context) -> None:
    row, other = await factories.make_list(ctx), await factories.make_list(ctx)
    await make(ctx, "JOIN", row)
    kept = await make(ctx, "VIP", other)
    async with unit_of_work():
        await lists.delete_list(ctx, row.id)
    assert [each.id for each in await Keyword.all()] == [kept.id]
    phone = factories.next_phone()
    assert (await text(ctx, phone, "JOIN")).keyword is None
    assert (await Contact.get(phone=phone)).opt_in_status == OptInStatus.UNKNOWN


async def test_a_stranger_who_texts_the_word_opts_in_and_joins_once(ctx: Context, workspace: Workspace) -> None:
    row = await factories.make_list(ctx)
    await make(ctx, "Café", row, "Welcome to the café.")
    phone = factories.next_phone()
    inbound = await text(ctx, phone, " CAFE! ")
    contact = await Contact.get(phone=phone)
    assert (inbound.keyword, inbound.intent, inbound.contact_id) == ("join", None, contact.id)
    assert (contact.opt_in_status, contact.opt_in_source) == (OptInStatus.OPTED_IN, "keyword:Café")
    assert (await ContactList.get(id=row.id)).contact_count == 1
    assert await answers(phone) == ["Welcome to the café."]
    assert await events() == ["contact.opted_in"]
    evidence = await ConsentEvent.get(contact_id=contact.id)
    assert (evidence.status, evidence.source, evidence.text) == (OptInStatus.OPTED_IN, "keyword:Café", " CAFE! ")
    for later in (timedelta(0), timedelta(days=2)):
        await text(ctx, phone, "café", now=datetime.now(UTC) + later)
    assert await ListMember.filter(list_id=row.id).count() == 1
    assert await answers(phone) == ["Welcome to the café."]
    assert await events() == ["contact.opted_in"]
    assert await ConsentEvent.all().count() == 1


async def test_without_a_reply_of_its_own_the_workspaces_welcome_answers(ctx: Context, workspace: Workspace) -> None:
    await make(ctx, "JOIN", await factories.make_list(ctx))
    phone = factories.next_phone()
    await text(ctx, phone, "join")
    assert await answers(phone) == [workspace.welcome_text]
    sent = await Message.get(to_phone=phone)
    assert sent.sender == "COHORTLABS"


async def test_the_word_among_others_is_a_reply(ctx: Context) -> None:
    row = await factories.make_list(ctx)
    await make(ctx, "JOIN", row)
    contact = await factories.make_contact(ctx, status=OptInStatus.UNKNOWN)
    for body in ("how do I JOIN?", "JOIN now", "JOINT", "J O I N", "join " * 40):
        assert (await text(ctx, contact.phone, body)).keyword is None
    assert await ListMember.all().count() == 0
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.UNKNOWN


async def test_one_that_is_opted_in_joins_another_list_and_is_answered(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    first, second = await factories.make_list(ctx, [contact]), await factories.make_list(ctx)
    await make(ctx, "ONE", first, "You are on one.")
    await make(ctx, "TWO", second, "You are on two.")
    await text(ctx, contact.phone, "one")
    assert await answers(contact.phone) == []
    await text(ctx, contact.phone, "two")
    assert await answers(contact.phone) == ["You are on two."]
    assert await ListMember.filter(list_id=second.id).count() == 1
    assert await events() == []


async def test_one_that_is_opted_in_is_not_asked_again(ctx: Context, workspace: Workspace) -> None:
    await Workspace.filter(id=workspace.id).update(double_opt_in=True)
    contact = await factories.make_contact(ctx)
    await make(ctx, "JOIN", await factories.make_list(ctx), "You are in.")
    await text(ctx, contact.phone, "JOIN")
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await answers(contact.phone) == ["You are in."]


async def test_a_phone_that_said_stop_opts_in_again_by_its_own_act(ctx: Context, workspace: Workspace) -> None:
    contact = await factories.make_contact(ctx)
    await make(ctx, "JOIN", await factories.make_list(ctx, [contact]))
    await text(ctx, contact.phone, "STOP")
    assert await Suppression.all().count() == 1
    await text(ctx, contact.phone, "JOIN")
    assert await Suppression.all().count() == 0
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN
    assert await answers(contact.phone) == [workspace.opt_out_text, workspace.welcome_text]
    assert await events() == ["contact.opted_out", "contact.opted_in"]


async def test_double_opt_in_asks_first_and_the_list_holds_the_place(ctx: Context, workspace: Workspace) -> None:
    await Workspace.filter(id=workspace.id).update(double_opt_in=True)
    row = await factories.make_list(ctx)
    await make(ctx, "JOIN", row, "You are in.")
    phone = factories.next_phone()
    await text(ctx, phone, "JOIN")
    await text(ctx, phone, "JOIN")
    contact = await Contact.get(phone=phone)
    assert (contact.opt_in_status, contact.opt_in_source) == (OptInStatus.PENDING, "keyword:JOIN")
    assert await ListMember.filter(list_id=row.id).count() == 1
    assert await answers(phone) == [workspace.opt_in_text]
    assert (await Message.get(to_phone=phone)).sender == "COHORTLABS"
    assert await events() == []
    await text(ctx, phone, "yes")
    assert (await Contact.get(phone=phone)).opt_in_status == OptInStatus.OPTED_IN
    assert await answers(phone) == [workspace.opt_in_text, workspace.welcome_text]
    assert await events() == ["contact.opted_in"]


async def test_a_list_that_became_synced_accepts_no_keyword(ctx: Context) -> None:
    row = await factories.make_list(ctx)
    await make(ctx, "JOIN", row)
    await ContactList.filter(id=row.id).update(kind="kit")
    phone = factories.next_phone()
    assert (await text(ctx, phone, "JOIN")).keyword is None
    assert await ListMember.all().count() == 0


async def test_two_at_once_join_once(ctx: Context) -> None:
    row = await factories.make_list(ctx)
    await make(ctx, "JOIN", row, "You are in.")
    contact = await factories.make_contact(ctx, status=OptInStatus.UNKNOWN)
    await asyncio.gather(*(text(ctx, contact.phone, "JOIN") for _ in range(4)))
    assert await ListMember.filter(list_id=row.id).count() == 1
    assert await answers(contact.phone) == ["You are in."]
    assert await events() == ["contact.opted_in"]
