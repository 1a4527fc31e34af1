"""Saved views of the dashboard's pages."""

import functools
from json import dumps, loads

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id


class Migration(migrations.Migration):
    """Adds the table."""

    dependencies = [("msvs", "0063_preflights")]

    initial = False

    operations = [
        ops.CreateModel(
            name="SavedView",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("page", fields.CharField(max_length=20)),
                ("name", fields.CharField(max_length=60)),
                ("filters", fields.JSONField(encoder=functools.partial(dumps, separators=(",", ":")), decoder=loads)),
                ("created_by", fields.CharField(max_length=40)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "saved_views",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "page", "name"),),
                "pk_attr": "id",
                "table_description": "The filters of a page, by name, for all members of a workspace. One that names a "
                "person goes with the person.",
            },
            bases=["Model"],
        ),
    ]
