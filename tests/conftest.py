"""Fixtures that every test may use."""

from __future__ import annotations

import asyncio
import math
import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from redis import Redis

from msvs import database as db
from msvs import garbage, looks
from msvs.address_policy import AddressPolicy
from msvs.api.context import SANDBOX_CARRIER, Context
from msvs.api.dispatch import lane_bounds
from msvs.api.dispatch.lane_bounds import LaneBounds
from msvs.database_roles import grant_rows
from msvs.http_client import HttpClient
from msvs.loops import new_loop
from msvs.models import Workspace
from tests import factories
from tests.engines import Engines, create_database, running_engines
from tests.owner import MAY_EMPTY, Owner, let_tests_empty, owned
from tests.receiver import Receiver, configured_webhooks, receiving
from tests.services import SERVICES, restored

# Processes that tests start find their modules compiled, in a folder of their own: to compile them is half of a start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = os.path.join(tempfile.gettempdir(), f"msvs-test-pyc-{os.getuid()}")

# However slow the machine is, no look passes over what a test writes as if it were hours ago.
lane_bounds.SLOW_SECONDS = math.inf
looks.FULL_SECONDS = looks.FULL_SHARE = 0.0

# Keys and ids that are made when a test file is read.
MADE = re.compile(r"(?<=msvs_)(live|test|prod)_\S+|(?<=[a-z]_)[0-9A-Z]{26}", re.IGNORECASE)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Give a test the same name in every process that runs a part of the suite, with any key or id in it."""
    if not isinstance(val, str) or not MADE.search(val):
        return None
    return MADE.sub("...", val).encode("unicode_escape").decode()


def pytest_collection_finish() -> None:
    """Leave the collected tests, a million objects, out of garbage collection, which took up to a second with them.

    Several collections in a row kept a transaction waiting for longer than PostgreSQL lets it.
    """
    garbage.collect_less(garbage.API)


@pytest.fixture(scope="session")
def _asyncio_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Tests run on the event loop that the service's processes run.

    pytest-asyncio's own hook for it begins all fixtures again for each test that is no coroutine and uses one that is.
    """
    return new_loop


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """Leave the services as the test found them, for fixtures that live longer."""
    with restored(SERVICES):
        yield
    SERVICES.keep(LaneBounds).forget()


@pytest.fixture
def virtual_live() -> None:
    """Let live messages leave by the virtual carrier; `process_state` takes it back."""
    SERVICES.carriers.live = SANDBOX_CARRIER


@pytest.fixture
def real_carrier() -> None:
    """Let the process have a real carrier, `main`, beside the virtual one; `process_state` takes it back."""
    SERVICES.carriers.names = frozenset((SANDBOX_CARRIER, "main"))


@pytest.fixture
def loopback_webhooks() -> Iterator[None]:
    """Let webhooks lead to loopback, their secrets sealed with a key of the tests."""
    with configured_webhooks():
        yield


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of webhooks on loopback."""
    async with receiving() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    """An HTTP client that may post to loopback."""
    async with HttpClient(AddressPolicy(allow_loopback=True)) as running:
        yield running


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """A PostgreSQL and a Valkey, started once for the whole run."""
    with running_engines() as running:
        yield running


@pytest.fixture(scope="session")
async def owner_url(engines: Engines) -> str:
    """A migrated database, to which the service's role has the rights that it has in production; the owner's URL."""
    url = await create_database(engines.database_url, "msvs_test")
    await db.migrate(url)
    await let_tests_empty(url)
    assert await grant_rows(url, engines.for_service(url))
    return url


@pytest.fixture(scope="session")
async def database(engines: Engines, owner_url: str) -> AsyncIterator[str]:
    """That database with this process connected to it as the service; its URL."""
    url = engines.for_service(owner_url)
    async with owned(owner_url), db.connected(url, pool_size=30):
        yield url


# Parents of partitions stand for them. What is append-only goes first, as it did: nothing refers to it.
TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    AND NOT relispartition AND relname <> 'tortoise_migrations'
ORDER BY NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND tgname LIKE '%\\_append\\_only'
), relname
"""


@pytest.fixture(scope="session")
async def find_filled(database: str) -> str:
    """The query of the tables that have rows."""
    names = [row.relname for row in await Owner.connection.fetch(TABLES)]
    return " UNION ALL ".join(f"SELECT '{name}' AS name WHERE EXISTS (TABLE {name})" for name in names)


@pytest.fixture(scope="session")
def redis_client(engines: Engines) -> Iterator[Redis]:
    """A connection to the Valkey of the run."""
    with Redis.from_url(engines.redis_url) as client:
        yield client


@pytest.fixture
async def clean(find_filled: str, redis_client: Redis) -> None:
    """Empty tables and an empty Valkey.

    To truncate tables, or to turn off triggers of those that are append-only, would cost more than most tests: all that
    is planned with them, here and in the service, is planned again.
    """
    owner = Owner.connection
    if filled := [row.name for row in await owner.fetch(find_filled)]:
        # In one go: there and back for each table took longer than what is deleted.
        deleting = (f"DELETE FROM {name}" for name in filled)
        try:
            await owner.execute("; ".join(("BEGIN", MAY_EMPTY, *deleting, "COMMIT")))
        except BaseException:
            await owner.execute("ROLLBACK")
            raise
    redis_client.flushdb()


@pytest.fixture
async def workspace(clean: None) -> Workspace:
    """A workspace with 10,000 credits."""
    return await factories.make_workspace()


@pytest.fixture
def ctx(workspace: Workspace) -> Context:
    """The workspace's sandbox."""
    return Context(workspace.id, livemode=False, actor="test", services=SERVICES)


@pytest.fixture
def live_ctx(workspace: Workspace) -> Context:
    """The workspace's live mode."""
    return Context(workspace.id, livemode=True, actor="test", services=SERVICES)


@pytest.fixture
async def other_ctx(clean: None) -> Context:
    """Another workspace's sandbox."""
    other = await factories.make_workspace(name="Another Studio")
    return Context(other.id, livemode=False, actor="test", services=SERVICES)
