"""Build the statement for each kind of export; PostgreSQL writes its result as CSV or JSON."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.contacts.contact_filters import compile_contacts
from msvs.api.contacts.contacts import ListContacts
from msvs.api.contacts.segments import compile_filter
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.messages.export_requests import OF_CONTACTS, CreateExport
from msvs.api.messages.messages import ListMessages, find_messages, read_conditions
from msvs.api.scope import scoped
from msvs.api.text.cells import FORMULA_SIGNS
from msvs.models import ExportKind, Message, Segment

# The statement writes each id as a mark, its prefix and the UUID; `Finishing` turns this into the public id. The mark
# is random per file, so that no text can contain it. The mark of a row's first id ends in FIRST, to count rows.
MARK = "{mark}"
FIRST, LATER = "1", "2"
_place = re.compile(r"\$(\d+)")

# A regular expression for formulas. Few texts begin below A or with wide signs, so a cheap comparison comes first.
FORMULA = f"^''*[{''.join(sorted(FORMULA_SIGNS.replace('-', '')))}-]"


def _safe(column: str) -> str:
    """Return SQL that escapes formulas like `escape_formula`; an import removes the apostrophe again."""
    return (
        f"CASE WHEN ({column} < 'A' COLLATE \"C\" OR {column} > U&'\\FF00' COLLATE \"C\") AND {column} ~ E'{FORMULA}'"
        f" THEN '''' || {column} ELSE {column} END"
    )


def _time(column: str) -> str:
    """Return SQL that formats a time as in the API; the session's time zone is UTC."""
    return f'to_char({column}, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'


def _ref(prefix: str, column: str, sign: str = LATER) -> str:
    return f"'{MARK}{sign}{prefix}' || {column}"


