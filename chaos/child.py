"""One process of the service, behind the proxies, with a wrong clock, a short lease or a mutation where asked for.

`python -m chaos.child [--skew SECONDS] [--mutation NAME] -- worker messages`
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from datetime import datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msvs.api
import msvs.workers
from chaos import mutations
from msvs import cli, database

# Environment variable of the proxy's port → of the engine's URL.
PROXIED = {"CHAOS_POSTGRESQL_PORT": "DATABASE_URL", "CHAOS_VALKEY_PORT": "REDIS_URL"}


def main() -> int:
    """Run the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--skew", type=float, default=0.0)
    parser.add_argument("--mutation", default="")
    parser.add_argument("arguments", nargs="+")
    options = parser.parse_args()
    for port, url in PROXIED.items():
        if port in os.environ:
            os.environ[url] = through(os.environ[url], int(os.environ[port]))
    modules = _load()
    if "CHAOS_LEASE" in os.environ:
        shorten_leases(float(os.environ["CHAOS_LEASE"]))
    if "CHAOS_IDLE" in os.environ:
        _set(database, "LIMITS", {**database.LIMITS, "idle_in_transaction_session_timeout": os.environ["CHAOS_IDLE"]})
    if options.skew:
        skew_clock(modules, timedelta(seconds=options.skew))
    if options.mutation:
        mutations.MUTATIONS[options.mutation].apply()
    return cli.main(options.arguments)


def through(url: str, port: int) -> str:
    """The URL with another port."""
    parts = urlsplit(url)
    credentials, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{credentials}@{host.rpartition(':')[0]}:{port}"))


def shorten_leases(seconds: float) -> None:
    """Make leases last `seconds`, and what is bounded by them in proportion, so that a short run sees them end."""
    from msvs.api.dispatch import claims
    from msvs.api.webhooks import deliveries
    from msvs.workers import webhooks

    _set(claims, "LEASE", timedelta(seconds=seconds))
    _set(deliveries, "LEASE", timedelta(seconds=max(seconds, 5.0)))
    _set(webhooks, "HELD_SECONDS", max(seconds, 5.0) / 2)


def skew_clock(modules: list[Any], skew: timedelta) -> None:
    """Have the service's own modules read a clock that is wrong by `skew`."""

    class SkewedMeta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Skewed(datetime, metaclass=SkewedMeta):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + skew

    found = [module for module in modules if getattr(module, "datetime", None) is datetime]
    if not found:
        raise RuntimeError("no module reads the clock by datetime: the skew would have no effect")
    for module in found:
        module.datetime = Skewed


def _load() -> list[Any]:
    return [
        importlib.import_module(f"{package.__name__}.{info.name}")
        for package in (msvs.api, msvs.workers)
        for info in pkgutil.iter_modules(package.__path__)
    ]


def _set(module: Any, name: str, value: object) -> None:
    if not hasattr(module, name):
        raise RuntimeError(f"{module.__name__} has no {name} any more")
    setattr(module, name, value)


if __name__ == "__main__":
    sys.exit(main())
