"""Request types and options for the source of a synced list."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from msvs.api.consent.consent import Evidence
from msvs.api.contacts.contacts import OptInEvidence, read_evidence
from msvs.api.contacts.rules import FILL, RULES
from msvs.api.errors import InvalidRequest
from msvs.fields import REGION_PATTERN, Request, about
from msvs.models import rows

LEAVE, STAY = "leave", "stay"
REMOVALS = (LEAVE, STAY)
MIN_MINUTES, MAX_MINUTES = 15, 7 * 24 * 60
# The default sync interval.
EVERY_MINUTES = 60

Settings = Annotated[
    dict[str, str],
    about(
        "The settings of the connector, by their names. Secrets are kept encrypted and never returned.",
        example={"api_key": "kit_4f2a…", "tag_id": "1042"},
    ),
]
FieldMapping = Annotated[
    dict[str, str],
    about(
        "What each field of the service is, by its key: `phone`, `first_name`, `last_name`, `full_name`, `email`,"
        " `timezone`, `external_id`, `country`, `consent`, `consent_at`, `consent_source`, `consent_ip`,"
        " `consent_text`, `opted_out`, `status`, `attributes.` and a key, or `ignore`. Proposed by the first sync if"
        " left out.",
        example={"fields.phone": "phone", "first_name": "first_name"},
    ),
]
Region = Annotated[
    str,
    about(
        "The ISO 3166-1 region of numbers without a country code, unless a mapped field names a country.",
        example="US",
        pattern=REGION_PATTERN,
    ),
]
Evidence_ = Annotated[
    OptInEvidence,
    about("How everyone there agreed to receive texts. Without it, and without a consent field, nobody is opted in."),
]
Update = Annotated[
    str,
    about(
        "What happens to contacts that exist: `fill` changes only blank values, `overwrite` all that the service has,"
        " `skip` none. `fill` unless told.",
        example="overwrite",
        enum=[*RULES],
    ),
]
Removal = Annotated[
    str,
    about(
        "What happens to a contact who is no longer there: `leave` takes it off the list, `stay` keeps it on. Consent"
        " never changes by it. `leave` unless told.",
        example="leave",
        enum=[*REMOVALS],
    ),
]
Minutes = Annotated[
    int,
    about(
        f"How often the list is synced, in minutes; {EVERY_MINUTES} unless told.",
        example=60,
        minimum=MIN_MINUTES,
        maximum=MAX_MINUTES,
    ),
]


class SourceOptions(Request, frozen=True, kw_only=True):
    """How the people of a source become contacts."""

    default_region: Region | None = None
    evidence: Evidence_ | None = None
    update: Update | None = None
    removal: Removal | None = None
    every_minutes: Minutes | None = None


class NewSource(SourceOptions, frozen=True, kw_only=True):
    """The service that a list is kept in step with."""

    type: Annotated[str, about("The connector, such as `kit` or `hook`.", example="hook")]
    settings: Settings
    mapping: FieldMapping | None = None


class UpdateSource(Request, frozen=True, kw_only=True):
    """Changes to the source of a synced list; the next sync reads everyone again."""

    settings: (
        Annotated[
            dict[str, str],
            about(
                "Settings to change, by their names; a blank one removes it. Others stay, secrets too.",
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
    try:
        return read_evidence(options.evidence, now)
    except InvalidRequest as error:
        # The shared reader names the parameter `opt_in`; this request calls it `source.evidence`.
        error.message = error.message.replace("opt_in.", "source.evidence.")
        error.param = (error.param or "opt_in").replace("opt_in", "source.evidence")
        raise


def rule_of(source: rows.ListSourceRow) -> str:
    """Return the rule for updating existing contacts."""
    return options_of(source).update or FILL
