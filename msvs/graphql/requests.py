"""The log of requests made with API keys: type and query."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypedDict
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.accounts import request_log
from msvs.api.accounts.request_log import API_REQUEST
from msvs.graphql.connections import After, Before, Connection, First, Last, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.inputs import optional_ref
from msvs.graphql.nodes import Node, register_rows
from msvs.graphql.shapes import from_row
from msvs.models import ApiRequest as ApiRequestRow
from msvs.models import rows


@strawberry.type(description="One request made with an API key. Its query, body and answer are never kept.")
class ApiRequest(Node):
    livemode: bool = strawberry.field(description="Whether it was a live key.")
    api_key_id: ID = strawberry.field(description="The key that made the request.")
    request_id: ID = strawberry.field(description="The id of the request, as in `X-Request-Id` of its answer.")
    method: str = strawberry.field(description="The HTTP method.")
    path: str = strawberry.field(description="The path, cut to 200 characters.")
    status: int = strawberry.field(description="The HTTP status of the answer; 499 if the client had disconnected.")
    error_code: str | None = strawberry.field(description="The error's code; null if there was none.")
    elapsed_ms: int = strawberry.field(description="The time to the answer, in milliseconds.")
    created_at: datetime = strawberry.field(description="When it was answered.")

    @classmethod
    def from_row(cls, row: rows.ApiRequestRow) -> ApiRequest:
        """Return the type of a row."""
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(API_REQUEST, row.id)),
            api_key_id=ID(ids.encode_id(ids.API_KEY, row.api_key_id)),
            request_id=ID(row.request_id),
        )


register_rows(API_REQUEST, ApiRequestRow, ApiRequest.from_row)


@strawberry.input(description="Filters requests; a request must meet every condition.")
class ApiRequestFilter:
    api_key_id: ID | None = strawberry.field(default=None, description="The key that made the request.")
    method: str | None = strawberry.field(default=None, description="The method, such as `POST`.")
    status: int | None = strawberry.field(default=None, description="The status of the answer.")
    failed: bool | None = strawberry.field(
        default=None, description="True for statuses of 400 and above, false for those below."
    )
    path: str | None = strawberry.field(default=None, description="The beginning of the path.")
    request_id: ID | None = strawberry.field(
        default=None, description="The id of the request, as in `X-Request-Id` of its answer."
    )


class _Conditions(TypedDict):
    """The conditions of `list_requests`."""

    api_key_id: UUID | None
    method: str | None
    status: int | None
    failed: bool | None
    path: str | None
    request_id: str | None


@strawberry.type
class RequestQuery:
    @field(
        "Requests made with API keys in the last seven days, newest first: REST, GraphQL and the Twilio-compatible"
        " API. A request appears a second after its answer."
    )
    async def api_requests(
        self,
        info: Info,
        filter: Annotated[ApiRequestFilter | None, strawberry.argument(description="The filter.")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ApiRequest]:
        ctx = info.context.ctx
        which = filter or ApiRequestFilter()
        request = read_page(API_REQUEST, first, after, last, before)
        conditions: _Conditions = {
            "api_key_id": optional_ref(ids.API_KEY, which.api_key_id, "filter.apiKeyId"),
            "method": which.method,
            "status": which.status,
            "failed": which.failed,
            "path": which.path,
            "request_id": which.request_id,
        }
        page = await request_log.list_requests(ctx, request, **conditions)
        return connect(
            API_REQUEST, request, page, ApiRequest.from_row, lambda: request_log.count_requests(ctx, **conditions)
        )
