"""The callbacks of carriers, from the request to the row, through the whole application."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import structlog
from redis import Redis
from starlette.applications import Starlette

from msvs import database as db
from msvs.api.notifier import Notifier, WorkQueue, waiting_key
from msvs.app import create_app
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.database import Row
from msvs.settings import Settings, SettingsError
from tests.carriers.fakes import telnyx, twilio, vonage
from tests.carriers.fakes.server import PUBLIC_URL, Sent, Taken
from tests.carriers.fakes.telnyx import FakeTelnyx
from tests.carriers.fakes.twilio import FakeTwilio
from tests.carriers.fakes.vonage import FakeVonage
from tests.carriers.under_test import HANDSET, SENDER
from tests.engines import Engines
from tests.services import SERVICES

CARRIERS = f"""
[twilio-main]
kind = "twilio"
account_sid = "{twilio.ACCOUNT_SID}"
auth_token = {{env = "TEST_TWILIO_TOKEN"}}

[telnyx-main]
kind = "telnyx"
api_key = {{env = "TEST_TELNYX_KEY"}}
public_key = "{telnyx.PUBLIC_KEY}"

[vonage-main]
kind = "vonage"
api_key = "{vonage.API_KEY}"
api_secret = {{env = "TEST_VONAGE_SECRET"}}
signature_secret = {{env = "TEST_VONAGE_SIGNATURE"}}
signature_method = "sha256"
"""
SECRETS = {
    "TEST_TWILIO_TOKEN": twilio.AUTH_TOKEN,
    "TEST_TELNYX_KEY": telnyx.API_KEY,
    "TEST_VONAGE_SECRET": vonage.API_SECRET,
    "TEST_VONAGE_SIGNATURE": vonage.SIGNATURE_SECRET,
}
MESSAGE_ID = UUID(int=7)
REF = "SM" + "2" * 32
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
TEXT = "Yes: the corner table, please"

TWILIO, TELNYX, VONAGE = FakeTwilio(), FakeTelnyx(), FakeVonage("sha256")


def taken(name: str) -> Taken:
    """A message that the carrier has taken."""
    reports = f"{PUBLIC_URL}/carriers/{name}/reports"
    with_id = f"{reports}?message={MESSAGE_ID.hex}"
    fields = {"callback": reports, "client-ref": MESSAGE_ID.hex, "refs": [REF]}
    return Taken(REF, HANDSET, SENDER, "Hi", {"StatusCallback": with_id, "webhook_url": with_id, **fields})


REPORTS: dict[str, Callable[[str], Sent]] = {
    "twilio-main": lambda status: TWILIO.report(taken("twilio-main"), status, error_code=30003),
    "telnyx-main": lambda status: TELNYX.report(
        taken("telnyx-main"), {"undelivered": "delivery_failed"}.get(status, status), codes=["40006"]
    ),
    "vonage-main": lambda status: VONAGE.report(
        taken("vonage-main"), {"undelivered": "failed"}.get(status, status), err_code="2"
    ),
}
INBOUND: dict[str, Callable[[], Sent]] = {
    "twilio-main": lambda: TWILIO.inbound("twilio-main", HANDSET, SENDER, TEXT, sid=REF),
    "telnyx-main": lambda: TELNYX.inbound("telnyx-main", HANDSET, SENDER, TEXT, message_id=REF),
    "vonage-main": lambda: VONAGE.inbound("vonage-main", HANDSET, SENDER, TEXT, messageId=REF),
}


@pytest.fixture(scope="module")
async def app(database: str, engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Starlette]:
    """The whole application with a file of carriers."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    carriers = data_dir / "carriers.toml"
    carriers.write_text(CARRIERS)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        app = create_app(
            Settings(
                database_url=database,
                redis_url=engines.redis_url,
                data_dir=data_dir,
                public_url=PUBLIC_URL,
                carriers=carriers,
                operator_password="not-a-secret",
            )
        )
        yield app
    await app.state.limiter.close()
    await app.state.readiness.close()


