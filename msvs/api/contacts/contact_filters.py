"""Compile searches and filters of contacts to SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Protocol
from uuid import UUID

from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata

from msvs.api import ids
from msvs.api.contacts.contacts import MAX_DIGITS, MAX_SEARCH, ListContacts, is_phone_like, read_status
from msvs.api.contacts.details import merge_attributes, read_detail, read_name
from msvs.api.contacts.segments import compile_filter
from msvs.api.contacts.tags import find_tag
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.scope import readings, scoped
from msvs.api.text.phones import canonical, parse_phone
from msvs.database import fetch_row
from msvs.models import Segment

# The sizes of the parts in `contact_grams`: of words, and of phones.
LETTERS = 3
DIGITS = 4
# The digits that must follow a national prefix other than 0: with fewer, the prefix may be part of the number.
HOME_DIGITS = 8

# Folds the search text in SQL, exactly as the index folds the fields of contacts.
READ_SEARCH = """
SELECT search_fold($3) AS text, search_grams(search_fold($7), $4, $1, $2) AS letters,
    search_grams($5, $6, $1, $2) AS digits
"""
# What the index folds; text without accents, which nearly all is, is folded without a call of the function.
NAMES = "coalesce(c.first_name, '') || ' ' || coalesce(c.last_name, '') || ' ' || coalesce(c.email, '')"
TEXT = (
    f"CASE WHEN octet_length({NAMES}) = char_length({NAMES}) THEN lower({NAMES})"
    " ELSE contact_text(c.first_name, c.last_name, c.email) END"
)
GRAMS = (
    "contact_grams(c.workspace_id, c.livemode, c.first_name, c.last_name, c.email, c.phone, c.canonical)"
    " @> {value}::bigint[]"
)
ATTRIBUTES = "contact_attributes(c.workspace_id, c.livemode, c.attributes) @> {value}::jsonb"
# Conditions that may match few contacts out of millions.
SPARSE = ("search", "q", "attributes", "updated_from", "updated_before")


class _Read(Protocol):
    text: str
    letters: list[int]
    digits: list[int]


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions on `contacts AS c` as SQL that begins with AND, and the values of their parameters.

    `plain` filters rows that are scanned anyway; `indexed` adds the expressions of the search index. If `is_seeded`,
    the index expression contains the workspace and mode, and must not be combined with an index of all contacts.
    """

    plain: str
    values: list[object]
    indexed: str
    indexed_values: list[object]
    is_sparse: bool
    has_index: bool
    is_seeded: bool


@dataclass(frozen=True, slots=True)
class _Search:
    """A parsed search: its words, the stored forms its number may have, and the index parts of both."""

    words: Sequence[str]
    letters: Sequence[int]
    numbers: Sequence[tuple[str, Sequence[int]]]

    @property
    def has_index(self) -> bool:
        return bool(self.letters) and all(grams for _, grams in self.numbers)


async def compile_contacts(ctx: Context, which: ListContacts, first_parameter: int) -> Conditions:
    """Compile every condition given; the first parameter is `$first_parameter`. Raises InvalidRequest."""
    searches = [await _read_search(ctx, text, param) for text, param in _asked(which)]
    segment = await _find_segment(ctx, which)
    tag_id = None if which.tag is None else await find_tag(ctx, which.tag, param="tag")
    rendered = []
    for is_indexed in (False, True):
        compiler = _Compiler(ctx, first_parameter, is_indexed=is_indexed)
        compiler.add_all(which, searches)
        if which.tag is not None:
            compiler.add_tag(tag_id)
        if segment is not None:
            compiled = compile_filter(segment.conditions, first_parameter + len(compiler.values))
            compiler.values += compiled.values
            compiler.parts.append(compiled.sql)
        rendered.append(compiler)
    plain, indexed = rendered
    is_sparse = any(getattr(which, name) for name in SPARSE if name not in ("search", "q")) or bool(searches)
    is_seeded = bool(which.attributes) or any(each.has_index for each in searches)
    return Conditions(
        plain.sql,
        plain.values,
        indexed.sql,
        indexed.values,
        is_sparse,
        has_index=is_seeded or which.updated_from is not None,
        is_seeded=is_seeded,
    )


