"""Search: what people type finds what they mean, in their workspace and mode, at a bounded cost."""

from __future__ import annotations

import pytest

from msvs.api import ids
from msvs.api.campaigns import search
from msvs.api.campaigns.search import MOST_FOUND, read_term
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, PermissionDenied
from msvs.models import Campaign, CampaignStatus, Contact, Message, MessageKind, MessageStatus, Segment
from tests import factories

MARIA = "+12125550101"


async def maria_of(ctx: Context) -> Contact:
    return await factories.make_contact(
        ctx,
        MARIA,
        canonical=MARIA,
        first_name="Maria",
        last_name="Silva",
        email="Maria@cohortlabs.co",
        external_id="crm 7",
    )


async def found(ctx: Context, text: str) -> list[str]:
    return [str(row.phone) for row in await search.search_contacts(ctx, read_term(text))]


@pytest.mark.parametrize(
    "text",
    [
        MARIA,
        "12125550101",
        "(212) 555-0101",
        "212.555.0101",
        "0212 555 0101",
        " +1 (212) 555-0101 ",
        "5550101",
        "maria",
        "SILVA maria",
        "maria@cohortlabs.co",
        "MARIA@COHORTLABS.CO",
        "cohortlabs",
        "crm 7",
    ],
)
async def test_a_contact_is_found_as_people_write_it(text: str, ctx: Context, other_ctx: Context) -> None:
    await maria_of(ctx)
    await maria_of(other_ctx)
    await factories.make_contact(ctx, "+13105550102", first_name="Ana", external_id="crm 8")
    assert await found(ctx, text) == [MARIA]


@pytest.mark.parametrize("text", ["+1 310", "%", "_", "mar%a", "crm", "2125550102", "con_", "\\", "'; DROP TABLE"])
async def test_what_is_no_contact_finds_none(text: str, ctx: Context) -> None:
    await maria_of(ctx)
    assert await found(ctx, text) == []


async def test_the_exact_one_comes_first_however_many_share_its_digits(ctx: Context) -> None:
    await maria_of(ctx)
    for number in range(MOST_FOUND + 2):
        await factories.make_contact(ctx, f"+4477000{number:05d}", external_id=None, first_name="+12125550101")
    rows = await found(ctx, MARIA)
    assert (rows[0], len(rows)) == (MARIA, MOST_FOUND)


async def test_ids_find_one_thing_and_are_no_words(ctx: Context, other_ctx: Context) -> None:
    maria = await maria_of(ctx)
    theirs = await maria_of(other_ctx)
    row = await factories.make_list(ctx, [], name="VIP")
    assert [each.id for each in await search.search_contacts(ctx, read_term(ids.encode_id(ids.CONTACT, maria.id)))] == [
        maria.id
    ]
    assert await search.search_contacts(ctx, read_term(ids.encode_id(ids.CONTACT, theirs.id))) == []
    term = read_term(ids.encode_id(ids.CONTACT_LIST, row.id))
    assert [each.id for each in await search.search_lists(ctx, term)] == [row.id]
    assert await search.search_segments(ctx, term) == []
    assert await search.search_messages(ctx, term) == []


async def test_campaigns_lists_and_segments_by_a_part_of_the_name(ctx: Context, live_ctx: Context) -> None:
    place = {"workspace_id": ctx.workspace_id, "livemode": False}
    draft = await Campaign.create(
        name="Cart close", body="Hey", sender="MASSIVESMS", audience={}, status=CampaignStatus.DRAFT, **place
    )
    await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=True,
        name="Cart close",
        body="Hey",
        sender="MASSIVESMS",
        audience={},
        status=CampaignStatus.DRAFT,
    )
    segment = await Segment.create(name="Cart lovers", conditions={}, **place)
    cohort = await factories.make_list(ctx, [], name="No carts")
    term = read_term(" cArT ")
    assert [row.id for row in await search.search_campaigns(ctx, term)] == [draft.id]
    assert [row.id for row in await search.search_segments(ctx, term)] == [segment.id]
    assert [row.id for row in await search.search_lists(ctx, term)] == [cohort.id]
    assert len(await search.search_campaigns(live_ctx, term)) == 1


async def send(ctx: Context, contact: Contact, body: str) -> Message:
    return await Message.create(
        workspace_id=ctx.workspace_id,
        livemode=False,
        contact_id=contact.id,
        to_phone=contact.phone,
        sender="MASSIVESMS",
        body=body,
        kind=MessageKind.API,
        status=MessageStatus.SKIPPED,
        segments=1,
        encoding="gsm7",
        due_at=ctx.services.clock(),
    )


@pytest.mark.parametrize("code", ["4821", "48210", "482-913", "0048210", "482913", "1255 501"])
async def test_a_code_of_digits_is_found_in_the_text(code: str, ctx: Context) -> None:
    message = await send(ctx, await maria_of(ctx), f"Your code is {code}.")
    await send(ctx, await factories.make_contact(ctx, "+13105550102"), "Your code is 1.")
    assert [row.id for row in await search.search_messages(ctx, read_term(code))] == [message.id]


async def test_digits_find_what_went_to_a_phone_and_what_says_them_newest_first(ctx: Context) -> None:
    maria, ana = await maria_of(ctx), await factories.make_contact(ctx, "+13105550102")
    texts = [(maria, "Hey"), (ana, "Call 5550101"), (maria, "It is 5550101"), (ana, "Hey")]
    made = [await send(ctx, contact, body) for contact, body in texts]
    found = await search.search_messages(ctx, read_term("5550101"))
    assert [row.id for row in found] == [each.id for each in reversed(made[:3])]
    for _ in range(MOST_FOUND):
        made.append(await send(ctx, ana, "Call 5550101"))
    assert [row.id for row in await search.search_messages(ctx, read_term("5550101"))] == [
        each.id for each in reversed(made[-MOST_FOUND:])
    ]


async def test_messages_by_phone_body_and_id(ctx: Context) -> None:
    message = await send(ctx, await maria_of(ctx), "Doors open at 8")
    for text in ("(212) 555-0101", "doors OPEN", ids.encode_id(ids.MESSAGE, message.id)):
        assert [row.id for row in await search.search_messages(ctx, read_term(text))] == [message.id]
    assert await search.search_messages(ctx, read_term("3105550102")) == []


@pytest.mark.parametrize("text", ["", "   ", "x" * 101, "a\0b", "a\nb"])
def test_no_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_term(text)


async def test_a_key_finds_what_its_scopes_allow(ctx: Context) -> None:
    narrow = Context(ctx.workspace_id, False, "key_1", scopes=frozenset({"campaigns:read"}), services=ctx.services)
    assert await search.search_campaigns(narrow, read_term("cart")) == []
    for operation in (search.search_contacts, search.search_lists, search.search_segments, search.search_messages):
        with pytest.raises(PermissionDenied):
            await operation(narrow, read_term("cart"))
