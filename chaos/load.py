"""The load: what integrators and recipients do while the service is being killed, and a log of what they were told."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg

from chaos.names import public_id, row_id

LOOPBACK = "127.0.0.1"
PATIENCE_SECONDS = 60.0
# What a connection raises whose engine has just been killed.
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# The sandbox's scripted numbers (docs/sandbox.md), which behave so at any virtual carrier.
SCRIPTED = ["0101", "0102", "0103", "0105", "0106", "0107", "0108", "0109", "0111", "0112"]


@dataclass
class Tenant:
    """One workspace in one mode, and who it sends to."""

    name: str
    workspace_id: UUID
    livemode: bool
    key: str
    secret: str = ""
    phones: list[str] = field(default_factory=list)
    lists: list[tuple[str, int]] = field(default_factory=list)


class Client:
    """An integrator: every POST has an Idempotency-Key and is repeated until it is answered."""

    def __init__(self, port: int, log: Path, *, seed: int) -> None:
        self.base = f"http://{LOOPBACK}:{port}"
        self.log = log.open("a", buffering=1)
        self.random = random.Random(seed)
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5))
        self.numbers = iter(range(1, 1_000_000))
        self.seed = seed

    async def close(self) -> None:
        """Let go of the connections and the log."""
        await self.session.close()
        self.log.close()

    async def post(
        self,
        tenant: Tenant,
        path: str,
        body: dict[str, Any],
        *,
        key: str | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> tuple[int, Any]:
        """POST until there is an answer that is final; (0, None) where none came in time."""
        headers = {"Authorization": f"Bearer {tenant.key}", "Idempotency-Key": key or uuid4().hex}
        until = time.monotonic() + patience
        while time.monotonic() < until:
            try:
                async with self.session.post(self.base + path, json=body, headers=headers) as answer:
                    document = await answer.json()
                    busy = answer.status == 409 and document["error"]["code"] == "idempotency_key_in_use"
                    if answer.status < 500 and answer.status != 429 and not busy:
                        return answer.status, document
            except (aiohttp.ClientError, TimeoutError, ValueError):
                pass
            await asyncio.sleep(self.random.uniform(0.05, 0.4))
        return 0, None

    async def send(self, tenant: Tenant, to: str, **values: Any) -> str | None:
        """Send one message and log what was answered; its id, where it was accepted."""
        key = f"{self.seed}-{next(self.numbers)}"
        body = {"to": to, "body": "Doors open at 8pm ET." * self.random.choice((1, 1, 9)), "metadata": {"key": key}}
        status, document = await self.post(tenant, "/v1/messages", body | values, key=key)
        accepted = document["id"] if status == 201 else None
        self._note(what="message", key=key, status=status or None, id=accepted)
        return accepted

    async def start_campaign(self, tenant: Tenant, list_id: str, audience: int, **values: Any) -> str | None:
        """Create a campaign to a list and log what was answered; its id, where it was accepted."""
        body = {
            "name": "Cohort 06",
            "body": "Hi {firstName|there}, the studio opens at nine.",
            "audience": {"list_ids": [list_id]},
        }
        # Who does not know the campaign cannot choose its winner, and it would not end.
        status, document = await self.post(tenant, "/v1/campaigns", body | values, patience=3 * PATIENCE_SECONDS)
        accepted = document["id"] if status == 201 else None
        self._note(what="campaign", status=status or None, id=accepted, audience=audience)
        return accepted

    async def enroll(self, tenant: Tenant, sequence: str, phone: str, anchor_at: datetime) -> None:
        """Let a contact enter a sequence and log what was answered."""
        body = {"phone": phone, "anchor_at": anchor_at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        status, document = await self.post(tenant, f"/v1/sequences/{sequence}/enrollments", body)
        accepted = document["id"] if status == 201 else None
        self._note(what="enrollment", status=status or None, id=accepted)

    async def order(self, tenant: Tenant, order: str, phone: str, value: int) -> None:
        """Tell of an order, as if nobody had, and log what was answered."""
        body = {"order_id": order, "phone": phone, "value": value, "currency": "USD"}
        status, document = await self.post(tenant, "/v1/conversions", body)
        accepted = document["id"] if status == 201 else None
        self._note(what="order", order=order, value=value, status=status or None, id=accepted)

    async def read_books(self, tenant: Tenant, campaign: str) -> None:
        """Log what is told of a campaign and of its variants."""
        path = f"/v1/campaigns/{campaign}"
        whole, test = await self._get(tenant, path), await self._get(tenant, f"{path}/ab_test")
        self._note(what="books", id=campaign, stats=whole["stats"], variants=test["variants"])

    async def _get(self, tenant: Tenant, path: str) -> Any:
        headers = {"Authorization": f"Bearer {tenant.key}"}
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with suppress(aiohttp.ClientError, TimeoutError, ValueError):
                async with self.session.get(self.base + path, headers=headers) as answer:
                    if answer.status == 200:
                        return await answer.json()
            await asyncio.sleep(0.2)
        raise TimeoutError(f"GET {path} was not answered")

    def _note(self, **values: Any) -> None:
        self.log.write(json.dumps({"at": time.time(), **values}) + "\n")


# Of some campaigns: three texts, of which the second is chosen as soon as the test is out.
AB_TEST = {
    "variants": [{}, {"body": "The studio opens at nine."}, {"body": "Doors open at nine."}],
    "test_percent": 30,
}
CHOICES = 600
# A step at once, one at a time of each contact's own, and one after it for those with an attribute.
SEQUENCE = {
    "name": "Challenge",
    "quiet_hours": False,
    "steps": [
        {"key": "welcome", "body": "Welcome, {firstName|friend}."},
        {"key": "reminder", "body": "We begin now.", "anchor_minutes": 0},
        {
            "key": "upgrade",
            "body": "There is a seat left for you.",
            "only_if": {"filter": {"all": [{"field": "attributes.seat", "op": "eq", "value": "yes"}]}},
        },
    ],
}
ENTRANTS = 150


class Load:
    """Everything that goes on at once, until `stopping` is set."""

    def __init__(self, client: Client, tenants: Sequence[Tenant], database_url: str, *, seed: int, rate: float) -> None:
        self.client = client
        self.tenants = tenants
        self.database_url = database_url
        self.random = random.Random(seed)
        self.rate = rate
        self.stopping = asyncio.Event()
        self.tested: list[tuple[Tenant, str]] = []

    async def run(self) -> None:
        """Send, cancel, reply and run campaigns until told to stop; then wait for the answers still due."""
        async with asyncio.TaskGroup() as tasks:
            for tenant in self.tenants:
                tasks.create_task(self._send(tenant, tasks))
                tasks.create_task(self._reply(tenant))
                tasks.create_task(self._sequence(tenant, tasks))
                tasks.create_task(self._order(tenant, tasks))
                for number, (list_id, audience) in enumerate(tenant.lists):
                    tasks.create_task(self._campaign(tenant, number, list_id, audience))

    async def _pause(self, seconds: float) -> bool:
        """Wait, but not past the end; whether the load goes on."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return True
        return False

    async def _send(self, tenant: Tenant, tasks: asyncio.TaskGroup) -> None:
        while await self._pause(self.random.expovariate(self.rate)):
            tasks.create_task(self._message(tenant))

    async def _message(self, tenant: Tenant) -> None:
        drawn = self.random.random()
        to = f"+1415555{self.random.choice(SCRIPTED)}" if drawn < 0.06 else self.random.choice(tenant.phones)
        values: dict[str, Any] = {}
        if drawn > 0.85:
            at = datetime.now(UTC) + timedelta(seconds=self.random.uniform(1, 8))
            values["scheduled_at"] = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        if self.random.random() < 0.25:
            values["on_unknown"] = "resend"
        accepted = await self.client.send(tenant, to, **values)
        if accepted is not None and self.random.random() < 0.15:
            await asyncio.sleep(self.random.choice((0, 0, 0.02, 0.5)))
            await self.client.post(tenant, f"/v1/messages/{accepted}/cancel", {})

    async def _reply(self, tenant: Tenant) -> None:
        """Recipients write back: STOP while messages to them are on their way, and START again."""
        while await self._pause(self.random.expovariate(self.rate / 4)):
            phone = await self._someone_waiting(tenant) or self.random.choice(tenant.phones)
            text = self.random.choice(("STOP", "STOP", "STOP", "START", "See you there"))
            if not tenant.livemode:
                await self.client.post(tenant, "/v1/test/inbound", {"from": phone, "body": text})
                continue
            await self.bring(tenant, phone, text)

    async def bring(self, tenant: Tenant, phone: str, text: str) -> None:
        """A message from a phone, as the carrier brings it in."""
        await self.execute(
            "INSERT INTO virtual_signals"
            " (id, message_id, workspace_id, livemode, kind, phone, sender, text, due_at)"
            " VALUES ($1, $2, $3, true, 'inbound', $4, 'COHORTLABS', $5, now())",
            uuid4(),
            uuid4(),
            tenant.workspace_id,
            phone,
            text,
        )

    async def _campaign(self, tenant: Tenant, number: int, list_id: str, audience: int) -> None:
        if not await self._pause(1 + 6 * number + self.random.uniform(0, 3)):
            return
        fate = (number + int(tenant.livemode)) % 3
        variants = {"ab_test": AB_TEST} if fate == 0 else {}
        campaign = await self.client.start_campaign(tenant, list_id, audience, **variants)
        if campaign is None:
            return
        path = f"/v1/campaigns/{campaign}"
        if fate == 0:
            self.tested.append((tenant, campaign))
            # Until it is chosen, the campaign does not end: so this goes on after the load has stopped.
            for _ in range(CHOICES):
                status, document = await self.client.post(tenant, f"{path}/winner", {"variant": "B"})
                if status == 200 or "chosen already" in str(document):
                    break
                await asyncio.sleep(0.5)
        elif fate == 1:
            await self._pause(self.random.uniform(0.2, 3))
            await self.client.post(tenant, f"{path}/pause", {})
            await self._pause(self.random.uniform(1, 4))
            await self.client.post(tenant, f"{path}/resume", {})
        elif fate == 2:
            await self._pause(self.random.uniform(0.5, 4))
            await self.client.post(tenant, f"{path}/cancel", {})

    async def _sequence(self, tenant: Tenant, tasks: asyncio.TaskGroup) -> None:
        """Publish a sequence and have contacts enter it, some of them twice at once."""
        status, made = await self.client.post(tenant, "/v1/sequences", SEQUENCE)
        if status == 0:
            return
        if status != 201:
            raise RuntimeError(f"no sequence: {status} {made}")
        sequence = made["id"]
        status, made = await self.client.post(tenant, f"/v1/sequences/{sequence}/publish", {})
        if status not in (0, 200):
            raise RuntimeError(f"the sequence is not published: {status} {made}")
        for phone in self.random.sample(tenant.phones, min(ENTRANTS, len(tenant.phones))):
            if not await self._pause(self.random.expovariate(self.rate / 6)):
                return
            anchor_at = datetime.now(UTC) + timedelta(seconds=self.random.uniform(1, 5))
            for _ in range(self.random.choice((1, 1, 2))):
                tasks.create_task(self.client.enroll(tenant, sequence, phone, anchor_at))

    async def _order(self, tenant: Tenant, tasks: asyncio.TaskGroup) -> None:
        """Tell of what contacts buy, often more than once, as shops do."""
        number = 0
        while await self._pause(self.random.expovariate(self.rate / 8)):
            number += 1
            told = (f"{self.client.seed}-{tenant.name}-{number}", self.random.choice(tenant.phones), 100 * number)
            for _ in range(self.random.choice((1, 2, 3))):
                tasks.create_task(self.client.order(tenant, *told))

    async def read_books(self) -> None:
        """Have told what the variants of each campaign came to."""
        for tenant, campaign in self.tested:
            await self.client.read_books(tenant, campaign)

    async def _someone_waiting(self, tenant: Tenant) -> str | None:
        """The phone of a message that is queued or on its way."""
        found = await self.execute(
            "SELECT to_phone FROM messages WHERE workspace_id = $1 AND livemode = $2 AND kind <> 'auto'"
            " AND status IN ('queued', 'sending', 'scheduled') ORDER BY random() LIMIT 1",
            tenant.workspace_id,
            tenant.livemode,
        )
        return None if found is None else str(found)

    async def execute(self, sql: str, *values: Any) -> Any:
        """Run a statement on the engine itself, again while it is down; the first value."""
        while True:
            try:
                connection = await asyncpg.connect(self.database_url, timeout=5)
                try:
                    return await connection.fetchval(sql, *values, timeout=5)
                finally:
                    await connection.close(timeout=2)
            except AWAY:
                if not await self._pause(0.3):
                    return None