def _asked(which: ListContacts) -> list[tuple[str, str]]:
    return [(text, name) for name in ("search", "q") if (text := getattr(which, name)) is not None and text.strip()]


async def _find_segment(ctx: Context, which: ListContacts) -> Segment | None:
    segment_id = ids.read_optional_id(ids.SEGMENT, which.segment_id, "segment_id")
    if segment_id is None:
        return None
    segment = await scoped(ctx, Segment).filter(id=segment_id).first()
    if segment is None:
        raise InvalidRequest(
            f"No such segment: '{which.segment_id}'.", param="segment_id", code=ErrorCode.RESOURCE_MISSING
        )
    return segment


async def _read_search(ctx: Context, text: str, param: str) -> _Search:
    text = read_name(text, param=param, maximum=MAX_SEARCH)
    digits = _numbers(text) if is_phone_like(text) else []
    found = []
    read = await _grams(ctx, text, "")
    for number in digits:
        found.append((number, (await _grams(ctx, "", number)).digits))
    return _Search(read.text.split(), read.letters, found)


def _without_domain(word: str) -> str:
    """Return a word without what follows the first letter of its domain, if enough for the index is left.

    Many contacts have addresses of one domain: its parts find few contacts fewer, and take the longest to look up.
    """
    end = word.find("@") + 2
    return word[:end] if end > LETTERS else word


async def _grams(ctx: Context, text: str, digits: str) -> _Read:
    looked_up = " ".join(map(_without_domain, text.split()))
    scope = (ctx.workspace_id, ctx.livemode)
    row = await fetch_row(_Read, READ_SEARCH, *scope, text, LETTERS, digits, DIGITS, looked_up)
    assert row is not None, "a statement without a table has one row"
    return row


def _numbers(text: str) -> list[str]:
    """Return the digits to look for in E.164 numbers: as typed, and without an international or national prefix."""
    digits = "".join(character for character in text if character.isdigit())
    found = [digits]
    if text.strip().startswith("+"):
        return found
    for prefix in ("00", *national_prefixes()):
        rest = digits.removeprefix(prefix)
        # No E.164 number begins with 0, but it may begin with the digits of other prefixes.
        if rest != digits and len(rest) >= (DIGITS if set(prefix) == {"0"} else HOME_DIGITS):
            found.append(rest)
    return [*dict.fromkeys(found)]


@cache
def national_prefixes() -> tuple[str, ...]:
    """Return the national prefixes of all countries, such as 0 or 8."""
    known = (PhoneMetadata.metadata_for_region(region) for region in SUPPORTED_REGIONS)
    prefixes = {metadata.national_prefix for metadata in known if metadata is not None}
    # 1 is also the country code: without it, the search would find the same numbers.
    return tuple(sorted(prefix for prefix in prefixes if prefix and prefix.isdigit() and prefix != "1"))


def _any(conditions: Sequence[str]) -> str:
    return f"({' OR '.join(f'({each})' for each in conditions)})"


