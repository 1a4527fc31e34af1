"""Pages stay where they were, and what stands in lists is read together."""

from __future__ import annotations

from typing import Any

import pytest

from msvs.api import ids
from msvs.api.context import Context
from msvs.models import Contact, Message, MessageKind, MessageStatus
from tests import factories
from tests.graphql_api.conftest import Caller
from tests.graphql_api.test_operations import statements

PAGE = """
query ($first: Int, $after: String, $last: Int, $before: String) {
  page: contacts(first: $first, after: $after, last: $last, before: $before) {
    nodes { id }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""

NESTED = """
query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
  contactList(id: $id) {
    page: members(first: $first, after: $after, last: $last, before: $before) {
      nodes { id }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}
"""


async def make_contacts(ctx: Context, count: int) -> list[str]:
    """Contacts on one list; their ids, newest first, and the list's id last."""
    contacts = [await factories.make_contact(ctx) for _ in range(count)]
    contact_list = await factories.make_list(ctx, contacts)
    found = [ids.encode_id(ids.CONTACT, contact.id) for contact in reversed(contacts)]
    return [*found, ids.encode_id(ids.CONTACT_LIST, contact_list.id)]


@pytest.mark.parametrize("nested", [False, True])
async def test_pages(nested: bool, caller: Caller, ctx: Context) -> None:
    *all_ids, list_id = await make_contacts(ctx, 5)

    async def page(**variables: Any) -> tuple[list[str], bool, bool]:
        data = await caller.run(NESTED if nested else PAGE, {**variables, **({"id": list_id} if nested else {})})
        found = (data["contactList"] if nested else data)["page"]
        nodes, info = [node["id"] for node in found["nodes"]], found["pageInfo"]
        assert (info["startCursor"], info["endCursor"]) == ((nodes[0], nodes[-1]) if nodes else (None, None))
        return nodes, info["hasPreviousPage"], info["hasNextPage"]

    assert await page() == (all_ids, False, False)
    assert await page(first=2) == (all_ids[:2], False, True)
    assert await page(first=2, after=all_ids[1]) == (all_ids[2:4], True, True)
    assert await page(first=2, after=all_ids[3]) == (all_ids[4:], True, False)
    assert await page(first=2, after=all_ids[4]) == ([], True, False)
    assert await page(last=2) == (all_ids[3:], True, False)
    assert await page(last=2, before=all_ids[3]) == (all_ids[1:3], True, True)
    assert await page(last=2, before=all_ids[1]) == (all_ids[:1], False, True)
    # A cursor holds its place when what it names is gone.
    await Contact.filter(id=ids.decode_id(ids.CONTACT, all_ids[1])).delete()
    assert await page(first=2, after=all_ids[1]) == (all_ids[2:4], True, True)


@pytest.mark.parametrize(
    ("variables", "param", "code"),
    [
        ({"first": 101}, "first", "parameter_out_of_range"),
        ({"last": -1}, "last", "parameter_out_of_range"),
        ({"first": 1, "last": 1}, "last", "cursor_conflict"),
        ({"first": 1, "before": "con_1"}, "before", "cursor_conflict"),
        ({"last": 1, "after": "con_1"}, "after", "cursor_conflict"),
        ({"after": "con_1"}, "after", "cursor_invalid"),
        ({"after": "msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}, "after", "cursor_invalid"),
        ({"last": 1, "before": "nonsense"}, "before", "cursor_invalid"),
    ],
)
async def test_page_arguments(variables: dict[str, Any], param: str, code: str, caller: Caller) -> None:
    (entry,) = (await caller.post(PAGE, variables)).json()["errors"]
    assert (entry["extensions"]["param"], entry["extensions"]["code"]) == (param, code)


EVERYTHING = """{
  contacts(first: 50) {
    totalCount
    nodes {
      id
      lists(first: 2) { totalCount nodes { id contactCount } }
      messages(first: 2) { totalCount nodes { id contact { id } campaign { id stats { sent } } } }
      consentHistory(first: 2) { nodes { id } }
    }
  }
}"""


async def test_more_rows_take_no_more_statements(caller: Caller, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for count in (2, 20):
        contacts = [await factories.make_contact(ctx) for _ in range(count)]
        await factories.make_list(ctx, contacts)
        for contact in contacts:
            await make_message(ctx, contact)
        with statements(monkeypatch) as run:
            data = await caller.run(EVERYTHING)
        assert [node["messages"]["totalCount"] for node in data["contacts"]["nodes"]] == [1] * data["contacts"][
            "totalCount"
        ]
        taken.append(len(run))
    assert taken == [8, 8]


async def make_message(ctx: Context, contact: Contact) -> Message:
    """A message to a contact."""
    return await Message.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        kind=MessageKind.API,
        contact_id=contact.id,
        to_phone=contact.phone,
        sender="COHORT",
        body="Hi",
        encoding="gsm7",
        segments=1,
        status=MessageStatus.SENT,
        due_at=contact.created_at,
    )


async def test_segments_are_counted_together(caller: Caller, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Maria", "Ana", "Eva"):
        await factories.make_contact(ctx, first_name=name)
        await caller.run(
            "mutation ($n: String!, $f: JSONObject!) { createSegment(name: $n, filter: $f) { __typename } }",
            {"n": name, "f": {"field": "first_name", "op": "in", "value": ["Maria", name]}},
        )
    with statements(monkeypatch) as run:
        data = await caller.run("{ segments { nodes { name contactCount } } }")
    assert data["segments"]["nodes"] == [
        {"name": "Eva", "contactCount": 2},
        {"name": "Ana", "contactCount": 2},
        {"name": "Maria", "contactCount": 1},
    ]
    assert len(run) == 2


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({}, 3),
        ({"q": "mari"}, 1),
        ({"q": "555"}, 3),
        ({"phone": "+12125550101"}, 1),
        ({"email": "MARIA@example.com"}, 1),
        ({"optInStatus": "OPTED_OUT"}, 1),
        ({"q": "nobody"}, 0),
    ],
)
async def test_a_filtered_list_counts_what_it_lists(
    given: dict[str, Any], count: int, caller: Caller, ctx: Context
) -> None:
    await factories.make_contact(ctx, "+12125550101", first_name="Maria", email="maria@example.com")
    await factories.make_contact(ctx, "+12125550102", status="opted_out")
    await factories.make_contact(ctx, "+12125550103")
    data = await caller.run(
        "query ($f: ContactFilter) { contacts(filter: $f) { totalCount nodes { id } } }", {"f": given}
    )
    assert (data["contacts"]["totalCount"], len(data["contacts"]["nodes"])) == (count, count)
