"""What operators look up and do from their area: each act is one transaction with its entry in their log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from msvs.api import ids
from msvs.api.accounts import workspaces
from msvs.api.accounts.operators import OperatorAction, record
from msvs.api.context import Services, Visitor
from msvs.api.dispatch import routes
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.database import Row, fetch, fetch_row
from msvs.models import LedgerKind, Route, SenderKind
from msvs.models.workspaces import IS_HELD

MAX_CREDITS = 10**12
# With the workspace and the amount it fits into the detail of an entry.
MAX_REASON_LENGTH = 120
MAX_KEY_LENGTH = 40
MAX_SEARCH_LENGTH = 254
LEDGER_ROWS = 20

# By a part of the name, by the id, or by the address of a member. There are some thousands of workspaces, not millions.
SEARCH_WORKSPACES = f"""
SELECT workspaces.id, workspaces.name, workspaces.created_at, workspaces.deletes_at, workspaces.erased_at,
    CASE WHEN {IS_HELD} THEN workspaces.suspended_at END AS held_at,
    coalesce(credit_balances.balance, 0) AS balance,
    (SELECT count(*) FROM memberships WHERE memberships.workspace_id = workspaces.id) AS users
FROM workspaces LEFT JOIN credit_balances ON credit_balances.workspace_id = workspaces.id
WHERE ($1::uuid IS NULL OR workspaces.id < $1) AND (NOT $2::bool OR {IS_HELD})
    AND ($3::text = '' OR strpos(lower(workspaces.name), $3) > 0 OR workspaces.id = $4::uuid OR workspaces.id IN (
        SELECT memberships.workspace_id FROM memberships JOIN users ON users.id = memberships.user_id
        WHERE $3 IN (users.email, users.pending_email)
    ))
ORDER BY workspaces.id DESC LIMIT $5
"""
FIND_WORKSPACE = f"""
SELECT workspaces.id, workspaces.name, workspaces.created_at, workspaces.deletes_at, workspaces.erased_at,
    CASE WHEN {IS_HELD} THEN workspaces.suspended_at END AS held_at,
    workspaces.daily_credit_cap, coalesce(credit_balances.balance, 0) AS balance,
    coalesce(credit_balances.debt, 0) AS debt, coalesce(credit_balances.total_lifetime, 0) AS total_lifetime,
    (SELECT count(*) FROM memberships WHERE memberships.workspace_id = workspaces.id) AS users
FROM workspaces LEFT JOIN credit_balances ON credit_balances.workspace_id = workspaces.id
WHERE workspaces.id = $1
"""
LIST_MEMBERS = """
SELECT users.name, coalesce(users.email, users.pending_email) AS email, users.email IS NOT NULL AS is_confirmed,
    memberships.role
FROM memberships JOIN users ON users.id = memberships.user_id
WHERE memberships.workspace_id = $1 ORDER BY memberships.id LIMIT 50
"""
# Found by their kinds: there may be millions of messages' entries between two of them.
LIST_LEDGER = """
SELECT * FROM (
    SELECT id, kind, amount, note, reference, created_at FROM ledger_entries
    WHERE workspace_id = $1 AND kind = ANY($2) OFFSET 0
) AS entries ORDER BY id DESC LIMIT $3
"""
OF_MESSAGES = frozenset((LedgerKind.RESERVE, LedgerKind.RELEASE, LedgerKind.CAPTURE))
LIST_UNDER_WAY = """
SELECT status, count(*) AS campaigns FROM campaigns
WHERE workspace_id = $1 AND livemode AND status IN ('scheduled', 'preparing', 'sending', 'paused') GROUP BY status
"""


@dataclass(frozen=True, slots=True)
class Acting:
    """The operator who acts: a name, and where the request came from."""

    name: str
    visitor: Visitor

    @property
    def services(self) -> Services:
        """The process's services, for changes that record the operator in a workspace's audit log."""
        return replace(self.visitor.services, operator=self.name)


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace as operators see it: its balance, who works in it, its campaigns and what moved its credits."""

    row: Row
    members: Sequence[Row]
    ledger: Sequence[Row]
    campaigns: Mapping[str, int]


async def search_workspaces(
    text: str = "", *, are_held: bool = False, after: UUID | None = None, limit: int = 50
) -> Sequence[Row]:
    """List workspaces, the newest first: those of a name, an id or a member's address, all of them without a text.

    Raises InvalidRequest.
    """
    text = text.strip()
    if len(text) > MAX_SEARCH_LENGTH:
        raise InvalidRequest(f"q must have at most {MAX_SEARCH_LENGTH} characters.", param="q")
    id = ids.decode_id(ids.WORKSPACE, text)
    return await fetch(SEARCH_WORKSPACES, after, are_held, text.lower(), id, limit)


