"""What a Prometheus reads: the vital signs of the service, for who has the token."""

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
from msvs.ops.operator_sessions import is_secret
from msvs.ops.vitals import Sample, Sign, pool_sign
from msvs.settings import Settings, version

PREFIX = "msvs_"
# Several scrapers, and who reloads the page, cost PostgreSQL no more than one.
KEPT_SECONDS = 5.0


class Metrics:
    """GET /metrics. `read` gives the signs of the service, `own` those of this process.

    `now` is a time in seconds that never goes back.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Awaitable[list[Sign]]],
        own: Callable[[], list[Sign]] = list,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._own = own
        self._began = time.time()
        self._read = read
        self._now = now
        self._kept = b""
        self._kept_until = float("-inf")
        self._reading = asyncio.Lock()

    async def show(self, request: Request) -> Response:
        """Return the signs as text. Raises AuthenticationFailed without the token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not is_secret(token.strip(), self._settings.metrics_secret()):
            raise AuthenticationFailed("Send Authorization: Bearer and the token of the metrics.")
        async with self._reading:
            if self._now() >= self._kept_until:
                self._kept = render(await self._read())
                self._kept_until = self._now() + KEPT_SECONDS
        return Response(
            self._kept + render(self._of_process()),
            headers={"cache-control": "no-store", "content-type": CONTENT_TYPE_PLAIN_0_0_4},
        )

    def _of_process(self) -> list[Sign]:
        labels = {"version": version(), "environment": self._settings.environment}
        return [
            Sign("build_info", "The version of this process; always 1.", (Sample(1, labels),)),
            Sign("start_time_seconds", "When this process began, in Unix time.", (Sample(self._began),)),
            pool_sign(),
            *self._own(),
        ]


def render(signs: Iterable[Sign]) -> bytes:
    """Render the signs in Prometheus' text format, each under a name that begins with `msvs_`."""
    return generate_latest(_Collected([_family(sign) for sign in signs]))


class _Collected(Collector):
    """Families that were read already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families


def _family(sign: Sign) -> Metric:
    name = f"{PREFIX}{sign.name}"
    family = Metric(name.removesuffix("_total") if sign.kind == "counter" else name, sign.help, sign.kind)
    for sample in sign.samples:
        family.add_sample(name + sample.suffix, dict(sample.labels), sample.value)
    return family
