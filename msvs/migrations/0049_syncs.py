"""Synced lists: sources, their syncs, and the people last seen at each source."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id
from msvs.models.syncs import SourceStatus, SyncStatus, SyncTrigger

# The tables are new and empty, so building their indexes blocks nothing.
SQL = [
    # People at a source, by the keyed hash of their id there, with the version imported and the last sync that saw them.
    """
    CREATE TABLE source_people (
        source_id uuid NOT NULL,
        person_key varchar(64) NOT NULL,
        external_id varchar(400) NOT NULL,
        phone_hash varchar(64),
        contact_id uuid,
        version varchar(64) NOT NULL,
        status varchar(10) NOT NULL,
        sync_id uuid NOT NULL,
        PRIMARY KEY (source_id, person_key)
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX source_people_contact ON source_people (contact_id) WHERE contact_id IS NOT NULL",
    "CREATE INDEX source_people_phone ON source_people (source_id, phone_hash) WHERE phone_hash IS NOT NULL",
    # Keyed hashes of erased phones, which no sync imports again.
    """
    CREATE TABLE source_erasures (
        source_id uuid NOT NULL,
        phone_hash varchar(64) NOT NULL,
        PRIMARY KEY (source_id, phone_hash)
    )
    """,
    # Opt-outs to write back to services, and those already written.
    """
    CREATE TABLE opt_out_writes (
        id uuid PRIMARY KEY,
        source_id uuid NOT NULL,
        person_key varchar(64) NOT NULL,
        opted_out_at timestamptz NOT NULL,
        state varchar(10) NOT NULL,
        attempt_count int NOT NULL DEFAULT 0,
        next_attempt_at timestamptz NOT NULL,
        error jsonb,
        created_at timestamptz NOT NULL,
        UNIQUE (source_id, person_key)
    )
    """,
    "CREATE INDEX opt_out_writes_due ON opt_out_writes (next_attempt_at) WHERE state = 'pending'",
    # People whom a service's webhook asks us to read again.
    """
    CREATE TABLE source_lookups (
        source_id uuid NOT NULL,
        external_id varchar(400) NOT NULL,
        due_at timestamptz NOT NULL,
        PRIMARY KEY (source_id, external_id)
    )
    """,
    "CREATE INDEX source_lookups_due ON source_lookups (due_at)",
    # Webhook deliveries already received, by the service's delivery id or the hash of the body.
    """
    CREATE TABLE hook_deliveries (
        source_id uuid NOT NULL,
        delivery_id varchar(64) NOT NULL,
        answer jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (source_id, delivery_id)
    )
    """,
    "CREATE INDEX hook_deliveries_age ON hook_deliveries (created_at)",
    # A source has one sync at a time.
    "CREATE UNIQUE INDEX list_syncs_open ON list_syncs (source_id) WHERE status IN ('queued', 'running', 'held')",
    "CREATE INDEX list_syncs_due ON list_syncs (due_at, id) WHERE status IN ('queued', 'running')",
    "CREATE INDEX list_sources_due ON list_sources (next_sync_at) WHERE next_sync_at IS NOT NULL",
    # Every opt-out queues its write-back to the connected services, in the same transaction.
    """
    CREATE FUNCTION note_opt_out() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO opt_out_writes (id, source_id, person_key, opted_out_at, state, next_attempt_at, created_at)
        SELECT gen_random_uuid(), person.source_id, person.person_key, coalesce(NEW.opt_in_at, NEW.updated_at),
            'pending', NEW.updated_at, NEW.updated_at
        FROM source_people AS person JOIN list_sources AS source ON source.id = person.source_id
        WHERE person.contact_id = NEW.id AND source.writes_opt_outs
        ON CONFLICT (source_id, person_key) DO UPDATE SET state = 'pending', attempt_count = 0, error = NULL,
            opted_out_at = excluded.opted_out_at, next_attempt_at = excluded.next_attempt_at;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER contacts_opted_out AFTER UPDATE OF opt_in_status ON contacts FOR EACH ROW"
    " WHEN (NEW.opt_in_status = 'opted_out' AND OLD.opt_in_status <> 'opted_out') EXECUTE FUNCTION note_opt_out()",
]
UNDO = [
    "DROP TRIGGER contacts_opted_out ON contacts",
    "DROP FUNCTION note_opt_out()",
    *(
        f"DROP TABLE {table}"
        for table in ("source_people", "source_erasures", "opt_out_writes", "source_lookups", "hook_deliveries")
    ),
]


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0048_top_up_times")]

    initial = False

    operations = [
        ops.CreateModel(
            name="ListSource",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("list_id", fields.UUIDField(unique=True)),
                ("kind", fields.CharField(max_length=30)),
                (
                    "status",
                    fields.CharEnumField(
                        default=SourceStatus.CHECKING,
                        description="CHECKING: checking\nCHECKED: checked\nACTIVE: active\nSTOPPED: stopped",
                        enum_type=SourceStatus,
                        max_length=10,
                    ),
                ),
                ("is_paused", fields.BooleanField(default=False)),
                ("actor", fields.CharField(max_length=40)),
                ("account", fields.CharField(null=True, max_length=200)),
                (
                    "settings",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("secrets", fields.CharField(null=True, max_length=16000)),
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
                ("writes_opt_outs", fields.BooleanField(default=False)),
                ("bookmark", fields.CharField(null=True, max_length=2048)),
                ("walked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("next_sync_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("failure_count", fields.IntField(default=0)),
                (
                    "error",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("hook_hash", fields.CharField(null=True, unique=True, max_length=64)),
                ("hook_registered_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("lease_token", fields.UUIDField(null=True)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "list_sources",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "The service that a list syncs from.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ListSync",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("source_id", fields.UUIDField()),
                ("list_id", fields.UUIDField(db_index=True)),
                (
                    "trigger",
                    fields.CharEnumField(
                        description="CREATED: created\nCONFIRMED: confirmed\nCHANGED: changed\nSCHEDULE: schedule\nMANUAL: manual\nHOOK: hook",
                        enum_type=SyncTrigger,
                        max_length=10,
                    ),
                ),
                (
                    "status",
                    fields.CharEnumField(
                        default=SyncStatus.QUEUED,
                        description="QUEUED: queued\nRUNNING: running\nHELD: held\nCOMPLETED: completed\nFAILED: failed\nCANCELED: canceled",
                        enum_type=SyncStatus,
                        max_length=10,
                    ),
                ),
                ("is_dry_run", fields.BooleanField(default=False)),
                ("is_full", fields.BooleanField(default=True)),
                ("since", fields.CharField(null=True, max_length=2048)),
                ("cursor", fields.CharField(null=True, max_length=2048)),
                ("bookmark", fields.CharField(null=True, max_length=2048)),
                ("is_walked", fields.BooleanField(default=False)),
                ("is_complete", fields.BooleanField(default=False)),
                ("may_shrink", fields.BooleanField(default=False)),
                (
                    "counts",
                    fields.JSONField(
                        default=dict, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "samples",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "problems",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "error",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("attempt_count", fields.IntField(default=0)),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
                ("started_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "list_syncs",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"]), Index(fields=["source_id", "id"])],
                "pk_attr": "id",
                "table_description": "One pass over the people of a source: its progress and its outcome.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(SQL, UNDO),
    ]
