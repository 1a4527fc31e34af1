"""Run bulk actions: change the contacts that match the conditions in id order, one batch per transaction.

A worker holds an action under a lease. Each transaction checks the lease, changes a batch, and stores the id where the
batch ended. If a worker is killed, its uncommitted batch rolls back and the next worker repeats it, so that each
contact is changed once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
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
from msvs.api.errors import ApiError
from msvs.api.unit_of_work import in_unit_of_work
from msvs.database import execute, fetch, fetch_row, fetch_value
from msvs.models import BulkAction, BulkKind, BulkStatus
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)
# How long one action runs before a waiting action gets its turn.
TURN_SECONDS = 15.0
# Contacts per transaction. Opt-outs and deletions write to the consent chain, and incoming STOPs wait for it:
# their batches are smaller.
BATCHES = {BulkKind.OPT_OUT: 200, BulkKind.DELETE: 50}
BATCH = 1000
# The most contacts that are scanned for one batch.
WINDOW = 50_000
SOURCE = "bulk_action"

CLAIM_BULK_ACTION = """
UPDATE bulk_actions SET lease_token = $1, lease_until = $3, turn_at = $2
WHERE id = (
    SELECT id FROM bulk_actions
    WHERE status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < $2)
    ORDER BY turn_at NULLS FIRST, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id
"""
HAS_DUE_BULK_ACTION = """
SELECT EXISTS (
    SELECT FROM bulk_actions WHERE status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < $1)
)
"""
RELEASE_BULK_ACTION = (
    "UPDATE bulk_actions SET lease_token = NULL, lease_until = NULL WHERE id = $1 AND lease_token = $2"
)

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
    id = await fetch_value(CLAIM_BULK_ACTION, token, now, now + LEASE)
    if id is None:
        return False
    until = time.monotonic() + TURN_SECONDS
    try:
        while not stop.is_set and time.monotonic() < until:
            if await in_unit_of_work(partial(_advance, services, id, token)):
                break
    except LeaseLost:
        pass
    except ApiError as error:
        await in_unit_of_work(partial(_fail, id, token, error))
    await execute(RELEASE_BULK_ACTION, id, token)
    return True


async def _hold(id: UUID, token: UUID, now: datetime) -> BulkAction:
    row = await BulkAction.filter(id=id).select_for_update().first()
    if row is None or row.lease_token != token or row.status not in DUE:
        raise LeaseLost
    row.lease_until = now + LEASE
    return row


async def _fail(id: UUID, token: UUID, error: ApiError) -> None:
    now = await database.now()
    row = await _hold(id, token, now)
    await bulk_actions.end_bulk_action(row, BulkStatus.FAILED, now, {"code": str(error.code), "message": error.message})
    log.info("bulk action failed", bulk_action_id=str(id), code=str(error.code))


async def _advance(services: Services, id: UUID, token: UUID) -> bool:
    """Change one batch in the current transaction. Return whether it was the last batch."""
    now = await database.now()
    row = await _hold(id, token, now)
    ctx = Context(row.workspace_id, row.livemode, row.actor, services=services)
    request = bulk_actions.request_of(row)
    if row.started_at is None:
        row.started_at = now
        row.status = BulkStatus.RUNNING
    batch = await _pick(ctx, row, request)
    row.matched += len(batch.people)
    if batch.people and not request.dry_run:
        row.changed += await change_batch(ctx, row.kind, request, batch.people, now)
    row.done_id = batch.done_id
    if batch.is_last:
        await bulk_actions.end_bulk_action(row, BulkStatus.COMPLETED, now)
    else:
        await row.save()
    return batch.is_last


async def _pick(ctx: Context, row: BulkAction, request: CreateBulkAction) -> _Batch:
    size = BATCH if request.dry_run else BATCHES.get(row.kind, BATCH)
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
