"""What is asked and shown of conversions."""

from __future__ import annotations

from typing import Annotated, Literal

from msvs.api import ids
from msvs.api.contacts.contacts import ExternalId
from msvs.api.messages.messages import Metadata
from msvs.api.pages import PageQuery
from msvs.api.resources import Resource, moment, optional_id, optional_moment, variant_name
from msvs.api.text.currencies import CURRENCY_PATTERN
from msvs.api.text.emails import MAX_EMAIL
from msvs.fields import AT, E164, ULID, AwareTime, Ref, Request, about, id_pattern, named
from msvs.models import AttributedBy, ConversionSource, rows
from msvs.models.campaigns import VARIANTS
from msvs.models.messages import MetadataValue

MAX_ORDER_ID = 200
MAX_AMOUNT = 1_000_000_000_000

ContactId = Annotated[str, Ref(ids.CONTACT), about("The contact.", pattern=id_pattern(ids.CONTACT))]
Amount = Annotated[
    int,
    about(
        "In the smallest unit of the currency: 14900 is 149.00 USD, and 149 JPY are 149.",
        example=14900,
        minimum=0,
        maximum=MAX_AMOUNT,
    ),
]


class CreateConversion(Request, frozen=True, kw_only=True):
    """What a contact bought. Name the contact in exactly one way."""

    contact_id: Annotated[ContactId, about(example=f"con_{ULID}")] | None = None
    phone: Annotated[E164, about("The contact with this phone, in E.164 format.")] | None = None
    email: (
        Annotated[
            str,
            about(
                "The contact with this e-mail address; of several, the one whose click or message was the last.",
                maxLength=MAX_EMAIL,
            ),
        ]
        | None
    ) = None
    external_id: Annotated[ExternalId, about("The contact with this id in your own system.")] | None = None
    order_id: Annotated[
        str,
        about(
            "Your id of the order. It is recorded once: the same order again answers what is there.",
            example="order-1042",
            **named(MAX_ORDER_ID),
        ),
    ]
    value: Annotated[Amount, about("What the order brought; 0 for what brings no money.")]
    currency: Annotated[str, about("The currency, by ISO 4217.", example="USD", pattern=CURRENCY_PATTERN)]
    occurred_at: Annotated[AwareTime, about("When it happened; now if you say nothing. Not in the future.")] | None = (
        None
    )
    metadata: Annotated[Metadata, about(example={"plan": "cohort-06"})] | None = None


class RefundConversion(Request, frozen=True, kw_only=True):
    """A refund of a conversion."""

    refunded_value: (
        Annotated[
            Amount,
            about(
                "All that was refunded so far, not this refund alone; the whole value if you say nothing. An amount"
                " below the one recorded changes nothing, so that refunds may come twice or out of order.",
                example=4900,
            ),
        ]
        | None
    ) = None


class ListConversions(PageQuery, frozen=True, kw_only=True):
    """Which conversions."""

    contact_id: Annotated[ContactId, about("Only those of this contact.")] | None = None
    campaign_id: (
        Annotated[
            str,
            Ref(ids.CAMPAIGN),
            about("Only those attributed to this campaign.", pattern=id_pattern(ids.CAMPAIGN)),
        ]
        | None
    ) = None
    order_id: Annotated[str, about("Only the one of this order.", **named(MAX_ORDER_ID))] | None = None
    occurred_from: Annotated[AwareTime, about("Only those that happened at this time or later.")] | None = None
    occurred_before: Annotated[AwareTime, about("Only those that happened before this time.")] | None = None


class TotalConversions(Request, frozen=True, kw_only=True):
    """The time over which conversions are summed up: 30 days up to now if you say nothing, at most 366."""

    occurred_from: Annotated[AwareTime, about("Those that happened at this time or later.")] | None = None
    occurred_before: Annotated[AwareTime, about("Those that happened before this time.")] | None = None


