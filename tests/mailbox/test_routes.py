"""The mailbox page: what it shows in development, and that production has none."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from msvs.api.accounts.mail_letters import MailKind
from msvs.api.accounts.mail_outbox import queue_mail
from msvs.api.unit_of_work import unit_of_work
from msvs.app import create_app
from msvs.models import Mail, User
from msvs.settings import Settings
from msvs.workers.mail import send_mails
from tests.engines import Engines
from tests.services import SERVICES

PRODUCTION = {"environment": "production", "secret_key": "x" * 40, "operator_password": "x" * 40, "metrics_token": "x"}


def client(engines: Engines, database: str, path: Path, **values: object) -> httpx.AsyncClient:
    settings = Settings(database_url=database, redis_url=engines.redis_url, data_dir=path, **values)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(create_app(settings))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8000")


async def test_letters_are_listed_and_shown_with_links(
    clean: None, database: str, engines: Engines, tmp_path: Path
) -> None:
    await User.create(email="maria@cohortlabs.co", name="Maria", password_hash="!")
    async with client(engines, database, tmp_path) as http:
        assert "No mail yet" in (await http.get("/dev/mail")).text
        async with unit_of_work():
            await queue_mail(SERVICES, MailKind.PASSWORD_RESET, "maria@cohortlabs.co", language="en")
        await send_mails(SERVICES, Settings())
        mail = await Mail.get()
        listed = await http.get("/dev/mail")
        assert f'<a href="/dev/mail/{mail.id}">Set a new password</a>' in listed.text
        shown = await http.get(f"/dev/mail/{mail.id}")
        assert '<a href="https://api.massivesms.com/dashboard/reset#' in shown.text
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert (await http.get("/dev/mail/00000000-0000-0000-0000-000000000000")).status_code == 404
        assert (await http.get("/dev/mail", headers={"host": "evil.example"})).status_code == 400


@pytest.mark.parametrize("values", [{"smtp_url": "smtp://127.0.0.1:1"}, PRODUCTION])
async def test_there_is_no_mailbox_where_mail_is_sent(
    clean: None, database: str, engines: Engines, tmp_path: Path, values: dict[str, object]
) -> None:
    async with client(engines, database, tmp_path, **values) as http:
        headers = {"x-forwarded-proto": "https"}
        assert (await http.get("/dev/mail", headers=headers)).status_code == 404
