"""Previews say what then happens, and leave nothing behind."""

from __future__ import annotations

import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import campaigns
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.campaigns.previews import (
    REPLACEMENTS,
    PreviewCampaign,
    _scaled,
    preview_campaign,
    preview_message,
)
from msvs.api.contacts.segments import create_segment
from msvs.api.context import Context
from msvs.api.errors import ApiError, InvalidRequest
from msvs.api.messages import messages
from msvs.api.messages.messages import SendMessage
from msvs.api.text import quiet_hours
from msvs.api.text.sms import Encoding, forcing_characters, measure
from msvs.api.unit_of_work import unit_of_work
from msvs.models import Contact, CreditBalance, Message, OptInStatus, Suppression, Workspace
from tests import factories
from tests.services import SERVICES
from tests.workers.test_campaigns import run_through

QUIET_TABLES = ("messages", "contacts", "campaigns", "campaign_recipients", "events", "ledger_entries")


pytestmark = pytest.mark.usefixtures("virtual_live")


async def counts() -> list[int]:
    return [await db.fetch_value(f"SELECT count(*) FROM {table}") for table in QUIET_TABLES]


async def suppress(ctx: Context, phone: str) -> None:
    await Suppression.create(workspace_id=ctx.workspace_id, livemode=ctx.livemode, phone=phone, source="test")


async def test_a_message_is_shown_as_it_would_go_out(live_ctx: Context) -> None:
    before = await counts()
    preview = await preview_message(
        live_ctx, SendMessage("+12125550100", "Hey {firstName}, see you", variables={"firstName": "Maria"})
    )
    assert await counts() == before
    assert preview.body == "Hey Maria, see you"
    assert preview.parts == ["Hey Maria, see you"]
    assert (preview.encoding, preview.segments, preview.credits) == ("gsm7", 1, 1)
    assert (preview.from_, preview.to, preview.balance) == ("MASSIVESMS", "+12125550100", 10_000)
    assert (preview.characters, preview.suggested_body, preview.refusal) == ([], None, None)


async def test_typography_that_costs_is_found_and_replaced(ctx: Context) -> None:
    body = "It’s {name|time} — “now”" + "x" * 60
    preview = await preview_message(ctx, SendMessage("+12125550100", body))
    assert (preview.encoding, preview.segments) == ("ucs2", 2)
    assert {item.character: item.replacement for item in preview.characters} == {
        "’": "'",
        "—": "-",
        "“": '"',
        "”": '"',
    }
    # Each alone saves nothing: the others still force UCS-2.
    assert {item.segments_saved for item in preview.characters} == {0}
    assert preview.suggested_body == 'It\'s {name|time} - "now"' + "x" * 60
    assert preview.segments_saved == 1
    assert preview.characters[0].name == "RIGHT SINGLE QUOTATION MARK"


async def test_replacing_one_character_may_save_all_segments(ctx: Context) -> None:
    preview = await preview_message(ctx, SendMessage("+12125550100", "It’s" + "x" * 100))
    assert [(item.character, item.segments_saved) for item in preview.characters] == [("’", 1)]


async def test_a_change_that_saves_nothing_is_not_suggested(ctx: Context) -> None:
    preview = await preview_message(ctx, SendMessage("+12125550100", "It’s 🎉"))
    assert preview.suggested_body is None
    assert [(item.character, item.replacement) for item in preview.characters] == [("’", "'"), ("🎉", None)]


async def test_all_missing_variables_are_named(ctx: Context) -> None:
    preview = await preview_message(ctx, SendMessage("+12125550100", "{firstName} {tier} {city|there} {tier}"))
    assert preview.missing_variables == ["first_name", "tier"]
    assert (preview.body, preview.encoding, preview.credits, preview.parts) == (None, None, None, [])
    assert preview.refusal is not None
    assert (preview.refusal.status, preview.refusal.code) == (400, "variable_missing")
    assert preview.refusal.param == "variables.firstName"


