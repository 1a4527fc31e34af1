"""Exports of data as files: created here, written by a worker, and kept for seven days."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.audit import AuditAction, record_audit
from msvs.api.contacts.contact_filters import check_attribute_values, compile_contacts
from msvs.api.contacts.contacts import ListContacts
from msvs.api.contacts.segments import check_filter
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from msvs.api.messages.export_requests import (
    CONDITIONS,
    CSV,
    EVERY_CONDITION,
    FORMATS,
    MAX_TYPES,
    OF_CONTACTS,
    CreateExport,
    ListExports,
)
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import GET_EXPORT, Permission, SignedAddress, allow, is_allowed, sign_address
from msvs.api.resources import Resource, moment, optional_moment
from msvs.api.scope import find, scoped
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType
from msvs.database import execute, fetch
from msvs.fields import ULID, about
from msvs.json_types import JSONObject
from msvs.models import (
    Campaign,
    ContactList,
    Export,
    ExportKind,
    ExportStatus,
    MessageStatus,
    OptInStatus,
    Segment,
    rows,
)

KEPT_DAYS = 7
DOWNLOAD = "The address of the file, for anyone who has it, for an hour; new each time. Null unless it is completed."
KEPT = timedelta(days=KEPT_DAYS)
# The most queued and running exports per workspace and mode.
MAX_WAITING = 10
DUE = (ExportStatus.QUEUED, ExportStatus.RUNNING)

# The permissions for the contents of each kind, in addition to those for exports.
PERMISSIONS: Mapping[ExportKind, tuple[Permission, ...]] = {
    ExportKind.CONTACTS: (Permission.CONTACTS_READ,),
    ExportKind.MESSAGES: (Permission.MESSAGES_READ,),
    ExportKind.CAMPAIGN_RESULTS: (Permission.CAMPAIGNS_READ, Permission.MESSAGES_READ, Permission.CONTACTS_READ),
    ExportKind.SUPPRESSIONS: (Permission.CONTACTS_READ,),
    ExportKind.LEDGER: (Permission.CREDITS_READ,),
    ExportKind.EVENTS: (Permission.EVENTS_READ,),
    ExportKind.CONVERSIONS: (Permission.CONVERSIONS_READ,),
}
# The resources that conditions refer to: id prefix, model, and noun for messages.
REFS: Mapping[str, tuple[str, type[ContactList] | type[Segment] | type[Campaign], str]] = {
    "list_id": (ids.CONTACT_LIST, ContactList, "list"),
    "segment_id": (ids.SEGMENT, Segment, "segment"),
    "campaign_id": (ids.CAMPAIGN, Campaign, "campaign"),
}
# Kinds that contain personal data: an erasure deletes their files or restarts them.
OF_PEOPLE = tuple(kind for kind in ExportKind if kind is not ExportKind.LEDGER)

INSERT_EXPORT_CHUNK = "INSERT INTO export_chunks (export_id, start, data) VALUES ($1, $2, $3)"
READ_EXPORT_CHUNK = "SELECT data FROM export_chunks WHERE export_id = $1 AND start = $2"
DROP_EXPORT_CHUNKS = "DELETE FROM export_chunks WHERE export_id = $1"
# The most exports and chunks per batch: a file has from one chunk to thousands, each of a megabyte.
EXPIRE_AT_ONCE = 100
DROP_AT_ONCE = 200
_EXPIRED = """
SELECT id FROM exports WHERE status = 'completed' AND expires_at < $1
ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
DROP_EXPIRED_CHUNKS = f"""
WITH due AS MATERIALIZED ({_EXPIRED})
DELETE FROM export_chunks WHERE ctid = ANY (ARRAY(
    SELECT chunks.ctid FROM due JOIN export_chunks AS chunks ON chunks.export_id = due.id LIMIT $3
))
"""
EXPIRE_EXPORTS = f"""
UPDATE exports SET status = 'expired', updated_at = $1 WHERE id = ANY (ARRAY({_EXPIRED}))
    AND NOT EXISTS (SELECT FROM export_chunks WHERE export_id = exports.id)
"""
# Completed exports expire; the others start again, without the erased person.
FORGET_FILES = """
UPDATE exports SET status = CASE WHEN status = 'completed' THEN 'expired' ELSE 'queued' END, lease_token = NULL,
    lease_until = NULL, tries = 0, rows_done = 0, file_size = 0, updated_at = $3
WHERE workspace_id = $1 AND livemode = $2 AND status IN ('queued', 'running', 'completed') AND kind = ANY($4::varchar[])
RETURNING id
"""
# A separate statement, run after FORGET_FILES has locked the rows: its snapshot includes chunks committed meanwhile.
FORGET_CHUNKS = "DELETE FROM export_chunks WHERE export_id = ANY($1::uuid[])"
FIND_SEARCHES = """
SELECT id, options FROM exports WHERE workspace_id = $1 AND livemode = $2
    AND (options ->> 'q' IS NOT NULL OR 'object' IN (jsonb_typeof(options -> 'filter'),
        jsonb_typeof(options -> 'attributes'))) ORDER BY id FOR UPDATE
"""
WRITE_OPTIONS = "UPDATE exports SET options = $4 WHERE workspace_id = $1 AND livemode = $2 AND id = $3"


