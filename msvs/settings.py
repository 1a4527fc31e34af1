"""Every setting of the service, read once from the environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from msvs.dsn import read_dsn

DEVELOPMENT = "development"
PRODUCTION = "production"
# Where the API is served to the public, and its documentation found.
PRODUCTION_URL = "https://api.massivesms.com"


def version() -> str:
    """Return the version of the service that is installed."""
    try:
        return metadata.version("massivesms-server")
    except metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"


class SettingsError(ValueError):
    """A variable of the environment holds something that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The service's settings; `from_environment` names the variable behind each."""

    environment: str = DEVELOPMENT
    data_dir: Path = Path(".data")
    database_url: str | None = None
    redis_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str | None = None
    carriers: Path | None = None
    live_carrier: str | None = None
    virtual_capability: str = "dedupe"
    virtual_faults: str = ""
    secret_key: str | None = field(default=None, repr=False)
    secret_keys_previous: tuple[str, ...] = field(default=(), repr=False)
    operator_password: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)
    webhook_allow_cidrs: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    message_workers: int = 2
    webhook_workers: int = 1
    database_pool_size: int = 10
    carrier_rates: Mapping[str, float] = field(default_factory=dict)
    sender_rates: Mapping[str, float] = field(default_factory=dict)
    sessions_host: str = "127.0.0.1"
    message_months: int = 25
    event_months: int = 4
    attempt_months: int = 4
    persisted_operations: Path | None = None
    sign_up: str | None = None
    log_level: str = "INFO"

    @property
    def is_production(self) -> bool:
        """Whether development conveniences (http webhooks to loopback, GraphiQL) are off."""
        return self.environment == PRODUCTION

    @property
    def base_url(self) -> str:
        """Where integrators reach the service, without a trailing slash."""
        host = {"::": "::1"}.get(self.host, self.host)
        if self.socket_path is not None:
            host = "localhost"
        return (self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}").rstrip("/")

    @property
    def socket_path(self) -> str | None:
        """The path of the socket to listen on in place of a port, or None."""
        return self.host.removeprefix("unix:") if self.host.startswith("unix:") else None

    @property
    def sign_up_policy(self) -> str:
        """Who may make a user: `open`, by `invitation`, or `off`."""
        return self.sign_up or ("invitation" if self.is_production else "open")

    @property
    def secret_file(self) -> Path:
        """Where the secret key is kept that stands in for MSVS_SECRET_KEY in development."""
        return self.data_dir / "secret.key"

    def encryption_secret(self) -> str:
        """Return the secret key: MSVS_SECRET_KEY, else, in development, a file made once in DATA_DIR.

        Raises SettingsError.
        """
        self.require_secret_key()
        return self.secret_key or _kept_secret(self.secret_file)

    def known_secrets(self) -> tuple[str, ...]:
        """Return the secret key, if it is there without being made, and the previous ones. Raises SettingsError."""
        self.require_secret_key()
        own = self.secret_key or (_kept_secret(self.secret_file) if self.secret_file.exists() else "")
        return tuple(filter(None, (own, *self.secret_keys_previous)))

    def require_secret_key(self) -> None:
        """Raise SettingsError in production without MSVS_SECRET_KEY."""
        if self.is_production and self.secret_key is None:
            raise SettingsError("MSVS_SECRET_KEY must be set in production, to the same value for every process")

    def operator_secret(self) -> str:
        """Return the operator's password: MSVS_OPERATOR_PASSWORD, else a file made once in DATA_DIR."""
        return self.operator_password or _kept_secret(self.data_dir / "operator.key")

    def metrics_secret(self) -> str:
        """Return the token that opens /metrics: MSVS_METRICS_TOKEN, else a file made once in DATA_DIR."""
        return self.metrics_token or _kept_secret(self.data_dir / "metrics.key")


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises SettingsError with the variable's name.

    MSVS_ENV                  development (default) or production
    DATA_DIR                  where the embedded engines and generated secrets live (default .data)
    DATABASE_URL              a PostgreSQL >= 15 to use in place of the embedded one
    REDIS_URL                 a Redis >= 7 or Valkey to use in place of the embedded one
    HOST, PORT                where the API listens (default 127.0.0.1:8000); :: is IPv6 and IPv4, unix:/path a socket
    MSVS_PUBLIC_URL           the address integrators use, when a proxy stands in front
    MSVS_CARRIERS             a TOML file of the carriers that live messages may take
    MSVS_LIVE_CARRIER         the carrier of live messages without a route; `virtual` on a staging machine
    MSVS_VIRTUAL_CAPABILITY   what the virtual carrier plays: dedupe (default), lookup or none
    MSVS_VIRTUAL_FAULTS       shares of refuse, drop, late, slow and throttle, and a seed: drop=0.01,late=0.01,seed=7
    MSVS_SECRET_KEY           opens the key that encrypts secrets and hashes erased phones, the same for every process;
                              required in production, else made and kept in DATA_DIR when absent
    MSVS_SECRET_KEYS_PREVIOUS comma-separated keys that MSVS_SECRET_KEY was before, while it is rotated
    MSVS_OPERATOR_PASSWORD    opens /ops; made and kept in DATA_DIR when absent
    MSVS_METRICS_TOKEN        opens /metrics; made and kept in DATA_DIR when absent
    MSVS_WEBHOOK_ALLOW_CIDRS  comma-separated networks that webhooks may reach although they are private
    MSVS_TRUSTED_PROXIES      comma-separated networks of the proxies whose X-Forwarded-For is believed (default none)
    MSVS_MESSAGE_WORKERS      processes that dispatch messages (default 2)
    MSVS_WEBHOOK_WORKERS      processes that deliver webhooks (default 1)
    MSVS_DATABASE_POOL_SIZE   connections a process may hold (default 10)
    MSVS_CARRIER_RATES        messages a second a carrier takes, all workers together: `virtual=100,…`; none: no limit
    MSVS_SENDER_RATES         messages a second a sender may send: `+14155550100=1,*=10`; none: no limit
    MSVS_SESSIONS_HOST        where the process that holds carriers' sessions listens for workers (default 127.0.0.1)
    MSVS_MESSAGE_MONTHS       whole months that messages are kept (default 25)
    MSVS_EVENT_MONTHS         whole months that events are kept (default 4)
    MSVS_ATTEMPT_MONTHS       whole months that attempts are kept (default 4)
    MSVS_PERSISTED_OPERATIONS a JSON file of ids and GraphQL documents; in production no others are run
    MSVS_SIGN_UP              who may make a user: open (default), invitation (default in production) or off
    MSVS_LOG_LEVEL            DEBUG, INFO (default), WARNING or ERROR
    """
    env = os.environ if environ is None else environ
    environment = env.get("MSVS_ENV", DEVELOPMENT)
    if environment not in (DEVELOPMENT, PRODUCTION):
        raise SettingsError(f"MSVS_ENV must be {DEVELOPMENT} or {PRODUCTION}, not {environment!r}")
    level = env.get("MSVS_LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(f"MSVS_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}")
    sign_up = env.get("MSVS_SIGN_UP") or None
    if sign_up not in (None, "open", "invitation", "off"):
        raise SettingsError(f"MSVS_SIGN_UP must be open, invitation or off, not {sign_up!r}")
    return Settings(
        environment=environment,
        data_dir=Path(env.get("DATA_DIR") or ".data"),
        database_url=_database_url(env, "DATABASE_URL"),
        redis_url=_url(env, "REDIS_URL", "redis", "rediss", "unix"),
        host=env.get("HOST") or "127.0.0.1",
        port=_number(env, "PORT", 8000, low=0, high=65535),
        public_url=_url(env, "MSVS_PUBLIC_URL", "https", "http"),
        carriers=Path(env["MSVS_CARRIERS"]) if env.get("MSVS_CARRIERS") else None,
        live_carrier=env.get("MSVS_LIVE_CARRIER") or None,
        virtual_capability=env.get("MSVS_VIRTUAL_CAPABILITY") or "dedupe",
        virtual_faults=env.get("MSVS_VIRTUAL_FAULTS", "").strip(),
        secret_key=env.get("MSVS_SECRET_KEY") or None,
        secret_keys_previous=_previous_keys(env),
        operator_password=env.get("MSVS_OPERATOR_PASSWORD") or None,
        metrics_token=env.get("MSVS_METRICS_TOKEN") or None,
        webhook_allow_cidrs=_networks(env, "MSVS_WEBHOOK_ALLOW_CIDRS"),
        trusted_proxies=_networks(env, "MSVS_TRUSTED_PROXIES"),
        message_workers=_number(env, "MSVS_MESSAGE_WORKERS", 2, low=0, high=256),
        webhook_workers=_number(env, "MSVS_WEBHOOK_WORKERS", 1, low=0, high=256),
        database_pool_size=_number(env, "MSVS_DATABASE_POOL_SIZE", 10, low=1, high=1000),
        carrier_rates=_rates(env, "MSVS_CARRIER_RATES"),
        sender_rates=_rates(env, "MSVS_SENDER_RATES"),
        sessions_host=env.get("MSVS_SESSIONS_HOST") or "127.0.0.1",
        message_months=_number(env, "MSVS_MESSAGE_MONTHS", 25, low=1, high=1200),
        event_months=_number(env, "MSVS_EVENT_MONTHS", 4, low=1, high=1200),
        attempt_months=_number(env, "MSVS_ATTEMPT_MONTHS", 4, low=1, high=1200),
        persisted_operations=Path(kept) if (kept := env.get("MSVS_PERSISTED_OPERATIONS")) else None,
        sign_up=sign_up,
        log_level=level,
    )


def _number(env: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    text = env.get(name)
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name} must be a whole number, not {text!r}") from None
    if not low <= value <= high:
        raise SettingsError(f"{name} must be from {low} to {high}, not {value}")
    return value


def _url(env: Mapping[str, str], name: str, *schemes: str) -> str | None:
    text = env.get(name)
    if not text:
        return None
    try:
        parts = urlsplit(text)
        is_whole = text.startswith(tuple(f"{each}://" for each in schemes)) and parts.port != 0
        is_whole = is_whole and bool(parts.hostname or parts.path.strip("/"))
    except ValueError:
        is_whole = False
    if not is_whole:
        # The text itself may hold a password.
        raise SettingsError(f"{name} must be a URL that begins with {' or '.join(f'{each}://' for each in schemes)}")
    return text


def _database_url(env: Mapping[str, str], name: str) -> str | None:
    """Return a URL of PostgreSQL's, which may name several hosts, without a parameter that could not be honored."""
    text = env.get(name)
    if not text:
        return None
    if not text.startswith(("postgresql://", "postgres://")):
        return _url(env, name, "postgresql", "postgres")
    try:
        read_dsn(text)
    except ValueError as error:
        raise SettingsError(f"{name} must be a URL that libpq takes: {error}") from None
    return text


