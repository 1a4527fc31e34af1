"""What requests hold, and the answers that are not a resource of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Generic, Literal, TypeVar
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.campaigns.requests import MAX_TEST_RECIPIENTS, CampaignName
from msvs.api.contacts import contacts, lists, segments, suppressions
from msvs.api.inbound import keywords
from msvs.api.messages.messages import EVERY_STATUS, ScheduledAt, Sender, Variables
from msvs.api.pages import DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest, page_request
from msvs.api.resources import MessageResource, moment
from msvs.api.webhooks.events import EventType
from msvs.fields import AT, E164, LIST_ID, PHONE_PATTERN, ULID, VIPS, AwareTime, Phone, about, id_pattern, named
from msvs.json_types import JSONObject
from msvs.models import CampaignStatus, LedgerEntry, LedgerKind, MessageStatus, OptInStatus

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType

T = TypeVar("T")
R = TypeVar("R")

LEDGER_ENTRY = "led"


class Input(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of bodies and query strings: nothing but the fields it names."""


class NoBody(Input, kw_only=True):
    """A body without parameters: none at all, or an empty object."""


class NoQuery(Input, kw_only=True):
    """A query string without parameters."""


class PageQuery(Input, kw_only=True):
    """Which page of a list."""

    limit: (
        Annotated[int, about("How many resources a page holds.", minimum=1, maximum=MAX_LIMIT, default=DEFAULT_LIMIT)]
        | None
    ) = None
    starting_after: Annotated[str, about("The id after which the page starts: older resources.")] | None = None
    ending_before: Annotated[str, about("The id before which the page ends: newer resources.")] | None = None

    def page(self, prefix: str) -> PageRequest:
        """Return the page asked for, of resources with this id prefix. Raises InvalidRequest."""
        return page_request(
            prefix, limit=self.limit, starting_after=self.starting_after, ending_before=self.ending_before
        )


# Requests


class MessageQuery(PageQuery, kw_only=True):
    """Which messages."""

    status: (
        Annotated[
            str,
            about(
                "Only messages of this status. Skipped recipients are listed under `skipped` and `all` alone.",
                enum=[*MessageStatus, EVERY_STATUS],
            ),
        ]
        | None
    ) = None
    campaign_id: Annotated[str, about("Filter to a specific campaign.", pattern=id_pattern(ids.CAMPAIGN))] | None = None
    contact_id: Annotated[str, about("Filter to a specific contact.", pattern=id_pattern(ids.CONTACT))] | None = None


class CampaignLaunch(Input, kw_only=True):
    """When a draft starts: null for now; left out, at the draft's own time."""

    scheduled_at: Annotated[ScheduledAt, about(example=None)] | UnsetType | None = UNSET


class CampaignClone(Input, kw_only=True):
    """The name of the clone."""

    name: Annotated[CampaignName, about(example="Cohort 07 — cart close 4h")] | None = None


class CampaignTest(Input, kw_only=True):
    """Who gets a test of a campaign."""

    to: Annotated[
        list[Annotated[str, about(pattern=PHONE_PATTERN)]],
        about("The phones, in E.164 format.", example=["+14155550123"], minItems=1, maxItems=MAX_TEST_RECIPIENTS),
    ]
    variables: Variables | None = None


class CampaignQuery(PageQuery, kw_only=True):
    """Which campaigns."""

    status: Annotated[str, about("Only campaigns of this status.", enum=[*CampaignStatus])] | None = None


class ContactUpsert(Input, kw_only=True):
    """Whether a contact that is there is changed."""

    upsert: (
        Annotated[
            Literal["true", "false"],
            about(
                "`true` changes the contact that has the external_id, or else the phone; what is not said stays.",
                type="string",
            ),
        ]
        | None
    ) = None


class ContactQuery(PageQuery, kw_only=True):
    """Which contacts."""

    q: (
        Annotated[str, about("Words of a name or e-mail address, or digits of a phone.", maxLength=contacts.MAX_SEARCH)]
        | None
    ) = None
    phone: E164 | None = None
    email: Annotated[contacts.Email, about("The whole e-mail address, in any case.")] | None = None
    list_id: Annotated[str, about("Only contacts on this list.", pattern=id_pattern(ids.CONTACT_LIST))] | None = None
    opt_in_status: Annotated[str, about("Only contacts whose consent stands so.", enum=[*OptInStatus])] | None = None


