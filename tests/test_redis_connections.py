"""Redis or Valkey behind Sentinels: the primary is found, and found again after a failover."""

from __future__ import annotations

import ast
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from redis.exceptions import RedisError

from msvs import redis_connections
from msvs.api.limits import Limiter
from msvs.api.notifier import Notifier, WorkQueue
from tests.engines import Engines, eventually
from tests.sentinels import LOOPBACK, PASSWORD, Watched, watched_servers


@pytest.fixture
def watched() -> Iterator[Watched]:
    with watched_servers() as running:
        yield running


def port_of(client: redis.Redis) -> int:
    return int(client.info("server")["tcp_port"])


def answers(client: redis.Redis, port: int) -> bool:
    try:
        return port_of(client) == port
    except RedisError:
        return False


async def test_after_a_failover_the_clients_that_are_open_use_the_new_primary(watched: Watched) -> None:
    first, second = watched.servers
    notifier, limiter = Notifier(watched.url), Limiter(watched.url)
    client = redis_connections.connect(watched.url, socket_timeout=2)
    asynchronous = redis_connections.connect_async(watched.url, socket_timeout=2)
    try:
        assert port_of(client) == first
        assert notifier.enqueue(WorkQueue.MESSAGES)
        assert (await limiter.take(uuid4())).retry_after is None
        assert (await asynchronous.info("server"))["tcp_port"] == first
        watched.kill(first)
        eventually(lambda: answers(client, second))
        eventually(lambda: notifier.enqueue(WorkQueue.CAMPAIGNS))
        with suppress(RedisError):
            # The connection that is open ended with its server.
            await asynchronous.ping()
        assert (await asynchronous.info("server"))["tcp_port"] == second
        with redis.Redis(LOOPBACK, second, password=PASSWORD) as direct:
            assert direct.llen("rq:queue:campaigns") == 1
    finally:
        notifier.close()
        await limiter.close()
        client.close()
        await asynchronous.aclose()


def test_a_primary_that_was_demoted_is_left_with_its_first_refusal(watched: Watched) -> None:
    """A server that came back as a replica answers, and refuses what is written."""
    first, second = watched.servers
    with redis_connections.connect(watched.url, socket_timeout=2) as client:
        client.set("a", "1")
        with redis.Redis(LOOPBACK, watched.sentinels[0], socket_timeout=5) as sentinel:
            eventually(lambda: sentinel.execute_command("sentinel failover studio"))

        def is_kept() -> bool:
            try:
                return bool(client.set("a", "2")) and port_of(client) == second
            except RedisError:
                return False

        eventually(is_kept)
    assert first != second


def test_a_connection_notices_that_the_other_machine_is_gone(engines: Engines) -> None:
    with redis_connections.connect(engines.redis_url) as client:
        client.ping()
        (connection,) = client.connection_pool._available_connections  # type: ignore[attr-defined]
        opened = connection._sock
        options = [
            opened.getsockopt(level, option)
            for level, option in (
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
            )
        ]
    assert options == [1, 3, 7000]


def test_every_connection_is_opened_in_one_place() -> None:
    """What is opened elsewhere knows no Sentinels."""
    package = Path(redis_connections.__file__).parent
    found = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "from_url"
    ]
    assert set(found) == {"redis_connections.py"}
