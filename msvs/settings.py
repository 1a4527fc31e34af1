"""The settings of the service: each is declared once, and read once from the environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import partial
from importlib import metadata
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from msvs.dsn import read_dsn
from msvs.redis_url import SCHEMES as SENTINEL_SCHEMES
from msvs.redis_url import read_sentinels
from msvs.smtp_url import read_smtp_url

T = TypeVar("T")

DEVELOPMENT = "development"
PRODUCTION = "production"
# Where `msvs run` keeps the keys and the password of the demo workspace, in DATA_DIR.
DEMO_FILE = "demo.json"
# Is there where operators have names.
NAMED_OPERATORS = "operators.named"
# How Stripe's keys of its live mode begin.
LIVE_KEYS = ("sk_live_", "rk_live_")
# Where the API is served to the public, and its documentation found.
PRODUCTION_URL = "https://api.massivesms.com"
# Posts to one host that a webhook worker begins in a second, and has under way at once.
HOST_RATE = 5000
HOST_AT_ONCE = 50
# Of a file of contacts to be imported, in bytes.
IMPORT_BYTES = 256 * 1024**2
LINK_DAYS = 90


def version() -> str:
    """Return the version of the service that is installed."""
    try:
        return metadata.version("massivesms-server")
    except metadata.PackageNotFoundError:
        return "(a checkout that is not installed)"


class SettingsError(ValueError):
    """A variable of the environment holds something that cannot be used."""


class Insecure(StrEnum):
    """Settings with which a process does not start unless MSVS_ALLOW_INSECURE names them."""

    PUBLIC_ADDRESS = "public_address"
    HTTP_URL = "http_url"
    VIRTUAL_CARRIER = "virtual_carrier"
    TEST_PAYMENTS = "test_payments"


def _text(_name: str, text: str) -> str:
    return text.strip()


def _verbatim(_name: str, text: str) -> str:
    return text


def _path(_name: str, text: str) -> Path:
    return Path(text)


def _choice(name: str, text: str, *, of: tuple[str, ...]) -> str:
    if text not in of:
        raise SettingsError(f"{name} must be {', '.join(of[:-1])} or {of[-1]}, not {text!r}")
    return text


def _level(name: str, text: str) -> str:
    return _choice(name, text.upper(), of=("DEBUG", "INFO", "WARNING", "ERROR"))


def _number(name: str, text: str, *, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name} must be a whole number, not {text!r}") from None
    if not low <= value <= high:
        raise SettingsError(f"{name} must be from {low} to {high}, not {value}")
    return value


def _url(name: str, text: str, *, schemes: tuple[str, ...]) -> str:
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


def _database_url(name: str, text: str) -> str:
    """Return a URL of PostgreSQL's, which may name several hosts, without a parameter that could not be honored."""
    if not text.startswith(("postgresql://", "postgres://")):
        return _url(name, text, schemes=("postgresql", "postgres"))
    try:
        read_dsn(text)
    except ValueError as error:
        raise SettingsError(f"{name} must be a URL that libpq takes: {error}") from None
    return text


def _redis_url(name: str, text: str) -> str:
    """Return a URL of Redis, or of the Sentinels that watch it."""
    if not text.startswith(tuple(f"{each}://" for each in SENTINEL_SCHEMES)):
        return _url(name, text, schemes=("redis", "rediss", "unix", *SENTINEL_SCHEMES))
    try:
        read_sentinels(text)
    except ValueError as error:
        raise SettingsError(f"{name} must be a URL of Sentinels: {error}") from None
    return text


def _session_url(name: str, text: str) -> str:
    """Return a URL of PostgreSQL's that gives sessions."""
    if read_dsn(_database_url(name, text)).by_transaction:
        raise SettingsError(f"{name} must lead to PostgreSQL, or to a pooler in session mode")
    return text


def _replica_urls(name: str, text: str) -> tuple[str, ...]:
    """Return the URLs of standbys: each leads to one server, so that what is known of it is true of each connection."""
    urls = tuple(_session_url(name, each) for each in text.split())
    if any("," in urlsplit(each).netloc for each in urls):
        raise SettingsError(f"{name} must name one server in each URL; separate URLs by spaces")
    return urls


