"""The public shape of each resource, in answers and events.

Events store these shapes forever, so they belong to the domain; REST renders them and GraphQL reads the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Annotated, Literal, Protocol
from uuid import UUID

import msgspec

from msvs.api import ids
from msvs.api.permissions import shown_scopes
from msvs.fields import AT, LIST_ID, TEXT, ULID, VIPS, KeptPhone, about, named
from msvs.json_types import JSONObject
from msvs.models import (
    CampaignStatus,
    LedgerKind,
    MessageKind,
    MessageOrigin,
    MessageStatus,
    OnUnknown,
    OptInStatus,
    SourceStatus,
    SyncStatus,
    SyncTrigger,
    rows,
)
from msvs.models.campaigns import VARIANTS, AbTest, Approval, Audience, Exclusions, GuardRails, Metric, Tripped
from msvs.models.messages import KeptWarning, MetadataValue

UNSET = msgspec.UNSET
UnsetType = msgspec.UnsetType


class Resource(msgspec.Struct, kw_only=True):
    """Base of all public shapes."""


class ErrorDetail(Resource, kw_only=True):
    """Why a message failed, was canceled by the service or was skipped."""

    code: Annotated[
        str,
        about(example="invalid_number", enum=sorted(FAILURES), **{"x-descriptions": dict(sorted(FAILURES.items()))}),
    ]
    message: Annotated[str, about(example=FAILURES["invalid_number"])]


class ReplyResource(Resource, kw_only=True):
    """The reply of the recipient."""

    id: str
    body: Annotated[str, about(example="Is there a payment plan?")]
    from_: KeptPhone = msgspec.field(name="from")
    received_at: str


class ClickResource(Resource, kw_only=True):
    """The first click on a short link of a message."""

    url: Annotated[str, about("Where the link leads.", example="https://cohortlabs.co/cart")]
    position: Annotated[int, about("The place of the link in the body, from 0.", example=0, minimum=0)]
    clicked_at: str


class ShortLinkResource(Resource, kw_only=True):
    """A short link of a message, and the clicks of people on it."""

    object: Literal["short_link"] = "short_link"
    short_url: Annotated[str, about("The link in the body.", example="https://go.cohortlabs.co/4Xb9QmT0aZk")]
    url: Annotated[str, about("Where it leads.", example="https://cohortlabs.co/cart")]
    position: Annotated[int, about("The place of the link in the body, from 0.", example=0, minimum=0)]
    clicks: Annotated[int, about("The number of clicks, without those of programs.", example=2, minimum=0)]
    first_clicked_at: Annotated[str, about("When it was first clicked; null before that.")] | None = None
    last_clicked_at: Annotated[str, about("When it was last clicked; null before that.")] | None = None
    expires_at: Annotated[str, about("The link leads nowhere after this time.")]


class MessageLinksResource(Resource, kw_only=True):
    """The short links of a message, in the order of its body."""

    id: str
    object: Literal["message_links"] = "message_links"
    data: Annotated[list[ShortLinkResource], about("A link each; none if the message has no short links.")]


class CampaignLinkResource(Resource, kw_only=True):
    """A link of a campaign's body, and the clicks of people on it over all recipients."""

    object: Literal["campaign_link"] = "campaign_link"
    url: Annotated[
        str,
        about(
            "Where it leads, with the variables of the body and the UTM parameters.",
            example="https://cohortlabs.co/cart?seat={seat}&utm_source=sms",
        ),
    ]
    position: Annotated[int, about("The place of the link in the body, from 0.", example=0, minimum=0)]
    clicks: Annotated[int, about("The number of clicks, without those of programs.", example=57, minimum=0)] = 0
    unique_clicks: Annotated[int, about("The number of messages in which it was clicked.", example=41, minimum=0)] = 0
    variant: (
        Annotated[str, about("The variant in whose body it is, if the campaign has some.", enum=[*VARIANTS])]
        | UnsetType
    ) = UNSET


class CampaignLinksResource(Resource, kw_only=True):
    """The links of a campaign's body, in their order."""

    id: str
    object: Literal["campaign_links"] = "campaign_links"
    data: Annotated[list[CampaignLinkResource], about("A link each; none without `shorten_links`.")]


ShownVersion = Annotated[
    str,
    about(
        "A value that changes with each edit. Send it with a change, so that the change is refused if another was made"
        " in between.",
        example="5f3a9c01d2e4b687",
    ),
]


class SendWarning(Resource, kw_only=True):
    """A warning about a message or campaign that is accepted but may be delayed, cost more or not reach everyone."""

    code: Annotated[str, about("A stable code, such as `double_braces`.", example="double_braces")]
    message: Annotated[
        str,
        about(
            "The warning, in English.",
            example="{{first_name}} is sent as the text {first_name}. Write {first_name} for the value of a variable.",
        ),
    ]
    param: Annotated[str, about("The input that caused it; null if there is none.", example="body")] | None = None


ShownOnUnknown = Annotated[
    str,
    about(
        "What to do if the outcome of a message is unknown and the carrier cannot be asked: `never` or `resend`.",
        example="never",
        enum=[*OnUnknown],
    ),
]


class MessageResource(Resource, kw_only=True):
    """One SMS to one phone."""

    id: str
    object: Literal["message"] = "message"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    to: KeptPhone
    from_: Annotated[str, about("The sender that the recipient sees.", example="MASSIVESMS")] = msgspec.field(
        name="from"
    )
    body: Annotated[str, about("The text, with variables filled in.", example=TEXT)]
    status: Annotated[str, about("The status.", example="queued", enum=[*MessageStatus])]
    delivery: (
        Annotated[
            str, about("`unknown` if no delivery report arrived within 72 hours; null otherwise.", enum=["unknown"])
        ]
        | None
    ) = None
    encoding: Annotated[str, about("The character encoding.", example="gsm7")]
    segments: Annotated[int, about("The number of segments.", example=1, minimum=0)]
    credits_used: Annotated[
        int, about("One credit for each segment; in the sandbox, what live would charge.", example=1, minimum=0)
    ]
    campaign_id: str | None = None
    contact_id: Annotated[str, about(example=f"con_{ULID}")] | None = None
    metadata: Annotated[
        dict[str, MetadataValue],
        about("Your own values, as you gave them.", example={"campaign": "cohort_06_close"}),
    ]
    error: Annotated[ErrorDetail | None, about(example=None)] = None
    warnings: Annotated[
        list[SendWarning],
        about(
            "Warnings about probable mistakes when it was accepted; those of a campaign's message are on the campaign.",
            example=[],
        ),
    ] = []
    scheduled_at: Annotated[str, about("The scheduled time; null if it starts at once.")] | None = None
    expires_at: (
        Annotated[str, about("The message is not sent after this time; null if there is no such time.")] | None
    ) = None
    sent_at: Annotated[str, about("When the carrier accepted it; null before that.")] | None = None
    delivered_at: Annotated[str, about("When the handset received it; null before that.")] | None = None
    failed_at: Annotated[str, about("When it failed; null if it did not.")] | None = None
    canceled_at: Annotated[str, about("When it was canceled; null if it was not.")] | None = None
    replied_at: Annotated[str, about("When the recipient first replied; null before that.")] | None = None
    created_at: Annotated[str, about("When it was accepted.")]
    origin: Annotated[
        str,
        about(
            "Where it comes from: a request of yours (`api`), a `campaign`, somebody who had logged in (`dashboard`),"
            " or the service itself (`automatic`): confirmations, welcomes and questions. All of them cost credits.",
            example="api",
            enum=[*MessageOrigin],
        ),
    ] = MessageOrigin.API.value
    on_unknown: ShownOnUnknown = OnUnknown.NEVER.value
    reply: ReplyResource | UnsetType = UNSET
    click: ClickResource | UnsetType = UNSET
    variant: (
        Annotated[
            str,
            about("The variant of its campaign, if that has some.", example="A", enum=[*VARIANTS]),
        ]
        | UnsetType
    ) = UNSET


class Refusal(Resource, kw_only=True):
    """The error that sending would return; `status` is its HTTP status."""

    status: int
    type: str
    code: Annotated[str, about("A stable code, such as `insufficient_credits`.")]
    message: Annotated[str, about("What is wrong, in English.")]
    param: Annotated[str, about("The input that caused it; null if there is none.", example="body")] | None = None


class MessageBatchEntry(Resource, kw_only=True):
    """The answer to one message of a batch: the message, or the error that sending it alone would have returned."""

    index: Annotated[int, about("The message's place in the request, from 0.", example=0, minimum=0)]
    message: Annotated[MessageResource | None, about("The accepted message; null if it was refused.")] = None
    error: Annotated[Refusal | None, about("Why it was refused; null if it was accepted.", example=None)] = None


class MessageBatchResource(Resource, kw_only=True):
    """The answers to the messages of a batch, in their order."""

    object: Literal["batch"] = "batch"
    data: Annotated[list[MessageBatchEntry], about("An entry for each message, in the order of the request.")]


