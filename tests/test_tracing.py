"""One trace has the whole way of a message, and no span has what nobody may see."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import auth
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context
from msvs.app import create_app
from msvs.carriers.protocol import Capability
from msvs.carriers.virtual import VirtualCarrier
from msvs.http_client import HttpClient
from msvs.models import KeptTrace
from msvs.settings import Settings, SettingsError, from_environment
from msvs.tracing import CLOSE_SECONDS, Kind, Tracing, active, read_traceparent, traceparent, using
from msvs.workers import campaigns, retention
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.reports import collect_reports
from msvs.workers.webhooks import deliver_webhooks
from tests import factories
from tests.apps import BASE_URL, settings_for
from tests.engines import Engines
from tests.receiver import Receiver, make_endpoint
from tests.services import SERVICES

PHONE = "+14155550123"
BODY = "Doors open at 8pm ET."
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"
UNSAMPLED = f"00-{TRACE}-{PARENT}-00"


class Traces:
    """A process's traces, kept in memory."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracing = Tracing(provider)

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self._kept.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


def trace_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def id_of(span: ReadableSpan) -> str:
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str | None:
    return None if span.parent is None else f"{span.parent.span_id:016x}"


def about(span: ReadableSpan) -> Mapping[str, object]:
    return dict(span.attributes or {})


@asynccontextmanager
async def client_of(
    traces: Traces | None, ctx: Context, database: str, engines: Engines, folder: Path
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings_for(database, engines, folder), SERVICES, traces and traces.tracing)
    _, key = await create_key(ctx.workspace_id, livemode=ctx.livemode)
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers) as client:
        yield client
    await auth.settle(SERVICES)
    await app.state.limiter.close()
    await app.state.readiness.close()


@pytest.fixture
def traces() -> Traces:
    return Traces()


