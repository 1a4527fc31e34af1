"""Python's types and names, and its formatter."""

from __future__ import annotations

import keyword
import subprocess
import sys
import tempfile
from pathlib import Path

from sdks.generator.model import Api, Field, Schema, Type
from sdks.generator.render import wrapped

ROOT = Path(__file__).resolve().parents[3]


def name(wire: str) -> str:
    """Return the name of a field or parameter: its own, with `_` where that is a keyword or has brackets."""
    plain = wire.replace("[", "_").replace("]", "")
    return f"{plain}_" if keyword.iskeyword(plain) else plain


def output(type_: Type, prefix: str = "") -> str:
    """Return the annotation of a value that was received."""
    return _annotation(type_, prefix, received=True) + (" | None" if type_.nullable else "")


def field(each: Field) -> str:
    """Return the annotation of a field that was received; one that may be absent reads as None."""
    told = output(each.type)
    return told if each.required or each.type.nullable or each.type.kind == "any" else f"{told} | None"


def given(type_: Type, prefix: str = "") -> str:
    """Return the annotation of a value to be sent."""
    return _annotation(type_, prefix, received=False) + (" | None" if type_.nullable else "")


def parameter(each: Field) -> str:
    """Return a parameter with its annotation and, where it may be left out, the sentinel as its default."""
    told = given(each.type, "t.")
    if each.required:
        return f"{name(each.name)}: {told}"
    return f"{name(each.name)}: {told} | NotGiven = NOT_GIVEN"


def nested(fields: tuple[Field, ...], api: Api) -> dict[str, str]:
    """Return the classes of fields that hold other models."""
    found = {}
    for each in fields:
        inner = each.type.item if each.type.kind == "array" and each.type.item else each.type
        if inner.kind == "ref" and not (api.by_name[inner.name].is_union and not api.by_name[inner.name].discriminator):
            found[each.name] = inner.name
    return found


def models(api: Api) -> list[Schema]:
    """Return the schemas that answers are read into; members of a union that is also sent stay plain."""
    plain = {member for schema in api.inputs for member in schema.members}
    return [schema for schema in api.outputs if not schema.is_union and not schema.is_page and schema.name not in plain]


def text_of(text: str) -> str:
    """Return a text as literals that fit on lines."""
    pieces = [text[at : at + 90] for at in range(0, len(text), 90)]
    return "(" + " ".join(repr(piece) for piece in pieces) + ")"


def docs(text: str, indent: int) -> str:
    """Return the lines of a docstring's text, to stand between its quotes."""
    lines = wrapped(text.replace("\\", "\\\\"), 116 - indent).splitlines()
    return ("\n" + " " * indent).join(lines)


def finish(files: dict[str, str]) -> dict[str, str]:
    """Format all files at once."""
    with tempfile.TemporaryDirectory() as folder:
        for path_, text in files.items():
            target = Path(folder) / path_
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        for arguments in (["check", "--fix", "--exit-zero", "--quiet"], ["format", "--quiet"]):
            told = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), folder]
            command = [sys.executable, "-m", "ruff", *arguments, *told]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        return {path_: (Path(folder) / path_).read_text() for path_ in files}


def _annotation(type_: Type, prefix: str, *, received: bool) -> str:
    simple = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "any": "Any"}
    if type_.kind in simple:
        return simple[type_.kind]
    if type_.kind == "datetime":
        return "str" if received else "datetime | str"
    if type_.kind == "scalar":
        return "str | float | bool"
    if type_.kind == "const":
        return f"Literal[{type_.value!r}]".replace("'", '"')
    if type_.kind == "enum":
        return prefix + type_.name
    if type_.kind == "ref":
        return prefix + (type_.name if received else f"{type_.name}Param")
    assert type_.item is not None
    inner = (output if received else given)(type_.item, prefix)
    if type_.kind == "array":
        return f"list[{inner}]" if received else f"Sequence[{inner}]"
    return f"dict[str, {inner}]" if received else f"Mapping[str, {inner}]"


FILTERS = {
    "py_name": name,
    "py_output": output,
    "py_field": field,
    "py_given": given,
    "py_parameter": parameter,
    "py_nested": nested,
    "py_models": models,
    "py_docs": docs,
    "py_text": text_of,
}
TESTS = {"py_keyword": keyword.iskeyword}
