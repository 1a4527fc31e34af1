"""Preview a message or a campaign: its recipients, cost and problems, without writing anything."""

from __future__ import annotations

import asyncio
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.campaigns import audiences, checks
from msvs.api.campaigns.audiences import Members
from msvs.api.campaigns.exclusions import Exclusion, check_exclusions, find_exclusion
from msvs.api.campaigns.requests import PreviewCampaign
from msvs.api.campaigns.texts import with_texts
from msvs.api.campaigns.variants import (
    MAX_PERCENT,
    SAMPLE_VALUE,
    Content,
    check_ab_test,
    check_contents,
    contents_of,
    longest_of,
    shares_of,
)
from msvs.api.consent.consent import hashes_of
from msvs.api.context import Context, Services
from msvs.api.credits import caps, credits, rates
from msvs.api.credits.rates import Rates
from msvs.api.dispatch import frequency, sender_rules
from msvs.api.dispatch.eligibility import skip_reason
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.dispatch.routing import require_carrier
from msvs.api.dispatch.senders import Wish, check_sender, choose_sender
from msvs.api.dispatch.short_links import body_template, check_utm
from msvs.api.errors import ApiError, ComplianceRefused, ErrorCode
from msvs.api.messages import messages
from msvs.api.messages.bodies import Wanted, given_body, read_body
from msvs.api.messages.messages import SendMessage, check_expiry, check_schedule
from msvs.api.messages.sandbox import check_scripted
from msvs.api.messages.warnings import SENDER_NOT_CARRIED, kept, message_warnings
from msvs.api.resources import FAILURES, Refusal, Resource, SendWarning, shown_warnings, variant_name
from msvs.api.scope import scoped
from msvs.api.settings_of_mode import find_settings_with
from msvs.api.text import body_warnings
from msvs.api.text.body_warnings import BodyWarning
from msvs.api.text.compliance import check_destination
from msvs.api.text.links import LinkedTemplate, LinkRefused
from msvs.api.text.phones import canonical, parse_phone
from msvs.api.text.rendering import (
    MAX_BODY,
    NotRenderable,
    Rendered,
    check_metadata,
    contact_values,
    given_values,
    render,
)
from msvs.api.text.sms import Encoding, forcing_characters, measure, split
from msvs.api.text.templates import Template, TemplateError, compile_template
from msvs.database import Row, fetch
from msvs.fields import TEXT, about
from msvs.models import Campaign, Contact, ErasedSuppression, OnUnknown, OptInStatus, Suppression, Workspace
from msvs.models.campaigns import AbTest, Audience, Exclusions, GuardRails, Metric
from msvs.models.messages import KeptWarning, MetadataValue

K = TypeVar("K", bound=Hashable)

# Up to this many recipients each body is rendered; of larger audiences, a sample of about as many.
EXACT_UP_TO = 20_000
# So many recipients are looked at for the warnings of a campaign that is made, changed or launched.
LOOKED_AT = 2000
SAMPLES = 10
WITHOUT_EVIDENCE = "recipients_without_evidence"
TEST_TOO_SMALL = "test_too_small"
TEST_WITHOUT_LINKS = "test_without_links"
UTM_UNUSED = "utm_unused"
# With less messages, a variant of a test tells little.
FEWEST_TESTED = 100
MAX_CHARACTERS = 50
# What carriers take in ordinary traffic; only the estimate of duration rests on it.
MESSAGES_PER_SECOND = 500
# Other tasks of the process get their turn after this many bodies.
RENDER_CHUNK = 250
PARTS_PER_MILLION = 1_000_000

# Typography that GSM-7 lacks, and what reads the same in it. Letters are no part of it: they would misspell words.
REPLACEMENTS: Mapping[str, str] = {
    **dict.fromkeys("‘’‚‛′‹›ʼʻ`´", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–—―−•·‣◦▪∙", "-"),
    **dict.fromkeys("\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " "),
    **dict.fromkeys("\u00ad\u200b\u200e\u200f\u2060\ufeff", ""),
    # What sets the direction of a piece of text, as what is pasted brings along.
    **dict.fromkeys(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))), ""),
    # Letters and signs in full width, and letters that a font joins.
    **{chr(0xFEE0 + code): chr(code) for code in range(0x21, 0x7F) if chr(code) not in "`{|}"},
    **dict(zip("ﬀﬁﬂﬃﬄﬆ", ("ff", "fi", "fl", "ffi", "ffl", "st"), strict=True)),
    **dict.fromkeys("\u2028\u2029\u0085", "\n"),
    "…": "...",
    "⁄": "/",
    "½": "1/2",
    "¼": "1/4",
    "¾": "3/4",
    "×": "x",
    "→": "->",
    "←": "<-",
    "™": "(TM)",
    "®": "(R)",
    "©": "(C)",
}
_TRANSLATION = str.maketrans(dict(REPLACEMENTS))

