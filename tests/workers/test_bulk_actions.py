"""Bulk actions: the effect of each, killed workers, cancellation, and validation."""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts.bulk_actions import (
    CreateBulkAction,
    bulk_action_resource,
    cancel_bulk_action,
    create_bulk_action,
)
from msvs.api.contacts.tags import ChangeTags, tag_contact
from msvs.api.context import Context
from msvs.api.errors import Conflict, InvalidRequest, NotFound, PermissionDenied
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import unit_of_work
from msvs.models import (
    AuditEntry,
    BulkAction,
    BulkStatus,
    Contact,
    ContactList,
    Event,
    ListMember,
    Message,
    Role,
    Suppression,
)
from msvs.workers import bulk_actions
from msvs.workers.stopping import StopFlag
from tests.api.messages.test_statistics import make_message
from tests.factories import make_contact, make_list
from tests.services import SERVICES

AT = datetime.now(UTC)
UNKNOWN_LIST = ids.encode_id(ids.CONTACT_LIST, UUID(int=1))
UNKNOWN_CONTACT = ids.encode_id(ids.CONTACT, UUID(int=1))


async def ask(ctx: Context, action: str, **which: Any) -> BulkAction:
    async with unit_of_work():
        return await create_bulk_action(ctx, CreateBulkAction(action=action, **which))


async def work() -> None:
    while await bulk_actions.run_bulk_action(SERVICES, StopFlag()):
        pass


async def do(ctx: Context, action: str, **which: Any) -> tuple[str, int, int]:
    made = await ask(ctx, action, **which)
    await work()
    row = await BulkAction.get(id=made.id)
    return row.status.value, row.matched, row.changed


async def people(ctx: Context, number: int = 5) -> list[Contact]:
    return [await make_contact(ctx, first_name="Ana" if place % 2 == 0 else "Bea") for place in range(number)]


