"""Read the rows of a file as rows of `import_rows`, in a worker or in processes beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from msvs.api.contacts import import_columns
from msvs.api.contacts.details import (
    EARLIEST,
    IMPORTED,
    MAX_ATTRIBUTE_VALUE,
    MAX_SOURCE,
    merge_attributes,
    read_detail,
    read_ip,
    trim,
)
from msvs.api.contacts.import_columns import ATTRIBUTE, Column, fold_words, is_about_phone, order_phones, words
from msvs.api.errors import InvalidRequest
from msvs.api.text.cells import FORMULA_SIGNS, NO_PHONE, CellUnreadable, clean_text, read_phone_cell
from msvs.api.text.columns import repair_text
from msvs.api.text.countries import read_country
from msvs.api.text.dates import read_date, read_moment
from msvs.api.text.phones import Phone, canonical
from msvs.new_ids import new_id
from msvs.postgres_values import FieldValue, encode_field, encode_row_head

# The columns of `import_rows`, in the order in which they are copied.
COLUMNS = (
    *("reading_id", "number", "line", "status", "reason", "phone", "canonical", "region", "number_kind"),
    *(*IMPORTED, "attributes", "consent", "evidence"),
    *("contact_id", "cells"),
)
STAGED, INVALID = "staged", "invalid"
# What a row says of consent: that it was given, nothing, that it was not, or that it was withdrawn.
AGREED, UNSAID, DENIED, REFUSED = 1, 0, -1, -2
SEVERAL_NUMBERS = ":::"
MAX_TEXT = 5000
MAX_CELLS = 20_000

_head = encode_row_head(COLUMNS)
_quoted = re.compile(rf"'(?=[0-9(]|'*[{re.escape(FORMULA_SIGNS)}])")
_tags = re.compile(r'"([^"]*)"')
_EMPTY_JSON = b"\x01{}"


class PhoneColumn(msgspec.Struct, frozen=True):
    """A column of phones, and the column that tells what stands in it: its label, or its question."""

    at: int
    told_by: str | None = None
    told_at: int = -1


class StatusColumn(msgspec.Struct, frozen=True):
    """A column that may say that the person left: by a word, by yes, or by no."""

    at: int
    kind: str


class AttributeColumn(msgspec.Struct, frozen=True):
    """A column that becomes an attribute."""

    at: int
    key: str
    type: str


class Plan(msgspec.Struct, frozen=True):
    """How the rows of a file are read: its columns, and the options for all rows."""

    reading_id: UUID
    width: int
    now: datetime
    region: str | None
    phones: list[PhoneColumn]
    fields: dict[str, int]
    countries: list[int]
    statuses: list[StatusColumn]
    consents: list[tuple[int, str]]
    opted_outs: list[int]
    attributes: list[AttributeColumn]
    # Whether evidence holds for all rows that do not say otherwise.
    is_agreed: bool
    # Where a JSON object of attributes is.
    json_at: int = -1


class Encoded(msgspec.Struct, frozen=True):
    """Rows as COPY takes them, how many there are, how many cannot be taken, and how many must not opt anyone in."""

    data: bytes
    rows: int
    invalid: int
    without_opt_in: int


class RawRow(NamedTuple):
    """A row of a file: its number from 1, its line, its cells, and what is wrong with its line."""

    number: int
    line: int
    cells: Sequence[str]
    fault: str | None = None


class RowRefused(Exception):
    """A row cannot be taken; `reason` says why, and repeats nothing of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def make_plan(
    columns: Sequence[Column],
    mapping: dict[str, str],
    *,
    reading_id: UUID,
    now: datetime,
    region: str | None,
    is_agreed: bool,
) -> Plan:
    """Plan the reading of a file by the mapping of its columns."""
    at_of: dict[str, list[int]] = {}
    for at, column in enumerate(columns):
        at_of.setdefault(mapping.get(column.key, import_columns.IGNORE), []).append(at)
    attributes = [
        AttributeColumn(at, field.removeprefix(ATTRIBUTE), columns[at].type)
        for field, places in at_of.items()
        if field.startswith(ATTRIBUTE)
        for at in places
    ]
    single = {field: places[0] for field, places in at_of.items() if field not in import_columns.REPEATED}
    return Plan(
        reading_id,
        len(columns),
        now,
        region,
        [
            PhoneColumn(at, *(import_columns.find_pair(columns, at) or (None, -1)))
            for at in order_phones(columns, mapping)
        ],
        {field: at for field, at in single.items() if not field.startswith(ATTRIBUTE)},
        at_of.get("country", []),
        [StatusColumn(at, _status_kind(columns[at].name)) for at in at_of.get("status", ())],
        # What our own export calls it is nothing that anybody agreed to.
        [(at, _asked(columns[at].name)) for at in at_of.get("consent", ())],
        at_of.get("opted_out", []),
        attributes,
        is_agreed,
        at_of.get(import_columns.ATTRIBUTES, [-1])[0],
    )


def _asked(title: str) -> str:
    return "" if title == import_columns.OWN_STATUS else title


