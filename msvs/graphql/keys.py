"""API keys: types, queries and mutations."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import keys
from msvs.api.errors import NotFound
from msvs.api.permissions import Permission, allow, shown_scopes
from msvs.api.resources import ApiKeyResource
from msvs.graphql.context import Info
from msvs.graphql.errors import ConflictError, InvalidRequestError, NotFoundError, PermissionRefusedError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.nodes import Node, load_kind, register
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import ApiKey as ApiKeyRow
from msvs.models import rows


@resource_type(ApiKeyResource, "An API key, without its secret text.")
class ApiKey(Node):
    livemode: bool
    name: str
    prefix: str
    last4: str
    scopes: list[str]
    allowed_ips: list[str] | None
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def from_row(cls, row: rows.ApiKeyRow) -> ApiKey:
        """Return the type of a row."""
        return from_row(cls, row, id=ID(ids.encode_id(ids.API_KEY, row.id)), scopes=shown_scopes(row.scopes))


async def _load(info: Info, id: UUID) -> ApiKey | None:
    allow(info.context.ctx, Permission.KEYS_READ)
    try:
        return ApiKey.from_row(await keys.get_key(info.context.ctx, id))
    except NotFound:
        return None


register(ids.API_KEY, _load)


@strawberry.type(description="An API key with its secret text, which is shown only once.")
class ApiKeyWithText:
    api_key: ApiKey = strawberry.field(description="The key.")
    key: str = strawberry.field(description="The secret text of the key. It is not shown again.")


CreateApiKeyResult = Annotated[
    ApiKeyWithText | InvalidRequestError | PermissionRefusedError,
    strawberry.union("CreateApiKeyResult", description="The new key with its secret text, or an error."),
]
RollApiKeyResult = Annotated[
    ApiKeyWithText | InvalidRequestError | NotFoundError | ConflictError | PermissionRefusedError,
    strawberry.union("RollApiKeyResult", description="The new key with its secret text, or an error."),
]
RevokeApiKeyResult = Annotated[
    ApiKey | NotFoundError | PermissionRefusedError,
    strawberry.union("RevokeApiKeyResult", description="The key, revoked, or an error."),
]

KeyId = Annotated[ID, strawberry.argument(description="The key's id.")]


@strawberry.type
class KeyQuery:
    @field("An API key by its id; null if there is none.")
    async def api_key(self, info: Info, id: KeyId) -> ApiKey | None:
        return await load_kind(info, id, ApiKey, ids.API_KEY)

    @field("The API keys of this mode, newest first, including revoked ones.")
    async def api_keys(self, info: Info) -> list[ApiKey]:
        allow(info.context.ctx, Permission.KEYS_READ)
        return [ApiKey.from_row(row) for row in await keys.list_keys(info.context.ctx)]


@strawberry.type
class KeyMutation:
    @mutation(CreateApiKeyResult, "Create an API key of this mode.")
    async def create_api_key(
        self,
        info: Info,
        name: Annotated[str, strawberry.argument(description="Its purpose, at most 100 characters.")] = "",
        scopes: Annotated[
            list[str] | None, strawberry.argument(description="The scopes of the key; all scopes if left out.")
        ] = None,
        allowed_ips: Annotated[
            list[str] | None,
            strawberry.argument(
                description="The networks from which the key works, such as 203.0.113.0/24; all networks if left out."
            ),
        ] = None,
        expires_at: Annotated[
            datetime | None, strawberry.argument(description="When the key expires; never if left out.")
        ] = None,
    ) -> object:
        return await mutate(
            info,
            lambda ctx: keys.issue_key(ctx, name=name, scopes=scopes, allowed_ips=allowed_ips, expires_at=expires_at),
            _with_text,
        )

    @mutation(RollApiKeyResult, "Replace a key; the old one keeps working for a while.")
    async def roll_api_key(
        self,
        info: Info,
        id: KeyId,
        expires_in_hours: Annotated[
            int, strawberry.argument(description="How long the old key keeps working: 0 to 168 hours.")
        ] = 24,
    ) -> object:
        return await mutate(
            info, lambda ctx: keys.roll_key(ctx, _id(id), expires_in=_hours(expires_in_hours)), _with_text
        )

    @mutation(RevokeApiKeyResult, "Revoke a key; every process refuses it within a second.")
    async def revoke_api_key(self, info: Info, id: KeyId) -> object:
        return await mutate(info, lambda ctx: keys.revoke_key(ctx, _id(id)), ApiKey.from_row)


def _with_text(made: tuple[ApiKeyRow, str]) -> ApiKeyWithText:
    row, text = made
    return ApiKeyWithText(api_key=ApiKey.from_row(row), key=text)


def _hours(hours: int) -> timedelta:
    return timedelta(hours=hours)


def _id(text: str) -> UUID:
    return ids.find_id(ids.API_KEY, text, "API key")