class ExportFault(Resource, kw_only=True):
    """Why an export failed."""

    code: Annotated[str, about("The error code.", example="parameter_invalid")]
    message: Annotated[str, about("What is wrong, in English.", example="No such segment.")]


class ExportResource(Resource, kw_only=True):
    """An export of data of the workspace as a file."""

    id: Annotated[str, about(example=f"exp_{ULID}")]
    object: Literal["export"] = "export"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    kind: Annotated[str, about("The kind of data.", example="contacts", enum=[*ExportKind])]
    status: Annotated[str, about("The status.", example="completed", enum=[*ExportStatus])]
    format: Annotated[str, about("The format of the file: `csv` or `jsonl`.", example="csv", enum=[*FORMATS])]
    gzip: Annotated[bool, about("Whether the file is compressed.", example=False)]
    conditions: Annotated[
        JSONObject, about("The conditions that all rows meet, as requested.", example={"opt_in_status": "opted_in"})
    ]
    rows_total: Annotated[int, about("The number of rows; null until they are counted.", example=3)] | None
    rows_done: Annotated[int, about("The number of rows written so far.", example=3)]
    file_name: Annotated[str, about("The file name.", example="contacts-2026-05-01.csv")]
    file_size: Annotated[int, about("The number of bytes written so far.", example=1042)]
    download_url: (
        Annotated[
            str,
            about(
                DOWNLOAD,
                example="https://api.massivesms.com/files/gAAAAAB…",
            ),
        ]
        | None
    )
    download_expires_at: Annotated[str, about("When the download URL expires.")] | None
    error: Annotated[ExportFault, about("Why it failed.")] | None
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it last made progress.")]
    started_at: Annotated[str, about("When it started; the file holds the data of that moment.")] | None
    ended_at: Annotated[str, about("When it ended.")] | None
    expires_at: Annotated[str, about("When the file is deleted.")] | None


def export_resource(ctx: Context, row: rows.ExportRow) -> ExportResource:
    """Return the resource of an export, with a download URL for the caller if there is a file."""
    request = request_of(row)
    address = address_of(ctx, row)
    return ExportResource(
        id=ids.encode_id(ids.EXPORT, row.id),
        livemode=row.livemode,
        kind=str(row.kind),
        status=str(row.status),
        format=request.format,
        gzip=request.gzip,
        conditions=conditions_of(row),
        rows_total=row.rows_total,
        rows_done=row.rows_done,
        file_name=file_name(row),
        file_size=row.file_size,
        download_url=None if address is None else address.url,
        download_expires_at=None if address is None else moment(address.expires_at),
        error=None if row.error is None else fault_of(row.error),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        started_at=optional_moment(row.started_at),
        ended_at=optional_moment(row.ended_at),
        expires_at=optional_moment(row.expires_at),
    )


def allow_contents(ctx: Context, kind: ExportKind) -> None:
    """Refuse a caller who may not read all that an export of a kind holds. Raises PermissionDenied."""
    for permission in PERMISSIONS[kind]:
        allow(ctx, permission)


def may_read_contents(ctx: Context, kind: ExportKind) -> bool:
    """Return whether a caller may read all that an export of a kind holds."""
    return all(is_allowed(ctx, permission) for permission in PERMISSIONS[kind])


def address_of(ctx: Context, row: rows.ExportRow) -> SignedAddress | None:
    """Return the download URL for the caller; None if there is no file, or the caller may not read it."""
    if row.status != ExportStatus.COMPLETED or not may_read_contents(ctx, ExportKind(row.kind)):
        return None
    return sign_address(ctx, GET_EXPORT, row.id)


SHOWN = EVERY_CONDITION | {"created_from", "created_before"}


def request_of(row: rows.ExportRow) -> CreateExport:
    """Return the request that an export was created with."""
    return msgspec.convert(row.options, CreateExport)


