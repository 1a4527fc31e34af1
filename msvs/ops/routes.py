"""The routes of the operators' front."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from msvs.api.context import Services
from msvs.ops.console import Console, Watched
from msvs.ops.guard import HOME, LOGIN, OperatorsOnly, SecurityHeaders
from msvs.ops.login import Login
from msvs.ops.operator_sessions import FailedTries, Sessions
from msvs.ops.pages import notice
from msvs.ops.rq_page import RqPage
from msvs.settings import Settings


def ops_routes(
    settings: Settings,
    *,
    now: Callable[[], float] = time.time,
    redis: Redis | None = None,
    services: Services | None = None,
    watched: Watched | None = None,
) -> list[BaseRoute]:
    """Return the routes of /ops, /ops/login, /ops/logout, /ops/rq and /ops/api, with their full paths.

    `now` gives the Unix time in seconds; `redis` is a connection that the process keeps. With `services` operators sign
    in by name; /ops/api needs them, and what there is to watch.
    """
    sessions = Sessions(settings, now, redis, services)
    login = Login(settings, sessions, FailedTries(now))

    async def enter(request: Request) -> Response:
        return RedirectResponse(HOME if await sessions.is_signed_in(request) else LOGIN, status_code=303)

    front = Starlette(
        routes=[
            Route("/", enter),
            Route("/login", login.show),
            Route("/login", login.sign_in, methods=["POST"]),
            Route("/logout", login.sign_out, methods=["POST"]),
            Route("/rq", enter),
            Mount("/rq", app=OperatorsOnly(RqPage(settings), settings, sessions)),
        ],
        exception_handlers={HTTPException: _show_error},
    )
    guarded = [Middleware(SecurityHeaders)]
    console = [] if watched is None or services is None else Console(settings, sessions, login, watched).routes()
    return [*console, Route("/ops", enter, middleware=guarded), Mount("/ops", app=front, middleware=guarded)]


async def _show_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    html, headers = notice(HTTPStatus(error.status_code).phrase, "This page cannot answer the request.")
    return HTMLResponse(html, error.status_code, {**(error.headers or {}), **headers})
