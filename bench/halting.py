"""A campaign's start, pause and cancellation: from request to answer, as ratios to the same while nothing runs."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import ExitStack
from datetime import datetime
from uuid import UUID

import aiohttp

from bench.accept import wait_for
from bench.engines import Bench, add_people
from msvs import database as db
from msvs.api import ids

PORT = 28_716
OTHER_WORKERS = ("campaigns", "reports", "maintenance")
STARTS = 5
HALTS = 3
VERBS = ("pause", "cancel")
# A campaign is halted once so much of it is with the carrier, or once so much is expanded and the rest under way; what
# the carrier took is looked at SETTLED seconds later.
SHARE = 0.05
EXPANDED_SHARE = 0.1
MOMENTS = ("loaded", "expanding")
SETTLED = 3.0
PATIENCE_SECONDS = 600.0

SENT = "SELECT count(*) FROM messages WHERE campaign_id = $1 AND sent_at IS NOT NULL"
LAST_TAKEN = """
SELECT max(accepted_at) FROM virtual_submissions JOIN messages ON messages.id = message_id WHERE campaign_id = $1
"""
SENT_AFTER = """
SELECT count(*) FROM messages JOIN campaigns ON campaigns.id = campaign_id
WHERE campaign_id = $1 AND messages.sent_at > campaigns.canceled_at
"""
IS_SENT = f"SELECT ({SENT}) >= $2"
IS_EXPANDED = "SELECT (SELECT count(*) FROM campaign_recipients WHERE campaign_id = $1) BETWEEN 1 AND $2"
IS_CLEARED = "SELECT NOT EXISTS (SELECT FROM messages WHERE campaign_id = $1 AND status IN ('queued', 'sending'))"


class Campaigns:
    """Campaigns over HTTP; each answer's milliseconds."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def start(self, list_id: UUID) -> tuple[str, float]:
        """Create one to a list, to start at once; its id."""
        audience = {"list_ids": [ids.encode_id(ids.CONTACT_LIST, list_id)]}
        body = {"name": "Doors", "body": "Hi {firstName}, doors open at 8pm ET.", "audience": audience}
        return await self._post("/v1/campaigns", body)

    async def halt(self, campaign: str, verb: str) -> float:
        """Pause or cancel one."""
        return (await self._post(f"/v1/campaigns/{campaign}/{verb}", {}))[1]

    async def _post(self, path: str, body: dict[str, object]) -> tuple[str, float]:
        begun = time.perf_counter()
        async with self._session.post(f"http://127.0.0.1:{PORT}{path}", json=body) as answer:
            found = await answer.json()
            took = (time.perf_counter() - begun) * 1000
            assert answer.status < 300, found
            return found["id"], took


async def _idle(campaigns: Campaigns, lists: dict[str, UUID]) -> dict[str, list[float]]:
    """Start, pause and cancel in turn, small and large, while no worker runs; milliseconds of each."""
    times: dict[str, list[float]] = {f"{what}_{size}": [] for what in ("start", *VERBS) for size in lists}
    for _ in range(STARTS + 1):
        for size, list_id in lists.items():
            campaign, took = await campaigns.start(list_id)
            times[f"start_{size}"].append(took)
            for verb in VERBS:
                times[f"{verb}_{size}"].append(await campaigns.halt(campaign, verb))
    # The first of each made connections and plans.
    return {name: found[1:] for name, found in times.items()}


async def _halt(
    campaigns: Campaigns, list_id: UUID, number: int, verb: str, moment: str = "loaded"
) -> tuple[float, float, int]:
    """Halt a campaign that is handed over, or one that is still expanded.

    Returns milliseconds to the answer and to the carrier's last message, and how many were sent after it was canceled.
    """
    campaign, _ = await campaigns.start(list_id)
    id = ids.find_id(ids.CAMPAIGN, campaign, "campaign")
    if moment == "loaded":
        await _until(IS_SENT, id, int(SHARE * number))
    else:
        await _until(IS_EXPANDED, id, int((1 - EXPANDED_SHARE) * number))
    asked: datetime = await db.now()
    answered = await campaigns.halt(campaign, verb)
    await asyncio.sleep(SETTLED)
    last: datetime = await db.fetch_value(LAST_TAKEN, id) or asked
    sent = await db.fetch_value(SENT, id)
    assert sent < number, "all was sent before it could be halted"
    if verb != "cancel":
        await campaigns.halt(campaign, "cancel")
    await _until(IS_CLEARED, id)
    after: int = await db.fetch_value(SENT_AFTER, id)
    return answered, max(0.0, (last - asked).total_seconds() * 1000), after


async def _until(condition: str, *values: object) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        is_so = await db.fetch_value(condition, *values)
        while not is_so:
            await asyncio.sleep(0.02)
            is_so = await db.fetch_value(condition, *values)


async def _loaded(campaigns: Campaigns, list_id: UUID, number: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    after_cancel = 0
    for verb in VERBS:
        holds: list[float] = []
        for moment in MOMENTS:
            found = [await _halt(campaigns, list_id, number, verb, moment) for _ in range(HALTS)]
            answers = [answered for answered, _, _ in found]
            figures[f"{verb}_{moment}_ms"] = statistics.median(answers)
            figures[f"{verb}_{moment}_worst_ms"] = max(answers)
            holds += [hold for _, hold, _ in found]
            after_cancel += sum(after for _, _, after in found) if verb == "cancel" else 0
        figures[f"{verb}_worst_hold_ms"] = max(holds)
    return figures | {"sent_after_canceled": after_cancel}


async def _measure(place: Bench, number: int, workers: int) -> dict[str, float]:
    headers = {"Authorization": f"Bearer {place.live_key}"}
    async with place.connected(), aiohttp.ClientSession(headers=headers) as session:
        lists = {"small": await add_people(place.workspace_id, True, 1, first=3_122_000_000)}
        lists["large"] = await add_people(place.workspace_id, True, number)
        campaigns = Campaigns(session)
        idle = await _idle(campaigns, lists)
        figures = {f"{name}_ms": statistics.median(times) for name, times in idle.items()}
        with ExitStack() as stack:
            for queue in ("messages",) * workers + OTHER_WORKERS:
                stack.enter_context(place.process("-m", "msvs", "worker", queue))
            stack.enter_context(place.process("-m", "msvs", "cron"))
            figures |= await _loaded(campaigns, lists["large"], number)
    figures["start_ratio"] = figures["start_large_ms"] / figures["start_small_ms"]
    for verb in VERBS:
        figures[f"{verb}_ratio"] = figures[f"{verb}_loaded_ms"] / figures[f"{verb}_small_ms"]
    return {name: round(value, 2) for name, value in figures.items()}


def measure(place: Bench, recipients: int, workers: int) -> dict[str, float]:
    """Start, pause and cancel a campaign, idle and under so many workers of messages."""
    with place.process("-m", "bench.service", PORT=str(PORT)):
        wait_for(PORT, "/healthz")
        return asyncio.run(_measure(place, recipients, workers))
