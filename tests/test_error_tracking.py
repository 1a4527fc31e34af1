"""Errors reach Sentry with their request, and without anything that they quote."""

from __future__ import annotations

import gzip
import json
import logging
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import asyncpg
import brotli
import pytest
import structlog
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from structlog.contextvars import bound_contextvars

from msvs import database as db
from msvs import error_tracking, logs
from msvs.api.context import Context
from msvs.error_tracking import ErrorHandler, ErrorTracker, tracking
from msvs.models import Contact
from msvs.settings import PRODUCTION, Settings, SettingsError
from msvs.workers.jobs import maintain
from msvs.workers.runtime import running
from tests import factories

DSN = "http://key@127.0.0.1:9/1"
PHONE = "+14155550123"
BODY = "Doors open at 8pm ET."
HIDDEN = ("4155550123", "Doors", "msvs_live_0", "hunter2")


class Kept(Transport):
    """Keeps events in place of sending them."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep what was captured, as it would be sent."""
        event = envelope.get_event()
        if event is not None:
            self.events.append(json.loads(json.dumps(event, default=str)))


@pytest.fixture
def kept() -> Iterator[Kept]:
    """What is sent of the errors that are logged meanwhile."""
    root = logging.getLogger()
    handlers, level, transport = root.handlers[:], root.level, Kept()
    logs.set_up(Settings(environment=PRODUCTION))
    tracker = ErrorTracker(Settings(environment=PRODUCTION, sentry_dsn=DSN), "api", transport)
    root.addHandler(ErrorHandler(tracker))
    yield transport
    tracker.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


log = structlog.get_logger("msvs.tests")


def values(event: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["type"], each["value"]) for each in event["exception"]["values"]]


def test_an_error_is_sent_with_its_request_and_without_what_it_says(kept: Kept) -> None:
    secret = f"{PHONE} {BODY} msvs_live_{'0' * 30} password=hunter2"
    with bound_contextvars(request_id="req_1", workspace="wsp_1", job=None):
        try:
            try:
                raise KeyError(secret)
            except KeyError as error:
                raise ValueError(f"invalid: {secret}") from error
        except ValueError as error:
            log.error("request failed", method="POST", exc_info=error)
    (event,) = kept.events
    assert event["tags"] == {"process": "api", "request_id": "req_1", "workspace": "wsp_1"}
    assert event["environment"] == "production"
    assert values(event) == [("KeyError", ""), ("ValueError", "")]
    frame = event["exception"]["values"][1]["stacktrace"]["frames"][-1]
    assert frame["function"] == "test_an_error_is_sent_with_its_request_and_without_what_it_says"
    assert "vars" not in frame
    assert event.keys() <= error_tracking.SENT
    assert not [word for word in HIDDEN if word in json.dumps(event["exception"]["values"][0]["value"])]
    assert not {"request", "user", "breadcrumbs", "extra", "contexts"} & event.keys()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (AttributeError("'NoneType' object has no attribute 'status'"), "'NoneType' object has no attribute 'status'"),
        (TypeError(f"cannot send '{BODY}' to '{PHONE}'"), "cannot send •••"),
        (TypeError(f"to {PHONE}"), "to +1415•••0123"),
        (OSError(111, "Connection refused", f"/tmp/{BODY}"), "Connection refused"),
        (RuntimeError(BODY), ""),
        (UnicodeDecodeError("utf-8", BODY.encode(), 0, 1, BODY), ""),
        (ExceptionGroup(BODY, [NameError("name 'x' is not defined")]), ""),
    ],
)
def test_only_texts_that_name_code_are_sent(kept: Kept, error: Exception, text: str) -> None:
    log.error("it broke", exc_info=error)
    (event,) = kept.events
    assert dict(values(event))[type(error).__qualname__] == text


