"""HTTP traffic of this process: counts and times by route, and a log line for each request in production."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import get_contextvars, unbind_contextvars

from msvs.http.templates import PROBES, ROUTE_PATH
from msvs.ops.metric_families import MetricFamily, Sample

log = structlog.get_logger(__name__)

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
# Upper bounds in seconds; what took longer is in the last, which has none.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNKNOWN = "unknown"
CLIENT_GONE = 499


@dataclass(slots=True)
class _Times:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class Traffic:
    """Counts requests by method, route and status, and their times by method and route."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[tuple[str, str], _Times] = {}
        self.running = 0

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request that was answered."""
        self._requests[method, route, status] += 1
        times = self._times.get((method, route))
        if times is None:
            times = self._times[method, route] = _Times()
        times.counts[bisect_left(BUCKETS, seconds)] += 1
        times.seconds += seconds

    def families(self) -> list[MetricFamily]:
        """Return the metrics of this process's traffic."""
        requests = (
            Sample(count, {"method": method, "route": route, "status": str(status)})
            for (method, route, status), count in sorted(self._requests.items())
        )
        return [
            MetricFamily(
                "http_requests_total",
                "Requests that this process answered; 499 where the client had gone.",
                tuple(requests),
                kind="counter",
            ),
            MetricFamily(
                "http_request_seconds",
                "How long this process took to answer.",
                tuple(sample for key in sorted(self._times) for sample in self._histogram(*key)),
                kind="histogram",
            ),
            MetricFamily("http_requests_running", "Requests that this process is answering.", (Sample(self.running),)),
        ]

    def _histogram(self, method: str, route: str) -> list[Sample]:
        times, labels = self._times[method, route], {"method": method, "route": route}
        samples, total = [], 0
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), times.counts, strict=True):
            total += count
            samples.append(Sample(total, {**labels, "le": bound}, "_bucket"))
        return [*samples, Sample(times.seconds, labels, "_sum"), Sample(total, labels, "_count")]


Note = Callable[[Scope, int, float], None]


class Observed:
    """Wraps the whole application: counts each request, and writes its line where `logs_requests` says so.

    `request_id` and `status` are the keys of the scope under which a layer below keeps the request's id and the status
    of its answer. `note` is told of each request: its scope, status and seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        traffic: Traffic,
        request_id: str,
        status: str,
        logs_requests: bool,
        note: Note | None = None,
    ) -> None:
        self._app = app
        self._tell = note
        self._traffic = traffic
        self._request_id = request_id
        self._status = status
        self._logs_requests = logs_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count it once it is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        unbind_contextvars("workspace")
        began = time.perf_counter()
        self._traffic.running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._traffic.running -= 1
            seconds = time.perf_counter() - began
            status: int = scope.get(self._status, CLIENT_GONE)
            self._note(scope, status, seconds)
            if self._tell is not None:
                self._tell(scope, status, seconds)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN
        route = template_of(scope)
        self._traffic.count(method, route, status, seconds)
        if self._logs_requests and (route not in PROBES or status >= 400):
            log.info(
                "request",
                method=method,
                route=route,
                status=status,
                ms=round(seconds * 1000, 1),
                request_id=scope.get(self._request_id),
                workspace=get_contextvars().get("workspace"),
            )


def template_of(scope: Scope) -> str:
    """Return the path of the route that was matched, with its parameters' names in place of what callers wrote."""
    if ROUTE_PATH in scope:
        return str(scope[ROUTE_PATH])
    path: str | None = getattr(scope.get("route"), "path", None)
    if path is None:
        return UNKNOWN
    root: str = scope.get("root_path", "").removeprefix(scope.get("app_root_path", ""))
    return root if root and path in ("", root) else root + path
