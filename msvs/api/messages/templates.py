"""Message templates: bodies under names, which messages, campaigns and steps of sequences are created with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType
from tortoise.queryset import QuerySet

from msvs.api import ids
from msvs.api.contacts.details import MAX_NAME, read_name
from msvs.api.contacts.tags import MAX_TAGS, TAG, read_tag, read_tags
from msvs.api.context import Context
from msvs.api.errors import Conflict, ErrorCode, check_version
from msvs.api.messages.bodies import Body, check_body
from msvs.api.pages import Page, PageQuery, PageRequest, fetch_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import Resource, ShownVersion, moment, optional_moment, version_of
from msvs.api.scope import find, scoped
from msvs.api.text.kept_text import check_kept
from msvs.api.text.snippets import may_have_snippets, put_snippets, snippet_names
from msvs.api.text.templates import compile_template
from msvs.api.unit_of_work import save_unique
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.fields import ULID, Request, Version, about, named
from msvs.models import MessageTemplate, rows

NOUN = "template"

TemplateName = Annotated[str, about("The name, which must be unique.", example="Cart close", **named(MAX_NAME))]
TemplateBody = Annotated[Body, about(example="Hey {firstName|there}, cart closes tonight.")]
TemplateTags = Annotated[
    list[Annotated[str, about(**TAG)]],
    about("Its tags, for your team: kept in lower case, in order.", example=["launch"], maxItems=MAX_TAGS),
]


class CreateTemplate(Request, frozen=True, kw_only=True):
    """A new template."""

    name: TemplateName
    body: TemplateBody
    tags: TemplateTags | None = None


class UpdateTemplate(Request, frozen=True, kw_only=True):
    """Changes to a template. What was created with it keeps its text."""

    name: TemplateName | UnsetType = UNSET
    body: TemplateBody | UnsetType = UNSET
    tags: TemplateTags | UnsetType | None = UNSET
    archived: (
        Annotated[bool, about("Whether it is put away. It can still be used by its id.", example=False)] | UnsetType
    ) = UNSET
    version: Version | UnsetType = UNSET


class ListTemplates(PageQuery, frozen=True, kw_only=True):
    """Which templates."""

    q: (
        Annotated[
            str, about("Only templates whose name contains this text, in upper or lower case.", **named(MAX_NAME))
        ]
        | None
    ) = None
    tag: Annotated[str, about("Only templates with this tag.", **TAG)] | None = None
    archived: (
        Annotated[bool, about("Only archived templates if true, only others if false; both if it is left out.")] | None
    ) = None


class TemplateResource(Resource, kw_only=True):
    """A body under a name, to create messages, campaigns and steps of sequences with."""

    id: Annotated[str, about(example=f"tpl_{ULID}")]
    object: Literal["template"] = "template"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    name: TemplateName
    body: TemplateBody
    variables: Annotated[
        list[str],
        about("The names of the variables in the body, not those in its snippets.", example=["first_name"]),
    ]
    snippets: Annotated[list[str], about("The names of the snippets in the body.", example=["signature"])]
    tags: TemplateTags
    archived_at: Annotated[str, about("When it was archived; null if it is not.")] | None = None
    version: ShownVersion
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it was last changed.")]


def template_resource(row: rows.MessageTemplateRow) -> TemplateResource:
    """Return the public shape of a template."""
    snippets = template_snippets(row.body)
    return TemplateResource(
        id=ids.encode_id(ids.TEMPLATE, row.id),
        livemode=row.livemode,
        name=row.name,
        body=row.body,
        variables=template_variables(row.body),
        snippets=snippets,
        tags=row.tags or [],
        archived_at=optional_moment(row.archived_at),
        version=template_version(row),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def template_snippets(body: str) -> list[str]:
    """Return the names of the snippets in a body that was checked."""
    return [*snippet_names(body)] if may_have_snippets(body) else []


def template_variables(body: str) -> list[str]:
    """Return the names of the variables in a body that was checked."""
    return [*compile_template(put_snippets(body, dict.fromkeys(template_snippets(body), ""))).names]


def template_version(row: rows.MessageTemplateRow) -> str:
    """Return the version of a template."""
    return version_of(row.name, row.body, row.tags, optional_moment(row.archived_at))


async def create_template(ctx: Context, data: CreateTemplate) -> MessageTemplate:
    """Make a template; its snippets must exist. Raises InvalidRequest, Conflict code `template_exists`."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = MessageTemplate(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name=read_name(data.name.strip(), param="name"),
        body=await _read_body(ctx, data.body),
        tags=_read_tags(data.tags),
    )
    await save_unique(row, _taken(row))
    await _record(ctx, EventType.TEMPLATE_CREATED, row)
    return row


