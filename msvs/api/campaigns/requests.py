"""The requests that create, change or preview a campaign, with the limits of each field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from msvs.api import ids
from msvs.api.campaigns import audiences
from msvs.api.campaigns.checks import MAX_RATE, MAX_SPREAD_HOURS
from msvs.api.campaigns.exclusions import Exclude
from msvs.api.campaigns.variants import AbTestOptions
from msvs.api.contacts.tags import MAX_TAGS, TAG
from msvs.api.dispatch.frequency import MAX_CAP
from msvs.api.dispatch.short_links import ShortenLinks, Utm
from msvs.api.messages.bodies import Body, TemplateId
from msvs.api.messages.messages import (
    MAX_AHEAD,
    ExpiresAt,
    Metadata,
    OnUnknownField,
    ScheduledAt,
    Sender,
    Variables,
)
from msvs.api.pages import OrderField, PageQuery
from msvs.api.text.rendering import check_metadata
from msvs.fields import LIST_ID, PHONE_PATTERN, AwareTime, Ref, Request, Version, about, id_pattern, named
from msvs.models import CampaignStatus
from msvs.models.campaigns import VARIANTS
from msvs.models.messages import MetadataValue

MAX_NAME = 200
MAX_TEST_RECIPIENTS = 5

BodyOfCampaign = Annotated[Body, about(example="Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.")]
CampaignName = Annotated[str, about("Internal name (your team only).", **named(MAX_NAME))]
Rate = Annotated[int, about("The most messages to send in a minute.", minimum=1, maximum=MAX_RATE)]
Spread = Annotated[
    float,
    about(
        "The number of hours over which to spread the messages evenly.", exclusiveMinimum=0, maximum=MAX_SPREAD_HOURS
    ),
]
QuietHours = Annotated[
    bool,
    about("Whether to hold messages during the recipients' quiet hours; by default, as the workspace is set."),
]


SendAtLocal = Annotated[
    str,
    about(
        "The time of day at which each recipient gets it, such as `10:00`, by the recipient's own clock.",
        pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$",
    ),
]
DailyCap = Annotated[
    int,
    about(
        "The most campaign messages that a recipient gets in 24 hours, this one included.", minimum=1, maximum=MAX_CAP
    ),
]
WeeklyCap = Annotated[
    int,
    about("The most campaign messages that a recipient gets in 7 days, this one included.", minimum=1, maximum=MAX_CAP),
]


class Audience(Request, frozen=True):
    """The audience of a campaign: the union of lists, a segment and single contacts."""

    list_ids: (
        Annotated[
            list[Annotated[str, Ref(ids.CONTACT_LIST), about(pattern=id_pattern(ids.CONTACT_LIST))]],
            about("The lists.", maxItems=audiences.MAX_IDS),
        ]
        | None
    ) = None
    segment_id: Annotated[str, Ref(ids.SEGMENT), about("The segment.", pattern=id_pattern(ids.SEGMENT))] | None = None
    contact_ids: (
        Annotated[
            list[Annotated[str, Ref(ids.CONTACT), about(pattern=id_pattern(ids.CONTACT))]],
            about("The single contacts.", maxItems=audiences.MAX_IDS),
        ]
        | None
    ) = None


class CampaignOptions(Request, frozen=True, kw_only=True):
    """The options of a campaign besides its body and audience."""

    from_: Sender | None = msgspec.field(name="from", default=None)
    exclude: Annotated[Exclude, about("Who of the audience is skipped.")] | None = None
    scheduled_at: ScheduledAt | None = None
    metadata: Metadata | None = msgspec.field(default_factory=dict)
    expires_at: ExpiresAt | None = None
    rate_per_minute: Rate | None = None
    spread_hours: Spread | None = None
    quiet_hours: QuietHours | None = None
    send_at_local: SendAtLocal | None = None
    contact_daily_cap: DailyCap | None = None
    contact_weekly_cap: WeeklyCap | None = None
    on_unknown: OnUnknownField | None = None
    shorten_links: ShortenLinks | None = None
    utm: Annotated[Utm, about("UTM parameters of its short links; for `shorten_links` only.")] | None = None
    ab_test: Annotated[AbTestOptions, about("An A/B test of several bodies or senders.")] | None = None
    template_id: TemplateId | None = None


MAX_CREDITS = 1_000_000_000
MAX_DRIFT = 10

PreflightId = Annotated[
    str,
    Ref(ids.PREFLIGHT),
    about("A preflight of the campaign, at most 24 hours old.", pattern=id_pattern(ids.PREFLIGHT)),
]
MaxCredits = Annotated[
    int,
    about(
        "The most credits that it may cost. It is paused with `guard_rail` if it would cost more at its start, and"
        " before its queued messages cost more.",
        minimum=0,
        maximum=MAX_CREDITS,
    ),
]
MaxDrift = Annotated[
    float,
    about(
        "How far its recipients and its cost may have moved from the preflight at its start, as a share: 0.1 for a"
        " tenth. Beyond, it is paused with `guard_rail`.",
        minimum=0,
        maximum=MAX_DRIFT,
    ),
]


class GuardRailOptions(Request, frozen=True, kw_only=True):
    """What a campaign may become before it is paused."""

    preflight: PreflightId | None = None
    max_credits: MaxCredits | None = None
    max_drift: MaxDrift | None = None


CampaignTags = Annotated[
    list[Annotated[str, about(**TAG)]],
    about("Its tags, for your team: kept in lower case, in order.", example=["launch"], maxItems=MAX_TAGS),
]


class _CreationOptions(CampaignOptions, frozen=True, kw_only=True):
    preflight: PreflightId | None = None
    max_credits: MaxCredits | None = None
    max_drift: MaxDrift | None = None
    tags: CampaignTags | None = None
    draft: (
        Annotated[
            bool, about("Whether to keep it as a draft until it is launched; its audience may be empty until then.")
        ]
        | None
    ) = False


class CampaignCreate(_CreationOptions, frozen=True):
    """A campaign to send."""

    name: Annotated[CampaignName, about(example="Cohort 06 — cart close 4h")]
    audience: Annotated[Audience, about("The audience.", example={"list_ids": [LIST_ID]})]
    body: BodyOfCampaign | UnsetType = UNSET

    def read(self) -> CreateCampaign:
        """Return the campaign with the ids of its audience. Raises InvalidRequest."""
        return msgspec.convert(flatten(self, self.audience), CreateCampaign)


class CreateCampaign(_CreationOptions, frozen=True):
    """A `CampaignCreate` whose ids are read."""

    name: str
    body: str | UnsetType = UNSET
    list_ids: Sequence[UUID] = ()
    segment_id: UUID | None = None
    contact_ids: Sequence[UUID] = ()


class _Changes(Request, frozen=True, kw_only=True):
    name: Annotated[CampaignName, about(example="Cohort 06 — cart close 2h")] | UnsetType = UNSET
    body: Body | UnsetType = UNSET
    template_id: (
        Annotated[TemplateId, about("A template, whose body becomes the campaign's as it stands now.")] | UnsetType
    ) = UNSET
    from_: Sender | UnsetType | None = msgspec.field(name="from", default=UNSET)
    scheduled_at: (
        Annotated[
            ScheduledAt,
            about("ISO-8601 time with an offset, at most 365 days ahead; null, to send at once, only in a draft."),
        ]
        | UnsetType
        | None
    ) = UNSET
    metadata: Metadata | UnsetType = UNSET
    expires_at: ExpiresAt | UnsetType | None = UNSET
    rate_per_minute: Rate | UnsetType | None = UNSET
    spread_hours: Spread | UnsetType | None = UNSET
    quiet_hours: Annotated[QuietHours, about(example=True)] | UnsetType | None = UNSET
    exclude: Annotated[Exclude, about("Who of the audience is skipped; null for nobody.")] | UnsetType | None = UNSET
    send_at_local: SendAtLocal | UnsetType | None = UNSET
    contact_daily_cap: DailyCap | UnsetType | None = UNSET
    contact_weekly_cap: WeeklyCap | UnsetType | None = UNSET
    on_unknown: OnUnknownField | UnsetType | None = UNSET
    shorten_links: ShortenLinks | UnsetType = UNSET
    utm: (
        Annotated[Utm, about("UTM parameters of its short links; null for none. They replace those that it has.")]
        | UnsetType
        | None
    ) = UNSET
    ab_test: (
        Annotated[AbTestOptions, about("An A/B test, in place of the one that it has; null for none.")]
        | UnsetType
        | None
    ) = UNSET
    tags: CampaignTags | UnsetType | None = UNSET
    version: Version | UnsetType = UNSET


class CampaignUpdate(_Changes, frozen=True, kw_only=True):
    """Changes to a campaign that has not started. Fields that are left out stay; null clears a field."""

    audience: Annotated[Audience, about("The new audience.")] | UnsetType = UNSET

    def read(self) -> UpdateCampaign:
        """Return the changes with the ids of the audience. Raises InvalidRequest."""
        return msgspec.convert(flatten(self, self.audience), UpdateCampaign)


class UpdateCampaign(_Changes, frozen=True, kw_only=True):
    """A `CampaignUpdate` whose ids are read.

    Naming any of `list_ids`, `segment_id` and `contact_ids` gives it a new audience of what is named.
    """

    list_ids: Sequence[UUID] | UnsetType = UNSET
    segment_id: UUID | UnsetType | None = UNSET
    contact_ids: Sequence[UUID] | UnsetType = UNSET


class CampaignPreviewCreate(CampaignOptions, frozen=True, kw_only=True):
    """A campaign to preview, in the format of a new campaign; its name and metadata are ignored."""

    body: BodyOfCampaign | UnsetType = UNSET
    audience: Annotated[Audience, about("The audience.", example={"list_ids": [LIST_ID]})]
    name: Annotated[str, about("The name, which is ignored.")] | None = None
    metadata: Annotated[dict[str, MetadataValue], about("The metadata, which is ignored.")] | None = msgspec.field(
        default_factory=dict
    )

    def read(self) -> PreviewCampaign:
        """Return the campaign with the ids of its audience. Raises InvalidRequest."""
        told = msgspec.structs.replace(self, metadata=None)
        return msgspec.convert(flatten(told, self.audience), PreviewCampaign)


class PreviewCampaign(CampaignOptions, frozen=True):
    """A `CampaignPreviewCreate` whose ids are read."""

    body: str | UnsetType = UNSET
    list_ids: Sequence[UUID] = ()
    segment_id: UUID | None = None
    contact_ids: Sequence[UUID] = ()
    name: str | None = None


class CampaignLaunch(GuardRailOptions, frozen=True, kw_only=True):
    """When a draft starts: now if null, at the draft's own time if left out; and beyond what it is paused.

    Guard rails replace those that it was created with.
    """

    scheduled_at: (
        Annotated[
            ScheduledAt,
            about(
                f"ISO-8601 time with an offset, at most {MAX_AHEAD.days} days ahead; null for now, left out for the"
                " draft's own time.",
                example=None,
            ),
        ]
        | UnsetType
        | None
    ) = UNSET


class CampaignClone(Request, frozen=True, kw_only=True):
    """The name of the clone."""

    name: (
        Annotated[
            CampaignName,
            about("Name of the clone; `Copy of …` if none is given.", example="Cohort 07 — cart close 4h"),
        ]
        | None
    ) = None


class CampaignTest(Request, frozen=True, kw_only=True):
    """The phones that get a test of a campaign."""

    to: Annotated[
        list[Annotated[str, about(pattern=PHONE_PATTERN)]],
        about("The phones, in E.164 format.", example=["+14155550123"], minItems=1, maxItems=MAX_TEST_RECIPIENTS),
    ]
    variables: Variables | None = None
    variant: (
        Annotated[
            str, about("The variant to send, if the campaign has an A/B test; A if it is left out.", enum=[*VARIANTS])
        ]
        | None
    ) = None


class ListCampaigns(PageQuery, frozen=True, kw_only=True):
    """Which campaigns."""

    status: Annotated[str, about("Only campaigns of this status.", enum=[*CampaignStatus])] | None = None
    statuses: (
        Annotated[
            list[Annotated[str, about(enum=[*CampaignStatus])]],
            about(
                "Only campaigns with one of these statuses; drafts are included only if you ask for them.", minItems=1
            ),
        ]
        | None
    ) = None
    q: (
        Annotated[
            str, about("Only campaigns whose name contains this text, in upper or lower case.", **named(MAX_NAME))
        ]
        | None
    ) = None
    starts_from: (
        Annotated[AwareTime, about("Only campaigns that started, or are scheduled to start, at this time or later.")]
        | None
    ) = msgspec.field(name="starts_at[gte]", default=None)
    starts_before: (
        Annotated[AwareTime, about("Only campaigns that started, or are scheduled to start, before this time.")] | None
    ) = msgspec.field(name="starts_at[lt]", default=None)
    tag: Annotated[str, about("Only campaigns with this tag.", **TAG)] | None = None
    archived: (
        Annotated[bool, about("Only archived campaigns if true, only others if false; both if it is left out.")] | None
    ) = None
    order: OrderField | None = None


def flatten(request: msgspec.Struct, audience: Audience | UnsetType) -> dict[str, object]:
    """Return a request with the ids of its audience in place of the audience. Raises InvalidRequest."""
    metadata = getattr(request, "metadata", None)
    if isinstance(metadata, dict):
        # GraphQL takes any JSON there.
        check_metadata(metadata)
    told: dict[str, object] = msgspec.to_builtins(request, builtin_types=(datetime,))
    told.pop("audience", None)
    if audience is not UNSET:
        told["list_ids"] = _read_ids(ids.CONTACT_LIST, audience.list_ids, "audience.list_ids")
        told["segment_id"] = ids.read_optional_id(ids.SEGMENT, audience.segment_id, "audience.segment_id")
        told["contact_ids"] = _read_ids(ids.CONTACT, audience.contact_ids, "audience.contact_ids")
    return told


def _read_ids(prefix: str, texts: Sequence[str] | None, param: str) -> list[UUID]:
    return [ids.read_id(prefix, text, f"{param}[{position}]") for position, text in enumerate(texts or ())]
