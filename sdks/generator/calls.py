"""Writes a call of every operation in every language, from the examples of openapi.yaml, for the reference.

`sdks.conformance.samples` runs each of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sdks.generator import names
from sdks.generator.languages import go
from sdks.generator.languages.python import name as python_name
from sdks.generator.model import ROOT, Api, Field, Method, Resource, Type, load_once

Json = dict[str, Any]
FILE = ROOT / "msvs" / "docs" / "reference" / "samples.json"
WIDTH = 84
PACKAGE = "massivesms."
# What languages have a meaning for of their own, by what it is called here.
RESERVED = {"import": "job", "export": "job"}


@dataclass(frozen=True)
class Call:
    """An operation with what an example of it gives: the ids of its path, its body and its query."""

    api: Api
    resource: Resource
    method: Method
    ids: Mapping[str, str]
    given: Mapping[str, Any]

    @property
    def result(self) -> str:
        """The name of the variable that holds what it answers."""
        name = names.snake(self.method.page_item or self.method.result)
        return RESERVED.get(name, name)

    @property
    def shown(self) -> str:
        """The field that is printed, or nothing where all of it is."""
        schema = self.api.by_name.get(self.method.page_item or self.method.result)
        has_id = schema is not None and any(each.name == "id" for each in schema.fields)
        return "id" if has_id else ""

    @property
    def query(self) -> Json:
        """What of it stands in the address."""
        return {each.name: self.given[each.name] for each in self.method.query if each.name in self.given}

    @property
    def body(self) -> Json | None:
        """What of it is sent as the body, or None where it has none."""
        rest = {name: value for name, value in self.given.items() if name not in self.query}
        return rest if rest or self.method.body else None


def asked(api: Api, operation_id: str, given: Json | None) -> Call:
    """Return the call of an operation with parameters of its path, query and body, or with those of its example."""
    found = [each for each in api.methods if each[1].operation_id == operation_id]
    if not found:
        raise ValueError(f"There is no operation {operation_id}.")
    resource, method = found[0]
    if given is None:
        return _call(api, resource, method)
    ids = {each.name: str(given[each.name]) for each in method.path_params}
    return Call(api, resource, method, ids, {name: value for name, value in given.items() if name not in ids})


def calls(api: Api) -> list[Call]:
    """Return an example of each operation, but of those that are given a file of bytes."""
    return [_call(api, resource, method) for resource, method in api.methods]


def _call(api: Api, resource: Resource, method: Method) -> Call:
    operation = api.document["paths"][method.path][method.http_method.lower()]
    found = {}
    for each in operation.get("parameters", []):
        if "$ref" in each:
            each = api.document["components"]["parameters"][each["$ref"].rsplit("/", 1)[1]]
        found[each["name"]] = each.get("example", each["schema"].get("example", each["schema"].get("default")))
    ids = {each.name: str(found[each.name]) for each in method.path_params}
    query = {each.name: found[each.name] for each in method.query if each.required}
    return Call(api, resource, method, ids, {**query, **(method.example_body or {})})


# Values of languages that write them alike


@dataclass(frozen=True)
class Style:
    """How a language writes values: its constants, brackets, keys, and the spaces of an indentation."""

    constants: Mapping[str, str]
    mapping: tuple[str, str]
    array: tuple[str, str]
    key: Callable[[str], str]
    indent: int
    quote: Callable[[str], str] = lambda text: json.dumps(text, ensure_ascii=False)
    spaced: bool = True
    trailing: str = ","

    def write(self, value: object, depth: int = 0) -> str:
        """Write a value, on one line where that fits."""
        if value is None or isinstance(value, bool):
            return self.constants[json.dumps(value)]
        if isinstance(value, str):
            return self.quote(value)
        if isinstance(value, Mapping):
            items = [f"{self.key(key)}{self.write(each, depth + 1)}" for key, each in value.items()]
            return self.group(items, self.mapping, depth, spaced=self.spaced)
        if isinstance(value, Sequence):
            return self.group([self.write(each, depth + 1) for each in value], self.array, depth)
        return json.dumps(value)

    def group(self, items: Sequence[str], brackets: tuple[str, str], depth: int, *, spaced: bool = False) -> str:
        """Put items into brackets."""
        space = " " if spaced and items else ""
        line = f"{brackets[0]}{space}{', '.join(items)}{space}{brackets[1]}"
        if "\n" not in line and len(line) + depth * self.indent < WIDTH - 8:
            return line
        inner, end = " " * self.indent * (depth + 1), " " * self.indent * depth
        body = ",\n".join(inner + item for item in items)
        return f"{brackets[0]}\n{body}{self.trailing}\n{end}{brackets[1]}"


def _is_name(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z_]\w*", key) is not None


PYTHON = Style(
    {"null": "None", "true": "True", "false": "False"},
    ("{", "}"),
    ("[", "]"),
    lambda key: f"{json.dumps(key)}: ",
    4,
    spaced=False,
)
NODE = Style(
    {"null": "null", "true": "true", "false": "false"},
    ("{", "}"),
    ("[", "]"),
    lambda key: f"{key if _is_name(key) else json.dumps(key)}: ",
    2,
)
RUBY = Style(
    {"null": "nil", "true": "true", "false": "false"},
    ("{", "}"),
    ("[", "]"),
    lambda key: f"{key}: " if _is_name(key) else f"{json.dumps(key)} => ",
    2,
    trailing="",
    # A string with #{…} would be filled in.
    quote=lambda text: json.dumps(text, ensure_ascii=False).replace("#{", "\\#{"),
)
PHP = Style(
    {"null": "null", "true": "true", "false": "false"},
    ("[", "]"),
    ("[", "]"),
    lambda key: f"{_php_text(key)} => ",
    4,
    quote=lambda text: _php_text(text),
    spaced=False,
)


SHELL = Style(
    {"null": "null", "true": "true", "false": "false"},
    ("{", "}"),
    ("[", "]"),
    lambda key: f"{json.dumps(key)}: ",
    2,
    spaced=False,
    trailing="",
)


def _php_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _arguments(style: Style, texts: Iterable[str]) -> str:
    return style.group(list(texts), ("(", ")"), 0)


def curl(call: Call) -> str:
    """Write a call of curl."""
    path = call.method.path
    for name, value in call.ids.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    query = "&".join(
        f"{quote(name, safe='[]')}={quote(query_text(value), safe=',')}" for name, value in call.query.items()
    )
    body = call.body if call.method.http_method == "POST" else None
    verb = "" if call.method.http_method == "GET" or body is not None else f"-X {call.method.http_method} "
    lines = [
        f'curl {verb}"$MASSIVESMS_BASE_URL{path}{"?" + query if query else ""}"',
        '  -H "Authorization: Bearer $MASSIVESMS_API_KEY"',
    ]
    if body is not None:
        text = SHELL.write(body, 1).replace("'", "'\\''")
        lines += ['  -H "Content-Type: application/json"', f"  -d '{text}'"]
    return " \\\n".join(lines)


def query_text(value: object) -> str:
    """Write a value as a query has it."""
    if isinstance(value, list):
        return ",".join(map(query_text, value))
    return json.dumps(value) if isinstance(value, bool) else str(value)


def python(call: Call) -> str:
    """Write a call in Python."""
    given = [f"{python_name(key)}={PYTHON.write(value, 1)}" for key, value in call.given.items()]
    arguments = _arguments(PYTHON, [*map(PYTHON.quote, call.ids.values()), *given])
    target = f"client.{call.resource.name}.{python_name(call.method.name)}{arguments}"
    told = f"{call.result}.{call.shown}" if call.shown else call.result
    if call.method.is_page:
        return f"for {call.result} in {target}:\n    print({told})"
    return f"{call.result} = {target}\nprint({told})"


def node(call: Call) -> str:
    """Write a call in JavaScript."""
    given = [NODE.write(call.given)] if call.given else []
    ids = [NODE.quote(each) for each in call.ids.values()]
    result = names.camel(call.result)
    target = f"client.{names.camel(call.resource.name)}.{names.camel(call.method.name)}({', '.join([*ids, *given])})"
    told = f"{result}.{call.shown}" if call.shown else result
    if call.method.is_page:
        return f"for await (const {result} of {target}) {{\n  console.log({told});\n}}"
    return f"const {result} = await {target};\nconsole.log({told});"


def ruby(call: Call) -> str:
    """Write a call in Ruby."""
    given = [f"{key}: {RUBY.write(value, 1)}" for key, value in call.given.items()]
    both = [*map(RUBY.quote, call.ids.values()), *given]
    target = f"client.{call.resource.name}.{call.method.name}{_arguments(RUBY, both) if both else ''}"
    told = f"puts {call.result}.{call.shown}" if call.shown else f"p {call.result}"
    if call.method.is_page:
        return f"{target}.auto_paging_each do |{call.result}|\n  {told}\nend"
    return f"{call.result} = {target}\n{told}"


def php(call: Call) -> str:
    """Write a call in PHP."""
    ids = [_php_text(each) for each in call.ids.values()]
    given = [PHP.write(call.given)] if call.given else []
    result = "$" + names.camel(call.result)
    target = f"$client->{names.camel(call.resource.name)}->{names.camel(call.method.name)}({', '.join([*ids, *given])})"
    told = f'echo {result}->{call.shown}, "\\n";' if call.shown else f"print_r({result});"
    if call.method.is_page:
        return f"foreach ({target}->autoPagingIterator() as {result}) {{\n    {told}\n}}"
    return f"{result} = {target};\n{told}"


# Go, whose values have types


def go_call(call: Call) -> str:
    """Write a call in Go."""
    method = go.operation(call.resource, call.method)
    result = go.camel(call.result)
    ids = [json.dumps(each) for each in call.ids.values()]
    service = f"client.{go.pascal(call.resource.name)}.{method.name}"
    told = f"{result}.{go.pascal(call.shown)}" if call.shown else result
    if call.method.is_page:
        members = [go.query_member(each) for each in call.method.query]
        fields = _go_fields(call.api, zip(call.method.query, members, strict=True), call.given, 0)
        params = f"{PACKAGE}{method.params}{fields}"
        current = told.replace(result, f"{result}.Current()", 1)
        told_all = f"for {result}.Next() {{\n\tfmt.Println({current})\n}}"
        end = f"if err := {result}.Err(); err != nil {{\n\tlog.Fatal(err)\n}}"
        return f"{result} := {service}AutoPaging({', '.join(['ctx', *ids, params])})\n{told_all}\n{end}"
    body = [_go_struct(call.api, call.method.body, call.given, 0)] if call.method.body else []
    check = "if err != nil {\n\tlog.Fatal(err)\n}"
    return f"{result}, err := {service}({', '.join(['ctx', *ids, *body])})\n{check}\nfmt.Println({told})"


def _go_struct(api: Api, name: str, value: Mapping[str, Any], depth: int) -> str:
    schema = api.by_name[name]
    fields = go.fields(api, schema)
    written = schema.name in go.inputs(api)
    members = [go.member(schema, each, written) for each in fields]
    return f"{PACKAGE}{name}{_go_fields(api, zip(fields, members, strict=True), value, depth)}"


def _go_fields(api: Api, fields: Iterable[tuple[Field, go.Member]], value: Mapping[str, Any], depth: int) -> str:
    given = [
        (member.name, _go_value(api, each.type, member.type, value[each.name], depth + 1))
        for each, member in fields
        if each.name in value and (value[each.name] is not None or member.type.startswith("*Opt["))
    ]
    if not given:
        return "{}"
    pairs = [(f"{name}:", text) for name, text in given]
    inner, end = "\t" * (depth + 1), "\t" * depth
    # As gofmt does: columns end at a value of several lines.
    lines: list[str] = []
    for run in _runs(pairs):
        width = max(len(name) for name, _ in run)
        lines += [f"{inner}{name:<{width}} {text}," for name, text in run]
    return "{\n" + "\n".join(lines) + f"\n{end}}}"


def _runs(pairs: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """Return fields that follow each other on lines of one; one of several lines is a run of its own."""
    runs: list[list[tuple[str, str]]] = [[]]
    for name, text in pairs:
        if "\n" in text:
            runs += [[(name, text)], []]
        else:
            runs[-1].append((name, text))
    return [run for run in runs if run]


def _go_value(api: Api, type_: Type, declared: str, value: object, depth: int) -> str:
    """Write a value of a field that is declared as a pointer, as an Opt, or plain."""
    if declared.startswith("*Opt["):
        if value is None:
            return f"{PACKAGE}Null[{_go_type(declared[5:-1])}]()"
        return f"{PACKAGE}Value({_go_plain(api, type_, value, depth)})"
    plain = _go_plain(api, type_, value, depth)
    if not declared.startswith("*"):
        return plain
    if type_.kind == "ref":
        return f"&{plain}"
    typed = f"int64({plain})" if type_.kind == "integer" else plain
    return f"{PACKAGE}Ptr({typed})"


def _go_type(name: str) -> str:
    return name if name[0].islower() else PACKAGE + name


def _go_plain(api: Api, type_: Type, value: object, depth: int) -> str:
    if type_.kind == "ref" and isinstance(value, Mapping):
        return _go_struct(api, type_.name, value, depth)
    if type_.kind == "enum":
        return f"{PACKAGE}{type_.name}{'Any' if value == '*' else go.pascal(str(value))}"
    if type_.kind == "datetime":
        at = datetime.fromisoformat(str(value)).astimezone(UTC)
        return f"time.Date({at.year}, {at.month}, {at.day}, {at.hour}, {at.minute}, {at.second}, 0, time.UTC)"
    if type_.kind == "array" and isinstance(value, list):
        item = type_.item
        assert item is not None
        items = [_go_plain(api, item, each, depth + 1) for each in value]
        name = f"{PACKAGE if item.kind in ('ref', 'enum') else ''}{go.type_of(item)}"
        # The elements of a list of structs go without its name.
        items = [each.removeprefix(name) if item.kind == "ref" else each for each in items]
        line = f"[]{name}{{{', '.join(items)}}}"
        if "\n" not in line and len(line) < WIDTH:
            return line
        inner, end = "\t" * (depth + 1), "\t" * depth
        return f"[]{name}{{\n" + "".join(f"{inner}{each},\n" for each in items) + f"{end}}}"
    return _go_any(value)


def _go_any(value: object) -> str:
    if value is None:
        return "nil"
    if isinstance(value, Mapping):
        return "map[string]any{" + ", ".join(f"{json.dumps(key)}: {_go_any(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[]any{" + ", ".join(map(_go_any, value)) + "}"
    return json.dumps(value, ensure_ascii=False)


WRITERS: Mapping[str, Callable[[Call], str]] = {
    "python": python,
    "node": node,
    "ruby": ruby,
    "php": php,
    "go": go_call,
}


def samples(api: Api) -> dict[str, dict[str, str]]:
    """Return the call of each operation in each language."""
    return {
        call.method.operation_id: {language: writer(call) for language, writer in WRITERS.items()}
        for call in calls(api)
    }


def rendered(api: Api) -> str:
    """Return the file of the reference."""
    return json.dumps(samples(api), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def drift() -> list[str]:
    """Name the file where it differs from what would be written."""
    return [] if FILE.exists() and FILE.read_text() == rendered(load_once()) else [FILE.name]


def write() -> list[str]:
    """Renew the file; name it where it changed."""
    changed = drift()
    if changed:
        FILE.write_text(rendered(load_once()))
    return changed
