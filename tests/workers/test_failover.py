"""Connections to PostgreSQL that die at any statement, or with its answer: nothing is lost and nothing doubled."""

from __future__ import annotations

import asyncio
import contextvars
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.reconciliation import reconcile_campaign
from msvs.api.context import Context
from msvs.api.dispatch.lanes import Lane
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import single_statement, unit_of_work
from msvs.carriers.protocol import Capability
from msvs.carriers.scripts import PREFIX
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Message, OptInStatus
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import Carriers, dispatch_lane, dispatch_messages, resolve_expired
from msvs.workers.maintenance import maintain
from msvs.workers.reports import collect_reports
from tests import factories
from tests.services import SERVICES
from tests.workers.test_carrier_binds import until
from tests.workers.test_dispatch import hurry
from tests.workers.test_stuck import write

# Of the five hundred statements of a run, so many are visited in each test: one at random in each of as many equal
# stretches, by a seed that is printed. `make chaos` visits more; MSVS_STATEMENTS=all visits each, which takes an hour.
IS_FULL = os.environ.get("MSVS_STATE") == "full"
STATEMENTS = os.environ.get("MSVS_STATEMENTS", "32" if IS_FULL else "5")
SEED = int(os.environ.get("MSVS_SEED", random.randrange(1_000_000) if IS_FULL else 97))
LEAST = 300
# No run has fewer statements than this share of what the first had.
SHORTEST = 0.9
SCRIPTED = ("0101", "0103", "0105", "0107", "0111", "0112")


class Death:
    """Ends the connection of one statement of all that are run while it is about."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, is_answer_lost: bool) -> None:
        self.at = 0
        self.count = 0
        self.is_about = False
        self._is_answer_lost = is_answer_lost
        execute, run = asyncpg.Connection.execute, asyncpg.Connection._execute

        async def without_values(connection: Any, query: str, *values: Any, timeout: float | None = None) -> Any:
            statement = partial(execute, connection, query, *values, timeout=timeout)
            # With values it goes the way of all others.
            return await (statement() if values else self._meet(connection, statement))

        async def with_values(connection: Any, *values: Any, **options: Any) -> Any:
            return await self._meet(connection, partial(run, connection, *values, **options))

        monkeypatch.setattr(asyncpg.Connection, "execute", without_values)
        monkeypatch.setattr(asyncpg.Connection, "_execute", with_values)

    @property
    def came(self) -> bool:
        return self.count >= self.at

    async def _meet(self, connection: Any, statement: Callable[[], Awaitable[Any]]) -> Any:
        self.count += self.is_about
        if not self.is_about or self.count != self.at:
            return await statement()
        if self._is_answer_lost:
            await statement()
        connection.terminate()
        raise asyncpg.ConnectionDoesNotExistError


# PostgreSQL waits for a stopped process by this share of what it is told to.
HASTE = """
SELECT set_config(name, (setting::int / 50)::text || unit, true) FROM pg_settings
WHERE name = 'idle_in_transaction_session_timeout'
"""


class Stop(Death):
    """Stops the process before one statement, and lets others work meanwhile; then it goes on where it was.

    What it had in a transaction is held until PostgreSQL gives it up.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(monkeypatch, is_answer_lost=False)
        self._meanwhile = meanwhile

    async def _meet(self, connection: Any, statement: Callable[[], Awaitable[Any]]) -> Any:
        self.count += self.is_about
        if not self.is_about or self.count != self.at:
            return await statement()
        self.is_about = False
        is_in_transaction = connection.is_in_transaction()
        if is_in_transaction:
            await connection.fetch(HASTE)
        # Others know nothing of what this task is in.
        await asyncio.create_task(self._meanwhile(), context=contextvars.Context())
        if is_in_transaction:
            await until(connection.is_closed)
        self.is_about = True
        return await statement()


@pytest.fixture(autouse=True)
def _live(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("msvs.workers.dispatch.RECORD_AGAIN_SECONDS", 0.0)
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.live = None


async def work(carriers: Carriers, death: Death) -> None:
    """What the workers do, each job once; one that meets its death is gone."""
    jobs = (
        partial(expand_campaigns, SERVICES),
        partial(dispatch_messages, SERVICES, carriers),
        partial(resolve_expired, SERVICES, carriers),
        partial(collect_reports, SERVICES),
        partial(maintain, SERVICES, carriers),
    )
    for job in jobs:
        try:
            await job()
        except Exception:
            if not (death.is_about and death.came):
                raise
        death.is_about, was_about = False, death.is_about
        await hurry()
        death.is_about = was_about


async def begin(ctx: Context) -> Any:
    """A campaign to people of every kind, and two single messages; the campaign's id."""
    contacts = [await factories.make_contact(ctx) for _ in range(3)]
    contacts += [await factories.make_contact(ctx, PREFIX + digits) for digits in SCRIPTED]
    contacts.append(await factories.make_contact(ctx, status=OptInStatus.OPTED_OUT))
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx, CreateCampaign("Doors open", "Hi", contact_ids=[contact.id for contact in contacts])
        )
    for contact in contacts[:2]:
        async with single_statement():
            await send_message(ctx, SendMessage(contact.phone, "Hi"))
    return campaign.id