# Each member is looked up by its key: before its statistics are taken, a fresh import makes PostgreSQL plan a join
# whose cost grows with the square of the audience. OFFSET 0 keeps the planner from turning this into one.
PEOPLE = """
WITH members (id) AS MATERIALIZED (SELECT id FROM ({members}) AS of_all (id) {sample})
SELECT c.id, c.id AS contact_id, c.phone, c.region, c.number_kind, c.first_name, c.last_name, c.email, c.attributes,
    c.timezone, c.opt_in_status, c.opt_in_status AS consent, {exclusion} AS exclusion,
    c.unreachable_at IS NOT NULL AS is_unreachable, EXISTS (
        SELECT FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND canonical = c.canonical
    ) AS is_suppressed
FROM members CROSS JOIN LATERAL (
    SELECT * FROM contacts WHERE id = members.id AND workspace_id = $1 AND livemode = $2 OFFSET 0
) AS c
ORDER BY c.phone
"""


class ForcingCharacter(Resource, kw_only=True):
    """A character that is not in GSM-7: in how many messages it is, its replacement, and what that saves."""

    character: Annotated[str, about("The character.", example="‘")]
    name: Annotated[str, about("Its Unicode name.", example="LEFT SINGLE QUOTATION MARK")]
    message_count: Annotated[int, about("The number of messages that contain it.")]
    replacement: (
        Annotated[str, about("A replacement in the GSM alphabet; null if there is none.", example="'")] | None
    ) = None
    segments_saved: Annotated[int, about("The number of segments saved by replacing only this character.")] = 0


class MessagePreview(Resource, kw_only=True):
    """A preview of a message; `parts` are its segments in order.

    `body` and the fields that depend on it are null if it cannot be rendered. `suggested_body` is the body with plain
    characters instead of typographic ones, if that saves segments (`segments_saved`) or makes it GSM-7. `warnings` name
    probable mistakes.
    """

    object: Literal["message_preview"] = "message_preview"
    livemode: bool
    to: Annotated[str, about("The recipient's phone, in E.164.", example="+14155550123")]
    from_: Annotated[str, about("The sender that the recipient would see.", example="MASSIVESMS")] = msgspec.field(
        name="from"
    )
    body: Annotated[str, about("The text, with variables filled in.", example=TEXT)] | None = None
    encoding: Annotated[str, about("The encoding.", example="gsm7")] | None = None
    segments: Annotated[int, about("The number of segments.", example=1)] | None = None
    credits: Annotated[int, about("The cost in live mode.", example=1)] | None = None
    credits_per_segment: Annotated[int, about("The credits a segment to this destination.", example=1)] = 1
    parts: Annotated[list[str], about("The text of each segment.", example=[TEXT])] = msgspec.field(
        default_factory=list
    )
    characters: Annotated[list[ForcingCharacter], about(example=[])] = msgspec.field(default_factory=list)
    suggested_body: (
        Annotated[str, about("The body with plain characters instead of typographic ones; null if that saves nothing.")]
        | None
    ) = None
    segments_saved: Annotated[int, about("The number of segments that the suggestion saves.", example=0)] = 0
    missing_variables: Annotated[list[str], about("Variables without a value or a fallback.", example=[])] = (
        msgspec.field(default_factory=list)
    )
    balance: Annotated[int, about("The current balance.", example=8420)]
    warnings: Annotated[list[SendWarning], about(example=[])] = msgspec.field(default_factory=list)
    refusal: Annotated[Refusal | None, about(example=None)] = None


class SkippedCount(Resource, kw_only=True):
    """The number of recipients skipped for one reason; `expired` are those whose quiet hours end too late."""

    code: Annotated[str, about("The reason's code.", example="recipient_not_opted_in")]
    message: Annotated[str, about("The reason, in English.", example=FAILURES["recipient_not_opted_in"])]
    recipient_count: Annotated[int, about("The number of recipients.", example=7)]


class EncodingCounts(Resource, kw_only=True):
    """The number of messages in each encoding."""

    gsm7: Annotated[int, about("In the GSM alphabet.", example=405)] = 0
    ucs2: Annotated[int, about("In UCS-2.", example=0)] = 0


class SegmentsCount(Resource, kw_only=True):
    """The number of messages with this many segments."""

    segments: Annotated[int, about("The number of segments.", example=1)]
    message_count: Annotated[int, about("The number of messages.", example=405)]


class CreditsRange(Resource, kw_only=True):
    """The cost of a campaign in credits: the total, its cheapest message and its most expensive one."""

    total: Annotated[int, about("The total.", example=405)] = 0
    minimum: Annotated[int, about("The cheapest message.", example=1)] = 0
    maximum: Annotated[int, about("The most expensive message.", example=1)] = 0


class MissingVariable(Resource, kw_only=True):
    """The number of recipients without a value for a variable that has no fallback."""

    name: Annotated[str, about("The variable.", example="firstName")]
    recipient_count: Annotated[int, about("The number of recipients.")]


