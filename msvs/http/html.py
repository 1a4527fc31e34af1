"""HTML pages from templates, each with a Content-Security-Policy that lets its own style in and nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from string import Template

POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def render_page(package: str, name: str, *, title: str, **values: str) -> tuple[str, Mapping[str, str]]:
    """Return the package's template as a page, and the headers to send with it.

    The title is text; the other values are HTML already. The template names its style's `$nonce`.
    """
    nonce = secrets.token_urlsafe(16)
    page = fill(package, name, title=escape(title), nonce=nonce, **values)
    return page, {"Content-Security-Policy": POLICY.format(nonce=nonce)}


def fill(package: str, name: str, **values: str) -> str:
    """Return the package's template with its places filled; the values are HTML already."""
    return _template(package, name).substitute(values)


@cache
def _template(package: str, name: str) -> Template:
    return Template((resources.files(package) / "templates" / name).read_text("utf-8"))
