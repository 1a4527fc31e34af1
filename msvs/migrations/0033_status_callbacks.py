"""What Twilio's API keeps beside a message, and its status callbacks."""

import functools
from json import dumps, loads
from uuid import uuid4

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id
from msvs.models.webhooks import DeliveryState

# The tables are new, so that nobody waits for their indexes.
PENDING = (
    "CREATE INDEX status_callbacks_due ON status_callbacks (workspace_id, next_attempt_at, id) WHERE state = 'pending'"
)
STORAGE = "ALTER TABLE status_callbacks SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)"


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0032_webhook_challenges")]

    initial = False

    operations = [
        ops.CreateModel(
            name="StatusCallback",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("message_id", fields.UUIDField()),
                ("status", fields.CharField(max_length=10)),
                (
                    "state",
                    fields.CharEnumField(
                        default=DeliveryState.PENDING,
                        description="PENDING: pending\nSUCCEEDED: succeeded\nEXHAUSTED: exhausted\nDROPPED: dropped",
                        enum_type=DeliveryState,
                        max_length=10,
                    ),
                ),
                ("attempt_count", fields.SmallIntField(default=0)),
                ("next_attempt_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("status_code", fields.SmallIntField(null=True)),
                ("error", fields.CharField(null=True, max_length=40)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "status_callbacks",
                "app": "msvs",
                "unique_together": (("message_id", "status"),),
                "indexes": [Index(fields=["created_at"])],
                "pk_attr": "id",
                "table_description": "One change of a message's status on its way to its callback.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="TwilioMessage",
            fields=[
                ("message_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("service_sid", fields.CharField(null=True, max_length=34)),
                ("callback_url", fields.CharField(null=True, max_length=2048)),
                ("retry_count", fields.SmallIntField(default=0)),
                (
                    "retry_on",
                    fields.JSONField(
                        default=list, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads
                    ),
                ),
                (
                    "signatures",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("deleted_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "twilio_messages",
                "app": "msvs",
                "pk_attr": "message_id",
                "table_description": "What only Twilio's API asked for of a message: its messaging service, its callback, its deletion.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([PENDING, STORAGE]),
    ]
