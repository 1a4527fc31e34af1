"""Senders: their kinds, the rules of regions, and which one a recipient gets."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from uuid import UUID

import pytest

from msvs import database as db
from msvs.api.campaigns.campaigns import CreateCampaign, create_campaign
from msvs.api.context import Context
from msvs.api.dispatch import sender_rules, senders
from msvs.api.dispatch.senders import OwnedSender, Pool
from msvs.api.errors import ApiError, InvalidRequest, NotFound
from msvs.api.messages.messages import SendMessage, send_message
from msvs.api.pages import PageRequest
from msvs.api.unit_of_work import unit_of_work
from msvs.models import SenderKind
from msvs.workers.campaigns import expand_campaigns
from tests import factories
from tests.services import SERVICES

LONG, OTHER_LONG, TOLL_FREE, SHORT = "+12125550100", "+12125550101", "+18005550199", "12345"


def pool(*owned: OwnedSender, default: str = "COHORT") -> Pool:
    return Pool(default, {sender.value: sender for sender in (OwnedSender(default), *owned)})


def registered(value: str, *regions: str) -> OwnedSender:
    return OwnedSender(value, frozenset(regions), is_registered=True)


@pytest.mark.parametrize(
    ("sender", "kind"),
    [
        ("COHORT", SenderKind.ALPHANUMERIC),
        ("C0HORT 06", SenderKind.ALPHANUMERIC),
        (LONG, SenderKind.LONG_CODE),
        ("+447400123456", SenderKind.LONG_CODE),
        ("+5511987654321", SenderKind.LONG_CODE),
        (TOLL_FREE, SenderKind.TOLL_FREE),
        ("+448001111111", SenderKind.TOLL_FREE),
        (SHORT, SenderKind.SHORT_CODE),
        ("741741", SenderKind.SHORT_CODE),
        ("+1", SenderKind.ALPHANUMERIC),
        ("+999999999", SenderKind.LONG_CODE),
    ],
)
def test_a_sender_is_of_a_kind(sender: str, kind: SenderKind) -> None:
    assert sender_rules.kind_of(sender) is kind


@pytest.mark.parametrize(
    ("sender", "region", "is_registered", "is_allowed"),
    [
        ("COHORT", "US", True, False),
        ("COHORT", "CA", True, False),
        ("COHORT", "BR", True, False),
        ("COHORT", "GB", False, True),
        ("COHORT", "DE", False, True),
        ("COHORT", "IN", False, False),
        ("COHORT", "IN", True, True),
        (LONG, "US", False, False),
        (LONG, "US", True, True),
        (LONG, "CA", False, True),
        (LONG, "GB", False, True),
        (TOLL_FREE, "US", False, False),
        (TOLL_FREE, "US", True, True),
        (TOLL_FREE, "CA", True, True),
        (TOLL_FREE, "GB", True, False),
        (SHORT, "US", False, True),
        ("COHORT", None, False, True),
    ],
)
def test_a_region_takes_or_refuses_a_sender(
    sender: str, region: str | None, is_registered: bool, is_allowed: bool
) -> None:
    assert (sender_rules.refusal(sender, region, is_registered=is_registered) is None) is is_allowed


def test_every_rule_says_where_it_is_from() -> None:
    tables = tomllib.loads(files("msvs.api").joinpath("data/sender_rules.toml").read_text())
    assert tables.pop("reviewed")
    assert set(tables) <= {kind.value for kind in SenderKind}
    for rules in tables.values():
        for rule in rules.values():
            assert len(rule["source"]) > 20
            assert all(len(region) == 2 and region.isupper() for region in rule.get("regions", ()))


@pytest.mark.parametrize(
    ("owned", "default", "region", "last", "expected"),
    [
        ((), "COHORT", "GB", None, "COHORT"),
        ((), "COHORT", "US", None, None),
        ((registered(LONG),), "COHORT", "US", None, LONG),
        ((registered(LONG),), "COHORT", "GB", None, "COHORT"),
        ((registered(LONG),), "COHORT", "GB", LONG, LONG),
        ((registered(LONG, "US"),), "COHORT", "GB", LONG, "COHORT"),
        ((registered(LONG), registered(SHORT)), "COHORT", "US", None, SHORT),
        ((registered(LONG), registered(SHORT)), "COHORT", "US", LONG, LONG),
        ((registered(LONG),), "COHORT", "US", "+12125559999", LONG),
        ((OwnedSender(LONG),), "COHORT", "US", None, None),
        ((registered(LONG),), LONG, "US", None, LONG),
    ],
)
def test_a_recipient_gets_the_sender_it_knows(
    owned: tuple[OwnedSender, ...], default: str, region: str, last: str | None, expected: str | None
) -> None:
    assert pool(*owned, default=default).choose(region, last=last, key="+12125550199") == expected


def test_recipients_are_spread_over_like_senders_and_stay_there() -> None:
    found = pool(registered(LONG), registered(OTHER_LONG))
    phones = [f"+1212555{number:04d}" for number in range(200)]
    chosen = [found.choose("US", key=phone) for phone in phones]
    assert chosen == [found.choose("US", key=phone) for phone in phones]
    assert 60 < chosen.count(LONG) < 140


async def send(ctx: Context, to: str, from_: str | None = None) -> str:
    async with unit_of_work():
        row = await send_message(ctx, SendMessage(to, "Hi", from_))
    return row.sender


@pytest.mark.usefixtures("real_carrier")
async def test_a_send_names_only_the_workspaces_own_senders(live_ctx: Context, other_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, LONG, registration="C0HORT")
    await senders.add_sender(SERVICES, other_ctx.workspace_id, OTHER_LONG, registration="0THER")
    assert await send(live_ctx, factories.next_phone(), LONG) == LONG
    for sender in (OTHER_LONG, "+12125550177", "BANK"):
        with pytest.raises(ApiError) as caught:
            await send(live_ctx, factories.next_phone(), sender)
        assert (caught.value.code, caught.value.status, caught.value.param) == ("sender_not_allowed", 422, "from")


@pytest.mark.usefixtures("real_carrier")
async def test_another_workspaces_number_is_refused_even_where_none_is_registered(
    live_ctx: Context, other_ctx: Context
) -> None:
    await senders.add_sender(SERVICES, other_ctx.workspace_id, "+442071838750", registration="0THER")
    for sender in ("+442071838750", "COHORT"):
        with pytest.raises(ApiError) as caught:
            await send(live_ctx, "+447400123456", sender)
        assert (caught.value.code, caught.value.param) == ("sender_not_allowed", "from")
    await senders.add_sender(SERVICES, live_ctx.workspace_id, "COHORT")
    assert await send(live_ctx, "+447400123456", "COHORT") == "COHORT"


@pytest.mark.usefixtures("real_carrier")
async def test_a_default_that_a_region_does_not_take_gives_way(live_ctx: Context) -> None:
    with pytest.raises(ApiError) as caught:
        await send(live_ctx, factories.next_phone())
    assert caught.value.code == "sender_not_allowed"
    await senders.add_sender(SERVICES, live_ctx.workspace_id, LONG, registration="C0HORT")
    assert await send(live_ctx, factories.next_phone()) == LONG
    assert await send(live_ctx, "+447400123456") == "MASSIVESMS"


@pytest.mark.usefixtures("real_carrier")
async def test_a_recipient_keeps_its_sender(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, LONG, registration="C0HORT")
    await senders.add_sender(SERVICES, live_ctx.workspace_id, OTHER_LONG, registration="C0HORT")
    phone = factories.next_phone()
    first = await send(live_ctx, phone)
    other = OTHER_LONG if first == LONG else LONG
    await send(live_ctx, phone, other)
    await db.execute("UPDATE messages SET status = 'sent', sent_at = now() WHERE sender = $1", other)
    assert await send(live_ctx, phone) == other


async def test_the_sandbox_and_the_virtual_carrier_have_no_rules_of_senders(ctx: Context, live_ctx: Context) -> None:
    assert await send(ctx, factories.next_phone()) == "MASSIVESMS"
    SERVICES.carriers.live = "virtual"
    assert await send(live_ctx, factories.next_phone(), "ANYONE") == "ANYONE"


@pytest.mark.usefixtures("real_carrier")
async def test_a_campaign_gives_each_recipient_its_sender_and_skips_whom_none_reaches(live_ctx: Context) -> None:
    await senders.add_sender(SERVICES, live_ctx.workspace_id, LONG, registration="C0HORT")
    await senders.add_sender(SERVICES, live_ctx.workspace_id, "COHORT", regions=["GB"])
    people = [
        await factories.make_contact(live_ctx, factories.next_phone(), region="US", number_kind="mobile"),
        await factories.make_contact(live_ctx, "+447400123456", region="GB", number_kind="mobile"),
    ]
    audience = await factories.make_list(live_ctx, people)

    async def run(from_: str | None) -> dict[str, tuple[str, str | None]]:
        async with unit_of_work():
            campaign = await create_campaign(
                live_ctx, CreateCampaign("Cohort 06", "Hi", list_ids=(audience.id,), from_=from_)
            )
        await expand_campaigns(SERVICES)
        rows = await db.fetch("SELECT * FROM messages WHERE campaign_id = $1", UUID(str(campaign.id)))
        return {row.to_phone[:3]: (row.sender, row.error_code) for row in rows}

    assert await run(None) == {"+12": (LONG, None), "+44": ("MASSIVESMS", None)}
    assert await run("COHORT") == {"+12": ("COHORT", "sender_not_allowed"), "+44": ("COHORT", None)}
    with pytest.raises(ApiError) as caught:
        await run("BANK")
    assert caught.value.code == "sender_not_allowed"


async def test_senders_are_the_workspaces_own(ctx: Context, other_ctx: Context) -> None:
    row = await senders.add_sender(SERVICES, ctx.workspace_id, LONG, regions=["us", "CA"], registration="C0HORT")
    again = await senders.add_sender(SERVICES, ctx.workspace_id, LONG, regions=["US"])
    assert (again.id, again.regions, again.registration, again.kind) == (row.id, ["US"], None, "long_code")
    with pytest.raises(InvalidRequest):
        await senders.add_sender(SERVICES, other_ctx.workspace_id, LONG)
    shared = await senders.add_sender(SERVICES, other_ctx.workspace_id, LONG, is_shared=True)
    page = await senders.list_senders(ctx, PageRequest(10))
    assert [item.id for item in page.items] == [row.id]
    assert (await senders.get_sender(ctx, row.id)).value == LONG
    with pytest.raises(NotFound):
        await senders.get_sender(ctx, shared.id)
    await senders.remove_sender(SERVICES, ctx.workspace_id, LONG)
    with pytest.raises(NotFound):
        await senders.remove_sender(SERVICES, ctx.workspace_id, LONG)
    assert [item.workspace_id for item in await senders.find_owners(LONG)] == [other_ctx.workspace_id]


@pytest.mark.parametrize(
    ("value", "regions"), [("", []), ("+1x", []), ("TOO LONG A NAME", []), (LONG, ["USA"]), (LONG, ["ZZ"])]
)
async def test_an_invalid_sender_is_refused(ctx: Context, value: str, regions: list[str]) -> None:
    with pytest.raises(ApiError) as caught:
        await senders.add_sender(SERVICES, ctx.workspace_id, value, regions=regions)
    assert caught.value.status == 400
