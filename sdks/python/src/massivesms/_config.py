"""Settings of a client, checked before any request is made."""

from __future__ import annotations

import math
import os
import platform
import re
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from massivesms._version import VERSION
from massivesms.errors import ConfigurationError

BASE_URL = "https://api.massivesms.com"
KEY_VARIABLE = "MASSIVESMS_API_KEY"
BASE_URL_VARIABLE = "MASSIVESMS_BASE_URL"
LONGEST_SECONDS = 86_400
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_key = re.compile(r"msvs_(live|test)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})")


@dataclass(frozen=True)
class Settings:
    """What all calls of a client share."""

    api_key: str = field(repr=False)
    base_url: str
    livemode: bool
    timeout: float
    connect_timeout: float
    deadline: float | None
    max_retries: int
    headers: Mapping[str, str] = field(repr=False)


def read_settings(
    api_key: str | None,
    base_url: str | None,
    timeout: float,
    connect_timeout: float,
    deadline: float | None,
    max_retries: int,
    app_info: str | None,
) -> Settings:
    """Check settings and fill in what the environment gives. Raises ConfigurationError."""
    key = api_key if api_key is not None else os.environ.get(KEY_VARIABLE)
    if key is None:
        raise ConfigurationError(f"Give api_key, or set {KEY_VARIABLE}.")
    livemode = read_key(key)
    url = read_base_url(base_url or os.environ.get(BASE_URL_VARIABLE) or BASE_URL)
    check_times(timeout, deadline, max_retries)
    check_times(connect_timeout, None, max_retries)
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json", "User-Agent": user_agent(app_info)}
    return Settings(key, url, livemode, timeout, connect_timeout, deadline, max_retries, headers)


def check_times(timeout: object, deadline: object, max_retries: object) -> None:
    """Raise ConfigurationError for times and counts that cannot be."""
    for seconds in (timeout, 1 if deadline is None else deadline):
        if not isinstance(seconds, int | float) or not (math.isfinite(seconds) and 0 < seconds <= LONGEST_SECONDS):
            raise ConfigurationError("Time-outs and deadlines are seconds: more than 0, and 86,400 at most.")
    if not isinstance(max_retries, int) or max_retries < 0:
        raise ConfigurationError("max_retries is 0 or more.")


def read_key(key: str) -> bool:
    """Return whether a key is a live one. Raises ConfigurationError, which does not repeat the key."""
    found = _key.fullmatch(key)
    if found is None:
        raise ConfigurationError("The API key is not one: msvs_live_ or msvs_test_ and 36 characters.")
    if checksum(found[2]) != found[3]:
        raise ConfigurationError("The API key is not whole: its checksum does not fit. Copy it again.")
    return found[1] == "live"


def checksum(body: str) -> str:
    """Return the six characters of a key's CRC-32."""
    number = zlib.crc32(body.encode())
    characters = []
    for _ in range(6):
        number, rest = divmod(number, len(BASE62))
        characters.append(BASE62[rest])
    return "".join(reversed(characters))


def read_base_url(url: str) -> str:
    """Return a base URL without slashes at its end. Raises ConfigurationError for plain HTTP beyond this machine."""
    try:
        parts = urlsplit(url)
        host, has_port = parts.hostname, parts.port is None or parts.port > 0
    except ValueError as error:
        raise ConfigurationError("The base URL cannot be read.") from error
    if parts.scheme not in ("http", "https") or not host or not has_port:
        raise ConfigurationError("The base URL begins with https:// and names a host.")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigurationError("The base URL has no user, query or fragment.")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ConfigurationError("The base URL is plain HTTP, which would show the API key: use https://.")
    return url.rstrip("/")


def user_agent(app_info: str | None) -> str:
    """Return what names this package, and the caller's application where it is given."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    told = f"massivesms-python/{VERSION} (python {version}; {platform.system().lower() or 'unknown'})"
    if app_info is None:
        return told
    if not app_info.isascii() or not app_info.isprintable():
        raise ConfigurationError("app_info is printable ASCII.")
    return f"{told} {app_info}"
