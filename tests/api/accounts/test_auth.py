from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts import auth
from msvs.api.accounts.auth import authenticate
from msvs.api.accounts.keys import create_key, make_key, revoke_key, roll_key
from msvs.api.context import Context, Services
from msvs.api.errors import AuthenticationFailed
from msvs.models import ApiKey, Role, Workspace

# Of their own, so that no other test meets the keys of a clock that is moved by hand.
SERVICES = Services()


@pytest.fixture
def monotonic(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The process's clock for trust and notes of use, moved by hand."""
    now = [1_000_000.0]
    monkeypatch.setattr(auth, "monotonic", lambda: now[0])
    return now


async def refusal(authorization: str | None) -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as caught:
        await authenticate(SERVICES, authorization)
    return caught.value


async def test_a_key_makes_a_context(workspace: Workspace) -> None:
    for livemode in (False, True):
        row, text = await create_key(workspace.id, livemode=livemode)
        expected = Context(workspace.id, livemode, ids.encode_id(ids.API_KEY, row.id), "req_1", services=SERVICES)
        assert await authenticate(SERVICES, f"Bearer {text}", "req_1") == expected
        assert await authenticate(SERVICES, f"bearer  {text} ", "req_1") == expected
    await auth.settle(SERVICES)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "api_key_missing"),
        ("", "api_key_missing"),
        ("Bearer", "api_key_missing"),
        ("Bearer  ", "api_key_missing"),
        ("Basic bXN2czo=", "api_key_malformed"),
        ("Bearer nonsense", "api_key_malformed"),
        ("Bearer msvs_live_4f2a...", "api_key_malformed"),
        ("Bearer \xe9", "api_key_malformed"),
        (make_key(False), "api_key_malformed"),
    ],
)
async def test_a_malformed_key_costs_no_query(authorization: str | None, code: str) -> None:
    # No fixture connects to a database here.
    assert (await refusal(authorization)).code == code


async def test_an_unknown_key_is_not_echoed(clean: None) -> None:
    text = make_key(True)
    error = await refusal(f"Bearer {text}")
    assert error.code == "api_key_invalid"
    assert error.message == f"No such API key: {text[:14]}…{text[-4:]}."


async def test_a_revoked_key_is_refused_once_trust_has_run_out(ctx: Context, monotonic: list[float]) -> None:
    row, text = await create_key(ctx.workspace_id, livemode=False)
    await authenticate(SERVICES, f"Bearer {text}")
    await revoke_key(replace(ctx, role=Role.OWNER), row.id)
    monotonic[0] += auth.TRUST_SECONDS
    error = await refusal(f"Bearer {text}")
    assert (error.code, text in error.message) == ("api_key_revoked", False)
    await auth.settle(SERVICES)


async def test_trust_is_shorter_than_what_is_promised(ctx: Context, monotonic: list[float]) -> None:
    assert auth.TRUST_SECONDS <= 0.75
    _, text = await create_key(ctx.workspace_id, livemode=False)
    await authenticate(SERVICES, f"Bearer {text}")
    await ApiKey.all().delete()
    monotonic[0] += auth.TRUST_SECONDS - 0.01
    assert (await authenticate(SERVICES, f"Bearer {text}")).workspace_id == ctx.workspace_id
    monotonic[0] += 0.01
    assert (await refusal(f"Bearer {text}")).code == "api_key_invalid"
    await auth.settle(SERVICES)


async def test_a_rolled_key_ends_at_its_time_even_while_trusted(ctx: Context, monotonic: list[float]) -> None:
    row, text = await create_key(ctx.workspace_id, livemode=False)
    _, new_text = await roll_key(replace(ctx, role=Role.OWNER), row.id, expires_in=timedelta(milliseconds=40))
    await asyncio.sleep(0.05)
    assert (await refusal(f"Bearer {text}")).code == "api_key_expired"
    assert (await authenticate(SERVICES, f"Bearer {new_text}")).workspace_id == ctx.workspace_id
    await auth.settle(SERVICES)


async def test_requests_at_the_same_moment_share_one_reading(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = 0

    async def counted(*values: object) -> object:
        nonlocal readings
        readings += 1
        return await db.fetch_row(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(auth, "fetch_row", counted)
    _, text = await create_key(workspace.id, livemode=False)
    contexts = await asyncio.gather(*(authenticate(SERVICES, f"Bearer {text}") for _ in range(50)))
    assert {ctx.workspace_id for ctx in contexts} == {workspace.id}
    assert readings == 1
    await auth.settle(SERVICES)


async def test_use_is_noted_once_a_minute(ctx: Context, monotonic: list[float]) -> None:
    row, text = await create_key(ctx.workspace_id, livemode=False)

    async def used_at() -> datetime | None:
        await authenticate(SERVICES, f"Bearer {text}")
        await auth.settle(SERVICES)
        return (await ApiKey.get(id=row.id)).last_used_at

    first = await used_at()
    assert first is not None
    assert datetime.now(UTC) - first < timedelta(minutes=1)
    await ApiKey.filter(id=row.id).update(last_used_at=first - timedelta(minutes=5))
    assert await used_at() == first - timedelta(minutes=5)
    monotonic[0] += 60
    assert await used_at() != first - timedelta(minutes=5)
    # Another process noted it a moment ago.
    noted = (await ApiKey.get(id=row.id)).last_used_at
    monotonic[0] += 60
    assert await used_at() == noted
