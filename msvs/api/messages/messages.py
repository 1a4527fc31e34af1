"""Messages: send one now or later, read them, cancel what has not left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, NamedTuple, Protocol, TypedDict, Unpack, cast
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from msvs.api import ids, settings_of_mode
from msvs.api.contacts.contacts import ensure_contact
from msvs.api.contacts.details import read_name
from msvs.api.context import Context, Services
from msvs.api.credits import caps, rates
from msvs.api.dispatch.batching import Batcher
from msvs.api.dispatch.cancellation import cancel_one, forgo_resend
from msvs.api.dispatch.enqueue import insert_single, make_single
from msvs.api.dispatch.new_messages import NewMessage
from msvs.api.dispatch.routing import require_carrier, require_route
from msvs.api.dispatch.senders import Wish, check_sender, choose_sender
from msvs.api.dispatch.short_links import ShortenLinks, body_template, make_links
from msvs.api.errors import ApiError, ComplianceRefused, ErrorCode, InvalidRequest
from msvs.api.messages.bodies import Body as Body
from msvs.api.messages.bodies import TemplateId, given_body, with_body
from msvs.api.messages.sandbox import check_scripted
from msvs.api.messages.warnings import kept, message_warnings
from msvs.api.pages import OrderField, Page, PageQuery, PageRequest, fetch_ordered, fetch_page, fetch_sparse_page
from msvs.api.permissions import Permission, allow
from msvs.api.resources import FAILURES, Refusal
from msvs.api.scope import find, holds, scoped
from msvs.api.text.compliance import check_destination
from msvs.api.text.links import LinkedTemplate
from msvs.api.text.phones import Phone, canonical, parse_phone, spellings
from msvs.api.text.rendering import (
    MAX_METADATA_KEY,
    MAX_METADATA_KEYS,
    MAX_METADATA_VALUE,
    HasAttributes,
    NotRenderable,
    check_metadata,
    contact_values,
    given_values,
    render,
    with_codes,
)
from msvs.api.text.templates import Template
from msvs.api.unit_of_work import is_single_statement, unit_of_work
from msvs.database import Row, fetch
from msvs.fields import E164, AwareTime, Ref, Request, about, id_pattern, named
from msvs.fields import Sender as Sender
from msvs.json_types import JSON
from msvs.models import Contact, Message, MessageKind, MessageOrigin, MessageStatus, OnUnknown, OptInStatus, rows
from msvs.models.messages import MetadataValue
from msvs.replica_reads import from_replica

MAX_LATE = timedelta(seconds=60)
MAX_AHEAD = timedelta(days=365)
# What a phone or a sender has at most, in characters.
MAX_ADDRESS = 16
MAX_ERROR_CODE = 40
MAX_SEARCH = 200
# Of the messages that a list without an index is found among, so many take some 50 ms.
MOST_LOOKED_AT = 50_000

# What the list's `status` means: a message replied to was delivered.
EVERY_STATUS = "all"
STATUS_FILTERS: Mapping[str, tuple[MessageStatus, ...]] = {
    **{status.value: (status,) for status in MessageStatus},
    MessageStatus.DELIVERED.value: (MessageStatus.DELIVERED, MessageStatus.REPLIED),
    EVERY_STATUS: tuple(MessageStatus),
}


# Which messages are of an origin.
ORIGIN_FILTERS: Mapping[str, Mapping[str, object]] = {
    MessageOrigin.API.value: {"kind": MessageKind.API, "is_by_user": False},
    MessageOrigin.CAMPAIGN.value: {"kind": MessageKind.CAMPAIGN},
    MessageOrigin.AUTOMATIC.value: {"kind": MessageKind.AUTO},
    MessageOrigin.DASHBOARD.value: {"kind": MessageKind.API, "is_by_user": True},
}


Variables = Annotated[
    dict[str, str | int | float | bool | None], about("Map of {key: value} substituted into the body.")
]
Metadata = Annotated[
    dict[str, Annotated[str, about(maxLength=MAX_METADATA_VALUE)] | int | float | bool | None],
    about(
        f"Free-form keys, at most {MAX_METADATA_KEYS}. Values are strings of at most {MAX_METADATA_VALUE} characters,"
        " numbers, booleans or null. Stored, and returned in webhooks as given.",
        maxProperties=MAX_METADATA_KEYS,
        propertyNames=named(MAX_METADATA_KEY),
    ),
]
ScheduledAt = Annotated[
    AwareTime,
    about(f"ISO-8601 time with an offset, at most {MAX_AHEAD.days} days ahead. Omit to send now."),
]
ExpiresAt = Annotated[AwareTime, about("ISO-8601 time with an offset after which nothing is handed to a carrier.")]

OnUnknownField = Annotated[
    OnUnknown,
    about(
        "What to do if the carrier cannot be asked whether it has a message: `never` only waits for the"
        " delivery report; `resend` sends the message once more, so that it may arrive twice. `never` if"
        " none is given.",
    ),
]


class SendMessage(Request, frozen=True):
    """A message to send."""

    # Whether the braces of the body are text.
    is_literal: ClassVar[bool] = False

    to: Annotated[E164, about("Recipient phone in E.164 format.", example="+14155550123")]
    body: (
        Annotated[Body, about(example="Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out.")]
        | UnsetType
    ) = UNSET
    from_: Sender | None = msgspec.field(name="from", default=None)
    variables: Annotated[Variables, about(example={"firstName": "Maria"})] | None = msgspec.field(default_factory=dict)
    metadata: Annotated[Metadata, about(example={"campaign": "cohort_06_close"})] | None = msgspec.field(
        default_factory=dict
    )
    scheduled_at: ScheduledAt | None = None
    expires_at: ExpiresAt | None = None
    on_unknown: OnUnknownField | None = None
    shorten_links: ShortenLinks | None = None
    template_id: TemplateId | None = None


class SendLiteral(SendMessage, frozen=True):
    """A message to send as it is written, braces and all."""

    is_literal: ClassVar[bool] = True


class ListMessages(PageQuery, frozen=True, kw_only=True):
    """The filter."""

    status: (
        Annotated[
            str,
            about(
                "Only messages with this status. Skipped recipients are listed only with `skipped` and `all`.",
                enum=[*MessageStatus, EVERY_STATUS],
            ),
        ]
        | None
    ) = None
    campaign_id: (
        Annotated[str, Ref(ids.CAMPAIGN), about("Only messages of this campaign.", pattern=id_pattern(ids.CAMPAIGN))]
        | None
    ) = None
    contact_id: (
        Annotated[str, Ref(ids.CONTACT), about("Only messages to this contact.", pattern=id_pattern(ids.CONTACT))]
        | None
    ) = None
    origin: Annotated[str, about("Only messages of this origin.", enum=[*MessageOrigin])] | None = None
    statuses: (
        Annotated[
            list[Annotated[str, about(enum=[*MessageStatus])]],
            about(
                "Only messages of one of these statuses; `delivered` includes those replied to, as it does alone.",
                minItems=1,
            ),
        ]
        | None
    ) = None
    to: Annotated[E164, about("Only messages to the contact of this phone, in E.164 format.")] | None = None
    from_: Annotated[str, about("Only messages of this sender.", maxLength=MAX_ADDRESS)] | None = msgspec.field(
        name="from", default=None
    )
    q: (
        Annotated[
            str, about("Only messages whose body contains this text, in upper or lower case.", **named(MAX_SEARCH))
        ]
        | None
    ) = None
    error_code: (
        Annotated[str, about("Only messages that failed, or were skipped, with this code.", **named(MAX_ERROR_CODE))]
        | None
    ) = None
    created_from: Annotated[AwareTime, about("Only messages created at this time or later.")] | None = msgspec.field(
        name="created_at[gte]", default=None
    )
    created_before: Annotated[AwareTime, about("Only messages created before this time.")] | None = msgspec.field(
        name="created_at[lt]", default=None
    )
    order: OrderField | None = None
    metadata: (
        Annotated[
            dict[str, Annotated[str, about(maxLength=MAX_METADATA_VALUE)]],
            about(
                "Only messages whose metadata has these values under these keys. A string also finds the number or"
                " boolean that it spells.",
                maxProperties=MAX_METADATA_KEYS,
                propertyNames=named(MAX_METADATA_KEY),
            ),
        ]
        | None
    ) = None


class Conditions(TypedDict, total=False):
    """Which messages are listed: those that meet every condition given.

    `to` is the phone of a contact; `sent_from` and `sent_before` bound the time at which a carrier took the message.
    """

    status: str | None
    statuses: Sequence[str] | None
    campaign_id: UUID | None
    contact_id: UUID | None
    origin: str | None
    to: str | None
    sender: str | None
    q: str | None
    error_code: str | None
    metadata: Mapping[str, object] | None
    created_from: datetime | None
    created_before: datetime | None
    sent_from: datetime | None
    sent_before: datetime | None
    order: str | None


# What a send needs to know of its workspace and of each phone, named by its canonical number.
RECIPIENTS = f"""
SELECT settings.default_sender, settings.blocked_regions, settings.enabled_regions, settings.prefix_hourly_cap,
    wanted.canonical AS wanted, contacts.id, contacts.phone, contacts.first_name, contacts.last_name, contacts.email,
    contacts.attributes, contacts.opt_in_status,
    EXISTS (
        SELECT FROM suppressions WHERE workspace_id = $1 AND livemode = $2 AND canonical = wanted.canonical
    ) AS is_suppressed, {rates.AS_JSON} AS rates