def _smtp_url(name: str, text: str) -> str:
    """Return a URL of a mail server, which must not be given a password in the clear."""
    _url(name, text, schemes=("smtps", "smtp"))
    server = read_smtp_url(text)
    if server.password is not None and not server.is_encrypted and not server.is_near:
        raise SettingsError(f"{name} must not turn STARTTLS off where it holds a password")
    return text


def _mail_from(name: str, text: str) -> str:
    local, at, domain = text.strip().partition("@")
    if not (local and at and domain) or not text.isascii() or set(text.strip()) & set(' <>,;:"\\\r\n\t'):
        raise SettingsError(f"{name} must be an e-mail address such as sms@cohortlabs.co")
    return text.strip()


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _previous_keys(_name: str, text: str) -> tuple[str, ...]:
    """Return each key of the list; the whole text too, which may be a key that has a comma."""
    listed = _list(text)
    return listed if len(listed) < 2 else (*listed, text.strip())


def _signing_secrets(name: str, text: str) -> tuple[str, ...]:
    secrets = _list(text)
    # An empty secret could be forged by anybody; what is no secret of Stripe's was put here by mistake.
    if not all(each.startswith("whsec_") and len(each) > 20 for each in secrets):
        raise SettingsError(f"{name} must be secrets that begin with whsec_")
    return secrets


def _networks(name: str, text: str) -> tuple[str, ...]:
    networks = []
    for part in _list(text):
        try:
            networks.append(str(ip_network(part)))
        except ValueError:
            raise SettingsError(f"{name} must be networks such as 10.0.0.0/8, not {part!r}") from None
    return tuple(networks)


