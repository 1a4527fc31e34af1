"""What an endpoint is: one row of the table from which routes and the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

from msvs.api.context import Context
from msvs.api.errors import ApiError
from msvs.api.limits import Bucket
from msvs.rest_compat.schemas import NoBody, NoQuery

B = TypeVar("B", bound=msgspec.Struct)
Q = TypeVar("Q", bound=msgspec.Struct)

Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """A decoded request: the caller, the path with its parameters, the body and the query."""

    ctx: Context
    path: str
    params: Mapping[str, str]
    body: B
    query: Q


Handler = Callable[[Call[Any, Any]], Awaitable[msgspec.Struct]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    `response` is the shape of a success, `errors` are the refusals beyond those every endpoint may give (400, 401,
    429 and 5xx), `bucket` is the rate limit it draws on. `single_statement` marks an operation that
    writes in one statement of its own and needs no transaction around it.
    """

    method: Method
    path: str
    operation_id: str
    tag: str
    summary: str
    handler: Handler
    body: type[msgspec.Struct] = NoBody
    query: type[msgspec.Struct] = NoQuery
    response: Any
    status: int = 200
    errors: tuple[type[ApiError], ...] = ()
    bucket: Bucket = Bucket.REQUESTS
    single_statement: bool = False

    @property
    def idempotent(self) -> bool:
        """Whether the endpoint honours Idempotency-Key."""
        return self.method != "GET"