@pytest.fixture
async def client(app: Starlette, clean: None) -> AsyncIterator[httpx.AsyncClient]:
    """A carrier that calls us; behind a proxy, so that host and scheme are not the public ones."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7:8000") as client:
        yield client


async def bring(client: httpx.AsyncClient, sent: Sent) -> httpx.Response:
    path = sent.url.removeprefix(PUBLIC_URL)
    return await client.request(sent.method, path, headers=dict(sent.headers), content=sent.body)


async def kept() -> Sequence[Row]:
    return await db.fetch("SELECT * FROM carrier_signals ORDER BY id")


def is_rung(engines: Engines) -> bool:
    with Redis.from_url(engines.redis_url) as redis:
        return bool(redis.exists(waiting_key(WorkQueue.REPORTS)))


@pytest.fixture
def notifier(clean: None, engines: Engines, app: Starlette) -> Any:
    """The queues of the process."""
    app.state.notifier = notifier = Notifier(engines.redis_url)
    yield notifier
    app.state.notifier = None


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(("status", "code"), [("delivered", None), ("undelivered", "unreachable")])
async def test_a_report_is_kept_once_however_often_it_comes(
    client: httpx.AsyncClient, name: str, status: str, code: str | None
) -> None:
    answers = [await bring(client, REPORTS[name](status)) for _ in range(3)]
    answers += await asyncio.gather(*(bring(client, REPORTS[name](status)) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 8
    [carrier_event] = await kept()
    assert (carrier_event.carrier, carrier_event.kind) == (name, "report")
    assert (carrier_event.message_id, carrier_event.carrier_ref) == (MESSAGE_ID, REF)
    assert (carrier_event.is_delivered, carrier_event.error_code) == (code is None, code)


@pytest.mark.parametrize("name", INBOUND)
async def test_a_message_is_kept_once_however_often_it_comes(client: httpx.AsyncClient, name: str) -> None:
    for _ in range(3):
        assert (await bring(client, INBOUND[name]())).status_code == 200
    [carrier_event] = await kept()
    assert (carrier_event.carrier, carrier_event.kind, carrier_event.dedupe_key) == (name, "inbound", f"in:{REF}")
    assert (carrier_event.from_phone, carrier_event.to_sender, carrier_event.text) == (HANDSET, SENDER, TEXT)
    assert (carrier_event.part_ref, carrier_event.part_number, carrier_event.part_count) == (None, None, None)


async def test_a_part_is_kept_with_its_place(client: httpx.AsyncClient) -> None:
    part = {"concat": "true", "concat-ref": "77", "concat-total": "2", "concat-part": "1"}
    await bring(client, VONAGE.inbound("vonage-main", HANDSET, SENDER, TEXT, **part))
    [carrier_event] = await kept()
    assert (carrier_event.part_ref, carrier_event.part_number, carrier_event.part_count) == ("77", 1, 2)


@pytest.mark.parametrize("form", ["json", "form", "get"])
async def test_a_signed_query_or_body_arrives_as_it_was_signed(client: httpx.AsyncClient, form: str) -> None:
    sent = VONAGE.inbound("vonage-main", HANDSET, SENDER, "Sim & não = 👍 +1 %2B", form=form)
    assert (await bring(client, sent)).status_code == 200
    assert [carrier_event.text for carrier_event in await kept()] == ["Sim & não = 👍 +1 %2B"]


@pytest.mark.parametrize(
    ("name", "content_type", "body"),
    [
        ("twilio-main", "text/xml; charset=utf-8", EMPTY_TWIML),
        ("telnyx-main", "text/plain; charset=utf-8", ""),
        ("vonage-main", "text/plain; charset=utf-8", ""),
    ],
)
@pytest.mark.parametrize("kind", ["reports", "inbound"])
async def test_each_carrier_is_answered_as_it_wants(
    client: httpx.AsyncClient, name: str, kind: str, content_type: str, body: str
) -> None:
    answer = await bring(client, REPORTS[name]("delivered") if kind == "reports" else INBOUND[name]())
    assert (answer.status_code, answer.text) == (200, body)
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"].startswith("req_")


async def test_what_brings_nothing_is_acknowledged(client: httpx.AsyncClient) -> None:
    assert (await bring(client, REPORTS["twilio-main"]("sent"))).status_code == 200
    assert await kept() == []


@pytest.mark.parametrize("name", REPORTS)
async def test_the_reports_queue_is_notified_of_what_is_new(
    client: httpx.AsyncClient, engines: Engines, notifier: Notifier, name: str
) -> None:
    await bring(client, REPORTS[name]("delivered"))
    notifier.close()
    assert is_rung(engines)


async def test_a_known_carrier_event_notifies_no_worker(
    app: Starlette, client: httpx.AsyncClient, engines: Engines, notifier: Notifier
) -> None:
    sent = REPORTS["twilio-main"]("delivered")
    app.state.notifier = None
    await bring(client, sent)
    app.state.notifier = notifier
    await bring(client, sent)
    notifier.close()
    assert not is_rung(engines)


async def test_a_callback_is_acknowledged_only_after_it_is_stored(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(carrier: str, carrier_events: Sequence[Any]) -> int:
        await keep_carrier_events(carrier, carrier_events)
        raise ConnectionResetError

    monkeypatch.setattr("msvs.callbacks.routes.keep_carrier_events", fail)
    answer = await bring(client, REPORTS["twilio-main"]("delivered"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "service_unavailable")
    assert await kept() == []


# Refusals


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """The documented envelope, and nothing more."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["doc_url"] == f"{PUBLIC_URL}/docs/errors#{code}"
    assert error.keys() == {"type", "code", "message", "doc_url", "request_id"}


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("make", [REPORTS, INBOUND], ids=["reports", "inbound"])
@pytest.mark.parametrize("change", ["unsigned", "altered", "another carrier"])
async def test_what_the_carrier_did_not_sign_is_refused_and_not_kept(
    client: httpx.AsyncClient, name: str, make: dict[str, Callable[..., Sent]], change: str
) -> None:
    sent = make[name]("delivered") if make is REPORTS else make[name]()
    headers, body, url = dict(sent.headers), sent.body, sent.url
    match change:
        case "unsigned":
            headers = {"Content-Type": headers["Content-Type"]}
            if name == "vonage-main":
                fields = json.loads(body)
                del fields["sig"]
                body = json.dumps(fields).encode()
        case "altered":
            body = body.replace(REF.encode(), b"SM3")
        case "another carrier":
            other = {"twilio-main": "vonage-main", "telnyx-main": "twilio-main", "vonage-main": "telnyx-main"}[name]
            url = url.replace(name, other)
    refused(await bring(client, Sent("POST", url, headers, body)), 403, "callback_refused")
    assert await kept() == []


