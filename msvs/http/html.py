"""HTML pages from templates, with their security headers and Content-Security-Policy."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from importlib import resources
from string import Template

from starlette.responses import HTMLResponse

NOT_STORED: Mapping[str, str] = {"Cache-Control": "no-store"}
# What every page and its files carry: no other site embeds them, opens them as a window of its own, or learns a path.
PAGE_HEADERS: Mapping[str, str] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# The directives of a policy that forbid everything where a page does not say otherwise.
CLOSED = ("base-uri", "form-action", "frame-ancestors")


def content_security_policy(*rules: str) -> str:
    """Return a Content-Security-Policy that allows what the rules name, such as `img-src data:`, and nothing else."""

    def directives() -> Iterator[str]:
        yield "default-src 'none'"
        yield from rules
        named = {rule.partition(" ")[0] for rule in rules}
        yield from (f"{name} 'none'" for name in CLOSED if name not in named)

    return "; ".join(directives())


def card_response(package: str, *, title: str, body: str, status: int = 200) -> HTMLResponse:
    """Return a page of one card around `body`, in the package's own style."""
    return page_response("msvs.http", "layout.html", title=title, status=status, style=card_style(package), body=body)


def card_style(package: str) -> str:
    """Return what the package's cards have of style besides that of every card."""
    return fill(package, "style.css")


def page_response(
    package: str,
    name: str,
    *,
    title: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: str,
) -> HTMLResponse:
    """Return the package's template as a page that no cache may keep; `headers` go before those of every page."""
    text, own = render_page(package, name, title=title, **values)
    return HTMLResponse(text, status, {**PAGE_HEADERS, **NOT_STORED, **own, **(headers or {})})


def render_page(package: str, name: str, *, title: str, **values: str) -> tuple[str, Mapping[str, str]]:
    """Return the package's template as a page, and the headers to send with it.

    The title is text; the other values are HTML already. The template names its style's `$nonce`.
    """
    nonce = secrets.token_urlsafe(16)
    page = fill(package, name, title=escape(title), nonce=nonce, **values)
    policy = content_security_policy(f"style-src 'nonce-{nonce}'", "img-src data:", "form-action 'self'")
    return page, {"Content-Security-Policy": policy}


def fill(package: str, name: str, **values: str) -> str:
    """Return the package's template with its places filled; the values are HTML already."""
    return _template(package, name).substitute(values)


@cache
def _template(package: str, name: str) -> Template:
    return Template((resources.files(package) / "templates" / name).read_text("utf-8"))
