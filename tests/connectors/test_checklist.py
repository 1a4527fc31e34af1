"""Checks that every registered connector must pass."""

from __future__ import annotations

import inspect
import re

import pytest

from msvs.connectors.base import Connection, Connector, HookCall, HookRefused, InvalidSetting, Setting, check_settings
from msvs.connectors.registry import CONNECTORS, open_connector
from msvs.http_client import HttpClient
from tests.connectors.fakes.server import LOCAL
from tests.connectors.test_hook import NOW


@pytest.fixture(params=CONNECTORS.values(), ids=CONNECTORS)
def connector(request: pytest.FixtureRequest) -> type[Connector]:
    """Return each registered connector."""
    found: type[Connector] = request.param
    return found


def overrides(connector: type[Connector], method: str) -> bool:
    """Return whether a connector overrides a method."""
    return getattr(connector, method) is not getattr(Connector, method)


def test_it_declares_itself(connector: type[Connector]) -> None:
    assert CONNECTORS[connector.kind] is connector
    assert re.fullmatch(r"[a-z]{2,20}", connector.kind)
    assert connector.label
    assert inspect.getdoc(connector)
    assert isinstance(open_connector(connector.kind, Connection({}, HttpClient(LOCAL))), connector)


def test_its_settings_can_be_asked_for(connector: type[Connector]) -> None:
    names = [setting.name for setting in connector.settings]
    assert len(set(names)) == len(names)
    for setting in connector.settings:
        assert re.fullmatch(r"[a-z][a-z0-9_]{1,39}", setting.name)
        assert setting.label == setting.label.strip() != ""
        assert not setting.help or setting.help.endswith(".")
        if setting.pattern is not None:
            assert setting.example is not None, f"{setting.name} needs an example of its pattern"
            assert re.fullmatch(setting.pattern, setting.example)
        assert not (setting.choices and setting.is_listed)
        assert not (setting.is_granted and setting.is_required)
    assert set(connector.opt_out_settings) <= set(names)


def test_its_capabilities_are_those_that_it_has(connector: type[Connector]) -> None:
    can = connector.capabilities
    assert can.looks_up is overrides(connector, "look_up")
    assert can.writes_opt_outs is overrides(connector, "write_opt_out") is bool(connector.opt_out_settings)
    assert can.hook is overrides(connector, "read_hook")
    assert can.registers_hook is overrides(connector, "register_hook") is overrides(connector, "unregister_hook")
    assert can.oauth is overrides(connector, "authorize_url") is overrides(connector, "exchange_code")
    assert (can.oauth or can.registers_hook) is any(setting.is_granted for setting in connector.settings)
    assert any(setting.is_listed for setting in connector.settings) is overrides(connector, "choices")
    assert can.hook or can.pulls
    assert can.hook or not (can.signed_hook or can.registers_hook)
    assert can.incremental or not can.sees_deletions


def test_settings_are_checked_before_they_are_kept(connector: type[Connector]) -> None:
    with pytest.raises(InvalidSetting) as error:
        check_settings(connector, {"surely_no_setting": "x"})
    assert error.value.setting == "surely_no_setting"
    valid = {setting.name: value_of(setting) for setting in connector.settings if setting.is_required}
    assert check_settings(connector, {**valid, **{name: f" {value} " for name, value in valid.items()}}) == valid
    # What the account has is chosen once there is access.
    listed = {setting.name for setting in connector.settings if setting.is_listed}
    for name in valid.keys() & listed:
        assert check_settings(connector, {**valid, name: "  "}).keys() == valid.keys() - {name}
    for name in valid.keys() - listed:
        with pytest.raises(InvalidSetting) as error:
            check_settings(connector, {**valid, name: "  "})
        assert error.value.setting == name
    for setting in connector.settings:
        for wrong in ("x" * 3000, "a\nb"):
            with pytest.raises(InvalidSetting) as error:
                check_settings(connector, {**valid, setting.name: wrong})
            assert error.value.setting == setting.name
            assert wrong not in error.value.message


def value_of(setting: Setting) -> str:
    """Return a valid value for a setting."""
    return setting.choices[0].value if setting.choices else setting.example or "value-of-the-tests"


def test_secrets_are_seen_nowhere(connector: type[Connector]) -> None:
    settings = {setting.name: f"hidden-{setting.name}" for setting in connector.settings}
    connection = Connection(settings, HttpClient(LOCAL))
    shown = f"{connection!r} {open_connector(connector.kind, connection)!r}"
    assert "hidden" not in shown


def test_a_hook_refuses_what_is_not_the_services(connector: type[Connector]) -> None:
    opened = open_connector(connector.kind, Connection({}, HttpClient(LOCAL)))
    with pytest.raises(HookRefused) as refused:
        opened.read_hook(HookCall({}, b"garbage", NOW))
    assert refused.value.status in (400, 403, 404)
    assert "garbage" not in refused.value.reason
