"""What a message or a campaign would be, were it sent now."""

from __future__ import annotations

from typing import Annotated, cast

import strawberry
from strawberry import ID

from msvs.api.campaigns import previews
from msvs.api.campaigns.requests import CampaignPreviewCreate
from msvs.api.messages.messages import SendMessage
from msvs.api.text.sms import Encoding
from msvs.graphql.campaigns import AudienceInput
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.inputs import read_input, request_input
from msvs.graphql.messages import SendWarning
from msvs.graphql.scalars import BigInt
from msvs.graphql.shapes import resource_type


@resource_type(previews.Refusal, "What sending would answer instead.")
class Refusal:
    code: str
    message: str
    param: str | None


@resource_type(previews.ForcingCharacter, "A character that forces UCS-2, because the GSM alphabet lacks it.")
class ForcingCharacter:
    character: str
    name: str
    message_count: int
    replacement: str | None
    segments_saved: int


@resource_type(
    previews.MessagePreview,
    "A message as it would be sent. What follows from the text is null where it cannot be made.",
)
class MessagePreview:
    to: str
    from_: str
    body: str | None
    encoding: Encoding | None
    segments: int | None
    credits: int | None
    parts: list[str]
    characters: list[ForcingCharacter] = strawberry.field(description="What forces UCS-2; empty in GSM-7.")
    suggested_body: str | None
    segments_saved: int
    missing_variables: list[str]
    balance: BigInt
    warnings: list[SendWarning] = strawberry.field(
        description="What would be sent and yet not be what was meant, such as double braces."
    )
    refusal: Refusal | None = strawberry.field(
        description="Why sending it now would be refused; null where it would not."
    )


@resource_type(previews.SkippedCount, "How many recipients would be skipped for one reason.")
class SkippedCount:
    code: str
    message: str
    recipient_count: int


@resource_type(previews.EncodingCounts, "How many messages would go out in each encoding.")
class EncodingCounts:
    gsm7: int
    ucs2: int


@resource_type(previews.SegmentsCount, "How many messages would have so many segments.")
class SegmentsCount:
    segments: int
    message_count: int


@resource_type(previews.CreditsRange, "What a campaign would cost, in credits.")
class CreditsRange:
    total: BigInt
    minimum: int
    maximum: int


@resource_type(previews.MissingVariable, "How many recipients have no value for a variable without a fallback.")
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


@resource_type(previews.CampaignPreview, "A campaign as it would be, were it sent now.")
class CampaignPreview:
    from_: str
    audience_count: int
    recipient_count: int
    skipped_count: int
    skipped: list[SkippedCount] = strawberry.field(description="The skipped by reason, most frequent first.")
    encodings: EncodingCounts = strawberry.field(description="The messages by encoding.")
    segments: list[SegmentsCount] = strawberry.field(description="The messages by their number of segments.")
    credits: CreditsRange = strawberry.field(description="What it would cost live.")
    characters: list[ForcingCharacter] = strawberry.field(description="What forces UCS-2.")
    suggested_body: str | None
    segments_saved: int
    missing_variables: list[MissingVariable] = strawberry.field(description="Variables that recipients lack.")
    samples: list[SampleMessage] = strawberry.field(description="Ten of its messages.")
    estimated_seconds: int
    balance: BigInt
    balance_after: BigInt
    exact: bool
    sample_size: int
    warnings: list[SendWarning] = strawberry.field(
        description="What would hold it up, cost more or keep it from people, such as the daily cap."
    )
    refusal: Refusal | None = strawberry.field(
        description="Why making it now would be refused; null where it would not."
    )


@request_input(SendMessage, "A message to look at before it is sent.")
class PreviewMessageInput:
    pass


@request_input(CampaignPreviewCreate, "A campaign to look at before it is made.", audience=AudienceInput)
class PreviewCampaignInput:
    pass


@strawberry.type
class PreviewQuery:
    @field("A message as it would be sent. Nothing is sent, and no contact is made.")
    async def message_preview(
        self, info: Info, input: Annotated[PreviewMessageInput, strawberry.argument(description="The message.")]
    ) -> MessagePreview:
        data = read_input(SendMessage, input)
        # The fields of the type are those of the operation's answer, by the same names.
        return cast("MessagePreview", await previews.preview_message(info.context.ctx, data))

    @field("A campaign as it would be, were it sent now: who gets it, who is skipped, what it costs.")
    async def campaign_preview(
        self, info: Info, input: Annotated[PreviewCampaignInput, strawberry.argument(description="The campaign.")]
    ) -> CampaignPreview:
        data = read_input(CampaignPreviewCreate, input).read()
        return cast("CampaignPreview", await previews.preview_campaign(info.context.ctx, data))