def _status_kind(title: str) -> str:
    folded = fold_words(title)
    for kind in ("kept_flag", "gone_flag"):
        if folded in words()[kind]:
            return kind
    return "word"


def encode_rows(plan: Plan, rows: Iterable[RawRow]) -> Encoded:
    """Read rows and encode them for COPY. What cannot be taken is kept as it stands, with the reason."""
    parts: list[bytes] = []
    count = invalid = without = 0
    for row in rows:
        count += 1
        try:
            values, is_without = _read(plan, row)
            without += is_without
        except RowRefused as refused:
            invalid += 1
            values = _refused(plan, row, refused.reason)
        parts.append(_head)
        parts += map(encode_field, values)
    return Encoded(b"".join(parts), count, invalid, without)


def _refused(plan: Plan, row: RawRow, reason: str) -> tuple[FieldValue, ...]:
    cells = [keep_text(cell) for cell in row.cells]
    kept = b"\x01" + msgspec.json.encode(cells)
    nothing = (None,) * 9
    return (
        *(plan.reading_id, _int(row.number), _int(row.line), INVALID, reason[:200], *nothing),
        *(_EMPTY_JSON, UNSAID, None, None, kept),
    )


def keep_text(cell: str) -> str:
    """Return a cell as PostgreSQL keeps it."""
    return "".join(each for each in cell[:MAX_CELLS] if each != "\0" and not "\ud800" <= each <= "\udfff")


def _read(plan: Plan, row: RawRow) -> tuple[tuple[FieldValue, ...], bool]:
    if row.fault is not None:
        raise RowRefused(row.fault)
    cells = row.cells
    phone = _read_phone(plan, cells)
    details = _read_details(plan, cells)
    attributes = _read_attributes(plan, cells)
    is_gone = any(_is_gone(each, cells) for each in plan.statuses)
    consent, evidence = _read_consent(plan, cells)
    is_without = is_gone and consent == AGREED
    if is_gone and consent in (AGREED, UNSAID):
        consent, evidence = DENIED, None
    values = (
        *(plan.reading_id, _int(row.number), _int(row.line), STAGED, None),
        *(phone.e164, canonical(phone.e164), phone.region, phone.kind),
        *(details.get(name) for name in IMPORTED),
        _EMPTY_JSON if not attributes else b"\x01" + msgspec.json.encode(attributes),
        consent,
        None if evidence is None else b"\x01" + msgspec.json.encode(evidence),
        new_id(),
        None,
    )
    return values, is_without


def _int(value: int) -> bytes:
    return value.to_bytes(4)


def _cell(cells: Sequence[str], at: int) -> str:
    return cells[at] if 0 <= at < len(cells) else ""


def cell_text(text: str) -> str:
    """Return what a cell says: without edges, what cannot be seen, and what spreadsheets put before it."""
    if not text:
        return ""
    text = trim(repair_text(text) if not text.isascii() else text)
    if len(text) > 2 and text[0] == text[-1] == "'" and "'" not in text[1:-1]:
        # Some programs put each cell in single quotes.
        return text[1:-1].strip()
    return text[1:] if _quoted.match(text) else text


# Phones


def _read_phone(plan: Plan, cells: Sequence[str]) -> Phone:
    region = plan.region
    for at in plan.countries:
        if _cell(cells, at).strip():
            region = read_country(cells[at], region)
            break
    reason: str | None = None
    for text in _phone_texts(plan, cells):
        for part in text.split(SEVERAL_NUMBERS) if SEVERAL_NUMBERS in text else (text,):
            try:
                return read_phone_cell(part, region)
            except CellUnreadable as error:
                reason = reason or error.reason
    raise RowRefused(reason or NO_PHONE)


def _phone_texts(plan: Plan, cells: Sequence[str]) -> list[str]:
    """Return the cells of phones that say something, a mobile's before others and never a fax's."""
    if len(plan.phones) == 1 and plan.phones[0].told_by is None:
        text = _cell(cells, plan.phones[0].at)
        return [text] if text and not text.isspace() else []
    found: list[tuple[int, str]] = []
    for column in plan.phones:
        text = _cell(cells, column.at)
        if not clean_text(text):
            continue
        rank = 1
        if column.told_by is not None:
            told = _cell(cells, column.told_at)
            if column.told_by == "question" and not is_about_phone(told):
                continue
            named = frozenset(fold_words(told).split())
            if column.told_by == "label" and named & words()["not_phone"]:
                continue
            rank = 0 if named & words()["mobile"] else 1
        found.append((rank, text))
    return [text for _, text in sorted(found, key=lambda each: each[0])]


# What is known of the person


def _read_details(plan: Plan, cells: Sequence[str]) -> dict[str, str]:
    said = {name: cell_text(_cell(cells, at)) for name, at in plan.fields.items()}
    if (full := said.pop("full_name", "")) and not said.get("first_name") and not said.get("last_name"):
        said["first_name"], said["last_name"] = split_name(full)
    found: dict[str, str] = {}
    for name in IMPORTED:
        text = said.get(name)
        if not text:
            continue
        try:
            found[name] = read_detail(name, text if name == "email" else " ".join(text.split()))
        except InvalidRequest as error:
            # A zone that is not known is as good as none; the phone's own stands in.
            if name != "timezone":
                raise RowRefused(error.message) from None
    return found


