"""The processes of the service."""

from __future__ import annotations

import json
import os
import secrets
import signal
from pathlib import Path

import click

from msvs import start_checks
from msvs.cli.common import (
    Arguments,
    in_database,
    main_command,
    services_of_command,
    with_engines,
)
from msvs.cli.database import migrate_schema, repair_what_is_due
from msvs.cli.workspaces import new_workspace
from msvs.local.embedded import EmbeddedEngines
from msvs.local.pretend_stripe import KEY as PRETEND_KEY
from msvs.settings import DEMO_FILE, Settings

QUEUES = ("messages", "campaigns", "reports", "webhooks", "mail", "billing", "imports", "maintenance")
# What works in bulk leaves the processor to those who wait for an answer: the API, a pause or a cancellation, a STOP.
BULK = frozenset(("messages", "campaigns", "imports", "maintenance"))
BULK_NICENESS = 5
# Those whose work does not pass a pooler in transaction mode: of imports, that of test clocks.
NEED_SESSIONS = ("imports",)
DEMO_NAME = "Cohort Labs (demo)"
DEMO_CREDITS = 10_000
DEMO_OWNER = "owner@cohortlabs.example"
# Managers of processes send these to have a file read again or a log opened again: there is neither. `msvs run` ends by
# SIGHUP, with its terminal.
RELOADS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
STOPS_BY_HANGUP = (signal.SIGUSR1, signal.SIGUSR2)


@main_command("run", ignores=STOPS_BY_HANGUP)
def run(settings: Settings, _arguments: Arguments) -> int:
    """Run the whole service until a signal ends it."""
    from msvs.local import supervisor

    start_checks.require_safe(settings)
    start_checks.require_own_listener(settings)
    return supervisor.run(settings, prepare=prepare)


def prepare(settings: Settings) -> list[str]:
    """Bring the database up to date, and in development make the demo workspace; the lines that say where all is."""
    assert settings.database_url is not None
    migrate_schema(settings, is_service=True)
    repaired = repair_what_is_due(settings)
    settings.metrics_secret()  # there from the start, for who sets up a scraper
    steps = _first_steps(settings)
    return [*repaired, "", "MassiveSMS is running.", "", *_addresses(settings), *steps, "", "Stop with Ctrl-C."]


def _addresses(settings: Settings) -> list[str]:
    from msvs.api.accounts.operators import has_operators

    base = settings.base_url
    # In production what is printed ends in a log.
    shown = f"password: {settings.operator_secret()}"
    if settings.operator_password is None and in_database(settings, has_operators()):
        shown = "by name: `msvs operators list`"
    elif settings.is_production:
        shown = "password: MSVS_OPERATOR_PASSWORD, or operator.key in DATA_DIR"
    pretends = settings.stripe_key == PRETEND_KEY
    return [
        f"  REST API        {base}/v1   ({base}/openapi.yaml)",
        f"  GraphQL         {base}/graphql",
        f"  Documentation   {base}/docs/",
        f"  Dashboard       {base}/dashboard",
        f"  Handset         {base}/handset   (the sandbox's phones)",
        f"  Operators       {base}/ops   ({shown})",
        *([f"  Mail            {base}/dev/mail   (what would be sent)"] if settings.keeps_mail else []),
        *([f"  Credits         {base}/dashboard/credits   (PRETEND CHECKOUT: NO CARD IS CHARGED)"] if pretends else []),
        f"  Readiness       {base}/readyz",
        "",
    ]


