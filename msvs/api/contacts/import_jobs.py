"""Imports of contacts from files: upload, map, check, run, cancel and undo; workers do the work."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, BinaryIO, Literal, Protocol
from uuid import UUID

import msgspec
from phonenumbers import SUPPORTED_REGIONS

from msvs.api import ids
from msvs.api.consent.consent import Evidence
from msvs.api.contacts import import_columns, lists
from msvs.api.contacts.contacts import OptInEvidence, read_evidence
from msvs.api.contacts.details import MAX_ATTRIBUTES
from msvs.api.contacts.import_merge import Merge
from msvs.api.contacts.rules import OVERWRITE, RULES
from msvs.api.contacts.tags import MAX_TAGS, TAG, read_tags
from msvs.api.context import Context, Services
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, RequestTooLarge, called
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import PUT_IMPORT, Permission, allow, is_allowed, sign_address
from msvs.api.resources import Resource, moment, optional_moment
from msvs.api.scope import find, scoped
from msvs.api.text.cells import escape_formula
from msvs.api.unit_of_work import WorkQueue, notify_after_commit
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.api.webhooks.member_notifications import Notice, NotificationKind, notify_members
from msvs.database import execute, fetch, fetch_value
from msvs.fields import LIST_ID, REGION_PATTERN, ULID, Ref, Request, about, id_pattern
from msvs.models import ContactImport, ContactList, ImportStatus, rows

MAX_FILE_NAME = 200
# Of a part of a file, in base64 and as bytes; one that is put to its address has more.
MAX_PART = 700_000
MAX_PUT_PART = 4 * 1024**2
MAX_PART_TEXT = 4 * ((MAX_PART + 2) // 3)
# What a row of `import_chunks` holds.
CHUNK = 1 << 20
# How long what an import made can be undone, and one that waits for its owner is kept.
UNDO_DAYS = 7
UNDO = timedelta(days=UNDO_DAYS)
MAX_ROWS_LISTED = 100
# Rows of a file of those that could not be taken, and the title of the column that says why.
MAX_INVALID_READ = 10_000
# What PostgreSQL numbers rows of a file by.
MAX_ROW = 2**31 - 1
After = Annotated[int, about("The number of the row after which to continue.", minimum=0, maximum=MAX_ROW)]
REASON = "reason"
ROW_STATUSES = ("created", "updated", "unchanged", "duplicate", "suppressed", "invalid")

ENDED = (ImportStatus.COMPLETED, ImportStatus.CANCELED, ImportStatus.FAILED)
# What a worker has to do.
DUE = (
    *(ImportStatus.QUEUED, ImportStatus.READING, ImportStatus.CHECKING, ImportStatus.RUNNING),
    ImportStatus.UNDOING,
)
WAITS_FOR_OWNER = (ImportStatus.UPLOADING, ImportStatus.NEEDS_MAPPING, ImportStatus.CHECKED)
CANCELABLE = (*WAITS_FOR_OWNER, *DUE[:-1])

INSERT_CHUNK = "INSERT INTO import_chunks (import_id, start, data) VALUES ($1, $2, $3)"
READ_CHUNKS = "SELECT start, data FROM import_chunks WHERE import_id = $1 AND start >= $2 ORDER BY start LIMIT $3"
READ_CHUNK = "SELECT data FROM import_chunks WHERE import_id = $1 AND start = $2"
HAS_CHUNKS = "SELECT EXISTS (SELECT FROM import_chunks WHERE import_id = $1)"
DROP_CHUNKS = "DELETE FROM import_chunks WHERE import_id = $1"
CHUNKS_AT_ONCE = 2

# A row that nothing was noted of yet is that of a contact made, once its turn has come.
STATUS_OF_ROW = "CASE WHEN rows.status = 'staged' THEN 'created' ELSE rows.status END"
LIST_ROWS = f"""
SELECT rows.number, rows.line, {STATUS_OF_ROW} AS status, rows.reason, rows.phone, rows.cells, contacts.id AS contact_id
FROM import_rows AS rows
LEFT JOIN contacts ON contacts.workspace_id = $1 AND contacts.livemode = $2 AND contacts.canonical = rows.canonical
WHERE rows.reading_id = $3 AND rows.number > $4 AND (rows.status = $6 OR $6 IS NULL)
    AND (rows.status <> 'staged' OR rows.number <= $7)
