"""Go's names and types, laid out as gofmt does, so that rendering does not need it."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from sdks.generator.model import Api, Enum, Field, Method, Resource, Schema, Type

INITIALISMS = {"id": "ID", "ids": "IDs", "url": "URL", "api": "API", "ip": "IP", "sms": "SMS", "ucs2": "UCS2"}
SCALARS = {
    "string": "string",
    "integer": "int64",
    "number": "float64",
    "boolean": "bool",
    "datetime": "time.Time",
    "map": "map[string]any",
    "any": "any",
    "scalar": "any",
}
# What is nil where it is not given.
NIL = {"map", "array", "any", "scalar"}
WIDTH = 116


@dataclass(frozen=True)
class Member:
    """A field of a struct as Go has it."""

    name: str
    type: str
    tag: str
    description: str


@dataclass(frozen=True)
class Operation:
    """A method as Go has it.

    `arguments` are the declarations of the path's ids, `path` an expression; `given` are the ids as tests give them,
    `apart` the arguments that are not of the body.
    """

    method: Method
    name: str
    params: str
    arguments: str
    path: str
    given: str
    apart: str
    query: tuple[Member, ...]


def pascal(name: str) -> str:
    """Write a name on the wire as Go exports it."""
    parts = [part for part in re.split(r"[^A-Za-z0-9]+", name) if part]
    return "".join(INITIALISMS.get(part, part[:1].upper() + part[1:]) for part in parts)


def camel(name: str) -> str:
    """Write a name on the wire as an argument."""
    whole = pascal(name)
    return whole.lower() if whole in INITIALISMS.values() else whole[:1].lower() + whole[1:]


def comment(text: str, indent: str = "") -> str:
    """Write a comment of lines that are not too long."""
    lines = textwrap.wrap(
        " ".join(text.split()), WIDTH - 4 * len(indent), break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(f"{indent}// {line}" for line in lines)


def services(api: Api) -> list[tuple[Resource, list[Operation]]]:
    """Return each resource with its methods as Go has them."""
    return [(resource, [operation(resource, method) for method in resource.methods]) for resource in api.resources]


def operation(resource: Resource, method: Method) -> Operation:
    """Return a method in Go's names."""
    ids = [camel(each.name) for each in method.path_params]
    name = pascal(method.name)
    path = f'"{method.path}"'
    if ids:
        path = f'pathOf("{re.sub(r"{[a-z_]+}", "%s", method.path)}", {", ".join(ids)})'
    return Operation(
        method,
        name,
        f"{pascal(resource.name)}{name}Params",
        "".join(f"{id} string, " for id in ids),
        path,
        "".join(f'args.text("{each.name}"), ' for each in method.path_params),
        "".join(f', "{each.name}"' for each in (*method.path_params, *method.query)),
        tuple(query_member(each) for each in method.query),
    )


def told(name: str, method: Method) -> str:
    """Return the comment of a method."""
    text = comment(f"{name}: " + " ".join(dict.fromkeys((f"{method.summary}.", method.description))))
    return text + ("\n//\n// Deprecated: see the changelog of the API." if method.deprecated else "")


def query_member(each: Field) -> Member:
    """Return a parameter of a query."""
    type_ = type_of(each.type)
    pointer = "" if each.type.kind in NIL else "*"
    return Member(pascal(each.name), pointer + type_, f'`url:"{each.name}"`', each.description)


def type_of(type_: Type) -> str:
    """Return a type without regard to null."""
    if type_.kind in ("ref", "enum"):
        return type_.name
    if type_.kind == "array" and type_.item is not None:
        return f"[]{type_of(type_.item)}"
    if type_.kind == "const":
        return "bool" if isinstance(type_.value, bool) else "string"
    return SCALARS[type_.kind]


def inputs(api: Api) -> set[str]:
    """Name the schemas that are written: bodies, and what is inside of them."""
    return {schema.name for schema in api.schemas if schema.is_input} | {method.body for _, method in api.methods}


def structs(api: Api) -> list[tuple[Schema, bool, list[Member]]]:
    """Return each schema that is a struct, whether it is written, and its members."""
    members = {member for schema in api.schemas for member in schema.members}
    apart = members | {"Event", "Error", "ErrorError"}
    written = inputs(api)
    return [
        (schema, schema.name in written, [member(schema, each, schema.name in written) for each in fields(api, schema)])
        for schema in api.schemas
        if schema.name not in apart and not schema.is_page
    ]


def fields(api: Api, schema: Schema) -> list[Field]:
    """Return the fields of a schema; of a union those of all its members, none of them required."""
    if not schema.is_union:
        return list(schema.fields)
    found: dict[str, Field] = {}
    for name in schema.members:
        for each in api.by_name[name].fields:
            found.setdefault(each.name, Field(each.name, each.type, False, each.description))
    return list(found.values())


# Texts that were required before another field could stand for them: plain, so that what was written then compiles. The
# empty text is left out.
PLAIN = frozenset(("MessageCreate.body", "CampaignCreate.body", "CampaignPreviewCreate.body"))


def member(schema: Schema, each: Field, written: bool) -> Member:
    """Return a field as Go has it: a pointer where it may be left out, Opt where it may be cleared as well."""
    type_ = type_of(each.type)
    optional = not each.required
    if written and optional and each.type.nullable and schema.name.endswith("Update"):
        type_ = f"*Opt[{type_}]"
    elif (each.type.nullable or optional) and each.type.kind not in NIL and f"{schema.name}.{each.name}" not in PLAIN:
        type_ = f"*{type_}"
    tag = each.name + (",omitempty" if optional else "")
    return Member(pascal(each.name), type_, f'`json:"{tag}"`', each.description)


def event_data(api: Api) -> dict[str, str]:
    """Return the constants of types of events, by the schema of their data."""
    found: dict[str, list[str]] = {}
    for event in api.events:
        found.setdefault(event.data, []).append(f"EventType{pascal(event.type)}")
    return {data: ", ".join(constants) for data, constants in found.items()}


def declared(members: list[Member]) -> str:
    """Lay out members: those that follow each other without a comment between them in columns."""
    lines: list[str] = []
    blocks: list[list[Member]] = []
    for each in members:
        if each.description or not blocks:
            blocks.append([])
        blocks[-1].append(each)
    for block in blocks:
        if block[0].description:
            lines.append(comment(block[0].description, "\t"))
        names = max(len(each.name) for each in block)
        types = max(len(each.type) for each in block)
        lines += [f"\t{each.name:<{names}} {each.type:<{types}} {each.tag}" for each in block]
    return "\n".join(lines)


def constants(enum: Enum) -> str:
    """Lay out the values of an enum."""
    names = [enum.name + ("Any" if value == "*" else pascal(value)) for value in enum.values]
    width = max(map(len, names))
    pairs = zip(names, enum.values, strict=True)
    return "\n".join(f'\t{name:<{width}} {enum.name} = "{value}"' for name, value in pairs)


FILTERS = {
    "go_told": told,
    "go_pascal": pascal,
    "go_camel": camel,
    "go_comment": comment,
    "go_type": type_of,
    "go_services": services,
    "go_structs": structs,
    "go_event_data": event_data,
    "go_declared": declared,
    "go_constants": constants,
}
