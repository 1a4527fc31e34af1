"""Previews of messages and campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import strawberry
from strawberry import ID

from msvs.api.campaigns import preflights, previews
from msvs.api.campaigns.requests import CampaignPreviewCreate
from msvs.api.messages.messages import SendMessage
from msvs.api.text.sms import Encoding
from msvs.graphql.campaigns import AbTestInput, AudienceInput, ExcludeInput, UtmInput
from msvs.graphql.context import Info
from msvs.graphql.errors import InvalidRequestError, PermissionRefusedError, RateLimitError, mutate
from msvs.graphql.fields import field, mutation
from msvs.graphql.inputs import read_input, request_input
from msvs.graphql.messages import Refusal, SendWarning
from msvs.graphql.scalars import BigInt, read_time
from msvs.graphql.shapes import from_row, resource_type


@resource_type(previews.ForcingCharacter, "A character that is not in the GSM alphabet and forces UCS-2.")
class ForcingCharacter:
    character: str
    name: str
    message_count: int
    replacement: str | None
    segments_saved: int


@resource_type(
    previews.MessagePreview,
    "A preview of a message. Fields that depend on the text are null if it cannot be rendered.",
)
class MessagePreview:
    to: str
    from_: str
    body: str | None
    encoding: Encoding | None
    segments: int | None
    credits: int | None
    credits_per_segment: int
    parts: list[str]
    characters: list[ForcingCharacter] = strawberry.field(
        description="The characters that force UCS-2; empty for GSM-7."
    )
    suggested_body: str | None
    segments_saved: int
    missing_variables: list[str]
    balance: BigInt
    warnings: list[SendWarning] = strawberry.field(
        description="Warnings about probable mistakes, such as double braces."
    )
    refusal: Refusal | None = strawberry.field(
        description="The error that sending it now would return; null if there is none."
    )


@resource_type(previews.SkippedCount, "The number of recipients that would be skipped for one reason.")
class SkippedCount:
    code: str
    message: str
    recipient_count: int


@resource_type(previews.EncodingCounts, "The number of messages in each encoding.")
class EncodingCounts:
    gsm7: int
    ucs2: int


@resource_type(previews.SegmentsCount, "The number of messages with this many segments.")
class SegmentsCount:
    segments: int
    message_count: int


@resource_type(previews.CreditsRange, "The cost of a campaign, in credits.")
class CreditsRange:
    total: BigInt
    minimum: int
    maximum: int


@resource_type(
    previews.MissingVariable, "The number of recipients without a value for a variable that has no fallback."
)
class MissingVariable:
    name: str
    recipient_count: int


@resource_type(previews.SampleMessage, "One recipient's message.")
class SampleMessage:
    contact_id: ID
    to: str
    body: str
    encoding: Encoding
    segments: int


@resource_type(previews.CampaignPreview, "A preview of a campaign, as if it were sent now.")
class CampaignPreview:
    from_: str
    audience_count: int
    recipient_count: int
    skipped_count: int
    skipped: list[SkippedCount] = strawberry.field(description="Skipped members by reason, the most frequent first.")
    encodings: EncodingCounts = strawberry.field(description="The messages by encoding.")
    segments: list[SegmentsCount] = strawberry.field(description="The messages by their number of segments.")
    credits: CreditsRange = strawberry.field(description="The cost in live mode.")
    characters: list[ForcingCharacter] = strawberry.field(description="The characters that force UCS-2.")
    suggested_body: str | None
    segments_saved: int
    missing_variables: list[MissingVariable] = strawberry.field(
        description="Variables that some recipients have no value for."
    )
    samples: list[SampleMessage] = strawberry.field(description="Ten sample messages.")
    estimated_seconds: int
    balance: BigInt
    balance_after: BigInt
    exact: bool
    sample_size: int
    approval_required: bool
    warnings: list[SendWarning] = strawberry.field(
        description="Warnings about delays, costs or recipients that it does not reach, such as the daily cap."
    )
    refusal: Refusal | None = strawberry.field(
        description="The error that creating it now would return; null if there is none."
    )


@resource_type(preflights.CostRange, "What a campaign would cost, in credits.")
class CostRange:
    lowest: BigInt
    expected: BigInt
    highest: BigInt


@resource_type(preflights.CampaignPreflight, "A preview of a campaign with an id, to create or launch it with.")
class CampaignPreflight(CampaignPreview):
    id: ID
    cost: CostRange = strawberry.field(description="What it would cost, in credits.")
    starts_at: datetime
    ends_at: datetime
    valid_until: datetime


PreflightCampaignResult = Annotated[
    CampaignPreflight | InvalidRequestError | PermissionRefusedError | RateLimitError,
    strawberry.union("PreflightCampaignResult", description="The preflight, or an error."),
]


@request_input(SendMessage, "A message to preview before it is sent.")
class PreviewMessageInput:
    pass


@request_input(
    CampaignPreviewCreate,
    "A campaign to preview before it is created.",
    audience=AudienceInput,
    exclude=ExcludeInput,
    utm=UtmInput,
    ab_test=AbTestInput,
)
class PreviewCampaignInput:
    pass


@strawberry.type
class PreviewQuery:
    @field("Preview a message. Nothing is sent, and no contact is created.")
    async def message_preview(
        self, info: Info, input: Annotated[PreviewMessageInput, strawberry.argument(description="The message.")]
    ) -> MessagePreview:
        data = read_input(SendMessage, input)
        # The fields of the type are those of the operation's answer, by the same names.
        return cast("MessagePreview", await previews.preview_message(info.context.ctx, data))

    @field("Preview a campaign: who receives it, who is skipped, and what it costs.")
    async def campaign_preview(
        self, info: Info, input: Annotated[PreviewCampaignInput, strawberry.argument(description="The campaign.")]
    ) -> CampaignPreview:
        data = read_input(CampaignPreviewCreate, input).read()
        return cast("CampaignPreview", await previews.preview_campaign(info.context.ctx, data))


@strawberry.type
class PreviewMutation:
    @mutation(
        PreflightCampaignResult, "Preview a campaign, and keep what is expected of it to create or launch it with."
    )
    async def preflight_campaign(
        self, info: Info, input: Annotated[PreviewCampaignInput, strawberry.argument(description="The campaign.")]
    ) -> object:
        # Ids of the audience are read within, so that one that is none is an error of the result.
        return await mutate(
            info,
            lambda ctx: preflights.preflight_campaign(ctx, read_input(CampaignPreviewCreate, input).read()),
            _preflight,
        )


def _preflight(found: preflights.CampaignPreflight) -> CampaignPreflight:
    # The other fields of the type are those of the operation's answer, by the same names.
    return from_row(
        CampaignPreflight,
        found,
        starts_at=read_time(found.starts_at),
        ends_at=read_time(found.ends_at),
        valid_until=read_time(found.valid_until),
    )
