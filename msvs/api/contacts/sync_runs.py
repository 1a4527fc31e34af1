"""The syncs of lists as their workers see them: which is due, how far each is, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.contacts import sync_merge
from msvs.api.contacts.sources import begin_sync, next_sync, open_settings, put_settings
from msvs.api.contacts.sync_merge import GoneCount, Taken
from msvs.api.context import Context, Services
from msvs.api.resources import list_sync_resource
from msvs.api.scope import scoped
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.connectors.base import Account, ConnectorError, Field, RateLimited, Unavailable
from msvs.connectors.registry import CONNECTORS
from msvs.database import execute, fetch, fetch_row, fetch_value
from msvs.models import ContactList, ListSource, ListSync, SourceStatus, SyncStatus, SyncTrigger

LEASE = timedelta(seconds=120)
# How long what fails for now is left alone: twice as long each time.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
# What a service may ask for.
MOST_ASKED = timedelta(hours=6)
MAX_ATTEMPTS, MAX_LIMITED = 8, 100
MAX_WRITE_ATTEMPTS = 20
# A list loses at most this part of its people by one sync, unless that is confirmed; short lists may.
MOST_GONE, FEW_PEOPLE = 0.5, 20
# How old the last walk over everyone may get where changes are read in between.
FULL_EVERY = timedelta(days=7)
FULL_EVERY_UNSEEN = timedelta(days=1)
WRITES_AT_ONCE = 20
LOOKUPS_AT_ONCE = 100
RUNS = (SyncStatus.QUEUED, SyncStatus.RUNNING)

_DUE = """
SELECT source_id, due_at FROM list_syncs WHERE status IN ('queued', 'running') AND due_at <= {now}
UNION ALL SELECT id, next_sync_at FROM list_sources WHERE next_sync_at <= {now} AND status = 'active'
UNION ALL SELECT source_id, next_attempt_at FROM opt_out_writes WHERE state = 'pending' AND next_attempt_at <= {now}
UNION ALL SELECT source_id, due_at FROM source_lookups WHERE due_at <= {now}
"""
_FREE = """
NOT source.is_paused AND source.status <> 'stopped' AND (source.lease_until IS NULL OR source.lease_until < {now})
"""
CLAIM_SOURCE = f"""
UPDATE list_sources SET lease_token = $1, lease_until = $3
WHERE id = (
    SELECT source.id FROM ({_DUE.format(now="$2")}) AS due JOIN list_sources AS source ON source.id = due.source_id
    WHERE {_FREE.format(now="$2")}
    ORDER BY due.due_at, source.id LIMIT 1 FOR UPDATE OF source SKIP LOCKED
)
RETURNING id
"""
HAS_DUE_SOURCE = f"""
SELECT EXISTS (
    SELECT FROM ({_DUE.format(now="$1")}) AS due JOIN list_sources AS source ON source.id = due.source_id
    WHERE {_FREE.format(now="$1")}
)
"""
RELEASE_SOURCE = "UPDATE list_sources SET lease_token = NULL, lease_until = NULL WHERE id = $1 AND lease_token = $2"
FIND_OPT_OUTS = """
SELECT written.id, written.opted_out_at, written.attempt_count, person.external_id
FROM opt_out_writes AS written LEFT JOIN source_people AS person USING (source_id, person_key)
WHERE written.source_id = $1 AND written.state = 'pending' AND written.next_attempt_at <= $2
ORDER BY written.next_attempt_at, written.id LIMIT $3
"""
# One that came again meanwhile is written again.
SETTLE_OPT_OUT = """
UPDATE opt_out_writes SET state = $3, error = $4::jsonb WHERE id = $1 AND opted_out_at = $2 AND state = 'pending'
"""
DEFER_OPT_OUT = """
UPDATE opt_out_writes SET next_attempt_at = $3, attempt_count = attempt_count + 1, error = $4::jsonb
WHERE id = $1 AND opted_out_at = $2 AND state = 'pending'
"""
FIND_LOOKUPS = """
SELECT external_id, due_at FROM source_lookups WHERE source_id = $1 AND due_at <= $2
ORDER BY due_at, external_id LIMIT $3
"""
DROP_LOOKUPS = """
DELETE FROM source_lookups WHERE source_id = $1 AND external_id = ANY($2::varchar[]) AND due_at <= $3
"""
DEFER_LOOKUPS = "UPDATE source_lookups SET due_at = $3 WHERE source_id = $1 AND external_id = ANY($2::varchar[])"
FIND_UNSEEN = """
SELECT person_key, external_id FROM source_people WHERE source_id = $1 AND sync_id <> $2 ORDER BY person_key LIMIT $3
"""


class LeaseLost(Exception):
    """The source is another worker's by now, paused, or its owner ended the sync."""