def split_name(text: str) -> tuple[str, str]:
    """Return the first name and the rest of a whole name, which may stand before a comma."""
    last, comma, first = text.partition(",")
    if comma and first.strip() and "," not in first:
        return first.strip(), last.strip()
    first, _, last = " ".join(text.split()).partition(" ")
    return first, last


def _read_attributes(plan: Plan, cells: Sequence[str]) -> dict[str, object]:
    found = _read_json(_cell(cells, plan.json_at))
    for column in plan.attributes:
        text = cell_text(_cell(cells, column.at))
        if text:
            found[column.key] = read_value(text, column.type)
    if not found:
        return found
    try:
        # Drops attributes that are null.
        return merge_attributes({}, found)
    except InvalidRequest as error:
        raise RowRefused(error.message) from None


def _read_json(text: str) -> dict[str, object]:
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise RowRefused("its attributes are not a JSON object") from None


def read_value(text: str, kind: str) -> object:
    """Return the value of an attribute in a column of a kind; what is of another kind stays text."""
    match kind:
        case "integer" | "number" if import_columns.find_type([text]) in ("integer", "number"):
            return float(text) if "." in text else int(text)
        case "boolean" if import_columns.find_type([text]) == "boolean":
            return text.lower() in ("true", "yes")
        case "date" if (day := read_date(text)) is not None:
            return day.isoformat()
        case "time" if (at := read_moment(text)) is not None:
            return at.isoformat().replace("+00:00", "Z")
    if text.startswith('"') and text.endswith('"') and '","' in text:
        text = ", ".join(_tags.findall(text))
    elif SEVERAL_NUMBERS in text:
        parts = (part.strip() for part in text.split(SEVERAL_NUMBERS))
        text = ", ".join(part for part in parts if part and not part.startswith("* "))
    return text[:MAX_ATTRIBUTE_VALUE]


# Consent


def _is_gone(column: StatusColumn, cells: Sequence[str]) -> bool:
    text = _cell(cells, column.at)
    if not text:
        return False
    folded, told = fold_words(text), words()
    match column.kind:
        case "gone_flag":
            return folded in told["yes"] or folded in told["gone"]
        case "kept_flag":
            return folded in told["no"] or folded in told["gone"]
    return folded in told["gone"]


def read_agreement(text: str, title: str = "") -> int:
    """Return what a cell says of consent: that it was given, that it was withdrawn, or nothing."""
    folded, told = fold_words(text), words()
    if not folded:
        return UNSAID
    if folded in told["out"]:
        return REFUSED
    if folded in told["no"]:
        return DENIED
    # The answer of a box to be ticked is its own text.
    if folded in told["yes"] or (title and folded == fold_words(title)):
        return AGREED
    first = folded.split(" ", 1)[0]
    is_yes = first in ("yes", "sim", "si", "oui", "ja") or folded.startswith(
        ("i agree", "i consent", "opted in", "opt in")
    )
    return AGREED if is_yes and not {"not", "no", "nao", "pas", "nicht", "non"} & set(folded.split()) else UNSAID


def _read_consent(plan: Plan, cells: Sequence[str]) -> tuple[int, dict[str, object] | None]:
    """Return what a row says of consent, and its own evidence: where it was given, when, and to what."""
    if any(_is_yes(_cell(cells, at)) for at in plan.opted_outs):
        return REFUSED, None
    if not plan.consents:
        return (AGREED, _own_evidence(plan, cells, None)) if plan.is_agreed else (UNSAID, None)
    said = [(read_agreement(_cell(cells, at), title), title) for at, title in plan.consents]
    if any(answer == REFUSED for answer, _ in said):
        return REFUSED, None
    title = next((title for answer, title in said if answer == AGREED), None)
    if title is not None:
        return AGREED, _own_evidence(plan, cells, title)
    return min(answer for answer, _ in said), None


def _is_yes(text: str) -> bool:
    folded = fold_words(text)
    return folded in words()["yes"] or folded in words()["out"]


def _own_evidence(plan: Plan, cells: Sequence[str], title: str | None) -> dict[str, object] | None:
    own: dict[str, object] = {}
    said = {name: cell_text(_cell(cells, at)) for name, at in plan.fields.items() if name.startswith("consent_")}
    if source := " ".join(said.get("consent_source", "").split()):
        own["source"] = source[:MAX_SOURCE]
    if text := said.get("consent_text") or title:
        own["text"] = text[:MAX_TEXT]
    at = read_moment(said.get("consent_at", ""))
    if at is not None and EARLIEST <= at <= plan.now:
        own["at"] = at.isoformat()
    if ip := said.get("consent_ip"):
        with suppress(InvalidRequest):
            own["ip"] = read_ip(ip)
    return own or None
