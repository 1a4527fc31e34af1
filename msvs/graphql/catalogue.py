"""The catalogue of errors: every code that a caller may receive."""

from __future__ import annotations

import strawberry

from msvs.api.catalogue import ERRORS, FAILURE_CODES, doc_url
from msvs.graphql.context import Info
from msvs.graphql.fields import field


@strawberry.type(description="A code of a refused request.")
class ErrorCode:
    code: str = strawberry.field(description="The code.")
    type: str = strawberry.field(description="The kind of error, at the first of its statuses.")
    types: list[str] = strawberry.field(description="The kind of error at each of its statuses, in their order.")
    statuses: list[int] = strawberry.field(description="The HTTP statuses it comes with.")
    when: str = strawberry.field(description="When it occurs.")
    action: str = strawberry.field(description="What to do about it.")
    doc_url: str = strawberry.field(description="The documentation page.")
    is_graphql_only: bool = strawberry.field(description="Whether it occurs only in GraphQL, never in REST.")


@strawberry.type(description="A code of a message that failed, was canceled by the service or was skipped.")
class FailureCode:
    code: str = strawberry.field(description="The code.")
    when: str = strawberry.field(description="When it occurs.")
    action: str = strawberry.field(description="What to do about it.")


@strawberry.type(description="Every code that a caller may receive.")
class ErrorCatalogue:
    errors: list[ErrorCode] = strawberry.field(description="Codes of refused requests.")
    failures: list[FailureCode] = strawberry.field(description="Codes of messages.")


@strawberry.type
class CatalogueQuery:
    @field("All error codes and failure codes, the same for all workspaces.")
    async def error_catalogue(self, info: Info) -> ErrorCatalogue:
        base_url = info.context.caller.visitor.services.base_url
        return ErrorCatalogue(
            errors=[
                ErrorCode(
                    code=row.code,
                    type=row.type(row.statuses[0]),
                    types=[row.type(status) for status in row.statuses],
                    statuses=list(row.statuses),
                    when=row.when,
                    action=row.action,
                    doc_url=doc_url(row.code, base_url),
                    is_graphql_only=row.is_dashboard,
                )
                for row in ERRORS.values()
            ],
            failures=[FailureCode(code=row.code, when=row.when, action=row.action) for row in FAILURE_CODES.values()],
        )