FROM workspaces {settings_of_mode.JOIN.format(livemode="$2")}
CROSS JOIN unnest($3::varchar[]) AS wanted (canonical) LEFT JOIN contacts
    ON contacts.workspace_id = workspaces.id AND contacts.livemode = $2 AND contacts.canonical = wanted.canonical
WHERE workspaces.id = $1
"""


async def find_recipients(scope: tuple[UUID, bool], phones: Sequence[str]) -> Sequence[Row]:
    workspace_id, livemode = scope
    rows = await fetch(RECIPIENTS, workspace_id, livemode, list(set(phones)))
    found = {row.wanted: row for row in rows}
    return [found[phone] for phone in phones]


class Recipients(Batcher[tuple[UUID, bool], str, Row]):
    """The recipients that a process is reading, those of one workspace and mode together."""

    def __init__(self) -> None:
        super().__init__(find_recipients)


async def _find_recipient(ctx: Context, phone: str) -> Row:
    scope = (ctx.workspace_id, ctx.livemode)
    if is_single_statement():
        return await ctx.services.keep(Recipients).submit(scope, phone)
    return (await find_recipients(scope, [phone]))[0]


class Addressee(HasAttributes, Protocol):
    """The contact of a message: a row, or what stands for one that is not made yet."""

    @property
    def id(self) -> UUID | None: ...

    @property
    def opt_in_status(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to send, read and checked by itself; `phone` is its recipient's."""

    data: SendMessage
    body: str
    phone: Phone
    template: Template
    variables: dict[str, str]
    metadata: dict[str, MetadataValue]
    due_at: datetime
    expires_at: datetime | None


