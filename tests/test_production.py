"""The page for operators, as far as a test can follow it: its commands in production, on a new database."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import asyncpg

from tests.engines import Engines, create_database

PAGE = (Path(__file__).resolve().parents[1] / "docs/operations.md").read_text()


def blocks(title: str) -> list[str]:
    """The shell blocks of a section of the page."""
    section = re.split(r"^#{2,3} ", PAGE.partition(f"### {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no commands under {title}"
    return found


async def test_from_a_new_database_to_a_workspace_with_its_owner(engines: Engines, tmp_path: Path) -> None:
    url = await create_database(engines.database_url, "msvs_test_production")
    commands = tmp_path / "msvs"
    commands.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m msvs "$@"\n')
    commands.chmod(0o755)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    env = kept | {
        "PATH": f"{tmp_path}:{kept['PATH']}",
        "MSVS_ENV": "production",
        "MSVS_SECRET_KEY": "R4xq7Jm2vT9sLw0dYb5uKc8nHf1gZe6aPo3iQtVxWyE=",
        "MSVS_OPERATOR_PASSWORD": "N7vq2Xw9Lr4tBz6mKs1dHc8y",
        "MSVS_METRICS_TOKEN": "Wb3kT8yQz5nV1xJr7pLd0mGs4hCf9uEa2oIi6jRvXwU=",
        "DATABASE_URL": url,
        "REDIS_URL": engines.redis_url,
        "DATA_DIR": str(tmp_path),
    }
    script = "\n".join(["set -eu", *blocks("The schema, a workspace and its owner"), *blocks("Monitoring")])
    done = subprocess.run(  # noqa: ASYNC221
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("SELECT name FROM workspaces") == "Cohort Labs"
        assert await connection.fetchval("SELECT email FROM users") == "ada@cohortlabs.example"
        assert await connection.fetchval("SELECT balance FROM credit_balances") == 10_000
    finally:
        await connection.close()
