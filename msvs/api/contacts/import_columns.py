"""Map the columns of a file of contacts to fields, by their titles and by their contents.

An agreement to e-mail is never one to texts: only a column that says so of texts may opt anyone in.
"""

from __future__ import annotations

import html
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files

import msgspec

from msvs.api.contacts.details import MAX_ATTRIBUTE_KEY
from msvs.api.errors import InvalidRequest
from msvs.api.text.cells import CellUnreadable, clean_text, looks_like_phone, read_phone_cell
from msvs.api.text.columns import find_field, fold_name
from msvs.api.text.dates import is_date, is_time
from msvs.api.text.quiet_hours import check_timezone

ATTRIBUTE = "attributes."
IGNORE, CONSENT, ATTRIBUTES = "ignore", "consent", "attributes"
# What a column may be, besides an attribute by its key.
FIELDS = (
    *("phone", "first_name", "last_name", "full_name", "email", "timezone", "external_id", "country"),
    *(
        "consent",
        "consent_at",
        "consent_source",
        "consent_ip",
        "consent_text",
        "opted_out",
        "status",
        ATTRIBUTES,
        IGNORE,
    ),
)
FIELD_PATTERN = f"^(?:{'|'.join(FIELDS)}|attributes\\.[^\\x00-\\x1f\\x7f-\\x9f]{{1,{MAX_ATTRIBUTE_KEY}}})$"
# The titles of our own exports, which are known by all of the first three; the rest of their columns says nothing new.
OWN_STATUS = "opt_in_status"
OWN_TITLES = frozenset(("phone", OWN_STATUS, ATTRIBUTES))
OWN: Mapping[str, str] = {
    **{name: name for name in ("phone", "first_name", "last_name", "email", "timezone", "external_id", ATTRIBUTES)},
    OWN_STATUS: CONSENT,
    "opt_in_source": "consent_source",
    "opt_in_at": "consent_at",
}
# Several columns may be these: the first that says something holds.
REPEATED = frozenset(("phone", "country", "status", "opted_out", "consent", IGNORE))
MAX_SAMPLES = 3
MAX_SAMPLE = 60
MAX_PROPOSED = 40
# From so many of a column's cells on, that hold a phone, it is one of phones without saying so.
MOST = 0.7

_tag = re.compile(r"<[^>]*>")
_word = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_key = re.compile(r"[^a-z0-9]+")
_question = re.compile(r"(?:custom )?question ?([0-9]+)", re.IGNORECASE).fullmatch
_answer = re.compile(r"(?:custom )?(?:response|answer) ?([0-9]+)", re.IGNORECASE).fullmatch
_labelled = re.compile(r"(.+?)\s*-\s*value", re.IGNORECASE).fullmatch
_integer = re.compile(r"-?(?:0|[1-9][0-9]{0,14})").fullmatch
_number = re.compile(r"-?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,9}").fullmatch
_boolean = re.compile(r"true|false|yes|no", re.IGNORECASE).fullmatch


class Column(msgspec.Struct, frozen=True):
    """A column of a file: its title, the key it is mapped by, what kind of values it has, and some of them."""

    name: str
    key: str
    type: str
    samples: list[str]
    # How many of the rows that were looked at say something here.
    filled: int


@cache
def words() -> Mapping[str, frozenset[str]]:
    """Return the words of the data, by what they tell."""
    data = tomllib.loads(files("msvs.api").joinpath("data/import_words.toml").read_text("utf-8"))
    return {name: frozenset(found) for name, found in data.items()}


def plain_title(name: str) -> str:
    """Return a title without markup, marks that cannot be seen, and line breaks."""
    return " ".join(clean_text(html.unescape(_tag.sub(" ", name))).split())


@lru_cache(maxsize=4096)
def split_title(title: str) -> frozenset[str]:
    """Return the folded words of a title."""
    return frozenset(fold_words(title).split())


@lru_cache(maxsize=8192)
def fold_words(text: str) -> str:
    """Return the words of a text, without case, accents and signs, with a blank between them."""
    letters = unicodedata.normalize("NFD", text)
    plain = "".join(each for each in letters if not unicodedata.combining(each))
    return " ".join(_word.findall(plain)).casefold()


