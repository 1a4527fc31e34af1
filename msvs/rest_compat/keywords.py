"""/v1/keywords."""

from __future__ import annotations

from uuid import UUID

from msvs.api import ids
from msvs.api.inbound import keywords
from msvs.api.inbound.keywords import CreateKeyword, ListKeywords, UpdateKeyword
from msvs.api.resources import KeywordResource, keyword_resource
from msvs.rest_compat.endpoint import Call
from msvs.rest_compat.schemas import Deleted, ListOf, NoBody, NoQuery, list_of, optional_ref


async def create(call: Call[CreateKeyword, NoQuery]) -> KeywordResource:
    """Create a keyword."""
    return keyword_resource(await keywords.create_keyword(call.ctx, call.body))


async def retrieve(call: Call[NoBody, NoQuery]) -> KeywordResource:
    """Retrieve a keyword."""
    return keyword_resource(await keywords.get_keyword(call.ctx, _id(call.params["id"])))


async def update(call: Call[UpdateKeyword, NoQuery]) -> KeywordResource:
    """Update a keyword."""
    return keyword_resource(await keywords.update_keyword(call.ctx, _id(call.params["id"]), call.body))


async def delete(call: Call[NoBody, NoQuery]) -> Deleted:
    """Delete a keyword."""
    id = _id(call.params["id"])
    await keywords.delete_keyword(call.ctx, id)
    return Deleted(id=ids.encode_id(ids.KEYWORD, id), object="keyword")


async def list_(call: Call[NoBody, ListKeywords]) -> ListOf[KeywordResource]:
    """List keywords."""
    page = await keywords.list_keywords(
        call.ctx,
        call.query.page(ids.KEYWORD),
        list_id=optional_ref(ids.CONTACT_LIST, call.query.list_id, "list_id"),
    )
    return list_of(call.path, page, keyword_resource)


def _id(text: str) -> UUID:
    return ids.find_id(ids.KEYWORD, text, "keyword")
