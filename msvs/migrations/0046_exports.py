"""Exports, and the files that they write."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.exports import ExportKind, ExportStatus
from msvs.models.identity import new_id

# The tables are new, so that nobody waits for their indexes.
SQL = [
    """
    CREATE TABLE export_chunks (
        export_id uuid NOT NULL,
        start bigint NOT NULL,
        data bytea NOT NULL,
        PRIMARY KEY (export_id, start)
    )
    """,
    # Files are written and read once or twice: compressing each chunk costs more than it saves.
    "ALTER TABLE export_chunks ALTER COLUMN data SET STORAGE EXTERNAL",
    "CREATE INDEX exports_due ON exports (turn_at NULLS FIRST, id) WHERE status IN ('queued', 'running')",
    "CREATE INDEX exports_kept ON exports (expires_at) WHERE status = 'completed'",
]


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0045_import_erasures")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Export",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                (
                    "kind",
                    fields.CharEnumField(
                        description="CONTACTS: contacts\nMESSAGES: messages\nCAMPAIGN_RESULTS: campaign_results\nSUPPRESSIONS: suppressions\nLEDGER: ledger\nEVENTS: events",
                        enum_type=ExportKind,
                        max_length=20,
                    ),
                ),
                (
                    "status",
                    fields.CharEnumField(
                        default=ExportStatus.QUEUED,
                        description="QUEUED: queued\nRUNNING: running\nCOMPLETED: completed\nCANCELED: canceled\nFAILED: failed\nEXPIRED: expired",
                        enum_type=ExportStatus,
                        max_length=10,
                    ),
                ),
                ("actor", fields.CharField(max_length=40)),
                (
                    "options",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("rows_total", fields.BigIntField(null=True)),
                ("rows_done", fields.BigIntField(default=0)),
                ("file_size", fields.BigIntField(default=0)),
                (
                    "error",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("lease_token", fields.UUIDField(null=True)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("turn_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
                ("started_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "exports",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "An export, how far it is, and its file, whose bytes are rows of `export_chunks` until it expires.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(SQL, ["DROP TABLE export_chunks"]),
    ]
