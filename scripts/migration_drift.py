"""Fail where the models say something that no migration says."""

from __future__ import annotations

import asyncio
import sys

from msvs.database import model_changes


def main() -> int:
    """0 where models and migrations agree; else 1, and what is missing on stderr."""
    changes = asyncio.run(model_changes())
    for change in changes:
        print(f"no migration for: {change}", file=sys.stderr)
    return 1 if changes else 0


if __name__ == "__main__":
    raise SystemExit(main())
