"""Synced lists: a killed worker loses and duplicates nobody, no sync undoes a STOP, and no error empties a list."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.contacts import sources, sync_hooks, sync_merge, sync_runs
from msvs.api.contacts.contacts import CreateContact, OptInEvidence, create_contact, opt_out_contact
from msvs.api.contacts.source_options import NewSource, UpdateSource
from msvs.api.context import Context
from msvs.api.errors import ApiError, Conflict
from msvs.api.pages import PageRequest
from msvs.api.privacy.erasure import erase_contact
from msvs.api.unit_of_work import unit_of_work
from msvs.connectors.base import (
    ClaimStatus,
    ConsentClaim,
    CredentialsRefused,
    Gone,
    PersonState,
    RateLimited,
    Unavailable,
)
from msvs.http_client import HttpClient
from msvs.models import (
    AuditEntry,
    ConsentEvent,
    Contact,
    ContactList,
    Event,
    ListMember,
    ListSource,
    ListSync,
    Notification,
    Role,
    SourceStatus,
    SyncStatus,
    SyncTrigger,
)
from msvs.workers import syncs
from msvs.workers.stopping import StopFlag
from tests.services import SERVICES
from tests.workers.fake_service import KIND, SECRET, FakeConnector, Service, serving

MARIA, JOAO, ZOE, ANA = "+12125550140", "+5511961234567", "+14155550123", "+12125550141"
SETTINGS = {"api_key": "key-1"}
HOUR = timedelta(hours=1)
EVIDENCE = OptInEvidence("webinar", text="Text me about Cohort 06.")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    SERVICES.keyring.seal_with(SECRET)
    async with serving() as found:
        found.put("1", MARIA, "Maria")
        found.put("2", "(415) 555-0123", "Zoë")
        found.put("3", JOAO, "João")
        yield found


async def connect(ctx: Context, kind: str = KIND, **options: Any) -> ContactList:
    options = {"settings": SETTINGS, "default_region": "US", **options}
    async with unit_of_work():
        return await sources.create_synced_list(ctx, "Cohort 06", NewSource(type=kind, **options))


async def work(stop: StopFlag | None = None) -> int:
    http = HttpClient(SERVICES.address_policy)
    try:
        return await syncs.run_syncs(SERVICES, http, stop=stop)
    finally:
        await http.close()


async def act(operation: Any, ctx: Context, row: ContactList, *values: Any) -> Any:
    async with unit_of_work():
        return await operation(ctx, row.id, *values)


async def synced(ctx: Context, kind: str = KIND, **options: Any) -> ContactList:
    """Return a list whose dry run is confirmed and whose first sync is complete."""
    row = await connect(ctx, kind, **options)
    await work()
    await act(sources.confirm_sync, ctx, row)
    await work()
    assert (await source_of(row)).status is SourceStatus.ACTIVE
    return row


async def sync_now(ctx: Context, row: ContactList, *, full: bool = False) -> ListSync:
    if full:
        await ListSource.filter(list_id=row.id).update(bookmark=None)
    async with unit_of_work():
        source = await sources.hold_source(ctx, row.id)
        assert source is not None
        since = None if full else source.bookmark
        sync = await sources.begin_sync(ctx, source, SyncTrigger.MANUAL, since=since)
    await work()
    return await ListSync.get(id=sync.id)


async def source_of(row: ContactList) -> ListSource:
    return await ListSource.get(list_id=row.id)


async def last_sync(row: ContactList) -> ListSync:
    found = await ListSync.filter(list_id=row.id).order_by("-id").first()
    assert found is not None
    return found


async def members(row: ContactList) -> set[str]:
    found = await ListMember.filter(list_id=row.id).values_list("contact_id", flat=True)
    people = {each.phone for each in await Contact.filter(id__in=list(found))}
    assert (await ContactList.get(id=row.id)).contact_count == len(people)
    return people


async def nothing_staged() -> None:
    assert await db.fetch_value("SELECT count(*) FROM import_rows") == 0


# Lifecycle of a synced list


async def test_a_dry_run_shows_what_would_come_and_changes_nothing(ctx: Context, service: Service) -> None:
    service.put("4", "12")
    row = await connect(ctx)
    await work()

    sync, source = await last_sync(row), await source_of(row)
    assert (sync.status, sync.is_dry_run, sync.trigger) == (SyncStatus.COMPLETED, True, SyncTrigger.CREATED)
    assert sync.counts == {"people": 4, "created": 3, "invalid": 1}
    assert [(each["phone"], each["first_name"], each["status"]) for each in sync.samples] == [
        (MARIA, "Maria", "created"),
        (ZOE, "Zoë", "created"),
        (JOAO, "João", "created"),
    ]
    assert sync.problems == [{"external_id": "4", "reason": "it is not a valid phone number"}]
    assert (source.status, source.account) == (SourceStatus.CHECKED, "Cohort Labs")
    assert source.mapping == {"phone": "phone", "first": "first_name", "tier": "attributes.tier"}
    assert await Contact.all().count() == 0
    assert (row.kind, await members(row)) == ("synced", set())
    await nothing_staged()
    assert await work() == 0, "the list waits for confirmation"


async def test_a_confirmed_list_holds_who_is_there(ctx: Context, service: Service) -> None:
    row = await synced(ctx)

    sync, source = await last_sync(row), await source_of(row)
    assert sync.counts == {"people": 3, "created": 3, "added_to_list": 3}
    assert await members(row) == {MARIA, ZOE, JOAO}
    assert {each.opt_in_status.value for each in await Contact.all()} == {"unknown"}
    assert (source.bookmark, source.error) == ("3", None)
    assert source.next_sync_at is not None
    assert {each.status for each in await ListSync.all()} == {SyncStatus.COMPLETED}
    assert [each.samples for each in await ListSync.all()] == [[], []]
    events = await Event.filter(type="list.sync.completed").order_by("id")
    told = msgspec.json.decode(events[-1].data)
    assert (told["id"], told["counts"]["created"], told["samples"]) == (ids.encode_id(ids.LIST_SYNC, sync.id), 3, [])
    await nothing_staged()


async def test_later_syncs_read_changes_and_who_is_gone_leaves_after_a_whole_walk(
    ctx: Context, service: Service
) -> None:
    row = await synced(ctx)
    service.pages.clear()
    service.put("4", ANA, "Ana")
    del service.people["2"]

    sync = await sync_now(ctx, row)
    assert (sync.is_full, sync.counts) == (False, {"people": 1, "created": 1, "added_to_list": 1})
    assert service.pages == [("3", None)]
    assert await members(row) == {MARIA, ZOE, JOAO, ANA}

    sync = await sync_now(ctx, row, full=True)
    assert sync.counts == {"people": 3, "unchanged": 3, "left": 1, "removed_from_list": 1}
    assert await members(row) == {MARIA, JOAO, ANA}
    assert await Contact.filter(phone=ZOE, opt_in_status="unknown").exists(), "the contact stays"


async def test_who_left_is_taken_off_at_once_where_the_service_says_so(ctx: Context, service: Service) -> None:
    row = await synced(ctx)
    service.people["9"] = service.people.pop("2")
    service.put("2", ZOE, state=PersonState.LEFT)
    service.people["2"], service.people["9"] = service.people["2"], service.people["9"]
    service.people = {"4": service.people["2"].__class__("2", state=PersonState.DELETED)}

    sync = await sync_now(ctx, row)
    assert sync.counts == {"left": 1, "removed_from_list": 1}
    assert await members(row) == {MARIA, JOAO}


async def test_those_who_left_stay_on_a_list_that_says_so(ctx: Context, service: Service) -> None:
    row = await synced(ctx, removal="stay")
    del service.people["2"]
    sync = await sync_now(ctx, row, full=True)
    assert sync.counts == {"people": 2, "unchanged": 2, "left": 1}
    assert await members(row) == {MARIA, ZOE, JOAO}


async def test_a_changed_phone_is_another_contact_on_the_list(ctx: Context, service: Service) -> None:
    row = await synced(ctx)
    service.put("1", ANA, "Maria")
    sync = await sync_now(ctx, row, full=True)
    assert sync.counts == {
        "people": 3,
        "unchanged": 2,
        "created": 1,
        "added_to_list": 1,
        "removed_from_list": 1,
    }
    assert await members(row) == {ANA, ZOE, JOAO}


async def test_two_people_of_one_phone_are_one_contact_that_leaves_with_the_last(
    ctx: Context, service: Service
) -> None:
    service.put("4", MARIA, "Mary")
    row = await synced(ctx)
    assert (await last_sync(row)).counts == {"people": 4, "created": 3, "duplicate": 1, "added_to_list": 3}
    del service.people["1"]
    assert (await sync_now(ctx, row, full=True)).counts == {"people": 3, "unchanged": 3, "left": 1}
    assert await members(row) == {MARIA, ZOE, JOAO}
    del service.people["4"]
    assert (await sync_now(ctx, row, full=True)).counts["removed_from_list"] == 1
    assert await members(row) == {ZOE, JOAO}


@pytest.mark.parametrize(("rule", "name"), [("overwrite", "Maria"), ("fill", "Mary"), ("skip", "Mary")])
async def test_the_rule_says_what_becomes_of_contacts_that_are_there(
    ctx: Context, service: Service, rule: str, name: str
) -> None:
    async with unit_of_work():
        await create_contact(ctx, CreateContact(MARIA, first_name="Mary"))
    await synced(ctx, update=rule)
    assert (await Contact.get(phone=MARIA)).first_name == name


async def test_a_list_that_would_lose_most_of_its_people_waits_to_be_confirmed(ctx: Context, service: Service) -> None:
    service.page_size = 50
    for number in range(4, 24):
        service.put(str(number), f"+121255501{number:02}")
    row = await synced(ctx)
    assert len(await members(row)) == 23
    service.people = {"1": service.people["1"]}

    sync = await sync_now(ctx, row, full=True)
    source = await source_of(row)
    assert (sync.status, source.status) == (SyncStatus.HELD, SourceStatus.STOPPED)
    message = "22 of 23 people are no longer there: confirm that they leave the list."
    assert source.error == {"code": "list_shrank", "message": message}
    assert len(await members(row)) == 23
    assert await work() == 0

    await act(sources.confirm_sync, ctx, row)
    await work()
    assert await members(row) == {MARIA}
    assert (await ListSync.get(id=sync.id)).status is SyncStatus.COMPLETED


async def test_a_walk_that_was_not_whole_takes_nobody_off(ctx: Context, service: Service) -> None:
    row = await synced(ctx)
    del service.people["2"]
    service.is_complete = False
    assert (await sync_now(ctx, row, full=True)).counts == {"people": 2, "unchanged": 2}
    assert len(await members(row)) == 3


async def test_who_a_lagging_walk_missed_is_asked_for_first(ctx: Context, service: Service) -> None:
    row = await synced(ctx, "looking")
    service.lagging = {"1"}
    del service.people["2"]
    sync = await sync_now(ctx, row, full=True)
    assert sorted(service.asked) == ["1", "2"]
    assert sync.counts == {"people": 2, "unchanged": 2, "left": 1, "removed_from_list": 1}
    assert await members(row) == {MARIA, JOAO}


# Consent


async def test_evidence_for_all_opts_in_who_is_unknown_and_not_who_left_the_mails(
    ctx: Context, service: Service
) -> None:
    service.put("4", ANA, is_unsubscribed=True)
    row = await connect(ctx, evidence=EVIDENCE)
    await work()
    assert (await last_sync(row)).counts["opted_in"] == 3
    await act(sources.confirm_sync, ctx, row)
    await work()
    assert (await last_sync(row)).counts["opted_in"] == 3
    assert {each.phone: each.opt_in_status.value for each in await Contact.all()} == {
        MARIA: "opted_in",
        ZOE: "opted_in",
        JOAO: "opted_in",
        ANA: "unknown",
    }
    entry = await ConsentEvent.filter(phone=MARIA).get()
    assert (entry.source, entry.text) == ("webinar", "Text me about Cohort 06.")


async def test_consent_that_the_service_reports_keeps_its_own_evidence(ctx: Context, service: Service) -> None:
    given = datetime(2026, 4, 22, 9, 30, tzinfo=UTC)
    service.put(
        "1", MARIA, consent=ConsentClaim(ClaimStatus.OPTED_IN, given, "checkout", "Text me offers.", "203.0.113.4")
    )
    service.put("2", ZOE, consent=ConsentClaim(ClaimStatus.OPTED_OUT, given, "checkout"))
    await synced(ctx)
    entry = await ConsentEvent.filter(phone=MARIA).get()
    assert (entry.status, entry.source, entry.text, entry.ip, entry.given_at) == (
        "opted_in",
        "checkout",
        "Text me offers.",
        "203.0.113.4",
        given,
    )
    zoe = await Contact.get(phone=ZOE)
    assert (zoe.opt_in_status, zoe.opt_in_source) == ("opted_out", "sync with Cohort Labs")
    assert (await Contact.get(phone=JOAO)).opt_in_status == "unknown"


async def test_an_opt_out_there_from_before_the_word_here_changes_nothing(ctx: Context, service: Service) -> None:
    async with unit_of_work():
        await create_contact(ctx, CreateContact(MARIA, opt_in=OptInEvidence("webinar")))
        await create_contact(ctx, CreateContact(ZOE, opt_in=OptInEvidence("webinar")))
    old, new = datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC)
    service.put("1", MARIA, consent=ConsentClaim(ClaimStatus.OPTED_OUT, old, "checkout"))
    service.put("2", ZOE, consent=ConsentClaim(ClaimStatus.OPTED_OUT, new, "checkout"))
    await synced(ctx)
    assert (await Contact.get(phone=MARIA)).opt_in_status == "opted_in"
    assert (await Contact.get(phone=ZOE)).opt_in_status == "opted_out"


async def test_a_stop_here_is_never_undone_by_a_sync(ctx: Context, service: Service) -> None:
    claim = ConsentClaim(ClaimStatus.OPTED_IN, datetime.now(UTC), "checkout")
    service.put("1", MARIA, "Maria", consent=claim)
    row = await synced(ctx, evidence=EVIDENCE, update="overwrite")
    maria = await Contact.get(phone=MARIA)
    async with unit_of_work():
        await opt_out_contact(ctx, maria.id, source="keyword")
    service.put("1", MARIA, "Mary", consent=claim)
    sync = await sync_now(ctx, row, full=True)
    assert sync.counts == {"people": 3, "unchanged": 2, "suppressed": 1}
    maria = await Contact.get(phone=MARIA)
    assert (maria.first_name, maria.opt_in_status) == ("Mary", "opted_out")


async def test_a_stop_between_two_pages_holds(ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async with unit_of_work():
        joao = await create_contact(ctx, CreateContact(JOAO))
    row = await connect(ctx, evidence=EVIDENCE)
    await work()
    await act(sources.confirm_sync, ctx, row)
    real = FakeConnector.fetch_page

    async def stop_then_fetch(self: Any, *, since: str | None = None, cursor: str | None = None) -> Any:
        if cursor is not None:
            async with unit_of_work():
                await opt_out_contact(ctx, joao.id, source="keyword")
        return await real(self, since=since, cursor=cursor)

    monkeypatch.setattr(FakeConnector, "fetch_page", stop_then_fetch)
    await work()
    assert (await last_sync(row)).counts == {
        "people": 3,
        "created": 2,
        "suppressed": 1,
        "added_to_list": 3,
        "opted_in": 2,
    }
    assert (await Contact.get(phone=JOAO)).opt_in_status == "opted_out"


# Erasure


async def test_who_was_erased_comes_back_by_no_sync(ctx: Context, service: Service) -> None:
    row = await synced(ctx)
    maria = await Contact.get(phone=MARIA)
    async with unit_of_work():
        await erase_contact(ctx, maria.id)
    held = "SELECT count(*) FROM source_people WHERE external_id = '1' OR contact_id = $1"
    assert await db.fetch_value(held, maria.id) == 0
    service.put("1", MARIA, "Mary")
    sync = await sync_now(ctx, row, full=True)
    assert sync.counts == {"people": 3, "unchanged": 2, "erased": 1}
    assert {each.phone for each in await Contact.all()} == {ZOE, JOAO}
    assert await db.fetch_value(held, maria.id) == 0


async def test_who_is_erased_while_their_page_is_read_is_left_out(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with unit_of_work():
        joao = await create_contact(ctx, CreateContact(JOAO))
    row = await connect(ctx)
    await work()
    assert (await last_sync(row)).samples
    await act(sources.confirm_sync, ctx, row)
    real = FakeConnector.fetch_page

    async def erase_after_fetch(self: Any, *, since: str | None = None, cursor: str | None = None) -> Any:
        page = await real(self, since=since, cursor=cursor)
        if cursor is not None:
            async with unit_of_work():
                await erase_contact(ctx, joao.id)
        return page

    monkeypatch.setattr(FakeConnector, "fetch_page", erase_after_fetch)
    await work()
    assert (await last_sync(row)).counts == {"people": 3, "created": 2, "erased": 1, "added_to_list": 2}
    assert {each.phone for each in await Contact.all()} == {MARIA, ZOE}


async def test_samples_go_when_somebody_is_erased(ctx: Context, service: Service) -> None:
    async with unit_of_work():
        maria = await create_contact(ctx, CreateContact(MARIA))
    row = await connect(ctx)
    await work()
    async with unit_of_work():
        await erase_contact(ctx, maria.id)
    assert (await last_sync(row)).samples == []


# Errors


async def test_refused_credentials_stop_the_list_and_tell_its_owner(live_ctx: Context, service: Service) -> None:
    row = await synced(live_ctx)
    member = await make_member(live_ctx)
    service.errors = [CredentialsRefused("Fake refuses the API key.", setting="api_key")]
    sync = await sync_now(live_ctx, row)

    source = await source_of(row)
    told = {"code": "credentials_refused", "message": "Fake refuses the API key.", "setting": "api_key"}
    assert (sync.status, sync.error) == (SyncStatus.FAILED, told)
    assert (source.status, source.error) == (SourceStatus.STOPPED, told)
    note = await Notification.get(user_id=member)
    assert (note.kind, note.data) == ("list_sync_stopped", {"name": "Cohort 06", "reason": "credentials_refused"})
    assert await Event.filter(type="list.sync.failed").count() == 1
    assert await work() == 0, "a stopped list does not retry"
    assert len(await members(row)) == 3

    update = UpdateSource(settings={"api_key": "key-2"})
    await act(sources.update_source, live_ctx, row, update)
    await work()
    assert ((await source_of(row)).status, (await last_sync(row)).status) == (
        SourceStatus.ACTIVE,
        SyncStatus.COMPLETED,
    )


async def make_member(ctx: Context) -> Any:
    from msvs.models import Membership, User

    user = await User.create(name="Ana", email="ana@cohortlabs.co", password_hash="x")
    await Membership.create(workspace_id=ctx.workspace_id, user_id=user.id, role=Role.OWNER)
    return user.id


async def test_a_tag_that_is_gone_empties_no_list(ctx: Context, service: Service) -> None:
    row = await synced(ctx)
    service.errors = [Gone("The tag is gone.", setting="tag_id")]
    await sync_now(ctx, row, full=True)
    assert (await source_of(row)).status is SourceStatus.STOPPED
    assert len(await members(row)) == 3


async def test_a_service_that_is_away_is_tried_again_from_the_page_it_failed(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await connect(ctx)
    await work()
    await act(sources.confirm_sync, ctx, row)
    service.pages.clear()
    service.errors = [None, None, RateLimited("Slow down.", retry_after=600), None, Unavailable("Away.")]
    before = datetime.now(UTC)
    await work()
    sync = await last_sync(row)
    assert (sync.status, sync.cursor, sync.attempt_count) == (SyncStatus.RUNNING, "2", 1)
    assert timedelta(seconds=600) <= sync.due_at - before <= timedelta(seconds=730)
    assert sync.error == {"code": "rate_limited", "message": "Slow down."}
    assert await work() == 0
    await make_due(row)
    await work()
    assert (await last_sync(row)).counts == {"people": 3, "created": 3, "added_to_list": 3}
    assert service.pages == [(None, None), (None, "2")]


async def make_due(row: ContactList) -> None:
    await ListSync.filter(list_id=row.id, status__in=sync_runs.RUNS).update(due_at=datetime.now(UTC) - HOUR)


async def test_what_stays_away_fails_and_comes_again_by_schedule(ctx: Context, service: Service) -> None:
    row = await synced(ctx)
    service.errors = [Unavailable("Away.") for _ in range(sync_runs.MAX_ATTEMPTS)]
    sync = await sync_now(ctx, row)
    for _ in range(sync_runs.MAX_ATTEMPTS - 1):
        await make_due(row)
        await work()
    sync, source = await ListSync.get(id=sync.id), await source_of(row)
    assert (sync.status, sync.attempt_count) == (SyncStatus.FAILED, sync_runs.MAX_ATTEMPTS)
    assert (source.status, source.failure_count) == (SourceStatus.ACTIVE, 1)
    assert source.next_sync_at is not None
    await ListSource.filter(id=source.id).update(next_sync_at=datetime.now(UTC) - HOUR)
    await work()
    assert ((await last_sync(row)).trigger, (await last_sync(row)).status) == (
        SyncTrigger.SCHEDULE,
        SyncStatus.COMPLETED,
    )
    assert (await source_of(row)).failure_count == 0


async def test_without_a_field_of_phones_nothing_is_read(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await connect(ctx, mapping={"first": "first_name"})
    await work()
    source = await source_of(row)
    assert source.status is SourceStatus.STOPPED
    assert source.error is not None
    assert (source.error["code"], source.error["setting"]) == ("mapping_missing", "mapping")
    assert [each["key"] for each in source.columns] == ["phone", "first", "tier"]
    await act(sources.update_source, ctx, row, UpdateSource(mapping={"phone": "phone"}))
    await work()
    assert (await source_of(row)).status is SourceStatus.CHECKED


async def test_a_single_use_token_is_kept_before_anything_can_go_wrong(ctx: Context, service: Service) -> None:
    row = await connect(ctx, "rotating")
    await work()
    assert sources.open_settings(ctx, await source_of(row))["api_key"] == service.token
    assert service.token != "key-1"


async def test_a_list_that_breaks_its_worker_leaves_the_others_their_turn(ctx: Context, service: Service) -> None:
    first, second = await connect(ctx), await connect(ctx)
    service.errors = [RuntimeError("a bug in a connector")]

    with pytest.raises(RuntimeError):
        await work()

    assert (await source_of(first)).status is SourceStatus.CHECKING
    assert (await source_of(second)).status is SourceStatus.CHECKED
    assert await work() == 0, "the first list is leased until its lease expires"
    await ListSource.filter(list_id=first.id).update(lease_until=await db.now() - HOUR)
    await work()
    assert (await source_of(first)).status is SourceStatus.CHECKED


# Interruptions


async def test_a_list_that_keeps_breaking_its_worker_stops_with_its_reason(
    live_ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await synced(live_ctx)
    async with unit_of_work():
        source = await sources.hold_source(live_ctx, row.id)
        assert source is not None
        await sources.begin_sync(live_ctx, source, SyncTrigger.MANUAL)
    real = sync_merge.take_people
    calls = 0

    async def breaks(*given: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        # The second page succeeds once, which starts the count again.
        if calls == 2:
            return await real(*given, **options)
        raise ZeroDivisionError

    monkeypatch.setattr(sync_merge, "take_people", breaks)
    while (await source_of(row)).status is SourceStatus.ACTIVE:
        with suppress(ZeroDivisionError):
            await work()
        await ListSource.all().update(lease_until=datetime.now(UTC) - HOUR)
    assert calls == 3 + sync_runs.TRIES
    found, sync = await source_of(row), await last_sync(row)
    assert found.error is not None
    assert (found.error["code"], sync.status, found.tries) == ("interrupted", SyncStatus.FAILED, 0)
    assert await Event.filter(type="list.sync.failed").count() == 1
    assert await members(row) == {MARIA, ZOE, JOAO}

    monkeypatch.setattr(sync_merge, "take_people", real)
    await act(sources.sync_list, live_ctx, row)
    await work()
    assert ((await source_of(row)).status, (await last_sync(row)).status) == ("active", "completed")


async def test_pausing_stops_after_the_page_and_resuming_goes_on_from_there(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await connect(ctx)
    await work()
    await act(sources.confirm_sync, ctx, row)
    service.pages.clear()
    real = FakeConnector.fetch_page

    async def pause_then_fetch(self: Any, *, since: str | None = None, cursor: str | None = None) -> Any:
        page = await real(self, since=since, cursor=cursor)
        if cursor is not None:
            await act(sources.pause_sync, ctx, row)
        return page

    monkeypatch.setattr(FakeConnector, "fetch_page", pause_then_fetch)
    await work()
    assert (await last_sync(row)).cursor == "2"
    assert len(await members(row)) == 2
    with pytest.raises(Conflict) as refused:
        await act(sources.sync_list, ctx, row)
    assert refused.value.code == "source_state"
    monkeypatch.setattr(FakeConnector, "fetch_page", real)
    await act(sources.resume_sync, ctx, row)
    await work()
    assert service.pages == [(None, None), (None, "2"), (None, "2")]
    assert (await last_sync(row)).counts == {"people": 3, "created": 3, "added_to_list": 3}


@pytest.mark.parametrize("operation", [sources.disconnect_list, sources.delete_list])
async def test_disconnecting_in_the_midst_keeps_the_contacts_and_ends_the_sync(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch, operation: Any
) -> None:
    row = await connect(ctx)
    await work()
    await act(sources.confirm_sync, ctx, row)
    real = FakeConnector.fetch_page

    async def disconnect_then_fetch(self: Any, *, since: str | None = None, cursor: str | None = None) -> Any:
        page = await real(self, since=since, cursor=cursor)
        if cursor is not None:
            await act(operation, ctx, row)
        return page

    monkeypatch.setattr(FakeConnector, "fetch_page", disconnect_then_fetch)
    await work()
    assert {each.phone for each in await Contact.all()} == {MARIA, ZOE}
    assert await ListSource.all().count() == 0
    for table in sources.OF_SOURCE:
        assert await db.fetch_value(f"SELECT count(*) FROM {table}") == 0, table
    if operation is sources.disconnect_list:
        assert (await ContactList.get(id=row.id)).kind == "static"
        assert await members(row) == {MARIA, ZOE}
        assert (await last_sync(row)).status is SyncStatus.CANCELED
        with pytest.raises(Conflict) as refused:
            await act(sources.sync_list, ctx, row)
        assert refused.value.code == "list_not_synced"
    else:
        assert await ListSync.all().count() == 0


async def test_of_two_workers_one_alone_has_a_source(ctx: Context, service: Service) -> None:
    row = await connect(ctx)
    now = await db.now()
    first = await sync_runs.claim_source(ids.new_id(), now)
    assert first is not None
    assert (first.id, first.tries) == ((await source_of(row)).id, 1)
    assert await sync_runs.claim_source(ids.new_id(), now) is None
    assert not await sync_runs.has_due_sources(now)
    later = now + sync_runs.LEASE + timedelta(seconds=1)
    assert await sync_runs.has_due_sources(later)
    second = await sync_runs.claim_source(ids.new_id(), later)
    assert second is not None
    assert (second.id, second.tries) == (first.id, 2)


async def test_who_lost_the_lease_writes_nothing(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await connect(ctx)
    await work()
    await act(sources.confirm_sync, ctx, row)
    real = FakeConnector.fetch_page

    async def lose(self: Any, *, since: str | None = None, cursor: str | None = None) -> Any:
        page = await real(self, since=since, cursor=cursor)
        await ListSource.filter(list_id=row.id).update(lease_token=ids.new_id(), lease_until=datetime.now(UTC) + HOUR)
        return page

    monkeypatch.setattr(FakeConnector, "fetch_page", lose)
    await work()
    assert await Contact.all().count() == 0
    assert (await last_sync(row)).cursor is None


class Killed(BaseException):
    """Stands for the process being killed between two statements."""


async def test_a_kill_at_any_statement_costs_nothing_and_doubles_nothing(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill the job at its first statement, then at its second, and so on, until one run completes."""
    monkeypatch.setattr(sync_runs, "LEASE", timedelta())
    monkeypatch.setattr(sync_runs, "TRIES", 300)
    async with unit_of_work():
        await create_contact(ctx, CreateContact(ZOE))
    row = await synced(ctx, evidence=EVIDENCE, settings={**SETTINGS, "opt_out_tag": "7"})
    del service.people["3"]
    service.put("4", ANA, "Ana")
    service.put("5", "+12125550142", "Eva")
    maria = await Contact.get(phone=MARIA)
    async with unit_of_work():
        await opt_out_contact(ctx, maria.id, source="keyword")
        source = await sources.hold_source(ctx, row.id)
        assert source is not None
        await sources.begin_sync(ctx, source, SyncTrigger.MANUAL)
    burnt, length = 0, 0
    real = {name: getattr(db, name) for name in ("fetch", "fetch_row", "fetch_value", "execute", "copy_encoded")}

    def dying(name: str) -> Any:
        async def call(*values: Any, **options: Any) -> Any:
            nonlocal burnt
            burnt += 1
            if burnt > length:
                raise Killed
            return await real[name](*values, **options)

        return call

    names = ("workers.syncs", "api.contacts.import_merge", "api.contacts.sync_merge", "api.contacts.sync_runs")
    for module in (*names, "api.consent.consent", "api.webhooks.events", "api.contacts.sources"):
        for name in real:
            monkeypatch.setattr(f"msvs.{module}.{name}", dying(name), raising=False)
    for most in range(300):
        burnt, length = 0, most
        try:
            await work()
        except Killed:
            continue
        if (await last_sync(row)).status is SyncStatus.COMPLETED:
            break

    sync = await last_sync(row)
    assert length > 15, "the job was killed at many statements"
    assert sync.status is SyncStatus.COMPLETED
    assert sync.counts == {
        "people": 4,
        "unchanged": 2,
        "created": 2,
        "left": 1,
        "added_to_list": 2,
        "removed_from_list": 1,
        "opted_in": 2,
    }
    assert await members(row) == {MARIA, ZOE, ANA, "+12125550142"}
    assert await ConsentEvent.filter(status="opted_in").count() == 5
    assert await Event.filter(type="list.sync.completed").count() == 3
    assert {id for id, _ in service.opted_out} == {"1"}
    assert await db.fetch_value("SELECT count(*) FROM opt_out_writes WHERE state = 'done'") == 1
    await nothing_staged()