class SampleMessage(Resource, kw_only=True):
    """One recipient's message."""

    contact_id: Annotated[str, about("The recipient.")]
    to: Annotated[str, about("The recipient's phone, in E.164.", example="+14155550123")]
    body: Annotated[str, about("The text, with variables filled in.", example=TEXT)]
    encoding: Annotated[str, about("The encoding.", example="gsm7")]
    segments: Annotated[int, about("The number of segments.")]


class CampaignPreview(Resource, kw_only=True):
    """A preview of a campaign, as if it were sent now.

    `audience_count` is the size of the audience, each phone counted once. `recipient_count` of them receive a message;
    the rest is skipped. If `exact` is false, `sample_size` recipients were rendered and the counts are scaled to the
    audience. `suggested_body` and `segments_saved` are as in the preview of a message, over all recipients.
    `held_count` recipients wait for their daytime. `estimated_seconds` is about the time from the start to the last
    message. `warnings` name delays and other problems, and `refusal` is the error that creating it now would return.
    """

    object: Literal["campaign_preview"] = "campaign_preview"
    livemode: bool
    from_: Annotated[str, about("The sender that recipients would see.", example="MASSIVESMS")] = msgspec.field(
        name="from"
    )
    audience_count: Annotated[int, about("The size of the audience, each phone counted once.", example=412)]
    recipient_count: Annotated[int, about("The number of recipients.", example=405)]
    skipped_count: Annotated[int, about("The number of skipped members of the audience.", example=7)]
    skipped: list[SkippedCount]
    held_count: Annotated[int, about(example=0)] = 0
    encodings: EncodingCounts
    segments: list[SegmentsCount]
    credits: CreditsRange
    characters: Annotated[list[ForcingCharacter], about(example=[])]
    suggested_body: (
        Annotated[str, about("The body with plain characters instead of typographic ones; null if that saves nothing.")]
        | None
    ) = None
    segments_saved: Annotated[
        int, about("The number of segments that the suggestion saves, over all recipients.", example=0)
    ] = 0
    missing_variables: Annotated[list[MissingVariable], about(example=[])]
    samples: list[SampleMessage]
    estimated_seconds: Annotated[int, about("The estimated duration of sending, in seconds.", example=1)]
    balance: Annotated[int, about("The current balance.", example=8420)]
    balance_after: Annotated[int, about("The balance afterwards; negative if it is too low.", example=8015)]
    exact: Annotated[
        bool,
        about("Whether every recipient was counted; false if the numbers are scaled up from a sample.", example=True),
    ]
    sample_size: Annotated[int, about("The number of recipients whose message was rendered.", example=405)]
    approval_required: Annotated[
        bool, about("Whether it would wait for a second person's approval.", example=False)
    ] = False
    warnings: Annotated[list[SendWarning], about(example=[])] = msgspec.field(default_factory=list)
    refusal: Annotated[Refusal | None, about(example=None)] = None


async def preview_message(ctx: Context, data: SendMessage) -> MessagePreview:
    """Preview a single SMS: its body, cost and parts, and what would refuse it. Nothing is sent, no contact is made.

    Raises InvalidRequest where the request itself is malformed, as sending does.
    """
    now = ctx.services.clock()
    phone = parse_phone(data.to)
    body = await read_body(ctx, Wanted(data.body, data.template_id))
    template = body_template(ctx.services, body, shorten_links=bool(data.shorten_links))
    variables = given_values(data.variables or {})
    check_metadata(data.metadata or {})
    due_at = check_schedule(data.scheduled_at, now)
    check_expiry(data.expires_at, due_at)
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    sender = check_sender(data.from_) if data.from_ is not None else workspace.default_sender
    contact = await scoped(ctx, Contact).filter(canonical=canonical(phone.e164)).first()
    balance = await credits.available(ctx.workspace_id)
    preview = MessagePreview(livemode=ctx.livemode, to=phone.e164, from_=sender, balance=balance)
    preview.credits_per_segment = rates.price(found_rates, phone.region)
    values = {
        **contact_values(contact or Contact(phone=phone.e164, attributes={}), template.names),
        **variables,
    }
    missing: NotRenderable | None = None
    try:
        _describe(preview, body, template, values)
    except NotRenderable as error:
        missing = error
        preview.missing_variables = _missing_names(template, values)
    try:
        # In the order in which sending refuses.
        require_carrier(ctx.services, ctx.livemode)
        check_destination(phone, workspace.blocked_regions, workspace.enabled_regions)
        if not ctx.livemode:
            check_scripted(phone.e164)
        wish = Wish(data.from_, phone.region, None if contact is None else contact.id, phone.e164)
        preview.from_ = await choose_sender(ctx, wish, sender)
        if await _is_opted_out(ctx, phone.e164, contact):
            raise ComplianceRefused(FAILURES["recipient_opted_out"], code=ErrorCode.RECIPIENT_OPTED_OUT, param="to")
        if missing is not None:
            raise messages.unrenderable(missing)
        if workspace.prefix_hourly_cap is not None:
            await caps.check_message(ctx, phone, workspace.prefix_hourly_cap, now)
        if ctx.livemode and due_at <= now and preview.credits is not None:
            await _check_credits(ctx, preview.credits, now)
    except ApiError as error:
        preview.refusal = messages.refusal_resource(error)
    warnings = message_warnings(
        body, template, _rendered(preview), sender=preview.from_, region=phone.region, livemode=ctx.livemode
    )
    preview.warnings = shown_warnings(kept(warnings))
    return preview