def describe_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Column]:
    """Describe the columns of a file by its titles and its first rows; each gets a key of its own."""
    keys: set[str] = set()
    columns = []
    for at, title in enumerate(header):
        name = plain_title(title)[:300]
        key = first = name or f"column {at + 1}"
        number = 2
        while key in keys:
            key, number = f"{first} ({number})", number + 1
        keys.add(key)
        cells = [text for row in rows if at < len(row) and (text := clean_text(row[at]))]
        columns.append(
            Column(
                name,
                key,
                find_type(cells),
                [each[:MAX_SAMPLE] for each in dict.fromkeys(cells)][:MAX_SAMPLES],
                len(cells),
            )
        )
    return columns


def find_type(cells: Iterable[str]) -> str:
    """Return what all of a column's cells are: integer, number, boolean, date, time, or text."""
    kinds = {_kind(cell) for cell in cells}
    if kinds == {"integer", "number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else "text"


def _kind(cell: str) -> str:
    if _integer(cell):
        return "integer"
    if _number(cell):
        return "number"
    if _boolean(cell):
        return "boolean"
    if is_date(cell):
        return "date"
    return "time" if is_time(cell) else "text"


def propose_mapping(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, region: str | None = None
) -> dict[str, str]:
    """Propose what each column is, by its key. Without a column of phones, nothing else is of use."""
    if {column.key for column in columns} >= OWN_TITLES:
        return {column.key: OWN.get(column.key, IGNORE) for column in columns}
    found = {at: _by_title(column, columns, at, rows) for at, column in enumerate(columns)}
    if not any(field == "phone" for field, _ in found.values()):
        found |= _phones_by_cells(columns, found, rows, region)
    has_consent = any(field == "consent" for field, _ in found.values())
    if has_consent and not any(field == "consent_at" for field, _ in found.values()):
        # A form's answers, consent too, were given when it was sent in.
        sent = [at for at, column in enumerate(columns) if fold_words(column.name) in words()["sent_in"]]
        found |= dict.fromkeys(sent[:1], ("consent_at", 1))
    chosen: dict[int, str] = {}
    for field in FIELDS:
        ranked = sorted((rank, at) for at, (each, rank) in found.items() if each == field)
        for _, at in ranked if field in REPEATED else ranked[:1]:
            if field.startswith("consent_") and not has_consent:
                continue
            chosen[at] = field
    chosen = _settle_names(chosen, columns, rows)
    keys: set[str] = set()
    mapping = {}
    for at, column in enumerate(columns):
        field = chosen.get(at) or _attribute(column, keys)
        mapping[column.key] = field
    return mapping


def order_phones(columns: Sequence[Column], mapping: Mapping[str, str]) -> list[int]:
    """Return the columns of phones, mobile ones first, then as they stand."""
    phones = [at for at, column in enumerate(columns) if mapping.get(column.key) == "phone"]
    return sorted(phones, key=lambda at: (_phone_rank(columns[at].name) or 2, at))


def is_about_phone(text: str) -> bool:
    """Return whether a question asks for a phone."""
    return _phone_rank(plain_title(text)) is not None


def find_pair(columns: Sequence[Column], at: int) -> tuple[str, int] | None:
    """Return the column that tells what stands in another: its question, or its label; None if it stands alone."""
    name = columns[at].name
    if answer := _answer(name):
        for other, column in enumerate(columns):
            if (question := _question(column.name)) and question[1] == answer[1]:
                return "question", other
    if value := _labelled(name):
        wanted = {fold_name(f"{value[1]} - label"), fold_name(f"{value[1]} - type")}
        near = [other for other in (at - 1, at + 1) if 0 <= other < len(columns)]
        for other in near:
            if fold_name(columns[other].name) in wanted:
                return "label", other
    return None


def check_mapping(columns: Sequence[Column], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return a mapping by the columns' keys, that may name them in other case. Raises InvalidRequest."""
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(fold_words(column.key), column.key)
    keys = {column.key for column in columns}
    found: dict[str, str] = {}
    for name, field in mapping.items():
        key = name if name in keys else by_name.get(fold_words(plain_title(name)))
        if key is None:
            raise InvalidRequest(f"The file has no column '{name[:40]}'.", param="mapping")
        check_field(field, name)
        found[key] = field
    fields = list(found.values())
    for field in fields:
        if field not in REPEATED and not field.startswith(ATTRIBUTE) and fields.count(field) > 1:
            raise InvalidRequest(f"Only one column can be {field}.", param="mapping")
    return found


def check_field(field: object, name: str) -> None:
    """Refuse what no column can be, of any type. Raises InvalidRequest."""
    if not isinstance(field, str):
        raise InvalidRequest("The field of a column must be text.", param=f"mapping.{name[:40]}")
    key = field.removeprefix(ATTRIBUTE)
    if field.startswith(ATTRIBUTE):
        if 1 <= len(key) <= MAX_ATTRIBUTE_KEY and not any(unicodedata.category(each) in ("Cc", "Cs") for each in key):
            return
    elif field in FIELDS:
        return
    raise InvalidRequest(
        f"The column '{name[:40]}' must be one of: {', '.join(FIELDS)}, or attributes. and a key of at most"
        f" {MAX_ATTRIBUTE_KEY} characters.",
        param="mapping",
    )


# By titles


def _by_title(
    column: Column, columns: Sequence[Column], at: int, rows: Sequence[Sequence[str]]
) -> tuple[str | None, int]:
    """Return the field that a column's title stands for, None if it is not known, and how well it fits."""
    title, told = column.name, words()
    folded = fold_words(title)
    if pair := find_pair(columns, at):
        return _paired(pair, column, rows)
    if any(_labelled(other.name) and find_pair(columns, index) == ("label", at) for index, other in enumerate(columns)):
        return IGNORE, 1
    known = find_field(title)
    if (agreement := _about_texts(folded)) is not None:
        return agreement, 1
    if known is not None and known[0] == "consent":
        return "consent", 1
    if (rank := _phone_rank(title)) is not None:
        return "phone", rank
    if title == "#" or fold_name(title) in _folded("ids"):
        return _id_of(column, rows, at, 2)
    if folded in told["status"] or folded in told["gone_flag"] or folded in told["kept_flag"]:
        return "status", 1
    if known is not None and known[0] == "external_id":
        return _id_of(column, rows, at, 1)
    if known is not None and known[0] == "timezone":
        return ("timezone", 1) if any(map(_is_timezone, column.samples)) else (None, 0)
    if known is not None and known[0] in ("first_name", "last_name", "full_name", "email", "country"):
        return known[0], known[1]
    return _loosely(title)


def _loosely(title: str) -> tuple[str | None, int]:
    """Return the field of a title that only has the words of one, such as a question's."""
    found = split_title(title)
    if "country" in found and not found & {"phone", "calling", "dial"} and len(found) <= 5:
        return "country", 3
    if (
        found & {"email", "mail", "correo", "courriel"}
        and not found & words()["not_phone"] - {"email", "client"}
        and len(found) <= 6
    ):
        return (
            ("email", 3)
            if not found & {"status", "marketing", "list", "consent", "subscribed", "accepts", "accepted"}
            else (None, 0)
        )
    if "name" in found and not found & {
        "company",
        "event",
        "organization",
        "product",
        "user",
        "team",
        "file",
        "list",
        "campaign",
        "account",
        "business",
        "course",
        "plan",
    }:
        if found & {"first", "given"}:
            return "first_name", 3
        if found & {"last", "family", "sur"}:
            return "last_name", 3
        if len(found) <= 5 and not found & {
            "middle",
            "nick",
            "prefix",
            "suffix",
            "phonetic",
            "group",
            "owner",
            "type",
            "tag",
            "form",
            "segment",
        }:
            return "full_name", 3
    return None, 0


def _about_texts(folded: str) -> str | None:
    """Return what a title says of an agreement to texts, None if it says nothing of it."""
    found, told = frozenset(folded.split()), words()
    if "hasoptedoutofsms" in folded.replace(" ", "") or folded in ("do not text", "dnd sms", "dnd"):
        return "opted_out"
    if not found & told["texts"]:
        return None
    if found & told["refusal"] and not found & told["moment"] | found & {"in"}:
        return "opted_out"
    if (not found & told["agreement"] and "optin" not in folded.replace(" ", "")) or found & told["not_agreement"]:
        return None
    # A question may have "on" or "at" in it: only a short title is of a moment.
    if len(found) <= 7:
        for field, kind in (("consent_ip", "address"), ("consent_at", "moment"), ("consent_source", "method")):
            if found & told[kind]:
                return field
        if found & told["wording"]:
            return "consent_text"
    return "consent"


@lru_cache(maxsize=4096)
def _phone_rank(title: str) -> int | None:
    known = find_field(title)
    if known is not None:
        return known[1] if known[0] == "phone" else None
    found, told = split_title(title), words()
    if not found & told["phone"] or found & told["not_phone"]:
        return None
    if found & told["mobile"]:
        return 1
    return 3 if found & told["other_phone"] else 2


def _paired(pair: tuple[str, int], column: Column, rows: Sequence[Sequence[str]]) -> tuple[str | None, int]:
    kind, other = pair
    if kind == "question":
        asked = {clean_text(row[other]) for row in rows if other < len(row)}
        # Anything else that a questionnaire asks: its question stands in another column.
        return ("phone", 2) if any(map(is_about_phone, filter(None, asked))) else (None, 0)
    known = find_field(column.name)
    if known is not None and known[0] in ("phone", "email"):
        return known
    return ("phone", 2) if _phone_rank(column.name.rpartition("-")[0]) is not None else (None, 0)


def _id_of(column: Column, rows: Sequence[Sequence[str]], at: int, rank: int) -> tuple[str | None, int]:
    """Take a column for ids only where no two rows have one."""
    cells = [text for row in rows if at < len(row) and (text := clean_text(row[at]))]
    is_unique = len(cells) == len(set(cells)) and all(len(cell) <= 100 for cell in cells)
    return ("external_id", rank) if cells and is_unique else (None, 0)


@cache
def _folded(name: str) -> frozenset[str]:
    return frozenset(map(fold_name, words()[name]))


def _is_timezone(text: str) -> bool:
    try:
        check_timezone(text)
    except InvalidRequest:
        return False
    return True


# By what stands in them


def _phones_by_cells(
    columns: Sequence[Column],
    found: Mapping[int, tuple[str | None, int]],
    rows: Sequence[Sequence[str]],
    region: str | None,
) -> dict[int, tuple[str | None, int]]:
    """Find the column without a known title that holds phones as people write them; digits alone are no phones."""
    best: tuple[float, int] | None = None
    for at, (field, _) in found.items():
        if field is not None or split_title(columns[at].name) & words()["not_phone"]:
            continue
        cells = [text for row in rows if at < len(row) and (text := clean_text(row[at]))]
        written = [cell for cell in cells if looks_like_phone(cell) and not cell.strip("'\"").isdigit()]
        share = sum(_is_phone(cell, region) for cell in written) / max(len(cells), 1)
        if share >= MOST and (best is None or share > best[0]):
            best = share, at
    return {} if best is None else {best[1]: ("phone", 2)}


def _is_phone(cell: str, region: str | None) -> bool:
    try:
        read_phone_cell(cell, region or "US")
    except CellUnreadable:
        return False
    return True


def _settle_names(chosen: dict[int, str], columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> dict[int, str]:
    """Take a lone column of names for whole ones where they have several words, as "Nome" and "Nom" often do."""
    fields = {field: at for at, field in chosen.items()}
    for field, other in (("first_name", "last_name"), ("last_name", "first_name")):
        if field in fields and other not in fields and "full_name" not in fields:
            at = fields[field]
            cells = [text for row in rows if at < len(row) and (text := clean_text(row[at]))]
            if cells and 2 * sum(" " in cell for cell in cells) > len(cells):
                return {**chosen, at: "full_name"}
            if field == "last_name":
                return {**chosen, at: "full_name"}
    return chosen


def _attribute(column: Column, keys: set[str]) -> str:
    """Name the attribute that a column becomes, or leave it out: what is blank, noise, or one too many."""
    key = _key.sub("_", fold_words(column.name)).strip("_")[:MAX_ATTRIBUTE_KEY].strip("_")
    is_noise = fold_words(column.name) in words()["noise"] or _question(column.name) or _answer(column.name)
    if not column.filled or not key or is_noise or key in keys or len(keys) >= MAX_PROPOSED:
        return IGNORE
    keys.add(key)
    return f"{ATTRIBUTE}{key}"
