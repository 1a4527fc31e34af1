"""What people complain of in other libraries, and what keeps it away from this one."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import threading
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


@pytest.mark.parametrize("body", ["[]", "no", '{"id": 1}'])
def test_a_signed_body_that_is_no_event(body: str) -> None:
    with pytest.raises(errors.InvalidPayloadError):
        webhooks.construct_event(body, webhooks.generate_test_header(body, "whsec_a"), "whsec_a")


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


@pytest.mark.parametrize(
    "settings", [{"timeout": 0}, {"connect_timeout": -1}, {"deadline": 0}, {"max_retries": -1}, {"app_info": "a\nb"}]
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(errors.ConfigurationError):
        client(**settings)


def test_settings_of_a_call() -> None:
    transport = FakeTransport(MESSAGE)
    its = MassiveSMS(KEY, transport=transport, app_info="cohort/1.0")
    its.messages.retrieve("msg_1", options={"timeout": 3, "headers": {"X-Trace": "1"}})
    (request,) = transport.requests
    assert request.headers["X-Trace"] == "1"
    assert request.headers["User-Agent"].endswith(" cohort/1.0")
    assert request.extensions["timeout"] == {"connect": 3, "read": 3, "write": 3, "pool": 3}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_a_value_that_cannot_be_sent(value: Any) -> None:
    with pytest.raises(errors.ConfigurationError):
        client().messages.create(to="+1", body="a", metadata={"a": value})


def test_an_operation_that_is_deprecated_is_told_once() -> None:
    its = client({}, {})
    with pytest.warns(DeprecationWarning, match="oldThing"):
        its.call("GET", "/v1/old", "Deleted", deprecated="oldThing")
    its.call("GET", "/v1/old", "Deleted", deprecated="oldThing")