def read_draft(services: Services, data: SendMessage, now: datetime, *, utm: Mapping[str, str] | None = None) -> Draft:
    """Read a message to send. Raises InvalidRequest."""
    phone = parse_phone(data.to)
    body = given_body(data.body)
    template = body_template(
        services, body, shorten_links=bool(data.shorten_links), utm=utm, is_literal=data.is_literal
    )
    variables = given_values(data.variables or {})
    metadata = check_metadata(data.metadata or {})
    due_at = check_schedule(data.scheduled_at, now)
    return Draft(data, body, phone, template, variables, metadata, due_at, check_expiry(data.expires_at, due_at))


def wish_of(ctx: Context, draft: Draft, found: Row) -> Wish:
    """Return the sender that a message asks for, once its destination is allowed.

    Raises InvalidRequest, ComplianceRefused and PaymentRequired.
    """
    phone = draft.phone
    named = None if draft.data.from_ is None else check_sender(draft.data.from_)
    check_destination(phone, found.blocked_regions, found.enabled_regions)
    if not ctx.livemode:
        check_scripted(phone.e164)
    return Wish(named, phone.region, found.id, phone.e164)


def needs_route(ctx: Context) -> bool:
    """Return whether the routes alone say which carrier takes a message."""
    carriers = ctx.services.carriers
    return carriers.is_real(ctx.livemode) and carriers.default_for(ctx.livemode) is None


