"""What is the same for all workspaces: the codes of errors, and the regions."""

from __future__ import annotations

import strawberry

from msvs.api.catalogue import ERRORS, FAILURE_CODES, doc_url
from msvs.api.text import regions
from msvs.api.text.quiet_hours import Hours
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


@strawberry.type(description="The hours of a day at which campaigns reach people, in the recipient's time zone.")
class OpenHours:
    opens: str = strawberry.field(description="The time from which messages are sent, such as `08:00`.")
    closes: str = strawberry.field(description="The time from which messages wait for the next day.")

    @classmethod
    def from_hours(cls, hours: Hours) -> OpenHours:
        """Return the type of a rule's hours."""
        return cls(opens=hours.opens.isoformat("minutes"), closes=hours.closes.isoformat("minutes"))


@strawberry.type(description="A region that phone numbers belong to.")
class Region:
    code: str = strawberry.field(description="The ISO 3166-1 code.")
    calling_code: int = strawberry.field(description="The calling code, without the plus sign.")
    main_region: str | None = strawberry.field(
        description="The country that shares its calling code with this dependency of it. Where messages to that"
        " country are blocked or off, those to this region are too. Null if there is none."
    )
    is_blocked: bool = strawberry.field(
        description="Whether nothing is ever sent there, even if a workspace enables it."
    )
    is_off_until_enabled: bool = strawberry.field(
        description="Whether nothing is sent there until the workspace lists the region in `enabledRegions`."
    )
    weekday_hours: OpenHours = strawberry.field(description="The hours of campaigns from Monday to Friday.")
    weekend_hours: OpenHours = strawberry.field(description="The hours of campaigns on Saturday and Sunday.")
    closed_weekdays: list[int] = strawberry.field(
        description="The weekdays on which campaigns wait, from 0 for Monday to 6 for Sunday."
    )
    is_closed_on_holidays: bool = strawberry.field(description="Whether campaigns wait on public holidays.")
    hours_source: str = strawberry.field(description="The law or practice that the hours follow.")


@strawberry.type
class CatalogueQuery:
    @field("All regions that have phone numbers, the same for all workspaces, ordered by code.")
    async def regions(self) -> list[Region]:
        return [
            Region(
                code=row.code,
                calling_code=row.calling_code,
                main_region=row.main_region,
                is_blocked=row.is_blocked,
                is_off_until_enabled=row.is_off,
                weekday_hours=OpenHours.from_hours(row.rule.weekday),
                weekend_hours=OpenHours.from_hours(row.rule.weekend),
                closed_weekdays=sorted(row.rule.closed_weekdays),
                is_closed_on_holidays=row.rule.holidays_of is not None,
                hours_source=row.rule.source,
            )
            for row in regions.list_regions()
        ]

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
