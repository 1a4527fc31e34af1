"""What an export is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msvs.api import ids
from msvs.api.contacts.contacts import MAX_SEARCH
from msvs.api.contacts.segments import Filter
from msvs.api.pages import PageQuery
from msvs.fields import AwareTime, Ref, Request, about, id_pattern
from msvs.models import ExportKind, ExportStatus, OptInStatus

CSV, JSON_LINES = "csv", "jsonl"
FORMATS = (CSV, JSON_LINES)

Kind = Annotated[str, about("What it holds.", example="contacts", enum=[*ExportKind])]
Format = Annotated[
    str, about("What the file is: comma-separated values with a header, or one JSON object a line.", enum=[*FORMATS])
]


class CreateExport(Request, frozen=True, kw_only=True):
    """An export, of all there is of a kind or of what meets every condition."""

    kind: Kind
    format: Annotated[Format, about(example="csv")] = CSV
    gzip: Annotated[bool, about("Whether the file is compressed.", example=False)] = False
    q: (
        Annotated[
            str,
            about("Of contacts and messages: only those that the lists of them find by it.", maxLength=MAX_SEARCH),
        ]
        | None
    ) = None
    list_id: (
        Annotated[
            str,
            Ref(ids.CONTACT_LIST),
            about("Of contacts: only those on this list.", pattern=id_pattern(ids.CONTACT_LIST)),
        ]
        | None
    ) = None
    segment_id: (
        Annotated[
            str,
            Ref(ids.SEGMENT),
            about("Of contacts: only those whom this segment picks.", pattern=id_pattern(ids.SEGMENT)),
        ]
        | None
    ) = None
    opt_in_status: (
        Annotated[str, about("Of contacts: only those of this opt-in status.", enum=[*OptInStatus])] | None
    ) = None
    filter: Annotated[Filter, about("Of contacts: only those that meet this condition.")] | None = None
    campaign_id: (
        Annotated[
            str,
            Ref(ids.CAMPAIGN),
            about("The campaign of the results, or of the messages.", pattern=id_pattern(ids.CAMPAIGN)),
        ]
        | None
    ) = None
    contact_id: (
        Annotated[
            str, Ref(ids.CONTACT), about("Of messages: only those to this contact.", pattern=id_pattern(ids.CONTACT))
        ]
        | None
    ) = None
    status: Annotated[str, about("Of messages: only those of this status, such as `failed`.")] | None = None
    types: Annotated[list[str], about("Of events: only those of these types.")] | None = None
    created_from: Annotated[AwareTime, about("Only what was made at this time or later.")] | None = None
    created_before: Annotated[AwareTime, about("Only what was made before this time.")] | None = None


class ListExports(PageQuery, frozen=True, kw_only=True):
    """Which exports."""

    kind: Annotated[str, about("Only those of this kind.", enum=[*ExportKind])] | None = None
    status: Annotated[str, about("Only those of this status.", enum=[*ExportStatus])] | None = None


# Kind → the conditions that it may have beside when things were made.
CONDITIONS: Mapping[ExportKind, frozenset[str]] = {
    ExportKind.CONTACTS: frozenset(("q", "list_id", "segment_id", "opt_in_status", "filter")),
    ExportKind.MESSAGES: frozenset(("q", "campaign_id", "contact_id", "status")),
    ExportKind.CAMPAIGN_RESULTS: frozenset(("campaign_id", "status")),
    ExportKind.SUPPRESSIONS: frozenset(),
    ExportKind.LEDGER: frozenset(),
    ExportKind.EVENTS: frozenset(("types",)),
}
EVERY_CONDITION = frozenset(name for names in CONDITIONS.values() for name in names)