# Opt-out write-back


async def test_an_opt_out_here_is_told_once(ctx: Context, service: Service) -> None:
    await synced(ctx, settings={**SETTINGS, "opt_out_tag": "7"})
    maria = await Contact.get(phone=MARIA)
    async with unit_of_work():
        await opt_out_contact(ctx, maria.id, source="keyword")
    await work()
    await work()
    maria = await Contact.get(phone=MARIA)
    assert service.opted_out == [("1", maria.opt_in_at)]


async def test_an_opt_out_that_is_taken_back_is_not_told(ctx: Context, service: Service) -> None:
    await synced(ctx, settings={**SETTINGS, "opt_out_tag": "7"})
    maria = await Contact.get(phone=MARIA)

    async def opt_out_and_break() -> None:
        async with unit_of_work():
            await opt_out_contact(ctx, maria.id, source="keyword")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await opt_out_and_break()
    await work()
    assert service.opted_out == []


async def test_an_opt_out_is_told_again_until_the_service_takes_it(ctx: Context, service: Service) -> None:
    await synced(ctx, settings={**SETTINGS, "opt_out_tag": "7"})
    maria = await Contact.get(phone=MARIA)
    async with unit_of_work():
        await opt_out_contact(ctx, maria.id, source="keyword")
    service.errors = [Unavailable("Away.")]
    await work()
    assert service.opted_out == []
    assert await work() == 0
    await db.execute("UPDATE opt_out_writes SET next_attempt_at = now()")
    await work()
    assert [id for id, _ in service.opted_out] == ["1"]


