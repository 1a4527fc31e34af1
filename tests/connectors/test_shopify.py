"""Shopify: behavior beyond the tests shared by all services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from msvs.connectors.base import (
    BadAnswer,
    ClaimStatus,
    ConsentClaim,
    CredentialsRefused,
    Gone,
    HookCall,
    HookRefused,
    InvalidSetting,
    PersonState,
    RateLimited,
)
from tests.connectors.fakes import shopify
from tests.connectors.fakes.server import Fault
from tests.connectors.fakes.shopify import FakeShopify
from tests.connectors.under_test import ShopifyService, people_of, walk

AT = datetime(2026, 5, 1, 20, tzinfo=UTC)
GIVEN = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)


@pytest.fixture
async def service() -> AsyncIterator[ShopifyService]:
    made = ShopifyService()
    async with made.running():
        yield made


@pytest.mark.parametrize(
    ("state", "level", "at", "origin", "claim"),
    [
        (
            "SUBSCRIBED",
            "SINGLE_OPT_IN",
            "2026-03-02T15:04:05Z",
            "SHOPIFY",
            ConsentClaim(ClaimStatus.OPTED_IN, GIVEN, "Shopify", "SMS marketing: SUBSCRIBED, level SINGLE_OPT_IN"),
        ),
        (
            "SUBSCRIBED",
            "CONFIRMED_OPT_IN",
            "2026-03-02T12:04:05-03:00",
            "OTHER",
            ConsentClaim(
                ClaimStatus.OPTED_IN,
                GIVEN,
                "Shopify, collected elsewhere",
                "SMS marketing: SUBSCRIBED, level CONFIRMED_OPT_IN",
            ),
        ),
        (
            "SUBSCRIBED",
            None,
            None,
            None,
            ConsentClaim(ClaimStatus.OPTED_IN, None, "Shopify", "SMS marketing: SUBSCRIBED"),
        ),
        (
            "UNSUBSCRIBED",
            None,
            "2026-03-02T15:04:05Z",
            "SHOPIFY",
            ConsentClaim(ClaimStatus.OPTED_OUT, GIVEN, "Shopify", "SMS marketing: UNSUBSCRIBED"),
        ),
        ("REDACTED", None, None, None, ConsentClaim(ClaimStatus.OPTED_OUT, None, "Shopify", "SMS marketing: REDACTED")),
        ("PENDING", "SINGLE_OPT_IN", "2026-03-02T15:04:05Z", "SHOPIFY", None),
        ("NOT_SUBSCRIBED", None, None, "SHOPIFY", None),
        ("A_STATE_TO_COME", None, None, None, None),
    ],
)
async def test_consent_to_text_messages_comes_with_its_date_and_level(
    service: ShopifyService,
    state: str,
    level: str | None,
    at: str | None,
    origin: str | None,
    claim: ConsentClaim | None,
) -> None:
    service.fake.add(1, "+14155550001", sms_state=state, sms_level=level, sms_at=at, sms_from=origin)
    [person] = people_of(await walk(service.open())).values()
    assert person.consent == claim
    assert person.fields["sms_state"] == state


async def test_consent_to_email_is_none_to_text_messages(service: ShopifyService) -> None:
    service.fake.add(1, "+14155550001", email_state="SUBSCRIBED")
    service.fake.add(2, "+14155550002", email_state="UNSUBSCRIBED")
    service.fake.add(3, None, sms_state="SUBSCRIBED")
    people = people_of(await walk(service.open()))
    assert [people[id].consent for id in "123"] == [None, None, None]
    assert [people[id].is_unsubscribed for id in "123"] == [False, True, False]
    assert "phone" not in people["3"].fields


async def test_fields_are_those_of_the_customer(service: ShopifyService) -> None:
    service.fake.add(7, "+14155550007", first_name="Zoé")
    [person] = people_of(await walk(service.open())).values()
    assert dict(person.fields) == {
        "phone": "+14155550007",
        "email": "person7@example.com",
        "first_name": "Zoé",
        "last_name": "Silva",
        "country": "BR",
        "city": "São Paulo",
        "tags": "vip, 2026",
        "orders": "3",
        "amount_spent": "120.5",
        "locale": "pt-BR",
        "state": "ENABLED",
        "sms_state": "NOT_SUBSCRIBED",
        "created_at": "2026-01-01T00:00:00Z",
    }
    assert person.updated_at == datetime(2026, 1, 1, tzinfo=UTC)


async def test_changes_are_read_by_their_time_with_an_overlap(service: ShopifyService) -> None:
    for number in range(1, 4):
        service.fake.add(number, None, updated_at="2026-04-01T00:00:00Z")
    service.now = AT
    first = await walk(service.open())
    service.fake.people[2].updated_at = "2026-05-01T19:52:00Z"
    service.fake.people[3].updated_at = "2026-05-01T19:49:00Z"
    service.now = AT + timedelta(hours=1)
    second = await walk(service.open(), since=first[-1].bookmark)
    assert people_of(second).keys() == {"2"}
    assert not second[-1].is_complete
    assert second[-1].bookmark == (AT + timedelta(hours=1)).isoformat()


async def test_who_changes_under_a_walk_of_changes_comes_again_and_nobody_is_missed(service: ShopifyService) -> None:
    for number in range(1, 152):
        service.fake.add(number, None, updated_at=f"2026-05-02T00:{number // 60:02}:{number % 60:02}Z")
    first = await service.open().fetch_page(since=AT.isoformat())
    service.fake.people[1].updated_at = "2026-05-03T00:00:00Z"
    rest = await walk(service.open(), since=AT.isoformat(), cursor=first.cursor)
    assert people_of([first, *rest]).keys() == {str(number) for number in range(1, 152)}
    assert "1" in people_of(rest)


async def test_a_search_chooses_customers_and_look_ups_tell_who_left_it(service: ShopifyService) -> None:
    service.fake.add(1, "+14155550001", tag="vip")
    service.fake.add(2, "+14155550002", tag="other")
    connector = service.open({**service.settings, "query": "tag:vip"})
    assert people_of(await walk(connector)).keys() == {"1"}
    assert people_of(await walk(connector, since=AT.isoformat())).keys() == set()
    found = await connector.look_up(["1", "2", "3", "x"])
    assert [found[each].state for each in ("1", "2", "3", "x")] == [
        PersonState.MEMBER,
        PersonState.LEFT,
        PersonState.DELETED,
        PersonState.DELETED,
    ]


async def test_the_cost_of_a_query_says_how_long_to_wait(service: ShopifyService) -> None:
    service.fake.is_throttled = True
    with pytest.raises(RateLimited) as error:
        await service.open().fetch_page()
    assert error.value.retry_after == (502 - 52) / 50
    assert (await service.open().fetch_page()).is_last


async def test_a_scope_that_is_missing_is_told(service: ShopifyService) -> None:
    service.fake.is_denied = True
    with pytest.raises(CredentialsRefused, match="scope") as error:
        await service.open().check()
    assert error.value.setting == "client_secret"


async def test_a_token_of_an_older_app_serves_in_the_place_of_a_grant(service: ShopifyService) -> None:
    service.fake.add(1, None)
    connector = service.open({"shop": shopify.SHOP, "access_token": shopify.ACCESS_TOKEN})
    assert ((await connector.check()).name, (await connector.check()).id) == ("Cohort Labs", "548")
    assert service.fake.granted == 0
    granting = service.open()
    await granting.fetch_page()
    await granting.fetch_page()
    assert service.fake.granted == 1
    with pytest.raises(InvalidSetting) as error:
        await service.open({"shop": shopify.SHOP}).check()
    assert error.value.setting == "client_id"


async def test_an_opt_out_unsubscribes_the_customer(service: ShopifyService) -> None:
    person = service.fake.add(1, "+14155550001", sms_state="SUBSCRIBED")
    connector = service.open({**service.settings, "opt_out": "unsubscribe"})
    for _ in range(2):
        await connector.write_opt_out("1", at=AT)
    assert (person.sms_state, person.sms_at) == ("UNSUBSCRIBED", AT.isoformat())
    with pytest.raises(Gone):
        await connector.write_opt_out("2", at=AT)


async def test_webhooks_are_registered_verified_and_deleted(service: ShopifyService) -> None:
    connector = service.open()
    secrets = await connector.register_hook("https://sms.cohortlabs.co/hooks/abc")
    assert {topic for topic, _ in service.fake.webhooks.values()} == {
        "CUSTOMERS_CREATE",
        "CUSTOMERS_UPDATE",
        "CUSTOMERS_DELETE",
        "CUSTOMERS_MARKETING_CONSENT_UPDATE",
    }
    opened = service.open({**service.settings, **secrets})
    delivery = opened.read_hook(HookCall(*FakeShopify.posted(7), AT))
    assert (delivery.delivery_id, list(delivery.external_ids), list(delivery.people)) == ("b54557e4", ["7"], [])
    for _ in range(2):
        await opened.unregister_hook()
    assert service.fake.webhooks == {}
    with pytest.raises(BadAnswer):
        await connector.register_hook("http://sms.cohortlabs.co/hooks/abc")
    with pytest.raises(InvalidSetting) as error:
        await service.open({"shop": shopify.SHOP, "access_token": shopify.ACCESS_TOKEN}).register_hook(
            "https://x.example"
        )
    assert error.value.setting == "client_secret"


def test_a_forged_webhook_is_refused() -> None:
    connector = ShopifyService().open()
    headers, body = FakeShopify.posted(7)
    for wrong in ((headers, body + b" "), FakeShopify.posted(7, "another"), ({}, body)):
        with pytest.raises(HookRefused) as refused:
            connector.read_hook(HookCall(*wrong, AT))
        assert refused.value.status == 403


async def test_a_token_that_is_not_granted_names_the_secret_and_garbage_does_not(service: ShopifyService) -> None:
    service.fake.faults = [Fault(400, {"error": "invalid_client"}, path="/oauth/access_token")]
    with pytest.raises(CredentialsRefused) as refused:
        await service.open().check()
    assert refused.value.setting == "client_secret"
    service.fake.faults = [Fault(200, "<html>", path="/oauth/access_token")]
    with pytest.raises(BadAnswer) as error:
        await service.open().check()
    assert not error.value.is_lasting