@pytest.mark.parametrize(
    ("live", "to", "body"),
    [
        (True, "+12125550100", "Hi"),
        (True, "+12125550101", "Hi"),
        (True, "+12125550102", "Hi"),
        (True, "+12125550103", "Hi"),
        (True, "+5511961234567", "Hi"),
        (True, "+5352345678", "Hi"),
        (True, "+19002345678", "Hi"),
        (True, "+12125550100", "Hi {nobody}"),
        (True, "+12125550100", "{phone}" * 200),
        (True, "+12125550100", "{nobody| }"),
        (True, "+12125550100", "x" * 1600),
        (False, "+14155550113", "Hi"),
        (False, "+14155550114", "Hi"),
        (False, "+12125550100", "x" * 1600),
    ],
)
async def test_the_refusal_is_the_one_that_sending_gives(
    live_ctx: Context, ctx: Context, live: bool, to: str, body: str
) -> None:
    caller = live_ctx if live else ctx
    await Workspace.filter(id=caller.workspace_id).update(blocked_regions=["BR"])
    await CreditBalance.filter(workspace_id=caller.workspace_id).update(balance=5)
    await factories.make_contact(caller, "+12125550101", status=OptInStatus.OPTED_OUT)
    await factories.make_contact(caller, "+12125550102", status=OptInStatus.PENDING)
    await suppress(caller, "+12125550102")
    await suppress(caller, "+12125550103")
    preview = await preview_message(caller, SendMessage(to, body))
    sent = refused = None
    try:
        async with unit_of_work():
            sent = await messages.send_message(caller, SendMessage(to, body))
    except ApiError as error:
        refused = (error.status, error.type, error.code, error.message, error.param)
    if sent is not None:
        assert preview.refusal is None
        assert (preview.body, preview.encoding, preview.segments) == (sent.body, sent.encoding, sent.segments)
    else:
        found = preview.refusal
        assert found is not None
        assert (found.status, found.type, found.code, found.message, found.param) == refused


