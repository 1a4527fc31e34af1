"""Rates: what a segment costs by its destination, and that what is accepted keeps its price."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from msvs import database as db
from msvs.api.campaigns import campaigns, previews
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.previews import PreviewCampaign
from msvs.api.campaigns.reconciliation import reconcile_campaign
from msvs.api.contacts.segments import create_segment
from msvs.api.context import Context
from msvs.api.credits import credits, rates
from msvs.api.errors import ComplianceRefused, InvalidRequest, PaymentRequired
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.explanations import explain_message
from msvs.api.messages.messages import SendMessage, cancel_message, send_message
from msvs.api.unit_of_work import single_statement, unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import LedgerKind, Message
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import complete_campaigns
from msvs.workers.reports import collect_reports
from tests import factories
from tests.fakes.stripe import books
from tests.services import SERVICES
from tests.workers.test_dispatch import hurry

# What each costs with a rate of its region, and one credit without.
SHARED = {
    "+14155550100": 1, "+12505550199": 2, "+18095550100": 3, "+447924123456": 8, "+447781123456": 4,
    "+447797712345": 5, "+447624123456": 1, "+79161234567": 1, "+77012345678": 6,
}  # fmt: skip
DELIVERED, FAILED, REJECTED = "+14155550100", "+14155550103", "+14155550101"
# Of two segments each: what the carrier took is paid for, delivered or not.
RESULTS = {DELIVERED: ("delivered", 7, 14), REJECTED: ("failed", 7, 0), FAILED: ("failed", 7, 14)}
US, BRAZIL, SPAIN = "+14155550{:03}", "+551191234{:04}", "+346123456{:02}"
TWO_SEGMENTS = "x" * 200


@pytest.fixture(autouse=True)
def _live() -> Iterator[None]:
    SERVICES.carriers.live = "virtual"
    yield
    SERVICES.carriers.live = None


@pytest.fixture(params=[unit_of_work, single_statement])
def edge(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[None]]:
    """The two ways in which a front opens a send."""
    return request.param  # type: ignore[no-any-return]


async def set_rate(region: str, number: int, **since: Any) -> None:
    async with unit_of_work():
        await rates.set_rate(region, number, since.get("at"))


async def current() -> object:
    return await db.fetch_value(f"SELECT {rates.AS_JSON}")


async def moved(ctx: Context, id: UUID) -> list[tuple[str, int]]:
    rows = await db.fetch(
        "SELECT kind, amount FROM ledger_entries WHERE workspace_id = $1 AND reference = $2 ORDER BY id",
        ctx.workspace_id,
        credits.message_reference(id),
    )
    return [(row.kind, row.amount) for row in rows]


async def test_a_message_costs_its_segments_at_the_rate_of_its_destination(
    live_ctx: Context, edge: Callable[[], AbstractAsyncContextManager[None]]
) -> None:
    await set_rate("BR", 3)
    sent = []
    for phone, body in ((US.format(1), "Hi"), (BRAZIL.format(1), "Hi"), (BRAZIL.format(2), TWO_SEGMENTS)):
        async with edge():
            sent.append((await send_message(live_ctx, SendMessage(phone, body))).id)
    rows = [await Message.get(id=id) for id in sent]
    assert [(row.segments, row.price, row.credits_used) for row in rows] == [(1, 1, 1), (1, 3, 3), (2, 3, 6)]
    assert [await moved(live_ctx, id) for id in sent] == [[("reserve", -1)], [("reserve", -3)], [("reserve", -6)]]
    assert await books(live_ctx.workspace_id) == (9_990, 9_990, 0)
    used = await db.fetch_value("SELECT sum(credits) FROM credit_usage WHERE workspace_id = $1", live_ctx.workspace_id)
    assert used == 10


async def test_what_a_price_does_not_cover_is_refused(
    live_ctx: Context, edge: Callable[[], AbstractAsyncContextManager[None]]
) -> None:
    await set_rate("BR", 3)
    contact = await factories.make_contact(live_ctx, phone=BRAZIL.format(1))
    async with unit_of_work():
        assert await credits.try_reserve(live_ctx.workspace_id, {contact.id: 9_995}, await db.now())
    with pytest.raises(PaymentRequired) as caught:
        async with edge():
            await send_message(live_ctx, SendMessage(contact.phone, TWO_SEGMENTS))
    assert caught.value.details == {"required": 6, "available": 5}
    await db.execute("UPDATE credit_balances SET balance = 100")
    await db.execute("UPDATE workspaces SET daily_credit_cap = 10000")
    with pytest.raises(ComplianceRefused) as capped:
        async with edge():
            await send_message(live_ctx, SendMessage(contact.phone, TWO_SEGMENTS))
    assert capped.value.details["required"] == 6
    assert await Message.all().count() == 0


async def test_destinations_that_share_a_calling_code_have_rates_of_their_own(live_ctx: Context) -> None:
    for region, number in {"CA": 2, "DO": 3, "GG": 4, "JE": 5, "KZ": 6, "GB": 8}.items():
        await set_rate(region, number)
    sent = []
    for phone in SHARED:
        async with unit_of_work():
            sent.append(await send_message(live_ctx, SendMessage(phone, "Hi")))
    assert {row.to_phone: row.price for row in sent} == SHARED
    assert (await books(live_ctx.workspace_id))[0] == 10_000 - sum(SHARED.values())


async def test_what_failed_messages_cost_comes_back_at_their_price(live_ctx: Context) -> None:
    await set_rate("US", 7)
    people = [
        (await factories.make_contact(live_ctx, phone=phone, region="US")).id for phone in (DELIVERED, FAILED, REJECTED)
    ]
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            live_ctx, CreateCampaign(name="Spring", body=TWO_SEGMENTS, contact_ids=people, quiet_hours=False)
        )
    await expand_campaigns(SERVICES)
    await set_rate("US", 50)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    for _ in range(3):
        await hurry()
        await collect_reports(SERVICES)
    await complete_campaigns()
    rows = await Message.all().order_by("to_phone")
    found = {row.to_phone: (row.status.value, row.price, row.credits_used) for row in rows}
    assert found == RESULTS
    used = sum(used for _, _, used in RESULTS.values())
    assert (await books(live_ctx.workspace_id))[:2] == (10_000 - used, 10_000 - used)
    checks = await reconcile_campaign(live_ctx, campaign.id)
    assert ([check for check in checks.checks if not check.ok], checks.credits_used) == ([], used)


async def test_a_message_keeps_the_price_it_was_accepted_at(live_ctx: Context) -> None:
    await set_rate("BR", 3)
    async with unit_of_work():
        due = (await send_message(live_ctx, SendMessage(BRAZIL.format(1), "Hi"))).id
        later = (
            await send_message(
                live_ctx,
                SendMessage(BRAZIL.format(2), TWO_SEGMENTS, scheduled_at=await db.now() + timedelta(minutes=30)),
            )
        ).id
        canceled = (await send_message(live_ctx, SendMessage(BRAZIL.format(3), TWO_SEGMENTS))).id
    await set_rate("BR", 7)
    async with unit_of_work():
        await cancel_message(live_ctx, canceled)
    assert await moved(live_ctx, canceled) == [("reserve", -6), ("release", 6)]
    await db.execute("UPDATE messages SET due_at = now(), status = 'queued' WHERE id = $1", later)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert await moved(live_ctx, due) == [("reserve", -3), ("capture", 0)]
    assert await moved(live_ctx, later) == [("reserve", -6), ("capture", 0)]
    assert [(await Message.get(id=id)).credits_used for id in (due, later, canceled)] == [3, 6, 0]
    assert await books(live_ctx.workspace_id) == (9_991, 9_991, 0)
    shown = (await explain_message(live_ctx, later)).price
    assert (shown.region, shown.credits_per_segment, shown.segments, shown.credits) == ("BR", 3, 2, 6)


async def test_the_sandbox_shows_what_live_would_cost(ctx: Context, live_ctx: Context) -> None:
    await set_rate("BR", 3)
    async with unit_of_work():
        sent = (await send_message(ctx, SendMessage(BRAZIL.format(1), "Hi"))).id
    assert (await Message.get(id=sent)).credits_used == 3
    assert await books(live_ctx.workspace_id) == (10_000, 10_000, 0)


async def test_a_rate_counts_from_its_time_and_history_stays(live_ctx: Context) -> None:
    now = await db.now()
    await set_rate("BR", 3)
    await set_rate("BR", 5, at=now + timedelta(days=1))
    await set_rate("BR", 6, at=now + timedelta(days=1))
    await set_rate("BR", 2, at=now - timedelta(days=30))
    await set_rate("ES", 2, at=now + timedelta(days=2))
    assert await current() == {"BR": 2}, "what is past is not rewritten: it counts from now"
    assert [(row.region, row.credits) for row in await rates.list_rates(live_ctx)] == [("BR", 2), ("BR", 6), ("ES", 2)]
    assert [row.credits for row in await rates.list_history()] == [3, 2, 6, 2]
    await set_rate("BR", 1)
    assert await current() is None


@pytest.mark.parametrize(("region", "number"), [("XX", 2), ("br", 2), ("", 2), ("BR", 0), ("BR", 101), ("BR", -1)])
async def test_what_is_no_rate(clean: None, region: str, number: int) -> None:
    with pytest.raises(InvalidRequest):
        await set_rate(region, number)
    assert await rates.list_history() == []


async def audience(ctx: Context) -> list[UUID]:
    phones = [(US.format(1), "US"), (US.format(2), "US"), (BRAZIL.format(1), "BR"), (SPAIN.format(1), "ES")]
    return [(await factories.make_contact(ctx, phone=phone, region=region)).id for phone, region in phones]


async def test_a_campaign_is_estimated_previewed_and_paid_by_its_destinations(live_ctx: Context) -> None:
    """Two to the US at one, one to Brazil at three, one to Spain at two, of two segments each."""
    await set_rate("BR", 3)
    await set_rate("ES", 2)
    people = await audience(live_ctx)
    body = "Hi {firstName|you}: " + TWO_SEGMENTS
    planned = PreviewCampaign(body=body, contact_ids=people, quiet_hours=False)
    seen = await previews.preview_campaign(live_ctx, planned)
    assert (seen.credits.total, seen.credits.minimum, seen.credits.maximum) == (14, 2, 6)
    assert [(each.segments, each.message_count) for each in seen.segments] == [(2, 4)]
    await db.execute("UPDATE credit_balances SET balance = 13")
    assert (await previews.preview_campaign(live_ctx, planned)).refusal is not None
    with pytest.raises(PaymentRequired) as caught:
        async with unit_of_work():
            await campaigns.create_campaign(
                live_ctx, CreateCampaign(name="Spring", body=body, contact_ids=people, quiet_hours=False)
            )
    assert caught.value.details == {"required": 14, "available": 13}
    await db.execute("UPDATE credit_balances SET balance = 10000")
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            live_ctx, CreateCampaign(name="Spring", body=body, contact_ids=people, quiet_hours=False)
        )
    await expand_campaigns(SERVICES)
    assert await db.fetch_value("SELECT sum(segments * price) FROM messages") == 14
    await set_rate("BR", 50)
    carriers = {"virtual": VirtualCarrier()}
    await dispatch_messages(SERVICES, carriers)
    for _ in range(3):
        await hurry()
        await collect_reports(SERVICES)
    await complete_campaigns()
    assert (await books(live_ctx.workspace_id))[:2] == (9_986, 9_986)
    checks = await reconcile_campaign(live_ctx, campaign.id)
    assert [check for check in checks.checks if not check.ok] == []
    assert checks.credits_used == 14


async def test_a_campaign_pauses_where_its_prices_are_not_covered(live_ctx: Context) -> None:
    """Five credits pay one message to Brazil at three, and not two."""
    await set_rate("BR", 3)
    people = [
        (await factories.make_contact(live_ctx, phone=BRAZIL.format(number), region="BR")).id for number in range(3)
    ]
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            live_ctx, CreateCampaign(name="Spring", body="Hi", contact_ids=people, quiet_hours=False)
        )
    await expand_campaigns(SERVICES)
    async with unit_of_work():
        assert await credits.try_reserve(live_ctx.workspace_id, {campaign.id: 9_995}, await db.now())
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    row = await db.fetch_row("SELECT status, pause_reason FROM campaigns")
    assert row is not None
    assert (row.status, row.pause_reason) == ("paused", "insufficient_credits")
    assert await books(live_ctx.workspace_id) == (2, 2, 0)
    async with unit_of_work():
        await credits.grant_credits(live_ctx.workspace_id, 3, reference="three", kind=LedgerKind.GRANT)
        assert await campaigns.resume_paid(now=await db.now()) == 1
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert await books(live_ctx.workspace_id) == (2, 2, 0)


async def test_a_single_preview_shows_its_price(live_ctx: Context) -> None:
    await set_rate("BR", 3)
    seen = await previews.preview_message(live_ctx, SendMessage(BRAZIL.format(1), TWO_SEGMENTS))
    assert (seen.segments, seen.credits_per_segment, seen.credits) == (2, 3, 6)
    seen = await previews.preview_message(live_ctx, SendMessage(US.format(1), TWO_SEGMENTS))
    assert (seen.segments, seen.credits_per_segment, seen.credits) == (2, 1, 2)


async def test_an_automatic_answer_is_paid_by_its_destination(live_ctx: Context) -> None:
    await set_rate("BR", 3)
    contact = await factories.make_contact(live_ctx, phone=BRAZIL.format(1))
    async with unit_of_work():
        await receive_inbound(live_ctx, from_phone=contact.phone, to_sender="MASSIVESMS", text="HELP", dedupe_key="1")
    row = await Message.get(kind="auto")
    assert (row.price, row.credits_used) == (3, row.segments * 3)


@contextmanager
def statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that are run meanwhile."""
    run: list[str] = []
    execute = asyncpg.Connection._execute

    async def note(self: Any, query: str, *args: Any, **more: Any) -> Any:
        run.append(query)
        return await execute(self, query, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "_execute", note)
        yield run


