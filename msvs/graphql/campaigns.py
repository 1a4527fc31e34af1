"""Campaigns: types, queries and mutations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar, cast
from uuid import UUID

import strawberry
from strawberry import ID

from msvs.api import ids, resources
from msvs.api.campaigns import ab_tests, approvals, campaigns, reconciliation, requests, variants
from msvs.api.campaigns.approvals import DecideApproval
from msvs.api.campaigns.exclusions import Exclude
from msvs.api.campaigns.links import list_campaign_links
from msvs.api.campaigns.reconciliation import ReconciliationResource, reconcile_campaign
from msvs.api.campaigns.requests import CampaignCreate, CampaignUpdate
from msvs.api.context import Context
from msvs.api.dispatch import short_links
from msvs.api.errors import ApiError, NotFound
from msvs.api.limits import Bucket
from msvs.api.messages.messages import Variables
from msvs.api.pages import Order
from msvs.api.resources import (
    AudienceResource,
    CampaignResource,
    ExclusionsResource,
    campaign_version,
    shown_warnings,
    utm_resource,
)
from msvs.graphql.connections import After, Before, Connection, First, Last, OrderBy, connect, read_page
from msvs.graphql.context import Info
from msvs.graphql.errors import (
    ComplianceError,
    ConflictError,
    IdempotencyError,
    InvalidRequestError,
    NotFoundError,
    PaymentRequiredError,
    PermissionRefusedError,
    RateLimitError,
    as_member,
    check_allowed,
    mutate,
)
from msvs.graphql.events import Event
from msvs.graphql.fields import field, mutation
from msvs.graphql.idempotency import IdempotencyKey, mutate_once, said
from msvs.graphql.inputs import Deleted, argument, given, read_input, request_input
from msvs.graphql.lists import ContactList
from msvs.graphql.loaders import CAMPAIGN_MESSAGES
from msvs.graphql.messages import Message, SendWarning
from msvs.graphql.nodes import Node, load_kind, register_rows
from msvs.graphql.scalars import BigInt, JSONObject, json_object, read_time
from msvs.graphql.segments import Segment
from msvs.graphql.shapes import from_row, resource_type
from msvs.models import Campaign as CampaignRow
from msvs.models import CampaignStatus, MessageStatus, OnUnknown, rows
from msvs.models.campaigns import Exclusions as KeptExclusions
from msvs.models.campaigns import Metric

T = TypeVar("T")


@resource_type(AudienceResource, "Who a campaign goes to: the union of lists, a segment and single contacts.")
class Audience:
    list_ids: list[ID]
    segment_id: ID | None
    contact_ids: list[ID]

    @field("The lists that still exist.")
    async def lists(self, info: Info) -> list[ContactList]:
        found = await asyncio.gather(*(load_kind(info, id, ContactList, ids.CONTACT_LIST) for id in self.list_ids))
        return [each for each in found if each is not None]

    @field("The segment; null if it was deleted.")
    async def segment(self, info: Info) -> Segment | None:
        return None if self.segment_id is None else await load_kind(info, self.segment_id, Segment, ids.SEGMENT)


@resource_type(ExclusionsResource, "Who of the audience is skipped: anyone to whom at least one of these applies.")
class Exclusions:
    list_ids: list[ID]
    segment_ids: list[ID]
    campaign_ids: list[ID]
    messaged_within_days: int | None


def _exclusions(kept: KeptExclusions | None) -> Exclusions | None:
    if kept is None:
        return None
    return Exclusions(
        list_ids=[ID(id) for id in kept.get("list_ids", [])],
        segment_ids=[ID(id) for id in kept.get("segment_ids", [])],
        campaign_ids=[ID(id) for id in kept.get("campaign_ids", [])],
        messaged_within_days=kept.get("messaged_within_days"),
    )


@resource_type(resources.RevenueResource, "Revenue in one currency, in its smallest unit: 14900 is 149.00 USD.")
class Revenue:
    currency: str
    conversions: int
    gross: BigInt
    refunded: BigInt
    net: BigInt
    per_recipient: float

    @classmethod
    def all_of(cls, found: Sequence[resources.RevenueResource]) -> list[Revenue]:
        """Return the types of shapes."""
        return [from_row(cls, each) for each in found]


@resource_type(
    resources.CampaignStats,
    "The number of recipients by status. Each recipient is in exactly one of `queued` to `canceled`.",
)
class CampaignStats:
    recipients: int
    queued: int
    sending: int
    sent: int
    delivered: int
    failed: int
    skipped: int
    canceled: int
    replied: int
    opted_out: int
    credits_used: BigInt
    clicks: int
    unique_clicks: int
    conversions: int
    converted: int
    conversion_rate: float
    revenue: list[Revenue]


@resource_type(resources.UtmResource, "The UTM parameters of a campaign's short links.")
class Utm:
    source: str | None
    medium: str | None
    campaign: str | None
    term: str | None
    content: str | None


@resource_type(resources.TrippedResource, "The guard rail beyond which a campaign moved.")
class Tripped:
    guard: str
    measure: str
    limit: float
    expected: int | None
    found: int
    message: str


@resource_type(resources.GuardRailsResource, "What a campaign may become before it is paused.")
class GuardRails:
    preflight_id: ID | None
    max_credits: int | None
    max_drift: float | None
    expected_recipients: int | None
    expected_credits: int | None
    lifted: bool
    tripped: Tripped | None


@resource_type(ab_tests.SampleResource, "What came of a variant in the test, by the metric.")
class VariantSample:
    messages: int
    successes: int
    rate: float


@resource_type(ab_tests.VariantReport, "A variant of a campaign, with its books.")
class Variant:
    variant: str
    body: str
    from_: str
    share: int | None
    stats: CampaignStats = strawberry.field(description="The number of recipients by status, over all who got it.")
    test: CampaignStats = strawberry.field(description="The same of those in the test.")
    sample: VariantSample = strawberry.field(description="What came of it in the test.")


@resource_type(ab_tests.SignificanceResource, "Whether the variants differ by more than chance.")
class Significance:
    statistic: float
    degrees_of_freedom: int
    p_value: float
    sample_sizes: list[int]
    enough: bool
    significant: bool
    meaning: str


@resource_type(ab_tests.AbTestReport, "The A/B test of a campaign, with the books of each variant.")
class AbTest:
    variants: list[Variant]
    test_percent: int
    metric: Metric
    test_minutes: int | None
    tested_at: datetime | None
    ends_at: datetime | None
    winner: str | None
    winner_chosen_at: datetime | None
    winner_chosen_by: str | None
    leader: str
    significance: Significance = strawberry.field(description="Whether the variants differ by more than chance.")

    @classmethod
    def of(cls, found: ab_tests.AbTestReport) -> AbTest:
        """Return the type of a report."""
        return cls(
            # The fields of these types are those of the report, by the same names.
            variants=[
                Variant(
                    variant=each.variant,
                    body=each.body,
                    from_=each.from_,
                    share=each.share,
                    stats=_stats(each.stats),
                    test=_stats(each.test),
                    sample=cast("VariantSample", each.sample),
                )
                for each in found.variants
            ],
            test_percent=found.test_percent,
            metric=Metric(found.metric),
            test_minutes=found.test_minutes,
            tested_at=_time(found.tested_at),
            ends_at=_time(found.ends_at),
            winner=found.winner,
            winner_chosen_at=_time(found.winner_chosen_at),
            winner_chosen_by=found.winner_chosen_by,
            leader=found.leader,
            significance=cast("Significance", found.significance),
        )


def _time(text: str | None) -> datetime | None:
    return None if text is None else read_time(text)


def _stats(stats: resources.CampaignStats) -> CampaignStats:
    """Return the type of stats."""
    return CampaignStats(
        recipients=stats.recipients,
        queued=stats.queued,
        sending=stats.sending,
        sent=stats.sent,
        delivered=stats.delivered,
        failed=stats.failed,
        skipped=stats.skipped,
        canceled=stats.canceled,
        replied=stats.replied,
        opted_out=stats.opted_out,
        credits_used=BigInt(stats.credits_used),
        clicks=stats.clicks,
        unique_clicks=stats.unique_clicks,
        conversions=stats.conversions,
        converted=stats.converted,
        conversion_rate=stats.conversion_rate,
        revenue=Revenue.all_of(stats.revenue),
    )


@request_input(short_links.Utm)
class UtmInput:
    pass


@strawberry.type(description="The number of recipients that were not reached for one reason.")
class FailureCount:
    code: str = strawberry.field(description="The reason's code.")
    message: str = strawberry.field(description="The reason, in English.")
    status: MessageStatus = strawberry.field(description="Whether they failed, were skipped or were canceled.")
    count: int = strawberry.field(description="The number of recipients.")


@resource_type(resources.CampaignApprovalResource, "The approval of a campaign by a second person.")
class CampaignApproval:
    state: str
    recipient_count: int
    requested_by: str | None
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None

    @classmethod
    def of(cls, found: resources.CampaignApprovalResource | None) -> CampaignApproval | None:
        """Return the type of a shape."""
        if found is None:
            return None
        return from_row(cls, found, requested_at=read_time(found.requested_at), decided_at=_time(found.decided_at))


@resource_type(CampaignResource, "A message body that is sent to many contacts.")
class Campaign(Node):
    row: strawberry.Private[rows.CampaignRow]
    livemode: bool
    name: str
    body: str
    from_: str
    audience: Audience = strawberry.field(description="The audience.")
    exclude: Exclusions | None
    status: CampaignStatus
    pause_reason: str | None
    metadata: JSONObject
    warnings: list[SendWarning]
    scheduled_at: datetime | None
    expires_at: datetime | None
    rate_per_minute: int | None
    spread_hours: float | None
    quiet_hours: bool
    send_at_local: str | None
    contact_daily_cap: int | None
    contact_weekly_cap: int | None
    on_unknown: OnUnknown
    shorten_links: bool
    utm: Utm | None
    guard_rails: GuardRails | None
    sequence_id: ID | None
    started_at: datetime | None = strawberry.field(description="When it started; null before that.")
    dispatched_at: datetime | None
    completed_at: datetime | None
    canceled_at: datetime | None
    archived_at: datetime | None
    approval: CampaignApproval | None
    tags: list[str]
    created_at: datetime
    version: str

    @classmethod
    def from_row(cls, row: rows.CampaignRow) -> Campaign:
        """Return the type of a row."""
        audience = row.audience
        segment_id = audience.get("segment_id")
        return from_row(
            cls,
            row,
            id=ID(ids.encode_id(ids.CAMPAIGN, row.id)),
            from_=row.sender,
            audience=Audience(
                list_ids=[ID(id) for id in audience.get("list_ids", [])],
                segment_id=None if segment_id is None else ID(segment_id),
                contact_ids=[ID(id) for id in audience.get("contact_ids", [])],
            ),
            exclude=_exclusions(row.exclusions),
            metadata=json_object(row.metadata),
            warnings=cast("list[SendWarning]", shown_warnings(row.warnings)),
            quiet_hours=row.respects_quiet_hours,
            utm=cast("Utm | None", utm_resource(row.utm)),
            guard_rails=cast("GuardRails | None", resources.guard_rails_resource(row.guard_rails)),
            sequence_id=resources.optional_id(ids.SEQUENCE, row.sequence_id),
            approval=CampaignApproval.of(resources.approval_resource(row.approval)),
            tags=row.tags or [],
            version=campaign_version(row),
        )

    @field("The number of recipients by status.")
    async def stats(self, info: Info) -> CampaignStats:
        return _stats(await info.context.loaders.stats(self.row))

    @field("Its A/B test, if it has one.")
    async def ab_test(self, info: Info) -> AbTest | None:
        if self.row.ab_test is None:
            return None
        found = await info.context.loaders.ab_test(self.row)
        return None if found is None else AbTest.of(found)

    @field("Why recipients were not reached, the most frequent reason first.")
    async def failures(self, info: Info) -> list[FailureCount]:
        # The fields of the type are those of the operation's answer, by the same names.
        return cast("list[FailureCount]", await info.context.loaders.failures(self.row.id))

    @field("What happened to it, newest first: the last 100 of its events, without those of its messages.")
    async def events(self, info: Info) -> list[Event]:
        return [Event.from_row(row) for row in await info.context.loaders.campaign_events(self.row.id)]

    @field("Its messages, without skipped recipients.")
    async def messages(
        self, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Message]:
        request = read_page(ids.MESSAGE, first, after, last, before)
        loaders, id = info.context.loaders, self.row.id
        page = await loaders.children(CAMPAIGN_MESSAGES, id, request)
        return connect(
            ids.MESSAGE, request, page, Message.from_row, lambda: loaders.count_children(CAMPAIGN_MESSAGES, id)
        )


@resource_type(
    resources.CampaignLinkResource, "A link of a campaign's body, and the clicks of people on it over all recipients."
)
class CampaignLink:
    variant: str | None
    url: str
    position: int
    clicks: int
    unique_clicks: int


register_rows(ids.CAMPAIGN, CampaignRow, Campaign.from_row)


@resource_type(reconciliation.ReconciliationCheck, "Two ways of counting the same thing.")
class ReconciliationCheck:
    check: str
    expected: BigInt
    found: BigInt
    differences: int
    ok: bool


@resource_type(ReconciliationResource, "The reconciliation of a campaign at one instant, computed from the tables.")
class Reconciliation:
    recipients: int
    not_expanded: int
    states: JSONObject
    credits_used: BigInt
    balanced: bool
    checks: list[ReconciliationCheck] = strawberry.field(description="The checks.")
    as_of: datetime


@request_input(requests.Audience)
class AudienceInput:
    pass


@request_input(Exclude)
class ExcludeInput:
    pass


@request_input(variants.VariantOptions)
class VariantInput:
    pass


@request_input(variants.AbTestOptions, variants=VariantInput)
class AbTestInput:
    metric: Metric = Metric.DELIVERY


@request_input(CampaignCreate, audience=AudienceInput, exclude=ExcludeInput, utm=UtmInput, ab_test=AbTestInput)
class CreateCampaignInput:
    pass


@request_input(CampaignUpdate, audience=AudienceInput, exclude=ExcludeInput, utm=UtmInput, ab_test=AbTestInput)
class UpdateCampaignInput:
    pass


@strawberry.type(description="The messages of a campaign test.")
class CampaignTest:
    messages: list[Message] = strawberry.field(description="One for each phone.")


@request_input(DecideApproval)
class DecideApprovalInput:
    pass


ApprovalInput = Annotated[DecideApprovalInput, strawberry.argument(description="The decision.")]
CreateCampaignResult = Annotated[
    Campaign | InvalidRequestError | PaymentRequiredError | PermissionRefusedError | RateLimitError | IdempotencyError,
    strawberry.union("CreateCampaignResult", description="The new campaign, or an error."),
]
ChangeCampaignResult = Annotated[
    Campaign | NotFoundError | ConflictError | PermissionRefusedError | RateLimitError,
    strawberry.union("ChangeCampaignResult", description="The updated campaign, or an error."),
]

UpdateCampaignResult = Annotated[
    Campaign | NotFoundError | ConflictError | InvalidRequestError | PermissionRefusedError | RateLimitError,
    strawberry.union("UpdateCampaignResult", description="The updated campaign, or an error."),
]
LaunchCampaignResult = Annotated[
    Campaign
    | NotFoundError
    | ConflictError
    | InvalidRequestError
    | PaymentRequiredError
    | PermissionRefusedError
    | RateLimitError,
    strawberry.union("LaunchCampaignResult", description="The updated campaign, or an error."),
]
CloneCampaignResult = Annotated[
    Campaign | NotFoundError | InvalidRequestError | PermissionRefusedError | RateLimitError,
    strawberry.union("CloneCampaignResult", description="The new draft, or an error."),
]
DeleteCampaignResult = Annotated[
    Deleted | NotFoundError | ConflictError | PermissionRefusedError | RateLimitError,
    strawberry.union("DeleteCampaignResult", description="The deleted id, or an error."),
]
CampaignTestResult = Annotated[
    CampaignTest
    | NotFoundError
    | InvalidRequestError
    | PaymentRequiredError
    | ComplianceError
    | PermissionRefusedError
    | RateLimitError,
    strawberry.union("CampaignTestResult", description="The accepted test messages, or an error."),
]


@strawberry.type
class CampaignQuery:
    @field("A campaign by its id; null if there is none.")
    async def campaign(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The campaign's id.")]
    ) -> Campaign | None:
        return await load_kind(info, id, Campaign, ids.CAMPAIGN)

    @field("Campaigns, newest first by default. Drafts are included only with the status `DRAFT`.")
    async def campaigns(
        self,
        info: Info,
        status: Annotated[CampaignStatus | None, argument(requests.ListCampaigns, "status")] = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        statuses: Annotated[list[CampaignStatus] | None, argument(requests.ListCampaigns, "statuses")] = None,
        q: Annotated[str | None, argument(requests.ListCampaigns, "q")] = None,
        order_by: OrderBy = Order.NEWEST,
        starts_from: Annotated[datetime | None, argument(requests.ListCampaigns, "starts_from")] = None,
        starts_before: Annotated[datetime | None, argument(requests.ListCampaigns, "starts_before")] = None,
        tag: Annotated[str | None, argument(requests.ListCampaigns, "tag")] = None,
        archived: Annotated[bool | None, argument(requests.ListCampaigns, "archived")] = None,
    ) -> Connection[Campaign]:
        ctx = info.context.ctx
        request = read_page(ids.CAMPAIGN, first, after, last, before)
        named: list[str] | None = None if statuses is None else [*statuses]
        which = requests.ListCampaigns(
            status=status,
            statuses=named,
            q=q,
            starts_from=starts_from,
            starts_before=starts_before,
            tag=tag,
            archived=archived,
            order=order_by,
        )
        page = await campaigns.list_campaigns(ctx, request, which)
        query = campaigns.campaign_query(ctx, which)
        return connect(ids.CAMPAIGN, request, page, Campaign.from_row, query.count)

    @field("The links of a campaign's body, in their order, with the clicks on them over all recipients.")
    async def campaign_links(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The campaign's id.")]
    ) -> list[CampaignLink]:
        found = ids.find_id(ids.CAMPAIGN, id, "campaign")
        return [
            CampaignLink(
                variant=each.variant or None,
                url=each.url,
                position=each.position,
                clicks=each.clicks,
                unique_clicks=each.unique_clicks,
            )
            for each in await list_campaign_links(info.context.ctx, found)
        ]

    @field("The reconciliation of a campaign: counts, credits, ledger, carrier and events; null if it does not exist.")
    async def campaign_reconciliation(
        self, info: Info, id: Annotated[ID, strawberry.argument(description="The campaign's id.")]
    ) -> Reconciliation | None:
        campaign_id = ids.decode_id(ids.CAMPAIGN, id)
        try:
            if campaign_id is None:
                return None
            found = await reconcile_campaign(info.context.ctx, campaign_id)
        except NotFound:
            return None
        return Reconciliation(
            recipients=found.recipients,
            not_expanded=found.not_expanded,
            states=JSONObject(dict(found.states)),
            credits_used=BigInt(found.credits_used),
            balanced=found.balanced,
            checks=cast("list[ReconciliationCheck]", found.checks),
            as_of=read_time(found.as_of),
        )


CampaignId = Annotated[ID, strawberry.argument(description="The campaign's id.")]


@strawberry.type
class CampaignMutation:
    @mutation(CreateCampaignResult, "Create a campaign that starts now or at a scheduled time.")
    async def create_campaign(
        self,
        info: Info,
        input: Annotated[CreateCampaignInput, strawberry.argument(description="The campaign.")],
        idempotency_key: IdempotencyKey = None,
    ) -> object:
        try:
            check_allowed(info)
            await info.context.take(Bucket.CAMPAIGNS)
            data = read_input(CampaignCreate, input).read()
        except ApiError as error:
            return as_member(info, error)
        return await mutate_once(
            info,
            idempotency_key,
            said(data),
            lambda ctx: campaigns.create_campaign(ctx, data),
            campaigns.get_campaign,
            Campaign.from_row,
        )

    @mutation(
        UpdateCampaignResult,
        "Update a campaign that is a draft, is scheduled, waits for approval, or was paused by hand before its first"
        " message was made.",
    )
    async def update_campaign(
        self,
        info: Info,
        id: CampaignId,
        input: Annotated[UpdateCampaignInput, strawberry.argument(description="What to change.")],
    ) -> object:
        return await _change(
            info, id, lambda ctx, id: campaigns.update_campaign(ctx, id, read_input(CampaignUpdate, input).read())
        )

    @mutation(LaunchCampaignResult, "Launch a draft.")
    async def launch_campaign(
        self,
        info: Info,
        id: CampaignId,
        scheduled_at: Annotated[datetime | None, argument(requests.CampaignLaunch, "scheduled_at")] = strawberry.UNSET,
        preflight: Annotated[ID | None, argument(requests.CampaignLaunch, "preflight")] = None,
        max_credits: Annotated[int | None, argument(requests.CampaignLaunch, "max_credits")] = None,
        max_drift: Annotated[float | None, argument(requests.CampaignLaunch, "max_drift")] = None,
    ) -> object:
        at = given(scheduled_at)
        rails = requests.GuardRailOptions(preflight=preflight, max_credits=max_credits, max_drift=max_drift)
        return await _change(
            info, id, lambda ctx, id: campaigns.launch_campaign(ctx, id, scheduled_at=at, guard_rails=rails)
        )

    @mutation(CloneCampaignResult, "Create a draft with the same body, sender, audience, metadata and pace.")
    async def clone_campaign(
        self,
        info: Info,
        id: CampaignId,
        name: Annotated[str | None, argument(requests.CampaignClone, "name")] = None,
    ) -> object:
        return await _change(info, id, lambda ctx, id: campaigns.clone_campaign(ctx, id, name=name))

    @mutation(DeleteCampaignResult, "Delete a draft.")
    async def delete_campaign(self, info: Info, id: CampaignId) -> object:
        return await _act(info, id, campaigns.delete_campaign, lambda _: Deleted(id=ID(id)))

    @mutation(CampaignTestResult, "Send a campaign's body to your own phones, each as a single message.")
    async def send_campaign_test(
        self,
        info: Info,
        id: CampaignId,
        to: Annotated[list[str], argument(requests.CampaignTest, "to")],
        variables: Annotated[JSONObject | None, argument(requests.CampaignTest, "variables")] = None,
        variant: Annotated[str | None, argument(requests.CampaignTest, "variant")] = None,
    ) -> object:
        return await _act(
            info,
            id,
            # Values of another kind are refused by the operation.
            lambda ctx, id: campaigns.send_campaign_test(
                ctx, id, to=to, variables=cast("Variables | None", variables), variant=variant
            ),
            lambda rows: CampaignTest(messages=[Message.from_row(row) for row in rows]),
        )

    @mutation(ChangeCampaignResult, "Pause a campaign: nothing more is sent until it is resumed.")
    async def pause_campaign(self, info: Info, id: CampaignId) -> object:
        return await _change(info, id, campaigns.pause_campaign)

    @mutation(ChangeCampaignResult, "Resume a paused campaign where it stopped.")
    async def resume_campaign(self, info: Info, id: CampaignId) -> object:
        return await _change(info, id, campaigns.resume_campaign)

    @mutation(ChangeCampaignResult, "Cancel a campaign: messages that no carrier has are never sent.")
    async def cancel_campaign(self, info: Info, id: CampaignId) -> object:
        return await _change(info, id, campaigns.cancel_campaign)

    @mutation(ChangeCampaignResult, "Ask once more for the approval of a campaign that was rejected.")
    async def request_campaign_approval(self, info: Info, id: CampaignId) -> object:
        return await _change(info, id, approvals.request_approval)

    @mutation(UpdateCampaignResult, "Approve a campaign that waits for a second person, as it stands in a version.")
    async def approve_campaign(self, info: Info, id: CampaignId, input: ApprovalInput) -> object:
        data = read_input(DecideApproval, input)
        return await _change(info, id, lambda ctx, id: approvals.approve_campaign(ctx, id, data))

    @mutation(UpdateCampaignResult, "Reject a campaign that waits for a second person, with a comment.")
    async def reject_campaign(self, info: Info, id: CampaignId, input: ApprovalInput) -> object:
        data = read_input(DecideApproval, input)
        return await _change(info, id, lambda ctx, id: approvals.reject_campaign(ctx, id, data))

    @mutation(ChangeCampaignResult, "Archive a campaign that has ended.")
    async def archive_campaign(self, info: Info, id: CampaignId) -> object:
        return await _change(info, id, campaigns.archive_campaign)

    @mutation(ChangeCampaignResult, "Take a campaign out of the archive.")
    async def unarchive_campaign(self, info: Info, id: CampaignId) -> object:
        return await _change(info, id, campaigns.unarchive_campaign)

    @mutation(
        UpdateCampaignResult,
        "Choose the variant that the rest of a campaign's audience gets, once its test is out.",
    )
    async def choose_winner(
        self, info: Info, id: CampaignId, variant: Annotated[str, argument(ab_tests.WinnerChoice, "variant")]
    ) -> object:
        return await _change(info, id, lambda ctx, id: ab_tests.choose_winner(ctx, id, variant=variant))


async def _change(info: Info, id: str, operation: Callable[[Context, UUID], Awaitable[rows.CampaignRow]]) -> object:
    return await _act(info, id, operation, Campaign.from_row)


async def _act(
    info: Info,
    id: str,
    operation: Callable[[Context, UUID], Awaitable[T]],
    shape: Callable[[T], object],
) -> object:
    try:
        await info.context.take(Bucket.CAMPAIGNS)
    except ApiError as error:
        return as_member(info, error)
    return await mutate(info, lambda ctx: operation(ctx, ids.find_id(ids.CAMPAIGN, id, "campaign")), shape)