ORDER BY rows.number LIMIT $5
"""

READ_INVALID = """
SELECT number, reason, cells FROM import_rows
WHERE reading_id = $1 AND status = 'invalid' AND number > $2 ORDER BY number LIMIT $3
"""

Status = Annotated[str, about("The status.", example="completed", enum=[*ImportStatus])]
Mapping_ = Annotated[
    dict[str, Annotated[str, about(pattern=import_columns.FIELD_PATTERN)]],
    about(
        "What each column is, by its key: `phone`, `first_name`, `last_name`, `full_name`, `email`, `timezone`,"
        " `external_id`, `country`, `consent`, `consent_at`, `consent_source`, `consent_ip`, `consent_text`,"
        " `opted_out`, `status`, `attributes.` and a key, `attributes` for a JSON object of them, or `ignore`.",
        example={"Mobile": "phone", "First Name": "first_name", "Tier": "attributes.tier"},
    ),
]
ListRef = Annotated[
    str,
    Ref(ids.CONTACT_LIST),
    about("The list to which all contacts are added.", example=LIST_ID, pattern=id_pattern(ids.CONTACT_LIST)),
]
Region = Annotated[
    str,
    about(
        "The ISO 3166-1 region of numbers without a country code, unless their row names a country.",
        example="US",
        pattern=REGION_PATTERN,
    ),
]
Rule = Annotated[
    str,
    about(
        "How existing contacts change: `overwrite` sets the values of the row, `fill` sets only blank fields, `skip`"
        " changes nothing. `overwrite` by default.",
        example="fill",
        enum=[*RULES],
    ),
]
OfAll = about(
    "How everyone in the file agreed to receive texts. Without it, and without a consent column, nobody is opted in."
)


Tags = Annotated[
    list[Annotated[str, about(**TAG)]],
    about("The tags that all contacts get.", example=["webinar"], maxItems=MAX_TAGS),
]


class ImportOptions(Request, frozen=True, kw_only=True):
    """The options of an import."""

    list_id: ListRef | None = None
    default_region: Region | None = None
    mapping: Mapping_ | None = None
    evidence: Annotated[OptInEvidence | None, OfAll] = None
    update: Rule | None = None
    tags: Tags | None = None
    dry_run: Annotated[bool, about("Whether to check the file without importing it.", example=True)] = False


class CreateImport(ImportOptions, frozen=True, kw_only=True):
    """A file to import, whose content follows in parts."""

    file_name: Annotated[
        str,
        about(
            f"The file name. Of a path, the last part is kept, at most {MAX_FILE_NAME} characters.",
            example="members.csv",
        ),
    ]


class UploadPart(Request, frozen=True, kw_only=True):
    """A part of a file."""

    offset: Annotated[
        int,
        about("The offset of the part in bytes, which is `file_size` so far.", example=0, minimum=0, maximum=2**53),
    ]
    content: Annotated[
        str,
        about(
            "The content in base64.",
            example="cGhvbmUKKzEyMTI1NTUwMTIzCg==",
            maxLength=MAX_PART_TEXT,
            pattern="^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
        ),
    ]
    last: Annotated[bool, about("Whether it is the last part.", example=True)] = False


class UpdateImport(Request, frozen=True, kw_only=True):
    """Changes to an import that is waiting for its mapping or its run; the file is then read again."""

    list_id: ListRef | msgspec.UnsetType | None = msgspec.UNSET
    default_region: Region | msgspec.UnsetType | None = msgspec.UNSET
    mapping: Mapping_ | msgspec.UnsetType = msgspec.UNSET
    evidence: Annotated[OptInEvidence, OfAll] | msgspec.UnsetType | None = msgspec.UNSET
    update: Rule | msgspec.UnsetType = msgspec.UNSET
    tags: Tags | msgspec.UnsetType = msgspec.UNSET


class ListImports(PageQuery, frozen=True, kw_only=True):
    """Which imports."""

    status: Annotated[str, about("Only those of this status.", enum=[*ImportStatus])] | None = None


class ListImportRows(Request, frozen=True, kw_only=True):
    """Which rows of an import."""

    status: Annotated[str, about("Only those of this status.", enum=[*ROW_STATUSES])] | None = None
    starting_after: After | None = None
    limit: Annotated[int, about("The most rows to return.", minimum=1, maximum=MAX_ROWS_LISTED, default=20)] | None = (
        None
    )


class ImportColumn(Resource, kw_only=True):
    """A column of the file."""

    name: Annotated[str, about("The title.", example="Mobile")]
    key: Annotated[str, about("The key in `mapping`; repeated titles get different keys.", example="Mobile")]
    type: Annotated[
        str,
        about(
            "The type of the first cells.",
            example="text",
            enum=["integer", "number", "boolean", "date", "time", "text"],
        ),
    ]
    field: Annotated[str, about("The field that it is mapped to.", example="phone")]
    samples: Annotated[list[str], about("Sample values.", example=["+1 212-555-0123"])]


class ImportCounts(Resource, kw_only=True):
    """The outcomes of the rows, actual or expected: each of `rows` is counted once, in the eight fields that follow."""

    rows: Annotated[int, about("The number of rows.", example=3)] = 0
    created: Annotated[int, about("Contacts created.", example=1)] = 0
    updated: Annotated[int, about("Contacts updated.", example=1)] = 0
    unchanged: Annotated[int, about("Contacts that already had these values.", example=0)] = 0
    duplicate: Annotated[int, about("Rows whose phone an earlier row has.", example=0)] = 0
    suppressed: Annotated[int, about("Contacts that opted out and stay opted out.", example=0)] = 0
    invalid: Annotated[int, about("Invalid rows.", example=1)] = 0
    erased: Annotated[int, about("Rows left out because the person was erased meanwhile.", example=0)] = 0
    remaining: Annotated[int, about("Rows that were not processed.", example=0)] = 0
    opted_in: Annotated[int, about("Contacts opted in.", example=1)] = 0
    pending: Annotated[int, about("Contacts asked to confirm.", example=0)] = 0
    without_opt_in: Annotated[
        int, about("Rows of people who unsubscribed, canceled or bounced; they opt nobody in.", example=0)
    ] = 0
    added_to_list: Annotated[int, about("Contacts added to the list.", example=2)] = 0
    undone: Annotated[int, about("Contacts deleted by the undo.", example=0)] = 0
    kept: Annotated[int, about("Contacts kept by the undo, because they were used since.", example=0)] = 0


class ImportFault(Resource, kw_only=True):
    """Why an import failed."""

    code: Annotated[str, about("The error code.", example="parameter_invalid")]
    message: Annotated[str, about("What is wrong, in English.", example="The workbook is empty.")]


class ImportResource(Resource, kw_only=True):
    """An import of contacts from a file."""

    id: Annotated[str, about(example=f"imp_{ULID}")]
    object: Literal["import"] = "import"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    status: Status
    file_name: Annotated[str, about("The file name.", example="members.csv")]
    file_size: Annotated[int, about("The number of bytes received.", example=1042)]
    file_kind: Annotated[str, about("The kind of file.", example="csv", enum=["csv", "xlsx"])] | None
    encoding: Annotated[str, about("The character encoding.", example="utf-8")] | None
    delimiter: Annotated[str, about("The delimiter between cells.", example=",")] | None
    columns: Annotated[list[ImportColumn], about("The columns; empty until the file is read.")]
    mapping: Annotated[
        dict[str, str], about("The field of each column, by the key of the column.", example={"Mobile": "phone"})
    ]
    list_id: Annotated[str, about("The list to which all contacts are added.", example=LIST_ID)] | None
    default_region: Annotated[str, about("The region of numbers without a country code.", example="US")] | None
    evidence: Annotated[OptInEvidence, about("How everyone in the file agreed.", example={"source": "webinar"})] | None
    update: Annotated[str, about("What happens to existing contacts.", example="overwrite", enum=[*RULES])]
    dry_run: Annotated[bool, about("Whether it only checks the file.", example=False)]
    counts: Annotated[ImportCounts, about("The outcomes of the rows, actual or expected.")]
    rows_read: Annotated[int, about("The number of rows read so far.", example=3)]
    rows_done: Annotated[int, about("The number of rows checked, imported or undone so far.", example=3)]
    error: Annotated[ImportFault, about("Why it failed.")] | None
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it last made progress.")]
    started_at: Annotated[str, about("When the first contacts were changed.")] | None
    ended_at: Annotated[str, about("When it ended.")] | None
    undo_until: Annotated[str, about("The time until which it can be undone.")] | None


class ImportRowResource(Resource, kw_only=True):
    """A row of an import, with its outcome."""

    object: Literal["import_row"] = "import_row"
    number: Annotated[int, about("The number of the row, from 1.", example=2)]
    line: Annotated[int, about("The line of the file on which it starts.", example=3)]
    status: Annotated[str, about("The outcome, actual or expected.", example="invalid", enum=[*ROW_STATUSES])]
    reason: Annotated[str, about("Why the row is invalid.", example="it is not a valid phone number")] | None
    phone: Annotated[str, about("The phone of the row, in E.164 format.", example="+12125550123")] | None
    contact_id: Annotated[str, about("The contact of its phone, if there is one.", example=f"con_{ULID}")] | None
    cells: Annotated[list[str], about("The cells of an invalid row.", example=["Maria", "555"])] | None


class ImportFile(Resource, kw_only=True):
    """Invalid rows, in the format of the original file, with a column for the reason."""

    object: Literal["import_file"] = "import_file"
    file_name: Annotated[str, about("The file name.", example="members-invalid.csv")]
    media_type: Annotated[str, about("The media type.", example="text/csv; charset=utf-8")]
    content: Annotated[
        str,
        about(
            "The content. Spreadsheets do not execute any of its cells.",
            example="Mobile,reason\n,it has no phone number\n",
        ),
    ]
    has_more: Annotated[bool, about("Whether more rows follow: continue `after` `last`.", example=False)]
    last: Annotated[int, about("The number of its last row.", example=2)] | None


class ListInvalidRows(Request, frozen=True, kw_only=True):
    """Which rows of an import."""

    after: After | None = None


class _Invalid(Protocol):
    number: int
    reason: str | None
    cells: list[str] | None


class ImportRow(Protocol):
    """A row of an import as it is read."""

    number: int
    line: int
    status: str
    reason: str | None
    phone: str | None
    cells: list[str] | None
    contact_id: UUID | None


def import_resource(row: rows.ContactImportRow) -> ImportResource:
    """Return the shape of an import."""
    options = options_of(row)
    return ImportResource(
        id=ids.encode_id(ids.IMPORT, row.id),
        livemode=row.livemode,
        status=str(row.status),
        file_name=row.file_name,
        file_size=row.file_size,
        file_kind=row.file_kind,
        encoding=row.encoding,
        delimiter=row.delimiter,
        columns=[
            ImportColumn(
                name=column.name,
                key=column.key,
                type=column.type,
                field=row.mapping.get(column.key, import_columns.IGNORE),
                samples=column.samples,
            )
            for column in columns_of(row)
        ],
        mapping=row.mapping,
        list_id=options.list_id,
        default_region=options.default_region,
        evidence=options.evidence,
        update=options.update or OVERWRITE,
        dry_run=options.dry_run,
        counts=counts_of(row),
        rows_read=row.rows_read,
        rows_done=row.rows_done,
        error=None if row.error is None else msgspec.convert(row.error, ImportFault),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        started_at=optional_moment(row.started_at),
        ended_at=optional_moment(row.ended_at),
        undo_until=moment(row.ended_at + UNDO) if row.ended_at is not None and _can_undo(row, row.ended_at) else None,
    )


def import_row_resource(row: ImportRow) -> ImportRowResource:
    """Return the shape of a row of an import."""
    return ImportRowResource(
        number=row.number,
        line=row.line,
        status=row.status,
        reason=row.reason,
        phone=row.phone,
        contact_id=None if row.contact_id is None else ids.encode_id(ids.CONTACT, row.contact_id),
        cells=row.cells,
    )


def options_of(row: rows.ContactImportRow) -> ImportOptions:
    """Return how a file is imported."""
    return msgspec.convert(row.options, ImportOptions)


def columns_of(row: rows.ContactImportRow) -> list[import_columns.Column]:
    """Return the columns of an import's file."""
    return msgspec.convert(row.columns, list[import_columns.Column])


