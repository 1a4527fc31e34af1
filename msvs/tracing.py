"""Traces by OpenTelemetry: the way of a message from its request to its webhooks, as spans of one trace.

Where tracing is off, nothing of OpenTelemetry is imported, and each call here looks at one variable.

No span has a phone, a body, a key, or a path as a caller wrote it: only ids, route templates, names and codes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from time import time_ns
from typing import TYPE_CHECKING, TypeAlias

from msvs.settings import Settings, SettingsError, version

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider

SERVICE = "massivesms"
MISSING = "MSVS_OTEL must have the extra otel: pip install 'massivesms-server[otel]'"
# How long the end of a process may wait for its last spans to be taken.
CLOSE_SECONDS = 2.0
# A sampled span by the W3C's Trace Context, version 00; longer ones are of versions to come.
MAX_TRACEPARENT = 55
_traceparent = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Attributes: TypeAlias = Mapping[str, str | int | bool | None]


class Kind(StrEnum):
    """What a span is to others: it answers a request, makes one, or takes up what another process left."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"


class Span:
    """A span that has not ended."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        """The span as others name it as their parent; None where it is not sampled."""
        return _text_of(self._span)

    def rename(self, name: str) -> None:
        """Give the span a name that is known only now."""
        self._span.update_name(name)

    def note(self, attributes: Attributes) -> None:
        """Add attributes; those that are None are left out."""
        self._span.set_attributes(_given(attributes))

    def end(self) -> None:
        """End the span now."""
        self._span.end()

    def fail(self, reason: str) -> None:
        """Say that what the span is of failed, by a code or the kind of an error."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, reason))


class Tracing:
    """The traces of a process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE, version())

    @classmethod
    def from_settings(cls, settings: Settings, process: str) -> Tracing | None:
        """Return the traces of a process, which go to an OTLP receiver; None where the settings want none.

        OpenTelemetry reads its other variables itself. Raises SettingsError where it is not installed.
        """
        if not settings.is_traced:
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            raise SettingsError(MISSING) from None
        resource = Resource.create({"service.version": version(), "msvs.process": process})
        # Unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES name it.
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: SERVICE}))
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        return cls(provider)

    def close(self) -> None:
        """Send what is left, for a bounded time: a receiver that is away holds up no stop."""
        closing = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)

    @contextmanager
    def within(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Iterator[Span]:
        """Run the block in a span, which is the current one; an error fails it by its kind alone.

        `parent` is a traceparent; without one the span begins a trace.
        """
        from opentelemetry.trace import use_span

        span = self._start(name, kind, parent, attributes, None)
        with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            current = Span(span)
            try:
                yield current
            except BaseException as error:
                current.fail(type(error).__name__)
                raise

    def begin(self, name: str, kind: Kind, parent: str, attributes: Attributes) -> Span:
        """Begin a span that the caller ends; it is not the current one."""
        return Span(self._start(name, kind, parent, attributes, None))

    def record(
        self,
        name: str,
        kind: Kind,
        parent: str,
        attributes: Attributes,
        *,
        began: int,
        ended: int | None = None,
        failure: str | None = None,
    ) -> str | None:
        """Write down a span that has ended, by its times in nanoseconds; its traceparent, None if it is not sampled.

        `failure` is the code of what went wrong, if anything did.
        """
        span = self._start(name, kind, parent, attributes, began)
        if failure is not None:
            Span(span).fail(failure)
        span.end(ended or time_ns())
        return _text_of(span)

    def _start(
        self, name: str, kind: Kind, parent: str | None, attributes: Attributes, began: int | None
    ) -> trace.Span:
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(
            name, context=_context_of(parent), kind=SpanKind[kind], attributes=_given(attributes), start_time=began
        )


def _given(attributes: Attributes) -> dict[str, str | int | bool]:
    return {name: value for name, value in attributes.items() if value is not None}


def _context_of(parent: str | None) -> Context:
    """Return the context of a traceparent; an empty one where there is none, or it is none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": parent or ""}, Context())


def _text_of(span: trace.Span) -> str | None:
    found = span.get_span_context()
    if not (found.is_valid and found.trace_flags.sampled):
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


# Whose spans these are belongs to the request or job at hand.
_active: ContextVar[Tracing | None] = ContextVar("tracing", default=None)


class using:
    """Trace what the block does by `tracing`; None traces nothing."""

    __slots__ = ("_token", "_tracing")

    def __init__(self, tracing: Tracing | None) -> None:
        self._tracing = tracing

    def __enter__(self) -> None:
        self._token = _active.set(self._tracing)

    def __exit__(self, *_error: object) -> None:
        _active.reset(self._token)


def active() -> Tracing | None:
    """Return the traces of this request or job; None where tracing is off."""
    return _active.get()


def traceparent() -> str | None:
    """Return the traceparent of the current span; None where tracing is off, or the span is not sampled."""
    if _active.get() is None:
        return None
    from opentelemetry.trace import get_current_span

    return _text_of(get_current_span())


def read_traceparent(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """Return what a client sent as its traceparent, if it is one."""
    found = [value for name, value in headers if name == b"traceparent"]
    if len(found) != 1 or len(found[0]) > MAX_TRACEPARENT:
        return None
    text = found[0].decode("latin-1").strip()
    return text if _traceparent.fullmatch(text) else None
