"""Test clocks: a workspace's sandbox lives in its own time, which moves on when it is told to.

A clock runs ahead of the real time. So all that waits in its sandbox is due in what is the future for the service's
workers, who never meet it; a clock's own job does what becomes due, in its order. Once the real time has come up to a
clock that stands still, the clock is over, and the sandbox goes on in real time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol
from uuid import UUID

from msvs import present
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, NotFound, PermissionDenied
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, moment
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.database import execute, fetch_row
from msvs.fields import AT, AwareTime, Request, about
from msvs.models import ClockStatus
from msvs.models.rows import SandboxClockRow

# How far ahead of the real time a clock begins at the least, and how far it ever gets.
LEAST_AHEAD = timedelta(hours=1)
MOST_AHEAD = timedelta(days=3660)
# A clock that the real time has come so close to is over.
OVER_WITHIN = timedelta(minutes=2)
MOST_AT_ONCE = timedelta(days=366)
# A process trusts what it read of a key for less: after that every request knows of a new clock, or of its end.
KNOWN_AFTER = timedelta(seconds=1)

CREATE_CLOCK = """
INSERT INTO test_clocks (id, workspace_id, status, frozen_at, target_at, tries, is_ending, created_at)
VALUES ($1, $2, 'advancing', $3, $4, 0, false, $5) ON CONFLICT (workspace_id) DO NOTHING RETURNING *
"""
MARK_CLOCKED = "UPDATE workspaces SET has_test_clock = $2 WHERE id = $1"
FIND_CLOCK = "SELECT * FROM test_clocks WHERE workspace_id = $1 AND NOT is_ending"
LOCK_CLOCK = f"{FIND_CLOCK} FOR UPDATE"
ADVANCE_CLOCK = """
UPDATE test_clocks SET status = 'advancing', target_at = $2, failure = NULL, tries = 0 WHERE id = $1 RETURNING *
"""
# What began at a time of the clock began, in real time, when the clock ended.
BRING_BACK_ENDPOINTS = """
UPDATE webhook_endpoints SET auto_replay_since = least(auto_replay_since, $2), failing_since = least(failing_since, $2)
WHERE workspace_id = $1 AND NOT livemode AND greatest(auto_replay_since, failing_since) > $2
"""
END_CLOCK = "UPDATE test_clocks SET is_ending = true WHERE id = $1"
DROP_CLOCK = """
DELETE FROM test_clocks WHERE id = $1 AND (lease_until IS NULL OR lease_until < $2 OR lease_token = $3::uuid)
RETURNING workspace_id
"""
FIND_CLOCK_TIME = "SELECT frozen_at FROM test_clocks WHERE workspace_id = $1 AND NOT is_ending AND frozen_at > $2"


class CreateTestClock(Request, frozen=True, kw_only=True):
    """A clock for the sandbox."""

    now: (
        Annotated[
            AwareTime,
            about(
                "The time at which the clock begins: at least an hour after the real time. An hour after it, if it is"
                " left out.",
                example="2031-03-03T09:00:00Z",
            ),
        ]
        | None
    ) = None


class AdvanceTestClock(Request, frozen=True, kw_only=True):
    """How far the clock moves on: `to` a time, or `by_seconds`."""

    to: Annotated[AwareTime, about("The time to move on to: later than the clock's.")] | None = None
    by_seconds: (
        Annotated[
            int,
            about(
                "The seconds to move on by.",
                example=86400,
                minimum=1,
                maximum=int(MOST_AT_ONCE.total_seconds()),
            ),
        ]
        | None
    ) = None


class TestClockResource(Resource, kw_only=True):
    """The clock of the sandbox.

    While it is `advancing` to `advancing_to`, what becomes due is done in its order, and `now` moves on. It is `ready`
    once all of it is done, and `failed` where something could not be, which `failure` names; it can be advanced again.
    """

    __test__ = False

    id: Annotated[str, about("The id.")]
    object: Literal["test_clock"] = "test_clock"
    livemode: Annotated[bool, about("Always false: a clock exists in the sandbox alone.")] = False
    status: Annotated[Literal["ready", "advancing", "failed"], about("What the clock does.")]
    now: Annotated[str, about("The time at which the sandbox is.", example=AT)]
    advancing_to: Annotated[str, about("The time to which it moves on; null while it stands.", example=AT)] | None
    failure: Annotated[str, about("What kind of thing failed; null if nothing did.", example="webhooks")] | None
    created_at: Annotated[str, about("When it was created, in real time.", example=AT)]


def test_clock_resource(row: SandboxClockRow) -> TestClockResource:
    """Return the public shape of a clock."""
    return TestClockResource(
        id=ids.encode_id(ids.TEST_CLOCK, row.id),
        status=ClockStatus(row.status).value,
        now=moment(row.frozen_at),
        advancing_to=None if row.target_at is None else moment(row.target_at),
        failure=row.failure,
        created_at=moment(row.created_at),
    )


async def create_test_clock(ctx: Context, data: CreateTestClock) -> SandboxClockRow:
    """Give the caller's sandbox a clock, which first advances to the time at which it begins.

    Raises PermissionDenied code `sandbox_only`, InvalidRequest and Conflict code `test_clock_exists`.
    """
    _check(ctx, Permission.WORKSPACE_WRITE)
    at = ctx.services.real_clock()
    begins_at = at + LEAST_AHEAD
    target = begins_at if data.now is None else data.now
    if target < begins_at - timedelta(minutes=1):
        raise InvalidRequest(
            "now must lie at least an hour after the real time: a sandbox with a clock runs ahead of it.",
            param="now",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    _check_far(target, at, "now")
    begins_at = min(begins_at, target)
    row = await fetch_row(SandboxClockRow, CREATE_CLOCK, ids.new_id(), ctx.workspace_id, begins_at, target, at)
    if row is None:
        raise Conflict("The sandbox has a clock already: delete it first.", code=ErrorCode.TEST_CLOCK_EXISTS)
    await execute(MARK_CLOCKED, ctx.workspace_id, True)
    notify_after_commit(WorkQueue.IMPORTS)
    return row


async def get_test_clock(ctx: Context) -> SandboxClockRow:
    """Return the clock of the caller's sandbox. Raises PermissionDenied, and NotFound where it has none."""
    _check(ctx, Permission.WORKSPACE_READ)
    return await _find(ctx, FIND_CLOCK)


