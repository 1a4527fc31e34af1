"""Audiences: fix the recipients of a campaign when it starts, and turn them into messages chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import NamedTuple, Protocol
from uuid import UUID

import asyncpg
import phonenumbers
from uuid_utils import uuid7

from msvs.api import ids, settings_of_mode
from msvs.api.campaigns.budgets import plan_credits
from msvs.api.campaigns.exclusions import Exclusion, find_exclusion
from msvs.api.campaigns.row_encoder import MESSAGE_COLUMNS, VARIANT_COLUMNS, RowEncoder, Text
from msvs.api.campaigns.variants import VARIANT, Content, bounds_of, contents_of, estimated_segments
from msvs.api.contacts.segments import compile_filter
from msvs.api.context import Context, Services
from msvs.api.credits import rates
from msvs.api.dispatch.eligibility import skip_reason
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.dispatch.senders import find_last, find_pool, is_usable
from msvs.api.dispatch.short_links import LinkRow, copy_links, link_rows, new_links
from msvs.api.errors import ComplianceRefused, ErrorCode, InvalidRequest
from msvs.api.scope import scoped
from msvs.api.text import quiet_hours
from msvs.api.text.compliance import check_destination, is_in_blocked_range
from msvs.api.text.links import LinkedTemplate
from msvs.api.text.phones import Phone, parse_phone, region_of
from msvs.api.text.rendering import CONTACT_FIELDS, HasAttributes, NotRenderable, contact_values, render
from msvs.api.text.sms import Encoding
from msvs.api.text.templates import Template
from msvs.api.unit_of_work import WorkQueue, notify_after_commit, unit_of_work
from msvs.api.webhooks.events import EventType, record_encoded
from msvs.database import Row, copy_encoded, execute, fetch, fetch_row, fetch_value
from msvs.models import Campaign, Contact, ContactList, MessageKind, MessageStatus, OptInStatus, Segment
from msvs.models.campaigns import AbTest, Audience, Exclusions, GuardRails
from msvs.models.messages import MetadataValue

MAX_IDS = 1000
CHUNK = 5000
# Recipients whose rows are handed to PostgreSQL in one go, while the next are encoded.
PIECE = 250
# Bodies of a chunk that are kept for those who get the same: common names come soon, and keeping the rest costs more.
KEPT_BODIES = 500
# How many members of each list, or contacts that a segment may pick, are looked at in one go to fix an audience.
FIX_CHUNK = 10_000
FEWEST_OF_A_LIST = 100
# Campaigns of which a process remembers where their last chunk began: one halted in mid-run has no last chunk.
MOST_BEGAN = 1000
# A segment of costly conditions may take longer than other statements may.
FIX_SECONDS = 600.0
# A campaign later than this was missed: its hour is over.
MAX_LATE = timedelta(minutes=60)
# Comes before every contact.
NOBODY = UUID(int=0)

# Rows are picked once, in an array: a subquery in their place may be run again, and takes more every time. Nothing
# updates them, so that a ctid stays that of a row that is locked.
TAKE_RECIPIENTS = """
WITH taken AS (
    DELETE FROM campaign_recipients WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM campaign_recipients WHERE campaign_id = $1 AND phone >= $4
        ORDER BY phone LIMIT $2 FOR UPDATE SKIP LOCKED
    ))
    RETURNING phone, contact_id
)
SELECT taken.phone, taken.contact_id, c.id, c.region, c.number_kind, c.opt_in_status, {exclusion} AS exclusion,
    c.unreachable_at IS NOT NULL AS is_unreachable, c.timezone, c.first_name, c.last_name, c.email,
    CASE WHEN $3 THEN c.attributes END AS attributes
FROM taken LEFT JOIN contacts AS c ON c.id = taken.contact_id AND c.phone = taken.phone
"""
# Of those who are in the test, whose messages come first. An index has them and nobody else.
TAKE_TESTED = (
    TAKE_RECIPIENTS.replace("phone >= $4", "variant IS NOT NULL AND phone >= $4")
    .replace("RETURNING phone, contact_id", "RETURNING phone, contact_id, variant")
    .replace("AS attributes\n", "AS attributes,\n    taken.variant\n")
)


class RegionSettings(Protocol):
    """The columns of a workspace's settings that say where it sends."""

    @property
    def blocked_regions(self) -> list[str]: ...

    @property
    def enabled_regions(self) -> list[str]: ...


