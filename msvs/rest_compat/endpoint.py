"""An endpoint: one row of the table from which the routes and the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Generic, Literal, Never, TypeVar

import msgspec

from msvs.api.context import Context
from msvs.api.errors import ApiError
from msvs.api.limits import Bucket
from msvs.http.multipart import Upload
from msvs.rest_compat.schemas import NoBody, NoQuery

B = TypeVar("B", bound=msgspec.Struct, covariant=True)
Q = TypeVar("Q", bound=msgspec.Struct, covariant=True)

Method = Literal["GET", "POST", "DELETE"]


@dataclass(frozen=True, slots=True)
class Form:
    """A form that came as a body: its options and its file."""

    options: Mapping[str, object]
    upload: Upload


@dataclass(frozen=True, slots=True)
class Call(Generic[B, Q]):
    """A decoded request: the caller, the path with its parameters, the body and the query, and a form in its place."""

    ctx: Context
    path: str
    params: Mapping[str, str]
    body: B
    query: Q
    upload: Form | None = None


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Since when an operation is deprecated, when it may go, and the page that says what to use instead.

    Both times are aware, and twelve months or more apart. Sources: RFC 9745 (Deprecation), RFC 8594 (Sunset).
    """

    announced_at: datetime
    sunset_at: datetime
    link: str

    def __post_init__(self) -> None:
        """Keep the promise of the API document: at least twelve months."""
        announced, sunset = (at.astimezone(UTC) for at in (self.announced_at, self.sunset_at))
        if (sunset.year - 1, sunset.month, sunset.day) < (announced.year, announced.month, announced.day):
            raise ValueError("What is deprecated stays for at least twelve months after it was announced.")

    def headers(self) -> dict[str, str]:
        """Return the response headers that tell of it, by name."""
        return {
            "Deprecation": f"@{int(self.announced_at.timestamp())}",
            "Sunset": format_datetime(self.sunset_at.astimezone(UTC), usegmt=True),
            "Link": f'<{self.link}>; rel="deprecation"; type="text/html"',
        }


# What a call may hold is the handler's to say; the endpoint names the same structs as `body` and `query`.
Handler = Callable[[Call[Never, Never]], Awaitable[msgspec.Struct]]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    `response` is the shape of a success, `errors` are the refusals beyond those every endpoint may give (400, 401,
    429 and 5xx), `bucket` is the rate limit it draws on, `counts_as` the number of requests that a body counts as.
    `single_statement` marks an operation that writes in one statement of its own and needs no transaction around it;
    `deprecated` one that is to go. `finish` goes on with an answer, new or replayed, once its transaction has
    committed: what waits for the network.
    """

    method: Method
    path: str
    operation_id: str
    tag: str
    summary: str
    handler: Handler
    body: type[msgspec.Struct] = NoBody
    query: type[msgspec.Struct] = NoQuery
    response: type[msgspec.Struct]
    status: int = 200
    errors: tuple[type[ApiError], ...] = ()
    bucket: Bucket = Bucket.REQUESTS
    counts_as: Callable[[Never], int] | None = None
    single_statement: bool = False
    deprecated: Deprecation | None = None
    finish: Callable[[Context, bytes], Awaitable[msgspec.Struct]] | None = None
    # What answers where the body is a form with a file, and the struct of its options.
    form_handler: Handler | None = None
    form: type[msgspec.Struct] | None = None

    @property
    def idempotent(self) -> bool:
        """Whether the endpoint honors Idempotency-Key."""
        return self.method != "GET"
