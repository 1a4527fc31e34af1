"""Every process holds its secret key against the database: a wrong one ends it with a line, a rotation ends none."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from redis import Redis

from scripts.contract.service import free_port
from tests.engines import Engines, create_database
from tests.test_cli import Done, environment, msvs
from tests.workers.sessions_carrier import KIND

# Fifteen processes on a busy machine take longer than a test may.
pytestmark = [pytest.mark.processes, pytest.mark.timeout(480)]

RIGHT, WRONG, NEXT = "the-right-key-of-the-tests", "the-wrong-key-of-the-tests", "the-next-key-of-the-tests"
MODULE = "tests.workers.sessions_carrier"
NOT_THE_KEY = (
    "msvs: MSVS_SECRET_KEY is not the key of this database: set DATA_DIR or MSVS_SECRET_KEY as the service has it\n"
)
NOWHERE = "wsp_01HYZ8K5VQAE2N0PWQ6DC9V8MP"
COMMANDS = (
    "run",
    "api",
    "worker messages",
    "worker webhooks --burst",
    "cron",
    "sessions",
    "migrate",
    "hold",
    "workspace create --name Labs",
    f"keys list --workspace {NOWHERE}",
    f"suppressions export --workspace {NOWHERE} --mode live -",
    f"consent erase --workspace {NOWHERE} +12125550123",
    "consent verify",
    "secrets list",
    "secrets rotate",
)
PATIENCE_SECONDS = 120.0


@dataclass
class World:
    """A database of its own, and processes of the service on it, each with the secret key that it is given."""

    database_url: str
    redis_url: str
    directory: Path
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    def environment(self, secret: str | None, **more: str) -> dict[str, str]:
        carriers = self.directory / "carriers.toml"
        carriers.write_text(f'[one]\nkind = "{KIND}"\nbook = "{self.directory / "book"}"\n')
        keys = {} if secret is None else {"MSVS_SECRET_KEY": secret}
        settings = {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "MSVS_CARRIERS": str(carriers),
            "MSVS_LIVE_CARRIER": "virtual",
            "MSVS_ALLOW_INSECURE": "virtual_carrier",
            "PORT": "0",
            "MSVS_LOG_LEVEL": "ERROR",
        }
        return environment(self.directory / "data", **settings | keys | more)

    async def do(self, command: str, secret: str | None, **more: str) -> Done:
        return await msvs(*command.split(), env=self.environment(secret, **more), module=MODULE)

    async def shown(self, command: str, secret: str, **more: str) -> Any:
        done = await self.do(f"{command} --json", secret, **more)
        assert (done.status, done.err) == (0, "")
        return json.loads(done.out)

    async def start(self, command: str, secret: str, **more: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            MODULE,
            *command.split(),
            env=self.environment(secret, **more),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self.processes.append(process)
        return process

    async def ask(self, sql: str) -> Any:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()


@pytest.fixture
async def world(engines: Engines, tmp_path: Path) -> AsyncIterator[World]:
    url = await create_database(engines.database_url, "secret_keys")
    world = World(url, engines.redis_url.removesuffix("/0") + "/7", tmp_path)
    with closing(Redis.from_url(world.redis_url)) as redis:
        redis.flushdb()
    yield world
    for process in world.processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """How a process ended, and what it said."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def all_done(world: World, secret: str | None, **more: str) -> dict[str, Done]:
    room = asyncio.Semaphore(3)

    async def do(command: str) -> Done:
        async with room:
            return await world.do(command, secret, **more)

    return dict(zip(COMMANDS, await asyncio.gather(*map(do, COMMANDS)), strict=True))


async def test_every_process_with_a_wrong_key_ends_with_a_line(world: World) -> None:
    assert (await world.do("migrate", RIGHT)).status == 0
    rows = await world.ask("SELECT count(*) FROM workspaces")
    assert await all_done(world, WRONG) == dict.fromkeys(COMMANDS, Done(2, "", NOT_THE_KEY))
    assert rows == await world.ask("SELECT count(*) FROM workspaces") == 0
    assert await world.ask("SELECT count(*) FROM secret_keys") == 1
    assert (await world.do("workspace create --name Labs", RIGHT)).status == 0


async def test_in_production_no_process_starts_without_a_key(world: World) -> None:
    line = "msvs: MSVS_SECRET_KEY must be set in production, to the same value for every process\n"
    assert await all_done(world, None, MSVS_ENV="production") == dict.fromkeys(COMMANDS, Done(2, "", line))
    assert await world.ask("SELECT to_regclass('workspaces')") is None
    assert not (world.directory / "data").exists()
    for harmless in ("settings", "schema"):
        assert (await world.do(harmless, None, MSVS_ENV="production")).status == 0


async def test_of_two_services_that_start_at_once_one_wins(world: World) -> None:
    assert await world.do("migrate", None) != Done(0, "The schema is up to date.\n", "")
    assert await world.ask("SELECT count(*) FROM secret_keys") == 0
    both = [await world.start("cron", secret) for secret in (RIGHT, WRONG)]
    tasks = [asyncio.create_task(ended(each)) for each in both]
    (first,), (other,) = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert first.result() == (2, NOT_THE_KEY)
    assert [each.returncode for each in both].count(None) == 1
    other.cancel()
    await asyncio.wait([other])


