"""Messages through Twilio's API: sending, reading, listing and canceling."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from msvs import database as db
from msvs.api import ids
from msvs.api.context import Context
from msvs.api.dispatch.senders import add_sender
from msvs.api.messages import messages
from msvs.api.resources import FAILURES
from msvs.database import execute
from msvs.models import CreditBalance, IdempotencyRecord, Message, MessageKind, MessageStatus
from msvs.twilio_compat.resources import NUMBERS, STATUSES, message_resource
from tests.rest_compat.making import work
from tests.services import SERVICES
from tests.twilio_compat.conftest import Account, Accounts

KEYS = {
    "account_sid",
    "api_version",
    "body",
    "date_created",
    "date_sent",
    "date_updated",
    "direction",
    "error_code",
    "error_message",
    "from",
    "messaging_service_sid",
    "num_media",
    "num_segments",
    "price",
    "price_unit",
    "sid",
    "status",
    "subresource_uris",
    "to",
    "uri",
}


def stamp(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def refusal(response: httpx.Response) -> tuple[int, int, str | None]:
    """Status, Twilio's number and the parameter of a refusal."""
    error = response.json()
    assert set(error) == {"code", "message", "more_info", "status", "details"}
    assert error["status"] == response.status_code
    assert error["details"]["request_id"] == response.headers["x-request-id"]
    assert error["more_info"].endswith(f"/docs/errors#{error['details']['code']}")
    return response.status_code, error["code"], error["details"].get("param")


async def test_a_message_is_sent_and_delivered(account: Account, ctx: Context) -> None:
    sent = await account.send(From="COHORT")
    id = UUID(hex=sent["sid"][2:])
    assert set(sent) == KEYS
    assert sent["date_created"] == sent["date_updated"]
    assert parsedate_to_datetime(sent["date_created"]) <= datetime.now(UTC)
    assert sent == {
        "account_sid": account.sid,
        "api_version": "2010-04-01",
        "body": "Doors open",
        "date_created": sent["date_created"],
        "date_sent": None,
        "date_updated": sent["date_created"],
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": "COHORT",
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": f"SM{id.hex}",
        "status": "queued",
        "subresource_uris": {"media": f"{account.path}/Messages/SM{id.hex}/Media.json"},
        "to": "+12125550111",
        "uri": f"{account.path}/Messages/SM{id.hex}.json",
    }
    row = await Message.get(id=id, workspace_id=ctx.workspace_id, livemode=False)
    assert (row.to_phone, row.body, row.status) == ("+12125550111", "Doors open", MessageStatus.QUEUED)
    await work()
    done = await account.get(f"Messages/{sent['sid']}.json")
    assert (done["status"], done["error_code"]) == ("delivered", None)
    assert parsedate_to_datetime(done["date_sent"]) >= parsedate_to_datetime(done["date_created"])
    assert (await account.get(f"Messages/{sent['sid']}/Media.json"))["media_list"] == []


async def test_a_live_key_sends_live(account_of: Accounts, live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SERVICES.carriers, "live", "virtual")
    live = await account_of(live_ctx)
    sent = await live.send()
    assert (await Message.get(id=UUID(hex=sent["sid"][2:]))).livemode is True
    assert (await CreditBalance.get(workspace_id=live_ctx.workspace_id)).balance == 9_999


@pytest.mark.parametrize("body", ["Hey {name}, {{x}}", "}{", "{" * 1600, "a b c & d=e+f %41 ção 😀"])
async def test_a_body_is_sent_as_it_is_written(account: Account, body: str) -> None:
    assert (await account.send(body=body))["body"] == body


async def test_a_message_for_later_and_its_validity(account: Account) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    sent = await account.send(ScheduleType="fixed", SendAt=stamp(later), ValidityPeriod="60")
    assert sent["status"] == "scheduled"
    row = await Message.get(id=UUID(hex=sent["sid"][2:]))
    assert (row.scheduled_at, row.expires_at) == (later, later + timedelta(seconds=60))
    canceled = await account.post(f"Messages/{sent['sid']}.json", Status="canceled")
    assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    again = await account.post(f"Messages/{sent['sid']}.json", Status="canceled")
    assert again.json() == canceled.json()


async def test_what_has_left_cannot_be_canceled(account: Account) -> None:
    sent = await account.send()
    await work()
    response = await account.post(f"Messages/{sent['sid']}.json", Status="canceled")
    assert refusal(response) == (400, 30409, "Status")
    assert (await account.get(f"Messages/{sent['sid']}.json"))["status"] == "delivered"


