"""Actions on many contacts at once."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.bulk_actions import BulkKind, BulkStatus
from msvs.models.identity import new_id

DUE = """
CREATE INDEX bulk_actions_due ON bulk_actions (turn_at NULLS FIRST, id) WHERE status IN ('queued', 'running')
"""


class Migration(migrations.Migration):
    """Adds the table."""

    dependencies = [("msvs", "0051_contact_tags")]

    initial = False

    operations = [
        ops.CreateModel(
            name="BulkAction",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                (
                    "kind",
                    fields.CharEnumField(
                        description="OPT_OUT: opt_out\nDELETE: delete\nTAG: tag\nUNTAG: untag\nADD_TO_LIST: add_to_list\nREMOVE_FROM_LIST: remove_from_list",
                        enum_type=BulkKind,
                        max_length=20,
                    ),
                ),
                (
                    "status",
                    fields.CharEnumField(
                        default=BulkStatus.QUEUED,
                        description="QUEUED: queued\nRUNNING: running\nCOMPLETED: completed\nCANCELED: canceled\nFAILED: failed",
                        enum_type=BulkStatus,
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
                ("matched", fields.BigIntField(default=0)),
                ("changed", fields.BigIntField(default=0)),
                ("done_id", fields.UUIDField()),
                ("last_id", fields.UUIDField()),
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
                "table": "bulk_actions",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "An action on all contacts that match conditions, and its progress.",
            },
            bases=["Model"],
        ),
        # The table is new and empty, so building its index blocks nothing.
        ops.RunSQL(DUE, "DROP INDEX bulk_actions_due"),
    ]
