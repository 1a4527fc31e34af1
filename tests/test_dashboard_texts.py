"""The dashboard says in three languages what the service says in English."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from msvs.api.resources import FAILURES

SOURCES = Path(__file__).parents[1] / "dashboard" / "src"


@pytest.mark.parametrize("code", FAILURES)
def test_failures_are_said_in_every_language(code: str) -> None:
    assert f"    {code}: t`{FAILURES[code]}`," in (SOURCES / "ui" / "failures.tsx").read_text()
    for language in ("pt-BR", "es"):
        entries = (SOURCES / "locales" / f"{language}.po").read_text().split("\n\n")
        [entry] = [each for each in entries if f'msgid "{FAILURES[code]}"' in each]
        assert 'msgstr ""' not in entry, language


def test_every_warning_of_the_reference_is_said_in_the_readers_language() -> None:
    reference = (SOURCES.parents[1] / "docs/site/messages.md").read_text()
    (table,) = re.findall(r"^\| `double_braces` \|.*?(?=^$)", reference, re.MULTILINE | re.DOTALL)
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    said = re.findall(r'^      case "(\w+)":', (SOURCES / "ui/warnings.ts").read_text(), re.MULTILINE)
    assert sorted(said) == sorted(told)
    assert len(told) > 10
