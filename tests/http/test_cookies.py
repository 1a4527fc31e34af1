"""Cookies are read by plain splitting, and by nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from msvs.http.cookies import MAX_COOKIE_BYTES, find_cookie

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        ([], None),
        ([b""], None),
        ([b"a=b"], "b"),
        ([b"a=b; c=d"], "b"),
        ([b"c=d;a=b"], "b"),
        ([b"c=d", b"a=b"], "b"),
        ([b" a = b "], "b"),
        ([b"a=b=c=="], "b=c=="),
        ([b"a=first; a=second"], "first"),
        ([b"a="], None),
        ([b"a"], None),
        ([b"aa=b; A=b; xa=b"], None),
        ([b'a="b\\"c"'], '"b\\"c"'),
        ([b"a=\xff"], "\xff"),
        ([b"x=" + b"y" * (MAX_COOKIE_BYTES - 6) + b";a=b"], "b"),
        ([b"x=" + b"y" * (MAX_COOKIE_BYTES - 5) + b";a=b"], None),
    ],
)
def test_find_cookie(headers: list[bytes], value: str | None) -> None:
    assert find_cookie(headers, "a") == value


def parsers_in(tree: ast.Module) -> list[str]:
    """Where a module reaches the standard library's parser: by itself, or by Starlette's or Flask's requests."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("cookies", "cookie_parser"):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.Import):
            found += [each.name for each in node.names if each.name.startswith("http.cookie")]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found += [
                f"{node.module}.{each.name}"
                for each in node.names
                if node.module.startswith("http.cookie") or each.name in ("cookies", "cookie_parser", "SimpleCookie")
            ]
    return [each for each in found if each != "msvs.http.cookies"]


@pytest.mark.parametrize(
    "source",
    [
        "request.cookies.get('a')",
        "import http.cookies",
        "from http.cookies import SimpleCookie",
        "from http import cookies",
        "from starlette.requests import cookie_parser",
        "jar = requests.cookie_parser(text)",
    ],
)
def test_a_parser_of_cookies_is_found(source: str) -> None:
    assert len(parsers_in(ast.parse(source))) == 1


def test_no_module_uses_a_parser_of_cookies() -> None:
    modules = [path for path in (ROOT / "msvs").rglob("*.py") if "docs" not in path.parts]
    found = {str(path): parsers_in(ast.parse(path.read_text("utf-8"))) for path in modules}
    assert {path: each for path, each in found.items() if each} == {}
