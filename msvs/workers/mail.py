"""Mail jobs: write letters in transactions, and send a batch over one connection."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

import structlog

from msvs import database
from msvs.api.accounts.mail_letters import Letter
from msvs.api.accounts.mail_outbox import MailLooks, claim_mails, retry_mail, settle_mail
from msvs.api.accounts.mail_writers import write_mail
from msvs.api.context import Services
from msvs.api.unit_of_work import unit_of_work
from msvs.models import MailState
from msvs.models.rows import MailRow
from msvs.settings import Settings
from msvs.smtp_url import read_smtp_url
from msvs.workers.stopping import StopFlag

log = structlog.get_logger(__name__)

BATCH = 20
# What one answer of the server may take.
SMTP_SECONDS = 10.0
SENDER_NAME = "MassiveSMS"
NO_SERVER = "no_mail_server"
SLOW_SERVER = "slow_mail_server"
# Of the two minutes of a lease.
BATCH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer of the mail server: nothing if it accepted the letter, or the error and whether a retry may help."""

    error: str | None = None
    is_final: bool = False


async def send_mails(services: Services, settings: Settings, *, stop: StopFlag | None = None) -> int:
    """Send all due mails. Return how many were settled or postponed."""
    count = 0
    while stop is None or not stop.is_set:
        async with unit_of_work():
            mails = await claim_mails(await database.now(), limit=BATCH, looks=services.keep(MailLooks))
        if not mails:
            break
        await _send(services, settings, mails, stop or StopFlag())
        count += len(mails)
    return count


async def _send(services: Services, settings: Settings, mails: Sequence[MailRow], stop: StopFlag) -> None:
    letters = [await _write(services, mail) for mail in mails]
    going = [(mail, letter) for mail, letter in zip(mails, letters, strict=True) if letter is not None]
    if settings.smtp_url is None:
        outcomes = [Outcome(None if settings.keeps_mail else NO_SERVER, is_final=True)] * len(going)
    else:
        messages = [_compose(settings, mail, letter) for mail, letter in going]
        outcomes = await _deliver(settings.smtp_url, messages, stop)
    async with unit_of_work():
        now = await database.now()
        for mail, letter in zip(mails, letters, strict=True):
            if letter is None:
                await settle_mail(mail, MailState.DROPPED, now)
        for (mail, letter), outcome in zip(going, outcomes, strict=True):
            if outcome.error is None:
                kept = letter if settings.keeps_mail else None
                await settle_mail(mail, MailState.KEPT if settings.keeps_mail else MailState.SENT, now, letter=kept)
            elif outcome.is_final:
                log.error("mail refused", kind=mail.kind, error=outcome.error)
                await settle_mail(mail, MailState.FAILED, now, error=outcome.error)
            else:
                again = await retry_mail(mail, now, error=outcome.error)
                log.warning("mail not sent", kind=mail.kind, error=outcome.error, again=again)


async def _deliver(url: str, messages: Sequence[EmailMessage], stop: StopFlag) -> list[Outcome]:
    """Hand messages to a mail server; a process that must end does not wait for a slow server.

    What it was given and did not answer is tried again, as after a lost connection.
    """
    outcomes: list[Outcome] = []
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        try:
            deliver(url, messages, outcomes, stop)
        finally:
            # The loop is gone where the process ended meanwhile.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

    # A daemon, so that it ends with its process at any point.
    threading.Thread(target=work, name="mail", daemon=True).start()
    with suppress(TimeoutError):
        async with stop.limit():
            await done.wait()
    known = outcomes[:]
    return [*known, *[Outcome(SLOW_SERVER)] * (len(messages) - len(known))]


async def _write(services: Services, mail: MailRow) -> Letter | None:
    async with unit_of_work():
        return await write_mail(services, mail)


def _compose(settings: Settings, mail: MailRow, letter: Letter) -> EmailMessage:
    message = EmailMessage()
    domain = settings.mail_sender.rpartition("@")[2]
    message["From"] = Address(SENDER_NAME, addr_spec=settings.mail_sender)
    message["To"] = mail.recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(mail.created_at)
    # The same at each attempt, so that a mailbox that has it already can tell.
    message["Message-ID"] = make_msgid(idstring=str(mail.id), domain=domain)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def deliver(url: str, messages: Sequence[EmailMessage], outcomes: list[Outcome], stop: StopFlag) -> None:
    """Hand messages to a mail server one by one, and note each outcome. Blocks, so run it in a thread."""
    try:
        connection = connect(url)
    except (OSError, smtplib.SMTPException) as error:
        outcomes += [Outcome(_name(error))] * len(messages)
        return
    # What a slow server leaves over is due again before another worker may claim it.
    until = time.monotonic() + BATCH_SECONDS
    try:
        for message in messages:
            is_late = stop.is_set or time.monotonic() >= until
            outcomes.append(Outcome(SLOW_SERVER) if is_late else _hand_over(connection, message))
    finally:
        connection.close()


def connect(url: str) -> smtplib.SMTP:
    """Open a connection to a mail server, and sign in. Blocks. Raises OSError and SMTPException."""
    server = read_smtp_url(url)
    context = ssl.create_default_context()
    if server.is_tls:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=SMTP_SECONDS, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=SMTP_SECONDS)
    try:
        if server.uses_starttls:
            connection.starttls(context=context)
        if server.user is not None:
            connection.login(server.user, server.password or "")
    except BaseException:
        connection.close()
        raise
    return connection


def _hand_over(connection: smtplib.SMTP, message: EmailMessage) -> Outcome:
    try:
        connection.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return Outcome(f"recipient_refused_{codes[0]}", is_final=min(codes) >= 500)
    except smtplib.SMTPResponseException as error:
        return Outcome(f"{type(error).__name__}_{error.smtp_code}", is_final=error.smtp_code >= 500)
    except (OSError, smtplib.SMTPException) as error:
        return Outcome(_name(error))
    return Outcome()


def _name(error: Exception) -> str:
    """Name an error without the server's words, which may quote an address."""
    code = getattr(error, "smtp_code", None)
    return f"{type(error).__name__}_{code}" if code else type(error).__name__