class AttributionResource(Resource, kw_only=True):
    """The message to which a conversion is attributed."""

    type: Annotated[
        str,
        about(
            "`click`: the contact's last click on a link before it; `message`: the last message delivered before it.",
            example="click",
            enum=[*AttributedBy],
        ),
    ]
    at: Annotated[str, about("When the click or the delivery was.", example=AT)]
    message_id: Annotated[str, about("The message.", example=f"msg_{ULID}")]
    campaign_id: Annotated[str, about("Its campaign; null for a single message.", example=f"cmp_{ULID}")] | None = None
    variant: Annotated[str, about("Its variant, of a campaign with an A/B test.", enum=[*VARIANTS])] | None = None
    sequence_id: Annotated[str, about("Its sequence, of a step.", example=None)] | None = None
    sequence_step: Annotated[str, about("The key of the step.", example=None)] | None = None


class ConversionResource(Resource, kw_only=True):
    """What a contact bought, and the message to which it is attributed."""

    id: Annotated[str, about(example=f"cnv_{ULID}")]
    object: Literal["conversion"] = "conversion"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    contact_id: Annotated[str, about("The contact; null of somebody who was erased.", example=f"con_{ULID}")] | None = (
        None
    )
    order_id: Annotated[str, about("Your id of the order.", example="order-1042")]
    value: Annotated[int, about("What it brought, in the smallest unit of the currency.", example=14900)]
    currency: Annotated[str, about("The currency, by ISO 4217.", example="USD")]
    refunded_value: Annotated[int, about("What of that was refunded.", example=0)]
    source: Annotated[str, about("How it came in.", example="api", enum=[*ConversionSource])]
    metadata: Annotated[dict[str, MetadataValue], about("As it was given.", example={"plan": "cohort-06"})]
    attributed: (
        Annotated[AttributionResource, about("The message that it is attributed to; null if to none.")] | None
    ) = None
    occurred_at: Annotated[str, about("When it happened.", example=AT)]
    created_at: Annotated[str, about("When it was recorded.", example=AT)]
    refunded_at: Annotated[str, about("When the last refund was recorded; null without one.", example=None)] | None = (
        None
    )


class CurrencyTotal(Resource, kw_only=True):
    """The conversions in one currency. Amounts are in its smallest unit."""

    currency: Annotated[str, about("The currency, by ISO 4217.", example="USD")]
    conversions: Annotated[int, about("All conversions.", example=42)]
    gross: Annotated[int, about("What they brought.", example=625800)]
    refunded: Annotated[int, about("What of that was refunded.", example=14900)]
    net: Annotated[int, about("What is left.", example=610900)]
    attributed: Annotated[int, about("The conversions that are attributed to a message.", example=31)]
    attributed_net: Annotated[int, about("What is left of theirs.", example=447000)]


class ConversionTotals(Resource, kw_only=True):
    """The conversions of a time, summed up by currency."""

    object: Literal["conversion_totals"] = "conversion_totals"
    occurred_from: Annotated[str, about("The start of the time.", example=AT)]
    occurred_before: Annotated[str, about("Its end.", example=AT)]
    currencies: Annotated[list[CurrencyTotal], about("The currencies, in the order of their codes.")]


def conversion_resource(row: rows.ConversionRow) -> ConversionResource:
    """Return the shape of a conversion."""
    return ConversionResource(
        id=ids.encode_id(ids.CONVERSION, row.id),
        livemode=row.livemode,
        contact_id=optional_id(ids.CONTACT, row.contact_id),
        order_id=row.order_id,
        value=row.value,
        currency=row.currency,
        refunded_value=row.refunded_value,
        source=str(row.source),
        metadata=row.metadata,
        attributed=_attribution(row),
        occurred_at=moment(row.occurred_at),
        created_at=moment(row.created_at),
        refunded_at=optional_moment(row.refunded_at),
    )


def _attribution(row: rows.ConversionRow) -> AttributionResource | None:
    if row.attributed_by is None or row.attributed_at is None or row.message_id is None:
        return None
    return AttributionResource(
        type=str(row.attributed_by),
        at=moment(row.attributed_at),
        message_id=ids.encode_id(ids.MESSAGE, row.message_id),
        campaign_id=optional_id(ids.CAMPAIGN, row.campaign_id),
        variant=None if row.variant is None else variant_name(row.variant),
        sequence_id=optional_id(ids.SEQUENCE, row.sequence_id),
        sequence_step=row.sequence_step,
    )
