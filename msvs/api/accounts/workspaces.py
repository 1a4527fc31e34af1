"""Workspaces: the tenants, their settings and their defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids
from msvs.api.accounts.keys import create_key
from msvs.api.audit import AuditAction, changed, record_audit
from msvs.api.context import OPERATOR, Context, Services
from msvs.api.credits.credits import grant_credits, low_balance_threshold
from msvs.api.dispatch.frequency import MAX_CAP
from msvs.api.dispatch.senders import check_sender, claim_default
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, PermissionDenied, check_version
from msvs.api.permissions import ROLES, Permission, allow
from msvs.api.resources import optional_moment, workspace_version
from msvs.api.settings_of_mode import MAX_TEXT_LENGTH, find_settings
from msvs.api.text.compliance import ALWAYS_BLOCKED
from msvs.api.text.quiet_hours import check_timezone
from msvs.api.text.templates import is_visible
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.database import Row, execute, fetch, fetch_value
from msvs.fields import REGION_PATTERN, Request, Sender, Version, about, named
from msvs.models import CreditBalance, LedgerKind, Workspace
from msvs.models.workspaces import IS_HELD

LIST = f"""
SELECT workspaces.id, workspaces.name, workspaces.created_at, workspaces.deletes_at, workspaces.erased_at,
    CASE WHEN {IS_HELD} THEN workspaces.suspended_at END AS held_at, credit_balances.balance,
    (SELECT count(*) FROM memberships WHERE memberships.workspace_id = workspaces.id) AS users