class Bystander:
    """A workspace of its own beside the others, which notes how long each of its wishes waited."""

    def __init__(self, client: Client, tenant: Tenant, load: Load, log: Path) -> None:
        self.client = client
        self.tenant = tenant
        self.load = load
        self.log = log

    async def run(self, stopping: asyncio.Event) -> None:
        """Send, read the balance and write STOP, each again as soon as it is done."""
        phones = iter(self.tenant.phones)
        wishes = {
            "send": lambda: self.client.send(self.tenant, self.tenant.phones[-1]),
            "credits": self._read_credits,
            "stop": lambda: self._leave(next(phones)),
        }

        async def wish(what: str, make: Callable[[], Awaitable[object]]) -> None:
            while not stopping.is_set():
                began = time.monotonic()
                await make()
                waited = round(time.monotonic() - began, 3)
                with self.log.open("a") as log:
                    log.write(json.dumps({"at": time.time(), "what": what, "waited": waited}) + "\n")
                await asyncio.sleep(0.5)

        await asyncio.gather(*(wish(*each) for each in wishes.items()))

    async def _read_credits(self) -> None:
        headers = {"Authorization": f"Bearer {self.tenant.key}"}
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self.client.session.get(f"{self.client.base}/v1/credits", headers=headers) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)

    async def _leave(self, phone: str) -> None:
        """Write STOP from a phone, and wait until it is out."""
        await self.load.bring(self.tenant, phone, "STOP")
        is_out = "SELECT opt_in_status = 'opted_out' FROM contacts WHERE workspace_id = $1 AND phone = $2"
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            if await self.load.execute(is_out, self.tenant.workspace_id, phone):
                return
            await asyncio.sleep(0.1)