async def _is_opted_out(ctx: Context, phone: str, contact: Contact | None) -> bool:
    """Return whether nothing is sent to a phone: it is suppressed, opted out, or was either when it was erased."""
    if await scoped(ctx, Suppression).filter(canonical=canonical(phone)).exists():
        return True
    if contact is not None:
        return contact.opt_in_status == OptInStatus.OPTED_OUT
    return await scoped(ctx, ErasedSuppression).filter(phone_hash__in=hashes_of(ctx, phone)).exists()


async def _check_credits(ctx: Context, needed: int, now: datetime) -> None:
    """Refuse a live message that the balance or a cap does not cover now. Raises PaymentRequired, ComplianceRefused."""
    left = await caps.spendable(ctx.workspace_id, now)
    if needed > left.credits:
        raise await credits.refusal(ctx.workspace_id, needed, now)


def _rendered(preview: MessagePreview) -> Rendered | None:
    if preview.body is None or preview.encoding is None:
        return None
    return Rendered(preview.body, Encoding(preview.encoding), preview.segments or 0)


async def preview_campaign(ctx: Context, data: PreviewCampaign, *, exact_up_to: int = EXACT_UP_TO) -> CampaignPreview:
    """Preview a campaign: who would get it, who would be skipped and why, what it would cost, ten of its messages.

    Of a campaign with variants, all get the longest, so that it costs no more.


    Exact up to `exact_up_to` recipients, of a random sample of about as many above. Raises InvalidRequest as creating
    it does.
    """
    data = await with_texts(ctx, data)
    start = check_schedule(data.scheduled_at, ctx.services.clock())
    check_expiry(data.expires_at, start)
    checks.check_pace(data.rate_per_minute, data.spread_hours)
    checks.check_local_time(data.send_at_local)
    checks.check_contact_cap(data.contact_daily_cap, "contact_daily_cap")
    checks.check_contact_cap(data.contact_weekly_cap, "contact_weekly_cap")
    workspace, found_rates = await find_settings_with(ctx, rates.AS_JSON)
    sender = check_sender(data.from_) if data.from_ is not None else workspace.default_sender
    audience = await audiences.check_audience(ctx, data.list_ids, data.segment_id, data.contact_ids)
    exclusions = await check_exclusions(ctx, data.exclude)
    ab_test = await check_ab_test(ctx, data.ab_test)
    planned = _Planned(ctx, workspace, sender, data, start, found_rates, exclusions, ab_test)
    check_contents(ctx.services, planned)
    members = await audiences.members_sql(ctx, audience)
    outcome, total, exact = await _look_at(ctx, planned, audience, members, exact_up_to)
    preview = outcome.preview(total, exact=exact)
    preview.approval_required = workspace.approval_threshold is not None and total > workspace.approval_threshold
    left = await caps.spendable(ctx.workspace_id, start)
    preview.balance = left.balance
    preview.warnings = shown_warnings(kept(outcome.warnings(preview, left)))
    # The sandbox never moves the balance.
    preview.balance_after = preview.balance - (preview.credits.total if ctx.livemode else 0)
    try:
        await checks.check_campaign_sender(ctx, workspace, data.from_)
        require_carrier(ctx.services, ctx.livemode)
        if ctx.livemode:
            required = await audiences.estimate_credits(
                ctx, members, outcome.template, exclusions, admit_unknown=workspace.campaigns_admit_unknown
            )
            if preview.balance < required:
                raise credits.insufficient(required, preview.balance)
    except ApiError as error:
        preview.refusal = messages.refusal_resource(error)
    return preview


async def campaign_warnings(
    ctx: Context,
    campaign: Campaign,
    workspace: Workspace,
    found_rates: Rates,
    now: datetime,
    members: Members | None = None,
) -> list[KeptWarning] | None:
    """Return the warnings about a campaign as it stands, as its row keeps them: those of its preview.

    Of a large audience, a sample is looked at. `members` are those of its audience, if they are known already.
    """
    outcome, preview = await _look_at_kept(ctx, campaign, workspace, found_rates, now, members, LOOKED_AT)
    start = outcome.planned.start
    # The sandbox has no cap.
    left = await caps.spendable(ctx.workspace_id, start) if ctx.livemode else caps.Spendable(0, None)
    return kept(outcome.warnings(preview, left)) or None


async def preview_kept(
    ctx: Context, campaign: Campaign, workspace: Workspace, found_rates: Rates, now: datetime
) -> CampaignPreview:
    """Preview a campaign that there is, as it stands; its balance is left out."""
    _, preview = await _look_at_kept(ctx, campaign, workspace, found_rates, now, None, EXACT_UP_TO)
    return preview


