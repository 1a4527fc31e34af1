"""The floor of following a short link: bare Starlette, one indexed SELECT a request, no counting."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FIND = "SELECT url FROM short_links WHERE code = $1"


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Hold a pool as large as the service's."""
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10)
    yield
    await app.state.pool.close()


async def follow(request: Request) -> Response:
    """Look the link up and redirect."""
    url = await request.app.state.pool.fetchval(FIND, request.path_params["code"])
    return Response(status_code=404) if url is None else Response(status_code=302, headers={"Location": url})


application = Starlette(routes=[Route("/{code}", follow)], lifespan=lifespan)
