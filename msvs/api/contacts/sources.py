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
from msvs.api.audit import AuditAction, changed, record_audit
from msvs.api.contacts import import_columns, lists
from msvs.api.contacts.details import MAX_ATTRIBUTES, read_name
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
from msvs.api.context import Context, Services
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, PermissionDenied, called
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow, is_allowed
from msvs.api.resources import (
    ContactListResource,
    ListSourceResource,
    SettingChoice,
    SettingChoices,
    SourceField,
    SyncFault,
    contact_list_resource,
    list_sync_resource,
    optional_moment,
)
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.connectors.base import Connection, Connector, InvalidSetting, check_settings
from msvs.connectors.registry import CONNECTORS, open_connector
from msvs.database import execute, fetch
from msvs.http_client import HttpClient
from msvs.json_types import JSONObject
from msvs.models import ContactList, ListSource, ListSync, SourceStatus, SyncStatus, SyncTrigger, rows

HOOKS = "/hooks"
# The key in a source's secrets that holds the token of its hook URL.
HOOK_TOKEN = "hook token"  # noqa: S105
# The keys that hold the state of an authorization under way, and its code until a worker exchanges it.
OAUTH_STATE, OAUTH_CODE = "oauth state", "oauth code"
# The keys of a source's secrets that are ours and no setting of the connector.
OWN_KEYS = (HOOK_TOKEN, OAUTH_STATE, OAUTH_CODE)
# Where the service sends the browser back to, under the address of the installation.
AUTHORIZED = "/dashboard/connections/authorized"
# How long a user has to grant access.
STATE_LIFE = timedelta(minutes=15)
MAX_CODE = 2000
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
    needs_grant = _needs_grant(connector, settings)
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
    if needs_grant:
        source.error = _not_granted(connector)
    await source.save(force_create=True)
    if connector.capabilities.pulls and not needs_grant:
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


def _needs_grant(connector: type[Connector], settings: Mapping[str, str]) -> bool:
    try:
        return connector.needs_grant(settings)
    except InvalidSetting as error:
        raise InvalidRequest(error.message, param=f"source.settings.{error.setting}") from None


def _not_granted(connector: type[Connector]) -> JSONObject:
    return {"code": "access_not_granted", "message": f"Grant access in {connector.label}, to read who is there."}


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


def connector_settings(ctx: Context, source: rows.ListSourceRow) -> dict[str, str]:
    """Return the settings of a source as its connector knows them. Raises SecretUnreadable."""
    return {name: value for name, value in open_settings(ctx, source).items() if name not in OWN_KEYS}


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
        setting_choices=[
            SettingChoices(setting=name, choices=msgspec.convert(values, list[SettingChoice]))
            for name, values in source.choices.items()
        ],
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
    # The request is of the source alone.
    with called("", of="source"):
        _check_options(options, now)
        source.options = msgspec.to_builtins(options)
        if data.mapping is not UNSET:
            source.mapping = _check_mapping(data.mapping)
        if data.settings is not UNSET:
            before = open_settings(ctx, source)
            own = {name: before.pop(name) for name in OWN_KEYS if name in before}
            checked = _check_settings(CONNECTORS[source.kind], {**before, **data.settings})
            put_settings(ctx, source, {**checked, **own})
        await _change(ctx, source, now)
    await _audit(ctx, AuditAction.LIST_SOURCE_UPDATED, source)
    return row


async def _change(ctx: Context, source: ListSource, now: datetime) -> None:
    """Restart the dry run if the list is not confirmed yet; otherwise queue a full sync."""
    if source.status is SourceStatus.ACTIVE and "phone" not in source.mapping.values():
        raise InvalidRequest("One field must be mapped to phone.", param="source.mapping")
    source.bookmark = None
    source.error, source.failure_count = None, 0
    connector = CONNECTORS[source.kind]
    pulls = connector.capabilities.pulls
    if OAUTH_CODE not in open_settings(ctx, source) and _needs_grant(connector, connector_settings(ctx, source)):
        # There is nothing to sync with: the next grant starts the sync.
        source.error = _not_granted(connector)
        await source.save()
        await execute(CANCEL_SYNCS, source.id, now)
        return
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


# Access by OAuth


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """Where a user grants access to the account of a service, and until when."""

    url: str
    expires_at: datetime


