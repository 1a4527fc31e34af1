"""Senders have one owner, keys have scopes, the sandbox has settings of its own; defaults are put right.

A sender used in live stays with the first workspace that used it. A default sender that belongs to another workspace is
reset, which the workspace's audit log records.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from json import dumps, loads
from typing import TypedDict, cast
from uuid import UUID

import structlog
from tortoise import fields, migrations
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor

from msvs.models.identity import new_id

log = structlog.get_logger(__name__)

PLATFORM = "MASSIVESMS"
NUMBER = re.compile(r"\+?[0-9]+")
TOLL_FREE = re.compile(r"\+18(?:00|33|44|55|66|77|88)[0-9]{7}")

INDEXES = [
    "CREATE INDEX senders_skeleton ON senders (skeleton)",
    "CREATE INDEX senders_value ON senders (value)",
    "CREATE UNIQUE INDEX senders_platform ON senders (value) WHERE workspace_id IS NULL",
]

# By whom a sender was first used live, and whether a real carrier took it.
USED = """
SELECT workspace_id, sender AS value, min(sent_at) AS since, bool_or(carrier <> 'virtual') AS is_carried
FROM messages WHERE livemode AND sent_at IS NOT NULL AND sender <> $1
GROUP BY workspace_id, sender ORDER BY since, workspace_id
"""
DEFAULTS = """
SELECT id AS workspace_id, default_sender AS value FROM workspaces WHERE default_sender <> $1 ORDER BY created_at, id
"""
ADOPT = """
INSERT INTO senders (id, workspace_id, value, skeleton, is_claimed, kind, regions, registration, created_at)
VALUES ($1, $2, $3, $4, $5, $6, '[]', NULL, now())
"""
RESET = "UPDATE workspaces SET default_sender = $2, sandbox_settings = $3::jsonb WHERE id = $1"
TELL = """
INSERT INTO audit_entries (id, workspace_id, actor, action, resource_id, changes, created_at)
VALUES ($1, $2, 'system', $3, $4, $5::jsonb, now())
"""


class _Default(TypedDict):
    """A sender of a workspace: a row of DEFAULTS."""

    workspace_id: UUID
    value: str


class _Used(_Default, total=False):
    """A row of USED too."""

    is_carried: bool


class _Owned(_Default):
    """A row of senders."""

    id: UUID


def skeleton(sender: str) -> str:
    """Return what a sender folds to, as msvs/api/data/sender_names.toml had it at this migration."""
    if NUMBER.fullmatch(sender):
        return sender.removeprefix("+")
    for pair, letter in (("rn", "m"), ("vv", "w"), ("VV", "w"), ("cl", "d")):
        sender = sender.replace(pair, letter)
    return re.sub("[^0-9a-z]", "", sender.lower()).translate(str.maketrans("0123456789iu", "olzeasgtbglv"))


def kind_of(sender: str) -> str:
    """Return the kind of a sender, by its form."""
    if not NUMBER.fullmatch(sender):
        return "alphanumeric"
    if not sender.startswith("+"):
        return "short_code"
    return "toll_free" if TOLL_FREE.fullmatch(sender) else "long_code"


def public_id(prefix: str, id: UUID) -> str:
    """Return an id as callers see it."""
    digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return f"{prefix}_" + "".join(digits[id.int >> shift & 31] for shift in range(125, -1, -5))


async def settle(_apps: object, editor: BaseSchemaEditor) -> None:
    """Give each used sender to the first workspace that used it, and reset defaults owned by others."""
    client = editor.client
    owned = cast("list[_Owned]", await client.execute_query_dict("SELECT id, workspace_id, value FROM senders"))
    for row in owned:
        await client.execute_query(
            "UPDATE senders SET skeleton = $2 WHERE id = $1", [row["id"], skeleton(row["value"])]
        )
    owners: dict[str, set[UUID]] = {skeleton(PLATFORM): set()}
    values = {(row["workspace_id"], row["value"]) for row in owned}
    for row in owned:
        owners.setdefault(skeleton(row["value"]), set()).add(row["workspace_id"])
    defaults = cast("list[_Used]", await client.execute_query_dict(DEFAULTS, [PLATFORM]))
    names = [row for row in defaults if kind_of(row["value"]) == "alphanumeric"]
    used = cast("list[_Used]", await client.execute_query_dict(USED, [PLATFORM]))
    for sender in [*used, *names]:
        await _adopt(client, sender, owners, values)
    strangers = [row for row in defaults if (row["workspace_id"], row["value"]) not in values]
    await _reset(client, strangers, owners)
    if strangers:
        log.warning("default senders reset that were not their workspace's", workspaces=len(strangers))


async def _adopt(
    client: BaseDBAsyncClient, row: _Used, owners: dict[str, set[UUID]], values: set[tuple[UUID, str]]
) -> None:
    """Make a sender its user's, unless it, or one that looks like it, is another's; numbers where a carrier took it."""
    workspace_id, value, folded = row["workspace_id"], row["value"], skeleton(row["value"])
    is_name = kind_of(value) == "alphanumeric"
    if (workspace_id, value) in values or owners.get(folded, {workspace_id}) != {workspace_id}:
        return
    if not is_name and not row["is_carried"]:
        return
    owners[folded] = {workspace_id}
    values.add((workspace_id, value))
    id = new_id()
    await client.execute_query(ADOPT, [id, workspace_id, value, folded, is_name, kind_of(value)])
    await _tell(client, workspace_id, "sender.claimed", public_id("snd", id), {"value": [None, value]})


async def _reset(client: BaseDBAsyncClient, rows: Iterable[_Default], owners: Mapping[str, set[UUID]]) -> None:
    """Reset live defaults; the sandbox keeps a default that no workspace owns."""
    for row in rows:
        workspace_id = row["workspace_id"]
        kept = {} if owners.get(skeleton(row["value"])) is not None else {"default_sender": row["value"]}
        await client.execute_query(RESET, [workspace_id, PLATFORM, json.dumps(kept)])
        changes = {"default_sender": [row["value"], PLATFORM]}
        await _tell(client, workspace_id, "workspace.updated", public_id("wsp", workspace_id), changes)


async def _tell(
    client: BaseDBAsyncClient, workspace_id: UUID, action: str, resource_id: str, changes: Mapping[str, object]
) -> None:
    await client.execute_query(TELL, [new_id(), workspace_id, action, resource_id, json.dumps(changes)])


class Migration(migrations.Migration):
    """Adds the columns, then settles who owns what."""

    dependencies = [("msvs", "0009_canonical_phones_joined")]
    initial = False

    operations = [
        ops.AddField(
            model_name="ApiKey",
            name="scopes",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
        ops.AlterModelOptions(
            name="Sender",
            options={
                "table": "senders",
                "app": "msvs",
                "unique_together": (("workspace_id", "value"),),
                "pk_attr": "id",
                "table_description": "A sender that a workspace owns; with `workspace_id` null the platform's own,"
                " which every workspace may use.",
            },
        ),
        ops.AlterField(model_name="Sender", name="workspace_id", field=fields.UUIDField(null=True)),
        ops.AddField(
            model_name="Sender", name="is_claimed", field=fields.BooleanField(default=False, db_default=False)
        ),
        ops.AddField(model_name="Sender", name="skeleton", field=fields.CharField(db_default="", max_length=16)),
        ops.AlterModelOptions(
            name="Workspace",
            options={
                "table": "workspaces",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A tenant, with the settings that live obeys.",
            },
        ),
        ops.AddField(
            model_name="Workspace",
            name="sandbox_settings",
            field=fields.JSONField(
                default=dict, db_default={}, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
            ),
        ),
        ops.RunSQL(INDEXES),
        ops.RunPython(settle),
    ]