class AudienceResource(Resource, kw_only=True, omit_defaults=True):
    """The audience of a campaign: the union of lists, a segment and single contacts."""

    list_ids: Annotated[list[str], about("The lists.", example=[LIST_ID])] = []
    segment_id: Annotated[str, about("The segment; null if there is none.")] | None = None
    contact_ids: Annotated[list[str], about("The single contacts.")] = []


class ExclusionsResource(Resource, kw_only=True, omit_defaults=True):
    """Who of the audience is skipped: anyone to whom at least one of these applies."""

    list_ids: Annotated[list[str], about("Members of these lists.", example=[LIST_ID])] = []
    segment_ids: Annotated[list[str], about("Contacts that match one of these segments.")] = []
    campaign_ids: Annotated[list[str], about("Recipients of these campaigns, without those they skipped.")] = []
    messaged_within_days: (
        Annotated[int, about("Contacts who got any message in the last so many days; null if it does not matter.")]
        | None
    ) = None


class RevenueResource(Resource, kw_only=True):
    """Revenue in one currency, in its smallest unit: 14900 is 149.00 USD."""

    currency: Annotated[str, about("The currency, by ISO 4217.", example="USD")]
    conversions: Annotated[int, about("The number of conversions in it.", example=31)]
    gross: Annotated[int, about("What they brought.", example=461900)]
    refunded: Annotated[int, about("What of that was refunded.", example=14900)]
    net: Annotated[int, about("What is left.", example=447000)]
    per_recipient: Annotated[
        float,
        about("`net` by the messages that a carrier accepted and that have not failed; 0 of none.", example=1083.5),
    ] = 0.0


class CampaignStats(Resource, kw_only=True):
    """The number of recipients by status. `replied` is part of `delivered`; `opted_out` counts STOP answers."""

    recipients: Annotated[int, about("All recipients.", example=0)] = 0
    queued: Annotated[int, about("Waiting.", example=0)] = 0
    sending: Annotated[int, about("Being handed to the carrier.", example=0)] = 0
    sent: Annotated[int, about("Accepted by the carrier.", example=0)] = 0
    delivered: Annotated[int, about("Delivered, including those with a reply.", example=0)] = 0
    failed: Annotated[int, about("Failed.", example=0)] = 0
    skipped: Annotated[int, about("Skipped.", example=0)] = 0
    canceled: Annotated[int, about("Canceled.", example=0)] = 0
    replied: Annotated[int, about("The number of delivered messages with a reply.", example=0)] = 0
    opted_out: Annotated[int, about("The number of recipients who answered STOP.", example=0)] = 0
    credits_used: Annotated[int, about("Credits reserved or spent.", example=0)] = 0
    clicks: Annotated[int, about("The number of clicks on its short links, without those of programs.", example=0)] = 0
    unique_clicks: Annotated[int, about("The number of messages with a click.", example=0)] = 0
    conversions: Annotated[int, about("The number of conversions attributed to its messages.", example=0)] = 0
    converted: Annotated[int, about("The number of messages with a conversion.", example=0)] = 0
    conversion_rate: Annotated[
        float,
        about("`converted` by the messages that a carrier accepted and that have not failed; 0 of none.", example=0),
    ] = 0.0
    revenue: Annotated[list[RevenueResource], about("The revenue, a currency each.", example=[])] = []


class UtmResource(Resource, kw_only=True):
    """The UTM parameters of a campaign's short links; null where there is none of a name."""

    source: Annotated[str, about("`utm_source`.", example="sms")] | None = None
    medium: Annotated[str, about("`utm_medium`.")] | None = None
    campaign: Annotated[str, about("`utm_campaign`.")] | None = None
    term: Annotated[str, about("`utm_term`.")] | None = None
    content: Annotated[str, about("`utm_content`.")] | None = None


class TrippedResource(Resource, kw_only=True):
    """The guard rail beyond which a campaign moved."""

    guard: Annotated[str, about("The guard rail.", example="max_credits", enum=["max_credits", "max_drift"])]
    measure: Annotated[str, about("What moved.", example="credits", enum=["credits", "recipients"])]
    limit: Annotated[float, about("The value of the guard rail.", example=450)]
    expected: Annotated[int, about("What the preflight expected; null without one.", example=405)] | None = None
    found: Annotated[int, about("What it is.", example=512)]
    message: Annotated[
        str, about("The same, in English.", example="It would cost 512 credits, and may cost 450 at most.")
    ]


class GuardRailsResource(Resource, kw_only=True):
    """What a campaign may become before it is paused."""

    preflight_id: Annotated[str, about("Its preflight; null without one.")] | None = None
    max_credits: Annotated[int, about("The most credits that it may cost; null for no limit.", example=450)] | None = (
        None
    )
    max_drift: (
        Annotated[float, about("How far it may have moved from its preflight, as a share; null for no limit.")] | None
    ) = None
    expected_recipients: Annotated[int, about("The recipients that the preflight expected.", example=405)] | None = None
    expected_credits: Annotated[int, about("The cost that the preflight expected.", example=405)] | None = None
    lifted: Annotated[bool, about("Whether somebody resumed it all the same.", example=False)] = False
    tripped: Annotated[
        TrippedResource | None, about("What it moved beyond; null unless that has paused it.", example=None)
    ] = None


VariantName = Annotated[str, about("Its name.", example="A", enum=[*VARIANTS])]


class VariantResource(Resource, kw_only=True):
    """A variant of a campaign."""

    variant: VariantName
    body: Annotated[
        str,
        about("The text, with variables.", example="Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET."),
    ]
    from_: Annotated[str, about("The sender the recipients see.", example="MASSIVESMS")] = msgspec.field(name="from")
    share: Annotated[int, about("Its share of the test in percent; null for equal shares.", example=50)] | None = None


class AbTestResource(Resource, kw_only=True):
    """The A/B test of a campaign: its variants go to a part of the audience, and the best of them to the rest."""

    variants: Annotated[list[VariantResource], about("The variants, A first.")]
    test_percent: Annotated[int, about("The part of the audience in the test, in percent.", example=20)]
    metric: Annotated[str, about("By what the variants are compared.", example="click", enum=[*Metric])]
    test_minutes: (
        Annotated[
            int,
            about("How long after the last message of the test is due the winner is chosen; null if you choose it."),
        ]
        | None
    ) = None
    tested_at: Annotated[str, about("When the last message of the test was queued; null before that.")] | None = None
    ends_at: Annotated[str, about("When the winner is chosen; null if nobody knows yet.")] | None = None
    winner: Annotated[str, about("The variant that the rest gets; null before that.", enum=[*VARIANTS])] | None = None
    winner_chosen_at: Annotated[str, about("When the winner was chosen; null before that.")] | None = None
    winner_chosen_by: (
        Annotated[
            str,
            about("`time` if the best variant was chosen, `hand` if you chose; null before.", enum=["time", "hand"]),
        ]
        | None
    ) = None


class CampaignApprovalResource(Resource, kw_only=True):
    """The approval of a campaign by a second person."""

    state: Annotated[
        str,
        about(
            "`required` while it waits, paused with `approval_required`; `approved`; or `rejected`, which leaves it"
            " paused until it is changed, asked for again or canceled.",
            enum=["required", "approved", "rejected"],
        ),
    ]
    recipient_count: Annotated[
        int, about("The most recipients that it goes to with this approval.", example=1200, minimum=0)
    ]
    requested_by: (
        Annotated[str, about("Who launched it, or changed it last: the id of a user or an API key; null if unknown.")]
        | None
    ) = None
    requested_at: Annotated[str, about("When that was.", example=AT)]
    decided_by: Annotated[str, about("Who decided: the id of a user; null before that.")] | None = None
    decided_at: Annotated[str, about("When that was; null before that.")] | None = None
    comment: Annotated[str, about("The comment on the decision; null if there is none.")] | None = None