async def _look_at_kept(
    ctx: Context,
    campaign: Campaign,
    workspace: Workspace,
    found_rates: Rates,
    now: datetime,
    members: Members | None,
    exact_up_to: int,
) -> tuple[_Outcome, CampaignPreview]:
    data = PreviewCampaign(
        body=campaign.body,
        expires_at=campaign.expires_at,
        quiet_hours=campaign.respects_quiet_hours,
        scheduled_at=campaign.scheduled_at,
        send_at_local=campaign.send_at_local,
        contact_daily_cap=campaign.contact_daily_cap,
        contact_weekly_cap=campaign.contact_weekly_cap,
    )
    start = max(campaign.scheduled_at or now, now)
    planned = _Planned(ctx, workspace, campaign.sender, data, start, found_rates, campaign.exclusions, campaign.ab_test)
    planned.shorten_links, planned.utm = campaign.shorten_links, campaign.utm
    members = members or await audiences.members_sql(ctx, campaign.audience)
    outcome, total, exact = await _look_at(ctx, planned, campaign.audience, members, exact_up_to)
    return outcome, outcome.preview(total, exact=exact)


async def _look_at(
    ctx: Context, planned: _Planned, audience: Audience, members: Members, exact_up_to: int
) -> tuple[_Outcome, int, bool]:
    """Render an audience, or a sample of it: what becomes of it, how many they are, and whether that is all of them.

    Of a campaign with variants, all get the longest.
    """
    contents = contents_of(ctx.services, planned)
    content = longest_of(contents)
    total = await audiences.count_members(ctx, audience, members)
    first_parameter = len(members.values) + 2
    exclusion = await find_exclusion(ctx, planned.exclusions, planned.start, first_parameter=first_parameter)
    people = await _people(members, exclusion, total, exact_up_to)
    exact = total <= exact_up_to
    if exact:
        total = len(people)
    outcome = _Outcome(planned, content, _suggestion(content.body, content.template), contents)
    if not planned.caps.is_none:
        outcome.counted = await frequency.count([person.id for person in people], planned.caps, planned.start)
    planned.senders = await audiences.choose_senders(ctx.services, planned, people, content.sender)
    for first in range(0, len(people), RENDER_CHUNK):
        for person in people[first : first + RENDER_CHUNK]:
            outcome.add(person)
        await asyncio.sleep(0)
    return outcome, total, exact


def _cap_warning(total: int, left: int, start: datetime) -> BodyWarning:
    message = (
        f"The estimated cost of {total} credits exceeds what is left of the cap of {start.date()}: {left}."
        " The campaign would pause there and go on the next day."
    )
    return BodyWarning(caps.DAILY_CAP_REACHED, message, None)


async def _people(members: Members, exclusion: Exclusion, total: int, exact_up_to: int) -> Sequence[Row]:
    """Return the audience in order of phone, or a sample of it: the same one each time, spread over the whole.

    The parameters of the exclusion begin after the one of the sample.
    """
    values = members.values
    if total <= exact_up_to:
        sample = f"WHERE ${len(values) + 1}::bigint IS NULL"
        share = None
    else:
        share = exact_up_to * PARTS_PER_MILLION // total
        sample = (
            f"WHERE (uuid_hash_extended(id, 0) & 9223372036854775807) % {PARTS_PER_MILLION}"
            f" < ${len(values) + 1}::bigint"
        )
    people = PEOPLE.format(members=members.sql, sample=sample, exclusion=exclusion.sql)
    return await fetch(people, *values, share, *exclusion.values)


class _Planned:
    """The campaign that is not made, with the attributes that expanding one reads."""

    def __init__(
        self,
        ctx: Context,
        workspace: Workspace,
        sender: str,
        data: PreviewCampaign,
        start: datetime,
        found_rates: Rates,
        exclusions: Exclusions | None,
        ab_test: AbTest | None,
    ) -> None:
        self._services = ctx.services
        self.id = ids.new_id()
        self.workspace_id = ctx.workspace_id
        self.livemode = ctx.livemode
        self.sender = sender
        self.default_sender = workspace.default_sender
        self.senders: Mapping[str, str | None] = {}
        self.rates = found_rates
        self.body = given_body(data.body)
        self.ab_test = ab_test
        self.winner: int | None = None
        self.exclusions = exclusions
        self.send_at_local = data.send_at_local
        self.scheduled_at = data.scheduled_at
        self.started_at = start
        self.caps = frequency.caps_of(workspace, data)
        self.metadata: dict[str, MetadataValue] = {}
        self.campaigns_admit_unknown = workspace.campaigns_admit_unknown
        self.regions = audiences.Regions.of(workspace)
        self.expires_at = data.expires_at
        self.on_unknown = str(data.on_unknown or OnUnknown.NEVER)
        self.shorten_links = bool(data.shorten_links)
        self.utm = check_utm(data.utm)
        self.guard_rails: GuardRails | None = None
        self.respects_quiet_hours = workspace.quiet_hours if data.quiet_hours is None else data.quiet_hours
        self.start = start
        self.rate_per_minute = data.rate_per_minute
        self.spread_hours = data.spread_hours

    def seconds(self, recipients: int, held: int, last_opening: datetime | None) -> int:
        """Return about how long from the start to the last hand-over: the slowest of all that slows it."""
        if not recipients:
            return 0
        rates = [
            MESSAGES_PER_SECOND,
            *_throughput_rates(self._services, self.livemode, self.sender),
        ]
        if self.rate_per_minute is not None:
            rates.append(self.rate_per_minute / 60)
        spread = timedelta(hours=self.spread_hours or 0).total_seconds()
        tested = 60 * (self.ab_test["minutes"] or 0) if self.ab_test and self.ab_test["test_percent"] < 100 else 0
        waiting = 0.0 if last_opening is None else (last_opening - self.start).total_seconds() + held / min(rates)
        return ceil(max(recipients / min(rates), spread, waiting)) + tested


