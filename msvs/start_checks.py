"""Refuse to start with unsafe settings: open production, or development that others can reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import unquote, urlsplit

from msvs.settings import DEMO_FILE, LIVE_KEYS, Insecure, Settings, SettingsError

SECRET_LENGTH = 16
SECRET_LETTERS = 6
SANDBOX_CARRIER = "virtual"
# What stands in examples, in guides and in other services' defaults, compared without what is no letter or digit.
PLACEHOLDERS = ("changeme", "opensslrand", "yoursecret", "yourpassword", "placeholder", "replaceme", "secretkey")
# fmt: off
DEFAULT_PASSWORDS = frozenset((
    "admin", "demo", "default", "example", "guest", "msvs", "password", "postgres", "pgpassword", "redis", "root",
    "secret", "test", "toor", "valkey",
))
# fmt: on


def require_safe(settings: Settings) -> None:
    """Raise SettingsError with a line for each setting that production must not have."""
    if lines := list(refusals(settings)):
        raise SettingsError("\n".join(lines))


def require_own_listener(settings: Settings) -> None:
    """Raise SettingsError where development would listen on an address that others reach."""
    if settings.is_production or Insecure.PUBLIC_ADDRESS in settings.allow_insecure or is_own(settings.host):
        return
    raise SettingsError(
        f"HOST is {settings.host}, which others can reach, and development trusts everyone who does: set "
        "MSVS_ENV=production; or HOST=127.0.0.1; or, in a container or a network of your own, "
        f"MSVS_ALLOW_INSECURE={Insecure.PUBLIC_ADDRESS}"
    )


def require_real_route(settings: Settings, carrier: str) -> None:
    """Raise SettingsError where production would lead live messages to the virtual carrier by a route."""
    if (
        settings.is_production
        and carrier == SANDBOX_CARRIER
        and Insecure.VIRTUAL_CARRIER not in settings.allow_insecure
    ):
        raise SettingsError(
            "a route in production must not lead to the virtual carrier, which reaches nobody; for staging set "
            f"MSVS_ALLOW_INSECURE={Insecure.VIRTUAL_CARRIER}"
        )


def is_own(host: str) -> bool:
    """Return whether only this machine reaches what listens on a host: loopback, or a socket of the file system."""
    name = host.strip("[]").removesuffix(".").lower()
    if host.startswith("unix:") or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def refusals(settings: Settings) -> Iterator[str]:
    """Return a line for each setting that production must not have; none in development."""
    if not settings.is_production:
        return
    if settings.secret_key is None:
        yield "MSVS_SECRET_KEY must be set in production, to the same value for every process"
    for name, secret in (
        ("MSVS_SECRET_KEY", settings.secret_key),
        ("MSVS_OPERATOR_PASSWORD", settings.operator_password),
        ("MSVS_METRICS_TOKEN", settings.metrics_token),
    ):
        if secret is not None and (wrong := _weakness(secret)):
            yield f"{name} {wrong}; `openssl rand -base64 32` makes one{_ROTATES.get(name, '')}"
    for name, url in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url)):
        if url is not None and _has_default_password(url):
            yield f"{name} must not have a password that stands in examples or is a default"
    yield from _addresses(settings)
    if settings.live_carrier == SANDBOX_CARRIER and Insecure.VIRTUAL_CARRIER not in settings.allow_insecure:
        yield (
            "MSVS_LIVE_CARRIER must not be virtual in production, where live messages are paid for and reach nobody; "
            f"on a staging machine set MSVS_ALLOW_INSECURE={Insecure.VIRTUAL_CARRIER}"
        )
    yield from _payments(settings)
    if (settings.data_dir / DEMO_FILE).exists():
        yield (
            f"DATA_DIR must not hold {DEMO_FILE}, the printed keys and password of the demo workspace: choose another "
            "DATA_DIR, or end its keys and remove its users in development, and then the file"
        )


_ROTATES = {"MSVS_SECRET_KEY": ", and `msvs secrets rotate` puts it in the place of MSVS_SECRET_KEYS_PREVIOUS"}


def _payments(settings: Settings) -> Iterator[str]:
    """Return what is wrong with how credits are paid for: with pretended money they would be given away."""
    if settings.stripe_key is None:
        return
    if not settings.stripe_webhook_secrets:
        yield "MSVS_STRIPE_WEBHOOK_SECRETS must be set where MSVS_STRIPE_KEY is: nothing else tells of refunds at once"
    if Insecure.TEST_PAYMENTS in settings.allow_insecure:
        return
    if not settings.stripe_key.startswith(LIVE_KEYS):
        yield (
            "MSVS_STRIPE_KEY must be a live key in production, where credits reach carriers; on a staging machine set "
            f"MSVS_ALLOW_INSECURE={Insecure.TEST_PAYMENTS}"
        )
    if settings.stripe_url is not None:
        yield (
            "MSVS_STRIPE_URL must not be set in production, where it could stand in for Stripe; on a staging machine "
            f"set MSVS_ALLOW_INSECURE={Insecure.TEST_PAYMENTS}"
        )


def _addresses(settings: Settings) -> Iterator[str]:
    parts = urlsplit(settings.base_url)
    if parts.scheme == "https" or is_own(parts.hostname or "") or Insecure.HTTP_URL in settings.allow_insecure:
        return
    yield (
        "MSVS_PUBLIC_URL must begin with https:// in production, where keys and passwords travel to it; "
        f"in a network of your own set MSVS_ALLOW_INSECURE={Insecure.HTTP_URL}"
    )


def _weakness(secret: str) -> str | None:
    """Return what is wrong with a secret, or None: too short, a pattern, or copied from an example."""
    if len(secret.strip()) < SECRET_LENGTH:
        return f"must have at least {SECRET_LENGTH} characters"
    if len(set(secret)) < SECRET_LETTERS or _is_pattern(secret):
        return "must not be one character or pattern again and again"
    folded = re.sub(r"[^a-z0-9]", "", secret.lower())
    if any(each in folded for each in PLACEHOLDERS) or _is_pattern(folded):
        return "must not be copied from an example"
    return None


def _is_pattern(text: str) -> bool:
    """Return whether a text is a shorter one repeated, or its characters follow one another."""
    if len(text) < 2:
        return False
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return text in (text + text)[1:-1] or len(steps) == 1


def _has_default_password(url: str) -> bool:
    password = unquote(urlsplit(url.replace(",", "%2C")).password or "") if "@" in url else ""
    folded = re.sub(r"[^a-z0-9]", "", password.lower())
    return bool(password) and (folded in DEFAULT_PASSWORDS or any(each in folded for each in PLACEHOLDERS))