def compose(
    ctx: Context, draft: Draft, contact: Addressee, sender: str, found_rates: rates.Rates, now: datetime
) -> NewMessage:
    """Make the message of a draft to a contact. Raises InvalidRequest, and ComplianceRefused if it opted out."""
    if contact.opt_in_status == OptInStatus.OPTED_OUT:
        raise opted_out()
    data, phone = draft.data, draft.phone
    values = {**contact_values(contact, draft.template.names), **draft.variables}
    try:
        rendered = render(draft.template, values)
    except NotRenderable as error:
        raise unrenderable(error) from None
    links = make_links(draft.template, values)
    if isinstance(draft.template, LinkedTemplate):
        rendered = with_codes(draft.template, rendered, [link.code for link in links])
    warnings = message_warnings(
        draft.body,
        draft.template,
        rendered,
        sender=sender,
        region=phone.region,
        livemode=ctx.livemode,
        is_literal=data.is_literal,
    )
    return make_single(
        ctx,
        kind=MessageKind.API,
        contact_id=contact.id,
        phone=phone.e164,
        sender=sender,
        rendered=rendered,
        price=rates.price(found_rates, phone.region),
        metadata=draft.metadata,
        scheduled_at=data.scheduled_at,
        expires_at=draft.expires_at,
        due_at=draft.due_at,
        now=now,
        warnings=kept(warnings),
        on_unknown=data.on_unknown,
        links=links,
    )


async def send_message(ctx: Context, data: SendMessage, *, utm: Mapping[str, str] | None = None) -> NewMessage:
    """Accept one SMS: checked, rendered, paid for and queued, or kept for its time.

    `utm` are UTM parameters of its short links, such as those of the campaign that it tests.

    Raises InvalidRequest, ComplianceRefused (region blocked or not enabled, number type, recipient opted out, a cap
    reached) and PaymentRequired; nothing is written then.
    """
    allow(ctx, Permission.MESSAGES_SEND)
    now = ctx.services.clock()
    if not data.is_literal:
        data = await with_body(ctx, data, data.body, data.template_id)
    draft = read_draft(ctx.services, data, now, utm=utm)
    phone = draft.phone
    require_carrier(ctx.services, ctx.livemode)
    found = await _find_recipient(ctx, canonical(phone.e164))
    sender = await choose_sender(ctx, wish_of(ctx, draft, found), found.default_sender)
    if needs_route(ctx):
        await require_route(ctx.services, ctx.workspace_id, phone.region, sender, now)
    if found.is_suppressed:
        # A number that said STOP stays suppressed, regardless of its contact, until it has confirmed.
        raise opted_out()

    async def queue(contact: Addressee) -> NewMessage:
        message = compose(ctx, draft, contact, sender, found.rates, now)
        if found.prefix_hourly_cap is not None:
            await caps.count_message(ctx, phone, found.prefix_hourly_cap, now)
        return await insert_single(ctx, message)

    if found.id is not None and found.prefix_hourly_cap is None:
        return await queue(found)
    # The first message to a number makes its contact, and a capped one is counted: all is written, or nothing.
    async with unit_of_work():
        return await queue(found if found.id is not None else await ensure_contact(ctx, phone.e164, now=now))


async def get_message(ctx: Context, id: UUID) -> Message:
    """Return one message. Raises NotFound."""
    return await find(ctx, Message, id, prefix=ids.MESSAGE, noun="message")


async def get_messages(ctx: Context, ids: Sequence[UUID]) -> Mapping[UUID, Message]:
    """Return those of some messages that there are, by id."""
    return {row.id: row for row in await scoped(ctx, Message).filter(id__in=list(ids))}


def read_conditions(which: ListMessages) -> Conditions:
    """Return what a list is asked for, checked. Raises InvalidRequest."""
    return {
        "status": which.status,
        "statuses": which.statuses,
        "campaign_id": ids.read_optional_id(ids.CAMPAIGN, which.campaign_id, "campaign_id"),
        "contact_id": ids.read_optional_id(ids.CONTACT, which.contact_id, "contact_id"),
        "origin": which.origin,
        "to": None if which.to is None else parse_phone(which.to).e164,
        "sender": None if which.from_ is None else _read_address(which.from_, "from"),
        "q": None if which.q is None else read_name(which.q, param="q", maximum=MAX_SEARCH),
        "error_code": None
        if which.error_code is None
        else read_name(which.error_code, param="error_code", maximum=MAX_ERROR_CODE),
        "metadata": None if which.metadata is None else _read_metadata(which.metadata),
        "created_from": which.created_from,
        "created_before": which.created_before,
        "order": which.order,
    }