async def test_who_had_opted_out_before_they_came_is_told_too(ctx: Context, service: Service) -> None:
    async with unit_of_work():
        maria = await create_contact(ctx, CreateContact(MARIA))
        await opt_out_contact(ctx, maria.id, source="keyword")
    await synced(ctx, settings={**SETTINGS, "opt_out_tag": "7"})
    await work()
    assert [id for id, _ in service.opted_out] == ["1"]


async def test_without_its_setting_no_service_is_told(ctx: Context, service: Service) -> None:
    row = await synced(ctx)
    maria = await Contact.get(phone=MARIA)
    async with unit_of_work():
        await opt_out_contact(ctx, maria.id, source="keyword")
    await work()
    assert (service.opted_out, (await source_of(row)).writes_opt_outs) == ([], False)
    assert await db.fetch_value("SELECT count(*) FROM opt_out_writes") == 0


# Refused requests


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"settings": {}}, ("parameter_invalid", "source.settings.api_key")),
        ({"settings": {**SETTINGS, "tag_id": "x"}}, ("parameter_invalid", "source.settings.tag_id")),
        ({"settings": {**SETTINGS, "color": "x"}}, ("parameter_invalid", "source.settings.color")),
        ({"settings": {**SETTINGS, "tag_id": 7}}, ("parameter_invalid", "source.settings.tag_id")),
        ({"default_region": "XX"}, ("parameter_invalid", "source.default_region")),
        ({"update": "merge"}, ("parameter_invalid", "source.update")),
        ({"removal": "erase"}, ("parameter_invalid", "source.removal")),
        ({"every_minutes": 1}, ("parameter_out_of_range", "source.every_minutes")),
        ({"mapping": {"phone": "fax"}}, ("parameter_invalid", "source.mapping")),
        ({"mapping": {"a": "email", "b": "email"}}, ("parameter_invalid", "source.mapping")),
        ({"evidence": OptInEvidence()}, ("parameter_missing", "source.evidence.source")),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_no_trace(
    ctx: Context, service: Service, options: dict[str, Any], refusal: tuple[str, str]
) -> None:
    with pytest.raises(ApiError) as refused:
        await connect(ctx, **options)
    assert (refused.value.code, refused.value.param) == refusal
    assert (await ContactList.all().count(), await ListSource.all().count(), await AuditEntry.all().count()) == (
        0,
        0,
        0,
    )


