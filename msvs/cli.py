"""The `msvs` command."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO, TypeVar
from urllib.parse import urlsplit

from msvs.local.embedded import EmbeddedEngines, EnginesError
from msvs.models import rows
from msvs.settings import Settings, SettingsError, from_environment, version

if TYPE_CHECKING:
    from uuid import UUID

    from msvs.api.consent.consent_audit import Undone
    from msvs.api.consent.consent_chain import VerifiedChain
    from msvs.api.context import Context, Services
    from msvs.carriers.protocol import Carrier
    from msvs.database import Row
    from msvs.models import ApiKey, CarrierState, Route

# The other modules are imported by the commands that need them: `msvs --help` must not wait for all of them.

T = TypeVar("T")

OK, FAILED, USAGE = 0, 1, 2

DEMO_NAME = "Cohort Labs (demo)"
DEMO_CREDITS = 10_000
DEMO_FILE = "demo.json"
CONNECT_SECONDS = 1.0
QUEUES = ("messages", "campaigns", "reports", "webhooks", "maintenance")
SENDER_KINDS = ("long_code", "toll_free", "short_code", "alphanumeric")
KEY_SCOPES = ("contacts:erase", "contacts:write", "messages:send", "settings:write", "webhooks:write")
MODES = ("test", "live")


# Command → signals that managers of processes send to have a file read again or a log opened anew: there is neither.
# `msvs run` ends by SIGHUP, with its terminal.
_reloads = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
IGNORED: Mapping[str, Sequence[signal.Signals]] = {
    "run": (signal.SIGUSR1, signal.SIGUSR2),
    **dict.fromkeys(("serve_api", "work", "run_cron", "hold_sessions", "run_engines"), _reloads),
}


class CommandFailed(Exception):
    """A command cannot do what it was asked; the message says why and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0 done, 1 failed, 2 not understood."""
    arguments = _parser().parse_args(argv)
    try:
        settings = from_environment()
        command: Callable[[Settings, argparse.Namespace], int | None] = arguments.command
        for number in IGNORED.get(command.__name__, ()):
            signal.signal(number, signal.SIG_IGN)
        status = command(settings, arguments) or OK
        _require_database()
        return status
    except SettingsError as error:
        return _fail(str(error), USAGE)
    except (CommandFailed, EnginesError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; Python must not complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _require_database() -> None:
    """Raise SettingsError where a process ended because its database must not be used as it was reached."""
    connections = sys.modules.get("msvs.connections")
    if connections is not None and (refusal := connections.refusal()):
        raise SettingsError(refusal)


def _fail(message: str, status: int = FAILED) -> int:
    print(f"msvs: {message}", file=sys.stderr)
    return status


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="msvs",
        description="MassiveSMS: an SMS platform with a REST API, a GraphQL API and RQ workers.",
        epilog="Settings are read from the environment; `msvs settings` lists them. Exit status: 0 done, 1 failed, "
        "2 not understood.",
    )
    parser.add_argument("--version", action="version", version=f"msvs {version()}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: Callable[[Settings, argparse.Namespace], int | None], help: str) -> _Parser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(command=command)
        return made

    def group(name: str, help: str) -> _Group:
        made = commands.add_parser(name, help=help, description=help)
        return made.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add("run", run, "Run the whole service here: engines, API, workers and cron.")
    add("api", serve_api, "Serve the API.")
    worker = add("worker", work, "Work on one queue.")
    worker.add_argument("queue", choices=QUEUES, metavar="QUEUE", help=f"one of: {', '.join(QUEUES)}")
    worker.add_argument("--burst", action="store_true", help="stop when the queue is empty")
    add("cron", run_cron, "Notify workers of what is due and keep house; run one of it.")
    add("sessions", hold_sessions, "Hold the sessions of the carriers that have any; a second one stands by.")
    add("engines", run_engines, "Run the embedded engines alone, to restore a backup into them.")
    add("migrate", migrate, "Bring the database's schema up to date.")
    held = add("hold", hold, "After a restore: pause live campaigns, and cancel live single messages that are due.")
    held.add_argument("--json", action="store_true", help="print JSON")
    schema = add("schema", print_schema, "Print the GraphQL schema, or openapi.yaml.")
    schema.add_argument("--openapi", action="store_true", help="print openapi.yaml")
    add("settings", print_settings, "List the environment variables that set the service up.")

    carriers = add("carriers", list_carriers, "List the carriers, their sessions and their circuit breakers.")
    carriers.add_argument("--json", action="store_true", help="print JSON")
    carrier_commands = carriers.add_subparsers(title="commands", metavar="COMMAND")
    check = _sub(carrier_commands, "check", check_carrier, "Say what is wrong with a carrier; nothing is sent.")
    check.add_argument("name", metavar="NAME", help="the carrier's name in the file of carriers")
    unread = _sub(
        carrier_commands, "unread", list_unread, "List inbound messages whose senders are no numbers that can be read."
    )
    unread.add_argument("--limit", type=int, default=100, metavar="N", help="of the newest, so many (default 100)")

    routes = group("routes", "Which carrier takes which live messages.")
    route = _sub(routes, "add", add_route, "Let messages take a carrier.")
    route.add_argument("carrier", metavar="CARRIER", help="the carrier's name in the file of carriers")
    _add_workspace(route, required=False, more="; without it, every workspace that has no route of its own")
    route.add_argument("--region", action="append", default=[], metavar="CODE", help="only to this region; repeatable")
    route.add_argument("--sender", metavar="SENDER", help="only from this sender")
    route.add_argument("--sender-kind", choices=SENDER_KINDS, help="only from senders of this kind")
    route.add_argument("--preference", type=int, default=100, metavar="N", help="the lowest goes first (default 100)")
    route.add_argument("--price", type=Decimal, metavar="P", help="a segment; between equals the lowest goes first")
    listed = _sub(routes, "list", list_routes, "List routes in the order in which they are tried.")
    _add_workspace(listed, required=False, more="; without it, the shared ones")
    removed = _sub(routes, "remove", remove_route, "Take a route away.")
    removed.add_argument("route", metavar="ROUTE_ID", help="the route's id, rte_…")

    senders = group("senders", "Senders that workspaces may use live.")
    sender = _sub(senders, "add", add_sender, "Let a workspace use a sender, or change what is known of it.")
    _add_owner(sender)
    sender.add_argument(
        "sender", metavar="SENDER", help="a phone in E.164, a short code, or up to 11 letters and digits"
    )
    sender.add_argument("--region", action="append", default=[], metavar="CODE", help="only to this region; repeatable")
    sender.add_argument(
        "--registration", metavar="TEXT", help="its 10DLC campaign, verification or sender id registration"
    )
    sender.add_argument("--shared", action="store_true", help="although another has it, or one that looks like it")
    _add_owner(_sub(senders, "list", list_senders, "List the senders of a workspace, or the platform's."))
    removed = _sub(senders, "remove", remove_sender, "Take a sender away; what waits to be sent from it is not sent.")
    _add_owner(removed)
    removed.add_argument("sender", metavar="SENDER")
    moved = _sub(senders, "transfer", transfer_sender, "Make a sender one workspace's; whoever had it loses it.")
    _add_workspace(moved, more=", which is to have it")
    moved.add_argument("sender", metavar="SENDER")

    workspaces = group("workspaces", "All workspaces, for who runs the service.")
    _sub(workspaces, "list", list_workspaces, "List the workspaces.")
    for name, command, help in (
        ("suspend", suspend_workspace, "Have a workspace send nothing, and refuse its keys and users."),
        ("resume", resume_workspace, "Let a suspended workspace go on where it stopped."),
    ):
        _sub(workspaces, name, command, help).add_argument("workspace", metavar="WSP_ID", help="its id, wsp_…")
    workspaces = group("workspace", "Workspaces.")
    create = _sub(workspaces, "create", create_workspace, "Make a workspace with a test key and a live key.")
    create.add_argument("--name", required=True, metavar="NAME")
    create.add_argument("--credits", type=_credits_from_0, default=0, metavar="N", help="opening balance (default 0)")

    users = group("users", "People who log in.")
    _sub(users, "list", list_users, "List the users.")
    create = _sub(users, "create", create_user, "Make a user; the password is made and shown this once.")
    _add_workspace(create)
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--name", required=True, metavar="NAME")
    create.add_argument(
        "--role", choices=("owner", "admin", "member", "read_only"), default="owner", help="(default owner)"
    )
    reset = _sub(users, "reset", reset_user, "Give a user a new password, shown this once, and end their sessions.")
    reset.add_argument("email", metavar="EMAIL")

    keys = group("keys", "API keys of a workspace.")
    create = _sub(keys, "create", create_key, "Make a key; it is shown this once.")
    _add_workspace(create)
    create.add_argument("--mode", choices=MODES, required=True)
    create.add_argument("--name", default="", metavar="NAME", help="what the key is for")
    create.add_argument(
        "--scope",
        action="append",
        choices=KEY_SCOPES,
        metavar="SCOPE",
        help=f"what it may change; repeatable, without it all of: {', '.join(KEY_SCOPES)}",
    )
    listed = _sub(keys, "list", list_keys, "List keys, without their secrets.")
    _add_workspace(listed)
    listed.add_argument("--mode", choices=MODES, help="only keys of this mode")
    roll = _sub(keys, "roll", roll_key, "Make a new key in place of another, which expires after a while.")
    _add_workspace(roll)
    roll.add_argument("key", metavar="KEY_ID", help="the key's id, key_…")
    roll.add_argument(
        "--expires-in", type=_hours, default=timedelta(hours=24), metavar="HOURS", help="0 to 168 (default 24)"
    )
    revoke = _sub(keys, "revoke", revoke_key, "End a key at once.")
    _add_workspace(revoke)
    revoke.add_argument("key", metavar="KEY_ID", help="the key's id, key_…")

    consent = group("consent", "The chain of consent, and what the law lets a person ask for.")
    verify = _sub(consent, "verify", verify_consent, "Compute the chain of consent anew; 1 where anything was changed.")
    _add_workspace(verify, required=False, more="; without it, all of them")
    verify.add_argument("--since-head", metavar="HASH", help="a head noted before, which must still be in a chain")
    listing = "List opt-ins that undid an opt-out on nothing newer than it; 1 where any is left."
    audited = _sub(consent, "audit", audit_consent, listing)
    _add_workspace(audited, required=False, more="; without it, all of them")
    audited.add_argument("--repair", action="store_true", help="opt those phones out again")
    exported = consent.add_parser("export", help="Print all that is kept about a contact, as JSON.")
    exported.set_defaults(command=export_contact)
    _add_workspace(exported)
    exported.add_argument("contact", metavar="CONTACT_ID", help="the contact's id, con_…")
    erased = _sub(consent, "erase", erase_contact, "Erase a contact, or whoever had a phone; it cannot be undone.")
    _add_workspace(erased)
    erased.add_argument("who", metavar="CONTACT_ID|PHONE", help="the contact's id, con_…, or a phone in E.164")
    erased.add_argument("--mode", choices=MODES, default="live", help="of which a phone is erased (default live)")

    secrets = group("secrets", "MSVS_SECRET_KEY: which keys open the database, and rotation.")
    rotated = _sub(secrets, "rotate", rotate_secrets, "Put MSVS_SECRET_KEY in the place of MSVS_SECRET_KEYS_PREVIOUS.")
    rotated.add_argument(
        "--expires-in",
        type=_hours,
        default=timedelta(hours=24),
        metavar="HOURS",
        help="how long processes may still start with the previous key, 0 to 168 (default 24)",
    )
    _sub(secrets, "list", list_secrets, "List the keys that the database knows, by their fingerprints.")
    _sub(secrets, "adopt", adopt_secret, "Take MSVS_SECRET_KEY for that of a database that knows none, unproven.")

    suppressions = group("suppressions", "Phones that nothing is sent to.")
    imported = _sub(
        suppressions, "import", import_suppressions, "Suppress the phones of a CSV file; 1 where a row cannot be read."
    )
    _add_workspace(imported)
    imported.add_argument(
        "file", metavar="FILE", help="a table with a header, or one column of phones; may be gzipped; - reads"
    )
    imported.add_argument("--mode", choices=MODES, required=True)
    imported.add_argument("--source", default="import", metavar="TEXT", help="why, where a row does not say")
    imported.add_argument(
        "--region",
        type=str.upper,
        metavar="CODE",
        help="country of numbers without a country code, such as US, where the row names none",
    )
    imported.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="column of phones, by its name or its number from 1; may be repeated (default: the one that is known)",
    )
    imported.add_argument("--encoding", metavar="NAME", help="encoding of the file (default: found by its contents)")
    exported = suppressions.add_parser("export", help="Write all suppressions into a CSV file.")
    exported.set_defaults(command=export_suppressions)
    _add_workspace(exported)
    exported.add_argument("file", metavar="FILE", help="a file that is not there yet; - prints")
    exported.add_argument("--mode", choices=MODES, required=True)

    credits = group("credits", "Credits of a workspace.")
    grant = _sub(credits, "grant", grant_credits, "Add credits.")
    _add_workspace(grant)
    grant.add_argument("amount", type=_credits_from_1, metavar="N")
    grant.add_argument("--note", default="", metavar="TEXT", help="why, for the ledger")
    grant.add_argument("--reference", metavar="TEXT", help="the same reference grants only once")
    _add_workspace(_sub(credits, "balance", show_balance, "Show the balance."))
    return parser


if TYPE_CHECKING:
    _Parser = argparse.ArgumentParser
    _Group = argparse._SubParsersAction[argparse.ArgumentParser]


def _sub(group: _Group, name: str, command: Callable[[Settings, argparse.Namespace], int | None], help: str) -> _Parser:
    made = group.add_parser(name, help=help, description=help)
    made.set_defaults(command=command)
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def _add_workspace(parser: _Parser, *, required: bool = True, more: str = "") -> None:
    parser.add_argument("--workspace", required=required, metavar="WSP_ID", help=f"the workspace's id, wsp_…{more}")


def _add_owner(parser: _Parser) -> None:
    owner = parser.add_mutually_exclusive_group(required=True)
    owner.add_argument("--workspace", metavar="WSP_ID", help="the workspace's id, wsp_…")
    owner.add_argument("--platform", action="store_true", help="the platform's own, for every workspace to use")


def _credits_from_0(text: str) -> int:
    return _whole(text, 0, 10**12)


def _credits_from_1(text: str) -> int:
    return _whole(text, 1, 10**12)


def _hours(text: str) -> timedelta:
    return timedelta(hours=_whole(text, 0, 168))


def _whole(text: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise argparse.ArgumentTypeError(f"not a whole number from {low} to {high}: {text!r}")
    return int(text)


# The processes of the service


def run(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Run the whole service until a signal ends it."""
    from msvs.local import supervisor

    settings.require_secret_key()
    return supervisor.run(settings, prepare=prepare)


