"""Kit: behavior beyond the tests shared by all services."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from msvs.connectors.base import (
    BadAnswer,
    CredentialsRefused,
    FieldType,
    Gone,
    HookCall,
    HookRefused,
    InvalidSetting,
    PersonState,
    RateLimited,
    Target,
)
from tests.connectors.fakes import kit
from tests.connectors.fakes.kit import FakeKit
from tests.connectors.fakes.server import Fault
from tests.connectors.under_test import KitService, people_of, walk

ALL = {"api_key": kit.API_KEY}
OAUTH = {
    "client_id": "app-1",
    "client_secret": kit.CLIENT_SECRET,
    "access_token": "access-0",
    "refresh_token": "refresh-0",
    "expires_at": "2026-01-01T00:00:00+00:00",
}
AT = datetime(2026, 5, 1, 20, tzinfo=UTC)


@pytest.fixture
async def service() -> AsyncIterator[KitService]:
    made = KitService()
    async with made.running():
        yield made


async def test_subscribers_in_every_state_are_read(service: KitService) -> None:
    for at, state in enumerate(("active", "inactive", "bounced", "cancelled", "complained")):
        service.fake.add(at + 1, state=state)
    people = people_of(await walk(service.open(ALL)))
    assert [people[str(at)].is_unsubscribed for at in range(1, 6)] == [False, False, False, True, True]
    assert [people[str(at)].state for at in range(1, 6)] == [PersonState.MEMBER] * 5
    assert people["4"].consent is None


async def test_a_form_is_read_alone_and_not_beside_a_tag(service: KitService) -> None:
    service.fake.add(1, forms={kit.FORM})
    service.fake.add(2)
    people = people_of(await walk(service.open({**ALL, "form_id": str(kit.FORM)})))
    assert people.keys() == {"1"}
    with pytest.raises(InvalidSetting) as error:
        await service.open({**service.settings, "form_id": str(kit.FORM)}).check()
    assert error.value.setting == "form_id"


async def test_changes_are_read_with_a_day_of_overlap_for_lists_that_lag(service: KitService) -> None:
    service.now = AT
    for number in (1, 2, 3):
        service.fake.add(number, updated_at="2026-04-01T00:00:00Z")
    late = service.fake.add(4, updated_at="2026-05-01T19:59:00Z", lags=True)
    first = await walk(service.open(ALL))
    assert people_of(first).keys() == {"1", "2", "3"}
    assert first[-1].is_complete
    # Once the list has caught up, the second walk returns the change made before the first walk.
    late.lags = False
    service.now = AT + timedelta(minutes=15)
    second = await walk(service.open(ALL), since=first[-1].bookmark)
    assert people_of(second).keys() == {"4"}
    assert not second[-1].is_complete
    assert "updated_after=2026-04-30T19:50:00Z" in service.fake.requests[-1]
    third = await walk(service.open(ALL), since=second[-1].bookmark)
    assert people_of(third).keys() == {"4"}


async def test_a_tag_is_always_walked_whole_since_a_tag_is_no_change(service: KitService) -> None:
    service.add(1)
    [first] = await walk(service.open())
    service.take_off(1)
    service.add(2)
    [second] = await walk(service.open(), since=first.bookmark)
    assert people_of([second]).keys() == {"2"}
    assert second.is_complete


async def test_a_bookmark_begins_where_the_walk_began(service: KitService) -> None:
    for number in range(1, service.page_size + 2):
        service.fake.add(number)
    service.now = AT
    first = await service.open(ALL).fetch_page()
    service.now = AT + timedelta(hours=3)
    last = await service.open(ALL).fetch_page(cursor=first.cursor)
    assert last.bookmark == AT.isoformat()


async def test_somebody_whom_a_list_lags_behind_is_looked_up(service: KitService) -> None:
    service.fake.add(1, "+14155550001", tags={kit.TAG}, lags=True)
    service.fake.add(2)
    found = await service.open().look_up(["1", "2", "3", "x"])
    assert [found[each].state for each in ("1", "2", "3", "x")] == [
        PersonState.MEMBER,
        PersonState.LEFT,
        PersonState.DELETED,
        PersonState.DELETED,
    ]


async def test_fields_and_choices_are_those_of_the_account(service: KitService) -> None:
    connector = service.open(ALL)
    fields = {field.key: (field.label, field.type, field.target) for field in await connector.fields()}
    assert fields["fields.phone"] == ("Phone", FieldType.TEXT, Target.PHONE)
    assert fields["fields.last_name"][2] is Target.LAST_NAME
    assert fields["fields.city"][2] is None
    assert fields["first_name"][2] is Target.FIRST_NAME
    assert fields["email_address"][2] is Target.EMAIL
    assert [(each.value, each.label) for each in await connector.choices("tag_id")] == [
        ("5312", "Cohort 06"),
        ("5313", "SMS opted out"),
    ]
    assert [each.value for each in await connector.choices("form_id")] == ["1204"]
    assert [each.value for each in await connector.choices("opt_out_field")] == [
        "phone",
        "last_name",
        "city",
        "sms_opt_out",
    ]
    assert await connector.choices("api_key") == []


async def test_an_opt_out_is_written_as_a_tag_and_into_a_field_and_twice_is_once(service: KitService) -> None:
    person = service.fake.add(1, "+14155550001")
    settings = {**ALL, "opt_out_tag_id": str(kit.OPT_OUT_TAG), "opt_out_field": "sms_opt_out"}
    connector = service.open(settings)
    await connector.check()
    for _ in range(2):
        await connector.write_opt_out("1", at=AT)
    assert person.tags == {kit.OPT_OUT_TAG}
    assert person.fields["sms_opt_out"] == "opted out 2026-05-01"
    assert person.fields["phone"] == "+14155550001"
    with pytest.raises(Gone):
        await connector.write_opt_out("2", at=AT)


@pytest.mark.parametrize(("setting", "value"), [("opt_out_tag_id", "999"), ("opt_out_field", "nothing")])
async def test_where_opt_outs_go_must_be_there(service: KitService, setting: str, value: str) -> None:
    with pytest.raises(Gone) as error:
        await service.open({**ALL, setting: value}).check()
    assert error.value.setting == setting


# OAuth


async def test_oauth_begins_at_kit_and_its_code_is_exchanged(service: KitService) -> None:
    connector = service.open({"client_id": "app-1", "client_secret": kit.CLIENT_SECRET})
    url = urlsplit(connector.authorize_url(redirect_uri="https://sms.cohortlabs.co/connected", state="s&1"))
    assert (url.hostname, url.path) == ("api.kit.com", "/v4/oauth/authorize")
    assert parse_qs(url.query) == {
        "client_id": ["app-1"],
        "response_type": ["code"],
        "redirect_uri": ["https://sms.cohortlabs.co/connected"],
        "state": ["s&1"],
    }
    secrets = await connector.exchange_code("code-1", redirect_uri="https://sms.cohortlabs.co/connected")
    assert secrets["refresh_token"] == "refresh-1"
    service.fake.add(1)
    opened = service.open({"client_id": "app-1", "client_secret": kit.CLIENT_SECRET, **secrets})
    assert (await opened.check()).name == "Cohort Labs"
    with pytest.raises(CredentialsRefused) as error:
        await connector.exchange_code("code-1", redirect_uri="https://sms.cohortlabs.co/connected")
    assert "code-1" not in f"{error.value}{error.value.__cause__}"


async def test_a_refresh_token_serves_once_and_the_new_one_is_kept_before_anything_can_fail(
    service: KitService,
) -> None:
    service.fake.add(1)
    service.fake.faults = [Fault(429, {}, path="/v4/subscribers")]
    connector = service.open(OAUTH)
    with pytest.raises(RateLimited):
        await connector.fetch_page()
    [kept] = service.kept
    assert (kept["access_token"], kept["refresh_token"]) == ("access-1", "refresh-1")
    # The same connector continues with its granted token, and another connector with the stored secrets.
    assert len((await connector.fetch_page()).people) == 1
    assert len((await service.open({**OAUTH, **kept}).fetch_page()).people) == 1
    assert service.kept == [kept]
    with pytest.raises(CredentialsRefused) as error:
        await service.open(OAUTH).fetch_page()
    assert error.value.setting == "access_token"


async def test_garbage_in_the_place_of_a_token_is_no_refusal(service: KitService) -> None:
    service.fake.faults = [Fault(200, "<html>", path="/oauth/token")]
    with pytest.raises(BadAnswer) as error:
        await service.open(OAUTH).fetch_page()
    assert not error.value.is_lasting
    assert service.kept == []


async def test_without_a_key_and_without_access_the_key_is_asked_for(service: KitService) -> None:
    with pytest.raises(InvalidSetting) as error:
        await service.open({}).check()
    assert error.value.setting == "api_key"


# Webhooks


def call(headers: dict[str, str], body: bytes) -> HookCall:
    """Return a hook call that arrives now."""
    return HookCall(headers, body, datetime.now(UTC))


async def test_a_webhook_is_registered_verified_and_deleted(service: KitService) -> None:
    connector = service.open(ALL)
    secrets = await connector.register_hook("https://sms.cohortlabs.co/hooks/abc")
    assert secrets == {"webhook_id": "71", "webhook_secret": kit.WEBHOOK_SECRET}
    assert service.fake.webhooks["71"]["url"] == "https://sms.cohortlabs.co/hooks/abc"
    service.fake.add(1)
    service.fake.add(2)
    opened = service.open({**ALL, **secrets})
    delivery = opened.read_hook(call(*service.fake.delivery(1, 2, 1)))
    assert (delivery.delivery_id, list(delivery.people), list(delivery.external_ids)) == ("dlv-1", [], ["1", "2"])
    for _ in range(2):
        await opened.unregister_hook()
    assert service.fake.webhooks == {}
    await connector.unregister_hook()


def test_a_forged_old_or_unreadable_delivery_is_refused() -> None:
    fake = FakeKit()
    fake.add(1)
    connector = KitService().open({**ALL, "webhook_secret": kit.WEBHOOK_SECRET})
    headers, body = fake.delivery(1)
    assert connector.read_hook(call(headers, body)).external_ids == ["1"]
    for wrong in (
        call({}, body),
        call(headers, body + b" "),
        call(*fake.delivery(1, secret="another")),
        call(*fake.delivery(1, at=time.time() - 3600)),
    ):
        with pytest.raises(HookRefused) as refused:
            connector.read_hook(wrong)
        assert refused.value.status == 403
    with pytest.raises(HookRefused):
        KitService().open(ALL).read_hook(call(headers, body))
