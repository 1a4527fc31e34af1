"""What an operator does about workspaces and users: suspension, users of their making, and who may sign up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import auth, login_sessions, users, workspaces
from msvs.api.accounts.keys import create_key
from msvs.api.context import Context, Visitor
from msvs.api.dispatch import claims
from msvs.api.dispatch.lanes import Lane, find_lanes, has_due
from msvs.api.errors import PermissionDenied
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.models import Message, User, Workspace
from msvs.settings import Settings, SettingsError, from_environment
from tests import factories
from tests.engines import Engines
from tests.graphql_api.browser import Browser, document
from tests.services import SERVICES

EMAIL = "ada@cohortlabs.co"
PASSWORD = "correct-horse-battery"


def run(database: str, folder: Path, *argv: str) -> Any:
    env = os.environ | {"DATABASE_URL": database, "DATA_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-m", "msvs", *argv, "--json"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def suspend(ctx: Context) -> bool:
    async with unit_of_work():
        return await workspaces.suspend_workspace(SERVICES, ctx.workspace_id)


async def resume(ctx: Context) -> bool:
    async with unit_of_work():
        return await workspaces.resume_workspace(SERVICES, ctx.workspace_id)


async def test_a_suspended_workspace_sends_nothing_until_it_is_resumed(ctx: Context, other_ctx: Context) -> None:
    async with unit_of_work():
        await send_message(ctx, SendMessage(to="+14155550123", body="Doors open"))
        await send_message(other_ctx, SendMessage(to="+14155550123", body="Doors open"))
    (before,) = [lane for lane in await find_lanes(SERVICES, await db.now()) if lane.workspace_id == ctx.workspace_id]
    assert await suspend(ctx)
    assert not await suspend(ctx)
    now = await db.now()
    # A worker that had found the lane before takes nothing of it either.
    async with unit_of_work():
        assert await claims.claim(SERVICES, before, carrier="virtual", limit=10, now=now) is None
    assert {lane.workspace_id for lane in await find_lanes(SERVICES, now)} == {other_ctx.workspace_id}
    assert await Message.get(workspace_id=ctx.workspace_id).values_list("status", flat=True) == "queued"
    assert await resume(ctx)
    assert not await resume(ctx)
    async with unit_of_work():
        taken = await claims.claim(SERVICES, before, carrier="virtual", limit=10, now=await db.now())
    assert taken is not None
    assert len(taken.messages) == 1
    actions = await db.fetch(
        "SELECT actor, changes FROM audit_entries WHERE workspace_id = $1 ORDER BY id", ctx.workspace_id
    )
    assert [(row.actor, list(row.changes)) for row in actions] == [("operator", ["suspended_at"])] * 2


async def test_a_suspended_workspaces_campaigns_wait(ctx: Context) -> None:
    campaign = await _running_campaign(ctx)
    lane = Lane(ctx.workspace_id, ctx.livemode, campaign)
    assert lane in await find_lanes(SERVICES, await db.now())
    await suspend(ctx)
    assert lane not in await find_lanes(SERVICES, await db.now())
    assert not await has_due(SERVICES, await db.now())


async def _running_campaign(ctx: Context) -> UUID:
    from msvs.models import Campaign

    now = datetime.now(UTC)
    campaign = await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name="Doors",
        body="x",
        sender="MASSIVESMS",
        audience={},
        status="sending",
    )
    async with unit_of_work():
        sent = await send_message(ctx, SendMessage(to="+14155550123", body="Doors open"))
    await Message.filter(id=sent.id).update(campaign_id=campaign.id, due_at=now)
    return campaign.id


async def test_its_keys_and_users_are_reported(database: str, engines: Engines, ctx: Context, tmp_path: Path) -> None:
    _, key = await create_key(ctx.workspace_id, livemode=False)
    async with unit_of_work():
        await users.create_user(
            SERVICES, email=EMAIL, name="Ada", password=PASSWORD, workspace_id=ctx.workspace_id, role=users.Role.OWNER
        )
    opened = await login_sessions.log_in(Visitor(services=SERVICES), email=EMAIL, password=PASSWORD)
    await suspend(ctx)
    identity = await login_sessions.authenticate_session(SERVICES, opened.token)
    with pytest.raises(PermissionDenied) as told:
        login_sessions.enter_workspace(identity, ctx.workspace_id, Visitor(services=SERVICES), livemode=True)
    assert told.value.code == "workspace_suspended"
    app = create_app(Settings(database_url=database, redis_url=engines.redis_url, data_dir=tmp_path), SERVICES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://msvs") as client:
        bearer = {"Authorization": f"Bearer {key}"}
        refused = await client.post("/v1/messages", json={"to": "+14155550123", "body": "x"}, headers=bearer)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "workspace_suspended")
        assert await Message.all().count() == 0
        await resume(ctx)
        await asyncio.sleep(auth.TRUST_SECONDS)
        assert (await client.get("/v1/credits", headers=bearer)).status_code == 200
    await app.state.limiter.close()
    await app.state.readiness.close()


async def test_the_commands(database: str, workspace: Workspace, tmp_path: Path) -> None:
    id = ids.encode_id(ids.WORKSPACE, workspace.id)
    made = run(database, tmp_path, "users", "create", "--workspace", id, "--name", "Ada", "Ada@CohortLabs.co")
    assert (
        await login_sessions.log_in(Visitor(services=SERVICES), email=EMAIL, password=made["password"])
    ).user_id is not None
    (listed,) = run(database, tmp_path, "users", "list")
    assert (listed["email"], listed["workspaces"]) == (EMAIL, [id])
    reset = run(database, tmp_path, "users", "reset", EMAIL)
    assert (reset["id"], reset["password"] != made["password"]) == (listed["id"], True)
    assert await db.fetch_value("SELECT count(*) FROM sessions") == 0
    with pytest.raises(Exception, match="password"):
        await login_sessions.log_in(Visitor(services=SERVICES), email=EMAIL, password=made["password"])
    await login_sessions.log_in(Visitor(services=SERVICES), email=EMAIL, password=reset["password"])
    (shown,) = run(database, tmp_path, "workspaces", "list")
    assert (shown["id"], shown["balance"], shown["users"], shown["suspended_at"]) == (id, 10_000, 1, None)
    assert run(database, tmp_path, "workspaces", "suspend", id) == {"id": id, "suspended": True, "changed": True}
    assert run(database, tmp_path, "workspaces", "list")[0]["suspended_at"] is not None
    assert run(database, tmp_path, "workspaces", "resume", id) == {"id": id, "suspended": False, "changed": True}


@pytest.mark.parametrize(
    ("policy", "invited", "may"), [("off", True, False), ("invitation", False, False), ("open", False, True)]
)
async def test_who_may_sign_up(clean: None, policy: str, invited: bool, may: bool) -> None:
    await factories.make_workspace()
    data = users.SignUp(EMAIL, PASSWORD, "Ada", None if invited else "Studio", "an-invitation" if invited else None)
    before = await Workspace.all().count()
    if may:
        async with unit_of_work():
            await users.sign_up(Visitor(sign_up=policy, services=SERVICES), data)
        return
    with pytest.raises(PermissionDenied) as told:
        async with unit_of_work():
            await users.sign_up(Visitor(sign_up=policy, services=SERVICES), data)
    assert told.value.code == "sign_up_closed"
    assert (await User.all().count(), await Workspace.all().count()) == (0, before)


@pytest.mark.parametrize(
    ("environment", "policy"),
    [
        ({}, "open"),
        ({"MSVS_ENV": "production", "MSVS_SECRET_KEY": "k" * 32}, "invitation"),
        ({"MSVS_ENV": "production", "MSVS_SECRET_KEY": "k" * 32, "MSVS_SIGN_UP": "open"}, "open"),
        ({"MSVS_SIGN_UP": "off"}, "off"),
    ],
)
def test_the_setting_of_sign_up(environment: dict[str, str], policy: str) -> None:
    assert from_environment(environment).sign_up_policy == policy


def test_a_wrong_setting_of_sign_up_is_reported() -> None:
    with pytest.raises(SettingsError, match="MSVS_SIGN_UP must be open, invitation or off"):
        from_environment({"MSVS_SIGN_UP": "closed"})


async def test_graphql_refuses_to_sign_up_where_it_is_off(
    clean: None, database: str, engines: Engines, tmp_path: Path
) -> None:
    settings = Settings(
        database_url=database,
        redis_url=engines.redis_url,
        data_dir=tmp_path,
        sign_up="off",
        allowed_hosts=("api.cohortlabs.co", "app.cohortlabs.co"),
    )
    app = create_app(settings, SERVICES)
    given = {"email": EMAIL, "password": PASSWORD, "name": "Ada", "workspaceName": "Studio"}
    browser = Browser(app)
    told = (await browser.run(document("SignUp"), {"input": given}))["signUp"]
    await browser.http.aclose()
    await app.state.limiter.close()
    await app.state.readiness.close()
    assert (told["__typename"], told["code"]) == ("PermissionError", "sign_up_closed")
    assert await User.all().count() == 0
