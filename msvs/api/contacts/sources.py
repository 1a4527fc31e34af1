"""Synced lists: connect a list to a service, confirm, pause and resume its syncs, and disconnect it."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import UNSET
from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.contacts import import_columns, lists
from msvs.api.contacts.contacts import MAX_ATTRIBUTES, read_name
from msvs.api.contacts.lists import STATIC, SYNCED
from msvs.api.contacts.rules import FILL, RULES
from msvs.api.contacts.source_options import (
    EVERY_MINUTES,
    LEAVE,
    MAX_MINUTES,
    MIN_MINUTES,
    REMOVALS,
    NewSource,
    SourceOptions,
    UpdateSource,
    evidence_of,
    options_of,
)
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow, is_allowed
from msvs.api.resources import (
    ContactListResource,
    ListSourceResource,
    SourceField,
    SyncFault,
    contact_list_resource,
    list_sync_resource,
    optional_moment,
)
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.connectors.base import Connector, InvalidSetting, check_settings
from msvs.connectors.registry import CONNECTORS
from msvs.database import execute, fetch
from msvs.models import ContactList, ListSource, ListSync, SourceStatus, SyncStatus, SyncTrigger, rows

HOOKS = "/hooks"
# The key in a source's secrets that holds the token of its hook URL.
HOOK_TOKEN = "hook token"  # noqa: S105
# Limit per workspace and mode.
MAX_SOURCES = 50
MAX_MAPPED = 200
OPEN = (SyncStatus.QUEUED, SyncStatus.RUNNING, SyncStatus.HELD)
OF_SOURCE = ("source_people", "source_erasures", "opt_out_writes", "source_lookups", "hook_deliveries")

READ_LAST_SYNCS = """
SELECT last.* FROM list_sources AS source
CROSS JOIN LATERAL (SELECT * FROM list_syncs WHERE source_id = source.id ORDER BY id DESC LIMIT 1) AS last
WHERE source.workspace_id = $1 AND source.livemode = $2 AND source.id = ANY($3::uuid[])
"""
CANCEL_SYNCS = f"""
UPDATE list_syncs SET status = '{SyncStatus.CANCELED}', ended_at = $2, updated_at = $2, samples = '[]'
WHERE source_id = $1 AND status IN ({", ".join(f"'{status}'" for status in OPEN)})
"""
FORGET_SAMPLES = "UPDATE list_syncs SET samples = '[]' WHERE source_id = $1 AND samples <> '[]'"


async def create_synced_list(ctx: Context, name: str, data: NewSource) -> ContactList:
    """Create a list that syncs from a service. The first sync is a dry run, which the user must confirm.

    Raises InvalidRequest, and Conflict `source_limit`.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    name = read_name(name, param="name", maximum=lists.MAX_NAME)
    connector = _find_connector(data.type)
    settings = _check_settings(connector, data.settings)
    options = SourceOptions(**{each: getattr(data, each) for each in SourceOptions.__struct_fields__})
    _check_options(options, ctx.services.clock())
    mapping = _check_mapping(data.mapping or {})
    if await scoped(ctx, ListSource).count() >= MAX_SOURCES:
        raise Conflict(f"There are {MAX_SOURCES} synced lists: disconnect one first.", code=ErrorCode.SOURCE_LIMIT)
    row = await ContactList.create(workspace_id=ctx.workspace_id, livemode=ctx.livemode, name=name, kind=SYNCED)
    source = ListSource(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        list_id=row.id,
        kind=data.type,
        actor=ctx.actor,
        mapping=mapping,
        options=msgspec.to_builtins(options),
    )
    token = secrets.token_urlsafe(32) if connector.capabilities.hook else None
    source.hook_hash = None if token is None else hash_token(token)
    put_settings(ctx, source, settings if token is None else {**settings, HOOK_TOKEN: token})
    if not connector.capabilities.pulls and "phone" in mapping.values():
        # A push-only service has no data to dry-run: people arrive only when it posts them.
        source.status = SourceStatus.ACTIVE
    await source.save(force_create=True)
    if connector.capabilities.pulls:
        await begin_sync(ctx, source, SyncTrigger.CREATED, is_dry_run=True)
    await _audit(ctx, AuditAction.LIST_CONNECTED, source)
    return row


