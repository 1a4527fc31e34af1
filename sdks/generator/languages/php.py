"""PHP's names, kinds of fields, and shapes of phpdoc."""

from __future__ import annotations

import textwrap

from sdks.generator.model import Api, Field, Method, Schema, Type
from sdks.generator.names import camel, constant

PHPDOC = {
    "string": "string",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "map": "array<string, mixed>",
    "any": "mixed",
    "scalar": "string|int|float|bool",
    "enum": "string",
}
WIDTH = 118


def comment(text: str, indent: int = 0) -> str:
    """Write lines of a comment that are not too long."""
    prefix = " " * indent + " * "
    safe = " ".join(text.split()).replace("*/", "* /")
    lines = textwrap.wrap(safe, WIDTH - len(prefix), break_long_words=False, break_on_hyphens=False)
    return "\n".join(prefix + line for line in lines)


def told(method: Method) -> str:
    """Return what a method does."""
    return " ".join(dict.fromkeys((f"{method.summary}.", method.description)))


def is_model(api: Api, name: str) -> bool:
    """Whether a schema is a class: an object of answers and events."""
    schema = api.by_name[name]
    return schema.is_output and not schema.is_union and not schema.is_page and not _plain(api, name)


def kinds(api: Api, schema: Schema) -> str:
    """Return the kinds of fields as Model has them."""
    found = [(each.name, kind(api, each.type)) for each in schema.fields]
    return "\n".join(f"        '{name}' => {told}," for name, told in found if told)


def kind(api: Api, type_: Type) -> str:
    """Return the kind of a field; empty where values are taken as they are."""
    if type_.kind == "datetime":
        return "'time'"
    if type_.kind == "array" and type_.item is not None:
        inner = kind(api, type_.item)
        return f"[{inner}]" if inner else ""
    if type_.kind == "ref" and (type_.name == "Event" or is_model(api, type_.name)):
        return f"{type_.name}::class"
    return ""


def received(api: Api, each: Field) -> str:
    """Return the type of a field that was received."""
    written = _received(api, each.type)
    return f"{written}|null" if written != "mixed" and (each.type.nullable or not each.required) else written


def shape(api: Api, method: Method, indent: int) -> str:
    """Return the shape of a method's parameters."""
    pad = " " * indent + " * "
    return "\n".join(f"{pad}    {_key(each)}: {_sent(api, each.type)}," for each in method.params)


def objects(api: Api, method: Method) -> str:
    """Return the fields of a method's body that are objects in JSON; null where there is no body."""
    return _objects(api, method.body_fields, ()) if method.body else "null"


def constant_name(text: str) -> str:
    """Return the constant of a value of an enum."""
    return "ANY" if text == "*" else constant(text)


def arguments(method: Method) -> str:
    """Return the parameters of a method."""
    ids = [f"string ${camel(each.name)}" for each in method.path_params]
    params = []
    if method.params:
        params = ["array $params" if any(each.required for each in method.params) else "array $params = []"]
    return ", ".join([*ids, *params, "array $options = []"])


def ids(method: Method) -> str:
    """Return the ids of a path by their names."""
    return "[" + ", ".join(f"'{each.name}' => ${camel(each.name)}" for each in method.path_params) + "]"


def names(fields: tuple[Field, ...]) -> str:
    """Return the names of fields as a list."""
    return "[" + ", ".join(f"'{each.name}'" for each in fields) + "]"


def finish(files: dict[str, str]) -> dict[str, str]:
    """Leave out the classes of what is none: unions, pages and plain arrays."""
    return {path: text for path, text in files.items() if text.strip()}


def _plain(api: Api, name: str) -> bool:
    """Whether a schema is taken as plain arrays: a union that nothing tells apart, and its members."""
    schema = api.by_name[name]
    if schema.is_union:
        return not schema.discriminator
    return any(name in each.members and not each.discriminator for each in api.schemas)


def _received(api: Api, type_: Type) -> str:
    if type_.kind == "datetime":
        return "\\DateTimeImmutable"
    if type_.kind == "array" and type_.item is not None:
        return f"list<{_received(api, type_.item)}>"
    if type_.kind == "ref":
        return type_.name if type_.name == "Event" or is_model(api, type_.name) else "array<string, mixed>"
    if type_.kind == "const":
        return "bool" if isinstance(type_.value, bool) else "string"
    return PHPDOC[type_.kind]


def _sent(api: Api, type_: Type) -> str:
    null = "|null" if type_.nullable and type_.kind != "any" else ""
    if type_.kind == "datetime":
        return f"\\DateTimeInterface|string{null}"
    if type_.kind == "enum":
        values = api.enum_by_name[type_.name].values
        known = "|".join(f"'{value}'" for value in values) + "|" if len(values) <= 6 else ""
        return f"{known}string{null}"
    if type_.kind == "array" and type_.item is not None:
        return f"list<{_sent(api, type_.item)}>{null}"
    if type_.kind == "ref" and not _plain(api, type_.name):
        inner = ", ".join(f"{_key(each)}: {_sent(api, each.type)}" for each in api.by_name[type_.name].fields)
        return f"array{{{inner}}}{null}"
    if type_.kind == "ref":
        return f"array<string, mixed>{null}"
    if type_.kind == "const":
        return f"string{null}"
    return PHPDOC[type_.kind] + null


def _key(each: Field) -> str:
    name = each.name if each.name.isidentifier() else f"'{each.name}'"
    return name if each.required else f"{name}?"


def _objects(api: Api, fields: tuple[Field, ...], seen: tuple[str, ...]) -> str:
    found = [(each.name, _object(api, each.type, seen)) for each in fields]
    return "[" + ", ".join(f"'{name}' => {inner}" for name, inner in found if inner) + "]"


def _object(api: Api, type_: Type, seen: tuple[str, ...]) -> str:
    if type_.kind == "map":
        return "[]"
    if type_.kind == "ref" and type_.name not in seen:
        return _objects(api, api.by_name[type_.name].fields, (*seen, type_.name))
    if type_.kind == "array" and type_.item is not None:
        inner = _object(api, type_.item, seen)
        return f"['*' => {inner}]" if inner else ""
    return ""


FILTERS = {
    "php_comment": comment,
    "php_told": told,
    "php_is_model": lambda name, api: is_model(api, name),
    "php_kinds": lambda schema, api: kinds(api, schema),
    "php_received": lambda each, api: received(api, each),
    "php_shape": lambda method, api, indent: shape(api, method, indent),
    "php_objects": lambda method, api: objects(api, method),
    "php_constant": constant_name,
    "php_arguments": arguments,
    "php_ids": ids,
    "php_names": names,
}
