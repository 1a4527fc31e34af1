"""Kajabi: behavior beyond the tests shared by all services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from msvs.connectors.base import BadAnswer, CredentialsRefused, Gone, InvalidSetting, PersonState
from tests.connectors.fakes import kajabi
from tests.connectors.fakes.server import Fault
from tests.connectors.under_test import KajabiService, people_of, walk

AT = datetime(2026, 5, 1, 20, tzinfo=UTC)


@pytest.fixture
async def service() -> AsyncIterator[KajabiService]:
    made = KajabiService()
    async with made.running():
        yield made


async def test_contacts_come_with_phone_name_and_custom_fields(service: KajabiService) -> None:
    service.fake.add(1, "5555555555", custom_1="06", subscribed=False)
    service.fake.add(2, None)
    people = people_of(await walk(service.open()))
    assert dict(people["1"].fields) == {
        "name": "Maria Silva",
        "email": "person1@example.com",
        "phone_number": "5555555555",
        "subscribed": "false",
        "custom_1": "06",
        "created_at": "2026-01-01T00:00:00Z",
    }
    assert [people[id].is_unsubscribed for id in "12"] == [True, False]
    assert people["1"].consent is None
    assert people["1"].updated_at == datetime(2026, 1, 2, tzinfo=UTC)


async def test_without_a_tag_the_whole_site_is_read(service: KajabiService) -> None:
    service.fake.add(1, None, tags=set())
    settings = {key: value for key, value in service.settings.items() if key != "tag_id"}
    connector = service.open({**settings, "site_id": kajabi.SITE})
    assert people_of(await walk(connector)).keys() == {"1"}
    found = await connector.look_up(["1", "2"])
    assert [found[each].state for each in "12"] == [PersonState.MEMBER, PersonState.DELETED]
    assert [each.label for each in await connector.choices("tag_id")] == ["Cohort 06", "SMS opted out"]
    assert [(each.value, each.label) for each in await connector.choices("site_id")] == [("2147", "Cohort Labs")]
    assert await connector.choices("client_id") == []


async def test_of_several_sites_one_must_be_chosen(service: KajabiService) -> None:
    service.fake.sites["2148"] = "Another site"
    with pytest.raises(InvalidSetting) as error:
        await service.open().check()
    assert error.value.setting == "site_id"
    assert (await service.open({**service.settings, "site_id": "2148"}).check()).name == "Another site"
    with pytest.raises(Gone) as gone:
        await service.open({**service.settings, "site_id": "9"}).check()
    assert gone.value.setting == "site_id"


async def test_a_walk_in_which_somebody_went_is_not_complete(service: KajabiService) -> None:
    for number in range(1, 3 * service.page_size + 1):
        service.add(number)
    connector = service.open()
    first = await connector.fetch_page()
    service.take_off(1)
    second = await connector.fetch_page(cursor=first.cursor)
    # A contact added during the walk restores the total, but the walk still knows that it skipped one.
    service.add(900)
    third = await connector.fetch_page(cursor=second.cursor)
    assert third.is_last
    assert not third.is_complete
    missed = {"101"}
    assert missed.isdisjoint(people_of([first, second, third]))
    again = await walk(service.open())
    assert again[-1].is_complete
    assert missed <= people_of(again).keys()


async def test_a_walk_in_which_only_somebody_came_is_complete(service: KajabiService) -> None:
    for number in range(1, service.page_size + 2):
        service.add(number)
    first = await service.open().fetch_page()
    service.add(900)
    rest = await walk(service.open(), cursor=first.cursor)
    assert rest[-1].is_complete
    assert "900" in people_of(rest)


async def test_one_token_serves_a_whole_walk(service: KajabiService) -> None:
    for number in range(1, service.page_size + 2):
        service.add(number)
    await walk(service.open())
    assert service.fake.granted == 1


async def test_an_opt_out_is_written_as_a_tag(service: KajabiService) -> None:
    person = service.fake.add(1, None)
    connector = service.open({**service.settings, "opt_out_tag_id": kajabi.OPT_OUT_TAG})
    await connector.check()
    for _ in range(2):
        await connector.write_opt_out("1", at=AT)
    assert person.tags == {kajabi.TAG, kajabi.OPT_OUT_TAG}
    with pytest.raises(Gone):
        await connector.write_opt_out("2", at=AT)
    with pytest.raises(Gone) as error:
        await service.open({**service.settings, "opt_out_tag_id": "9"}).check()
    assert error.value.setting == "opt_out_tag_id"


async def test_a_token_that_is_not_granted_names_the_secret_and_garbage_does_not(service: KajabiService) -> None:
    service.fake.faults = [Fault(400, {"error": "invalid_client"}, path="/oauth/token")]
    with pytest.raises(CredentialsRefused) as refused:
        await service.open().check()
    assert refused.value.setting == "client_secret"
    service.fake.faults = [Fault(200, "<html>", path="/oauth/token")]
    with pytest.raises(BadAnswer) as error:
        await service.open().check()
    assert not error.value.is_lasting
