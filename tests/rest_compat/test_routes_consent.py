"""Evidence, suppressions, a person's record and erasure over REST."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from msvs import database as db
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import get, make_everything, post, refused

PHONE = "+12125550123"
EVIDENCE = {
    "source": "checkout",
    "ip": "203.0.113.4",
    "user_agent": "Mozilla/5.0",
    "text": "Text me about Cohort 06.\nReply STOP to opt out.",
    "version": "2026-04",
}


async def test_evidence_goes_in_and_stands_in_the_history(api: httpx.AsyncClient) -> None:
    contact = await post(api, "/v1/contacts", phone=PHONE, opt_in=EVIDENCE)
    # What the document says of a contact is as it was.
    assert contact["opt_in"].keys() == {"status", "source", "ip", "at"}
    await post(api, f"/v1/contacts/{contact['id']}", 200, opt_in={**EVIDENCE, "version": "2026-05"})

    by_contact = await get(api, f"/v1/contacts/{contact['id']}/consent")
    by_phone = await get(api, "/v1/consent", phone=PHONE)

    assert by_contact["data"] == by_phone["data"]
    newest, oldest = by_contact["data"]
    assert {name: oldest[name] for name in EVIDENCE} == EVIDENCE
    assert (newest["version"], newest["sequence"], oldest["sequence"]) == ("2026-05", 2, 1)
    assert (oldest["object"], oldest["status"], oldest["contact_id"], oldest["erased_at"]) == (
        "consent_entry",
        "opted_in",
        contact["id"],
        None,
    )
    assert await get(api, "/v1/consent", phone="+12125550199") == {
        "object": "list",
        "url": "/v1/consent",
        "has_more": False,
        "data": [],
    }


@pytest.mark.parametrize(
    ("opt_in", "code", "param"),
    [
        ({**EVIDENCE, "browser": "x"}, "parameter_unknown", "opt_in.browser"),
        ({**EVIDENCE, "text": 1}, "parameter_invalid", "opt_in.text"),
        ({**EVIDENCE, "version": "x" * 61}, "parameter_out_of_range", "opt_in.version"),
        ({"text": "I agree."}, "parameter_missing", "opt_in.source"),
    ],
)
async def test_evidence_is_read_strictly(
    api: httpx.AsyncClient, opt_in: dict[str, object], code: str, param: str
) -> None:
    response = await api.post("/v1/contacts", json={"phone": PHONE, "opt_in": opt_in})
    assert await refused(response) == (400, code, param)
    assert (await get(api, "/v1/contacts"))["data"] == []


async def test_suppressions_from_one_end_to_the_other(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/suppressions", phone=PHONE, source="complaint")
    assert await get(api, f"/v1/suppressions/{made['id']}") == made
    again = await api.post("/v1/suppressions", json={"phone": PHONE, "source": "complaint"})
    assert await refused(again) == (409, "suppression_exists", "phone")
    assert again.json()["error"]["existing_id"] == made["id"]
    assert await refused(await api.post("/v1/messages", json={"to": PHONE, "body": "Hi"})) == (
        422,
        "recipient_opted_out",
        "to",
    )

    done = await post(api, "/v1/suppressions/import", 200, phones=[PHONE, "+12125550124", "12"])
    assert done == {"added": 1, "already_suppressed": 1, "invalid": ["12"]}
    assert [row["source"] for row in (await get(api, "/v1/suppressions"))["data"]] == ["import", "complaint"]
    assert (await get(api, "/v1/suppressions", phone=PHONE))["data"] == [made]

    missing = await api.post(f"/v1/suppressions/{made['id']}/lift", json={})
    assert await refused(missing) == (400, "parameter_missing", "source")
    old = await api.post(f"/v1/suppressions/{made['id']}/lift", json=EVIDENCE)
    assert await refused(old) == (409, "opt_in_revoked", "opt_in")
    assert old.json()["error"]["opted_out_at"] == made["created_at"]
    newer = {**EVIDENCE, "at": datetime.now(UTC).isoformat(), "renewed": True}
    contact = await post(api, f"/v1/suppressions/{made['id']}/lift", 200, **newer)
    assert (contact["phone"], contact["opt_in"]["status"]) == (PHONE, "opted_in")
    assert (await get(api, "/v1/suppressions", phone=PHONE))["data"] == []
    await post(api, "/v1/messages", to=PHONE, body="Hi")


async def test_a_record_then_erasure_once_and_for_all(api: httpx.AsyncClient, client: Client) -> None:
    known = await make_everything(api)
    contact = known["contact"]
    record = await get(api, f"/v1/contacts/{contact}/export")
    assert (record["object"], record["contact"]["id"], record["complete"]) == ("contact_export", contact, True)
    assert [message["id"] for message in record["messages"]] == [known["message"]]
    assert [reply["id"] for reply in record["inbound_messages"]] == [known["inbound"]]
    phone = record["contact"]["phone"]

    headers = {"Idempotency-Key": "erase 1"}
    first = await api.post(f"/v1/contacts/{contact}/erase", headers=headers)
    replayed = await api.post(f"/v1/contacts/{contact}/erase", headers=headers)
    again = await api.post(f"/v1/contacts/{contact}/erase")

    assert first.status_code == again.status_code == 200
    assert replayed.json() == first.json()
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert again.json().items() >= {"id": contact, "object": "contact", "erased": True}.items()
    assert await refused(await api.get(f"/v1/contacts/{contact}")) == (404, "resource_missing", "id")
    # Every shape that is left still is what the document says, without the phone.
    message = await get(api, f"/v1/messages/{known['message']}")
    assert (message["status"], message["body"], message["to"].startswith("erased:")) == ("canceled", "", True)
    for path in ("/v1/messages", "/v1/inbound", "/v1/events", "/v1/consent", "/v1/campaigns"):
        assert phone not in str(await get(api, path)), path
    for path in (f"/v1/messages/{known['message']}/explain", f"/v1/messages/{known['message']}/timeline"):
        assert phone not in str(await get(api, path)), path


async def test_erasure_waits_for_what_is_on_its_way(api: httpx.AsyncClient) -> None:
    message = await post(api, "/v1/messages", to=PHONE, body="Hi")
    await db.execute("UPDATE messages SET status = 'sending'")
    response = await api.post(f"/v1/contacts/{message['contact_id']}/erase")
    assert await refused(response) == (409, "erasure_pending", None)
    assert response.headers["Retry-After"] == "5"
    await db.execute("UPDATE messages SET status = 'sent'")
    assert (await api.post(f"/v1/contacts/{message['contact_id']}/erase")).status_code == 200
