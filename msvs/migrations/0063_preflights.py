"""Preflights of campaigns, and the guard rails of those that are created with one."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the table, and what campaigns keep of their guard rails."""

    dependencies = [("msvs", "0062_unreachable_index")]

    initial = False

    operations = [
        ops.CreateModel(
            name="Preflight",
            fields=[
                ("id", fields.UUIDField(primary_key=True, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("recipient_count", fields.BigIntField()),
                ("credits", fields.BigIntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "preflights",
                "app": "msvs",
                "pk_attr": "id",
                "indexes": [],
                "table_description": "What a preflight of a campaign expected. It names nobody.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Campaign",
            name="guard_rails",
            field=fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
        ),
        ops.AddField(
            model_name="Campaign",
            name="planned_credits",
            field=fields.BigIntField(default=0, db_default=0),
        ),
    ]
