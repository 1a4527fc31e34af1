"""Puts the examples of all languages, and calls of single operations, into pages of the documentation, as tabs.

`<!-- samples: NAME -->` … `<!-- /samples -->` holds an example. `<!-- call: OPERATION {…} -->` … `<!-- /call -->` holds
a call of an operation with the parameters of its path, query and body, or without any with those of its example.
`sdks.conformance` runs both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sdks.generator import calls
from sdks.generator.model import load_once
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

# What stands before a call: a client whose key and host are the reader's, or else those of the environment.
SETUPS: Mapping[str, str] = {
    "curl": "",
    "python": "from massivesms import MassiveSMS\n\nclient = MassiveSMS()  # MASSIVESMS_API_KEY\n",
    "node": 'import { MassiveSMS } from "@massivesms/node";\n\n'
    "const client = new MassiveSMS(); // MASSIVESMS_API_KEY\n",
    "ruby": 'require "massivesms"\n\nclient = MassiveSMS::Client.new # MASSIVESMS_API_KEY\n',
    "php": "require 'vendor/autoload.php';\n\n$client = new \\MassiveSMS\\Client(); // MASSIVESMS_API_KEY\n",
    "go": 'client := massivesms.New("") // MASSIVESMS_API_KEY\nctx := context.Background()\n',
}
WRITERS: Mapping[str, Callable[[calls.Call], str]] = {"curl": calls.curl, **calls.WRITERS}

_place = re.compile(r"(<!-- samples: (\w+) -->\n).*?(<!-- /samples -->\n)", re.DOTALL)
_called = re.compile(r"(<!-- call: (\w+)\s*(.*?)\s*-->\n).*?(<!-- /call -->\n)", re.DOTALL)


def pages() -> list[Path]:
    """Return the pages that show samples."""
    return [path for path in sorted(PAGES.glob("*.md")) if re.search("<!-- (samples|call): ", path.read_text())]


def called() -> list[calls.Call]:
    """Return the calls that pages show."""
    return [_call(found) for path in pages() for found in _called.finditer(path.read_text())]


def _call(found: re.Match[str]) -> calls.Call:
    return calls.asked(load_once(), found[2], json.loads(found[3]) if found[3] else None)


def tabs(name: str) -> str:
    """Return the tabs of an example, one for each language that has it."""
    parts = []
    for language, title, fence in TABS:
        path = example(language, name)
        if path.exists():
            parts.append(_tab(title, fence, path.read_text()))
    return "\n".join(parts)


def _tab(title: str, fence: str, text: str) -> str:
    lines = [f"```{fence}", *text.rstrip("\n").expandtabs(4).splitlines(), "```"]
    body = "\n".join(f"    {line}".rstrip() for line in lines)
    return f'=== "{title}"\n\n{body}\n'


def call_tabs(call: calls.Call) -> str:
    """Return the tabs of a call of an operation."""
    return "\n".join(
        _tab(title, fence, f"{SETUPS[language]}{WRITERS[language](call)}") for language, title, fence in TABS
    )


def filled(text: str) -> str:
    """Return a page with the samples as they are."""
    text = _place.sub(lambda found: f"{found[1]}\n{tabs(found[2])}\n{found[3]}", text)
    return _called.sub(lambda found: f"{found[1]}\n{call_tabs(_call(found))}\n{found[4]}", text)


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