async def test_a_database_exchanged_beneath_running_processes_ends_them(world: World) -> None:
    assert (await world.do("migrate", RIGHT)).status == 0
    commands = ("api", "worker maintenance", "cron", "sessions")
    port = free_port()
    running = [await world.start(command, RIGHT, PORT=str(port)) for command in commands]
    await until(lambda: is_healthy(f"http://127.0.0.1:{port}"))
    await until(lambda: has_keys(world, "msvs:worker:maintenance-*", "rq:job:*"))  # a worker, and what cron rang

    async def is_held() -> bool:
        return bool(await world.ask("SELECT count(*) FROM carrier_sessions") == 1)

    await until(is_held)
    await world.ask("UPDATE secret_keys SET data_fingerprint = repeat('0', 64) RETURNING 1")
    line = (
        "msvs: the database has another data key than this process started with: start it again with the "
        "MSVS_SECRET_KEY of this database\n"
    )
    found = await asyncio.gather(*map(ended, running))
    assert [status for status, _ in found] == [2] * len(commands)
    assert [said.splitlines(keepends=True)[-1] for _, said in found] == [line] * len(commands)


async def is_healthy(base_url: str) -> bool:
    async with httpx.AsyncClient(base_url=base_url) as client:
        try:
            return (await client.get("/healthz")).status_code == 200
        except httpx.TransportError:
            return False


async def has_keys(world: World, *patterns: str) -> bool:
    with closing(Redis.from_url(world.redis_url)) as redis:
        return all(redis.keys(pattern) for pattern in patterns)


PACE_SECONDS = 0.025


class Load:
    """Messages to somebody who said STOP and was erased, and to somebody who did not, through one API process."""

    def __init__(self, client: httpx.AsyncClient, stopped: str, other: str) -> None:
        self.client = client
        self.stopped, self.other = stopped, other
        self.accepted = 0
        self.refused: list[tuple[int, str]] = []
        self._ends = asyncio.Event()
        self.task = asyncio.create_task(self.run())

    async def run(self) -> None:
        while not self._ends.is_set():
            taken = await self._post(self.other)
            assert taken.status_code == 201, taken.text
            self.accepted += 1
            left = await self._post(self.stopped)
            self.refused.append((left.status_code, left.json()["error"]["code"]))

    async def _post(self, to: str) -> httpx.Response:
        # Two loads together stay below what a workspace may ask in a second.
        await asyncio.sleep(PACE_SECONDS)
        body = {"to": to, "from": "+12125550100", "body": "Doors open at 8pm ET."}
        return await self.client.post("/v1/messages", json=body)

    async def more(self, count: int) -> None:
        """Wait for so many more."""
        goal = self.accepted + count

        async def is_there() -> bool:
            if self.task.done():
                self.task.result()
            return self.accepted >= goal

        await until(is_there)

    def end(self) -> None:
        self._ends.set()


@pytest.mark.timeout(300)
async def test_a_rotation_under_load_ends_no_process_and_forgets_no_stop(world: World) -> None:
    assert (await world.do("migrate", RIGHT)).status == 0
    made = await world.shown("workspace create --name Labs --credits 100000", RIGHT)
    here = f"--workspace {made['id']}"
    await world.shown(f"senders add {here} +12125550100 --registration CMP-1", RIGHT)
    stopped, other = "+14155550123", "+14155550124"
    (world.directory / "stop.csv").write_text(f"{stopped}\n")
    await world.shown(f"suppressions import {here} --mode live {world.directory / 'stop.csv'}", RIGHT)
    await world.shown(f"consent erase {here} {stopped}", RIGHT)

    async def serve(secret: str, **more: str) -> httpx.AsyncClient:
        port = free_port()
        await world.start("api", secret, **more | {"PORT": str(port)})
        base_url = f"http://127.0.0.1:{port}"
        await until(lambda: is_healthy(base_url))
        headers = {"Authorization": f"Bearer {made['live_key']}"}
        return httpx.AsyncClient(base_url=base_url, headers=headers, timeout=PATIENCE_SECONDS)

    old = [await world.start(command, RIGHT) for command in ("worker messages", "worker reports", "cron")]
    loads = [Load(await serve(RIGHT), stopped, other)]
    await loads[0].more(10)

    rotated = await world.do("secrets rotate --expires-in 0", NEXT, MSVS_SECRET_KEYS_PREVIOUS=RIGHT)
    assert (rotated.status, rotated.err) == (0, "")
    await loads[0].more(10)
    # Processes that start from now on need the new key.
    late = await world.do("worker messages --burst", RIGHT)
    assert late.status == 2
    assert late.err.startswith("msvs: MSVS_SECRET_KEY was replaced by `msvs secrets rotate` and is refused since ")
    assert await world.do("worker messages --burst", WRONG) == Done(2, "", NOT_THE_KEY)
    new = [await world.start(command, NEXT) for command in ("worker messages", "worker reports")]
    loads.append(Load(await serve(NEXT, MSVS_SECRET_KEYS_PREVIOUS=RIGHT), stopped, other))
    await asyncio.gather(*(load.more(10) for load in loads))
    # The other half of the messages goes out by the new worker alone.
    old[0].terminate()
    await old[0].wait()
    await asyncio.gather(*(load.more(10) for load in loads))
    for load in loads:
        load.end()
    await asyncio.gather(*(load.task for load in loads))

    accepted = sum(load.accepted for load in loads)
    sent = "SELECT count(*) FROM virtual_submissions WHERE to_phone = '{}'"

    async def all_sent() -> bool:
        return bool(await world.ask(sent.format(other)) == accepted)

    await until(all_sent)
    assert await world.ask(sent.format(stopped)) == 0
    assert await world.ask("SELECT count(*) FROM virtual_submissions") == accepted
    assert {each for load in loads for each in load.refused} == {(422, "recipient_opted_out")}
    assert await world.ask("SELECT count(*) FROM erased_suppressions") == 1
    assert [process.returncode for process in [*old[1:], *new]] == [None] * 4
    for load in loads:
        await load.client.aclose()
    shown = await world.shown("secrets list", NEXT)
    assert [(each["state"], each["used_here"]) for each in shown] == [("refused", False), ("taken", True)]