async def tagged(ctx: Context) -> int:
    rows = await Contact.filter(workspace_id=ctx.workspace_id)
    return sum("webinar" in row.tags for row in rows)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make batches and windows small, so that each action takes several."""
    monkeypatch.setattr(bulk_actions, "BATCH", 2)
    monkeypatch.setattr(bulk_actions, "BATCHES", dict.fromkeys(bulk_actions.BATCHES, 2))
    monkeypatch.setattr(bulk_actions, "WINDOW", 3)


async def test_tags_come_and_go(ctx: Context, other_ctx: Context) -> None:
    await people(ctx)
    await people(other_ctx)
    assert await do(ctx, "tag", search="ana", tags=["Webinar"]) == ("completed", 3, 3)
    assert await do(ctx, "tag", every=True, tags=["webinar"]) == ("completed", 5, 2)
    assert (await tagged(ctx), await tagged(other_ctx)) == (5, 0)
    assert await do(ctx, "untag", tag="webinar", search="bea", tags=["webinar"]) == ("completed", 2, 2)
    assert await tagged(ctx) == 3


async def test_lists_are_filled_and_emptied(ctx: Context) -> None:
    made = await people(ctx)
    row = await make_list(ctx, made[:1])
    id = ids.encode_id(ids.CONTACT_LIST, row.id)
    assert await do(ctx, "add_to_list", search="ana", target_list_id=id) == ("completed", 3, 2)
    assert (await ContactList.get(id=row.id)).contact_count == 3
    named = [ids.encode_id(ids.CONTACT, made[place].id) for place in (0, 1, 2)]
    assert await do(ctx, "remove_from_list", contact_ids=[*named, UNKNOWN_CONTACT], target_list_id=id) == (
        "completed",
        3,
        2,
    )
    assert await ListMember.filter(list_id=row.id).values_list("contact_id", flat=True) == [made[4].id]


async def test_all_are_opted_out_and_stay_so(ctx: Context, other_ctx: Context) -> None:
    await people(ctx)
    theirs = await people(other_ctx, 1)
    assert await do(ctx, "opt_out", every=True) == ("completed", 5, 5)
    assert await do(ctx, "opt_out", every=True) == ("completed", 5, 0)
    rows = await Contact.filter(workspace_id=ctx.workspace_id)
    assert {(row.opt_in_status.value, row.opt_in_source) for row in rows} == {("opted_out", "bulk_action")}
    assert await Suppression.filter(workspace_id=ctx.workspace_id).count() == 5
    assert (await Contact.get(id=theirs[0].id)).opt_in_status.value != "opted_out"


async def test_contacts_are_deleted_with_their_places(ctx: Context) -> None:
    made = await people(ctx)
    row = await make_list(ctx, made)
    async with unit_of_work():
        await tag_contact(ctx, made[0].id, ChangeTags(add=["vip"]))
    assert await do(ctx, "delete", search="ana") == ("completed", 3, 3)
    assert [each.first_name for each in await Contact.all()] == ["Bea", "Bea"]
    assert (await ContactList.get(id=row.id)).contact_count == 2
    assert await db.fetch_value("SELECT contact_count FROM tags") == 0


async def test_a_dry_run_counts_alone(ctx: Context) -> None:
    await people(ctx)
    assert await do(ctx, "delete", search="ana", dry_run=True) == ("completed", 3, 0)
    assert await Contact.all().count() == 5


async def test_those_made_later_are_not_touched(ctx: Context) -> None:
    await people(ctx, 2)
    made = await ask(ctx, "tag", every=True, tags=["webinar"])
    await db.execute("UPDATE bulk_actions SET last_id = (SELECT max(id::text)::uuid FROM contacts)")
    await people(ctx, 2)
    await work()
    assert ((await BulkAction.get(id=made.id)).matched, await tagged(ctx)) == (2, 2)


async def test_attributes_and_times_of_change_are_conditions(ctx: Context) -> None:
    vip, _ = await make_contact(ctx, attributes={"tier": "vip"}), await make_contact(ctx)
    later = datetime.now(UTC) + timedelta(days=300)
    asked: list[dict[str, Any]] = [{"attributes": {"tier": "vip"}}, {"updated_from": later}]
    for place, which in enumerate(asked):
        await Contact.filter(id=vip.id).update(updated_at=later)
        assert await do(ctx, "tag", tags=[f"t{place}"], **which) == ("completed", 1, 1), which
    await Contact.filter(id=vip.id).update(updated_at=later)
    assert await do(ctx, "tag", tags=["young"], updated_before=later) == ("completed", 1, 1)
    assert sorted(list(row.tags) for row in await Contact.all()) == [["t0", "t1"], ["young"]]


async def test_an_erasure_leaves_nothing_of_each_person(ctx: Context, other_ctx: Context) -> None:
    made = await people(ctx)
    theirs = await people(other_ctx, 1)
    for each in (*made, *theirs):
        await make_message(ctx if each in made else other_ctx, AT, contact_id=each.id, to_phone=each.phone, body="Hi")
    row = await make_list(ctx, made)

    assert await do(ctx, "erase", search="ana") == ("completed", 3, 3)

    left = await Contact.filter(workspace_id=ctx.workspace_id)
    assert [each.first_name for each in left] == ["Bea", "Bea"]
    assert (await ContactList.get(id=row.id)).contact_count == 2
    gone = {each.phone for each in made} - {each.phone for each in left}
    told = await Message.filter(workspace_id=ctx.workspace_id)
    assert not gone & {each.to_phone for each in told}
    assert sorted(each.body for each in told) == ["", "", "", "Hi", "Hi"]
    assert await AuditEntry.filter(action="contact.erased").count() == 3
    assert [each.body for each in await Message.filter(workspace_id=other_ctx.workspace_id)] == ["Hi"]
    action = await BulkAction.get()
    assert bulk_action_resource(action).conditions == {}, "the search may name who is erased"


async def test_who_has_a_message_on_its_way_is_erased_later(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await people(ctx, 3)
    sent = await make_message(ctx, AT, contact_id=made[0].id, to_phone=made[0].phone, status="sending")
    action = await ask(ctx, "erase", every=True)
    await work()

    row = await BulkAction.get(id=action.id)
    assert (row.status, row.changed, row.matched) == (BulkStatus.RUNNING, 2, 2)
    assert await Contact.all().values_list("id", flat=True) == [made[0].id]
    assert row.lease_until is not None
    assert not await bulk_actions.has_due(SERVICES, row.lease_until - timedelta(seconds=1))

    await Message.filter(id=sent.id).update(status="delivered")
    await db.execute("UPDATE bulk_actions SET lease_until = now() - interval '1 second'")
    await work()
    row = await BulkAction.get(id=action.id)
    assert (row.status, row.changed, await Contact.all().count()) == (BulkStatus.COMPLETED, 3, 0)


async def test_an_erasure_does_not_wait_forever(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await people(ctx, 2)
    await make_message(ctx, AT, contact_id=made[1].id, to_phone=made[1].phone, status="sending")
    monkeypatch.setattr(bulk_actions, "LONGEST_WAIT", timedelta(seconds=-1))
    action = await ask(ctx, "erase", contact_ids=[ids.encode_id(ids.CONTACT, each.id) for each in made])
    await work()
    row = await BulkAction.get(id=action.id)
    assert row.error is not None
    assert (row.status, row.changed, row.error["code"]) == (BulkStatus.FAILED, 1, "erasure_pending")


async def test_an_erasure_that_is_canceled_meanwhile_does_not_happen(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Canceling waits for no erasure, and the one under way is rolled back."""
    await people(ctx, 2)
    action = await ask(ctx, "erase", every=True)

    async def erase_and_cancel(given: Context, id: UUID) -> Any:
        done = await erase_contact(given, id)

        async def cancel() -> None:
            async with unit_of_work():
                await cancel_bulk_action(ctx, action.id)

        await asyncio.wait_for(asyncio.create_task(cancel(), context=contextvars.Context()), 20)
        return done

    monkeypatch.setattr(bulk_actions, "erase_contact", erase_and_cancel)
    await work()
    row = await BulkAction.get(id=action.id)
    assert (row.status, row.changed, await Contact.all().count()) == (BulkStatus.CANCELED, 0, 2)
    assert await AuditEntry.filter(action="contact.erased").count() == 0


