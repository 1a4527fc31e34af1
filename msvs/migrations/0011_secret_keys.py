"""The secret keys that open the database's data key."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id


class Migration(migrations.Migration):
    """Adds the table; the first process that starts fills it, once its key has been proven."""

    dependencies = [("msvs", "0010_senders_and_scopes")]
    initial = False

    operations = [
        ops.CreateModel(
            name="SecretKey",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("fingerprint", fields.CharField(unique=True, max_length=64)),
                ("data_fingerprint", fields.CharField(max_length=64)),
                ("sealed", fields.TextField(null=True, unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("retires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "secret_keys",
                "app": "msvs",
                "pk_attr": "id",
                "table_description": "One MSVS_SECRET_KEY that the database knows, by its fingerprint alone.",
            },
            bases=["Model"],
        ),
    ]
