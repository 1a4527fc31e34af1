"""Request types and options for the source of a synced list."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from msvs.api.consent.consent import Evidence
from msvs.api.contacts.contacts import OptInEvidence, read_evidence
from msvs.api.contacts.import_columns import FIELD_PATTERN
from msvs.api.contacts.rules import FILL, RULES
from msvs.api.errors import called
from msvs.connectors.registry import CONNECTORS
from msvs.fields import REGION_PATTERN, Request, about, one_of
from msvs.models import rows

LEAVE, STAY = "leave", "stay"
REMOVALS = (LEAVE, STAY)
MIN_MINUTES, MAX_MINUTES = 15, 7 * 24 * 60
# The default sync interval.
EVERY_MINUTES = 60

Settings = Annotated[
    dict[str, str],
    about(
        "The settings of the connector, by name. Secrets are stored encrypted and never returned.",
        example={"api_key": "kit_4f2a…", "tag_id": "1042"},
    ),
]
FieldMapping = Annotated[
    dict[str, Annotated[str, about(pattern=FIELD_PATTERN)]],
    about(
        "Maps each field key of the service to `phone`, `first_name`, `last_name`, `full_name`, `email`,"
        " `timezone`, `external_id`, `country`, `consent`, `consent_at`, `consent_source`, `consent_ip`,"
        " `consent_text`, `opted_out`, `status`, `attributes.` followed by a key, or `ignore`. If omitted, the first"
        " sync proposes a mapping.",
        example={"fields.phone": "phone", "first_name": "first_name"},
    ),
]
Region = Annotated[
    str,
    about(
        "The ISO 3166-1 region of phone numbers without a country code, unless a mapped field gives the country.",
        example="US",
        pattern=REGION_PATTERN,
    ),
]
Evidence_ = Annotated[
    OptInEvidence,
    about("How everyone in the source agreed to receive texts. Without it or a consent field, nobody is opted in."),
]
Update = Annotated[
    str,
    about(
        "How existing contacts change: `fill` sets only blank values, `overwrite` sets every value that the service"
        " has, and `skip` changes nothing. The default is `fill`.",
        example="overwrite",
        enum=[*RULES],
    ),
]
Removal = Annotated[
    str,
    about(
        "What happens to a contact removed from the service: `leave` removes it from the list, `stay` keeps it."
        " Neither changes consent. The default is `leave`.",
        example="leave",
        enum=[*REMOVALS],
    ),
]
Minutes = Annotated[
    int,
    about(
        f"The sync interval in minutes. The default is {EVERY_MINUTES}.",
        example=60,
        minimum=MIN_MINUTES,
        maximum=MAX_MINUTES,
    ),
]


class SourceOptions(Request, frozen=True, kw_only=True):
    """Options for turning the people of a source into contacts."""

    default_region: Region | None = None
    evidence: Evidence_ | None = None
    update: Update | None = None
    removal: Removal | None = None
    every_minutes: Minutes | None = None


class NewSource(SourceOptions, frozen=True, kw_only=True):
    """The service that a list syncs from."""

    type: Annotated[
        str,
        about(
            "The connector, such as `kit` or `hook`: a `type` of `GET /v1/connectors`.",
            example="hook",
            pattern=one_of(CONNECTORS),
        ),
    ]
    settings: Settings
    mapping: FieldMapping | None = None


class UpdateSource(Request, frozen=True, kw_only=True):
    """Changes to the source of a synced list. They start a full sync."""

    settings: (
        Annotated[
            dict[str, str],
            about(
                "Settings to change, by name. A blank value removes a setting; omitted ones keep their values.",
                example={"tag_id": "1043"},
            ),
        ]
        | UnsetType
    ) = UNSET
    mapping: FieldMapping | UnsetType = UNSET
    default_region: Region | UnsetType | None = UNSET
    evidence: Evidence_ | UnsetType | None = UNSET
    update: Update | UnsetType = UNSET
    removal: Removal | UnsetType = UNSET
    every_minutes: Minutes | UnsetType = UNSET


def options_of(source: rows.ListSourceRow) -> SourceOptions:
    """Return the stored options of a source."""
    return msgspec.convert(source.options, SourceOptions)


def evidence_of(options: SourceOptions, now: datetime) -> Evidence | None:
    """Return the consent evidence that covers everyone in a source. Raises InvalidRequest."""
    if options.evidence is None:
        return None
    with called("source.evidence", of="opt_in"):
        return read_evidence(options.evidence, now)


def rule_of(source: rows.ListSourceRow) -> str:
    """Return the rule for updating existing contacts."""
    return options_of(source).update or FILL