@pytest.fixture
async def client(
    traces: Traces, ctx: Context, database: str, engines: Engines, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(traces, ctx, database, engines, tmp_path) as client:
        yield client


async def work(traces: Traces | None, http: HttpClient) -> None:
    """Let the workers do what is due: hand over, take the reports, expand, post."""
    with using(traces and traces.tracing):
        await campaigns.expand_campaigns(SERVICES)
        await dispatch_messages(SERVICES, {"virtual": VirtualCarrier(Capability.DEDUPE)})
        await db.execute("UPDATE virtual_signals SET due_at = now() - interval '1 second'")
        await collect_reports(SERVICES)
        await deliver_webhooks(SERVICES, http)


@pytest.mark.usefixtures("loopback_webhooks")
async def test_one_trace_has_a_message_from_the_request_to_its_webhooks(
    ctx: Context, client: httpx.AsyncClient, traces: Traces, receiver: Receiver, http: HttpClient
) -> None:
    await make_endpoint(ctx, receiver.url())
    sent = await client.post("/v1/messages", json={"to": PHONE, "body": BODY}, headers={"traceparent": SAMPLED})
    assert sent.status_code == 201
    await work(traces, http)

    assert {trace_of(span) for span in traces.spans} == {TRACE}
    request = traces.one("POST /v1/messages")
    assert parent_of(request) == PARENT
    assert request.kind.name == Kind.SERVER
    dispatched, submitted = traces.one("dispatch message"), traces.one("submit to virtual")
    report, webhooks = traces.one("delivery report"), traces.named("webhook")
    assert parent_of(dispatched) == id_of(request)
    assert parent_of(submitted) == id_of(dispatched)
    assert parent_of(report) == id_of(request)
    assert {parent_of(span) for span in webhooks} == {id_of(request)}
    assert sorted(str(about(span)["msvs.event_type"]) for span in webhooks) == [
        "message.delivered", "message.queued", "message.sent"
    ]  # fmt: skip
    assert len(traces.spans) == 7

    message_id = sent.json()["id"]
    assert about(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/messages",
        "http.response.status_code": 201,
        "msvs.request_id": sent.headers["X-Request-Id"],
        "msvs.workspace_id": about(dispatched)["msvs.workspace_id"],
        "msvs.livemode": False,
    }
    assert about(dispatched)["msvs.message_id"] == about(report)["msvs.message_id"] == message_id
    assert about(submitted)["msvs.outcome"] == "accepted"
    assert about(report)["msvs.delivered"] is True
    times = [(span.start_time or 0, span.end_time or 0) for span in (request, dispatched, submitted, report)]
    assert all(began <= ended for began, ended in times)
    assert [began for began, _ in times] == sorted(began for began, _ in times)
    # The receiver goes on with the trace.
    assert {post.headers["traceparent"] for post in receiver.posts} == {
        f"00-{TRACE}-{id_of(span)}-01" for span in webhooks
    }


@pytest.mark.usefixtures("loopback_webhooks")
async def test_no_span_has_what_nobody_may_see(
    ctx: Context, client: httpx.AsyncClient, traces: Traces, receiver: Receiver, http: HttpClient
) -> None:
    await make_endpoint(ctx, receiver.url("/secret-path"))
    await client.post("/v1/messages", json={"to": PHONE, "body": BODY, "metadata": {"name": "Ada"}})
    await client.post("/v1/messages", json={"to": "not a phone", "body": BODY})
    await client.get(f"/v1/contacts/{PHONE}", params={"q": BODY})
    await work(traces, http)
    text = "".join(span.to_json() for span in traces.spans)
    assert len(traces.spans) == 9
    for hidden in ("4155550123", "Doors", "Ada", "msvs_test_", "not a phone", "secret-path", "Bearer"):
        assert hidden not in text


async def test_a_refusal_and_an_error_are_told_by_their_codes(client: httpx.AsyncClient, traces: Traces) -> None:
    await client.get("/v1/messages/msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP")
    refused = traces.one("GET /v1/messages/{id}")
    assert about(refused)["http.response.status_code"] == 404
    assert about(refused)["msvs.error_code"] == "resource_missing"
    assert refused.status.is_unset
    with pytest.raises(ZeroDivisionError), traces.tracing.within("failing", Kind.SERVER, None, {}):
        raise ZeroDivisionError(PHONE)
    failed = traces.one("failing")
    assert (failed.status.is_ok, failed.status.description) == (False, "ZeroDivisionError")
    assert "4155550123" not in failed.to_json()


async def test_what_is_not_sampled_is_not_kept(
    ctx: Context, database: str, engines: Engines, tmp_path: Path, http: HttpClient
) -> None:
    traces = Traces(ParentBased(ALWAYS_OFF))
    async with client_of(traces, ctx, database, engines, tmp_path) as client:
        for headers in ({}, {"traceparent": UNSAMPLED}):
            assert (await client.post("/v1/messages", json={"to": PHONE, "body": BODY}, headers=headers)).is_success
        assert await KeptTrace.all().count() == 0
        assert (
            await client.post("/v1/messages", json={"to": PHONE, "body": BODY}, headers={"traceparent": SAMPLED})
        ).is_success
    (kept,) = await KeptTrace.all()
    assert kept.traceparent.startswith(f"00-{TRACE}-")
    await work(traces, http)
    assert len(traces.named("dispatch message")) == 1


async def test_where_it_is_off_nothing_is_kept_or_asked(
    ctx: Context, database: str, engines: Engines, tmp_path: Path, http: HttpClient
) -> None:
    async with client_of(None, ctx, database, engines, tmp_path) as client:
        sent = await client.post("/v1/messages", json={"to": PHONE, "body": BODY}, headers={"traceparent": SAMPLED})
        assert sent.status_code == 201
    assert await KeptTrace.all().count() == 0
    await work(None, http)
    assert active() is None
    assert traceparent() is None


async def test_messages_of_one_call_and_scheduled_ones_are_kept(client: httpx.AsyncClient, ctx: Context) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    messages = [{"to": PHONE, "body": BODY}, {"to": PHONE, "body": "Later.", "scheduled_at": later}]
    answer = await client.post("/v1/messages/batch", json={"messages": messages}, headers={"traceparent": SAMPLED})
    assert answer.is_success
    kept = await KeptTrace.all()
    assert len(kept) == 2
    assert {(row.workspace_id, row.livemode, row.traceparent[3:35]) for row in kept} == {
        (ctx.workspace_id, False, TRACE)
    }


async def test_a_campaign_has_a_span_for_each_chunk_and_hand_over(
    ctx: Context, client: httpx.AsyncClient, traces: Traces, http: HttpClient
) -> None:
    people = [await factories.make_contact(ctx) for _ in range(3)]
    audience = await factories.make_list(ctx, people)
    campaign = {
        "name": "Cohort 06",
        "body": BODY,
        "audience": {"list_ids": [ids.encode_id(ids.CONTACT_LIST, audience.id)]},
    }
    made = await client.post("/v1/campaigns", json=campaign, headers={"traceparent": SAMPLED})
    assert made.is_success, made.text
    for _ in range(2):
        await work(traces, http)
    assert {trace_of(span) for span in traces.spans} == {TRACE}
    request = traces.one("POST /v1/campaigns")
    expanded, dispatched = traces.named("expand campaign"), traces.named("dispatch campaign")
    assert {parent_of(span) for span in (*expanded, *dispatched)} == {id_of(request)}
    for spans in (expanded, dispatched):
        assert sum(int(str(about(span)["msvs.messages"])) for span in spans) == 3
        assert {about(span)["msvs.campaign_id"] for span in spans} == {made.json()["id"]}
    assert sum(int(str(about(span)["msvs.messages.accepted"])) for span in dispatched) == 3


@pytest.mark.usefixtures("loopback_webhooks")
async def test_a_webhook_that_fails_fails_its_span(
    ctx: Context, client: httpx.AsyncClient, traces: Traces, http: HttpClient
) -> None:
    await make_endpoint(ctx, events=["message.queued"])
    await client.post("/v1/messages", json={"to": PHONE, "body": BODY})
    with using(traces.tracing):
        await deliver_webhooks(SERVICES, http)
    span = traces.one("webhook")
    assert not span.status.is_ok
    assert span.status.description == "connect"


async def test_traces_are_forgotten_after_a_week(client: httpx.AsyncClient) -> None:
    await client.post("/v1/messages", json={"to": PHONE, "body": BODY})
    now = await db.now()
    assert await retention.drop_rows(SERVICES, "traces", now=now + 6 * retention.DAY) == 0
    assert await retention.drop_rows(SERVICES, "traces", now=now + 8 * retention.DAY) == 1


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], None),
        ([(b"traceparent", SAMPLED.encode())], SAMPLED),
        ([(b"traceparent", SAMPLED.upper().encode())], None),
        ([(b"traceparent", b"00-" + b"0" * 60)], None),
        ([(b"traceparent", b"\xff" * 55)], None),
        ([(b"traceparent", SAMPLED.encode())] * 2, None),
    ],
)
def test_only_a_traceparent_is_one(headers: list[tuple[bytes, bytes]], found: str | None) -> None:
    assert read_traceparent(headers) == found


