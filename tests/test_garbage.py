"""Processes that live long leave what they loaded out of garbage collection."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from msvs import garbage

API = """
import uvicorn
from msvs import app
from msvs.settings import from_environment
uvicorn.Server.run = lambda server, *_: told()
app.serve(from_environment())
"""
WORKER = """
from msvs.settings import from_environment
from msvs.workers import worker
worker.Runtime = type("Runtime", (), {"__init__": lambda *_: None, "open": lambda _: None, "close": lambda _: None})
worker.require_safe_redis = lambda _: told()
worker.work(from_environment(), "messages", burst=True)
"""
TOLD = """
import gc, json, os
def told():
    loaded = gc.get_freeze_count()
    print(json.dumps([gc.get_threshold(), loaded > 50_000, len(gc.get_objects()) < loaded / 5]), flush=True)
    os._exit(0)
"""


def said_by(program: str, folder: Path) -> Any:
    """What a process says when it is about to begin its work: thresholds, and whether what it loaded is frozen."""
    environment = {
        "DATABASE_URL": "postgres://127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
        "DATA_DIR": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", TOLD + program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(
    ("program", "thresholds"), [(API, garbage.API), (WORKER, garbage.WORKERS)], ids=["api", "worker"]
)
def test_objects_loaded_at_the_start_are_not_collected(
    program: str, thresholds: garbage.Thresholds, tmp_path: Path
) -> None:
    assert said_by(program, tmp_path) == [list(thresholds), True, True]


def test_the_api_looks_through_all_else_before_it_piles_up() -> None:
    young, middle, old = garbage.API
    assert young * middle * old == 2_000_000