@pytest.mark.parametrize(
    ("phone", "status", "number"),
    [("+14155550101", "failed", 30005), ("+14155550102", "failed", 30007), ("+14155550103", "undelivered", 30003)],
)
async def test_failures_have_twilios_numbers(account: Account, phone: str, status: str, number: int) -> None:
    sent = await account.send(phone)
    await work()
    done = await account.get(f"Messages/{sent['sid']}.json")
    assert (done["status"], done["error_code"]) == (status, number)
    assert done["error_message"]


def test_every_status_has_one_of_twilios_and_every_number_is_of_a_failure() -> None:
    assert set(STATUSES) == set(MessageStatus)
    assert set(NUMBERS) <= set(FAILURES)


@pytest.mark.parametrize(
    ("code", "number"),
    [("region_blocked", 21408), ("region_not_enabled", 21408), ("no_route", 21612), ("outcome_unknown", 30008)],
)
async def test_what_no_carrier_took_has_twilios_numbers(account: Account, code: str, number: int) -> None:
    sent = await account.send("+12125550111")
    await Message.filter(id=UUID(hex=sent["sid"][2:])).update(status=MessageStatus.FAILED, error_code=code)
    done = await account.get(f"Messages/{sent['sid']}.json")
    assert (done["status"], done["error_code"], done["error_message"]) == ("failed", number, FAILURES[code])


def test_an_automatic_answer_is_a_reply() -> None:
    row = Message(
        id=ids.new_id(),
        kind=MessageKind.AUTO,
        status=MessageStatus.REPLIED,
        to_phone="+12125550111",
        sender="COHORT",
        body="Bye",
        segments=2,
        error_code="outcome_unknown",
        created_at=datetime(2026, 5, 1, 20, tzinfo=UTC),
        sent_at=datetime(2026, 5, 1, 20, 0, 1, tzinfo=UTC),
        replied_at=datetime(2026, 5, 2, 7, tzinfo=UTC),
    )
    shown = message_resource(row, "AC")
    assert (shown["direction"], shown["status"], shown["num_segments"]) == ("outbound-reply", "delivered", "2")
    assert (shown["error_code"], shown["error_message"]) == (30008, FAILURES["outcome_unknown"])
    assert (shown["date_sent"], shown["date_updated"]) == (
        "Fri, 01 May 2026 20:00:01 +0000",
        "Sat, 02 May 2026 07:00:00 +0000",
    )


# Lists


async def test_a_list_is_paged_both_ways(account: Account) -> None:
    sids = [(await account.send(body=f"No. {number}"))["sid"] for number in range(5)][::-1]

    async def page(path: str) -> dict[str, Any]:
        response = await account.http.get(path, auth=account.auth)
        assert response.status_code == 200, response.text
        return response.json()  # type: ignore[no-any-return]

    first = await page(f"{account.path}/Messages.json?PageSize=2")
    assert set(first) == {
        "messages",
        "end",
        "first_page_uri",
        "next_page_uri",
        "page",
        "page_size",
        "previous_page_uri",
        "start",
        "uri",
    }
    assert (first["page"], first["page_size"], first["start"], first["end"]) == (0, 2, 0, 1)
    assert first["previous_page_uri"] is None
    second = await page(first["next_page_uri"])
    third = await page(second["next_page_uri"])
    assert (third["page"], third["start"], third["end"], third["next_page_uri"]) == (2, 4, 4, None)
    pages = [[row["sid"] for row in each["messages"]] for each in (first, second, third)]
    assert pages == [sids[:2], sids[2:4], sids[4:]]
    back = await page(third["previous_page_uri"])
    assert [row["sid"] for row in back["messages"]] == sids[2:4]
    assert back["messages"] == (await page(back["uri"]))["messages"]
    front = await page(back["previous_page_uri"])
    assert [row["sid"] for row in front["messages"]] == sids[:2]
    assert front["previous_page_uri"] is None
    assert [row["sid"] for row in (await page(front["next_page_uri"]))["messages"]] == sids[2:4]
    assert (await page(first["first_page_uri"]))["messages"] == first["messages"]