def _list(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in env.get(name, "").split(",") if part.strip())


def _previous_keys(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return each key of the list; the whole text too, which may be a key that has a comma."""
    listed = _list(env, "MSVS_SECRET_KEYS_PREVIOUS")
    whole = env.get("MSVS_SECRET_KEYS_PREVIOUS", "").strip()
    return listed if len(listed) < 2 else (*listed, whole)


def _networks(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    networks = []
    for part in _list(env, name):
        try:
            networks.append(str(ip_network(part)))
        except ValueError:
            raise SettingsError(f"{name} must be networks such as 10.0.0.0/8, not {part!r}") from None
    return tuple(networks)


def _rates(env: Mapping[str, str], name: str) -> Mapping[str, float]:
    rates = {}
    for part in filter(None, (part.strip() for part in env.get(name, "").split(","))):
        key, _, text = part.rpartition("=")
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if not key or not 0 < rate < 1e9:
            raise SettingsError(f"{name} must be pairs such as virtual=100, not {part!r}")
        rates[key] = rate
    return rates


def _kept_secret(path: Path) -> str:
    """Read the secret kept at `path`; make it, readable by its owner alone, the first time. Raises SettingsError."""
    try:
        return _read_or_make(path)
    except OSError as error:
        raise SettingsError(
            f"DATA_DIR must be a directory in which {path.name} can be kept; {path.parent} is not ({error.strerror})"
        ) from None


def _read_or_make(path: Path) -> str:
    try:
        if kept := path.read_text().strip():
            return kept
        raise SettingsError(f"{path.name} in {path.parent} must not be empty: put the secret back that was kept in it")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    return path.read_text().strip()