class CampaignResource(Resource, kw_only=True):
    """A message body that is sent to many contacts."""

    id: str
    object: Literal["campaign"] = "campaign"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    sequence_id: (
        Annotated[str, about("The sequence whose step it is; null for a campaign by itself.", example=None)] | None
    ) = None
    name: Annotated[str, about("The name, shown to your team only.", example="Cohort 06 — cart close 4h")]
    body: Annotated[
        str,
        about("The text, with variables.", example="Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET."),
    ]
    from_: Annotated[str, about("The sender the recipients see.", example="MASSIVESMS")] = msgspec.field(name="from")
    audience: AudienceResource
    exclude: Annotated[ExclusionsResource, about("Who of the audience is skipped; null for nobody.")] | None = None
    status: Annotated[str, about("The status.", example="scheduled", enum=[*CampaignStatus])]
    pause_reason: (
        Annotated[
            str,
            about(
                "Why it is paused: `manual`, `insufficient_credits`, `daily_cap`, `missed`, `exclusion_missing`,"
                " `guard_rail` or `approval_required`; null unless it is.",
                enum=[
                    "insufficient_credits",
                    "daily_cap",
                    "missed",
                    "exclusion_missing",
                    "manual",
                    "guard_rail",
                    "approval_required",
                ],
            ),
        ]
        | None
    ) = None
    stats: CampaignStats
    metadata: Annotated[
        dict[str, MetadataValue],
        about("Your own values, as you gave them.", example={"campaign": "cohort_06_close"}),
    ]
    warnings: Annotated[
        list[SendWarning],
        about(
            "Warnings about delays, costs or recipients that it does not reach, as of the last change or launch.",
            example=[],
        ),
    ] = []
    quiet_hours: Annotated[bool, about("Whether messages are sent only in the daytime of the recipient.", example=True)]
    rate_per_minute: Annotated[int, about("The most messages to send in a minute; null for no limit.")] | None = None
    spread_hours: (
        Annotated[float, about("The number of hours over which messages are spread evenly; null if they are not.")]
        | None
    ) = None
    send_at_local: (
        Annotated[str, about("The local time at which each recipient gets it; null if it does not matter.")] | None
    ) = None
    contact_daily_cap: (
        Annotated[int, about("The campaign's own cap on campaign messages to one contact in 24 hours; null for none.")]
        | None
    ) = None
    contact_weekly_cap: (
        Annotated[int, about("The campaign's own cap on campaign messages to one contact in 7 days; null for none.")]
        | None
    ) = None
    scheduled_at: Annotated[str, about("The scheduled time; null if it starts at once.", example=AT)] | None = None
    expires_at: (
        Annotated[str, about("Messages are not sent after this time; null if there is no such time.")] | None
    ) = None
    dispatched_at: Annotated[str, about("When its last message was queued; null before that.")] | None = None
    completed_at: Annotated[str, about("When its last message reached a final status; null before that.")] | None = None
    canceled_at: Annotated[str, about("When it was canceled; null if it was not.")] | None = None
    created_at: Annotated[str, about("When it was created.")]
    on_unknown: ShownOnUnknown = OnUnknown.NEVER.value
    shorten_links: Annotated[bool, about("Whether recipients get short links of their own.", example=False)] = False
    utm: Annotated[UtmResource | None, about("The UTM parameters of its short links.", example=None)] = None
    guard_rails: Annotated[
        GuardRailsResource | None, about("Beyond what it is paused; null if nothing was asked for.", example=None)
    ] = None
    version: ShownVersion = ""
    ab_test: Annotated[AbTestResource, about("Its A/B test, if it has one.")] | UnsetType = UNSET
    tags: Annotated[list[str], about("Its tags, in order.", example=["launch"])] = []
    archived_at: Annotated[str, about("When it was archived; null if it is not.")] | None = None
    approval: Annotated[
        CampaignApprovalResource | None,
        about("Its approval by a second person; null if it needs none.", example=None),
    ] = None


class OptInResource(Resource, kw_only=True):
    """The consent status of a contact, and its evidence."""

    status: Annotated[str, about("The consent status.", example="opted_in", enum=[*OptInStatus])]
    source: (
        Annotated[str, about("Where consent was given or withdrawn; null while it is unknown.", example="checkout")]
        | None
    ) = None
    ip: Annotated[str, about("The IP address of the person; null if unknown.", example="203.0.113.4")] | None = None
    at: Annotated[str, about("The time of the change; null while it is unknown.", example=AT)] | None = None


class UnreachableResource(Resource, kw_only=True):
    """Why campaigns skip a contact's number: messages to it failed again and again. Its consent stays as it is."""

    at: Annotated[str, about("Since when campaigns skip it.", example=AT)]
    code: Annotated[str, about("The error code of the last failure.", example="invalid_number")]
    message: Annotated[
        str, about("That error, in English.", example="The carrier says that the number does not exist.")
    ]


class ContactResource(Resource, kw_only=True):
    """A person to whom you send SMS."""

    id: str
    object: Literal["contact"] = "contact"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    phone: KeptPhone
    first_name: Annotated[str, about("The first name; null if unknown.", example="Maria")] | None = None
    last_name: Annotated[str, about("The last name; null if unknown.", example="Silva")] | None = None
    email: Annotated[str, about("The e-mail address; null if unknown.", example="maria@example.com")] | None = None
    timezone: (
        Annotated[
            str,
            about(
                "The IANA time zone; null to use the region of the phone.",
                example="America/New_York",
            ),
        ]
        | None
    ) = None
    external_id: (
        Annotated[str, about("The id in your own system; null if not given.", example="customer-4711")] | None
    ) = None
    opt_in: OptInResource
    unreachable: Annotated[
        UnreachableResource | None,
        about(
            "Why campaigns skip the contact's number; null unless messages to it failed again and again.", example=None
        ),
    ] = None
    attributes: Annotated[
        JSONObject,
        about("Your own values by name, for personalization.", example={"tier": "vip", "joined_at": "2026-04-22"}),
    ]
    tags: Annotated[list[str], about("Its tags, in order.", example=["vip", "webinar"])]
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it was last changed.")]
    version: ShownVersion = ""
    warnings: (
        Annotated[
            list[SendWarning],
            about(
                "Warnings about side effects of a change, such as `consent_not_carried_over` for another phone; only"
                " in the answer to a creation or an update.",
                example=[],
            ),
        ]
        | UnsetType
    ) = UNSET
    merged_id: Annotated[str, about("In `contact.merged`: the id of the contact that is gone.")] | UnsetType = UNSET


class SyncFault(Resource, kw_only=True):
    """Why a sync failed or stopped."""

    code: Annotated[
        str,
        about(
            "The kind: `access_not_granted`, `credentials_refused`, `invalid_setting`, `gone`, `rate_limited`,"
            " `unavailable`, `bad_answer`, `mapping_missing`, `list_shrank` or `interrupted`.",
            example="credentials_refused",
        ),
    ]
    message: Annotated[str, about("An explanation for people.", example="Kit refuses the API key.")]
    setting: Annotated[str, about("The setting to change, if it is one.", example="api_key")] | None = None


class SyncCounts(Resource, kw_only=True):
    """The outcomes of a sync, actual or expected: each of `people` is counted once, in the seven fields that follow."""

    people: Annotated[int, about("The people who were read.", example=412)] = 0
    created: Annotated[int, about("Contacts created.", example=12)] = 0
    updated: Annotated[int, about("Contacts updated.", example=3)] = 0
    unchanged: Annotated[int, about("People who are as they were.", example=395)] = 0
    duplicate: Annotated[int, about("People whose phone another person there has.", example=0)] = 0
    suppressed: Annotated[int, about("Contacts that opted out and stay opted out.", example=1)] = 0
    invalid: Annotated[int, about("People without a valid phone.", example=1)] = 0
    erased: Annotated[int, about("People left out because they were erased here.", example=0)] = 0
    left: Annotated[int, about("People who are no longer there.", example=2)] = 0
    added_to_list: Annotated[int, about("Contacts added to the list.", example=12)] = 0
    removed_from_list: Annotated[int, about("Contacts taken off the list.", example=2)] = 0
    opted_in: Annotated[int, about("Contacts opted in.", example=0)] = 0
    pending: Annotated[int, about("Contacts asked to confirm.", example=0)] = 0


class SyncSample(Resource, kw_only=True):
    """One of the first people whom a dry run read."""

    phone: Annotated[str, about("The phone in E.164 format.", example="+12125550123")] | None = None
    first_name: Annotated[str, about("The first name.", example="Maria")] | None = None
    last_name: Annotated[str, about("The last name.", example="Silva")] | None = None
    email: Annotated[str, about("The e-mail address.", example="maria@example.com")] | None = None
    status: Annotated[
        str,
        about(
            "The expected outcome.",
            example="created",
            enum=["created", "updated", "unchanged", "duplicate", "suppressed"],
        ),
    ]


class SyncProblem(Resource, kw_only=True):
    """Someone who could not be read, by the id there."""

    external_id: Annotated[str, about("The id in the service.", example="1042")]
    reason: Annotated[str, about("Why.", example="it is not a valid phone number")]


class ListSyncResource(Resource, kw_only=True):
    """A sync of a list with the service that it is kept in step with."""

    id: Annotated[str, about(example=f"syn_{ULID}")]
    object: Literal["list_sync"] = "list_sync"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    list_id: Annotated[str, about("The list.", example=LIST_ID)]
    trigger: Annotated[str, about("What began it.", example="schedule", enum=[*SyncTrigger])]
    status: Annotated[
        str,
        about(
            "The status. `held`: too many people would leave; confirm it or check the service.",
            example="completed",
            enum=[*SyncStatus],
        ),
    ]
    dry_run: Annotated[bool, about("Whether it only found what would change.", example=False)]
    full: Annotated[bool, about("Whether it read everyone, not only changes.", example=True)]
    counts: Annotated[SyncCounts, about("The outcomes, actual or expected.")]
    samples: Annotated[list[SyncSample], about("The first people of a dry run, until it is confirmed.", example=[])]
    problems: Annotated[list[SyncProblem], about("The first people who could not be read.", example=[])]
    error: Annotated[SyncFault, about("Why it failed or is held.")] | None
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it last made progress.")]
    started_at: Annotated[str, about("When the first people were read.")] | None
    ended_at: Annotated[str, about("When it ended.")] | None


