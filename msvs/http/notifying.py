"""The middleware that lets the commits of a request notify the work queues, and those who read from standbys."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from msvs.api.notifier import notifying
from msvs.replica_reads import marking


class Notifying:
    """Notifies through the notifier that the application holds while it is up: `app.state.notifier`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; what it commits is notified."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        state = scope["app"].state
        with notifying(state.notifier), marking(state.reads):
            await self._app(scope, receive, send)