async def get_template(ctx: Context, id: UUID) -> MessageTemplate:
    """Return one template. Raises NotFound."""
    return await find(ctx, MessageTemplate, id, prefix=ids.TEMPLATE, noun=NOUN)


async def list_templates(ctx: Context, page: PageRequest, which: ListTemplates | None = None) -> Page[MessageTemplate]:
    """List templates, newest first. Raises InvalidRequest."""
    allow(ctx, Permission.CAMPAIGNS_READ)
    return await fetch_page(template_query(ctx, which or ListTemplates()), page)


def template_query(ctx: Context, which: ListTemplates) -> QuerySet[MessageTemplate]:
    """Return the query of the templates that meet every condition given. Raises InvalidRequest."""
    query = scoped(ctx, MessageTemplate)
    if which.q is not None:
        query = query.filter(name__icontains=read_name(which.q.strip(), param="q"))
    if which.tag is not None:
        query = query.filter(tags__contains=[read_tag(which.tag, param="tag")])
    if which.archived is not None:
        query = query.filter(archived_at__isnull=not which.archived)
    return query


async def update_template(ctx: Context, id: UUID, data: UpdateTemplate) -> MessageTemplate:
    """Change a template; what was created with it keeps its text. Raises NotFound, and what create_template raises."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await find(ctx, MessageTemplate, id, prefix=ids.TEMPLATE, noun=NOUN, lock=True)
    before = template_version(row)
    check_version(data.version, before, NOUN)
    if data.name is not UNSET:
        row.name = read_name(data.name.strip(), param="name")
    if data.body is not UNSET:
        row.body = await _read_body(ctx, data.body)
    if data.tags is not UNSET:
        row.tags = _read_tags(data.tags)
    if data.archived is not UNSET and data.archived != (row.archived_at is not None):
        row.archived_at = ctx.services.clock() if data.archived else None
    if template_version(row) == before:
        return row
    await save_unique(row, _taken(row))
    await _record(ctx, EventType.TEMPLATE_UPDATED, row)
    return row


async def delete_template(ctx: Context, id: UUID) -> None:
    """Delete a template; what was created with it keeps its text. Raises NotFound."""
    allow(ctx, Permission.CAMPAIGNS_WRITE)
    row = await find(ctx, MessageTemplate, id, prefix=ids.TEMPLATE, noun=NOUN, lock=True)
    await row.delete()
    await _record(ctx, EventType.TEMPLATE_DELETED, row)


async def _read_body(ctx: Context, text: str) -> str:
    return await check_body(ctx, check_kept(text, param="body"))


def _read_tags(tags: Sequence[str] | None) -> list[str] | None:
    return read_tags(tags or (), param="tags") or None


async def _record(ctx: Context, type: EventType, row: MessageTemplate) -> None:
    event = NewEvent(type, ctx.workspace_id, ctx.livemode, row.id, template_resource(row))
    await record_events([event], ctx.services.clock())


def _taken(row: MessageTemplate) -> Conflict:
    return Conflict(f"There is a template '{row.name}' already.", param="name", code=ErrorCode.TEMPLATE_EXISTS)
