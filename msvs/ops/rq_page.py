"""The RQ page: rq-dashboard under /ops/rq, started on the first visit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from a2wsgi import WSGIMiddleware
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from msvs.ops.pages import notice
from msvs.settings import Settings

if TYPE_CHECKING:
    from a2wsgi.wsgi_typing import WSGIApp

THREADS = 4


class RqPage:
    """rq-dashboard as an ASGI app; it has no check of its own, so it stands behind one."""

    def __init__(self, settings: Settings) -> None:
        self._redis_url = settings.redis_url
        self._dashboard: ASGIApp | None = None
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from rq-dashboard; 503 when there is no Redis to look at."""
        if self._redis_url is None:
            html, headers = notice("No queues", "This process was started without a Redis.")
            await HTMLResponse(html, 503, headers)(scope, receive, send)
            return
        async with self._starting:
            if self._dashboard is None:
                self._dashboard = await asyncio.to_thread(_start, self._redis_url)
        # Its session is ours, and no library behind this line is to read what a stranger may write into a cookie.
        kept = [header for header in scope["headers"] if header[0] != b"cookie"]
        await self._dashboard({**scope, "headers": kept}, receive, send)


def _start(redis_url: str) -> ASGIApp:
    # Flask, rq and the dashboard are slow to import, and most processes never show this page.
    from msvs.ops.dashboard import make_dashboard

    return cast(ASGIApp, WSGIMiddleware(cast("WSGIApp", make_dashboard(redis_url)), workers=THREADS))
