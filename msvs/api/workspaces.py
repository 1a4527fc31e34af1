"""Workspaces: the tenants, their settings and what each starts with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids
from msvs.api.audit import AuditAction, changed, record_audit
from msvs.api.compliance import ALWAYS_BLOCKED
from msvs.api.context import Context
from msvs.api.credits import grant_credits
from msvs.api.errors import InvalidRequest
from msvs.api.jobs import Doorbell
from msvs.api.keys import create_key
from msvs.api.permissions import Permission, allow
from msvs.api.quiet_hours import check_timezone
from msvs.api.resources import optional_moment
from msvs.api.senders import check_sender
from msvs.api.unit_of_work import ring_after_commit
from msvs.database import Row, fetch
from msvs.models import CreditBalance, LedgerKind, Workspace

LIST = """
SELECT workspaces.id, workspaces.name, workspaces.created_at, workspaces.suspended_at, credit_balances.balance,
    (SELECT count(*) FROM memberships WHERE memberships.workspace_id = workspaces.id) AS users
FROM workspaces LEFT JOIN credit_balances ON credit_balances.workspace_id = workspaces.id ORDER BY workspaces.id
"""

MAX_NAME_LENGTH = 100
MAX_TEXT_LENGTH = 320
# Setting → its least and greatest value. Of the daily cap, zero stops live sending.
CAPS: Mapping[str, tuple[int, int]] = {
    "daily_credit_cap": (0, 1_000_000_000),
    "prefix_hourly_cap": (1, 1_000_000_000),
}


class UpdateWorkspace(msgspec.Struct, kw_only=True, frozen=True):
    """The settings to change; those left out stay. A cap of None is no cap."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    default_sender: str | msgspec.UnsetType = msgspec.UNSET
    double_opt_in: bool | msgspec.UnsetType = msgspec.UNSET
    quiet_hours: bool | msgspec.UnsetType = msgspec.UNSET
    campaigns_admit_unknown: bool | msgspec.UnsetType = msgspec.UNSET
    blocked_regions: list[str] | msgspec.UnsetType = msgspec.UNSET
    enabled_regions: list[str] | msgspec.UnsetType = msgspec.UNSET
    daily_credit_cap: int | msgspec.UnsetType | None = msgspec.UNSET
    prefix_hourly_cap: int | msgspec.UnsetType | None = msgspec.UNSET
    timezone: str | msgspec.UnsetType = msgspec.UNSET
    opt_in_text: str | msgspec.UnsetType = msgspec.UNSET
    opt_out_text: str | msgspec.UnsetType = msgspec.UNSET
    welcome_text: str | msgspec.UnsetType = msgspec.UNSET
    help_text: str | msgspec.UnsetType = msgspec.UNSET
    low_balance_threshold: int | msgspec.UnsetType = msgspec.UNSET


async def create_workspace(name: str, *, credits: int = 0) -> tuple[Workspace, str, str]:
    """Make a workspace with a balance and one key of each mode; the row, the test key and the live key."""
    if credits < 0:
        raise InvalidRequest("credits must not be negative.", param="credits", code="parameter_out_of_range")
    workspace = await Workspace.create(name=_checked_name(name))
    await CreditBalance.create(workspace_id=workspace.id)
    if credits:
        await grant_credits(
            workspace.id,
            credits,
            kind=LedgerKind.GRANT,
            reference=f"opening:{ids.encode_id(ids.WORKSPACE, workspace.id)}",
            note="Opening balance",
        )
    _, test_key = await create_key(workspace.id, livemode=False, name="Sandbox")
    _, live_key = await create_key(workspace.id, livemode=True, name="Live")
    return workspace, test_key, live_key


async def get_workspace(ctx: Context) -> Workspace:
    """The caller's workspace. Raises NotFound."""
    row = await Workspace.get_or_none(id=ctx.workspace_id)
    if row is None:
        raise ids.missing("workspace", ids.encode_id(ids.WORKSPACE, ctx.workspace_id))
    return row


