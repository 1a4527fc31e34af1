"""TypeScript's types."""

from __future__ import annotations

import json

from sdks.generator.model import Api, Method, Resource, Type
from sdks.generator.names import pascal
from sdks.generator.render import wrapped


def output(type_: Type, api: Api) -> str:
    """Return the type of a value that was received."""
    return _type(type_, api, received=True) + (" | null" if type_.nullable else "")


def given(type_: Type, api: Api) -> str:
    """Return the type of a value to be sent."""
    return _type(type_, api, received=False) + (" | null" if type_.nullable else "")


def params(method: Method, resource: Resource) -> str:
    """Return the name of the type of a method's parameters."""
    return f"{resource.class_name}{pascal(method.name)}Params"


def doc(text: str, indent: int = 0) -> str:
    """Return a comment of documentation."""
    pad = " " * indent
    lines = wrapped(text.replace("*/", "* /"), 116 - indent).splitlines()
    if len(lines) == 1:
        return f"{pad}/** {lines[0]} */"
    return "\n".join([f"{pad}/**", *(f"{pad} * {line}".rstrip() for line in lines), f"{pad} */"])


def path(method: Method) -> str:
    """Return the path as a template of TypeScript."""
    told = method.path
    for each in method.path_params:
        told = told.replace(f"{{{each.name}}}", f"${{pathId({json.dumps(each.name)}, {each.name})}}")
    return f"`{told}`" if method.path_params else json.dumps(told)


def names_of_types(resource: Resource, api: Api) -> list[str]:
    """Name the types that a resource imports."""
    found: set[str] = set()

    def reach(type_: Type) -> None:
        if type_.item is not None:
            reach(type_.item)
        if type_.kind == "enum":
            found.add(type_.name)
        elif type_.kind == "ref":
            found.add(f"{type_.name}Params")
        elif type_.kind == "scalar":
            found.add("Scalar")

    for method in resource.methods:
        found.add(method.page_item or method.result)
        for each in method.params:
            reach(each.type)
    return sorted(found)


def _type(type_: Type, api: Api, *, received: bool) -> str:
    simple = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "any": "unknown"}
    if type_.kind in simple:
        return simple[type_.kind]
    if type_.kind == "datetime":
        return "string" if received else "string | Date"
    if type_.kind == "scalar":
        return "Scalar"
    if type_.kind == "const":
        return json.dumps(type_.value)
    if type_.kind == "enum":
        return type_.name
    if type_.kind == "ref":
        union = api.by_name[type_.name].is_union and not api.by_name[type_.name].discriminator
        return type_.name if received and not union else f"{type_.name}Params"
    assert type_.item is not None
    inner = (output if received else given)(type_.item, api)
    if type_.kind == "array":
        return f"Array<{inner}>" if received else f"ReadonlyArray<{inner}>"
    return f"Record<string, {inner}>"


def key(wire: str) -> str:
    """Return the name of a parameter as the key of an object: its own, in quotes where it has brackets."""
    return wire if wire.isidentifier() else json.dumps(wire)


FILTERS = {
    "ts_key": key,
    "ts_output": output,
    "ts_given": given,
    "ts_params": params,
    "ts_doc": doc,
    "ts_path": path,
    "ts_imports": names_of_types,
}