def counts_of(row: rows.ContactImportRow) -> ImportCounts:
    """Return the counts of an import, of which each row is one."""
    counts = msgspec.convert(row.counts, ImportCounts)
    told = counts.created + counts.updated + counts.unchanged + counts.duplicate + counts.suppressed + counts.invalid
    counts.remaining = max(0, counts.rows - told - counts.erased)
    return counts


def merge_of(row: rows.ContactImportRow, now: datetime) -> Merge:
    """Return how the rows of an import become contacts."""
    options = options_of(row)
    assert row.reading_id is not None, "its file was read"
    evidence = read_shared(options, now)
    mapped = set(row.mapping.values())
    return Merge(
        row.reading_id,
        options.update or OVERWRITE,
        ids.read_optional_id(ids.CONTACT_LIST, options.list_id, "list_id"),
        evidence,
        "external_id" in mapped,
        evidence is not None or bool(mapped & {"consent", "opted_out"}),
        row.file_name,
        tags=read_tags(options.tags or (), param="tags"),
    )


def read_shared(options: ImportOptions, now: datetime) -> Evidence | None:
    """Return the evidence for all of a file. Raises InvalidRequest."""
    if options.evidence is None:
        return None
    with called("evidence", of="opt_in"):
        return read_evidence(options.evidence, now)


