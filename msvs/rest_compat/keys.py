"""/v1/api_keys."""

from __future__ import annotations

from msvs.api import ids
from msvs.api.accounts import keys
from msvs.api.pages import PageQuery
from msvs.api.resources import ApiKeyResource, api_key_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import ListOf, NoBody, NoQuery, list_of


async def retrieve(call: Call[NoBody, NoQuery]) -> ApiKeyResource:
    """Retrieve an API key."""
    return api_key_resource(await keys.get_key(call.ctx, ids.find_id(ids.API_KEY, call.params["id"], "API key")))


async def list_(call: Call[NoBody, PageQuery]) -> ListOf[ApiKeyResource]:
    """List API keys."""
    page = await keys.find_keys(call.ctx, call.query.page(ids.API_KEY))
    return list_of(call.path, page, api_key_resource)
