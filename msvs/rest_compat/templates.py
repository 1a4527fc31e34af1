"""/v1/templates."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.messages import templates
from msvs.api.messages.templates import (
    CreateTemplate,
    ListTemplates,
    TemplateResource,
    UpdateTemplate,
    template_resource,
)
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery, list_of


async def create(call: Call[CreateTemplate, NoQuery]) -> TemplateResource:
    """Create a template."""
    return template_resource(await templates.create_template(call.ctx, call.body))


async def retrieve(call: Call[NoBody, NoQuery]) -> TemplateResource:
    """Retrieve a template."""
    return template_resource(await templates.get_template(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateTemplate, NoQuery]) -> TemplateResource:
    """Update a template."""
    return template_resource(await templates.update_template(call.ctx, _id(call.params["id"]), call.body))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a template."""
    id = _id(call.params["id"])
    await templates.delete_template(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.TEMPLATE, id), object="template")


async def list_(call: Call[NoBody, ListTemplates]) -> ListOf[TemplateResource]:
    """List templates."""
    page = await templates.list_templates(call.ctx, call.query.page(ids.TEMPLATE), call.query)
    return list_of(call.path, page, template_resource)


def _id(text: str) -> UUID:
    return ids.find_id(ids.TEMPLATE, text, "template")
