"""What a change of a contact's phone does to its consent is told in the answer, by both fronts."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from msvs.api.consent.consent import suppress
from msvs.api.context import Context
from msvs.api.unit_of_work import unit_of_work
from tests.rest_compat.making import get, post

OLD, NEW = "+12125550111", "+12125550112"
LOST = ("consent_not_carried_over", "phone")


def told(contact: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["code"], each["param"]) for each in contact["warnings"]]


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"phone": NEW}, "unknown", [LOST]),
        ({"phone": NEW, "first_name": "Ana"}, "unknown", [LOST]),
        ({"phone": NEW, "opt_in": {"source": "checkout"}}, "opted_in", []),
        ({"phone": OLD}, "opted_in", []),
        ({"first_name": "Ana"}, "opted_in", []),
        ({"opt_in": {"source": "checkout"}}, "opted_in", []),
    ],
)
async def test_another_phone_loses_consent_and_the_answer_says_so(
    api: httpx.AsyncClient, body: dict[str, Any], status: str, expected: list[tuple[str, str]]
) -> None:
    made = await post(api, "/v1/contacts", phone=OLD, opt_in={"source": "checkout"})
    assert made["warnings"] == []
    changed = await post(api, f"/v1/contacts/{made['id']}", 200, **body)
    assert (changed["opt_in"]["status"], told(changed)) == (status, expected)
    assert "warnings" not in await get(api, f"/v1/contacts/{made['id']}")


async def test_a_number_that_opted_out_says_that(api: httpx.AsyncClient, ctx: Context) -> None:
    async with unit_of_work():
        await suppress(ctx, [NEW], source="test", now=ctx.services.clock())
    made = await post(api, "/v1/contacts", phone=OLD)
    changed = await post(api, f"/v1/contacts/{made['id']}", 200, phone=NEW)
    assert (changed["opt_in"]["status"], told(changed)) == ("opted_out", [LOST])
    assert changed["warnings"][0]["message"] == "The new number has opted out: nothing is sent to it."


async def test_a_contact_without_consent_keeps_its_status(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/contacts", phone=OLD)
    assert told(await post(api, f"/v1/contacts/{made['id']}", 200, phone=NEW)) == []


async def test_another_spelling_is_the_same_phone(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/contacts", phone="+5491123450001", opt_in={"source": "checkout"})
    changed = await post(api, f"/v1/contacts/{made['id']}", 200, phone="+541123450001")
    assert (changed["opt_in"]["status"], told(changed)) == ("opted_in", [])


async def test_an_upsert_by_external_id_says_so_too(api: httpx.AsyncClient) -> None:
    await post(api, "/v1/contacts", phone=OLD, external_id="customer-1", opt_in={"source": "checkout"})
    changed = await post(api, "/v1/contacts?upsert=true", phone=NEW, external_id="customer-1")
    assert told(changed) == [LOST]


async def test_graphql_says_the_same(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/contacts", phone=OLD, opt_in={"source": "checkout"})
    query = """mutation ($id: ID!, $input: UpdateContactInput!) { updateContact(id: $id, input: $input) {
        ... on Contact { optIn { status } warnings { code param } } } }"""
    for phone, expected in ((OLD, []), (NEW, [{"code": LOST[0], "param": LOST[1]}])):
        answer = await api.post(
            "/graphql", json={"query": query, "variables": {"id": made["id"], "input": {"phone": phone}}}
        )
        assert answer.json()["data"]["updateContact"]["warnings"] == expected
    read = await api.post("/graphql", json={"query": f'{{ contact(id: "{made["id"]}") {{ warnings {{ code }} }} }}'})
    assert read.json()["data"]["contact"]["warnings"] == []
