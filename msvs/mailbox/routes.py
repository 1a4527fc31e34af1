"""The pages at /dev/mail: a list of mails, and each letter with its links."""

from __future__ import annotations

import re
from html import escape
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from msvs.api.accounts.mail_outbox import get_kept, list_kept
from msvs.api.resources import moment
from msvs.http.html import card_response, fill
from msvs.models.rows import MailRow

PACKAGE = "msvs.mailbox"
LINK = re.compile(r"https?://\S+")


def mailbox_routes(*, keeps_mail: bool) -> list[BaseRoute]:
    """Return the routes of /dev/mail: none in production, nor where a server takes the mail."""
    if not keeps_mail:
        return []
    return [Route("/dev/mail", show_mailbox), Route("/dev/mail/{id:uuid}", show_letter)]


async def show_mailbox(_request: Request) -> Response:
    """Show the letters that were kept, the newest first."""
    rows = [_row(mail) for mail in await list_kept()]
    body = "\n".join(rows) or fill(PACKAGE, "empty.html")
    return _page("Mail", fill(PACKAGE, "list.html", rows=body))


async def show_letter(request: Request) -> Response:
    """Show one letter. Its links can be followed."""
    id: UUID = request.path_params["id"]
    mail = await get_kept(id)
    if mail is None:
        raise HTTPException(404)
    letter = mail.letter or {}
    text = LINK.sub(_anchor, escape(str(letter.get("text", "")), quote=False))
    subject = str(letter.get("subject", ""))
    body = fill(
        PACKAGE,
        "letter.html",
        subject=escape(subject),
        recipient=escape(mail.recipient),
        at=moment(mail.created_at),
        text=text,
    )
    return _page(subject, body)


def _row(mail: MailRow) -> str:
    subject = str((mail.letter or {}).get("subject", ""))
    return fill(
        PACKAGE,
        "row.html",
        id=str(mail.id),
        subject=escape(subject),
        recipient=escape(mail.recipient),
        at=moment(mail.created_at),
    )


def _anchor(found: re.Match[str]) -> str:
    # The text is escaped already, but for quotes, which no link of ours has.
    address = found[0].replace('"', "%22").replace("'", "%27")
    return f'<a href="{address}">{address}</a>'


def _page(title: str, body: str) -> Response:
    return card_response(PACKAGE, title=f"{title} · MassiveSMS · mailbox", body=body)
