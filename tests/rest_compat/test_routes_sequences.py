"""/v1/sequences from a draft to its archive."""

from __future__ import annotations

import httpx

from msvs import database as db
from tests.rest_compat.making import get, post, refused, work

STEPS = [
    {"key": "a", "body": "Hi {firstName|there}"},
    {"key": "b", "body": "Again", "wait_minutes": 60, "only_if": {"not_replied": "a"}, "otherwise": "leave"},
]


async def test_a_sequence_from_a_draft_to_its_archive(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/sequences", name="Welcome", steps=STEPS, quiet_hours=False, goal={"tag": "customer"})
    assert (made["object"], made["status"], made["published_version"], made["has_changes"]) == (
        "sequence",
        "draft",
        None,
        False,
    )
    path = f"/v1/sequences/{made['id']}"
    contact = await post(api, "/v1/contacts", phone="+12125550101", opt_in={"source": "form"})
    early = await api.post(f"{path}/enrollments", json={"contact_id": contact["id"]})
    assert await refused(early) == (409, "sequence_state", None)
    assert (await post(api, f"{path}/publish", 200))["status"] == "active"
    headers = {"Idempotency-Key": "enter-1"}
    first = await api.post(f"{path}/enrollments", json={"phone": "+12125550101"}, headers=headers)
    again = await api.post(f"{path}/enrollments", json={"phone": "+12125550101"}, headers=headers)
    assert (first.status_code, again.json()) == (201, first.json())
    entered = first.json()
    assert (entered["contact_id"], entered["step"], entered["sequence_version"]) == (contact["id"], "a", 1)
    twice = await api.post(f"{path}/enrollments", json={"contact_id": contact["id"]})
    assert await refused(twice) == (409, "sequence_entered", None)
    assert twice.json()["error"]["existing_id"] == entered["id"]
    await work(1)
    listed = await get(api, f"{path}/enrollments", state="active")
    assert [(row["id"], row["step"]) for row in listed["data"]] == [(entered["id"], "b")]
    found = await get(api, f"{path}/stats")
    assert (found["stats"]["inside"], found["steps"][0]["delivered"], found["steps"][1]["waiting"]) == (1, 1, 1)
    campaign = await get(api, f"/v1/campaigns/{found['steps'][0]['campaign_id']}")
    assert campaign["sequence_id"] == made["id"]
    assert (await get(api, "/v1/campaigns"))["data"] == []
    halted = await api.post(f"/v1/campaigns/{campaign['id']}/pause")
    assert await refused(halted) == (409, "campaign_of_sequence", None)
    changed = await post(api, path, 200, name="Hello", steps=STEPS[:1])
    assert changed["has_changes"]
    stale = await api.post(path, json={"name": "Hallo", "version": made["version"]})
    assert await refused(stale) == (409, "version_conflict", "version")
    assert (await post(api, f"{path}/pause", 200))["status"] == "paused"
    assert (await post(api, f"{path}/resume", 200))["status"] == "active"
    removed = await api.delete(f"{path}/enrollments/{entered['id']}")
    assert (removed.json()["state"], removed.json()["reason"]) == ("left", "removed")
    assert (await get(api, f"{path}/enrollments/{entered['id']}"))["ended_at"] is not None
    assert await refused(await api.delete(path)) == (409, "sequence_state", None)
    assert (await post(api, f"{path}/archive", 200))["status"] == "archived"
    assert (await get(api, "/v1/sequences"))["data"] == []
    assert [row["id"] for row in (await get(api, "/v1/sequences", status="archived"))["data"]] == [made["id"]]
    types = await db.fetch("SELECT type FROM events WHERE type LIKE 'sequence.%' ORDER BY id")
    assert [row.type for row in types] == [
        "sequence.published",
        "sequence.entered",
        "sequence.paused",
        "sequence.resumed",
        "sequence.left",
        "sequence.archived",
    ]


async def test_what_is_odd_is_refused_with_its_parameter(api: httpx.AsyncClient) -> None:
    for body, param in (
        ({"name": " "}, "name"),
        ({"name": "A", "steps": [{"key": "a"}]}, "steps[0].body"),
        ({"name": "A", "steps": [{"key": "a", "body": "x", "wait": 1}]}, "steps[0].wait"),
        ({"name": "A", "template": "drip"}, "template"),
        ({"name": "A", "entry": {"events": ["message.sent"]}}, "entry.events[0]"),
    ):
        status, _, named = await refused(await api.post("/v1/sequences", json=body))
        assert (status, named) == (400, param)
    draft = await post(api, "/v1/sequences", name="Spare", template="challenge")
    assert [step["key"] for step in draft["steps"]] == [f"day_{day}" for day in range(1, 6)]
    assert (await api.delete(f"/v1/sequences/{draft['id']}")).json()["object"] == "sequence"
    assert (await get(api, "/v1/sequences"))["data"] == []
