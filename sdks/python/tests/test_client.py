"""What people complain of in other libraries, and what keeps it away from this one."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import vectors

import massivesms
from massivesms import AsyncMassiveSMS, MassiveSMS, errors, webhooks
from massivesms.testing import FakeTransport

KEY = vectors.read("encodings")["key"]
MESSAGE = {"id": "msg_1", "object": "message", "status": "queued", "from": "COHORT", "to": "+14155550123"}


def client(*answers: Any, **more: Any) -> MassiveSMS:
    return MassiveSMS(KEY, transport=FakeTransport(*answers), **more)


def loaded(script: str) -> set[str]:
    """The modules that a script has imported."""
    told = (
        f"import sys; sys.path.insert(0, {str(Path(massivesms.__file__).parents[1])!r}); {script}; print(*sys.modules)"
    )
    run = subprocess.run((sys.executable, "-c", told), capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_loads_next_to_nothing() -> None:
    """stripe-python #1427: half a second at import."""
    modules = loaded("import massivesms")
    assert {each for each in modules if each.startswith("massivesms")} == {"massivesms", "massivesms._version"}
    assert "httpx" not in modules


def test_a_client_loads_the_resources_it_uses_alone() -> None:
    """stripe-ruby PR 1855: all classes at once."""
    modules = loaded(f"import massivesms; massivesms.MassiveSMS({KEY!r}).messages")
    assert {each for each in modules if each.startswith("massivesms.resources.")} == {"massivesms.resources.messages"}
    assert "massivesms.types" not in modules


def test_verifying_needs_no_http() -> None:
    assert "httpx" not in loaded("from massivesms import webhooks; webhooks.generate_test_header(b'', 'a')")


def test_every_public_name_is_there() -> None:
    assert [name for name in massivesms.__all__ if getattr(massivesms, name, None) is None] == []
    assert set(massivesms.__all__) <= set(dir(massivesms))
    with pytest.raises(AttributeError):
        massivesms.moon  # noqa: B018


def test_no_key_in_what_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "massivesms")
    its = client(httpx.ConnectError("no"), (503, {}), MESSAGE, timing=massivesms._client.Timing(sleep=lambda _: None))
    message = its.messages.create(to="+14155550123", body="A secret text")
    webhook = client({"id": "whk_1", "status": "enabled", "secret": "whsec_hidden"}).webhooks.retrieve("whk_1")
    shown = [
        repr(its),
        str(its),
        repr(its._settings),
        repr(message),
        repr(message.response),
        repr(webhook),
        caplog.text,
    ]
    for text in shown:
        for hidden in (KEY, "whsec_hidden", "+14155550123", "A secret text"):
            assert hidden not in text
    assert webhook.secret == "whsec_hidden"
    assert len([record for record in caplog.records if record.name == "massivesms"]) == 4


def test_a_client_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(client())


def test_an_echoed_key_is_not_in_the_error() -> None:
    error = {"error": {"type": "authentication_error", "code": "api_key_invalid", "message": f"No key {KEY}."}}
    with pytest.raises(errors.AuthenticationError) as caught:
        client((401, error)).credits.retrieve()
    assert KEY not in str(caught.value)


def test_a_client_of_the_wrong_kind_is_refused() -> None:
    """openai #3110."""
    with httpx.Client() as http, pytest.raises(TypeError, match="; MassiveSMS takes"):
        AsyncMassiveSMS(KEY, http_client=http)  # type: ignore[arg-type]


async def test_a_client_of_the_wrong_kind_is_refused_too() -> None:
    async with httpx.AsyncClient() as http:
        with pytest.raises(TypeError, match="; AsyncMassiveSMS takes"):
            MassiveSMS(KEY, http_client=http)  # type: ignore[arg-type]


def test_a_client_given_is_not_closed() -> None:
    http = httpx.Client(transport=FakeTransport(MESSAGE))
    with MassiveSMS(KEY, http_client=http) as its:
        assert its.messages.retrieve("msg_1").id == "msg_1"
    assert not http.is_closed
    http.close()


async def test_the_async_client_closes_its_connections() -> None:
    """twilio-python #866."""
    async with AsyncMassiveSMS(KEY, transport=FakeTransport(MESSAGE)) as its:
        assert (await its.messages.retrieve("msg_1")).id == "msg_1"
        http = its._http
    assert http.is_closed


async def test_the_async_client_has_time_outs() -> None:
    """twilio-python #925."""

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            import anyio

            await anyio.sleep(60)
            raise AssertionError

    its = AsyncMassiveSMS(KEY, transport=Slow(), timeout=0.01, max_retries=0)
    with pytest.raises(errors.APITimeoutError):
        await its.credits.retrieve()


