"""Segments: the filter language, its limits, and that nothing of a filter reaches the SQL but as a parameter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs.api import ids
from msvs.api.contacts.lists import delete_list
from msvs.api.contacts.segments import (
    TEXT_FIELDS,
    TIME_FIELDS,
    compile_filter,
    create_segment,
    delete_segment,
    get_segment,
    list_segments,
    preview_segment,
    segment_fields,
    update_segment,
)
from msvs.api.contacts.tags import ChangeTags, tag_contact
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest, NotFound
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.database import fetch
from msvs.models import Contact, Message, OptInStatus, Segment
from tests.factories import make_contact, make_list

NOW = datetime.now(UTC)
MARIA = {"field": "first_name", "op": "eq", "value": "Maria"}


def leaf(field: str, op: str, *value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, **({"value": value[0]} if value else {})}


async def names(ctx: Context, filter: dict[str, Any]) -> str:
    """The first letters of the contacts that a filter holds for, in order."""
    compiled = compile_filter(filter, 3)
    rows = await fetch(
        "SELECT c.first_name FROM contacts AS c"
        f" WHERE c.workspace_id = $1 AND c.livemode = $2 AND {compiled.sql} ORDER BY c.id",
        ctx.workspace_id,
        ctx.livemode,
        *compiled.values,
    )
    held = "".join((row.first_name or "-")[0] for row in rows)
    # A comparison is true or false, so that NOT holds for exactly the others.
    assert await preview_segment(ctx, filter) == len(held)
    assert await preview_segment(ctx, {"not": filter}) == await Contact.filter(
        workspace_id=ctx.workspace_id, livemode=ctx.livemode
    ).count() - len(held)
    return held


async def make_people(ctx: Context) -> dict[str, Contact]:
    maria = await make_contact(
        ctx,
        "+14155550123",
        first_name="Maria",
        last_name="Silva",
        email="Maria@Example.com",
        region="US",
        attributes={"tier": "vip", "score": 10, "beta": True, "joined_at": "2026-04-22", "a.b": 1, "age": "10"},
        opt_in_at=datetime(2026, 4, 22, tzinfo=UTC),
    )
    bruno = await make_contact(
        ctx,
        "+5511987654321",
        first_name="bruno 100%",
        region="BR",
        status=OptInStatus.OPTED_OUT,
        attributes={"tier": "basic", "score": 9.5, "beta": False, "joined_at": "2026-05-01T10:00:00Z"},
    )
    nobody = await make_contact(
        ctx, "+447400123456", status=OptInStatus.UNKNOWN, attributes={"score": "high", "joined_at": 5}
    )
    return {"maria": maria, "bruno": bruno, "nobody": nobody}


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (leaf("first_name", "eq", "Maria"), "M"),
        (leaf("first_name", "eq", "maria"), ""),
        (leaf("first_name", "ne", "Maria"), "b-"),
        (leaf("first_name", "in", ["Maria", "Ana"]), "M"),
        (leaf("first_name", "not_in", ["Maria", "Ana"]), "b-"),
        (leaf("first_name", "contains", "RIA"), "M"),
        (leaf("first_name", "contains", "%"), "b"),
        (leaf("first_name", "contains", "_"), ""),
        (leaf("first_name", "contains", "\\"), ""),
        (leaf("first_name", "starts_with", "B"), "b"),
        (leaf("first_name", "starts_with", "%"), ""),
        (leaf("first_name", "exists"), "Mb"),
        (leaf("first_name", "exists", False), "-"),
        (leaf("last_name", "eq", "Silva"), "M"),
        (leaf("email", "eq", "maria@example.COM"), "M"),
        (leaf("email", "in", ["MARIA@example.com"]), "M"),
        (leaf("email", "contains", "EXAMPLE"), "M"),
        (leaf("phone", "starts_with", "+55"), "b"),
        (leaf("phone", "in", ["+447400123456", "+14155550123"]), "M-"),
        (leaf("region", "eq", "BR"), "b"),
        (leaf("region", "not_in", ["BR"]), "M-"),
        (leaf("opt_in_status", "eq", "opted_in"), "M"),
        (leaf("opt_in_status", "in", ["opted_out", "unknown"]), "b-"),
        (leaf("opt_in_status", "ne", "opted_out"), "M-"),
        (leaf("created_at", "after", "2026-01-01T00:00:00Z"), "Mb-"),
        (leaf("created_at", "before", "2026-01-01T00:00:00-04:00"), ""),
        (leaf("opt_in_at", "before", "2026-04-22T00:00:01Z"), "M"),
        (leaf("opt_in_at", "before", "2026-04-22T00:00:01+01:00"), ""),
        (leaf("opt_in_at", "exists", False), "b-"),
        (leaf("attributes.tier", "eq", "vip"), "M"),
        (leaf("attributes.tier", "ne", "vip"), "b-"),
        (leaf("attributes.tier", "in", ["vip", "basic"]), "Mb"),
        (leaf("attributes.tier", "not_in", ["vip"]), "b-"),
        (leaf("attributes.tier", "contains", "AS"), "b"),
        (leaf("attributes.tier", "starts_with", "v"), "M"),
        (leaf("attributes.tier", "exists"), "Mb"),
        (leaf("attributes.tier", "exists", False), "-"),
        (leaf("attributes.a.b", "eq", 1.0), "M"),
        (leaf("attributes.beta", "eq", True), "M"),
        (leaf("attributes.beta", "in", [True, False]), "Mb"),
        (leaf("attributes.score", "eq", 10), "M"),
        (leaf("attributes.score", "eq", "10"), ""),
        (leaf("attributes.age", "eq", "10"), "M"),
        (leaf("attributes.age", "gt", 1), ""),
        (leaf("attributes.score", "gt", 9.5), "M"),
        (leaf("attributes.score", "gte", 9.5), "Mb"),
        (leaf("attributes.score", "lt", 10), "b"),
        (leaf("attributes.score", "lte", 1e308), "Mb"),
        (leaf("attributes.joined_at", "before", "2026-05-01"), "M"),
        (leaf("attributes.joined_at", "after", "2026-04-22"), "b"),
        ({"all": [leaf("attributes.score", "gt", 1), leaf("phone", "starts_with", "+1")]}, "M"),
        ({"any": [leaf("attributes.tier", "eq", "vip"), leaf("region", "exists", False)]}, "M-"),
        ({"not": {"any": [leaf("attributes.tier", "eq", "vip"), {"not": leaf("region", "exists")}]}}, "b"),
    ],
)
async def test_a_filter_holds_for(ctx: Context, filter: dict[str, Any], expected: str) -> None:
    await make_people(ctx)

    assert await names(ctx, filter) == expected


async def test_a_filter_sees_the_callers_contacts_only(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    await make_people(ctx)

    everyone = leaf("phone", "exists")
    assert await names(ctx, everyone) == "Mb-"
    assert await names(live_ctx, everyone) == ""
    assert await names(other_ctx, everyone) == ""


async def test_a_filter_by_list(ctx: Context) -> None:
    people = await make_people(ctx)
    row = await make_list(ctx, [people["maria"], people["nobody"]])
    filter = {"list": ids.encode_id(ids.CONTACT_LIST, row.id)}

    assert await names(ctx, filter) == "M-"
    assert await names(ctx, {"all": [{"not": filter}, leaf("phone", "exists")]}) == "b"
    segment = await create_segment(ctx, "Open cart", filter)
    async with unit_of_work():
        await delete_list(ctx, row.id)

    compiled = compile_filter(segment.conditions, 1)
    assert compiled.lists == ((row.id, "filter.list"),)
    assert await fetch(f"SELECT id FROM contacts AS c WHERE {compiled.sql}", *compiled.values) == []


async def test_a_filter_by_tag(ctx: Context, live_ctx: Context) -> None:
    people = await make_people(ctx)
    theirs = await make_contact(live_ctx, first_name="Live")
    async with unit_of_work():
        await tag_contact(ctx, people["maria"].id, ChangeTags(add=["vip", "lead"]))
        await tag_contact(ctx, people["nobody"].id, ChangeTags(add=["vip"]))
        await tag_contact(live_ctx, theirs.id, ChangeTags(add=["vip", "live"]))

    assert await names(ctx, {"tag": " VIP "}) == "M-"
    assert await names(live_ctx, {"tag": "vip"}) == "L"
    assert await names(ctx, {"all": [{"tag": "vip"}, {"not": {"tag": "lead"}}]}) == "-"
    assert await names(ctx, {"tag": "live"}) == ""
    async with unit_of_work():
        await tag_contact(ctx, people["maria"].id, ChangeTags(remove=["vip"]))
    assert await names(ctx, {"any": [{"tag": "vip"}, {"tag": "lead"}]}) == "M-"


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"engagement": "sent", "within_days": 30}, "Mb"),
        ({"engagement": "sent", "within_days": 90, "at_least": 2}, "M"),
        ({"engagement": "sent", "within_days": 30, "at_least": 2}, ""),
        ({"engagement": "delivered", "within_days": 30}, "M"),
        ({"engagement": "replied", "within_days": 30}, ""),
        ({"engagement": "replied", "within_days": 90}, "M"),
        ({"not": {"engagement": "replied", "within_days": 90}}, "b-"),
    ],
)
async def test_a_filter_by_engagement(ctx: Context, filter: dict[str, Any], expected: str) -> None:
    people = await make_people(ctx)

    async def send(name: str, days: int, kind: str = "api", **times: Any) -> None:
        await Message.create(
            workspace_id=ctx.workspace_id,
            livemode=False,
            kind=kind,
            contact_id=people[name].id,
            to_phone=people[name].phone,
            sender="MASSIVESMS",
            body="Hey",
            encoding="gsm7",
            segments=1,
            status="sent",
            due_at=NOW,
            sent_at=NOW - timedelta(days=days),
            **times,
        )

    await send("maria", 1, delivered_at=NOW - timedelta(days=1))
    await send("maria", 60, replied_at=NOW - timedelta(days=59))
    await send("bruno", 2)
    await send("nobody", 1, kind="auto")

    assert await names(ctx, filter) == expected


def nested(depth: int) -> dict[str, Any]:
    filter: dict[str, Any] = MARIA
    for _ in range(depth - 1):
        filter = {"not": filter}
    return filter


@pytest.mark.parametrize(
    ("filter", "param"),
    [
        ([], "filter"),
        ("x", "filter"),
        (None, "filter"),
        ({}, "filter"),
        ({"op": "eq"}, "filter"),
        ({"all": []}, "filter.all"),
        ({"all": {}}, "filter.all"),
        ({"any": [MARIA, 5]}, "filter.any[1]"),
        ({"not": [MARIA]}, "filter.not"),
        ({"tag": 5}, "filter.tag"),
        ({"tag": " "}, "filter.tag"),
        ({"tag": "a,b"}, "filter.tag"),
        ({"tag": "x" * 41}, "filter.tag"),
        ({"all": [{"tag": "vip", "op": "eq"}]}, "filter.all[0].op"),
        ({"all": [MARIA], "any": [MARIA]}, "filter.any"),
        ({"all": [{**MARIA, "case": "fold"}]}, "filter.all[0].case"),
        ({"all": [leaf("first_name", "like", "x")]}, "filter.all[0].op"),
        ({"all": [leaf("first_name", "gt", "x")]}, "filter.all[0].op"),
        ({"field": "first_name"}, "filter.op"),
        (leaf("first_name", "eq"), "filter.value"),
        (leaf("first_name", "eq", 5), "filter.value"),
        (leaf("first_name", "eq", None), "filter.value"),
        (leaf("first_name", "eq", ""), "filter.value"),
        (leaf("first_name", "eq", "x" * 501), "filter.value"),
        (leaf("first_name", "eq", "a\x00"), "filter.value"),
        (leaf("first_name", "eq", "\ud800"), "filter.value"),
        (leaf("first_name", "exists", "yes"), "filter.value"),
        (leaf("first_name", "in", "Maria"), "filter.value"),
        (leaf("first_name", "in", []), "filter.value"),
        (leaf("first_name", "in", ["Maria", 5]), "filter.value[1]"),
        (leaf("first_name", "in", ["x"] * 101), "filter.value"),
        (leaf("password", "eq", "x"), "filter.field"),
        (leaf("workspace_id", "eq", "x"), "filter.field"),
        (leaf("attributes.", "eq", "x"), "filter.field"),
        (leaf("attributes." + "k" * 41, "eq", "x"), "filter.field"),
        (leaf("attributes.a\x00", "eq", "x"), "filter.field"),
        ({"field": 5, "op": "eq", "value": 5}, "filter.field"),
        (leaf("attributes.a", "eq", [1]), "filter.value"),
        (leaf("attributes.a", "eq", None), "filter.value"),
        (leaf("attributes.a", "eq", float("nan")), "filter.value"),
        (leaf("attributes.a", "gt", "5"), "filter.value"),
        (leaf("attributes.a", "gt", True), "filter.value"),
        (leaf("attributes.a", "gt", float("inf")), "filter.value"),
        (leaf("attributes.a", "before", "2026-02-30"), "filter.value"),
        (leaf("attributes.a", "before", "20260201"), "filter.value"),
        (leaf("attributes.a", "before", "2026-02-01T00:00:00Z"), "filter.value"),
        (leaf("opt_in_status", "eq", "maybe"), "filter.value"),
        (leaf("opt_in_status", "in", ["unknown", []]), "filter.value[1]"),
        (leaf("opt_in_status", "contains", "opted"), "filter.op"),
        (leaf("created_at", "before", "2026-02-01T00:00:00"), "filter.value"),
        (leaf("created_at", "before", "yesterday"), "filter.value"),
        (leaf("created_at", "before", "0001-01-01T00:00:00+14:00"), "filter.value"),
        (leaf("created_at", "eq", "2026-02-01T00:00:00Z"), "filter.op"),
        ({"list": "lst_x"}, "filter.list"),
        ({"list": 5}, "filter.list"),
        ({"any": [{"list": ids.encode_id(ids.CONTACT_LIST, ids.new_id())}]}, "filter.any[0].list"),
        ({"engagement": "opened", "within_days": 1}, "filter.engagement"),
        ({"engagement": "sent"}, "filter.within_days"),
        ({"engagement": "sent", "within_days": 0}, "filter.within_days"),
        ({"engagement": "sent", "within_days": 3651}, "filter.within_days"),
        ({"engagement": "sent", "within_days": True}, "filter.within_days"),
        ({"engagement": "sent", "within_days": 1, "at_least": 0}, "filter.at_least"),
        ({"engagement": "sent", "within_days": 1, "at_least": 1.5}, "filter.at_least"),
        (nested(9), "filter" + ".not" * 8),
        ({"all": [MARIA] * 51}, "filter.all[50]"),
    ],
)
async def test_a_filter_that_is_not_valid_is_refused_where_it_is_wrong(ctx: Context, filter: Any, param: str) -> None:
    for operation in (preview_segment(ctx, filter), create_segment(ctx, "Open cart", filter)):
        with pytest.raises(InvalidRequest) as refused:
            await operation
        assert refused.value.param == param
    assert await Segment.all().count() == 0


async def test_the_bounds_themselves_are_taken(ctx: Context) -> None:
    await make_people(ctx)

    assert await preview_segment(ctx, nested(8)) == 2
    assert await preview_segment(ctx, {"all": [MARIA] * 50}) == 1
    assert await names(ctx, leaf("first_name", "in", ["Maria"] * 100)) == "M"


HOSTILE = ["' OR 1=1 --", "'; DROP TABLE contacts; --", "$1", "%s", "{0}", '"', "\\'", "1) OR (1=1", "c.phone"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_of_a_filter_is_sql(ctx: Context, text: str) -> None:
    await make_people(ctx)
    harmless = "x" * 5
    ops = ("eq", "ne", "in", "not_in", "contains", "starts_with")

    def both(make: Any) -> None:
        assert compile_filter(make(text), 3).sql == compile_filter(make(harmless), 3).sql

    for op in ops:
        both(lambda value, op=op: leaf("first_name", op, [value] if op in ("in", "not_in") else value))
        both(lambda value, op=op: leaf("attributes.a", op, [value] if op in ("in", "not_in") else value))
        both(lambda value, op=op: leaf(f"attributes.{value}", op, ["y"] if op in ("in", "not_in") else "y"))
    for op in ("eq", "in", "contains", "starts_with"):
        value = [text] if op == "in" else text
        assert await names(ctx, leaf("first_name", op, value)) == ""
        assert await names(ctx, leaf("attributes.tier", op, value)) == ""
        assert await names(ctx, leaf(f"attributes.{text}", op, value)) == ""
    for op, number in (("gt", 0), ("exists", True), ("after", "2000-01-01")):
        assert await names(ctx, leaf(f"attributes.{text}", op, number)) == ""
    for filter in (
        leaf(text, "eq", "x"),
        leaf("first_name", text, "x"),
        {"list": text},
        {"engagement": text, "within_days": 1},
        {"engagement": "sent", "within_days": text},
        {"all": [{text: 1}]},
        leaf("attributes.score", "gt", text),
        leaf("created_at", "after", text),
    ):
        with pytest.raises(InvalidRequest):
            await preview_segment(ctx, filter)
    assert await Contact.all().count() == 3


async def test_parameters_are_numbered_from_a_given_start(ctx: Context) -> None:
    compiled = compile_filter({"all": [MARIA, leaf("attributes.tier", "eq", "vip")]}, 7)

    assert compiled.values == ["Maria", "tier", '"vip"']
    assert compiled.sql == (
        "((c.first_name IS NOT DISTINCT FROM $7::text) AND ((c.attributes -> $8::text) IS NOT DISTINCT FROM $9::jsonb))"
    )


async def test_a_segment_is_kept_as_it_was_given(ctx: Context) -> None:
    filter = {"any": [MARIA, {"not": leaf("attributes.tier", "in", ["vip", 5, True])}]}

    made = await create_segment(ctx, "Warm", filter)

    row = await get_segment(ctx, made.id)
    assert (row.name, row.conditions, row.livemode) == ("Warm", filter, False)


async def test_a_segment_is_renamed_refiltered_and_deleted(ctx: Context) -> None:
    row = await create_segment(ctx, "Warm", MARIA)

    await update_segment(ctx, row.id, name="Hot")
    await update_segment(ctx, row.id, filter={"not": MARIA})
    with pytest.raises(InvalidRequest):
        await update_segment(ctx, row.id, name="Cold", filter={"all": []})
    changed = await get_segment(ctx, row.id)

    assert (changed.name, changed.conditions) == ("Hot", {"not": MARIA})
    assert changed.updated_at > row.updated_at
    await delete_segment(ctx, row.id)
    with pytest.raises(NotFound):
        await get_segment(ctx, row.id)


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\x00"])
async def test_a_bad_name_is_refused(ctx: Context, name: str) -> None:
    row = await create_segment(ctx, "Warm", MARIA)

    for operation in (create_segment(ctx, name, MARIA), update_segment(ctx, row.id, name=name)):
        with pytest.raises(InvalidRequest) as refused:
            await operation
        assert refused.value.param == "name"
    assert [each.name for each in await Segment.all()] == ["Warm"]


async def test_segments_of_others_are_not_there(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    row = await create_segment(ctx, "Warm", MARIA)
    list_row = await make_list(ctx)

    for stranger in (live_ctx, other_ctx):
        for operation in (
            get_segment(stranger, row.id),
            update_segment(stranger, row.id, name="Mine"),
            delete_segment(stranger, row.id),
        ):
            with pytest.raises(NotFound):
                await operation
        with pytest.raises(InvalidRequest) as refused:
            await create_segment(stranger, "Theirs", {"list": ids.encode_id(ids.CONTACT_LIST, list_row.id)})
        assert refused.value.param == "filter.list"
        assert (await list_segments(stranger, PageRequest())).items == []
    assert [each.id for each in (await list_segments(ctx, PageRequest())).items] == [row.id]


async def test_fields_tell_the_attributes_that_contacts_have(ctx: Context, other_ctx: Context) -> None:
    for attributes in (
        {"tier": "vip", "seats": 2, "joined": "2026-05-01", "is_alum": True},
        {"tier": "vip", "seats": 2.5, "joined": "2026-06-01T10:00:00Z", "is_alum": False},
        {"tier": "free", "notes": "x" * 101},
        {"tier": 7},
    ):
        await make_contact(ctx, attributes=attributes)
    await make_contact(other_ctx, attributes={"secret": "theirs"})
    found = {each.field: each for each in await segment_fields(ctx)}
    assert list(found) == [
        *TEXT_FIELDS,
        "opt_in_status",
        *TIME_FIELDS,
        "attributes.tier",
        "attributes.is_alum",
        "attributes.joined",
        "attributes.seats",
        "attributes.notes",
    ]
    assert found["opt_in_status"].values == tuple(OptInStatus)
    assert {name: (found[name].type, found[name].values) for name in found if name.startswith("attributes.")} == {
        "attributes.tier": ("text", ("vip", "free", "7")),
        "attributes.is_alum": ("boolean", ("false", "true")),
        "attributes.joined": ("date", ("2026-05-01", "2026-06-01T10:00:00Z")),
        "attributes.seats": ("number", ("2", "2.5")),
        "attributes.notes": ("text", ()),
    }
    # Each operator told is one that the compiler takes.
    values = {"text": "a", "number": 1, "boolean": True, "date": "2026-05-01", "choice": "pending"}
    times = {"time": "2026-05-01T00:00:00Z"}
    for each in found.values():
        for op in each.ops:
            value: Any = True if op == "exists" else (values | times)[each.type]
            filter = {"field": each.field, "op": op, "value": [value] if op in ("in", "not_in") else value}
            assert await preview_segment(ctx, filter) >= 0
