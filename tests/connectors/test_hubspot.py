"""HubSpot: behavior beyond the tests shared by all services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from msvs.connectors.base import FieldType, Gone, InvalidSetting, PersonState, Target
from tests.connectors.fakes import hubspot
from tests.connectors.under_test import HubspotService, people_of, walk

AT = datetime(2026, 5, 1, 20, tzinfo=UTC)


@pytest.fixture
async def service() -> AsyncIterator[HubspotService]:
    made = HubspotService()
    async with made.running():
        yield made


async def test_the_properties_of_the_account_and_those_named_are_read(service: HubspotService) -> None:
    service.fake.add(1, "+14155550001", cohort="06", annualrevenue="5", hs_email_optout="true")
    service.fake.add(2, None, cohort="0" * 5000 + "\0")
    people = people_of(await walk(service.open()))
    assert dict(people["1"].fields) == {"phone": "+14155550001", "email": "person1@example.com", "cohort": "06"}
    assert [people[id].is_unsubscribed for id in "12"] == [True, False]
    assert people["1"].consent is None
    assert people["2"].fields["cohort"] == "0" * 1000
    named = service.open({**service.settings, "properties": "annualrevenue"})
    assert people_of(await walk(named))["1"].fields["annualrevenue"] == "5"
    fields = {field.key: field for field in await named.fields()}
    assert fields["phone"].target is fields["mobilephone"].target is Target.PHONE
    assert fields["firstname"].target is Target.FIRST_NAME
    assert (fields["joined_on"].type, fields["sms_stopped"].type) == (FieldType.DATE, FieldType.BOOLEAN)
    assert "hs_email_optout" not in fields


@pytest.mark.parametrize(
    ("changes", "setting", "kind"),
    [
        ({"properties": "nothing"}, "properties", InvalidSetting),
        ({"opt_out_property": "nothing"}, "opt_out_property", Gone),
        ({"list_id": hubspot.COMPANIES}, "list_id", InvalidSetting),
        ({"list_id": "999"}, "list_id", Gone),
    ],
)
async def test_what_is_not_there_is_told_at_once(
    service: HubspotService, changes: dict[str, str], setting: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind) as error:
        await service.open({**service.settings, **changes}).check()
    assert getattr(error.value, "setting", None) == setting


async def test_lists_of_contacts_and_own_properties_can_be_chosen(service: HubspotService) -> None:
    connector = service.open()
    assert [(each.value, each.label) for each in await connector.choices("list_id")] == [("17", "Cohort 06")]
    assert [each.value for each in await connector.choices("opt_out_property")] == [
        "cohort",
        "joined_on",
        "sms_opt_out",
        "sms_stopped",
    ]
    assert await connector.choices("access_token") == []


async def test_a_contact_that_is_deleted_under_the_walk_is_left_out(service: HubspotService) -> None:
    for number in (1, 2, 3):
        service.add(number)

    def delete(request: object) -> None:
        if "batch" in str(request):
            service.fake.people.pop(2, None)

    service.fake.before = delete
    assert people_of(await walk(service.open())).keys() == {"1", "3"}
    found = await service.open().look_up(["1", "2", "x"])
    assert [found[each].state for each in ("1", "2", "x")] == [
        PersonState.MEMBER,
        PersonState.DELETED,
        PersonState.DELETED,
    ]


@pytest.mark.parametrize(
    ("name", "value"), [("sms_opt_out", "2026-05-01"), ("sms_stopped", "true"), ("cohort", "2026-05-01")]
)
async def test_an_opt_out_is_written_as_the_property_takes_it(service: HubspotService, name: str, value: str) -> None:
    person = service.fake.add(1, "+14155550001")
    connector = service.open({**service.settings, "opt_out_property": name})
    for _ in range(2):
        await connector.write_opt_out("1", at=AT)
    assert person.properties[name] == value
    with pytest.raises(Gone) as error:
        await connector.write_opt_out("2", at=AT)
    assert error.value.setting is None
