"""Contact searches and filters: their results, and how many rows they read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts import contact_pages
from msvs.api.contacts.contact_filters import compile_contacts, national_prefixes
from msvs.api.contacts.contact_pages import count_matching, list_matching
from msvs.api.contacts.contacts import ListContacts
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.pages import PageRequest
from msvs.models import Contact, ListMember
from tests.factories import make_contact, make_list
from tests.owner import as_owner
from tests.plans import reading

NOW = datetime.now(UTC)
MANY = 12_000
FILL = """
INSERT INTO contacts (id, workspace_id, livemode, phone, canonical, region, number_kind, first_name, last_name, email,
    attributes, opt_in_status, created_at, updated_at)
SELECT overlay(id_floor(now() - interval '1 day')::text placing right(gen_random_uuid()::text, 22) from 15)::uuid, $1,
    $2, '+1212' || 2000000 + n, '', 'US', 'mobile', 'Maria', 'Silva' || n, 'm' || n || '@example.com',
    jsonb_build_object('tier', 'free', 'seat', n), 'unknown', now() - interval '1 day', now() - interval '1 day'
FROM generate_series(0, $3::bigint - 1) AS n
"""


async def find(ctx: Context, **which: Any) -> list[str | None]:
    page = await list_matching(ctx, PageRequest(), ListContacts(**which))
    return [row.first_name for row in page.items]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jose", ["José"]),
        ("JOSÉ núñez", ["José"]),
        ("nunez", ["José"]),
        ("Иван", ["Иван"]),
        ("иВАН", ["Иван"]),
        ("明", ["小明"]),
        ("li", ["小明", "Oliver"]),
        ("oliver@cohortlabs.co", ["Oliver"]),
        ("ver@cohort", ["Oliver"]),
        ("ver@example", []),
        ("@cohortlabs", ["Oliver"]),
        ("cohort liv", ["Oliver"]),
        ("liver ohort nobody", []),
        ("+44 20 7946 0958", ["Oliver"]),
        ("020 7946 0958", ["Oliver"]),
        ("(020) 7946-0958", ["Oliver"]),
        ("0044 20 79460958", ["Oliver"]),
        ("7946 0958", ["Oliver"]),
        ("0958", ["Oliver"]),
        ("958", ["Oliver"]),
        ("8 (912) 345-67-89", ["Иван"]),
        ("(415) 555-0123", ["José"]),
        ("1-415-555-0123", ["José"]),
        ("415.555.0124", []),
        ("9" * 60, []),
    ],
)
async def test_contacts_are_found_as_people_write(
    ctx: Context, other_ctx: Context, text: str, expected: list[str]
) -> None:
    await make_contact(ctx, "+14155550123", first_name="José", last_name="Núñez")
    await make_contact(ctx, "+79123456789", first_name="Иван")
    await make_contact(ctx, "+442079460958", first_name="Oliver", email="oliver@cohortlabs.co")
    await make_contact(ctx, "+8613912345678", first_name="小明", last_name="Li")
    await make_contact(other_ctx, "+442079460958", first_name="Oliver")

    assert await find(ctx, search=text) == expected
    assert await count_matching(ctx, ListContacts(search=text)) == len(expected)


def test_what_is_dialed_at_home_is_known() -> None:
    assert {"0", "8", "06"} <= set(national_prefixes())
    assert "1" not in national_prefixes()


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("most_sorted", [0, 3, 100])
@pytest.mark.parametrize("near", [1, 4])
async def test_pages_of_a_search_hold_each_once(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, order: str, most_sorted: int, near: int
) -> None:
    """Pages continue from each other, whether found near the cursor, by the index, or by a longer scan."""
    monkeypatch.setattr(contact_pages, "NEAR", near)
    monkeypatch.setattr(contact_pages, "MOST_SORTED", most_sorted)
    monkeypatch.setattr(contact_pages, "MOST_LOOKED_AT", 3)
    made = [await make_contact(ctx, first_name="Maria" if place % 3 == 0 else "Ana") for place in range(17)]
    expected = [row.id for row in made if row.first_name == "Maria"]

    found, after = [], None
    for _ in range(20):
        page = await list_matching(ctx, PageRequest(2, starting_after=after), ListContacts(search="maria", order=order))
        found += [row.id for row in page.items]
        if not page.has_more:
            break
        after = page.reached or page.items[-1].id
    assert found == (expected if order == "oldest" else expected[::-1])


async def test_a_page_before_a_cursor_is_in_the_order_of_the_list(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact_pages, "NEAR", 1)
    made = [await make_contact(ctx, first_name="Maria") for _ in range(5)]
    page = await list_matching(ctx, PageRequest(2, ending_before=made[0].id), ListContacts(search="maria"))
    assert ([row.id for row in page.items], page.has_more) == ([made[2].id, made[1].id], True)


async def test_external_ids_and_times_of_change_are_filters(ctx: Context) -> None:
    await make_contact(ctx, first_name="Old", external_id="crm-1")
    young = await make_contact(ctx, first_name="Young", external_id="crm-2")
    await Contact.filter(id=young.id).update(updated_at=NOW + timedelta(days=400))
    later = NOW + timedelta(days=300)

    assert await find(ctx, external_id="crm-1") == ["Old"]
    assert await find(ctx, updated_before=later) == ["Old"]
    assert await find(ctx, updated_from=later) == ["Young"]
    with pytest.raises(InvalidRequest) as refused:
        await find(ctx, search="a\x00")
    assert refused.value.param == "search"


@pytest.mark.parametrize("is_generic", [False, True])
async def test_no_filter_reads_the_table_whole(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch, *, is_generic: bool
) -> None:
    """Each filter matches one old contact among many, and thousands of another workspace."""
    old = await make_contact(
        ctx, "+442079460958", first_name="Oliver", email="o@cohortlabs.co", attributes={"tier": "vip"}, external_id="x"
    )
    row = await make_list(ctx, [old])
    for each in (ctx, other_ctx):
        await db.execute(FILL, each.workspace_id, each.livemode, MANY)
    await db.execute(
        """UPDATE contacts SET attributes = '{"tier": "vip"}', first_name = 'Oliver', opt_in_status = 'opted_out',
        updated_at = $2 WHERE workspace_id = $1""",
        other_ctx.workspace_id,
        NOW + timedelta(days=400),
    )
    await Contact.filter(id=old.id).update(opt_in_status="pending", updated_at=NOW + timedelta(days=400))
    async with as_owner():
        await db.execute("VACUUM ANALYZE contacts")
        await db.execute("ANALYZE list_members")

    for which in (
        {"search": "oliver"},
        {"search": "020 7946 0958"},
        {"search": "o@cohortlabs.co"},
        {"q": "oliv"},
        {"attributes": {"tier": "vip"}},
        {"list_id": ids.encode_id(ids.CONTACT_LIST, row.id)},
        {"opt_in_status": "pending"},
        {"updated_from": NOW + timedelta(days=399)},
        {"email": "o@cohortlabs.co"},
        {"phone": "+442079460958"},
        {"external_id": "x"},
        {"search": "oliver", "attributes": {"tier": "vip"}, "opt_in_status": "pending"},
    ):
        with reading(monkeypatch, is_generic=is_generic) as read:
            assert await find(ctx, **which) == ["Oliver"], which
        read.check(rows=2 * contact_pages.NEAR)
        with reading(monkeypatch) as read:
            assert await count_matching(ctx, ListContacts(**which)) == 1  # type: ignore[arg-type]
        read.check(rows=200)


async def test_a_page_of_many_reads_little_more_than_itself(
    ctx: Context, other_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (ctx, other_ctx):
        await db.execute(FILL, each.workspace_id, each.livemode, MANY)
    row = await make_list(ctx, [])
    await db.execute(
        "INSERT INTO list_members (id, list_id, contact_id, created_at)"
        " SELECT gen_random_uuid(), $1, id, now() FROM contacts WHERE workspace_id = $2",
        row.id,
        ctx.workspace_id,
    )
    async with as_owner():
        await db.execute("VACUUM ANALYZE contacts")
        await db.execute("VACUUM ANALYZE list_members")
    for which in (
        {},
        {"search": "maria"},
        {"search": "mar sil example"},
        {"attributes": {"tier": "free"}},
        {"list_id": ids.encode_id(ids.CONTACT_LIST, row.id)},
        {"opt_in_status": "unknown"},
        {"updated_before": NOW + timedelta(days=400)},
    ):
        with reading(monkeypatch) as read:
            page = await list_matching(ctx, PageRequest(), ListContacts(**which))  # type: ignore[arg-type]
        assert (len(page.items), page.has_more) == (20, True)
        read.check(rows=100)
    assert await ListMember.filter(list_id=row.id).count() == MANY


async def test_a_search_asks_the_index_for_no_more_of_a_domain_than_its_first_letter(ctx: Context) -> None:
    """Millions of addresses may share the rest, which took the index longest to look up."""
    asked = {}
    for text in ("silva12@example.com", "silva12@e", "@example"):
        found = await compile_contacts(ctx, ListContacts(search=text), 4)
        (asked[text],) = [value for value in found.indexed_values if isinstance(value, list)]
    assert asked["silva12@example.com"] == asked["silva12@e"]
    assert len(asked["@example"]) == len("@example") - 2, "too little would be left"