async def test_secrets_are_sealed_and_never_shown(ctx: Context, service: Service) -> None:
    row = await synced(ctx, settings={"api_key": "very-secret", "tag_id": "7"})
    source = await source_of(row)
    assert source.settings == {"tag_id": "7"}
    stored = await db.fetch_value("SELECT string_agg(s::text, '') FROM list_sources AS s")
    shown = msgspec.json.encode(await sources.list_resource(ctx, row)).decode()
    entries = [each.changes for each in await AuditEntry.all()]
    assert "very-secret" not in stored + shown + str(entries)
    assert entries == [
        {"type": KIND, "livemode": False},
        {"type": KIND, "status": ["checked", "active"], "livemode": False},
    ]
    await act(sources.update_source, ctx, row, UpdateSource(settings={"tag_id": "8"}))
    assert sources.open_settings(ctx, await source_of(row))["api_key"] == "very-secret"


async def test_another_workspace_or_mode_sees_and_changes_nothing(
    ctx: Context, live_ctx: Context, other_ctx: Context, service: Service
) -> None:
    row = await synced(ctx)
    for stranger in (live_ctx, other_ctx):
        for operation in (sources.sync_list, sources.confirm_sync, sources.pause_sync, sources.resume_sync):
            with pytest.raises(ApiError) as refused:
                await act(operation, stranger, row)
            assert refused.value.status == 404
        for operation in (sources.disconnect_list, sources.delete_list):
            with pytest.raises(ApiError):
                await act(operation, stranger, row)
        with pytest.raises(ApiError):
            await act(sources.update_source, stranger, row, UpdateSource(removal="stay"))
        with pytest.raises(ApiError):
            await sources.list_syncs(stranger, row.id, PageRequest())
    assert (await source_of(row)).status is SourceStatus.ACTIVE
    assert await members(row) == {MARIA, ZOE, JOAO}


