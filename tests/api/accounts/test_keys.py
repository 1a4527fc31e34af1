from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from msvs.api.accounts.keys import (
    BASE62,
    create_key,
    digest_key,
    get_key,
    issue_key,
    list_keys,
    make_key,
    parse_key,
    revoke_key,
    roll_key,
)
from msvs.api.accounts.workspaces import UpdateWorkspace, create_workspace, get_workspace, update_workspace
from msvs.api.context import Context
from msvs.api.credits.credits import low_balance_threshold
from msvs.api.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.unit_of_work import unit_of_work
from msvs.models import ApiKey, CreditBalance, Role, Workspace

DAY = timedelta(days=1)


@pytest.fixture
def ctx(ctx: Context) -> Context:
    return replace(ctx, role=Role.ADMIN)


@pytest.fixture
def live_ctx(live_ctx: Context) -> Context:
    return replace(live_ctx, role=Role.ADMIN)


@pytest.fixture
def other_ctx(other_ctx: Context) -> Context:
    return replace(other_ctx, role=Role.ADMIN)


@pytest.mark.parametrize("role", [None, Role.MEMBER, Role.READ_ONLY])
async def test_only_admins_manage_keys(ctx: Context, role: Role | None) -> None:
    row, _ = await create_key(ctx.workspace_id, livemode=False)
    caller = replace(ctx, role=role)
    for refused in (issue_key(caller), roll_key(caller, row.id), revoke_key(caller, row.id)):
        with pytest.raises(PermissionDenied):
            await refused
    if role is not None:
        with pytest.raises(PermissionDenied):
            await list_keys(caller)
    assert await ApiKey.filter(workspace_id=ctx.workspace_id, revoked_at=None, expires_at=None).count() == 1


@pytest.mark.parametrize(("livemode", "prefix"), [(True, "msvs_live_"), (False, "msvs_test_")])
def test_a_key_has_its_prefix_thirty_random_characters_and_six_of_their_crc(livemode: bool, prefix: str) -> None:
    key = make_key(livemode)
    body, checksum = key[10:40], key[40:]
    assert key.startswith(prefix)
    assert len(key) == 46
    assert sum(BASE62.index(c) * 62**n for n, c in enumerate(reversed(checksum))) == zlib.crc32(body.encode())
    assert parse_key(key) is livemode


def test_keys_differ() -> None:
    assert len({make_key(False) for _ in range(100)}) == 100


KEY = make_key(False)
# Two letters in a row that differ.
SWAPPED = next(place for place in range(20, len(KEY)) if KEY[place] != KEY[place + 1])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "msvs_test_",
        KEY[:-1],
        KEY + "0",
        KEY + "\n",
        " " + KEY,
        KEY.upper(),
        KEY.replace("msvs_test_", "msvs_live_")[:-1] + ("0" if KEY[-1] != "0" else "1"),
        KEY.replace("msvs_test_", "msvs_prod_"),
        KEY[:20] + ("a" if KEY[20] != "a" else "b") + KEY[21:],
        KEY[:20] + "é" + KEY[21:],
        KEY[:SWAPPED] + KEY[SWAPPED + 1] + KEY[SWAPPED] + KEY[SWAPPED + 2 :],
    ],
)
def test_a_mistyped_key_is_known_by_itself(text: str) -> None:
    assert parse_key(text) is None


async def test_only_the_hash_of_a_key_is_kept(workspace: Workspace) -> None:
    row, text = await create_key(workspace.id, livemode=True, name="Checkout")
    kept = await ApiKey.get(id=row.id)
    assert (kept.name, kept.livemode, kept.digest) == ("Checkout", True, digest_key(text))
    assert (kept.prefix, kept.last4) == (text[:14], text[-4:])
    assert text not in str(dict(kept))