def prepare(settings: Settings) -> list[str]:
    """Bring the database up to date, and in development make the demo workspace; the lines that say where all is."""
    assert settings.database_url is not None
    _migrate(settings, settings.database_url, is_service=True)
    repaired = _repair_what_is_due(settings)
    settings.metrics_secret()  # there from the start, for who sets up a scraper
    steps = _first_steps(settings)
    return [*repaired, "", "MassiveSMS is running.", "", *_addresses(settings), *steps, "", "Stop with Ctrl-C."]


def _addresses(settings: Settings) -> list[str]:
    base = settings.base_url
    # In production what is printed ends in a log.
    password = settings.operator_secret()
    shown = "MSVS_OPERATOR_PASSWORD, or operator.key in DATA_DIR" if settings.is_production else password
    return [
        f"  REST API        {base}/v1   ({base}/openapi.yaml)",
        f"  GraphQL         {base}/graphql",
        f"  Documentation   {base}/docs/",
        f"  Handset         {base}/handset   (the sandbox's phones)",
        f"  Operators       {base}/ops   (password: {shown})",
        f"  Readiness       {base}/readyz",
        "",
    ]


def _first_steps(settings: Settings) -> list[str]:
    """What to do first: in production no workspace is there until an operator makes it, and no key."""
    if settings.is_production:
        return ["  Make a workspace with `msvs workspace create --name NAME`, and its owner with `msvs users create`."]
    path = settings.data_dir / DEMO_FILE
    demo = _read_demo(path)
    if demo is None or not _in_database(settings, _workspace_known(demo["workspace_id"])):
        demo = _in_database(settings, _make_demo())
    demo |= {"base_url": settings.base_url, "operator_password": settings.operator_secret()}
    _write_private(path, json.dumps(demo, indent=2) + "\n")
    return [
        f"  Workspace       {demo['name']}  {demo['workspace_id']}",
        f"  Sandbox key     {demo['test_key']}",
        f"  Live key        {demo['live_key']}",
        f"  Also kept in    {path}",
        "",
        "  Send a message in the sandbox:",
        f'    curl {settings.base_url}/v1/messages -H "Authorization: Bearer {demo["test_key"]}" \\',
        '      -H \'Content-Type: application/json\' -d \'{"to": "+14155550123", "body": "Doors open at 8pm ET."}\'',
    ]