class SourceField(Resource, kw_only=True):
    """A field that people of the service have."""

    key: Annotated[str, about("The key in `mapping`.", example="fields.phone")]
    label: Annotated[str, about("The name in the service.", example="Phone")]
    type: Annotated[
        str, about("The type of its values.", example="text", enum=["text", "number", "boolean", "date", "time"])
    ]
    field: Annotated[str, about("What it is mapped to.", example="phone")]


class SettingChoice(Resource, kw_only=True):
    """A value that a setting can have in the account."""

    value: Annotated[str, about("The value to send.", example="1042")]
    label: Annotated[str, about("What the service calls it.", example="Cohort 06")]


class SettingChoices(Resource, kw_only=True):
    """What the account has for a setting, such as its tags."""

    setting: Annotated[str, about("The name of the setting.", example="tag_id")]
    choices: Annotated[list[SettingChoice], about("The values.")]


class ListSourceResource(Resource, kw_only=True):
    """The service that a list is kept in step with, and how it stands."""

    type: Annotated[str, about("The connector.", example="kit")]
    status: Annotated[
        str,
        about(
            "The status. `checking`: the first sync, a dry run, goes on; `checked`: it waits for you to confirm it;"
            " `stopped`: it waits for a change, which `error` names.",
            example="active",
            enum=[*SourceStatus],
        ),
    ]
    paused: Annotated[bool, about("Whether it is paused.", example=False)]
    account: Annotated[str, about("The account in the service.", example="Cohort Labs")] | None
    settings: Annotated[
        dict[str, str], about("The settings of the connector, without secrets.", example={"tag_id": "1042"})
    ]
    setting_choices: Annotated[
        list[SettingChoices], about("What the account has for settings, such as its tags, as of the last dry run.")
    ]
    known_fields: Annotated[list[SourceField], about("The fields that people there have.")]
    mapping: Annotated[dict[str, str], about("What each field is, by its key.", example={"fields.phone": "phone"})]
    default_region: Annotated[str, about("The region of numbers without a country code.", example="US")] | None
    evidence: (
        Annotated[JSONObject, about("How everyone there agreed to receive texts.", example={"source": "webinar"})]
        | None
    )
    update: Annotated[
        str, about("What happens to contacts that exist.", example="fill", enum=["overwrite", "fill", "skip"])
    ]
    removal: Annotated[
        str, about("What happens to contacts who are no longer there.", example="leave", enum=["leave", "stay"])
    ]
    every_minutes: Annotated[int, about("How often it is synced, in minutes.", example=60)]
    writes_opt_outs: Annotated[bool, about("Whether the service is told of opt-outs.", example=False)]
    hook_url: (
        Annotated[
            str,
            about(
                "The address that the service posts people to; keep it secret. Null for callers who may not change"
                " the list.",
                example="https://api.massivesms.com/hooks/3q2…",
            ),
        ]
        | None
    )
    next_sync_at: Annotated[str, about("When the next sync is due.")] | None
    last_sync: Annotated[ListSyncResource, about("The newest sync.")] | None
    error: Annotated[SyncFault, about("Why it stopped, or failed last.")] | None


class ContactListResource(Resource, kw_only=True):
    """A collection of contacts."""

    id: str
    object: Literal["contact_list"] = "contact_list"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    name: Annotated[str, about("Its name.", example="Cohort 06 — open cart")]
    kind: Annotated[
        str,
        about(
            "`static` if it is maintained by hand, otherwise it is synchronized with another service.",
            example="static",
            enum=["static", "synced"],
        ),
    ]
    contact_count: Annotated[int, about("The number of contacts on the list.", example=412, minimum=0)]
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it was last renamed.")]
    source: (
        Annotated[ListSourceResource, about("What a synced list is kept in step with; null for a static one.")] | None
    ) = None
    version: ShownVersion = ""


class SegmentResource(Resource, kw_only=True):
    """A saved filter over contacts."""

    id: str
    object: Literal["segment"] = "segment"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    name: Annotated[str, about("Its name.", example="VIPs of Cohort 06")]
    filter: Annotated[
        JSONObject,
        about(
            'The filter that contacts match, such as `{"field": "attributes.tier", "op": "eq", "value": "vip"}`.',
            example=VIPS,
            **{"$ref": "#/components/schemas/SegmentCondition"},
        ),
    ]
    created_at: Annotated[str, about("When it was created.")]
    updated_at: Annotated[str, about("When it was last changed.")]
    version: ShownVersion = ""


class PurchaseResource(Resource, kw_only=True):
    """Credits that were added to the balance."""

    kind: Annotated[
        str,
        about(
            "Whether the credits were granted or bought.",
            example="purchase",
            enum=[LedgerKind.GRANT, LedgerKind.PURCHASE],
        ),
    ]
    credits: Annotated[int, about("The number of credits added.", example=10000)]
    created_at: Annotated[str, about("When the credits were added.")]


class LedgerEntryResource(Resource, kw_only=True):
    """One movement of credits; `reference` names its cause."""

    id: Annotated[str, about("The id of the entry.")]
    object: Literal["ledger_entry"] = "ledger_entry"
    kind: Annotated[str, about("The kind of movement.", example="reserve", enum=[*LedgerKind])]
    amount: Annotated[int, about("The amount: positive for additions, negative for charges.", example=-1)]
    reference: Annotated[str, about("The cause, such as the id of a message.", example=f"msg_{ULID}")]
    note: Annotated[str, about("A note; may be empty.", example="")]
    created_at: Annotated[str, about("When the credits moved.")]


CLICK_WINDOW_HOURS, MESSAGE_WINDOW_HOURS = 120, 24


class WorkspaceResource(Resource, kw_only=True):
    """The settings of your workspace in this mode."""

    id: str
    object: Literal["workspace"] = "workspace"
    name: Annotated[str, about("Its name.", example="Cohort Labs")]
    default_sender: Annotated[str, about("The default sender.", example="MASSIVESMS")]
    double_opt_in: Annotated[
        bool, about("Whether people are asked to confirm an opt-in by SMS (double opt-in).", example=False)
    ]
    campaigns_admit_unknown: Annotated[
        bool, about("Whether campaigns also go to contacts whose consent is unknown.", example=False)
    ]
    blocked_regions: Annotated[list[str], about("ISO 3166-1 regions to which nothing is sent.", example=[])]
    enabled_regions: Annotated[
        list[str], about("ISO 3166-1 regions that are enabled, among those that are off by default.", example=[])
    ]
    daily_credit_cap: (
        Annotated[int, about("The most credits that live messages may cost in a UTC day; null for no cap.")] | None
    ) = None
    prefix_hourly_cap: (
        Annotated[int, about("The most single messages to one range of numbers in an hour; null for no cap.")] | None
    ) = None
    contact_daily_cap: (
        Annotated[int, about("The most campaign messages to one contact in 24 hours; null for no cap.")] | None
    ) = None
    contact_weekly_cap: (
        Annotated[int, about("The most campaign messages to one contact in 7 days; null for no cap.")] | None
    ) = None
    contact_caps_cover_all: Annotated[
        bool, about("Whether single messages count towards the contact caps and are held to them, too.")
    ] = False
    unreachable_after: (
        Annotated[
            int,
            about(
                "After how many failures for its number's sake campaigns skip a contact; null for never, as in the"
                " sandbox until it is set there.",
                example=3,
            ),
        ]
        | None
    ) = None
    click_window_hours: Annotated[
        int,
        about(
            "A conversion is attributed to the contact's last click in so many hours before it; 0 for never.",
            example=120,
        ),
    ] = CLICK_WINDOW_HOURS
    message_window_hours: Annotated[
        int,
        about(
            "Without such a click, a conversion is attributed to the last message delivered to the contact in so many"
            " hours before it; 0 for never.",
            example=24,
        ),
    ] = MESSAGE_WINDOW_HOURS
    approval_threshold: (
        Annotated[int, about("Campaigns to more recipients need a second person's approval; null for none.")] | None
    ) = None
    quiet_hours: Annotated[bool, about("Whether campaigns send only in the daytime of the recipient by default.")]
    timezone: Annotated[str, about("The IANA time zone.", example="America/New_York")]
    low_balance_threshold: Annotated[int, about("The balance below which `credits.low` is sent.", example=1000)]
    opt_in_text: Annotated[
        str,
        about("The double opt-in question.", example="Reply YES to confirm your subscription. Reply STOP to opt out."),
    ]
    opt_out_text: Annotated[
        str,
        about(
            "The SMS that answers STOP.",
            example="You are unsubscribed and will get no more messages. Reply START to resubscribe.",
        ),
    ]
    welcome_text: Annotated[
        str, about("The SMS that confirms an opt-in.", example="You are subscribed. Reply STOP to opt out.")
    ]
    help_text: Annotated[
        str, about("The SMS that answers HELP.", example="Reply STOP to opt out, START to resubscribe.")
    ]
    created_at: Annotated[str, about("When it was created.")]
    version: ShownVersion = ""