async def test_filters(account: Account) -> None:
    one = await account.send("+12125550111", From="COHORT")
    two = await account.send("+12125550112", From="OTHERS")
    await work()
    now = datetime.now(UTC)
    day, hour = timedelta(days=1), timedelta(hours=1)

    async def found(**query: str) -> list[str]:
        names = {"until": "DateSent<", "since": "DateSent>"}
        page = await account.get("Messages.json", **{names.get(name, name): text for name, text in query.items()})
        return [row["sid"] for row in page["messages"]]

    both = [two["sid"], one["sid"]]
    assert await found() == both
    assert await found(To="") == both
    assert await found(To="+12125550111") == [one["sid"]]
    assert await found(To="+12125550113") == []
    assert await found(To="+" + "1" * 16) == await found(From="a" * 17) == []
    assert await found(From="OTHERS") == [two["sid"]]
    assert await found(To="+12125550111", From="OTHERS") == []
    assert await found(DateSent=f"{now:%Y-%m-%d}") == both
    assert await found(DateSent=f"{now - day:%Y-%m-%d}") == []
    assert await found(DateSent="0001-01-01") == []
    assert await found(DateSent="9999-12-31") == []
    assert await found(until=f"{now:%Y-%m-%d}", since=f"{now - day:%Y-%m-%d}") == both
    assert await found(until="9999-12-31T23:59:59Z") == both
    assert await found(since=stamp(now + hour)) == []
    assert await found(until=stamp(now - hour)) == []
    waiting = await account.send("+12125550111")
    assert await found(To="+12125550111") == [waiting["sid"], one["sid"]]
    assert await found(To="+12125550111", since=f"{now - day:%Y-%m-%d}") == [one["sid"]]
    page = await account.get("Messages.json", To="+12125550111", PageSize="1")
    assert "To=%2B12125550111&PageSize=1&Page=1&PageToken=PASM" in page["next_page_uri"]


@pytest.mark.parametrize("zone", ["Z", "+14:00"])
async def test_a_time_stands_for_its_day(account: Account, zone: str) -> None:
    """Twilio's libraries write a date as the time at which it begins."""
    one = await account.send()
    await work()
    [row] = (await account.get("Messages.json"))["messages"]
    day = parsedate_to_datetime(row["date_sent"])
    if zone != "Z":
        day += timedelta(hours=14)
    found = await account.get("Messages.json", DateSent=f"{day:%Y-%m-%dT%H:00:00}{zone}")
    assert [row["sid"] for row in found["messages"]] == [one["sid"]]


