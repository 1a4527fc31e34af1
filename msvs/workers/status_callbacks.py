"""Deliver status callbacks: posts of signed forms, in order for each message."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from itertools import groupby
from urllib.parse import urlencode
from uuid import UUID

from msvs import database
from msvs.api.context import Services
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import deliveries, status_callbacks
from msvs.api.webhooks.status_callbacks import Called, ClaimedCallback, claim_callbacks, release, settle, signed_form
from msvs.http_client import HttpClient, HttpError
from msvs.workers.host_budgets import HostBudgets, host_of
from msvs.workers.stopping import RECORD_SECONDS, StopFlag
from msvs.workers.webhooks import POLL_SECONDS, USER_AGENT, deliver_webhooks

IN_FLIGHT = 100
# With what a post may take, and those of one message follow one another, well within the lease.
TURN_SECONDS = 5.0
FORM_TYPE = "application/x-www-form-urlencoded"


async def has_due(services: Services, now: datetime) -> bool:
    """Return whether any webhook or status callback is due."""
    endpoints, workspaces = services.keep(deliveries.EndpointLooks), services.keep(status_callbacks.CallbackLooks)
    return await deliveries.has_due(now, endpoints) or await status_callbacks.has_due(now, workspaces)


async def deliver_all(services: Services, client: HttpClient, *, stop: StopFlag) -> int:
    """Deliver due webhooks and status callbacks side by side. Return how many attempts were made."""
    async with asyncio.TaskGroup() as tasks:
        webhooks = tasks.create_task(deliver_webhooks(services, client, stop=stop))
        callbacks = tasks.create_task(deliver_callbacks(services, client, stop=stop))
    return webhooks.result() + callbacks.result()


async def deliver_callbacks(
    services: Services, client: HttpClient, *, seconds: float = 20, stop: StopFlag | None = None
) -> int:
    """Deliver what is due until nothing is, or for about `seconds`. Return how many callbacks were made.

    What is on its way at the end is finished first. After `stop` nothing more is claimed, and what does not end in time
    is broken off: it is due again once its lease has expired.
    """
    return await _Run(services, client, stop or StopFlag()).run(seconds)


class _Run:
    def __init__(self, services: Services, client: HttpClient, stop: StopFlag) -> None:
        self._hosts = services.keep(HostBudgets)
        self._looks = services.keep(status_callbacks.CallbackLooks)
        self._rates = services.rates
        self._client = client
        self._stop = stop
        self._busy: Counter[UUID] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._made = 0

    async def run(self, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while not self._stop.is_set and time.monotonic() < deadline:
            claimed = await self._claim()
            if not claimed and not self._tasks:
                break
            await asyncio.wait(self._tasks, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._reap()
        with suppress(TimeoutError):
            async with self._stop.limit(more=RECORD_SECONDS):
                while self._tasks:
                    await asyncio.wait(self._tasks)
                    self._reap()
        for task in self._tasks:
            task.cancel()
        return self._made

    def _reap(self) -> None:
        """Forget what has ended. Raises what one of them raised."""
        ended = {task for task in self._tasks if task.done()}
        self._tasks -= ended
        for task in ended:
            task.result()

    async def _claim(self) -> int:
        room = IN_FLIGHT - self._busy.total()
        if room <= 0:
            return 0
        async with unit_of_work():
            rows = await claim_callbacks(limit=room, busy=self._busy, now=await database.now(), workspaces=self._looks)
        self._busy.update(row.workspace_id for row in rows)
        by_message = sorted(rows, key=lambda row: row.message_id)
        for _, group in groupby(by_message, key=lambda row: row.message_id):
            self._tasks.add(asyncio.create_task(self._call_all(list(group))))
        return len(rows)

    async def _call_all(self, claimed: Sequence[ClaimedCallback]) -> None:
        for row in claimed:
            try:
                if not await self._has_turn(row):
                    async with unit_of_work():
                        await release(row, await database.now())
                    continue
                called = await self._call(row)
                async with unit_of_work():
                    await settle(row, called, await database.now())
            finally:
                self._busy[row.workspace_id] -= 1

    async def _call(self, claimed: ClaimedCallback) -> Called | None:
        signed = signed_form(claimed)
        if signed is None or claimed.url is None:
            return None
        form, signature = signed
        headers = {"Content-Type": FORM_TYPE, "User-Agent": USER_AGENT, "X-Twilio-Signature": signature}
        self._made += 1
        self._hosts.begin(host_of(claimed.url))
        try:
            answer = await self._client.post(claimed.url, urlencode(form).encode(), headers)
        except HttpError as error:
            return Called(error=error.kind)
        finally:
            self._hosts.end(host_of(claimed.url))
        return Called(status=answer.status)

    async def _has_turn(self, claimed: ClaimedCallback) -> bool:
        """Wait for the budget of the callback's host, no longer than the lease leaves time for the post."""
        if claimed.url is None:
            return True
        until = time.monotonic() + TURN_SECONDS
        while (wait := self._hosts.seconds_to_wait(host_of(claimed.url), self._rates)) != 0:
            if self._stop.is_set or time.monotonic() >= until:
                return False
            await asyncio.sleep(POLL_SECONDS if wait is None else min(wait, POLL_SECONDS))
        return True
