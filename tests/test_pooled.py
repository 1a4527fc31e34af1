"""What passes a pooler in transaction mode: limits by transaction, and no statement that relies on a session."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from msvs.dsn import LIMITED, read_dsn
from msvs.pooled import returns_all, set_local
from msvs.settings import Settings, SettingsError, from_environment

ROOT = Path(__file__).parent.parent
# What PostgreSQL keeps for a session, or takes from one.
OF_SESSIONS = re.compile(
    r"\bpg_(?:try_)?advisory_(?:lock|unlock)|\bset_config\([^()]*,\s*false\)|\bLISTEN\s|\bNOTIFY\s|\bWITH HOLD\b"
    r"|\bTEMP(?:ORARY)?\s+(?:TABLE|VIEW|SEQUENCE)\b|\bSET\s+SESSION\b|\b(?:RE)?SET\s+(?:ROLE|ALL)\b|^\s*PREPARE\s"
    r"|\bLOCK\s+TABLE\b.*\bNOWAIT\b|\bDISCARD\s|\blastval\(|\bcurrval\("
)
# File: statement → why it never passes such a pooler.
ALLOWED = {
    "msvs/connections.py:SET_CONFIG": "for URLs in session mode",
    "msvs/database.py:SET_LIMITS": "for URLs in session mode",
    "msvs/database.py:migrate": "by the owner's URL",
    "msvs/workers/carrier_binds.py:_locked": "by DATABASE_DIRECT_URL",
    "msvs/workers/clocks.py:ENTER_SANDBOX": "by DATABASE_DIRECT_URL",
}


def texts(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each text of a module but documentation, with the function or the constant that it is in."""
    for top in ast.walk(tree):
        if isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [top.name]
        elif isinstance(top, ast.Assign | ast.AnnAssign):
            targets = top.targets if isinstance(top, ast.Assign) else [top.target]
            names = [ast.unparse(target) for target in targets]
        else:
            continue
        documented = (
            ast.get_docstring(top, clean=False) if isinstance(top, ast.FunctionDef | ast.AsyncFunctionDef) else ""
        )
        for node in ast.walk(top):
            if isinstance(node, ast.JoinedStr):
                yield names[0], ast.unparse(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != documented:
                yield names[0], node.value


def test_no_statement_relies_on_a_session_but_those_that_have_one() -> None:
    found = set()
    for path in sorted((ROOT / "msvs").rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name.startswith(("msvs/migrations/", "msvs/docs/")):
            continue
        for where, text in texts(ast.parse(path.read_text("utf-8"))):
            if OF_SESSIONS.search(text):
                found.add(f"{name}:{where}")
    assert found == set(ALLOWED)


def test_no_process_listens_or_opens_cursors() -> None:
    calls = {"add_listener", "cursor", "set_builtin_type_codec", "prepare"}
    for path in sorted((ROOT / "msvs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in calls:
                place = f"{path.relative_to(ROOT)}: {ast.unparse(node.func)}"
                assert place in PREPARED, place


# A supervisor's own preparation, and the one question to a pooler.
PREPARED = (
    "msvs/local/embedded.py: self.prepare",
    "msvs/local/supervisor.py: self.prepare",
    "msvs/pooled.py: connection.prepare",
)


@pytest.mark.parametrize(
    ("sql", "is_so"),
    [
        ("SELECT * FROM contacts", True),
        ("SELECT DISTINCT ON (id) * FROM contacts", True),
        ("SELECT child.* FROM contacts AS child", True),
        ("SELECT id, *", True),
        ("UPDATE contacts SET id = id RETURNING\n    *", True),
        ("TABLE contacts", True),
        ("SELECT count(*) FROM contacts", False),
        ("SELECT id FROM contacts WHERE credits > 2 * $1", False),
        ("INSERT INTO contacts (id) VALUES ($1)", False),
    ],
)
def test_statements_that_return_what_they_do_not_name(sql: str, is_so: bool) -> None:
    assert returns_all(sql) is is_so


def test_a_transaction_sets_its_limits() -> None:
    limits = dict.fromkeys(LIMITED, "1s") | {"lock_timeout": "it's", "tcp_keepalives_idle": "5"}
    newest = (
        " SET LOCAL statement_timeout = '1s'; SET LOCAL lock_timeout = 'it''s';"
        " SET LOCAL idle_in_transaction_session_timeout = '1s'; SET LOCAL transaction_timeout = '1s';"
    )
    assert set_local(limits, 17) == newest
    assert set_local(limits, 16) == newest.removesuffix(" SET LOCAL transaction_timeout = '1s';")


POOLED = "postgresql://pooler:6432/msvs?pool_mode=transaction"


def test_a_url_says_how_it_is_pooled() -> None:
    assert read_dsn(POOLED).by_transaction
    assert not read_dsn(POOLED.replace("transaction", "session")).by_transaction
    assert "pool_mode" not in read_dsn(POOLED).text
    assert read_dsn(f"{POOLED}&lock_timeout=1s").settings == {"lock_timeout": "1s"}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (POOLED.replace("transaction", "statement"), "pool_mode must be session or transaction"),
        (f"{POOLED}&options=-c%20work_mem=1MB", "work_mem cannot be set through a pooler in transaction mode"),
        (f"{POOLED}&search_path=other", "search_path cannot be set through a pooler in transaction mode"),
    ],
)
def test_what_such_a_pooler_could_not_honor_is_refused(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_dsn(url)


def test_what_needs_a_session_goes_around_the_pooler() -> None:
    direct, owner = "postgresql://db/msvs", "postgresql://owner@db/msvs"
    settings = from_environment({"DATABASE_URL": POOLED, "DATABASE_DIRECT_URL": direct})
    assert (settings.session_url, settings.owner_url) == (direct, direct)
    assert Settings(database_url=POOLED, migrations_database_url=owner).owner_url == owner
    # It is of no concern where there is no such pooler.
    assert Settings(database_url=owner, direct_database_url=direct).session_url == owner
    with pytest.raises(SettingsError, match="DATABASE_DIRECT_URL must be set"):
        Settings(database_url=POOLED).require_session()
    for name in ("DATABASE_DIRECT_URL", "MIGRATIONS_DATABASE_URL"):
        with pytest.raises(SettingsError, match=f"{name} must lead to PostgreSQL"):
            from_environment({name: POOLED})
