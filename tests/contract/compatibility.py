"""What a client of one OpenAPI document would miss in a later one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Schema = dict[str, Any]


def breaks(old: Schema, new: Schema) -> list[str]:
    """Every path, operation, parameter, field or value of `old` that `new` took away or narrowed."""
    return sorted({*_operations(old, new), *_webhooks(old, new)})


def _operations(old: Schema, new: Schema) -> Iterator[str]:
    for path, item in old["paths"].items():
        for method, operation in item.items():
            where = f"{method.upper()} {path}"
            later = new["paths"].get(path, {}).get(method)
            if later is None:
                yield f"{where}: gone"
                continue
            if later["operationId"] != operation["operationId"]:
                yield f"{where}: operationId is another"
            yield from _parameters(old, new, operation, later, where)
            yield from _bodies(old, new, operation, later, where)
            yield from _responses(old, new, operation, later, where)


def _parameters(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    known = {_key(each): each for each in (_resolve(new, each) for each in after["parameters"])}
    for each in (_resolve(old, each) for each in before["parameters"]):
        name = f"{where}: {each['in']} {each['name']}"
        later = known.pop(_key(each), None)
        if later is None:
            yield f"{name}: gone"
            continue
        if later.get("required") and not each.get("required"):
            yield f"{name}: now required"
        yield from Comparison(old, new, taken=True).of(each["schema"], later["schema"], name)
    for (place, key), later in known.items():
        if later.get("required"):
            yield f"{where}: {place} {key}: new and required"


def _bodies(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    if "requestBody" not in before:
        if after.get("requestBody", {}).get("required"):
            yield f"{where}: a body is now required"
        return
    if "requestBody" not in after:
        yield f"{where}: takes no body any more"
        return
    if after["requestBody"]["required"] and not before["requestBody"]["required"]:
        yield f"{where}: its body is now required"
    yield from Comparison(old, new, taken=True).of(
        _content(before["requestBody"]), _content(after["requestBody"]), where
    )


def _responses(old: Schema, new: Schema, before: Schema, after: Schema, where: str) -> Iterator[str]:
    for status, response in before["responses"].items():
        later = after["responses"].get(status)
        if later is None:
            if status.startswith("2"):
                yield f"{where}: {status} is gone"
            continue
        response, later = _resolve(old, response), _resolve(new, later)
        for header in response["headers"]:
            if header not in later["headers"]:
                yield f"{where}: {status}: header {header} is gone"
        yield from Comparison(old, new, taken=False).of(_content(response), _content(later), f"{where}: {status}")


def _webhooks(old: Schema, new: Schema) -> Iterator[str]:
    for type, item in old["webhooks"].items():
        later = new["webhooks"].get(type)
        if later is None:
            yield f"webhook {type}: gone"
            continue
        names = {each["name"] for each in later["post"]["parameters"]}
        for each in item["post"]["parameters"]:
            if each["name"] not in names:
                yield f"webhook {type}: header {each['name']} is gone"
        before, after = _content(item["post"]["requestBody"]), _content(later["post"]["requestBody"])
        yield from Comparison(old, new, taken=False).of(before, after, f"webhook {type}")


class Comparison:
    """Of a schema before and after, for values that the service takes or gives."""

    def __init__(self, old: Schema, new: Schema, *, taken: bool, seen: Iterable[tuple[str, str]] = ()) -> None:
        self.old, self.new, self.taken = old, new, taken
        self.seen = {*seen}

    def of(self, before: Any, after: Any, where: str) -> Iterator[str]:
        """What is gone or narrower in `after`."""
        pair = (before.get("$ref", ""), after.get("$ref", ""))
        if pair[0]:
            if pair in self.seen:
                return
            self.seen.add(pair)
        before, after = _resolve(self.old, before), _resolve(self.new, after)
        yield from self._kinds(before, after, where)
        yield from self._values(before, after, where)
        yield from self._fields(before, after, where)
        if "items" in before:
            yield from self.of(before["items"], after.get("items", {}), f"{where}[]")
        if isinstance(before.get("additionalProperties"), dict):
            more = after.get("additionalProperties", {})
            if isinstance(more, dict):
                yield from self.of(before["additionalProperties"], more, f"{where}.*")
        for key in ("anyOf", "oneOf", "allOf"):
            yield from self._choices(before.get(key, []), after.get(key, []), where)

    def _choices(self, before: list[Schema], after: list[Schema], where: str) -> Iterator[str]:
        for index, choice in enumerate(before):
            # A choice by name is compared with that of the same name, any other with the nearest.
            likely = [each for each in after if "$ref" in choice and each == choice] or after
            found = [list(self._again().of(choice, each, where)) for each in likely]
            if not found:
                yield f"{where}: choice {index} is gone"
            elif all(found):
                yield from min(found, key=len)

    def _again(self) -> Comparison:
        return Comparison(self.old, self.new, taken=self.taken, seen=self.seen)

    def _kinds(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        if "type" in before and before["type"] != after.get("type"):
            yield f"{where}: was {before['type']}, is {after.get('type')}"
        if not self.taken:
            return
        for limit, narrower in NARROWER.items():
            if limit in after and (limit not in before or narrower(before[limit], after[limit])):
                yield f"{where}: {limit} is now {after[limit]}"

    def _values(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        if "const" in before and before["const"] != after.get("const"):
            yield f"{where}: is no more {before['const']}"
        if "enum" in before:
            for value in before["enum"]:
                if "enum" in after and value not in after["enum"]:
                    yield f"{where}: {value} is gone"
        elif self.taken and "enum" in after:
            yield f"{where}: now takes only some values"

    def _fields(self, before: Schema, after: Schema, where: str) -> Iterator[str]:
        fields, later = before.get("properties", {}), after.get("properties", {})
        for name, schema in fields.items():
            if name not in later:
                yield f"{where}.{name}: gone"
            else:
                yield from self.of(schema, later[name], f"{where}.{name}")
        required, later_required = set(before.get("required", ())), set(after.get("required", ()))
        if self.taken:
            for name in later_required - required:
                yield f"{where}.{name}: now required"
        else:
            for name in required - later_required:
                yield f"{where}.{name}: not always there any more"


NARROWER: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda before, after: after > before,
    "maximum": lambda before, after: after < before,
    "minLength": lambda before, after: after > before,
    "maxLength": lambda before, after: after < before,
    "minItems": lambda before, after: after > before,
    "maxItems": lambda before, after: after < before,
    "maxProperties": lambda before, after: after < before,
    "pattern": lambda before, after: after != before,
}


def _key(parameter: Schema) -> tuple[str, str]:
    return parameter["in"], parameter["name"]


def _content(holder: Schema) -> Schema:
    schema: Schema = holder["content"]["application/json"]["schema"]
    return schema


def _resolve(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema
