"""The whole application on the test engines, for the tests of its fronts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from msvs.address_policy import AddressPolicy
from msvs.app import create_app
from msvs.settings import Settings
from tests.engines import Engines
from tests.services import SERVICES, use_address_policy

BASE_URL = "http://api.cohortlabs.co"


def settings_for(database: str, engines: Engines, data_dir: Path, **more: Any) -> Settings:
    """Return settings of an application on the test engines."""
    return Settings(
        database_url=database,
        redis_url=engines.redis_url,
        data_dir=data_dir,
        operator_password="not-a-secret",
        allowed_hosts=("api.cohortlabs.co", "app.cohortlabs.co"),
        **more,
    )


@asynccontextmanager
async def running_app(settings: Settings) -> AsyncIterator[Starlette]:
    """Make the application with the services of the tests; close what it holds of Redis in the end."""
    use_address_policy(AddressPolicy.from_settings(settings))
    SERVICES.keyring.seal_with(settings.encryption_secret())
    app = create_app(settings, SERVICES)
    yield app
    await app.state.limiter.close()
    await app.state.readiness.close()
