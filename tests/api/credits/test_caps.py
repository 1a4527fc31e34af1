"""Caps: a day's credits and an hour's messages to a range of numbers, never exceeded, also under races."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.accounts.workspaces import UpdateWorkspace, get_workspace, update_workspace
from msvs.api.campaigns import campaigns, lifecycle, previews
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.previews import PreviewCampaign
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, UpdateContact, create_contact, update_contact
from msvs.api.context import Context
from msvs.api.credits import caps, credits
from msvs.api.errors import ComplianceRefused, InvalidRequest, PaymentRequired
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages.messages import SendMessage, cancel_message, send_message
from msvs.api.resources import moment
from msvs.api.text.phones import parse_phone
from msvs.api.unit_of_work import single_statement, unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import Campaign, Contact, CreditBalance, LedgerEntry, LedgerKind, Message, Workspace
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from msvs.workers.maintenance import complete_campaigns
from msvs.workers.reports import collect_reports
from msvs.workers.retention import drop_expired
from tests import factories
from tests.services import SERVICES
from tests.workers.test_dispatch import hurry

CARRIERS = {"virtual": VirtualCarrier()}
TWO_SEGMENTS = "x" * 200


pytestmark = pytest.mark.usefixtures("virtual_live")


@pytest.fixture(params=[unit_of_work, single_statement])
def edge(request: pytest.FixtureRequest) -> Callable[[], AbstractAsyncContextManager[None]]:
    """The two ways in which a front opens a send."""
    return request.param  # type: ignore[no-any-return]


async def set_cap(ctx: Context, **settings: Any) -> None:
    async with unit_of_work():
        await update_workspace(ctx, UpdateWorkspace(**settings))


async def used(ctx: Context) -> int:
    found = await db.fetch_value(
        "SELECT coalesce(sum(credits), 0) FROM credit_usage WHERE workspace_id = $1"
        " AND day = (now() AT TIME ZONE 'UTC')::date",
        ctx.workspace_id,
    )
    return int(found)


async def balance(ctx: Context) -> int:
    row = await CreditBalance.get(workspace_id=ctx.workspace_id)
    return int(row.balance)


@asynccontextmanager
async def nothing_written() -> AsyncIterator[None]:
    tables = ("messages", "events", "ledger_entries", "credit_usage", "contacts", "prefix_usage", "credit_balances")
    query = " UNION ALL ".join(
        f"SELECT '{name}', md5(string_agg(t::text, '' ORDER BY t::text)) FROM {name} t" for name in tables
    )
    before = [tuple(row.values()) for row in await db.fetch(query)]
    yield
    assert [tuple(row.values()) for row in await db.fetch(query)] == before


async def test_a_send_over_the_cap_is_refused_and_nothing_is_written(
    live_ctx: Context, edge: Callable[[], AbstractAsyncContextManager[None]]
) -> None:
    await set_cap(live_ctx, daily_credit_cap=3)
    contact = await factories.make_contact(live_ctx)
    async with edge():
        await send_message(live_ctx, SendMessage(contact.phone, TWO_SEGMENTS))
    for phone in (contact.phone, factories.next_phone()):
        async with nothing_written():
            with pytest.raises(ComplianceRefused) as caught:
                async with edge():
                    await send_message(live_ctx, SendMessage(phone, TWO_SEGMENTS))
    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.param) == (422, "daily_cap_reached", None)
    tomorrow = moment(caps.next_day(datetime.now(UTC)))
    assert refusal.details == {"required": 2, "available": 1, "resets_at": tomorrow}
    async with edge():
        await send_message(live_ctx, SendMessage(contact.phone, "Hi"))
    assert (await used(live_ctx), await balance(live_ctx)) == (3, 9_997)


async def test_the_balance_is_checked_before_the_cap(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=1)
    await db.execute("UPDATE credit_balances SET balance = 1")
    async with single_statement():
        with pytest.raises(PaymentRequired) as caught:
            await send_message(live_ctx, SendMessage(factories.next_phone(), TWO_SEGMENTS))
    assert caught.value.details == {"required": 2, "available": 1}


async def test_a_cap_of_zero_stops_live_and_not_the_sandbox(ctx: Context, live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=0)
    async with unit_of_work():
        with pytest.raises(ComplianceRefused):
            await send_message(live_ctx, SendMessage(factories.next_phone(), "Hi"))
        await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
    await set_cap(live_ctx, daily_credit_cap=None)
    async with unit_of_work():
        await send_message(live_ctx, SendMessage(factories.next_phone(), "Hi"))


async def test_fifty_sends_race_for_a_cap_of_twenty(
    live_ctx: Context, edge: Callable[[], AbstractAsyncContextManager[None]]
) -> None:
    await set_cap(live_ctx, daily_credit_cap=20)
    contacts = [await factories.make_contact(live_ctx) for _ in range(25)]
    phones = [contact.phone for contact in contacts] + [factories.next_phone() for _ in range(25)]

    async def attempt(phone: str) -> bool:
        try:
            async with edge():
                await send_message(live_ctx, SendMessage(phone, "Hi"))
        except ComplianceRefused as refusal:
            if refusal.code != "daily_cap_reached":
                raise
            return False
        return True

    assert sum(await asyncio.gather(*(attempt(phone) for phone in phones))) == 20
    assert (await used(live_ctx), await balance(live_ctx)) == (20, 9_980)
    assert await Message.all().count() == await LedgerEntry.filter(kind=LedgerKind.RESERVE).count() == 20


async def test_sends_claims_and_cancellations_race_for_a_cap(live_ctx: Context) -> None:
    """What is in use never passes the cap at any commit, while others take and give back."""
    await set_cap(live_ctx, daily_credit_cap=10)
    done = asyncio.Event()
    most = 0

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, await used(live_ctx))

    async def send(number: int) -> bool:
        try:
            async with unit_of_work():
                draft = await send_message(
                    live_ctx, SendMessage(factories.next_phone(), "x" * (1 + 160 * (number % 2)))
                )
        except ComplianceRefused:
            return False
        if number % 3 == 0:
            async with unit_of_work():
                await cancel_message(live_ctx, draft.id)
        return True

    async def reserve(number: int) -> bool:
        async with unit_of_work():
            return await credits.try_reserve(live_ctx.workspace_id, {UUID(int=number + 1): 1}, await db.now())

    watcher = asyncio.create_task(watch())
    taken = await asyncio.gather(*(send(number) for number in range(30)), *(reserve(number) for number in range(20)))
    done.set()
    await watcher
    assert 0 < most <= 10
    assert 10 >= await used(live_ctx) == 10_000 - await balance(live_ctx)
    assert any(taken)
    assert not all(taken)


async def test_a_batch_that_the_cap_does_not_cover_is_answered_one_by_one(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=4)
    contacts = [await factories.make_contact(live_ctx) for _ in range(5)]

    async def attempt(contact: Contact, body: str) -> str | None:
        try:
            async with single_statement():
                await send_message(live_ctx, SendMessage(contact.phone, body))
        except ComplianceRefused as refusal:
            return refusal.code
        return None

    bodies = [TWO_SEGMENTS, "Hi", TWO_SEGMENTS, TWO_SEGMENTS, "Hi"]
    answers = await asyncio.gather(*map(attempt, contacts, bodies))
    assert await used(live_ctx) == sum([row.credits_used for row in await Message.all()]) == 4
    assert answers.count("daily_cap_reached") == 5 - await Message.all().count()


async def test_what_is_given_back_counts_for_the_day_it_was_taken(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=2)
    async with unit_of_work():
        draft = await send_message(live_ctx, SendMessage(factories.next_phone(), TWO_SEGMENTS))
    async with unit_of_work():
        await cancel_message(live_ctx, draft.id)
    assert await used(live_ctx) == 0
    yesterday = datetime.now(UTC) - timedelta(days=1)
    message_id = UUID(int=1)
    async with unit_of_work():
        assert await credits.try_reserve(live_ctx.workspace_id, {message_id: 2}, yesterday)
        await credits.release(live_ctx.workspace_id, {message_id: 1}, datetime.now(UTC))
    assert await used(live_ctx) == 0
    earlier = await db.fetch("SELECT credits FROM credit_usage WHERE day = $1", yesterday.date())
    assert [row.credits for row in earlier] == [1]


async def make_campaign(ctx: Context, number: int, body: str = "Hi") -> UUID:
    row = await factories.make_list(ctx, [await factories.make_contact(ctx) for _ in range(number)])
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Cohort 06", body, list_ids=[row.id]))
    return campaign.id


async def turn() -> None:
    await expand_campaigns(SERVICES)
    await dispatch_messages(SERVICES, CARRIERS)


async def state(campaign_id: UUID) -> tuple[str, str | None, int]:
    campaign = await Campaign.get(id=campaign_id)
    sent = await Message.filter(campaign_id=campaign_id, status__in=("sending", "sent", "delivered")).count()
    return campaign.status.value, campaign.pause_reason, sent


async def test_a_campaign_pauses_at_the_cap_and_goes_on_the_next_day(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=3)
    campaign_id = await make_campaign(live_ctx, 5)
    await turn()
    assert await state(campaign_id) == ("paused", "daily_cap", 3)
    assert (await used(live_ctx), await balance(live_ctx)) == (3, 9_997)
    assert await lifecycle.has_work(SERVICES, await db.now())
    await turn()
    assert await state(campaign_id) == ("paused", "daily_cap", 3)
    await db.execute("UPDATE credit_usage SET day = day - 1")
    await turn()
    assert await state(campaign_id) == ("sending", None, 5)
    assert (await used(live_ctx), await balance(live_ctx)) == (2, 9_995)
    await hurry()
    await collect_reports(SERVICES)
    await complete_campaigns()
    rows = await db.fetch("SELECT type FROM events WHERE resource_id = $1 ORDER BY id", campaign_id)
    assert [row.type.removeprefix("campaign.") for row in rows] == [
        "started",
        "dispatched",
        "paused",
        "resumed",
        "completed",
    ]


async def test_a_campaign_goes_on_when_the_cap_is_raised_but_not_for_less_than_a_message(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=3)
    campaign_id = await make_campaign(live_ctx, 3, TWO_SEGMENTS)
    await turn()
    assert await state(campaign_id) == ("paused", "daily_cap", 1)
    await turn()
    assert await state(campaign_id) == ("paused", "daily_cap", 1)
    await set_cap(live_ctx, daily_credit_cap=4)
    await turn()
    assert await state(campaign_id) == ("paused", "daily_cap", 2)
    await set_cap(live_ctx, daily_credit_cap=None)
    await turn()
    assert await state(campaign_id) == ("sending", None, 3)
    assert await used(live_ctx) == 6


async def test_a_shortage_of_credits_is_not_called_the_cap(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=5)
    campaign_id = await make_campaign(live_ctx, 3)
    await db.execute("UPDATE credit_balances SET balance = 2")
    await turn()
    assert await state(campaign_id) == ("paused", "insufficient_credits", 2)


async def test_campaigns_and_single_sends_race_for_a_cap(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=12)
    campaign_id = await make_campaign(live_ctx, 15)
    await expand_campaigns(SERVICES)

    async def send() -> bool:
        try:
            async with single_statement():
                await send_message(live_ctx, SendMessage(factories.next_phone(), "Hi"))
        except ComplianceRefused:
            return False
        return True

    answers, _ = await asyncio.gather(
        asyncio.gather(*(send() for _ in range(10))), dispatch_messages(SERVICES, CARRIERS)
    )
    await dispatch_messages(SERVICES, CARRIERS)
    status, reason, sent = await state(campaign_id)
    assert (status, reason) == ("paused", "daily_cap")
    assert sent + sum(answers) == await used(live_ctx) <= 12
    assert await balance(live_ctx) == 10_000 - await used(live_ctx)


async def test_a_scheduled_message_over_the_cap_fails_when_it_is_due(live_ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=1)
    async with unit_of_work():
        draft = await send_message(
            live_ctx,
            SendMessage(factories.next_phone(), TWO_SEGMENTS, scheduled_at=datetime.now(UTC) + timedelta(hours=1)),
        )
    await db.execute("UPDATE messages SET due_at = now()")
    await dispatch_messages(SERVICES, CARRIERS)
    message = await Message.get(id=draft.id)
    assert (message.status, message.error_code, message.credits_used) == ("failed", "daily_cap_reached", 0)
    assert await used(live_ctx) == 0


@pytest.mark.parametrize(
    ("number", "prefix"),
    [
        ("+14155550123", "14155"),
        ("+5511961234567", "551196"),
        ("+447911123456", "447911"),
        ("+351912345678", "3519123"),
        ("+79123456789", "79123"),
    ],
)
def test_a_range_is_the_calling_code_and_four_digits(number: str, prefix: str) -> None:
    assert caps.prefix_of(parse_phone(number)) == prefix


@pytest.mark.parametrize("livemode", [False, True])
async def test_an_hours_messages_to_a_range_are_capped(
    workspace: Workspace, livemode: bool, edge: Callable[[], AbstractAsyncContextManager[None]]
) -> None:
    ctx = Context(workspace.id, livemode=livemode, actor="test", services=SERVICES)
    await set_cap(ctx, prefix_hourly_cap=2)
    for _ in range(2):
        async with edge():
            await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
    async with nothing_written():
        with pytest.raises(ComplianceRefused) as caught:
            async with edge():
                await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.param) == (422, "prefix_velocity_exceeded", "to")
    next_hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert refusal.details == {"resets_at": moment(next_hour)}
    assert "+12125" in refusal.message
    async with edge():
        await send_message(ctx, SendMessage("+14165550123", "Hi"))
    await db.execute("UPDATE prefix_usage SET hour = hour - interval '1 hour'")
    async with edge():
        await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
    assert await Message.all().count() == 4


async def test_the_sandbox_counts_apart(ctx: Context, live_ctx: Context) -> None:
    for caller in (ctx, live_ctx):
        await set_cap(caller, prefix_hourly_cap=1)
        async with unit_of_work():
            await send_message(caller, SendMessage(factories.next_phone(), "Hi"))
    rows = await db.fetch("SELECT prefix, messages FROM prefix_usage ORDER BY prefix")
    assert [(row.prefix, row.messages) for row in rows] == [("12125", 1), ("t12125", 1)]


async def test_what_is_not_sent_is_not_counted(live_ctx: Context) -> None:
    await set_cap(live_ctx, prefix_hourly_cap=5)
    await db.execute("UPDATE credit_balances SET balance = 0")
    async with nothing_written():
        with pytest.raises(PaymentRequired):
            async with unit_of_work():
                await send_message(live_ctx, SendMessage(factories.next_phone(), "Hi"))


async def test_fifty_sends_race_for_a_range(
    ctx: Context, edge: Callable[[], AbstractAsyncContextManager[None]]
) -> None:
    await set_cap(ctx, prefix_hourly_cap=20)

    async def attempt() -> bool:
        try:
            async with edge():
                await send_message(ctx, SendMessage(factories.next_phone(), "Hi"))
        except ComplianceRefused:
            return False
        return True

    assert sum(await asyncio.gather(*(attempt() for _ in range(50)))) == 20
    assert await db.fetch_value("SELECT messages FROM prefix_usage") == 20
    assert await Message.all().count() == 20


async def test_counts_of_ranges_are_kept_for_two_days(ctx: Context) -> None:
    await db.execute(
        "INSERT INTO prefix_usage SELECT $1, '1212' || hours, now() - make_interval(hours => hours), 1"
        " FROM unnest(ARRAY[1, 47, 49, 99]) AS hours",
        ctx.workspace_id,
    )
    assert await drop_expired(SERVICES) == 2
    rows = await db.fetch("SELECT prefix FROM prefix_usage ORDER BY prefix")
    assert [row.prefix for row in rows] == ["12121", "121247"]


async def test_the_settings_are_checked(ctx: Context) -> None:
    await set_cap(ctx, enabled_regions=["NG", "IL", "NG"], daily_credit_cap=0, prefix_hourly_cap=1)
    row = await get_workspace(ctx)
    assert (row.enabled_regions, row.daily_credit_cap, row.prefix_hourly_cap) == (["IL", "NG"], 0, 1)
    for name, value in (
        ("enabled_regions", ["NG", "ZZ"]),
        ("enabled_regions", ["NG", "SY"]),
        ("daily_credit_cap", -1),
        ("prefix_hourly_cap", 0),
        ("prefix_hourly_cap", 2**31),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await set_cap(ctx, **{name: value})
        assert caught.value.param == (f"{name}[1]" if isinstance(value, list) else name)
    await set_cap(ctx, daily_credit_cap=None, prefix_hourly_cap=None)
    row = await get_workspace(ctx)
    assert (row.daily_credit_cap, row.prefix_hourly_cap) == (None, None)


@pytest.mark.parametrize("livemode", [False, True])
async def test_a_region_that_is_off_is_refused_until_it_is_enabled(workspace: Workspace, livemode: bool) -> None:
    ctx = Context(workspace.id, livemode=livemode, actor="test", services=SERVICES)
    async with nothing_written():
        with pytest.raises(ComplianceRefused) as caught:
            async with unit_of_work():
                await send_message(ctx, SendMessage("+2348021234567", "Hi"))
        assert caught.value.code == "region_not_enabled"
        preview = await previews.preview_message(ctx, SendMessage("+2348021234567", "Hi"))
        assert preview.refusal is not None
        assert preview.refusal.code == "region_not_enabled"
    await set_cap(ctx, enabled_regions=["NG"])
    async with unit_of_work():
        await send_message(ctx, SendMessage("+2348021234567", "Hi"))


async def test_a_campaign_skips_what_is_off_or_in_a_special_range(ctx: Context) -> None:
    contacts = [
        await factories.make_contact(ctx, "+2348021234567", region="NG", number_kind="mobile"),
        await factories.make_contact(ctx, "+923012345678", region="PK", number_kind="mobile"),
        await factories.make_contact(ctx, "+16002012345", region="CA", number_kind="voip"),
        await factories.make_contact(ctx, "+881612345678"),
        await factories.make_contact(ctx, region="US", number_kind="mobile"),
    ]
    await set_cap(ctx, enabled_regions=["PK"])
    row = await factories.make_list(ctx, contacts)
    preview = await previews.preview_campaign(ctx, PreviewCampaign("Hi. Reply STOP to opt out.", list_ids=[row.id]))
    assert {skipped.code: skipped.recipient_count for skipped in preview.skipped} == {
        "region_not_enabled": 1,
        "number_type_blocked": 2,
    }
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Off", "Hi", list_ids=[row.id]))
    await expand_campaigns(SERVICES)
    rows = await Message.filter(campaign_id=campaign.id, status="skipped")
    assert {message.to_phone: message.error_code for message in rows} == {
        "+2348021234567": "region_not_enabled",
        "+16002012345": "number_type_blocked",
        "+881612345678": "number_type_blocked",
    }


async def test_a_preview_shows_caps_that_would_be_reached(live_ctx: Context, ctx: Context) -> None:
    await set_cap(live_ctx, daily_credit_cap=3, prefix_hourly_cap=1)
    contacts = [await factories.make_contact(live_ctx) for _ in range(3)]
    row = await factories.make_list(live_ctx, contacts)
    data = PreviewCampaign("Hi. Reply STOP to opt out.", list_ids=[row.id])
    assert (await previews.preview_campaign(live_ctx, data)).warnings == []
    preview = await previews.preview_message(live_ctx, SendMessage(contacts[0].phone, "x" * 500))
    assert preview.refusal is not None
    assert (preview.refusal.status, preview.refusal.code) == (422, "daily_cap_reached")
    async with unit_of_work():
        await send_message(live_ctx, SendMessage(contacts[0].phone, "Hi"))
    (warning,) = (await previews.preview_campaign(live_ctx, data)).warnings
    assert warning.code == "daily_cap_reached"
    assert warning.message.startswith("The estimated cost of 3 credits exceeds what is left of the cap of ")
    assert ": 2. " in warning.message
    preview = await previews.preview_message(live_ctx, SendMessage(contacts[1].phone, "Hi"))
    assert preview.refusal is not None
    assert preview.refusal.code == "prefix_velocity_exceeded"
    sandboxed = await previews.preview_message(ctx, SendMessage(contacts[1].phone, "x" * 500))
    assert sandboxed.refusal is None


async def test_a_send_at_midnight_is_given_back_to_the_day_that_paid_for_it(
    live_ctx: Context, edge: Callable[[], AbstractAsyncContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came before midnight, or by a clock that is behind, and was written after."""

    class Before(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(days=1)

    await set_cap(live_ctx, daily_credit_cap=1)
    contact = await factories.make_contact(live_ctx)
    with monkeypatch.context() as patch:
        patch.setattr("msvs.api.messages.messages.datetime", Before)
        async with edge():
            draft = await send_message(live_ctx, SendMessage(contact.phone, "Hi"))
    assert await used(live_ctx) == 1
    async with unit_of_work():
        await cancel_message(live_ctx, draft.id)
    assert [row.credits for row in await db.fetch("SELECT credits FROM credit_usage")] == [0]
    async with edge():
        await send_message(live_ctx, SendMessage(contact.phone, "Hi"))


async def test_a_pumped_form_asks_no_more_than_the_hours_numbers_of_a_range(ctx: Context) -> None:
    await set_cap(ctx, prefix_hourly_cap=2, double_opt_in=True)
    evidence = OptInEvidence("form")
    for number in range(4):
        async with unit_of_work():
            row = await create_contact(ctx, CreateContact(f"+1212555100{number}", opt_in=evidence))
        assert row.opt_in_status == "pending"
    asked = [row.to_phone for row in await Message.all().order_by("id")]
    assert asked == ["+12125551000", "+12125551001"]
    with pytest.raises(ComplianceRefused) as caught:
        async with unit_of_work():
            await send_message(ctx, SendMessage("+12125551009", "Hi"))
    assert caught.value.code == "prefix_velocity_exceeded"
    # Another range is another count, and who was not asked is asked once there is room.
    async with unit_of_work():
        await create_contact(ctx, CreateContact("+13105551000", opt_in=evidence))
    await set_cap(ctx, prefix_hourly_cap=None)
    for number in range(4):
        contact = await Contact.get(phone=f"+1212555100{number}")
        async with unit_of_work():
            await update_contact(ctx, contact.id, UpdateContact(opt_in=evidence))
    asked = [row.to_phone for row in await Message.all().order_by("id")]
    assert asked == ["+12125551000", "+12125551001", "+13105551000", "+12125551002", "+12125551003"]


async def test_answers_to_messages_are_not_counted(ctx: Context) -> None:
    await set_cap(ctx, prefix_hourly_cap=1, double_opt_in=True)
    async with unit_of_work():
        await receive_inbound(ctx, from_phone="+12125551000", to_sender="", text="HELP", dedupe_key="1")
        await receive_inbound(ctx, from_phone="+12125551000", to_sender="", text="STOP", dedupe_key="2")
    assert await Message.all().count() == 2
