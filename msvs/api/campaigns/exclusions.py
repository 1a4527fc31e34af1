"""Exclusions: who of an audience gets no message, because of a list, a segment, another campaign or a recent message.

They are looked at when recipients are turned into messages, and by previews and estimates; each one skipped has the
reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple, TypeVar
from uuid import UUID

from tortoise.models import Model

from msvs.api import ids
from msvs.api.contacts.segments import compile_filter
from msvs.api.context import Context
from msvs.api.dispatch.campaign_stats import in_months_of
from msvs.api.dispatch.hand_overs import messages_since
from msvs.api.errors import ErrorCode, InvalidRequest
from msvs.api.scope import scoped
from msvs.fields import LIST_ID, Ref, Request, about, id_pattern
from msvs.models import Campaign, ContactList, Segment
from msvs.models.campaigns import Exclusions

M = TypeVar("M", bound=Model)

MAX_LISTS = 100
MAX_SEGMENTS = 10
MAX_CAMPAIGNS = 100
MAX_DAYS = 365

LIST = "excluded_list"
SEGMENT = "excluded_segment"
CAMPAIGN = "excluded_campaign"
RECENT = "messaged_recently"


class Exclude(Request, frozen=True, kw_only=True):
    """Who of the audience is skipped: anyone to whom at least one of these applies."""

    list_ids: (
        Annotated[
            list[Annotated[str, Ref(ids.CONTACT_LIST), about(pattern=id_pattern(ids.CONTACT_LIST))]],
            about("Members of these lists.", example=[LIST_ID], maxItems=MAX_LISTS),
        ]
        | None
    ) = None
    segment_ids: (
        Annotated[
            list[Annotated[str, Ref(ids.SEGMENT), about(pattern=id_pattern(ids.SEGMENT))]],
            about("Contacts that match one of these segments.", maxItems=MAX_SEGMENTS),
        ]
        | None
    ) = None
    campaign_ids: (
        Annotated[
            list[Annotated[str, Ref(ids.CAMPAIGN), about(pattern=id_pattern(ids.CAMPAIGN))]],
            about("Recipients of these campaigns, without those they skipped.", maxItems=MAX_CAMPAIGNS),
        ]
        | None
    ) = None
    messaged_within_days: (
        Annotated[
            int,
            about("Contacts who got any message in the last so many days.", example=3, minimum=1, maximum=MAX_DAYS),
        ]
        | None
    ) = None


async def check_exclusions(ctx: Context, exclude: Exclude | None, *, own: UUID | None = None) -> Exclusions | None:
    """Return exclusions of the caller's own lists, segments and campaigns as they are stored, or None for none.

    `own` is the campaign that they are for, which cannot exclude itself. Raises InvalidRequest.
    """
    if exclude is None:
        return None
    found: Exclusions = {}
    if lists := await _known(ctx, ContactList, exclude.list_ids, "list_ids", ids.CONTACT_LIST, MAX_LISTS):
        found["list_ids"] = lists
    if segments := await _known(ctx, Segment, exclude.segment_ids, "segment_ids", ids.SEGMENT, MAX_SEGMENTS):
        found["segment_ids"] = segments
    if campaigns := await _known(ctx, Campaign, exclude.campaign_ids, "campaign_ids", ids.CAMPAIGN, MAX_CAMPAIGNS):
        found["campaign_ids"] = campaigns
        if own is not None and ids.encode_id(ids.CAMPAIGN, own) in campaigns:
            raise InvalidRequest("A campaign cannot exclude its own recipients.", param="exclude.campaign_ids")
    days = exclude.messaged_within_days
    if days is not None:
        if not 1 <= days <= MAX_DAYS:
            param = "exclude.messaged_within_days"
            raise InvalidRequest(
                f"{param} must be from 1 to {MAX_DAYS}.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
            )
        found["messaged_within_days"] = days
    return found or None


async def _known(
    ctx: Context,
    model: type[ContactList] | type[Segment] | type[Campaign],
    texts: Sequence[str] | None,
    name: str,
    prefix: str,
    most: int,
) -> list[str]:
    """Return the ids of rows that exist, each once, in the order given. Raises InvalidRequest."""
    noun = "list" if model is ContactList else model.__name__.lower()
    found = await known_ids(ctx, model, texts, param=f"exclude.{name}", prefix=prefix, noun=noun, most=most)
    return [ids.encode_id(prefix, id) for id in found]


async def known_ids(
    ctx: Context, model: type[M], texts: Sequence[str] | None, *, param: str, prefix: str, noun: str, most: int
) -> list[UUID]:
    """Return the ids that a request gives of the caller's rows, each once, in the order given. Raises InvalidRequest.

    At most `most` may be given, and each row must exist.
    """
    if not texts:
        return []
    if len(texts) > most:
        raise InvalidRequest(
            f"{param} may have at most {most} ids.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    wanted = [ids.read_id(prefix, text, f"{param}[{place}]") for place, text in enumerate(texts)]
    known = set(await scoped(ctx, model).filter(id__in=wanted).values_list("id", flat=True))
    for place, id in enumerate(wanted):
        if id not in known:
            raise InvalidRequest(
                f"No such {noun}: '{texts[place]}'.", param=f"{param}[{place}]", code=ErrorCode.RESOURCE_MISSING
            )
    return list(dict.fromkeys(wanted))


async def check_kept(ctx: Context, exclusions: Exclusions | None) -> None:
    """Check that the lists, segments and campaigns of stored exclusions still exist. Raises InvalidRequest."""
    if exclusions:
        await check_exclusions(ctx, Exclude(**exclusions))


async def find_kept(ctx: Context, exclusions: Exclusions | None) -> Exclusions | None:
    """Return stored exclusions without the lists, segments and campaigns that are gone."""
    if not exclusions:
        return None
    found: Exclusions = {}
    if lists := await _existing(ctx, ContactList, exclusions.get("list_ids"), ids.CONTACT_LIST):
        found["list_ids"] = lists
    if segments := await _existing(ctx, Segment, exclusions.get("segment_ids"), ids.SEGMENT):
        found["segment_ids"] = segments
    if campaigns := await _existing(ctx, Campaign, exclusions.get("campaign_ids"), ids.CAMPAIGN):
        found["campaign_ids"] = campaigns
    if days := exclusions.get("messaged_within_days"):
        found["messaged_within_days"] = days
    return found or None


async def _existing(
    ctx: Context, model: type[ContactList] | type[Segment] | type[Campaign], texts: Sequence[str] | None, prefix: str
) -> list[str]:
    if not texts:
        return []
    known = set(await scoped(ctx, model).filter(id__in=_uuids(prefix, texts)).values_list("id", flat=True))
    return [text for text in texts if ids.decode_id(prefix, text) in known]


class Exclusion(NamedTuple):
    """The reason why contact `c` is excluded, as an expression of SQL that is NULL for others, and its parameters."""

    sql: str = "NULL"
    values: Sequence[object] = ()


NOBODY = Exclusion()

# Subqueries of one row: PostgreSQL may answer an EXISTS by reading all members of a list first.
IN_LISTS = "(SELECT true FROM list_members AS lm WHERE lm.contact_id = c.id AND lm.list_id = ANY ({}) LIMIT 1)"
# The campaign is compared as text so that the contact's messages are read, and not the campaign's.
IN_CAMPAIGNS = (
    "(SELECT true FROM messages WHERE messages.contact_id = c.id AND messages.campaign_id::text = ANY ({texts})"
    " AND messages.status NOT IN ('skipped', 'canceled') AND {in_months} LIMIT 1)"
    " OR (SELECT true FROM campaign_recipients AS cr WHERE cr.campaign_id = ANY ({uuids}) AND cr.phone = c.phone"
    " LIMIT 1)"
)


async def find_exclusion(
    ctx: Context, exclusions: Exclusions | None, now: datetime, *, first_parameter: int
) -> Exclusion:
    """Return the reasons of exclusions at a time, with parameters from `$first_parameter` on."""
    if not exclusions:
        return NOBODY
    values: list[object] = []

    def bind(value: object, type: str) -> str:
        values.append(value)
        return f"${first_parameter + len(values) - 1}::{type}"

    cases = []
    if texts := exclusions.get("list_ids"):
        cases.append((IN_LISTS.format(bind(_uuids(ids.CONTACT_LIST, texts), "uuid[]")), LIST))
    if texts := exclusions.get("segment_ids"):
        for segment in await scoped(ctx, Segment).filter(id__in=_uuids(ids.SEGMENT, texts)).order_by("id"):
            compiled = compile_filter(segment.conditions, first_parameter=first_parameter + len(values))
            values += compiled.values
            cases.append((compiled.sql, SEGMENT))
    if texts := exclusions.get("campaign_ids"):
        campaigns = _uuids(ids.CAMPAIGN, texts)
        condition = IN_CAMPAIGNS.replace("{texts}", bind([str(each) for each in campaigns], "text[]"))
        cases.append((in_months_of(campaigns, condition.replace("{uuids}", bind(campaigns, "uuid[]"))), CAMPAIGN))
    if days := exclusions.get("messaged_within_days"):
        since = now - timedelta(days=days)
        cases.append((f"EXISTS ({messages_since('c.id', since, bind(since, 'timestamptz'))} LIMIT 1)", RECENT))
    if not cases:
        return NOBODY
    whens = " ".join(f"WHEN {condition} THEN '{code}'" for condition, code in cases)
    return Exclusion(f"CASE WHEN c.id IS NULL THEN NULL {whens} END", values)


def _uuids(prefix: str, texts: Sequence[str]) -> list[UUID]:
    found = (ids.decode_id(prefix, text) for text in texts)
    return [value for value in found if value is not None]