class CreditsResource(Resource, kw_only=True):
    """The workspace's credit balance."""

    object: Literal["credits"] = "credits"
    balance: Annotated[int, about("The balance.", example=8420, minimum=0)]
    total_lifetime: Annotated[int, about("All credits that were ever added.", example=27000)]
    low_balance_threshold: Annotated[int, about("The balance below which `credits.low` is sent.", example=1000)]
    estimated_runway_days: (
        Annotated[
            int,
            about(
                "The number of days that the balance lasts at the usage of the last 30 days; null without any usage.",
                example=14,
            ),
        ]
        | None
    ) = None
    recent_purchases: list[PurchaseResource] = []
    debt: Annotated[
        int, about("What refunds and disputes took of credits that were spent; what comes in pays it first.", example=0)
    ] = 0


class WebhookFilterResource(Resource, kw_only=True):
    """What an event must match beside its type."""

    campaign_ids: Annotated[list[str], about("Only events of these campaigns; empty for all.", example=[])] = []
    metadata: Annotated[
        dict[str, MetadataValue],
        about("Values that the `metadata` of its event's resource must have.", example={"campaign": "cohort_06_close"}),
    ] = {}


class WebhookResource(Resource, kw_only=True):
    """A webhook. `secret` is present only in the answer that creates or rotates it."""

    id: str
    object: Literal["webhook"] = "webhook"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    url: Annotated[str, about("The URL to which events are posted.", example="https://api.cohortlabs.co/webhooks/sms")]
    events: Annotated[
        list[str],
        about(
            "The events that it subscribes to; empty if it subscribes to all.",
            example=["message.delivered", "message.failed", "message.replied", "contact.opted_out"],
        ),
    ]
    description: Annotated[str, about("Its purpose; may be empty.", example="")]
    status: Annotated[str, about(example="enabled", enum=["enabled", "disabled"])]
    disabled_reason: (
        Annotated[str, about("Why the service disabled it; null if it did not.", enum=["gone", "failing"])] | None
    ) = None
    verified: Annotated[
        bool,
        about("Whether its URL has answered an event with 2xx. Until then, a live webhook gets one event at a time."),
    ]
    created_at: Annotated[str, about("When it was created.")]
    created_by: Annotated[
        str | None,
        about(
            "Who created it: the id of a user or of a key, or `system`; null if that was not kept.",
            example="usr_01HYZ8K5VQAE2N0PWQ6DC9V8MP",
        ),
    ] = None
    auto_replay: Annotated[
        bool, about("Whether it is sent what it missed, the oldest first, once it answers again.", example=False)
    ] = False
    standard_webhooks: Annotated[
        bool, about("Whether requests have the headers of Standard Webhooks, too.", example=False)
    ] = False
    batch_size: (
        Annotated[
            int,
            about("The most events of one request; null for one event each.", example=None, minimum=1, maximum=100),
        ]
        | None
    ) = None
    filter: (
        Annotated[WebhookFilterResource, about("What an event must match beside its type; null for nothing.")] | None
    ) = None
    version: ShownVersion = ""
    secret: str | UnsetType = UNSET


class WebhookHealthResource(Resource, kw_only=True):
    """How deliveries to a webhook go."""

    webhook_id: str
    object: Literal["webhook_health"] = "webhook_health"
    status: Annotated[
        str,
        about(
            "`healthy`: the last attempt was taken. `failing`: it was not. `replaying`: it is sent what it missed."
            " `waiting`: it has yet to answer. `disabled`: nothing is sent.",
            example="healthy",
            enum=["healthy", "failing", "replaying", "waiting", "disabled"],
        ),
    ]
    failing_since: (
        Annotated[
            str, about("Since when no attempt was taken; null if the last was.", format="date-time", example=None)
        ]
        | None
    ) = None
    last_success_at: (
        Annotated[str, about("When it last took an event; null if it did not of late.", format="date-time", example=AT)]
        | None
    ) = None
    last_error: (
        Annotated[
            str,
            about("How the last attempt failed: an HTTP status or an error; null if it did not.", example=None),
        ]
        | None
    ) = None
    pending_count: Annotated[
        int, about("Events that are to be sent, up to 10,000.", example=0, minimum=0, maximum=10_000)
    ]
    missed_count: Annotated[
        int,
        about("Events that were given up in the last 30 days, up to 10,000.", example=0, minimum=0, maximum=10_000),
    ]
    last_sequence: Annotated[int, about("The number of the last event that was sent; 0 if none was.", minimum=0)]
    recent_attempt_count: Annotated[
        int, about("The attempts of the last 24 hours, up to the last 1,000.", example=240, minimum=0, maximum=1000)
    ]
    recent_success_count: Annotated[int, about("Those of them that were taken.", example=240, minimum=0, maximum=1000)]
    median_ms: Annotated[int, about("Half of these took no longer; null if there were none.", example=84)] | None = None
    p95_ms: Annotated[int, about("Of 100 of these, 95 took no longer.", example=212)] | None = None


class WebhookAttemptResource(Resource, kw_only=True):
    """One attempt to deliver an event to a webhook."""

    id: str
    object: Literal["webhook_attempt"] = "webhook_attempt"
    webhook_id: str
    event_id: str
    number: Annotated[int, about("The number of the attempt, from 1.", example=1, minimum=1)]
    status_code: Annotated[int, about("The HTTP status of the answer; null if there was none.", example=200)] | None = (
        None
    )
    error: Annotated[str, about("The error; null if the answer was 2xx.")] | None = None
    response_head: Annotated[str, about("The beginning of the answer.", example="ok")]
    elapsed_ms: Annotated[int, about("The duration in milliseconds.", example=84, minimum=0)]
    created_at: Annotated[str, about("When the attempt was made.")]
    replay: Annotated[
        bool, about("Whether the event was sent again by a replay, a recovery or a resend.", example=False)
    ] = False


class EventResource(Resource, kw_only=True):
    """An event, as webhooks deliver it."""

    id: str
    object: Literal["event"] = "event"
    type: Annotated[str, about("The type of event.")]
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    api_version: Literal["v1"] = "v1"
    created_at: Annotated[str, about("When it happened.")]
    data: msgspec.Raw
    sequence: Annotated[
        int | UnsetType,
        about(
            "Its number among all that was sent to a webhook; only in batches and in lists of one webhook.",
            example=42,
            minimum=1,
        ),
    ] = UNSET


class EventBatchResource(Resource, kw_only=True):
    """Events that a webhook with a `batch_size` is sent in one request, the oldest first."""

    id: Annotated[str, about("The id of the batch: the same events make the same id.", example="bat_5f0c1e7d")]
    object: Literal["event_batch"] = "event_batch"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    api_version: Literal["v1"] = "v1"
    data: Annotated[list[EventResource], about("The events.")]


class RedeliveryResource(Resource, kw_only=True):
    """The number of deliveries queued again."""

    id: Annotated[str, about(example=f"evt_{ULID}")]
    object: Literal["redelivery"] = "redelivery"
    delivery_count: Annotated[int, about("The number of deliveries queued.", example=1)]


class InboundMessageResource(Resource, kw_only=True):
    """A message that a recipient sent.

    `intent` says how surely its words, where they are no keyword, ask to opt out: `certain` or `likely`. One that is
    likely is flagged until a person removes the flag.
    """

    id: str
    object: Literal["inbound_message"] = "inbound_message"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    from_: KeptPhone = msgspec.field(name="from")
    to: Annotated[str, about("The sender it was sent to.", example="MASSIVESMS")]
    body: Annotated[str, about("The text.", example="Is there a payment plan?")]
    keyword: Annotated[str, about("The keyword that it was recognized as; null for any other text.")] | None = None
    intent: (
        Annotated[
            str, about("How certain it is that a text without a keyword asks to opt out; null for any other text.")
        ]
        | None
    ) = None
    is_flagged: Annotated[
        bool,
        about(
            "Whether a person should read it: it probably asks to opt out, or could not be decoded with certainty.",
            example=False,
        ),
    ] = False
    contact_id: Annotated[str, about(example=f"con_{ULID}")] | None = None
    message_id: Annotated[str, about(example=f"msg_{ULID}")] | None = None
    received_at: Annotated[str, about("When it arrived.")]
    read_at: Annotated[str, about("When it was marked as read; null before that.", example=AT)] | None = None


class InboundReceivedResource(InboundMessageResource, kw_only=True):
    """An inbound message, as its event reports it: `message` is the one that it answers, if any."""

    reply: ReplyResource
    message: MessageResource | None = None


class KeywordResource(Resource, kw_only=True):
    """A word that opts in anyone who texts it, and adds them to a list. A null `reply` sends the welcome text."""

    id: str
    object: Literal["keyword"] = "keyword"
    livemode: Annotated[bool, about("Whether it is live; false in the sandbox.")]
    word: Annotated[str, about("The word. Case, accents and punctuation do not matter.", example="COHORT6")]
    list_id: Annotated[str, about("The list to which it adds contacts.")]
    reply: (
        Annotated[
            str,
            about(
                "The SMS that answers anyone who joins; null for the workspace's welcome text.",
                example="You are on the list for Cohort 06. Reply STOP to opt out.",
            ),
        ]
        | None
    ) = None
    created_at: Annotated[str, about("When it was created.")]
    version: ShownVersion = ""