async def test_without_a_carrier_sending_live_would_be_refused(live_ctx: Context) -> None:
    SERVICES.carriers.live = None
    preview = await preview_message(live_ctx, SendMessage("+12125550100", "Hi"))
    assert preview.refusal is not None
    assert preview.refusal.code == "carrier_not_configured"
    assert preview.body == "Hi"


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (SendMessage("+1abc", "Hi"), "to"),
        (SendMessage("+12125550100", "{"), "body"),
        (SendMessage("+12125550100", " "), "body"),
        (SendMessage("+12125550100", "Hi", from_="far too long a sender"), "from"),
        (SendMessage("+12125550100", "Hi", metadata={"": "x"}), "metadata"),
    ],
)
async def test_a_malformed_request_is_refused_as_ever(ctx: Context, data: SendMessage, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await preview_message(ctx, data)
    assert caught.value.param == param


async def make_audience(ctx: Context) -> list[Contact]:
    """An audience in which every reason to skip occurs."""
    make = factories.make_contact
    rows = [await make(ctx, first_name="Maria") for _ in range(6)]
    rows += [await make(ctx, first_name="Łukasz", attributes={"tier": "vip"}) for _ in range(3)]
    rows += [await make(ctx, first_name="Ana", attributes={"Tier": "x" * 150}) for _ in range(2)]
    rows += [await make(ctx, first_name="Long", attributes={"tier": "x" * 1600})]
    rows += [await make(ctx) for _ in range(2)]
    rows += [await make(ctx, first_name="U", status=OptInStatus.UNKNOWN) for _ in range(3)]
    rows += [await make(ctx, first_name="P", status=OptInStatus.PENDING)]
    rows += [await make(ctx, first_name="O", status=OptInStatus.OPTED_OUT) for _ in range(2)]
    rows += [await make(ctx, "+5511961234567", first_name="B", region="BR")]
    rows += [await make(ctx, "+5352345678", first_name="C", region="CU")]
    rows += [await make(ctx, "+19002345678", first_name="R", region="US", number_kind="premium_rate")]
    suppressed = await make(ctx, first_name="S")
    await suppress(ctx, suppressed.phone)
    return [*rows, suppressed]


@pytest.mark.parametrize("admit_unknown", [False, True])
@pytest.mark.parametrize(
    "body", ["Hi {first_name}, {tier|you} — it’s time", "Hi {first_name} {tier}", "Hi", "{firstName}" * 30 + "{x|}"]
)
async def test_a_campaign_does_what_its_preview_said(live_ctx: Context, body: str, admit_unknown: bool) -> None:
    await Workspace.filter(id=live_ctx.workspace_id).update(
        blocked_regions=["BR"], campaigns_admit_unknown=admit_unknown
    )
    people = await make_audience(live_ctx)
    first = await factories.make_list(live_ctx, people[:15])
    second = await factories.make_list(live_ctx, people[5:])
    before = await counts()
    preview = await preview_campaign(live_ctx, PreviewCampaign(body, list_ids=[first.id, second.id], quiet_hours=False))
    assert await counts() == before

    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            live_ctx, CreateCampaign("Cohort 06", body, list_ids=[first.id, second.id], quiet_hours=False)
        )
    await run_through()
    rows = await Message.filter(campaign_id=campaign.id)
    sent = [row for row in rows if row.status != "skipped"]
    skipped = Counter(row.error_code for row in rows if row.status == "skipped")
    assert {item.code: item.recipient_count for item in preview.skipped} == dict(skipped)
    assert preview.audience_count == len(rows) == len(people)
    assert preview.recipient_count == len(sent)
    assert preview.skipped_count == skipped.total()
    assert (preview.encodings.gsm7, preview.encodings.ucs2) == (
        sum(row.encoding == "gsm7" for row in sent),
        sum(row.encoding == "ucs2" for row in sent),
    )
    assert {item.segments: item.message_count for item in preview.segments} == dict(
        Counter(row.segments for row in sent)
    )
    assert preview.credits.total == sum(row.credits_used for row in sent)
    assert preview.credits.minimum == min((row.segments for row in sent), default=0)
    assert preview.credits.maximum == max((row.segments for row in sent), default=0)
    assert preview.balance == 10_000
    assert preview.balance_after == (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance
    made = {(ids.encode_id(ids.CONTACT, row.contact_id), row.to_phone, row.body) for row in sent if row.contact_id}
    assert len(preview.samples) == min(10, len(sent))
    assert all((sample.contact_id, sample.to, sample.body) in made for sample in preview.samples)
    assert (preview.exact, preview.sample_size) == (True, len(people))


async def test_what_a_campaign_could_save_is_counted(ctx: Context) -> None:
    people = [await factories.make_contact(ctx, first_name="Maria") for _ in range(3)]
    people += [await factories.make_contact(ctx, first_name="Łukasz"), await factories.make_contact(ctx)]
    body = "{first_name} " + "x" * 80 + " it’s time"
    preview = await preview_campaign(ctx, PreviewCampaign(body, contact_ids=[row.id for row in people]))
    assert [(item.character, item.message_count, item.segments_saved) for item in preview.characters] == [
        ("’", 4, 3),
        ("Ł", 1, 0),
    ]
    assert preview.suggested_body == "{first_name} " + "x" * 80 + " it's time"
    assert preview.segments_saved == 3
    assert preview.credits.total == 8
    assert [(item.name, item.recipient_count) for item in preview.missing_variables] == [("first_name", 1)]
    assert [sample.body.split(" ")[0] for sample in preview.samples] == ["Maria"] * 3 + ["Łukasz"]


async def test_the_sandbox_leaves_the_balance(ctx: Context) -> None:
    contact = await factories.make_contact(ctx)
    preview = await preview_campaign(ctx, PreviewCampaign("Hi", contact_ids=[contact.id]))
    assert (preview.credits.total, preview.balance, preview.balance_after) == (1, 10_000, 10_000)
    assert preview.estimated_seconds == 1


async def test_a_campaign_that_the_balance_does_not_cover_says_so(live_ctx: Context) -> None:
    await CreditBalance.filter(workspace_id=live_ctx.workspace_id).update(balance=1)
    people = [await factories.make_contact(live_ctx) for _ in range(2)]
    data = PreviewCampaign("Hi", contact_ids=[row.id for row in people])
    preview = await preview_campaign(live_ctx, data)
    assert preview.refusal is not None
    assert (preview.refusal.status, preview.refusal.code) == (402, "insufficient_credits")
    assert preview.balance_after == -1


async def test_a_large_audience_is_sampled_and_scaled(ctx: Context) -> None:
    await db.execute(
        "INSERT INTO contacts (id, workspace_id, livemode, phone, number_kind, region, attributes, opt_in_status,"
        " created_at, updated_at)"
        " SELECT gen_random_uuid(), $1, false, '+1212' || (2000000 + n), 'mobile', 'US', '{}',"
        " CASE WHEN n % 4 = 0 THEN 'unknown' ELSE 'opted_in' END, now(), now() FROM generate_series(1, 4000) AS n",
        ctx.workspace_id,
    )
    segment = await create_segment(ctx, "All", {"field": "region", "op": "eq", "value": "US"})
    data = PreviewCampaign("Hi’", segment_id=segment.id)
    preview = await preview_campaign(ctx, data, exact_up_to=1000)
    assert preview.exact is False
    assert 850 < preview.sample_size < 1150
    assert preview.audience_count == 4000
    assert preview.recipient_count + preview.skipped_count == 4000
    assert 2800 < preview.recipient_count < 3200
    assert preview.credits.total == preview.recipient_count
    assert abs(preview.characters[0].message_count - preview.recipient_count) <= 1
    assert await preview_campaign(ctx, data, exact_up_to=1000) == preview
    whole = await preview_campaign(ctx, data)
    assert (whole.exact, whole.recipient_count, whole.sample_size) == (True, 3000, 4000)


# Nobody is written to in New York at 6 am; they are at 9.
BEFORE_DAWN = datetime(2027, 3, 2, 11, tzinfo=UTC)
BY_DAY = datetime(2027, 3, 2, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "recipients", "held", "seconds"),
    [
        ({}, 4, 0, 1),
        ({"rate_per_minute": 2}, 4, 0, 120),
        ({"spread_hours": 2.0}, 4, 0, 7200),
        ({"quiet_hours": True, "scheduled_at": BY_DAY}, 4, 0, 1),
        ({"quiet_hours": True, "scheduled_at": BEFORE_DAWN}, 4, 3, None),
        ({"quiet_hours": True, "scheduled_at": BEFORE_DAWN, "expires_at": BY_DAY}, 4, 3, None),
        (
            {"quiet_hours": True, "scheduled_at": BEFORE_DAWN, "expires_at": BEFORE_DAWN + timedelta(minutes=5)},
            1,
            0,
            1,
        ),
    ],
)
async def test_time_is_reckoned_as_the_campaign_would_take_it(
    ctx: Context, values: dict[str, Any], recipients: int, held: int, seconds: int | None
) -> None:
    people = [await factories.make_contact(ctx, timezone="America/New_York", region="US") for _ in range(3)]
    people.append(await factories.make_contact(ctx, timezone="Europe/Lisbon", region="US"))
    values = {"quiet_hours": False, **values}
    data = PreviewCampaign("Hi", contact_ids=[row.id for row in people], **values)
    preview = await preview_campaign(ctx, data)
    assert (preview.recipient_count, preview.held_count) == (recipients, held)
    assert {item.code: item.recipient_count for item in preview.skipped} == (
        {"expired": 4 - recipients} if recipients < 4 else {}
    )
    if seconds is None:
        opening = quiet_hours.next_opening(("America/New_York",), "US", BEFORE_DAWN)
        seconds = int((opening - BEFORE_DAWN).total_seconds()) + 1
    assert preview.estimated_seconds == seconds
    assert preview.credits.total == recipients


