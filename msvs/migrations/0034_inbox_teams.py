"""Notes about contacts, who answers a thread, and canned answers."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from msvs.models.identity import new_id


class Migration(migrations.Migration):
    """Adds the tables."""

    dependencies = [("msvs", "0033_status_callbacks")]
    initial = False

    operations = [
        ops.CreateModel(
            name="CannedAnswer",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("name", fields.CharField(max_length=60)),
                ("body", fields.TextField(unique=False)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
                ("updated_at", fields.DatetimeField(auto_now=True, auto_now_add=False)),
            ],
            options={
                "table": "canned_answers",
                "app": "msvs",
                "unique_together": (("workspace_id", "livemode", "name"),),
                "pk_attr": "id",
                "table_description": "A text that is answered often, by its name.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ContactNote",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("contact_id", fields.UUIDField()),
                ("body", fields.TextField(unique=False)),
                ("author", fields.CharField(max_length=40)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "contact_notes",
                "app": "msvs",
                "indexes": [Index(fields=["contact_id", "id"])],
                "pk_attr": "id",
                "table_description": "What somebody wrote down about a contact, for their own people alone. It goes "
                "with the contact.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ThreadAssignment",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=new_id, unique=True, db_index=True)),
                ("workspace_id", fields.UUIDField()),
                ("livemode", fields.BooleanField()),
                ("contact_id", fields.UUIDField(unique=True)),
                ("user_id", fields.UUIDField()),
                ("assigned_by", fields.CharField(max_length=40)),
                ("assigned_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "thread_assignments",
                "app": "msvs",
                "indexes": [Index(fields=["workspace_id", "livemode", "user_id"])],
                "pk_attr": "id",
                "table_description": "The member who answers a contact's thread. It goes with the contact.",
            },
            bases=["Model"],
        ),
    ]