async def authorize_source(ctx: Context, id: UUID) -> Authorization:
    """Return where the user grants access to a list's service. The service sends the browser back with a code.

    Raises NotFound, InvalidRequest, PermissionDenied for API keys, Conflict `list_not_synced` and `source_state`.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    user = _user_of(ctx)
    _, source = await _hold(ctx, id)
    connector = CONNECTORS[source.kind]
    if not connector.capabilities.oauth:
        raise Conflict(f"{connector.label} has no OAuth: change its settings.", code=ErrorCode.SOURCE_STATE)
    settings = open_settings(ctx, source)
    for name in ("client_id", "client_secret"):
        if not settings.get(name):
            raise InvalidRequest(
                "Add the client ID and secret of an app first.",
                param=f"source.settings.{name}",
                code=ErrorCode.PARAMETER_MISSING,
            )
    token = secrets.token_urlsafe(32)
    expires_at = ctx.services.clock() + STATE_LIFE
    kept = _State(hash=hash_token(token), user=user, expires_at=expires_at)
    put_settings(ctx, source, {**settings, OAUTH_STATE: msgspec.json.encode(kept).decode()})
    await source.save(update_fields=["settings", "secrets", "updated_at"])
    # Building the address makes no network call, so this client is never used.
    connection = Connection(
        settings=settings, http=HttpClient(ctx.services.address_policy), now=ctx.services.real_clock
    )
    url = open_connector(source.kind, connection).authorize_url(
        redirect_uri=redirect_uri(ctx.services), state=f"{ids.encode_id(ids.CONTACT_LIST, id)}.{token}"
    )
    return Authorization(url=url, expires_at=expires_at)


async def grant_source(ctx: Context, *, state: str, code: str) -> ContactList:
    """Take the code that a service sent the user's browser back with. A worker exchanges it, and starts a sync.

    The state is valid once, for 15 minutes, for the user who asked. Raises InvalidRequest.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    user = _user_of(ctx)
    name, _, token = state.partition(".")
    id = ids.decode_id(ids.CONTACT_LIST, name)
    source = None if id is None else await hold_source(ctx, id)
    settings = {} if source is None else open_settings(ctx, source)
    kept = settings.pop(OAUTH_STATE, None)
    if id is None or source is None or kept is None or not _is_valid(ctx, kept, token, user):
        raise InvalidRequest("The grant is not valid any more: start again from the connection.", param="state")
    if not code.strip() or len(code) > MAX_CODE or not code.isprintable():
        raise InvalidRequest("The service granted no access: start again from the connection.", param="code")
    put_settings(ctx, source, {**settings, OAUTH_CODE: code.strip()})
    await _change(ctx, source, ctx.services.clock())
    await _audit(ctx, AuditAction.LIST_SOURCE_UPDATED, source)
    return await lists.get_list(ctx, id)


def redirect_uri(services: Services) -> str:
    """Return the address that services send the browser back to after a grant."""
    return f"{services.base_url}{AUTHORIZED}"


class _State(msgspec.Struct, frozen=True):
    hash: str
    user: str
    expires_at: datetime


def _is_valid(ctx: Context, kept: str, token: str, user: str) -> bool:
    # Bound to the user: nobody can have another one connect an account that is not theirs.
    state = msgspec.json.decode(kept, type=_State)
    is_same = secrets.compare_digest(state.hash, hash_token(token))
    return is_same and state.user == user and ctx.services.clock() < state.expires_at


def _user_of(ctx: Context) -> str:
    if ids.decode_id(ids.USER, ctx.actor) is None:
        raise PermissionDenied("Only a user who is logged in can grant access.")
    return ctx.actor


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
    if source.error is not None and source.error["code"] == "access_not_granted":
        raise Conflict(str(source.error["message"]), code=ErrorCode.SOURCE_STATE)
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
        after = changed({"removals": "held"}, {"removals": "confirmed"})
        await _audit(ctx, AuditAction.LIST_SOURCE_UPDATED, source, after)
        notify_after_commit(WorkQueue.IMPORTS)
        return row
    if source.status is SourceStatus.ACTIVE:
        return row
    if source.status is not SourceStatus.CHECKED:
        raise Conflict(f"The list is {source.status}: there is nothing to confirm yet.", code=ErrorCode.SOURCE_STATE)
    if "phone" not in source.mapping.values():
        raise InvalidRequest("One field must be mapped to phone.", param="source.mapping")
    before = str(source.status)
    source.status, source.error, source.actor = SourceStatus.ACTIVE, None, ctx.actor
    await source.save()
    after = changed({"status": before}, {"status": str(source.status)})
    await _audit(ctx, AuditAction.LIST_SOURCE_UPDATED, source, after)
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
        await _audit(
            ctx, AuditAction.LIST_SOURCE_UPDATED, source, changed({"paused": not is_paused}, {"paused": is_paused})
        )
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


async def _audit(
    ctx: Context, action: AuditAction, source: ListSource, what: Mapping[str, object] | None = None
) -> None:
    changes = {"type": source.kind, "livemode": source.livemode, **(what or {})}
    await record_audit(ctx, action, ids.encode_id(ids.CONTACT_LIST, source.list_id), changes)
