"""Idempotent mutations: a repeated call returns the result of the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

import msgspec
import strawberry

from msvs.api.context import Context
from msvs.api.errors import (
    ApiError,
    ComplianceRefused,
    Conflict,
    ErrorCode,
    NotFound,
    PaymentRequired,
    PermissionDenied,
)
from msvs.api.idempotency import Answer, answer_once, check_key, fingerprint
from msvs.graphql.context import Info
from msvs.graphql.errors import as_member, check_allowed, mutate
from msvs.json_types import JSON


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


R = TypeVar("R", bound=_Identified)
S = TypeVar("S")

IdempotencyKey = Annotated[
    str | None,
    strawberry.argument(
        description="1 to 255 printable ASCII characters. The same key and input within 24 hours answer what the first "
        "call did and do nothing more; a key belongs to one call, of GraphQL or REST."
    ),
]


# What a kept answer of this status was.
REFUSALS: Mapping[int, type[ApiError]] = {
    kind.status: kind for kind in (PaymentRequired, PermissionDenied, NotFound, Conflict, ComplianceRefused)
}


class _Kept(msgspec.Struct):
    """The stored part of an answer: the new row, or the error."""

    id: UUID | None = None
    code: str = ""
    message: str = ""
    param: str | None = None
    details: dict[str, JSON] = {}


def said(data: msgspec.Struct) -> dict[str, object]:
    """Return what a call said, without an `on_unknown` that says nothing: keys of the last day do not know it."""
    values = msgspec.structs.asdict(data)
    if values.get("on_unknown") is None:
        values.pop("on_unknown", None)
    return values


async def mutate_once(
    info: Info,
    key: str | None,
    said: object,
    operation: Callable[[Context], Awaitable[R]],
    read: Callable[[Context, UUID], Awaitable[S]],
    shape: Callable[[R | S], object],
) -> object:
    """`mutate`, with what came of it kept under `key`; called again, it reads the row as it now is.

    `said` is what a call with the same key must say again.
    """
    if key is None:
        return await mutate(info, operation, shape)
    request = info.context

    async def operate() -> Answer:
        row = await operation(request.ctx)
        return Answer(200, msgspec.json.encode(_Kept(id=row.id)))

    def render(error: ApiError) -> Answer:
        kept = _Kept(code=error.code, message=error.message, param=error.param, details=error.details)
        return Answer(error.status, msgspec.json.encode(kept))

    try:
        check_allowed(info)
        check_key(key)
        answer = await answer_once(request.ctx, key, fingerprint("MUTATION", info.field_name, said), operate, render)
        kept = msgspec.json.decode(answer.body, type=_Kept)
        if kept.id is None:
            raise REFUSALS[answer.status](
                kept.message, code=ErrorCode(kept.code), param=kept.param, retry_after=None, **kept.details
            )
        row = await read(request.ctx, kept.id)
    except ApiError as error:
        return as_member(info, error)
    finally:
        request.forget()
    return shape(row)
