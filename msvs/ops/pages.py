"""The operators' pages as HTML, each with the Content-Security-Policy it needs."""

from __future__ import annotations

import secrets
from functools import cache
from html import escape
from importlib import resources
from string import Template


def page(title: str, body: str) -> tuple[str, dict[str, str]]:
    """Return a whole page around `body`, and the headers to send with it."""
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    return fill("page.html", title=escape(title), body=body, nonce=nonce), {"Content-Security-Policy": policy}


def notice(title: str, text: str) -> tuple[str, dict[str, str]]:
    """Return a page that says one thing, such as what was not found, and the headers to send with it."""
    return page(title, fill("notice.html", title=escape(title), text=escape(text)))


def fill(name: str, **values: str) -> str:
    """Return the template with its places filled; the values are HTML already."""
    return _template(name).substitute(values)


@cache
def _template(name: str) -> Template:
    return Template((resources.files("msvs.ops") / "templates" / name).read_text("utf-8"))