async def test_an_erasure_is_for_those_who_may_erase(ctx: Context) -> None:
    made = await people(ctx, 1)
    for role in (Role.MEMBER, Role.READ_ONLY):
        with pytest.raises(PermissionDenied):
            await ask(replace(ctx, actor="usr_1", role=role), "erase", every=True)
    assert await do(replace(ctx, actor="usr_1", role=Role.MEMBER), "delete", search="nobody") == ("completed", 0, 0)
    assert await Contact.all().values_list("id", flat=True) == [made[0].id]


async def test_an_action_that_keeps_breaking_fails(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await people(ctx, 3)
    action = await ask(ctx, "tag", every=True, tags=["x"])
    change, calls = bulk_actions.change_batch, [0]

    async def breaks(*given: Any) -> int:
        calls[0] += 1
        # The first batch succeeds, and starts the count again.
        if calls[0] != 3:
            raise ValueError
        return await change(*given)

    monkeypatch.setattr(bulk_actions, "change_batch", breaks)
    claims = 0
    while (await BulkAction.get(id=action.id)).ended_at is None:
        claims += 1
        with suppress(ValueError):
            await work()
        await db.execute("UPDATE bulk_actions SET lease_until = now() - interval '1 second'")
    row = await BulkAction.get(id=action.id)
    assert row.error is not None
    assert (row.status, row.error["code"], row.changed) == (BulkStatus.FAILED, "internal_error", 2)
    assert (calls[0], claims) == (4 + bulk_actions.TRIES, 4 + bulk_actions.TRIES)


async def test_its_end_is_an_event_that_names_nobody(ctx: Context) -> None:
    ana = await make_contact(ctx, "+14155550123", attributes={"city": "Recife"})
    named = ids.encode_id(ids.CONTACT, ana.id)
    for which in ({"contact_ids": [named]}, {"search": "14155550123", "tag": "x"}, {"attributes": {"city": "Recife"}}):
        await do(ctx, "tag", tags=["x"], **which)
    events = await Event.filter(type="bulk_action.completed").order_by("id")
    told = [msgspec.json.decode(event.data) for event in events]
    assert [each["status"] for each in told] == ["completed"] * 3
    assert [each["conditions"] for each in told] == [{"tags": ["x"]}, {"tag": "x", "tags": ["x"]}, {"tags": ["x"]}]


@pytest.mark.parametrize("after", range(4))
async def test_what_a_killed_worker_had_not_committed_is_done_once(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    made = await people(ctx, 7)
    row = await make_list(ctx, [])
    id = ids.encode_id(ids.CONTACT_LIST, row.id)
    action = await ask(ctx, "add_to_list", every=True, target_list_id=id)
    change, calls = bulk_actions.change_batch, [0]

    async def killed(*given: Any) -> int:
        calls[0] += 1
        done = await change(*given)
        if calls[0] > after:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as patch:
        patch.setattr(bulk_actions, "change_batch", killed)
        with pytest.raises(KeyboardInterrupt):
            await work()
    await work()
    assert (await BulkAction.get(id=action.id)).ended_at is None, "the lease of the one that died holds"
    await db.execute("UPDATE bulk_actions SET lease_until = now() - interval '1 second'")
    await work()
    done = await BulkAction.get(id=action.id)
    assert (done.status, done.matched, done.changed) == (BulkStatus.COMPLETED, 7, 7)
    assert await ListMember.filter(list_id=row.id).count() == len(made)


async def test_one_that_is_canceled_keeps_what_it_did(ctx: Context, other_ctx: Context) -> None:
    await people(ctx)
    made = await ask(ctx, "tag", every=True, tags=["webinar"])
    with pytest.raises(NotFound):
        await cancel_bulk_action(other_ctx, made.id)
    async with unit_of_work():
        assert (await cancel_bulk_action(ctx, made.id)).status is BulkStatus.CANCELED
    await work()
    async with unit_of_work():
        row = await cancel_bulk_action(ctx, made.id)
    assert (row.status, row.changed, await tagged(ctx)) == (BulkStatus.CANCELED, 0, 0)


async def test_a_list_that_is_gone_ends_it_with_its_reason(ctx: Context) -> None:
    await people(ctx, 1)
    row = await make_list(ctx, [])
    made = await ask(ctx, "add_to_list", every=True, target_list_id=ids.encode_id(ids.CONTACT_LIST, row.id))
    await ContactList.filter(id=row.id).delete()
    await work()
    done = await BulkAction.get(id=made.id)
    assert done.error is not None
    assert (done.status, done.error["code"]) == (BulkStatus.FAILED, "resource_missing")


async def test_an_action_that_ended_forgets_who_is_erased(ctx: Context) -> None:
    ana = await make_contact(ctx, "+14155550123")
    named = ids.encode_id(ids.CONTACT, ana.id)
    await Contact.filter(id=ana.id).update(first_name="Ana", last_name="Silva", email="ana@example.com")
    asked: list[dict[str, Any]] = [
        {"contact_ids": [named]},
        {"search": "14155550123"},
        {"search": "silva, ana"},
        {"attributes": {"mail": "ana@example.com"}},
        {"search": "bea"},
        {"attributes": {"city": "Recife"}},
    ]
    for which in asked:
        await do(ctx, "tag", tags=["webinar"], **which)
    async with unit_of_work():
        await erase_contact(ctx, ana.id)
    rows = await BulkAction.all().order_by("id")
    kept = [bulk_action_resource(row).conditions for row in rows]
    assert kept == [{"tags": ["webinar"], **which} for which in ({}, {}, {}, {}, *asked[4:])]


@pytest.mark.parametrize(
    ("action", "which", "param"),
    [
        ("paint", {"every": True}, "action"),
        ("tag", {"every": True}, "tags"),
        ("tag", {"every": True, "tags": [" "]}, "tags[0]"),
        ("delete", {"every": True, "tags": ["x"]}, "tags"),
        ("delete", {}, "contact_ids"),
        ("delete", {"every": True, "search": "ana"}, "contact_ids"),
        ("delete", {"contact_ids": [], "search": "ana"}, "contact_ids"),
        ("delete", {"contact_ids": ["x"] * 1001}, "contact_ids"),
        ("erase", {"contact_ids": [UNKNOWN_CONTACT, "con_x"]}, "contact_ids[1]"),
        ("tag", {"tags": ["x"], "contact_ids": [UNKNOWN_LIST]}, "contact_ids[0]"),
        ("delete", {"list_id": UNKNOWN_LIST}, "list_id"),
        ("delete", {"opt_in_status": "maybe"}, "opt_in_status"),
        ("delete", {"search": " "}, "search"),
        ("delete", {"search": "", "opt_in_status": "unknown"}, "search"),
        ("delete", {"tag": "vip", "attributes": {}}, "attributes"),
        ("erase", {"attributes": {}}, "attributes"),
        ("erase", {"every": True, "tags": ["x"]}, "tags"),
        ("tag", {"tags": ["x"], "attributes": {"": "x"}}, "attributes"),
        ("add_to_list", {"every": True}, "target_list_id"),
        ("add_to_list", {"every": True, "target_list_id": UNKNOWN_LIST}, "target_list_id"),
    ],
)
async def test_what_cannot_be_is_refused(ctx: Context, action: str, which: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await ask(ctx, action, **which)
    assert refused.value.param == param
    assert (await BulkAction.all().count(), await AuditEntry.all().count()) == (0, 0)


async def test_ten_wait_at_most_and_each_is_in_the_log(ctx: Context) -> None:
    for _ in range(10):
        await ask(ctx, "delete", search="ana", dry_run=True)
    with pytest.raises(Conflict):
        await ask(ctx, "delete", search="ana")
    entries = await AuditEntry.filter(action="bulk_action.created")
    assert [entry.changes for entry in entries] == [{"action": "delete", "dry_run": True, "livemode": False}] * 10
