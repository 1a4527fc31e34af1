"""Imports of contacts, the bytes of their files, and what their rows say."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id
from msvs.models.imports import ImportStatus

TABLES = [
    # An uploaded file until its import ends: a worker on any host can read it.
    """
    CREATE TABLE import_chunks (
        import_id uuid NOT NULL,
        start bigint NOT NULL,
        data bytea NOT NULL,
        PRIMARY KEY (import_id, start)
    )
    """,
    "ALTER TABLE import_chunks ALTER COLUMN data SET STORAGE EXTERNAL",
    # What a row says, and what came of it. One that is staged and passed is a contact made: it has the id `contact_id`.
    """
    CREATE TABLE import_rows (
        reading_id uuid NOT NULL,
        number integer NOT NULL,
        line integer NOT NULL,
        status varchar(10) NOT NULL,
        reason varchar(200),
        phone varchar(16),
        canonical varchar(16),
        region varchar(3),
        number_kind varchar(24),
        first_name varchar(100),
        last_name varchar(100),
        email varchar(254),
        timezone varchar(64),
        external_id varchar(100),
        attributes jsonb NOT NULL,
        consent smallint NOT NULL,
        evidence jsonb,
        contact_id uuid,
        cells jsonb,
        PRIMARY KEY (reading_id, number)
    )
    """,
    "CREATE INDEX import_rows_told ON import_rows (reading_id, status, number) WHERE status <> 'staged'",
]


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0038_billing")]

    initial = False

    operations = [
        ops.CreateModel(
            name="ContactImport",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                (
                    "status",
                    fields.CharEnumField(
                        default=ImportStatus.UPLOADING,
                        description="UPLOADING: uploading\nQUEUED: queued\nREADING: reading\nNEEDS_MAPPING: needs_mapping\nCHECKING: checking\nCHECKED: checked\nRUNNING: running\nCOMPLETED: completed\nCANCELED: canceled\nFAILED: failed\nEXPIRED: expired\nUNDOING: undoing\nUNDONE: undone",
                        enum_type=ImportStatus,
                        max_length=15,
                    ),
                ),
                ("actor", fields.CharField(max_length=40)),
                ("file_name", fields.CharField(max_length=200)),
                ("file_size", fields.BigIntField(default=0)),
                ("file_hash", fields.CharField(null=True, max_length=64)),
                ("file_kind", fields.CharField(null=True, max_length=10)),
                ("encoding", fields.CharField(null=True, max_length=30)),
                ("delimiter", fields.CharField(null=True, max_length=1)),
                (
                    "columns",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "mapping",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "options",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "counts",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("rows_read", fields.BigIntField(default=0)),
                ("rows_done", fields.BigIntField(default=0)),
                ("is_read", fields.BooleanField(default=False)),
                ("reading_id", fields.UUIDField(null=True)),
                (
                    "old_readings",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
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
            ],
            options={
                "table": "contact_imports",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "An import of contacts from a file, how far it is, and what came of it.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(TABLES, ["DROP TABLE import_rows", "DROP TABLE import_chunks"]),
    ]
