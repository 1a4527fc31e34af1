"""A campaign's start, pause and cancellation: from request to answer, as ratios to the same while nothing runs."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
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
VERBS = ("pause", "cancel")
# One campaign of all is paused PAUSES times and goes on; CANCELS campaigns of a share each, all under way at once, are
# canceled one by one. It is done while messages are handed over, each time STEP later, and while it is expanded.
PAUSES = 20
CANCELS = 10
STEP = 500
# What the carrier took is looked at SETTLED seconds after a halt.
SETTLED = 1.5
PATIENCE_SECONDS = 900.0

# Of the tallies, as counting the messages would be a load of its own.
TALLY = "SELECT coalesce(sum(messages), 0)::bigint FROM campaign_tallies WHERE campaign_id = $1"
HANDED = f"{TALLY} AND status NOT IN ('scheduled', 'queued', 'skipped', 'canceled')"
IS_HANDED = f"SELECT ({HANDED}) >= $2"
IS_EXPANDING = f"SELECT ({TALLY}) >= $2"
HAS_RECIPIENTS = "SELECT EXISTS (SELECT FROM campaign_recipients WHERE campaign_id = $1)"
LAST_TAKEN = """
SELECT max(accepted_at) FROM virtual_submissions JOIN messages ON messages.id = message_id
WHERE campaign_id = $1 AND accepted_at > $2
"""
SENT_AFTER = """
SELECT count(*) FROM messages JOIN campaigns ON campaigns.id = campaign_id
WHERE campaign_id = $1 AND messages.sent_at > campaigns.canceled_at
"""
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


@dataclass
class Halts:
    """Milliseconds from the requests of halts to their answers, and to the last message that the carrier took."""

    answers: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)

    def figures(self, name: str) -> dict[str, float]:
        """Return the distribution of both."""
        found = {}
        for what, times in (("", self.answers), ("_hold", self.holds)):
            ordered = sorted(times)
            found[f"{name}{what}_ms"] = statistics.median(ordered)
            found[f"{name}{what}_p95_ms"] = ordered[math.ceil(0.95 * len(ordered)) - 1]
            found[f"{name}{what}_worst_ms"] = ordered[-1]
        return found


async def _halt(campaigns: Campaigns, campaign: str, verb: str, halts: Halts) -> None:
    """Halt a campaign that is under way."""
    id = ids.find_id(ids.CAMPAIGN, campaign, "campaign")
    asked: datetime = await db.now()
    halts.answers.append(await campaigns.halt(campaign, verb))
    await asyncio.sleep(SETTLED)
    last: datetime = await db.fetch_value(LAST_TAKEN, id, asked) or asked
    halts.holds.append((last - asked).total_seconds() * 1000)


async def _until(condition: str, *values: object) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        is_so = await db.fetch_value(condition, *values)
        while not is_so:
            await asyncio.sleep(0.05)
            is_so = await db.fetch_value(condition, *values)


async def _finish(*started: str) -> int:
    """Wait until canceled campaigns are cleared. Return how many messages were sent after they were canceled."""
    after = 0
    for campaign in started:
        id = ids.find_id(ids.CAMPAIGN, campaign, "campaign")
        await _until(IS_CLEARED, id)
        after += await db.fetch_value(SENT_AFTER, id)
    return after


async def _pauses(campaigns: Campaigns, list_id: UUID, number: int, moment: str) -> tuple[Halts, int]:
    """Pause a campaign of all again and again; it is canceled in the end."""
    halts = Halts()
    campaign, _ = await campaigns.start(list_id)
    id = ids.find_id(ids.CAMPAIGN, campaign, "campaign")
    for _ in range(PAUSES):
        if moment == "expanding":
            made = await db.fetch_value(TALLY, id)
            if made and not await db.fetch_value(HAS_RECIPIENTS, id):
                break
            await _until(IS_EXPANDING, id, made + 1)
        else:
            await _until(IS_HANDED, id, await db.fetch_value(HANDED, id) + min(STEP, number // (2 * PAUSES)))
        await _halt(campaigns, campaign, "pause", halts)
        await campaigns.halt(campaign, "resume")
    await campaigns.halt(campaign, "cancel")
    return halts, await _finish(campaign)


async def _cancels(campaigns: Campaigns, lists: list[UUID], number: int, moment: str) -> tuple[Halts, int]:
    """Cancel campaigns of a share each, one by one, while all are under way."""
    halts = Halts()
    started = [(await campaigns.start(list_id))[0] for list_id in lists]
    for campaign in started:
        id = ids.find_id(ids.CAMPAIGN, campaign, "campaign")
        share = number // len(lists)
        await (_until(IS_EXPANDING, id, 1) if moment == "expanding" else _until(IS_HANDED, id, min(STEP, share // 10)))
        await _halt(campaigns, campaign, "cancel", halts)
    return halts, await _finish(*started)


async def _loaded(campaigns: Campaigns, all_list: UUID, shares: list[UUID], number: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    after = 0
    for moment in ("loaded", "expanding"):
        halts, late = await _pauses(campaigns, all_list, number, moment)
        figures |= halts.figures(f"pause_{moment}")
        after += late
        halts, late = await _cancels(campaigns, shares, number, moment)
        figures |= halts.figures(f"cancel_{moment}")
        after += late
    return figures | {"sent_after_canceled": after}


SHARE = """
INSERT INTO list_members (id, list_id, contact_id, created_at)
SELECT gen_random_uuid(), $2, contact_id, now() FROM (
    SELECT contact_id, row_number() OVER (ORDER BY contact_id) AS place FROM list_members WHERE list_id = $1
) AS members WHERE place % $3 = $4
"""


async def _share(workspace_id: UUID, list_id: UUID, position: int) -> UUID:
    """Write a list of every CANCELS-th member of a list."""
    share = await add_people(workspace_id, True, 0)
    await db.execute(SHARE, list_id, share, CANCELS, position)
    return share


async def _measure(place: Bench, number: int, workers: int) -> dict[str, float]:
    headers = {"Authorization": f"Bearer {place.live_key}"}
    async with place.connected(), aiohttp.ClientSession(headers=headers) as session:
        lists = {"small": await add_people(place.workspace_id, True, 1, first=3_122_000_000)}
        lists["large"] = await add_people(place.workspace_id, True, number)
        shares = [await _share(place.workspace_id, lists["large"], position) for position in range(CANCELS)]
        campaigns = Campaigns(session)
        idle = await _idle(campaigns, lists)
        figures = {f"{name}_ms": statistics.median(times) for name, times in idle.items()}
        with ExitStack() as stack:
            for queue in ("messages",) * workers + OTHER_WORKERS:
                stack.enter_context(place.process("-m", "msvs", "worker", queue))
            stack.enter_context(place.process("-m", "msvs", "cron"))
            figures |= await _loaded(campaigns, lists["large"], shares, number)
    figures["start_ratio"] = figures["start_large_ms"] / figures["start_small_ms"]
    for verb in VERBS:
        figures[f"{verb}_ratio"] = figures[f"{verb}_loaded_ms"] / figures[f"{verb}_small_ms"]
    return {name: round(value, 2) for name, value in figures.items()}


def measure(place: Bench, recipients: int, workers: int) -> dict[str, float]:
    """Start, pause and cancel a campaign, idle and under so many workers of messages."""
    with place.process("-m", "bench.service", PORT=str(PORT)):
        wait_for(PORT, "/healthz")
        return asyncio.run(_measure(place, recipients, workers))
