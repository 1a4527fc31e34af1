"""State machines on the real PostgreSQL: Hypothesis in a thread, the operations on the session's loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.services import SERVICES

T = TypeVar("T")

Run = Callable[[Coroutine[Any, Any, T]], T]
Drive = Callable[[Callable[[Any], RuleBasedStateMachine]], Awaitable[None]]

# MSVS_STATE=full is what `make chaos` runs; `make test` takes a look each time.
FULL = os.environ.get("MSVS_STATE") == "full"
PROFILE = settings(
    max_examples=200 if FULL else 8,
    stateful_step_count=50 if FULL else 25,
    deadline=None,
    derandomize=not FULL,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True)
def _virtual_live() -> Iterator[None]:
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.live = None


@pytest.fixture
def drive(clean: None) -> Drive:
    """Run a state machine; it is given a function that runs a coroutine on the loop of the connections."""

    async def run_machine(make: Callable[[Any], RuleBasedStateMachine]) -> None:
        loop = asyncio.get_running_loop()

        def run(coroutine: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(coroutine, loop).result(timeout=60)

        factory: Any = partial(make, run)
        await asyncio.to_thread(run_state_machine_as_test, factory, settings=PROFILE)

    return run_machine