# Kinds of tables so large that when rows were made bounds which of their ids are read.
OF_TIME = (ExportKind.MESSAGES, ExportKind.CAMPAIGN_RESULTS, ExportKind.EVENTS, ExportKind.CONVERSIONS)
Columns = Mapping[str, str]
_Where = tuple[str, list[object]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the rows of a kind come from: table, scope and columns; `texts` are the columns that users write."""

    table: str
    columns: Columns
    texts: frozenset[str] = frozenset()
    # Columns of JSON, or of text that contains JSON.
    json: frozenset[str] = frozenset()
    scope: str = "t.workspace_id = $1 AND t.livemode = $2"
    order: str = "t.id"


_contact_columns = ("first_name", "last_name", "email", "timezone", "external_id")
_message_columns: Columns = {
    "id": _ref(ids.MESSAGE, "t.id", FIRST),
    "contact_id": _ref(ids.CONTACT, "t.contact_id"),
    "to": "t.to_phone",
    "from": "t.sender",
    "body": "t.body",
    "status": "t.status",
    "delivery": "t.delivery",
    "error_code": "t.error_code",
    "segments": "t.segments",
    "credits_used": "t.credits_used",
    "created_at": _time("t.created_at"),
    "scheduled_at": _time("t.scheduled_at"),
    "sent_at": _time("t.sent_at"),
    "delivered_at": _time("t.delivered_at"),
    "failed_at": _time("t.failed_at"),
    "replied_at": _time("t.replied_at"),
    "opted_out": "t.opted_out",
}
_OF_LINKS = "FROM short_links WHERE message_id = t.id"
SOURCES: Mapping[ExportKind, Source] = {
    ExportKind.CONTACTS: Source(
        "contacts",
        {
            "id": _ref(ids.CONTACT, "t.id", FIRST),
            "phone": "t.phone",
            **{name: f"t.{name}" for name in _contact_columns},
            "opt_in_status": "t.opt_in_status",
            "opt_in_source": "t.opt_in_source",
            "opt_in_at": _time("t.opt_in_at"),
            "created_at": _time("t.created_at"),
            "updated_at": _time("t.updated_at"),
            "attributes": "t.attributes",
        },
        frozenset((*_contact_columns, "opt_in_source")),
        frozenset(("attributes",)),
    ),
    ExportKind.MESSAGES: Source(
        "messages",
        {**_message_columns, "campaign_id": _ref(ids.CAMPAIGN, "t.campaign_id"), "metadata": "t.metadata"},
        frozenset(("body", "from")),
        frozenset(("metadata",)),
    ),
    ExportKind.CAMPAIGN_RESULTS: Source(
        "messages AS t LEFT JOIN contacts AS c ON c.id = t.contact_id",
        {
            **_message_columns,
            **{name: f"c.{name}" for name in _contact_columns},
            "clicks": f"(SELECT coalesce(sum(clicks), 0) {_OF_LINKS})",
            "first_clicked_at": f"(SELECT {_time('min(first_clicked_at)')} {_OF_LINKS})",
        },
        frozenset(("body", "from", *_contact_columns)),
    ),
    ExportKind.SUPPRESSIONS: Source(
        "suppressions",
        {"phone": "t.phone", "source": "t.source", "created_at": _time("t.created_at")},
        frozenset(("source",)),
    ),
    ExportKind.LEDGER: Source(
        "ledger_entries",
        {
            "id": _ref(ids.LEDGER_ENTRY, "t.id", FIRST),
            "kind": "t.kind",
            "credits": "t.amount",
            "reference": "t.reference",
            "note": "t.note",
            "created_at": _time("t.created_at"),
        },
        frozenset(("reference", "note")),
        # The ledger has no mode: credits belong to the workspace.
        scope="t.workspace_id = $1 AND $2::bool IS NOT NULL",
    ),
    ExportKind.EVENTS: Source(
        "events",
        {
            "id": _ref(ids.EVENT, "t.id", FIRST),
            "type": "t.type",
            "created_at": _time("t.created_at"),
            "data": "t.data",
        },
        json=frozenset(("data",)),
    ),
    ExportKind.CONVERSIONS: Source(
        "conversions",
        {
            "id": _ref(ids.CONVERSION, "t.id", FIRST),
            "order_id": "t.order_id",
            "contact_id": _ref(ids.CONTACT, "t.contact_id"),
            "value": "t.value",
            "currency": "t.currency",
            "refunded_value": "t.refunded_value",
            "source": "t.source",
            "attributed_by": "t.attributed_by",
            "attributed_at": _time("t.attributed_at"),
            "message_id": _ref(ids.MESSAGE, "t.message_id"),
            "campaign_id": _ref(ids.CAMPAIGN, "t.campaign_id"),
            "variant": "substr('ABCDE', abs(t.variant), 1)",
            "sequence_id": _ref(ids.SEQUENCE, "t.sequence_id"),
            "sequence_step": "t.sequence_step",
            "occurred_at": _time("t.occurred_at"),
            "created_at": _time("t.created_at"),
            "refunded_at": _time("t.refunded_at"),
            "metadata": "t.metadata",
        },
        frozenset(("order_id",)),
        frozenset(("metadata",)),
    ),
}


@dataclass(frozen=True, slots=True)
class Statement:
    """The statements of an export: one for the rows, one for their number, and the values of both."""

    rows: str
    count: str
    values: list[object] = field(repr=False)
    mark: bytes = field(repr=False)


async def make_statement(ctx: Context, request: CreateExport, *, is_json: bool) -> Statement:
    """Return the statements of an export. Raises InvalidRequest for invalid conditions."""
    source = SOURCES[ExportKind(request.kind)]
    where, values = await _CONDITIONS[ExportKind(request.kind)](ctx, request)
    table = source.table if " AS t " in source.table else f"{source.table} AS t"
    found = f"FROM {table} WHERE {source.scope} {where}"
    if is_json:
        # Event data is text that contains JSON.
        told = ", ".join(
            f"'{name}', {f'{sql}::json' if name in source.json else sql}" for name, sql in source.columns.items()
        )
        rows = f"SELECT json_build_object({told})::text {found} ORDER BY {source.order}"
    else:
        told = ", ".join(
            f'{_safe(sql) if name in source.texts else sql} AS "{name}"' for name, sql in source.columns.items()
        )
        rows = f"SELECT {told} {found} ORDER BY {source.order}"
    mark = secrets.token_hex(8)
    scope = [ctx.workspace_id, ctx.livemode]
    return Statement(rows.replace(MARK, mark), f"SELECT count(*) {found}", [*scope, *values], mark.encode())


async def _of_contacts(ctx: Context, request: CreateExport) -> _Where:
    which = ListContacts(**{name: getattr(request, name) for name in OF_CONTACTS})
    parts, values = _made_within(request)
    found = await compile_contacts(ctx, which, len(values) + 3)
    if found.indexed:
        values += found.indexed_values
        parts.append(f"EXISTS (SELECT FROM contacts AS c WHERE c.id = t.id{found.indexed})")
    conditions = [] if request.filter is None else [request.filter]
    if request.segment_id is not None:
        id = ids.read_id(ids.SEGMENT, request.segment_id, "segment_id")
        segment = await scoped(ctx, Segment).filter(id=id).first()
        if segment is None:
            raise InvalidRequest("The segment is gone.", code=ErrorCode.RESOURCE_MISSING, param="segment_id")
        conditions.append(segment.conditions)
    for each in conditions:
        compiled = compile_filter(each, len(values) + 3)
        values += compiled.values
        parts.append(f"EXISTS (SELECT FROM contacts AS c WHERE c.id = t.id AND {compiled.sql})")
    return _all(parts), values


async def _of_messages(ctx: Context, request: CreateExport) -> _Where:
    which = ListMessages(status=request.status, q=request.q, contact_id=request.contact_id)
    parts, values = _made_within(request)
    if request.campaign_id is not None:
        values.append(ids.read_id(ids.CAMPAIGN, request.campaign_id, "campaign_id"))
        parts.append(f"t.campaign_id = ${len(values) + 2}")
    if (request.status, request.q, request.contact_id) != (None, None, None):
        found = await find_messages(ctx, read_conditions(which))
        parts.append("false" if found is None else _among(found.query, values))
    elif request.campaign_id is None:
        parts.append("t.status <> 'skipped'")
    return _all(parts), values


async def _of_suppressions(_: Context, request: CreateExport) -> _Where:
    parts, values = _made_within(request)
    return _all(parts), values


async def _of_events(_: Context, request: CreateExport) -> _Where:
    parts, values = _made_within(request)
    if request.types:
        values.append(list(request.types))
        parts.append(f"t.type = ANY(${len(values) + 2}::varchar[])")
    return _all(parts), values


async def _of_conversions(_: Context, request: CreateExport) -> _Where:
    parts, values = _made_within(request)
    for name, prefix in (("campaign_id", ids.CAMPAIGN), ("contact_id", ids.CONTACT)):
        text = getattr(request, name)
        if text is not None:
            values.append(ids.read_id(prefix, text, name))
            parts.append(f"t.{name} = ${len(values) + 2}")
    return _all(parts), values


_CONDITIONS: Mapping[ExportKind, Callable[[Context, CreateExport], Awaitable[_Where]]] = {
    ExportKind.CONTACTS: _of_contacts,
    ExportKind.MESSAGES: _of_messages,
    ExportKind.CAMPAIGN_RESULTS: _of_messages,
    ExportKind.SUPPRESSIONS: _of_suppressions,
    ExportKind.LEDGER: _of_suppressions,
    ExportKind.EVENTS: _of_events,
    ExportKind.CONVERSIONS: _of_conversions,
}


def _made_within(request: CreateExport) -> tuple[list[str], list[object]]:
    parts: list[str] = []
    values: list[object] = []
    for time, sign, bound in (
        (request.created_from, ">=", ids.id_before),
        (request.created_before, "<", ids.id_after),
    ):
        if time is None:
            continue
        values.append(time)
        parts.append(f"t.created_at {sign} ${len(values) + 2}")
        # Ids ascend with time, so bounds on the id narrow the index scan.
        if request.kind in (
            ExportKind.MESSAGES,
            ExportKind.CAMPAIGN_RESULTS,
            ExportKind.EVENTS,
            ExportKind.CONVERSIONS,
        ):
            values.append(bound(time))
            parts.append(f"t.id {sign} ${len(values) + 2}")
    return parts, values


def _among(query: QuerySet[Message], values: list[object]) -> str:
    """Return SQL that a row is in the result of a query, and append the query's values to `values`."""
    ids_alone = query.values("id")
    ids_alone._choose_db_if_not_chosen()
    ids_alone._make_query()
    sql, own = ids_alone.query.get_parameterized_sql()
    shift = len(values) + 2
    values += own
    placed = _place.sub(lambda found: f"${int(found[1]) + shift}", sql)
    return f"t.id IN ({placed})"


def _all(parts: list[str]) -> str:
    return "".join(f" AND {part}" for part in parts)


def _encode(found: re.Match[bytes]) -> bytes:
    prefix, id = found.groups()
    return prefix + b"_" + ids.encode_bare(int(id.replace(b"-", b""), 16)).encode()


class Finishing:
    """Turns the rows of a statement into the rows of the file."""

    def __init__(self, mark: bytes) -> None:
        self._first = mark + FIRST.encode()
        self._id = re.compile(mark + b"[12]([a-z]{3})([0-9a-f-]{36})")

    def finish(self, data: bytes) -> tuple[bytes, int]:
        """Return rows with public ids, and the number of rows that begin in the data."""
        count = data.count(self._first)
        return self._id.sub(_encode, data), count or data.count(b"\n")