class ListCreate(Input, kw_only=True):
    """A list to make."""

    name: Annotated[str, about("Its name.", example="Cohort 06 — open cart", **named(lists.MAX_NAME))]


class ListUpdate(Input, kw_only=True):
    """A list's new name."""

    name: Annotated[str, about("Its name.", example="Cohort 06 — closed cart", **named(lists.MAX_NAME))]


class ListContacts(Input, kw_only=True):
    """Contacts to put on a list."""

    contact_ids: Annotated[list[str], about("The contacts.", example=[f"con_{ULID}"], maxItems=lists.MAX_ADDED)]


class PhoneQuery(PageQuery, kw_only=True):
    """Of which phone."""

    phone: Annotated[E164, about("Only of this phone, in E.164 format.")] | None = None


class SuppressionCreate(Input, kw_only=True):
    """A phone to suppress, and why."""

    phone: Annotated[E164, about(example="+12125550123")]
    source: Annotated[str, about("Why, such as `complaint`.", example="complaint", **named(contacts.MAX_SOURCE))]


class SuppressionImport(Input, kw_only=True):
    """Phones to suppress, and why."""

    phones: Annotated[
        list[str],
        about(
            "Phones in E.164 format.",
            example=["+12125550123", "+12125550124"],
            maxItems=suppressions.MAX_IMPORTED,
        ),
    ]
    source: (
        Annotated[str, about("Why; `import` unless told.", example="previous provider", **named(contacts.MAX_SOURCE))]
        | None
    ) = None


class KeywordCreate(Input, kw_only=True):
    """A keyword to make."""

    word: Annotated[keywords.Word, about(example="COHORT6")]
    list_id: Annotated[str, about("The list that it adds to.", example=LIST_ID, pattern=id_pattern(ids.CONTACT_LIST))]
    reply: (
        Annotated[keywords.JoinReply, about(example="You are on the list for Cohort 06. Reply STOP to opt out.")] | None
    ) = None


class KeywordUpdate(Input, kw_only=True):
    """What to change of a keyword; what is left out stays, null clears."""

    word: Annotated[keywords.Word, about(example="COHORT7")] | UnsetType = UNSET
    list_id: Annotated[str, about("The list that it adds to.", pattern=id_pattern(ids.CONTACT_LIST))] | UnsetType = (
        UNSET
    )
    reply: keywords.JoinReply | UnsetType | None = UNSET


class KeywordQuery(PageQuery, kw_only=True):
    """Which keywords."""

    list_id: Annotated[str, about("Only keywords of this list.", pattern=id_pattern(ids.CONTACT_LIST))] | None = None


FILTER = {"$ref": "#/components/schemas/SegmentCondition"}
Filter = Annotated[JSONObject, about(example=VIPS, **FILTER)]


class SegmentCreate(Input, kw_only=True):
    """A segment to make."""

    name: Annotated[str, about("Its name.", example="VIPs of Cohort 06", **named(segments.MAX_NAME))]
    filter: Filter


class SegmentUpdate(Input, kw_only=True):
    """What to change of a segment; what is left out stays."""

    name: Annotated[str, about("Its name.", example="VIPs", **named(segments.MAX_NAME))] | UnsetType = UNSET
    filter: Annotated[JSONObject, about(**FILTER)] | UnsetType = UNSET


class SegmentFilter(Input, kw_only=True):
    """A filter to try."""

    filter: Filter


class WebhookRecover(Input, kw_only=True):
    """The time since which events are to be delivered again."""

    since: Annotated[AwareTime, about("ISO-8601 time with an offset, at most 30 days ago.", example=AT)]


class EventQuery(PageQuery, kw_only=True):
    """Which events."""

    type: Annotated[str, about("Only events of this type.", enum=[*EventType])] | None = None


class EventResend(Input, kw_only=True):
    """The webhook that an event is to be delivered to again; without one, all that subscribe to it."""

    webhook_id: Annotated[str, about("The webhook.", example=f"whk_{ULID}", pattern=id_pattern(ids.WEBHOOK))] | None = (
        None
    )


class InboundQuery(PageQuery, kw_only=True):
    """Which messages that recipients sent."""

    contact_id: Annotated[str, about("Only messages of this contact.", pattern=id_pattern(ids.CONTACT))] | None = None
    flagged: (
        Annotated[
            Literal["true", "false"],
            about("Only messages that somebody should look at, or only those that nobody need.", type="string"),
        ]
        | None
    ) = None


