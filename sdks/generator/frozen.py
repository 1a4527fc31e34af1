"""The public names of all SDKs: none may be lost or renamed once it is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sdks.generator.model import Api

FROZEN = Path(__file__).with_name("frozen.json")


def public_names(api: Api) -> list[str]:
    """Return every name that callers may use: methods, parameters (`!` where required), fields, values, classes."""
    return sorted(set(_names(api)))


def lost(api: Api, frozen: list[str]) -> list[str]:
    """Name what callers may rely on and is no more, and parameters that old methods have come to require."""
    now, before = set(public_names(api)), set(frozen)
    gone = [name for name in frozen if name not in now and not (name.endswith("!") and name[:-1] in now)]
    methods = {name.partition("(")[0] for name in before}
    required = [name for name in now - before if name.endswith("!") and name.partition("(")[0] in methods]
    return sorted([*gone, *required])


def read() -> list[str]:
    """Read the frozen list."""
    return list(json.loads(FROZEN.read_text())) if FROZEN.exists() else []


def add(api: Api) -> list[str]:
    """Write new names down and return them; what is lost stays in the list, and so fails."""
    before = read()
    # What has become optional is written down as optional from now on.
    kept = {name for name in before if not (name.endswith("!") and name[:-1] in public_names(api))}
    after = sorted(kept | set(public_names(api)))
    if after != before:
        FROZEN.write_text(json.dumps(after, indent=0) + "\n")
    return sorted(set(after) - set(before))


def _names(api: Api) -> Iterator[str]:
    for resource, method in api.methods:
        name = f"{resource.name}.{method.name}"
        yield f"{name}()"
        yield f"{name}() -> {method.result}"
        for each in (*method.path_params, *method.params):
            yield f"{name}({each.name}){'!' if each.required else ''}"
    for schema in api.schemas:
        if schema.is_input or schema.is_output:
            yield schema.name
            yield from (f"{schema.name}.{each.name}" for each in schema.fields)
            yield from (f"{schema.name} = {member}" for member in schema.members)
    for enum in api.enums:
        yield enum.name
        yield from (f"{enum.name} = {value}" for value in enum.values)
    yield from (f"event {event.type} -> {event.data}" for event in api.events)
    yield from (f"error {each.type} -> {each.class_name}" for each in api.error_types)
