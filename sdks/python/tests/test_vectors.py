"""The cases that all five SDKs share."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any

import httpx
import pytest
import vectors

import massivesms
from massivesms import AsyncMassiveSMS, MassiveSMS, errors, types, webhooks
from massivesms._client import Timing

KEY = vectors.read("encodings")["key"]


class Wire(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Answers in turn, with a clock that moves on by what is slept."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []
        self.now = 1000.0

    def timing(self) -> Timing:
        return Timing(lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if answer.get("fault") == "connection":
            raise httpx.ReadError("cut")
        if answer.get("fault") == "timeout":
            raise httpx.ReadTimeout("slow")
        return httpx.Response(answer["status"], headers=answer["headers"], content=answer["body"].encode())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self.handle_request(request)

    def client(self, **more: Any) -> MassiveSMS:
        return MassiveSMS(KEY, base_url="https://api.example.com", transport=self, timing=self.timing(), **more)

    def async_client(self, **more: Any) -> AsyncMassiveSMS:
        timing = Timing(lambda: self.now, self.sleep_async)
        return AsyncMassiveSMS(KEY, base_url="https://api.example.com", transport=self, timing=timing, **more)


def answer(body: Any, status: int = 200, **headers: str) -> dict[str, Any]:
    return {"status": status, "headers": {"Content-Type": "application/json", **headers}, "body": json.dumps(body)}


@pytest.mark.parametrize("case", vectors.cases("signatures"))
def test_signatures(case: dict[str, Any]) -> None:
    payload = base64.b64decode(case["payload_base64"])
    more = {"tolerance": case.get("tolerance", 300), "now": case["now"]}
    if case["valid"]:
        webhooks.verify(payload, case["header"], case["secret"], **more)
    else:
        with pytest.raises(errors.SignatureVerificationError) as caught:
            webhooks.verify(payload, case["header"], case["secret"], **more)
        assert caught.value.reason == case["reason"]


@pytest.mark.parametrize("case", vectors.cases("signatures", "standard"))
def test_standard_webhooks(case: dict[str, Any]) -> None:
    payload = base64.b64decode(case["payload_base64"])
    headers = {name.title(): value for name, value in case["headers"].items()}
    more = {"tolerance": case.get("tolerance", 300), "now": case["now"]}
    if case["valid"]:
        assert webhooks.construct_standard_event(payload, headers, case["secret"], **more).type == "test.ping"
    else:
        with pytest.raises(errors.SignatureVerificationError) as caught:
            webhooks.verify_standard(payload, headers, case["secret"], **more)
        assert caught.value.reason == case["reason"]


@pytest.mark.parametrize("case", vectors.cases("signatures", "no_events"))
def test_a_signed_body_that_is_no_event(case: dict[str, Any]) -> None:
    payload = base64.b64decode(case["payload_base64"])
    with pytest.raises(errors.InvalidPayloadError):
        webhooks.construct_event(payload, webhooks.generate_test_header(payload, "whsec_a"), "whsec_a")


@pytest.mark.parametrize("case", vectors.cases("signatures", "signing"))
def test_signing(case: dict[str, Any]) -> None:
    payload = base64.b64decode(case["payload_base64"])
    assert webhooks.generate_test_header(payload, case["secret"], timestamp=case["timestamp"]) == case["header"]


def check_retries(case: dict[str, Any], wire: Wire, error: BaseException | None) -> None:
    assert len(wire.requests) == case["tries"]
    assert len(wire.waits) == len(case["waits"])
    for waited, (least, most) in zip(wire.waits, case["waits"], strict=True):
        assert least <= waited <= most
    keys = {request.headers.get("Idempotency-Key") for request in wire.requests}
    assert len(keys) == 1
    (key,) = keys
    assert (key is not None) is case["same_key"]
    if "key" in case:
        assert key == case["key"]
    if "error" in case:
        assert type(error) is getattr(errors, case["error"])
        assert isinstance(error, errors.MassiveSMSError)
        assert error.idempotency_key == key
        assert error.tries == case["tries"]
        assert getattr(error, "code", None) == case.get("code")
    else:
        assert error is None


@pytest.mark.parametrize("case", vectors.cases("retries"))
def test_retries(case: dict[str, Any]) -> None:
    wire = Wire(*case["answers"])
    client = wire.client(max_retries=case.get("max_retries", 2), deadline=case.get("deadline"))
    more = {"idempotency_key": case["key"]} if "key" in case else {}
    error = None
    try:
        result = vectors.call(client, case["operation_id"], case["args"], **more)
        assert result.response.tries == case["tries"]
        assert result.response.idempotency_key == wire.requests[0].headers.get("Idempotency-Key")
    except errors.MassiveSMSError as raised:
        error = raised
    check_retries(case, wire, error)


@pytest.mark.parametrize("case", vectors.cases("retries"))
async def test_retries_async(case: dict[str, Any]) -> None:
    wire = Wire(*case["answers"])
    client = wire.async_client(max_retries=case.get("max_retries", 2), deadline=case.get("deadline"))
    more = {"idempotency_key": case["key"]} if "key" in case else {}
    error = None
    try:
        await vectors.call(client, case["operation_id"], case["args"], **more)
    except errors.MassiveSMSError as raised:
        error = raised
    check_retries(case, wire, error)


def check_paging(case: dict[str, Any], wire: Wire, ids: list[str]) -> None:
    assert ids == case["ids"]
    assert [dict(request.url.params) for request in wire.requests] == [page["query"] for page in case["pages"]]


@pytest.mark.parametrize("case", vectors.cases("paging"))
def test_paging(case: dict[str, Any]) -> None:
    wire = Wire(*(answer(page["answer"]) for page in case["pages"]))
    items: Iterator[Any] = iter(vectors.call(wire.client(), case["operation_id"], case["args"]))
    check_paging(case, wire, [item.id for item in islice(items, case.get("take"))])


@pytest.mark.parametrize("case", vectors.cases("paging"))
async def test_paging_async(case: dict[str, Any]) -> None:
    wire = Wire(*(answer(page["answer"]) for page in case["pages"]))
    pager: AsyncIterator[Any] = aiter(vectors.call(wire.async_client(), case["operation_id"], case["args"]))
    ids: list[str] = []
    async for item in pager:
        ids.append(item.id)
        if len(ids) == case.get("take"):
            break
    check_paging(case, wire, ids)


@pytest.mark.parametrize("case", vectors.cases("errors"))
def test_errors(case: dict[str, Any]) -> None:
    with pytest.raises(errors.MassiveSMSError) as caught:
        vectors.call(Wire(case).client(max_retries=0), case["operation_id"], case["args"])
    told = {name: getattr(caught.value, name) for name in case["error"] if name != "name"}
    assert {"name": type(caught.value).__name__} | told == case["error"]
    for text in (str(caught.value), repr(caught.value)):
        assert case["never_in_text"] not in text
    for shown in (case["error"]["code"], case["error"]["request_id"]):
        assert shown is None or shown in str(caught.value)


def test_every_type_and_status_of_errors_has_its_class() -> None:
    told = vectors.read("errors")
    assert {type_: kind.__name__ for type_, kind in errors.TYPES.items()} == told["kinds"]
    assert {str(status): kind.__name__ for status, kind in errors.STATUSES.items()} == told["by_status"]


@pytest.mark.parametrize("case", vectors.cases("events"))
def test_events(case: dict[str, Any]) -> None:
    payload = case["payload"].encode()
    signed = webhooks.generate_test_header(payload, "whsec_a")
    received = webhooks.construct_event(payload, signed, "whsec_a")
    retrieved = Wire(answer(json.loads(payload))).client().events.retrieve("evt_1")
    for event in (received, retrieved):
        assert (event.type, event.id) == (case["type"], case["id"])
        assert (type(event) is not types.UnknownEvent) is case["known"]
        assert {name: event.data[name] for name in case["data_fields"]} == case["data_fields"]
        assert event.to_dict() == json.loads(payload)


@pytest.mark.parametrize("case", vectors.cases("encodings"))
def test_encodings(case: dict[str, Any]) -> None:
    wire = Wire(answer({"object": "list", "data": [], "has_more": False, "url": ""}))
    if "error" in case:
        with pytest.raises(getattr(errors, case["error"])):
            vectors.call(wire.client(), case["operation_id"], case["args"])
        assert wire.requests == []
        return
    vectors.call(wire.client(), case["operation_id"], case["args"])
    (request,) = wire.requests
    path, _, query = case["target"].partition("?")
    sent_path, _, sent_query = request.url.raw_path.decode().partition("?")
    assert (request.method, sent_path) == (case["method"], path)
    assert sorted(sent_query.split("&")) == sorted(query.split("&"))
    assert (json.loads(request.content) if request.content else None) == case["body"]
    assert (request.headers.get("Content-Type") == "application/json") is (case["body"] is not None)
    for name, pattern in vectors.read("encodings")["headers"].items():
        assert re.search(pattern.replace("{language}", "python"), request.headers[name])


def test_filters_of_lists() -> None:
    wire = Wire(answer({"object": "list", "data": [], "has_more": False, "url": ""}))
    since = datetime(2026, 5, 1, tzinfo=UTC)
    wire.client().messages.list(statuses=["sent", "failed"], created_at_gte=since, metadata={"order no": "1&2"})
    query = wire.requests[0].url.raw_path.decode().partition("?")[2]
    assert query.split("&") == [
        "statuses=sent%2Cfailed",
        "created_at%5Bgte%5D=2026-05-01T00%3A00%3A00Z",
        "metadata%5Border%20no%5D=1%262",
    ]


def test_a_short_page_goes_on_from_its_cursor() -> None:
    whole = {"object": "list", "url": "/v1/messages"}
    short = answer(whole | {"data": [], "has_more": True, "next_cursor": "msg_5"})
    last = answer(whole | {"data": [{"id": "msg_1"}], "has_more": False})
    wire = Wire(short, last)
    assert [item.id for item in wire.client().messages.list()] == ["msg_1"]
    assert dict(wire.requests[1].url.params) == {"starting_after": "msg_5"}


@pytest.mark.parametrize("case", vectors.cases("encodings", "times"))
def test_times(case: dict[str, Any]) -> None:
    moment = datetime.fromtimestamp(case["epoch"], timezone(timedelta(minutes=case["offset_minutes"])))
    wire = Wire(answer({}))
    wire.client().messages.create(to="+14155550123", body="Hi", scheduled_at=moment)
    assert json.loads(wire.requests[0].content)["scheduled_at"] == case["wire"]


def test_a_time_without_an_offset_is_refused() -> None:
    wire = Wire()
    with pytest.raises(errors.ConfigurationError):
        wire.client().messages.create(to="+14155550123", body="Hi", scheduled_at=datetime.now(UTC).replace(tzinfo=None))
    assert wire.requests == []


@pytest.mark.parametrize("case", vectors.cases("encodings", "keys"))
def test_keys(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASSIVESMS_API_KEY", raising=False)
    if case["valid"]:
        assert MassiveSMS(case["key"]).livemode is case["livemode"]
        return
    with pytest.raises(massivesms.ConfigurationError) as caught:
        MassiveSMS(case["key"])
    assert not case["key"] or case["key"] not in str(caught.value)


@pytest.mark.parametrize("case", vectors.cases("encodings", "base_urls"))
def test_base_urls(case: dict[str, Any]) -> None:
    if case["url"] is None:
        with pytest.raises(massivesms.ConfigurationError):
            MassiveSMS(KEY, base_url=case["base_url"])
    else:
        assert MassiveSMS(KEY, base_url=case["base_url"]).base_url == case["url"]
