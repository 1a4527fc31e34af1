"""Compare docs/connectors.md with the code: each connector has a section that lists all its settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from msvs.connectors.base import Connector
from msvs.connectors.registry import CONNECTORS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "connectors.md").read_text()
ROWS = {
    row[0]: row
    for line in PAGE.splitlines()
    if line.startswith("| `") and len(row := [cell.strip().strip("`") for cell in line.strip("|").split("|")]) == 7
}


def section(connector: type[Connector]) -> str:
    """Return the documentation section of a connector."""
    return PAGE.split(f"\n## {connector.label}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("connector", CONNECTORS.values(), ids=CONNECTORS)
def test_every_setting_that_is_asked_for_is_explained(connector: type[Connector]) -> None:
    text = section(connector)
    assert text.strip().startswith(f"`{connector.kind}`:")
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {setting.name for setting in connector.settings if not setting.is_granted}


def test_the_table_says_what_each_can_do() -> None:
    assert ROWS.keys() == CONNECTORS.keys()
    for kind, (_, label, changes, looks_up, opt_outs, hook, consent) in ROWS.items():
        can = CONNECTORS[kind].capabilities
        assert label.startswith(f"[{CONNECTORS[kind].label}]")
        assert (changes == "no") is not (can.incremental or can.hook)
        assert (looks_up == "yes") is can.looks_up
        assert (opt_outs != "no") is can.writes_opt_outs
        assert (hook != "no") is can.hook
        assert ("registered, signed" in hook) is can.registers_hook
        assert consent.startswith("yes") is can.sms_consent
