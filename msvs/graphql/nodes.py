"""The node interface, and the type that belongs to each id prefix."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Never, TypeVar
from uuid import UUID

import strawberry
from strawberry import ID
from tortoise.models import Model

from msvs.api import ids
from msvs.api.accounts.request_log import API_REQUEST
from msvs.api.contacts.suppressions import SUPPRESSION
from msvs.api.context import Context
from msvs.api.credits.gateway import PURCHASE
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.inbound.canned_answers import CANNED_ANSWER
from msvs.api.pages import MAX_LIMIT
from msvs.api.permissions import Permission, allow
from msvs.api.resources import CONTACT_NOTE
from msvs.graphql.context import Info
from msvs.graphql.fields import field


@strawberry.interface(
    description="An object with an id. Ids are the same as in the REST API, and their prefix tells the type."
)
class Node:
    id: ID = strawberry.field(
        description="The id, whose prefix tells the type: that of a message is `msg_01HYZ8K5VQAE2N0PWQ6DC9V8MP`."
    )


M = TypeVar("M", bound=Model)
N = TypeVar("N", bound=Node)
Load = Callable[[Info, UUID], Awaitable[Node | None]]

# What it takes to learn whether there is such a thing, by the prefix of its id.
READS: Mapping[str, Permission] = {
    **dict.fromkeys((ids.MESSAGE, ids.INBOUND, CANNED_ANSWER), Permission.MESSAGES_READ),
    **dict.fromkeys((ids.CAMPAIGN, ids.SEQUENCE, ids.ENROLLMENT, ids.TEMPLATE, ids.SNIPPET), Permission.CAMPAIGNS_READ),
    ids.CONVERSION: Permission.CONVERSIONS_READ,
    ids.ORDER_HOOK: Permission.WORKSPACE_READ,
    **dict.fromkeys(
        (ids.CONTACT, ids.CONTACT_LIST, ids.SEGMENT, ids.KEYWORD, SUPPRESSION, CONTACT_NOTE, ids.IMPORT, ids.LIST_SYNC),
        Permission.CONTACTS_READ,
    ),
    **dict.fromkeys((ids.WEBHOOK, ids.ATTEMPT), Permission.WEBHOOKS_READ),
    **dict.fromkeys((ids.EVENT, API_REQUEST), Permission.EVENTS_READ),
    **dict.fromkeys((ids.WORKSPACE, ids.SENDER), Permission.WORKSPACE_READ),
    PURCHASE: Permission.CREDITS_READ,
    ids.EXPORT: Permission.EXPORTS_READ,
    **dict.fromkeys((ids.TAG, ids.BULK_ACTION), Permission.CONTACTS_READ),
    ids.API_KEY: Permission.KEYS_READ,
    ids.USER: Permission.MEMBERS_READ,
}

# Filled as the files of the types are imported, and never after.
_kinds: dict[str, Load] = {}
_shapes: dict[str, Callable[[Never], Node]] = {}


def register(prefix: str, load: Load) -> None:
    """Have ids with `prefix` looked up by `load`, which answers None for what is not the caller's."""
    _kinds[prefix] = load


def register_rows(
    prefix: str, model: type[M], shape: Callable[[M], Node], *, check: Callable[[Context, M], object] | None = None
) -> None:
    """Load ids with `prefix` from a table that has a workspace and a mode.

    `check` raises PermissionDenied for a row that needs more than the permission to read its kind.
    """

    async def load(info: Info, id: UUID) -> Node | None:
        row = await info.context.loaders.row(model, id)
        if row is None:
            return None
        if check is not None:
            check(info.context.ctx, row)
        return shape(row)

    register(prefix, load)
    _shapes[prefix] = shape


def shape_of(prefix: str) -> Callable[[Never], Node]:
    """Return what makes the type of a row of ids with `prefix`, for files that do not import each other.

    The caller says by a cast which rows it takes and what it makes.
    """
    return _shapes[prefix]


async def load_node(info: Info, text: str, *, prefix: str | None = None) -> Node | None:
    """Load the caller's node with this id (of this prefix, where one is named), or None.

    Many at once are read together.
    """
    found = text.partition("_")[0]
    load = _kinds.get(found)
    id = ids.decode_id(found, text)
    if load is None or id is None or prefix not in (None, found):
        return None
    allow(info.context.ctx, READS[found])
    return await load(info, id)


async def load_kind(info: Info, text: str, kind: type[N], prefix: str) -> N | None:
    """Load the caller's node with this id of this prefix, whose type is `kind`, or None if there is none."""
    found = await load_node(info, text, prefix=prefix)
    assert found is None or isinstance(found, kind), prefix
    return found


@strawberry.type
class NodeQuery:
    @field("Any object by its id; null if it does not exist in this workspace and mode.")
    async def node(self, info: Info, id: Annotated[ID, strawberry.argument(description="The id.")]) -> Node | None:
        return await load_node(info, id)

    @field("Objects by their ids, in the same order; null for those that do not exist.")
    async def nodes(
        self, info: Info, ids: Annotated[list[ID], strawberry.argument(description="At most 100 ids.")]
    ) -> list[Node | None]:
        if len(ids) > MAX_LIMIT:
            raise InvalidRequest(
                f"ids holds at most {MAX_LIMIT} ids.", param="ids", code=ErrorCode.PARAMETER_OUT_OF_RANGE
            )
        return await asyncio.gather(*(load_node(info, id) for id in ids))
