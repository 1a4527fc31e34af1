"""Twilio's magic numbers in the sandbox, and messaging services."""

from __future__ import annotations

import pytest

from msvs.api.context import Context
from msvs.models import Message, TwilioMessage
from tests.services import SERVICES
from tests.twilio_compat.conftest import Account, Accounts
from tests.twilio_compat.test_messages import refusal

MAGIC = "+1500555000{}"
SERVICE = "MG" + "0" * 32


@pytest.mark.parametrize(
    ("param", "digit", "number"),
    [
        ("From", 1, 21212),
        ("From", 7, 21606),
        ("From", 8, 21611),
        ("To", 1, 21211),
        ("To", 2, 21612),
        ("To", 3, 21408),
        ("To", 4, 21610),
        ("To", 9, 21614),
    ],
)
async def test_a_magic_number_is_refused(account: Account, param: str, digit: int, number: int) -> None:
    form = {"From": MAGIC.format(6), "To": "+12125550111", "Body": "Doors open", param: MAGIC.format(digit)}
    assert refusal(await account.post("Messages.json", **form)) == (400, number, param)
    assert await Message.all().count() == 0


async def test_the_good_magic_number_sends(account: Account) -> None:
    for to in ("+12125550111", MAGIC.format(6)):
        sent = await account.send(to, From=MAGIC.format(6))
        assert (sent["from"], sent["to"], sent["status"]) == (MAGIC.format(6), to, "queued")


async def test_live_there_is_no_magic(account_of: Accounts, live_ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SERVICES.carriers, "live", "virtual")
    live = await account_of(live_ctx)
    assert (await live.send(MAGIC.format(4)))["status"] == "queued"


async def test_a_messaging_service_stands_for_the_workspaces_senders(account: Account) -> None:
    sent = await account.send(MessagingServiceSid=SERVICE)
    assert (sent["messaging_service_sid"], sent["from"]) == (SERVICE, "MASSIVESMS")
    plain = await account.send()
    assert (plain["messaging_service_sid"], plain["from"]) == (None, "MASSIVESMS")
    assert await account.get(f"Messages/{sent['sid']}.json") == sent
    assert (await account.get("Messages.json"))["messages"] == [plain, sent]
    canceled = await account.post(f"Messages/{sent['sid']}.json", Status="canceled")
    assert canceled.json()["messaging_service_sid"] == SERVICE
    assert await TwilioMessage.all().count() == 1


@pytest.mark.parametrize("sid", ["MG1", "mg" + "0" * 32, "MG" + "Z" * 32, "SM" + "0" * 32])
async def test_what_is_no_messaging_service_is_refused(account: Account, sid: str) -> None:
    response = await account.post("Messages.json", To="+12125550111", Body="Hi", MessagingServiceSid=sid)
    assert refusal(response) == (400, 21701, "MessagingServiceSid")
    assert await Message.all().count() == 0