async def view_workspace(text: str) -> WorkspaceView:
    """Return a workspace by its public id. Raises NotFound."""
    row = await fetch_row(FIND_WORKSPACE, ids.find_id(ids.WORKSPACE, text, "workspace"))
    if row is None:
        raise ids.missing("workspace", text)
    under_way = {each.status: int(each.campaigns) for each in await fetch(LIST_UNDER_WAY, row.id)}
    kinds = [kind.value for kind in LedgerKind if kind not in OF_MESSAGES]
    ledger = await fetch(LIST_LEDGER, row.id, kinds, LEDGER_ROWS)
    return WorkspaceView(row, await fetch(LIST_MEMBERS, row.id), ledger, under_way)


async def grant(acting: Acting, workspace: str, amount: int, *, reason: str, key: str) -> bool:
    """Add credits to a workspace, with the reason in its ledger. The same key again adds nothing.

    Return whether this call added them. Raises InvalidRequest, NotFound, and Conflict if its deletion is scheduled.
    """
    if not 1 <= amount <= MAX_CREDITS:
        raise InvalidRequest(
            f"credits must be from 1 to {MAX_CREDITS}.", param="credits", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    reason = _checked_reason(reason)
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise InvalidRequest(f"key must have from 1 to {MAX_KEY_LENGTH} printable characters of ASCII.", param="key")
    id = await workspaces.find_workspace(workspace)
    async with unit_of_work():
        reference = f"operator:{key}"
        is_new = await workspaces.grant_by_operator(acting.services, id, amount, reference=reference, note=reason)
        if is_new:
            await _record(acting, OperatorAction.CREDITS_GRANTED, f"{workspace} +{amount}: {reason}")
    return is_new


async def hold(acting: Acting, workspace: str, *, reason: str) -> bool:
    """Have a workspace send nothing and its keys and users refused. Return whether that is new.

    Raises InvalidRequest, NotFound.
    """
    return await _set_held(
        acting, workspace, workspaces.suspend_workspace, OperatorAction.WORKSPACE_HELD, _checked_reason(reason)
    )


async def release(acting: Acting, workspace: str, *, reason: str) -> bool:
    """Resume a held workspace, unless its deletion is scheduled. Return whether anything changed.

    Raises InvalidRequest, NotFound.
    """
    return await _set_held(
        acting, workspace, workspaces.resume_workspace, OperatorAction.WORKSPACE_RELEASED, _checked_reason(reason)
    )


async def add_route(
    acting: Acting,
    carrier: str,
    *,
    workspace: str | None = None,
    regions: Iterable[str] = (),
    sender: str | None = None,
    sender_kind: SenderKind | None = None,
    preference: int = 100,
    price: Decimal | None = None,
) -> Route:
    """Let messages to regions, or from a sender or a kind of it, take a carrier. Raises InvalidRequest, NotFound."""
    owner = None if workspace is None else await workspaces.find_workspace(workspace)
    async with unit_of_work():
        row = await routes.add_route(
            acting.visitor.services,
            carrier,
            workspace_id=owner,
            regions=regions,
            sender=sender,
            sender_kind=sender_kind,
            preference=preference,
            price=price,
        )
        way = " ".join(filter(None, (",".join(row.regions), sender, sender_kind and sender_kind.value)))
        await _record(
            acting, OperatorAction.ROUTE_ADDED, f"{ids.encode_id(ids.ROUTE, row.id)} to {carrier} {way}".strip()
        )
    return row


async def remove_route(acting: Acting, route: str) -> None:
    """Take a route away; what is queued goes by those that are left. Raises NotFound."""
    id = ids.find_id(ids.ROUTE, route, "route")
    async with unit_of_work():
        await routes.remove_route(id)
        await _record(acting, OperatorAction.ROUTE_REMOVED, route)


async def note_requeued(acting: Acting, job: str, queue: str) -> None:
    """Log that an operator has a failed job run again."""
    await _record(acting, OperatorAction.JOB_REQUEUED, f"{job} of {queue}")


async def _set_held(
    acting: Acting,
    workspace: str,
    change: Callable[[Services, UUID], Awaitable[bool]],
    action: OperatorAction,
    reason: str,
) -> bool:
    id = await workspaces.find_workspace(workspace)
    async with unit_of_work():
        is_new = await change(acting.services, id)
        if is_new:
            await _record(acting, action, f"{workspace}: {reason}")
    return is_new


async def _record(acting: Acting, action: OperatorAction, detail: str) -> None:
    await record(acting.visitor, acting.name, action, detail)


def _checked_reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= MAX_REASON_LENGTH:
        raise InvalidRequest(f"reason must have from 1 to {MAX_REASON_LENGTH} characters.", param="reason")
    return reason