@pytest.mark.parametrize("query", ["From=OTHERS", "From=OTHERS&DateSent%3E=2020-01-01"])
@pytest.mark.parametrize("most", [1, 2, 3, 4, 12, 13, 14])
async def test_what_is_rare_is_found_a_bounded_number_of_messages_a_page(
    account: Account, monkeypatch: pytest.MonkeyPatch, most: int, query: str
) -> None:
    monkeypatch.setattr(messages, "MOST_LOOKED_AT", most)
    senders = ["OTHERS" if number in (0, 5, 6, 12) else "COHORT" for number in range(13)]
    sent = [await account.send(From=sender) for sender in senders]
    await work()
    rare = [row["sid"] for row in reversed(sent) if row["from"] == "OTHERS"]

    async def walk(path: str, direction: str) -> list[Any]:
        pages = []
        while path is not None:
            response = await account.http.get(path, auth=account.auth)
            pages.append(response.json())
            path = pages[-1][direction]
        return pages

    def found(pages: list[Any]) -> list[str]:
        return [row["sid"] for page in pages for row in page["messages"]]

    there = await walk(f"{account.path}/Messages.json?{query}&PageSize=2", "next_page_uri")
    back = await walk(there[-1]["uri"], "previous_page_uri")
    again = await walk(back[-1]["uri"], "next_page_uri")
    assert (found(there), found(back[::-1]), found(again)) == (rare, rare, rare)
    assert len(there) == max(2, -(-13 // most) + (13 % most == 0))


async def test_a_page_holds_at_most_a_hundred(account: Account) -> None:
    assert (await account.get("Messages.json", PageSize="1000"))["page_size"] == 100
    assert (await account.get("Messages.json"))["page_size"] == 50


# Refusals


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"To": ""}, (400, 21604, "To")),
        ({"Body": ""}, (400, 21602, "Body")),
        ({"Body": "  "}, (400, 21602, "Body")),
        ({"Body": "a" * 1601}, (400, 21617, "Body")),
        ({"To": "+1212555"}, (400, 21211, "To")),
        ({"To": "2125550111"}, (400, 21211, "To")),
        ({"To": "whatsapp:+12125550111"}, (400, 21211, "To")),
        ({"From": "no such sender!"}, (400, 21212, "From")),
        ({"To": "+14155550113"}, (400, 21408, "To")),
        ({"To": "+14155550114"}, (402, 20005, None)),
        ({"To": "+19005550123"}, (400, 21614, "To")),
        ({"MessagingServiceSid": "MG1"}, (400, 21701, "MessagingServiceSid")),
        ({"MediaUrl": "https://cohortlabs.co/a.png"}, (400, 21620, "MediaUrl")),
        ({"StatusCallback": "https://"}, (400, 21609, "StatusCallback")),
        ({"StatusCallback": "http://cohortlabs.co/hook"}, (400, 21609, "StatusCallback")),
        ({"StatusCallback": "https://169.254.169.254/hook"}, (400, 21609, "StatusCallback")),
        ({"StatusCallback": "https://a:b@cohortlabs.co/hook"}, (400, 21609, "StatusCallback")),
        ({"StatusCallback": "https://cohortlabs.co/hook#rc=6"}, (400, 21609, "StatusCallback")),
        ({"StatusCallback": "https://cohortlabs.co/hook#rp=3xx"}, (400, 21609, "StatusCallback")),
        ({"StatusCallback": "https://cohortlabs.co/hook#ct=500"}, (400, 21609, "StatusCallback")),
        ({"SmartEncoded": "true"}, (400, 20001, "SmartEncoded")),
        ({"ContentRetention": "discard"}, (400, 20001, "ContentRetention")),
        ({"ScheduledAt": "2030-01-01"}, (400, 20001, "ScheduledAt")),
        ({"SendAt": "2030-01-01T00:00:00Z"}, (400, 20001, "ScheduleType")),
        ({"ScheduleType": "fixed"}, (400, 35114, "SendAt")),
        ({"ScheduleType": "optimized", "SendAt": "2030-01-01T00:00:00Z"}, (400, 20001, "ScheduleType")),
        ({"ScheduleType": "fixed", "SendAt": "tomorrow"}, (400, 35114, "SendAt")),
        ({"ScheduleType": "fixed", "SendAt": "2030-01-01T00:00:00"}, (400, 35114, "SendAt")),
        ({"ScheduleType": "fixed", "SendAt": "2020-01-01T00:00:00Z"}, (400, 35114, "SendAt")),
        ({"ScheduleType": "fixed", "SendAt": "0001-01-01T00:00:00+14:00"}, (400, 35114, "SendAt")),
        (
            {"ScheduleType": "fixed", "SendAt": "9999-12-31T23:59:59Z", "ValidityPeriod": "36000"},
            (400, 35114, "SendAt"),
        ),
        ({"ValidityPeriod": "0"}, (400, 20001, "ValidityPeriod")),
        ({"ValidityPeriod": "36001"}, (400, 20001, "ValidityPeriod")),
        ({"ValidityPeriod": "²"}, (400, 20001, "ValidityPeriod")),
        ({"ValidityPeriod": "9" * 5000}, (400, 20001, "ValidityPeriod")),
        ({"Body": "a\0b"}, (400, 20001, "Body")),
    ],
)
async def test_what_is_refused_is_refused_in_twilios_numbers(
    account: Account, form: dict[str, str], expected: tuple[int, int, str | None]
) -> None:
    response = await account.post("Messages.json", **{"To": "+12125550111", "Body": "Doors open", **form})
    assert refusal(response) == expected
    assert await Message.all().count() == 0


async def test_what_asks_for_the_usual_is_taken(account: Account) -> None:
    await account.send(
        SmartEncoded="false", RiskCheck="enable", Attempt="3", ProvideFeedback="false", StatusCallback="", MediaUrl=""
    )