class ApiKeyResource(Resource, kw_only=True):
    """An API key with its scopes. `key` is present only in the answer that creates or rolls it."""

    id: str
    object: Literal["api_key"] = "api_key"
    livemode: Annotated[bool, about("Whether it is a live key; false for a sandbox key.")]
    name: Annotated[str, about("Its purpose; may be empty.", example="Checkout")]
    prefix: Annotated[str, about("The first characters of the key.", example="msvs_test_4f2a")]
    last4: Annotated[str, about("The last four characters of the key.", example="9kQz")]
    created_at: Annotated[str, about("When it was created.")]
    expires_at: Annotated[str, about("When the key expires or expired; null if it does not expire.")] | None = None
    revoked_at: Annotated[str, about("When it was revoked; null if it was not.")] | None = None
    last_used_at: Annotated[str, about("When it was last used, to the minute; null before that.")] | None = None
    scopes: Annotated[
        list[str],
        about("The scopes of the key.", example=["contacts:write", "messages:send"]),
    ] = []
    allowed_ips: Annotated[
        list[str] | None,
        about("The networks from which the key works; null if it works from everywhere.", example=["203.0.113.0/24"]),
    ] = None
    created_by: Annotated[
        str | None,
        about(
            "Who created it: the id of a user or of a key, or `system`; null if that was not kept.",
            example="usr_01HYZ8K5VQAE2N0PWQ6DC9V8MP",
        ),
    ] = None
    key: Annotated[str, about("The key itself, only in the answer that creates it.")] | UnsetType = UNSET


class SenderResource(Resource, kw_only=True):
    """A sender that the workspace can use in live mode. Empty `regions` mean every region that accepts its kind."""

    id: str
    object: Literal["sender"] = "sender"
    value: Annotated[str, about("The value for `from`.", example="+12125550100")]
    kind: Annotated[
        Literal["long_code", "toll_free", "short_code", "alphanumeric"],
        about("The kind of sender.", example="long_code"),
    ]
    regions: Annotated[
        list[str],
        about("The regions to which it can send; empty for every region that accepts its kind.", example=["US"]),
    ]
    registration: (
        Annotated[str, about("The reference of its registration with carriers.", example="10DLC campaign C0HORT6")]
        | None
    ) = None
    created_at: Annotated[str, about("When it was added.")]


# Why a message failed or was not sent: code → the sentence an integrator reads.
FAILURES: Mapping[str, str] = {
    "invalid_number": "The carrier says that the number does not exist.",
    "carrier_filtered": "The carrier filtered the message as unwanted.",
    "unreachable": "The handset could not be reached.",
    "carrier_rejected": "The carrier refused the message.",
    "sender_rejected": "The carrier refused the sender.",
    "sender_not_allowed": "No sender that is the workspace's may be used for the recipient's region.",
    "no_route": "No carrier takes messages to the recipient's region from this sender.",
    "insufficient_credits": "The balance did not cover the message when it was due.",
    "recipient_opted_out": "The recipient opted out.",
    "recipient_not_opted_in": "The recipient has not opted in.",
    "recipient_unreachable": "Messages to the recipient's number failed again and again.",
    "excluded_list": "The recipient is on a list that the campaign excludes.",
    "excluded_segment": "The recipient matches a segment that the campaign excludes.",
    "excluded_campaign": "The recipient is one of a campaign that this one excludes.",
    "messaged_recently": "The recipient got a message in the days that the campaign excludes.",
    "frequency_cap": "The recipient got as many messages as a cap on messages to one contact allows.",
    "sequence_left": "The contact left the sequence before the message was sent.",
    "recipient_deleted": "The contact was deleted before the message was due.",
    "outcome_unknown": "The carrier's answer was lost and no report came; the message was not sent again.",
    "expired": "The message was not handed over before its expires_at.",
    "region_blocked": "The number's region is blocked.",
    "region_not_enabled": "The number's region is off until the workspace enables it.",
    "daily_cap_reached": "The workspace's credits of the UTC day were used up when the message was due.",
    "number_type_blocked": "Numbers of this kind are not sent to.",
    "variable_missing": "A variable of the body has no value and no fallback.",
    "body_too_long": "The rendered body is longer than 1600 characters.",
    "body_empty": "The rendered body is blank.",
}


# The messages of a batch were made, sent and delivered at the same time.
@lru_cache(maxsize=1024)
def moment(value: datetime) -> str:
    """Return a time on the wire: ISO-8601, UTC, whole seconds, `Z`."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return f"{value.isoformat(timespec='seconds')[:19]}Z"


def optional_moment(value: datetime | None) -> str | None:
    """`moment`, or None."""
    return None if value is None else moment(value)


def optional_id(prefix: str, value: UUID | None) -> str | None:
    """Return a public id, or None."""
    return None if value is None else ids.encode_id(prefix, value)


# The messages of a campaign all name it.
_campaign_id = lru_cache(maxsize=256)(partial(optional_id, ids.CAMPAIGN))


class MessageView(Protocol):
    """The fields of a message that are shown: a row of `messages`, or a NewMessage that is not written yet."""

    @property
    def id(self) -> UUID: ...

    @property
    def livemode(self) -> bool: ...

    @property
    def kind(self) -> str: ...

    @property
    def campaign_id(self) -> UUID | None: ...

    @property
    def contact_id(self) -> UUID | None: ...

    @property
    def to_phone(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def body(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def delivery(self) -> str | None: ...

    @property
    def encoding(self) -> str: ...

    @property
    def segments(self) -> int: ...

    @property
    def credits_used(self) -> int: ...

    @property
    def metadata(self) -> dict[str, MetadataValue]: ...

    @property
    def error_code(self) -> str | None: ...

    @property
    def warnings(self) -> list[KeptWarning] | None: ...

    @property
    def due_at(self) -> datetime: ...

    @property
    def scheduled_at(self) -> datetime | None: ...

    @property
    def expires_at(self) -> datetime | None: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def sent_at(self) -> datetime | None: ...

    @property
    def delivered_at(self) -> datetime | None: ...

    @property
    def failed_at(self) -> datetime | None: ...

    @property
    def canceled_at(self) -> datetime | None: ...

    @property
    def replied_at(self) -> datetime | None: ...

    @property
    def on_unknown(self) -> str: ...

    @property
    def is_by_user(self) -> bool: ...

    @property
    def variant(self) -> int | None: ...


def shown_warnings(kept: Sequence[KeptWarning] | None) -> list[SendWarning]:
    """Return the shape of the warnings that a row keeps."""
    return [SendWarning(code=each["code"], message=each["message"], param=each.get("param")) for each in kept or ()]


ORIGINS: Mapping[str, MessageOrigin] = {
    MessageKind.CAMPAIGN.value: MessageOrigin.CAMPAIGN,
    MessageKind.AUTO.value: MessageOrigin.AUTOMATIC,
}


def origin_of(row: MessageView) -> MessageOrigin:
    """Return where a message comes from."""
    return ORIGINS.get(row.kind, MessageOrigin.DASHBOARD if row.is_by_user else MessageOrigin.API)


def message_resource(
    row: MessageView,
    *,
    reply: ReplyResource | UnsetType = UNSET,
    click: ClickResource | UnsetType = UNSET,
) -> MessageResource:
    """Return the shape of a message row (a model or a result row)."""
    code = row.error_code
    return MessageResource(
        id=ids.encode_id(ids.MESSAGE, row.id),
        livemode=row.livemode,
        to=row.to_phone,
        from_=row.sender,
        body=row.body,
        status=str(row.status),
        delivery=row.delivery,
        encoding=row.encoding,
        segments=row.segments,
        credits_used=row.credits_used,
        campaign_id=_campaign_id(row.campaign_id),
        contact_id=optional_id(ids.CONTACT, row.contact_id),
        metadata=row.metadata,
        error=None if code is None else ErrorDetail(code=code, message=FAILURES.get(code, code)),
        warnings=shown_warnings(row.warnings),
        scheduled_at=optional_moment(row.scheduled_at),
        expires_at=optional_moment(row.expires_at),
        sent_at=optional_moment(row.sent_at),
        delivered_at=optional_moment(row.delivered_at),
        failed_at=optional_moment(row.failed_at),
        canceled_at=optional_moment(row.canceled_at),
        replied_at=optional_moment(row.replied_at),
        created_at=moment(row.created_at),
        origin=origin_of(row).value,
        on_unknown=str(row.on_unknown),
        reply=reply,
        click=click,
        variant=UNSET if row.variant is None else variant_name(row.variant),
    )


def audience_resource(audience: Audience) -> AudienceResource:
    """Return the shape of a stored audience (the ids as they were given)."""
    return AudienceResource(
        list_ids=audience.get("list_ids", []),
        segment_id=audience.get("segment_id"),
        contact_ids=audience.get("contact_ids", []),
    )


def campaign_resource(row: rows.CampaignRow, stats: CampaignStats) -> CampaignResource:
    """Return the shape of a campaign row and its stats."""
    return CampaignResource(
        id=ids.encode_id(ids.CAMPAIGN, row.id),
        livemode=row.livemode,
        sequence_id=optional_id(ids.SEQUENCE, row.sequence_id),
        name=row.name,
        body=row.body,
        from_=row.sender,
        audience=audience_resource(row.audience),
        exclude=exclusions_resource(row.exclusions),
        status=str(row.status),
        pause_reason=row.pause_reason,
        stats=stats,
        metadata=row.metadata,
        warnings=shown_warnings(row.warnings),
        quiet_hours=row.respects_quiet_hours,
        rate_per_minute=row.rate_per_minute,
        spread_hours=row.spread_hours,
        send_at_local=row.send_at_local,
        contact_daily_cap=row.contact_daily_cap,
        contact_weekly_cap=row.contact_weekly_cap,
        scheduled_at=optional_moment(row.scheduled_at),
        expires_at=optional_moment(row.expires_at),
        dispatched_at=optional_moment(row.dispatched_at),
        completed_at=optional_moment(row.completed_at),
        canceled_at=optional_moment(row.canceled_at),
        created_at=moment(row.created_at),
        on_unknown=str(row.on_unknown),
        shorten_links=row.shorten_links,
        utm=utm_resource(row.utm),
        guard_rails=guard_rails_resource(row.guard_rails),
        version=campaign_version(row),
        ab_test=UNSET if row.ab_test is None else ab_test_resource(row, row.ab_test),
        tags=row.tags or [],
        archived_at=optional_moment(row.archived_at),
        approval=approval_resource(row.approval),
    )


def approval_resource(approval: Approval | None) -> CampaignApprovalResource | None:
    """Return the shape of a campaign's approval."""
    return None if approval is None else CampaignApprovalResource(**approval)


