"""Run bulk actions: change the contacts that match the conditions in id order, one batch per transaction.

A worker holds an action under a lease. Each transaction checks the lease, changes a batch, and stores the id where the
batch ended. If a worker is killed, its uncommitted batch rolls back and the next worker repeats it, so that each
contact is changed once. An erasure reads large tables, so each contact has a transaction of its own, which checks the
lease at its end; a contact with a message on its way is postponed to another pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from msvs import database
from msvs.api import ids
from msvs.api.consent import consent
from msvs.api.contacts import bulk_actions, contacts, import_merge, lists, tags
from msvs.api.contacts.bulk_actions import DUE, CreateBulkAction
from msvs.api.contacts.contact_filters import compile_contacts
from msvs.api.contacts.imports import hold_list
from msvs.api.context import Context, Services
from msvs.api.errors import ApiError, Conflict, ErrorCode, NotFound
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import in_unit_of_work
from msvs.clock_schema import by_real_time
from msvs.database import execute, fetch, fetch_row, fetch_value
from msvs.json_types import JSONObject
from msvs.models import BulkAction, BulkKind, BulkStatus
from msvs.workers import leases
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
# How often an interrupted action is claimed without progress: one that crashes its worker is not retried forever.
TRIES = 10
BROKEN_OFF = "The action was interrupted too often: create it again for the contacts that are left."
# How long one action runs before a waiting action gets its turn.
TURN_SECONDS = 15.0
# Contacts per transaction. Opt-outs and deletions write to the consent chain, and incoming STOPs wait for it:
# their batches are smaller.
BATCHES = {BulkKind.OPT_OUT: 200, BulkKind.DELETE: 50}
BATCH = 1000
# The most contacts that are scanned for one batch.
WINDOW = 50_000
SOURCE = "bulk_action"
# The pause before another pass over the contacts that could not be erased, and how long passes go on: a message whose
# carrier stays silent settles within three days.
PASS_PAUSE = timedelta(seconds=60)
LONGEST_WAIT = timedelta(days=4)
# The time to release a lease when the process is stopped.
RELEASE_SECONDS = 1.0

# Literals rather than parameters, so that the planner can use the partial index of due actions.
_DUE = ", ".join(f"'{status}'" for status in DUE)
_IS_DUE = f"status IN ({_DUE}) AND {by_real_time('bulk_actions')} AND (lease_until IS NULL OR lease_until < {{now}})"
CLAIM_BULK_ACTION = f"""
UPDATE bulk_actions SET lease_token = $1, lease_until = $3, turn_at = $2, tries = tries + 1
WHERE id = (
    SELECT id FROM bulk_actions WHERE {_IS_DUE.format(now="$2")}
    ORDER BY turn_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, kind, options, tries
"""
HAS_DUE_BULK_ACTION = f"SELECT EXISTS (SELECT FROM bulk_actions WHERE {_IS_DUE.format(now='$1')})"
RENEW_BULK_ACTION = f"""
UPDATE bulk_actions SET lease_until = clock_timestamp() + $3::interval
WHERE id = $1 AND lease_token = $2 AND status IN ({_DUE})
"""
# A released action does not count as a failed try. With $3, it is due again at that time only.
RELEASE_BULK_ACTION = """
UPDATE bulk_actions SET lease_token = NULL, lease_until = $3, tries = GREATEST(0, tries - 1)
WHERE id = $1 AND lease_token = $2
"""

OF_CONTACTS = (
    "FROM contacts AS c WHERE c.workspace_id = $1 AND c.livemode = $2 AND c.id > $3::uuid AND c.id <= $4::uuid"
)
END_OF_WINDOW = f"SELECT c.id {OF_CONTACTS} ORDER BY c.id OFFSET $5 LIMIT 1"
PICK = "SELECT c.id, c.phone {of}{plain} ORDER BY c.id LIMIT {batch}"
PICK_NAMED = f"SELECT c.id, c.phone {OF_CONTACTS} AND c.id = ANY($5::uuid[]) ORDER BY c.id LIMIT $6"
LOCK_PICKED = """
SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND id = ANY($3::uuid[]) ORDER BY id FOR UPDATE
"""
LEAVE_LIST_AT_ONCE = "DELETE FROM list_members WHERE list_id = $1 AND contact_id = ANY($2::uuid[])"


class LeaseLost(Exception):
    """Raised when another worker holds the action, or the action has ended."""


class _Picked(Protocol):
    id: UUID
    phone: str


class _Id(Protocol):
    id: UUID


class _Claimed(Protocol):
    id: UUID
    kind: str
    options: JSONObject
    tries: int


class _Pending(Exception):
    """Raised when a contact cannot be erased yet, because a message is on its way."""

    def __init__(self, batch: _Batch) -> None:
        super().__init__()
        self.batch = batch


@dataclass(frozen=True, slots=True)
class _Batch:
    """The contacts to change, the id after which the next batch starts, and whether this batch is the last."""

    people: Sequence[_Picked]
    done_id: UUID
    is_last: bool


async def has_due(_: Services, now: datetime) -> bool:
    """Return whether a bulk action is due."""
    return bool(await fetch_value(HAS_DUE_BULK_ACTION, now))


async def run_bulk_action(services: Services, stop: StopFlag) -> bool:
    """Run the bulk action that has waited longest for one turn. Return whether one was due."""
    now = await database.now()
    token = ids.new_id()
    row = await fetch_row(_Claimed, CLAIM_BULK_ACTION, token, now, now + LEASE)
    if row is None:
        return False
    await _Turn(services, stop, row, token).run()
    return True


class _Turn:
    """A worker's turn at a bulk action."""

    def __init__(self, services: Services, stop: StopFlag, row: _Claimed, token: UUID) -> None:
        self._services, self._stop, self._row, self._token = services, stop, row, token
        self._until = time.monotonic() + TURN_SECONDS
        self._limit = asyncio.timeout(None)
        self._is_lost = False

    async def run(self) -> None:
        """Run the action until it ends, waits, or has used its turn."""
        again: datetime | None = None
        try:
            async with self._limit, leases.renewing(self._renew, self._lose):
                again = await self._go_on()
        except LeaseLost:
            pass
        except ApiError as error:
            with suppress(LeaseLost):
                await in_unit_of_work(partial(_fail, self._row.id, self._token, error.code, error.message))
        except asyncio.CancelledError:
            # The open transaction rolls back. Release the lease, so that another worker can continue at once.
            with suppress(Exception):
                async with asyncio.timeout(RELEASE_SECONDS):
                    await self._release(None)
            raise
        except Exception:
            if not self._is_lost:
                raise
        await self._release(again)

    async def _go_on(self) -> datetime | None:
        """Run batches. Return when the action is due again if it has to wait."""
        row, token = self._row, self._token
        if row.tries > TRIES:
            await in_unit_of_work(partial(_fail, row.id, token, ErrorCode.INTERNAL_ERROR, BROKEN_OFF))
            return None
        is_erasure = row.kind == BulkKind.ERASE and not row.options.get("dry_run")
        while not self._stop.is_set and time.monotonic() < self._until:
            if not is_erasure:
                if await in_unit_of_work(partial(_advance, self._services, row.id, token)):
                    break
                continue
            try:
                ended, again = await in_unit_of_work(partial(_erase_next, self._services, row.id, token))
            except _Pending as pending:
                ended, again = await in_unit_of_work(partial(_postpone, row.id, token, pending.batch))
            if ended or again is not None:
                return again
        return None

    async def _renew(self) -> bool:
        return await execute(RENEW_BULK_ACTION, self._row.id, self._token, LEASE) > 0

    def _lose(self) -> None:
        self._is_lost = True
        self._limit.reschedule(asyncio.get_running_loop().time())

    async def _release(self, again: datetime | None) -> None:
        await execute(RELEASE_BULK_ACTION, self._row.id, self._token, again)


async def _hold(id: UUID, token: UUID, now: datetime) -> BulkAction:
    row = await BulkAction.filter(id=id).select_for_update().first()
    if row is None or row.lease_token != token or row.status not in DUE:
        raise LeaseLost
    row.lease_until = now + LEASE
    # Callers save the row only after progress.
    row.tries = 0
    return row


async def _fail(id: UUID, token: UUID, code: str, message: str) -> None:
    now = await database.now()
    row = await _hold(id, token, now)
    await bulk_actions.end_bulk_action(row, BulkStatus.FAILED, now, {"code": str(code), "message": message})
    log.info("bulk action failed", bulk_action_id=str(id), code=str(code))


async def _advance(services: Services, id: UUID, token: UUID) -> bool:
    """Change one batch in the current transaction. Return whether it was the last batch."""
    now = await database.now()
    row = await _hold(id, token, now)
    ctx = Context(row.workspace_id, row.livemode, row.actor, services=services)
    request = bulk_actions.request_of(row)
    _start(row, now)
    batch = await _pick(ctx, row, request, BATCH if request.dry_run else BATCHES.get(row.kind, BATCH))
    row.matched += len(batch.people)
    if batch.people and not request.dry_run:
        row.changed += await change_batch(ctx, row.kind, request, batch.people, now)
    row.done_id = batch.done_id
    if batch.is_last:
        await bulk_actions.end_bulk_action(row, BulkStatus.COMPLETED, now)
    else:
        await row.save()
    return batch.is_last


def _start(row: BulkAction, now: datetime) -> None:
    if row.started_at is None:
        row.started_at = now
        row.status = BulkStatus.RUNNING


async def _erase_next(services: Services, id: UUID, token: UUID) -> tuple[bool, datetime | None]:
    """Erase the next contact in the current transaction. Return whether the action ended, or when it is due again.

    The action's row is locked last, so that canceling it waits for no erasure. Raises _Pending, LeaseLost.
    """
    seen = await BulkAction.get(id=id)
    ctx = Context(seen.workspace_id, seen.livemode, seen.actor, services=services)
    batch = await _pick(ctx, seen, bulk_actions.request_of(seen), 1)
    erased = 0
    for person in batch.people:
        try:
            await erase_contact(ctx, person.id)
            erased += 1
        except NotFound:
            # Deleted since it was picked.
            continue
        except Conflict as error:
            if error.code is ErrorCode.ERASURE_PENDING:
                raise _Pending(batch) from None
            raise
    now = await database.now()
    row = await _hold(id, token, now)
    if row.done_id != seen.done_id:
        raise LeaseLost
    _start(row, now)
    row.matched += erased
    row.changed += erased
    return await _move_on(row, batch, now)


async def _postpone(id: UUID, token: UUID, batch: _Batch) -> tuple[bool, datetime | None]:
    """Pass over a contact that cannot be erased yet. Return whether the action ended, or when it is due again."""
    now = await database.now()
    row = await _hold(id, token, now)
    _start(row, now)
    row.postponed += 1
    return await _move_on(row, batch, now)


async def _move_on(row: BulkAction, batch: _Batch, now: datetime) -> tuple[bool, datetime | None]:
    """Store where an erasure goes on: after the batch, or at the start for those that were postponed."""
    row.done_id = batch.done_id
    if not batch.is_last:
        await row.save()
        return False, None
    if row.postponed == 0:
        await bulk_actions.end_bulk_action(row, BulkStatus.COMPLETED, now)
        return True, None
    if row.started_at is not None and now - row.started_at > LONGEST_WAIT:
        message = f"{row.postponed} contacts still have messages on their way; the others are erased."
        fault = {"code": ErrorCode.ERASURE_PENDING.value, "message": message}
        await bulk_actions.end_bulk_action(row, BulkStatus.FAILED, now, fault)
        return True, None
    row.done_id, row.postponed = bulk_actions.FIRST, 0
    await row.save()
    return False, now + PASS_PAUSE


async def _pick(ctx: Context, row: BulkAction, request: CreateBulkAction, size: int) -> _Batch:
    scope = (ctx.workspace_id, ctx.livemode, row.done_id)
    if request.contact_ids is not None:
        named = bulk_actions.read_contact_ids(request.contact_ids)
        people = await fetch(_Picked, PICK_NAMED, *scope, row.last_id, named, size)
        return _Batch(people, people[-1].id if people else row.last_id, len(people) < size)
    end = await fetch_row(_Id, END_OF_WINDOW, *scope, row.last_id, WINDOW - 1)
    until = row.last_id if end is None else end.id
    found = await compile_contacts(ctx, bulk_actions.which_of(request), 5)
    people = await fetch(
        _Picked, PICK.format(of=OF_CONTACTS, plain=found.plain, batch=size), *scope, until, *found.values
    )
    if len(people) == size:
        return _Batch(people, people[-1].id, is_last=False)
    return _Batch(people, until, is_last=end is None)


async def change_batch(
    ctx: Context, kind: BulkKind, request: CreateBulkAction, people: Sequence[_Picked], now: datetime
) -> int:
    """Apply the action to a batch. Return the number of contacts changed.

    Raises InvalidRequest, and Conflict `list_synced`.
    """
    named = [person.id for person in people]
    match kind:
        case BulkKind.TAG:
            return await tags.change_tags(ctx, named, add=tags.read_tags(request.tags or (), param="tags"), now=now)
        case BulkKind.UNTAG:
            gone = tags.read_tags(request.tags or (), param="tags")
            return await tags.change_tags(ctx, named, remove=gone, now=now)
        case BulkKind.OPT_OUT:
            done = await consent.suppress(ctx, [person.phone for person in people], source=SOURCE, now=now)
            return len(done.added)
        case BulkKind.DELETE:
            return await _delete(ctx, named)
        case BulkKind.ERASE:
            raise AssertionError("each erasure has a transaction of its own")
        case BulkKind.ADD_TO_LIST | BulkKind.REMOVE_FROM_LIST:
            return await _list(ctx, kind, request, named, now)


async def _delete(ctx: Context, named: Sequence[UUID]) -> int:
    # Lock contacts, lists and tags, each in id order, as `delete_contact` does: no two transactions deadlock.
    scope = (ctx.workspace_id, ctx.livemode)
    locked = [row.id for row in await fetch(_Id, LOCK_PICKED, *scope, list(named))]
    await fetch_value(import_merge.LOCK_LISTS_OF_MADE, *scope, locked)
    await fetch_value(tags.LOCK_TAGS_OF, *scope, locked)
    for id in locked:
        await contacts.delete_contact(ctx, id)
    return len(locked)


async def _list(ctx: Context, kind: BulkKind, request: CreateBulkAction, named: Sequence[UUID], now: datetime) -> int:
    list_id = ids.read_id(ids.CONTACT_LIST, request.target_list_id or "", "target_list_id")
    found = [row.id for row in await fetch(_Id, lists.SHARE_CONTACTS, ctx.workspace_id, ctx.livemode, list(named))]
    await hold_list(ctx, list_id)
    if kind is BulkKind.REMOVE_FROM_LIST:
        return await execute(LEAVE_LIST_AT_ONCE, list_id, found)
    return await execute(lists.ADD_MEMBERS, list_id, [ids.new_id() for _ in found], found, now)