def test_the_settings_turn_it_on() -> None:
    assert not Settings().is_traced
    assert Settings(otel=True).is_traced
    assert Settings(otel_endpoint="http://127.0.0.1:4318").is_traced
    assert not Settings(otel=False, otel_endpoint="http://127.0.0.1:4318").is_traced
    assert Tracing.from_settings(Settings(), "api") is None


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP."""

    def do_POST(self) -> None:
        """Keep what is exported."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, ExportTraceServiceRequest.FromString(body)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    """A collector on loopback."""
    server = HTTPServer(("127.0.0.1", 0), Collector)
    server.taken = []  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_a_collector(collector: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://127.0.0.1:{collector.server_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    tracing = Tracing.from_settings(from_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": url}), "worker")
    assert tracing is not None
    own = tracing.record("dispatch message", Kind.CONSUMER, SAMPLED, {"msvs.carrier": "virtual"}, began=1, ended=2)
    tracing.close()
    assert own is not None
    ((path, export),) = collector.taken  # type: ignore[attr-defined]
    (resource,) = export.resource_spans
    named = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert (named["service.name"], named["msvs.process"]) == ("massivesms", "worker")
    (span,) = resource.scope_spans[0].spans
    assert (path, span.name, span.trace_id.hex(), span.parent_span_id.hex()) == (
        "/v1/traces",
        "dispatch message",
        TRACE,
        PARENT,
    )


def test_a_collector_that_is_away_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracing = Tracing.from_settings(Settings(otel=True), "api")
    assert tracing is not None
    tracing.record("dispatch message", Kind.CONSUMER, SAMPLED, {}, began=1)
    began = time.monotonic()
    tracing.close()
    assert time.monotonic() - began < CLOSE_SECONDS + 1


def test_without_the_extra_it_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"massivesms-server\[otel\]"):
        Tracing.from_settings(Settings(otel=True), "api")


def test_where_it_is_off_opentelemetry_is_not_imported() -> None:
    program = (
        "import json, sys, msvs.app, msvs.workers.jobs, msvs.workers.cron, msvs.tracing as t;"
        "t.traceparent();"
        # The client of Redis looks for OpenTelemetry's metrics itself.
        "names = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'sentry_sdk');"
        "print(json.dumps([name for name in sys.modules if name.startswith(names)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
