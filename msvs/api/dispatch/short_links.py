"""Short links: read the template of a body with links, and write the links of messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from msvs.api.context import Services
from msvs.api.dispatch.new_messages import NewLink, NewMessage
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.text.links import LinkedTemplate, LinkRefused, Tag, link_template, new_codes
from msvs.api.text.rendering import read_template
from msvs.api.text.templates import Template
from msvs.database import copy_rows, execute
from msvs.fields import Request, about, named

MAX_UTM = 100
ShortenLinks = Annotated[
    bool,
    about(
        "Whether the links of the body are replaced by short links, one for each recipient, whose clicks are counted."
        " Their hosts must be public names. False if it is left out."
    ),
]
_Value = Annotated[str, about(**named(MAX_UTM))]


class Utm(Request, frozen=True, kw_only=True):
    """UTM parameters that are added to each shortened link which does not have them yet."""

    source: Annotated[_Value, about("`utm_source`.", example="sms")] | None = None
    medium: Annotated[_Value, about("`utm_medium`.", example="text")] | None = None
    campaign: Annotated[_Value, about("`utm_campaign`.", example="cohort_06_close")] | None = None
    term: Annotated[_Value, about("`utm_term`.")] | None = None
    content: Annotated[_Value, about("`utm_content`.")] | None = None


def check_utm(utm: Utm | None) -> dict[str, str] | None:
    """Return UTM parameters as a campaign keeps them; None where there are none. Raises InvalidRequest."""
    if utm is None:
        return None
    found = {name: getattr(utm, name) for name in Utm.__struct_fields__}
    for name, value in found.items():
        if value is not None and (not value.strip() or len(value) > MAX_UTM):
            raise InvalidRequest(
                f"utm.{name} must have from 1 to {MAX_UTM} characters.",
                param=f"utm.{name}",
                code=ErrorCode.PARAMETER_OUT_OF_RANGE,
            )
    return {name: value for name, value in found.items() if value is not None} or None


def body_template(
    services: Services,
    body: str,
    *,
    shorten_links: bool,
    utm: Mapping[str, str] | None = None,
    is_literal: bool = False,
) -> Template:
    """Read the template of a body, with its links marked where they are to be shortened. Raises InvalidRequest."""
    template = read_template(body, is_literal=is_literal)
    if not shorten_links or is_literal:
        return template
    tags = tuple(Tag(f"utm_{name}", value) for name, value in (utm or {}).items())
    try:
        return link_template(body, services.link_base, tags)
    except LinkRefused as refused:
        raise InvalidRequest(str(refused), param="body", code=ErrorCode.URL_INVALID) from None


def make_links(template: Template, values: Mapping[str, str]) -> tuple[NewLink, ...]:
    """Make the short links of a body for one recipient, each with a new code."""
    if not isinstance(template, LinkedTemplate):
        return ()
    return new_links(template.urls(values))


def new_links(urls: Sequence[str]) -> tuple[NewLink, ...]:
    """Return links to these addresses in their order, each with a new code."""
    codes = new_codes(len(urls))
    return tuple(NewLink(code, position, url) for position, (code, url) in enumerate(zip(codes, urls, strict=True)))


LINK_COLUMNS = (
    "code",
    "workspace_id",
    "livemode",
    "message_id",
    "campaign_id",
    "contact_id",
    "position",
    "url",
    "variant",
    "clicks",
    "created_at",
    "expires_at",
)
INSERT_LINKS = f"""
INSERT INTO short_links ({", ".join(LINK_COLUMNS)})
SELECT * FROM unnest($1::varchar[], $2::uuid[], $3::bool[], $4::uuid[], $5::uuid[], $6::uuid[], $7::smallint[],
    $8::text[], $9::smallint[], $10::int[], $11::timestamptz[], $12::timestamptz[])
"""
LinkRow = Sequence[object]


def link_rows(
    links: Iterable[NewLink],
    days: int,
    *,
    workspace_id: UUID,
    livemode: bool,
    message_id: UUID,
    campaign_id: UUID | None,
    contact_id: UUID | None,
    variant: int | None = None,
    due_at: datetime,
    now: datetime,
) -> list[LinkRow]:
    """Return the rows of a message's links, which lead somewhere for so many days after it is due."""
    owner = (workspace_id, livemode, message_id, campaign_id, contact_id)
    expires_at = due_at + timedelta(days=days)
    return [(link.code, *owner, link.position, link.url, variant, 0, now, expires_at) for link in links]


async def insert_links(services: Services, messages: Iterable[NewMessage]) -> None:
    """Write the links of messages in the transaction that writes them."""
    rows = [
        row
        for message in messages
        for row in link_rows(
            message.links,
            services.link_days,
            workspace_id=message.workspace_id,
            livemode=message.livemode,
            message_id=message.id,
            campaign_id=message.campaign_id,
            contact_id=message.contact_id,
            due_at=message.due_at,
            now=message.created_at,
        )
    ]
    if rows:
        await execute(INSERT_LINKS, *map(list, zip(*rows, strict=True)))


async def copy_links(rows: Sequence[LinkRow]) -> None:
    """Write many rows of links in one go."""
    if rows:
        await copy_rows("short_links", LINK_COLUMNS, rows)
