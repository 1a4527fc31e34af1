"""Settings: what is wrong with one is told by the variable's name, before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from msvs.settings import Settings, SettingsError, from_environment


def test_nothing_need_be_set() -> None:
    assert from_environment({}) == Settings()
    assert from_environment({"DATABASE_URL": "", "REDIS_URL": "", "PORT": "", "MSVS_PUBLIC_URL": ""}) == Settings()


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
        ("MSVS_TRUSTED_PROXIES", "proxy"),
        ("MSVS_MESSAGE_WORKERS", "-1"),
        ("MSVS_WEBHOOK_WORKERS", "two"),
        ("MSVS_DATABASE_POOL_SIZE", "0"),
        ("MSVS_CARRIER_RATES", "virtual=fast"),
        ("MSVS_SENDER_RATES", "100"),
        ("MSVS_MESSAGE_MONTHS", "0"),
    ],
)
def test_what_cannot_be_used_is_told_by_its_variable(variable: str, value: str) -> None:
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


def test_a_secret_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^DATA_DIR must be .* secret\.key .*/file is not \(Not a directory\)$"):
        Settings(data_dir=tmp_path / "file").encryption_secret()