# People posted to the hook URL


async def hook_list(ctx: Context, **options: Any) -> tuple[ContactList, str]:
    row = await connect(ctx, "hook", settings={}, **options)
    url = sources.hook_url(ctx, await source_of(row))
    assert url is not None
    return row, url.rpartition("/")[2]


async def post(token: str, *people: dict[str, str], **headers: str) -> sync_hooks.HookAnswer:
    source = await sync_hooks.find_source(token)
    told = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await sync_hooks.take_delivery(SERVICES, source, told, msgspec.json.encode(list(people)))


async def test_people_who_are_posted_come_onto_the_list_once(ctx: Context, service: Service) -> None:
    row, token = await hook_list(ctx, mapping={"phone": "phone", "name": "full_name"})
    answer = await post(token, {"phone": MARIA, "name": "Maria Silva"}, {"phone": "12", "email": "eva@example.com"})
    assert (answer.status, answer.counts.created, answer.counts.invalid) == ("taken", 1, 1)
    assert [each.reason for each in answer.invalid] == ["it is not a valid phone number"]
    assert (
        await post(token, {"phone": MARIA, "name": "Maria Silva"}, {"phone": "12", "email": "eva@example.com"})
        == answer
    )
    assert await members(row) == {MARIA}
    sync = await ListSync.get()
    assert (sync.trigger, sync.counts) == (
        SyncTrigger.HOOK,
        {"people": 2, "created": 1, "invalid": 1, "added_to_list": 1},
    )


