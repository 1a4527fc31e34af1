"""ActiveCampaign: behavior beyond the tests shared by all services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from msvs.connectors.activecampaign import ActiveCampaignConnector
from msvs.connectors.base import FieldType, Gone, InvalidSetting, PersonState, check_settings
from tests.connectors.fakes import activecampaign
from tests.connectors.under_test import ActiveCampaignService, people_of, walk

AT = datetime(2026, 5, 1, 20, tzinfo=UTC)


@pytest.fixture
async def service() -> AsyncIterator[ActiveCampaignService]:
    made = ActiveCampaignService()
    async with made.running():
        yield made


async def test_contacts_come_with_the_values_of_their_fields(service: ActiveCampaignService) -> None:
    service.fake.add(1, "+14155550001", values={"11": "06", "13": "||sales||news||", "12": None})
    service.fake.add(2, "+14155550002", values={"11": "07"})
    people = people_of(await walk(service.open()))
    assert dict(people["1"].fields) == {
        "phone": "+14155550001",
        "email": "person1@example.com",
        "first_name": "Maria",
        "created_at": "2026-01-01T00:00:00-06:00",
        "fields.11": "06",
        "fields.13": "sales, news",
    }
    assert people["2"].fields["fields.11"] == "07"
    assert people["1"].updated_at == datetime(2026, 1, 2, 6, tzinfo=UTC)
    fields = {field.key: (field.label, field.type) for field in await service.open().fields()}
    assert fields["fields.12"] == ("SMS opt-out", FieldType.DATE)


async def test_who_unsubscribes_leaves_the_list_and_that_is_no_opt_out(service: ActiveCampaignService) -> None:
    service.fake.add(1, "+14155550001", lists={activecampaign.LIST: "2"})
    service.fake.add(2, "+14155550002", lists={"8": "1"})
    service.fake.add(3, "+14155550003")
    connector = service.open()
    assert people_of(await walk(connector)).keys() == {"3"}
    found = await connector.look_up(["1", "2", "3", "4", "x"])
    assert [found[each].state for each in ("1", "2", "3", "4", "x")] == [
        PersonState.LEFT,
        PersonState.LEFT,
        PersonState.MEMBER,
        PersonState.DELETED,
        PersonState.DELETED,
    ]
    assert [found[each].is_unsubscribed for each in "123"] == [True, False, False]
    assert all(person.consent is None for person in found.values())


async def test_a_list_that_is_deleted_under_the_walk_empties_nothing(service: ActiveCampaignService) -> None:
    for number in range(1, service.page_size + 1):
        service.add(number)
    first = await service.open().fetch_page()
    assert not first.is_last
    service.delete_scope()
    with pytest.raises(Gone) as error:
        await service.open().fetch_page(cursor=first.cursor)
    assert error.value.setting == "list_id"


async def test_the_account_is_named_by_its_address_and_lists_can_be_chosen(service: ActiveCampaignService) -> None:
    connector = service.open()
    assert (await connector.check()).name == "cohortlabs"
    assert [(each.value, each.label) for each in await connector.choices("list_id")] == [("3", "Cohort 06")]
    assert [each.value for each in await connector.choices("opt_out_field")] == ["11", "12", "13"]
    assert await connector.choices("url") == []


async def test_an_opt_out_is_written_into_the_field(service: ActiveCampaignService) -> None:
    person = service.fake.add(1, "+14155550001")
    connector = service.open({**service.settings, "opt_out_field": activecampaign.OPT_OUT_FIELD})
    await connector.check()
    for _ in range(2):
        await connector.write_opt_out("1", at=AT)
    assert person.values == {activecampaign.OPT_OUT_FIELD: "2026-05-01"}
    with pytest.raises(Gone):
        await connector.write_opt_out("2", at=AT)
    with pytest.raises(Gone) as error:
        await service.open({**service.settings, "opt_out_field": "99"}).check()
    assert error.value.setting == "opt_out_field"


@pytest.mark.parametrize(
    "url",
    [
        "http://cohortlabs.api-us1.com",
        "https://cohortlabs.api-us1.com.evil.example",
        "https://evil.example/.api-us1.com",
        "https://user@cohortlabs.api-us1.com",
        "https://cohortlabs.api-us1.com:8443",
        "https://127.0.0.1",
    ],
)
def test_the_key_goes_to_activecampaign_alone(url: str) -> None:
    valid = dict(ActiveCampaignService.settings)
    assert check_settings(ActiveCampaignConnector, valid) == valid
    with pytest.raises(InvalidSetting) as error:
        check_settings(ActiveCampaignConnector, {**valid, "url": url})
    assert error.value.setting == "url"
