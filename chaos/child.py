"""One process of the service, behind the proxies, with a wrong clock, a short lease or a mutation where asked for.

`python -m chaos.child [--skew SECONDS] [--mutation NAME] -- worker messages`
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msvs
from chaos import mutations
from msvs import cli, database, present

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
    if "CHAOS_LEASE" in os.environ:
        shorten_leases(float(os.environ["CHAOS_LEASE"]))
    if "CHAOS_IDLE" in os.environ:
        _set(database, "LIMITS", {**database.LIMITS, "idle_in_transaction_session_timeout": os.environ["CHAOS_IDLE"]})
    if options.skew:
        skew_clock(timedelta(seconds=options.skew))
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


def skew_clock(skew: timedelta) -> None:
    """Have the service's own modules read a clock that is wrong by `skew`."""

    class SkewedMeta(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Skewed(datetime, metaclass=SkewedMeta):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + skew

    for module in map(importlib.import_module, clocked_modules()):
        _set(module, "datetime", Skewed)


def clocked_modules() -> list[str]:
    """Return the names of the service's modules that read the clock. Raises RuntimeError without `msvs.present`."""
    root = Path(msvs.__file__).parent
    paths = [path for path in sorted(root.rglob("*.py")) if not path.is_relative_to(root / "docs")]
    reading = [path for path in paths if "datetime.now(" in path.read_text("utf-8")]
    names = [".".join(path.relative_to(root.parent).with_suffix("").parts) for path in reading]
    if present.__name__ not in names:
        raise RuntimeError("the present time is read by no datetime.now: the skew would have no effect")
    return names


def _set(module: Any, name: str, value: object) -> None:
    if not hasattr(module, name):
        raise RuntimeError(f"{module.__name__} has no {name} any more")
    setattr(module, name, value)


if __name__ == "__main__":
    sys.exit(main())
