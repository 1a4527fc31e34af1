"""Parse the URL of a mail server."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

NEAR = ("localhost", "127.0.0.1", "::1")


class SmtpServer(NamedTuple):
    """A server that takes mail."""

    host: str
    port: int
    # From the first byte; else after STARTTLS, where that is not turned off.
    is_tls: bool
    uses_starttls: bool
    user: str | None
    password: str | None

    @property
    def is_near(self) -> bool:
        """Whether it is on this machine."""
        return self.host in NEAR

    @property
    def is_encrypted(self) -> bool:
        """Whether nothing passes in the clear."""
        return self.is_tls or self.uses_starttls


def read_smtp_url(url: str) -> SmtpServer:
    """Read a URL of a mail server. On this machine, and with `?starttls=off`, it may be without TLS."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "smtps"
    is_off = "starttls=off" in parts.query.split("&") or host in NEAR
    user, password = (None if each is None else unquote(each) for each in (parts.username, parts.password))
    return SmtpServer(host, parts.port or (465 if is_tls else 587), is_tls, not is_tls and not is_off, user, password)