def test_the_callers_key_wins_and_each_call_has_its_own() -> None:
    """stripe-php #637."""
    its = client(MESSAGE, MESSAGE, MESSAGE)
    keys = [
        its.messages.create(to="+1", body="a", idempotency_key="mine").response.idempotency_key,
        its.messages.create(to="+1", body="a").response.idempotency_key,
        its.messages.create(to="+1", body="a", options={"idempotency_key": "other"}).response.idempotency_key,
    ]
    assert (keys[0], keys[2]) == ("mine", "other")
    assert keys[1] not in (None, *keys[::2])


@pytest.mark.parametrize("key", ["", "a" * 256, "é", "a\nb"])
def test_a_key_that_is_none_makes_no_request(key: str) -> None:
    its = client()
    with pytest.raises(errors.ConfigurationError):
        its.messages.create(to="+1", body="a", idempotency_key=key)


def test_values_and_fields_to_come_are_kept() -> None:
    """apify-client #931: closed sets of values."""
    message = client(MESSAGE | {"status": "moonlit", "mood": {"a": 1}}).messages.retrieve("msg_1")
    assert (message.status, message.mood, message["mood"]) == ("moonlit", {"a": 1}, {"a": 1})
    assert (message.from_, message["from"], message.error) == ("COHORT", "COHORT", None)
    with pytest.raises(AttributeError):
        message.moon  # noqa: B018


def test_a_parsed_body_is_refused_with_advice() -> None:
    """stripe-node #341."""
    with pytest.raises(TypeError, match=r"get_data.* in Flask"):
        webhooks.construct_event({"id": "evt_1"}, "t=1,v1=a", "whsec_a")  # type: ignore[arg-type]


def test_threads_share_a_client() -> None:
    """twilio-python #714."""
    its = client(*[MESSAGE] * 40)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(its.messages.retrieve("msg_1").id)) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["msg_1"] * 40


TIMES = ({"timeout": 0}, {"timeout": None}, {"timeout": float("inf")}, {"timeout": "5"}, {"deadline": 0})
COUNTS = ({"max_retries": -1}, {"max_retries": None}, {"max_retries": 1.5})


@pytest.mark.parametrize("settings", [*TIMES, *COUNTS, {"connect_timeout": -1}, {"app_info": "a\nb"}])
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError):
        client(**settings)


@pytest.mark.parametrize("options", [*TIMES, *COUNTS, {"retries": 5}])
def test_settings_of_a_call_that_cannot_be(options: Any) -> None:
    with pytest.raises(errors.ConfigurationError):
        client().credits.retrieve(options=options)


def test_a_call_has_two_minutes_or_the_time_of_a_longer_try() -> None:
    for settings, seconds in (({}, 30), ({"timeout": 300}, 300), ({"timeout": 300, "deadline": 60}, 60)):
        transport = FakeTransport(MESSAGE)
        MassiveSMS(KEY, transport=transport, **settings).messages.retrieve("msg_1")
        assert transport.requests[0].extensions["timeout"]["read"] == pytest.approx(seconds, abs=1)
    waits: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    timing = massivesms._client.Timing(clock=lambda: now[0], sleep=sleep)
    busy = [lambda _: httpx.Response(429, headers={"Retry-After": "50"})] * 9
    its = MassiveSMS(KEY, transport=httpx.MockTransport(busy[0]), max_retries=8, timing=timing)
    with pytest.raises(errors.RateLimitError):
        its.credits.retrieve()
    assert len(waits) == 2


def test_settings_of_a_call() -> None:
    transport = FakeTransport(MESSAGE)
    its = MassiveSMS(KEY, transport=transport, app_info="cohort/1.0")
    its.messages.retrieve("msg_1", options={"timeout": 3, "headers": {"X-Trace": "1"}})
    (request,) = transport.requests
    assert request.headers["X-Trace"] == "1"
    assert request.headers["User-Agent"].endswith(" cohort/1.0")
    assert request.extensions["timeout"] == {"connect": 3, "read": 3, "write": 3, "pool": 3}


def test_headers_of_a_call_replace_the_clients_and_never_the_key() -> None:
    """A second spelling of a header would be sent beside the first, and refused."""
    given = {
        "authorization": "Bearer other",
        "user-agent": "mine",
        "idempotency-key": "no",
        "content-type": "text/plain",
    }
    transport = FakeTransport(MESSAGE)
    MassiveSMS(KEY, transport=transport).messages.create(to="+1", body="a", options={"headers": given})
    sent = transport.requests[0].headers
    assert sent.get_list("authorization") == [f"Bearer {KEY}"]
    assert sent.get_list("user-agent") == ["mine"]
    assert sent.get_list("content-type") == ["application/json"]
    assert len(sent.get_list("idempotency-key")) == 1
    assert sent["idempotency-key"] != "no"