class OptOut(Protocol):
    """An opt-out that a service is to be told of; `external_id` is None where the person is no longer known."""

    id: UUID
    opted_out_at: datetime
    attempt_count: int
    external_id: str | None


class Lookup(Protocol):
    """A person whom a service told us to read again."""

    external_id: str
    due_at: datetime


class Unseen(Protocol):
    """A person whom a walk did not bring."""

    person_key: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """A source that the current transaction holds, and its caller."""

    ctx: Context
    source: ListSource
    now: datetime


async def has_due_sources(now: datetime) -> bool:
    """Return whether the source of a list waits for a worker."""
    return bool(await fetch_value(HAS_DUE_SOURCE, now))


async def claim_source(token: UUID, now: datetime) -> UUID | None:
    """Take the source that has waited longest, if one is due."""
    found: UUID | None = await fetch_value(CLAIM_SOURCE, token, now, now + LEASE)
    return found


async def hold(services: Services, id: UUID, token: UUID, now: datetime) -> Held:
    """Hold a source for the transaction, and for as long again as a lease is. Raises LeaseLost."""
    row = await ListSource.filter(id=id).select_for_update().first()
    if row is None or row.lease_token != token or row.is_paused or row.status is SourceStatus.STOPPED:
        raise LeaseLost
    row.lease_until = now + LEASE
    await row.save(update_fields=["lease_until"])
    return Held(Context(row.workspace_id, row.livemode, row.actor, services=services), row, now)


async def hold_sync(held: Held) -> ListSync:
    """Hold the sync that goes on. Raises LeaseLost where there is none."""
    row = await scoped(held.ctx, ListSync).filter(source_id=held.source.id, status__in=RUNS).select_for_update().first()
    if row is None:
        raise LeaseLost
    return row


async def begin_due_sync(held: Held) -> bool:
    """Begin the sync of a source that is due for one and has none. Return whether it has one now."""
    source = held.source
    going_on = await scoped(held.ctx, ListSync).filter(source_id=source.id, status__in=(*RUNS, SyncStatus.HELD)).first()
    if going_on is not None:
        return going_on.status in RUNS and going_on.due_at <= held.now
    if source.status is not SourceStatus.ACTIVE or source.next_sync_at is None or source.next_sync_at > held.now:
        return False
    await begin_sync(held.ctx, source, SyncTrigger.SCHEDULE, since=_since(source, held.now))
    return True


def _since(source: ListSource, now: datetime) -> str | None:
    can = CONNECTORS[source.kind].capabilities
    oldest = FULL_EVERY if can.sees_deletions else FULL_EVERY_UNSEEN
    if not can.incremental or source.walked_at is None or now - source.walked_at >= oldest:
        return None
    return source.bookmark


async def keep_secrets(held: Held, secrets: Mapping[str, str]) -> None:
    """Keep secrets in the place of those by the same names."""
    put_settings(held.ctx, held.source, {**open_settings(held.ctx, held.source), **secrets})
    await held.source.save()


# Going on


async def start(held: Held, sync: ListSync, account: Account, found: Sequence[Field]) -> bool:
    """Note what a service has, and propose a mapping where none is. Return whether its people can be read."""
    source = held.source
    source.account = account.name[:200]
    source.columns = [
        {"key": each.key[:100], "label": each.label[:100], "type": each.type.value} for each in found[:200]
    ]
    if not source.mapping:
        targets = {each.key: each.target.value for each in found if each.target is not None}
        source.mapping = sync_merge.propose_mapping(source.columns, targets)
    await source.save()
    sync.status, sync.started_at = SyncStatus.RUNNING, held.now
    await sync.save()
    if "phone" in source.mapping.values():
        return True
    message = "No field of the service is mapped to phone: choose the one that holds phone numbers."
    await fail(held, sync, {"code": "mapping_missing", "message": message, "setting": "mapping"}, stops=True)
    return False