def variant_name(variant: int) -> str:
    """Return the name of a variant, as messages and campaigns keep it."""
    return VARIANTS[abs(variant) - 1]


def ab_test_resource(row: rows.CampaignRow, test: AbTest) -> AbTestResource:
    """Return the shape of a campaign's A/B test."""
    chosen_by = "hand" if row.is_winner_picked else "time"
    return AbTestResource(
        variants=[
            VariantResource(
                variant=variant_name(number),
                body=spec.get("body", row.body),
                from_=spec.get("sender", row.sender),
                share=spec.get("share"),
            )
            for number, spec in enumerate(test["variants"], start=1)
        ],
        test_percent=test["test_percent"],
        metric=test["metric"],
        test_minutes=test["minutes"],
        tested_at=optional_moment(row.tested_at),
        ends_at=optional_moment(row.test_ends_at),
        winner=None if row.winner is None else variant_name(row.winner),
        winner_chosen_at=optional_moment(row.winner_chosen_at),
        winner_chosen_by=None if row.winner is None else chosen_by,
    )


def guard_rails_resource(rails: GuardRails | None) -> GuardRailsResource | None:
    """Return the shape of a campaign's guard rails."""
    if rails is None:
        return None
    tripped = rails.get("tripped")
    return GuardRailsResource(
        preflight_id=rails.get("preflight_id"),
        max_credits=rails.get("max_credits"),
        max_drift=rails.get("max_drift"),
        expected_recipients=rails.get("expected_recipients"),
        expected_credits=rails.get("expected_credits"),
        lifted=bool(rails.get("lifted")),
        tripped=None if tripped is None else TrippedResource(**tripped, message=_tell(tripped)),
    )


def _tell(tripped: Tripped) -> str:
    """Return in English beyond what a campaign moved."""
    found, limit = tripped["found"], tripped["limit"]
    if tripped["guard"] == "max_credits":
        return f"It would cost {found} credits, and may cost {limit:g} at most."
    expected = tripped["expected"]
    if tripped["measure"] == "credits":
        return f"It would cost {found} credits, where {expected} were expected: more than {limit * 100:g}% away."
    return f"It has {found} recipients, where {expected} were expected: more than {limit * 100:g}% away."


def exclusions_resource(exclusions: Exclusions | None) -> ExclusionsResource | None:
    """Return the shape of a campaign's exclusions."""
    return None if exclusions is None else ExclusionsResource(**exclusions)


def campaign_version(row: rows.CampaignRow) -> str:
    """Return what changes with each thing that can be edited of a campaign."""
    told = (
        row.name,
        row.body,
        row.sender,
        row.audience,
        row.metadata,
        row.respects_quiet_hours,
        row.rate_per_minute,
        row.spread_hours,
        optional_moment(row.scheduled_at),
        optional_moment(row.expires_at),
        str(row.on_unknown),
    )
    # What a campaign lacks changes nothing, so that versions outlive a new field.
    daily, weekly = row.contact_daily_cap, row.contact_weekly_cap
    caps = {"daily": daily, "weekly": weekly} if daily or weekly else None
    more = [row.exclusions, caps, row.send_at_local, row.shorten_links, row.utm, row.ab_test, row.tags]
    return version_of(*told, *filter(None, more))


def utm_resource(utm: Mapping[str, str] | None) -> UtmResource | None:
    """Return the shape of the UTM parameters that a campaign keeps."""
    return UtmResource(**utm) if utm else None


def version_of(*told: object) -> str:
    """Return what changes with each thing that can be edited of a row."""
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]


def contact_version(row: rows.ContactRow) -> str:
    """Return the version of a contact: its details and its consent."""
    details = (row.phone, row.first_name, row.last_name, row.email, row.timezone, row.external_id, row.attributes)
    return version_of(*details, str(row.opt_in_status), optional_moment(row.opt_in_at))


# What the setting is at first: versions outlive a new one.
UNREACHABLE_AFTER = 3


def workspace_version(row: rows.WorkspaceRow, low_balance_threshold: int) -> str:
    """Return the version of the settings of a mode."""
    switches = (row.double_opt_in, row.campaigns_admit_unknown, row.quiet_hours)
    regions = (row.blocked_regions, row.enabled_regions)
    caps = (row.daily_credit_cap, row.prefix_hourly_cap, low_balance_threshold)
    texts = (row.opt_in_text, row.opt_out_text, row.welcome_text, row.help_text)
    contact_caps = (row.contact_daily_cap, row.contact_weekly_cap, row.contact_caps_cover_all)
    told = (*switches, *regions, *caps, *texts, *(contact_caps if any(contact_caps) else ()))
    if row.unreachable_after != UNREACHABLE_AFTER:
        told = (*told, row.unreachable_after)
    windows = (row.click_window_hours, row.message_window_hours)
    if windows != (CLICK_WINDOW_HOURS, MESSAGE_WINDOW_HOURS):
        told = (*told, *windows)
    if row.approval_threshold is not None:
        told = (*told, "approval", row.approval_threshold)
    return version_of(row.name, row.default_sender, row.timezone, *told)


def webhook_version(row: rows.WebhookEndpointRow) -> str:
    """Return the version of a webhook endpoint."""
    # What most have none of leaves their version as it was.
    options = (row.auto_replay_since is not None, row.standard_webhooks, row.batch_size, row.event_filter)
    return version_of(row.url, row.events, row.description, row.enabled, *(options if any(options) else ()))


def keyword_version(row: rows.KeywordRow) -> str:
    """Return the version of a keyword."""
    return version_of(row.word, str(row.list_id), row.reply)


def segment_version(row: rows.SegmentRow) -> str:
    """Return the version of a segment."""
    return version_of(row.name, row.conditions)


def contact_list_version(row: rows.ContactListRow) -> str:
    """Return the version of a list: its name, not who is on it."""
    return version_of(row.name)


def changed_contact_resource(row: rows.ContactRow) -> ContactResource:
    """Return the shape of a contact that was made or changed, with its warnings."""
    return msgspec.structs.replace(contact_resource(row), warnings=contact_warnings(row))


def contact_warnings(row: rows.ContactRow) -> list[SendWarning]:
    """Return what the operation that answers with a contact has to tell of it."""
    return shown_warnings(getattr(row, "warnings", ()))


def contact_resource(row: rows.ContactRow) -> ContactResource:
    """Return the shape of a contact row."""
    return ContactResource(
        id=ids.encode_id(ids.CONTACT, row.id),
        livemode=row.livemode,
        phone=row.phone,
        first_name=row.first_name,
        last_name=row.last_name,
        email=row.email,
        timezone=row.timezone,
        external_id=row.external_id,
        opt_in=OptInResource(
            status=str(row.opt_in_status),
            source=row.opt_in_source,
            ip=row.opt_in_ip,
            at=optional_moment(row.opt_in_at),
        ),
        unreachable=unreachable_resource(row),
        attributes=row.attributes,
        tags=row.tags,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        version=contact_version(row),
    )


def unreachable_resource(row: rows.ContactRow) -> UnreachableResource | None:
    """Return why campaigns skip a contact's number; None if they do not."""
    if row.unreachable_at is None:
        return None
    code = row.unreachable_code or "unreachable"
    return UnreachableResource(at=moment(row.unreachable_at), code=code, message=FAILURES.get(code, code))


