"""Fixtures that every test may use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines import Engines, running_engines


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """A PostgreSQL and a Valkey, started once for the whole run."""
    with running_engines() as running:
        yield running
