"""The catalogue of errors against the code: nothing raised is missing, nothing listed is never raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import msvs
from msvs.api import catalogue
from msvs.api.catalogue import ERRORS, FAILURE_CODES, IDEMPOTENCY, TYPES, doc_url, errors_of
from msvs.api.errors import ApiError, ErrorCode
from msvs.api.resources import FAILURES

SOURCE = Path(msvs.__file__).parent
CODE = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if path.name != "catalogue.py":
            yield path, ast.parse(path.read_text())


def name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def text_of(node: ast.AST | None) -> str | None:
    """A string as the source has it, or the value of a member of ErrorCode."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Attribute(value=ast.Name(id="ErrorCode"), attr=name):
            return ErrorCode[name].value
    return None


def subclasses(cls: type[ApiError]) -> Iterator[type[ApiError]]:
    yield cls
    for each in cls.__subclasses__():
        yield from subclasses(each)


def error_classes() -> dict[str, type[ApiError]]:
    """Every error class of the package, by its name."""
    for path, _ in trees():
        if path.name != "__main__.py" and "migrations" not in path.parts and "errors import" in path.read_text():
            parts = path.relative_to(SOURCE.parent).with_suffix("").parts
            import_module(".".join(parts).removesuffix(".__init__"))
    return {cls.__name__: cls for cls in subclasses(ApiError) if cls.__module__.startswith("msvs.")}


def refusals() -> dict[tuple[str, int, str], str]:
    """Each (code, status, type) that a call of an error class in the source gives, and where."""
    found: dict[tuple[str, int, str], str] = {}
    known = error_classes()
    for path, tree in trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or (cls := known.get(name_of(node.func))) is None:
                continue
            where = f"{path.relative_to(SOURCE)}:{node.lineno}"
            given = next((keyword.value for keyword in node.keywords if keyword.arg == "code"), None)
            if given is None:
                found.setdefault((cls.default_code, cls.status, cls.type), where)
            elif (code := text_of(given)) is not None:
                found.setdefault((code, cls.status, cls.type), where)
            else:
                # The code of a NotRenderable, whose codes are constants where it is raised.
                assert ast.unparse(given) == "error.code", where
                found |= {(code, cls.status, cls.type): where for code in unrenderable()}
    return found


def unrenderable() -> set[str]:
    return set(first_arguments("NotRenderable"))


def first_arguments(name: str) -> Iterator[str]:
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node.func) == name and node.args:
                text = text_of(node.args[0])
                if text is not None:
                    yield text


def names_codes(path: Path) -> bool:
    """Whether a file gives codes a name: what carriers' own codes mean, and why a campaign excludes a recipient."""
    return "carriers" in path.parts or path.name == "exclusions.py"


def failures() -> set[str]:
    """Each code that the source may write to a message's `error_code`."""
    found = unrenderable() | set(first_arguments("Refused"))
    found |= {"region_blocked", "number_type_blocked", "region_not_enabled"}
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg in ("refuse_code", "error_code", "reason"):
                text = text_of(node.value)
                if text is not None and path.parts[-2] in ("api", "carriers") and text in FAILURES:
                    found.add(text)
            elif isinstance(node, ast.Call) and name_of(node.func) in ("fail_unsent", "cancel_messages"):
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                found |= {text for each in given if (text := text_of(each)) is not None}
            elif isinstance(node, ast.FunctionDef) and node.name in ("skip_reason", "limit"):
                returned = [text_of(part.value) for part in ast.walk(node) if isinstance(part, ast.Return)]
                found |= {text for text in returned if text is not None and CODE.fullmatch(text)}
            elif isinstance(node, ast.Assign) and names_codes(path) and text_of(node.value) in FAILURES:
                found.add(str(text_of(node.value)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"error_code = '(\w+)'", node.value))
            elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and "code" in ast.unparse(node.values[0]):
                text = text_of(node.values[-1])
                if text is not None and text in FAILURES:
                    found.add(text)
    return found


def literals(tree: ast.Module, known: Collection[str]) -> Iterator[str]:
    """Strings where a member of ErrorCode belongs: an error's code, a class's default, what a code is compared to."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=func, keywords=keywords) if name_of(func) in known:
                places: list[ast.expr] = [keyword.value for keyword in keywords if keyword.arg == "code"]
            case ast.Assign(targets=[ast.Name(id="default_code")], value=value):
                places = [value]
            case ast.Compare(left=ast.Attribute(value=ast.Name(id="error"), attr="code"), comparators=places):
                pass
            case _:
                continue
        for place in places:
            for part in ast.walk(place):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value in {*ErrorCode}:
                    yield f"{node.lineno}: {part.value}"


def test_errors_take_members_and_no_strings() -> None:
    known = error_classes()
    found = {str(path.relative_to(SOURCE)): strings for path, tree in trees() if (strings := [*literals(tree, known)])}
    assert found == {}


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ('raise Conflict("No.", code="list_synced")', True),
        ('raise Conflict("No.", code="list_synced" if synced else ErrorCode.STATE_CONFLICT)', True),
        ('default_code = "route_unknown"', True),
        ('if error.code == "variable_missing": pass', True),
        ('raise Conflict("No.", code=ErrorCode.LIST_SYNCED)', False),
        ('Refused(code="carrier_rejected")', False),
    ],
)
def test_a_string_for_a_code_is_found(source: str, is_found: bool) -> None:
    assert bool(list(literals(ast.parse(source), {"Conflict"}))) is is_found


def test_every_member_is_in_the_catalogue() -> None:
    """But for the defaults of classes of which every error names a code of its own."""
    assert set(ErrorCode) - set(ERRORS) == {ErrorCode.STATE_CONFLICT, ErrorCode.COMPLIANCE_REFUSED}


def test_every_code_that_is_raised_is_in_the_catalogue_with_its_status_and_type() -> None:
    missing = {
        found: where
        for found, where in refusals().items()
        if (row := ERRORS.get(found[0])) is None or found[1] not in row.statuses or row.type(found[1]) != found[2]
    }
    assert missing == {}


def test_every_code_of_the_catalogue_is_raised_with_each_of_its_statuses() -> None:
    raised = {(code, status) for code, status, _ in refusals()}
    listed = {(row.code, status) for row in ERRORS.values() for status in row.statuses}
    assert listed - raised == set()


def test_every_failure_code_can_happen_and_no_other() -> None:
    assert failures() == set(FAILURES) == set(FAILURE_CODES)


@pytest.mark.parametrize("row", [*ERRORS.values(), *FAILURE_CODES.values()], ids=lambda row: row.code)
def test_a_row_says_when_and_what_to_do(row: catalogue.ListedError | catalogue.FailureCode) -> None:
    assert CODE.fullmatch(row.code)
    assert len(row.code) <= 40
    assert row.when.endswith(".")
    assert row.action.endswith(".")


def test_each_status_has_its_type_and_codes() -> None:
    for cls in error_classes().values():
        if cls.type != IDEMPOTENCY:
            assert TYPES[cls.status] == cls.type
    assert {status for row in ERRORS.values() for status in row.statuses} == set(TYPES)
    assert [row.code for row in errors_of(402)] == ["insufficient_credits"]


@pytest.mark.parametrize("base", ["https://api.massivesms.com", "http://127.0.0.1:8000"])
def test_an_error_names_its_page(base: str) -> None:
    assert doc_url("phone_number_invalid", base) == f"{base}/docs/errors#phone_number_invalid"