async def test_what_postgresql_quotes_is_not_sent(kept: Kept, ctx: Context) -> None:
    await factories.make_contact(ctx, phone=PHONE)
    try:
        await db.execute(
            "INSERT INTO contacts SELECT (jsonb_populate_record(contacts, jsonb_build_object('id', $1::uuid))).*"
            " FROM contacts WHERE phone = $2",
            Contact().id,
            PHONE,
        )
    except asyncpg.UniqueViolationError:
        log.error("job failed", error="UniqueViolationError")
    (event,) = kept.events
    (kind, text) = values(event)[-1]
    assert kind == "UniqueViolationError"
    assert text.startswith("duplicate key value violates unique constraint")
    assert "4155550123" not in json.dumps(event)


def test_the_error_that_is_handled_is_sent_where_the_line_has_none(kept: Kept) -> None:
    """Most lines of workers name the kind of an error alone, as its text may quote a row."""
    try:
        raise LookupError(BODY)
    except LookupError as error:
        log.error("reports not applied", error=type(error).__name__)
    logging.getLogger("some.library").error("no error here")
    log.warning("queue not notified", exc_info=RuntimeError(BODY))
    assert [values(event) for event in kept.events] == [[("LookupError", "")]]


def test_what_repeats_is_sent_once_a_minute(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int) -> None:
        try:
            raise ValueError(number)
        except ValueError:
            log.error("it broke")

    for number in range(50):
        fail(number)
    assert len(kept.events) == 1
    monkeypatch.setattr(error_tracking, "AGAIN_SECONDS", 0.0)
    fail(51)
    assert len(kept.events) == 2


def test_a_job_that_fails_is_sent(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        job = None

        def answer(self, queue: object) -> None:
            raise ZeroDivisionError(PHONE)

        def note(self, queue: object, *, is_broken: bool) -> None:
            assert is_broken

    with running(Broken()), pytest.raises(Exception, match="ZeroDivisionError in answer"):  # type: ignore[arg-type]
        maintain()
    (event,) = kept.events
    assert values(event) == [("ZeroDivisionError", "")]


class Sentry(BaseHTTPRequestHandler):
    """Takes envelopes."""

    def do_POST(self) -> None:
        """Keep the envelope."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        unpack = {"br": brotli.decompress, "gzip": gzip.decompress}[self.headers["Content-Encoding"]]
        self.server.taken.append(unpack(body).decode())  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def sentry() -> Iterator[HTTPServer]:
    """A Sentry on loopback."""
    server = HTTPServer(("127.0.0.1", 0), Sentry)
    server.taken = []  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_ends_a_process_is_sent_before_it_ends(sentry: HTTPServer) -> None:
    settings = Settings(sentry_dsn=f"http://key@127.0.0.1:{sentry.server_port}/1")
    handlers = logging.getLogger().handlers[:]
    with pytest.raises(ZeroDivisionError), tracking(settings, "cron"):
        raise ZeroDivisionError
    with pytest.raises(SettingsError), tracking(settings, "cron"):
        raise SettingsError("MSVS_ENV must be set")
    assert logging.getLogger().handlers == handlers
    (text,) = sentry.taken  # type: ignore[attr-defined]
    assert '"ZeroDivisionError"' in text
    assert '"cron"' in text


def test_a_sentry_that_is_away_costs_nothing() -> None:
    with tracking(Settings(sentry_dsn=DSN), "api"):
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            logging.getLogger("msvs").error("it broke")


def test_no_personal_data_is_collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTRY_SPOTLIGHT", "1")
    client = ErrorTracker(Settings(sentry_dsn=DSN), "api", Kept()).client
    assert not client.should_send_default_pii()
    assert client.integrations == {}


def test_without_a_dsn_nothing_is_tracked() -> None:
    handlers = logging.getLogger().handlers[:]
    with tracking(Settings(), "api"):
        assert logging.getLogger().handlers == handlers


def test_without_the_extra_it_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(SettingsError, match=r"massivesms-server\[sentry\]"), tracking(Settings(sentry_dsn=DSN), "api"):
        raise AssertionError("not reached")
