"""The commands and groups of `msvs`, with their files and help texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """The place of a command, as a module of this package and a name in it, and its help."""

    module: str
    name: str
    help: str


COMMANDS: Mapping[str, Place] = {
    "run": Place("processes", "run", "Run the whole service on this machine: engines, API, workers and cron."),
    "api": Place("processes", "serve_api", "Serve the API."),
    "worker": Place(
        "processes",
        "work",
        "Process a queue: messages, campaigns, reports, webhooks, mail, billing, imports or maintenance.",
    ),
    "cron": Place("processes", "run_cron", "Wake the workers for due work, and schedule maintenance; run only one."),
    "binds": Place("processes", "hold_binds", "Hold the binds of carriers that need them; a second process stands by."),
    "engines": Place("processes", "run_engines", "Run the embedded engines alone, to restore a backup into them."),
    "migrate": Place("database", "migrate", "Migrate the database schema to the newest version."),
    "database": Place("database", "database", "Set up the database for the service."),
    "hold": Place(
        "database", "hold", "After a restore: pause live campaigns, and cancel live single messages that are due."
    ),
    "backup": Place(
        "backups", "back_up", "Back the database up: a base backup, the WAL since then with --follow, or a dump."
    ),
    "restore": Place("backups", "restore", "Restore a backup to a point in time, into a new folder, and check it."),
    "doctor": Place(
        "doctor",
        "examine_deployment",
        "Check a deployment: settings, versions, clocks, roles, connections, TLS, DNS, mail, carriers and billing.",
    ),
    "schema": Place("database", "print_schema", "Print the GraphQL schema, or with --openapi the OpenAPI document."),
    "settings": Place("database", "print_settings", "List the environment variables that configure the service."),
    "carriers": Place("carriers", "carriers", "List the carriers with their binds and circuit breakers."),
    "routes": Place("routes", "routes", "Manage routes: which carrier takes which live messages."),
    "senders": Place("senders", "senders", "Manage the senders that workspaces may use for live messages."),
    "workspaces": Place("workspaces", "workspaces", "List, suspend and resume workspaces."),
    "workspace": Place("workspaces", "workspace", "Create a workspace."),
    "users": Place("users", "users", "Manage the people who log in."),
    "operators": Place("operators", "operators", "Manage the operators who sign in to /ops by name."),
    "keys": Place("keys", "keys", "Manage the API keys of a workspace."),
    "tail": Place("tail", "tail", "Follow the events of a workspace live, with phones masked and without texts."),
    "consent": Place("consent", "consent", "Verify consent records; export or erase the data of a contact."),
    "secrets": Place("secrets", "secrets", "List and rotate the secret keys of the service."),
    "suppressions": Place("suppressions", "suppressions", "Import and export suppressed phone numbers."),
    "packs": Place("packs", "show_packs", "Show the packs of credits for sale, or check a file of packs."),
    "rates": Place("rates", "rates", "Manage the credits a segment by destination."),
    "credits": Place("credits", "credits", "Show and add the credits of a workspace."),
}
# Command of an earlier release → its name now.
ALIASES: Mapping[str, str] = {"sessions": "binds"}
