"""Puts the examples of all languages into pages of the documentation, as tabs."""

from __future__ import annotations

import re
from pathlib import Path

from sdks.generator.readmes import SDKS, example

PAGES = SDKS.parent / "docs" / "site"
TABS = (
    ("curl", "curl", "sh"),
    ("python", "Python", "python"),
    ("node", "Node.js", "js"),
    ("ruby", "Ruby", "ruby"),
    ("php", "PHP", "php"),
    ("go", "Go", "go"),
)

_place = re.compile(r"(<!-- samples: (\w+) -->\n).*?(<!-- /samples -->\n)", re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that show samples."""
    return [path for path in sorted(PAGES.glob("*.md")) if _place.search(path.read_text())]


def tabs(name: str) -> str:
    """Return the tabs of an example, one for each language that has it."""
    parts = []
    for language, title, fence in TABS:
        path = example(language, name)
        if path.exists():
            lines = [f"```{fence}", *path.read_text().rstrip("\n").expandtabs(4).splitlines(), "```"]
            body = "\n".join(f"    {line}".rstrip() for line in lines)
            parts.append(f'=== "{title}"\n\n{body}\n')
    return "\n".join(parts)


def filled(text: str) -> str:
    """Return a page with the samples as they are."""
    return _place.sub(lambda found: f"{found[1]}\n{tabs(found[2])}\n{found[3]}", text)


def drift() -> list[str]:
    """Name the pages that show other samples than are run."""
    return [path.name for path in pages() if filled(path.read_text()) != path.read_text()]


def write() -> list[str]:
    """Renew the pages; name those that changed."""
    changed = drift()
    for name in changed:
        path = PAGES / name
        path.write_text(filled(path.read_text()))
    return changed
