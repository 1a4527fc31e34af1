"""/v1/contacts, /v1/lists and /v1/segments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from msvs.models import Contact, ContactList, Segment
from tests.apps import BASE_URL
from tests.rest_compat.making import EVERY, get, in_future, make_synced, post, work

PHONE = "+12125550111"
SOME = "01HYZ8K5VQAE2N0PWQ6DC9V8MP"


async def contact(client: httpx.AsyncClient, phone: str = PHONE, **values: Any) -> dict[str, Any]:
    return await post(client, "/v1/contacts", phone=phone, **values)


def code(response: httpx.Response) -> tuple[int, str, str | None]:
    error = response.json()["error"]
    return response.status_code, error["code"], error.get("param")


# Contacts


async def test_a_contact_is_made_read_changed_and_deleted(api: httpx.AsyncClient) -> None:
    made = await contact(api, first_name="Maria", attributes={"tier": "vip", "seats": 2, "open": True})
    path = f"/v1/contacts/{made['id']}"
    assert made["opt_in"] == {"status": "unknown", "source": None, "ip": None, "at": None}
    assert made.pop("warnings") == []
    assert await get(api, path) == made
    changed = await post(
        api, path, 200, first_name=None, last_name="Silva", attributes={"tier": None, "seats": 3, "city": "Lisboa"}
    )
    assert (changed["first_name"], changed["last_name"]) == (None, "Silva")
    assert changed["attributes"] == {"seats": 3, "open": True, "city": "Lisboa"}
    assert await post(api, path, 200) == changed | {"updated_at": (await get(api, path))["updated_at"]}
    gone = await api.delete(path)
    assert gone.json() == {"id": made["id"], "object": "contact", "deleted": True}
    for method in ("GET", "POST", "DELETE"):
        assert code(await api.request(method, path)) == (404, "resource_missing", "id")


async def test_a_second_contact_of_a_phone_is_a_conflict(api: httpx.AsyncClient) -> None:
    first = await contact(api)
    response = await api.post("/v1/contacts", json={"phone": PHONE})
    assert code(response) == (409, "contact_exists", "phone")
    assert response.json()["error"]["existing_id"] == first["id"]
    other = await contact(api, "+12125550112")
    response = await api.post(f"/v1/contacts/{other['id']}", json={"phone": PHONE})
    assert code(response) == (409, "contact_exists", "phone")
    assert response.json()["error"]["existing_id"] == first["id"]


BAD_CONTACTS = [
    ({"phone": "+1abc"}, "phone_number_invalid", "phone"),
    ({"first_name": ""}, "parameter_out_of_range", "first_name"),
    ({"last_name": "n" * 101}, "parameter_out_of_range", "last_name"),
    ({"first_name": "a\u0007b"}, "parameter_invalid", "first_name"),
    ({"email": "maria"}, "email_invalid", "email"),
    ({"opt_in": {}}, "parameter_missing", "opt_in.source"),
    ({"opt_in": {"source": "checkout", "ip": "999.1.1.1"}}, "ip_invalid", "opt_in.ip"),
    ({"opt_in": {"source": ""}}, "parameter_out_of_range", "opt_in.source"),
    ({"opt_in": {"source": "checkout", "at": "2126-05-01T20:00:00Z"}}, "parameter_out_of_range", "opt_in.at"),
    ({"opt_in": {"source": "checkout", "at": "0001-01-01T00:00:00+14:00"}}, "parameter_out_of_range", "opt_in.at"),
    ({"opt_in": {"source": "checkout", "at": "2026-05-01T20:00:00"}}, "parameter_invalid", "opt_in.at"),
    ({"opt_in": {"source": "checkout", "at": "yesterday"}}, "parameter_invalid", "opt_in.at"),
    ({"opt_in": {"source": "checkout", "renewed": "yes"}}, "parameter_invalid", "opt_in.renewed"),
    ({"opt_in": {"status": "opted_in"}}, "parameter_unknown", "opt_in.status"),
    ({"attributes": {"k": ["a"]}}, "parameter_invalid", "attributes.k"),
    ({"attributes": {"k": "v" * 501}}, "parameter_invalid", "attributes.k"),
    ({"attributes": {"": 1}}, "parameter_invalid", "attributes"),
    ({"attributes": {f"k{n}": n for n in range(51)}}, "parameter_out_of_range", "attributes"),
]


@pytest.mark.parametrize(("changes", "error", "param"), BAD_CONTACTS, ids=[row[1] + row[2] for row in BAD_CONTACTS])
async def test_a_bad_contact_is_refused(
    api: httpx.AsyncClient, changes: dict[str, Any], error: str, param: str
) -> None:
    response = await api.post("/v1/contacts", json={"phone": PHONE, **changes})
    assert code(response) == (400, error, param)
    assert await Contact.all().count() == 0
    made = await contact(api)
    assert code(await api.post(f"/v1/contacts/{made['id']}", json=changes)) == (400, error, param)
    assert (await get(api, f"/v1/contacts/{made['id']}"))["updated_at"] == made["updated_at"]


async def test_opting_out_twice_is_a_conflict_and_in_again_needs_evidence(api: httpx.AsyncClient) -> None:
    made = await contact(api, opt_in={"source": "checkout", "ip": "203.0.113.4"})
    path = f"/v1/contacts/{made['id']}"
    assert made["opt_in"]["status"] == "opted_in"
    out = await post(api, f"{path}/opt_out", 200)
    assert (out["opt_in"]["status"], out["opt_in"]["source"]) == ("opted_out", "api")
    assert code(await api.post(f"{path}/opt_out")) == (409, "contact_opted_out", None)
    assert code(await api.post(path, json={"opt_in": {}})) == (400, "parameter_missing", "opt_in.source")
    old = await api.post(path, json={"first_name": "Ana", "opt_in": {"source": "webinar"}})
    assert code(old) == (409, "opt_in_revoked", "opt_in")
    error = old.json()["error"]
    assert (error["type"], error["opted_out_at"]) == ("conflict_error", out["opt_in"]["at"])
    assert error["opted_out_at"] in error["message"]
    assert await get(api, path) == out
    again = await api.post("/v1/contacts", json={"phone": made["phone"], "opt_in": {"source": "webinar"}})
    assert code(again) == (409, "opt_in_revoked", "opt_in")
    assert again.json()["error"]["existing_id"] == made["id"]
    newer = {"source": "webinar", "at": datetime.now(UTC).isoformat(), "renewed": True}
    back = await post(api, path, 200, opt_in=newer)
    assert (back["opt_in"]["status"], back["opt_in"]["source"]) == ("opted_in", "webinar")
    types = [event["type"] for event in (await get(api, "/v1/events"))["data"]]
    assert (types.count("contact.opted_out"), types.count("contact.opted_in")) == (1, 0)


async def test_a_number_that_said_stop_stays_suppressed_when_it_comes_back(api: httpx.AsyncClient) -> None:
    made = await contact(api)
    await post(api, "/v1/test/inbound", from_=PHONE, body="Stop!")
    assert (await api.delete(f"/v1/contacts/{made['id']}")).status_code == 200
    back = await contact(api)
    assert (back["opt_in"]["status"], back["id"] == made["id"]) == ("opted_out", False)
    assert code(await api.post("/v1/messages", json={"to": PHONE, "body": "Hi"}))[:2] == (422, "recipient_opted_out")


async def test_contacts_are_found_by_every_filter(api: httpx.AsyncClient) -> None:
    maria = await contact(
        api,
        "+12125550111",
        first_name="Maria",
        last_name="Silva",
        email="maria@example.com",
        opt_in={"source": "x"},
        attributes={"tier": "vip", "seats": 2, "open": True},
    )
    joao = await contact(
        api,
        "+12125550122",
        first_name="João",
        email="joao@cohortlabs.co",
        attributes={"seats": "2", "open": "true"},
    )
    made_at, later = maria["created_at"], in_future(hours=1)
    await post(api, f"/v1/contacts/{joao['id']}/opt_out", 200)
    listed = (await post(api, "/v1/lists", name="L"))["id"]
    await post(api, f"/v1/lists/{listed}/contacts", 200, contact_ids=[maria["id"]])
    for params, found in (
        ({"q": "mar"}, [maria]),
        ({"q": "SILVA maria"}, [maria]),
        ({"q": "cohortlabs"}, [joao]),
        ({"q": "0122"}, [joao]),
        ({"q": "nobody"}, []),
        ({"q": "%"}, []),
        ({"phone": "+12125550122"}, [joao]),
        ({"email": "MARIA@example.com"}, [maria]),
        ({"list_id": listed}, [maria]),
        ({"opt_in_status": "opted_out"}, [joao]),
        ({"opt_in_status": "opted_in"}, [maria]),
        ({"opt_in_status": "pending"}, []),
        ({"q": "maria", "opt_in_status": "opted_out"}, []),
        ({"attributes[tier]": "vip"}, [maria]),
        ({"attributes[seats]": "2", "attributes[open]": "true"}, [joao, maria]),
        ({"attributes[seats]": "2", "attributes[tier]": "gold"}, []),
        ({"attributes[o'r \"x]": "2"}, []),
        ({"created_at[gte]": made_at, "order": "oldest"}, [maria, joao]),
        ({"created_at[lt]": made_at}, []),
        ({"created_at[gte]": later}, []),
        ({"updated_at[gte]": later}, []),
        ({"updated_at[gte]": made_at}, [joao, maria]),
        ({"order": "newest"}, [joao, maria]),
        ({}, [joao, maria]),
    ):
        rows = (await get(api, "/v1/contacts", **params))["data"]
        assert [row["id"] for row in rows] == [row["id"] for row in found], params


@pytest.mark.parametrize(
    "query", ["phone=abc", "email=x", "list_id=lst_1", "opt_in_status=maybe", "q=" + "a" * 101, "order=up"]
)
async def test_a_bad_filter_is_refused(api: httpx.AsyncClient, query: str) -> None:
    response = await api.get(f"/v1/contacts?{query}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_a_bad_attribute_or_time_is_refused(api: httpx.AsyncClient) -> None:
    assert code(await api.get("/v1/contacts?updated_at[gte]=noon")) == (400, "parameter_invalid", "updated_at[gte]")
    assert code(await api.get("/v1/contacts?attributes=vip"))[1:] == ("parameter_invalid", "attributes")
    assert code(await api.get(f"/v1/contacts?attributes[{'k' * 41}]=1"))[1:] == ("parameter_invalid", "attributes")


# Lists


async def test_a_list_is_made_read_renamed_and_deleted(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/lists", name="Cohort 06 — open cart")
    path = f"/v1/lists/{made['id']}"
    assert (made["object"], made["kind"], made["contact_count"]) == ("contact_list", "static", 0)
    assert await get(api, path) == made
    assert (await post(api, path, 200, name="Closed"))["name"] == "Closed"
    assert (await api.delete(path)).json() == {"id": made["id"], "object": "contact_list", "deleted": True}
    assert code(await api.get(path)) == (404, "resource_missing", "id")
    for name in ("", " ", "n" * 201):
        assert code(await api.post("/v1/lists", json={"name": name})) == (400, "parameter_out_of_range", "name")
    assert await ContactList.all().count() == 0


async def test_contacts_are_added_once_and_taken_off(api: httpx.AsyncClient) -> None:
    path = f"/v1/lists/{(await post(api, '/v1/lists', name='L'))['id']}"
    people = [(await contact(api, f"+1212555010{n}"))["id"] for n in range(3)]
    unknown = [f"con_{SOME}", "con_x", "lst_" + SOME]
    first = await post(api, f"{path}/contacts", 200, contact_ids=[*people[:2], people[0], *unknown])
    assert first == {"added": 2, "already_members": 0, "not_found": unknown}
    second = await post(api, f"{path}/contacts", 200, contact_ids=people)
    assert second == {"added": 1, "already_members": 2, "not_found": []}
    assert (await get(api, path))["contact_count"] == 3
    gone = await api.delete(f"{path}/contacts/{people[1]}")
    assert gone.json() == {"id": people[1], "object": "list_member", "deleted": True}
    assert (await api.delete(f"{path}/contacts/{people[1]}")).status_code == 200
    assert [row["id"] for row in (await get(api, f"{path}/contacts"))["data"]] == [people[2], people[0]]
    assert (await get(api, path))["contact_count"] == 2
    assert (await api.delete(f"/v1/contacts/{people[0]}")).status_code == 200
    assert (await get(api, path))["contact_count"] == 1
    assert code(await api.delete(f"{path}/contacts/con_{SOME}")) == (404, "resource_missing", "contact_id")
    too_many = {"contact_ids": [f"con_{SOME}"] * 1001}
    assert code(await api.post(f"{path}/contacts", json=too_many)) == (400, "parameter_out_of_range", "contact_ids")


async def test_a_synced_list_is_not_changed_by_hand(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/lists", name="Kit")
    person = (await contact(api))["id"]
    await make_synced(made["id"])
    path = f"/v1/lists/{made['id']}"
    assert (await get(api, path))["kind"] == "synced"
    for method, where, body in (
        ("POST", path, {"name": "Mine"}),
        ("POST", f"{path}/contacts", {"contact_ids": [person]}),
        ("DELETE", f"{path}/contacts/{person}", None),
    ):
        assert code(await api.request(method, where, json=body)) == (409, "list_synced", None)
    assert (await get(api, path)) | {"kind": "static"} == made
    assert (await api.delete(path)).status_code == 200


@pytest.mark.parametrize("who", [f"con_{SOME}", "con_1", "maria"])
async def test_a_contact_that_is_not_there_is_named_apart_from_the_list(api: httpx.AsyncClient, who: str) -> None:
    made = await post(api, "/v1/lists", name="Cohort 06")
    person = (await contact(api))["id"]
    path = f"/v1/lists/{made['id']}/contacts"
    assert code(await api.delete(f"{path}/{who}")) == (404, "resource_missing", "contact_id")
    elsewhere = f"/v1/lists/lst_{SOME}/contacts/{person}"
    assert code(await api.delete(elsewhere)) == (404, "resource_missing", "id")


# Segments


async def test_a_segment_is_made_read_changed_previewed_and_deleted(api: httpx.AsyncClient) -> None:
    vip = {"field": "attributes.tier", "op": "eq", "value": "vip"}
    await contact(api, attributes={"tier": "vip"})
    await contact(api, "+12125550112")
    made = await post(api, "/v1/segments", name="VIPs", filter=vip)
    path = f"/v1/segments/{made['id']}"
    assert (await get(api, path), made["filter"]) == (made, vip)
    assert await post(api, "/v1/segments/preview", 200, filter=vip) == {"object": "segment_preview", "contact_count": 1}
    assert (await post(api, "/v1/segments/preview", 200, filter=EVERY))["contact_count"] == 2
    changed = await post(api, path, 200, filter=EVERY)
    assert (changed["name"], changed["filter"]) == ("VIPs", EVERY)
    assert (await post(api, path, 200, name="All"))["filter"] == EVERY
    assert (await api.delete(path)).json() == {"id": made["id"], "object": "segment", "deleted": True}
    assert code(await api.get(path)) == (404, "resource_missing", "id")


def nested(levels: int) -> dict[str, Any]:
    filter: dict[str, Any] = {"field": "email", "op": "exists"}
    for _ in range(levels - 1):
        filter = {"not": filter}
    return filter


@pytest.mark.parametrize(
    ("filter", "error", "param"),
    [
        ({}, "parameter_missing", "filter"),
        ({"all": []}, "parameter_invalid", "filter.all"),
        ({"field": "shoe_size", "op": "eq", "value": 1}, "field_unknown", "filter.field"),
        ({"field": "email"}, "parameter_missing", "filter.op"),
        ({"field": "email", "op": "like", "value": "a"}, "parameter_invalid", "filter.op"),
        ({"field": "email", "op": "eq"}, "parameter_missing", "filter.value"),
        ({"any": [EVERY, {"field": "email", "op": "eq", "value": 1}]}, "parameter_invalid", "filter.any[1].value"),
        ({"field": "created_at", "op": "after", "value": "today"}, "time_invalid", "filter.value"),
        ({"field": "attributes.at", "op": "before", "value": "today"}, "date_invalid", "filter.value"),
        ({"list": f"lst_{SOME}"}, "resource_missing", "filter.list"),
        ({"list": "lst_1"}, "id_invalid", "filter.list"),
        ({"tag": "a,b"}, "parameter_invalid", "filter.tag"),
        ({"engagement": "sent"}, "parameter_missing", "filter.within_days"),
        ({"engagement": "sent", "within_days": 0}, "parameter_out_of_range", "filter.within_days"),
        ({"field": "email", "op": "exists", "also": 1}, "parameter_unknown", "filter.also"),
        (nested(9), "filter_too_deep", "filter" + ".not" * 8),
        ({"any": [{"field": "email", "op": "exists"}] * 51}, "filter_too_large", "filter.any[50]"),
    ],
)
async def test_a_bad_filter_of_a_segment_is_refused(
    api: httpx.AsyncClient, filter: dict[str, Any], error: str, param: str
) -> None:
    for path, body in (("/v1/segments", {"name": "S", "filter": filter}), ("/v1/segments/preview", {"filter": filter})):
        assert code(await api.post(path, json=body)) == (400, error, param)
    assert await Segment.all().count() == 0


async def test_engagement_counts_messages_over_http(api: httpx.AsyncClient) -> None:
    await post(api, "/v1/messages", to="+14155550107", body="Hi")
    await post(api, "/v1/messages", to=PHONE, body="Hi")
    await work(4)
    for engagement, count in (("sent", 2), ("delivered", 2), ("replied", 1)):
        filter = {"engagement": engagement, "within_days": 1}
        assert (await post(api, "/v1/segments/preview", 200, filter=filter))["contact_count"] == count, engagement


async def test_contacts_are_imported_onto_a_list(api: httpx.AsyncClient) -> None:
    listed = await post(api, "/v1/lists", name="Cohort 06")
    body = {
        "contacts": [
            {"phone": "(212) 555-0161", "first_name": "Maria", "attributes": {"tier": "vip"}},
            {"phone": "+12125550161", "last_name": "Silva"},
            {"phone": "+12125550162", "email": None, "opt_in": {"source": "checkout", "ip": "203.0.113.4"}},
            {"phone": "12"},
        ],
        "list_id": listed["id"],
        "opt_in": {"source": "webinar"},
        "default_region": "US",
    }
    first = await api.post("/v1/contacts/import", json=body, headers={"Idempotency-Key": "import-1"})
    again = await api.post("/v1/contacts/import", json=body, headers={"Idempotency-Key": "import-1"})

    assert first.status_code == again.status_code == 200
    assert first.content == again.content
    assert again.headers["idempotent-replayed"] == "true"
    assert first.json() == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "duplicates": 1,
        "added_to_list": 2,
        "opted_in": 2,
        "pending": 0,
        "opted_out": 0,
        "invalid": [
            {
                "index": 3,
                "code": "phone_number_invalid",
                "message": "The phone number '12' could not be parsed as E.164 or as a number of US.",
                "param": "contacts[3].phone",
            }
        ],
    }
    members = (await get(api, "/v1/contacts", list_id=listed["id"]))["data"]
    assert {member["phone"]: (member["last_name"], member["opt_in"]["source"]) for member in members} == {
        "+12125550161": ("Silva", "webinar"),
        "+12125550162": (None, "checkout"),
    }


# What JSON may say and PostgreSQL does not keep, and the field of the row that is told of it.
UNKEPT = [
    (rb'"phone": "+12125550162\u0000"', "phone"),
    (rb'"phone": "+12125550162", "first_name": "Ma\u0000ria"', "first_name"),
    (rb'"phone": "+12125550162", "last_name": "\ud83d"', "last_name"),
    (rb'"phone": "+12125550162", "email": "ana@example.com\udc00"', "email"),
    (rb'"phone": "+12125550162", "attributes": {"tier": "\u0000"}', "attributes.tier"),
    (rb'"phone": "+12125550162", "attributes": {"ti\u0000er": "a"}', "attributes"),
    (rb'"phone": "+12125550162", "attributes": {"visits": 1e400}', "attributes.visits"),
    (rb'"phone": "+12125550162", "attributes": {"visits": -90071992547409931}', "attributes.visits"),
    (rb'"phone": "+12125550162", "opt_in": {"source": "web\u0000"}', "opt_in.source"),
    (rb'"phone": "+12125550162", "phone": "+12125550163"', None),
]


@pytest.mark.parametrize(("bad", "param"), UNKEPT, ids=range(len(UNKEPT)))
async def test_only_the_row_that_postgresql_cannot_store_is_refused(
    api: httpx.AsyncClient, bad: bytes, param: str | None
) -> None:
    good = rb'{"phone": "+12125550161", "first_name": "Ana"}, {%s}, {"phone": "+12125550164"}'
    sent = rb'{"contacts": [' + good % bad + rb'], "opt_in": {"source": "webinar"}}'
    headers = {"Content-Type": "application/json", "Idempotency-Key": "import-2"}
    done = await api.post("/v1/contacts/import", content=sent, headers=headers)
    assert done.status_code == 200, done.text
    (refused,) = done.json()["invalid"]
    path = "contacts[1]" if param is None else f"contacts[1].{param}"
    assert (done.json()["created"], refused["index"], refused["param"]) == (2, 1, path)
    assert {row.phone for row in await Contact.all()} == {"+12125550161", "+12125550164"}
    again = await api.post("/v1/contacts/import", content=sent, headers=headers)
    assert (again.content, again.headers["idempotent-replayed"]) == (done.content, "true")
    # It is the same request only where its rows say the same.
    other = await api.post("/v1/contacts/import", content=sent.replace(b"162", b"165"), headers=headers)
    assert code(other)[:2] == (400, "idempotency_key_reused")


@pytest.mark.parametrize(
    "sent",
    [
        rb'{"contacts": [{"phone": "+12125550161"}], "default_region": "\u0000"}',
        rb'{"contacts": [{"phone": "+12125550161"}], "opt_in": {"source": "\ud800"}}',
        rb'{"contacts": [{"phone": "+12125550161"},]}',
        rb'{"contacts": [{"phone": "+12125550161"}], "contacts": [{"phone": "\u0000"}]}',
        rb'{"contacts": {"phone": "\u0000"}}',
    ],
)
async def test_a_value_beside_the_rows_that_postgresql_cannot_store_refuses_the_call(
    api: httpx.AsyncClient, sent: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    assert code(await api.post("/v1/contacts/import", content=sent, headers=headers))[:2] == (400, "json_invalid")
    assert await Contact.all().count() == 0


async def test_only_entries_that_postgresql_cannot_store_are_refused(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    sent = rb'{"phones": ["+12125550161", "+1\u0000", "\ud800"]}'
    done = await api.post("/v1/suppressions/import", content=sent, headers=headers)
    assert done.json() == {"added": 1, "already_suppressed": 0, "invalid": ["+1\ufffd", "\ufffd"]}
    listed = await post(api, "/v1/lists", name="Cohort 06")
    made = await post(api, "/v1/contacts", phone=PHONE)
    sent = rb'{"contact_ids": ["%s", "con_\u0000"]}' % made["id"].encode()
    done = await api.post(f"/v1/lists/{listed['id']}/contacts", content=sent, headers=headers)
    assert done.json() == {"added": 1, "already_members": 0, "not_found": ["con_\ufffd"]}


# What no database keeps in the place of a text, and what is echoed of it.
NO_TEXTS = [
    (b"99999999999999999999", "99999999999999999999"),
    (b"1e999", "1e999"),
    (rb'{"a": "\u0000"}', r'{"a": "\u0000"}'),
    (rb'["\ud800"]', r'["\ud800"]'),
    (b'{"a": 1, "a": {"b": 2, "b": 3}}', '{"a": 1, "a": {"b": 2, "b": 3}}'),
    (b"[" * 40 + b"]" * 40, "[" * 40 + "]" * 40),
    (b'"' + b"\xc3\xa9" * 90 + rb'\u0000"', "\xe9" * 90 + "\ufffd"),
    (b"[" * 600 + b"]" * 600, "[" * 80),
]


@pytest.mark.parametrize(("bad", "shown"), NO_TEXTS, ids=range(len(NO_TEXTS)))
async def test_an_entry_that_is_no_text_and_cannot_be_stored_is_reported(
    app: Starlette, api: httpx.AsyncClient, bad: bytes, shown: str
) -> None:
    listed = await post(api, "/v1/lists", name="Cohort 06")
    headers = {**api.headers, "Content-Type": "application/json"}
    # The document allows no such requests, and so the tests' client sends none.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL, headers=headers) as client:
        sent = rb'{"phones": ["+12125550161", %s]}' % bad
        done = await client.post("/v1/suppressions/import", content=sent)
        assert done.json() == {"added": 1, "already_suppressed": 0, "invalid": [shown]}
        sent = rb'{"contact_ids": [%s]}' % bad
        done = await client.post(f"/v1/lists/{listed['id']}/contacts", content=sent)
        assert done.json() == {"added": 0, "already_members": 0, "not_found": [shown]}


@pytest.mark.parametrize(
    ("body", "why", "param"),
    [
        ({}, "parameter_missing", "contacts"),
        ({"contacts": [{"phone": "+12125550161"}] * 501}, "parameter_out_of_range", "contacts"),
        ({"contacts": {"phone": "+12125550161"}}, "parameter_invalid", "contacts"),
        ({"contacts": [], "list_id": "lst_1"}, "id_invalid", "list_id"),
        ({"contacts": [], "list_id": "lst_01HYZ8K5VQAE2N0PWQ6DC9V8MP"}, "resource_missing", "list_id"),
        ({"contacts": [], "opt_in": {"ip": "203.0.113.4"}}, "parameter_missing", "opt_in.source"),
        ({"contacts": [], "default_region": "us"}, "parameter_invalid", "default_region"),
    ],
)
async def test_an_invalid_import_is_400(api: httpx.AsyncClient, body: dict[str, object], why: str, param: str) -> None:
    assert code(await api.post("/v1/contacts/import", json=body)) == (400, why, param)


async def test_the_documents_contact_adopts_the_one_that_a_send_made(api: httpx.AsyncClient) -> None:
    message = await post(api, "/v1/messages", 201, to=PHONE, body="Hi")
    made = await post(api, "/v1/contacts", 201, phone=PHONE, first_name="Maria", opt_in={"source": "checkout"})
    assert (made["id"], made["first_name"], made["opt_in"]["status"]) == (message["contact_id"], "Maria", "opted_in")
    assert code(await api.post("/v1/contacts", json={"phone": PHONE})) == (409, "contact_exists", "phone")


async def test_the_documents_contact_adopts_the_one_that_a_reply_made(api: httpx.AsyncClient) -> None:
    inbound = await post(api, "/v1/test/inbound", 201, **{"from": PHONE, "body": "Who is this?"})
    assert (await post(api, "/v1/contacts", 201, phone=PHONE))["id"] == inbound["contact_id"]


async def test_an_upsert_makes_or_changes(api: httpx.AsyncClient) -> None:
    made = await post(api, "/v1/contacts?upsert=true", 201, phone=PHONE, external_id="c-1")
    changed = await post(api, "/v1/contacts?upsert=true", 201, phone=PHONE, first_name="Ana")
    assert (changed["id"], changed["first_name"], changed["external_id"]) == (made["id"], "Ana", "c-1")
    moved = await post(api, "/v1/contacts", 201, phone="+12125550112", external_id="c-1", on_conflict="update")
    assert (moved["id"], moved["phone"], moved["first_name"]) == (made["id"], "+12125550112", "Ana")
    headers = {"Idempotency-Key": "k-1"}
    first = await api.post("/v1/contacts?upsert=true", json={"phone": PHONE}, headers=headers)
    other = await api.post("/v1/contacts", json={"phone": PHONE}, headers=headers)
    assert (first.status_code, code(other)[:2]) == (201, (400, "idempotency_key_reused"))


@pytest.mark.parametrize("q", ["0" * 80, "+" + "1" * 16, "1" * 100, "(000) " * 16])
async def test_a_search_for_more_digits_than_a_phone_has_finds_nothing(api: httpx.AsyncClient, q: str) -> None:
    answer = await api.get("/v1/contacts", params={"q": q})
    assert (answer.status_code, answer.json()["data"]) == (200, [])
