"""Bodies as they are asked for: their own text or a template's, with snippets in place of their references.

They are read when something is created of them. What was created keeps its text: a template or a snippet that changes
later changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.scope import scoped
from msvs.api.text.rendering import MAX_BODY, read_template
from msvs.api.text.snippets import may_have_snippets, put_snippets, snippet_names
from msvs.api.text.templates import TemplateError
from msvs.fields import Ref, about, id_pattern, named
from msvs.models import MessageTemplate, Snippet

Body = Annotated[
    str,
    about(
        f"SMS body, at most {MAX_BODY} characters with its snippets. Supports {{variables}}, with a fallback as"
        " {firstName|there}, and snippets as {snippet.name}.",
        **named(MAX_BODY),
    ),
]
TemplateId = Annotated[
    str,
    Ref(ids.TEMPLATE),
    about("A template, whose body is used as it stands now. Give this or `body`.", pattern=id_pattern(ids.TEMPLATE)),
]


class Wanted(NamedTuple):
    """A body as it was asked for; `prefix` is what its parameters stand in, such as `steps[0].`."""

    body: str | UnsetType
    template_id: str | None = None
    prefix: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it can be told without a look into the database."""
        return isinstance(self.body, str) and self.template_id is None and not may_have_snippets(self.body)


class HasBody(Protocol):
    """A request that has a body or names a template."""

    @property
    def body(self) -> str | UnsetType: ...

    @property
    def template_id(self) -> str | None: ...


R = TypeVar("R", bound=msgspec.Struct)


class _Source(NamedTuple):
    """A text before its snippets are put in, with the parameter that it is of."""

    text: str
    param: str


def given_body(body: str | UnsetType, param: str = "body") -> str:
    """Return a body that is there. Raises InvalidRequest with `param`."""
    if body is UNSET:
        raise InvalidRequest(f"Missing required parameter: {param}.", param=param, code=ErrorCode.PARAMETER_MISSING)
    return body


async def with_body(ctx: Context, request: R, body: str | UnsetType, template_id: str | None) -> R:
    """Return a request whose body is the text that it asks for. Raises InvalidRequest."""
    wanted = Wanted(body, template_id)
    if wanted.is_plain:
        return request
    return msgspec.structs.replace(request, body=await read_body(ctx, wanted), template_id=None)


async def read_body(ctx: Context, wanted: Wanted) -> str:
    """Return the text that is asked for. Raises InvalidRequest."""
    (found,) = await read_bodies(ctx, [wanted])
    if isinstance(found, InvalidRequest):
        raise found
    return found


async def read_bodies(ctx: Context, wanted: Sequence[Wanted]) -> list[str | InvalidRequest]:
    """Return the texts that are asked for, or why there is none, in their order.

    All templates are read by one statement, and all snippets by another: by none where none is asked for.
    """
    templates = await _find_templates(ctx, wanted)
    sources: list[_Source | InvalidRequest] = []
    names: set[str] = set()
    for each in wanted:
        try:
            source = _source(each, templates)
            names |= _names(source)
            sources.append(source)
        except InvalidRequest as refusal:
            sources.append(refusal)
    snippets = await _find_snippets(ctx, names)
    return [source if isinstance(source, InvalidRequest) else _filled(source, snippets) for source in sources]


async def check_body(ctx: Context, text: str) -> str:
    """Return the body of a template as it is kept, with its references. Raises InvalidRequest."""
    read_template(await read_body(ctx, Wanted(text)))
    return text


async def _find_templates(ctx: Context, wanted: Sequence[Wanted]) -> Mapping[UUID, str]:
    named = {ids.decode_id(ids.TEMPLATE, each.template_id) for each in wanted if each.template_id is not None} - {None}
    if not named:
        return {}
    return {row.id: row.body for row in await scoped(ctx, MessageTemplate).filter(id__in=[*named]).only("id", "body")}


async def _find_snippets(ctx: Context, names: set[str]) -> Mapping[str, str]:
    if not names:
        return {}
    rows = await scoped(ctx, Snippet).filter(name__in=sorted(names)).only("id", "name", "body")
    return {row.name: row.body for row in rows}


def _source(wanted: Wanted, templates: Mapping[UUID, str]) -> _Source:
    prefix = wanted.prefix
    if wanted.template_id is None:
        param = f"{prefix}body"
        return _Source(given_body(wanted.body, param), param)
    param = f"{prefix}template_id"
    if wanted.body is not UNSET:
        raise InvalidRequest(f"Give {prefix}body or {param}, not both.", param=param)
    id = ids.read_id(ids.TEMPLATE, wanted.template_id, param)
    if id not in templates:
        raise InvalidRequest(f"No such template: '{wanted.template_id}'.", param=param, code=ErrorCode.RESOURCE_MISSING)
    return _Source(templates[id], param)


def _names(source: _Source) -> set[str]:
    if not may_have_snippets(source.text):
        return set()
    if len(source.text) > MAX_BODY:
        raise _too_long(source.param)
    try:
        return {*snippet_names(source.text)}
    except TemplateError as error:
        raise InvalidRequest(str(error), param=source.param, code=ErrorCode.TEMPLATE_INVALID) from None


def _filled(source: _Source, snippets: Mapping[str, str]) -> str | InvalidRequest:
    if not may_have_snippets(source.text):
        return source.text
    try:
        text = put_snippets(source.text, snippets)
    except KeyError as error:
        return InvalidRequest(
            f"No such snippet: '{error.args[0]}'.", param=source.param, code=ErrorCode.RESOURCE_MISSING
        )
    return _too_long(source.param) if len(text) > MAX_BODY else text


def _too_long(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"The body is longer than {MAX_BODY} characters with its snippets.", param=param, code=ErrorCode.BODY_TOO_LONG
    )
