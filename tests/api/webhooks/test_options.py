"""What a webhook is sent and how: filters of events, batches, replays and the headers of Standard Webhooks."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from msvs.api import ids
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.context import Context
from msvs.api.errors import ApiError, ErrorCode, InvalidRequest
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.resources import Resource, webhook_resource
from msvs.api.unit_of_work import unit_of_work
from msvs.api.webhooks import endpoints
from msvs.api.webhooks.endpoints import CreateWebhook, UpdateWebhook, WebhookFilter
from msvs.api.webhooks.events import EventType, NewEvent, record_events
from msvs.database import execute, fetch, fetch_value, now
from msvs.models import AuditEntry, Campaign, WebhookEndpoint
from msvs.workers.campaigns import expand_campaigns
from tests import factories
from tests.receiver import deliveries_of, make_endpoint
from tests.services import SERVICES

pytestmark = pytest.mark.usefixtures("loopback_webhooks")

URL = "https://93.184.215.14/hook"


class Thing(Resource, kw_only=True):
    """A resource of an event, as far as filters look at it."""

    id: str
    object: str = "message"
    campaign_id: str | None = None
    metadata: dict[str, Any] | None = None


class Balance(Resource, kw_only=True):
    """One without an id of a campaign and without metadata."""

    object: Literal["credits"] = "credits"


async def campaign_of(ctx: Context) -> Campaign:
    return await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name="Close",
        body="Hi",
        sender="COHORTLABS",
        audience={},
        status="draft",
    )


async def write(ctx: Context, *things: Resource, type: EventType = EventType.MESSAGE_SENT) -> None:
    async with unit_of_work():
        await record_events(
            [NewEvent(type, ctx.workspace_id, ctx.livemode, ids.new_id(), thing) for thing in things], await now()
        )


async def arrived(endpoint: WebhookEndpoint) -> list[str]:
    """The ids of the resources whose events are on their way to an endpoint."""
    rows = await fetch(
        "SELECT events.data::jsonb ->> 'id' AS id FROM webhook_deliveries JOIN events ON events.id = event_id"
        " WHERE endpoint_id = $1 ORDER BY 1",
        endpoint.id,
    )
    return [row.id for row in rows]


async def create(ctx: Context, **values: Any) -> WebhookEndpoint:
    async with unit_of_work():
        row, _ = await endpoints.create_webhook(ctx, CreateWebhook(**{"url": URL, "events": ["*"], **values}))
    return row


async def update(ctx: Context, row: WebhookEndpoint, **values: Any) -> WebhookEndpoint:
    async with unit_of_work():
        return await endpoints.update_webhook(ctx, row.id, UpdateWebhook(**values))


@pytest.mark.parametrize("beside", [0, 120])
async def test_events_match_a_filter_of_campaigns_and_metadata(ctx: Context, beside: int) -> None:
    mine, other = await campaign_of(ctx), await campaign_of(ctx)
    (mine_id, other_id) = (ids.encode_id(ids.CAMPAIGN, each.id) for each in (mine, other))
    everything = await make_endpoint(ctx)
    by_campaign = await create(ctx, filter=WebhookFilter(campaign_ids=[mine_id]))
    by_metadata = await make_endpoint(
        ctx, "http://127.0.0.1:9/metadata", event_filter={"metadata": {"cohort": 6, "vip": True}}
    )
    by_both = await make_endpoint(
        ctx, "http://127.0.0.1:9/both", event_filter={"campaign_ids": [mine_id], "metadata": {"cohort": 6}}
    )
    things = [
        Thing(id="a", campaign_id=mine_id),
        Thing(id="b", campaign_id=other_id, metadata={"cohort": 6, "vip": True, "more": "x"}),
        Thing(id="c", campaign_id=mine_id, metadata={"cohort": 6, "vip": False}),
        Thing(id="d", metadata={"cohort": "6", "vip": True}),
        Thing(id=mine_id, object="campaign", metadata={"cohort": 6}),
        Thing(id=mine_id, object="message"),
        Balance(),
    ]
    await write(ctx, *things, *(Thing(id="x") for _ in range(beside)))
    assert len(await arrived(everything)) == len(things) + beside
    assert await arrived(by_campaign) == sorted(["a", "c", mine_id])
    assert await arrived(by_metadata) == ["b"]
    assert await arrived(by_both) == sorted(["c", mine_id])


async def test_a_filter_holds_for_types_it_subscribes_to_alone(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx, events=["message.failed"], event_filter={"metadata": {"cohort": 6}})
    for type in (EventType.MESSAGE_SENT, EventType.MESSAGE_FAILED):
        await write(ctx, Thing(id=type.value, metadata={"cohort": 6}), type=type)
        await write(ctx, *(Thing(id=type.value, metadata={"cohort": 6}) for _ in range(100)), type=type)
    assert await arrived(endpoint) == ["message.failed"] * 101


async def test_messages_and_campaigns_pass_the_same_filter(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    audience = await factories.make_list(ctx, [contact])
    endpoint = await make_endpoint(ctx, event_filter={"metadata": {"cohort": "06"}})
    for cohort in ("06", "07"):
        async with unit_of_work():
            await send_message(ctx, SendMessage(contact.phone, "Doors open", metadata={"cohort": cohort}))
            await campaigns.create_campaign(
                ctx, CreateCampaign("Close", "Doors open", list_ids=[audience.id], metadata={"cohort": cohort})
            )
        await expand_campaigns(SERVICES)
    rows = await fetch(
        "SELECT events.data::jsonb #>> '{metadata,cohort}' AS cohort, count(*) AS count FROM webhook_deliveries"
        " JOIN events ON events.id = event_id WHERE endpoint_id = $1 AND events.type = 'message.queued' GROUP BY 1",
        endpoint.id,
    )
    assert [(row.cohort, row.count) for row in rows] == [("06", 2)]


async def test_recovery_and_resending_to_all_pass_the_filter_and_one_to_a_webhook_does_not(ctx: Context) -> None:
    endpoint = await make_endpoint(ctx, enabled=False, event_filter={"metadata": {"cohort": 6}})
    await write(ctx, Thing(id="a", metadata={"cohort": 6}), Thing(id="b"))
    await update(ctx, endpoint, enabled=True)
    since = await fetch_value("SELECT now() - interval '1 hour'")
    await execute("UPDATE webhook_endpoints SET created_at = $2 WHERE id = $1", endpoint.id, since)
    async with unit_of_work():
        assert await endpoints.recover(ctx, endpoint.id, since=since) == 1
    assert await arrived(endpoint) == ["a"]
    (other,) = await fetch("SELECT id FROM events WHERE data::jsonb ->> 'id' = 'b'")
    async with unit_of_work():
        assert await endpoints.resend_event(ctx, other.id) == 0
        assert await endpoints.resend_event(ctx, other.id, webhook_id=endpoint.id) == 1
    assert {(row.replay, row.replay_count) for row in await deliveries_of(endpoint.id)} == {(True, 0)}


async def test_a_webhook_without_options_is_as_it_was(ctx: Context) -> None:
    row = await create(ctx)
    assert (row.auto_replay_since, row.standard_webhooks, row.batch_size, row.event_filter) == (None, False, None, None)
    shown = webhook_resource(row)
    assert (shown.auto_replay, shown.standard_webhooks, shown.batch_size, shown.filter) == (False, False, None, None)


async def test_options_are_set_changed_and_cleared(ctx: Context) -> None:
    campaign_id = ids.encode_id(ids.CAMPAIGN, (await campaign_of(ctx)).id)
    wanted = WebhookFilter(campaign_ids=[campaign_id, campaign_id], metadata={"cohort": 6})
    row = await create(ctx, auto_replay=True, standard_webhooks=True, batch_size=50, filter=wanted)
    shown = webhook_resource(row)
    assert (shown.auto_replay, shown.standard_webhooks, shown.batch_size) == (True, True, 50)
    assert shown.filter is not None
    assert (shown.filter.campaign_ids, shown.filter.metadata) == ([campaign_id], {"cohort": 6})
    since, version = row.auto_replay_since, shown.version
    kept = await update(ctx, row, auto_replay=True, description="CRM")
    assert kept.auto_replay_since == since
    assert webhook_resource(kept).version != version
    cleared = await update(
        ctx, row, auto_replay=False, standard_webhooks=False, batch_size=None, filter=None, version=shown_of(kept)
    )
    shown = webhook_resource(cleared)
    assert (shown.auto_replay, shown.standard_webhooks, shown.batch_size, shown.filter) == (False, False, None, None)
    emptied = await update(ctx, row, filter=WebhookFilter(metadata={}))
    assert emptied.event_filter is None


def shown_of(row: WebhookEndpoint) -> str:
    return webhook_resource(row).version


@pytest.mark.parametrize(
    ("values", "param", "code"),
    [
        ({"batch_size": 0}, "batch_size", ErrorCode.PARAMETER_OUT_OF_RANGE),
        ({"batch_size": 101}, "batch_size", ErrorCode.PARAMETER_OUT_OF_RANGE),
        ({"filter": WebhookFilter(campaign_ids=[])}, "filter.campaign_ids", ErrorCode.PARAMETER_OUT_OF_RANGE),
        ({"filter": WebhookFilter(campaign_ids=["cmp_1"])}, "filter.campaign_ids[0]", None),
        ({"filter": WebhookFilter(metadata={"a": ["b"]})}, "filter.metadata.a", None),  # type: ignore[dict-item]
        ({"filter": WebhookFilter(metadata={"": "b"})}, "filter.metadata", ErrorCode.PARAMETER_OUT_OF_RANGE),
        (
            {"standard_webhooks": True, "secret": "whsec_0123456789abcdef"},
            "secret",
            ErrorCode.WEBHOOK_SECRET_NOT_STANDARD,
        ),
    ],
)
async def test_what_is_refused_leaves_no_trace(
    ctx: Context, values: dict[str, Any], param: str, code: ErrorCode | None
) -> None:
    row = await create(ctx, url="https://93.184.215.14/there")
    with pytest.raises(InvalidRequest) as refused:
        await create(ctx, **values)
    assert refused.value.param == param
    assert code is None or refused.value.code == code
    if "secret" not in values:
        with pytest.raises(InvalidRequest) as refused:
            await update(ctx, row, description="changed", **values)
        assert refused.value.param == param
    (left,) = await WebhookEndpoint.filter(workspace_id=ctx.workspace_id)
    assert (left.id, left.description, left.event_filter) == (row.id, "", None)
    assert await AuditEntry.filter(workspace_id=ctx.workspace_id).count() == 1


async def test_campaigns_of_others_are_unknown_to_a_filter(ctx: Context, other_ctx: Context, live_ctx: Context) -> None:
    for stranger in (other_ctx, live_ctx):
        campaign_id = ids.encode_id(ids.CAMPAIGN, (await campaign_of(stranger)).id)
        with pytest.raises(InvalidRequest) as refused:
            await create(ctx, filter=WebhookFilter(campaign_ids=[campaign_id]))
        assert refused.value.param == "filter.campaign_ids[0]"
    assert await WebhookEndpoint.all().count() == 0


async def test_an_older_secret_is_rotated_before_standard_webhooks(ctx: Context) -> None:
    row = await create(ctx, secret="whsec_of-an-older_webhook-00000000000000000")
    with pytest.raises(ApiError) as refused:
        await update(ctx, row, standard_webhooks=True)
    assert refused.value.code == ErrorCode.WEBHOOK_SECRET_NOT_STANDARD
    async with unit_of_work():
        await endpoints.rotate_secret(ctx, row.id)
    assert (await update(ctx, row, standard_webhooks=True)).standard_webhooks
