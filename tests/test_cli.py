"""The `msvs` command, run as its users run it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from msvs import cli
from msvs.api.accounts.keys import digest_key, parse_key
from msvs.api.permissions import Scope
from msvs.api.unit_of_work import unit_of_work
from msvs.carriers.carrier_events import keep_carrier_events
from msvs.carriers.protocol import Inbound
from msvs.cli.common import user_of_system
from msvs.cli.keys import KEY_SCOPES
from msvs.models import (
    ApiKey,
    AuditEntry,
    CarrierSession,
    CarrierState,
    CreditBalance,
    LedgerEntry,
    OperatorEntry,
    Workspace,
)
from msvs.workers.reports import collect_reports
from tests.services import SERVICES


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


def environment(data_dir: Path, **changes: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {"DATA_DIR": str(data_dir)} | changes


async def msvs(*arguments: str, env: dict[str, str], module: str = "msvs") -> Done:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
def env(clean: None, database: str, tmp_path: Path) -> dict[str, str]:
    """An environment whose database is the tests'."""
    return environment(tmp_path, DATABASE_URL=database)


async def shown(*arguments: str, env: dict[str, str]) -> Any:
    """What a command prints with --json."""
    done = await msvs(*arguments, "--json", env=env)
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


async def test_a_workspace_its_keys_and_its_credits(env: dict[str, str]) -> None:
    made = await shown("workspace", "create", "--name", "Cohort Labs", "--credits", "50", env=env)
    assert made.keys() == {"id", "name", "test_key", "live_key"}
    assert (parse_key(made["test_key"]), parse_key(made["live_key"])) == (False, True)
    row = await Workspace.get()
    assert (row.name, made["name"]) == ("Cohort Labs", "Cohort Labs")
    here = ("--workspace", made["id"])

    key = await shown("keys", "create", *here, "--mode", "live", "--name", "Checkout", env=env)
    assert (await ApiKey.get(digest=digest_key(key["key"]))).name == "Checkout"
    listed = await shown("keys", "list", *here, env=env)
    assert [(each["name"], each["livemode"]) for each in listed] == [
        ("Sandbox", False),
        ("Checkout", True),
        ("Live", True),
    ]
    assert all("key" not in each for each in listed)
    assert key["scopes"] == sorted(Scope)
    scopes = ("--scope", "messages:send", "--scope", "contacts:write")
    narrow = await shown("keys", "create", *here, "--mode", "live", *scopes, env=env)
    assert narrow["scopes"] == ["contacts:write", "messages:send"]
    rolled = await shown("keys", "roll", *here, key["id"], "--expires-in", "0", env=env)
    assert (parse_key(rolled["key"]), rolled["name"]) == (True, "Checkout")
    revoked = await shown("keys", "revoke", *here, rolled["id"], env=env)
    assert revoked["revoked_at"] is not None

    granted = await shown("credits", "grant", *here, "25", "--reference", "invoice 7", env=env)
    again = await shown("credits", "grant", *here, "25", "--reference", "invoice 7", env=env)
    assert (granted["granted"], granted["balance"]) == (25, 75)
    assert (again["granted"], again["balance"]) == (0, 75)
    assert (await shown("credits", "balance", *here, env=env))["balance"] == 75
    assert await shown("credits", "purchases", *here, env=env) == []
    assert (await CreditBalance.get(workspace_id=row.id)).balance == 75
    assert await LedgerEntry.filter(workspace_id=row.id).count() == 2


async def test_logs_say_who_ran_a_command(env: dict[str, str]) -> None:
    made = await shown("workspace", "create", "--name", "Cohort Labs", "--actor", "ada@cohortlabs.co", env=env)
    here = ("--workspace", made["id"])
    key = await shown("keys", "create", *here, "--mode", "live", "--name", "Checkout", env=env)
    await shown("credits", "grant", *here, "25", "--actor", "grace", "--note", "Invoice 7", env=env)
    await shown("senders", "add", *here, "COHORT", "--actor", "grace", env=env)
    me = f"operator:{user_of_system()}"
    audit = [(row.actor, row.action, row.resource_id) for row in await AuditEntry.all().order_by("id")]
    assert [each[:2] for each in audit] == [
        ("operator:ada@cohortlabs.co", "workspace.created"),
        (me, "key.created"),
        ("operator:grace", "workspace.updated"),
        ("operator:grace", "sender.added"),
    ]
    assert [each[2] for each in audit[:3]] == [made["id"], key["id"], made["id"]]
    log = [(row.operator, row.action, row.detail) for row in await OperatorEntry.all().order_by("id")]
    assert log == [
        ("operator:ada@cohortlabs.co", "command", "msvs workspace create"),
        (me, "command", f"msvs keys create workspace={made['id']} mode=live"),
        ("operator:grace", "command", f"msvs credits grant workspace={made['id']} amount=25"),
        ("operator:grace", "command", f"msvs senders add workspace={made['id']}"),
    ]
    refused = await msvs("credits", "grant", *here, "1", "--actor", "a b", env=env)
    assert (refused.status, await OperatorEntry.all().count()) == (2, 4)
    await shown("credits", "balance", *here, env=env)
    assert await OperatorEntry.all().count() == 4


