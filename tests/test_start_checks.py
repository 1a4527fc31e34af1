"""What a process refuses to start with, told at once, a line each; and what it starts with."""

from __future__ import annotations

from pathlib import Path

import pytest

from msvs import app, cli
from msvs.settings import DEMO_FILE, SettingsError, from_environment
from msvs.start_checks import is_own, refusals, require_own_listener, require_real_route, require_safe

SECRET = "8JrF2vXq0LmT5wYc9NbKz3HdUe7GsPa1"
GOOD = {
    "MSVS_ENV": "production",
    "MSVS_PUBLIC_URL": "https://sms.cohortlabs.example",
    "MSVS_SECRET_KEY": SECRET,
    "MSVS_OPERATOR_PASSWORD": SECRET[::-1],
    "MSVS_METRICS_TOKEN": SECRET.swapcase(),
    "DATABASE_URL": "postgresql://service:9vKq3Lw7@db.internal/msvs",
    "REDIS_URL": "rediss://:7yTn4Rb2@cache.internal/0",
}
SECRETS = ("MSVS_SECRET_KEY", "MSVS_OPERATOR_PASSWORD", "MSVS_METRICS_TOKEN")


def told(tmp_path: Path, **given: str) -> list[str]:
    """The variables that the lines begin with."""
    settings = from_environment(GOOD | {"DATA_DIR": str(tmp_path)} | given)
    return [line.split()[0] for line in refusals(settings)]


def test_production_starts_with_good_settings_and_development_with_any(tmp_path: Path) -> None:
    assert told(tmp_path) == []
    assert told(tmp_path, MSVS_ENV="development", **dict.fromkeys(SECRETS, "x"), MSVS_LIVE_CARRIER="virtual") == []
    assert told(tmp_path, MSVS_PUBLIC_URL="http://127.0.0.1:8000") == []
    assert told(tmp_path, MSVS_PUBLIC_URL="", HOST="unix:/run/msvs/api.sock") == []


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "secret",
    [
        "x",
        "hunter2",
        "fifteen-letters",
        " " * 40,
        "k" * 43,
        "ab" * 20,
        "passwordpassword",
        "12345678" * 4,
        "abcdefghijklmnopqrstuvwxyz",
        "ZYXWVUTSRQPONMLKJIHGFEDCBA",
        "change-me-change-me-please",
        "Change_Me_0123456789",
        "(openssl rand -base64 32)",
        "your-secret-key-goes-here",
    ],
)
def test_a_secret_that_anybody_guesses(tmp_path: Path, name: str, secret: str) -> None:
    assert told(tmp_path, **{name: secret}) == [name]
    line = next(refusals(from_environment(GOOD | {name: secret, "DATA_DIR": str(tmp_path)})))
    assert secret not in line


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ({"MSVS_SECRET_KEY": ""}, ["MSVS_SECRET_KEY"]),
        ({"MSVS_PUBLIC_URL": "http://sms.cohortlabs.example"}, ["MSVS_PUBLIC_URL"]),
        ({"MSVS_PUBLIC_URL": "http://10.0.0.11:8000"}, ["MSVS_PUBLIC_URL"]),
        ({"MSVS_PUBLIC_URL": "http://127.0.0.1.evil.example"}, ["MSVS_PUBLIC_URL"]),
        ({"MSVS_PUBLIC_URL": "http://localhost.evil.example"}, ["MSVS_PUBLIC_URL"]),
        ({"MSVS_PUBLIC_URL": "", "HOST": "0.0.0.0"}, ["MSVS_PUBLIC_URL"]),
        ({"MSVS_PUBLIC_URL": "http://sms.lan", "MSVS_ALLOW_INSECURE": "http_url"}, []),
        ({"MSVS_LIVE_CARRIER": "virtual"}, ["MSVS_LIVE_CARRIER"]),
        ({"MSVS_LIVE_CARRIER": "virtual", "MSVS_ALLOW_INSECURE": "http_url"}, ["MSVS_LIVE_CARRIER"]),
        ({"MSVS_LIVE_CARRIER": "virtual", "MSVS_ALLOW_INSECURE": "http_url,virtual_carrier"}, []),
        ({"DATABASE_URL": "postgresql://msvs_service:change-me@127.0.0.1/msvs"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://postgres:postgres@a:5432,b:5433/msvs"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://u:Pass%77ord@db/msvs"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql:///msvs?host=/run/postgresql"}, []),
        ({"REDIS_URL": "redis://:redis@cache/0"}, ["REDIS_URL"]),
    ],
)
def test_unsafe_settings_of_production_are_refused(tmp_path: Path, given: dict[str, str], variables: list[str]) -> None:
    assert told(tmp_path, **given) == variables