class _Compiler:
    """Builds the SQL of conditions and collects the values bound in it."""

    def __init__(self, ctx: Context, first_parameter: int, *, is_indexed: bool) -> None:
        self._ctx, self._first, self._is_indexed = ctx, first_parameter, is_indexed
        self.parts: list[str] = []
        self.values: list[object] = []

    @property
    def sql(self) -> str:
        return "".join(f" AND {part}" for part in self.parts)

    def bind(self, value: object) -> str:
        self.values.append(value)
        return f"${self._first + len(self.values) - 1}"

    def add_all(self, which: ListContacts, searches: Sequence[_Search]) -> None:
        for search in searches:
            self.parts.append(self._search(search))
        self._add_exact(which)
        self._add_memberships(which)
        for key, value in merge_attributes({}, which.attributes or {}).items():
            self.parts.append(self._attribute(key, value))
        self._add_times(which)

    def _add_exact(self, which: ListContacts) -> None:
        if which.phone is not None:
            phone = canonical(parse_phone(which.phone, param="phone").e164)
            self.parts.append(f"c.canonical = {self.bind(phone)}::varchar")
        if which.email is not None:
            # The expression of the index.
            self.parts.append(f"lower(c.email) = {self.bind(read_detail('email', which.email).lower())}::text")
        if which.external_id is not None:
            named = read_detail("external_id", which.external_id)
            self.parts.append(f"c.external_id = {self.bind(named)}::varchar")
        if which.opt_in_status is not None:
            status = read_status(which.opt_in_status).value
            self.parts.append(f"c.opt_in_status = {self.bind(status)}::varchar")
        if which.unreachable is not None:
            # A body has a boolean, a query its text.
            wanted = str(which.unreachable).lower() == "true"
            self.parts.append(f"c.unreachable_at IS {'NOT ' if wanted else ''}NULL")

    def _add_memberships(self, which: ListContacts) -> None:
        list_id: UUID | None = ids.read_optional_id(ids.CONTACT_LIST, which.list_id, "list_id")
        if list_id is not None:
            self.parts.append(f"c.id IN (SELECT contact_id FROM list_members WHERE list_id = {self.bind(list_id)})")

    def add_tag(self, tag_id: UUID | None) -> None:
        found = "false" if tag_id is None else f"tag_id = {self.bind(tag_id)}::uuid"
        self.parts.append(f"c.id IN (SELECT contact_id FROM tag_members WHERE {found})")

    def _add_times(self, which: ListContacts) -> None:
        # Ids ascend with time, so bounds on the id let the scan of the page stop early.
        for at, sign, bound in ((which.created_from, ">=", ids.id_before), (which.created_before, "<", ids.id_after)):
            if at is not None:
                self.parts.append(f"c.created_at {sign} {self._time(at)} AND c.id {sign} {self.bind(bound(at))}")
        for at, sign in ((which.updated_from, ">="), (which.updated_before, "<")):
            if at is not None:
                self.parts.append(f"c.updated_at {sign} {self._time(at)}")

    def _time(self, at: datetime) -> str:
        return f"{self.bind(at)}::timestamptz"

    def _search(self, search: _Search) -> str:
        exact = [self._words(search)]
        whole = []
        for number, _ in search.numbers:
            like = self.bind(f"%{number}%")
            exact.append(f"c.canonical LIKE {like}::text OR c.phone LIKE {like}::text")
            if len(number) <= MAX_DIGITS:
                whole.append(f"c.canonical = {self.bind(canonical(f'+{number}'))}::varchar")
        found = _any(exact + whole)
        if self._is_indexed and search.has_index:
            # A condition of its own, which the index answers whole: within the other, the parts of each contact found
            # would be computed again.
            parts = [search.letters, *(grams for _, grams in search.numbers)]
            return f"{_any([GRAMS.format(value=self.bind(list(grams))) for grams in parts] + whole)} AND {found}"
        return found

    def _words(self, search: _Search) -> str:
        # strpos, not LIKE: PostgreSQL underestimates the rows that match LIKE after the index, and picks a bad plan.
        return " AND ".join(f"strpos({TEXT}, {self.bind(word)}::text) > 0" for word in search.words)

    def _attribute(self, key: str, value: object) -> str:
        scope = f"{self._ctx.workspace_id}{str(self._ctx.livemode).lower()}"
        found = []
        for each in readings(value):
            plain = f"c.attributes @> {self.bind({key: each})}::jsonb"
            if self._is_indexed:
                plain = f"{ATTRIBUTES.format(value=self.bind({scope: {key: each}}))} AND {plain}"
            found.append(f"({plain})")
        return f"({' OR '.join(found)})"


def check_attribute_values(attributes: Mapping[str, object] | None) -> None:
    """Check that attributes to look for are texts, as a query's are. Raises InvalidRequest."""
    for name, value in (attributes or {}).items():
        if not isinstance(value, str):
            raise InvalidRequest("The value of an attribute must be text.", param=f"attributes.{name[:40]}")
