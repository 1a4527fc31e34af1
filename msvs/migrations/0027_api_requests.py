"""The log of what API keys asked."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id


class Migration(migrations.Migration):
    """Adds the table."""

    dependencies = [("msvs", "0026_session_devices")]
    initial = False

    operations = [
        ops.CreateModel(
            name="ApiRequest",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("api_key_id", fields.UUIDField()),
                ("request_id", fields.CharField(max_length=40)),
                ("method", fields.CharField(max_length=10)),
                ("path", fields.CharField(max_length=200)),
                ("status", fields.SmallIntField()),
                ("error_code", fields.CharField(null=True, max_length=60)),
                ("elapsed_ms", fields.IntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "api_requests",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "id"])],
                "pk_attr": "id",
                "table_description": "One request of an API key as it was answered: never its body, its query or what "
                "was answered.",
            },
            bases=["Model"],
        ),
    ]
