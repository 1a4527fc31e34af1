"""Notifications of members, and which of them come by mail."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id


class Migration(migrations.Migration):
    """Adds a table, and a column that may be null."""

    dependencies = [("msvs", "0039_imports")]
    initial = False

    operations = [
        ops.CreateModel(
            name="Notification",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("user_id", fields.UUIDField()),
                ("kind", fields.CharField(max_length=30)),
                ("subject_id", fields.CharField(null=True, max_length=40)),
                ("data", fields.JSONField(default=dict)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("read_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "notifications",
                "app": "msvs",
                "indexes": [
                    Index(fields=["user_id", "workspace_id", "livemode", "id"]),
                    Index(fields=["workspace_id", "livemode", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "What one member is told of; a row each, so that each reads it for themselves.",
            },
            bases=["Model"],
        ),
        ops.AddField(
            model_name="Membership",
            name="mailed_kinds",
            field=fields.JSONField(null=True),
        ),
    ]