def plans(people: list[UUID], segment: UUID | None = None) -> dict[str, Any]:
    return {"name": "Spring", "body": "Hi", "contact_ids": people, "segment_id": segment, "quiet_hours": False}


async def test_a_launch_counts_its_people_only_where_the_dearest_rate_is_not_covered(
    live_ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four people, the dearest at three: twelve credits cover them all."""
    await set_rate("BR", 3)
    people = await audience(live_ctx)
    for balance, counts in ((12, 0), (11, 1)):
        await db.execute("UPDATE credit_balances SET balance = $1", balance)
        with statements(monkeypatch) as run:
            async with unit_of_work():
                await campaigns.create_campaign(live_ctx, CreateCampaign(**plans(people)))
        assert sum("LEFT JOIN" in sql and "credit_rates" in sql for sql in run) == counts, balance


async def test_rates_ride_on_what_is_read_anyway(live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview, a launch and an automatic answer take no statement more for them, and an audience is compiled once."""
    await set_rate("BR", 3)
    people = await audience(live_ctx)
    async with unit_of_work():
        segment = await create_segment(live_ctx, "All", {"field": "region", "op": "in", "value": ["BR"]})
    planned = PreviewCampaign(body="Hi", contact_ids=people, segment_id=segment.id, quiet_hours=False)

    async def preview_one() -> None:
        await previews.preview_message(live_ctx, SendMessage(BRAZIL.format(1), "Hi"))

    async def preview_many() -> None:
        await previews.preview_campaign(live_ctx, planned)

    async def launch() -> None:
        async with unit_of_work():
            await campaigns.create_campaign(live_ctx, CreateCampaign(**plans(people, segment.id)))

    async def answer() -> None:
        async with unit_of_work():
            phone = BRAZIL.format(1)
            await receive_inbound(live_ctx, from_phone=phone, to_sender="MASSIVESMS", text="HELP", dedupe_key="1")

    async def launch_near_the_limit() -> None:
        await db.execute("UPDATE credit_balances SET balance = 13")
        await launch()

    for act in (preview_one, preview_many, launch, answer, launch_near_the_limit):
        with statements(monkeypatch) as run:
            await act()
        reading = [sql for sql in run if "credit_rates" in sql]
        assert reading, act
        assert [sql for sql in reading if "workspaces" not in sql and "contacts" not in sql] == [], act
        # One read checks that it is there, one compiles it.
        assert sum('FROM "segments"' in sql for sql in run) == (0 if act in (preview_one, answer) else 2), act
