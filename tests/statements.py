"""The SQL statements of the service, read from its source, and the tables that they name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATEMENT = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE)\b[\s\S]*\b(?:FROM|INTO|UPDATE|SET|VALUES)\b")
TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO|USING)\s+(?:ONLY\s+)?([a-z_]+)")
# Rows named by an id of theirs or of what they hang on, `id = $1`, `m.campaign_id = ANY ($2)`, or new ones.
BY_ID = re.compile(r"\b(?:[a-z_]+_)?id\s*(?:=|IN\b)|\bINSERT INTO [a-z_]+ \((?:id, )?[a-z]+_id\b")
WORKSPACE = re.compile(r"\bworkspaces?_id\b|\{.*scope.*\}", re.IGNORECASE)
BUILT = ("docs/site", "migrations")


@dataclass(frozen=True)
class Statement:
    """A statement, or a part of one, where it stands."""

    module: str
    text: str

    @property
    def tables(self) -> frozenset[str]:
        """What the statement may name as a table."""
        return frozenset(TABLE.findall(self.text))

    @property
    def is_of_workspace(self) -> bool:
        """Whether the statement names a workspace."""
        return WORKSPACE.search(self.text) is not None

    @property
    def is_by_id(self) -> bool:
        """Whether the statement names rows by an id."""
        return BY_ID.search(self.text) is not None


def strings_of(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a module, but for docstrings; a formatted one as it is written."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in parts or id(node) in said:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield ast.unparse(node)


def statements_of(module: str, source: str) -> Iterator[Statement]:
    """Find the statements in the source of a module."""
    return (Statement(module, text) for text in strings_of(ast.parse(source)) if STATEMENT.search(text))


def all_statements() -> list[Statement]:
    """Find the statements of the service."""
    package = ROOT / "msvs"
    modules = sorted(
        path for path in package.rglob("*.py") if not path.relative_to(package).as_posix().startswith(BUILT)
    )
    return [
        statement
        for path in modules
        for statement in statements_of(path.relative_to(ROOT).as_posix(), path.read_text())
    ]