async def make_contacts(database_url: str, tenant: Tenant, *, lists: int, size: int, first: int) -> int:
    """Give a tenant opted-in contacts on lists, by COPY; the number after the last phone used."""
    connection = await asyncpg.connect(database_url)
    now = datetime.now(UTC)
    try:
        # Neighbouring lists share half of their members.
        total = size * (lists + 1) // 2
        contacts = [(uuid4(), f"+1212{2_000_000 + first + number:07d}") for number in range(total)]
        columns = ["id", "workspace_id", "livemode", "phone", "region", "number_kind", "first_name", "attributes"]
        columns += ["opt_in_status", "opt_in_source", "opt_in_at", "created_at", "updated_at"]
        rows = [
            (
                id,
                tenant.workspace_id,
                tenant.livemode,
                phone,
                "US",
                "fixed_line_or_mobile",
                "Mariana",
                # Every other contact is one for the last step of the sequence.
                '{"seat": "yes"}' if int(phone) % 2 else "{}",
                "opted_in",
                "chaos",
                now,
                now,
                now,
            )
            for id, phone in contacts
        ]
        placeholders = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        await connection.executemany(f"INSERT INTO contacts ({', '.join(columns)}) VALUES ({placeholders})", rows)
        for number in range(lists):
            list_id = uuid4()
            await connection.execute(
                "INSERT INTO contact_lists"
                " (id, workspace_id, livemode, name, kind, contact_count, created_at, updated_at)"
                " VALUES ($1, $2, $3, 'Cohort 06', 'static', 0, $4, $4)",
                list_id,
                tenant.workspace_id,
                tenant.livemode,
                now,
            )
            members = contacts[number * size // 2 : number * size // 2 + size]
            await connection.copy_records_to_table(
                "list_members",
                columns=["id", "list_id", "contact_id", "created_at"],
                records=[(uuid4(), list_id, id, now) for id, _ in members],
            )
            tenant.lists.append((public_id("lst", list_id), len(members)))
        tenant.phones = [phone for _, phone in contacts[:400]]
        return first + total
    finally:
        await connection.close()


def tenant_of(name: str, made: dict[str, str], *, livemode: bool) -> Tenant:
    """A tenant from what the command line printed of a workspace."""
    id = made.get("id") or made["workspace_id"]
    return Tenant(name, row_id(id), livemode, made["live_key" if livemode else "test_key"])
