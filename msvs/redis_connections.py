"""Open connections to Redis or Valkey as REDIS_URL says: to a server, or to the primary that Sentinels name."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import cast

import redis
import redis.asyncio
from redis.asyncio import sentinel as async_sentinel
from redis.connection import SSLConnection, parse_url
from redis.sentinel import Sentinel, SentinelConnectionPool

from msvs.dsn import KEEPALIVE_OPTIONS, KEPT_ALIVE
from msvs.redis_url import Sentinels, read_sentinels

# What a Sentinel may take; the next one is asked then.
SENTINEL_SECONDS = 0.5
CONNECT_SECONDS = 2.0
# As of connections to PostgreSQL: a machine that is gone is noticed in seconds also where an answer is waited for. Some
# are Linux's alone.
SOCKET_OPTIONS = {
    getattr(socket, option): KEPT_ALIVE[name]
    for name, (level, option) in KEEPALIVE_OPTIONS.items()
    if level == socket.IPPROTO_TCP and hasattr(socket, option)
}


class _Pool(SentinelConnectionPool):
    """Connections to the primary; closes those to the Sentinels with its own."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        if inuse_connections:
            self.sentinel_manager.close()


class _AsyncPool(async_sentinel.SentinelConnectionPool):
    """Connections to the primary; closes those to the Sentinels with its own."""

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for each in self.sentinel_manager.sentinels:
                await each.aclose()


# redis-py's options have many types, and its Sentinels none.
_from_url = cast(Callable[..., redis.Redis], redis.Redis.from_url)
_from_url_async = cast(Callable[..., redis.asyncio.Redis], redis.asyncio.Redis.from_url)
_sentinel = cast(Callable[..., Sentinel], Sentinel)
_sentinel_async = cast(Callable[..., async_sentinel.Sentinel], async_sentinel.Sentinel)


def connect(url: str, **options: object) -> redis.Redis:
    """Return a client for REDIS_URL; it connects when it is first used."""
    options = _kept_alive(url) | options
    sentinels = read_sentinels(url)
    if sentinels is None:
        return _from_url(url, **options)
    manager = _sentinel(sentinels.hosts, sentinel_kwargs=_to_sentinels(sentinels), **_read(sentinels.server_url))
    primary = cast(Callable[..., redis.Redis], manager.master_for)
    return primary(sentinels.master, connection_pool_class=_Pool, **options)


def connect_async(url: str, **options: object) -> redis.asyncio.Redis:
    """Return a client for REDIS_URL whose calls are awaited; it connects when it is first used."""
    options = _kept_alive(url) | options
    sentinels = read_sentinels(url)
    if sentinels is None:
        return _from_url_async(url, **options)
    manager = _sentinel_async(sentinels.hosts, sentinel_kwargs=_to_sentinels(sentinels), **_read(sentinels.server_url))
    primary = cast(Callable[..., redis.asyncio.Redis], manager.master_for)
    return primary(sentinels.master, connection_pool_class=_AsyncPool, **options)


def connect_sentinel(sentinels: Sentinels, host: str, port: int) -> redis.asyncio.Redis:
    """Return a client for one of the Sentinels."""
    client = cast(Callable[..., redis.asyncio.Redis], redis.asyncio.Redis)
    return client(host=host, port=port, **_to_sentinels(sentinels))


def _kept_alive(url: str) -> dict[str, object]:
    """Return the options by which a connection notices that the other machine is gone."""
    if url.startswith("unix:"):
        return {}
    return {
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_keepalive": True,
        "socket_keepalive_options": SOCKET_OPTIONS,
    }


def _to_sentinels(sentinels: Sentinels) -> dict[str, object]:
    """Return the options of connections to the Sentinels themselves."""
    own = _read(sentinels.sentinel_url)
    own.pop("db", None)
    return {**own, "socket_timeout": SENTINEL_SECONDS, "socket_connect_timeout": SENTINEL_SECONDS}


def _read(url: str) -> dict[str, object]:
    """Return the options of a connection as redis-py reads them, but for the host."""
    options: dict[str, object] = dict(parse_url(url))  # type: ignore[no-untyped-call]
    options.pop("host", None)
    options.pop("port", None)
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return options
