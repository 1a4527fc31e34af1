"""/v1/tags."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.contacts import tags
from msvs.api.contacts.tags import ListTags, TagResource, tag_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, list_of


async def list_(call: Call[NoBody, ListTags]) -> ListOf[TagResource]:
    """List tags."""
    page = await tags.list_tags(call.ctx, call.query.page(ids.TAG), call.query)
    return list_of(call.path, page, tag_resource)