async def test_a_limited_sender_takes_longer(ctx: Context) -> None:
    people = [await factories.make_contact(ctx) for _ in range(10)]
    data = PreviewCampaign("Hi", contact_ids=[row.id for row in people], quiet_hours=False)
    SERVICES.rates.carriers, SERVICES.rates.senders = {"virtual": 100.0}, {"MASSIVESMS": 0.5}
    try:
        assert (await preview_campaign(ctx, data)).estimated_seconds == 20
    finally:
        SERVICES.rates.carriers, SERVICES.rates.senders = {}, {}


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"rate_per_minute": 0}, "rate_per_minute"),
        ({"rate_per_minute": 1, "spread_hours": 1.0}, "spread_hours"),
        ({"expires_at": datetime(2020, 1, 1, tzinfo=UTC)}, "expires_at"),
        ({"scheduled_at": datetime(2020, 1, 1, tzinfo=UTC)}, "scheduled_at"),
        ({"from_": "far too long a sender"}, "from"),
        ({"contact_ids": ()}, "audience"),
    ],
)
async def test_a_malformed_campaign_is_refused_as_ever(ctx: Context, values: dict[str, Any], param: str) -> None:
    contact = await factories.make_contact(ctx)
    with pytest.raises(InvalidRequest) as caught:
        await preview_campaign(ctx, PreviewCampaign(**{"body": "Hi", "contact_ids": [contact.id], **values}))
    assert caught.value.param == param


