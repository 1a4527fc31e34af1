"""The worker's side of syncs: claim a due source, record progress, and complete, retry or fail a sync."""

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
from msvs.api.contacts.sources import OAUTH_CODE, begin_sync, next_sync, open_settings, put_settings
from msvs.api.contacts.sync_merge import GoneCount, Taken
from msvs.api.context import Context, Services
from msvs.api.resources import list_sync_resource
from msvs.api.scope import scoped
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.connectors.base import Account, Choice, ConnectorError, Field, RateLimited, Unavailable
from msvs.connectors.registry import CONNECTORS
from msvs.database import execute, fetch, fetch_row, fetch_value
from msvs.models import ContactList, ListSource, ListSync, SourceStatus, SyncStatus, SyncTrigger

LEASE = timedelta(seconds=120)
# The retry delay, which doubles with each attempt.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
# The longest Retry-After that we honor.
MOST_ASKED = timedelta(hours=6)
MAX_ATTEMPTS, MAX_LIMITED = 8, 100
MAX_WRITE_ATTEMPTS = 20
# A sync that would remove a larger share of the list waits for confirmation. Shorter lists are exempt.
MOST_GONE, FEW_PEOPLE = 0.5, 20
# How often an incremental source runs a full sync; more often if its changes do not include deletions.
FULL_EVERY = timedelta(days=7)
FULL_EVERY_UNSEEN = timedelta(days=1)
# How often a source is claimed without progress: one that crashes its worker is not retried forever.
TRIES = 10
BROKEN_OFF = "The sync was interrupted too often: check the fields of the service, or sync fewer people at once."
# The most values of a setting that are stored to choose from, and the longest label.
MAX_CHOICES, MAX_LABEL = 500, 200
WRITES_AT_ONCE = 20
LOOKUPS_AT_ONCE = 100
RUNS = (SyncStatus.QUEUED, SyncStatus.RUNNING)

# Literals rather than parameters, so that the planner can use the partial index of open syncs.
_RUNS = ", ".join(f"'{status}'" for status in RUNS)
_DUE = f"""
SELECT source_id, due_at FROM list_syncs WHERE status IN ({_RUNS}) AND due_at <= {{now}}
UNION ALL SELECT id, next_sync_at FROM list_sources WHERE next_sync_at <= {{now}} AND status = '{SourceStatus.ACTIVE}'
UNION ALL SELECT source_id, next_attempt_at FROM opt_out_writes WHERE state = 'pending' AND next_attempt_at <= {{now}}
UNION ALL SELECT source_id, due_at FROM source_lookups WHERE due_at <= {{now}}
"""
_FREE = f"""
NOT source.is_paused AND source.status <> '{SourceStatus.STOPPED}'
    AND (source.lease_until IS NULL OR source.lease_until < {{now}})
"""
CLAIM_SOURCE = f"""
UPDATE list_sources SET lease_token = $1, lease_until = $3, tries = tries + 1
WHERE id = (
    SELECT source.id FROM ({_DUE.format(now="$2")}) AS due JOIN list_sources AS source ON source.id = due.source_id
    WHERE {_FREE.format(now="$2")}
    ORDER BY due.due_at, source.id LIMIT 1 FOR UPDATE OF source SKIP LOCKED
)
RETURNING id, tries
"""
HAS_DUE_SOURCE = f"""
SELECT EXISTS (
    SELECT FROM ({_DUE.format(now="$1")}) AS due JOIN list_sources AS source ON source.id = due.source_id
    WHERE {_FREE.format(now="$1")}
)
"""
# A released source does not count as a failed try.
RELEASE_SOURCE = """
UPDATE list_sources SET lease_token = NULL, lease_until = NULL, tries = GREATEST(0, tries - 1)
WHERE id = $1 AND lease_token = $2
"""
FIND_OPT_OUTS = """
SELECT written.id, written.opted_out_at, written.attempt_count, person.external_id
FROM opt_out_writes AS written LEFT JOIN source_people AS person USING (source_id, person_key)
WHERE written.source_id = $1 AND written.state = 'pending' AND written.next_attempt_at <= $2
ORDER BY written.next_attempt_at, written.id LIMIT $3
"""
# If the contact opts out again during the call, opted_out_at no longer matches and the row stays pending.
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
    """The worker no longer holds the source: the lease expired, the source was paused, or the sync was canceled."""


class Claimed(Protocol):
    """A source that a worker has leased, and how often it was claimed since the last progress."""

    id: UUID
    tries: int


class OptOut(Protocol):
    """An opt-out to write back to a service; `external_id` is None if the person has left the source."""

    id: UUID
    opted_out_at: datetime
    attempt_count: int
    external_id: str | None


class Lookup(Protocol):
    """A person that the service reported as changed, to be looked up."""

    external_id: str
    due_at: datetime


