"""One phone, one identity: in all its spellings it is one contact, one STOP and one message."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.campaigns import campaigns, previews
from msvs.api.campaigns.campaigns import CreateCampaign
from msvs.api.consent import consent, consent_chain
from msvs.api.contacts import contacts, segments, suppressions
from msvs.api.contacts.contact_pages import list_matching
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, UpdateContact
from msvs.api.contacts.imports import ImportContacts, import_contacts
from msvs.api.context import Context
from msvs.api.credits import caps
from msvs.api.dispatch import claims, expired_leases
from msvs.api.dispatch.lanes import Lane
from msvs.api.errors import ComplianceRefused, Conflict, InvalidRequest
from msvs.api.inbound import handset, keywords
from msvs.api.inbound.replies import receive_inbound
from msvs.api.messages import explanations, messages
from msvs.api.messages.messages import SendMessage
from msvs.api.pages import PageRequest
from msvs.api.privacy import contact_export, erasure
from msvs.api.text.phones import parse_phone
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.virtual import VirtualCarrier
from msvs.models import (
    Contact,
    ErasedSuppression,
    ListMember,
    Message,
    OptInStatus,
    Suppression,
    VirtualSubmission,
    Workspace,
)
from msvs.models.identity import new_id
from msvs.workers.campaigns import expand_campaigns
from msvs.workers.dispatch import dispatch_messages
from tests import factories
from tests.services import SERVICES

MOBILE, BARE = "+5491123450001", "+541123450001"
# One spelling of a phone, another, and which of them is dialed for the second.
SPELLINGS = [
    (MOBILE, BARE, BARE),
    (BARE, MOBILE, MOBILE),
    ("+525512345678", "+5215512345678", "+525512345678"),
    ("+551187654321", "+5511987654321", "+5511987654321"),
    ("+22997010203", "+2290197010203", "+2290197010203"),
    ("+2250707080910", "+22507080910", "+2250707080910"),
    ("+24106123456", "+2416123456", "+24166123456"),
    ("+841682345678", "+84382345678", "+84382345678"),
    ("+23776123456", "+237676123456", "+237676123456"),
    ("+972592234567", "+970592234567", "+970592234567"),
]
EVIDENCE = OptInEvidence(source="checkout", ip="203.0.113.5")
PAGE = PageRequest(limit=10)


pytestmark = pytest.mark.usefixtures("virtual_live")


@pytest.fixture(params=["sandbox", "live"])
def world(request: pytest.FixtureRequest, ctx: Context, live_ctx: Context) -> Context:
    return ctx if request.param == "sandbox" else live_ctx


async def enable(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(
        enabled_regions=["BJ", "CI", "GA", "CM", "VN", "PS", "IL", "MX", "BR", "AR"]
    )


async def make(ctx: Context, phone: str, **values: Any) -> Any:
    async with unit_of_work():
        return await contacts.create_contact(ctx, CreateContact(phone, **values))


async def send(ctx: Context, phone: str, **values: Any) -> Any:
    async with unit_of_work():
        return await messages.send_message(ctx, SendMessage(phone, "Doors open.", **values))


async def hear(ctx: Context, phone: str, text: str) -> Any:
    async with unit_of_work():
        return await receive_inbound(ctx, from_phone=phone, to_sender="12345", text=text, dedupe_key=str(new_id()))


async def run_campaign(ctx: Context, **audience: Any) -> list[Message]:
    async with unit_of_work():
        campaign = await campaigns.create_campaign(ctx, CreateCampaign("Cohort 06", "Doors open.", **audience))
    await expand_campaigns(SERVICES)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    return await Message.filter(campaign_id=campaign.id)


async def refusal(ctx: Context, phone: str) -> str:
    with pytest.raises(ComplianceRefused) as caught:
        await send(ctx, phone)
    return str(caught.value.code)


@pytest.mark.parametrize(("first", "second", "dialed"), SPELLINGS)
async def test_the_second_spelling_is_the_contact_of_the_first(
    world: Context, first: str, second: str, dialed: str
) -> None:
    await enable(world)
    made = await make(world, first)
    with pytest.raises(Conflict) as caught:
        await make(world, second)
    assert (caught.value.code, caught.value.details["existing_id"]) == (
        "contact_exists",
        ids.encode_id(ids.CONTACT, made.id),
    )
    sent = await send(world, second)
    row = await Message.get(id=sent.id)
    assert (row.to_phone, row.contact_id) == (second, made.id)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    assert await VirtualSubmission.all().values_list("to_phone", flat=True) == [dialed]
    assert await Contact.all().values_list("phone", flat=True) == [first]


async def test_spellings_are_of_one_workspace_and_mode(ctx: Context, live_ctx: Context, other_ctx: Context) -> None:
    for each in (ctx, live_ctx, other_ctx):
        await make(each, MOBILE)
    assert await Contact.all().count() == 3


async def test_of_two_spellings_made_at_once_one_wins(ctx: Context) -> None:
    for number in range(25):
        phone = f"112345{number:04}"
        made = await asyncio.gather(
            *(make(ctx, f"{head}{phone}") for head in ("+54", "+549", "+54", "+549")), return_exceptions=True
        )
        won = [each for each in made if not isinstance(each, BaseException)]
        lost = [each for each in made if isinstance(each, Conflict)]
        assert (len(won), len(lost)) == (1, 3)
        assert {each.details["existing_id"] for each in lost} == {ids.encode_id(ids.CONTACT, won[0].id)}
    assert await Contact.all().count() == 25


async def test_of_two_spellings_sent_to_at_once_there_is_one_contact(ctx: Context) -> None:
    for number in range(25):
        phone = f"112345{number:04}"
        await asyncio.gather(*(send(ctx, f"{head}{phone}") for head in ("+54", "+549")))
    assert (await Contact.all().count(), await Message.all().count()) == (25, 50)
    assert len(set(await Message.all().values_list("contact_id", flat=True))) == 25


async def test_a_stop_at_the_same_time_as_a_send_to_the_other_spelling_wins(ctx: Context) -> None:
    for number in range(25):
        phone = f"112345{number:04}"
        await make(ctx, f"+549{phone}", opt_in=EVIDENCE)
        await asyncio.gather(hear(ctx, f"+549{phone}", "STOP"), send(ctx, f"+54{phone}"), return_exceptions=True)
        await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
        assert await refusal(ctx, f"+54{phone}") == "recipient_opted_out"
    assert await Message.filter(status="queued").count() == 0


@pytest.mark.parametrize(("first", "second", "dialed"), SPELLINGS)
async def test_a_campaign_sends_a_phone_one_message(world: Context, first: str, second: str, dialed: str) -> None:
    await enable(world)
    listed = await factories.make_list(world)
    list_id = ids.encode_id(ids.CONTACT_LIST, listed.id)
    rows = [CreateContact(first), CreateContact(second, first_name="Ana"), CreateContact(first)]
    async with unit_of_work():
        done = await import_contacts(world, ImportContacts(rows, list_id=list_id, opt_in=EVIDENCE))
    assert (done.created, done.duplicates, done.added_to_list, done.opted_in, done.invalid) == (1, 2, 1, 1, [])
    async with unit_of_work():
        done = await import_contacts(world, ImportContacts([CreateContact(second, last_name="Prado")], list_id))
    assert (done.created, done.updated, done.added_to_list) == (0, 1, 0)
    contact = await Contact.get()
    assert (contact.phone, contact.first_name, contact.last_name) == (first, "Ana", "Prado")
    sent = await run_campaign(world, list_ids=[listed.id], contact_ids=[contact.id])
    assert [(row.to_phone, row.status.value) for row in sent] == [(first, "sent")]
    assert len(await VirtualSubmission.all()) == 1


@pytest.mark.parametrize(("first", "second", "dialed"), SPELLINGS)
async def test_a_stop_under_one_spelling_stops_the_other(world: Context, first: str, second: str, dialed: str) -> None:
    await enable(world)
    contact = await make(world, first, opt_in=EVIDENCE)
    waiting = [(await send(world, phone)).id for phone in (first, second)]
    waiting.append((await send(world, second, scheduled_at=datetime.now(UTC) + timedelta(hours=1))).id)
    heard = await hear(world, second, "STOP")
    assert (heard.from_phone, heard.contact_id) == (first, contact.id)
    assert [row.status.value for row in await Message.filter(id__in=waiting)] == ["canceled"] * 3
    assert [await refusal(world, phone) for phone in (first, second)] == ["recipient_opted_out"] * 2
    listed = await factories.make_list(world, [await Contact.get()])
    skipped = await run_campaign(world, list_ids=[listed.id])
    assert [(row.status.value, row.error_code) for row in skipped] == [("skipped", "recipient_opted_out")]
    assert await Suppression.all().values_list("phone", flat=True) == [first]
    await hear(world, second, "START")
    assert (await Suppression.all().count(), (await Contact.get()).opt_in_status) == (0, OptInStatus.OPTED_IN)
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_a_suppression_without_a_contact_counts_for_both(ctx: Context) -> None:
    async with unit_of_work():
        row = await suppressions.create_suppression(ctx, BARE, source="form")
    with pytest.raises(Conflict) as caught:
        await suppressions.create_suppression(ctx, MOBILE, source="form")
    assert caught.value.details["existing_id"] == ids.encode_id(suppressions.SUPPRESSION, row.id)
    assert await refusal(ctx, MOBILE) == "recipient_opted_out"
    assert (await previews.preview_message(ctx, SendMessage(MOBILE, "Hi"))).refusal is not None
    for phone in (BARE, MOBILE):
        assert [each.phone for each in (await suppressions.list_suppressions(ctx, PAGE, phone=phone)).items] == [BARE]
    assert (await make(ctx, MOBILE)).opt_in_status == OptInStatus.OPTED_OUT
    async with unit_of_work():
        done = await suppressions.import_suppressions(ctx, [MOBILE, BARE, "+12125550177"])
    assert (done.added, done.already_suppressed) == (1, 1)


async def test_an_import_skips_a_stop_under_another_spelling(ctx: Context) -> None:
    async with unit_of_work():
        await suppressions.create_suppression(ctx, BARE, source="form")
    async with unit_of_work():
        done = await import_contacts(ctx, ImportContacts([CreateContact(MOBILE)], opt_in=EVIDENCE))
    assert (done.created, done.opted_in, done.opted_out) == (1, 0, 1)
    assert (await Contact.get()).opt_in_status == OptInStatus.OPTED_OUT


async def test_what_was_queued_before_a_stop_that_canceled_nothing_is_refused_when_claimed(live_ctx: Context) -> None:
    """As where the STOP was written by a process that does not know of spellings."""
    contact = await make(live_ctx, MOBILE, opt_in=EVIDENCE)
    sent = [await send(live_ctx, phone) for phone in (MOBILE, BARE)]
    lonely = await send(live_ctx, "+2290197010203") if await _enabled(live_ctx) else None
    assert lonely is not None
    async with unit_of_work():
        await contacts.delete_contact(live_ctx, (await Contact.get(phone="+2290197010203")).id)
    for phone in (BARE, "+22997010203"):
        await db.execute(
            "INSERT INTO suppressions (id, workspace_id, livemode, phone, source, created_at)"
            " VALUES (gen_random_uuid(), $1, true, $2, 'keyword', now())",
            live_ctx.workspace_id,
            phone,
        )
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    rows = await Message.filter(id__in=[*(row.id for row in sent), lonely.id])
    assert [(row.status.value, row.error_code) for row in rows] == [("canceled", "recipient_opted_out")] * 3
    assert await VirtualSubmission.all().count() == 0
    assert (await Contact.get(id=contact.id)).opt_in_status == OptInStatus.OPTED_IN


async def _enabled(ctx: Context) -> bool:
    await enable(ctx)
    return True


async def test_what_is_in_doubt_is_not_sent_again_after_a_stop_under_another_spelling(live_ctx: Context) -> None:
    await make(live_ctx, MOBILE, opt_in=EVIDENCE)
    sent = await send(live_ctx, BARE)
    async with unit_of_work():
        claimed = await claims.claim(
            SERVICES, Lane(live_ctx.workspace_id, True), carrier="virtual", limit=10, now=await db.now()
        )
    assert claimed is not None
    await db.execute("UPDATE messages SET lease_until = now() - interval '1 second'")
    await hear(live_ctx, MOBILE, "STOP")
    async with unit_of_work():
        again = await expired_leases.find_expired(carrier="virtual", limit=10, now=await db.now())
    assert again is not None
    assert (again.messages, (await Message.get(id=sent.id)).lease_until) == ([], None)


async def test_a_reply_belongs_to_what_was_sent_to_the_other_spelling(ctx: Context) -> None:
    sent = await send(ctx, BARE)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    heard = await hear(ctx, MOBILE, "Tomorrow?")
    assert (heard.message_id, heard.from_phone) == (sent.id, BARE)
    assert (await Message.get(id=sent.id)).status == "replied"


async def test_yes_from_another_spelling_confirms(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(double_opt_in=True)
    await make(ctx, "+22997010203", opt_in=EVIDENCE)
    assert (await Contact.get()).opt_in_status == OptInStatus.PENDING
    await hear(ctx, "+2290197010203", "YES")
    assert (await Contact.get()).opt_in_status == OptInStatus.OPTED_IN
    assert await Contact.all().count() == 1


async def test_a_keyword_from_another_spelling_joins_the_contact(ctx: Context) -> None:
    contact = await make(ctx, MOBILE)
    listed = await factories.make_list(ctx)
    async with unit_of_work():
        await keywords.create_keyword(
            ctx, keywords.CreateKeyword("COHORT6", ids.encode_id(ids.CONTACT_LIST, listed.id))
        )
    await hear(ctx, BARE, "COHORT6")
    assert await ListMember.all().values_list("contact_id", flat=True) == [contact.id]


async def test_a_phone_is_found_by_any_spelling(ctx: Context) -> None:
    contact = await make(ctx, "+22997010203", first_name="Ana")
    sent = [(await send(ctx, phone)).id for phone in ("+22997010203", "+2290197010203")]
    for phone in ("+22997010203", "+2290197010203"):
        assert [row.id for row in (await list_matching(ctx, PAGE, contacts.ListContacts(phone=phone))).items] == [
            contact.id
        ]
        assert {row.id for row in (await messages.list_messages(ctx, PAGE, to=phone)).items} == set(sent)
        for text in (phone, phone[1:], phone[-6:], f"{phone[:4]} {phone[4:]}"):
            found = await list_matching(ctx, PAGE, contacts.ListContacts(q=text))
            assert [row.id for row in found.items] == [contact.id], text
        for op, value in (("eq", phone), ("in", [phone])):
            assert await segments.preview_segment(ctx, {"field": "phone", "op": op, "value": value}) == 1
        assert await segments.preview_segment(ctx, {"field": "phone", "op": "ne", "value": phone}) == 0
        found_by = (await handset.get_handset(ctx, phone)).contact
        assert found_by is not None
        assert found_by.id == contact.id
    assert [each.phone for each in await handset.list_handsets(ctx)] == ["+2290197010203"]


async def test_another_spelling_is_no_other_phone(ctx: Context) -> None:
    """A change of the phone is a change of whose consent it is; this is none."""
    contact = await make(ctx, MOBILE, opt_in=EVIDENCE)
    listed = await factories.make_list(ctx, [await Contact.get()])
    async with unit_of_work():
        await campaigns.create_campaign(ctx, CreateCampaign("Cohort 06", "Doors open.", list_ids=[listed.id]))
    await expand_campaigns(SERVICES)
    async with unit_of_work():
        changed = await contacts.update_contact(ctx, contact.id, UpdateContact(phone=BARE, first_name="Ana"))
    assert (changed.phone, changed.first_name, changed.opt_in_status) == (MOBILE, "Ana", OptInStatus.OPTED_IN)
    assert [row.status.value for row in await Message.all()] == ["queued"]
    other = await make(ctx, "+12125550177")
    with pytest.raises(Conflict) as caught:
        async with unit_of_work():
            await contacts.update_contact(ctx, other.id, UpdateContact(phone=BARE))
    assert caught.value.details["existing_id"] == ids.encode_id(ids.CONTACT, contact.id)


async def test_the_history_of_a_phone_is_that_of_all_its_spellings(ctx: Context) -> None:
    async with unit_of_work():
        await suppressions.create_suppression(ctx, BARE, source="form")
    contact = await make(ctx, MOBILE)
    async with unit_of_work():
        await contacts.update_contact(ctx, contact.id, UpdateContact(opt_in=factories.renewed()))
    for phone in (MOBILE, BARE):
        found = (await consent.list_consent(ctx, PAGE, phone=phone)).items
        # Under each spelling that the history speaks of, it ends with the truth.
        assert [(row.phone, row.status) for row in found] == [
            (BARE, OptInStatus.OPTED_IN),
            (MOBILE, OptInStatus.OPTED_IN),
            (BARE, OptInStatus.OPTED_OUT),
        ]
    exported = await contact_export.export_contact(ctx, contact.id)
    assert len(exported.consent) == 3
    assert (await consent_chain.verify(SERVICES)).is_whole
    sent = await send(ctx, BARE)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    why = await explanations.explain_message(ctx, sent.id)
    assert (why.consent.record is not None, why.suppression.suppressed) == (True, False)


async def test_erasure_knows_every_spelling(ctx: Context) -> None:
    async with unit_of_work():
        await suppressions.create_suppression(ctx, BARE, source="form")
    contact = await make(ctx, MOBILE)
    await hear(ctx, BARE, "Hello?")
    exported = await contact_export.export_contact(ctx, contact.id)
    assert exported.suppression is not None
    async with unit_of_work():
        done = await erasure.erase_phone(ctx, BARE)
    assert done.id == ids.encode_id(ids.CONTACT, contact.id)
    assert (await Contact.all().count(), await Suppression.all().count()) == (0, 0)
    for table, column in (
        ("consent_events", "phone"),
        ("inbound_messages", "from_phone"),
        ("messages", "to_phone"),
        ("events", "data"),
    ):
        kept = await db.fetch(f"SELECT FROM {table} WHERE {column} LIKE '%1123450001%'")
        assert len(kept) == 0, table
    assert (await consent_chain.verify(SERVICES)).is_whole
    for phone in (MOBILE, BARE):
        assert [each.phone for each in (await suppressions.list_suppressions(ctx, PAGE, phone=phone)).items] == [phone]
        assert (await previews.preview_message(ctx, SendMessage(phone, "Hi"))).refusal is not None
    assert await refusal(ctx, MOBILE) == "recipient_opted_out"
    # Nothing of a refused send stays, so that it is erased still.
    assert (await Suppression.all().count(), await ErasedSuppression.all().count() > 0) == (0, True)
    async with unit_of_work():
        again = await contacts.create_contact(ctx, CreateContact(MOBILE, opt_in=factories.renewed()))
    assert again.opt_in_status == OptInStatus.OPTED_IN
    assert (await Suppression.all().count(), await ErasedSuppression.all().count()) == (0, 0)
    assert (await consent_chain.verify(SERVICES)).is_whole


async def test_a_phone_that_was_erased_stays_out_in_a_claim(ctx: Context) -> None:
    await make(ctx, MOBILE, opt_in=EVIDENCE)
    await hear(ctx, MOBILE, "STOP")
    async with unit_of_work():
        await erasure.erase_phone(ctx, MOBILE)
    sent = await send(ctx, "+12125550177")
    await db.execute("UPDATE messages SET to_phone = $2, contact_id = NULL WHERE id = $1", sent.id, BARE)
    await dispatch_messages(SERVICES, {"virtual": VirtualCarrier()})
    row = await Message.get(id=sent.id)
    assert (row.status.value, row.error_code) == ("canceled", "recipient_opted_out")


async def test_the_hours_messages_of_a_range_count_both_spellings(ctx: Context) -> None:
    await Workspace.filter(id=ctx.workspace_id).update(prefix_hourly_cap=2)
    assert caps.prefix_of(parse_phone(MOBILE)) == caps.prefix_of(parse_phone(BARE))
    await send(ctx, MOBILE)
    await send(ctx, BARE)
    assert await refusal(ctx, BARE) == "prefix_velocity_exceeded"


async def test_a_test_of_a_campaign_goes_to_a_phone_once(ctx: Context) -> None:
    contact = await make(ctx, MOBILE)
    async with unit_of_work():
        campaign = await campaigns.create_campaign(
            ctx, CreateCampaign("Cohort 06", "Doors open.", contact_ids=[contact.id], draft=True)
        )
    async with unit_of_work():
        sent = await campaigns.send_campaign_test(ctx, campaign.id, to=["+12125550177", BARE, MOBILE])
    assert [each.to_phone for each in sent] == ["+12125550177", BARE]


@pytest.mark.parametrize("phone", ["+5491123", "+52155123456789", "+229970102", "+22512", "+99912345678"])
async def test_what_was_never_a_number_is_refused(ctx: Context, phone: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await make(ctx, phone)
    assert caught.value.code == "phone_number_invalid"
    assert await Contact.all().count() == 0
