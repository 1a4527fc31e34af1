"""Sequences: made and entered once by a key, changed by what the caller gives, and read together."""

from __future__ import annotations

from typing import Any

import pytest

from msvs.api import ids
from msvs.api.context import Context
from msvs.models import Campaign, MessageSequence, SequenceEnrollment
from tests import factories
from tests.api.campaigns.flows import enroll, make_sequence, steps
from tests.graphql_api.browser import document
from tests.graphql_api.conftest import Caller
from tests.graphql_api.test_operations import statements

NODES = """
query ($ids: [ID!]!) {
  nodes(ids: $ids) {
    ... on Sequence { id hasChanges stats { inside } }
    ... on Enrollment { id step contact { id } }
  }
}
"""
STEPS: list[dict[str, Any]] = [
    {"key": "plan", "body": "Hey"},
    {
        "key": "nudge",
        "body": "Did you see it?",
        "waitMinutes": 1440,
        "sendAtLocal": "10:00",
        "onlyIf": {"notReplied": "plan", "filter": {"field": "attributes.tier", "op": "eq", "value": "vip"}},
        "otherwise": "LEAVE",
    },
]


def sequence_id(row: MessageSequence) -> str:
    return ids.encode_id(ids.SEQUENCE, row.id)


async def test_a_key_makes_and_enters_once(caller: Caller, ctx: Context) -> None:
    made = {"input": {"name": "Challenge", "template": "CHALLENGE"}, "key": "five-days"}
    first = (await caller.run(document("CreateSequence"), made))["createSequence"]
    assert (first["status"], len(first["steps"])) == ("DRAFT", 5)
    assert (await caller.run(document("CreateSequence"), made))["createSequence"] == first
    assert await MessageSequence.all().count() == 1
    other = {**made, "input": {"name": "Another"}}
    refused = (await caller.run(document("CreateSequence"), other))["createSequence"]
    assert refused["__typename"] == "IdempotencyError"

    await caller.run(document("PublishSequence"), {"id": first["id"]})
    maria = await factories.make_contact(ctx)
    entering: dict[str, Any] = {
        "id": first["id"],
        "input": {"contactId": ids.encode_id(ids.CONTACT, maria.id)},
        "key": "maria",
    }
    entered = (await caller.run(document("EnrollContact"), entering))["enrollContact"]
    assert (entered["__typename"], entered["step"]) == ("Enrollment", "day_1")
    assert (await caller.run(document("EnrollContact"), entering))["enrollContact"] == entered
    again = (await caller.run(document("EnrollContact"), {**entering, "key": None}))["enrollContact"]
    assert (again["code"], again["existingId"]) == ("sequence_entered", entered["id"])
    assert await SequenceEnrollment.all().count() == 1


async def test_what_is_left_out_stays_and_null_clears(caller: Caller, ctx: Context) -> None:
    contact_list = await factories.make_list(ctx)
    list_id = ids.encode_id(ids.CONTACT_LIST, contact_list.id)
    made = {"name": "Plan", "steps": STEPS, "entry": {"listIds": [list_id], "events": ["message.clicked"]}}
    id = (await caller.run(document("CreateSequence"), {"input": made}))["createSequence"]["id"]

    async def read() -> Any:
        return (await caller.run(document("Sequence"), {"id": id}))["sequence"]

    found = await read()
    assert found["entry"] == {
        "listIds": [list_id],
        "keywordIds": None,
        "tags": None,
        "events": ["message.clicked"],
    }
    nudge = found["steps"][1]
    assert (nudge["waitMinutes"], nudge["sendAtLocal"], nudge["otherwise"]) == (1440, "10:00", "LEAVE")
    assert (nudge["onlyIf"]["notReplied"], nudge["onlyIf"]["clicked"]) == ("plan", None)
    assert nudge["onlyIf"]["filter"] == STEPS[1]["onlyIf"]["filter"]

    changed = {"entry": None, "leaveOnReply": False, "version": found["version"]}
    await caller.run(document("UpdateSequence"), {"id": id, "input": changed})
    now = await read()
    assert (now["entry"], now["leaveOnReply"], now["name"]) == (None, False, "Plan")
    assert now["steps"] == found["steps"]
    late = (await caller.run(document("UpdateSequence"), {"id": id, "input": changed}))["updateSequence"]
    assert late["__typename"] == "ConflictError"


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"steps": [{"key": "a", "body": "Hi", "onlyIf": {"clicked": "b"}}]}, "steps[0].onlyIf.clicked"),
        ({"steps": [{"key": "a", "body": "Hi", "waitMinutes": -1}]}, "steps[0].waitMinutes"),
        ({"entry": {"keywordIds": ["kw_1"]}}, "entry.keywordIds[0]"),
        ({"name": None}, "name"),
    ],
)
async def test_a_refusal_names_the_field(given: dict[str, Any], param: str, caller: Caller, ctx: Context) -> None:
    id = sequence_id(await make_sequence(ctx, "One"))
    answer = (await caller.run(document("UpdateSequence"), {"id": id, "input": given}))["updateSequence"]
    assert (answer["__typename"], answer["param"]) == ("InvalidRequestError", param)


async def test_nodes_are_read_together(caller: Caller, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for _ in range(3):
        sequence = await make_sequence(ctx, "One", "Two")
        entered = await enroll(ctx, sequence, await factories.make_contact(ctx))
        found.append((sequence_id(sequence), entered.id))
    taken = []
    for several in (found[:1], found[1:]):
        with statements(monkeypatch) as run:
            data = await caller.run(NODES, {"ids": [id for pair in several for id in pair]})
        taken.append(len(run))
        assert [node["id"] for node in data["nodes"]] == [id for pair in several for id in pair]
        assert all(node["stats"]["inside"] == 1 for node in data["nodes"][::2])
        assert all(node["step"] == "step_1" for node in data["nodes"][1::2])
    assert taken[0] == taken[1]


async def test_the_campaign_of_a_step_names_its_sequence(caller: Caller, ctx: Context) -> None:
    sequence = await make_sequence(ctx, steps=steps("One"))
    campaign = await Campaign.get(sequence_id=sequence.id)
    data = await caller.run(
        "query ($id: ID!) { campaign(id: $id) { sequenceId } }", {"id": ids.encode_id(ids.CAMPAIGN, campaign.id)}
    )
    assert data == {"campaign": {"sequenceId": sequence_id(sequence)}}


async def test_an_unknown_sequence_has_no_statistics(caller: Caller) -> None:
    unknown = {"id": ids.encode_id(ids.SEQUENCE, ids.new_id())}
    for name in ("SequenceStats", "Enrollments"):
        answer = (await caller.post(document(name), unknown)).json()
        assert answer["errors"][0]["extensions"]["code"] == "resource_missing"