def test_what_was_answered_can_be_given_again() -> None:
    contact = client({"id": "con_1", "opt_in": {"status": "subscribed"}, "attributes": {"a": 1}}).contacts.retrieve(
        "con_1"
    )
    transport = FakeTransport({"id": "con_2"})
    MassiveSMS(KEY, transport=transport).contacts.update("con_2", attributes=contact.attributes)
    its = MassiveSMS(KEY, transport=FakeTransport({"id": "con_2"}, {"id": "con_2"}))
    its.call("POST", "/v1/contacts", "Contact", body={"opt_in": contact.opt_in, "ids": (each for each in ("a", "b"))})
    assert json.loads(its._http._transport.requests[0].content) == {  # type: ignore[attr-defined]
        "opt_in": {"status": "subscribed"},
        "ids": ["a", "b"],
    }


class Fields:
    """Iterates over pairs, as models of other packages do."""

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter([("a", 1)])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes", bytearray(b"a"), Fields()])
def test_a_value_that_cannot_be_sent(value: Any) -> None:
    with pytest.raises(errors.ConfigurationError):
        client().messages.create(to="+1", body="a", metadata={"a": value})


def test_an_operation_that_is_deprecated_is_told_once() -> None:
    its = client({}, {})
    with pytest.warns(DeprecationWarning, match="oldThing"):
        its.call("GET", "/v1/old", "Deleted", deprecated="oldThing")
    its.call("GET", "/v1/old", "Deleted", deprecated="oldThing")


REFUSED = {"error": {"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "Slow down.", "param": "to"}}


def test_errors_and_results_cross_processes() -> None:
    """sh #439, celery #6990: an error that cannot be unpickled stops the worker that was told of it."""
    with pytest.raises(errors.RateLimitError) as caught:
        client((429, REFUSED), max_retries=0).credits.retrieve()
    with pytest.raises(errors.SignatureVerificationError) as unsigned:
        webhooks.verify(b"", None, "whsec_a")
    with pytest.raises(errors.APIConnectionError) as cut:
        client(httpx.ConnectError("no"), max_retries=0).messages.create(to="+1", body="a")
    for error in (caught.value, unsigned.value, cut.value):
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (type(other), str(other), repr(other)) == (type(error), str(error), repr(error))
            assert other.idempotency_key == error.idempotency_key
    other = pickle.loads(pickle.dumps(caught.value))
    assert (other.status, other.code, other.param, other.tries) == (429, "rate_limit_exceeded", "to", 1)
    assert other.headers["content-type"] == "application/json"
    message = client(MESSAGE).messages.retrieve("msg_1")
    for again in (pickle.loads(pickle.dumps(message)), copy.deepcopy(message)):
        assert again == message
        assert (again.from_, again.response.tries) == ("COHORT", 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("ALL_PROXY", "socks://127.0.0.1:9"),
        ("NO_PROXY", "[::1]"),
        ("SSL_CERT_FILE", "/nothing/here"),
    ],
)
def test_an_environment_that_cannot_be_used_is_told(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """spec-kit #237: an ImportError where the client is made, about a package that nobody has named."""
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.ConfigurationError, match=name):
        MassiveSMS(KEY)
    with pytest.raises(errors.ConfigurationError, match=name):
        AsyncMassiveSMS(KEY)


class Ports:
    """A server on loopback that keeps connections, and notes from which port each request comes."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.ports.append(self.client_address[1])
                body = json.dumps(MESSAGE).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def ports() -> Iterator[Ports]:
    made = Ports()
    yield made
    made.close()


FORKED = """
import os
from massivesms import MassiveSMS
client = MassiveSMS()
client.messages.retrieve("msg_1")
child = os.fork()
client.messages.retrieve("msg_1")
if child:
    assert os.waitpid(child, 0)[1] == 0
    client.messages.retrieve("msg_1")
"""


def test_a_child_opens_connections_of_its_own(ports: Ports) -> None:
    """Two processes on one connection would read each other's answers."""
    given = os.environ | {"MASSIVESMS_API_KEY": KEY, "MASSIVESMS_BASE_URL": ports.url}
    given["PYTHONPATH"] = str(Path(massivesms.__file__).parents[1])
    subprocess.run((sys.executable, "-c", FORKED), env=given, check=True)
    assert len(ports.ports) == 4
    assert sorted(ports.ports.count(port) for port in set(ports.ports)) == [1, 3]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_one_async_client_serves_one_loop_after_another(ports: Ports) -> None:
    """openai-python #1254, replicate-python #217: event loop is closed."""
    its = AsyncMassiveSMS(KEY, base_url=ports.url, max_retries=0)

    async def twice(shared: AsyncMassiveSMS) -> list[str]:
        return [(await shared.messages.retrieve("msg_1")).id for _ in range(2)]

    for _ in range(3):
        assert asyncio.run(twice(its)) == ["msg_1", "msg_1"]
    assert [ports.ports.count(port) for port in dict.fromkeys(ports.ports)] == [2, 2, 2]
    # What loops have left open is collected here, where its warnings are known.
    del its
    gc.collect()
