"""The model that templates render: resources, methods, schemas, enums, events and errors of openapi.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml

from sdks.generator.names import pascal, singular, snake, words

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
OVERRIDES = Path(__file__).with_name("overrides.yaml")
JSON = "application/json"
SCHEMAS = "#/components/schemas/"
PAGE_PARAMETERS = ("limit", "starting_after", "ending_before")
SCALARS = {"string", "integer", "number", "boolean"}


@dataclass(frozen=True)
class Type:
    """What a value is.

    `kind` is one of string, datetime, integer, number, boolean, any, scalar (text, number, boolean or null), array (of
    `item`), map (from text to `item`), ref (to the schema `name`), enum (the open set of values `name`), const
    (the one `value`).
    """

    kind: str
    nullable: bool = False
    item: Type | None = None
    name: str = ""
    value: str | bool = ""


@dataclass(frozen=True)
class Field:
    """A field of a schema, or a parameter."""

    name: str
    type: Type
    required: bool
    description: str


@dataclass(frozen=True)
class Schema:
    """An object with `fields`, or a union of the schemas `members` (told apart by `discriminator` where there is one).

    `is_input` and `is_output` say where it is used; both may hold.
    """

    name: str
    description: str
    fields: tuple[Field, ...] = ()
    members: tuple[str, ...] = ()
    discriminator: str = ""
    item: str = ""
    is_input: bool = False
    is_output: bool = False

    @property
    def is_union(self) -> bool:
        """Whether it is a union."""
        return bool(self.members)

    @property
    def is_page(self) -> bool:
        """Whether it is a page of a list."""
        return bool(self.item)


@dataclass(frozen=True)
class Enum:
    """An open set of values: a server may come to send others."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Method:
    """One operation; `name` is in snake case, unique in its resource."""

    name: str
    operation_id: str
    http_method: str
    path: str
    summary: str
    description: str
    path_params: tuple[Field, ...]
    query: tuple[Field, ...]
    body: str
    body_fields: tuple[Field, ...]
    result: str
    page_item: str
    scope: str
    status: int
    deprecated: bool
    example_body: Json | None
    example_answer: Json

    @property
    def takes_key(self) -> bool:
        """Whether an Idempotency-Key is sent: with every POST and DELETE."""
        return self.http_method in ("POST", "DELETE")

    @property
    def is_page(self) -> bool:
        """Whether it answers a page of a list."""
        return bool(self.page_item)

    @property
    def params(self) -> tuple[Field, ...]:
        """All that is given by name beside the ids of the path, required ones first."""
        both = (*self.query, *self.body_fields)
        return tuple(sorted(both, key=lambda each: not each.required))


@dataclass(frozen=True)
class Resource:
    """Methods of one tag; `name` is in snake case, as the client's attribute."""

    name: str
    tag: str
    description: str
    methods: tuple[Method, ...]

    @property
    def class_name(self) -> str:
        """Its name in Pascal case."""
        return pascal(self.name)


@dataclass(frozen=True)
class Event:
    """A type of event, the schema of its whole and of its `data`, and an example."""

    type: str
    schema: str
    data: str
    description: str
    example: Json


@dataclass(frozen=True)
class ErrorCode:
    """A code of errors and what it means."""

    code: str
    description: str


@dataclass(frozen=True)
class ErrorType:
    """A type of errors and the name of its class."""

    type: str
    class_name: str


@dataclass(frozen=True)
class Api:
    """All that templates know."""

    version: str
    base_url: str
    resources: tuple[Resource, ...]
    schemas: tuple[Schema, ...]
    enums: tuple[Enum, ...]
    events: tuple[Event, ...]
    error_codes: tuple[ErrorCode, ...]
    error_types: tuple[ErrorType, ...]
    versions: dict[str, str]
    document: Json = field(repr=False)

    @cached_property
    def by_name(self) -> dict[str, Schema]:
        """Schemas by their names."""
        return {schema.name: schema for schema in self.schemas}

    @cached_property
    def enum_by_name(self) -> dict[str, Enum]:
        """Sets of values by their names."""
        return {enum.name: enum for enum in self.enums}

    @property
    def methods(self) -> Iterator[tuple[Resource, Method]]:
        """Every method with its resource."""
        return ((resource, method) for resource in self.resources for method in resource.methods)

    @property
    def inputs(self) -> tuple[Schema, ...]:
        """Schemas that parameters have inside; the bodies themselves are parameters one by one."""
        return tuple(schema for schema in self.schemas if schema.is_input)

    @property
    def outputs(self) -> tuple[Schema, ...]:
        """Schemas that answers and events have."""
        return tuple(schema for schema in self.schemas if schema.is_output)