class Unseen(Protocol):
    """A person that the current full sync has not seen."""

    person_key: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Held:
    """A source locked by the current transaction, with the context of its owner."""

    ctx: Context
    source: ListSource
    now: datetime


async def has_due_sources(now: datetime) -> bool:
    """Return whether any source is due and free to claim."""
    return bool(await fetch_value(HAS_DUE_SOURCE, now))


async def claim_source(token: UUID, now: datetime) -> Claimed | None:
    """Lease the source that has waited longest. Return None if none is due."""
    return await fetch_row(Claimed, CLAIM_SOURCE, token, now, now + LEASE)


async def hold(services: Services, id: UUID, token: UUID, now: datetime) -> Held:
    """Lock a source for the transaction and renew its lease. Raises LeaseLost."""
    row = await ListSource.filter(id=id).select_for_update().first()
    if row is None or row.lease_token != token or row.is_paused or row.status is SourceStatus.STOPPED:
        raise LeaseLost
    row.lease_until = now + LEASE
    await row.save(update_fields=["lease_until"])
    return Held(Context(row.workspace_id, row.livemode, row.actor, services=services), row, now)


async def hold_sync(held: Held) -> ListSync:
    """Lock the sync in progress. Raises LeaseLost if there is none."""
    row = await scoped(held.ctx, ListSync).filter(source_id=held.source.id, status__in=RUNS).select_for_update().first()
    if row is None:
        raise LeaseLost
    return row


async def begin_due_sync(held: Held) -> bool:
    """Queue a scheduled sync if one is due and none is open. Return whether there is a sync to run now."""
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
    """Store new secrets over those with the same names."""
    put_settings(held.ctx, held.source, {**open_settings(held.ctx, held.source), **secrets})
    await held.source.save()


# Progress and outcome


async def keep_choices(held: Held, choices: Mapping[str, Sequence[Choice]]) -> None:
    """Store the values that the account has for settings."""
    held.source.choices = {
        name: [{"value": each.value, "label": each.label[:MAX_LABEL]} for each in values[:MAX_CHOICES]]
        for name, values in choices.items()
    }
    await held.source.save(update_fields=["choices", "updated_at"])


async def keep_grant(held: Held, code: str, secrets: Mapping[str, str] | None) -> None:
    """Store what a code was exchanged for, or drop a refused code. Raises LeaseLost if there is a newer one."""
    settings = open_settings(held.ctx, held.source)
    if settings.pop(OAUTH_CODE, None) != code:
        raise LeaseLost
    put_settings(held.ctx, held.source, {**settings, **(secrets or {})})
    await held.source.save()


async def start(held: Held, sync: ListSync, account: Account, found: Sequence[Field]) -> bool:
    """Store the account and fields, and propose a mapping if there is none. Return whether a field maps to phone."""
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
    """Add the outcome of a batch of people to a sync, and reset its retries."""
    counts = dict(sync.counts)
    for name, count in taken.counts.items():
        counts[name] = counts.get(name, 0) + count
    sync.counts = {name: count for name, count in counts.items() if count}
    if sync.is_dry_run:
        sync.samples = [*sync.samples, *taken.samples][: sync_merge.MAX_SAMPLES]
    sync.problems = [*sync.problems, *taken.problems][: sync_merge.MAX_PROBLEMS]
    sync.attempt_count = 0
    sync.error = None
    # Due now rather than at its original time, so that sources that have waited longer run first.
    sync.due_at = held.now
    await sync.save()
    await _move_on(held)


async def _move_on(held: Held) -> None:
    """Count the tries of the source from zero again."""
    held.source.tries = 0
    await held.source.save(update_fields=["tries"])


async def shrinks(held: Held, sync: ListSync) -> bool:
    """Hold a sync that would remove too many people until the user confirms it. Return whether it is held."""
    count = await fetch_row(GoneCount, sync_merge.COUNT_GONE, held.source.id, sync.id)
    assert count is not None, "an aggregate always returns one row"
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
    """Complete a sync that has read everyone, and send its event."""
    source = held.source
    sync.status, sync.ended_at = SyncStatus.COMPLETED, held.now
    await sync.save()
    source.error, source.failure_count, source.tries = None, 0, 0
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
    """Fail a sync and send its event. With `stops`, the source stays stopped until a user fixes the cause."""
    source = held.source
    sync.status, sync.ended_at, sync.error = SyncStatus.FAILED, held.now, dict(error)
    await sync.save()
    source.error = dict(error)
    source.failure_count += 1
    source.tries = 0
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
    """Retry a sync from its cursor after a connector error; fail it on a lasting error or after too many attempts."""
    told = fault_of(error)
    sync.attempt_count += 1
    most = MAX_LIMITED if isinstance(error, RateLimited) else MAX_ATTEMPTS
    if error.is_lasting or sync.attempt_count >= most:
        await fail(held, sync, told, stops=error.is_lasting)
        return
    sync.due_at = held.now + pause_of(error, sync.attempt_count)
    sync.error = dict(told)
    await sync.save()
    await _move_on(held)


