"""Which event loop each process of the service runs: uvloop, as the tests do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from msvs.http.server import server_config
from msvs.local.supervisor import processes
from msvs.loops import UVICORN_LOOP, new_loop, new_runner
from msvs.settings import Settings
from msvs.workers.runtime import Runtime
from tests.engines import Engines, create_database

SMPP = """
[smsc]
kind = "smpp"
host = "127.0.0.1"
port = 1
system_id = "cohort"
password = "secret"
"""

# Each process's command runs up to its own coroutine, which only tells its loop: PROBED is the module and the function.
PROBE = """
import asyncio, sys
from msvs import cli
from importlib import import_module

async def tell(*args):
    loop = asyncio.get_running_loop()
    print(f"loop={type(loop).__module__}.{type(loop).__name__}", flush=True)

module, function, *argv = sys.argv[1:]
setattr(import_module(module), function, tell)
sys.exit(cli.main(argv) or 0)
"""

PROCESSES = {
    "cron": ("msvs.workers.cron", "_run", "cron"),
    "binds": ("msvs.workers.carrier_binds", "_run", "binds"),
    "migrate": ("msvs.api.accounts.secret_keys", "is_settled", "migrate"),
}


async def test_tests_run_on_it() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


def test_the_runner_and_new_loops_use_uvloop() -> None:
    async def running() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    with new_runner() as runner:
        assert isinstance(runner.run(running()), uvloop.Loop)
    loop = new_loop()
    loop.close()
    assert isinstance(loop, uvloop.Loop)


def test_the_api_runs_on_it() -> None:
    config = server_config("msvs.app:application", host="127.0.0.1", port=0)
    assert config.loop == UVICORN_LOOP
    factory = config.get_loop_factory()
    assert factory is not None
    loop = factory()
    loop.close()
    assert isinstance(loop, uvloop.Loop)


async def test_a_worker_runs_its_jobs_on_it(engines: Engines) -> None:
    url = await create_database(engines.database_url, "msvs_loops")

    def work() -> str:
        runtime = Runtime(Settings(database_url=url, redis_url=engines.redis_url))

        async def running() -> str:
            return type(asyncio.get_running_loop()).__module__

        return runtime.run(running())

    assert await asyncio.to_thread(work) == "uvloop"


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_runs_on_it(name: str, tmp_path: Path) -> None:
    carriers = tmp_path / "carriers.toml"
    carriers.write_text(SMPP)
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "DATABASE_URL": "postgresql://localhost:1/none",
        "REDIS_URL": "redis://localhost:1/0",
        "MSVS_CARRIERS": str(carriers),
        "DATA_DIR": str(tmp_path),
    }
    told = subprocess.run(
        [sys.executable, "-c", PROBE, *PROCESSES[name]], env=environment, capture_output=True, text=True, check=False
    )
    assert "loop=uvloop.Loop" in told.stdout, told.stderr


def test_every_process_is_held_to_it(tmp_path: Path) -> None:
    """A new kind of process comes with a test of its loop."""
    carriers = tmp_path / "carriers.toml"
    carriers.write_text(SMPP)
    commands = {spec.argv[3] for spec in processes(Settings(carriers=carriers))}
    assert commands == {"api", "worker"} | PROCESSES.keys() - {"migrate"}