def _throughput_rates(services: Services, livemode: bool, sender: str) -> list[float]:
    """Return the limits, in messages a second, of the carrier and the sender that have one."""
    carrier = services.carriers.default_for(livemode)
    limits = (services.rates.of_carrier(carrier or ""), services.rates.of_sender(sender))
    return [limit for limit in limits if limit is not None]


@dataclass(slots=True)
class _Outcome:
    """The outcomes of the recipients that were rendered so far."""

    planned: _Planned
    content: Content
    suggestion: str | None
    contents: Sequence[Content]
    # By reason (None: sent), encoding, segments and price: every recipient is in one cell.
    cells: Counter[tuple[str | None, str, int, int]] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    characters: Counter[str] = field(default_factory=Counter)
    saved_alone: Counter[str] = field(default_factory=Counter)
    saved: int = 0
    suggestion_helps: bool = False
    held: int = 0
    last_opening: datetime | None = None
    uncarried: Counter[str] = field(default_factory=Counter)
    unproven: int = 0
    composition: BodyWarning | None = None
    sent: list[NewMessage] = field(default_factory=list)
    counted: Mapping[UUID, tuple[int, int]] = field(default_factory=dict)
    _by_body: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def template(self) -> Template:
        """The template of what all of them would get."""
        return self.content.template

    def add(self, person: Row) -> None:
        """Look at one more recipient."""
        planned = self.planned
        self.unproven += person.consent == OptInStatus.UNKNOWN and not person.is_suppressed
        message = audiences.make_message(planned, person, self.content, planned.regions, planned.senders, planned.start)
        code = message.error_code
        if code is None:
            # What its claim would find.
            code = skip_reason(
                person.consent,
                admits_unknown=planned.campaigns_admit_unknown,
                is_suppressed=person.is_suppressed,
                exclusion=person.exclusion,
                is_unreachable=person.is_unreachable,
                is_capped=planned.caps.is_reached(*self.counted.get(person.id, (0, 0))),
            )
        if code is None and message.due_at > planned.start:
            if planned.expires_at is not None and message.due_at >= planned.expires_at:
                code = "expired"
            else:
                self.held += 1
                self.last_opening = max(self.last_opening or message.due_at, message.due_at)
        if code is not None:
            self.cells[code, "", 0, 1] += 1
            if code == "variable_missing":
                self.missing.update(_missing_names(self.template, contact_values(person, self.template.names)))
            return
        self.cells[None, message.encoding, message.segments, message.price] += 1
        self.sent.append(message)
        reason = sender_rules.refusal(message.sender, person.region, is_registered=planned.livemode)
        if reason is not None:
            self.uncarried[reason] += 1
        if message.encoding == Encoding.UCS2:
            self._note_characters(message, person)

    def _note_characters(self, message: NewMessage, person: Row) -> None:
        alone = self._by_body.get(message.body)
        if alone is None:
            alone = self._by_body[message.body] = _saved_alone(message.body, message.segments)
            self.composition = self.composition or body_warnings.warn_of_composition(message.body)
        for character, saved in alone.items():
            self.characters[character] += 1
            self.saved_alone[character] += saved
        if self.suggestion is not None:
            values = contact_values(person, self.template.names)
            suggested = _try_render(_like(self.template, self.suggestion), values)
            if suggested is not None:
                self.saved += message.segments - suggested.segments
                self.suggestion_helps |= _is_better(suggested, message.encoding, message.segments)

    def warnings(self, preview: CampaignPreview, left: caps.Spendable) -> list[BodyWarning]:
        """Return the warnings about the body, its sender, its audience and the day's cap; `preview` has the counts."""
        bodies = [] if self.template.is_literal else [message.body for message in self.sent]
        found = body_warnings.warn_of_template(self.content.body, self.template, is_marketing=True, rendered=bodies)
        found += self._size_warnings(preview)
        if self.planned.ab_test is not None:
            found = self._variant_warnings(found, self.planned.ab_test, preview)
        found += [
            BodyWarning(SENDER_NOT_CARRIED, f"{count} recipients looked at: {reason}", "from")
            for reason, count in _most_first(self.uncarried)
        ]
        if self.planned.utm and not self.planned.shorten_links:
            message = "utm is added to shortened links alone: set shorten_links, or write the parameters into the link."
            found.append(BodyWarning(UTM_UNUSED, message, "utm"))
        if self.unproven:
            without = round(self.unproven * preview.audience_count / max(preview.sample_size, 1))
            outcome = "" if self.planned.campaigns_admit_unknown else ", and get nothing"
            message = (
                f"{without} of {preview.audience_count} contacts have no evidence of consent{outcome}."
                " Send opt_in with each contact, or import a list with its evidence."
            )
            found.append(BodyWarning(WITHOUT_EVIDENCE, message, None))
        if self.planned.livemode and left.left_today is not None and preview.credits.total > left.left_today:
            found.append(_cap_warning(preview.credits.total, left.left_today, self.planned.start))
        return found

    def _variant_warnings(
        self, found: Sequence[BodyWarning], ab_test: AbTest, preview: CampaignPreview
    ) -> list[BodyWarning]:
        """Return warnings, each about its variant; those found are about the longest."""
        told = [_of_variant(each, self.content, ab_test) for each in found]
        for content in self.contents:
            if content.variant != self.content.variant and content.body != self.content.body:
                more = body_warnings.warn_of_template(content.body, content.template, is_marketing=True)
                told += [_of_variant(each, content, ab_test) for each in more]
        shares = shares_of(ab_test)
        fewest = preview.recipient_count * ab_test["test_percent"] * min(shares) // (MAX_PERCENT * sum(shares))
        if fewest < FEWEST_TESTED:
            message = (
                f"The smallest variant gets about {fewest} messages. Between so few, differences are mostly chance."
            )
            told.append(BodyWarning(TEST_TOO_SMALL, message, "ab_test.test_percent"))
        if ab_test["metric"] == Metric.CLICK and (names := self._without_links()):
            message = f"Nobody can click in variant {', '.join(names)}: set shorten_links, and write a link with https."
            told.append(BodyWarning(TEST_WITHOUT_LINKS, message, "ab_test.metric"))
        return told

    def _without_links(self) -> list[str]:
        """Return the names of the variants without a link that is shortened, whose clicks nobody counts."""
        return [
            variant_name(content.variant or 1)
            for content in self.contents
            if not (isinstance(content.template, LinkedTemplate) and content.template.targets)
        ]

    def _size_warnings(self, preview: CampaignPreview) -> list[BodyWarning]:
        """Return the warnings about the encoding and length of what was rendered; of nothing, of a likely body."""
        if not self.sent:
            likely = _try_render(self.template, dict.fromkeys(self.template.names, SAMPLE_VALUE))
            if likely is None:
                return []
            return body_warnings.warn_of_encoding(likely.body, likely.encoding) + body_warnings.warn_of_segments(
                likely.segments
            )
        if self.composition is not None:
            found = [self.composition]
        else:
            found = [body_warnings.forced_by(each) for each in self.characters] if len(self.characters) == 1 else []
        return found + body_warnings.warn_of_segments(max((each.segments for each in preview.segments), default=0))

    def preview(self, total: int, *, exact: bool) -> CampaignPreview:
        """Return the preview of an audience of `total`, of which those looked at are all or a sample."""
        looked_at = self.cells.total()
        ratio = 1.0 if exact or not looked_at else total / looked_at
        cells = _scaled(self.cells, total)
        segments: Counter[int] = Counter()
        encodings: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        costs: Counter[int] = Counter()
        for (code, encoding, size, price), count in cells.items():
            if code is not None:
                skipped[code] += count
            else:
                segments[size] += count
                costs[size * price] += count
                encodings[encoding] += count
        recipients = segments.total()
        held = min(round(self.held * ratio), recipients)
        return CampaignPreview(
            livemode=self.planned.livemode,
            from_=self.content.sender,
            audience_count=recipients + skipped.total(),
            recipient_count=recipients,
            skipped_count=skipped.total(),
            skipped=[
                SkippedCount(code=code, message=FAILURES[code], recipient_count=count)
                for code, count in _most_first(skipped)
            ],
            encodings=EncodingCounts(gsm7=encodings[Encoding.GSM7.value], ucs2=encodings[Encoding.UCS2.value]),
            segments=[SegmentsCount(segments=size, message_count=segments[size]) for size in sorted(segments)],
            credits=CreditsRange(
                total=sum(cost * count for cost, count in costs.items()),
                minimum=min(costs, default=0),
                maximum=max(costs, default=0),
            ),
            characters=[
                _character(character, round(count * ratio), round(self.saved_alone[character] * ratio))
                for character, count in _most_first(self.characters)[:MAX_CHARACTERS]
            ],
            suggested_body=self.suggestion if self.suggestion_helps else None,
            segments_saved=round(self.saved * ratio) if self.suggestion_helps else 0,
            missing_variables=[
                MissingVariable(name=name, recipient_count=round(count * ratio))
                for name, count in _most_first(self.missing)
            ],
            samples=[_sample(message) for message in _spread(self.sent, SAMPLES)],
            held_count=held,
            estimated_seconds=self.planned.seconds(recipients, held, self.last_opening),
            balance=0,
            balance_after=0,
            exact=exact,
            sample_size=looked_at,
        )