FROM workspaces LEFT JOIN credit_balances ON credit_balances.workspace_id = workspaces.id ORDER BY workspaces.id
"""
# The row lock makes a concurrent deletion wait for the grant.
IS_KEPT = "SELECT deletes_at IS NULL FROM workspaces WHERE id = $1 FOR SHARE"

MAX_NAME_LENGTH = 100
# How long before a conversion what it is attributed to may lie, in hours.
WINDOWS = ("click_window_hours", "message_window_hours")
# Setting → its least and greatest value. Of the daily cap, zero stops live sending.
CAPS: Mapping[str, tuple[int, int]] = {
    "daily_credit_cap": (0, 1_000_000_000),
    "prefix_hourly_cap": (1, 1_000_000_000),
    "contact_daily_cap": (1, MAX_CAP),
    "contact_weekly_cap": (1, MAX_CAP),
    "unreachable_after": (1, 100),
    **dict.fromkeys(WINDOWS, (0, 720)),
    "approval_threshold": (1, 1_000_000_000),
}


Region = Annotated[str, about(pattern=REGION_PATTERN)]


def _cap(name: str) -> dict[str, object]:
    lowest, highest = CAPS[name]
    return {"minimum": lowest, "maximum": highest}


class UpdateWorkspace(Request, frozen=True, kw_only=True):
    """The settings to change. Settings that are left out stay."""

    name: Annotated[str, about("Its name.", **named(MAX_NAME_LENGTH))] | UnsetType = UNSET
    default_sender: (
        Annotated[
            Sender,
            about(
                "The default sender: one of the workspace's senders, or the platform's. A name that nobody owns becomes"
                " the workspace's own when it is made the live default."
            ),
        ]
        | UnsetType
    ) = UNSET
    double_opt_in: (
        Annotated[bool, about("Whether people are asked to confirm an opt-in by SMS (double opt-in).")] | UnsetType
    ) = UNSET
    campaigns_admit_unknown: (
        Annotated[bool, about("Whether campaigns also go to contacts whose consent is unknown.")] | UnsetType
    ) = UNSET
    blocked_regions: Annotated[list[Region], about("ISO 3166-1 regions to which nothing is sent.")] | UnsetType = UNSET
    enabled_regions: (
        Annotated[list[Region], about("ISO 3166-1 regions to enable, among those that are off by default.")] | UnsetType
    ) = UNSET
    daily_credit_cap: (
        Annotated[
            int,
            about(
                "The most credits that live messages may cost in a UTC day; null for no cap.",
                **_cap("daily_credit_cap"),
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    prefix_hourly_cap: (
        Annotated[
            int,
            about(
                "The most single messages to one range of numbers in an hour; null for no cap.",
                **_cap("prefix_hourly_cap"),
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    contact_daily_cap: (
        Annotated[
            int,
            about(
                "The most campaign messages to one contact in 24 hours; null for no cap.", **_cap("contact_daily_cap")
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    contact_weekly_cap: (
        Annotated[
            int,
            about(
                "The most campaign messages to one contact in 7 days; null for no cap.", **_cap("contact_weekly_cap")
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    contact_caps_cover_all: (
        Annotated[bool, about("Whether single messages count towards the contact caps and are held to them, too.")]
        | UnsetType
    ) = UNSET
    unreachable_after: (
        Annotated[
            int,
            about(
                "After how many failures for its number's sake in 90 days, with no sign of life in between, campaigns"
                " skip a contact; null for never. Contacts that are marked stay so.",
                **_cap("unreachable_after"),
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    click_window_hours: (
        Annotated[
            int,
            about(
                "A conversion is attributed to the contact's last click in so many hours before it; 0 for never.",
                **_cap("click_window_hours"),
            ),
        ]
        | UnsetType
    ) = UNSET
    message_window_hours: (
        Annotated[
            int,
            about(
                "Without such a click, a conversion is attributed to the last message delivered to the contact in so"
                " many hours before it; 0 for never.",
                **_cap("message_window_hours"),
            ),
        ]
        | UnsetType
    ) = UNSET
    approval_threshold: (
        Annotated[
            int,
            about(
                "Campaigns to more recipients wait until a second owner or admin approves them, and sequences are"
                " published by another person than wrote them; null for none.",
                **_cap("approval_threshold"),
            ),
        ]
        | UnsetType
        | None
    ) = UNSET
    quiet_hours: Annotated[bool, about("Whether campaigns keep quiet hours by default.", example=True)] | UnsetType = (
        UNSET
    )
    timezone: (
        Annotated[str, about("An IANA time zone such as America/New_York.", example="America/New_York")] | UnsetType
    ) = UNSET
    low_balance_threshold: (
        Annotated[int, about("The balance below which `credits.low` is sent.", example=1000, minimum=0)] | UnsetType
    ) = UNSET
    opt_in_text: Annotated[str, about("The double opt-in question.", **named(MAX_TEXT_LENGTH))] | UnsetType = UNSET
    opt_out_text: Annotated[str, about("The SMS that answers STOP.", **named(MAX_TEXT_LENGTH))] | UnsetType = UNSET
    welcome_text: Annotated[str, about("The SMS that confirms an opt-in.", **named(MAX_TEXT_LENGTH))] | UnsetType = (
        UNSET
    )
    help_text: Annotated[str, about("The SMS that answers HELP.", **named(MAX_TEXT_LENGTH))] | UnsetType = UNSET
    version: Version | UnsetType = UNSET


async def create_workspace(
    name: str, *, credits: int = 0, has_live_key: bool = True
) -> tuple[Workspace, str, str | None]:
    """Make a workspace with a balance and one key of each mode; the row, the test key and the live key.

    Without a live key where whose workspace it is has not confirmed their address.
    """
    if credits < 0:
        raise InvalidRequest("credits must not be negative.", param="credits", code=ErrorCode.PARAMETER_OUT_OF_RANGE)
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
    live_key = None
    if has_live_key:
        _, live_key = await create_key(workspace.id, livemode=True, name="Live")
    return workspace, test_key, live_key


async def get_workspace(ctx: Context) -> Workspace:
    """Return the caller's workspace, with the settings of the caller's mode. Raises NotFound."""
    return await find_settings(ctx)


async def update_workspace(ctx: Context, data: UpdateWorkspace) -> Workspace:
    """Change settings of the caller's mode: live, or the sandbox's own copy, which live does not obey.

    A live default sender that is free becomes the workspace's. Raises InvalidRequest with `param`,
    ComplianceRefused `sender_not_allowed`, and PermissionDenied `limit_not_lifted` for a key that would widen the caps
    or regions that bind it.
    """
    allow(ctx, Permission.WORKSPACE_WRITE)
    told = msgspec.structs.asdict(data)
    version = told.pop("version")
    changes = {name: value for name, value in told.items() if value is not msgspec.UNSET}
    checked = {name: _checked(name, value) for name, value in changes.items()}
    if isinstance(sender := checked.get("default_sender"), str):
        await claim_default(ctx, sender, param="default_sender")
    # Of two changes at once, the later is measured by what the other left.
    await fetch_value("SELECT id FROM workspaces WHERE id = $1 FOR NO KEY UPDATE", ctx.workspace_id)
    row = await get_workspace(ctx)
    if version is not msgspec.UNSET:
        check_version(version, workspace_version(row, await low_balance_threshold(ctx)), "workspace")
    before = {name: getattr(row, name, None) for name in checked}
    if "low_balance_threshold" in checked:
        before["low_balance_threshold"] = await low_balance_threshold(ctx)
    differing = changed(before, checked)
    if not differing:
        return row
    _check_limits(ctx, row, differing)
    await _check_approvers(ctx, differing)
    if ctx.livemode:
        await _write_live(ctx, checked)
    else:
        await execute(
            "UPDATE workspaces SET sandbox_settings = sandbox_settings || $2::jsonb WHERE id = $1",
            ctx.workspace_id,
            {name: checked[name] for name in differing},
        )
    action = AuditAction.WORKSPACE_UPDATED if ctx.livemode else AuditAction.SANDBOX_UPDATED
    await record_audit(ctx, action, ids.encode_id(ids.WORKSPACE, ctx.workspace_id), differing)
    return await get_workspace(ctx)


async def _write_live(ctx: Context, checked: Mapping[str, object]) -> None:
    settings = dict(checked)
    threshold = settings.pop("low_balance_threshold", None)
    if threshold is not None:
        await CreditBalance.filter(workspace_id=ctx.workspace_id).update(low_balance_threshold=threshold)
    if settings:
        await Workspace.filter(id=ctx.workspace_id).update(**settings)
    if "daily_credit_cap" in settings:
        # Campaigns that the cap had paused go on.
        notify_after_commit(WorkQueue.CAMPAIGNS)


def _check_limits(ctx: Context, row: Workspace, differing: Mapping[str, Sequence[object]]) -> None:
    """Refuse a key that would lift what binds it; anyone who leaks one must not be able to spend without bounds."""
    if not ctx.actor.startswith(f"{ids.API_KEY}_"):
        return
    for name in differing.keys() & (LIMITS.keys() if ctx.livemode else SANDBOX_LIMITS):
        if not LIMITS[name](getattr(row, name), differing[name][1]):
            raise PermissionDenied(
                f"A key may tighten {name}, not lift it: ask an owner or an admin of the workspace.",
                code=ErrorCode.LIMIT_NOT_LIFTED,
                param=name,
            )


APPROVERS = "SELECT count(*) FROM memberships WHERE workspace_id = $1 AND role = ANY ($2::varchar[])"
FEWEST_APPROVERS = 2


async def _check_approvers(ctx: Context, differing: Mapping[str, Sequence[object]]) -> None:
    """Refuse to ask for approvals where what one person launches no other could approve. Raises Conflict."""
    if differing.get("approval_threshold", (None, None))[1] is None:
        return
    roles = [role.value for role in ROLES[Permission.CAMPAIGNS_APPROVE]]
    if await fetch_value(APPROVERS, ctx.workspace_id, roles) < FEWEST_APPROVERS:
        raise Conflict(
            "approval_threshold needs two people who are owners or admins: what the only one launches could never be"
            " approved.",
            param="approval_threshold",
            code=ErrorCode.APPROVERS_MISSING,
        )


def _is_lower(now: object, wanted: object) -> bool:
    return now is None or (isinstance(now, int) and isinstance(wanted, int) and wanted <= now)


def _is_within(some: object, all: object) -> bool:
    return isinstance(some, list) and isinstance(all, list) and set(some) <= set(all)


# Setting that bounds what is sent → whether a change from one value to another only tightens it.
LIMITS: Mapping[str, Callable[[object, object], bool]] = {
    "approval_threshold": _is_lower,
    "daily_credit_cap": _is_lower,
    "prefix_hourly_cap": _is_lower,
    "contact_daily_cap": _is_lower,
    "contact_weekly_cap": _is_lower,
    "contact_caps_cover_all": lambda now, wanted: bool(wanted) or not now,
    "blocked_regions": _is_within,
    "enabled_regions": lambda now, wanted: _is_within(wanted, now),
}
# Those that bind a key of the sandbox too: nothing in the sandbox costs, but no key approves.
SANDBOX_LIMITS = frozenset(("approval_threshold",))


# A setting as `UpdateWorkspace` holds it.
Setting: TypeAlias = str | bool | int | list[str] | None


def _checked(name: str, value: Setting) -> Setting:
    match value:
        case str():
            return _checked_text(name, value)
        case list():
            for position, region in enumerate(value):
                _check_region(region, f"{name}[{position}]", may_be_always_blocked=name == "blocked_regions")
            return sorted(set(value))
        case int() if name in CAPS:
            lowest, highest = CAPS[name]
            if not lowest <= value <= highest:
                none = "" if name in WINDOWS else ", or null for none"
                raise _out_of_range(name, f"must be from {lowest} to {highest}{none}")
        case int() if name == "low_balance_threshold" and value < 0:
            raise _out_of_range(name, "must not be negative")
    return value


def _checked_text(name: str, text: str) -> str:
    match name:
        case "name":
            return _checked_name(text)
        case "default_sender":
            return check_sender(text, param=name)
        case "timezone":
            return check_timezone(text)
    if not is_visible(text) or len(text) > MAX_TEXT_LENGTH:
        raise _out_of_range(name, f"must have from 1 to {MAX_TEXT_LENGTH} characters")
    return text


def _check_region(region: str, param: str, *, may_be_always_blocked: bool) -> None:
    if region not in SUPPORTED_REGIONS:
        raise InvalidRequest(f"'{region[:10]}' is not an ISO 3166-1 region code.", param=param)
    if region in ALWAYS_BLOCKED and not may_be_always_blocked:
        raise InvalidRequest(f"{region} is always blocked and cannot be enabled.", param=param)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not is_visible(name) or len(name) > MAX_NAME_LENGTH:
        raise _out_of_range("name", f"must have from 1 to {MAX_NAME_LENGTH} characters")
    return name


def _out_of_range(param: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"{param} {rule}.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE)


async def find_workspace(text: str) -> UUID:
    """Find the UUID of a workspace named by its public id, for operators. Raises NotFound."""
    id = ids.find_id(ids.WORKSPACE, text, "workspace")
    if not await Workspace.exists(id=id):
        raise ids.missing("workspace", text)
    return id


async def list_workspaces() -> Sequence[Row]:
    """List every workspace with its balance, member count, hold and scheduled deletion, oldest first.

    For operators.
    """
    return await fetch(LIST)


async def suspend_workspace(services: Services, id: UUID) -> bool:
    """Have a workspace send nothing and its keys and users refused, until it is resumed. Return whether that is new."""
    return await _set_suspended(services, id, services.real_clock())


async def resume_workspace(services: Services, id: UUID) -> bool:
    """Lift an operator's suspension; a scheduled deletion still stops the workspace. Return whether it changed."""
    return await _set_suspended(services, id, None)