async def test_a_mode_lists_its_own_keys_newest_first(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    first, _ = await create_key(ctx.workspace_id, livemode=False)
    second, _ = await create_key(ctx.workspace_id, livemode=False)
    live, _ = await create_key(ctx.workspace_id, livemode=True)
    assert [row.id for row in await list_keys(ctx)] == [second.id, first.id]
    assert [row.id for row in await list_keys(live_ctx)] == [live.id]
    assert await list_keys(other_ctx) == []


async def test_rolling_gives_the_old_key_an_end(ctx: Context) -> None:
    old, _ = await create_key(ctx.workspace_id, livemode=False, name="Checkout")
    before = datetime.now(UTC)
    new, text = await roll_key(ctx, old.id)
    old = await get_key(ctx, old.id)
    assert old.expires_at is not None
    assert before + DAY <= old.expires_at <= datetime.now(UTC) + DAY
    assert (new.name, new.livemode, new.expires_at) == ("Checkout", False, None)
    assert parse_key(text) is False


async def test_rolling_again_never_prolongs_a_key(ctx: Context) -> None:
    old, _ = await create_key(ctx.workspace_id, livemode=False)
    await roll_key(ctx, old.id, expires_in=timedelta(hours=1))
    first_end = (await get_key(ctx, old.id)).expires_at
    await roll_key(ctx, old.id, expires_in=7 * DAY)
    assert (await get_key(ctx, old.id)).expires_at == first_end


@pytest.mark.parametrize("expires_in", [timedelta(seconds=-1), 7 * DAY + timedelta(seconds=1)])
async def test_a_key_rolls_within_seven_days(ctx: Context, expires_in: timedelta) -> None:
    old, _ = await create_key(ctx.workspace_id, livemode=False)
    with pytest.raises(InvalidRequest) as caught:
        await roll_key(ctx, old.id, expires_in=expires_in)
    assert (caught.value.code, caught.value.param) == ("parameter_out_of_range", "expires_in")
    assert await ApiKey.all().count() == 1


async def test_a_key_that_ended_does_not_roll(ctx: Context) -> None:
    revoked, _ = await create_key(ctx.workspace_id, livemode=False)
    await revoke_key(ctx, revoked.id)
    expired, _ = await create_key(ctx.workspace_id, livemode=False)
    await roll_key(ctx, expired.id, expires_in=timedelta(0))
    for row, code in ((revoked, "api_key_revoked"), (expired, "api_key_expired")):
        with pytest.raises(Conflict) as caught:
            await roll_key(ctx, row.id)
        assert caught.value.code == code


async def test_revoking_again_keeps_the_first_time(ctx: Context) -> None:
    row, _ = await create_key(ctx.workspace_id, livemode=False)
    first = await revoke_key(ctx, row.id)
    assert first.revoked_at is not None
    assert (await revoke_key(ctx, row.id)).revoked_at == first.revoked_at


async def test_a_key_of_another_mode_or_workspace_is_not_there(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    row, _ = await create_key(ctx.workspace_id, livemode=False)
    for stranger in (live_ctx, other_ctx):
        for operation in (get_key, revoke_key, roll_key):
            with pytest.raises(NotFound):
                await operation(stranger, row.id)
    kept = await get_key(ctx, row.id)
    assert (kept.revoked_at, kept.expires_at) == (None, None)


async def test_a_workspace_starts_with_a_balance_and_a_key_of_each_mode(clean: None) -> None:
    async with unit_of_work():
        row, test_key, live_key = await create_workspace(" Cohort Labs ", credits=250)
    assert row.name == "Cohort Labs"
    assert (parse_key(test_key), parse_key(live_key)) == (False, True)
    assert {key.digest for key in await ApiKey.filter(workspace_id=row.id)} == {
        digest_key(test_key),
        digest_key(live_key),
    }
    balance = await CreditBalance.get(workspace_id=row.id)
    assert (balance.balance, balance.total_lifetime) == (250, 250)


@pytest.mark.parametrize(("name", "credits", "param"), [("", 0, "name"), ("x" * 101, 0, "name"), ("a", -1, "credits")])
async def test_a_workspace_needs_a_name(clean: None, name: str, credits: int, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await create_workspace(name, credits=credits)
    assert caught.value.param == param
    assert await Workspace.all().count() == 0


async def test_settings_change_one_by_one(ctx: Context, other_ctx: Context) -> None:
    before = await get_workspace(other_ctx)
    row = await update_workspace(
        ctx,
        UpdateWorkspace(
            default_sender="COHORT",
            blocked_regions=["RU", "BY", "RU"],
            timezone="Europe/Lisbon",
            low_balance_threshold=5,
        ),
    )
    assert (row.default_sender, row.blocked_regions, row.timezone) == ("COHORT", ["BY", "RU"], "Europe/Lisbon")
    assert (row.name, row.double_opt_in) == ("Cohort Labs", False)
    assert await low_balance_threshold(ctx) == 5
    assert dict(await get_workspace(other_ctx)) == dict(before)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"name": " "}, "name"),
        ({"default_sender": "much too long a name"}, "default_sender"),
        ({"blocked_regions": ["PT", "ZZ"]}, "blocked_regions[1]"),
        ({"timezone": "Mars/Base"}, "timezone"),
        ({"timezone": "../etc"}, "timezone"),
        ({"help_text": " "}, "help_text"),
        ({"opt_out_text": "x" * 321}, "opt_out_text"),
        ({"low_balance_threshold": -1}, "low_balance_threshold"),
    ],
)
async def test_a_bad_setting_changes_nothing(ctx: Context, change: dict[str, object], param: str) -> None:
    before = dict(await get_workspace(ctx))
    with pytest.raises(InvalidRequest) as caught:
        await update_workspace(ctx, UpdateWorkspace(**change))
    assert caught.value.param == param
    assert dict(await get_workspace(ctx)) == before
