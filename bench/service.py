"""The service as `msvs api` runs it, with rate limits out of the way of the load."""

from __future__ import annotations

from msvs import app, settings
from msvs.api import limits


def main() -> None:
    """Serve until told to stop."""
    for bucket in limits.RATES:
        limits.RATES[bucket] = type(limits.RATES[bucket])(1_000_000, 10_000_000)  # type: ignore[index]
    app.serve(settings.from_environment())


if __name__ == "__main__":
    main()