class ThreadQuery(PageQuery, kw_only=True):
    """Which threads."""

    status: Annotated[str, about("Only threads of this status.", enum=["unread", "waiting"])] | None = None


class ThreadRead(Input, kw_only=True):
    """Up to which reply a thread was read; all of it without one."""

    until: Annotated[str, about("The reply.", pattern=id_pattern(ids.INBOUND))] | None = None


class InboundTest(Input, kw_only=True):
    """A reply to be made up in the sandbox."""

    from_: Phone = msgspec.field(name="from")
    body: Annotated[str, about("The text of the reply.", example="Is there a payment plan?")]
    to: Sender | None = None


# Answers


class ListOf(msgspec.Struct, Generic[T], kw_only=True):
    """One page of resources, newest first."""

    object: Literal["list"] = "list"
    url: Annotated[str, about(example="https://api.cohortlabs.co/webhooks/sms")]
    has_more: Annotated[bool, about(example=False)]
    data: list[T]


class Deleted(msgspec.Struct, kw_only=True):
    """Says that a resource is gone."""

    id: Annotated[str, about("The id that is no more.")]
    object: str
    deleted: Annotated[Literal[True], about(type="boolean")] = True


class ContactsAdded(msgspec.Struct, kw_only=True):
    """What came of adding contacts to a list."""

    added: Annotated[int, about("How many were put on it.", example=1)]
    already_members: Annotated[int, about("How many were on it already.", example=0)]
    not_found: Annotated[list[str], about("The ids, as given, that name no contact.", example=[])]


class SuppressionsImported(msgspec.Struct, kw_only=True):
    """What came of importing suppressions; `invalid` holds what is no phone, as it was given."""

    added: Annotated[int, about("How many phones were suppressed.", example=1)]
    already_suppressed: Annotated[int, about("How many were suppressed already.", example=1)]
    invalid: Annotated[list[str], about("What is no phone, as it was given.", example=[])]


class CampaignTestSent(msgspec.Struct, kw_only=True):
    """The messages of a campaign's test."""

    id: str
    object: Literal["campaign_test"] = "campaign_test"
    messages: list[MessageResource]


class SegmentPreview(msgspec.Struct, kw_only=True):
    """How many contacts a filter finds now."""

    object: Literal["segment_preview"] = "segment_preview"
    contact_count: Annotated[int, about(example=37)]


class Redelivery(msgspec.Struct, kw_only=True):
    """How many deliveries were queued again."""

    id: Annotated[str, about(example=f"evt_{ULID}")]
    object: Literal["redelivery"] = "redelivery"
    delivery_count: Annotated[int, about("How many deliveries were queued.", example=1)]


class LedgerEntryResource(msgspec.Struct, kw_only=True):
    """One movement of credits; `reference` names what caused it."""

    id: Annotated[str, about("The id of the entry.")]
    object: Literal["ledger_entry"] = "ledger_entry"
    kind: Annotated[str, about("What moved the credits.", example="reserve", enum=[*LedgerKind])]
    amount: Annotated[int, about("How many: added if positive, taken if negative.", example=-1)]
    reference: Annotated[str, about("What caused it, such as a message's id.", example=f"msg_{ULID}")]
    note: Annotated[str, about("Why, where somebody said so; else empty.", example="")]
    created_at: Annotated[str, about("When.")]


def ledger_entry_resource(row: LedgerEntry) -> LedgerEntryResource:
    """Return the shape of a ledger row."""
    return LedgerEntryResource(
        id=ids.encode_id(LEDGER_ENTRY, row.id),
        kind=row.kind.value,
        amount=row.amount,
        reference=row.reference,
        note=row.note,
        created_at=moment(row.created_at),
    )


def list_of(url: str, page: Page[R], shape: Callable[[R], T]) -> ListOf[T]:
    """List the envelope of one page."""
    return ListOf(url=url, has_more=page.has_more, data=[shape(item) for item in page.items])


def optional_ref(prefix: str, text: str | None, param: str) -> UUID | None:
    """Return the UUID of an optional id. Raises InvalidRequest with `param`."""
    return None if text is None else ids.read_id(prefix, text, param)
