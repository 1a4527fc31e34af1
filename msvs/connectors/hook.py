"""The inbound hook: receive people posted to a list's URL by Zapier, Make, Skool's plugin or a script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import ClassVar
from urllib.parse import parse_qsl

import msgspec

from msvs.connectors.base import (
    Account,
    Capabilities,
    Connector,
    Field,
    HookCall,
    HookDelivery,
    HookRefused,
    InvalidSetting,
    Page,
    Person,
    PersonState,
    Setting,
    SettingKind,
)
from msvs.connectors.signatures import verify

MAX_PEOPLE = 500
MAX_FIELDS = 200
MAX_KEY = 100
MAX_VALUE = 1000
MAX_DEPTH = 6
DELIVERY_HEADERS = ("idempotency-key", "x-delivery-id")
# Keys whose list of objects holds the people.
LISTS = ("contacts", "people", "members", "subscribers", "records", "items", "rows", "data")
# Keys for the name and the value of a list entry, such as {"question": "Your phone?", "answer": "…"}.
NAMES = ("label", "question", "name", "title", "key", "ref", "field")
VALUES = ("value", "answer", "text")

_email = re.compile(r"(?:^|[._ ])e-?mail(?:[ _]?address)?$", re.IGNORECASE).search
_phone = re.compile(r"(?:phone|mobile|whatsapp|(?:^|[._ ])(?:cell|tel))(?:[ _]?number)?$", re.IGNORECASE).search


class HookConnector(Connector):
    """Receives people only by POST, one or many at a time, as JSON or as a form."""

    kind = "hook"
    label = "Zapier, Make, Skool and other tools"
    capabilities = Capabilities(pulls=False, hook=True, signed_hook=True)
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "id_field",
            "Field that identifies a person",
            help="A field whose value is the same every time a person is posted. By default the e-mail address, or else"
            " the phone.",
            example="member.id",
        ),
        Setting(
            "left_when",
            "Who has left",
            help="A field and the value that marks a posted person as having left. They are removed from the list.",
            example="status=canceled",
            pattern=r"[^=]{1,100}=[^=]{1,100}",
        ),
        Setting(
            "signature_header",
            "Header of the signature",
            help="For tools that sign requests: the header with the HMAC-SHA256 of the body in hex or base64, or"
            " `t=…,v1=…`.",
            example="X-Signature",
            pattern=r"[A-Za-z0-9-]{1,60}",
        ),
        Setting("signing_secret", "Secret of the signature", SettingKind.SECRET),
    )

    async def check(self) -> Account:
        """Return the connector's label, since there is no account. Raises InvalidSetting for half a signature setup."""
        if bool(self._setting("signing_secret")) != bool(self._setting("signature_header")):
            name = "signature_header" if self._setting("signing_secret") else "signing_secret"
            raise InvalidSetting("Signatures need both the header and the secret.", setting=name)
        return Account(self.label)

    async def fields(self) -> list[Field]:
        """Return no fields: they are known only from posted people."""
        return []

    async def fetch_page(self, *, since: str | None = None, cursor: str | None = None) -> Page:
        """Return an empty last page: people arrive only through the hook."""
        return Page(())

    def read_hook(self, call: HookCall) -> HookDelivery:
        """Return the people in a request. Raises HookRefused for an invalid signature or a body without people."""
        if secret := self._setting("signing_secret"):
            verify(call.headers.get(self._setting("signature_header").lower()), call.body, secret, call.now)
        rows = _read_rows(call)
        given = next((call.headers[name] for name in DELIVERY_HEADERS if call.headers.get(name)), "")
        return HookDelivery(
            sha256(given.encode() + b"\0" + call.body).hexdigest(),
            [self._person(dict(_flatten(row))) for row in rows],
        )

    def _person(self, fields: dict[str, str]) -> Person:
        name, _, value = self._setting("left_when").partition("=")
        has_left = bool(name) and fields.get(name.strip(), "").lower() == value.strip().lower()
        state = PersonState.LEFT if has_left else PersonState.MEMBER
        return Person(_identity(fields, self._setting("id_field")), fields, state=state)


def _identity(fields: Mapping[str, str], id_field: str) -> str:
    """Return a stable id: a hash of the id field, e-mail address, phone or whole row, so it reveals nothing."""
    if given := fields.get(id_field):
        return _digest("id", given)
    for name, matches in (("email", _email), ("phone", _phone)):
        for key, value in fields.items():
            if matches(key):
                text = value.lower() if name == "email" else re.sub(r"[^0-9]", "", value)
                return _digest(name, text or value)
    return _digest("row", "\0".join(f"{key}\0{value}" for key, value in sorted(fields.items())))


def _digest(name: str, value: str) -> str:
    return sha256(f"{name}\0{value}".encode()).hexdigest()[:32]


def _read_rows(call: HookCall) -> list[Mapping[str, object]]:
    kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    found = _read_form(call.body) if kind == "application/x-www-form-urlencoded" else _read_json(call.body)
    if not found:
        raise HookRefused("the body has no people", status=400)
    if len(found) > MAX_PEOPLE:
        raise HookRefused(f"the body has more than {MAX_PEOPLE} people", status=413)
    return found


def _read_form(body: bytes) -> list[Mapping[str, object]]:
    try:
        pairs = parse_qsl(body.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise HookRefused("the body is not a valid form", status=400) from None
    return [dict(pairs)] if pairs else []


def _read_json(body: bytes) -> list[Mapping[str, object]]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise HookRefused("the body is not valid JSON", status=400) from None
    if isinstance(value, dict):
        inner = next((value[name] for name in LISTS if _is_rows(value.get(name))), None)
        value = [value] if inner is None else inner
    if not isinstance(value, list) or not all(isinstance(row, dict) and row for row in value):
        raise HookRefused("the body is not an object or a list of objects", status=400)
    return value


def _is_rows(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _flatten(row: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the first MAX_FIELDS values of an object as text, with dotted keys for nested ones."""
    count = 0
    for key, value in _leaves(row, "", MAX_DEPTH):
        if text := _text(value):
            yield key, text
            count += 1
            if count == MAX_FIELDS:
                return


def _leaves(value: object, path: str, depth: int) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and depth:
        for name, inner in value.items():
            yield from _leaves(inner, _join(path, str(name)), depth - 1)
    elif isinstance(value, list) and depth and any(isinstance(each, dict | list) for each in value):
        for at, each in enumerate(value[:MAX_FIELDS]):
            named = _named(each)
            if named is None:
                yield from _leaves(each, _join(path, str(at)), depth - 1)
            else:
                yield from _leaves(named[1], _join(path, named[0]), depth - 1)
    elif isinstance(value, list):
        yield path, ", ".join(filter(None, map(_text, value)))
    elif not isinstance(value, dict):
        yield path, value


def _named(entry: object) -> tuple[str, object] | None:
    """Return the name and value of an entry such as {"question": "Your phone?", "answer": "…"}, or else None."""
    if not isinstance(entry, dict):
        return None
    name = next((entry[each] for each in NAMES if isinstance(entry.get(each), str) and entry[each]), None)
    value = next((each for each in VALUES if each in entry), None)
    return None if name is None or value is None else (name, entry[value])


def _join(path: str, name: str) -> str:
    return (f"{path}.{name}" if path else name)[:MAX_KEY]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if not isinstance(value, str | int | float):
        return ""
    # PostgreSQL text cannot hold NUL.
    return str(value).replace("\0", "")[:MAX_VALUE].strip()