async def update_workspace(ctx: Context, data: UpdateWorkspace) -> Workspace:
    """Change settings of the caller's workspace, for both modes. Raises InvalidRequest with `param`."""
    allow(ctx, Permission.WORKSPACE_WRITE)
    changes = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET}
    threshold = changes.pop("low_balance_threshold", None)
    checked = {name: _checked(name, value) for name, value in changes.items()}
    row = await get_workspace(ctx)
    differing = changed({name: getattr(row, name) for name in checked}, checked)
    if threshold is not None:
        if threshold < 0:
            raise _out_of_range("low_balance_threshold", "must not be negative")
        balance = await CreditBalance.get(workspace_id=ctx.workspace_id)
        differing |= changed(
            {"low_balance_threshold": balance.low_balance_threshold}, {"low_balance_threshold": threshold}
        )
        await CreditBalance.filter(workspace_id=ctx.workspace_id).update(low_balance_threshold=threshold)
    if checked:
        await Workspace.filter(id=ctx.workspace_id).update(**checked)
    if not differing:
        return row
    if "daily_credit_cap" in differing:
        # Campaigns that the cap had paused go on.
        ring_after_commit(Doorbell.CAMPAIGNS)
    await record_audit(ctx, AuditAction.WORKSPACE_UPDATED, ids.encode_id(ids.WORKSPACE, ctx.workspace_id), differing)
    return await get_workspace(ctx)


def _checked(name: str, value: Any) -> Any:
    if name == "name":
        return _checked_name(value)
    if name == "default_sender":
        return check_sender(value, param=name)
    if name in ("blocked_regions", "enabled_regions"):
        for position, region in enumerate(value):
            _check_region(region, f"{name}[{position}]", may_be_always_blocked=name == "blocked_regions")
        return sorted(set(value))
    if name in CAPS and value is not None:
        lowest, highest = CAPS[name]
        if not lowest <= value <= highest:
            raise _out_of_range(name, f"must be from {lowest} to {highest}, or null for none")
    if name == "timezone":
        return check_timezone(value)
    if name.endswith("_text") and not 0 < len(value.strip()) <= len(value) <= MAX_TEXT_LENGTH:
        raise _out_of_range(name, f"must have from 1 to {MAX_TEXT_LENGTH} characters")
    return value


def _check_region(region: str, param: str, *, may_be_always_blocked: bool) -> None:
    if region not in SUPPORTED_REGIONS:
        raise InvalidRequest(f"'{region[:10]}' is not an ISO 3166-1 region code.", param=param)
    if region in ALWAYS_BLOCKED and not may_be_always_blocked:
        raise InvalidRequest(f"{region} is always blocked and cannot be enabled.", param=param)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise _out_of_range("name", f"must have from 1 to {MAX_NAME_LENGTH} characters")
    return name


def _out_of_range(param: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"{param} {rule}.", param=param, code="parameter_out_of_range")


async def find_workspace(text: str) -> UUID:
    """The UUID of a workspace named by its public id, for operators. Raises NotFound."""
    id = ids.find_id(ids.WORKSPACE, text, "workspace")
    if not await Workspace.exists(id=id):
        raise ids.missing("workspace", text)
    return id


async def list_workspaces() -> Sequence[Row]:
    """Every workspace with its balance, its members and whether it is suspended, the oldest first; for operators."""
    return await fetch(LIST)


async def suspend_workspace(id: UUID) -> bool:
    """Have a workspace send nothing and its keys and users refused, until it is resumed; whether that is new."""
    return await _set_suspended(id, datetime.now(UTC))


async def resume_workspace(id: UUID) -> bool:
    """Let a suspended workspace go on where it stopped; whether that is new."""
    return await _set_suspended(id, None)


async def _set_suspended(id: UUID, moment: datetime | None) -> bool:
    row = await Workspace.select_for_update().get(id=id)
    if (row.suspended_at is None) == (moment is None):
        return False
    before, row.suspended_at = row.suspended_at, moment
    await row.save(update_fields=["suspended_at"])
    await record_audit(
        Context(id, livemode=True, actor="operator"),
        AuditAction.WORKSPACE_UPDATED,
        ids.encode_id(ids.WORKSPACE, id),
        {"suspended_at": [optional_moment(before), optional_moment(moment)]},
    )
    if moment is None:
        ring_after_commit(Doorbell.MESSAGES)
    return True
