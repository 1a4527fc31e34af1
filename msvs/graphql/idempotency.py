"""Idempotent mutations: a repeated call returns the result of the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
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
    InvalidRequest,
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
    # Of an entry of many.
    status: int = 0
    entries: list[_Kept] | None = None


# What a call may leave out, and was added after keys were kept.
OPTIONS = (
    "on_unknown",
    "shorten_links",
    "utm",
    "preflight",
    "max_credits",
    "max_drift",
    "ab_test",
    "tags",
    "template_id",
)


def said(data: msgspec.Struct) -> dict[str, object]:
    """Return what a call said, without options that say nothing: keys of the last day do not know them."""
    values = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET}
    for name in OPTIONS:
        if values.get(name) is None:
            values.pop(name, None)
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

    async def operate(ctx: Context) -> _Kept:
        return _Kept(id=(await operation(ctx)).id)

    async def read_kept(ctx: Context, kept: _Kept) -> S:
        assert kept.id is not None, "an answer without an error has an id"
        return await read(ctx, kept.id)

    return await _keep_once(info, key, said, operate, read_kept, shape)


async def mutate_many_once(
    info: Info,
    key: str | None,
    said: object,
    operation: Callable[[Context], Awaitable[Sequence[R | ApiError]]],
    read: Callable[[Context, Sequence[UUID]], Awaitable[Mapping[UUID, S]]],
    shape: Callable[[Sequence[R | S | ApiError]], object],
) -> object:
    """`mutate_once` for an operation that makes many rows, each a row or its error."""
    if key is None:
        return await mutate(info, operation, shape)

    async def operate(ctx: Context) -> _Kept:
        done = await operation(ctx)
        return _Kept(entries=[_kept_error(each) if isinstance(each, ApiError) else _Kept(id=each.id) for each in done])

    async def read_kept(ctx: Context, kept: _Kept) -> Sequence[S | ApiError]:
        entries = kept.entries or []
        rows = await read(ctx, [each.id for each in entries if each.id is not None])
        return [_row_of(each, rows) for each in entries]

    return await _keep_once(info, key, said, operate, read_kept, shape)


def _row_of(kept: _Kept, rows: Mapping[UUID, S]) -> S | ApiError:
    if kept.id is None:
        return _error_of(kept, kept.status)
    return rows.get(kept.id) or NotFound("The message is no longer kept.")


async def _keep_once(
    info: Info,
    key: str,
    said: object,
    operation: Callable[[Context], Awaitable[_Kept]],
    read: Callable[[Context, _Kept], Awaitable[S]],
    shape: Callable[[S], object],
) -> object:
    request = info.context

    async def operate() -> Answer:
        return Answer(200, msgspec.json.encode(await operation(request.ctx)))

    def render(error: ApiError) -> Answer:
        return Answer(error.status, msgspec.json.encode(_kept_error(error)))

    try:
        check_allowed(info)
        check_key(key)
        answer = await answer_once(request.ctx, key, fingerprint("MUTATION", info.field_name, said), operate, render)
        kept = msgspec.json.decode(answer.body, type=_Kept)
        if kept.id is None and kept.entries is None:
            raise _error_of(kept, answer.status)
        found = await read(request.ctx, kept)
    except ApiError as error:
        return as_member(info, error)
    finally:
        request.forget()
    return shape(found)


def _kept_error(error: ApiError) -> _Kept:
    return _Kept(code=error.code, message=error.message, param=error.param, details=error.details, status=error.status)


def _error_of(kept: _Kept, status: int) -> ApiError:
    kind = REFUSALS.get(status, InvalidRequest)
    return kind(kept.message, code=ErrorCode(kept.code), param=kept.param, retry_after=None, **kept.details)
