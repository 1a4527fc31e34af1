"""Test clocks of sandboxes, and the scripts of their virtual carrier."""

import functools
from json import dumps, loads
from uuid import uuid4

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.clocks import ClockStatus
from msvs.new_ids import new_id


class Migration(migrations.Migration):
    """Adds the tables, and the mark of a workspace whose sandbox has a clock."""

    dependencies = [("msvs", "0072_sequences")]

    initial = False

    operations = [
        ops.CreateModel(
            name="CarrierScript",
            fields=[
                ("workspace_id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("seed", fields.BigIntField()),
                (
                    "probabilities",
                    fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "carrier_scripts",
                "app": "msvs",
                "pk_attr": "workspace_id",
                "table_description": "What the virtual carrier does to a workspace's sandbox: probabilities by name, drawn by a seed.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="SandboxClock",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField(unique=True)),
                (
                    "status",
                    fields.CharEnumField(
                        description="READY: ready\nADVANCING: advancing\nFAILED: failed",
                        enum_type=ClockStatus,
                        max_length=10,
                    ),
                ),
                ("frozen_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("target_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("failure", fields.CharField(null=True, max_length=60)),
                ("tries", fields.SmallIntField(default=0)),
                ("lease_token", fields.UUIDField(null=True)),
                ("lease_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("looked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("is_ending", fields.BooleanField(default=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "test_clocks",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "The clock of a workspace's sandbox. It stands at `frozen_at` and, while it advances, moves on to `target_at`.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Workspace",
            name="has_test_clock",
            field=fields.BooleanField(default=False, db_default=False),
        ),
    ]