def pause_of(error: ConnectorError, attempt: int) -> timedelta:
    """Return the retry delay: the service's Retry-After if it sent one, otherwise exponential backoff, plus jitter."""
    asked = error.retry_after if isinstance(error, RateLimited | Unavailable) else None
    if asked is not None:
        pause = min(timedelta(seconds=max(asked, 1.0)), MOST_ASKED)
    else:
        pause = min(FIRST_PAUSE * 2 ** min(attempt - 1, 10), LONGEST_PAUSE)
    # Jitter keeps sources that were refused at the same time from retrying at the same time.
    return pause * random.uniform(1.0, 1.2)  # noqa: S311


def fault_of(error: ConnectorError) -> dict[str, str]:
    """Return the stored form of a connector error."""
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
    # Webhook endpoints also use the reason `gone`, with a different message.
    about = (ids.encode_id(ids.CONTACT_LIST, source.list_id), name, "source_gone" if reason == "gone" else reason)
    kind = NotificationKind.LIST_SYNC_STOPPED
    await notify_members([Notice(kind, source.workspace_id, source.livemode, *about)], held.now)


# Opt-out write-back


async def find_opt_outs(source_id: UUID, now: datetime) -> Sequence[OptOut]:
    """Return a batch of opt-outs that are due to be written back."""
    return await fetch(OptOut, FIND_OPT_OUTS, source_id, now, WRITES_AT_ONCE)


async def settle_opt_out(held: Held, row: OptOut, error: ConnectorError | None) -> None:
    """Record the result of an opt-out write-back: done, dropped, or retried later."""
    told = None if error is None else msgspec.json.encode(fault_of(error)).decode()
    if error is None:
        await execute(SETTLE_OPT_OUT, row.id, row.opted_out_at, "done" if row.external_id else "dropped", None)
    elif error.code == "gone" or row.attempt_count + 1 >= MAX_WRITE_ATTEMPTS:
        await execute(SETTLE_OPT_OUT, row.id, row.opted_out_at, "dropped", told)
    else:
        again = held.now + pause_of(error, row.attempt_count + 1)
        await execute(DEFER_OPT_OUT, row.id, row.opted_out_at, again, told)
        if error.is_lasting:
            await stop(held, fault_of(error))


async def stop(held: Held, error: Mapping[str, str]) -> None:
    """Stop the source, with its reads and writes, until a user fixes the cause."""
    source = held.source
    source.status, source.error, source.tries = SourceStatus.STOPPED, dict(error), 0
    source.lease_token = source.lease_until = None
    await source.save()
    await _notify(held, error["code"])


async def break_off(held: Held) -> None:
    """Stop a source that was interrupted too often, and fail its open sync."""
    fault = {"code": "interrupted", "message": BROKEN_OFF}
    sync = await scoped(held.ctx, ListSync).filter(source_id=held.source.id, status__in=RUNS).first()
    if sync is None:
        await stop(held, fault)
    else:
        await fail(held, sync, fault, stops=True)


# Lookups of single people


async def find_lookups(source_id: UUID, now: datetime) -> Sequence[Lookup]:
    """Return a batch of people that are due for a lookup."""
    return await fetch(Lookup, FIND_LOOKUPS, source_id, now, LOOKUPS_AT_ONCE)


async def find_unseen(sync: ListSync) -> Sequence[Unseen]:
    """Return a batch of people that the sync has not seen."""
    return await fetch(Unseen, FIND_UNSEEN, sync.source_id, sync.id, LOOKUPS_AT_ONCE)


# People posted to the hook URL

HOOK_PERIOD = timedelta(hours=1)


async def current_sync(held: Held) -> UUID:
    """Return the open sync, or else the hourly hook sync. Marking posted people as seen by it spares them its sweep."""
    going_on = (
        await scoped(held.ctx, ListSync)
        .filter(source_id=held.source.id, status__in=(*RUNS, SyncStatus.HELD), is_dry_run=False)
        .first()
    )
    return going_on.id if going_on is not None else (await _hook_sync(held)).id


async def note_hook(held: Held, taken: Taken) -> None:
    """Add the outcome of posted people to the hook sync, of which the history has one per hour."""
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
    return await create_hook_sync(held)


async def create_hook_sync(held: Held, *, is_dry_run: bool = False) -> ListSync:
    """Create a completed sync for people who are posted to the hook URL."""
    source = held.source
    return await ListSync.create(
        workspace_id=source.workspace_id,
        livemode=source.livemode,
        source_id=source.id,
        list_id=source.list_id,
        trigger=SyncTrigger.HOOK,
        status=SyncStatus.COMPLETED,
        is_dry_run=is_dry_run,
        is_full=False,
        due_at=held.now,
        started_at=held.now,
        ended_at=held.now,
    )
