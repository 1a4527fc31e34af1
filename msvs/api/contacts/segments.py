"""Segments: saved filters over contacts, written as JSON and compiled to SQL with bound parameters only.

A filter is one condition:

- `{"all": [...]}`, `{"any": [...]}` and `{"not": {...}}` combine conditions.
- `{"field": "first_name", "op": "eq", "value": "Maria"}` compares a field. Fields are `first_name`, `last_name`,
  `email`, `phone`, `region`, `opt_in_status`, `created_at`, `opt_in_at` and `attributes.<key>`.
- `{"list": "lst_…"}` holds for the members of a list.
- `{"tag": "webinar"}` holds for the contacts with a tag.
- `{"clicked": "any", "within_days": 30}`, or a campaign's id in place of `any`, finds who followed a short link.
- `{"engagement": "delivered", "within_days": 30, "at_least": 1}` counts messages `sent`, `delivered` or `replied` to.

A contact without a value meets `ne`, `not_in` and `{"op": "exists", "value": false}` and no other comparison.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, UnsetType
from msgspec.json import encode
from tortoise.filters import escape_like

from msvs import present, times
from msvs.api import ids
from msvs.api.contacts.details import MAX_ATTRIBUTE_KEY, MAX_INTEGER, read_name
from msvs.api.contacts.tags import read_tag
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest, check_version
from msvs.api.pages import Page, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import segment_version
from msvs.api.scope import find, scoped
from msvs.api.text.kept_text import check_kept
from msvs.api.text.phones import canonical
from msvs.database import fetch, fetch_value
from msvs.fields import VIPS, Request, Version, about, named
from msvs.json_types import JSON, JSONObject
from msvs.models import ContactList, OptInStatus, Segment

MAX_NAME = 200
MAX_DEPTH = 8
MAX_LEAVES = 50
MAX_VALUES = 100
MAX_TEXT = 500
MAX_DAYS = 3650
MAX_MESSAGES = 1000

TEXT_FIELDS = {
    "first_name": "c.first_name",
    "last_name": "c.last_name",
    "email": "lower(c.email)",
    "phone": "c.phone",
    "region": "c.region",
}
TIME_FIELDS = {"created_at": "c.created_at", "opt_in_at": "c.opt_in_at"}
ENGAGEMENTS = {"sent": "m.sent_at", "delivered": "m.delivered_at", "replied": "m.replied_at"}
ATTRIBUTES = "attributes."

EQUALITY_OPS = ("eq", "ne", "in", "not_in")
TEXT_OPS = (*EQUALITY_OPS, "contains", "starts_with", "exists")
TIME_OPS = ("before", "after", "exists")
NUMBER_OPS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
DATE_OPS = {"before": "<", "after": ">"}
ATTRIBUTE_OPS = (*TEXT_OPS, *NUMBER_OPS, *DATE_OPS)
OPS = frozenset(ATTRIBUTE_OPS)

MAX_SAMPLE = 5000
MAX_KEYS = 100
MAX_TOP_VALUES = 10

# A value that is long is no choice to offer.
ATTRIBUTE_KEYS = """
WITH sample AS (
    SELECT attributes FROM contacts WHERE workspace_id = $1 AND livemode = $2 ORDER BY id DESC LIMIT $3
), pairs AS (
    SELECT pair.key, pair.value, count(*) AS number
    FROM sample CROSS JOIN LATERAL jsonb_each(sample.attributes) AS pair
    GROUP BY 1, 2
), ranked AS (
    SELECT key, value, number, row_number() OVER (PARTITION BY key ORDER BY number DESC, value) AS place FROM pairs
)
SELECT key, bool_and(jsonb_typeof(value) = 'number') AS is_number,
    bool_and(jsonb_typeof(value) = 'boolean') AS is_boolean,
    bool_and(value #>> '{}' ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}') AS is_date,
    coalesce(
        array_agg(value #>> '{}' ORDER BY place) FILTER (WHERE place <= $5 AND length(value #>> '{}') <= 100), '{}'
    ) AS top
FROM ranked GROUP BY key ORDER BY sum(number) DESC, key LIMIT $4
"""

_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


Name = Annotated[str, about("Its name.", **named(MAX_NAME))]
Filter = Annotated[
    JSONObject, about("The filter that its contacts match.", **{"$ref": "#/components/schemas/SegmentCondition"})
]


class CreateSegment(Request, frozen=True):
    """A new segment."""

    name: Annotated[Name, about(example="VIPs of Cohort 06")]
    filter: Annotated[Filter, about(example=VIPS)]


class UpdateSegment(Request, frozen=True):
    """Changes to a segment. Fields that are left out stay."""

    name: Annotated[Name, about(example="VIPs")] | UnsetType = UNSET
    filter: Filter | UnsetType = UNSET
    version: Version | UnsetType = UNSET


class PreviewSegment(Request, frozen=True):
    """A filter to preview."""

    filter: Annotated[Filter, about(example=VIPS)]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter as SQL over `contacts AS c`, with the values of its parameters.

    `lists` holds the lists that it names, each with the parameter it is named in.
    """

    sql: str
    values: list[object]
    lists: tuple[tuple[UUID, str], ...] = ()


class FieldType(StrEnum):
    """The type of the values of a field."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class SegmentField:
    """A field that a filter may compare, the operators that suit it, and values: all of a choice, else frequent ones.

    Values are text, as they are written in JSON without quotes.
    """

    field: str
    type: FieldType
    ops: tuple[str, ...]
    values: tuple[str, ...] = ()


# Of attributes; any operator of ATTRIBUTE_OPS may be used, these are those that find something.
OPS_OF_TYPE: Mapping[FieldType, tuple[str, ...]] = {
    FieldType.TEXT: TEXT_OPS,
    FieldType.NUMBER: (*EQUALITY_OPS, *NUMBER_OPS, "exists"),
    FieldType.BOOLEAN: ("eq", "ne", "exists"),
    FieldType.DATE: (*EQUALITY_OPS, *DATE_OPS, "exists"),
}


def compile_filter(filter: Mapping[str, JSON], first_parameter: int) -> Compiled:
    """Compile a filter whose first parameter is `$first_parameter`. Raises InvalidRequest with a dotted `param`.

    The SQL is true or false for every contact, never NULL.
    """
    compiler = _Compiler(first_parameter)
    sql = compiler.condition(filter, "filter", 1)
    return Compiled(sql, compiler.values, tuple(compiler.lists))


async def create_segment(ctx: Context, name: str, filter: Mapping[str, JSON]) -> Segment:
    """Save a filter. Raises InvalidRequest where it is not valid or names a list that does not exist."""
    allow(ctx, Permission.CONTACTS_WRITE)
    name = read_name(name, param="name", maximum=MAX_NAME)
    await check_filter(ctx, filter)
    return await Segment.create(
        workspace_id=ctx.workspace_id, livemode=ctx.livemode, name=name, conditions=dict(filter)
    )


async def get_segment(ctx: Context, id: UUID) -> Segment:
    """Return one segment. Raises NotFound."""
    return await find(ctx, Segment, id, prefix=ids.SEGMENT, noun="segment")


async def list_segments(ctx: Context, page: PageRequest) -> Page[Segment]:
    """Segments, newest first."""
    return await fetch_page(scoped(ctx, Segment), page)


async def update_segment(
    ctx: Context,
    id: UUID,
    *,
    name: str | None = None,
    filter: Mapping[str, JSON] | None = None,
    version: str | UnsetType = UNSET,
) -> Segment:
    """Rename a segment, replace its filter, or both. Raises NotFound, InvalidRequest, Conflict `version_conflict`."""
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await find(ctx, Segment, id, prefix=ids.SEGMENT, noun="segment", lock=True)
    check_version(version, segment_version(row), "segment")
    if name is not None:
        row.name = read_name(name, param="name", maximum=MAX_NAME)
    if filter is not None:
        await check_filter(ctx, filter)
        row.conditions = dict(filter)
    await row.save(update_fields=["name", "conditions", "updated_at"])
    return row


async def delete_segment(ctx: Context, id: UUID) -> None:
    """Delete a segment. Raises NotFound. A campaign that still waits then finds nobody through it."""
    allow(ctx, Permission.CONTACTS_WRITE)
    row = await find(ctx, Segment, id, prefix=ids.SEGMENT, noun="segment", lock=True)
    await row.delete()


async def preview_segment(ctx: Context, filter: Mapping[str, JSON]) -> int:
    """Return how many contacts a filter holds for now. Raises InvalidRequest as create_segment does."""
    compiled = await check_filter(ctx, filter)
    sql = f"SELECT count(*) FROM contacts AS c WHERE c.workspace_id = $1 AND c.livemode = $2 AND {compiled.sql}"
    count: int = await fetch_value(sql, ctx.workspace_id, ctx.livemode, *compiled.values)
    return count


async def segment_fields(ctx: Context) -> list[SegmentField]:
    """Return what filters may compare: the fields of a contact, then the attributes that contacts have.

    Attributes, their types and their most frequent values are those of the newest contacts, 5,000 at most.
    """
    told = [
        *(SegmentField(name, FieldType.TEXT, TEXT_OPS) for name in TEXT_FIELDS),
        SegmentField("opt_in_status", FieldType.CHOICE, EQUALITY_OPS, tuple(OptInStatus)),
        *(SegmentField(name, FieldType.TIME, TIME_OPS) for name in TIME_FIELDS),
    ]
    for row in await fetch(ATTRIBUTE_KEYS, ctx.workspace_id, ctx.livemode, MAX_SAMPLE, MAX_KEYS, MAX_TOP_VALUES):
        kinds = {FieldType.BOOLEAN: row.is_boolean, FieldType.NUMBER: row.is_number, FieldType.DATE: row.is_date}
        type = next((kind for kind, holds in kinds.items() if holds), FieldType.TEXT)
        told.append(SegmentField(f"{ATTRIBUTES}{row.key}", type, OPS_OF_TYPE[type], tuple(row.top)))
    return told


async def check_filter(ctx: Context, filter: Mapping[str, JSON]) -> Compiled:
    """Compile a filter whose lists there must be. Raises InvalidRequest."""
    compiled = compile_filter(filter, 3)
    if compiled.lists:
        named = {id for id, _ in compiled.lists}
        known = set(await scoped(ctx, ContactList).filter(id__in=named).values_list("id", flat=True))
        for id, param in compiled.lists:
            if id not in known:
                raise InvalidRequest(
                    f"No such list: '{ids.encode_id(ids.CONTACT_LIST, id)}'.",
                    param=param,
                    code=ErrorCode.RESOURCE_MISSING,
                )
    return compiled


# Stands for every campaign, and single messages.
ANY_CAMPAIGN = "any"


class _Compiler:
    """One compilation: the values bound so far, and the limits left."""

    def __init__(self, first_parameter: int) -> None:
        self.first_parameter = first_parameter
        self.values: list[object] = []
        self.lists: list[tuple[UUID, str]] = []
        self.leaves = 0

    def bind(self, value: object, type: str) -> str:
        """Return a parameter for `value`: the only way that anything of a filter reaches the SQL."""
        self.values.append(value)
        return f"${self.first_parameter + len(self.values) - 1}::{type}"

    def condition(self, node: object, param: str, depth: int) -> str:
        if not isinstance(node, Mapping):
            raise InvalidRequest(f"{param} must be an object.", param=param)
        if depth > MAX_DEPTH:
            raise InvalidRequest(
                f"A filter is at most {MAX_DEPTH} levels deep.", param=param, code=ErrorCode.FILTER_TOO_DEEP
            )
        shape = next(
            (name for name in ("all", "any", "not", "list", "tag", "engagement", "clicked", "field") if name in node),
            None,
        )
        if shape is None:
            raise InvalidRequest(
                f"{param} must have one of all, any, not, field, list, tag, engagement and clicked.",
                param=param,
                code=ErrorCode.PARAMETER_MISSING,
            )
        _refuse_unknown(node, SHAPES[shape], param)
        if shape in ("all", "any"):
            return self.combination(node[shape], shape, f"{param}.{shape}", depth)
        if shape == "not":
            return f"(NOT {self.condition(node['not'], f'{param}.not', depth + 1)})"
        self.leaves += 1
        if self.leaves > MAX_LEAVES:
            raise InvalidRequest(
                f"A filter has at most {MAX_LEAVES} comparisons.", param=param, code=ErrorCode.FILTER_TOO_LARGE
            )
        if shape == "list":
            return self.membership(node["list"], f"{param}.list")
        if shape == "tag":
            return self.tag(node["tag"], f"{param}.tag")
        if shape == "engagement":
            return self.engagement(node, param)
        if shape == "clicked":
            return self.clicked(node, param)
        return self.comparison(node, param)

    def combination(self, nodes: object, shape: str, param: str, depth: int) -> str:
        if not isinstance(nodes, list) or not nodes:
            raise InvalidRequest(f"{param} must be an array of at least one condition.", param=param)
        parts = [self.condition(node, f"{param}[{index}]", depth + 1) for index, node in enumerate(nodes)]
        return f"({(' AND ' if shape == 'all' else ' OR ').join(parts)})"

    def membership(self, text: object, param: str) -> str:
        id = ids.read_id(ids.CONTACT_LIST, _read_text(text, param), param)
        self.lists.append((id, param))
        return (
            "EXISTS (SELECT 1 FROM list_members AS lm WHERE lm.contact_id = c.id"
            f" AND lm.list_id = {self.bind(id, 'uuid')})"
        )

    def tag(self, text: object, param: str) -> str:
        name = read_tag(_read_text(text, param), param=param)
        return (
            "EXISTS (SELECT 1 FROM tag_members AS tm JOIN tags AS tg ON tg.id = tm.tag_id WHERE tm.contact_id = c.id"
            " AND tg.workspace_id = c.workspace_id AND tg.livemode = c.livemode"
            f" AND tg.name = {self.bind(name, 'varchar')})"
        )

    def engagement(self, node: Mapping[str, object], param: str) -> str:
        column = ENGAGEMENTS[_read_choice(node["engagement"], ENGAGEMENTS, f"{param}.engagement")]
        if "within_days" not in node:
            raise InvalidRequest(
                "within_days is missing.", param=f"{param}.within_days", code=ErrorCode.PARAMETER_MISSING
            )
        days = _read_integer(node["within_days"], f"{param}.within_days", MAX_DAYS)
        least = _read_integer(node.get("at_least", 1), f"{param}.at_least", MAX_MESSAGES)
        # Counting stops at what is asked for, however many messages a contact has had.
        return (
            "((SELECT count(*) FROM (SELECT 1 FROM messages AS m WHERE m.contact_id = c.id"
            " AND m.workspace_id = c.workspace_id AND m.livemode = c.livemode AND m.kind <> 'auto'"
            f" AND {column} >= {_now()} - make_interval(days => {self.bind(days, 'int')})"
            f" LIMIT {self.bind(least, 'int')}) AS counted) >= {self.bind(least, 'int')})"
        )

    def clicked(self, node: Mapping[str, object], param: str) -> str:
        of = _read_text(node["clicked"], f"{param}.clicked")
        conditions = [
            "sl.contact_id = c.id AND sl.workspace_id = c.workspace_id AND sl.livemode = c.livemode AND sl.clicks > 0"
        ]
        if of != ANY_CAMPAIGN:
            id = ids.read_id(ids.CAMPAIGN, of, f"{param}.clicked")
            conditions.append(f"sl.campaign_id = {self.bind(id, 'uuid')}")
        if "within_days" in node:
            days = _read_integer(node["within_days"], f"{param}.within_days", MAX_DAYS)
            conditions.append(f"sl.last_clicked_at >= {_now()} - make_interval(days => {self.bind(days, 'int')})")
        return f"EXISTS (SELECT 1 FROM short_links AS sl WHERE {' AND '.join(conditions)})"

    def comparison(self, node: Mapping[str, object], param: str) -> str:
        field = _read_text(node["field"], f"{param}.field")
        if "op" not in node:
            raise InvalidRequest("op is missing.", param=f"{param}.op", code=ErrorCode.PARAMETER_MISSING)
        compare, ops = self.comparer(field, f"{param}.field")
        op = _read_choice(node["op"], OPS, f"{param}.op")
        if op not in ops:
            raise InvalidRequest(f"{op} does not apply to {field}.", param=f"{param}.op")
        value_param = f"{param}.value"
        if op == "exists":
            value = node.get("value", True)
            if not isinstance(value, bool):
                raise InvalidRequest("exists takes true or false.", param=value_param)
            return compare(op, value, value_param)
        if "value" not in node:
            raise InvalidRequest("value is missing.", param=value_param, code=ErrorCode.PARAMETER_MISSING)
        value = node["value"]
        if op in ("in", "not_in") and (not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES):
            raise InvalidRequest(f"{op} takes an array of 1 to {MAX_VALUES} values.", param=value_param)
        return compare(op, value, value_param)

    def comparer(self, field: str, param: str) -> tuple[Callable[[str, object, str], str], tuple[str, ...]]:
        """Return what compiles a comparison of `field`, and the operators that apply to it."""
        if field in TEXT_FIELDS:
            return lambda op, value, at: self.text(field, op, value, at), TEXT_OPS
        if field in TIME_FIELDS:
            return lambda op, value, at: self.time(field, op, value, at), TIME_OPS
        if field == "opt_in_status":
            return self.status, EQUALITY_OPS
        key = field.removeprefix(ATTRIBUTES)
        if key == field or not 1 <= len(key) <= MAX_ATTRIBUTE_KEY:
            raise InvalidRequest(
                f"field must be one of {', '.join((*TEXT_FIELDS, 'opt_in_status', *TIME_FIELDS))} or attributes.<key>.",
                param=param,
                code=ErrorCode.FIELD_UNKNOWN,
            )
        return lambda op, value, at: self.attribute(key, op, value, at), ATTRIBUTE_OPS

    def text(self, field: str, op: str, value: object, param: str) -> str:
        column = TEXT_FIELDS[field]
        if op == "exists":
            return f"({column} IS NOT NULL) = {self.bind(value, 'bool')}"

        def read(item: object, at: str) -> str:
            text = _read_text(item, at)
            return text.lower() if field == "email" else text

        if field == "phone" and op in EQUALITY_OPS:
            # In every spelling; the parts of a number are those of the one that is shown.
            return self.equality("c.canonical", op, value, param, lambda item, at: canonical(read(item, at)), "text")
        if op in EQUALITY_OPS:
            return self.equality(column, op, value, param, read, "text")
        return self.pattern(column, op, read(value, param))

    def status(self, op: str, value: object, param: str) -> str:
        known = {status.value for status in OptInStatus}
        return self.equality(
            "c.opt_in_status", op, value, param, lambda item, at: _read_choice(item, known, at), "text"
        )

    def time(self, field: str, op: str, value: object, param: str) -> str:
        column = TIME_FIELDS[field]
        if op == "exists":
            return f"({column} IS NOT NULL) = {self.bind(value, 'bool')}"
        return f"coalesce({column} {DATE_OPS[op]} {self.bind(_read_time(value, param), 'timestamptz')}, false)"

    def attribute(self, key: str, op: str, value: object, param: str) -> str:
        name = self.bind(key, "text")
        if op == "exists":
            return f"(c.attributes ? {name}) = {self.bind(value, 'bool')}"
        if op in EQUALITY_OPS:
            return self.equality(f"(c.attributes -> {name})", op, value, param, _read_json, "jsonb")
        text = f"(c.attributes ->> {name})"
        if op in NUMBER_OPS:
            number = self.bind(_read_number(value, param), "numeric")
            # CASE, because PostgreSQL may evaluate the sides of AND in either order and the cast fails on text.
            return (
                f"(CASE WHEN jsonb_typeof(c.attributes -> {name}) = 'number'"
                f" THEN {text}::numeric {NUMBER_OPS[op]} {number} ELSE false END)"
            )
        if op in DATE_OPS:
            # ISO dates sort as text; the time of day, where there is one, does not count.
            day = self.bind(_read_date(value, param), "text")
            return (
                f"coalesce({text} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}'"
                f' AND left({text}, 10) COLLATE "C" {DATE_OPS[op]} {day}, false)'
            )
        return self.pattern(text, op, _read_text(value, param))

    def equality(
        self, left: str, op: str, value: object, param: str, read: Callable[[object, str], str], type: str
    ) -> str:
        if op in ("eq", "ne"):
            right = self.bind(read(value, param), type)
            return f"({left} IS {'NOT ' if op == 'eq' else ''}DISTINCT FROM {right})"
        assert isinstance(value, list | tuple), "check_filter lets through no other"
        items = [read(item, f"{param}[{index}]") for index, item in enumerate(value)]
        matched = f"coalesce({left} = ANY({self.bind(items, f'{type}[]')}), false)"
        return matched if op == "in" else f"(NOT {matched})"

    def pattern(self, left: str, op: str, text: str) -> str:
        pattern = escape_like(text) + "%"
        if op == "contains":
            pattern = "%" + pattern
        return f"coalesce({left} ILIKE {self.bind(pattern, 'text')}, false)"


SHAPES = {
    "all": ("all",),
    "any": ("any",),
    "not": ("not",),
    "list": ("list",),
    "tag": ("tag",),
    "engagement": ("engagement", "within_days", "at_least"),
    "clicked": ("clicked", "within_days"),
    "field": ("field", "op", "value"),
}


def _now() -> str:
    """Return what the present time is in SQL: PostgreSQL's, or that of the sandbox's clock."""
    return "now()" if (at := present.moment()) is None else f"'{at.isoformat()}'::timestamptz"


def _refuse_unknown(node: Mapping[str, object], known: tuple[str, ...], param: str) -> None:
    for key in node:
        if key not in known:
            raise InvalidRequest(
                f"{param} has {known[0]} and may not have this besides.",
                param=f"{param}.{str(key)[:40]}",
                code=ErrorCode.PARAMETER_UNKNOWN,
            )


def _read_text(value: object, param: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_TEXT:
        raise InvalidRequest(f"{param} must be a string of 1 to {MAX_TEXT} characters.", param=param)
    return check_kept(value, param=param)


def _read_choice(value: object, known: Mapping[str, object] | frozenset[str] | set[str], param: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise InvalidRequest(f"{param} must be one of {', '.join(sorted(known))}.", param=param)
    return value


def _read_integer(value: object, param: str, maximum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= maximum:
        raise InvalidRequest(
            f"{param} must be a whole number from 1 to {maximum}.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_INTEGER if isinstance(value, int) else math.isfinite(value)


def _read_number(value: object, param: str) -> Decimal:
    if not _is_number(value):
        raise InvalidRequest(f"{param} must be a number.", param=param)
    return Decimal(repr(value))


def _read_json(value: object, param: str) -> str:
    """Read a string, number or boolean as JSON text."""
    if isinstance(value, bool) or _is_number(value):
        return encode(value).decode()
    if not isinstance(value, str):
        raise InvalidRequest(f"{param} must be a string, a number, true or false.", param=param)
    return encode(_read_text(value, param)).decode()


def _read_time(value: object, param: str) -> datetime:
    try:
        return times.read_time(_read_text(value, param))
    except ValueError:
        raise InvalidRequest(
            f"{param} must be an ISO-8601 time with an offset.", param=param, code=ErrorCode.TIME_INVALID
        ) from None


def _read_date(value: object, param: str) -> str:
    text = _read_text(value, param)
    try:
        valid = bool(_date(text)) and bool(date.fromisoformat(text))
    except ValueError:
        valid = False
    if not valid:
        raise InvalidRequest(f"{param} must be a date such as 2026-05-01.", param=param, code=ErrorCode.DATE_INVALID)
    return text