async def note(held: Held, sync: ListSync, taken: Taken) -> None:
    """Add to a sync what came of some of its people."""
    counts = dict(sync.counts)
    for name, count in taken.counts.items():
        counts[name] = counts.get(name, 0) + count
    sync.counts = {name: count for name, count in counts.items() if count}
    if sync.is_dry_run:
        sync.samples = [*sync.samples, *taken.samples][: sync_merge.MAX_SAMPLES]
    sync.problems = [*sync.problems, *taken.problems][: sync_merge.MAX_PROBLEMS]
    sync.attempt_count = 0
    sync.error = None
    # Others have their turn before its next page where they have waited longer.
    sync.due_at = held.now
    await sync.save()


async def shrinks(held: Held, sync: ListSync) -> bool:
    """Hold a sync by which suspiciously many would leave, until that is confirmed. Return whether it is held."""
    count = await fetch_row(GoneCount, sync_merge.COUNT_GONE, held.source.id, sync.id)
    assert count is not None, "counts are one row"
    if sync.may_shrink or count.people < FEW_PEOPLE or count.gone <= MOST_GONE * count.people:
        return False
    message = f"{count.gone} of {count.people} people are no longer there: confirm that they leave the list."
    sync.status = SyncStatus.HELD
    sync.error = {"code": "list_shrank", "message": message}
    await sync.save()
    held.source.status, held.source.error = SourceStatus.STOPPED, sync.error
    held.source.lease_token = held.source.lease_until = None
    await held.source.save()
    await _notify(held, "list_shrank")
    return True


async def complete(held: Held, sync: ListSync) -> None:
    """End a sync whose people were all read, and tell it."""
    source = held.source
    sync.status, sync.ended_at = SyncStatus.COMPLETED, held.now
    await sync.save()
    source.error, source.failure_count = None, 0
    if sync.is_dry_run:
        source.status = SourceStatus.CHECKED
    else:
        source.bookmark = sync.bookmark or source.bookmark
        source.next_sync_at = next_sync(source, held.now)
        if sync.is_full and sync.is_complete:
            source.walked_at = held.now
        elif source.walked_at is None:
            source.walked_at = sync.started_at
    await source.save()
    await _record(EventType.LIST_SYNC_COMPLETED, sync, held.now)


async def fail(held: Held, sync: ListSync, error: Mapping[str, str], *, stops: bool) -> None:
    """End a sync that cannot go on. With `stops` nothing is read until somebody changes what is wrong."""
    source = held.source
    sync.status, sync.ended_at, sync.error = SyncStatus.FAILED, held.now, dict(error)
    await sync.save()
    source.error = dict(error)
    source.failure_count += 1
    if stops or sync.is_dry_run:
        source.status = SourceStatus.STOPPED
        source.lease_token = source.lease_until = None
    else:
        source.next_sync_at = next_sync(source, held.now)
    await source.save()
    await _record(EventType.LIST_SYNC_FAILED, sync, held.now)
    if source.status is SourceStatus.STOPPED or source.failure_count == 1:
        await _notify(held, error["code"])


async def stumble(held: Held, sync: ListSync, error: ConnectorError) -> None:
    """Try a sync again later that a service failed, from where it is; end it where that lasts."""
    told = fault_of(error)
    sync.attempt_count += 1
    most = MAX_LIMITED if isinstance(error, RateLimited) else MAX_ATTEMPTS
    if error.is_lasting or sync.attempt_count >= most:
        await fail(held, sync, told, stops=error.is_lasting)
        return
    sync.due_at = held.now + pause_of(error, sync.attempt_count)
    sync.error = dict(told)
    await sync.save()


def pause_of(error: ConnectorError, attempt: int) -> timedelta:
    """Return how long to leave a service alone: as long as it asks for, else longer each time, and a little more."""
    asked = error.retry_after if isinstance(error, RateLimited | Unavailable) else None
    if asked is not None:
        pause = min(timedelta(seconds=max(asked, 1.0)), MOST_ASKED)
    else:
        pause = min(FIRST_PAUSE * 2 ** min(attempt - 1, 10), LONGEST_PAUSE)
    # Workers and workspaces that were turned away together do not come back together.
    return pause * random.uniform(1.0, 1.2)  # noqa: S311


def fault_of(error: ConnectorError) -> dict[str, str]:
    """Return what is kept of an error."""
    told = {"code": error.code, "message": error.message[:500]}
    return told if error.setting is None else {**told, "setting": error.setting}


