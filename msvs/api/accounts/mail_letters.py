"""Write letters to users in their language, as plain text and simple HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape

from msvs.api.accounts.mail_texts import BODIES, CLOSING, NOTIFICATIONS
from msvs.api.credits.owner_mail import CreditsMail

# The first stands in for every other.
LANGUAGES = ("en", "pt-BR", "es")

HTML = """\
<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><title>{subject}</title></head><body>
{body}
</body></html>
"""


class MailKind(StrEnum):
    """The kind of a mail."""

    CONFIRM_EMAIL = "confirm_email"
    ADDRESS_KNOWN = "address_known"
    PASSWORD_RESET = "password_reset"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    INVITATION = "invitation"
    NEW_DEVICE = "new_device"
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    NOTIFICATION = "notification"
    TOP_UP_PAID = CreditsMail.TOP_UP_PAID.value
    TOP_UP_DECLINED = CreditsMail.TOP_UP_DECLINED.value
    TOP_UP_OFF = CreditsMail.TOP_UP_OFF.value
    TOP_UP_AUTHENTICATE = CreditsMail.TOP_UP_AUTHENTICATE.value
    TOP_UP_LIMITED = CreditsMail.TOP_UP_LIMITED.value


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter that is ready to be sent."""

    subject: str
    text: str
    html: str


def write_letter(
    kind: MailKind, language: str, values: Mapping[str, str], link: str | None = None, *, of: str | None = None
) -> Letter:
    """Write a letter in a language; a notification's text is that `of` its kind.

    What the values say of people and workspaces stays text.
    """
    language = language if language in LANGUAGES else LANGUAGES[0]
    subject, *paragraphs = NOTIFICATIONS[of][language] if of else BODIES[kind.value][language]
    given = {name: " ".join(value.split()) for name, value in values.items()}
    subject = subject.format_map(given)
    lines = [line.format_map(given) for line in paragraphs]
    closing = CLOSING[language]
    text = "\n\n".join([*lines[:1], *([link] if link else []), *lines[1:], f"-- \n{closing}"]) + "\n"
    parts = [f"<p>{escape(line)}</p>" for line in lines]
    if link:
        parts.insert(1, f'<p><a href="{escape(link)}">{escape(link)}</a></p>')
    body = "\n".join([*parts, f"<p>{escape(closing)}</p>"])
    return Letter(subject, text, HTML.format(language=language, subject=escape(subject), body=body))
