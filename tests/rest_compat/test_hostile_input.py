"""Bad input gets the right 4xx in the envelope, and nothing is written."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import httpx
import pytest

from msvs.api.ids import encode_id, new_id
from msvs.models import Contact, IdempotencyRecord, Message

JSON = "application/json"
TO = "+12125550123"


class Row(NamedTuple):
    """What is sent to POST /v1/messages unless it says otherwise, and what comes back."""

    sent: bytes | dict[str, Any]
    status: int
    code: str
    param: str | None = None
    says: str = ""
    path: str = "/v1/messages"
    content_type: str | None = JSON


def message(**changes: Any) -> dict[str, Any]:
    return {"to": TO, "body": "Doors open", **changes}


def contact(**changes: Any) -> dict[str, Any]:
    return {"phone": TO, **changes}


def campaign(**changes: Any) -> dict[str, Any]:
    return {"name": "Cohort 06", "body": "Doors open", "audience": {"list_ids": []}, **changes}


def nested(levels: int) -> bytes:
    return b'{"to":"a","body":"b","x":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


BAD_JSON = [
    (b"{", "line 1 column 2"),
    (b"{]", "line 1 column 2"),
    (b'{"to": "a",}', "column"),
    (b"{'to': 1}", "line 1 column 2"),
    (b'{"to": "a"} {}', "Extra data"),
    (b'{"to": "a"}\n\nx', "line 3 column 1"),
    (b"[1]", "must be a JSON object"),
    (b"[[]]", "must be a JSON object"),
    (b'"text"', "must be a JSON object"),
    (b"1", "must be a JSON object"),
    (b"true", "must be a JSON object"),
    (b" ", "line 1 column 2"),
    (b"\x00", "line 1 column 1"),
    (b"\xff\xfe", "not valid UTF-8 at byte 0"),
    (b'{"to": "\xc3\x28"}', "not valid UTF-8 at byte 8"),
    (b'{"to": "\xed\xa0\x80"}', "not valid UTF-8 at byte 8"),
    (b'{"to": "\xc0\x80"}', "not valid UTF-8 at byte 8"),
    (b'\xef\xbb\xbf{"to": "a"}', "byte order mark"),
    ('{"to": "a"}'.encode("utf-16"), "not valid UTF-8"),
    (b'{"to": "a", "to": "b"}', '"to" appears twice'),
    (b'{"to": "a", "\\u0074o": "b"}', '"to" appears twice'),
    (b'{"metadata": {"a": "1", "a": "2"}}', '"a" appears twice'),
    (b'{"to": NaN}', "NaN is not JSON"),
    (b'{"to": Infinity}', "Infinity is not JSON"),
    (b'{"to": -Infinity}', "-Infinity is not JSON"),
    (b'{"to": 1e999}', "1e999 is too large"),
    (b'{"to": 9007199254740993}', "9007199254740993 is outside"),
    (b'{"to": -9007199254740993}', "-9007199254740993 is outside"),
    (b'{"to": ' + b"9" * 5000 + b"}", "99999999999999999999… is outside"),
    (b'{"to": 01}', "column"),
    (b'{"to": "a\nb"}', "control character"),
    (b'{"to": "a\\x"}', "escape"),
    (b'{"to": "\\u0000"}', "at to holds a NUL"),
    (b'{"metadata": {"note": ["\\u0000"]}}', "at metadata.note[0] holds a NUL"),
    (b'{"\\u0000": 1}', "key of the body holds a NUL"),
    (b'{"to": "\\ud800"}', "at to holds half of a surrogate pair"),
    (b'{"to": "\\udc00\\ud800"}', "half of a surrogate pair"),
    (b'{"metadata": {"\\udfff": 1}}', "key of metadata holds half"),
    (nested(33), "deeper than 32"),
    (nested(100_000), "deeper than 32"),
    (b'{"a":' * 40 + b"1" + b"}" * 40, "deeper than 32"),
]

ROWS = [
    *(Row(sent, 400, "json_invalid", says=says) for sent, says in BAD_JSON),
    Row(nested(32), 400, "parameter_unknown", "x"),
    # Size and content type.
    Row(b'{"to": "' + b"1" * (1024 * 1024) + b'"}', 413, "request_too_large"),
    Row(b"to=1&body=2", 415, "content_type_unsupported", content_type="application/x-www-form-urlencoded"),
    Row(b"{}", 415, "content_type_unsupported", content_type=None),
    Row(b"{}", 415, "content_type_unsupported", content_type="text/plain"),
    Row(b"{}", 415, "content_type_unsupported", content_type="application/json; charset=latin-1"),
    Row(b"{}", 415, "content_type_unsupported", content_type="application/jsonp"),
    Row(b"{}", 400, "parameter_missing", "to", content_type='Application/JSON; Charset="UTF-8"'),
    # Missing and unknown parameters.
    Row(b"", 400, "parameter_missing", "to", content_type=None),
    Row({}, 400, "parameter_missing", "to"),
    Row({"to": TO}, 400, "parameter_missing", "body"),
    Row(message(schedule_at="2026-05-01T20:00:00Z"), 400, "parameter_unknown", "schedule_at"),
    Row(message(from_="COHORT"), 400, "parameter_unknown", "from_"),
    Row(message(TO="a"), 400, "parameter_unknown", "TO"),
    Row(message(**{" - at `$" * 100: 1}), 400, "parameter_unknown", " - at `$" * 10),
    Row(message(**{"a` - at `$." + "b" * 1000: 1}), 400, "parameter_unknown", "b" * 80 + ".a"),
    Row(campaign(audience={"list_id": "x"}), 400, "parameter_unknown", "audience.list_id", path="/v1/campaigns"),
    Row(campaign(audience=None), 400, "parameter_invalid", "audience", path="/v1/campaigns"),
    Row({"name": "a", "body": "b"}, 400, "parameter_missing", "audience", path="/v1/campaigns"),
    Row(contact(opt_in={"when": 1}), 400, "parameter_unknown", "opt_in.when", path="/v1/contacts"),
    # Wrong types.
    Row(message(to=12125550123), 400, "parameter_invalid", "to", "to must be a string, not an integer."),
    Row(message(to=None), 400, "parameter_invalid", "to", "to must be a string, not null."),
    Row(message(to=[TO]), 400, "parameter_invalid", "to", "to must be a string, not an array."),
    Row(message(body={"text": "a"}), 400, "parameter_invalid", "body"),
    Row(message(body=True), 400, "parameter_invalid", "body", "body must be a string, not true or false."),
    Row(message(variables=["a"]), 400, "parameter_invalid", "variables"),
    Row(message(variables={"a": {"b": 1}}), 400, "parameter_invalid", "variables.a"),
    Row(message(metadata="x"), 400, "parameter_invalid", "metadata"),
    Row(message(metadata={"a": "1", "b": [2]}), 400, "parameter_invalid", "metadata.b"),
    Row(campaign(audience=[]), 400, "parameter_missing", "audience", path="/v1/campaigns"),
    Row(
        campaign(audience={"list_ids": ["a", 1]}),
        400,
        "parameter_invalid",
        "audience.list_ids[1]",
        path="/v1/campaigns",
    ),
    Row(campaign(audience={"list_ids": ["a"]}), 400, "id_invalid", "audience.list_ids[0]", path="/v1/campaigns"),
    Row(contact(attributes=["a"]), 400, "parameter_invalid", "attributes", path="/v1/contacts"),
    Row(contact(opt_in="checkout"), 400, "parameter_invalid", "opt_in", path="/v1/contacts"),
    # Times.
    Row(message(scheduled_at="2026-05-01T20:00:00"), 400, "parameter_invalid", "scheduled_at", "with an offset"),
    Row(message(scheduled_at="tomorrow"), 400, "parameter_invalid", "scheduled_at", "ISO-8601"),
    Row(message(scheduled_at=""), 400, "parameter_invalid", "scheduled_at"),
    Row(message(scheduled_at="2026-05-01"), 400, "parameter_invalid", "scheduled_at"),
    Row(message(scheduled_at="2026-13-01T20:00:00Z"), 400, "parameter_invalid", "scheduled_at"),
    Row(message(scheduled_at=1714579200), 400, "parameter_invalid", "scheduled_at"),
    Row(message(scheduled_at="9999-12-31T23:59:59-12:00"), 400, "scheduled_at_too_far", "scheduled_at"),
    Row(message(scheduled_at="0001-01-01T00:00:00+12:00"), 400, "scheduled_at_past", "scheduled_at"),
    # Values that only the operation can judge.
    Row(
        message(to="+1abc"), 400, "phone_number_invalid", "to", "The phone number '+1abc' could not be parsed as E.164."
    ),
    Row(message(to="1" * 100_000), 400, "phone_number_invalid", "to"),
    Row(message(to="١٢"), 400, "phone_number_invalid", "to"),
    Row(message(**{"from": "much too long a name"}), 400, "sender_invalid", "from"),
    Row(contact(phone=""), 400, "phone_number_invalid", "phone", path="/v1/contacts"),
]


def names(row: Row) -> str:
    sent = row.sent if isinstance(row.sent, bytes) else json.dumps(row.sent).encode()
    return f"{sent[:40]!r}-{row.content_type}"


@pytest.mark.parametrize("row", ROWS, ids=names)
async def test_a_bad_body_is_refused(api: httpx.AsyncClient, row: Row) -> None:
    content = row.sent if isinstance(row.sent, bytes) else json.dumps(row.sent).encode()
    headers = {} if row.content_type is None else {"Content-Type": row.content_type}
    response = await api.post(row.path, content=content, headers={"Idempotency-Key": "k", **headers})
    assert response.headers["Content-Type"] == JSON
    error = response.json()["error"]
    assert (response.status_code, error["code"], error.get("param")) == (row.status, row.code, row.param)
    assert error["type"] == "invalid_request_error"
    assert row.says in error["message"]
    assert error["request_id"] == response.headers["X-Request-Id"]
    assert await Message.all().count() == await Contact.all().count() == await IdempotencyRecord.all().count() == 0


SOME_ID = encode_id("msg", new_id())

QUERIES = [
    ("/v1/messages?limit=abc", "parameter_invalid", "limit"),
    ("/v1/messages?limit=", "parameter_invalid", "limit"),
    ("/v1/messages?limit=1.0", "parameter_invalid", "limit"),
    ("/v1/messages?limit=%31%30%30%30%30%30%30%30%30%30%30", "parameter_invalid", "limit"),
    ("/v1/messages?limit=" + "9" * 5000, "parameter_invalid", "limit"),
    ("/v1/messages?limit=٣", "parameter_invalid", "limit"),
    ("/v1/messages?limit=0", "parameter_out_of_range", "limit"),
    ("/v1/messages?limit=-1", "parameter_out_of_range", "limit"),
    ("/v1/messages?limit=101", "parameter_out_of_range", "limit"),
    ("/v1/messages?limit=5&limit=6", "parameter_invalid", "limit"),
    ("/v1/messages?Limit=5", "parameter_unknown", "Limit"),
    ("/v1/messages?page=2", "parameter_unknown", "page"),
    ("/v1/messages?limit[]=2", "parameter_unknown", "limit[]"),
    ("/v1/messages?=2", "parameter_unknown", ""),
    ("/v1/messages?status=lost", "parameter_invalid", "status"),
    ("/v1/messages?status=", "parameter_invalid", "status"),
    ("/v1/messages?status=sent%00", "parameter_invalid", "status"),
    ("/v1/messages?starting_after=nonsense", "cursor_invalid", "starting_after"),
    ("/v1/messages?starting_after=", "cursor_invalid", "starting_after"),
    (f"/v1/messages?ending_before=con{SOME_ID[3:]}", "cursor_invalid", "ending_before"),
    (f"/v1/messages?ending_before={SOME_ID}&starting_after={SOME_ID}", "cursor_conflict", "ending_before"),
    ("/v1/messages?campaign_id=x", "id_invalid", "campaign_id"),
    ("/v1/messages?contact_id=' OR 1=1", "id_invalid", "contact_id"),
    ("/v1/contacts?q=%00", "parameter_invalid", "q"),
    ("/v1/contacts?q=%ff", "parameter_invalid", None),
    ("/v1/contacts?" + "&".join(f"a{n}=1" for n in range(60)), "parameter_invalid", None),
    ("/v1/contacts?opt_in_status=maybe", "parameter_invalid", "opt_in_status"),
    ("/v1/contacts?list_id=lst_1", "id_invalid", "list_id"),
    ("/v1/contacts?email=%0Amaria@example.com", "email_invalid", "email"),
    ("/v1/contacts?email=maria@example.com%1F", "email_invalid", "email"),
    ("/v1/events?after_seq=9007199254740993", "parameter_out_of_range", "after_seq"),
    ("/v1/events?after_seq=99999999999999999", "parameter_invalid", "after_seq"),
    (f"/v1/imports/imp{SOME_ID[3:]}/rows?starting_after=2147483648", "parameter_out_of_range", "starting_after"),
    (f"/v1/imports/imp{SOME_ID[3:]}/invalid_rows?after=99999999999", "parameter_invalid", "after"),
    ("/v1/credits?verbose=1", "parameter_unknown", "verbose"),
    (f"/v1/messages/{SOME_ID}?expand=x", "parameter_unknown", "expand"),
]


@pytest.mark.parametrize(("url", "code", "param"), QUERIES)
async def test_a_bad_query_is_refused(api: httpx.AsyncClient, url: str, code: str, param: str | None) -> None:
    response = await api.get(url)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error.get("param")) == (400, code, param)


@pytest.mark.parametrize(
    "id",
    ["x", "msg_", SOME_ID, SOME_ID.lower(), f"con{SOME_ID[3:]}", "msg_" + "Z" * 26, "%00", "%ff", "a" * 5000, "'"],
)
@pytest.mark.parametrize("path", ["/v1/messages/{}", "/v1/contacts/{}"])
async def test_a_strange_id_is_not_found(api: httpx.AsyncClient, path: str, id: str) -> None:
    response = await api.get(path.format(id))
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "resource_missing", "id")
    assert len(response.content) < 500


@pytest.mark.parametrize("query", ["limit=1", "x"])
async def test_a_post_takes_no_query(api: httpx.AsyncClient, query: str) -> None:
    response = await api.post(f"/v1/messages?{query}", json=message())
    assert (response.status_code, response.json()["error"]["code"]) == (400, "parameter_unknown")
    assert await Message.all().count() == 0


async def test_an_empty_object_is_no_body(api: httpx.AsyncClient) -> None:
    sent = (await api.post("/v1/messages", json=message(scheduled_at="2099-01-01T00:00:00Z"))).json()
    assert sent["error"]["code"] == "scheduled_at_too_far"
    made = (await api.post("/v1/contacts", json=contact())).json()
    for content in (b"", b"{}"):
        response = await api.request(
            "DELETE", f"/v1/contacts/{made['id']}", content=content, headers={"Content-Type": JSON}
        )
        assert response.status_code == (200 if content == b"" else 404)
    response = await api.request("DELETE", f"/v1/contacts/{made['id']}", json={"force": True})
    assert response.json()["error"]["param"] == "force"


INVISIBLE = ["\u200b", "\u2060\u200d", "\u3164", "\ufe0f", "\u2800", "\u202e\u202c", "\U000e0001", "\u00a0\u200b"]


@pytest.mark.parametrize("blank", INVISIBLE)
async def test_what_nobody_can_see_is_blank(api: httpx.AsyncClient, blank: str) -> None:
    """It would be paid for as a text, name a list that nobody finds, or stand for evidence."""
    people = (await api.post("/v1/lists", json={"name": "Cohort 06"})).json()["id"]
    for path, body, told in (
        ("/v1/messages", {"to": TO, "body": blank}, ("body_empty", "body")),
        ("/v1/messages", {"to": TO, "body": f"{{x|{blank}}}"}, ("body_empty", "body")),
        ("/v1/messages/preview", {"to": TO, "body": blank}, ("body_empty", "body")),
        ("/v1/campaigns", {**campaign(draft=True), "body": blank}, ("body_empty", "body")),
        ("/v1/campaigns", {**campaign(draft=True), "name": blank}, ("parameter_out_of_range", "name")),
        ("/v1/lists", {"name": blank}, ("parameter_out_of_range", "name")),
        ("/v1/segments", {"name": blank, "filter": {"tag": "vip"}}, ("parameter_out_of_range", "name")),
        ("/v1/contacts", contact(first_name=blank), ("parameter_out_of_range", "first_name")),
        ("/v1/contacts", contact(opt_in={"source": blank}), ("parameter_out_of_range", "opt_in.source")),
        ("/v1/keywords", {"word": "JOIN6", "list_id": people, "reply": blank}, ("parameter_out_of_range", "reply")),
        ("/v1/workspace", {"help_text": blank}, ("parameter_out_of_range", "help_text")),
    ):
        answer = await api.post(path, json=body)
        assert answer.status_code == 400, (path, body, answer.text)
        error = answer.json()["error"]
        assert (error["code"], error["param"]) == told
    assert await Message.all().count() == await Contact.all().count() == 0
    # In a row of an import, it is a cell that says nothing.
    rows = [{"phone": TO, "first_name": blank, "email": blank}]
    taken = (await api.post("/v1/contacts/import", json={"contacts": rows})).json()
    assert (taken["created"], taken["invalid"]) == (1, [])
    assert (await Contact.get()).first_name is None


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("/v1/messages?to=+12125550100", "to"),
        ("/v1/contacts?phone=+12125550100", "phone"),
        ("/v1/messages?created_at[gte]=2026-01-01T00:00:00+02:00", "created_at[gte]"),
        ("/v1/messages?created_at%5Bgte%5D=2026-01-01T00:00:00+02:00", "created_at[gte]"),
    ],
)
async def test_a_bare_plus_in_a_query_is_told_of(api: httpx.AsyncClient, query: str, param: str) -> None:
    """Forms write a space so; a phone and an offset that are pasted into an address lose their sign."""
    error = (await api.get(query)).json()["error"]
    assert error["param"] == param
    assert error["message"].endswith("A + in a query stands for a space: write it as %2B.")
    assert (await api.get(query.replace("+", "%2B"))).status_code == 200
    other = (await api.get(query.replace("+", "x"))).json()["error"]
    assert "%2B" not in other["message"]
