"""Puts the examples of a language into its README, so that what is shown is what is run."""

from __future__ import annotations

import re
from pathlib import Path

SDKS = Path(__file__).resolve().parents[1]
EXTENSIONS = {"curl": "sh", "python": "py", "node": "mjs", "ruby": "rb", "php": "php", "go": "go"}
EXAMPLES = ("send", "batch", "scheduled", "campaign", "contact", "paging", "webhook", "errors", "idempotency")

_block = re.compile(r"(<!-- example: (\w+) -->\n```\w*\n).*?(```\n)", re.DOTALL)


def example(language: str, name: str) -> Path:
    """Return where an example is: examples/NAME.EXT, or examples/NAME/main.EXT."""
    folder, extension = SDKS / language / "examples", EXTENSIONS[language]
    path = folder / f"{name}.{extension}"
    return path if path.exists() else folder / name / f"main.{extension}"


def filled(language: str, text: str) -> str:
    """Return a README with its examples as they are."""

    def fill(found: re.Match[str]) -> str:
        return found[1] + example(language, found[2]).read_text().rstrip("\n") + "\n" + found[3]

    return _block.sub(fill, text)


def drift(language: str) -> list[str]:
    """Name the README where it does not show its examples."""
    path = SDKS / language / "README.md"
    if not path.exists() or filled(language, path.read_text()) == path.read_text():
        return []
    return [f"{language}/README.md"]


def write(language: str) -> list[str]:
    """Renew the README; return its name where it changed."""
    changed = drift(language)
    if changed:
        path = SDKS / language / "README.md"
        path.write_text(filled(language, path.read_text()))
    return changed
