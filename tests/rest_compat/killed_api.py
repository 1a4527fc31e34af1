"""`msvs api`, but killed by SIGKILL at a point of its first POST: `python -m tests.rest_compat.killed_api POINT`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from msvs import logs
from msvs.api import idempotency
from msvs.app import create_app
from msvs.http.server import server_config
from msvs.settings import from_environment

BEFORE_COMMIT = "before-commit"
BEFORE_RESPONSE = "before-response"


def die(*_: Any) -> NoReturn:
    """End without a chance to clean up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


async def die_in_transaction(*_: Any) -> NoReturn:
    """Stands for the statement that stores the answer: the effect is made, nothing is committed."""
    die()


class DiesAnswering:
    """Passes requests on, and dies where the answer to a POST would go out: what it did is committed by then."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def send_or_die(message: Message) -> None:
            if scope["method"] == "POST":
                die()
            await send(message)

        await self._app(scope, receive, send_or_die if scope["type"] == "http" else send)


def main() -> None:
    """Serve until killed."""
    settings = from_environment()
    logs.set_up(settings)
    app: ASGIApp = create_app(settings)
    if sys.argv[1] == BEFORE_COMMIT:
        idempotency.execute = die_in_transaction  # type: ignore[attr-defined, assignment]
    else:
        app = DiesAnswering(app)
    uvicorn.Server(server_config(app, host=settings.host, port=settings.port)).run()


if __name__ == "__main__":
    main()