async def test_a_stale_callback_is_refused_and_not_kept(client: httpx.AsyncClient) -> None:
    body = TELNYX.report(taken("telnyx-main"), "delivered").body
    url = f"{PUBLIC_URL}/carriers/telnyx-main/reports"
    refused(await bring(client, FakeTelnyx.send(url, body, at=1_700_000_000)), 403, "callback_refused")
    fields = {"messageId": REF, "status": "delivered"}
    url = f"{PUBLIC_URL}/carriers/vonage-main/reports"
    refused(await bring(client, VONAGE.send(url, fields, at=1_700_000_000)), 403, "callback_refused")
    assert await kept() == []


async def test_an_incomplete_signed_callback_is_refused(client: httpx.AsyncClient) -> None:
    url = f"{PUBLIC_URL}/carriers/twilio-main/reports"
    refused(await bring(client, FakeTwilio.send(url, {"MessageSid": REF})), 400, "callback_invalid")


@pytest.mark.parametrize(
    "path", ["/carriers/nobody/reports", "/carriers/virtual/reports", "/carriers/twilio-main/other"]
)
async def test_an_address_of_no_carrier_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    refused(await client.post(path, content=b"a=1"), 404, "resource_missing")
    refused(await client.get(path), 404, "resource_missing")


@pytest.mark.parametrize(
    "path", ["/carriers", "/carriers/twilio-main", "/carriers/twilio-main/reports/", "/carriers//"]
)
async def test_a_path_beside_them_is_no_route(client: httpx.AsyncClient, path: str) -> None:
    refused(await client.post(path), 404, "route_unknown")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_another_method_is_not_allowed(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/carriers/twilio-main/reports")
    refused(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"a" * 1024


async def test_a_body_beyond_64_kb_is_refused(client: httpx.AsyncClient) -> None:
    path = "/carriers/twilio-main/reports"
    refused(await client.post(path, content=b"a" * (64 * 1024 + 1)), 413, "request_too_large")
    refused(await client.post(path, content=chunks(65)), 413, "request_too_large")
    refused(await client.post(path, headers={"Content-Length": "9" * 20}, content=b"a"), 413, "request_too_large")
    refused(await client.post(path, content=chunks(64)), 403, "callback_refused")


async def test_a_body_that_does_not_come_is_not_waited_for(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(60)

    monkeypatch.setattr("msvs.http.body.BODY_SECONDS", 0.05)
    answer = await client.post("/carriers/twilio-main/reports", content=stuck())
    refused(answer, 408, "request_timeout")


@pytest.mark.parametrize("name", REPORTS)
async def test_nothing_of_what_came_is_logged(
    client: httpx.AsyncClient, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.DEBUG, "msvs"):
        for sent in (REPORTS[name]("delivered"), INBOUND[name]()):
            await bring(client, sent)
            await bring(client, Sent("POST", sent.url, sent.headers, sent.body + b" "))
            await bring(client, Sent("POST", sent.url, {}, sent.body))
    logged = f"{lines} {caplog.text}"
    hidden = [HANDSET.removeprefix("+"), SENDER.removeprefix("+"), TEXT, "corner table", REF, *SECRETS.values()]
    assert [value for value in hidden if value in logged] == []
    assert {line["event"] for line in lines} == {"callback refused"}
    assert {(line["carrier"], line["kind"]) for line in lines} == {(name, "reports"), (name, "inbound")}
    assert all(line["reason"] for line in lines)


def test_an_application_does_not_start_with_a_carrier_that_cannot_be(tmp_path: Path) -> None:
    carriers = tmp_path / "carriers.toml"
    carriers.write_text('[main]\nkind = "twilio"\naccount_sid = "AC1"\nauth_token = "x"\n')
    with pytest.raises(SettingsError, match=r"carrier main: .*account_sid"):
        create_app(Settings(database_url="postgresql://127.0.0.1/none", carriers=carriers, data_dir=tmp_path), SERVICES)