async def fail_over(death: Death, carriers: Carriers, capability: Capability) -> None:
    """Meet it once in all that workers do, go on, and look whether anything is lost, doubled or left."""
    workspace = await factories.make_workspace()
    ctx = Context(workspace.id, livemode=True, actor="test", services=SERVICES)
    campaign_id = await begin(ctx)
    death.is_about = True
    await work(carriers, death)
    await work(carriers, death)
    death.is_about = False
    for _ in range(4):
        await work(carriers, death)
    found = await reconcile_campaign(ctx, campaign_id)
    assert [check for check in found.checks if not check.ok] == [], death.at
    taken = Counter(row.message_id for row in await db.fetch("SELECT message_id FROM virtual_submissions"))
    assert max(taken.values()) == 1
    is_open = Message.filter(workspace_id=workspace.id, status__in=("scheduled", "queued", "sending"))
    if capability is Capability.NONE:
        # Claimed and never submitted: only a report could tell, and none will come.
        assert all(row.status == "sending" and row.id not in taken for row in await is_open), death.at
    else:
        assert (await is_open.count(), found.status) == (0, "completed"), death.at
    row = await db.fetch_row(
        "SELECT balance, (SELECT sum(amount) FROM ledger_entries WHERE workspace_id = $1)::bigint AS entries"
        " FROM credit_balances WHERE workspace_id = $1",
        workspace.id,
    )
    assert row is not None
    assert row.balance == row.entries


async def visit(
    death: Death, carriers: Carriers, capability: Capability, visit_one: Callable[[], Awaitable[None]]
) -> str:
    """Meet `death` in each stretch of all statements, earlier in it where a run ended before; what was covered."""
    await fail_over(death, carriers, capability)
    total = death.count
    assert total > LEAST
    number = total if STATEMENTS == "all" else min(int(STATEMENTS), total)
    rng = random.Random(f"{SEED} {capability}")
    bounds = [total * part // number for part in range(number + 1)]
    visited = []
    for low, high in pairwise(bounds):
        death.at = high + 1
        while low + 1 < death.at and not visited[-1:] > [low]:
            death.at, death.count = rng.randint(low + 1, death.at - 1), 0
            await visit_one()
            visited += [death.at] * death.came
        # What runs at once runs in no fixed order, so that some runs are shorter than the first.
        assert visited[-1:] > [low] or low >= SHORTEST * total, f"{death.count} of {total}: MSVS_SEED={SEED}"
    return f"{len(visited)} of {total} statements, {visited[0]} to {visited[-1]}: MSVS_SEED={SEED}"


class Bystander:
    """Another workspace: while any process is stopped it sends, gets reports and a STOP, and reads."""

    async def make(self) -> None:
        """Begin with a message on its way and a phone that writes STOP."""
        workspace = await factories.make_workspace(name="Another Studio")
        self.ctx = Context(workspace.id, livemode=True, actor="test", services=SERVICES)
        self.contact = await factories.make_contact(self.ctx)
        self.leaver = await factories.make_contact(self.ctx)

    async def live(self) -> None:
        """Send, hand over, be reported to, opt out and read the balance, to the end."""
        async with single_statement():
            message = await send_message(self.ctx, SendMessage(self.contact.phone, "Hi"))
        await write(self.ctx, self.leaver.phone, "STOP")
        await until(partial(self._is_served, message.id))

    async def _is_served(self, message_id: UUID) -> bool:
        await dispatch_lane(SERVICES, {"virtual": VirtualCarrier()}, Lane(self.ctx.workspace_id, True))
        await db.execute(
            "UPDATE virtual_signals SET due_at = clock_timestamp() WHERE workspace_id = $1", self.ctx.workspace_id
        )
        await collect_reports(SERVICES)
        await self.leaver.refresh_from_db()
        status = (await Message.get(id=message_id)).status
        return (status, self.leaver.opt_in_status) == ("delivered", "opted_out")


@pytest.mark.timeout(7200 if STATEMENTS == "all" else 600)
@pytest.mark.parametrize("capability", list(Capability))
async def test_a_process_stops_at_any_statement(
    clean: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], capability: Capability
) -> None:
    """Nobody else waits for it for long; when it goes on, nothing was lost and nothing is doubled."""
    bystander = Bystander()
    stop = Stop(monkeypatch, bystander.live)
    carriers = {"virtual": VirtualCarrier(capability)}

    async def stop_once() -> None:
        await bystander.make()
        await fail_over(stop, carriers, capability)
        theirs = await Message.filter(workspace_id=bystander.ctx.workspace_id, kind="api")
        assert [message.status.value for message in theirs] == ["delivered"] * stop.came

    covered = await visit(stop, carriers, capability, stop_once)
    with capsys.disabled():
        print(f"\nstopped, {capability.value}: {covered}")


@pytest.mark.timeout(7200 if STATEMENTS == "all" else 600)
@pytest.mark.parametrize("is_answer_lost", [False, True])
@pytest.mark.parametrize("capability", list(Capability))
async def test_a_connection_dies_at_any_statement(
    clean: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    capability: Capability,
    is_answer_lost: bool,
) -> None:
    death = Death(monkeypatch, is_answer_lost=is_answer_lost)
    carriers = {"virtual": VirtualCarrier(capability)}
    covered = await visit(death, carriers, capability, partial(fail_over, death, carriers, capability))
    with capsys.disabled():
        how = "answer lost" if is_answer_lost else "not run"
        print(f"\nconnection dead, {how}, {capability.value}: {covered}")