def fault_of(error: JSONObject) -> ExportFault:
    """Return the resource of the error that ended an export."""
    return msgspec.convert(error, ExportFault)


def conditions_of(row: rows.ExportRow) -> JSONObject:
    """Return the conditions of an export, as requested."""
    return {name: value for name, value in row.options.items() if name in SHOWN and value is not None}


def file_name(row: rows.ExportRow) -> str:
    """Return the file name of an export."""
    request = request_of(row)
    return f"{row.kind}-{row.created_at:%Y-%m-%d}.{request.format}{'.gz' if request.gzip else ''}"


def media_type(row: rows.ExportRow) -> str:
    """Return the media type of an export's file."""
    request = request_of(row)
    if request.gzip:
        return "application/gzip"
    return "text/csv; charset=utf-8" if request.format == CSV else "application/x-ndjson"


async def create_export(ctx: Context, data: CreateExport) -> Export:
    """Create an export. Raises InvalidRequest, PermissionDenied, and Conflict `export_limit`."""
    allow(ctx, Permission.EXPORTS_WRITE)
    kind = _read_kind(data.kind)
    allow_contents(ctx, kind)
    check_attribute_values(data.attributes)
    await _check(ctx, kind, data)
    waiting = await scoped(ctx, Export).filter(status__in=DUE).count()
    if waiting >= MAX_WAITING:
        raise Conflict(
            f"{MAX_WAITING} exports are queued or running: wait for one to end, or cancel one.",
            code=ErrorCode.EXPORT_LIMIT,
        )
    row = await Export.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        kind=kind,
        actor=ctx.actor,
        options=msgspec.to_builtins(data),
    )
    await record_audit(
        ctx,
        AuditAction.EXPORT_CREATED,
        ids.encode_id(ids.EXPORT, row.id),
        {"kind": kind.value, "format": data.format, "livemode": ctx.livemode},
    )
    notify_after_commit(WorkQueue.IMPORTS)
    return row


async def get_export(ctx: Context, id: UUID) -> Export:
    """Return one export. Raises NotFound, and PermissionDenied if the caller may not read its contents."""
    allow(ctx, Permission.EXPORTS_READ)
    row = await _find(ctx, id)
    allow_contents(ctx, row.kind)
    return row


async def list_exports(ctx: Context, page: PageRequest, which: ListExports | None = None) -> Page[Export]:
    """List the exports whose contents the caller may read, newest first. Raises InvalidRequest."""
    allow(ctx, Permission.EXPORTS_READ)
    return await fetch_page(export_query(ctx, which or ListExports()), page)


def export_query(ctx: Context, which: ListExports) -> QuerySet[Export]:
    """Return the query of the exports that a caller may see. Raises InvalidRequest."""
    query = scoped(ctx, Export).filter(kind__in=[kind for kind in ExportKind if may_read_contents(ctx, kind)])
    if which.kind is not None:
        query = query.filter(kind=_read_kind(which.kind))
    if which.status is not None:
        if which.status not in set(ExportStatus):
            raise InvalidRequest(f"status must be one of: {', '.join(ExportStatus)}.", param="status")
        query = query.filter(status=ExportStatus(which.status))
    return query


async def cancel_export(ctx: Context, id: UUID) -> Export:
    """Cancel an export; return one that has ended unchanged. Raises NotFound."""
    allow(ctx, Permission.EXPORTS_WRITE)
    row = await _find(ctx, id, lock=True)
    allow_contents(ctx, row.kind)
    if row.status in DUE:
        await end_export(row, ExportStatus.CANCELED, ctx.services.clock())
        await execute(DROP_EXPORT_CHUNKS, row.id)
    return row


async def end_export(row: Export, status: ExportStatus, now: datetime, error: Mapping[str, str] | None = None) -> None:
    """End an export whose row the caller has locked, and release its lease."""
    row.status = status
    row.error = None if error is None else dict(error)
    row.ended_at = now
    row.expires_at = now + KEPT if status is ExportStatus.COMPLETED else None
    row.lease_token = row.lease_until = None
    await row.save()


async def open_file(ctx: Context, id: UUID) -> Export:
    """Return an export that has a file. Raises NotFound."""
    row = await get_export(ctx, id)
    if row.status is not ExportStatus.COMPLETED:
        raise NotFound("The file of this export is gone.", code=ErrorCode.ADDRESS_EXPIRED)
    return row


