"""Contacts of a segment, with the other conditions, page by page in either order."""

from __future__ import annotations

import pytest

from msvs.api import ids
from msvs.api.contacts.contact_pages import count_matching, list_matching
from msvs.api.contacts.contacts import ListContacts
from msvs.api.contacts.segments import create_segment
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.pages import PageRequest
from msvs.models import Contact, OptInStatus
from tests import factories

VIP = {"field": "attributes.tier", "op": "eq", "value": "vip"}


async def people(ctx: Context) -> list[Contact]:
    """Six contacts, of whom the even ones are VIPs, oldest first."""
    return [
        await factories.make_contact(
            ctx,
            first_name=f"Ana {place}",
            email=f"ana{place}@cohortlabs.co",
            attributes={"tier": "vip" if place % 2 == 0 else "free", "place": place},
            status=OptInStatus.OPTED_OUT if place == 4 else OptInStatus.OPTED_IN,
        )
        for place in range(6)
    ]


async def segment_of(ctx: Context) -> str:
    return ids.encode_id(ids.SEGMENT, (await create_segment(ctx, "VIPs", VIP)).id)


async def names(ctx: Context, page: PageRequest, **which: object) -> tuple[list[str | None], bool]:
    found = await list_matching(ctx, page, ListContacts(**which))  # type: ignore[arg-type]
    return [row.first_name for row in found.items], found.has_more


async def test_pages_of_a_segment_in_either_order(ctx: Context, other_ctx: Context) -> None:
    made, segment = await people(ctx), await segment_of(ctx)
    await people(other_ctx)
    assert await names(ctx, PageRequest(2), segment_id=segment) == (["Ana 4", "Ana 2"], True)
    assert await names(ctx, PageRequest(2, starting_after=made[2].id), segment_id=segment) == (["Ana 0"], False)
    assert await names(ctx, PageRequest(2, ending_before=made[0].id), segment_id=segment) == (["Ana 4", "Ana 2"], False)
    assert await names(ctx, PageRequest(1, ending_before=made[0].id), segment_id=segment) == (["Ana 2"], True)
    assert await names(ctx, PageRequest(9), segment_id=segment, order="oldest") == (["Ana 0", "Ana 2", "Ana 4"], False)
    assert await count_matching(ctx, ListContacts(segment_id=segment)) == 3


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        ({"q": "ana 2"}, ["Ana 2"]),
        ({"opt_in_status": "opted_in"}, ["Ana 2", "Ana 0"]),
        ({"attributes": {"place": "0"}}, ["Ana 0"]),
        ({"attributes": {"tier": "free"}}, []),
        ({"email": "ANA4@cohortlabs.co"}, ["Ana 4"]),
        ({"q": "';--"}, []),
        ({"limit": 1}, ["Ana 4", "Ana 2", "Ana 0"]),
    ],
)
async def test_other_conditions_hold_too(which: dict[str, object], expected: list[str], ctx: Context) -> None:
    await people(ctx)
    segment = await segment_of(ctx)
    assert await names(ctx, PageRequest(9), segment_id=segment, **which) == (expected, False)
    assert await count_matching(ctx, ListContacts(segment_id=segment, **which)) == len(expected)  # type: ignore[arg-type]


async def test_without_a_segment_as_ever(ctx: Context) -> None:
    await people(ctx)
    assert (await names(ctx, PageRequest(1), q="ana 5"))[0] == ["Ana 5"]
    assert await count_matching(ctx, ListContacts(q="ana")) == 6


async def test_another_s_segment_is_none(ctx: Context, other_ctx: Context) -> None:
    theirs = await segment_of(other_ctx)
    for segment in (theirs, "seg_1", ids.encode_id(ids.CONTACT, ids.new_id())):
        with pytest.raises(InvalidRequest) as refused:
            await names(ctx, PageRequest(9), segment_id=segment)
        assert refused.value.param == "segment_id"