@from_replica
async def list_messages(ctx: Context, page: PageRequest, **which: Unpack[Conditions]) -> Page[Message]:
    """Messages, newest first unless ordered otherwise; skipped recipients only under `skipped` and `all`.

    What no index finds is looked for among a bounded number of messages at a time: see `Page.reached`.
    """
    found = await find_messages(ctx, which)
    if found is None:
        return Page([], has_more=False)

    async def fetch(turned: PageRequest) -> Page[Message]:
        if found.is_sparse:
            return await fetch_sparse_page(found.query, turned, among=found.among, most=MOST_LOOKED_AT)
        return await fetch_page(found.query, turned)

    return await fetch_ordered(fetch, page, which.get("order"))


@from_replica
async def count_messages(ctx: Context, **which: Unpack[Conditions]) -> int:
    """Count the messages that `list_messages` lists."""
    found = await find_messages(ctx, which)
    return 0 if found is None else await found.query.count()


class Found(NamedTuple):
    """The query of a list, what it is found among, and whether it may be of few among many."""

    query: QuerySet[Message]
    among: QuerySet[Message]
    is_sparse: bool


# Conditions that no index serves, unless a contact's or a campaign's messages are asked for, or those of an error.
UNINDEXED = ("sender", "q", "metadata", "sent_from", "sent_before")
INDEXED = ("to", "contact_id", "campaign_id", "error_code")


async def find_messages(ctx: Context, which: Conditions) -> Found | None:
    """Return the query of what meets every condition; None if nothing can."""
    to, bounds = which.get("to"), (("to", MAX_ADDRESS), ("sender", MAX_ADDRESS), ("error_code", MAX_ERROR_CODE))
    texts = [(which.get(name), maximum) for name, maximum in bounds]
    if any(isinstance(text, str) and len(text) > maximum for text, maximum in texts):
        return None
    among = _made_within(scoped(ctx, Message), which)
    query = _of_status(among, which.get("status"), which.get("statuses"))
    same = {name: which.get(name) for name in ("campaign_id", "contact_id", "sender", "error_code")}
    query = query.filter(**{name: value for name, value in same.items() if value is not None})
    if (origin := which.get("origin")) is not None:
        query = query.filter(**origin_filter(origin))
    if to is not None:
        contact = await scoped(ctx, Contact).filter(canonical=canonical(to)).first()
        if contact is None:
            return None
        # Messages are found by their contact, which may have had another phone.
        query = query.filter(contact_id=contact.id, to_phone__in=spellings(to))
    if (q := which.get("q")) is not None:
        query = query.filter(body__icontains=q)
    for key, value in (which.get("metadata") or {}).items():
        query = query.filter(holds(lambda each: Q(metadata__contains=each), key, value))
    if (sent_from := which.get("sent_from")) is not None:
        query = query.filter(sent_at__gte=sent_from)
    if (sent_before := which.get("sent_before")) is not None:
        # What was sent by then was made by then, and ids are in the order of time.
        made_by_then = ids.id_after(sent_before)
        query, among = query.filter(sent_at__lt=sent_before, id__lt=made_by_then), among.filter(id__lt=made_by_then)
    is_sparse = any(which.get(name) for name in UNINDEXED) and not any(which.get(name) for name in INDEXED)
    return Found(query, among, is_sparse)


def _made_within(query: QuerySet[Message], which: Conditions) -> QuerySet[Message]:
    """Bound when messages were made. Their ids, by which they are found, are in the order of time."""
    if (since := which.get("created_from")) is not None:
        query = query.filter(id__gte=ids.id_before(since), created_at__gte=since)
    if (until := which.get("created_before")) is not None:
        query = query.filter(id__lt=ids.id_after(until), created_at__lt=until)
    return query


def _read_address(text: str, param: str) -> str:
    if len(text) > MAX_ADDRESS:
        raise InvalidRequest(
            f"{param} has at most {MAX_ADDRESS} characters.", param=param, code=ErrorCode.PARAMETER_OUT_OF_RANGE
        )
    return text


