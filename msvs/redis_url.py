"""Parse REDIS_URL where it names Sentinels: `redis+sentinel://[user:password@]host:port,…/0?master=name`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

SENTINEL_PORT = 26379
# The second is with TLS, to the Sentinels and the servers.
SCHEMES = ("redis+sentinel", "rediss+sentinel")
OWN = ("master", "sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class Sentinels:
    """The Sentinels of a URL, and the name under which they watch the servers.

    The URLs hold all that connections to the servers and to the Sentinels need but the host.
    """

    hosts: tuple[tuple[str, int], ...]
    master: str
    server_url: str = field(repr=False)
    sentinel_url: str = field(repr=False)


def read_sentinels(url: str) -> Sentinels | None:
    """Return the Sentinels that a URL names; None of one that names a server.

    Raises ValueError, which never shows the URL.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        return None
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    login, _, entries = authority.rpartition("@")
    given = _parameters(query)
    if not given.get("master"):
        raise ValueError("the parameter master must be the name under which the Sentinels watch the servers")
    if path and not (path.isascii() and path.isdecimal()):
        raise ValueError("its path must be the number of the database")
    more = {name: value for name, value in given.items() if name not in OWN}
    plain = scheme.removesuffix("+sentinel")
    username, password = (quote(given.get(name, ""), safe="") for name in OWN[1:])
    own_login = f"{username}:{password}" if username or password else ""
    return Sentinels(
        tuple(_host(entry) for entry in entries.split(",")),
        given["master"],
        _plain(plain, login, path or "0", more),
        _plain(plain, own_login, "0", more),
    )


def _parameters(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        raise ValueError("its parameters must be name=value, joined by &") from None


def _host(entry: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{entry}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name = port = None
    if not name or port == 0:
        raise ValueError("its hosts must be host:port, joined by commas")
    return name, port or SENTINEL_PORT


def _plain(scheme: str, login: str, path: str, more: Mapping[str, str]) -> str:
    at, query = f"{login}@" if login else "", f"?{urlencode(more)}" if more else ""
    return f"{scheme}://{at}sentinel/{path}{query}"