async def read_file(row: Export) -> AsyncIterator[bytes]:
    """Yield the bytes of an export's file in order. Raises NotFound if the file is deleted meanwhile."""
    start = 0
    while start < row.file_size:
        chunk = await fetch(READ_EXPORT_CHUNK, row.id, start)
        if not chunk:
            raise NotFound("The file of this export is gone.", code=ErrorCode.ADDRESS_EXPIRED)
        yield chunk[0].data
        start += len(chunk[0].data)


async def forget_exports(now: datetime) -> int:
    """Delete a batch of expired files. Return the number of rows changed; 0 means that none is left."""
    dropped = await execute(DROP_EXPIRED_CHUNKS, now, EXPIRE_AT_ONCE, DROP_AT_ONCE)
    return dropped + await execute(EXPIRE_EXPORTS, now, EXPIRE_AT_ONCE)


async def forget_files_of_people(ctx: Context, now: datetime) -> None:
    """Delete the files that may name an erased person, and restart the exports that are being written.

    The caller must have locked the suppressions, so that no export starts before its transaction ends.
    """
    found = await fetch(FORGET_FILES, ctx.workspace_id, ctx.livemode, now, [kind.value for kind in OF_PEOPLE])
    await execute(FORGET_CHUNKS, [row.id for row in found])
    notify_after_commit(WorkQueue.IMPORTS)


async def rename_in_conditions(ctx: Context, rename: Callable[[str], str]) -> None:
    """Apply `rename` to every search text, filter value and attribute value of the exports."""
    for row in await fetch(FIND_SEARCHES, ctx.workspace_id, ctx.livemode):
        options = {**row.options, **{name: _renamed(row.options.get(name), rename) for name in ("q", "filter")}}
        if options.get("attributes"):
            options["attributes"] = {key: rename(value) for key, value in options["attributes"].items()}
        if options != row.options:
            await execute(WRITE_OPTIONS, ctx.workspace_id, ctx.livemode, row.id, options)


def _renamed(value: object, rename: Callable[[str], str]) -> object:
    """Return a search or a filter with its values renamed."""
    match value:
        case str():
            return rename(value)
        case list():
            return [_renamed(each, rename) for each in value]
        case dict():
            return {name: each if name in ("field", "op") else _renamed(each, rename) for name, each in value.items()}
    return value


def _read_kind(text: str) -> ExportKind:
    if text not in set(ExportKind):
        raise InvalidRequest(f"kind must be one of: {', '.join(ExportKind)}.", param="kind")
    return ExportKind(text)


async def _check(ctx: Context, kind: ExportKind, data: CreateExport) -> None:
    """Check the conditions of an export. Raises InvalidRequest."""
    if data.format not in FORMATS:
        raise InvalidRequest(f"format must be one of: {', '.join(FORMATS)}.", param="format")
    for name in sorted(EVERY_CONDITION - CONDITIONS[kind]):
        if getattr(data, name) is not None:
            raise InvalidRequest(f"{name} does not apply to exports of {kind}.", param=name)
    for name, words in (("opt_in_status", OptInStatus), ("status", MessageStatus)):
        if getattr(data, name) not in (None, *words):
            raise InvalidRequest(f"{name} must be one of: {', '.join(words)}.", param=name)
    if data.types is not None and len(data.types) > MAX_TYPES:
        raise InvalidRequest(
            f"types may hold at most {MAX_TYPES} names.", param="types", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    for type in data.types or ():
        if type not in set(EventType):
            raise InvalidRequest(f"There is no event '{type[:80]}'.", param="types")
    if data.filter is not None:
        await check_filter(ctx, data.filter)
    if kind is ExportKind.CONTACTS:
        await compile_contacts(ctx, ListContacts(**{name: getattr(data, name) for name in OF_CONTACTS}), 1)
    await _check_refs(ctx, kind, data)


async def _check_refs(ctx: Context, kind: ExportKind, data: CreateExport) -> None:
    ids.read_optional_id(ids.CONTACT, data.contact_id, "contact_id")
    for name, (prefix, model, noun) in REFS.items():
        id = ids.read_optional_id(prefix, getattr(data, name), name)
        if id is not None and not await scoped(ctx, model).filter(id=id).exists():
            raise InvalidRequest(
                f"No such {noun}: '{getattr(data, name)}'.", code=ErrorCode.RESOURCE_MISSING, param=name
            )
    if kind is ExportKind.CAMPAIGN_RESULTS and data.campaign_id is None:
        raise InvalidRequest(
            "Missing required parameter: campaign_id.", code=ErrorCode.PARAMETER_MISSING, param="campaign_id"
        )


async def _find(ctx: Context, id: UUID, *, lock: bool = False) -> Export:
    return await find(ctx, Export, id, prefix=ids.EXPORT, noun="export", lock=lock)
