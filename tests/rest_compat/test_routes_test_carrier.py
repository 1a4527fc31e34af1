"""/v1/test/carrier: what the sandbox's carrier does, drawn by a seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from msvs import database as db
from msvs.api.context import Context
from msvs.carriers.protocol import Submission
from msvs.carriers.scripts import SHARES, draw_script
from msvs.carriers.virtual import VirtualCarrier
from msvs.models.identity import new_id

BODY = "Doors open"


def drawn(shares: dict[str, float], *, seed: int = 7, segments: int = 1) -> list[Any]:
    return [
        draw_script(seed, shares, to=f"+1212555{number:04d}", body=BODY, segments=segments) for number in range(1000)
    ]


def test_a_seed_draws_the_same_again_and_another_does_not() -> None:
    shares = dict.fromkeys(SHARES, 0.5)
    assert drawn(shares) == drawn(shares) != drawn(shares, seed=8)


@pytest.mark.parametrize("name", SHARES)
def test_a_share_is_of_so_many_and_changes_no_other(name: str) -> None:
    none, some = drawn({}, segments=2), drawn({name: 0.2}, segments=2)
    changed = sum(before != after for before, after in zip(none, some, strict=True))
    assert 150 <= changed <= 250


def test_shares_do_what_they_say() -> None:
    assert {script.events for script in drawn({"loss": 1})} == {()}
    kinds = [[event.kind for event in script.events] for script in drawn({"duplicates": 1, "opt_outs": 1})]
    assert kinds == [["delivered", "delivered", "inbound"]] * 1000
    assert all(script.throttles_first for script in drawn({"throttling": 1}))
    late = Counter(script.events[0].after > 1 for script in drawn({"disorder": 1}))
    assert late[True] > 990
    assert {script.events[0].error_code for script in drawn({"partial_parts": 1}, segments=2)} == {"unreachable"}
    assert {script.events[0].error_code for script in drawn({"partial_parts": 1})} == {None}


async def test_the_carrier_of_a_sandbox_has_a_script(
    ctx: Context, live_ctx: Context, other_ctx: Context, api: httpx.AsyncClient
) -> None:
    assert (await api.get("/v1/test/carrier")).status_code == 404
    for body, param in (({"loss": 1.1}, "loss"), ({"throttling": -0.1}, "throttling"), ({"seed": -1}, "seed")):
        refused = await api.post("/v1/test/carrier", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
    made = (await api.post("/v1/test/carrier", json={"seed": 7, "loss": 1})).json()
    assert made == (await api.get("/v1/test/carrier")).json()
    assert (made["seed"], made["loss"], made["opt_outs"], made["livemode"]) == (7, 1.0, 0.0, False)

    def message(ctx: Context, to: str) -> Submission:
        return Submission(new_id(), ctx.workspace_id, ctx.livemode, to, "COHORT", BODY, "gsm7", 1, 1)

    lost, scripted = message(ctx, "+12125550101"), message(ctx, "+14155550104")
    others = [message(of, "+12125550101") for of in (live_ctx, other_ctx)]
    await VirtualCarrier().submit_many([lost, scripted, *others])
    told = {row.message_id for row in await db.fetch("SELECT message_id FROM virtual_signals ORDER BY id")}
    assert told == {scripted.message_id, *(each.message_id for each in others)}
    assert (await api.delete("/v1/test/carrier")).json()["deleted"] is True
    assert (await api.delete("/v1/test/carrier")).status_code == 404


async def test_a_live_key_scripts_no_carrier(live_ctx: Context, client: Any) -> None:
    live = await client(live_ctx)
    refused = await live.post("/v1/test/carrier", json={"loss": 1})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "sandbox_only")
