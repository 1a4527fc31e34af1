"""The traces that messages and campaigns belong to."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Adds the table."""

    dependencies = [("msvs", "0078_approvals")]

    initial = False

    operations = [
        ops.CreateModel(
            name="KeptTrace",
            fields=[
                ("id", fields.UUIDField(primary_key=True, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("traceparent", fields.CharField(max_length=55)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "traces",
                "app": "msvs",
                "pk_attr": "id",
                "indexes": [],
                "table_description": "The span of the request that made a message or launched a campaign, by the W3C's Trace Context.",
            },
            bases=["Model"],
        ),
    ]