# What changes nothing of the service's: it shows, checks, exports, runs a process or writes a file.
READS = {
    *(
        "run",
        "api",
        "worker",
        "cron",
        "binds",
        "engines",
        "schema",
        "settings",
        "packs",
        "database roles",
        "doctor",
        "tail",
        "backup",
        "restore",
    ),
    *("carriers", "carriers check", "carriers unread", "routes list", "senders list", "workspaces list", "users list"),
    *("operators list", "operators log", "keys list", "consent export", "consent verify", "secrets list"),
    *("suppressions export", "credits balance", "credits purchases", "rates list"),
}


def test_each_command_that_changes_something_takes_an_operator_name() -> None:
    told = {name: any(each.name == "actor" for each in command.params) for name, command in commands()}
    assert {name for name, may_say in told.items() if not may_say} == READS


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command, with its name as it is typed in; a group that does something by itself is one too."""
    for name in cli.msvs.list_commands(click.Context(cli.msvs)):
        command = cli.msvs.get_command(click.Context(cli.msvs), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from ((f"{name} {each}", under) for each, under in command.commands.items())
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name, command


def test_what_is_required_is_asked_for() -> None:
    """An option with a default of None would be passed over, and the command break on it."""
    asked = [(name, parameter) for name, command in commands() for parameter in command.params if parameter.required]
    for name, parameter in asked:
        with pytest.raises(click.MissingParameter):
            parameter.handle_parse_result(click.Context(click.Command(name)), {}, [])
    modes = {name for name, parameter in asked if parameter.name == "mode"}
    assert {"keys create", "suppressions import", "suppressions export"} <= modes


def test_the_caller_of_sudo_is_logged_as_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    own = user_of_system()
    monkeypatch.setenv("SUDO_USER", "COHORT\\ada lovelace of the second floor")
    assert user_of_system() == ("COHORT-ada-lovelace-of-the-second"[:31] if os.getuid() == 0 else own)
    monkeypatch.delenv("SUDO_USER")
    assert user_of_system() == own


@pytest.mark.parametrize("flags", [(), ("--json",)])
async def test_a_name_moves_no_cursor_of_the_terminal(env: dict[str, str], flags: tuple[str, ...]) -> None:
    """Users name workspaces and keys, and an operator lists them: an escape sequence is shown, and does nothing."""
    name = "Cohort\x1b[2J\x9b1A\u202eLabs"
    done = await msvs("workspace", "create", "--name", name, *flags, env=env)
    assert done.status == 0
    assert "Cohort\\u001b[2J\\u009b1A\\u202eLabs" in done.out
    assert all(each.isprintable() or each == "\n" for each in done.out + done.err)
    refused = await msvs("workspace", "create", "--name", "a" * 101 + "\x1b[2J", env=env)
    assert all(each.isprintable() or each == "\n" for each in refused.out + refused.err)


async def test_migrating_says_what_it_did(env: dict[str, str], owner_url: str) -> None:
    env |= {"MIGRATIONS_DATABASE_URL": owner_url}
    assert await msvs("migrate", env=env) == Done(0, "The schema is up to date.\n", "")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ([], 2, "COMMAND"),
        (["fly"], 2, "No such command 'fly'"),
        (["worker", "letters"], 2, "'letters' is not one of 'messages'"),
        (["workspace", "create"], 2, "--name"),
        (["workspace", "create", "--name", "a", "--credits", "-1"], 2, "whole number"),
        (["workspace", "create", "--name", " "], 1, "name must have from 1 to 100 characters."),
        (["keys", "list", "--workspace", "nonsense"], 1, "No such workspace"),
        (["keys", "create", "--workspace", "wsp_01HYZ8K5VQAE2N0PWQ6DC9V8MP", "--mode", "live"], 1, "No such workspace"),
        (["credits", "grant", "--workspace", "x", "0"], 2, "whole number"),
        (["carriers", "check", "nobody"], 1, "no such carrier: nobody; there are virtual"),
        (["keys", "create", "--workspace", "x"], 2, "--mode"),
        (["suppressions", "import", "--workspace", "x", "people.csv"], 2, "--mode"),
        (["keys", "roll", "--workspace", "x", "key_x", "--expires-in", "169"], 2, "whole number"),
    ],
)
async def test_a_mistake_is_reported_on_stderr(
    env: dict[str, str], arguments: list[str], status: int, says: str
) -> None:
    done = await msvs(*arguments, env=env)
    assert (done.status, done.out) == (status, "")
    assert says in done.err
    assert "Traceback" not in done.err
    assert await Workspace.all().count() == 0


@pytest.mark.parametrize(
    ("file", "arguments", "says"),
    [
        ("", ["sessions"], "MSVS_CARRIERS names no carrier that holds binds"),
        ("[us]\nkind = 'pigeon'\n", ["carriers"], "carrier us: kind must be one of"),
        ("[us", ["carriers"], "MSVS_CARRIERS"),
    ],
)
async def test_a_mistake_in_the_file_of_carriers_is_reported(
    env: dict[str, str], tmp_path: Path, file: str, arguments: list[str], says: str
) -> None:
    path = tmp_path / "carriers.toml"
    path.write_text(file)
    done = await msvs(*arguments, env=env | {"MSVS_CARRIERS": str(path), "REDIS_URL": "redis://127.0.0.1:1/0"})
    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert "Traceback" not in done.err


async def test_a_worker_without_redis_says_so_in_a_line(env: dict[str, str]) -> None:
    done = await msvs("worker", "messages", env=env | {"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert (done.status, done.out) == (1, "")
    assert "Redis cannot be used" in done.err
    assert "Traceback" not in done.err


async def test_an_api_that_can_keep_no_secret_says_so_in_a_line(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = await msvs("api", env=env | {"DATA_DIR": str(tmp_path / "file"), "REDIS_URL": "redis://127.0.0.1:1/0"})
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("msvs: DATA_DIR must be ")
    assert done.err.count("\n") == 1


async def test_lists_are_shown_as_text(env: dict[str, str]) -> None:
    await msvs("routes", "add", "virtual", "--region", "us", "--region", "br", env=env)
    listed = await msvs("routes", "list", env=env)
    assert "regions        BR, US\n" in listed.out


async def test_carriers_their_sessions_and_breakers(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "carriers.toml"
    path.write_text(
        "".join(f"[{name}]\nkind = 'file'\nbook = '{tmp_path}/{name}'\nrate = 5.0\n" for name in ("one", "two"))
    )
    now = datetime.now(UTC)
    await CarrierSession.create(
        name="one",
        address="127.0.0.1:1",
        token="x",
        bound=1,
        wanted=2,
        detail="a bind is refused",
        updated_at=now + timedelta(hours=1),
    )
    await CarrierState.create(name="two", state="open", failures=9, reason="throttled", updated_at=now)
    env = env | {"MSVS_CARRIERS": str(path)}
    command = "tests.workers.sessions_carrier"

    listed = await msvs("carriers", "--json", env=env, module=command)
    assert (listed.status, listed.err) == (0, "")
    with_sessions = {"kind": "file", "capability": "lookup", "rate": 5.0}
    assert json.loads(listed.out) == [
        {
            "name": "virtual",
            "kind": "virtual",
            "capability": "dedupe",
            "rate": None,
            "sessions": None,
            "breaker": "closed",
            "reason": None,
        },
        {"name": "one", **with_sessions, "sessions": "1 of 2 bound", "breaker": "closed", "reason": None},
        {"name": "two", **with_sessions, "sessions": "none held", "breaker": "open", "reason": "throttled"},
    ]
    text = (await msvs("carriers", env=env, module=command)).out
    assert "sessions       1 of 2 bound\n" in text

    found = [await msvs("carriers", "check", name, env=env, module=command) for name in ("virtual", "one", "two")]
    assert found == [
        Done(0, "name           virtual\ncheck          nothing is wrong\n", ""),
        Done(1, "", "msvs: one: a bind is refused\n"),
        Done(1, "", "msvs: two: no process holds its binds\n"),
    ]


async def test_inbound_messages_from_no_number(env: dict[str, str]) -> None:
    assert (await msvs("carriers", "unread", "--json", env=env)).out == "[]\n"
    async with unit_of_work():
        await keep_carrier_events(
            "main", [Inbound("in-1", "INFO", "12345", "STOP please"), Inbound("in-2", "4477", "1", "Hi")]
        )
    await collect_reports(SERVICES)
    listed = json.loads((await msvs("carriers", "unread", "--json", env=env)).out)
    assert [(row["carrier"], row["from"], row["to"], row["asks_out"], row["text"]) for row in listed] == [
        ("main", "4477", "1", False, "Hi"),
        ("main", "INFO", "12345", True, "STOP please"),
    ]
    assert len(json.loads((await msvs("carriers", "unread", "--limit", "1", "--json", env=env)).out)) == 1


def test_the_command_line_knows_every_scope() -> None:
    assert list(KEY_SCOPES) == sorted(Scope)


async def test_routes_and_senders(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "carriers.toml"
    path.write_text(f"[main]\nkind = 'file'\nbook = '{tmp_path}/main'\n")
    env = env | {"MSVS_CARRIERS": str(path)}
    workspace = await shown("workspace", "create", "--name", "Cohort Labs", env=env)
    here = ("--workspace", workspace["id"])

    async def told(*arguments: str) -> Any:
        done = await msvs(*arguments, "--json", env=env, module="tests.workers.sessions_carrier")
        assert (done.status, done.err) == (0, "")
        return json.loads(done.out)

    own = await told(
        "routes", "add", "main", *here, "--region", "us", "--sender-kind", "long_code", "--price", "0.0040"
    )
    shared = await told("routes", "add", "virtual", "--preference", "9")
    assert (own["regions"], own["sender_kind"], own["price"], own["workspace"]) == (
        ["US"],
        "long_code",
        "0.004",
        workspace["id"],
    )
    assert [row["id"] for row in await told("routes", "list", *here)] == [own["id"]]
    assert [(row["id"], row["preference"]) for row in await told("routes", "list")] == [(shared["id"], 9)]
    assert (await told("routes", "remove", shared["id"]))["removed"] is True
    assert await told("routes", "list") == []
    wrong = await msvs("routes", "add", "nobody", env=env, module="tests.workers.sessions_carrier")
    assert (wrong.status, wrong.err) == (1, "msvs: carrier must be one of main, virtual.\n")

    sender = await told("senders", "add", *here, "+12125550100", "--region", "US", "--registration", "C0HORT")
    assert (sender["value"], sender["kind"], sender["registration"]) == ("+12125550100", "long_code", "C0HORT")
    assert [row["id"] for row in await told("senders", "list", *here)] == [sender["id"]]
    other = ("--workspace", (await shown("workspace", "create", "--name", "Another", env=env))["id"])
    taken = await msvs("senders", "add", *other, "+12125550100", env=env)
    assert (taken.status, taken.err) == (1, "msvs: Another has this sender, or one that looks like it.\n")
    moved = await told("senders", "transfer", *other, "+12125550100")
    assert (moved["value"], moved["regions"], moved["registration"]) == ("+12125550100", ["US"], "C0HORT")
    assert await told("senders", "list", *here) == []
    assert (await told("senders", "remove", *other, "+12125550100"))["removed"] is True
    assert await told("senders", "list", *other) == []
    assert (await told("senders", "add", "--platform", "54321"))["kind"] == "short_code"
    assert [row["value"] for row in await told("senders", "list", "--platform")] == ["54321"]
    assert (await told("senders", "remove", "--platform", "54321"))["removed"] is True


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({}, 1, "start the service with `msvs run`, or set DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, 1, "the database cannot be used"),
        ({"PORT": "many"}, 2, "PORT must be a whole number"),
    ],
)
async def test_without_a_database_it_says_how_to_get_one(
    tmp_path: Path, changes: dict[str, str], status: int, says: str
) -> None:
    done = await msvs("migrate", env=environment(tmp_path, **changes))
    assert (done.status, done.out) == (status, "")
    assert says in done.err
    assert "Traceback" not in done.err


async def test_help_and_settings_need_nothing(tmp_path: Path) -> None:
    env = environment(tmp_path)
    asked = (["settings"], ["--help"], ["keys", "--help"], ["keys", "roll", "--help"], ["--version"])
    answers = await asyncio.gather(*(msvs(*arguments, env=env) for arguments in asked))
    assert [(done.status, done.err) for done in answers] == [(0, "")] * len(asked)
    assert "MSVS_PUBLIC_URL" in answers[0].out
    assert os.listdir(tmp_path) == []


LOG_IN = """
mutation ($email: String!, $password: String!) {
  logIn(email: $email, password: $password) { ... on Session { memberships { workspaceId role } } }
}
"""


def log_in(demo: dict[str, str]) -> list[dict[str, str]]:
    """Log in as the demo's owner; where they may work."""
    variables = {"email": demo["owner_email"], "password": demo["owner_password"]}
    request = urllib.request.Request(
        f"{demo['base_url']}/graphql",
        json.dumps({"query": LOG_IN, "variables": variables}).encode(),
        {"Content-Type": "application/json", "Origin": demo["base_url"]},
    )
    with urllib.request.urlopen(request) as answer:
        memberships: list[dict[str, str]] = json.load(answer)["data"]["logIn"]["memberships"]
    return memberships