async def test_nothing_of_another_workspace_is_seen(ctx: Context, other_ctx: Context) -> None:
    contact = await factories.make_contact(ctx, "+12125550100", first_name="Maria")
    row = await factories.make_list(ctx, [contact])
    with pytest.raises(InvalidRequest) as caught:
        await preview_campaign(other_ctx, PreviewCampaign("Hi", list_ids=[row.id]))
    assert caught.value.param == "audience.list_ids[0]"
    preview = await preview_message(other_ctx, SendMessage("+12125550100", "Hi {first_name}"))
    assert preview.missing_variables == ["first_name"]


async def test_an_audience_of_none(ctx: Context) -> None:
    row = await factories.make_list(ctx)
    preview = await preview_campaign(ctx, PreviewCampaign("Hi", list_ids=[row.id]))
    assert (preview.audience_count, preview.credits.total, preview.estimated_seconds) == (0, 0, 0)
    assert (preview.segments, preview.samples, preview.exact) == ([], [], True)


@pytest.mark.parametrize("character", REPLACEMENTS)
def test_a_replacement_is_plain_and_is_needed(character: str) -> None:
    assert forcing_characters(character) == [character], unicodedata.name(character, "")
    assert measure(REPLACEMENTS[character]).encoding is Encoding.GSM7
    assert not set("{}|") & set(REPLACEMENTS[character])


@given(st.dictionaries(st.integers(), st.integers(0, 1000), min_size=1), st.integers(0, 10**7))
def test_scaled_counts_sum_to_the_total(counts: dict[int, int], total: int) -> None:
    scaled = _scaled(counts, total)
    looked_at = sum(counts.values())
    if looked_at:
        assert sum(scaled.values()) == total
        assert all(abs(scaled[key] - count * total / looked_at) <= 1 for key, count in counts.items())
    else:
        assert scaled == counts


async def test_a_message_is_warned_of_before_it_is_sent(ctx: Context) -> None:
    preview = await preview_message(ctx, SendMessage(to="+12125550123", body="{{name}} it’s on: bit.ly/x " + "a" * 300))
    assert [(each.code, each.param) for each in preview.warnings] == [
        ("double_braces", "body"),
        ("link_shortener", "body"),
        ("ucs2_single_character", "body"),
        ("many_segments", "body"),
        ("sender_not_carried", "from"),
    ]
    clean = await preview_message(ctx, SendMessage(to="+447911123456", body="Doors open"))
    assert clean.warnings == []


@pytest.mark.parametrize("admits", [False, True])
async def test_a_campaign_is_warned_of_its_audience_too(ctx: Context, admits: bool) -> None:
    with_evidence = await factories.make_contact(ctx)
    without = await factories.make_contact(ctx, status=OptInStatus.UNKNOWN)
    row = await factories.make_list(ctx, [with_evidence, without])
    await Workspace.filter(id=ctx.workspace_id).update(campaigns_admit_unknown=admits)
    preview = await preview_campaign(ctx, PreviewCampaign(body="{first_name} hi", list_ids=[row.id]))
    found = {each.code: each for each in preview.warnings}
    assert {"opt_out_words_missing", "leading_variable_without_fallback", "recipients_without_evidence"} <= found.keys()
    message = found["recipients_without_evidence"].message
    assert message.startswith("1 of 2 contacts have no evidence of consent")
    assert ("get nothing" in message) == (not admits)
    assert found["recipients_without_evidence"].param is None


async def test_composed_letters_are_proposed(ctx: Context) -> None:
    """Decomposed letters are what some phones and editors write: a segment instead of three."""
    body = " ".join(["man\u0303ana"] * 20)
    preview = await preview_message(ctx, SendMessage(to="+447911123456", body=body))
    assert (preview.segments, preview.suggested_body, preview.segments_saved) == (3, " ".join(["mañana"] * 20), 2)
    (tilde,) = preview.characters
    assert (tilde.character, tilde.segments_saved) == ("\u0303", 2)
