"""The floor of accepting a message: bare Starlette, one asyncpg INSERT a request, no checks, no events."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import uuid_utils
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

TABLE = """
CREATE TABLE IF NOT EXISTS floor_messages (
    id uuid PRIMARY KEY,
    to_phone text NOT NULL,
    body text NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL
)
"""
INSERT = "INSERT INTO floor_messages (id, to_phone, body, status, created_at) VALUES ($1, $2, $3, 'queued', $4)"


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Hold a pool as large as the service's."""
    app.state.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=10, max_size=10)
    await app.state.pool.execute(TABLE)
    yield
    await app.state.pool.close()


async def accept(request: Request) -> JSONResponse:
    """Write the message and answer."""
    data = await request.json()
    message_id = str(uuid_utils.uuid7())
    await request.app.state.pool.execute(INSERT, message_id, data["to"], data["body"], datetime.now(UTC))
    return JSONResponse({"id": message_id, "status": "queued"}, 201)


application = Starlette(routes=[Route("/messages", accept, methods=["POST"])], lifespan=lifespan)
