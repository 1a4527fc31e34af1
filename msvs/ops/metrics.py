"""Serve metrics to Prometheus, for callers with the token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from msvs.api.errors import AuthenticationFailed
from msvs.ops.metric_families import MetricFamily, Sample, pool_metric
from msvs.ops.operator_sessions import is_secret
from msvs.settings import Settings, version

PREFIX = "msvs_"
# Several scrapers, and who reloads the page, cost PostgreSQL no more than one.
KEPT_SECONDS = 5.0


class Metrics:
    """GET /metrics. `read` gives the families of the service, `own` those of this process.

    `now` is a time in seconds that never goes back.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Awaitable[list[MetricFamily]]],
        own: Callable[[], list[MetricFamily]] = list,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._own = own
        self._began = time.time()
        self._read = read
        self._now = now
        self._families: list[MetricFamily] = []
        self._kept = b""
        self._kept_until = float("-inf")
        self._reading = asyncio.Lock()

    async def show(self, request: Request) -> Response:
        """Return the families as text. Raises AuthenticationFailed without the token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not is_secret(token.strip(), self._settings.metrics_secret()):
            raise AuthenticationFailed("Send Authorization: Bearer and the token of the metrics.")
        await self.look()
        return Response(
            self._kept + render(self._of_process()),
            headers={"cache-control": "no-store", "content-type": CONTENT_TYPE_PLAIN_0_0_4},
        )

    async def look(self) -> list[MetricFamily]:
        """Return the families of the service, as they were five seconds ago at most."""
        async with self._reading:
            if self._now() >= self._kept_until:
                self._families = await self._read()
                self._kept = render(self._families)
                self._kept_until = self._now() + KEPT_SECONDS
            return self._families

    def _of_process(self) -> list[MetricFamily]:
        labels = {"version": version(), "environment": self._settings.environment}
        return [
            MetricFamily("build_info", "The version of this process; always 1.", (Sample(1, labels),)),
            MetricFamily("start_time_seconds", "When this process began, in Unix time.", (Sample(self._began),)),
            pool_metric(),
            *self._own(),
        ]


def render(families: Iterable[MetricFamily]) -> bytes:
    """Render the families in Prometheus' text format, each under a name that begins with `msvs_`."""
    return generate_latest(_Collected([_family(each) for each in families]))


class _Collected(Collector):
    """Families that were read already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families


def _family(read: MetricFamily) -> Metric:
    name = f"{PREFIX}{read.name}"
    family = Metric(name.removesuffix("_total") if read.kind == "counter" else name, read.help, read.kind)
    for sample in read.samples:
        family.add_sample(name + sample.suffix, dict(sample.labels), sample.value)
    return family