def _read_metadata(given: Mapping[str, object]) -> Mapping[str, object]:
    """Read the values that metadata is to have. Raises InvalidRequest."""
    for key, value in given.items():
        if value is None or isinstance(value, (dict, list)):
            raise InvalidRequest("Metadata can be filtered by text, numbers and booleans.", param=f"metadata.{key}")
    return check_metadata(cast("Mapping[str, JSON]", given))


def origin_filter(origin: str) -> Mapping[str, object]:
    """Return the condition on messages of an origin. Raises InvalidRequest."""
    if origin not in ORIGIN_FILTERS:
        raise InvalidRequest(
            f"origin must be one of {', '.join(sorted(ORIGIN_FILTERS))}.",
            param="origin",
            code=ErrorCode.PARAMETER_INVALID,
        )
    return ORIGIN_FILTERS[origin]


def _of_status(
    query: QuerySet[Message], status: str | None, statuses: Sequence[str] | None = None
) -> QuerySet[Message]:
    if statuses is not None:
        of = {each for named in statuses for each in _statuses_of(named, "statuses", [*MessageStatus])}
        query = query.filter(status__in=sorted(of))
    if status is None:
        return query if statuses is not None else query.filter(status__not=MessageStatus.SKIPPED)
    known = _statuses_of(status, "status", [*STATUS_FILTERS])
    return query if status == EVERY_STATUS else query.filter(status__in=known)


def _statuses_of(named: str, param: str, known: Sequence[str]) -> Sequence[MessageStatus]:
    if named not in known:
        raise InvalidRequest(
            f"{param} must be {'one' if param == 'status' else 'some'} of {', '.join(sorted(known))}.",
            param=param,
            code=ErrorCode.PARAMETER_INVALID,
        )
    return STATUS_FILTERS[named]


async def cancel_message(ctx: Context, id: UUID) -> rows.MessageRow:
    """Cancel a message that no worker has claimed; anything later is answered unchanged. Raises NotFound.

    One that is in doubt is not handed over once more: its `on_unknown` becomes `never`.
    """
    allow(ctx, Permission.MESSAGES_SEND)
    canceled = await cancel_one(ctx, id, now=ctx.services.clock())
    if canceled is None:
        await forgo_resend(ctx, id)
    return canceled if canceled is not None else await get_message(ctx, id)


def check_schedule(scheduled_at: datetime | None, now: datetime) -> datetime:
    """Return when to send: `scheduled_at`, or now if it is absent or just past. Raises InvalidRequest."""
    if scheduled_at is None:
        return now
    if scheduled_at < now - MAX_LATE:
        raise InvalidRequest(
            "scheduled_at lies more than 60 seconds in the past.",
            param="scheduled_at",
            code=ErrorCode.SCHEDULED_AT_PAST,
        )
    if scheduled_at > now + MAX_AHEAD:
        raise InvalidRequest(
            "scheduled_at lies more than 365 days ahead.", param="scheduled_at", code=ErrorCode.SCHEDULED_AT_TOO_FAR
        )
    return max(scheduled_at, now)


def check_expiry(expires_at: datetime | None, due_at: datetime) -> datetime | None:
    """Until when a message may be handed over: later than it is due. Raises InvalidRequest."""
    if expires_at is not None and expires_at <= due_at:
        raise InvalidRequest(
            "expires_at must lie in the future and after scheduled_at.",
            param="expires_at",
            code=ErrorCode.EXPIRES_AT_PAST,
        )
    return expires_at


def opted_out() -> ComplianceRefused:
    """Return the refusal of a recipient who opted out."""
    return ComplianceRefused(FAILURES["recipient_opted_out"], code=ErrorCode.RECIPIENT_OPTED_OUT, param="to")


def unrenderable(error: NotRenderable) -> InvalidRequest:
    if error.code == ErrorCode.VARIABLE_MISSING:
        param = f"variables.{error.written}"
        if error.is_blank:
            message = f"The variable '{error.written}' is blank, and has no fallback."
            return InvalidRequest(message, param=param, code=ErrorCode.VARIABLE_BLANK)
        message = f"The variable '{error.written}' has no value and no fallback."
        return InvalidRequest(message, param=param, code=error.code)
    return InvalidRequest(FAILURES[error.code], param="body", code=error.code)


def refusal_resource(error: ApiError) -> Refusal:
    """Return the shape of an error that stands beside what went well."""
    return Refusal(status=error.status, type=error.type, code=error.code, message=error.message, param=error.param)
