"""Conversions: whom an order is found to be of, which message it is attributed to, and what its campaign counts."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.accounts.workspaces import UpdateWorkspace, update_workspace
from msvs.api.campaigns.ab_tests import choose_best, report_ab_test
from msvs.api.campaigns.sequence_stats import read_stats
from msvs.api.contacts.contacts import delete_contact
from msvs.api.contacts.merges import MergeContacts, merge_contacts
from msvs.api.context import Context
from msvs.api.dispatch.campaign_stats import campaign_stats
from msvs.api.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.messages.conversion_shapes import (
    ListConversions,
    RefundConversion,
    TotalConversions,
    conversion_resource,
)
from msvs.api.messages.conversions import (
    get_conversion,
    list_conversions,
    refund_conversion,
    total_conversions,
)
from msvs.api.messages.statistics import CurrencyRevenue, Interval, read_conversion_activity
from msvs.api.pages import PageRequest
from msvs.api.privacy.contact_export import export_contact
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import in_unit_of_work, unit_of_work
from msvs.models import Campaign, Contact, Conversion, Event, Message
from tests import factories
from tests.api.campaigns.flows import enroll, make_sequence, work
from tests.api.messages.orders import HOUR, at, buy, click, deliver
from tests.owner import run_as_owner
from tests.plans import make_messages, reading

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


async def make_campaign(ctx: Context, **values: Any) -> Campaign:
    return await Campaign.create(
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        name="Close",
        body="Hi",
        sender="MASSIVESMS",
        audience={"list_ids": []},
        status=values.pop("status", "completed"),
        **values,
    )


async def refund(ctx: Context, id: UUID, amount: int | None = None) -> Any:
    return await in_unit_of_work(lambda: refund_conversion(ctx, id, RefundConversion(refunded_value=amount)))


async def settings(ctx: Context, **values: Any) -> None:
    await in_unit_of_work(lambda: update_workspace(ctx, UpdateWorkspace(**values)))


async def test_the_last_click_before_it_comes_before_any_message(ctx: Context) -> None:
    maria = await factories.make_contact(ctx)
    early = await deliver(ctx, maria, ago=3 * DAY)
    last = await deliver(ctx, maria, ago=2 * DAY)
    await deliver(ctx, maria, ago=HOUR)
    await click(early, ago=30 * HOUR)
    await click(last, ago=20 * HOUR)
    row = await buy(ctx, maria)
    assert (row.attributed_by, row.message_id, row.campaign_id) == ("click", last.id, None)
    shown = conversion_resource(row)
    assert shown.attributed is not None
    assert shown.attributed.type == "click"
    assert shown.attributed.message_id == ids.encode_id(ids.MESSAGE, last.id)
    # At an earlier time, what came after it does not count.
    before = await buy(ctx, maria, occurred_at=await at(25 * HOUR))
    assert before.message_id == early.id


async def test_a_later_click_on_the_same_link_does_not_hide_the_first(ctx: Context) -> None:
    maria = await factories.make_contact(ctx)
    message = await deliver(ctx, maria, ago=3 * DAY)
    await click(message, ago=MINUTE, first=2 * DAY)
    row = await buy(ctx, maria, occurred_at=await at(HOUR))
    assert (row.attributed_by, row.message_id) == ("click", message.id)
    assert row.attributed_at is not None
    assert row.attributed_at < await at(47 * HOUR)


async def test_without_a_click_the_last_delivery_counts(ctx: Context) -> None:
    maria = await factories.make_contact(ctx)
    await deliver(ctx, maria, ago=23 * HOUR)
    # Made long before it was delivered, as those of a campaign of many days are.
    slow = await deliver(ctx, maria, ago=40 * DAY)
    await Message.filter(id=slow.id).update(delivered_at=await at(HOUR))
    await deliver(ctx, maria, ago=MINUTE, kind="auto")
    await deliver(ctx, maria, ago=MINUTE, status="sent", delivered_at=None)
    await deliver(ctx, maria, ago=MINUTE, status="failed", delivered_at=None)
    row = await buy(ctx, maria)
    assert (row.attributed_by, row.message_id) == ("message", slow.id)


@pytest.mark.parametrize(
    ("clicked", "delivered", "by"),
    [
        (5 * DAY - MINUTE, 6 * DAY, "click"),
        (5 * DAY + MINUTE, 6 * DAY, None),
        (5 * DAY + MINUTE, DAY - MINUTE, "message"),
        (None, DAY - MINUTE, "message"),
        (None, DAY + MINUTE, None),
    ],
)
async def test_windows_end(ctx: Context, clicked: timedelta | None, delivered: timedelta, by: str | None) -> None:
    maria = await factories.make_contact(ctx)
    message = await deliver(ctx, maria, ago=delivered)
    if clicked is not None:
        await click(message, ago=clicked)
    row = await buy(ctx, maria)
    assert (row.attributed_by, row.message_id) == (by, None if by is None else message.id)


async def test_windows_are_settings_of_a_mode_and_0_is_never(ctx: Context, live_ctx: Context) -> None:
    for each in (ctx, live_ctx):
        maria = await factories.make_contact(each)
        await click(await deliver(each, maria, ago=HOUR), ago=HOUR)
        if each is ctx:
            await settings(ctx, click_window_hours=0)
            assert (await buy(each, maria)).attributed_by == "message"
            await settings(ctx, message_window_hours=0)
            assert (await buy(each, maria)).attributed_by is None
        else:
            assert (await buy(each, maria)).attributed_by == "click"
    for value in (-1, 721):
        with pytest.raises(InvalidRequest) as refused:
            await settings(ctx, click_window_hours=value)
        assert refused.value.param == "click_window_hours"


async def test_contacts_are_found_in_four_ways(ctx: Context) -> None:
    maria = await factories.make_contact(ctx, "+12125550123", email="Maria@cohortlabs.co", external_id="c-1")
    await deliver(ctx, maria, ago=HOUR)
    # A namesake who got nothing: the message decides.
    await factories.make_contact(ctx, email="maria@cohortlabs.co")
    for who in (
        {"contact_id": ids.encode_id(ids.CONTACT, maria.id)},
        {"phone": "+12125550123"},
        {"email": "MARIA@cohortlabs.co"},
        {"external_id": "c-1"},
    ):
        assert (await buy(ctx, **who)).contact_id == maria.id
    for who, param in (
        ({"phone": "+12125550124"}, "phone"),
        ({"email": "ana@cohortlabs.co"}, "email"),
        ({"external_id": "c-2"}, "external_id"),
        ({"contact_id": ids.encode_id(ids.CONTACT, ids.new_id())}, "contact_id"),
    ):
        with pytest.raises(NotFound) as missing:
            await buy(ctx, **who)
        assert missing.value.param == param
    assert await Conversion.all().count() == 4


async def test_what_is_odd_is_refused_and_leaves_nothing(ctx: Context) -> None:
    maria = await factories.make_contact(ctx)
    for values, param in (
        ({"value": -1}, "value"),
        ({"value": 10**12 + 1}, "value"),
        ({"currency": "XXX"}, "currency"),
        ({"order_id": " "}, "order_id"),
        ({"order_id": "x" * 201}, "order_id"),
        ({"occurred_at": await at(-HOUR)}, "occurred_at"),
        ({"phone": maria.phone}, "contact_id"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await buy(ctx, maria, **values)
        assert refused.value.param == param
    with pytest.raises(InvalidRequest) as refused:
        await buy(ctx)
    assert (refused.value.param, refused.value.code) == ("contact_id", "parameter_missing")
    assert await Conversion.all().count() == 0
    assert await Event.filter(type__startswith="conversion.").count() == 0


async def test_an_order_is_recorded_once(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    maria, ana = await factories.make_contact(ctx), await factories.make_contact(ctx)
    first = await buy(ctx, maria, order_id="1042", metadata={"plan": "a"})
    again = await buy(ctx, maria, order_id="1042")
    assert again.id == first.id
    assert (await buy(ctx, phone=maria.phone, order_id=" 1042 ", currency="usd")).id == first.id
    for who, values in (
        (maria, {"value": 1}),
        (maria, {"currency": "EUR"}),
        (maria, {"metadata": {"plan": "b"}}),
        (maria, {"occurred_at": await at(DAY)}),
        (ana, {}),
    ):
        with pytest.raises(Conflict) as refused:
            await buy(ctx, who, order_id="1042", **values)
        assert refused.value.code == "conversion_exists"
        assert refused.value.details["existing_id"] == ids.encode_id(ids.CONVERSION, first.id)
    assert await Event.filter(type="conversion.created").count() == 1
    # In another mode or workspace it is another order.
    for each in (live_ctx, other_ctx):
        assert (await buy(each, await factories.make_contact(each), order_id="1042")).id != first.id
        with pytest.raises(NotFound):
            await get_conversion(each, first.id)
        with pytest.raises(NotFound):
            await buy(each, maria)


async def test_of_many_at_once_one_is_recorded(ctx: Context) -> None:
    campaign = await make_campaign(ctx)
    maria = await factories.make_contact(ctx)
    await click(await deliver(ctx, maria, ago=HOUR, kind="campaign", campaign_id=campaign.id), ago=HOUR)
    found = await asyncio.gather(*(buy(ctx, maria, order_id="1042") for _ in range(8)))
    assert len({row.id for row in found}) == 1
    await asyncio.gather(
        *(buy(ctx, maria, order_id=f"o-{number}", currency=["USD", "EUR"][number % 2]) for number in range(8))
    )
    stats = (await campaign_stats([campaign.id]))[campaign.id]
    assert (stats.conversions, stats.converted) == (9, 1)
    assert [(each.currency, each.conversions, each.gross) for each in stats.revenue] == [
        ("EUR", 4, 4 * 14900),
        ("USD", 5, 5 * 14900),
    ]
    assert await Event.filter(type="conversion.created").count() == 9


async def test_refunds_lower_revenue_once(ctx: Context) -> None:
    campaign = await make_campaign(ctx)
    await db.execute(
        "INSERT INTO campaign_tallies (campaign_id, status, messages, credits) VALUES ($1, 'delivered', 4, 4)",
        campaign.id,
    )
    maria = await factories.make_contact(ctx)
    await deliver(ctx, maria, ago=HOUR, kind="campaign", campaign_id=campaign.id)
    row = await buy(ctx, maria)

    async def net() -> tuple[int, int, float]:
        stats = (await campaign_stats([campaign.id]))[campaign.id]
        (revenue,) = stats.revenue
        assert (stats.conversions, stats.converted) == (1, 1)
        return revenue.refunded, revenue.net, revenue.per_recipient

    base = await net()
    assert base == (0, 14900, 14900 / 5)
    for amount, refunded in ((4900, 4900), (4900, 4900), (100, 4900), (None, 14900), (14900, 14900)):
        assert (await refund(ctx, row.id, amount)).refunded_value == refunded
        assert (await net())[:2] == (refunded, 14900 - refunded)
    assert await Event.filter(type="conversion.refunded").count() == 2
    for amount in (-1, 14901):
        with pytest.raises(InvalidRequest):
            await refund(ctx, row.id, amount)
    other = await buy(ctx, maria, order_id="x")
    await asyncio.gather(*(refund(ctx, other.id, amount) for amount in (1, 5, 9, 3)))
    assert (await Conversion.get(order_id="x")).refunded_value == 9
    totals = await total_conversions(ctx)
    (usd,) = totals.currencies
    assert (usd.conversions, usd.gross, usd.refunded, usd.net) == (2, 29800, 14909, 14891)
    assert (usd.attributed, usd.attributed_net) == (2, 14891)


async def test_what_is_attributed_never_changes(ctx: Context) -> None:
    row = await buy(ctx, await factories.make_contact(ctx))
    for change in ("value = 1", "currency = 'EUR'", "message_id = id", "refunded_value = -1"):
        with pytest.raises(asyncpg.CheckViolationError):
            await db.execute(f"UPDATE conversions SET {change} WHERE id = $1", row.id)


async def test_variants_are_told_apart_and_the_best_by_conversion_wins(ctx: Context) -> None:
    test: Any = {"variants": [{}, {"body": "B"}], "test_percent": 50, "metric": "conversion", "minutes": 60}
    campaign = await make_campaign(ctx, ab_test=test, status="sending", tested_at=await db.now())
    for variant, messages in ((1, 10), (2, 10), (-2, 5)):
        await db.execute(
            "INSERT INTO campaign_tallies (campaign_id, status, variant, messages, credits)"
            " VALUES ($1, 'delivered', $2, $3, 0)",
            campaign.id,
            variant,
            messages,
        )
    for variant, times in ((1, 1), (2, 3), (-2, 1)):
        for _ in range(times):
            maria = await factories.make_contact(ctx)
            await deliver(ctx, maria, ago=HOUR, kind="campaign", campaign_id=campaign.id, variant=variant)
            await buy(ctx, maria)
            await buy(ctx, maria)
    report = await report_ab_test(ctx, campaign.id)
    assert [each.sample.successes for each in report.variants] == [1, 3]
    assert [each.stats.conversions for each in report.variants] == [2, 8]
    assert [each.test.conversions for each in report.variants] == [2, 6]
    assert [each.stats.revenue[0].gross for each in report.variants] == [2 * 14900, 8 * 14900]
    assert report.leader == "B"
    (row,) = (await list_conversions(ctx, PageRequest(1))).items
    shown = conversion_resource(row).attributed
    assert shown is not None
    assert shown.variant == "B"
    async with unit_of_work():
        assert await choose_best(campaign, await db.now())
    assert (await Campaign.get(id=campaign.id)).winner == 2


async def test_steps_of_sequences_have_their_own(live_ctx: Context, virtual_live: None) -> None:
    sequence = await make_sequence(live_ctx, "One", "Two")
    maria = await factories.make_contact(live_ctx)
    await enroll(live_ctx, sequence, maria)
    await work()
    message = await Message.get(contact_id=maria.id)
    await Message.filter(id=message.id).update(status="delivered", delivered_at=await db.now())
    row = await buy(live_ctx, maria)
    assert (row.sequence_id, row.sequence_step, row.campaign_id) == (sequence.id, "step_1", message.campaign_id)
    found = await read_stats(live_ctx, sequence.id)
    assert [(each.key, each.conversions) for each in found.steps] == [("step_1", 1), ("step_2", 0)]
    assert [each.gross for each in found.steps[0].revenue] == [14900]
    assert found.steps[0].conversion_rate == 1


async def test_lists_by_contact_campaign_order_and_time(ctx: Context) -> None:
    campaign = await make_campaign(ctx)
    maria, ana = await factories.make_contact(ctx), await factories.make_contact(ctx)
    await deliver(ctx, maria, ago=HOUR, kind="campaign", campaign_id=campaign.id)
    one = await buy(ctx, maria)
    two = await buy(ctx, maria, occurred_at=await at(3 * DAY))
    three = await buy(ctx, ana)

    async def found(**which: Any) -> list[UUID]:
        return [row.id for row in (await list_conversions(ctx, PageRequest(), ListConversions(**which))).items]

    assert await found() == [three.id, two.id, one.id]
    assert await found(contact_id=ids.encode_id(ids.CONTACT, maria.id)) == [two.id, one.id]
    assert await found(campaign_id=ids.encode_id(ids.CAMPAIGN, campaign.id)) == [one.id]
    assert await found(order_id=two.order_id) == [two.id]
    assert await found(occurred_from=await at(DAY)) == [three.id, one.id]
    assert await found(occurred_before=await at(DAY)) == [two.id]
    for since, until in ((await at(DAY), await at(2 * DAY)), (await at(400 * DAY), await at(DAY))):
        with pytest.raises(InvalidRequest):
            await total_conversions(ctx, TotalConversions(occurred_from=since, occurred_before=until))
    assert (await total_conversions(ctx, TotalConversions(occurred_from=await at(DAY)))).currencies[0].conversions == 2


async def test_conversions_are_summed_up_day_by_day(ctx: Context, other_ctx: Context) -> None:
    campaign = await make_campaign(ctx)
    maria = await factories.make_contact(ctx)
    await deliver(ctx, maria, ago=HOUR, kind="campaign", campaign_id=campaign.id)
    row = await buy(ctx, maria)
    await buy(ctx, maria, currency="EUR", value=500, occurred_at=await at(2 * DAY))
    await buy(ctx, maria, value=100, occurred_at=await at(2 * DAY))
    await buy(ctx, maria, occurred_at=await at(9 * DAY))
    await buy(other_ctx, await factories.make_contact(other_ctx))
    await refund(ctx, row.id, 4900)
    window: Any = {"interval": Interval.DAY, "since": await at(3 * DAY), "until": await at(timedelta(0)), "zone": "UTC"}
    points = await read_conversion_activity(ctx, **window)
    assert len(points) == 4
    assert all(one.end_at == other.start_at for one, other in pairwise(points))
    assert [point.currencies for point in points] == [
        [],
        [CurrencyRevenue("EUR", 1, 500, 0, 0), CurrencyRevenue("USD", 1, 100, 0, 0)],
        [],
        [CurrencyRevenue("USD", 1, 10_000, 1, 10_000)],
    ]
    of_campaign = await read_conversion_activity(ctx, **window, campaign_id=campaign.id)
    assert [len(point.currencies) for point in of_campaign] == [0, 0, 0, 1]


async def test_an_erasure_keeps_the_sums_and_nothing_that_names_the_person(ctx: Context) -> None:
    campaign = await make_campaign(ctx)
    maria = await factories.make_contact(ctx)
    await click(await deliver(ctx, maria, ago=HOUR, kind="campaign", campaign_id=campaign.id), ago=HOUR)
    row = await buy(ctx, maria, order_id="SECRET-1042", metadata={"name": "Maria"})
    record = await export_contact(ctx, maria.id)
    assert [each.order_id for each in record.conversions] == ["SECRET-1042"]
    before = (await campaign_stats([campaign.id]))[campaign.id]
    await in_unit_of_work(lambda: erase_contact(ctx, maria.id))
    kept = await Conversion.get(id=row.id)
    assert (kept.contact_id, kept.order_id, kept.metadata) == (None, f"erased:{row.id}", {})
    assert (kept.value, kept.campaign_id) == (14900, campaign.id)
    assert (await campaign_stats([campaign.id]))[campaign.id].revenue == before.revenue
    events = await db.fetch("SELECT data FROM events WHERE type = 'conversion.created'")
    assert len(events) == 1
    assert "1042" not in events[0].data
    assert "Maria" not in events[0].data
    assert conversion_resource(kept).contact_id is None


async def test_a_merge_moves_conversions_and_a_deletion_keeps_them(ctx: Context) -> None:
    maria, same = await factories.make_contact(ctx), await factories.make_contact(ctx)
    row = await buy(ctx, same)
    other = MergeContacts(contact_id=ids.encode_id(ids.CONTACT, same.id))
    await in_unit_of_work(lambda: merge_contacts(ctx, maria.id, other))
    assert (await Conversion.get(id=row.id)).contact_id == maria.id
    await in_unit_of_work(lambda: delete_contact(ctx, maria.id))
    assert (await Conversion.get(id=row.id)).value == 14900
    assert await Contact.filter(id=maria.id).count() == 0


async def test_scopes_are_conversions_own(ctx: Context) -> None:
    from dataclasses import replace

    maria = await factories.make_contact(ctx)
    row = await buy(replace(ctx, actor="key_1", scopes=frozenset(["conversions:write"])), maria)
    reader = replace(ctx, actor="key_1", scopes=frozenset(["conversions:read", "campaigns:write"]))
    for refused in (buy(reader, maria), refund(reader, row.id)):
        with pytest.raises(PermissionDenied) as denied:
            await refused
        assert denied.value.details["scope"] == "conversions:write"


FILL_LINKS = """
INSERT INTO short_links (code, workspace_id, livemode, message_id, contact_id, position, url, clicks, created_at,
    expires_at, first_clicked_at, last_clicked_at)
