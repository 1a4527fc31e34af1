"""What an export is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msvs.api import ids
from msvs.api.contacts.contacts import MAX_SEARCH
from msvs.api.contacts.details import MAX_ATTRIBUTE_VALUE, MAX_ATTRIBUTES
from msvs.api.contacts.segments import Filter
from msvs.api.contacts.tags import TAG
from msvs.api.pages import PageQuery
from msvs.api.webhooks.events import EventType
from msvs.fields import AwareTime, Ref, Request, about, id_pattern, one_of
from msvs.models import ExportKind, ExportStatus, MessageStatus, OptInStatus

CSV, JSON_LINES = "csv", "jsonl"
FORMATS = (CSV, JSON_LINES)
MAX_TYPES = 50

Kind = Annotated[str, about("The kind of data.", example="contacts", enum=[*ExportKind])]
Format = Annotated[
    str, about("The format of the file: `csv`, with a header, or `jsonl`, one JSON object a line.", enum=[*FORMATS])
]


class CreateExport(Request, frozen=True, kw_only=True):
    """An export of all data of one kind, or of the part that meets every condition."""

    kind: Kind
    format: Annotated[Format, about(example="csv")] = CSV
    gzip: Annotated[bool, about("Whether the file is compressed.", example=False)] = False
    q: (
        Annotated[
            str,
            about("For contacts and messages: only those that a search for this text finds.", maxLength=MAX_SEARCH),
        ]
        | None
    ) = None
    list_id: (
        Annotated[
            str,
            Ref(ids.CONTACT_LIST),
            about("For contacts: only those on this list.", pattern=id_pattern(ids.CONTACT_LIST)),
        ]
        | None
    ) = None
    segment_id: (
        Annotated[
            str,
            Ref(ids.SEGMENT),
            about("For contacts: only those in this segment.", pattern=id_pattern(ids.SEGMENT)),
        ]
        | None
    ) = None
    tag: Annotated[str, about("For contacts: only those with this tag.", **TAG)] | None = None
    opt_in_status: (
        Annotated[str, about("For contacts: only those with this opt-in status.", enum=[*OptInStatus])] | None
    ) = None
    unreachable: (
        Annotated[
            bool,
            about(
                "For contacts: only those that campaigns skip because messages to their number failed again and again."
            ),
        ]
        | None
    ) = None
    attributes: (
        Annotated[
            dict[str, Annotated[str, about(maxLength=MAX_ATTRIBUTE_VALUE)]],
            about("For contacts: only those with these values of attributes.", maxProperties=MAX_ATTRIBUTES),
        ]
        | None
    ) = None
    filter: Annotated[Filter, about("For contacts: only those that match this filter.")] | None = None
    campaign_id: (
        Annotated[
            str,
            Ref(ids.CAMPAIGN),
            about(
                "For campaign results, the campaign; for messages and conversions: only those of this campaign.",
                pattern=id_pattern(ids.CAMPAIGN),
            ),
        ]
        | None
    ) = None
    contact_id: (
        Annotated[
            str,
            Ref(ids.CONTACT),
            about("For messages and conversions: only those of this contact.", pattern=id_pattern(ids.CONTACT)),
        ]
        | None
    ) = None
    status: (
        Annotated[
            str,
            about(
                "For messages and campaign results: only those with this status, such as `failed`.",
                pattern=one_of(MessageStatus),
            ),
        ]
        | None
    ) = None
    types: (
        Annotated[
            list[Annotated[str, about(pattern=one_of(EventType))]],
            about("For events: only those of these types.", maxItems=MAX_TYPES),
        ]
        | None
    ) = None
    created_from: Annotated[AwareTime, about("Only rows created at this time or later.")] | None = None
    created_before: Annotated[AwareTime, about("Only rows created before this time.")] | None = None
    updated_from: Annotated[AwareTime, about("For contacts: only those changed at this time or later.")] | None = None
    updated_before: Annotated[AwareTime, about("For contacts: only those last changed before this time.")] | None = None


class ListExports(PageQuery, frozen=True, kw_only=True):
    """Which exports."""

    kind: Annotated[str, about("Only those of this kind.", enum=[*ExportKind])] | None = None
    status: Annotated[str, about("Only those of this status.", enum=[*ExportStatus])] | None = None


# The conditions of contacts that are filters of their list.
OF_CONTACTS = ("q", "list_id", "tag", "opt_in_status", "unreachable", "attributes", "updated_from", "updated_before")
# Kind → the conditions that it may have beside when things were made.
CONDITIONS: Mapping[ExportKind, frozenset[str]] = {
    ExportKind.CONTACTS: frozenset((*OF_CONTACTS, "segment_id", "filter")),
    ExportKind.MESSAGES: frozenset(("q", "campaign_id", "contact_id", "status")),
    ExportKind.CAMPAIGN_RESULTS: frozenset(("campaign_id", "status")),
    ExportKind.SUPPRESSIONS: frozenset(),
    ExportKind.LEDGER: frozenset(),
    ExportKind.EVENTS: frozenset(("types",)),
    ExportKind.CONVERSIONS: frozenset(("campaign_id", "contact_id")),
}
EVERY_CONDITION = frozenset(name for names in CONDITIONS.values() for name in names)
