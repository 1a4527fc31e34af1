"""Settings: what is wrong with one is told by the variable's name, before anything starts."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from msvs.settings import Insecure, Settings, SettingsError, describe, from_environment


def test_nothing_need_be_set() -> None:
    assert from_environment({}) == Settings()
    assert from_environment({"DATABASE_URL": "", "REDIS_URL": "", "PORT": "", "MSVS_PUBLIC_URL": ""}) == Settings()


WHSEC = "whsec_" + "a" * 24
READ = {
    "MSVS_ENV": ("production", "environment", "production"),
    "DATA_DIR": ("/srv/msvs", "data_dir", Path("/srv/msvs")),
    "DATABASE_URL": ("postgresql://app@db/msvs", "database_url", "postgresql://app@db/msvs"),
    "MIGRATIONS_DATABASE_URL": ("postgresql://own@db/msvs", "migrations_database_url", "postgresql://own@db/msvs"),
    "DATABASE_DIRECT_URL": ("postgresql://pg/msvs", "direct_database_url", "postgresql://pg/msvs"),
    "DATABASE_REPLICA_URL": (
        "postgresql://a/msvs  postgresql://b/msvs",
        "replica_urls",
        ("postgresql://a/msvs", "postgresql://b/msvs"),
    ),
    "MSVS_REPLICA_MAX_LAG": ("60", "replica_max_lag", 60),
    "MSVS_BACKUP_DIR": ("/srv/backups", "backup_dir", Path("/srv/backups")),
    "MSVS_BACKUP_DATABASE_URL": ("postgresql://copy@db/msvs", "backup_database_url", "postgresql://copy@db/msvs"),
    "MSVS_BACKUP_SYNC": ("1", "backup_sync", True),
    "REDIS_URL": ("redis://cache", "redis_url", "redis://cache"),
    "HOST": ("::", "host", "::"),
    "PORT": ("0", "port", 0),
    "MSVS_PUBLIC_URL": ("https://api.cohortlabs.co", "public_url", "https://api.cohortlabs.co"),
    "MSVS_LINK_DOMAIN": ("chl.example", "link_domain", "chl.example"),
    "MSVS_LINK_DAYS": ("7", "link_days", 7),
    "MSVS_CARRIERS": ("carriers.toml", "carriers", Path("carriers.toml")),
    "MSVS_LIVE_CARRIER": ("virtual", "live_carrier", "virtual"),
    "MSVS_VIRTUAL_CAPABILITY": ("none", "virtual_capability", "none"),
    "MSVS_VIRTUAL_FAULTS": (" drop=0.01 ", "virtual_faults", "drop=0.01"),
    "MSVS_SECRET_KEY": (" spaces stay ", "secret_key", " spaces stay "),
    "MSVS_SECRET_KEYS_PREVIOUS": (" a, b,", "secret_keys_previous", ("a", "b", "a, b,")),
    "MSVS_OPERATOR_PASSWORD": ("open", "operator_password", "open"),
    "MSVS_METRICS_TOKEN": ("count", "metrics_token", "count"),
    "MSVS_WEBHOOK_ALLOW_CIDRS": ("10.0.0.0/8,::1", "webhook_allow_cidrs", ("10.0.0.0/8", "::1/128")),
    "MSVS_WEBHOOK_PORTS": ("443, 9443", "webhook_ports", (443, 9443)),
    "MSVS_WEBHOOK_HOST_RATE": ("20", "webhook_host_rate", 20),
    "MSVS_WEBHOOK_HOST_AT_ONCE": ("2", "webhook_host_at_once", 2),
    "MSVS_WEBHOOK_SHOW_PRIVATE_ANSWERS": ("True", "webhook_show_private_answers", True),
    "MSVS_TRUSTED_PROXIES": ("10.0.0.1", "trusted_proxies", ("10.0.0.1/32",)),
    "MSVS_ALLOWED_HOSTS": ("SMS.cohortlabs.co,*", "allowed_hosts", ("sms.cohortlabs.co", "*")),
    "MSVS_ALLOW_INSECURE": ("http_url", "allow_insecure", (Insecure.HTTP_URL,)),
    "MSVS_MESSAGE_WORKERS": ("0", "message_workers", 0),
    "MSVS_WEBHOOK_WORKERS": ("256", "webhook_workers", 256),
    "MSVS_DATABASE_POOL_SIZE": ("1", "database_pool_size", 1),
    "MSVS_CARRIER_RATES": ("virtual=100, us = 0.5", "carrier_rates", {"virtual": 100.0, "us ": 0.5}),
    "MSVS_SENDER_RATES": ("+14155550100=1,*=10", "sender_rates", {"+14155550100": 1.0, "*": 10.0}),
    "MSVS_SESSIONS_HOST": ("10.0.0.7", "binds_host", "10.0.0.7"),
    "MSVS_MESSAGE_MONTHS": ("1200", "message_months", 1200),
    "MSVS_EVENT_MONTHS": ("1", "event_months", 1),
    "MSVS_ATTEMPT_MONTHS": ("2", "attempt_months", 2),
    "MSVS_AUTHENTICATION_DAYS": ("30", "authentication_days", 30),
    "MSVS_IMPORT_BYTES": ("1048576", "import_bytes", 1_048_576),
    "MSVS_IMPORT_PROCESSES": ("0", "import_processes", 0),
    "MSVS_PERSISTED_OPERATIONS": ("kept.json", "persisted_operations", Path("kept.json")),
    "MSVS_SIGN_UP": ("off", "sign_up", "off"),
    "MSVS_SMTP_URL": ("smtps://app:pw@mail", "smtp_url", "smtps://app:pw@mail"),
    "MSVS_MAIL_FROM": (" sms@cohortlabs.co ", "mail_from", "sms@cohortlabs.co"),
    "MSVS_BILLING": ("/srv/packs.toml", "billing", Path("/srv/packs.toml")),
    "MSVS_STRIPE_KEY": (" rk_test_1 ", "stripe_key", "rk_test_1"),
    "MSVS_STRIPE_WEBHOOK_SECRETS": (f"{WHSEC}, {WHSEC}", "stripe_webhook_secrets", (WHSEC, WHSEC)),
    "MSVS_STRIPE_URL": ("http://127.0.0.1:9", "stripe_url", "http://127.0.0.1:9"),
    "MSVS_OTEL": ("0", "otel", False),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("http://collector:4318", "otel_endpoint", "http://collector:4318"),
    "MSVS_SENTRY_DSN": ("https://key@sentry.example/1", "sentry_dsn", "https://key@sentry.example/1"),
    "MSVS_SLOW_QUERY_MS": ("250", "slow_query_ms", 250),
    "MSVS_LOG_LEVEL": ("warning", "log_level", "WARNING"),
}


def test_a_setting_is_read_from_its_variable_and_from_nothing_else() -> None:
    assert [each.variable for each in describe()] == list(READ)
    for variable, (text, name, value) in READ.items():
        assert from_environment({variable: text}) == replace(Settings(), **{name: value}), variable
    assert sorted(name for _text, name, _value in READ.values()) == sorted(each.name for each in fields(Settings))


def test_an_empty_text_stands_for_the_default_but_where_it_would_hide_a_mistake() -> None:
    refused = []
    for variable in READ:
        try:
            assert from_environment({variable: ""}) == Settings(), variable
        except SettingsError as error:
            refused.append(str(error))
    assert refused == [
        "MSVS_ENV must be development or production, not ''",
        "MSVS_LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not ''",
    ]


def test_secrets_are_not_shown_with_the_other_settings() -> None:
    secrets = ("MSVS_SECRET_KEY", "MSVS_SECRET_KEYS_PREVIOUS", "MSVS_OPERATOR_PASSWORD", "MSVS_METRICS_TOKEN")
    shown = repr(from_environment(dict.fromkeys(secrets, "hunter2")))
    assert "hunter2" not in shown
    assert shown == repr(Settings())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MSVS_ENV", "prod"),
        ("PORT", "http"),
        ("PORT", "65536"),
        ("MSVS_LOG_LEVEL", "loud"),
        ("MSVS_PUBLIC_URL", "api.cohortlabs.co"),
        ("MSVS_PUBLIC_URL", "ftp://api.cohortlabs.co"),
        ("MSVS_PUBLIC_URL", "https://"),
        ("MSVS_PUBLIC_URL", "https://[::1"),
        ("DATABASE_URL", "mysql://app:hunter2@db/msvs"),
        ("DATABASE_URL", "postgresql:msvs"),
        ("DATABASE_URL", "postgresql://app:hunter2@db:5432x/msvs"),
        ("REDIS_URL", "http://app:hunter2@cache"),
        ("REDIS_URL", "cache:6379"),
        ("MSVS_WEBHOOK_ALLOW_CIDRS", "10.0.0.0/8, cohortlabs.co"),
        ("MSVS_WEBHOOK_ALLOW_CIDRS", "10.0.0.1/8"),
        ("MSVS_WEBHOOK_PORTS", "443,https"),
        ("MSVS_WEBHOOK_PORTS", "0"),
        ("MSVS_WEBHOOK_SHOW_PRIVATE_ANSWERS", "sometimes"),
        ("MSVS_ALLOW_INSECURE", "http_url,everything"),
        ("MSVS_TRUSTED_PROXIES", "proxy"),
        ("MSVS_MESSAGE_WORKERS", "-1"),
        ("MSVS_WEBHOOK_WORKERS", "two"),
        ("MSVS_DATABASE_POOL_SIZE", "0"),
        ("MSVS_CARRIER_RATES", "virtual=fast"),
        ("MSVS_SENDER_RATES", "100"),
        ("MSVS_MESSAGE_MONTHS", "0"),
        ("MSVS_SLOW_QUERY_MS", "-1"),
        ("MSVS_OTEL", "yes"),
        ("MSVS_SENTRY_DSN", "hunter2"),
    ],
)
def test_an_unusable_setting_is_named_by_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as told:
        from_environment({variable: value})
    assert str(told.value).startswith(f"{variable} must be ")
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DATABASE_URL", "postgres://app@db/msvs?sslmode=require"),
        ("DATABASE_URL", "postgresql:///msvs?host=/run/postgresql"),
        ("REDIS_URL", "rediss://:secret@cache:6380/0"),
        ("REDIS_URL", "unix:///run/valkey.sock?db=1"),
    ],
)
def test_addresses_of_all_kinds_are_taken(variable: str, value: str) -> None:
    settings = from_environment({variable: value})
    assert value in (settings.database_url, settings.redis_url)


def test_a_secret_that_cannot_be_kept_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^DATA_DIR must be .* secret\.key .*/file is not \(Not a directory\)$"):
        Settings(data_dir=tmp_path / "file").encryption_secret()
