"""Parse DATABASE_URL: honor the parameters of libpq, and refuse the others with an explanation."""

from __future__ import annotations

import os
import re
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

# asyncpg reads these itself, as libpq does.
PASSED = frozenset(
    [
        "host",
        "port",
        "user",
        "password",
        "dbname",
        "passfile",
        "service",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "sslpassword",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "ssl_max_protocol_version",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
    ]
)
FILES = ("passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl")
# libpq's parameters of which only what happens anyway can be asked for.
FIXED: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("prefer", "disable"),
    "client_encoding": ("auto", "UTF8", "utf8", "UTF-8", "utf-8"),
    "gssencmode": ("prefer", "disable"),
    "load_balance_hosts": ("disable",),
    "sslcompression": ("0",),
    "sslsni": ("1",),
}
# Those of libpq, each an option of the socket; what is not given is KEPT_ALIVE's.
KEEPALIVE_OPTIONS: Mapping[str, tuple[int, str]] = {
    "keepalives": (socket.SOL_SOCKET, "SO_KEEPALIVE"),
    "keepalives_idle": (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
    "keepalives_interval": (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
    "keepalives_count": (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
    "tcp_user_timeout": (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT"),
}
OURS = ("connect_timeout", "application_name", "fallback_application_name", "options", "pool_mode")
# How the pooler at the URL shares its connections, as PgBouncer names it.
POOL_MODES = ("session", "transaction")
# Those that each transaction can set for itself.
LIMITED = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_timeout")
# Settings of PostgreSQL that may be named as parameters too; any other goes into `options`.
SETTINGS = frozenset(
    [
        *LIMITED,
        "search_path",
        "tcp_keepalives_idle",
        "tcp_keepalives_interval",
        "tcp_keepalives_count",
    ]
)
TARGETS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
CONNECT_SECONDS = 60.0

_name = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


# Of several hosts, each: one that does not answer must not hold up the next for long.
HOST_SECONDS = 5.0
# So that a network that is split, or a machine that is gone, is noticed in seconds also by a process that only waits
# for an answer; of the socket, in seconds and, the last, in milliseconds. The URL may say otherwise.
KEPT_ALIVE: Mapping[str, int] = {
    "keepalives": 1,
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 4,
    "tcp_user_timeout": 7000,
}


class Host(NamedTuple):
    """One of several hosts, and its port where the URL names one."""

    name: str
    port: int | None


@dataclass(frozen=True, slots=True)
class Dsn:
    """How to connect: the arguments of asyncpg, and the parameters to set on a new connection.

    `hosts` are those of a URL that names several, of which one that is written to is wanted unless `target` says
    otherwise.
    """

    text: str = field(repr=False)
    application_name: str
    timeout: float
    settings: Mapping[str, str]
    keepalives: Mapping[str, int]
    hosts: tuple[Host, ...] = ()
    target: str = "any"
    # Whether a pooler gives each transaction another connection: what a session keeps must not be relied on.
    by_transaction: bool = False


def read_dsn(url: str, *, application_name: str = "msvs") -> Dsn:
    """Read a `postgresql://` URL. Raises ValueError that names the parameter, and never shows the URL."""
    head, _, query = url.partition("#")[0].partition("?")
    given = _parameters(query)
    for name in given:
        if (
            name not in PASSED
            and name not in FIXED
            and name not in (*KEEPALIVE_OPTIONS, *OURS)
            and name not in SETTINGS
        ):
            raise ValueError(f"the parameter {name[:40]} is not supported")
    for name, allowed in FIXED.items():
        if given.get(name, allowed[0]) not in allowed:
            raise ValueError(f"{name} can be {' or '.join(allowed[:2])} only")
    if given.get("sslmode", "prefer") not in SSL_MODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")
    for name in FILES:
        if name in given and not os.access(given[name], os.R_OK):
            raise ValueError(f"{name} must be a file that can be read")
    passed = {name: value for name, value in given.items() if name in PASSED}
    settings = _options(given.get("options", "")) | {name: given[name] for name in given if name in SETTINGS}
    hosts = _hosts(head, passed)
    target = given.get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
    if target is not None and target not in TARGETS:
        raise ValueError(f"target_session_attrs must be one of {', '.join(TARGETS)}")
    return Dsn(
        text=_with_defaults(head, passed),
        application_name=given.get("application_name") or given.get("fallback_application_name") or application_name,
        timeout=_seconds(given.get("connect_timeout", ""), HOST_SECONDS if hosts else CONNECT_SECONDS),
        settings=settings,
        keepalives={**KEPT_ALIVE, **{name: _whole(name, given[name]) for name in KEEPALIVE_OPTIONS if name in given}},
        hosts=hosts,
        target=target or ("read-write" if hosts else "any"),
        by_transaction=_by_transaction(given.get("pool_mode", POOL_MODES[0]), settings),
    )


def _by_transaction(mode: str, settings: Mapping[str, str]) -> bool:
    if mode not in POOL_MODES:
        raise ValueError(f"pool_mode must be {' or '.join(POOL_MODES)}")
    if mode == POOL_MODES[0]:
        return False
    for name in settings:
        if name not in LIMITED:
            raise ValueError(f"{name[:40]} cannot be set through a pooler in transaction mode")
    return True


def _parameters(query: str) -> dict[str, str]:
    try:
        # A plus is a plus: libpq knows no other escape than %.
        pairs = parse_qsl(query.replace("+", "%2B"), keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ValueError("its parameters must be name=value, joined by &") from None
    return {name: value for name, value in pairs if value}


def _with_defaults(head: str, passed: dict[str, str]) -> str:
    """Return the URL with our host, user and database where it names none."""
    scheme, _, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    who, at, hosts = authority.rpartition("@")
    if at and "@" in who:
        # asyncpg takes the first @ for the end of the password.
        who = who.replace("@", "%40")
    is_service = "service" in passed or "PGSERVICE" in os.environ
    for entry in filter(None, hosts.split(",")):
        parts = urlsplit(f"//{entry}")
        _whole("port", "5432" if parts.port is None else str(parts.port))
        if not parts.hostname and not passed.get("host"):
            raise ValueError("a host is missing before a port")
    if not is_service:
        if not hosts and "host" not in passed and "PGHOST" not in os.environ:
            passed.setdefault("host", "127.0.0.1")
        if not unquote(who.partition(":")[0]):
            passed.setdefault("user", os.environ.get("PGUSER", "postgres"))
        if not path:
            passed.setdefault("dbname", os.environ.get("PGDATABASE", "postgres"))
    if "port" in passed and any(not part.isdigit() for part in passed["port"].split(",")):
        raise ValueError("port must be a number")
    query = urlencode(passed, quote_via=quote)
    return f"{scheme}://{who}{at}{hosts}{slash if path else ''}{path}" + (f"?{query}" if query else "")


def _hosts(head: str, passed: Mapping[str, str]) -> tuple[Host, ...]:
    """Return the hosts that a URL names, where they are several."""
    entries = head.partition("://")[2].partition("/")[0].rpartition("@")[2].split(",")
    if any(entries):
        parts = [urlsplit(f"//{entry}") for entry in entries]
        found = [Host(unquote(each.hostname or ""), each.port) for each in parts]
    else:
        names, ports = passed.get("host", "").split(","), passed.get("port", "").split(",")
        if len(ports) not in (1, len(names)):
            raise ValueError("port must be one number, or as many as there are hosts")
        ports = ports if len(ports) == len(names) else ports * len(names)
        found = [Host(name, int(port) if port.isdigit() else None) for name, port in zip(names, ports, strict=True)]
    if len(found) == 1:
        return ()
    if not all(host.name for host in found):
        raise ValueError("a host is missing beside a comma")
    return tuple(found)


def _seconds(text: str, most: float) -> float:
    seconds = _whole("connect_timeout", text or "0")
    # As libpq: zero waits for as long as the caller does.
    return float(seconds) if seconds > 0 else most


def _whole(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{name} must be a whole number")
    return int(text)


def _options(text: str) -> dict[str, str]:
    """Return the settings of `-c name=value` and `--name=value`."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("options has a quote that does not end") from None
    settings = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith(("--", "-c")):
            word = word[2:]
        else:
            raise ValueError("options may hold -c name=value only")
        name, equals, value = word.partition("=")
        name = name.replace("-", "_")
        if not equals or not _name.fullmatch(name):
            raise ValueError("options may hold -c name=value only")
        settings[name] = value
    return settings
