"""Exclusions: who of an audience is skipped, in previews, estimates and expansions alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import audiences, campaigns, exclusions
from msvs.api.campaigns.campaigns import CreateCampaign, UpdateCampaign
from msvs.api.campaigns.exclusions import Exclude
from msvs.api.campaigns.previews import PreviewCampaign, preview_campaign
from msvs.api.contacts import lists
from msvs.api.contacts.segments import create_segment
from msvs.api.context import Context
from msvs.api.errors import InvalidRequest
from msvs.api.ids import new_id
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Campaign, Contact, Message, Segment
from msvs.workers.campaigns import expand_campaigns
from tests import factories
from tests.owner import run_as_owner
from tests.plans import NEW_ID, make_messages, reading
from tests.services import SERVICES
from tests.workers.test_campaigns import check_conservation, people, run_through, stats
from tests.workers.test_plans import make_campaign

pytestmark = pytest.mark.usefixtures("virtual_live")


async def launch(ctx: Context, contacts: Sequence[Contact], **values: Any) -> Campaign:
    listed = await factories.make_list(ctx, list(contacts))
    async with unit_of_work():
        return await campaigns.create_campaign(ctx, CreateCampaign("All", "Hi", list_ids=[listed.id], **values))


async def outcomes(campaign: Campaign) -> dict[Any, str | None]:
    rows = await Message.filter(campaign_id=campaign.id)
    return {row.contact_id: row.error_code for row in rows}


def list_id(row: Any) -> str:
    return ids.encode_id(ids.CONTACT_LIST, row.id)


async def test_each_reason_is_told_and_the_books_agree(live_ctx: Context) -> None:
    ctx = live_ctx
    everyone = await people(ctx, 6)
    on_list, in_segment, in_campaign, lately, both, free = everyone
    await Contact.filter(id__in=[in_segment.id, both.id]).update(first_name="Maria")
    listed = await factories.make_list(ctx, [on_list, both], name="Customers")
    async with unit_of_work():
        segment = await create_segment(ctx, "Marias", {"field": "first_name", "op": "eq", "value": "Maria"})
    earlier = await launch(ctx, [in_campaign])
    await run_through()
    # What was sent long ago counts for the campaign alone.
    await db.execute("UPDATE messages SET handed_at = now() - interval '9 days'")
    async with unit_of_work():
        await send_message(ctx, SendMessage(lately.phone, "Your receipt"))
    await run_through()
    exclude = Exclude(
        list_ids=[list_id(listed)],
        segment_ids=[ids.encode_id(ids.SEGMENT, segment.id)],
        campaign_ids=[ids.encode_id(ids.CAMPAIGN, earlier.id)],
        messaged_within_days=3,
    )
    audience = await factories.make_list(ctx, everyone, name="All")
    preview = await preview_campaign(ctx, PreviewCampaign(body="Hi", list_ids=[audience.id], exclude=exclude))
    told = {"excluded_list": 2, "excluded_segment": 1, "excluded_campaign": 1, "messaged_recently": 1}
    assert {each.code: each.recipient_count for each in preview.skipped} == told
    assert (preview.recipient_count, preview.credits.total, preview.refusal) == (1, 1, None)
    campaign = await launch(ctx, everyone, exclude=exclude)
    await run_through()
    assert await outcomes(campaign) == {
        on_list.id: "excluded_list",
        both.id: "excluded_list",
        in_segment.id: "excluded_segment",
        in_campaign.id: "excluded_campaign",
        lately.id: "messaged_recently",
        free.id: None,
    }
    found = await stats(ctx, campaign.id)
    assert (found.recipients, found.delivered, found.skipped, found.credits_used) == (6, 1, 5, 1)
    await check_conservation(ctx, campaign.id)


async def test_a_balance_that_does_for_those_who_are_not_excluded_does(live_ctx: Context) -> None:
    await db.execute("UPDATE credit_balances SET balance = 2")
    everyone = await people(live_ctx, 5)
    listed = await factories.make_list(live_ctx, everyone[:3], name="Customers")
    campaign = await launch(live_ctx, everyone, exclude=Exclude(list_ids=[list_id(listed)]))
    await run_through()
    assert (await stats(live_ctx, campaign.id)).delivered == 2


async def test_recipients_that_another_campaign_skipped_or_canceled_are_not_its_recipients(ctx: Context) -> None:
    got, skipped, waiting = await people(ctx, 3)
    other = await launch(ctx, [got, skipped])
    await run_through()
    await db.execute("UPDATE messages SET status = 'skipped' WHERE contact_id = $1", skipped.id)
    # Who is not expanded yet will get it.
    await db.execute(
        "INSERT INTO campaign_recipients (campaign_id, phone, contact_id) VALUES ($1, $2, $3)",
        other.id,
        waiting.phone,
        waiting.id,
    )
    campaign = await launch(
        ctx, [got, skipped, waiting], exclude=Exclude(campaign_ids=[ids.encode_id(ids.CAMPAIGN, other.id)])
    )
    await expand_campaigns(SERVICES)
    assert await outcomes(campaign) == {got.id: "excluded_campaign", skipped.id: None, waiting.id: "excluded_campaign"}


async def test_a_message_made_long_before_it_was_sent_counts_by_when_it_was_sent(ctx: Context) -> None:
    lately, long_ago, refused, automatic = await people(ctx, 4)
    for person in (lately, long_ago, refused, automatic):
        async with unit_of_work():
            await send_message(ctx, SendMessage(person.phone, "Hi"))
    await run_through()
    # Ids tell when messages were made: a hundred days ago.
    old = ids.id_time(new_id()) - timedelta(days=100)
    for person, days in ((lately, 1), (long_ago, 8)):
        await db.execute(
            "UPDATE messages SET id = $2, created_at = $3::timestamptz, handed_at = $3::timestamptz"
            " + make_interval(days => 100 - $4) WHERE contact_id = $1",
            person.id,
            _id_at(old),
            old,
            days,
        )
    await db.execute("UPDATE messages SET status = 'failed', sent_at = NULL WHERE contact_id = $1", refused.id)
    await db.execute("UPDATE messages SET kind = 'auto' WHERE contact_id = $1", automatic.id)
    campaign = await launch(ctx, [lately, long_ago, refused, automatic], exclude=Exclude(messaged_within_days=7))
    await expand_campaigns(SERVICES)
    assert await outcomes(campaign) == {
        lately.id: "messaged_recently",
        long_ago.id: None,
        refused.id: None,
        automatic.id: None,
    }


def _id_at(moment: datetime) -> Any:
    made = new_id()
    return type(made)(int=(int(moment.timestamp() * 1000) << 80) | (made.int & ((1 << 80) - 1)))


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"list_ids": ["lst_nope"]}, "exclude.list_ids[0]"),
        ({"list_ids": [ids.encode_id(ids.CONTACT_LIST, new_id())]}, "exclude.list_ids[0]"),
        ({"segment_ids": [ids.encode_id(ids.SEGMENT, new_id())]}, "exclude.segment_ids[0]"),
        ({"campaign_ids": [ids.encode_id(ids.CAMPAIGN, new_id())]}, "exclude.campaign_ids[0]"),
        ({"campaign_ids": [ids.encode_id(ids.CAMPAIGN, new_id())] * 101}, "exclude.campaign_ids"),
        ({"messaged_within_days": 0}, "exclude.messaged_within_days"),
        ({"messaged_within_days": 366}, "exclude.messaged_within_days"),
    ],
)
async def test_what_cannot_be_excluded_is_refused(ctx: Context, told: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await launch(ctx, await people(ctx, 1), exclude=Exclude(**told))
    assert refusal.value.param == param
    assert await Campaign.all().count() == 0


async def test_another_workspace_or_mode_has_nothing_to_exclude(
    ctx: Context, live_ctx: Context, other_ctx: Context
) -> None:
    for stranger in (live_ctx, other_ctx):
        listed = await factories.make_list(stranger, await people(stranger, 1))
        campaign = await launch(stranger, [], draft=True)
        for told in ({"list_ids": [list_id(listed)]}, {"campaign_ids": [ids.encode_id(ids.CAMPAIGN, campaign.id)]}):
            with pytest.raises(InvalidRequest):
                await launch(ctx, await people(ctx, 1), exclude=Exclude(**told))


async def test_exclusions_are_changed_cloned_and_checked_at_the_launch(ctx: Context) -> None:
    listed = await factories.make_list(ctx, await people(ctx, 1), name="Customers")
    draft = await launch(ctx, await people(ctx, 1), draft=True, exclude=Exclude(list_ids=[list_id(listed)] * 2))
    assert draft.exclusions == {"list_ids": [list_id(listed)]}
    async with unit_of_work():
        clone = await campaigns.clone_campaign(ctx, draft.id)
        own = UpdateCampaign(exclude=Exclude(campaign_ids=[ids.encode_id(ids.CAMPAIGN, draft.id)]))
        with pytest.raises(InvalidRequest):
            await campaigns.update_campaign(ctx, draft.id, own)
        days = UpdateCampaign(exclude=Exclude(messaged_within_days=2))
        changed = await campaigns.update_campaign(ctx, draft.id, days)
        assert changed.exclusions == {"messaged_within_days": 2}
        kept = await campaigns.update_campaign(ctx, draft.id, UpdateCampaign(name="Renamed"))
        assert kept.exclusions == {"messaged_within_days": 2}
        cleared = await campaigns.update_campaign(ctx, draft.id, UpdateCampaign(exclude=None))
        assert cleared.exclusions is None
    assert clone.exclusions == {"list_ids": [list_id(listed)]}
    # A list that is gone would exclude nobody, and its members would get the message.
    async with unit_of_work():
        await lists.delete_list(ctx, listed.id)
    with pytest.raises(InvalidRequest) as refusal:
        async with unit_of_work():
            await campaigns.launch_campaign(ctx, clone.id)
    assert refusal.value.param == "exclude.list_ids[0]"


async def test_a_campaign_pauses_at_its_start_where_an_exclusion_is_gone(ctx: Context) -> None:
    kept = await factories.make_list(ctx, await people(ctx, 1), name="Kept")
    member = (await people(ctx, 1))[0]
    gone = await factories.make_list(ctx, [member], name="Gone")
    async with unit_of_work():
        segment = await create_segment(ctx, "Marias", {"field": "first_name", "op": "eq", "value": "Maria"})
    exclude = Exclude(list_ids=[list_id(kept), list_id(gone)], segment_ids=[ids.encode_id(ids.SEGMENT, segment.id)])
    campaign = await launch(ctx, [member], exclude=exclude)
    async with unit_of_work():
        await lists.delete_list(ctx, gone.id)
    await Segment.all().delete()
    await run_through()
    paused = await Campaign.get(id=campaign.id)
    assert (paused.status, paused.pause_reason, await outcomes(campaign)) == ("paused", "exclusion_missing", {})
    rows = await db.fetch("SELECT type, data::text FROM events WHERE resource_id = $1", campaign.id)
    assert [row.type for row in rows] == ["campaign.paused"]
    assert msgspec.json.decode(rows[0].data)["pause_reason"] == "exclusion_missing"
    # Resuming is the decision to go on without what is gone.
    async with unit_of_work():
        resumed = await campaigns.resume_campaign(ctx, campaign.id)
    assert resumed.exclusions == {"list_ids": [list_id(kept)]}
    await run_through()
    assert await outcomes(campaign) == {member.id: None}


async def test_the_query_has_a_reason_for_those_who_are_excluded_alone(ctx: Context) -> None:
    now = datetime.now(UTC)
    assert await exclusions.find_exclusion(ctx, None, now, first_parameter=1) == exclusions.NOBODY
    # Of segments that are all gone.
    gone = {"segment_ids": [ids.encode_id(ids.SEGMENT, new_id())]}
    found = await exclusions.find_exclusion(ctx, gone, now, first_parameter=1)  # type: ignore[arg-type]
    assert found == exclusions.NOBODY


MANY, BATCH = 20_000, 10
# A batch with what is joined to it, several times over; a fraction of what lies beside it.
MOST = 30 * BATCH

MANY_CONTACTS = f"""
WITH made AS (
    INSERT INTO contacts (id, workspace_id, livemode, phone, canonical, opt_in_status, attributes, region, number_kind,
        created_at, updated_at)
    SELECT {NEW_ID}, $1, $2, phone, phone, 'opted_in', '{{}}', 'US', 'mobile', now(), now()
    FROM (SELECT '+1212' || lpad((5000000 + number)::text, 7, '0') AS phone FROM generate_series(1, $3::int) AS number)
        AS phones RETURNING id
)
INSERT INTO list_members (id, list_id, contact_id, created_at) SELECT {NEW_ID}, $4, id, now() FROM made
"""


@pytest.mark.parametrize("is_generic", [False, True])
async def test_an_expansion_reads_its_batch_beside_many_that_are_excluded(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch, is_generic: bool
) -> None:
    ctx = live_ctx
    audience = await factories.make_list(ctx, name="All")
    await db.execute(MANY_CONTACTS, ctx.workspace_id, True, MANY, audience.id)
    customers = await factories.make_list(ctx, name="Customers")
    await db.execute(
        "INSERT INTO list_members (id, list_id, contact_id, created_at)"
        f" SELECT {NEW_ID}, $1, contact_id, now() FROM list_members",
        customers.id,
    )
    other = await make_campaign(ctx, "sending")
    await make_messages(ctx, MANY, "sent", campaign_id=other)
    await db.execute(
        "UPDATE messages SET contact_id = contacts.id, handed_at = now() FROM contacts WHERE contacts.phone = to_phone"
    )
    await run_as_owner("ANALYZE messages, contacts, list_members, campaign_recipients")
    found = {}
    for reason, exclude in (
        (None, None),
        ("excluded_list", Exclude(list_ids=[list_id(customers)])),
        ("excluded_campaign", Exclude(campaign_ids=[ids.encode_id(ids.CAMPAIGN, other)])),
        ("messaged_recently", Exclude(messaged_within_days=2)),
    ):
        async with unit_of_work():
            data = CreateCampaign("All", "Hi", list_ids=[audience.id], exclude=exclude, draft=True)
            campaign = await campaigns.create_campaign(ctx, data)
        await db.execute("UPDATE campaigns SET status = 'preparing', started_at = now() WHERE id = $1", campaign.id)
        await db.execute(
            "INSERT INTO campaign_recipients SELECT $1, phone, id FROM contacts ORDER BY phone LIMIT $2",
            campaign.id,
            MANY // 4,
        )
        await run_as_owner("ANALYZE campaign_recipients")
        with reading(monkeypatch, is_generic=is_generic) as expanding:
            async with unit_of_work():
                made = await audiences.expand_chunk(SERVICES, campaign.id, limit=BATCH, now=await db.now())
        assert made == BATCH
        expanding.check(MOST)
        found[reason] = len(expanding.statements)
        codes = {row.error_code for row in await Message.filter(campaign_id=campaign.id)}
        assert codes == {reason}
    # An exclusion is a column of the statement that takes recipients: it costs none of its own.
    assert len(set(found.values())) == 1
