"""The operators' pages as HTML, with their Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from msvs.http import html

PACKAGE = "msvs.ops"


def page(title: str, body: str) -> tuple[str, Mapping[str, str]]:
    """Return a whole page around `body`, and the headers to send with it."""
    whole = {"title": f"{title} · MassiveSMS · operators", "body": fill("page.html", body=body)}
    return html.render_page("msvs.http", "layout.html", style=html.card_style(PACKAGE), **whole)


def notice(title: str, text: str) -> tuple[str, Mapping[str, str]]:
    """Return a page that says one thing, such as what was not found, and the headers to send with it."""
    return page(title, fill("notice.html", title=escape(title), text=escape(text)))


def fill(name: str, **values: str) -> str:
    """Return the template with its places filled; the values are HTML already."""
    return html.fill(PACKAGE, name, **values)
