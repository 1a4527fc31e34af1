"""What the URL of a mail server says, and what is refused of it."""

from __future__ import annotations

import pytest

from msvs.settings import Settings, SettingsError, from_environment
from msvs.smtp_url import SmtpServer, read_smtp_url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.cohortlabs.co", SmtpServer("mail.cohortlabs.co", 587, False, True, None, None)),
        ("smtps://mail.cohortlabs.co", SmtpServer("mail.cohortlabs.co", 465, True, False, None, None)),
        ("smtp://a%40b:p%2Fw@mail.cohortlabs.co:25", SmtpServer("mail.cohortlabs.co", 25, False, True, "a@b", "p/w")),
        ("smtp://mailpit:1025?starttls=off", SmtpServer("mailpit", 1025, False, False, None, None)),
        ("smtp://localhost:1025", SmtpServer("localhost", 1025, False, False, None, None)),
    ],
)
def test_a_url_is_read(url: str, server: SmtpServer) -> None:
    assert read_smtp_url(url) == server
    assert from_environment({"MSVS_SMTP_URL": url}).smtp_url == url


@pytest.mark.parametrize(
    "url", ["smtp://u:hunter2@mail.cohortlabs.co?starttls=off", "http://mail.cohortlabs.co", "smtp://"]
)
def test_a_password_in_the_clear_and_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(SettingsError) as told:
        from_environment({"MSVS_SMTP_URL": url})
    assert str(told.value).startswith("MSVS_SMTP_URL must ")
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    "address", ["sms", "@cohortlabs.co", "sms@", "a b@cohortlabs.co", "A <a@b.co>", "a@b.co\nBcc: x"]
)
def test_a_sender_that_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(SettingsError):
        from_environment({"MSVS_MAIL_FROM": address})


def test_the_sender_is_of_the_public_url_unless_it_is_set() -> None:
    assert Settings(public_url="https://sms.cohortlabs.co").mail_sender == "no-reply@sms.cohortlabs.co"
    assert Settings(mail_from="sms@cohortlabs.co").mail_sender == "sms@cohortlabs.co"