# Uploading


async def create_import(ctx: Context, data: CreateImport) -> ContactImport:
    """Begin an import, whose file follows in parts. Raises InvalidRequest, Conflict `list_synced`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    await _check(ctx, data)
    options = ImportOptions(**{name: getattr(data, name) for name in ImportOptions.__struct_fields__})
    return await ContactImport.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        actor=ctx.actor,
        file_name=_read_file_name(data.file_name),
        options=msgspec.to_builtins(options),
        mapping=data.mapping or {},
    )


async def add_part(ctx: Context, id: UUID, data: UploadPart) -> ContactImport:
    """Add a part to the file; the one that came last may come again. Raises NotFound, Conflict, InvalidRequest.

    What breaks off goes on at `file_size`.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    try:
        content = base64.b64decode(data.content, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("content must be base64.", param="content") from None
    if len(content) > MAX_PART:
        raise InvalidRequest(
            f"A part has at most {MAX_PART} bytes.", param="content", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return await add_bytes(ctx, id, data.offset, content, last=data.last)


async def add_bytes(ctx: Context, id: UUID, offset: int, content: bytes, *, last: bool) -> ContactImport:
    """Add bytes to the file; those that came last may come again. Raises NotFound, Conflict, InvalidRequest."""
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await _find(ctx, id, lock=True)
    is_again = offset + len(content) == row.file_size and len(content) > 0
    if is_again and await fetch_value(READ_CHUNK, id, offset) == content:
        if last and row.status is ImportStatus.UPLOADING:
            await _finish_upload(row)
        return row
    if row.status is not ImportStatus.UPLOADING:
        raise _conflict("The file of this import is complete.")
    if offset != row.file_size:
        raise Conflict(f"The file goes on at byte {row.file_size}.", param="offset", code=ErrorCode.IMPORT_OFFSET_WRONG)
    _check_size(ctx.services, row.file_size + len(content))
    if content:
        await execute(INSERT_CHUNK, id, row.file_size, content)
        row.file_size += len(content)
    if last:
        if row.file_size == 0:
            raise _conflict("The file has no content yet: add some before its last part, or with it.")
        await _finish_upload(row)
    else:
        await row.save(update_fields=["file_size", "updated_at"])
    return row


def upload_url(ctx: Context, row: rows.ContactImportRow) -> str | None:
    """Return the address to which parts of the file are put; None where no more come, or none from the caller."""
    if row.status != ImportStatus.UPLOADING or not is_allowed(ctx, Permission.CONTACTS_WRITE):
        return None
    return sign_address(ctx, PUT_IMPORT, row.id).url


async def import_file(ctx: Context, file: BinaryIO, file_name: str, options: ImportOptions) -> ContactImport:
    """Begin the import of a whole file. Raises InvalidRequest, RequestTooLarge, Conflict `list_synced`."""
    told = {name: getattr(options, name) for name in ImportOptions.__struct_fields__}
    row = await create_import(ctx, CreateImport(file_name=file_name, **told))
    file.seek(0)
    while block := file.read(CHUNK):
        await execute(INSERT_CHUNK, row.id, row.file_size, block)
        row.file_size += len(block)
    _check_size(ctx.services, row.file_size)
    await _finish_upload(row)
    return row


async def _finish_upload(row: ContactImport) -> None:
    if row.file_size == 0 or not await fetch_value(HAS_CHUNKS, row.id):
        raise InvalidRequest("The file is empty.", param="file")
    await _queue(row)


async def _queue(row: ContactImport) -> None:
    row.status = ImportStatus.QUEUED
    await row.save()
    notify_after_commit(WorkQueue.IMPORTS)


async def read_chunks(id: UUID) -> AsyncIterator[bytes]:
    """Yield the bytes of an import's file, in order."""
    start = 0
    while chunks := await fetch(READ_CHUNKS, id, start, CHUNKS_AT_ONCE):
        for chunk in chunks:
            yield chunk.data
        start = chunks[-1].start + 1


def _read_file_name(text: str) -> str:
    """Return the last part of a file's path, without what cannot be shown."""
    name = text.replace("\\", "/").rpartition("/")[2]
    return "".join(each for each in name if each.isprintable())[:MAX_FILE_NAME].strip() or "file"


def _check_size(services: Services, size: int) -> None:
    if size > services.import_bytes:
        raise RequestTooLarge(f"A file has at most {services.import_bytes} bytes.")


async def _check(ctx: Context, options: ImportOptions) -> None:
    """Refuse options that cannot be. Raises InvalidRequest, Conflict `list_synced`."""
    if options.default_region is not None and options.default_region not in SUPPORTED_REGIONS:
        raise InvalidRequest(
            f"'{options.default_region[:10]}' is not an ISO 3166-1 region code.", param="default_region"
        )
    if options.update is not None and options.update not in RULES:
        raise InvalidRequest(f"update must be one of: {', '.join(RULES)}.", param="update")
    read_shared(options, ctx.services.clock())
    read_tags(options.tags or (), param="tags")
    _check_fields(options.mapping or {})
    list_id = ids.read_optional_id(ids.CONTACT_LIST, options.list_id, "list_id")
    if list_id is not None:
        row = await scoped(ctx, ContactList).filter(id=list_id).first()
        if row is None:
            raise InvalidRequest(
                f"No such list: '{options.list_id}'.", code=ErrorCode.RESOURCE_MISSING, param="list_id"
            )
        lists.refuse_synced(row)


def _check_fields(mapping: Mapping[str, str]) -> None:
    for name, field in mapping.items():
        import_columns.check_field(field, name)
    if sum(field.startswith(import_columns.ATTRIBUTE) for field in mapping.values()) > MAX_ATTRIBUTES:
        raise InvalidRequest(
            f"A contact has at most {MAX_ATTRIBUTES} attributes.",
            param="mapping",
            code=ErrorCode.PARAMETER_OUT_OF_RANGE,
        )


# Reading


async def get_import(ctx: Context, id: UUID) -> ContactImport:
    """Return one import. Raises NotFound."""
    return await _find(ctx, id)


async def list_imports(ctx: Context, page: PageRequest, *, status: str | None = None) -> Page[ContactImport]:
    """List imports, newest first. Raises InvalidRequest."""
    query = scoped(ctx, ContactImport)
    if status is not None:
        if status not in set(ImportStatus):
            raise InvalidRequest(f"status must be one of: {', '.join(ImportStatus)}.", param="status")
        query = query.filter(status=ImportStatus(status))
    return await fetch_page(query, page)


async def list_import_rows(ctx: Context, id: UUID, which: ListImportRows) -> tuple[Sequence[ImportRow], bool]:
    """List rows of an import in their order, and whether there are more. Raises NotFound, InvalidRequest."""
    allow(ctx, Permission.CONTACTS_READ)
    limit = 20 if which.limit is None else which.limit
    if not 1 <= limit <= MAX_ROWS_LISTED:
        raise InvalidRequest(
            f"limit must be from 1 to {MAX_ROWS_LISTED}.", param="limit", code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    if which.status is not None and which.status not in ROW_STATUSES:
        raise InvalidRequest(f"status must be one of: {', '.join(ROW_STATUSES)}.", param="status")
    after = _check_after(which.starting_after, "starting_after")
    row = await _find(ctx, id)
    if row.reading_id is None:
        return [], False
    found = await fetch(
        ImportRow,
        LIST_ROWS,
        ctx.workspace_id,
        ctx.livemode,
        row.reading_id,
        after,
        limit + 1,
        "staged" if which.status == "created" else which.status,
        done_of(row),
    )
    return found[:limit], len(found) > limit


async def read_invalid_rows(ctx: Context, id: UUID, *, after: int | None = None) -> ImportFile:
    """Return rows that could not be taken, as the file that they came from. Raises NotFound, InvalidRequest."""
    allow(ctx, Permission.CONTACTS_READ)
    after = _check_after(after, "after")
    row = await _find(ctx, id)
    found: Sequence[_Invalid] = []
    if row.reading_id is not None:
        found = await fetch(_Invalid, READ_INVALID, row.reading_id, after or 0, MAX_INVALID_READ + 1)
    shown = found[:MAX_INVALID_READ]
    text = io.StringIO()
    writer = csv.writer(text, delimiter=row.delimiter or ",", lineterminator="\n")
    titles = [column.name for column in columns_of(row)]
    if not after:
        writer.writerow([*map(escape_formula, titles), REASON])
    for each in shown:
        cells = each.cells or []
        writer.writerow([*map(escape_formula, cells), *[""] * (len(titles) - len(cells)), each.reason])
    return ImportFile(
        file_name=f"{row.file_name.rpartition('.')[0] or row.file_name}-invalid.csv",
        media_type="text/csv; charset=utf-8",
        content=text.getvalue(),
        has_more=len(found) > len(shown),
        last=shown[-1].number if shown else None,
    )


def _check_after(after: int | None, param: str) -> int:
    """Return the number of the row after which to continue. Raises InvalidRequest."""
    if after is not None and not 0 <= after <= MAX_ROW:
        raise InvalidRequest(
            f"{param} must be the number of a row.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return after or 0


def done_of(row: rows.ContactImportRow) -> int:
    """Return the number of the last row whose turn has come: all, once the import has ended."""
    return row.rows_read if row.status in (ImportStatus.UNDOING, ImportStatus.UNDONE) else row.rows_done


# Going on


async def update_import(ctx: Context, id: UUID, data: UpdateImport) -> ContactImport:
    """Change how a file is imported that waits for its mapping or its run, and read it again.

    Raises NotFound, Conflict `import_state`, InvalidRequest.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await _find(ctx, id, lock=True)
    _require(row, ImportStatus.NEEDS_MAPPING, ImportStatus.CHECKED, ImportStatus.UPLOADING)
    told = {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not msgspec.UNSET}
    options = msgspec.structs.replace(options_of(row), **told)
    await _check(ctx, options)
    if data.mapping is not msgspec.UNSET:
        columns = columns_of(row)
        row.mapping = import_columns.check_mapping(columns, data.mapping) if columns else dict(data.mapping)
    row.options = msgspec.to_builtins(options)
    if row.status is ImportStatus.UPLOADING:
        await row.save()
    elif not await fetch_value(HAS_CHUNKS, id):
        raise _conflict("The file is gone, as somebody in it was erased: upload it again.")
    else:
        _forget_reading(row)
        await _queue(row)
    return row


async def run_import(ctx: Context, id: UUID) -> ContactImport:
    """Import what a dry run has checked. Raises NotFound, Conflict `import_state`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await _find(ctx, id, lock=True)
    if row.status is ImportStatus.RUNNING:
        return row
    _require(row, ImportStatus.CHECKED)
    await _check(ctx, options_of(row))
    options = msgspec.structs.replace(options_of(row), dry_run=False)
    row.options = msgspec.to_builtins(options)
    row.actor = ctx.actor
    row.status = ImportStatus.RUNNING
    row.started_at = ctx.services.clock()
    row.rows_done = 0
    row.counts = {**row.counts, **dict.fromkeys(("created", "updated", "unchanged", "suppressed"), 0)}
    await row.save()
    notify_after_commit(WorkQueue.IMPORTS)
    return row


async def cancel_import(ctx: Context, id: UUID) -> ContactImport:
    """End an import; what it has done stays, and can be undone. One that has ended is returned as it is.

    Raises NotFound.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await _find(ctx, id, lock=True)
    if row.status in CANCELABLE:
        await end_import(row, ImportStatus.CANCELED, ctx.services.clock())
    elif row.status is ImportStatus.UNDOING:
        raise _conflict("The import is being undone.")
    return row


async def undo_import(ctx: Context, id: UUID) -> ContactImport:
    """Delete the contacts that an import made, but for those used since; nothing of consent is undone.

    Raises NotFound, and Conflict `import_state` later than 7 days after its end.
    """
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await _find(ctx, id, lock=True)
    if row.status in (ImportStatus.UNDOING, ImportStatus.UNDONE):
        return row
    if row.ended_at is None or not _can_undo(row, ctx.services.clock()):
        raise _conflict(f"Only what ended within {UNDO_DAYS} days can be undone.")
    row.status = ImportStatus.UNDOING
    row.rows_done = 0
    await row.save()
    notify_after_commit(WorkQueue.IMPORTS)
    return row


async def end_import(
    row: ContactImport, status: ImportStatus, now: datetime, error: Mapping[str, str] | None = None
) -> None:
    """End an import that the caller holds: its file goes, its rows stay for as long as it can be undone."""
    row.status = status
    row.error = None if error is None else dict(error)
    row.ended_at = now
    row.lease_token = row.lease_until = None
    # What stands in its cells is of use no more.
    row.columns = [{**column, "samples": []} for column in row.columns]
    row.erased = []
    await row.save()
    await execute(DROP_CHUNKS, row.id)
    resource = import_resource(row)
    await record_events([NewEvent(EventType.IMPORT_COMPLETED, row.workspace_id, row.livemode, row.id, resource)], now)
    # Who began it is told, or all who may import where that was a key.
    user_id = ids.decode_id(ids.USER, row.actor)
    only = None if user_id is None else [user_id]
    about = (ids.encode_id(ids.IMPORT, row.id), row.file_name, status.value)
    kind = NotificationKind.IMPORT_ENDED
    await notify_members([Notice(kind, row.workspace_id, row.livemode, *about, only=only)], now)


async def drop_file_of_erased(row: ContactImport) -> None:
    """Drop the file of an import that is to wait for its owner, if somebody in it may have been erased."""
    if row.erased:
        await execute(DROP_CHUNKS, row.id)


def have_consent_confirmed(row: ContactImport) -> None:
    """Stop an import before it changes anything where a column was taken for consent by its title alone."""
    options = options_of(row)
    if options.evidence is None and import_columns.CONSENT in row.mapping.values():
        row.options = msgspec.to_builtins(msgspec.structs.replace(options, dry_run=True))


def _can_undo(row: rows.ContactImportRow, now: datetime) -> bool:
    return (
        row.status in ENDED
        and row.ended_at is not None
        and row.started_at is not None
        and row.reading_id is not None
        and now <= row.ended_at + UNDO
    )


def _forget_reading(row: ContactImport) -> None:
    """Leave what was read of a file to be deleted."""
    if row.reading_id is not None:
        row.old_readings = [*row.old_readings, str(row.reading_id)]
    row.reading_id = None
    row.rows_read = row.rows_done = 0
    row.is_read = False
    row.counts = {}


async def _find(ctx: Context, id: UUID, *, lock: bool = False) -> ContactImport:
    return await find(ctx, ContactImport, id, prefix=ids.IMPORT, noun="import", lock=lock)


def _require(row: ContactImport, *statuses: ImportStatus) -> None:
    if row.status not in statuses:
        raise _conflict(f"The import is {row.status}.")


def _conflict(message: str) -> Conflict:
    return Conflict(message, code=ErrorCode.IMPORT_STATE)


# Upkeep


FORGET_BATCH = 1000
# Imports that run out at once: each may have a file of its own to be deleted.
EXPIRE_AT_ONCE = 1
RETIRE_AT_ONCE = 100
# From the number where the last batch ended: what was deleted is still in the index, while a snapshot is held.
FORGET_ROWS = """
DELETE FROM import_rows WHERE reading_id = $1 AND number = ANY (ARRAY(
    SELECT number FROM import_rows WHERE reading_id = $1 AND number > $2 ORDER BY number LIMIT $3
)) RETURNING number
"""
# One that waits was changed no earlier than it was made, which its id tells.
EXPIRE = """
WITH expired AS (
    UPDATE contact_imports SET status = 'expired', ended_at = $1, updated_at = $1 WHERE id = ANY (ARRAY(
        SELECT id FROM contact_imports
        WHERE status IN ('uploading', 'needs_mapping', 'checked') AND id < id_floor($2) AND updated_at < $2
        ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
    )) RETURNING id
), dropped AS (
    DELETE FROM import_chunks WHERE import_id IN (SELECT id FROM expired)
)
SELECT count(*) FROM expired
"""
# What was undone or ran out, and what ended too long ago to be undone.
RETIRE_READINGS = """
WITH undone AS MATERIALIZED (
    SELECT id FROM contact_imports WHERE reading_id IS NOT NULL AND status IN ('undone', 'expired')
    ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
), ended AS MATERIALIZED (
    SELECT id FROM contact_imports
    WHERE reading_id IS NOT NULL AND ended_at < $1 AND status IN ('completed', 'canceled', 'failed')
    ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE contact_imports SET reading_id = NULL, old_readings = old_readings || jsonb_build_array(reading_id::text)
WHERE id = ANY (ARRAY(SELECT id FROM undone UNION ALL SELECT id FROM ended))
"""
FIND_OLD_READINGS = "SELECT id, old_readings FROM contact_imports WHERE old_readings <> '[]' ORDER BY id LIMIT 1"
FORGET_READING = "UPDATE contact_imports SET old_readings = old_readings - $2::text WHERE id = $1"


class Forgetting:
    """How far a process is with the rows of a reading that it deletes."""

    def __init__(self) -> None:
        self.reading: str | None = None
        self.after = 0


async def forget_imports(services: Services, now: datetime) -> int:
    """Delete a batch of what is kept of imports no longer than it is of use; 0 once nothing is left to do."""
    done = int(await fetch_value(EXPIRE, now, now - UNDO, EXPIRE_AT_ONCE))
    done += await execute(RETIRE_READINGS, now - UNDO, RETIRE_AT_ONCE)
    for row in await fetch(FIND_OLD_READINGS):
        done += await _forget_rows(services.keep(Forgetting), row.id, row.old_readings[0])
    return done


async def _forget_rows(place: Forgetting, import_id: UUID, reading: str) -> int:
    if place.reading != reading:
        place.reading, place.after = reading, 0
    numbers = [row.number for row in await fetch(FORGET_ROWS, UUID(reading), place.after, FORGET_BATCH)]
    place.after = max(numbers, default=0)
    if len(numbers) < FORGET_BATCH:
        await execute(FORGET_READING, import_id, reading)
        return len(numbers) + 1
    return len(numbers)