class ExpandingCampaign(Protocol):
    """The columns of a campaign and its workspace that an expansion reads."""

    @property
    def id(self) -> UUID: ...

    @property
    def workspace_id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def sender(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def metadata(self) -> dict[str, MetadataValue]: ...

    @property
    def exclusions(self) -> Exclusions | None: ...

    @property
    def send_at_local(self) -> str | None: ...

    @property
    def scheduled_at(self) -> datetime | None: ...

    @property
    def started_at(self) -> datetime | None: ...

    @property
    def respects_quiet_hours(self) -> bool: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def on_unknown(self) -> str: ...

    @property
    def shorten_links(self) -> bool: ...

    @property
    def utm(self) -> Mapping[str, str] | None: ...

    @property
    def guard_rails(self) -> GuardRails | None: ...

    @property
    def ab_test(self) -> AbTest | None: ...

    @property
    def winner(self) -> int | None: ...

    @property
    def default_sender(self) -> str: ...

    @property
    def campaigns_admit_unknown(self) -> bool: ...

    @property
    def rates(self) -> Mapping[str, int] | None: ...


class _Expanding(ExpandingCampaign, RegionSettings, Protocol): ...


class Recipient(HasAttributes, Protocol):
    """A recipient with the columns of its contact; `id` is None if the contact is gone."""

    @property
    def phone(self) -> str: ...

    @property
    def contact_id(self) -> UUID: ...

    @property
    def id(self) -> UUID | None: ...

    @property
    def region(self) -> str | None: ...

    @property
    def number_kind(self) -> str: ...

    @property
    def opt_in_status(self) -> str: ...

    @property
    def timezone(self) -> str | None: ...

    @property
    def exclusion(self) -> str | None: ...

    @property
    def is_unreachable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of a workspace: those it blocks, and those it enabled among the ones that are off by default."""

    blocked: frozenset[str]
    enabled: frozenset[str]

    @classmethod
    def of(cls, row: RegionSettings) -> Regions:
        """Return what a row with a workspace's settings says."""
        return cls(frozenset(row.blocked_regions), frozenset(row.enabled_regions))


async def check_audience(
    ctx: Context, list_ids: Sequence[UUID], segment_id: UUID | None, contact_ids: Sequence[UUID]
) -> Audience:
    """Return an audience of the caller's own lists, segment and contacts, as it is stored. Raises InvalidRequest."""
    if not list_ids and segment_id is None and not contact_ids:
        raise InvalidRequest(
            "audience needs at least one of list_ids, segment_id and contact_ids.",
            param="audience",
            code=ErrorCode.PARAMETER_MISSING,
        )
    await _check_known(ctx, ContactList, list_ids, "audience.list_ids", ids.CONTACT_LIST, "list")
    await _check_known(ctx, Contact, contact_ids, "audience.contact_ids", ids.CONTACT, "contact")
    if segment_id is not None and not await scoped(ctx, Segment).filter(id=segment_id).exists():
        raise _unknown("audience.segment_id", ids.SEGMENT, segment_id, "segment")
    audience: Audience = {}
    if list_ids:
        audience["list_ids"] = [ids.encode_id(ids.CONTACT_LIST, value) for value in list_ids]
    if segment_id is not None:
        audience["segment_id"] = ids.encode_id(ids.SEGMENT, segment_id)
    if contact_ids:
        audience["contact_ids"] = [ids.encode_id(ids.CONTACT, value) for value in contact_ids]
    return audience


async def _check_known(
    ctx: Context,
    model: type[ContactList] | type[Contact],
    wanted: Sequence[UUID],
    param: str,
    prefix: str,
    noun: str,
) -> None:
    if len(wanted) > MAX_IDS:
        raise InvalidRequest(
            f"{param} may have at most {MAX_IDS} ids.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    if not wanted:
        return
    known = set(await scoped(ctx, model).filter(id__in=list(wanted)).values_list("id", flat=True))
    for number, value in enumerate(wanted):
        if value not in known:
            raise _unknown(f"{param}[{number}]", prefix, value, noun)


def _unknown(param: str, prefix: str, value: UUID, noun: str) -> InvalidRequest:
    return InvalidRequest(
        f"No such {noun}: '{ids.encode_id(prefix, value)}'.", param=param, code=ErrorCode.RESOURCE_MISSING
    )


class Members(NamedTuple):
    """A query for the ids of an audience's contacts, and its parameters."""

    sql: str
    values: Sequence[object]


async def members_sql(ctx: Context, audience: Audience, between: tuple[UUID, UUID] | None = None) -> Members:
    """Return a query for the ids of the audience's contacts, each once, and its values.

    $1 and $2 are workspace and mode.

    `between` are the contact after which it begins and the one with which it ends, $3 and $4.
    """
    values: list[object] = [ctx.workspace_id, ctx.livemode, *(between or ())]
    within = "true" if between is None else "{id} > $3 AND {id} <= $4"
    # Only what the audience names: most are one list, and a union, even with nothing, compares all its rows.
    parts: list[str] = []
    list_ids = _decoded(ids.CONTACT_LIST, audience.get("list_ids", []))
    contact_ids = list(set(_decoded(ids.CONTACT, audience.get("contact_ids", []))))
    segment_id = audience.get("segment_id")
    if list_ids:
        values.append(list_ids)
        distinct = "DISTINCT " if len(list_ids) > 1 else ""
        parts.append(
            f"SELECT {distinct}contact_id FROM list_members WHERE list_id = ANY(${len(values)}::uuid[])"
            f" AND {within.format(id='contact_id')}"
        )
    if segment_id is not None:
        value = ids.decode_id(ids.SEGMENT, segment_id)
        segment = await scoped(ctx, Segment).filter(id=value).first()
        if segment is not None:
            compiled = compile_filter(segment.conditions, first_parameter=len(values) + 1)
            parts.append(
                f"SELECT c.id FROM contacts AS c WHERE c.workspace_id = $1 AND c.livemode = $2"
                f" AND {within.format(id='c.id')} AND ({compiled.sql})"
            )
            values += compiled.values
    if contact_ids or not parts:
        values.append(contact_ids)
        parts.append(f"SELECT id FROM unnest(${len(values)}::uuid[]) AS id WHERE {within.format(id='id')}")
    return Members(" UNION ".join(parts), values)


def _decoded(prefix: str, texts: Sequence[str]) -> list[UUID]:
    found = (ids.decode_id(prefix, text) for text in texts)
    return [value for value in found if value is not None]


COUNT_MEMBERS = "SELECT count(*) FROM ({members}) AS members, (SELECT $1::uuid, $2::bool) AS caller"
COUNT_OF_LISTS = """
SELECT coalesce(sum(contact_count), 0)::bigint FROM contact_lists
WHERE workspace_id = $1 AND livemode = $2 AND id = ANY ($3::uuid[])
"""


async def count_members(ctx: Context, audience: Audience, members: Members) -> int:
    """Return how many contacts an audience has; one list, which most are, keeps count of its own."""
    lists = set(audience.get("list_ids", []))
    if len(lists) == 1 and not audience.get("contact_ids") and audience.get("segment_id") is None:
        return await _count_of_lists(ctx, audience)
    return int(await fetch_value(COUNT_MEMBERS.format(members=members.sql), *members.values))


async def has_at_most(ctx: Context, audience: Audience, number: int) -> bool:
    """Return whether an audience has so many contacts at most, where its lists tell without a count of their members.

    Of a segment, all contacts are counted, which an index tells.
    """
    most = await _count_of_lists(ctx, audience) + len(set(audience.get("contact_ids", [])))
    if audience.get("segment_id") is not None:
        most += await fetch_value(COUNT_CONTACTS, ctx.workspace_id, ctx.livemode)
    return most <= number


COUNT_CONTACTS = "SELECT count(*) FROM contacts WHERE workspace_id = $1 AND livemode = $2"


async def _count_of_lists(ctx: Context, audience: Audience) -> int:
    list_ids = _decoded(ids.CONTACT_LIST, audience.get("list_ids", []))
    return int(await fetch_value(COUNT_OF_LISTS, ctx.workspace_id, ctx.livemode, list_ids))


async def estimate_credits(
    ctx: Context, members: Members, template: Template, exclude: Exclusions | None, *, admit_unknown: bool
) -> int:
    """Return about what a campaign would cost, were it sent now: its contacts by the rates of their regions."""
    statuses = [OptInStatus.OPTED_IN.value] + ([OptInStatus.UNKNOWN.value] if admit_unknown else [])
    now = ctx.services.clock()
    exclusion = await find_exclusion(ctx, exclude, now, first_parameter=len(members.values) + 2)
    credits = await fetch_value(
        f"SELECT count(*) + coalesce(sum(rate.credits - {rates.DEFAULT}), 0)::bigint FROM contacts AS c"
        f" LEFT JOIN {rates.CURRENT} AS rate USING (region) WHERE c.workspace_id = $1 AND c.livemode = $2"
        f" AND c.opt_in_status = ANY(${len(members.values) + 1}) AND c.unreachable_at IS NULL"
        f" AND c.id IN ({members.sql})" + (f" AND ({exclusion.sql}) IS NULL" if exclude else ""),
        *members.values,
        statuses,
        *exclusion.values,
    )
    return int(credits) * estimated_segments(template)


FIND_NEWEST_CONTACT = "SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 ORDER BY id DESC LIMIT 1"
LIST_BOUND = """
SELECT bound.contact_id AS id FROM unnest($1::uuid[]) AS list (id) CROSS JOIN LATERAL (
    SELECT contact_id FROM list_members WHERE list_id = list.id AND contact_id > $2 AND contact_id <= $3
    ORDER BY contact_id OFFSET $4 LIMIT 1
) AS bound ORDER BY 1 LIMIT 1
"""
SEGMENT_BOUND = """
SELECT id FROM contacts WHERE workspace_id = $1 AND livemode = $2 AND id > $3 AND id <= $4 ORDER BY id OFFSET $5 LIMIT 1
"""
INSERT_RECIPIENTS = """
INSERT INTO campaign_recipients (campaign_id, phone, contact_id)
SELECT ${number}::uuid, phone, id FROM contacts
WHERE workspace_id = $1 AND livemode = $2 AND id > $3 AND id <= $4 AND id IN ({members}) ORDER BY phone
"""
# Takes half as long again, and is seldom needed: anyone who has a phone by now is its recipient, where its contact
# changed between two chunks.
FIX_AGAIN = INSERT_RECIPIENTS + "ON CONFLICT (campaign_id, phone) DO UPDATE SET contact_id = excluded.contact_id"


def _with_variants(statement: str, ab_test: AbTest) -> str:
    """Return a statement that fixes recipients, with the variant of each who is in the test."""
    bounds = bounds_of(ab_test)
    points = f"ARRAY[{', '.join(map(str, bounds))}]::bigint[]"
    variant = VARIANT.format(contact="id", campaign="${number}::uuid", bounds=points, rest=len(bounds))
    return (
        statement.replace("phone, contact_id)", "phone, contact_id, variant)")
        .replace("phone, id FROM", f"phone, id, {variant} FROM")
        .replace("contact_id = excluded.contact_id", "contact_id = excluded.contact_id, variant = excluded.variant")
    )


async def fix_chunk(services: Services, campaign: Campaign, *, limit: int = FIX_CHUNK) -> bool:
    """Fix a further chunk of who a campaign goes to, one row a phone. Return whether that was the last.

    The caller is alone at it, and saves the campaign. The audience is of the contacts there were at its first chunk;
    nobody is expanded before its last, so that a phone that moves from one contact to another has one row.
    """
    ctx = Context(campaign.workspace_id, campaign.livemode, services=services)
    if campaign.audience_until is None:
        campaign.audience_until = await fetch_value(FIND_NEWEST_CONTACT, ctx.workspace_id, ctx.livemode) or NOBODY
    after = campaign.audience_after or NOBODY
    last = await _bound(ctx, campaign.audience, after, campaign.audience_until, limit)
    until = last or campaign.audience_until
    members, values = await members_sql(ctx, campaign.audience, (after, until))

    async def fix(statement: str) -> int:
        if campaign.ab_test is not None:
            statement = _with_variants(statement, campaign.ab_test)
        statement = statement.format(number=len(values) + 1, members=members)
        return await execute(statement, *values, campaign.id, timeout=FIX_SECONDS)

    try:
        # A savepoint, as a phone that changed its contact between two chunks is there already.
        async with unit_of_work():
            campaign.audience_count += await fix(INSERT_RECIPIENTS)
    except asyncpg.UniqueViolationError:
        campaign.audience_count += await fix(FIX_AGAIN)
    campaign.audience_after = until
    return last is None


async def _bound(ctx: Context, audience: Audience, after: UUID, until: UUID, limit: int) -> UUID | None:
    """Return the contact with which a chunk after another one ends, or None if it is the last chunk."""
    bounds = []
    if list_ids := _decoded(ids.CONTACT_LIST, audience.get("list_ids", [])):
        share = max(limit // len(list_ids), min(limit, FEWEST_OF_A_LIST))
        bounds.append(await fetch_value(LIST_BOUND, list_ids, after, until, share - 1))
    if audience.get("segment_id") is not None:
        bounds.append(await fetch_value(SEGMENT_BOUND, ctx.workspace_id, ctx.livemode, after, until, limit - 1))
    return min((bound for bound in bounds if bound is not None), default=None)


class Began:
    """Where the last chunk of each campaign began, in this process; of MOST_BEGAN campaigns, the last expanded.

    Beside a snapshot that is held, a chunk from the first phone on would pass the index entries of all that were taken.
    """

    def __init__(self) -> None:
        self._phones: dict[UUID, str] = {}

    def __len__(self) -> int:
        return len(self._phones)

    def take(self, campaign_id: UUID) -> str:
        """Return the first phone of a campaign's last chunk, and forget it; the empty text where none is known."""
        return self._phones.pop(campaign_id, "")

    def note(self, campaign_id: UUID, phone: str) -> None:
        """Remember the first phone of a chunk. What is forgotten for it costs a chunk its time, and nothing else."""
        self._phones[campaign_id] = phone
        if len(self) > MOST_BEGAN:
            del self._phones[next(iter(self._phones))]


async def _take_recipients(
    services: Services, campaign_id: UUID, limit: int, wants_attributes: bool, exclusion: Exclusion, statement: str
) -> Sequence[Row]:
    """Take up to `limit` recipients from where the last chunk began on, and where those are too few from the first."""
    began = services.keep(Began)
    since = began.take(campaign_id)
    take = statement.format(exclusion=exclusion.sql)
    recipients = await fetch(take, campaign_id, limit, wants_attributes, since, *exclusion.values)
    if len(recipients) < limit and since:
        left = limit - len(recipients)
        recipients = [*recipients, *await fetch(take, campaign_id, left, wants_attributes, "", *exclusion.values)]
    if len(recipients) == limit:
        began.note(campaign_id, min(map(itemgetter(0), recipients)))
    return recipients


FIND_WITH_SETTINGS = (
    "SELECT campaigns.*, settings.blocked_regions, settings.enabled_regions, settings.default_sender,"
    f" settings.campaigns_admit_unknown, {rates.AS_JSON} AS rates FROM campaigns"
    " JOIN workspaces ON workspaces.id = campaigns.workspace_id"
    + settings_of_mode.JOIN.format(livemode="campaigns.livemode")
    + " WHERE campaigns.id = $1 AND "
)
FIND_EXPANDING = FIND_WITH_SETTINGS + "campaigns.status = 'preparing' AND campaigns.started_at IS NOT NULL"
FIND_STEP = FIND_WITH_SETTINGS + "campaigns.sequence_id IS NOT NULL"
# The columns of TAKE_RECIPIENTS, of contacts that are known already.
FIND_RECIPIENTS = """
SELECT c.phone, c.id AS contact_id, c.id, c.region, c.number_kind, c.opt_in_status, NULL::varchar AS exclusion,
    c.unreachable_at IS NOT NULL AS is_unreachable, c.timezone, c.first_name, c.last_name, c.email, c.attributes
FROM contacts AS c WHERE c.workspace_id = $1 AND c.livemode = $2 AND c.id = ANY ($3::uuid[]) ORDER BY c.phone
"""


class Written(NamedTuple):
    """A message that was written to a contact; `code` is why it is skipped, None if it is queued."""

    contact_id: UUID
    message_id: UUID
    code: str | None


async def write_step(
    services: Services, campaign_id: UUID, contact_ids: Sequence[UUID], now: datetime
) -> list[Written]:
    """Write the messages of a sequence's step to contacts, as a campaign's are, in the current transaction.

    Contacts that are gone get none.
    """
    campaign = await fetch_row(_Expanding, FIND_STEP, campaign_id)
    assert campaign is not None, "the steps of a version have their campaigns"
    recipients = await fetch(FIND_RECIPIENTS, campaign.workspace_id, campaign.livemode, list(contact_ids))
    if not recipients:
        return []
    content = contents_of(services, campaign)[0]
    senders = await choose_senders(services, campaign, recipients, content.sender)
    chunk = _Chunk(campaign, content, Regions.of(campaign), senders, now, services.link_days)
    await copy_encoded("messages", MESSAGE_COLUMNS, chunk.encode(recipients))
    await copy_links(chunk.links)
    ctx = Context(campaign.workspace_id, campaign.livemode, services=services)
    await record_encoded(ctx, chunk.events, chunk.written, now)
    notify_after_commit(WorkQueue.MESSAGES)
    return [
        Written(row["contact_id"], UUID(bytes=id), encoder.code)
        for row, (id, encoder) in zip(recipients, chunk.made, strict=True)
    ]


async def expand_chunk(services: Services, campaign_id: UUID, *, limit: int = CHUNK, now: datetime) -> int:
    """Turn up to `limit` recipients of a preparing campaign into messages, in the current transaction. Return how many.

    Taking a recipient and making its message are one transaction, so that a crash loses and doubles nobody. Of a
    campaign with variants, only who is in the test is taken until there is a winner. Raises OverBudget where its
    messages cost more than is left of the campaign's `max_credits`.
    """
    campaign = await fetch_row(_Expanding, FIND_EXPANDING, campaign_id)
    if campaign is None:
        # Halted, or ended: what is known of it is of no more use.
        services.keep(Began).take(campaign_id)
        return 0
    contents = contents_of(services, campaign)
    wants_attributes = any(not set(content.template.names).issubset(CONTACT_FIELDS) for content in contents)
    ctx = Context(campaign.workspace_id, campaign.livemode, services=services)
    exclusion = await find_exclusion(ctx, campaign.exclusions, now, first_parameter=5)
    is_test = campaign.ab_test is not None and campaign.winner is None
    take = TAKE_TESTED if is_test else TAKE_RECIPIENTS
    recipients = await _take_recipients(services, campaign_id, limit, wants_attributes, exclusion, take)
    if not recipients:
        return 0
    chunks: list[tuple[_Chunk, Sequence[Row]]] = []
    for content, group in group_by_content(contents, recipients, campaign.winner):
        senders = await choose_senders(services, campaign, group, content.sender)
        chunks.append((_Chunk(campaign, content, Regions.of(campaign), senders, now, services.link_days), group))
    columns = MESSAGE_COLUMNS if campaign.ab_test is None else VARIANT_COLUMNS
    await copy_encoded("messages", columns, chain.from_iterable(chunk.encode(group) for chunk, group in chunks))
    await copy_links([link for chunk, _ in chunks for link in chunk.links])
    events = chain.from_iterable(chunk.events for chunk, _ in chunks)
    await record_encoded(ctx, events, chain.from_iterable(chunk.written for chunk, _ in chunks), now)
    # Last, as it locks the campaign's row.
    await plan_credits(campaign.id, campaign.guard_rails, sum(chunk.credits for chunk, _ in chunks))
    notify_after_commit(WorkQueue.MESSAGES)
    return len(recipients)


def group_by_content(
    contents: Sequence[Content], recipients: Sequence[Row], winner: int | None
) -> Sequence[tuple[Content, Sequence[Row]]]:
    """Return the recipients of each content: all of them, those of each variant, or all for the winner."""
    if contents[0].variant is None:
        return [(contents[0], recipients)]
    if winner is not None:
        return [(replace(contents[winner - 1], variant=-winner), recipients)]
    groups: dict[int, list[Row]] = {}
    for recipient in recipients:
        groups.setdefault(recipient["variant"], []).append(recipient)
    return [(contents[variant - 1], groups[variant]) for variant in sorted(groups)]


class _Outcome(NamedTuple):
    """The rendered body for a recipient, or the reason why it is not sent."""

    text: Text
    encoding: str
    segments: int
    code: str | None


class _Chunk:
    """Recipients on their way to encoded rows of messages and events.

    It is what `make_message` makes of each, and `message_resource` of that; what many of them share is made once.
    """

    def __init__(
        self,
        campaign: ExpandingCampaign,
        content: Content,
        regions: Regions,
        senders: Mapping[str, str | None],
        now: datetime,
        link_days: int,
    ) -> None:
        self.links: list[LinkRow] = []
        self._link_days = link_days
        self.events: list[bytes] = []
        # Of each message its id, the encoder that it shares with others, and its event's id.
        self._message_ids: list[bytes] = []
        self._made_by: list[RowEncoder] = []
        self._event_ids: list[bytes] = []
        self._campaign = campaign
        self._content = content
        self._template = template = content.template
        self._regions = regions
        self._senders = senders
        self._now = now
        self._sender: str | None = content.sender
        self._has_hours = _has_hours(campaign)
        self._unrendered = Text(content.body)
        self._reasons: dict[tuple[object, ...], str | None] = {}
        self._found: dict[tuple[object, ...], tuple[RowEncoder, Text]] = {}
        self._encoders: dict[tuple[object, ...], RowEncoder] = {}
        # Recipients for whom these columns are the same get the same body; None where attributes come in.
        names = set(template.names)
        self._variables = itemgetter(*(names or ("opt_in_status",))) if names.issubset(CONTACT_FIELDS) else None

    @property
    def made(self) -> Iterable[tuple[bytes, RowEncoder]]:
        """The id of each message, and the encoder that it shares with others."""
        return zip(self._message_ids, self._made_by, strict=True)

    @property
    def credits(self) -> int:
        """What the messages cost."""
        return sum(encoder.cost for encoder in self._made_by)

    @property
    def written(self) -> Iterable[tuple[bytes, EventType]]:
        """The ids and types of `events`."""
        return zip(self._event_ids, (encoder.type for encoder in self._made_by), strict=True)

    def encode(self, recipients: Sequence[Row]) -> Iterator[bytes]:
        """Yield the rows of their messages, PIECE at a time; `events` and `written` grow along."""
        senders, default = self._senders, self._sender
        message_ids, encoders, event_ids = self._message_ids, self._made_by, self._event_ids
        for first in range(0, len(recipients), PIECE):
            rows: list[bytes] = []
            events: list[bytes] = []
            for recipient in recipients[first : first + PIECE]:
                sender = senders.get(recipient[0], default) if senders else default
                encoder, text = self._shared(recipient, sender)
                id, event_id = uuid7(), uuid7().bytes
                key, phone, contact_id = id.bytes, recipient[0].encode(), recipient[1]
                public_id, public_contact_id = ids.encode_bare(id.int), ids.encode_bare(contact_id.int)
                if text.urls:
                    text = self._link(text, encoder, UUID(bytes=key), contact_id)
                rows += encoder.row(key, contact_id.bytes, phone, text)
                events += encoder.event(event_id, key, public_id, public_contact_id, phone, text)
                message_ids.append(key)
                encoders.append(encoder)
                event_ids.append(event_id)
            self.events.append(b"".join(events))
            yield b"".join(rows)

    def _link(self, text: Text, encoder: RowEncoder, id: UUID, contact_id: UUID) -> Text:
        """Return the body of one recipient with short links of its own, whose rows `links` takes."""
        campaign = self._campaign
        links = new_links(text.urls)
        self.links += link_rows(
            links,
            self._link_days,
            workspace_id=campaign.workspace_id,
            livemode=campaign.livemode,
            message_id=id,
            campaign_id=campaign.id,
            contact_id=contact_id,
            variant=self._content.variant,
            due_at=encoder.due_at,
            now=self._now,
        )
        assert isinstance(self._template, LinkedTemplate), "only it makes texts with links"
        return text.linked(self._template.marks, [link.code for link in links])

    def _shared(self, recipient: Row, sender: str | None) -> tuple[RowEncoder, Text]:
        """Return a recipient's encoder and body, cached by the columns that decide them."""
        if self._variables is None or recipient[3] is None or is_in_blocked_range(recipient[0]):
            return self._encoder(recipient, sender, self._outcome(recipient, sender))
        due_at = _due_at(self._campaign, recipient, self._now) if self._has_hours else None
        # From the region to whether it is unreachable: what decides the reason to skip it, with its contact's absence.
        key = (recipient[2] is None, recipient[3:8], sender, due_at, self._variables(recipient))
        found = self._found.get(key)
        if found is None:
            found = self._encoder(recipient, sender, self._outcome(recipient, sender))
            if len(self._found) < KEPT_BODIES:
                self._found[key] = found
        return found

    def _outcome(self, recipient: Row, sender: str | None) -> _Outcome:
        phone, _, id, region, number_kind, status, exclusion, is_unreachable = recipient[:8]
        if region is None or is_in_blocked_range(phone):
            code = _skip_reason(self._campaign, recipient, self._regions, sender)
        else:
            key = (id is None, region, number_kind, status, exclusion, is_unreachable, sender is None)
            code = self._reasons.get(key, "")
            if code == "":
                code = self._reasons[key] = _skip_reason(self._campaign, recipient, self._regions, sender)
        if code is not None:
            return _Outcome(self._unrendered, Encoding.GSM7.value, 0, code)
        return self._render(recipient)

    def _render(self, recipient: Row) -> _Outcome:
        values = contact_values(recipient, self._template.names)
        try:
            rendered = render(self._template, values)
        except NotRenderable as error:
            return _Outcome(self._unrendered, Encoding.GSM7.value, 0, error.code.value)
        urls = self._template.urls(values) if isinstance(self._template, LinkedTemplate) else ()
        return _Outcome(Text(rendered.body, urls), rendered.encoding.value, rendered.segments, None)

    def _encoder(self, recipient: Row, sender: str | None, outcome: _Outcome) -> tuple[RowEncoder, Text]:
        text, encoding, segments, code = outcome
        due_at = self._now if code is not None else _due_at(self._campaign, recipient, self._now)
        price = _price(self._campaign, recipient)
        key = (sender, encoding, segments, price, code, due_at)
        encoder = self._encoders.get(key)
        if encoder is None:
            message = _new_message(self._campaign, self._content, recipient, sender, self._now)
            message.encoding = encoding
            message.segments = segments
            message.due_at = due_at
            if code is not None:
                _skip(message, code)
            type = EventType.MESSAGE_QUEUED if code is None else EventType.MESSAGE_SKIPPED
            encoder = self._encoders[key] = RowEncoder(message, type, self._now)
        return encoder, text


async def choose_senders(
    services: Services, campaign: ExpandingCampaign, recipients: Sequence[Row], sender: str
) -> Mapping[str, str | None]:
    """Choose the sender for each phone, None if none may be used; nothing where all get the one given."""
    if not services.carriers.is_real(campaign.livemode):
        if await is_usable(Context(campaign.workspace_id, campaign.livemode, services=services), sender):
            return {}
        return {row["phone"]: None for row in recipients}
    pool = await find_pool(campaign.workspace_id, campaign.default_sender)
    regions = {row["region"] for row in recipients}
    if sender != pool.default:
        refused = {region for region in regions if pool.refusal(sender, region) is not None}
        return {row["phone"]: None for row in recipients if row["region"] in refused}
    if not pool.has_choice:
        chosen = {region: pool.choose(region) for region in regions}
        differing = {region for region in regions if chosen[region] != sender}
        return {row["phone"]: chosen[row["region"]] for row in recipients if row["region"] in differing}
    last = await find_last(campaign.workspace_id, True, [row["contact_id"] for row in recipients])
    return {row.phone: pool.choose(row.region, last=last.get(row.contact_id), key=row.phone) for row in recipients}


def make_message(
    campaign: ExpandingCampaign,
    recipient: Recipient,
    content: Content,
    regions: Regions,
    senders: Mapping[str, str | None],
    now: datetime,
) -> NewMessage:
    """Make the message of one recipient."""
    template = content.template
    sender = senders.get(recipient.phone, content.sender)
    message = _new_message(campaign, content, recipient, sender, now)
    code = _skip_reason(campaign, recipient, regions, sender)
    if code is None:
        try:
            rendered = render(template, contact_values(recipient, template.names))
            message.body = rendered.body
            message.encoding = rendered.encoding.value
            message.segments = rendered.segments
            message.due_at = _due_at(campaign, recipient, now)
        except NotRenderable as error:
            code = error.code.value
    if code is not None:
        _skip(message, code)
        message.body = content.body
    return message


def _new_message(
    campaign: ExpandingCampaign, content: Content, recipient: Recipient, sender: str | None, now: datetime
) -> NewMessage:
    return NewMessage(
        ids.new_id(),
        campaign.workspace_id,
        campaign.livemode,
        MessageKind.CAMPAIGN.value,
        campaign.id,
        recipient.contact_id,
        recipient.phone,
        sender or content.sender,
        campaign.metadata,
        now,
        now,
        expires_at=campaign.expires_at,
        on_unknown=str(campaign.on_unknown),
        price=_price(campaign, recipient),
        variant=content.variant,
    )


def _price(campaign: ExpandingCampaign, recipient: Recipient | Row) -> int:
    """Return what a segment to a recipient costs; its contact keeps the region of its phone."""
    if not campaign.rates:
        return rates.DEFAULT
    return rates.price(campaign.rates, recipient.region or region_of(recipient.phone))


def _skip(message: NewMessage, code: str) -> None:
    message.status = MessageStatus.SKIPPED.value
    message.error_code = code


def _has_hours(campaign: ExpandingCampaign) -> bool:
    """Return whether it depends on a recipient when its message is due."""
    return campaign.send_at_local is not None or campaign.respects_quiet_hours


def _due_at(campaign: ExpandingCampaign, recipient: Recipient, now: datetime) -> datetime:
    """Return when a recipient may get a message that would go out now: at its hour, in its daytime."""
    if not _has_hours(campaign):
        return now
    zones = quiet_hours.zones_of(recipient.phone, recipient.timezone)
    due_at = now
    if campaign.send_at_local is not None:
        # As of the start: what is expanded some minutes later still meets the hour at which the campaign began.
        began = campaign.scheduled_at or campaign.started_at or now
        due_at = quiet_hours.next_local_time(zones, campaign.send_at_local, min(max(began, now - MAX_LATE), now))
    return quiet_hours.next_opening(zones, recipient.region, due_at) if campaign.respects_quiet_hours else due_at


def _skip_reason(campaign: ExpandingCampaign, recipient: Recipient, regions: Regions, sender: str | None) -> str | None:
    """Return the code for which a recipient is not sent to, or None."""

    def destination() -> str | None:
        if recipient.region is None or is_in_blocked_range(recipient.phone):
            return _destination_refusal(parse_phone(recipient.phone), regions)
        return _kept_refusal(recipient.region, recipient.number_kind, regions)

    return skip_reason(
        None if recipient.id is None else recipient.opt_in_status,
        admits_unknown=campaign.campaigns_admit_unknown,
        exclusion=recipient.exclusion,
        is_unreachable=bool(recipient.is_unreachable),
        destination=destination,
        has_sender=sender is not None,
    )


@lru_cache(maxsize=4096)
def _kept_refusal(region: str, number_kind: str, regions: Regions) -> str | None:
    """Return whether numbers of a region and kind are refused, by what a contact keeps of its phone."""
    calling_code = phonenumbers.country_code_for_region(region)
    return _destination_refusal(Phone("", region, calling_code, number_kind), regions)


def _destination_refusal(phone: Phone, regions: Regions) -> str | None:
    try:
        check_destination(phone, regions.blocked, regions.enabled)
    except ComplianceRefused as error:
        return error.code.value
    return None
