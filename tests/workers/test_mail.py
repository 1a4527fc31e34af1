"""Mail from the outbox to a server: once, after COMMIT, again where the server is away, never where it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from msvs import database as db
from msvs.api.accounts.mail_letters import LANGUAGES, MailKind, write_letter
from msvs.api.accounts.mail_outbox import RETRIES, claim_mails, queue_mail
from msvs.api.accounts.mail_texts import BODIES, CLOSING
from msvs.api.unit_of_work import unit_of_work
from msvs.models import AccountToken, Mail, MailState, User
from msvs.settings import Settings
from msvs.workers import stopping
from msvs.workers.mail import send_mails
from msvs.workers.stopping import StopFlag
from tests.services import SERVICES
from tests.smtp import MailServer, mail_server

RECIPIENT = "maria@cohortlabs.co"
VALUES = {
    name: f"<{name}>"
    for name in (
        *("workspace", "inviter", "address", "device", "network", "at", "change"),
        *("credits", "price", "card", "until"),
    )
}
# What a notification says is that of its kind.
LETTERS = [kind for kind in MailKind if kind is not MailKind.NOTIFICATION]


@pytest.fixture
async def server(clean: None) -> AsyncIterator[MailServer]:
    async with mail_server() as running:
        yield running


async def queue(kind: MailKind = MailKind.PASSWORD_CHANGED, **values: Any) -> None:
    async with unit_of_work():
        await queue_mail(SERVICES, kind, RECIPIENT, language=values.pop("language", "en"), **values)


async def send(server: MailServer) -> int:
    return await send_mails(SERVICES, Settings(smtp_url=server.url, mail_from="sms@cohortlabs.co"))


async def make_due() -> None:
    await db.execute("UPDATE mails SET next_attempt_at = now() - interval '1 second'")


async def test_a_mail_is_sent_once(server: MailServer) -> None:
    await queue()
    assert [await send(server), await send(server)] == [1, 0]
    (message,) = server.taken
    assert (message["To"], message["From"]) == (RECIPIENT, "MassiveSMS <sms@cohortlabs.co>")
    assert message["Subject"] == "Your password was changed"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    mail = await Mail.get()
    assert (mail.state, mail.attempt_count, mail.error, mail.letter) == (MailState.SENT, 1, None, None)


async def test_a_mail_of_what_was_rolled_back_is_not_sent(server: MailServer) -> None:
    async def fail() -> None:
        async with unit_of_work():
            await queue_mail(SERVICES, MailKind.PASSWORD_CHANGED, RECIPIENT, language="en")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await send(server) == 0
    assert server.taken == []


async def test_a_server_that_is_busy_is_asked_again_later_and_in_the_end_no_more(server: MailServer) -> None:
    await queue()
    server.to_body = "451 try again"
    for attempt, delay in enumerate(RETRIES, 1):
        assert await send(server) == 1
        mail = await Mail.get()
        assert (mail.state, mail.attempt_count, mail.error) == (MailState.PENDING, attempt, "SMTPDataError_451")
        assert timedelta(0) < mail.next_attempt_at - await db.now() <= delay
        await make_due()
    assert await send(server) == 1
    mail = await Mail.get()
    assert (mail.state, mail.lease_until) == (MailState.FAILED, None)
    assert server.taken == []


async def test_a_server_that_is_away_holds_up_nothing_that_is_sent_later(server: MailServer) -> None:
    await queue()
    away = Settings(smtp_url="smtp://127.0.0.1:1")
    assert await send_mails(SERVICES, away) == 1
    assert (await Mail.get()).error == "ConnectionRefusedError"
    await make_due()
    assert await send(server) == 1
    assert len(server.taken) == 1


async def test_an_address_that_is_refused_for_good_is_not_tried_again(
    server: MailServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await queue()
    server.to_recipient = f"550 no such mailbox {RECIPIENT}"
    assert [await send(server), await send(server)] == [1, 0]
    mail = await Mail.get()
    assert (mail.state, mail.error) == (MailState.FAILED, "recipient_refused_550")
    assert RECIPIENT not in "".join(capsys.readouterr())


async def test_a_server_that_is_slow_holds_up_no_stop(server: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "STOP_SECONDS", 0.05)
    for _ in range(3):
        await queue()
    stop, never = StopFlag(), asyncio.Event()

    async def answer() -> None:
        # The first is answered; the second comes while the process is told to end.
        if len(server.taken) == 2:
            stop.set()
            await never.wait()

    server.before_answer = answer
    settings = Settings(smtp_url=server.url, mail_from="sms@cohortlabs.co")
    assert await send_mails(SERVICES, settings, stop=stop) == 3
    assert sorted((mail.state, mail.error) for mail in await Mail.all()) == [
        (MailState.PENDING, "slow_mail_server"),
        (MailState.PENDING, "slow_mail_server"),
        (MailState.SENT, None),
    ]
    assert len(server.taken) == 2
    never.set()
    server.before_answer = None
    await make_due()
    assert await send(server) == 2
    assert {mail.state for mail in await Mail.all()} == {MailState.SENT}


async def test_two_workers_claim_each_mail_once_and_a_lease_runs_out(clean: None) -> None:
    await queue()
    now = await db.now() + timedelta(seconds=1)
    async with unit_of_work():
        claims = [await claim_mails(now, limit=5), await claim_mails(now, limit=5)]
        later = await claim_mails(now + timedelta(minutes=3), limit=5)
    assert ([len(each) for each in claims], len(later)) == ([1, 0], 1)


async def test_without_a_server_development_keeps_letters_and_production_says_that_none_are_sent(clean: None) -> None:
    await queue()
    assert await send_mails(SERVICES, Settings()) == 1
    mail = await Mail.get()
    assert mail.state is MailState.KEPT
    assert mail.letter is not None
    assert mail.letter["subject"] == "Your password was changed"
    await Mail.all().delete()
    await queue()
    assert await send_mails(SERVICES, Settings(environment="production")) == 1
    mail = await Mail.get()
    assert (mail.state, mail.error, mail.letter) == (MailState.FAILED, "no_mail_server", None)


async def test_a_token_is_made_when_the_letter_is_and_only_its_hash_is_kept(server: MailServer) -> None:
    user = await User.create(email=RECIPIENT, name="Maria", password_hash="!", language="es")
    await queue(MailKind.PASSWORD_RESET)
    assert await AccountToken.all().count() == 0
    assert await send(server) == 1
    token = await AccountToken.get()
    assert (token.user_id, token.purpose, token.email) == (user.id, "reset_password", RECIPIENT)
    text = server.taken[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    link = next(line for line in text.splitlines() if line.startswith("http"))
    assert link.startswith("https://api.massivesms.com/dashboard/reset#")
    assert server.taken[0]["Subject"] == "Define una contraseña nueva"
    assert link.partition("#")[2] not in str(await db.fetch("SELECT * FROM mails, account_tokens"))


async def test_a_reset_for_an_address_that_nobody_has_is_dropped(server: MailServer) -> None:
    await queue(MailKind.PASSWORD_RESET)
    assert await send(server) == 1
    assert (server.taken, (await Mail.get()).state, await AccountToken.all().count()) == ([], MailState.DROPPED, 0)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", LETTERS)
def test_every_letter_is_written_in_every_language(kind: MailKind, language: str) -> None:
    assert (set(BODIES), set(CLOSING)) == (set(LETTERS), set(LANGUAGES))
    letter = write_letter(kind, language, VALUES, "https://sms.cohortlabs.co/dashboard/confirm#x")
    assert letter.subject
    assert "\n" not in letter.subject
    assert "https://sms.cohortlabs.co/dashboard/confirm#x" in letter.text
    assert CLOSING[language] in letter.text
    assert all(f"<{name}>" not in letter.html for name in VALUES)
    other = write_letter(kind, "tlh", VALUES)
    assert other == write_letter(kind, "en", VALUES)


def test_a_name_cannot_write_headers_lines_or_html() -> None:
    values = {"workspace": "Acme\r\nBcc: x@evil.example", "inviter": '<a href="//evil.example">Bank</a>'}
    letter = write_letter(MailKind.INVITATION, "en", values, "https://sms.cohortlabs.co/dashboard/invitation#x")
    assert letter.subject == "You are invited to Acme Bcc: x@evil.example"
    assert '<a href="//evil' not in letter.html
