"""What a message or a campaign would be, were it sent now."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import strawberry
from strawberry import ID

from msvs.api import ids
from msvs.api.campaigns import previews
from msvs.api.messages import messages
from msvs.api.text.sms import Encoding
from msvs.graphql.campaigns import AudienceInput
from msvs.graphql.context import Info
from msvs.graphql.fields import field
from msvs.graphql.inputs import optional_ref, refs
from msvs.graphql.scalars import BigInt, JSONObject


@strawberry.type(description="What sending would answer instead.")
class Refusal:
    code: str = strawberry.field(description="A stable code, such as `insufficient_credits`.")
    message: str = strawberry.field(description="What is wrong, in English.")
    param: str | None = strawberry.field(
        description="REST's name of the input it is about; null where it is about none."
    )


@strawberry.type(description="A character that forces UCS-2, because the GSM alphabet lacks it.")
class ForcingCharacter:
    character: str = strawberry.field(description="The character.")
    name: str = strawberry.field(description="Its Unicode name.")
    message_count: int = strawberry.field(description="How many messages hold it.")
    replacement: str | None = strawberry.field(description="What reads the same in GSM-7; null where nothing does.")
    segments_saved: int = strawberry.field(description="How many segments replacing it alone saves.")


@strawberry.type(
    description="What would not refuse a message or campaign, and yet hold it up, cost more or keep it from people."
)
class PreviewWarning:
    code: str = strawberry.field(description="A stable code, such as `double_braces`.")
    message: str = strawberry.field(description="What is to be expected, in English.")
    param: str | None = strawberry.field(
        description="REST's name of the input it is about; null where it is about none."
    )


@strawberry.type(
    description="A message as it would be sent. What follows from the text is null where it cannot be made."
)
class MessagePreview:
    to: str = strawberry.field(description="The recipient's phone, in E.164.")
    from_: str = strawberry.field(name="from", description="The sender the recipient would see.")
    body: str | None = strawberry.field(description="The text, variables replaced.")
    encoding: Encoding | None = strawberry.field(description="How its characters would be encoded.")
    segments: int | None = strawberry.field(description="How many SMS it would take.")
    credits: int | None = strawberry.field(description="What it would cost live.")
    parts: list[str] = strawberry.field(description="The text of each segment.")
    characters: list[ForcingCharacter] = strawberry.field(description="What forces UCS-2; empty in GSM-7.")
    suggested_body: str | None = strawberry.field(
        description="The body with plain characters for typographic ones; null where that saves nothing."
    )
    segments_saved: int = strawberry.field(description="How many segments the suggestion saves.")
    missing_variables: list[str] = strawberry.field(description="Variables with neither value nor fallback.")
    balance: BigInt = strawberry.field(description="The credits there are.")
    warnings: list[PreviewWarning] = strawberry.field(
        description="What would be sent and yet not be what was meant, such as double braces."
    )
    refusal: Refusal | None = strawberry.field(
        description="Why sending it now would be refused; null where it would not."
    )


@strawberry.type(description="How many recipients would be skipped for one reason.")
class SkippedCount:
    code: str = strawberry.field(description="The reason's code.")
    message: str = strawberry.field(description="The reason, in English.")
    recipient_count: int = strawberry.field(description="How many.")


@strawberry.type(description="How many messages would go out in each encoding.")
class EncodingCounts:
    gsm7: int = strawberry.field(description="In the GSM alphabet.")
    ucs2: int = strawberry.field(description="In UCS-2.")


@strawberry.type(description="How many messages would have so many segments.")
class SegmentsCount:
    segments: int = strawberry.field(description="How many segments.")
    message_count: int = strawberry.field(description="How many messages.")


@strawberry.type(description="What a campaign would cost, in credits.")
class CreditsRange:
    total: BigInt = strawberry.field(description="All of it.")
    minimum: int = strawberry.field(description="Its cheapest message.")
    maximum: int = strawberry.field(description="Its dearest message.")


@strawberry.type(description="How many recipients have no value for a variable without a fallback.")
class MissingVariable:
    name: str = strawberry.field(description="The variable.")
    recipient_count: int = strawberry.field(description="How many.")


@strawberry.type(description="One recipient's message.")
class SampleMessage:
    contact_id: ID = strawberry.field(description="The recipient.")
    to: str = strawberry.field(description="The recipient's phone, in E.164.")
    body: str = strawberry.field(description="The text, variables replaced.")
    encoding: Encoding = strawberry.field(description="How its characters would be encoded.")
    segments: int = strawberry.field(description="How many SMS it would take.")


@strawberry.type(description="A campaign as it would be, were it sent now.")
class CampaignPreview:
    from_: str = strawberry.field(name="from", description="The sender the recipients would see.")
    audience_count: int = strawberry.field(description="The audience, one entry a phone.")
    recipient_count: int = strawberry.field(description="How many of them would be sent to.")
    skipped_count: int = strawberry.field(description="How many would be skipped.")
    skipped: list[SkippedCount] = strawberry.field(description="The skipped by reason, most frequent first.")
    encodings: EncodingCounts = strawberry.field(description="The messages by encoding.")
    segments: list[SegmentsCount] = strawberry.field(description="The messages by their number of segments.")
    credits: CreditsRange = strawberry.field(description="What it would cost live.")
    characters: list[ForcingCharacter] = strawberry.field(description="What forces UCS-2.")
    suggested_body: str | None = strawberry.field(
        description="The body with plain characters for typographic ones; null where that saves nothing."
    )
    segments_saved: int = strawberry.field(description="How many segments the suggestion saves, over all recipients.")
    missing_variables: list[MissingVariable] = strawberry.field(description="Variables that recipients lack.")
    samples: list[SampleMessage] = strawberry.field(description="Ten of its messages.")
    estimated_seconds: int = strawberry.field(description="About how long sending it takes.")
    balance: BigInt = strawberry.field(description="The credits there are.")
    balance_after: BigInt = strawberry.field(
        description="The credits that would be left; negative where it lacks some."
    )
    exact: bool = strawberry.field(description="Whether every recipient was counted, and not a sample scaled up.")
    sample_size: int = strawberry.field(description="How many recipients were rendered.")
    warnings: list[PreviewWarning] = strawberry.field(
        description="What would hold it up, cost more or keep it from people, such as the daily cap."
    )
    refusal: Refusal | None = strawberry.field(
        description="Why making it now would be refused; null where it would not."
    )


@strawberry.input(description="A message to look at before it is sent.")
class PreviewMessageInput:
    to: str = strawberry.field(description="The recipient's phone, in E.164.")
    body: str = strawberry.field(description="The text, with its variables.")
    from_: str | None = strawberry.field(
        name="from", default=None, description="The sender; the workspace's where left out."
    )
    variables: JSONObject | None = strawberry.field(default=None, description="Values for the variables of the body.")
    scheduled_at: datetime | None = strawberry.field(default=None, description="When it would be sent.")


@strawberry.input(description="A campaign to look at before it is made.")
class PreviewCampaignInput:
    body: str = strawberry.field(description="The text, with its variables.")
    audience: AudienceInput = strawberry.field(description="Who it would go to.")
    from_: str | None = strawberry.field(
        name="from", default=None, description="The sender; the workspace's where left out."
    )


@strawberry.type
class PreviewQuery:
    @field("A message as it would be sent. Nothing is sent, and no contact is made.")
    async def message_preview(
        self, info: Info, input: Annotated[PreviewMessageInput, strawberry.argument(description="The message.")]
    ) -> MessagePreview:
        data = messages.SendMessage(
            to=input.to,
            body=input.body,
            from_=input.from_,
            variables=input.variables or {},
            scheduled_at=input.scheduled_at,
        )
        # The fields of the type are those of the operation's answer, by the same names.
        return cast("MessagePreview", await previews.preview_message(info.context.ctx, data))

    @field("A campaign as it would be, were it sent now: who gets it, who is skipped, what it costs.")
    async def campaign_preview(
        self, info: Info, input: Annotated[PreviewCampaignInput, strawberry.argument(description="The campaign.")]
    ) -> CampaignPreview:
        audience = input.audience
        data = previews.PreviewCampaign(
            body=input.body,
            list_ids=refs(ids.CONTACT_LIST, audience.list_ids, "audience.list_ids"),
            segment_id=optional_ref(ids.SEGMENT, audience.segment_id, "audience.segment_id"),
            contact_ids=refs(ids.CONTACT, audience.contact_ids, "audience.contact_ids"),
            from_=input.from_,
        )
        return cast("CampaignPreview", await previews.preview_campaign(info.context.ctx, data))