async def test_an_opted_out_contact_is_not_sent_to(account: Account) -> None:
    await account.send("+14155550105")
    await work()
    await work()
    response = await account.post("Messages.json", To="+14155550105", Body="Again")
    assert refusal(response) == (400, 21610, "To")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"Body": ""}, (409, 20009, None)),
        ({"Body": "", "Status": "canceled"}, (400, 20001, "Status")),
        ({"Body": "Other words"}, (400, 20001, "Body")),
        ({"Status": "sent"}, (400, 20001, "Status")),
        ({"Status": ""}, (400, 20001, "Status")),
        ({}, (400, 20001, "Status")),
        ({"Status": "canceled", "To": "+12125550111"}, (400, 20001, "To")),
    ],
)
async def test_messages_are_not_changed(
    account: Account, form: dict[str, str], expected: tuple[int, int, str | None]
) -> None:
    sent = await account.send()
    assert refusal(await account.post(f"Messages/{sent['sid']}.json", **form)) == expected
    assert await account.get(f"Messages/{sent['sid']}.json") == sent


async def test_a_message_that_may_yet_be_sent_is_not_deleted(account: Account) -> None:
    sent = await account.send()
    response = await account.http.delete(f"{account.path}/Messages/{sent['sid']}.json", auth=account.auth)
    assert refusal(response) == (409, 20009, None)
    assert await account.get(f"Messages/{sent['sid']}.json") == sent


@pytest.mark.parametrize("sid", ["SM" + "0" * 32, "SM" + "A" * 32, "MM" + "0" * 32, "msg_1", "%00", "SM"])
async def test_a_message_that_is_not_there(account: Account, sid: str) -> None:
    for response in (
        await account.http.get(f"{account.path}/Messages/{sid}.json", auth=account.auth),
        await account.http.get(f"{account.path}/Messages/{sid}/Media.json", auth=account.auth),
        await account.post(f"Messages/{sid}.json", Status="canceled"),
    ):
        assert refusal(response)[:2] == (404, 20404)


async def test_another_workspace_and_mode_see_nothing(
    account: Account, account_of: Accounts, other_ctx: Context, live_ctx: Context
) -> None:
    sent = await account.send()
    for other in (await account_of(other_ctx), await account_of(live_ctx)):
        response = await other.http.get(f"{other.path}/Messages/{sent['sid']}.json", auth=other.auth)
        assert refusal(response)[:2] == (404, 20404)
        assert (await other.get("Messages.json"))["messages"] == []


# Retries


async def test_a_retry_with_its_token_sends_once(account: Account) -> None:
    headers = {"I-Twilio-Idempotency-Token": "c0ffee"}
    path = f"{account.path}/Messages.json"

    async def send(**form: str) -> httpx.Response:
        return await account.http.post(path, data=form, headers=headers, auth=account.auth)

    first = await send(To="+12125550111", Body="Doors open")
    second = await send(To="+12125550111", Body="Doors open")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    other = await send(To="+12125550111", Body="Other words")
    assert (other.status_code, other.json()["details"]["code"]) == (400, "idempotency_key_reused")
    assert await Message.all().count() == 1


async def test_a_refusal_that_is_kept_is_given_again(account: Account) -> None:
    headers = {"I-Twilio-Idempotency-Token": "c0ffee"}
    form = {"To": "+14155550114", "Body": "Doors open"}
    path = f"{account.path}/Messages.json"
    first, second = [await account.http.post(path, data=form, headers=headers, auth=account.auth) for _ in range(2)]
    assert refusal(first) == (402, 20005, None)
    assert second.json() == first.json()
    assert refusal(second) == refusal(first)
    assert await IdempotencyRecord.all().count() == 1
    assert await db.fetch_value("SELECT count(*) FROM messages") == 0


async def test_another_workspaces_sender_is_refused(account: Account, other_ctx: Context) -> None:
    await add_sender(SERVICES, other_ctx.workspace_id, "COHORTLABS")
    await add_sender(SERVICES, other_ctx.workspace_id, "+442071838750")
    for sender in ("COHORTLABS", "C0HORTLABS", "+442071838750", "MASSlVESMS"):
        response = await account.post("Messages.json", To="+12125550111", Body="Hi", From=sender)
        error = response.json()
        assert (response.status_code, error["code"], error["details"]["code"]) == (400, 21606, "sender_not_allowed")
        assert error["details"]["param"] == "From"
    assert await Message.all().count() == 0


async def test_a_key_without_the_scope_sends_nothing(account: Account) -> None:
    await execute("UPDATE api_keys SET scopes = '[\"contacts:write\"]'")
    response = await account.post("Messages.json", To="+12125550111", Body="Hi")
    error = response.json()
    assert (response.status_code, error["details"]["code"]) == (403, "scope_missing")
    assert error["details"]["scope"] == "messages:send"
    assert await Message.all().count() == 0
