"""/v1/snippets."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.messages import snippets
from msvs.api.messages.snippets import CreateSnippet, ListSnippets, SnippetResource, UpdateSnippet, snippet_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateSnippet, NoQuery]) -> SnippetResource:
    """Create a snippet."""
    return snippet_resource(await snippets.create_snippet(call.ctx, call.body))


async def retrieve(call: Call[NoBody, NoQuery]) -> SnippetResource:
    """Retrieve a snippet."""
    return snippet_resource(await snippets.get_snippet(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateSnippet, NoQuery]) -> SnippetResource:
    """Update a snippet."""
    return snippet_resource(await snippets.update_snippet(call.ctx, _id(call.params["id"]), call.body))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a snippet."""
    id = _id(call.params["id"])
    await snippets.delete_snippet(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.SNIPPET, id), object="snippet")


async def list_(call: Call[NoBody, ListSnippets]) -> ListOf[SnippetResource]:
    """List snippets."""
    page = await snippets.list_snippets(call.ctx, call.query.page(ids.SNIPPET), call.query)
    return list_of(call.path, page, snippet_resource)


def _id(text: str) -> UUID:
    return ids.find_id(ids.SNIPPET, text, "snippet")
