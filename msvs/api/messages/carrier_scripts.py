"""Scripts of the sandbox's carrier: how often it loses, repeats, delays or throttles, drawn by a seed."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest, NotFound, PermissionDenied
from msvs.api.ids import WORKSPACE, encode_id
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment
from msvs.database import fetch_row
from msvs.fields import AT, Request, about
from msvs.models.rows import CarrierScriptRow

MAX_SEED = 2**53 - 1

STORE_SCRIPT = """
INSERT INTO carrier_scripts (workspace_id, seed, probabilities, created_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (workspace_id) DO UPDATE SET seed = excluded.seed, probabilities = excluded.probabilities,
    created_at = excluded.created_at
RETURNING *
"""
FIND_SCRIPT = "SELECT * FROM carrier_scripts WHERE workspace_id = $1"
DROP_SCRIPT = "DELETE FROM carrier_scripts WHERE workspace_id = $1 RETURNING *"

_LIMITS: dict[str, object] = {"minimum": 0, "maximum": 1}
Loss = Annotated[float, about("The share of messages of which no report ever comes.", example=0.02, **_LIMITS)]
Duplicates = Annotated[float, about("The share of reports that come twice.", example=0.1, **_LIMITS)]
Disorder = Annotated[float, about("The share of reports that are up to an hour late.", example=0.1, **_LIMITS)]
PartialParts = Annotated[
    float,
    about(
        "The share of messages of several parts of which a part is lost: they fail as `unreachable`.",
        example=0.05,
        **_LIMITS,
    ),
]
Throttling = Annotated[float, about("The share of messages that are throttled once.", example=0.2, **_LIMITS)]
OptOuts = Annotated[float, about("The share of messages that are answered with STOP.", example=0.01, **_LIMITS)]


class ScriptTestCarrier(Request, frozen=True, kw_only=True):
    """What the sandbox's carrier does: shares from 0 to 1. The same seed does the same to the same messages."""

    seed: Annotated[int, about("The seed of what is drawn.", example=7, minimum=0, maximum=MAX_SEED)] = 0
    loss: Loss = 0.0
    duplicates: Duplicates = 0.0
    disorder: Disorder = 0.0
    partial_parts: PartialParts = 0.0
    throttling: Throttling = 0.0
    opt_outs: OptOuts = 0.0


SHARES = tuple(name for name in ScriptTestCarrier.__struct_fields__ if name != "seed")


class TestCarrierResource(Resource, kw_only=True):
    """The script of the sandbox's carrier. The sandbox's numbers do what is documented of them all the same."""

    __test__ = False

    object: Literal["test_carrier"] = "test_carrier"
    livemode: Annotated[bool, about("Always false: live messages have real carriers.")] = False
    seed: Annotated[int, about("The seed of what is drawn.", example=7)]
    loss: Loss
    duplicates: Duplicates
    disorder: Disorder
    partial_parts: PartialParts
    throttling: Throttling
    opt_outs: OptOuts
    created_at: Annotated[str, about("When it was set.", example=AT)]


def test_carrier_resource(row: CarrierScriptRow) -> TestCarrierResource:
    """Return the public shape of a script."""
    shown = {name: float(str(row.probabilities.get(name, 0))) for name in SHARES}
    return TestCarrierResource(
        seed=row.seed,
        loss=shown["loss"],
        duplicates=shown["duplicates"],
        disorder=shown["disorder"],
        partial_parts=shown["partial_parts"],
        throttling=shown["throttling"],
        opt_outs=shown["opt_outs"],
        created_at=moment(row.created_at),
    )


async def script_test_carrier(ctx: Context, data: ScriptTestCarrier) -> CarrierScriptRow:
    """Set what the carrier of the caller's sandbox does, in place of what it did. Raises InvalidRequest.

    Raises PermissionDenied code `sandbox_only`, too.
    """
    _check(ctx, Permission.WORKSPACE_WRITE)
    if not 0 <= data.seed <= MAX_SEED:
        raise InvalidRequest(f"seed must be from 0 to {MAX_SEED}.", param="seed", code=ErrorCode.PARAMETER_OUT_OF_RANGE)
    shares = {name: float(getattr(data, name)) for name in SHARES}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise InvalidRequest(f"{name} must be from 0 to 1.", param=name, code=ErrorCode.PARAMETER_OUT_OF_RANGE)
    row = await fetch_row(CarrierScriptRow, STORE_SCRIPT, ctx.workspace_id, data.seed, shares, ctx.services.clock())
    assert row is not None, "it was written"
    return row


async def get_test_carrier(ctx: Context) -> CarrierScriptRow:
    """Return the script of the carrier of the caller's sandbox. Raises PermissionDenied, NotFound."""
    _check(ctx, Permission.WORKSPACE_READ)
    return await _found(ctx, FIND_SCRIPT)


async def delete_test_carrier(ctx: Context) -> UUID:
    """Let the carrier of the caller's sandbox deliver all again. Return the workspace's id. Raises as the getter."""
    _check(ctx, Permission.WORKSPACE_WRITE)
    return (await _found(ctx, DROP_SCRIPT)).workspace_id


async def _found(ctx: Context, statement: str) -> CarrierScriptRow:
    row = await fetch_row(CarrierScriptRow, statement, ctx.workspace_id)
    if row is None:
        where = encode_id(WORKSPACE, ctx.workspace_id)
        raise NotFound(f"The carrier of the sandbox of {where} has no script: it delivers everything.")
    return row


def _check(ctx: Context, permission: Permission) -> None:
    allow(ctx, permission)
    if ctx.livemode:
        raise PermissionDenied("The carrier of the sandbox alone has a script.", code=ErrorCode.SANDBOX_ONLY)