def _variant_param(content: Content, param: str | None, ab_test: AbTest) -> str | None:
    """Return the input that a warning about the body of a variant is about."""
    place = (content.variant or 1) - 1
    is_own = param == "body" and "body" in ab_test["variants"][place]
    return f"ab_test.variants[{place}].body" if is_own else param


def _of_variant(warning: BodyWarning, content: Content, ab_test: AbTest) -> BodyWarning:
    return BodyWarning(warning.code, warning.message, _variant_param(content, warning.param, ab_test))


def _describe(preview: MessagePreview, body: str, template: Template, values: Mapping[str, str]) -> None:
    """Fill in what follows from the rendered body. Raises NotRenderable."""
    rendered = render(template, values)
    preview.body = rendered.body
    preview.encoding = rendered.encoding.value
    preview.segments = rendered.segments
    preview.credits = rendered.segments * preview.credits_per_segment
    preview.parts = split(rendered.body)
    if rendered.encoding is not Encoding.UCS2:
        return
    alone = _saved_alone(rendered.body, rendered.segments)
    preview.characters = [_character(character, 1, saved) for character, saved in alone.items()][:MAX_CHARACTERS]
    suggestion = _suggestion(body, template)
    suggested = None if suggestion is None else _try_render(_like(template, suggestion), values)
    if suggested is not None and _is_better(suggested, rendered.encoding, rendered.segments):
        preview.suggested_body = suggestion
        preview.segments_saved = rendered.segments - suggested.segments