async def advance_test_clock(ctx: Context, data: AdvanceTestClock) -> SandboxClockRow:
    """Have the clock of the caller's sandbox move on. Raises as create_test_clock, and NotFound where it has none.

    One that moves on already is Conflict code `test_clock_advancing`.
    """
    _check(ctx, Permission.WORKSPACE_WRITE)
    if data.to is None and data.by_seconds is None:
        raise InvalidRequest("Give either to or by_seconds.", param="to", code=ErrorCode.PARAMETER_MISSING)
    if data.to is not None and data.by_seconds is not None:
        raise InvalidRequest("Give either to or by_seconds.", param="by_seconds")
    if data.by_seconds is not None and not 1 <= data.by_seconds <= MOST_AT_ONCE.total_seconds():
        raise InvalidRequest(
            f"by_seconds must be from 1 to {MOST_AT_ONCE.total_seconds():.0f}, which is {MOST_AT_ONCE.days} days.",
            param="by_seconds",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    row = await _find(ctx, LOCK_CLOCK)
    if row.status == ClockStatus.ADVANCING:
        raise Conflict("The clock is advancing: wait until it is ready.", code=ErrorCode.TEST_CLOCK_ADVANCING)
    target = _target(data, row.frozen_at)
    _check_far(target, ctx.services.real_clock(), "by_seconds" if data.to is None else "to")
    advanced = await fetch_row(SandboxClockRow, ADVANCE_CLOCK, row.id, target)
    assert advanced is not None, "the row is locked"
    notify_after_commit(WorkQueue.IMPORTS)
    return advanced


def _target(data: AdvanceTestClock, stands_at: datetime) -> datetime:
    """Return the time to move on to. Raises InvalidRequest."""
    if data.to is not None:
        if data.to <= stands_at:
            raise InvalidRequest(
                "to must be later than the clock's time: time only moves forward.",
                param="to",
                code=ErrorCode.PARAMETER_OUT_OF_RANGE,
            )
        if data.to > stands_at + MOST_AT_ONCE:
            raise InvalidRequest(
                "to lies more than 366 days after the clock's time: advance in steps.",
                param="to",
                code=ErrorCode.PARAMETER_OUT_OF_RANGE,
            )
        return data.to
    assert data.by_seconds is not None, "one of both is given"
    return stands_at + timedelta(seconds=data.by_seconds)


async def delete_test_clock(ctx: Context) -> UUID:
    """Return the caller's sandbox to real time. Return the id of its clock. Raises PermissionDenied, NotFound.

    What waits keeps its time, which is then a real one. A job that is just doing something ends that first.
    """
    _check(ctx, Permission.WORKSPACE_WRITE)
    row = await _find(ctx, LOCK_CLOCK)
    if not await drop_test_clock(row.id, ctx.services.real_clock()):
        await execute(END_CLOCK, row.id)
        notify_after_commit(WorkQueue.IMPORTS)
    return row.id


async def drop_test_clock(id: UUID, at: datetime, token: UUID | None = None) -> bool:
    """Delete a clock that no job holds, or the one with this token. Return whether it is gone."""
    row = await fetch_row(DROP_CLOCK, id, at, token)
    if row is not None:
        await execute(MARK_CLOCKED, row.workspace_id, False)
        await execute(BRING_BACK_ENDPOINTS, row.workspace_id, at)
    return row is not None


class _Time(Protocol):
    frozen_at: datetime


async def enter_time(workspace_id: UUID) -> None:
    """Let the rest of this request happen at the time of a sandbox's clock; in real time, if it has none."""
    row = await fetch_row(_Time, FIND_CLOCK_TIME, workspace_id, present.real() + OVER_WITHIN)
    present.enter(None if row is None else row.frozen_at)


def _check(ctx: Context, permission: Permission) -> None:
    allow(ctx, permission)
    if ctx.livemode:
        raise PermissionDenied("A test clock exists in the sandbox only.", code=ErrorCode.SANDBOX_ONLY)


def _check_far(target: datetime, at: datetime, param: str) -> None:
    if target > at + MOST_AHEAD:
        raise InvalidRequest(
            f"{param} leads more than ten years beyond the real time.",
            param=param,
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )


async def _find(ctx: Context, statement: str) -> SandboxClockRow:
    row = await fetch_row(SandboxClockRow, statement, ctx.workspace_id)
    if row is None:
        raise NotFound("The sandbox has no clock: it lives in real time.")
    return row
