"""The operator's file of carriers: what is wrong with it is said in a sentence, and never with a secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from msvs.carriers.config import read_carriers
from msvs.settings import SettingsError

SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'[main]\nkind = "t\xfflnyx"', "not UTF-8"),
        (f"[main]\napi_key = '{SECRET}".encode(), "at end of document"),
        (b'["Main"]\nkind = "telnyx"', "a name is up to 30"),
        (b'[virtual]\nkind = "telnyx"', "not `virtual`"),
        (b"main = 5", "a table with a `kind`"),
        (b"[main]\nkind = 5", "a table with a `kind`"),
        (b'[main]\nkind = "telnyx"\napi_key = {env = "MISSING"}', "the environment has no MISSING"),
        (b'[main]\nkind = "telnyx"\napi_key = {env = "EMPTY"}', "the environment has no EMPTY"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "carriers.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_carriers(path, public_url="https://sms.cohortlabs.co", environ={"EMPTY": "", "KEY": SECRET})
    assert reason in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_carriers(tmp_path / "none.toml", public_url="")


def test_secrets_come_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "carriers.toml"
    path.write_text('[main]\nkind = "telnyx"\napi_key = {env = "KEY"}\nlimits = {env = "KEY", more = 1}')
    (config,) = read_carriers(path, public_url="https://sms.cohortlabs.co", environ={"KEY": SECRET})
    assert (config.name, config.kind) == ("main", "telnyx")
    assert config.options == {"api_key": SECRET, "limits": {"env": "KEY", "more": 1}}
    assert SECRET not in repr(config)
    assert config.callback_url("reports") == "https://sms.cohortlabs.co/carriers/main/reports"
