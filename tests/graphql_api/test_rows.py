"""Tests of the rows of bulk mutations: what no database keeps costs its row alone, as in REST."""

from __future__ import annotations

import json

import msgspec
import pytest

from msvs.api.contacts.imports import ImportContacts
from msvs.api.contacts.lists import AddContacts
from msvs.api.contacts.suppressions import ImportSuppressions
from msvs.api.context import Context
from msvs.graphql.errors import input_path
from msvs.graphql.rows import OBJECTS, ROWS
from msvs.models import Contact, ListMember, Suppression
from tests.graphql_api.conftest import Caller

IMPORT = """mutation ($input: ImportContactsInput!) {
  importContacts(input: $input) {
    ... on ContactsImported { created invalid { index code message param } }
  }
}"""
IMPORT_ROWS = """mutation ($rows: [CreateContactInput!]!, $again: [CreateContactInput!]!) { ...Both }
fragment Both on Mutation {
  first: importContacts(input: {contacts: $rows, optIn: {source: "webinar"}}) {
    ... on ContactsImported { created invalid { index } }
  }
  second: importContacts(input: {contacts: $again}) { ... on ContactsImported { created invalid { index } } }
}"""
SUPPRESS = """mutation ($phones: [String!]!) {
  importSuppressions(phones: $phones) { ... on SuppressionsImported { added invalid } }
}"""
ADD = """mutation ($id: ID!, $ids: [ID!]!) {
  addContactsToList(id: $id, contactIds: $ids) { ... on ContactsAdded { added notFound } }
}"""
CREATE = """mutation ($input: CreateContactInput!) {
  createContact(input: $input) { ... on Contact { id } ... on InvalidRequestError { code } }
}"""

# What JSON may say and PostgreSQL does not keep, and the field of the row that is told of it.
UNKEPT = [
    (rb'"phone": "+12125550162\u0000"', "phone"),
    (rb'"phone": "+12125550162", "firstName": "Ma\u0000ria"', "firstName"),
    (rb'"phone": "+12125550162", "lastName": "\ud83d"', "lastName"),
    (rb'"phone": "+12125550162", "attributes": {"tier": "\u0000"}', "attributes.tier"),
    (rb'"phone": "+12125550162", "attributes": {"ti\u0000er": "a"}', "attributes"),
    (rb'"phone": "+12125550162", "attributes": {"visits": 1e400}', "attributes.visits"),
    (rb'"phone": "+12125550162", "attributes": {"visits": -90071992547409931}', "attributes.visits"),
    (rb'"phone": "+12125550162", "optIn": {"source": "web\u0000"}', "optIn.source"),
    (rb'"phone": "+12125550162", "phone": "+12125550163"', None),
    (rb'"phone": "+12125550162", "attributes": {"a": 1, "a": 2}', "attributes"),
]


async def send(caller: Caller, query: str, variables: bytes) -> tuple[int, dict[str, object]]:
    """The status and answer of an operation whose variables are written as they are."""
    body = b'{"query": %s, "variables": %s}' % (json.dumps(query).encode(), variables)
    response = await caller.http.post("/graphql", content=body, headers={"Content-Type": "application/json"})
    return response.status_code, response.json()


def code_of(answer: dict[str, object]) -> object:
    """The code of the one error of an answer that has no data."""
    assert answer.get("data") is None, answer
    (entry,) = answer["errors"]  # type: ignore[misc]
    return entry["extensions"]["code"]


@pytest.mark.parametrize(("bad", "param"), UNKEPT, ids=range(len(UNKEPT)))
async def test_a_row_that_cannot_be_kept_costs_its_row_alone(caller: Caller, bad: bytes, param: str | None) -> None:
    rows = rb'{"phone": "+12125550161", "firstName": "Ana"}, {%s}, {"phone": "+12125550164"}' % bad
    status, answer = await send(caller, IMPORT, b'{"input": {"contacts": [' + rows + b"]}}")
    assert status == 200, answer
    done = answer["data"]["importContacts"]  # type: ignore[index]
    (refused,) = done["invalid"]
    path = "contacts[1]" if param is None else f"contacts[1].{param}"
    assert (done["created"], refused["index"], refused["param"]) == (2, 1, path)
    assert refused["code"] == "parameter_invalid"
    assert {row.phone for row in await Contact.all()} == {"+12125550161", "+12125550164"}