async def grant_by_operator(services: Services, id: UUID, amount: int, *, reference: str, note: str) -> bool:
    """Add credits to a workspace and record it in the audit log. Return whether this call added them.

    Raises Conflict code `workspace_deleting` if its deletion is scheduled or done.
    """
    if not await fetch_value(IS_KEPT, id):
        raise Conflict(
            "The workspace will be deleted: it takes no credits unless an owner cancels that.",
            code=ErrorCode.WORKSPACE_DELETING,
        )
    is_new = await grant_credits(id, amount, reference=reference, note=note)
    if is_new:
        await _audit(services, id, {"granted_credits": [None, amount]})
    return is_new


async def _set_suspended(services: Services, id: UUID, moment: datetime | None) -> bool:
    """Set or lift an operator's suspension, and leave a scheduled deletion unchanged."""
    row = await Workspace.select_for_update().get(id=id)
    is_held = row.suspended_at is not None and row.suspended_at != row.deletion_asked_at
    if is_held == (moment is not None):
        return False
    before = row.suspended_at if is_held else None
    row.suspended_at = row.deletion_asked_at if moment is None else apart(moment, row.deletion_asked_at)
    await row.save(update_fields=["suspended_at"])
    await _audit(services, id, {"suspended_at": [optional_moment(before), optional_moment(moment)]})
    if row.suspended_at is None:
        notify_after_commit(WorkQueue.MESSAGES)
    return True


def apart(moment: datetime, other: datetime | None) -> datetime:
    """Return a time that differs from `other`: equal times mark a suspension as that of a deletion (IS_HELD)."""
    return moment + timedelta(microseconds=1) if moment == other else moment


async def _audit(services: Services, id: UUID, changes: Mapping[str, object]) -> None:
    ctx = Context(id, livemode=True, actor=OPERATOR, services=services)
    await record_audit(ctx, AuditAction.WORKSPACE_UPDATED, ids.encode_id(ids.WORKSPACE, id), changes)
