"""Snippets: named pieces of text that bodies include."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, InvalidRequest, check_version
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, ShownVersion, moment, version_of
from msvs.api.scope import find, scoped
from msvs.api.text.kept_text import check_kept
from msvs.api.text.rendering import MAX_BODY, read_template
from msvs.api.text.snippets import (
    MAX_SNIPPET_NAME,
    SNIPPET_NAME,
    is_snippet_name,
    may_have_snippets,
    snippet_names,
)
from msvs.api.text.templates import TemplateError
from msvs.api.unit_of_work import save_unique
from msvs.fields import ULID, Request, Version, about, named
from msvs.models import Snippet, rows

NOUN = "snippet"

SnippetName = Annotated[
    str,
    about(
        f"The name, which must be unique: lower case letters, digits, `-` and `_`, at most {MAX_SNIPPET_NAME}. Bodies"
        " include it as {snippet.name}.",
        example="address",
        pattern=SNIPPET_NAME,
    ),
]
SnippetBody = Annotated[
    str,
    about(
        "The text. It may have {variables}, but no other snippet.",
        example="cohortlabs.co/cohort-06",
        **named(MAX_BODY),
    ),
]


class CreateSnippet(Request, frozen=True, kw_only=True):
    """A new snippet."""

    name: SnippetName
    body: SnippetBody


class UpdateSnippet(Request, frozen=True, kw_only=True):
    """Changes to a snippet. What was created with it keeps its text."""

    name: SnippetName | UnsetType = UNSET
    body: SnippetBody | UnsetType = UNSET
    version: Version | UnsetType = UNSET


class ListSnippets(PageQuery, frozen=True, kw_only=True):
    """Which snippets."""

    name: Annotated[str, about("Only the snippet of this name.", pattern=SNIPPET_NAME)] | None = None


class SnippetResource(Resource, kw_only=True):
    """A piece of text that bodies include by its name."""

    id: Annotated[str, about(example=f"snp_{ULID}")]
    object: Literal["snippet"] = "snippet"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    name: SnippetName
    body: SnippetBody
    version: ShownVersion
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it was last changed.")]


def snippet_resource(row: rows.SnippetRow) -> SnippetResource:
    """Return the public shape of a snippet."""
    return SnippetResource(
        id=ids.encode_id(ids.SNIPPET, row.id),
        livemode=row.livemode,
        name=row.name,
        body=row.body,
        version=snippet_version(row),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def snippet_version(row: rows.SnippetRow) -> str:
    """Return the version of a snippet."""
    return version_of(row.name, row.body)


async def create_snippet(ctx: Context, data: CreateSnippet) -> Snippet:
    """Make a snippet. Raises InvalidRequest, Conflict code `snippet_exists`."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = Snippet(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name=_read_name(data.name),
        body=_read_text(data.body),
    )
    await save_unique(row, _taken(row))
    return row


async def get_snippet(ctx: Context, id: UUID) -> Snippet:
    """Return one snippet. Raises NotFound."""
    return await find(ctx, Snippet, id, prefix=ids.SNIPPET, noun=NOUN)


async def list_snippets(ctx: Context, page: PageRequest, which: ListSnippets | None = None) -> Page[Snippet]:
    """List snippets, newest first. Raises InvalidRequest."""
    allow(ctx, Permission.CAMPAIGNS_READ)
    return await fetch_page(snippet_query(ctx, which or ListSnippets()), page)


def snippet_query(ctx: Context, which: ListSnippets) -> QuerySet[Snippet]:
    """Return the query of the snippets that meet the condition. Raises InvalidRequest."""
    query = scoped(ctx, Snippet)
    return query if which.name is None else query.filter(name=_read_name(which.name))


async def update_snippet(ctx: Context, id: UUID, data: UpdateSnippet) -> Snippet:
    """Change a snippet; what was created with it keeps its text. Raises NotFound, and what create_snippet raises."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await find(ctx, Snippet, id, prefix=ids.SNIPPET, noun=NOUN, lock=True)
    check_version(data.version, snippet_version(row), NOUN)
    if data.name is not UNSET:
        row.name = _read_name(data.name)
    if data.body is not UNSET:
        row.body = _read_text(data.body)
    await save_unique(row, _taken(row))
    return row


async def delete_snippet(ctx: Context, id: UUID) -> None:
    """Delete a snippet; what was created with it keeps its text. Raises NotFound."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await find(ctx, Snippet, id, prefix=ids.SNIPPET, noun=NOUN, lock=True)
    await row.delete()


def _read_name(text: str) -> str:
    if not is_snippet_name(text):
        raise InvalidRequest(
            f"name must have from 1 to {MAX_SNIPPET_NAME} lower case letters, digits, '-' and '_', a letter or a digit"
            " first.",
            param="name",
        )
    return text


def _read_text(text: str) -> str:
    """Read the text of a snippet: space at its ends stays, braces are those of a body. Raises InvalidRequest."""
    check_kept(text, param="body")
    if _includes_another(text):
        raise InvalidRequest("A snippet cannot include another snippet.", param="body", code=ErrorCode.TEMPLATE_INVALID)
    read_template(text)
    return text


def _includes_another(text: str) -> bool:
    try:
        return may_have_snippets(text) and bool(snippet_names(text))
    except TemplateError:
        return True


def _taken(row: Snippet) -> Conflict:
    return Conflict(f"There is a snippet '{row.name}' already.", param="name", code=ErrorCode.SNIPPET_EXISTS)