async def _record(type: EventType, sync: ListSync, now: datetime) -> None:
    resource = list_sync_resource(sync, has_people=False)
    await record_events([NewEvent(type, sync.workspace_id, sync.livemode, sync.id, resource)], now)


async def _notify(held: Held, reason: str) -> None:
    source = held.source
    row = await ContactList.filter(
        workspace_id=source.workspace_id, livemode=source.livemode, id=source.list_id
    ).first()
    name = None if row is None else row.name
    # An address of a webhook may be gone, too, which reads otherwise.
    about = (ids.encode_id(ids.CONTACT_LIST, source.list_id), name, "source_gone" if reason == "gone" else reason)
    kind = NotificationKind.LIST_SYNC_STOPPED
    await notify_members([Notice(kind, source.workspace_id, source.livemode, *about)], held.now)


# Opt-outs that services are told of


async def find_opt_outs(source_id: UUID, now: datetime) -> Sequence[OptOut]:
    """Return the opt-outs that a service is to be told of now."""
    return await fetch(OptOut, FIND_OPT_OUTS, source_id, now, WRITES_AT_ONCE)


async def settle_opt_out(held: Held, row: OptOut, error: ConnectorError | None) -> None:
    """Note that a service knows of an opt-out, or when it is told again."""
    told = None if error is None else msgspec.json.encode(fault_of(error)).decode()
    if error is None:
        await execute(SETTLE_OPT_OUT, row.id, row.opted_out_at, "done" if row.external_id else "dropped", None)
    elif error.code == "gone" or row.attempt_count + 1 >= MAX_WRITE_ATTEMPTS:
        await execute(SETTLE_OPT_OUT, row.id, row.opted_out_at, "dropped", told)
    else:
        again = held.now + pause_of(error, row.attempt_count + 1)
        await execute(DEFER_OPT_OUT, row.id, row.opted_out_at, again, told)
        if error.is_lasting:
            await stop(held, error)


async def stop(held: Held, error: ConnectorError) -> None:
    """Read and write nothing more until somebody changes what is wrong."""
    source = held.source
    source.status, source.error = SourceStatus.STOPPED, dict(fault_of(error))
    source.lease_token = source.lease_until = None
    await source.save()
    await _notify(held, error.code)


# People whom a service told us to read again


async def find_lookups(source_id: UUID, now: datetime) -> Sequence[Lookup]:
    """Return people to be read again now."""
    return await fetch(Lookup, FIND_LOOKUPS, source_id, now, LOOKUPS_AT_ONCE)


async def find_unseen(sync: ListSync) -> Sequence[Unseen]:
    """Return people whom a walk did not bring."""
    return await fetch(Unseen, FIND_UNSEEN, sync.source_id, sync.id, LOOKUPS_AT_ONCE)


# People who are posted

HOOK_PERIOD = timedelta(hours=1)


async def current_sync(held: Held) -> UUID:
    """Return the sync that goes on, or else the one that counts what is posted: who comes now is seen by it."""
    going_on = (
        await scoped(held.ctx, ListSync)
        .filter(source_id=held.source.id, status__in=(*RUNS, SyncStatus.HELD), is_dry_run=False)
        .first()
    )
    return going_on.id if going_on is not None else (await _hook_sync(held)).id


async def note_hook(held: Held, taken: Taken) -> None:
    """Count what came of people who were posted, in one entry of the history an hour."""
    row = await _hook_sync(held)
    counts = dict(row.counts)
    for name, count in taken.counts.items():
        counts[name] = counts.get(name, 0) + count
    row.counts = {name: count for name, count in counts.items() if count}
    row.problems = [*row.problems, *taken.problems][: sync_merge.MAX_PROBLEMS]
    row.ended_at = held.now
    await row.save()


async def _hook_sync(held: Held) -> ListSync:
    source = held.source
    since = held.now - HOOK_PERIOD
    of_hour = scoped(held.ctx, ListSync).filter(
        source_id=source.id, trigger=SyncTrigger.HOOK, is_dry_run=False, created_at__gte=since
    )
    row = await of_hour.order_by("-id").first()
    if row is not None:
        return row
    return await ListSync.create(
        workspace_id=source.workspace_id,
        livemode=source.livemode,
        source_id=source.id,
        list_id=source.list_id,
        trigger=SyncTrigger.HOOK,
        status=SyncStatus.COMPLETED,
        is_full=False,
        due_at=held.now,
        started_at=held.now,
        ended_at=held.now,
    )
