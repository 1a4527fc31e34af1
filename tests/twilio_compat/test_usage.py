"""Balance and usage records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from msvs.api.context import Context
from msvs.api.ids import id_at, new_id
from msvs.database import execute
from msvs.models import InboundMessage, Message, MessageKind, MessageStatus, Workspace
from msvs.twilio_compat.call import Call
from msvs.twilio_compat.usage import list_
from tests.services import SERVICES
from tests.twilio_compat.conftest import Account, Accounts
from tests.twilio_compat.test_messages import refusal

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)


@pytest.fixture
async def traffic(account: Account, ctx: Context, other_ctx: Context) -> None:
    """Messages of three days, of another workspace, and one that no carrier took."""
    await Workspace.all().update(created_at=datetime(2025, 12, 31, tzinfo=UTC))
    for context, days, segments, sent in (
        (ctx, 0, 1, True),
        (ctx, 0, 2, True),
        (ctx, 0, 5, False),
        (ctx, 1, 3, True),
        (ctx, 40, 1, True),
        (other_ctx, 0, 7, True),
    ):
        await write(context, NOW - timedelta(days=days), segments, sent=sent)
    await InboundMessage.create(
        id=id_of(NOW),
        workspace_id=ctx.workspace_id,
        livemode=False,
        from_phone="+12125550111",
        to_sender="COHORT",
        body="When?",
        dedupe_key="1",
        received_at=NOW,
    )


async def usage_of(ctx: Context, period: str | None, **query: str) -> dict[str, Any]:
    """What is answered at NOW."""
    call = Call(replace(ctx, services=replace(SERVICES, clock=lambda: NOW)), {}, query, {})
    status, page = await list_(call, period)
    assert (status, page is None) == (200, False)
    return page or {}


def id_of(at: datetime) -> UUID:
    return UUID(int=id_at(at).int | (new_id().int & ((1 << 80) - 1)))


async def write(ctx: Context, at: datetime, segments: int, *, sent: bool) -> None:
    await Message.create(
        id=id_of(at),
        workspace_id=ctx.workspace_id,
        livemode=ctx.livemode,
        kind=MessageKind.API,
        to_phone="+12125550111",
        sender="COHORT",
        body="Doors open",
        encoding="GSM7",
        segments=segments,
        credits_used=segments,
        status=MessageStatus.SENT if sent else MessageStatus.FAILED,
        due_at=at,
        created_at=at,
        sent_at=at if sent else None,
    )
    # `auto_now_add` writes the present.
    await Message.all().filter(due_at=at).update(created_at=at)


async def test_the_balance_is_that_of_credits(account: Account, account_of: Accounts, live_ctx: Context) -> None:
    live = await account_of(live_ctx)
    expected = {"account_sid": live.sid, "balance": "10000", "currency": "XXX"}
    assert await live.get("Balance.json") == expected
    assert await account.get("Balance.json") == expected


@pytest.mark.usefixtures("traffic")
async def test_all_that_was_sent_and_received(account: Account, ctx: Context) -> None:
    page = await usage_of(ctx, None)
    found = {row["category"]: (row["count"], row["usage"], row["price"]) for row in page["usage_records"]}
    assert found == {
        "sms": ("5", "8", "7"),
        "sms-inbound": ("1", "1", "0"),
        "sms-outbound": ("4", "7", "7"),
        "totalprice": (None, "7", "7"),
    }
    [row] = (await usage_of(ctx, None, Category="sms-outbound"))["usage_records"]
    [shown] = (await account.get("Usage/Records.json", Category="sms-outbound"))["usage_records"]
    assert (set(shown), shown["count"]) == (set(row), "4")
    assert set(row) == {
        "account_sid",
        "api_version",
        "as_of",
        "category",
        "count",
        "count_unit",
        "description",
        "end_date",
        "price",
        "price_unit",
        "start_date",
        "subresource_uris",
        "uri",
        "usage",
        "usage_unit",
    }
    assert (row["start_date"], row["end_date"]) == ("2025-12-31", "2026-05-20")
    assert (row["count_unit"], row["usage_unit"], row["price_unit"]) == ("messages", "segments", "XXX")


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("Today", {}, [("2026-05-20", "2026-05-20", "2")]),
        ("Yesterday", {}, [("2026-05-19", "2026-05-19", "1")]),
        ("ThisMonth", {}, [("2026-05-01", "2026-05-20", "3")]),
        ("LastMonth", {}, [("2026-04-01", "2026-04-30", "1")]),
        ("AllTime", {}, [("2025-12-31", "2026-05-20", "4")]),
        (
            "Daily",
            {"StartDate": "-2days", "EndDate": "2026-05-19T00:00:00Z"},
            [("2026-05-19", "2026-05-19", "1"), ("2026-05-18", "2026-05-18", "0")],
        ),
        (
            "Monthly",
            {"StartDate": "2026-04-15"},
            [("2026-05-01", "2026-05-20", "3"), ("2026-04-15", "2026-04-30", "0")],
        ),
        ("Yearly", {}, [("2026-01-01", "2026-05-20", "4"), ("2025-12-31", "2025-12-31", "0")]),
        ("Daily", {"StartDate": "2026-06-01"}, []),
    ],
)
async def test_periods(ctx: Context, path: str, query: dict[str, str], expected: list[tuple[str, str, str]]) -> None:
    page = await usage_of(ctx, path, Category="sms-outbound", **query)
    assert [(row["start_date"], row["end_date"], row["count"]) for row in page["usage_records"]] == expected


@pytest.mark.usefixtures("traffic")
async def test_usage_is_paged(account: Account) -> None:
    path = f"{account.path}/Usage/Records/Daily.json?StartDate=-2days&PageSize=5"
    found = []
    while path:
        response = await account.http.get(path, auth=account.auth)
        assert response.status_code == 200, response.text
        page = response.json()
        found.append([(row["start_date"], row["category"]) for row in page["usage_records"]])
        path = page["next_page_uri"]
    assert [len(rows) for rows in found] == [5, 5, 2]
    assert len({row for rows in found for row in rows}) == 12


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"Category": "calls"}, "Category"),
        ({"StartDate": "soon"}, "StartDate"),
        ({"StartDate": "2026-02-30"}, "StartDate"),
        ({"StartDate": "+9999999days"}, "StartDate"),
        ({"StartDate": "0001-01-01"}, "StartDate"),
        ({"StartDate": "2026-05-02", "EndDate": "2026-05-01"}, "EndDate"),
        ({"PageSize": "0"}, "PageSize"),
        ({"Page": "1"}, "Page"),
        ({"Since": "2026-05-01"}, "Since"),
    ],
)
async def test_what_is_asked_wrongly_is_refused(account: Account, query: dict[str, str], param: str) -> None:
    response = await account.http.get(f"{account.path}/Usage/Records/Daily.json", params=query, auth=account.auth)
    assert refusal(response) == (400, 20001, param)


async def test_a_key_without_the_scopes_reads_neither(account: Account) -> None:
    await execute("UPDATE api_keys SET scopes = '[\"contacts:write\"]'")
    for path in ("Balance.json", "Usage/Records.json"):
        response = await account.http.get(f"{account.path}/{path}", auth=account.auth)
        assert (response.status_code, response.json()["details"]["code"]) == (403, "scope_missing")
