"""What the packages of the SDKs bring, and the tests that the list of known problems names."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from sdks.generator.render import SDKS

CASES = SDKS / "cases.md"
ROOT = SDKS.parent
NAMED = re.compile(r"`([\w./]+)::([^`]+)`")


def test_no_library_brings_dependencies() -> None:
    project = tomllib.loads((SDKS / "python" / "pyproject.toml").read_text())["project"]
    assert [re.split(r"[^a-z]", each, maxsplit=1)[0] for each in project["dependencies"]] == ["httpx"]
    assert re.fullmatch(r"httpx>=[\d.]+,<\d+", project["dependencies"][0]), "both ends of its range are said"
    node = json.loads((SDKS / "node" / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & set(node)
    required = json.loads((SDKS / "php" / "composer.json").read_text())["require"]
    assert all(name == "php" or name.startswith("ext-") for name in required)
    assert "require" not in (SDKS / "go" / "go.mod").read_text()
    assert "dependency" not in (SDKS / "ruby" / "massivesms.gemspec").read_text()


def test_the_node_package_needs_nothing_and_can_be_shaken() -> None:
    node = json.loads((SDKS / "node" / "package.json").read_text())
    assert node["sideEffects"] is False
    sources = list((SDKS / "node" / "src").rglob("*.ts"))
    assert len(sources) > 10
    for path in sources:
        imported = re.findall(r"""(?:from|import|require)\s*\(?\s*["']([\w@./:-]+)["']""", path.read_text())
        assert [name for name in imported if not name.startswith(".")] == [], path
        assert not re.search(r"\bBuffer\b", path.read_text()), path


def test_types_are_found_by_every_module_resolution() -> None:
    """TypeScript's `node10` reads no `exports`, and finds the types of a path by `typesVersions` alone."""
    node = json.loads((SDKS / "node" / "package.json").read_text())
    paths = {path.removeprefix("./") for path in node["exports"]} - {".", "package.json"}
    assert set(node["typesVersions"]["*"]) == paths
    for path, (found,) in node["typesVersions"]["*"].items():
        assert found == node["exports"][f"./{path}"]["import"]["types"]


def test_every_known_problem_names_its_tests() -> None:
    rows = [line for line in CASES.read_text().splitlines() if line.startswith("| ") and "::" in line]
    assert len(rows) > 20
    assert all(NAMED.search(row) for row in rows)


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(CASES.read_text()))))
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    text = Path(ROOT / path).read_text()
    function = rf"(?:def|function|func) {re.escape(name)}\b"
    assert re.search(function, text) or f'test("{name}"' in text