SELECT 'x' || number, $1, $2, gen_random_uuid(), CASE WHEN number <= 20 THEN $3::uuid ELSE gen_random_uuid() END, 0,
    'https://cohortlabs.co', 1, now(), now(), now() - number * interval '1 hour', now() - number * interval '1 hour'
FROM generate_series(1, 20000) AS number
"""
FILL_CONVERSIONS = """
INSERT INTO conversions (id, workspace_id, livemode, order_id, contact_id, value, currency, source, metadata,
    occurred_at, created_at)
SELECT gen_random_uuid(), $1, $2, 'o' || number, gen_random_uuid(), 100, 'USD', 'api', '{}',
    now() - number * interval '1 minute', now()
FROM generate_series(1, 20000) AS number
"""


@pytest.mark.parametrize("is_generic", [False, True])
async def test_attribution_reads_the_contact_alone(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, is_generic: bool
) -> None:
    """Beside 20,000 clicks, messages and conversions of others, by indexes alone."""
    maria = await factories.make_contact(ctx)
    other = await factories.make_contact(ctx)
    campaign = await make_campaign(ctx)
    await make_messages(ctx, 20_000, "sent", contact_id=other.id)
    # In the same month, also on its first day: what PostgreSQL knows of a month with a single contact fits no other.
    for _ in range(12):
        await deliver(ctx, await factories.make_contact(ctx), ago=timedelta())
    for hours in range(1, 6):
        await deliver(ctx, maria, ago=hours * HOUR, kind="campaign", campaign_id=campaign.id)
    await db.execute(FILL_LINKS, ctx.workspace_id, ctx.livemode, maria.id)
    await db.execute(FILL_CONVERSIONS, ctx.workspace_id, ctx.livemode)
    await run_as_owner("ANALYZE short_links, messages, conversions, contacts, campaigns")
    with reading(monkeypatch, is_generic=is_generic) as recording:
        row = await buy(ctx, maria)
    assert row.attributed_by == "click"
    recording.check(rows=60, buffers=200)
    await settings(ctx, click_window_hours=0)
    with reading(monkeypatch, is_generic=is_generic) as by_message:
        assert (await buy(ctx, maria)).campaign_id == campaign.id
    by_message.check(rows=60, buffers=200)
    with reading(monkeypatch, is_generic=is_generic) as listing:
        await list_conversions(ctx, PageRequest(10))
        await list_conversions(ctx, PageRequest(10), ListConversions(contact_id=ids.encode_id(ids.CONTACT, maria.id)))
        await list_conversions(ctx, PageRequest(10), ListConversions(order_id="o7"))
        await list_conversions(
            ctx, PageRequest(10), ListConversions(campaign_id=ids.encode_id(ids.CAMPAIGN, campaign.id))
        )
        await campaign_stats([campaign.id])
    listing.check(rows=40)