def load() -> Api:
    """Read the model of the repository's openapi.yaml."""
    document = yaml.load((ROOT / "openapi.yaml").read_text(), yaml.CSafeLoader)
    return Reader(document, yaml.safe_load(OVERRIDES.read_text())).read()


@cache
def load_once() -> Api:
    """Read the model once in a process."""
    return load()


def _has_file(schema: Json) -> bool:
    """Return whether a schema is of a form with a file, which each SDK writes by hand."""
    return any(field.get("format") == "binary" for field in schema.get("properties", {}).values())


class Reader:
    """Reads one document. Raises ValueError with what a template could not render."""

    def __init__(self, document: Json, overrides: Json) -> None:
        self.document = document
        self.overrides = overrides
        self.schemas: dict[str, Schema] = {}
        self.enums: dict[str, Enum] = {}
        self.bodies: set[str] = set()

    def read(self) -> Api:
        """Read all."""
        for name, schema in self.document["components"]["schemas"].items():
            if not _has_file(schema):
                self._schema(name, schema)
        resources = self._resources()
        events = tuple(self._event(type_, item["post"]) for type_, item in self.document["webhooks"].items())
        self._mark(resources)
        error = self.document["components"]["schemas"]["Error"]["properties"]["error"]["properties"]
        from sdks.generator.vectors import TYPES

        return Api(
            self.document["info"]["version"],
            self.document["servers"][0]["url"],
            resources,
            tuple(sorted(self.schemas.values(), key=lambda schema: schema.name)),
            tuple(sorted(self.enums.values(), key=lambda enum: enum.name)),
            events,
            tuple(ErrorCode(code, error["code"]["x-descriptions"][code]) for code in error["code"]["enum"]),
            tuple(ErrorType(type_, TYPES[type_]) for type_ in error["type"]["enum"]),
            self.overrides["versions"],
            self.document,
        )

    def _schema(self, name: str, schema: Json) -> None:
        description = schema.get("description", "")
        if "oneOf" in schema:
            members = []
            for member in schema["oneOf"]:
                if "$ref" in member:
                    members.append(member["$ref"].removeprefix(SCHEMAS))
                else:
                    members.append(name + member["title"])
                    self._schema(members[-1], member)
            discriminator = schema.get("discriminator", {}).get("propertyName", "")
            self.schemas[name] = Schema(name, description, members=tuple(members), discriminator=discriminator)
            return
        required = schema.get("required", [])
        fields = tuple(
            Field(key, self._type(value, name, key), key in required, value.get("description", ""))
            for key, value in schema["properties"].items()
        )
        item = ""
        if {"object", "url", "has_more", "data"} <= set(schema["properties"]):
            item = schema["properties"]["data"]["items"]["$ref"].removeprefix(SCHEMAS)
        self.schemas[name] = Schema(name, description, fields, item=item)

    def _type(self, schema: Json, owner: str, key: str) -> Type:
        if "$ref" in schema:
            return Type("ref", name=schema["$ref"].removeprefix(SCHEMAS))
        if "anyOf" in schema:
            return self._any_of(schema["anyOf"], owner, key)
        if "allOf" in schema:
            return self._type(schema["allOf"][0], owner, key)
        if "const" in schema or len(schema.get("enum", ())) == 1:
            return Type("const", value=schema.get("const", schema.get("enum", [""])[0]))
        if "enum" in schema:
            if set(schema["enum"]) == {"true", "false"}:
                return Type("boolean")
            return Type("enum", name=self._enum(tuple(schema["enum"]), owner, key))
        if schema.get("type") == "array":
            return Type("array", item=self._type(schema["items"], owner, key))
        if schema.get("type") == "object":
            return self._object(schema, owner, key)
        if schema.get("format") == "date-time":
            return Type("datetime")
        if schema.get("type") in SCALARS:
            return Type(schema["type"])
        if schema.keys() <= {"description"}:
            return Type("any")
        raise ValueError(f"{owner}.{key}: a schema of no known kind: {schema}")

    def _any_of(self, choices: list[Json], owner: str, key: str) -> Type:
        others = [each for each in choices if each.get("type") != "null"]
        if len(others) == 1:
            return replace(self._type(others[0], owner, key), nullable=True)
        if {each["type"] for each in others} <= SCALARS:
            return Type("scalar", nullable=True)
        raise ValueError(f"{owner}.{key}: a choice of no known kind: {choices}")

    def _object(self, schema: Json, owner: str, key: str) -> Type:
        if "properties" in schema:
            name = owner + pascal(key)
            self._schema(name, schema)
            return Type("ref", name=name)
        values = schema.get("additionalProperties")
        item = self._type(values, owner, key) if isinstance(values, dict) else Type("any")
        return Type("map", item=item)

    def _enum(self, values: tuple[str, ...], owner: str, key: str) -> str:
        known = next((enum.name for enum in self.enums.values() if enum.values == values), None)
        given = self.overrides["enums"].get(f"{owner}.{key}")
        if owner == "ErrorError":
            given = self.overrides["enums"].get(f"Error.{key}")
        name = known or given or pascal(owner) + pascal(key)
        if self.enums.get(name, Enum(name, values)).values != values:
            name = pascal(owner) + pascal(key)
        self.enums[name] = Enum(name, values)
        return name

    def _resources(self) -> tuple[Resource, ...]:
        methods: dict[str, list[Method]] = {}
        for path, item in self.document["paths"].items():
            for http_method, operation in item.items():
                methods.setdefault(operation["tags"][0], []).append(self._method(http_method.upper(), path, operation))
        told = {tag["name"]: tag.get("description", "") for tag in self.document["tags"]}
        resources = tuple(Resource(snake(tag), tag, told.get(tag, ""), tuple(found)) for tag, found in methods.items())
        for resource in resources:
            names = [method.name for method in resource.methods]
            if len(names) != len(set(names)):
                raise ValueError(f"{resource.name}: two methods have one name: {names}")
        return resources

    def _method(self, http_method: str, path: str, operation: Json) -> Method:
        operation_id = operation["operationId"]
        parameters = {"path": [], "query": []}  # type: dict[str, list[Field]]
        for each in operation["parameters"]:
            if "$ref" not in each:
                type_ = self._type(each["schema"], operation_id, each["name"])
                told = Field(each["name"], type_, each.get("required", False), each.get("description", ""))
                parameters[each["in"]].append(told)
        status = next(status for status in operation["responses"] if status.startswith("2"))
        answer = operation["responses"][status]["content"][JSON]
        content = operation.get("requestBody", {}).get("content", {}).get(JSON)
        body = content["schema"]["$ref"].removeprefix(SCHEMAS) if content else ""
        self.bodies.add(body)
        result = answer["schema"]["$ref"].removeprefix(SCHEMAS)
        return Method(
            self._method_name(operation),
            operation_id,
            http_method,
            path,
            operation["summary"],
            operation["description"],
            tuple(parameters["path"]),
            tuple(parameters["query"]),
            body,
            self.schemas[body].fields if body else (),
            result,
            self.schemas[result].item,
            operation.get("x-scope", ""),
            int(status),
            operation.get("deprecated", False),
            content["example"] if content else None,
            answer["example"],
        )

    def _method_name(self, operation: Json) -> str:
        operation_id = operation["operationId"]
        given: str | None = self.overrides["methods"].get(operation_id)
        if given:
            return given
        nouns = {singular(word) for word in words(operation["tags"][0])}
        rest = [word for word in words(operation_id) if singular(word) not in nouns]
        # `listLists` is nothing but a verb and its noun.
        return "_".join(rest) or words(operation_id)[0]

    def _event(self, type_: str, operation: Json) -> Event:
        content = operation["requestBody"]["content"][JSON]
        schema = content["schema"]["$ref"].removeprefix(SCHEMAS)
        data = next(each.type.name for each in self.schemas[schema].fields if each.name == "data")
        return Event(type_, schema, data, operation["summary"], content["example"])

    def _mark(self, resources: tuple[Resource, ...]) -> None:
        inside: set[str] = set()
        for body in self.bodies - {""}:
            for each in self.schemas[body].fields:
                self._reach(each.type, inside)
        outside: set[str] = set()
        for resource in resources:
            for method in resource.methods:
                self._reach(Type("ref", name=method.result), outside)
        self._reach(Type("ref", name="Event"), outside)
        for name, schema in self.schemas.items():
            self.schemas[name] = replace(schema, is_input=name in inside, is_output=name in outside)

    def _reach(self, type_: Type, seen: set[str]) -> None:
        if type_.item is not None:
            self._reach(type_.item, seen)
        if type_.kind != "ref" or type_.name in seen:
            return
        seen.add(type_.name)
        schema = self.schemas[type_.name]
        for member in schema.members:
            self._reach(Type("ref", name=member), seen)
        for each in schema.fields:
            self._reach(each.type, seen)
