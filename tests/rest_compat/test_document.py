"""The API document's own examples, sent as they stand there."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from msvs.api.context import Context
from tests.contract.matching import filled, mismatches
from tests.rest_compat.conftest import Client

EXAMPLES = yaml.safe_load((Path(__file__).parents[1] / "contract" / "document.yaml").read_text())
NEW_YORK = timezone(timedelta(hours=-4))


async def made(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code in (200, 201), response.text
    return response.json()  # type: ignore[no-any-return]


async def make_known(client: httpx.AsyncClient, wanted: str) -> dict[str, str]:
    """The resources that an example's placeholders name, and the time that it asks for."""
    future = (datetime.now(UTC) + timedelta(days=1)).astimezone(NEW_YORK).replace(microsecond=0).isoformat()
    known = {"future": future}

    if "{contact}" in wanted or "{list}" in wanted:
        known["contact"] = (await made(client, "/v1/contacts", phone="+14155550188"))["id"]
    if "{list}" in wanted or "{campaign}" in wanted:
        known["list"] = (await made(client, "/v1/lists", name="Cohort 06"))["id"]
        if "contact" in known:
            await made(client, f"/v1/lists/{known['list']}/contacts", contact_ids=[known["contact"]])
    if "{campaign}" in wanted:
        audience = {"list_ids": [known["list"]]}
        row = await made(client, "/v1/campaigns", name="Close", body="Hi", audience=audience, scheduled_at=future)
        known["campaign"] = row["id"]
    if "message}" in wanted:
        now = await made(client, "/v1/messages", to="+14155550199", body="Hi")
        later = await made(client, "/v1/messages", to="+14155550198", body="Hi", scheduled_at=future)
        known |= {"message": now["id"], "contact_of_message": now["contact_id"]}
        known |= {"scheduled_message": later["id"], "contact_of_scheduled_message": later["contact_id"]}
    return known


@pytest.mark.parametrize("livemode", [True, False], ids=["live", "sandbox"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"])
async def test_an_example_of_the_document(
    client: Client,
    ctx: Context,
    live_ctx: Context,
    virtual_live: None,
    example: dict[str, Any],
    livemode: bool,
) -> None:
    caller = await client(live_ctx if livemode else ctx)
    known = await make_known(caller, str(example))
    request, expected = filled(example["request"], known), filled(example["response"], known)
    response = await caller.request(
        request["method"], request["path"], headers=request.get("headers"), json=request.get("body")
    )
    assert response.status_code == expected["status"], response.text
    for name, value in expected.get("headers", {}).items():
        assert mismatches(value, response.headers[name], name) == []
    if "body" in expected:
        assert mismatches(expected["body"], response.json()) == []


def test_every_section_with_examples_has_them() -> None:
    sections = Counter(example["section"] for example in EXAMPLES)
    assert sections == {
        "Authentication": 1,
        "Errors": 1,
        "Messages": 5,
        "Campaigns": 4,
        "Contacts": 6,
        "Lists": 4,
        "Credits": 1,
        "Webhooks": 1,
        "OpenAPI spec": 1,
    }


def test_a_wrong_answer_does_not_match() -> None:
    example = {"id": "<msg>", "at": "<time>", "n": 1, "list": [{"a": "x"}], "text": "<text>", "count": "<int>"}
    right = {
        "id": "msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP",
        "at": "2026-05-01T20:00:00Z",
        "n": 1,
        "list": [{"a": "x", "b": 1}],
        "text": "t",
        "count": 87,
        "more": True,
    }
    assert mismatches(example, right) == []
    wrongs: list[dict[str, Any]] = [
        {"id": "con_01HYZ8K5VQAE2N0PWQ6DC9V8MP"},
        {"at": "2026-05-01T20:00:00+00:00"},
        {"n": "1"},
        {"n": True},
        {"list": []},
        {"list": [{"b": 1}]},
        {"text": None},
        {"count": "many"},
    ]
    for wrong in wrongs:
        assert len(mismatches(example, {**right, **wrong})) == 1, wrong