@pytest.mark.processes
async def test_run_starts_everything_and_keeps_its_demo(tmp_path: Path) -> None:
    env = environment(tmp_path, PORT="0", MSVS_MESSAGE_WORKERS="1")
    kept = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "msvs", "run", env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        try:
            banner = await asyncio.wait_for(process.stdout.readuntil(b"Stop with Ctrl-C.\n"), 100)
            demo = json.loads((tmp_path / "demo.json").read_text())
            assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600
            assert demo["test_key"] in banner.decode()
            request = urllib.request.Request(
                f"{demo['base_url']}/v1/credits", headers={"Authorization": f"Bearer {demo['live_key']}"}
            )
            answer = await asyncio.to_thread(urllib.request.urlopen, request)
            with answer:
                assert json.load(answer)["balance"] == 10_000
            assert f"{demo['owner_email']}  {demo['owner_password']}" in banner.decode()
            assert await asyncio.to_thread(log_in, demo) == [{"workspaceId": demo["workspace_id"], "role": "OWNER"}]
            balance = await shown("credits", "balance", "--workspace", demo["workspace_id"], env=env)
            assert balance["balance"] == 10_000
            kept.append({**demo, "base_url": None})
        finally:
            process.send_signal(signal.SIGTERM)
            await process.communicate()
        assert process.returncode == 0
    assert kept[0] == kept[1]
    assert (kept[0]["name"], parse_key(kept[0]["live_key"])) == ("Cohort Labs (demo)", True)


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    """No command is loaded to be listed: its group and it read their help from one place."""
    ctx = click.Context(cli.msvs)
    for name, place in cli.COMMANDS.items():
        command = cli.msvs.get_command(ctx, name)
        assert command is not None
        assert (command.name, command.help) == (name, place.help)


async def test_listing_commands_loads_none(tmp_path: Path) -> None:
    code = (
        "import sys; from msvs.cli import main; main(['--help']); print(sorted(m for m in sys.modules if 'msvs.' in m))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment(tmp_path), stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    loaded = out.decode().splitlines()[-1]
    assert not any(f"msvs.{each}" in loaded for each in ("api", "models", "graphql", "cli.keys", "cli.consent"))


async def test_a_command_of_an_earlier_release_is_known_by_its_old_name(tmp_path: Path) -> None:
    old, new = await asyncio.gather(
        *(msvs(name, "--help", env=environment(tmp_path)) for name in ("sessions", "binds"))
    )
    assert (old.status, new.status) == (0, 0)
    assert "Hold the binds" in old.out
    assert "Hold the binds" in new.out


@pytest.mark.parametrize(
    "arguments",
    [["senders", "list"], ["senders", "list", "--platform", "--workspace", "wsp_1"]],
)
async def test_an_owner_is_one_of_two(tmp_path: Path, arguments: list[str]) -> None:
    done = await msvs(*arguments, env=environment(tmp_path))
    assert (done.status, done.out) == (2, "")
    assert done.err.endswith("msvs: Give either --workspace or --platform.\n")
