"""Message templates and snippets: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.messages import snippets, templates
from msvs.api.messages.snippets import CreateSnippet, ListSnippets, SnippetResource, UpdateSnippet, snippet_version
from msvs.api.messages.templates import (
    CreateTemplate,
    ListTemplates,
    TemplateResource,
    UpdateTemplate,
    template_snippets,
    template_variables,
    template_version,
)
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import Deleted, argument, read_input, request_input
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import MessageTemplate as MessageTemplateRow
from msvs.models import Snippet as SnippetRow
from msvs.models import rows


@resource_type(TemplateResource, "A body under a name, to create messages, campaigns and steps of sequences with.")
class MessageTemplate(Node):
    livemode: bool
    name: str
    body: str
    variables: list[str]
    snippets: list[str]
    tags: list[str]
    archived_at: datetime | None
    version: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: rows.MessageTemplateRow) -> MessageTemplate:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.TEMPLATE, row.id)),
            variables=template_variables(row.body),
            snippets=template_snippets(row.body),
            tags=row.tags or [],
            version=template_version(row),
        )


@resource_type(SnippetResource, "A piece of text that bodies include by its name.")
class Snippet(Node):
    livemode: bool
    name: str
    body: str
    version: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_row(cls, row: rows.SnippetRow) -> Snippet:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.SNIPPET, row.id)), version=snippet_version(row))


register_rows(ids.TEMPLATE, MessageTemplateRow, MessageTemplate.from_row)
register_rows(ids.SNIPPET, SnippetRow, Snippet.from_row)


@request_input(CreateTemplate)
class CreateMessageTemplateInput:
    pass


@request_input(UpdateTemplate)
class UpdateMessageTemplateInput:
    pass


@request_input(CreateSnippet)
class CreateSnippetInput:
    pass


@request_input(UpdateSnippet)
class UpdateSnippetInput:
    pass


CreateMessageTemplateResult = Annotated[
    MessageTemplate | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateMessageTemplateResult", description="The new template, or an error."),
]
UpdateMessageTemplateResult = Annotated[
    MessageTemplate | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateMessageTemplateResult", description="The updated template, or an error."),
]
DeleteMessageTemplateResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteMessageTemplateResult", description="Confirms that the template was deleted, or an error."),
]
CreateSnippetResult = Annotated[
    Snippet | InvalidRequestError | ConflictError | PermissionRefusedError,
    strawberry.union("CreateSnippetResult", description="The new snippet, or an error."),
]
UpdateSnippetResult = Annotated[
    Snippet | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("UpdateSnippetResult", description="The updated snippet, or an error."),
]
DeleteSnippetResult = Annotated[
    Deleted | NotFoundError | PermissionRefusedError,
    strawberry.union("DeleteSnippetResult", description="Confirms that the snippet was deleted, or an error."),
]
TemplateId = Annotated[ID, strawberry.argument(description="The template's id.")]
SnippetId = Annotated[ID, strawberry.argument(description="The snippet's id.")]


@strawberry.type
class TemplateQuery:
    @field("A template of messages by its id; null if there is none.")
    async def message_template(self, info: Info, id: TemplateId) -> MessageTemplate | None:
        return await load_kind(info, id, MessageTemplate, ids.TEMPLATE)

    @field("Templates of messages, newest first.")
    async def message_templates(
        self,
        info: Info,
        q: Annotated[str | None, argument(ListTemplates, "q")] = None,
        tag: Annotated[str | None, argument(ListTemplates, "tag")] = None,
        archived: Annotated[bool | None, argument(ListTemplates, "archived")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[MessageTemplate]:
        ctx, request = info.context.ctx, read_page(ids.TEMPLATE, first, after, last, before)
        which = ListTemplates(q=q, tag=tag, archived=archived)
        page = await templates.list_templates(ctx, request, which)
        count = templates.template_query(ctx, which).count
        return connect(ids.TEMPLATE, request, page, MessageTemplate.from_row, count)

    @field("A snippet by its id; null if there is none.")
    async def snippet(self, info: Info, id: SnippetId) -> Snippet | None:
        return await load_kind(info, id, Snippet, ids.SNIPPET)

    @field("Snippets, newest first.")
    async def snippets(
        self,
        info: Info,
        name: Annotated[str | None, argument(ListSnippets, "name")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[Snippet]:
        ctx, request = info.context.ctx, read_page(ids.SNIPPET, first, after, last, before)
        which = ListSnippets(name=name)
        page = await snippets.list_snippets(ctx, request, which)
        return connect(ids.SNIPPET, request, page, Snippet.from_row, snippets.snippet_query(ctx, which).count)


@strawberry.type
class TemplateMutation:
    @mutation(CreateMessageTemplateResult, "Create a template of messages.")
    async def create_message_template(
        self,
        info: Info,
        input: Annotated[CreateMessageTemplateInput, strawberry.argument(description="The template.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: templates.create_template(ctx, read_input(CreateTemplate, input)),
            MessageTemplate.from_row,
        )

    @mutation(UpdateMessageTemplateResult, "Change a template; what was created with it keeps its text.")
    async def update_message_template(
        self,
        info: Info,
        id: TemplateId,
        input: Annotated[UpdateMessageTemplateInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: templates.update_template(ctx, _template(id), read_input(UpdateTemplate, input)),
            MessageTemplate.from_row,
        )

    @mutation(DeleteMessageTemplateResult, "Delete a template; what was created with it keeps its text.")
    async def delete_message_template(self, info: Info, id: TemplateId) -> object:
        return await mutate(info, lambda ctx: templates.delete_template(ctx, _template(id)), lambda _: Deleted(id=id))

    @mutation(CreateSnippetResult, "Create a snippet.")
    async def create_snippet(
        self, info: Info, input: Annotated[CreateSnippetInput, strawberry.argument(description="The snippet.")]
    ) -> object:
        return await mutate(
            info, lambda ctx: snippets.create_snippet(ctx, read_input(CreateSnippet, input)), Snippet.from_row
        )

    @mutation(UpdateSnippetResult, "Change a snippet; what was created with it keeps its text.")
    async def update_snippet(
        self,
        info: Info,
        id: SnippetId,
        input: Annotated[UpdateSnippetInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await mutate(
            info,
            lambda ctx: snippets.update_snippet(ctx, _snippet(id), read_input(UpdateSnippet, input)),
            Snippet.from_row,
        )

    @mutation(DeleteSnippetResult, "Delete a snippet; what was created with it keeps its text.")
    async def delete_snippet(self, info: Info, id: SnippetId) -> object:
        return await mutate(info, lambda ctx: snippets.delete_snippet(ctx, _snippet(id)), lambda _: Deleted(id=id))


def _template(text: str) -> UUID:
    return ids.find_id(ids.TEMPLATE, text, "template")


def _snippet(text: str) -> UUID:
    return ids.find_id(ids.SNIPPET, text, "snippet")