def contact_list_resource(row: rows.ContactListRow, source: ListSourceResource | None = None) -> ContactListResource:
    """Return the shape of a contact list row, with its source if it is a synced one."""
    return ContactListResource(
        id=ids.encode_id(ids.CONTACT_LIST, row.id),
        livemode=row.livemode,
        name=row.name,
        kind=row.kind,
        contact_count=row.contact_count,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        source=source,
        version=contact_list_version(row),
    )


def list_sync_resource(row: rows.ListSyncRow, *, has_people: bool = True) -> ListSyncResource:
    """Return the shape of a sync, if asked without the people that it names."""
    return ListSyncResource(
        id=ids.encode_id(ids.LIST_SYNC, row.id),
        livemode=row.livemode,
        list_id=ids.encode_id(ids.CONTACT_LIST, row.list_id),
        trigger=str(row.trigger),
        status=str(row.status),
        dry_run=row.is_dry_run,
        full=row.is_full,
        counts=msgspec.convert(row.counts, SyncCounts),
        samples=msgspec.convert(row.samples, list[SyncSample]) if has_people else [],
        problems=msgspec.convert(row.problems, list[SyncProblem]) if has_people else [],
        error=None if row.error is None else msgspec.convert(row.error, SyncFault),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        started_at=optional_moment(row.started_at),
        ended_at=optional_moment(row.ended_at),
    )


def segment_resource(row: rows.SegmentRow) -> SegmentResource:
    """Return the shape of a segment row."""
    return SegmentResource(
        id=ids.encode_id(ids.SEGMENT, row.id),
        livemode=row.livemode,
        name=row.name,
        filter=row.conditions,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        version=segment_version(row),
    )


def workspace_resource(row: rows.WorkspaceRow, *, low_balance_threshold: int) -> WorkspaceResource:
    """Return the shape of a workspace row and its balance's threshold."""
    return WorkspaceResource(
        id=ids.encode_id(ids.WORKSPACE, row.id),
        name=row.name,
        default_sender=row.default_sender,
        double_opt_in=row.double_opt_in,
        campaigns_admit_unknown=row.campaigns_admit_unknown,
        blocked_regions=row.blocked_regions,
        enabled_regions=row.enabled_regions,
        daily_credit_cap=row.daily_credit_cap,
        prefix_hourly_cap=row.prefix_hourly_cap,
        contact_daily_cap=row.contact_daily_cap,
        contact_weekly_cap=row.contact_weekly_cap,
        contact_caps_cover_all=row.contact_caps_cover_all,
        unreachable_after=row.unreachable_after,
        click_window_hours=row.click_window_hours,
        message_window_hours=row.message_window_hours,
        approval_threshold=row.approval_threshold,
        quiet_hours=row.quiet_hours,
        timezone=row.timezone,
        low_balance_threshold=low_balance_threshold,
        opt_in_text=row.opt_in_text,
        opt_out_text=row.opt_out_text,
        welcome_text=row.welcome_text,
        help_text=row.help_text,
        created_at=moment(row.created_at),
        version=workspace_version(row, low_balance_threshold),
    )


def webhook_filter_resource(kept: Mapping[str, object] | None) -> WebhookFilterResource | None:
    """Return the shape of a filter as it is kept; None for none."""
    return None if kept is None else msgspec.convert(kept, WebhookFilterResource)


def webhook_resource(row: rows.WebhookEndpointRow, *, secret: str | UnsetType = UNSET) -> WebhookResource:
    """Return the shape of a webhook endpoint row."""
    return WebhookResource(
        id=ids.encode_id(ids.WEBHOOK, row.id),
        livemode=row.livemode,
        url=row.url,
        events=row.events,
        description=row.description,
        status="enabled" if row.enabled else "disabled",
        disabled_reason=row.disabled_reason,
        verified=row.unverified_since is None,
        created_at=moment(row.created_at),
        created_by=row.created_by,
        auto_replay=row.auto_replay_since is not None,
        standard_webhooks=row.standard_webhooks,
        batch_size=row.batch_size,
        filter=webhook_filter_resource(row.event_filter),
        version=webhook_version(row),
        secret=secret,
    )


def webhook_attempt_resource(row: rows.WebhookAttemptRow) -> WebhookAttemptResource:
    """Return the shape of a webhook attempt row."""
    return WebhookAttemptResource(
        id=ids.encode_id(ids.ATTEMPT, row.id),
        webhook_id=ids.encode_id(ids.WEBHOOK, row.endpoint_id),
        event_id=ids.encode_id(ids.EVENT, row.event_id),
        number=row.number,
        status_code=row.status_code,
        error=row.error,
        response_head=row.response_head,
        elapsed_ms=row.elapsed_ms,
        created_at=moment(row.created_at),
        replay=row.replay,
    )


def ledger_entry_resource(row: rows.LedgerEntryRow) -> LedgerEntryResource:
    """Return the shape of a ledger row."""
    return LedgerEntryResource(
        id=ids.encode_id(ids.LEDGER_ENTRY, row.id),
        kind=LedgerKind(row.kind).value,
        amount=row.amount,
        reference=row.reference,
        note=row.note,
        created_at=moment(row.created_at),
    )


def event_resource(row: rows.EventRow) -> EventResource:
    """Return the shape of an event row; also the payload of its webhook."""
    return EventResource(
        id=ids.encode_id(ids.EVENT, row.id),
        type=row.type,
        livemode=row.livemode,
        created_at=moment(row.created_at),
        data=msgspec.Raw(row.data.encode()),
    )


def inbound_message_resource(row: rows.InboundMessageRow) -> InboundMessageResource:
    """Return the shape of an inbound message row."""
    return InboundMessageResource(
        id=ids.encode_id(ids.INBOUND, row.id),
        livemode=row.livemode,
        from_=row.from_phone,
        to=row.to_sender,
        body=row.body,
        keyword=row.keyword,
        intent=row.intent,
        is_flagged=row.is_flagged,
        contact_id=optional_id(ids.CONTACT, row.contact_id),
        message_id=optional_id(ids.MESSAGE, row.message_id),
        received_at=moment(row.received_at),
        read_at=optional_moment(row.read_at),
    )


def reply_resource(row: rows.InboundMessageRow) -> ReplyResource:
    """Return the shape of what an inbound message row answers."""
    return ReplyResource(
        id=ids.encode_id(ids.INBOUND, row.id), body=row.body, from_=row.from_phone, received_at=moment(row.received_at)
    )


def received_resource(row: rows.InboundMessageRow, message: MessageView | None) -> InboundReceivedResource:
    """Return the shape of an inbound message row in its event, with the message that it answers."""
    told = {name: getattr(inbound_message_resource(row), name) for name in InboundMessageResource.__struct_fields__}
    return InboundReceivedResource(
        **told, reply=reply_resource(row), message=None if message is None else message_resource(message)
    )


def sender_resource(row: rows.SenderRow) -> SenderResource:
    """Return the shape of a sender row."""
    return SenderResource(
        id=ids.encode_id(ids.SENDER, row.id),
        value=row.value,
        kind=str(row.kind),  # type: ignore[arg-type]
        regions=list(row.regions),
        registration=row.registration,
        created_at=moment(row.created_at),
    )


def keyword_resource(row: rows.KeywordRow) -> KeywordResource:
    """Return the shape of a keyword row."""
    return KeywordResource(
        id=ids.encode_id(ids.KEYWORD, row.id),
        livemode=row.livemode,
        word=row.word,
        list_id=ids.encode_id(ids.CONTACT_LIST, row.list_id),
        reply=row.reply,
        created_at=moment(row.created_at),
        version=keyword_version(row),
    )


def api_key_resource(row: rows.ApiKeyRow, *, key: str | UnsetType = UNSET) -> ApiKeyResource:
    """Return the shape of an API key row."""
    return ApiKeyResource(
        id=ids.encode_id(ids.API_KEY, row.id),
        livemode=row.livemode,
        name=row.name,
        prefix=row.prefix,
        last4=row.last4,
        created_at=moment(row.created_at),
        expires_at=optional_moment(row.expires_at),
        revoked_at=optional_moment(row.revoked_at),
        last_used_at=optional_moment(row.last_used_at),
        scopes=shown_scopes(row.scopes),
        allowed_ips=row.allowed_ips,
        created_by=row.created_by,
        key=key,
    )


CONTACT_NOTE = "nte"
MAX_NOTE = 2000

NoteBody = Annotated[str, about("The note.", example="Asked for the payment plan; call on Friday.", **named(MAX_NOTE))]


class ContactNoteResource(Resource, kw_only=True):
    """A note of a member about a contact."""

    id: Annotated[str, about(example=f"{CONTACT_NOTE}_{ULID}")]
    object: Literal["contact_note"] = "contact_note"
    body: NoteBody
    author: Annotated[str, about("The author: the id of a user or an API key.", example=f"usr_{ULID}")]
    created_at: str


def contact_note_resource(row: rows.ContactNoteRow) -> ContactNoteResource:
    """Return the shape of a note."""
    return ContactNoteResource(
        id=ids.encode_id(CONTACT_NOTE, row.id), body=row.body, author=row.author, created_at=moment(row.created_at)
    )