def _read_demo(path: Path) -> dict[str, str] | None:
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    wanted = {"workspace_id", "name", "test_key", "live_key"}
    return found if isinstance(found, dict) and wanted <= found.keys() else None


async def _workspace_known(text: str) -> bool:
    from msvs.api.accounts.workspaces import find_workspace
    from msvs.api.errors import NotFound

    try:
        await find_workspace(text)
    except NotFound:
        return False
    return True


async def _make_demo() -> dict[str, str]:
    made = await _new_workspace(DEMO_NAME, DEMO_CREDITS)
    return {"workspace_id": made.pop("id"), **made}


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def serve_api(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Serve the API until a signal ends it."""
    from msvs import app

    app.serve(_with_engines(settings))


def work(settings: Settings, arguments: argparse.Namespace) -> int:
    """Work on one queue until a signal ends it."""
    from msvs import logs
    from msvs.workers import worker

    settings = _with_engines(settings)
    logs.set_up(settings)
    logs.tell_start(settings, f"worker {arguments.queue}")
    return worker.work(settings, arguments.queue, burst=arguments.burst)


def run_cron(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Notify workers of what is due until a signal ends it."""
    from msvs import logs
    from msvs.workers import cron

    settings = _with_engines(settings)
    logs.set_up(settings)
    logs.tell_start(settings, "cron")
    return cron.run(settings)


def hold_sessions(settings: Settings, _arguments: argparse.Namespace) -> int:
    """Hold carriers' sessions, or stand by for them, until a signal ends it."""
    from msvs import logs
    from msvs.workers import carrier_binds

    settings = _with_engines(settings)
    logs.set_up(settings)
    logs.tell_start(settings, "sessions")
    return carrier_binds.run(settings)


def run_engines(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Run PostgreSQL and Valkey on DATA_DIR, and nothing that uses them, until a signal ends them."""
    engines = EmbeddedEngines(settings.data_dir).start()
    try:
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        print(f"PostgreSQL and Valkey run on {settings.data_dir}. Stop with Ctrl-C.", flush=True)
        signal.sigwait(ends)
    finally:
        engines.stop()


# One-off commands


def migrate(settings: Settings, _arguments: argparse.Namespace) -> None:
    """Bring the schema up to date and say what was applied."""
    url = _with_engines(settings, redis=False).database_url
    assert url is not None
    applied = _migrate(settings, url)
    print("\n".join(f"Applied {name}." for name in applied) or "The schema is up to date.")
    for line in _repair_what_is_due(replace(settings, database_url=url)):
        print(line)


def _repair_what_is_due(settings: Settings) -> list[str]:
    """Make the repairs that migrations asked for; the lines that say what became of them."""
    from msvs.api.consent import consent_audit

    if not _in_database(settings, consent_audit.is_due()):
        return []
    _require_secret(settings)
    return [_told_repair(_repairing(lambda: _in_database(settings, consent_audit.repair_due(_services()))))]


def _migrate(settings: Settings, url: str, *, is_service: bool = False) -> list[str]:
    """Bring the schema up to date, and return the names of the migrations applied. Raises SettingsError.

    A wrong secret key changes nothing. Only the service makes the key of a new database where none is set.
    """

    async def migrated() -> list[str]:
        from msvs import database
        from msvs.api.accounts import secret_keys

        async with database.connected(url, pool_size=1):
            if await secret_keys.is_settled():
                await secret_keys.unlock(_services().keyring, settings)
        applied = await database.migrate(url)
        async with database.connected(url, pool_size=1):
            await _unlock(settings, is_service=is_service)
        return applied

    return _reaching_database(migrated())


async def _unlock(settings: Settings, *, is_service: bool = False) -> None:
    """Hold the secret key against the connected database; where neither has one yet, there is nothing to hold."""
    from msvs.api.accounts import secret_keys

    if is_service or settings.known_secrets() or await secret_keys.is_settled():
        await secret_keys.unlock(_services().keyring, settings)


def rotate_secrets(settings: Settings, arguments: argparse.Namespace) -> None:
    """Put MSVS_SECRET_KEY in the place of the key before."""

    async def rotate() -> dict[str, object]:
        from msvs.api.accounts import secret_keys

        done = await secret_keys.rotate(settings, overlap=arguments.expires_in)
        until = done.previous_until and done.previous_until.isoformat()
        return {"key": done.key, "previous": list(done.previous) or None, "previous_until": until}

    _require_secret(settings)
    _show(arguments, _in_database(settings, rotate()))


def list_secrets(settings: Settings, arguments: argparse.Namespace) -> None:
    """List the secret keys that the database knows."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.accounts import secret_keys

        return await secret_keys.list_keys(_services().keyring)

    _show(arguments, _in_database(settings, list_()))


def adopt_secret(settings: Settings, arguments: argparse.Namespace) -> None:
    """Take the key for that of a database that cannot prove it."""

    async def adopt() -> list[dict[str, object]]:
        from msvs.api.accounts import secret_keys

        return await secret_keys.adopt(_services().keyring, settings)

    _require_secret(settings)
    _show(arguments, _in_database(settings, adopt(), unlocks=False))


def hold(settings: Settings, arguments: argparse.Namespace) -> None:
    """Hold back what would go out and say how much it was."""

    async def hold_() -> dict[str, object]:
        from msvs.api.campaigns import holding

        return asdict(await holding.hold_everything(_services()))

    _show(arguments, _in_database(settings, hold_()))


def print_schema(_settings: Settings, arguments: argparse.Namespace) -> None:
    """Print the GraphQL schema or openapi.yaml."""
    if arguments.openapi:
        print(import_module("msvs.rest_compat.openapi").yaml(), end="")
    else:
        print(import_module("msvs.graphql.schema").schema.as_str())


def print_settings(_settings: Settings, _arguments: argparse.Namespace) -> None:
    """List the environment variables."""
    lines = (from_environment.__doc__ or "").splitlines()[2:]
    print("\n".join(line.removeprefix("    ") for line in lines).strip())


def list_carriers(settings: Settings, arguments: argparse.Namespace) -> None:
    """List the carriers that are configured."""
    from msvs.carriers.registry import make_carriers

    carriers = make_carriers(settings)

    async def list_() -> list[dict[str, object]]:
        from msvs.carriers.remote import find_owner
        from msvs.models import CarrierState

        breakers = {row.name: row for row in await CarrierState.all()}
        owners = {name: await find_owner(name) for name, each in carriers.items() if each.holds_sessions}
        return [_shape_carrier(each, owners, breakers.get(name)) for name, each in carriers.items()]

    _show(arguments, _in_database(settings, list_()))


def list_unread(settings: Settings, arguments: argparse.Namespace) -> None:
    """List inbound messages that nobody was found for, as what they came from is no number."""
    from msvs.api.inbound import carrier_events
    from msvs.api.resources import moment

    async def list_() -> list[dict[str, object]]:
        return [
            {
                "id": str(row.id),
                "carrier": row.carrier,
                "received_at": moment(row.received_at),
                "from": row.from_phone,
                "to": row.to_sender,
                "asks_out": carrier_events.asks_out([row]),
                "text": row.text,
            }
            for row in await carrier_events.list_unread(limit=max(arguments.limit, 0))
        ]

    _show(arguments, _in_database(settings, list_()))


def _shape_carrier(
    carrier: Carrier, owners: Mapping[str, Row | None], breaker: CarrierState | None
) -> dict[str, object]:
    sessions = None
    if carrier.name in owners:
        owner = owners[carrier.name]
        sessions = "none held" if owner is None else f"{owner.bound} of {owner.wanted} bound"
    return {
        "name": carrier.name,
        "kind": carrier.kind,
        "capability": carrier.capability.value,
        "rate": carrier.rate,
        "sessions": sessions,
        "breaker": breaker.state if breaker else "closed",
        "reason": breaker and breaker.reason,
    }


def check_carrier(settings: Settings, arguments: argparse.Namespace) -> None:
    """Say that nothing is wrong with a carrier. Raises CommandFailed with what is."""
    from msvs.carriers.registry import make_carriers

    carriers = make_carriers(settings, owns_sessions=False)
    if arguments.name not in carriers:
        raise CommandFailed(f"no such carrier: {arguments.name}; there are {', '.join(carriers)}")
    carrier = carriers[arguments.name]

    async def check() -> str | None:
        try:
            return await carrier.check()
        finally:
            await carrier.close()

    wrong = _in_database(settings, check())
    if wrong is not None:
        raise CommandFailed(f"{carrier.name}: {wrong}")
    _show(arguments, {"name": carrier.name, "check": "nothing is wrong"})


def add_route(settings: Settings, arguments: argparse.Namespace) -> None:
    """Add a route."""
    from msvs.api.context import CarrierNames
    from msvs.api.dispatch import routes
    from msvs.carriers.registry import make_carriers
    from msvs.models import SenderKind

    carriers = make_carriers(settings, owns_sessions=False)
    services = replace(_services(), carriers=CarrierNames(frozenset(carriers)))
    kind = None if arguments.sender_kind is None else SenderKind(arguments.sender_kind)

    async def add() -> dict[str, object]:
        row = await routes.add_route(
            services,
            arguments.carrier,
            workspace_id=None if arguments.workspace is None else await _workspace(arguments),
            regions=arguments.region,
            sender=arguments.sender,
            sender_kind=kind,
            preference=arguments.preference,
            price=arguments.price,
        )
        return _shape_route(row)

    _show(arguments, _in_database(settings, add()))


def list_routes(settings: Settings, arguments: argparse.Namespace) -> None:
    """List the routes of a workspace, or those that are shared."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.dispatch import routes

        workspace_id = None if arguments.workspace is None else await _workspace(arguments)
        return [_shape_route(row) for row in await routes.list_routes(workspace_id)]

    _show(arguments, _in_database(settings, list_()))


def remove_route(settings: Settings, arguments: argparse.Namespace) -> None:
    """Remove a route."""

    async def remove() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.dispatch import routes

        await routes.remove_route(ids.find_id(ids.ROUTE, arguments.route, "route"))
        return {"id": arguments.route, "removed": True}

    _show(arguments, _in_database(settings, remove()))


def _shape_route(row: Route) -> dict[str, object]:
    from msvs.api import ids

    return {
        "id": ids.encode_id(ids.ROUTE, row.id),
        "workspace": None if row.workspace_id is None else ids.encode_id(ids.WORKSPACE, row.workspace_id),
        "carrier": row.carrier,
        "regions": row.regions or None,
        "sender": row.sender,
        "sender_kind": row.sender_kind and row.sender_kind.value,
        "preference": row.preference,
        "price": None if row.price is None else str(row.price.normalize()),
    }


def add_sender(settings: Settings, arguments: argparse.Namespace) -> None:
    """Let a workspace use a sender."""

    async def add() -> dict[str, object]:
        from msvs.api.dispatch import senders

        row = await senders.add_sender(
            _services(),
            await _owner(arguments),
            arguments.sender,
            regions=arguments.region,
            registration=arguments.registration,
            is_shared=arguments.shared,
        )
        return _shape_sender(row)

    _show(arguments, _in_database(settings, add()))


def list_senders(settings: Settings, arguments: argparse.Namespace) -> None:
    """List the senders of a workspace."""

    async def list_() -> list[dict[str, object]]:
        from msvs.models import Sender

        return [_shape_sender(row) for row in await Sender.filter(workspace_id=await _owner(arguments)).order_by("id")]

    _show(arguments, _in_database(settings, list_()))


def remove_sender(settings: Settings, arguments: argparse.Namespace) -> None:
    """Take a sender from a workspace."""

    async def remove() -> dict[str, object]:
        from msvs.api.dispatch import senders

        await senders.remove_sender(_services(), await _owner(arguments), arguments.sender)
        return {"sender": arguments.sender, "removed": True}

    _show(arguments, _in_database(settings, remove()))


def transfer_sender(settings: Settings, arguments: argparse.Namespace) -> None:
    """Make a sender one workspace's alone."""

    async def transfer() -> dict[str, object]:
        from msvs.api.dispatch import senders

        return _shape_sender(await senders.transfer_sender(_services(), await _workspace(arguments), arguments.sender))

    _show(arguments, _in_database(settings, transfer()))


def _shape_sender(row: rows.SenderRow) -> dict[str, object]:
    import msgspec

    from msvs.api.resources import sender_resource

    shape: dict[str, object] = msgspec.to_builtins(sender_resource(row))
    return shape


def create_workspace(settings: Settings, arguments: argparse.Namespace) -> None:
    """Make a workspace with one key of each mode."""
    _show(arguments, _in_database(settings, _new_workspace(arguments.name, arguments.credits)))


async def _new_workspace(name: str, credits: int) -> dict[str, str]:
    from msvs.api import ids
    from msvs.api.accounts import workspaces
    from msvs.api.unit_of_work import unit_of_work

    async with unit_of_work():
        row, test_key, live_key = await workspaces.create_workspace(name, credits=credits)
    return {
        "id": ids.encode_id(ids.WORKSPACE, row.id),
        "name": row.name,
        "test_key": test_key,
        "live_key": live_key,
    }


def list_workspaces(settings: Settings, arguments: argparse.Namespace) -> None:
    """List the workspaces."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api import ids
        from msvs.api.accounts import workspaces
        from msvs.api.resources import moment, optional_moment

        return [
            {
                "id": ids.encode_id(ids.WORKSPACE, row.id),
                "name": row.name,
                "balance": row.balance,
                "users": row.users,
                "created_at": moment(row.created_at),
                "suspended_at": optional_moment(row.suspended_at),
            }
            for row in await workspaces.list_workspaces()
        ]

    _show(arguments, _in_database(settings, list_()))


def suspend_workspace(settings: Settings, arguments: argparse.Namespace) -> None:
    """Suspend a workspace."""
    from msvs.api.accounts import workspaces

    _suspend(settings, arguments, workspaces.suspend_workspace, is_suspended=True)


def resume_workspace(settings: Settings, arguments: argparse.Namespace) -> None:
    """Resume a workspace."""
    from msvs.api.accounts import workspaces

    _suspend(settings, arguments, workspaces.resume_workspace, is_suspended=False)


def _suspend(
    settings: Settings,
    arguments: argparse.Namespace,
    change: Callable[[Services, UUID], Coroutine[object, object, bool]],
    *,
    is_suspended: bool,
) -> None:
    async def changed() -> dict[str, object]:
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await _workspace(arguments)
        async with unit_of_work():
            is_new = await change(_services(), workspace_id)
        return {"id": arguments.workspace, "suspended": is_suspended, "changed": is_new}

    _show(arguments, _in_database(settings, changed()))


def list_users(settings: Settings, arguments: argparse.Namespace) -> None:
    """List the users."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api import ids
        from msvs.api.accounts import users
        from msvs.api.resources import moment

        return [
            {
                "id": ids.encode_id(ids.USER, row.id),
                "email": row.email,
                "name": row.name,
                "created_at": moment(row.created_at),
                "workspaces": [ids.encode_id(ids.WORKSPACE, each) for each in row.workspaces or ()],
            }
            for row in await users.list_users()
        ]

    _show(arguments, _in_database(settings, list_()))


def create_user(settings: Settings, arguments: argparse.Namespace) -> None:
    """Make a user with a password."""

    async def create() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.accounts import users
        from msvs.api.unit_of_work import unit_of_work
        from msvs.models import Role

        password = secrets.token_urlsafe(18)
        workspace_id = await _workspace(arguments)
        async with unit_of_work():
            id = await users.create_user(
                _services(),
                email=arguments.email,
                name=arguments.name,
                password=password,
                workspace_id=workspace_id,
                role=Role(arguments.role),
            )
        return {"id": ids.encode_id(ids.USER, id), "email": arguments.email, "password": password}

    _show(arguments, _in_database(settings, create()))


def reset_user(settings: Settings, arguments: argparse.Namespace) -> None:
    """Give a user a new password."""

    async def reset() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.accounts import users
        from msvs.api.unit_of_work import unit_of_work

        password = secrets.token_urlsafe(18)
        async with unit_of_work():
            id = await users.reset_password(_services(), arguments.email, password)
        return {"id": ids.encode_id(ids.USER, id), "email": arguments.email, "password": password}

    _show(arguments, _in_database(settings, reset()))


def create_key(settings: Settings, arguments: argparse.Namespace) -> None:
    """Make a key."""

    async def create() -> dict[str, object]:
        from msvs.api.accounts import keys
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await _workspace(arguments)
        async with unit_of_work():
            row, text = await keys.create_key(
                workspace_id, livemode=arguments.mode == "live", name=arguments.name, scopes=arguments.scope
            )
        return _shape_key(row, text)

    _show(arguments, _in_database(settings, create()))


def list_keys(settings: Settings, arguments: argparse.Namespace) -> None:
    """List keys."""

    async def list_() -> list[dict[str, object]]:
        from msvs.api.accounts import keys

        contexts = _contexts(_services(), await _workspace(arguments), arguments.mode)
        return [_shape_key(row) for ctx in contexts for row in await keys.list_keys(ctx)]

    _show(arguments, _in_database(settings, list_()))


def roll_key(settings: Settings, arguments: argparse.Namespace) -> None:
    """Make a key in place of another."""

    async def roll() -> dict[str, object]:
        from msvs.api.accounts import keys
        from msvs.api.unit_of_work import unit_of_work

        ctx, id = await _find_key(_services(), arguments)
        async with unit_of_work():
            row, text = await keys.roll_key(ctx, id, expires_in=arguments.expires_in)
        return _shape_key(row, text)

    _show(arguments, _in_database(settings, roll()))


def revoke_key(settings: Settings, arguments: argparse.Namespace) -> None:
    """End a key."""

    async def revoke() -> dict[str, object]:
        from msvs.api.accounts import keys
        from msvs.api.unit_of_work import unit_of_work

        ctx, id = await _find_key(_services(), arguments)
        async with unit_of_work():
            return _shape_key(await keys.revoke_key(ctx, id))

    _show(arguments, _in_database(settings, revoke()))


def grant_credits(settings: Settings, arguments: argparse.Namespace) -> None:
    """Add credits and show the balance."""

    async def grant() -> dict[str, object]:
        from msvs.api import ids
        from msvs.api.credits import credits
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await _workspace(arguments)
        reference = arguments.reference or f"cli:{ids.encode_id(ids.REQUEST, ids.new_id())}"
        async with unit_of_work():
            granted = await credits.grant_credits(
                workspace_id, arguments.amount, reference=reference, note=arguments.note
            )
        balance = await credits.available(workspace_id)
        return {"workspace": arguments.workspace, "granted": arguments.amount if granted else 0, "balance": balance}

    _show(arguments, _in_database(settings, grant()))


def show_balance(settings: Settings, arguments: argparse.Namespace) -> None:
    """Show the balance."""

    async def balance() -> dict[str, object]:
        from msvs.api.credits import credits

        return {"workspace": arguments.workspace, "balance": await credits.available(await _workspace(arguments))}

    _show(arguments, _in_database(settings, balance()))


def verify_consent(settings: Settings, arguments: argparse.Namespace) -> int:
    """Verify the chains of consent and show their heads; FAILED where one is broken."""
    from msvs.api.consent import consent_chain

    async def verify() -> consent_chain.Verification:
        workspace_id = None if arguments.workspace is None else await _workspace(arguments)
        return await consent_chain.verify(_services(), workspace_id=workspace_id, noted_head=arguments.since_head)

    _require_secret(settings)
    found = _in_database(settings, verify())
    chains = [_shape_chain(chain) for chain in found.chains]
    if arguments.json:
        shown = {"whole": found.is_whole, "noted_head_found": found.has_noted_head, "chains": chains}
        print(json.dumps(shown, indent=2))
    else:
        _show(arguments, chains)
        print(f"\n{sum(chain.rows for chain in found.chains)} rows in {len(chains)} chains.")
    if found.is_whole:
        return OK
    broken = sum(chain.first_break is not None for chain in found.chains)
    return _fail("the head that was noted is in no chain" if not broken else f"broken chains: {broken}")


def _shape_chain(chain: VerifiedChain) -> dict[str, object]:
    from msvs.api import ids

    fault = chain.first_break
    return {
        "workspace": ids.encode_id(ids.WORKSPACE, chain.workspace_id),
        "mode": MODES[chain.livemode],
        "rows": chain.rows,
        "head": chain.head,
        "broken_at": None if fault is None else fault.sequence,
        "break": None if fault is None else fault.reason,
    }


def audit_consent(settings: Settings, arguments: argparse.Namespace) -> int:
    """List the opt-ins that stand without reason, and opt their phones out again if asked; FAILED where any is left."""
    from msvs.api.consent import consent_audit

    async def audit() -> tuple[list[consent_audit.Undone], int]:
        workspace_id = None if arguments.workspace is None else await _workspace(arguments)
        repaired = await consent_audit.repair(_services(), workspace_id=workspace_id) if arguments.repair else 0
        return await consent_audit.audit(_services(), workspace_id=workspace_id), repaired

    _require_secret(settings)
    found, repaired = _repairing(lambda: _in_database(settings, audit()))
    shown = [_shape_undone(each) for each in found]
    if arguments.json:
        print(json.dumps({"opted_out_again": repaired, "opt_ins": shown}, indent=2))
    else:
        if shown:
            _show(arguments, shown)
        if arguments.repair:
            print(_told_repair(repaired))
    if not found:
        return OK
    return _fail(f"opt-ins that undid an opt-out without newer evidence: {len(found)}")


def _shape_undone(undone: Undone) -> dict[str, object]:
    from msvs.api import ids
    from msvs.api.consent import consent
    from msvs.api.resources import moment, optional_id

    return {
        "workspace": ids.encode_id(ids.WORKSPACE, undone.workspace_id),
        "mode": MODES[undone.livemode],
        "entry": ids.encode_id(consent.CONSENT_EVENT, undone.id),
        "sequence": undone.sequence,
        "contact": optional_id(ids.CONTACT, undone.contact_id),
        "source": undone.source,
        "actor": undone.actor,
        "opted_out_at": moment(undone.opted_out_at),
        "opted_in_at": moment(undone.opted_in_at),
    }


def _told_repair(count: int) -> str:
    return f"Phones opted out again, whose opt-out had been undone without newer evidence: {count}."


def _repairing(work: Callable[[], T]) -> T:
    """Do `work`. Raises CommandFailed where the chain of consent was written with another secret."""
    from msvs.api.consent.consent_audit import KeyMismatch

    try:
        return work()
    except KeyMismatch:
        raise CommandFailed(
            "the chain of consent has another secret: set DATA_DIR or MSVS_SECRET_KEY as the service has it"
        ) from None


def export_contact(settings: Settings, arguments: argparse.Namespace) -> None:
    """Print all that is kept about a contact."""

    async def export() -> None:
        from msvs.api.privacy.contact_export import stream_contact

        ctx, id = await _find_contact(_services(), arguments, arguments.contact)
        # Closed here and now, whatever becomes of the reader: its transaction belongs to this task.
        async with aclosing(stream_contact(ctx, id)) as pieces:
            async for piece in pieces:
                sys.stdout.buffer.write(piece)
        sys.stdout.buffer.write(b"\n")
        sys.stdout.buffer.flush()

    _require_secret(settings)
    _in_database(settings, export())


def erase_contact(settings: Settings, arguments: argparse.Namespace) -> None:
    """Erase a contact or a phone."""

    async def erase() -> dict[str, object]:
        import msgspec

        from msvs.api import ids
        from msvs.api.errors import NotFound
        from msvs.api.privacy import erasure
        from msvs.api.unit_of_work import unit_of_work

        workspace_id = await _workspace(arguments)
        if arguments.who.startswith("+"):
            (ctx,) = _contexts(_services(), workspace_id, arguments.mode)
            async with unit_of_work():
                return dict(msgspec.to_builtins(await erasure.erase_phone(ctx, arguments.who)))
        id = ids.find_id(ids.CONTACT, arguments.who, "contact")
        for ctx in _contexts(_services(), workspace_id, None):
            try:
                async with unit_of_work():
                    return dict(msgspec.to_builtins(await erasure.erase_contact(ctx, id)))
            except NotFound:
                continue
        raise ids.missing("contact", arguments.who)

    _require_secret(settings)
    _show(arguments, _in_database(settings, erase()))


def import_suppressions(settings: Settings, arguments: argparse.Namespace) -> int:
    """Suppress the phones of a table and say what came of it; FAILED where a row could not be read."""

    async def import_() -> dict[str, object]:
        from msvs.api.contacts import suppressions

        (ctx,) = _contexts(_services(), await _workspace(arguments), arguments.mode)
        added = already = lost = 0
        with _reading(arguments.file) as file:
            async for done in suppressions.import_file(
                ctx,
                file,
                source=arguments.source,
                region=arguments.region,
                columns=arguments.column,
                encoding=arguments.encoding,
            ):
                for note in done.lost:
                    print(f"line {note.line}: not read: {note.reason}", file=sys.stderr)
                for note in done.notes:
                    print(f"line {note.line}: note: {note.reason}", file=sys.stderr)
                added += done.added
                already += done.already_suppressed
                lost += len({note.line for note in done.lost})
        return {"added": added, "already_suppressed": already, "invalid": lost}

    _require_secret(settings)
    done = _in_database(settings, import_())
    _show(arguments, done)
    if done["invalid"]:
        return _fail(f"lines that could not be read: {done['invalid']}; all others are suppressed")
    return OK


def export_suppressions(settings: Settings, arguments: argparse.Namespace) -> None:
    """Write all suppressions into a CSV file and say how many there are."""

    async def export() -> tuple[int, int]:
        import csv

        from msvs.api.contacts import suppressions

        (ctx,) = _contexts(_services(), await _workspace(arguments), arguments.mode)
        count = 0
        with _writing(arguments.file) as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(suppressions.COLUMNS)
            async for rows in suppressions.export_rows(ctx):
                writer.writerows(rows)
                count += len(rows)
        return count, await suppressions.count_erased(ctx)

    count, erased = _in_database(settings, export())
    print(f"{count} suppressions; {erased} more are of erased phones and have no number to give.", file=sys.stderr)


@contextmanager
def _reading(path: str) -> Iterator[BinaryIO]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = open(path, "rb")  # noqa: SIM115 - its own errors are told apart
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def _writing(path: str) -> Iterator[TextIO]:
    """A new file that nobody else may read."""
    if path == "-":
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", newline="", encoding="utf-8") as file:
        yield file


def _require_secret(settings: Settings) -> None:
    """Raise CommandFailed rather than make a secret that fits nothing."""
    if not settings.known_secrets():
        raise CommandFailed(f"no secret in {settings.data_dir}: set DATA_DIR or MSVS_SECRET_KEY as the service has it")


async def _find_contact(services: Services, arguments: argparse.Namespace, text: str) -> tuple[Context, UUID]:
    """The contact named on the command line, whichever mode it is of."""
    from msvs.api import ids
    from msvs.api.contacts import contacts
    from msvs.api.errors import NotFound

    id = ids.find_id(ids.CONTACT, text, "contact")
    for ctx in _contexts(services, await _workspace(arguments), None):
        try:
            await contacts.get_contact(ctx, id)
        except NotFound:
            continue
        return ctx, id
    raise ids.missing("contact", text)


async def _workspace(arguments: argparse.Namespace) -> UUID:
    from msvs.api.accounts.workspaces import find_workspace

    return await find_workspace(arguments.workspace)


async def _owner(arguments: argparse.Namespace) -> UUID | None:
    return None if arguments.platform else await _workspace(arguments)


@cache
def _services() -> Services:
    """Make the services of a command, once: what unlocks the keyring and what uses it are given the same."""
    from msvs.api.context import Services

    return Services()


def _contexts(services: Services, workspace_id: UUID, mode: str | None) -> list[Context]:
    from msvs.api.context import Context

    return [Context(workspace_id, each == "live", services=services) for each in MODES if mode in (None, each)]


async def _find_key(services: Services, arguments: argparse.Namespace) -> tuple[Context, UUID]:
    """The key named on the command line, whichever mode it is of."""
    from msvs.api import ids
    from msvs.api.accounts import keys
    from msvs.api.errors import NotFound

    id = ids.find_id(ids.API_KEY, arguments.key, "API key")
    for ctx in _contexts(services, await _workspace(arguments), None):
        try:
            await keys.get_key(ctx, id)
        except NotFound:
            continue
        return ctx, id
    raise ids.missing("API key", arguments.key)


def _shape_key(row: ApiKey, text: str | None = None) -> dict[str, object]:
    import msgspec

    from msvs.api.resources import api_key_resource

    shape: dict[str, object] = msgspec.to_builtins(api_key_resource(row, key=text or msgspec.UNSET))
    return shape


def _show(arguments: argparse.Namespace, value: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    if arguments.json:
        print(json.dumps(value, indent=2, ensure_ascii=False))
        return
    rows = [value] if isinstance(value, Mapping) else value
    width = max([14, *(len(name) for row in rows for name in row)])
    blocks = [
        "\n".join(f"{name:{width}} {_text(each)}" for name, each in row.items() if each is not None) for row in rows
    ]
    print("\n\n".join(blocks))


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# Finding the engines


def _with_engines(settings: Settings, *, redis: bool = True) -> Settings:
    """The settings with the embedded engines of DATA_DIR in place of what is not set.

    Raises CommandFailed, and SettingsError where production has no secret key.
    """
    settings.require_secret_key()
    engines = EmbeddedEngines(settings.data_dir)
    if settings.database_url is None:
        settings = replace(settings, database_url=_running(lambda: engines.database_url, "DATABASE_URL", settings))
    if redis and settings.redis_url is None:
        settings = replace(settings, redis_url=_running(lambda: engines.redis_url, "REDIS_URL", settings))
    return settings


def _running(url_of: Callable[[], str], variable: str, settings: Settings) -> str:
    try:
        url = url_of()
        parts = urlsplit(url)
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError):
        raise CommandFailed(
            f"nothing runs on {settings.data_dir}: start the service with `msvs run`, or set {variable}"
        ) from None
    return url


def _in_database(settings: Settings, work: Coroutine[object, object, T], *, unlocks: bool = True) -> T:
    """Run `work` with a pool open, the secret key held against the database. Raises CommandFailed and SettingsError."""
    try:
        url = _with_engines(settings, redis=False).database_url
    except (CommandFailed, SettingsError):
        work.close()
        raise
    assert url is not None

    async def connected() -> T:
        from msvs import database

        async with database.connected(url, pool_size=1):
            try:
                if unlocks:
                    await _unlock(settings)
            except BaseException:
                work.close()
                raise
            return await work

    return _reaching_database(connected())


def _reaching_database(work: Coroutine[object, object, T]) -> T:
    import asyncpg
    from tortoise.exceptions import BaseORMException

    from msvs.api.errors import ApiError
    from msvs.loops import new_runner

    try:
        with new_runner() as runner:
            return runner.run(work)
    except ApiError as error:
        raise CommandFailed(error.message) from None
    except asyncpg.UndefinedTableError:
        raise CommandFailed("the database has no tables yet: run `msvs migrate`") from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, BaseORMException) as error:
        cause = error.__cause__ or error
        if isinstance(cause, asyncpg.UndefinedTableError):
            raise CommandFailed("the database has no tables yet: run `msvs migrate`") from None
        raise CommandFailed(f"the database cannot be used: {type(cause).__name__}: {cause}") from None
