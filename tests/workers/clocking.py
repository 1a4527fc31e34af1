"""Sandboxes with a clock, moved on as workers do it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from msvs import database as db
from msvs.api.accounts.auth import KnownKeys
from msvs.api.accounts.clocks import (
    KNOWN_AFTER,
    AdvanceTestClock,
    CreateTestClock,
    advance_test_clock,
    create_test_clock,
    get_test_clock,
)
from msvs.api.context import Context
from msvs.api.unit_of_work import in_unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.http_client import HttpClient
from msvs.models import SandboxClock
from msvs.models.rows import SandboxClockRow
from msvs.settings import Settings
from msvs.workers.clocks import run_clocks
from tests.services import SERVICES

CARRIERS = {"virtual": VirtualCarrier()}
MONDAY = datetime(2031, 3, 3, 9, tzinfo=UTC)


class Clocks:
    """Gives the caller's sandbox a clock, and moves it on."""

    def __init__(self, url: str, http: HttpClient) -> None:
        self._settings = Settings(database_url=url, data_dir=Path("/nonexistent"))
        self._http = http

    async def begin(self, ctx: Context, at: datetime = MONDAY) -> None:
        """Create a clock, and bring it to where it begins."""
        await in_unit_of_work(lambda: create_test_clock(ctx, CreateTestClock(now=at)))
        await self.ripen(ctx)

    async def ripen(self, ctx: Context) -> None:
        """Bring a new clock to where it begins, as if every process knew of it."""
        await SandboxClock.filter(workspace_id=ctx.workspace_id).update(created_at=await db.now() - KNOWN_AFTER * 2)
        SERVICES.keep(KnownKeys).forget()
        await self.work()

    async def advance(self, ctx: Context, **by: float) -> SandboxClockRow:
        """Move on by a time, to the end."""
        row = await get_test_clock(ctx)
        to = row.frozen_at + timedelta(**by)
        await in_unit_of_work(lambda: advance_test_clock(ctx, AdvanceTestClock(to=to)))
        await self.work()
        row = await get_test_clock(ctx)
        assert (row.status, row.frozen_at, row.failure) == ("ready", to, None)
        return row

    async def work(self) -> None:
        """Take turns until there is nothing to do."""
        await SandboxClock.all().update(looked_at=None)
        while await run_clocks(SERVICES, CARRIERS, self._settings, self._http):
            pass