async def test_the_first_people_who_are_posted_propose_the_mapping(ctx: Context, service: Service) -> None:
    row, token = await hook_list(ctx)
    answer = await post(token, {"Phone number": MARIA, "Full name": "Maria Silva", "SMS consent": "yes"})
    source = await source_of(row)
    assert (answer.status, answer.counts.created, source.status) == ("sampled", 1, SourceStatus.CHECKED)
    assert source.mapping == {"Phone number": "phone", "Full name": "full_name", "SMS consent": "consent"}
    assert await Contact.all().count() == 0
    await act(sources.confirm_sync, ctx, row)
    await post(token, {"Phone number": MARIA, "Full name": "Maria Silva", "SMS consent": "yes "})
    maria = await Contact.get()
    assert (maria.first_name, maria.opt_in_status) == ("Maria", "opted_in")


async def test_nothing_is_taken_at_an_address_that_nobody_was_given(ctx: Context, service: Service) -> None:
    row, token = await hook_list(ctx, mapping={"phone": "phone"})
    with pytest.raises(ApiError) as refused:
        await post("x" * 43, {"phone": MARIA})
    assert refused.value.status == 404
    await act(sources.pause_sync, ctx, row)
    with pytest.raises(ApiError) as refused:
        await post(token, {"phone": MARIA})
    assert (refused.value.status, refused.value.code) == (503, "source_paused")
    await act(sources.disconnect_list, ctx, row)
    with pytest.raises(ApiError) as refused:
        await post(token, {"phone": MARIA})
    assert refused.value.status == 404
    assert await Contact.all().count() == 0


