"""The worked example of CONTRIBUTING, done to a copy of the package: four files, and every front has the field."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MOST_FILES = 4
# What the copy says of itself, once its generated files are made.
TOLD = """
import json
from msvs.api.contacts import contacts, imports
from msvs.api.privacy.erasure import BLANKED
from msvs.graphql.schema import schema
from msvs.rest_compat import openapi
from scripts import build_rows

document = openapi.document()
components = document["components"]["schemas"]
body = document["paths"]["/v1/contacts"]["post"]["requestBody"]["content"]["application/json"]["example"]
print(json.dumps({
    "fields": {name: each["properties"].get("nickname") for name, each in components.items() if "properties" in each},
    "body": body,
    "graphql": schema.as_str(),
    "rows": build_rows.source(),
    "sql": [contacts.INSERT_CONTACT, contacts.UPDATE_CONTACT, imports.INSERT_CONTACTS, imports.UPDATE_CONTACTS],
    "blanked": "nickname" in BLANKED,
}))
"""


def changes() -> Iterator[tuple[str, str, str]]:
    """Each change of the example: the file, the text that stands there, and the text to stand there."""
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Add a field to a resource\n")[1].split("\n## ")[0]
    path = ""
    for told, diff in re.findall(r"(.*?)```diff\n(.*?)```", section, re.DOTALL):
        path = next(iter(re.findall(r"in `(msvs/[a-z_/]+\.py)`", told)), path)
        lines = diff.splitlines()
        before = [line[1:] for line in lines if not line.startswith("+")]
        yield path, "\n".join(before) + "\n", "\n".join(line[1:] for line in lines) + "\n"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    copy = tmp_path_factory.mktemp("example")
    ignored = shutil.ignore_patterns("__pycache__", "site", "node_modules")
    for name in ("msvs", "scripts"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for path, before, after in changes():
        text = (copy / path).read_text()
        assert text.count(before) == 1, f"{path} has changed: bring the example of CONTRIBUTING up to date\n{before}"
        (copy / path).write_text(text.replace(before, after))
    done = subprocess.run(
        [sys.executable, "-c", TOLD],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_field_takes_four_files() -> None:
    assert len({path for path, _, _ in changes()}) <= MOST_FILES


def test_rest_takes_and_shows_it(told: dict[str, Any]) -> None:
    limits = [{"type": "string", "minLength": 1, "maxLength": 100}, {"type": "null"}]
    asked = {"description": "What friends call the person.", "anyOf": limits}
    assert {name: field for name, field in told["fields"].items() if field} == {
        "Contact": {
            "description": "The nickname; null if unknown.",
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "examples": ["Mia"],
        },
        "ContactCreate": asked,
        "ContactUpdate": asked,
        # What breaks the rules of a contact is reported, and refuses nothing.
        "ImportedContact": {
            "description": "What friends call the person.",
            "anyOf": [{"type": "string"}, {"type": "null"}],
        },
    }
    assert told["body"]["nickname"] == "Mia"


@pytest.mark.parametrize(
    ("head", "field"),
    [
        ("type Contact implements Node {", '"""The nickname; null if unknown."""\n  nickname: String\n'),
        ("input CreateContactInput {", '"""What friends call the person."""\n  nickname: String = null\n'),
        ("input UpdateContactInput {", '"""What friends call the person."""\n  nickname: String\n'),
    ],
)
def test_graphql_takes_and_shows_it(head: str, field: str, told: dict[str, Any]) -> None:
    assert field in told["graphql"].split(head)[1].split("\n}")[0] + "\n"


def test_it_is_written_imported_typed_and_erased(told: dict[str, Any]) -> None:
    assert [len(re.findall(r"\bnickname\b", sql)) for sql in told["sql"]] == [1, 1, 3, 3]
    assert "def nickname(self) -> str | None" in told["rows"]
    assert told["blanked"]
