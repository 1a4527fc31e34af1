"""Order hooks: addresses to which shops post their orders."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id


class Migration(migrations.Migration):
    """Adds the table."""

    dependencies = [("msvs", "0076_clicked_contact_index")]

    initial = False

    operations = [
        ops.CreateModel(
            name="OrderHook",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("kind", fields.CharField(max_length=20)),
                ("name", fields.CharField(null=True, max_length=100)),
                ("token_hash", fields.CharField(unique=True, max_length=64)),
                ("secret_sealed", fields.CharField(null=True, max_length=1000)),
                ("recorded", fields.IntField(default=0, db_default=0)),
                ("ignored", fields.IntField(default=0, db_default=0)),
                ("last_order_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "order_hooks",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "An address to which a shop posts its orders. Its token is kept as a hash, and the shop's secret sealed.",
            },
            bases=["Model"],
        ),
    ]
