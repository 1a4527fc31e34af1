"""Regions that are off and caps over REST: the settings, the refusals in their shape, and their retries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from msvs.api.context import Context
from msvs.api.resources import moment
from msvs.models import Message
from tests.rest_compat.conftest import Client
from tests.rest_compat.making import get, post, refused

NIGERIA = "+2348021234567"


@pytest.fixture
async def live(client: Client, live_ctx: Context, virtual_live: None) -> httpx.AsyncClient:
    return await client(live_ctx)


async def test_the_settings_are_read_and_changed(api: httpx.AsyncClient) -> None:
    before = await get(api, "/v1/workspace")
    assert (before["enabled_regions"], before["daily_credit_cap"], before["prefix_hourly_cap"]) == ([], None, None)
    changes = {"enabled_regions": ["IL", "NG"], "daily_credit_cap": 500_000_000, "prefix_hourly_cap": 3}
    changed = await post(api, "/v1/workspace", 200, **changes)
    assert changed == {**before, **changes, "version": changed["version"]}
    none: dict[str, Any] = {"enabled_regions": [], "daily_credit_cap": None, "prefix_hourly_cap": None}
    assert await post(api, "/v1/workspace", 200, **none) == before


@pytest.mark.parametrize(
    ("changes", "code", "param"),
    [
        ({"enabled_regions": ["XX"]}, "parameter_invalid", "enabled_regions[0]"),
        ({"enabled_regions": ["CU"]}, "parameter_invalid", "enabled_regions[0]"),
        ({"enabled_regions": None}, "parameter_invalid", "enabled_regions"),
        ({"daily_credit_cap": -1}, "parameter_out_of_range", "daily_credit_cap"),
        ({"daily_credit_cap": 1.5}, "parameter_invalid", "daily_credit_cap"),
        ({"prefix_hourly_cap": 0}, "parameter_out_of_range", "prefix_hourly_cap"),
    ],
)
async def test_a_senseless_setting_is_refused(
    api: httpx.AsyncClient, changes: dict[str, object], code: str, param: str
) -> None:
    before = await get(api, "/v1/workspace")
    assert await refused(await api.post("/v1/workspace", json=changes)) == (400, code, param)
    assert await get(api, "/v1/workspace") == before


async def test_a_region_is_off_until_it_is_enabled(api: httpx.AsyncClient) -> None:
    message: dict[str, Any] = {"to": NIGERIA, "body": "Doors open"}
    assert await refused(await api.post("/v1/messages", json=message)) == (422, "region_not_enabled", "to")
    assert (await get(api, "/v1/contacts"))["data"] == []
    await post(api, "/v1/workspace", 200, enabled_regions=["NG"])
    assert (await post(api, "/v1/messages", **message))["to"] == NIGERIA


async def test_the_daily_cap_says_what_is_left_and_until_when(live: httpx.AsyncClient) -> None:
    await post(live, "/v1/workspace", 200, daily_credit_cap=1)
    response = await live.post("/v1/messages", json={"to": "+12125550111", "body": "a" * 161})
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (422, "compliance_error", "daily_cap_reached")
    tomorrow = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)
    assert (error["required"], error["available"], error["resets_at"]) == (2, 1, moment(tomorrow))
    assert "Retry-After" not in response.headers
    await post(live, "/v1/messages", to="+12125550111", body="Doors open")


async def test_the_hourly_cap_says_until_when_and_a_refusal_is_kept_for_its_retry(api: httpx.AsyncClient) -> None:
    await post(api, "/v1/workspace", 200, prefix_hourly_cap=1)
    await post(api, "/v1/messages", to="+12125550111", body="Doors open")
    sent = {"json": {"to": "+12125550112", "body": "Doors open"}, "headers": {"Idempotency-Key": "order-1"}}
    first = await api.post("/v1/messages", **sent)  # type: ignore[arg-type]
    error = first.json()["error"]
    assert (first.status_code, error["code"], error["param"]) == (422, "prefix_velocity_exceeded", "to")
    assert error["resets_at"].endswith(":00:00Z")
    again = await api.post("/v1/messages", **sent)  # type: ignore[arg-type]
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    await post(api, "/v1/messages", to="+13105550111", body="Doors open")
    assert await Message.all().count() == 2
