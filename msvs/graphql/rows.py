"""Read the rows of bulk mutations one by one: what no database keeps costs its row alone, as in REST."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from graphql import FieldNode, ObjectValueNode, ValueNode, VariableNode

from msvs.api.errors import InvalidRequest, JsonInvalid
from msvs.http.strict_json import Unread, check_flaws, read_entry

# Where the rows of a mutation stand: its argument, and the field of that input.
ROWS: Mapping[str, tuple[str, ...]] = {
    "importContacts": ("input", "contacts"),
    "importSuppressions": ("phones",),
    "addContactsToList": ("contactIds",),
}
# The mutations whose rows are objects; those of the others are texts, of which what cannot be kept is replaced.
OBJECTS = frozenset(("importContacts",))


def read_rows(
    fields: Iterable[FieldNode], variables: Mapping[str, object], flaw: JsonInvalid
) -> tuple[dict[str, object], dict[str, InvalidRequest]]:
    """Return the variables of an operation, and the refusals of rows that cannot be read.

    In the place of such a row is one whose `phone` is the key of its refusal. Raises the flaw where it is in no row.
    """
    refused: dict[str, InvalidRequest] = {}
    read = rest = dict(variables)
    for name, place in _places(fields):
        entries = _value_at(variables, place)
        if isinstance(entries, list):
            rows = [read_entry(entry) for entry in entries]
            if name in OBJECTS:
                rows = [_named(row, refused) if isinstance(row, Unread) else row for row in rows]
            elif any(isinstance(row, Unread) for row in rows):
                # In the place of a text is something else, which GraphQL refuses with the call.
                raise flaw
            read = _replaced(read, place, rows)
            rest = _replaced(rest, place, [])
    check_flaws(rest)
    return read, refused


def _named(row: Unread, refused: dict[str, InvalidRequest]) -> dict[str, object]:
    """Return a row for one that cannot be read, under a phone that no row has."""
    phone = f"\ufffd{row.hash}"
    refused[phone] = InvalidRequest(row.message, param=row.param)
    return {"phone": phone}


def _places(fields: Iterable[FieldNode]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each mutation with where the variables hold its rows: the name of a variable, and of the field in it."""
    for field in fields:
        names = ROWS.get(field.name.value, ())
        for argument in field.arguments or ():
            if names and argument.name.value == names[0]:
                value: ValueNode | None = argument.value
                rest = names[1:]
                while rest and isinstance(value, ObjectValueNode):
                    value = next((each.value for each in value.fields if each.name.value == rest[0]), None)
                    rest = rest[1:]
                if isinstance(value, VariableNode):
                    yield field.name.value, (value.name.value, *rest)


def _value_at(values: object, place: tuple[str, ...]) -> object:
    for name in place:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values


def _replaced(values: Mapping[str, object], place: tuple[str, ...], value: object) -> dict[str, object]:
    name, *rest = place
    held = values[name]
    if rest:
        assert isinstance(held, Mapping)
        value = _replaced(held, tuple(rest), value)
    return {**values, name: value}