def _hosts(name: str, text: str) -> tuple[str, ...]:
    hosts = tuple(part.lower() for part in _list(text))
    for part in hosts:
        if part != "*" and (not part.isascii() or not set(part) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-_")):
            raise SettingsError(f"{name} must be names such as sms.cohortlabs.co, without a port, not {part!r}")
    return hosts


def _domain(name: str, text: str) -> str:
    hosts = _hosts(name, text)
    if len(hosts) != 1 or hosts[0] == "*" or "." not in hosts[0].strip("."):
        raise SettingsError(f"{name} must be a host name such as go.cohortlabs.co, without a port, not {text!r}")
    return hosts[0]


def _insecure(name: str, text: str) -> tuple[Insecure, ...]:
    return tuple(Insecure(_choice(name, part, of=tuple(Insecure))) for part in _list(text))


def _ports(name: str, text: str) -> tuple[int, ...]:
    return tuple(_number(name, part, low=1, high=65535) for part in _list(text))


def _flag(name: str, text: str) -> bool:
    return _choice(name, text.strip().lower(), of=("1", "0", "true", "false")) in ("1", "true")


def _rates(name: str, text: str) -> Mapping[str, float]:
    rates = {}
    for part in _list(text):
        key, _, number = part.rpartition("=")
        try:
            rate = float(number)
        except ValueError:
            rate = 0.0
        if not key or not 0 < rate < 1e9:
            raise SettingsError(f"{name} must be pairs such as virtual=100, not {part!r}")
        rates[key] = rate
    return rates


class Setting(NamedTuple):
    """The declaration of a setting besides its type and default."""

    variable: str
    # What it sets, as Markdown.
    sets: str
    read: Callable[[str, str], object]
    # The default in words, where the value does not say it.
    shown: str
    # A section of the documentation that says more.
    page: str
    # Whether an empty text is refused; else it stands for the default.
    refuses_empty: bool


def setting(
    variable: str,
    default: T,
    sets: str,
    read: Callable[[str, str], T] | None = None,
    *,
    shown: str = "",
    page: str = "",
    is_secret: bool = False,
    refuses_empty: bool = False,
) -> T:
    """Declare a setting: a field of Settings that is read from a variable; a secret is not shown with the others."""
    declared = Setting(variable, sets, read or _verbatim, shown, page, refuses_empty)
    return field(default_factory=lambda: default, repr=not is_secret, metadata={"setting": declared})


_processes = partial(_number, low=0, high=256)
_months = partial(_number, low=1, high=1200)
_MADE_ONCE = "made once in `DATA_DIR`"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The service's settings, each beside the variable that it is read from."""

    # fmt: off
    environment: str = setting("MSVS_ENV", DEVELOPMENT,
        "`production` turns the development conveniences off: http webhooks to loopback, GraphiQL, colored logs",
        partial(_choice, of=(DEVELOPMENT, PRODUCTION)), refuses_empty=True)
    data_dir: Path = setting("DATA_DIR", Path(".data"), "the folder of the embedded engines and generated secrets",
        _path)
    database_url: str | None = setting("DATABASE_URL", None, "the URL of your own PostgreSQL 15 or later",
        _database_url, shown="the embedded PostgreSQL",
        page="[High availability](high-availability.md#postgresql-with-a-standby)")
    migrations_database_url: str | None = setting("MIGRATIONS_DATABASE_URL", None,
        "the same database, with the role that owns the tables, for migrations and partitions", _session_url,
        shown="`DATABASE_URL`", page="[Two roles](operations.md#the-databases-roles)", is_secret=True)
    direct_database_url: str | None = setting("DATABASE_DIRECT_URL", None,
        "the same database and role without the pooler in transaction mode of `DATABASE_URL`, for what needs a session",
        _session_url, shown="`DATABASE_URL`", page="[Poolers](operations.md#poolers)", is_secret=True)
    replica_urls: tuple[str, ...] = setting("DATABASE_REPLICA_URL", (),
        "the URLs of streaming standbys, separated by spaces, which answer lists, searches and statistics",
        _replica_urls, page="[Read replicas](operations.md#read-replicas)", is_secret=True)
    replica_max_lag: int = setting("MSVS_REPLICA_MAX_LAG", 5,
        "the most seconds that a standby may be behind to be read from", partial(_number, low=1, high=300),
        page="[Read replicas](operations.md#read-replicas)")
    backup_dir: Path | None = setting("MSVS_BACKUP_DIR", None,
        "the folder of the backups that `msvs backup` makes; with it, `msvs run` makes them", _path,
        page="[Point-in-time recovery](operations.md#point-in-time-recovery)")
    backup_database_url: str | None = setting("MSVS_BACKUP_DATABASE_URL", None,
        "the same database, with a role that has the right REPLICATION, for `msvs backup`", _database_url,
        shown="`DATABASE_URL`", page="[Point-in-time recovery](operations.md#point-in-time-recovery)", is_secret=True)
    backup_sync: bool = setting("MSVS_BACKUP_SYNC", False,
        "`1`: with the embedded PostgreSQL, a commit waits until `msvs backup` has its WAL on disk", _flag,
        page="[Point-in-time recovery](operations.md#point-in-time-recovery)")
    redis_url: str | None = setting("REDIS_URL", None, "the URL of your own Redis 7 or later, or Valkey",
        _redis_url, shown="the embedded Valkey", page="[High availability](high-availability.md#redis-with-sentinel)")
    host: str = setting("HOST", "127.0.0.1",
        "the address on which the API listens; `::` for IPv6 and IPv4, `unix:/run/msvs/api.sock` for a socket")
    port: int = setting("PORT", 8000, "the port on which the API listens; 0 for any free port",
        partial(_number, low=0, high=65535))
    public_url: str | None = setting("MSVS_PUBLIC_URL", None,
        "the public URL, if a proxy is in front", partial(_url, schemes=("https", "http")),
        shown="`http://HOST:PORT`")
    link_domain: str | None = setting("MSVS_LINK_DOMAIN", None,
        "the host name of short links, without a port, which leads to this service by https; it serves nothing else",
        _domain, shown="that of the public URL")
    link_days: int = setting("MSVS_LINK_DAYS", LINK_DAYS, "the number of days for which short links lead somewhere",
        partial(_number, low=1, high=730))
    carriers: Path | None = setting("MSVS_CARRIERS", None, "a TOML file that configures the carriers for live messages",
        _path, page="[Carriers](carriers.md)")
    live_carrier: str | None = setting("MSVS_LIVE_CARRIER", None,
        "the carrier for live messages without a route; `virtual` for staging",
        shown="none: live sends are refused")
    virtual_capability: str = setting("MSVS_VIRTUAL_CAPABILITY", "dedupe",
        "the capability of the virtual carrier: `dedupe`, `lookup` or `none`")
    virtual_faults: str = setting("MSVS_VIRTUAL_FAULTS", "",
        "the rates of faults of the virtual carrier: `refuse`, `drop`, `late`, `slow`, `throttle`, and a"
        " seed, such as `drop=0.01,seed=7`", _text)
    secret_key: str | None = setting("MSVS_SECRET_KEY", None,
        "opens the data key, which encrypts secrets and hashes erased phones; the same for every process",
        shown=f"{_MADE_ONCE}; required in production", page="[The secret key](operations.md#the-secret-key)",
        is_secret=True)
    secret_keys_previous: tuple[str, ...] = setting("MSVS_SECRET_KEYS_PREVIOUS", (),
        "comma-separated previous secret keys, during a rotation", _previous_keys, is_secret=True)
    operator_password: str | None = setting("MSVS_OPERATOR_PASSWORD", None, "opens `/ops`", shown=_MADE_ONCE,
        is_secret=True)
    metrics_token: str | None = setting("MSVS_METRICS_TOKEN", None, "opens `/metrics`", shown=_MADE_ONCE,
        page="[Metrics](operations.md#metrics)", is_secret=True)
    webhook_allow_cidrs: tuple[str, ...] = setting("MSVS_WEBHOOK_ALLOW_CIDRS", (),
        "comma-separated private networks that webhooks may reach", _networks)
    webhook_ports: tuple[int, ...] = setting("MSVS_WEBHOOK_PORTS", (443, 80, 8443),
        "comma-separated ports that webhooks may reach; in development, also the loopback ports from 1024, but those of"
        " databases and other services that speak no HTTP",
        _ports, shown="`443,80,8443`")
    webhook_host_rate: int = setting("MSVS_WEBHOOK_HOST_RATE", HOST_RATE,
        "the most posts in a second from a webhook worker to one host, for all workspaces together",
        partial(_number, low=1, high=1_000_000))
    webhook_host_at_once: int = setting("MSVS_WEBHOOK_HOST_AT_ONCE", HOST_AT_ONCE,
        "the most simultaneous posts from a webhook worker to one host, for all workspaces together",
        partial(_number, low=1, high=1000))
    webhook_show_private_answers: bool = setting("MSVS_WEBHOOK_SHOW_PRIVATE_ANSWERS", False,
        "`true` keeps the answers of receivers in `MSVS_WEBHOOK_ALLOW_CIDRS` in the log of attempts", _flag,
        shown="`false`")
    trusted_proxies: tuple[str, ...] = setting("MSVS_TRUSTED_PROXIES", (),
        "comma-separated networks of the proxies whose `X-Forwarded-For` is trusted, such as `10.0.0.0/8`",
        _networks)
    allowed_hosts: tuple[str, ...] = setting("MSVS_ALLOWED_HOSTS", (),
        "comma-separated host names, in addition to that of the public URL, under which pages and GraphQL"
        " are served; `*` for any", _hosts)
    allow_insecure: tuple[Insecure, ...] = setting("MSVS_ALLOW_INSECURE", (),
        "comma-separated exceptions for unsafe settings: `public_address` (development that others can"
        " reach, as in a container), `http_url`, `virtual_carrier` and `test_payments` (production without"
        " https, a carrier, and real payments)",
        _insecure, page="[Unsafe settings](operations.md#unsafe-settings)")
    message_workers: int = setting("MSVS_MESSAGE_WORKERS", 2, "processes that dispatch messages", _processes)
    webhook_workers: int = setting("MSVS_WEBHOOK_WORKERS", 1, "processes that deliver webhooks", _processes)
    database_pool_size: int = setting("MSVS_DATABASE_POOL_SIZE", 10, "the most PostgreSQL connections of a process",
        partial(_number, low=1, high=1000))
    carrier_rates: Mapping[str, float] = setting("MSVS_CARRIER_RATES", {},
        "messages in a second to a carrier, over all workers: `virtual=100`", _rates, shown="no limit")
    sender_rates: Mapping[str, float] = setting("MSVS_SENDER_RATES", {},
        "messages in a second from a sender, over all workers: `+14155550100=1,*=10`", _rates, shown="no limit")
    binds_host: str = setting("MSVS_SESSIONS_HOST", "127.0.0.1",
        "the address at which workers reach the process that holds the carrier binds",
        page="[Carriers with binds](operations.md#carriers-with-binds)")
    message_months: int = setting("MSVS_MESSAGE_MONTHS", 25,
        "the number of whole months for which messages are kept", _months)
    event_months: int = setting("MSVS_EVENT_MONTHS", 4, "the number of whole months for which events are kept", _months)
    attempt_months: int = setting("MSVS_ATTEMPT_MONTHS", 4,
        "the number of whole months for which attempts with carriers and webhooks are kept", _months)
    authentication_days: int = setting("MSVS_AUTHENTICATION_DAYS", 180,
        "the number of days for which the authentication log is kept", partial(_number, low=1, high=3650))
    import_bytes: int = setting("MSVS_IMPORT_BYTES", IMPORT_BYTES, "the largest file of contacts to import, in bytes",
        partial(_number, low=1024, high=4 * 1024**3))
    import_processes: int = setting("MSVS_IMPORT_PROCESSES", 2,
        "processes that parse phones of a large file; 0 parses them in the worker", partial(_number, low=0, high=64))
    persisted_operations: Path | None = setting("MSVS_PERSISTED_OPERATIONS", None,
        "a JSON file of ids and GraphQL documents; in production, only these are run", _path,
        shown="none: any operation is run")
    sign_up: str | None = setting("MSVS_SIGN_UP", None,
        "who may sign up: anyone (`open`), by `invitation` only, or nobody (`off`)",
        partial(_choice, of=("open", "invitation", "off")), shown="none: `open`, in production `invitation`")
    smtp_url: str | None = setting("MSVS_SMTP_URL", None,
        "the mail server: `smtp://USER:PASSWORD@HOST:PORT`, which must offer STARTTLS, or `smtps://`",
        _smtp_url, shown="none: mail is kept for `/dev/mail`, in production none is sent",
        page="[Mail](operations.md#mail)", is_secret=True)
    mail_from: str | None = setting("MSVS_MAIL_FROM", None, "the sender of mail, such as `sms@cohortlabs.co`",
        _mail_from, shown="`no-reply@` and the host of the public URL")
    billing: Path | None = setting("MSVS_BILLING", None, "a TOML file of the packs of credits for sale", _path,
        shown="none: nothing is sold; in development three examples", page="[Billing](billing.md)")
    stripe_key: str | None = setting("MSVS_STRIPE_KEY", None, "the secret or restricted key of Stripe's API", _text,
        shown="none: nothing is sold; `msvs run` pretends in development", page="[Billing](billing.md)",
        is_secret=True)
    stripe_webhook_secrets: tuple[str, ...] = setting("MSVS_STRIPE_WEBHOOK_SECRETS", (),
        "comma-separated signing secrets (`whsec_…`) of Stripe's events; two during a rotation", _signing_secrets,
        page="[Billing](billing.md)", is_secret=True)
    stripe_url: str | None = setting("MSVS_STRIPE_URL", None, "the address of the Stripe API, if not Stripe's own",
        partial(_url, schemes=("https", "http")), shown="`https://api.stripe.com`")
    otel: bool | None = setting("MSVS_OTEL", None,
        "`1` exports traces by OpenTelemetry; `0` does not", _flag,
        shown="`1` where `OTEL_EXPORTER_OTLP_ENDPOINT` is set", page="[Traces](operations.md#traces)")
    otel_endpoint: str | None = setting("OTEL_EXPORTER_OTLP_ENDPOINT", None,
        "the address of the OTLP receiver of traces, by HTTP", partial(_url, schemes=("https", "http")),
        shown="`http://localhost:4318`", page="[Traces](operations.md#traces)", is_secret=True)
    sentry_dsn: str | None = setting("MSVS_SENTRY_DSN", None, "the DSN of the Sentry project to which errors are sent",
        partial(_url, schemes=("https", "http")), page="[Errors](operations.md#errors)", is_secret=True)
    slow_query_ms: int = setting("MSVS_SLOW_QUERY_MS", 0,
        "logs each SQL statement that takes longer, in milliseconds, without its values; 0 for none",
        partial(_number, low=0, high=3_600_000), page="[Slow queries](operations.md#slow-queries)")
    log_level: str = setting("MSVS_LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`", _level,
        refuses_empty=True)
    # fmt: on

    @property
    def is_production(self) -> bool:
        """Whether development conveniences (http webhooks to loopback, GraphiQL) are off."""
        return self.environment == PRODUCTION

    @property
    def is_traced(self) -> bool:
        """Whether traces are exported."""
        return self.otel_endpoint is not None if self.otel is None else self.otel

    @property
    def owner_url(self) -> str | None:
        """The URL of PostgreSQL for the owner of the tables."""
        return self.migrations_database_url or self.session_url

    @property
    def is_by_transaction(self) -> bool:
        """Whether a pooler in transaction mode is in front of PostgreSQL."""
        return self.database_url is not None and read_dsn(self.database_url).by_transaction

    @property
    def session_url(self) -> str | None:
        """The URL of PostgreSQL for what needs a session: migrations, carrier binds, the work of test clocks.

        Raises SettingsError where a pooler in transaction mode is all there is.
        """
        if not self.is_by_transaction:
            return self.database_url
        if self.direct_database_url is None:
            raise SettingsError(
                "DATABASE_DIRECT_URL must be set where DATABASE_URL has pool_mode=transaction: migrations, carrier "
                "binds and test clocks need a session of PostgreSQL's"
            )
        return self.direct_database_url

    def require_session(self) -> None:
        """Raise SettingsError where a pooler in transaction mode is all there is."""
        assert self.session_url is not None or self.database_url is None

    @property
    def base_url(self) -> str:
        """The public URL of the service, without a trailing slash."""
        host = {"::": "::1"}.get(self.host, self.host)
        if self.socket_path is not None:
            host = "localhost"
        return (self.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.port}").rstrip("/")

    @property
    def mail_sender(self) -> str:
        """The address that mail is from."""
        return self.mail_from or f"no-reply@{urlsplit(self.base_url).hostname or 'localhost'}"

    @property
    def keeps_mail(self) -> bool:
        """Whether mail stays here, for the mailbox page of development."""
        return self.smtp_url is None and not self.is_production

    @property
    def socket_path(self) -> str | None:
        """The path of the socket to listen on in place of a port, or None."""
        return self.host.removeprefix("unix:") if self.host.startswith("unix:") else None

    @property
    def sign_up_policy(self) -> str:
        """Who may sign up: `open`, by `invitation`, or `off`."""
        return self.sign_up or ("invitation" if self.is_production else "open")

    @property
    def secret_file(self) -> Path:
        """The file of the secret key that replaces MSVS_SECRET_KEY in development."""
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

    def keep_named(self, has_named: bool) -> None:
        """Keep in DATA_DIR whether operators have names, for when the database cannot say so. Raises OSError."""
        kept = self.data_dir / NAMED_OPERATORS
        if has_named:
            kept.touch(mode=0o600)
        else:
            kept.unlink(missing_ok=True)

    def had_named(self) -> bool:
        """Return whether operators had names when the database last said so."""
        return (self.data_dir / NAMED_OPERATORS).exists()

    def metrics_secret(self) -> str:
        """Return the token that opens /metrics: MSVS_METRICS_TOKEN, else a file made once in DATA_DIR."""
        return self.metrics_token or _kept_secret(self.data_dir / "metrics.key")


def declared() -> Iterator[tuple[str, Setting, object]]:
    """Return each setting's field, declaration and default, in the order of the table."""
    usual = Settings()
    return ((each.name, each.metadata["setting"], getattr(usual, each.name)) for each in fields(Settings))


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises SettingsError with the variable's name."""
    env = os.environ if environ is None else environ
    read: dict[str, object] = {}
    for name, each, _default in declared():
        text = env.get(each.variable)
        if text or (text is not None and each.refuses_empty):
            read[name] = each.read(each.variable, text)
    return Settings(**read)  # type: ignore[arg-type]  # `setting` holds a reader to the type of its field


class Line(NamedTuple):
    """A setting as it is listed, in Markdown."""

    variable: str
    default: str
    sets: str
    page: str


def describe() -> Iterator[Line]:
    """Describe each setting, as `msvs settings` and the documentation list it."""
    for _name, each, default in declared():
        shown = each.shown or ("none" if default in (None, "", ()) else f"`{default}`")
        yield Line(each.variable, shown, each.sets, each.page)


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
