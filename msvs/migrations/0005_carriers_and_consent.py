"""Carriers, senders and routes; keywords; the columns of the chain of consent; caps."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id
from msvs.models.senders import SenderKind

SQL = [
    # Reports of real carriers name a message by the carrier's own reference; the virtual one uses our ids.
    "CREATE INDEX messages_carrier_ref ON messages (carrier_ref, carrier)"
    " WHERE carrier_ref IS NOT NULL AND carrier <> 'virtual'",
    # Single messages to a range of numbers, an hour at a time.
    """
    CREATE TABLE prefix_usage (
        workspace_id uuid NOT NULL,
        prefix varchar(8) NOT NULL,
        hour timestamptz NOT NULL,
        messages int NOT NULL,
        PRIMARY KEY (workspace_id, prefix, hour)
    )
    """,
]


class Migration(migrations.Migration):
    dependencies = [("msvs", "0004_inbox_and_drafts")]

    initial = False

    operations = [
        ops.CreateModel(
            name="CarrierSession",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=30)),
                ("address", fields.CharField(max_length=100)),
                ("token", fields.CharField(max_length=64)),
                ("bound", fields.SmallIntField(default=0)),
                ("wanted", fields.SmallIntField(default=0)),
                ("detail", fields.CharField(null=True, max_length=100)),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "carrier_sessions",
                "app": "msvs",
                "pk_attr": "name",
                "table_description": "Which process holds the sessions of a carrier, and where workers reach it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="CarrierSignal",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("carrier", fields.CharField(max_length=30)),
                ("kind", fields.CharField(max_length=10)),
                ("dedupe_key", fields.CharField(max_length=200)),
                ("message_id", fields.UUIDField(null=True)),
                ("carrier_ref", fields.CharField(null=True, max_length=100)),
                ("is_delivered", fields.BooleanField(null=True)),
                ("error_code", fields.CharField(null=True, max_length=40)),
                ("from_phone", fields.CharField(null=True, max_length=16)),
                ("to_sender", fields.CharField(null=True, max_length=16)),
                ("text", fields.TextField(default="", unique=False)),
                ("part_ref", fields.CharField(null=True, max_length=40)),
                ("part_number", fields.SmallIntField(null=True)),
                ("part_count", fields.SmallIntField(null=True)),
                ("tries", fields.SmallIntField(default=0)),
                ("received_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("due_at", fields.DatetimeField(db_index=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "carrier_signals",
                "app": "msvs",
                "unique_together": (("carrier", "dedupe_key"),),
                "pk_attr": "id",
                "table_description": "A delivery report or an inbound message that a carrier brought and nobody has applied yet.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="CarrierState",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=30)),
                ("state", fields.CharField(default="closed", max_length=10)),
                ("failures", fields.IntField(default=0)),
                ("trips", fields.IntField(default=0)),
                ("reason", fields.CharField(null=True, max_length=100)),
                ("opened_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("retry_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("updated_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "carrier_states",
                "app": "msvs",
                "pk_attr": "name",
                "table_description": "The circuit breaker of a carrier.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ConsentChain",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("sequence", fields.BigIntField(default=0)),
                ("hash", fields.CharField(max_length=64)),
            ],
            options={
                "table": "consent_chains",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode"),),
                "pk_attr": "id",
                "table_description": "The head of a workspace and mode's chain of consent: its last row's `sequence` and `hash`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ErasedSuppression",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("phone_hash", fields.CharField(max_length=64)),
                ("source", fields.CharField(max_length=100)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "erased_suppressions",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "phone_hash"),),
                "pk_attr": "id",
                "table_description": "The keyed hash of a suppressed phone that was erased, so that it stays suppressed when it comes back.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Keyword",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("word", fields.CharField(max_length=30)),
                ("folded", fields.CharField(max_length=60)),
                ("list_id", fields.UUIDField(db_index=True)),
                ("reply", fields.TextField(null=True, unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "keywords",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "folded"),),
                "pk_attr": "id",
                "table_description": "A word that opts its sender in and adds it to a list. `folded` is the word as replies are compared with it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="MessagePart",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("message_id", fields.UUIDField(db_index=True)),
                ("carrier", fields.CharField(max_length=30)),
                ("ref", fields.CharField(max_length=100)),
                ("number", fields.SmallIntField()),
                ("state", fields.CharField(null=True, max_length=10)),
                ("error_code", fields.CharField(null=True, max_length=40)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "message_parts",
                "app": "msvs",
                "indexes": [Index(fields=["carrier", "ref"])],
                "pk_attr": "id",
                "table_description": "One part of a message that a carrier took in several; `state` is what its own report said, or null.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Route",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField(null=True, db_index=True)),
                ("carrier", fields.CharField(max_length=30)),
                (
                    "regions",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("sender", fields.CharField(null=True, max_length=16)),
                (
                    "sender_kind",
                    fields.CharEnumField(
                        null=True,
                        description="LONG_CODE: long_code\nTOLL_FREE: toll_free\nSHORT_CODE: short_code\nALPHANUMERIC: alphanumeric",
                        enum_type=SenderKind,
                        max_length=12,
                    ),
                ),
                ("preference", fields.SmallIntField(default=100)),
                ("price", fields.DecimalField(null=True, max_digits=10, decimal_places=5)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "routes",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "A way for live messages to a carrier: of one workspace, or with `workspace_id` null of all that have none.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Sender",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("value", fields.CharField(max_length=16)),
                (
                    "kind",
                    fields.CharEnumField(
                        description="LONG_CODE: long_code\nTOLL_FREE: toll_free\nSHORT_CODE: short_code\nALPHANUMERIC: alphanumeric",
                        enum_type=SenderKind,
                        max_length=12,
                    ),
                ),
                (
                    "regions",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                ("registration", fields.CharField(null=True, max_length=100)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "senders",
                "app": "msvs",
                "unique_together": (("workspace_id", "value"),),
                "pk_attr": "id",
                "table_description": "A sender that a workspace may use live.",
            },
            bases=["Model"],
        ),
        ops.AlterField(
            model_name="ConsentEvent",
            name="phone",
            field=fields.CharField(null=True, max_length=16),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="details_hash",
            field=fields.CharField(null=True, max_length=64),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="erased_at",
            field=fields.DatetimeField(null=True, auto_now=False, auto_now_add=False),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="hash",
            field=fields.CharField(null=True, max_length=64),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="phone_hash",
            field=fields.CharField(null=True, max_length=64),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="previous_hash",
            field=fields.CharField(null=True, max_length=64),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="sequence",
            field=fields.BigIntField(null=True),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="text",
            field=fields.TextField(null=True, unique=False),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="user_agent",
            field=fields.CharField(null=True, max_length=300),
        ),
        ops.AddField(
            model_name="ConsentEvent",
            name="version",
            field=fields.CharField(null=True, max_length=60),
        ),
        ops.AddIndex(
            model_name="ConsentEvent",
            index=Index(fields=["workspace_id", "livemode", "phone_hash"]),
        ),
        ops.AddIndex(
            model_name="ConsentEvent",
            index=Index(fields=["workspace_id", "livemode", "sequence"]),
        ),
        ops.AlterField(
            model_name="InboundMessage",
            name="dedupe_key",
            field=fields.CharField(max_length=240),
        ),
        ops.AddField(
            model_name="InboundMessage",
            name="intent",
            field=fields.CharField(null=True, max_length=10),
        ),
        ops.AddField(
            model_name="InboundMessage",
            name="is_flagged",
            field=fields.BooleanField(default=False, db_default=False),
        ),
        ops.AddField(
            model_name="Workspace",
            name="daily_credit_cap",
            field=fields.BigIntField(null=True),
        ),
        ops.AddField(
            model_name="Workspace",
            name="enabled_regions",
            field=fields.JSONField(
                default=list, db_default=[], encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
            ),
        ),
        ops.AddField(
            model_name="Workspace",
            name="prefix_hourly_cap",
            field=fields.IntField(null=True),
        ),
        ops.RunSQL(SQL),
    ]
