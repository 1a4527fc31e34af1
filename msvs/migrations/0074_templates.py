"""Message templates and snippets."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0073_test_clocks")]

    initial = False

    operations = [
        ops.CreateModel(
            name="MessageTemplate",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=100)),
                ("body", fields.TextField(unique=False)),
                (
                    "tags",
                    fields.JSONField(null=True, encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads),
                ),
                ("archived_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "message_templates",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "name"),),
                "pk_attr": "id",
                "table_description": "A body under a name, with its variables and snippets as they are written. "
                "`tags` are null if there are none.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Snippet",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=40)),
                ("body", fields.TextField(unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "snippets",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "name"),),
                "pk_attr": "id",
                "table_description": "A piece of text that bodies include by its name.",
            },
            bases=["Model"],
        ),
    ]
