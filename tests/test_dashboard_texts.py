"""The dashboard says in three languages what the service says in English."""

from __future__ import annotations

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