async def test_rows_are_found_in_each_variable_and_fragment(caller: Caller) -> None:
    sent = rb"""{"rows": [{"phone": "+12125550161"}, {"phone": "\u0000"}],
        "again": [{"phone": "1", "phone": "2"}, {"phone": "+12125550162"}]}"""
    _, answer = await send(caller, IMPORT_ROWS, sent)
    assert answer["data"] == {
        "first": {"created": 1, "invalid": [{"index": 1}]},
        "second": {"created": 1, "invalid": [{"index": 0}]},
    }


async def test_texts_that_cannot_be_kept_are_reported(caller: Caller, ctx: Context) -> None:
    _, answer = await send(caller, SUPPRESS, rb'{"phones": ["+12125550161", "+1\u0000", "\ud800"]}')
    assert answer["data"] == {"importSuppressions": {"added": 1, "invalid": ["+1\ufffd", "\ufffd"]}}
    assert [row.phone for row in await Suppression.all()] == ["+12125550161"]
    listed = (await caller.run('mutation { createList(name: "A") { ... on ContactList { id } } }'))["createList"]["id"]
    made = (await caller.run(CREATE, {"input": {"phone": "+12125550162"}}))["createContact"]["id"]
    sent = msgspec.json.encode({"id": listed, "ids": [made, "con_X"]}).replace(b"con_X", rb"con_\u0000")
    _, answer = await send(caller, ADD, sent)
    assert answer["data"] == {"addContactsToList": {"added": 1, "notFound": ["con_\ufffd"]}}
    assert await ListMember.all().count() == 1


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (IMPORT, rb'{"input": {"contacts": [{"phone": "+12125550161"}], "defaultRegion": "\u0000"}}'),
        (IMPORT, rb'{"input": {"contacts": [{"phone": "+12125550161"}], "optIn": {"source": "a", "source": "b"}}}'),
        (IMPORT, rb'{"input": {"contacts": [{"phone": "+12125550161"}]}, "input": {"contacts": []}}'),
        (IMPORT, rb'{"input": {"contacts": {"phone": "\u0000"}}}'),
        (IMPORT, rb'{"input": {"contacts": [{"phone": "+12125550161"}]}, "\ud800": 1}'),
        (IMPORT, rb'{"contacts": [{"phone": "\u0000"}]}'),
        (IMPORT, rb'{"input": {"contacts": [{"phone": "+12125550161"}, {"phone": NaN}]}}'),
        (CREATE, rb'{"input": {"phone": "+12125550161", "firstName": "\u0000"}}'),
        (CREATE, rb'{"input": {"phone": "+12125550161", "phone": "+12125550162"}}'),
        (SUPPRESS, rb'{"phones": ["+12125550161", {"a": "\u0000"}]}'),
        (SUPPRESS, rb'{"phones": ["+12125550161", 90071992547409931]}'),
        (SUPPRESS, rb'{"phones": "\u0000"}'),
        (ADD, rb'{"id": "\u0000", "ids": []}'),
        ("{ viewer { livemode } }", rb'{"rows": ["\u0000"]}'),
        ("{ viewer { livemode } }", rb'[{"rows": "\u0000"}]'),
    ],
)
async def test_a_flaw_beside_the_rows_refuses_the_call(caller: Caller, query: str, variables: bytes) -> None:
    status, answer = await send(caller, query, variables)
    assert (status, code_of(answer)) == (400, "json_invalid")
    assert await Contact.all().count() == await Suppression.all().count() == 0


async def test_a_flaw_is_told_before_what_is_wrong_with_the_document(caller: Caller) -> None:
    _, answer = await send(caller, "{ nonsense }", rb'{"rows": ["\u0000"]}')
    assert code_of(answer) == "json_invalid"


def test_every_list_that_rest_reads_by_row_is_read_by_row_here() -> None:
    requests = {"importContacts": ImportContacts, "importSuppressions": ImportSuppressions}
    requests["addContactsToList"] = AddContacts
    assert {name: path[-1] for name, path in ROWS.items()} == {
        name: input_path(request.read_by_row) for name, request in requests.items()
    }
    assert ROWS.keys() >= OBJECTS