def _missing_names(template: Template, values: Mapping[str, str]) -> list[str]:
    """Return all variables that have neither a value nor a fallback, in the order of the body."""
    known = dict(values)
    names: list[str] = []
    while True:
        try:
            render(template, known)
        except NotRenderable as error:
            if error.code == ErrorCode.VARIABLE_MISSING:
                names.append(error.name)
                known[error.name] = SAMPLE_VALUE
                continue
        return names


def _suggestion(body: str, template: Template) -> str | None:
    """Return the template composed (NFC), with plain characters for typographic ones, or None if nothing or its
    names would change.
    """
    suggested = unicodedata.normalize("NFC", body).translate(_TRANSLATION)
    if suggested == body or len(suggested) > MAX_BODY:
        return None
    try:
        return suggested if _like(template, suggested).names == template.names else None
    except (TemplateError, LinkRefused):
        return None


def _is_better(suggested: Rendered, encoding: str, segments: int) -> bool:
    return suggested.segments < segments or suggested.encoding != encoding


def _like(template: Template, body: str) -> Template:
    """Return the template of another body, with its links marked where those of the first are."""
    return template.of(body) if isinstance(template, LinkedTemplate) else compile_template(body)


def _try_render(template: Template, values: Mapping[str, str]) -> Rendered | None:
    try:
        return render(template, values)
    except NotRenderable:
        return None


def _saved_alone(body: str, segments: int) -> dict[str, int]:
    """Return the characters that force UCS-2, each with the segments saved by replacing it or composing marks."""
    return {character: segments - measure(_without(body, character)).segments for character in forcing_characters(body)}


def _without(body: str, character: str) -> str:
    if unicodedata.combining(character):
        return unicodedata.normalize("NFC", body)
    return body.replace(character, REPLACEMENTS.get(character, character))


def _character(character: str, message_count: int, saved: int) -> ForcingCharacter:
    return ForcingCharacter(
        character=character,
        name=unicodedata.name(character, f"U+{ord(character):04X}"),
        message_count=message_count,
        replacement=REPLACEMENTS.get(character),
        segments_saved=saved,
    )


def _sample(message: NewMessage) -> SampleMessage:
    assert message.contact_id is not None, "a recipient is a contact"
    return SampleMessage(
        contact_id=ids.encode_id(ids.CONTACT, message.contact_id),
        to=message.to_phone,
        body=message.body,
        encoding=message.encoding,
        segments=message.segments,
    )


def _spread(new_messages: Sequence[NewMessage], wanted: int) -> list[NewMessage]:
    """Return up to `wanted` of them, evenly over the whole."""
    if len(new_messages) <= wanted:
        return list(new_messages)
    return [new_messages[number * len(new_messages) // wanted] for number in range(wanted)]


def _most_first(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _scaled(counts: Mapping[K, int], total: int) -> dict[K, int]:
    """Return counts in the same proportions that sum to `total`, by largest remainder."""
    looked_at = sum(counts.values())
    if looked_at in (0, total):
        return dict(counts)
    scaled = {key: count * total // looked_at for key, count in counts.items()}
    left = total - sum(scaled.values())
    for key in sorted(counts, key=lambda key: -(counts[key] * total % looked_at))[:left]:
        scaled[key] += 1
    return scaled