def _find_connector(kind: str) -> type[Connector]:
    connector = CONNECTORS.get(kind)
    if connector is None:
        raise InvalidRequest(f"type must be one of: {', '.join(sorted(CONNECTORS))}.", param="source.type")
    return connector


def _check_settings(connector: type[Connector], values: Mapping[str, object]) -> dict[str, str]:
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    for name in values.keys() - texts.keys():
        raise InvalidRequest("A setting must be text.", param=f"source.settings.{name[:40]}")
    try:
        return check_settings(connector, texts)
    except InvalidSetting as error:
        param = "source.settings" if error.setting is None else f"source.settings.{error.setting}"
        raise InvalidRequest(error.message, param=param) from None


def _check_options(options: SourceOptions, now: datetime) -> None:
    if options.default_region is not None and options.default_region not in SUPPORTED_REGIONS:
        raise InvalidRequest(
            f"'{options.default_region[:10]}' is not an ISO 3166-1 region code.", param="source.default_region"
        )
    for name, value, words in (("update", options.update, RULES), ("removal", options.removal, REMOVALS)):
        if value is not None and value not in words:
            raise InvalidRequest(f"{name} must be one of: {', '.join(words)}.", param=f"source.{name}")
    minutes = EVERY_MINUTES if options.every_minutes is None else options.every_minutes
    if not MIN_MINUTES <= minutes <= MAX_MINUTES:
        raise InvalidRequest(
            f"every_minutes must be from {MIN_MINUTES} to {MAX_MINUTES}.",
            param="source.every_minutes",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    evidence_of(options, now)


def _check_mapping(mapping: Mapping[str, str]) -> dict[str, str]:
    try:
        for name, field in mapping.items():
            import_columns.check_field(field, name)
    except InvalidRequest as error:
        error.param = f"source.{error.param}"
        raise
    fields = list(mapping.values())
    if len(fields) > MAX_MAPPED or sum(field.startswith(import_columns.ATTRIBUTE) for field in fields) > MAX_ATTRIBUTES:
        raise InvalidRequest(
            f"A contact has at most {MAX_ATTRIBUTES} attributes.",
            param="source.mapping",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )
    for field in fields:
        is_single = field not in import_columns.REPEATED and not field.startswith(import_columns.ATTRIBUTE)
        if is_single and fields.count(field) > 1:
            raise InvalidRequest(f"Only one field can be {field}.", param="source.mapping")
    return dict(mapping)


# Settings and secrets


def hash_token(token: str) -> str:
    """Return the stored hash that identifies a source by its hook token."""
    return hashlib.sha256(token.encode()).hexdigest()


def put_settings(ctx: Context, source: ListSource, values: Mapping[str, str]) -> None:
    """Store the settings of a source; seal the secret ones."""
    connector = CONNECTORS[source.kind]
    shown = {each.name for each in connector.settings if not each.is_secret}
    source.settings = {name: value for name, value in values.items() if name in shown}
    sealed = {name: value for name, value in values.items() if name not in shown}
    source.secrets = ctx.services.keyring.seal(msgspec.json.encode(sealed).decode()) if sealed else None
    source.writes_opt_outs = connector.capabilities.writes_opt_outs and any(
        values.get(name) not in (None, "", "false") for name in connector.opt_out_settings
    )


def open_settings(ctx: Context, source: rows.ListSourceRow) -> dict[str, str]:
    """Return the settings of a source, secrets included. Raises SecretUnreadable."""
    if source.secrets is None:
        return dict(source.settings)
    opened = msgspec.json.decode(ctx.services.keyring.open(source.secrets), type=dict[str, str])
    return {**source.settings, **opened}


def hook_url(ctx: Context, source: rows.ListSourceRow) -> str | None:
    """Return the URL that a service posts to; None if the source has no hook or the caller cannot change contacts."""
    if source.hook_hash is None or not is_allowed(ctx, Permission.CONTACTS_WRITE):
        return None
    return f"{ctx.services.base_url}{HOOKS}/{open_settings(ctx, source)[HOOK_TOKEN]}"


# Reading


def source_resource(ctx: Context, source: rows.ListSourceRow, last: rows.ListSyncRow | None) -> ListSourceResource:
    """Return a source as an API resource, with its latest sync."""
    options = options_of(source)
    return ListSourceResource(
        type=source.kind,
        status=str(source.status),
        paused=source.is_paused,
        account=source.account,
        settings=source.settings,
        known_fields=[
            SourceField(
                key=str(each["key"]),
                label=str(each["label"]),
                type=str(each["type"]),
                field=source.mapping.get(str(each["key"]), import_columns.IGNORE),
            )
            for each in source.columns
        ],
        mapping=source.mapping,
        default_region=options.default_region,
        evidence=None if options.evidence is None else msgspec.to_builtins(options.evidence),
        update=options.update or FILL,
        removal=options.removal or LEAVE,
        every_minutes=options.every_minutes or EVERY_MINUTES,
        writes_opt_outs=source.writes_opt_outs,
        hook_url=hook_url(ctx, source),
        next_sync_at=None if source.is_paused else optional_moment(source.next_sync_at),
        last_sync=None if last is None else list_sync_resource(last),
        error=None if source.error is None else msgspec.convert(source.error, SyncFault),
    )


async def list_resources(ctx: Context, found: Sequence[rows.ContactListRow]) -> list[ContactListResource]:
    """Return lists as API resources; synced lists include their source."""
    sources = await read_sources(ctx, [row.id for row in found if row.kind != STATIC])
    shown = {id: source_resource(ctx, *pair) for id, pair in sources.items()}
    return [contact_list_resource(row, shown.get(row.id)) for row in found]


async def list_resource(ctx: Context, row: rows.ContactListRow) -> ContactListResource:
    """Return a list as an API resource; a synced list includes its source."""
    return (await list_resources(ctx, [row]))[0]


async def read_sources(
    ctx: Context, list_ids: Sequence[UUID]
) -> dict[UUID, tuple[rows.ListSourceRow, rows.ListSyncRow | None]]:
    """Return each list's source and latest sync, keyed by list id."""
    if not list_ids:
        return {}
    found = await scoped(ctx, ListSource).filter(list_id__in=list(list_ids))
    ids_of = [row.id for row in found]
    syncs = await fetch(rows.ListSyncRow, READ_LAST_SYNCS, ctx.workspace_id, ctx.livemode, ids_of)
    last = {row.source_id: row for row in syncs}
    return {row.list_id: (row, last.get(row.id)) for row in found}


async def list_syncs(ctx: Context, id: UUID, page: PageRequest) -> Page[ListSync]:
    """List the syncs of a list, newest first. A disconnected list keeps its history. Raises NotFound."""
    row = await lists.get_list(ctx, id)
    return await fetch_page(scoped(ctx, ListSync).filter(list_id=row.id), page)


async def get_sync(ctx: Context, id: UUID) -> ListSync:
    """Return one sync. Raises NotFound."""
    return await find(ctx, ListSync, id, prefix=ids.LIST_SYNC, noun="sync")


# Changing


async def update_source(ctx: Context, id: UUID, data: UpdateSource) -> ContactList:
    """Change the source of a list and restart its sync as a full one.

    Raises NotFound, InvalidRequest, and Conflict `list_not_synced`.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    row, source = await _hold(ctx, id)
    now = ctx.services.clock()
    told = {name: value for name in SourceOptions.__struct_fields__ if (value := getattr(data, name)) is not UNSET}
    options = msgspec.structs.replace(options_of(source), **told)
    _check_options(options, now)
    source.options = msgspec.to_builtins(options)
    if data.mapping is not UNSET:
        source.mapping = _check_mapping(data.mapping)
    if data.settings is not UNSET:
        before = open_settings(ctx, source)
        hook = {name: before.pop(name) for name in (HOOK_TOKEN,) if name in before}
        checked = _check_settings(CONNECTORS[source.kind], {**before, **data.settings})
        put_settings(ctx, source, {**checked, **hook})
    await _change(ctx, source, now)
    await _audit(ctx, AuditAction.LIST_SOURCE_UPDATED, source)
    return row


async def _change(ctx: Context, source: ListSource, now: datetime) -> None:
    """Restart the dry run if the list is not confirmed yet; otherwise queue a full sync."""
    if source.status is SourceStatus.ACTIVE and "phone" not in source.mapping.values():
        raise InvalidRequest("One field must be mapped to phone.", param="source.mapping")
    source.bookmark = None
    source.error, source.failure_count = None, 0
    pulls = CONNECTORS[source.kind].capabilities.pulls
    if source.status is SourceStatus.STOPPED:
        source.status = SourceStatus.CHECKING if source.walked_at is None else SourceStatus.ACTIVE
    if source.status in (SourceStatus.CHECKING, SourceStatus.CHECKED):
        source.status = SourceStatus.CHECKING
        if not pulls and "phone" in source.mapping.values():
            source.status = SourceStatus.ACTIVE
        await source.save()
        if pulls:
            await execute(CANCEL_SYNCS, source.id, now)
            await begin_sync(ctx, source, SyncTrigger.CHANGED, is_dry_run=True)
        return
    await source.save()
    if pulls:
        await execute(CANCEL_SYNCS, source.id, now)
        await begin_sync(ctx, source, SyncTrigger.CHANGED)


async def sync_list(ctx: Context, id: UUID) -> ListSync:
    """Sync a list now, or return the sync in progress. Raises NotFound, Conflict `list_not_synced`, `source_state`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    _, source = await _hold(ctx, id)
    if not CONNECTORS[source.kind].capabilities.pulls:
        raise Conflict("The service posts its people: there is nothing to read.", code=ErrorCode.SOURCE_STATE)
    if source.is_paused:
        raise Conflict("The syncs of this list are paused: resume them.", code=ErrorCode.SOURCE_STATE)
    if source.status is SourceStatus.CHECKED:
        raise Conflict("Confirm the dry run of this list first.", code=ErrorCode.SOURCE_STATE)
    now = ctx.services.clock()
    going_on = await scoped(ctx, ListSync).filter(source_id=source.id, status__in=OPEN).first()
    if going_on is not None and going_on.status is not SyncStatus.HELD:
        # If the sync is waiting to retry, retry now.
        going_on.due_at = now
        await going_on.save(update_fields=["due_at", "updated_at"])
        notify_after_commit(WorkQueue.IMPORTS)
        return going_on
    await execute(CANCEL_SYNCS, source.id, now)
    is_dry_run = source.walked_at is None and source.status is not SourceStatus.ACTIVE
    source.status = SourceStatus.CHECKING if is_dry_run else SourceStatus.ACTIVE
    source.error, source.failure_count = None, 0
    await source.save()
    return await begin_sync(ctx, source, SyncTrigger.MANUAL, is_dry_run=is_dry_run)


async def confirm_sync(ctx: Context, id: UUID) -> ContactList:
    """Activate a list after its dry run, or let a held sync remove people. An active list is returned unchanged.

    Raises NotFound, and Conflict `list_not_synced`, `source_state`.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    row, source = await _hold(ctx, id)
    held = await scoped(ctx, ListSync).filter(source_id=source.id, status=SyncStatus.HELD).first()
    if held is not None:
        held.status, held.may_shrink, held.error = SyncStatus.QUEUED, True, None
        held.due_at = ctx.services.clock()
        await held.save()
        source.status, source.error = SourceStatus.ACTIVE, None
        await source.save()
        notify_after_commit(WorkQueue.IMPORTS)
        return row
    if source.status is SourceStatus.ACTIVE:
        return row
    if source.status is not SourceStatus.CHECKED:
        raise Conflict(f"The list is {source.status}: there is nothing to confirm yet.", code=ErrorCode.SOURCE_STATE)
    if "phone" not in source.mapping.values():
        raise InvalidRequest("One field must be mapped to phone.", param="source.mapping")
    source.status, source.error, source.actor = SourceStatus.ACTIVE, None, ctx.actor
    await source.save()
    await execute(FORGET_SAMPLES, source.id)
    if CONNECTORS[source.kind].capabilities.pulls:
        await begin_sync(ctx, source, SyncTrigger.CONFIRMED)
    return row


async def pause_sync(ctx: Context, id: UUID) -> ContactList:
    """Pause the syncs of a list; one in progress stops after its current page. Raises NotFound, Conflict."""
    return await _set_paused(ctx, id, is_paused=True)


async def resume_sync(ctx: Context, id: UUID) -> ContactList:
    """Resume the syncs of a list from where they stopped. Raises NotFound, Conflict `list_not_synced`."""
    return await _set_paused(ctx, id, is_paused=False)


async def _set_paused(ctx: Context, id: UUID, *, is_paused: bool) -> ContactList:
    allow(ctx, Permission.CONTACTS_WRITE)
    row, source = await _hold(ctx, id)
    if source.is_paused is not is_paused:
        source.is_paused = is_paused
        source.lease_token = source.lease_until = None
        await source.save()
        notify_after_commit(WorkQueue.IMPORTS)
    return row


async def disconnect_list(ctx: Context, id: UUID) -> ContactList:
    """Convert a synced list to a static one: keep its contacts and sync history, and delete its secrets.

    Raises NotFound. A static list is returned unchanged.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    source = await hold_source(ctx, id)
    row = await find(ctx, ContactList, id, prefix=ids.CONTACT_LIST, noun="list", lock=True)
    if source is not None:
        await forget_source(ctx, source)
        row.kind = STATIC
        await row.save(update_fields=["kind"])
        await _audit(ctx, AuditAction.LIST_DISCONNECTED, source)
    return row


async def forget_source(ctx: Context, source: ListSource) -> None:
    """Delete a source and cancel its syncs. The caller holds the row lock on the source."""
    await execute(CANCEL_SYNCS, source.id, ctx.services.clock())
    for table in OF_SOURCE:
        await execute(f"DELETE FROM {table} WHERE source_id = $1", source.id)
    await source.delete()


async def delete_list(ctx: Context, id: UUID) -> None:
    """Delete a list and its source, but not its contacts. Raises NotFound."""
    allow(ctx, Permission.CONTACTS_WRITE)
    source = await hold_source(ctx, id)
    await lists.delete_list(ctx, id)
    if source is not None:
        await forget_source(ctx, source)
        await scoped(ctx, ListSync).filter(list_id=id).delete()
        await _audit(ctx, AuditAction.LIST_DISCONNECTED, source)


async def hold_source(ctx: Context, list_id: UUID) -> ListSource | None:
    """Lock the source of a list. Lock it before the list, in the order the worker uses, to avoid deadlocks."""
    return await scoped(ctx, ListSource).filter(list_id=list_id).select_for_update().first()


async def _hold(ctx: Context, id: UUID) -> tuple[ContactList, ListSource]:
    source = await hold_source(ctx, id)
    row = await lists.get_list(ctx, id)
    if source is None:
        raise Conflict("The list is static: it has no source.", code=ErrorCode.LIST_NOT_SYNCED)
    return row, source


async def begin_sync(
    ctx: Context, source: ListSource, trigger: SyncTrigger, *, is_dry_run: bool = False, since: str | None = None
) -> ListSync:
    """Queue a sync. The caller holds the row lock on the source, which has no other open sync."""
    now = ctx.services.clock()
    if not is_dry_run:
        source.next_sync_at = next_sync(source, now)
        await source.save(update_fields=["next_sync_at"])
    row = await ListSync.create(
        workspace_id=source.workspace_id,
        livemode=source.livemode,
        source_id=source.id,
        list_id=source.list_id,
        trigger=trigger,
        is_dry_run=is_dry_run,
        is_full=since is None,
        since=since,
        due_at=now,
    )
    notify_after_commit(WorkQueue.IMPORTS)
    return row


def next_sync(source: rows.ListSourceRow, now: datetime) -> datetime:
    """Return the time of the next scheduled sync."""
    return now + timedelta(minutes=options_of(source).every_minutes or EVERY_MINUTES)


async def _audit(ctx: Context, action: AuditAction, source: ListSource) -> None:
    changes = {"type": source.kind, "livemode": source.livemode}
    await record_audit(ctx, action, ids.encode_id(ids.CONTACT_LIST, source.list_id), changes)