async def test_who_a_service_names_is_read_again(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msvs.connectors.base import HookDelivery
    from tests.workers.fake_service import LookingConnector

    monkeypatch.setattr(LookingConnector, "read_hook", lambda self, call: HookDelivery("d-1", external_ids=["2", "4"]))
    row = await synced(ctx, "looking")
    service.put("4", ANA, "Ana")
    del service.people["2"]
    url = sources.hook_url(ctx, await source_of(row))
    assert url is not None
    assert (await post(url.rpartition("/")[2])).status == "queued"
    await work()
    assert await members(row) == {MARIA, JOAO, ANA}
    assert await db.fetch_value("SELECT count(*) FROM source_lookups") == 0


async def test_the_process_that_is_told_to_end_stops_after_its_page(
    ctx: Context, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await connect(ctx)
    stop = StopFlag()
    real = sync_merge.take_people

    async def stop_then_take(*values: Any, **options: Any) -> Any:
        stop.set()
        return await real(*values, **options)

    monkeypatch.setattr(sync_merge, "take_people", stop_then_take)
    await work(stop)
    sync, source = await last_sync(row), await source_of(row)
    assert (sync.cursor, source.lease_token) == ("2", None)
    monkeypatch.setattr(sync_merge, "take_people", real)
    await work()
    assert (await last_sync(row)).counts == {"people": 3, "created": 3}