def test_all_lines_are_reported_at_once_and_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / DEMO_FILE).write_text("{}")
    bad = (
        GOOD
        | dict.fromkeys(SECRETS, "x")
        | {
            "DATA_DIR": str(tmp_path),
            "MSVS_PUBLIC_URL": "http://sms.cohortlabs.example",
            "MSVS_LIVE_CARRIER": "virtual",
            "DATABASE_URL": "postgresql://msvs:msvs@db/msvs",
            "REDIS_URL": "redis://:secret@cache",
        }
    )
    for name, value in bad.items():
        monkeypatch.setenv(name, value)
    expected = [*SECRETS, "DATABASE_URL", "REDIS_URL", "MSVS_PUBLIC_URL", "MSVS_LIVE_CARRIER", "DATA_DIR"]
    for argv in (["run"], ["api"], ["worker", "messages"], ["cron"], ["binds"], ["migrate"], ["workspaces", "list"]):
        assert cli.main(argv) == 2
        lines = capsys.readouterr().err.splitlines()
        assert [line.split()[:2] for line in lines] == [["msvs:", name] for name in expected], argv
    with pytest.raises(SettingsError):
        app.application()
    assert [each.name for each in tmp_path.iterdir()] == [DEMO_FILE]


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "203.0.113.7", "2600:1f18::1", "10.0.0.7", "sms.cohortlabs.example", "::ffff:203.0.113.7", "0"],
)
def test_development_does_not_listen_where_others_reach_it(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "none"))
    for argv in (["run"], ["api"]):
        assert cli.main(argv) == 2
        line = capsys.readouterr().err
        assert line.startswith(f"msvs: HOST is {host}, ")
        assert line.count("\n") == 1
        assert "MSVS_ALLOW_INSECURE=public_address" in line
    assert not (tmp_path / "none").exists()
    require_own_listener(from_environment({"HOST": host, "MSVS_ALLOW_INSECURE": "public_address"}))
    require_own_listener(from_environment({"HOST": host, "MSVS_ENV": "production"}))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost", "LocalHost.", "msvs.localhost", "unix:/run/msvs.sock"],
)
def test_development_listens_for_its_own_machine(host: str) -> None:
    assert is_own(host)
    require_own_listener(from_environment({"HOST": host}))


def test_no_route_of_production_leads_nowhere(tmp_path: Path) -> None:
    settings = from_environment(GOOD | {"DATA_DIR": str(tmp_path)})
    with pytest.raises(SettingsError, match="must not lead to the virtual carrier"):
        require_real_route(settings, "virtual")
    require_real_route(settings, "acme")
    require_real_route(from_environment({}), "virtual")
    require_real_route(from_environment(GOOD | {"MSVS_ALLOW_INSECURE": "virtual_carrier"}), "virtual")
    require_safe(settings)


def test_production_takes_money_and_nothing_that_stands_in_for_it(tmp_path: Path) -> None:
    """With a test key anybody would buy credits for nothing."""
    live = {"MSVS_STRIPE_KEY": "_".join(("rk", "live", "1" * 9)), "MSVS_STRIPE_WEBHOOK_SECRETS": "whsec_" + "a" * 20}
    assert told(tmp_path, **live) == []
    assert told(tmp_path, **live | {"MSVS_STRIPE_WEBHOOK_SECRETS": ""}) == ["MSVS_STRIPE_WEBHOOK_SECRETS"]
    assert told(tmp_path, **live | {"MSVS_STRIPE_URL": "http://127.0.0.1:9"}) == ["MSVS_STRIPE_URL"]
    tests = live | {"MSVS_STRIPE_KEY": "sk_test_1"}
    assert told(tmp_path, **tests) == ["MSVS_STRIPE_KEY"]
    assert told(tmp_path, **tests, MSVS_ALLOW_INSECURE="test_payments") == []
    assert told(tmp_path, **tests, MSVS_ENV="development") == []
