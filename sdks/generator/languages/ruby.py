"""Ruby's names, kinds of fields, signatures, and types of RBS."""

from __future__ import annotations

import textwrap

from sdks.generator.model import Api, Field, Method, Schema, Type
from sdks.generator.names import constant

# Words that cannot be read as a local variable.
RESERVED = {"begin", "class", "def", "end", "if", "in", "next", "not", "or", "self", "then", "unless", "until", "while"}
RBS = {
    "string": "String",
    "integer": "Integer",
    "number": "Numeric",
    "boolean": "bool",
    "datetime": "Time",
    "map": "Hash[String, untyped]",
    "any": "untyped",
    "scalar": "untyped",
    "enum": "String",
}
WIDTH = 118


def comment(text: str, indent: int = 0) -> str:
    """Write a comment of lines that are not too long."""
    prefix = " " * indent + "# "
    lines = textwrap.wrap(" ".join(text.split()), WIDTH - len(prefix), break_long_words=False, break_on_hyphens=False)
    return "\n".join(prefix + line for line in lines)


def models(api: Api) -> list[Schema]:
    """Return the schemas that are classes: objects of answers and events."""
    return [
        schema for schema in api.outputs if not schema.is_union and not schema.is_page and not _plain(api, schema.name)
    ]


def kind(api: Api, type_: Type) -> str:
    """Return the kind of a field as Model.field takes it; empty where values are taken as they are."""
    if type_.kind == "datetime":
        return ":time"
    if type_.kind == "array" and type_.item is not None:
        inner = kind(api, type_.item)
        return f"[{inner}]" if inner else ""
    if type_.kind == "ref" and not _plain(api, type_.name):
        return f":{type_.name}"
    return ""


def signature(method: Method) -> str:
    """Return the parameters of a method."""
    ids = [each.name for each in method.path_params]
    named = [f"{keyword(each)}:" if each.required else f"{keyword(each)}: UNSET" for each in method.params]
    return ", ".join([*ids, *named, "request_options: {}"])


def wrapped_signature(method: Method) -> str:
    """Return the first line of a method, over several lines where it is long."""
    start = f"      def {method.name}("
    text = signature(method).replace(": ", ":\N{NO-BREAK SPACE}")
    lines = textwrap.wrap(text, WIDTH - len(start), break_long_words=False, break_on_hyphens=False)
    return (start + ("\n" + " " * len(start)).join(lines) + ")").replace("\N{NO-BREAK SPACE}", " ")


def keyword(each: Field) -> str:
    """Return the name of a parameter: `created_at[gte]` is created_at_gte."""
    return each.name.replace("[", "_").replace("]", "")


def key(each: Field) -> str:
    """Return the key of a parameter as it is sent."""
    return each.name if keyword(each) == each.name else f'"{each.name}"'


def given(fields: tuple[Field, ...]) -> str:
    """Return parameters as a Hash; empty braces where there are none."""
    if not fields:
        return "{}"
    pairs = [f"{key(each)}: {value(keyword(each))}" for each in fields]
    start = " " * 15
    # A pair is not torn apart.
    text = ", ".join(pair.replace(" ", "\N{NO-BREAK SPACE}") for pair in pairs)
    lines = textwrap.wrap(text, WIDTH - len(start) - 4, break_long_words=False, break_on_hyphens=False)
    return ("{ " + ("\n" + start).join(lines) + " }").replace("\N{NO-BREAK SPACE}", " ")


def told(method: Method) -> str:
    """Return what a method does."""
    return " ".join(dict.fromkeys((f"{method.summary}.", method.description)))


def value(name: str) -> str:
    """Return the expression that reads a parameter."""
    return f"binding.local_variable_get(:{name})" if name in RESERVED else name


def yard(api: Api, type_: Type) -> str:
    """Return the type of a parameter in the notation of YARD."""
    written = rbs(api, type_, sent=True).translate(str.maketrans("[]", "<>", "()"))
    return written.replace(" | ", ", ").replace("untyped", "Object").replace("bool", "Boolean").replace("?", ", nil")


def rbs(api: Api, type_: Type, *, sent: bool = False) -> str:
    """Return the type of a value in RBS."""
    inner = _rbs(api, type_, sent)
    return f"{inner}?" if type_.nullable and inner != "untyped" else inner


def rbs_field(api: Api, each: Field) -> str:
    """Return the type of a field that was received."""
    told = rbs(api, each.type)
    return told if each.required or told.endswith("?") or told == "untyped" else f"{told}?"


def rbs_signature(api: Api, method: Method) -> str:
    """Return the type of a method."""
    ids = ["String"] * len(method.path_params)
    named = [
        f"{'' if each.required else '?'}{keyword(each)}: {rbs(api, each.type, sent=True)}" for each in method.params
    ]
    result = f"Page[{method.page_item}]" if method.is_page else method.result
    return f"({', '.join([*ids, *named, '?request_options: request_options'])}) -> {result}"


def constant_name(text: str) -> str:
    """Return the constant of a value of an enum."""
    return "ANY" if text == "*" else constant(text)


def _plain(api: Api, name: str) -> bool:
    """Whether a schema is taken as plain hashes: a union that nothing tells apart, and its members."""
    schema = api.by_name[name]
    if schema.is_union:
        return not schema.discriminator
    return any(name in each.members and not each.discriminator for each in api.schemas)


def _rbs(api: Api, type_: Type, sent: bool) -> str:
    if type_.kind == "array" and type_.item is not None:
        return f"Array[{rbs(api, type_.item, sent=sent)}]"
    if type_.kind == "ref":
        return "Hash[untyped, untyped]" if sent or _plain(api, type_.name) else type_.name
    if type_.kind == "const":
        return "bool" if isinstance(type_.value, bool) else "String"
    if type_.kind == "datetime" and sent:
        return "(Time | String)"
    return RBS[type_.kind]


FILTERS = {
    "rb_told": told,
    "rb_keyword": keyword,
    "rb_comment": comment,
    "rb_models": models,
    "rb_kind": lambda type_, api: kind(api, type_),
    "rb_signature": wrapped_signature,
    "rb_given": given,
    "rb_constant": constant_name,
    "yard": lambda type_, api: yard(api, type_),
    "rbs": lambda type_, api: rbs(api, type_),
    "rbs_field": lambda each, api: rbs_field(api, each),
    "rbs_signature": lambda method, api: rbs_signature(api, method),
}
