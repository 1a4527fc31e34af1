"""REDIS_URL where it names Sentinels."""

from __future__ import annotations

import pytest

from msvs.redis_url import Sentinels, read_sentinels
from msvs.settings import SettingsError, from_environment


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache:6379/0", None),
        (
            "redis+sentinel://h1:26379,h2/0?master=msvs",
            Sentinels((("h1", 26379), ("h2", 26379)), "msvs", "redis://sentinel/0", "redis://sentinel/0"),
        ),
        (
            "rediss+sentinel://app:p%40ss@[::1]:1,h2:2/3?master=m&sentinel_password=s%2Fx&ssl_ca_certs=%2Fetc%2Fca.crt",
            Sentinels(
                (("::1", 1), ("h2", 2)),
                "m",
                "rediss://app:p%40ss@sentinel/3?ssl_ca_certs=%2Fetc%2Fca.crt",
                "rediss://:s%2Fx@sentinel/0?ssl_ca_certs=%2Fetc%2Fca.crt",
            ),
        ),
    ],
)
def test_what_a_url_names(url: str, expected: Sentinels | None) -> None:
    assert read_sentinels(url) == expected
    assert from_environment({"REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis+sentinel://app:hunter2@h1,h2/0", "master"),
        ("redis+sentinel://app:hunter2@h1,,h2/0?master=m", "host:port"),
        ("redis+sentinel://app:hunter2@h1:port/0?master=m", "host:port"),
        ("redis+sentinel://app:hunter2@h1/queue?master=m", "number of the database"),
        ("redis+sentinel://app:hunter2@h1/0?master", "name=value"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as refusal:
        from_environment({"REDIS_URL": url})
    assert "hunter2" not in str(refusal.value)