def _first_steps(settings: Settings) -> list[str]:
    """Return what to do first: in production no workspace is there until an operator makes it, and no key."""
    if settings.is_production:
        return ["  Make a workspace with `msvs workspace create --name NAME`, and its owner with `msvs users create`."]
    path = settings.data_dir / DEMO_FILE
    demo = _read_demo(path)
    if demo is None or not in_database(settings, _workspace_known(demo["workspace_id"])):
        demo = in_database(settings, _make_demo())
    if not {"owner_email", "owner_password"} <= demo.keys():
        demo |= in_database(settings, _make_owner(demo["workspace_id"]))
    demo |= {"base_url": settings.base_url, "operator_password": settings.operator_secret()}
    _write_private(path, json.dumps(demo, indent=2) + "\n")
    return [
        f"  Workspace       {demo['name']}  {demo['workspace_id']}",
        f"  Sandbox key     {demo['test_key']}",
        f"  Live key        {demo['live_key']}",
        f"  Log in          {demo['owner_email']}  {demo['owner_password']}   (at {settings.base_url}/dashboard)",
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
    made = await new_workspace(DEMO_NAME, DEMO_CREDITS)
    return {"workspace_id": made.pop("id"), **made}


async def _make_owner(workspace: str) -> dict[str, str]:
    """Make a user who owns the demo workspace; the address has a suffix where an earlier demo took it."""
    from msvs.api.accounts import users
    from msvs.api.accounts.workspaces import find_workspace
    from msvs.api.errors import Conflict
    from msvs.api.unit_of_work import unit_of_work
    from msvs.models import Role

    password = secrets.token_urlsafe(12)
    name, _, domain = DEMO_OWNER.partition("@")
    workspace_id = await find_workspace(workspace)
    for email in (DEMO_OWNER, f"{name}+{secrets.token_hex(4)}@{domain}"):
        try:
            async with unit_of_work():
                await users.create_user(
                    services_of_command(),
                    email=email,
                    name="Demo owner",
                    password=password,
                    workspace_id=workspace_id,
                    role=Role.OWNER,
                )
            break
        except Conflict:
            continue
    return {"owner_email": email, "owner_password": password}


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


@main_command("api", ignores=RELOADS)
def serve_api(settings: Settings, _arguments: Arguments) -> None:
    """Serve the API until a signal ends it."""
    from msvs import app

    start_checks.require_own_listener(settings)
    app.serve(with_engines(settings))


@main_command(
    "worker",
    click.Argument(["queue"], type=click.Choice(QUEUES), metavar="QUEUE"),
    click.Option(["--burst"], is_flag=True, help="stop when the queue is empty"),
    ignores=RELOADS,
)
def work(settings: Settings, arguments: Arguments) -> int:
    """Work on one queue until a signal ends it."""
    from msvs import error_tracking, logs
    from msvs.workers import worker

    settings = with_engines(settings, owner=arguments.queue == "maintenance")
    if arguments.queue in NEED_SESSIONS:
        settings.require_session()
    logs.set_up(settings)
    logs.tell_start(settings, f"worker {arguments.queue}")
    if arguments.queue in BULK:
        os.nice(BULK_NICENESS)
    with error_tracking.tracking(settings, f"worker {arguments.queue}"):
        return worker.work(settings, arguments.queue, burst=arguments.burst)


@main_command("cron", ignores=RELOADS)
def run_cron(settings: Settings, _arguments: Arguments) -> int:
    """Notify workers of what is due until a signal ends it."""
    from msvs import error_tracking, logs
    from msvs.workers import cron

    settings = with_engines(settings)
    logs.set_up(settings)
    logs.tell_start(settings, "cron")
    with error_tracking.tracking(settings, "cron"):
        return cron.run(settings)


@main_command("binds", ignores=RELOADS)
def hold_binds(settings: Settings, _arguments: Arguments) -> int:
    """Hold carriers' binds, or stand by for them, until a signal ends it."""
    from msvs import error_tracking, logs
    from msvs.workers import carrier_binds

    settings = with_engines(settings)
    logs.set_up(settings)
    logs.tell_start(settings, "binds")
    with error_tracking.tracking(settings, "binds"):
        return carrier_binds.run(settings)


@main_command("engines", ignores=RELOADS)
def run_engines(settings: Settings, _arguments: Arguments) -> None:
    """Run PostgreSQL and Valkey on DATA_DIR, and nothing that uses them, until a signal ends them."""
    engines = EmbeddedEngines(settings.data_dir).start()
    try:
        ends = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        print(f"PostgreSQL and Valkey run on {settings.data_dir}. Stop with Ctrl-C.", flush=True)
        signal.sigwait(ends)
    finally:
        engines.stop()
