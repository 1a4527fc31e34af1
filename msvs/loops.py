"""The event loop of every process and test: uvloop."""

from __future__ import annotations

import asyncio

import uvloop

# The API's server is told of it by uvicorn's own name for it.
UVICORN_LOOP = "uvloop"


def new_loop() -> asyncio.AbstractEventLoop:
    """Make a new event loop."""
    return uvloop.new_event_loop()


def new_runner() -> asyncio.Runner:
    """Make a runner of coroutines on a loop of its own."""
    return asyncio.Runner(loop_factory=new_loop)
